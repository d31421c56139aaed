//! Requests: half of them sit on the edge of something that the program names.

use super::{Asked, Family, GATEWAY, Places};
use fastrand::Rng;
use mesh_reference::{Claim, Entry, Question, Token};
use std::net::IpAddr;

/// One request.
pub fn question(rng: &mut Rng, places: &Places) -> Question {
    let (entry, host, host_port, is_connection) = entry(rng, places);
    // A connection has neither method nor path.
    let path = if is_connection { String::new() } else { path(rng, places) };
    let method = match (path.as_str(), rng.u32(..10)) {
        ("", _) => "",
        ("*", _) => "OPTIONS",
        (_, 0..=4) => "GET",
        (_, 5 | 6) => "POST",
        _ => pick(rng, &["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "get"]),
    };
    let mut question = Question {
        entry,
        peer: peer(rng, places),
        method: method.to_owned(),
        host,
        host_port,
        path,
        query: String::new(),
        headers: Vec::new(),
        tokens: Vec::new(),
        source_ip: address(rng),
        client_ip: None,
    };
    if !is_connection {
        question.headers = headers(rng, places);
        question.query = query(rng, places);
        question.tokens = tokens(rng, places);
        let knows_clients = places.gateway.as_ref().is_some_and(|gateway| gateway.knows_clients);
        let is_gateway = matches!(question.entry, Entry::Gateway { .. });
        question.client_ip = (knows_clients && is_gateway && rng.u32(..4) > 0).then(|| address(rng));
    }
    question
}

impl Places {
    /// Whether all that is seen where a question comes in is a connection. A sidecar's question says the whole host and port.
    pub fn sees_bytes(&self, question: &Question) -> bool {
        let at = |full_name: &str, number: Option<u16>| {
            let service = self.services.iter().find(|service| service.full_name() == full_name);
            let mut ports = service.into_iter().flat_map(|service| &service.ports);
            ports.find(|port| Some(port.number) == number).is_some_and(|port| port.family() == Family::Bytes)
        };
        match &question.entry {
            Entry::Gateway { listener: name, .. } => {
                let mut listeners = self.gateway.iter().flat_map(|gateway| &gateway.listeners);
                let listener = listeners.find(|listener| listener.name == *name);
                listener.is_some_and(|listener| super::family(listener.protocol) == Family::Bytes)
            }
            Entry::Sidecar { .. } => at(&question.host, question.host_port),
            Entry::FromGateway { service, port, .. } | Entry::Inbound { service, port } => {
                at(service, Some(*port))
            }
        }
    }
}

fn pick<'t>(rng: &mut Rng, of: &[&'t str]) -> &'t str {
    of[rng.usize(..of.len())]
}

/// Where it comes in, the host and port it says, and whether only a connection is seen.
fn entry(rng: &mut Rng, places: &Places) -> (Entry, String, Option<u16>, bool) {
    let callees: Vec<_> = places.services.iter().filter(|service| !service.ports.is_empty()).collect();
    let kind = rng.u32(..10);
    let gateway =
        places.gateway.as_ref().map(|gateway| (format!("{GATEWAY}.{}", gateway.namespace), gateway));
    if let (Some((name, gateway)), 0..=4) = (&gateway, kind) {
        let listener = &gateway.listeners[rng.usize(..gateway.listeners.len())];
        let entry = Entry::Gateway { gateway: name.clone(), listener: listener.name.clone() };
        let is_connection = super::family(listener.protocol) == Family::Bytes;
        if listener.hosts.is_empty() {
            return (entry, String::new(), None, true);
        }
        let port = if rng.bool() || is_connection { None } else { Some(8080) };
        return (entry, gateway_host(rng, &listener.hosts), port, is_connection);
    }
    if kind <= 7 || callees.is_empty() {
        let mut caller = places.services[rng.usize(..places.services.len())].full_name();
        let mut callee = &places.services[rng.usize(..places.services.len())];
        if let (true, [_, ..]) = (rng.u32(..8) > 0, places.calls.as_slice()) {
            let declared = &places.calls[rng.usize(..places.calls.len())];
            (caller, callee) = (declared.0.clone(), &declared.1);
        }
        let near = caller.ends_with(&format!(".{}", callee.namespace));
        let host = match rng.u32(..20) {
            0 => "nowhere".to_owned(),
            1 => format!("{}.nowhere", callee.name),
            // Some have these hosts.
            10 if callee.is_external => format!("{}.{}.test", pick(rng, &["a", "b", "a.b"]), callee.name),
            12 if callee.is_external => {
                pick(rng, &["192.0.2.7", "192.0.3.7", "[::ffff:192.0.2.9]"]).to_owned()
            }
            11 if callee.is_external => format!("{}.test", callee.name),
            10 => format!("{}{}.example", pick(rng, &["", "", "a.", "a.b."]), callee.name),
            2..=9 if near => callee.name.clone(),
            2 => callee.name.clone(),
            _ => callee.full_name(),
        };
        let chosen = callee.some_port(rng);
        let port = match (rng.u32(..10), chosen) {
            (0, _) => Some(82),
            (1..=5, Some(port)) => Some(port.number),
            _ => None,
        };
        let meant = chosen.filter(|chosen| port == Some(chosen.number) || callee.ports.len() == 1);
        let is_connection = meant.is_some_and(|port| port.family() == Family::Bytes);
        return (Entry::Sidecar { service: caller }, host, port, is_connection);
    }
    let callee = callees[rng.usize(..callees.len())];
    let chosen = &callee.ports[rng.usize(..callee.ports.len())];
    let (port, is_connection) = (chosen.number, chosen.family() == Family::Bytes);
    let entry = match gateway {
        Some((gateway, _)) if kind == 8 => Entry::FromGateway { gateway, service: callee.full_name(), port },
        _ => Entry::Inbound { service: callee.full_name(), port },
    };
    (entry, callee.full_name(), Some(port), is_connection)
}

/// Mostly one of the listener's own.
fn gateway_host(rng: &mut Rng, patterns: &[String]) -> String {
    let names = ["shop.example", "a.shop.example", "b.shop.example", "a.b.shop.example", "other.example"];
    let strangers = ["xshop.example", "example", "x.test", "[::1]"];
    let pattern = &patterns[rng.usize(..patterns.len())];
    match (rng.u32(..10), pattern.trim_start_matches('*').trim_start_matches('.')) {
        (0, _) => pick(rng, &strangers).to_owned(),
        (_, "") | (1, _) => pick(rng, &names).to_owned(),
        (_, name) if pattern.starts_with("**") => {
            pick(rng, &["a.", "b.", "a.b.", "x.y.z."]).to_owned() + name
        }
        (_, name) if pattern.starts_with('*') => pick(rng, &["a.", "b.", "c."]).to_owned() + name,
        (_, name) => name.to_owned(),
    }
}

/// Of identities of the trust domain that are in no namespace, and of some that are not well-formed.
const OTHER_PATHS: [&str; 13] = [
    "",
    "/vm/1",
    "/ns/shop",
    "/ns/shop/sa/web/1",
    "/ns/shop/sb/web",
    "/ns/default/sa/a_b.C-d",
    "/",
    "/ns//sa/web",
    "/ns/shop/sa/web/",
    "/ns/shop/../sa",
    "/ns/shop/sa/we%62",
    "/ns/shop/sa/web?x",
    ":80/ns/shop/sa/web",
];

/// Of identities of a trust domain that lines name: whole, by what they begin with, or only the domain.
const FOREIGN_PATHS: [&str; 6] =
    ["/ns/shop/sa/web", "/ns/shop/sa/pay", "/ns/shop/sa", "/ns/shop/sa/web/1", "", "/ns/shop/sa/.."];

fn peer(rng: &mut Rng, places: &Places) -> Option<String> {
    let domain = &places.trust_domain;
    let service = &places.services[rng.usize(..places.services.len())];
    let namespace = &service.namespace;
    match rng.u32(..12) {
        0..=3 => None,
        4..=6 => Some(format!("spiffe://{domain}/ns/{namespace}/sa/{}", service.name)),
        7 => Some(format!("spiffe://{domain}/ns/{namespace}/sa/{GATEWAY}")),
        8 => {
            Some(format!("spiffe://{domain}/ns/{}/sa/unknown", pick(rng, &["default", "shop", "elsewhere"])))
        }
        9 => Some(format!("spiffe://{domain}{}", pick(rng, &OTHER_PATHS))),
        10 => Some(format!("spiffe://other.test{}", pick(rng, &FOREIGN_PATHS))),
        _ => Some(format!("spiffe://{domain}.evil/ns/{namespace}/sa/{}", service.name)),
    }
}

/// Half of the paths are an instance of a pattern of the program, and half of these are changed a little.
fn path(rng: &mut Rng, places: &Places) -> String {
    if rng.u32(..40) == 0 {
        return "*".to_owned();
    }
    if places.paths.is_empty() || rng.bool() {
        let depth = rng.usize(1..=4);
        let path: String = (0..depth)
            .map(|_| format!("/{}", pick(rng, &["a", "b", "c", "a", "b", "d", "a.json"])))
            .collect();
        return path + pick(rng, &["", "", "", "/"]);
    }
    let asked: Vec<&String> = texts(places, &Asked::Path);
    let pattern = match asked.as_slice() {
        [_, ..] if rng.u32(..3) == 0 => asked[rng.usize(..asked.len())],
        _ => &places.paths[rng.usize(..places.paths.len())],
    };
    let mut segments: Vec<String> = pattern.split('/').skip(1).map(str::to_owned).collect();
    for segment in &mut segments {
        if segment == "{x}" || segment == "**" {
            *segment = pick(rng, &["a", "b", "d"]).to_owned();
        } else if let Some(suffix) = segment.strip_prefix("{x}") {
            *segment = pick(rng, &["a", "b", "", "a.json"]).to_owned() + suffix;
        }
    }
    let place = rng.usize(..segments.len());
    match rng.u32(..8) {
        0 => segments.truncate(place.max(1)),
        1 => segments[place] = segments[place].to_ascii_uppercase(),
        2 => segments.push(String::new()),
        3 => segments.insert(place, "a".to_owned()),
        _ => {}
    }
    // Only the last segment of a canonical path can be empty.
    let last = segments.pop().unwrap_or_default();
    segments.retain(|segment| !segment.is_empty());
    segments.push(last);
    format!("/{}", segments.join("/"))
}

/// The texts that something is asked for.
fn texts<'p>(places: &'p Places, asked: &Asked) -> Vec<&'p String> {
    places.asked.iter().filter(|(own, _)| own == asked).map(|(_, text)| text).collect()
}

/// One of them, or one that is often asked for.
fn some(rng: &mut Rng, places: &Places, asked: &Asked) -> String {
    let written = texts(places, asked);
    match written.as_slice() {
        [] => pick(rng, &["a", "ab"]).to_owned(),
        written => written[rng.usize(..written.len())].clone(),
    }
}

/// What stands near a text: itself, a bit more, a bit less, something else.
fn near(rng: &mut Rng, text: &str) -> String {
    match rng.u32(..9) {
        0..=4 => text.to_owned(),
        5 => format!("{text}c"),
        6 => format!("c{text}"),
        7 => text.chars().skip(1).collect(),
        _ => pick(rng, &["", "abc", "b", "A", "abb", "a b"]).to_owned(),
    }
}

fn headers(rng: &mut Rng, places: &Places) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for name in ["x-kind", "user-agent"] {
        let some = some(rng, places, &Asked::Header(name));
        let lines = match rng.u32(..16) {
            0..=4 => vec![],
            5..=9 => vec![near(rng, &some)],
            10 => vec![some.clone(), near(rng, &some)],
            11 => vec![some.clone(), some.clone()],
            12 => vec![format!("{some}, b")],
            13 => vec![format!("{some},,")],
            14 => vec![String::new(), some.clone()],
            _ => vec![format!("\"{some},b\"")],
        };
        headers.extend(lines.into_iter().map(|line| (name.to_owned(), line)));
    }
    let some = some(rng, places, &Asked::Cookie("type"));
    let lines = match rng.u32(..10) {
        0..=3 => vec![],
        4..=6 => vec![format!("other=1; type={}", near(rng, &some))],
        7 => vec![format!("type={some}; type=b")],
        8 => vec![format!("type={some}"), format!("type={}", near(rng, &some))],
        _ => vec![format!("TYPE={some}; type ; type= {some} ;x")],
    };
    headers.extend(lines.into_iter().map(|line| ("cookie".to_owned(), line)));
    headers
}

fn query(rng: &mut Rng, places: &Places) -> String {
    let some = some(rng, places, &Asked::Query("k"));
    let value = near(rng, &some).replace(' ', "%20");
    match rng.u32(..12) {
        0..=4 => String::new(),
        5 | 6 => format!("k={value}"),
        7 => format!("x=1&k={}", value.replace('a', "%61")),
        8 => format!("k={value}&k={some}"),
        9 => format!("%6b={value}&K=b"),
        10 => format!("k&kk={value}"),
        _ => format!("k={value};k=b&&k=%6"),
    }
}

/// At most one token of each issuer, whose objects have something in them.
fn tokens(rng: &mut Rng, places: &Places) -> Vec<Token> {
    let mut tokens = Vec::new();
    for issuer in ["sso", "partner"] {
        if rng.u32(..3) == 0 {
            continue;
        }
        let mut claims = Vec::new();
        let claim = |rng: &mut Rng, path: &'static [&'static str]| {
            let some = some(rng, places, &Asked::Claim(issuer, path));
            Some(match rng.u32(..10) {
                0 | 1 => return None,
                2..=4 => Claim::Text(near(rng, &some)),
                5 => Claim::Text(format!("{some} b")),
                6 => Claim::List(vec![near(rng, &some)]),
                7 => Claim::List(vec!["b".to_owned(), near(rng, &some)]),
                8 => Claim::List(vec![]),
                _ => Claim::Other,
            })
        };
        let owned = |path: &[&str]| path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        if let Some(role) = claim(rng, &["role"]) {
            claims.push((owned(&["role"]), role));
        }
        match claim(rng, &["realm"]) {
            Some(Claim::Other) | None => {
                if let Some(roles) = claim(rng, &["realm", "roles"]) {
                    claims.push((owned(&["realm"]), Claim::Other));
                    claims.push((owned(&["realm", "roles"]), roles));
                }
            }
            Some(realm) => claims.push((owned(&["realm"]), realm)),
        }
        tokens.push(Token { issuer: issuer.to_owned(), claims });
    }
    tokens
}

/// At the edges of the blocks that are asked for.
fn address(rng: &mut Rng) -> IpAddr {
    let text = pick(
        rng,
        &[
            "9.255.255.255",
            "10.0.0.0",
            "10.0.255.255",
            "10.1.0.0",
            "10.1.2.2",
            "10.1.2.3",
            "10.1.2.4",
            "10.1.2.5",
            "10.1.2.6",
            "10.1.255.255",
            "10.2.0.0",
            "10.127.255.255",
            "10.128.0.0",
            "10.255.255.255",
            "11.0.0.0",
            "192.0.2.1",
            "192.0.2.2",
            "::ffff:10.1.2.3",
            "fcff:ffff::1",
            "fd00::",
            "fdff::1",
            "fe00::",
            "::1",
        ],
    );
    text.parse().expect("an address")
}
