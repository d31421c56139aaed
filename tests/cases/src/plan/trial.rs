//! A plan, and what becomes of a proxy that is started with a file, or whose file is replaced.

use super::Place;
use crate::client;
use crate::fixture::{Tools, build, free_ports, write};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a program of Rust ends with that has panicked.
const PANICKED: i32 = 101;

/// What becomes of a start.
#[derive(Debug)]
pub(super) enum Trial {
    /// It serves, until this is dropped.
    Serves(Proxy),
    /// It ends, and says this.
    Ends(ExitStatus, String),
}

impl Trial {
    /// Nothing, where a file is refused as it should be; else what happens instead.
    pub(super) fn unless_refused(&self, what: &str) -> Option<String> {
        match self {
            Trial::Ends(status, said) if status.code().is_some_and(|code| code != 0 && code != PANICKED) => {
                said.trim().is_empty().then(|| format!("{what}: it is refused without a word"))
            }
            Trial::Ends(status, said) => Some(format!("{what}: the proxy ends with {status}: {said}")),
            Trial::Serves(_) => Some(format!("{what}: it is served")),
        }
    }

    /// The same where a file may be served as well, if what is denied stays denied.
    pub(super) fn unless_safe(&self, what: &str, plan: &Good) -> Option<String> {
        match self {
            Trial::Serves(proxy) => {
                let wrong = plan.lets_in_what_is_denied();
                let _ = proxy;
                wrong.then(|| format!("{what}: what is denied is let in"))
            }
            Trial::Ends(..) => self.unless_refused(what),
        }
    }
}

/// A proxy that runs.
#[derive(Debug)]
pub(super) struct Proxy {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    pub(super) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a line that holds a text, behind so many lines.
    pub(super) fn says(&self, behind: usize, text: &str) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.said().iter().skip(behind).any(|line| line.contains(text)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

/// A good plan, whose gateway answers everything itself but what it denies.
pub(super) struct Good {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) address: SocketAddr,
}

impl Good {
    /// Builds one that says something.
    pub(super) fn build(place: &Place<'_>, says: &str) -> Result<Good, String> {
        let [port] = free_ports()?;
        Good::build_at(place, says, port)
    }

    pub(super) fn build_at(place: &Place<'_>, says: &str, port: u16) -> Result<Good, String> {
        let text = format!(
            "gateway edge {{ listener web port {port} http {{ host \"*\" }} }}\n\
             authorize edge {{ allow from anyone; deny to /admin, /admin/** }}\n\
             route edge {{ rule all {{ match /**\n respond 200 \"{says}\" }} }}\n\
             service web {{ port 80 http; calls cart }}\nservice cart {{ port 80 http }}\nauthorize cart {{ allow from web }}\n"
        );
        let project = place.directory.join(format!("project-{says}"));
        write(&project.join("main.mesh"), &text)?;
        let path = place.directory.join(format!("{says}.mplan"));
        build(place.tools, &project, &path)?;
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        Ok(Good { path, bytes, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// What it answers.
    pub(super) fn says(&self) -> Option<String> {
        let (status, body) = self.ask("/public")?;
        (status == 200).then_some(body)
    }

    fn lets_in_what_is_denied(&self) -> bool {
        self.ask("/admin/x").is_some_and(|(status, _)| status < 400)
    }

    fn ask(&self, path: &str) -> Option<(u16, String)> {
        let ask = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let played = client::play(self.address, &[ask.into_bytes()], PATIENCE).ok()?;
        let answer = played.answers.first()?;
        Some((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
    }
}

/// The digest of a plan's bytes in its place (`spec/plan-format.md` 1): nothing but what was changed is wrong with it then.
pub(super) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes.get(..32).unwrap_or_default()).update(bytes.get(64..).unwrap_or_default());
    let digest = hasher.finalize();
    if let Some(own) = bytes.get_mut(32..64) {
        own.copy_from_slice(digest.as_bytes());
    }
    bytes
}

/// Starts a proxy with bytes for a plan.
pub(super) fn with_bytes(place: &Place<'_>, bytes: &[u8]) -> Result<Trial, String> {
    let path = place.directory.join("tried.mplan");
    std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
    start(place.tools, &place.directory, &path, &GATEWAY)
}

/// How the proxy of the gateway is called.
pub(super) const GATEWAY: [&str; 4] = ["--gateway", "edge", "--bind", "127.0.0.1"];
/// More memory than any of these plans may make it ask for, in KiB.
const MOST_MEMORY: &str = "4194304";

/// Starts a proxy, and waits until it serves or has ended. What asks for a table of 2^32 entries does not get it.
pub(super) fn start(
    tools: &Tools,
    directory: &Path,
    plan: &Path,
    arguments: &[&str],
) -> Result<Trial, String> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MOST_MEMORY}; exec \"$0\" \"$@\"")])
        .arg(&tools.proxy)
        .arg("--plan")
        .arg(plan)
        .args(arguments)
        .args(["--workers", "1", "--access-log", "none"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", tools.proxy.display()))?;
    let said = Arc::new(Mutex::new(Vec::new()));
    let Some(errors) = child.stderr.take() else { return Err("the proxy has no standard error".to_owned()) };
    let own = said.clone();
    let reading = std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            own.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    let mut proxy = Proxy { child, said };
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Ok(Some(status)) = proxy.child.try_wait() {
            let _ = reading.join();
            return Ok(Trial::Ends(status, proxy.said().join("\n")));
        }
        if proxy.said().iter().any(|line| line.contains("serving plan")) {
            return Ok(Trial::Serves(proxy));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(format!("the proxy neither serves nor ends: {}", proxy.said().join("\n")))
}

/// Puts bytes in the place of a file, as somebody does who does it well.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let beside = path.with_extension("beside");
    let done = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    done.map_err(|error| format!("cannot write {}: {error}", path.display()))
}
