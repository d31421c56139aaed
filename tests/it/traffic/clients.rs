//! From where a client comes, as proxies before the gateway say it.

use super::flags;
use mesh_tests::harness::{Mesh, Upstream};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A gateway with these statements of its own and of its listener, that some clients may not use.
fn edge(upstream: &Upstream, gateway: &str, listener: &str, allow: &str) -> String {
    format!(
        r#"gateway edge {{
  listener web port 80 http {{
    host "*"
    {listener}
  }}
  {gateway}
}}
authorize edge {{ {allow} }}
route edge {{ to s }}
service s {{ port 80 http; endpoints static "{}" }}
authorize s {{ allow from gateway edge }}
"#,
        upstream.address
    )
    .replace(
        "rate-limit local 1/h per client-ip",
        if gateway.is_empty() { "" } else { "rate-limit local 1/h per client-ip" },
    )
}

const NOT_FROM_TEN: &str = "allow from anyone\n  deny from anyone when client-ip in (\"10.0.0.0/8\")";

#[test]
fn the_client_is_whom_the_trusted_proxies_name() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(&edge(&s, "trusted-hops 1", "", NOT_FROM_TEN), &[]);
    let mut client = mesh.connect("edge.default/web");
    let mut ask = |path: &str, headers: &[&str]| client.get("a", path, headers).unwrap().0;
    // What stands before the trusted one's word is the client's own.
    assert_eq!(ask("/", &["x-forwarded-for: 10.0.0.1, 8.8.8.8"]), 200);
    assert_eq!(ask("/", &["x-forwarded-for: 8.8.8.8", "x-forwarded-for: 10.0.0.1"]), 403);
    assert_eq!(ask("/", &["x-forwarded-for: ::ffff:10.0.0.1"]), 403, "an IPv4 address is one");
    // Of whom nobody names only that is known.
    for nobody in [&[][..], &["x-forwarded-for: 010.0.0.1"], &["x-forwarded-for: 8.8.8.8, unknown"]] {
        assert_eq!(ask("/", nobody), 200, "{nobody:?}");
    }
    assert_eq!(ask("/", &["x-forwarded-for: 8.8.8.8", "x-forwarded-proto: https"]), 200);
    let heads = s.heads();
    assert!(heads[0].contains("x-forwarded-for: 8.8.8.8, 127.0.0.1\r\n"), "{}", heads[0]);
    assert!(heads[0].contains("x-forwarded-proto: http\r\n"), "{}", heads[0]);
    assert!(heads.last().unwrap().contains("x-forwarded-proto: https\r\n"));
    let log = mesh.log();
    assert!(log[0].contains(r#""source_ip":"127.0.0.1","client_ip":"8.8.8.8""#), "{}", log[0]);
    assert!(!log[3].contains("client_ip"), "{}", log[3]);
}

#[test]
fn each_client_is_counted_for_itself() {
    let s = Upstream::named("s");
    let listener = "rate-limit local 1/h per client-ip";
    let mesh = Mesh::start(&edge(&s, "trusted-hops 1", listener, "allow from anyone"), &[]);
    let mut client = mesh.connect("edge.default/web");
    let mut ask = |headers: &[&str]| client.get("a", "/", headers).unwrap().0;
    let [eight, nine] = ["x-forwarded-for: 8.8.8.8", "x-forwarded-for: 9.9.9.9"];
    assert_eq!([ask(&[eight]), ask(&[nine]), ask(&[eight])], [200, 200, 429]);
    assert_eq!([ask(&[]), ask(&[])], [200, 429], "those that nobody names are one");
}

#[test]
fn without_trust_nobody_is_believed() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(&edge(&s, "", "", "allow from anyone"), &[]);
    let mut client = mesh.connect("edge.default/web");
    let headers = ["x-forwarded-for: 10.0.0.1", "x-forwarded-proto: https"];
    assert_eq!(client.get("a", "/", &headers).unwrap().0, 200);
    let heads = s.heads();
    assert!(heads[0].contains("x-forwarded-for: 127.0.0.1\r\n"), "{}", heads[0]);
    assert!(heads[0].contains("x-forwarded-proto: http\r\n"), "{}", heads[0]);
}

/// The status that a connection with these first bytes gets; `None`: none.
fn begun_with(mesh: &Mesh, header: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(mesh.address("edge.default/web")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    // It may be closed in the middle.
    let _ = stream.write_all(&[header, request].concat());
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    let _ = reader.read_line(&mut line);
    let _ = reader.read_to_end(&mut Vec::new());
    line.split(' ').nth(1)?.parse().ok()
}

#[test]
fn a_connection_says_first_whom_it_is_passed_on_for() {
    let s = Upstream::named("s");
    let deny = "allow from anyone\n  deny from anyone when source-ip in (\"10.0.0.0/8\")";
    let mesh = Mesh::start(&edge(&s, "", "proxy-protocol", deny), &[]);
    let version_2 = |first: u8| {
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &[first, 0, 0, 1, 127, 0, 0, 1, 0, 80, 0, 80]]
            .concat()
    };
    assert_eq!(begun_with(&mesh, b"PROXY TCP4 8.8.8.8 127.0.0.1 4711 80\r\n"), Some(200));
    assert_eq!(begun_with(&mesh, b"PROXY TCP4 10.0.0.1 127.0.0.1 4711 80\r\n"), Some(403));
    assert_eq!(begun_with(&mesh, b"PROXY UNKNOWN\r\n"), Some(200), "the proxy's own address counts");
    assert_eq!(begun_with(&mesh, &version_2(8)), Some(200));
    assert_eq!(begun_with(&mesh, &version_2(10)), Some(403));
    // Nothing is guessed: without the header nobody is served, not even from the proxy's own address.
    assert_eq!(begun_with(&mesh, b""), None);
    assert_eq!(begun_with(&mesh, b"PROXY TCP4 8.8.8.8\r\n"), None);
    let heads = s.heads();
    assert_eq!(heads.len(), 3);
    assert!(heads[0].contains("x-forwarded-for: 8.8.8.8\r\n"), "{}", heads[0]);
    let log = mesh.log();
    assert!(log[1].contains(r#""source_ip":"10.0.0.1""#), "{}", log[1]);
    assert!(log[5].contains("there is no PROXY protocol header"), "{}", log[5]);
    assert_eq!(log.len(), 7);
}

#[test]
fn a_header_that_is_not_declared_is_no_request() {
    let s = Upstream::named("s");
    let mesh = Mesh::start(&edge(&s, "", "", "allow from anyone"), &[]);
    assert_eq!(begun_with(&mesh, b"PROXY TCP4 8.8.8.8 127.0.0.1 4711 80\r\n"), Some(400));
    assert_eq!(s.heads().len(), 0);
    assert_eq!(flags(mesh), ["DPE"]);
}
