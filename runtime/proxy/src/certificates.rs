//! Certificates of listeners in a directory, by name, which somebody else replaces from time to time.

use crate::reload::{Found, INTERVAL, Watch};
use crate::say;
use crate::trusted;
use mesh_proxy::{Certificates, Pem, Store, cause};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Files are replaced one after the other, and fit together only when all of them are: so long is waited before somebody is told that they
/// do not.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// A directory, and which of its files are in use.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    watches: Arc<Mutex<Watches>>,
}

#[derive(Default)]
struct Watches(BTreeMap<PathBuf, Watch>);

impl std::fmt::Debug for Watches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Directory {
    pub(crate) fn at(path: &Path) -> Directory {
        Directory { path: path.to_owned(), watches: Arc::default() }
    }

    /// A file of a name: `NAME.ENDING`, or else `NAME/INSIDE`.
    fn read(&self, name: &str, ending: &str, inside: &str) -> Result<Vec<u8>, String> {
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(own)), None) if own == name) {
            return Err("its name is no name of a file".to_owned());
        }
        let flat = self.path.join(format!("{name}.{ending}"));
        let nested = self.path.join(name).join(inside);
        let path = if nested.is_file() && !flat.is_file() { nested } else { flat };
        // Watched before it is read, so that no change is missed.
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.0.entry(path.clone()).or_insert_with(|| Watch::new(&path));
        trusted::read(&path).map_err(|error| format!("cannot read {}: {}", path.display(), cause(&error)))
    }

    fn has_changed(&self) -> bool {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let found = watches.0.values_mut().map(Watch::look);
        // Each is looked at, for each remembers what it saw.
        found.filter(|found| matches!(found, Found::Change | Found::Return)).count() > 0
    }
}

impl Store for Directory {
    fn certificate(&self, name: &str) -> Result<Pem, String> {
        Ok(Pem { chain: self.read(name, "crt", "tls.crt")?, key: self.read(name, "key", "tls.key")? })
    }

    fn authority(&self, name: &str) -> Result<Vec<u8>, String> {
        self.read(name, "crt", "ca.crt")
    }
}

/// Takes over what the files become.
pub(crate) async fn follow(directory: Directory, certificates: Arc<Certificates>) {
    loop {
        sleep(INTERVAL).await;
        if !directory.has_changed() {
            continue;
        }
        let mut waited = Duration::ZERO;
        loop {
            match certificates.renew() {
                Ok(()) => {
                    say(&format!("took over other certificates of {}", directory.path.display()));
                    break;
                }
                Err(why) if waited >= SETTLE_TIME => {
                    say(&format!("{why}; the certificates before stay"));
                    break;
                }
                Err(_) => {
                    sleep(INTERVAL).await;
                    waited += INTERVAL;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_no_other_directory() {
        let directory = Directory::at(Path::new("/nowhere"));
        for name in ["../a", "/etc/a", "a/b", "", ".", "..", "a/"] {
            assert_eq!(
                directory.read(name, "crt", "tls.crt"),
                Err("its name is no name of a file".to_owned())
            );
        }
        let error = directory.read("shop", "crt", "tls.crt").unwrap_err();
        assert!(error.starts_with("cannot read /nowhere/shop.crt"), "{error}");
    }
}
