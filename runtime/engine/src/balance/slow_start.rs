//! A new endpoint comes to its full share little by little.

use super::Draw;
use std::time::Duration;

/// The least share that a new endpoint gets, of a full one: with less it would never warm up.
pub const LEAST: f64 = 0.1;

/// The share of an endpoint of this age, of a full one: from [`LEAST`] up to 1, in proportion to its age.
pub fn share(age: Duration, start: Duration) -> f64 {
    if start.is_zero() {
        return 1.0;
    }
    (age.as_secs_f64() / start.as_secs_f64()).clamp(LEAST, 1.0)
}

/// Chooses by `choose` until whoever is chosen may have it: with odds of its share of the largest share among all. So every
/// algorithm's shares are scaled, and where all are new nobody gets less.
pub fn scaled(
    among: &[u32],
    share: impl Fn(u32) -> f64,
    draw: &mut Draw<'_>,
    mut choose: impl FnMut(&mut Draw<'_>) -> Option<u32>,
) -> Option<u32> {
    /// With one old endpoint among many new ones most are turned down: on average nine of ten.
    const MOST: usize = 128;
    const FINE: usize = 1 << 20;
    let largest = among.iter().map(|own| share(*own)).fold(0.0, f64::max);
    for _ in 0..MOST {
        let chosen = choose(draw)?;
        let odds = share(chosen) / largest;
        if odds >= 1.0 || (draw(FINE) as f64) < odds * FINE as f64 {
            return Some(chosen);
        }
    }
    choose(draw)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{dice, furthest};
    use super::super::{least_request, random, round_robin};
    use super::*;

    #[test]
    fn a_share_grows_with_age() {
        let start = Duration::from_secs(10);
        let of = |seconds| share(Duration::from_secs(seconds), start);
        assert_eq!([of(0), of(1), of(5), of(10), of(99)], [0.1, 0.1, 0.5, 1.0, 1.0]);
        assert_eq!(share(Duration::ZERO, Duration::ZERO), 1.0);
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "figures for whoever asks, with --nocapture")]
    fn requests_are_shared_by_weight_within_five_percent() {
        let weights = [1.0, 0.5, 0.25, 1.0, 0.1];
        let all: Vec<u32> = (0..5).collect();
        let weight = |own: u32| weights[own as usize];
        let mut draw = dice(5);
        let mut turn = 0;
        let mut counts = [[0u32; 5]; 3];
        for _ in 0..100_000 {
            let chosen = [
                scaled(&all, weight, &mut draw, |draw| random::pick(&all, draw)),
                scaled(&all, weight, &mut draw, |_| round_robin::next(&all, &mut turn)),
                scaled(&all, weight, &mut draw, |draw| least_request::pick(&all, |_| 0.0, draw)),
            ];
            for (counts, chosen) in counts.iter_mut().zip(chosen) {
                counts[chosen.unwrap() as usize] += 1;
            }
        }
        for (algorithm, counts) in ["random", "round-robin", "least-request"].into_iter().zip(counts) {
            let off = furthest(&counts, &weights);
            println!("{algorithm}: furthest off its weight {:.2} %", off * 100.0);
            assert!(off < 0.05, "{algorithm}: {counts:?}");
        }
    }

    #[test]
    fn where_all_are_new_nobody_gets_less() {
        let mut draw = dice(6);
        let mut asked = 0;
        let chosen = scaled(
            &[0, 1],
            |_| 0.1,
            &mut draw,
            |_| {
                asked += 1;
                Some(1)
            },
        );
        assert_eq!((chosen, asked), (Some(1), 1));
    }
}
