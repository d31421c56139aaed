//! External authorization: who is asked, about what, and what becomes of the request then.

use super::streams::{answering, call_saying};
use mesh_tests::harness::{Mesh, Upstream, free_address};
use mesh_tests::project::Project;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A gateway that asks, a service behind it, and the authority.
fn mesh(authority: &str, port: &str, on_failure: &str, check: &str, service: impl Display) -> String {
    format!(
        r#"ext-authz guard {{ service opa; timeout 300ms; on-failure {on_failure} }}
gateway edge {{ listener web port 80 http {{ host "*" }} }}
route edge {{ rule hello {{ match GET /hello; respond 200 "hello" }}; to s }}
authorize edge {{ allow from anyone; deny from anyone to /never; {check} }}
service s {{ port 80 http; endpoints static "{service}" }}
authorize s {{ allow from gateway edge }}
service opa {{ port {port}; endpoints static "{authority}" }}
authorize opa {{ allow from gateway edge }}
"#
    )
}

fn get(mesh: &Mesh, path: &str) -> u16 {
    mesh.connect("edge.default/web").get("a", path, &[]).unwrap().0
}

/// An authority of HTTP that answers everything with this.
fn saying(status: u16, body: &'static str) -> Upstream {
    Upstream::start(move |_| (status, body.to_owned(), Duration::ZERO))
}

#[test]
fn an_authority_of_http_gets_the_head_of_what_it_is_asked_about_and_can_only_refuse() {
    for (status, seen) in [(200, 200), (204, 200), (401, 401), (302, 302)] {
        let (authority, service) = (saying(status, "ask somebody else"), Upstream::named("s"));
        let check = "check ext-authz guard to GET /a, GET /never";
        let mesh = Mesh::start(&mesh(&authority.address, "90 http", "deny", check, &service.address), &[]);
        let mut client = mesh.connect("edge.default/web");
        let (got, body) = client.get("shop.test", "/a?b=c", &["x-key: k"]).unwrap();
        assert_eq!(got, seen, "of {status}");
        assert_eq!(body == "ask somebody else", seen != 200, "{body}");
        let heads = authority.heads();
        assert_eq!(heads.len(), 1);
        for part in [
            "GET /a?b=c HTTP/1.1\r\n",
            "host: shop.test\r\n",
            "x-key: k\r\n",
            "x-forwarded-for: 127.0.0.1\r\n",
        ] {
            assert!(heads[0].to_lowercase().contains(&part.to_lowercase()), "{part} in {}", heads[0]);
        }
        assert_eq!(service.heads().len(), usize::from(seen == 200));
        assert_eq!(get(&mesh, "/b"), 200, "nobody is asked about it");
        assert_eq!(get(&mesh, "/never"), 403, "nobody is asked about what is refused");
        assert_eq!(authority.heads().len(), 1);
        let lines = mesh.log();
        let said = if seen == 200 { "guard: allow" } else { "guard: deny" };
        assert!(lines[0].contains(&format!("\"ext_authz\":[\"{said}\"]")), "{}", lines[0]);
        assert_eq!(
            lines[0].contains("\"flags\":\"UAEX\",\"rule\":\"ext-authz guard\""),
            seen != 200,
            "{}",
            lines[0]
        );
        assert!(lines[1..].iter().all(|line| !line.contains("ext_authz")), "{lines:?}");
    }
}

#[test]
fn nothing_of_a_body_is_sent_to_an_authority_and_the_request_goes_on_with_all_of_it() {
    let (authority, service) = (saying(200, ""), Upstream::named("s"));
    let text = mesh(&authority.address, "90 http", "deny", "check ext-authz guard", &service.address);
    let mesh = Mesh::start(&text, &[]);
    let post = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\na body";
    let answer = mesh.connect("edge.default/web").send(post).unwrap();
    assert_eq!(answer.0, 200);
    assert_eq!((authority.bodies(), service.bodies()), (vec![vec![]], vec![b"a body".to_vec()]));
}

#[test]
fn what_holds_where_nobody_answers_is_declared() {
    let slow = || Upstream::start(|_| (200, String::new(), Duration::from_secs(2)));
    for (word, authority) in [("timeout", slow()), ("error", saying(500, ""))] {
        for (on_failure, seen) in [("allow", 200), ("deny", 403)] {
            let service = Upstream::named("s");
            let check = "check ext-authz guard";
            let text = mesh(&authority.address, "90 http", on_failure, check, &service.address);
            let mesh = Mesh::start(&text, &[]);
            let began = Instant::now();
            assert_eq!(get(&mesh, "/a"), seen, "{word} {on_failure}");
            assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
            let log = mesh.log();
            assert!(
                log[0].contains(&format!("\"ext_authz\":[\"guard: {word}, {on_failure}\"]")),
                "{}",
                log[0]
            );
        }
    }
    let service = Upstream::named("s");
    let text =
        mesh(&free_address().to_string(), "90 http", "deny", "check ext-authz guard", &service.address);
    let mesh = Mesh::start(&text, &[]);
    assert_eq!(get(&mesh, "/a"), 403);
    assert_eq!(get(&mesh, "/hello"), 403, "answers of the proxy are refused, too");
    assert!(mesh.log()[0].contains("\"ext_authz\":[\"guard: unreachable, deny\"]"));
}

#[test]
fn where_one_endpoint_takes_no_connection_another_is_asked() {
    let (authority, service) = (saying(200, ""), Upstream::named("s"));
    let both = format!("{}\", \"{}", free_address(), authority.address);
    let mesh = Mesh::start(&mesh(&both, "90 http", "deny", "check ext-authz guard", &service.address), &[]);
    for _ in 0..4 {
        assert_eq!(get(&mesh, "/a"), 200);
    }
    assert_eq!(authority.heads().len(), 4);
}

#[test]
fn an_endpoint_that_says_nothing_is_left_out_as_its_service_says() {
    let silent = Upstream::start(|_| (200, String::new(), Duration::from_secs(5)));
    let (authority, service) = (saying(200, ""), Upstream::named("s"));
    let both = format!("{}\", \"{}", silent.address, authority.address);
    let text = mesh(&both, "90 http", "deny", "check ext-authz guard", &service.address);
    let outliers = "outlier-detection { consecutive-gateway-errors 1; interval 10s; base-ejection-time 1h; max-ejection-percent 50% }";
    let text = text.replace("service opa { port", &format!("service opa {{ {outliers}; port"));
    let mesh = Mesh::start(&text, &[]);
    let refused = (0..6).filter(|_| get(&mesh, "/a") == 403).count();
    assert_eq!(refused, 1, "only who found it out");
}

#[test]
fn a_service_asks_itself_about_what_comes_to_it_and_who_calls_it_does_not() {
    let (authority, service, called_at) = (saying(403, "no"), Upstream::named("s"), free_address());
    let text = format!(
        r#"ext-authz guard {{ service opa; timeout 1s; on-failure deny }}
service web {{ calls s }}
service s {{ port 80 http; endpoints static "{called_at}" }}
authorize s {{ allow from anyone; check ext-authz guard }}
service opa {{ port 90 http2; port plain 91 http; endpoints static "{}" }}
authorize opa {{ allow from s to port plain; deny from anyone to port 90 }}
"#,
        authority.address
    );
    // Two ports at which it could be asked are none.
    assert!(Project::parse(&text).short().contains("MESH5006"));
    let text = text
        .replace("port 90 http2; port plain 91 http", "port 91 http")
        .replace("allow from s to port plain; deny from anyone to port 90", "allow from s");
    let inbound = [("s", called_at, &*service.address)];
    let mesh = Mesh::start_as(&text, &["web"], vec![], &inbound);
    assert_eq!(mesh.connect("web.default").get("s", "/a", &[]).unwrap().0, 403);
    assert_eq!(authority.heads().len(), 1, "its caller asks nobody");
    assert_eq!(service.heads().len(), 0);
    let lines = mesh.log();
    let own = lines.iter().filter(|line| line.contains("\"ext_authz\":[\"guard: deny\"]"));
    assert_eq!((lines.len(), own.count()), (2, 1), "{lines:?}");
}

/// What an authority of gRPC was asked, field by field: paths of numbers, and the bytes there.
pub(super) type Fields = BTreeMap<Vec<u32>, Vec<Vec<u8>>>;

fn varint(rest: &mut &[u8]) -> u64 {
    let length = rest.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let (own, behind) = rest.split_at(length);
    *rest = behind;
    own.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
}

/// A field of bytes, shorter than 128.
pub(super) fn field(tag: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&[tag << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// A `HeaderValueOption`.
fn header(name: &str, value: &str) -> Vec<u8> {
    field(1, [field(1, name), field(2, value)].concat())
}

/// `status { code: … }`
fn status(code: u8) -> Vec<u8> {
    field(1, if code == 0 { vec![] } else { vec![8, code] })
}

/// Reads a message, and messages in it where the definition has them.
pub(super) fn fields(message: &[u8], inside: &[&[u32]], at: &[u32], found: &mut Fields) {
    let mut rest = message;
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let place = [at, &[(key >> 3) as u32]].concat();
        let bytes = match key & 7 {
            0 => varint(&mut rest).to_string().into_bytes(),
            2 => {
                let length = varint(&mut rest) as usize;
                let (own, behind) = rest.split_at(length);
                rest = behind;
                own.to_vec()
            }
            other => panic!("wire type {other}"),
        };
        match inside.contains(&place.as_slice()) {
            true => fields(&bytes, inside, &place, found),
            false => found.entry(place).or_default().push(bytes),
        }
    }
}

/// An authority of gRPC that answers with these bytes, and what it was asked.
fn grpc_saying(message: &[u8], status: u16) -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, message) = (asked.clone(), message.to_vec());
    let address = answering(move |path, bytes| {
        assert_eq!(path, "/envoy.service.auth.v3.Authorization/Check");
        heard.lock().unwrap().push(bytes.to_vec());
        ([&[0], &(message.len() as u32).to_be_bytes()[..], &message].concat(), status)
    });
    (address, asked)
}

#[test]
fn an_authority_of_grpc_is_asked_as_envoy_asks_it() {
    let ours = field(2, header("x-forwarded-for", "6.6.6.6"));
    let added = [field(2, header("x-user", "ann")), ours, field(5, "x-key"), field(6, header("x-seen", "1"))];
    let yes = [status(0), field(3, added.concat())].concat();
    let (authority, asked) = grpc_saying(&yes, 0);
    let service = Upstream::named("s");
    let mesh = Mesh::start(
        &mesh(&authority.to_string(), "90 grpc", "deny", "check ext-authz guard", &service.address),
        &[],
    );
    let mut client = mesh.connect("edge.default/web");
    let head =
        client.head("shop.test", "/a?b=c", &["x-key: k", "x-user: eve", "x-two: 1", "x-two: 2"]).unwrap();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("\r\nx-seen: 1\r\n") || head.contains("\nx-seen: 1\n"), "{head}");
    let sent = service.heads().remove(0);
    assert!(sent.contains("x-user: ann\r\n") && !sent.contains("eve") && !sent.contains("x-key"), "{sent}");
    assert!(!sent.contains("6.6.6.6"), "{sent}");

    let bytes = asked.lock().unwrap().remove(0);
    assert_eq!(bytes[..5], [&[0], &(bytes.len() as u32 - 5).to_be_bytes()[..]].concat());
    let mut found = Fields::new();
    let inside: [&[u32]; 10] = [
        &[1],
        &[1, 1],
        &[1, 1, 1],
        &[1, 1, 1, 1],
        &[1, 2],
        &[1, 4],
        &[1, 4, 1],
        &[1, 4, 2],
        &[1, 4, 2, 3],
        &[1, 12],
    ];
    fields(&bytes[5..], &inside, &[], &mut found);
    let text = |place: &[u32]| String::from_utf8(found[place][0].clone()).unwrap();
    assert_eq!(text(&[1, 1, 1, 1, 2]), "127.0.0.1", "source.address");
    assert_eq!(text(&[1, 2, 2]), "edge.default", "destination.service");
    assert_eq!(text(&[1, 2, 4]), "spiffe://local.test/ns/default/sa/edge", "destination.principal");
    assert_eq!(text(&[1, 4, 2, 2]), "GET");
    assert_eq!(text(&[1, 4, 2, 4]), "/a?b=c");
    assert_eq!(text(&[1, 4, 2, 5]), "shop.test");
    assert_eq!(text(&[1, 4, 2, 6]), "http");
    assert_eq!(text(&[1, 4, 2, 10]), "HTTP/1.1");
    let names = found[&vec![1, 4, 2, 3, 1]].iter().map(|name| String::from_utf8(name.clone()).unwrap());
    let values = found[&vec![1, 4, 2, 3, 2]].iter().map(|value| String::from_utf8(value.clone()).unwrap());
    let headers: BTreeMap<String, String> = names.zip(values).collect();
    for (name, value) in [
        ("x-key", "k"),
        ("x-two", "1,2"),
        (":method", "GET"),
        (":path", "/a?b=c"),
        (":authority", "shop.test"),
    ] {
        assert_eq!(headers.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn an_authority_of_grpc_says_no_with_an_answer_of_its_own_or_with_none() {
    let plain = status(7);
    // 401 as a varint.
    let denied = [field(1, [8, 0x91, 3]), field(2, header("x-why", "b")), field(3, "no")].concat();
    let own = [status(16), field(2, denied)].concat();
    let (plain, own) = (plain.as_slice(), own.as_slice());
    for (message, grpc_status, seen, body) in [
        (plain, 0, 403, ""),
        (own, 0, 401, "no"),
        (&[], 0, 403, ""),
        (&[0xff], 0, 403, ""),
        (plain, 14, 403, ""),
    ] {
        let (authority, _) = grpc_saying(message, grpc_status);
        let service = Upstream::named("s");
        let text = mesh(&authority.to_string(), "90 grpc", "deny", "check ext-authz guard", &service.address);
        let mesh = Mesh::start(&text, &[]);
        let (got, said) = mesh.connect("edge.default/web").get("a", "/a", &[]).unwrap();
        assert_eq!((got, said.contains(body)), (seen, true), "{message:?}: {said}");
        assert_eq!(service.heads().len(), 0);
        let failed = message != plain && message != own || grpc_status != 0;
        assert_eq!(mesh.log()[0].contains("guard: error, deny"), failed, "{message:?}");
    }
}

#[test]
fn a_call_of_grpc_that_is_refused_hears_it_in_its_own_way() {
    let (authority, _) = grpc_saying(&status(7), 0);
    let text = mesh(&authority.to_string(), "90 grpc", "deny", "check ext-authz guard", free_address());
    let text =
        text.replace("port 80 http {", "port 80 grpc {").replace("s { port 80 http;", "s { port 80 grpc;");
    let text = text
        .replace("rule hello { match GET /hello; respond 200 \"hello\" }; ", "")
        .replace(" deny from anyone to /never;", "");
    let mesh = Mesh::start(&text, &[]);
    let ended = call_saying(mesh.address("edge.default/web"), "/shop.Cart/Get", ("te", "trailers"));
    assert_eq!(ended, (200, 7));
}

#[test]
fn a_connection_is_asked_about_once_and_reset_where_the_answer_is_no() {
    for (code, passes) in [(0, true), (7, false)] {
        let (authority, asked) = grpc_saying(&status(code), 0);
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in server.incoming() {
                let _ = std::io::Write::write_all(&mut stream.unwrap(), b"hello");
            }
        });
        let text = mesh(&authority.to_string(), "90 grpc", "deny", "check ext-authz guard", address);
        let text = text
            .replace("port 80 http { host \"*\" }", "port 80 tcp")
            .replace("s { port 80 http;", "s { port 80 tcp;");
        let text = text
            .replace("rule hello { match GET /hello; respond 200 \"hello\" }; ", "")
            .replace(" deny from anyone to /never;", "");
        let mesh = Mesh::start(&text, &[]);
        let mut stream = TcpStream::connect(mesh.address("edge.default/web")).unwrap();
        let mut heard = String::new();
        let end = stream.read_to_string(&mut heard);
        assert_eq!((heard.as_str(), end.is_ok()), if passes { ("hello", true) } else { ("", false) });
        assert_eq!(asked.lock().unwrap().len(), 1);
        let log = mesh.log();
        assert_eq!(log[0].contains("\"flags\":\"UAEX\""), !passes, "{}", log[0]);
    }
}
