//! What differs between two plans, decided for every request: what is newly allowed, newly denied, sent elsewhere or treated
//! otherwise, each with the requests it is about.
//!
//! Only plans are looked at, so what runs can be compared with what is to run, and no sources are needed. A decision of one plan
//! is laid over the same decision of the other in one space (`compare/joint.rs`), and where their leaves mean something else is a set of
//! requests (`compare/region.rs`). Time: of decisions that are the same, linear in their size; of the others, the product of the two
//! diagrams at worst.

mod joint;
mod paths;
mod region;
mod said;
mod same;
mod side;
mod slices;

pub use slices::{Edge, Marked};

use crate::diagram::{NO, YES};
use crate::partition;
use crate::space::peer::Candidate;
use crate::witness::Witness;
use joint::{Joint, TooFine, root};
use mesh_lang::ast::HostPattern;
use mesh_plan::{Gateway, HostKind, Listener, NONE, PlanView, Protocol, Target};
use region::EVERY;
use rustc_hash::FxHashMap;
use same::is_same;
use side::{Meaning, Root, Side, What};
use std::collections::{BTreeMap, BTreeSet};

/// What differs between two plans.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Services, gateways, listeners and ports that only the new plan has: `service coupons.shop`.
    pub added: Vec<String>,
    /// Those that only the old plan has.
    pub removed: Vec<String>,
    /// What becomes of requests, in order of place.
    pub changes: Vec<Change>,
    /// Places that cannot be compared within the budget. What they decide may differ.
    pub undecided: Vec<String>,
    /// Workloads whose proxies get another slice, and all there are in the two plans.
    pub affected: Vec<String>,
    /// How many workloads there are.
    pub workloads: usize,
    /// Who calls and sends to whom, where that or what is allowed changed.
    pub edges: Vec<Edge>,
}

impl Comparison {
    /// Whether nothing differs that a request could tell.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changes.is_empty()
            && self.undecided.is_empty()
    }
}

/// Requests of which something else becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where that is decided: `payments.shop`, `calls of web.shop to cart.shop`.
    pub place: String,
    /// What kind of change it is.
    pub kind: Kind,
    /// What became of them.
    pub old: Decided,
    /// What becomes of them.
    pub new: Decided,
    /// The requests: a product each, as wide as can be; together they are all of them.
    pub requests: Vec<String>,
    /// Whether there are more than these.
    pub more: bool,
    /// One of them; `None` where it is about no request in particular.
    pub example: Option<Example>,
}

/// Kinds of changes, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Was refused.
    Allowed,
    /// Is refused.
    Denied,
    /// Goes elsewhere.
    Routed,
    /// Timeouts, retries, faults, headers and what else is done on the way.
    Set,
}

/// What one of the plans decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// `allow`, `to reviews.default:v1`, `timeout 2s`
    pub said: String,
    /// The rule or the line that decides about the example; empty where none does.
    pub by: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// In one line: `GET /reviews/1  end-user: jason  from productpage`.
    pub text: String,
    /// Who asks: a SPIFFE ID; `None` where it does not matter or has none.
    pub peer: Option<String>,
    /// As on the wire.
    pub method: String,
    /// Canonical.
    pub path: String,
    /// Behind `?`, without it; may be empty.
    pub query: String,
    /// Names in lower case; cookies are in `cookie`.
    pub headers: Vec<(String, String)>,
    /// Whether it needs a verified token, which is not listed here.
    pub token: bool,
    /// The address at the other end, where it matters.
    pub source_ip: Option<std::net::IpAddr>,
    /// The address of who asked the first trusted proxy, where it matters.
    pub client_ip: Option<std::net::IpAddr>,
}

/// Compares two plans.
pub fn compare(old: &PlanView, new: &PlanView) -> Comparison {
    let sides = [Side::of(old), Side::of(new)];
    let mut comparing = Comparing { sides, found: Comparison::default() };
    comparing.mesh();
    comparing.services();
    comparing.gateways();
    let Comparing { sides, mut found } = comparing;
    found.changes.sort_by(|a, b| (&a.place, a.kind, &a.requests).cmp(&(&b.place, b.kind, &b.requests)));
    slices::compare(&sides, &mut found);
    found
}

struct Comparing<'p> {
    sides: [Side<'p>; 2],
    found: Comparison,
}

impl Comparing<'_> {
    fn mesh(&mut self) {
        let domains = [0, 1].map(|side| format!("trust-domain {}", self.sides[side].plan.trust_domain));
        self.texts("mesh", domains);
    }

    /// What both have in common by name, and what only one has.
    fn both<K: Ord + Clone>(
        &mut self,
        of: impl Fn(&Side<'_>) -> Vec<K>,
        name: impl Fn(&K) -> String,
    ) -> BTreeMap<K, [bool; 2]> {
        let mut all: BTreeMap<K, [bool; 2]> = BTreeMap::new();
        for (side, index) in self.sides.iter().zip(0..) {
            for key in of(side) {
                all.entry(key).or_default()[index] = true;
            }
        }
        for (key, is_there) in &all {
            match is_there {
                [true, false] => self.found.removed.push(name(key)),
                [false, true] => self.found.added.push(name(key)),
                _ => {}
            }
        }
        all
    }

    fn services(&mut self) {
        let names = |side: &Side<'_>| side.plan.services.iter().map(|service| service.name.clone()).collect();
        let all = self.both(names, |name| format!("service {name}"));
        for (name, is_there) in all {
            self.ports(&name);
            self.calls(&name);
            if is_there == [true, true] {
                let of = |side: &Side<'_>| {
                    let service = side.service(&name).map(|(_, service)| service);
                    let limits = service.into_iter().flat_map(|service| &service.limits);
                    limits.map(|limit| side.edit(limit)).collect::<Vec<_>>().join(", ")
                };
                self.texts(&name, [of(&self.sides[0]), of(&self.sides[1])]);
                let outside = |side: &Side<'_>| {
                    let tls = side.service(&name).and_then(|(_, service)| service.tls.as_ref());
                    tls.map(ToString::to_string).unwrap_or_default()
                };
                self.texts(&name, [outside(&self.sides[0]), outside(&self.sides[1])]);
                let logged =
                    |side: &Side<'_>| logged(side.service(&name).and_then(|(_, service)| service.logged));
                self.texts(&name, [logged(&self.sides[0]), logged(&self.sides[1])]);
            }
        }
    }

    fn ports(&mut self, service: &str) {
        let number_of = |side: &Side<'_>| -> Vec<u16> {
            let ports = side.service(service).map(|(_, service)| &service.ports);
            ports.into_iter().flatten().map(|port| port.number).collect()
        };
        let [old, new] = [0, 1].map(|side| number_of(&self.sides[side]));
        let several = old.len() > 1 || new.len() > 1;
        for number in old.iter().chain(&new).copied().collect::<BTreeSet<u16>>() {
            let place = if several { format!("{service} port {number}") } else { service.to_owned() };
            let partitions = [0, 1].map(|side| partition_of_port(&self.sides[side], service, number));
            self.decisions(&place, What::Access, partitions, [0, 0]);
            match partitions {
                [None, Some(_)] if !old.is_empty() => {
                    self.found.added.push(format!("port {number} of {service}"))
                }
                [Some(_), None] if !new.is_empty() => {
                    self.found.removed.push(format!("port {number} of {service}"))
                }
                // What a service that was not there does with requests is what it is.
                [None, _] | [_, None] => {}
                _ => {
                    self.decisions(&place, What::Route, partitions, [0, 0]);
                    let endpoints = [0, 1].map(|side| endpoints(&self.sides[side], service, number));
                    self.texts(&place, endpoints);
                    let spoken = [0, 1].map(|side| spoken(&self.sides[side], service, number));
                    self.texts(&place, spoken);
                }
            }
        }
    }

    fn calls(&mut self, caller: &str) {
        let mut all: BTreeSet<(String, u16)> = BTreeSet::new();
        let mut own: BTreeSet<(String, u16)> = BTreeSet::new();
        for side in &self.sides {
            let Some((_, service)) = side.service(caller) else { continue };
            all.extend(service.calls.iter().map(|call| callee(side, call.service, call.port)));
            own.extend(service.consumer_routes.iter().map(|route| callee(side, route.service, route.port)));
        }
        for (to, number) in all {
            let of = |side: &Side<'_>| {
                let (_, service) = side.service(caller)?;
                let call = service
                    .calls
                    .iter()
                    .find(|call| callee(side, call.service, call.port) == (to.clone(), number))?;
                Some(call.partition)
            };
            let partitions = [of(&self.sides[0]), of(&self.sides[1])];
            let place = format!("calls of {caller} to {}", self.port_name(&to, number));
            self.decisions(&place, What::Call, partitions, [0, 0]);
            if partitions.iter().all(Option::is_some) {
                let hosts = [0, 1].map(|side| called_as(&self.sides[side], caller, &to, number));
                self.texts(&place, hosts);
            }
        }
        let nobody = [0, 1].map(|side| called_nobody(&self.sides[side], caller));
        self.texts(&format!("calls of {caller}"), nobody);
        for (to, number) in own {
            let of = |side: &Side<'_>| {
                let (_, service) = side.service(caller)?;
                let route = service
                    .consumer_routes
                    .iter()
                    .find(|route| callee(side, route.service, route.port) == (to.clone(), number));
                route.map(|route| route.partition).or_else(|| partition_of_port(side, &to, number))
            };
            self.consumer_route(caller, &to, number, [of(&self.sides[0]), of(&self.sides[1])]);
        }
    }

    fn consumer_route(&mut self, caller: &str, to: &str, number: u16, partitions: [Option<u32>; 2]) {
        let place = format!("route {} from {caller}", self.port_name(to, number));
        self.decisions(&place, What::Route, partitions, [0, 0]);
    }

    fn gateways(&mut self) {
        let names = |side: &Side<'_>| side.plan.gateways.iter().map(|gateway| gateway.name.clone()).collect();
        let all = self.both(names, |name| format!("gateway {name}"));
        for name in all.into_keys() {
            let listeners = |side: &Side<'_>| -> Vec<String> {
                let own = gateway(side, &name).map(|gateway| &gateway.listeners);
                own.into_iter().flatten().map(|listener| listener.name.clone()).collect()
            };
            let shares =
                [0, 1].map(|side| gateway(&self.sides[side], &name).and_then(|gateway| gateway.logged));
            if self.sides.iter().all(|side| gateway(side, &name).is_some()) {
                self.texts(&format!("gateway {name}"), shares.map(logged));
            }
            let several = self.sides.iter().any(|side| listeners(side).len() > 1);
            let of = |listener: &String| format!("listener {listener} of gateway {name}");
            for listener in self.both(listeners, of).into_keys() {
                self.listener(&name, &listener, several);
            }
            let mut own: BTreeSet<(String, u16)> = BTreeSet::new();
            for side in &self.sides {
                let routes = gateway(side, &name).map(|gateway| &gateway.consumer_routes);
                let routes = routes.into_iter().flatten();
                own.extend(routes.map(|route| callee(side, route.service, route.port)));
            }
            for (to, number) in own {
                let of = |side: &Side<'_>| {
                    let route = gateway(side, &name)?
                        .consumer_routes
                        .iter()
                        .find(|route| callee(side, route.service, route.port) == (to.clone(), number));
                    route.map(|route| route.partition).or_else(|| partition_of_port(side, &to, number))
                };
                let partitions = [of(&self.sides[0]), of(&self.sides[1])];
                self.consumer_route(&format!("gateway {name}"), &to, number, partitions);
            }
        }
    }

    fn listener(&mut self, gateway: &str, name: &str, several: bool) {
        let place = match several {
            true => format!("gateway {gateway} listener {name}"),
            false => format!("gateway {gateway}"),
        };
        let own = |side: &Side<'_>| listener(side, gateway, name).map(|listener| listener.partition);
        let partitions = [own(&self.sides[0]), own(&self.sides[1])];
        self.decisions(&place, What::Access, partitions, [0, 0]);
        let limits = |side: &Side<'_>| {
            let own = listener(side, gateway, name).map(|listener| &listener.limits);
            let all = self::gateway(side, gateway).map(|gateway| &gateway.limits);
            let limits = all.into_iter().chain(own).flatten();
            limits.map(|limit| side.edit(limit)).collect::<Vec<_>>().join(", ")
        };
        if partitions.iter().all(Option::is_some) {
            let limits = [limits(&self.sides[0]), limits(&self.sides[1])];
            self.texts(&place, limits);
            let shown = |side: &Side<'_>| listener(side, gateway, name).map(shown).unwrap_or_default();
            let shown = [shown(&self.sides[0]), shown(&self.sides[1])];
            self.texts(&place, shown);
        }
        let hosts = |side: &Side<'_>| -> Vec<HostPattern> {
            let hosts = listener(side, gateway, name).map(|listener| &listener.hosts);
            hosts.into_iter().flatten().map(pattern).collect()
        };
        let hosts = [hosts(&self.sides[0]), hosts(&self.sides[1])];
        for host in hosts.iter().flatten().cloned().collect::<BTreeSet<_>>() {
            // The hosts that this is the narrowest pattern of: in each plan they are in the narrowest table that has them all.
            let table = |side: usize| {
                let chain = std::iter::once(host.clone()).chain(partition::wider(&host));
                let mut tables =
                    chain.filter_map(|pattern| hosts[side].iter().position(|own| *own == pattern));
                tables.next().map(|table| table as u32)
            };
            let tables = [table(0), table(1)];
            let partitions = [0, 1].map(|side| partitions[side].filter(|_| tables[side].is_some()));
            let place =
                if host == HostPattern::Any { place.clone() } else { format!("{place} host \"{host}\"") };
            self.decisions(&place, What::Route, partitions, tables.map(Option::unwrap_or_default));
        }
    }

    /// The same decision of both.
    fn decisions(&mut self, place: &str, what: What, partitions: [Option<u32>; 2], tables: [u32; 2]) {
        let roots = [0, 1].map(|side| match partitions[side] {
            Some(partition) => root(&self.sides[side], what, partition, tables[side]),
            None => Root::NOTHING,
        });
        if is_same(&self.sides, what, roots) {
            return;
        }
        match self.differences(place, what, roots) {
            Ok(changes) => self.found.changes.extend(changes),
            Err(TooFine) => self.found.undecided.push(place.to_owned()),
        }
    }

    fn differences(&self, place: &str, what: What, roots: [Root; 2]) -> Result<Vec<Change>, TooFine> {
        let sides = [&self.sides[0], &self.sides[1]];
        let mut joint = Joint::new(sides, roots)?;
        let mut meanings: Vec<Meaning> = Vec::new();
        let mut known: BTreeMap<Meaning, u32> = BTreeMap::new();
        let mut lifted = [Target::default(); 2];
        for side in [0, 1] {
            lifted[side] = joint.lifted(sides[side], side, roots[side], &mut |leaf| {
                let meaning = sides[side].meaning(what, leaf);
                *known.entry(meaning.clone()).or_insert_with(|| {
                    meanings.push(meaning);
                    meanings.len() as u32 - 1
                })
            })?;
        }
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut both = |old: u32, new: u32| {
            pairs.iter().position(|pair| *pair == (old, new)).unwrap_or_else(|| {
                pairs.push((old, new));
                pairs.len() - 1
            }) as u32
        };
        let all = joint.diagram.together((lifted[0], lifted[1]), &mut both, &mut FxHashMap::default())?;
        let mut changes = Vec::new();
        for (pair, (old, new)) in pairs.into_iter().enumerate().filter(|(_, (old, new))| old != new) {
            let is_it = |leaf: u32| if leaf == pair as u32 { YES } else { NO };
            let set = joint.diagram.map(all, &is_it)?;
            let Some(region) = joint.region(set, &|candidate| self.name(candidate))? else { continue };
            let by = |side: usize| {
                let leaf = joint.leaf_at(sides[side], side, roots[side], &region.point);
                sides[side].line(what, leaf).to_owned()
            };
            let (kind, said) = told(&meanings[old as usize], &meanings[new as usize], what);
            let [old, new] = said;
            // Of every request, any is an example.
            let example = (region.products != [EVERY]).then(|| self.example(&joint, &region.point));
            changes.push(Change {
                place: place.to_owned(),
                kind,
                old: Decided { said: old, by: by(0) },
                new: Decided { said: new, by: by(1) },
                requests: region.products,
                more: region.more,
                example,
            });
        }
        Ok(changes)
    }

    fn example(&self, joint: &Joint, point: &crate::diagram::Point) -> Example {
        let space = joint.diagram.space();
        let atom = point.iter().find(|(dim, _)| *dim == crate::space::PEER).map(|(_, atom)| *atom);
        let peer = atom.and_then(|atom| space.peers.witness(atom));
        let mut witness = Witness::of_anybody(space, point);
        witness.peer = peer.map(|peer| self.name(peer));
        let cookies: Vec<String> =
            witness.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = (!cookies.is_empty()).then(|| ("cookie".to_owned(), cookies.join("; ")));
        let target = witness.target();
        Example {
            text: witness.to_string(),
            peer: peer.and_then(|peer| joint::somebody(&self.sides[1].plan.trust_domain, peer)),
            method: witness.method.to_owned(),
            query: target.split_once('?').map_or(String::new(), |(_, query)| query.to_owned()),
            path: witness.path.clone(),
            headers: witness.headers.iter().cloned().chain(cookie).collect(),
            token: !witness.tokens.is_empty(),
            source_ip: witness.source_ip,
            client_ip: witness.client_ip,
        }
    }

    /// Somebody, as a person calls them.
    fn name(&self, candidate: &Candidate) -> String {
        match candidate {
            Candidate::Own { identity, .. }
            | Candidate::Gateway { identity }
            | Candidate::Foreign { identity } => self.named(identity),
            Candidate::OtherIn { namespace } => format!("others of namespace {namespace}"),
            Candidate::OtherBelow { parent } => format!("others below {parent}"),
            Candidate::OtherOf { trust_domain } => format!("others of trust-domain {trust_domain}"),
            Candidate::OtherOwn => "others of the mesh".to_owned(),
            Candidate::OtherGateway => "other gateways".to_owned(),
            Candidate::OtherForeign => "others of other trust domains".to_owned(),
            Candidate::Unauthenticated => "unauthenticated".to_owned(),
        }
    }

    /// The workloads that have an identity, in the new plan if there are some.
    fn named(&self, identity: &str) -> String {
        for side in self.sides.iter().rev() {
            let own = |principal: u32| {
                side.plan.principals.get(principal as usize).is_some_and(|own| own.identity == identity)
            };
            let services = side.plan.services.iter().filter(|service| own(service.principal));
            let services = services.map(|service| service.name.clone());
            let gateways = side.plan.gateways.iter().filter(|gateway| own(gateway.principal));
            let gateways = gateways.map(|gateway| format!("gateway {}", gateway.name));
            let names: Vec<String> = services.chain(gateways).collect();
            if !names.is_empty() {
                return names.join(" and ");
            }
        }
        format!("identity \"{identity}\"")
    }

    fn port_name(&self, service: &str, number: u16) -> String {
        let several = self
            .sides
            .iter()
            .any(|side| side.service(service).is_some_and(|(_, service)| service.ports.len() > 1));
        if several { format!("{service} port {number}") } else { service.to_owned() }
    }

    /// What is about every request of a place.
    fn texts(&mut self, place: &str, [old, new]: [String; 2]) {
        if old == new {
            return;
        }
        let said = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
        self.found.changes.push(Change {
            place: place.to_owned(),
            kind: Kind::Set,
            old: Decided { said: said(old), by: String::new() },
            new: Decided { said: said(new), by: String::new() },
            requests: vec![EVERY.to_owned()],
            more: false,
            example: None,
        });
    }
}

/// The kind of a change, and what both decide, without what they have in common.
fn told(old: &Meaning, new: &Meaning, what: What) -> (Kind, [String; 2]) {
    let refused = match what {
        What::Access => "deny",
        What::Route => "no route (404)",
        What::Call => "no such call (403)",
    };
    let word = |meaning: &Meaning| match meaning {
        Meaning::Nothing => refused.to_owned(),
        Meaning::Verdict { allow: true, .. } => "allow".to_owned(),
        Meaning::Verdict { allow: false, .. } => "deny".to_owned(),
        Meaning::Route(route) => route.to.clone(),
        Meaning::Call(settings) if settings.is_empty() => "declared".to_owned(),
        Meaning::Call(settings) => settings.join("; "),
    };
    let words = || [word(old), word(new)];
    let apart = |old: &[String], new: &[String]| {
        let only = |own: &[String], other: &[String]| {
            let own: Vec<String> = own.iter().filter(|one| !other.contains(one)).cloned().collect();
            if own.is_empty() { "nothing".to_owned() } else { own.join("; ") }
        };
        [only(old, new), only(new, old)]
    };
    match (old, new) {
        (
            Meaning::Verdict { allow: a, audit: old, asks: asked },
            Meaning::Verdict { allow: b, audit: new, asks },
        ) if a == b => {
            let told = |audit: &String| match audit.as_str() {
                "" => "no audit".to_owned(),
                lines => format!("audit: {}", lines.replace('\n', ", ")),
            };
            match old == new {
                true => (Kind::Set, apart(asked, asks)),
                false if asked == asks => (Kind::Set, [told(old), told(new)]),
                false => {
                    let both = |audit, asks: &[String]| [&[told(audit)], asks].concat();
                    (Kind::Set, apart(&both(old, asked), &both(new, asks)))
                }
            }
        }
        (_, Meaning::Verdict { allow: true, .. }) => (Kind::Allowed, words()),
        (_, Meaning::Verdict { allow: false, .. }) => (Kind::Denied, words()),
        (Meaning::Route(old), Meaning::Route(new)) if old.to == new.to => {
            (Kind::Set, apart(&old.settings, &new.settings))
        }
        (Meaning::Call(old), Meaning::Call(new)) => (Kind::Set, apart(old, new)),
        (Meaning::Call(_), _) => (Kind::Denied, words()),
        (_, Meaning::Call(_)) => (Kind::Allowed, words()),
        _ => (Kind::Routed, words()),
    }
}

fn gateway<'s>(side: &'s Side<'_>, name: &str) -> Option<&'s Gateway> {
    side.plan.gateways.iter().find(|gateway| gateway.name == name)
}

/// What a listener shows to its clients, and asks of them.
fn shown(listener: &Listener) -> String {
    let mut text = String::new();
    if !listener.certificates.is_empty() {
        text = format!("tls certificate {}", listener.certificates.join(", "));
    }
    if !listener.client_ca.is_empty() {
        text = format!("{text} client-ca {}", listener.client_ca);
    }
    text
}

fn listener<'s>(side: &'s Side<'_>, gateway: &str, name: &str) -> Option<&'s Listener> {
    self::gateway(side, gateway)?.listeners.iter().find(|listener| listener.name == name)
}

fn partition_of_port(side: &Side<'_>, service: &str, number: u16) -> Option<u32> {
    let (_, service) = side.service(service)?;
    let port = service.ports.iter().find(|port| port.number == number)?;
    (port.partition != NONE).then_some(port.partition)
}

/// Whom an index of a service and one of its ports mean, whatever the plan's numbers.
fn callee(side: &Side<'_>, service: u32, port: u32) -> (String, u16) {
    (side.plan.services[service as usize].name.clone(), side.port(service, port).number)
}

/// What a port speaks.
fn spoken(side: &Side<'_>, service: &str, number: u16) -> String {
    let port = side.service(service).and_then(|(_, service)| {
        service.ports.iter().find(|port| port.number == number).map(|port| port.protocol)
    });
    port.map_or(String::new(), |protocol| {
        let said = match protocol {
            Protocol::Http => "http",
            Protocol::Http2 => "http2",
            Protocol::Grpc => "grpc",
            Protocol::Connections => "tcp",
            Protocol::Tls => "tls",
        };
        format!("speaks {said}")
    })
}

/// `access-log json sample 5.00%`: which share of the requests has a line.
fn logged(share: Option<u32>) -> String {
    match share {
        None => String::new(),
        Some(0) => "access-log none".to_owned(),
        Some(mesh_plan::layout::WHOLE) => "access-log json".to_owned(),
        Some(share) => format!("access-log json sample {}.{:02}%", share / 100, share % 100),
    }
}

/// `nobody called as a.partner.example`: the hosts inside its patterns by which a caller says nobody whom it calls.
fn called_nobody(side: &Side<'_>, caller: &str) -> String {
    let Some((_, service)) = side.service(caller) else { return String::new() };
    let hosts = service.hosts.iter().filter(|host| host.call == mesh_plan::NONE);
    let hosts: Vec<&str> = hosts.map(|host| host.host.as_str()).collect();
    if hosts.is_empty() { String::new() } else { format!("nobody called as {}", hosts.join(", ")) }
}

/// `called as db.example`: the hosts by which a caller says a port of another service, besides that one's name.
fn called_as(side: &Side<'_>, caller: &str, to: &str, number: u16) -> String {
    let Some((_, service)) = side.service(caller) else { return String::new() };
    let is_meant = |host: &&mesh_plan::CallHost| {
        let call = service.calls.get(host.call as usize);
        call.is_some_and(|call| callee(side, call.service, call.port) == (to.to_owned(), number))
    };
    let is_alias = |host: &&mesh_plan::CallHost| {
        host.host != to && to.split_once('.').is_none_or(|(name, _)| host.host != name)
    };
    let hosts = service.hosts.iter().filter(is_meant).filter(is_alias);
    let hosts: Vec<&str> = hosts.map(|host| host.host.as_str()).collect();
    if hosts.is_empty() { String::new() } else { format!("called as {}", hosts.join(", ")) }
}

/// `endpoints 10.0.0.1:8080 (v1), 10.0.0.2:8080`
fn endpoints(side: &Side<'_>, service: &str, number: u16) -> String {
    let Some((_, service)) = side.service(service) else { return String::new() };
    let Some(port) = service.ports.iter().find(|port| port.number == number) else { return String::new() };
    let said = port.endpoints.iter().zip(0..).map(|(endpoint, index)| {
        let ip = std::net::Ipv6Addr::from(endpoint.ip).to_canonical();
        let address = match endpoint.name.as_str() {
            "" => std::net::SocketAddr::new(ip, endpoint.port).to_string(),
            name if endpoint.is_asked => format!("{name}:{} as asked", endpoint.port),
            name => format!("dns {name}:{}", endpoint.port),
        };
        let subsets = service.subsets.iter().zip(&port.subset_endpoints);
        let subsets = subsets.filter(|(_, members)| members.contains(&index)).map(|(name, _)| name.as_str());
        let subsets: Vec<&str> = subsets.collect();
        if subsets.is_empty() { address } else { format!("{address} ({})", subsets.join(", ")) }
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { String::new() } else { format!("endpoints {}", said.join(", ")) }
}

fn pattern(host: &mesh_plan::Host) -> HostPattern {
    let name = || host.name.as_str().into();
    match host.kind {
        HostKind::Exact => HostPattern::Exact(name()),
        HostKind::OneLabel => HostPattern::OneLabel(name()),
        HostKind::Labels => HostPattern::Labels(name()),
        HostKind::Any => HostPattern::Any,
    }
}
