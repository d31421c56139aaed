//! From disk to [`SourceSet`]: the one place that reads sources.

use crate::failure::Failure;
use mesh_lang::diagnostic::{Code, Diagnostic};
use mesh_lang::source::{MAX_FILE_BYTES, MAX_FILES};
use mesh_lang::{FileId, Source, SourceSet, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// What the names of sources end in.
const SUFFIX: &str = ".mesh";

/// What was found on disk.
pub(crate) struct Project {
    /// The files, sorted by path.
    pub(crate) sources: SourceSet,
    /// Files that are no text or too long. Where there is one, what the others say cannot be judged.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Where one file alone was named: the names of the `.mesh` files beside it.
    pub(crate) unread: Vec<String>,
}

/// The PATH by which other commands mean standard input.
pub(crate) const STANDARD_STREAM: &str = "-";

/// Reads every `.mesh` file that the paths name or hold.
///
/// The project's root, from which modules are counted, is the directory given (for a file: the one it is in); of
/// several, the one that holds all others, else the current directory.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Project, Failure> {
    let files = find(paths)?;
    if files.is_empty() {
        let given: Vec<_> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(Failure::new(
            format!("no `.mesh` file in {}", given.join(", ")),
            "Name a directory that holds `.mesh` files, e.g. examples/bookinfo.",
        ));
    }
    if files.len() > MAX_FILES {
        let message = format!("the project has {} files, {MAX_FILES} are the most it may have", files.len());
        let help = "Name a directory further down, or several files.";
        let diagnostics = vec![Diagnostic::new(Code::TooLarge, message).help(help)];
        return Ok(Project { sources: SourceSet::default(), diagnostics, unread: Vec::new() });
    }
    let root = root(paths)?;
    let mut contents = Vec::new();
    for (canonical, shown) in files {
        contents.push((text_of(&shown)?, module(&root, &canonical)?, read(&shown)?));
    }
    Ok(Project { unread: unread(paths), ..project(contents) })
}

/// Reads the `.mesh` files that stand directly in a directory: those beside one that is opened.
pub(crate) fn load_beside(directory: &Path) -> Result<Project, Failure> {
    let entries = fs::read_dir(directory).map_err(|error| Failure::io("read", directory, &error))?;
    let names = entries.flatten().map(|entry| entry.path());
    let is_source = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        is_searched(&name) && path.is_file()
    };
    let paths: Vec<PathBuf> = names.filter(is_source).collect();
    load(&paths)
}

/// The text of a file; `None` where it is not there, too long or no text.
pub(crate) fn text(path: &Path) -> Option<String> {
    match read(path).ok()? {
        Content::Text(text) => Some(text),
        Content::Flawed(..) => None,
    }
}

/// A project whose texts are at hand.
pub(crate) fn at_hand(sources: SourceSet) -> Project {
    Project { sources, diagnostics: Vec::new(), unread: Vec::new() }
}

/// A file that was found somewhere else than on disk.
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) module: String,
    pub(crate) bytes: Vec<u8>,
}

/// The project of such files.
pub(crate) fn collected(files: Vec<Found>) -> Project {
    let content = |file: Found| (file.path, file.module, Content::of(file.bytes));
    project(files.into_iter().map(content).collect())
}

/// Whether a search of a directory would find a path below it: neither it nor what holds it is hidden or called `target`.
pub(crate) fn is_searched(path: &str) -> bool {
    path.ends_with(SUFFIX) && path.split('/').all(|part| !part.starts_with('.') && part != "target")
}

fn project(contents: Vec<(String, String, Content)>) -> Project {
    let mut texts = Vec::with_capacity(contents.len());
    let mut flaws = BTreeMap::new();
    for (path, module, content) in contents {
        let text = match content {
            Content::Text(text) => text,
            Content::Flawed(text, flaw) => {
                flaws.insert(path.clone(), flaw);
                text
            }
        };
        texts.push(Source { path, module, text });
    }
    let sources = SourceSet::new(texts);
    let diagnostics = sources
        .iter()
        .filter_map(|(file, source)| Some(flaws.get(&source.path)?.diagnostic(file, &source.path)))
        .collect();
    Project { sources, diagnostics, unread: Vec::new() }
}

/// The `.mesh` files beside the only one that is named. That they cannot be listed is no reason to stop.
fn unread(paths: &[PathBuf]) -> Vec<String> {
    let [path] = paths else { return Vec::new() };
    let directory = match canonical(path) {
        Ok(file) if file.is_file() => file.parent().unwrap_or(&file).to_owned(),
        _ => return Vec::new(),
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_beside = |name: &String| {
        name.ends_with(SUFFIX) && !name.starts_with('.') && path.file_name() != Some(name.as_ref())
    };
    let mut names: Vec<_> = names.filter(is_beside).collect();
    names.sort();
    names
}

/// The files that [`load`] would read: canonical path and path as shown. A file that two paths lead to is one.
pub(crate) fn find(paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, PathBuf>, Failure> {
    let mut files = BTreeMap::new();
    let mut visited = BTreeSet::new();
    for path in paths {
        if path == Path::new(STANDARD_STREAM) {
            return Err(Failure::new(
                "`-` is no file or directory: standard input is not read here",
                "Name a `.mesh` file or a directory. Only `mesh fmt -` reads standard input.",
            ));
        }
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            walk(path, &mut visited, &mut files)?;
        } else if metadata.is_file() && !path.to_string_lossy().ends_with(SUFFIX) {
            return Err(no_source(path));
        } else if metadata.is_file() {
            files.insert(canonical(path)?, shown(path));
        } else {
            let message = format!("cannot read `{}`: it is neither a file nor a directory", path.display());
            return Err(Failure::new(message, "Name a `.mesh` file or a directory."));
        }
    }
    Ok(files)
}

fn no_source(path: &Path) -> Failure {
    let help = if path.extension().is_some_and(|extension| extension == "mplan") {
        "Name a `.mesh` file or a directory. A plan is read with `mesh plan inspect`."
    } else {
        "Name a `.mesh` file or a directory."
    };
    Failure::new(format!("`{}` is not a `.mesh` file", path.display()), help)
}

/// A link that leads nowhere is there for whoever lists the directory: that it is missing would be no answer.
fn unreadable(path: &Path, error: &io::Error) -> Failure {
    match fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => Failure::new(
            format!("cannot read `{}`: it is a broken link to `{}`", shown(path).display(), target.display()),
            "Remove the link, or put a file where it leads.",
        ),
        _ => Failure::io("read", path, error),
    }
}

/// A directory is visited once, by its canonical path: that ends loops of symbolic links.
fn walk(
    start: &Path,
    visited: &mut BTreeSet<PathBuf>,
    files: &mut BTreeMap<PathBuf, PathBuf>,
) -> Result<(), Failure> {
    let mut waiting = vec![start.to_owned()];
    while let Some(directory) = waiting.pop() {
        if !visited.insert(canonical(&directory)?) {
            continue;
        }
        let entries = fs::read_dir(&directory).map_err(|error| Failure::io("read", &directory, &error))?;
        let mut found = Vec::new();
        for entry in entries {
            found.push(entry.map_err(|error| Failure::io("read", &directory, &error))?.file_name());
        }
        found.sort();
        for name in found {
            let path = directory.join(&name);
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let is_source = name.ends_with(SUFFIX);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    if name != "target" {
                        waiting.push(path);
                    }
                }
                Ok(metadata) if metadata.is_file() && is_source => {
                    files.entry(canonical(&path)?).or_insert_with(|| shown(&path));
                }
                Err(error) if is_source => return Err(unreadable(&path, &error)),
                // A socket, some other file, a link to nowhere: not ours.
                Ok(_) | Err(_) => {}
            }
        }
    }
    Ok(())
}

fn canonical(path: &Path) -> Result<PathBuf, Failure> {
    fs::canonicalize(path).map_err(|error| Failure::io("read", path, &error))
}

/// Without the `./` that a search in the current directory puts in front.
pub(crate) fn shown(path: &Path) -> PathBuf {
    path.components().filter(|component| !matches!(component, Component::CurDir)).collect()
}

fn text_of(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::new(
            format!("the path `{}` is not UTF-8", path.display()),
            "Rename the file or its directory.",
        )
    })
}

fn root(paths: &[PathBuf]) -> Result<PathBuf, Failure> {
    let mut directories = BTreeSet::new();
    for path in paths {
        let path = canonical(path)?;
        let is_directory = path.is_dir();
        directories.insert(if is_directory { path } else { path.parent().unwrap_or(&path).to_owned() });
    }
    // A path sorts before everything below it, so only the first can hold all others.
    match directories.first() {
        Some(first) if directories.iter().all(|directory| directory.starts_with(first)) => Ok(first.clone()),
        _ => canonical(Path::new(".")),
    }
}

fn module(root: &Path, file: &Path) -> Result<String, Failure> {
    let directory = file.parent().unwrap_or(root);
    match directory.strip_prefix(root) {
        Ok(inside) => text_of(inside),
        Err(_) => Err(Failure::new(
            format!("`{}` is outside of the project `{}`", file.display(), root.display()),
            "Name one directory that holds all the files, or start mesh there.",
        )),
    }
}

/// A file's text, or as much of it as helps to show what is wrong with it.
enum Content {
    Text(String),
    Flawed(String, Flaw),
}

enum Flaw {
    /// Longer than this language's files may be.
    TooLarge { bytes: u64 },
    /// The byte and its offset; the text has U+FFFD there.
    InvalidUtf8 { byte: u8, offset: usize },
}

/// Looks at the size before it reads, and never reads more than a file may have, even if it grows meanwhile.
fn read(path: &Path) -> Result<Content, Failure> {
    let failure = |error| Failure::io("read", path, &error);
    let file = File::open(path).map_err(failure)?;
    let bytes = file.metadata().map_err(failure)?.len();
    if bytes > MAX_FILE_BYTES as u64 {
        return Ok(Content::Flawed(String::new(), Flaw::TooLarge { bytes }));
    }
    read_text(file).map_err(failure)
}

fn read_text(input: impl Read) -> io::Result<Content> {
    let mut bytes = Vec::new();
    input.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Content::of(bytes))
}

impl Content {
    fn of(bytes: Vec<u8>) -> Content {
        if bytes.len() > MAX_FILE_BYTES {
            return Content::Flawed(String::new(), Flaw::TooLarge { bytes: bytes.len() as u64 });
        }
        match String::from_utf8(bytes) {
            Ok(text) => Content::Text(text),
            Err(error) => {
                let offset = error.utf8_error().valid_up_to();
                let byte = error.as_bytes().get(offset).copied().unwrap_or_default();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Content::Flawed(text, Flaw::InvalidUtf8 { byte, offset })
            }
        }
    }
}

/// Reads a text that is no file.
pub(crate) fn load_input(name: &str, input: impl Read) -> Result<Project, Failure> {
    let content = read_text(input).map_err(|error| Failure::io("read", Path::new(name), &error))?;
    let (text, flaw) = match content {
        Content::Text(text) => (text, None),
        Content::Flawed(text, flaw) => (text, Some(flaw)),
    };
    let sources = SourceSet::single(name, &text);
    let diagnostics = sources
        .iter()
        .filter_map(|(file, source)| Some(flaw.as_ref()?.diagnostic(file, &source.path)))
        .collect();
    Ok(Project { sources, diagnostics, unread: Vec::new() })
}

impl Flaw {
    fn diagnostic(&self, file: FileId, path: &str) -> Diagnostic {
        match *self {
            Flaw::TooLarge { bytes } => {
                let message = format!(
                    "`{path}` has {} MiB, a file may have {} MiB",
                    bytes.div_ceil(1 << 20),
                    MAX_FILE_BYTES >> 20
                );
                Diagnostic::new(Code::TooLarge, message).at(Span::new(file, 0, 0), "").help(
                    "Split it: all files of a directory are one module, and their order does not matter.",
                )
            }
            Flaw::InvalidUtf8 { byte, offset } => {
                let end = offset + char::REPLACEMENT_CHARACTER.len_utf8();
                // The text has at most three times the bytes of a file that is not too large.
                let span = Span::new(file, offset as u32, end as u32);
                Diagnostic::new(Code::InvalidUtf8, format!("byte `0x{byte:02X}` is not UTF-8"))
                    .at(span, "the first bad byte")
                    .help("Save the file as UTF-8, e.g. with `iconv -f LATIN1 -t UTF-8`.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn project(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        directory
    }

    #[track_caller]
    fn modules(paths: &[PathBuf]) -> Vec<(String, String)> {
        let project = load(paths).unwrap();
        project
            .sources
            .iter()
            .map(|(_, source)| (source.path.rsplit('/').next().unwrap().to_owned(), source.module.clone()))
            .collect()
    }

    fn pair(file: &str, module: &str) -> (String, String) {
        (file.to_owned(), module.to_owned())
    }

    #[test]
    fn a_directory_is_searched_but_not_its_hidden_and_built_parts() {
        let directory =
            project(&["a.mesh", "shop/b.mesh", ".git/c.mesh", "target/d.mesh", "e.txt", ".#a.mesh"]);
        let found = modules(&[directory.path().to_owned()]);
        assert_eq!(found, [pair("a.mesh", ""), pair("b.mesh", "shop")]);
    }

    #[test]
    fn a_loop_of_links_ends_and_a_file_reached_twice_is_one() {
        let directory = project(&["shop/a.mesh"]);
        symlink("..", directory.path().join("shop/up")).unwrap();
        symlink("a.mesh", directory.path().join("shop/z.mesh")).unwrap();
        assert_eq!(modules(&[directory.path().to_owned()]), [pair("a.mesh", "shop")]);
    }

    #[test]
    fn the_root_is_the_directory_that_holds_the_others() {
        let directory = project(&["a.mesh", "shop/b.mesh", "shop/c.mesh"]);
        let at = |path: &str| directory.path().join(path);
        assert_eq!(modules(&[at("shop/b.mesh")]), [pair("b.mesh", "")]);
        assert_eq!(
            modules(&[at("shop/b.mesh"), at("shop/c.mesh")]),
            [pair("b.mesh", ""), pair("c.mesh", "")]
        );
        assert_eq!(modules(&[at("shop/b.mesh"), at("a.mesh")]), [pair("a.mesh", ""), pair("b.mesh", "shop")]);
        assert_eq!(
            modules(&[at("shop"), at(""), at("a.mesh")]),
            [pair("a.mesh", ""), pair("b.mesh", "shop"), pair("c.mesh", "shop")]
        );
    }

    #[test]
    fn paths_without_a_common_directory_must_lie_below_the_current_one() {
        let one = project(&["a.mesh"]);
        let two = project(&["b.mesh"]);
        let failure = load(&[one.path().to_owned(), two.path().to_owned()]).err().unwrap();
        assert!(failure.message.contains("is outside of the project"), "{}", failure.message);
    }

    #[test]
    fn a_link_to_nowhere_is_named_unless_it_is_an_editors() {
        let directory = project(&["a.mesh"]);
        symlink("nobody@nowhere", directory.path().join(".#a.mesh")).unwrap();
        assert!(load(&[directory.path().to_owned()]).is_ok());
        symlink("nowhere", directory.path().join("b.mesh")).unwrap();
        let failure = load(&[directory.path().to_owned()]).err().unwrap();
        assert!(
            failure.message.ends_with("b.mesh`: it is a broken link to `nowhere`"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn paths_are_shown_as_they_were_given() {
        assert_eq!(shown(Path::new("./a.mesh")), Path::new("a.mesh"));
        assert_eq!(shown(Path::new("./shop/./a.mesh")), Path::new("shop/a.mesh"));
        assert_eq!(shown(Path::new("../a.mesh")), Path::new("../a.mesh"));
    }
}
