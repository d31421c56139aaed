//! What connections cost on which nothing happens.

use mesh_tests::harness::free_address;
use mesh_tests::process::{Running, mesh_proxy};
use mesh_tests::project::Project;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// As many as a process may open without asking for more, both of their ends.
const CONNECTIONS: usize = 450;
/// KiB of each. What a request needs while it is under way is not kept for one that may come.
const MOST: usize = 8;
/// KiB of each of which bytes are passed on, both of its sides.
const MOST_OF_BYTES: usize = 8;

/// A proxy with one worker.
struct Proxy {
    running: Running,
    plan: PathBuf,
}

impl Proxy {
    fn start(text: &str, arguments: &[&str]) -> Proxy {
        let compiled = Project::parse(text).compile().plan.expect("it compiles");
        let plan = std::env::temp_dir().join(format!("mesh-idle-{:x}.mplan", fastrand::u64(..)));
        std::fs::write(&plan, mesh_plan::encode(&compiled).unwrap()).unwrap();
        let running =
            Running::start(mesh_proxy().args(arguments).args(["--workers", "1", "--plan"]).arg(&plan));
        Proxy { running, plan }
    }

    /// KiB that are resident.
    fn kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// KiB that each connection takes which is opened like this. What the first ones need is needed once.
    fn each(&self, open: impl Fn() -> TcpStream) -> usize {
        let _first: Vec<TcpStream> = (0..20).map(|_| open()).collect();
        std::thread::sleep(Duration::from_millis(300));
        let before = self.kib();
        let others: Vec<TcpStream> = (0..CONNECTIONS).map(|_| open()).collect();
        std::thread::sleep(Duration::from_millis(300));
        self.kib().saturating_sub(before) / others.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It is in a directory for what is not needed for long.
        let _ = std::fs::remove_file(&self.plan);
    }
}

#[test]
fn a_connection_that_says_little_costs_little() {
    let text = "gateway edge { listener web port 80 http { host \"*\" } }\nauthorize edge { allow from anyone }\n\
                route edge { otherwise 404 }\nservice s { port 80 http }\nauthorize s { allow from gateway edge }\n";
    let proxy = Proxy::start(text, &["--service", "s", "--outbound", "127.0.0.1:0"]);
    let said = proxy.running.wait_for("127.0.0.1:");
    let address = said.split_whitespace().find_map(|word| word.trim_matches(',').parse().ok());
    let address: SocketAddr = address.unwrap_or_else(|| panic!("no address in `{said}`"));
    let each = proxy.each(|| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: s\r\n").unwrap();
        stream
    });
    assert!(each <= MOST, "{each} KiB for each connection");
}

#[test]
fn a_connection_of_bytes_on_which_nothing_passes_costs_little() {
    let behind = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (front, upstream) = (free_address(), behind.local_addr().unwrap());
    std::thread::spawn(move || {
        // Kept as long as the test runs.
        let mut open = Vec::new();
        for mut stream in behind.incoming().map_while(Result::ok) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
            open.push(stream);
        }
    });
    let text = format!(
        "gateway edge {{ listener raw port {} tcp }}\nauthorize edge {{ allow from anyone }}\nroute edge {{ to s }}\n\
         service s {{ port 1 tcp; endpoints static \"{upstream}\" }}\nauthorize s {{ allow from gateway edge }}\n",
        front.port()
    );
    let proxy = Proxy::start(&text, &["--gateway", "edge", "--bind", "127.0.0.1"]);
    proxy.running.wait_for("serving plan");
    let each = proxy.each(|| {
        let mut stream = TcpStream::connect(front).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream
    });
    assert!(each <= MOST_OF_BYTES, "{each} KiB for each connection");
}
