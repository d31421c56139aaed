//! Requests: half of them sit on the edge of something that the program names.

use super::{GATEWAY, Places};
use fastrand::Rng;
use mesh_reference::{Entry, Question};

/// One request.
pub fn question(rng: &mut Rng, places: &Places) -> Question {
    let path = path(rng, places);
    let method = match (path.as_str(), rng.u32(..10)) {
        ("*", _) => "OPTIONS",
        (_, 0..=4) => "GET",
        (_, 5 | 6) => "POST",
        _ => pick(rng, &["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "get"]),
    };
    let (entry, host, host_port) = entry(rng, places);
    Question {
        entry,
        peer: peer(rng, places),
        method: method.to_owned(),
        host,
        host_port,
        path,
        headers: headers(rng, places),
    }
}

fn pick<'t>(rng: &mut Rng, of: &[&'t str]) -> &'t str {
    of[rng.usize(..of.len())]
}

/// Where it comes in, and the host and port it says.
fn entry(rng: &mut Rng, places: &Places) -> (Entry, String, Option<u16>) {
    let callees: Vec<_> = places.services.iter().filter(|service| !service.ports.is_empty()).collect();
    let kind = rng.u32(..10);
    let gateway =
        places.gateway.as_ref().map(|(namespace, listeners)| (format!("{GATEWAY}.{namespace}"), listeners));
    if let (Some((gateway, listeners)), 0..=4) = (&gateway, kind) {
        let listener = &listeners[rng.usize(..listeners.len())];
        let entry = Entry::Gateway { gateway: gateway.clone(), listener: listener.name.clone() };
        return (entry, gateway_host(rng, &listener.hosts), if rng.bool() { None } else { Some(8080) });
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
            2..=9 if near => callee.name.clone(),
            2 => callee.name.clone(),
            _ => callee.full_name(),
        };
        let port = match (rng.u32(..10), callee.ports.as_slice()) {
            (0, _) => Some(82),
            (1..=5, [_, ..]) => Some(callee.ports[rng.usize(..callee.ports.len())].1),
            _ => None,
        };
        return (Entry::Sidecar { service: caller }, host, port);
    }
    let callee = callees[rng.usize(..callees.len())];
    let port = callee.ports[rng.usize(..callee.ports.len())].1;
    let entry = match gateway {
        Some((gateway, _)) if kind == 8 => Entry::FromGateway { gateway, service: callee.full_name(), port },
        _ => Entry::Inbound { service: callee.full_name(), port },
    };
    (entry, callee.full_name(), Some(port))
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
        10 => Some("spiffe://other.test/ns/shop/sa/web".to_owned()),
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
        let path: String =
            (0..depth).map(|_| format!("/{}", pick(rng, &["a", "b", "c", "a", "b", "d"]))).collect();
        return path + pick(rng, &["", "", "", "/"]);
    }
    let pattern = &places.paths[rng.usize(..places.paths.len())];
    let mut segments: Vec<String> = pattern.split('/').skip(1).map(str::to_owned).collect();
    for segment in &mut segments {
        if segment == "{x}" || segment == "**" {
            *segment = pick(rng, &["a", "b", "d"]).to_owned();
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

fn headers(rng: &mut Rng, places: &Places) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for name in ["x-kind", "user-agent"] {
        let written: Vec<&str> = places
            .values
            .iter()
            .filter(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
            .collect();
        let some = match written.is_empty() {
            true => pick(rng, &["a", "ab"]),
            false => pick(rng, &written),
        };
        let lines = match rng.u32(..16) {
            0..=4 => vec![],
            5..=8 => vec![some.to_owned()],
            9 => vec![format!("{some}c")],
            10 => vec![pick(rng, &["", "abc", "b", "A"]).to_owned()],
            11 => vec![some.to_owned(), some.to_owned()],
            12 => vec![format!("{some}, b")],
            13 => vec![format!("{some},,")],
            14 => vec![String::new(), some.to_owned()],
            _ => vec![format!("\"{some},b\"")],
        };
        headers.extend(lines.into_iter().map(|line| (name.to_owned(), line)));
    }
    headers
}
