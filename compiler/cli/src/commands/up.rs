//! `mesh up`: run a mesh on this machine, and re-plan on each save.
//!
//! Everything is commentary here and goes to standard error: standard output is for the access log alone.

mod announce;
mod proxies;
mod signals;
mod watch;

use super::build::seal;
use crate::args::Up;
use crate::failure::{Failure, reason};
use crate::load::{Project, load};
use crate::output::{Output, Stream};
use crate::stand_in::StandInServers;
use crate::{FINDINGS, OK};
use mesh_compiler::{Compilation, StandIns};
use mesh_lang::Diagnostic;
use mesh_plan::PlanView;
use proxies::Proxies;
use std::io;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use watch::Watch;

/// How long requests in flight may take once Ctrl-C was pressed: longer than a person at a terminal waits.
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) fn run(up: &Up, output: &mut Output<'_>) -> Result<u8, Failure> {
    let runtime = runtime().map_err(|error| trouble("start the stand-ins", &error))?;
    let interrupts = signals::listen(&runtime).map_err(|error| trouble("listen for signals", &error))?;
    let mut stand_ins = StandInServers::new(runtime.handle().clone());
    let mut watch = Watch::new(&up.path);

    let project = load(std::slice::from_ref(&up.path))?;
    let planned = match plan(&project, &mut stand_ins)? {
        Ok(planned) => planned,
        Err(diagnostics) => {
            show(output, &diagnostics, &project);
            return Ok(FINDINGS);
        }
    };
    show(output, &planned.compilation.diagnostics, &project);
    let (mut proxies, notes) = Proxies::start(planned.view, up.access_log)?;
    stand_ins.route_calls(&planned.compilation.calls, proxies.sidecars());
    announce::started(output, &up.path, &project, &planned.compilation, &proxies, &notes);

    while let Err(RecvTimeoutError::Timeout) = interrupts.recv_timeout(watch::INTERVAL) {
        if let Some(changed) = watch.changed() {
            let replanned = replan(&up.path, &mut stand_ins, &mut proxies, output);
            announce::replanned(output, &replanned, &changed);
        }
    }
    announce::stopping(output);
    announce::stopped(output, proxies.drain(DRAIN));
    Ok(OK)
}

/// Stand-ins wait more than they work: one thread serves them all.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

fn trouble(doing: &str, error: &io::Error) -> Failure {
    Failure::new(
        format!("cannot {doing}: {}", reason(error)),
        "Close some programs that use sockets or files, then start again.",
    )
}

/// A plan that can be run: all its services have endpoints or stand-ins.
struct Planned {
    compilation: Compilation,
    view: PlanView,
}

/// Compiles, starts the stand-ins that are missing, and compiles again with the addresses of those that are needed. What
/// is wrong with the sources comes back as diagnostics.
fn plan(
    project: &Project,
    stand_ins: &mut StandInServers,
) -> Result<Result<Planned, Vec<Diagnostic>>, Failure> {
    let draft = super::compile(project, &StandIns::new());
    if draft.plan.is_none() {
        return Ok(Err(draft.diagnostics));
    }
    let addresses = stand_ins.start(&draft.needs).map_err(|error| trouble("start the stand-ins", &error))?;
    let compilation = super::compile(project, &addresses);
    let Some(plan) = &compilation.plan else { return Ok(Err(compilation.diagnostics)) };
    let (_, view) = seal(plan)?;
    Ok(Ok(Planned { compilation, view }))
}

/// What a save led to.
enum Replanned {
    /// The proxies serve a new plan.
    Swapped { digest: String, took: Duration, opened: Vec<String>, notes: Vec<String> },
    /// Only comments, layout or tests changed.
    Same,
    /// The sources are wrong, or the world is, which has been said. The old plan stays.
    Refused,
}

fn replan(
    path: &Path,
    stand_ins: &mut StandInServers,
    proxies: &mut Proxies,
    output: &mut Output<'_>,
) -> Replanned {
    match try_to_replan(path, stand_ins, proxies, output) {
        Ok(replanned) => replanned,
        Err(failure) => {
            output.complain(&failure);
            Replanned::Refused
        }
    }
}

fn try_to_replan(
    path: &Path,
    stand_ins: &mut StandInServers,
    proxies: &mut Proxies,
    output: &mut Output<'_>,
) -> Result<Replanned, Failure> {
    let started = Instant::now();
    let project = load(&[path.to_owned()])?;
    let planned = match plan(&project, stand_ins)? {
        Ok(planned) => planned,
        Err(diagnostics) => {
            show(output, &diagnostics, &project);
            return Ok(Replanned::Refused);
        }
    };
    show(output, &planned.compilation.diagnostics, &project);
    let digest = planned.view.digest_hex();
    if digest == proxies.digest() {
        return Ok(Replanned::Same);
    }
    let before = announce::doors(proxies);
    let notes = proxies.swap(planned.view)?;
    stand_ins.route_calls(&planned.compilation.calls, proxies.sidecars());
    let opened = announce::doors(proxies).into_iter().filter(|door| !before.contains(door)).collect();
    Ok(Replanned::Swapped { digest, took: started.elapsed(), opened, notes })
}

fn show(output: &mut Output<'_>, diagnostics: &[Diagnostic], project: &Project) {
    output.diagnostics(Stream::Errors, diagnostics, &project.sources);
}
