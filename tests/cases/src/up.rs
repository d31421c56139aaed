//! Cases of kind `up`: an upstream that answers what it should not.

mod http2;

use crate::catalogue::Case;
use crate::client::{self, Played};
use crate::expect::{Check, Expect};
use crate::fixture::{Running, Tools};
use crate::oracles::Before;
use crate::upstream::Plays;
use crate::verdict::Verdict;
use crate::{h1, notation};
use std::time::Duration;

/// An answer of a bad upstream comes at once or not at all.
const LIMIT: Duration = Duration::from_secs(4);
/// As often as an upstream is asked that always fails.
const TRIES: usize = 50;

const GET: &str = "GET /public HTTP/1.1\r\nHost: a.test\r\n\r\n";
const POST: &str = "POST /public HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
/// The head alone: its sender waits to be told to go on.
const EXPECTING: &str =
    "POST /public HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
const WEBSOCKET: &str = "GET /public/ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// What RFC 6455 answers to that key.
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the client asks, and what the upstream makes of it.
type Exchange = (&'static str, Plays);

/// Plays a case: each of the answers that it names, to a request of its own.
pub(crate) fn play(case: &Case, running: &mut Running, tools: &Tools) -> Verdict {
    if case.input.starts_with("h2 upstream") {
        return http2::play(case, tools);
    }
    let expect = match Expect::read(&case.expect) {
        Ok(expect) => expect,
        Err(why) => return Verdict::Failed(vec![why]),
    };
    let exchanges = match exchanges(&case.input) {
        Ok(exchanges) => exchanges,
        Err(why) => return Verdict::Failed(vec![why]),
    };
    let mut wrong = Vec::new();
    let count = exchanges.len();
    for (index, (asks, plays)) in exchanges.into_iter().enumerate() {
        let found = one(asks, plays, &expect, running);
        let which = |wrong| if count > 1 { format!("answer {}: {wrong}", index + 1) } else { wrong };
        wrong.extend(found.into_iter().map(which));
    }
    Verdict::of(wrong, expect.unchecked)
}

fn one(asks: &str, plays: Plays, expect: &Expect, running: &mut Running) -> Vec<String> {
    let fails_always = matches!(plays, Plays::Status(status) if status >= 500);
    let tries = if fails_always { TRIES } else { 1 };
    running.upstream.begin(plays);
    let before = Before::now(running, expect);
    let mut played = Played::default();
    for _ in 0..tries {
        match client::play(running.h1, &[asks.as_bytes().to_vec()], LIMIT) {
            Ok(own) => played = own,
            Err(why) => return vec![why],
        }
    }
    let seen = before.seen(running);
    let mut wrong = seen.violations(running, tries.min(seen.lines.len()), &[]);
    // Who is refused before its body is sent leaves the upstream without it.
    wrong.retain(|wrong| asks != EXPECTING || !wrong.contains("Incomplete("));
    if seen.requests.len() * 10 > tries * 12 {
        wrong.push(format!("the upstream is asked {} times for {tries} requests", seen.requests.len()));
    }
    // Whether a connection to the client ends with its answer is not what these are about.
    let is_own =
        |check: &&Check| matches!(check, Check::Memory(_) | Check::Requests(_) | Check::Processor(_));
    wrong.extend(h1::fates(expect, &played, &seen));
    let own = expect.checks.iter().filter(is_own);
    wrong.extend(own.filter_map(|check| h1::unmet(check, asks.as_bytes(), expect, &played, &seen)));
    if played.answers.len() > 1 {
        wrong.push("the client gets an answer that it has not asked for".to_owned());
    }
    let frames = |name: &str| played.interim.iter().any(|answer| answer.header(name).is_some());
    if frames("content-length") || frames("transfer-encoding") {
        wrong.push("an interim answer frames a body".to_owned());
    }
    wrong
}

fn exchanges(text: &str) -> Result<Vec<Exchange>, String> {
    let has = |words: &str| text.contains(words);
    let stays = |asks, text: &str| (asks, Plays::Bytes { bytes: text.as_bytes().to_vec(), closes: false });
    let ended = |asks, text: &str| (asks, Plays::Bytes { bytes: text.as_bytes().to_vec(), closes: true });
    if text.starts_with("HTTP/") {
        // What it leaves open is never closed otherwise.
        return Ok(vec![(GET, Plays::Bytes { bytes: notation::bytes(text)?, closes: true })]);
    }
    if let Some(statuses) = text.strip_prefix("status ") {
        let line = |status: &str| match status.trim().trim_matches('"') {
            version if version.starts_with("HTTP/") => format!("{version} 200 OK"),
            status => format!("HTTP/1.1 {status} X"),
        };
        let answer = |status| ended(GET, &format!("{}\r\nContent-Length: 0\r\n\r\n", line(status)));
        return Ok(statuses.split(';').map(answer).collect());
    }
    if let Some((count, rest)) = text.split_once(" x \"")
        && let Some((what, rest)) = rest.split_once('"')
        && let Some(count) = notation::count_of(count)
    {
        let interim = format!("{what}\r\n\r\n").repeat(count);
        let last = if rest.contains("200") { OK } else { "" };
        return Ok(vec![ended(GET, &(interim + last))]);
    }
    if let Some(status) = text.strip_prefix("always ").and_then(|rest| rest.trim().parse().ok()) {
        return Ok(vec![(GET, Plays::Status(status))]);
    }
    let exchange = if has("different Upgrade token") {
        ended(
            WEBSOCKET,
            &format!("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: foo\r\n{ACCEPT}\r\n\r\n"),
        )
    } else if has("wrong Sec-WebSocket-Accept") {
        let accept = "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        ended(
            WEBSOCKET,
            &format!("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{accept}\r\n\r\n"),
        )
    } else if has("after 101") {
        let more = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 104 X\r\n\r\n";
        let agreed =
            format!("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{ACCEPT}\r\n\r\n{more}");
        ended(WEBSOCKET, &agreed)
    } else if has("103 Early Hints") {
        let hints = "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nLink: </a>\r\n\r\n";
        stays(GET, &format!("{hints}{OK}"))
    } else if has("Expect: 100-continue with") {
        let refuse = |status: &str| {
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            (EXPECTING, Plays::Early(answer.into_bytes()))
        };
        let statuses = text.split([' ', '/']).filter(|word| word.len() == 3 && word.parse::<u16>().is_ok());
        return Ok(statuses.filter(|status| *status != "100").map(refuse).collect());
    } else if has("second response") {
        stays(GET, &format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"))
    } else if has("before reading the request") {
        (POST, Plays::Early(format!("{OK}HTTP/1.1 400 X\r\nContent-Length: 3\r\n\r\nbad").into_bytes()))
    } else if has("FIN in the middle of the head") {
        ended(GET, "HTTP/1.1 200 OK\r\nConte")
    } else {
        return Err(format!("not understood: `{text}`"));
    };
    Ok(vec![exchange])
}
