//! Fixture text becomes a project, and what the compiler says of it becomes text.

use mesh_compiler::{Compilation, Day, StandIns};
use mesh_lang::diagnostic::render::{self, Style};
use mesh_lang::{Code, Diagnostic, Source, SourceSet};
use std::path::Path;

/// A line that begins so names the file that the lines below it are.
const FILE: &str = "#- ";

/// The file that a text without such a line is.
const ONLY_FILE: &str = "shop.mesh";

/// The day of all fixtures, so that none of them grows old.
const TODAY: &str = "2026-06-30";

/// Pictures are as wide as a terminal is by default.
const COLUMNS: usize = 80;

/// The files of a fixture.
#[derive(Clone, Debug)]
pub struct Project {
    pub sources: SourceSet,
}

impl Project {
    /// One file, or several with a line `#- shop/cart.mesh` above each; what stands above the first of these lines
    /// is about the fixture and in no file.
    pub fn parse(text: &str) -> Project {
        let mut files: Vec<Source> = Vec::new();
        for line in text.split_inclusive('\n') {
            match (line.strip_prefix(FILE), files.last_mut()) {
                (Some(path), _) => files.push(source(path.trim(), String::new())),
                (None, Some(file)) => file.text.push_str(line),
                (None, None) => {}
            }
        }
        if files.is_empty() {
            files.push(source(ONLY_FILE, text.to_owned()));
        }
        Project { sources: SourceSet::new(files) }
    }

    /// A fixture on disk.
    #[track_caller]
    pub fn read(path: &Path) -> Project {
        let text = std::fs::read_to_string(path);
        Project::parse(&text.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// What the compiler makes of it, without stand-ins.
    pub fn compile(&self) -> Compilation {
        mesh_compiler::compile_on(&self.sources, None, Day::parse(TODAY), &StandIns::new())
    }

    /// The codes that it raises, in order of place.
    pub fn codes(&self) -> Vec<Code> {
        self.compile().diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
    }

    /// The lines of its diagnostics, in order of place.
    pub fn lines(&self) -> Vec<usize> {
        let spans = self.compile().diagnostics.into_iter().filter_map(|diagnostic| diagnostic.span());
        spans.map(|span| self.sources.position(span).0).collect()
    }

    /// The codes that `mesh build` raises.
    pub fn codes_to_run(&self) -> Vec<Code> {
        let compilation = self.compile();
        let all = compilation.diagnostics.iter().chain(&compilation.unexecuted);
        all.map(|diagnostic| diagnostic.code).collect()
    }

    /// Its diagnostics as a person sees them, without colour.
    pub fn diagnostics(&self) -> String {
        let style = Style::Unicode { color: false };
        self.shown(|diagnostic| render::human(diagnostic, &self.sources, style, COLUMNS), "\n\n")
    }

    /// Its diagnostics, one line each.
    pub fn short(&self) -> String {
        self.shown(|diagnostic| render::short(diagnostic, &self.sources), "\n")
    }

    fn shown(&self, show: impl Fn(&Diagnostic) -> String, between: &str) -> String {
        let diagnostics = self.compile().diagnostics;
        let all: Vec<String> =
            diagnostics.iter().map(|diagnostic| show(diagnostic).trim_end().to_owned()).collect();
        all.join(between)
    }
}

fn source(path: &str, text: String) -> Source {
    let module = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    Source { path: path.to_owned(), module: module.to_owned(), text }
}
