//! A plan's file, or a directory of plans, that is watched for another one.

use crate::intake::plans_in;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

/// How often it is looked at, whether or not there was a notice. Looking survives renames, replaced directories and every file
/// system, which notices do not; it costs one system call.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);

/// A file or directory that is watched.
pub(crate) struct Watch {
    path: PathBuf,
    /// What was there last.
    seen: Option<Vec<Stamp>>,
    gone: bool,
}

/// What a look finds, since the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    /// There is something else.
    Change,
    /// There is nothing any more.
    Loss,
    /// There is something again, the same or another.
    Return,
}

/// What changes when another file takes the place or the file is written to.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl Watch {
    /// Watches from how it is now. Made before it is first read, so that no change is missed.
    pub(crate) fn new(path: &Path) -> Watch {
        Watch { seen: stamps(path).ok(), path: path.to_owned(), gone: false }
    }

    pub(crate) fn look(&mut self) -> Found {
        match stamps(&self.path) {
            Ok(now) => {
                let changed = self.seen.as_ref() != Some(&now);
                self.seen = Some(now);
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

/// Of a file, or of each plan of a directory.
fn stamps(path: &Path) -> io::Result<Vec<Stamp>> {
    let found = fs::metadata(path)?;
    if !found.is_dir() {
        return Ok(vec![stamp(path, &found)]);
    }
    let plans = plans_in(path)?.into_iter().filter_map(|path| Some((fs::metadata(&path).ok()?, path)));
    Ok(plans.map(|(found, path)| stamp(&path, &found)).collect())
}

fn stamp(path: &Path, found: &fs::Metadata) -> Stamp {
    Stamp { path: path.to_owned(), inode: found.ino(), length: found.len(), modified: found.modified().ok() }
}
