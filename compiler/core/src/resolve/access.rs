//! `authorize`: who, and what, for each port and listener.

use super::scope::{self, Place, Scope, Target, workload};
use super::shared::Named;
use super::{asked, audit, declarations, mutual, shape};
use crate::model::{AccessLine, Caller, Check, Model, PeerSet, Polarity, Principal, Service, Wording};
use crate::space::peer::{Candidate, candidates};
use mesh_lang::ast::{self, Effect, PrincipalKind};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span, Spanned, Text};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// What an `authorize` says of one of its targets.
pub(super) struct Read {
    target: Target,
    /// For each of its ports or listeners.
    doors: Vec<Vec<AccessLine>>,
    /// As `doors`: who is asked besides.
    checks: Vec<Vec<Check>>,
}

/// What an `authorize` says of each of its targets.
pub(super) fn read(
    authorize: &ast::Authorize,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) -> Vec<Read> {
    let mut read = Vec::with_capacity(authorize.targets.len());
    for name in &authorize.targets {
        let target = match scope.own_target(name, place, "authorize", model) {
            Ok(target) => target,
            Err(diagnostic) => {
                diagnostics.push(diagnostic.offered());
                continue;
            }
        };
        let checks = asked::read(authorize, target, place, scope, model, diagnostics);
        let full_name = Text::from(workload(model, target).full_name());
        let mut doors: Vec<Vec<AccessLine>> = match target {
            Target::Service(service) => model[service].ports.iter().map(|_| Vec::new()).collect(),
            Target::Gateway(gateway) => model[gateway].listeners.iter().map(|_| Vec::new()).collect(),
        };
        if let [only] = doors.as_mut_slice() {
            only.reserve_exact(authorize.lines.len());
        }
        for line in &authorize.lines {
            let found = resolve_line(line, &full_name, target, place, scope, model).and_then(|found| {
                Ok((found, doors_of(line, target, model).map_err(|problem| vec![problem])?))
            });
            match found {
                Ok((found, which)) => add(found, &mut doors[which]),
                Err(problems) => problems.into_iter().for_each(|problem| diagnostics.push(problem)),
            }
        }
        read.push(Read { target, doors, checks });
    }
    read
}

fn add(found: AccessLine, doors: &mut [Vec<AccessLine>]) {
    if let [others @ .., last] = doors {
        others.iter_mut().for_each(|door| door.push(found.clone()));
        last.push(found);
    }
}

/// Adds what an `authorize` says to its targets.
pub(super) fn resolve(
    authorize: &ast::Authorize,
    read: Vec<Read>,
    model: &mut Model,
    diagnostics: &mut Diagnostics,
) {
    for Read { target, doors, checks } in read {
        match target {
            Target::Service(service) => model.services[service.0 as usize].workload.authorized = true,
            Target::Gateway(gateway) => model.gateways[gateway.0 as usize].workload.authorized = true,
        }
        for (own, lines) in access_of(target, model).into_iter().zip(doors) {
            // Nearly always there is one `authorize` for a target.
            if own.is_empty() { *own = lines } else { own.extend(lines) }
        }
        for (own, checks) in checks_of(target, model).into_iter().zip(checks) {
            own.extend(checks);
            asked::in_order(own);
        }
        if let Some(mode) = &authorize.mode {
            add_mode(mode, target, model, diagnostics);
        }
    }
}

fn resolve_line(
    line: &Arc<ast::AuthorizeLine>,
    full_name: &Text,
    target: Target,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<AccessLine, Vec<Diagnostic>> {
    let from = match (&line.from, line.effect) {
        (Some(from), _) => {
            let set = peers(from, line.effect, place, scope, model)?;
            // Where no stranger gets to, a `deny` need not say what becomes of them.
            match spared_strangers(from, line.effect, &set, model) {
                Some(problem) if mutual::accepts_strangers(line, target, model) => return Err(vec![problem]),
                _ => set,
            }
        }
        (None, Effect::Deny | Effect::Audit) => PeerSet { of: vec![Principal::Anyone], except: vec![] },
        (None, Effect::Allow) => {
            return Err(vec![
                Diagnostic::new(Code::AllowWithoutFrom, "`allow` does not say whom")
                    .at(line.span, "no `from`")
                    .help("Name the callers, `allow from web`; if it is meant for the whole world, write `allow from anyone`."),
            ]);
        }
    };
    let text = Wording::Authorize { target: full_name.clone(), line: line.clone(), said: OnceLock::new() };
    let polarity = match line.effect {
        Effect::Allow | Effect::Audit => Polarity::Grant,
        Effect::Deny => Polarity::Refusal,
    };
    if let (Target::Service(_), Some(problem)) = (target, shape::for_gateways(&line.when)) {
        return Err(vec![problem]);
    }
    let when = declarations::with_issuers(&line.when, workload(model, target))?;
    let shapes = shape::of_access(&line.ops, &when, polarity)?;
    Ok(AccessLine {
        effect: line.effect,
        from,
        shapes,
        text,
        span: line.span,
        is_mode: false,
        is_probe: false,
    })
}

/// Which ports or listeners of a target a line is about.
fn doors_of(line: &ast::AuthorizeLine, target: Target, model: &Model) -> Result<Range<usize>, Diagnostic> {
    match (target, &line.port) {
        (Target::Gateway(_), Some(port)) => Err(no_ports(port)),
        (Target::Gateway(gateway), None) => Ok(0..model[gateway].listeners.len()),
        (Target::Service(service), None)
            if line.effect != Effect::Allow && !model[service].ports.is_empty() =>
        {
            Ok(0..model[service].ports.len())
        }
        (Target::Service(service), port) => match scope::port(model, service, port.as_deref(), line.span) {
            Ok(port) => Ok(port.port as usize..port.port as usize + 1),
            Err(_) if port.is_none() && model[service].ports.len() > 1 => {
                Err(which_port(line, &model[service]))
            }
            Err(problem) => Err(problem),
        },
    }
}

/// The lines of each port or listener of a target.
fn access_of(target: Target, model: &mut Model) -> Vec<&mut Vec<AccessLine>> {
    match target {
        Target::Service(id) => {
            model.services[id.0 as usize].ports.iter_mut().map(|port| &mut port.access).collect()
        }
        Target::Gateway(id) => {
            model.gateways[id.0 as usize].listeners.iter_mut().map(|listener| &mut listener.access).collect()
        }
    }
}

/// Who is asked about what comes to each port or listener of a target.
fn checks_of(target: Target, model: &mut Model) -> Vec<&mut Vec<Check>> {
    match target {
        Target::Service(id) => {
            model.services[id.0 as usize].ports.iter_mut().map(|port| &mut port.checks).collect()
        }
        Target::Gateway(id) => {
            model.gateways[id.0 as usize].listeners.iter_mut().map(|listener| &mut listener.checks).collect()
        }
    }
}

/// A target is in one mode, however many blocks are about it.
fn add_mode(mode: &Spanned<ast::Mode>, target: Target, model: &mut Model, diagnostics: &mut Diagnostics) {
    let line = audit::line(&workload(model, target).full_name(), mode);
    let places = access_of(target, model);
    let known = places.iter().flat_map(|lines| lines.iter()).find(|line| line.is_mode);
    if let Some(known) = known {
        diagnostics.push(
            Diagnostic::new(Code::DuplicateStatement, "`mode` is written twice for one target")
                .at(mode.span, "written again here")
                .at(known.span, "first written here")
                .help("Keep one of the two."),
        );
        return;
    }
    places.into_iter().for_each(|lines| lines.push(line.clone()));
}

pub(super) fn no_ports(port: &Name) -> Diagnostic {
    Diagnostic::new(Code::UnexpectedToken, "a gateway has no ports to choose from")
        .at(port.span, "has no meaning here")
        .help("Leave `port` out: the line holds for every listener.")
}

/// A line has its own place for the port: behind `to`, not behind the service's name.
fn which_port(line: &ast::AuthorizeLine, service: &Service) -> Diagnostic {
    let end = Span::new(line.span.file(), line.span.end(), line.span.end());
    let first = service.ports.first().map(|port| Name { value: port.name.as_str().into(), span: end });
    let whole = ast::AuthorizeLine { port: first.map(Box::new), ..line.clone() };
    let names = service.ports.iter().map(|port| port.name.as_str());
    Diagnostic::new(Code::PortNeeded, format!("service `{}` has several ports", service.workload.name))
        .at(end, "which one is not said")
        .help(format!("Write `{whole}`, with one of its ports: {}.", scope::listed(names)))
}

/// Who the lines of an authorization or a guardrail are about. Which name was meant is never guessed: it lets somebody in.
pub(super) fn peers(
    from: &ast::From,
    effect: Effect,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<PeerSet, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut resolve = |list: &[ast::Principal]| {
        let mut found = Vec::with_capacity(list.len());
        for one in list {
            problems
                .extend(add_principals(one, place, scope, model, &mut found).err().map(Diagnostic::offered));
        }
        found
    };
    let set = PeerSet { of: resolve(&from.principals), except: resolve(&from.except) };
    if !problems.is_empty() {
        return Err(problems);
    }
    problems.extend(vain_exceptions(from, effect, &set, model));
    if problems.is_empty() { Ok(set) } else { Err(problems) }
}

/// Adds what a principal means; a group is its members.
pub(super) fn add_principals(
    written: &ast::Principal,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    found: &mut Vec<Principal>,
) -> Result<(), Diagnostic> {
    let bare = match &written.kind {
        PrincipalKind::Service(name) if name.namespace().is_none() => Some(name.name()),
        _ => None,
    };
    let Some((Named::Group(group), home)) = bare.and_then(|name| scope.shared.get(name, place)) else {
        found.push(principal(written, place, scope, model)?);
        return Ok(());
    };
    for member in &group.principals {
        found.push(match principal(member, home, scope, model)? {
            Principal::Workload { who, .. } => Principal::Workload { who, named: None },
            other => other,
        });
    }
    Ok(())
}

/// The members of a group are services, gateways, namespaces, trust domains and identities.
pub(super) fn group(
    group: &ast::Group,
    place: &Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) {
    for member in &group.principals {
        let kind = match &member.kind {
            PrincipalKind::Anyone | PrincipalKind::Authenticated | PrincipalKind::Unauthenticated => true,
            PrincipalKind::Service(name) => {
                name.namespace().is_none()
                    && matches!(scope.shared.get(name.name(), *place), Some((Named::Group(_), _)))
            }
            _ => false,
        };
        if kind {
            diagnostics.push(
                Diagnostic::new(Code::UnexpectedToken, format!("`{member}` cannot be in a group"))
                    .at(member.span, "not one caller or namespace")
                    .help("A group has services, gateways, namespaces, trust domains and identities; write the others beside it."),
            );
        } else if let Err(problem) = principal(member, *place, scope, model) {
            diagnostics.push(problem.offered());
        }
    }
}

/// What a principal means. Also asked by tests.
pub(super) fn principal(
    principal: &ast::Principal,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Principal, Diagnostic> {
    match &principal.kind {
        PrincipalKind::Anyone => Ok(Principal::Anyone),
        PrincipalKind::Authenticated => Ok(Principal::Authenticated),
        PrincipalKind::Unauthenticated => Ok(Principal::Unauthenticated),
        PrincipalKind::TrustDomain(name) if *name == model.trust_domain => {
            Err(Diagnostic::new(Code::InvalidValue, format!("`{name}` is the trust domain of this mesh"))
                .at(principal.span, "no other trust domain")
                .help("Write `authenticated` for every workload of the mesh."))
        }
        PrincipalKind::TrustDomain(name) => Ok(Principal::TrustDomain(name.clone())),
        PrincipalKind::Namespace(name) if scope.has_namespace(name) => Ok(Principal::Namespace(name.clone())),
        PrincipalKind::Namespace(name) => Err(scope.unknown_namespace(name, principal.span)),
        PrincipalKind::Service(name) => {
            let who = Caller::Service(scope.service(name, place)?);
            Ok(Principal::Workload { who, named: Some(principal.span) })
        }
        PrincipalKind::Gateway(name) => {
            let who = Caller::Gateway(scope.gateway(name, place)?);
            Ok(Principal::Workload { who, named: Some(principal.span) })
        }
        PrincipalKind::Identity(text) if text.ends_with("/*") => below(text, principal.span, model),
        PrincipalKind::Identity(text) => match not_an_identity(text) {
            None => Ok(Principal::Identity(text.clone())),
            Some(why) => Err(Diagnostic::new(Code::InvalidValue, format!("`{text}` is not a SPIFFE ID"))
                .at(principal.span, why)
                .help("Write it whole: `identity \"spiffe://partner.example/ns/shop/sa/web\"`.")),
        },
    }
}

/// `identity "spiffe://partner.example/ns/ops/sa/*"`: every identity with one segment in the place of the `*`.
fn below(text: &str, span: Span, model: &Model) -> Result<Principal, Diagnostic> {
    let refused = |message: String, label: &str, help: String| {
        Err(Diagnostic::new(Code::InvalidValue, message).at(span, label).help(help))
    };
    let parent = text.trim_end_matches("/*");
    let domain = parent.strip_prefix("spiffe://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if domain == model.trust_domain {
        return refused(
            format!("`{text}` is about this mesh"),
            "its identities are not matched by a pattern",
            "Name the services, or write `namespace NAME`.".to_owned(),
        );
    }
    if parent.ends_with(domain) && not_an_identity(&format!("{parent}/x")).is_none() {
        return refused(
            format!("`{text}` is a whole trust domain"),
            "the `*` is its whole path",
            format!("Write `trust-domain {domain}`."),
        );
    }
    match not_an_identity(parent) {
        None => Ok(Principal::Below(parent.into())),
        Some(why) => refused(
            format!("`{text}` is no pattern of SPIFFE IDs"),
            why,
            "Write it whole, with `*` for the last segment: `identity \"spiffe://partner.example/ns/shop/sa/*\"`.".to_owned(),
        ),
    }
}

/// Bytes of a trust domain and of a whole ID (SPIFFE ID and Verifiable Identity Document, 2.3): longer ones are nobody's at run time.
const MAX_TRUST_DOMAIN: usize = 255;
const MAX_ID: usize = 2_048;

/// Why a text is not a SPIFFE ID (SPIFFE ID and Verifiable Identity Document, 2), or `None`.
pub(super) fn not_an_identity(text: &str) -> Option<&'static str> {
    let Some(rest) = text.strip_prefix("spiffe://") else { return Some("it begins with `spiffe://`") };
    let Some((domain, path)) = rest.split_once('/') else { return Some("a path follows the trust domain") };
    let in_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if domain.len() > MAX_TRUST_DOMAIN || text.len() > MAX_ID {
        return Some("a trust domain has at most 255 bytes, the whole at most 2,048");
    }
    if domain.is_empty() || !domain.bytes().all(in_domain) {
        return Some("a trust domain is lower-case letters, digits, `.`, `-` and `_`");
    }
    let whole = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(in_path)
    };
    (!path.split('/').all(whole))
        .then_some("a path segment is letters, digits, `.`, `-` and `_`, and not empty")
}

/// Exceptions that take nothing away, or everything.
fn vain_exceptions(from: &ast::From, effect: Effect, set: &PeerSet, model: &Model) -> Vec<Diagnostic> {
    // Somebody is in every principal.
    if set.except.is_empty() {
        return Vec::new();
    }
    let everybody = candidates(model, set.of.iter().chain(&set.except));
    let included = PeerSet { of: set.of.clone(), except: vec![] };
    let mut problems = Vec::new();
    for (written, exception) in from.except.iter().zip(&set.except) {
        let spelled_out = effect == Effect::Deny && matches!(exception, Principal::Unauthenticated);
        let taken =
            |candidate: &Candidate| candidate.is_in(&included, model) && candidate.is(exception, model);
        let takes = everybody.iter().any(taken);
        if !spelled_out && !takes {
            problems.push(
                Diagnostic::new(Code::EmptyPrincipals, format!("`except {written}` takes nobody away"))
                    .at(written.span, "not among those in `from`")
                    .help("Delete the exception, or name the group it is an exception from."),
            );
        }
    }
    if problems.is_empty() && !everybody.iter().any(|candidate| candidate.is_in(set, model)) {
        problems.push(
            Diagnostic::new(Code::EmptyPrincipals, format!("`{from}` is nobody"))
                .at(from.span, "the exceptions take everybody away")
                .help("Delete the line, or one of the exceptions."),
        );
    }
    problems
}

/// A deny that names identities says what becomes of peers without one (`spec/semantics.md` 4.3).
pub(super) fn spared_strangers(
    from: &ast::From,
    effect: Effect,
    set: &PeerSet,
    model: &Model,
) -> Option<Diagnostic> {
    let says = |list: &[Principal]| list.iter().any(|one| Candidate::Unauthenticated.is(one, model));
    if effect != Effect::Deny || says(&set.of) || says(&set.except) {
        return None;
    }
    let strangers = ast::Principal { span: from.span, kind: PrincipalKind::Unauthenticated };
    let with = |list: &[ast::Principal]| list.iter().chain([&strangers]).cloned().collect();
    let refused = ast::From { principals: with(&from.principals), ..from.clone() };
    let spared = ast::From { except: with(&from.except), ..from.clone() };
    Some(
        Diagnostic::new(
            Code::DenySparesStrangers,
            "this `deny` does not say what becomes of peers without identity",
        )
        .at(from.span, "names identities only")
        .note("a caller without a certificate would walk past it")
        .help(format!("Write `deny {refused}` to refuse them too, or `deny {spared}`.")),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn authorize(lines: &str) -> String {
        format!("service web {{ port 80 http }}\nservice a {{ calls web }}\nauthorize web {{\n{lines}\n}}\n")
    }

    #[test]
    fn public_is_an_explicit_line() {
        says(&authorize("allow to GET /"), &["4 MESH4002 `allow` does not say whom"]);
        says(&authorize("allow from anyone to GET /"), &[]);
    }

    #[test]
    fn a_deny_of_identities_says_what_becomes_of_strangers() {
        says(
            &authorize("allow from anyone\ndeny from a"),
            &["5 MESH4003 this `deny` does not say what becomes of peers without identity"],
        );
        says(&authorize("allow from anyone\ndeny from a, unauthenticated to /x"), &[]);
        says(&authorize("allow from anyone\ndeny from a except unauthenticated to /x"), &[]);
    }

    #[test]
    fn what_is_said_of_strangers_stands_beside_other_exceptions() {
        let text = authorize("allow from anyone\ndeny from namespace default except a");
        says(&text, &["5 MESH4003 this `deny` does not say what becomes of peers without identity"]);
        says(&text.replace("default except", "default, unauthenticated except"), &[]);
        says(&text.replace("except a", "except a, unauthenticated"), &[]);
    }

    #[test]
    fn identities_of_other_trust_domains_are_named_whole_or_by_what_they_begin_with() {
        says(
            &authorize(
                "allow from a, trust-domain partner.example, identity \"spiffe://b.example/ns/ops/sa/*\"",
            ),
            &[],
        );
        let own = "`local.test` is the trust domain of this mesh";
        says(&authorize("allow from trust-domain local.test"), &[&format!("4 MESH1012 {own}")]);
        for (pattern, message) in [
            ("spiffe://local.test/ns/shop/sa/*", "is about this mesh"),
            ("spiffe://b.example/*", "is a whole trust domain"),
            ("spiffe://b.example/ns/*/sa/*", "is no pattern of SPIFFE IDs"),
            ("spiffe://b.example//*", "is no pattern of SPIFFE IDs"),
            ("spiffe:///*", "is no pattern of SPIFFE IDs"),
            ("/*", "is no pattern of SPIFFE IDs"),
        ] {
            let text = authorize(&format!("allow from identity \"{pattern}\""));
            says(&text, &[&format!("4 MESH1012 `{pattern}` {message}")]);
        }
    }

    #[test]
    fn an_exception_inside_another_trust_domain_takes_somebody_away() {
        says(
            &authorize("allow from a, trust-domain b.example except identity \"spiffe://b.example/x\""),
            &[],
        );
        says(
            &authorize(
                "allow from a, trust-domain b.example except identity \"spiffe://b.example/ns/ops/sa/*\"",
            ),
            &[],
        );
        let below = "allow from a, identity \"spiffe://b.example/ns/ops/sa/*\" except identity \"spiffe://b.example/ns/ops/sa/x\"";
        says(&authorize(below), &[]);
        let deeper = below.replace("sa/x", "sa/x/y");
        says(
            &authorize(&deeper),
            &["4 MESH4004 `except identity \"spiffe://b.example/ns/ops/sa/x/y\"` takes nobody away"],
        );
        let vain = authorize("allow from a, trust-domain b.example except identity \"spiffe://c.example/x\"");
        says(&vain, &["4 MESH4004 `except identity \"spiffe://c.example/x\"` takes nobody away"]);
    }

    #[test]
    fn an_allow_says_which_of_several_ports() {
        let text = authorize("allow from anyone to GET /\ndeny to port y");
        let text = text.replace("port 80 http", "port x 80 http; port y 81 http");
        let text = text.replace("calls web", "calls web port x");
        says(&text, &["4 MESH2004 service `web` has several ports"]);
        says(&text.replace("to GET /", "to port x GET /"), &[]);
    }

    #[test]
    fn an_exception_takes_somebody_away_and_leaves_somebody() {
        says(
            &authorize("allow from authenticated except unauthenticated"),
            &["4 MESH4004 `except unauthenticated` takes nobody away"],
        );
        says(&authorize("allow from a except a"), &["4 MESH4004 `from a except a` is nobody"]);
        says(&authorize("allow from namespace default except a\nallow from a to GET"), &[]);
    }

    #[test]
    fn an_authority_that_is_asked_in_addition_exists_and_fits() {
        let text = |check: &str, port: &str| {
            format!(
                "service a {{ calls web }}\nservice web {{ port {port} }}\nservice opa {{ port 90 grpc }}\nauthorize opa {{ allow from anyone }}\nauthorize web {{\nallow from a\n{check}\n}}\next-authz guard {{ service opa; timeout 100ms; on-failure deny }}\n"
            )
        };
        says(&text("check ext-authz guard to /admin/**", "80 http"), &[]);
        says(&text("check ext-authz guard", "80 tcp"), &[]);
        says(
            &text("check ext-authz gaurd", "80 http"),
            &["7 MESH2001 unknown ext-authz `gaurd`", "9 MESH2021 nobody uses the ext-authz `guard`"],
        );
        says(
            &text("check ext-authz guard to port x", "80 http"),
            &["7 MESH2004 service `web` has no port `x`"],
        );
        says(
            &text("check ext-authz guard to GET", "80 tcp"),
            &["7 MESH5006 methods and paths are HTTP, and port 80 of `web` speaks tcp"],
        );
    }

    #[test]
    fn names_are_looked_up() {
        says(&authorize("allow from b"), &["4 MESH2001 unknown service `b`"]);
        says(&authorize("allow from namespace shop"), &["4 MESH2001 unknown namespace `shop`"]);
        says(&authorize("allow from identity \"web\""), &["4 MESH1012 `web` is not a SPIFFE ID"]);
    }
}
