//! `MESH5040`: limits of a listener or a rule that refuse nothing, because all that comes to them passes a stricter one of the
//! gateway, the listener or the service, too (`spec/semantics.md` 11.10).

use super::scope::{Place, Scope, Target};
use super::{Mistakes, Module, declared, gateway, route, service};
use mesh_lang::ast::{self, Action, Limits, RateLimit};
use mesh_lang::{Code, Diagnostic, Span};
use std::collections::BTreeMap;

/// Limits inside wider ones.
pub(super) fn check(modules: &[Module<'_>], scope: &Scope, mistakes: &mut Mistakes) {
    of_services(modules, scope, mistakes);
    of_gateways(modules, scope, mistakes);
}

/// Of rules that send to endpoints of their own service alone: only such requests pass its limits. Time: linear in rules.
fn of_services(modules: &[Module<'_>], scope: &Scope, mistakes: &mut Mistakes) {
    let limited = declared(modules, service).filter(|(_, service)| !is_empty(&service.limits));
    let limited = limited.filter_map(|(place, service)| {
        let own = ast::ServiceRef::new(service.name.span, service.name.value.clone());
        Some((scope.known(&own, place)?, &service.limits))
    });
    let limited: BTreeMap<Target, &Limits> = limited.collect();
    for (place, route) in declared(modules, route).filter(|_| !limited.is_empty()) {
        let Some(target) = scope.known(&route.target, place) else { continue };
        let Some(limits) = limited.get(&target) else { continue };
        for rule in route.rules.iter().filter(|rule| stays(rule, target, place, scope)) {
            within(&rule.limits, limits).into_iter().for_each(|found| mistakes.of(place.file).push(found));
        }
    }
}

/// Whether a rule sends to the endpoints of its own service alone.
fn stays(rule: &ast::Rule, target: Target, place: Place<'_>, scope: &Scope) -> bool {
    let Some(Action::To(backends)) = rule.action.as_ref().map(|action| &action.value) else { return false };
    backends.iter().all(|backend| scope.known(&backend.service, place) == Some(target))
}

/// Time: linear in listeners and rules, for each gateway.
fn of_gateways(modules: &[Module<'_>], scope: &Scope, mistakes: &mut Mistakes) {
    for (place, gateway) in declared(modules, gateway) {
        let diagnostics = mistakes.of(place.file);
        let mut say =
            |found: Vec<Diagnostic>| found.into_iter().for_each(|problem| diagnostics.push(problem));
        for listener in &gateway.listeners {
            say(within(&listener.limits, &gateway.limits));
        }
        let limited = |route: &&ast::Route| route.rules.iter().any(|rule| !is_empty(&rule.limits));
        let own = ast::ServiceRef::new(gateway.name.span, gateway.name.value.clone());
        let Some(target) = scope.known(&own, place) else { continue };
        for (place, route) in declared(modules, route).filter(|(_, route)| limited(route)) {
            let Some(listener) = listener_of(gateway, route, target, place, scope) else { continue };
            for rule in &route.rules {
                say(within(&rule.limits, &listener.limits));
                say(within(&rule.limits, &gateway.limits));
            }
        }
    }
}

fn is_empty(limits: &Limits) -> bool {
    limits.rate_limits.is_empty() && limits.max_request_body.is_none()
}

/// The listener of a gateway's route.
fn listener_of<'a>(
    gateway: &'a ast::Gateway,
    route: &ast::Route,
    target: Target,
    place: Place<'_>,
    scope: &Scope,
) -> Option<&'a ast::Listener> {
    if scope.known(&route.target, place) != Some(target) {
        return None;
    }
    match (&route.listener, gateway.listeners.as_slice()) {
        (Some(name), all) => all.iter().find(|listener| listener.name.value == name.value),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// What of the inner limits refuses nothing that the outer ones let in.
fn within(inner: &Limits, outer: &Limits) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let (Some(own), Some(before)) = (&inner.max_request_body, &outer.max_request_body)
        && own.value >= before.value
    {
        found.push(say("no body that gets here is so long", own.span, before.span));
    }
    for own in inner.rate_limits.iter().filter(|limit| !limit.global) {
        if let Some(before) = outer.rate_limits.iter().find(|before| lets_in_less(before, own)) {
            found.push(say("never so many requests get here", own.span, before.span));
        }
    }
    found
}

/// Whether what one limit lets in is never too much for another. What the generic cell rate algorithm (ITU-T I.371) lets in within any
/// time is at most the burst and what the rate adds; a part of it is no more.
fn lets_in_less(before: &RateLimit, own: &RateLimit) -> bool {
    let burst = |limit: &RateLimit| limit.burst.map_or(limit.rate.value.count, |burst| burst.value);
    let rate = |limit: &RateLimit, other: &RateLimit| {
        u64::from(limit.rate.value.count) * u64::from(other.rate.value.per)
    };
    let counts_all = !before.global && !before.audit && before.per.is_empty();
    counts_all && rate(own, before) >= rate(before, own) && burst(own) >= burst(before)
}

fn say(message: &str, own: Span, before: Span) -> Diagnostic {
    Diagnostic::new(Code::VainStatement, message)
        .at(own, "refuses nothing more")
        .at(before, "everything passes this one, too, and it is as strict or stricter")
        .help("Make the inner limit the stricter one, or delete it.")
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(gateway: &str, listener: &str, rule: &str) -> String {
        format!(
            "gateway g {{ {gateway}\nlistener l port 80 http {{ host \"*\"; {listener} }} }}\nroute g {{ rule r {{ respond 200\n{rule} }} }}\nauthorize g {{ allow from anyone }}\n"
        )
    }

    #[test]
    fn an_inner_limit_is_stricter_than_the_outer_ones() {
        let (few, many) = ("rate-limit local 10/s burst 20", "rate-limit local 600/m burst 20");
        let said = |line: u32| format!("{line} MESH5040 never so many requests get here");
        says(&mesh(few, many, ""), &[&said(2)]);
        says(&mesh(few, "", many), &[&said(4)]);
        says(&mesh("", few, many), &[&said(4)]);
        says(&mesh(few, "rate-limit local 9/s burst 20", ""), &[]);
        says(&mesh(few, "rate-limit local 10/s burst 19", ""), &[]);
        says(&mesh(few, &format!("{many} per source-ip"), ""), &[&said(2)]);
        says(&mesh(&format!("{few} per source-ip"), many, ""), &[]);
        says(&mesh(&format!("{few} audit"), many, ""), &[]);
    }

    #[test]
    fn a_body_that_does_not_get_here_is_not_refused_here() {
        let said = "4 MESH5040 no body that gets here is so long";
        says(&mesh("max-request-body 1MiB", "", "max-request-body 2MiB"), &[said]);
        says(&mesh("", "max-request-body 1MiB", "max-request-body 1024KiB"), &[said]);
        says(&mesh("max-request-body 1MiB", "", "max-request-body 64KiB"), &[]);
    }

    #[test]
    fn a_rule_of_a_service_is_stricter_than_the_service() {
        let mesh = |service: &str, rule: &str| {
            format!(
                "service s {{ port 80 http\nsubset a label version = \"a\"\n{service} }}\nservice t {{ port 80 http }}\nroute s {{ rule r {{ to {rule} }} }}\nauthorize s {{ allow from anyone }}\nauthorize t {{ allow from anyone }}\n"
            )
        };
        let (few, many) = ("rate-limit local 10/s", "rate-limit local 20/s");
        let said = "6 MESH5040 never so many requests get here";
        says(&mesh(few, &format!("s:a\n{many}")), &[said]);
        says(&mesh(many, &format!("s:a\n{few}")), &[]);
        let body = "6 MESH5040 no body that gets here is so long";
        says(&mesh("max-request-body 1MiB", "s:a\nmax-request-body 2MiB"), &[body]);
        // What goes on to another service passes the limits of that one.
        let unsent = "2 MESH2021 nothing is sent to subset `a` of `s`";
        says(&mesh(few, &format!("t\n{many}")), &[unsent]);
        says(&mesh(few, &format!("s:a 90%, t 10%\n{many}")), &[]);
    }

    #[test]
    fn a_share_of_nothing_is_written_as_none() {
        says(&mesh("access-log json sample 0%", "", ""), &["1 MESH5040 no request is logged"]);
        says(&mesh("tracing sample 0%", "", ""), &["1 MESH5040 no request is traced"]);
        says(&mesh("access-log none; tracing none", "", ""), &[]);
    }
}
