//! `mesh test`: ask the compiled plan what every `request` of a `test` expects of it.

mod seen;

use crate::args::Test;
use crate::failure::Failure;
use crate::load::load;
use crate::output::{Output, Stream, count, report};
use crate::report::TestResult;
use crate::{FINDINGS, OK};
use mesh_compiler::{StandIns, case};
use mesh_engine::{Entry, Method, Peer};
use mesh_lang::diagnostic::{Code, Diagnostic, suggest};
use mesh_lang::{Severity, SourceSet};
use mesh_plan::PlanView;
use seen::Seen;

pub(crate) fn run(test: &Test, output: &mut Output<'_>) -> Result<u8, Failure> {
    let project = load(&test.sources.paths)?;
    let compilation = super::compile(&project, &StandIns::new());
    let sources = &project.sources;
    let Some(plan) = &compilation.plan else {
        super::print(output, Stream::Data, &compilation.diagnostics, sources, |_| {});
        return Ok(FINDINGS);
    };
    let (_, view) = super::build::seal(plan)?;
    let chosen = chosen(&compilation.tests, test.filter.as_deref())?;
    let mut results = Vec::new();
    let mut failures = Vec::new();
    for case in chosen {
        let found: Vec<_> = case.requests.iter().filter_map(|request| judge(&view, request)).collect();
        results.push(TestResult {
            name: case.name.clone(),
            requests: case.requests.len(),
            failed: found.len(),
        });
        failures.extend(found);
    }
    let failed = !failures.is_empty();
    print(output, sources, &compilation.diagnostics, failures, &results);
    if results.is_empty() {
        output.say("There are no tests: write `test \"name\" { request … expect … }`.");
    }
    Ok(if failed { FINDINGS } else { OK })
}

/// The tests that have the text in their names. Where none has, that is a slip: it must not look like tests that pass.
fn chosen<'a>(tests: &'a [case::Test], filter: Option<&str>) -> Result<Vec<&'a case::Test>, Failure> {
    let Some(text) = filter else { return Ok(tests.iter().collect()) };
    let chosen: Vec<_> = tests.iter().filter(|case| case.name.contains(text)).collect();
    if !chosen.is_empty() || tests.is_empty() {
        return Ok(chosen);
    }
    let names: Vec<&str> = tests.iter().map(|case| case.name.as_str()).collect();
    let near: Vec<&str> = names.iter().copied().filter(|name| is_near(name, text)).collect();
    let help = if near.is_empty() {
        format!("There are: {}.", super::quoted(&names))
    } else {
        format!("Did you mean {}?", super::quoted(&near))
    };
    Err(Failure::new(format!("no test has `{text}` in its name"), help))
}

/// Whether a name could have been meant by a text: but for case, or with a slip in a word or in the whole.
fn is_near(name: &str, text: &str) -> bool {
    let has_text = name.to_lowercase().contains(&text.to_lowercase());
    has_text || suggest::nearest(text, name.split_whitespace().chain([name])).is_some()
}

/// What is wrong with the answer to a request; `None` if nothing is.
fn judge(view: &PlanView, request: &case::Request) -> Option<Diagnostic> {
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let headers = headers.as_slice();
    let asked = mesh_engine::Request {
        method: Method::from_token(&request.method),
        host: &request.host,
        host_port: request.host_port,
        path: &request.path,
        query: "",
        headers: &headers,
        source_ip: std::net::Ipv4Addr::LOCALHOST.into(),
        client_ip: None,
        tokens: &[],
    };
    let peer = request.peer.as_deref().map_or(Peer::Unauthenticated, Peer::Identity);
    let distribution = mesh_engine::distribution(view, entry(request.entry), peer, &asked);
    let seen = Seen::of(view, &distribution);
    let (expected, got) = seen.contradiction(request)?;
    let mut diagnostic = Diagnostic::new(Code::FailedTest, format!("expected {expected}, got {got}"))
        .at(request.expect_span, "this does not come of it");
    for note in seen.reasons() {
        diagnostic = diagnostic.note(note);
    }
    Some(diagnostic.help("Correct the expectation if the policy is right, or the policy if the test is."))
}

fn entry(entry: case::Entry) -> Entry {
    match entry {
        case::Entry::Gateway { gateway, listener } => Entry::Gateway { gateway, listener },
        case::Entry::Sidecar { service } => Entry::Sidecar { service },
        case::Entry::FromGateway { gateway, service, port } => Entry::FromGateway { gateway, service, port },
        case::Entry::Inbound { service, port } => Entry::Inbound { service, port },
    }
}

/// The table and the failures; before them the compiler's warnings.
fn print(
    output: &mut Output<'_>,
    sources: &SourceSet,
    warnings: &[Diagnostic],
    failures: Vec<Diagnostic>,
    results: &[TestResult],
) {
    let all: Vec<_> = warnings.iter().cloned().chain(failures).collect();
    if output.for_program() {
        let mut report = report(&all, sources, super::summary(&all, sources));
        report.tests = Some(results.to_vec());
        return output.report(&report);
    }
    for result in results {
        let mark = if result.failed == 0 { "ok  " } else { "FAIL" };
        output.data(&format!("{mark} {} ({})", result.name, count(result.requests, "request")));
    }
    output.diagnostics(Stream::Data, &all, sources);
    let requests = results.iter().map(|result| result.requests).sum();
    let failed = all.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    output.say(&format!("{}, {}, {failed} failed", count(results.len(), "test"), count(requests, "request")));
}
