//! What a name means: statements become the model, and what cannot be resolved is said once and left out.

mod access;
mod address;
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
mod limits;
mod limits_inside;
mod mutual;
mod operation;
mod outliers;
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

use crate::case;
use crate::day::Day;
use crate::model::{AccessLine, Model};
use crate::quantified::Asking;
use mesh_lang::ast;
use mesh_lang::{Code, Diagnostic, Diagnostics, FileId};
pub(crate) use scope::DEFAULT_NAMESPACE;
use scope::Scope;
pub(crate) use shape::of_ops;

/// A parsed file and the directory it stands in.
pub(crate) struct Module<'a> {
    pub(crate) directory: &'a str,
    pub(crate) id: FileId,
    pub(crate) file: &'a ast::File,
}

/// The model, the tests, and what is wrong. The model holds everything that could be resolved; it is complete iff there
/// is no error.
pub(crate) fn resolve(
    modules: &[Module<'_>],
    environment: Option<&str>,
    today: Option<Day>,
) -> (Model, Vec<(case::Test, Vec<Asking>)>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let (mut model, scope) = Scope::new(modules, &mut diagnostics);
    if let Some((_, mesh)) = declared(modules, mesh).next() {
        model.default = settings::resolve(&mesh.default, &mut diagnostics);
        model.default_at = settings::places(&mesh.default);
    }
    model.retry_limit = declared(modules, mesh).find_map(|(_, mesh)| mesh.retry_amplification);
    services(modules, &scope, &mut model, &mut diagnostics);
    for (place, gateway) in declared(modules, gateway) {
        route::listeners(gateway, &place, &scope, &mut model, &mut diagnostics);
    }
    for (place, group) in declared(modules, group) {
        access::group(group, &place, &scope, &model, &mut diagnostics);
    }
    for (place, gateway) in declared(modules, gateway) {
        if let Some(scope::Target::Gateway(id)) = scope.own(&gateway.name, place, &model) {
            let issuers = declarations::issuers(&gateway.jwts, place, &scope, &mut diagnostics);
            model.gateways[id.0 as usize].workload.issuers = issuers;
        }
    }
    let unbelieving = operation::unbelieving(modules);
    routes(modules, &scope, &unbelieving, &mut model, &mut diagnostics);
    authorizes(modules, &scope, &unbelieving, &mut model, &mut diagnostics);
    for (place, guardrail) in declared(modules, guardrail) {
        guardrail::resolve(guardrail, &place, &scope, &mut model, &mut diagnostics);
    }
    mutual::refuse_strangers(&mut model);
    in_canonical_order(&mut model);
    route::overrides_exist(&model, &mut diagnostics);
    let here = |test: &ast::Test| {
        let named = |name: &mesh_lang::Name| Some(name.value.as_str()) == environment;
        test.environments.is_empty() || test.environments.iter().any(named)
    };
    audit::check(modules, environment, today, &mut diagnostics);
    production::faults(modules, environment, &mut diagnostics);
    model.asked = declarations::asked(modules, &scope);
    declarations::check(modules, &scope, &mut diagnostics);
    operation::of_gateways(modules, &scope, &mut diagnostics);
    limits_inside::check(modules, &scope, &mut diagnostics);
    operation::aliases(modules, &mut diagnostics);
    let clusters = declared(modules, mesh).next().map_or(&[][..], |(_, mesh)| &mesh.clusters);
    failover::check(modules, &scope, clusters, &mut diagnostics);
    diagnostics.extend(protocol::mismatches(modules, &scope, &model));
    scope.shared.unused().into_iter().for_each(|unused| diagnostics.push(unused));
    questions::check(modules, &mut diagnostics);
    let tests = declared(modules, test_case).filter(|(_, test)| here(test));
    let tests =
        tests.map(|(place, test)| test::resolve(test, &place, &scope, &model, &mut diagnostics)).collect();
    (model, tests, diagnostics)
}

/// What services say of themselves, and then, when it is known which ports there are, of what they call.
fn services(modules: &[Module<'_>], scope: &Scope, model: &mut Model, diagnostics: &mut Diagnostics) {
    let mesh = declared(modules, mesh).next().map(|(_, mesh)| mesh);
    let clusters = mesh.map_or(&[][..], |mesh| &mesh.clusters);
    let mtls = declared(modules, self::mesh).find_map(|(_, mesh)| mesh.mtls);
    let all = declared(modules, service).map(|(place, service)| {
        let id = match scope.own(&service.name, place, model) {
            Some(scope::Target::Service(id)) => Some(id),
            _ => None,
        };
        (place, service, id)
    });
    let all: Vec<_> = all.collect();
    let read = scope.read_all(&all, diagnostics, |(place, service, id), diagnostics| {
        operation::of_service(service, *place, scope, clusters, diagnostics);
        id.map(|_| service::read(service, *place, scope, mtls, diagnostics))
    });
    for ((_, _, id), own) in all.iter().zip(read) {
        if let (Some(id), Some(own)) = (id, own) {
            own.fill(&mut model.services[id.0 as usize]);
        }
    }
    let calls = scope.read_all(&all, diagnostics, |(place, service, id), diagnostics| {
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
    scope: &Scope,
    unbelieving: &operation::Unbelieving<'_>,
    model: &mut Model,
    diagnostics: &mut Diagnostics,
) {
    let delegations = delegation::Delegations::new(modules, scope, model, diagnostics);
    let all: Vec<_> = declared(modules, route).collect();
    let read = scope.read_all(&all, diagnostics, |(place, route), diagnostics| {
        protocol::of_route(route, *place, scope, model, diagnostics);
        operation::of_route(route, *place, scope, diagnostics);
        for line in route.rules.iter().flat_map(|rule| &rule.matches) {
            operation::client_address(&route.target, &line.when, *place, scope, unbelieving, diagnostics);
        }
        route::read(route, *place, scope, &delegations, model, diagnostics)
    });
    for ((place, route), read) in all.into_iter().zip(read) {
        route::resolve(route, read, place, scope, model, diagnostics);
    }
}

fn authorizes(
    modules: &[Module<'_>],
    scope: &Scope,
    unbelieving: &operation::Unbelieving<'_>,
    model: &mut Model,
    diagnostics: &mut Diagnostics,
) {
    let all: Vec<_> = declared(modules, authorize).collect();
    let read = scope.read_all(&all, diagnostics, |(place, authorize), diagnostics| {
        protocol::of_authorize(authorize, *place, scope, model, diagnostics);
        mutual::unknown_peers(authorize, *place, scope, model, diagnostics);
        for target in &authorize.targets {
            for line in &authorize.lines {
                operation::client_address(target, &line.when, *place, scope, unbelieving, diagnostics);
            }
        }
        access::read(authorize, *place, scope, model, diagnostics)
    });
    for ((_, authorize), read) in all.into_iter().zip(read) {
        access::resolve(authorize, read, model, diagnostics);
    }
}

/// The statements of a kind, with the directory each stands in.
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
    model.consumer_routes.sort_by_key(|route| (route.caller, route.to));
    model.gateway_identities =
        model.gateways.iter().map(|gateway| gateway.workload.identity.clone()).collect();
    model.gateway_identities.sort_unstable();
    for route in &mut model.consumer_routes {
        route.table.rules.sort_by(|a, b| a.name.cmp(&b.name));
    }
    for service in &mut model.services {
        service.calls.sort_by_key(|call| call.to);
        for call in &mut service.calls {
            call.lines.sort_by(|a, b| {
                (&a.shape, &a.settings, a.narrowed).cmp(&(&b.shape, &b.settings, b.narrowed))
            });
        }
        for port in &mut service.ports {
            port.endpoints.sort();
            if let Some(table) = &mut port.route {
                table.rules.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
    }
    for gateway in &mut model.gateways {
        for listener in &mut gateway.listeners {
            listener.tables.sort_by(|a, b| a.host.cmp(&b.host));
            for host in &mut listener.tables {
                host.table.rules.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
    }
}

/// Sorts lines by their texts, which is the order in which they are told and reported (`spec/semantics.md` 4.5, 4.7). Where only
/// names are looked up, no line is put into words.
pub(crate) fn lines_in_order_of_text(model: &mut Model) {
    let sort = |lines: &mut Vec<AccessLine>| lines.sort_by_cached_key(|line| line.text.to_string());
    model.services.iter_mut().flat_map(|service| &mut service.ports).for_each(|port| sort(&mut port.access));
    let listeners = model.gateways.iter_mut().flat_map(|gateway| &mut gateway.listeners);
    listeners.for_each(|listener| sort(&mut listener.access));
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
