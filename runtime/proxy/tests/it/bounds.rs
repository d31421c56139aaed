//! A limit that is said holds in place of its default: the binary, each time with another number than the default.

use crate::binary::{Running, command, directory, put};
use crate::plans::{Mesh, mesh};
use crate::streams::Frames;
use crate::wire::{Client, free_port, ok, upstream};
use mesh_plan::Protocol;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// SETTINGS, GOAWAY and WINDOW_UPDATE (RFC 9113 6).
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A proxy with limits, and what else it is told.
fn limited(test: &str, mesh: &Mesh, limits: &str, more: &[&str]) -> Running {
    let plan = directory(test).join("shop.mplan");
    put(&mesh.clone().listener_port(free_port()), &plan);
    let mut command = command(&plan);
    command.args(["--limit", limits]).args(more);
    Running::start(command)
}

/// A connection to this address is made, and is answered when the first one has ended.
#[track_caller]
fn waits_for_the_end_of<T>(first: T, edge: SocketAddr) {
    let mut second = TcpStream::connect(edge).unwrap();
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    std::io::Write::write_all(&mut second, b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(second.read(&mut [0; 1]).is_err(), "it waits");
    drop(first);
    second.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(second.read(&mut [0; 1]).unwrap(), 1);
}

#[test]
fn a_listener_has_as_many_connections_as_are_said() {
    let mesh = mesh().respond("x", 200, "x");
    let plan = directory("connections").join("shop.mplan");
    put(&mesh.listener_port(free_port()), &plan);
    let mut command = command(&plan);
    // The flag said last counts: one thread, which has all of them.
    command.args(["--limit", "connections=1"]).env("MESH_WORKERS", "1");
    let mut proxy = Running::start(alone(command));
    proxy.opens();
    let mut first = Client::new(proxy.edge);
    assert_eq!(first.get("/x").unwrap().status(), 200);
    waits_for_the_end_of(first, proxy.edge);
}

#[test]
fn all_listeners_together_have_as_many_connections_as_are_said() {
    let mesh = mesh().respond("x", 200, "x").service("web", &[]).service("shop", &[]).calls("web", "shop");
    let plan = directory("all-connections").join("shop.mplan");
    put(&mesh.listener_port(free_port()), &plan);
    let mut command = command(&plan);
    command.args(["--limit", "all-connections=1", "--service", "web", "--outbound", "127.0.0.1:0"]);
    let mut proxy = Running::start(alone(command));
    proxy.opens();
    let line = proxy.hears("web.default on ");
    let first = TcpStream::connect(line.rsplit(' ').next().unwrap().trim()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    waits_for_the_end_of(first, proxy.edge);
}

#[test]
fn more_requests_under_way_than_are_said_are_answered_at_once() {
    // One that sends its head and waits with its body until it is told.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let slow = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        let _ = stream.read(&mut head);
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 X\r\ncontent-length: 2\r\n\r\na").unwrap();
        gone.recv().unwrap();
        std::io::Write::write_all(&mut stream, b"b").unwrap();
    });
    let mesh = mesh().respond("x", 200, "x").to("slow", slow);
    let plan = directory("requests").join("shop.mplan");
    put(&mesh.listener_port(free_port()), &plan);
    let mut command = command(&plan);
    command.args(["--limit", "requests=1"]);
    let mut proxy = Running::start(alone(command));
    proxy.opens();
    let mut first = TcpStream::connect(proxy.edge).unwrap();
    std::io::Write::write_all(&mut first, b"GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut some = [0; 16];
    assert!(first.read(&mut some).unwrap() > 0, "its head has come");
    let mut second = Client::new(proxy.edge);
    let refused = second.get("/x").unwrap();
    assert_eq!(refused.status(), 503, "the body of the first is under way");
    assert_eq!(refused.header("retry-after"), "1");
    go.send(()).unwrap();
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"ab"));
    assert_eq!(second.get("/x").unwrap().status(), 200);
}

/// The same command with one thread.
pub(crate) fn alone(command: std::process::Command) -> std::process::Command {
    let mut words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
    let at = words.iter().position(|word| word == "--workers").unwrap();
    words[at + 1] = "1".into();
    let mut alone = std::process::Command::new(command.get_program());
    alone.args(words);
    alone
}

#[test]
fn a_connection_that_does_not_say_what_it_is_ends_in_the_time_that_is_said() {
    let mesh = mesh().respond("x", 200, "x").service("web", &[]).service("shop", &[]).calls("web", "shop");
    let sidecar = ["--service", "web", "--outbound", "127.0.0.1:0"];
    let mut proxy = limited("detect", &mesh, "detect-time=200ms", &sidecar);
    let line = proxy.hears("web.default on ");
    let mut stream = TcpStream::connect(line.rsplit(' ').next().unwrap().trim()).unwrap();
    // Less than the default.
    stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    std::io::Write::write_all(&mut stream, b"PRI * HT").unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "it is closed");
}

#[test]
fn a_client_of_http_2_is_told_the_windows_and_streams_that_are_said() {
    let limits =
        "http2-streams=7,http2-stream-window=128KiB,http2-connection-window=3MiB,http2-header-bytes=16KiB";
    let mesh = mesh().respond("x", 200, "x").speaks(Protocol::Http2, Protocol::Http2);
    let mut proxy = limited("windows", &mesh, limits, &[]);
    proxy.opens();
    let mut frames = Frames::begin(proxy.edge);
    let (.., settings) = frames.next_of(SETTINGS).unwrap();
    let setting = |id: u16| {
        let own = settings.chunks(6).find(|own| own[..2] == id.to_be_bytes()).unwrap();
        u32::from_be_bytes(own[2..].try_into().unwrap())
    };
    // MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE and MAX_HEADER_LIST_SIZE (RFC 9113 6.5.2).
    assert_eq!((setting(3), setting(4), setting(6)), (7, 128 << 10, 16 << 10));
    let (.., more) = frames.next_of(WINDOW_UPDATE).unwrap();
    assert_eq!(u32::from_be_bytes(more.try_into().unwrap()), (3 << 20) - 65_535);
}

/// What a client writes.
type Flood<'f> = &'f dyn Fn(&mut Frames);

#[test]
fn floods_of_http_2_end_where_it_is_said() {
    let limits =
        "http2-resets=5,http2-own-resets=5,http2-control-frames=20,http2-empty-data=5,http2-continuations=2";
    let mesh = mesh().respond("x", 200, "x").speaks(Protocol::Http2, Protocol::Http2);
    let mut proxy = limited("floods", &mesh, limits, &[]);
    proxy.opens();
    let told = |flood: Flood<'_>| {
        let mut frames = Frames::begin(proxy.edge);
        flood(&mut frames);
        let (.., payload) = frames.next_of(GOAWAY)?;
        Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()))
    };
    let each_stream = |frames: &mut Frames, kind: u8, payload: &[u8]| {
        for stream in 0..8 {
            frames.headers(stream * 2 + 1, 0x4, b"");
            frames.write(kind, 0, stream * 2 + 1, payload);
        }
    };
    let floods: [(&str, Flood<'_>); 5] = [
        ("http2-resets", &|frames| each_stream(frames, 3, &[0, 0, 0, 8])),
        // A window that is opened too far is an error of its stream, which is reset for it.
        ("http2-own-resets", &|frames| each_stream(frames, WINDOW_UPDATE, &[0x7f, 0xff, 0xff, 0xff])),
        ("http2-control-frames", &|frames| (0..30).for_each(|_| frames.write(6, 0, 0, &[0; 8]))),
        ("http2-empty-data", &|frames| {
            frames.headers(1, 0x4, b"");
            (0..6).for_each(|_| frames.write(0, 0, 1, b""));
        }),
        ("http2-continuations", &|frames| {
            frames.headers(1, 0x1, b"");
            (0..3).for_each(|_| frames.write(9, 0, 1, b""));
        }),
    ];
    for (limit, flood) in floods {
        assert_eq!(told(flood), Some(ENHANCE_YOUR_CALM), "{limit}");
    }
}

#[test]
fn a_head_is_as_long_as_is_said_and_comes_in_the_time_that_is_said() {
    let mesh = mesh().respond("x", 200, "x");
    let mut proxy = limited("heads", &mesh, "head-bytes=4KiB,head-fields=10,head-time=300ms", &[]);
    proxy.opens();
    let asks = |more: &str| {
        let mut client = Client::new(proxy.edge);
        client.write(format!("GET /x HTTP/1.1\r\nhost: a\r\n{more}\r\n").as_bytes());
        client.read().unwrap().status()
    };
    let long = |count| asks(&format!("x: {}\r\n", "y".repeat(count)));
    assert_eq!((long(4_000), long(4_096)), (200, 431));
    assert_eq!((asks(&"x: y\r\n".repeat(9)), asks(&"x: y\r\n".repeat(10))), (200, 431));
    let mut slow = Client::new(proxy.edge);
    slow.write(b"GET /x HTTP/1.1\r\nho");
    // Sooner than by default, which is as long as this client waits.
    assert!(slow.is_closed());
}

#[test]
fn a_connection_without_a_request_ends_in_the_time_that_is_said() {
    let mesh = mesh().respond("x", 200, "x");
    let mut proxy = limited("idle", &mesh, "idle-time=300ms", &[]);
    proxy.opens();
    let mut client = Client::new(proxy.edge);
    assert_eq!(client.get("/x").unwrap().status(), 200);
    assert!(client.is_closed());
}

#[test]
fn an_answer_that_nobody_takes_ends_in_the_time_that_is_said() {
    // More than all buffers on the way hold.
    const LENGTH: usize = 64 << 20;
    let shop = upstream(|_, _| ok(&"x".repeat(LENGTH)));
    let mesh = mesh().to("shop", shop.address);
    let mut proxy = limited("stalls", &mesh, "stall-time=300ms", &[]);
    proxy.opens();
    let mut client = TcpStream::connect(proxy.edge).unwrap();
    std::io::Write::write_all(&mut client, b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut taken = Vec::new();
    // Cut off or reset: in any case it is not all of it.
    let _ = client.read_to_end(&mut taken);
    assert!(taken.len() < LENGTH, "{}", taken.len());
}
