//! What a proxy keeps on disk, to start with where it cannot be had anew: the last good plan, and the last certificate.

use mesh_proxy::cause;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The last plan that was taken over.
pub(crate) const PLAN: &str = "last-good.mplan";
/// The last certificate, with its key and the roots to believe.
pub(crate) const SVID: &str = "svid.pem";

/// A plan says who may call whom, and a key is a secret: nobody else has to read them here.
const MODE: u32 = 0o600;

/// A file that keeps the last of something.
pub(crate) struct Keep {
    directory: PathBuf,
    name: &'static str,
}

impl Keep {
    /// The directory, made if it is not there.
    pub(crate) fn at(directory: &Path, name: &'static str) -> Result<Keep, String> {
        fs::create_dir_all(directory)
            .map_err(|error| format!("cannot make {}: {}", directory.display(), cause(&error)))?;
        Ok(Keep { directory: directory.to_owned(), name })
    }

    /// Where it is kept.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(self.name)
    }

    /// What was kept, if anything.
    pub(crate) fn load(&self) -> Option<Vec<u8>> {
        fs::read(self.path()).ok()
    }

    /// Keeps it: whole or not at all, whenever the machine stops. What was kept before stays until then.
    pub(crate) fn store(&self, bytes: &[u8]) -> Result<(), String> {
        let temporary = self.directory.join(format!(".{}.{}.tmp", self.name, std::process::id()));
        let stored = self.replace(&temporary, bytes);
        if stored.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        stored.map_err(|error| format!("cannot write {}: {}", self.path().display(), cause(&error)))
    }

    fn replace(&self, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, self.path())?;
        // The rename itself survives a power cut only once the directory is flushed; where that cannot be done, the file is still whole.
        let _ = File::open(&self.directory).and_then(|directory| directory.sync_all());
        Ok(())
    }
}
