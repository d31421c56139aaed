//! What the compiler decides about and the proxy of this version does not do: a plan with it is not run (`MESH1010`).
//!
//! Whole statements are known by the status of their row; here stand the forms of arguments.

use mesh_lang::ast::{Condition, Field};
use mesh_lang::{Code, Diagnostic, Span, ast};

/// What would be without effect at run time, in order of place.
pub(crate) fn refused(checked: &[(&'static str, Span)], files: &[ast::File]) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> =
        checked.iter().map(|(keyword, span)| unexecuted(&format!("`{keyword}`"), *span)).collect();
    for item in files.iter().flat_map(|file| &file.items) {
        found.extend(forms(item));
    }
    found.sort_by_key(Diagnostic::span);
    found
}

/// The forms of arguments that have a meaning and no effect at run time yet.
fn forms(item: &ast::Item) -> Vec<Diagnostic> {
    let conditions: Vec<&Condition> = match item {
        ast::Item::Route(route) => {
            let lines = route.rules.iter().flat_map(|rule| &rule.matches);
            lines.flat_map(|line| &line.when).collect()
        }
        ast::Item::Authorize(authorize) => authorize.lines.iter().flat_map(|line| &line.when).collect(),
        ast::Item::Guardrail(guardrail) => guardrail.lines.iter().flat_map(|line| &line.when).collect(),
        _ => vec![],
    };
    conditions.into_iter().filter_map(condition).collect()
}

/// The proxy verifies neither tokens nor forwarded addresses: a condition on them would never hold, or always.
fn condition(condition: &Condition) -> Option<Diagnostic> {
    let field = match condition.field {
        Field::Claim { .. } => "`claim`",
        Field::Jwt(_) => "`jwt`",
        Field::ClientIp => "`client-ip`",
        _ => return None,
    };
    Some(unexecuted(field, condition.span))
}

fn unexecuted(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::NotYetExecuted, format!("{what} is not executed by this version's proxy"))
        .at(span, "would be without effect at run time")
        .help("`mesh check` and `mesh test` know it; remove it to build a plan, or wait for a version that executes it.")
}
