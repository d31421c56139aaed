//! `every` and `some` lines that do not hold: the compiler decided them, so `mesh check` knows as well as `mesh test`.

use super::seen;
use mesh_compiler::case;
use mesh_lang::diagnostic::{Code, Diagnostic};

/// What is wrong with an `every` or `some` line; `None` where it holds.
pub(in crate::commands) fn broken(proof: &case::Proof) -> Option<Diagnostic> {
    let failure = proof.failure.as_ref()?;
    let mut expected = seen::expected(&proof.expect);
    if let Some(timeout) = proof.timeout {
        expected = format!("{expected} timeout {}", seen::milliseconds(timeout));
    }
    if let Some(retry) = proof.retry {
        expected = format!("{expected} retry {}", seen::retries(retry));
    }
    let (message, label) = match proof.every {
        true => (format!("not every request is {expected}: one is {}", failure.got), "does not hold for all"),
        false => (format!("no request is {expected}: all are {}", failure.got), "holds for none"),
    };
    let mut diagnostic = Diagnostic::new(Code::FailedTest, message).at(proof.expect_span, label);
    if let Some(witness) = &failure.witness {
        diagnostic = diagnostic.proved_by((**witness).clone());
    }
    Some(diagnostic.help("Correct the expectation if the policy is right, or the policy if the test is."))
}
