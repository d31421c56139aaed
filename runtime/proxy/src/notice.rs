//! Notices of the file system that something may have changed beside the plan, so that a new one is in service at once. They are no
//! more than a reason to look: where there are none, or they get lost, the next look comes by itself.

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Notify;

/// Notices of one directory.
pub(crate) struct Notices {
    heard: Arc<Notify>,
    /// Hears as long as it is there. `None` where the system has no more of them to give.
    _watcher: Option<RecommendedWatcher>,
}

impl Notices {
    /// Of a directory of plans, or of the one that a plan's file is in.
    pub(crate) fn of(path: &Path) -> Notices {
        let heard = Arc::new(Notify::new());
        let tell = heard.clone();
        let hear = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_whole(event.kind)) {
                tell.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(hear).and_then(|mut watcher| {
            watcher.watch(directory_of(path), RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        Notices { heard, _watcher: watcher.ok() }
    }

    /// Waits for the next one. What came since the last is one.
    pub(crate) async fn next(&self) {
        self.heard.notified().await;
    }
}

/// Whether a file is whole after this: it was put in place, or who wrote it is done. While it is being written there is nothing to read.
fn is_whole(kind: EventKind) -> bool {
    match kind {
        EventKind::Modify(ModifyKind::Name(to)) => to != RenameMode::From,
        EventKind::Access(AccessKind::Close(mode)) => mode == AccessMode::Write,
        _ => false,
    }
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() { path } else { parent.unwrap_or(Path::new(".")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    /// Long enough for a loaded machine.
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_file_that_is_put_in_place_is_noticed() {
        let folder = std::env::temp_dir().join(format!("mesh-notice-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (live, next) = (folder.join("live.mplan"), folder.join("next"));
        fs::write(&live, "old").unwrap();
        fs::write(&next, "new").unwrap();
        let notices = Notices::of(&live);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let noticed = |notices: &Notices| {
            runtime.block_on(async { tokio::time::timeout(PATIENCE, notices.next()).await.is_ok() })
        };
        fs::rename(&next, &live).unwrap();
        assert!(noticed(&notices), "a rename");
        let of_directory = Notices::of(&folder);
        fs::write(folder.join("other.mplan"), "more").unwrap();
        assert!(noticed(&of_directory), "a file that was written");
        fs::remove_dir_all(folder).unwrap();
    }
}
