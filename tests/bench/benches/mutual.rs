//! Mutual TLS beside nginx and HAProxy: what a request, a full and a resumed handshake cost the process that serves them, and what a connection
//! costs it that waits.
//!
//! `cargo bench --manifest-path tests/bench/Cargo.toml --bench mutual`; `MESH` and `MESH_PROXY` name the programs, which are otherwise built as
//! what is given to others is (profile `dist`). nginx and haproxy are those of the machine; one that is not installed is said and left out.
//!
//! `-- kept` (`full`, `resumed`, `idle`) measures that alone, for a profiler: `perf record -p $(pgrep -x mesh-proxy)`.
//!
//! All have one worker, the same certificates (P-256, TLS 1.3), the same application behind them and the same client before them: they demand
//! the client's certificate and pass each request on over a connection that they keep. They take turns, round after round, and what is printed is
//! the median of the rounds: processor time of the serving process, which repeats where elapsed time on a busy machine does not.

use mesh_bench::contenders::{Contender, Place};
use mesh_bench::tls::{Client, Upstream};
use std::time::Duration;

const ROUNDS: usize = 5;
/// Connections that are kept, each with a thread of the client.
const KEPT: usize = 32;
const REQUESTS: usize = 1_000;
/// Connections of a round that are made for one request; enough for the clock's 10 ms to be a percent.
const HANDSHAKES: usize = 2_000;
/// Clients that make them at the same time.
const HANDSHAKERS: usize = 4;
/// Connections that wait, after one request each.
const IDLE: usize = 2_000;

fn main() {
    let upstream = Upstream::start();
    let place = Place::new(upstream.port());
    let contenders = place.contenders();
    let mut figures: Vec<Figures> = contenders.iter().map(|_| Figures::default()).collect();
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    for _ in 0..ROUNDS {
        for (contender, figures) in contenders.iter().zip(&mut figures) {
            let client = Client::of(&place, contender.port());
            let work: [Work<'_>; 3] = [
                ("kept", &mut figures.kept, KEPT * REQUESTS, &|| client.ask_over_kept(KEPT, REQUESTS)),
                ("full", &mut figures.full, HANDSHAKES, &|| {
                    client.shake_hands(HANDSHAKERS, HANDSHAKES, false)
                }),
                ("resumed", &mut figures.resumed, HANDSHAKES, &|| {
                    client.shake_hands(HANDSHAKERS, HANDSHAKES, true)
                }),
            ];
            for (name, figures, count, work) in work {
                if wanted(name) {
                    figures.push(cost(contender, count, work));
                }
            }
        }
    }
    for (contender, figures) in contenders.iter().zip(&mut figures).filter(|_| wanted("idle")) {
        let before = contender.resident();
        let kept = Client::of(&place, contender.port()).wait_on(IDLE);
        figures.idle = contender.resident().saturating_sub(before) / IDLE as u64;
        drop(kept);
    }
    print(&contenders, &mut figures);
}

/// What was measured of one of them.
#[derive(Default)]
struct Figures {
    /// Microseconds of the processor, a round each.
    kept: Vec<f64>,
    full: Vec<f64>,
    resumed: Vec<f64>,
    /// Bytes of a connection that waits.
    idle: u64,
}

/// What is done in a round: its name, where its figure goes, how many there are of it, and how.
type Work<'w> = (&'w str, &'w mut Vec<f64>, usize, &'w dyn Fn());

/// What is printed of all of them: its name, and which figures it is.
type Row = (&'static str, fn(&mut Figures) -> &mut Vec<f64>);

/// Microseconds of the server's processor time for each of so many.
fn cost(contender: &Contender, count: usize, work: &dyn Fn()) -> f64 {
    let before = contender.processor_time();
    work();
    // What it does behind the last answer is part of it.
    std::thread::sleep(Duration::from_millis(50));
    (contender.processor_time() - before).as_secs_f64() * 1e6 / count as f64
}

fn print(contenders: &[Contender], figures: &mut [Figures]) {
    println!(
        "\nMutual TLS 1.3, one worker, processor time of the server, median of {ROUNDS} rounds that take turns\n"
    );
    print!("{:<44}", "");
    contenders.iter().for_each(|contender| print!("{:>18}", contender.name));
    println!("{:>16}", "asked for");
    let rows: [Row; 3] = [
        ("request over a kept connection, us", |figures| &mut figures.kept),
        ("full handshake and a request, us", |figures| &mut figures.full),
        ("resumed handshake and a request, us", |figures| &mut figures.resumed),
    ];
    for (name, of) in rows {
        let medians: Vec<f64> = figures.iter_mut().filter_map(|figures| median(of(figures))).collect();
        print!("{name:<44}");
        medians.iter().for_each(|median| print!("{median:>18.1}"));
        let Some((ours, others)) = medians.split_first() else {
            println!("    not measured");
            continue;
        };
        let best = others.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{:>16}", if *ours <= best { "<= best: met" } else { "<= best: MISSED" });
        if name.contains("handshake") {
            print!("{:<44}", "  handshakes per second and core");
            medians.iter().for_each(|median| print!("{:>18.0}", 1e6 / median));
            println!();
        }
    }
    print!("{:<44}", format!("an idle connection of {IDLE}, KiB resident"));
    figures.iter().for_each(|figures| print!("{:>18.1}", figures.idle as f64 / 1024.0));
    println!();
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
