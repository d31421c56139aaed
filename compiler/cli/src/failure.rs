//! What the world refuses: a file, a socket, an argument. Mistakes in `.mesh` files are diagnostics instead.

use std::any::Any;
use std::io;
use std::path::Path;

/// Why a command cannot go on: ends it with exit code 2.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A clause that names the thing.
    pub(crate) message: String,
    /// A sentence that says what to do.
    pub(crate) help: String,
}

impl Failure {
    /// A failure and its remedy.
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Failure {
        Failure { message: message.into(), help: help.into() }
    }

    /// An error of the operating system about a path.
    pub(crate) fn io(doing: &str, path: &Path, error: &io::Error) -> Failure {
        // A search in the current directory puts `./` in front of what it finds.
        let shown = path.strip_prefix(".").ok().filter(|path| !path.as_os_str().is_empty()).unwrap_or(path);
        Failure::new(format!("cannot {doing} `{}`: {}", shown.display(), reason(error)), remedy(error))
    }

    /// A panic that was caught.
    pub(crate) fn bug(payload: &(dyn Any + Send)) -> Failure {
        let what = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown");
        Failure::new(
            format!("internal error: {what}"),
            "This is a bug in mesh, not in your files. Please report it with the command line and the files.",
        )
    }
}

/// The error without the number that the standard library appends.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "Check the spelling of the path.",
        io::ErrorKind::PermissionDenied => "Ask for access to it, or run as a user who has it.",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "Make room on that file system, or choose another place. Nothing was changed."
        }
        io::ErrorKind::ReadOnlyFilesystem => "Choose a place on a file system that can be written.",
        io::ErrorKind::InvalidInput => "Choose another path.",
        _ => "Try again once the cause is gone. Nothing was changed.",
    }
}
