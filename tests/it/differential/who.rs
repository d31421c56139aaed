//! Who may call whom, over generated programs: what is said of all requests holds of those that are tried, and each example is let in, or
//! is not, as it is said, by the engine and by the reference.

use super::dense::DENSE;
use super::quantified::{asked, fulfils, question, shown};
use super::{Subject, accepted_within, sources};
use fastrand::Rng;
use mesh_compiler::survey::who::{Example, NoAnswer, Others, Row, Verdict, Who};
use mesh_compiler::{Budget, Survey};
use mesh_reference::{Entry, Outcome, Question};
use mesh_tests::generate::{self, Generated};

/// Programs that are accepted and asked about.
const PROGRAMS: usize = 80;
/// Requests that are tried for each of them.
const TRIES: usize = 16;
/// Examples of each program that are asked again: each compiles the program once more.
const REPLAYED: usize = 3;

#[test]
fn who_may_call_whom_is_so_of_all_requests() {
    tells(Budget::default());
}

#[test]
fn who_may_call_whom_is_so_of_lists_of_candidates() {
    tells(DENSE);
}

fn tells(budget: Budget) {
    let (mut sure, mut partly, mut replayed) = (0, 0, 0);
    for (seed, mut rng, generated, subject) in accepted_within(PROGRAMS, budget) {
        let sources = sources(&generated.files);
        let project = mesh_compiler::Project::parse(&sources).within(budget);
        let survey = project.survey(None);
        let context = || format!("seed {seed}\n{}", shown(&generated.files));
        let rows = survey.matrix().unwrap_or_else(|why| panic!("{}\n{why:?}", context()));
        for _ in 0..REPLAYED {
            let Some(row) = rows.get(rng.usize(..rows.len().max(1))) else { continue };
            for (example, word) in [(&row.allowed, "allow"), (&row.denied, "deny")] {
                let Some(Example { test: Some(line), .. }) = example else { continue };
                replay(&subject, &generated, row, line, word);
                replayed += 1;
            }
        }
        for _ in 0..TRIES {
            let Some(drawn) = drawn(&mut rng, &subject, &generated) else { continue };
            let Some((question, found)) = verdict(&subject, &survey, drawn) else { continue };
            let answer = subject.reference.ask(&question);
            let is_in = answer.endings.keys().all(|ending| matches!(ending.outcome, Outcome::Forward { .. }));
            match found {
                Verdict::Partly => partly += 1,
                found => {
                    sure += 1;
                    assert_eq!(found == Verdict::Allowed, is_in, "{}\n{question:?}", context());
                }
            }
        }
    }
    assert!(
        sure > 500 && partly > 5 && replayed > 200,
        "{sure} sure, {partly} partly, {replayed} asked again"
    );
}

/// An example is let in, or is not.
#[track_caller]
fn replay(subject: &Subject, generated: &Generated, row: &Row, line: &str, word: &str) {
    let context = || format!("{}\n{row:#?}\n{line} expect {word}", shown(&generated.files));
    let Some((view, request)) = asked(&generated.files, &format!("{line} expect {word}")) else {
        panic!("{}\ncannot be asked", context());
    };
    assert!(fulfils(&view, &request), "{}\nnot so, says the engine", context());
    let service = subject.plan.services.iter().find(|service| service.name == row.callee);
    let port = service.and_then(|service| {
        service.ports.iter().find(|port| port.name == row.port || port.number.to_string() == row.port)
    });
    let number = port.map(|port| port.number).unwrap_or_else(|| panic!("{}\nno such port", context()));
    let entry = Entry::Inbound { service: row.callee.clone(), port: number };
    let answer = subject.reference.ask(&Question { entry, ..question(&request) });
    let is_in = answer.endings.keys().all(|ending| matches!(ending.outcome, Outcome::Forward { .. }));
    assert_eq!(is_in, word == "allow", "{}\nnot so, says the reference", context());
}

/// A request at some port of a service, from one of the program's services or from somebody without identity.
fn drawn(rng: &mut Rng, subject: &Subject, generated: &Generated) -> Option<Question> {
    let services = &subject.plan.services;
    let service = &services[rng.usize(..services.len())];
    let port = service.ports.get(rng.usize(..service.ports.len().max(1)))?;
    let caller = &services[rng.usize(..services.len())];
    let identity = subject.plan.principals[caller.principal as usize].identity.clone();
    Some(Question {
        entry: Entry::Inbound { service: service.name.clone(), port: port.number },
        peer: (rng.u32(..3) > 0).then_some(identity),
        ..generate::question(rng, &generated.places)
    })
}

/// What is said of all requests with the method and path of one, from a service of the program or somebody without identity.
fn verdict(subject: &Subject, survey: &Survey<'_>, drawn: Question) -> Option<(Question, Verdict)> {
    let Entry::Inbound { service, port } = &drawn.entry else { return None };
    if !drawn.path.starts_with('/') {
        return None;
    }
    let operation = format!("{} {}", drawn.method, drawn.path);
    let number = port.to_string();
    let services = &subject.plan.services;
    let identity = |principal: u32| subject.plan.principals[principal as usize].identity.as_str();
    let peer = drawn.peer.as_deref();
    let caller = services.iter().find(|own| peer.is_some_and(|peer| identity(own.principal) == peer));
    let rows = match (&drawn.peer, caller) {
        (None, _) => survey.can_call(service, Some(&number), Some(&operation)),
        (Some(_), Some(caller)) => survey.callable_from(&caller.name, Some(&operation)),
        (Some(_), None) => return None,
    };
    let rows = match rows {
        Ok(rows) => rows,
        // Not every path can be written as a pattern, and not every method has a name.
        Err(NoAnswer::Unknown(_)) => return None,
        Err(why) => panic!("{why:?}"),
    };
    let name = services.iter().find(|own| own.name == *service)?;
    let port = name.ports.iter().find(|own| own.number.to_string() == number)?;
    let port = if port.name.is_empty() { number } else { port.name.clone() };
    let is_it = |row: &&Row| match &row.who {
        Who::Service(_) => caller.is_some(),
        Who::Others { who: Others::Unauthenticated, .. } => caller.is_none(),
        _ => false,
    };
    let row = rows.iter().filter(is_it).find(|row| row.callee == *service && row.port == port);
    Some((drawn.clone(), row.map_or(Verdict::Denied, |row| row.verdict)))
}
