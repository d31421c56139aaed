//! Some files of a project, read again after an edit: what they said is taken out of the model, and what they say now is put in.
//!
//! This holds while nothing changes that other files can see, which the caller has made sure of: names, ports, subsets, and
//! everything that is shared (`crate::workspace`).

use super::scope::{NO_FILE, Place, Scope, TESTS, Target};
use super::{Mistakes, Module, Project, Resolved, When, consumer, declared, mutual, probe, read};
use super::{consumer_routes_in_order, gateway_in_order, lines_in_order, service_in_order};
use crate::check;
use crate::model::{
    AccessLine, Caller, ConsumerRoute, Gateway, GatewayId, Model, Service, ServiceId, Workload,
};
use mesh_lang::{Diagnostic, Diagnostics, FileId, ast};
use std::collections::{BTreeMap, BTreeSet};

/// Which files speak of what: they declare it, or have a `route` or an `authorize` of it.
#[derive(Default)]
pub(super) struct Speakers {
    of_files: BTreeMap<FileId, BTreeSet<Target>>,
    of_targets: BTreeMap<Target, BTreeSet<FileId>>,
}

/// What was made anew.
pub(crate) struct Again {
    /// How many files were read.
    pub(crate) files: usize,
    /// The services and gateways that they speak of, as they were.
    pub(crate) before: Before,
}

/// Services and gateways as they were before an edit, without the lines of guardrails, and their own routes to others.
#[derive(Default)]
pub(crate) struct Before {
    pub(crate) services: Vec<(ServiceId, Service)>,
    pub(crate) gateways: Vec<(GatewayId, Gateway)>,
    pub(crate) consumer_routes: Vec<ConsumerRoute>,
}

/// What is read again.
struct Concerned {
    files: BTreeSet<FileId>,
    targets: BTreeSet<Target>,
}

impl Speakers {
    pub(super) fn of(modules: &[Module<'_>], scope: &Scope) -> Speakers {
        let mut speakers = Speakers::default();
        modules.iter().for_each(|module| speakers.set(module, scope));
        speakers
    }

    fn set(&mut self, module: &Module<'_>, scope: &Scope) {
        let now = spoken_of(module, scope);
        for target in &now {
            self.of_targets.entry(*target).or_default().insert(module.id);
        }
        for target in self.of_files.insert(module.id, now.clone()).into_iter().flatten() {
            if !now.contains(&target)
                && let Some(files) = self.of_targets.get_mut(&target)
            {
                files.remove(&module.id);
            }
        }
    }
}

/// What a file speaks of. A caller's own route is about the caller: only its owner writes it.
fn spoken_of(module: &Module<'_>, scope: &Scope) -> BTreeSet<Target> {
    let mut targets = BTreeSet::new();
    for (place, item) in declared(std::slice::from_ref(module), Some) {
        match item {
            ast::Item::Service(service) => targets.extend(scope.named(&service.name, place)),
            ast::Item::Gateway(gateway) => targets.extend(scope.named(&gateway.name, place)),
            ast::Item::Route(route) if route.from.is_empty() => {
                targets.extend(scope.known(&route.target, place));
            }
            ast::Item::Route(route) => {
                let callers =
                    route.from.iter().filter_map(|written| consumer::callers(written, place, scope).ok());
                targets.extend(callers.flatten().map(Target::from));
            }
            ast::Item::Authorize(authorize) => {
                targets.extend(authorize.targets.iter().filter_map(|name| scope.known(name, place)));
            }
            _ => {}
        }
    }
    targets
}

impl From<Caller> for Target {
    fn from(caller: Caller) -> Target {
        match caller {
            Caller::Service(id) => Target::Service(id),
            Caller::Gateway(id) => Target::Gateway(id),
        }
    }
}

impl Resolved {
    /// Reads a file again, with those that speak of the same services and gateways, those that use what it shares where that stands
    /// elsewhere now, and those of whose mistakes some place is in one of them. `None` where what is wrong with the names themselves has a place there: then everything is read again.
    ///
    /// Time: linear in these files, and in the services, guardrails and tests of the project.
    pub(crate) fn again(&mut self, modules: &[Module<'_>], edited: FileId, when: When<'_>) -> Option<Again> {
        let module = |file: FileId| modules.get(file.0 as usize);
        self.scope.forget_comparisons();
        let Concerned { files, targets } = self.concerned(edited, module(edited)?);
        if self.mistakes.names.iter().any(|mistake| is_about(mistake, &files)) {
            return None;
        }
        let these: Vec<Module<'_>> = files.iter().filter_map(|file| module(*file).copied()).collect();
        these.iter().for_each(|module| self.speakers.set(module, &self.scope));
        self.scope.moved(module(edited)?);
        self.scope.shared.forget(&files);
        let Resolved { model, mistakes, scope, .. } = self;
        mistakes.forget(&files);
        let (before, guardrails) = take_out(model, &targets);
        for (place, item) in declared(&these, Some) {
            let name = match item {
                ast::Item::Service(service) => &service.name,
                ast::Item::Gateway(gateway) => &gateway.name,
                _ => continue,
            };
            match scope.named(name, place)? {
                Target::Service(id) => model.services[id.0 as usize].workload.span = name.span,
                Target::Gateway(id) => model.gateways[id.0 as usize].workload.span = name.span,
            }
        }
        let project = Project::of(modules, when);
        read(&these, &project, scope, model, mistakes);
        put_back(model, guardrails);
        for target in targets {
            match target {
                Target::Service(id) => {
                    let service = &mut model.services[id.0 as usize];
                    mutual::refuse_strangers(std::iter::once(&mut *service));
                    probe::let_in(std::iter::once(&mut *service));
                    service_in_order(service);
                }
                Target::Gateway(id) => gateway_in_order(&mut model.gateways[id.0 as usize]),
            }
            doors(model, target).into_iter().for_each(|lines| lines_in_order(lines));
        }
        consumer_routes_in_order(&mut model.consumer_routes);
        self.together(&project);
        Some(Again { files: files.len(), before })
    }

    /// Everything that is read again with an edited file: users of what it shares keep where that stands.
    fn concerned(&self, edited: FileId, now: &Module<'_>) -> Concerned {
        let mut again = Concerned { files: BTreeSet::new(), targets: spoken_of(now, &self.scope) };
        let users = declared(std::slice::from_ref(now), Some)
            .flat_map(|(place, item)| self.scope.shared.users_of_moved(item, place));
        let mut left: Vec<FileId> =
            users.filter(|file| ![NO_FILE, TESTS].contains(file)).chain([edited]).collect();
        loop {
            while let Some(file) = left.pop() {
                if again.files.insert(file) {
                    again.targets.extend(self.speakers.of_files.get(&file).into_iter().flatten());
                }
            }
            let known = |file: &FileId| !again.files.contains(file);
            let speakers = again.targets.iter().filter_map(|target| self.speakers.of_targets.get(target));
            left.extend(speakers.flatten().copied().filter(known));
            let mistaken = self.mistakes.files.iter().filter(|(file, mistakes)| {
                known(file) && mistakes.iter().any(|mistake| is_about(mistake, &again.files))
            });
            left.extend(mistaken.map(|(file, _)| *file));
            if left.is_empty() {
                return again;
            }
        }
    }
}

/// Whether some place of a finding is in one of these files.
fn is_about(found: &Diagnostic, files: &BTreeSet<FileId>) -> bool {
    found.labels.iter().any(|label| files.contains(&label.span.file()))
}

impl Mistakes {
    fn forget(&mut self, files: &BTreeSet<FileId>) {
        files.iter().for_each(|file| drop(self.files.remove(file)));
        self.together = Diagnostics::new();
    }
}

/// The lines of guardrails, for each port or listener of a target.
type Guardrails = Vec<(Target, Vec<Vec<AccessLine>>)>;

/// Takes out what files said of targets; what guardrails say of them is kept apart.
fn take_out(model: &mut Model, targets: &BTreeSet<Target>) -> (Before, Guardrails) {
    let (mut before, mut guardrails) = (Before::default(), Vec::with_capacity(targets.len()));
    let own = |route: &mut ConsumerRoute| targets.contains(&Target::from(route.caller));
    before.consumer_routes.extend(model.consumer_routes.extract_if(.., own));
    for target in targets {
        let of_guardrails = |lines: &mut Vec<AccessLine>| {
            lines.extract_if(.., |line| check::guardrail(line).is_some()).collect()
        };
        guardrails.push((*target, doors(model, *target).into_iter().map(of_guardrails).collect()));
        match *target {
            Target::Service(id) => {
                let service = &mut model.services[id.0 as usize];
                let workload = Workload { authorized: false, ..service.workload.clone() };
                let empty = Service::named(workload, service.limits.clone());
                before.services.push((id, std::mem::replace(service, empty)));
            }
            Target::Gateway(id) => {
                let gateway = &mut model.gateways[id.0 as usize];
                let empty = Gateway {
                    workload: Workload { authorized: false, ..gateway.workload.clone() },
                    limits: gateway.limits.clone(),
                    trusted_hops: gateway.trusted_hops,
                    logged: gateway.logged,
                    listeners: vec![],
                };
                before.gateways.push((id, std::mem::replace(gateway, empty)));
            }
        }
    }
    (before, guardrails)
}

fn put_back(model: &mut Model, guardrails: Guardrails) {
    for (target, lines) in guardrails {
        doors(model, target).into_iter().zip(lines).for_each(|(door, lines)| door.extend(lines));
    }
}

/// The lines of each port or listener of a target.
fn doors(model: &mut Model, target: Target) -> Vec<&mut Vec<AccessLine>> {
    match target {
        Target::Service(id) => {
            model.services[id.0 as usize].ports.iter_mut().map(|port| &mut port.access).collect()
        }
        Target::Gateway(id) => {
            let listeners = model.gateways[id.0 as usize].listeners.iter_mut();
            listeners.map(|listener| &mut listener.access).collect()
        }
    }
}

impl Scope {
    /// What an edited file shares may stand elsewhere in it.
    fn moved(&mut self, module: &Module<'_>) {
        for (place, item) in declared(std::slice::from_ref(module), Some) {
            match item {
                ast::Item::Module(module) => self.set_module(module, place),
                item => self.shared.set(item, place),
            }
        }
    }

    /// What a declaration is, where no other has its name.
    fn named(&self, name: &mesh_lang::Name, place: Place<'_>) -> Option<Target> {
        self.known(&ast::ServiceRef::new(name.span, name.value.clone()), place)
    }
}
