//! The servers that are measured, each a process with one worker that demands certificates and passes requests on.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of `/proc/PID/stat`, which Linux counts in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A directory with certificates and configurations, removed in the end.
pub struct Place {
    directory: PathBuf,
    upstream: u16,
}

impl Place {
    /// Makes an authority, and a certificate each for the two services.
    pub fn new(upstream: u16) -> Place {
        let directory = std::env::temp_dir().join(format!("mesh-mutual-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let place = Place { directory, upstream };
        place.mesh(&["ca", "init", "local.test"]);
        for who in ["shop", "web"] {
            let id = format!("spiffe://local.test/ns/default/sa/{who}");
            place.mesh(&["ca", "issue", &id, "-o", who]);
        }
        let both = [fs::read(place.file("shop.pem")), fs::read(place.file("shop.key"))];
        let both = both.map(|part| part.expect("a certificate and its key")).concat();
        fs::write(place.file("shop.both"), both).expect("a file");
        place
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Ours first, and those of the others that are installed.
    pub fn contenders(&self) -> Vec<Contender> {
        let mut contenders = vec![self.ours()];
        contenders.extend(self.nginx());
        contenders.extend(self.haproxy());
        contenders
    }

    fn mesh(&self, arguments: &[&str]) {
        let done =
            Command::new(program("MESH", "mesh")).args(arguments).current_dir(&self.directory).output();
        let done = done.expect("mesh starts");
        assert!(done.status.success(), "mesh {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn ours(&self) -> Contender {
        let sources = self.file("mesh");
        fs::create_dir_all(&sources).expect("a directory");
        let text = format!(
            "mesh bench {{\n  mtls strict\n}}\n\nservice web {{\n  calls shop\n}}\n\nservice shop {{\n  port {0} http\n  \
             endpoints static \"127.0.0.1:{0}\"\n}}\n\nauthorize shop {{\n  allow from web\n}}\n",
            self.upstream
        );
        fs::write(sources.join("bench.mesh"), text).expect("a file");
        fs::write(sources.join("mesh.toml"), "").expect("a file");
        self.mesh(&["build", "--quiet", "mesh", "-o", "bench.mplan"]);
        let port = free_port();
        let mut command = Command::new(program("MESH_PROXY", "mesh-proxy"));
        command.args([
            "--plan",
            "bench.mplan",
            "--service",
            "shop",
            "--workers",
            "1",
            "--access-log",
            "none",
        ]);
        command.arg("--inbound").arg(format!("127.0.0.1:{port}=127.0.0.1:{}", self.upstream));
        command.args(["--svid", "shop.pem", "--svid-key", "shop.key", "--trust-bundle", "local.test.pem"]);
        self.start("mesh-proxy", command, port)
    }

    fn nginx(&self) -> Option<Contender> {
        let port = free_port();
        let configuration = format!(
            "daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/nginx.log;\n\
             worker_rlimit_nofile 20000; events {{ worker_connections 16384; }}\n\
             http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s;\n\
               client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};\n\
               uwsgi_temp_path {home}; scgi_temp_path {home};\n\
               upstream shop {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}\n\
               server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3;\n\
                 ssl_certificate {home}/shop.pem; ssl_certificate_key {home}/shop.key;\n\
                 ssl_client_certificate {home}/local.test.pem; ssl_verify_client on;\n\
                 location / {{ proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n\
               }} }}\n",
            home = self.directory.display(),
            upstream = self.upstream,
        );
        fs::write(self.file("nginx.conf"), configuration).expect("a file");
        let mut command = Command::new(installed("nginx")?);
        command.arg("-c").arg(self.file("nginx.conf")).arg("-p").arg(&self.directory);
        Some(self.start("nginx", command, port))
    }

    fn haproxy(&self) -> Option<Contender> {
        let port = free_port();
        let configuration = format!(
            "global\n  nbthread 1\n  maxconn 8000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 600s\n  \
             timeout server 600s\n  timeout http-keep-alive 600s\n  http-reuse always\nfrontend front\n  \
             bind 127.0.0.1:{port} ssl crt {home}/shop.both ca-file {home}/local.test.pem verify required ssl-min-ver TLSv1.3\n  \
             default_backend shop\nbackend shop\n  server one 127.0.0.1:{upstream} pool-max-conn 256\n",
            home = self.directory.display(),
            upstream = self.upstream,
        );
        fs::write(self.file("haproxy.cfg"), configuration).expect("a file");
        let mut command = Command::new(installed("haproxy")?);
        command.arg("-db").arg("-f").arg(self.file("haproxy.cfg"));
        Some(self.start("HAProxy", command, port))
    }

    fn start(&self, name: &'static str, mut command: Command, port: u16) -> Contender {
        let log = self.file(&format!("{name}.said"));
        let said = fs::File::create(&log).expect("a file");
        command.current_dir(&self.directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = process.try_wait().expect("a child").is_some();
            assert!(
                !ended && start.elapsed() < PATIENCE,
                "{name} does not listen: {}",
                fs::read_to_string(&log).expect("a file")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Contender { name, port, process }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// One of those that are measured.
pub struct Contender {
    /// What it is called.
    pub name: &'static str,
    port: u16,
    process: Child,
}

impl Contender {
    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of the process and of its workers, since they began; exact to 10 ms.
    pub fn processor_time(&self) -> Duration {
        self.processes().map(|id| ticks(&id)).sum::<u32>() * TICK
    }

    /// Bytes of it that are in memory.
    pub fn resident(&self) -> u64 {
        let resident = self.processes().map(|id| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
            kilobytes.unwrap_or_default() * 1024
        });
        resident.sum()
    }

    fn processes(&self) -> impl Iterator<Item = String> + use<> {
        let own = self.process.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let children: Vec<String> = children.split_whitespace().map(str::to_owned).collect();
        std::iter::once(own.to_string()).chain(children)
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // nginx tells its workers, which a kill would leave behind.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// User and system time in ticks: the 14th and 15th word; the second may hold blanks, and ends with the last parenthesis.
fn ticks(id: &str) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let words = rest.split_whitespace().skip(11).take(2);
    words.filter_map(|word| word.parse::<u32>().ok()).sum()
}

/// A program of ours: named by a variable, or built.
fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(program) = std::env::var_os(variable) {
        return fs::canonicalize(&program)
            .unwrap_or_else(|error| panic!("{variable}={}: {error}", program.display()));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "dist", "--locked", "--bin", name])
        .current_dir(&root)
        .status();
    assert!(built.expect("cargo runs").success());
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("dist").join(name)
}

/// A program of the machine, which may be where only root looks.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places =
        path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]).map(|place| Path::new(place).join(name));
    let found = places.find(|program| program.is_file());
    if found.is_none() {
        println!("{name} is not installed: left out");
    }
    found
}

/// A port that is free now; nobody else starts servers here meanwhile.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}
