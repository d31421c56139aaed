//! Section 6.1: timeouts and retries, and from which level they come.

use mesh_lang::ast::{self, Budget, Method, RetryOn};
use std::collections::BTreeSet;

/// What one level writes, in a form in which equal meanings are equal values. The outer `Option` is whether it is
/// written, the inner one is `None` for the word `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Settings {
    pub(crate) timeout: Option<Option<u32>>,
    pub(crate) retry: Option<Option<Retry>>,
}

/// A retry policy (6.3), with everything that is absent written out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retry {
    pub count: u32,
    pub on_connect_failure: bool,
    pub on_reset: bool,
    pub on_timeout: bool,
    pub on_status: BTreeSet<u16>,
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
    pub(crate) fn of(written: &ast::Settings) -> Settings {
        Settings {
            timeout: written.timeout.map(|timeout| match timeout.value {
                ast::Timeout::None => None,
                ast::Timeout::After(milliseconds) => Some(milliseconds),
            }),
            retry: written.retry.as_ref().map(|retry| match &retry.value {
                ast::Retry::None => None,
                ast::Retry::Policy(policy) => Some(Retry::of(policy)),
            }),
        }
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
        let safe = [Method::Get, Method::Head, Method::Options];
        Retry {
            count: policy.count.value,
            on_connect_failure: on(RetryOn::ConnectFailure),
            on_reset: on(RetryOn::Reset),
            on_timeout: on(RetryOn::Timeout),
            on_status: statuses.collect(),
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
