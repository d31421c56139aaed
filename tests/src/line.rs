//! A `request` line of a test as a question to the reference, and whether an answer is what the line expects.

use crate::generate::{Places, Service};
use mesh_lang::ast::{
    self, Asked, Destination, ExpectedOutcome, Field, PrincipalKind, RedirectTo, TestLine, Timeout, ValueTest,
};
use mesh_lang::{FileId, Name};
use mesh_reference::{Answer, Chance, Claim, Effect, Entry, Outcome, Question, Token};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Reads one line, as it stands in a `test`. The error is what is wrong with it.
pub fn read(line: &str) -> Result<TestLine, String> {
    let parsed = mesh_lang::parse(FileId(0), &format!("test \"t\" {{\n{line}\n}}\n"));
    if let Some(problem) = parsed.diagnostics.iter().next() {
        return Err(problem.message.clone());
    }
    let items = parsed.file().items.into_iter();
    let mut lines = items.flat_map(|item| match item {
        ast::Item::Test(test) => test.lines,
        _ => vec![],
    });
    lines.next().ok_or_else(|| "no line".to_owned())
}

/// The question that a line asks of a program with these places; names are full, or of the namespace `default`.
pub fn question(line: &TestLine, places: &Places) -> Result<Question, String> {
    let Destination::Target(target) = &line.to else { return Err("not one target".to_owned()) };
    let target = full(target.as_str());
    let from = line.from.as_ref().and_then(|from| from.principals.first()).map(|from| &from.kind);
    let peer = match from {
        Some(PrincipalKind::Identity(identity)) => Some(identity.to_string()),
        _ => None,
    };
    let service = places.services.iter().find(|service| service.full_name() == target);
    let (entry, host, host_port) = match service {
        Some(service) => at_service(line, service, from)?,
        None => at_gateway(line, &target, places)?,
    };
    let (method, path) = match &line.asked {
        Asked::One(Some((method, path))) => (method.value.as_str().to_owned(), path.value.to_string()),
        _ => (String::new(), String::new()),
    };
    let mut question = Question {
        entry,
        peer,
        method,
        host,
        host_port,
        path,
        query: String::new(),
        headers: Vec::new(),
        tokens: Vec::new(),
        source_ip: Ipv4Addr::LOCALHOST.into(),
        client_ip: None,
    };
    let issuers = service
        .map_or(places.gateway.iter().flat_map(|gateway| &gateway.issuers).collect(), |service| {
            service.issuers.iter().collect::<Vec<_>>()
        });
    let only = issuers.first().map_or("", |issuer| **issuer);
    let mut query: Vec<String> = Vec::new();
    let mut cookies: Vec<String> = Vec::new();
    for fact in &line.when {
        let value = said(&fact.test);
        match &fact.field {
            Field::Header(name) => question.headers.push((name.value.to_string(), value)),
            Field::Query(name) => query.push(format!("{}={}", encoded(&name.value), encoded(&value))),
            Field::Cookie(name) => cookies.push(format!("{}={value}", name.value)),
            Field::SourceIp => question.source_ip = value.parse().map_err(|_| value)?,
            Field::ClientIp => question.client_ip = Some(value.parse().map_err(|_| value)?),
            Field::Jwt(issuer) => _ = token(&mut question.tokens, &issuer.value),
            Field::Claim { issuer, path } => {
                let issuer = issuer.as_ref().map_or(only, |issuer| &issuer.value);
                let path: Vec<String> = path.iter().map(|step| step.value.to_string()).collect();
                let is_item = matches!(fact.test, ValueTest::Has(_));
                claim(&mut token(&mut question.tokens, issuer).claims, path, value, is_item);
            }
            Field::Path | Field::Host => return Err("asks for what is said already".to_owned()),
        }
    }
    question.query = query.join("&");
    if !cookies.is_empty() {
        question.headers.push(("cookie".to_owned(), cookies.join("; ")));
    }
    Ok(question)
}

fn full(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{name}.default") }
}

fn at_service(
    line: &TestLine,
    service: &Service,
    from: Option<&PrincipalKind>,
) -> Result<(Entry, String, Option<u16>), String> {
    let port = match &line.port {
        Some(name) => service.ports.iter().find(|port| *port.name == *name.value),
        None => service.ports.first(),
    };
    let port = port.ok_or("no such port")?.number;
    let full_name = service.full_name();
    let entry = match from {
        Some(PrincipalKind::Service(caller)) => Entry::Sidecar { service: full(caller.as_str()) },
        Some(PrincipalKind::Gateway(gateway)) => {
            Entry::FromGateway { gateway: full(gateway.as_str()), service: full_name.clone(), port }
        }
        _ => Entry::Inbound { service: full_name.clone(), port },
    };
    Ok((entry, full_name, Some(port)))
}

fn at_gateway(
    line: &TestLine,
    gateway: &str,
    places: &Places,
) -> Result<(Entry, String, Option<u16>), String> {
    let own = places.gateway.as_ref().ok_or("no gateway")?;
    let listener = match &line.listener {
        Some(name) => name.value.to_string(),
        None => own.listeners.first().map(|listener| listener.name.clone()).ok_or("no listener")?,
    };
    let host = line.host.as_ref().map_or(String::new(), |host| host.value.to_string());
    Ok((Entry::Gateway { gateway: gateway.to_owned(), listener }, host, None))
}

fn said(test: &ValueTest) -> String {
    match test {
        ValueTest::Equals(Name { value, .. }) | ValueTest::Has(Name { value, .. }) => value.to_string(),
        _ => String::new(),
    }
}

fn token<'t>(tokens: &'t mut Vec<Token>, issuer: &str) -> &'t mut Token {
    let index = tokens.iter().position(|token| token.issuer == issuer).unwrap_or_else(|| {
        tokens.push(Token { issuer: issuer.to_owned(), claims: vec![] });
        tokens.len() - 1
    });
    &mut tokens[index]
}

fn claim(claims: &mut Vec<(Vec<String>, Claim)>, path: Vec<String>, value: String, is_item: bool) {
    match claims.iter_mut().find(|(known, _)| *known == path) {
        Some((_, Claim::List(items))) if is_item => items.push(value),
        _ if is_item => claims.push((path, Claim::List(vec![value]))),
        _ => claims.push((path, Claim::Text(value))),
    }
}

/// As it stands in a query, every byte that could mean something else percent-encoded.
fn encoded(text: &str) -> String {
    let write = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(write).collect()
}

/// Whether everything that can happen is what the line expects (`spec/semantics.md` 13.2, 9.8).
pub fn is_as_expected(line: &TestLine, answer: &Answer, places: &Places) -> bool {
    let expect = &line.expect;
    let mut shares: BTreeMap<(String, u16, Option<String>), Chance> = BTreeMap::new();
    for (ending, chance) in &answer.endings {
        let effects = ending.changes.iter().flat_map(|changes| &changes.effects);
        let faults: Vec<&Effect> =
            effects.filter(|effect| matches!(effect, Effect::Delay(..) | Effect::Abort(..))).collect();
        let status = status(&ending.outcome);
        let fits = match (&expect.outcome, &ending.outcome) {
            (ExpectedOutcome::Allow | ExpectedOutcome::Backends(_), Outcome::Forward { .. }) => {
                faults.is_empty() == expect.fault.is_none()
            }
            (ExpectedOutcome::Deny, _) => status == Some(403),
            (ExpectedOutcome::Status(wanted), _) => status == Some(*wanted),
            (ExpectedOutcome::Redirect(redirect), Outcome::Redirect { location, .. }) => {
                let written = match &redirect.to {
                    RedirectTo::Location(to) => Some(to.value.to_string()),
                    _ => None,
                };
                status == Some(redirect.status.value) && written == *location
            }
            _ => false,
        };
        if !fits {
            return false;
        }
        if let Outcome::Forward { service, port, subset, timeout, retry } = &ending.outcome {
            let wanted = expect.timeout.as_ref().map(|timeout| match timeout.value {
                Timeout::None => None,
                Timeout::After(milliseconds) => Some(milliseconds),
            });
            let tries = retry.as_ref().map_or(0, |retry| retry.count);
            if wanted.is_some_and(|wanted| wanted != *timeout)
                || expect.retry.as_ref().is_some_and(|wanted| wanted.value != tries)
            {
                return false;
            }
            let sum = shares.entry((service.clone(), *port, subset.clone())).or_insert(Chance::NEVER);
            *sum = sum.or(*chance);
        }
    }
    match &expect.outcome {
        ExpectedOutcome::Backends(backends) => shares == wanted(backends, places),
        _ => true,
    }
}

fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Forward { .. } => None,
        Outcome::Redirect { status, .. } | Outcome::Respond { status, .. } => Some(*status),
        Outcome::Denied { .. } | Outcome::UndeclaredCall => Some(403),
        Outcome::NoRoute => Some(404),
    }
}

fn wanted(backends: &[ast::Backend], places: &Places) -> BTreeMap<(String, u16, Option<String>), Chance> {
    let mut shares = BTreeMap::new();
    for backend in backends {
        let service = full(backend.service.as_str());
        let known = places.services.iter().find(|known| known.full_name() == service);
        let ports = known.map(|known| known.ports.as_slice()).unwrap_or_default();
        let port =
            ports.iter().find(|port| backend.port.as_ref().is_none_or(|name| *name.value == *port.name));
        let subset = backend.subset.as_ref().map(|subset| subset.value.to_string());
        let share = match backend.weight.map(|weight| weight.value) {
            Some(ast::Weight::Percent(share)) => Chance::new(share.into(), 10_000),
            _ => Chance::CERTAIN,
        };
        shares.insert((service, port.map_or(0, |port| port.number), subset), share);
    }
    shares
}
