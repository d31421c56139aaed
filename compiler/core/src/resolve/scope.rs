//! Which names there are: modules, namespaces, services, gateways.

use super::{Module, declared, duplicate};
use crate::model::{Gateway, GatewayId, Model, PortId, Service, ServiceId, Workload};
use mesh_lang::ast::{self, ServiceRef};
use mesh_lang::diagnostic::suggest::nearest;
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span};
use std::collections::BTreeMap;

/// Where a statement stands: its module's directory.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) directory: &'a str,
}

/// What a name in a namespace is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Service(ServiceId),
    Gateway(GatewayId),
}

/// All names of the project.
pub(super) struct Scope<'a> {
    modules: BTreeMap<&'a str, ModuleInfo<'a>>,
    /// (namespace, name) → what it is and in which directory.
    targets: BTreeMap<(&'a str, &'a str), (Target, &'a str)>,
}

#[derive(Default)]
struct ModuleInfo<'a> {
    statement: Option<&'a ast::Module>,
}

/// The namespace of a module that does not name one.
const DEFAULT_NAMESPACE: &str = "default";
/// The trust domain of a project without a `mesh`.
const DEFAULT_TRUST_DOMAIN: &str = "local.test";

impl<'a> Scope<'a> {
    /// Collects the names, and the model with every service and gateway declared but empty.
    pub(super) fn new(modules: &'a [Module<'a>], diagnostics: &mut Diagnostics) -> (Model, Scope<'a>) {
        let mut scope = Scope { modules: BTreeMap::new(), targets: BTreeMap::new() };
        scope.collect_modules(modules, diagnostics);
        let trust_domain = trust_domain(modules, diagnostics);
        let mut model = Model { trust_domain, ..Model::default() };
        scope.collect_targets(modules, &mut model, diagnostics);
        (model, scope)
    }

    fn collect_modules(&mut self, modules: &'a [Module<'a>], diagnostics: &mut Diagnostics) {
        for module in modules {
            self.modules.entry(module.directory).or_default();
        }
        for (place, module) in declared(modules, |item| match item {
            ast::Item::Module(module) => Some(module),
            _ => None,
        }) {
            let info = self.modules.entry(place.directory).or_default();
            match info.statement {
                Some(first) => diagnostics.push(
                    Diagnostic::new(Code::DuplicateStatement, "this directory has a `module` already")
                        .at(module.span, "written again here")
                        .at(first.span, "first written here")
                        .help("A directory is one module: merge the two statements."),
                ),
                None => info.statement = Some(module),
            }
        }
    }

    fn collect_targets(
        &mut self,
        modules: &'a [Module<'a>],
        model: &mut Model,
        diagnostics: &mut Diagnostics,
    ) {
        let mut found: BTreeMap<(String, &'a str), (&'a str, Declared<'a>)> = BTreeMap::new();
        for (place, item) in declared(modules, Declared::of) {
            let namespace = self.namespace(place);
            let name = item.name();
            let key = (format!("{}.{namespace}", name.value), namespace);
            match found.get(&key) {
                Some((_, first)) => diagnostics.push(duplicate(
                    "service or gateway",
                    &name.value,
                    name.span,
                    first.name().span,
                )),
                None => {
                    found.insert(key, (place.directory, item));
                }
            }
        }
        for ((_, namespace), (directory, item)) in found {
            let account = item.service_account().unwrap_or(item.name());
            let workload = Workload {
                name: item.name().value.clone(),
                namespace: namespace.to_owned(),
                owner: self.owner(directory),
                identity: format!("spiffe://{}/ns/{namespace}/sa/{}", model.trust_domain, account.value),
                span: item.name().span,
                authorized: false,
            };
            let target = match item {
                Declared::Service(_) => {
                    let settings = mesh_plan::Settings::default();
                    let (ports, subsets, calls) = (vec![], vec![], vec![]);
                    model.services.push(Service { workload, settings, ports, subsets, calls });
                    Target::Service(ServiceId(model.services.len() as u32 - 1))
                }
                Declared::Gateway(_) => {
                    model.gateways.push(Gateway { workload, listeners: vec![] });
                    Target::Gateway(GatewayId(model.gateways.len() as u32 - 1))
                }
            };
            self.targets.insert((namespace, &item.name().value), (target, directory));
        }
    }

    pub(super) fn namespace(&self, place: Place<'_>) -> &'a str {
        let statement = self.modules.get(place.directory).and_then(|module| module.statement);
        let namespace = statement.and_then(|module| module.namespace.as_ref());
        namespace.map_or(DEFAULT_NAMESPACE, |name| &name.value)
    }

    fn owner(&self, directory: &str) -> String {
        let statement = self.modules.get(directory).and_then(|module| module.statement);
        statement
            .and_then(|module| module.owner.as_ref())
            .map(|owner| owner.value.clone())
            .unwrap_or_default()
    }

    /// Whether some module is in this namespace.
    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces().any(|own| own == namespace)
    }

    fn namespaces(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.modules.keys().map(|directory| self.namespace(Place { directory }))
    }

    /// A namespace that is not there.
    pub(super) fn unknown_namespace(&self, name: &str, span: Span) -> Diagnostic {
        let diagnostic = Diagnostic::new(Code::UnknownName, format!("unknown namespace `{name}`"))
            .at(span, "no module is in this namespace");
        match nearest(name, self.namespaces()) {
            Some(near) => diagnostic.help(format!("Did you mean `{near}`?")),
            None => diagnostic.help(format!("Declare it in a module: `namespace {name}`.")),
        }
    }

    /// What a declaration became, unless it was a duplicate.
    pub(super) fn own(&self, name: &Name, place: Place<'_>, model: &Model) -> Option<Target> {
        let (target, _) = self.targets.get(&(self.namespace(place), name.value.as_str()))?;
        (workload(model, *target).span == name.span).then_some(*target)
    }

    /// What a reference means.
    pub(super) fn target(&self, name: &ServiceRef, place: Place<'_>) -> Result<Target, Diagnostic> {
        self.lookup(name, place, "service or gateway")
    }

    fn lookup(&self, name: &ServiceRef, place: Place<'_>, kind: &str) -> Result<Target, Diagnostic> {
        let namespace = name.namespace.as_deref().unwrap_or(self.namespace(place));
        match self.targets.get(&(namespace, name.name.as_str())) {
            Some((target, _)) => Ok(*target),
            None => Err(self.unknown(name, namespace, kind)),
        }
    }

    pub(super) fn service(&self, name: &ServiceRef, place: Place<'_>) -> Result<ServiceId, Diagnostic> {
        match self.lookup(name, place, "service") {
            Ok(Target::Service(service)) => Ok(service),
            Ok(Target::Gateway(_)) => {
                Err(Diagnostic::new(Code::UnknownName, format!("`{name}` is a gateway"))
                    .at(name.span, "a service is needed here")
                    .help(format!("Name a service; as a principal, write `gateway {name}`.")))
            }
            Err(diagnostic) => Err(diagnostic),
        }
    }

    pub(super) fn gateway(&self, name: &ServiceRef, place: Place<'_>) -> Result<GatewayId, Diagnostic> {
        match self.lookup(name, place, "gateway") {
            Ok(Target::Gateway(gateway)) => Ok(gateway),
            Ok(Target::Service(_)) => {
                Err(Diagnostic::new(Code::UnknownName, format!("`{name}` is a service"))
                    .at(name.span, "a gateway is needed here")
                    .help(format!("Write `{name}` without `gateway`.")))
            }
            Err(diagnostic) => Err(diagnostic),
        }
    }

    /// Only the module of a service or gateway writes its `route` and `authorize`.
    pub(super) fn own_target(
        &self,
        name: &ServiceRef,
        place: Place<'_>,
        what: &str,
        model: &Model,
    ) -> Result<Target, Diagnostic> {
        let target = self.target(name, place)?;
        let owner = self.targets.values().find(|(own, _)| *own == target).map(|(_, directory)| *directory);
        if owner == Some(place.directory) {
            return Ok(target);
        }
        let home = owner
            .filter(|directory| !directory.is_empty())
            .map_or("the project's root".to_owned(), |directory| format!("the directory `{directory}`"));
        Err(Diagnostic::new(
            Code::ForeignStatement,
            format!("`{what} {name}` stands outside the module of `{name}`"),
        )
        .at(name.span, "declared in another module")
        .at(workload(model, target).span, "declared here")
        .help(format!(
            "Move the statement to {home}: the owner alone says who may call and where requests go."
        )))
    }

    fn unknown(&self, name: &ServiceRef, namespace: &str, kind: &str) -> Diagnostic {
        let here = self.targets.keys().filter(|(own, _)| *own == namespace).map(|(_, name)| *name);
        let elsewhere: Vec<String> = self
            .targets
            .keys()
            .filter(|(_, own)| *own == name.name)
            .map(|(namespace, own)| format!("{own}.{namespace}"))
            .collect();
        let diagnostic = Diagnostic::new(Code::UnknownName, format!("unknown {kind} `{name}`"))
            .at(name.span, format!("not declared in namespace `{namespace}`"));
        match (nearest(&name.name, here), elsewhere.first()) {
            (_, Some(full)) => {
                diagnostic.help(format!("It is declared in another namespace: write `{full}`."))
            }
            (Some(near), None) => diagnostic.help(format!("Did you mean `{near}`?")),
            (None, None) => {
                diagnostic.help(format!("Declare it: `service {} {{ port 8080 http }}`.", name.name))
            }
        }
    }
}

/// The workload behind a target.
pub(super) fn workload(model: &Model, target: Target) -> &Workload {
    match target {
        Target::Service(service) => &model[service].workload,
        Target::Gateway(gateway) => &model[gateway].workload,
    }
}

/// The port that `port NAME` means: by name, or the only one.
pub(super) fn port(
    model: &Model,
    service: ServiceId,
    name: Option<&Name>,
    span: Span,
) -> Result<PortId, Diagnostic> {
    let Service { workload, ports, .. } = &model[service];
    let names = || ports.iter().map(|port| port.name.as_str()).filter(|name| !name.is_empty());
    match (name, ports.len()) {
        (None, 1) => Ok(PortId { service, port: 0 }),
        (None, 0) | (Some(_), 0) => {
            Err(Diagnostic::new(Code::PortNeeded, format!("service `{}` has no port", workload.name))
                .at(span, "nothing can be sent to it")
                .at(workload.span, "declared here")
                .help("Give it a port: `port 8080 http`."))
        }
        (None, _) => {
            Err(Diagnostic::new(Code::PortNeeded, format!("service `{}` has several ports", workload.name))
                .at(span, "which one is not said")
                .help(format!("Add `port NAME`: {}.", listed(names()))))
        }
        (Some(wanted), _) => match ports.iter().position(|port| port.name == wanted.value) {
            Some(port) => Ok(PortId { service, port: port as u32 }),
            None => {
                let diagnostic = Diagnostic::new(
                    Code::PortNeeded,
                    format!("service `{}` has no port `{}`", workload.name, wanted.value),
                )
                .at(wanted.span, "not a port of this service")
                .at(workload.span, "declared here");
                Err(match nearest(&wanted.value, names()) {
                    Some(near) => diagnostic.help(format!("Did you mean `{near}`?")),
                    None if names().next().is_none() => {
                        diagnostic.help("Its only port has no name: leave `port …` out.")
                    }
                    None => diagnostic.help(format!("Its ports are {}.", listed(names()))),
                })
            }
        },
    }
}

/// `` `a`, `b` ``
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A service or a gateway, as declared.
#[derive(Clone, Copy)]
enum Declared<'a> {
    Service(&'a ast::Service),
    Gateway(&'a ast::Gateway),
}

impl<'a> Declared<'a> {
    fn of(item: &'a ast::Item) -> Option<Declared<'a>> {
        match item {
            ast::Item::Service(service) => Some(Declared::Service(service)),
            ast::Item::Gateway(gateway) => Some(Declared::Gateway(gateway)),
            _ => None,
        }
    }

    fn name(self) -> &'a Name {
        match self {
            Declared::Service(service) => &service.name,
            Declared::Gateway(gateway) => &gateway.name,
        }
    }

    fn service_account(self) -> Option<&'a Name> {
        match self {
            Declared::Service(service) => service.service_account.as_ref(),
            Declared::Gateway(gateway) => gateway.service_account.as_ref(),
        }
    }
}

fn trust_domain(modules: &[Module<'_>], diagnostics: &mut Diagnostics) -> String {
    let mut meshes = declared(modules, super::mesh).map(|(_, mesh)| mesh);
    let Some(first) = meshes.next() else { return DEFAULT_TRUST_DOMAIN.to_owned() };
    for again in meshes {
        diagnostics.push(
            Diagnostic::new(Code::DuplicateStatement, "a project has one `mesh`")
                .at(again.span, "written again here")
                .at(first.span, "first written here")
                .help("Merge the two statements."),
        );
    }
    let Some(name) = &first.trust_domain else { return DEFAULT_TRUST_DOMAIN.to_owned() };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    if !name.value.bytes().all(allowed) {
        diagnostics.push(
            Diagnostic::new(Code::InvalidValue, format!("`{}` is not a trust domain", name.value))
                .at(name.span, "lower-case letters, digits, `.`, `-` and `_` only (SPIFFE ID 2.1)")
                .help(format!(
                    "Write `trust-domain {}`.",
                    name.value.to_lowercase().replace(['/', ':'], "-")
                )),
        );
    }
    name.value.clone()
}
