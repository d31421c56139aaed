//! What a proxy does where something around it gives out: nobody reads its log, there are no more files, bodies are larger when they are unpacked, an
//! upstream fails behind the first byte.

use crate::client;
use crate::fixture::{Process, Running, Tools, compile_allow, free_ports};
use crate::upstream::Plays;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An answer that is not there by then does not come.
const LIMIT: Duration = Duration::from_secs(20);
/// Requests whose lines are more than any pipe holds.
const LINES: usize = 3_000;
/// Files of a proxy that has few, and who wants to connect to it.
const FILES: usize = 256;
const CROWD: usize = 1_000;
/// How long the crowd stays.
const STAY: Duration = Duration::from_secs(4);
/// Bytes that a body of this length would become, were it unpacked, are a thousand times as many.
const PACKED: usize = 1 << 20;
/// And what may be kept of a body on its way: two buffers, and what the allocator does not give back.
const ON_ITS_WAY: u64 = 4 << 20;

/// A proxy with fixture A on ports of its own, started in a shell with a limit, and nobody who reads what it writes.
struct Alone {
    child: Child,
    address: SocketAddr,
}

impl Alone {
    fn start(running: &Running, tools: &Tools, limit: &str) -> Result<Alone, String> {
        running.upstream.begin(Plays::default());
        let [h1, h2] = free_ports()?;
        let plan = compile_allow(&format!("alone-{h1}"), [h1, h2], running.upstream.address, tools)?;
        let child = Command::new("sh")
            .args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")])
            .arg(&tools.proxy)
            .arg("--plan")
            .arg(plan)
            .args(["--gateway", "edge", "--bind", "127.0.0.1", "--access-log", "stdout", "--workers", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", tools.proxy.display()))?;
        let alone = Alone { child, address: SocketAddr::from(([127, 0, 0, 1], h1)) };
        let began = Instant::now();
        while TcpStream::connect(alone.address).is_err() {
            if began.elapsed() > LIMIT {
                return Err("the proxy does not listen".to_owned());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(alone)
    }

    fn answers(&self, count: usize) -> Result<usize, String> {
        let ask = b"GET /public HTTP/1.1\r\nHost: a.test\r\n\r\n".repeat(count);
        let played = client::play(self.address, &[ask], LIMIT)?;
        Ok(played.answers.iter().filter(|answer| answer.status == 200).count())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its standard output is full, and it serves.
pub(super) fn nobody_reads_the_log(running: &Running, tools: &Tools) -> Result<Vec<String>, String> {
    let alone = Alone::start(running, tools, "true")?;
    let mut wrong = Vec::new();
    let answered = alone.answers(LINES)?;
    if answered != LINES {
        wrong.push(format!("{answered} of {LINES} requests are answered where nobody reads the log"));
    }
    if alone.answers(1)? != 1 {
        wrong.push("the next request is not served".to_owned());
    }
    Ok(wrong)
}

/// It has no file left for a connection, and goes on when it has.
pub(super) fn no_files_are_left(running: &Running, tools: &Tools) -> Result<Vec<String>, String> {
    let mut alone = Alone::start(running, tools, &format!("ulimit -n {FILES}"))?;
    let process = Process::of(&alone.child);
    let mut wrong = Vec::new();
    let crowd: Vec<TcpStream> = (0..CROWD).filter_map(|_| TcpStream::connect(alone.address).ok()).collect();
    if crowd.len() < FILES {
        wrong.push(format!("only {} clients are in the way", crowd.len()));
    }
    let before = process.processor();
    std::thread::sleep(STAY);
    let busy = process.processor().saturating_sub(before);
    if busy > STAY / 5 {
        wrong.push(format!("it takes {busy:?} of {STAY:?} of a processor for nothing"));
    }
    if !matches!(alone.child.try_wait(), Ok(None)) {
        wrong.push("O4: the proxy has ended".to_owned());
    }
    drop(crowd);
    let began = Instant::now();
    while alone.answers(1)? != 1 && began.elapsed() < LIMIT {}
    // A machine that is busy answers late, too; the limit of a second is for one that is not.
    if began.elapsed() > Duration::from_secs(3) {
        wrong.push(format!("it serves again after {:?}", began.elapsed()));
    }
    Ok(wrong)
}

/// What is packed is passed on packed, in both directions.
pub(super) fn packed_bodies(running: &mut Running) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    // Whatever it is: nobody looks inside.
    let body: Vec<u8> = [&[0x1f, 0x8b, 8, 0][..], &vec![0; PACKED]].concat();
    for coding in ["gzip", "zstd", "br"] {
        let fields = format!("Content-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = [format!("HTTP/1.1 200 OK\r\n{fields}").into_bytes(), body.clone()].concat();
        let ask = [format!("POST /public HTTP/1.1\r\nHost: a.test\r\n{fields}").into_bytes(), body.clone()]
            .concat();
        let (played, seen, oracles) =
            super::one(running, Plays::Bytes { bytes: answer, closes: false }, &[ask])?;
        wrong.extend(oracles);
        if played.answers.first().map(|answer| &answer.body) != Some(&body) {
            wrong.push(format!("the answer in {coding} is not the one that was sent"));
        }
        if seen.requests.first().map(|request| &request.body) != Some(&body) {
            wrong.push(format!("the request in {coding} is not the one that was sent"));
        }
        if seen.memory > ON_ITS_WAY {
            wrong.push(format!("memory grows by {} KiB for {coding}", seen.memory >> 10));
        }
    }
    Ok(wrong)
}

/// What is not said to be repeatable is asked once, however it ends.
pub(super) fn fails_behind_the_first_byte(running: &mut Running) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    let ask = b"POST /public HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nConte", b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"] {
        let plays = Plays::Bytes { bytes: answer.to_vec(), closes: true };
        let (played, seen, oracles) = super::one(running, plays, &[ask.to_vec()])?;
        wrong.extend(oracles);
        if seen.requests.len() != 1 {
            wrong.push(format!("the upstream is asked {} times", seen.requests.len()));
        }
        if played.answers.first().is_none_or(|answer| answer.status < 500) {
            wrong.push(format!("the client gets {:?}", played.answers.first()));
        }
    }
    Ok(wrong)
}
