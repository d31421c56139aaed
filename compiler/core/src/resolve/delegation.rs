//! `allow-routes`: which modules may write routes of a gateway that is not theirs, and how far (`spec/semantics.md` 10.11).

use super::scope::{Place, Scope, Target};
use crate::model::{GatewayId, Model};
use crate::partition::covers;
use mesh_lang::ast::{self, AllowRoutes, HostPattern, Path, PathPattern, Segment};
use mesh_lang::diagnostic::suggest::meant;
use mesh_lang::{Code, Diagnostic, Diagnostics};

/// Everything that is delegated.
pub(super) struct Delegations<'a> {
    grants: Vec<Grant<'a>>,
}

/// One `allow-routes`.
struct Grant<'a> {
    gateway: GatewayId,
    listener: &'a str,
    /// The directory of the module that may.
    to: &'a str,
    written: &'a AllowRoutes,
}

impl<'a> Delegations<'a> {
    /// What the listeners delegate, each to a module that there is, inside their hosts and without overlap.
    pub(super) fn new(
        gateways: &[(Place<'a>, &'a ast::Gateway)],
        scope: &'a Scope,
        model: &Model,
        diagnostics: &mut Diagnostics,
    ) -> Delegations<'a> {
        let mut grants: Vec<Grant<'a>> = Vec::new();
        for &(place, gateway) in gateways {
            let Some(Target::Gateway(id)) = scope.own(&gateway.name, place, model) else { continue };
            for listener in &gateway.listeners {
                for written in &listener.allow_routes {
                    fits_listener(written, listener, diagnostics);
                    let Some(to) = module(written, place, scope, diagnostics) else { continue };
                    let grant = Grant { gateway: id, listener: &listener.name.value, to, written };
                    if let Some(first) = grants.iter().find(|first| first.overlaps(&grant)) {
                        diagnostics.push(
                            Diagnostic::new(
                                Code::ForeignStatement,
                                format!(
                                    "modules `{}` and `{}` may both answer the same requests",
                                    first.written.module.value, written.module.value
                                ),
                            )
                            .at(written.span, "overlaps")
                            .at(first.written.span, "with this one")
                            .help("Give each of them hosts or paths of its own: one request has one owner."),
                        );
                    }
                    grants.push(grant);
                }
            }
        }
        Delegations { grants }
    }

    /// The gateway that a module's route may be about although it belongs to another.
    pub(super) fn target(
        &self,
        route: &ast::Route,
        place: Place<'_>,
        scope: &Scope,
        model: &Model,
    ) -> Result<Target, Vec<Diagnostic>> {
        let foreign = match scope.own_target(&route.target, place, "route", model) {
            Ok(target) => return Ok(target),
            Err(problem) => problem,
        };
        let Some(Target::Gateway(id)) = scope.known(&route.target, place) else { return Err(vec![foreign]) };
        let listener = super::route::listener_of(model, id, route.listener.as_ref(), route.target.span)
            .map_err(|problem| vec![problem])?;
        let listener = &model[id].listeners[listener];
        let own = |grant: &&Grant<'_>| {
            grant.gateway == id && grant.listener == listener.name && grant.to == place.directory
        };
        let grants: Vec<&AllowRoutes> = self.grants.iter().filter(own).map(|grant| grant.written).collect();
        if grants.is_empty() {
            let help = format!(
                "Ask its owner for `allow-routes {}` in listener `{}`, or move the route there.",
                scope
                    .shared
                    .modules()
                    .find(|name| scope.shared.module(name) == Some(place.directory))
                    .unwrap_or("MODULE"),
                listener.name
            );
            return Err(vec![foreign.help(help)]);
        }
        let hosts: Vec<HostPattern> = match route.hosts.as_slice() {
            [] => listener.hosts.iter().map(|(host, _)| host.clone()).collect(),
            written => written.iter().map(|host| host.value.clone()).collect(),
        };
        let problems: Vec<Diagnostic> =
            hosts.iter().filter_map(|host| outside(route, host, &grants)).take(1).collect();
        if problems.is_empty() { Ok(Target::Gateway(id)) } else { Err(problems) }
    }
}

impl Grant<'_> {
    fn overlaps(&self, other: &Grant<'_>) -> bool {
        if self.gateway != other.gateway || self.listener != other.listener || self.to == other.to {
            return false;
        }
        let (mine, theirs) = (self.written, other.written);
        let hosts = meet(&mine.hosts, &theirs.hosts, |a, b| covers(a, b) || covers(b, a));
        hosts && meet(&mine.paths, &theirs.paths, |a, b| paths_meet(&a.pattern(), &b.pattern()))
    }
}

/// Whether two lists have something in common; an empty one is everything.
fn meet<T>(a: &[mesh_lang::Spanned<T>], b: &[mesh_lang::Spanned<T>], both: impl Fn(&T, &T) -> bool) -> bool {
    a.is_empty() || b.is_empty() || a.iter().any(|a| b.iter().any(|b| both(&a.value, &b.value)))
}

/// The directory of the module that is named.
fn module<'a>(
    written: &AllowRoutes,
    place: Place<'_>,
    scope: &'a Scope,
    diagnostics: &mut Diagnostics,
) -> Option<&'a str> {
    let name = &written.module;
    let Some(directory) = scope.shared.module(&name.value) else {
        let unknown = Diagnostic::new(Code::UnknownName, format!("unknown module `{}`", name.value))
            .at(name.span, "no directory declares it");
        diagnostics.push(match meant(&name.value, scope.shared.modules()) {
            Some(near) => unknown.did_you_mean(&name.value, near),
            None => unknown.help(format!("Declare it in its directory: `module {} {{ … }}`.", name.value)),
        });
        return None;
    };
    if directory == place.directory {
        diagnostics.push(
            Diagnostic::new(Code::VainStatement, "the gateway belongs to this module anyway")
                .at(written.span, "gives nothing away")
                .help("Delete it: a module may write all routes of its own gateways."),
        );
        return None;
    }
    Some(directory)
}

/// Hosts are the listener's, and connections have no paths.
fn fits_listener(written: &AllowRoutes, listener: &ast::Listener, diagnostics: &mut Diagnostics) {
    let protocol = listener.protocol.value;
    let (host, path) = (written.hosts.first(), written.paths.first());
    let tcp_host = host.map(|host| host.span).filter(|_| protocol == ast::Protocol::Tcp);
    let unseen = tcp_host.or(path.map(|path| path.span).filter(|_| !protocol.is_http()));
    if let Some(span) = unseen {
        diagnostics.push(
            Diagnostic::new(
                Code::ProtocolMismatch,
                format!("listener `{}` speaks {}", listener.name.value, protocol.as_str()),
            )
            .at(span, "cannot be seen of its connections")
            .help("Delete it: the whole listener is given, or, of `tls`, hosts."),
        );
        return;
    }
    for host in &written.hosts {
        if !listener.hosts.iter().any(|own| covers(&own.value, &host.value)) {
            diagnostics.push(
                Diagnostic::new(
                    Code::HostOutsideListener,
                    format!("listener `{}` does not accept host `{}`", listener.name.value, host.value),
                )
                .at(host.span, "no request for it gets here")
                .at(listener.span, "its hosts are others")
                .help("Add the host to the listener, or take it out of `allow-routes`."),
            );
        }
    }
}

/// What a route says of a host that the grants to its module do not cover: each line must be inside one of them.
fn outside(route: &ast::Route, host: &HostPattern, grants: &[&AllowRoutes]) -> Option<Diagnostic> {
    let covering: Vec<&&AllowRoutes> = grants
        .iter()
        .filter(|grant| grant.hosts.is_empty() || grant.hosts.iter().any(|own| covers(&own.value, host)))
        .collect();
    let given = grants.iter().map(|grant| grant.to_string()).collect::<Vec<_>>().join("`, `");
    let say = |span, label: &str, help: String| {
        let name = route.target.name();
        let mut problem = Diagnostic::new(
            Code::ForeignStatement,
            format!("this route of `{name}` reaches beyond what its module was given"),
        )
        .at(span, label);
        for grant in grants {
            problem = problem.at(grant.span, "given here");
        }
        Some(problem.help(help))
    };
    if covering.is_empty() {
        let written = route.hosts.iter().find(|own| own.value == *host);
        let span = written.map_or(route.span, |host| host.span);
        let help =
            format!("Stay inside: `{given}`; a route without `host` is about every host of the listener.");
        return say(span, &format!("about host `{host}`"), help);
    }
    if covering.iter().any(|grant| grant.paths.is_empty()) {
        return None;
    }
    let paths = || covering.iter().flat_map(|grant| &grant.paths).map(|path| &path.value);
    let wide: Vec<PathPattern> = paths().map(Path::pattern).collect();
    let listed = paths().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
    for rule in &route.rules {
        let help = format!("Write `match` lines with paths inside {listed}.");
        if rule.matches.is_empty() {
            return say(rule.span, "about every path", help);
        }
        for line in &rule.matches {
            if line.ops.is_empty() {
                return say(line.span, "about every path", help);
            }
            let inside = |op: &ast::Op| {
                op.path
                    .as_ref()
                    .is_some_and(|path| wide.iter().any(|wide| path_inside(&path.value.pattern(), wide)))
            };
            if let Some(op) = line.ops.iter().find(|op| !inside(op)) {
                return say(op.span, "not inside the paths", help);
            }
        }
    }
    let otherwise = route.otherwise?;
    say(
        otherwise.span,
        "about every path",
        "Write a rule with a `match` of your paths and `respond`; what is left is the gateway's.".to_owned(),
    )
}

/// Whether every path of the first pattern is one of the second.
fn path_inside(narrow: &PathPattern, wide: &PathPattern) -> bool {
    let (a, b) = (&narrow.segments, &wide.segments);
    let long_enough = if wide.subtree { a.len() >= b.len() } else { a.len() == b.len() && !narrow.subtree };
    long_enough && a.iter().zip(b).all(|(a, b)| segment_inside(a, b))
}

fn segment_inside(narrow: &Segment, wide: &Segment) -> bool {
    use Segment::{Any, AnyWithSuffix, Literal};
    match (narrow, wide) {
        (Literal(a), Literal(b)) => a == b,
        (Literal(a), Any(_)) => !a.is_empty(),
        (Literal(a), AnyWithSuffix { suffix, .. }) => a.len() > suffix.len() && a.ends_with(suffix.as_str()),
        (Any(_) | AnyWithSuffix { .. }, Any(_)) => true,
        (AnyWithSuffix { suffix: a, .. }, AnyWithSuffix { suffix: b, .. }) => a.ends_with(b.as_str()),
        (Any(_) | AnyWithSuffix { .. }, Literal(_)) | (Any(_), AnyWithSuffix { .. }) => false,
    }
}

/// Whether some path fits both.
fn paths_meet(a: &PathPattern, b: &PathPattern) -> bool {
    let reaches =
        |one: &PathPattern, other: &PathPattern| one.subtree && one.segments.len() <= other.segments.len();
    let lengths = a.segments.len() == b.segments.len() || reaches(a, b) || reaches(b, a);
    lengths && a.segments.iter().zip(&b.segments).all(|(a, b)| segments_meet(a, b))
}

fn segments_meet(a: &Segment, b: &Segment) -> bool {
    use Segment::{Any, AnyWithSuffix};
    let suffixes = match (a, b) {
        (AnyWithSuffix { suffix: a, .. }, AnyWithSuffix { suffix: b, .. }) => b.ends_with(a.as_str()),
        (Any(_), AnyWithSuffix { .. }) => true,
        _ => false,
    };
    suffixes || segment_inside(a, b) || segment_inside(b, a)
}

#[cfg(test)]
mod tests {
    use super::{path_inside, paths_meet};
    use crate::testing::says_of;
    use crate::{StandIns, compile};
    use mesh_lang::ast::{Item, PathPattern};
    use mesh_lang::{FileId, Source, SourceSet};

    fn path(text: &str) -> PathPattern {
        let parsed =
            mesh_lang::parse(FileId(0), &format!("route a {{ rule r {{ match {text}; respond 200 }} }}\n"));
        match &parsed.file().items[0] {
            Item::Route(route) => {
                route.rules[0].matches[0].ops[0].path.as_ref().expect("a path").value.pattern()
            }
            _ => unreachable!("a route"),
        }
    }

    const PATHS: [&str; 12] = [
        "/",
        "/**",
        "/a",
        "/a/",
        "/a/**",
        "/a/{x}",
        "/a/{x}/**",
        "/a/b.json",
        "/a/{x}.json",
        "/a/{x}.min.json",
        "/{x}/b.json",
        "/a/b/c",
    ];
    /// Paths that tell the patterns apart.
    const SAMPLES: [&str; 12] = [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b.json",
        "/a/.json",
        "/a/b.min.json",
        "/a/.min.json",
        "/c/b.json",
        "/a/b/c",
        "/a/b/",
        "/c",
    ];

    /// By the definition of a pattern.
    fn fits(pattern: &PathPattern, sample: &str) -> bool {
        let parts: Vec<&str> = sample[1..].split('/').collect();
        let fits_one = |(segment, part): (&mesh_lang::ast::Segment, &&str)| match segment {
            mesh_lang::ast::Segment::Literal(text) => text == part,
            mesh_lang::ast::Segment::Any(_) => !part.is_empty(),
            mesh_lang::ast::Segment::AnyWithSuffix { suffix, .. } => {
                part.len() > suffix.len() && part.ends_with(suffix.as_str())
            }
        };
        let enough = parts.len() == pattern.segments.len()
            || (pattern.subtree && parts.len() > pattern.segments.len());
        enough && pattern.segments.iter().zip(&parts).all(fits_one)
    }

    #[test]
    fn inclusion_and_overlap_of_paths_are_those_of_their_sets() {
        for narrow in PATHS {
            for wide in PATHS {
                let (a, b) = (path(narrow), path(wide));
                let inside = SAMPLES.iter().all(|sample| !fits(&a, sample) || fits(&b, sample));
                assert_eq!(path_inside(&a, &b), inside, "{narrow} inside {wide}");
                let both = SAMPLES.iter().any(|sample| fits(&a, sample) && fits(&b, sample));
                assert_eq!(paths_meet(&a, &b), both, "{narrow} and {wide}");
            }
        }
    }

    const STORE: &str = "module shop/store { namespace shop }\nservice store { port 80 http }\nauthorize store { allow from anyone }\n";

    fn edge(allow_routes: &str) -> String {
        format!(
            "module edge {{ }}\ngateway edge {{ listener web port 80 http {{\nhost \"a.example\", \"*.b.example\"\n{allow_routes}\n}} }}\nroute edge {{ otherwise 404 }}\nauthorize edge {{ allow from anyone }}\n"
        )
    }

    fn project(allow_routes: &str, route: &str) -> Vec<(&'static str, String)> {
        vec![("edge", edge(allow_routes)), ("store", format!("{STORE}{route}\n"))]
    }

    #[test]
    fn a_route_stays_inside_what_its_module_was_given() {
        let given = "allow-routes shop/store host \"a.example\" to /store/**";
        let route = |rules: &str| format!("route edge.default host \"a.example\" {{ {rules} }}");
        says_of(&project(given, &route("rule all { match /store/**; to store }")), &[]);
        says_of(
            &project(
                given,
                &route("rule one { match GET /store/a, /store when header \"x\" present; to store }"),
            ),
            &[],
        );
        let said = "MESH2010 this route of `edge` reaches beyond what its module was given";
        says_of(&project(given, &route("rule all { match /**; to store }")), &[&format!("4 {said}")]);
        says_of(&project(given, &route("rule all { match GET; to store }")), &[&format!("4 {said}")]);
        says_of(&project(given, &route("to store")), &[&format!("4 {said}")]);
        says_of(
            &project(given, &route("rule all { match /store/**; to store }; otherwise 503")),
            &[&format!("4 {said}")],
        );
        says_of(
            &project(given, "route edge.default { rule all { match /store/**; to store } }"),
            &[&format!("4 {said}")],
        );
        says_of(
            &project(
                given,
                "route edge.default host \"x.b.example\" { rule all { match /store/**; to store } }",
            ),
            &[&format!("4 {said}")],
        );
        says_of(
            &project("", &route("rule all { match /store/**; to store }")),
            &["4 MESH2010 `route edge.default` stands outside the module of `edge.default`"],
        );
    }

    #[test]
    fn what_is_given_is_given_once_and_inside_the_listener() {
        says_of(
            &project(
                "allow-routes shop/store host \"c.example\"\nallow-routes shop/stores\nallow-routes edge",
                "",
            ),
            &[
                "4 MESH3006 listener `web` does not accept host `c.example`",
                "5 MESH2001 unknown module `shop/stores`",
                "6 MESH5040 the gateway belongs to this module anyway",
            ],
        );
        let mut two =
            project("allow-routes shop/store to /a/**\nallow-routes other host \"a.example\" to /{x}", "");
        two.push(("other", "module other { }\n".to_owned()));
        says_of(&two, &["5 MESH2010 modules `shop/store` and `other` may both answer the same requests"]);
        let mut two = project("allow-routes shop/store to /a/**\nallow-routes other to /b", "");
        two.push(("other", "module other { }\n".to_owned()));
        says_of(&two, &[]);
    }

    #[test]
    fn who_writes_a_route_changes_nothing() {
        let plan = |files: &[(&str, String)]| {
            let files = files.iter().map(|(module, text)| Source {
                path: format!("{module}/x.mesh"),
                module: (*module).into(),
                text: text.clone(),
            });
            let compiled = compile(&SourceSet::new(files.collect()), &StandIns::new());
            compiled.plan.map(|plan| mesh_plan::encode(&plan)).expect("no error")
        };
        let rule =
            |store: &str| format!("host \"a.example\" {{ rule all {{ match /store/**; to {store} }} }}\n");
        let delegated = project(
            "allow-routes shop/store host \"a.example\" to /store/**",
            &format!("route edge.default {}", rule("store")),
        );
        let owner = vec![
            ("edge", format!("{}route edge {}", edge(""), rule("store.shop"))),
            ("store", STORE.to_owned()),
        ];
        assert_eq!(plan(&delegated), plan(&owner));
    }
}
