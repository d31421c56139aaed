//! The compiler and the engine against the executable specification, over generated programs and requests.

mod canonical;
mod dense;
mod quantified;
mod reader;
mod replaced;
mod self_test;
mod shrink;
mod slices;
mod who;
mod why;

use fastrand::Rng;
use mesh_compiler::{Budget, Compilation};
use mesh_engine::{Action, Decision, Moment, Refusal, Request};
use mesh_lang::{Severity, Source, SourceSet};
use mesh_plan::view::Edit;
use mesh_plan::{Counting, Plan, PlanView};
use mesh_reference::{
    Chance, Changes, Effect, Ending, Entry, HeaderEdit, Outcome, Question, RateLimit, Reference, Retry,
    in_environment,
};
use mesh_tests::asking::with_request;
use mesh_tests::generate::{self, Generated};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Decisions to compare, unless `MESH_DIFFERENTIAL` says another number.
const DECISIONS: usize = 1_000_000;

/// As many as the machine the tests run on has cores.
const WORKERS: usize = 2;

/// Enough to meet most lines of a program; more programs find more than more requests to one.
const REQUESTS_OF_A_PROGRAM: usize = 400;

/// What the reference can confirm of a refusal.
const CONFIRMED: [&str; 7] =
    ["MESH3001", "MESH3002", "MESH3003", "MESH3004", "MESH3007", "MESH4010", "MESH4012"];

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
    for environment in environments(&generated.files) {
        compare_in(environment.as_deref(), seed, &generated, &mut rng, tally)?;
    }
    Ok(())
}

/// The environments of a program; one without a name where it has none.
fn environments(files: &Files) -> Vec<Option<String>> {
    let named = mesh_compiler::Project::parse(&sources(files)).environments();
    if named.is_empty() { vec![None] } else { named.into_iter().map(Some).collect() }
}

fn compare_in(
    environment: Option<&str>,
    seed: u64,
    generated: &Generated,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), String> {
    let files = &generated.files;
    let subject = Subject::new(files, environment);
    let codes = subject.as_ref().err().cloned().unwrap_or_default();
    if difference_of_verdict(files, environment, &codes).is_some() {
        let differs = |files: &Files, _: Option<&Question>| {
            let codes = Subject::new(files, environment).err().unwrap_or_default();
            difference_of_verdict(files, environment, &codes)
        };
        return Err(shrink::report(seed, environment, files, None, &differs));
    }
    let subject = match subject {
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
        let question = generate::question(rng, &generated.places);
        let dice = rng.u64(..);
        match subject.compare(&question, dice) {
            Ok(ending) => *tally.endings.entry(ending).or_default() += 1,
            Err(_) => {
                let differs = |files: &Files, question: Option<&Question>| {
                    Subject::new(files, environment).ok()?.compare(question?, dice).err()
                };
                return Err(shrink::report(seed, environment, files, Some(&question), &differs));
            }
        }
        tally.decisions += 1;
    }
    Ok(())
}

/// Whether compiler and reference disagree on the program as a whole: what one accepts, the other finds no fault with,
/// and what is refused for its routes alone is refused for what the reference finds, too. Where an `overrides` is itself
/// wrong, what it decides for other checks is not compared.
fn difference_of_verdict(
    files: &Files,
    environment: Option<&str>,
    codes: &BTreeSet<&'static str>,
) -> Option<String> {
    if !codes.iter().all(|code| CONFIRMED.contains(code)) {
        return None;
    }
    let reference = match reference(files, environment) {
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

/// The reference reads the program as it is in the environment, written out.
fn reference(files: &Files, environment: Option<&str>) -> Result<Reference, String> {
    let files = in_environment(files, environment);
    let sources = sources(&files);
    let read =
        sources.iter().map(|(id, source)| (source.module.clone(), mesh_lang::parse(id, &source.text).file()));
    Reference::new(&read.collect::<Vec<_>>())
}

/// Generated programs that are accepted, so many of them, each with its seed and the dice behind it.
fn accepted(count: usize) -> impl Iterator<Item = (u64, Rng, Generated, Subject)> {
    accepted_within(count, Budget::default())
}

/// The same, compiled within a budget.
fn accepted_within(count: usize, budget: Budget) -> impl Iterator<Item = (u64, Rng, Generated, Subject)> {
    let programs = (1..).filter_map(move |seed| {
        let mut rng = Rng::with_seed(seed);
        let generated = generate::program(&mut rng);
        let subject = Subject::of(compiled(&generated.files, None, budget), &generated.files, None).ok()?;
        Some((seed, rng, generated, subject))
    });
    programs.take(count)
}

fn compiled(files: &Files, environment: Option<&str>, budget: Budget) -> Compilation {
    let sources = sources(files);
    mesh_compiler::Project::parse(&sources).within(budget).compile(environment, None, &BTreeMap::new())
}

/// A program as both sides see it.
struct Subject {
    plan: Plan,
    view: PlanView,
    reference: Reference,
    /// Whether a port's route and its authorization both ask for an address: that of two connections, which one field of a plan does not
    /// tell apart, so that such a plan is not built (`MESH1010`).
    asks_twice: bool,
}

impl Subject {
    /// Compiles, encodes and verifies. The error holds the codes for which the program is refused.
    fn new(files: &Files, environment: Option<&str>) -> Result<Subject, BTreeSet<&'static str>> {
        Subject::of(compiled(files, environment, Budget::default()), files, environment)
    }

    /// What a program was compiled to.
    fn of(
        compilation: Compilation,
        files: &Files,
        environment: Option<&str>,
    ) -> Result<Subject, BTreeSet<&'static str>> {
        let errors =
            compilation.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        let codes: BTreeSet<&str> = errors.map(|diagnostic| diagnostic.code.as_str()).collect();
        let is_of_two = |found: &mesh_lang::Diagnostic| found.message.contains("that of another connection");
        let asks_twice = compilation.unexecuted.iter().any(is_of_two);
        let Some(plan) = compilation.plan else { return Err(codes) };
        assert!(codes.is_empty(), "a plan in spite of {codes:?}");
        let bytes = mesh_plan::encode(&plan).unwrap_or_else(|error| panic!("a plan over a limit: {error}"));
        let view =
            mesh_plan::verify(bytes).unwrap_or_else(|error| panic!("a plan that is not verified: {error}"));
        let view = view.with_sources(|text| compilation.sources.place(text));
        mesh_engine::self_test(&view).unwrap_or_else(|mismatch| {
            panic!("{mismatch}\n{}", files.iter().map(|(_, text)| text.as_str()).collect::<String>())
        });
        let reference = reference(files, environment).unwrap_or_else(|error| panic!("compiled, but {error}"));
        Ok(Subject { plan, view, reference, asks_twice })
    }

    /// One word for how the request ends, or both answers where they differ.
    fn compare(&self, question: &Question, dice: u64) -> Result<&'static str, String> {
        let answer = self.reference.ask(question);
        let mut expected: Endings = BTreeMap::new();
        for (ending, chance) in &answer.endings {
            // The least is the one to report.
            let rules = ending.rules.first().cloned().into_iter().collect();
            let mut ending = Ending { rules, ..ending.clone() };
            in_order(&mut ending);
            add(&mut expected, ending, *chance);
        }
        let Some(entry) = self.entry(&question.entry) else { return Ok(NOT_ASKED) };
        let (found, decided, left) = with_request(question, |peer, request| {
            let distribution = mesh_engine::distribution(&self.view, entry, peer, request);
            let mut found: Endings = BTreeMap::new();
            for possible in &distribution.possible {
                let chance = Chance::new(possible.numerator, distribution.denominator);
                add(&mut found, self.ending(&possible.decision, question), chance);
            }
            let decision = mesh_engine::decide(&self.view, entry, peer, request, Moment { dice });
            // A proxy that calls does not know how the service sees it: it may leave a refusal to that one's own proxy, and nothing else.
            let unknowing = Request { caller_ip: None, ..*request };
            let left = mesh_engine::decide(&self.view, entry, peer, &unknowing, Moment { dice });
            let is_denied = matches!(decision.action, Action::Refuse(Refusal::Denied { .. }));
            let may_differ = is_denied || self.asks_twice;
            let left = (left.action != decision.action && !may_differ).then(|| self.ending(&left, question));
            (found, self.ending(&decision, question), left)
        });
        if let Some(left) = left {
            return Err(format!("{decided:?}, and who does not know the caller's address: {left:?}"));
        }
        if answer.ambiguous || found != expected || !expected.contains_key(&decided) {
            return Err(format!(
                "reference{}:\n{}engine:\n{}decided with dice {dice}: {decided:?}",
                if answer.ambiguous { " (ambiguous)" } else { "" },
                listed(&expected),
                listed(&found)
            ));
        }
        Ok(word(&decided.outcome))
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

    /// A decision in the words of the reference, with the rule that it reports.
    fn ending(&self, decision: &Decision<'_>, question: &Question) -> Ending {
        let mut location = (None, None);
        let outcome = match &decision.action {
            Action::Forward(forward) => Outcome::Forward {
                service: forward.service.to_string(),
                port: self.plan.services[forward.service_index as usize].ports[forward.port as usize].number,
                subset: Some(forward.subset.to_string()).filter(|subset| !subset.is_empty()),
                timeout: forward.timeout(),
                retry: forward.retry().as_ref().map(retry),
            },
            Action::Redirect { status, location: written } => {
                // 9.4: of a redirect to the request's own URL, its parts.
                if let (Some(last), true) = (decision.edited.outcomes(&self.view).last(), written.is_empty())
                {
                    for edit in last.edits().iter() {
                        match edit {
                            Edit::Scheme(scheme) => location.0 = Some(scheme.to_owned()),
                            Edit::Host(host) => location.1 = Some(host.to_owned()),
                            _ => {}
                        }
                    }
                }
                Outcome::Redirect {
                    status: *status,
                    location: Some((*written).to_owned()).filter(|location| !location.is_empty()),
                }
            }
            Action::Respond { status, body } => {
                Outcome::Respond { status: *status, body: (*body).to_owned() }
            }
            Action::Refuse(Refusal::Denied { by }) => Outcome::Denied { by: by.to_string() },
            Action::Refuse(Refusal::UndeclaredCall) => Outcome::UndeclaredCall,
            Action::Refuse(Refusal::NoRoute) => Outcome::NoRoute,
            Action::Refuse(Refusal::Broken) => panic!("a plan that contradicts itself: {decision:?}"),
        };
        let changes = match &decision.action {
            Action::Refuse(_) => None,
            action => Some(Changes {
                path: decision.edited.path(&self.view, &question.path).into_owned(),
                host: decision.edited.host(&self.view, &question.host).to_owned(),
                location,
                effects: self.effects(decision, action, &question.entry),
            }),
        };
        let rules = Some(decision.rule.to_string()).filter(|rule| !rule.is_empty()).into_iter().collect();
        let told = decision.audit.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        Ending { outcome, rules, told, changes }
    }

    /// What is done besides, with the limits of the places passed (`spec/semantics.md` 11.10).
    fn effects(&self, decision: &Decision<'_>, action: &Action<'_>, entry: &Entry) -> Vec<Effect> {
        let mut edits: Vec<Edit<'_>> = Vec::new();
        if let Some(mesh_engine::Entry::Gateway { gateway, listener }) = self.entry(entry)
            && let Some(gateway) = self.view.gateway(gateway)
        {
            edits.extend(gateway.limits().iter());
            edits
                .extend(gateway.listener(listener).into_iter().flat_map(|listener| listener.limits().iter()));
        }
        edits.extend(decision.edited.edits(&self.view));
        if let Action::Forward(forward) = action {
            let service = self.view.service(forward.service_index);
            let own = service.into_iter().flat_map(|service| service.limits().iter());
            let is_own = matches!(entry, Entry::Inbound { .. });
            let own = own.filter(|limit| !decision.is_probe || !matches!(limit, Edit::RateLimit(_)));
            edits.extend(own.filter(|limit| is_own || !is_global(limit)));
        }
        let mut effects: Vec<Effect> = edits.into_iter().filter_map(|edit| self.effect(edit)).collect();
        effects.extend(decision.asks(&self.view).map(|own| Effect::Ask(own.name().to_owned())));
        effects.sort_by_key(Effect::what);
        effects
    }

    fn effect(&self, edit: Edit<'_>) -> Option<Effect> {
        let request = |name: &str, edit| Some(Effect::RequestHeader(name.to_owned(), edit));
        let response = |name: &str, edit| Some(Effect::ResponseHeader(name.to_owned(), edit));
        match edit {
            Edit::Path(_) | Edit::Prefix { .. } | Edit::Host(_) | Edit::Scheme(_) => None,
            Edit::SetRequestHeader(name, value) => request(name, HeaderEdit::Set(value.to_owned())),
            Edit::AddRequestHeader(name, value) => request(name, HeaderEdit::Add(value.to_owned())),
            Edit::RemoveRequestHeader(name) => request(name, HeaderEdit::Remove),
            Edit::SetResponseHeader(name, value) => response(name, HeaderEdit::Set(value.to_owned())),
            Edit::AddResponseHeader(name, value) => response(name, HeaderEdit::Add(value.to_owned())),
            Edit::RemoveResponseHeader(name) => response(name, HeaderEdit::Remove),
            Edit::Delay { delay, share } => Some(Effect::Delay(delay, share)),
            Edit::Abort { status, share } => Some(Effect::Abort(status, share)),
            Edit::Mirror { service, port, subset, share } => {
                let service = &self.plan.services[service as usize];
                Some(Effect::Mirror {
                    service: service.name.clone(),
                    port: service.ports[port as usize].number,
                    subset: service.subsets.get(subset as usize).cloned(),
                    share,
                })
            }
            // Of browsers: no decision hangs on it.
            Edit::Cors(_) | Edit::PreflightAge(_) | Edit::WebSocket => None,
            // A question has the path that came of it.
            Edit::DecodeSlashes | Edit::StripParameters => None,
            Edit::MaxRequestBody(bytes) => Some(Effect::MaxRequestBody(bytes)),
            Edit::RateLimit(limit) => {
                let headers = limit.by_headers.split(',').filter(|name| !name.is_empty());
                let headers = headers.map(|name| format!("header {name}"));
                let named = [
                    (limit.by_source, "source"),
                    (limit.by_source_ip, "source-ip"),
                    (limit.by_client_ip, "client-ip"),
                ];
                let named = named.into_iter().filter(|(is_one, _)| *is_one).map(|(_, key)| key.to_owned());
                let mut keys: Vec<String> = named.chain(headers).collect();
                keys.sort();
                let (burst, by) = match limit.counting {
                    Counting::Local { burst } => (burst, None),
                    Counting::Global { by } => {
                        (limit.count, Some(self.plan.authorities[by as usize].name.clone()))
                    }
                };
                Some(Effect::RateLimit(RateLimit {
                    count: limit.count,
                    per: limit.per,
                    burst,
                    keys,
                    audit: limit.audit,
                    by,
                }))
            }
        }
    }
}

/// Whether somebody counts for all proxies (`spec/semantics.md` 11.11a).
fn is_global(edit: &Edit<'_>) -> bool {
    matches!(edit, Edit::RateLimit(limit) if matches!(limit.counting, Counting::Global { .. }))
}

/// What is done to something else can be done before it or after it.
fn in_order(ending: &mut Ending) {
    let Some(changes) = &mut ending.changes else { return };
    changes.effects.sort_by_key(Effect::what);
}

/// Instead of an ending, where the program lacks the place that a request comes in at.
const NOT_ASKED: &str = "not asked";

/// What can happen.
type Endings = BTreeMap<Ending, Chance>;

fn add(endings: &mut Endings, ending: Ending, chance: Chance) {
    let sum = endings.entry(ending).or_insert(Chance::NEVER);
    *sum = sum.or(chance);
}

fn listed(endings: &Endings) -> String {
    let mut text = String::new();
    for (ending, chance) in endings {
        let _ = writeln!(text, "  {chance}: {ending:?}");
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
        on_grpc: (1..=16).filter(|status| retry.on_status(*status)).collect(),
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
