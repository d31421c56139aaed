//! What the node asks at a service's own proxy, where it has no identity.

use super::mutual::{SHOP, WEB};
use super::streams::{answering, call_saying};
use mesh_tests::authority::Authority;
use mesh_tests::harness::{Mesh, Upstream, free_address};
use mesh_tests::tokens::{KeyFile, Signer};
use mesh_tests::up::Client;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const STRICT: &str = "mesh m { mtls strict }";

/// A service that `web` calls, and that denies its probe to everybody, with its own proxy before it.
fn text(mesh: &str, port: &str, called_at: SocketAddr) -> String {
    format!(
        "{mesh}\nservice web {{ calls shop }}\nservice shop {{ {port}; endpoints static \"{called_at}\" }}\n\
         authorize shop {{\nallow from web to GET /open/**\ndeny from web, unauthenticated to /ping\n}}\n"
    )
}

fn asked(mesh: &Mesh) -> impl Fn(&str, &str) -> u16 + use<> {
    let address = mesh.address("shop.default:80").to_string();
    move |method, path| Client::connect(&address).ask(method, "10.0.0.7:80", path, &[]).unwrap().0
}

#[test]
fn the_node_asks_a_strict_port_for_its_probe_in_the_clear_and_nobody_for_anything_else() {
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let identities = [WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let words = text(STRICT, "port 80 http; probe GET /ping", called_at);
    let mesh = Mesh::start_as(&words, &["web"], identities, &[("shop", called_at, &*shop.address)]);
    let ask = asked(&mesh);
    assert_eq!([ask("GET", "/ping"), ask("GET", "/ping?verbose")], [200, 200]);
    let others =
        [("PUT", "/ping"), ("POST", "/ping"), ("GET", "/ping/"), ("GET", "/Ping"), ("GET", "/open/a")];
    for (method, path) in others {
        assert_eq!(ask(method, path), 403, "{method} {path}");
    }
    // Who has an identity is no node.
    let mut web = mesh.connect("web.default");
    let status = |web: &mut Client, path: &str| web.get("shop", path, &[]).unwrap().0;
    assert_eq!([status(&mut web, "/open/a"), status(&mut web, "/ping")], [200, 403]);
    drop(web);
    assert_eq!(shop.heads().len(), 3);
    let log = mesh.log();
    let rules = |rule: &str, entry: &str| {
        let (rule, entry) = (format!("\"rule\":\"{rule}\""), format!("\"entry\":\"{entry}\""));
        log.iter().filter(|line| line.contains(&rule) && line.contains(&entry)).count()
    };
    assert_eq!(rules("probe shop.default: GET /ping", "shop.default:80"), 2, "{log:#?}");
    assert_eq!(
        rules("authorize shop.default: deny from unauthenticated, web to /ping", "web.default"),
        1,
        "{log:#?}"
    );
    assert_eq!(rules("mtls strict: shop.default", "shop.default:80"), 3, "{log:#?}");
}

#[test]
fn a_strict_port_without_a_probe_takes_nothing_in_the_clear() {
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let other = free_address();
    let identities = [WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let ports = "port web 80 http; port admin 81 http; probe GET /ping port web";
    let words = text(STRICT, ports, called_at)
        .replace("to GET /open/**", "to port web GET /open/**\nallow from web to port admin");
    let words = words.replace("calls shop", "calls shop port web; calls shop port admin");
    let words = words.replace(&format!("\"{called_at}\""), &format!("\"{}\"", called_at.ip()));
    let inbound = [("shop:web", called_at, &*shop.address), ("shop:admin", other, &*shop.address)];
    let mesh = Mesh::start_as(&words, &[], identities, &inbound);
    let status = |address: SocketAddr| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET /ping HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut heard = String::new();
        let _ = stream.read_to_string(&mut heard);
        heard.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!([status(called_at), status(other)], ["200", ""]);
    assert!(
        mesh.log().iter().any(|line| line.contains("\"rule\":\"probe shop.default: GET /ping port web\""))
    );
}

#[test]
fn the_node_asks_grpc_for_its_health() {
    const CHECK: &str = "/grpc.health.v1.Health/Check";
    let (authority, called_at) = (Authority::new(), free_address());
    let shop = answering(|_, _| (vec![0, 0, 0, 0, 2, 8, 1], 0)).to_string();
    let identities = [WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let words = text(STRICT, "port 80 grpc; probe grpc", called_at)
        .replace("to GET /open/**", "to grpc shop.Cart/Get")
        .replace("deny from web, unauthenticated to /ping", "deny from web to grpc grpc.health.v1.Health");
    let mesh = Mesh::start_as(&words, &[], identities, &[("shop", called_at, &*shop)]);
    let ask = |path: &str| call_saying(called_at, path, ("te", "trailers"));
    let (check, watch) = (ask(CHECK), ask("/grpc.health.v1.Health/Watch"));
    assert_eq!([check.1, watch.1], [0, 7]);
    let log = mesh.log();
    assert!(log[0].contains("\"rule\":\"probe shop.default: grpc\""), "{log:?}");
}

#[test]
fn the_node_needs_no_token_and_is_not_counted_and_no_token_of_its_arrives() {
    let own = Signer::new("ES256", "k");
    let (keys, shop, called_at) = (KeyFile::of(&[&own]), Upstream::named("shop"), free_address());
    let words = format!(
        "jwt sso {{ issuer \"https://sso.test\"; audience \"shop\"; jwks \"{}\" }}\n\
         service shop {{ port 80 http; probe GET /ping; jwt sso required; rate-limit local 1/h burst 1; endpoints static \"{called_at}\" }}\n\
         authorize shop {{ allow from anyone }}\n",
        keys.path().display()
    );
    let mesh = Mesh::start_as(&words, &[], vec![], &[("shop", called_at, &*shop.address)]);
    let ask = asked(&mesh);
    assert_eq!([ask("GET", "/"), ask("POST", "/ping")], [401, 401]);
    assert_eq!([ask("GET", "/ping"), ask("GET", "/ping"), ask("GET", "/ping")], [200, 200, 200]);
    let forged = ["authorization: Bearer a.b.c"];
    let mut client = Client::connect(&called_at.to_string());
    assert_eq!(client.get("a", "/ping", &forged).unwrap().0, 200);
    assert_eq!(client.get("a", "/", &forged).unwrap().0, 401);
    let heads = shop.heads();
    assert_eq!(heads.len(), 4);
    assert!(heads.iter().all(|head| !head.contains("authorization")), "{heads:?}");
}

#[test]
fn a_guardrail_holds_for_probes_and_another_plan_has_others() {
    let (shop, called_at) = (Upstream::named("shop"), free_address());
    let text = |probe: &str, guardrail: &str| {
        format!(
            "module m {{ role platform }}\nservice web {{ calls shop }}\nservice shop {{ port 80 http; {probe}; endpoints static \"{called_at}\" }}\n\
             authorize shop {{ allow from web }}\n{guardrail}\n"
        )
    };
    let mesh =
        Mesh::start_as(&text("probe GET /ping", ""), &[], vec![], &[("shop", called_at, &*shop.address)]);
    let ask = asked(&mesh);
    assert_eq!([ask("GET", "/ping"), ask("GET", "/live")], [200, 403]);
    mesh.swap(&text("probe GET /live", ""));
    assert_eq!([ask("GET", "/ping"), ask("GET", "/live")], [403, 200]);
    let guardrail = "guardrail g { deny from unauthenticated to shop GET /live when header \"x-a\" present }";
    mesh.swap(&text("probe GET /live", guardrail));
    let mut client = Client::connect(&called_at.to_string());
    let mut status = |headers: &[&str]| client.get("a", "/live", headers).unwrap().0;
    assert_eq!([status(&[]), status(&["x-a: 1"])], [200, 403]);
}
