//! Every request that a finding shows is real: the line of a test that it prints, asked of the executable specification, exhibits what
//! the finding says.

use fastrand::Rng;
use mesh_compiler::StandIns;
use mesh_lang::ast::TestLine;
use mesh_lang::{Code, Diagnostic, Severity, Source, SourceSet};
use mesh_reference::{Answer, Ending, Outcome, Question, Reference};
use mesh_tests::generate::{self, Generated};
use mesh_tests::line;
use std::collections::BTreeMap;

/// Programs to look at, unless `MESH_WITNESSES` says another number.
const PROGRAMS: usize = 150;

/// Ambiguities of a program that are settled: for each it is compiled once more.
const SETTLED: usize = 2;

/// Directory and text of each file.
type Files = Vec<(String, String)>;

/// How many witnesses of a code were replayed.
#[derive(Default)]
struct Tally {
    programs: usize,
    findings: BTreeMap<&'static str, usize>,
    /// Of these, those that a line of a test asks.
    replayed: BTreeMap<&'static str, usize>,
    /// Ambiguities that the `overrides` of their help settled, and the line then held.
    settled: usize,
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was replayed is worth a line in the log")]
fn every_witness_of_a_finding_exhibits_it_in_the_reference() {
    let programs =
        std::env::var("MESH_WITNESSES").ok().and_then(|text| text.parse().ok()).unwrap_or(PROGRAMS);
    let mut tally = Tally::default();
    for seed in 0..programs as u64 {
        replay(seed, &mut tally);
    }
    println!(
        "{} programs, findings with a request {:?}, replayed {:?}, {} settled by the `overrides` of their help",
        tally.programs, tally.findings, tally.replayed, tally.settled
    );
    // The others are too rare to be in every small sample.
    for code in ["MESH3001", "MESH3002", "MESH3007", "MESH4005", "MESH4012"] {
        assert!(tally.replayed.contains_key(code), "{code} is never replayed");
    }
    let sum = |counts: &BTreeMap<&str, usize>| counts.values().sum::<usize>();
    assert!(sum(&tally.replayed) * 2 > sum(&tally.findings), "a line of a test can ask too few of them");
}

fn replay(seed: u64, tally: &mut Tally) {
    let mut rng = Rng::with_seed(seed);
    let mut generated = generate::program(&mut rng);
    tangle(&mut rng, &mut generated);
    let sources = sources(&generated.files);
    let project = mesh_compiler::Project::parse(&sources);
    if !project.environments().is_empty() {
        return;
    }
    let found = project.compile(None, None, &StandIns::new()).diagnostics;
    let Some(reference) = reference(&generated.files) else { return };
    tally.programs += 1;
    let mut tried = 0;
    for finding in found {
        let Some(witness) = &finding.witness else { continue };
        *tally.findings.entry(finding.code.as_str()).or_default() += 1;
        let Ok(text) = &witness.test else { continue };
        let context = || format!("seed {seed}\n{}{}\n{text}", shown(&generated.files), finding.message);
        let line = line::read(text).unwrap_or_else(|why| panic!("{}\n{why}", context()));
        let question =
            line::question(&line, &generated.places).unwrap_or_else(|why| panic!("{}\n{why}", context()));
        let answer = reference.ask(&question);
        let exhibits = exhibits(&finding, &line, &question, &answer, &generated);
        assert!(exhibits, "{}\n{answer:#?}", context());
        *tally.replayed.entry(finding.code.as_str()).or_default() += 1;
        if finding.code == Code::AmbiguousRules && tried < SETTLED {
            tried += 1;
            tally.settled += usize::from(is_settled(&finding, text, &question, &generated, &context));
        }
    }
}

/// Whether the request shows what the finding says.
fn exhibits(
    finding: &Diagnostic,
    line: &TestLine,
    question: &Question,
    answer: &Answer,
    generated: &Generated,
) -> bool {
    let all = |is: &dyn Fn(&Outcome) -> bool| answer.endings.keys().all(|ending| is(&ending.outcome));
    // What a gateway's own authorization refuses gets to no route: of a listener that lets nobody in nothing else is known.
    let is_shut = |outcome: &Outcome| match (&question.entry, outcome) {
        (mesh_reference::Entry::Gateway { gateway, .. }, Outcome::Denied { by }) => by == gateway,
        _ => false,
    };
    if all(&is_shut) && !matches!(finding.code, Code::DeadGrant | Code::RedundantLine) {
        return line::is_as_expected(line, answer, &generated.places);
    }
    match finding.code {
        Code::AmbiguousRules => answer.ambiguous,
        Code::IncompleteRoute => {
            all(&|outcome| *outcome == Outcome::NoRoute) && is_expected(line, answer, generated)
        }
        Code::DeadGrant | Code::UnallowedCall => {
            all(&|outcome| matches!(outcome, Outcome::Denied { .. })) && is_expected(line, answer, generated)
        }
        Code::UnreachableRule | Code::DeadLine => {
            let named = finding.witness.as_ref().and_then(|witness| witness.shows.split('`').nth(1));
            let taker = named.expect("a witness of these names who takes it");
            let names = |ending: &Ending| -> Vec<String> {
                let rules = ending.rules.iter().filter_map(|rule| rule.rsplit(' ').next());
                rules.map(str::to_owned).collect()
            };
            // Rules that end alike may take a request together.
            let is_takers = |ending: &Ending| {
                let rules = names(ending);
                rules.iter().any(|rule| rule == taker)
                    || !rules.iter().any(|rule| stand_together(&generated.files, rule, taker))
            };
            // Where the program is ambiguous besides, what is reported is not what the line says.
            answer.ambiguous || answer.endings.keys().all(is_takers) && is_expected(line, answer, generated)
        }
        _ => is_expected(line, answer, generated),
    }
}

/// Whether two rules stand in one `route`; their names are unique in a generated program.
fn stand_together(files: &Files, one: &str, other: &str) -> bool {
    let routes = files.iter().flat_map(|(_, text)| text.split("\nroute "));
    let has = |route: &str, rule: &str| route.contains(&format!("\n  rule {rule} "));
    routes
        .map(|route| route.split("\n}").next().unwrap_or(route))
        .any(|route| has(route, one) && has(route, other))
}

fn is_expected(line: &TestLine, answer: &Answer, generated: &Generated) -> bool {
    line::is_as_expected(line, answer, &generated.places)
}

/// Writes the `overrides` that the help proposes. Where nothing else is wrong, the request then ends as its line says.
fn is_settled(
    finding: &Diagnostic,
    text: &str,
    question: &Question,
    generated: &Generated,
    context: &dyn Fn() -> String,
) -> bool {
    let proposed =
        finding.help.as_deref().and_then(|help| help.strip_prefix("Say which wins, `")?.split('`').next());
    let Some(head) = proposed else { return false };
    let words: Vec<&str> = head.split(' ').collect();
    let [_, winner, _, ..] = words.as_slice() else { return false };
    let mut files = generated.files.clone();
    for (_, file) in &mut files {
        let is_head =
            |line: &&str| line.trim_start().starts_with(&format!("rule {winner} ")) && line.ends_with('{');
        let Some(old) = file.lines().find(is_head).map(str::to_owned) else { continue };
        *file = file.replace(&old, head);
    }
    let project = sources(&files);
    let found = mesh_compiler::compile(&project, &StandIns::new()).diagnostics;
    if found.iter().any(|found| found.severity == Severity::Error) {
        return false;
    }
    let Some(reference) = reference(&files) else { return false };
    let answer = reference.ask(question);
    let Ok(line) = line::read(text) else { return false };
    assert!(!answer.ambiguous, "{}\nstill ambiguous with {head}", context());
    assert!(is_expected(&line, &answer, generated), "{}\nwith {head}: {answer:#?}", context());
    true
}

/// Mistakes that the generator makes seldom: rules in each other's way, lines of others, refusals of much.
fn tangle(rng: &mut Rng, generated: &mut Generated) {
    let lines =
        ["/a/**", "/a/b", "/{x}", "GET", "GET|POST /a/{x}", "/**", "/b when header \"x-kind\" = \"a\""];
    for (_, text) in &mut generated.files {
        let written: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut tangled = String::new();
        for line in written {
            let is_match = line.starts_with("    match ") && !line.contains("grpc");
            let is_otherwise = line == "  otherwise 404";
            let is_allow = line.starts_with("  allow from ") && line.contains('/');
            if is_otherwise && rng.u32(..6) == 0 {
                continue;
            }
            tangled.push_str(&line);
            tangled.push('\n');
            if is_match && rng.u32(..4) == 0 {
                tangled.push_str(&format!("    match {}\n", lines[rng.usize(..lines.len())]));
            }
            if is_allow && rng.u32(..6) == 0 {
                let refused = line.replacen("allow", "deny", 1);
                let refused = if refused.contains("unauthenticated") || refused.contains("anyone") {
                    refused
                } else {
                    refused.replacen(" to ", ", unauthenticated to ", 1)
                };
                tangled.push_str(&refused);
                tangled.push('\n');
            }
        }
        *text = tangled;
    }
}

fn shown(files: &Files) -> String {
    files.iter().map(|(directory, text)| format!("--- {directory}/policy.mesh\n{text}")).collect()
}

fn sources(files: &Files) -> SourceSet {
    let source = |(module, text): &(String, String)| Source {
        path: format!("{module}/policy.mesh").trim_start_matches('/').to_owned(),
        module: module.clone(),
        text: text.clone(),
    };
    SourceSet::new(files.iter().map(source).collect())
}

fn reference(files: &Files) -> Option<Reference> {
    let sources = sources(files);
    let read =
        sources.iter().map(|(id, source)| (source.module.clone(), mesh_lang::parse(id, &source.text).file()));
    Reference::new(&read.collect::<Vec<_>>()).ok()
}
