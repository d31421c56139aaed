//! `mesh fmt`: write the canonical layout.

use crate::args::{Fmt, Format};
use crate::failure::Failure;
use crate::load::{Project, STANDARD_STREAM, load, load_input};
use crate::output::{Output, Stream, count};
use crate::report::Finding;
use crate::{FINDINGS, OK, write};
use mesh_lang::{Diagnostic, FileId, Severity, Source, SourceSet};
use serde_json::json;
use similar::TextDiff;
use std::io::Read;
use std::path::Path;

pub(crate) fn run(fmt: &Fmt, input: &mut dyn Read, output: &mut Output<'_>) -> Result<u8, Failure> {
    let from_input = fmt.paths.iter().any(|path| path == Path::new(STANDARD_STREAM));
    if from_input && fmt.paths.len() > 1 {
        return Err(Failure::new(
            "`-` stands beside other paths",
            "Format standard input alone, or name only files and directories.",
        ));
    }
    let project = if from_input { load_input("<stdin>", input)? } else { load(&fmt.paths)? };
    if !project.diagnostics.is_empty() {
        return Ok(refuse(&project, output));
    }
    let layout = Layout::of(&project.sources);
    if from_input { Ok(format_input(fmt, &layout, output)) } else { format_files(fmt, &layout, output) }
}

/// A file that is no text has no layout; the other files are not touched either.
fn refuse(project: &Project, output: &mut Output<'_>) -> u8 {
    output.diagnostics(Stream::Errors, &project.diagnostics, &project.sources);
    FINDINGS
}

/// What is to become of the files.
struct Layout<'a> {
    sources: &'a SourceSet,
    /// Files that are not in the canonical layout, and the text that is.
    changed: Vec<(&'a Source, String)>,
    /// Files that cannot be read as statements: what was meant is not known, so they stay as they are.
    broken: Vec<&'a Source>,
    /// Why.
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Layout<'a> {
    fn of(sources: &'a SourceSet) -> Layout<'a> {
        let mut layout = Layout { sources, changed: vec![], broken: vec![], diagnostics: vec![] };
        for (file, source) in sources.iter() {
            let errors = syntax_errors(file, source);
            let formatted = mesh_lang::format(&source.text);
            if !errors.is_empty() {
                layout.broken.push(source);
                layout.diagnostics.extend(errors);
            } else if formatted != source.text {
                layout.changed.push((source, formatted));
            }
        }
        layout
    }

    fn code(&self, fmt: &Fmt) -> u8 {
        let would_change = fmt.check && !self.changed.is_empty();
        if would_change || !self.broken.is_empty() { FINDINGS } else { OK }
    }

    /// `2 files, 1 changed, 1 not touched: it has errors`
    fn summary(&self, only_look: bool) -> String {
        let verb = if only_look { "would change" } else { "changed" };
        let files = format!("{}, {} {verb}", count(self.sources.len(), "file"), self.changed.len());
        match self.broken.len() {
            0 => files,
            1 => format!("{files}, 1 not touched: it has errors"),
            several => format!("{files}, {several} not touched: they have errors"),
        }
    }
}

/// Errors of the syntax, whose codes begin with 1: others say that a sentence is wrong, not that it cannot be read.
fn syntax_errors(file: FileId, source: &Source) -> Vec<Diagnostic> {
    let diagnostics = mesh_lang::parse(file, &source.text).diagnostics.sorted();
    let is_syntax = |diagnostic: &Diagnostic| {
        diagnostic.severity == Severity::Error && diagnostic.code.as_str().starts_with("MESH1")
    };
    diagnostics.into_iter().filter(is_syntax).collect()
}

/// An editor that pipes its text through gets it back as it is where it cannot be read.
fn format_input(fmt: &Fmt, layout: &Layout<'_>, output: &mut Output<'_>) -> u8 {
    output.diagnostics(Stream::Errors, &layout.diagnostics, layout.sources);
    for (_, source) in layout.sources.iter() {
        let formatted = layout.changed.first().map_or(&source.text, |(_, formatted)| formatted);
        if fmt.diff {
            output.raw(diff(source, formatted).as_bytes());
        } else if !fmt.check {
            output.raw(formatted.as_bytes());
        }
    }
    layout.code(fmt)
}

fn format_files(fmt: &Fmt, layout: &Layout<'_>, output: &mut Output<'_>) -> Result<u8, Failure> {
    let only_look = fmt.check || fmt.diff;
    for (source, formatted) in &layout.changed {
        if !only_look {
            write::write(Path::new(&source.path), formatted.as_bytes())?;
        }
        if fmt.diff {
            output.raw(diff(source, formatted).as_bytes());
        } else if !output.for_program() {
            output.data(&source.path);
        }
    }
    if output.for_program() && !fmt.diff {
        output.document(&document(layout));
    } else {
        output.diagnostics(Stream::Errors, &layout.diagnostics, layout.sources);
    }
    if output.format() == Format::Human || output.format() == Format::Plain {
        output.say(&layout.summary(only_look));
    }
    Ok(layout.code(fmt))
}

fn document(layout: &Layout<'_>) -> serde_json::Value {
    let changed: Vec<_> = layout.changed.iter().map(|(source, _)| &source.path).collect();
    let broken: Vec<_> = layout.broken.iter().map(|source| &source.path).collect();
    let findings = layout.diagnostics.iter().map(|diagnostic| Finding::of(diagnostic, layout.sources));
    let findings: Vec<_> = findings.collect();
    json!({ "schema": "mesh.fmt/v1", "changed": changed, "not_touched": broken, "diagnostics": findings })
}

pub(super) fn diff(source: &Source, formatted: &str) -> String {
    let diff = TextDiff::from_lines(source.text.as_str(), formatted);
    diff.unified_diff().header(&source.path, &source.path).to_string()
}
