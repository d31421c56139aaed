//! Cases of kind `desc`: what a case says in words and no bytes, of which some are played.

mod pressure;

use crate::catalogue::Case;
use crate::client::{self, Played};
use crate::expect::Expect;
use crate::fixture::{Running, Tools};
use crate::notation::count_of;
use crate::oracles::{Before, Seen};
use crate::upstream::Plays;
use crate::verdict::Verdict;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn play(case: &Case, running: &mut Running, tools: &Tools) -> Verdict {
    let text = case.input.as_str();
    let has = |words: &str| text.contains(words);
    let mut unchecked = Vec::new();
    let wrong = if let Some(path) =
        text.strip_prefix("for b in 0..=255: GET ").and_then(|rest| rest.split("%{b:02x}").next())
    {
        every_byte(path, running)
    } else if has("pipelined GETs") {
        pipelined(text.split(' ').next().and_then(count_of).unwrap_or(1_000), running)
    } else if has("before the request body is complete") {
        let statuses =
            text.split([' ', '/']).filter_map(|word| word.parse().ok()).filter(|status| *status >= 400);
        statuses.flat_map(|status: u16| early(status, running)).collect()
    } else if has("half of a Content-Length body") {
        half(running)
    } else if has("admin bound to a non-loopback address") {
        admin(tools)
    } else if has("stdout reader stops") {
        unchecked.push("that lines which are left away are counted".to_owned());
        all(pressure::nobody_reads_the_log(running, tools))
    } else if has("RLIMIT_NOFILE=") {
        unchecked.push("the whole minute, and what is kept for the admin".to_owned());
        all(pressure::no_files_are_left(running, tools))
    } else if has("bomb bodies") {
        unchecked.push("bodies of more than 1 MiB".to_owned());
        all(pressure::packed_bodies(running))
    } else if has("POST fails after bytes were sent") {
        all(pressure::fails_behind_the_first_byte(running))
    } else {
        let why = "it is a load, a fault of the machine, a real server or a setting of another fixture, none of which is set up here";
        return Verdict::Skipped(why.to_owned());
    };
    Verdict::of(wrong, unchecked)
}

/// What is wrong, or why it was not to be played.
fn all(played: Result<Vec<String>, String>) -> Vec<String> {
    played.unwrap_or_else(|why| vec![why])
}

/// Plays bytes, and says what the oracles have against them.
fn one(
    running: &mut Running,
    plays: Plays,
    pieces: &[Vec<u8>],
) -> Result<(Played, Seen, Vec<String>), String> {
    running.upstream.begin(plays);
    let before = Before::now(running, &Expect::default());
    let played = client::play(running.h1, pieces, LIMIT)?;
    let seen = before.seen(running);
    let wrong = seen.violations(running, played.answers.len(), &[]);
    Ok((played, seen, wrong))
}

/// Each byte behind a path, encoded: as the table of canonical forms says (`spec/semantics.md` 1.1).
fn every_byte(path: &str, running: &mut Running) -> Vec<String> {
    let mut wrong = Vec::new();
    for byte in 0..=255_u8 {
        let ask = format!("GET {path}%{byte:02x} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let (played, seen, oracles) = match one(running, Plays::default(), &[ask.into_bytes()]) {
            Ok(all) => all,
            Err(why) => return vec![why],
        };
        wrong.extend(oracles);
        let expected = match byte {
            0..=0x1f | 0x7f | b'/' | b'\\' | 0xc0 | 0xc1 => None,
            b'-' | b'.' | b'_' | b'~' => Some(format!("{path}{}", char::from(byte))),
            _ if byte.is_ascii_alphanumeric() => Some(format!("{path}{}", char::from(byte))),
            _ => Some(format!("{path}%{byte:02X}")),
        };
        let status = played.answers.first().map(|answer| answer.status);
        let target = seen.requests.first().map(|request| request.target.clone());
        if target != expected || status != Some(if expected.is_some() { 200 } else { 400 }) {
            wrong.push(format!("%{byte:02x}: {status:?}, {target:?} upstream, not {expected:?}"));
        }
    }
    wrong
}

/// Answers are those of the requests, in their order.
fn pipelined(count: usize, running: &mut Running) -> Vec<String> {
    let ask = |number| format!("GET /public/{number} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let all: String = (0..count).map(ask).collect();
    let (played, _, mut wrong) = match one(running, Plays::default(), &[all.into_bytes()]) {
        Ok(all) => all,
        Err(why) => return vec![why],
    };
    if played.answers.len() != count {
        wrong.push(format!("{} answers of {count}", played.answers.len()));
    }
    let odd = played.answers.iter().enumerate().find(|(number, answer)| {
        answer.status != 200 || answer.header("x-target") != Some(&format!("/public/{number}"))
    });
    wrong.extend(odd.map(|(number, answer)| {
        format!("answer {number} is {} of {:?}", answer.status, answer.header("x-target"))
    }));
    wrong
}

/// An answer that comes before its request is there.
fn early(status: u16, running: &mut Running) -> Vec<String> {
    let head = b"POST /public HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2000000\r\n\r\n".to_vec();
    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    let body = vec![b'x'; 1_000_000];
    match one(running, Plays::Early(answer.into_bytes()), &[head, body.clone(), body]) {
        Ok((played, _, mut wrong)) => {
            // The rest of the body is nobody's.
            wrong.retain(|wrong| !wrong.contains("Incomplete("));
            if played.answers.first().map(|answer| answer.status) != Some(status) {
                wrong.push(format!("the client does not get the {status}"));
            }
            wrong
        }
        Err(why) => vec![why],
    }
}

/// Nothing follows half a request on its connection to the upstream.
fn half(running: &mut Running) -> Vec<String> {
    running.upstream.begin(Plays::default());
    let before = Before::now(running, &Expect::default());
    let sent = TcpStream::connect(running.h1).and_then(|mut stream| {
        stream.write_all(b"POST /public HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello")?;
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    });
    if let Err(error) = sent {
        return vec![format!("cannot connect to the proxy: {error}")];
    }
    std::thread::sleep(Duration::from_millis(100));
    let seen = before.seen(running);
    let mut wrong = seen.violations(running, 0, &[]);
    wrong.retain(|wrong| !wrong.contains("Incomplete("));
    wrong
}

/// What the admin tells is not for the network.
fn admin(tools: &Tools) -> Vec<String> {
    let started = Command::new(&tools.proxy)
        .arg("--plan")
        .arg(tools.scratch.join("allow.mplan"))
        .args(["--all-gateways", "--bind", "127.0.0.1", "--admin", "0.0.0.0:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut proxy) = started else { return vec!["the proxy cannot be started".to_owned()] };
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        if let Ok(Some(status)) = proxy.try_wait() {
            return if status.success() { vec!["it ends without a complaint".to_owned()] } else { vec![] };
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = proxy.kill();
    let _ = proxy.wait();
    vec!["it serves an admin on every interface".to_owned()]
}
