//! Mutual TLS where a mesh is tried out: an authority for as long as it runs, an identity for everybody, and a proxy before each endpoint of a
//! port that has it.

use super::super::running::trouble;
use super::proxies::LOOPBACK;
use crate::authority::Authority;
use crate::failure::Failure;
use mesh_plan::{Endpoint, Mtls, Plan, PlanView, Port};
use mesh_proxy::{Door, Identity, Material};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Certificates are short-lived, as they are to be everywhere.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// The authority ends with the session, however long a person leaves that running.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An endpoint of a service's port: its full name, the port's number, and where the service itself listens.
type Place = (String, u16, SocketAddr);

/// Proxies that stand before endpoints, and where they are called. They stay where they are from one plan to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fronts(BTreeMap<Place, SocketAddr>);

impl Fronts {
    /// Puts a proxy before each endpoint that has to have one: from then on it is the endpoint.
    pub(super) fn stand_before(&self, plan: &mut Plan) -> Result<Fronts, Failure> {
        let mut fronts = Fronts::default();
        for service in &mut plan.services {
            for port in &mut service.ports {
                if !is_mutual(port.mtls) {
                    continue;
                }
                let mut moved = Vec::with_capacity(port.endpoints.len());
                for endpoint in &port.endpoints {
                    if !endpoint.name.is_empty() {
                        return Err(Failure::new(
                            format!("`{}` has mutual TLS and endpoints by name", service.name),
                            "A proxy that stands before its endpoints has to know where they are: for the environment that you try, write \
                             `endpoints static`, or `mtls off`.",
                        ));
                    }
                    let place = (service.name.clone(), port.number, address_of(endpoint));
                    let front = match self.0.get(&place) {
                        Some(front) => *front,
                        None => free_address().map_err(|error| trouble("find a free port", &error))?,
                    };
                    fronts.0.insert(place, front);
                    moved.push(at(front, endpoint));
                }
                replace(port, moved);
            }
        }
        Ok(fronts)
    }

    /// Their doors.
    pub(super) fn doors(&self) -> impl Iterator<Item = Door> {
        self.0.iter().map(|((service, port, application), front)| Door::Inbound {
            service: service.clone(),
            port: Some(port.to_string()),
            listen: *front,
            application: *application,
        })
    }

    /// Each service with its port, and where it is called.
    pub(super) fn places(&self) -> impl Iterator<Item = (String, SocketAddr)> {
        self.0.iter().map(|((service, port, _), front)| (format!("{service}:{port}"), *front))
    }

    /// Whom they stand before.
    fn services(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(service, ..)| service.as_str()).collect()
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((LOOPBACK, 0))?.local_addr()
}

fn is_mutual(mode: Mtls) -> bool {
    matches!(mode, Mtls::Strict | Mtls::Permissive)
}

fn address_of(endpoint: &Endpoint) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(endpoint.ip)).to_canonical(), endpoint.port)
}

/// An endpoint, but at this address.
fn at(address: SocketAddr, endpoint: &Endpoint) -> Endpoint {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    Endpoint { ip: ip.octets(), port: address.port(), ..endpoint.clone() }
}

/// The endpoints of a port, each by another one: sorted anew, and so are those of its subsets.
fn replace(port: &mut Port, by: Vec<Endpoint>) {
    let mut order: Vec<usize> = (0..by.len()).collect();
    order.sort_by(|one, other| by[*one].cmp(&by[*other]));
    let mut now_at = vec![0; by.len()];
    order.iter().zip(0..).for_each(|(before, after)| now_at[*before] = after);
    port.endpoints = order.iter().map(|place| by[*place].clone()).collect();
    for members in &mut port.subset_endpoints {
        members.iter_mut().for_each(|member| *member = now_at[*member as usize]);
        members.sort_unstable();
    }
}

/// Who is who, as the authority of this session says.
#[derive(Default)]
pub(super) struct Identities {
    /// Made when the first plan needs it.
    authority: Option<Authority>,
    /// Further trust domains, of services that have an `identity` of theirs: here the same authority vouches for all.
    others: BTreeSet<String>,
    issued: BTreeMap<String, Issued>,
}

struct Issued {
    identity: Arc<Identity>,
    renew_at: SystemTime,
}

impl Identities {
    /// An identity for everybody who has a door; none where no port has mutual TLS.
    pub(super) fn of(&mut self, plan: &PlanView, fronts: &Fronts) -> Result<Vec<Arc<Identity>>, Failure> {
        let ports = || plan.services().iter().flat_map(|service| service.ports().iter());
        if !ports().any(|port| is_mutual(port.mtls())) {
            return Ok(vec![]);
        }
        let before = fronts.services();
        let has_door = |service: &mesh_plan::view::Service<'_>| {
            !service.calls().is_empty() || before.contains(service.name())
        };
        let services = plan.services().iter().filter(has_door).map(|service| service.principal());
        let gateways = plan.gateways().iter().map(|gateway| gateway.principal());
        let principals: BTreeSet<u32> = gateways.chain(services).collect();
        let ids = principals.into_iter().filter_map(|own| Some(plan.principals().get(own)?.identity()));
        let ids: Vec<&str> = ids.collect();
        let fits = |authority: &Authority| authority.trust_domain() == plan.trust_domain();
        if !self.authority.as_ref().is_some_and(fits) {
            self.authority = Some(Authority::new(plan.trust_domain(), AUTHORITY_LIFETIME).map_err(failed)?);
            self.issued.clear();
        }
        let domains = ids.iter().filter_map(|id| mesh_engine::SpiffeId::read(id)).map(|id| id.trust_domain);
        let others = domains.filter(|own| *own != plan.trust_domain()).map(str::to_owned).collect();
        if self.others != others {
            self.others = others;
            self.issued.clear();
        }
        ids.into_iter().map(|id| self.identity(id)).collect()
    }

    fn identity(&mut self, id: &str) -> Result<Arc<Identity>, Failure> {
        if let Some(issued) = self.issued.get(id) {
            return Ok(issued.identity.clone());
        }
        let Some(authority) = &self.authority else { return Err(failed("there is no authority")) };
        let identity = Identity::new(&material(authority, id, &self.others)?).map_err(failed)?;
        let issued = Issued { identity: identity.clone(), renew_at: SystemTime::now() + LIFETIME / 2 };
        self.issued.insert(id.to_owned(), issued);
        Ok(identity)
    }

    /// Renews what is at half of its life.
    pub(super) fn renew(&mut self) -> Result<(), Failure> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let now = SystemTime::now();
        for (id, issued) in self.issued.iter_mut().filter(|(_, issued)| now >= issued.renew_at) {
            issued.identity.renew(&material(authority, id, &self.others)?).map_err(failed)?;
            issued.renew_at = now + LIFETIME / 2;
        }
        Ok(())
    }
}

/// A certificate, and the one root of this session for every trust domain that there is.
fn material(authority: &Authority, id: &str, others: &BTreeSet<String>) -> Result<Material, Failure> {
    let mut material = authority.issue(id, LIFETIME).map_err(failed)?.material(authority.bundle());
    let own = mesh_engine::SpiffeId::read(id).map(|id| id.trust_domain.to_owned());
    let domains = others.iter().map(String::as_str).chain([authority.trust_domain()]);
    let further = domains.filter(|domain| own.as_deref() != Some(*domain));
    material
        .bundles
        .extend(further.map(|domain| (Some(domain.to_owned()), authority.bundle().as_bytes().to_vec())));
    Ok(material)
}

fn failed(why: impl std::fmt::Display) -> Failure {
    Failure::new(
        format!("cannot make certificates: {why}"),
        "Look whether the clock of this machine is right, then start again.",
    )
}
