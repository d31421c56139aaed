//! Which environments a command looks at, and what is found in some of them only.

use super::{Parsed, quoted};
use crate::failure::Failure;
use mesh_compiler::Suppressed;
use mesh_lang::diagnostic::suggest::nearest;
use mesh_lang::{Code, Diagnostic};

/// One environment, or the project as it stands where it names none.
pub(super) type Environment = Option<String>;

/// Those that are asked for, or each that the project names.
pub(super) fn each(parsed: &Parsed<'_>, asked: &[String]) -> Result<Vec<Environment>, Failure> {
    let known = &parsed.environments;
    if let Some(name) = asked.iter().find(|name| !known.contains(name)) {
        return Err(unknown(name, known));
    }
    if known.is_empty() {
        return Ok(vec![None]);
    }
    let looked_at = known.iter().filter(|name| asked.is_empty() || asked.contains(name));
    Ok(looked_at.cloned().map(Some).collect())
}

/// The one that a plan is for.
pub(super) fn one(parsed: &Parsed<'_>, asked: Option<&str>) -> Result<Environment, Failure> {
    let asked: Vec<String> = asked.map(str::to_owned).into_iter().collect();
    match each(parsed, &asked)?.as_slice() {
        [only] => Ok(only.clone()),
        _ => {
            let names = &parsed.environments;
            Err(Failure::new(
                format!("the project has several environments, {}, and a plan is for one", quoted(names)),
                format!("Say which: `--env {}`.", names.first().map_or("NAME", String::as_str)),
            ))
        }
    }
}

/// The one to try out: the one that is asked for, or the first that is not production.
pub(super) fn to_try(parsed: &Parsed<'_>, asked: Option<&str>) -> Result<Environment, Failure> {
    let production = parsed.project.production();
    let tame = parsed.environments.iter().find(|name| !production.contains(name));
    one(parsed, asked.or(tame.map(String::as_str)))
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
///
/// That a remark silences nothing is said where it does so in all environments of the project.
pub(super) fn together(parsed: &Parsed<'_>, found: Vec<(Environment, Vec<Diagnostic>)>) -> Vec<Diagnostic> {
    let count = found.len();
    let whole = count >= parsed.environments.len();
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
    all.retain(|(diagnostic, names)| {
        diagnostic.code != Code::UnusedSuppression || (whole && names.len() == count)
    });
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

/// What remarks allow in several environments, each finding once, in order of place.
pub(super) fn allowed(found: Vec<Vec<Suppressed>>) -> Vec<Suppressed> {
    let mut all: Vec<Suppressed> = Vec::new();
    for suppressed in found.into_iter().flatten() {
        if !all.contains(&suppressed) {
            all.push(suppressed);
        }
    }
    all.sort_by_key(|suppressed| suppressed.diagnostic.span());
    all
}
