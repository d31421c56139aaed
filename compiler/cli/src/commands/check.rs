//! `mesh check`: look for mistakes, in each environment.

use super::environment;
use crate::args::{Check, FailOn};
use crate::failure::Failure;
use crate::load::load;
use crate::output::{Output, Stream, count};
use crate::{FINDINGS, OK};
use mesh_compiler::StandIns;
use mesh_lang::Severity;

pub(crate) fn run(check: &Check, output: &mut Output<'_>) -> Result<u8, Failure> {
    let project = load(&check.sources.paths)?;
    let (mut found, mut unexecuted) = (Vec::new(), Vec::new());
    for environment in environment::each(&project, check.only.environment.as_deref())? {
        let compilation = super::compile(&project, environment.as_deref(), &StandIns::new());
        unexecuted.push((environment.clone(), compilation.unexecuted));
        found.push((environment, compilation.diagnostics));
    }
    let diagnostics = environment::together(found);
    let unexecuted = environment::together(unexecuted);
    super::print(output, Stream::Data, &diagnostics, &project.sources, |_| {});
    if !unexecuted.is_empty() {
        let statements = count(unexecuted.len(), "statement");
        output.say(&format!(
            "{statements} the proxy of this version does not execute: `mesh build` names them"
        ));
    }
    let fails = diagnostics.iter().any(|diagnostic| match check.fail_on {
        FailOn::Error => diagnostic.severity == Severity::Error,
        FailOn::Warning => true,
        FailOn::Never => false,
    });
    Ok(if fails { FINDINGS } else { OK })
}
