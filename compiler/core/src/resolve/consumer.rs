//! `route … from`: what a caller's own proxy does with what it sends to a service (`spec/semantics.md` 3.12).

use super::route::{add, misplaced, rules};
use super::scope::{self, Place, Scope, Target, home};
use super::shared::Named;
use crate::model::{Caller, ConsumerRoute, Model, PortId, Table};
use mesh_lang::ast::{self, Principal, PrincipalKind};
use mesh_lang::{Code, Diagnostic, Diagnostics};

/// Adds a consumer route to the tables of its callers.
pub(super) fn resolve(
    route: &ast::Route,
    place: Place<'_>,
    scope: &Scope,
    model: &mut Model,
    diagnostics: &mut Diagnostics,
) {
    let service = match scope.service(&route.target, place) {
        Ok(service) => service,
        Err(problem) => {
            let problem = match scope.target(&route.target, place) {
                Ok(Target::Gateway(_)) => no_caller(route),
                _ => problem,
            };
            return diagnostics.push(problem);
        }
    };
    let to = match scope::port(model, service, route.port.as_ref(), route.target.span) {
        Ok(to) => to,
        Err(problem) => return diagnostics.push(problem),
    };
    let target = Target::Service(service);
    misplaced(route, target, model, diagnostics);
    let rules = rules(route, target, Some(to), place, scope, model, diagnostics);
    let mut seen: Vec<Caller> = Vec::new();
    for written in &route.from {
        match callers(written, place, scope) {
            Ok(found) => {
                for caller in found {
                    if seen.contains(&caller) {
                        diagnostics.push(twice(written));
                        continue;
                    }
                    seen.push(caller);
                    add(table(model, caller, to), route, rules.clone(), diagnostics);
                }
            }
            Err(problem) => diagnostics.push(problem),
        }
    }
}

/// The table of a caller and port; it is sorted into its place when all are known.
fn table(model: &mut Model, caller: Caller, to: PortId) -> &mut Table {
    let known = model.consumer_routes.iter().position(|route| (route.caller, route.to) == (caller, to));
    let index = known.unwrap_or_else(|| {
        model.consumer_routes.push(ConsumerRoute { caller, to, table: Table::default() });
        model.consumer_routes.len() - 1
    });
    &mut model.consumer_routes[index].table
}

/// Whom a name behind `from` means; a group is its members, each of them a caller of the module.
pub(super) fn callers(
    written: &Principal,
    place: Place<'_>,
    scope: &Scope,
) -> Result<Vec<Caller>, Diagnostic> {
    let bare = match &written.kind {
        PrincipalKind::Service(name) if name.namespace().is_none() => Some(name.name()),
        _ => None,
    };
    match bare.and_then(|name| scope.shared.get(name, place)) {
        Some((Named::Group(group), of)) => {
            group.principals.iter().map(|member| caller(member, of, written, place, scope)).collect()
        }
        _ => Ok(vec![caller(written, place, written, place, scope)?]),
    }
}

/// A service or gateway of the route's own module. `of` is where its name is looked up, `at` what the route says.
fn caller(
    principal: &Principal,
    of: Place<'_>,
    at: &Principal,
    place: Place<'_>,
    scope: &Scope,
) -> Result<Caller, Diagnostic> {
    let (caller, name) = match &principal.kind {
        PrincipalKind::Service(name) => (Caller::Service(scope.service(name, of)?), name),
        PrincipalKind::Gateway(name) => (Caller::Gateway(scope.gateway(name, of)?), name),
        _ => {
            return Err(Diagnostic::new(
                Code::UnexpectedToken,
                format!("`{principal}` has no proxy of its own"),
            )
            .at(at.span, "not a service or a gateway")
            .help("Name the services and gateways whose proxies are to use this route."));
        }
    };
    let owner = scope.home_of(name, of).unwrap_or(place.directory);
    if owner != place.directory {
        return Err(Diagnostic::new(
            Code::ForeignStatement,
            format!("`route … from {principal}` stands outside the module of `{name}`"),
        )
        .at(at.span, "declared in another module")
        .help(format!(
            "Move the statement to {}: the owner of the caller alone says where its requests go.",
            home(owner)
        )));
    }
    Ok(caller)
}

/// A gateway is called by nobody's proxy.
fn no_caller(route: &ast::Route) -> Diagnostic {
    let name = route.target.name();
    let span = route.from.first().map_or(route.span, |from| from.span);
    Diagnostic::new(Code::UnexpectedToken, format!("the route of gateway `{name}` has a `from`"))
        .at(span, "has no meaning here")
        .help("A gateway's route holds for whoever asks it: leave `from` out.")
}

fn twice(written: &Principal) -> Diagnostic {
    Diagnostic::new(Code::DuplicateName, format!("`{written}` stands twice behind `from`"))
        .at(written.span, "named before")
        .help("Delete it.")
}

#[cfg(test)]
mod tests {
    use crate::testing::{says, says_of, shows};
    use crate::{StandIns, compile};
    use mesh_lang::{Source, SourceSet};

    const MESH: &str = "gateway edge { listener web port 80 http { host \"*\" } }\nroute edge { to ratings }\nauthorize edge { allow from anyone }\nservice web { calls ratings }\nservice job { calls ratings }\nservice ratings { port 80 http; subset a label v = \"1\"; subset b label v = \"2\" }\nroute ratings { to ratings:a }\nauthorize ratings { allow from web, job, gateway edge }\n";

    fn with(route: &str) -> String {
        format!("{MESH}{route}\n")
    }

    #[test]
    fn callers_have_tables_of_their_own() {
        says(&with("route ratings from web { to ratings:b }"), &[]);
        says(&with("route ratings from web, gateway edge { to ratings:b }"), &[]);
        says(&with("group all = web, gateway edge\nroute ratings from all, job { to ratings:b }"), &[]);
        says(
            &with(
                "route ratings from web { rule a { to ratings:b } }\nroute ratings from job { rule a { to ratings } }",
            ),
            &[],
        );
        says(
            &with(
                "route ratings from web { rule a { to ratings:b } }\nroute ratings from web { rule a { to ratings } }",
            ),
            &["10 MESH2002 rule `a` is declared twice"],
        );
    }

    #[test]
    fn only_workloads_have_proxies() {
        says(
            &with("route ratings from namespace default { to ratings:b }"),
            &["9 MESH1006 `namespace default` has no proxy of its own"],
        );
        says(
            &with("route ratings from web, web { to ratings:b }"),
            &["9 MESH2002 `web` stands twice behind `from`"],
        );
        says(&with("route ratings from wbe { to ratings:b }"), &["9 MESH2001 unknown service `wbe`"]);
        says(
            &with("route edge from web { to ratings:b }"),
            &["9 MESH1006 the route of gateway `edge` has a `from`"],
        );
        says(
            &with("route ratings host \"a\" from web { to ratings:b }"),
            &["9 MESH1006 the route of service `ratings` has a `host`"],
        );
    }

    #[test]
    fn the_caller_sends_there() {
        says(
            &with(
                "service other { port 80 http }\nauthorize other { allow from idle }\nservice idle { calls other }\nroute ratings from idle { to ratings:b }",
            ),
            &["12 MESH5040 `idle` does not call `ratings`"],
        );
        says(
            &with("service idle { }\nroute ratings from idle { to ratings:b }"),
            &["10 MESH5040 `idle` does not call `ratings`"],
        );
        let text = with("route ratings from gateway edge { to ratings:b }");
        says(
            &text.replace("route edge { to ratings }", "route edge { to ratings:b }"),
            &["9 MESH5040 no rule of gateway `edge` sends to `ratings`"],
        );
    }

    #[test]
    fn the_owner_of_the_caller_writes_it_and_nobody_else() {
        let files = |shop: &str, ratings: &str| {
            [
                (
                    "ratings",
                    format!(
                        "service ratings {{ port 80 http }}\nauthorize ratings {{ allow from web }}\n{ratings}\n"
                    ),
                ),
                ("shop", format!("service web {{ calls ratings }}\n{shop}\n")),
            ]
        };
        let route = "route ratings from web { to ratings }";
        says_of(&files(route, ""), &[]);
        says_of(&files("", route), &["3 MESH2010 `route … from web` stands outside the module of `web`"]);
    }

    #[test]
    fn it_is_total_and_exact_like_any_route() {
        let text = with("route ratings from web {\nrule a { match /x/**; to ratings:b }\n}");
        says(&text, &["9 MESH3007 this route does not say what becomes of every request"]);
        shows(
            &text,
            &[
                "request without an answer:",
                "  curl http://ratings.default:80/ # from web",
                "  request from web to ratings GET / expect 404",
            ],
        );
        says(
            &with(
                "route ratings from web {\nrule a { match GET; to ratings:a }\nrule b { match when header \"h\" present; to ratings:b }\notherwise 404 }",
            ),
            &["11 MESH3001 rules `b` and `a` overlap and neither is more specific"],
        );
        says(
            &with("route ratings from web {\nrule a overrides z { to ratings }\n}"),
            &["10 MESH2001 unknown rule `z`"],
        );
    }

    #[test]
    fn every_and_calls_follow_the_own_route() {
        let route = "service next { port 80 http }\nauthorize next { allow from web }\nroute ratings from web { rule n { match /n/**; to next }; to ratings:b }";
        let test = |lines: &str| with(&format!("{route}\ntest \"t\" {{\n{lines}\n}}"));
        let proved = |lines: &str| {
            let found = compile(&SourceSet::single("x.mesh", &test(lines)), &StandIns::new());
            assert_eq!(found.diagnostics, []);
            let failed = found.tests.iter().flat_map(|test| &test.proofs).filter(|one| one.failure.is_some());
            failed.count()
        };
        let holds = "every from web to ratings /n/** expect next\nevery from web to ratings /x expect ratings:b\nevery from job to ratings expect ratings:a\nevery from gateway edge to ratings expect ratings:a\nsome from web to ratings expect next";
        assert_eq!(proved(holds), 0);
        assert_eq!(
            proved("every from web to ratings expect ratings:a\nevery from job to ratings expect ratings:b"),
            2
        );
        // All that `web` sends goes to `next`, which lets nobody in.
        let closed = with(
            &route
                .replace("rule n { match /n/**; to next }; to ratings:b", "to next")
                .replace("allow from web", "allow from job"),
        );
        says(
            &closed,
            &[
                "4 MESH4010 `ratings` refuses every request of this call",
                "6 MESH2021 nothing is sent to subset `b` of `ratings`",
                "8 MESH4011 `web` is allowed and does not call `ratings`",
                "10 MESH4011 `job` is allowed and does not call `next`",
            ],
        );
    }

    #[test]
    fn a_gateways_rules_send_to_its_own_route() {
        let text = with(
            "route ratings from gateway edge { to ratings:b }\ntest \"t\" { every to edge \"a\" expect ratings:b; every from job to ratings expect ratings:a }",
        );
        let found = compile(&SourceSet::single("x.mesh", &text), &StandIns::new());
        assert_eq!(found.diagnostics, []);
        assert!(found.tests.iter().flat_map(|test| &test.proofs).all(|proof| proof.failure.is_none()));
    }

    #[test]
    fn who_is_named_together_may_be_named_apart() {
        let plan = |text: &str| {
            let source = Source { path: "x.mesh".into(), module: "".into(), text: with(text) };
            let compiled = compile(&SourceSet::new(vec![source]), &StandIns::new());
            compiled.plan.map(|plan| mesh_plan::encode(&plan)).expect("no error")
        };
        assert_eq!(
            plan("route ratings from web, gateway edge, job { to ratings:b }"),
            plan(
                "route ratings from job { to ratings:b }\nroute ratings from web { to ratings:b }\nroute ratings from gateway edge { to ratings:b }"
            ),
        );
        assert_eq!(
            plan("route ratings from web, gateway edge, job { to ratings:b }"),
            plan("group all = web, gateway edge\nroute ratings from all, job { to ratings:b }"),
        );
    }

    #[test]
    fn chains_of_routes_end_in_time() {
        let mut text = with("route ratings from gateway edge { to s0 }\n");
        for n in 0..9 {
            let to = if n == 8 { "s8".to_owned() } else { format!("s{}", n + 1) };
            text += &format!(
                "service s{n} {{ port 80 http }}\nauthorize s{n} {{ allow from gateway edge }}\nroute s{n} {{ to {to} }}\n"
            );
        }
        says(
            &text,
            &[
                "6 MESH2021 nothing is sent to subset `b` of `ratings`",
                "9 MESH3009 a request from `edge` to `ratings.default` enters 10 routes, more than 8",
            ],
        );
    }
}
