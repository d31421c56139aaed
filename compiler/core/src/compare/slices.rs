//! Which proxies get something new: a proxy needs its own workload and whatever its requests can come to, nothing else.

use super::same::is_same;
use super::side::{Side, What};
use super::{Comparison, joint};
use mesh_plan::{Action, Counting, Edit, Plan, RateLimit, Service, Target};
use std::collections::{BTreeMap, BTreeSet};

/// That one workload calls or sends to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// `web.shop`, `gateway edge.shop`
    pub from: String,
    /// `cart.shop`
    pub to: String,
    /// What became of it.
    pub marked: Marked,
}

/// What became of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marked {
    /// Only the new plan has it.
    Added,
    /// Only the old plan has it.
    Removed,
    /// Both have it, and something changed at its end.
    Changed,
}

/// Fills in who is affected and which edges are marked.
pub(super) fn compare(sides: &[Side<'_>; 2], found: &mut Comparison) {
    let names = |side: &Side<'_>| -> BTreeSet<String> { workloads(&side.plan).collect() };
    let all: BTreeSet<String> = sides.iter().flat_map(names).collect();
    let changed: BTreeSet<&String> = all.iter().filter(|name| !is_same_workload(sides, name)).collect();
    let needs = sides.each_ref().map(|side| needs(&side.plan));
    let affected = all.iter().filter(|name| {
        let needed = needs.iter().filter_map(|needs| needs.get(*name)).flatten();
        needed.chain([*name]).any(|needed| changed.contains(needed))
    });
    found.affected = affected.cloned().collect();
    found.workloads = all.len();
    let edges = sides.each_ref().map(|side| edges(&side.plan));
    for edge in edges[0].union(&edges[1]) {
        let marked = match edges.each_ref().map(|own| own.contains(edge)) {
            [false, _] => Marked::Added,
            [_, false] => Marked::Removed,
            _ if changed.contains(&edge.1) => Marked::Changed,
            _ => continue,
        };
        found.edges.push(Edge { from: edge.0.clone(), to: edge.1.clone(), marked });
    }
}

fn workloads(plan: &Plan) -> impl Iterator<Item = String> + '_ {
    let gateways = plan.gateways.iter().map(|gateway| format!("gateway {}", gateway.name));
    plan.services.iter().map(|service| service.name.clone()).chain(gateways)
}

/// Who calls or sends to whom.
fn edges(plan: &Plan) -> BTreeSet<(String, String)> {
    let name = |service: u32| plan.services[service as usize].name.clone();
    let mut edges = BTreeSet::new();
    for service in &plan.services {
        edges.extend(service.calls.iter().map(|call| (service.name.clone(), name(call.service))));
        for port in &service.ports {
            let to = backends(plan, port.partition).into_iter().map(|to| (service.name.clone(), name(to)));
            edges.extend(to.filter(|(from, to)| from != to));
        }
    }
    for gateway in &plan.gateways {
        for listener in &gateway.listeners {
            let to = backends(plan, listener.partition);
            edges.extend(to.into_iter().map(|to| (format!("gateway {}", gateway.name), name(to))));
        }
    }
    edges
}

/// For each workload, the services that its requests can come to.
fn needs(plan: &Plan) -> BTreeMap<String, BTreeSet<String>> {
    let routed: Vec<BTreeSet<u32>> = plan.services.iter().map(|service| routed(plan, service)).collect();
    let closed = |first: BTreeSet<u32>| {
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<u32> = first.into_iter().collect();
        while let Some(service) = waiting.pop() {
            if seen.insert(service) {
                waiting.extend(routed[service as usize].iter().copied());
            }
        }
        seen.into_iter().map(|service| plan.services[service as usize].name.clone()).collect()
    };
    let of_routes = |routes: &[mesh_plan::ConsumerRoute]| -> BTreeSet<u32> {
        routes.iter().flat_map(|route| backends(plan, route.partition)).collect()
    };
    let mut needs = BTreeMap::new();
    for service in &plan.services {
        let called = service.calls.iter().map(|call| call.service);
        let partitions = service.ports.iter().map(|port| port.partition);
        let asked = partitions.flat_map(|partition| asked(plan, partition));
        let asked = asked.chain(counting(plan, &service.limits));
        let first = called.chain(of_routes(&service.consumer_routes)).chain(asked).collect();
        needs.insert(service.name.clone(), closed(first));
    }
    for gateway in &plan.gateways {
        let sent = gateway.listeners.iter().flat_map(|listener| backends(plan, listener.partition));
        let asked = gateway.listeners.iter().flat_map(|listener| {
            asked(plan, listener.partition).into_iter().chain(counting(plan, &listener.limits))
        });
        let asked = asked.chain(counting(plan, &gateway.limits));
        let first = sent.chain(of_routes(&gateway.consumer_routes)).chain(asked).collect();
        needs.insert(format!("gateway {}", gateway.name), closed(first));
    }
    needs
}

/// The services that a service's own routes send to.
fn routed(plan: &Plan, service: &Service) -> BTreeSet<u32> {
    service.ports.iter().flat_map(|port| backends(plan, port.partition)).collect()
}

/// The services that the routes of a partition send to, copies included.
fn backends(plan: &Plan, partition: u32) -> BTreeSet<u32> {
    let roots = plan.partitions.get(partition as usize).map_or(&[][..], |partition| &partition.roots);
    let mut found = BTreeSet::new();
    for outcome in leaves(plan, roots).into_iter().filter_map(|leaf| plan.outcomes.get(leaf as usize)) {
        if let Action::Forward(to) = &outcome.action {
            found.extend(to.iter().filter(|to| to.weight > 0).map(|to| to.service));
        }
        found.extend(outcome.edits.iter().filter_map(|edit| match edit {
            Edit::Mirror { service, .. } => Some(*service),
            _ => None,
        }));
        found.extend(counting(plan, &outcome.edits));
    }
    found
}

/// Everything that decisions come to.
fn leaves(plan: &Plan, roots: &[Target]) -> BTreeSet<u32> {
    let (mut waiting, mut seen, mut found) = (roots.to_vec(), BTreeSet::new(), BTreeSet::new());
    while let Some(target) = waiting.pop() {
        match target {
            Target::Leaf(leaf) => _ = found.insert(leaf),
            Target::Node(node) if seen.insert(node) => {
                waiting.extend(plan.nodes[node as usize].children.iter().copied());
            }
            Target::Node(_) => {}
        }
    }
    found
}

/// The services that count for the limits among these.
fn counting<'p>(plan: &'p Plan, edits: &'p [Edit]) -> impl Iterator<Item = u32> + 'p {
    edits.iter().filter_map(|edit| match edit {
        Edit::RateLimit(RateLimit { counting: Counting::Global { by }, .. }) => {
            Some(plan.authorities.get(*by as usize)?.service)
        }
        _ => None,
    })
}

/// The services that are asked about what comes in somewhere.
fn asked(plan: &Plan, partition: u32) -> BTreeSet<u32> {
    let Some(partition) = plan.partitions.get(partition as usize) else { return BTreeSet::new() };
    let verdicts = leaves(plan, &[partition.access]).into_iter();
    let asks = verdicts.filter_map(|leaf| plan.verdicts.get(leaf as usize)).flat_map(|verdict| &verdict.asks);
    asks.filter_map(|own| Some(plan.authorities.get(*own as usize)?.service)).collect()
}

/// Whether both plans say the same of a workload, its rules' names included.
fn is_same_workload(sides: &[Side<'_>; 2], name: &str) -> bool {
    let of = |side: usize| Said::of(&sides[side], name);
    let (Some(old), Some(new)) = (of(0), of(1)) else { return false };
    if old.texts != new.texts || old.decisions.len() != new.decisions.len() {
        return false;
    }
    let mut both = old.decisions.iter().zip(&new.decisions);
    both.all(|(old, new)| {
        let roots = |what: What, index: usize| {
            [(0, old), (1, new)].map(|(side, own)| joint::root(&sides[side], what, own.1, index as u32))
        };
        let counts = [(0, old), (1, new)].map(|(side, own)| {
            sides[side].plan.partitions.get(own.1 as usize).map_or(0, |partition| partition.roots.len())
        });
        let lines = [(0, old), (1, new)].map(|(side, own)| lines(&sides[side], own.0, own.1));
        old.0 == new.0
            && counts[0] == counts[1]
            && lines[0] == lines[1]
            && (0..counts[0]).all(|index| is_same(sides, old.0, roots(old.0, index)))
            && is_same(sides, What::Access, roots(What::Access, 0))
    })
}

/// What a plan says of a workload beside its decisions, and the partitions of these.
struct Said {
    texts: Vec<String>,
    decisions: Vec<(What, u32)>,
}

impl Said {
    fn of(side: &Side<'_>, name: &str) -> Option<Said> {
        let plan = &side.plan;
        let identity = |principal: u32| {
            plan.principals.get(principal as usize).map_or(String::new(), |own| own.identity.clone())
        };
        let limits =
            |limits: &[Edit]| -> Vec<String> { limits.iter().map(|limit| side.edit(limit)).collect() };
        let mut said = Said { texts: vec![], decisions: vec![] };
        let routes = |said: &mut Said, routes: &[mesh_plan::ConsumerRoute]| {
            for route in routes {
                said.texts.push(side.port_name(route.service, route.port));
                said.decisions.push((What::Route, route.partition));
            }
        };
        if let Some(gateway) = name.strip_prefix("gateway ") {
            let gateway = super::gateway(side, gateway)?;
            said.texts.extend([gateway.owner.clone(), identity(gateway.principal)]);
            said.texts.extend(limits(&gateway.limits));
            said.texts.push(format!("trusted-hops {} logged {:?}", gateway.trusted_hops, gateway.logged));
            said.texts.push(format!("{:?}", gateway.verifiers));
            for listener in &gateway.listeners {
                let mesh_plan::Listener { name, number, hosts, proxy_protocol, .. } = listener;
                said.texts.push(format!("{name} {number} {hosts:?} proxy-protocol {proxy_protocol}"));
                said.texts.push(format!("{:?}", listener.protocol));
                said.texts.push(format!("{:?} {}", listener.certificates, listener.client_ca));
                said.texts.extend(limits(&listener.limits));
                said.decisions.push((What::Route, listener.partition));
            }
            routes(&mut said, &gateway.consumer_routes);
            return Some(said);
        }
        let (_, service) = side.service(name)?;
        let settings = plan.settings.get(service.settings as usize);
        let default = plan.settings.get(plan.default_settings as usize);
        said.texts.extend([service.owner.clone(), identity(service.principal)]);
        let (panic, check, near) = (service.panic_threshold, &service.health_check, &service.nearness);
        said.texts.push(format!("{settings:?} {default:?} {:?} {panic} {check:?} {near:?}", service.subsets));
        said.texts.extend(limits(&service.limits));
        said.texts.push(format!("{:?} {:?} {:?}", service.verifiers, service.tls, service.logged));
        for port in &service.ports {
            let (endpoints, subsets) = (&port.endpoints, &port.subset_endpoints);
            said.texts.push(format!("{} {} {endpoints:?} {subsets:?}", port.number, port.name));
            said.texts.push(format!("{:?} {:?}", port.protocol, port.mtls));
            said.decisions.push((What::Route, port.partition));
        }
        for call in &service.calls {
            said.texts.push(side.port_name(call.service, call.port));
            let hosts =
                service.hosts.iter().filter(|host| service.calls.get(host.call as usize) == Some(call));
            said.texts.extend(hosts.map(|host| host.host.clone()));
            said.decisions.push((What::Call, call.partition));
        }
        let nobodys = service.hosts.iter().filter(|host| host.call == mesh_plan::NONE);
        said.texts.extend(nobodys.map(|host| host.host.clone()));
        routes(&mut said, &service.consumer_routes);
        Some(said)
    }
}

/// The names of the rules and lines of a partition, in the order in which a walk meets them.
fn lines<'s>(side: &'s Side<'_>, what: What, partition: u32) -> Vec<&'s str> {
    let Some(own) = side.plan.partitions.get(partition as usize) else { return vec![] };
    let mut found = Vec::new();
    let roots = own.roots.iter().map(|root| (what, *root)).chain([(What::Access, own.access)]);
    for (what, root) in roots {
        let (mut waiting, mut seen) = (vec![root], BTreeSet::new());
        while let Some(target) = waiting.pop() {
            match target {
                Target::Leaf(leaf) => found.push(side.line(what, leaf)),
                Target::Node(node) if seen.insert(node) => {
                    waiting.extend(side.plan.nodes[node as usize].children.iter().rev().copied());
                }
                Target::Node(_) => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::compare::compare;
    use crate::{StandIns, compile};
    use mesh_lang::SourceSet;
    use mesh_plan::PlanView;

    /// `shop` has its requests decided by `opa`, counted by `counts`, and its callers' by `limits`.
    fn view(endpoint: &str, of: &str) -> PlanView {
        let at = |name: &str| if name == of { endpoint } else { "10.0.0.1:1" };
        let asked = |name: &str| {
            let at = at(name);
            format!(
                "service {name} {{ port 81 grpc; endpoints static \"{at}\" }}\nauthorize {name} {{ allow from anyone }}\n"
            )
        };
        let text = format!(
            "ext-authz guard {{ service opa; timeout 1s; on-failure deny }}\n\
             rate-limiter own {{ service counts; timeout 1s; on-failure deny }}\n\
             rate-limiter of-rule {{ service limits; timeout 1s; on-failure deny }}\n\
             service web {{ calls shop }}\nservice other {{ port 80 http }}\nauthorize other {{ allow from web }}\n\
             service shop {{ port 80 http; rate-limit global 1/s by own }}\n\
             route shop {{ rule all {{ match /**; to shop; rate-limit global 2/s by of-rule }} }}\n\
             authorize shop {{ allow from web; check ext-authz guard }}\n{}{}{}",
            asked("opa"),
            asked("counts"),
            asked("limits"),
        );
        let compilation = compile(&SourceSet::single("test.mesh", &text), &StandIns::new());
        let plan = compilation.plan.unwrap_or_else(|| panic!("{:?}", compilation.diagnostics));
        mesh_plan::verify(mesh_plan::encode(&plan).unwrap()).unwrap()
    }

    #[test]
    fn who_asks_somebody_gets_another_slice_when_that_is_somewhere_else() {
        let affected = |of: &str| compare(&view("10.0.0.1:1", of), &view("10.0.0.2:1", of)).affected;
        assert_eq!(affected("opa"), ["opa.default", "shop.default"]);
        assert_eq!(affected("counts"), ["counts.default", "shop.default"]);
        // Of a rule it is the callers who ask.
        assert_eq!(affected("limits"), ["limits.default", "web.default"]);
    }
}
