//! What a port speaks decides what can be said of it: words of HTTP mean nothing on a `tcp` port, and a gRPC service is called by
//! method, not by path (`MESH5006`, `spec/semantics.md` 10.1).

use super::scope::{self, Place, Scope, Target};
use super::{Module, declared};
use crate::model::{Action, Model, PortId};
use mesh_lang::ast::{self, Condition, Effect, Field, Op, Protocol, Retry, RetryOn, Settings, Timeout};
use mesh_lang::{Code, Diagnostic, Diagnostics, Span};

/// What an `authorize` says of ports that do not speak it.
pub(super) fn of_authorize(
    authorize: &ast::Authorize,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    found: &mut Diagnostics,
) {
    for name in &authorize.targets {
        let Some(target) = scope.known(name, place) else { continue };
        let everywhere = spoken_by(target, None, model);
        for line in &authorize.lines {
            match &line.port {
                None => everywhere.iter().for_each(|spoken| access(line, spoken, found)),
                port => spoken_by(target, port.as_deref(), model)
                    .iter()
                    .for_each(|spoken| access(line, spoken, found)),
            }
        }
        for check in &authorize.checks {
            for spoken in spoken_by(target, check.port.as_ref(), model) {
                check.ops.iter().for_each(|op| operation(op, false, &spoken, found));
            }
        }
    }
}

/// What a `route` says of a port or listener that does not speak it.
pub(super) fn of_route(
    route: &ast::Route,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    found: &mut Diagnostics,
) {
    let Some(spoken) = spoken_on(route, place, scope, model) else { return };
    route.rules.iter().for_each(|rule| rule_words(rule, &spoken, found));
    if let Some(otherwise) = route.otherwise.filter(|_| !spoken.protocol.is_http()) {
        found.push(no_http("`otherwise` is an answer of HTTP", otherwise.span, &spoken));
    }
}

/// What a service, or somebody who calls it, writes for its requests where they are none: of all its ports, or of the one called.
pub(super) fn of_settings(
    written: &Settings,
    ports: &[crate::model::Port],
    service: &str,
    found: &mut Diagnostics,
) {
    let spoken = ports.iter().map(|port| of_port(port, service)).collect::<Vec<_>>();
    if let Some(first) = spoken.first().filter(|_| spoken.iter().all(|port| !port.protocol.is_http())) {
        settings(written, first, found);
    }
    let is_plain = |port: &Spoken<'_>| matches!(port.protocol, Protocol::Http | Protocol::Https);
    if let Some(first) = spoken.first().filter(|_| spoken.iter().all(is_plain)) {
        no_grpc(written, first, found);
    }
}

/// What guardrails say of ports that do not speak it, and routes from ports to others that speak something else.
pub(super) fn mismatches(modules: &[Module<'_>], scope: &Scope, model: &Model) -> Diagnostics {
    let mut found = Diagnostics::new();
    for (place, guardrail) in declared(modules, super::guardrail) {
        for line in &guardrail.lines {
            for target in super::guardrail::targets(line, place, scope, model).unwrap_or_default() {
                for spoken in spoken_by(target, None, model) {
                    line.ops.iter().for_each(|op| operation(op, false, &spoken, &mut found));
                    line.when.iter().for_each(|condition| words(condition, &spoken, &mut found));
                }
            }
        }
    }
    families(model, &mut found);
    found
}

/// A port or listener and what it speaks.
struct Spoken<'m> {
    protocol: Protocol,
    what: What<'m>,
    span: Span,
    gateway: bool,
}

/// What speaks, to be put into words.
enum What<'m> {
    Port(u16, &'m str),
    Listener(&'m str),
}

impl std::fmt::Display for What<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            What::Port(number, service) => write!(f, "port {number} of `{service}`"),
            What::Listener(name) => write!(f, "listener `{name}`"),
        }
    }
}

/// The ports of a target that a line is about.
fn spoken_by<'m>(target: Target, port: Option<&mesh_lang::Name>, model: &'m Model) -> Vec<Spoken<'m>> {
    match target {
        Target::Service(id) => {
            let service = &model[id];
            let named = |own: &&crate::model::Port| port.is_none_or(|wanted| own.name == wanted.value);
            service.ports.iter().filter(named).map(|own| of_port(own, &service.workload.name)).collect()
        }
        Target::Gateway(id) => model[id].listeners.iter().map(of_listener).collect(),
    }
}

fn of_port<'m>(port: &crate::model::Port, service: &'m str) -> Spoken<'m> {
    let what = What::Port(port.number, service);
    Spoken { protocol: port.protocol, what, span: port.span, gateway: false }
}

fn of_listener(listener: &crate::model::Listener) -> Spoken<'_> {
    let what = What::Listener(&listener.name);
    Spoken { protocol: listener.protocol, what, span: listener.span, gateway: true }
}

/// What the target of a route speaks.
fn spoken_on<'m>(
    route: &ast::Route,
    place: Place<'_>,
    scope: &Scope,
    model: &'m Model,
) -> Option<Spoken<'m>> {
    match scope.known(&route.target, place)? {
        Target::Service(id) => {
            let port = scope::port(model, id, route.port.as_ref(), route.target.span).ok()?;
            Some(of_port(model.port(port), &model[id].workload.name))
        }
        Target::Gateway(id) => {
            let index =
                super::route::listener_of(model, id, route.listener.as_ref(), route.target.span).ok()?;
            Some(of_listener(&model[id].listeners[index]))
        }
    }
}

fn access(line: &ast::AuthorizeLine, spoken: &Spoken<'_>, found: &mut Diagnostics) {
    let grants = line.effect != Effect::Deny;
    line.ops.iter().for_each(|op| operation(op, grants, spoken, found));
    line.when.iter().for_each(|condition| words(condition, spoken, found));
}

fn operation(op: &Op, grants: bool, spoken: &Spoken<'_>, found: &mut Diagnostics) {
    let protocol = spoken.protocol;
    if !protocol.is_http() {
        found.push(no_http("methods and paths are HTTP", op.span, spoken));
    } else if grants && !spoken.gateway && protocol == Protocol::Grpc && !op.grpc {
        found.push(
            mismatch(
                "a gRPC service is called by method, not by path",
                op.span,
                "a path or method of HTTP",
                spoken,
            )
            .help("Write `grpc package.Service/Method`, or `grpc package.Service` for all its methods."),
        );
    } else if grants && !spoken.gateway && protocol == Protocol::Http && op.grpc {
        found.push(
            mismatch("no gRPC call gets here", op.span, "a gRPC method", spoken)
                .help("gRPC needs HTTP/2: declare the port as `grpc`, or write a method and path."),
        );
    }
}

/// A connection has two addresses and nothing else to look at.
fn words(condition: &Condition, spoken: &Spoken<'_>, found: &mut Diagnostics) {
    let of_connection = matches!(condition.field, Field::SourceIp);
    if !spoken.protocol.is_http() && !of_connection {
        found.push(no_http("this condition looks at a request", condition.span, spoken));
    }
}

fn rule_words(rule: &ast::Rule, spoken: &Spoken<'_>, found: &mut Diagnostics) {
    for line in &rule.matches {
        line.ops.iter().for_each(|op| operation(op, true, spoken, found));
        line.when.iter().for_each(|condition| words(condition, spoken, found));
    }
    if !spoken.gateway && spoken.protocol == Protocol::Http {
        no_grpc(&rule.settings, spoken, found);
    }
    if spoken.protocol.is_http() {
        return;
    }
    if let Some(action) = rule.action.as_ref().filter(|action| !matches!(action.value, ast::Action::To(_))) {
        found.push(no_http("an answer is a response of HTTP", action.span, spoken));
    }
    settings(&rule.settings, spoken, found);
    let modifiers = &rule.modifiers;
    let spans = [
        modifiers.mirrors.first().map(|one| one.span),
        modifiers.rewrites.first().map(|one| one.span),
        modifiers.request_headers.first().map(|one| one.span),
        modifiers.response_headers.first().map(|one| one.span),
        modifiers.faults.first().map(|one| one.span),
        modifiers.cors.as_ref().map(|one| one.span),
        modifiers.websocket,
        rule.limits.max_request_body.as_ref().map(|one| one.span),
    ];
    for span in spans.into_iter().flatten() {
        found.push(no_http("this changes a request or a response", span, spoken));
    }
}

/// `timeout` and most conditions of `retry` are about requests.
fn settings(settings: &Settings, spoken: &Spoken<'_>, found: &mut Diagnostics) {
    if let Some(timeout) = settings.timeout.as_ref().filter(|one| one.value != Timeout::None) {
        found.push(
            mismatch(
                "a connection has no request to wait for",
                timeout.span,
                "the time of a request",
                spoken,
            )
            .help("Write `connect-timeout` or `idle-timeout`."),
        );
    }
    if let Some(Retry::Policy(policy)) = settings.retry.as_ref().map(|retry| &retry.value) {
        for condition in policy.on.iter().filter(|condition| condition.value != RetryOn::ConnectFailure) {
            found.push(
                mismatch(
                    "only making a connection can be tried again",
                    condition.span,
                    "a condition of HTTP",
                    spoken,
                )
                .help("Write `retry … on connect-failure`."),
            );
        }
    }
}

/// A port that is declared as `http` carries no gRPC, so no answer has a `grpc-status`.
fn no_grpc(settings: &Settings, spoken: &Spoken<'_>, found: &mut Diagnostics) {
    let Some(Retry::Policy(policy)) = settings.retry.as_ref().map(|retry| &retry.value) else { return };
    let of_grpc = |condition: &&mesh_lang::Spanned<RetryOn>| matches!(condition.value, RetryOn::Grpc(_));
    for condition in policy.on.iter().filter(of_grpc) {
        found.push(
            mismatch("no answer has a gRPC status", condition.span, "a condition of gRPC", spoken)
                .help("Declare the port as `grpc` or `http2`, or name statuses of HTTP: `503`."),
        );
    }
}

/// All backends of a rule speak what the rule's own port speaks.
fn families(model: &Model, found: &mut Diagnostics) {
    let family = |protocol: Protocol| match protocol {
        Protocol::Http | Protocol::Http2 | Protocol::Https => "http",
        Protocol::Grpc => "grpc",
        Protocol::Tcp | Protocol::Tls => "tcp",
    };
    let spoken = |id: PortId| model.port(id).protocol;
    let mut tables: Vec<(Spoken<'_>, &crate::model::Table)> = Vec::new();
    for service in &model.services {
        for port in &service.ports {
            tables.extend(port.route.as_ref().map(|table| (of_port(port, &service.workload.name), table)));
        }
    }
    for route in &model.consumer_routes {
        let (port, callee) = (model.port(route.to), &model[route.to.service].workload.name);
        tables.push((of_port(port, callee), &route.table));
    }
    for listener in model.gateways.iter().flat_map(|gateway| &gateway.listeners) {
        tables.extend(listener.tables.iter().map(|host| (of_listener(listener), &host.table)));
    }
    for (own, table) in tables {
        for rule in &table.rules {
            let Action::Forward(backends) = &rule.action else { continue };
            for backend in backends {
                let theirs = spoken(backend.to);
                // A gateway takes HTTP and gRPC through one door.
                let fits = family(own.protocol) == family(theirs)
                    || (own.gateway && own.protocol.is_http() && theirs.is_http());
                if !fits {
                    let name = model.port_name(backend.to);
                    let message = format!(
                        "`{name}` speaks {}, and {} speaks {}",
                        theirs.as_str(),
                        own.what,
                        own.protocol.as_str()
                    );
                    found.push(
                        Diagnostic::new(Code::ProtocolMismatch, message)
                            .at(rule.span, "sends from one to the other")
                            .at(model.port(backend.to).span, "declared here")
                            .help(
                                "Name a backend that speaks the same, or declare the port as what it speaks.",
                            ),
                    );
                }
            }
        }
    }
}

fn no_http(why: &str, span: Span, spoken: &Spoken<'_>) -> Diagnostic {
    mismatch(why, span, "a word of HTTP", spoken).help(
        "Of connections only the peer and `source-ip` are known; declare the port as `http`, `http2` or `grpc` if it speaks that.",
    )
}

fn mismatch(why: &str, span: Span, label: &str, spoken: &Spoken<'_>) -> Diagnostic {
    let what = &spoken.what;
    Diagnostic::new(Code::ProtocolMismatch, format!("{why}, and {what} speaks {}", spoken.protocol.as_str()))
        .at(span, label)
        .at(spoken.span, format!("declared as `{}`", spoken.protocol.as_str()))
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn tcp(line: &str) -> String {
        format!("service a {{ calls db }}\nservice db {{ port 3306 tcp }}\nauthorize db {{ {line} }}\n")
    }

    #[test]
    fn a_connection_has_neither_method_nor_header() {
        says(&tcp("allow from a"), &[]);
        says(&tcp("allow from a when source-ip in (\"10.0.0.0/8\")"), &[]);
        says(
            &tcp("allow from a to GET"),
            &["3 MESH5006 methods and paths are HTTP, and port 3306 of `db` speaks tcp"],
        );
        says(
            &tcp("allow from a when header \"x\" present"),
            &["3 MESH5006 this condition looks at a request, and port 3306 of `db` speaks tcp"],
        );
    }

    #[test]
    fn a_grpc_service_is_called_by_method() {
        let text = "service a { calls b }\nservice b { port 80 grpc }\nauthorize b { allow from a to grpc shop.Cart/Add }\n";
        says(text, &[]);
        says(
            &text.replace("grpc shop.Cart/Add", "POST /shop.Cart/Add"),
            &["3 MESH5006 a gRPC service is called by method, not by path, and port 80 of `b` speaks grpc"],
        );
        says(
            &text.replace("80 grpc", "80 http"),
            &["3 MESH5006 no gRPC call gets here, and port 80 of `b` speaks http"],
        );
    }

    #[test]
    fn a_connection_has_no_request_to_wait_for() {
        let waits = "5006 a connection has no request to wait for, and port 3306 of `db` speaks tcp";
        let retries = "5006 only making a connection can be tried again, and port 3306 of `db` speaks tcp";
        let text = |service: &str, calls: &str| {
            format!(
                "service a {{\ncalls db {{ {calls} }}\n}}\nservice db {{\nport 3306 tcp\n{service}\n}}\nauthorize db {{ allow from a }}\n"
            )
        };
        says(&text("timeout 1s", "connect-timeout 1s"), &[&format!("6 MESH{waits}")]);
        says(&text("", "timeout 1s"), &[&format!("2 MESH{waits}")]);
        says(&text("", "retry 1 on connect-failure, 503"), &[&format!("2 MESH{retries}")]);
        let both = "service a { calls db port web; calls db port sql }\nservice db { port sql 3306 tcp; port web 80 http; timeout 1s }\nauthorize db {\nallow from a to port sql\nallow from a to port web\n}\n";
        says(both, &[]);
    }

    #[test]
    fn a_port_without_grpc_has_no_grpc_status() {
        let text = "service a { calls b }\nservice b { port 80 http; retry 1 on grpc-unavailable }\nauthorize b { allow from a }\n";
        says(text, &["2 MESH5006 no answer has a gRPC status, and port 80 of `b` speaks http"]);
        says(&text.replace("80 http", "80 http2"), &[]);
        let rule = "service a { calls b }\nservice b { port 80 http }\nroute b { rule r {\nto b\nretry 1 on grpc-unavailable\n} }\nauthorize b { allow from a }\n";
        says(rule, &["5 MESH5006 no answer has a gRPC status, and port 80 of `b` speaks http"]);
    }

    #[test]
    fn backends_speak_what_the_route_speaks() {
        let text = "service a { port 80 http }\nservice b { port 81 tcp }\nroute a { to b }\nauthorize a, b { allow from anyone }\n";
        says(text, &["3 MESH5006 `b.default` speaks tcp, and port 80 of `a` speaks http"]);
        says(&text.replace("81 tcp", "81 http2"), &[]);
    }
}
