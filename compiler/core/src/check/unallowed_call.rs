//! `MESH4010`: a declared call that the callee always refuses.

use super::backends;
use super::dead_grant::guardrail;
use crate::diagram::TooManyNodes;
use crate::model::{AccessLine, Call, CallLine, Caller, Model, ServiceId, Shape};
use crate::partition;
use crate::quantified::{self, Entry};
use crate::shown::{self, Arrival};
use crate::space::Budget;
use crate::space::peer::{Candidate, Peers};
use mesh_lang::ast::Effect;
use mesh_lang::{Code, Diagnostic, Span};
use std::cell::LazyCell;

/// Calls of a service of which every request is denied. Where nobody may call at all, `MESH4001` says it.
pub(super) fn of_service(model: &Model, id: ServiceId) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let caller = &model[id];
    let peer = LazyCell::new(|| Candidate::of_identity(model, caller.workload.identity.clone()));
    for call in &caller.calls {
        let lines = &model.port(call.to).access;
        if !lines.iter().any(AccessLine::lets_in) {
            continue;
        }
        let mut said: Vec<Span> = Vec::new();
        for line in &call.lines {
            if !said.contains(&line.span)
                && let Some(problem) = of_line(model, id, &peer, call, line)
            {
                said.push(line.span);
                found.push(problem);
            }
        }
    }
    found
}

fn of_line(
    model: &Model,
    caller: ServiceId,
    peer: &LazyCell<Candidate, impl FnOnce() -> Candidate>,
    call: &Call,
    line: &CallLine,
) -> Option<Diagnostic> {
    let own = |effect| {
        let lines = model.port(call.to).access.iter().filter(move |line| line.effect == effect);
        lines.filter(|line| line.from.names(Caller::Service(caller)) || peer.is_in(&line.from, model))
    };
    let (mut allows, denies) = (own(Effect::Allow), own(Effect::Deny).collect::<Vec<_>>());
    let mut ends = model.route_from(Caller::Service(caller), call.to).into_iter().flat_map(backends);
    let stays = ends.all(|to| to == call.to);
    if stays && allows.any(|allow| lets_in(&line.shape, allow, &denies).unwrap_or(false)) {
        return None;
    }
    match quantified::denied(model, caller, call.to, &line.shape) {
        Ok(None) => None,
        Ok(Some(witness)) => {
            let entry = Entry::Sidecar { caller, to: call.to };
            let arrival = Arrival::of(witness, entry);
            let witness = shown::shown(model, "request of the call", &arrival, None);
            Some(say(model, caller, call, line, &denies).proved_by(witness))
        }
        // What is behind a rewrite is asked about other requests than these: that it denies all of them is not proved.
        Err(quantified::TooMuch::Changed(_)) => None,
        Err(quantified::TooMuch::Budget) => Some(
            Diagnostic::new(
                Code::AnalysisBudget,
                "whether this call is allowed cannot be decided within the budget",
            )
            .at(line.span, "too many requests that end differently")
            .help("Say what is called: `calls … to GET /…`."),
        ),
    }
}

/// Nothing more than these lines fits into the budget.
pub(super) struct TooMuch;

impl From<TooManyNodes> for TooMuch {
    fn from(_: TooManyNodes) -> TooMuch {
        TooMuch
    }
}

/// Whether an `allow` lets some request of a call in. This spares most calls the question about all that they can meet.
pub(super) fn lets_in(call: &Shape, allow: &AccessLine, denies: &[&AccessLine]) -> Result<bool, TooMuch> {
    if *call == Shape::default() && denies.is_empty() {
        return Ok(true);
    }
    let refused = denies.iter().flat_map(|deny| &deny.shapes);
    let shapes = std::iter::once(call).chain(&allow.shapes).chain(refused);
    let diagram = partition::diagram(shapes, &Peers::indifferent, Budget::default());
    let mut diagram = diagram.map_err(|_| TooMuch)?;
    let mut sets = |shapes: &mut dyn Iterator<Item = &Shape>| {
        let mut all = Vec::new();
        for shape in shapes {
            let product = diagram.space().product(shape, None);
            all.push(diagram.product(&product)?);
        }
        diagram.any_of_sets(&all)
    };
    let called = sets(&mut std::iter::once(call))?;
    let allowed = sets(&mut allow.shapes.iter())?;
    let denied = sets(&mut denies.iter().flat_map(|deny| &deny.shapes))?;
    let both = diagram.and(called, allowed)?;
    let left = diagram.minus(both, denied)?;
    Ok(diagram.any_of(left).is_some())
}

fn say(model: &Model, caller: ServiceId, call: &Call, line: &CallLine, denies: &[&AccessLine]) -> Diagnostic {
    let (caller, callee) = (&model[caller].workload, &model[call.to.service].workload);
    let mut problem =
        Diagnostic::new(Code::UnallowedCall, format!("`{}` refuses every request of this call", callee.name))
            .at(line.span, format!("`{}` declares that it calls", caller.name));
    if !denies.is_empty() {
        for deny in denies {
            let by = guardrail(deny)
                .map_or("denied here".to_owned(), |name| format!("denied by guardrail `{name}`"));
            problem = problem.at(deny.span, by);
        }
        return problem.help("Delete the call, or narrow the `deny`: no `allow` wins over it.");
    }
    let name =
        if caller.namespace == callee.namespace { caller.name.to_string() } else { caller.full_name() };
    let op = match (line.shape.method, &line.shape.path) {
        (None, None) => String::new(),
        (Some(method), None) => format!(" {}", method.as_str()),
        (None, Some(path)) => format!(" {path}"),
        (Some(method), Some(path)) => format!(" {} {path}", method.as_str()),
    };
    let port = match model[call.to.service].ports.len() {
        1 => String::new(),
        _ => format!(" port {}", model.port(call.to).name),
    };
    let to = if port.is_empty() && op.is_empty() { String::new() } else { format!(" to{port}{op}") };
    let owner = if callee.owner.is_empty() { String::new() } else { format!(" (owned by {})", callee.owner) };
    problem.at(callee.span, "no `allow` of it covers the call").help(format!(
        "Write `allow from {name}{to}` in `authorize {}`{owner}, or delete the call.",
        callee.name
    ))
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(calls: &str, access: &str) -> String {
        format!(
            "service web {{ {calls} }}\nservice job {{ }}\nservice cart {{ port 80 http }}\nauthorize cart {{\n{access}\n}}\n"
        )
    }

    #[test]
    fn a_call_that_nothing_allows_is_said_at_the_caller() {
        let said = "1 MESH4010 `cart` refuses every request of this call";
        says(&mesh("calls cart", "allow from unauthenticated"), &[said]);
        says(&mesh("calls cart", "allow from web to GET /cart/**"), &[]);
        says(&mesh("calls cart to GET /carts", "allow from web to GET /cart/**"), &[said]);
        says(&mesh("calls cart to GET /cart/1, POST /cart", "allow from web to GET /cart/**"), &[said]);
        says(&mesh("calls cart to GET /cart/{id}", "allow from namespace default"), &[]);
    }

    #[test]
    fn a_deny_counts() {
        let said = "1 MESH4010 `cart` refuses every request of this call";
        let text = "allow from anyone\ndeny from web, unauthenticated to GET /cart/**";
        says(&mesh("calls cart to GET /cart/1", text), &[said]);
        says(&mesh("calls cart to GET", text), &[]);
    }

    #[test]
    fn where_nobody_may_call_at_all_that_is_said_once() {
        let text = "service web { calls cart }\nservice cart { port 80 http }\n";
        says(text, &["2 MESH4001 nobody may call `cart`"]);
    }

    #[test]
    fn what_the_route_answers_needs_no_allow() {
        let route = "route cart { rule h { match GET /healthz; respond 200 }; to cart }\n";
        let text = mesh("calls cart to GET /healthz", "allow from unauthenticated to GET /cart/**");
        says(&format!("{text}{route}"), &[]);
    }

    #[test]
    fn who_owns_the_endpoints_decides() {
        let next = "service next { port 80 http }\nauthorize next { allow from unauthenticated }\nroute cart { to next }\n";
        let text = mesh("calls cart", "allow from web");
        says(&format!("{text}{next}"), &["1 MESH4010 `cart` refuses every request of this call"]);
        says(&format!("{text}{}", next.replace("from unauthenticated", "from web")), &[]);
    }
}
