//! `mesh test`: ask the compiled plan, of each environment, what every line of a `test` expects of it.

mod seen;

use super::{Parsed, environment};
use crate::args::Test;
use crate::failure::Failure;
use crate::load::{Project, load};
use crate::output::{Output, Stream, count, report};
use crate::report::{Report, TestResult};
use crate::{FINDINGS, OK};
use mesh_compiler::{Compilation, StandIns, Suppressed, case};
use mesh_engine::{Claim, ClaimValue, Entry, Method, Peer, Token};
use mesh_lang::Severity;
use mesh_lang::diagnostic::{Code, Diagnostic, suggest};
use mesh_plan::{FieldKind, Plan, PlanView};
use seen::Seen;
pub(super) use seen::end;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) fn run(test: &Test, output: &mut Output<'_>) -> Result<u8, Failure> {
    let project = load(&test.sources.paths)?;
    let parsed = Parsed::of(&project);
    let (mut compiled, mut allowed) = (Vec::new(), Vec::new());
    for environment in environment::each(&parsed, &test.only.environments)? {
        let mut compilation = parsed.compile(environment.as_deref(), &StandIns::new());
        allowed.push(std::mem::take(&mut compilation.suppressed));
        compiled.push((environment, compilation));
    }
    let allowed = environment::allowed(allowed);
    let said =
        compiled.iter().map(|(environment, each)| (environment.clone(), each.diagnostics.clone())).collect();
    let diagnostics = environment::together(&parsed, said);
    if compiled.iter().any(|(_, compilation)| compilation.plan.is_none()) {
        super::print(output, Stream::Data, &diagnostics, &allowed, &parsed, |_| {});
        return Ok(FINDINGS);
    }
    let filter = test.filter.as_deref();
    let tests: Vec<&case::Test> = compiled.iter().flat_map(|(_, compilation)| &compilation.tests).collect();
    is_there(&tests, filter)?;
    let (results, failures) = judged(&compiled, |case| is_chosen(case, filter))?;
    let failures = environment::together(&parsed, failures);
    let failed = !failures.is_empty();
    print(output, &parsed, &diagnostics, &allowed, failures, &results);
    if results.is_empty() {
        output.say("There are no tests: write `test \"name\" { request … expect … }`.");
    }
    Ok(if failed { FINDINGS } else { OK })
}

type Failed = Vec<(environment::Environment, Vec<Diagnostic>)>;

/// How the chosen tests go in each environment, and what is wrong with those that fail.
fn judged(
    compiled: &[(environment::Environment, Compilation)],
    is_chosen: impl Fn(&case::Test) -> bool,
) -> Result<(Vec<TestResult>, Failed), Failure> {
    let mut results = Vec::new();
    let mut failures = Vec::new();
    for (environment, compilation) in compiled {
        let Some(plan) = &compilation.plan else { continue };
        let view = super::build::seal(plan, &compilation.sources)?;
        let addresses = addresses(plan);
        let mut failed = Vec::new();
        for case in compilation.tests.iter().filter(|case| is_chosen(case)) {
            let asked = case.requests.iter().filter_map(|request| judge(&view, &addresses, request));
            let found: Vec<_> = asked.chain(case.proofs.iter().filter_map(case::Proof::broken)).collect();
            results.push(TestResult {
                name: match environment {
                    Some(environment) => format!("{} in {environment}", case.name),
                    None => case.name.clone(),
                },
                requests: case.requests.len() + case.proofs.len(),
                failed: found.len(),
            });
            failed.extend(found);
        }
        failures.push((environment.clone(), failed));
    }
    Ok((results, failures))
}

/// How one test goes, of the project as it is at hand: what `--format json` prints.
pub(crate) fn one(project: &Project, name: &str) -> Result<Report, Failure> {
    let parsed = Parsed::of(project);
    let mut compiled = Vec::new();
    for environment in environment::each(&parsed, &[])? {
        let compilation = parsed.compile(environment.as_deref(), &StandIns::new());
        if compilation.plan.is_none() {
            parsed.compile_or_fail(&environment)?;
        }
        compiled.push((environment, compilation));
    }
    let (results, failures) = judged(&compiled, |case| case.name == name)?;
    let found = environment::together(&parsed, failures);
    let mut said = report(&found, &[], &project.sources, super::summary(&found, 0, &parsed));
    said.tests = Some(results);
    Ok(said)
}

/// Whether a test has the text in its name.
fn is_chosen(case: &case::Test, filter: Option<&str>) -> bool {
    filter.is_none_or(|text| case.name.contains(text))
}

/// Where no test has the text in its name, that is a slip: it must not look like tests that pass.
fn is_there(tests: &[&case::Test], filter: Option<&str>) -> Result<(), Failure> {
    let Some(text) = filter else { return Ok(()) };
    if tests.is_empty() || tests.iter().any(|case| is_chosen(case, filter)) {
        return Ok(());
    }
    let mut names: Vec<&str> = Vec::new();
    for case in tests {
        if !names.contains(&case.name.as_str()) {
            names.push(&case.name);
        }
    }
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

/// An address of each kind that something in the plan tells apart.
fn addresses(plan: &Plan) -> Vec<IpAddr> {
    let fields = plan.partitions.iter().flat_map(|partition| &partition.fields);
    let sources = fields.filter(|field| matches!(field.kind, FieldKind::SourceIp | FieldKind::CallerIp));
    let first = |address: &([u8; 16], u32)| Ipv6Addr::from(address.0).to_canonical();
    let found: BTreeSet<IpAddr> = sources.flat_map(|field| field.addresses.iter().map(first)).collect();
    found.into_iter().collect()
}

/// What is wrong with the answer to a request; `None` if nothing is.
fn judge(view: &PlanView, addresses: &[IpAddr], request: &case::Request) -> Option<Diagnostic> {
    let asked = Asked::of(request);
    let source = request.source_ip.unwrap_or(Ipv4Addr::LOCALHOST.into());
    if let Some(diagnostic) = asked.with(source, |said| contradiction(view, request, said)) {
        return Some(diagnostic);
    }
    // Where the test does not say the address, the outcome must not hang on it (`spec/semantics.md` 13).
    let unsaid = if request.source_ip.is_none() { addresses } else { &[] };
    let other = unsaid.iter().find_map(|address| {
        let found = asked.with(*address, |said| contradiction(view, request, said));
        found.map(|diagnostic| (address, diagnostic))
    });
    other.map(|(address, diagnostic)| {
        diagnostic.note(format!(
            "from {address}: the request does not say its `source-ip`, and the outcome hangs on it"
        ))
    })
}

/// What a request says, in the engine's shape.
struct Asked<'a> {
    request: &'a case::Request,
    headers: Vec<(&'a str, &'a str)>,
    lists: Vec<Vec<Vec<&'a str>>>,
}

impl<'a> Asked<'a> {
    fn of(request: &'a case::Request) -> Asked<'a> {
        let items = |claim: &'a case::Claim| match claim {
            case::Claim::Text(_) => vec![],
            case::Claim::List(list) => list.iter().map(String::as_str).collect(),
        };
        let of_token = |token: &'a case::Token| token.claims.iter().map(|(_, claim)| items(claim)).collect();
        Asked {
            request,
            headers: request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            lists: request.tokens.iter().map(of_token).collect(),
        }
    }

    fn with<T>(&self, source_ip: IpAddr, then: impl FnOnce(&mesh_engine::Request<'_>) -> T) -> T {
        let request = self.request;
        let claims: Vec<Vec<Claim<'_>>> = request
            .tokens
            .iter()
            .zip(&self.lists)
            .map(|(token, lists)| {
                let both = token.claims.iter().zip(lists);
                both.map(|((pointer, claim), list)| Claim {
                    pointer,
                    value: match claim {
                        case::Claim::Text(text) => ClaimValue::Text(text),
                        case::Claim::List(_) => ClaimValue::List(list),
                    },
                })
                .collect()
            })
            .collect();
        let tokens: Vec<Token<'_>> = request
            .tokens
            .iter()
            .zip(&claims)
            .map(|(token, claims)| Token { issuer: &token.issuer, claims })
            .collect();
        let headers = self.headers.as_slice();
        then(&mesh_engine::Request {
            method: Method::from_token(&request.method),
            host: &request.host,
            host_port: request.host_port,
            path: &request.path,
            query: &request.query,
            headers: &headers,
            source_ip,
            caller_ip: Some(source_ip),
            client_ip: request.client_ip,
            tokens: &tokens,
        })
    }
}

fn contradiction(
    view: &PlanView,
    request: &case::Request,
    asked: &mesh_engine::Request<'_>,
) -> Option<Diagnostic> {
    let peer = request.peer.as_deref().map_or(Peer::Unauthenticated, Peer::Identity);
    let distribution = mesh_engine::distribution(view, entry(request.entry), peer, asked);
    let seen = Seen::of(view, &distribution);
    let (expected, got) = seen.contradiction(request)?;
    let mut diagnostic = Diagnostic::new(Code::FailedTest, format!("expected {expected}, got {got}"))
        .at(request.expect_span, "this does not come of it");
    for note in seen.reasons() {
        diagnostic = diagnostic.note(note);
    }
    Some(diagnostic.help("Correct the expectation if the policy is right, or the policy if the test is."))
}

/// The engine's word for where a request comes in.
pub(super) fn entry(entry: case::Entry) -> Entry {
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
    parsed: &Parsed<'_>,
    warnings: &[Diagnostic],
    allowed: &[Suppressed],
    failures: Vec<Diagnostic>,
    results: &[TestResult],
) {
    let sources = &parsed.loaded.sources;
    let all: Vec<_> = warnings.iter().cloned().chain(failures).collect();
    if output.for_program() {
        let mut report = report(&all, allowed, sources, super::summary(&all, allowed.len(), parsed));
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
