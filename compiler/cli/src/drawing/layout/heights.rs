//! How high things stand in their layers: as near to their neighbours as the order and the room between them allow.

use super::{BETWEEN, Item, Layered, MARGIN, PASSING, What};

/// Passes there and back; then heights hardly change.
const PASSES: usize = 24;

/// The middle of each item. What is alone in the picture has none that means anything.
pub(super) fn heights(layered: &Layered, order: &[Vec<usize>]) -> Vec<i64> {
    let order: Vec<Vec<usize>> = order
        .iter()
        .map(|layer| layer.iter().copied().filter(|item| !layered.is_alone(*item)).collect())
        .collect();
    let mut middles = vec![0f64; layered.items.len()];
    for layer in &order {
        let wanted = vec![0f64; layer.len()];
        settle(layered, layer, &wanted, &mut middles);
    }
    for pass in 0..PASSES {
        let both = pass + 4 >= PASSES;
        let forward = pass % 2 == 0;
        let layers: Vec<usize> =
            if forward { (0..order.len()).collect() } else { (0..order.len()).rev().collect() };
        for layer in layers {
            let wanted: Vec<f64> =
                order[layer].iter().map(|item| wanted(layered, *item, &middles, forward, both)).collect();
            settle(layered, &order[layer], &wanted, &mut middles);
        }
    }
    let top = |item: &usize| middles[*item] - half(&layered.items[*item]);
    let first = order.iter().flatten().map(top).fold(f64::INFINITY, f64::min);
    let shift = if first.is_finite() { MARGIN as f64 - first } else { 0.0 };
    middles.iter().map(|middle| (middle + shift).round() as i64).collect()
}

/// The mean of the neighbours on one side, or on both; a long line is to be straight before all else.
fn wanted(layered: &Layered, item: usize, middles: &[f64], forward: bool, both: bool) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut look = |neighbours: &[usize]| {
        for neighbour in neighbours {
            let passes = |item: usize| !matches!(layered.items[item].what, What::Box(_));
            let own = match (passes(item), passes(*neighbour)) {
                (true, true) => 8.0,
                (true, false) | (false, true) => 2.0,
                (false, false) => 1.0,
            };
            sum += middles[*neighbour] * own;
            weight += own;
        }
    };
    if forward || both {
        look(&layered.before[item]);
    }
    if !forward || both {
        look(&layered.behind[item]);
    }
    if weight > 0.0 { sum / weight } else { middles[item] }
}

fn half(item: &Item) -> f64 {
    item.height as f64 / 2.0
}

/// How far the middles of two that stand below each other are apart at least.
fn apart(upper: &Item, lower: &Item) -> f64 {
    let between = match (upper.what, lower.what) {
        (What::Box(_), What::Box(_)) => BETWEEN,
        _ => PASSING,
    };
    // A pixel more, for rounding.
    half(upper) + half(lower) + between as f64 + 1.0
}

/// Puts a layer as near to where its items want to be as its order and the room between them allow: the least squares are those of an
/// isotonic regression, found by pooling neighbours that want to pass each other (Ayer et al. 1955).
fn settle(layered: &Layered, layer: &[usize], wanted: &[f64], middles: &mut [f64]) {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(layer.len());
    // Pools: the sum of what is wanted, and how many want it.
    let mut pools: Vec<(f64, usize)> = Vec::with_capacity(layer.len());
    for (place, item) in layer.iter().enumerate() {
        if place > 0 {
            offset += apart(&layered.items[layer[place - 1]], &layered.items[*item]);
        }
        offsets.push(offset);
        let mut pool = (wanted[place] - offset, 1);
        while let Some((sum, count)) = pools.last().copied() {
            if sum / (count as f64) < pool.0 / pool.1 as f64 {
                break;
            }
            pool = (pool.0 + sum, pool.1 + count);
            pools.pop();
        }
        pools.push(pool);
    }
    let settled = pools.iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / *count as f64, *count));
    for ((item, offset), place) in layer.iter().zip(offsets).zip(settled) {
        middles[*item] = place + offset;
    }
}
