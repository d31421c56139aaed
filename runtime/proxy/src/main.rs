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
use mesh_plan::PlanView;
use mesh_proxy::{AccessLog, Config, Drained, Handle, cause, start};
use reload::Found;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// It ended, but requests were cut off.
const CUT_OFF: u8 = 1;
/// Usage, configuration and files.
const CANNOT_START: u8 = 2;

fn main() -> ExitCode {
    run(&Args::of_process()).unwrap_or_else(|why| {
        say(&format!("error: {why}"));
        ExitCode::from(CANNOT_START)
    })
}

fn run(args: &Args) -> Result<ExitCode, String> {
    let mut watch = reload::Watch::new(&args.plan);
    let plan = reload::load(&args.plan).map_err(|why| {
        format!("cannot read the plan {}: {why}; `mesh build` writes one", args.plan.display())
    })?;
    let config = Config {
        doors: args.doors(),
        workers: args.workers,
        admin: args.admin,
        access_log: match args.access_log {
            args::AccessLog::None => AccessLog::None,
            args::AccessLog::Stdout => AccessLog::Stdout,
        },
        plan_header: args.plan_header,
        drain: args.drain,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start a runtime: {}", cause(&error)))?;
    runtime.block_on(async {
        // Before the doors open: a signal that comes early ends or reloads what it meets.
        let mut signals =
            Signals::new().map_err(|error| format!("cannot wait for signals: {}", cause(&error)))?;
        let handle = start(plan, config).map_err(|error| error.to_string())?;
        if let Some(address) = handle.admin_address() {
            say(&format!("admin on {address}"));
        }
        announce(&handle, &BTreeMap::new());
        while let Event::Look { now } = signals.next().await {
            look(&handle, &mut watch, &args.plan, now);
        }
        Ok(end(handle, signals).await)
    })
}

/// Says where there is a door now that was not there before, and the other way round, and which plan is served.
fn announce(handle: &Handle, before: &BTreeMap<String, SocketAddr>) {
    let now = handle.addresses();
    for (door, address) in before.iter().filter(|(door, address)| now.get(*door) != Some(address)) {
        say(&format!("{door} no longer on {address}"));
    }
    for (door, address) in now.iter().filter(|(door, address)| before.get(*door) != Some(address)) {
        say(&format!("{door} on {address}"));
    }
    say(&format!("serving plan {}", short(&handle.plan())));
}

/// Looks at the plan's file; `now`: takes it up even if it looks the same.
fn look(handle: &Handle, watch: &mut reload::Watch, path: &Path, now: bool) {
    let found = watch.look();
    match found {
        Found::Loss => {
            say(&format!("{} is gone; plan {} keeps serving", path.display(), short(&handle.plan())));
        }
        Found::Return => say(&format!("{} is back", path.display())),
        Found::Change | Found::Nothing => {}
    }
    if now || matches!(found, Found::Change | Found::Return) {
        take_over(handle, path);
    }
}

/// Takes over what is in the plan's file now, or says why not.
fn take_over(handle: &Handle, path: &Path) {
    let before = handle.addresses();
    let swapped = match reload::load(path) {
        Ok(plan) if plan.digest() == handle.plan().digest() => {
            handle.note_rejection(None);
            say(&format!("the plan is the same: {}", short(&plan)));
            return;
        }
        Ok(plan) => handle.swap(plan).map_err(|error| error.to_string()),
        Err(why) => {
            handle.note_rejection(Some(why.to_string()));
            Err(why.to_string())
        }
    };
    match swapped {
        Ok(()) => announce(handle, &before),
        Err(why) => {
            let serving = short(&handle.plan());
            say(&format!("{} is not taken over: {why}; plan {serving} keeps serving", path.display()));
        }
    }
}

/// Ends when the requests in flight are answered, or at once when told so again.
async fn end(handle: Handle, mut signals: Signals) -> ExitCode {
    say("draining");
    let drained = tokio::task::spawn_blocking(move || handle.shutdown());
    tokio::select! {
        drained = drained => match drained {
            Ok(Drained { cut: 0 }) => {
                say("ended");
                ExitCode::SUCCESS
            }
            Ok(Drained { cut }) => {
                say(&format!("ended; cut {cut} connection{}", if cut == 1 { "" } else { "s" }));
                ExitCode::from(CUT_OFF)
            }
            // It panicked, and has said so.
            Err(_) => ExitCode::from(CUT_OFF),
        },
        () = signals.end() => {
            say("ended at once; requests in flight are cut off");
            // The drain holds a thread that nothing else would end.
            std::process::exit(CUT_OFF.into());
        }
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
