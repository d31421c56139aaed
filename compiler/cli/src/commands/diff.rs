//! `mesh diff OLD NEW`: what becomes of which requests when the one is replaced by the other.

mod git;
mod human;
mod input;
mod markdown;

use super::environment::Environment;
use super::{Parsed, build, quoted};
use crate::args::{Diff, Format};
use crate::failure::Failure;
use crate::output::{Output, Stream, count};
use crate::report::diff::Document;
use crate::{FINDINGS, OK};
use input::Input;
use mesh_compiler::compare::{Comparison, compare};
use mesh_compiler::{Compilation, StandIns};
use mesh_lang::Severity;
use mesh_plan::{PlanView, Sources};

/// What differs, in the environments in which the same does; none where the projects name none.
struct Difference {
    environments: Vec<String>,
    comparison: Comparison,
}

pub(crate) fn run(diff: &Diff, output: &mut Output<'_>) -> Result<u8, Failure> {
    let (old, new) = input::both(diff)?;
    let names = (old.name.clone(), new.name.clone());
    let parsed = [&old, &new].map(|input| input.project().map(Parsed::of));
    let mut differences: Vec<Difference> = Vec::new();
    for environment in environments(&parsed, &diff.environments)? {
        let mut plans = Vec::with_capacity(2);
        for (input, parsed) in [&old, &new].into_iter().zip(&parsed) {
            match plan(input, parsed.as_ref(), &environment, output)? {
                Some(plan) => plans.push(plan),
                None => return Ok(FINDINGS),
            }
        }
        if let [old, new] = plans.as_slice() {
            let comparison = compare(old, new);
            match differences.iter_mut().find(|known| known.comparison == comparison) {
                Some(known) => known.environments.extend(environment),
                None => {
                    differences.push(Difference { environments: Vec::from_iter(environment), comparison })
                }
            }
        }
    }
    print(output, &names, &differences);
    let differs = differences.iter().any(|difference| !difference.comparison.is_empty());
    Ok(if diff.exit_code && differs { FINDINGS } else { OK })
}

/// The environments in which both are compared. A plan is for one, whichever that was.
fn environments(parsed: &[Option<Parsed<'_>>; 2], asked: &[String]) -> Result<Vec<Environment>, Failure> {
    match parsed {
        [Some(old), Some(new)] => {
            let known = |name: &String| old.environments.contains(name) || new.environments.contains(name);
            if let Some(name) = asked.iter().find(|name| !known(name)) {
                return Err(Failure::new(
                    format!("neither of the two has an environment `{name}`"),
                    match new.environments.as_slice() {
                        [] => "Leave out `--env`.".to_owned(),
                        names => format!("There are: {}.", quoted(names)),
                    },
                ));
            }
            let is_asked = |name: &&String| asked.is_empty() || asked.contains(name);
            let gone = old.environments.iter().filter(|name| !new.environments.contains(name));
            let all: Vec<&String> = new.environments.iter().chain(gone).filter(is_asked).collect();
            Ok(if all.is_empty() { vec![None] } else { all.into_iter().cloned().map(Some).collect() })
        }
        [Some(sources), None] | [None, Some(sources)] => {
            Ok(vec![super::environment::one(sources, asked.first().map(String::as_str))?])
        }
        [None, None] if asked.is_empty() => Ok(vec![None]),
        [None, None] => {
            Err(Failure::new("a plan is for one environment, and both are plans", "Leave out `--env`."))
        }
    }
}

/// The plan of one of the two; `None` where its sources have errors, which are then said.
fn plan(
    input: &Input,
    parsed: Option<&Parsed<'_>>,
    environment: &Environment,
    output: &mut Output<'_>,
) -> Result<Option<PlanView>, Failure> {
    let Some(parsed) = parsed else { return Ok(input.plan().cloned()) };
    // An environment that only the other one has: here it is as it stands in any.
    let own = environment.as_deref().filter(|name| parsed.environments.iter().any(|own| own == name));
    if own.is_none() && !parsed.environments.is_empty() {
        return Err(Failure::new(
            format!("`{}` has no environment `{}`", input.name, environment.as_deref().unwrap_or_default()),
            format!("Compare those that both have: `--env {}`.", parsed.environments[0]),
        ));
    }
    let Compilation { plan, mut diagnostics, suppressed, unexecuted, .. } =
        parsed.compile(own, &StandIns::new());
    let Some(plan) = plan else {
        diagnostics.retain(|diagnostic| diagnostic.severity == Severity::Error);
        super::print(output, Stream::Errors, &diagnostics, &suppressed, parsed, |_| {});
        output.say(&format!("`{}` does not compile, so there is nothing to compare", input.name));
        return Ok(None);
    };
    if !unexecuted.is_empty() {
        let statements = count(unexecuted.len(), "statement");
        output.say(&format!(
            "{statements} of `{}` that the proxy does not do yet are not compared; `mesh build` names them",
            input.name
        ));
    }
    // Where a line stands is no difference.
    Ok(Some(build::seal(&plan, &Sources::default())?))
}

fn print(output: &mut Output<'_>, names: &(String, String), differences: &[Difference]) {
    match output.format() {
        Format::Json | Format::Jsonl => {
            let each = differences.iter().map(|one| (one.environments.as_slice(), &one.comparison));
            output.document(&Document::of(names, each));
        }
        Format::Markdown => output.raw(markdown::written(names, differences).as_bytes()),
        Format::Human | Format::Short | Format::Plain => {
            output.raw(human::written(differences, output.colors_data()).as_bytes());
        }
    }
}
