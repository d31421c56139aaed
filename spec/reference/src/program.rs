//! Names looked up: from the statements of all files to services, gateways and their tables.

use crate::access::{AccessLine, From};
use crate::identity::{self, Peer, Principal};
use crate::line::{self, Line};
use crate::route::{Action, Backend, Rule, RuleResult, Table};
use crate::settings::Settings;
use mesh_lang::Name;
use mesh_lang::ast::{self, Effect, HostPattern, Item, PrincipalKind, ServiceRef, Weight};
use std::collections::{BTreeMap, BTreeSet};

/// A whole mesh. Services and gateways stand under their full name, `name.namespace`.
#[derive(Debug, Default)]
pub(crate) struct Program {
    trust_domain: String,
    pub(crate) default: Settings,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) gateways: BTreeMap<String, Gateway>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) namespace: String,
    pub(crate) identity: String,
    pub(crate) settings: Settings,
    pub(crate) ports: Vec<Port>,
    subsets: BTreeSet<String>,
    /// By callee and its port.
    pub(crate) calls: BTreeMap<(String, u16), Calls>,
    /// By port.
    pub(crate) routes: BTreeMap<u16, Table>,
    pub(crate) access: Vec<AccessLine>,
}

#[derive(Debug)]
pub(crate) struct Port {
    name: Option<String>,
    pub(crate) number: u16,
}

/// All `calls` of one service to one port (5.4).
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// What the plain `calls` writes.
    pub(crate) plain: Option<Settings>,
    /// What each `calls … to` writes, and the lines of their ops; a line's rule is an index into these.
    pub(crate) settings: Vec<Settings>,
    pub(crate) lines: Vec<Line>,
    pub(crate) beats: Vec<Vec<bool>>,
}

#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) identity: String,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) access: Vec<AccessLine>,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) hosts: Vec<HostPattern>,
    /// 3.7: one for each host pattern of its routes.
    pub(crate) tables: BTreeMap<HostPattern, Table>,
}

/// What several `route` statements say of one target and host, before it is worked out.
#[derive(Default)]
struct Written<'a> {
    target: String,
    namespace: &'a str,
    rules: Vec<&'a ast::Rule>,
    otherwise: Option<u16>,
}

impl<'a> Written<'a> {
    fn add(&mut self, route: &'a ast::Route) {
        self.rules.extend(&route.rules);
        self.otherwise = self.otherwise.or(route.otherwise.map(|status| status.value));
    }
}

impl Program {
    pub(crate) fn new(files: &[(String, ast::File)]) -> Result<Program, String> {
        let statements = in_namespaces(files);
        let mut program = Program { trust_domain: "local.test".to_owned(), ..Program::default() };
        for (_, item) in &statements {
            if let Item::Mesh(mesh) = item {
                program.default = Settings::of(&mesh.default);
                program.trust_domain =
                    mesh.trust_domain.as_ref().map_or(program.trust_domain, |name| name.value.to_string());
            }
        }
        for (namespace, item) in &statements {
            program.declare(namespace, item);
        }
        statements.iter().try_for_each(|(_, item)| covered(item))?;
        program.look_up_calls(&statements)?;
        program.look_up_routes(&statements)?;
        program.look_up_access(&statements)?;
        program.refuse_circles()?;
        Ok(program)
    }

    /// 2.2
    pub(crate) fn peer(&self, id: Option<&str>) -> Peer {
        let gateways: Vec<String> = self.gateways.values().map(|gateway| gateway.identity.clone()).collect();
        identity::peer(id, &self.trust_domain, &gateways)
    }

    fn declare(&mut self, namespace: &str, item: &Item) {
        match item {
            Item::Service(service) => {
                let account = service.service_account.as_ref().unwrap_or(&service.name);
                let port = |port: &ast::Port| Port {
                    name: port.name.as_ref().map(|n| n.value.to_string()),
                    number: port.number.value,
                };
                let declared = Service {
                    namespace: namespace.to_owned(),
                    identity: identity::identity(&self.trust_domain, namespace, &account.value),
                    settings: Settings::of(&service.settings),
                    ports: service.ports.iter().map(port).collect(),
                    subsets: service.subsets.iter().map(|subset| subset.name.value.to_string()).collect(),
                    calls: BTreeMap::new(),
                    routes: BTreeMap::new(),
                    access: Vec::new(),
                };
                self.services.insert(format!("{}.{namespace}", service.name.value), declared);
            }
            Item::Gateway(gateway) => {
                let account = gateway.service_account.as_ref().unwrap_or(&gateway.name);
                let hosts =
                    |listener: &ast::Listener| listener.hosts.iter().map(|host| host.value.clone()).collect();
                let listeners = gateway.listeners.iter().map(|listener| {
                    (
                        listener.name.value.to_string(),
                        Listener { hosts: hosts(listener), tables: BTreeMap::new() },
                    )
                });
                let declared = Gateway {
                    identity: identity::identity(&self.trust_domain, namespace, &account.value),
                    listeners: listeners.collect(),
                    access: Vec::new(),
                };
                self.gateways.insert(format!("{}.{namespace}", gateway.name.value), declared);
            }
            // Routes and authorizations are looked up later; the compiler refuses what has no meaning yet.
            _ => {}
        }
    }

    fn service(&self, namespace: &str, name: &ServiceRef) -> Result<(String, &Service), String> {
        let full = full_name(namespace, name);
        let service = self.services.get(&full).ok_or_else(|| format!("no service `{full}`"))?;
        Ok((full, service))
    }

    /// 3.11: the port with this name, or the only one.
    fn port(
        &self,
        namespace: &str,
        service: &ServiceRef,
        port: Option<&Name>,
    ) -> Result<(String, u16), String> {
        let (full, service) = self.service(namespace, service)?;
        let found = match (port, service.ports.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), ports) => {
                ports.iter().find(|port| port.name.as_deref() == Some(name.value.as_str()))
            }
        };
        let number = found.ok_or_else(|| format!("no such port of `{full}`"))?.number;
        Ok((full, number))
    }

    fn look_up_calls(&mut self, statements: &[(String, &Item)]) -> Result<(), String> {
        for (namespace, item) in statements {
            let Item::Service(service) = item else { continue };
            let mut all: BTreeMap<(String, u16), Calls> = BTreeMap::new();
            for statement in &service.calls {
                for callee in &statement.services {
                    let to = self.port(namespace, callee, statement.port.as_ref())?;
                    let calls = all.entry(to).or_default();
                    let settings = Settings::of(&statement.settings);
                    if statement.to.is_empty() {
                        calls.plain = Some(settings);
                    } else {
                        calls.lines.extend(line::of_ops(calls.settings.len(), &statement.to));
                        calls.settings.push(settings);
                    }
                }
            }
            for calls in all.values_mut() {
                calls.beats = line::beats(&calls.lines, |_, _| false);
            }
            let full = format!("{}.{namespace}", service.name.value);
            if let Some(service) = self.services.get_mut(&full) {
                service.calls = all;
            }
        }
        Ok(())
    }

    /// 3.7, 3.8: gathers the routes of each attachment; a service port without any has the rule `default`.
    fn look_up_routes(&mut self, statements: &[(String, &Item)]) -> Result<(), String> {
        let mut of_ports: BTreeMap<(String, u16), Written<'_>> = BTreeMap::new();
        let mut of_hosts: BTreeMap<(String, String, HostPattern), Written<'_>> = BTreeMap::new();
        for (namespace, item) in statements {
            let Item::Route(route) = item else { continue };
            let full = full_name(namespace, &route.target);
            let Some(gateway) = self.gateways.get(&full) else {
                let (full, number) = self.port(namespace, &route.target, route.port.as_ref())?;
                let target = self.port_as_reported(&full, number);
                let new = || Written { target, namespace, ..Written::default() };
                of_ports.entry((full, number)).or_insert_with(new).add(route);
                continue;
            };
            let name = match (&route.listener, gateway.listeners.first_key_value()) {
                (Some(name), _) => name.value.to_string(),
                (None, Some((only, _))) if gateway.listeners.len() == 1 => only.clone(),
                (None, _) => return Err(format!("which listener of `{full}`?")),
            };
            let listener = gateway.listeners.get(&name).ok_or_else(|| format!("no listener `{name}`"))?;
            let written: Vec<HostPattern> = route.hosts.iter().map(|host| host.value.clone()).collect();
            for host in if written.is_empty() { listener.hosts.clone() } else { written } {
                let target = format!("{full} listener {name} host \"{host}\"");
                let new = || Written { target, namespace, ..Written::default() };
                of_hosts.entry((full.clone(), name.to_string(), host)).or_insert_with(new).add(route);
            }
        }
        for ((full, number), written) in of_ports {
            let table = self.table(written, Some(&full))?;
            self.services.get_mut(&full).map(|service| service.routes.insert(number, table));
        }
        for ((full, name, host), written) in of_hosts {
            let table = self.table(written, None)?;
            let listener = self.gateways.get_mut(&full).and_then(|gateway| gateway.listeners.get_mut(&name));
            listener.map(|listener| listener.tables.insert(host, table));
        }
        self.add_default_routes();
        Ok(())
    }

    /// `TARGET` of 3.5.
    fn port_as_reported(&self, full: &str, number: u16) -> String {
        let ports = self.services.get(full).map(|service| service.ports.as_slice()).unwrap_or_default();
        let name = ports.iter().find(|port| port.number == number).and_then(|port| port.name.as_ref());
        match name {
            Some(name) if ports.len() > 1 => format!("{full} port {name}"),
            _ => full.to_owned(),
        }
    }

    fn add_default_routes(&mut self) {
        let ports: Vec<(String, u16)> = self
            .services
            .iter()
            .flat_map(|(full, service)| service.ports.iter().map(|port| (full.clone(), port.number)))
            .collect();
        for (full, number) in ports {
            let target = self.port_as_reported(&full, number);
            let itself = Backend { service: full.clone(), port: number, subset: None, enters: false };
            let action = Action::To(BTreeMap::from([(itself, 10_000)]));
            let result = RuleResult { action, settings: Settings::default() };
            let rule = Rule { name: "default".to_owned(), overrides: BTreeSet::new(), result };
            let table = Table::new(target, vec![(rule, line::of_rule(0, &[]))], None);
            self.services.get_mut(&full).map(|service| service.routes.entry(number).or_insert(table));
        }
    }

    /// The table of some rules; `of` is the service whose route it is.
    fn table(&self, written: Written<'_>, of: Option<&str>) -> Result<Table, String> {
        let mut rules = Vec::new();
        for (index, rule) in written.rules.into_iter().enumerate() {
            let action =
                rule.action.as_ref().ok_or_else(|| format!("no action in rule `{}`", rule.name.value))?;
            let action = self.action(&action.value, written.namespace, of)?;
            let result = RuleResult { action, settings: Settings::of(&rule.settings) };
            let overrides = rule.overrides.iter().map(|name| name.value.to_string()).collect();
            let resolved = Rule { name: rule.name.value.to_string(), overrides, result };
            rules.push((resolved, line::of_rule(index, &rule.matches)));
        }
        Ok(Table::new(written.target, rules, written.otherwise))
    }

    fn action(&self, action: &ast::Action, namespace: &str, of: Option<&str>) -> Result<Action, String> {
        Ok(match action {
            ast::Action::Redirect(redirect) => match &redirect.to {
                ast::RedirectTo::Location(location) => {
                    Action::Redirect { status: redirect.status.value, location: location.value.to_string() }
                }
                _ => return Err("this form of redirect is not covered".to_owned()),
            },
            ast::Action::Respond { status, body } => Action::Respond {
                status: status.value,
                body: body.as_ref().map(|body| body.value.clone()).unwrap_or_default().to_string(),
            },
            ast::Action::To(backends) => {
                let mut shares = BTreeMap::new();
                for backend in backends {
                    shares.insert(self.backend(backend, namespace, of)?, share(backend, backends)?);
                }
                Action::To(shares)
            }
        })
    }

    /// 3.10, 3.11
    fn backend(&self, backend: &ast::Backend, namespace: &str, of: Option<&str>) -> Result<Backend, String> {
        let (full, port) = self.port(namespace, &backend.service, backend.port.as_ref())?;
        let subset = backend.subset.as_ref().map(|subset| subset.value.to_string());
        let (_, service) = self.service(namespace, &backend.service)?;
        if let Some(unknown) = subset.iter().find(|subset| !service.subsets.contains(*subset)) {
            return Err(format!("no subset `{unknown}` of `{full}`"));
        }
        let enters = subset.is_none() && of != Some(full.as_str());
        Ok(Backend { service: full, port, subset, enters })
    }

    fn look_up_access(&mut self, statements: &[(String, &Item)]) -> Result<(), String> {
        for (namespace, item) in statements {
            let Item::Authorize(authorize) = item else { continue };
            for target in &authorize.targets {
                let full = full_name(namespace, target);
                let mut lines = Vec::new();
                for line in &authorize.lines {
                    lines.push(self.access_line(namespace, target, line)?);
                }
                // 4.8: in audit mode everybody is allowed what no line is about.
                lines.extend(authorize.mode.as_ref().map(|mode| AccessLine {
                    effect: Effect::Allow,
                    from: None,
                    port: None,
                    ops: line::of_ops(0, &[]),
                    text: format!("authorize {full}: mode audit until \"{}\"", mode.value.until.value),
                }));
                match (self.services.get_mut(&full), self.gateways.get_mut(&full)) {
                    (Some(service), _) => service.access.extend(lines),
                    (None, Some(gateway)) => gateway.access.extend(lines),
                    (None, None) => return Err(format!("no target `{full}`")),
                }
            }
        }
        Ok(())
    }

    fn access_line(
        &self,
        namespace: &str,
        target: &ServiceRef,
        line: &ast::AuthorizeLine,
    ) -> Result<AccessLine, String> {
        if line.effect == Effect::Allow && line.from.is_none() {
            return Err("an `allow` without `from`".to_owned());
        }
        let port = match &line.port {
            Some(name) => Some(self.port(namespace, target, Some(name))?.1),
            None => None,
        };
        let all = |list: &[ast::Principal]| {
            list.iter().map(|principal| self.principal(namespace, principal)).collect()
        };
        let from = match &line.from {
            Some(from) => {
                let principals: Result<_, String> = all(&from.principals);
                let except: Result<_, String> = all(&from.except);
                Some(From { principals: principals?, except: except? })
            }
            None => None,
        };
        Ok(AccessLine {
            effect: line.effect,
            from,
            port,
            ops: line::of_ops(0, &line.ops),
            text: format!("authorize {}: {line}", full_name(namespace, target)),
        })
    }

    /// 2.3
    fn principal(&self, namespace: &str, principal: &ast::Principal) -> Result<Principal, String> {
        Ok(match &principal.kind {
            PrincipalKind::Service(name) => {
                Principal::Identity(self.service(namespace, name)?.1.identity.clone())
            }
            PrincipalKind::Gateway(name) => {
                let full = full_name(namespace, name);
                let gateway = self.gateways.get(&full).ok_or_else(|| format!("no gateway `{full}`"))?;
                Principal::Identity(gateway.identity.clone())
            }
            PrincipalKind::Namespace(name) => Principal::Namespace(name.to_string()),
            PrincipalKind::Identity(id) => Principal::Identity(id.to_string()),
            PrincipalKind::TrustDomain(_) => return Err("trust domains are not covered".to_owned()),
            PrincipalKind::Authenticated => Principal::Authenticated,
            PrincipalKind::Unauthenticated => Principal::Unauthenticated,
            PrincipalKind::Anyone => Principal::Anyone,
        })
    }

    /// 3.10: services may not enter each other in a circle. Takes away, again and again, what enters nothing that is left.
    fn refuse_circles(&self) -> Result<(), String> {
        let mut left: BTreeMap<(String, u16), BTreeSet<(String, u16)>> = BTreeMap::new();
        for (full, service) in &self.services {
            for (port, table) in &service.routes {
                left.insert((full.clone(), *port), table.entered().collect());
            }
        }
        while !left.is_empty() {
            let done: Vec<(String, u16)> = left
                .iter()
                .filter(|(_, entered)| !entered.iter().any(|next| left.contains_key(next)))
                .map(|(place, _)| place.clone())
                .collect();
            if done.is_empty() {
                return Err("services enter each other in a circle".to_owned());
            }
            left.retain(|place, _| !done.contains(place));
        }
        Ok(())
    }
}

/// Every statement with the namespace of its directory.
fn in_namespaces(files: &[(String, ast::File)]) -> Vec<(String, &Item)> {
    let mut namespaces: BTreeMap<&str, &str> = BTreeMap::new();
    for (directory, file) in files {
        for item in &file.items {
            if let Item::Module(ast::Module { namespace: Some(namespace), .. }) = item {
                namespaces.insert(directory, &namespace.value);
            }
        }
    }
    files
        .iter()
        .flat_map(|(directory, file)| {
            let namespace = namespaces.get(directory.as_str()).copied().unwrap_or("default");
            file.items.iter().map(|item| (namespace.to_owned(), item))
        })
        .collect()
}

fn full_name(namespace: &str, name: &ServiceRef) -> String {
    format!("{}.{}", name.name(), name.namespace().unwrap_or(namespace))
}

/// 3.9: in basis points. One backend needs no weight; `rest` takes what is left.
/// What this interpreter does not know yet, it does not guess about.
fn covered(item: &Item) -> Result<(), String> {
    let known = |condition: &ast::Condition| {
        matches!(condition.field, ast::Field::Header(_))
            && !matches!(
                condition.test,
                ast::ValueTest::Suffix(_)
                    | ast::ValueTest::Contains(_)
                    | ast::ValueTest::Has(_)
                    | ast::ValueTest::Matches(_)
            )
    };
    let plain = |op: &ast::Op| {
        let segments = op.path.iter().flat_map(|path| path.value.pattern().segments);
        !segments.into_iter().any(|segment| matches!(segment, ast::Segment::AnyWithSuffix { .. }))
    };
    let covered = match item {
        // Consumer routes (3.12) are not covered yet.
        Item::Route(route) if !route.from.is_empty() => false,
        Item::Route(route) => route
            .rules
            .iter()
            .flat_map(|rule| &rule.matches)
            .all(|line| line.when.iter().all(known) && line.ops.iter().all(plain)),
        Item::Authorize(authorize) => {
            authorize.lines.iter().all(|line| line.when.is_empty() && line.ops.iter().all(plain))
        }
        Item::Service(service) => service.calls.iter().flat_map(|calls| &calls.to).all(plain),
        _ => true,
    };
    if covered { Ok(()) } else { Err("a condition that is not covered".to_owned()) }
}

fn share(backend: &ast::Backend, all: &[ast::Backend]) -> Result<u32, String> {
    let percent = |backend: &ast::Backend| match backend.weight.map(|weight| weight.value) {
        Some(Weight::Percent(share) | Weight::Controlled { value: share, .. }) => share,
        Some(Weight::Rest) | None => 0,
    };
    let written: u32 = all.iter().map(percent).sum();
    match backend.weight.map(|weight| weight.value) {
        Some(Weight::Percent(share) | Weight::Controlled { value: share, .. }) => Ok(share),
        Some(Weight::Rest) => 10_000_u32.checked_sub(written).ok_or_else(|| "weights over 100%".to_owned()),
        None if all.len() == 1 => Ok(10_000),
        None => Err("a backend without a weight".to_owned()),
    }
}
