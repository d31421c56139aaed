//! Which environments a command looks at, and what is found in some of them only.

use super::quoted;
use crate::failure::Failure;
use crate::load::Project;
use mesh_lang::Diagnostic;
use mesh_lang::diagnostic::suggest::nearest;

/// One environment, or the project as it stands where it names none.
pub(super) type Environment = Option<String>;

/// The one that is asked for, or each that the project names.
pub(super) fn each(project: &Project, asked: Option<&str>) -> Result<Vec<Environment>, Failure> {
    let known = mesh_compiler::environments(&project.sources);
    match asked {
        Some(name) if known.iter().any(|own| own == name) => Ok(vec![Some(name.to_owned())]),
        Some(name) => Err(unknown(name, &known)),
        None if known.is_empty() => Ok(vec![None]),
        None => Ok(known.into_iter().map(Some).collect()),
    }
}

/// The one that a plan is for.
pub(super) fn one(project: &Project, asked: Option<&str>) -> Result<Environment, Failure> {
    let mut found = each(project, asked)?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (last, _) => {
            let names: Vec<String> = found.into_iter().chain(last).flatten().collect();
            Err(Failure::new(
                format!("the project has several environments, {}, and a plan is for one", quoted(&names)),
                format!("Say which: `--env {}`.", names.first().map_or("NAME", String::as_str)),
            ))
        }
    }
}

fn unknown(name: &str, known: &[String]) -> Failure {
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`?"),
        None if known.is_empty() => "The project names none: leave out `--env`.".to_owned(),
        None => format!("There are: {}.", quoted(known)),
    };
    Failure::new(format!("the project has no environment `{name}`"), help)
}

/// What was found in several environments, each finding once, in order of place; what is not so in all of them says where.
pub(super) fn together(found: Vec<(Environment, Vec<Diagnostic>)>) -> Vec<Diagnostic> {
    let count = found.len();
    let mut all: Vec<(Diagnostic, Vec<String>)> = Vec::new();
    for (environment, diagnostics) in found {
        for diagnostic in diagnostics {
            let name = environment.clone().unwrap_or_default();
            match all.iter_mut().find(|(known, _)| *known == diagnostic) {
                Some((_, names)) if names.last() != Some(&name) => names.push(name),
                Some(_) => {}
                None => all.push((diagnostic, vec![name])),
            }
        }
    }
    let mut all: Vec<Diagnostic> = all
        .into_iter()
        .map(|(diagnostic, names)| match names.len() == count {
            true => diagnostic,
            false => diagnostic.note(format!("in {}", quoted(&names))),
        })
        .collect();
    all.sort_by_key(Diagnostic::span);
    all
}
