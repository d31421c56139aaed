//! What is wrong with tests as they are written: environments that there are none of, and questions that leave out whom they
//! seem to be about (`spec/semantics.md` 13).

use super::declarations::unknown_among;
use super::{Module, declared, test_case};
use mesh_lang::ast::{ExpectedOutcome, PrincipalKind, Quantifier, Test, TestLine};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name};
use std::collections::BTreeMap;

pub(super) fn check(modules: &[Module<'_>], known: &[Name], diagnostics: &mut Diagnostics) {
    for (_, test) in declared(modules, test_case) {
        let mut seen: BTreeMap<&str, &Name> = BTreeMap::new();
        for name in &test.environments {
            unknown_among("environment", name, known, "environments", diagnostics);
            if let Some(first) = seen.insert(&name.value, name) {
                diagnostics.push(
                    Diagnostic::new(Code::DuplicateStatement, format!("`{}` stands twice", name.value))
                        .at(name.span, "again here")
                        .at(first.span, "first here")
                        .help("Delete one of the two."),
                );
            }
        }
        strangers_unasked(test).into_iter().for_each(|problem| diagnostics.push(problem));
    }
}

/// `authenticated` is who has an identity of the mesh: that they are all refused says nothing of those who have none.
fn strangers_unasked(test: &Test) -> Option<Diagnostic> {
    let names = |line: &TestLine, wanted: &[PrincipalKind]| {
        line.from.iter().flat_map(|from| &from.principals).any(|one| wanted.contains(&one.kind))
    };
    let strangers = [PrincipalKind::Anyone, PrincipalKind::Unauthenticated];
    // Without `from` it is somebody without an identity, or everybody.
    if test.lines.iter().any(|line| line.from.is_none() || names(line, &strangers)) {
        return None;
    }
    let closed = test.lines.iter().find(|line| {
        line.quantifier == Quantifier::Every
            && line.expect.outcome == ExpectedOutcome::Deny
            && names(line, &[PrincipalKind::Authenticated])
    })?;
    let span = closed.from.as_ref().map_or(closed.span, |from| from.span);
    Some(
        Diagnostic::new(Code::StrangersUnasked, "nothing in this test asks about peers without identity")
            .at(span, "those with an identity of the mesh only")
            .help("Write `from anyone` if everybody is meant, or add a line `from unauthenticated`."),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn asks(head: &str, lines: &str) -> String {
        format!(
            "service web {{ port 80 http }}\nauthorize web {{ deny }}\nmesh m {{ environments dev, live }}\ntest \"t\"{head} {{\n{lines}\n}}\n"
        )
    }

    #[test]
    fn a_test_is_asked_in_environments_that_there_are() {
        says(&asks(" in dev, live", "every to web expect deny"), &[]);
        says(&asks(" in prod", "every to web expect deny"), &["4 MESH2001 unknown environment `prod`"]);
        says(&asks(" in dev, dev", "every to web expect deny"), &["4 MESH1008 `dev` stands twice"]);
    }

    #[test]
    fn who_asks_about_the_authenticated_asks_about_the_others_too() {
        let closed = "every from authenticated to web expect deny";
        says(&asks("", closed), &["5 MESH3052 nothing in this test asks about peers without identity"]);
        says(&asks("", &format!("{closed}\nevery from unauthenticated to web expect deny")), &[]);
        says(&asks("", &format!("{closed}\nrequest to web GET / expect deny")), &[]);
        says(&asks("", "every from anyone to web expect deny"), &[]);
    }
}
