//! Cases of kind `h2`: frames on a connection.

mod connection;
pub(crate) mod frames;
mod notation;
mod special;
mod websocket;

use crate::catalogue::Case;
use crate::expect::{Check, Expect, Fate, reason_name};
use crate::fixture::{self, Running};
use crate::oracles::{Before, Seen};
use crate::upstream::Plays;
use crate::verdict::Verdict;
use connection::{Outcome, Script};
use std::time::Duration;

/// Reason of HTTP/2 for a flood (RFC 9113 7).
const ENHANCE_YOUR_CALM: u32 = 11;

/// Reasons for which the library has no more telling one than PROTOCOL_ERROR: FLOW_CONTROL_ERROR in settings, STREAM_CLOSED, COMPRESSION_ERROR.
const UNTOLD: [u32; 3] = [3, 5, 9];
/// And for what is malformed.
const PROTOCOL_ERROR: u32 = 1;

/// Plays a case: each of its scripts on a connection of its own.
pub(crate) fn play(case: &Case, running: &mut Running) -> Verdict {
    if case.input.contains("RFC 8441 websocket") {
        return websocket::play(&case.expect, running);
    }
    let expect = match Expect::read(&case.expect) {
        Ok(expect) => expect,
        Err(why) => return Verdict::Failed(vec![why]),
    };
    let sorted = !expect.fates.contains(&Fate::Reset(Some(PROTOCOL_ERROR)));
    let written = || notation::scripts(&case.input, sorted);
    let scripts = match special::scripts(&case.input).map_or_else(written, Ok) {
        Ok(scripts) => scripts,
        Err(why) => return Verdict::Failed(vec![why]),
    };
    let plays = special::upstream(&case.input);
    let mut wrong = Vec::new();
    for (index, (script, opened)) in scripts.into_iter().enumerate() {
        let found = one(script, opened, &expect, &plays, running);
        wrong.extend(found.into_iter().map(|wrong| format!("script {}: {wrong}", index + 1)));
    }
    let mut unchecked = expect.unchecked;
    let is_untold = |fate: &Fate| matches!(fate, Fate::GoneAway(Some(reason)) | Fate::Reset(Some(reason)) if UNTOLD.contains(reason));
    if expect.fates.iter().any(is_untold) {
        unchecked
            .push("the reason of an end: PROTOCOL_ERROR, which is less telling, counts as well".to_owned());
    }
    Verdict::of(wrong, unchecked)
}

fn one(script: Script, opened: usize, expect: &Expect, plays: &Plays, running: &mut Running) -> Vec<String> {
    running.upstream.begin(plays.clone());
    let before = Before::now(running, expect);
    let outcome = match connection::play(running.h2, script, opened) {
        Ok(outcome) => outcome,
        Err(why) => return vec![why],
    };
    running.upstream.play(Plays::default());
    let seen = before.seen(running);
    let mut wrong = seen.stream_violations(running, outcome.streams.len());
    wrong.extend(fates(expect, opened, &outcome, &seen));
    wrong.extend(expect.checks.iter().filter_map(|check| unmet(check, &seen)));
    wrong
}

fn fates(expect: &Expect, opened: usize, outcome: &Outcome, seen: &Seen) -> Option<String> {
    let rule = seen.lines.first().map_or("", |line| line.rule.as_str());
    let first = outcome.streams.values().next();
    let status = first.and_then(|first| first.status);
    let grpc = first.and_then(|first| first.grpc);
    let is_calm = outcome.goaway == Some(ENHANCE_YOUR_CALM) || outcome.closed && outcome.goaway.is_none();
    let resets: Vec<u32> = outcome.streams.values().filter_map(|stream| stream.reset).collect();
    let met = |fate: &Fate| match fate {
        Fate::Status(expected, named) => {
            let text = named.as_deref().map(fixture::rule_text);
            let is_rule = text.is_none_or(|text| text.is_some_and(|text| rule.contains(text)));
            // A call of gRPC hears the same by another name.
            let as_grpc: &[u16] = match expected {
                400 => &[3, 13],
                401 => &[16],
                403 => &[7],
                404 => &[12],
                413 | 429 | 431 => &[8],
                _ => &[],
            };
            // So much more than there may be that the connection ends for it.
            let is_refused = status == Some(*expected) || *expected == 431 && is_calm;
            (is_refused || grpc.is_some_and(|grpc| as_grpc.contains(&grpc))) && is_rule
        }
        Fate::Forwarded if opened == 0 => !outcome.closed && outcome.goaway.is_none() || is_calm,
        Fate::Forwarded => !seen.requests.is_empty() && status.is_some_and(|status| status < 400),
        Fate::Refused => {
            seen.requests.is_empty()
                && (status.is_some_and(|status| status >= 400) || grpc > Some(0) || !resets.is_empty())
        }
        // The connection ends all the same, which is told.
        Fate::GoneAway(Some(reason)) | Fate::Reset(Some(reason))
            if UNTOLD.contains(reason) && outcome.goaway == Some(PROTOCOL_ERROR) =>
        {
            true
        }
        // Whoever resets a stream may end the connection as well (RFC 9113 5.4).
        Fate::Reset(None) => !resets.is_empty() || outcome.goaway.is_some_and(|reason| reason != 0),
        Fate::Reset(Some(reason)) => resets.contains(reason) || outcome.goaway == Some(*reason),
        Fate::GoneAway(Some(ENHANCE_YOUR_CALM)) => is_calm,
        Fate::GoneAway(Some(reason)) => outcome.goaway == Some(*reason),
        Fate::GoneAway(None) => outcome.goaway.is_some_and(|reason| reason != 0) || outcome.closed,
        Fate::Grpc(expected) => grpc == Some(*expected),
        Fate::Closed => outcome.closed,
    };
    if expect.fates.is_empty() || expect.fates.iter().any(met) {
        return None;
    }
    let goaway = outcome.goaway.map(reason_name);
    let resets: Vec<&str> = resets.into_iter().take(3).map(reason_name).collect();
    Some(format!(
        "expected {:?}, got status {status:?}, grpc-status {grpc:?}, resets {resets:?}, GOAWAY {goaway:?}, closed: {}, rule `{rule}`, {} requests upstream",
        expect.fates,
        outcome.closed,
        seen.requests.len()
    ))
}

fn unmet(check: &Check, seen: &Seen) -> Option<String> {
    match check {
        Check::Requests(count) => (seen.requests.len() != *count)
            .then(|| format!("{} requests reach the upstream, not {count}", seen.requests.len())),
        Check::LowerHost => {
            let is_lower = |value: &[u8]| !value.iter().any(u8::is_ascii_uppercase);
            let wrong = seen.requests.iter().any(|request| !request.values("host").all(is_lower));
            wrong.then(|| "the host is not in lower case".to_owned())
        }
        Check::NoHeader(name) => {
            let has = seen.requests.iter().any(|request| request.values(name).next().is_some());
            has.then(|| format!("the upstream gets `{name}`"))
        }
        Check::Memory(limit) => (seen.memory > *limit)
            .then(|| format!("memory grows by {} KiB, not less than {} KiB", seen.memory >> 10, limit >> 10)),
        Check::Processor(seconds) => (seen.processor > Duration::from_secs(*seconds))
            .then(|| format!("{:?} of processor time", seen.processor)),
        _ => None,
    }
}
