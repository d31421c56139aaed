//! The one of two that answers sooner: round-trip times as a moving average that follows peaks at once and forgets them slowly, times
//! the requests that wait for it (Finagle's `PeakEwma`).

use super::{Draw, two};
use std::time::Duration;

/// What is not known yet is taken for so slow: a new endpoint is asked, and not by everybody at once.
pub const FIRST: Duration = Duration::from_millis(30);
/// After so long a time a measurement counts for 1/e of what it did.
pub const DECAY: Duration = Duration::from_secs(10);

/// The estimate of one endpoint's round-trip time. Times are measured from any fixed origin, always the same for one estimate.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    nanos: f64,
    at: Duration,
}

impl Default for Estimate {
    fn default() -> Estimate {
        Estimate { nanos: FIRST.as_nanos() as f64, at: Duration::ZERO }
    }
}

impl Estimate {
    /// A round trip ended at `now` and took so long.
    pub fn observe(&mut self, now: Duration, took: Duration) {
        let took = took.as_nanos() as f64;
        let weight = self.weight(now);
        self.nanos = if took > self.nanos { took } else { self.nanos * weight + took * (1.0 - weight) };
        self.at = self.at.max(now);
    }

    /// What one more request costs at `now`, where so many are under way: nanoseconds. What was measured long ago counts less, so
    /// that an endpoint that was slow once is asked again.
    pub fn load(&self, now: Duration, active: u32) -> f64 {
        self.nanos * self.weight(now) * f64::from(active.saturating_add(1))
    }

    fn weight(&self, now: Duration) -> f64 {
        (-now.saturating_sub(self.at).as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

/// Of two drawn the one with the smaller load; where they have the same, either.
pub fn pick(among: &[u32], load: impl Fn(u32) -> f64, draw: &mut Draw<'_>) -> Option<u32> {
    let (first, second) = two(among, draw)?;
    Some(if load(second) < load(first) { second } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_slowly() {
        let mut estimate = Estimate::default();
        let load = |estimate: &Estimate, now| Duration::from_nanos(estimate.load(now, 0) as u64).as_millis();
        assert_eq!(load(&estimate, Duration::ZERO), 30);
        estimate.observe(SECOND, Duration::from_millis(500));
        assert_eq!(load(&estimate, SECOND), 500);
        // A fast answer a tenth of the decay later takes a tenth off.
        estimate.observe(2 * SECOND, Duration::from_millis(1));
        assert_eq!(load(&estimate, 2 * SECOND), 452);
        assert_eq!(load(&estimate, 12 * SECOND), 166, "1/e of it after the decay");
    }

    #[test]
    fn waiting_requests_multiply() {
        let mut estimate = Estimate::default();
        estimate.observe(SECOND, Duration::from_millis(40));
        assert_eq!(estimate.load(SECOND, 4) as u64, 200_000_000);
    }

    #[test]
    fn a_slow_endpoint_gets_less_than_its_share() {
        let mut draw = super::super::tests::dice(9);
        let mut estimates = [Estimate::default(); 4];
        let mut counts = [0; 4];
        for step in 0..40_000u32 {
            let now = Duration::from_millis(step.into());
            let chosen = pick(&[0, 1, 2, 3], |own| estimates[own as usize].load(now, 0), &mut draw).unwrap();
            counts[chosen as usize] += 1;
            let took = if chosen == 0 { 200 } else { 5 };
            estimates[chosen as usize].observe(now, Duration::from_millis(took));
        }
        assert!(counts[0] < 100, "it is asked now and then: {counts:?}");
        assert!(counts[0] > 0, "{counts:?}");
    }
}
