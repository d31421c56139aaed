//! The access log: one JSON line for each request, written by one thread. Logging never slows a request.

mod json;

use crate::client::Client;
use crate::grpc::{self, Code};
use crate::request::Target;
use crate::serving::Opened;
use crate::worker::Worker;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
pub(crate) use json::{escape, rfc3339};
use json::{number, text, texts};
use mesh_engine::{Address, Refusal};
use mesh_plan::layout::WHOLE;
use mesh_plan::view::Text;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Of a request that a limit would have refused, had it not been one to `audit`.
pub(crate) const RL_AUDIT: &str = "RL-audit";
/// Lines that may wait for the writer, some 4 MiB. When its output is stuck, further lines are dropped and counted.
const MAX_WAITING: usize = 8_192;
/// How long the end waits for lines that are not written yet: an output that is stuck must not keep the process.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// Where the access log goes.
#[derive(Default)]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    None,
    /// Standard output, where the plan says `access-log json`, and where it says nothing.
    Stdout,
    /// Standard output, and nowhere where the plan says nothing.
    Declared,
    /// Anything else, as with [`AccessLog::Stdout`].
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AccessLog::None => "None",
            AccessLog::Stdout => "Stdout",
            AccessLog::Declared => "Declared",
            AccessLog::Writer(_) => "Writer",
        })
    }
}

/// Takes lines for the writer. Every worker has one.
#[derive(Clone)]
pub(crate) struct Log {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
    /// Whether what nobody speaks of is logged.
    is_default: bool,
}

/// The thread that writes. It ends when all [`Log`]s are gone.
pub(crate) struct Writer {
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

/// Starts the writer.
pub(crate) fn open(target: AccessLog) -> io::Result<Option<(Log, Writer)>> {
    let is_default = !matches!(target, AccessLog::Declared);
    let out: Box<dyn Write + Send> = match target {
        AccessLog::None => return Ok(None),
        AccessLog::Stdout | AccessLog::Declared => Box::new(io::stdout()),
        AccessLog::Writer(out) => out,
    };
    let (lines, waiting) = sync_channel(MAX_WAITING);
    let (end, ended) = sync_channel(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = dropped.clone();
    let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
        // An output that is gone takes the log with it, but not the traffic.
        let _ = write(&waiting, &counted, BufWriter::new(out));
        let _ = end.send(());
    })?;
    Ok(Some((Log { lines, dropped, is_default }, Writer { thread, ended })))
}

impl Writer {
    /// Waits until what was logged is written, within reason. All [`Log`]s must be gone.
    pub(crate) fn finish(self) {
        if self.ended.recv_timeout(FLUSH_TIME).is_ok() {
            let _ = self.thread.join();
        }
    }
}

fn write(waiting: &Receiver<String>, dropped: &AtomicU64, mut out: impl Write) -> io::Result<()> {
    while let Ok(first) = waiting.recv() {
        out.write_all(first.as_bytes())?;
        for line in waiting.try_iter() {
            out.write_all(line.as_bytes())?;
        }
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            writeln!(out, "{{\"dropped_lines\":{dropped}}}")?;
        }
        out.flush()?;
    }
    Ok(())
}

/// What is told of one request. Its line is written when it is dropped: a request that is abandoned has its line too.
pub(crate) struct Record(Option<Box<Fields>>);

struct Fields {
    log: Log,
    /// Whether it has a line, whatever it is. What is audited has one in any case.
    is_drawn: bool,
    time: SystemTime,
    began: Instant,
    entry: String,
    /// Empty where nothing is asked: a connection of which only bytes are seen.
    method: String,
    host: String,
    path: String,
    /// What the rules on the way made of the path, where that is another one.
    sent_path: String,
    /// 0: none was sent.
    status: u16,
    /// Whether it is a call of gRPC, and how that ended, if it is known.
    is_grpc: bool,
    grpc_status: Option<u16>,
    flags: Vec<&'static str>,
    rule: String,
    /// Where the rule stands, if the plan knows.
    source: String,
    owner: String,
    audit: Vec<String>,
    /// Where each line of `audit` stands, if the plan knows.
    audit_sources: Vec<String>,
    /// Who was asked besides, and what they said.
    ext_authz: Vec<String>,
    /// Who was asked for counts, and what they said.
    rate_limiter: Vec<String>,
    service: String,
    subset: String,
    upstream: Option<Address>,
    attempts: u32,
    request_id: String,
    /// The SPIFFE ID of the client, or empty.
    peer: String,
    /// The other end of the connection.
    source_ip: Option<IpAddr>,
    /// The client that the first trusted proxy saw.
    client_ip: Option<IpAddr>,
    tls_error: String,
    plan: String,
}

impl Record {
    /// Begins the record of a request that came in at a door.
    pub(crate) fn begin(worker: &Worker, opened: &Opened, method: &Method) -> Record {
        Record::of(worker, opened, method.as_str())
    }

    /// Begins the record of a connection that came in at a door.
    pub(crate) fn of_connection(worker: &Worker, opened: &Opened) -> Record {
        Record::of(worker, opened, "")
    }

    fn of(worker: &Worker, opened: &Opened, method: &str) -> Record {
        // Where nobody speaks of lines, nothing is gathered for one.
        let log = worker.log.as_ref().filter(|log| log.is_default || opened.logged.is_some());
        Record(log.map(|log| {
            Box::new(Fields {
                log: log.clone(),
                is_drawn: match opened.logged {
                    None | Some(WHOLE) => true,
                    Some(share) => worker.random.borrow_mut().u32(0..WHOLE) < share,
                },
                time: SystemTime::now(),
                began: Instant::now(),
                entry: opened.name.clone(),
                method: method.to_owned(),
                host: String::new(),
                path: String::new(),
                sent_path: String::new(),
                status: 0,
                is_grpc: false,
                grpc_status: None,
                flags: Vec::new(),
                rule: String::new(),
                source: String::new(),
                owner: String::new(),
                audit: Vec::new(),
                audit_sources: Vec::new(),
                ext_authz: Vec::new(),
                rate_limiter: Vec::new(),
                service: String::new(),
                subset: String::new(),
                upstream: None,
                attempts: 0,
                request_id: String::new(),
                peer: String::new(),
                source_ip: None,
                client_ip: None,
                tls_error: String::new(),
                plan: opened.serving.digest.clone(),
            })
        }))
    }

    /// Who asks, as far as that is verified.
    pub(crate) fn from(&mut self, client: &Client) {
        if let Some(fields) = &mut self.0 {
            fields.source_ip = Some(client.address.ip().to_canonical());
            client.identity().unwrap_or_default().clone_into(&mut fields.peer);
        }
    }

    /// Whom the trusted proxies before this one ask for.
    pub(crate) fn is_for(&mut self, client_ip: Option<IpAddr>) {
        if let Some(fields) = &mut self.0 {
            fields.client_ip = client_ip;
        }
    }

    /// It was no connection yet: its handshake failed.
    pub(crate) fn failed_handshake(&mut self, why: &str) {
        self.flag("DPE");
        if let Some(fields) = &mut self.0 {
            fields.tls_error = why.to_owned();
        }
    }

    /// The handshake with an endpoint failed.
    pub(crate) fn tls_failed(&mut self, why: &str) {
        if let Some(fields) = &mut self.0 {
            why.clone_into(&mut fields.tls_error);
        }
    }

    /// What was asked, once it is canonical.
    pub(crate) fn asked(&mut self, target: &Target, request_id: &str) {
        if let Some(fields) = &mut self.0 {
            fields.host = target.authority().into_owned();
            fields.path = target.path.clone();
            fields.request_id = request_id.to_owned();
        }
    }

    /// Whom a connection asks for.
    pub(crate) fn asked_for(&mut self, host: &str) {
        if let Some(fields) = &mut self.0 {
            host.clone_into(&mut fields.host);
        }
    }

    /// The rule and where it stands; `owner` is that of what refused, or empty.
    pub(crate) fn decided_by(&mut self, rule: Text<'_>, owner: Text<'_>) {
        if let Some(fields) = &mut self.0 {
            fields.rule = rule.as_str().to_owned();
            fields.source = rule.place().map(|place| place.to_string()).unwrap_or_default();
            fields.owner = owner.as_str().to_owned();
        }
    }

    /// What decided is no rule of the plan.
    pub(crate) fn decided_here(&mut self, why: String) {
        if let Some(fields) = &mut self.0 {
            fields.rule = why;
            fields.source.clear();
            fields.owner.clear();
        }
    }

    /// What the authorizations tell besides, a line each.
    pub(crate) fn audited(&mut self, told: &[Text<'_>; 2]) {
        if let Some(fields) = &mut self.0 {
            fields.audit = told.iter().flat_map(|told| told.lines()).map(str::to_owned).collect();
            let places = told.iter().flat_map(|told| told.places());
            fields.audit_sources = places.map(|place| place.to_string()).collect();
        }
    }

    /// What somebody said who was asked besides, or what holds without.
    pub(crate) fn agreed(&mut self, name: &str, said: &str) {
        if let Some(fields) = &mut self.0 {
            fields.ext_authz.push(format!("{name}: {said}"));
        }
    }

    /// What somebody said who counts for all proxies, or what holds without.
    pub(crate) fn counted(&mut self, name: &str, said: &str) {
        if let Some(fields) = &mut self.0 {
            fields.rate_limiter.push(format!("{name}: {said}"));
        }
    }

    pub(crate) fn refused(&mut self, refusal: Refusal<'_>) {
        match refusal {
            Refusal::Denied { .. } | Refusal::UndeclaredCall => self.flag("UAEX"),
            Refusal::NoRoute => self.flag("NR"),
            Refusal::Broken => {}
        }
    }

    /// Where it goes, and with which path, which is asked for only if it is told.
    pub(crate) fn sent_to<P: AsRef<str>>(&mut self, service: &str, subset: &str, path: impl FnOnce() -> P) {
        if let Some(fields) = &mut self.0 {
            let path = path();
            if fields.path != path.as_ref() {
                fields.sent_path = path.as_ref().to_owned();
            }
            fields.service = service.to_owned();
            fields.subset = subset.to_owned();
        }
    }

    pub(crate) fn tried(&mut self, attempts: u32, upstream: Option<Address>) {
        if let Some(fields) = &mut self.0 {
            fields.attempts = attempts;
            fields.upstream = upstream;
        }
    }

    /// What an upstream answered.
    pub(crate) fn answered(&mut self, status: u16) {
        if let Some(fields) = &mut self.0 {
            fields.status = status;
        }
    }

    /// What the proxy itself answers, with a status of HTTP.
    pub(crate) fn answered_here(&mut self, status: StatusCode) {
        if let Some(fields) = &mut self.0 {
            (fields.status, fields.grpc_status) = match fields.is_grpc {
                true => (StatusCode::OK.as_u16(), Some(Code::of(status) as u16)),
                false => (status.as_u16(), None),
            };
        }
    }

    /// Not even its method is known.
    pub(crate) fn is_malformed(&mut self) {
        if let Some(fields) = &mut self.0 {
            fields.method.clear();
        }
    }

    /// It is a call of gRPC.
    pub(crate) fn is_grpc(&mut self) {
        if let Some(fields) = &mut self.0 {
            fields.is_grpc = true;
        }
    }

    /// How a call of gRPC ended, if these headers or trailers say it.
    pub(crate) fn ended(&mut self, headers: &HeaderMap) {
        if let Some(fields) = self.0.as_mut().filter(|fields| fields.is_grpc) {
            fields.grpc_status = grpc::status(headers).or(fields.grpc_status);
        }
    }

    /// A flag in Envoy's letters.
    pub(crate) fn flag(&mut self, flag: &'static str) {
        if let Some(fields) = &mut self.0 {
            fields.flags.push(flag);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(fields) = &mut self.0 else { return };
        let is_audited = !fields.audit.is_empty() || fields.flags.contains(&RL_AUDIT);
        if !fields.is_drawn && !is_audited {
            return;
        }
        if fields.status == 0 && !fields.method.is_empty() {
            fields.flags.push("DC");
        }
        if fields.log.lines.try_send(fields.line(fields.began.elapsed())).is_err() {
            fields.log.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Fields {
    fn line(&self, took: Duration) -> String {
        let mut line = String::with_capacity(512);
        line.push('{');
        text(&mut line, "time", &rfc3339(self.time));
        text(&mut line, "entry", &self.entry);
        text(&mut line, "method", &self.method);
        text(&mut line, "host", &self.host);
        text(&mut line, "path", &self.path);
        if !self.sent_path.is_empty() {
            text(&mut line, "sent_path", &self.sent_path);
        }
        number(&mut line, "status", self.status);
        if let Some(status) = self.grpc_status {
            number(&mut line, "grpc_status", status);
        }
        text(&mut line, "flags", &self.flags.join(","));
        text(&mut line, "rule", &self.rule);
        if !self.source.is_empty() {
            text(&mut line, "source", &self.source);
        }
        text(&mut line, "owner", &self.owner);
        if !self.audit.is_empty() {
            texts(&mut line, "audit", &self.audit);
        }
        if !self.audit_sources.is_empty() {
            texts(&mut line, "audit_sources", &self.audit_sources);
        }
        if !self.ext_authz.is_empty() {
            texts(&mut line, "ext_authz", &self.ext_authz);
        }
        if !self.rate_limiter.is_empty() {
            texts(&mut line, "rate_limiter", &self.rate_limiter);
        }
        text(&mut line, "service", &self.service);
        text(&mut line, "subset", &self.subset);
        let upstream = self.upstream.map(|address| std::net::SocketAddr::new(address.ip, address.port));
        text(&mut line, "upstream", &upstream.map(|address| address.to_string()).unwrap_or_default());
        number(&mut line, "attempts", self.attempts);
        let micros = took.as_micros();
        number(&mut line, "duration_ms", format_args!("{}.{:03}", micros / 1_000, micros % 1_000));
        text(&mut line, "request_id", &self.request_id);
        for (name, address) in [("source_ip", self.source_ip), ("client_ip", self.client_ip)] {
            if let Some(address) = address {
                text(&mut line, name, &address.to_string());
            }
        }
        if !self.peer.is_empty() {
            text(&mut line, "peer", &self.peer);
        }
        if !self.tls_error.is_empty() {
            text(&mut line, "tls_error", &self.tls_error);
        }
        text(&mut line, "plan", &self.plan);
        line.push_str("}\n");
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_output_drops_lines_and_counts_them() {
        let (lines, waiting) = sync_channel(1);
        let log = Log { lines, dropped: Arc::default(), is_default: true };
        for _ in 0..3 {
            if log.lines.try_send("{}\n".to_owned()).is_err() {
                log.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        let Log { lines, dropped, .. } = log;
        drop(lines);
        let mut out = Vec::new();
        write(&waiting, &dropped, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{}\n{\"dropped_lines\":2}\n");
    }
}
