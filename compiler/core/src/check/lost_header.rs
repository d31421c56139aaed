//! `MESH5022`: a rule chooses by a header that a caller on the way does not send on.

use super::entered;
use crate::model::{Call, Caller, Field, Model, PortId, Rule, Service, ServiceId, Table, ValueSet};
use mesh_lang::ast::Effect;
use mesh_lang::{Code, Diagnostic, Text};
use mesh_plan::Edit;
use std::collections::BTreeSet;

/// What a request says of itself, whoever sends it: with these nobody tells one user or one try from another along the way.
const OWN: [&str; 7] = ["authorization", "expect", "host", "range", "te", "upgrade", "user-agent"];
const OWN_FAMILIES: [&str; 3] = ["accept", "content-", "if-"];

/// Services that answer requests with calls of their own, and do not say that they send a header on that a rule behind the call
/// asks for. Who is called by nobody begins requests and may say anything.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let set_on_the_way: BTreeSet<&str> = model.rules().flat_map(|rule| &rule.edits).filter_map(set).collect();
    let mut found = Vec::new();
    for (caller, id) in model.services.iter().zip(0..).filter(|(caller, _)| answers(caller)) {
        let mut said: BTreeSet<&Text> = BTreeSet::new();
        for call in &caller.calls {
            for (rule, header) in asked(model, ServiceId(id), call) {
                let comes = caller.propagates.contains(header) || set_on_the_way.contains(header.as_str());
                if !comes && !is_own(header) && said.insert(header) {
                    found.push(say(model, caller, call, rule, header));
                }
            }
        }
    }
    found
}

/// Whether somebody may call a service.
fn answers(service: &Service) -> bool {
    service.ports.iter().flat_map(|port| &port.access).any(|line| line.effect == Effect::Allow)
}

fn set(edit: &Edit) -> Option<&str> {
    match edit {
        Edit::SetRequestHeader(name, _) | Edit::AddRequestHeader(name, _) => Some(name),
        _ => None,
    }
}

fn is_own(header: &str) -> bool {
    OWN.contains(&header) || OWN_FAMILIES.iter().any(|family| header.starts_with(family))
}

/// The rules that a call meets until it is sent to an endpoint, and the headers that they choose by.
fn asked<'m>(model: &'m Model, caller: ServiceId, call: &Call) -> Vec<(&'m Rule, &'m Text)> {
    let mut seen: BTreeSet<PortId> = BTreeSet::new();
    let mut left: Vec<&Table> = model.route_from(Caller::Service(caller), call.to).into_iter().collect();
    let mut found = Vec::new();
    while let Some(table) = left.pop() {
        found.extend(table.rules.iter().flat_map(|rule| headers(rule).map(move |header| (rule, header))));
        let next = entered(table).filter(|port| seen.insert(*port));
        left.extend(next.filter_map(|port| model.port(port).route.as_ref()));
    }
    found
}

/// The headers that must be there for a rule.
fn headers(rule: &Rule) -> impl Iterator<Item = &Text> {
    let tests = rule.lines.iter().flat_map(|line| line.shape.tests.iter());
    tests.filter_map(|test| match (&test.field, &test.set) {
        (Field::Header(name), ValueSet::Present | ValueSet::Passing { negated: false, .. }) => Some(name),
        _ => None,
    })
}

fn say(model: &Model, caller: &Service, call: &Call, rule: &Rule, header: &Text) -> Diagnostic {
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
        says(&shop("calls cart", "header \"x-user\" != \"b\""), &[]);
    }

    #[test]
    fn a_rule_on_the_way_may_say_it() {
        let own = "route cart from web { rule all { to cart\nrequest-header set \"x-user\" \"b\" } }\n";
        says(&format!("{}{own}", shop("calls cart", "header \"x-user\" = \"b\"")), &[]);
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
