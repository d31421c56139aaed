//! What a request has in a field, as the plan's atom (`spec/semantics.md` 1.3 to 1.8). Items are looked at as they come: nothing is
//! collected.

use crate::header::{items_of_line, trim};
use crate::request::{Claim, ClaimValue, Request, Token};
use mesh_plan::FieldKind;
use mesh_plan::view::Field;
use std::net::IpAddr;

/// The atom of what the request has in this field.
pub(crate) fn atom(field: Field<'_>, request: &Request<'_>) -> u32 {
    match field.kind() {
        FieldKind::Header => header(field, request),
        FieldKind::Query => query(field, request.query),
        FieldKind::Cookie => cookie(field, request),
        FieldKind::Claim => claim(field, request.tokens),
        FieldKind::Jwt => match token(field.name(), request.tokens) {
            Some(_) => field.other(),
            None => field.absent(),
        },
        FieldKind::SourceIp => address(field, request.source_ip),
        FieldKind::ClientIp => request.client_ip.map_or(field.absent(), |ip| address(field, ip)),
        FieldKind::Host => field.atom_of(request.host.as_bytes()),
    }
}

/// The items of a field seen so far.
struct Items<'p> {
    field: Field<'p>,
    count: u32,
    /// Of the only item.
    atom: u32,
    /// What the items pass together.
    mask: u32,
    masked: bool,
}

impl<'p> Items<'p> {
    fn of(field: Field<'p>) -> Items<'p> {
        Items { field, count: 0, atom: field.absent(), mask: 0, masked: !field.masks().is_empty() }
    }

    fn add(&mut self, item: &[u8]) {
        self.add_atom(|field| field.atom_of(item));
    }

    fn add_atom(&mut self, atom_of: impl Fn(Field<'p>) -> u32) {
        self.count = self.count.saturating_add(1);
        if self.count == 1 || self.masked {
            self.atom = atom_of(self.field);
            self.mask |= self.field.mask_of(self.atom);
        }
    }

    fn atom(&self) -> u32 {
        if self.count > 1 { self.field.atom_of_many(self.mask) } else { self.atom }
    }
}

/// 1.3: a line without items is one empty value.
fn header(field: Field<'_>, request: &Request<'_>) -> u32 {
    let mut items = Items::of(field);
    let mut lines = false;
    request.headers.each_line(field.name(), &mut |line| {
        lines = true;
        items_of_line(field.name(), line).for_each(|item| items.add(item));
    });
    if lines && items.count == 0 {
        items.add(b"");
    }
    items.atom()
}

/// 1.5: pairs are split at `&`, name and value at the first `=`, both decoded once.
fn query(field: Field<'_>, query: &str) -> u32 {
    let mut items = Items::of(field);
    for pair in query.as_bytes().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let (name, value) = split_at(pair, b'=').unwrap_or((pair, b""));
        if Decoded(name).eq(field.name().bytes()) {
            items.add_atom(|field| atom_of_encoded(field, value));
        }
    }
    items.atom()
}

/// Where an automaton reads, it reads what is decoded on the way; otherwise only what is encoded at all has to be
/// written down once.
fn atom_of_encoded(field: Field<'_>, value: &[u8]) -> u32 {
    match field.automaton() {
        Some(automaton) => automaton.atom_of(Decoded(value)),
        None if value.contains(&b'%') => field.atom_of(&Decoded(value).collect::<Vec<u8>>()),
        None => field.atom_of(value),
    }
}

/// Bytes with each `%` and two hex digits as the byte they stand for; a `%` without them stays.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if let [high, low, after @ ..] = rest
            && let (b'%', Some(high), Some(low)) = (first, hex(*high), hex(*low))
        {
            self.0 = after;
            return Some(high << 4 | low);
        }
        self.0 = rest;
        Some(*first)
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// 1.6: the pairs of all `cookie` lines.
fn cookie(field: Field<'_>, request: &Request<'_>) -> u32 {
    let mut items = Items::of(field);
    request.headers.each_line("cookie", &mut |line| {
        for pair in line.split(|byte| *byte == b';') {
            let Some((name, value)) = split_at(pair, b'=') else { continue };
            if trim(name) == field.name().as_bytes() {
                items.add(trim(value));
            }
        }
    });
    items.atom()
}

fn split_at(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// 1.7: without the token every claim of it is absent.
fn claim(field: Field<'_>, tokens: &[Token<'_>]) -> u32 {
    let claims = token(field.issuer(), tokens).map_or(&[][..], |token| token.claims);
    let Some(Claim { value, .. }) = claims.iter().find(|claim| claim.pointer == field.name()) else {
        return field.absent();
    };
    match value {
        ClaimValue::Text(text) => field.atom_of(text.as_bytes()),
        ClaimValue::List(list) => {
            let masks = list.iter().map(|item| field.mask_of(field.atom_of(item.as_bytes())));
            field.atom_of_many(masks.fold(0, |all, mask| all | mask))
        }
        ClaimValue::Other => field.odd(),
    }
}

/// The token of an issuer; of none in particular the first one: where a claim names none there is only one.
fn token<'t>(issuer: &str, tokens: &'t [Token<'t>]) -> Option<&'t Token<'t>> {
    tokens.iter().find(|token| issuer.is_empty() || token.issuer == issuer)
}

/// 1.8: an IPv4 address that is written as IPv6 is the same address.
fn address(field: Field<'_>, ip: IpAddr) -> u32 {
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    field.atom_of_address(ip.octets())
}
