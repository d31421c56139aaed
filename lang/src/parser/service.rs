//! `service`, `gateway` and what stands in them.

use std::collections::BTreeMap;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::sequence::preceded;

use super::input::{Parsed, Tokens, after, expected, keyword, list, one, refuse, spanned};
use super::name::{name, port as port_name, service as service_name, title};
use super::recover::shown;
use super::route::ops;
use super::value::{count, duration, invalid, label_key, percent, port_number, status, string, word_of};
use super::{header_name, host, path};
use crate::ast::{
    AccessLog, AllowRoutes, EndpointSource, Endpoints, HealthCheck, JwtUse, Label, Limits, Listener,
    ListenerTls, MetricLabel, Mtls, Port, Probe, ProbeKind, Protocol, Subset, Tls, Tracing,
};
use crate::diagnostic::suggest::meant;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};
use crate::statement::{Args, CallsHead};
use crate::token::TokenKind;

/// `[NAME] NUMBER PROTOCOL [target NUMBER] [mtls MODE]`
pub(crate) fn port(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, name) = match input.first() {
        Some(lexeme) if lexeme.kind == TokenKind::Word => {
            name(input).map(|(rest, name)| (rest, Some(name)))?
        }
        _ => (input, None),
    };
    let (rest, number) = port_number(rest)?;
    let (rest, protocol) = protocol(rest)?;
    let (rest, target) = opt(after("target", port_number)).parse(rest)?;
    let (rest, mtls) = opt(after("mtls", mtls_mode)).parse(rest)?;
    let span = input.span_to(&rest);
    Ok((rest, Args::Port(Box::new(Port { span, name, number, protocol, target, mtls }))))
}

pub(super) fn mtls_mode(input: Tokens<'_>) -> Parsed<'_, Spanned<Mtls>> {
    let (rest, word) = word_of("a mode", &["strict", "permissive", "off"])(input)?;
    let value = match word.value {
        "strict" => Mtls::Strict,
        "permissive" => Mtls::Permissive,
        _ => Mtls::Off,
    };
    Ok((rest, Spanned { value, span: word.span }))
}

/// `strict`, `permissive` or `off`
pub(crate) fn mtls(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("a mode", &["strict", "permissive", "off"]), Args::Word).parse(input)
}

/// What a port or listener speaks.
fn protocol(input: Tokens<'_>) -> Parsed<'_, Spanned<Protocol>> {
    let (rest, lexeme) = one(TokenKind::Word, "a protocol")(input)?;
    if let Some(value) = Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == lexeme.text) {
        return Ok((rest, Spanned { value, span: lexeme.span }));
    }
    let words = || Protocol::ALL.into_iter().map(Protocol::as_str);
    let lower = lexeme.text.to_ascii_lowercase();
    let message = format!("`{}` is not a protocol", shown(lexeme.text));
    let problem = Diagnostic::new(Code::InvalidValue, message).at(lexeme.span, "");
    refuse(match (lower.as_str(), meant(&lower, words())) {
        ("h2" | "h2c" | "http/2", _) => problem.help("Write `http2`.").instead(lexeme.text, "http2", true),
        ("http1" | "http/1.1", _) => problem.help("Write `http`.").instead(lexeme.text, "http", true),
        // Of a port that speaks WebSocket, `http` says less than was meant.
        ("websocket", _) => problem.help("Write `http`.").instead(lexeme.text, "http", false),
        (_, Some(near)) => problem.did_you_mean(lexeme.text, near),
        (_, None) => {
            problem.help(format!("The protocols are `{}`.", words().collect::<Vec<_>>().join("`, `")))
        }
    })
}

/// `NAME [label KEY = STRING, …] [cluster NAME]`
pub(crate) fn subset(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, name) = name(input)?;
    let (rest, labels) = opt(after("label", labels)).parse(rest)?;
    let (rest, cluster) = opt(after("cluster", super::name::name)).parse(rest)?;
    let subset = Subset {
        span: input.span_to(&rest),
        name,
        labels: labels.unwrap_or_default(),
        cluster,
        endpoints: Vec::new(),
    };
    Ok((rest, Args::Subset(Box::new(subset))))
}

fn labels(input: Tokens<'_>) -> Parsed<'_, Vec<Label>> {
    let (rest, labels) = list(label)(input)?;
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for label in &labels {
        if let Some(first) = seen.insert(&label.key.value, label.key.span) {
            let message = format!("the label `{}` is written twice", shown(&label.key.value));
            return refuse(
                Diagnostic::new(Code::DuplicateStatement, message)
                    .at(label.key.span, "written again here")
                    .at(first, "first written here")
                    .help("An endpoint has one value for a label; keep one of the two."),
            );
        }
    }
    Ok((rest, labels))
}

fn label(input: Tokens<'_>) -> Parsed<'_, Label> {
    let (rest, key) = label_key(input)?;
    let (rest, value) = cut(preceded(one(TokenKind::Equals, "`=`"), string)).parse(rest)?;
    Ok((rest, Label { key, value }))
}

/// `SOURCE [label KEY = STRING, …] [cluster NAME] [mtls MODE]`
pub(crate) fn endpoints(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, source) = alt((
        map(after("static", list(string)), EndpointSource::Static),
        map(after("dns", list(string)), EndpointSource::Dns),
        map(after("kubernetes", string), EndpointSource::Kubernetes),
        map(after("docker", string), EndpointSource::Docker),
        map(after("consul", string), EndpointSource::Consul),
        value(EndpointSource::Passthrough, keyword("passthrough")),
    ))
    .parse(input)?;
    let (rest, labels) = opt(after("label", labels)).parse(rest)?;
    let (rest, cluster) = opt(after("cluster", name)).parse(rest)?;
    let (rest, mtls) = opt(after("mtls", mtls_mode)).parse(rest)?;
    let span = input.span_to(&rest);
    let labels = labels.unwrap_or_default();
    Ok((rest, Args::Endpoints(Box::new(Endpoints { span, source, labels, cluster, mtls }))))
}

/// `STRING, …`: host patterns by which callers say the service.
pub(crate) fn hosts(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(host::patterns, Args::Hosts).parse(input)
}

/// `[host STRING] ca system|STRING [certificate STRING]`, `insecure`, `none`
pub(crate) fn tls(input: Tokens<'_>) -> Parsed<'_, Args> {
    let authority = alt((value(None, keyword("system")), map(string, Some)));
    let verified = (opt(after("host", string)), after("ca", authority), opt(after("certificate", string)));
    let mut tls = alt((
        value(Tls::None, keyword("none")),
        value(Tls::Insecure, keyword("insecure")),
        map(verified, |(host, ca, certificate)| Tls::Verified { host, ca, certificate }),
    ));
    map(|input| tls.parse(input), |tls| Args::Tls(Box::new(tls))).parse(input)
}

/// `NAME required|optional`
pub(crate) fn jwt(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, name) = name(input)?;
    let (rest, word) = word_of("`required` or `optional`", &["required", "optional"])(rest)?;
    let required = word.value == "required";
    Ok((rest, Args::JwtUse(Box::new(JwtUse { span: input.span_to(&rest), name, required }))))
}

/// `SERVICE, … [port NAME] [to OP, …]`
pub(crate) fn calls(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, services) = list(service_name)(input)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    let (rest, to) = opt(after("to", ops)).parse(rest)?;
    Ok((rest, Args::Calls(Box::new(CallsHead { services, port, to: to.unwrap_or_default() }))))
}

/// `CLUSTER -> CLUSTER -> …`
pub(crate) fn failover(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (mut rest, first) = name(input)?;
    let mut chain = vec![first];
    while let Ok((after, _)) = one(TokenKind::Arrow, "`->`")(rest) {
        let (after, next) = cut(name).parse(after)?;
        chain.push(next);
        rest = after;
    }
    if chain.len() < 2 {
        return expected(rest, "`->`");
    }
    Ok((rest, Args::Names(chain)))
}

/// `refuse` or `decode`
pub(crate) fn encoded_slashes(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("`refuse` or `decode`", &["refuse", "decode"]), Args::Word).parse(input)
}

/// `refuse` or `strip`
pub(crate) fn path_parameters(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("`refuse` or `strip`", &["refuse", "strip"]), Args::Word).parse(input)
}

/// `zone`
pub(crate) fn locality(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(word_of("`zone`", &["zone"]), Args::Word).parse(input)
}

/// `GET PATH`, `grpc` or `tcp`
fn probe_kind(input: Tokens<'_>) -> Parsed<'_, ProbeKind> {
    alt((
        map(after("GET", path::concrete), ProbeKind::Get),
        value(ProbeKind::Grpc, keyword("grpc")),
        value(ProbeKind::Tcp, keyword("tcp")),
    ))
    .parse(input)
}

/// `GET PATH|grpc|tcp [port NAME]`
pub(crate) fn probe(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, kind) = probe_kind(input)?;
    let (rest, port) = opt(port_name).parse(rest)?;
    Ok((rest, Args::Probe(Box::new(Probe { span: input.span_to(&rest), kind, port }))))
}

/// `GET PATH|grpc|tcp`
pub(crate) fn health_check(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, probe) = probe_kind(input)?;
    let span = input.span_to(&rest);
    let check = HealthCheck { span, probe, interval: None, timeout: None, unhealthy: None, healthy: None };
    Ok((rest, Args::HealthCheck(Box::new(check))))
}

/// The share of what is sampled: all, where nothing is written.
fn sample(input: Tokens<'_>) -> Parsed<'_, u32> {
    map(opt(after("sample", percent)), |share| share.map_or(ALL, |share| share.value)).parse(input)
}

/// A hundred percent in basis points.
const ALL: u32 = 10_000;

/// `json [sample PERCENT]` or `none`
pub(crate) fn access_log(input: Tokens<'_>) -> Parsed<'_, Args> {
    let json = map(preceded(keyword("json"), sample), |sample| AccessLog::Json { sample });
    let kinds = alt((json, value(AccessLog::None, keyword("none"))));
    spanned(kinds, |span, value| Args::AccessLog(Spanned { value, span }))(input)
}

/// `otlp SERVICE [sample PERCENT]`, `sample PERCENT` or `none`
pub(crate) fn tracing(input: Tokens<'_>) -> Parsed<'_, Args> {
    let whole = map(preceded(keyword("otlp"), cut((service_name, sample))), |(collector, sample)| {
        Tracing::Otlp { collector: Some(collector), sample }
    });
    let only_sample =
        map(after("sample", percent), |share| Tracing::Otlp { collector: None, sample: share.value });
    let kinds = alt((whole, only_sample, value(Tracing::None, keyword("none"))));
    spanned(kinds, |span, value| Args::Tracing(Box::new(Spanned { value, span })))(input)
}

/// `NAME header STRING in (STRING, …)`
pub(crate) fn metric_label(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, name) = name(input)?;
    let (rest, header) = after("header", header_name)(rest)?;
    let (rest, _) = keyword("in")(rest)?;
    let (rest, _) = one(TokenKind::OpenParen, "`(`")(rest)?;
    let (rest, values) = list(string)(rest)?;
    let (rest, _) = one(TokenKind::CloseParen, "`)`")(rest)?;
    let span = input.span_to(&rest);
    Ok((rest, Args::MetricLabel(Box::new(MetricLabel { span, name, header, values }))))
}

/// `NAME port NUMBER PROTOCOL` of a listener.
pub(crate) fn listener(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, name) = name(input)?;
    let (rest, _) = keyword("port")(rest)?;
    let (rest, number) = port_number(rest)?;
    let (rest, protocol) = protocol(rest)?;
    let listener = Listener {
        span: input.span_to(&rest),
        name,
        number,
        protocol,
        hosts: Vec::new(),
        tls: None,
        redirect_https: None,
        allow_routes: Vec::new(),
        proxy_protocol: None,
        limits: Limits::default(),
    };
    Ok((rest, Args::Listener(Box::new(listener))))
}

/// `certificate STRING, … [client-ca STRING]` or `passthrough [mesh]`
pub(crate) fn listener_tls(input: Tokens<'_>) -> Parsed<'_, Args> {
    let terminate = (after("certificate", list(string)), opt(after("client-ca", string)));
    let passthrough = preceded(keyword("passthrough"), opt(keyword("mesh")));
    let kinds = alt((
        map(terminate, |(certificates, client_ca)| ListenerTls::Terminate { certificates, client_ca }),
        map(passthrough, |mesh| ListenerTls::Passthrough { mesh: mesh.is_some() }),
    ));
    let mut kinds = kinds;
    map(|input| kinds.parse(input), |tls| Args::ListenerTls(Box::new(tls))).parse(input)
}

/// `https STATUS`
pub(crate) fn redirect_https(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, _) = keyword("https")(input)?;
    let (rest, code) = cut(status("a redirect status", 100..=999)).parse(rest)?;
    if matches!(code.value, 301 | 302 | 303 | 307 | 308) {
        return Ok((rest, Args::RedirectHttps(code)));
    }
    let message = format!("`{}` is not a redirect status", code.value);
    refuse(invalid(code.span, message, "Write 301, 302, 303, 307 or 308."))
}

/// `MODULE [host STRING, …] [to PATH, …]`
pub(crate) fn allow_routes(input: Tokens<'_>) -> Parsed<'_, Args> {
    let (rest, module) = title(input)?;
    let (rest, hosts) = opt(after("host", host::patterns)).parse(rest)?;
    let (rest, paths) = opt(after("to", list(path::pattern))).parse(rest)?;
    let span = input.span_to(&rest);
    let (hosts, paths) = (hosts.unwrap_or_default(), paths.unwrap_or_default());
    Ok((rest, Args::AllowRoutes(Box::new(AllowRoutes { span, module, hosts, paths }))))
}

/// How many proxies stand before a gateway.
pub(crate) fn trusted_hops(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(count("a number of hops", 1..=16), Args::Number).parse(input)
}

/// `DURATION`
pub(crate) fn a_duration(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(duration, Args::Duration).parse(input)
}

/// `SERVICE`
pub(crate) fn a_service(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(service_name, |service| Args::Service(Box::new(service))).parse(input)
}

/// `PERCENT`
pub(crate) fn a_percent(input: Tokens<'_>) -> Parsed<'_, Args> {
    map(percent, Args::Percent).parse(input)
}
