//! Two plans with opposite answers take turns while requests go on: none fails, no connection is closed, no request sees two plans, and
//! what is denied is denied to every request that begins after the swap.
//!
//! By default a few swaps of a proxy in this process. `MESH_SWAPS` says how many, and `MESH_PROXY` which `mesh-proxy` to run instead,
//! which is handed its plans by renaming files (`tests/real/swaps.sh`).

use mesh_plan::PlanView;
use mesh_proxy::{AccessLog, Config, Door, Handle};
use mesh_tests::project::Project;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Unless `MESH_SWAPS` says another number.
const SWAPS: usize = 40;
/// Between a plan that is seen to be in force and the next one.
const PAUSE: Duration = Duration::from_millis(45);
/// As many as the machine the tests run on has cores.
const CLIENTS: usize = 2;
/// Of each client, with a request in flight on each.
const CONNECTIONS: usize = 24;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is asked, in turn: mostly what the proxy answers itself, so that there are many; and what one of the plans denies.
const PATHS: [&str; 8] = ["/here", "/here", "/here", "/one/x", "/here", "/here", "/here", "/two/x"];

#[test]
fn a_request_sees_one_plan_and_a_swap_holds_for_all_that_begin_after_it() {
    let swaps = std::env::var("MESH_SWAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(SWAPS);
    let echo = echo();
    let front =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address");
    let plans = ["one", "two"].map(|name| plan(name, front.port(), echo));
    let digests = plans.each_ref().map(|plan| plan.digest_hex()[..12].to_owned());
    let mut proxy = match std::env::var("MESH_PROXY").unwrap_or_default().as_str() {
        "" => Proxy::start(&plans[0], front),
        program => Proxy::run(program, &plans[0]),
    };
    let turns = Turns::default();
    let began = Instant::now();
    let (tallies, waits, memory) = std::thread::scope(|scope| {
        let ask = |_| scope.spawn(|| ask(front, &digests, &turns));
        let clients: Vec<_> = (0..CLIENTS).map(ask).collect();
        let mut probe = Connection::open(front);
        let mut waits = Vec::new();
        std::thread::sleep(4 * PAUSE);
        let memory = proxy.memory();
        for swap in 1..=swaps {
            turns.begun.store(swap, Ordering::SeqCst);
            let since = Instant::now();
            proxy.swap(&plans[swap % 2]);
            // The last request that still saw the old plan began so long after the beginning of the swap.
            let mut wait = Duration::ZERO;
            loop {
                let asked = since.elapsed();
                probe.ask("/here");
                if probe.answer().expect("an answer").plan == digests[swap % 2] {
                    break;
                }
                wait = asked;
            }
            waits.push(wait);
            proxy.has_swapped(&digests[swap % 2]);
            turns.done.store(swap, Ordering::SeqCst);
            std::thread::sleep(PAUSE);
        }
        turns.over.store(true, Ordering::SeqCst);
        let tallies: Vec<Tally> =
            clients.into_iter().map(|client| client.join().expect("a client")).collect();
        (tallies, waits, [memory, proxy.memory()])
    });
    let rate =
        tallies.iter().map(|tally| tally.answers).sum::<usize>() as f64 / began.elapsed().as_secs_f64();
    report(swaps, rate, &tallies, waits, memory);
    for tally in &tallies {
        assert!(tally.wrong.is_empty(), "{:?}", tally.wrong);
        assert!(
            tally.by_plan.iter().all(|answers| *answers > swaps),
            "both plans answer: {:?}",
            tally.by_plan
        );
    }
}

#[expect(clippy::print_stdout, reason = "how much was asked and how long it took is worth a line in the log")]
fn report(swaps: usize, rate: f64, tallies: &[Tally], mut waits: Vec<Duration>, memory: [Option<usize>; 2]) {
    waits.sort();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100].as_secs_f64() * 1_000.0;
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    println!(
        "{swaps} swaps, {} answers at {rate:.0} a second, {} denied, {} by way of a service; {} failed, closed, of two plans or of an \
         old one; the last request of the old plan began {:.2} ms after the swap at the median, {:.2} at p99, {:.2} at most{}",
        sum(|tally| tally.answers),
        sum(|tally| tally.denied),
        sum(|tally| tally.sent),
        sum(|tally| tally.wrong.len()),
        at(50),
        at(99),
        at(100),
        match memory {
            [Some(before), Some(after)] => format!("; resident {before} KiB before and {after} KiB after"),
            _ => String::new(),
        }
    );
}

/// Everybody may ask for `/one` or for `/two`, and whatever a request comes by says the plan's name.
fn plan(name: &str, port: u16, echo: SocketAddr) -> PlanView {
    let project = Project::parse(&format!(
        r#"gateway edge {{ listener web port {port} http {{ host "*" }} }}
authorize edge {{ allow from anyone }}
service s {{ port 80 http; endpoints static "{echo}" }}
authorize s {{ allow from gateway edge to /{name}/** }}
route edge {{
  rule here {{ match GET /here
    respond 200 "{name}"
    response-header set "x-plan" "{name}" }}
  rule there {{ match GET /one/**, GET /two/**
    to s
    request-header set "x-plan" "{name}"
    response-header set "x-plan" "{name}" }}
  otherwise 404
}}"#
    ));
    let Some(plan) = project.compile().plan else { panic!("{}", project.diagnostics()) };
    mesh_plan::verify(mesh_plan::encode(&plan).expect("a small plan")).expect("a plan")
}

/// How many swaps have begun, and how many are known to be over.
#[derive(Default)]
struct Turns {
    begun: AtomicUsize,
    done: AtomicUsize,
    over: AtomicBool,
}

/// What a client has seen.
#[derive(Default)]
struct Tally {
    answers: usize,
    denied: usize,
    sent: usize,
    by_plan: [usize; 2],
    wrong: Vec<String>,
}

/// Asks on all connections at once, again and again.
fn ask(front: SocketAddr, digests: &[String; 2], turns: &Turns) -> Tally {
    let mut connections: Vec<Connection> = (0..CONNECTIONS).map(|_| Connection::open(front)).collect();
    let mut tally = Tally::default();
    for turn in 0.. {
        if turns.over.load(Ordering::SeqCst) || tally.wrong.len() > 10 {
            break;
        }
        let done = turns.done.load(Ordering::SeqCst);
        let path = |place: usize| PATHS[(turn + place) % PATHS.len()];
        for (connection, place) in connections.iter_mut().zip(0..) {
            connection.ask(path(place));
        }
        for (connection, place) in connections.iter_mut().zip(0..) {
            let path = path(place);
            match connection.answer() {
                // It began after swap `done`, and no other one began before its answer was there.
                Ok(answer) => {
                    let only = (turns.begun.load(Ordering::SeqCst) == done).then_some(done % 2);
                    tally.add(path, &answer, digests, only);
                }
                Err(error) => tally.wrong.push(format!("{path}: {error}")),
            }
        }
    }
    tally
}

impl Tally {
    /// Counts an answer, and holds everything that it says of a plan against the rest. `only`: the plan that can have answered it.
    fn add(&mut self, path: &str, answer: &Answer, digests: &[String; 2], only: Option<usize>) {
        self.answers += 1;
        let Some(plan) = digests.iter().position(|digest| *digest == answer.plan) else {
            return self.wrong.push(format!("{path}: of no plan: {answer:?}"));
        };
        self.by_plan[plan] += 1;
        let name = ["one", "two"][plan];
        let open = path == "/here" || path.starts_with(&format!("/{name}/"));
        let as_it_should = match open {
            true => answer.status == 200 && answer.body == name && answer.said == name,
            false => answer.status == 403 && answer.body == "denied by s.default",
        };
        if !as_it_should || only.is_some_and(|only| only != plan) {
            self.wrong.push(format!("{path}: of plan {name}, {only:?}: {answer:?}"));
        }
        self.denied += usize::from(!open);
        self.sent += usize::from(open && path != "/here");
    }
}

/// A connection that stays open.
struct Connection(BufReader<TcpStream>);

#[derive(Debug, Default)]
struct Answer {
    status: u16,
    /// `x-mesh-plan`: the plan that decided.
    plan: String,
    /// `x-plan`: what its rule changed.
    said: String,
    body: String,
}

impl Connection {
    fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        Connection(BufReader::new(stream))
    }

    /// Says a request. If the connection is closed the answer says so.
    fn ask(&mut self, path: &str) {
        let _ = write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    }

    fn answer(&mut self) -> std::io::Result<Answer> {
        let (mut answer, mut length) = (Answer::default(), 0);
        let head = read_head(&mut self.0)?;
        for line in head.lines() {
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().map_err(std::io::Error::other)?,
                Some(("x-mesh-plan", value)) => value.clone_into(&mut answer.plan),
                Some(("x-plan", value)) => value.clone_into(&mut answer.said),
                Some(("connection", "close")) => return Err(std::io::Error::other("it closes")),
                _ if line.starts_with("HTTP/1.1 ") => {
                    answer.status = line[9..12].parse().map_err(std::io::Error::other)?;
                }
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }
}

fn read_head(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// A server that says what `x-plan` the request had.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while let Ok(head) = read_head(&mut stream) {
                    let said =
                        head.lines().find_map(|line| line.strip_prefix("x-plan: ")).unwrap_or_default();
                    let mut answer = String::new();
                    let _ = write!(answer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{said}", said.len());
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A proxy in this process, or the program.
enum Proxy {
    Here(Box<Handle>),
    Program { child: Child, told: BufReader<std::process::ChildStderr>, folder: PathBuf },
}

impl Proxy {
    fn start(plan: &PlanView, front: SocketAddr) -> Proxy {
        let door = Door::Gateway { name: "edge".to_owned(), bind: front.ip(), port_override: None };
        let config = Config {
            doors: vec![door],
            workers: 2,
            admin: None,
            access_log: AccessLog::None,
            plan_header: true,
            jwks: mesh_proxy::Fetching::default(),
            names: mesh_proxy::Looking::default(),
            health: mesh_proxy::Checking::default(),
            here: mesh_proxy::Here::default(),
            identities: vec![],
            certificates: None,
            drain: PATIENCE,
        };
        Proxy::Here(Box::new(mesh_proxy::start(plan.clone(), config).expect("the proxy starts")))
    }

    fn run(program: &str, plan: &PlanView) -> Proxy {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("swaps-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("live.mplan");
        std::fs::write(&file, plan.bytes()).expect("a file");
        let mut child = Command::new(program)
            .arg("--plan")
            .arg(&file)
            .args(["--gateway", "edge", "--bind", "127.0.0.1", "--plan-header"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the proxy runs");
        let told = BufReader::new(child.stderr.take().expect("its stderr"));
        let mut proxy = Proxy::Program { child, told, folder };
        proxy.has_swapped(&plan.digest_hex()[..12]);
        proxy
    }

    /// Hands it a plan.
    fn swap(&self, plan: &PlanView) {
        match self {
            Proxy::Here(handle) => handle.swap(plan.clone()).expect("a plan with the same doors"),
            Proxy::Program { folder, .. } => {
                let next = folder.join("next");
                std::fs::write(&next, plan.bytes()).expect("a file");
                std::fs::rename(next, folder.join("live.mplan")).expect("a rename");
            }
        }
    }

    /// Waits until it says that it serves a plan; in this process it does when it returns.
    fn has_swapped(&mut self, digest: &str) {
        let Proxy::Program { told, .. } = self else { return };
        let mut line = String::new();
        while !line.contains(&format!("serving plan {digest}")) {
            line.clear();
            assert!(told.read_line(&mut line).expect("a line") > 0, "the proxy ended");
        }
    }

    /// Resident memory of the program, in KiB.
    fn memory(&self) -> Option<usize> {
        let Proxy::Program { child, .. } = self else { return None };
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
        let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
        fields.get("VmRSS")?.trim().trim_end_matches(" kB").parse().ok()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Proxy::Program { child, folder, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
