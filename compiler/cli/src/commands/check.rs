//! `mesh check`: look for mistakes and for broken promises, in each environment, and mend what can only have been meant one way.

mod fix;

use super::{Parsed, environment};
use crate::args::{Check, FailOn};
use crate::failure::Failure;
use crate::load::{Project, load};
use crate::output::{Output, Stream, count};
use crate::{FINDINGS, OK};
use mesh_compiler::{StandIns, Suppressed};
use mesh_lang::{Diagnostic, Severity};

pub(crate) fn run(check: &Check, output: &mut Output<'_>) -> Result<u8, Failure> {
    let mut project = load(&check.sources.paths)?;
    let mut fixed = Vec::new();
    if check.fix || check.diff {
        let mended = fix::mend(&project, &check.only.environments)?;
        if check.diff {
            fix::show(&project, &mended, output);
        } else {
            fix::write(&project, &mended)?;
            (project, fixed) = (mended.project, mended.fixed);
        }
    }
    let parsed = Parsed::of(&project);
    let Findings { diagnostics, suppressed, unexecuted } = Findings::of(&parsed, &check.only.environments)?;
    if !output.for_program() {
        fix::list(&fixed, output);
    }
    // Of a difference and of findings one is standard output.
    let stream = if check.diff { Stream::Errors } else { Stream::Data };
    super::print(output, stream, &diagnostics, &suppressed, &parsed, |report| report.fixed = fixed);
    if !unexecuted.is_empty() {
        let statements = count(unexecuted.len(), "statement");
        output.say(&format!(
            "{statements} the proxy of this version does not execute: `mesh build` names them"
        ));
    }
    let left = fix::certain(&diagnostics, &project.sources).len();
    if left > 0 && !check.fix && !check.diff && !output.for_program() {
        let mistakes = count(left, "mistake");
        output.say(&format!("{mistakes} can be mended: mesh check --fix, or --diff to see how"));
    }
    let fails = diagnostics.iter().any(|diagnostic| match check.fail_on {
        FailOn::Error => diagnostic.severity == Severity::Error,
        FailOn::Warning => true,
        FailOn::Never => false,
    });
    Ok(if fails { FINDINGS } else { OK })
}

/// What is found in the environments that are looked at.
struct Findings {
    diagnostics: Vec<Diagnostic>,
    suppressed: Vec<Suppressed>,
    unexecuted: Vec<Diagnostic>,
}

impl Findings {
    fn of(parsed: &Parsed<'_>, environments: &[String]) -> Result<Findings, Failure> {
        let (mut found, mut suppressed, mut unexecuted) = (vec![], vec![], vec![]);
        for environment in environment::each(parsed, environments)? {
            let compilation = parsed.compile(environment.as_deref(), &StandIns::new());
            unexecuted.push((environment.clone(), compilation.unexecuted));
            suppressed.push(compilation.suppressed);
            let mut diagnostics = compilation.diagnostics;
            // What is promised of all requests was decided when compiling: whose change breaks it learns it here.
            let proofs = compilation.tests.iter().flat_map(|test| &test.proofs);
            diagnostics.extend(proofs.filter_map(mesh_compiler::case::Proof::broken));
            found.push((environment, diagnostics));
        }
        Ok(Findings {
            diagnostics: environment::together(parsed, found),
            suppressed: environment::allowed(suppressed),
            unexecuted: environment::together(parsed, unexecuted),
        })
    }
}
