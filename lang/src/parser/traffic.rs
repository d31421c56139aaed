//! Settings and limits, and what a rule does to requests besides sending them on.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::sequence::preceded;

use super::input::{Parsed, Tokens, after, expected, keyword, list, one, refuse, spanned};
use super::name::name;
use super::recover::shown;
use super::route::backend;
use super::value::{
    self, buffer_size, count, duration, invalid, method, percent, rate, rate_per_second, retry_count, status,
    string, word_of,
};
use super::{header_name, host, path};
use crate::ast::{
    Algorithm, Budget, Edit, FaultKind, GrpcStatus, HashKey, LoadBalancer, Mirror, RateKey, RateLimit,
    RetryOn, Rewrite,
};
use crate::diagnostic::suggest::meant;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Name, Spanned};
use crate::statement::Args;
use crate::token::TokenKind;

/// `DURATION` or `none`
pub(crate) fn timeout(input: Tokens<'_>) -> Parsed<'_, Args> {
    spanned(value::timeout, |span, value| Args::Timeout(Spanned { value, span }))(input)
}

/// `COUNT on CONDITION, …` or `none`
pub(crate) fn retry(input: Tokens<'_>) -> Parsed<'_, Args> {
    let policy = (retry_count, cut(preceded(keyword("on"), list(retry_on))));
    let policy = map(policy, |policy| Some(Box::new(policy)));
    map(alt((value(None, keyword("none")), policy)), Args::Retry).parse(input)
}

/// `METHOD, …`
pub(crate) fn methods(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(list(method), Args::Methods).parse(input)
}

/// `SIZE` of what is kept to be sent again.
pub(crate) fn buffer(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(buffer_size, |size| Args::Size(Spanned { value: u64::from(size.value), span: size.span }))
        .parse(input)
}

/// `SIZE`
pub(crate) fn size(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(value::size, Args::Size).parse(input)
}

/// A number from 1 on.
pub(crate) fn number(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(count("a number", 1..=1_000_000), Args::Number).parse(input)
}

/// How often an application tries again.
pub(crate) fn client_retry(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(retry_count, Args::Number).parse(input)
}

/// `ALGORITHM [KEY]`
pub(crate) fn load_balancer(input: Tokens<'_>) -> Parsed<'_, Args> {
    const WORDS: [&str; 6] = ["round-robin", "random", "least-request", "peak-ewma", "ring-hash", "maglev"];
    let (rest, word) = word_of("an algorithm", &WORDS)(input)?;
    let (rest, algorithm) = match word.value {
        "round-robin" => (rest, Algorithm::RoundRobin),
        "random" => (rest, Algorithm::Random),
        "least-request" => (rest, Algorithm::LeastRequest),
        "peak-ewma" => (rest, Algorithm::PeakEwma),
        "ring-hash" => map(cut(hash_key), Algorithm::RingHash).parse(rest)?,
        _ => map(cut(hash_key), Algorithm::Maglev).parse(rest)?,
    };
    Ok((rest, Args::LoadBalancer(Box::new(LoadBalancer { algorithm, slow_start: None }))))
}

/// What requests have in common that are to meet the same endpoint.
fn hash_key(input: Tokens<'_>) -> Parsed<'_, HashKey> {
    let cookie = (after("cookie", string), opt(after("ttl", duration)));
    alt((
        map(after("header", header_name), HashKey::Header),
        map(cookie, |(name, ttl)| HashKey::Cookie(name, ttl)),
        map(after("query", string), HashKey::Query),
        value(HashKey::SourceIp, keyword("source-ip")),
    ))
    .parse(input)
}

/// `PERCENT [min NUMBER]`
pub(crate) fn max_ejection(input: Tokens<'_>) -> Parsed<'_, Args> {
    let parts = (percent, opt(after("min", count("a number of endpoints", 1..=1_000))));
    spanned(parts, |span, (share, least)| {
        Args::Share(Spanned { value: (share.value, least.map_or(0, |least| least.value)), span })
    })(input)
}

/// `local|global RATE [burst COUNT] [per KEY, …] [by NAME] [audit]`
pub(crate) fn rate_limit(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, scope) = match input.first() {
        Some(lexeme) if lexeme.kind == TokenKind::Quantity => {
            let help = "Write `local` if each proxy counts for itself, `global … by NAME` if a `rate-limiter` counts for all.";
            return refuse(invalid(lexeme.span, "the rate limit does not say who counts".into(), help));
        }
        _ => word_of("`local` or `global`", &["local", "global"])(input)?,
    };
    let global = scope.value == "global";
    let (rest, rate) = cut(rate).parse(rest)?;
    let (rest, burst) = opt(after("burst", count("a number of requests", 1..=1_000_000_000))).parse(rest)?;
    let (rest, per) = opt(after("per", list(rate_key))).parse(rest)?;
    let (rest, by) = opt(after("by", name)).parse(rest)?;
    let (rest, audit) = opt(keyword("audit")).parse(rest)?;
    if global != by.is_some() {
        let (message, help) = if global {
            ("a global rate limit does not say who counts", "Name a `rate-limiter`: `… by NAME`.")
        } else {
            ("a local rate limit is counted by each proxy for itself", "Write `global`, or delete `by`.")
        };
        let span = by.as_ref().map_or(scope.span, |by: &Name| by.span);
        return refuse(invalid(span, message.into(), help));
    }
    if let (true, Some(burst)) = (global, &burst) {
        let help = "Delete `burst`; what of it may come at once is said where it counts.";
        let message = "a `rate-limiter` counts seconds, minutes or hours, and no bursts";
        return refuse(invalid(burst.span, message.into(), help));
    }
    let span = input.span_to(&rest);
    let per = per.unwrap_or_default();
    let limit = RateLimit { span, global, rate, burst, per, by, audit: audit.is_some() };
    Ok((rest, Args::RateLimit(Box::new(limit))))
}

fn rate_key(input: Tokens<'_>) -> Parsed<'_, RateKey> {
    alt((
        value(RateKey::Source, keyword("source")),
        value(RateKey::SourceIp, keyword("source-ip")),
        value(RateKey::ClientIp, keyword("client-ip")),
        map(after("header", header_name), RateKey::Header),
    ))
    .parse(input)
}

/// `BACKEND PERCENT [including-writes]`
pub(crate) fn mirror_to(input: Tokens<'_>) -> Parsed<'_, Mirror> {
    let (rest, backend) = backend(input)?;
    let Some(share) = backend.weight else { return expected(rest, "a percentage") };
    let crate::ast::Weight::Percent(points) = share.value else {
        let help = "Write a percentage: a mirror is a draw of its own.";
        return refuse(invalid(share.span, "a mirror has a share of its own".into(), help));
    };
    let (rest, writes) = opt(keyword("including-writes")).parse(rest)?;
    let mirror = Mirror {
        span: input.span_to(&rest),
        backend: crate::ast::Backend { weight: None, ..backend },
        share: Spanned { value: points, span: share.span },
        including_writes: writes.is_some(),
    };
    Ok((rest, mirror))
}

pub(crate) fn mirror(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(mirror_to, |mirror| Args::Mirror(Box::new(mirror))).parse(input)
}

/// `path PATH`, `prefix PATH` or `host STRING`
pub(crate) fn rewrite(input: Tokens<'_>) -> Parsed<'_, Args> {
    let rewrite = alt((
        map(after("path", path::concrete), Rewrite::Path),
        map(after("prefix", path::concrete), Rewrite::Prefix),
        map(after("host", host::host), Rewrite::Host),
    ));
    map(rewrite, |rewrite| Args::Rewrite(Box::new(rewrite))).parse(input)
}

/// `set STRING STRING`, `add STRING STRING` or `remove STRING`
pub(crate) fn header_edit(input: Tokens<'_>) -> Parsed<'_, Args> {
    let edit = alt((
        map(preceded(keyword("set"), cut((header_name, string))), |(name, value)| (name, Edit::Set(value))),
        map(preceded(keyword("add"), cut((header_name, string))), |(name, value)| (name, Edit::Add(value))),
        map(after("remove", header_name), |name| (name, Edit::Remove)),
    ));
    map(edit, |edit| Args::HeaderEdit(Box::new(edit))).parse(input)
}

/// `delay DURATION PERCENT` or `abort STATUS PERCENT`
pub(crate) fn fault_of(input: Tokens<'_>) -> Parsed<'_, (FaultKind, Spanned<u32>)> {
    let kinds = alt((
        map(after("delay", duration), FaultKind::Delay),
        map(after("abort", status("a status", 200..=599)), FaultKind::Abort),
    ));
    let mut kinds = kinds;
    let (rest, kind) = kinds.parse(input)?;
    let (rest, share) = cut(percent).parse(rest)?;
    Ok((rest, (kind, share)))
}

pub(crate) fn fault(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(fault_of, |fault| Args::Fault(Box::new(fault))).parse(input)
}

/// `websocket`
pub(crate) fn upgrade(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("`websocket`", &["websocket"]), Args::Word).parse(input)
}

const CONDITIONS: [(&str, RetryOn); 10] = [
    ("connect-failure", RetryOn::ConnectFailure),
    ("reset", RetryOn::Reset),
    ("timeout", RetryOn::Timeout),
    ("gateway-error", RetryOn::GatewayError),
    ("5xx", RetryOn::ServerError),
    ("grpc-cancelled", RetryOn::Grpc(GrpcStatus::Cancelled)),
    ("grpc-deadline-exceeded", RetryOn::Grpc(GrpcStatus::DeadlineExceeded)),
    ("grpc-resource-exhausted", RetryOn::Grpc(GrpcStatus::ResourceExhausted)),
    ("grpc-internal", RetryOn::Grpc(GrpcStatus::Internal)),
    ("grpc-unavailable", RetryOn::Grpc(GrpcStatus::Unavailable)),
];

fn retry_on(input: Tokens<'_>) -> Parsed<'_, Spanned<RetryOn>> {
    let wanted = "a condition";
    let Some(lexeme) = input.first() else { return expected(input, wanted) };
    if let Some((_, value)) = CONDITIONS.iter().find(|(word, _)| *word == lexeme.text) {
        return Ok((nom::Input::take_from(&input, 1), Spanned { value: *value, span: lexeme.span }));
    }
    if lexeme.text.len() == 3 && lexeme.text.bytes().all(|b| b.is_ascii_digit()) {
        let status = status("a status that can be tried again", 400..=599);
        return spanned(status, |span, status| Spanned { value: RetryOn::Status(status.value), span })(input);
    }
    if !matches!(lexeme.kind, TokenKind::Word | TokenKind::Quantity) {
        return expected(input, wanted);
    }
    let words = CONDITIONS.map(|(word, _)| word);
    let message = format!("`{}` is not a condition for a retry", shown(lexeme.text));
    let problem = Diagnostic::new(Code::InvalidValue, message).at(lexeme.span, "");
    refuse(match meant(lexeme.text, words) {
        Some(near) => problem.did_you_mean(lexeme.text, near),
        None => {
            problem.help(format!("The conditions are `{}` and statuses from 400 to 599.", words.join("`, `")))
        }
    })
}

/// `DURATION..DURATION`
pub(crate) fn backoff(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, base) = duration(input)?;
    let (rest, _) = one(TokenKind::DotDot, "`..`")(rest)?;
    let (rest, cap) = duration(rest)?;
    let span = base.span.to(cap.span);
    if base.value > cap.value {
        let help = "The first duration is the wait before the first retry, the second the longest wait.";
        return refuse(invalid(span, "the first wait is longer than the longest".into(), help));
    }
    Ok((rest, Args::Backoff(Spanned { value: (base.value, cap.value), span })))
}

/// `PERCENT min RATE over DURATION`
pub(crate) fn budget(input: Tokens<'_>) -> Parsed<'_, Args> {
    let parts = (percent, after("min", rate_per_second), after("over", duration));
    spanned(parts, |span, (share, least, over)| {
        let value = Budget { share: share.value, min_per_second: least.value, over: over.value };
        Args::Budget(Spanned { value, span })
    })(input)
}
