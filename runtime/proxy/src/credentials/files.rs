//! Certificate, key and trust bundles in files, which somebody else replaces from time to time.

use crate::args::Args;
use crate::notice::Notices;
use crate::reload::{Found, INTERVAL, Watch};
use crate::say;
use crate::trusted;
use mesh_proxy::{Identity, Material, cause};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Files are replaced one after the other, and fit together only when all of them are: so long is waited before somebody is told that they
/// do not.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// What a revocation list in PEM begins with.
const CRL: &[u8] = b"-----BEGIN X509 CRL-----";

/// The files, and the identity that they make.
pub(crate) struct Watched {
    files: Files,
    watches: Vec<Watch>,
    notices: Vec<Notices>,
    identity: Arc<Identity>,
}

struct Files {
    svid: PathBuf,
    key: PathBuf,
    bundles: Vec<(Option<String>, PathBuf)>,
    crls: Vec<PathBuf>,
}

impl Watched {
    /// Those of the flags, if there are some.
    pub(crate) fn of(args: &Args) -> Result<Option<Watched>, String> {
        let (Some(svid), Some(key)) = (args.svid.clone(), args.svid_key.clone()) else { return Ok(None) };
        let bundles = args.trust_bundle.iter().map(|bundle| (bundle.domain.clone(), bundle.path.clone()));
        let files = Files { svid, key, bundles: bundles.collect(), crls: args.crl.clone() };
        // Watched before they are read, so that no change is missed.
        let watches = files.all().map(|path| Watch::new(path)).collect();
        let notices = files.all().map(|path| Notices::of(path)).collect();
        let identity = Identity::new(&files.read()?);
        let identity = identity.map_err(|error| format!("cannot use {}: {error}", files.svid.display()))?;
        Ok(Some(Watched { files, watches, notices, identity }))
    }

    pub(crate) fn identity(&self) -> Arc<Identity> {
        self.identity.clone()
    }

    /// Takes over what the files become.
    pub(crate) async fn follow(mut self) {
        loop {
            tokio::select! {
                () = any(&self.notices) => {}
                () = sleep(INTERVAL) => {}
            }
            if !self.have_changed() {
                continue;
            }
            let mut waited = Duration::ZERO;
            loop {
                let renewed = self
                    .files
                    .read()
                    .and_then(|material| self.identity.renew(&material).map_err(|error| error.to_string()));
                match renewed {
                    Ok(()) => {
                        say(&format!("took over another certificate of {}", self.identity.id()));
                        break;
                    }
                    Err(why) if waited >= SETTLE_TIME => {
                        let path = self.files.svid.display();
                        say(&format!("{path} is not taken over: {why}; the certificate before it stays"));
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

    fn have_changed(&mut self) -> bool {
        let found = self.watches.iter_mut().map(Watch::look);
        // Each is looked at, for each remembers what it saw.
        found.filter(|found| matches!(found, Found::Change | Found::Return)).count() > 0
    }
}

/// Waits for a notice of any of the files.
async fn any(notices: &[Notices]) {
    let mut all: Vec<_> = notices.iter().map(|notices| Box::pin(notices.next())).collect();
    std::future::poll_fn(|cx| {
        let heard = all.iter_mut().any(|notice| notice.as_mut().poll(cx).is_ready());
        if heard { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

impl Files {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.svid, &self.key].into_iter().chain(self.bundles.iter().map(|(_, path)| path)).chain(&self.crls)
    }

    fn read(&self) -> Result<Material, String> {
        let read = |path: &PathBuf| {
            trusted::read(path).map_err(|error| format!("cannot read {}: {}", path.display(), cause(&error)))
        };
        let bundles = self.bundles.iter().map(|(domain, path)| Ok((domain.clone(), read(path)?)));
        let mut bundles = bundles.collect::<Result<Vec<_>, String>>()?;
        for path in &self.crls {
            let list = read(path)?;
            // Else a file of something else would take nothing back.
            if !list.windows(CRL.len()).any(|bytes| bytes == CRL) {
                return Err(format!("{} is no revocation list in PEM (`X509 CRL`)", path.display()));
            }
            if let Some((_, first)) = bundles.first_mut() {
                first.extend_from_slice(b"\n");
                first.extend_from_slice(&list);
            }
        }
        Ok(Material { chain: read(&self.svid)?, key: read(&self.key)?, bundles })
    }
}
