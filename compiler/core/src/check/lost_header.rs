//! `MESH5022`: a rule chooses by a header that a caller on the way does not send on.

use crate::model::{
    Action, Call, Caller, Field, Model, PortId, Rule, Service, ServiceId, Shape, Table, ValueSet,
};
use crate::quantified::changes_request;
use crate::space::Space;
use crate::space::peer::Peers;
use mesh_lang::{Code, Diagnostic, Span};
use mesh_plan::Edit;
use std::collections::BTreeSet;

/// What a request says of itself, whoever sends it (RFC 9110 7 to 14): by these nobody follows one user or one try along the way.
const OWN: [&str; 20] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-type",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "te",
    "user-agent",
];

/// Headers that a rule sets: whoever sends a request on, they come.
pub(crate) fn set_by(table: &Table) -> impl Iterator<Item = &str> {
    table.rules.iter().flat_map(|rule| &rule.edits).filter_map(set)
}

/// A service that answers requests with calls of its own, and does not say that it sends a header on that a rule behind the call
/// asks for. Who is called by nobody begins requests and may say anything. `is_set` says of a header whether some rule of the mesh
/// sets it.
pub(super) fn of_service(model: &Model, id: ServiceId, is_set: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
    let caller = &model[id];
    let mut found = Vec::new();
    if !answers(caller) {
        return found;
    }
    let comes = |header: &str| {
        caller.propagates.iter().any(|name| name == header) || is_set(header) || OWN.contains(&header)
    };
    for call in &caller.calls {
        let mut said: BTreeSet<&str> = BTreeSet::new();
        for (rule, header) in asked(model, id, call, &comes) {
            if said.insert(header) {
                found.push(say(model, caller, call, rule, header));
            }
        }
    }
    found
}

/// Whether somebody may send requests to a service.
fn answers(service: &Service) -> bool {
    let ports = service.ports.iter().filter(|port| port.protocol.is_http());
    ports.flat_map(|port| &port.access).any(|line| line.lets_in())
}

fn set(edit: &Edit) -> Option<&str> {
    match edit {
        Edit::SetRequestHeader(name, _) | Edit::AddRequestHeader(name, _) => Some(name),
        _ => None,
    }
}

/// The rules that a call meets until it is sent to an endpoint and that choose by a header that does not come.
fn asked<'m>(
    model: &'m Model,
    caller: ServiceId,
    call: &Call,
    comes: &dyn Fn(&str) -> bool,
) -> Vec<(&'m Rule, &'m str)> {
    // Two rules may enter one port with other requests.
    let mut seen: BTreeSet<(PortId, Span)> = BTreeSet::new();
    let first = model.route_from(Caller::Service(caller), call.to);
    let mut left: Vec<Way<'_>> =
        first.map(|table| Way { table, by: None, changed: false }).into_iter().collect();
    let mut found = Vec::new();
    while let Some(way) = left.pop() {
        for rule in &way.table.rules {
            for line in &rule.lines {
                let lost = headers(&line.shape).filter(|header| !comes(header));
                found.extend(lost.filter(|_| way.brings(call, &line.shape)).map(|header| (rule, header)));
            }
            let Action::Forward(backends) = &rule.action else { continue };
            let changed = way.changed || rule.edits.iter().any(changes_request);
            for to in backends.iter().filter(|to| to.enter && seen.insert((to.to, rule.span))) {
                let table = model.port(to.to).route.as_ref();
                left.extend(table.map(|table| Way { table, by: Some(rule), changed }));
            }
        }
    }
    found
}

/// How a call gets to a table.
struct Way<'m> {
    table: &'m Table,
    /// The rule that enters it.
    by: Option<&'m Rule>,
    /// Whether a rule before it changes requests: then it is not known which get here.
    changed: bool,
}

impl Way<'_> {
    /// Whether a request of the call can get to a line of the table.
    fn brings(&self, call: &Call, line: &Shape) -> bool {
        self.changed
            || call.lines.iter().any(|own| meet(&own.shape, line))
                && self.by.is_none_or(|rule| rule.lines.iter().any(|own| meet(&own.shape, line)))
    }
}

fn meet(a: &Shape, b: &Shape) -> bool {
    if *a == Shape::default() {
        return true;
    }
    // What is too fine to be told apart is not said to be apart.
    let Ok(space) = Space::new([a, b].into_iter(), Peers::indifferent()) else { return true };
    space.product(a, None).meets(&space.product(b, None))
}

/// The headers that must be there for a line: a condition that is negated needs one too (`spec/semantics.md` 3.3).
fn headers(line: &Shape) -> impl Iterator<Item = &str> {
    line.tests.iter().filter(|test| test.set != ValueSet::Absent).filter_map(|test| match &test.field {
        Field::Header(name) => Some(name.as_str()),
        Field::Cookie(_) => Some("cookie"),
        _ => None,
    })
}

fn say(model: &Model, caller: &Service, call: &Call, rule: &Rule, header: &str) -> Diagnostic {
    let (caller, callee) = (&caller.workload, &model[call.to.service].workload);
    Diagnostic::new(
        Code::LostHeader,
        format!("`{}` does not say that it sends the header `{header}` on to `{}`", caller.name, callee.name),
    )
    .at(call.span, "a call of its own, made to answer another request")
    .at(rule.span, format!("chooses by `{header}`"))
    .help(format!(
        "If the application sends it on, write `propagate header \"{header}\"` in `service {}`; if not, the rule never sees it on this way.",
        caller.name
    ))
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn shop(web: &str, rule: &str) -> String {
        format!(
            "service web {{ port 80 http; {web} }}\nauthorize web {{ allow from anyone }}\nservice cart {{ port 80 http; subset a label v = \"1\"; subset b label v = \"2\" }}\nauthorize cart {{ allow from web, job }}\nservice job {{ calls cart }}\nroute cart {{\nrule beta {{ match when {rule}; to cart:b }}\nrule rest-of-all {{ to cart:a }}\n}}\n"
        )
    }

    #[test]
    fn a_header_comes_as_far_as_it_is_sent_on() {
        let lost = "1 MESH5022 `web` does not say that it sends the header `x-user` on to `cart`";
        says(&shop("calls cart", "header \"x-user\" = \"b\""), &[lost]);
        says(&shop("calls cart", "header \"x-user\" present"), &[lost]);
        says(&shop("calls cart; propagate header \"x-user\"", "header \"x-user\" = \"b\""), &[]);
        says(&shop("calls cart; propagate header \"x-other\"", "header \"x-user\" = \"b\""), &[lost]);
    }

    #[test]
    fn what_a_request_says_of_itself_is_not_sent_on() {
        says(&shop("calls cart", "header \"content-type\" = \"b\""), &[]);
        says(&shop("calls cart", "header \"x-user\" absent"), &[]);
    }

    #[test]
    fn a_negated_condition_needs_the_header_too() {
        let lost = "1 MESH5022 `web` does not say that it sends the header `x-user` on to `cart`";
        says(&shop("calls cart", "header \"x-user\" != \"b\""), &[lost]);
        let lost = "1 MESH5022 `web` does not say that it sends the header `cookie` on to `cart`";
        says(&shop("calls cart", "cookie \"c\" = \"b\""), &[lost]);
    }

    #[test]
    fn a_call_that_does_not_get_to_the_rule_loses_nothing() {
        let post = |call: &str| {
            shop(call, "header \"x-user\" = \"b\"").replace("match when", "match POST /pay when")
        };
        says(&post("calls cart to GET"), &[]);
        says(&post("calls cart to POST /carts/{id}"), &[]);
        let lost = "1 MESH5022 `web` does not say that it sends the header `x-user` on to `cart`";
        says(&post("calls cart to POST"), &[lost]);
    }

    #[test]
    fn a_service_of_connections_gets_no_headers() {
        let text = shop("calls cart", "header \"x-user\" = \"b\"");
        says(&text.replacen("port 80 http", "port 80 tcp", 1), &[]);
    }

    #[test]
    fn each_call_loses_its_own() {
        let text = shop("calls cart, cart2", "header \"x-user\" = \"b\"");
        let other =
            text.lines().filter(|line| line.contains("service cart") || line.contains("authorize cart"));
        let other: String =
            other.map(|line| line.replace("cart", "cart2").replace(", job", "") + "\n").collect();
        let route = "route cart2 { rule beta { match when header \"x-user\" = \"b\"; to cart2:b }\nrule rest-of-all { to cart2:a } }\n";
        let lost = |to: &str| {
            format!("1 MESH5022 `web` does not say that it sends the header `x-user` on to `{to}`")
        };
        says(&format!("{text}{other}{route}"), &[&lost("cart"), &lost("cart2")]);
    }

    #[test]
    fn a_rule_on_the_way_may_say_it() {
        let between = |edit: &str| {
            let own = "service shop { port 80 http }\nauthorize shop { allow from web }\n";
            let cart = shop("calls shop", "header \"x-user\" = \"b\"");
            format!("{cart}{own}route shop {{ rule all {{ to cart\nrequest-header set {edit} }} }}\n")
        };
        let lost = "1 MESH5022 `web` does not say that it sends the header `x-user` on to `shop`";
        says(&between("\"x-user\" \"b\""), &[]);
        says(&between("\"x-other\" \"b\""), &[lost]);
    }

    #[test]
    fn each_rule_that_enters_brings_its_own_requests() {
        let lost = "1 MESH5022 `web` does not say that it sends the header `x-user` on to `shop`";
        let behind = |rules: &str| {
            let own = "service shop { port 80 http }\nauthorize shop { allow from web }\n";
            let cart =
                shop("calls shop", "header \"x-user\" = \"b\"").replace("match when", "match /beta/** when");
            format!("{cart}{own}route shop {{ {rules}; otherwise 404 }}\n")
        };
        let (pay, beta) = ("rule pay { match /pay/**; to cart }", "rule beta { match /beta/**; to cart }");
        says(&behind(pay), &[]);
        says(&behind(beta), &[lost]);
        says(&behind(&format!("{pay}; {beta}")), &[lost]);
        says(&behind(&format!("{beta}; {}", pay.replace("pay {", "zpay {"))), &[lost]);
        says(&behind("rule pay { match /pay/**; to cart; rewrite prefix /beta }"), &[lost]);
    }

    #[test]
    fn rules_behind_rules_are_asked_too() {
        let behind =
            "service shop { port 80 http }\nauthorize shop { allow from web }\nroute shop { to cart }\n";
        says(
            &format!("{}{behind}", shop("calls shop", "header \"x-user\" = \"b\"")),
            &["1 MESH5022 `web` does not say that it sends the header `x-user` on to `shop`"],
        );
    }
}
