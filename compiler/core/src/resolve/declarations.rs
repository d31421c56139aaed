//! Issuers of tokens, authorities that are asked, and what the `mesh` says of clusters and environments: what they need, and
//! the names in them (`spec/semantics.md` 10).

use super::scope::{Place, Scope, Target, listed};
use super::shared::Named;
use super::verifiers::media_type;
use super::{Module, asked, declared, key_places, settings};
use crate::model::{Model, ServiceId, Workload};
use mesh_lang::ast::{self, AccessLog, Condition, Field, Item, Shared, TokenSource, Tracing};
use mesh_lang::diagnostic::suggest::meant;
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span, Text};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Everything the files declare besides services, gateways, routes and authorizations.
pub(super) fn check(modules: &[Module<'_>], scope: &Scope, model: &Model, diagnostics: &mut Diagnostics) {
    for (place, item) in declared(modules, Some) {
        match item {
            Item::Mesh(declared) => mesh(declared, place, scope, diagnostics),
            Item::Jwt(issuer) => jwt(issuer, diagnostics),
            Item::Profile(profile) if settings::says_nothing(profile) => diagnostics.push(
                Diagnostic::new(
                    Code::MissingStatement,
                    format!("the profile `{}` sets nothing", profile.name.value),
                )
                .at(profile.name.span, "whoever uses it is as without it")
                .help("Write in it what those who use it are to have, or delete it."),
            ),
            Item::ExtAuthz(asked) => {
                authority(asked, "ext-authz", place, scope, diagnostics);
                asked::place_of(asked, place, scope, model, diagnostics);
            }
            Item::RateLimiter(asked) => {
                authority(asked, "rate-limiter", place, scope, diagnostics);
                asked::counts_nowhere(asked, place, scope, model, diagnostics);
            }
            _ => {}
        }
    }
}

/// The services that proxies themselves ask or tell: authorities, and collectors of spans.
pub(super) fn asked(modules: &[Module<'_>], scope: &Scope) -> BTreeSet<ServiceId> {
    let collector = |telemetry: &'_ ast::Telemetry| match telemetry.tracing.as_ref().map(|one| &one.value) {
        Some(Tracing::Otlp { collector, .. }) => collector.clone(),
        _ => None,
    };
    let named = declared(modules, Some).filter_map(|(place, item)| {
        let name = match item {
            Item::ExtAuthz(authority) | Item::RateLimiter(authority) => authority.service.clone(),
            Item::Mesh(mesh) => collector(&mesh.telemetry),
            Item::Service(service) => collector(&service.telemetry),
            Item::Gateway(gateway) => collector(&gateway.telemetry),
            _ => None,
        };
        scope.known(&name?, place)
    });
    let services = named.filter_map(|target| match target {
        Target::Service(service) => Some(service),
        Target::Gateway(_) => None,
    });
    services.collect()
}

/// A statement that a block cannot do without.
pub(super) fn missing(what: &str, part: &str, span: Span, write: &str) -> Diagnostic {
    Diagnostic::new(Code::MissingStatement, format!("{what} has no `{part}`"))
        .at(span, "")
        .help(format!("Add it: `{write}`."))
}

/// What is no subtype of `application` (RFC 6838 4.2) is the type of no token.
fn no_media_type(typ: &Name) -> Option<Diagnostic> {
    let own = media_type(&typ.value);
    let is_restricted = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    if own.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) && own.bytes().all(is_restricted)
    {
        return None;
    }
    Some(
        Diagnostic::new(Code::InvalidValue, format!("`{}` is no type of tokens", typ.value))
            .at(typ.span, "")
            .help(
                "Write the subtype of `application/…` that the issuer writes into `typ`, such as \"at+jwt\".",
            ),
    )
}

fn jwt(jwt: &ast::Jwt, diagnostics: &mut Diagnostics) {
    let what = format!("jwt `{}`", jwt.name.value);
    let mut need = |there: bool, part: &str, write: &str| {
        if !there {
            diagnostics.push(missing(&what, part, jwt.span, write));
        }
    };
    need(jwt.issuer.is_some(), "issuer", "issuer \"https://sso.shop.example\"");
    need(!jwt.audiences.is_empty(), "audience", "audience \"shop\"");
    need(jwt.jwks.is_some(), "jwks", "jwks \"https://sso.shop.example/.well-known/jwks.json\"");
    jwt.jwks.as_ref().and_then(key_places::wrong).into_iter().for_each(|wrong| diagnostics.push(wrong));
    jwt.typ.as_ref().and_then(no_media_type).into_iter().for_each(|wrong| diagnostics.push(wrong));
    let mut seen: Vec<&TokenSource> = Vec::new();
    for source in &jwt.from {
        if seen.contains(&source) {
            let name = match source {
                TokenSource::Header(name) | TokenSource::Cookie(name) | TokenSource::Query(name) => name,
            };
            diagnostics.push(
                Diagnostic::new(Code::DuplicateStatement, "the token is looked for in one place twice")
                    .at(name.span, "again here")
                    .help("Delete one of the two."),
            );
        }
        seen.push(source);
    }
}

fn authority(
    asked: &ast::Authority,
    kind: &str,
    place: Place<'_>,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) {
    let what = format!("{kind} `{}`", asked.name.value);
    match &asked.service {
        None => diagnostics.push(missing(&what, "service", asked.span, "service NAME")),
        Some(name) => {
            if let Err(problem) = scope.service(name, place) {
                diagnostics.push(problem);
            }
        }
    }
    if asked.timeout.is_none() {
        diagnostics.push(missing(&what, "timeout", asked.span, "timeout 200ms"));
    }
    if asked.on_failure.is_none() {
        diagnostics.push(missing(&what, "on-failure", asked.span, "on-failure deny"));
    }
}

fn mesh(mesh: &ast::Mesh, place: Place<'_>, scope: &Scope, diagnostics: &mut Diagnostics) {
    once_each("cluster", &mesh.clusters, diagnostics);
    once_each("environment", &mesh.environments, diagnostics);
    for name in &mesh.production {
        unknown_among("environment", name, &mesh.environments, "environments", diagnostics);
    }
    let mut doors: BTreeMap<&str, Span> = BTreeMap::new();
    for door in &mesh.cluster_gateways {
        unknown_among("cluster", &door.cluster, &mesh.clusters, "clusters", diagnostics);
        if let Some(first) = doors.insert(&door.cluster.value, door.span) {
            diagnostics.push(super::duplicate("cluster", &door.cluster.value, door.cluster.span, first));
        }
        match &door.gateway {
            None => diagnostics.push(missing(
                &format!("cluster `{}`", door.cluster.value),
                "gateway",
                door.span,
                "gateway eastwest \"east.example:15443\"",
            )),
            Some(gateway) => {
                if let Err(problem) = scope.gateway(gateway, place) {
                    diagnostics.push(problem);
                }
            }
        }
        if let Some(address) = door.address.as_ref().filter(|address| !is_address_with_port(&address.value)) {
            diagnostics.push(
                Diagnostic::new(Code::InvalidValue, format!("`{}` is no address with a port", address.value))
                    .at(address.span, "")
                    .help("Write e.g. `\"east.example:15443\"`."),
            );
        }
    }
    telemetry(&mesh.telemetry, place, scope, diagnostics);
    let collector = mesh.telemetry.tracing.as_ref();
    if let Some(tracing) = collector
        && matches!(tracing.value, Tracing::Otlp { collector: None, .. })
    {
        diagnostics.push(
            Diagnostic::new(Code::MissingStatement, "the mesh does not say where spans are sent")
                .at(tracing.span, "no collector")
                .help("Name a service: `tracing otlp otel-collector sample 1%`."),
        );
    }
}

/// The names in telemetry statements.
pub(super) fn telemetry(
    telemetry: &ast::Telemetry,
    place: Place<'_>,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) {
    if let Some(tracing) = &telemetry.tracing
        && let Tracing::Otlp { collector: Some(collector), .. } = &tracing.value
        && let Err(problem) = scope.service(collector, place)
    {
        diagnostics.push(problem);
    }
    // Of the mesh it is where spans are sent, and services say their own shares.
    if let Some(tracing) = &telemetry.tracing
        && tracing.value == (Tracing::Otlp { collector: None, sample: 0 })
    {
        diagnostics.push(of_nothing("no request is traced", tracing.span, "tracing none"));
    }
    if let Some(log) = telemetry.access_log.filter(|log| log.value == (AccessLog::Json { sample: 0 })) {
        diagnostics.push(of_nothing("no request is logged", log.span, "access-log none"));
    }
    let mut labels: BTreeMap<&str, Span> = BTreeMap::new();
    for label in &telemetry.metric_labels {
        if let Some(first) = labels.insert(&label.name.value, label.name.span) {
            diagnostics.push(super::duplicate("label", &label.name.value, label.name.span, first));
        }
    }
}

/// Basis points of the requests that are logged, where that is said.
pub(super) fn logged(telemetry: &ast::Telemetry) -> Option<u32> {
    telemetry.access_log.map(|log| match log.value {
        AccessLog::None => 0,
        AccessLog::Json { sample } => sample,
    })
}

fn of_nothing(message: &str, span: Span, instead: &str) -> Diagnostic {
    Diagnostic::new(Code::VainStatement, message)
        .at(span, "a share of nothing")
        .help(format!("Write `{instead}` if that is meant, or raise the share."))
}

fn is_address_with_port(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
}

/// A list names nothing twice.
pub(super) fn once_each(kind: &str, names: &[Name], diagnostics: &mut Diagnostics) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for name in names {
        if let Some(first) = seen.insert(&name.value, name.span) {
            diagnostics.push(super::duplicate(kind, &name.value, name.span, first));
        }
    }
}

/// A name that is not among those the `mesh` declares.
pub(super) fn unknown_among(
    kind: &str,
    name: &Name,
    known: &[Name],
    statement: &str,
    diagnostics: &mut Diagnostics,
) {
    if known.iter().any(|own| own.value == name.value) {
        return;
    }
    let problem = Diagnostic::new(Code::UnknownName, format!("unknown {kind} `{}`", name.value))
        .at(name.span, format!("not among the `{statement}` of the mesh"));
    let names = || known.iter().map(|own| own.value.as_str());
    diagnostics.push(match meant(&name.value, names()) {
        Some(near) => problem.did_you_mean(&name.value, near),
        None if known.is_empty() => {
            problem.help(format!("Declare it: `mesh … {{ {statement} {} }}`.", name.value))
        }
        None => problem.help(format!("There are {}.", listed(names()))),
    });
}

/// The issuers whose tokens a service or gateway verifies.
pub(super) fn issuers(
    uses: &[ast::JwtUse],
    place: Place<'_>,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> Vec<Text> {
    let mut found: Vec<Text> = Vec::new();
    for one in uses {
        match scope.shared.get(&one.name.value, place) {
            Some((Named::Jwt(_), _)) if found.contains(&one.name.value) => diagnostics.push(
                Diagnostic::new(
                    Code::DuplicateStatement,
                    format!("`jwt {}` is written twice", one.name.value),
                )
                .at(one.span, "written again here")
                .help("Keep one of the two."),
            ),
            Some((Named::Jwt(_), _)) => found.push(one.name.value.clone()),
            _ => diagnostics.push(scope.shared.unknown(Shared::Jwt, &one.name, place)),
        }
    }
    found
}

/// Conditions whose claims say whose they are: of several issuers a claim names one, of one it need not
/// (`spec/semantics.md` 1.7).
pub(super) fn with_issuers<'c>(
    when: &'c [Condition],
    workload: &Workload,
) -> Result<Cow<'c, [Condition]>, Vec<Diagnostic>> {
    let of_token = |one: &Condition| matches!(one.field, Field::Jwt(_) | Field::Claim { .. });
    if !when.iter().any(of_token) {
        return Ok(Cow::Borrowed(when));
    }
    let mut problems = Vec::new();
    let resolved: Vec<Condition> = when
        .iter()
        .map(|condition| {
            let mut condition = condition.clone();
            match &mut condition.field {
                Field::Jwt(name) => problems.extend(not_verified(name, workload)),
                Field::Claim { issuer: Some(name), .. } => problems.extend(not_verified(name, workload)),
                Field::Claim { issuer: issuer @ None, .. } => match workload.issuers.as_slice() {
                    [only] => *issuer = Some(Name { value: only.clone(), span: condition.span }),
                    several => problems.push(whose(several, condition.span, workload)),
                },
                _ => {}
            }
            condition
        })
        .collect();
    if problems.is_empty() { Ok(Cow::Owned(resolved)) } else { Err(problems) }
}

fn not_verified(name: &Name, workload: &Workload) -> Option<Diagnostic> {
    if workload.issuers.contains(&name.value) {
        return None;
    }
    let problem = Diagnostic::new(
        Code::UnknownName,
        format!("`{}` verifies no tokens of `{}`", workload.name, name.value),
    )
    .at(name.span, "not a `jwt` of it")
    .at(workload.span, "declared here");
    Some(match meant(&name.value, workload.issuers.iter().map(Text::as_str)) {
        Some(near) => problem.did_you_mean(&name.value, near),
        None => problem.help(format!("Add it there: `jwt {} required`, or `optional`.", name.value)),
    })
}

fn whose(several: &[Text], span: Span, workload: &Workload) -> Diagnostic {
    let name = &workload.name;
    if several.is_empty() {
        return Diagnostic::new(Code::UnknownName, format!("`{name}` verifies no tokens"))
            .at(span, "a claim of a token nobody looked at")
            .at(workload.span, "declared here")
            .help("Add `jwt NAME required` there, and declare the issuer: `jwt NAME { … }`.");
    }
    Diagnostic::new(Code::MissingStatement, format!("`{name}` verifies tokens of several issuers"))
        .at(span, "whose claim this is, is not said")
        .help(format!("Name one of {}: `claim {} …`.", listed(several.iter().map(Text::as_str)), several[0]))
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn an_issuer_has_all_its_parts() {
        let jwt =
            "jwt sso { issuer \"https://sso.example\"; audience \"a\"; jwks \"https://sso.example/k\" }\n";
        let service = "service a { port 80 http; jwt sso optional }\nauthorize a { allow from anyone }\n";
        says(&format!("{jwt}{service}"), &[]);
        says(
            &format!(
                "{}{service}",
                jwt.replace("audience \"a\"; ", "").replace("https://sso.example/k", "http://x/k")
            ),
            &["1 MESH1011 jwt `sso` has no `audience`", "1 MESH1012 `http://x/k` is no place of keys"],
        );
        says(service, &["1 MESH2001 unknown jwt `sso`"]);
        let typed = |typ: &str| format!("{}{service}", jwt.replace(" }", &format!("; typ \"{typ}\" }}")));
        says(&typed("application/AT+jwt"), &[]);
        for wrong in ["", "a b", "text/plain", "application/"] {
            says(&typed(wrong), &[&format!("1 MESH1012 `{wrong}` is no type of tokens")]);
        }
    }

    #[test]
    fn a_profile_sets_something() {
        let text = "profile calm {\ntimeout 1s\n}\nservice a { port 80 http; use calm }\nauthorize a { allow from anyone }\n";
        says(text, &[]);
        says(&text.replace("timeout 1s", ""), &["1 MESH1011 the profile `calm` sets nothing"]);
        says(&text.replace("timeout 1s", "circuit-breaker { max-requests 9 }"), &[]);
    }

    #[test]
    fn a_range_leaves_something_to_choose() {
        let text = "param share percent = 5% range 0%..5% controlled-by \"canary\"\nservice a { port 80 http; subset v1 label v = \"1\"; subset v2 label v = \"2\" }\nroute a { rule r { to a:v2 $share, a:v1 rest } }\nauthorize a { allow from anyone }\n";
        says(text, &[]);
        says(&text.replace("0%..5%", "5%..5%"), &["1 MESH5040 the range of `share` is one value"]);
    }

    #[test]
    fn an_authority_says_what_holds_when_it_fails() {
        says(
            "ext-authz opa { service o }\nservice o { port 80 grpc }\nauthorize o { allow from anyone }\nservice a { port 80 http; calls o }\nauthorize a { allow from anyone; check ext-authz opa }\n",
            &[
                "1 MESH1011 ext-authz `opa` has no `on-failure`",
                "1 MESH1011 ext-authz `opa` has no `timeout`",
            ],
        );
    }

    #[test]
    fn clusters_and_environments_are_declared() {
        says(
            "mesh m { clusters east; environments test, prod; production live; cluster west { gateway g \"w:1\" } }\ngateway g { listener l port 80 http { host \"*\" } }\nroute g { rule r { respond 200 } }\nauthorize g { allow from anyone }\n",
            &["1 MESH2001 unknown environment `live`", "1 MESH2001 unknown cluster `west`"],
        );
    }
}
