//! The project as it is in a revision of git, read with the `git` that the user has; nothing is checked out.

use crate::failure::Failure;
use crate::load::{Found, Project, collected, is_searched};
use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// How a listing names a regular file.
const REGULAR: [&str; 2] = ["100644", "100755"];

/// The place of a directory in its repository, `examples/shop/`; `None` where it is in none.
pub(super) fn place(directory: &Path) -> Option<String> {
    let directory = if directory.is_dir() { directory } else { Path::new(".") };
    let prefix =
        git([OsStr::new("-C"), directory.as_os_str(), "rev-parse".as_ref(), "--show-prefix".as_ref()]);
    prefix.ok().flatten().map(|prefix| prefix.trim().to_owned())
}

/// The project below a directory (from the top of the repository) in a revision. `name` is what the user called it.
pub(super) fn load(name: &str, revision: &str, directory: Option<&str>) -> Result<Project, Failure> {
    let commit =
        git(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])?;
    let Some(commit) = commit.map(|commit| commit.trim().to_owned()) else {
        return Err(Failure::new(
            format!("`{name}` is no path and no revision of git"),
            "Name a directory, a plan that `mesh build` wrote, or a revision: `main`, `HEAD~1`, `v1.2:policy`.",
        ));
    };
    let directory = directory.unwrap_or_default().trim_end_matches('/').trim_start_matches("./");
    let mut listing = vec!["ls-tree", "-r", "-z", "--full-tree", &commit];
    if !directory.is_empty() {
        listing.extend(["--", directory]);
    }
    let listing = git(listing)?.unwrap_or_default();
    let files: Vec<(&str, &str)> = listing.split('\0').filter_map(|entry| file(entry, directory)).collect();
    if files.is_empty() {
        let place = if directory.is_empty() { String::new() } else { format!(" below `{directory}`") };
        return Err(Failure::new(
            format!("`{revision}` has no `.mesh` file{place}"),
            format!("Name the directory that holds the project then: `{revision}:DIR`."),
        ));
    }
    let contents = contents(&files)?;
    let found = files.iter().zip(contents).map(|((path, _), bytes)| {
        let module = path.rsplit_once('/').map_or("", |(module, _)| module);
        Found { path: format!("{revision}:{path}"), module: module.to_owned(), bytes }
    });
    Ok(collected(found.collect()))
}

/// The path below the directory and the object of an entry, if it is a source: `100644 blob OBJECT\tPATH`.
fn file<'e>(entry: &'e str, directory: &str) -> Option<(&'e str, &'e str)> {
    let (about, path) = entry.split_once('\t')?;
    let mut words = about.split(' ');
    let (mode, object) = (words.next()?, words.nth(1)?);
    let below = path.strip_prefix(directory)?.trim_start_matches('/');
    (REGULAR.contains(&mode) && is_searched(below)).then_some((below, object))
}

/// The contents of files, in their order.
fn contents(files: &[(&str, &str)]) -> Result<Vec<Vec<u8>>, Failure> {
    let asked: String = files.iter().map(|(_, object)| format!("{object}\n")).collect();
    let mut child = Command::new("git")
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| unavailable(&error))?;
    let mut input = child.stdin.take();
    // Both pipes are short: who writes everything before reading anything waits for ever.
    let writer = std::thread::spawn(move || input.as_mut().map(|input| input.write_all(asked.as_bytes())));
    let output = child.wait_with_output().map_err(|error| unavailable(&error))?;
    let _ = writer.join();
    let mut rest = output.stdout.as_slice();
    let mut contents = Vec::with_capacity(files.len());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (head, after) = rest.split_at(end);
        let length = String::from_utf8_lossy(head).rsplit(' ').next().and_then(|length| length.parse().ok());
        let Some(content) = length.and_then(|length: usize| after.get(1..=length)) else { break };
        contents.push(content.to_owned());
        rest = after.get(content.len() + 2..).unwrap_or_default();
    }
    match contents.len() == files.len() {
        true => Ok(contents),
        false => Err(Failure::new("git did not give all files of the revision", "Try `git fsck`.")),
    }
}

/// What git prints; `None` where it says no.
fn git(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Option<String>, Failure> {
    let output = Command::new("git").args(arguments).stderr(Stdio::null()).output();
    let output = output.map_err(|error| unavailable(&error))?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn unavailable(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::new(
            "git is not installed, and what is named is no path",
            "Name a directory or a plan, or install git.",
        ),
        _ => Failure::new(
            format!("git cannot be run: {}", crate::failure::reason(error)),
            "Name a directory or a plan.",
        ),
    }
}
