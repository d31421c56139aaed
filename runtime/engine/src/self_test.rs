//! The requests that a plan carries with what was proved about them are asked again, before it is used: a known-answer self-test, as
//! FIPS 140-3 asks of modules before they serve. It finds a plan whose tables say something else than what was proved, and a reader that
//! understands them otherwise than whoever wrote them.

use crate::atoms::Atoms;
use crate::peer::Caller;
use crate::request::{Claim, ClaimValue, Headers, Method, Peer, Request, Token};
use crate::resolved::Place;
use mesh_plan::view::{Fact, Vector};
use mesh_plan::{FactKind, NONE, PlanView, REFUSED};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Asks every vector of a plan. How many there are, or the first that is answered otherwise. Time: a decision for each; they are built on
/// the heap, which decisions are not.
pub fn self_test(plan: &PlanView) -> Result<u32, Mismatch> {
    let mut asked = 0;
    for vector in plan.vectors().iter() {
        let got = Asked::of(vector).leaf(plan, vector);
        if got != Some(vector.leaf()) {
            return Err(Mismatch {
                request: shown(vector),
                partition: vector.partition(),
                says: vector.leaf(),
                got,
            });
        }
        asked += 1;
    }
    Ok(asked)
}

/// A request is decided otherwise than was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The request, for people: `GET /a by spiffe://…`.
    pub request: String,
    /// Index of the partition that was asked.
    pub partition: u32,
    /// The leaf that was proved.
    pub says: u32,
    /// The leaf that it ends in here; `None` where it ends nowhere.
    pub got: Option<u32>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { request, partition, says, got } = self;
        let leaf =
            |leaf: &u32| if *leaf == REFUSED { "a refusal".to_owned() } else { format!("leaf {leaf}") };
        let got = got.as_ref().map_or("nowhere".to_owned(), |got| format!("in {}", leaf(got)));
        let says = leaf(says);
        write!(
            f,
            "the plan fails its self-test: {request} has to end in {says} of partition {partition}, and ends {got}"
        )
    }
}

impl std::error::Error for Mismatch {}

fn shown(vector: Vector<'_>) -> String {
    let method = Method::ALL.get(vector.method() as usize).map_or("a method", |method| method.token());
    let by = if vector.peer().is_empty() { "nobody" } else { vector.peer() };
    let facts: String = vector.facts().iter().map(fact).collect();
    format!("`{method} {}` by {by}{facts}", vector.path())
}

fn fact(fact: Fact<'_>) -> String {
    let (name, pointer, value) = (fact.name(), fact.pointer(), fact.value());
    match fact.kind() {
        FactKind::Host => format!(", host `{value}`"),
        FactKind::Query => format!(", query `{value}`"),
        FactKind::Header => format!(", header `{name}: {value}`"),
        FactKind::Token => format!(", a token of `{name}`"),
        FactKind::Text => format!(", claim `{name}{pointer}` = `{value}`"),
        FactKind::List => format!(", claim `{name}{pointer}` a list"),
        FactKind::Item => format!(" of `{value}`"),
        FactKind::Odd => format!(", claim `{name}{pointer}` no text"),
        FactKind::SourceIp => format!(", from {value}"),
        FactKind::ClientIp => format!(", for {value}"),
    }
}

/// The request of a vector.
#[derive(Default)]
struct Asked<'p> {
    host: &'p str,
    query: &'p str,
    headers: Vec<(&'p str, &'p str)>,
    claims: Vec<(&'p str, Said<'p>)>,
    issuers: Vec<&'p str>,
    source_ip: Option<IpAddr>,
    client_ip: Option<IpAddr>,
}

/// What a token says at a place.
struct Said<'p> {
    pointer: &'p str,
    /// `None` where it is neither text nor a list.
    texts: Option<Vec<&'p str>>,
    is_list: bool,
}

impl<'p> Asked<'p> {
    fn of(vector: Vector<'p>) -> Asked<'p> {
        let mut asked = Asked::default();
        vector.facts().iter().for_each(|fact| asked.take(fact));
        asked
    }

    fn take(&mut self, fact: Fact<'p>) {
        let (name, pointer, value) = (fact.name(), fact.pointer(), fact.value());
        let mut claim = |texts, is_list| self.claims.push((name, Said { pointer, texts, is_list }));
        match fact.kind() {
            FactKind::Host => self.host = value,
            FactKind::Query => self.query = value,
            FactKind::Header => self.headers.push((name, value)),
            FactKind::Token => self.issuers.push(name),
            FactKind::Text => claim(Some(vec![value]), false),
            FactKind::List => claim(Some(vec![]), true),
            FactKind::Odd => claim(None, false),
            FactKind::Item => {
                let list = self.claims.last_mut().and_then(|(_, said)| said.texts.as_mut());
                list.into_iter().for_each(|list| list.push(value));
            }
            FactKind::SourceIp => self.source_ip = value.parse().ok(),
            FactKind::ClientIp => self.client_ip = value.parse().ok(),
        }
    }

    fn leaf(&self, plan: &PlanView, vector: Vector<'_>) -> Option<u32> {
        let peer = match vector.peer() {
            "" => Peer::Unauthenticated,
            identity => Peer::Identity(identity),
        };
        let place = Place::of(plan, vector.partition(), Caller::of(plan, peer))?;
        let root = match vector.root() {
            NONE => place.dimensions.access(),
            root => plan.partition(vector.partition())?.roots().get(root)?,
        };
        let claims: Vec<(&str, Vec<Claim<'_>>)> = self.by_issuer();
        let tokens: Vec<Token<'_>> = claims.iter().map(|(issuer, claims)| Token { issuer, claims }).collect();
        let headers = self.headers.as_slice();
        let request = Request {
            method: *Method::ALL.get(vector.method() as usize)?,
            host: self.host,
            host_port: None,
            path: vector.path(),
            query: self.query,
            headers: &headers as &dyn Headers,
            source_ip: self.source_ip.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            caller_ip: self.source_ip.or(Some(Ipv4Addr::LOCALHOST.into())),
            client_ip: self.client_ip,
            tokens: &tokens,
        };
        let mut atoms = Atoms::NONE;
        atoms.leaf(plan, &place, root, &request)
    }

    /// The tokens, each with what it claims.
    fn by_issuer(&self) -> Vec<(&str, Vec<Claim<'_>>)> {
        let mut tokens: Vec<(&str, Vec<Claim<'_>>)> = Vec::new();
        for issuer in self.issuers.iter().chain(self.claims.iter().map(|(issuer, _)| issuer)) {
            if !tokens.iter().any(|(known, _)| known == issuer) {
                tokens.push((issuer, Vec::new()));
            }
        }
        for (issuer, said) in &self.claims {
            let value = match (&said.texts, said.is_list) {
                (None, _) => ClaimValue::Other,
                (Some(texts), true) => ClaimValue::List(texts),
                (Some(texts), false) => ClaimValue::Text(texts.first().copied().unwrap_or_default()),
            };
            let own = tokens.iter_mut().filter(|(known, _)| known == issuer);
            own.for_each(|(_, claims)| claims.push(Claim { pointer: said.pointer, value }));
        }
        tokens
    }
}
