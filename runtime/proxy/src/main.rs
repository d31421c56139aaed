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
mod certificates;
mod credentials;
mod events;
mod intake;
mod keep;
mod notice;
mod plans;
mod poll;
mod privileges;
mod reload;
mod trusted;

use args::{Args, Source};
use certificates::Directory;
use credentials::Credentials;
use events::{Event, Events};
use intake::Taken;
use mesh_plan::view::Service;
use mesh_plan::{LOCAL, PlanView};
use mesh_proxy::{
    AccessLog, Astray, Certificates, Checking, Config, Drained, Fetching, Handle, Here, Looking, cause, start,
};
use plans::Plans;
use poll::{Delivery, News, Server};
use reload::Found;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::mpsc;

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
    mesh_proxy::bounds::hold(&args.limits, privileges::open_files());
    if let Some(state) = &args.state {
        privileges::make(state, args.user.as_ref())
            .map_err(|error| format!("cannot make {}: {}", state.display(), cause(&error)))?;
    }
    if args.sandbox == args::Sandbox::On
        && let Some(missing) = privileges::confine(args.state.as_deref())
    {
        say(&format!("warning: {missing}; --sandbox off says that this is meant"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start a runtime: {}", cause(&error)))?;
    runtime.block_on(async {
        // Before the doors open: a signal that comes early ends or reloads what it meets.
        let mut events =
            Events::of(args).map_err(|error| format!("cannot wait for signals: {}", cause(&error)))?;
        let mut plans = Plans::of(args)?;
        if let Source::Url(url) = &args.plan {
            let server = Server::at(url, &plans.intake.wanted, &node(args), args.plan_ca.as_deref())?;
            let (send, news) = mpsc::channel(1);
            tokio::spawn(server.ask(send));
            events.news = Some(news);
        }
        let Some((plan, delivery)) = first(args, &mut plans, &mut events).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        let credentials = tokio::select! {
            credentials = Credentials::of(args) => credentials?,
            () = events.only_end() => return Ok(ExitCode::SUCCESS),
        };
        let directory = args.certificates.as_deref().map(Directory::at);
        let certificates = directory.clone().map(|directory| Certificates::of(Box::new(directory)));
        let started = start(plan.view.clone(), config(args, credentials.as_ref(), certificates.clone()));
        let started = started.map_err(|error| error.to_string());
        if let Some(delivery) = delivery {
            let _ = delivery.send(started.as_ref().map(|_| ()).map_err(Clone::clone));
        }
        let handle = started?;
        match &args.user {
            Some(user) => privileges::become_user(user)?,
            None if privileges::is_root() => {
                say(
                    "warning: this proxy is root: --user NAME makes it somebody else once its ports are open",
                );
            }
            None => {}
        }
        plans.took(&plan);
        if let Some(address) = handle.admin_address() {
            say(&format!("admin on {address}"));
        }
        announce(&handle, &BTreeMap::new());
        if let Some(credentials) = credentials {
            tokio::spawn(credentials.follow());
        }
        if let (Some(directory), Some(certificates)) = (directory, certificates) {
            tokio::spawn(certificates::follow(directory, certificates));
        }
        loop {
            match events.next().await {
                Event::Look { now } => look(&handle, &mut plans, &mut events.watch, now),
                Event::News(News::Plan(delivery)) => deliver(&handle, &mut plans, delivery),
                Event::News(news) => hear(&news, &plans),
                Event::End => break,
            }
        }
        Ok(end(handle, events).await)
    })
}

fn config(args: &Args, credentials: Option<&Credentials>, certificates: Option<Arc<Certificates>>) -> Config {
    Config {
        doors: args.doors(),
        identities: credentials.map(Credentials::identities).unwrap_or_default(),
        certificates,
        workers: args.workers,
        admin: args.admin,
        access_log: match args.access_log {
            args::AccessLog::None => AccessLog::None,
            args::AccessLog::Plan => AccessLog::Declared,
            args::AccessLog::Stdout => AccessLog::Stdout,
        },
        plan_header: args.plan_header,
        here: here(args),
        jwks: Fetching { authorities: args.jwks_ca.clone(), say },
        names: Looking { servers: args.resolver.clone(), say },
        health: Checking { say },
        drain: args.drain,
    }
}

fn here(args: &Args) -> Here {
    let said = |place: &Option<String>| place.clone().unwrap_or_default();
    Here { cluster: said(&args.cluster), zone: said(&args.zone) }
}

/// What the server calls this proxy.
fn node(args: &Args) -> String {
    args.node.clone().unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}-{}", host.trim(), std::process::id())
    })
}

/// Tells a server what became of a plan.
type Told = tokio::sync::oneshot::Sender<Result<(), String>>;

/// The plan to start with: the source's, or the last good one. A server that is not there is waited for where nothing was kept; `None`:
/// the proxy was told to end meanwhile.
async fn first(
    args: &Args,
    plans: &mut Plans,
    events: &mut Events,
) -> Result<Option<(Taken, Option<Told>)>, String> {
    let kept = plans.kept();
    if let Source::Path(path) = &plans.source {
        return match (plans.intake.of_path(path), kept) {
            (Ok(plan), _) => Ok(Some((plan, None))),
            (Err(why), Some(kept)) => {
                say(&format!("cannot use {}: {why}; starting with the last good plan", path.display()));
                Ok(Some((kept, None)))
            }
            (Err(why), None) => {
                Err(format!("cannot read the plan {}: {why}{}", path.display(), why.remedy()))
            }
        };
    }
    if kept.is_some() {
        say(&format!("starting with the last good plan; asking {} for a newer one", args.plan));
        return Ok(kept.map(|kept| (kept, None)));
    }
    say(&format!("waiting for a plan of {}", args.plan));
    loop {
        match events.next().await {
            Event::End => return Ok(None),
            Event::Look { .. } => {}
            Event::News(News::Plan(Delivery { bytes, told })) => match plans.intake.of_bytes(bytes) {
                Ok(plan) => return Ok(Some((plan, Some(told)))),
                Err(why) => {
                    say(&format!("the plan of {} is not taken over: {why}", args.plan));
                    let _ = told.send(Err(why.to_string()));
                }
            },
            Event::News(news) => hear(&news, plans),
        }
    }
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
    without_place(&handle.plan(), &handle.here()).into_iter().for_each(|line| say(&line));
    handle.astray().iter().for_each(|call| say(&without_way(call)));
}

/// What is said of a call that cannot be made.
fn without_way(call: &Astray) -> String {
    match call {
        Astray::Undeclared { caller, callee, listen } => {
            format!(
                "warning: `{caller}` calls no `tcp` port of `{callee}` in this plan: connections to {listen} are refused"
            )
        }
        Astray::Homeless { caller, callee } => format!(
            "warning: `{caller}` cannot call `{callee}`, which is tcp and says no name: say --call {callee}=ADDRESS (or MESH_CALL), and \
             have it connect there"
        ),
    }
}

/// What is said of near and far that this proxy cannot tell apart: it was not told where it is.
fn without_place(plan: &PlanView, here: &Here) -> Vec<String> {
    let names = |wanted: &dyn Fn(Service<'_>) -> bool| -> Vec<String> {
        let services = plan.services().iter().filter(|service| wanted(*service));
        services.map(|service| format!("`{}`", service.name())).collect()
    };
    let mut lines = Vec::new();
    let mut tell = |statement: &str, services: Vec<String>, flag: &str| {
        if !services.is_empty() {
            let services = services.join(", ");
            lines.push(format!("warning: `{statement}` of {services} is without effect here: say {flag}"));
        }
    };
    if here.zone.is_empty() {
        tell("locality zone", names(&|service| service.is_by_zone()), "--zone NAME (or MESH_ZONE)");
    }
    if here.cluster.is_empty() {
        let is_local = |service: Service<'_>| service.failover().any(|cluster| cluster == LOCAL);
        tell("failover local", names(&is_local), "--cluster NAME (or MESH_CLUSTER)");
    }
    lines
}

/// Looks at the plan's file; `now`: takes it up even if it looks the same.
fn look(handle: &Handle, plans: &mut Plans, watch: &mut Option<reload::Watch>, now: bool) {
    let (Source::Path(path), Some(watch)) = (plans.source.clone(), watch) else { return };
    let found = watch.look();
    match found {
        Found::Loss => {
            say(&format!("{} is gone; plan {} keeps serving", path.display(), short(&handle.plan())));
        }
        Found::Return => say(&format!("{} is back", path.display())),
        Found::Change | Found::Nothing => {}
    }
    if now || matches!(found, Found::Change | Found::Return) {
        let taken = plans.intake.of_path(&path).map_err(|why| why.to_string());
        let _ = take_over(handle, plans, taken, &path.display().to_string());
    }
}

/// Takes over what a server sent, and tells it.
fn deliver(handle: &Handle, plans: &mut Plans, Delivery { bytes, told }: Delivery) {
    let taken = plans.intake.of_bytes(bytes).map_err(|why| why.to_string());
    let whence = format!("the plan of {}", plans.source);
    // It asks again only once it is told.
    let _ = told.send(take_over(handle, plans, taken, &whence));
}

fn hear(news: &News, plans: &Plans) {
    match news {
        News::Trouble(why) => say(&format!("{} gives no plan: {why}; asking again", plans.source)),
        News::Back => say(&format!("{} answers again", plans.source)),
        News::Plan(_) => {}
    }
}

/// Takes over a plan, or says why not.
fn take_over(
    handle: &Handle,
    plans: &mut Plans,
    taken: Result<Taken, String>,
    whence: &str,
) -> Result<(), String> {
    let before = handle.addresses();
    let swapped = match &taken {
        Ok(plan) if plan.view == handle.plan() => {
            handle.note_rejection(None);
            plans.took(plan);
            say(&format!("the plan is the same: {}", short(&plan.view)));
            return Ok(());
        }
        // It may differ in nothing but where its rules stand: then it has the same digest, and only logs tell.
        Ok(plan) => handle.swap(plan.view.clone()).map_err(|error| error.to_string()),
        Err(why) => {
            handle.note_rejection(Some(why.clone()));
            Err(why.clone())
        }
    };
    match (&swapped, &taken) {
        (Ok(()), Ok(plan)) => {
            announce(handle, &before);
            plans.took(plan);
        }
        (Err(why), _) => {
            let serving = short(&handle.plan());
            say(&format!("{whence} is not taken over: {why}; plan {serving} keeps serving"));
        }
        (Ok(()), Err(_)) => {}
    }
    swapped
}

/// Ends when the requests in flight are answered, or at once when told so again.
async fn end(handle: Handle, mut events: Events) -> ExitCode {
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
        () = events.end() => {
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
