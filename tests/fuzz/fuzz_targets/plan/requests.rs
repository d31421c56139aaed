//! Requests that say what the plans ask for, or something near it.

use super::Draw;
use super::generate::{HOSTS, IDENTITIES, ISSUERS, NAMES, POINTERS, SEGMENTS, SERVICES};
use mesh_engine::{Claim, ClaimValue, Entry, Headers, Method, Peer, Request, Token};
use mesh_plan::PlanView;

const LINES: [&[u8]; 9] = [b"", b"a", b"aa", b"b", b"a, b", b"b,,", b"\"a,b\"", b"\xff", b"k=a; h=b; k=aa"];
const QUERIES: [&str; 7] = ["", "h=a", "k=%61a&k=b", "x-a", "h=%ff&h=a", "&&h==;k=a", "k=%6"];
const ADDRESSES: [&str; 5] = ["10.0.0.0", "11.0.0.1", "::", "::ffff:10.1.2.3", "fd00::1"];
const STRANGERS: [&str; 5] =
    ["", "spiffe://other.test/a/b", "spiffe://shop.test/ns/n/sa/x", "spiffe://shop.test/..", "spiffe://x"];

/// One request to a place that the plan has, or to one that it has not.
pub(super) fn with_request(
    draw: &mut Draw<'_>,
    plan: &PlanView,
    ask: impl FnOnce(Entry, Peer<'_>, &Request<'_>),
) {
    let service = draw.below(plan.services().len() as usize + 1) as u32;
    let ports = plan.service(service).map_or(0, |service| service.ports().len()) as usize;
    let port = draw.below(ports.max(1)) as u32;
    let calls = plan.service(service).map_or(0, |service| service.calls().len()) as usize;
    let entry = match draw.below(6) {
        0 | 1 if !plan.gateways().is_empty() => Entry::Gateway { gateway: 0, listener: draw.below(2) as u32 },
        0..=2 => Entry::Sidecar { service },
        3 => Entry::FromGateway { gateway: 0, service, port },
        4 => Entry::Call { service, call: draw.below(calls.max(1)) as u32 },
        _ => Entry::Inbound { service, port },
    };
    // A place that the plan lacks breaks nothing but the request.
    let is_there = match entry {
        Entry::Gateway { gateway, listener } => {
            plan.gateway(gateway).is_some_and(|own| own.listener(listener).is_some())
        }
        Entry::FromGateway { .. } => ports > 0 && !plan.gateways().is_empty(),
        Entry::Sidecar { .. } => plan.service(service).is_some(),
        Entry::Call { .. } => calls > 0,
        Entry::Inbound { .. } => ports > 0,
    };
    if !is_there {
        return;
    }
    let identity = match draw.below(3) {
        0 => None,
        1 => Some(IDENTITIES[draw.below(IDENTITIES.len())].0),
        _ => Some(draw.of(&STRANGERS)),
    };
    let path = match draw.below(8) {
        0 => "*".to_owned(),
        1 => String::new(),
        _ => (0..1 + draw.below(4)).map(|_| format!("/{}", draw.of(&SEGMENTS))).collect(),
    };
    let mut lines = Vec::new();
    for _ in 0..draw.below(4) {
        let name = if draw.one_in(3) { "cookie" } else { draw.of(&NAMES) };
        lines.push((name, LINES[draw.below(LINES.len())]));
    }
    let list = ["a", "b"];
    let claims: Vec<Claim<'_>> = POINTERS
        .map(|pointer| {
            let value = match draw.below(4) {
                0 => ClaimValue::Other,
                1 => ClaimValue::List(&list[..draw.below(3)]),
                _ => ClaimValue::Text(draw.of(&["", "a", "aa b"])),
            };
            Claim { pointer, value }
        })
        .to_vec();
    let tokens = draw.some(ISSUERS.len()).into_iter().map(|issuer| Token {
        issuer: ISSUERS[issuer as usize],
        claims: &claims[..draw.below(claims.len() + 1)],
    });
    let tokens: Vec<Token<'_>> = tokens.collect();
    let address = |draw: &mut Draw<'_>| draw.of(&ADDRESSES).parse().expect("an address");
    let request = Request {
        method: Method::from_token(draw.of(&["GET", "POST", "OPTIONS", "PURGE", ""])),
        host: if draw.one_in(2) { draw.of(&SERVICES) } else { draw.of(&HOSTS) },
        host_port: [None, Some(80), Some(81)][draw.below(3)],
        path: &path,
        query: draw.of(&QUERIES),
        headers: &Lines(lines),
        source_ip: address(draw),
        caller_ip: draw.one_in(2).then(|| address(draw)),
        client_ip: draw.one_in(2).then(|| address(draw)),
        tokens: &tokens,
    };
    ask(entry, identity.map_or(Peer::Unauthenticated, Peer::Identity), &request);
}

struct Lines(Vec<(&'static str, &'static [u8])>);

impl Headers for Lines {
    fn each_line(&self, name: &[u8], show: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(own, _)| own.as_bytes() == name).for_each(|(_, line)| show(line));
    }
}
