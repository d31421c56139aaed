//! `timeout` and `retry`, wherever they stand.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, value};
use nom::sequence::preceded;

use super::input::{Parsed, Tokens, after, expected, keyword, list, one, refuse, spanned};
use super::recover::{Line, Reader, shown, written_twice};
use super::value::{
    buffer_size, duration, invalid, method, percent, rate, retry_count, status, timeout as timeout_value,
};
use crate::ast::{Budget, Retry, RetryOn, RetryPolicy, Settings};
use crate::diagnostic::suggest::nearest;
use crate::span::{Span, Spanned};
use crate::token::TokenKind;

/// The settings of a block that contains nothing else.
pub(super) fn settings(reader: &mut Reader<'_>, lines: &[Line<'_>]) -> Settings {
    let mut settings = Settings::default();
    for line in lines {
        setting(reader, line, &mut settings);
    }
    settings
}

/// One `timeout` or `retry` line.
pub(super) fn setting(reader: &mut Reader<'_>, line: &Line<'_>, settings: &mut Settings) {
    if line.keyword() == "timeout" {
        let value = reader.leaf(line, timeout_value).map(|value| Spanned { value, span: line.span });
        reader.once(&mut settings.timeout, line, value);
    } else {
        let value = retry(reader, line).map(|value| Spanned { value, span: line.span });
        reader.once(&mut settings.retry, line, value);
    }
}

fn retry(reader: &mut Reader<'_>, line: &Line<'_>) -> Option<Retry> {
    let head = reader.head(line, retry_head);
    if let Some(None) = head {
        reader.no_body(line);
        return Some(Retry::None);
    }
    let mut policy = RetryPolicy {
        count: Spanned { value: 0, span: line.span },
        on: Vec::new(),
        per_try_timeout: None,
        backoff: None,
        budget: None,
        methods: Vec::new(),
        buffer: None,
    };
    let mut methods: Option<Span> = None;
    for line in reader.body(line, head.is_some()) {
        detail(reader, &line, &mut policy, &mut methods);
    }
    let (count, on) = head.flatten()?;
    Some(Retry::Policy(RetryPolicy { count, on, ..policy }))
}

fn detail(reader: &mut Reader<'_>, line: &Line<'_>, policy: &mut RetryPolicy, methods: &mut Option<Span>) {
    match line.keyword() {
        "per-try-timeout" => {
            let value = reader.leaf(line, duration);
            reader.once(&mut policy.per_try_timeout, line, value);
        }
        "backoff" => {
            let value = reader.leaf(line, backoff);
            reader.once(&mut policy.backoff, line, value);
        }
        "budget" => {
            let value = reader.leaf(line, budget);
            reader.once(&mut policy.budget, line, value);
        }
        "buffer" => {
            let value = reader.leaf(line, buffer_size);
            reader.once(&mut policy.buffer, line, value);
        }
        _ => {
            let Some(value) = reader.leaf(line, |input| list(method)(input)) else { return };
            match *methods {
                Some(first) => reader.report(written_twice(line, first)),
                None => (policy.methods, *methods) = (value, Some(line.span)),
            }
        }
    }
}

type RetryHead = Option<(Spanned<u32>, Vec<Spanned<RetryOn>>)>;

/// `none`, or how often and on what.
fn retry_head(input: Tokens<'_>) -> Parsed<'_, RetryHead> {
    let policy = (retry_count, cut(preceded(keyword("on"), list(retry_on))));
    alt((value(None, keyword("none")), map(policy, Some))).parse(input)
}

const CONDITIONS: [(&str, RetryOn); 5] = [
    ("connect-failure", RetryOn::ConnectFailure),
    ("reset", RetryOn::Reset),
    ("timeout", RetryOn::Timeout),
    ("gateway-error", RetryOn::GatewayError),
    ("5xx", RetryOn::ServerError),
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
    let help = match nearest(lexeme.text, words) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("The conditions are `{}` and statuses from 400 to 599.", words.join("`, `")),
    };
    let message = format!("`{}` is not a condition for a retry", shown(lexeme.text));
    refuse(invalid(lexeme.span, message, help))
}

/// `DURATION..DURATION`
fn backoff(input: Tokens<'_>) -> Parsed<'_, Spanned<(u32, u32)>> {
    let (rest, base) = duration(input)?;
    let (rest, _) = one(TokenKind::DotDot, "`..`")(rest)?;
    let (rest, cap) = duration(rest)?;
    let span = base.span.to(cap.span);
    if base.value > cap.value {
        let help = "The first duration is the wait before the first retry, the second the longest wait.";
        return refuse(invalid(span, "the first wait is longer than the longest".into(), help));
    }
    Ok((rest, Spanned { value: (base.value, cap.value), span }))
}

/// `PERCENT min RATE over DURATION`
fn budget(input: Tokens<'_>) -> Parsed<'_, Spanned<Budget>> {
    let parts = (percent, after("min", rate), after("over", duration));
    spanned(parts, |span, (share, least, over)| {
        let value = Budget { share: share.value, min_per_second: least.value, over: over.value };
        Spanned { value, span }
    })(input)
}
