//! In which order things stand in their layers: the one with the fewest crossings that sweeps by barycentres find.

use super::Layered;

/// Sweeps there and back. After a dozen the crossings hardly become fewer.
const SWEEPS: usize = 16;

/// The items of each layer, from top to bottom.
pub(super) fn order(layered: &Layered) -> Vec<Vec<usize>> {
    let mut order = vec![Vec::new(); layered.count];
    for item in walk(layered) {
        order[layered.items[item].layer].push(item);
    }
    let mut best = order.clone();
    let mut fewest = crossings(layered, &order);
    for sweep in 0..SWEEPS {
        if fewest == 0 {
            break;
        }
        match sweep % 2 {
            0 => (1..layered.count).for_each(|layer| sort(&mut order, layer, layer - 1, &layered.before)),
            _ => {
                (1..layered.count).rev().for_each(|layer| sort(&mut order, layer - 1, layer, &layered.behind))
            }
        }
        let found = crossings(layered, &order);
        if found < fewest {
            (fewest, best) = (found, order.clone());
        }
    }
    best
}

/// The items as a walk along the lines meets them, so that what hangs together stands together.
fn walk(layered: &Layered) -> Vec<usize> {
    let count = layered.items.len();
    let mut seen = vec![false; count];
    let mut met = Vec::with_capacity(count);
    let begins = (0..count).filter(|item| layered.before[*item].is_empty());
    for start in begins.chain(0..count) {
        let mut left = vec![start];
        while let Some(item) = left.pop() {
            if !std::mem::replace(&mut seen[item], true) {
                met.push(item);
                left.extend(layered.behind[item].iter().rev());
            }
        }
    }
    met
}

/// Sorts a layer by the mean place of the neighbours in a layer that stays; what has none keeps its place.
fn sort(order: &mut [Vec<usize>], layer: usize, fixed: usize, neighbours: &[Vec<usize>]) {
    let places = places(&order[fixed], neighbours.len());
    let own = std::mem::take(&mut order[layer]);
    let mut keyed: Vec<(f64, usize)> = own
        .iter()
        .enumerate()
        .map(|(place, item)| {
            let of = &neighbours[*item];
            let sum: usize = of.iter().map(|neighbour| places[*neighbour]).sum();
            (if of.is_empty() { place as f64 } else { sum as f64 / of.len() as f64 }, *item)
        })
        .collect();
    // Stable: of those that are equal the former stays the former.
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    order[layer] = keyed.into_iter().map(|(_, item)| item).collect();
}

fn places(layer: &[usize], items: usize) -> Vec<usize> {
    let mut places = vec![0; items];
    for (place, item) in layer.iter().enumerate() {
        places[*item] = place;
    }
    places
}

/// How often lines cross: for each pair of layers the inversions, counted with a Fenwick tree (Barth, Mutzel, Jünger, "Simple and
/// Efficient Bilayer Cross Counting", 2002).
pub(super) fn crossings(layered: &Layered, order: &[Vec<usize>]) -> usize {
    let mut all = 0;
    for pair in order.windows(2) {
        let places = places(&pair[1], layered.items.len());
        let mut tree = vec![0usize; pair[1].len() + 1];
        let mut met = 0;
        for item in &pair[0] {
            let mut ends: Vec<usize> = layered.behind[*item].iter().map(|to| places[*to]).collect();
            ends.sort_unstable();
            // Lines of one item do not cross each other: all are counted before any is added.
            for end in &ends {
                all += met - sum(&tree, *end);
            }
            for end in ends {
                add(&mut tree, end);
                met += 1;
            }
        }
    }
    all
}

/// How many are at this place or before it.
fn sum(tree: &[usize], place: usize) -> usize {
    let (mut at, mut sum) = (place + 1, 0);
    while at > 0 {
        sum += tree[at];
        at &= at - 1;
    }
    sum
}

fn add(tree: &mut [usize], place: usize) {
    let mut at = place + 1;
    while at < tree.len() {
        tree[at] += 1;
        at += at & at.wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Line, Sizes, layered};
    use super::*;

    fn crossed(boxes: usize, lines: &[(usize, usize)]) -> usize {
        let lines = lines.iter().map(|&(from, to)| Line { from, to, label: None }).collect();
        let layered = layered(&Sizes { boxes: vec![(10, 10); boxes], lines });
        crossings(&layered, &order(&layered))
    }

    #[test]
    fn what_can_be_drawn_without_crossings_is() {
        assert_eq!(crossed(4, &[(0, 3), (1, 2)]), 0, "two lines that cross only where nobody turns them");
        assert_eq!(crossed(6, &[(0, 3), (0, 5), (1, 4), (2, 3)]), 0);
    }

    #[test]
    fn what_has_to_cross_is_counted() {
        let all: Vec<(usize, usize)> = (0..3).flat_map(|from| (3..6).map(move |to| (from, to))).collect();
        assert_eq!(crossed(6, &all), 9, "three to three");
    }
}
