//! How long a decision takes, and what it touches, at 10 to 100,000 rules, beside Cedar, Rego and a scan in the same run.
//!
//! `cargo bench --manifest-path tests/bench/Cargo.toml --bench decide`; sizes may be given behind `--`. All answers are compared
//! with each other before anything is timed. Lines of cache and instructions repeat from run to run: they are counted by running this program
//! under valgrind (`lackey`), where there is one, and reading what it says of each access.

use mesh_bench::decisions::mesh;
use mesh_bench::decisions::ours::{Asked, Way};
use mesh_bench::decisions::peers::{Buckets, Cedar, Rego};
use mesh_bench::decisions::workload::{Answer, Request, Workload};
use mesh_plan::layout::Section;
use mesh_plan::{PlanView, verify};
use std::collections::HashSet;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// What is asked.
const KNOWN_NANOSECONDS: f64 = 60.0;
const NAMED_NANOSECONDS: f64 = 90.0;
const SPREAD: f64 = 2.5;
const LINES_MEDIAN: f64 = 10.0;
const LINES_P99: f64 = 14.0;
const COLD_NANOSECONDS: f64 = 1_500.0;
const VERIFY_MILLISECONDS: f64 = 8.0;
const BYTES_A_RULE: f64 = 150.0;

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];
/// Requests of each kind.
const REQUESTS: usize = 256;
/// Slower engines are asked fewer.
const FEW: usize = 32;
/// Above so many rules Cedar with one set takes longer than anybody waits.
const ONE_SET_RULES: usize = 10_000;
const PASSES: usize = 400;
const COLD: usize = 64;
/// How many decisions are traced access by access.
const TRACED: usize = 128;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(["trace", rules, plan]) = arguments.iter().map(String::as_str).collect::<Vec<_>>().get(..3) {
        return traced(rules.parse().expect("a number of rules"), plan);
    }
    let sizes: Vec<usize> = arguments.iter().filter_map(|size| size.parse().ok()).collect();
    let sizes = if sizes.is_empty() { SIZES.to_vec() } else { sizes };
    let medians: Vec<[f64; 2]> = sizes.iter().map(|rules| size(*rules)).collect();
    let spread = |kind: usize| {
        let of = medians.iter().map(|own| own[kind]);
        of.clone().fold(0.0, f64::max) / of.fold(f64::INFINITY, f64::min)
    };
    println!(
        "\nbetween sizes: {}",
        verdict(spread(0) <= SPREAD, &format!("call known {:.1} x, <= {SPREAD} x", spread(0)))
    );
    println!(
        "               {}",
        verdict(spread(1) <= SPREAD, &format!("peer known {:.1} x, <= {SPREAD} x", spread(1)))
    );
}

/// All of one size; the medians of what is let in, with the call and with the peer known.
fn size(rules: usize) -> [f64; 2] {
    let workload = Workload::new(rules);
    let bytes: std::sync::Arc<[u8]> = mesh::plan(&workload).into();
    let view = verify(bytes.clone()).expect("a plan");
    println!("\n{rules} rules, {} routes, {} services", workload.routes.len(), workload.services.len());
    plan(rules, &view);
    let (hits, misses) = workload.requests(REQUESTS);
    let kinds = [asked(&hits, &workload, &view), asked(&misses, &workload, &view)];
    let wrong: usize = kinds.iter().map(|own| differing(&workload, &view, own)).sum();
    assert_eq!(wrong, 0, "answers differ");
    println!("  {:<44}{:>12}{:>12}", "", "let in", "refused");
    let scan = scan(&workload, &kinds);
    row("scan of the target's rules", scan, "ns", scan);
    let medians = Way::ALL.map(|way| {
        let times = [0, 1].map(|kind| {
            warm(
                &kinds[kind],
                |own| {
                    black_box(own.decide(&view, way));
                },
                way,
            )
        });
        row(way.name(), times, "ns", scan);
        times[0]
    });
    let wanted = [(2, KNOWN_NANOSECONDS), (3, NAMED_NANOSECONDS)];
    for (place, most) in wanted {
        println!(
            "  {:<44}{}",
            "",
            verdict(medians[place] <= most, &format!("{} <= {most} ns", Way::ALL[place].name()))
        );
    }
    let cold = [0, 1].map(|kind| cold(&view, &kinds[kind]));
    row("every line of the plan flushed before, known", cold, "ns", scan);
    println!(
        "  {:<44}{}",
        "",
        verdict(cold[0] <= COLD_NANOSECONDS, &format!("cold <= {COLD_NANOSECONDS} ns"))
    );
    peers(rules, &workload, &kinds, scan);
    touched(rules, &view);
    [medians[2], medians[0]]
}

fn plan(rules: usize, view: &PlanView) {
    let bytes = view.bytes();
    let each = bytes.len() as f64 / rules as f64;
    let texts = view.section_bytes(Section::Strings) as f64 / rules as f64;
    println!(
        "  plan: {} bytes, {each:.0} a rule, of which {texts:.0} are texts for logs  {}",
        bytes.len(),
        verdict(each <= BYTES_A_RULE, &format!("<= {BYTES_A_RULE}"))
    );
    let own: std::sync::Arc<[u8]> = bytes.into();
    let time = mesh_bench::measure::best(9, || verify(own.clone()).is_ok()).as_secs_f64() * 1e3;
    let digest = mesh_bench::measure::best(9, || mesh_plan::layout::digest_of(bytes)).as_secs_f64() * 1e3;
    println!(
        "  verify: {time:.2} ms, of which {digest:.2} ms are the digest  {}",
        verdict(time <= VERIFY_MILLISECONDS, &format!("<= {VERIFY_MILLISECONDS} ms"))
    );
}

fn asked<'a>(requests: &'a [Request], workload: &Workload, view: &PlanView) -> Vec<Asked<'a>> {
    requests.iter().map(|request| Asked::new(request, workload, view)).collect()
}

/// How many of our answers are not those of a look at each rule.
fn differing(workload: &Workload, view: &PlanView, asked: &[Asked<'_>]) -> usize {
    let differs = |own: &Asked<'_>, way: Way| {
        let expected = workload.answer(own.request);
        let answer = own.answer(view, way);
        match way {
            Way::Arrives | Way::ArrivesNamed => (answer == Answer::Denied) != (expected == Answer::Denied),
            Way::Calls | Way::CallsNamed => answer != expected,
        }
    };
    let all = asked.iter().flat_map(|own| Way::ALL.map(|way| (own, way)));
    all.filter(|(own, way)| own.can(*way) && differs(own, *way)).count()
}

fn scan(workload: &Workload, kinds: &[Vec<Asked<'_>>; 2]) -> [f64; 2] {
    let buckets = Buckets::new(workload);
    [0, 1].map(|kind| {
        warm(
            &kinds[kind],
            |own| {
                black_box(buckets.answer(own.request));
            },
            Way::Arrives,
        )
    })
}

/// The median over many passes, for each request.
fn warm(asked: &[Asked<'_>], mut decide: impl FnMut(&Asked<'_>), way: Way) -> f64 {
    let own: Vec<&Asked<'_>> = asked.iter().filter(|own| own.can(way)).collect();
    let times = (0..PASSES).map(|_| {
        let start = Instant::now();
        own.iter().for_each(|own| decide(black_box(own)));
        start.elapsed().as_secs_f64() * 1e9 / own.len().max(1) as f64
    });
    median(times.collect())
}

/// One by one, each after the plan has left all caches.
fn cold(view: &PlanView, asked: &[Asked<'_>]) -> f64 {
    // What reading the clock takes.
    let clock = median((0..1_000).map(|_| Instant::now().elapsed().as_secs_f64() * 1e9).collect());
    let own = asked.iter().filter(|own| own.can(Way::Calls)).take(COLD);
    let times = own.map(|own| {
        // The code is warm, the plan is not.
        black_box(own.decide(view, Way::Calls));
        flush(view.bytes());
        let start = Instant::now();
        black_box(own.decide(view, Way::Calls));
        start.elapsed().as_secs_f64() * 1e9 - clock
    });
    median(times.collect())
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "there is no safe way to empty a cache; the addresses are those of a slice that lives"
)]
fn flush(bytes: &[u8]) {
    use std::arch::x86_64::{_mm_clflush, _mm_mfence};
    for line in bytes.chunks(64) {
        unsafe { _mm_clflush(line.as_ptr()) };
    }
    unsafe { _mm_mfence() };
}

/// Walks through more than a cache holds.
#[cfg(not(target_arch = "x86_64"))]
fn flush(_: &[u8]) {
    black_box(vec![1u8; 256 << 20].iter().map(|byte| u64::from(*byte)).sum::<u64>());
}

fn peers(rules: usize, workload: &Workload, kinds: &[Vec<Asked<'_>>; 2], scan: [f64; 2]) {
    let expected = |own: &Asked<'_>| workload.answer(own.request) != Answer::Denied;
    for in_one_set in [true, false] {
        if in_one_set && rules > ONE_SET_RULES {
            continue;
        }
        let cedar = Cedar::new(workload, in_one_set);
        let times = [0, 1].map(|kind| {
            let own: Vec<_> =
                kinds[kind].iter().take(FEW).map(|own| (own, cedar.request(own.request))).collect();
            for (own, request) in &own {
                assert_eq!(
                    cedar.allows(own.request.target, request),
                    expected(own),
                    "Cedar decides otherwise"
                );
            }
            each(&own, |(own, request)| cedar.allows(own.request.target, request))
        });
        row(
            if in_one_set { "cedar-policy, one set" } else { "cedar-policy, sliced by target" },
            times,
            "ns",
            scan,
        );
    }
    let mut rego = Rego::new(workload);
    let times = [0, 1].map(|kind| {
        let own: Vec<_> =
            kinds[kind].iter().take(FEW).map(|own| (own, Rego::request(workload, own.request))).collect();
        for (own, input) in &own {
            assert_eq!(rego.allows(input.clone()), expected(own), "Rego decides otherwise");
        }
        each(&own, |(_, input)| rego.allows(input.clone()))
    });
    row("regorus, rules of the target as data", times, "ns", scan);
}

/// The median of the times of single decisions.
fn each<T>(asked: &[T], mut decide: impl FnMut(&T) -> bool) -> f64 {
    let times = asked.iter().map(|own| {
        let start = Instant::now();
        black_box(decide(own));
        start.elapsed().as_secs_f64() * 1e9
    });
    median(times.collect())
}

/// Stored into where a decision begins and ends, and where another way begins, so that whoever reads the trace sees it.
static BEGIN: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What the line with the places in the trace begins with.
const PLACES: &str = "places";

/// Decides under valgrind. First it is said where the marks and the plan are, in between the accesses that valgrind tells.
fn traced(rules: usize, path: &str) {
    let view = verify(std::fs::read(path).expect("a plan")).expect("a plan");
    let workload = Workload::new(rules);
    let requests = workload.requests(TRACED).0;
    let asked = asked(&requests, &workload, &view);
    let start = view.bytes().as_ptr().addr();
    let marks = [&BEGIN, &END, &NEXT].map(|mark| std::ptr::from_ref(mark).addr());
    let [begin, end, next] = marks;
    // In one piece: valgrind writes to the same place.
    let places = format!("\n{PLACES} {begin} {end} {next} {start} {}\n", start + view.bytes().len());
    std::io::stderr().write_all(places.as_bytes()).expect("somebody reads the trace");
    for way in Way::ALL {
        NEXT.store(1, Relaxed);
        for own in asked.iter().filter(|own| own.can(way)) {
            BEGIN.store(1, Relaxed);
            black_box(own.decide(&view, way));
            END.store(1, Relaxed);
        }
    }
}

/// Lines of the plan that a decision touches, and instructions that it takes.
fn touched(rules: usize, view: &PlanView) {
    let path = std::env::temp_dir().join(format!("mesh-bench-{}.mplan", std::process::id()));
    std::fs::write(&path, view.bytes()).expect("room for a plan");
    let counted = count(rules, &path.to_string_lossy());
    std::fs::remove_file(&path).expect("the file written before");
    let Some(counted) = counted else {
        println!("  lines of cache and instructions: not counted, there is no valgrind");
        return;
    };
    let is_whole = counted.len() == Way::ALL.len() && counted.iter().all(|(lines, _)| !lines.is_empty());
    assert!(is_whole, "the trace of valgrind shows no decisions: nothing was counted");
    println!("  {:<44}{:>12}{:>12}{:>16}", "", "lines p50", "p99", "instructions");
    for (way, (mut lines, mut instructions)) in Way::ALL.into_iter().zip(counted) {
        lines.sort_unstable();
        instructions.sort_unstable();
        let at =
            |of: &[u64], share: f64| of.get((of.len() as f64 * share) as usize).copied().unwrap_or_default();
        let (median, most) = (at(&lines, 0.5), at(&lines, 0.99));
        let holds = median as f64 <= LINES_MEDIAN && most as f64 <= LINES_P99;
        println!(
            "  {:<44}{median:>12}{most:>12}{:>16}  {}",
            way.name(),
            at(&instructions, 0.5),
            verdict(holds, &format!("<= {LINES_MEDIAN}, <= {LINES_P99}"))
        );
    }
}

/// For each way the lines and the instructions of each decision.
fn count(rules: usize, plan: &str) -> Option<Vec<(Vec<u64>, Vec<u64>)>> {
    let own = std::env::current_exe().ok()?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=lackey", "--trace-mem=yes", "--log-fd=2"]).arg(own);
    valgrind.args(["trace", &rules.to_string(), plan]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = valgrind.spawn().ok()?;
    let trace = BufReader::with_capacity(1 << 20, child.stderr.take()?);
    let mut places: Vec<u64> = vec![];
    let mut all: Vec<(Vec<u64>, Vec<u64>)> = vec![];
    let (mut lines, mut instructions, mut within) = (HashSet::new(), 0u64, false);
    for line in trace.split(b'\n') {
        let line = line.ok()?;
        let Ok(text) = std::str::from_utf8(&line) else { continue };
        if let Some(said) = text.strip_prefix(PLACES) {
            places = said.split_whitespace().filter_map(|place| place.parse().ok()).collect();
        }
        let &[begin, end, next, plan_start, plan_end] = places.as_slice() else { continue };
        // `I  04016dd4,3`, ` L 1ffeffe7e,8`, ` S …`, ` M …`.
        let Some((kind, access)) = text.split_at_checked(3) else { continue };
        if kind == "I  " {
            instructions += u64::from(within);
            continue;
        }
        let Some((address, size)) = access.split_once(',') else { continue };
        let Ok(address) = u64::from_str_radix(address.trim(), 16) else { continue };
        if address == next {
            all.push((vec![], vec![]));
        } else if address == begin {
            within = true;
        } else if address == end && within {
            let own = all.last_mut()?;
            own.0.push(lines.len() as u64);
            own.1.push(instructions);
            (within, instructions) = (false, 0);
            lines.clear();
        } else if within && (plan_start..plan_end).contains(&address) {
            let size: u64 = size.trim().parse().ok()?;
            lines.extend((address >> 6)..=((address + size - 1) >> 6));
        }
    }
    child.wait().ok()?.success().then_some(all)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A row, with how many times it is of the scan where somebody is let in.
fn row(name: &str, times: [f64; 2], unit: &str, scan: [f64; 2]) {
    let [hit, miss] = times;
    println!("  {name:<44}{hit:>9.0} {unit}{miss:>9.0} {unit}{:>10.2} x the scan", hit / scan[0]);
}

fn verdict(holds: bool, wanted: &str) -> String {
    format!("{} ({wanted})", if holds { "holds" } else { "MISSED" })
}
