//! `MESH3007`: a request that a route takes and no rule answers.

use super::tables;
use crate::diagram::{NO, TooManyNodes, YES};
use crate::model::{GatewayId, Model, PeerSet, Principal};
use crate::partition::{Owner, Partition, covers};
use crate::quantified::Entry;
use crate::shown::{self, Arrival};
use crate::space::{PATH, Product};
use crate::witness::Witness;
use mesh_lang::ast::HostPattern;
use mesh_lang::{Code, Diagnostic};
use mesh_plan::REFUSED;
use std::collections::BTreeSet;

/// Tables that a request falls through, and listener hosts without any table.
pub(super) fn check(model: &Model, partition: &mut Partition) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let mut found = hosts_without_route(model, partition.owner);
    let mut reported = BTreeSet::new();
    for (index, table) in tables(model, partition.owner).into_iter().enumerate() {
        if falls_through(model, partition.owner, index) {
            continue;
        }
        let root = partition.tables[index].root;
        let unanswered = partition.diagram.map(root, &|leaf| if leaf == REFUSED { YES } else { NO })?;
        let star = star_alone(partition);
        let star = partition.diagram.product(&star)?;
        let unanswered = partition.diagram.minus(unanswered, star)?;
        let Some(span) = table.spans.first().filter(|span| !reported.contains(*span)) else { continue };
        if let Some(arrival) = shown::arrival(model, partition, index, unanswered)? {
            reported.insert(*span);
            found.push(
                Diagnostic::new(
                    Code::IncompleteRoute,
                    "this route does not say what becomes of every request",
                )
                .at(*span, "no rule, and no `otherwise`")
                .proved_by(shown::shown(model, "request without an answer", &arrival, None))
                .help("Add `otherwise 404`, or a rule without `match`."),
            );
        }
    }
    Ok(found)
}

/// Whether a wider host takes what this table leaves: what nothing answers is a hole of the widest, where an `otherwise`
/// closes it for all.
fn falls_through(model: &Model, owner: Owner, index: usize) -> bool {
    let Owner::Listener(gateway, listener) = owner else { return false };
    let tables = &model[gateway].listeners[listener as usize].tables;
    let own = &tables[index].host;
    tables.iter().any(|table| table.host != *own && covers(&table.host, own))
}

/// `OPTIONS *` asks about the server, not about a path: where nothing answers it, 404 does (`spec/semantics.md` 3.8).
fn star_alone(partition: &Partition) -> Product {
    let space = partition.diagram.space();
    let star = space.paths.star();
    Product { sets: vec![(PATH, crate::bits::Bits::such_that(space.arity(PATH), |atom| atom == star))] }
}

fn hosts_without_route(model: &Model, owner: Owner) -> Vec<Diagnostic> {
    let Owner::Listener(id, index) = owner else { return vec![] };
    let gateway = &model[id];
    let listener = &gateway.listeners[index as usize];
    if listener.needs_no_route {
        return vec![];
    }
    let which =
        if gateway.listeners.len() > 1 { format!(" listener {}", listener.name) } else { String::new() };
    let is_routed = |host: &HostPattern| listener.tables.iter().any(|table| covers(&table.host, host));
    let lost = listener.hosts.iter().filter(|(host, _)| !is_routed(host));
    lost.map(|(host, span)| {
        Diagnostic::new(
            Code::IncompleteRoute,
            format!("listener `{}` accepts host `{host}` and no route takes it", listener.name),
        )
        .at(*span, "requests for it would all be answered 404")
        .proved_by(shown::shown(model, "request without an answer", &plain(id, index, host), None))
        .help(format!(
            "Write `route {}{which} host \"{host}\" {{ … }}`, or accept fewer hosts.",
            gateway.workload.name
        ))
    })
    .collect()
}

/// A plain request of somebody for a host.
fn plain(gateway: GatewayId, listener: u32, host: &HostPattern) -> Arrival {
    let from = PeerSet { of: vec![Principal::Unauthenticated], except: vec![] };
    let host = shown::hosts_of(host).into_iter().next().unwrap_or_default();
    Arrival::of(Witness::plain(), Entry::Gateway { from, gateway, listener, host })
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says, shows};
    use crate::{StandIns, compile};
    use mesh_lang::SourceSet;

    #[test]
    fn a_route_that_leaves_requests_unanswered_is_incomplete() {
        let text = route("rule a { match /x/**\nto s:v1 }");
        says(&text, &["3 MESH3007 this route does not say what becomes of every request"]);
        shows(
            &format!("{text}service c {{ calls s to POST /y }}\nservice d {{ calls s }}\n"),
            &[
                "request without an answer:",
                "  curl http://s.default:80/ # from d",
                "  request from d to s GET / expect 404",
            ],
        );
    }

    #[test]
    fn what_a_listener_redirects_can_be_tested() {
        let text = r#"gateway edge { listener web port 80 http { host "*.shop.test", "shop.test"; redirect https 308 } }
authorize edge { allow from anyone }
test "everything goes to https" {
  every from anyone to edge "shop.test" expect redirect scheme https 308
  every from anyone to edge "a.shop.test" GET expect redirect scheme https 308
}
"#;
        let compilation = compile(&SourceSet::single("test.mesh", text), &StandIns::new());
        let proofs: Vec<bool> = compilation
            .tests
            .iter()
            .flat_map(|test| &test.proofs)
            .map(|proof| proof.failure.is_none())
            .collect();
        assert_eq!(proofs, [true, true], "{:?}", compilation.diagnostics);
    }

    #[test]
    fn a_listener_that_redirects_everything_needs_no_route() {
        let text = |more| {
            format!(
                "gateway g {{\nlistener web port 80 http {{\nhost \"a.example\"\n{more}\n}}\n}}\nauthorize g {{\nallow from anyone\n}}"
            )
        };
        says(&text("redirect https 301"), &[]);
        says(&text(""), &["3 MESH3007 listener `web` accepts host `a.example` and no route takes it"]);
    }

    #[test]
    fn rules_that_cover_everything_together_need_no_otherwise() {
        says(
            &route(
                "rule a { match when header \"h\" present\nto s:v1 }\nrule b { match when header \"h\" absent\nto s:v2 }",
            ),
            &[],
        );
        says(&route("rule a { match /**\nto s:v1 }"), &[]);
    }

    #[test]
    fn every_host_of_a_listener_has_a_route() {
        let text = r#"gateway g { listener web port 80 http {
host "a.test", "**.b.test" } }
authorize g { allow from anyone }
service s { port 80 http }
authorize s { allow from gateway g }
route g host "a.test" { to s }
route g host "x.b.test" { to s }"#;
        says(text, &["2 MESH3007 listener `web` accepts host `**.b.test` and no route takes it"]);
    }

    const HOSTS: &str = r#"gateway g { listener web port 80 http { host "*" } }
authorize g { allow from anyone }
service s { port 80 http }
authorize s { allow from gateway g }
"#;

    #[test]
    fn a_hole_is_said_of_the_widest_host_where_an_otherwise_closes_it() {
        let text = format!(
            "{HOSTS}route g host \"a.test\" {{ rule x {{ match /x\nto s }} }}\nroute g host \"*\" {{ rule y {{ match /y\nto s }}\n}}\n"
        );
        says(&text, &["7 MESH3007 this route does not say what becomes of every request"]);
        says(&text.replace("to s }\n}", "to s }\notherwise 404 }"), &[]);
    }

    #[test]
    fn a_route_of_several_hosts_has_one_hole() {
        let text = format!(
            "{HOSTS}route g host \"a.test\", \"b.test\" {{ rule x {{ match /x\nto s }}\n}}\nroute g host \"a.test\" {{ rule y {{ match GET\nto s }} }}\nroute g host \"*\" {{ otherwise 404 }}\n"
        );
        says(&text, &[]);
        let text = text.replace("host \"*\" } }", "host \"a.test\", \"b.test\" } }");
        let text = text.replace("route g host \"*\" { otherwise 404 }\n", "");
        says(&text, &["5 MESH3007 this route does not say what becomes of every request"]);
        says(&text.replace("to s }\n}", "to s }\notherwise 404 }"), &[]);
    }

    #[test]
    fn an_unmatched_request_falls_to_the_next_wider_host() {
        let text = r#"gateway g { listener web port 80 http { host "*" } }
authorize g { allow from anyone }
service s { port 80 http }
authorize s { allow from gateway g }
route g host "a.test" { rule x { match /x
to s } }
route g host "*" { otherwise 404 }"#;
        says(text, &[]);
    }
}
