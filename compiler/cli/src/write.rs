//! Files appear whole or not at all: a temporary file beside the target, flushed to the disk, then renamed.

use crate::failure::{Failure, reason};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `target`. Whoever watches the path sees the old bytes or the new ones. On failure the old file is
/// untouched and no temporary file stays behind.
pub(crate) fn write(target: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let place = place(target)?;
    let temporary = temporary(&place);
    let written = fill(&temporary, &place, bytes).and_then(|()| fs::rename(&temporary, &place));
    if let Err(error) = written {
        // Best effort: the error that is reported is the one that matters.
        let _ = fs::remove_file(&temporary);
        return Err(Failure::io("write", target, &error));
    }
    sync_directory(&place);
    Ok(())
}

/// Where the bytes really go: behind a symbolic link, so that the link stays one.
fn place(target: &Path) -> Result<PathBuf, Failure> {
    match fs::metadata(target) {
        Ok(metadata) if metadata.is_file() => {
            fs::canonicalize(target).map_err(|error| Failure::io("write", target, &error))
        }
        Ok(metadata) => {
            let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
            Err(Failure::new(format!("cannot write `{}`: it is {what}", target.display()), "Name a file."))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => in_existing_directory(target),
        Err(error) => Err(Failure::io("write", target, &error)),
    }
}

fn in_existing_directory(target: &Path) -> Result<PathBuf, Failure> {
    let directory = directory_of(target);
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() && target.file_name().is_some() => Ok(target.to_owned()),
        Ok(_) => Err(Failure::new(
            format!("cannot write `{}`: `{}` is not a directory", target.display(), directory.display()),
            "Choose a path inside a directory.",
        )),
        Err(error) => Err(Failure::new(
            format!(
                "cannot write `{}`: directory `{}`: {}",
                target.display(),
                directory.display(),
                reason(&error)
            ),
            format!("Create it first: mkdir -p {}", directory.display()),
        )),
    }
}

fn directory_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Hidden, so that a search for sources or plans does not pick it up; with the process id, so that two runs at a time
/// do not share it.
fn temporary(place: &Path) -> PathBuf {
    let name = place.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    directory_of(place).join(format!(".{name}.{}.tmp", std::process::id()))
}

fn fill(temporary: &Path, place: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(temporary)?;
    file.write_all(bytes)?;
    if let Ok(metadata) = fs::metadata(place) {
        file.set_permissions(metadata.permissions())?;
    }
    file.sync_all()
}

/// The rename itself survives a power cut only once the directory is flushed; where that cannot be done, the file is
/// still whole.
fn sync_directory(place: &Path) {
    let _ = File::open(directory_of(place)).and_then(|directory| directory.sync_all());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("plan.mplan");
        write(&target, b"one").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        write(&target, b"two").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600, "the mode is kept");
        assert_eq!(names(directory.path()), ["plan.mplan"]);
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("real"), b"old").unwrap();
        symlink("real", directory.path().join("link")).unwrap();
        write(&directory.path().join("link"), b"new").unwrap();
        assert_eq!(fs::read(directory.path().join("real")).unwrap(), b"new");
        assert!(directory.path().join("link").is_symlink());
    }

    #[test]
    fn a_device_is_not_replaced_by_a_file() {
        let failure = write(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(failure.message, "cannot write `/dev/full`: it is not a regular file");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_temporary_one() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("plan.mplan");
        fs::write(&target, b"old").unwrap();
        // A directory in the temporary file's place makes opening it fail whoever runs the test.
        fs::create_dir(temporary(&fs::canonicalize(&target).unwrap())).unwrap();
        let failure = write(&target, b"new").unwrap_err();
        assert!(failure.message.contains("plan.mplan"), "{}", failure.message);
        assert_eq!(fs::read(&target).unwrap(), b"old");
    }
}
