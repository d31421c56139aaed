//! How long an editor waits: `mesh lsp` as a process, spoken to over its standard input and output, with a large workspace open.
//!
//! `cargo bench --manifest-path tests/bench/Cargo.toml --bench editor`; `MESH` names the program, which is otherwise built as what is given to others
//! is (profile `dist`).
//!
//! A script of edits as a person makes them, letter by letter, in files all over the workspace: lines of authorizations, calls, weights,
//! timeouts and names are written and taken away again. After each letter what is wrong is asked for, so that each has an answer
//! whether or not something else is wrong than before.

use fastrand::Rng;
use mesh_bench::{mesh, services};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What is asked of the server.
const COLD_SECONDS: f64 = 1.5;
const MEGABYTES: f64 = 600.0;
const EDIT_P50_MS: f64 = 5.0;
const EDIT_P99_MS: f64 = 20.0;
const ANSWER_P99_MS: f64 = 10.0;

const SERVICES: usize = 10_000;
const RULES: usize = 100_000;
/// At least so many letters are written or taken away.
const EDITS: usize = 2_000;

fn main() {
    let program = program();
    let home = std::env::temp_dir().join(format!("mesh-editor-{}", std::process::id()));
    let files = write(&home);
    let mut server = Server::start(&program, &home);
    let start = Instant::now();
    server.begin(&home);
    server.ask("workspace/symbol", json!({ "query": "nobody-is-called-this" }));
    let cold = start.elapsed();
    let loaded = server.megabytes();
    println!("\n{SERVICES} services, {RULES} rules, {} files", files.len());
    say("cold load", format!("{:.2} s", cold.as_secs_f64()), cold.as_secs_f64() <= COLD_SECONDS, "<= 1.5 s");

    let mut times = Times::default();
    let mut rng = Rng::with_seed(8);
    while times.edits.len() < EDITS {
        let (path, text) = &files[rng.usize(..files.len())];
        server.session(path, text, &mut rng, &mut times);
    }
    let edits = times.edits.len();
    let (p50, p99, most) = spread(&mut times.edits);
    say(&format!("a letter to what is wrong, p50 of {edits}"), ms(p50), p50 <= EDIT_P50_MS, "<= 5 ms");
    say("  p99", ms(p99), p99 <= EDIT_P99_MS, "<= 20 ms");
    println!("{:<48}{:>12}", "  longest", ms(most));
    for (name, all) in [("completion", &mut times.completions), ("hover", &mut times.hovers)] {
        let count = all.len();
        let (p50, p99, most) = spread(all);
        say(&format!("{name}, p99 of {count}"), ms(p99), p99 <= ANSWER_P99_MS, "<= 10 ms");
        println!("{:<48}{:>12}", "  p50, longest", format!("{}, {}", ms(p50), ms(most)));
    }
    let most = server.megabytes();
    println!("{:<48}{:>12}", "memory when loaded (most)", format!("{loaded:.0} MB"));
    say("memory (most)", format!("{most:.0} MB"), most <= MEGABYTES, "<= 600 MB");
    server.end();
    std::fs::remove_dir_all(&home).expect("our own directory");
}

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("MESH") {
        return program.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--profile", "dist", "--locked", "--bin", "mesh"])
        .current_dir(&root)
        .status();
    assert!(built.expect("cargo runs").success());
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("dist/mesh")
}

/// The workspace on disk: path and text of each file.
fn write(home: &Path) -> Vec<(PathBuf, String)> {
    let files =
        mesh::sources(&services(SERVICES, RULES)).into_iter().map(|(path, _, text)| (home.join(path), text));
    let files: Vec<(PathBuf, String)> = files.collect();
    for (path, text) in &files {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory of our own");
        std::fs::write(path, text).expect("a file of our own");
    }
    files
}

/// What took how long, in milliseconds.
#[derive(Default)]
struct Times {
    edits: Vec<f64>,
    completions: Vec<f64>,
    hovers: Vec<f64>,
}

struct Server {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Server {
    fn start(program: &Path, home: &Path) -> Server {
        let mut process = Command::new(program)
            .arg("lsp")
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let input = process.stdin.take().expect("a pipe");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Server { process, input, output, asked: 0 }
    }

    fn begin(&mut self, home: &Path) {
        let root = format!("file://{}", home.display());
        self.ask("initialize", json!({ "processId": null, "rootUri": root, "capabilities": {} }));
        self.tell("initialized", json!({}));
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("the server listens");
        self.input.flush().expect("the server listens");
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut message = self.receive();
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).expect("the server speaks") > 0, "the server has ended");
            match line.trim().split_once(": ") {
                Some((_, value)) => length = value.parse().expect("a length"),
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).expect("the server speaks");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Opens a file, writes a line letter by letter, asks what an editor asks meanwhile, and takes it away again.
    fn session(&mut self, path: &Path, text: &str, rng: &mut Rng, times: &mut Times) {
        let uri = format!("file://{}", path.display());
        let document = json!({ "uri": uri, "languageId": "mesh", "version": 0, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        let mut version = 0;
        let lines: Vec<&str> = text.lines().collect();
        for (line, column, typed) in edits(&lines, rng) {
            let letters: Vec<char> = typed.chars().collect();
            let written = (0..letters.len()).map(|at| (at, letters[at].to_string(), 0));
            let removed = (0..letters.len()).rev().map(|at| (at, String::new(), 1));
            for (at, text, length) in written.chain(removed) {
                version += 1;
                let start = column + at;
                let at = |character: usize| json!({ "line": line, "character": character });
                let change =
                    json!({ "range": { "start": at(start), "end": at(start + length) }, "text": text });
                let begun = Instant::now();
                self.tell(
                    "textDocument/didChange",
                    json!({ "textDocument": { "uri": uri, "version": version }, "contentChanges": [change] }),
                );
                self.ask("textDocument/diagnostic", json!({ "textDocument": { "uri": uri } }));
                times.edits.push(milliseconds(begun.elapsed()));
                if !text.is_empty() && rng.u8(..4) == 0 {
                    let here = json!({ "textDocument": { "uri": uri }, "position": at(start + 1) });
                    let mut asked = here.clone();
                    asked["context"] = json!({ "triggerKind": 1 });
                    let begun = Instant::now();
                    self.ask("textDocument/completion", asked);
                    times.completions.push(milliseconds(begun.elapsed()));
                }
            }
            let named = names(&lines);
            for _ in 0..3 {
                let (number, column) = named[rng.usize(..named.len())];
                let position = json!({ "line": number, "character": column + 1 });
                let begun = Instant::now();
                let said = self.ask(
                    "textDocument/hover",
                    json!({ "textDocument": { "uri": uri }, "position": position }),
                );
                times.hovers.push(milliseconds(begun.elapsed()));
                assert!(!said.is_null(), "{}:{number}: {}", path.display(), lines[number]);
            }
        }
        self.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    }

    /// The most memory that was resident.
    fn megabytes(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        most.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN) / 1e3
    }

    fn end(mut self) {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        assert!(self.process.wait().expect("it ends").success());
    }
}

/// Where something is written, and what: behind the end of a line that says something of this kind.
fn edits(lines: &[&str], rng: &mut Rng) -> Vec<(usize, usize, String)> {
    let some = |what: &str, rng: &mut Rng| {
        let found: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(what)).collect();
        (!found.is_empty()).then(|| found[rng.usize(..found.len())])
    };
    let mut all = Vec::new();
    let mut behind = |line: Option<usize>, typed: &str| {
        all.extend(line.map(|line| (line, lines[line].len(), typed.to_owned())));
    };
    behind(some("  allow from ", rng), ", GET /new/{id}");
    behind(some("  allow from ", rng), " when header \"x-team\" = \"books\"");
    behind(some("  timeout 2s", rng), "0");
    behind(some(" 90%, ", rng), " # more soon");
    behind(some("  calls ", rng), " to GET /v1/**");
    behind(some("  rule testers {", rng), " # asked for");
    behind(some("  subset v2", rng), ", tier = \"gold\"");
    all
}

/// Where the first caller of each line of an authorization is named, to hover over: line and column.
fn names(lines: &[&str]) -> Vec<(usize, usize)> {
    let start = "allow from ";
    let named = lines.iter().enumerate().filter_map(|(number, line)| {
        let column = line.find(start)? + start.len();
        let is_word = ["gateway", "namespace", "any"].iter().any(|word| line[column..].starts_with(word));
        (!is_word).then_some((number, column))
    });
    named.collect()
}

fn spread(times: &mut [f64]) -> (f64, f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    (at(0.5), at(0.99), at(1.0))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn ms(time: f64) -> String {
    format!("{time:.2} ms")
}

fn say(name: &str, value: String, holds: bool, wanted: &str) {
    println!("{name:<48}{value:>12}  {} ({wanted})", if holds { "holds" } else { "MISSED" });
}
