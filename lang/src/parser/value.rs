//! Literals: numbers with and without units, strings, methods.

use std::ops::RangeInclusive;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::map;

use super::input::{Lexeme, Parsed, Tokens, expected, keyword, one, refuse};
use super::recover::{listed, shown};
use crate::ast::{Method, Rate, Timeout};
use crate::diagnostic::suggest::meant;
use crate::diagnostic::{Code, Diagnostic};
use crate::lexer::unescape;
use crate::span::{Name, Span, Spanned};
use crate::token::TokenKind;

/// Nothing a mesh waits for takes longer.
const MAX_DURATION_MS: u64 = 24 * 60 * 60 * 1000;

/// GEP-2257: a duration is one to four pairs of a number of one to five digits and a unit.
const MAX_DURATION_PAIRS: usize = 4;
const MAX_DURATION_DIGITS: usize = 5;

/// A request body that is kept to be sent again is memory of the proxy, for each request in flight.
const MAX_BUFFER_BYTES: u32 = 1 << 20;

/// A mistake in a value at its place.
pub(super) fn invalid(span: Span, message: String, help: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::InvalidValue, message).at(span, "").help(help)
}

/// A token that begins with a digit, read by `read`, which says what is wrong and what to write.
fn quantity<'a, T>(
    wanted: &'static str,
    read: impl Fn(&str) -> Result<T, (String, String)>,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Spanned<T>> {
    move |input| {
        let (rest, lexeme) = one(TokenKind::Quantity, wanted)(input)?;
        match read(lexeme.text) {
            Ok(value) => Ok((rest, Spanned { value, span: lexeme.span })),
            Err((message, help)) => refuse(invalid(lexeme.span, message, help)),
        }
    }
}

/// Digits without a leading zero.
fn integer(text: &str) -> Option<u32> {
    let plain = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain && digits)
}

fn bounded<'a>(
    wanted: &'static str,
    range: RangeInclusive<u32>,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Spanned<u32>> {
    quantity(wanted, move |text| {
        integer(text).filter(|number| range.contains(number)).ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            (
                format!("`{}` is not {wanted}", shown(text)),
                format!("Write a whole number from {low} to {high}."),
            )
        })
    })
}

fn bounded_16<'a>(
    wanted: &'static str,
    range: RangeInclusive<u32>,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, Spanned<u16>> {
    move |input| {
        let number = bounded(wanted, range.clone());
        map(number, |number| Spanned { value: number.value as u16, span: number.span }).parse(input)
    }
}

/// A whole number out of a range, called `wanted` in the message.
pub(super) fn count<'a>(
    wanted: &'static str,
    range: RangeInclusive<u32>,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Spanned<u32>> {
    bounded(wanted, range)
}

/// One of these words.
pub(super) fn word_of<'a>(
    wanted: &'static str,
    words: &'static [&'static str],
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Spanned<&'static str>> {
    move |input| {
        let Some(lexeme) = input.first().filter(|lexeme| lexeme.kind == TokenKind::Word) else {
            return expected(input, wanted);
        };
        if let Some(value) = words.iter().find(|word| **word == lexeme.text) {
            return Ok((nom::Input::take_from(&input, 1), Spanned { value, span: lexeme.span }));
        }
        match meant(lexeme.text, words.iter().copied()) {
            Some(near) => refuse(
                Diagnostic::new(Code::InvalidValue, format!("`{}` is not {wanted}", shown(lexeme.text)))
                    .at(lexeme.span, "")
                    .did_you_mean(lexeme.text, near),
            ),
            None => {
                let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                expected(input, listed(&quoted, "or"))
            }
        }
    }
}

/// The number of a port. It is never a parameter: who listens where is the same in every environment.
pub(super) fn port_number(input: Tokens<'_>) -> Parsed<'_, Spanned<u16>> {
    if input.first().is_some_and(|lexeme| lexeme.substituted) {
        let message = "a port cannot be a parameter".into();
        return refuse(invalid(
            input.here(),
            message,
            "Write the number, or write the port in `env` blocks.",
        ));
    }
    bounded_16("a port number", 1..=65535)(input)
}

/// A status out of a range, called `wanted` in the message.
pub(super) fn status<'a>(
    wanted: &'static str,
    range: RangeInclusive<u32>,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, Spanned<u16>> {
    bounded_16(wanted, range)
}

/// How often a call is tried again: 1 to 10.
pub(super) fn retry_count(input: Tokens<'_>) -> Parsed<'_, Spanned<u32>> {
    let zero = input.first().is_some_and(|lexeme| lexeme.text == "0");
    if zero {
        return refuse(invalid(input.here(), "`0` is not a number of retries".into(), "Write `retry none`."));
    }
    bounded("a number of retries", 1..=10)(input)
}

/// A span of time of at least a millisecond, in milliseconds.
pub(super) fn duration(input: Tokens<'_>) -> Parsed<'_, Spanned<u32>> {
    quantity("a duration", |text| {
        let bare = integer(text).is_some();
        let ms = duration_ms(text).ok_or_else(|| {
            let help = match bare {
                true => format!("Write `{text}s` or `{text}ms`."),
                false => {
                    "A duration is written like `250ms`, `15s` or `1m30s`, with units `h`, `m`, `s` and `ms`."
                        .into()
                }
            };
            let message = if bare { "has no unit" } else { "is not a duration" };
            (format!("`{}` {message}", shown(text)), help)
        })?;
        match ms {
            0 => Err((
                format!("`{text}` is no time at all"),
                "Write at least `1ms`; no limit is `none`.".into(),
            )),
            1..=MAX_DURATION_MS => Ok(ms as u32),
            _ => Err((format!("`{text}` is longer than a day"), "Write at most `24h`.".into())),
        }
    })(input)
}

fn duration_ms(text: &str) -> Option<u64> {
    let mut total = 0;
    let mut rest = text;
    for _ in 0..MAX_DURATION_PAIRS {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let unit = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(unit);
        if digits > MAX_DURATION_DIGITS {
            return None;
        }
        total += number.parse::<u64>().ok()?
            * match unit {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return None,
            };
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
    None
}

/// A duration or `none`.
pub(super) fn timeout(input: Tokens<'_>) -> Parsed<'_, Timeout> {
    alt((map(duration, |duration| Timeout::After(duration.value)), map(keyword("none"), |_| Timeout::None)))
        .parse(input)
}

/// `33.33%` in basis points.
pub(super) fn percent(input: Tokens<'_>) -> Parsed<'_, Spanned<u32>> {
    quantity("a percentage", |text| {
        let Some(number) = text.strip_suffix('%') else {
            let help = match basis_points(text) {
                Some(_) => format!("Write `{text}%`."),
                None => "A percentage is written like `5%` or `33.33%`.".into(),
            };
            return Err((format!("`{}` is not a percentage", shown(text)), help));
        };
        basis_points(number).ok_or_else(|| {
            let help = "A percentage is `0%` to `100%`, with at most two digits after the point.";
            (format!("`{}` is not a percentage", shown(text)), help.into())
        })
    })(input)
}

fn basis_points(number: &str) -> Option<u32> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole = integer(whole)?;
    let hundredths = fraction.parse::<u32>().ok().filter(|_| fraction.bytes().all(|b| b.is_ascii_digit()))?;
    let hundredths = match fraction.len() {
        1 => hundredths * 10,
        2 => hundredths,
        _ => return None,
    };
    whole.checked_mul(100)?.checked_add(hundredths).filter(|&points| points <= 10_000)
}

/// `100/m`: how many in a second, a minute or an hour.
pub(super) fn rate(input: Tokens<'_>) -> Parsed<'_, Spanned<Rate>> {
    quantity("a rate", |text| {
        let parts = text.split_once('/').and_then(|(number, unit)| integer(number).zip(unit_ms(unit)));
        match parts {
            Some((count, per)) if count > 0 => Ok(Rate { count, per }),
            _ => {
                let help = match integer(text) {
                    Some(number) => format!("Write `{number}/s`, `{number}/m` or `{number}/h`."),
                    None => "A rate is a whole number from 1 on in a second, minute or hour, written like `10/s`, \
                             `100/m` or `1000/h`."
                        .into(),
                };
                Err((format!("`{}` is not a rate", shown(text)), help))
            }
        }
    })(input)
}

fn unit_ms(unit: &str) -> Option<u32> {
    match unit {
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    }
}

/// `10/s`
pub(super) fn rate_per_second(input: Tokens<'_>) -> Parsed<'_, Spanned<u32>> {
    quantity("a rate", |text| {
        text.strip_suffix("/s").and_then(integer).ok_or_else(|| {
            let help = match integer(text) {
                Some(number) => format!("Write `{number}/s`."),
                None => "A rate is a whole number a second, written like `10/s`.".into(),
            };
            (format!("`{}` is not a rate", shown(text)), help)
        })
    })(input)
}

/// `64KiB` in bytes.
pub(super) fn size(input: Tokens<'_>) -> Parsed<'_, Spanned<u64>> {
    quantity("a size", |text| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = match unit {
            "B" => Some(1u64),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let bytes = integer(number).zip(unit).and_then(|(number, unit)| u64::from(number).checked_mul(unit));
        bytes.ok_or_else(|| {
            let help = match integer(text) {
                Some(number) => format!("Write `{number}B` or `{number}KiB`."),
                None => "A size is a whole number with `B`, `KiB`, `MiB` or `GiB`.".into(),
            };
            (format!("`{}` is not a size", shown(text)), help)
        })
    })(input)
}

/// `64KiB` in bytes, at most [`MAX_BUFFER_BYTES`].
pub(super) fn buffer_size(input: Tokens<'_>) -> Parsed<'_, Spanned<u32>> {
    quantity("a size", |text| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = match unit {
            "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            _ => None,
        };
        let bytes = integer(number).zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
        match bytes {
            Some(bytes) if bytes <= MAX_BUFFER_BYTES => Ok(bytes),
            _ => Err((
                format!("`{}` is not a size", shown(text)),
                "A size is a whole number with `B`, `KiB` or `MiB`, at most `1MiB`.".into(),
            )),
        }
    })(input)
}

/// The only edition.
pub(super) fn edition(input: Tokens<'_>) -> Parsed<'_, Spanned<u32>> {
    quantity("the edition", |text| match text {
        "2026" => Ok(2026),
        _ => Err((format!("there is no edition `{}`", shown(text)), "Write `edition 2026`.".into())),
    })(input)
}

/// A string's value. Control characters cannot stand in anything a string names.
pub(super) fn string(input: Tokens<'_>) -> Parsed<'_, Name> {
    if input.first().is_some_and(|lexeme| lexeme.substituted && lexeme.kind == TokenKind::String) {
        let message = "a parameter cannot stand for this string".into();
        return refuse(invalid(
            input.here(),
            message,
            "Only hosts of gateways and their routes can be parameters.",
        ));
    }
    host_string(input)
}

/// A string's value where it is a host: a parameter may stand for it.
pub(super) fn host_string(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, name) = text(input)?;
    match name.value.chars().find(|&c| c.is_control() && c != '\t') {
        None => Ok((rest, name)),
        Some(c) => refuse(invalid(
            name.span,
            format!("the control character U+{:04X} cannot stand here", c as u32),
            "Only the body of `respond` may contain control characters.",
        )),
    }
}

/// A string's value, whatever it contains.
pub(super) fn text(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, lexeme) = one(TokenKind::String, "a string in double quotes")(input)?;
    match unescape(lexeme.text) {
        Ok(value) => Ok((rest, Spanned { value: value.into(), span: lexeme.span })),
        // The lexer makes no string token with such an escape.
        Err(_) => expected(input, "a string"),
    }
}

pub(super) fn method(input: Tokens<'_>) -> Parsed<'_, Spanned<Method>> {
    let (rest, lexeme) = one(TokenKind::Word, "a method")(input)?;
    if let Some(value) = Method::parse(lexeme.text) {
        return Ok((rest, Spanned { value, span: lexeme.span }));
    }
    match wrong_method(&lexeme) {
        Some(diagnostic) => refuse(diagnostic),
        None => expected(input, "a method"),
    }
}

/// What is wrong with a word that was probably meant as a method.
fn wrong_method(lexeme: &Lexeme<'_>) -> Option<Diagnostic> {
    let upper = lexeme.text.to_ascii_uppercase();
    let message = format!("`{}` is not a method", shown(lexeme.text));
    let help = match Method::parse(&upper) {
        Some(_) => {
            let problem = invalid(lexeme.span, message, format!("Write `{upper}`."));
            return Some(problem.instead(lexeme.text, upper, true));
        }
        None if lexeme.text.bytes().all(|b| b.is_ascii_uppercase()) => {
            let all: Vec<&str> = Method::ALL.iter().map(|method| method.as_str()).collect();
            format!("The methods are `{}`.", all.join("`, `"))
        }
        None => return None,
    };
    Some(invalid(lexeme.span, message, help))
}

/// The name of a label, as Kubernetes writes them.
pub(super) fn label_key(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, lexeme) = one(TokenKind::Word, "the name of a label")(input)?;
    if lexeme.text.contains(':') {
        let message = format!("`{}` is not the name of a label", shown(lexeme.text));
        return refuse(invalid(lexeme.span, message, "A label is written `name = \"value\"`."));
    }
    Ok((rest, Spanned { value: lexeme.text.into(), span: lexeme.span }))
}

/// A SPIFFE trust domain.
pub(super) fn trust_domain(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, lexeme) = one(TokenKind::Word, "a trust domain")(input)?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    if lexeme.text.len() <= super::name::MAX_DOMAIN_BYTES && lexeme.text.bytes().all(allowed) {
        return Ok((rest, Spanned { value: lexeme.text.into(), span: lexeme.span }));
    }
    let lower = lexeme.text.to_ascii_lowercase();
    let message = format!("`{}` is not a trust domain", shown(lexeme.text));
    refuse(match lower != lexeme.text && lower.bytes().all(allowed) {
        true => invalid(lexeme.span, message, format!("Write `{lower}`.")).instead(lexeme.text, lower, true),
        false => {
            let help = "A trust domain is made of lower-case letters, digits, `-`, `.` and `_`.";
            invalid(lexeme.span, message, help)
        }
    })
}
