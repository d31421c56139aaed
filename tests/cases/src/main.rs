//! Plays a catalogue of hostile inputs against the real `mesh-proxy` and says which of them it withstands.

mod catalogue;
mod client;
mod expect;
mod fixture;
mod h1;
mod h2;
mod jwt;
mod mesh;
mod models;
mod notation;
mod oracles;
mod plan;
mod report;
mod requests;
mod scenario;
mod tls;
mod up;
mod upstream;
mod verdict;

use catalogue::Case;
use clap::Parser;
use fixture::{Fixture, Running, Tools};
use report::Report;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use verdict::Verdict;

/// Some cases fail.
const FAILED: u8 = 1;
/// There is nothing to play, or nothing to play it against.
const CANNOT_PLAY: u8 = 2;

/// Plays a catalogue of hostile inputs against the real mesh-proxy
#[derive(Debug, Parser)]
#[command(name = "mesh-cases", version, after_help = EXAMPLES)]
struct Args {
    /// The catalogue: a JSON object on each line, with id, cls, kind, input and expect
    #[arg(value_name = "FILE")]
    catalogue: PathBuf,

    /// Play only these cases: an id, or the beginning of one; can be repeated, or a list separated by commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,

    /// Say what would be played, and what is understood of it
    #[arg(long)]
    list: bool,

    /// The proxy; without it, it is built
    #[arg(long, value_name = "FILE")]
    proxy: Option<PathBuf>,

    /// The compiler; without it, it is built
    #[arg(long, value_name = "FILE")]
    mesh: Option<PathBuf>,

    /// Say of each case what became of it, and what of its expectation was not checked by itself
    #[arg(long, short)]
    verbose: bool,
}

const EXAMPLES: &str = "\
Examples:
  All of a catalogue:
    mesh-cases tests/cases/catalogue.jsonl

  One case, and all that begin with F-0:
    mesh-cases tests/cases/catalogue.jsonl --only P-003,F-0 --verbose

  What is understood of somebody else's catalogue:
    mesh-cases others.jsonl --list

Exit codes:
  0  no case failed
  1  some did; each is told with what was expected and what came
  2  the catalogue cannot be read, or the fixture does not start";

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            report::complain(&why);
            ExitCode::from(CANNOT_PLAY)
        }
    }
}

fn run(args: &Args) -> Result<u8, String> {
    let mut cases = catalogue::read(&args.catalogue)?;
    if !args.only.is_empty() {
        cases.retain(|case| args.only.iter().any(|only| case.id.starts_with(only.as_str())));
        if cases.is_empty() {
            return Err(format!(
                "no case begins with {}; --list says which there are",
                args.only.join(" or ")
            ));
        }
    }
    if args.list {
        cases.iter().for_each(report::list);
        return Ok(0);
    }
    let scratch = Scratch::new()?;
    let tools = Tools {
        mesh: found(args.mesh.as_deref(), "mesh")?,
        proxy: found(args.proxy.as_deref(), "mesh-proxy")?,
        scratch: scratch.0.clone(),
    };
    let mut stage = Stage::set(tools)?;
    let mut report = Report::new(args.verbose);
    for case in &cases {
        let verdict = stage.play(case);
        report.add(case, verdict);
    }
    report.finish(stage.leaks());
    Ok(if report.has_failures() { FAILED } else { 0 })
}

/// Longer than it takes to answer whatever is answered at once.
const LONG: Duration = Duration::from_secs(1);

/// Both fixtures, running.
struct Stage {
    allow: Running,
    deny: Running,
    /// Those that trust so many proxies before them, by that; started when first asked.
    trusting: BTreeMap<u32, Running>,
    /// One that takes more paths; started when first asked.
    relaxed: Option<Running>,
    files: [usize; 2],
    tools: Tools,
}

impl Stage {
    fn set(tools: Tools) -> Result<Stage, String> {
        let allow = Running::start(Fixture::Allow, &tools)?;
        let deny = Running::start(Fixture::Deny, &tools)?;
        let files = [allow.process().files(), deny.process().files()];
        Ok(Stage { allow, deny, trusting: BTreeMap::new(), relaxed: None, files, tools })
    }

    /// A gateway behind so many proxies that it trusts.
    fn trusting(&mut self, hops: u32) -> Result<&mut Running, String> {
        Ok(match self.trusting.entry(hops) {
            Entry::Occupied(own) => own.into_mut(),
            Entry::Vacant(none) => none.insert(Running::trusting(hops, &self.tools)?),
        })
    }

    /// Plays a case once more where more paths are taken: what is expected there.
    fn play_relaxed(&mut self, case: &Case, expect: &str) -> Result<Verdict, String> {
        let own = match &mut self.relaxed {
            Some(own) => own,
            none => none.insert(Running::relaxed(&self.tools)?),
        };
        Ok(h1::play(&Case { expect: expect.to_owned(), ..case.clone() }, own))
    }

    fn play(&mut self, case: &Case) -> Verdict {
        match case.kind.as_str() {
            "h1" => {
                let expect = expect::Expect::read(&case.expect).unwrap_or_default();
                if let Some(hops) = expect.trusted_hops {
                    return match self.trusting(hops) {
                        Ok(own) => h1::play(case, own),
                        Err(why) => Verdict::Failed(vec![why]),
                    };
                }
                let (own, other) = match expect.fixture {
                    Fixture::Allow => (&mut self.allow, &mut self.deny),
                    Fixture::Deny => (&mut self.deny, &mut self.allow),
                };
                let began = Instant::now();
                let mut verdict = h1::play(case, own);
                // What a proxy needs once it needs the first time; what a message costs it costs again.
                if verdict.is_about_memory_alone() {
                    verdict = h1::play(case, own);
                }
                let verdict = match verdict {
                    // What takes long is played once.
                    Verdict::Passed(unchecked) if began.elapsed() < LONG => {
                        Verdict::of(h1::play_beside(case, other), unchecked)
                    }
                    verdict => verdict,
                };
                match (verdict, &expect.relaxed) {
                    (Verdict::Passed(mut unchecked), Some(expect)) => match self.play_relaxed(case, expect) {
                        Ok(Verdict::Passed(more)) => {
                            unchecked.extend(more);
                            Verdict::Passed(unchecked)
                        }
                        Ok(other) => other,
                        Err(why) => Verdict::Failed(vec![why]),
                    },
                    (verdict, _) => verdict,
                }
            }
            "h2" => h2::play(case, &mut self.allow),
            "up" => up::play(case, &mut self.allow, &self.tools),
            "mesh" => mesh::play(case, &self.tools),
            "desc" => scenario::play(case, &mut self.allow, &self.tools),
            "tls" => tls::play(case, case.before.as_deref(), &self.tools),
            "jwt" => jwt::play(case, &self.tools),
            "plan" => plan::play(case, &self.tools),
            kind => Verdict::Failed(vec![format!("not understood: the kind `{kind}`")]),
        }
    }

    /// What is left open after everything.
    fn leaks(&self) -> Vec<String> {
        let both = [&self.allow, &self.deny];
        both.iter().zip(self.files).filter_map(|(one, files)| oracles::leak(one.process(), files)).collect()
    }
}

/// The program that is named, or else one that is built.
fn found(named: Option<&Path>, name: &str) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return match path.is_file() {
            true => Ok(path.to_owned()),
            false => Err(format!("{} is no file; leave the flag away to have {name} built", path.display())),
        };
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo says to a program of its package: build scripts that look at it would run again, and all behind them be built again.
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")).for_each(
        |name| {
            cargo.env_remove(name);
        },
    );
    let built = cargo
        .args(["build", "--quiet", "--locked", "--workspace", "--bins", "--test", "it"])
        .current_dir(root)
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let here = std::env::current_exe().map_err(|error| format!("cannot say where this is: {error}"))?;
    // Ours may be of another profile; what the tests use, and so is mostly there, is beside it.
    let target = here.ancestors().nth(2).map(|target| target.join("debug").join(name));
    match target.filter(|path| built.success() && path.is_file()) {
        Some(path) => Ok(path),
        None => Err(format!("cannot build {name}; give the path of one with a flag")),
    }
}

/// A directory that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, String> {
        let path = std::env::temp_dir().join(format!("mesh-cases-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
