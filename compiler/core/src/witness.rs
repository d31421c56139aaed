//! A point of a partition's space becomes a request that a person can send.

use crate::diagram::Point;
use crate::model::{Asked, Field, Model, Shape, ValueSet};
use crate::space::peer::Candidate;
use crate::space::value::{Sample, Standing};
use crate::space::{FIELDS, Kind, METHOD, NOT_LISTS, PATH, PEER, Space, TOKEN};
use mesh_lang::ast::{Method, Path, Segment};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A concrete request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// Name and value, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// Name and line.
    pub(crate) headers: Vec<(String, String)>,
    /// Name and value.
    pub(crate) cookies: Vec<(String, String)>,
    /// Tokens that have to be there, and what they say: `jwt corp-sso`, `claim tier=vip`.
    pub(crate) tokens: Vec<String>,
    pub(crate) host: Option<String>,
    pub(crate) source_ip: Option<IpAddr>,
    pub(crate) client_ip: Option<IpAddr>,
    /// Who asks, where it matters.
    pub(crate) peer: Option<String>,
    /// Claims that are neither texts nor lists of some.
    odd: bool,
}

impl Witness {
    /// The request of a point; what the point leaves open is the plainest value.
    pub(crate) fn of_point(model: &Model, space: &Space, point: &Point) -> Witness {
        let peer =
            point.iter().find(|(dim, _)| *dim == PEER).and_then(|(_, atom)| space.peers.witness(*atom));
        Witness { peer: peer.map(|peer| spoken(model, peer)), ..Witness::of_anybody(space, point) }
    }

    /// The same, whoever asks.
    pub(crate) fn of_anybody(space: &Space, point: &Point) -> Witness {
        let atom = |wanted: u32| point.iter().find(|(dim, _)| *dim == wanted).map(|(_, atom)| *atom);
        let path = atom(PATH).and_then(|atom| space.paths.witness(atom)).unwrap_or("/").to_owned();
        let plain = if path == "*" { Method::Options } else { Method::Get };
        let method = atom(METHOD).map_or(plain.as_str(), |atom| {
            Method::ALL.get(atom as usize).map_or("PROPFIND", |method| method.as_str())
        });
        let mut witness = Witness { method, path, ..Witness::default() };
        let mut lists: BTreeMap<&Field, Vec<String>> = BTreeMap::new();
        for (dimension, dim) in space.fields.iter().zip(FIELDS..) {
            let Some(atom) = atom(dim) else { continue };
            if let (Some(part), Kind::Values(values)) = (&dimension.part, &dimension.kind)
                && values.standing(atom) == Standing::There
            {
                let items = lists.entry(&dimension.field).or_default();
                match values.sample(atom) {
                    Some(Sample::One(value)) if part.contains(value) => items.push(value.clone()),
                    Some(Sample::Several(all)) => {
                        items.extend(all.iter().find(|one| part.contains(one)).cloned())
                    }
                    _ => {}
                }
                continue;
            }
            match &dimension.kind {
                Kind::Values(values) => match values.sample(atom) {
                    None | Some(Sample::Absent) => {}
                    Some(Sample::One(value)) => witness.say(&dimension.field, value),
                    Some(Sample::Several(values)) => witness.say_several(&dimension.field, values),
                    Some(Sample::Odd) => {
                        witness.odd = true;
                        witness.say(&dimension.field, "{}");
                    }
                },
                Kind::Addresses(addresses) if dimension.field == Field::SourceIp => {
                    witness.source_ip = addresses.sample(atom);
                }
                Kind::Addresses(addresses) => witness.client_ip = addresses.sample(atom),
                Kind::Token if atom == TOKEN => witness.say(&dimension.field, ""),
                Kind::Token => {}
            }
        }
        for (field, items) in lists {
            match items.as_slice() {
                [] => witness.say(field, &unasked(space, field)),
                [one] => witness.say(field, one),
                several => witness.say_several(field, several),
            }
        }
        witness.headers.sort_by(|(a, _), (b, _)| a.cmp(b));
        witness
    }

    fn say(&mut self, field: &Field, value: &str) {
        let value = value.to_owned();
        match field {
            Field::Header(name) => self.headers.push((name.to_string(), value)),
            Field::Query(name) => self.query.push((name.to_string(), value)),
            Field::Cookie(name) => self.cookies.push((name.to_string(), value)),
            Field::Jwt(issuer) => self.tokens.push(format!("jwt {issuer}")),
            Field::Claim { issuer, path } => {
                let of = if issuer.is_empty() { String::new() } else { format!(" {issuer}") };
                self.tokens.push(format!("claim{of} {}={value}", path.join(".")));
            }
            Field::Host => self.host = Some(value),
            Field::Path | Field::SourceIp | Field::ClientIp => {}
        }
    }

    /// A claim is one list, everything else is repeated.
    fn say_several(&mut self, field: &Field, values: &[String]) {
        match field {
            Field::Claim { .. } => self.say(field, &format!("[{}]", values.join(", "))),
            _ => values.iter().for_each(|value| self.say(field, value)),
        }
    }

    /// A request that a shape matches, as plain as its author would think of it; where a regex is asked there is none.
    pub(crate) fn of_shape(shape: &Shape) -> Option<Witness> {
        let method = shape.method.unwrap_or(Method::Get).as_str();
        let path = shape.path.as_ref().map_or("/".to_owned(), instance);
        let mut witness = Witness { method, path, ..Witness::default() };
        for test in shape.tests.iter() {
            let value = match &test.set {
                ValueSet::Absent => continue,
                ValueSet::Present | ValueSet::Passing { negated: true, .. } => "1".to_owned(),
                ValueSet::Passing { asked, .. } => match asked {
                    Asked::OneOf(values) => values.first()?.to_string(),
                    Asked::Prefix(prefix) => format!("{prefix}1"),
                    Asked::Suffix(suffix) => format!("1{suffix}"),
                    Asked::Contains(text) | Asked::Has(text) => text.to_string(),
                    Asked::Matches(_) | Asked::Within(_) => return None,
                },
            };
            match test.field {
                Field::Header(_) | Field::Query(_) | Field::Cookie(_) => witness.say(&test.field, &value),
                _ => return None,
            }
        }
        Some(witness)
    }

    /// Whether a `request` of a test can say all of it: it names its method, has one line for each header and claims that are
    /// texts or lists of some.
    pub(crate) fn is_sayable(&self) -> bool {
        let named = Method::ALL.iter().any(|method| method.as_str() == self.method);
        let repeated = self.headers.iter().enumerate().any(|(index, (name, _))| {
            NOT_LISTS.contains(&name.as_str()) && self.headers[..index].iter().any(|(other, _)| other == name)
        });
        let plain =
            |value: &str| !value.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        let fields = [&self.headers, &self.query, &self.cookies];
        let readable = fields.into_iter().flatten().all(|(_, value)| plain(value));
        let listed = self.tokens.iter().all(|token| plain(token) && !token.ends_with("=[]"));
        named && !repeated && !self.odd && readable && listed
    }

    /// ` when header "a" = "b" and …`, as a `request` of a test says what it carries.
    pub(crate) fn facts(&self) -> String {
        let mut facts: Vec<String> = Vec::new();
        let mut headers: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, value) in &self.headers {
            match headers.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => headers.push((name, vec![value])),
            }
        }
        let said = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let pair = |word: &str, name: &str, value: &str| format!("{word} {} = {}", said(name), said(value));
        facts.extend(headers.iter().map(|(name, values)| pair("header", name, &values.join(", "))));
        facts.extend(self.query.iter().map(|(name, value)| pair("query", name, value)));
        facts.extend(self.cookies.iter().map(|(name, value)| pair("cookie", name, value)));
        facts.extend(self.tokens.iter().map(|token| token_fact(token)));
        facts.extend(self.source_ip.map(|ip| format!("source-ip = \"{ip}\"")));
        facts.extend(self.client_ip.map(|ip| format!("client-ip = \"{ip}\"")));
        if facts.is_empty() { String::new() } else { format!(" when {}", facts.join(" and ")) }
    }

    /// The path with its query, encoded.
    pub(crate) fn target(&self) -> String {
        let pairs = self.query.iter().map(|(name, value)| {
            if value.is_empty() { encoded(name) } else { format!("{}={}", encoded(name), encoded(value)) }
        });
        let query = pairs.collect::<Vec<_>>().join("&");
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }
}

/// A value that no part of the field is about.
fn unasked(space: &Space, field: &Field) -> String {
    let parts = || space.fields.iter().filter(|own| own.field == *field).flat_map(|own| &own.part);
    let plain = ["x", "other"].into_iter().map(str::to_owned).chain((2..).map(|number| format!("x{number}")));
    let mut free = plain.filter(|value| !parts().any(|part| part.contains(value)));
    free.next().unwrap_or_default()
}

/// `jwt sso` and `claim sso realm.roles=[a, b]` as facts of a test.
fn token_fact(token: &str) -> String {
    let Some((name, value)) = token.split_once('=') else { return format!("{token} present") };
    let mut words: Vec<&str> = name.split(' ').collect();
    let path = words.pop().unwrap_or_default();
    let path: Vec<String> = path.split('.').map(|step| format!("\"{step}\"")).collect();
    let claim = format!("{} {}", words.join(" "), path.join(" "));
    match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        Some(list) => {
            let items = list.split(", ").map(|item| format!("{claim} has \"{item}\""));
            items.collect::<Vec<_>>().join(" and ")
        }
        None => format!("{claim} = \"{value}\""),
    }
}

/// As it stands in a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@!$'()*,".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl std::fmt::Display for Witness {
    /// `GET /reviews/1?k=v  end-user: jason  cookie type=insider  from productpage  from 10.0.0.1`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target())?;
        for (name, value) in &self.headers {
            write!(f, "  {name}: {value}")?;
        }
        for (name, value) in &self.cookies {
            write!(f, "  cookie {name}={value}")?;
        }
        for token in &self.tokens {
            write!(f, "  {token}")?;
        }
        if let Some(host) = &self.host {
            write!(f, "  host {host}")?;
        }
        if let Some(peer) = &self.peer {
            write!(f, "  from {peer}")?;
        }
        if let Some(ip) = self.source_ip {
            write!(f, "  from {ip}")?;
        }
        match self.client_ip {
            Some(ip) => write!(f, "  client-ip {ip}"),
            None => Ok(()),
        }
    }
}

/// A path that fits a pattern.
pub(crate) fn instance(path: &Path) -> String {
    let pattern = path.pattern();
    let segments = pattern.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Any(_) => "/1".to_owned(),
        Segment::AnyWithSuffix { suffix, .. } => format!("/1{suffix}"),
    });
    let path: String = segments.collect();
    if path.is_empty() { "/".to_owned() } else { path }
}

fn spoken(model: &Model, peer: &Candidate) -> String {
    match peer {
        Candidate::Own { identity, .. }
        | Candidate::Gateway { identity }
        | Candidate::Foreign { identity } => {
            let services = model.services.iter().map(|service| &service.workload);
            let gateways = model.gateways.iter().map(|gateway| &gateway.workload);
            let mut declared = services.chain(gateways);
            let name =
                declared.find(|workload| workload.identity == *identity).map(|workload| workload.full_name());
            name.unwrap_or_else(|| identity.clone())
        }
        Candidate::OtherIn { namespace } => format!("another identity of namespace {namespace}"),
        Candidate::OtherBelow { parent } => format!("another identity below {parent}"),
        Candidate::OtherOf { trust_domain } => format!("another identity of trust domain {trust_domain}"),
        Candidate::OtherOwn => "another identity of the mesh".to_owned(),
        Candidate::OtherGateway => "another gateway".to_owned(),
        Candidate::OtherForeign => "an identity of another trust domain".to_owned(),
        Candidate::Unauthenticated => "a peer without identity".to_owned(),
    }
}
