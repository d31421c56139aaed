//! `MESH4013`: a `health-check` that the service refuses to who asks it, so that none of its endpoints is ever well for them.

use super::asked::request;
use super::dead_grant::guardrail;
use super::unallowed_call::lets_in;
use super::{counted, sent};
use crate::model::{
    AccessLine, Action, Asked, Backend, Caller, Field, FieldTest, HEALTH, Model, Polarity, PortId, Shape,
    Table, ValueSet,
};
use crate::space::peer::Candidate;
use mesh_lang::ast::{Effect, Method, Mtls};
use mesh_lang::{Code, Diagnostic, Span};
use mesh_plan::Probe;
use std::collections::{BTreeMap, BTreeSet};

/// What every check says of who asks (`spec/semantics.md` 11.21).
const USER_AGENT: &str = "mesh-proxy health-check";
/// Headers that belong to the connection, or that proxies write on the way: nobody here knows what a check has of them.
const UNKNOWN: [&str; 4] = ["connection", "content-length", "te", "x-request-id"];
/// Callers that are named and pointed at; of more than these it is said how many there are.
const MOST_NAMED: usize = 3;

/// One finding for each port and each reason, with all whom it is about: one line lets all of them in.
///
/// Where no port is asked over mutual TLS it takes no time; else, for each workload, it is linear in the rules that its requests may come to.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let asked = model.ports().filter_map(|id| Some((id, question(model, id)?)));
    let asked: BTreeMap<PortId, Shape> = asked.collect();
    if asked.is_empty() {
        return vec![];
    }
    let counting = counted::asked(model);
    let mut refused: BTreeMap<(PortId, Why), Vec<(Caller, Span)>> = BTreeMap::new();
    for who in model.workloads() {
        for (to, span) in ends(model, who, &counting) {
            let why = asked.get(&to).and_then(|shape| refusal(model, who, to, shape));
            if let Some(why) = why {
                refused.entry((to, why)).or_default().push((who, span));
            }
        }
    }
    refused.into_iter().filter_map(|((to, why), callers)| say(model, to, &why, &callers)).collect()
}

/// What a port is asked as who asks is, if it is. In the clear nobody is asked as anybody: whether a proxy stands there at all is not known.
fn question(model: &Model, id: PortId) -> Option<Shape> {
    let (service, port) = (&model[id.service], model.port(id));
    let is_mutual = port.mtls.is_some_and(|mode| mode.value != Mtls::Off);
    if service.is_outside || !is_mutual || !port.protocol.is_http() {
        return None;
    }
    Some(match &service.health_check.as_ref()?.probe {
        Probe::Get(path) => request(Method::Get, path),
        Probe::Grpc => request(Method::Post, HEALTH),
        // A connection says nothing that could be refused.
        Probe::Tcp => return None,
    })
}

/// Why a service refuses to be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Each request has to show a token of this `jwt`.
    Token(String),
    /// No `allow` covers the question.
    Unallowed,
    /// These lines deny it.
    Denied(Vec<Span>),
}

/// Why a port refuses the check of somebody some of whose requests it lets in: of others no endpoint is needed.
fn refusal(model: &Model, who: Caller, to: PortId, asked: &Shape) -> Option<Why> {
    let peer = Candidate::of_identity(model, model.workload(who).identity.clone());
    let of = |effect: Effect| {
        let lines = model.port(to).access.iter().filter(move |line| line.effect == effect);
        lines.filter(|line| line.from.names(who) || peer.is_in(&line.from, model)).collect::<Vec<_>>()
    };
    let (allows, denies) = (of(Effect::Allow), of(Effect::Deny));
    if allows.is_empty() {
        return None;
    }
    let required = model[to.service].workload.verifiers.iter().find(|verifier| verifier.required);
    if let Some(verifier) = required {
        return Some(Why::Token(verifier.name.clone()));
    }
    let asked = with_nothing_else(asked, allows.iter().chain(&denies));
    // What does not fit into the budget is not said to be refused.
    let is_in = |line: &AccessLine, but: &[&AccessLine]| lets_in(&asked, line, but).unwrap_or(true);
    if allows.iter().any(|allow| is_in(allow, &denies)) {
        return None;
    }
    if !allows.iter().any(|allow| is_in(allow, &[])) {
        return Some(Why::Unallowed);
    }
    let met: BTreeSet<Span> = denies.iter().filter(|deny| is_in(deny, &[])).map(|deny| deny.span).collect();
    Some(Why::Denied(met.into_iter().collect()))
}

/// The one request that it is, as far as these lines ask for it: without a token, a cookie, a query and headers but its own. From which
/// address it comes is not known.
fn with_nothing_else<'l>(asked: &Shape, lines: impl Iterator<Item = &'l &'l AccessLine>) -> Shape {
    let is_grpc = asked.method == Some(Method::Post);
    let value = |text: &str| ValueSet::Passing {
        asked: Asked::OneOf(vec![text.into()]),
        negated: false,
        polarity: Polarity::Grant,
    };
    let said = |field: &Field| match field {
        Field::Path | Field::SourceIp | Field::ClientIp | Field::Host => None,
        Field::Header(name) if UNKNOWN.contains(&name.as_str()) => None,
        Field::Header(name) if name == "user-agent" => Some(value(USER_AGENT)),
        Field::Header(name) if name == "content-type" && is_grpc => Some(value("application/grpc")),
        Field::Header(_) | Field::Query(_) | Field::Cookie(_) | Field::Jwt(_) | Field::Claim { .. } => {
            Some(ValueSet::Absent)
        }
    };
    let fields = lines.flat_map(|line| &line.shapes).flat_map(|shape| shape.tests.iter());
    let fields: BTreeSet<&Field> = fields.map(|test| &test.field).collect();
    let tests =
        fields.into_iter().filter_map(|field| Some(FieldTest { field: field.clone(), set: said(field)? }));
    Shape { tests: tests.collect::<Vec<_>>().into(), ..asked.clone() }
}

/// The ports whose endpoints somebody's proxy sends to, copies aside, each with a place that says so.
fn ends(model: &Model, who: Caller, counting: &BTreeSet<(Caller, PortId)>) -> BTreeMap<PortId, Span> {
    let mut ends = Ends { model, found: BTreeMap::new(), entered: BTreeSet::new() };
    match who {
        // One outside has no proxy.
        Caller::Service(id) if model[id].is_outside => {}
        Caller::Service(id) => {
            model[id].calls.iter().for_each(|call| ends.first(who, call.to, call.span));
        }
        Caller::Gateway(id) => {
            for rule in model[id].tables().flat_map(|table| &table.rules) {
                let Action::Forward(backends) = &rule.action else { continue };
                for backend in backends.iter().filter(|backend| has_share(backend)) {
                    match backend.enter {
                        true => ends.first(who, backend.to, rule.span),
                        false => ends.end(backend.to, rule.span),
                    }
                }
            }
        }
    }
    model.checks(who).for_each(|check| ends.end(check.authority.to, check.span));
    let counts = counting.iter().filter(|(asks, _)| *asks == who);
    counts.for_each(|(_, to)| ends.end(*to, model.workload(who).span));
    ends.found
}

struct Ends<'m> {
    model: &'m Model,
    found: BTreeMap<PortId, Span>,
    /// Ports whose own routes were looked through.
    entered: BTreeSet<PortId>,
}

impl<'m> Ends<'m> {
    fn end(&mut self, to: PortId, span: Span) {
        self.found.entry(to).or_insert(span);
    }

    /// What somebody itself sends to a port: its own route comes first.
    fn first(&mut self, who: Caller, to: PortId, span: Span) {
        match self.model.consumer_route(who, to) {
            Some(own) => self.behind(&self.model.consumer_routes[own].table, to, span),
            None => self.enter(to, span),
        }
    }

    fn enter(&mut self, to: PortId, span: Span) {
        match &self.model.port(to).route {
            None => self.end(to, span),
            Some(table) if self.entered.insert(to) => self.behind(table, to, span),
            Some(_) => {}
        }
    }

    fn behind(&mut self, table: &'m Table, own: PortId, span: Span) {
        for backend in sent(table).filter(|backend| has_share(backend)) {
            match backend.enter && backend.to != own {
                true => self.enter(backend.to, span),
                false => self.end(backend.to, span),
            }
        }
    }
}

fn has_share(backend: &Backend) -> bool {
    backend.weight > 0
}

fn say(model: &Model, to: PortId, why: &Why, callers: &[(Caller, Span)]) -> Option<Diagnostic> {
    let service = &model[to.service];
    let callee = &service.workload;
    let names: Vec<String> =
        callers.iter().map(|(who, _)| format!("`{}`", model.workload(*who).name)).collect();
    let (named, others) = names.split_at(names.len().min(MOST_NAMED));
    let of = match (named, others.len()) {
        ([only], 0) => only.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (named, others) => format!("{} and {others} more", named.join(", ")),
    };
    let message = format!("`{}` refuses the health checks of {of}", callee.name);
    let mut problem = Diagnostic::new(Code::RefusedCheck, message)
        .at(service.health_check_at?, "no endpoint ever answers them well");
    for ((_, span), name) in callers.iter().zip(named) {
        problem = problem.at(*span, format!("{name} sends there"));
    }
    let owner = if callee.owner.is_empty() { String::new() } else { format!(" (owned by {})", callee.owner) };
    Some(match why {
        Why::Token(jwt) => problem.help(format!(
            "A check shows no token, and `jwt {jwt} required` refuses who shows none: write `jwt {jwt} optional`, and `when jwt {jwt} \
             present` in the lines of `authorize {}`; or `health-check tcp`.",
            callee.name
        )),
        Why::Denied(lines) => {
            let access = &model.port(to).access;
            for line in lines.iter().filter_map(|span| access.iter().find(|line| line.span == *span)) {
                let by = guardrail(line)
                    .map_or("denied here".to_owned(), |name| format!("denied by guardrail `{name}`"));
                problem = problem.at(line.span, by);
            }
            problem.help("Narrow the `deny`, for no `allow` wins over it, or write `health-check tcp`.")
        }
        Why::Unallowed => {
            let principals: Vec<String> = callers.iter().map(|(who, _)| principal(model, *who, to)).collect();
            problem.help(format!(
                "Write `allow from {} to {}` in `authorize {}`{owner}.",
                principals.join(", "),
                operation(model, to),
                callee.name
            ))
        }
    })
}

/// Somebody as a line of the service's authorization names them.
fn principal(model: &Model, who: Caller, to: PortId) -> String {
    let (own, callee) = (model.workload(who), &model[to.service].workload);
    let name = if own.namespace == callee.namespace { own.name.to_string() } else { own.full_name() };
    match who {
        Caller::Service(_) => name,
        Caller::Gateway(_) => format!("gateway {name}"),
    }
}

/// `GET /healthz`, `port admin GET /healthz`, `grpc grpc.health.v1.Health/Check`
fn operation(model: &Model, to: PortId) -> String {
    let service = &model[to.service];
    let op = match service.health_check.as_ref().map(|check| &check.probe) {
        Some(Probe::Get(path)) => format!("GET {path}"),
        _ => format!("grpc {}", HEALTH.trim_start_matches('/')),
    };
    match service.ports.len() {
        1 => op,
        _ => format!("port {} {op}", model.port(to).name),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, says};

    /// A service that `web` and a gateway call, checked as this line of its authorization lets it be.
    fn mesh(shop: &str, access: &str) -> String {
        format!(
            "service shop {{ port 80 http; {shop} }}\nauthorize shop {{\n{access}\n}}\n\
             service web {{ calls shop }}\ngateway edge {{ listener web port 80 http {{ host \"*\" }} }}\n\
             authorize edge {{ allow from anyone }}\nroute edge {{ to shop }}\n"
        )
    }

    const GET: &str = "health-check GET /healthz { interval 5s; timeout 1s }";

    fn strict() -> String {
        format!("mtls strict; {GET}")
    }

    #[test]
    fn a_service_lets_in_the_checks_of_all_who_send_there() {
        let said = |who: &str| format!("1 MESH4013 `shop` refuses the health checks of {who}");
        let both = "allow from web, gateway edge";
        says(&mesh(&strict(), both), &[]);
        says(&mesh(&strict(), &format!("{both} to /healthz")), &[]);
        says(&mesh(&strict(), &format!("{both} to GET /api/**")), &[&said("`web` and `edge`")]);
        says(&mesh(&strict(), "allow from web to /api/**\nallow from gateway edge"), &[&said("`web`")]);
        says(&mesh(&strict(), "allow from web\nallow from gateway edge to POST"), &[&said("`edge`")]);
        let denied = format!("{both}\ndeny from web, unauthenticated to /healthz");
        says(&mesh(&strict().replace("strict", "permissive"), &denied), &[&said("`web`")]);
        says(&mesh(&strict(), &format!("{both}\ndeny from gateway edge to /secret")), &[]);
    }

    #[test]
    fn a_check_says_nothing_that_it_is_not() {
        let said = "1 MESH4013 `shop` refuses the health checks of `web` and `edge`";
        let when =
            |condition: &str| mesh(&strict(), &format!("allow from web, gateway edge when {condition}"));
        for refused in ["header \"x-a\" present", "query \"q\" = \"1\"", "cookie \"c\" = \"1\""] {
            says(&when(refused), &[said]);
        }
        for passes in ["header \"x-a\" absent", "header \"user-agent\" prefix \"mesh-proxy\""] {
            says(&when(passes), &[]);
        }
        says(&when("header \"user-agent\" prefix \"curl\""), &[said]);
        // From where somebody asks is not known.
        says(&when("source-ip in (\"10.0.0.0/8\")"), &[]);
    }

    #[test]
    fn who_has_to_show_a_token_shows_none() {
        let jwt = "jwt sso { issuer \"i\"; audience \"a\"; jwks \"/k\" }\n";
        let text =
            |how: &str, line: &str| format!("{}{jwt}", mesh(&format!("{}; jwt sso {how}", strict()), line));
        let said = "1 MESH4013 `shop` refuses the health checks of `web` and `edge`";
        says(&text("required", "allow from web, gateway edge"), &[said]);
        says(&text("optional", "allow from web, gateway edge when jwt sso present"), &[said]);
        let open =
            "allow from web, gateway edge to /healthz\nallow from web, gateway edge when jwt sso present";
        says(&text("optional", open), &[]);
    }

    #[test]
    fn where_nobody_is_asked_as_somebody_nothing_is_said() {
        let access = "allow from web, gateway edge to GET /api/**";
        says(&mesh(GET, access), &[]);
        says(&mesh(&format!("mtls off; {GET}"), "allow from anyone to GET /api/**"), &[]);
        says(&mesh("mtls strict; health-check tcp { interval 5s; timeout 1s }", access), &[]);
        // Who gets nothing there needs no endpoint, and that is said of the call.
        let nothing = found(&mesh(&strict(), "allow from gateway edge"));
        assert_eq!(nothing, ["5 MESH4010 `shop` refuses every request of this call"]);
    }

    #[test]
    fn who_comes_over_the_routes_of_others_asks_too_and_who_only_sends_copies_does_not() {
        let text = |route: &str| {
            format!(
                "service shop {{ port 80 http; {} }}\nauthorize shop {{ allow from web to /api/** }}\n\
                 service web {{ calls front }}\nservice front {{ port 80 http }}\nauthorize front {{ allow from web }}\n\
                 route front {{ {route} }}\n",
                strict()
            )
        };
        let said = "1 MESH4013 `shop` refuses the health checks of `web`";
        says(&text("to front 90%, shop 10%"), &[said]);
        let copies = found(&text("rule all { match GET /**; to front; mirror shop 5% }\notherwise 404"));
        assert!(!copies.iter().any(|line| line.contains("MESH4013")), "{copies:?}");
    }

    #[test]
    fn who_asks_an_authority_checks_it() {
        let text = |access: &str| {
            format!(
                "service opa {{ port 90 grpc; mtls strict; health-check grpc {{ interval 5s; timeout 1s }} }}\n\
                 authorize opa {{ {access} }}\next-authz guard {{ service opa; timeout 100ms; on-failure deny }}\n\
                 service web {{ calls cart }}\nservice cart {{ port 80 http }}\nauthorize cart {{ allow from web\ncheck ext-authz guard }}\n"
            )
        };
        let question = "allow from cart to grpc envoy.service.auth.v3.Authorization/Check";
        says(&text(question), &["1 MESH4013 `opa` refuses the health checks of `cart`"]);
        says(&text(&format!("{question}, grpc grpc.health.v1.Health/Check")), &[]);
    }
}
