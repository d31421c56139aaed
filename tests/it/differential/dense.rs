//! Decisions that are lists of candidates, and findings that are searched for segment by segment, as where wildcards are dense: the
//! same findings as of diagrams, and the same decisions as the reference.

use super::{Files, Subject, compiled, environments};
use fastrand::Rng;
use mesh_compiler::{Budget, Compilation};
use mesh_lang::Diagnostic;
use mesh_tests::generate;

/// Programs that are compiled both ways.
const PROGRAMS: u64 = 600;

/// Requests to each.
const REQUESTS: usize = 100;

/// No path is read by an automaton of segments.
pub(super) const DENSE: Budget = Budget { path_states: 0 };

#[test]
fn lists_and_searches_say_what_diagrams_and_the_reference_say() {
    let (mut lists, mut compared, mut said, mut proofs) = (0, 0, 0, 0);
    for seed in 1..=PROGRAMS {
        let mut rng = Rng::with_seed(seed);
        let generated = generate::program(&mut rng);
        let files = &generated.files;
        for environment in environments(files) {
            let environment = environment.as_deref();
            let [plain, dense] =
                [Budget::default(), DENSE].map(|budget| compiled(files, environment, budget));
            let (found, expected) = (findings(&dense), findings(&plain));
            assert_eq!(found, expected, "seed {seed} in {environment:?}:\n{}", listed(files));
            assert_eq!(proved(&dense), proved(&plain), "seed {seed} in {environment:?}:\n{}", listed(files));
            said += found.len();
            proofs += proved(&dense).len();
            lists += dense.plan.as_ref().map_or(0, |plan| plan.lists.len());
            let Ok(subject) = Subject::of(dense, files, environment) else { continue };
            for _ in 0..REQUESTS {
                let question = generate::question(&mut rng, &generated.places);
                let dice = rng.u64(..);
                if let Err(difference) = subject.compare(&question, dice) {
                    panic!("seed {seed} in {environment:?}:\n{difference}{question:?}\n{}", listed(files));
                }
                compared += 1;
            }
        }
    }
    let enough = lists > 500 && compared > 10_000 && said > 1_000 && proofs > 0;
    assert!(enough, "{lists} lists, {compared} decisions, {said} findings, {proofs} proofs");
}

/// What is found, each with where and how it is said. Of what takes the requests of another any will do, and so will any request that
/// shows it.
fn findings(compilation: &Compilation) -> Vec<String> {
    let said = |one: &Diagnostic| {
        let any_will_do = ["takes its requests", "covers it"];
        let labels = one.labels.iter().filter(|label| !any_will_do.contains(&label.text.as_str()));
        let labels: Vec<_> = labels.map(|label| (label.span, &label.text)).collect();
        format!("{:?} {} {labels:?} {:?} {}", one.code, one.message, one.help, one.witness.is_some())
    };
    let mut all: Vec<String> = compilation.diagnostics.iter().map(said).collect();
    all.sort();
    // Two that show the same request are one.
    all.dedup();
    all
}

/// What is proved of `every` and `some`.
fn proved(compilation: &Compilation) -> Vec<bool> {
    let proofs = compilation.tests.iter().flat_map(|test| &test.proofs);
    proofs.map(|proof| proof.failure.is_none()).collect()
}

fn listed(files: &Files) -> String {
    files.iter().map(|(module, text)| format!("//- {module}\n{text}\n")).collect()
}
