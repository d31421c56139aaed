//! What depends on what: whose calls and whose `allow` lines may have another meaning when a service or gateway is another one.

use crate::check;
use crate::model::{Action, Caller, ConsumerRoute, Gateway, Model, Service, ServiceId, Table};
use crate::resolve::Before;
use std::collections::{BTreeMap, BTreeSet};

/// Who calls and who sends, and which headers are set on the way.
#[derive(Default)]
pub(super) struct Dependents {
    /// For each service, who declares calls of it.
    callers: BTreeMap<ServiceId, BTreeSet<ServiceId>>,
    /// For each service, whose routes send to it.
    senders: BTreeMap<ServiceId, BTreeSet<Caller>>,
    /// How many rules set a header.
    set: BTreeMap<String, usize>,
}

/// What an edit concerns besides what was read again.
pub(super) struct Concerned {
    /// What was read again.
    pub(super) workloads: BTreeSet<Caller>,
    /// Services whose `allow` lines may let in who no longer comes, or who does now.
    pub(super) called: BTreeSet<ServiceId>,
    /// Who may meet another rule, line or setting with what it sends.
    pub(super) calling: BTreeSet<Caller>,
    /// Whether the same headers are set on the way.
    pub(super) same_set: bool,
    /// Whether something leads to the same services.
    pub(super) same_ends: bool,
}

impl Dependents {
    pub(super) fn of(model: &Model) -> Dependents {
        let mut dependents = Dependents::default();
        let services = model.service_ids().map(|id| (id, &model[id]));
        let gateways = model.workloads().filter_map(|who| match who {
            Caller::Gateway(id) => Some((id, &model[id])),
            Caller::Service(_) => None,
        });
        services.for_each(|(id, service)| dependents.count_service(id, service, Count::In));
        gateways.for_each(|(id, gateway)| dependents.count_gateway(Caller::Gateway(id), gateway, Count::In));
        model.consumer_routes.iter().for_each(|route| dependents.count_own(route, Count::In));
        dependents
    }

    /// Whether some rule sets a header.
    pub(super) fn is_set(&self, header: &str) -> bool {
        self.set.contains_key(header)
    }

    /// Takes note of an edit. Time: linear in what was read again and in what depends on it.
    pub(super) fn edit(&mut self, before: &Before, model: &Model) -> Concerned {
        let headers = |set: &BTreeMap<String, usize>| set.keys().cloned().collect::<Vec<_>>();
        let set_before = headers(&self.set);
        let services = before.services.iter().map(|(id, _)| Caller::Service(*id));
        let gateways = before.gateways.iter().map(|(id, _)| Caller::Gateway(*id));
        let workloads: BTreeSet<Caller> = services.chain(gateways).collect();
        let own_now: Vec<&ConsumerRoute> =
            model.consumer_routes.iter().filter(|route| workloads.contains(&route.caller)).collect();
        let mut called = BTreeSet::new();
        // First everything out and then everything in: one sends to another in several places.
        for count in [Count::Out, Count::In] {
            for (id, service) in &before.services {
                let service = count.of(service, &model[*id]);
                called.insert(*id);
                called.extend(callees(service).chain(service.tables().flat_map(ends)));
                called.extend(asked(service));
                self.count_service(*id, service, count);
            }
            for (id, gateway) in &before.gateways {
                let gateway = count.of(gateway, &model[*id]);
                called.extend(gateway.tables().flat_map(ends));
                self.count_gateway(Caller::Gateway(*id), gateway, count);
            }
            let own = before.consumer_routes.iter();
            for route in count.of(own.collect::<Vec<_>>(), own_now.clone()) {
                called.extend(ends(&route.table).chain([route.to.service]));
                self.count_own(route, count);
            }
        }
        // Whoever's requests come to a limit asks who counts for it; there are few of those.
        called.extend(model.limiters.iter().flatten().map(|(own, _)| own.to.service));
        Concerned {
            calling: self.calling(&workloads),
            called: behind(model, called),
            same_set: set_before == headers(&self.set),
            same_ends: same_ends(before, &own_now, model),
            workloads,
        }
    }

    /// Whoever was read again, whose routes lead there, and who calls one of those.
    fn calling(&self, workloads: &BTreeSet<Caller>) -> BTreeSet<Caller> {
        let mut left: Vec<Caller> = workloads.iter().copied().collect();
        let mut senders: BTreeSet<Caller> = workloads.clone();
        while let Some(who) = left.pop() {
            let Caller::Service(id) = who else { continue };
            let before = self.senders.get(&id).into_iter().flatten();
            left.extend(before.filter(|sender| senders.insert(**sender)).copied());
        }
        let callers = senders.iter().filter_map(|who| match who {
            Caller::Service(id) => self.callers.get(id),
            Caller::Gateway(_) => None,
        });
        let callers: Vec<Caller> = callers.flatten().copied().map(Caller::Service).collect();
        senders.into_iter().chain(callers).collect()
    }

    fn count_service(&mut self, id: ServiceId, service: &Service, count: Count) {
        for callee in callees(service) {
            count.set(&mut self.callers, callee, id);
        }
        service.tables().for_each(|table| self.count_table(Caller::Service(id), table, count));
    }

    fn count_gateway(&mut self, who: Caller, gateway: &Gateway, count: Count) {
        gateway.tables().for_each(|table| self.count_table(who, table, count));
    }

    fn count_own(&mut self, route: &ConsumerRoute, count: Count) {
        self.count_table(route.caller, &route.table, count);
    }

    fn count_table(&mut self, who: Caller, table: &Table, count: Count) {
        // Where it sends to itself nothing else depends on it.
        for to in ends(table).filter(|to| Caller::Service(*to) != who) {
            count.set(&mut self.senders, to, who);
        }
        for header in check::set_by(table) {
            match (count, self.set.get_mut(header)) {
                (Count::In, Some(rules)) => *rules += 1,
                (Count::In, None) => drop(self.set.insert(header.to_owned(), 1)),
                (Count::Out, Some(1)) => drop(self.set.remove(header)),
                (Count::Out, Some(rules)) => *rules -= 1,
                (Count::Out, None) => {}
            }
        }
    }
}

/// Whether something is there now, or was.
#[derive(Clone, Copy)]
enum Count {
    In,
    Out,
}

impl Count {
    fn of<T>(self, before: T, now: T) -> T {
        match self {
            Count::Out => before,
            Count::In => now,
        }
    }

    fn set<W: Ord>(self, all: &mut BTreeMap<ServiceId, BTreeSet<W>>, of: ServiceId, who: W) {
        match self {
            Count::In => drop(all.entry(of).or_default().insert(who)),
            Count::Out => drop(all.get_mut(&of).map(|all| all.remove(&who))),
        }
    }
}

fn callees(service: &Service) -> impl Iterator<Item = ServiceId> + '_ {
    service.calls.iter().map(|call| call.to.service)
}

/// The services that its proxy asks what may pass.
fn asked(service: &Service) -> impl Iterator<Item = ServiceId> + '_ {
    service.ports.iter().flat_map(|port| &port.checks).map(|check| check.authority.to.service)
}

/// The services that a table sends to.
fn ends(table: &Table) -> impl Iterator<Item = ServiceId> + '_ {
    table
        .rules
        .iter()
        .flat_map(|rule| match &rule.action {
            Action::Forward(backends) => backends.as_slice(),
            _ => &[],
        })
        .map(|backend| backend.to.service)
}

/// Services, and those that their routes lead to.
fn behind(model: &Model, mut found: BTreeSet<ServiceId>) -> BTreeSet<ServiceId> {
    let mut left: Vec<ServiceId> = found.iter().copied().collect();
    while let Some(id) = left.pop() {
        left.extend(model[id].tables().flat_map(ends).filter(|to| found.insert(*to)));
    }
    found
}

/// What leads somewhere, and who lets nobody in to whom nothing leads.
fn same_ends(before: &Before, own_now: &[&ConsumerRoute], model: &Model) -> bool {
    let of_table = |table: &Table| {
        let mirrors = table.rules.iter().flat_map(|rule| &rule.mirrors).map(|(to, _)| *to);
        ends(table).chain(mirrors).collect::<BTreeSet<_>>()
    };
    let of_tables =
        |tables: &mut dyn Iterator<Item = &Table>| tables.flat_map(of_table).collect::<BTreeSet<ServiceId>>();
    let of_service = |service: &Service| {
        let mut all = of_tables(&mut service.tables());
        all.extend(callees(service));
        (all, check::orphan(service).is_some())
    };
    let own =
        |routes: &mut dyn Iterator<Item = &ConsumerRoute>| of_tables(&mut routes.map(|route| &route.table));
    before.services.iter().all(|(id, service)| of_service(service) == of_service(&model[*id]))
        && before
            .gateways
            .iter()
            .all(|(id, gateway)| of_tables(&mut gateway.tables()) == of_tables(&mut model[*id].tables()))
        && own(&mut before.consumer_routes.iter()) == own(&mut own_now.iter().copied())
}
