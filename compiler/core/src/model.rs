//! The resolved mesh: arenas and ids, no names left to look up.
//!
//! Everything is in its canonical order (services and gateways by name, rules by name), so what follows never asks in
//! which file or line something stood: same meaning, same plan.

use crate::space::Budget;
use mesh_lang::ast::{AuthorizeLine, Effect, HostPattern, Method, Mtls, Path, Protocol};
use mesh_lang::{Span, Spanned, Text};
use mesh_plan::Settings;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// Index into [`Model::services`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServiceId(pub(crate) u32);

/// A port of a service: the service and the index of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PortId {
    pub(crate) service: ServiceId,
    pub(crate) port: u32,
}

/// Index into [`Model::gateways`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GatewayId(pub(crate) u32);

/// Whose proxy sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Caller {
    Gateway(GatewayId),
    Service(ServiceId),
}

/// The whole mesh.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) trust_domain: String,
    /// Of the mesh: see [`mesh_plan::Service::logged`].
    pub(crate) logged: Option<u32>,
    pub(crate) default: Settings,
    pub(crate) default_at: SettingsAt,
    /// The most tries that one request may become.
    pub(crate) retry_limit: Option<Spanned<u32>>,
    /// Sorted by full name.
    pub(crate) services: Vec<Service>,
    /// Sorted by full name.
    pub(crate) gateways: Vec<Gateway>,
    /// Sorted by (caller, port).
    pub(crate) consumer_routes: Vec<ConsumerRoute>,
    /// Services that proxies themselves ask or tell: authorities, and collectors of spans.
    pub(crate) asked: BTreeSet<ServiceId>,
    /// Who counts for global limits, and where that is declared: what [`mesh_plan::Counting`] means by a number here. `None` where
    /// something that it needs is missing.
    pub(crate) limiters: Vec<Option<(Authority, Span)>>,
    /// Subsets, by their names alone, that something may be sent to in another environment.
    pub(crate) sent_somewhere: BTreeSet<Text>,
    /// The identities of the gateways; sorted.
    pub(crate) gateway_identities: Vec<Text>,
    /// What deciding it may cost.
    pub(crate) budget: Budget,
}

impl std::ops::Index<ServiceId> for Model {
    type Output = Service;
    fn index(&self, id: ServiceId) -> &Service {
        &self.services[id.0 as usize]
    }
}

impl std::ops::Index<GatewayId> for Model {
    type Output = Gateway;
    fn index(&self, id: GatewayId) -> &Gateway {
        &self.gateways[id.0 as usize]
    }
}

impl Model {
    pub(crate) fn port(&self, id: PortId) -> &Port {
        &self[id.service].ports[id.port as usize]
    }

    /// Whether it is the identity of a gateway.
    pub(crate) fn is_gateway(&self, identity: &str) -> bool {
        self.gateway_identities.binary_search_by(|own| own.as_str().cmp(identity)).is_ok()
    }

    /// The one identity that a principal is, if it is one.
    pub(crate) fn identity<'a>(&'a self, principal: &'a Principal) -> Option<&'a Text> {
        match principal {
            Principal::Workload { who, .. } => Some(&self.workload(*who).identity),
            Principal::Identity(identity) => Some(identity),
            _ => None,
        }
    }

    pub(crate) fn workload(&self, caller: Caller) -> &Workload {
        match caller {
            Caller::Gateway(gateway) => &self[gateway].workload,
            Caller::Service(service) => &self[service].workload,
        }
    }

    /// The index of a caller's own route to a port.
    pub(crate) fn consumer_route(&self, caller: Caller, to: PortId) -> Option<usize> {
        self.consumer_routes.binary_search_by(|route| (route.caller, route.to).cmp(&(caller, to))).ok()
    }

    /// What decides about requests that a caller itself sends to a port: its own route, else that of the port, if one is written.
    pub(crate) fn route_from(&self, caller: Caller, to: PortId) -> Option<&Table> {
        match self.consumer_route(caller, to) {
            Some(index) => Some(&self.consumer_routes[index].table),
            None => self.port(to).route.as_ref(),
        }
    }

    /// `ratings.default from reviews.default`, `ratings.default port http from gateway web.default`
    pub(crate) fn consumer_route_name(&self, route: &ConsumerRoute) -> String {
        let kind = match route.caller {
            Caller::Gateway(_) => "gateway ",
            Caller::Service(_) => "",
        };
        format!("{} from {kind}{}", self.port_name(route.to), self.workload(route.caller).full_name())
    }

    /// All routes: of ports, of hosts, of callers themselves.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        let services = self.services.iter().flat_map(Service::tables);
        let gateways = self.gateways.iter().flat_map(Gateway::tables);
        services.chain(gateways).chain(self.consumer_routes.iter().map(|route| &route.table))
    }

    /// Their rules.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.tables().flat_map(|table| &table.rules)
    }

    /// All services, in order.
    pub(crate) fn service_ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        (0..self.services.len() as u32).map(ServiceId)
    }

    /// All services, then all gateways, in order.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = Caller> + use<> {
        let gateways = (0..self.gateways.len() as u32).map(GatewayId);
        self.service_ids().map(Caller::Service).chain(gateways.map(Caller::Gateway))
    }

    /// Whom a service or gateway asks about what comes to it, and why.
    pub(crate) fn checks(&self, who: Caller) -> impl Iterator<Item = &Check> {
        let (ports, listeners): (&[Port], &[Listener]) = match who {
            Caller::Service(id) => (&self[id].ports, &[]),
            Caller::Gateway(id) => (&[], &self[id].listeners),
        };
        let of_ports = ports.iter().flat_map(|port| &port.checks);
        of_ports.chain(listeners.iter().flat_map(|listener| &listener.checks))
    }

    /// All service ports, in order.
    pub(crate) fn ports(&self) -> impl Iterator<Item = PortId> + '_ {
        self.services.iter().zip(0..).flat_map(|(service, index)| {
            (0..service.ports.len() as u32).map(move |port| PortId { service: ServiceId(index), port })
        })
    }

    /// `reviews.default`, and ` port NAME` where there are several.
    pub(crate) fn port_name(&self, id: PortId) -> String {
        let service = &self[id.service];
        match service.ports.len() {
            1 => service.full_name(),
            _ => format!("{} port {}", service.full_name(), self.port(id).name),
        }
    }
}

/// A name in a namespace, with what both services and gateways have.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) name: Text,
    pub(crate) namespace: Text,
    /// May be empty.
    pub(crate) owner: Text,
    /// `spiffe://…`
    pub(crate) identity: Text,
    /// Where it is declared: the name.
    pub(crate) span: Span,
    /// Whether an `authorize` names it.
    pub(crate) authorized: bool,
    /// The `jwt`s whose tokens it verifies, in the order written.
    pub(crate) issuers: Vec<Text>,
    /// How it verifies them, sorted by name.
    pub(crate) verifiers: Vec<mesh_plan::Verifier>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) workload: Workload,
    pub(crate) settings: Settings,
    pub(crate) settings_at: SettingsAt,
    /// Basis points: with a smaller share of healthy endpoints all of them are used. 0: never.
    pub(crate) panic_threshold: u32,
    /// What it says itself of how much is logged.
    pub(crate) logged: Option<u32>,
    pub(crate) health_check: Option<mesh_plan::HealthCheck>,
    /// Where that is written.
    pub(crate) health_check_at: Option<Span>,
    /// Whether it is outside of the mesh, where it has no proxy.
    pub(crate) is_outside: bool,
    /// Of one outside: the TLS that it is spoken to in.
    pub(crate) tls: Option<mesh_plan::OutsideTls>,
    pub(crate) nearness: mesh_plan::Nearness,
    /// What it lets in, sorted.
    pub(crate) limits: Vec<mesh_plan::Edit>,
    /// Sorted by number.
    pub(crate) ports: Vec<Port>,
    /// Sorted by name.
    pub(crate) subsets: Vec<Subset>,
    /// Sorted by (callee, port).
    pub(crate) calls: Vec<Call>,
    /// Headers that it sends on with its calls, lower-case.
    pub(crate) propagates: Vec<Text>,
    /// Further hosts by which callers say it: what it has as `alias`, and what is outside. Those that begin with `*.` or `**.` are patterns.
    pub(crate) hosts: Vec<Text>,
}

impl Service {
    /// One of which only what its name means is known.
    pub(crate) fn named(workload: Workload, limits: Vec<mesh_plan::Edit>) -> Service {
        Service {
            workload,
            settings: Settings::default(),
            settings_at: SettingsAt::default(),
            panic_threshold: 0,
            logged: None,
            health_check: None,
            health_check_at: None,
            is_outside: false,
            tls: None,
            nearness: mesh_plan::Nearness::default(),
            limits,
            ports: vec![],
            subsets: vec![],
            calls: vec![],
            propagates: vec![],
            hosts: vec![],
        }
    }

    /// The routes of its ports.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.ports.iter().filter_map(|port| port.route.as_ref())
    }

    pub(crate) fn full_name(&self) -> String {
        self.workload.full_name()
    }
}

impl Gateway {
    /// The routes of its hosts.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Table> {
        self.listeners.iter().flat_map(|listener| &listener.tables).map(|host| &host.table)
    }

    pub(crate) fn full_name(&self) -> String {
        self.workload.full_name()
    }
}

impl Workload {
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.name, self.namespace)
    }
}

#[derive(Debug)]
pub(crate) struct Port {
    /// Empty where the service has one unnamed port.
    pub(crate) name: Text,
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
    pub(crate) target: u16,
    /// How peers are known, where it is said: of the port, the service or the mesh.
    pub(crate) mtls: Option<Spanned<Mtls>>,
    /// The declaration.
    pub(crate) span: Span,
    /// Sorted by address.
    pub(crate) endpoints: Vec<Endpoint>,
    /// `None`: no `route` was written.
    pub(crate) route: Option<Table>,
    pub(crate) access: Vec<AccessLine>,
    /// Who has to agree besides, in the order in which they are asked.
    pub(crate) checks: Vec<Check>,
    /// What the node may ask: each has a line in `access`, too.
    pub(crate) probes: Vec<Probe>,
}

impl Port {
    /// What of its authorization looks at the address of who calls: lines and checks, by where they stand.
    pub(crate) fn asks_of_callers(&self) -> impl Iterator<Item = Span> {
        let lines = self.access.iter().filter(|line| line.shapes.iter().any(Shape::asks_source));
        let checks = self.checks.iter().filter(|check| check.shapes.iter().any(Shape::asks_source));
        lines.map(|line| line.span).chain(checks.map(|check| check.span))
    }
}

/// The path of `grpc.health.v1.Health/Check`, which the node calls (`probe grpc`), and proxies do (`health-check grpc`).
pub(crate) const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// `probe GET PATH|grpc [port NAME]`, at its port.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) shape: Shape,
    /// What follows the service's name in logs: `GET /ping`.
    pub(crate) words: Text,
    pub(crate) span: Span,
}

/// Of which kind the name of an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Naming {
    /// One of the mesh, or none.
    Inside,
    Outside,
    /// One outside, or a pattern, that is looked up only for who names it.
    Asked,
}

/// Sorted as in the plan: by the bytes of the address, then by the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    /// IPv6; an IPv4 address is v4-mapped. All zero where there is a name.
    pub(crate) ip: [u8; 16],
    pub(crate) port: u16,
    /// What proxies look up; empty where the address is known.
    pub(crate) name: Text,
    pub(crate) naming: Naming,
    /// Indices into the service's subsets, sorted.
    pub(crate) subsets: Vec<u32>,
    /// Empty where it is not said.
    pub(crate) cluster: Text,
    /// What its label `zone` says.
    pub(crate) zone: Text,
}

impl Endpoint {
    pub(crate) fn new(ip: IpAddr, port: u16, subsets: Vec<u32>) -> Endpoint {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Endpoint { ip: ip.octets(), ..Endpoint::at_name(Text::default(), port, Naming::Inside, subsets) }
    }

    /// Each address of a name.
    pub(crate) fn at_name(name: Text, port: u16, naming: Naming, subsets: Vec<u32>) -> Endpoint {
        let (cluster, zone) = (Text::default(), Text::default());
        Endpoint { ip: [0; 16], port, name, naming, subsets, cluster, zone }
    }
}

#[derive(Debug)]
pub(crate) struct Subset {
    pub(crate) name: Text,
    pub(crate) labels: Vec<(Text, Text)>,
    /// The only one that its endpoints are in.
    pub(crate) cluster: Option<Text>,
    /// Where it is declared: the name.
    pub(crate) span: Span,
}

/// All that a service says of its calls to one port.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) to: PortId,
    /// One for each op and method; a line without path and method is the plain `calls`.
    pub(crate) lines: Vec<CallLine>,
    /// Where it was first written.
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) struct CallLine {
    pub(crate) shape: Shape,
    /// Whether the statement has a `to`.
    pub(crate) narrowed: bool,
    pub(crate) settings: Settings,
    pub(crate) settings_at: SettingsAt,
    pub(crate) client: Client,
    pub(crate) span: Span,
}

/// Where a block, or a profile that it uses, writes its settings.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SettingsAt {
    pub(crate) timeout: Option<Span>,
    pub(crate) retry: Option<Span>,
}

/// What the application that calls does itself: facts that checks rely on.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Client {
    /// Milliseconds.
    pub(crate) timeout: Option<Spanned<u32>>,
    /// Tries after the first.
    pub(crate) retry: Option<Spanned<u32>>,
}

#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) workload: Workload,
    /// What it lets in, sorted.
    pub(crate) limits: Vec<mesh_plan::Edit>,
    /// How many proxies before it are believed.
    pub(crate) trusted_hops: u32,
    /// What it says itself of how much is logged.
    pub(crate) logged: Option<u32>,
    /// Sorted by name.
    pub(crate) listeners: Vec<Listener>,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
    pub(crate) proxy_protocol: bool,
    pub(crate) span: Span,
    /// What it lets in, sorted.
    pub(crate) limits: Vec<mesh_plan::Edit>,
    /// Names of the certificates that it shows, sorted, and of the authority of its clients.
    pub(crate) certificates: Vec<String>,
    pub(crate) client_ca: String,
    /// Sorted. A `tcp` listener knows no hosts: it has `*`.
    pub(crate) hosts: Vec<(HostPattern, Span)>,
    /// `redirect https` and `tls passthrough mesh` say what becomes of everything that no route takes.
    pub(crate) needs_no_route: bool,
    /// Sorted by pattern.
    pub(crate) tables: Vec<HostTable>,
    pub(crate) access: Vec<AccessLine>,
    /// As of a port.
    pub(crate) checks: Vec<Check>,
}

#[derive(Debug)]
pub(crate) struct HostTable {
    pub(crate) host: HostPattern,
    pub(crate) table: Table,
}

/// A caller's own route: its proxy uses it instead of the route of the port.
#[derive(Debug)]
pub(crate) struct ConsumerRoute {
    pub(crate) caller: Caller,
    pub(crate) to: PortId,
    pub(crate) table: Table,
}

/// The rules of one target and host, or of one target and caller.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Sorted by name.
    pub(crate) rules: Vec<Rule>,
    pub(crate) otherwise: Option<(u16, Span)>,
    /// The heads of the `route` statements.
    pub(crate) spans: Vec<Span>,
    /// Names of rules that could not be resolved: `overrides` may name them.
    pub(crate) lost: Vec<Text>,
}

#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) name: Text,
    pub(crate) span: Span,
    pub(crate) overrides: Vec<(Text, Span)>,
    pub(crate) lines: Vec<Line>,
    pub(crate) action: Action,
    /// What it changes, or does besides, in order.
    pub(crate) edits: Vec<mesh_plan::Edit>,
    /// Who gets copies, and where that is written, in order.
    pub(crate) mirrors: Vec<(ServiceId, Span)>,
    pub(crate) settings: Settings,
    pub(crate) settings_at: SettingsAt,
    /// Whether it has `cors`.
    pub(crate) answers_preflights: bool,
}

/// One alternative of a rule.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) shape: Shape,
    /// The `match` statement, or the rule's head where it has none.
    pub(crate) span: Span,
}

/// A product of sets over the parts of a request; what is not mentioned is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) method: Option<Method>,
    pub(crate) path: Option<Path>,
    /// Each must hold; two may look at the same field.
    pub(crate) tests: Tests,
}

impl Shape {
    /// Whether it looks at `source-ip`.
    pub(crate) fn asks_source(&self) -> bool {
        self.tests.iter().any(|test| test.field == Field::SourceIp)
    }
}

/// Conditions, which the shapes of one line share. Most have none, and then nothing is shared: the count of who shares an empty
/// `Arc` would be one for the whole program, and all cores would write to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tests(Option<Arc<[FieldTest]>>);

impl From<Vec<FieldTest>> for Tests {
    fn from(tests: Vec<FieldTest>) -> Tests {
        Tests((!tests.is_empty()).then(|| tests.into()))
    }
}

impl std::ops::Deref for Tests {
    type Target = [FieldTest];
    fn deref(&self) -> &[FieldTest] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A condition on one field, as a set of its values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FieldTest {
    pub(crate) field: Field,
    pub(crate) set: ValueSet,
}

/// What of a request a condition looks at. Their order is that of the dimensions: a token comes before its claims, and a claim
/// before those inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Path,
    /// Lower-case.
    Header(Text),
    Query(Text),
    Cookie(Text),
    Jwt(Text),
    Claim {
        /// Empty where it is not said: then there is one token.
        issuer: Text,
        path: Vec<Text>,
    },
    SourceIp,
    ClientIp,
    Host,
}

impl Field {
    /// As a condition names it: `header "x-kind"`, `claim sso "roles"`.
    pub(crate) fn keyword(&self) -> String {
        match self {
            Field::Path => "path".to_owned(),
            Field::Header(name) => format!("header \"{name}\""),
            Field::Query(name) => format!("query \"{name}\""),
            Field::Cookie(name) => format!("cookie \"{name}\""),
            Field::Jwt(issuer) => format!("jwt {issuer}"),
            Field::Claim { issuer, path } => {
                let path: Vec<String> = path.iter().map(|step| format!("\"{step}\"")).collect();
                format!("claim {issuer} {}", path.join(" "))
            }
            Field::SourceIp => "source-ip".to_owned(),
            Field::ClientIp => "client-ip".to_owned(),
            Field::Host => "host".to_owned(),
        }
    }
}

impl std::fmt::Display for Field {
    /// As a sentence names it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Field::Path => f.write_str("the path"),
            Field::Header(name) => write!(f, "the header `{name}`"),
            Field::Query(name) => write!(f, "the query parameter `{name}`"),
            Field::Cookie(name) => write!(f, "the cookie `{name}`"),
            Field::Jwt(name) => write!(f, "the token `{name}`"),
            Field::Claim { path, .. } => write!(f, "the claim `{}`", path.join(" ")),
            Field::SourceIp => f.write_str("`source-ip`"),
            Field::ClientIp => f.write_str("`client-ip`"),
            Field::Host => f.write_str("the host"),
        }
    }
}

/// A set of values of a field (`spec/semantics.md` 3.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ValueSet {
    Absent,
    Present,
    /// The values that pass what is asked, or do not; what is doubtful is in a refusal and not in a grant.
    Passing {
        asked: Asked,
        negated: bool,
        polarity: Polarity,
    },
}

/// What is asked of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    /// Sorted, each once.
    OneOf(Vec<Text>),
    Prefix(Text),
    Suffix(Text),
    Contains(Text),
    /// One item of a list, or of a claim one token between blanks.
    Has(Text),
    Matches(Text),
    /// Sorted, each once.
    Within(Vec<Block>),
}

/// Whether a line lets requests in or keeps them out: what is doubtful goes to neither's advantage (`spec/semantics.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Polarity {
    Grant,
    Refusal,
}

/// A block of addresses: `10.0.0.0/8`. IPv4 is v4-mapped IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Block {
    pub(crate) first: u128,
    /// How many bits at the end are free: 0 to 128.
    pub(crate) free: u32,
}

impl Block {
    pub(crate) fn last(self) -> u128 {
        self.first | u128::MAX.checked_shr(128 - self.free).unwrap_or(0)
    }

    pub(crate) fn contains(self, address: u128) -> bool {
        (self.first..=self.last()).contains(&address)
    }
}

/// What a rule does. Two rules have the same outcome iff this, the edits and the written settings are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Sorted; the weights sum to 10,000.
    Forward(Vec<Backend>),
    Redirect {
        status: u16,
        /// Empty: the URL that was asked for, with the edits.
        location: String,
    },
    Respond {
        status: u16,
        body: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Backend {
    pub(crate) to: PortId,
    /// Index into the service's subsets.
    pub(crate) subset: Option<u32>,
    /// Whether the service's own route decides further.
    pub(crate) enter: bool,
    /// Basis points.
    pub(crate) weight: u32,
}

/// One `allow` or `deny`, for one port or listener: a product of its peers with each of its operations.
#[derive(Debug, Clone)]
pub(crate) struct AccessLine {
    pub(crate) effect: Effect,
    pub(crate) from: PeerSet,
    /// One for each op and method; never empty.
    pub(crate) shapes: Vec<Shape>,
    pub(crate) text: Wording,
    pub(crate) span: Span,
    /// Whether it stands for `mode audit`: what no other line lets in is let in by this one, and told.
    pub(crate) is_mode: bool,
    /// Whether it is of a `probe`, which no line but a guardrail's refuses. Its effect is `allow`.
    pub(crate) is_probe: bool,
}

/// `check ext-authz NAME …`, for one port or listener.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) authority: Authority,
    /// What it is about: one for each op and method; never empty.
    pub(crate) shapes: Vec<Shape>,
    pub(crate) span: Span,
}

/// A service that is asked whether a request may pass.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub(crate) name: Text,
    /// Where it is asked.
    pub(crate) to: PortId,
    /// Milliseconds.
    pub(crate) timeout: u32,
    pub(crate) lets_in_on_failure: bool,
}

impl AccessLine {
    /// Whether it lets callers in: an `allow`, or what stands for a mode. The node is nobody's caller.
    pub(crate) fn lets_in(&self) -> bool {
        self.effect == Effect::Allow && !self.is_probe
    }

    /// Whether it is of a guardrail, which nobody lifts.
    pub(crate) fn is_guardrail(&self) -> bool {
        matches!(&self.text, Wording::Said(text) if text.starts_with("guardrail "))
    }

    /// The services that an `allow` names one by one, and where.
    pub(crate) fn callers(&self) -> impl Iterator<Item = (ServiceId, Span)> {
        let of = self.from.of.iter().filter(|_| self.effect == Effect::Allow);
        of.filter_map(|principal| match principal {
            Principal::Workload { who: Caller::Service(service), named } => Some((*service, (*named)?)),
            _ => None,
        })
    }
}

/// What a line is called in logs and messages. It is put into words when it is first said: where only names are looked up, nothing
/// ever is.
#[derive(Debug, Clone)]
pub(crate) enum Wording {
    /// `authorize TARGET: allow from …`
    Authorize { target: Text, line: Arc<AuthorizeLine>, said: OnceLock<Text> },
    /// Of a guardrail or a probe, or of what stands for a mode.
    Said(Text),
}

impl Wording {
    pub(crate) fn as_str(&self) -> &str {
        self.text()
    }

    pub(crate) fn text(&self) -> &Text {
        match self {
            Wording::Authorize { target, line, said } => said.get_or_init(|| worded(target, line)),
            Wording::Said(text) => text,
        }
    }

    /// The words, without how they were put together.
    pub(crate) fn alone(self) -> Wording {
        match self {
            Wording::Authorize { target, line, said } => {
                Wording::Said(said.into_inner().unwrap_or_else(|| worded(&target, &line)))
            }
            said @ Wording::Said(_) => said,
        }
    }
}

fn worded(target: &str, line: &AuthorizeLine) -> Text {
    /// Nearly every line is shorter: the text is written without growing.
    const USUAL_LENGTH: usize = 128;
    let mut words = String::with_capacity(USUAL_LENGTH);
    write!(words, "authorize {target}: {line}").expect("a string takes what is written");
    words.into()
}

/// Who: those in `of` and not in `except`.
#[derive(Debug, Clone)]
pub(crate) struct PeerSet {
    pub(crate) of: Vec<Principal>,
    pub(crate) except: Vec<Principal>,
}

impl PeerSet {
    /// Whether somebody is in it by name, whatever their identity.
    pub(crate) fn names(&self, caller: Caller) -> bool {
        let is_named = |of: &Principal| matches!(of, Principal::Workload { who, .. } if *who == caller);
        self.except.is_empty() && self.of.iter().any(is_named)
    }
}

/// A principal, resolved. Two that are equal may be written differently: one identity can be that of several workloads.
#[derive(Debug, Clone)]
pub(crate) enum Principal {
    /// The identity of this service or gateway.
    Workload {
        who: Caller,
        /// Where it is named by itself, and not as one of a group.
        named: Option<Span>,
    },
    /// Exactly this identity, written out.
    Identity(Text),
    Namespace(Text),
    /// Every identity of another trust domain.
    TrustDomain(Text),
    /// Every identity of another trust domain that is this one, without `/` at its end, and one segment more.
    Below(Text),
    Authenticated,
    Unauthenticated,
    Anyone,
}
