//! Counting: statuses, and how long answers took.

use crate::load::Outcome;
use std::collections::BTreeMap;

/// Standard deviations of what was sampled within which two figures are taken for the same.
const DEVIATIONS: f64 = 3.0;

/// How often there was which status; `no answer` where there was none.
pub(crate) fn statuses<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for outcome in outcomes {
        let name = outcome.status.map_or("no answer".to_owned(), |status| status.to_string());
        *counts.entry(name).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

/// How many there were a second.
pub(crate) fn rate(outcomes: &[Outcome]) -> f64 {
    let last = outcomes.iter().map(|outcome| outcome.at + outcome.micros).max().unwrap_or(1);
    outcomes.len() as f64 / (f64::from(last.max(1)) / 1e6)
}

/// How long answers took, the shortest first.
#[derive(Debug)]
pub(crate) struct Times(Vec<u32>);

impl Times {
    pub(crate) fn of<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> Times {
        let mut times: Vec<u32> = outcomes.into_iter().map(|outcome| outcome.micros).collect();
        times.sort_unstable();
        Times(times)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that a share of them, from 0 to 1, did not exceed, in microseconds.
    pub(crate) fn at(&self, share: f64) -> f64 {
        self.of_rank(share * self.0.len() as f64)
    }

    /// Where the same figure of all that could have been sampled is: the rank of a quantile is distributed binomially, whatever the times are.
    pub(crate) fn between(&self, share: f64) -> (f64, f64) {
        let count = self.0.len() as f64;
        let off = DEVIATIONS * (count * share * (1.0 - share)).sqrt();
        (self.of_rank(share * count - off), self.of_rank(share * count + off))
    }

    fn of_rank(&self, rank: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        f64::from(self.0.get((rank.max(0.0) as usize).min(last)).copied().unwrap_or_default())
    }
}

/// Two p99 in proportion, and whether what was sampled rules out that the first is within `most` times the second.
pub(crate) struct Compared {
    pub(crate) ratio: f64,
    pub(crate) is_over: bool,
}

pub(crate) fn compare_p99(times: &Times, control: &Times, most: f64) -> Compared {
    let ratio = times.at(0.99) / control.at(0.99);
    Compared { ratio, is_over: times.between(0.99).0 > most * control.between(0.99).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(micros: impl IntoIterator<Item = u32>) -> Times {
        let outcome = |micros| Outcome { id: 0, ask: 0, status: Some(200), micros, at: 0 };
        Times::of(micros.into_iter().map(outcome).collect::<Vec<_>>().iter())
    }

    #[test]
    fn what_is_slower_than_chance_makes_it_is_over() {
        let control = times(0..100_000);
        assert!(!compare_p99(&times(0..100_000), &control, 1.05).is_over);
        assert!(!compare_p99(&times((0..100_000).map(|micros| micros * 104 / 100)), &control, 1.05).is_over);
        assert!(compare_p99(&times((0..100_000).map(|micros| micros * 107 / 100)), &control, 1.05).is_over);
        // Of twenty requests nobody knows.
        assert!(!compare_p99(&times((0..20).map(|micros| micros * 5_500)), &control, 1.05).is_over);
    }

    #[test]
    fn a_quantile_is_what_so_many_did_not_exceed() {
        let times = times((1..=1_000).rev());
        assert_eq!((times.at(0.5), times.at(0.99), times.at(1.0)), (501.0, 991.0, 1_000.0));
    }
}
