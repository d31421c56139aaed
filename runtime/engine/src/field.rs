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
        FieldKind::Jwt => match token(field.name_bytes(), request.tokens) {
            Some(_) => field.other(),
            None => field.absent(),
        },
        FieldKind::SourceIp => address(field, request.source_ip),
        FieldKind::CallerIp => request.caller_ip.map_or(field.absent(), |ip| address(field, ip)),
        FieldKind::ClientIp => request.client_ip.map_or(field.absent(), |ip| address(field, ip)),
        FieldKind::Host => field.atom_of(request.host.as_bytes()),
        FieldKind::Segment => segment(field, request.path),
    }
}

/// 1.2: what stands between two `/` of the path, or behind the last one; `*` has no segments.
fn segment(field: Field<'_>, path: &str) -> u32 {
    let number = field.name().parse::<usize>().ok();
    let own = path.strip_prefix('/').zip(number).and_then(|(path, number)| path.split('/').nth(number));
    own.map_or(field.absent(), |segment| field.atom_of(segment.as_bytes()))
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
    let name = field.name_bytes();
    let mut items = Items::of(field);
    let mut lines = false;
    request.headers.each_line(name, &mut |line| {
        lines = true;
        items_of_line(name, line).for_each(|item| items.add(item));
    });
    if lines && items.count == 0 {
        items.add(b"");
    }
    items.atom()
}

/// 1.5: pairs are split at `&`, name and value at the first `=`, both decoded once.
fn query(field: Field<'_>, query: &str) -> u32 {
    let mut items = Items::of(field);
    each_encoded(field.name_bytes(), query, |value| items.add_atom(|field| atom_of_encoded(field, value)));
    items.atom()
}

/// The values of a query parameter, decoded.
pub(crate) fn each_query_value<'q>(name: &[u8], query: &'q str, mut show: impl FnMut(Decoded<'q>)) {
    each_encoded(name, query, |value| show(Decoded(value)));
}

fn each_encoded<'q>(name: &[u8], query: &'q str, mut show: impl FnMut(&'q [u8])) {
    let pairs = query.as_bytes().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs.filter_map(|pair| value_of(pair, name)).for_each(&mut show);
}

/// The value of a pair of a query, as it was sent, if it has this name.
fn value_of<'q>(pair: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    let (own, value) = split_at(pair, b'=').unwrap_or((pair, b""));
    Decoded(own).eq(name.iter().copied()).then_some(value)
}

/// The decoded value of a pair of a query, what stands between two `&`, if it has this name.
pub fn query_value<'q>(pair: &'q [u8], name: &[u8]) -> Option<Decoded<'q>> {
    value_of(pair, name).map(Decoded)
}

/// The value of a pair of a line of cookies, what stands between two `;`, if it has this name.
pub fn cookie_value<'c>(pair: &'c [u8], name: &[u8]) -> Option<&'c [u8]> {
    let (own, value) = split_at(pair, b'=')?;
    (trim(own) == name).then(|| trim(value))
}

/// Where an automaton reads, it reads what is decoded on the way; otherwise only what is encoded at all has to be
/// written down once: on the stack, if it has room there.
fn atom_of_encoded(field: Field<'_>, value: &[u8]) -> u32 {
    if let Some(automaton) = field.automaton() {
        return automaton.atom_of(Decoded(value));
    }
    if !value.contains(&b'%') {
        return field.atom_of(value);
    }
    let mut room = [0; DECODED];
    let mut length = 0;
    for byte in Decoded(value) {
        match room.get_mut(length) {
            Some(place) => *place = byte,
            None => return field.atom_of(&Decoded(value).collect::<Vec<u8>>()),
        }
        length += 1;
    }
    field.atom_of(room.get(..length).unwrap_or_default())
}

/// Room for a decoded value: half of what servers usually let a whole request line have.
const DECODED: usize = 4_096;

/// Bytes with each `%` and two hex digits as the byte they stand for; a `%` without them stays.
pub struct Decoded<'a>(&'a [u8]);

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
    each_cookie(field.name_bytes(), request, &mut |value| items.add(value));
    items.atom()
}

/// The values of the cookies of a name.
pub(crate) fn each_cookie(name: &[u8], request: &Request<'_>, show: &mut dyn FnMut(&[u8])) {
    request.headers.each_line(b"cookie", &mut |line| {
        for pair in line.split(|byte| *byte == b';') {
            if let Some(value) = cookie_value(pair, name) {
                show(value);
            }
        }
    });
}

fn split_at(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// 1.7: without the token every claim of it is absent.
fn claim(field: Field<'_>, tokens: &[Token<'_>]) -> u32 {
    let claims = token(field.issuer_bytes(), tokens).map_or(&[][..], |token| token.claims);
    let Some(Claim { value, .. }) =
        claims.iter().find(|claim| claim.pointer.as_bytes() == field.name_bytes())
    else {
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
fn token<'t>(issuer: &[u8], tokens: &'t [Token<'t>]) -> Option<&'t Token<'t>> {
    tokens.iter().find(|token| issuer.is_empty() || token.issuer.as_bytes() == issuer)
}

/// 1.8: an IPv4 address that is written as IPv6 is the same address.
fn address(field: Field<'_>, ip: IpAddr) -> u32 {
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    field.atom_of_address(ip.octets())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Headers, Method};
    use mesh_plan::{self as plan, Automaton, NONE, Partition, Peers, Plan, PlanView, State, encode, verify};
    use std::net::Ipv4Addr;

    const ABSENT: u32 = 0;
    const MANY: u32 = 1;
    const OTHER: u32 = 2;
    const A: u32 = 3;
    const ODD: u32 = 4;
    const MANY_WITH_A: u32 = 5;

    /// `a` has an atom of its own, alone and among several.
    fn named(kind: FieldKind, name: &str) -> plan::Field {
        plan::Field {
            kind,
            name: name.to_owned(),
            atoms: 6,
            absent: ABSENT,
            many: MANY,
            odd: ODD,
            other: OTHER,
            exact: vec![(b"a".to_vec(), A)],
            masks: vec![0, 0, 0, 1, 0, 0],
            unions: vec![(0, MANY), (1, MANY_WITH_A)],
            ..plan::Field::default()
        }
    }

    fn view(field: plan::Field, automata: Vec<Automaton>) -> PlanView {
        let partition = Partition {
            peers: Peers { atoms: 1, ..Peers::default() },
            states: vec![State { atom: 0, edges: vec![], other: NONE, empty: NONE }],
            path_atoms: 1,
            fields: vec![field],
            ..Partition::default()
        };
        let plan = Plan { partitions: vec![partition], automata, default_settings: NONE, ..Plan::default() };
        verify(encode(&plan).unwrap()).unwrap()
    }

    const NO_HEADERS: &[(&str, &str)] = &[];

    fn request<'a>(query: &'a str, headers: &'a dyn Headers, tokens: &'a [Token<'a>]) -> Request<'a> {
        Request {
            method: Method::Get,
            host: "a",
            host_port: None,
            path: "/",
            query,
            headers,
            source_ip: Ipv4Addr::new(10, 0, 0, 1).into(),
            caller_ip: None,
            client_ip: None,
            tokens,
        }
    }

    fn ask(view: &PlanView, request: &Request<'_>) -> u32 {
        atom(view.partition(0).unwrap().fields().get(0).unwrap(), request)
    }

    #[test]
    fn a_query_is_read_as_it_was_sent() {
        let view = view(named(FieldKind::Query, "k"), vec![]);
        for (query, expected) in [
            ("", ABSENT),
            ("K=a", ABSENT),
            ("k", OTHER),
            ("k=a", A),
            ("%6b=%61", A),
            ("k=a+", OTHER),
            ("k=%2561", OTHER),
            ("k=%6", OTHER),
            ("&&k=a&", A),
            ("x=1;k=a", ABSENT),
            ("k=a=", OTHER),
            ("k=b&k=b", MANY),
            ("k=b&j=a&k=%61", MANY_WITH_A),
        ] {
            assert_eq!(ask(&view, &request(query, &NO_HEADERS, &[])), expected, "{query}");
        }
    }

    #[test]
    fn an_automaton_reads_what_is_decoded_on_the_way() {
        let ends_in_x = Automaton {
            classes: (0..=255u8).map(|byte| u8::from(byte == b'x')).collect(),
            transitions: vec![0, 1, 0, 1],
            accepts: vec![OTHER, A],
        };
        let field = plan::Field { exact: vec![], automaton: Some(0), ..named(FieldKind::Query, "k") };
        let view = view(field, vec![ends_in_x]);
        for (query, expected) in
            [("k", OTHER), ("k=x", A), ("k=%41%78", A), ("k=x%", OTHER), ("k=b&k=%78", MANY_WITH_A)]
        {
            assert_eq!(ask(&view, &request(query, &NO_HEADERS, &[])), expected, "{query}");
        }
    }

    #[test]
    fn cookies_are_the_pairs_of_all_their_lines() {
        let view = view(named(FieldKind::Cookie, "k"), vec![]);
        let ask = |lines: &[&str]| {
            let lines: Vec<(&str, &str)> = lines.iter().map(|line| ("cookie", *line)).collect();
            ask(&view, &request("", &lines.as_slice(), &[]))
        };
        assert_eq!(ask(&[]), ABSENT);
        assert_eq!(ask(&["j=1; k = a ;l=2"]), A);
        assert_eq!(ask(&["k", "kk=a"]), ABSENT);
        assert_eq!(ask(&["k=\"a\""]), OTHER);
        assert_eq!(ask(&["k=b", "k=a"]), MANY_WITH_A);
    }

    #[test]
    fn a_line_of_a_list_without_items_is_one_empty_value() {
        let view = view(named(FieldKind::Header, "h"), vec![]);
        let ask = |lines: &[(&str, &str)]| ask(&view, &request("", &lines, &[]));
        assert_eq!(ask(&[]), ABSENT);
        assert_eq!(ask(&[("h", " , ")]), OTHER);
        assert_eq!(ask(&[("h", " a ")]), A);
        assert_eq!(ask(&[("h", "b, c")]), MANY);
        assert_eq!(ask(&[("h", "b"), ("h", ",a")]), MANY_WITH_A);
    }

    #[test]
    fn a_claim_is_of_its_own_token() {
        let field = plan::Field { issuer: "sso".to_owned(), ..named(FieldKind::Claim, "/r/k") };
        let view = view(field, vec![]);
        let ask = |issuer: &str, value: Option<ClaimValue<'_>>| {
            let claims: Vec<Claim<'_>> =
                value.into_iter().map(|value| Claim { pointer: "/r/k", value }).collect();
            ask(&view, &request("", &NO_HEADERS, &[Token { issuer, claims: &claims }]))
        };
        assert_eq!(ask("sso", None), ABSENT);
        assert_eq!(ask("other", Some(ClaimValue::Text("a"))), ABSENT);
        assert_eq!(ask("sso", Some(ClaimValue::Text("a"))), A);
        assert_eq!(ask("sso", Some(ClaimValue::List(&[]))), MANY);
        assert_eq!(ask("sso", Some(ClaimValue::List(&["a"]))), MANY_WITH_A);
        assert_eq!(ask("sso", Some(ClaimValue::Other)), ODD);
    }

    #[test]
    fn a_segment_is_behind_its_slash() {
        let field =
            plan::Field { exact: vec![(vec![], 5), (b"a".to_vec(), A)], ..named(FieldKind::Segment, "1") };
        let view = view(field, vec![]);
        let ask = |path: &str| ask(&view, &Request { path, ..request("", &NO_HEADERS, &[]) });
        let found = ["*", "/", "/x", "/a", "/x/", "/x/a", "/x/a/b", "/x/b/a"].map(ask);
        assert_eq!(found, [ABSENT, ABSENT, ABSENT, ABSENT, 5, A, A, OTHER]);
    }

    #[test]
    fn an_address_is_in_the_last_range_that_begins_before_it() {
        let v4 = |first: u8| Ipv4Addr::new(first, 0, 0, 0).to_ipv6_mapped().octets();
        let field = plan::Field {
            kind: FieldKind::SourceIp,
            atoms: 2,
            addresses: vec![([0; 16], 0), (v4(10), 1), (v4(11), 0)],
            ..plan::Field::default()
        };
        let view = view(field, vec![]);
        let ask = |ip: &str| {
            let request = Request { source_ip: ip.parse().unwrap(), ..request("", &NO_HEADERS, &[]) };
            ask(&view, &request)
        };
        let found = ["9.255.255.255", "10.0.0.0", "::ffff:10.9.9.9", "11.0.0.0", "::", "ffff::"].map(ask);
        assert_eq!(found, [0, 1, 1, 0, 0, 0]);
    }
}
