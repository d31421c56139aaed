//! Where the keys of issuers come from: files that somebody replaces, and servers that are asked from time to time. All of it is done by a
//! thread of its own; a request finds the last good keys. What comes and is none does not replace them.

use super::fetch::Client;
use super::keys::KeySet;
use arc_swap::ArcSwapOption;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

/// How often a file is looked at, as those of plans and certificates are.
const LOOK: Duration = Duration::from_millis(100);
/// A file that is being written is none for a while: so long is waited before somebody is told.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// How often a server is asked, give or take a fifth, so that many proxies do not ask at once. Keys are published long before they sign.
const REFRESH: Duration = Duration::from_secs(300);
/// A key that nobody knows may be new. Whoever invents names of keys makes a server be asked no more often than this.
const LEAST_PAUSE: Duration = Duration::from_secs(30);
/// How long a request with such a key waits for the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a failure; doubled with each more up to [`LEAST_PAUSE`], and drawn evenly below that (full jitter).
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How keys are fetched.
#[derive(Clone, Debug)]
pub struct Fetching {
    /// Certificate authorities (PEM) of the servers of keys; without them, those of the system.
    pub authorities: Option<PathBuf>,
    /// Tells the operator of keys that are not taken over.
    pub say: fn(&str),
}

impl Default for Fetching {
    /// With the system's authorities, and telling nobody.
    fn default() -> Fetching {
        Fetching { authorities: None, say: |_| {} }
    }
}

/// The keys of one issuer, as they are now.
pub(crate) struct Source {
    /// A URL or a path.
    place: String,
    keys: ArcSwapOption<KeySet>,
    /// Somebody needs newer ones.
    wanted: Notify,
    /// When the server may be asked for them.
    may_ask: Mutex<Instant>,
    /// Counts the answers.
    answers: watch::Sender<u64>,
}

impl Source {
    fn new(place: &str) -> Source {
        Source {
            place: place.to_owned(),
            keys: ArcSwapOption::empty(),
            wanted: Notify::new(),
            may_ask: Mutex::new(Instant::now()),
            answers: watch::Sender::default(),
        }
    }

    /// The last good ones.
    pub(crate) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Asks for newer keys than these, unless that was done a moment ago, and waits a while for what comes.
    pub(crate) async fn renewed(&self) {
        if !is_url(&self.place) || Instant::now() < *self.may_ask() {
            return;
        }
        let mut answers = self.answers.subscribe();
        self.wanted.notify_one();
        let _ = timeout(PATIENCE, answers.changed()).await;
    }

    fn may_ask(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.may_ask.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what came; says why not.
    fn take(&self, bytes: Result<Vec<u8>, String>) -> Result<(), String> {
        let keys = bytes.and_then(|bytes| KeySet::read(&bytes));
        let taken = keys.map(|keys| self.keys.store(Some(Arc::new(keys))));
        self.answers.send_modify(|answers| *answers = answers.wrapping_add(1));
        taken
    }

    fn kept(&self) -> &'static str {
        if self.keys.load().is_some() { "the keys before them stay" } else { "there are none yet" }
    }
}

fn is_url(place: &str) -> bool {
    place.starts_with("https://")
}

/// The sources of all issuers, and the thread that follows them. It ends when this is dropped.
pub(crate) struct Sources {
    known: Mutex<BTreeMap<String, Weak<Source>>>,
    told: Option<UnboundedSender<Weak<Source>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sources {
    pub(crate) fn start(fetching: Fetching) -> io::Result<Sources> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (told, new) = unbounded_channel();
        let follow = move || LocalSet::new().block_on(&runtime, follow(new, fetching));
        let thread = std::thread::Builder::new().name("jwks".to_owned()).spawn(follow)?;
        Ok(Sources { known: Mutex::default(), told: Some(told), thread: Some(thread) })
    }

    /// The source at a place: followed for as long as somebody has it. A file is read at once.
    pub(crate) fn at(&self, place: &str) -> Arc<Source> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, source| source.strong_count() > 0);
        if let Some(source) = known.get(place).and_then(Weak::upgrade) {
            return source;
        }
        let source = Arc::new(Source::new(place));
        if !is_url(place) {
            // If it is none, whoever follows it says so.
            let _ = source.take(read(place));
        }
        known.insert(place.to_owned(), Arc::downgrade(&source));
        if let Some(told) = &self.told {
            let _ = told.send(Arc::downgrade(&source));
        }
        source
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.told = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn follow(mut new: UnboundedReceiver<Weak<Source>>, fetching: Fetching) {
    while let Some(source) = new.recv().await {
        let Some(place) = source.upgrade().map(|source| source.place.clone()) else { continue };
        match is_url(&place) {
            true => drop(tokio::task::spawn_local(ask(source, place, fetching.clone()))),
            false => drop(tokio::task::spawn_local(watch_file(source, place, fetching.say))),
        }
    }
}

/// A file, for as long as somebody needs its keys.
async fn watch_file(source: Weak<Source>, path: String, say: fn(&str)) {
    // It was read before it was watched: what it is now may be something else already.
    let mut seen = None;
    let mut failing: Option<Duration> = None;
    let mut is_first = true;
    while let Some(source) = source.upgrade() {
        let now = stamp(&path);
        if seen.as_ref() != Some(&now) || failing.is_some_and(|waited| waited < SETTLE_TIME) {
            let has_changed = seen.as_ref() != Some(&now);
            seen = Some(now);
            match source.take(read(&path)) {
                Ok(()) => {
                    if !is_first {
                        say(&format!("took over the keys of {path}"));
                    }
                    failing = None;
                }
                Err(why) => {
                    let waited = failing.filter(|_| !has_changed).unwrap_or_default() + LOOK;
                    if waited >= SETTLE_TIME {
                        say(&format!("the keys of {path} are not taken over: {why}; {}", source.kept()));
                    }
                    failing = Some(waited);
                }
            }
            is_first = false;
        }
        drop(source);
        sleep(LOOK).await;
    }
}

/// What changes when another file takes the place or the file is written to; `None` where there is none.
fn stamp(path: &str) -> Option<(u64, u64, Option<SystemTime>)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.modified().ok()))
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    // One byte more than may be, so that more is noticed.
    let most = super::keys::MAX_JWKS_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| crate::cause(&error))?;
    file.take(most).read_to_end(&mut bytes).map_err(|error| crate::cause(&error))?;
    Ok(bytes)
}

/// A server, for as long as somebody needs its keys.
async fn ask(source: Weak<Source>, url: String, fetching: Fetching) {
    let say = fetching.say;
    match Client::of(fetching.authorities.as_deref()) {
        Ok(client) => keep_asking(source, &url, say, async || client.get(&url).await).await,
        Err(why) => say(&format!("cannot ask {url} for keys: {why}")),
    }
}

/// Asks in the way that is given, from time to time and when somebody wants newer keys.
async fn keep_asking(
    source: Weak<Source>,
    url: &str,
    say: fn(&str),
    get: impl AsyncFn() -> Result<Vec<u8>, String>,
) {
    let mut failures: u32 = 0;
    loop {
        let bytes = get().await;
        let Some(own) = source.upgrade() else { return };
        *own.may_ask() = Instant::now() + LEAST_PAUSE;
        let pause = match own.take(bytes) {
            Ok(()) => {
                if std::mem::take(&mut failures) > 0 {
                    say(&format!("took over the keys of {url}"));
                }
                REFRESH.mul_f64(0.8 + 0.4 * fastrand::f64())
            }
            Err(why) => {
                if failures == 0 {
                    say(&format!(
                        "the keys of {url} are not taken over: {why}; {}; asking again",
                        own.kept()
                    ));
                }
                failures = failures.saturating_add(1);
                FIRST_PAUSE.saturating_mul(1 << failures.min(5)).min(LEAST_PAUSE).mul_f64(fastrand::f64())
            }
        };
        drop(own);
        wait(&source, pause).await;
    }
}

/// Waits so long, or until somebody wants newer keys, or nobody needs them.
async fn wait(source: &Weak<Source>, pause: Duration) {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        let Some(own) = source.upgrade() else { return };
        let a_while = (until - Instant::now()).min(Duration::from_secs(1));
        if timeout(a_while, own.wanted.notified()).await.is_ok() && *own.may_ask() <= Instant::now() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
