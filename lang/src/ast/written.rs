//! Canonical spelling, for logs and messages: on one line, lists sorted.

use super::*;
use std::fmt::Write;

impl std::fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Display for Backend {
    /// Without the weight: `reviews:v2 port http`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.service)?;
        if let Some(subset) = &self.subset {
            write!(f, ":{}", subset.value)?;
        }
        match &self.port {
            Some(port) => write!(f, " port {}", port.value),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let (true, Some(path)) = (self.grpc, &self.path) {
            let service = path.value.as_str();
            let service = service.strip_suffix("/**").unwrap_or(service).trim_start_matches('/');
            return write!(f, "grpc {service}");
        }
        for (method, index) in self.methods.iter().zip(0..) {
            f.write_str(if index > 0 { "|" } else { "" })?;
            f.write_str(method.as_str())?;
        }
        match &self.path {
            Some(path) => {
                f.write_str(if self.methods.is_empty() { "" } else { " " })?;
                f.write_str(path.value.as_str())
            }
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            PrincipalKind::Service(service) => service.fmt(f),
            PrincipalKind::Gateway(gateway) => write!(f, "gateway {gateway}"),
            PrincipalKind::Namespace(namespace) => write!(f, "namespace {namespace}"),
            PrincipalKind::Identity(identity) => write!(f, "identity \"{identity}\""),
            PrincipalKind::TrustDomain(domain) => write!(f, "trust-domain {domain}"),
            PrincipalKind::Authenticated => f.write_str("authenticated"),
            PrincipalKind::Unauthenticated => f.write_str("unauthenticated"),
            PrincipalKind::Anyone => f.write_str("anyone"),
        }
    }
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("from ")?;
        listed(&self.principals, f)?;
        if self.except.is_empty() {
            return Ok(());
        }
        f.write_str(" except ")?;
        listed(&self.except, f)
    }
}

impl std::fmt::Display for AllowRoutes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "allow-routes {}", self.module.value)?;
        let mut word = " host ";
        for host in &self.hosts {
            write!(f, "{word}\"{}\"", host.value)?;
            word = ", ";
        }
        word = " to ";
        for path in &self.paths {
            write!(f, "{word}{}", path.value)?;
            word = ", ";
        }
        Ok(())
    }
}

impl std::fmt::Display for AuthorizeLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.effect {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
            Effect::Audit => "audit",
        })?;
        if let Some(from) = &self.from {
            f.write_str(" ")?;
            from.fmt(f)?;
        }
        if self.port.is_some() || !self.ops.is_empty() {
            f.write_str(" to")?;
        }
        if let Some(port) = &self.port {
            write!(f, " port {}", port.value)?;
        }
        if !self.ops.is_empty() {
            f.write_str(" ")?;
            listed(&self.ops, f)?;
        }
        conditions(&self.when, f)
    }
}

/// ` when a and b`, sorted.
fn conditions(when: &[Condition], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    if when.is_empty() {
        return Ok(());
    }
    f.write_str(" when ")?;
    sorted(when, " and ", f)
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.negated {
            f.write_str("not ")?;
        }
        self.field.fmt(f)?;
        f.write_str(" ")?;
        self.test.fmt(f)
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Field::Header(name) => said("header ", &name.value, f),
            Field::Query(name) => said("query ", &name.value, f),
            Field::Cookie(name) => said("cookie ", &name.value, f),
            Field::Claim { issuer, path } => {
                f.write_str("claim")?;
                if let Some(issuer) = issuer {
                    write!(f, " {}", issuer.value)?;
                }
                path.iter().try_for_each(|name| said(" ", &name.value, f))
            }
            Field::Jwt(name) => write!(f, "jwt {}", name.value),
            Field::SourceIp => f.write_str("source-ip"),
            Field::ClientIp => f.write_str("client-ip"),
            Field::Path => f.write_str("path"),
            Field::Host => f.write_str("host"),
        }
    }
}

impl std::fmt::Display for ValueTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueTest::Present => f.write_str("present"),
            ValueTest::Absent => f.write_str("absent"),
            ValueTest::Equals(value) => said("= ", &value.value, f),
            ValueTest::NotEquals(value) => said("!= ", &value.value, f),
            ValueTest::In(values) => {
                let mut values: Vec<String> = values.iter().map(|value| quoted(&value.value)).collect();
                values.sort();
                write!(f, "in ({})", values.join(", "))
            }
            ValueTest::Prefix(value) => said("prefix ", &value.value, f),
            ValueTest::Suffix(value) => said("suffix ", &value.value, f),
            ValueTest::Contains(value) => said("contains ", &value.value, f),
            ValueTest::Has(value) => said("has ", &value.value, f),
            ValueTest::Matches(regex) => write!(f, "matches re\"{}\"", regex.value.replace('"', "\\\"")),
        }
    }
}

/// A word and a string as it is written.
fn said(word: &str, text: &str, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    f.write_str(word)?;
    if text.chars().any(|c| matches!(c, '"' | '\\') || crate::lexer::is_refused(c)) {
        return f.write_str(&quoted(text));
    }
    ["\"", text, "\""].into_iter().try_for_each(|part| f.write_str(part))
}

/// A string as it is written.
fn quoted(text: &str) -> String {
    let mut result = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => result.extend(['\\', c]),
            c if crate::lexer::is_refused(c) => result.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => result.push(c),
        }
    }
    result.push('"');
    result
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Destination::Target(name) => write!(f, "{name}"),
            Destination::Gateway(name) => write!(f, "gateway {name}"),
            Destination::Namespace(name) => write!(f, "namespace {}", name.value),
        }
    }
}

impl std::fmt::Display for GuardrailLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("deny")?;
        if let Some(from) = &self.from {
            write!(f, " {from}")?;
        }
        if !self.to.is_empty() {
            f.write_str(" to ")?;
            listed(&self.to, f)?;
        }
        if !self.ops.is_empty() {
            f.write_str(" ")?;
            listed(&self.ops, f)?;
        }
        conditions(&self.when, f)
    }
}

/// `a, b, c`, sorted: the order in which a list is written means nothing.
fn listed<T: std::fmt::Display>(items: &[T], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    sorted(items, ", ", f)
}

/// Most lists are of one, which needs no text of its own to be compared.
fn sorted<T: std::fmt::Display>(
    items: &[T],
    between: &str,
    f: &mut std::fmt::Formatter<'_>,
) -> std::fmt::Result {
    if let [only] = items {
        return only.fmt(f);
    }
    let mut text = String::new();
    let mut places = Vec::with_capacity(items.len());
    for item in items {
        let start = text.len();
        write!(text, "{item}")?;
        places.push(start..text.len());
    }
    places.sort_unstable_by(|a, b| text[a.clone()].cmp(&text[b.clone()]));
    for (place, index) in places.into_iter().zip(0..) {
        f.write_str(if index > 0 { between } else { "" })?;
        f.write_str(&text[place])?;
    }
    Ok(())
}
