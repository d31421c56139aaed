//! Which names stand in a file, and what each of them is a name of, as far as the file alone can say.

use mesh_lang::ast::{
    Action, Backend, Condition, Destination, Expect, ExpectedOutcome, Field, From, Mirror, Principal,
    PrincipalKind, ServiceRef, Shared,
};
use mesh_lang::statement::{Args, Statement, Waiting};
use mesh_lang::token::TokenKind;
use mesh_lang::{Name, Span, Text, expand};

/// A name in its place.
#[derive(Clone, Debug)]
pub(crate) struct Occurrence {
    pub(crate) span: Span,
    /// Whether the name is given here.
    pub(crate) declares: bool,
    pub(crate) named: Named,
}

/// What a name names. What stands outside of the file (its namespace, what it imports) is looked up when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A service or gateway, `name` or `name.namespace`.
    Target(Text),
    /// What the directory calls so (a group, a split), else a service or gateway.
    Either(Text),
    /// What the directory declares or imports: a profile, a group and the like.
    Shared(Text),
    /// What another module opens to others.
    SharedOf {
        module: Text,
        name: Text,
    },
    /// What belongs to a service or gateway.
    Part {
        kind: Part,
        of: Text,
        name: Text,
    },
    Module(Text),
    Namespace(Text),
    Param(Text),
    Environment(Text),
    Cluster(Text),
}

/// Kinds of what belongs to a service or gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    Port,
    Subset,
    Listener,
    Rule,
}

/// What a file says to its whole directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToDirectory {
    pub(crate) module: Option<Text>,
    pub(crate) namespace: Option<Text>,
    /// Name and the module it is of.
    pub(crate) imports: Vec<(Text, Text)>,
    pub(crate) shared: Vec<(Text, Shared)>,
    pub(crate) params: Vec<(Text, &'static str, Text, TokenKind)>,
    pub(crate) is_mesh: bool,
}

/// What the file level says to the directory.
pub(crate) fn to_directory(statements: &[Statement]) -> ToDirectory {
    let mut said = ToDirectory::default();
    for statement in statements {
        match (statement.keyword(), &statement.args) {
            ("mesh", _) => said.is_mesh = true,
            ("module", Args::Name(name)) => {
                said.module = Some(name.value.clone());
                let namespace = statement.block.iter().find(|line| line.keyword() == "namespace");
                if let Some(Args::Name(name)) = namespace.map(|line| &line.args) {
                    said.namespace = Some(name.value.clone());
                }
            }
            ("import", Args::Import(import)) => {
                let names = import.1.iter().map(|name| (name.value.clone(), import.0.value.clone()));
                said.imports.extend(names);
            }
            (_, Args::Param(param)) => {
                let value = &param.value;
                said.params.push((
                    param.name.value.clone(),
                    param.kind.as_str(),
                    (&*value.text).into(),
                    value.kind,
                ));
            }
            (keyword, args) => {
                let kind = Shared::ALL.into_iter().find(|kind| kind.keyword() == keyword);
                said.shared.extend(name_of(args).cloned().zip(kind).map(|(name, kind)| (name.value, kind)));
            }
        }
    }
    said
}

/// The name that a statement gives to something.
pub(crate) fn name_of(args: &Args) -> Option<&Name> {
    match args {
        Args::Name(name) => Some(name),
        Args::Principals(group) => Some(&group.0),
        Args::Backends(split) => Some(&split.0),
        Args::Param(param) => Some(&param.name),
        Args::Test(test) => Some(&test.0),
        Args::Rule(rule) => Some(&rule.0),
        Args::Subset(subset) => Some(&subset.name),
        Args::Listener(listener) => Some(&listener.name),
        Args::Port(port) => port.name.as_ref(),
        _ => None,
    }
}

/// All names of a file, in order of place. `param` is the value by which a parameter is read where an argument waits for one.
pub(crate) fn names(statements: &[Statement], param: &dyn Fn(&str) -> Option<Waiting>) -> Vec<Occurrence> {
    let mut names = Names { found: Vec::new(), param };
    names.statements(statements, &Around::default());
    let mut found = names.found;
    found.sort_by_key(|one| one.span);
    // A statement may say two things of one word, the nearer one first.
    found.dedup_by_key(|one| one.span);
    found.shrink_to_fit();
    found
}

/// What stands around a statement.
#[derive(Clone, Default)]
struct Around {
    /// The service, gateway or target of the block.
    target: Text,
    /// What the block belongs to; empty: the file.
    keyword: &'static str,
}

struct Names<'a> {
    found: Vec<Occurrence>,
    param: &'a dyn Fn(&str) -> Option<Waiting>,
}

impl Names<'_> {
    fn statements(&mut self, statements: &[Statement], around: &Around) {
        for statement in statements {
            let waited = self.waiting(statement);
            let args = waited.as_ref().unwrap_or(&statement.args);
            self.args(statement.keyword(), args, around);
            let inside = Around {
                target: match (statement.keyword(), args) {
                    ("service" | "gateway", Args::Name(name)) => name.value.clone(),
                    (_, Args::Route(route)) => route.target.as_str().into(),
                    (_, Args::Services(targets)) => {
                        targets.first().map(|target| target.as_str().into()).unwrap_or_default()
                    }
                    _ => around.target.clone(),
                },
                // What stands in an `env` block stands in the block around it.
                keyword: if statement.keyword() == "env" && !around.keyword.is_empty() {
                    around.keyword
                } else {
                    statement.keyword()
                },
            };
            self.statements(&statement.block, &inside);
        }
    }

    /// The parameters of a statement, and what it says with their values.
    fn waiting(&mut self, statement: &Statement) -> Option<Args> {
        let Args::Waiting(waiting) = &statement.args else { return None };
        let mut values: Vec<(&str, Waiting)> = Vec::new();
        for piece in waiting.iter().filter(|piece| piece.kind == TokenKind::Param) {
            let name = piece.text.strip_prefix('$').unwrap_or_default();
            let span = Span::new(piece.span.file(), piece.span.start() + 1, piece.span.end());
            self.uses(span, Named::Param(name.into()));
            values.extend((self.param)(name).map(|value| (name, value)));
        }
        let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        expand::read_with(statement, value)
    }

    fn uses(&mut self, span: Span, named: Named) {
        self.found.push(Occurrence { span, declares: false, named });
    }

    fn declares(&mut self, name: &Name, named: Named) {
        self.found.push(Occurrence { span: name.span, declares: true, named });
    }

    fn args(&mut self, keyword: &'static str, args: &Args, around: &Around) {
        match args {
            Args::Name(name) => self.name(keyword, name, around),
            Args::Names(names) => names.iter().for_each(|name| self.one_of(keyword, name, around)),
            Args::Services(targets) => targets.iter().for_each(|target| self.target(target)),
            Args::Service(service) => self.target(service),
            Args::Principals(group) => {
                self.declares(&group.0, Named::Shared(group.0.value.clone()));
                self.principals(&group.1);
            }
            Args::Backends(split) => {
                self.declares(&split.0, Named::Shared(split.0.value.clone()));
                self.backends(&split.1);
            }
            Args::Import(import) => {
                self.uses(import.0.span, Named::Module(import.0.value.clone()));
                for name in &import.1 {
                    let named = Named::SharedOf { module: import.0.value.clone(), name: name.value.clone() };
                    self.uses(name.span, named);
                }
            }
            Args::Export(export) => {
                for name in &export.names {
                    self.uses(name.span, Named::Shared(name.value.clone()));
                }
            }
            Args::Param(param) => self.declares(&param.name, Named::Param(param.name.value.clone())),
            Args::Set(set) => self.uses(set.0.span, Named::Param(set.0.value.clone())),
            Args::ClusterGateway(gateway) => self.target(&gateway.0),
            Args::Port(port) => {
                if let Some(name) = &port.name {
                    self.declares(name, part(Part::Port, &around.target, &name.value));
                }
            }
            Args::Subset(subset) => {
                self.declares(&subset.name, part(Part::Subset, &around.target, &subset.name.value));
                self.cluster(subset.cluster.as_ref());
            }
            Args::Endpoints(endpoints) => self.cluster(endpoints.cluster.as_ref()),
            Args::JwtUse(jwt) => self.uses(jwt.name.span, Named::Shared(jwt.name.value.clone())),
            Args::Calls(calls) => {
                calls.services.iter().for_each(|service| self.target(service));
                if let (Some(port), Some(first)) = (&calls.port, calls.services.first()) {
                    self.uses(port.span, part(Part::Port, first.as_str(), &port.value));
                }
            }
            Args::Probe(probe) => self.port(probe.port.as_ref(), &around.target),
            Args::Tracing(tracing) => {
                if let mesh_lang::ast::Tracing::Otlp { collector: Some(collector), .. } = &tracing.value {
                    self.target(collector);
                }
            }
            Args::Listener(listener) => {
                self.declares(&listener.name, part(Part::Listener, &around.target, &listener.name.value));
            }
            Args::AllowRoutes(allowed) => {
                self.uses(allowed.module.span, Named::Module(allowed.module.value.clone()));
            }
            Args::Route(route) => {
                let target = route.target.as_str();
                self.target(&route.target);
                self.port(route.port.as_ref(), target);
                if let Some(listener) = &route.listener {
                    self.uses(listener.span, part(Part::Listener, target, &listener.value));
                }
                self.principals(&route.from);
            }
            Args::Rule(rule) => {
                self.declares(&rule.0, part(Part::Rule, &around.target, &rule.0.value));
                for name in &rule.1 {
                    self.uses(name.span, part(Part::Rule, &around.target, &name.value));
                }
            }
            Args::Match(line) => self.conditions(&line.when),
            Args::Action(action) => {
                if let Action::To(backends) = &**action {
                    self.backends(backends);
                }
            }
            Args::Mirror(mirror) => self.mirror(mirror),
            Args::RateLimit(limit) => {
                if let Some(by) = &limit.by {
                    self.uses(by.span, Named::Shared(by.value.clone()));
                }
            }
            Args::AuthorizeLine(line) => {
                self.from(line.from.as_ref());
                self.port(line.port.as_deref(), &around.target);
                self.conditions(&line.when);
            }
            Args::Check(check) => {
                self.uses(check.ext_authz.span, Named::Shared(check.ext_authz.value.clone()));
                self.port(check.port.as_ref(), &around.target);
            }
            Args::Guardrail(line) => {
                self.from(line.from.as_ref());
                line.to.iter().for_each(|to| self.destination(to));
                self.conditions(&line.when);
            }
            Args::Test(test) => {
                for name in &test.1 {
                    self.uses(name.span, Named::Environment(name.value.clone()));
                }
            }
            Args::TestLine(line) => {
                self.from(line.from.as_ref());
                self.destination(&line.to);
                let target = match &line.to {
                    Destination::Target(to) | Destination::Gateway(to) => to.as_str(),
                    Destination::Namespace(_) => "",
                };
                self.port(line.port.as_ref(), target);
                if let Some(listener) = &line.listener {
                    self.uses(listener.span, part(Part::Listener, target, &listener.value));
                }
                self.conditions(&line.when);
                self.expect(&line.expect);
            }
            _ => {}
        }
    }

    fn name(&mut self, keyword: &'static str, name: &Name, around: &Around) {
        let value = || name.value.clone();
        match (keyword, around.keyword) {
            ("service" | "gateway", "") => self.declares(name, Named::Target(value())),
            ("module", "") => self.declares(name, Named::Module(value())),
            ("jwt" | "profile" | "ext-authz" | "rate-limiter", "") => {
                self.declares(name, Named::Shared(value()));
            }
            ("cluster", "mesh") => self.uses(name.span, Named::Cluster(value())),
            ("namespace", "module") => self.declares(name, Named::Namespace(value())),
            _ => {}
        }
    }

    fn one_of(&mut self, keyword: &'static str, name: &Name, around: &Around) {
        let value = || name.value.clone();
        match keyword {
            "use" => self.uses(name.span, Named::Shared(value())),
            "environments" => self.declares(name, Named::Environment(value())),
            "env" | "production" => self.uses(name.span, Named::Environment(value())),
            "clusters" if around.keyword == "mesh" => self.declares(name, Named::Cluster(value())),
            "clusters" => self.uses(name.span, Named::Cluster(value())),
            "failover" if name.value != "local" => self.uses(name.span, Named::Cluster(value())),
            _ => {}
        }
    }

    fn target(&mut self, service: &ServiceRef) {
        self.reference(service, Named::Target(service.as_str().into()));
    }

    /// The name, and behind its dot the namespace.
    fn reference(&mut self, service: &ServiceRef, named: Named) {
        let span = service.span;
        let name = Span::new(span.file(), span.start(), span.start() + service.name().len() as u32);
        self.uses(name, named);
        if let Some(namespace) = service.namespace() {
            let start = name.end() + 1;
            let at = Span::new(span.file(), start, start + namespace.len() as u32);
            self.uses(at, Named::Namespace(namespace.into()));
        }
    }

    fn port(&mut self, port: Option<&Name>, of: &str) {
        if let Some(port) = port {
            self.uses(port.span, part(Part::Port, of, &port.value));
        }
    }

    fn cluster(&mut self, cluster: Option<&Name>) {
        if let Some(cluster) = cluster {
            self.uses(cluster.span, Named::Cluster(cluster.value.clone()));
        }
    }

    fn from(&mut self, from: Option<&From>) {
        if let Some(from) = from {
            self.principals(&from.principals);
            self.principals(&from.except);
        }
    }

    fn principals(&mut self, principals: &[Principal]) {
        for principal in principals {
            match &principal.kind {
                PrincipalKind::Service(service) => {
                    self.reference(service, Named::Either(service.as_str().into()));
                }
                PrincipalKind::Gateway(gateway) => self.target(gateway),
                PrincipalKind::Namespace(name) => {
                    self.uses(last(principal.span, name), Named::Namespace(name.clone()));
                }
                _ => {}
            }
        }
    }

    fn destination(&mut self, destination: &Destination) {
        match destination {
            Destination::Target(target) | Destination::Gateway(target) => self.target(target),
            Destination::Namespace(name) => self.uses(name.span, Named::Namespace(name.value.clone())),
        }
    }

    fn backends(&mut self, backends: &[Backend]) {
        let alone = backends.len() == 1;
        for backend in backends {
            let service = &backend.service;
            let bare = alone && backend.subset.is_none() && backend.weight.is_none();
            match bare {
                // A name alone may be that of a split.
                true => self.reference(service, Named::Either(service.as_str().into())),
                false => self.target(service),
            }
            if let Some(subset) = &backend.subset {
                self.uses(subset.span, part(Part::Subset, service.as_str(), &subset.value));
            }
            self.port(backend.port.as_ref(), service.as_str());
        }
    }

    fn mirror(&mut self, mirror: &Mirror) {
        self.backends(std::slice::from_ref(&mirror.backend));
    }

    fn conditions(&mut self, conditions: &[Condition]) {
        for condition in conditions {
            match &condition.field {
                Field::Claim { issuer: Some(jwt), .. } | Field::Jwt(jwt) => {
                    self.uses(jwt.span, Named::Shared(jwt.value.clone()));
                }
                _ => {}
            }
        }
    }

    fn expect(&mut self, expect: &Expect) {
        if let ExpectedOutcome::Backends(backends) = &expect.outcome {
            self.backends(backends);
        }
        if let Some(Some(mirror)) = &expect.mirror {
            self.mirror(mirror);
        }
    }
}

fn part(kind: Part, of: &str, name: &str) -> Named {
    Named::Part { kind, of: of.into(), name: name.into() }
}

/// The place of a name that ends a span.
fn last(span: Span, name: &str) -> Span {
    Span::new(span.file(), span.end().saturating_sub(name.len() as u32), span.end())
}
