//! The binary: a plan's file, signals and exit codes.

use crate::plans::{Mesh, mesh};
use crate::wire::{Client, Does, get, upstream};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// A running `mesh-proxy`, and what it says.
struct Running {
    child: Child,
    says: BufReader<ChildStderr>,
    edge: SocketAddr,
}

/// A directory of its own for each test.
fn directory(test: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("mesh-proxy-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

fn command(plan: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-proxy"));
    command.arg("--plan").arg(plan).args(["--gateway", "edge", "--bind", "127.0.0.1", "--workers", "2"]);
    command
}

/// Puts a plan in its place at once, as writers do.
fn put(mesh: &Mesh, plan: &Path) {
    let beside = plan.with_extension("new");
    std::fs::write(&beside, mesh.bytes()).unwrap();
    std::fs::rename(beside, plan).unwrap();
}

fn free_port() -> u16 {
    crate::wire::nobody().port()
}

fn run(plan: &Path) -> Running {
    let mut child = command(plan).stderr(Stdio::piped()).spawn().unwrap();
    let says = BufReader::new(child.stderr.take().unwrap());
    let mut running = Running { child, says, edge: SocketAddr::new(crate::LOOPBACK, 0) };
    let opened = running.hears("edge.default/http on ");
    running.edge = opened.rsplit(' ').next().unwrap().trim().parse().unwrap();
    running.hears("serving plan");
    running
}

impl Running {
    /// The next line that holds `text`.
    fn hears(&mut self, text: &str) -> String {
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

    std::fs::write(&plan, b"no plan").unwrap();
    let error = proxy.hears("keeps serving");
    assert!(error.contains("shop.mplan") && error.contains("error: "), "{error}");
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
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let says = BufReader::new(child.stderr.take().unwrap());
    let mut proxy = Running { child, says, edge: SocketAddr::new(crate::LOOPBACK, 0) };
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
    assert_eq!(proxy.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_log_on_standard_output_is_nothing_but_lines_of_requests() {
    let plan = directory("log").join("shop.mplan");
    put(&mesh().respond("x", 200, "x").listener_port(free_port()), &plan);
    let mut command = command(&plan);
    command.args(["--access-log", "stdout"]).stderr(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let says = BufReader::new(child.stderr.take().unwrap());
    let mut proxy = Running { child, says, edge: SocketAddr::new(crate::LOOPBACK, 0) };
    let opened = proxy.hears("edge.default/http on ");
    get(opened.rsplit(' ').next().unwrap().trim().parse().unwrap(), "/x");
    proxy.signal("-TERM");
    let output = proxy.child.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.starts_with("{\"time\":\"20") && lines.lines().count() == 1, "{lines}");
}
