//! `mesh up`: run a mesh on this machine, and re-plan on each save.
//!
//! Everything is commentary here and goes to standard error: standard output is for the access log, or, with `--quiet`
//! and without it, for the addresses of the gateways.

mod announce;
mod certificates;
mod mutual;
mod placement;
mod proxies;
mod watch;

use super::Parsed;
use super::build::seal;
use super::environment::{self, Environment};
use super::running::{interrupts, runtime, trouble};
use crate::args::Up;
use crate::failure::Failure;
use crate::load::{Project, load};
use crate::output::{Output, Stream};
use crate::stand_in::StandInServers;
use crate::{FINDINGS, OK};
use announce::Scene;
use mesh_compiler::{Compilation, StandIn, StandIns};
use mesh_lang::Diagnostic;
use mesh_plan::PlanView;
use mutual::{Fronts, Identities};
use placement::{Moved, Placement};
use proxies::{NotRun, Proxies};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use watch::Watch;

/// How long requests in flight may take once Ctrl-C was pressed: longer than a person at a terminal waits.
const DRAIN: Duration = Duration::from_secs(5);
/// How often ports are looked for when another program is faster each time: it takes one more of them with each try, and
/// has none of its own to look for after the first few.
const TRIES: u32 = 8;

pub(crate) fn run(up: &Up, output: &mut Output<'_>) -> Result<u8, Failure> {
    if output.for_program() {
        return Err(Failure::new(
            "mesh up does not print JSON: it speaks to a person until it is stopped",
            "Use --format human, short or plain (or MESH_FORMAT); --access-log prints JSON for each request.",
        ));
    }
    // The only proxies of this process, so that nothing else holds bounds already.
    mesh_proxy::bounds::hold(&up.limits, None);
    let runtime = runtime("start the stand-ins")?;
    let interrupts = interrupts(&runtime)?;
    let mut stand_ins = StandInServers::new(runtime.handle().clone());
    let mut watch = Watch::new(&up.path);

    let project = load(std::slice::from_ref(&up.path))?;
    let mut identities = Identities::default();
    let environment = up.environment.as_deref();
    let started = until_placed(
        || plan(&project, environment, &mut stand_ins, &Standing::default()),
        |planned| {
            let own = identities.of(&planned.view, &planned.standing.fronts).map_err(NotRun::Failed)?;
            Proxies::start(planned.view.clone(), planned.standing.clone(), own, up.access_log)
        },
    )?;
    let (planned, proxies) = match started {
        Ok(started) => started,
        Err(diagnostics) => {
            show(output, &diagnostics, &project);
            return Ok(FINDINGS);
        }
    };
    show(output, &planned.compilation.diagnostics, &project);
    stand_ins.route_calls(&planned.compilation.calls, proxies.ways());
    announce::started(output, up, &project, &planned, &proxies);

    let mut session = Session {
        path: &up.path,
        environment,
        stand_ins,
        proxies,
        identities,
        needs: planned.compilation.needs,
        refused: false,
    };
    while let Err(RecvTimeoutError::Timeout) = interrupts.recv_timeout(watch::INTERVAL) {
        if let Err(failure) = session.identities.renew() {
            output.complain(&failure);
        }
        if let Some(changes) = watch.changed() {
            let replanned = session.replan(output);
            announce::replanned(output, &replanned, &changes);
        }
    }
    announce::stopping(output);
    announce::stopped(output, session.proxies.drain(DRAIN));
    Ok(OK)
}

/// A plan that can be run: all its services have endpoints or stand-ins, all its gateways ports that can be had.
struct Planned {
    compilation: Compilation,
    environment: Environment,
    /// How many rules it was made of.
    rules: usize,
    /// Of the plan as `mesh build` would write it: without what differs from one start to the next.
    digest: String,
    /// A clause for each listener that is not on its own port.
    notes: Vec<String>,
    /// Where everything is.
    standing: Standing,
    /// What runs.
    view: PlanView,
}

/// Where proxies are, from one plan to the next.
#[derive(Clone, Default)]
struct Standing {
    /// Listeners that are not on their own port.
    moved: Moved,
    /// The ports that gateways listen on.
    ours: BTreeSet<u16>,
    /// Proxies before endpoints.
    fronts: Fronts,
}

/// Compiles, starts the stand-ins that are missing, and compiles again with the addresses of those that are needed. What
/// is wrong with the sources comes back as diagnostics.
fn plan(
    project: &Project,
    environment: Option<&str>,
    stand_ins: &mut StandInServers,
    standing: &Standing,
) -> Result<Result<Planned, Vec<Diagnostic>>, Failure> {
    let parsed = Parsed::of(project);
    let environment = environment::to_try(&parsed, environment)?;
    let draft = parsed.compile_to_run(&environment, &StandIns::new());
    let Some(plan) = &draft.plan else { return Ok(Err(draft.diagnostics)) };
    let digest = seal(plan, &draft.sources)?.digest_hex();
    let addresses = stand_ins.start(&draft.needs).map_err(|error| trouble("start the stand-ins", &error))?;
    let mut compilation = parsed.compile_to_run(&environment, &addresses);
    let Some(plan) = &mut compilation.plan else { return Ok(Err(compilation.diagnostics)) };
    let free_port = |error| trouble("find a free port", &error);
    let Placement { moved, notes } =
        placement::place(plan, &standing.moved, &standing.ours).map_err(free_port)?;
    let fronts = standing.fronts.stand_before(plan)?;
    let standing = Standing { moved, ours: BTreeSet::new(), fronts };
    let view = seal(plan, &compilation.sources)?;
    let rules = parsed.rules();
    Ok(Ok(Planned { compilation, environment, rules, digest, notes, standing, view }))
}

/// Plans and runs it. A port that was free when it was looked at may be another program's when it is listened on: then
/// others are looked for.
fn until_placed<T>(
    mut plan: impl FnMut() -> Result<Result<Planned, Vec<Diagnostic>>, Failure>,
    mut run: impl FnMut(&Planned) -> Result<T, NotRun>,
) -> Result<Result<(Planned, T), Vec<Diagnostic>>, Failure> {
    let mut tries = 1..TRIES;
    loop {
        let planned = match plan()? {
            Ok(planned) => planned,
            Err(diagnostics) => return Ok(Err(diagnostics)),
        };
        match run(&planned) {
            Err(NotRun::Taken(_)) if tries.next().is_some() => {}
            ran => return Ok(Ok((planned, ran?))),
        }
    }
}

/// What a save led to.
enum Replanned {
    /// The proxies serve a new plan.
    Swapped { digest: String, took: Duration, differences: Vec<String>, notes: Vec<String> },
    /// Only comments, layout or tests changed.
    Same { after_refusal: bool, notes: Vec<String> },
    /// The sources are wrong, or the world is, which has been said. The old plan stays.
    Refused,
}

/// A mesh that runs.
struct Session<'a> {
    path: &'a Path,
    environment: Option<&'a str>,
    stand_ins: StandInServers,
    proxies: Proxies,
    identities: Identities,
    /// The stand-ins that the plan in service uses.
    needs: Vec<StandIn>,
    /// Whether the files on disk are not what runs.
    refused: bool,
}

impl Session<'_> {
    fn replan(&mut self, output: &mut Output<'_>) -> Replanned {
        let replanned = self.try_to_replan(output).unwrap_or_else(|failure| {
            output.complain(&failure);
            Replanned::Refused
        });
        self.refused = matches!(replanned, Replanned::Refused);
        replanned
    }

    fn try_to_replan(&mut self, output: &mut Output<'_>) -> Result<Replanned, Failure> {
        let started = Instant::now();
        let project = load(&[self.path.to_owned()])?;
        let before = self.scene();
        let Session { environment, stand_ins, proxies, identities, .. } = self;
        let standing = proxies.standing();
        let replanned = until_placed(
            || plan(&project, *environment, stand_ins, &standing),
            |planned| {
                if planned.view.digest_hex() == proxies.digest() {
                    proxies.relocate(&planned.view)?;
                    proxies.remember(planned.standing.clone());
                    return Ok(false);
                }
                let own = identities.of(&planned.view, &planned.standing.fronts).map_err(NotRun::Failed)?;
                proxies.swap(planned.view.clone(), planned.standing.clone(), own).map(|()| true)
            },
        )?;
        let (planned, swapped) = match replanned {
            Ok(replanned) => replanned,
            Err(diagnostics) => {
                show(output, &diagnostics, &project);
                return Ok(Replanned::Refused);
            }
        };
        let Planned { compilation, digest, notes, .. } = planned;
        show(output, &compilation.diagnostics, &project);
        if !swapped {
            return Ok(Replanned::Same { after_refusal: self.refused, notes });
        }
        self.stand_ins.route_calls(&compilation.calls, self.proxies.ways());
        self.needs = compilation.needs;
        let differences = announce::differences(&before, &self.scene());
        Ok(Replanned::Swapped { digest, took: started.elapsed(), differences, notes })
    }

    fn scene(&self) -> Scene {
        Scene::of(&self.proxies, &self.needs)
    }
}

fn show(output: &mut Output<'_>, diagnostics: &[Diagnostic], project: &Project) {
    output.diagnostics(Stream::Errors, diagnostics, &project.sources);
}
