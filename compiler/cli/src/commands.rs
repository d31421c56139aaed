//! The commands, one file each. A command returns its exit code, or the failure that ended it.

pub(crate) mod build;
pub(crate) mod ca;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod doc;
mod environment;
pub(crate) mod explain;
pub(crate) mod fmt;
pub(crate) mod graph;
mod listening;
pub(crate) mod lsp;
pub(crate) mod plan;
mod running;
pub(crate) mod serve;
pub(crate) mod test;
pub(crate) mod trim;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod who;
pub(crate) mod why;

use crate::failure::Failure;
use crate::load::Project;
use crate::output::Output;
use crate::output::{Stream, count, report};
use crate::report::{Report, Summary};
use environment::Environment;
use mesh_compiler::{Compilation, Day, StandIns, Suppressed};
use mesh_lang::{Code, Diagnostic, Severity};
use std::time::{SystemTime, UNIX_EPOCH};

/// As many names as a line holds.
const MAX_NAMES: usize = 3;

/// A project that was loaded and whose text was read, once for all of its environments.
struct Parsed<'a> {
    loaded: &'a Project,
    project: mesh_compiler::Project<'a>,
    /// The environments that it names.
    environments: Vec<String>,
}

impl<'a> Parsed<'a> {
    fn of(loaded: &'a Project) -> Parsed<'a> {
        let project = mesh_compiler::Project::parse(&loaded.sources);
        Parsed { loaded, environments: project.environments(), project }
    }

    /// Compiles it. Where a file could not be read as text, the others are not judged: every name it declares would be missing.
    fn compile(&self, environment: Option<&str>, stand_ins: &StandIns) -> Compilation {
        let Project { diagnostics, unread, .. } = self.loaded;
        if !diagnostics.is_empty() {
            return Compilation { diagnostics: diagnostics.clone(), ..Compilation::default() };
        }
        let mut compilation = self.project.compile(environment, today(), stand_ins);
        let unknown = |diagnostic: &&mut Diagnostic| diagnostic.code == Code::UnknownName;
        if let Some(first) = compilation.diagnostics.iter_mut().find(unknown)
            && !unread.is_empty()
        {
            let be = if unread.len() == 1 { "was" } else { "were" };
            first.notes.push(format!("{} beside it {be} not read: name the directory", quoted(unread)));
        }
        compilation
    }

    /// The rules of routes and the lines of authorizations, as they are written.
    fn rules(&self) -> usize {
        use mesh_lang::ast::Item;
        let items = self.project.files(None).into_iter().flat_map(|file| file.items);
        items
            .map(|item| match item {
                Item::Route(route) => route.rules.len(),
                Item::Authorize(authorize) => authorize.lines.len(),
                _ => 0,
            })
            .sum()
    }

    /// Compiles what is to be asked. What a project with errors means is not known: then they are said, and `unknown`, what is not
    /// known for them.
    fn compile_to_ask(
        &self,
        environment: &Environment,
        unknown: &str,
        output: &mut Output<'_>,
    ) -> Option<mesh_plan::Plan> {
        let Compilation { plan, diagnostics, suppressed, .. } =
            self.compile(environment.as_deref(), &StandIns::new());
        if plan.is_none() {
            print(output, Stream::Data, &diagnostics, &suppressed, self, |_| {});
            output.say(unknown);
        }
        plan
    }

    /// Compiles what an editor asks about: there are no streams to say errors on, and the editor shows them.
    fn compile_or_fail(&self, environment: &Environment) -> Result<mesh_plan::Plan, Failure> {
        let Compilation { plan, diagnostics, .. } = self.compile(environment.as_deref(), &StandIns::new());
        plan.ok_or_else(|| {
            let first = diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
            let said = first.map_or(String::new(), |first| format!(": {}", first.message));
            Failure::new(format!("the project has errors{said}"), "Mend them: what it decides is not known.")
        })
    }

    /// Compiles what is to run: what the proxy would not do is an error here.
    fn compile_to_run(&self, environment: &Environment, stand_ins: &StandIns) -> Compilation {
        let mut compilation = self.compile(environment.as_deref(), stand_ins);
        if !compilation.unexecuted.is_empty() {
            compilation.diagnostics.append(&mut compilation.unexecuted);
            compilation.diagnostics.sort_by_key(Diagnostic::span);
            compilation.plan = None;
        }
        let found = std::mem::take(&mut compilation.diagnostics);
        compilation.diagnostics = environment::together(self, vec![(environment.clone(), found)]);
        compilation
    }
}

/// The day in UTC, where the clock is not before 1970.
fn today() -> Option<Day> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Day::of_unix(since.as_secs()))
}

/// `` `a`, `b`, `c` and 4 more ``
fn quoted(names: &[impl AsRef<str>]) -> String {
    let first: Vec<_> = names.iter().take(MAX_NAMES).map(|name| format!("`{}`", name.as_ref())).collect();
    let rest = names.len().saturating_sub(MAX_NAMES);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

fn summary(diagnostics: &[Diagnostic], allowed: usize, parsed: &Parsed<'_>) -> Summary {
    let of = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    Summary {
        files: parsed.loaded.sources.len(),
        rules: parsed.rules(),
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
        allowed,
    }
}

/// The line that ends the findings, and where to read more about the first error.
fn say_summary(output: &mut Output<'_>, diagnostics: &[Diagnostic], summary: Summary) {
    let mark = match (output.draws(), summary.errors) {
        (false, _) => "",
        (true, 0) => "✓ ",
        (true, _) => "✗ ",
    };
    let Summary { files, rules, errors, warnings, allowed } = summary;
    let mut line =
        format!("{mark}{}, {}, {}", count(files, "file"), count(rules, "rule"), count(errors, "error"));
    // Most warnings are looked for only where there is no error: "0 warnings" would promise too much.
    if errors == 0 || warnings > 0 {
        line.push_str(&format!(", {}", count(warnings, "warning")));
    }
    if allowed > 0 {
        line.push_str(&format!(", {allowed} allowed"));
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
    suppressed: &[Suppressed],
    parsed: &Parsed<'_>,
    extend: impl FnOnce(&mut Report),
) {
    let sources = &parsed.loaded.sources;
    let summary = summary(diagnostics, suppressed.len(), parsed);
    if output.for_program() {
        let mut report = report(diagnostics, suppressed, sources, summary);
        extend(&mut report);
        output.report(&report);
    } else {
        output.diagnostics(stream, diagnostics, sources);
        say_summary(output, diagnostics, summary);
    }
}
