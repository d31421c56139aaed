//! What the plan decides is what happens.

use crate::plans::mesh;
use crate::wire::{get, nobody, ok, raw, upstream};
use crate::{LOOPBACK, config, proxy};
use mesh_proxy::{Door, StartError, start};
use std::collections::BTreeMap;
use std::net::SocketAddr;

#[test]
fn a_request_goes_where_its_rule_says() {
    let (a, b) = (upstream(|_, _| ok("a")), upstream(|_, _| ok("b")));
    let (_proxy, edge) = proxy(mesh().to("a", a.address).to("b", b.address).view());
    assert_eq!(get(edge, "/a/1").text(), "a");
    assert_eq!(get(edge, "/b").text(), "b");
    assert_eq!((a.seen().len(), b.seen().len()), (1, 1));
}

#[test]
fn a_split_is_kept_request_by_request() {
    let (old, new) = (upstream(|_, _| ok("old")), upstream(|_, _| ok("new")));
    let mesh = mesh().service("new", &[new.address]).service("old", &[old.address]);
    let (_proxy, edge) = proxy(mesh.split("shop", &[("old", 7_500), ("new", 2_500)]).view());
    let mut counts = BTreeMap::new();
    let mut client = crate::wire::Client::new(edge);
    for _ in 0..2_000 {
        *counts.entry(client.get("/shop").unwrap().text().to_owned()).or_insert(0) += 1;
    }
    assert!((400..600).contains(&counts["new"]), "a quarter of 2,000 is 500: {counts:?}");
}

#[test]
fn endpoints_take_turns() {
    let all = [upstream(|_, _| ok("")), upstream(|_, _| ok("")), upstream(|_, _| ok(""))];
    let addresses = all.each_ref().map(|one| one.address);
    let (_proxy, edge) = proxy(mesh().service("shop", &addresses).split("shop", &[("shop", 10_000)]).view());
    let mut client = crate::wire::Client::new(edge);
    (0..9).for_each(|_| assert_eq!(client.get("/shop").unwrap().status(), 200));
    assert_eq!(all.each_ref().map(|one| one.seen().len()), [3, 3, 3]);
}

#[test]
fn a_denied_request_names_who_denied_it_and_reaches_nobody() {
    let shop = upstream(|_, _| ok(""));
    let mesh = mesh().closed("shop", &[shop.address]).split("shop", &[("shop", 10_000)]);
    let (_proxy, edge) = proxy(mesh.view());
    let answer = get(edge, "/shop");
    assert_eq!((answer.status(), answer.text()), (403, "denied by shop.default"));
    let post = "POST /shop HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(raw(edge, post).status(), 403);
    assert_eq!(shop.connections(), 0);
}

#[test]
fn answers_of_the_plan_need_no_upstream() {
    let mesh = mesh()
        .respond("hello", 200, "hi there")
        .redirect("old", 308, "/new#top")
        .redirect("q", 302, "/n?a=1");
    let (_proxy, edge) = proxy(mesh.view());
    let hello = get(edge, "/hello");
    assert_eq!((hello.status(), hello.text()), (200, "hi there"));
    assert_eq!(hello.header("content-type"), "text/plain; charset=utf-8");
    let old = get(edge, "/old/thing?page=2");
    assert_eq!((old.status(), old.header("location")), (308, "/new?page=2#top"));
    assert_eq!(get(edge, "/old").header("location"), "/new#top");
    assert_eq!(get(edge, "/q?b=2").header("location"), "/n?a=1&b=2");
    let none = get(edge, "/nowhere");
    assert_eq!((none.status(), none.text()), (404, "no route"));
}

#[test]
fn a_service_without_endpoints_is_unavailable() {
    let (_proxy, edge) = proxy(mesh().service("shop", &[]).split("shop", &[("shop", 10_000)]).view());
    assert_eq!(get(edge, "/shop").status(), 503);
}

#[test]
fn an_endpoint_that_does_not_listen_is_unavailable() {
    let (_proxy, edge) = proxy(mesh().to("shop", nobody()).view());
    assert_eq!(get(edge, "/shop").status(), 503);
}

#[test]
fn a_sidecar_lets_its_service_call_what_it_declares() {
    let shop = upstream(|_, _| ok("shop"));
    let mesh = mesh().to("shop", shop.address).service("other", &[shop.address]).service("web", &[]);
    let listen = SocketAddr::new(LOOPBACK, 0);
    let doors = vec![Door::Sidecar { service: "web".to_owned(), listen }];
    let proxy = start(mesh.calls("web", "shop").view(), crate::Config { doors, ..config() }).unwrap();
    let web = proxy.addresses()["web.default"];
    let ask = |host: &str| raw(web, &format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    assert_eq!(ask("shop").text(), "shop");
    assert_eq!(ask("SHOP:80").text(), "shop");
    let undeclared = "web.default declares no call to `other`, but to shop.default";
    assert_eq!((ask("other").status(), ask("other").text()), (403, undeclared));
    let elsewhere = "web.default declares no call to `shop:81`, but to shop.default";
    assert_eq!((ask("shop:81").status(), ask("shop:81").text()), (403, elsewhere));
}

#[test]
fn a_sidecar_says_who_owns_what_refused() {
    let mesh = mesh().closed("shop", &[]).service("web", &[]).calls("web", "shop").owner("books\nteam");
    let listen = SocketAddr::new(LOOPBACK, 0);
    let doors = vec![Door::Sidecar { service: "web".to_owned(), listen }];
    let proxy = start(mesh.view(), crate::Config { doors, ..config() }).unwrap();
    let answer = raw(proxy.addresses()["web.default"], "GET / HTTP/1.1\r\nhost: shop\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (403, "denied by shop.default (owner: books team)"));
}

#[test]
fn a_door_that_the_plan_does_not_have_says_what_it_has() {
    let doors = vec![Door::Gateway { name: "egde".to_owned(), bind: LOOPBACK, port_override: None }];
    let error = start(mesh().view(), crate::Config { doors, ..config() }).err().unwrap();
    assert_eq!(error.to_string(), "the plan has no gateway `egde`: it has `edge.default`");
}

#[test]
fn a_port_on_which_somebody_listens_is_refused() {
    let (_first, taken) = proxy(mesh().view());
    let mesh = mesh().listener_port(taken.port());
    let doors = vec![Door::Gateways { bind: LOOPBACK }];
    let error = start(mesh.view(), crate::Config { doors, ..config() }).err().unwrap();
    assert!(matches!(&error, StartError::Bind(bind) if bind.door == "edge.default/http"), "{error}");
}

#[test]
fn the_admin_answers_probes_on_loopback_only() {
    let admin = Some("127.0.0.1:0".parse().unwrap());
    let proxy = start(mesh().service("shop", &[]).view(), crate::Config { admin, ..config() }).unwrap();
    let address = proxy.admin_address().unwrap();
    assert_eq!(get(address, "/live").status(), 200);
    assert_eq!(get(address, "/ready").status(), 200);
    assert_eq!(get(address, "/else").status(), 404);
    let plan = get(address, "/plan");
    let expected = format!("{{\"digest\":\"{}\",\"services\":1,\"since\":\"", proxy.plan().digest_hex());
    assert!(plan.text().starts_with(&expected), "{}", plan.text());

    let admin = Some("0.0.0.0:0".parse().unwrap());
    let error = start(mesh().view(), crate::Config { admin, ..config() }).err().unwrap();
    assert!(error.to_string().contains("not a loopback address"), "{error}");
}
