//! The fixture: a policy compiled by our compiler, the real proxy under it, and an upstream that records bytes.

use crate::upstream::Upstream;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Which policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fixture {
    /// A: what is not denied is let in.
    #[default]
    Allow,
    /// D: what is not let in is refused.
    Deny,
}

const ALLOW: &str = include_str!("../fixture/allow.mesh");
const DENY: &str = include_str!("../fixture/deny.mesh");
const EVIL: &str = include_str!("../fixture/evil/evil.mesh");

/// What is set up: files of a project, where things listen, and how the proxy is called.
pub(crate) struct Setup {
    /// Of the directory and the plan.
    pub(crate) name: String,
    pub(crate) fixture: Fixture,
    /// Files of the project, in which these addresses stand.
    pub(crate) files: Vec<(String, String)>,
    /// What the proxy is told beside its plan.
    pub(crate) arguments: Vec<String>,
    /// Where HTTP/1.1 is spoken, and where HTTP/2.
    pub(crate) ports: [u16; 2],
}

/// What the rules that expectations name are called in the log.
const RULES: [(&str, &str); 8] = [
    ("d1", "deny to /admin"),
    ("d2", "deny when host"),
    ("d3", "deny when header \"x-role\""),
    ("d4", "deny when header \"x-internal\""),
    ("d5", "deny from unauthenticated to /mtls-only/**"),
    ("d6", "deny from namespace evil"),
    ("d7", "deny to DELETE /data/**"),
    ("d8", "deny to /admin.Admin/**"),
];

/// What the log says of a rule that an expectation names.
pub(crate) fn rule_text(name: &str) -> Option<&'static str> {
    RULES.iter().find(|(own, _)| *own == name).map(|(_, text)| *text)
}

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a connection has ended, its line is there within this.
const SETTLED: Duration = Duration::from_secs(2);

/// Where the programs are, and where their files go.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) mesh: PathBuf,
    pub(crate) proxy: PathBuf,
    pub(crate) scratch: PathBuf,
}

/// A fixture that runs, until it is dropped.
pub(crate) struct Running {
    pub(crate) fixture: Fixture,
    pub(crate) upstream: Upstream,
    /// Where HTTP/1.1 is spoken, and where HTTP/2.
    pub(crate) h1: SocketAddr,
    pub(crate) h2: SocketAddr,
    /// How the log says which plan decided.
    pub(crate) digest: String,
    proxy: Child,
    log: Arc<Mutex<Vec<String>>>,
    said: Arc<Mutex<Vec<String>>>,
}

/// Somebody who plays an upstream.
pub(crate) fn upstream() -> Result<Upstream, String> {
    Upstream::start().map_err(|error| format!("cannot start an upstream: {error}"))
}

/// Where the plan of a fixture is.
pub(crate) fn plan_of(name: &str, tools: &Tools) -> PathBuf {
    tools.scratch.join(format!("{name}.mplan"))
}

impl Running {
    pub(crate) fn start(fixture: Fixture, tools: &Tools) -> Result<Running, String> {
        let (name, text) = match fixture {
            Fixture::Allow => ("allow", ALLOW),
            Fixture::Deny => ("deny", DENY),
        };
        Running::with(fixture, name, text, None, tools)
    }

    /// Fixture A before somebody else, who speaks HTTP/2, and so agrees to no WebSocket.
    pub(crate) fn before_http2(name: &str, upstream: SocketAddr, tools: &Tools) -> Result<Running, String> {
        let text = ALLOW.replace("port 80 http", "port 80 http2").replace("    upgrade websocket\n", "");
        Running::with(Fixture::Allow, name, &text, Some(upstream), tools)
    }

    /// Fixture A, where so many proxies before the gateway are believed.
    pub(crate) fn trusting(hops: u32, tools: &Tools) -> Result<Running, String> {
        let text = ALLOW.replace("gateway edge {", &format!("gateway edge {{\n  trusted-hops {hops}"));
        Running::with(Fixture::Allow, &format!("trusting-{hops}"), &text, None, tools)
    }

    /// Fixture A, whose listeners decode slashes and strip parameters.
    pub(crate) fn relaxed(tools: &Tools) -> Result<Running, String> {
        let more = "host \"*\"\n    encoded-slashes decode\n    path-parameters strip";
        Running::with(Fixture::Allow, "relaxed", &ALLOW.replace("host \"*\"", more), None, tools)
    }

    /// `other`: who is behind it instead of the upstream that records.
    fn with(
        fixture: Fixture,
        name: &str,
        text: &str,
        other: Option<SocketAddr>,
        tools: &Tools,
    ) -> Result<Running, String> {
        let upstream = upstream()?;
        let ports = free_ports()?;
        let text = placed(text, ports, other.unwrap_or(upstream.address));
        let files = [("fixture.mesh", text.as_str()), ("evil/evil.mesh", EVIL)];
        let setup = Setup {
            name: name.to_owned(),
            fixture,
            files: files.map(|(file, text)| (file.to_owned(), text.to_owned())).to_vec(),
            arguments: ["--gateway", "edge", "--bind", "127.0.0.1"].map(str::to_owned).to_vec(),
            ports,
        };
        Running::launch(setup, upstream, tools)
    }

    /// Compiles a project and starts the proxy with its plan.
    pub(crate) fn launch(setup: Setup, upstream: Upstream, tools: &Tools) -> Result<Running, String> {
        let directory = tools.scratch.join(&setup.name);
        for (file, text) in &setup.files {
            write(&directory.join(file), text)?;
        }
        let plan = plan_of(&setup.name, tools);
        let digest = build(tools, &directory, &plan)?;
        let mut proxy = Command::new(&tools.proxy)
            .arg("--plan")
            .arg(&plan)
            .args(&setup.arguments)
            .args(["--access-log", "stdout", "--workers", "2"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", tools.proxy.display()))?;
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(out) = proxy.stdout.take() {
            let log = log.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                    // A line that is no UTF-8 is one for the oracles to find.
                    let line = String::from_utf8(line).unwrap_or_else(|_| "not UTF-8".to_owned());
                    log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        let said = Arc::new(Mutex::new(Vec::new()));
        wait_until_served(&mut proxy, &said)?;
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let [h1, h2] = setup.ports.map(address);
        Ok(Running { fixture: setup.fixture, upstream, h1, h2, digest, proxy, log, said })
    }

    /// What the proxy says on its standard error.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lines of the log from the given one on.
    pub(crate) fn log_after(&self, count: usize) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().skip(count).cloned().collect()
    }

    pub(crate) fn log_length(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits a while until the log has so many lines: each worker writes its own, and one that is later may stand before.
    pub(crate) fn await_lines(&self, count: usize) {
        let began = Instant::now();
        while self.log_length() < count && began.elapsed() < SETTLED {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.proxy.try_wait(), Ok(None))
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.proxy.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

/// A fixture's text with the addresses of this one.
fn placed(text: &str, [h1, h2]: [u16; 2], upstream: SocketAddr) -> String {
    let text = text.replace("28080", &h1.to_string()).replace("28081", &h2.to_string());
    text.replace("127.0.0.1:28090", &upstream.to_string())
}

/// Compiles fixture A for a proxy that somebody starts himself, into the plan of this name.
pub(crate) fn compile_allow(
    name: &str,
    ports: [u16; 2],
    upstream: SocketAddr,
    tools: &Tools,
) -> Result<PathBuf, String> {
    let directory = tools.scratch.join(name);
    write(&directory.join("fixture.mesh"), &placed(ALLOW, ports, upstream))?;
    write(&directory.join("evil/evil.mesh"), EVIL)?;
    let plan = plan_of(name, tools);
    build(tools, &directory, &plan)?;
    Ok(plan)
}

/// The proxy as the kernel sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn of(child: &Child) -> Process {
        Process(child.id())
    }

    /// Bytes of memory that it holds.
    pub(crate) fn memory(self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        kib.unwrap_or_default() << 10
    }

    /// Processor time that it has taken.
    pub(crate) fn processor(self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        let fields: Vec<u64> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        // Fields 14 and 15 of all: the state and what is before it are no numbers. A tick is 10 ms on every Linux.
        let ticks = fields.get(10).unwrap_or(&0) + fields.get(11).unwrap_or(&0);
        Duration::from_millis(ticks * 10)
    }

    /// Open files.
    pub(crate) fn files(self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0)).map_or(0, Iterator::count)
    }
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Compiles a project. Returns the first digits of the plan's digest.
pub(crate) fn build(tools: &Tools, project: &Path, plan: &Path) -> Result<String, String> {
    let built = Command::new(&tools.mesh)
        .args(["build", "--format", "plain", "-o"])
        .args([plan, project])
        .output()
        .map_err(|error| format!("cannot run {}: {error}", tools.mesh.display()))?;
    let said = String::from_utf8_lossy(&built.stdout).into_owned() + &String::from_utf8_lossy(&built.stderr);
    if !built.status.success() {
        return Err(format!("the fixture does not compile:\n{said}"));
    }
    let digest = said.split_once("digest ").map(|(_, rest)| rest.chars().take_while(char::is_ascii_hexdigit));
    digest.map(Iterator::collect).ok_or(format!("`mesh build` does not say a digest:\n{said}"))
}

fn wait_until_served(proxy: &mut Child, said: &Arc<Mutex<Vec<String>>>) -> Result<(), String> {
    let Some(errors) = proxy.stderr.take() else { return Err("the proxy has no standard error".to_owned()) };
    let own = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            own.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    let lines = || said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let began = Instant::now();
    while began.elapsed() < PATIENCE && matches!(proxy.try_wait(), Ok(None)) {
        if lines().iter().any(|line| line.contains("serving plan")) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // What has ended has said why, and may just not be read yet.
    std::thread::sleep(Duration::from_millis(100));
    Err(format!("the proxy does not serve:\n{}", lines().join("\n")))
}

/// Ports that nobody listens on. Who asks the kernel for any port gets one from 32,768 on.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    let first = 20_000 + (std::process::id().wrapping_mul(101) % 10_000) as u16;
    let free = (first..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    static TAKEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let ports: Vec<u16> = free.filter(|port| !taken.contains(port)).take(N).collect();
    taken.extend(&ports);
    ports.try_into().map_err(|_| "no port is free".to_owned())
}
