//! Files that a proxy believes: plans, keys, certificates, authorities. What everybody may write is nobody's word.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Others than its owner and its group may write it.
const WRITABLE: u32 = 0o002;
/// Of a directory: what is in it is replaced by its owner alone, as in /tmp.
const STICKY: u32 = 0o1000;

/// The bytes of a file that not everybody on this machine may write or replace. A symbolic link counts as what it leads to, for that is how
/// volumes are replaced as a whole.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    // Of the file that is read, and of none that takes its place meanwhile.
    let own = file.metadata()?;
    if own.mode() & WRITABLE != 0 {
        return Err(refused("everybody may write it: `chmod o-w` takes that away"));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if fs::metadata(directory).is_ok_and(|directory| is_anybodys(&directory)) {
        return Err(refused(
            "everybody may replace it, for everybody may write its directory: `chmod o-w` takes that away",
        ));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(own.len()).unwrap_or_default().min(MOST_AT_FIRST));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Room that is made at once: more than a plan of a large mesh takes.
const MOST_AT_FIRST: usize = 16 * 1024 * 1024;

fn is_anybodys(directory: &Metadata) -> bool {
    directory.mode() & (WRITABLE | STICKY) == WRITABLE
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_everybody_may_write_is_not_read() {
        let directory = std::env::temp_dir().join(format!("mesh-trusted-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (file, link) = (directory.join("plan"), directory.join("link"));
        fs::write(&file, "a plan").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let set =
            |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let why = |path: &Path| read(path).map_err(|error| error.to_string());
        for mode in [0o600, 0o644, 0o664, 0o440] {
            set(&file, mode);
            assert_eq!(why(&file).unwrap(), b"a plan", "{mode:o}");
        }
        assert_eq!(why(&link).unwrap(), b"a plan");
        for mode in [0o666, 0o602, 0o777] {
            set(&file, mode);
            for path in [&file, &link] {
                assert!(why(path).unwrap_err().starts_with("everybody may write it"), "{mode:o}");
            }
        }
        set(&file, 0o600);
        set(&directory, 0o777);
        assert!(why(&file).unwrap_err().starts_with("everybody may replace it"));
        set(&directory, 0o1777);
        assert_eq!(why(&file).unwrap(), b"a plan");
        assert!(why(&directory.join("nowhere")).is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
