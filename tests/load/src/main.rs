//! Measures what the real `mesh-proxy` promises while its upstreams fail: requests that are lost or done twice, how long others take, what
//! retries, limits and copies amount to. One line for each promise, and a status that says whether all were kept.

mod bed;
mod journal;
mod load;
mod shows;
mod tally;
mod upstream;

use bed::Tools;
use clap::{Parser, ValueEnum as _};
use shows::{Extent, Shown};
use std::path::PathBuf;
use std::process::ExitCode;
use upstream::Role;

/// Measures what mesh-proxy promises while its upstreams fail
#[derive(Debug, Parser)]
#[command(name = "mesh-load", version)]
enum Command {
    /// Measure, and say how it went: exits with 1 where a promise was not kept, with 2 where nothing could be measured
    Show(Show),
    /// Be an upstream
    Upstream(Role),
}

#[derive(Debug, Parser)]
struct Show {
    /// What is shown; all of it, if nothing is named
    #[arg(value_name = "WHAT", value_enum)]
    what: Vec<shows::What>,

    /// The compiler
    #[arg(long, value_name = "FILE")]
    mesh: PathBuf,

    /// The proxy
    #[arg(long, value_name = "FILE")]
    proxy: PathBuf,

    /// A directory for plans, projects and journals
    #[arg(long, value_name = "DIRECTORY")]
    scratch: PathBuf,

    /// How long each load goes on, in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=3600))]
    seconds: u64,

    /// Requests a second where upstreams are killed
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    rate: u32,
}

/// A promise was not kept.
const MISSED: u8 = 1;
/// Nothing could be measured.
const CANNOT_MEASURE: u8 = 2;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what was measured is what it is for")]
fn main() -> ExitCode {
    let show = match Command::parse() {
        Command::Upstream(role) => {
            let Err(error) = upstream::serve(&role);
            eprintln!("{error}");
            return CANNOT_MEASURE.into();
        }
        Command::Show(show) => show,
    };
    let tools = Tools { mesh: show.mesh, proxy: show.proxy, scratch: show.scratch };
    let extent = Extent { time: std::time::Duration::from_secs(show.seconds), rate: show.rate };
    let what = if show.what.is_empty() { shows::What::value_variants().to_vec() } else { show.what };
    let mut all_kept = true;
    for what in what {
        match what.show(&tools, extent) {
            Ok(shown) => {
                for Shown { kept, line } in shown {
                    all_kept &= kept;
                    println!("{} {line}", if kept { "kept  " } else { "MISSED" });
                }
            }
            Err(error) => {
                eprintln!("{what:?}: {error}");
                return CANNOT_MEASURE.into();
            }
        }
    }
    if all_kept { ExitCode::SUCCESS } else { MISSED.into() }
}
