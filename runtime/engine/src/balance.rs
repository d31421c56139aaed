//! Which endpoint a request goes to: one file an algorithm, each by itself (`spec/semantics.md` 11.15 to 11.18 and 11.22).
//!
//! Endpoints are numbers below a count. Those among which one is chosen are given as a sorted list of such numbers, which is
//! never empty; draws come from a function that gives a uniform number below its argument. Read [`round_robin`], [`random`],
//! [`least_request`], [`peak_ewma`]; then the hashes, [`ring_hash`] and [`maglev`], what they hash ([`key`]) and how ([`hash`]);
//! then who gets less for a while, [`slow_start`], who nothing, [`outliers`] and [`health`], and who is near, [`nearness`].

pub mod hash;
pub mod health;
pub mod key;
pub mod least_request;
pub mod maglev;
pub mod nearness;
pub mod outliers;
pub mod peak_ewma;
pub mod random;
pub mod ring_hash;
pub mod round_robin;
pub mod slow_start;

/// A uniform number below its argument, which is not 0.
pub type Draw<'d> = dyn FnMut(usize) -> usize + 'd;

/// Two different ones among several, or twice the only one (Mitzenmacher, *The Power of Two Choices in Randomized Load
/// Balancing*, IEEE TPDS 2001).
fn two(among: &[u32], draw: &mut Draw<'_>) -> Option<(u32, u32)> {
    let first = draw(among.len().max(1));
    let second = match among.len() {
        0 | 1 => first,
        // The second is drawn among the others: those behind the first are one place further.
        others => {
            let drawn = draw(others - 1);
            if drawn >= first { drawn + 1 } else { drawn }
        }
    };
    Some((*among.get(first)?, *among.get(second)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    /// [splitmix64](https://prng.di.unimi.it/splitmix64.c), from a seed.
    pub(super) fn dice(mut state: u64) -> impl FnMut(usize) -> usize {
        move |below| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            (hash::mixed(state) % below as u64) as usize
        }
    }

    /// How far the furthest endpoint is off its share, as a share of that share.
    pub(super) fn furthest(counts: &[u32], weights: &[f64]) -> f64 {
        let (all, whole) = (f64::from(counts.iter().sum::<u32>()), weights.iter().sum::<f64>());
        let off = counts.iter().zip(weights).map(|(count, weight)| {
            let due = all * weight / whole;
            (f64::from(*count) - due).abs() / due
        });
        off.fold(0.0, f64::max)
    }

    pub(super) fn names(count: u32) -> Vec<Vec<u8>> {
        (0..count).map(|own| format!("10.{}.{}.7:8080", own / 250, own % 250).into_bytes()).collect()
    }

    const CHOICES: u32 = 200_000;

    /// Every algorithm, asked 200,000 times among so many endpoints, each of which is done at once.
    fn chosen(count: u32) -> BTreeMap<&'static str, Vec<u32>> {
        let all: Vec<u32> = (0..count).collect();
        let names = names(count);
        let (ring, table) = (ring_hash::Ring::new(&names), maglev::Table::new(&names));
        let mut draw = dice(u64::from(count));
        let mut turn = 0;
        let mut counts: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
        let estimate = peak_ewma::Estimate::default();
        for request in 0..CHOICES {
            let key = hash::mixed(u64::from(request));
            let load = |_| estimate.load(Duration::ZERO, 0);
            let chosen = [
                ("round-robin", round_robin::next(&all, &mut turn)),
                ("random", random::pick(&all, &mut draw)),
                ("least-request", least_request::pick(&all, |_| 0.0, &mut draw)),
                ("peak-ewma", peak_ewma::pick(&all, load, &mut draw)),
                ("ring-hash", ring.pick(key, |_| true)),
                ("maglev", table.pick(key, |_| true)),
            ];
            for (algorithm, endpoint) in chosen {
                let counts = counts.entry(algorithm).or_insert_with(|| vec![0; count as usize]);
                counts[endpoint.unwrap() as usize] += 1;
            }
        }
        counts
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "figures for whoever asks, with --nocapture")]
    fn every_endpoint_gets_its_share_within_five_percent() {
        for count in [1, 2, 3, 5, 10, 16] {
            for (algorithm, counts) in chosen(count) {
                let off = furthest(&counts, &vec![1.0; count as usize]);
                println!("{algorithm:14} {count:3} endpoints: furthest off its share {:.2} %", off * 100.0);
                assert!(off < 0.05, "{algorithm} of {count}: {counts:?}");
            }
        }
    }

    #[test]
    fn two_choices_are_different_wherever_there_are_two() {
        let mut draw = dice(1);
        for count in 2..10 {
            let all: Vec<u32> = (0..count).collect();
            for _ in 0..100 {
                let (first, second) = two(&all, &mut draw).unwrap();
                assert_ne!(first, second);
            }
        }
        assert_eq!(two(&[7], &mut draw), Some((7, 7)));
        assert_eq!(two(&[], &mut draw), None);
    }
}
