//! `every` and `some` lines over generated programs: what is proved holds of all requests that are tried, and a counterexample
//! that is asked of the engine fails as the line says.

use super::{Files, Subject, accepted, sources};
use fastrand::Rng;
use mesh_compiler::case::{self, Expectation};
use mesh_compiler::{Compilation, StandIns};
use mesh_engine::{Action, Decision, Distribution};
use mesh_plan::PlanView;
use mesh_plan::view::Edit;
use mesh_reference::{Claim, Entry, Question, Token};
use mesh_tests::asking::with_request;
use mesh_tests::generate::{self, Generated, Service};

/// Programs that are accepted and asked about.
const PROGRAMS: usize = 150;
/// Lines for each of them.
const LINES: usize = 12;
/// Requests that are tried for each line.
const TRIES: usize = 60;

/// A line of a test, and what is known of the requests that it describes.
struct Line {
    from_and_to: String,
    op: String,
    when: String,
    expect: &'static str,
    /// A request that comes in as the line says; the rest of it is drawn.
    arrival: Question,
    /// Whether the peers are all, those without identity, or the one that `arrival` has.
    anyone: bool,
    method: Option<String>,
    path: Option<String>,
    header: Option<(String, String)>,
}

#[test]
fn what_is_proved_of_all_requests_holds_of_those_that_are_tried() {
    let (mut held, mut failed, mut replayed) = (0, 0, 0);
    for (seed, mut rng, generated, subject) in accepted(PROGRAMS) {
        for _ in 0..LINES {
            let Some(line) = line(&mut rng, &generated) else { continue };
            for quantifier in ["every", "some"] {
                let text = format!(
                    "{quantifier} {}{}{} expect {}",
                    line.from_and_to, line.op, line.when, line.expect
                );
                // A line that describes no request is refused.
                let Some(proof) = proof(&generated.files, &text) else { continue };
                let context = || format!("seed {seed}\n{}\n{text}", shown(&generated.files));
                match (&proof.failure, quantifier) {
                    (None, "every") => {
                        held += 1;
                        let odd = tried(&subject, &line, &generated, &mut rng, false);
                        assert!(odd.is_none(), "{}\nproved, and not so: {odd:?}", context());
                    }
                    (Some(_), "some") => {
                        let odd = tried(&subject, &line, &generated, &mut rng, true);
                        assert!(odd.is_none(), "{}\nheld impossible: {odd:?}", context());
                    }
                    (Some(failure), "every") => {
                        failed += 1;
                        // Not every request can be said.
                        let witness = failure.witness.as_ref();
                        let Some(Ok(request)) = witness.map(|witness| &witness.test) else { continue };
                        replayed += 1;
                        assert!(request.ends_with(&format!(" expect {}", line.expect)), "{request}");
                        let asked = asked(&generated.files, request);
                        let fails = asked.as_ref().map(|(view, request)| !fulfils(view, request));
                        assert_eq!(fails, Some(true), "{}\ncounterexample: {request}", context());
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(held > 100 && failed > 100 && replayed * 10 > failed * 9, "{held} held, {replayed} of {failed}");
}

pub(super) fn shown(files: &Files) -> String {
    files.iter().map(|(directory, text)| format!("--- {directory}/policy.mesh\n{text}")).collect()
}

fn compiled(files: &Files, line: &str) -> Compilation {
    let mut files = files.clone();
    files[0].1.push_str(&format!("test \"quantified\" {{\n{line}\n}}\n"));
    mesh_compiler::compile(&sources(&files), &StandIns::new())
}

/// The decision about a line; `None` where it describes no request, or some that a rule changes.
#[track_caller]
fn proof(files: &Files, line: &str) -> Option<case::Proof> {
    let compilation = compiled(files, line);
    let codes: Vec<&str> =
        compilation.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect();
    // The program may have tests of its own before.
    let test = compilation.tests.into_iter().last();
    let is_refused = codes.contains(&"MESH3051") || codes.contains(&"MESH3090");
    assert!(test.is_some() || is_refused, "{}\n{line}\n{codes:?}", shown(files));
    test?.proofs.into_iter().next()
}

/// A `request` line, ready to be asked.
pub(super) fn asked(files: &Files, line: &str) -> Option<(PlanView, case::Request)> {
    let compilation = compiled(files, line);
    let view = mesh_plan::verify(mesh_plan::encode(&compilation.plan?).ok()?).ok()?;
    Some((view, compilation.tests.into_iter().last()?.requests.into_iter().next()?))
}

pub(super) fn fulfils(view: &PlanView, request: &case::Request) -> bool {
    let entry = match request.entry {
        case::Entry::Gateway { gateway, listener } => mesh_engine::Entry::Gateway { gateway, listener },
        case::Entry::Sidecar { service } => mesh_engine::Entry::Sidecar { service },
        case::Entry::FromGateway { gateway, service, port } => {
            mesh_engine::Entry::FromGateway { gateway, service, port }
        }
        case::Entry::Inbound { service, port } => mesh_engine::Entry::Inbound { service, port },
    };
    let word = match &request.expect {
        Expectation::Allow => "allow",
        Expectation::Deny => "deny",
        Expectation::Status(404) => "404",
        other => panic!("{other:?} is not asked"),
    };
    with_request(&question(request), |peer, said| {
        all_end(view, &mesh_engine::distribution(view, entry, peer, said), word)
    })
}

/// What a `request` line says, but for where it comes in.
pub(super) fn question(request: &case::Request) -> Question {
    let keys = |pointer: &str| {
        let keys = pointer.split('/').skip(1);
        keys.map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
    };
    let claim = |claim: &case::Claim| match claim {
        case::Claim::Text(text) => Claim::Text(text.clone()),
        case::Claim::List(list) => Claim::List(list.clone()),
    };
    let token = |token: &case::Token| Token {
        issuer: token.issuer.clone(),
        claims: token.claims.iter().map(|(pointer, said)| (keys(pointer), claim(said))).collect(),
    };
    Question {
        entry: Entry::Sidecar { service: String::new() },
        peer: request.peer.clone(),
        method: request.method.clone(),
        host: request.host.clone(),
        host_port: request.host_port,
        path: request.path.clone(),
        query: request.query.clone(),
        headers: request.headers.clone(),
        tokens: request.tokens.iter().map(token).collect(),
        source_ip: request.source_ip.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
        client_ip: request.client_ip,
    }
}

/// `spec/semantics.md` 13.2, and 9.8: where no fault is written, none is expected.
fn all_end(view: &PlanView, distribution: &Distribution<'_>, word: &str) -> bool {
    let is_fault = |edit: Edit<'_>| matches!(edit, Edit::Delay { .. } | Edit::Abort { .. });
    let has_fault = |decision: &Decision<'_>| decision.edited.edits(view).any(is_fault);
    distribution.possible.iter().all(|possible| match &possible.decision.action {
        _ if has_fault(&possible.decision) => false,
        Action::Forward(_) => word == "allow",
        Action::Refuse(refusal) => word == if refusal.status() == 403 { "deny" } else { "404" },
        Action::Redirect { .. } => false,
        Action::Respond { status, .. } => match word {
            "deny" => *status == 403,
            "404" => *status == 404,
            _ => false,
        },
    })
}

/// A request of the description for which it is (not) so, among some that are drawn.
fn tried(
    subject: &Subject,
    line: &Line,
    generated: &Generated,
    rng: &mut Rng,
    wanted: bool,
) -> Option<Question> {
    (0..TRIES).find_map(|_| {
        let drawn = generate::question(rng, &generated.places);
        let mut question = Question {
            method: line.method.clone().unwrap_or(drawn.method),
            path: line.path.clone().unwrap_or(drawn.path),
            headers: drawn.headers,
            peer: if line.anyone { drawn.peer } else { line.arrival.peer.clone() },
            ..line.arrival.clone()
        };
        // 1.4: the path `*` is asked for with `OPTIONS` only.
        if question.path == "*" && question.method != "OPTIONS" {
            question.path = "/".to_owned();
        }
        if let Some((name, value)) = &line.header {
            question.headers.retain(|(other, _)| other != name);
            question.headers.push((name.clone(), value.clone()));
        }
        let entry = subject.entry(&question.entry)?;
        let all_end = with_request(&question, |peer, request| {
            all_end(
                &subject.view,
                &mesh_engine::distribution(&subject.view, entry, peer, request),
                line.expect,
            )
        });
        (all_end == wanted).then_some(question)
    })
}

/// A line about one place of the program, and one operation of it or all.
fn line(rng: &mut Rng, generated: &Generated) -> Option<Line> {
    let places = &generated.places;
    let drawn = generate::question(rng, places);
    let full = |name: &str| name.to_owned();
    let clause = |name: &str, port: u16| {
        let service = places.services.iter().find(|service| service.full_name() == name)?;
        Some(match service.ports.as_slice() {
            [_] => String::new(),
            ports => format!(" port {}", ports.iter().find(|own| own.number == port)?.name),
        })
    };
    let (peers, anyone) = match (&drawn.peer, rng.u32(..3)) {
        (_, 0) => ("from anyone ".to_owned(), true),
        (None, _) => ("from unauthenticated ".to_owned(), false),
        // Identities that are none are refused where they are written.
        (Some(identity), _)
            if identity.matches('/').count() == 6 && !identity.contains(['%', '?', ':', '.']) =>
        {
            (format!("from identity \"{identity}\" "), false)
        }
        _ => (String::new(), true),
    };
    let mut arrival = drawn.clone();
    let (from_and_to, anyone) = match &drawn.entry {
        Entry::Gateway { gateway, listener } => {
            let only = places.gateway.as_ref().is_some_and(|gateway| gateway.listeners.len() == 1);
            let listener = if only { String::new() } else { format!(" listener {listener}") };
            if drawn.host.starts_with('[') {
                return None;
            }
            let host = if drawn.host.is_empty() { String::new() } else { format!(" \"{}\"", drawn.host) };
            (format!("{peers}to {gateway}{listener}{host}"), anyone)
        }
        Entry::Sidecar { service } => {
            let callees: Vec<&Service> =
                places.services.iter().filter(|service| !service.ports.is_empty()).collect();
            let callee = callees.get(rng.usize(..callees.len().max(1)))?;
            let port = callee.ports[rng.usize(..callee.ports.len())].number;
            (arrival.host, arrival.host_port) = (callee.full_name(), Some(port));
            let port = clause(&callee.full_name(), port)?;
            (format!("from {} to {}{port}", full(service), callee.full_name()), false)
        }
        Entry::FromGateway { gateway, service, port } => {
            (format!("from gateway {gateway} to {service}{}", clause(service, *port)?), false)
        }
        Entry::Inbound { service, port } => {
            (format!("{peers}to {service}{}", clause(service, *port)?), anyone)
        }
    };
    // A connection has neither method nor path nor headers.
    if places.sees_bytes(&arrival) {
        let expect = ["allow", "deny"][rng.usize(..2)];
        let (op, when) = (String::new(), String::new());
        let nothing =
            Line { from_and_to, op, when, expect, arrival, anyone, method: None, path: None, header: None };
        return Some(nothing);
    }
    let methods = ["GET", "POST", "PUT", "DELETE", "OPTIONS"];
    let method = rng.bool().then(|| methods[rng.usize(..methods.len())].to_owned());
    let path = rng.bool().then(|| drawn.path.clone()).filter(|path| path != "*");
    let op = match (&method, &path) {
        (None, None) => String::new(),
        (Some(method), None) => format!(" {method}"),
        (None, Some(path)) => format!(" {path}"),
        (Some(method), Some(path)) => format!(" {method} {path}"),
    };
    let headers = places.headers();
    let header = headers.get(rng.usize(..headers.len().max(1))).filter(|_| rng.u32(..4) == 0);
    let header = header.filter(|(_, value)| !value.is_empty()).cloned();
    let when = header
        .as_ref()
        .map_or(String::new(), |(name, value)| format!(" when header \"{name}\" = \"{value}\""));
    let expect = ["allow", "deny", "404"][rng.usize(..3)];
    Some(Line { from_and_to, op, when, expect, arrival, anyone, method, path, header })
}
