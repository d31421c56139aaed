//! Sections 6.1 and 8: settings, and from which level they come.

use mesh_lang::ast::{self, Algorithm, Budget, HashKey, Method, RetryOn};
use std::collections::BTreeSet;

/// What one level writes, in a form in which equal meanings are equal values. The outer `Option` is whether it is
/// written, the inner one is `None` for the word `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Settings {
    pub(crate) timeout: Option<Option<u32>>,
    pub(crate) retry: Option<Option<Retry>>,
    connect_timeout: Option<u32>,
    idle_timeout: Option<Option<u32>>,
    /// Algorithm, key and slow start.
    load_balancer: Option<(String, Option<u32>)>,
    /// The limits of 11, in the order in which they are listed.
    circuit_breaker: Option<[Option<u32>; 4]>,
    outlier_detection: Option<Outliers>,
}

/// All but the share, with what is absent written out; the share and how many whatever it says.
type Outliers = ([Option<u32>; 7], Option<(u32, u32)>);

/// A retry policy (6.3), with everything that is absent written out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retry {
    pub count: u32,
    pub on_connect_failure: bool,
    pub on_reset: bool,
    pub on_timeout: bool,
    pub on_status: BTreeSet<u16>,
    /// Numbers of gRPC statuses.
    pub on_grpc: BTreeSet<u16>,
    /// Those that may be sent again when something of them may have arrived.
    pub methods: BTreeSet<Method>,
    /// Milliseconds.
    pub per_try_timeout: Option<u32>,
    /// Base and cap in milliseconds.
    pub backoff: Option<(u32, u32)>,
    /// Absent: only empty bodies, which is a buffer of no bytes.
    pub buffer: u32,
    pub budget: Option<Budget>,
}

impl Settings {
    /// What a block writes itself.
    pub(crate) fn of(written: &ast::Settings, limits: &ast::Limits) -> Settings {
        let milliseconds = |timeout: ast::Timeout| match timeout {
            ast::Timeout::None => None,
            ast::Timeout::After(milliseconds) => Some(milliseconds),
        };
        Settings {
            timeout: written.timeout.map(|timeout| milliseconds(timeout.value)),
            retry: written.retry.as_ref().map(|retry| match &retry.value {
                ast::Retry::None => None,
                ast::Retry::Policy(policy) => Some(Retry::of(policy)),
            }),
            connect_timeout: written.connect_timeout.map(|timeout| timeout.value),
            idle_timeout: written.idle_timeout.map(|timeout| milliseconds(timeout.value)),
            load_balancer: written
                .load_balancer
                .as_ref()
                .map(|lb| (algorithm(&lb.value.algorithm), lb.value.slow_start.map(|time| time.value))),
            circuit_breaker: limits.circuit_breaker.as_ref().map(|breaker| breaker_of(&breaker.value)),
            outlier_detection: limits.outlier_detection.as_ref().map(|outliers| {
                (outliers_of(&outliers.value), outliers.value.max_ejection.map(|share| share.value))
            }),
        }
    }

    /// 8.1: what is not written here counts as the profile says.
    pub(crate) fn over(self, profile: Settings) -> Settings {
        Settings {
            timeout: self.timeout.or(profile.timeout),
            retry: self.retry.or(profile.retry),
            connect_timeout: self.connect_timeout.or(profile.connect_timeout),
            idle_timeout: self.idle_timeout.or(profile.idle_timeout),
            load_balancer: self.load_balancer.or(profile.load_balancer),
            circuit_breaker: self.circuit_breaker.or(profile.circuit_breaker),
            outlier_detection: self.outlier_detection.or(profile.outlier_detection),
        }
    }
}

fn breaker_of(breaker: &ast::CircuitBreaker) -> [Option<u32>; 4] {
    let limits = [
        breaker.max_connections,
        breaker.max_pending_requests,
        breaker.max_requests,
        breaker.pending_timeout,
    ];
    limits.map(|limit| limit.map(|limit| limit.value))
}

/// All but the share, with what is absent written out.
fn outliers_of(outliers: &ast::OutlierDetection) -> [Option<u32>; 7] {
    let value = |number: Option<mesh_lang::Spanned<u32>>| number.map(|number| number.value);
    let base = value(outliers.base_ejection_time);
    [
        value(outliers.consecutive_5xx),
        value(outliers.consecutive_gateway_errors),
        value(outliers.success_rate),
        value(outliers.interval),
        base,
        value(outliers.max_ejection_time).or(base.map(|base| base.saturating_mul(10))),
        value(outliers.min_hosts).or(Some(1)),
    ]
}

/// In words, so that equal ones are equal.
fn algorithm(algorithm: &Algorithm) -> String {
    let key = |key: &HashKey| match key {
        HashKey::Header(name) => format!("header {}", name.value),
        HashKey::Cookie(name, lifetime) => {
            format!("cookie {} for {:?}", name.value, lifetime.map(|lifetime| lifetime.value))
        }
        HashKey::Query(name) => format!("query {}", name.value),
        HashKey::SourceIp => "source-ip".to_owned(),
    };
    match algorithm {
        Algorithm::RoundRobin => "round-robin".to_owned(),
        Algorithm::Random => "random".to_owned(),
        Algorithm::LeastRequest => "least-request".to_owned(),
        Algorithm::PeakEwma => "peak-ewma".to_owned(),
        Algorithm::RingHash(by) => format!("ring-hash {}", key(by)),
        Algorithm::Maglev(by) => format!("maglev {}", key(by)),
    }
}

impl Retry {
    fn of(policy: &ast::RetryPolicy) -> Retry {
        let on = |condition: RetryOn| policy.on.iter().any(|written| written.value == condition);
        let statuses = policy.on.iter().flat_map(|condition| match condition.value {
            RetryOn::GatewayError => 502..=504,
            RetryOn::ServerError => 500..=599,
            RetryOn::Status(status) => status..=status,
            #[expect(clippy::reversed_empty_ranges, reason = "these conditions name no status")]
            RetryOn::ConnectFailure | RetryOn::Reset | RetryOn::Timeout | RetryOn::Grpc(_) => 1..=0,
        });
        let grpc = policy.on.iter().filter_map(|condition| match condition.value {
            RetryOn::Grpc(status) => Some(status as u16),
            _ => None,
        });
        let safe = [Method::Get, Method::Head, Method::Options];
        Retry {
            count: policy.count.value,
            on_connect_failure: on(RetryOn::ConnectFailure),
            on_reset: on(RetryOn::Reset),
            on_timeout: on(RetryOn::Timeout),
            on_status: statuses.collect(),
            on_grpc: grpc.collect(),
            methods: safe.into_iter().chain(policy.methods.iter().map(|method| method.value)).collect(),
            per_try_timeout: policy.per_try_timeout.map(|written| written.value),
            backoff: policy.backoff.map(|written| written.value),
            buffer: policy.buffer.map_or(0, |written| written.value),
            budget: policy.budget.map(|written| written.value),
        }
    }
}

/// 6.1: the timeout and the retry in force, looked up each on its own; the levels from the nearest to the widest.
pub(crate) fn in_force(levels: &[&Settings]) -> (Option<u32>, Option<Retry>) {
    let timeout = levels.iter().find_map(|level| level.timeout);
    let retry = levels.iter().find_map(|level| level.retry.clone());
    (timeout.flatten(), retry.flatten())
}
