//! `mesh`, `module`, and the statements that give names to things.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map};
use nom::sequence::preceded;

use super::input::{Parsed, Tokens, after, expected, keyword, list, one, refuse};
use super::name::{name, service, title};
use super::policy::principal;
use super::route::backends;
use super::value::{self, count, invalid, percent, string, word_of};
use super::{header_name, host};
use crate::ast::{Export, Shared, TokenSource};
use crate::span::Spanned;
use crate::statement::{Args, Controlled, Param, ParamType, Waiting};
use crate::token::TokenKind;

/// Nothing.
pub(crate) fn nothing(input: Tokens<'_>) -> Parsed<'_, Args> {
    Ok((input, Args::Nothing))
}

/// `NAME`
pub(crate) fn a_name(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(name, Args::Name).parse(input)
}

/// `NAME, …`
pub(crate) fn names(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(list(name), Args::Names).parse(input)
}

/// A name that may contain `/`.
pub(crate) fn a_title(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(title, Args::Name).parse(input)
}

/// `STRING`
pub(crate) fn a_string(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(string, Args::Name).parse(input)
}

/// `STRING, …`
pub(crate) fn strings(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(list(string), Args::Names).parse(input)
}

/// `STRING, …`, each the name of a header.
pub(crate) fn headers(input: Tokens<'_>) -> Parsed<'_, Args> {
    preceded(keyword("header"), cut(map(list(header_name), Args::Names))).parse(input)
}

pub(crate) fn trust_domain(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(value::trust_domain, Args::Name).parse(input)
}

pub(crate) fn edition(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(value::edition, Args::Number).parse(input)
}

/// `strict` or `permissive`
pub(crate) fn mtls(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("a mode", &["strict", "permissive"]), Args::Word).parse(input)
}

/// `deny` or `allow`
pub(crate) fn egress(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("`deny` or `allow`", &["deny", "allow"]), Args::Word).parse(input)
}

/// `platform`
pub(crate) fn role(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("a role", &["platform"]), Args::Word).parse(input)
}

/// `allow` or `deny`
pub(crate) fn on_failure(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("`allow` or `deny`", &["allow", "deny"]), Args::Word).parse(input)
}

/// `retry-amplification NUMBER`
pub(crate) fn limit(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, span) = keyword("retry-amplification")(input)?;
    let (rest, number) = cut(count("a number of tries", 1..=1_000_000)).parse(rest)?;
    Ok((rest, Args::Limit(Box::new((Spanned { value: "retry-amplification".into(), span }, number)))))
}

/// `gateway NAME STRING` of a cluster, without its keyword.
pub(crate) fn cluster_gateway(input: Tokens<'_>) -> Parsed<'_, Args> {
    map((service, cut(string)), |door| Args::ClusterGateway(Box::new(door))).parse(input)
}

/// `KIND NAME, …`
pub(crate) fn export(input: Tokens<'_>) -> Parsed<'_, Args> {
    const WORDS: [&str; 6] = ["profile", "group", "jwt", "split", "ext-authz", "rate-limiter"];
    let (rest, kind) = word_of("a kind of name", &WORDS)(input)?;
    let kind =
        Shared::ALL.into_iter().find(|shared| shared.keyword() == kind.value).unwrap_or(Shared::Profile);
    let (rest, names) = cut(list(name)).parse(rest)?;
    Ok((rest, Args::Export(Box::new(Export { span: input.span_to(&rest), kind, names }))))
}

/// `MODULE`; the names stand in the block.
pub(crate) fn import(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(title, |module| Args::Import(Box::new((module, Vec::new())))).parse(input)
}

/// `NAME = PRINCIPAL, …`
pub(crate) fn group(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, name) = name(input)?;
    let (rest, _) = one(TokenKind::Equals, "`=`")(rest)?;
    map(cut(list(principal)), |principals| Args::Principals(Box::new((name.clone(), principals)))).parse(rest)
}

/// `NAME = BACKEND, …`
pub(crate) fn split(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, name) = name(input)?;
    let (rest, _) = one(TokenKind::Equals, "`=`")(rest)?;
    map(cut(backends), |backends| Args::Backends(Box::new((name.clone(), backends)))).parse(rest)
}

/// `NAME TYPE = VALUE [range PERCENT..PERCENT controlled-by STRING]`
pub(crate) fn param(input: Tokens<'_>) -> Parsed<'_, Args> {
    const WORDS: [&str; 6] = ["percent", "duration", "rate", "size", "count", "host"];
    let (rest, name) = name(input)?;
    let (rest, word) = cut(word_of("a type", &WORDS)).parse(rest)?;
    let kind = ParamType::ALL.into_iter().find(|kind| kind.as_str() == word.value);
    let kind = kind.unwrap_or(ParamType::Percent);
    let (rest, _) = one(TokenKind::Equals, "`=`")(rest)?;
    let (rest, value) = literal(kind)(rest)?;
    let (rest, range) = match (kind, rest.first_word()) {
        (ParamType::Percent, Some("range")) => map(controlled, Some).parse(rest)?,
        (_, Some("range")) => {
            let message = format!("a {} cannot be set while the mesh runs", kind.as_str());
            return refuse(invalid(rest.here(), message, "Only percentages have a `range`."));
        }
        _ => (rest, None),
    };
    Ok((rest, Args::Param(Box::new(Param { name, kind, value, controlled: range }))))
}

/// `range PERCENT..PERCENT controlled-by STRING`
fn controlled(input: Tokens<'_>) -> Parsed<'_, Controlled> {
    let (rest, _) = keyword("range")(input)?;
    let (rest, low) = cut(percent).parse(rest)?;
    let (rest, _) = cut(one(TokenKind::DotDot, "`..`")).parse(rest)?;
    let (rest, high) = cut(percent).parse(rest)?;
    let (rest, by) = after("controlled-by", string)(rest)?;
    if low.value > high.value {
        let span = low.span.to(high.span);
        return refuse(invalid(
            span,
            "the range ends before it begins".into(),
            "Write the lower bound first.",
        ));
    }
    Ok((rest, Controlled { low, high, by }))
}

/// `NAME = VALUE` of an `env`.
pub(crate) fn set(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, name) = name(input)?;
    let (rest, _) = one(TokenKind::Equals, "`=`")(rest)?;
    match rest.first() {
        Some(lexeme) if matches!(lexeme.kind, TokenKind::Quantity | TokenKind::String) => {
            let value = Waiting { kind: lexeme.kind, text: lexeme.text.into(), span: lexeme.span };
            Ok((nom::Input::take_from(&rest, 1), Args::Set(Box::new((name, value)))))
        }
        _ => expected(rest, "a value"),
    }
}

/// One literal of a type, kept as written.
pub(crate) fn literal<'a>(kind: ParamType) -> impl Fn(Tokens<'a>) -> Parsed<'a, Waiting> {
    move |input| {
        let (rest, ()) = match kind {
            ParamType::Percent => map(percent, |_| ()).parse(input)?,
            ParamType::Duration => map(value::duration, |_| ()).parse(input)?,
            ParamType::Rate => map(value::rate, |_| ()).parse(input)?,
            ParamType::Size => map(value::size, |_| ()).parse(input)?,
            ParamType::Count => map(count("a count", 0..=u32::MAX), |_| ()).parse(input)?,
            ParamType::Host => map(host::patterns, |_| ()).parse(input)?,
        };
        let Some(lexeme) = input.first() else { return expected(input, "a value") };
        Ok((rest, Waiting { kind: lexeme.kind, text: lexeme.text.into(), span: lexeme.span }))
    }
}

/// `header STRING`, `cookie STRING` or `query STRING`: where a token stands.
pub(crate) fn token_source(input: Tokens<'_>) -> Parsed<'_, Args> {
    let source = alt((
        map(after("header", header_name), TokenSource::Header),
        map(after("cookie", string), TokenSource::Cookie),
        map(after("query", string), TokenSource::Query),
    ));
    map(source, |source| Args::TokenSource(Box::new(source))).parse(input)
}
