//! One clause of an expectation.

use super::{Check, Expect, Fate, reason};
use crate::fixture::Fixture;
use crate::notation::{count_of, size_of};

/// Words before what becomes of a message.
const FILLING: [&str; 9] = [
    "must be ",
    "always ",
    "answer ",
    "answered ",
    "gets ",
    "responds ",
    "either ",
    "connection error ",
    "stream error ",
];

/// Reads a clause into what it says.
pub(super) fn read(clause: &str, expect: &mut Expect) {
    if clause.is_empty() {
        return;
    }
    if let Some(rest) = FILLING.iter().find_map(|filling| clause.strip_prefix(filling)) {
        return read(rest, expect);
    }
    if let Some(rest) = clause.strip_prefix("fixture D:").or_else(|| clause.strip_prefix("D:")) {
        expect.fixture = Fixture::Deny;
        return read(rest.trim(), expect);
    }
    if let Some(rest) = clause.strip_prefix("fixture A:").or_else(|| clause.strip_prefix("A:")) {
        return read(rest.trim(), expect);
    }
    // A rule, and what it does: the fixtures have those that occur.
    if let Some((premise, rest)) = clause.split_once("=>")
        && !premise.contains("second")
    {
        return read(rest.trim(), expect);
    }
    // `UP answers 200: second request is parsed`.
    if let Some((before, after)) = clause.split_once(": ")
        && (is_about_upstream(before) || before.contains("port"))
    {
        read(before, expect);
        return read(after, expect);
    }
    // `UP sees exactly 2 requests, first with 5-byte body`.
    if let Some((first, rest)) = clause.split_once(", ")
        && is_about_upstream(first)
    {
        read(first, expect);
        return read(rest, expect);
    }
    // `<= 32 absorbed then 502`.
    if let Some((_, rest)) = clause.split_once(" then ")
        && rest.starts_with(|first: char| first.is_ascii_digit())
    {
        return read(rest, expect);
    }
    if let Some((said, condition)) = clause.split_once(" when ") {
        // Fixtures with settings of their own: one that there is, and others.
        if matches!(condition, "slash=decode" | "params=strip") {
            expect.relaxed = Some(said.to_owned());
            return;
        }
        if condition.contains('=') {
            return expect.unchecked.push(clause.to_owned());
        }
        return read(said, expect);
    }
    // `400 in strict; else FWD`: either will do.
    if let Some(rest) = clause.strip_prefix("else ").or_else(|| clause.strip_prefix("then ")) {
        return read(rest.trim(), expect);
    }
    if let Some(fates) = fates(clause, expect) {
        expect.fates.extend(fates);
        return;
    }
    if phrase(clause, expect) {
        return;
    }
    // `FWD, body Z, re-framed by us`: each part by itself, if any is understood.
    let parts: Vec<&str> = clause.split(", ").flat_map(|part| part.split(" and ")).collect();
    if parts.len() > 1 {
        parts.into_iter().for_each(|part| read(part.trim(), expect));
    } else {
        expect.unchecked.push(clause.to_owned());
    }
}

/// Reads what stands in parentheses: it says why, and now and then what else.
pub(super) fn remark(remark: &str, expect: &mut Expect) {
    if is_about_upstream(remark) {
        phrase(remark, expect);
    }
}

fn is_about_upstream(text: &str) -> bool {
    text.starts_with("UP ")
}

/// `400 + close`, `RST PROTOCOL_ERROR`, `400 / grpc-status 12`, `FWD unchanged`: alternatives of what becomes of the message.
fn fates(clause: &str, expect: &mut Expect) -> Option<Vec<Fate>> {
    let (said, closes) = match clause.split_once(" + close") {
        // `400 + close, no allocation`
        Some((said, rest)) => {
            rest.split(", ").map(str::trim).for_each(|rest| read(rest, expect));
            (said, true)
        }
        None => (clause, false),
    };
    let mut fates = Vec::new();
    for (index, part) in alternatives(said).into_iter().enumerate() {
        match fate(part.trim(), expect) {
            Some(fate) => fates.push(fate),
            // `grpc-status 3/13`
            None if matches!(fates.last(), Some(Fate::Grpc(_))) && part.trim().parse::<u16>().is_ok() => {
                fates.extend(part.trim().parse().ok().map(Fate::Grpc));
            }
            None if index == 0 => return None,
            None => expect.unchecked.push(part.trim().to_owned()),
        }
    }
    if closes {
        expect.checks.push(Check::Closes);
    }
    Some(fates)
}

/// What stands between slashes or `or`. A slash of a path is none of them.
fn alternatives(text: &str) -> Vec<&str> {
    let is_between = |at: usize| {
        let side =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
        side(before) && text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
            || text.get(at.saturating_sub(1)..at + 2) == Some(" / ")
    };
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in text.match_indices('/').filter(|(at, _)| is_between(*at)) {
        parts.push(text.get(start..at).unwrap_or_default());
        start = at + 1;
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts.into_iter().flat_map(|part| part.split(" or ")).collect()
}

fn fate(text: &str, expect: &mut Expect) -> Option<Fate> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (first, rest) = match first.strip_suffix(',') {
        Some(first) => (first, rest),
        None => (first.trim_end_matches(':'), rest.trim()),
    };
    let reason_in = |text: &str| text.split([' ', ',']).find_map(reason);
    Some(match first {
        "FWD" | "forwarded" | "FORWARD" | "allow" | "allowed" | "passes" => {
            forwarded(rest, expect);
            Fate::Forwarded
        }
        "RST" | "RST_STREAM" => {
            tail(rest, expect);
            Fate::Reset(reason_in(rest))
        }
        "GOAWAY" => {
            tail(rest, expect);
            Fate::GoneAway(reason_in(rest))
        }
        // Of a stream, or of the connection, which is as good.
        name if reason(name).is_some() => Fate::Reset(reason(name)),
        "grpc-status" => Fate::Grpc(rest.split_whitespace().next()?.parse().ok()?),
        "UNIMPLEMENTED" => Fate::Grpc(12),
        "PERMISSION_DENIED" | "PermissionDenied" => Fate::Grpc(7),
        "HTTP" if rest.contains("grpc-status") => {
            let (_, code) = rest.split_once("grpc-status ")?;
            Fate::Grpc(code.split_whitespace().next()?.parse().ok()?)
        }
        "close" | "closed" => {
            tail(rest, expect);
            Fate::Closed
        }
        "connection" | "stream" if rest.starts_with("close") || rest.starts_with("is closed") => {
            tail(rest, expect);
            Fate::Closed
        }
        "deny" | "DENY" | "denied" => Fate::Status(403, rule_in(rest)),
        "still" if rest.starts_with("denied") => Fate::Status(403, None),
        "refused" | "rejected" if !rest.starts_with("by") => Fate::Refused,
        "completes" | "clamp" => Fate::Forwarded,
        "ignored" if !rest.contains(", ") && !text.contains(", ") => Fate::Forwarded,
        _ => {
            let digits = first.trim_end_matches(':');
            let status = digits.parse().ok().filter(|status| (100..600).contains(status))?;
            if rest == "forwarded" {
                return None;
            }
            if rest.contains("no upstream contact") || rest.contains("before any upstream") {
                expect.checks.push(Check::Requests(0));
            } else {
                tail(rest, expect);
            }
            Fate::Status(status, rule_in(rest))
        }
    })
}

/// `d3`, where a rule of the fixture is named.
fn rule_in(text: &str) -> Option<String> {
    let is_rule = |word: &&str| {
        word.strip_prefix('d')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    text.split([' ', ',']).find(is_rule).map(str::to_owned)
}

/// What follows a status or a reason on the same clause.
fn tail(rest: &str, expect: &mut Expect) {
    let known = |word: &str| {
        reason(word).is_some()
            || rule_in(word).is_some()
            || matches!(
                word,
                "default" | "in" | "strict" | "at" | "limit" | "once" | "Misdirected" | "Request"
            )
    };
    for part in rest.split(", ") {
        if part.contains("close") {
            expect.checks.push(Check::Closes);
        } else if !part.split_whitespace().all(known) {
            expect.unchecked.push(part.to_owned());
        }
    }
}

/// What stands behind `FWD`.
fn forwarded(rest: &str, expect: &mut Expect) {
    for part in rest.split(", ").map(str::trim).filter(|part| !part.is_empty()) {
        if part.starts_with("byte-identical") || part.starts_with("unchanged") {
            expect.checks.push(Check::SameTarget);
        } else if let Some(path) = part.strip_prefix("path=").or(part.strip_prefix("path ")) {
            expect.checks.push(Check::Target(first_word(path)));
        } else if part.starts_with('/') {
            expect.checks.push(Check::Target(first_word(part)));
        } else if let Some(host) = part.strip_prefix("with Host: ") {
            expect.checks.push(Check::Host(first_word(host)));
        } else if let Some(body) = part.strip_prefix("body ") {
            expect.checks.push(Check::Body(first_word(body).into_bytes()));
        } else {
            // `re-framed by us`, `extension dropped`, `bytes`: what the strict reading of the upstream's bytes finds.
            expect.unchecked.push(part.to_owned());
        }
    }
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().trim_end_matches(',').to_owned()
}

/// `one`, `exactly 2`, `no`.
fn number(text: &str) -> Option<usize> {
    text.split_whitespace().find_map(|word| match word {
        "no" | "nothing" | "zero" => Some(0),
        "one" | "a" => Some(1),
        "two" => Some(2),
        "three" => Some(3),
        word => count_of(word),
    })
}

/// What is said in words.
fn phrase(clause: &str, expect: &mut Expect) -> bool {
    let lower = clause.to_lowercase();
    let mut say = |check| {
        expect.checks.push(check);
        true
    };
    if lower.contains("second")
        && let Some(status) = status_in(&lower)
    {
        say(Check::Then(Fate::Status(status, None)))
    } else if lower.contains("second") && (lower.contains("not parsed") || lower.contains("never")) {
        say(Check::Requests(0))
    } else if let Some(rest) = lower.strip_prefix("up answers ") {
        let Ok(status) = first_word(rest).trim_end_matches(':').parse() else { return false };
        say(Check::UpstreamAnswers(status))
    } else if lower.starts_with("up sees no ") && lower.contains("header") {
        let words: Vec<&str> = lower.split_whitespace().collect();
        words.get(3).is_some_and(|name| say(Check::NoHeader((*name).to_owned())))
    } else if (lower.starts_with("up sees ") || lower.contains("at up")) && lower.contains("request")
        || lower.starts_with("nothing reaches")
    {
        number(&lower).is_some_and(|count| say(Check::Requests(count)))
    } else if lower.contains("-byte body") {
        let before = lower.split("-byte body").next().and_then(|text| text.split_whitespace().last());
        before.and_then(count_of).is_some_and(|count| say(Check::BodyLength(count)))
    } else if let Some(host) = lower.strip_prefix("host stays ") {
        say(Check::Host(first_word(host)))
    } else if let Some(path) = clause.strip_prefix("path canonical ") {
        say(Check::Target(first_word(path)))
    } else if lower.contains("forwarded lower-case") {
        say(Check::LowerHost)
    } else if lower.contains("stripped") || lower.contains("removed") {
        let before = clause.split("stripped").next().and_then(|text| text.split("removed").next());
        let is_name =
            |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase()) || word.starts_with("x-");
        let names = before.unwrap_or_default().split([' ', ',']).filter(is_name).map(str::to_lowercase);
        say(Check::Stripped(names.collect()))
    } else if let Some(size) = limit_of(&lower, clause, &["rss delta", "rss", "memory", "buffered"]) {
        // What is buffered is counted, what holds it is not.
        say(Check::Memory(if lower.contains("buffered") { size + FLAT } else { size }))
    } else if lower.contains("rss flat") || lower.contains("memory freed") || lower.contains("rss slope") {
        say(Check::Memory(FLAT))
    } else if lower.starts_with("cpu") && lower.contains("core-second") {
        number(&lower.replace("<=", "")).is_some_and(|seconds| say(Check::Processor(seconds as u64)))
    } else if let Some((_, client)) = lower.split_once("client = ") {
        say(Check::Client(first_word(client)))
    } else if let Some((_, client)) = lower.split_once("compared as ") {
        say(Check::Client(first_word(client)))
    } else if lower.trim() == "invalid" {
        say(Check::Client(String::new()))
    } else if OF_ORACLES.iter().any(|known| lower.contains(known)) {
        expect.by_oracles = true;
        true
    } else {
        false
    }
}

/// Growth that is none: what an allocator keeps to itself.
const FLAT: u64 = 1 << 20;

/// Phrases that say in other words what the oracles look for after every case: that nothing passes which was not decided about, that messages
/// are read in one way, that the proxy lives, and that there is one line of its log which is JSON.
const OF_ORACLES: [&str; 39] = [
    "ignored",
    "not reused",
    "marked incomplete",
    "discarded",
    "right request",
    "client gets it",
    "upstream/client requests",
    "no leak",
    "lower-cased",
    "bounded",
    "back-pressure",
    "back-off",
    "never",
    "not used for",
    "is data",
    "all dropped",
    "dropped",
    "no raw bytes",
    "not forwarded",
    "no tunnel",
    "not an upgrade",
    "body stays body",
    "json log line",
    "utf-8 json",
    "escape sequences",
    "no crash",
    "no panic",
    "no out-of-range",
    "no overflow",
    "no allocation",
    "no pre-allocation",
    "that is forwarded",
    "still delivered",
    "served once",
    "others unharmed",
    "no desync",
    "re-framed",
    "policy ignores",
    "forwarded as plain",
];

fn status_in(text: &str) -> Option<u16> {
    let words = text.split(|character: char| !character.is_ascii_digit());
    words
        .filter(|word| word.len() == 3)
        .find_map(|word| word.parse().ok().filter(|status| (200..600).contains(status)))
}

/// `RSS delta < 256 KiB`, `memory per connection <= 256 KiB`.
fn limit_of(lower: &str, clause: &str, of: &[&str]) -> Option<u64> {
    of.iter().find(|of| lower.contains(**of))?;
    let (_, limit) = clause.rsplit_once(['<', '≤']).or_else(|| clause.split_once("window ("))?;
    size_of(limit.trim_start_matches(['=', ' ']).trim_end_matches(')'))
}
