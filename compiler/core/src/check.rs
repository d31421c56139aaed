//! Every check, in the order in which a reader would ask. One mistake, one file.

mod ambiguous_rules;
mod asked;
mod blame;
mod counted;
mod dead_grant;
mod dead_line;
mod empty_access;
mod empty_description;
mod graph;
mod hops;
mod incomplete_route;
mod listener_conflict;
mod lost_header;
mod mirror_circle;
mod missing_breaker;
mod no_authorize;
mod orphan_service;
mod over_budget;
mod overrides;
mod patience;
mod redundant_line;
mod refused_check;
mod retries;
mod route_cycle;
mod shared_identity;
mod unallowed_call;
mod uncalled_allow;
mod unreachable_rule;
mod unsafe_retry;
mod unused_route;
mod unused_subset;
mod vain_condition;

use crate::diagram::TooManyNodes;
use crate::model::{Action, Backend, Caller, Model, PortId, ServiceId, Table};
use crate::partition::{OverBudget, Owner, Partition};
use mesh_lang::{Code, Diagnostic};

pub(crate) use dead_grant::guardrail;
pub(crate) use empty_description::empty_description;
pub(crate) use hops::{Changed, Hops, duration};
pub(crate) use lost_header::set_by;
pub(crate) use orphan_service::of_service as orphan;
pub(crate) use over_budget::over_budget;
pub(crate) use redundant_line::Redundant;
pub(crate) use uncalled_allow::Uncalled;

/// What is wrong with a mesh whose names all mean something, besides what its partitions decide and what is wrong with each workload.
pub(crate) fn of_mesh(model: &Model) -> Vec<Diagnostic> {
    let mut found = listener_conflict::check(model);
    found.extend(shared_identity::check(model));
    found.extend(route_cycle::check(model));
    found.extend(unused_route::check(model));
    found.extend(unused_subset::check(model));
    found.extend(asked::check(model));
    found.extend(counted::check(model));
    found.extend(refused_check::check(model));
    found
}

/// What is wrong with what a service or gateway lets in. `uncalled` is asked of all of them.
pub(crate) fn of_workload(model: &Model, who: Caller, uncalled: &mut Uncalled<'_>) -> Vec<Diagnostic> {
    let mut found = no_authorize::of_workload(model, who);
    if let Caller::Service(id) = who {
        found.extend(uncalled.of_service(id));
    }
    found
}

/// What is wrong with the calls of a service; what becomes of a call is known where every route is one. `is_set` says of a header
/// whether some rule of the mesh sets it.
pub(crate) fn of_caller(model: &Model, id: ServiceId, is_set: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
    let mut found = unallowed_call::of_service(model, id);
    found.extend(lost_header::of_service(model, id, is_set));
    found
}

/// How often something is tried at most, and where that is too often.
pub(crate) fn of_tries(model: &Model, hops: &Hops) -> Vec<Diagnostic> {
    let graph = graph::Graph::new(hops);
    let mut found = retries::check(model, &graph);
    let too_many_tries = found.iter().any(|found| found.code == Code::RetryAmplification);
    found.extend(unsafe_retry::check(model, hops));
    found.extend(mirror_circle::check(model, hops));
    found.extend(missing_breaker::check(model, &graph, too_many_tries));
    found
}

/// Who waits for whom, and for how long.
pub(crate) fn of_waits(model: &Model, hops: &Hops) -> Vec<Diagnostic> {
    patience::check(model, hops)
}

/// What nothing leads to.
pub(crate) fn of_ends(model: &Model, hops: &Hops) -> Vec<Diagnostic> {
    orphan_service::check(model, hops)
}

/// What is wrong with what a partition decides. Lines that decide nothing there are noted, for they may somewhere else.
pub(crate) fn of_partition(
    model: &Model,
    partition: &mut Partition,
    redundant: &mut Redundant,
) -> Vec<Diagnostic> {
    let owner = partition.owner;
    let found = decided(model, partition, redundant);
    if partition.diagram.is_exhausted() {
        return vec![over_budget(model, owner, &OverBudget::Steps)];
    }
    found.unwrap_or_else(|TooManyNodes| vec![over_budget(model, owner, &OverBudget::Nodes)])
}

fn decided(
    model: &Model,
    partition: &mut Partition,
    redundant: &mut Redundant,
) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let mut found = overrides::check(model, partition);
    found.extend(ambiguous_rules::check(model, partition)?);
    found.extend(unreachable_rule::check(model, partition)?);
    found.extend(dead_line::check(model, partition)?);
    found.extend(vain_condition::check(model, partition));
    found.extend(incomplete_route::check(model, partition)?);
    found.extend(empty_access::check(model, partition));
    found.extend(dead_grant::check(model, partition)?);
    redundant.look(model, partition)?;
    Ok(found)
}

/// The tables of rules that a partition judges, in its order; a call has none.
fn tables(model: &Model, owner: Owner) -> Vec<&Table> {
    match owner {
        Owner::Port(id) => model.port(id).route.iter().collect(),
        Owner::Listener(gateway, listener) => {
            let tables = &model[gateway].listeners[listener as usize].tables;
            tables.iter().map(|host| &host.table).collect()
        }
        Owner::Call(..) => vec![],
        Owner::Consumer(index) => vec![&model.consumer_routes[index as usize].table],
    }
}

/// The service ports that a table sends to.
pub(crate) fn backends(table: &Table) -> impl Iterator<Item = PortId> + '_ {
    sent(table).map(|backend| backend.to)
}

/// The service ports that a port's route enters.
fn entered(table: &Table) -> impl Iterator<Item = PortId> + '_ {
    sent(table).filter(|backend| backend.enter).map(|backend| backend.to)
}

fn sent(table: &Table) -> impl Iterator<Item = &Backend> {
    table.rules.iter().flat_map(|rule| match &rule.action {
        Action::Forward(backends) => backends.as_slice(),
        _ => &[],
    })
}
