//! Services and gateways of plans become a plan: tables merged, indices counted anew, in the order in which the compiler fills them.

use super::{Below, PartsError, Unit, led_to};
use crate::plan::{
    Action, Authority, Automaton, Backend, Call, CallHost, ConsumerRoute, Counting, Edit, Field, Gateway,
    Grant, LIST, Listener, Mtls, NONE, Nearness, Node, Outcome, Partition, Peers, Plan, Port, Principal,
    Protocol, REFUSED, RateLimit, Service, Settings, State, Target, Vector, Verdict,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

/// A service or a gateway that is whole in what is put together, and the plan that it is taken from.
pub(super) struct Member<'p> {
    unit: Unit,
    plan: &'p Plan,
    index: u32,
    /// Whether a proxy of its own is among those that the plan is for: then it has its calls.
    sends: bool,
}

/// Which table the leaves of a partition's roots are of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Outcomes,
    Grants,
}

impl<'p> Member<'p> {
    pub(super) fn service(unit: Unit, plan: &'p Plan, index: u32, sends: bool) -> Member<'p> {
        Member { unit, plan, index, sends }
    }

    pub(super) fn gateway(unit: Unit, plan: &'p Plan, index: u32) -> Member<'p> {
        Member { unit, plan, index, sends: true }
    }

    fn as_service(&self) -> Option<&'p Service> {
        let is_service = matches!(self.unit, Unit::Service(_));
        self.plan.services.get(self.index as usize).filter(|_| is_service)
    }

    fn as_gateway(&self) -> Option<&'p Gateway> {
        let is_gateway = matches!(self.unit, Unit::Gateway(_));
        self.plan.gateways.get(self.index as usize).filter(|_| is_gateway)
    }

    fn principal(&self) -> u32 {
        let service = self.as_service().map(|service| service.principal);
        service.or(self.as_gateway().map(|gateway| gateway.principal)).unwrap_or(NONE)
    }

    fn calls(&self) -> &'p [Call] {
        self.as_service().filter(|_| self.sends).map_or(&[], |service| &service.calls)
    }

    fn consumer_routes(&self) -> &'p [ConsumerRoute] {
        let service = self.as_service().filter(|_| self.sends).map(|service| &service.consumer_routes);
        service.or(self.as_gateway().map(|gateway| &gateway.consumer_routes)).map_or(&[], Vec::as_slice)
    }

    fn partitions(&self) -> Vec<(u32, Table)> {
        let ports = self.as_service().into_iter().flat_map(|service| &service.ports);
        let listeners = self.as_gateway().into_iter().flat_map(|gateway| &gateway.listeners);
        let decides = ports.map(|port| port.partition).chain(listeners.map(|listener| listener.partition));
        let calls = self.calls().iter().map(|call| (call.partition, Table::Grants));
        let routes = self.consumer_routes().iter().map(|route| (route.partition, Table::Outcomes));
        decides.map(|partition| (partition, Table::Outcomes)).chain(calls).chain(routes).collect()
    }

    /// Service, port and subset, by index in the member's plan, of whatever it sends to.
    fn places(&self) -> BTreeSet<(u32, u32, u32)> {
        let calls = self.calls().iter().map(|call| (call.service, call.port, NONE));
        let own = self.consumer_routes().iter().map(|route| (route.service, route.port, NONE));
        let mut places: BTreeSet<_> = calls.chain(own).collect();
        for (partition, table) in self.partitions() {
            let roots = self.plan.partitions.get(partition as usize).map_or(&[][..], |found| &found.roots);
            if table == Table::Outcomes {
                let leaves = Below::of(self.plan, roots).leaves;
                let outcomes = leaves.iter().filter_map(|leaf| self.plan.outcomes.get(*leaf as usize));
                for outcome in outcomes {
                    places.extend(led_to(&outcome.action, &outcome.edits));
                    places.extend(self.counting(&outcome.edits).map(|own| (own.service, own.port, NONE)));
                }
            }
        }
        places.extend(self.authorities().map(|own| (own.service, own.port, NONE)));
        places
    }

    /// Who counts for the limits among these.
    fn counting(&self, edits: &'p [Edit]) -> impl Iterator<Item = &'p Authority> {
        let plan = self.plan;
        edits.iter().filter_map(move |edit| match edit {
            Edit::RateLimit(RateLimit { counting: Counting::Global { by }, .. }) => {
                plan.authorities.get(*by as usize)
            }
            _ => None,
        })
    }

    /// Who its own proxy asks, but for what rules say.
    fn authorities(&self) -> impl Iterator<Item = &'p Authority> {
        let gateway = self.as_gateway();
        let listeners = gateway.into_iter().flat_map(|gateway| &gateway.listeners);
        let limits = listeners
            .map(|listener| listener.limits.as_slice())
            .chain(gateway.map(|gateway| gateway.limits.as_slice()))
            .chain(self.as_service().filter(|_| self.sends).map(|service| service.limits.as_slice()));
        limits.flat_map(|limits| self.counting(limits)).chain(self.agreeing()).collect::<Vec<_>>().into_iter()
    }

    /// Who has to agree to what comes in.
    fn agreeing(&self) -> impl Iterator<Item = &'p Authority> {
        let plan = self.plan;
        let partitions = self.partitions().into_iter().filter(|_| self.sends);
        let access =
            partitions.filter_map(|(partition, _)| Some(plan.partitions.get(partition as usize)?.access));
        let leaves = access.flat_map(|access| Below::of(plan, &[access]).leaves);
        let verdicts = leaves.filter_map(|leaf| plan.verdicts.get(leaf as usize));
        let asked = verdicts.flat_map(|verdict| &verdict.asks);
        asked.filter_map(|index| plan.authorities.get(*index as usize))
    }

    /// Names of the services that it sends to, but for its own.
    pub(super) fn leads_to(&self) -> Result<BTreeSet<&'p str>, PartsError> {
        let names = self.places().into_iter().map(|(service, ..)| self.service_at(service));
        let names: Result<BTreeSet<_>, _> =
            names.map(|found| found.map(|found| found.name.as_str())).collect();
        let mut names = names?;
        if let Some(own) = self.as_service() {
            names.remove(own.name.as_str());
        }
        Ok(names)
    }

    fn service_at(&self, index: u32) -> Result<&'p Service, PartsError> {
        self.plan.services.get(index as usize).ok_or_else(|| self.strange())
    }

    fn strange(&self) -> PartsError {
        PartsError::Strange(self.unit.clone())
    }
}

/// A service of what is put together: its place and what can be meant of it.
#[derive(Default)]
struct Place<'p> {
    index: u32,
    ports: BTreeSet<u16>,
    subsets: BTreeSet<&'p str>,
    is_stand_in: bool,
}

/// What is put together so far.
pub(super) struct Assembly<'p> {
    services: BTreeMap<&'p str, Place<'p>>,
    principals: BTreeMap<&'p str, u32>,
    prefixes: BTreeMap<&'p str, u32>,
    automata: Intern<Automaton>,
    outcomes: Intern<Outcome>,
    verdicts: Intern<Verdict>,
    authorities: Intern<Authority>,
    grants: Intern<Grant>,
    settings: Intern<Settings>,
    plan: Plan,
    /// Where the partitions of the members are, in their order.
    copied: HashMap<(usize, u32), u32>,
}

impl<'p> Assembly<'p> {
    /// The plan of some services and gateways. Where the mesh is known it is complete: it has no stand-ins.
    pub(super) fn of(members: Vec<Member<'p>>, mesh: Option<&'p Plan>) -> Result<Plan, PartsError> {
        let mut assembly = Assembly::with_names(&members, mesh)?;
        assembly.partitions(&members)?;
        assembly.workloads(&members)?;
        let default = mesh.map_or(NONE, |mesh| mesh.default_settings);
        let default = mesh.map_or(Ok(NONE), |mesh| assembly.settings_of(mesh, default, &Unit::Mesh))?;
        Ok(Plan {
            automata: assembly.automata.rows,
            outcomes: assembly.outcomes.rows,
            verdicts: assembly.verdicts.rows,
            authorities: assembly.authorities.rows,
            grants: assembly.grants.rows,
            settings: assembly.settings.rows,
            default_settings: default,
            ..assembly.plan
        })
    }

    /// Everything that others refer to by name, numbered.
    fn with_names(members: &[Member<'p>], mesh: Option<&'p Plan>) -> Result<Assembly<'p>, PartsError> {
        let services = places(members, mesh.is_some())?;
        let (principals, prefixes) = identities(members, mesh)?;
        let trust_domain = mesh.or(members.first().map(|member| member.plan));
        let plan = Plan {
            trust_domain: trust_domain.map(|plan| plan.trust_domain.clone()).unwrap_or_default(),
            principals: principals
                .iter()
                .map(|(identity, gateway)| Principal { identity: (*identity).to_owned(), gateway: *gateway })
                .collect(),
            prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
            ..Plan::default()
        };
        Ok(Assembly {
            services,
            principals: principals.into_keys().zip(0..).collect(),
            prefixes: prefixes.into_iter().zip(0..).collect(),
            automata: Intern::default(),
            outcomes: Intern::default(),
            verdicts: Intern::default(),
            authorities: Intern::default(),
            grants: Intern::default(),
            settings: Intern::default(),
            plan,
            copied: HashMap::new(),
        })
    }

    /// Of all ports, then of all listeners, calls and consumer routes: the order in which the compiler makes them.
    fn partitions(&mut self, members: &[Member<'p>]) -> Result<(), PartsError> {
        let mut owned: Vec<(u8, usize, u32, Table)> = Vec::new();
        for (member, number) in members.iter().zip(0..) {
            let ports = member.as_service().into_iter().flat_map(|service| &service.ports);
            owned.extend(ports.map(|port| (0, number, port.partition, Table::Outcomes)));
            let listeners = member.as_gateway().into_iter().flat_map(|gateway| &gateway.listeners);
            owned.extend(listeners.map(|listener| (1, number, listener.partition, Table::Outcomes)));
            owned.extend(member.calls().iter().map(|call| (2, number, call.partition, Table::Grants)));
            let is_gateway = u8::from(member.as_gateway().is_some());
            let routes = member.consumer_routes().iter();
            owned.extend(routes.map(|route| (3 + is_gateway, number, route.partition, Table::Outcomes)));
        }
        owned.sort_by_key(|(kind, ..)| *kind);
        for (_, number, partition, table) in owned {
            let Some(member) = members.get(number) else { continue };
            let copy = self.partition(member, partition, table)?;
            self.copied.insert((number, partition), copy);
        }
        Ok(())
    }

    fn partition(&mut self, member: &Member<'p>, index: u32, table: Table) -> Result<u32, PartsError> {
        let plan = member.plan;
        let from = plan.partitions.get(index as usize).ok_or_else(|| member.strange())?;
        let [access, below] = [std::slice::from_ref(&from.access), &from.roots].map(|of| Below::of(plan, of));
        let verdicts = self.leaves(&access.leaves, |assembly, leaf| assembly.verdict(member, leaf))?;
        let leaves = self.leaves(&below.leaves, |assembly, leaf| match table {
            Table::Outcomes => assembly.outcome(member, leaf),
            Table::Grants => assembly.grant(member, leaf),
        })?;
        let mut nodes: [HashMap<u32, u32>; 2] = Default::default();
        for node in access.nodes.union(&below.nodes) {
            for (group, (below, leaves)) in [(&access, &verdicts), (&below, &leaves)].into_iter().enumerate()
            {
                if let (true, Some(nodes)) = (below.nodes.contains(node), nodes.get_mut(group)) {
                    let copy = self.node(member, *node, nodes, leaves)?;
                    nodes.insert(*node, copy);
                }
            }
        }
        let [of_access, of_roots] = &nodes;
        let access = moved(from.access, of_access, &verdicts).ok_or_else(|| member.strange())?;
        let roots: Option<Vec<Target>> =
            from.roots.iter().map(|root| moved(*root, of_roots, &leaves)).collect();
        let partition = Partition {
            peers: self.peers(member, &from.peers)?,
            states: from.states.clone(),
            path_automaton: self.automaton(member, from.path_automaton)?,
            path_atoms: from.path_atoms,
            star: from.star,
            fields: from
                .fields
                .iter()
                .map(|field| {
                    Ok(Field { automaton: self.automaton(member, field.automaton)?, ..field.clone() })
                })
                .collect::<Result<_, _>>()?,
            access,
            roots: roots.ok_or_else(|| member.strange())?,
            vectors: vectors(&from.vectors, &verdicts, &leaves).ok_or_else(|| member.strange())?,
        };
        self.plan.partitions.push(partition);
        Ok(self.plan.partitions.len() as u32 - 1)
    }

    /// What the leaves of a partition become.
    fn leaves(
        &mut self,
        leaves: &[u32],
        mut copy: impl FnMut(&mut Self, u32) -> Result<u32, PartsError>,
    ) -> Result<HashMap<u32, u32>, PartsError> {
        leaves.iter().map(|leaf| Ok((*leaf, copy(self, *leaf)?))).collect()
    }

    fn node(
        &mut self,
        member: &Member<'p>,
        index: u32,
        nodes: &HashMap<u32, u32>,
        leaves: &HashMap<u32, u32>,
    ) -> Result<u32, PartsError> {
        let strange = || member.strange();
        let node = member.plan.nodes.get(index as usize).ok_or_else(strange)?;
        let children: Option<Vec<Target>> =
            node.children.iter().map(|child| moved(*child, nodes, leaves)).collect();
        let mut dim = node.dim;
        if dim & LIST != 0 {
            let list = member.plan.lists.get((dim & !LIST) as usize).ok_or_else(strange)?;
            dim = LIST | self.plan.lists.len() as u32;
            self.plan.lists.push(list.clone());
        }
        self.plan.nodes.push(Node { dim, children: children.ok_or_else(strange)? });
        Ok(self.plan.nodes.len() as u32 - 1)
    }

    fn peers(&self, member: &Member<'p>, peers: &Peers) -> Result<Peers, PartsError> {
        let principal = |(index, atom): &(u32, u32)| {
            let identity = &member.plan.principals.get(*index as usize)?.identity;
            Some((*self.principals.get(identity.as_str())?, *atom))
        };
        let prefix = |(index, atom): &(u32, u32)| {
            let text = member.plan.prefixes.get(*index as usize)?;
            Some((*self.prefixes.get(text.as_str())?, *atom))
        };
        let principals: Option<Vec<_>> = peers.principals.iter().map(principal).collect();
        let prefixes: Option<Vec<_>> = peers.prefixes.iter().map(prefix).collect();
        let (Some(principals), Some(prefixes)) = (principals, prefixes) else { return Err(member.strange()) };
        Ok(Peers { principals, prefixes, ..peers.clone() })
    }

    fn automaton(&mut self, member: &Member<'p>, index: Option<u32>) -> Result<Option<u32>, PartsError> {
        let Some(index) = index else { return Ok(None) };
        let automaton = member.plan.automata.get(index as usize).ok_or_else(|| member.strange())?;
        Ok(Some(self.automata.index(automaton)))
    }

    fn verdict(&mut self, member: &Member<'p>, index: u32) -> Result<u32, PartsError> {
        let verdict = member.plan.verdicts.get(index as usize).ok_or_else(|| member.strange())?;
        let mut asks = Vec::with_capacity(verdict.asks.len());
        // Only whose request it is to let in asks.
        for index in verdict.asks.iter().filter(|_| member.sends) {
            asks.push(self.authority(member, *index)?);
        }
        Ok(self.verdicts.index(&Verdict { asks, ..verdict.clone() }))
    }

    fn authority(&mut self, member: &Member<'p>, index: u32) -> Result<u32, PartsError> {
        let own = member.plan.authorities.get(index as usize).ok_or_else(|| member.strange())?;
        let (service, port) = self.place(member, own.service, own.port)?;
        Ok(self.authorities.index(&Authority { service, port, ..own.clone() }))
    }

    fn grant(&mut self, member: &Member<'p>, index: u32) -> Result<u32, PartsError> {
        let grant = *member.plan.grants.get(index as usize).ok_or_else(|| member.strange())?;
        let settings = self.settings_of(member.plan, grant.settings, &member.unit)?;
        let op_settings = self.settings_of(member.plan, grant.op_settings, &member.unit)?;
        Ok(self.grants.index(&Grant { op_settings, settings }))
    }

    fn outcome(&mut self, member: &Member<'p>, index: u32) -> Result<u32, PartsError> {
        let outcome = member.plan.outcomes.get(index as usize).ok_or_else(|| member.strange())?;
        let settings = self.settings_of(member.plan, outcome.settings, &member.unit)?;
        let action = match &outcome.action {
            Action::Forward(backends) => {
                let backends: Result<_, _> =
                    backends.iter().map(|backend| self.backend(member, *backend)).collect();
                Action::Forward(backends?)
            }
            other => other.clone(),
        };
        let edits: Result<_, _> = outcome.edits.iter().map(|edit| self.edit(member, edit)).collect();
        Ok(self.outcomes.index(&Outcome { rule: outcome.rule.clone(), settings, action, edits: edits? }))
    }

    fn backend(&self, member: &Member<'p>, backend: Backend) -> Result<Backend, PartsError> {
        let (service, port) = self.place(member, backend.service, backend.port)?;
        let subset = self.subset(member, backend.service, backend.subset)?;
        Ok(Backend { service, port, subset, ..backend })
    }

    fn edit(&mut self, member: &Member<'p>, edit: &Edit) -> Result<Edit, PartsError> {
        match edit {
            Edit::Mirror { service, port, subset, share } => {
                let subset = self.subset(member, *service, *subset)?;
                let (service, port) = self.place(member, *service, *port)?;
                Ok(Edit::Mirror { service, port, subset, share: *share })
            }
            Edit::RateLimit(limit) => match limit.counting {
                Counting::Local { .. } => Ok(edit.clone()),
                Counting::Global { by } => {
                    let counting = Counting::Global { by: self.authority(member, by)? };
                    Ok(Edit::RateLimit(RateLimit { counting, ..limit.clone() }))
                }
            },
            other => Ok(other.clone()),
        }
    }

    /// What a workload's own proxy lets in.
    fn limits(&mut self, member: &Member<'p>, limits: &[Edit]) -> Result<Vec<Edit>, PartsError> {
        // Only who lets in has all counted.
        let own = limits.iter().filter(|limit| member.sends || !is_global(limit));
        own.map(|limit| self.edit(member, limit)).collect()
    }

    /// A port of a service of a member's plan, here.
    fn place(&self, member: &Member<'p>, service: u32, port: u32) -> Result<(u32, u32), PartsError> {
        let service = member.service_at(service)?;
        let number = service.ports.get(port as usize).ok_or_else(|| member.strange())?.number;
        let place = self.services.get(service.name.as_str()).ok_or_else(|| member.strange())?;
        match place.ports.iter().position(|own| *own == number) {
            Some(port) => Ok((place.index, port as u32)),
            None => Err(nowhere(service, format!("port {number}"))),
        }
    }

    fn subset(&self, member: &Member<'p>, service: u32, subset: u32) -> Result<u32, PartsError> {
        if subset == NONE {
            return Ok(NONE);
        }
        let service = member.service_at(service)?;
        let name = service.subsets.get(subset as usize).ok_or_else(|| member.strange())?;
        let place = self.services.get(service.name.as_str()).ok_or_else(|| member.strange())?;
        match place.subsets.iter().position(|own| own == name) {
            Some(subset) => Ok(subset as u32),
            None => Err(nowhere(service, format!("subset {name}"))),
        }
    }

    fn settings_of(&mut self, plan: &Plan, index: u32, unit: &Unit) -> Result<u32, PartsError> {
        if index == NONE {
            return Ok(NONE);
        }
        let settings = plan.settings.get(index as usize).ok_or_else(|| PartsError::Strange(unit.clone()))?;
        Ok(self.settings.index(settings))
    }

    fn workloads(&mut self, members: &[Member<'p>]) -> Result<(), PartsError> {
        let mut services: BTreeMap<&str, Service> = BTreeMap::new();
        for (member, number) in members.iter().zip(0..) {
            if let Some(service) = member.as_service() {
                services.insert(&service.name, self.service(member, number, service)?);
            }
            if let Some(gateway) = member.as_gateway() {
                let gateway = self.gateway(member, number, gateway)?;
                self.plan.gateways.push(gateway);
            }
        }
        let stand_ins: Vec<(&str, Place<'p>)> = {
            let taken = std::mem::take(&mut self.services).into_iter();
            taken.filter(|(_, place)| place.is_stand_in).collect()
        };
        if !stand_ins.is_empty() {
            let closed = self.plan.partitions.len() as u32;
            self.plan.partitions.push(closed_partition());
            for (name, place) in stand_ins {
                services.insert(name, stand_in(name, &place, closed));
            }
        }
        self.plan.services = services.into_values().collect();
        Ok(())
    }

    fn service(
        &mut self,
        member: &Member<'p>,
        number: usize,
        service: &Service,
    ) -> Result<Service, PartsError> {
        let mut ports = Vec::with_capacity(service.ports.len());
        for port in &service.ports {
            ports.push(Port { partition: self.copy_of(member, number, port.partition)?, ..port.clone() });
        }
        let mut calls = Vec::new();
        for call in member.calls() {
            let (service, port) = self.place(member, call.service, call.port)?;
            calls.push(Call { service, port, partition: self.copy_of(member, number, call.partition)? });
        }
        let hosts: &[CallHost] = if member.sends { &service.hosts } else { &[] };
        Ok(Service {
            name: service.name.clone(),
            owner: service.owner.clone(),
            principal: self.principal(member)?,
            settings: self.settings_of(member.plan, service.settings, &member.unit)?,
            limits: self.limits(member, &service.limits)?,
            panic_threshold: service.panic_threshold,
            logged: service.logged,
            health_check: service.health_check.clone(),
            tls: service.tls.clone(),
            nearness: service.nearness.clone(),
            verifiers: service.verifiers.clone(),
            ports,
            subsets: service.subsets.clone(),
            calls,
            hosts: hosts.to_vec(),
            consumer_routes: self.consumer_routes(member, number)?,
        })
    }

    fn gateway(
        &mut self,
        member: &Member<'p>,
        number: usize,
        gateway: &Gateway,
    ) -> Result<Gateway, PartsError> {
        let mut listeners = Vec::with_capacity(gateway.listeners.len());
        for listener in &gateway.listeners {
            let partition = self.copy_of(member, number, listener.partition)?;
            let limits = self.limits(member, &listener.limits)?;
            listeners.push(Listener { partition, limits, ..listener.clone() });
        }
        let limits = self.limits(member, &gateway.limits)?;
        let consumer_routes = self.consumer_routes(member, number)?;
        Ok(Gateway {
            principal: self.principal(member)?,
            limits,
            listeners,
            consumer_routes,
            ..gateway.clone()
        })
    }

    fn consumer_routes(&self, member: &Member<'p>, number: usize) -> Result<Vec<ConsumerRoute>, PartsError> {
        let routes = member.consumer_routes().iter().map(|route| {
            let (service, port) = self.place(member, route.service, route.port)?;
            Ok(ConsumerRoute { service, port, partition: self.copy_of(member, number, route.partition)? })
        });
        routes.collect()
    }

    fn copy_of(&self, member: &Member<'p>, number: usize, partition: u32) -> Result<u32, PartsError> {
        self.copied.get(&(number, partition)).copied().ok_or_else(|| member.strange())
    }

    fn principal(&self, member: &Member<'p>) -> Result<u32, PartsError> {
        let own = member.plan.principals.get(member.principal() as usize);
        let here = own.and_then(|own| self.principals.get(own.identity.as_str()));
        here.copied().ok_or_else(|| member.strange())
    }
}

fn is_global(edit: &Edit) -> bool {
    matches!(edit, Edit::RateLimit(RateLimit { counting: Counting::Global { .. }, .. }))
}

/// The services of what is put together. Those that are only meant are stand-ins, or missing where there may be none.
fn places<'p>(members: &[Member<'p>], complete: bool) -> Result<BTreeMap<&'p str, Place<'p>>, PartsError> {
    let mut services: BTreeMap<&str, Place<'_>> = BTreeMap::new();
    for service in members.iter().filter_map(Member::as_service) {
        let place = services.entry(&service.name).or_default();
        place.ports.extend(service.ports.iter().map(|port| port.number));
        place.subsets.extend(service.subsets.iter().map(String::as_str));
    }
    for member in members {
        for (service, port, subset) in member.places() {
            let service = member.service_at(service)?;
            let missing = !services.contains_key(service.name.as_str());
            if missing && complete {
                return Err(PartsError::Missing(Unit::Service(service.name.clone())));
            }
            let place = services.entry(&service.name).or_default();
            place.is_stand_in |= missing;
            if place.is_stand_in {
                place.ports.extend(service.ports.get(port as usize).map(|port| port.number));
                place.subsets.extend(service.subsets.get(subset as usize).map(String::as_str));
            }
        }
    }
    services.values_mut().zip(0..).for_each(|(place, index)| place.index = index);
    Ok(services)
}

/// Who is known to what is put together, and the beginnings of identities. That somebody is a gateway nobody may deny.
fn identities<'p>(
    members: &[Member<'p>],
    mesh: Option<&'p Plan>,
) -> Result<(BTreeMap<&'p str, bool>, BTreeSet<&'p str>), PartsError> {
    let mut principals: BTreeMap<&str, bool> = BTreeMap::new();
    let mut prefixes = BTreeSet::new();
    let mut meet = |principal: &'p Principal, unit: &Unit| {
        let known = *principals.entry(&principal.identity).or_insert(principal.gateway);
        if known == principal.gateway { Ok(()) } else { Err(PartsError::Strange(unit.clone())) }
    };
    for principal in mesh.into_iter().flat_map(|mesh| &mesh.principals) {
        meet(principal, &Unit::Mesh)?;
    }
    for member in members {
        let plan = member.plan;
        let mut known = BTreeSet::from([member.principal()]);
        for (partition, _) in member.partitions() {
            let partition = plan.partitions.get(partition as usize).ok_or_else(|| member.strange())?;
            known.extend(partition.peers.principals.iter().map(|(index, _)| *index));
            let texts = partition.peers.prefixes.iter().map(|(index, _)| plan.prefixes.get(*index as usize));
            prefixes.extend(texts.flatten().map(String::as_str));
        }
        for index in known {
            let principal = plan.principals.get(index as usize).ok_or_else(|| member.strange())?;
            meet(principal, &member.unit)?;
        }
    }
    Ok((principals, prefixes))
}

/// A service that is only meant. Its identity is not said: it stands for that of the part's owner.
fn stand_in(name: &str, place: &Place<'_>, closed: u32) -> Service {
    let port = |number: &u16| Port {
        number: *number,
        protocol: Protocol::default(),
        mtls: Mtls::default(),
        probed: false,
        name: String::new(),
        partition: closed,
        endpoints: vec![],
        subset_endpoints: vec![vec![]; place.subsets.len()],
    };
    Service {
        name: name.to_owned(),
        owner: String::new(),
        principal: 0,
        settings: NONE,
        panic_threshold: 0,
        logged: None,
        health_check: None,
        tls: None,
        nearness: Nearness::default(),
        verifiers: vec![],
        limits: vec![],
        ports: place.ports.iter().map(port).collect(),
        subsets: place.subsets.iter().map(|subset| (*subset).to_owned()).collect(),
        calls: vec![],
        hosts: vec![],
        consumer_routes: vec![],
    }
}

/// The ports of stand-ins let nobody in and lead nowhere: a part that is used as a plan refuses.
fn closed_partition() -> Partition {
    Partition {
        peers: Peers { atoms: 1, ..Peers::default() },
        states: vec![State { atom: 0, edges: vec![], other: NONE, empty: NONE }],
        path_atoms: 1,
        access: Target::Leaf(REFUSED),
        roots: vec![Target::Leaf(REFUSED)],
        ..Partition::default()
    }
}

fn nowhere(service: &Service, what: String) -> PartsError {
    PartsError::Nowhere { service: service.name.clone(), what }
}

/// The same requests; what is decided about them has other numbers.
fn vectors(from: &[Vector], verdicts: &HashMap<u32, u32>, leaves: &HashMap<u32, u32>) -> Option<Vec<Vector>> {
    let copy = |own: &Vector| {
        let leaves = if own.root == NONE { verdicts } else { leaves };
        let Target::Leaf(leaf) = moved(Target::Leaf(own.leaf), &HashMap::new(), leaves)? else { return None };
        Some(Vector { leaf, ..own.clone() })
    };
    let mut copies: Vec<Vector> = from.iter().map(copy).collect::<Option<_>>()?;
    copies.sort_unstable();
    // Lines that say the same here are one.
    copies.dedup_by_key(|own| (own.root, own.leaf));
    Some(copies)
}

/// Where a target is now.
fn moved(target: Target, nodes: &HashMap<u32, u32>, leaves: &HashMap<u32, u32>) -> Option<Target> {
    match target {
        Target::Leaf(leaf) if leaf == REFUSED || leaf == NONE => Some(target),
        Target::Leaf(leaf) => leaves.get(&leaf).map(|leaf| Target::Leaf(*leaf)),
        Target::Node(node) => nodes.get(&node).map(|node| Target::Node(*node)),
    }
}

/// A table in which equal rows are stored once, in order of their first use.
struct Intern<T> {
    known: HashMap<T, u32>,
    rows: Vec<T>,
}

impl<T> Default for Intern<T> {
    fn default() -> Self {
        Intern { known: HashMap::new(), rows: Vec::new() }
    }
}

impl<T: Eq + Hash + Clone> Intern<T> {
    fn index(&mut self, row: &T) -> u32 {
        if let Some(known) = self.known.get(row) {
            return *known;
        }
        let index = self.rows.len() as u32;
        self.rows.push(row.clone());
        self.known.insert(row.clone(), index);
        index
    }
}
