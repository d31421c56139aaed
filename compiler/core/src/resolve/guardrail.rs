//! `guardrail`: refusals of the platform that stand beside each target's own and that nobody can lift
//! (`spec/semantics.md` 12).

use super::scope::{Place, Scope, Target, workload};
use super::{access, declarations, shape};
use crate::model::{AccessLine, GatewayId, Model, PeerSet, Polarity, Principal, ServiceId, Wording};
use mesh_lang::ast::{self, Destination, Effect};
use mesh_lang::{Code, Diagnostic, Diagnostics};

/// Adds the lines of a guardrail to everything they are about.
pub(super) fn resolve(
    guardrail: &ast::Guardrail,
    place: &Place<'_>,
    scope: &Scope,
    model: &mut Model,
    diagnostics: &mut Diagnostics,
) {
    if !scope.is_platform(*place) {
        diagnostics.push(
            Diagnostic::new(Code::ForeignStatement, "this module writes no guardrails")
                .at(guardrail.span, "it is not the platform's")
                .help("Move it to the platform's module, or declare `role platform` in this one's `module`."),
        );
        return;
    }
    for line in &guardrail.lines {
        match resolve_line(guardrail, line, *place, scope, model) {
            Ok(found) => found.into_iter().for_each(|(target, line)| add(target, &line, model)),
            Err(problems) => problems.into_iter().for_each(|problem| diagnostics.push(problem)),
        }
    }
}

fn resolve_line(
    guardrail: &ast::Guardrail,
    line: &ast::GuardrailLine,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Vec<(Target, AccessLine)>, Vec<Diagnostic>> {
    let from = match &line.from {
        Some(from) => {
            let set = access::peers(from, Effect::Deny, place, scope, model)?;
            match access::spared_strangers(from, Effect::Deny, &set, model) {
                Some(problem) => return Err(vec![problem]),
                None => set,
            }
        }
        None => PeerSet { of: vec![Principal::Anyone], except: vec![] },
    };
    let text = Wording::Said(format!("guardrail {}: {line}", guardrail.name.value).into());
    // What a guardrail in `mode audit` would refuse is only told.
    let effect = if guardrail.mode.is_some() { Effect::Audit } else { Effect::Deny };
    let mut found = Vec::new();
    for target in targets(line, place, scope, model)? {
        let when = declarations::with_issuers(&line.when, workload(model, target))?;
        let shapes = shape::of_access(&line.ops, &when, Polarity::Refusal)?;
        let line = AccessLine {
            effect,
            from: from.clone(),
            shapes,
            text: text.clone(),
            span: line.span,
            is_mode: false,
            is_probe: false,
        };
        found.push((target, line));
    }
    Ok(found)
}

/// What a line is about; without `to`, everything.
pub(super) fn targets(
    line: &ast::GuardrailLine,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Vec<Target>, Vec<Diagnostic>> {
    let services = || (0..model.services.len() as u32).map(|id| Target::Service(ServiceId(id)));
    let gateways = || (0..model.gateways.len() as u32).map(|id| Target::Gateway(GatewayId(id)));
    if line.to.is_empty() {
        return Ok(services().chain(gateways()).collect());
    }
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for destination in &line.to {
        match destination {
            Destination::Target(name) => match scope.target(name, place) {
                Ok(target) => found.push(target),
                Err(problem) => problems.push(problem),
            },
            Destination::Gateway(name) => match scope.gateway(name, place) {
                Ok(gateway) => found.push(Target::Gateway(gateway)),
                Err(problem) => problems.push(problem),
            },
            Destination::Namespace(name) if scope.has_namespace(&name.value) => {
                let inside = |target: &Target| workload(model, *target).namespace == name.value;
                let own: Vec<Target> = services().chain(gateways()).filter(inside).collect();
                if own.is_empty() {
                    problems.push(
                        Diagnostic::new(
                            Code::EmptyPrincipals,
                            format!("namespace `{}` has neither a service nor a gateway", name.value),
                        )
                        .at(name.span, "nothing to protect")
                        .help("Delete it, or name a namespace with services."),
                    );
                }
                found.extend(own);
            }
            Destination::Namespace(name) => problems.push(scope.unknown_namespace(&name.value, name.span)),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn add(target: Target, line: &AccessLine, model: &mut Model) {
    match target {
        Target::Service(id) => {
            let ports = &mut model.services[id.0 as usize].ports;
            ports.iter_mut().for_each(|port| port.access.push(line.clone()));
        }
        Target::Gateway(id) => {
            let listeners = &mut model.gateways[id.0 as usize].listeners;
            listeners.iter_mut().for_each(|listener| listener.access.push(line.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(guardrail: &str) -> String {
        format!(
            "module m {{ role platform }}\nservice a {{ calls pay }}\nservice pay {{ port 80 http }}\nauthorize pay {{\nallow from a\nallow from unauthenticated to GET\n}}\nguardrail g {{\n{guardrail}\n}}\n"
        )
    }

    #[test]
    fn what_a_guardrail_covers_nobody_can_allow() {
        says(&mesh("deny from a except unauthenticated to pay"), &["5 MESH4012 this `allow` lets nobody in"]);
        says(&mesh("deny from a except unauthenticated to pay /admin/**"), &[]);
        says(&mesh("deny from anyone to namespace default POST /x"), &[]);
    }

    #[test]
    fn a_guardrail_is_the_platforms_and_names_what_there_is() {
        let text = mesh("deny from anyone to pay /x");
        says(
            &text.replace("role platform", "edition 2026"),
            &["8 MESH2010 this module writes no guardrails"],
        );
        says(&mesh("deny from anyone to namespace shop"), &["9 MESH2001 unknown namespace `shop`"]);
        says(
            &mesh("deny from a to pay /x"),
            &["9 MESH4003 this `deny` does not say what becomes of peers without identity"],
        );
    }

    #[test]
    fn a_guardrail_of_requests_does_not_fit_a_port_of_connections() {
        let text = mesh("deny from anyone to namespace default /admin/**");
        says(
            &format!("{text}service db {{ port 1 tcp }}\nauthorize db {{ allow from anyone }}\n"),
            &["9 MESH5006 methods and paths are HTTP, and port 1 of `db` speaks tcp"],
        );
    }
}
