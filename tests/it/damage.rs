//! A damaged plan: every bit of it flipped and every end cut off is refused; and where somebody sealed it again, it is refused for
//! what it says, or decides every request without a panic.

use fastrand::Rng;
use mesh_compiler::{Budget, Project};
use mesh_engine::{Action, Decision, Distribution, Entry, Moment, Possible, decide, distribution, trace};
use mesh_lang::{Source, SourceSet};
use mesh_plan::layout::{AT_LENGTH, DIGEST, ENTRY_BYTES, HEADER_BYTES, Section, seal};
use mesh_plan::{PlanView, encode, verify};
use mesh_reference::Question;
use mesh_tests::asking::with_request;
use mesh_tests::generate;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How large the plan is, at least.
const PLAN_BYTES: usize = 64 << 10;

/// Of so many flipped bits one is tried, unless `MESH_FLIPS=all` says that all are: each byte has its turn.
const SHARE: usize = 8;

/// As many as the machine the tests run on has cores.
const WORKERS: usize = 2;

/// Requests that are asked of what is accepted. Each comes to a place of the plan that those before do not come to.
const REQUESTS: usize = 40;

/// Small, so that some paths of a generated program are read by states and others segment by segment.
const SOME_LISTS: Budget = Budget { path_states: 6 };

/// The first generated program from here on whose plan has all that a plan can have.
const FIRST_SEED: u64 = 1180;

#[test]
fn every_flip_and_every_truncation_of_a_plan_is_refused_or_decides() {
    let subject = subject();
    let share = if std::env::var("MESH_FLIPS").is_ok_and(|text| text == "all") { 1 } else { SHARE };
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let subject = &subject;
        let work = |worker| scope.spawn(move || damage(subject, worker, share));
        let workers: Vec<_> = (0..WORKERS).map(work).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).collect()
    });
    let total = tallies.into_iter().fold(Tally::default(), Tally::and);
    say(&format!("{} bytes, {} requests: {total}", subject.plan.bytes().len(), subject.sample.len()));
    assert_eq!(total.accepted, 0, "the digest does not say that something was changed");
    assert!(total.panics.is_empty(), "{:?}", total.panics);
    assert_eq!(total.flips, (subject.plan.bytes().len() * 8).div_ceil(share), "each was tried");
    assert_eq!(total.truncations, subject.plan.bytes().len(), "each was tried");
    assert!(total.evaluated * 20 > total.flips && total.otherwise * 100 > total.evaluated, "{total}");
}

#[expect(clippy::print_stdout, reason = "how much was tried is worth a line in the log")]
fn say(text: &str) {
    println!("{text}");
}

#[derive(Default)]
struct Tally {
    flips: usize,
    truncations: usize,
    /// As they were damaged: what was not refused.
    accepted: usize,
    /// Sealed again: what was refused.
    refused: usize,
    /// Sealed again: what decided all requests.
    evaluated: usize,
    /// Of those, how many decided some otherwise.
    otherwise: usize,
    /// What was flipped or cut off where something panicked.
    panics: Vec<String>,
}

impl Tally {
    fn and(mut self, other: Tally) -> Tally {
        self.panics.extend(other.panics);
        Tally {
            flips: self.flips + other.flips,
            truncations: self.truncations + other.truncations,
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            evaluated: self.evaluated + other.evaluated,
            otherwise: self.otherwise + other.otherwise,
            panics: self.panics,
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} bits flipped and {} ends cut off, {} accepted; sealed again {} refused, {} decided every request ({} some \
             otherwise), {} panics",
            self.flips,
            self.truncations,
            self.accepted,
            self.refused,
            self.evaluated,
            self.otherwise,
            self.panics.len()
        )
    }
}

/// A plan with something in every section, and requests to it.
struct Subject {
    plan: PlanView,
    sample: Vec<(Entry, Question)>,
}

fn subject() -> Subject {
    let programs = (FIRST_SEED..).find_map(|seed| {
        let mut rng = Rng::with_seed(seed);
        let generated = generate::program(&mut rng);
        let small = planned(&generated.files, 1)?;
        let whole = Section::ALL.into_iter().all(|section| has(&small, section));
        whole.then_some((rng, generated, small.len()))
    });
    let (mut rng, generated, small) = programs.expect("a program with everything");
    let each = planned(&generated.files, 2).expect("one service more").len() - small;
    let piers = 1 + PLAN_BYTES.saturating_sub(small).div_ceil(each);
    let bytes = planned(&generated.files, piers).expect("more services");
    assert!(bytes.len() >= PLAN_BYTES && bytes.len() < PLAN_BYTES * 11 / 10, "{} bytes", bytes.len());
    let plan = verify(bytes.as_slice()).expect("a plan");
    let sample = sample(&plan, || generate::question(&mut rng, &generated.places));
    Subject { plan, sample }
}

/// Who shows certificates, verifies tokens and is outside, with everything that may be said of that: generated programs seldom have all of it at once.
const QUAY: &str = r#"module harbour { namespace harbour }
gateway quay { listener tls port 8443 https { host "*"; tls certificate "quay" } }
authorize quay { allow from anyone }
route quay { otherwise 404 }
jwt sso { issuer "https://sso.test"; audience "pier"; jwks "/keys.json"; from header "x-token"; list-claims "scope" }
service customs { port 80 http; jwt sso optional }
authorize customs { allow from gateway quay when claim "scope" has "read" }
service lighthouse { external "light.test"; port 443 http; tls ca "coast" certificate "quay"; endpoints static "10.8.0.1" }
authorize lighthouse { allow from gateway quay }
"#;

/// The plan of a program with services beside it that have endpoints in subsets, which generated ones have not.
fn planned(files: &[(String, String)], piers: usize) -> Option<Vec<u8>> {
    let mut harbour = QUAY.to_owned();
    for pier in 0..piers {
        let _ = writeln!(
            harbour,
            "service pier{pier} {{\n  port 80 http\n  subset a label berth = \"a\"\n  subset b label berth = \"b\"\n  \
             endpoints static \"10.9.0.{pier}\" label berth = \"a\"\n  endpoints static \"fd00::{pier}\" label berth = \"b\"\n}}\n\
             route pier{pier} {{ rule half {{ match GET /pier/{{id}}; to pier{pier}:a 50%, pier{pier}:b 50% }}\n  otherwise 404 }}\n\
             authorize pier{pier} {{ allow from anyone to GET /pier/**, POST /pier/{pier} }}"
        );
    }
    let files = files.iter().cloned().chain([("harbour".to_owned(), harbour)]);
    let source = |(module, text): (String, String)| Source {
        path: format!("{module}/policy.mesh").trim_start_matches('/').to_owned(),
        module,
        text,
    };
    let sources = SourceSet::new(files.map(source).collect());
    let project = Project::parse(&sources).within(SOME_LISTS);
    let environments = project.environments();
    let plan = project.compile(environments.first().map(String::as_str), None, &BTreeMap::new()).plan?;
    Some(encode(&plan).expect("a plan within all limits"))
}

/// Whether a section has something in it.
fn has(bytes: &[u8], section: Section) -> bool {
    let entries = bytes[HEADER_BYTES..].chunks_exact(ENTRY_BYTES).take(Section::ALL.len());
    let empty = if section.is_heap() { 4u32 } else { 0 }.to_le_bytes();
    entries.into_iter().any(|entry| entry[..2] == (section as u16).to_le_bytes() && entry[8..] != empty)
}

/// Of many requests the first ones that see something that those before have not seen.
fn sample(plan: &PlanView, mut question: impl FnMut() -> Question) -> Vec<(Entry, Question)> {
    let mut seen = BTreeSet::new();
    let mut sample = Vec::new();
    for _ in 0..20_000 {
        let question = question();
        let Some(entry) = entry(plan, &question.entry) else { continue };
        let traced = with_request(&question, |peer, request| trace(plan, entry, peer, request));
        let asked = traced.hops.iter().flat_map(|hop| &hop.asked);
        let known = seen.len();
        seen.extend(asked.map(|asked| (asked.partition, asked.leaf)));
        if seen.len() > known {
            sample.push((entry, question));
        }
    }
    sample.truncate(REQUESTS);
    sample
}

fn entry(plan: &PlanView, entry: &mesh_reference::Entry) -> Option<Entry> {
    use mesh_reference::Entry as Named;
    let service = |name: &str| plan.services().iter().zip(0..).find(|(own, _)| own.name() == name);
    let gateway = |name: &str| plan.gateways().iter().zip(0..).find(|(own, _)| own.name() == name);
    let port = |name: &str, number| {
        let (own, index) = service(name)?;
        let port = own.ports().iter().zip(0..).find(|(port, _)| port.number() == number)?.1;
        Some((index, port))
    };
    Some(match entry {
        Named::Gateway { gateway: name, listener } => {
            let (own, gateway) = gateway(name)?;
            let listener = own.listeners().iter().zip(0..).find(|(own, _)| own.name() == listener)?.1;
            Entry::Gateway { gateway, listener }
        }
        Named::Sidecar { service: name } => Entry::Sidecar { service: service(name)?.1 },
        Named::FromGateway { gateway: caller, service, port: number } => {
            let (service, port) = port(service, *number)?;
            Entry::FromGateway { gateway: gateway(caller)?.1, service, port }
        }
        Named::Inbound { service, port: number } => {
            let (service, port) = port(service, *number)?;
            Entry::Inbound { service, port }
        }
    })
}

/// A decision, what else can become of the request, and how much there was to do.
type Answer<'p> = (Decision<'p>, Distribution<'p>, usize);

/// All that a proxy asks of a plan for one request.
fn answer<'p>(plan: &'p PlanView, entry: Entry, question: &Question) -> Answer<'p> {
    with_request(question, |peer, request| {
        let decision = decide(plan, entry, peer, request, Moment { dice: 7 });
        let distribution = distribution(plan, entry, peer, request);
        let mut work = 0;
        for Possible { decision, .. } in &distribution.possible {
            work += decision.edited.edits(plan).count();
            work += decision.edited.path(plan, request.path).len();
            work += decision.edited.host(plan, request.host).len();
            if let Action::Forward(to) = &decision.action {
                work += mesh_engine::endpoints(plan, to.service_index, to.port, to.subset_index).count();
            }
        }
        (decision, distribution, work)
    })
}

/// A worker's share of the flips and the truncations.
fn damage(subject: &Subject, worker: usize, share: usize) -> Tally {
    let mut tally = Tally::default();
    let mut bytes = subject.plan.bytes().to_vec();
    let ask = |(entry, question): &(Entry, Question)| answer(&subject.plan, *entry, question);
    let answers: Vec<_> = subject.sample.iter().map(ask).collect();
    for byte in (worker..bytes.len()).step_by(WORKERS) {
        for bit in (0..8).filter(|bit| (byte + bit) % share == 0) {
            tally.flips += 1;
            bytes[byte] ^= 1 << bit;
            tally.accepted += usize::from(verify(bytes.as_slice()).is_ok());
            sealed(subject, &answers, bytes.clone(), &mut tally, &format!("bit {bit} of byte {byte}"));
            bytes[byte] ^= 1 << bit;
        }
    }
    for length in (worker..bytes.len()).step_by(WORKERS) {
        tally.truncations += 1;
        tally.accepted += usize::from(verify(&bytes[..length]).is_ok());
        let mut cut = bytes[..length].to_vec();
        if let Some(says) = cut.get_mut(AT_LENGTH..DIGEST) {
            says.copy_from_slice(&(length as u64).to_le_bytes());
        }
        sealed(subject, &answers, cut, &mut tally, &format!("{length} bytes"));
    }
    tally
}

/// What becomes of damaged bytes whose digest fits.
fn sealed(subject: &Subject, answers: &[Answer<'_>], mut bytes: Vec<u8>, tally: &mut Tally, what: &str) {
    seal(&mut bytes);
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let plan = verify(bytes).ok()?;
        let asked = subject.sample.iter().zip(answers);
        Some(asked.filter(|((entry, question), before)| answer(&plan, *entry, question) != **before).count())
    }));
    match attempt {
        Ok(None) => tally.refused += 1,
        Ok(Some(otherwise)) => {
            tally.evaluated += 1;
            tally.otherwise += usize::from(otherwise > 0);
        }
        Err(_) => tally.panics.push(what.to_owned()),
    }
}
