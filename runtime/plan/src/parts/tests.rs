//! Parts are plans of their own, depend on their owner alone, and together are the plan again.

use super::*;
use crate::plan::Principal;
use crate::samples;
use crate::{encode, verify};

fn everybody(parts: &BTreeMap<Unit, Plan>) -> BTreeSet<Unit> {
    parts.keys().cloned().collect()
}

fn service(name: &str) -> Unit {
    Unit::Service(name.to_owned())
}

#[test]
fn all_parts_together_are_the_plan() {
    let plan = samples::plan();
    let parts = split(&plan).unwrap();
    let again = slice(&parts, &everybody(&parts)).unwrap();
    assert_eq!(split(&again).unwrap(), parts);
    // Once nothing is in it that no request meets, nothing changes any more, to the byte.
    let once_more = slice(&split(&again).unwrap(), &everybody(&parts)).unwrap();
    assert_eq!(encode(&once_more).unwrap(), encode(&again).unwrap());
}

#[test]
fn each_part_is_a_plan_by_itself() {
    for (unit, part) in split(&samples::plan()).unwrap() {
        let bytes = encode(&part).unwrap();
        assert_eq!(verify(bytes).unwrap().to_plan(), part, "{unit}");
    }
}

#[test]
fn a_part_stays_as_it_is_when_something_else_changes() {
    let parts = split(&samples::plan()).unwrap();
    let mut plan = samples::plan();
    // The numbers of all others change.
    plan.principals.insert(0, Principal { identity: "spiffe://a.test/a".to_owned(), gateway: false });
    for partition in &mut plan.partitions {
        partition.peers.principals.iter_mut().for_each(|(index, _)| *index += 1);
    }
    plan.services.iter_mut().for_each(|service| service.principal += 1);
    plan.gateways.iter_mut().for_each(|gateway| gateway.principal += 1);
    plan.outcomes.swap(1, 4);
    let swap = |target: &mut Target| match target {
        Target::Leaf(1) => *target = Target::Leaf(4),
        Target::Leaf(4) => *target = Target::Leaf(1),
        _ => {}
    };
    for routes in [0, 1, 2, 3, 6, 7] {
        plan.partitions[routes].roots.iter_mut().for_each(swap);
    }
    for node in [0, 1, 2, 5] {
        plan.nodes[node].children.iter_mut().for_each(swap);
    }
    for partition in &mut plan.partitions {
        for vector in partition.vectors.iter_mut().filter(|vector| vector.root != NONE) {
            vector.leaf = match vector.leaf {
                1 => 4,
                4 => 1,
                other => other,
            };
        }
        partition.vectors.sort_unstable();
    }
    assert_eq!(split(&plan).unwrap(), parts);
    // A service changes: its part and no other.
    plan.services[1].ports[0].endpoints.pop();
    plan.services[1].ports[0].subset_endpoints[0].pop();
    plan.services[1].owner = "somebody".to_owned();
    let changed = split(&plan).unwrap();
    let differ: Vec<&Unit> = parts.keys().filter(|unit| parts[*unit] != changed[*unit]).collect();
    assert_eq!(differ, [&service("reviews.shop")]);
}

#[test]
fn a_slice_has_what_its_proxy_sends_to_and_no_more() {
    let parts = split(&samples::plan()).unwrap();
    let reviews = slice(&parts, &BTreeSet::from([service("reviews.shop")])).unwrap();
    assert!(reviews.gateways.is_empty());
    assert!(reviews.services.iter().all(|service| service.name != "web.shop"), "nobody there sends to it");
    let web = slice(&parts, &BTreeSet::from([service("web.shop")])).unwrap();
    let own = web.services.iter().find(|service| service.name == "web.shop").unwrap();
    assert_eq!(own.calls.len(), samples::plan().services[2].calls.len());
}

#[test]
fn a_part_that_is_missing_is_named() {
    let mut parts = split(&samples::plan()).unwrap();
    parts.remove(&service("reviews.shop"));
    let error = slice(&parts, &BTreeSet::from([service("web.shop")])).unwrap_err();
    assert_eq!(error.to_string(), "the part of service reviews.shop is missing");
    let strange = BTreeMap::from([
        (Unit::Mesh, parts[&Unit::Mesh].clone()),
        (service("cart.shop"), parts[&service("web.shop")].clone()),
    ]);
    let error = slice(&strange, &BTreeSet::from([service("cart.shop")])).unwrap_err();
    assert_eq!(error.to_string(), "what is said to be the part of service cart.shop is not");
}

#[test]
fn a_port_that_is_gone_is_named() {
    let mut parts = split(&samples::plan()).unwrap();
    let reviews = parts.get_mut(&service("reviews.shop")).unwrap();
    let own = reviews.services.iter_mut().find(|service| service.name == "reviews.shop").unwrap();
    own.ports[0].number = 81;
    let error = slice(&parts, &BTreeSet::from([Unit::Gateway("edge.shop".to_owned())])).unwrap_err();
    assert_eq!(error.to_string(), "a part leads to port 80 of reviews.shop, which has none");
}

#[test]
fn who_is_a_gateway_is_said_once() {
    let mut parts = split(&samples::plan()).unwrap();
    let mesh = parts.get_mut(&Unit::Mesh).unwrap();
    mesh.principals.iter_mut().for_each(|principal| principal.gateway = false);
    let error = slice(&parts, &BTreeSet::from([Unit::Gateway("edge.shop".to_owned())])).unwrap_err();
    assert_eq!(error.to_string(), "what is said to be the part of gateway edge.shop is not");
}

#[test]
fn units_are_read_as_they_are_written() {
    for unit in [Unit::Mesh, service("web.shop"), Unit::Gateway("edge.shop".to_owned())] {
        assert_eq!(unit.to_string().parse(), Ok(unit));
    }
    for wrong in ["", "service", "service ", "listener edge.shop", "Mesh"] {
        assert_eq!(wrong.parse::<Unit>(), Err(()), "{wrong}");
    }
}

#[test]
fn a_proxy_is_called_as_its_operator_calls_it() {
    let parts = split(&samples::plan()).unwrap();
    let named = |wanted: Wanted| wanted.among(parts.keys());
    let edge = BTreeSet::from([Unit::Gateway("edge.shop".to_owned())]);
    assert_eq!(named(Wanted::Gateways), edge);
    assert_eq!(named(Wanted::Gateway("edge".to_owned())), edge);
    for name in ["web", "web.shop"] {
        assert_eq!(named(Wanted::Service(name.to_owned())), BTreeSet::from([service("web.shop")]));
    }
    assert_eq!(named(Wanted::Service("wbe".to_owned())).len(), 3, "all there are, to choose from");
}
