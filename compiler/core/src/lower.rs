//! Model and diagrams become the plan: names become indices, what is equal is stored once.

mod hosts;
mod intern;
mod space;
mod vectors;

use crate::diagram::{Becomes, Lists, NO};
use crate::model::{
    AccessLine, Action, Authority, Backend, Call, Caller, Check, Gateway, GatewayId, Listener, Model, Naming,
    Port, PortId, Principal, Service, ServiceId, Table,
};
use crate::partition::{Leaf, Owner, Partition};
use intern::Intern;
use mesh_lang::ast::{self, Effect, HostPattern};
use mesh_lang::{Span, Text};
use mesh_plan::{self as plan, Counting, NONE, Plan, REFUSED, Settings, Target};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// An owner as a key.
type Key = (u8, u32, u32);

fn key(owner: Owner) -> Key {
    match owner {
        Owner::Port(PortId { service, port }) => (0, service.0, port),
        Owner::Listener(gateway, listener) => (1, gateway.0, listener),
        Owner::Call(service, call) => (2, service.0, call),
        Owner::Consumer(index) => (3, index, 0),
    }
}

fn mtls(mode: Option<ast::Mtls>) -> plan::Mtls {
    match mode {
        None => plan::Mtls::None,
        Some(ast::Mtls::Permissive) => plan::Mtls::Permissive,
        Some(ast::Mtls::Strict) => plan::Mtls::Strict,
        Some(ast::Mtls::Off) => plan::Mtls::Off,
    }
}

/// What the proxy has to know of a protocol.
fn protocol(protocol: ast::Protocol) -> plan::Protocol {
    match protocol {
        ast::Protocol::Http | ast::Protocol::Https => plan::Protocol::Http,
        ast::Protocol::Http2 => plan::Protocol::Http2,
        ast::Protocol::Grpc => plan::Protocol::Grpc,
        ast::Protocol::Tcp => plan::Protocol::Connections,
        ast::Protocol::Tls => plan::Protocol::Tls,
    }
}

/// The plan of a mesh, partition by partition: the tables that are filled on the way.
#[derive(Default)]
pub(crate) struct Lowering {
    /// Where the partition of an owner is in the plan.
    places: BTreeMap<Key, u32>,
    principals: Vec<plan::Principal>,
    /// By identity, its place in them.
    numbers: FxHashMap<Text, u32>,
    prefixes: Vec<String>,
    trust_domain: String,
    partitions: Vec<plan::Partition>,
    automata: Intern<plan::Automaton>,
    nodes: Vec<plan::Node>,
    lists: Vec<plan::List>,
    outcomes: Intern<plan::Outcome>,
    verdicts: Intern<plan::Verdict>,
    authorities: Intern<plan::Authority>,
    grants: Intern<plan::Grant>,
    settings: Intern<Settings>,
    /// What logs tell of requests, and where it stands.
    told: Vec<(Text, Span)>,
}

/// What was lowered.
pub(crate) struct Lowered {
    pub(crate) plan: Plan,
    /// What rules and lines are called in logs, and where they stand. Of several that are called alike each is here.
    pub(crate) told: Vec<(Text, Span)>,
}

impl Lowering {
    /// With every identity that a line may be about.
    pub(crate) fn new(model: &Model) -> Lowering {
        let gateways: BTreeSet<&str> =
            model.gateways.iter().map(|gateway| gateway.workload.identity.as_str()).collect();
        let (identities, prefixes) = named(model);
        let principals = identities.into_iter().map(|identity| plan::Principal {
            gateway: gateways.contains(identity),
            identity: identity.to_owned(),
        });
        let (principals, prefixes): (Vec<_>, _) = (principals.collect(), prefixes.into_iter().collect());
        let numbers = principals.iter().zip(0..).map(|(own, number)| (own.identity.as_str().into(), number));
        Lowering {
            numbers: numbers.collect(),
            principals,
            prefixes,
            trust_domain: model.trust_domain.clone(),
            ..Lowering::default()
        }
    }

    /// Settings that say nothing are not stored.
    fn settings(&mut self, settings: &Settings) -> u32 {
        if *settings == Settings::default() { NONE } else { self.settings.index(settings.clone()) }
    }

    /// Adds a partition. Same partitions in the same order, same plan.
    pub(crate) fn add(
        &mut self,
        model: &Model,
        partition: &mut Partition,
    ) -> Result<(), crate::diagram::TooManyNodes> {
        let (access, verdicts) = self.access(model, partition)?;
        let verdict = |leaf: u32| Target::Leaf(verdicts.get(leaf as usize).copied().unwrap_or(REFUSED));
        let leaves = self.leaves(model, partition.owner);
        let default = self.default_route(model, partition.owner);
        let outcome = |leaf: u32| leaves.get(&leaf).copied().or(default).unwrap_or(Target::Leaf(REFUSED));
        let roots: Vec<Target> = partition.tables.iter().map(|judged| judged.root).collect();
        let groups: [(&[Target], Becomes<'_>); 2] = [(&[access], &verdict), (&roots, &outcome)];
        let first = (self.nodes.len() as u32, self.lists.len() as u32);
        let (nodes, roots) = match partition.diagram.lists(&groups, first) {
            Some(made) => {
                let Lists { nodes, lists, roots } = made?;
                self.lists.extend(lists);
                (nodes, roots)
            }
            None => partition.diagram.compact(&groups, first.0),
        };
        self.nodes.extend(nodes);
        let mut lowered = space::lower(
            partition.diagram.space(),
            &self.numbers,
            &self.prefixes,
            &self.trust_domain,
            &mut self.automata,
        );
        if asks_of_callers(model, partition.owner) {
            let own = lowered.fields.iter_mut().filter(|field| field.kind == plan::FieldKind::SourceIp);
            own.for_each(|field| field.kind = plan::FieldKind::CallerIp);
        }
        let tables = (0..).zip(&partition.tables).map(|(number, judged)| {
            let outcome: Becomes<'_> = &outcome;
            (number, judged.root, outcome)
        });
        let verdict: Becomes<'_> = &verdict;
        let decisions: Vec<_> = tables.chain([(NONE, access, verdict)]).collect();
        lowered.vectors = vectors::of(model, &partition.diagram, &decisions);
        let mut roots = roots.into_iter();
        lowered.access = roots.next().unwrap_or_default();
        lowered.roots = roots.collect();
        self.places.insert(key(partition.owner), self.partitions.len() as u32);
        self.partitions.push(lowered);
        Ok(())
    }

    /// The authorization, and what each of its leaves becomes.
    fn access(
        &mut self,
        model: &Model,
        partition: &mut Partition,
    ) -> Result<(Target, Vec<u32>), crate::diagram::TooManyNodes> {
        let (lines, checks) = access(model, partition.owner);
        self.told.extend(lines.iter().map(|line| (line.text.text().clone(), line.span)));
        let (root, told) = told(lines, checks, partition)?;
        Ok((root, told.into_iter().map(|told| self.verdict(lines, checks, told)).collect()))
    }

    fn verdict(&mut self, lines: &[AccessLine], checks: &[Check], told: Told) -> u32 {
        let line = lines.get(told.line as usize);
        let mode = line.filter(|line| line.is_mode).map(|_| told.line as usize);
        let audits = mode.into_iter().chain(told.audits).map(|index| lines[index].text.as_str());
        let audit: Vec<&str> = audits.collect();
        if line.is_none() && audit.is_empty() {
            return REFUSED;
        }
        // Lines of one authority ask it once.
        let mut asks: Vec<u32> =
            told.checks.iter().map(|check| self.authority(&checks[*check].authority)).collect();
        asks.dedup();
        self.verdicts.index(plan::Verdict {
            allow: line.is_some_and(|line| line.effect == Effect::Allow),
            probe: line.is_some_and(|line| line.is_probe),
            rule: line.map(|line| line.text.as_str().to_owned()).unwrap_or_default(),
            audit: audit.join("\n"),
            asks,
        })
    }

    fn authority(&mut self, own: &Authority) -> u32 {
        self.authorities.index(plan::Authority {
            name: own.name.to_string(),
            service: own.to.service.0,
            port: own.to.port,
            timeout: own.timeout,
            lets_in_on_failure: own.lets_in_on_failure,
        })
    }

    /// What each leaf of a partition's tables becomes.
    fn leaves(&mut self, model: &Model, owner: Owner) -> BTreeMap<u32, Target> {
        match owner {
            Owner::Port(id) => {
                let name = format!("route {}", model.port_name(id));
                model
                    .port(id)
                    .route
                    .iter()
                    .flat_map(|table| self.outcomes_of(model, table, 0, &name))
                    .collect()
            }
            Owner::Listener(gateway, listener) => {
                let Listener { name, tables, .. } = &model[gateway].listeners[listener as usize];
                let gateway = model[gateway].full_name();
                let numbered = tables.iter().zip(0..);
                numbered
                    .flat_map(|(host, number)| {
                        let name = format!("route {gateway} listener {name} host \"{}\"", host.host);
                        self.outcomes_of(model, &host.table, number, &name)
                    })
                    .collect()
            }
            Owner::Call(service, call) => self.grants_of(&model[service].calls[call as usize]),
            Owner::Consumer(index) => {
                let route = &model.consumer_routes[index as usize];
                let name = format!("route {}", model.consumer_route_name(route));
                self.outcomes_of(model, &route.table, 0, &name).into_iter().collect()
            }
        }
    }

    /// With those who count by their places in the plan.
    fn edits(&mut self, model: &Model, edits: &[plan::Edit]) -> Vec<plan::Edit> {
        let counted = |edit: &plan::Edit| match edit {
            plan::Edit::RateLimit(limit @ plan::RateLimit { counting: Counting::Global { by }, .. }) => {
                // One of which something is missing is told of, and no plan is built.
                let (own, _) = model.limiters.get(*by as usize)?.as_ref()?;
                let counting = Counting::Global { by: self.authority(own) };
                Some(plan::Edit::RateLimit(plan::RateLimit { counting, ..limit.clone() }))
            }
            other => Some(other.clone()),
        };
        edits.iter().filter_map(counted).collect()
    }

    fn outcomes_of(&mut self, model: &Model, table: &Table, number: u32, name: &str) -> Vec<(u32, Target)> {
        let mut leaves = Vec::new();
        for (rule, index) in table.rules.iter().zip(0..) {
            let called = format!("{name} rule {}", rule.name);
            self.told.push((called.as_str().into(), rule.span));
            let outcome = plan::Outcome {
                rule: called,
                settings: self.settings(&rule.settings),
                action: action(&rule.action),
                edits: self.edits(model, &rule.edits),
            };
            leaves.push((
                Leaf::Rule { table: number, rule: index }.number(),
                Target::Leaf(self.outcomes.index(outcome)),
            ));
        }
        if let Some((status, span)) = table.otherwise {
            let called = format!("{name} otherwise");
            self.told.push((called.as_str().into(), span));
            let outcome = plan::Outcome {
                rule: called,
                settings: NONE,
                action: plan::Action::Respond { status, body: String::new() },
                edits: vec![],
            };
            leaves.push((
                Leaf::Otherwise { table: number }.number(),
                Target::Leaf(self.outcomes.index(outcome)),
            ));
        }
        leaves
    }

    fn grants_of(&mut self, call: &Call) -> BTreeMap<u32, Target> {
        let plain =
            call.lines.iter().find(|line| !line.narrowed).map_or(NONE, |line| self.settings(&line.settings));
        let lines = call.lines.iter().zip(0..);
        let grants = lines.map(|(line, number)| {
            let op_settings = if line.narrowed { self.settings(&line.settings) } else { NONE };
            (number, Target::Leaf(self.grants.index(plan::Grant { op_settings, settings: plain })))
        });
        grants.collect()
    }

    /// A service without a route has the rule `default` that sends to itself.
    fn default_route(&mut self, model: &Model, owner: Owner) -> Option<Target> {
        let Owner::Port(id) = owner else { return None };
        if model.port(id).route.is_some() {
            return None;
        }
        let own = plan::Backend {
            service: id.service.0,
            port: id.port,
            subset: NONE,
            enter: false,
            weight: 10_000,
        };
        let called = format!("route {} rule default", model.port_name(id));
        // Nobody wrote it: it is because of the service.
        self.told.push((called.as_str().into(), model[id.service].workload.span));
        Some(Target::Leaf(self.outcomes.index(plan::Outcome {
            rule: called,
            settings: NONE,
            action: plan::Action::Forward(vec![own]),
            edits: vec![],
        })))
    }

    /// The plan, once every partition is in it.
    pub(crate) fn finish(mut self, model: &Model) -> Lowered {
        let partitions = std::mem::take(&mut self.places);
        let services = model
            .services
            .iter()
            .zip(0..)
            .map(|(service, index)| self.service(model, service, index, &partitions))
            .collect();
        let mut gateways = Vec::with_capacity(model.gateways.len());
        for (gateway, index) in model.gateways.iter().zip(0..) {
            gateways.push(self.gateway(model, gateway, index, &partitions));
        }
        let default_settings = self.settings(&model.default);
        let plan = Plan {
            trust_domain: self.trust_domain,
            principals: self.principals,
            prefixes: self.prefixes,
            services,
            gateways,
            partitions: self.partitions,
            automata: self.automata.into_table(),
            nodes: self.nodes,
            lists: self.lists,
            outcomes: self.outcomes.into_table(),
            verdicts: self.verdicts.into_table(),
            authorities: self.authorities.into_table(),
            grants: self.grants.into_table(),
            settings: self.settings.into_table(),
            default_settings,
        };
        Lowered { plan, told: self.told }
    }

    fn principal(&self, identity: &str) -> u32 {
        self.numbers.get(identity).copied().unwrap_or(NONE)
    }

    fn gateway(
        &mut self,
        model: &Model,
        gateway: &Gateway,
        index: u32,
        partitions: &BTreeMap<Key, u32>,
    ) -> plan::Gateway {
        let listeners = gateway.listeners.iter().zip(0..).map(|(listener, number)| plan::Listener {
            name: listener.name.clone(),
            number: listener.number,
            protocol: protocol(listener.protocol),
            proxy_protocol: listener.proxy_protocol,
            limits: self.edits(model, &listener.limits),
            partition: partitions.get(&(1, index, number)).copied().unwrap_or(NONE),
            hosts: listener.tables.iter().map(|table| host(&table.host)).collect(),
            certificates: listener.certificates.clone(),
            client_ca: listener.client_ca.clone(),
        });
        let listeners = listeners.collect();
        plan::Gateway {
            name: gateway.full_name(),
            owner: gateway.workload.owner.as_str().to_owned(),
            principal: self.principal(&gateway.workload.identity),
            limits: self.edits(model, &gateway.limits),
            trusted_hops: gateway.trusted_hops,
            logged: gateway.logged.or(model.logged),
            verifiers: gateway.workload.verifiers.clone(),
            listeners,
            consumer_routes: consumer_routes(model, Caller::Gateway(GatewayId(index)), partitions),
        }
    }

    fn service(
        &mut self,
        model: &Model,
        service: &Service,
        index: u32,
        partitions: &BTreeMap<Key, u32>,
    ) -> plan::Service {
        let subsets = service.subsets.len() as u32;
        let ports = service.ports.iter().zip(0..).map(|(port, number)| plan::Port {
            number: port.number,
            protocol: protocol(port.protocol),
            mtls: mtls(port.mtls.map(|mode| mode.value)),
            probed: !port.probes.is_empty(),
            name: port.name.as_str().to_owned(),
            partition: partitions.get(&(0, index, number)).copied().unwrap_or(NONE),
            endpoints: port
                .endpoints
                .iter()
                .map(|endpoint| plan::Endpoint {
                    ip: endpoint.ip,
                    port: endpoint.port,
                    name: endpoint.name.to_string(),
                    is_outside: endpoint.naming != Naming::Inside,
                    is_asked: endpoint.naming == Naming::Asked,
                    cluster: endpoint.cluster.to_string(),
                    zone: endpoint.zone.to_string(),
                })
                .collect(),
            subset_endpoints: (0..subsets).map(|subset| members(port, subset)).collect(),
        });
        let calls = service.calls.iter().zip(0..).map(|(call, number)| plan::Call {
            service: call.to.service.0,
            port: call.to.port,
            partition: partitions.get(&(2, index, number)).copied().unwrap_or(NONE),
        });
        plan::Service {
            name: service.full_name(),
            owner: service.workload.owner.as_str().to_owned(),
            principal: self.principal(&service.workload.identity),
            settings: self.settings(&service.settings),
            limits: self.edits(model, &service.limits),
            panic_threshold: service.panic_threshold,
            logged: service.logged.or(model.logged),
            health_check: service.health_check.clone(),
            tls: service.tls.clone(),
            nearness: service.nearness.clone(),
            verifiers: service.workload.verifiers.clone(),
            ports: ports.collect(),
            subsets: service.subsets.iter().map(|subset| subset.name.as_str().to_owned()).collect(),
            calls: calls.collect(),
            hosts: hosts::of(model, service),
            consumer_routes: consumer_routes(model, Caller::Service(ServiceId(index)), partitions),
        }
    }
}

/// Whether the authorization of a service looks at the address of who calls it, which its own proxy sees.
fn asks_of_callers(model: &Model, owner: Owner) -> bool {
    matches!(owner, Owner::Port(id) if model.port(id).asks_of_callers().next().is_some())
}

/// Whether the plan of a partition can be written within the budget.
pub(crate) fn fits(model: &Model, partition: &mut Partition) -> bool {
    let (lines, checks) = access(model, partition.owner);
    let Ok((access, _)) = told(lines, checks, partition) else { return false };
    let tables = partition.tables.iter().map(|judged| judged.root);
    let roots: Vec<Target> = std::iter::once(access).chain(tables).collect();
    partition.diagram.lists(&[(&roots, &Target::Leaf)], (0, 0)).is_none_or(|made| made.is_ok())
}

/// The lines of an authorization; calls and routes of callers have none.
fn access(model: &Model, owner: Owner) -> (&[AccessLine], &[Check]) {
    match owner {
        Owner::Port(id) => (&model.port(id).access, &model.port(id).checks),
        Owner::Listener(gateway, listener) => {
            let own = &model[gateway].listeners[listener as usize];
            (&own.access, &own.checks)
        }
        Owner::Call(..) | Owner::Consumer(_) => (&[], &[]),
    }
}

/// What an authorization says of a request: the line that decides, or [`REFUSED`], the audits that match, and of what is let in the
/// checks that are about it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Told {
    line: u32,
    audits: Vec<usize>,
    checks: Vec<usize>,
}

/// The authorization with what is audited and who is asked: its leaves are indices of what is told.
fn told(
    lines: &[AccessLine],
    checks: &[Check],
    partition: &mut Partition,
) -> Result<(Target, Vec<Told>), crate::diagram::TooManyNodes> {
    let mut told = Intern::default();
    let mut of_lines: BTreeMap<u32, u32> = BTreeMap::new();
    // Without audits what is told of a request is the line that decides.
    if checks.is_empty() && lines.iter().all(|line| line.effect != Effect::Audit) {
        let told = (0..lines.len() as u32).map(|line| Told { line, ..Told::default() });
        return Ok((partition.access, told.collect()));
    }
    let is_audit = |line: u32| lines.get(line as usize).is_some_and(|line| line.effect == Effect::Audit);
    for line in (0..lines.len() as u32).filter(|line| !is_audit(*line)).chain([REFUSED]) {
        of_lines.insert(line, told.index(Told { line, ..Told::default() }));
    }
    let leaf = |leaf: u32| Target::Leaf(of_lines.get(&leaf).copied().unwrap_or(REFUSED));
    let mut root = partition.diagram.map(partition.access, &leaf)?;
    let told = RefCell::new(told);
    let is_allow = |line: u32| lines.get(line as usize).is_some_and(AccessLine::lets_in);
    let audits = (0..lines.len()).filter(|line| is_audit(*line as u32)).map(Besides::Audit);
    for besides in audits.chain((0..checks.len()).map(Besides::Check)) {
        let set = match besides {
            Besides::Audit(line) => known_to_match(partition, line)?,
            Besides::Check(check) => partition.check_sets[check],
        };
        // Only what can come together is told together.
        let inside = partition.diagram.choose(set, root, Target::Leaf(REFUSED))?;
        let audited = partition.diagram.map(inside, &|leaf| {
            let mut told = told.borrow_mut();
            let known = told.get(leaf).cloned();
            Target::Leaf(known.map_or(REFUSED, |mut known: Told| {
                match besides {
                    Besides::Audit(line) => known.audits.push(line),
                    // Of what is denied nobody is asked, nor of what the node asks.
                    Besides::Check(check) if is_allow(known.line) => known.checks.push(check),
                    Besides::Check(_) => {}
                }
                told.index(known)
            }))
        })?;
        root = partition.diagram.choose(set, audited, root)?;
    }
    Ok((root, told.into_inner().into_table()))
}

/// What an `audit` matches: it tells of nothing that is not known.
fn known_to_match(partition: &mut Partition, line: usize) -> Result<Target, crate::diagram::TooManyNodes> {
    let set = partition.access_sets[line];
    let known = partition.diagram.space().known();
    if known.sets.is_empty() {
        return Ok(set);
    }
    let known = partition.diagram.product(&known)?;
    partition.diagram.choose(known, set, NO)
}

/// What matches a request besides the line that decides.
#[derive(Clone, Copy)]
enum Besides {
    Audit(usize),
    Check(usize),
}

/// Identities, and beginnings of identities, that the plan has to know.
fn named(model: &Model) -> (BTreeSet<&str>, BTreeSet<String>) {
    let services = model.services.iter().map(|service| service.workload.identity.as_str());
    let gateways = model.gateways.iter().map(|gateway| gateway.workload.identity.as_str());
    let mut identities: BTreeSet<&str> = services.chain(gateways).collect();
    let mut prefixes = BTreeSet::new();
    let ports = model.services.iter().flat_map(|service| &service.ports).flat_map(|port| &port.access);
    let listeners =
        model.gateways.iter().flat_map(|gateway| &gateway.listeners).flat_map(|listener| &listener.access);
    for principal in ports.chain(listeners).flat_map(|line| line.from.of.iter().chain(&line.from.except)) {
        match principal {
            Principal::Identity(identity) => identities.insert(identity),
            // Those of the workloads are in it.
            Principal::Workload { .. } => false,
            Principal::Namespace(namespace) => {
                prefixes.insert(space::namespace_prefix(&model.trust_domain, namespace))
            }
            Principal::TrustDomain(trust_domain) => prefixes.insert(format!("spiffe://{trust_domain}")),
            Principal::Below(parent) => prefixes.insert(parent.to_string()),
            Principal::Authenticated | Principal::Unauthenticated | Principal::Anyone => false,
        };
    }
    (identities, prefixes)
}

/// The routes that a caller has of its own.
fn consumer_routes(
    model: &Model,
    caller: Caller,
    partitions: &BTreeMap<Key, u32>,
) -> Vec<plan::ConsumerRoute> {
    let first = model.consumer_routes.partition_point(|route| route.caller < caller);
    let own = model.consumer_routes[first..].iter().zip(first as u32..);
    own.take_while(|(route, _)| route.caller == caller)
        .map(|(route, index)| plan::ConsumerRoute {
            service: route.to.service.0,
            port: route.to.port,
            partition: partitions.get(&key(Owner::Consumer(index))).copied().unwrap_or(NONE),
        })
        .collect()
}

fn members(port: &Port, subset: u32) -> Vec<u32> {
    let endpoints = port.endpoints.iter().zip(0..);
    endpoints.filter(|(endpoint, _)| endpoint.subsets.contains(&subset)).map(|(_, index)| index).collect()
}

fn action(action: &Action) -> plan::Action {
    match action {
        Action::Forward(backends) => plan::Action::Forward(backends.iter().map(backend).collect()),
        Action::Redirect { status, location } => {
            plan::Action::Redirect { status: *status, location: location.clone() }
        }
        Action::Respond { status, body } => plan::Action::Respond { status: *status, body: body.clone() },
    }
}

fn backend(backend: &Backend) -> plan::Backend {
    plan::Backend {
        service: backend.to.service.0,
        port: backend.to.port,
        subset: backend.subset.unwrap_or(NONE),
        enter: backend.enter,
        weight: backend.weight,
    }
}

fn host(pattern: &HostPattern) -> plan::Host {
    let (kind, name) = match pattern {
        HostPattern::Exact(name) => (plan::HostKind::Exact, name.as_str()),
        HostPattern::OneLabel(name) => (plan::HostKind::OneLabel, name.as_str()),
        HostPattern::Labels(name) => (plan::HostKind::Labels, name.as_str()),
        HostPattern::Any => (plan::HostKind::Any, ""),
    };
    plan::Host { kind, name: name.to_owned() }
}
