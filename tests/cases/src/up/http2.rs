//! Upstreams of HTTP/2 that answer what they should not, and a fixture before one.

use crate::catalogue::Case;
use crate::client;
use crate::expect::Expect;
use crate::fixture::{Running, Tools};
use crate::h2::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, block, frame, settings,
};
use crate::notation::count_of;
use crate::oracles::Before;
use crate::upstream::SENTINEL;
use crate::verdict::Verdict;
use loona_hpack::Decoder;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// An answer of a bad upstream comes at once or not at all.
const LIMIT: Duration = Duration::from_secs(15);
/// Requests that are asked at once, one behind the other.
const BATCH: usize = 100;
/// What the memory of a proxy may grow by without growing: pages that the allocator keeps.
const NOTHING: u64 = 2 << 20;
/// Bytes before the first frame (RFC 9113 3.4).
const PREFACE: usize = 24;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const CANCEL: u32 = 8;

/// What an upstream does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plays {
    /// Answers, with a field behind the body.
    Trailers,
    /// Goes away, and allows no streams.
    NoStreams,
    /// Resets the stream, and goes away.
    Resets,
}

pub(super) fn play(case: &Case, tools: &Tools) -> Verdict {
    let has = |words: &str| case.input.contains(words);
    let played = if has("trailers") {
        trailers(case, tools)
    } else if has("MAX_CONCURRENT_STREAMS=0") {
        no_streams(case, tools)
    } else if has("RST_STREAM") && has("GOAWAY") {
        let count = case.input.split([' ', ',']).filter_map(count_of).find(|count| *count > 1);
        resets(case, count.unwrap_or(1_000), tools)
    } else {
        return Verdict::Failed(vec![format!("not understood: `{}`", case.input)]);
    };
    match played {
        Ok(wrong) => Verdict::of(wrong, vec![]),
        Err(why) => Verdict::Failed(vec![why]),
    }
}

fn start(case: &Case, plays: Plays, tools: &Tools) -> Result<Running, String> {
    let address = listen(plays).map_err(|error| format!("cannot start an upstream: {error}"))?;
    Running::before_http2(&format!("http2-{}", case.id), address, tools)
}

/// Its body is whole, and what stands behind it is not told to whoever did not say that it takes that.
fn trailers(case: &Case, tools: &Tools) -> Result<Vec<String>, String> {
    let mut running = start(case, Plays::Trailers, tools)?;
    let before = Before::now(&running, &Expect::default());
    let played = client::play(running.h1, &[get("/public")], LIMIT)?;
    let mut wrong = before.seen(&mut running).broken().to_vec();
    let answer = played.answers.first();
    if !answer.is_some_and(|answer| answer.status == 200 && answer.body == b"hello") {
        wrong.push(format!("the body is not whole: {answer:?}"));
    }
    let rest = String::from_utf8_lossy(&played.rest).into_owned();
    if !rest.is_empty() || answer.is_some_and(|answer| answer.header("x-checksum").is_some()) {
        wrong.push(format!("the trailers reach the client: {rest:?}"));
    }
    Ok(wrong)
}

/// Nobody waits for a stream that there will not be.
fn no_streams(case: &Case, tools: &Tools) -> Result<Vec<String>, String> {
    let mut running = start(case, Plays::NoStreams, tools)?;
    let played = client::play(running.h1, &[get("/public")], LIMIT)?;
    let mut wrong = Vec::new();
    let status = played.answers.first().map(|answer| answer.status);
    if !matches!(status, Some(502..=504)) {
        wrong.push(format!("the client gets {status:?}, and no word that the upstream does not answer"));
    }
    if !running.is_alive() {
        wrong.push("O4: the proxy has died".to_owned());
    }
    Ok(wrong)
}

/// The last tenth of many such answers leaves no more behind than the first did.
fn resets(case: &Case, count: usize, tools: &Tools) -> Result<Vec<String>, String> {
    let mut running = start(case, Plays::Resets, tools)?;
    let (mut wrong, mut marks) = (Vec::new(), Vec::new());
    let files = running.process().files();
    let batches = (count / BATCH).max(10);
    for batch in 0..batches {
        let played = client::play(running.h1, &[get("/public").repeat(BATCH)], LIMIT)?;
        let failed = played.answers.iter().filter(|answer| matches!(answer.status, 502..=504)).count();
        if failed != BATCH {
            wrong.push(format!("{failed} of {BATCH} requests are told that the upstream fails"));
            break;
        }
        if batch % (batches / 10) == batches / 10 - 1 {
            marks.push(running.process().memory());
        }
    }
    if let [_, second, .., last] = marks.as_slice()
        && last.saturating_sub(*second) > NOTHING
    {
        wrong.push(format!("memory grows with each tenth of the requests: {marks:?}"));
    }
    wrong.extend(crate::oracles::leak(running.process(), files));
    if !running.is_alive() {
        wrong.push("O4: the proxy has died".to_owned());
    }
    Ok(wrong)
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").into_bytes()
}

fn listen(plays: Plays) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || converse(stream, plays));
        }
    });
    Ok(address)
}

/// Until the connection ends, or the upstream does not want it any more.
fn converse(mut stream: TcpStream, plays: Plays) -> Option<()> {
    let _ = stream.set_nodelay(true);
    stream.read_exact(&mut [0; PREFACE]).ok()?;
    stream.write_all(&settings(&[])).ok()?;
    let mut decoder = Decoder::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let [l1, l2, l3, kind, flags, number @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l1, l2, l3]) as usize];
        stream.read_exact(&mut payload).ok()?;
        match kind {
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[])).ok()?,
            PING if flags & ACK == 0 => stream.write_all(&frame(PING, ACK, 0, &payload)).ok()?,
            HEADERS => {
                let fields = decoder.decode(&payload).ok()?;
                let is_own = |(name, value): &(Vec<u8>, Vec<u8>)| {
                    name == b":path" && value.starts_with(SENTINEL.as_bytes())
                };
                let is_sentinel = fields.iter().any(is_own);
                let (bytes, closes) = answer(u32::from_be_bytes(number), plays, is_sentinel);
                stream.write_all(&bytes).ok()?;
                if closes {
                    return None;
                }
            }
            _ => {}
        }
    }
}

fn answer(stream: u32, plays: Plays, is_sentinel: bool) -> (Vec<u8>, bool) {
    let fields = |fields: &[(&str, &str)]| {
        let own = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        block(&own.collect::<Vec<_>>())
    };
    let head = frame(HEADERS, END_HEADERS, stream, &fields(&[(":status", "200")]));
    let goaway = frame(GOAWAY, 0, 0, &[0; 8]);
    match plays {
        _ if is_sentinel => ([head, frame(DATA, END_STREAM, stream, b"ok")].concat(), false),
        Plays::Trailers => {
            let trailers = frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&[("x-checksum", "1")]));
            ([head, frame(DATA, 0, stream, b"hello"), trailers].concat(), false)
        }
        Plays::NoStreams => ([goaway, settings(&[(MAX_CONCURRENT_STREAMS, 0)])].concat(), false),
        Plays::Resets => ([frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()), goaway].concat(), true),
    }
}
