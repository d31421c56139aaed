//! What `mesh trim --format json` prints; `spec/schema/trim.json` is its schema.

use mesh_compiler::trim::{Proposed, Trimmed};
use mesh_lang::SourceSet;
use schemars::JsonSchema;
use serde::Serialize;

/// Names the shape of [`Document`]; a change that breaks a reader gets another number.
const SCHEMA: &str = "mesh.trim/v1";

/// What could be narrower.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Document {
    /// `mesh.trim/v1`
    schema: String,
    /// In order of file and place.
    lines: Vec<Line>,
    /// Callers and callees of the log that the project does not have.
    unknown: Vec<String>,
}

/// An `allow` line that lets in more than was seen.
#[derive(Debug, Serialize, JsonSchema)]
struct Line {
    file: String,
    /// From 1.
    line: u32,
    /// `cart.shop`
    target: String,
    /// In canonical form.
    current: String,
    /// What would let in all that was seen of it; not there where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<String>,
    /// How many requests of the log it lets in.
    seen: usize,
}

impl Document {
    pub(crate) fn of(trimmed: &Trimmed, sources: &SourceSet) -> Document {
        let lines = trimmed.lines.iter().map(|trimming| Line {
            file: sources.get(trimming.span.file()).map_or(String::new(), |source| source.path.clone()),
            line: sources.position(trimming.span).0 as u32,
            target: trimming.target.clone(),
            current: trimming.line.clone(),
            proposed: match &trimming.proposed {
                Proposed::Unused => None,
                Proposed::Narrower(line) => Some(line.clone()),
            },
            seen: trimming.seen,
        });
        Document { schema: SCHEMA.to_owned(), lines: lines.collect(), unknown: trimmed.unknown.clone() }
    }
}
