//! What a name means: statements become the model, and what cannot be resolved is said once and left out.

mod access;
mod address;
mod again;
mod asked;
mod asking;
mod audit;
mod backend;
mod browsers;
mod consumer;
mod declarations;
mod delegation;
mod edits;
mod failover;
mod guardrail;
mod hosts;
mod key_places;
mod limits;
mod limits_inside;
mod mutual;
mod operation;
mod outliers;
pub(crate) mod outside;
mod probe;
mod production;
mod protocol;
mod questions;
mod route;
mod scope;
mod service;
mod settings;
mod shape;
mod shared;
mod test;
mod verifiers;

use crate::case;
use crate::day::Day;
use crate::model::{AccessLine, ConsumerRoute, Gateway, Model, Service, ServiceId, Table, Wording};
use crate::quantified::Asking;
pub(crate) use again::{Again, Before};
use mesh_lang::ast;
use mesh_lang::{Code, Diagnostic, Diagnostics, FileId, Text};
pub(crate) use scope::DEFAULT_NAMESPACE;
use scope::Scope;
pub(crate) use shape::of_ops;
use std::collections::BTreeMap;

/// A parsed file and the directory it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Module<'a> {
    pub(crate) directory: &'a str,
    pub(crate) id: FileId,
    pub(crate) file: &'a ast::File,
}

/// For which environment and on which day.
#[derive(Clone, Copy, Default)]
pub(crate) struct When<'a> {
    pub(crate) environment: Option<&'a str>,
    pub(crate) today: Option<Day>,
}

/// A project whose names are looked up. It can be kept: after an edit the files that it concerns are read again (`again.rs`).
#[derive(Default)]
pub(crate) struct Resolved {
    /// Everything that could be resolved; it is complete iff there is no error.
    pub(crate) model: Model,
    pub(crate) tests: Vec<(case::Test, Vec<Asking>)>,
    pub(crate) mistakes: Mistakes,
    scope: Scope,
    speakers: again::Speakers,
}

/// What is wrong, by what it follows from.
#[derive(Default)]
pub(crate) struct Mistakes {
    /// From the names of the project and from what is said of all of it: of these nothing is read again.
    names: Diagnostics,
    /// From what one file says.
    files: BTreeMap<FileId, Diagnostics>,
    /// From what several say together.
    together: Diagnostics,
}

impl Mistakes {
    fn of(&mut self, file: FileId) -> &mut Diagnostics {
        self.files.entry(file).or_default()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        let files = self.files.values().flat_map(Diagnostics::iter);
        self.names.iter().chain(files).chain(self.together.iter())
    }
}

impl Resolved {
    /// Looks up the names of a project.
    pub(crate) fn new(modules: &[Module<'_>], when: When<'_>) -> Resolved {
        let mut mistakes = Mistakes::default();
        let (mut model, scope) = Scope::new(modules, &mut mistakes.names);
        let project = Project::of(modules, when);
        if let Some((_, mesh)) = project.meshes.first() {
            model.default = settings::resolve(&mesh.default, &mut mistakes.names);
            model.default_at = settings::places(&mesh.default);
            model.logged = declarations::logged(&mesh.telemetry);
        }
        model.retry_limit = project.meshes.iter().find_map(|(_, mesh)| mesh.retry_amplification);
        read(modules, &project, &scope, &mut model, &mut mistakes);
        for (place, guardrail) in declared(modules, guardrail) {
            // They are read once: what they use stays used.
            let place = scope::Place { file: scope::NO_FILE, ..place };
            guardrail::resolve(guardrail, &place, &scope, &mut model, &mut mistakes.names);
        }
        mutual::refuse_strangers(model.services.iter_mut());
        probe::let_in(model.services.iter_mut());
        model.asked = declarations::asked(modules, &scope);
        model.gateway_identities =
            model.gateways.iter().map(|gateway| gateway.workload.identity.clone()).collect();
        model.gateway_identities.sort_unstable();
        in_canonical_order(&mut model);
        let speakers = again::Speakers::of(modules, &scope);
        let mut resolved = Resolved { model, tests: Vec::new(), mistakes, scope, speakers };
        resolved.together(&project);
        resolved
    }

    /// What files say together, and the tests, which may ask about any of them.
    fn together(&mut self, project: &Project<'_>) {
        let Resolved { model, tests, mistakes: Mistakes { together, .. }, scope, .. } = self;
        let somewhere = project.modules.iter().flat_map(|module| &module.file.sent_somewhere);
        model.sent_somewhere = somewhere.cloned().collect();
        model.limiters = asked::limiters(scope, model);
        route::overrides_exist(model, together);
        hosts::check(project.modules, scope, together);
        failover::check(project.modules, scope, project.clusters(), together);
        together.extend(protocol::mismatches(project.modules, scope, model));
        // They are read below, and were before the edit.
        scope.shared.forget(&[scope::TESTS].into());
        scope.shared.unused().into_iter().for_each(|unused| together.push(unused));
        let here = |test: &ast::Test| {
            let named = |name: &mesh_lang::Name| Some(name.value.as_str()) == project.when.environment;
            test.environments.is_empty() || test.environments.iter().any(named)
        };
        let asked = declared(project.modules, test_case).filter(|(_, test)| here(test));
        let tests_of = |place| scope::Place { file: scope::TESTS, ..place };
        let asked = asked.map(|(place, test)| (tests_of(place), test));
        *tests = asked.map(|(place, test)| test::resolve(test, &place, scope, model, together)).collect();
    }
}

/// What all of a project is asked for while some of its files are read.
struct Project<'a> {
    modules: &'a [Module<'a>],
    when: When<'a>,
    meshes: Vec<(scope::Place<'a>, &'a ast::Mesh)>,
    gateways: Vec<(scope::Place<'a>, &'a ast::Gateway)>,
}

impl<'a> Project<'a> {
    fn of(modules: &'a [Module<'a>], when: When<'a>) -> Project<'a> {
        let (mut meshes, mut gateways) = (Vec::new(), Vec::new());
        for (place, item) in declared(modules, Some) {
            match item {
                ast::Item::Mesh(mesh) => meshes.push((place, &**mesh)),
                ast::Item::Gateway(gateway) => gateways.push((place, gateway)),
                _ => {}
            }
        }
        Project { modules, when, meshes, gateways }
    }

    fn clusters(&self) -> &'a [mesh_lang::Name] {
        self.meshes.first().map_or(&[][..], |(_, mesh)| &mesh.clusters)
    }

    /// The production that this is: the environment, or, where none is asked for, any.
    fn production(&self) -> Option<&'a mesh_lang::Name> {
        let here = |name: &&mesh_lang::Name| {
            self.when.environment.is_none_or(|environment| name.value == environment)
        };
        self.meshes.iter().flat_map(|(_, mesh)| &mesh.production).find(here)
    }

    fn environments(&self) -> Vec<mesh_lang::Name> {
        self.meshes.iter().flat_map(|(_, mesh)| &mesh.environments).cloned().collect()
    }
}

/// What some files say, besides guardrails and tests.
fn read(
    modules: &[Module<'_>],
    project: &Project<'_>,
    scope: &Scope,
    model: &mut Model,
    mistakes: &mut Mistakes,
) {
    services(modules, project, scope, model, mistakes);
    for (place, gateway) in declared(modules, gateway) {
        route::listeners(gateway, &place, scope, model, mistakes.of(place.file));
    }
    for (place, gateway) in declared(modules, gateway) {
        if let Some(scope::Target::Gateway(id)) = scope.own(&gateway.name, place, model) {
            let issuers = declarations::issuers(&gateway.jwts, place, scope, mistakes.of(place.file));
            let workload = &mut model.gateways[id.0 as usize].workload;
            workload.issuers = issuers;
            workload.verifiers = verifiers::of(&gateway.jwts, place, scope);
        }
    }
    let unbelieving = operation::unbelieving(&project.gateways);
    routes(modules, project, scope, &unbelieving, model, mistakes);
    authorizes(modules, scope, &unbelieving, model, mistakes);
    let environments = project.environments();
    for module in modules {
        let (own, found) = (std::slice::from_ref(module), mistakes.of(module.id));
        for (place, group) in declared(own, group) {
            access::group(group, &place, scope, model, found);
        }
        audit::check(own, project.production(), project.when.today, found);
        production::faults(own, project.production(), found);
        declarations::check(own, scope, model, found);
        questions::check(own, &environments, found);
    }
    operation::of_gateways(modules, scope, mistakes);
    limits_inside::check(modules, scope, mistakes);
}

/// What services say of themselves, and then, when it is known which ports there are, of what they call.
fn services(
    modules: &[Module<'_>],
    project: &Project<'_>,
    scope: &Scope,
    model: &mut Model,
    mistakes: &mut Mistakes,
) {
    let clusters = project.clusters();
    let mtls = project.meshes.iter().find_map(|(_, mesh)| mesh.mtls);
    let all = declared(modules, service).map(|(place, service)| {
        let id = match scope.own(&service.name, place, model) {
            Some(scope::Target::Service(id)) => Some(id),
            _ => None,
        };
        (place, service, id)
    });
    let all: Vec<_> = all.collect();
    let file = |(place, ..): &(scope::Place<'_>, &ast::Service, Option<ServiceId>)| place.file;
    let read = scope.read_all(&all, file, mistakes, |(place, service, id), diagnostics| {
        operation::of_service(service, *place, scope, clusters, diagnostics);
        id.map(|_| service::read(service, *place, scope, mtls, diagnostics))
    });
    for ((_, _, id), own) in all.iter().zip(read) {
        if let (Some(id), Some(own)) = (id, own) {
            own.fill(&mut model.services[id.0 as usize]);
        }
    }
    let calls = scope.read_all(&all, file, mistakes, |(place, service, id), diagnostics| {
        id.map(|_| service::calls(service, *place, scope, model, diagnostics))
    });
    for ((_, _, id), calls) in all.iter().zip(calls) {
        if let (Some(id), Some(calls)) = (id, calls) {
            model.services[id.0 as usize].calls = calls;
        }
    }
}

fn routes(
    modules: &[Module<'_>],
    project: &Project<'_>,
    scope: &Scope,
    unbelieving: &operation::Unbelieving<'_>,
    model: &mut Model,
    mistakes: &mut Mistakes,
) {
    let delegations = delegation::Delegations::new(&project.gateways, scope, model, &mut mistakes.together);
    let all: Vec<_> = declared(modules, route).collect();
    let file = |(place, _): &(scope::Place<'_>, &ast::Route)| place.file;
    let read = scope.read_all(&all, file, mistakes, |(place, route), diagnostics| {
        protocol::of_route(route, *place, scope, model, diagnostics);
        operation::of_route(route, *place, scope, diagnostics);
        for line in route.rules.iter().flat_map(|rule| &rule.matches) {
            operation::client_address(&route.target, &line.when, *place, scope, unbelieving, diagnostics);
        }
        route::read(route, *place, scope, &delegations, model, diagnostics)
    });
    for ((place, route), read) in all.into_iter().zip(read) {
        route::resolve(route, read, place, scope, model, mistakes.of(place.file));
    }
}

fn authorizes(
    modules: &[Module<'_>],
    scope: &Scope,
    unbelieving: &operation::Unbelieving<'_>,
    model: &mut Model,
    mistakes: &mut Mistakes,
) {
    let all: Vec<_> = declared(modules, authorize).collect();
    let file = |(place, _): &(scope::Place<'_>, &ast::Authorize)| place.file;
    let read = scope.read_all(&all, file, mistakes, |(place, authorize), diagnostics| {
        protocol::of_authorize(authorize, *place, scope, model, diagnostics);
        mutual::unknown_peers(authorize, *place, scope, model, diagnostics);
        for target in &authorize.targets {
            for line in &authorize.lines {
                operation::client_address(target, &line.when, *place, scope, unbelieving, diagnostics);
            }
        }
        access::read(authorize, *place, scope, model, diagnostics)
    });
    for ((place, authorize), read) in all.into_iter().zip(read) {
        access::resolve(authorize, read, model, mistakes.of(place.file));
    }
}

/// The statements of a kind, with the place each stands in.
fn declared<'a, T: 'a>(
    modules: &'a [Module<'a>],
    pick: impl Fn(&'a ast::Item) -> Option<T> + Copy + 'a,
) -> impl Iterator<Item = (scope::Place<'a>, T)> + 'a {
    modules.iter().flat_map(move |module| {
        let place = scope::Place { directory: module.directory, file: module.id };
        module.file.items.iter().filter_map(pick).map(move |item| (place, item))
    })
}

/// Sorts what was collected in source order, so that nothing after this sees it.
fn in_canonical_order(model: &mut Model) {
    model.services.iter_mut().for_each(service_in_order);
    model.gateways.iter_mut().for_each(gateway_in_order);
    consumer_routes_in_order(&mut model.consumer_routes);
}

fn service_in_order(service: &mut Service) {
    service.calls.sort_by_key(|call| call.to);
    for call in &mut service.calls {
        call.lines
            .sort_by(|a, b| (&a.shape, &a.settings, a.narrowed).cmp(&(&b.shape, &b.settings, b.narrowed)));
    }
    for port in &mut service.ports {
        port.endpoints.sort();
        port.route.iter_mut().for_each(rules_in_order);
    }
}

fn gateway_in_order(gateway: &mut Gateway) {
    for listener in &mut gateway.listeners {
        listener.tables.sort_by(|a, b| a.host.cmp(&b.host));
        listener.tables.iter_mut().for_each(|host| rules_in_order(&mut host.table));
    }
}

fn consumer_routes_in_order(routes: &mut [ConsumerRoute]) {
    routes.sort_by_key(|route| (route.caller, route.to));
    routes.iter_mut().for_each(|route| rules_in_order(&mut route.table));
}

fn rules_in_order(table: &mut Table) {
    table.rules.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Sorts lines by their texts, which is the order in which they are told and reported (`spec/semantics.md` 4.5, 4.7). Where only
/// names are looked up, no line is put into words.
pub(crate) fn lines_in_order_of_text(model: &mut Model) {
    doors(model).for_each(|lines| lines_in_order(lines));
}

/// Of each line keeps the words alone: who decides about requests need not know how they were put together, and they are some of the
/// largest parts of a tree.
pub(crate) fn keep_words_alone(model: &mut Model) {
    for line in doors(model).flatten() {
        let text = std::mem::replace(&mut line.text, Wording::Said(Text::default()));
        line.text = text.alone();
    }
}

/// The lines of each authorization.
fn doors(model: &mut Model) -> impl Iterator<Item = &mut Vec<AccessLine>> {
    let ports = model.services.iter_mut().flat_map(|service| &mut service.ports);
    let listeners = model.gateways.iter_mut().flat_map(|gateway| &mut gateway.listeners);
    ports.map(|port| &mut port.access).chain(listeners.map(|listener| &mut listener.access))
}

fn lines_in_order(lines: &mut [AccessLine]) {
    lines.sort_by(|a, b| a.text.as_str().cmp(b.text.as_str()));
}

/// "`x` is declared twice", with both places.
fn duplicate(kind: &str, name: &str, second: mesh_lang::Span, first: mesh_lang::Span) -> Diagnostic {
    Diagnostic::new(Code::DuplicateName, format!("{kind} `{name}` is declared twice"))
        .at(second, "declared again here")
        .at(first, "first declared here")
        .help("Rename one of them, or delete the one that is not meant.")
}

// What `declared` picks.

fn service(item: &ast::Item) -> Option<&ast::Service> {
    match item {
        ast::Item::Service(service) => Some(service),
        _ => None,
    }
}

fn group(item: &ast::Item) -> Option<&ast::Group> {
    match item {
        ast::Item::Group(group) => Some(group),
        _ => None,
    }
}

fn guardrail(item: &ast::Item) -> Option<&ast::Guardrail> {
    match item {
        ast::Item::Guardrail(guardrail) => Some(guardrail),
        _ => None,
    }
}

fn gateway(item: &ast::Item) -> Option<&ast::Gateway> {
    match item {
        ast::Item::Gateway(gateway) => Some(gateway),
        _ => None,
    }
}

fn route(item: &ast::Item) -> Option<&ast::Route> {
    match item {
        ast::Item::Route(route) => Some(route),
        _ => None,
    }
}

fn authorize(item: &ast::Item) -> Option<&ast::Authorize> {
    match item {
        ast::Item::Authorize(authorize) => Some(authorize),
        _ => None,
    }
}

fn test_case(item: &ast::Item) -> Option<&ast::Test> {
    match item {
        ast::Item::Test(test) => Some(test),
        _ => None,
    }
}

fn mesh(item: &ast::Item) -> Option<&ast::Mesh> {
    match item {
        ast::Item::Mesh(mesh) => Some(mesh),
        _ => None,
    }
}
