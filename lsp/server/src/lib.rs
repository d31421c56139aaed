//! The Language Server Protocol over `mesh-ide`: the only crate that knows it.
//!
//! Read [`serve`], then `transport` (bytes to messages), `server` (the loop), `requests` (which question has which answer), `projects` and
//! `documents` (what is open), `position` (where the protocol means), `to_proto` (answers as the protocol says them).

mod capabilities;
mod dispatch;
mod documents;
mod jobs;
mod position;
mod projects;
mod requests;
mod semantic_tokens;
mod server;
mod to_proto;
mod transport;
mod uri;

use mesh_ide::Question;
use mesh_lang::{Code, Diagnostic, SourceSet};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

/// What the server asks of whoever starts it: what needs a disk or the engine.
#[derive(Clone)]
pub struct Tools {
    /// The files of a project that is a directory, as `mesh check` reads them, and what is wrong with their bytes. The error is a
    /// sentence.
    pub load: Arc<LoadProject>,
    /// The text of one file; `None` where it is not there or is no text.
    pub read: Arc<ReadFile>,
    /// Whether a search of a project would find this path below it, with `/`.
    pub is_searched: fn(&str) -> bool,
    /// What `mesh why --format json` answers.
    pub why: Answer<Question>,
    /// What `mesh graph` draws of the neighbourhood of a service or gateway, or of everything.
    pub graph: Answer<GraphQuestion>,
    /// What `mesh test --filter NAME --format json` answers.
    pub test: Answer<String>,
    /// Today, for what is written until a day.
    pub today: Option<mesh_ide::Day>,
    /// Where the page of a diagnostic can be read, as a URI.
    pub page: Arc<dyn Fn(Code) -> Option<String> + Send + Sync>,
    /// The version that the server says.
    pub version: String,
}

/// How a directory becomes a project.
pub type LoadProject = dyn Fn(&Path, Reach) -> Result<Loaded, String> + Send + Sync;

/// How a path becomes a text.
pub type ReadFile = dyn Fn(&Path) -> Option<String> + Send + Sync;

/// A question about the sources as they are in the editor, in an environment where the project has several. The error is a sentence.
pub type Answer<Q> = Arc<dyn Fn(SourceSet, &Q, Option<&str>) -> Result<Value, String> + Send + Sync>;

/// Which files of a directory are a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those in it and below it.
    Below,
    /// Those in it: a file that is opened alone may stand in a home directory.
    Beside,
}

/// What a picture is to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphQuestion {
    /// `reviews.default`; without one everything.
    pub around: Option<String>,
    /// How many calls away from it: at most so many.
    pub depth: usize,
}

/// A project as it is on disk.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Path below the directory with `/`, module and text of each file.
    pub files: Vec<(String, String, String)>,
    /// What is wrong with the bytes of files; their labels name files in the order of `files`.
    pub flaws: Vec<Diagnostic>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client asked it to shut down, and then to exit.
    Cleanly,
    /// The client exited or went away without having asked.
    Abruptly,
}

/// Serves one client until it exits. Reads on a thread of its own, so that a question can be taken back while another is answered.
pub fn serve(input: impl Read + Send + 'static, output: impl Write + Send + 'static, tools: Tools) -> Ended {
    let transport = transport::start(input, output);
    let ended = server::Server::new(transport.outgoing, tools).run(&transport.incoming);
    // Everything that was said is written before the process ends.
    transport.writer.join().unwrap_or_default();
    ended
}

/// The URI of a path, as editors spell it.
pub fn file_uri(path: &Path) -> String {
    uri::of_path(path)
}
