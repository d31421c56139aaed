//! What is known of the partitions of a project that is edited: those that nothing is said of need not be looked at again.

use crate::check::{self, Redundant};
use crate::model::{Caller, Model};
use crate::partition::{self, OverBudget, Owner};
use crate::resolve::{Resolved, Target};
use crate::{case, lower, owners, prove};
use mesh_lang::{Diagnostic, Diagnostics};
use std::collections::BTreeSet;

/// Which partitions are to be decided.
#[derive(Default)]
pub(super) struct Decided {
    /// Whether each was decided once.
    all: bool,
    /// Whose partitions are to be decided again: what they are about was read again, or something was said of them, with a
    /// witness that may lead through other services.
    open: BTreeSet<Target>,
}

impl Decided {
    /// What is about these targets is to be decided again.
    pub(super) fn forget(&mut self, targets: BTreeSet<Target>) {
        self.open.extend(targets);
    }

    /// Decides what is to be decided, and asks what is about the whole mesh: all that there is to say where every name means
    /// something, and the tests with what was proved of them.
    pub(super) fn judge(&mut self, resolved: &Resolved, diagnostics: &mut Diagnostics) -> Vec<case::Test> {
        let model = &resolved.model;
        let mut redundant = Redundant::default();
        let open = std::mem::take(&mut self.open);
        let owners: Vec<Owner> = match self.all {
            true => open.iter().flat_map(|target| owners_of(model, *target)).collect(),
            false => owners(model).collect(),
        };
        self.all = true;
        for owner in owners {
            let noted = redundant.count();
            let found = decide(model, owner, &mut redundant);
            if !found.is_empty() || redundant.count() > noted {
                self.open.insert(about(model, owner));
            }
            found.into_iter().for_each(|found| diagnostics.push(found));
        }
        check::of_mesh(model).into_iter().for_each(|found| diagnostics.push(found));
        if diagnostics.has_errors() {
            return Vec::new();
        }
        check::of_calls(model, redundant).into_iter().for_each(|found| diagnostics.push(found));
        if diagnostics.has_errors() {
            return Vec::new();
        }
        prove(model, &resolved.tests, diagnostics)
    }
}

/// What is to be said of one partition.
fn decide(model: &Model, owner: Owner, redundant: &mut Redundant) -> Vec<Diagnostic> {
    let mut partition = match partition::of(model, owner) {
        Ok(partition) => partition,
        Err(why) => return vec![check::over_budget(model, owner, &why)],
    };
    let mut found = check::of_partition(model, &mut partition, redundant);
    if !lower::fits(model, &mut partition) {
        found.push(check::over_budget(model, owner, &OverBudget::Nodes));
    }
    found
}

/// Whose partition it is.
fn about(model: &Model, owner: Owner) -> Target {
    match owner {
        Owner::Port(id) => Target::Service(id.service),
        Owner::Listener(gateway, _) => Target::Gateway(gateway),
        Owner::Call(service, _) => Target::Service(service),
        Owner::Consumer(index) => Target::from(model.consumer_routes[index as usize].caller),
    }
}

/// The partitions of a service or gateway.
fn owners_of(model: &Model, target: Target) -> Vec<Owner> {
    let (mut owners, caller): (Vec<Owner>, Caller) = match target {
        Target::Service(id) => {
            let ports = (0..model[id].ports.len() as u32)
                .map(|port| Owner::Port(crate::model::PortId { service: id, port }));
            let calls = (0..model[id].calls.len() as u32).map(|call| Owner::Call(id, call));
            (ports.chain(calls).collect(), Caller::Service(id))
        }
        Target::Gateway(id) => {
            let listeners =
                (0..model[id].listeners.len() as u32).map(|listener| Owner::Listener(id, listener));
            (listeners.collect(), Caller::Gateway(id))
        }
    };
    let first = model.consumer_routes.partition_point(|route| route.caller < caller);
    let own = model.consumer_routes[first..].iter().zip(first as u32..);
    owners
        .extend(own.take_while(|(route, _)| route.caller == caller).map(|(_, index)| Owner::Consumer(index)));
    owners
}
