//! Forms that are read but have no meaning yet: they are refused, so that nothing a file says is without effect.
//!
//! The rows of the signature table do the same for whole statements; here are the arguments.

use super::Module;
use mesh_lang::ast::{Item, Principal, PrincipalKind};
use mesh_lang::{Code, Diagnostic, Diagnostics, Span};

/// What the files say that nothing would come of.
pub(super) fn forms(modules: &[Module<'_>]) -> Diagnostics {
    let mut found = Diagnostics::new();
    for item in modules.iter().flat_map(|module| &module.file.items) {
        let Item::Authorize(authorize) = item else { continue };
        for from in authorize.lines.iter().filter_map(|line| line.from.as_ref()) {
            principals(&from.principals, &mut found);
            principals(&from.except, &mut found);
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

fn principals(principals: &[Principal], found: &mut Diagnostics) {
    for principal in principals {
        if matches!(principal.kind, PrincipalKind::TrustDomain(_)) {
            found.push(refused("`trust-domain`", principal.span));
        }
    }
}
