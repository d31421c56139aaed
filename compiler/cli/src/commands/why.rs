//! `mesh why`: one request asked of the compiled plan, and what was asked on its way. The engine decides, the compiler knows which line
//! says so, and here both are put beside each other.

mod request;
mod show;

use super::test::{end, entry};
use super::{Parsed, environment};
use crate::args::{Paths, Why};
use crate::failure::Failure;
use crate::load::{Project, load};
use crate::output::Output;
use crate::report::why::{Cited, End, Kind, Other, Setting, Step, WHY_SCHEMA, Way, Why as Report};
use crate::{FINDINGS, OK};
use mesh_compiler::Survey;
use mesh_compiler::case::wording::{milliseconds, retries};
use mesh_compiler::survey::why::{Arrival, Asking, Question, Step as Found};
use mesh_engine::trace::{Hop, Next, Root, Trace};
use mesh_engine::{Action, Decision, Distribution, Peer};
use mesh_lang::{SourceSet, Span};
use mesh_plan::{Plan, PlanView, Sources};
use request::Carried;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// More ways to different ends are not shown: a person reads no more, and splits of splits multiply.
const MAX_WAYS: usize = 64;

/// Where sources are looked for unless something else is said.
const HERE: &str = ".";

/// Ends quote what the sources say; here they stand alone.
const QUOTE: char = '`';

pub(crate) fn run(why: &Why, output: &mut Output<'_>) -> Result<u8, Failure> {
    let (request, paths) = told_apart(why.request.as_ref(), &why.sources);
    let asked = request::Asked::of(request, why)?;
    let project = load(&paths)?;
    let parsed = Parsed::of(&project);
    let environment = environment::one(&parsed, why.environment.as_deref())?;
    let unknown = "What a project with errors decides is not known.";
    let Some(plan) = parsed.compile_to_ask(&environment, unknown, output) else { return Ok(FINDINGS) };
    let report = decided(&parsed, &plan, &asked, why, environment)?;
    if output.for_program() {
        output.document(&report);
    } else {
        show::show(&report, output);
    }
    Ok(OK)
}

/// What becomes of a request of the project as it is at hand. A project with errors is a failure: what it decides is not known.
pub(crate) fn answer(project: &Project, request: Option<&str>, why: &Why) -> Result<Report, Failure> {
    let asked = request::Asked::of(request, why)?;
    let parsed = Parsed::of(project);
    let environment = environment::one(&parsed, why.environment.as_deref())?;
    let plan = parsed.compile_or_fail(&environment)?;
    decided(&parsed, &plan, &asked, why, environment)
}

fn decided(
    parsed: &Parsed<'_>,
    plan: &Plan,
    asked: &request::Asked,
    why: &Why,
    environment: Option<String>,
) -> Result<Report, Failure> {
    let view = super::build::seal(plan, &Sources::default())?;
    let survey = parsed.project.survey(environment.as_deref());
    let sources = &parsed.loaded.sources;
    let asking = Asking {
        from: &why.from,
        to: &why.to,
        port: why.port.as_deref(),
        listener: why.listener.as_deref(),
        host: asked.host.as_deref(),
    };
    let arrival = survey.arrival(&asking).map_err(|unknown| Failure::new(unknown.message, unknown.help))?;
    let carried = Carried::of(asked, &arrival, why)?;
    let peer = arrival.peer.as_deref().map_or(Peer::Unauthenticated, Peer::Identity);
    Ok(carried.with(&arrival, |request| {
        let trace = mesh_engine::trace(&view, entry(arrival.entry), peer, request);
        let told = Told { survey: &survey, sources, view: &view, trace: &trace };
        let mut ways = Vec::new();
        told.ways(0, 1.0, &mut vec![], &mut ways);
        // Where the caller has no call to the target at all, there is nothing that could be asked.
        for way in ways.iter_mut().filter(|way| way.steps.is_empty()) {
            way.steps.push(undeclared(&arrival));
        }
        let complete = ways.len() <= MAX_WAYS;
        ways.truncate(MAX_WAYS);
        let distribution = mesh_engine::distribution(&view, entry(arrival.entry), peer, request);
        Report {
            schema: WHY_SCHEMA.to_owned(),
            from: arrival.from.clone(),
            to: arrival.to.clone(),
            host: arrival.host.clone(),
            request: carried.said(),
            environment: environment.clone(),
            ends: ends(&view, &distribution),
            ways,
            complete,
        }
    }))
}

/// What is asked, and the paths: where nothing is asked, the first argument is a path already.
pub(super) fn told_apart<'a>(asked: Option<&'a String>, sources: &Paths) -> (Option<&'a str>, Vec<PathBuf>) {
    let is_path = |said: &&String| !said.contains(' ') && Path::new(said).exists();
    match asked.filter(is_path) {
        None => (asked.map(String::as_str), sources.paths.clone()),
        Some(path) if sources.paths == [PathBuf::from(HERE)] => (None, vec![path.into()]),
        Some(path) => (None, std::iter::once(path.into()).chain(sources.paths.iter().cloned()).collect()),
    }
}

/// A trace, and who can say what it means.
struct Told<'a> {
    survey: &'a Survey<'a>,
    sources: &'a SourceSet,
    view: &'a PlanView,
    trace: &'a Trace<'a>,
}

impl Told<'_> {
    /// The ways from a hop on, behind the steps that lead to it.
    fn ways(&self, hop: usize, share: f64, before: &mut Vec<Found>, ways: &mut Vec<Way>) {
        let Some(Hop { asked, next }) = self.trace.hops.get(hop) else { return };
        let length = before.len();
        before.extend(asked.iter().filter_map(|asked| {
            let table = match asked.root {
                Root::Access => None,
                Root::Table(table) => Some(table),
            };
            self.survey.step(&Question { partition: asked.partition, table, atoms: &asked.atoms })
        }));
        match next {
            Next::End(decision) => add(self.way(share, before, decision), ways),
            Next::Split(split) => {
                for (backend, next) in split {
                    if ways.len() > MAX_WAYS {
                        break;
                    }
                    self.ways(*next, share * f64::from(backend.weight) / 10_000.0, before, ways);
                }
            }
        }
        before.truncate(length);
    }

    fn way(&self, share: f64, steps: &[Found], decision: &Decision<'_>) -> Way {
        let settings = match &decision.action {
            Action::Forward(forward) => {
                let steps: Vec<&Found> = steps.iter().collect();
                self.survey.settings(&steps, forward.service_index, forward.port)
            }
            _ => vec![],
        };
        let (timeout, retry) = match &decision.action {
            Action::Forward(forward) => (forward.timeout(), forward.retry().map_or(0, |retry| retry.count)),
            _ => (None, 0),
        };
        let settings = settings.into_iter().map(|setting| Setting {
            name: setting.keyword.to_owned(),
            value: match setting.keyword {
                "timeout" => milliseconds(timeout),
                "retry" => retries(retry),
                _ => setting.line.as_ref().map_or("none".to_owned(), |line| line.text.clone()),
            },
            place: setting.place,
            line: setting.line.as_ref().map(|line| self.cited(&line.text, line.span)),
        });
        Way {
            percent: rounded(share),
            end: said(self.view, decision),
            status: status(decision),
            steps: steps.iter().map(|step| self.step(step)).collect(),
            settings: settings.collect(),
        }
    }

    fn step(&self, step: &Found) -> Step {
        Step {
            kind: step.kind.into(),
            of: step.of.clone(),
            holds: step.holds,
            by: step.at.map(|at| self.cited(&step.by, at)),
            fits: step.fits.as_ref().map(|line| self.cited(&line.text, line.span)),
            does: step.does.clone(),
            others: step
                .others
                .iter()
                .map(|other| Other {
                    line: self.cited(&other.line.text, other.line.span),
                    fails: other.fails.clone(),
                })
                .collect(),
            more: step.more,
            audited: step.told.iter().map(|line| self.cited(&line.text, line.span)).collect(),
            asks: step.asks.iter().map(|line| self.cited(&line.text, line.span)).collect(),
        }
    }

    fn cited(&self, text: &str, span: Span) -> Cited {
        Cited::of(text, span, self.sources)
    }
}

/// Ways that differ in nothing that is told are one.
fn add(way: Way, ways: &mut Vec<Way>) {
    let alike = |known: &&mut Way| Way { percent: known.percent, ..way.clone() } == **known;
    match ways.iter_mut().find(alike) {
        Some(known) => known.percent = rounded((known.percent + way.percent) / 100.0),
        None => ways.push(way),
    }
}

/// What is decided where nothing was asked: only a sidecar refuses so.
fn undeclared(arrival: &Arrival) -> Step {
    Step {
        kind: Kind::Call,
        of: format!("{} to {}", arrival.from, arrival.to),
        holds: false,
        by: None,
        fits: None,
        does: vec![],
        others: vec![],
        more: 0,
        audited: vec![],
        asks: vec![],
    }
}

/// Where requests end, and how many of a hundred.
fn ends(view: &PlanView, distribution: &Distribution<'_>) -> Vec<End> {
    let mut odds: BTreeMap<(String, Option<u16>), u128> = BTreeMap::new();
    for possible in &distribution.possible {
        let end = (said(view, &possible.decision), status(&possible.decision));
        *odds.entry(end).or_default() += possible.numerator;
    }
    let share = |odds: u128| rounded(odds as f64 / distribution.denominator as f64);
    let mut ends: Vec<End> =
        odds.into_iter().map(|((end, status), odds)| End { percent: share(odds), end, status }).collect();
    ends.sort_by(|a, b| b.percent.total_cmp(&a.percent));
    ends
}

fn said(view: &PlanView, decision: &Decision<'_>) -> String {
    end(view, decision).to_string().replace(QUOTE, "")
}

/// A share as so many in a hundred, with four decimals: two splits one after the other are exact.
fn rounded(share: f64) -> f64 {
    (share * 1_000_000.0).round() / 10_000.0
}

/// The status of an answer that is not a service's.
fn status(decision: &Decision<'_>) -> Option<u16> {
    match &decision.action {
        Action::Forward(_) => None,
        Action::Refuse(refusal) => Some(refusal.status()),
        Action::Redirect { status, .. } | Action::Respond { status, .. } => Some(*status),
    }
}
