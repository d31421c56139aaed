//! How much clients may cost: the bounds of a process, each with its default and the reason for it. They are held once, before anything is
//! served, as those of `ulimit` are; whoever says nothing has the defaults.

use std::sync::OnceLock;
use std::time::Duration;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Connections,
    AllConnections,
    Requests,
    TlsTime,
    DetectTime,
    HeadBytes,
    HeadFields,
    HeadTime,
    IdleTime,
    StallTime,
    Http2Streams,
    Http2StreamWindow,
    Http2ConnectionWindow,
    Http2HeaderBytes,
    Http2Resets,
    Http2OwnResets,
    Http2ControlFrames,
    Http2EmptyData,
    Http2Continuations,
}

/// What it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Count,
    Bytes,
    /// Milliseconds.
    Time,
}

/// A bound in words and numbers.
struct Row {
    bound: Bound,
    name: &'static str,
    unit: Unit,
    default: u64,
    least: u64,
    most: u64,
    /// What is bounded, and why by so much.
    doc: &'static str,
}

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;
const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;

const fn row(
    bound: Bound,
    name: &'static str,
    unit: Unit,
    default: u64,
    (least, most): (u64, u64),
    doc: &'static str,
) -> Row {
    Row { bound, name, unit, default, least, most, doc }
}

/// In the order of [`Bound`].
const ROWS: [Row; 19] = [
    row(
        Bound::Connections,
        "connections",
        Unit::Count,
        10_000,
        (1, 1_000_000),
        "open connections of a listener, all threads together; more wait to be accepted. Busy ones take some 60 KiB",
    ),
    row(
        Bound::AllConnections,
        "all-connections",
        Unit::Count,
        50_000,
        (1, 10_000_000),
        "open connections of all listeners, all threads together. Where nothing is said also no more than four fifths of the files that the process may have open",
    ),
    row(
        Bound::Requests,
        "requests",
        Unit::Count,
        10_000,
        (1, 10_000_000),
        "requests under way, until the last byte of their answers, all threads together; more are answered with 503. A second of 10,000 a second",
    ),
    row(
        Bound::TlsTime,
        "tls-time",
        Unit::Time,
        10 * SECOND,
        (100, HOUR),
        "a handshake: two round trips, and some patience",
    ),
    row(
        Bound::DetectTime,
        "detect-time",
        Unit::Time,
        5 * SECOND,
        (100, HOUR),
        "until a connection that has begun says what it is: a ClientHello, a preface, a PROXY header",
    ),
    row(
        Bound::HeadBytes,
        "head-bytes",
        Unit::Bytes,
        64 * KIB,
        (4 * KIB, MIB),
        "a head of HTTP/1.1, of a request or of an answer: ten times what browsers and frameworks send",
    ),
    row(
        Bound::HeadFields,
        "head-fields",
        Unit::Count,
        100,
        (10, 1_000),
        "headers of a message, and crumbs of the cookies of a stream: several times what browsers and frameworks send",
    ),
    row(
        Bound::HeadTime,
        "head-time",
        Unit::Time,
        10 * SECOND,
        (100, HOUR),
        "from the first byte of a head, or of a block of headers, to its last: it fits in a few packets",
    ),
    row(
        Bound::IdleTime,
        "idle-time",
        Unit::Time,
        75 * SECOND,
        (100, 24 * HOUR),
        "a connection of HTTP without a request. Clients keep theirs for a minute or so at most",
    ),
    row(
        Bound::StallTime,
        "stall-time",
        Unit::Time,
        30 * SECOND,
        (100, HOUR),
        "how long a client may take none of the bytes that wait for it: longer than any pause of a network that still works",
    ),
    row(
        Bound::Http2Streams,
        "http2-streams",
        Unit::Count,
        100,
        (1, 10_000),
        "streams of a connection at once; more wait at the client. What Envoy recommends at the edge",
    ),
    row(
        Bound::Http2StreamWindow,
        "http2-stream-window",
        Unit::Bytes,
        64 * KIB,
        (64 * KIB - 1, 16 * MIB),
        "kept of a stream for a slow service",
    ),
    row(
        Bound::Http2ConnectionWindow,
        "http2-connection-window",
        Unit::Bytes,
        MIB,
        (64 * KIB - 1, 256 * MIB),
        "kept of all streams of a connection: sixteen slow services do not stop the others",
    ),
    row(
        Bound::Http2HeaderBytes,
        "http2-header-bytes",
        Unit::Bytes,
        64 * KIB,
        (4 * KIB, MIB),
        "the headers of a request, with 32 bytes for each (RFC 9113 6.5.2); more is 431. As much as a head of HTTP/1.1 may have",
    ),
    row(
        Bound::Http2Resets,
        "http2-resets",
        Unit::Count,
        100,
        (1, 1_000_000),
        "streams that a client resets in 30 s, or half of what it asks for: rapid reset (CVE-2023-44487)",
    ),
    row(
        Bound::Http2OwnResets,
        "http2-own-resets",
        Unit::Count,
        100,
        (1, 1_000_000),
        "streams that are reset here because of what a client sends on them: MadeYouReset (CVE-2025-8671)",
    ),
    row(
        Bound::Http2ControlFrames,
        "http2-control-frames",
        Unit::Count,
        500,
        (10, 1_000_000),
        "settings, pings, priorities and windows in 30 s, and four more for each frame of a message (CVE-2019-9512)",
    ),
    row(
        Bound::Http2EmptyData,
        "http2-empty-data",
        Unit::Count,
        100,
        (1, 1_000_000),
        "frames of data without data in 30 s (CVE-2019-9518)",
    ),
    row(
        Bound::Http2Continuations,
        "http2-continuations",
        Unit::Count,
        8,
        (1, 1_000),
        "CONTINUATION frames of one block of headers: 64 KiB fit into four (CVE-2024-27316)",
    ),
];

static HELD: OnceLock<[u64; ROWS.len()]> = OnceLock::new();

/// Holds these, and of the others the defaults, within the files that the process may have open as far as that is known: connections are
/// files, and so are those to endpoints. `false` where bounds are held already.
pub fn hold(changed: &[(Bound, u64)], files: Option<u64>) -> bool {
    let mut values = ROWS.each_ref().map(|row| row.default);
    if let (Some(files), Some(all)) = (files, values.get_mut(Bound::AllConnections as usize)) {
        *all = (*all).min((files / 5 * 4).max(1));
    }
    for (bound, value) in changed {
        if let Some(place) = values.get_mut(*bound as usize) {
            *place = *value;
        }
    }
    HELD.set(values).is_ok()
}

impl Bound {
    /// Reads `NAME=VALUE`; the error says what may be written.
    pub fn read(text: &str) -> Result<(Bound, u64), String> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| "write NAME=VALUE, such as connections=2000 or tls-time=5s".to_owned())?;
        let Some(row) = ROWS.iter().find(|row| row.name == name) else {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            return Err(format!("there is no limit `{name}`: there are {}", names.join(", ")));
        };
        let range = || {
            let [least, most] = [row.least, row.most].map(|value| row.unit.written(value));
            format!(
                "`{name}` is {least} to {most}, and {} where nothing is said",
                row.unit.written(row.default)
            )
        };
        let value = row.unit.read(value).filter(|value| (row.least..=row.most).contains(value));
        Ok((row.bound, value.ok_or_else(range)?))
    }

    /// What holds.
    pub(crate) fn get(self) -> u64 {
        let default = || ROWS.get(self as usize).map_or(0, |row| row.default);
        HELD.get().and_then(|values| values.get(self as usize).copied()).unwrap_or_else(default)
    }

    /// What holds, where it fits into 32 bits: all of them do.
    pub(crate) fn count(self) -> u32 {
        u32::try_from(self.get()).unwrap_or(u32::MAX)
    }

    /// What holds, of bytes and other counts.
    pub(crate) fn size(self) -> usize {
        usize::try_from(self.get()).unwrap_or(usize::MAX)
    }

    /// What holds, of a time.
    pub(crate) fn time(self) -> Duration {
        Duration::from_millis(self.get())
    }
}

impl Unit {
    fn read(self, text: &str) -> Option<u64> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let factor = match (self, unit) {
            (Unit::Count | Unit::Bytes, "") | (Unit::Bytes, "B") | (Unit::Time, "ms") => 1,
            (Unit::Bytes, "KiB") => KIB,
            (Unit::Bytes, "MiB") => MIB,
            (Unit::Time, "s") => SECOND,
            (Unit::Time, "m") => 60 * SECOND,
            (Unit::Time, "h") => HOUR,
            _ => return None,
        };
        number.checked_mul(factor)
    }

    fn written(self, value: u64) -> String {
        match self {
            Unit::Count => value.to_string(),
            Unit::Bytes if value.is_multiple_of(MIB) => format!("{}MiB", value / MIB),
            Unit::Bytes if value.is_multiple_of(KIB) => format!("{}KiB", value / KIB),
            Unit::Bytes => format!("{value}B"),
            Unit::Time if value.is_multiple_of(HOUR) => format!("{}h", value / HOUR),
            Unit::Time if value.is_multiple_of(SECOND) => format!("{}s", value / SECOND),
            Unit::Time => format!("{value}ms"),
        }
    }
}

/// All of them, for people.
pub fn table() -> String {
    let line = |row: &Row| {
        let [default, least, most] = [row.default, row.least, row.most].map(|value| row.unit.written(value));
        format!("  {:<24}{default:<8}{least} to {most}\n      {}\n", row.name, row.doc)
    };
    ROWS.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_has_its_row_and_a_default_within_its_range() {
        for (row, place) in ROWS.iter().zip(0..) {
            assert_eq!(row.bound as usize, place, "{}", row.name);
            assert!((row.least..=row.most).contains(&row.default), "{}", row.name);
            let written = format!("{}={}", row.name, row.unit.written(row.default));
            assert_eq!(Bound::read(&written), Ok((row.bound, row.default)));
            assert!(table().contains(&format!("  {} ", row.name)), "{}", row.name);
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_what_may_be_written() {
        assert_eq!(Bound::read("connections=2000"), Ok((Bound::Connections, 2_000)));
        assert_eq!(Bound::read("tls-time=1500ms"), Ok((Bound::TlsTime, 1_500)));
        assert_eq!(Bound::read("http2-header-bytes=16KiB"), Ok((Bound::Http2HeaderBytes, 16_384)));
        for (wrong, remedy) in [
            ("connections", "NAME=VALUE"),
            ("connections=0", "1 to 1000000, and 10000"),
            ("connections=2s", "1 to 1000000"),
            ("tls-time=5", "100ms to 1h, and 10s"),
            ("tls-time=2h", "100ms to 1h"),
            ("http2-header-bytes=1KiB", "4KiB to 1MiB, and 64KiB"),
            ("http2-header-bytes=99999999999999999999", "4KiB"),
            ("http2-resets=-1", "1 to 1000000"),
            ("colour=3", "there are connections, all-connections"),
        ] {
            let error = Bound::read(wrong).unwrap_err();
            assert!(error.contains(remedy), "{wrong}: {error}");
        }
    }
}
