//! `timeout` and `retry`: written out in full, in the plan's units.

use super::scope::{Place, Scope};
use super::shared::Named;
use mesh_lang::ast::{self, Method, RetryOn, RetryPolicy, Shared, Timeout};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name};
use mesh_plan::{Budget, Retry, Settings};

/// The settings of one block, with those of the profiles it uses below its own.
pub(super) fn with_profiles(
    settings: &ast::Settings,
    place: Place<'_>,
    scope: &Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> Settings {
    let mut whole = settings.clone();
    let (mut timeout, mut retry): (Option<&Name>, Option<&Name>) = (None, None);
    for name in &settings.uses {
        let Some((Named::Profile(profile), _)) = scope.shared.get(&name.value, place) else {
            diagnostics.push(scope.shared.unknown(Shared::Profile, name, place));
            continue;
        };
        let mut set_by = |first: &mut Option<&'_ Name>, word: &str, is_set: bool| {
            if !is_set {
                return;
            }
            if let Some(first) = first.filter(|first| first.value != name.value) {
                diagnostics.push(both_set(first, name, word));
            }
        };
        set_by(&mut timeout, "timeout", profile.settings.timeout.is_some());
        set_by(&mut retry, "retry", profile.settings.retry.is_some());
        if profile.settings.timeout.is_some() {
            timeout = timeout.or(Some(name));
            whole.timeout = whole.timeout.or(profile.settings.timeout);
        }
        if profile.settings.retry.is_some() {
            retry = retry.or(Some(name));
            whole.retry = whole.retry.or_else(|| profile.settings.retry.clone());
        }
    }
    resolve(&whole, diagnostics)
}

fn both_set(first: &Name, second: &Name, word: &str) -> Diagnostic {
    Diagnostic::new(
        Code::DuplicateStatement,
        format!("the profiles `{}` and `{}` both set `{word}`", first.value, second.value),
    )
    .at(second.span, "sets it, too")
    .at(first.span, "sets it")
    .help(format!("Use one of them, or write the `{word}` in this block."))
}

/// The settings of one block.
pub(super) fn resolve(settings: &ast::Settings, diagnostics: &mut Diagnostics) -> Settings {
    if let (Some(timeout), Some(retry)) = (&settings.timeout, &settings.retry)
        && let (Timeout::After(total), ast::Retry::Policy(RetryPolicy { per_try_timeout: Some(one), .. })) =
            (timeout.value, &retry.value)
        && one.value >= total
    {
        diagnostics.push(
            Diagnostic::new(Code::InvalidValue, "the `per-try-timeout` never passes")
                .at(one.span, "as long as all tries together, or longer")
                .at(timeout.span, "all tries together")
                .help("Make it shorter than the `timeout`, so that there is time for another try."),
        );
    }
    Settings {
        timeout: settings.timeout.as_ref().map(|timeout| match timeout.value {
            Timeout::None => None,
            Timeout::After(milliseconds) => Some(milliseconds),
        }),
        retry: settings.retry.as_ref().map(|retry| match &retry.value {
            ast::Retry::None => None,
            ast::Retry::Policy(policy) => Some(policy_of(policy, diagnostics)),
        }),
    }
}

fn policy_of(policy: &RetryPolicy, diagnostics: &mut Diagnostics) -> Retry {
    let on = |wanted: RetryOn| policy.on.iter().any(|condition| condition.value == wanted);
    if let Some(condition) = policy.on.iter().find(|condition| condition.value == RetryOn::Timeout)
        && policy.per_try_timeout.is_none()
    {
        diagnostics.push(
            Diagnostic::new(Code::MissingStatement, "`retry … on timeout` has no `per-try-timeout`")
                .at(condition.span, "no try ever times out")
                .help("Add `per-try-timeout 250ms` to the block; the total `timeout` is never retried."),
        );
    }
    if let Some(backoff) = policy.backoff
        && backoff.value.0 > backoff.value.1
    {
        diagnostics.push(
            Diagnostic::new(Code::InvalidValue, "the back-off ends before it begins")
                .at(backoff.span, "the first duration is the longer one")
                .help(format!("Write `backoff {}ms..{}ms`.", backoff.value.1, backoff.value.0)),
        );
    }
    without_effect(policy, diagnostics);
    let (backoff_base, backoff_cap) = policy.backoff.map_or((0, 0), |backoff| backoff.value);
    Retry {
        count: policy.count.value,
        on_connect_failure: on(RetryOn::ConnectFailure),
        on_reset: on(RetryOn::Reset),
        on_timeout: on(RetryOn::Timeout),
        on_status: statuses(policy),
        methods: methods(policy),
        per_try_timeout: policy.per_try_timeout.map_or(0, |timeout| timeout.value),
        backoff_base,
        backoff_cap: backoff_cap.max(backoff_base),
        buffer: policy.buffer.map_or(0, |buffer| buffer.value),
        budget: policy.budget.map(|budget| Budget {
            share: budget.value.share,
            min_per_second: budget.value.min_per_second,
            over: budget.value.over,
        }),
    }
}

/// Parts of a policy that could never act.
fn without_effect(policy: &RetryPolicy, diagnostics: &mut Diagnostics) {
    let mut say = |message: &str, span, label: &str, help: &str| {
        diagnostics.push(Diagnostic::new(Code::InvalidValue, message).at(span, label).help(help));
    };
    if policy.on.iter().all(|condition| condition.value == RetryOn::ConnectFailure) {
        let (label, help) = (
            "after `connect-failure` any request can be sent again: nothing was sent",
            "Delete it, or list another condition, such as `reset`.",
        );
        if let Some(method) = policy.methods.first() {
            say("`methods` has no effect here", method.span, label, help);
        }
        if let Some(buffer) = policy.buffer {
            say("`buffer` has no effect here", buffer.span, label, help);
        }
    }
    if let Some(budget) = policy.budget
        && budget.value.share == 0
        && budget.value.min_per_second == 0
    {
        say(
            "this budget never pays for a retry",
            budget.span,
            "earns nothing",
            "Raise one of the two, or write `retry none`.",
        );
    }
}

/// `5xx` and `gateway-error` written out.
fn statuses(policy: &RetryPolicy) -> Vec<u16> {
    let mut statuses: Vec<u16> = policy
        .on
        .iter()
        .flat_map(|condition| match condition.value {
            RetryOn::GatewayError => (502..=504).collect(),
            RetryOn::ServerError => (500..=599).collect(),
            RetryOn::Status(status) => vec![status],
            RetryOn::ConnectFailure | RetryOn::Reset | RetryOn::Timeout | RetryOn::Grpc(_) => vec![],
        })
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// The safe methods (RFC 9110 9.2.1) and those that are declared.
fn methods(policy: &RetryPolicy) -> u8 {
    let safe = [Method::Get, Method::Head, Method::Options];
    let declared = policy.methods.iter().map(|method| method.value);
    safe.into_iter().chain(declared).fold(0, |bits, method| bits | 1 << crate::space::method_atom(method))
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says};

    fn rule(settings: &str) -> String {
        route(&format!("rule a {{ to s:v1\n{settings} }}"))
    }

    #[test]
    fn what_could_never_act_is_refused() {
        says(
            &rule("retry 2 on connect-failure { methods POST; buffer 64KiB }"),
            &["5 MESH1012 `methods` has no effect here", "5 MESH1012 `buffer` has no effect here"],
        );
        says(
            &rule("timeout 1s\nretry 1 on timeout { per-try-timeout 1s }"),
            &["6 MESH1012 the `per-try-timeout` never passes"],
        );
        says(
            &rule("retry 1 on reset { budget 0% min 0/s over 1s }"),
            &["5 MESH1012 this budget never pays for a retry"],
        );
        says(&rule("retry 1 on timeout"), &["5 MESH1011 `retry … on timeout` has no `per-try-timeout`"]);
        says(
            &rule(
                "timeout 1s\nretry 1 on timeout, reset { per-try-timeout 400ms; methods POST; buffer 64KiB }",
            ),
            &[],
        );
    }
}
