//! Listeners and routes: the rules of each service port, and of each host of each listener.

use super::delegation::Delegations;
use super::scope::{self, Place, Scope, Target, workload};
use super::{backend, browsers, consumer, declarations, duplicate, edits, settings, shape};
use crate::model::{
    Action, Backend, GatewayId, HostTable, Line, Listener, Model, PortId, Rule, SettingsAt, Shape, Table,
};
use crate::partition::{MAX_LINES, covers};
use mesh_lang::ast::{self, HostPattern, ListenerTls, Protocol};
use mesh_lang::diagnostic::suggest::meant;
use mesh_lang::signature::Place as Block;
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span, Spanned, Text};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Fills in the listeners of a gateway.
pub(super) fn listeners(
    gateway: &ast::Gateway,
    place: &Place<'_>,
    scope: &Scope,
    model: &mut Model,
    diagnostics: &mut Diagnostics,
) {
    let Some(Target::Gateway(id)) = scope.own(&gateway.name, *place, model) else { return };
    if gateway.listeners.is_empty() {
        diagnostics.push(
            Diagnostic::new(
                Code::MissingStatement,
                format!("gateway `{}` has no listener", gateway.name.value),
            )
            .at(gateway.span, "nothing can reach it")
            .help("Add one: `listener web port 8080 http { host \"*\" }`."),
        );
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for listener in &gateway.listeners {
        if let Some(first) = listeners.iter().find(|first| first.name == listener.name.value) {
            diagnostics.push(duplicate("listener", &listener.name.value, listener.name.span, first.span));
            continue;
        }
        let connections = listener.protocol.value == Protocol::Tcp;
        if listener.hosts.is_empty() && !connections {
            diagnostics.push(
                Diagnostic::new(
                    Code::MissingStatement,
                    format!("listener `{}` has no host", listener.name.value),
                )
                .at(listener.span, "it would accept nothing")
                .help("Add `host \"shop.example\"`, or `host \"*\"` for every host."),
            );
        }
        let mut hosts: Vec<(HostPattern, Span)> = Vec::new();
        for host in &listener.hosts {
            match hosts.iter().find(|(known, _)| *known == host.value) {
                Some((_, first)) => {
                    diagnostics.push(duplicate("host", &host.value.to_string(), host.span, *first))
                }
                None => hosts.push((host.value.clone(), host.span)),
            }
        }
        if let (true, Some(host)) = (connections, listener.hosts.first()) {
            diagnostics.push(
                Diagnostic::new(
                    Code::ProtocolMismatch,
                    "a connection says no host, and this listener speaks tcp",
                )
                .at(host.span, "nothing to compare it with")
                .help("Delete it; for TLS, declare the listener as `tls`."),
            );
        }
        if connections {
            hosts = vec![(HostPattern::Any, listener.span)];
        }
        hosts.sort();
        let (certificates, client_ca) = shown(listener);
        listeners.push(Listener {
            certificates,
            client_ca,
            protocol: listener.protocol.value,
            proxy_protocol: listener.proxy_protocol.is_some(),
            name: listener.name.value.to_string(),
            number: listener.number.value,
            span: listener.span,
            limits: super::limits::of(&listener.limits, *place, &scope.shared),
            tables: redirecting(listener, &hosts),
            hosts,
            needs_no_route: needs_no_route(listener),
            access: vec![],
            checks: vec![],
        });
    }
    listeners.sort_by(|a, b| a.name.cmp(&b.name));
    model.gateways[id.0 as usize].listeners = listeners;
}

/// The certificates of a listener where TLS ends, each once, and the authority of its clients.
fn shown(listener: &ast::Listener) -> (Vec<String>, String) {
    let Some(ListenerTls::Terminate { certificates, client_ca }) =
        listener.tls.as_ref().map(|tls| &tls.value)
    else {
        return (vec![], String::new());
    };
    let names: BTreeSet<String> = certificates.iter().map(|name| name.value.to_string()).collect();
    let client_ca = client_ca.as_ref().map(|name| name.value.to_string());
    (names.into_iter().collect(), client_ca.unwrap_or_default())
}

fn needs_no_route(listener: &ast::Listener) -> bool {
    let tls = listener.tls.as_ref().map(|tls| &tls.value);
    listener.redirect_https.is_some() || matches!(tls, Some(ListenerTls::Passthrough { mesh: true }))
}

/// The tables of a listener that redirects everything (`spec/semantics.md` 10.13).
fn redirecting(listener: &ast::Listener, hosts: &[(HostPattern, Span)]) -> Vec<HostTable> {
    let Some(status) = listener.redirect_https else { return vec![] };
    let rule = Rule {
        name: "https".into(),
        span: status.span,
        overrides: vec![],
        lines: vec![Line { shape: Shape::default(), span: status.span }],
        action: Action::Redirect { status: status.value, location: String::new() },
        edits: vec![mesh_plan::Edit::Scheme("https".to_owned())],
        mirrors: vec![],
        settings: mesh_plan::Settings::default(),
        settings_at: SettingsAt::default(),
        answers_preflights: false,
    };
    let table = |host: &HostPattern| HostTable {
        host: host.clone(),
        table: Table { rules: vec![rule.clone()], ..Table::default() },
    };
    hosts.iter().map(|(host, _)| table(host)).collect()
}

/// What a `route` is about and does.
pub(super) struct Read {
    target: Target,
    /// The service port, where it is about a service.
    own: Option<PortId>,
    rules: Vec<Rule>,
}

/// What a `route` that is not for some callers says.
pub(super) fn read(
    route: &ast::Route,
    place: Place<'_>,
    scope: &Scope,
    delegations: &Delegations<'_>,
    model: &Model,
    diagnostics: &mut Diagnostics,
) -> Option<Read> {
    if !route.from.is_empty() {
        return None;
    }
    let target = match delegations.target(route, place, scope, model) {
        Ok(target) => target,
        Err(problems) => {
            problems.into_iter().for_each(|problem| diagnostics.push(problem));
            return None;
        }
    };
    let own = match target {
        Target::Service(service) => match scope::port(model, service, route.port.as_ref(), route.target.span)
        {
            Ok(port) => Some(port),
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                return None;
            }
        },
        Target::Gateway(_) => None,
    };
    misplaced(route, target, model, diagnostics);
    let rules = rules(route, target, own, place, scope, model, diagnostics);
    Some(Read { target, own, rules })
}

/// Adds a `route` to the tables it is about.
pub(super) fn resolve(
    route: &ast::Route,
    read: Option<Read>,
    place: Place<'_>,
    scope: &Scope,
    model: &mut Model,
    diagnostics: &mut Diagnostics,
) {
    if !route.from.is_empty() {
        return consumer::resolve(route, place, scope, model, diagnostics);
    }
    let Some(Read { target, own, rules }) = read else { return };
    match (target, own) {
        (Target::Gateway(gateway), _) => {
            for (listener, host) in hosts(route, gateway, model, diagnostics) {
                let tables = &mut model.gateways[gateway.0 as usize].listeners[listener].tables;
                let index = tables.iter().position(|known| known.host == host).unwrap_or_else(|| {
                    tables.push(HostTable { host, table: Table::default() });
                    tables.len() - 1
                });
                add(&mut tables[index].table, route, rules.clone(), diagnostics);
            }
        }
        (Target::Service(_), Some(port)) => {
            let port = &mut model.services[port.service.0 as usize].ports[port.port as usize];
            add(port.route.get_or_insert_default(), route, rules, diagnostics);
        }
        (Target::Service(_), None) => {}
    }
}

/// The rules of a route to a target; `own` is the service port that it is about, if it is about a service.
pub(super) fn rules(
    route: &ast::Route,
    target: Target,
    own: Option<PortId>,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) -> Vec<Rule> {
    if let Target::Service(_) = target {
        let lines = route.rules.iter().flat_map(|rule| &rule.matches);
        lines
            .filter_map(|line| shape::for_gateways(&line.when))
            .for_each(|problem| diagnostics.push(problem));
    }
    let rules = route.rules.iter();
    rules.filter_map(|rule| resolve_rule(rule, target, own, place, scope, model, diagnostics)).collect()
}

/// `host` and `listener` are for gateways, `port` is for services.
pub(super) fn misplaced(route: &ast::Route, target: Target, model: &Model, diagnostics: &mut Diagnostics) {
    let name = &workload(model, target).name;
    let mut wrong = |span: Span, word: &str, kind: &str, help: &str| {
        diagnostics.push(
            Diagnostic::new(Code::UnexpectedToken, format!("the route of {kind} `{name}` has a `{word}`"))
                .at(span, "has no meaning here")
                .help(help),
        );
    };
    match target {
        Target::Service(_) => {
            if let Some(host) = route.hosts.first() {
                wrong(
                    host.span,
                    "host",
                    "service",
                    "A service's route holds for whoever calls it: leave `host` out.",
                );
            }
            if let Some(listener) = &route.listener {
                wrong(listener.span, "listener", "service", "Only gateways listen: leave `listener` out.");
            }
        }
        Target::Gateway(_) => {
            if let Some(port) = &route.port {
                wrong(port.span, "port", "gateway", "A gateway has listeners: write `listener NAME`.");
            }
        }
    }
}

/// The listener that `listener NAME` means: by name, or the only one.
pub(super) fn listener_of(
    model: &Model,
    gateway: GatewayId,
    name: Option<&Name>,
    span: Span,
) -> Result<usize, Diagnostic> {
    let listeners = &model[gateway].listeners;
    let names = || listeners.iter().map(|listener| listener.name.as_str());
    match name {
        Some(wanted) => {
            listeners.iter().position(|listener| listener.name == wanted.value).ok_or_else(|| {
                let problem = Diagnostic::new(
                    Code::ListenerNeeded,
                    format!("gateway `{}` has no listener `{}`", model[gateway].workload.name, wanted.value),
                )
                .at(wanted.span, "not a listener of this gateway")
                .at(model[gateway].workload.span, "declared here");
                match meant(&wanted.value, names()) {
                    Some(near) => problem.did_you_mean(&wanted.value, near),
                    None => problem.help(format!("Its listeners are {}.", scope::listed(names()))),
                }
            })
        }
        None if listeners.len() == 1 => Ok(0),
        None => Err(Diagnostic::new(
            Code::ListenerNeeded,
            format!("gateway `{}` has {} listeners", model[gateway].workload.name, listeners.len()),
        )
        .at(span, "which one is not said")
        .help(format!("Add `listener NAME`: {}.", scope::listed(names())))),
    }
}

/// The (listener, host) pairs that a gateway's route is about.
fn hosts(
    route: &ast::Route,
    gateway: GatewayId,
    model: &Model,
    diagnostics: &mut Diagnostics,
) -> Vec<(usize, HostPattern)> {
    if model[gateway].listeners.is_empty() {
        return vec![];
    }
    let index = match listener_of(model, gateway, route.listener.as_ref(), route.target.span) {
        Ok(index) => index,
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            return vec![];
        }
    };
    let listener = &model[gateway].listeners[index];
    if route.hosts.is_empty() {
        return listener.hosts.iter().map(|(host, _)| (index, host.clone())).collect();
    }
    let mut found: Vec<&Spanned<HostPattern>> = Vec::new();
    for host in &route.hosts {
        if let Some(first) = found.iter().find(|first| first.value == host.value) {
            diagnostics.push(duplicate("host", &host.value.to_string(), host.span, first.span));
        } else if listener.hosts.iter().any(|(own, _)| covers(own, &host.value)) {
            found.push(host);
        } else {
            let own: Vec<String> = listener.hosts.iter().map(|(own, _)| own.to_string()).collect();
            diagnostics.push(
                Diagnostic::new(
                    Code::HostOutsideListener,
                    format!("listener `{}` does not accept host `{}`", listener.name, host.value),
                )
                .at(host.span, "no request for it gets here")
                .at(listener.span, format!("accepts {}", scope::listed(own.iter().map(String::as_str))))
                .help("Add the host to the listener, or take it out of the route."),
            );
        }
    }
    found.into_iter().map(|host| (index, host.value.clone())).collect()
}

pub(super) fn add(table: &mut Table, route: &ast::Route, rules: Vec<Rule>, diagnostics: &mut Diagnostics) {
    table.spans.push(route.span);
    let is_lost = |name: &&Text| !rules.iter().any(|rule| rule.name == **name);
    table.lost.extend(route.rules.iter().map(|rule| &rule.name.value).filter(is_lost).cloned());
    for rule in rules {
        match table.rules.iter().find(|known| known.name == rule.name) {
            Some(first) => diagnostics.push(duplicate("rule", &rule.name, rule.span, first.span)),
            None => table.rules.push(rule),
        }
    }
    if let Some(otherwise) = route.otherwise {
        match table.otherwise {
            Some((_, first)) => diagnostics.push(
                Diagnostic::new(Code::DuplicateStatement, "this target and host have an `otherwise` already")
                    .at(otherwise.span, "written again here")
                    .at(first, "first written here")
                    .help("Delete one of them."),
            ),
            None => table.otherwise = Some((otherwise.value, otherwise.span)),
        }
    }
}

/// `own` is the service port that the route belongs to, if it is a service's.
fn resolve_rule(
    rule: &ast::Rule,
    target: Target,
    own: Option<PortId>,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) -> Option<Rule> {
    let Some(action) = &rule.action else {
        diagnostics.push(
            Diagnostic::new(Code::MissingStatement, format!("rule `{}` does nothing", rule.name.value))
                .at(rule.span, "no `to`, `redirect` or `respond`")
                .help("Say where its requests go: `to SERVICE`."),
        );
        return None;
    };
    if !matches!(action.value, ast::Action::To(_))
        && let Some(span) = [
            rule.settings.timeout.map(|timeout| timeout.span),
            rule.settings.retry.as_ref().map(|retry| retry.span),
            rule.settings.idle_timeout.map(|timeout| timeout.span),
        ]
        .into_iter()
        .find_map(|span| span)
    {
        diagnostics.push(
            Diagnostic::new(
                Code::UnexpectedToken,
                format!("rule `{}` sends nothing to a service", rule.name.value),
            )
            .at(span, "nothing to wait for or to try again")
            .at(action.span, "answers at once")
            .help("Delete it."),
        );
    }
    let written =
        settings::with_profiles(&rule.settings, &rule.limits, Block::Rule, place, scope, diagnostics);
    if rule.matches.iter().all(|line| !line.ops.is_empty()) {
        let ops = rule.matches.iter().flat_map(|line| &line.ops);
        settings::never_repeated(&rule.settings, ops, diagnostics);
    }
    let mut matches = rule.matches.clone();
    for line in &mut matches {
        match declarations::with_issuers(&line.when, workload(model, target)) {
            Ok(Cow::Owned(when)) => line.when = when,
            Ok(Cow::Borrowed(_)) => {}
            Err(problems) => {
                problems.into_iter().for_each(|problem| diagnostics.push(problem));
                return None;
            }
        }
    }
    let lines = match shape::of_matches(&matches, rule.span) {
        Ok(lines) => lines,
        Err(shape::Wrong::Values(problems)) => {
            problems.into_iter().for_each(|problem| diagnostics.push(problem));
            return None;
        }
        Err(shape::Wrong::TooMany(span, count)) => {
            diagnostics.push(
                Diagnostic::new(
                    Code::AnalysisBudget,
                    format!("a line of rule `{}` is {count} lines", rule.name.value),
                )
                .at(span, format!("with its lists written out; {MAX_LINES} can be decided exactly"))
                .help("Use a prefix instead of long lists, or split the rule."),
            );
            return None;
        }
    };
    let edits = match edits::resolve(rule, place, scope, model) {
        Ok(edits) => edits,
        Err(problems) => {
            problems.into_iter().for_each(|problem| diagnostics.push(problem));
            return None;
        }
    };
    let overrides = rule.overrides.iter().map(|name| (name.value.clone(), name.span)).collect();
    let resolved = match &action.value {
        ast::Action::To(backends) => match backend::resolve(backends, action.span, place, scope, model) {
            Ok(found) => Action::Forward(forward(found, own)),
            Err(problems) => {
                problems.into_iter().for_each(|problem| diagnostics.push(problem));
                return None;
            }
        },
        ast::Action::Redirect(redirect) => {
            let location = match &redirect.to {
                ast::RedirectTo::Location(location) => location.value.clone(),
                ast::RedirectTo::Prefix(_) | ast::RedirectTo::Parts { .. } => Text::default(),
            };
            Action::Redirect { status: redirect.status.value, location: location.to_string() }
        }
        ast::Action::Respond { status, body } => {
            let body = body.as_ref().map(|body| body.value.clone()).unwrap_or_default();
            Action::Respond { status: status.value, body: body.to_string() }
        }
    };
    let cut_off = browsers::cut_off(rule, &written.settings, &resolved, model);
    browsers::check(rule).into_iter().chain(cut_off).for_each(|problem| diagnostics.push(problem));
    Some(Rule {
        name: rule.name.value.clone(),
        span: rule.span,
        overrides,
        lines,
        edits,
        mirrors: edits::mirrors(rule, place, scope),
        action: resolved,
        settings: written.settings,
        settings_at: written.at,
        answers_preflights: rule.modifiers.cors.is_some(),
    })
}

/// A bare service of somebody else enters its own route (`spec/semantics.md` 3.10).
fn forward(found: Vec<backend::Destination>, own: Option<PortId>) -> Vec<Backend> {
    let backends = found.into_iter().map(|destination| Backend {
        to: destination.to,
        subset: destination.subset,
        enter: destination.subset.is_none() && own.is_none_or(|own| own.service != destination.to.service),
        weight: destination.weight,
    });
    let mut backends: Vec<Backend> = backends.collect();
    backends.sort();
    backends
}

/// Every `overrides` names a rule of its own table.
pub(super) fn overrides_exist(model: &Model, diagnostics: &mut Diagnostics) {
    let services =
        model.services.iter().flat_map(|service| &service.ports).filter_map(|port| port.route.as_ref());
    let hosts =
        model.gateways.iter().flat_map(|gateway| &gateway.listeners).flat_map(|listener| &listener.tables);
    let consumers = model.consumer_routes.iter().map(|route| &route.table);
    for table in services.chain(consumers).chain(hosts.map(|host| &host.table)) {
        for rule in &table.rules {
            for (name, span) in &rule.overrides {
                if *name == rule.name {
                    diagnostics.push(
                        Diagnostic::new(Code::OverridesNothing, format!("rule `{name}` overrides itself"))
                            .at(*span, "its own name")
                            .help("Name the rule that it is to win over, or delete the `overrides`."),
                    );
                }
                if table.rule_named(name).is_some() || table.lost.contains(name) {
                    continue;
                }
                let problem = Diagnostic::new(Code::UnknownName, format!("unknown rule `{name}`"))
                    .at(*span, "no rule of this target and host has this name");
                let names = table.rules.iter().map(|rule| rule.name.as_str());
                diagnostics.push(match meant(name, names) {
                    Some(near) => problem.did_you_mean(name, near),
                    None => problem.help("`overrides` names a rule of the same target and host."),
                });
            }
        }
    }
}
