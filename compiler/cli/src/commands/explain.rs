//! `mesh explain`: what a code means and what to do about it, how a statement is written, and where a value comes from.

mod value;

use crate::OK;
use crate::args::Explain;
use crate::failure::Failure;
use crate::output::Output;
use mesh_lang::diagnostic::{Code, Severity, suggest};
use mesh_lang::signature::{Place, Signature, Status};
use serde_json::json;

pub(crate) fn run(explain: &Explain, output: &mut Output<'_>) -> Result<u8, Failure> {
    let Some(asked) = explain.asked.as_deref() else {
        list(output);
        return Ok(OK);
    };
    if asked.contains('.') {
        return value::run(asked, explain, output);
    }
    if let (Some(path), _) | (_, Some(path)) = (
        explain.paths.first().map(|path| path.display().to_string()),
        explain.only.environments.first().cloned(),
    ) {
        return Err(Failure::new(
            format!("`{asked}` is the same in every project: `{path}` has no part in it"),
            format!("Leave it out, or ask for a value: mesh explain {asked}.timeout {path}"),
        ));
    }
    match rows(asked) {
        rows if rows.is_empty() => page(find(asked)?, output),
        rows => statement(asked, &rows, output),
    }
    Ok(OK)
}

fn page(code: Code, output: &mut Output<'_>) {
    if output.for_program() {
        output.document(&json!({
            "schema": "mesh.explain/v1",
            "code": code.as_str(),
            "name": code.name(),
            "severity": severity(code),
            "page": code.page(),
        }));
    } else {
        output.data(code.page().trim_end());
    }
}

/// The rows of a keyword: it may have other forms in other blocks.
fn rows(keyword: &str) -> Vec<(Place, &'static Signature)> {
    let of = |place: Place| place.statements().iter().map(move |row| (place, row));
    Place::ALL.into_iter().flat_map(of).filter(|(_, row)| row.keyword == keyword).collect()
}

fn statement(keyword: &str, rows: &[(Place, &'static Signature)], output: &mut Output<'_>) {
    let mut forms: Vec<(&'static Signature, Vec<&'static str>)> = Vec::new();
    for (place, row) in rows {
        match forms.iter_mut().find(|(known, _)| known == row) {
            Some((_, places)) => places.push(place_name(*place)),
            None => forms.push((row, vec![place_name(*place)])),
        }
    }
    if output.for_program() {
        let forms: Vec<_> = forms
            .iter()
            .map(|(row, places)| {
                let inside = row.body.place().map_or(&[][..], Place::statements);
                let inside: Vec<_> =
                    inside.iter().map(|row| json!({ "form": row.form, "doc": row.doc })).collect();
                json!({ "form": row.form, "doc": row.doc, "in": places, "executed": executed(row), "statements": inside })
            })
            .collect();
        return output.document(&json!({ "schema": "mesh.explain/v1", "keyword": keyword, "forms": forms }));
    }
    let texts: Vec<String> = forms.iter().map(|(row, places)| form(row, places)).collect();
    output.data(&texts.join("\n\n"));
}

/// One form: how it is written, where, what for, and what stands in its block.
fn form(row: &Signature, places: &[&str]) -> String {
    let mut text = format!("{}\n\n  {}\n  In {}.", row.form, row.doc, in_words(places));
    if let Some(without) = executed(row) {
        text.push_str(&format!("\n  {without}"));
    }
    if let Some(place) = row.body.place() {
        text.push_str(&format!("\n\n  What stands in `{}`:", row.keyword));
        for row in place.statements() {
            text.push_str(&format!("\n\n    {}\n      {}", row.form, row.doc));
        }
    }
    text
}

/// What this version leaves out, where it leaves something out.
fn executed(row: &Signature) -> Option<&'static str> {
    match row.status {
        Status::Executed => None,
        Status::Checked => Some("`mesh check` decides about it; `mesh build` refuses it (MESH1010)."),
    }
}

fn in_words(places: &[&str]) -> String {
    let quoted = |place: &&str| if *place == "file" { "a file".to_owned() } else { format!("`{place}`") };
    places.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

fn place_name(place: Place) -> &'static str {
    match place {
        Place::File => "file",
        Place::Env => "env",
        other => other.keyword().unwrap_or_default(),
    }
}

/// Every keyword once, in the order of the specification, with what it is for where it first stands.
fn keywords() -> Vec<&'static Signature> {
    let mut known: Vec<&'static Signature> = Vec::new();
    for row in Place::ALL.into_iter().flat_map(Place::statements) {
        if !known.iter().any(|own| own.keyword == row.keyword) {
            known.push(row);
        }
    }
    known
}

fn list(output: &mut Output<'_>) {
    if output.for_program() {
        let codes: Vec<_> = Code::ALL
            .iter()
            .map(|code| json!({ "code": code.as_str(), "name": code.name(), "severity": severity(*code) }))
            .collect();
        let statements: Vec<_> =
            keywords().iter().map(|row| json!({ "keyword": row.keyword, "doc": row.doc })).collect();
        return output
            .document(&json!({ "schema": "mesh.explain/v1", "codes": codes, "statements": statements }));
    }
    for code in Code::ALL {
        output.data(&format!("{}  {:<7}  {}", code.as_str(), severity(*code), code.name()));
    }
    output.data("");
    let keywords = keywords();
    let width = keywords.iter().map(|row| row.keyword.len()).max().unwrap_or_default();
    for row in keywords {
        output.data(&format!("{:<width$}  {}", row.keyword, row.doc));
    }
}

fn severity(code: Code) -> &'static str {
    match code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The code of this number, with or without `MESH`, or of this name.
fn find(asked: &str) -> Result<Code, Failure> {
    let number = asked.to_ascii_uppercase();
    let name = asked.to_ascii_lowercase();
    Code::find(asked).ok_or_else(|| {
        let codes = Code::ALL.iter().flat_map(|code| [code.as_str(), code.name()]);
        let names = codes.chain(keywords().into_iter().map(|row| row.keyword));
        let nearest = suggest::nearest(&number, names.clone()).or_else(|| suggest::nearest(&name, names));
        // A part of a name, `ambiguous`, is too far from the whole for a slip of the pen.
        let parts = || Code::ALL.iter().map(|code| code.name()).filter(|known| known.contains(&name));
        let near: Vec<&str> = nearest.map_or_else(|| parts().collect(), |nearest| vec![nearest]);
        let help = if near.is_empty() || asked.is_empty() {
            "All of them: mesh explain --list".to_owned()
        } else {
            format!("Did you mean {}? All of them: mesh explain --list", super::quoted(&near))
        };
        Failure::new(format!("neither a code nor a statement: `{asked}`"), help)
    })
}
