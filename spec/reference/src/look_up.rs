//! Names looked up: from the statements of all files to a program.

use crate::access::{AccessLine, Asked, Effect, From};
use crate::edits::{self, Edits};
use crate::identity::{self, Principal};
use crate::line::{self, Line};
use crate::names::{Names, Place};
use crate::program::{Calls, Gateway, Listener, Port, Program, Service};
use crate::route::{Action, Backend, Rule, RuleResult, Table};
use crate::settings::Settings;
use mesh_lang::Name;
use mesh_lang::ast::{
    self, Destination, HostPattern, Item, Mtls, PrincipalKind, Protocol, ServiceRef, Weight,
};
use std::collections::{BTreeMap, BTreeSet};

impl Program {
    pub(crate) fn new(files: &[(String, ast::File)]) -> Result<Program, String> {
        let names = Names::of(files);
        let statements = files.iter().flat_map(|(directory, file)| {
            let place = names.place(directory);
            file.items.iter().map(move |item| (place, item))
        });
        let statements = statements.collect();
        let program = Program { trust_domain: "local.test".to_owned(), ..Program::default() };
        let mut builder = Builder { names, statements, program };
        builder.declare()?;
        builder.look_up_calls()?;
        builder.look_up_routes()?;
        builder.look_up_access()?;
        builder.look_up_guardrails()?;
        builder.add_strict_ports();
        builder.add_probes();
        builder.program.refuse_circles()?;
        Ok(builder.program)
    }
}

fn networks(service: &ast::Service) -> Vec<String> {
    let names = service.external.iter().map(|name| name.value.to_string());
    names.filter(|name| name.contains('/')).collect()
}

/// 5.2: the hosts of a service besides its names and networks.
fn hosts(service: &ast::Service) -> Vec<HostPattern> {
    let outside = service.external.iter().filter(|name| !name.value.contains('/'));
    let outside = outside.map(|name| match (name.value.strip_prefix("**."), name.value.strip_prefix("*.")) {
        (Some(parent), _) => HostPattern::Labels(parent.into()),
        (None, Some(parent)) => HostPattern::OneLabel(parent.into()),
        (None, None) if name.value.contains(':') => HostPattern::Exact(format!("[{}]", name.value).into()),
        (None, None) => HostPattern::Exact(name.value.clone()),
    });
    service.aliases.iter().map(|alias| alias.value.clone()).chain(outside).collect()
}

/// What several `route` statements say of one target and host, before it is worked out.
#[derive(Default)]
struct Written<'a> {
    target: String,
    rules: Vec<(Place<'a>, &'a ast::Rule)>,
    otherwise: Option<u16>,
}

impl<'a> Written<'a> {
    fn to(target: String) -> Written<'a> {
        Written { target, ..Written::default() }
    }

    fn add(&mut self, route: &'a ast::Route, place: Place<'a>) {
        self.rules.extend(route.rules.iter().map(|rule| (place, rule)));
        self.otherwise = self.otherwise.or(route.otherwise.map(|status| status.value));
    }
}

/// A program on the way.
struct Builder<'a> {
    names: Names<'a>,
    statements: Vec<(Place<'a>, &'a Item)>,
    program: Program,
}

impl<'a> Builder<'a> {
    fn declare(&mut self) -> Result<(), String> {
        for (place, item) in &self.statements {
            if let Item::Mesh(mesh) = item {
                self.program.default = self.names.settings(&mesh.default, &ast::Limits::default(), *place)?;
                self.program.mtls = mesh.mtls.map(|mode| mode.value);
                if let Some(name) = &mesh.trust_domain {
                    self.program.trust_domain = name.value.to_string();
                }
            }
        }
        for (place, item) in self.statements.clone() {
            match item {
                Item::Service(service) => self.declare_service(service, place)?,
                Item::Gateway(gateway) => self.declare_gateway(gateway, place),
                // Everything else is about these, or decides nothing.
                _ => {}
            }
        }
        Ok(())
    }

    fn declare_service(&mut self, service: &ast::Service, place: Place<'a>) -> Result<(), String> {
        let account = service.service_account.as_ref().unwrap_or(&service.name);
        let made = || identity::identity(&self.program.trust_domain, place.namespace, &account.value);
        let is_outside = !service.external.is_empty();
        // 10.12
        let mtls = |port: &ast::Port| {
            let said = port.mtls.or(service.mtls).map(|mode| mode.value).or(self.program.mtls);
            said.filter(|_| !is_outside)
        };
        let port = |port: &ast::Port| Port {
            name: port.name.as_ref().map(|n| n.value.to_string()),
            number: port.number.value,
            mtls: mtls(port),
        };
        let declared = Service {
            namespace: place.namespace.to_owned(),
            identity: match &service.identity {
                _ if is_outside => None,
                Some(written) => Some(written.value.to_string()),
                None => Some(made()),
            },
            settings: self.names.settings(&service.settings, &service.limits, place)?,
            limits: edits::limits(&service.limits),
            counting: self.counting(place, &service.limits),
            ports: service.ports.iter().map(port).collect(),
            subsets: service.subsets.iter().map(|subset| subset.name.value.to_string()).collect(),
            hosts: hosts(service),
            networks: networks(service),
            issuer: only_issuer(&service.jwts),
            calls: BTreeMap::new(),
            routes: BTreeMap::new(),
            access: Vec::new(),
        };
        self.program.services.insert(format!("{}.{}", service.name.value, place.namespace), declared);
        Ok(())
    }

    fn declare_gateway(&mut self, gateway: &ast::Gateway, place: Place<'a>) {
        let account = gateway.service_account.as_ref().unwrap_or(&gateway.name);
        let listener = |listener: &ast::Listener| {
            let hosts: Vec<HostPattern> = listener.hosts.iter().map(|host| host.value.clone()).collect();
            let declared = Listener {
                hosts: if hosts.is_empty() { vec![HostPattern::Any] } else { hosts },
                redirect_https: listener.redirect_https.map(|status| status.value),
                is_for_clusters: listener
                    .tls
                    .as_ref()
                    .is_some_and(|tls| tls.value == ast::ListenerTls::Passthrough { mesh: true }),
                limits: edits::limits(&listener.limits),
                counting: self.counting(place, &listener.limits),
                tables: BTreeMap::new(),
            };
            (listener.name.value.to_string(), declared)
        };
        let declared = Gateway {
            namespace: place.namespace.to_owned(),
            identity: identity::identity(&self.program.trust_domain, place.namespace, &account.value),
            issuer: only_issuer(&gateway.jwts),
            limits: edits::limits(&gateway.limits),
            counting: self.counting(place, &gateway.limits),
            listeners: gateway.listeners.iter().map(listener).collect(),
            access: Vec::new(),
        };
        self.program.gateways.insert(format!("{}.{}", gateway.name.value, place.namespace), declared);
    }

    fn service(&self, place: Place<'_>, name: &ServiceRef) -> Result<(String, &Service), String> {
        let full = full_name(place, name);
        let service = self.program.services.get(&full).ok_or_else(|| format!("no service `{full}`"))?;
        Ok((full, service))
    }

    /// 3.11: the port with this name, or the only one.
    fn port(
        &self,
        place: Place<'_>,
        service: &ServiceRef,
        port: Option<&Name>,
    ) -> Result<(String, u16), String> {
        let (full, service) = self.service(place, service)?;
        let found = match (port, service.ports.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), ports) => ports.iter().find(|port| port.name.as_deref() == Some(&*name.value)),
        };
        let number = found.ok_or_else(|| format!("no such port of `{full}`"))?.number;
        Ok((full, number))
    }

    fn look_up_calls(&mut self) -> Result<(), String> {
        for (place, item) in self.statements.clone() {
            let Item::Service(service) = item else { continue };
            let mut all: BTreeMap<(String, u16), Calls> = BTreeMap::new();
            for statement in &service.calls {
                for callee in &statement.services {
                    let to = self.port(place, callee, statement.port.as_ref())?;
                    let calls = all.entry(to).or_default();
                    let settings = self.names.settings(&statement.settings, &statement.limits, place)?;
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
            let full = format!("{}.{}", service.name.value, place.namespace);
            if let Some(service) = self.program.services.get_mut(&full) {
                service.calls = all;
            }
        }
        Ok(())
    }

    /// 3.7, 3.8: gathers the routes of each attachment; a service port without any has the rule `default`.
    fn look_up_routes(&mut self) -> Result<(), String> {
        let mut of_ports: BTreeMap<(String, u16), Written<'a>> = BTreeMap::new();
        let mut of_hosts: BTreeMap<(String, String, HostPattern), Written<'a>> = BTreeMap::new();
        let mut of_callers: BTreeMap<(String, String, u16), Written<'a>> = BTreeMap::new();
        for (place, item) in self.statements.clone() {
            let Item::Route(route) = item else { continue };
            for from in &route.from {
                let (full, number) = self.port(place, &route.target, route.port.as_ref())?;
                for caller in self.callers(from, place)? {
                    let target = format!("{} from {caller}", self.port_as_reported(&full, number));
                    let key = (caller, full.clone(), number);
                    of_callers.entry(key).or_insert_with(|| Written::to(target)).add(route, place);
                }
            }
            if !route.from.is_empty() {
                continue;
            }
            let full = full_name(place, &route.target);
            let Some(gateway) = self.program.gateways.get(&full) else {
                let (full, number) = self.port(place, &route.target, route.port.as_ref())?;
                let target = self.port_as_reported(&full, number);
                of_ports.entry((full, number)).or_insert_with(|| Written::to(target)).add(route, place);
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
                let key = (full.clone(), name.clone(), host);
                of_hosts.entry(key).or_insert_with(|| Written::to(target)).add(route, place);
            }
        }
        for ((full, number), written) in of_ports {
            let issuer = self.program.services.get(&full).and_then(|service| service.issuer.clone());
            let table = self.table(written, Some(&full), issuer.as_deref())?;
            self.program.services.get_mut(&full).map(|service| service.routes.insert(number, table));
        }
        for ((full, name, host), written) in of_hosts {
            let issuer = self.program.gateways.get(&full).and_then(|gateway| gateway.issuer.clone());
            let table = self.table(written, None, issuer.as_deref())?;
            let gateway = self.program.gateways.get_mut(&full);
            let listener = gateway.and_then(|gateway| gateway.listeners.get_mut(&name));
            listener.map(|listener| listener.tables.insert(host, table));
        }
        for ((caller, full, number), written) in of_callers {
            let issuer = self.program.services.get(&full).and_then(|service| service.issuer.clone());
            let table = self.table(written, Some(&full), issuer.as_deref())?;
            self.program.consumer_routes.insert((caller, full, number), table);
        }
        self.add_default_routes();
        self.add_redirects();
        Ok(())
    }

    /// 3.12: `CALLER` as it is reported; a group is its members.
    fn callers(&self, from: &ast::Principal, place: Place<'a>) -> Result<Vec<String>, String> {
        if let PrincipalKind::Service(said) = &from.kind
            && said.namespace().is_none()
            && let Some((group, place)) = self.names.group(said.name(), place)
        {
            let members: Result<Vec<Vec<String>>, String> =
                group.principals.iter().map(|member| self.callers(member, place)).collect();
            return members.map(|members| members.concat());
        }
        match &from.kind {
            PrincipalKind::Service(name) => Ok(vec![self.service(place, name)?.0]),
            PrincipalKind::Gateway(name) => Ok(vec![format!("gateway {}", self.gateway(place, name)?.0)]),
            _ => Err(format!("`{from}` has no proxy")),
        }
    }

    /// `TARGET` of 3.5.
    fn port_as_reported(&self, full: &str, number: u16) -> String {
        let service = self.program.services.get(full);
        let ports = service.map(|service| service.ports.as_slice()).unwrap_or_default();
        let name = ports.iter().find(|port| port.number == number).and_then(|port| port.name.as_ref());
        match name {
            Some(name) if ports.len() > 1 => format!("{full} port {name}"),
            _ => full.to_owned(),
        }
    }

    fn add_default_routes(&mut self) {
        let ports: Vec<(String, u16)> = self
            .program
            .services
            .iter()
            .flat_map(|(full, service)| service.ports.iter().map(|port| (full.clone(), port.number)))
            .collect();
        for (full, number) in ports {
            let target = self.port_as_reported(&full, number);
            let itself = Backend { service: full.clone(), port: number, subset: None, enters: false };
            let action = Action::To(BTreeMap::from([(itself, 10_000)]));
            let result = RuleResult { action, edits: Edits::default(), settings: Settings::default() };
            let rule = Rule { name: "default".to_owned(), overrides: BTreeSet::new(), result };
            let table = Table::new(target, vec![(rule, vec![Line::default()])], None);
            self.program.services.get_mut(&full).map(|service| service.routes.entry(number).or_insert(table));
        }
    }

    /// 10.13: a listener that redirects everything has one rule for each of its hosts.
    fn add_redirects(&mut self) {
        for (full, gateway) in &mut self.program.gateways {
            for (name, listener) in &mut gateway.listeners {
                let Some(status) = listener.redirect_https else { continue };
                for host in &listener.hosts {
                    let action = Action::Redirect { status, location: None };
                    let result =
                        RuleResult { action, edits: Edits::to_https(), settings: Settings::default() };
                    let rule = Rule { name: "https".to_owned(), overrides: BTreeSet::new(), result };
                    let target = format!("{full} listener {name} host \"{host}\"");
                    let table = Table::new(target, vec![(rule, vec![Line::default()])], None);
                    listener.tables.insert(host.clone(), table);
                }
            }
        }
    }

    /// The table of some rules; `of` is the service whose route it is.
    fn table(&self, written: Written<'a>, of: Option<&str>, issuer: Option<&str>) -> Result<Table, String> {
        let (mut rules, mut counting) = (Vec::new(), Vec::new());
        for (index, (place, rule)) in written.rules.into_iter().enumerate() {
            let action =
                rule.action.as_ref().ok_or_else(|| format!("no action in rule `{}`", rule.name.value))?;
            let result = RuleResult {
                action: self.action(&action.value, place, of)?,
                edits: Edits::of(rule, |backend| self.backend(backend, place, of))?,
                settings: self.names.settings(&rule.settings, &rule.limits, place)?,
            };
            counting.extend(self.counting(place, &rule.limits));
            let overrides = rule.overrides.iter().map(|name| name.value.to_string()).collect();
            let resolved = Rule { name: rule.name.value.to_string(), overrides, result };
            rules.push((resolved, line::of_rule(index, &rule.matches, issuer)?));
        }
        Ok(Table { counting, ..Table::new(written.target, rules, written.otherwise) })
    }

    fn action(&self, action: &ast::Action, place: Place<'a>, of: Option<&str>) -> Result<Action, String> {
        Ok(match action {
            ast::Action::Redirect(redirect) => Action::Redirect {
                status: redirect.status.value,
                location: match &redirect.to {
                    ast::RedirectTo::Location(location) => Some(location.value.to_string()),
                    ast::RedirectTo::Prefix(_) | ast::RedirectTo::Parts { .. } => None,
                },
            },
            ast::Action::Respond { status, body } => Action::Respond {
                status: status.value,
                body: body.as_ref().map(|body| body.value.to_string()).unwrap_or_default(),
            },
            ast::Action::To(backends) => {
                let (backends, place) = self.written_out(backends, place);
                let mut shares = BTreeMap::new();
                for backend in backends {
                    shares.insert(self.backend(backend, place, of)?, share(backend, backends)?);
                }
                Action::To(shares)
            }
        })
    }

    /// 7.8: one bare name without a weight can be a split.
    fn written_out(&self, backends: &'a [ast::Backend], place: Place<'a>) -> (&'a [ast::Backend], Place<'a>) {
        match backends {
            [ast::Backend { service, subset: None, port: None, weight: None, .. }]
                if service.namespace().is_none() =>
            {
                match self.names.split(service.name(), place) {
                    Some((split, place)) => (&split.backends, place),
                    None => (backends, place),
                }
            }
            _ => (backends, place),
        }
    }

    /// 3.10, 3.11
    fn backend(&self, backend: &ast::Backend, place: Place<'_>, of: Option<&str>) -> Result<Backend, String> {
        let (full, port) = self.port(place, &backend.service, backend.port.as_ref())?;
        let subset = backend.subset.as_ref().map(|subset| subset.value.to_string());
        let (_, service) = self.service(place, &backend.service)?;
        if let Some(unknown) = subset.iter().find(|subset| !service.subsets.contains(*subset)) {
            return Err(format!("no subset `{unknown}` of `{full}`"));
        }
        let enters = subset.is_none() && of != Some(full.as_str());
        Ok(Backend { service: full, port, subset, enters })
    }

    fn look_up_access(&mut self) -> Result<(), String> {
        for (place, item) in self.statements.clone() {
            let Item::Authorize(authorize) = item else { continue };
            for target in &authorize.targets {
                let full = full_name(place, target);
                let mut lines = Vec::new();
                for line in &authorize.lines {
                    lines.push(self.access_line(place, target, line)?);
                }
                for check in &authorize.checks {
                    lines.push(self.ask_line(place, target, check)?);
                }
                // 4.8: in audit mode everybody is allowed what no line is about.
                lines.extend(authorize.mode.as_ref().map(|mode| AccessLine {
                    effect: Effect::Mode,
                    from: None,
                    port: None,
                    ops: vec![Line::default()],
                    text: format!("authorize {full}: mode audit until \"{}\"", mode.value.until.value),
                    asks: None,
                }));
                self.access_of(&full)?.extend(lines);
            }
        }
        Ok(())
    }

    fn access_of(&mut self, full: &str) -> Result<&mut Vec<AccessLine>, String> {
        match (self.program.services.get_mut(full), self.program.gateways.get_mut(full)) {
            (Some(service), _) => Ok(&mut service.access),
            (None, Some(gateway)) => Ok(&mut gateway.access),
            (None, None) => Err(format!("no target `{full}`")),
        }
    }

    /// The one issuer of a service or gateway.
    fn issuer(&self, full: &str) -> Option<&str> {
        let service = self.program.services.get(full).and_then(|service| service.issuer.as_deref());
        service.or_else(|| self.program.gateways.get(full).and_then(|gateway| gateway.issuer.as_deref()))
    }

    fn access_line(
        &self,
        place: Place<'a>,
        target: &ServiceRef,
        line: &'a ast::AuthorizeLine,
    ) -> Result<AccessLine, String> {
        let full = full_name(place, target);
        let effect = match line.effect {
            ast::Effect::Allow if line.from.is_none() => return Err("an `allow` without `from`".to_owned()),
            ast::Effect::Allow => Effect::Allow,
            ast::Effect::Deny => Effect::Deny,
            ast::Effect::Audit => Effect::Audit,
        };
        let port = match &line.port {
            Some(name) => Some(self.port(place, target, Some(name))?.1),
            None => None,
        };
        Ok(AccessLine {
            effect,
            from: self.from(line.from.as_ref(), place)?,
            port,
            ops: line::of_access(&line.ops, &line.when, effect == Effect::Deny, self.issuer(&full))?,
            text: format!("authorize {full}: {line}"),
            asks: None,
        })
    }

    /// 12.4
    fn ask_line(
        &self,
        place: Place<'a>,
        target: &ServiceRef,
        check: &ast::Check,
    ) -> Result<AccessLine, String> {
        let port = match &check.port {
            Some(name) => Some(self.port(place, target, Some(name))?.1),
            None => None,
        };
        let ops = line::of_access(&check.ops, &[], true, None)?;
        let asks = self.asked(place, check, &ops)?;
        let text = check.ext_authz.value.to_string();
        Ok(AccessLine { effect: Effect::Ask, from: None, port, ops, text, asks })
    }

    /// 12.4 (b): at the only port of gRPC, else at the only one of HTTP. `None` where there is none, or several.
    fn asked(&self, place: Place<'a>, check: &ast::Check, ops: &[Line]) -> Result<Option<Asked>, String> {
        let Some((declared, home)) = self.names.ext_authz(&check.ext_authz.value, place) else {
            return Err(format!("no ext-authz `{}`", check.ext_authz.value));
        };
        let Some((service, grpc, http)) = self.asked_at(declared, home) else { return Ok(None) };
        let is_grpc = !grpc.is_empty();
        let ports = if is_grpc { grpc } else { http };
        let [port] = ports.as_slice() else { return Ok(None) };
        let question = question("envoy.service.auth.v3.Authorization", "Check", check.span);
        let requests = if is_grpc { line::of_access(&[question], &[], true, None)? } else { ops.to_vec() };
        Ok(Some(Asked { service, port: *port, requests }))
    }

    /// 11.11a (b): who counts for the global limits among these.
    fn counting(&self, place: Place<'a>, limits: &ast::Limits) -> Vec<Asked> {
        let named = limits.rate_limits.iter().filter_map(|limit| limit.by.as_ref());
        let asked = named.filter_map(|name| {
            let (declared, home) = self.names.rate_limiter(&name.value, place)?;
            let (service, grpc, _) = self.asked_at(declared, home)?;
            let [port] = grpc.as_slice() else { return None };
            let question =
                question("envoy.service.ratelimit.v3.RateLimitService", "ShouldRateLimit", name.span);
            let requests = line::of_access(&[question], &[], true, None).ok()?;
            Some(Asked { service, port: *port, requests })
        });
        asked.collect()
    }

    /// The service that is asked, and its ports of gRPC and of HTTP.
    fn asked_at(
        &self,
        declared: &'a ast::Authority,
        home: Place<'a>,
    ) -> Option<(String, Vec<u16>, Vec<u16>)> {
        let service = declared.service.as_ref().map(|service| full_name(home, service))?;
        let written = self.statements.iter().find_map(|(place, item)| match item {
            Item::Service(own) if format!("{}.{}", own.name.value, place.namespace) == service => Some(own),
            _ => None,
        });
        let of = |kinds: &[Protocol]| -> Vec<u16> {
            let ports = written.iter().flat_map(|own| &own.ports);
            let fit = ports.filter(|port| kinds.contains(&port.protocol.value));
            fit.map(|port| port.number.value).collect()
        };
        Some((service, of(&[Protocol::Grpc]), of(&[Protocol::Http, Protocol::Http2])))
    }

    fn from(&self, from: Option<&'a ast::From>, place: Place<'a>) -> Result<Option<From>, String> {
        let all = |list: &'a [ast::Principal]| -> Result<Vec<Principal>, String> {
            let found: Result<Vec<Vec<Principal>>, String> =
                list.iter().map(|principal| self.principals(principal, place)).collect();
            found.map(|found| found.concat())
        };
        let Some(from) = from else { return Ok(None) };
        Ok(Some(From { principals: all(&from.principals)?, except: all(&from.except)? }))
    }

    /// 2.3, 7.7
    fn principals(&self, principal: &'a ast::Principal, place: Place<'a>) -> Result<Vec<Principal>, String> {
        if let PrincipalKind::Service(said) = &principal.kind
            && said.namespace().is_none()
            && let Some((group, place)) = self.names.group(said.name(), place)
        {
            let members: Result<Vec<Vec<Principal>>, String> =
                group.principals.iter().map(|member| self.principals(member, place)).collect();
            return members.map(|members| members.concat());
        }
        Ok(vec![match &principal.kind {
            PrincipalKind::Service(name) => {
                let (full, service) = self.service(place, name)?;
                Principal::Identity(
                    service.identity.clone().ok_or_else(|| format!("`{full}` has no identity"))?,
                )
            }
            PrincipalKind::Gateway(name) => {
                Principal::Identity(self.gateway(place, name)?.1.identity.clone())
            }
            PrincipalKind::Namespace(name) => Principal::Namespace(name.to_string()),
            PrincipalKind::Identity(id) => match id.strip_suffix("/*") {
                Some(beginning) => Principal::Below(beginning.to_owned()),
                None => Principal::Identity(id.to_string()),
            },
            PrincipalKind::TrustDomain(name) => Principal::TrustDomain(name.to_string()),
            PrincipalKind::Authenticated => Principal::Authenticated,
            PrincipalKind::Unauthenticated => Principal::Unauthenticated,
            PrincipalKind::Anyone => Principal::Anyone,
        }])
    }

    fn gateway(&self, place: Place<'_>, name: &ServiceRef) -> Result<(String, &Gateway), String> {
        let full = full_name(place, name);
        let gateway = self.program.gateways.get(&full).ok_or_else(|| format!("no gateway `{full}`"))?;
        Ok((full, gateway))
    }

    /// 12.1 to 12.3
    fn look_up_guardrails(&mut self) -> Result<(), String> {
        for (place, item) in self.statements.clone() {
            let Item::Guardrail(guardrail) = item else { continue };
            let effect = if guardrail.mode.is_some() { Effect::WouldDeny } else { Effect::Guard };
            for line in &guardrail.lines {
                for full in self.targets(&line.to, place)? {
                    let line = AccessLine {
                        asks: None,
                        effect,
                        from: self.from(line.from.as_ref(), place)?,
                        port: None,
                        ops: line::of_access(&line.ops, &line.when, true, self.issuer(&full))?,
                        text: format!("guardrail {}: {line}", guardrail.name.value),
                    };
                    self.access_of(&full)?.push(line);
                }
            }
        }
        Ok(())
    }

    /// 12.1: those that are named, those of a namespace, or all.
    fn targets(&self, to: &[Destination], place: Place<'_>) -> Result<BTreeSet<String>, String> {
        let services = || self.program.services.iter().map(|(full, service)| (full, &service.namespace));
        let gateways = || self.program.gateways.iter().map(|(full, gateway)| (full, &gateway.namespace));
        if to.is_empty() {
            return Ok(services().chain(gateways()).map(|(full, _)| full.clone()).collect());
        }
        let mut targets = BTreeSet::new();
        for destination in to {
            match destination {
                Destination::Target(name) => _ = targets.insert(full_name(place, name)),
                Destination::Gateway(name) => _ = targets.insert(self.gateway(place, name)?.0),
                Destination::Namespace(name) => {
                    let inside = services().chain(gateways()).filter(|(_, own)| **own == name.value);
                    targets.extend(inside.map(|(full, _)| full.clone()));
                }
            }
        }
        Ok(targets)
    }

    /// 10.16
    fn add_probes(&mut self) {
        for (place, item) in self.statements.clone() {
            let Item::Service(service) = item else { continue };
            let full = format!("{}.{}", service.name.value, place.namespace);
            let probes = service.probes.iter().filter_map(|probe| {
                let (method, path, words) = match &probe.kind {
                    ast::ProbeKind::Get(path) => {
                        (ast::Method::Get, path.value.as_str(), format!("GET {}", path.value))
                    }
                    ast::ProbeKind::Grpc => {
                        (ast::Method::Post, "/grpc.health.v1.Health/Check", "grpc".to_owned())
                    }
                    ast::ProbeKind::Tcp => return None,
                };
                let is_meant = |port: &&ast::Port| match &probe.port {
                    Some(name) => port.name.as_ref().is_some_and(|own| own.value == name.value),
                    None => true,
                };
                let port = service.ports.iter().find(is_meant)?.number.value;
                let segments = path.split('/').skip(1).map(|segment| ast::Segment::Literal(segment.into()));
                let path = ast::PathPattern { segments: segments.collect(), subtree: false };
                let named =
                    probe.port.as_ref().map(|name| format!(" port {}", name.value)).unwrap_or_default();
                Some(AccessLine {
                    asks: None,
                    effect: Effect::Probe,
                    from: Some(From { principals: vec![Principal::Unauthenticated], except: vec![] }),
                    port: Some(port),
                    ops: vec![Line { method: Some(method), path: Some(path), ..Line::default() }],
                    text: format!("probe {full}: {words}{named}"),
                })
            });
            let probes: Vec<AccessLine> = probes.collect();
            self.program.services.entry(full).and_modify(|service| service.access.extend(probes));
        }
    }

    /// 10.12: nobody without identity at a strict port.
    fn add_strict_ports(&mut self) {
        for (full, service) in &mut self.program.services {
            let strict = service.ports.iter().filter(|port| port.mtls == Some(Mtls::Strict));
            let lines: Vec<AccessLine> = strict
                .map(|port| AccessLine {
                    asks: None,
                    effect: Effect::Deny,
                    from: Some(From { principals: vec![Principal::Unauthenticated], except: vec![] }),
                    port: Some(port.number),
                    ops: vec![Line::default()],
                    text: format!("mtls strict: {full}"),
                })
                .collect();
            service.access.extend(lines);
        }
    }
}

fn full_name(place: Place<'_>, name: &ServiceRef) -> String {
    format!("{}.{}", name.name(), name.namespace().unwrap_or(place.namespace))
}

/// 11.11a (b), 12.4 (c): how somebody is asked over gRPC.
fn question(service: &str, method: &str, span: mesh_lang::Span) -> ast::Op {
    let segments = [service, method].map(|segment| ast::Segment::Literal(segment.into())).into();
    let path = ast::PathPattern { segments, subtree: false };
    ast::Op {
        span,
        methods: [ast::Method::Post].into_iter().collect(),
        path: Some(mesh_lang::Spanned { value: path.into(), span }),
        grpc: true,
    }
}

fn only_issuer(jwts: &[ast::JwtUse]) -> Option<String> {
    match jwts {
        [only] => Some(only.name.value.to_string()),
        _ => None,
    }
}

/// 3.9: in basis points. One backend needs no weight; `rest` takes what is left.
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
