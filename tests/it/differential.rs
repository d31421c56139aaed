//! The compiler and the engine against the executable specification, over generated programs and requests.

mod canonical;
mod quantified;
mod shrink;

use fastrand::Rng;
use mesh_engine::{Action, Decision, Moment, Peer, Refusal};
use mesh_lang::{Severity, Source, SourceSet};
use mesh_plan::{Plan, PlanView};
use mesh_reference::{Chance, Entry, Outcome, Question, Reference, Retry};
use mesh_tests::generate;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Decisions to compare, unless `MESH_DIFFERENTIAL` says another number.
const DECISIONS: usize = 1_000_000;

/// As many as the machine the tests run on has cores.
const WORKERS: usize = 2;

/// Enough to meet most lines of a program; more programs find more than more requests to one.
const REQUESTS_OF_A_PROGRAM: usize = 400;

/// What the reference can confirm of a refusal.
const CONFIRMED: [&str; 6] = ["MESH3001", "MESH3002", "MESH3003", "MESH3004", "MESH3007", "MESH4010"];

/// Directory and text of each file.
type Files = Vec<(String, String)>;

#[test]
fn generated_programs_decide_as_the_reference_does() {
    let decisions =
        std::env::var("MESH_DIFFERENTIAL").ok().and_then(|text| text.parse().ok()).unwrap_or(DECISIONS);
    let tallies: Vec<Result<Tally, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(move || work(worker, decisions.div_ceil(WORKERS))))
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker panicked")).collect()
    });
    let mut total = Tally::default();
    for tally in tallies {
        match tally {
            Ok(tally) => total.add(&tally),
            Err(difference) => panic!("{difference}"),
        }
    }
    say(&total);
    assert!(!total.endings.contains_key(NOT_ASKED), "a request at a place that the program lacks");
    assert!(total.refused * 100 <= total.programs() * 60, "the generator is refused too often");
}

#[expect(clippy::print_stdout, reason = "how much was compared is worth a line in the log")]
fn say(total: &Tally) {
    println!("{total}");
}

/// What was compared.
#[derive(Default)]
struct Tally {
    decisions: usize,
    accepted: usize,
    refused: usize,
    /// How many refused programs have this code.
    codes: BTreeMap<&'static str, usize>,
    /// How many refusals the reference confirmed.
    confirmed: usize,
    /// How many decisions ended so.
    endings: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn programs(&self) -> usize {
        self.accepted + self.refused
    }

    fn add(&mut self, other: &Tally) {
        self.decisions += other.decisions;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.confirmed += other.confirmed;
        for (code, count) in &other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        for (ending, count) in &other.endings {
            *self.endings.entry(ending).or_default() += count;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |counts: &BTreeMap<&str, usize>| {
            counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        };
        write!(
            f,
            "{} decisions of {} programs, 0 differences ({}; {} programs refused, {} of them confirmed: {})",
            self.decisions,
            self.accepted,
            list(&self.endings),
            self.refused,
            self.confirmed,
            list(&self.codes)
        )
    }
}

/// Compares programs until there are enough decisions. The error is the first difference, made small.
fn work(worker: usize, decisions: usize) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut seed = worker as u64;
    while tally.decisions < decisions {
        compare(seed, &mut tally)?;
        seed += WORKERS as u64;
    }
    Ok(tally)
}

fn compare(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let generated = generate::program(&mut rng);
    if difference_of_verdict(&generated.files).is_some() {
        return Err(shrink::report(seed, &generated.files, None, &|files, _| difference_of_verdict(files)));
    }
    let subject = match Subject::new(&generated.files) {
        Ok(subject) => subject,
        Err(codes) => {
            tally.refused += 1;
            tally.confirmed += usize::from(codes.iter().all(|code| CONFIRMED.contains(code)));
            codes.into_iter().for_each(|code| *tally.codes.entry(code).or_default() += 1);
            return Ok(());
        }
    };
    tally.accepted += 1;
    for _ in 0..REQUESTS_OF_A_PROGRAM {
        let question = generate::question(&mut rng, &generated.places);
        let dice = rng.u64(..);
        match subject.compare(&question, dice) {
            Ok(ending) => *tally.endings.entry(ending).or_default() += 1,
            Err(_) => {
                let differs = |files: &Files, question: Option<&Question>| {
                    Subject::new(files).ok()?.compare(question?, dice).err()
                };
                return Err(shrink::report(seed, &generated.files, Some(&question), &differs));
            }
        }
        tally.decisions += 1;
    }
    Ok(())
}

/// Whether compiler and reference disagree on the program as a whole: what one accepts, the other finds no fault with,
/// and what is refused for its routes alone is refused for what the reference finds, too. Where an `overrides` is itself
/// wrong, what it decides for other checks is not compared.
fn difference_of_verdict(files: &Files) -> Option<String> {
    let codes = Subject::new(files).err().unwrap_or_default();
    if !codes.iter().all(|code| CONFIRMED.contains(code)) {
        return None;
    }
    let reference = match reference(files) {
        Ok(reference) => reference,
        Err(error) => return Some(format!("compiler: {codes:?}\nreference: {error}")),
    };
    let findings = reference.findings();
    let found: BTreeSet<&str> = findings.iter().map(mesh_reference::Finding::code).collect();
    let wrong_overrides = found.contains("MESH3003") || found.contains("MESH3004");
    let agree = codes.is_empty() == found.is_empty() && (wrong_overrides || codes.is_subset(&found));
    (!agree).then(|| format!("compiler: {codes:?}\nreference: {findings:?}"))
}

fn sources(files: &Files) -> SourceSet {
    let source = |(module, text): &(String, String)| Source {
        path: format!("{module}/policy.mesh").trim_start_matches('/').to_owned(),
        module: module.clone(),
        text: text.clone(),
    };
    SourceSet::new(files.iter().map(source).collect())
}

fn reference(files: &Files) -> Result<Reference, String> {
    let sources = sources(files);
    let parsed: Vec<_> = sources
        .iter()
        .map(|(id, source)| (source.module.clone(), mesh_lang::parse(id, &source.text).file()))
        .collect();
    Reference::new(&parsed)
}

/// A program as both sides see it.
struct Subject {
    plan: Plan,
    view: PlanView,
    reference: Reference,
}

impl Subject {
    /// Compiles, encodes and verifies. The error holds the codes for which the program is refused.
    fn new(files: &Files) -> Result<Subject, BTreeSet<&'static str>> {
        let compilation = mesh_compiler::compile(&sources(files), &BTreeMap::new());
        let errors =
            compilation.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        let codes: BTreeSet<&str> = errors.map(|diagnostic| diagnostic.code.as_str()).collect();
        let Some(plan) = compilation.plan else { return Err(codes) };
        assert!(codes.is_empty(), "a plan in spite of {codes:?}");
        let bytes = mesh_plan::encode(&plan).unwrap_or_else(|error| panic!("a plan over a limit: {error}"));
        let view =
            mesh_plan::verify(bytes).unwrap_or_else(|error| panic!("a plan that is not verified: {error}"));
        let reference = reference(files).unwrap_or_else(|error| panic!("compiled, but {error}"));
        Ok(Subject { plan, view, reference })
    }

    /// One word for how the request ends, or both answers where they differ.
    fn compare(&self, question: &Question, dice: u64) -> Result<&'static str, String> {
        let answer = self.reference.ask(question);
        let mut expected: Endings = BTreeMap::new();
        for (ending, chance) in &answer.endings {
            let rule = ending.rules.first().cloned().unwrap_or_default();
            add(&mut expected, (ending.outcome.clone(), rule), *chance);
        }
        let Some(entry) = self.entry(&question.entry) else { return Ok(NOT_ASKED) };
        let peer = question.peer.as_deref().map_or(Peer::Unauthenticated, Peer::Identity);
        let headers: Vec<(&str, &str)> =
            question.headers.iter().map(|(name, line)| (name.as_str(), line.as_str())).collect();
        let request = mesh_engine::Request {
            method: mesh_engine::Method::from_token(&question.method),
            host: &question.host,
            host_port: question.host_port,
            path: &question.path,
            query: "",
            headers: &headers.as_slice(),
            source_ip: std::net::Ipv4Addr::LOCALHOST.into(),
            client_ip: None,
            tokens: &[],
        };
        let distribution = mesh_engine::distribution(&self.view, entry, peer, &request);
        let mut found: Endings = BTreeMap::new();
        for possible in &distribution.possible {
            let chance = Chance::new(possible.numerator, distribution.denominator);
            add(&mut found, self.ending(&possible.decision), chance);
        }
        let decided = self.ending(&mesh_engine::decide(&self.view, entry, peer, &request, Moment { dice }));
        if answer.ambiguous || found != expected || !expected.contains_key(&decided) {
            return Err(format!(
                "reference{}:\n{}engine:\n{}decided with dice {dice}: {decided:?}",
                if answer.ambiguous { " (ambiguous)" } else { "" },
                listed(&expected),
                listed(&found)
            ));
        }
        Ok(word(&decided.0))
    }

    /// The same place in the plan, if the program still has it: making a program small takes places away.
    fn entry(&self, entry: &Entry) -> Option<mesh_engine::Entry> {
        let service = |name: &str| place(self.plan.services.iter().map(|service| &service.name), name);
        let gateway = |name: &str| place(self.plan.gateways.iter().map(|gateway| &gateway.name), name);
        let port = |service: u32, number: u16| {
            let ports = &self.plan.services[service as usize].ports;
            ports.iter().zip(0..).find(|(port, _)| port.number == number).map(|(_, index)| index)
        };
        Some(match entry {
            Entry::Gateway { gateway: name, listener } => {
                let gateway = gateway(name)?;
                let listeners = &self.plan.gateways[gateway as usize].listeners;
                let listener = place(listeners.iter().map(|listener| &listener.name), listener)?;
                mesh_engine::Entry::Gateway { gateway, listener }
            }
            Entry::Sidecar { service: name } => mesh_engine::Entry::Sidecar { service: service(name)? },
            Entry::FromGateway { gateway: caller, service: name, port: number } => {
                let service = service(name)?;
                let port = port(service, *number)?;
                mesh_engine::Entry::FromGateway { gateway: gateway(caller)?, service, port }
            }
            Entry::Inbound { service: name, port: number } => {
                let service = service(name)?;
                mesh_engine::Entry::Inbound { service, port: port(service, *number)? }
            }
        })
    }

    /// A decision in the words of the reference, and the rule that it reports.
    fn ending(&self, decision: &Decision<'_>) -> (Outcome, String) {
        let outcome = match &decision.action {
            Action::Forward(forward) => Outcome::Forward {
                service: forward.service.to_owned(),
                port: self.plan.services[forward.service_index as usize].ports[forward.port as usize].number,
                subset: Some(forward.subset.to_owned()).filter(|subset| !subset.is_empty()),
                timeout: forward.timeout,
                retry: forward.retry.as_ref().map(retry),
            },
            Action::Redirect { status, location } => {
                Outcome::Redirect { status: *status, location: (*location).to_owned() }
            }
            Action::Respond { status, body } => {
                Outcome::Respond { status: *status, body: (*body).to_owned() }
            }
            Action::Refuse(Refusal::Denied { by }) => Outcome::Denied { by: (*by).to_owned() },
            Action::Refuse(Refusal::UndeclaredCall) => Outcome::UndeclaredCall,
            Action::Refuse(Refusal::NoRoute) => Outcome::NoRoute,
            Action::Refuse(Refusal::Broken) => panic!("a plan that contradicts itself: {decision:?}"),
        };
        (outcome, decision.rule.to_owned())
    }
}

/// Instead of an ending, where the program lacks the place that a request comes in at.
const NOT_ASKED: &str = "not asked";

/// What can happen, with the rule that is reported for it.
type Endings = BTreeMap<(Outcome, String), Chance>;

fn add(endings: &mut Endings, ending: (Outcome, String), chance: Chance) {
    let sum = endings.entry(ending).or_insert(Chance::NEVER);
    *sum = sum.or(chance);
}

fn listed(endings: &Endings) -> String {
    let mut text = String::new();
    for ((outcome, rule), chance) in endings {
        let _ = writeln!(text, "  {chance}: {outcome:?} because of `{rule}`");
    }
    text
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Forward { .. } => "forwarded",
        Outcome::Redirect { .. } => "redirected",
        Outcome::Respond { .. } => "responded",
        Outcome::Denied { .. } => "denied",
        Outcome::UndeclaredCall => "undeclared",
        Outcome::NoRoute => "no route",
    }
}

fn place<'n>(mut names: impl Iterator<Item = &'n String>, wanted: &str) -> Option<u32> {
    names.position(|name| name == wanted).map(|index| index as u32)
}

fn retry(retry: &mesh_engine::Retry<'_>) -> Retry {
    let budget = retry.budget.map(|budget| mesh_lang::ast::Budget {
        share: budget.share,
        min_per_second: budget.min_per_second,
        over: budget.over,
    });
    let methods = mesh_lang::ast::Method::ALL.into_iter();
    Retry {
        count: retry.count,
        on_connect_failure: retry.on_connect_failure,
        on_reset: retry.on_reset,
        on_timeout: retry.on_timeout,
        on_status: (100..=599).filter(|status| retry.on_status(*status)).collect(),
        methods: methods
            .filter(|m| retry.allows_method(mesh_engine::Method::from_token(m.as_str())))
            .collect(),
        per_try_timeout: retry.per_try_timeout,
        backoff: Some((retry.backoff_base, retry.backoff_cap)).filter(|backoff| *backoff != (0, 0)),
        buffer: retry.buffer,
        budget,
    }
}
