//! What a block says of what is sent on, written out in full in the plan's units.

use super::scope::{Place, Scope};
use super::shared::Named;
use crate::model::{Port, SettingsAt};
use mesh_lang::ast::{
    self, Algorithm, CircuitBreaker, GrpcStatus, HashKey, LoadBalancer, Method, OutlierDetection, RetryOn,
    RetryPolicy, Shared, Timeout,
};
use mesh_lang::signature::Place as Block;
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span, Spanned};
use mesh_plan::{self as plan, Budget, Retry, Settings};

/// What one block writes, with what the profiles it uses say below it.
pub(super) struct Written {
    pub(super) settings: Settings,
    pub(super) at: SettingsAt,
    /// A load balancer that looks at requests.
    hashes: Option<Span>,
}

impl Written {
    /// Of connections there is nothing to hash but the address.
    pub(super) fn fits(&self, port: &Port, diagnostics: &mut Diagnostics) {
        if let Some(span) = self.hashes.filter(|_| !port.protocol.is_http()) {
            diagnostics.push(
                Diagnostic::new(
                    Code::ProtocolMismatch,
                    format!("port {} speaks {}, and no request is seen", port.number, port.protocol.as_str()),
                )
                .at(span, "looks at a request")
                .at(port.span, "declared here")
                .help("Hash `source-ip`, or use an algorithm without a key."),
            );
        }
    }
}

/// The settings of one block, with those of the profiles it uses below its own.
pub(super) fn with_profiles(
    settings: &ast::Settings,
    limits: &ast::Limits,
    block: Block,
    place: Place<'_>,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Written {
    let mut whole = settings.clone();
    let mut breaker = limits.circuit_breaker.as_ref();
    let mut outliers = limits.outlier_detection.as_ref();
    let mut profiles: Vec<(&Name, &ast::Profile)> = Vec::new();
    for name in &settings.uses {
        match scope.shared.get(&name.value, place) {
            Some((Named::Profile(profile), _)) => profiles.push((name, profile)),
            _ => diagnostics.push(scope.shared.unknown(Shared::Profile, name, place)),
        }
    }
    for word in WORDS {
        if block.statement(word.as_str()).is_none() {
            let without_meaning = profiles.iter().filter(|(_, profile)| word.is_in(profile));
            without_meaning.for_each(|(name, _)| diagnostics.push(no_place(name, word.as_str(), block)));
            continue;
        }
        let mut says = profiles.iter().filter(|(_, profile)| word.is_in(profile));
        if let Some((first, _)) = says.next()
            && let Some((second, _)) = says.find(|(name, _)| name.value != first.value)
        {
            diagnostics.push(both_set(first, second, word.as_str()));
        }
    }
    for (_, profile) in &profiles {
        let below = &profile.settings;
        whole.timeout = whole.timeout.or(below.timeout);
        whole.retry = whole.retry.or_else(|| below.retry.clone());
        whole.connect_timeout = whole.connect_timeout.or(below.connect_timeout);
        whole.idle_timeout = whole.idle_timeout.or(below.idle_timeout);
        whole.load_balancer = whole.load_balancer.or_else(|| below.load_balancer.clone());
        breaker = breaker.or(profile.limits.circuit_breaker.as_ref());
        outliers = outliers.or(profile.limits.outlier_detection.as_ref());
    }
    let hashes = whole.load_balancer.as_ref().filter(|balancer| {
        matches!(&balancer.value.algorithm, Algorithm::RingHash(key) | Algorithm::Maglev(key) if *key != HashKey::SourceIp)
    });
    Written {
        hashes: hashes.map(|balancer| balancer.span),
        at: places(&whole),
        settings: Settings {
            breaker: breaker.map(|breaker| breaker_of(&breaker.value)),
            outliers: outliers.and_then(|outliers| outliers_of(&outliers.value)),
            ..resolve(&whole, diagnostics)
        },
    }
}

/// Whether a block, or a profile that it uses, has a limit. A profile that is unknown is complained of elsewhere.
pub(super) fn has_limit(
    settings: &ast::Settings,
    limits: &ast::Limits,
    place: Place<'_>,
    scope: &Scope,
    is_it: impl Fn(&ast::Limits) -> bool,
) -> bool {
    let profile = |name: &Name| match scope.shared.get(&name.value, place) {
        Some((Named::Profile(profile), _)) => is_it(&profile.limits),
        _ => false,
    };
    is_it(limits) || settings.uses.iter().any(profile)
}

/// An `outlier-detection`.
pub(super) fn has_outlier_detection(limits: &ast::Limits) -> bool {
    limits.outlier_detection.is_some()
}

/// Where the settings of a block are written.
pub(super) fn places(settings: &ast::Settings) -> SettingsAt {
    SettingsAt {
        timeout: settings.timeout.map(|timeout| timeout.span),
        retry: settings.retry.as_ref().map(|retry| retry.span),
    }
}

/// What a profile may say once.
#[derive(Clone, Copy)]
enum Word {
    Timeout,
    Retry,
    ConnectTimeout,
    IdleTimeout,
    LoadBalancer,
    CircuitBreaker,
    OutlierDetection,
}

const WORDS: [Word; 7] = [
    Word::Timeout,
    Word::Retry,
    Word::ConnectTimeout,
    Word::IdleTimeout,
    Word::LoadBalancer,
    Word::CircuitBreaker,
    Word::OutlierDetection,
];

/// Whether a profile sets nothing for anybody.
pub(super) fn says_nothing(profile: &ast::Profile) -> bool {
    profile.settings == ast::Settings::default() && profile.limits == ast::Limits::default()
}

impl Word {
    fn is_in(self, profile: &ast::Profile) -> bool {
        let (settings, limits) = (&profile.settings, &profile.limits);
        match self {
            Word::Timeout => settings.timeout.is_some(),
            Word::Retry => settings.retry.is_some(),
            Word::ConnectTimeout => settings.connect_timeout.is_some(),
            Word::IdleTimeout => settings.idle_timeout.is_some(),
            Word::LoadBalancer => settings.load_balancer.is_some(),
            Word::CircuitBreaker => limits.circuit_breaker.is_some(),
            Word::OutlierDetection => limits.outlier_detection.is_some(),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Word::Timeout => "timeout",
            Word::Retry => "retry",
            Word::ConnectTimeout => "connect-timeout",
            Word::IdleTimeout => "idle-timeout",
            Word::LoadBalancer => "load-balancer",
            Word::CircuitBreaker => "circuit-breaker",
            Word::OutlierDetection => "outlier-detection",
        }
    }
}

fn balancer_of(balancer: &LoadBalancer) -> plan::Balancer {
    let key = |key: &HashKey| match key {
        HashKey::Header(name) => plan::HashKey::Header(name.value.to_string()),
        HashKey::Cookie(name, lifetime) => plan::HashKey::Cookie {
            name: name.value.to_string(),
            lifetime: lifetime.map(|lifetime| lifetime.value),
        },
        HashKey::Query(name) => plan::HashKey::Query(name.value.to_string()),
        HashKey::SourceIp => plan::HashKey::SourceIp,
    };
    let (algorithm, key) = match &balancer.algorithm {
        Algorithm::RoundRobin => (plan::Algorithm::RoundRobin, None),
        Algorithm::Random => (plan::Algorithm::Random, None),
        Algorithm::LeastRequest => (plan::Algorithm::LeastRequest, None),
        Algorithm::PeakEwma => (plan::Algorithm::PeakEwma, None),
        Algorithm::RingHash(hashed) => (plan::Algorithm::RingHash, Some(key(hashed))),
        Algorithm::Maglev(hashed) => (plan::Algorithm::Maglev, Some(key(hashed))),
    };
    plan::Balancer { algorithm, key, slow_start: balancer.slow_start.map_or(0, |time| time.value) }
}

fn breaker_of(breaker: &CircuitBreaker) -> plan::Breaker {
    let limit = |limit: Option<Spanned<u32>>| limit.map(|limit| limit.value);
    plan::Breaker {
        max_connections: limit(breaker.max_connections),
        max_pending: limit(breaker.max_pending_requests),
        max_requests: limit(breaker.max_requests),
        pending_timeout: limit(breaker.pending_timeout),
    }
}

/// What is absent is written out (`spec/semantics.md` 11). Where a part is missing that is needed, that is complained of elsewhere.
fn outliers_of(detection: &OutlierDetection) -> Option<plan::Outliers> {
    let number = |number: Option<Spanned<u32>>| number.map_or(0, |number| number.value);
    let base = detection.base_ejection_time?.value;
    let (max_share, max_at_least) = detection.max_ejection?.value;
    Some(plan::Outliers {
        consecutive_5xx: number(detection.consecutive_5xx),
        consecutive_gateway_errors: number(detection.consecutive_gateway_errors),
        success_rate: number(detection.success_rate),
        interval: detection.interval?.value,
        base_ejection: base,
        max_ejection: detection.max_ejection_time.map_or(base.saturating_mul(10), |time| time.value),
        max_share,
        max_at_least,
        min_hosts: detection.min_hosts.map_or(1, |hosts| hosts.value),
    })
}

/// Parts of what a block says of connections that could never act.
fn vain_connection(settings: &ast::Settings, diagnostics: &mut Diagnostics) {
    if let (Some(connect), Some(total)) = (settings.connect_timeout, settings.timeout)
        && let Timeout::After(total_is) = total.value
        && connect.value >= total_is
    {
        diagnostics.push(
            Diagnostic::new(Code::VainStatement, "the `connect-timeout` never passes")
                .at(connect.span, "as long as the whole call, or longer")
                .at(total.span, "the whole call")
                .help("Make it shorter than the `timeout`."),
        );
    }
    let Some(balancer) = &settings.load_balancer else { return };
    if let (Algorithm::RingHash(_) | Algorithm::Maglev(_), Some(slow)) =
        (&balancer.value.algorithm, balancer.value.slow_start)
    {
        diagnostics.push(
            Diagnostic::new(Code::VainStatement, "a hash decides, whoever is new")
                .at(slow.span, "nothing to begin slowly with")
                .at(balancer.span, "each request has its endpoint")
                .help("Delete it, or use an algorithm without a key."),
        );
    }
}

/// What a profile says takes effect wherever it is used, or the use is refused.
fn no_place(name: &Name, word: &str, block: Block) -> Diagnostic {
    let whose = block.keyword().unwrap_or_default();
    let message = format!("the profile `{}` sets `{word}`, which a `{whose}` does not have", name.value);
    Diagnostic::new(Code::UnexpectedToken, message)
        .at(name.span, "would be without effect")
        .help(format!("Use it in the `service`, or move `{word}` into a profile of its own."))
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

/// The settings of one block, without its limits.
pub(super) fn resolve(settings: &ast::Settings, diagnostics: &mut Diagnostics) -> Settings {
    vain_connection(settings, diagnostics);
    if let (Some(timeout), Some(retry)) = (&settings.timeout, &settings.retry)
        && let (Timeout::After(total), ast::Retry::Policy(policy)) = (timeout.value, &retry.value)
        && let Some(one) = policy.per_try_timeout
        && one.value >= total
    {
        diagnostics.push(
            Diagnostic::new(Code::VainStatement, "the `per-try-timeout` never passes")
                .at(one.span, "as long as all tries together, or longer")
                .at(timeout.span, "all tries together")
                .help("Make it shorter than the `timeout`, so that there is time for another try."),
        );
    }
    let milliseconds = |timeout: Timeout| match timeout {
        Timeout::None => None,
        Timeout::After(milliseconds) => Some(milliseconds),
    };
    Settings {
        timeout: settings.timeout.map(|timeout| milliseconds(timeout.value)),
        connect_timeout: settings.connect_timeout.map(|timeout| timeout.value),
        idle_timeout: settings.idle_timeout.map(|timeout| milliseconds(timeout.value)),
        balancer: settings.load_balancer.as_ref().map(|balancer| balancer_of(&balancer.value)),
        retry: settings.retry.as_ref().map(|retry| match &retry.value {
            ast::Retry::None => None,
            ast::Retry::Policy(policy) => Some(policy_of(policy, diagnostics)),
        }),
        breaker: None,
        outliers: None,
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
        diagnostics.push(Diagnostic::new(Code::VainStatement, message).at(span, label).help(help));
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
    let safe = policy.methods.iter().find(|method| SAFE.contains(&method.value));
    if let Some(method) = safe {
        let message = format!("`methods {}` adds nothing", method.value.as_str());
        say(&message, method.span, "may be tried again anyway", "Delete it.");
    }
    if let Some((inner, outer)) = inside_another(policy) {
        let (inner_is, outer_is) = (said(inner.value), said(outer.value));
        let label = format!("`{outer_is}` holds these already");
        say(&format!("`{inner_is}` adds nothing to `{outer_is}`"), inner.span, &label, "Delete it.");
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

/// The safe methods (RFC 9110 9.2.1), which may always be tried again.
const SAFE: [Method; 3] = [Method::Get, Method::Head, Method::Options];

/// A condition whose statuses another one has, too; of two that are equal the second.
fn inside_another(policy: &RetryPolicy) -> Option<(&Spanned<RetryOn>, &Spanned<RetryOn>)> {
    let conditions = policy.on.iter().enumerate();
    conditions.clone().find_map(|(at, inner)| {
        let holds = |(other, outer): &(usize, &Spanned<RetryOn>)| match (inner.value, outer.value) {
            (inner, outer) if inner == outer => *other < at,
            (RetryOn::GatewayError | RetryOn::Status(500..=599), RetryOn::ServerError)
            | (RetryOn::Status(502..=504), RetryOn::GatewayError) => true,
            _ => false,
        };
        conditions.clone().find(holds).map(|(_, outer)| (inner, outer))
    })
}

/// A condition as it is written.
fn said(condition: RetryOn) -> String {
    match condition {
        RetryOn::ConnectFailure => "connect-failure".to_owned(),
        RetryOn::Reset => "reset".to_owned(),
        RetryOn::Timeout => "timeout".to_owned(),
        RetryOn::GatewayError => "gateway-error".to_owned(),
        RetryOn::ServerError => "5xx".to_owned(),
        RetryOn::Status(status) => status.to_string(),
        RetryOn::Grpc(GrpcStatus::Cancelled) => "grpc-cancelled".to_owned(),
        RetryOn::Grpc(GrpcStatus::DeadlineExceeded) => "grpc-deadline-exceeded".to_owned(),
        RetryOn::Grpc(GrpcStatus::ResourceExhausted) => "grpc-resource-exhausted".to_owned(),
        RetryOn::Grpc(GrpcStatus::Internal) => "grpc-internal".to_owned(),
        RetryOn::Grpc(GrpcStatus::Unavailable) => "grpc-unavailable".to_owned(),
    }
}

/// Conditions that never let a request be tried again, because its block is for methods that the policy does not repeat. `ops` are
/// those of the block: of none, or of one without methods, there is every method.
pub(super) fn never_repeated<'o>(
    settings: &ast::Settings,
    mut ops: impl Iterator<Item = &'o ast::Op> + Clone,
    diagnostics: &mut Diagnostics,
) {
    let Some(ast::Retry::Policy(policy)) = settings.retry.as_ref().map(|retry| &retry.value) else { return };
    let Some(first) = ops.clone().next() else { return };
    let repeated = |method: Method| {
        SAFE.contains(&method) || policy.methods.iter().any(|declared| declared.value == method)
    };
    let none = ops.all(|op| !op.methods.is_empty() && !op.methods.iter().any(repeated));
    let vain = policy.on.iter().find(|condition| condition.value != RetryOn::ConnectFailure);
    if let Some(condition) = vain.filter(|_| none) {
        diagnostics.push(
            Diagnostic::new(
                Code::VainStatement,
                format!("nothing here is tried again on `{}`", said(condition.value)),
            )
            .at(condition.span, "the request may have been done")
            .at(first.span, "is sent once")
            .help("Retry on `connect-failure` only: then nothing was sent. If it may be done twice, name the method in the block: `methods PUT`."),
        );
    }
}

/// `5xx` and `gateway-error` written out; statuses of gRPC are below all of HTTP.
fn statuses(policy: &RetryPolicy) -> Vec<u16> {
    let mut statuses: Vec<u16> = policy
        .on
        .iter()
        .flat_map(|condition| match condition.value {
            RetryOn::GatewayError => (502..=504).collect(),
            RetryOn::ServerError => (500..=599).collect(),
            RetryOn::Status(status) => vec![status],
            RetryOn::Grpc(status) => vec![status as u16],
            RetryOn::ConnectFailure | RetryOn::Reset | RetryOn::Timeout => vec![],
        })
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// The safe methods and those that are declared.
fn methods(policy: &RetryPolicy) -> u8 {
    let declared = policy.methods.iter().map(|method| method.value);
    SAFE.into_iter().chain(declared).fold(0, |bits, method| bits | 1 << crate::space::method_atom(method))
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says};

    fn rule(settings: &str) -> String {
        route(&format!("rule a {{ to s:v1\n{settings} }}"))
    }

    #[test]
    fn what_is_said_of_connections_can_act() {
        says(
            &service("connect-timeout 1s; timeout 1s", "http"),
            &["1 MESH5040 the `connect-timeout` never passes"],
        );
        says(&service("connect-timeout 1s; timeout 2s; idle-timeout none", "http"), &[]);
        let hash = "load-balancer ring-hash header \"x-user\"";
        says(&service(hash, "http"), &[]);
        says(&service(hash, "tcp"), &["1 MESH5006 port 80 speaks tcp, and no request is seen"]);
        says(&service("load-balancer maglev source-ip", "tcp"), &[]);
        says(
            &service("load-balancer maglev source-ip { slow-start 30s }", "http"),
            &["1 MESH5040 a hash decides, whoever is new"],
        );
        says(&service("load-balancer least-request { slow-start 30s }", "http"), &[]);
        says(
            &format!("{}service web {{ calls s {{ {hash} }} }}\n", service("", "tcp")),
            &["3 MESH5006 port 80 speaks tcp, and no request is seen"],
        );
    }

    #[test]
    fn what_is_said_of_connections_is_part_of_the_outcome() {
        let rules = "rule a { match GET; to s:v1; idle-timeout 1h }\nrule b { match /a; to s:v1 IDLE }\nrule c { to s:v2 }";
        let found = crate::testing::found(&route(&rules.replace("IDLE", "")));
        assert!(found.len() == 1 && found[0].contains("MESH3001"), "{found:?}");
        says(&route(&rules.replace("IDLE", "; idle-timeout 60m")), &[]);
    }

    #[test]
    fn two_profiles_do_not_say_the_same() {
        let text = "profile a { load-balancer random; circuit-breaker { max-requests 5 } }\nprofile b { load-balancer maglev source-ip; circuit-breaker { max-connections 5 } }\n";
        says(
            &format!("{text}{}", service("use a, b", "http")),
            &[
                "3 MESH1008 the profiles `a` and `b` both set `circuit-breaker`",
                "3 MESH1008 the profiles `a` and `b` both set `load-balancer`",
            ],
        );
        let vain = "profile a { circuit-breaker { pending-timeout 1s } }\n";
        says(
            &format!("{vain}{}", service("use a", "http")),
            &["1 MESH1011 the `circuit-breaker` limits nothing"],
        );
    }

    #[test]
    fn what_a_profile_says_has_its_place_where_it_is_used() {
        let text = "profile a { timeout 1s; circuit-breaker { max-requests 5 } }\n";
        says(&format!("{text}{}", service("use a", "http")), &[]);
        let rule = format!("{text}{}route s {{ rule r {{ to s; use a }} }}\n", service("", "http"));
        says(&rule, &["4 MESH1006 the profile `a` sets `circuit-breaker`, which a `rule` does not have"]);
    }

    fn service(statements: &str, protocol: &str) -> String {
        format!("service s {{ port 80 {protocol}; {statements} }}\nauthorize s {{ allow from anyone }}\n")
    }

    #[test]
    fn what_another_condition_has_adds_nothing() {
        says(&rule("retry 1 on 5xx, 503"), &["5 MESH5040 `503` adds nothing to `5xx`"]);
        says(&rule("retry 1 on gateway-error, 5xx"), &["5 MESH5040 `gateway-error` adds nothing to `5xx`"]);
        says(&rule("retry 1 on 502, gateway-error"), &["5 MESH5040 `502` adds nothing to `gateway-error`"]);
        says(&rule("retry 1 on reset, reset"), &["5 MESH5040 `reset` adds nothing to `reset`"]);
        says(&rule("retry 1 on gateway-error, 500, reset, 404"), &[]);
        says(&rule("retry 1 on reset { methods PUT, GET }"), &["5 MESH5040 `methods GET` adds nothing"]);
    }

    #[test]
    fn what_may_not_be_sent_twice_is_not_tried_again() {
        let only = |ops: &str, retry: &str| {
            route(&format!("rule a {{ match {ops}; to s:v1\nretry {retry} }}\notherwise 404"))
        };
        let said = |condition: &str| format!("5 MESH5040 nothing here is tried again on `{condition}`");
        says(&only("POST|PATCH /a", "1 on reset, 503"), &[&said("reset")]);
        says(&only("POST", "1 on connect-failure, 503"), &[&said("503")]);
        says(&only("POST", "1 on connect-failure"), &[]);
        says(&only("PUT", "1 on reset { methods PUT }"), &[]);
        says(&only("POST|GET", "1 on reset"), &[]);
        says(&only("/a", "1 on reset"), &[]);
        let calls = |ops: &str| {
            format!("{}service web {{ calls s to {ops} {{ retry 1 on reset }} }}\n", service("", "http"))
        };
        says(&calls("POST /a"), &["3 MESH5040 nothing here is tried again on `reset`"]);
        says(&calls("POST /a, GET"), &[]);
    }

    #[test]
    fn what_could_never_act_is_refused() {
        says(
            &rule("retry 2 on connect-failure { methods POST; buffer 64KiB }"),
            &["5 MESH5040 `methods` has no effect here", "5 MESH5040 `buffer` has no effect here"],
        );
        says(
            &rule("timeout 1s\nretry 1 on timeout { per-try-timeout 1s }"),
            &["6 MESH5040 the `per-try-timeout` never passes"],
        );
        says(
            &rule("retry 1 on reset { budget 0% min 0/s over 1s }"),
            &["5 MESH5040 this budget never pays for a retry"],
        );
        says(&rule("retry 1 on timeout"), &["5 MESH1011 `retry … on timeout` has no `per-try-timeout`"]);
        says(
            &rule(
                "timeout 1s\nretry 1 on timeout, reset { per-try-timeout 400ms; methods PUT; buffer 64KiB }",
            ),
            &[],
        );
    }
}
