//! The `mesh-proxy` binary: a plan's file and signals around the library.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unreachable,
    reason = "what comes from outside is refused, never a panic"
)]

mod args;
mod reload;

use args::Args;
use clap::Parser as _;
use mesh_plan::PlanView;
use mesh_proxy::{AccessLog, Config, Handle, start};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Usage, configuration and files.
const CANNOT_START: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("error: {why}"));
            ExitCode::from(CANNOT_START)
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let mut watch = reload::Watch::new(&args.plan);
    let plan = reload::load(&args.plan).map_err(|error| error.to_string())?;
    let config = Config {
        doors: args.doors(),
        workers: args.workers,
        admin: args.admin,
        access_log: match args.access_log {
            args::AccessLog::None => AccessLog::None,
            args::AccessLog::Stdout => AccessLog::Stdout,
        },
        drain: args.drain,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start a runtime: {error}"))?;
    runtime.block_on(async {
        // Before the doors open: a signal that comes early ends or reloads what it meets.
        let mut signals = Signals::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
        let handle = start(plan, config).map_err(|error| error.to_string())?;
        announce(&handle);
        while let Event::Look { now } = signals.next().await {
            if watch.changed() || now {
                take_over(&handle, &args.plan);
            }
        }
        say("draining");
        let drained = tokio::task::spawn_blocking(move || handle.shutdown());
        tokio::select! {
            drained = drained => match drained {
                Ok(drained) if drained.cut > 0 => say(&format!("ended; cut {} connections", drained.cut)),
                _ => say("ended"),
            },
            () = signals.end() => {
                say("ended at once");
                // The drain holds a thread that nothing else would end.
                std::process::exit(0);
            }
        }
        Ok(())
    })
}

fn announce(handle: &Handle) {
    for (door, address) in handle.addresses() {
        say(&format!("{door} on {address}"));
    }
    if let Some(address) = handle.admin_address() {
        say(&format!("admin on {address}"));
    }
    say(&format!("serving plan {}", short(&handle.plan())));
}

/// Takes over what is in the plan's file now, or says why not.
fn take_over(handle: &Handle, path: &Path) {
    let swapped = reload::load(path).map_err(|error| error.to_string()).and_then(|plan| {
        let same = plan.digest() == handle.plan().digest();
        if same { Ok(same) } else { handle.swap(plan).map(|()| same).map_err(|error| error.to_string()) }
    });
    let serving = short(&handle.plan());
    match swapped {
        Ok(true) => say(&format!("the plan is the same: {serving}")),
        Ok(false) => announce(handle),
        Err(why) => say(&format!("error: {why}; plan {serving} keeps serving")),
    }
}

fn short(plan: &PlanView) -> String {
    plan.digest_hex().chars().take(12).collect()
}

/// Tells the operator, on stderr: stdout is for the access log. If nobody listens, so be it.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "mesh-proxy: {what}");
}

/// What the process is told from outside.
enum Event {
    /// Look at the plan's file; `now`: even if it looks the same.
    Look { now: bool },
    /// End.
    End,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::End,
            _ = self.interrupt.recv() => Event::End,
            _ = self.hang_up.recv() => Event::Look { now: true },
            () = tokio::time::sleep(reload::INTERVAL) => Event::Look { now: false },
        }
    }

    async fn end(&mut self) {
        while let Event::Look { .. } = self.next().await {}
    }
}
