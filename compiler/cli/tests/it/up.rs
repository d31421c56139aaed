//! `mesh up`, as a process: real sockets, real signals, real saves.

use crate::harness::{Project, SHOP};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A busy machine may take long; a test that hangs should not.
const PATIENCE: Duration = Duration::from_secs(30);

struct Up {
    process: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Up {
    fn start(project: &Project, args: &[&str]) -> Up {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mesh"))
            .arg("up")
            .arg(project.at(""))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in errors.lines() {
                if sender.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        Up { process, lines, seen: Vec::new() }
    }

    /// The next line that has this in it.
    #[track_caller]
    fn expect(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("`{text}` does not come; so far:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// The address in the next line that has this in it.
    #[track_caller]
    fn address(&mut self, text: &str) -> SocketAddr {
        let line = self.expect(text);
        let (_, address) = line.split_once("http://").unwrap();
        address.split_whitespace().next().unwrap().parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(name).arg(self.process.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    fn wait(mut self) -> (Option<i32>, String) {
        let status = self.process.wait().unwrap();
        let mut out = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (status.code(), out)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request on a connection of its own: status and body.
fn get(address: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// What a stand-in says it is.
#[track_caller]
fn subset(address: SocketAddr, headers: &str) -> String {
    let (status, body) = get(address, "/", headers);
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["service"], "web.default");
    answer["subset"].as_str().unwrap().to_owned()
}

/// A port that nobody listens on and nobody gets by chance: who asks the kernel for any port gets one from 32,768 on, and each call
/// here gives another. Two runs of the tests at once begin at different ones.
fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(101);
    let port = || FIRST + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let mut ports = std::iter::repeat_with(|| port() as u16);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// The shop on a port of this test's own.
fn shop() -> String {
    SHOP.replace("8080", &free_port().to_string())
}

#[test]
fn a_save_takes_effect_and_a_broken_one_does_not() {
    let shop = shop();
    let project = Project::new(&[("shop.mesh", &shop)]);
    let mut up = Up::start(&project, &[]);
    let gateway = up.address("gateway   edge.default (http)");
    up.expect("stand-in  web.default");
    up.expect("  # rule testers");
    up.expect("  curl -s -H 'end-user: jason'");
    up.expect("save a file to re-plan");
    assert_eq!(subset(gateway, ""), "v1");
    assert_eq!(subset(gateway, "end-user: jason\r\n"), "v2");

    project.write("shop.mesh", shop.replace("to web:v1", "too web:v2"));
    up.expect("MESH1007");
    up.expect("shop.mesh:23:5");
    up.expect("the old plan keeps serving");
    assert_eq!(subset(gateway, ""), "v1");

    project.write("shop.mesh", shop.replace("to web:v1", "to web:v2"));
    up.expect("re-planned in");
    assert_eq!(subset(gateway, ""), "v2");

    project.write("shop.mesh", format!("# A comment.\n{}", shop.replace("to web:v1", "to web:v2")));
    up.expect("no change to the plan");

    up.signal("-TERM");
    assert_eq!(up.wait(), (Some(0), String::new()));
}

#[test]
fn a_save_can_add_services_gateways_and_subsets() {
    let shop = shop();
    let project = Project::new(&[("shop.mesh", &shop)]);
    let mut up = Up::start(&project, &[]);
    let gateway = up.address("gateway   edge.default (http)");
    up.expect("save a file to re-plan");

    let more = "service cart {\n  port 80 http\n  calls web to GET /\n}\n\
        gateway side {\n  listener http port PORT http {\n    host \"*\"\n  }\n}\n\
        route side {\n  to cart\n}\n\
        authorize side {\n  allow from anyone\n}\n\
        authorize cart {\n  allow from gateway side\n}\n\
        authorize web {\n  allow from cart\n}\n";
    project.write("more.mesh", more.replace("PORT", &free_port().to_string()));
    up.expect("(new: more.mesh)");
    let side = up.address("  + gateway   side.default (http)");
    up.expect("  + sidecar   cart.default");
    up.expect("  + stand-in  cart.default");

    let (status, body) = get(side, "/", "end-user: jason\r\n");
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["service"], "cart.default");
    let call = &answer["calls"][0];
    assert_eq!(
        (&call["call"], &call["status"]),
        (&"GET http://web.default:80/".into(), &200.into()),
        "{body}"
    );
    assert_eq!(call["body"]["subset"], "v2", "the header went along: {body}");

    std::fs::remove_file(project.at("more.mesh")).unwrap();
    up.expect("(removed: more.mesh)");
    up.expect("  - gateway   side.default (http)");
    up.expect("  - sidecar   cart.default");
    up.expect("  - stand-in  cart.default");
    assert!(is_closed(side));
    assert_eq!(subset(gateway, ""), "v1");
}

/// Nobody answers there. The kernel may have accepted a connection just before the door closed.
fn is_closed(address: SocketAddr) -> bool {
    match TcpStream::connect(address) {
        Err(_) => true,
        Ok(mut stream) => {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            !matches!(stream.read(&mut [0]), Ok(1))
        }
    }
}

#[test]
fn a_taken_port_is_said_and_another_one_found() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let project = Project::new(&[("shop.mesh", &SHOP.replace("8080", &port.to_string()))]);
    let mut up = Up::start(&project, &["--access-log"]);
    up.expect(&format!("note: port {port} is taken, so `edge.default` (http) listens on port "));
    let gateway = up.address("gateway   edge.default (http)");
    assert_ne!(gateway.port(), port);
    assert_eq!(subset(gateway, ""), "v1");
    assert_eq!(get(gateway, "/", "host: again\r\n").0, 400);
    up.signal("-INT");
    let (code, out) = up.wait();
    assert_eq!(code, Some(0));
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["status"], 200, "{out}");
}

#[test]
fn a_second_signal_does_not_wait_for_requests_in_flight() {
    // A backend that takes a request and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("endpoints static \"{}\"", silent.local_addr().unwrap());
    let shop = shop()
        .replace("subset v1 label version = \"v1\"", &endpoint)
        .replace("  subset v2 label version = \"v2\"\n", "")
        .replace("web:v1", "web")
        .replace("web:v2", "web");
    let project = Project::new(&[("shop.mesh", &shop)]);
    let mut up = Up::start(&project, &[]);
    let gateway = up.address("gateway   edge.default (http)");
    up.expect("save a file to re-plan");
    let mut client = TcpStream::connect(gateway).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n").unwrap();
    let (_request, _) = silent.accept().unwrap();

    up.signal("-INT");
    up.expect("Ctrl-C again to stop at once");
    up.signal("-INT");
    assert_eq!(up.wait().0, Some(130));
}

#[test]
fn a_project_with_errors_does_not_start() {
    let project = Project::new(&[("shop.mesh", &SHOP.replace("to web:v1", "too web:v1"))]);
    let mut up = Up::start(&project, &[]);
    up.expect("MESH1007");
    assert_eq!(up.wait().0, Some(1));
}

#[test]
fn a_place_that_is_not_there_does_not_start() {
    let ran = crate::harness::mesh(&["up", "/no/such/place"], b"");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot read `/no/such/place`"), "{}", ran.err);
}

#[test]
fn a_port_written_later_is_taken_up_and_the_one_that_is_not_had_is_said_again() {
    let port = free_port();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (shop, other) = (SHOP.replace("8080", &port.to_string()), free_port());
    let project = Project::new(&[("shop.mesh", &shop)]);
    let mut up = Up::start(&project, &[]);
    let elsewhere = up.address("gateway   edge.default (http)");
    up.expect("save a file to re-plan");

    project.write("shop.mesh", shop.replace("to web:v1", "to web:v2"));
    up.expect("re-planned in");
    let again =
        format!("note: `edge.default` (http) still listens on port {}, not on {port}", elsewhere.port());
    up.expect(&again);
    assert_eq!(subset(elsewhere, ""), "v2");
    project.write("more.mesh", "# Nothing.\n");
    up.expect("no change to the plan");
    up.expect(&again);

    project.write("shop.mesh", SHOP.replace("8080", &other.to_string()));
    up.expect("re-planned in");
    up.expect(&format!("  - gateway   {:<28}  http://{elsewhere}", "edge.default (http)"));
    assert_eq!(up.address("  + gateway   edge.default (http)").port(), other);

    drop(taken);
    project.write("shop.mesh", &shop);
    up.expect("re-planned in");
    assert_eq!(up.address("  + gateway   edge.default (http)").port(), port, "it is free now");
}

#[test]
fn the_digest_is_that_of_the_plan_that_build_writes() {
    let shop = shop();
    let project = Project::new(&[("shop.mesh", &shop)]);
    let built = project.mesh(&["build", "{}", "-o", "{}/plan.mplan", "--format", "json"]);
    let report: Value = serde_json::from_str(&built.out).unwrap();
    let digest = &report["plan"]["digest"].as_str().unwrap()[..12];
    let mut up = Up::start(&project, &[]);
    up.expect(&format!("digest {digest}…"));
}

#[test]
fn a_repair_that_leads_back_to_the_plan_says_that_all_is_well() {
    let shop = shop();
    let project = Project::new(&[("shop.mesh", &shop)]);
    let mut up = Up::start(&project, &[]);
    up.expect("save a file to re-plan");
    project.write("shop.mesh", shop.replace("to web:v1", "too web:v1"));
    up.expect("the old plan keeps serving  (changed: shop.mesh)");
    project.write("shop.mesh", &shop);
    up.expect("all is well again; the plan is as it was  (changed: shop.mesh)");

    std::os::unix::fs::symlink("nowhere.mesh", project.at("x.mesh")).unwrap();
    up.expect("it is a broken link to `nowhere.mesh`");
    let said = up.expect("the old plan keeps serving");
    assert_eq!(said, "the old plan keeps serving", "no file changed");
    std::fs::remove_file(project.at("x.mesh")).unwrap();
    up.expect("all is well again");
}

#[test]
fn quiet_prints_the_addresses_of_the_gateways_and_nothing_else() {
    let project = Project::new(&[("shop.mesh", &shop())]);
    let mut up = Up::start(&project, &["-q"]);
    let mut line = String::new();
    BufReader::new(up.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let gateway = line.trim_end().strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(subset(gateway, ""), "v1");
    up.signal("-TERM");
    assert!(up.lines.recv_timeout(PATIENCE).is_err(), "nothing is said");
}

#[test]
fn a_stand_in_ends_the_tls_that_is_passed_on_to_it() {
    let port = free_port();
    let text = format!(
        "gateway edge {{ listener web port {port} tls {{ host \"shop.test\"; tls passthrough }} }}\n\
         authorize edge {{ allow from anyone }}\nroute edge {{ to shop }}\n\
         service shop {{ port 443 tls }}\nauthorize shop {{ allow from gateway edge }}\n"
    );
    let project = Project::new(&[("shop.mesh", &text)]);
    let mut up = Up::start(&project, &[]);
    let line = up.expect("tls://");
    let address = line.split_once("tls://").unwrap().1.trim();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("shop.test").unwrap();
    let mut hello = Vec::new();
    rustls::ClientConnection::new(config.into(), name).unwrap().write_tls(&mut hello).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&hello).unwrap();
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).unwrap();
    // A record of a handshake with a ServerHello in it (RFC 8446 5.1 and 4).
    assert_eq!((answer[0], answer[5]), (22, 2));
}

#[test]
fn a_program_is_not_spoken_to() {
    let project = Project::new(&[("shop.mesh", SHOP)]);
    for format in ["json", "jsonl"] {
        let ran = project.mesh(&["up", "{}", "--format", format]);
        assert_eq!(ran.code, 2);
        assert!(ran.err.starts_with("error: mesh up does not print JSON"), "{}", ran.err);
        assert!(ran.out.contains("\"error\""), "{}", ran.out);
    }
}
