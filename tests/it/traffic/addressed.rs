//! Where a caller calls from: what only the proxy of the service that is called sees.

use super::mutual::{EDGE, SHOP, WEB, ask, status};
use mesh_tests::authority::{Authority, Flaw};
use mesh_tests::harness::{Mesh, Upstream, free_address};
use std::net::SocketAddr;

/// Everybody here calls from 127.0.0.1.
fn text(called_at: SocketAddr) -> String {
    format!(
        r#"mesh m {{ mtls strict }}
gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone when source-ip = "127.0.0.1" }}
route edge {{ to shop }}
service web {{ calls shop }}
service shop {{ port 80 http; endpoints static "{called_at}" }}
authorize shop {{
  allow from gateway edge, web to /near/** when source-ip in ("127.0.0.0/8", "::1")
  allow from gateway edge, web to /far/** when source-ip = "10.0.0.0/8"
  allow from gateway edge, web to /open/**
  deny from gateway edge, web to /open/there/** when source-ip != "10.0.0.0/8"
  audit from gateway edge, web to /open/** when source-ip = "127.0.0.1"
}}
"#
    )
}

fn start() -> (Mesh, Authority, Upstream, SocketAddr) {
    let (authority, shop, called_at) = (Authority::new(), Upstream::named("shop"), free_address());
    let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let inbound = [("shop", called_at, &*shop.address)];
    let mesh = Mesh::start_as(&text(called_at), &["web"], identities, &inbound);
    (mesh, authority, shop, called_at)
}

#[test]
fn the_address_of_a_caller_is_decided_by_the_proxy_that_sees_it() {
    let (mesh, authority, shop, called_at) = start();
    let statuses = [("/near/1", 200), ("/far/1", 403), ("/open/1", 200), ("/open/there/1", 403), ("/1", 403)];
    for (path, expected) in statuses {
        let asked = |door: &str, host: &str| mesh.connect(door).get(host, path, &[]).unwrap().0;
        assert_eq!(asked("edge.default/web", "a.test"), expected, "{path} by the gateway");
        assert_eq!(asked("web.default", "shop"), expected, "{path} by a caller's proxy");
        let web = authority.certificate(&[WEB], Flaw::None);
        assert_eq!(status(&ask(Some(&web), called_at, path)), expected, "{path} around them");
    }
    assert_eq!(shop.heads().len(), 6);
    let log = mesh.log();
    let of = |entry: &str, path: &str| {
        let (entry, path) = (format!("\"entry\":\"{entry}"), format!("\"path\":\"{path}\""));
        let line = log.iter().find(|line| line.contains(&entry) && line.contains(&path));
        line.unwrap_or_else(|| panic!("{entry} {path} in {log:#?}")).clone()
    };
    // Who calls does not know it and leaves it to the service; what no address would help is refused at once.
    let by_far = "\"rule\":\"authorize shop.default: allow from gateway edge, web to /far/**";
    for (path, at_caller, at_service) in [
        ("/far/1", "\"upstream\"", ""),
        ("/open/there/1", "\"upstream\"", "deny from gateway edge, web to /open/there/**"),
    ] {
        assert!(of("web.default", path).contains(at_caller), "{path}: {}", of("web.default", path));
        assert!(of("shop.default:80", path).contains(at_service), "{}", of("shop.default:80", path));
        assert!(of("shop.default:80", path).contains("\"status\":403"));
    }
    assert!(!log.iter().any(|line| line.contains(by_far)), "nobody is let in by it");
    let at_shop = log.iter().filter(|line| line.contains("\"entry\":\"shop.default:80\""));
    let refused_there = at_shop.filter(|line| line.contains("\"path\":\"/1\""));
    assert_eq!(refused_there.count(), 1, "the one that came around the proxies");
    // An audit tells what is known.
    assert!(of("shop.default:80", "/open/1").contains("\"audit\":[\"authorize shop.default: audit"));
    assert!(!of("web.default", "/open/1").contains("\"audit\""));
}
