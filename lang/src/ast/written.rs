//! Canonical spelling, for logs and messages: on one line, lists sorted.

use super::*;

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
            Some(path) if self.methods.is_empty() => write!(f, "{}", path.value),
            Some(path) => write!(f, " {}", path.value),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            PrincipalKind::Service(service) => write!(f, "{service}"),
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
            write!(f, " {from}")?;
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
    let mut when: Vec<String> = when.iter().map(Condition::to_string).collect();
    when.sort();
    if when.is_empty() { Ok(()) } else { write!(f, " when {}", when.join(" and ")) }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.negated {
            f.write_str("not ")?;
        }
        write!(f, "{} {}", self.field, self.test)
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Field::Header(name) => write!(f, "header {}", quoted(&name.value)),
            Field::Query(name) => write!(f, "query {}", quoted(&name.value)),
            Field::Cookie(name) => write!(f, "cookie {}", quoted(&name.value)),
            Field::Claim { issuer, path } => {
                f.write_str("claim")?;
                if let Some(issuer) = issuer {
                    write!(f, " {}", issuer.value)?;
                }
                path.iter().try_for_each(|name| write!(f, " {}", quoted(&name.value)))
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
            ValueTest::Equals(value) => write!(f, "= {}", quoted(&value.value)),
            ValueTest::NotEquals(value) => write!(f, "!= {}", quoted(&value.value)),
            ValueTest::In(values) => {
                let mut values: Vec<String> = values.iter().map(|value| quoted(&value.value)).collect();
                values.sort();
                write!(f, "in ({})", values.join(", "))
            }
            ValueTest::Prefix(value) => write!(f, "prefix {}", quoted(&value.value)),
            ValueTest::Suffix(value) => write!(f, "suffix {}", quoted(&value.value)),
            ValueTest::Contains(value) => write!(f, "contains {}", quoted(&value.value)),
            ValueTest::Has(value) => write!(f, "has {}", quoted(&value.value)),
            ValueTest::Matches(regex) => write!(f, "matches re\"{}\"", regex.value.replace('"', "\\\"")),
        }
    }
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
    if let [only] = items {
        return only.fmt(f);
    }
    let mut items: Vec<String> = items.iter().map(T::to_string).collect();
    items.sort();
    f.write_str(&items.join(", "))
}
