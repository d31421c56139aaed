//! `mesh doc`: a page for each service and gateway and an index of them, as Markdown or HTML. Same files, same bytes.

mod html;
mod markdown;
mod page;

use super::{Parsed, environment};
use crate::args::{Doc, DocFormat};
use crate::failure::Failure;
use crate::load::load;
use crate::output::{Output, Stream, count};
use crate::{FINDINGS, OK, write};
use mesh_compiler::StandIns;
use mesh_compiler::describe::Description;
use mesh_lang::Severity;
use page::{Page, Pages};
use serde_json::json;
use std::fs;

pub(crate) fn run(doc: &Doc, output: &mut Output<'_>) -> Result<u8, Failure> {
    let project = load(&doc.sources.paths)?;
    let parsed = Parsed::of(&project);
    let (mut found, mut described) = (Vec::new(), Vec::new());
    for environment in environment::each(&parsed, &[])? {
        let compilation = parsed.compile(environment.as_deref(), &StandIns::new());
        let description = parsed.project.describe(environment.as_deref());
        found.push((environment.clone(), compilation.diagnostics));
        described.push((environment, description));
    }
    let diagnostics = environment::together(&parsed, found);
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        super::print(output, Stream::Data, &diagnostics, &[], &parsed, |_| {});
        output.say("No page is written: what a project with errors means is not known.");
        return Ok(FINDINGS);
    }
    let pages = Pages::of(&described, &project.sources);
    let files = rendered(&pages, doc.markup);
    fs::create_dir_all(&doc.output).map_err(|error| Failure::io("create", &doc.output, &error))?;
    for (name, text) in &files {
        write::write(&doc.output.join(name), text.as_bytes())?;
    }
    if output.for_program() {
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        output.document(&json!({ "schema": "mesh.doc/v1", "directory": doc.output.display().to_string(), "files": names }));
    } else {
        let index = files.first().map_or("", |(name, _)| name.as_str());
        output.say(&format!(
            "{}, begin with {}",
            count(files.len(), "page"),
            doc.output.join(index).display()
        ));
    }
    Ok(OK)
}

/// What was described, for each environment.
type Described = (Option<String>, Description);

/// The names and texts of the files, the index first.
fn rendered(pages: &Pages, markup: DocFormat) -> Vec<(String, String)> {
    let end = match markup {
        DocFormat::Markdown => "md",
        DocFormat::Html => "html",
    };
    let render = |page: &Page| match markup {
        DocFormat::Markdown => markdown::page(page),
        DocFormat::Html => html::page(page),
    };
    let all = std::iter::once(&pages.index).chain(&pages.workloads);
    all.map(|page| (format!("{}.{end}", page.file), render(page))).collect()
}
