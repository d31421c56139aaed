//! How fast text becomes a resolved mesh and how much memory that takes, beside two others in the same run.
//!
//! `cargo bench --manifest-path tests/bench/Cargo.toml`; every time is the best of some runs. Texts are parsed on one thread, and
//! names looked up on all cores, as the `mesh` command does it; what the others do they do on one.

use mesh_bench::measure::{Counting, best, peak, retained};
use mesh_bench::{Service, cedar, istio, mesh, services};
use mesh_compiler::check_names;
use mesh_lang::{FileId, Source, SourceSet, lex, parse, tree};
use std::time::Duration;

/// What is asked of the front.
const PARSE_MB_PER_SECOND: f64 = 150.0;
const RESOLVE_SECONDS: f64 = 0.25;
const RESOLVE_RULES: usize = 100_000;
const MEMORY_PER_SOURCE: f64 = 6.0;
const TIMES_YAML: f64 = 3.0;
const TIMES_CEDAR: f64 = 20.0;

/// Cedar is asked about fewer rules, or the run would take minutes; its time grows with their number.
const CEDAR_SERVICES: usize = 500;
const CEDAR_RULES: usize = 5_000;

/// Of so many runs the best is told.
const RUNS: usize = 7;
const SLOW_RUNS: usize = 3;

fn main() {
    for (count, rules) in [(1_000, 10_000), (10_000, 100_000)] {
        workspace(count, rules);
    }
}

fn workspace(count: usize, rules: usize) {
    let services = services(count, rules);
    let sources = mesh::sources(&services);
    let source = |(path, module, text): &(String, String, String)| Source {
        path: path.clone(),
        module: module.clone(),
        text: text.clone(),
    };
    let set = SourceSet::new(sources.iter().map(source).collect());
    let texts: Vec<(FileId, &str)> = set.iter().map(|(id, source)| (id, source.text.as_str())).collect();
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
    let complaints = check_names(&set, None);
    assert!(complaints.is_empty(), "{:?}", complaints.first());
    println!(
        "\n{count} services, {rules} allow rules, {} files, {:.1} MB of .mesh text\n",
        texts.len(),
        bytes as f64 / 1e6
    );
    front(&texts, bytes);
    let resolve = resolve(&set, bytes, rules);
    baselines(&services, rules, resolve);
}

fn front(texts: &[(FileId, &str)], bytes: usize) {
    let lexing = || texts.iter().map(|&(id, text)| lex(id, text).0).collect::<Vec<_>>();
    throughput("tokens", bytes, best(RUNS, lexing), retained(lexing));
    let trees = || texts.iter().map(|&(id, text)| with_tree(id, text)).collect::<Vec<_>>();
    throughput("tokens and tree", bytes, best(RUNS, trees), retained(trees));
    let parses = || texts.iter().map(|&(id, text)| parse(id, text)).collect::<Vec<_>>();
    let (speed, memory) =
        throughput("whole parse, all of it kept", bytes, best(RUNS, parses), retained(parses));
    let fast = verdict(speed >= PARSE_MB_PER_SECOND, &format!(">= {PARSE_MB_PER_SECOND} MB/s"));
    let small = verdict(memory <= MEMORY_PER_SOURCE, &format!("<= {MEMORY_PER_SOURCE} x"));
    println!("  {:<32}{fast}, {small}", "");
}

fn with_tree(id: FileId, text: &str) -> (Vec<mesh_lang::token::Token>, tree::Tree) {
    let (tokens, _) = lex(id, text);
    let (tree, _) = tree::build(id, text, &tokens);
    (tokens, tree)
}

fn throughput(what: &str, bytes: usize, time: Duration, memory: usize) -> (f64, f64) {
    let speed = bytes as f64 / time.as_secs_f64() / 1e6;
    let memory = memory as f64 / bytes as f64;
    println!("  {what:<32}{speed:>8.0} MB/s {memory:>7.2} x the source kept");
    (speed, memory)
}

fn resolve(set: &SourceSet, bytes: usize, rules: usize) -> Duration {
    let check = || check_names(set, None);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let alone = best(RUNS, || alone.install(check));
    println!("  {:<32}{:>8.3} s    on one core", "parse and resolve", alone.as_secs_f64());
    let time = best(RUNS, check);
    let seconds = RESOLVE_SECONDS * rules as f64 / RESOLVE_RULES as f64;
    println!(
        "  {:<32}{:>8.3} s    {:>7.2} x the source at most, on {} cores  {}",
        "",
        time.as_secs_f64(),
        peak(check) as f64 / bytes as f64,
        rayon::current_num_threads(),
        verdict(time.as_secs_f64() <= seconds, &format!("<= {seconds} s"))
    );
    time
}

fn baselines(services: &[Service], rules: usize, ours: Duration) {
    let own = rules as f64 / ours.as_secs_f64();
    println!("\n  {:<32}{own:>10.0} rules/s", "mesh, parse and resolve");
    let yaml = istio::sources(services);
    let time = best(SLOW_RUNS, || yaml.iter().map(|text| istio::read(text)).sum::<usize>());
    assert_eq!(yaml.iter().map(|text| istio::read(text)).sum::<usize>(), rules);
    let size = yaml.iter().map(String::len).sum::<usize>() as f64 / 1e6;
    let what = format!("serde_yaml, {size:.1} MB");
    compare(&what, rules as f64 / time.as_secs_f64(), own, TIMES_YAML);
    let fewer = mesh_bench::services(CEDAR_SERVICES, CEDAR_RULES);
    let text = cedar::source(&fewer);
    let time = best(SLOW_RUNS, || cedar::check(&text));
    assert_eq!(cedar::check(&text), CEDAR_RULES);
    let what = format!("cedar-policy, {CEDAR_RULES} rules");
    compare(&what, CEDAR_RULES as f64 / time.as_secs_f64(), own, TIMES_CEDAR);
}

fn compare(what: &str, theirs: f64, ours: f64, wanted: f64) {
    let ratio = ours / theirs;
    println!(
        "  {what:<32}{theirs:>10.0} rules/s  mesh is {ratio:>5.1} x as fast  {}",
        verdict(ratio >= wanted, &format!(">= {wanted} x"))
    );
}

fn verdict(holds: bool, wanted: &str) -> String {
    format!("{} ({wanted})", if holds { "holds" } else { "MISSED" })
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
