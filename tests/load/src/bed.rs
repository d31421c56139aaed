//! What a measurement is made with: upstreams as processes, a compiled project, and the real `mesh-proxy` under its plan.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the programs are, and where files go.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) mesh: PathBuf,
    pub(crate) proxy: PathBuf,
    pub(crate) scratch: PathBuf,
}

/// An upstream that runs until it is killed or dropped, and can be started again at the same place.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) journal: PathBuf,
    arguments: Vec<String>,
    child: Child,
}

impl Upstream {
    /// Starts one that answers in this way: arguments of `mesh-load upstream`.
    pub(crate) fn start(tools: &Tools, name: &str, arguments: &[&str]) -> Result<Upstream, String> {
        let address = free_address()?;
        let journal = tools.scratch.join(format!("{name}.journal"));
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = spawn(address, &journal, &arguments)?;
        Ok(Upstream { address, journal, arguments, child })
    }

    /// Several of the same kind.
    pub(crate) fn several<const N: usize>(
        tools: &Tools,
        names: [&str; N],
        arguments: &[&str],
    ) -> Result<Vec<Upstream>, String> {
        names.iter().map(|name| Upstream::start(tools, name, arguments)).collect()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The same at the same place, once it was killed.
    pub(crate) fn again(&mut self) -> Result<(), String> {
        self.child = spawn(self.address, &self.journal, &self.arguments)?;
        Ok(())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(address: SocketAddr, journal: &Path, arguments: &[String]) -> Result<Child, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(own)
        .args(["upstream", "--listen", &address.to_string(), "--journal"])
        .arg(journal)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start an upstream: {error}"))?;
    wait_for(address)?;
    Ok(child)
}

fn wait_for(address: SocketAddr) -> Result<(), String> {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if began.elapsed() > PATIENCE {
            return Err(format!("nobody listens at {address}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// A port that nobody listens on, and that none got before. Who asks the kernel for any port gets one from 32,768 on.
pub(crate) fn free_address() -> Result<SocketAddr, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..10_000 {
        let offset =
            (std::process::id() as u16).wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = SocketAddr::from(([127, 0, 0, 1], 20_000 + offset % 10_000));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port is free".to_owned())
}

/// What the access log says of requests to one service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logged {
    pub(crate) lines: u64,
    /// Tries, first ones among them.
    pub(crate) attempts: u64,
    pub(crate) flags: BTreeMap<String, u64>,
    /// Requests that were tried more than once.
    pub(crate) retried: BTreeSet<u64>,
}

type Log = BTreeMap<String, Logged>;

/// The proxy of a gateway `edge`, until it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    child: Child,
    log: Arc<Mutex<Log>>,
}

impl Proxy {
    /// Compiles what is behind a gateway, of which `text` is routes and services, and starts the proxy before it.
    pub(crate) fn start(tools: &Tools, name: &str, text: &str) -> Result<Proxy, String> {
        let address = free_address()?;
        let project = tools.scratch.join(name);
        let plan = tools.scratch.join(format!("{name}.mplan"));
        let port = address.port();
        let edge = format!(
            "gateway edge {{\n  listener web port {port} http {{\n    host \"*\"\n  }}\n}}\n\n\
             authorize edge {{\n  allow from anyone\n}}\n\n"
        );
        let written = std::fs::create_dir_all(&project)
            .and_then(|()| std::fs::write(project.join(format!("{name}.mesh")), edge + text));
        written.map_err(|error| format!("cannot write {}: {error}", project.display()))?;
        build(tools, &project, &plan)?;
        let mut child = Command::new(&tools.proxy)
            .arg("--plan")
            .arg(&plan)
            .args(["--gateway", "edge", "--bind", "127.0.0.1", "--access-log", "stdout"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", tools.proxy.display()))?;
        let log: Arc<Mutex<Log>> = Arc::default();
        if let Some(out) = child.stdout.take() {
            let log = log.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    take_in(&mut held(&log), &line);
                }
            });
        }
        let proxy = Proxy { address, child, log };
        wait_for(address)?;
        Ok(proxy)
    }

    /// What the log says of a service, once it has so many lines of it.
    pub(crate) fn logged(&self, service: &str, lines: u64) -> Result<Logged, String> {
        let began = Instant::now();
        loop {
            let logged = held(&self.log).get(service).cloned().unwrap_or_default();
            if logged.lines >= lines {
                return Ok(logged);
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{} lines of {service} in the log, and not {lines}", logged.lines));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Logged {
    /// The flags, for a line.
    pub(crate) fn flags(&self) -> String {
        let flags: Vec<String> = self.flags.iter().map(|(flag, count)| format!("{count} × {flag}")).collect();
        if flags.is_empty() { "no flags".to_owned() } else { flags.join(", ") }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn held(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Quotes inside of values are escaped, so no value can look like a name. Reading whole objects would take longer than making them.
fn take_in(log: &mut Log, line: &str) {
    let text = |name: &str| Some(line.split_once(&format!("\"{name}\":\""))?.1.split_once('"')?.0);
    let number = line.split_once("\"attempts\":").and_then(|(_, rest)| rest.split_once(','));
    let attempts = number.and_then(|(number, _)| number.parse().ok()).unwrap_or(0);
    // All are in one namespace, which stands behind the name.
    let service = text("service").and_then(|name| name.split('.').next()).unwrap_or_default();
    let own = log.entry(service.to_owned()).or_default();
    own.lines += 1;
    own.attempts += attempts;
    if attempts > 1 {
        own.retried.extend(text("request_id").and_then(|id| id.parse::<u64>().ok()));
    }
    for flag in text("flags").unwrap_or_default().split(',').filter(|flag| !flag.is_empty()) {
        *own.flags.entry(flag.to_owned()).or_default() += 1;
    }
}

fn build(tools: &Tools, project: &Path, plan: &Path) -> Result<(), String> {
    let built = Command::new(&tools.mesh)
        .args(["build", "--format", "plain", "-o"])
        .args([plan, project])
        .output()
        .map_err(|error| format!("cannot run {}: {error}", tools.mesh.display()))?;
    if built.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&built.stdout).into_owned() + &String::from_utf8_lossy(&built.stderr);
    Err(format!("the project does not compile:\n{said}"))
}
