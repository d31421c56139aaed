//! The commands, one file each. A command returns its exit code, or the failure that ended it.

pub(crate) mod build;
pub(crate) mod check;
mod environment;
pub(crate) mod explain;
pub(crate) mod fmt;
pub(crate) mod plan;
pub(crate) mod test;
pub(crate) mod up;
pub(crate) mod version;

use crate::load::Project;
use crate::output::Output;
use crate::output::{Stream, count, report};
use crate::report::{Report, Summary};
use mesh_compiler::{Compilation, Day, StandIns};
use mesh_lang::{Code, Diagnostic, Severity, SourceSet};
use std::time::{SystemTime, UNIX_EPOCH};

/// As many names as a line holds.
const MAX_NAMES: usize = 3;

/// Compiles what was loaded. Where a file could not be read as text, the others are not judged: every name it declares
/// would be missing.
fn compile(project: &Project, environment: Option<&str>, stand_ins: &StandIns) -> Compilation {
    if !project.diagnostics.is_empty() {
        return Compilation { diagnostics: project.diagnostics.clone(), ..Compilation::default() };
    }
    let mut compilation = mesh_compiler::compile_on(&project.sources, environment, today(), stand_ins);
    let unknown = |diagnostic: &&mut Diagnostic| diagnostic.code == Code::UnknownName;
    if let Some(first) = compilation.diagnostics.iter_mut().find(unknown)
        && !project.unread.is_empty()
    {
        let be = if project.unread.len() == 1 { "was" } else { "were" };
        first.notes.push(format!("{} beside it {be} not read: name the directory", quoted(&project.unread)));
    }
    compilation
}

/// The day in UTC, where the clock is not before 1970.
fn today() -> Option<Day> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Day::of_unix(since.as_secs()))
}

/// Compiles what is to run: what the proxy would not do is an error here.
fn compile_to_run(project: &Project, environment: Option<&str>, stand_ins: &StandIns) -> Compilation {
    let mut compilation = compile(project, environment, stand_ins);
    if !compilation.unexecuted.is_empty() {
        compilation.diagnostics.append(&mut compilation.unexecuted);
        compilation.diagnostics.sort_by_key(Diagnostic::span);
        compilation.plan = None;
    }
    compilation
}

/// `` `a`, `b`, `c` and 4 more ``
fn quoted(names: &[impl AsRef<str>]) -> String {
    let first: Vec<_> = names.iter().take(MAX_NAMES).map(|name| format!("`{}`", name.as_ref())).collect();
    let rest = names.len().saturating_sub(MAX_NAMES);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

fn summary(diagnostics: &[Diagnostic], sources: &SourceSet) -> Summary {
    let of = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    Summary {
        files: sources.len(),
        rules: rules(sources),
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
    }
}

/// The rules of routes and the lines of authorizations, as they are written.
fn rules(sources: &SourceSet) -> usize {
    use mesh_lang::ast::Item;
    let items = sources.iter().flat_map(|(file, source)| mesh_lang::parse(file, &source.text).file().items);
    items
        .map(|item| match item {
            Item::Route(route) => route.rules.len(),
            Item::Authorize(authorize) => authorize.lines.len(),
            _ => 0,
        })
        .sum()
}

/// The line that ends the findings, and where to read more about the first error.
fn say_summary(output: &mut Output<'_>, diagnostics: &[Diagnostic], summary: Summary) {
    let mark = match (output.draws(), summary.errors) {
        (false, _) => "",
        (true, 0) => "✓ ",
        (true, _) => "✗ ",
    };
    let Summary { files, rules, errors, warnings } = summary;
    let mut line =
        format!("{mark}{}, {}, {}", count(files, "file"), count(rules, "rule"), count(errors, "error"));
    // Most warnings are looked for only where there is no error: "0 warnings" would promise too much.
    if errors == 0 || warnings > 0 {
        line.push_str(&format!(", {}", count(warnings, "warning")));
    }
    output.say(&line);
    let first = diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
    if let Some(diagnostic) = first {
        output.say(&format!("More about the first one: mesh explain {}", diagnostic.code.as_str()));
    }
}

/// Prints findings: a document for programs, which `extend` may add to, or pictures on `stream` and a summary for people.
fn print(
    output: &mut Output<'_>,
    stream: Stream,
    diagnostics: &[Diagnostic],
    sources: &SourceSet,
    extend: impl FnOnce(&mut Report),
) {
    let summary = summary(diagnostics, sources);
    if output.for_program() {
        let mut report = report(diagnostics, sources, summary);
        extend(&mut report);
        output.report(&report);
    } else {
        output.diagnostics(stream, diagnostics, sources);
        say_summary(output, diagnostics, summary);
    }
}
