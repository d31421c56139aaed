//! The binary: a plan's file, signals and exit codes.

use crate::plans::{Mesh, mesh};
use crate::wire::{Client, Does, Message, free_port, get, upstream};
use mesh_plan::{REFUSED, Vector, encode};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// A running `mesh-proxy`, and what it says.
pub(crate) struct Running {
    child: Child,
    says: BufReader<ChildStderr>,
    pub(crate) edge: SocketAddr,
}

/// A directory of its own for each test.
pub(crate) fn directory(test: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("mesh-proxy-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

pub(crate) fn command(plan: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-proxy"));
    command.arg("--plan").arg(plan).args(["--gateway", "edge", "--bind", "127.0.0.1", "--workers", "2"]);
    command
}

/// Puts a plan in its place at once, as writers do.
pub(crate) fn put(mesh: &Mesh, plan: &Path) {
    let beside = plan.with_extension("new");
    std::fs::write(&beside, mesh.bytes()).unwrap();
    std::fs::rename(beside, plan).unwrap();
}

/// The address that a line ends with.
fn address_in(line: &str) -> SocketAddr {
    line.rsplit(' ').next().unwrap().trim().parse().unwrap()
}

fn run(plan: &Path) -> Running {
    let mut running = Running::start(command(plan));
    running.opens();
    running.hears("serving plan");
    running
}

/// A test that fails leaves no process behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(child.stderr.take().unwrap());
        Running { child, says, edge: SocketAddr::new(crate::LOOPBACK, 0) }
    }

    /// Waits until it says where the gateway is.
    pub(crate) fn opens(&mut self) {
        let opened = self.hears("edge.default/http on ");
        self.edge = address_in(&opened);
    }

    /// What it has written to standard output, once it has ended.
    fn wrote(&mut self) -> String {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        out
    }

    /// The next line that holds `text`.
    pub(crate) fn hears(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.says.read_line(&mut line).unwrap(), 0, "it ended without saying `{text}`");
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

#[test]
fn a_plan_that_takes_the_place_of_another_is_served() {
    let plan = directory("reload").join("shop.mplan");
    let mesh = mesh().listener_port(free_port());
    put(&mesh.clone().respond("x", 200, "old"), &plan);
    let mut proxy = run(&plan);
    let mut client = Client::new(proxy.edge);
    assert_eq!(client.get("/x").unwrap().text(), "old");

    put(&mesh.clone().respond("x", 200, "new"), &plan);
    proxy.hears("serving plan");
    assert_eq!(client.get("/x").unwrap().text(), "new");

    // At once, too: a file that is only begun is another mistake.
    let beside = plan.with_extension("new");
    std::fs::write(&beside, b"no plan").unwrap();
    std::fs::rename(beside, &plan).unwrap();
    let error = proxy.hears("keeps serving");
    assert!(error.contains("shop.mplan is not taken over: it is neither a plan"), "{error}");
    assert_eq!(client.get("/x").unwrap().text(), "new");

    put(&mesh.respond("x", 200, "again"), &plan);
    proxy.hears("serving plan");
    proxy.signal("-HUP");
    proxy.hears("the plan is the same");
    assert_eq!(client.get("/x").unwrap().text(), "again");

    proxy.signal("-TERM");
    proxy.hears("ended");
    assert_eq!(proxy.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_plan_that_decides_otherwise_than_was_proved_is_not_served() {
    let path = directory("self-test").join("shop.mplan");
    let mesh = mesh().listener_port(free_port());
    put(&mesh.clone().respond("x", 200, "old"), &path);
    let mut proxy = run(&path);
    let mut client = Client::new(proxy.edge);
    assert_eq!(client.get("/x").unwrap().text(), "old");

    let mut plan = mesh.respond("x", 200, "new").plan();
    let vector = Vector { leaf: REFUSED, path: "/x/a".to_owned(), ..Vector::default() };
    let gateway = plan.gateways[0].listeners[0].partition as usize;
    plan.partitions[gateway].vectors.push(vector);
    std::fs::write(&path, encode(&plan).unwrap()).unwrap();
    let error = proxy.hears("keeps serving");
    assert!(
        error.contains("shop.mplan is not taken over: the plan fails its self-test: `GET /x/a` by nobody has to end in a refusal"),
        "{error}"
    );
    assert_eq!(client.get("/x").unwrap().text(), "old");

    let end = command(&path).output().unwrap();
    let error = String::from_utf8(end.stderr).unwrap();
    assert!(!end.status.success() && error.contains("fails its self-test"), "{error}");
}

#[test]
fn a_plan_is_needed_to_start() {
    let directory = directory("start");
    let missing = directory.join("missing.mplan");
    let output = command(&missing).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("missing.mplan") && error.contains("mesh build"), "{error}");

    let bad = directory.join("bad.mplan");
    std::fs::write(&bad, b"MESHPLAN").unwrap();
    let output = command(&bad).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("bad.mplan"), "{error}");

    let output = Command::new(env!("CARGO_BIN_EXE_mesh-proxy")).arg("--plan").arg(&bad).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "no doors");
}

#[test]
fn the_environment_says_what_flags_would() {
    let plan = directory("environment").join("shop.mplan");
    put(&mesh().respond("x", 200, "x").listener_port(free_port()), &plan);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-proxy"));
    command.env("MESH_PLAN", &plan).env("MESH_ALL_GATEWAYS", "true").env("MESH_BIND", "127.0.0.1");
    let mut proxy = Running::start(command);
    proxy.hears("edge.default/http on 127.0.0.1:");
    proxy.signal("-TERM");
    assert_eq!(proxy.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_first_signal_waits_for_what_is_in_flight_and_the_second_does_not() {
    let shop = upstream(|before, _| {
        let pause = if before == 0 { Duration::from_millis(500) } else { Duration::from_secs(30) };
        Does::Pauses(vec![], pause, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".into())
    });
    let plan = directory("signals").join("shop.mplan");
    put(&mesh().to("shop", shop.address).listener_port(free_port()), &plan);

    let mut proxy = run(&plan);
    let mut client = Client::new(proxy.edge);
    client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    proxy.signal("-INT");
    assert_eq!(client.read().unwrap().text(), "hello");
    assert_eq!(proxy.child.wait().unwrap().code(), Some(0));

    let mut proxy = run(&plan);
    let mut client = Client::new(proxy.edge);
    client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    proxy.signal("-TERM");
    proxy.hears("draining");
    proxy.signal("-TERM");
    proxy.hears("ended at once");
    assert_eq!(proxy.child.wait().unwrap().code(), Some(1));
}

#[test]
fn the_log_on_standard_output_is_nothing_but_lines_of_requests() {
    let plan = directory("log").join("shop.mplan");
    put(&mesh().respond("x", 200, "x").listener_port(free_port()), &plan);
    let mut command = command(&plan);
    command.args(["--access-log", "stdout"]);
    let mut proxy = Running::start(command);
    proxy.opens();
    get(proxy.edge, "/x");
    proxy.signal("-TERM");
    proxy.child.wait().unwrap();
    let lines = proxy.wrote();
    assert!(lines.starts_with("{\"time\":\"20") && lines.lines().count() == 1, "{lines}");

    let help = Command::new(env!("CARGO_BIN_EXE_mesh-proxy")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let pieces: Vec<&str> = lines.split('"').collect();
    let names: Vec<&str> =
        pieces.windows(2).filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0]).collect();
    assert_eq!(names.len(), 17, "{names:?}");
    for name in names {
        assert!(help.contains(&format!("\n  {name} ")), "--help does not say what `{name}` is");
    }
    for flag in ["UAEX", "NR", "UH", "UF", "UT", "UC", "URX", "DC"] {
        assert!(help.contains(&format!("\n  {flag} ")), "--help does not say what {flag} is");
    }
}

#[test]
fn a_drain_that_cuts_requests_off_is_no_success() {
    let shop = upstream(|_, _| Does::Pauses(vec![], Duration::from_secs(30), vec![]));
    let plan = directory("cut").join("shop.mplan");
    put(&mesh().to("shop", shop.address).listener_port(free_port()), &plan);
    let mut command = command(&plan);
    command.args(["--drain", "100ms"]);
    let mut proxy = Running::start(command);
    proxy.opens();
    let mut client = Client::new(proxy.edge);
    client.write(b"GET /shop HTTP/1.1\r\nhost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(100));
    proxy.signal("-TERM");
    assert!(proxy.hears("ended").ends_with("ended; cut 1 connection\n"));
    assert_eq!(proxy.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_variable_that_says_no_opens_nothing_and_an_empty_one_says_nothing() {
    let plan = directory("empty").join("shop.mplan");
    put(&mesh().respond("x", 200, "x").listener_port(free_port()), &plan);
    for no in ["false", "no", "0", ""] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-proxy"));
        let output = command.env("MESH_PLAN", &plan).env("MESH_ALL_GATEWAYS", no).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{no}: {error}");
        assert!(error.contains("there is nothing to serve"), "{no}: {error}");
    }
    for yes in ["true", "yes", "1"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-proxy"));
        command.env("MESH_PLAN", &plan).env("MESH_ALL_GATEWAYS", yes).env("MESH_BIND", "127.0.0.1");
        for empty in
            ["MESH_GATEWAY", "MESH_SERVICE", "MESH_OUTBOUND", "MESH_ADMIN", "MESH_WORKERS", "MESH_DRAIN"]
        {
            command.env(empty, "");
        }
        Running::start(command).hears("serving plan");
    }
}

#[test]
fn a_plan_that_is_not_taken_over_is_told_until_one_is() {
    let plan = directory("rejected").join("shop.mplan");
    let mesh = mesh().respond("x", 200, "x").listener_port(free_port());
    put(&mesh, &plan);
    let mut command = command(&plan);
    command.args(["--admin", "127.0.0.1:0"]);
    let mut proxy = Running::start(command);
    let admin = address_in(&proxy.hears("admin on "));
    proxy.hears("serving plan");
    let rejected = |message: Message| message.text().contains("\"rejected\":{\"since\":\"20");

    std::fs::remove_file(&plan).unwrap();
    let gone = proxy.hears("shop.mplan");
    assert!(gone.contains("is gone; plan ") && gone.contains("keeps serving"), "{gone}");
    std::fs::write(&plan, b"").unwrap();
    let back = proxy.hears("shop.mplan");
    assert!(back.contains("is back"), "it was told once that the file is gone: {back}");
    let error = proxy.hears("shop.mplan");
    assert!(error.contains("is not taken over: the file is empty; plan "), "{error}");
    assert!(rejected(get(admin, "/plan")));

    put(&mesh.clone().respond("y", 200, "y"), &plan);
    proxy.hears("serving plan");
    assert!(!rejected(get(admin, "/plan")));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    put(&mesh.listener_port(taken.local_addr().unwrap().port()), &plan);
    let error = proxy.hears("is not taken over");
    assert!(error.contains("address already in use") && !error.contains("os error"), "{error}");
    assert!(rejected(get(admin, "/plan")));
}

#[test]
fn a_swap_tells_of_the_doors_that_change() {
    let plan = directory("doors").join("shop.mplan");
    let mesh = mesh().respond("x", 200, "x").listener_port(free_port());
    put(&mesh, &plan);
    let mut proxy = run(&plan);
    put(&mesh.clone().respond("y", 200, "y"), &plan);
    let next = proxy.hears("");
    assert!(next.contains("serving plan"), "no door changed: {next}");
    let (old, port) = (proxy.edge, free_port());
    put(&mesh.listener_port(port), &plan);
    let closed = proxy.hears("");
    assert!(closed.contains(&format!("edge.default/http no longer on {old}")), "{closed}");
    proxy.opens();
    assert_eq!(proxy.edge.port(), port);
    proxy.hears("serving plan");
}
