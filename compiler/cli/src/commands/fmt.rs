//! `mesh fmt`: write the canonical layout.

use crate::args::{Fmt, Format};
use crate::failure::Failure;
use crate::load::{Project, load, load_input};
use crate::output::{Output, Stream, count};
use crate::{FINDINGS, OK, write};
use mesh_lang::Source;
use serde_json::json;
use similar::TextDiff;
use std::io::Read;
use std::path::Path;

/// The PATH that stands for standard input.
const STANDARD_INPUT: &str = "-";

pub(crate) fn run(fmt: &Fmt, input: &mut dyn Read, output: &mut Output<'_>) -> Result<u8, Failure> {
    let from_input = fmt.paths.iter().any(|path| path == Path::new(STANDARD_INPUT));
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
    if from_input { Ok(format_input(fmt, &project, output)) } else { format_files(fmt, &project, output) }
}

/// A file that is no text has no layout; the other files are not touched either.
fn refuse(project: &Project, output: &mut Output<'_>) -> u8 {
    output.diagnostics(Stream::Errors, &project.diagnostics, &project.sources);
    FINDINGS
}

fn format_input(fmt: &Fmt, project: &Project, output: &mut Output<'_>) -> u8 {
    let mut code = OK;
    for (_, source) in project.sources.iter() {
        let formatted = mesh_lang::format(&source.text);
        if fmt.check && formatted != source.text {
            code = FINDINGS;
        }
        if fmt.diff {
            output.raw(diff(source, &formatted).as_bytes());
        } else if !fmt.check {
            output.raw(formatted.as_bytes());
        }
    }
    code
}

fn format_files(fmt: &Fmt, project: &Project, output: &mut Output<'_>) -> Result<u8, Failure> {
    let changed: Vec<(&Source, String)> = project
        .sources
        .iter()
        .map(|(_, source)| (source, mesh_lang::format(&source.text)))
        .filter(|(source, formatted)| *formatted != source.text)
        .collect();
    let only_look = fmt.check || fmt.diff;
    for (source, formatted) in &changed {
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
        let paths: Vec<_> = changed.iter().map(|(source, _)| &source.path).collect();
        output.document(&json!({ "schema": "mesh.fmt/v1", "changed": paths }));
    }
    if output.format() == Format::Human || output.format() == Format::Plain {
        let verb = if only_look { "would change" } else { "changed" };
        let files = count(project.sources.len(), "file");
        output.say(&format!("{files}, {} {verb}", changed.len()));
    }
    Ok(if fmt.check && !changed.is_empty() { FINDINGS } else { OK })
}

fn diff(source: &Source, formatted: &str) -> String {
    let diff = TextDiff::from_lines(source.text.as_str(), formatted);
    diff.unified_diff().header(&source.path, &source.path).to_string()
}
