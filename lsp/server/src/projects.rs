//! The projects of a client: each folder of its workspace is one, and a file outside of them is one with the files beside it.

use crate::documents::{Document, Documents};
use crate::position::{Encoding, Lines};
use crate::{Loaded, Reach, Tools, uri};
use gen_lsp_types::{Diagnostic, Location, Position, Range, Uri};
use mesh_ide::{Analysis, At};
use mesh_lang::{FileId, Source, SourceSet, Span};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A project that is open.
pub(crate) struct Project {
    /// The directory; `None` for a buffer that was never saved.
    pub(crate) root: Option<PathBuf>,
    pub(crate) reach: Reach,
    pub(crate) analysis: Analysis,
    /// What is wrong with the bytes of files.
    pub(crate) flaws: Vec<mesh_lang::Diagnostic>,
    /// Of each file, as the client spells it.
    uris: Vec<String>,
    files: BTreeMap<Place, FileId>,
    /// Buffers that say something else than the analysis knows.
    behind: BTreeSet<FileId>,
    /// Files came or went: what there is, is to be read again.
    pub(crate) stale: bool,
    /// Something may be said now that was not said before.
    pub(crate) unsaid: bool,
    lines: RefCell<BTreeMap<FileId, Lines>>,
    /// What was last said of each file, and how often something else was said before.
    pub(crate) said: BTreeMap<FileId, (Vec<Diagnostic>, u64)>,
    /// The last coloured words of files, with their number.
    pub(crate) coloured: BTreeMap<FileId, (u64, Vec<u32>)>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Path(PathBuf),
    /// A buffer that was never saved.
    Unsaved(String),
}

impl Place {
    pub(crate) fn of(uri: &str) -> Place {
        uri::to_path(uri).map_or_else(|| Place::Unsaved(uri.to_owned()), Place::Path)
    }
}

impl Project {
    /// Reads a directory, with the buffers that are open over its files. The error is a sentence; then the buffers are all there is.
    pub(crate) fn load(
        root: &Path,
        reach: Reach,
        documents: &Documents,
        tools: &Tools,
    ) -> (Project, Option<String>) {
        let (loaded, problem) = match (tools.load)(root, reach) {
            Ok(loaded) => (loaded, None),
            Err(problem) => (Loaded::default(), Some(problem)),
        };
        let mut files: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (path, module, text) in loaded.files {
            files.insert(path, (module, text));
        }
        for document in documents.iter() {
            let Some(inside) = document.path.as_deref().and_then(|path| inside(root, path)) else { continue };
            if is_of(&inside, reach, tools) {
                let module = inside.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
                files.insert(inside, (module, document.text.clone()));
            }
        }
        let sources = files.into_iter().map(|(path, (module, text))| Source { path, module, text });
        let sources = SourceSet::new(sources.collect());
        let place = |path: &str| Place::Path(root.join(path));
        let project =
            Project::of(Some(root.to_owned()), reach, sources, loaded.flaws, &place, documents, tools);
        (project, problem)
    }

    /// A buffer that was never saved, by itself.
    pub(crate) fn unsaved(document: &Document, documents: &Documents, tools: &Tools) -> Project {
        let name = document.uri.rsplit(':').next().unwrap_or("untitled");
        let sources = SourceSet::single(name, &document.text);
        let place = |_: &str| Place::Unsaved(document.uri.clone());
        Project::of(None, Reach::Beside, sources, vec![], &place, documents, tools)
    }

    fn of(
        root: Option<PathBuf>,
        reach: Reach,
        sources: SourceSet,
        flaws: Vec<mesh_lang::Diagnostic>,
        place: &dyn Fn(&str) -> Place,
        documents: &Documents,
        tools: &Tools,
    ) -> Project {
        let spelled: BTreeMap<Place, &str> =
            documents.iter().map(|document| (Place::of(&document.uri), document.uri.as_str())).collect();
        let (mut uris, mut files) = (Vec::new(), BTreeMap::new());
        for (id, source) in sources.iter() {
            let place = place(&source.path);
            let uri = match (spelled.get(&place), &place) {
                (Some(uri), _) => (*uri).to_owned(),
                (None, Place::Path(path)) => uri::of_path(path),
                (None, Place::Unsaved(uri)) => uri.clone(),
            };
            uris.push(uri);
            files.insert(place, id);
        }
        Project {
            root,
            reach,
            analysis: Analysis::new(sources, tools.today),
            flaws,
            uris,
            files,
            behind: BTreeSet::new(),
            stale: false,
            unsaid: true,
            lines: RefCell::default(),
            said: BTreeMap::new(),
            coloured: BTreeMap::new(),
        }
    }

    pub(crate) fn file(&self, uri: &str) -> Option<FileId> {
        self.files.get(&Place::of(uri)).copied()
    }

    /// Whether a file would be of this project if it were there.
    pub(crate) fn would_hold(&self, place: &Place, tools: &Tools) -> bool {
        match (&self.root, place) {
            (Some(root), Place::Path(path)) => {
                inside(root, path).is_some_and(|inside| is_of(&inside, self.reach, tools))
            }
            _ => self.files.contains_key(place),
        }
    }

    pub(crate) fn uri(&self, file: FileId) -> &str {
        self.uris.get(file.0 as usize).map_or("", String::as_str)
    }

    /// A buffer says something else.
    pub(crate) fn changed(&mut self, uri: &str) {
        if let Some(file) = self.file(uri) {
            if let Some(known) = self.uris.get_mut(file.0 as usize) {
                *known = uri.to_owned();
            }
            self.behind.insert(file);
        }
    }

    pub(crate) fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Makes the analysis know what the buffers say.
    pub(crate) fn catch_up(&mut self, documents: &Documents) {
        for file in std::mem::take(&mut self.behind) {
            if let Some(document) = documents.get(self.uri(file)) {
                let text = document.text.clone();
                self.edit(file, &text);
            }
        }
    }

    pub(crate) fn edit(&mut self, file: FileId, text: &str) {
        self.lines.borrow_mut().remove(&file);
        self.unsaid = true;
        self.analysis.edit(file, text);
    }

    fn with_lines<T>(&self, file: FileId, then: impl FnOnce(&Lines, &str) -> T) -> T {
        let text = self.analysis.text(file);
        let mut lines = self.lines.borrow_mut();
        then(lines.entry(file).or_insert_with(|| Lines::of(text)), text)
    }

    pub(crate) fn range(&self, span: Span, encoding: Encoding) -> Range {
        self.with_lines(span.file(), |lines, text| lines.range(text, span.start()..span.end(), encoding))
    }

    pub(crate) fn position(&self, file: FileId, offset: u32, encoding: Encoding) -> Position {
        self.with_lines(file, |lines, text| lines.position(text, offset, encoding))
    }

    pub(crate) fn location(&self, span: Span, encoding: Encoding) -> Location {
        Location { uri: Uri(self.uri(span.file()).to_owned()), range: self.range(span, encoding) }
    }

    pub(crate) fn at(&self, file: FileId, position: Position, encoding: Encoding) -> At {
        At { file, offset: self.with_lines(file, |lines, text| lines.offset(text, position, encoding)) }
    }

    pub(crate) fn offsets(&self, file: FileId, range: Range, encoding: Encoding) -> std::ops::Range<u32> {
        let start = self.at(file, range.start, encoding).offset;
        start..self.at(file, range.end, encoding).offset.max(start)
    }
}

/// A path below a directory, with `/`.
pub(crate) fn inside(root: &Path, path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root).ok()?.to_str()?;
    Some(inside.replace('\\', "/")).filter(|inside| !inside.is_empty())
}

fn is_of(inside: &str, reach: Reach, tools: &Tools) -> bool {
    (tools.is_searched)(inside) && (reach == Reach::Below || !inside.contains('/'))
}
