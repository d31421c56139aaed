//! Cases of kind `h1`: bytes on a connection.

use crate::catalogue::Case;
use crate::client::{self, Played};
use crate::expect::{Check, Expect, Fate};
use crate::fixture::Running;
use crate::oracles::{Before, Seen};
use crate::requests::{self, Reading};
use crate::upstream::Plays;
use crate::verdict::Verdict;
use crate::{fixture, notation};
use std::time::Duration;

/// Longer than the proxy waits for a head, and more for long inputs, on a machine that has other things to do.
fn limit(bytes: &[u8]) -> Duration {
    Duration::from_secs(13 + bytes.len() as u64 / 100_000)
}

/// Plays a case in the fixture that it is for, and checks what it expects.
pub(crate) fn play(case: &Case, running: &mut Running) -> Verdict {
    let mut expect = match Expect::read(&case.expect) {
        Ok(expect) => expect,
        Err(why) => return Verdict::Failed(vec![why]),
    };
    let bytes = match notation::bytes(&case.input) {
        Ok(bytes) => bytes,
        Err(why) => return Verdict::Failed(vec![format!("not understood: {why}")]),
    };
    let plays = expect.checks.iter().find_map(|check| match check {
        Check::UpstreamAnswers(status) => Some(Plays::Status(*status)),
        _ => None,
    });
    running.upstream.begin(plays.unwrap_or_default());
    let before = Before::now(running, &expect);
    let played = match client::play(running.h1, std::slice::from_ref(&bytes), limit(&bytes)) {
        Ok(played) => played,
        Err(why) => return Verdict::Failed(vec![why]),
    };
    let seen = before.seen(running);
    let mut wrong = seen.violations(running, played.answers.len(), &bodies(&bytes));
    wrong.extend(fates(&expect, &played, &seen));
    wrong.extend(expect.checks.iter().filter_map(|check| unmet(check, &bytes, &expect, &played, &seen)));
    let mut unchecked = std::mem::take(&mut expect.unchecked);
    unchecked.extend(waived(&mut wrong, &expect));
    Verdict::of(wrong, unchecked)
}

/// A case that expects a path to be forwarded knows of backends that fold case: what they make of it is told, and is no failure.
fn waived(wrong: &mut Vec<String>, expect: &Expect) -> Option<String> {
    let is_of_case =
        |wrong: &String| wrong.starts_with("O1: ") && wrong.ends_with("a backend with folded case");
    if expect.fates != [Fate::Forwarded] || !wrong.iter().any(is_of_case) {
        return None;
    }
    wrong.retain(|wrong| !is_of_case(wrong));
    Some("O1 of backends that fold case: it is to be forwarded".to_owned())
}

/// Plays the bytes for the oracles alone.
pub(crate) fn play_beside(case: &Case, running: &mut Running) -> Vec<String> {
    let expect = Expect::read(&case.expect).unwrap_or_default();
    let Ok(bytes) = notation::bytes(&case.input) else { return vec![] };
    running.upstream.begin(Plays::default());
    let before = Before::now(running, &Expect::default());
    let Ok(played) = client::play(running.h1, std::slice::from_ref(&bytes), limit(&bytes)) else {
        return vec![];
    };
    let seen = before.seen(running);
    let mut wrong = seen.violations(running, played.answers.len(), &bodies(&bytes));
    waived(&mut wrong, &expect);
    wrong.into_iter().map(|wrong| format!("in the other fixture: {wrong}")).collect()
}

/// The bodies that a strict reader finds in what the client sends.
fn bodies(bytes: &[u8]) -> Vec<Vec<u8>> {
    let trimmed = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    requests::all(trimmed, Reading::Strict).0.into_iter().map(|request| request.body).collect()
}

pub(crate) fn fates(expect: &Expect, played: &Played, seen: &Seen) -> Option<String> {
    let rule = seen.lines.first().map_or("", |line| line.rule.as_str());
    let met = |fate: &Fate| match fate {
        Fate::Status(status, named) => {
            let is_rule = named
                .as_deref()
                .is_none_or(|named| fixture::rule_text(named).is_some_and(|text| rule.contains(text)));
            played.answers.first().is_some_and(|answer| answer.status == *status) && is_rule
        }
        Fate::Forwarded => {
            !seen.requests.is_empty() && played.answers.first().is_some_and(|answer| answer.status < 400)
        }
        Fate::Refused => {
            seen.requests.is_empty()
                && played.answers.first().map_or(played.closed, |answer| answer.status >= 400)
        }
        Fate::Closed => played.closed,
        Fate::Reset(_) | Fate::GoneAway(_) => played.closed && played.answers.is_empty(),
        Fate::Grpc(_) => false,
    };
    if expect.fates.is_empty() || expect.fates.iter().any(met) {
        return None;
    }
    let answers: Vec<u16> = played.answers.iter().map(|answer| answer.status).collect();
    let how = if played.closed { "then the end" } else { "and no end" };
    Some(format!(
        "expected {:?}, got {answers:?} {how}, rule `{rule}`, {} requests upstream",
        expect.fates,
        seen.requests.len()
    ))
}

/// What is wrong if a check is not met.
pub(crate) fn unmet(
    check: &Check,
    bytes: &[u8],
    expect: &Expect,
    played: &Played,
    seen: &Seen,
) -> Option<String> {
    let first = seen.requests.first();
    let upstream = |wrong: String| first.map_or(Some("the upstream has nothing".to_owned()), |_| Some(wrong));
    match check {
        Check::Closes => (!played.closed).then(|| "the connection stays open".to_owned()),
        Check::Then(Fate::Status(status, _)) => {
            let second = played.answers.get(1).map(|answer| answer.status);
            // A connection that ends has no second message.
            (second != Some(*status)).then(|| format!("the second answer is {second:?}, not {status}"))
        }
        Check::Requests(count) => (seen.requests.len() != *count)
            .then(|| format!("{} requests reach the upstream, not {count}", seen.requests.len())),
        Check::SameTarget => {
            let sent = String::from_utf8_lossy(bytes).split(' ').nth(1).unwrap_or_default().to_owned();
            first
                .is_none_or(|first| first.target != sent)
                .then(|| format!("the target is not `{sent}`"))
                .and_then(upstream)
        }
        Check::Target(target) => {
            let wrong = || format!("the target is not `{target}`");
            first.is_none_or(|first| first.target != *target).then(wrong).and_then(upstream)
        }
        Check::Host(host) => {
            let is_it =
                first.is_some_and(|first| first.values("host").collect::<Vec<_>>() == [host.as_bytes()]);
            // A refusal is as good.
            let is_it = is_it || expect.refuses();
            (!is_it).then(|| format!("the host is not `{host}`")).and_then(upstream)
        }
        Check::LowerHost => {
            let is_lower = |value: &[u8]| !value.iter().any(u8::is_ascii_uppercase);
            let wrong = first.is_some_and(|first| !first.values("host").all(is_lower));
            wrong.then(|| "the host is not in lower case".to_owned())
        }
        Check::Body(body) => {
            let wrong = || format!("the body is not `{}`", String::from_utf8_lossy(body));
            first.is_none_or(|first| first.body != *body).then(wrong).and_then(upstream)
        }
        Check::BodyLength(length) => {
            let wrong = || format!("the body has not {length} bytes");
            first.is_none_or(|first| first.body.len() != *length).then(wrong).and_then(upstream)
        }
        Check::NoHeader(name) => {
            let has = seen.requests.iter().any(|request| request.values(name).next().is_some());
            has.then(|| format!("the upstream gets `{name}`"))
        }
        Check::Stripped(names) => stripped(names, bytes, seen),
        Check::Memory(limit) => (seen.memory > *limit)
            .then(|| format!("memory grows by {} KiB, not less than {} KiB", seen.memory >> 10, limit >> 10)),
        Check::Processor(seconds) => (seen.processor > Duration::from_secs(*seconds))
            .then(|| format!("{:?} of processor time", seen.processor)),
        Check::Client(client) => {
            let known = seen.lines.first().map(|line| line.client.as_str()).unwrap_or_default();
            (known != client).then(|| format!("the client is taken for `{known}`, not for `{client}`"))
        }
        Check::UpstreamAnswers(_) | Check::Then(_) => None,
    }
}

fn stripped(names: &[String], bytes: &[u8], seen: &Seen) -> Option<String> {
    let (sent, _) = requests::all(bytes, Reading::BareLines);
    let sent = sent.first()?;
    let said: Vec<&String> = sent.headers.iter().map(|(name, _)| name).collect();
    let mut names: Vec<String> = names.iter().filter(|name| said.contains(name)).cloned().collect();
    if names.is_empty() {
        names.extend(said.last().map(|name| (*name).clone()));
    }
    let Some(first) = seen.requests.first() else { return Some("the upstream has nothing".to_owned()) };
    let passed =
        names.iter().find(|name| sent.values(name).any(|value| first.values(name).any(|own| own == value)));
    passed.map(|name| format!("the upstream gets the client's `{name}`"))
}
