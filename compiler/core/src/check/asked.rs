//! `check ext-authz`: authorities that refuse to be asked (`MESH4010`), that send what they are asked about (`MESH5010`), and too many
//! of them (`MESH1012`).

use super::unallowed_call::lets_in;
use crate::model::{Caller, Check, Model, PortId, ServiceId, Shape};
use crate::space::peer::Candidate;
use mesh_lang::ast::{Effect, Method, PathPattern, Protocol, Segment};
use mesh_lang::{Code, Diagnostic};
use mesh_plan::layout::MAX_ASKED;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The method of gRPC that authorities are asked by, as a path (`envoy/service/auth/v3/external_auth.proto`).
const METHOD: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Time: linear in the checks, and for each of them in the calls and the lines of the authority's authorization.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for who in model.workloads() {
        let mut said = BTreeSet::new();
        for check in model.checks(who).filter(|check| said.insert(check.span)) {
            found.extend(refused(model, who, check));
            found.extend(circle(model, who, check));
        }
        found.extend(too_many(model, who));
    }
    found
}

/// More than are asked of one request.
fn too_many(model: &Model, who: Caller) -> Option<Diagnostic> {
    let names: BTreeSet<&str> = model.checks(who).map(|check| check.authority.name.as_str()).collect();
    let last = model.checks(who).last().filter(|_| names.len() > MAX_ASKED as usize)?;
    Some(
        Diagnostic::new(Code::InvalidValue, format!("{} are asked one after the other", names.len()))
            .at(last.span, format!("at most {MAX_ASKED}: each is a round trip"))
            .help("Let one of them ask the others."),
    )
}

/// An authority that lets in nothing of what it is asked by.
fn refused(model: &Model, who: Caller, check: &Check) -> Option<Diagnostic> {
    let to = check.authority.to;
    let asked = match model.port(to).protocol {
        Protocol::Grpc => vec![question(METHOD)],
        _ => check.shapes.clone(),
    };
    is_refused(model, who, to, &asked).then(|| {
        let callee = &model[to.service].workload;
        Diagnostic::new(Code::UnallowedCall, format!("`{}` refuses whatever it is asked here", callee.name))
            .at(check.span, format!("`{}` asks it", model.workload(who).name))
            .at(callee.span, "no `allow` of it covers the question")
            .help(let_in(model, who, to))
    })
}

/// What lets somebody ask.
pub(super) fn let_in(model: &Model, who: Caller, to: PortId) -> String {
    let (own, callee) = (model.workload(who), &model[to.service].workload);
    let name = if own.namespace == callee.namespace { own.name.to_string() } else { own.full_name() };
    let from = match who {
        Caller::Service(_) => name,
        Caller::Gateway(_) => format!("gateway {name}"),
    };
    format!("Write `allow from {from}` in `authorize {}`.", callee.name)
}

/// Whether a port lets in nothing of what it is asked by somebody.
pub(super) fn is_refused(model: &Model, who: Caller, to: PortId, asked: &[Shape]) -> bool {
    let port = model.port(to);
    // One outside has no proxy, and nobody asks for it: such a mesh is not built (`MESH1010`).
    if matches!(who, Caller::Service(id) if model[id].is_outside) {
        return false;
    }
    let peer = Candidate::of_identity(model, model.workload(who).identity.clone());
    let of = |effect: Effect| {
        let lines = port.access.iter().filter(move |line| line.effect == effect);
        lines.filter(|line| line.from.names(who) || peer.is_in(&line.from, model))
    };
    // Where nobody may call at all, MESH4001 says it.
    if !port.access.iter().any(crate::model::AccessLine::lets_in) {
        return false;
    }
    let denies: Vec<_> = of(Effect::Deny).collect();
    // What does not fit into the budget is not said to be refused.
    let passes = |allow| asked.iter().any(|shape| lets_in(shape, allow, &denies).unwrap_or(true));
    !of(Effect::Allow).any(passes)
}

/// The request by which somebody is asked over gRPC.
pub(super) fn question(method: &str) -> Shape {
    request(Method::Post, method)
}

/// A request for exactly this path.
pub(super) fn request(method: Method, path: &str) -> Shape {
    let segments = path.split('/').skip(1).map(|segment| Segment::Literal(segment.into())).collect();
    let path = PathPattern { segments, subtree: false };
    Shape { method: Some(method), path: Some(path.into()), ..Shape::default() }
}

/// An authority whose own calls come to where it is asked about them: each question has more of them asked.
fn circle(model: &Model, who: Caller, check: &Check) -> Option<Diagnostic> {
    let Caller::Service(own) = who else { return None };
    let first = check.authority.to.service;
    let mut before: BTreeMap<ServiceId, ServiceId> = BTreeMap::new();
    let mut left = VecDeque::from([first]);
    while let Some(id) = left.pop_front().filter(|id| *id != own) {
        let calls = model[id].calls.iter().map(|call| call.to.service);
        let asks = model.checks(Caller::Service(id)).map(|check| check.authority.to.service);
        for next in calls.chain(asks) {
            if next != first && !before.contains_key(&next) {
                before.insert(next, id);
                left.push_back(next);
            }
        }
    }
    let mut way = vec![own];
    while let Some(last) = way.last().copied().filter(|last| *last != first) {
        way.push(*before.get(&last)?);
    }
    let names: Vec<&str> = std::iter::once(own)
        .chain(way.into_iter().rev())
        .map(|id| model[id].workload.name.as_str())
        .collect();
    Some(
        Diagnostic::new(
            Code::MirrorCircle,
            format!("questions go round in a circle: `{}`", names.join(" → ")),
        )
        .at(check.span, format!("`{}` asks about what comes to it, also from there", names[0]))
        .help("Say what the `check` is about, without what its service itself sends, or have that call somebody else."),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(opa: &str, access: &str, check: &str) -> String {
        format!(
            "ext-authz guard {{ service opa; timeout 100ms; on-failure deny }}\nservice web {{ calls cart }}\nservice cart {{ port 80 http }}\nauthorize cart {{\nallow from web, opa\n{check}\n}}\nservice opa {{ {opa} }}\nauthorize opa {{ {access} }}\n"
        )
    }

    const CHECK: &str = "check ext-authz guard to GET /a/**";

    #[test]
    fn an_authority_lets_in_who_asks_it() {
        let refused = "6 MESH4010 `opa` refuses whatever it is asked here";
        let [grpc, http] = ["calls cart; port 90 grpc", "calls cart; port 90 http"];
        let cut = |text: String| text.replace("web, opa", "web").replace("calls cart; port 9", "port 9");
        for (port, access, said) in [
            (grpc, "allow from cart", None),
            (grpc, "allow from namespace default to POST", None),
            (grpc, "allow from web", Some(refused)),
            (grpc, "allow from cart to grpc a.B/C", Some(refused)),
            (grpc, "allow from anyone; deny from cart, unauthenticated", Some(refused)),
            (http, "allow from cart to GET /a/b", None),
            (http, "allow from cart to POST", Some(refused)),
        ] {
            let found = crate::testing::found(&cut(mesh(port, access, CHECK)));
            let found: Vec<&str> =
                found.iter().map(String::as_str).filter(|line| line.contains("MESH4010")).collect();
            assert_eq!(found, Vec::from_iter(said), "{port}; {access}");
        }
    }

    #[test]
    fn who_is_asked_does_not_send_what_it_is_asked_about() {
        let circle = "6 MESH5010 questions go round in a circle: `cart → opa → cart`";
        says(&mesh("calls cart; port 90 grpc", "allow from cart", CHECK), &[circle]);
        let itself = mesh("port 90 grpc", "allow from opa; check ext-authz guard", "");
        says(&itself.replace("web, opa", "web"), &["9 MESH5010 questions go round in a circle: `opa → opa`"]);
        let quiet = mesh("port 90 grpc", "allow from cart", CHECK).replace("web, opa", "web");
        says(&quiet, &[]);
    }

    #[test]
    fn each_question_is_a_round_trip() {
        let guards: Vec<String> = (0..17)
            .map(|number| format!("ext-authz g{number} {{ service opa; timeout 1s; on-failure deny }}\n"))
            .collect();
        let checks: Vec<String> = (0..17).map(|number| format!("check ext-authz g{number}\n")).collect();
        let text = mesh("port 90 grpc", "allow from cart", &checks.concat()).replace("web, opa", "web");
        let text = format!("{}{}", text, guards.concat())
            .replace("ext-authz guard { service opa; timeout 100ms; on-failure deny }\n", "\n");
        says(&text, &["15 MESH1012 17 are asked one after the other"]);
    }
}
