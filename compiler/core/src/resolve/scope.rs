//! Which names there are: modules, namespaces, services, gateways.

use super::shared::Names;
use super::{Mistakes, Module, declared, duplicate};
use crate::model::{Gateway, GatewayId, Model, PortId, Service, ServiceId, Workload};
use mesh_lang::ast::{self, ServiceRef};
use mesh_lang::diagnostic::suggest::{Meant, meant};
use mesh_lang::{Code, Diagnostic, Diagnostics, FileId, Name, Span, Text};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Where a statement stands: its module's directory, and its file.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) directory: &'a str,
    pub(super) file: FileId,
}

/// The file of what is never read again.
pub(super) const NO_FILE: FileId = FileId(u32::MAX);

/// The file of tests, which are read anew after every edit: what they alone name is not used.
pub(super) const TESTS: FileId = FileId(u32::MAX - 1);

/// What a name in a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Service(ServiceId),
    Gateway(GatewayId),
}

/// All names of the project. It holds no text of the files: they are edited while it stays.
#[derive(Default)]
pub(super) struct Scope {
    /// The `module` of each directory, where one is written.
    modules: BTreeMap<Text, Option<ast::Module>>,
    /// What `name.namespace` is, and in which directory. Every line of every `authorize` asks: the name is as most of them write
    /// it, and short enough to stand in the table itself, so that a question is one look into memory.
    targets: FxHashMap<Text, (Target, Text)>,
    /// All of them.
    listed: Vec<Listed>,
    namespaces: BTreeSet<Text>,
    /// Profiles, groups and the like.
    pub(super) shared: Names,
    /// How many names were compared with unknown ones.
    compared: AtomicUsize,
}

/// A service or gateway, where names are compared.
struct Listed {
    namespace: Text,
    name: Text,
    target: Target,
    directory: Text,
}

/// What a reference is to name.
#[derive(Clone, Copy)]
enum Wanted {
    Service,
    Gateway,
    Either,
    /// Either, and of the module that the reference stands in.
    Own,
}

/// The namespace of a module that does not name one.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";
/// The trust domain of a project without a `mesh`.
const DEFAULT_TRUST_DOMAIN: &str = "local.test";
/// After so many comparisons no near name is looked for: they take half a second, names times mistakes could take minutes, and
/// who has so many mistakes reads the first ones.
const MAX_COMPARED: usize = 200_000;

impl Scope {
    /// Collects the names, and the model with every service and gateway declared but empty.
    pub(super) fn new(modules: &[Module<'_>], diagnostics: &mut Diagnostics) -> (Model, Scope) {
        let mut scope = Scope {
            modules: BTreeMap::new(),
            targets: FxHashMap::default(),
            listed: Vec::new(),
            namespaces: BTreeSet::new(),
            shared: Names::new(modules, diagnostics),
            compared: AtomicUsize::new(0),
        };
        scope.collect_modules(modules, diagnostics);
        scope.namespaces =
            scope.modules.keys().map(|directory| scope.namespace_of(directory).into()).collect();
        let trust_domain = trust_domain(modules, diagnostics);
        let mut model = Model { trust_domain, ..Model::default() };
        scope.collect_targets(modules, &mut model, diagnostics);
        (model, scope)
    }

    fn collect_modules(&mut self, modules: &[Module<'_>], diagnostics: &mut Diagnostics) {
        for module in modules {
            if !self.modules.contains_key(module.directory) {
                self.modules.insert(module.directory.into(), None);
            }
        }
        for (place, module) in declared(modules, |item| match item {
            ast::Item::Module(module) => Some(module),
            _ => None,
        }) {
            match self.modules.get_mut(place.directory) {
                Some(Some(first)) => diagnostics.push(
                    Diagnostic::new(Code::DuplicateStatement, "this directory has a `module` already")
                        .at(module.span, "written again here")
                        .at(first.span, "first written here")
                        .help("A directory is one module: merge the two statements."),
                ),
                Some(none) => *none = Some(module.clone()),
                None => {}
            }
        }
    }

    /// The `module` of a directory, which says the same and may stand elsewhere.
    pub(super) fn set_module(&mut self, module: &ast::Module, place: Place<'_>) {
        if let Some(known) = self.modules.get_mut(place.directory) {
            *known = Some(module.clone());
        }
    }

    fn collect_targets(&mut self, modules: &[Module<'_>], model: &mut Model, diagnostics: &mut Diagnostics) {
        let found = declared(modules, Declared::of).map(|(place, item)| {
            let namespace = self.namespace(place);
            (full_name(&item.name().value, namespace), Text::from(namespace), place, item)
        });
        let mut found: Vec<_> = found.collect();
        found.par_sort_by(|(a, in_a, ..), (b, in_b, ..)| (a, in_a).cmp(&(b, in_b)));
        found.dedup_by(|(name, namespace, _, item), (first_name, first_namespace, _, first)| {
            let again = (&*name, &*namespace) == (&*first_name, &*first_namespace);
            if again {
                let (name, first) = (item.name(), first.name());
                diagnostics.push(duplicate("service or gateway", &name.value, name.span, first.span));
            }
            again
        });
        self.targets.reserve(found.len());
        model.services.reserve(found.len());
        let made = found.par_iter().map(|(_, namespace, place, item)| Workload {
            name: item.name().value.clone(),
            namespace: namespace.clone(),
            owner: self.owner(place.directory),
            identity: item.identity(&model.trust_domain, namespace),
            span: item.name().span,
            authorized: false,
            issuers: vec![],
            verifiers: vec![],
        });
        let made: Vec<Workload> = made.collect();
        for ((full_name, namespace, place, item), workload) in found.into_iter().zip(made) {
            let target = match item {
                Declared::Service(service) => {
                    let limits = super::limits::of(&service.limits, place, &self.shared);
                    model.services.push(Service::named(workload, limits));
                    Target::Service(ServiceId(model.services.len() as u32 - 1))
                }
                Declared::Gateway(gateway) => {
                    let limits = super::limits::of(&gateway.limits, place, &self.shared);
                    let trusted_hops = gateway.trusted_hops.map_or(0, |hops| hops.value);
                    let logged = super::declarations::logged(&gateway.telemetry);
                    model.gateways.push(Gateway {
                        workload,
                        limits,
                        trusted_hops,
                        logged,
                        listeners: vec![],
                    });
                    Target::Gateway(GatewayId(model.gateways.len() as u32 - 1))
                }
            };
            if let Some(span) = self.shared.span(&item.name().value, place) {
                diagnostics.push(
                    Diagnostic::new(
                        Code::DuplicateName,
                        format!("`{}` is two things in this module", item.name().value),
                    )
                    .at(span, "a name for something else here")
                    .at(item.name().span, "a service or gateway here")
                    .help("Rename one of them."),
                );
            }
            let directory = Text::from(place.directory);
            self.targets.insert(full_name, (target, directory.clone()));
            self.listed.push(Listed { namespace, name: item.name().value.clone(), target, directory });
        }
    }

    pub(super) fn namespace(&self, place: Place<'_>) -> &str {
        self.namespace_of(place.directory)
    }

    fn namespace_of(&self, directory: &str) -> &str {
        let namespace = self.module(directory).and_then(|module| module.namespace.as_ref());
        namespace.map_or(DEFAULT_NAMESPACE, |name| &name.value)
    }

    fn module(&self, directory: &str) -> Option<&ast::Module> {
        self.modules.get(directory)?.as_ref()
    }

    fn owner(&self, directory: &str) -> Text {
        let owner = self.module(directory).and_then(|module| module.owner.as_ref());
        owner.map(|owner| owner.value.clone()).unwrap_or_default()
    }

    /// Whether a module may write guardrails.
    pub(super) fn is_platform(&self, place: Place<'_>) -> bool {
        self.module(place.directory).is_some_and(|module| module.platform.is_some())
    }

    /// Whether some module is in this namespace.
    pub(super) fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.contains(namespace)
    }

    /// A namespace that is not there.
    pub(super) fn unknown_namespace(&self, name: &str, span: Span) -> Diagnostic {
        let diagnostic = Diagnostic::new(Code::UnknownName, format!("unknown namespace `{name}`"))
            .at(span, "no module is in this namespace");
        let near = if self.may_compare(self.namespaces.len()) {
            meant(name, self.namespaces.iter().map(Text::as_str))
        } else {
            None
        };
        match near {
            Some(near) => diagnostic.did_you_mean(name, near),
            None => diagnostic.help(format!("Declare it in a module: `namespace {name}`.")),
        }
    }

    /// What a declaration became, unless it was a duplicate.
    pub(super) fn own(&self, name: &Name, place: Place<'_>, model: &Model) -> Option<Target> {
        let (target, _) = self.targets.get(&full_name(&name.value, self.namespace(place)))?;
        (workload(model, *target).span == name.span).then_some(*target)
    }

    /// What a reference means.
    pub(super) fn target(&self, name: &ServiceRef, place: Place<'_>) -> Result<Target, Diagnostic> {
        self.lookup(name, place, Wanted::Either).map(|(target, _)| target)
    }

    /// What a reference means, for those who leave it to others to say that it means nothing.
    pub(super) fn known(&self, name: &ServiceRef, place: Place<'_>) -> Option<Target> {
        self.find(name, place).map(|(target, _)| target)
    }

    fn find(&self, name: &ServiceRef, place: Place<'_>) -> Option<(Target, &str)> {
        let found = match name.namespace() {
            Some(_) => self.targets.get(name.as_str()),
            None => self.targets.get(&full_name(name.name(), self.namespace(place))),
        };
        found.map(|(target, directory)| (*target, directory.as_str()))
    }

    /// What a reference means, and the directory that declares it. It may be of another kind than is wanted.
    fn lookup(
        &self,
        name: &ServiceRef,
        place: Place<'_>,
        wanted: Wanted,
    ) -> Result<(Target, &str), Diagnostic> {
        self.find(name, place).ok_or_else(|| {
            self.unknown(name, name.namespace().unwrap_or_else(|| self.namespace(place)), wanted)
        })
    }

    pub(super) fn service(&self, name: &ServiceRef, place: Place<'_>) -> Result<ServiceId, Diagnostic> {
        match self.lookup(name, place, Wanted::Service)?.0 {
            Target::Service(service) => Ok(service),
            Target::Gateway(_) => Err(Diagnostic::new(Code::UnknownName, format!("`{name}` is a gateway"))
                .at(name.span, "a service is needed here")
                .help(format!("Name a service; as a principal, write `gateway {name}`."))),
        }
    }

    pub(super) fn gateway(&self, name: &ServiceRef, place: Place<'_>) -> Result<GatewayId, Diagnostic> {
        match self.lookup(name, place, Wanted::Gateway)?.0 {
            Target::Gateway(gateway) => Ok(gateway),
            Target::Service(_) => Err(Diagnostic::new(Code::UnknownName, format!("`{name}` is a service"))
                .at(name.span, "a gateway is needed here")
                .help(format!("Write `{name}` without `gateway`."))),
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
        let (target, owner) = self.lookup(name, place, Wanted::Own)?;
        if owner == place.directory {
            return Ok(target);
        }
        Err(Diagnostic::new(
            Code::ForeignStatement,
            format!("`{what} {name}` stands outside the module of `{name}`"),
        )
        .at(name.span, "declared in another module")
        .at(workload(model, target).span, "declared here")
        .help(format!(
            "Move the statement to {}: the owner alone says who may call and where requests go.",
            home(owner)
        )))
    }

    /// The directory whose module declares what a name means.
    pub(super) fn home_of(&self, name: &ServiceRef, place: Place<'_>) -> Option<&str> {
        self.find(name, place).map(|(_, directory)| directory)
    }

    fn unknown(&self, name: &ServiceRef, namespace: &str, wanted: Wanted) -> Diagnostic {
        let unknown = Diagnostic::new(Code::UnknownName, format!("unknown {} `{name}`", wanted.word()))
            .at(name.span, format!("not declared in namespace `{namespace}`"));
        if !self.may_compare(self.listed.len()) {
            return unknown.help(declare(name, wanted));
        }
        let mut fitting: Vec<&Listed> = self.listed.iter().filter(|one| wanted.admits(one.target)).collect();
        fitting.sort_by_key(|one| (&one.namespace, &one.name));
        if let Some(one) = fitting.iter().find(|one| one.name == name.name()) {
            let whole = format!("{}.{}", one.name, one.namespace);
            return match wanted {
                Wanted::Own => unknown.help(format!(
                    "`{whole}` is declared in {}: move the statement there.",
                    home(&one.directory)
                )),
                // Another namespace may have a service of this name that is not meant at all.
                _ => unknown.help(format!("It is declared in another namespace: write `{whole}`.")).instead(
                    &name.to_string(),
                    whole,
                    false,
                ),
            };
        }
        let here = fitting.iter().filter(|one| one.namespace == namespace);
        match meant(name.name(), here.map(|one| one.name.as_str())) {
            Some(near) => {
                let whole = match name.namespace() {
                    Some(namespace) => format!("{}.{namespace}", near.name),
                    None => near.name.to_owned(),
                };
                unknown.did_you_mean(&name.to_string(), Meant { name: &whole, ..near })
            }
            None => unknown.help(declare(name, wanted)),
        }
    }

    /// After an edit near names are looked for anew.
    pub(super) fn forget_comparisons(&self) {
        self.compared.store(0, Relaxed);
    }

    /// Whether to look for a near one among so many names.
    fn may_compare(&self, names: usize) -> bool {
        let before = self.compared.load(Relaxed);
        self.compared.store(before.saturating_add(names), Relaxed);
        before < MAX_COMPARED
    }

    /// Reads statements on all cores, each by itself. Those in which there is a mistake are read again in order, to tell of it:
    /// which of them get a near name must not depend on the cores.
    pub(super) fn read_all<S: Sync, T: Send>(
        &self,
        statements: &[S],
        file: impl Fn(&S) -> FileId,
        mistakes: &mut Mistakes,
        read: impl Fn(&S, &mut Diagnostics) -> T + Sync,
    ) -> Vec<T> {
        let compared = self.compared.swap(MAX_COMPARED, Relaxed);
        let faultless = statements.par_iter().map(|statement| {
            let mut mistakes = Diagnostics::new();
            let said = read(statement, &mut mistakes);
            mistakes.is_empty().then_some(said)
        });
        let faultless: Vec<Option<T>> = faultless.collect();
        self.compared.store(compared, Relaxed);
        let both = faultless.into_iter().zip(statements);
        let said = both
            .map(|(said, statement)| said.unwrap_or_else(|| read(statement, mistakes.of(file(statement)))));
        said.collect()
    }
}

/// How to make a name known.
fn declare(name: &ServiceRef, wanted: Wanted) -> String {
    let home = match name.namespace() {
        Some(namespace) => format!(" in namespace `{namespace}`"),
        None => String::new(),
    };
    format!("Declare it{home}: `{}`.", wanted.declaration(name.name()))
}

impl Wanted {
    fn admits(self, target: Target) -> bool {
        match self {
            Wanted::Service => matches!(target, Target::Service(_)),
            Wanted::Gateway => matches!(target, Target::Gateway(_)),
            Wanted::Either | Wanted::Own => true,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Wanted::Service => "service",
            Wanted::Gateway => "gateway",
            Wanted::Either | Wanted::Own => "service or gateway",
        }
    }

    fn declaration(self, name: &str) -> String {
        match self {
            Wanted::Gateway => format!("gateway {name} {{ listener web port 8080 http {{ host \"*\" }} }}"),
            _ => format!("service {name} {{ port 8080 http }}"),
        }
    }
}

/// `name.namespace`
fn full_name(name: &str, namespace: &str) -> Text {
    [name, ".", namespace].into_iter().collect()
}

/// A module's directory, in a sentence.
pub(super) fn home(directory: &str) -> String {
    match directory {
        "" => "the project's root".to_owned(),
        _ => format!("the directory `{directory}`"),
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
///
/// Of several ports that are not all named, which is said where they are declared, any will do.
pub(super) fn port(
    model: &Model,
    service: ServiceId,
    name: Option<&Name>,
    span: Span,
) -> Result<PortId, Diagnostic> {
    let Service { workload, ports, .. } = &model[service];
    let names = || ports.iter().map(|port| port.name.as_str()).filter(|name| !name.is_empty());
    let named = name.and_then(|wanted| ports.iter().position(|port| port.name == wanted.value));
    match (name, named, ports.len()) {
        (_, Some(port), _) => Ok(PortId { service, port: port as u32 }),
        (None, None, 1) => Ok(PortId { service, port: 0 }),
        (_, None, 0) => {
            Err(Diagnostic::new(Code::PortNeeded, format!("service `{}` has no port", workload.name))
                .at(span, "nothing can be sent to it")
                .at(workload.span, "declared here")
                .help("Give it a port: `port 8080 http`."))
        }
        (_, None, several) if several > 1 && names().count() < several => Ok(PortId { service, port: 0 }),
        (None, None, _) => {
            let forms: Vec<String> = names().map(|name| format!("port {name}")).collect();
            let forms = listed(forms.iter().map(String::as_str));
            Err(Diagnostic::new(Code::PortNeeded, format!("service `{}` has several ports", workload.name))
                .at(span, "which one is not said")
                .help(format!("Add one of its ports behind the name: {forms}.")))
        }
        (Some(wanted), None, _) => {
            let diagnostic = Diagnostic::new(
                Code::PortNeeded,
                format!("service `{}` has no port `{}`", workload.name, wanted.value),
            )
            .at(wanted.span, "not a port of this service")
            .at(workload.span, "declared here");
            Err(match meant(&wanted.value, names()) {
                Some(near) => diagnostic.did_you_mean(&wanted.value, near),
                None if names().next().is_none() => {
                    diagnostic.help("Its only port has no name: leave `port …` out.")
                }
                None => diagnostic.help(format!("Its ports are {}.", listed(names()))),
            })
        }
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

    /// `spec/semantics.md` 2.1
    fn identity(self, trust_domain: &str, namespace: &str) -> Text {
        let (written, account) = match self {
            Declared::Service(service) => (service.identity.as_ref(), service.service_account.as_ref()),
            Declared::Gateway(gateway) => (None, gateway.service_account.as_ref()),
        };
        let account = account.unwrap_or(self.name());
        written.map_or_else(
            || format!("spiffe://{trust_domain}/ns/{namespace}/sa/{}", account.value).into(),
            |written| written.value.clone(),
        )
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
    first.trust_domain.as_ref().map_or(DEFAULT_TRUST_DOMAIN, |name| &name.value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::MAX_COMPARED;
    use crate::testing::says;
    use crate::{StandIns, compile};
    use mesh_lang::SourceSet;

    #[test]
    fn after_many_unknown_names_near_ones_are_no_longer_looked_for() {
        let others: String = (0..1_998).map(|number| format!("service s{number} {{ }}\n")).collect();
        let calls = "calls crat\n".repeat(200);
        let text = format!("{others}service cart {{ port 80 http }}\nservice web {{\n{calls}}}\n");
        let found = compile(&SourceSet::single("test.mesh", &text), &StandIns::new()).diagnostics;
        let near =
            found.iter().filter(|diagnostic| diagnostic.help.as_deref() == Some("Did you mean `cart`?"));
        assert_eq!((near.count(), found.len()), (MAX_COMPARED / 2_000, 200));
        for (kind, block) in [("authorize", "allow from anyone"), ("route", "to cart")] {
            let wrong = format!("{kind} crat {{ {block} }}\n").repeat(200);
            let text = format!("{others}service cart {{ port 80 http }}\nservice web {{ }}\n{wrong}");
            let found = compile(&SourceSet::single("test.mesh", &text), &StandIns::new()).diagnostics;
            let near = found.iter().filter(|found| found.help.as_deref() == Some("Did you mean `cart`?"));
            assert_eq!((near.count(), found.len()), (MAX_COMPARED / 2_000, 200), "{kind}");
        }
    }

    #[test]
    fn ports_without_names_are_complained_of_once() {
        says(
            "service s {\nport 80 http\nport 81 http\n}\nservice web { calls s, s port admin to GET }\nauthorize s { allow from web }\nroute s { to s }\n",
            &["2 MESH2004 a service with several ports names each of them"],
        );
    }
}
