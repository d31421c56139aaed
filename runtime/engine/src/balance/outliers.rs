//! Who fails is left out for a while: state in, state out (`spec/semantics.md` 11.17).

use mesh_plan::Outliers;
use std::time::Duration;

/// An interval with fewer requests than this says nothing of a share of successes.
pub const LEAST_REQUESTS: u32 = 5;

/// How a try ended, as far as it says something of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Any response but a 5xx.
    Success,
    /// A 5xx that no gateway gives.
    ServerError,
    /// 502, 503 or 504; no connection, a lost one, a timeout.
    GatewayError,
}

impl Seen {
    /// What a response's status says.
    pub fn of_status(status: u16) -> Seen {
        match status {
            502..=504 => Seen::GatewayError,
            500..=599 => Seen::ServerError,
            _ => Seen::Success,
        }
    }
}

/// What is known of one endpoint. Times are measured from any fixed origin, always the same for one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    errors_in_a_row: u32,
    gateway_errors_in_a_row: u32,
    /// Of the interval that began then.
    interval_at: Duration,
    successes: u32,
    requests: u32,
    /// Until when it is out; how often it was ejected, less one for each interval that it has been in again.
    until: Duration,
    times: u32,
}

impl Standing {
    /// Whether it is left out at `now`.
    pub fn is_out(&self, now: Duration) -> bool {
        now < self.until
    }

    /// Until when it is left out, or was.
    pub fn until(&self) -> Duration {
        self.until
    }

    /// Notes how a try ended at `now`. Whether the endpoint is to be ejected for it.
    pub fn see(&mut self, rules: &Outliers, seen: Seen, now: Duration) -> bool {
        // What was begun before the ejection says nothing new.
        if self.is_out(now) {
            return false;
        }
        self.errors_in_a_row = if seen == Seen::Success { 0 } else { self.errors_in_a_row.saturating_add(1) };
        self.gateway_errors_in_a_row = match seen {
            Seen::GatewayError => self.gateway_errors_in_a_row.saturating_add(1),
            _ => 0,
        };
        let reached = |in_a_row: u32, limit: u32| limit > 0 && in_a_row >= limit;
        let fails = self.success_rate_fails(rules, seen, now);
        fails
            || reached(self.errors_in_a_row, rules.consecutive_5xx)
            || reached(self.gateway_errors_in_a_row, rules.consecutive_gateway_errors)
    }

    /// An interval is judged when a try ends after it.
    fn success_rate_fails(&mut self, rules: &Outliers, seen: Seen, now: Duration) -> bool {
        let mut fails = false;
        if now.saturating_sub(self.interval_at) >= milliseconds(rules.interval) {
            let due = u64::from(self.requests) * u64::from(rules.success_rate);
            fails = self.requests >= LEAST_REQUESTS && u64::from(self.successes) * 10_000 < due;
            (self.successes, self.requests, self.interval_at) = (0, 0, now);
        }
        self.requests = self.requests.saturating_add(1);
        self.successes = self.successes.saturating_add(u32::from(seen == Seen::Success));
        fails
    }

    /// Leaves it out from `now` on: for the first time as long as the rules say, each time longer by as much.
    pub fn eject(&mut self, rules: &Outliers, now: Duration) {
        let in_again = now.saturating_sub(self.until).as_millis() / u128::from(rules.interval.max(1));
        let forgiven = u32::try_from(in_again).unwrap_or(u32::MAX);
        let times = self.times.saturating_sub(forgiven).saturating_add(1);
        let long = rules.base_ejection.saturating_mul(times).min(rules.max_ejection);
        *self = Standing { until: now + milliseconds(long), times, interval_at: now, ..Standing::default() };
    }
}

/// Whether one more of so many endpoints may be ejected while so many are out. A share is rounded up: one of two can go.
pub fn may_eject(rules: &Outliers, endpoints: usize, out: usize) -> bool {
    let share = (endpoints as u64 * u64::from(rules.max_share)).div_ceil(10_000);
    let most = share.max(u64::from(rules.max_at_least));
    endpoints as u64 >= u64::from(rules.min_hosts) && (out as u64) < most
}

/// Whether so few of the endpoints are in that all are used: their share is smaller than this one, in basis points.
pub fn is_panic(threshold: u32, endpoints: usize, usable: usize) -> bool {
    (usable as u64) * 10_000 < endpoints as u64 * u64::from(threshold)
}

fn milliseconds(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Outliers = Outliers {
        consecutive_5xx: 3,
        consecutive_gateway_errors: 0,
        success_rate: 0,
        interval: 10_000,
        base_ejection: 30_000,
        max_ejection: 100_000,
        max_share: 5_000,
        max_at_least: 0,
        min_hosts: 1,
    };

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// The place of the first of these that ejects.
    fn ejected(rules: &Outliers, seen: &[Seen]) -> Option<usize> {
        let mut standing = Standing::default();
        seen.iter().position(|seen| standing.see(rules, *seen, seconds(1)))
    }

    #[test]
    fn errors_in_a_row_eject_and_a_success_begins_anew() {
        use Seen::{GatewayError, ServerError, Success};
        assert_eq!(ejected(&RULES, &[ServerError, GatewayError, ServerError]), Some(2));
        assert_eq!(ejected(&RULES, &[ServerError, GatewayError, Success, ServerError, GatewayError]), None);
        let gateway = Outliers { consecutive_5xx: 0, consecutive_gateway_errors: 2, ..RULES };
        assert_eq!(ejected(&gateway, &[GatewayError, ServerError, GatewayError, GatewayError]), Some(3));
        assert_eq!(
            [200, 404, 500, 502, 504, 599].map(Seen::of_status),
            [Success, Success, ServerError, GatewayError, GatewayError, ServerError]
        );
    }

    #[test]
    fn a_share_of_successes_is_judged_once_an_interval_has_passed() {
        let rules = Outliers { consecutive_5xx: 0, success_rate: 8_000, ..RULES };
        let run = |failures: u32, all: u32| {
            let mut standing = Standing::default();
            assert!(!standing.see(&rules, Seen::Success, seconds(11)), "an empty interval says nothing");
            for own in 1..all {
                let seen = if own <= failures { Seen::ServerError } else { Seen::Success };
                assert!(!standing.see(&rules, seen, seconds(12)));
            }
            standing.see(&rules, Seen::Success, seconds(22))
        };
        assert!(run(3, 10), "70 %");
        assert!(!run(2, 10), "80 %");
        assert!(!run(3, 4), "too few to say anything");
    }

    #[test]
    fn each_time_is_longer_until_the_longest_and_good_intervals_are_forgiven() {
        let mut standing = Standing::default();
        let mut now = seconds(100);
        for long in [30, 60, 90, 100, 100] {
            standing.eject(&RULES, now);
            assert_eq!(standing.until(), now + seconds(long));
            assert!(standing.is_out(now) && standing.is_out(now + seconds(long - 1)));
            now += seconds(long);
            assert!(!standing.is_out(now));
        }
        // Four of the five times are forgiven in four intervals.
        standing.eject(&RULES, now + seconds(40));
        assert_eq!(standing.until(), now + seconds(40 + 60));
    }

    #[test]
    fn what_ends_while_it_is_out_says_nothing() {
        let mut standing = Standing::default();
        standing.eject(&RULES, seconds(1));
        assert!((0..9).all(|_| !standing.see(&RULES, Seen::GatewayError, seconds(2))));
        assert!(!standing.see(&RULES, Seen::GatewayError, seconds(40)), "it begins anew");
    }

    #[test]
    fn a_share_of_endpoints_is_rounded_up_and_never_all_unless_it_says_so() {
        let most = |endpoints, share, least| {
            let rules = Outliers { max_share: share, max_at_least: least, ..RULES };
            (0..=endpoints).take_while(|out| may_eject(&rules, endpoints, *out)).count()
        };
        assert_eq!(most(2, 5_000, 0), 1);
        assert_eq!(most(2, 1_000, 0), 1, "one of two");
        assert_eq!(most(3, 5_000, 0), 2);
        assert_eq!(most(10, 1_000, 0), 1);
        assert_eq!(most(10, 1_000, 4), 4);
        assert_eq!(most(2, 10_000, 0), 2);
        assert!(!may_eject(&Outliers { min_hosts: 3, ..RULES }, 2, 0));
    }

    #[test]
    fn with_too_few_all_are_used() {
        assert!(is_panic(5_000, 10, 4));
        assert!(!is_panic(5_000, 10, 5));
        assert!(!is_panic(0, 10, 0), "never, without a threshold");
    }
}
