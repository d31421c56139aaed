//! The whole outside world, already in memory: the files of a project.

mod lines;

use lines::Lines;

/// Which file of a [`SourceSet`]: its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// One file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path as shown to the user, relative to where the command was started, with `/`.
    pub path: String,
    /// The directory inside the project (`""` for its root): the module the file belongs to.
    pub module: String,
    /// The text; CRLF and a byte order mark are still in it, so that spans are those of the file.
    pub text: String,
}

impl Source {
    /// Its path inside the project, with `/`: the same wherever the project is and the command was started.
    pub fn path_inside(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        if self.module.is_empty() { name.to_owned() } else { format!("{}/{name}", self.module) }
    }
}

/// The files of a project, sorted by path.
#[derive(Clone, Debug, Default)]
pub struct SourceSet {
    files: Vec<Source>,
    /// Of each file, in the same order.
    lines: Vec<Lines>,
}

/// A longer file is refused (`MESH1002`): nobody reads 8 MiB of policy, and spans are 32 bits.
pub const MAX_FILE_BYTES: usize = 8 << 20;

/// More files than this are refused (`MESH1002`).
pub const MAX_FILES: usize = 10_000;

impl SourceSet {
    /// A set of files; their order does not matter.
    pub fn new(mut files: Vec<Source>) -> SourceSet {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let lines = files.iter().map(|source| Lines::of(&source.text)).collect();
        SourceSet { files, lines }
    }

    /// A set of one file in the root module: for tests and standard input.
    pub fn single(path: &str, text: &str) -> SourceSet {
        SourceSet::new(vec![Source { path: path.into(), module: String::new(), text: text.into() }])
    }

    /// All files with their ids, in order of path.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &Source)> {
        self.files.iter().enumerate().map(|(index, source)| (FileId(index as u32), source))
    }

    /// The file of an id that came from this set.
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(file.0 as usize)
    }

    /// Puts another text in the place of a file's; whether there is such a file.
    pub fn replace(&mut self, file: FileId, text: &str) -> bool {
        let at = file.0 as usize;
        let (Some(source), Some(lines)) = (self.files.get_mut(at), self.lines.get_mut(at)) else {
            return false;
        };
        source.text = text.to_owned();
        *lines = Lines::of(text);
        true
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The text a span covers; empty if the span is not of this set.
    pub fn text(&self, span: crate::span::Span) -> &str {
        self.get(span.file())
            .and_then(|source| source.text.get(span.start() as usize..span.end() as usize))
            .unwrap_or_default()
    }

    /// Line and column of a span's start, both from 1; the column counts `char`s.
    pub fn position(&self, span: crate::span::Span) -> (usize, usize) {
        self.place(span.file(), span.start())
    }

    /// Line and column one past a span's last character, counted like [`SourceSet::position`].
    pub fn end_position(&self, span: crate::span::Span) -> (usize, usize) {
        self.place(span.file(), span.end())
    }

    fn place(&self, file: FileId, offset: u32) -> (usize, usize) {
        let lines = self.get(file).zip(self.lines.get(file.0 as usize));
        lines.map_or((1, 1), |(source, lines)| lines.place(&source.text, offset as usize))
    }
}
