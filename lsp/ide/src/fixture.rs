//! Projects in a text, with `$0` where the cursor is: `#- shop/cart.mesh` begins a file.

use crate::{Analysis, At};
use mesh_lang::{FileId, Source, SourceSet};
use std::path::{Path, PathBuf};

/// The project that a text describes, and where the cursor is.
pub(crate) fn fixture(text: &str) -> (Analysis, At) {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("#- ") {
            Some(path) => files.push((path.to_owned(), String::new())),
            None => {
                if files.is_empty() {
                    files.push(("a.mesh".into(), String::new()));
                }
                let (_, said) = files.last_mut().unwrap();
                said.push_str(line);
                said.push('\n');
            }
        }
    }
    files.sort();
    let mut at = At { file: FileId(0), offset: 0 };
    let mut sources = Vec::new();
    for ((path, text), id) in files.into_iter().zip(0..) {
        if let Some(offset) = text.find("$0") {
            at = At { file: FileId(id), offset: offset as u32 };
        }
        let module = Path::new(&path).parent().unwrap().to_str().unwrap().to_owned();
        sources.push(Source { path, module, text: text.replace("$0", "") });
    }
    (Analysis::new(SourceSet::new(sources), None), at)
}

/// The files of all examples.
pub(crate) fn examples() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "mesh") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `a.mesh:3:5 calls cart`: a place and its line, as answers are shown in snapshots.
pub(crate) fn shown(analysis: &Analysis, span: mesh_lang::Span) -> String {
    let sources = analysis.sources();
    let (line, column) = sources.position(span);
    let source = sources.get(span.file()).unwrap();
    let text = source.text.lines().nth(line - 1).unwrap_or_default().trim();
    format!("{}:{line}:{column} [{}] in `{text}`", source.path, sources.text(span))
}
