//! How long `mesh check` and `mesh build` take, from text to the bytes of the plan, on one core, and how much memory.
//!
//! Then how long a check takes after an edit of one line, where the project is kept.
//!
//! `cargo bench --manifest-path tests/bench/Cargo.toml --bench whole`; every time is the best of some runs.

use mesh_bench::measure::{Counting, best, peak};
use mesh_bench::shapes::Targets;
use mesh_bench::{mesh, services, shapes};
use mesh_compiler::{Compilation, StandIns, Workspace, compile};
use mesh_lang::{FileId, Source, SourceSet};
use std::time::Instant;

/// What is asked of the largest workspace.
const SECONDS: f64 = 1.0;
const MEGABYTES: f64 = 600.0;
const ENCODE_SECONDS: f64 = 0.5;
/// Of a check after an edit of one line.
const EDIT_SECONDS: f64 = 0.010;
/// Of a service with a thousand paths of six segments, half of them literals of fifty words and half wildcards.
const DENSE_SECONDS: f64 = 0.5;
/// From each size to the next, ten times as large.
const MOST_TIMES: f64 = 15.0;

const RUNS: usize = 5;
/// An edit is made and taken back so often.
const EDITS: usize = 20;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    alone.install(|| {
        println!("\n{:<44}{:>10}{:>12}{:>12}{:>12}", "", "rules", "whole", "plan bytes", "memory");
        let mut last: Option<f64> = None;
        for rules in [1_000, 10_000, 100_000] {
            let seconds = workspace(rules, last);
            last = Some(seconds);
        }
        println!();
        edits(of_files(mesh::sources(&services(10_000, 100_000))));
        println!();
        let guarded = guarded();
        one("500 guardrails over 10,000 rules", 10_500, &guarded);
        one("one host with 5,000 routes", 5_000, &single(&shapes::one_host(5_000)));
        one("200 regexes", 200, &single(&shapes::regexes(200)));
        one("headers beside each other", 1_000, &single(&shapes::headers(1_000)));
        for (name, text) in dense() {
            let (whole, _, _) = one(name, 1_000, &single(&text));
            println!("{:<44}{}", "", verdict(whole <= DENSE_SECONDS, &format!("<= {DENSE_SECONDS} s")));
        }
    });
}

fn workspace(rules: usize, last: Option<f64>) -> f64 {
    let sources = of_files(mesh::sources(&services(rules / 10, rules)));
    let name = format!("{} services", rules / 10);
    let (seconds, encode, megabytes) = one(&name, rules, &sources);
    if let Some(last) = last {
        let times = seconds / last;
        println!(
            "{:<44}{}",
            "",
            verdict(times <= MOST_TIMES, &format!("{times:.1} x for 10 x, <= {MOST_TIMES} x"))
        );
    }
    if rules == 100_000 {
        println!("{:<44}{}", "", verdict(seconds <= SECONDS, &format!("<= {SECONDS} s")));
        println!(
            "{:<44}{}",
            "",
            verdict(encode <= ENCODE_SECONDS, &format!("plan bytes <= {ENCODE_SECONDS} s"))
        );
        println!("{:<44}{}", "", verdict(megabytes <= MEGABYTES, &format!("<= {MEGABYTES} MB")));
    }
    seconds
}

/// Seconds in all, seconds of writing the bytes, and megabytes.
fn one(name: &str, rules: usize, sources: &SourceSet) -> (f64, f64, f64) {
    let compiled = compile(sources, &StandIns::new());
    let said = match (&compiled.plan, compiled.diagnostics.first()) {
        (Some(_), None) => String::new(),
        (Some(_), Some(_)) => format!("  {} warnings", compiled.diagnostics.len()),
        (None, first) => format!("  refused: {}", first.map_or("", |first| first.code.as_str())),
    };
    let whole = best(RUNS, || bytes(&compile(sources, &StandIns::new()))).as_secs_f64();
    let encode = best(RUNS, || bytes(&compiled)).as_secs_f64();
    drop(compiled);
    let megabytes = peak(|| bytes(&compile(sources, &StandIns::new()))) as f64 / 1e6;
    println!("{name:<44}{rules:>10}{whole:>10.3} s{encode:>10.3} s{megabytes:>9.0} MB{said}");
    (whole, encode, megabytes)
}

fn bytes(compilation: &Compilation) -> Option<Vec<u8>> {
    compilation.plan.as_ref().map(|plan| mesh_plan::encode(plan).expect("within the limits of a plan"))
}

/// Checks again after edits of one line of one file in the middle, and after each was taken back.
fn edits(sources: SourceSet) {
    let mut workspace = Workspace::new(sources, None, None);
    let file = FileId(workspace.sources().len() as u32 / 2);
    let before = workspace.sources().get(file).expect("a file").text.clone();
    let edits = [
        ("a remark", "  allow from ", "  # a remark\n  allow from "),
        ("a line of an authorization", " to GET /", " to GET /edited/"),
        ("the weights of a split", "90%, ", "95%, "),
        ("the timeout of a service", "timeout 2s", "timeout 3s"),
        ("a call", "  calls ", "  # a remark\n  calls "),
        ("a name that nobody has", "allow from ", "allow from nobody, "),
    ];
    for (name, from, to) in edits {
        let after = before.replacen(from, to, 1);
        assert_ne!(after, before, "{name} is an edit");
        let mut worst = 0.0_f64;
        for text in [&after, &before] {
            let other = if text == &after { &before } else { &after };
            let times = (0..EDITS).map(|_| {
                workspace.edit(file, other);
                let start = Instant::now();
                workspace.edit(file, text);
                start.elapsed().as_secs_f64()
            });
            worst = worst.max(times.fold(f64::INFINITY, f64::min));
        }
        let name = format!("after an edit: {name}");
        let milliseconds = format!("{:.1} ms", worst * 1e3);
        println!(
            "{name:<44}{:>10}{milliseconds:>12}  {}",
            "100000",
            verdict(worst <= EDIT_SECONDS, &format!("<= {} ms", EDIT_SECONDS * 1e3))
        );
    }
    // What others can see lets all names be looked up.
    let after = before.replacen("port 8080", "port 8081", 1);
    let seconds = best(3, || {
        workspace.edit(file, &after);
        workspace.edit(file, &before);
    });
    println!("{:<44}{:>10}{:>10.3} s", "after an edit: a port", "100000", seconds.as_secs_f64() / 2.0);
}

/// Paths that one automaton over segments would need millions of states for.
fn dense() -> [(&'static str, String); 4] {
    let routes = |targets| shapes::wildcard_routes(1_000, 50, 6, targets);
    [
        ("1,000 allowed paths of wildcards", shapes::wildcards(1_000, 50, 6)),
        ("1,000 routes of wildcards, to one target", routes(Targets::One)),
        ("1,000 routes of wildcards, by method", routes(Targets::ByMethod)),
        ("1,000 routes of wildcards, ambiguous", routes(Targets::Three)),
    ]
}

fn guarded() -> SourceSet {
    let mut files = mesh::sources(&services(1_000, 10_000));
    files.push(("platform/guardrails.mesh".to_owned(), "platform".to_owned(), shapes::guardrails(500, 10)));
    of_files(files)
}

fn of_files(files: Vec<(String, String, String)>) -> SourceSet {
    SourceSet::new(files.into_iter().map(|(path, module, text)| Source { path, module, text }).collect())
}

fn single(text: &str) -> SourceSet {
    SourceSet::single("shape.mesh", text)
}

fn verdict(holds: bool, wanted: &str) -> String {
    format!("{} ({wanted})", if holds { "holds" } else { "MISSED" })
}
