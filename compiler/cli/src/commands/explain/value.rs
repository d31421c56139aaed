//! `mesh explain reviews.timeout`: the value in each environment, and the lines that set it.

use crate::args::Explain;
use crate::commands::{Parsed, environment};
use crate::failure::Failure;
use crate::load::load;
use crate::output::{Output, Stream};
use crate::{FINDINGS, OK};
use mesh_compiler::values::{Line, Value};
use mesh_lang::{SourceSet, Span};
use serde_json::json;
use std::path::PathBuf;

pub(super) fn run(asked: &str, explain: &Explain, output: &mut Output<'_>) -> Result<u8, Failure> {
    let here = [PathBuf::from(".")];
    let project = load(if explain.paths.is_empty() { &here } else { &explain.paths })?;
    let parsed = Parsed::of(&project);
    let mut found: Vec<(Vec<String>, Value)> = Vec::new();
    for environment in environment::each(&parsed, &explain.only.environments)? {
        let value = parsed.project.value(asked, environment.as_deref());
        let value = value.map_err(|unknown| Failure::new(unknown.message, unknown.help))?;
        match found.iter_mut().find(|(_, known)| *known == value) {
            Some((environments, _)) => environments.extend(environment),
            None => found.push((environment.into_iter().collect(), value)),
        }
    }
    let sources = &project.sources;
    if output.for_program() {
        for (environments, value) in &found {
            output.document(&document(asked, environments, value, sources));
        }
        return Ok(OK);
    }
    // What cannot be read is left out of the lines, so the answer may be wrong.
    let first = parsed.project.unreadable();
    let several = found.len() > 1;
    for (index, (environments, value)) in found.iter().enumerate() {
        if index > 0 {
            output.data("");
        }
        let place = match (several, environments.as_slice()) {
            (true, names) => format!(" in {}", names.join(", ")),
            (false, _) => String::new(),
        };
        show(value, &place, sources, output);
    }
    if let Some(first) = first {
        output.say("\nSome lines cannot be read and are left out:");
        output.diagnostics(Stream::Errors, std::slice::from_ref(first), sources);
        return Ok(FINDINGS);
    }
    Ok(OK)
}

fn show(value: &Value, place: &str, sources: &SourceSet, output: &mut Output<'_>) {
    let Value { of, keyword, lines, nearer, together } = value;
    match (lines.first(), together) {
        (None, _) => output.data(&format!("{keyword} of {of}{place}: not written")),
        (Some(_), true) => output.data(&format!("{keyword} of {of}{place}: all of these hold")),
        (Some(first), false) => output.data(&format!("{keyword} of {of}{place}: {}", said(first, keyword))),
    }
    if !lines.is_empty() {
        output.data("");
    }
    for (index, line) in lines.iter().enumerate() {
        let counts = if index == 0 || *together { "" } else { ", behind the lines above" };
        row(line, counts, sources, output);
    }
    if !nearer.is_empty() {
        let what = if *together { "These hold as well" } else { "These count instead" };
        output.data(&format!("\n{what}, for the requests that pass them:\n"));
        nearer.iter().for_each(|line| row(line, "", sources, output));
    }
}

/// A line without its keyword.
fn said<'a>(line: &'a Line, keyword: &str) -> &'a str {
    line.text.strip_prefix(keyword).map_or(line.text.as_str(), str::trim_start)
}

fn row(line: &Line, counts: &str, sources: &SourceSet, output: &mut Output<'_>) {
    output.data(&format!("  {}", line.text));
    output.data(&format!("    {}, {}{counts}", line.place, at(line.span, sources)));
    for parameter in &line.parameters {
        let place = at(parameter.span, sources);
        output.data(&format!("    ${} is {}, {place}", parameter.name, parameter.text));
    }
}

fn at(span: Span, sources: &SourceSet) -> String {
    let file = sources.get(span.file()).map_or("", |source| source.path.as_str());
    format!("{file}:{}", sources.position(span).0)
}

fn document(asked: &str, environments: &[String], value: &Value, sources: &SourceSet) -> serde_json::Value {
    let line = |line: &Line| {
        let parameters: Vec<_> = line
            .parameters
            .iter()
            .map(|own| json!({ "name": own.name, "value": own.text, "at": at(own.span, sources) }))
            .collect();
        json!({ "text": line.text, "place": line.place, "at": at(line.span, sources), "parameters": parameters })
    };
    json!({
        "schema": "mesh.explain/v1",
        "value": asked,
        "of": value.of,
        "environments": environments,
        "hold_together": value.together,
        "lines": value.lines.iter().map(line).collect::<Vec<_>>(),
        "nearer": value.nearer.iter().map(line).collect::<Vec<_>>(),
    })
}
