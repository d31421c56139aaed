//! Near endpoints before far ones: clusters one after the other, and the own zone first.

use super::failing;
use mesh_proxy::Here;
use mesh_tests::harness::{Mesh, Upstream};
use std::collections::BTreeMap;

const OUTLIERS: &str = "outlier-detection { consecutive-5xx 1; interval 10s; base-ejection-time 60s; max-ejection-percent 100% min 1 }";

fn here(cluster: &str, zone: &str) -> Here {
    Here { cluster: cluster.to_owned(), zone: zone.to_owned() }
}

/// A gateway before a service with these statements; each endpoint with what is said of it.
fn mesh(here: Here, endpoints: &[(&Upstream, &str)], statements: &str) -> Mesh {
    let line = |(own, said): &(&Upstream, &str)| format!("endpoints static \"{}\" {said}\n", own.address);
    let endpoints: String = endpoints.iter().map(line).collect();
    let text = format!(
        r#"mesh shop {{ clusters east, west, north }}
gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone }}
route edge {{ to s }}
service s {{
  port 80 http
  {endpoints}
  {statements}
}}
authorize s {{ allow from gateway edge }}
"#
    );
    Mesh::start_in(&text, &[], here)
}

/// How often each answered, of so many requests.
fn answers(mesh: &Mesh, requests: usize) -> BTreeMap<String, usize> {
    let mut client = mesh.connect("edge.default/web");
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        *counts.entry(client.get("a", "/", &[]).unwrap().1).or_default() += 1;
    }
    counts
}

fn only(name: &str, count: usize) -> BTreeMap<String, usize> {
    BTreeMap::from([(name.to_owned(), count)])
}

#[test]
fn a_cluster_is_asked_while_nobody_before_it_is_well() {
    let (bad, west, north) = (failing(500), Upstream::named("west"), Upstream::named("north"));
    let endpoints = [(&bad, "cluster east"), (&west, "cluster west"), (&north, "cluster north")];
    let statements = format!("failover local -> west -> north; {OUTLIERS}");
    let mesh_of = |cluster| mesh(here(cluster, ""), &endpoints, &statements);
    let in_east = mesh_of("east");
    assert_eq!(answers(&in_east, 1), only("fails", 1));
    assert_eq!(answers(&in_east, 10), only("west", 10));
    assert_eq!(answers(&mesh_of("north"), 10), only("north", 10));
    // Who was not told where it is begins with the second.
    assert_eq!(answers(&mesh_of(""), 10), only("west", 10));
}

#[test]
fn the_clusters_of_a_service_are_those_of_its_endpoints() {
    let (west, east) = (Upstream::named("west"), Upstream::named("east"));
    let statements = "subset near cluster west; subset far cluster east; locality zone";
    let endpoints = [(&west, "label zone = \"a\" cluster west"), (&east, "label zone = \"b\" cluster east")];
    let line = |(own, said): &(&Upstream, &str)| format!("endpoints static \"{}\" {said}\n", own.address);
    let endpoints: String = endpoints.iter().map(line).collect();
    let text = format!(
        r#"mesh shop {{ clusters east, west }}
gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone }}
route edge {{ rule far {{ match GET /far; to s:far }}; rule near {{ match GET /near; to s:near }}; otherwise 404 }}
service s {{ port 80 http; clusters east, west; {statements}
{endpoints} }}
authorize s {{ allow from gateway edge }}
"#
    );
    let mesh = Mesh::start_in(&text, &[], here("west", "a"));
    let mut client = mesh.connect("edge.default/web");
    for _ in 0..4 {
        assert_eq!(client.get("a", "/near", &[]).unwrap().1, "west");
        assert_eq!(client.get("a", "/far", &[]).unwrap().1, "east");
    }
}

#[test]
fn the_own_zone_is_preferred_while_enough_of_it_is_well() {
    let (one, two, other) = (Upstream::named("a"), failing(500), Upstream::named("b"));
    let endpoints =
        [(&one, "label zone = \"a\""), (&two, "label zone = \"a\""), (&other, "label zone = \"b\"")];
    let statements = format!("locality zone; {OUTLIERS}");
    let mesh_of = |zone| mesh(here("", zone), &endpoints, &statements);
    let in_a = mesh_of("a");
    // The one that fails is out as soon as it was asked; who comes next may leave the zone already.
    while !answers(&in_a, 1).contains_key("fails") {}
    // One of two is left, which carries seven tenths.
    let counts = answers(&in_a, 1_000);
    let own = counts.get("a").copied().unwrap_or_default();
    assert!((620..780).contains(&own), "{counts:?}");
    assert_eq!(own + counts.get("b").copied().unwrap_or_default(), 1_000, "{counts:?}");
    assert_eq!(answers(&mesh_of("b"), 10), only("b", 10));
    // All zones are alike to who was not told its own.
    let counts = answers(&mesh_of(""), 3);
    assert_eq!(counts.len(), 3, "{counts:?}");
}

#[test]
fn a_key_decides_who_leaves_the_zone() {
    let (one, two, other) = (Upstream::named("a"), failing(500), Upstream::named("b"));
    let endpoints =
        [(&one, "label zone = \"a\""), (&two, "label zone = \"a\""), (&other, "label zone = \"b\"")];
    let statements = format!("locality zone; load-balancer maglev header \"x-user\"; {OUTLIERS}");
    let mesh = mesh(here("", "a"), &endpoints, &statements);
    let mut client = mesh.connect("edge.default/web");
    let mut ask = |user: usize| client.get("a", "/", &[&format!("x-user: {user}")]).unwrap().1;
    // Whoever meets the one that fails puts it out.
    (0..20).for_each(|user| drop(ask(user)));
    let before: Vec<String> = (0..100).map(&mut ask).collect();
    let again: Vec<String> = (0..100).map(&mut ask).collect();
    assert_eq!(before, again);
    let stayed = before.iter().filter(|own| *own == "a").count();
    assert!((50..90).contains(&stayed), "{stayed}");
}

#[test]
fn a_retry_leaves_the_zone_and_not_the_cluster() {
    let (bad, zone, cluster) = (failing(503), Upstream::named("zone"), Upstream::named("cluster"));
    let endpoints = [
        (&bad, "label zone = \"a\" cluster west"),
        (&zone, "label zone = \"b\" cluster west"),
        (&cluster, "label zone = \"a\" cluster east"),
    ];
    let check = "health-check tcp { interval 60s; timeout 1s }";
    let statements = format!("locality zone; failover west -> east; retry 1 on 5xx; {check}");
    let mesh = mesh(here("west", "a"), &endpoints, &statements);
    assert_eq!(answers(&mesh, 20), only("zone", 20));
}
