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
    /// As they were when they could last be listed.
    listed: Files,
}

/// What became of which files, as paths inside the project.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) changed: Vec<String>,
    pub(super) new: Vec<String>,
    pub(super) removed: Vec<String>,
}

/// The files, or why they cannot be listed.
type Snapshot = Result<Files, String>;

/// The files as shown, with what changes when they are written.
type Files = BTreeMap<PathBuf, Stamp>;

/// An inode changes with a rename, a time with a write, a length even where the clock is coarse.
type Stamp = (Option<SystemTime>, u64, u64);

impl Watch {
    /// Looks for the first time: call it before the files are read, so that no change falls between.
    pub(super) fn new(path: &Path) -> Watch {
        let paths = vec![path.to_owned()];
        let last = look(&paths);
        let listed = last.clone().unwrap_or_default();
        Watch { paths, last, listed }
    }

    /// What changed since the last call, once it is at rest. `None` where nothing did; no names where the files cannot be
    /// listed.
    pub(super) fn changed(&mut self) -> Option<Changes> {
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
        self.last = now;
        let Ok(files) = &self.last else { return Some(Changes::default()) };
        let before = std::mem::replace(&mut self.listed, files.clone());
        let root = self.paths.first().map(|path| load::shown(path)).unwrap_or_default();
        Some(Changes::between(&before, &self.listed, &root))
    }
}

impl Changes {
    fn between(before: &Files, after: &Files, root: &Path) -> Changes {
        let names = |files: &Files, is_meant: &dyn Fn(&PathBuf, &Stamp) -> bool| {
            let meant = files.iter().filter(|(path, stamp)| is_meant(path, stamp));
            meant.map(|(path, _)| name(path, root)).collect::<Vec<_>>()
        };
        Changes {
            changed: names(after, &|path, stamp| before.get(path).is_some_and(|old| old != stamp)),
            new: names(after, &|path, _| !before.contains_key(path)),
            removed: names(before, &|path, _| !after.contains_key(path)),
        }
    }
}

/// The path inside the project; of the one file that is the project, its name.
fn name(path: &Path, root: &Path) -> String {
    let inside = path.strip_prefix(root).ok().filter(|inside| !inside.as_os_str().is_empty());
    inside.unwrap_or(Path::new(path.file_name().unwrap_or_default())).display().to_string()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[track_caller]
    fn assert_changes(watch: &mut Watch, changed: &[&str], new: &[&str], removed: &[&str]) {
        let Changes { changed: was_changed, new: was_new, removed: was_removed } = watch.changed().unwrap();
        assert_eq!((was_changed, was_new, was_removed), (owned(changed), owned(new), owned(removed)));
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_way_of_saving_is_seen_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("shop")).unwrap();
        fs::write(at("shop/a.mesh"), "one").unwrap();
        let mut watch = Watch::new(directory.path());
        assert_eq!(watch.changed(), None);

        fs::write(at("shop/a.mesh"), "three").unwrap();
        assert_changes(&mut watch, &["shop/a.mesh"], &[], &[]);

        fs::write(at("shop/.a.mesh.swp"), "seven").unwrap();
        fs::rename(at("shop/.a.mesh.swp"), at("shop/a.mesh")).unwrap();
        assert_changes(&mut watch, &["shop/a.mesh"], &[], &[]);

        fs::write(at("b.mesh"), "").unwrap();
        fs::remove_file(at("shop/a.mesh")).unwrap();
        assert_changes(&mut watch, &[], &["b.mesh"], &["shop/a.mesh"]);

        fs::write(at("notes.txt"), "").unwrap();
        assert_eq!(watch.changed(), None, "not a source");
    }

    #[test]
    fn files_that_cannot_be_listed_for_a_while_are_not_new() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a.mesh"), "one").unwrap();
        let mut watch = Watch::new(directory.path());
        symlink("nowhere", at("b.mesh")).unwrap();
        assert_changes(&mut watch, &[], &[], &[]);
        fs::remove_file(at("b.mesh")).unwrap();
        assert_changes(&mut watch, &[], &[], &[]);
    }

    #[test]
    fn the_one_file_of_a_project_has_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.mesh");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(&file);
        fs::write(&file, "three").unwrap();
        assert_changes(&mut watch, &["a.mesh"], &[], &[]);
    }
}
