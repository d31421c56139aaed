//! Who is in the mesh: identities, services and gateways.

use super::dictionaries::{Dictionary, Words};
use super::rows::{Record, Row, Rows, Text};
use super::verifiers::Verifier;
use super::{Edit, HealthCheck, OutsideTls, Settings};
use crate::layout::{
    Section, call, call_host, consumer_route, endpoint, gateway, host, listener, port, principal, service,
    subset_endpoints,
};
use crate::plan::{Host, HostKind, Mtls, NONE, Protocol};
use std::cmp::Ordering;

/// An identity.
#[derive(Clone, Copy)]
pub struct Principal<'p>(Record<'p>);

impl<'p> Row<'p> for Principal<'p> {
    const SECTION: Section = Section::Principals;

    fn of(record: Record<'p>) -> Self {
        Principal(record)
    }
}

impl<'p> Principal<'p> {
    /// `spiffe://…`
    pub fn identity(self) -> &'p str {
        self.0.text(principal::IDENTITY)
    }

    /// Whether it is a gateway of this mesh.
    pub fn gateway(self) -> bool {
        self.0.word(principal::GATEWAY) == 1
    }
}

/// A beginning of SPIFFE IDs that an authorization names.
#[derive(Clone, Copy)]
pub struct IdPrefix<'p>(Record<'p>);

impl<'p> Row<'p> for IdPrefix<'p> {
    const SECTION: Section = Section::Prefixes;

    fn of(record: Record<'p>) -> Self {
        IdPrefix(record)
    }
}

impl<'p> IdPrefix<'p> {
    pub fn text(self) -> &'p str {
        self.0.text(0)
    }
}

/// A service.
#[derive(Clone, Copy)]
pub struct Service<'p>(Record<'p>);

impl<'p> Row<'p> for Service<'p> {
    const SECTION: Section = Section::Services;

    fn of(record: Record<'p>) -> Self {
        Service(record)
    }
}

impl<'p> Service<'p> {
    /// See [`Service::name`].
    pub fn name_text(self) -> Text<'p> {
        self.0.later(service::NAME)
    }

    /// See [`Service::owner`].
    pub fn owner_text(self) -> Text<'p> {
        self.0.later(service::OWNER)
    }

    /// Its place among the plan's services.
    pub fn index(self) -> u32 {
        self.0.index()
    }

    /// `name.namespace`
    pub fn name(self) -> &'p str {
        self.0.text(service::NAME)
    }

    /// Who owns it; may be empty.
    pub fn owner(self) -> &'p str {
        self.0.text(service::OWNER)
    }

    /// Index of its identity.
    pub fn principal(self) -> u32 {
        self.0.word(service::PRINCIPAL)
    }

    /// Basis points: with a smaller share of healthy endpoints all of them are used. 0: never.
    pub fn panic_threshold(self) -> u32 {
        self.0.word(service::PANIC_THRESHOLD)
    }

    /// Basis points of the requests that come in here that have a line in the access log; 0: none has. `None`: nothing is said.
    pub fn logged(self) -> Option<u32> {
        let share = self.0.word(service::LOGGED);
        (share != NONE).then_some(share)
    }

    /// How its endpoints are asked whether they are well.
    pub fn health_check(self) -> Option<HealthCheck<'p>> {
        Rows::all(self.0.plan()).get(self.0.word(service::HEALTH_CHECK))
    }

    /// If its endpoints are outside of the mesh and spoken to inside TLS: how.
    pub fn tls(self) -> Option<OutsideTls<'p>> {
        Rows::all(self.0.plan()).get(self.0.word(service::TLS))
    }

    /// The clusters that requests go to, each while no endpoint of those before it is healthy; [`LOCAL`](crate::LOCAL) is the caller's
    /// own. None: all clusters are alike.
    pub fn failover(self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.0.rows::<Cluster<'_>>(service::FAILOVER).iter().map(|cluster| cluster.0.text(0))
    }

    /// Whether endpoints in the caller's zone are preferred.
    pub fn is_by_zone(self) -> bool {
        self.0.word(service::BY_ZONE) == 1
    }

    /// Whose tokens it verifies, sorted by name.
    pub fn verifiers(self) -> Rows<'p, Verifier<'p>> {
        self.0.rows(service::VERIFIERS)
    }

    /// Its own settings.
    pub fn settings(self) -> Option<Settings<'p>> {
        self.0.plan().settings(self.settings_index())
    }

    pub(crate) fn settings_index(self) -> u32 {
        self.0.word(service::SETTINGS)
    }

    /// Sorted by number.
    pub fn ports(self) -> Rows<'p, Port<'p>> {
        self.0.rows(service::PORTS)
    }

    /// A port by index.
    pub fn port(self, index: u32) -> Option<Port<'p>> {
        self.ports().get(index)
    }

    /// Index and port of a number.
    pub fn port_by_number(self, number: u16) -> Option<(u32, Port<'p>)> {
        self.ports().find(|port| port.number().cmp(&number))
    }

    /// Names of its subsets, sorted.
    pub fn subsets(self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.subset_rows().iter().map(|row| row.0.text(0))
    }

    /// The name of a subset.
    pub fn subset(self, index: u32) -> Option<&'p str> {
        self.subset_rows().get(index).map(|row| row.0.text(0))
    }

    /// The same, looked up when it is read.
    pub fn subset_text(self, index: u32) -> Option<Text<'p>> {
        self.subset_rows().get(index).map(|row| row.0.later(0))
    }

    pub(crate) fn subset_rows(self) -> Rows<'p, SubsetName<'p>> {
        self.0.rows(service::SUBSETS)
    }

    /// What it lets in.
    pub fn limits(self) -> Rows<'p, Edit<'p>> {
        self.0.rows(service::LIMITS)
    }

    /// The services it may call, sorted by (service, port).
    pub fn calls(self) -> Rows<'p, Call<'p>> {
        self.0.rows(service::CALLS)
    }

    /// The names by which it says whom it calls, sorted by (host, call).
    pub fn hosts(self) -> Rows<'p, CallHost<'p>> {
        self.0.rows(service::HOSTS)
    }

    /// The hosts that it says to call, and the place of the first of [`Service::hosts`] with each.
    pub fn names_of_hosts(self) -> Dictionary<'p> {
        Dictionary::of(Words::of(self.0, Section::Names, service::NAMES_OF_HOSTS))
    }

    /// Routes of its own for what it calls, sorted by (service, port).
    pub fn consumer_routes(self) -> Rows<'p, ConsumerRoute<'p>> {
        self.0.rows(service::CONSUMER_ROUTES)
    }
}

/// A caller's own route for a port.
#[derive(Clone, Copy)]
pub struct ConsumerRoute<'p>(Record<'p>);

impl<'p> Row<'p> for ConsumerRoute<'p> {
    const SECTION: Section = Section::ConsumerRoutes;

    fn of(record: Record<'p>) -> Self {
        ConsumerRoute(record)
    }
}

impl<'p> ConsumerRoute<'p> {
    /// Index of whom it is for.
    pub fn service(self) -> u32 {
        self.0.word(consumer_route::SERVICE)
    }

    /// Index of the port that it is for.
    pub fn port(self) -> u32 {
        self.0.word(consumer_route::PORT)
    }

    /// Index of the partition whose first root is the route.
    pub fn partition(self) -> u32 {
        self.0.word(consumer_route::PARTITION)
    }
}

impl<'p> Rows<'p, ConsumerRoute<'p>> {
    /// The route for a port, if its caller has one.
    pub fn of_port(self, service: u32, port: u32) -> Option<ConsumerRoute<'p>> {
        self.find(|route| (route.service(), route.port()).cmp(&(service, port))).map(|(_, route)| route)
    }
}

/// The name of a subset.
#[derive(Clone, Copy)]
pub(crate) struct SubsetName<'p>(Record<'p>);

impl<'p> Row<'p> for SubsetName<'p> {
    const SECTION: Section = Section::Subsets;

    fn of(record: Record<'p>) -> Self {
        SubsetName(record)
    }
}

/// A port of a service.
#[derive(Clone, Copy)]
pub struct Port<'p>(Record<'p>);

impl<'p> Row<'p> for Port<'p> {
    const SECTION: Section = Section::Ports;

    fn of(record: Record<'p>) -> Self {
        Port(record)
    }
}

impl<'p> Port<'p> {
    /// What callers say.
    pub fn number(self) -> u16 {
        self.0.word(port::NUMBER) as u16
    }

    /// What its endpoints speak.
    pub fn protocol(self) -> Protocol {
        Protocol::of_number(self.0.word(port::PROTOCOL))
    }

    /// Whether that is inside mutual TLS.
    pub fn mtls(self) -> Mtls {
        Mtls::of_number(self.0.word(port::MTLS))
    }

    /// Whether the node may ask something there, in the clear and without an identity.
    pub fn is_probed(self) -> bool {
        self.0.word(port::PROBED) == 1
    }

    /// Empty where the service has one unnamed port.
    pub fn name(self) -> &'p str {
        self.0.text(port::NAME)
    }

    /// Index of its partition: the first root is the route, `access` the authorization.
    pub fn partition(self) -> u32 {
        self.0.word(port::PARTITION)
    }

    /// All endpoints, sorted.
    pub fn endpoints(self) -> Rows<'p, Endpoint<'p>> {
        self.0.rows(port::ENDPOINTS)
    }

    /// The endpoints of a subset of the service, or of [`NONE`] all.
    pub fn endpoints_of(self, subset: u32) -> impl Iterator<Item = Endpoint<'p>> + use<'p> {
        let all = self.endpoints();
        let members = self.subset_endpoints().get(subset).map(SubsetEndpoints::members);
        let of_subset = members.into_iter().flat_map(Rows::iter).filter_map(move |member| all.get(member.0));
        let everything = (subset == NONE).then(|| all.iter()).into_iter().flatten();
        everything.chain(of_subset)
    }

    pub(crate) fn subset_endpoints(self) -> Rows<'p, SubsetEndpoints<'p>> {
        self.0.rows(port::SUBSET_ENDPOINTS)
    }
}

/// An instance, and where it listens; or a name whose addresses are instances.
#[derive(Clone, Copy)]
pub struct Endpoint<'p>(Record<'p>);

impl<'p> Row<'p> for Endpoint<'p> {
    const SECTION: Section = Section::Endpoints;

    fn of(record: Record<'p>) -> Self {
        Endpoint(record)
    }
}

impl<'p> Endpoint<'p> {
    /// An IPv6 address in network order, of IPv4 the v4-mapped one, and the TCP port.
    pub fn address(self) -> ([u8; 16], u16) {
        let mut ip = [0; 16];
        for (bytes, field) in ip.as_chunks_mut::<4>().0.iter_mut().zip(0..) {
            *bytes = self.0.word(field).to_le_bytes();
        }
        (ip, self.0.word(endpoint::PORT) as u16)
    }

    /// Empty where none is said.
    pub fn cluster(self) -> &'p str {
        self.0.text(endpoint::CLUSTER)
    }

    /// Empty where none is said.
    pub fn zone(self) -> &'p str {
        self.0.text(endpoint::ZONE)
    }

    /// What is looked up in DNS: each address of it is an instance, at the port of [`Self::address`]. Empty where the address is known.
    pub fn name(self) -> &'p str {
        self.0.text(endpoint::NAME)
    }

    /// Whether the name is one outside of the mesh: then no address of loopback is taken for it.
    pub fn is_outside(self) -> bool {
        self.0.word(endpoint::NAMING) != 0
    }

    /// Whether it is looked up only for requests whose host it is, or, of a pattern, is inside it.
    pub fn is_asked(self) -> bool {
        self.0.word(endpoint::NAMING) == endpoint::ASKED
    }
}

/// A cluster that requests go to.
#[derive(Clone, Copy)]
pub(crate) struct Cluster<'p>(Record<'p>);

impl<'p> Row<'p> for Cluster<'p> {
    const SECTION: Section = Section::Failover;

    fn of(record: Record<'p>) -> Self {
        Cluster(record)
    }
}

/// The endpoints of one subset at one port.
#[derive(Clone, Copy)]
pub(crate) struct SubsetEndpoints<'p>(Record<'p>);

impl<'p> Row<'p> for SubsetEndpoints<'p> {
    const SECTION: Section = Section::SubsetEndpoints;

    fn of(record: Record<'p>) -> Self {
        SubsetEndpoints(record)
    }
}

impl<'p> SubsetEndpoints<'p> {
    pub(crate) fn members(self) -> Rows<'p, Member> {
        self.0.rows(subset_endpoints::MEMBERS)
    }
}

/// Index of an endpoint among those of its port.
#[derive(Clone, Copy)]
pub(crate) struct Member(pub(crate) u32);

impl<'p> Row<'p> for Member {
    const SECTION: Section = Section::Members;

    fn of(record: Record<'p>) -> Self {
        Member(record.word(0))
    }
}

/// That a service may call another.
#[derive(Clone, Copy)]
pub struct Call<'p>(Record<'p>);

impl<'p> Row<'p> for Call<'p> {
    const SECTION: Section = Section::Calls;

    fn of(record: Record<'p>) -> Self {
        Call(record)
    }
}

impl Call<'_> {
    /// Index of the callee.
    pub fn service(self) -> u32 {
        self.0.word(call::SERVICE)
    }

    /// Index of the callee's port.
    pub fn port(self) -> u32 {
        self.0.word(call::PORT)
    }

    /// Index of the partition whose first root leads to grants.
    pub fn partition(self) -> u32 {
        self.0.word(call::PARTITION)
    }
}

/// A name by which a service says whom it calls.
#[derive(Clone, Copy)]
pub struct CallHost<'p>(Record<'p>);

impl<'p> Row<'p> for CallHost<'p> {
    const SECTION: Section = Section::CallHosts;

    fn of(record: Record<'p>) -> Self {
        CallHost(record)
    }
}

impl<'p> CallHost<'p> {
    /// Lower-case, without a port; a pattern where it begins with `*`.
    pub fn host(self) -> &'p str {
        self.0.text(call_host::HOST)
    }

    /// Whether it is of the same host as another one.
    pub fn is_same_host(self, other: CallHost<'_>) -> bool {
        self.0.word(call_host::HOST) == other.0.word(call_host::HOST)
    }

    /// Index among the service's calls, or [`NONE`] where whom it means is not called.
    pub fn call(self) -> u32 {
        self.0.word(call_host::CALL)
    }
}

/// A gateway.
#[derive(Clone, Copy)]
pub struct Gateway<'p>(Record<'p>);

impl<'p> Row<'p> for Gateway<'p> {
    const SECTION: Section = Section::Gateways;

    fn of(record: Record<'p>) -> Self {
        Gateway(record)
    }
}

impl<'p> Gateway<'p> {
    /// See [`Gateway::name`].
    pub fn name_text(self) -> Text<'p> {
        self.0.later(gateway::NAME)
    }

    /// See [`Gateway::owner`].
    pub fn owner_text(self) -> Text<'p> {
        self.0.later(gateway::OWNER)
    }

    /// Its place among the plan's gateways.
    pub fn index(self) -> u32 {
        self.0.index()
    }

    /// `name.namespace`
    pub fn name(self) -> &'p str {
        self.0.text(gateway::NAME)
    }

    /// Who owns it; may be empty.
    pub fn owner(self) -> &'p str {
        self.0.text(gateway::OWNER)
    }

    /// Index of its identity.
    pub fn principal(self) -> u32 {
        self.0.word(gateway::PRINCIPAL)
    }

    /// Sorted by name.
    pub fn limits(self) -> Rows<'p, Edit<'p>> {
        self.0.rows(gateway::LIMITS)
    }

    /// Whose tokens it verifies, sorted by name.
    pub fn verifiers(self) -> Rows<'p, Verifier<'p>> {
        self.0.rows(gateway::VERIFIERS)
    }

    /// Sorted by name.
    pub fn listeners(self) -> Rows<'p, Listener<'p>> {
        self.0.rows(gateway::LISTENERS)
    }

    /// Routes of its own for where its rules send, sorted by (service, port).
    pub fn consumer_routes(self) -> Rows<'p, ConsumerRoute<'p>> {
        self.0.rows(gateway::CONSUMER_ROUTES)
    }

    /// Basis points of the requests that come in here that have a line in the access log; 0: none has. `None`: nothing is said.
    pub fn logged(self) -> Option<u32> {
        let share = self.0.word(gateway::LOGGED);
        (share != NONE).then_some(share)
    }

    /// How many proxies before it are believed in `x-forwarded-for`.
    pub fn trusted_hops(self) -> u32 {
        self.0.word(gateway::TRUSTED_HOPS)
    }

    /// A listener by index.
    pub fn listener(self, index: u32) -> Option<Listener<'p>> {
        self.listeners().get(index)
    }

    /// Index and listener of a name.
    pub fn listener_by_name(self, name: &str) -> Option<(u32, Listener<'p>)> {
        self.listeners().find(|listener| listener.name().cmp(name))
    }
}

/// A listener of a gateway.
#[derive(Clone, Copy)]
pub struct Listener<'p>(Record<'p>);

impl<'p> Row<'p> for Listener<'p> {
    const SECTION: Section = Section::Listeners;

    fn of(record: Record<'p>) -> Self {
        Listener(record)
    }
}

impl<'p> Listener<'p> {
    pub fn name(self) -> &'p str {
        self.0.text(listener::NAME)
    }

    /// TCP port.
    pub fn number(self) -> u16 {
        self.0.word(listener::NUMBER) as u16
    }

    /// What its clients speak.
    pub fn protocol(self) -> Protocol {
        Protocol::of_number(self.0.word(listener::PROTOCOL))
    }

    /// Whether its connections begin with a header of the PROXY protocol.
    pub fn has_proxy_protocol(self) -> bool {
        self.0.word(listener::FLAGS) & listener::PROXY_PROTOCOL != 0
    }

    /// Index of its partition: `access` is the authorization, root i the route of host pattern i.
    pub fn partition(self) -> u32 {
        self.0.word(listener::PARTITION)
    }

    /// What it lets in.
    pub fn limits(self) -> Rows<'p, Edit<'p>> {
        self.0.rows(listener::LIMITS)
    }

    /// Host patterns with a table of their own, sorted by (kind, name).
    pub fn hosts(self) -> Rows<'p, HostPattern<'p>> {
        self.0.rows(listener::HOSTS)
    }

    /// Names of the certificates that are shown, sorted; none where it is not TLS that ends here.
    pub fn certificates(self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.0.rows::<Certificate<'_>>(listener::CERTIFICATES).iter().map(|own| own.0.text(0))
    }

    /// The name of the authority whose certificate a client must show; empty where none is asked for.
    pub fn client_ca(self) -> &'p str {
        self.0.text(listener::CLIENT_CA)
    }
}

/// The name of a certificate.
#[derive(Clone, Copy)]
struct Certificate<'p>(Record<'p>);

impl<'p> Row<'p> for Certificate<'p> {
    const SECTION: Section = Section::Certificates;

    fn of(record: Record<'p>) -> Self {
        Certificate(record)
    }
}

/// A host pattern.
#[derive(Clone, Copy)]
pub struct HostPattern<'p>(Record<'p>);

impl<'p> Row<'p> for HostPattern<'p> {
    const SECTION: Section = Section::Hosts;

    fn of(record: Record<'p>) -> Self {
        HostPattern(record)
    }
}

impl<'p> HostPattern<'p> {
    pub fn kind(self) -> HostKind {
        match self.0.word(host::KIND) {
            0 => HostKind::Exact,
            1 => HostKind::OneLabel,
            2 => HostKind::Labels,
            _ => HostKind::Any,
        }
    }

    /// The name after `*.` or `**.`; empty for `*`.
    pub fn name(self) -> &'p str {
        self.0.text(host::NAME)
    }

    /// Compares with a pattern in the order of the table.
    pub fn compare(self, kind: HostKind, name: &str) -> Ordering {
        self.kind().cmp(&kind).then_with(|| self.0.string(host::NAME).cmp(name.as_bytes()))
    }

    pub(crate) fn to_host(self) -> Host {
        Host { kind: self.kind(), name: self.name().to_owned() }
    }
}
