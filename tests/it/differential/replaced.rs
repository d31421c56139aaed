//! `mesh diff` against the executable specification: programs, and the same programs with a line changed.
//!
//! A request that ends otherwise must be in a change; every change's example must end otherwise.

use super::{Files, Subject, environments};
use fastrand::Rng;
use mesh_compiler::compare::{Change, Comparison, Example, Kind, compare};
use mesh_reference::{Entry, Outcome, Question};
use mesh_tests::asking::with_request;
use mesh_tests::generate;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs of programs to compare, unless `MESH_REPLACED` says another number.
const PAIRS: usize = 400;

/// Enough to meet what one line changes, often.
const REQUESTS_OF_A_PAIR: usize = 200;

#[test]
fn what_ends_otherwise_is_in_a_change_and_what_is_in_a_change_ends_otherwise() {
    let pairs = std::env::var("MESH_REPLACED").ok().and_then(|text| text.parse().ok()).unwrap_or(PAIRS);
    let mut tally = Tally::default();
    let mut seed = 0;
    while tally.pairs < pairs {
        one(seed, &mut tally);
        seed += 1;
    }
    say(&tally);
    assert!(tally.replayed * 10 > tally.pairs, "too few examples were asked: {tally:?}");
    assert!(tally.otherwise > tally.pairs, "too few requests end otherwise: {tally:?}");
}

#[expect(clippy::print_stdout, reason = "how much was compared is worth a line in the log")]
fn say(tally: &Tally) {
    println!("{tally:?}, 0 differences");
}

#[derive(Debug, Default)]
struct Tally {
    pairs: usize,
    changes: usize,
    /// Examples that were asked of the reference.
    replayed: usize,
    /// Requests that end otherwise.
    otherwise: usize,
    requests: usize,
}

fn one(seed: u64, tally: &mut Tally) {
    let mut rng = Rng::with_seed(seed ^ 0x5eed);
    let generated = generate::program(&mut rng);
    for environment in environments(&generated.files) {
        let environment = environment.as_deref();
        let Ok(old) = Subject::new(&generated.files, environment) else { continue };
        let same = compare(&old.view, &old.view);
        assert!(
            same.is_empty() && same.affected.is_empty() && same.edges.is_empty(),
            "seed {seed}: {same:?}"
        );
        for _ in 0..4 {
            let Some(files) = changed(&generated.files, &mut rng) else { continue };
            let Ok(new) = Subject::new(&files, environment) else { continue };
            let comparison = compare(&old.view, &new.view);
            tally.pairs += 1;
            tally.changes += comparison.changes.len();
            let context = || format!("seed {seed}\n{:?}\n{:?}\n{comparison:#?}", generated.files, files);
            for change in &comparison.changes {
                tally.replayed += usize::from(is_real(&old, &new, change, &context));
            }
            for _ in 0..REQUESTS_OF_A_PAIR {
                let question = generate::question(&mut rng, &generated.places);
                tally.requests += 1;
                tally.otherwise += usize::from(is_found(&old, &new, &question, &comparison, &context));
            }
        }
    }
}

/// The program with one line away, another method, another number or another name.
fn changed(files: &Files, rng: &mut Rng) -> Option<Files> {
    let mut files = files.clone();
    let file = rng.usize(..files.len());
    let text = files[file].1.clone();
    // Two of three changes are about who may what: their examples can be asked of the reference alone.
    let words: &[&str] = match rng.u8(..3) {
        0 => &["match", "to ", "timeout", "retry", "otherwise", "calls", "audit", "respond"],
        _ => &["allow", "deny"],
    };
    let begins = |line: &str| words.iter().any(|word| line.trim_start().starts_with(word));
    let lines: Vec<&str> = text.lines().collect();
    let fitting: Vec<usize> = (0..lines.len()).filter(|index| begins(lines[*index])).collect();
    let line = *fitting.get(rng.usize(..fitting.len().max(1)))?;
    let swaps =
        [("GET", "POST"), ("POST", "PUT"), ("/a", "/b"), ("= ", "!= "), ("v1", "v2"), ("1", "2"), ("5", "7")];
    let (from, to) = swaps[rng.usize(..swaps.len())];
    let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    match rng.u8(..3) {
        0 if !lines[line].ends_with('{') => drop(lines.remove(line)),
        _ => lines[line] = lines[line].replace(from, to),
    }
    files[file].1 = lines.join("\n");
    (files[file].1 != text).then_some(files)
}

/// Asks the example of both references where it can be asked alone: at a port, of a peer.
fn is_real(old: &Subject, new: &Subject, change: &Change, context: &dyn Fn() -> String) -> bool {
    let Some(example) = &change.example else { return false };
    let Some(entry) = inbound(old, new, &change.place).filter(|_| !example.token) else { return false };
    if !matches!(change.kind, Kind::Allowed | Kind::Denied) {
        return false;
    }
    let question = asked(example, entry);
    let denied = [old, new].map(|side| {
        let Some(Entry::Inbound { .. }) = side.entry(&question.entry).map(|_| &question.entry) else {
            return true;
        };
        let endings = side.reference.ask(&question).endings;
        endings.iter().all(|(ending, _)| matches!(ending.outcome, Outcome::Denied { .. }))
    });
    let expected = if change.kind == Kind::Allowed { [true, false] } else { [false, true] };
    assert_eq!(denied, expected, "{question:?}\n{change:#?}\n{}", context());
    true
}

/// The port that a place is: `ratings.shop`, `ratings.shop port 9080`.
fn inbound(old: &Subject, new: &Subject, place: &str) -> Option<Entry> {
    let (name, number) = match place.split_once(" port ") {
        Some((name, number)) => (name, number.parse().ok()),
        None => (place, None),
    };
    let services = old.plan.services.iter().chain(&new.plan.services);
    let service = services.into_iter().find(|service| service.name == name)?;
    let port = number.or(service.ports.first().map(|port| port.number))?;
    Some(Entry::Inbound { service: name.to_owned(), port })
}

fn asked(example: &Example, entry: Entry) -> Question {
    Question {
        entry,
        peer: example.peer.clone(),
        method: example.method.clone(),
        host: String::new(),
        host_port: None,
        path: example.path.clone(),
        query: example.query.clone(),
        headers: example.headers.clone(),
        source_ip: example.source_ip.unwrap_or_else(|| "192.0.2.1".parse().expect("an address")),
        client_ip: example.client_ip,
        tokens: vec![],
    }
}

/// Whether the request ends otherwise; then some change must say so, and of a port the change of that port.
fn is_found(
    old: &Subject,
    new: &Subject,
    question: &Question,
    comparison: &Comparison,
    context: &dyn Fn() -> String,
) -> bool {
    let endings =
        [old, new].map(|side| Some(outcomes(side, question)).filter(|outcomes| !outcomes.is_empty()));
    let [Some(before), Some(after)] = &endings else { return false };
    if before == after {
        return false;
    }
    assert!(!comparison.is_empty(), "{question:?}\n{before:?}\n{after:?}\n{}", context());
    if let Entry::Inbound { service, .. } = &question.entry {
        let denied =
            |outcomes: &BTreeSet<String>| outcomes.iter().all(|outcome| outcome.starts_with("Denied"));
        if denied(before) != denied(after) {
            let kind = if denied(before) { Kind::Allowed } else { Kind::Denied };
            let mut own =
                comparison.changes.iter().filter(|change| change.place.starts_with(service.as_str()));
            assert!(own.any(|change| change.kind == kind), "{question:?}\n{}", context());
        }
    }
    true
}

/// What can become of a request, without the names of rules; empty where the program lacks the place.
fn outcomes(side: &Subject, question: &Question) -> BTreeSet<String> {
    let Some(entry) = side.entry(&question.entry) else { return BTreeSet::new() };
    with_request(question, |peer, request| {
        let distribution = mesh_engine::distribution(&side.view, entry, peer, request);
        let mut chances: BTreeMap<String, u128> = BTreeMap::new();
        for possible in &distribution.possible {
            let mut ending = side.ending(&possible.decision, question);
            // 5.3: at a service's own proxy they are nobody's, so no change of them is one.
            if let (Entry::Inbound { .. }, Outcome::Forward { timeout, retry, .. }) =
                (&question.entry, &mut ending.outcome)
            {
                (*timeout, *retry) = (None, None);
            }
            *chances.entry(format!("{:?} {:?}", ending.outcome, ending.changes)).or_default() +=
                possible.numerator;
        }
        chances.into_iter().map(|(ending, numerator)| format!("{ending} {numerator}")).collect()
    })
}
