//! Ports of which only connections are seen.

use super::flags;
use super::mutual::{EDGE, SHOP};
use mesh_tests::authority::Authority;
use mesh_tests::harness::{Mesh, free_address};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Says its name first, then what it hears in capitals, and at the end how much that was.
pub(super) struct Server {
    pub(super) address: String,
    pub(super) connections: Arc<AtomicUsize>,
}

pub(super) fn server(name: &'static str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server { address: listener.local_addr().unwrap().to_string(), connections: Arc::default() };
    let connections = server.connections.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            connections.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let _ = write!(stream, "{name};");
                let (mut buffer, mut heard) = ([0; 4096], 0);
                while let Ok(count) = stream.read(&mut buffer) {
                    if count == 0 {
                        let _ = write!(stream, ";{heard}");
                        return;
                    }
                    heard += count;
                    if stream.write_all(&buffer[..count].to_ascii_uppercase()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    server
}

fn text(servers: &[&str], statements: &str) -> String {
    let addresses: Vec<String> = servers.iter().map(|own| format!("\"{own}\"")).collect();
    format!(
        "gateway edge {{ listener db port 5432 tcp }}\nauthorize edge {{ allow from anyone }}\nroute edge {{ to s }}\n\
         service s {{\n  port 5432 tcp\n  endpoints static {}\n  {statements}\n}}\nauthorize s {{ allow from gateway edge }}\n",
        addresses.join(", ")
    )
}

fn mesh(servers: &[&str], statements: &str) -> Mesh {
    Mesh::start(&text(servers, statements), &[])
}

fn connect(mesh: &Mesh) -> TcpStream {
    connect_to(mesh.address("edge.default/db"))
}

pub(super) fn connect_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// What comes first; empty where the connection is cut off.
pub(super) fn greeting(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    let mut byte = [0];
    while !said.ends_with(';') && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        said.push(char::from(byte[0]));
    }
    said
}

#[test]
fn a_server_may_speak_first_and_either_side_may_end_first() {
    let one = server("one");
    let mesh = mesh(&[&one.address], "");
    let mut stream = connect(&mesh);
    assert_eq!(greeting(&mut stream), "one;");
    let sent = "x".repeat(1 << 20);
    let mut writer = stream.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        writer.write_all(sent.as_bytes()).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    sending.join().unwrap();
    assert_eq!(heard.len(), (1 << 20) + ";1048576".len());
    assert!(heard.ends_with("X;1048576"));
    let log = mesh.log();
    assert_eq!(log.len(), 1);
    for part in
        ["\"entry\":\"edge.default/db\"", "\"method\":\"\"", "\"flags\":\"\"", "\"service\":\"s.default\""]
    {
        assert!(log[0].contains(part), "{part} in {}", log[0]);
    }
}

#[test]
fn bytes_go_inside_mutual_tls_to_whom_they_are_meant_for() {
    let (authority, one, called_at) = (Authority::new(), server("one"), free_address());
    let identities = [EDGE, SHOP].map(|id| authority.identity(id)).to_vec();
    let text = format!(
        "mesh m {{ mtls strict }}\ngateway edge {{ listener db port 5432 tcp }}\nauthorize edge {{ allow from anyone }}\nroute edge {{ to shop }}\n\
         service shop {{ port 5432 tcp; endpoints static \"{called_at}\" }}\nauthorize shop {{ allow from gateway edge }}\n"
    );
    let mesh = Mesh::start_as(&text, &[], identities, &[("shop", called_at, &*one.address)]);
    let mut stream = connect(&mesh);
    assert_eq!(greeting(&mut stream), "one;", "the server speaks first");
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "HELLO;5");
    let mut plain = TcpStream::connect(called_at).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    plain.write_all(b"hello").unwrap();
    assert_eq!(greeting(&mut plain), "", "without TLS nobody gets there");
    let log = mesh.log();
    assert!(log.iter().any(|line| line.contains(&format!("\"peer\":\"{EDGE}\""))), "{log:?}");
    assert_eq!(one.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn connections_are_spread_and_stay_where_they_are() {
    let servers = ["one", "two", "three"].map(server);
    let addresses = servers.each_ref().map(|own| own.address.as_str());
    let mesh = mesh(&addresses, "load-balancer round-robin");
    let mut streams: Vec<TcpStream> = (0..9).map(|_| connect(&mesh)).collect();
    let names: Vec<String> = streams.iter_mut().map(greeting).collect();
    for (stream, name) in streams.iter_mut().zip(&names) {
        for _ in 0..3 {
            stream.write_all(b"a").unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            assert_eq!(byte, *b"A", "{name}");
        }
    }
    assert!(servers.iter().all(|own| own.connections.load(Ordering::SeqCst) == 3), "{names:?}");
}

#[test]
fn who_may_not_connect_is_reset_and_meets_nobody() {
    let one = server("one");
    let denied = text(&[&one.address], "").replace(
        "authorize edge { allow from anyone }",
        "authorize edge { allow from anyone when source-ip in (\"10.0.0.0/8\") }",
    );
    let mesh = Mesh::start(&denied, &[]);
    let mut stream = connect(&mesh);
    let ended = stream.read(&mut [0]);
    assert!(ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    assert_eq!(flags(mesh), ["UAEX"]);
    assert_eq!(one.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn after_a_failed_connect_another_endpoint_is_tried() {
    let one = server("one");
    // Port 1 of this machine is nobody's.
    for (retry, fails) in [("", 3), ("retry 1 on connect-failure", 0)] {
        let mesh = mesh(&["127.0.0.1:1", &one.address], retry);
        let greetings: Vec<String> = (0..6).map(|_| greeting(&mut connect(&mesh))).collect();
        assert_eq!(greetings.iter().filter(|own| own.is_empty()).count(), fails, "{greetings:?}");
        assert_eq!(flags(mesh).iter().filter(|flag| *flag == "UF").count(), fails);
    }
}

#[test]
fn no_more_connections_than_may_be() {
    let one = server("one");
    let limits = "circuit-breaker { max-connections 2; max-pending-requests 1; pending-timeout 200ms }";
    let mesh = mesh(&[&one.address], limits);
    let mut kept: Vec<TcpStream> = (0..2).map(|_| connect(&mesh)).collect();
    assert!(kept.iter_mut().all(|stream| greeting(stream) == "one;"));
    let began = Instant::now();
    assert_eq!(greeting(&mut connect(&mesh)), "", "it waits, and its time is up");
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    let mut waiting = connect(&mesh);
    kept.pop();
    assert_eq!(greeting(&mut waiting), "one;", "there is room");
    drop((kept, waiting));
    assert_eq!(flags(mesh).iter().filter(|flag| *flag == "UO").count(), 1);
}

#[test]
fn a_rate_of_connections_is_a_limit_and_silence_ends_them() {
    let one = server("one");
    let limited = text(&[&one.address], "rate-limit local 1/h burst 2\n  idle-timeout 1500ms");
    let mesh = Mesh::start(&limited, &[]);
    let mut streams: Vec<TcpStream> = (0..3).map(|_| connect(&mesh)).collect();
    let greetings: Vec<String> = streams.iter_mut().map(greeting).collect();
    assert_eq!(greetings.iter().filter(|own| *own == "one;").count(), 2, "{greetings:?}");
    let began = Instant::now();
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    let mut flags = flags(mesh);
    flags.sort_unstable();
    assert_eq!(flags, ["RL", "SI", "SI"]);
}
