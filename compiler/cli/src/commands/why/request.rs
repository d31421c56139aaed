//! The request of a command line: read, made canonical, and given to the engine.

use crate::args::Why;
use crate::failure::Failure;
use mesh_compiler::survey::why::Arrival;
use mesh_engine::{Claim, ClaimValue, Method, Token, canonical};
use std::collections::BTreeMap;

/// What a command line says, before anything is known of the project.
pub(super) struct Asked {
    method: String,
    /// Canonical.
    path: String,
    query: String,
    /// Lower-case names.
    headers: Vec<(String, String)>,
    /// Issuer (may be empty), JSON pointer, values.
    claims: BTreeMap<(String, String), Vec<String>>,
    /// Canonical.
    pub(super) host: Option<String>,
}

impl Asked {
    pub(super) fn of(request: Option<&str>, why: &Why) -> Result<Asked, Failure> {
        let (method, path, query) = match request {
            None => (String::new(), String::new(), String::new()),
            Some(request) => operation(request)?,
        };
        let host = why.host.as_deref().map(|raw| {
            let found = canonical::host(raw);
            found.map(|(host, _)| host.into_owned()).map_err(|why| {
                Failure::new(format!("`{raw}` is no host: {}", why.0), "Write it like `--host shop.example`.")
            })
        });
        let mut claims: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for said in &why.claims {
            let (place, value) = claim(said)?;
            claims.entry(place).or_default().push(value);
        }
        let headers = why.headers.iter().map(|line| header(line)).collect::<Result<_, _>>()?;
        Ok(Asked { method, path, query, headers, claims, host: host.transpose()? })
    }
}

/// `GET /v1/items?sort=price`
fn operation(said: &str) -> Result<(String, String, String), Failure> {
    let words: Vec<&str> = said.split_whitespace().collect();
    let [method, target] = words.as_slice() else {
        return Err(Failure::new(
            format!("`{said}` is no request"),
            "Write a method and a path: mesh why --to cart 'GET /v1/items'",
        ));
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !method.bytes().all(is_token) || method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let help = if method.starts_with('/') {
            "The method comes first: `GET /v1/items`."
        } else {
            "Methods are upper-case: `GET /v1/items`."
        };
        return Err(Failure::new(format!("`{method}` is no method"), help));
    }
    if matches!(*method, "CONNECT" | "TRACE") {
        let help = "It is answered with 405 before anything is decided.";
        return Err(Failure::new(format!("a proxy does not take `{method}`"), help));
    }
    let path = canonical::path(target).map_err(|why| {
        Failure::new(
            format!("`{target}` is no path: {}", why.0),
            "A proxy answers it with 400: nothing is decided.",
        )
    })?;
    if path == "*" && *method != "OPTIONS" {
        let help = "A proxy answers it with 400: only `OPTIONS *` is a request.";
        return Err(Failure::new(format!("`*` is no path of `{method}`"), help));
    }
    let query = target.split_once('?').map_or("", |(_, query)| query);
    Ok(((*method).to_owned(), path.into_owned(), query.to_owned()))
}

/// `end-user: jason`
fn header(said: &str) -> Result<(String, String), Failure> {
    let wrong = |why: &str| {
        Failure::new(format!("`{said}` is no header: {why}"), "Write it like `-H 'end-user: jason'`.")
    };
    let (name, value) = said.split_once(':').ok_or_else(|| wrong("there is no `:` in it"))?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(wrong("before the `:` stands no name"));
    }
    let name = name.to_ascii_lowercase();
    if name == "host" {
        return Err(Failure::new("the host is no header here", "Write `--host shop.example`."));
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t') {
        return Err(wrong("there are control characters in it"));
    }
    Ok((name, value.trim_matches([' ', '\t']).to_owned()))
}

/// `tier=vip`, `sso:/realm/roles=admin`: issuer and JSON pointer, and the value.
fn claim(said: &str) -> Result<((String, String), String), Failure> {
    let wrong = || {
        Failure::new(
            format!("`{said}` is no claim"),
            "Write it like `--claim tier=vip`, `--claim sso:tier=vip` or `--claim /realm/roles=admin`.",
        )
    };
    let (name, value) = said.split_once('=').ok_or_else(wrong)?;
    let (issuer, name) = name.split_once(':').unwrap_or(("", name));
    let pointer = match name {
        "" | "/" => return Err(wrong()),
        _ if name.starts_with('/') => name.to_owned(),
        _ => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
    };
    Ok(((issuer.to_owned(), pointer), value.to_owned()))
}

/// What a request carries, at a target that is known.
pub(super) struct Carried<'a> {
    asked: &'a Asked,
    why: &'a Why,
    /// Issuer, and for each JSON pointer the values.
    tokens: BTreeMap<String, Vec<(String, Vec<String>)>>,
}

impl<'a> Carried<'a> {
    pub(super) fn of(asked: &'a Asked, arrival: &Arrival, why: &'a Why) -> Result<Carried<'a>, Failure> {
        match (arrival.is_http, asked.method.is_empty()) {
            (true, true) => {
                return Err(Failure::new(
                    "the request is not said",
                    format!("Write a method and a path: mesh why --to {} 'GET /'", why.to),
                ));
            }
            (false, false) => {
                return Err(Failure::new(
                    format!("`{}` knows connections, not requests", arrival.to),
                    "Leave the method and the path out.",
                ));
            }
            _ => {}
        }
        let mut tokens: BTreeMap<String, Vec<(String, Vec<String>)>> = BTreeMap::new();
        for issuer in &why.tokens {
            tokens.entry(issuer.clone()).or_default();
        }
        for ((issuer, pointer), values) in &asked.claims {
            let issuer = match (issuer.is_empty(), &arrival.issuer) {
                (false, _) => issuer.clone(),
                (true, Some(only)) => only.clone(),
                (true, None) => {
                    return Err(Failure::new(
                        format!("`{}` does not verify the tokens of exactly one issuer", arrival.to),
                        "Say whose claim it is: `--claim ISSUER:NAME=VALUE`.",
                    ));
                }
            };
            tokens.entry(issuer).or_default().push((pointer.clone(), values.clone()));
        }
        Ok(Carried { asked, why, tokens })
    }

    /// `GET /v1/items?sort=price`; empty for a connection.
    pub(super) fn said(&self) -> String {
        let Asked { method, path, query, .. } = self.asked;
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        format!("{method} {path}{query}").trim().to_owned()
    }

    /// Asks something of the request in the engine's form.
    pub(super) fn with<T>(&self, arrival: &Arrival, ask: impl FnOnce(&mesh_engine::Request<'_>) -> T) -> T {
        let headers: Vec<(&str, &str)> =
            self.asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let lists: Vec<Vec<Vec<&str>>> = self
            .tokens
            .values()
            .map(|claims| {
                claims.iter().map(|(_, values)| values.iter().map(String::as_str).collect()).collect()
            })
            .collect();
        let claims: Vec<Vec<Claim<'_>>> = self
            .tokens
            .values()
            .zip(&lists)
            .map(|(claims, lists)| {
                let both = claims.iter().zip(lists);
                both.map(|((pointer, _), list)| Claim {
                    pointer,
                    value: match list.as_slice() {
                        [only] => ClaimValue::Text(only),
                        several => ClaimValue::List(several),
                    },
                })
                .collect()
            })
            .collect();
        let tokens: Vec<Token<'_>> =
            self.tokens.keys().zip(&claims).map(|(issuer, claims)| Token { issuer, claims }).collect();
        let headers = headers.as_slice();
        ask(&mesh_engine::Request {
            method: Method::from_token(&self.asked.method),
            host: &arrival.host,
            host_port: arrival.host_port,
            path: &self.asked.path,
            query: &self.asked.query,
            headers: &headers,
            source_ip: self.why.source_ip,
            caller_ip: Some(self.why.source_ip),
            client_ip: self.why.client_ip,
            tokens: &tokens,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T>(found: Result<T, Failure>) -> String {
        found.err().map(|failure| failure.message).unwrap_or_default()
    }

    #[test]
    fn a_request_is_a_method_and_a_path() {
        let (method, path, query) = operation("GET /a/../b%41?x=1&y").unwrap();
        assert_eq!((method.as_str(), path.as_str(), query.as_str()), ("GET", "/bA", "x=1&y"));
        assert_eq!(message(operation("/a")), "`/a` is no request");
        assert_eq!(message(operation("get /a")), "`get` is no method");
        assert_eq!(message(operation("GET a")), "`a` is no path: path does not begin with `/`");
        assert_eq!(message(operation("GET *")), "`*` is no path of `GET`");
        assert_eq!(message(operation("TRACE /")), "a proxy does not take `TRACE`");
        assert!(operation("OPTIONS *").is_ok());
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        assert_eq!(header("End-User:  jason ").unwrap(), ("end-user".to_owned(), "jason".to_owned()));
        assert_eq!(header("x:").unwrap().1, "");
        assert_eq!(message(header("jason")), "`jason` is no header: there is no `:` in it");
        assert_eq!(message(header("a b: c")), "`a b: c` is no header: before the `:` stands no name");
        assert_eq!(message(header("Host: a")), "the host is no header here");
    }

    #[test]
    fn a_claim_stands_at_a_place_in_a_token() {
        let place = |said| claim(said).unwrap().0;
        assert_eq!(place("tier=vip"), (String::new(), "/tier".to_owned()));
        assert_eq!(place("sso:a/b=c"), ("sso".to_owned(), "/a~1b".to_owned()));
        assert_eq!(place("/realm/roles=x"), (String::new(), "/realm/roles".to_owned()));
        assert_eq!(message(claim("tier")), "`tier` is no claim");
    }
}
