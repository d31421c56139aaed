//! WebSockets to services of HTTP/2 (RFC 8441), as a file declares them: in the clear, through services' own proxies, and to services outside.
//! (What a stream does in detail is tested where the proxy is: `runtime/proxy/tests/it/websockets.rs`.)

use super::browsers::{echo, on_stream_at, reads, shake_hands_at};
use super::flags;
use super::mutual::{EDGE, SHOP, WEB};
use super::streams::accepting;
use super::termination::Shelf;
use h2::server::SendResponse;
use hyper::Response;
use hyper::body::Bytes;
use mesh_proxy::Certificates;
use mesh_tests::authority::Authority;
use mesh_tests::harness::{Mesh, free_address};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};

/// A service of HTTP/2 whose streams become WebSockets, if it `takes` them: they greet, send back what they get in capitals, and say goodbye.
fn streams(takes: bool) -> SocketAddr {
    let mut builder = h2::server::Builder::new();
    if takes {
        builder.enable_connect_protocol();
    }
    accepting(builder, |request, respond| {
        let asked = request.extensions().get::<h2::ext::Protocol>();
        assert_eq!(asked.map(h2::ext::Protocol::as_str), Some("websocket"));
        tokio::task::spawn_local(capitals(respond, request.into_body()));
    })
}

async fn capitals(mut respond: SendResponse<Bytes>, mut hears: h2::RecvStream) {
    let Ok(mut says) = respond.send_response(Response::new(()), false) else { return };
    // What is said here is less than any window.
    let _ = says.send_data("hi;".into(), false);
    while let Some(Ok(bytes)) = hears.data().await {
        let _ = hears.flow_control().release_capacity(bytes.len());
        let _ = says.send_data(bytes.to_ascii_uppercase().into(), false);
    }
    let _ = says.send_data("bye".into(), true);
}

/// What is asked for: a path, which is a method of gRPC too.
const LIVE: &str = "/chat.Talk/Live";
const CALL: &str = "grpc chat.Talk/Live";

/// A gateway and a service `web` before a shop whose requests may become WebSockets.
fn text(mesh: &str, listener: &str, port: &str, called_at: SocketAddr) -> String {
    let rule = |asked: &str| {
        format!("rule live {{ match {asked}; to shop; timeout none; upgrade websocket }}\notherwise 404")
    };
    let (asked, called) = (
        format!("GET {LIVE}"),
        if port.starts_with("grpc") { CALL.to_owned() } else { format!("GET {LIVE}") },
    );
    let (rule, called_rule) = (rule(&asked), rule(&called));
    format!(
        "mesh m {{ {mesh} }}\n\
         gateway edge {{ listener web port 80 {listener} {{ host \"*\" }} }}\nauthorize edge {{ allow from anyone }}\n\
         route edge {{ {rule} }}\nroute shop {{ {called_rule} }}\nservice web {{ calls shop }}\n\
         service shop {{ port 80 {port}; endpoints static \"{called_at}\" }}\n\
         authorize shop {{ allow from gateway edge, web to {called} }}\n"
    )
}

/// A client of HTTP/1.1 has a talk.
#[track_caller]
fn talks(address: SocketAddr, host: &str) {
    let (mut stream, head) = shake_hands_at(address, host, LIVE);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    reads(&mut stream, "hi;");
    stream.write_all(b"hello").unwrap();
    reads(&mut stream, "HELLO");
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "bye");
}

#[track_caller]
fn talks_on_stream(address: SocketAddr, host: &str) {
    assert_eq!(on_stream_at(address, host, LIVE), (200, "hi;HELLObye".to_owned()));
}

/// How often the log has a WebSocket that ended well at this door.
fn sockets(log: &[String], entry: &str) -> usize {
    let is_one = |line: &&String| {
        line.contains(&format!("\"entry\":\"{entry}\"")) && line.contains("\"status\":101,\"flags\":\"\"")
    };
    log.iter().filter(is_one).count()
}

#[test]
fn a_websocket_goes_to_a_service_of_http2_in_the_clear() {
    for port in ["http2", "grpc"] {
        for listener in ["http", "http2"] {
            let mesh = Mesh::start(&text("", listener, port, streams(true)), &["web"]);
            let talks_at_the_edge = if listener == "http" { talks } else { talks_on_stream };
            talks_at_the_edge(mesh.address("edge.default/web"), "a");
            // A sidecar takes both versions at one address.
            talks(mesh.address("web.default"), "shop");
            talks_on_stream(mesh.address("web.default"), "shop");
            let log = mesh.log();
            assert_eq!((sockets(&log, "edge.default/web"), sockets(&log, "web.default")), (1, 2), "{log:?}");
        }
    }
}

#[test]
fn a_websocket_goes_over_mutual_tls_through_the_services_own_proxy() {
    for (port, application) in
        [("http2", streams(true)), ("grpc", streams(true)), ("http", echo(true).0.parse().unwrap())]
    {
        for listener in ["http", "http2"] {
            let (authority, called_at) = (Authority::new(), free_address());
            let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
            let inbound = [("shop", called_at, &*application.to_string())];
            let words = text("mtls strict", listener, port, called_at);
            let mesh = Mesh::start_as(&words, &["web"], identities, &inbound);
            let talks_at_the_edge = if listener == "http" { talks } else { talks_on_stream };
            talks_at_the_edge(mesh.address("edge.default/web"), "a");
            talks(mesh.address("web.default"), "shop");
            let log = mesh.log();
            assert_eq!(sockets(&log, "edge.default/web"), 1, "{log:?}");
            assert_eq!(sockets(&log, "web.default"), 1, "{log:?}");
            assert_eq!(sockets(&log, "shop.default:80"), 2, "{log:?}");
        }
    }
}

#[test]
fn a_websocket_goes_to_a_service_outside_inside_tls() {
    let (authority, shelf) = (Authority::new(), Shelf::default());
    shelf.set("bankers", &authority.bundle(), "");
    shelf.put("bank", &authority.server(&["bank.test"]));
    let certificates = Some(Certificates::of(Box::new(shelf)));
    let rule =
        format!("rule live {{ match GET {LIVE}; to shop; timeout none; upgrade websocket }}\notherwise 404");
    let mesh = |listener: &str, service: &str| {
        let text = format!(
            "gateway edge {{ listener web port 443 {listener} }}\nauthorize edge {{ allow from anyone }}\nroute edge {{ {rule} }}\n\
             service shop {{ {service} }}\nauthorize shop {{ allow from gateway edge }}\n"
        );
        Mesh::start_showing(&text, certificates.clone())
    };
    // The bank is a mesh of its own.
    let bank = mesh(
        "http2 { host \"*\"; tls certificate \"bank\" }",
        &format!("port 80 http2; endpoints static \"{}\"", streams(true)),
    );
    let outside = format!(
        "external \"bank.test\"; port 443 http2; endpoints static \"{}\"; tls ca \"bankers\"",
        bank.address("edge.default/web")
    );
    let near = mesh("http { host \"*\" }", &outside);
    talks(near.address("edge.default/web"), "bank.test");
    let near = mesh("http2 { host \"*\" }", &outside);
    talks_on_stream(near.address("edge.default/web"), "bank.test");
    assert_eq!(sockets(&bank.log(), "edge.default/web"), 2);
}

#[test]
fn a_service_whose_streams_become_none_is_said_to_be_one() {
    let mesh = Mesh::start(&text("", "http", "http2", streams(false)), &[]);
    let (_, head) = shake_hands_at(mesh.address("edge.default/web"), "a", LIVE);
    assert!(head.starts_with("http/1.1 502 "), "{head}");
    assert_eq!(flags(mesh), ["UC"]);
}

#[test]
fn a_probe_becomes_no_websocket() {
    let (application, heads) = echo(false);
    let (authority, called_at) = (Authority::new(), free_address());
    let identities = [EDGE, WEB, SHOP].map(|id| authority.identity(id)).to_vec();
    let words = text("mtls strict", "http", &format!("http; probe GET {LIVE}"), called_at);
    let mesh = Mesh::start_as(&words, &[], identities, &[("shop", called_at, &*application)]);
    let (mut node, head) = shake_hands_at(called_at, "a", LIVE);
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    reads(&mut node, "no");
    let sent = heads.lock().unwrap()[0].clone();
    assert!(sent.starts_with("get /chat.talk/live ") && !sent.contains("upgrade"), "{sent}");
    drop(mesh);
}
