//! Forms that are read but have no meaning yet: they are refused, so that nothing a file says is without effect.
//!
//! The rows of the signature table do the same for whole statements; here are the arguments.

use super::Module;
use mesh_lang::ast::{
    Action, ExpectedOutcome, Item, Principal, PrincipalKind, Redirect, RedirectTo, Retry, RetryOn, Rule,
    Settings, Weight,
};
use mesh_lang::{Code, Diagnostic, Diagnostics, Span};

/// What the files say that nothing would come of.
pub(super) fn forms(modules: &[Module<'_>]) -> Diagnostics {
    let mut found = Diagnostics::new();
    for item in modules.iter().flat_map(|module| &module.file.items) {
        match item {
            Item::Mesh(mesh) => settings(&mesh.default, &mut found),
            Item::Service(service) => {
                settings(&service.settings, &mut found);
                service.calls.iter().for_each(|calls| settings(&calls.settings, &mut found));
            }
            Item::Route(route) => {
                if let Some(from) = route.from.first() {
                    found.push(refused("`from`", from.span));
                }
                route.rules.iter().for_each(|rule| rule_forms(rule, &mut found));
            }
            Item::Authorize(authorize) => {
                for line in &authorize.lines {
                    if let Some(from) = &line.from {
                        principals(&from.principals, &mut found);
                        principals(&from.except, &mut found);
                    }
                }
            }
            Item::Test(test) => {
                for line in &test.lines {
                    if let Some(mirror) = &line.expect.mirror {
                        let span = mirror.as_ref().map_or(line.expect.span, |mirror| mirror.span);
                        found.push(refused("`mirror`", span));
                    }
                    if let Some(fault) = &line.expect.fault {
                        let span = fault.as_ref().map_or(line.expect.span, |fault| fault.span);
                        found.push(refused("`fault`", span));
                    }
                    if let ExpectedOutcome::Redirect(to) = &line.expect.outcome {
                        redirect(to, &mut found);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// A thing of the language that has no effect yet.
fn refused(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::NotYetExecuted, format!("{what} is not executed by this version"))
        .at(span, "would be without effect")
        .help("Remove it; what a file says is executed or refused, never ignored.")
}

fn rule_forms(rule: &Rule, found: &mut Diagnostics) {
    settings(&rule.settings, found);
    match rule.action.as_ref().map(|action| &action.value) {
        Some(Action::Redirect(to)) => redirect(to, found),
        Some(Action::To(backends)) => {
            for weight in backends.iter().filter_map(|backend| backend.weight) {
                if matches!(weight.value, Weight::Controlled { .. }) {
                    found.push(refused("a weight that is set while the mesh runs", weight.span));
                }
            }
        }
        _ => {}
    }
}

fn redirect(redirect: &Redirect, found: &mut Diagnostics) {
    if !matches!(redirect.to, RedirectTo::Location(_)) {
        found.push(refused("this form of `redirect`", redirect.status.span));
    }
}

fn settings(settings: &Settings, found: &mut Diagnostics) {
    let Some(Retry::Policy(policy)) = settings.retry.as_ref().map(|retry| &retry.value) else { return };
    for condition in &policy.on {
        if matches!(condition.value, RetryOn::Grpc(_)) {
            found.push(refused("a retry on a gRPC status", condition.span));
        }
    }
}

fn principals(principals: &[Principal], found: &mut Diagnostics) {
    for principal in principals {
        if matches!(principal.kind, PrincipalKind::TrustDomain(_)) {
            found.push(refused("`trust-domain`", principal.span));
        }
    }
}
