//! What is made of paths that are refused unless a listener or a service says otherwise.

use mesh_tests::harness::{Mesh, Upstream, free_address};

/// The targets that the upstream heard, in lower case.
fn heard(upstream: &Upstream) -> Vec<String> {
    let target = |head: &String| head.split(' ').nth(1).expect("a target").to_owned();
    upstream.heads().iter().map(target).collect()
}

#[test]
fn a_listener_decodes_slashes_and_strips_parameters_before_anything_is_decided() {
    let upstream = Upstream::named("s");
    let text = format!(
        r#"
gateway relaxed {{ listener web port 80 http {{ host "*"; encoded-slashes decode; path-parameters strip }} }}
gateway strict {{ listener web port 81 http {{ host "*"; encoded-slashes refuse; path-parameters refuse }} }}
authorize relaxed {{ allow from anyone }}
authorize strict {{ allow from anyone }}
route relaxed {{ to s }}
route strict {{ to s }}
service s {{
  port 80 http
  endpoints static "{}"
}}
authorize s {{
  allow from gateway relaxed, gateway strict
  deny from anyone to /admin, /admin/**
}}
"#,
        upstream.address
    );
    let mesh = Mesh::start(&text, &[]);
    let ask = |gateway: &str, target: &str| {
        let mut client = mesh.connect(&format!("{gateway}.default/web"));
        client.get("shop.example", target, &[]).expect("an answer").0
    };
    let targets = [
        ("/a%2Fb", 200),
        ("/a;x=1/b;y?q=;%2F", 200),
        ("/a;x=%2fadmin", 200),
        ("/admin%2f", 403),
        ("/x%2f..%2fadmin", 403),
        ("/x%5c..%5Cadmin", 403),
        ("/admin;x=1", 403),
        ("/admin;/x", 403),
        ("/x/..;/admin", 403),
        ("/..;/admin", 400),
        ("/a%2f..%2f../admin", 400),
        ("/a;%00", 400),
        ("/x%252fb;", 400),
    ];
    for (target, status) in targets {
        assert_eq!(ask("relaxed", target), status, "{target}");
        assert_eq!(ask("strict", target), 400, "{target}");
    }
    for gateway in ["relaxed", "strict"] {
        assert_eq!(ask(gateway, "/a%3bb"), 200, "it stays encoded");
    }
    assert_eq!(heard(&upstream), ["/a/b", "/a/b?q=;%2f", "/a", "/a%3bb", "/a%3bb"]);
    let log = mesh.log();
    assert!(log[0].contains(r#""path":"/a/b","status":200"#), "what is decided is what is told: {}", log[0]);
}

#[test]
fn a_service_takes_the_paths_that_it_says_from_whoever_calls_it() {
    let (shop, plain, called_at) = (Upstream::named("shop"), Upstream::named("plain"), free_address());
    let text = format!(
        r#"
service web {{ calls shop, plain }}
service shop {{ port 80 http; encoded-slashes decode; path-parameters strip; endpoints static "{called_at}" }}
service plain {{ port 80 http; endpoints static "{}" }}
authorize shop {{ allow from web, unauthenticated to /a/** }}
authorize plain {{ allow from web }}
"#,
        plain.address
    );
    let mesh = Mesh::start_as(&text, &["web"], vec![], &[("shop", called_at, &shop.address)]);
    let ask = |door: &str, host: &str| mesh.connect(door).get(host, "/a%2Fb;x=1", &[]).expect("an answer").0;
    assert_eq!(ask("web.default", "shop"), 200);
    assert_eq!(ask("web.default", "plain"), 400);
    assert_eq!(ask("shop.default:80", "shop"), 200, "before the service itself");
    assert_eq!(heard(&shop), ["/a/b", "/a/b"]);
    assert!(heard(&plain).is_empty());
}
