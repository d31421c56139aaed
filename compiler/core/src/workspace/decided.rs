//! What is known of a project that is edited: that of which nothing was said need not be looked at again until it is another.
//!
//! That of which something was said is looked at after every edit: it may be said with places and witnesses anywhere.

use super::dependents::{Concerned, Dependents};
use crate::check::{self, Changed, Hops, Redundant, Uncalled};
use crate::model::{Caller, Model, PortId, ServiceId};
use crate::partition::{self, Owner};
use crate::resolve::{Before, Resolved};
use crate::{case, lower, owners, prove, say};
use mesh_lang::{Diagnostic, Diagnostics};
use std::collections::BTreeSet;

/// What is to be decided.
#[derive(Default)]
pub(super) struct Decided {
    dependents: Dependents,
    /// Services and gateways of which each partition is to be decided.
    partitions: Open<Caller>,
    /// Services and gateways that may let in the wrong ones.
    workloads: Open<Caller>,
    /// Services whose calls may be refused.
    callers: Open<ServiceId>,
    /// Those of all calls, once they were asked for, and those callers whose are to be made anew.
    hops: Option<Hops>,
    hops_of: BTreeSet<Caller>,
    /// Whether nothing is said of how often is tried, how long is waited, and where nothing leads.
    quiet: Quiet,
}

/// Of what about all calls nothing is said.
#[derive(Clone, Copy, Default)]
struct Quiet {
    tries: bool,
    waits: bool,
    ends: bool,
}

/// What is not known to be quiet.
#[derive(Default)]
enum Open<T> {
    #[default]
    All,
    These(BTreeSet<T>),
}

impl<T: Ord> Open<T> {
    fn extend(&mut self, more: impl IntoIterator<Item = T>) {
        if let Open::These(these) = self {
            these.extend(more);
        }
    }

    /// What is open, of which nothing is from now on, unless it is said.
    fn take(&mut self, all: impl Iterator<Item = T>) -> Vec<T> {
        match std::mem::replace(self, Open::These(BTreeSet::new())) {
            Open::All => all.collect(),
            Open::These(these) => these.into_iter().collect(),
        }
    }
}

impl Decided {
    /// Nothing is decided yet.
    pub(super) fn nothing(model: &Model) -> Decided {
        Decided { dependents: Dependents::of(model), ..Decided::default() }
    }

    /// All calls with what holds for them, once they were asked for.
    pub(super) fn hops(&self) -> Option<&Hops> {
        self.hops.as_ref()
    }

    /// What depends on what was read again is to be decided again.
    pub(super) fn forget(&mut self, before: &Before, model: &Model) {
        let Concerned { workloads, called, calling, same_set, same_ends } =
            self.dependents.edit(before, model);
        self.partitions.extend(workloads.iter().copied());
        self.workloads.extend(called.into_iter().map(Caller::Service).chain(workloads));
        match same_set {
            true => self.callers.extend(calling.iter().filter_map(|who| match who {
                Caller::Service(id) => Some(*id),
                Caller::Gateway(_) => None,
            })),
            false => self.callers = Open::All,
        }
        self.hops_of.extend(calling);
        self.quiet.ends &= same_ends;
    }

    /// Decides what is to be decided: all that there is to say where every name means something, and the tests with what was proved
    /// of them.
    pub(super) fn judge(&mut self, resolved: &Resolved, diagnostics: &mut Diagnostics) -> Vec<case::Test> {
        let model = &resolved.model;
        let redundant = self.judge_partitions(model, diagnostics);
        say(check::of_mesh(model), diagnostics);
        let mut uncalled = Uncalled::new(model);
        for who in self.workloads.take(model.workloads()) {
            let found = check::of_workload(model, who, &mut uncalled);
            self.workloads.extend((!found.is_empty()).then_some(who));
            say(found, diagnostics);
        }
        if diagnostics.has_errors() {
            return Vec::new();
        }
        let is_set = |header: &str| self.dependents.is_set(header);
        for id in self.callers.take(model.service_ids()) {
            let found = check::of_caller(model, id, &is_set);
            self.callers.extend((!found.is_empty()).then_some(id));
            say(found, diagnostics);
        }
        self.judge_hops(model, diagnostics);
        say(redundant.found(model), diagnostics);
        match diagnostics.has_errors() {
            true => Vec::new(),
            false => prove(model, &resolved.tests, diagnostics),
        }
    }

    fn judge_hops(&mut self, model: &Model, diagnostics: &mut Diagnostics) {
        let of = std::mem::take(&mut self.hops_of);
        let (hops, changed) = match self.hops.take() {
            Some(mut hops) => {
                let changed = hops.again(model, of.into_iter());
                (hops, changed)
            }
            None => (Hops::new(model), Changed { tries: true, waits: true }),
        };
        let Quiet { tries, waits, ends } = self.quiet;
        let mut ask = |quiet: bool, of: fn(&Model, &Hops) -> Vec<Diagnostic>| {
            let found = if quiet { vec![] } else { of(model, &hops) };
            let is_quiet = found.is_empty();
            say(found, diagnostics);
            is_quiet
        };
        self.quiet = Quiet {
            tries: ask(tries && !changed.tries, check::of_tries),
            waits: ask(waits && !changed.waits, check::of_waits),
            ends: ask(ends, check::of_ends),
        };
        self.hops = Some(hops);
    }

    fn judge_partitions(&mut self, model: &Model, diagnostics: &mut Diagnostics) -> Redundant {
        let mut redundant = Redundant::default();
        let all = matches!(self.partitions, Open::All);
        let open = self.partitions.take(std::iter::empty());
        let owners: Vec<Owner> = match all {
            true => owners(model).collect(),
            false => open.into_iter().flat_map(|who| owners_of(model, who)).collect(),
        };
        for owner in owners {
            let noted = redundant.count();
            let found = decide(model, owner, &mut redundant);
            let is_quiet = found.is_empty() && redundant.count() == noted;
            self.partitions.extend((!is_quiet).then(|| about(model, owner)));
            say(found, diagnostics);
        }
        redundant
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
        found.push(check::over_budget(model, owner, &partition.unwritable()));
    }
    found
}

/// Whose partition it is.
fn about(model: &Model, owner: Owner) -> Caller {
    match owner {
        Owner::Port(id) => Caller::Service(id.service),
        Owner::Listener(gateway, _) => Caller::Gateway(gateway),
        Owner::Call(service, _) => Caller::Service(service),
        Owner::Consumer(index) => model.consumer_routes[index as usize].caller,
    }
}

/// The partitions of a service or gateway.
fn owners_of(model: &Model, who: Caller) -> Vec<Owner> {
    let mut owners: Vec<Owner> = match who {
        Caller::Service(id) => {
            let port = |port| Owner::Port(PortId { service: id, port });
            let ports = (0..model[id].ports.len() as u32).map(port);
            let calls = (0..model[id].calls.len() as u32).map(|call| Owner::Call(id, call));
            ports.chain(calls).collect()
        }
        Caller::Gateway(id) => {
            let listeners = 0..model[id].listeners.len() as u32;
            listeners.map(|listener| Owner::Listener(id, listener)).collect()
        }
    };
    let first = model.consumer_routes.partition_point(|route| route.caller < who);
    let own = model.consumer_routes[first..].iter().zip(first as u32..);
    owners.extend(own.take_while(|(route, _)| route.caller == who).map(|(_, index)| Owner::Consumer(index)));
    owners
}
