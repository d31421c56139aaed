//! What must hold after every case, whatever it is: the universal oracles O1 to O5. O6, that an error on the way of a decision refuses, is what
//! O1 finds broken.

use crate::client;
use crate::expect::Expect;
use crate::fixture::{Fixture, Process, Running};
use crate::models;
use crate::requests::{self, Reading, Request, Rest};
use crate::upstream::SENTINEL;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// More than that is a leak, whatever the case: an idle proxy has a tenth, and no case may need the rest.
const MOST_MEMORY: u64 = 512 << 20;
/// How long the next request may take, and lines of the log to be written: long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// How things are before a case.
pub(crate) struct Before {
    lines: usize,
    memory: u64,
    processor: Duration,
    sampling: Arc<AtomicBool>,
    sampler: JoinHandle<u64>,
}

impl Before {
    pub(crate) fn now(running: &Running, _expect: &Expect) -> Before {
        let process = running.process();
        let sampling = Arc::new(AtomicBool::new(true));
        let (on, memory) = (sampling.clone(), process.memory());
        let sampler = std::thread::spawn(move || {
            let mut most = memory;
            while on.load(Ordering::Relaxed) {
                most = most.max(process.memory());
                std::thread::sleep(Duration::from_millis(2));
            }
            most
        });
        Before { lines: running.log_length(), memory, processor: process.processor(), sampling, sampler }
    }

    /// What there is after it.
    pub(crate) fn seen(self, running: &mut Running) -> Seen {
        self.sampling.store(false, Ordering::Relaxed);
        let most = self.sampler.join().unwrap_or_default();
        let process = running.process();
        let processor = process.processor().saturating_sub(self.processor);
        let mut seen = Seen { memory: most.saturating_sub(self.memory), processor, ..Seen::default() };
        seen.sentinel(running, self.lines);
        let mut broken = Vec::new();
        for bytes in running.upstream.seen() {
            let (requests, rest) = requests::all(&bytes, Reading::Strict);
            seen.requests.extend(requests);
            if rest != Rest::Nothing {
                broken.push(format!("O2/O3: the upstream has {rest:?} behind whole requests"));
            }
            seen.bytes.push(bytes);
        }
        seen.requests.retain(|request| !request.target.starts_with(SENTINEL));
        seen.broken.extend(broken);
        seen
    }
}

/// A line of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) status: u64,
    /// How a call of gRPC ended: 0 is well, or it is no call.
    pub(crate) grpc_status: u64,
    pub(crate) rule: String,
    pub(crate) upstream: String,
    pub(crate) plan: String,
    pub(crate) flags: String,
    /// The client that trusted proxies name.
    pub(crate) client: String,
}

/// What a case left behind.
#[derive(Default)]
pub(crate) struct Seen {
    /// What a strict upstream reads, without the runner's own requests.
    pub(crate) requests: Vec<Request>,
    bytes: Vec<Vec<u8>>,
    pub(crate) lines: Vec<Line>,
    /// By how much the proxy's memory grew.
    pub(crate) memory: u64,
    pub(crate) processor: Duration,
    broken: Vec<String>,
}

impl Seen {
    /// The next request on a new connection is served, and all lines before its own are written.
    fn sentinel(&mut self, running: &mut Running, before: usize) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = format!("{SENTINEL}{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let ask = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n").into_bytes();
        let answer = client::play(running.h1, &[ask], PATIENCE);
        let is_its_own = |answer: &client::Answer| answer.status == 200 && answer.body == b"ok";
        let is_served = answer.is_ok_and(|played| played.answers.iter().any(is_its_own));
        if !running.is_alive() {
            self.broken.push("O4: the proxy has died".to_owned());
            return;
        }
        if !is_served {
            self.broken.push("O4: the next request is not served".to_owned());
        }
        let began = Instant::now();
        let mut lines = running.log_after(before);
        while !lines.iter().any(|line| line.contains(&path)) && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
            lines = running.log_after(before);
        }
        for line in lines {
            match serde_json::from_str::<Value>(&line) {
                Ok(value) if value.get("path").and_then(Value::as_str) == Some(&path) => {}
                Ok(value) => self.lines.push(read(&value)),
                Err(error) => self.broken.push(format!("O5: a line of the log is no JSON: {error}")),
            }
        }
    }

    /// What the upstream has that is no whole request, and whether the proxy is well.
    pub(crate) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// What the oracles have against it. `answers`: how many the client got; `bodies`: those that it sent.
    pub(crate) fn violations(&self, running: &Running, answers: usize, bodies: &[Vec<u8>]) -> Vec<String> {
        let mut wrong = self.broken.clone();
        wrong.extend(self.bypasses(running));
        wrong.extend(self.readings());
        wrong.extend(self.decisions(running));
        let bodies_differ = self.requests.iter().zip(bodies).any(|(request, body)| request.body != *body);
        if bodies_differ && bodies.len() >= self.requests.len() && self.requests.len() == answers {
            wrong.push("O2: a body is not the one that was sent".to_owned());
        }
        if self.lines.len() < answers || self.lines.len() > answers.max(self.requests.len()).max(1) {
            let lines: Vec<String> = self.lines.iter().map(|line| format!("{line:?}")).collect();
            wrong.push(format!("O5: {} lines of the log for {answers} answers: {lines:?}", self.lines.len()));
        }
        if running.process().memory() > MOST_MEMORY {
            wrong.push("O4: the proxy holds more memory than any case may need".to_owned());
        }
        wrong
    }

    /// The same for streams, of which so many were answered: what is malformed for the library of HTTP/2 is reset by it and has no line.
    pub(crate) fn stream_violations(&self, running: &Running, streams: usize) -> Vec<String> {
        // Streams that are left open have upstreams that wait for the rest.
        let mut wrong = self.broken.clone();
        wrong.retain(|wrong| !wrong.contains("Incomplete"));
        wrong.extend(self.bypasses(running));
        wrong.extend(self.readings());
        wrong.extend(self.decisions(running));
        if streams < 100 && self.lines.len() > streams.max(self.requests.len()).max(100) {
            wrong.push(format!("O5: {} lines of the log for {streams} streams", self.lines.len()));
        }
        wrong
    }

    /// O1: nothing reaches the upstream that a backend of any make maps onto what is denied.
    fn bypasses(&self, running: &Running) -> Vec<String> {
        let mut wrong = Vec::new();
        let readings = [Reading::Strict].into_iter().chain(Reading::LENIENT);
        for reading in readings {
            let requests = self.bytes.iter().flat_map(|bytes| requests::all(bytes, reading).0);
            for request in requests {
                if let Some(rule) = models::denied(&request, running.fixture) {
                    let target = &request.target;
                    wrong.push(format!(
                        "O1: {} {target} reaches the upstream, against {rule}",
                        request.method
                    ));
                }
            }
        }
        wrong.dedup();
        wrong
    }

    /// O2: all readers find the same requests.
    fn readings(&self) -> Option<String> {
        let told = |requests: Vec<Request>| -> Vec<(String, String, Vec<u8>)> {
            requests.into_iter().map(|request| (request.method, request.target, request.body)).collect()
        };
        self.bytes.iter().find_map(|bytes| {
            let strict = told(requests::all(bytes, Reading::Strict).0);
            let other =
                Reading::LENIENT.into_iter().find(|how| told(requests::all(bytes, *how).0) != strict)?;
            Some(format!("O2: a reader of kind {other:?} finds other requests than a strict one"))
        })
    }

    /// O2, O3 and O5: what the upstream has is what was decided about, by a rule of this plan.
    fn decisions(&self, running: &Running) -> Vec<String> {
        let mut wrong = Vec::new();
        let sent: Vec<&Line> = self.lines.iter().filter(|line| !line.upstream.is_empty()).collect();
        let mut authorised: Vec<(&str, &str)> =
            sent.iter().map(|line| (line.method.as_str(), line.path.as_str())).collect();
        let mut received: Vec<(&str, &str)> =
            self.requests.iter().map(|request| (request.method.as_str(), request.path())).collect();
        authorised.sort_unstable();
        received.sort_unstable();
        // Of what breaks off behind its head, an upstream need not have anything.
        let cut = |line: &&&Line| matches!(line.status, 0 | 400..) || line.grpc_status > 0;
        let cut: Vec<_> =
            sent.iter().filter(cut).map(|line| (line.method.as_str(), line.path.as_str())).collect();
        let is_cut = |asked: &(&str, &str)| cut.contains(asked) && !received.contains(asked);
        authorised.retain(|asked| !is_cut(asked));
        if authorised != received {
            wrong.push(format!("O2: the upstream has {received:?}, decided was about {authorised:?}"));
        }
        for line in &self.lines {
            if line.plan != running.digest {
                wrong.push(format!("O5: a line names the plan `{}`", line.plan));
            }
            // Where nothing lets a request in, there is no rule to name, and the flag says so.
            let by_default = running.fixture == Fixture::Deny && line.flags == "UAEX";
            let needs_rule = !line.upstream.is_empty() || line.status == 403 && !by_default;
            if line.rule.is_empty() && needs_rule {
                wrong.push(format!("O5: a decision without a rule: {line:?}"));
            }
        }
        for request in &self.requests {
            let host = request.values("host").next().unwrap_or_default();
            if !sent.iter().any(|line| line.host.as_bytes() == host && line.path == request.path()) {
                let host = String::from_utf8_lossy(host);
                wrong.push(format!(
                    "O5: no line has `{host}` and `{}` in the form that is sent",
                    request.path()
                ));
            }
        }
        wrong
    }
}

/// Whether files are left open after all cases.
pub(crate) fn leak(process: Process, before: usize) -> Option<String> {
    let began = Instant::now();
    // Idle connections to the upstream are kept for a few seconds.
    while process.files() > before + 2 && began.elapsed() < Duration::from_secs(8) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let after = process.files();
    (after > before + 2)
        .then(|| format!("O4: {after} files are open after all cases, and {before} were before"))
}

fn read(value: &Value) -> Line {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or_default();
    Line {
        method: text("method"),
        host: text("host"),
        path: text("path"),
        status: number("status"),
        grpc_status: number("grpc_status"),
        rule: text("rule"),
        upstream: text("upstream"),
        plan: text("plan"),
        flags: text("flags"),
        client: text("client_ip"),
    }
}
