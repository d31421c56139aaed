//! The access log: one JSON line for each request, written by one thread. Logging never slows a request.

use crate::request::Target;
use crate::serving::Serving;
use hyper::Method;
use mesh_engine::{Address, Refusal};
use mesh_plan::view::Text;
use std::fmt::{self, Write as _};
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
    /// Standard output.
    Stdout,
    /// Anything else.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AccessLog::None => "None",
            AccessLog::Stdout => "Stdout",
            AccessLog::Writer(_) => "Writer",
        })
    }
}

/// Takes lines for the writer. Every worker has one.
#[derive(Clone)]
pub(crate) struct Log {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

/// The thread that writes. It ends when all [`Log`]s are gone.
pub(crate) struct Writer {
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

/// Starts the writer.
pub(crate) fn open(target: AccessLog) -> io::Result<Option<(Log, Writer)>> {
    let out: Box<dyn Write + Send> = match target {
        AccessLog::None => return Ok(None),
        AccessLog::Stdout => Box::new(io::stdout()),
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
    Ok(Some((Log { lines, dropped }, Writer { thread, ended })))
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
    flags: Vec<&'static str>,
    rule: String,
    owner: String,
    audit: Vec<String>,
    service: String,
    subset: String,
    upstream: Option<Address>,
    attempts: u32,
    request_id: String,
    plan: String,
}

impl Record {
    /// Begins the record of a request that came in at `entry`.
    pub(crate) fn begin(log: Option<&Log>, serving: &Serving, entry: &str, method: &Method) -> Record {
        Record::of(log, serving, entry, method.as_str())
    }

    /// Begins the record of a connection that came in at `entry`.
    pub(crate) fn of_connection(log: Option<&Log>, serving: &Serving, entry: &str) -> Record {
        Record::of(log, serving, entry, "")
    }

    fn of(log: Option<&Log>, serving: &Serving, entry: &str, method: &str) -> Record {
        Record(log.map(|log| {
            Box::new(Fields {
                log: log.clone(),
                time: SystemTime::now(),
                began: Instant::now(),
                entry: entry.to_owned(),
                method: method.to_owned(),
                host: String::new(),
                path: String::new(),
                sent_path: String::new(),
                status: 0,
                flags: Vec::new(),
                rule: String::new(),
                owner: String::new(),
                audit: Vec::new(),
                service: String::new(),
                subset: String::new(),
                upstream: None,
                attempts: 0,
                request_id: String::new(),
                plan: serving.digest.clone(),
            })
        }))
    }

    /// What was asked, once it is canonical.
    pub(crate) fn asked(&mut self, target: &Target, request_id: &str) {
        if let Some(fields) = &mut self.0 {
            fields.host = target.authority();
            fields.path = target.path.clone();
            fields.request_id = request_id.to_owned();
        }
    }

    /// `owner` is that of what refused, or empty.
    pub(crate) fn decided_by(&mut self, rule: &str, owner: &str) {
        if let Some(fields) = &mut self.0 {
            fields.rule = rule.to_owned();
            fields.owner = owner.to_owned();
        }
    }

    /// What the authorizations tell besides, a line each.
    pub(crate) fn audited(&mut self, told: &[Text<'_>; 2]) {
        if let Some(fields) = &mut self.0 {
            fields.audit = told.iter().flat_map(|told| told.lines()).map(str::to_owned).collect();
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

    pub(crate) fn answered(&mut self, status: u16) {
        if let Some(fields) = &mut self.0 {
            fields.status = status;
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
        text(&mut line, "flags", &self.flags.join(","));
        text(&mut line, "rule", &self.rule);
        text(&mut line, "owner", &self.owner);
        if !self.audit.is_empty() {
            texts(&mut line, "audit", &self.audit);
        }
        text(&mut line, "service", &self.service);
        text(&mut line, "subset", &self.subset);
        let upstream = self.upstream.map(|address| std::net::SocketAddr::new(address.ip, address.port));
        text(&mut line, "upstream", &upstream.map(|address| address.to_string()).unwrap_or_default());
        number(&mut line, "attempts", self.attempts);
        let micros = took.as_micros();
        number(&mut line, "duration_ms", format_args!("{}.{:03}", micros / 1_000, micros % 1_000));
        text(&mut line, "request_id", &self.request_id);
        text(&mut line, "plan", &self.plan);
        line.push_str("}\n");
        line
    }
}

fn text(line: &mut String, name: &str, value: &str) {
    key(line, name);
    line.push('"');
    escape(line, value);
    line.push('"');
}

fn texts(line: &mut String, name: &str, values: &[String]) {
    key(line, name);
    for (value, before) in values.iter().zip(std::iter::once('[').chain(std::iter::repeat(','))) {
        line.push(before);
        line.push('"');
        escape(line, value);
        line.push('"');
    }
    line.push(']');
}

fn number(line: &mut String, name: &str, value: impl fmt::Display) {
    key(line, name);
    // Writing to a string does not fail.
    let _ = write!(line, "{value}");
}

fn key(line: &mut String, name: &str) {
    if !line.ends_with('{') {
        line.push(',');
    }
    line.push('"');
    line.push_str(name);
    line.push_str("\":");
}

/// Appends `value` as the inside of a JSON string (RFC 8259 7). Whatever a terminal could obey is escaped too.
pub(crate) fn escape(line: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            control if control.is_control() => {
                // All control characters are below U+0100.
                let _ = write!(line, "\\u{:04x}", u32::from(control));
            }
            other => line.push(other),
        }
    }
}

/// A time in UTC with milliseconds (RFC 3339).
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // The civil calendar from a count of days: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_of_json_whatever_is_in_it() {
        let mut line = String::new();
        escape(&mut line, "a\"b\\c\r\n\u{1b}[2J\u{7f}\u{9b}é");
        assert_eq!(line, r#"a\"b\\c\u000d\u000a\u001b[2J\u007f\u009bé"#);
    }

    #[test]
    fn times_are_rfc_3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn a_stuck_output_drops_lines_and_counts_them() {
        let (lines, waiting) = sync_channel(1);
        let log = Log { lines, dropped: Arc::default() };
        for _ in 0..3 {
            if log.lines.try_send("{}\n".to_owned()).is_err() {
                log.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        let Log { lines, dropped } = log;
        drop(lines);
        let mut out = Vec::new();
        write(&waiting, &dropped, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{}\n{\"dropped_lines\":2}\n");
    }
}
