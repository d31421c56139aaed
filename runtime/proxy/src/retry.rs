//! Whether a try that failed is made again, and when (`spec/semantics.md` 6.3 and 6.4).

use mesh_engine::budget::Balance;
use mesh_engine::{Forward, Method, Retry};
use std::collections::HashMap;
use std::time::Duration;

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection was made: nothing was sent.
    Connect,
    /// The connection broke before a response head, or what came was no HTTP.
    Reset,
    /// The per-try timeout passed.
    TryTimeout,
    /// The response has this status.
    Status(u16),
    /// The call of gRPC ended with this status before it had a message.
    Grpc(u16),
}

/// Whether the policy lists the failure, and the request can be sent again after it. `kept`: its body is empty or kept.
pub(crate) fn is_retryable(retry: &Retry<'_>, failure: Failure, method: Method, kept: bool) -> bool {
    let listed = match failure {
        // Nothing was sent: whatever the method and the body.
        Failure::Connect => return retry.on_connect_failure,
        Failure::Reset => retry.on_reset,
        Failure::TryTimeout => retry.on_timeout,
        Failure::Status(status) | Failure::Grpc(status) => retry.on_status(status),
    };
    listed && kept && retry.allows_method(method)
}

/// Whether it matters to the policy how a call of gRPC ends: these statuses are below all of HTTP.
pub(crate) fn hears_grpc(retry: &Retry<'_>) -> bool {
    (1..=16).any(|status| retry.on_status(status))
}

/// Whether keeping a body could let a request be sent again.
pub(crate) fn wants_body(retry: &Retry<'_>, method: Method) -> bool {
    let after_sending = retry.on_reset || retry.on_timeout || !retry.statuses.is_empty();
    after_sending && retry.buffer > 0 && retry.allows_method(method)
}

/// The wait before retry `k` (from 1): uniform between 0 and min(cap, base · 2^(k−1)).
pub(crate) fn backoff(retry: &Retry<'_>, k: u32, random: &mut fastrand::Rng) -> Duration {
    let doubled = u64::from(retry.backoff_base).saturating_mul(1 << k.saturating_sub(1).min(32));
    let longest = doubled.min(u64::from(retry.backoff_cap));
    Duration::from_micros(random.u64(0..=longest * 1_000))
}

/// The retry budgets of a worker, by destination.
#[derive(Default)]
pub(crate) struct Balances {
    /// By service name, so that they outlive a plan; then by port.
    services: HashMap<String, Vec<(u16, Balance)>>,
}

impl Balances {
    /// The balance of a destination. `port` is its number.
    pub(crate) fn of(&mut self, forward: &Forward<'_>, port: u16) -> Option<&mut Balance> {
        if !self.services.contains_key(&*forward.service) {
            self.services.insert(forward.service.to_string(), Vec::new());
        }
        let ports = self.services.get_mut(&*forward.service)?;
        let place = ports.iter().position(|(number, _)| *number == port).unwrap_or_else(|| {
            ports.push((port, Balance::default()));
            ports.len() - 1
        });
        ports.get_mut(place).map(|(_, balance)| balance)
    }

    /// Forgets services that are gone.
    pub(crate) fn keep_only(&mut self, exists: impl Fn(&str) -> bool) {
        self.services.retain(|service, _| exists(service));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry() -> Retry<'static> {
        Retry {
            count: 2,
            on_connect_failure: true,
            on_reset: true,
            on_timeout: false,
            methods: 0b100_0011,
            per_try_timeout: None,
            backoff_base: 10,
            backoff_cap: 50,
            buffer: 0,
            budget: None,
            statuses: &[0xf7, 0x01],
        }
    }

    #[test]
    fn a_request_that_may_have_arrived_is_sent_again_only_if_that_is_harmless() {
        let retry = retry();
        assert!(is_retryable(&retry, Failure::Reset, Method::Get, true));
        assert!(!is_retryable(&retry, Failure::Reset, Method::Post, true), "the method is not declared");
        assert!(!is_retryable(&retry, Failure::Reset, Method::Get, false), "the body is gone");
        assert!(is_retryable(&retry, Failure::Connect, Method::Post, false), "nothing was sent");
        assert!(is_retryable(&retry, Failure::Status(503), Method::Get, true));
        assert!(!is_retryable(&retry, Failure::Status(500), Method::Get, true), "not listed");
        assert!(!is_retryable(&retry, Failure::TryTimeout, Method::Get, true), "not listed");
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound_with_full_jitter() {
        let mut random = fastrand::Rng::with_seed(7);
        for (k, longest) in [(1, 10), (2, 20), (3, 40), (4, 50), (60, 50)] {
            let waits: Vec<_> = (0..1_000).map(|_| backoff(&retry(), k, &mut random)).collect();
            let most = waits.iter().max().unwrap().as_millis();
            assert!((longest * 95 / 100..=longest).contains(&most), "retry {k}: {most}");
            assert!(waits.iter().min().unwrap().as_millis() <= longest / 20, "retry {k}");
        }
    }
}
