//! The plan's file: read and verified, and watched for another one.

use mesh_plan::{PlanError, PlanView, verify};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fmt, fs, io};

/// How often the file is looked at. Looking survives renames, replaced directories and every file system, which
/// notifications do not; it costs one system call.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// Why a file gives no plan.
#[derive(Debug)]
pub(crate) enum LoadError {
    Read(PathBuf, io::Error),
    Verify(PathBuf, PlanError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Read(path, error) => {
                write!(f, "cannot read the plan {}: {error}; `mesh build` writes one", path.display())
            }
            LoadError::Verify(path, error) => {
                write!(f, "{} is no plan to run: {error}; `mesh build` writes one", path.display())
            }
        }
    }
}

/// Reads a plan.
pub(crate) fn load(path: &Path) -> Result<PlanView, LoadError> {
    let bytes = fs::read(path).map_err(|error| LoadError::Read(path.to_owned(), error))?;
    verify(bytes).map_err(|error| LoadError::Verify(path.to_owned(), error))
}

/// A file that is watched.
pub(crate) struct Watch {
    path: PathBuf,
    seen: Option<Stamp>,
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
        Watch { seen: stamp(path), path: path.to_owned() }
    }

    /// Whether there is another file since the last look. A file that is gone is waited for.
    pub(crate) fn changed(&mut self) -> bool {
        let now = stamp(&self.path);
        let changed = now.is_some() && now != self.seen;
        if changed {
            self.seen = now;
        }
        changed
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp { inode: found.ino(), length: found.len(), modified: found.modified().ok() })
}
