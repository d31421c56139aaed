//! `mesh check`: look for mistakes.

use crate::args::{Check, FailOn};
use crate::failure::Failure;
use crate::load::load;
use crate::output::{Output, Stream, count};
use crate::{FINDINGS, OK};
use mesh_compiler::StandIns;
use mesh_lang::Severity;

pub(crate) fn run(check: &Check, output: &mut Output<'_>) -> Result<u8, Failure> {
    let project = load(&check.sources.paths)?;
    let compilation = super::compile(&project, &StandIns::new());
    let diagnostics = compilation.diagnostics;
    super::print(output, Stream::Data, &diagnostics, &project.sources, |_| {});
    if !compilation.unexecuted.is_empty() {
        let statements = count(compilation.unexecuted.len(), "statement");
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
