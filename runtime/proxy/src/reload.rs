//! The plan's file: read and verified, and watched for another one.

use mesh_plan::{PlanError, PlanView, verify};
use mesh_proxy::cause;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fmt, fs, io};

/// How often the file is looked at. Looking survives renames, replaced directories and every file system, which
/// notifications do not; it costs one system call.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// Why a file gives no plan: a clause about the file.
#[derive(Debug)]
pub(crate) enum LoadError {
    Read(io::Error),
    Empty,
    Verify(PlanError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Read(error) => f.write_str(&cause(error)),
            LoadError::Empty => f.write_str("the file is empty"),
            LoadError::Verify(error) => error.fmt(f),
        }
    }
}

/// Reads a plan.
pub(crate) fn load(path: &Path) -> Result<PlanView, LoadError> {
    let bytes = fs::read(path).map_err(LoadError::Read)?;
    if bytes.is_empty() {
        return Err(LoadError::Empty);
    }
    verify(bytes).map_err(LoadError::Verify)
}

/// A file that is watched.
pub(crate) struct Watch {
    path: PathBuf,
    /// The last one that was there.
    seen: Option<Stamp>,
    gone: bool,
}

/// What a look at the file finds, since the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// There is another file.
    Change,
    /// There is none any more.
    Loss,
    /// There is one again, the same or another.
    Return,
}

/// What changes when another file takes the place or the file is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Watch {
    /// Watches a file from how it is now. Made before the file is first read, so that no change is missed.
    pub(crate) fn new(path: &Path) -> Watch {
        Watch { seen: stamp(path).ok(), path: path.to_owned(), gone: false }
    }

    pub(crate) fn look(&mut self) -> Found {
        match stamp(&self.path) {
            Ok(now) => {
                let changed = self.seen.replace(now) != Some(now);
                match (std::mem::take(&mut self.gone), changed) {
                    (true, _) => Found::Return,
                    (false, true) => Found::Change,
                    (false, false) => Found::Nothing,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.gone => {
                self.gone = true;
                Found::Loss
            }
            // Gone for a while already, or it cannot be told: it is looked at again soon.
            Err(_) => Found::Nothing,
        }
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let found = fs::metadata(path)?;
    Ok(Stamp { inode: found.ino(), length: found.len(), modified: found.modified().ok() })
}
