//! Which files changed since the last look. By polling: it survives every editor's way of saving and every file system.

use crate::load;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often to look: a save is answered before the hand has left the keyboard.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// A save of several files, or in several steps, is over when nothing changes for this long.
const SETTLED: Duration = Duration::from_millis(50);

/// A project that is never at rest is looked at nevertheless.
const MAX_LOOKS: u32 = 40;

/// The files of a project as they were at the last look.
pub(super) struct Watch {
    paths: Vec<PathBuf>,
    last: Snapshot,
}

/// The files as shown, with what changes when they are written; or why they cannot be listed.
type Snapshot = Result<BTreeMap<PathBuf, Stamp>, String>;

/// An inode changes with a rename, a time with a write, a length even where the clock is coarse.
type Stamp = (Option<SystemTime>, u64, u64);

impl Watch {
    /// Looks for the first time: call it before the files are read, so that no change falls between.
    pub(super) fn new(path: &Path) -> Watch {
        let paths = vec![path.to_owned()];
        let last = look(&paths);
        Watch { paths, last }
    }

    /// The names of the files that changed since the last call, once they are at rest. `None` where nothing did.
    pub(super) fn changed(&mut self) -> Option<Vec<String>> {
        let mut now = look(&self.paths);
        if now == self.last {
            return None;
        }
        for _ in 0..MAX_LOOKS {
            std::thread::sleep(SETTLED);
            let later = look(&self.paths);
            if later == now {
                break;
            }
            now = later;
        }
        let before = std::mem::replace(&mut self.last, now);
        Some(names(&before, &self.last))
    }
}

fn look(paths: &[PathBuf]) -> Snapshot {
    let files = load::find(paths).map_err(|failure| failure.message)?;
    Ok(files.into_values().map(|path| (path.clone(), stamp(&path))).collect())
}

/// A file that has just gone has the stamp of no file, which differs from what it had.
fn stamp(path: &Path) -> Stamp {
    match fs::metadata(path) {
        Ok(metadata) => (metadata.modified().ok(), metadata.len(), metadata.ino()),
        Err(_) => (None, 0, 0),
    }
}

fn names(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let empty = BTreeMap::new();
    let before = before.as_ref().unwrap_or(&empty);
    let after = after.as_ref().unwrap_or(&empty);
    let mut changed: Vec<_> = before
        .iter()
        .filter(|(path, stamp)| after.get(*path) != Some(stamp))
        .map(|(path, _)| path)
        .chain(after.keys().filter(|path| !before.contains_key(*path)))
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    changed.sort();
    changed.dedup();
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_saving_is_seen_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a.mesh"), "one").unwrap();
        let mut watch = Watch::new(directory.path());
        assert_eq!(watch.changed(), None);

        fs::write(at("a.mesh"), "three").unwrap();
        assert_eq!(watch.changed().unwrap(), ["a.mesh"], "written in place");

        fs::write(at(".a.mesh.swp"), "seven").unwrap();
        fs::rename(at(".a.mesh.swp"), at("a.mesh")).unwrap();
        assert_eq!(watch.changed().unwrap(), ["a.mesh"], "renamed over");

        fs::write(at("b.mesh"), "").unwrap();
        fs::remove_file(at("a.mesh")).unwrap();
        assert_eq!(watch.changed().unwrap(), ["a.mesh", "b.mesh"], "one gone, one new");

        fs::write(at("notes.txt"), "").unwrap();
        assert_eq!(watch.changed(), None, "not a source");
    }
}
