//! `mesh explain`: what a code means and what to do about it.

use crate::OK;
use crate::args::Explain;
use crate::failure::Failure;
use crate::output::Output;
use mesh_lang::diagnostic::{Code, Severity, suggest};
use serde_json::json;

pub(crate) fn run(explain: &Explain, output: &mut Output<'_>) -> Result<u8, Failure> {
    match &explain.code {
        Some(asked) => page(find(asked)?, output),
        None => list(output),
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

fn list(output: &mut Output<'_>) {
    if output.for_program() {
        let codes: Vec<_> = Code::ALL
            .iter()
            .map(|code| json!({ "code": code.as_str(), "name": code.name(), "severity": severity(*code) }))
            .collect();
        return output.document(&json!({ "schema": "mesh.explain/v1", "codes": codes }));
    }
    for code in Code::ALL {
        output.data(&format!("{}  {:<7}  {}", code.as_str(), severity(*code), code.name()));
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
    let is_it = |code: &&Code| {
        code.as_str() == number || code.as_str().strip_prefix("MESH") == Some(&number) || code.name() == name
    };
    Code::ALL.iter().find(is_it).copied().ok_or_else(|| {
        let names = Code::ALL.iter().flat_map(|code| [code.as_str(), code.name()]);
        let nearest = suggest::nearest(&number, names.clone()).or_else(|| suggest::nearest(&name, names));
        // A part of a name, `ambiguous`, is too far from the whole for a slip of the pen.
        let parts = || Code::ALL.iter().map(|code| code.name()).filter(|known| known.contains(&name));
        let near: Vec<&str> = nearest.map_or_else(|| parts().collect(), |nearest| vec![nearest]);
        let help = if near.is_empty() || asked.is_empty() {
            "All codes: mesh explain --list".to_owned()
        } else {
            format!("Did you mean {}? All codes: mesh explain --list", super::quoted(&near))
        };
        Failure::new(format!("no such code: `{asked}`"), help)
    })
}
