//! What connections cost on which nothing happens.

use mesh_tests::process::{Running, mesh_proxy};
use mesh_tests::project::Project;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

/// As many as a process may open without asking for more.
const CONNECTIONS: usize = 500;
/// KiB of each. What a request needs while it is under way is not kept for one that may come.
const MOST: usize = 8;

#[test]
fn a_connection_that_says_little_costs_little() {
    let text = "gateway edge { listener web port 80 http { host \"*\" } }\nauthorize edge { allow from anyone }\n\
                route edge { otherwise 404 }\nservice s { port 80 http }\nauthorize s { allow from gateway edge }\n";
    let plan = Project::parse(text).compile().plan.expect("it compiles");
    let path = std::env::temp_dir().join(format!("mesh-idle-{:x}.mplan", fastrand::u64(..)));
    std::fs::write(&path, mesh_plan::encode(&plan).unwrap()).unwrap();
    let proxy = Running::start(
        mesh_proxy()
            .args(["--service", "s", "--outbound", "127.0.0.1:0", "--workers", "1", "--plan"])
            .arg(&path),
    );
    let said = proxy.wait_for("127.0.0.1:");
    let address = said.split_whitespace().find_map(|word| word.trim_matches(',').parse().ok());
    let address: SocketAddr = address.unwrap_or_else(|| panic!("no address in `{said}`"));
    let kib = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    // What the first ones need is needed once.
    let open = |count| -> Vec<TcpStream> {
        let one = |_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: s\r\n").unwrap();
            stream
        };
        (0..count).map(one).collect()
    };
    let (_first, before) = (open(20), kib());
    let others = open(CONNECTIONS);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let each = kib().saturating_sub(before) / others.len();
    std::fs::remove_file(&path).unwrap();
    assert!(each <= MOST, "{each} KiB for each connection");
}
