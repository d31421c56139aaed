//! Everything that can be declared is written by the generator, and is felt where it is taken away: another plan, or a refusal.

use fastrand::Rng;
use mesh_compiler::{Project, StandIns};
use mesh_lang::signature::{Place, Status};
use mesh_lang::token::Token;
use mesh_lang::tree::Statement;
use mesh_lang::{Diagnostic, FileId, Severity, Source, SourceSet};
use mesh_tests::generate;
use std::collections::BTreeSet;
use std::ops::Range;

/// The rarest statement stands in one program of some hundreds.
const MAX_PROGRAMS: u64 = 2_000;

/// Statements whose absence changes nothing about a program that is accepted, and why.
const SAYINGS: [(Place, &str, &str); 7] = [
    (Place::Module, "edition 2026", "there is one edition, and a file without it is of it"),
    (Place::Calls, "client-timeout DURATION", "what the application does, for the checks along the calls"),
    (Place::Calls, "client-retry COUNT", "what the application does, for the checks along the calls"),
    (
        Place::Service,
        "propagate header STRING, …",
        "what the application does, for the checks along the calls",
    ),
    (Place::Mesh, "production NAME, …", "it refuses faults and audits"),
    (Place::Mesh, "limit retry-amplification COUNT", "it refuses retries that multiply"),
    (Place::Subset, "env NAME, … { … }", "what stands in it is refused by name wherever it stands"),
];

/// A statement in a block.
type Row = (Place, &'static str);

/// What can be told of a program in all its environments.
#[derive(PartialEq)]
struct Seen {
    plans: Vec<Option<Vec<u8>>>,
    /// What `mesh build` refuses.
    unexecuted: Vec<String>,
    /// What `mesh check` refuses.
    errors: Vec<String>,
    tests: String,
}

#[test]
fn every_statement_is_generated_and_felt() {
    let is_saying = |row: &Row| SAYINGS.iter().any(|(place, form, _)| *row == (*place, *form));
    let mut left: BTreeSet<Row> = rows().filter(|row| !is_saying(row)).collect();
    let mut written: BTreeSet<Row> = BTreeSet::new();
    for seed in 0..MAX_PROGRAMS {
        let files = generate::program(&mut Rng::with_seed(seed)).files;
        let statements: Vec<Vec<(Row, bool, Range<usize>)>> =
            files.iter().map(|(_, text)| statements(text)).collect();
        written.extend(statements.iter().flatten().map(|(row, ..)| *row));
        // What stands in a block that is refused as a whole is refused with it.
        left.retain(|row| {
            !statements.iter().flatten().any(|(own, is_inside_refused, _)| own == row && *is_inside_refused)
        });
        if !statements.iter().flatten().any(|(row, ..)| left.contains(row)) {
            continue;
        }
        let before = seen(&files);
        if !before.errors.is_empty() {
            continue;
        }
        for (index, own) in statements.into_iter().enumerate() {
            for (row, _, range) in own {
                if left.contains(&row) {
                    let mut without = files.clone();
                    without[index].1.replace_range(range, "");
                    if seen(&without) != before {
                        left.remove(&row);
                    }
                }
            }
        }
        if left.is_empty() {
            break;
        }
    }
    let never: Vec<Row> = rows().filter(|row| !written.contains(row)).collect();
    assert!(never.is_empty(), "the generator never writes {never:?}");
    assert!(left.is_empty(), "taken away, nobody notices {left:?}");
}

/// The rows of the table.
fn rows() -> impl Iterator<Item = Row> {
    Place::ALL.iter().flat_map(|place| place.statements().iter().map(|row| (*place, row.form)))
}

/// The statements of a text with their places, and whether they stand in a block that is only checked.
fn statements(text: &str) -> Vec<(Row, bool, Range<usize>)> {
    let parse = mesh_lang::parse(FileId(0), text);
    let mut found = Vec::new();
    collect(Place::File, false, &parse.tree.statements, &parse.tokens, text, &mut found);
    found
}

fn collect(
    place: Place,
    is_refused: bool,
    statements: &[Statement],
    tokens: &[Token],
    text: &str,
    found: &mut Vec<(Row, bool, Range<usize>)>,
) {
    for statement in statements {
        let word = tokens[statement.first as usize].text(text);
        let own = place.statement(word).map(|row| (place, row));
        let Some((home, row)) = own.or_else(|| Place::Env.statement(word).map(|row| (Place::Env, row)))
        else {
            panic!("`{word}` in {place:?}: {text}");
        };
        let range = tokens[statement.doc as usize].start()..tokens[statement.last() - 1].end();
        found.push(((home, row.form), is_refused, range));
        if let (Some(inner), Some(block)) = (row.body.place(), &statement.block) {
            // In an `env` block stands what stands around it.
            let inner = if inner == Place::Env { place } else { inner };
            let is_refused = is_refused || row.status == Status::Checked;
            collect(inner, is_refused, &block.statements, tokens, text, found);
        }
    }
}

fn seen(files: &[(String, String)]) -> Seen {
    let source = |(module, text): &(String, String)| Source {
        path: format!("{module}/policy.mesh"),
        module: module.clone(),
        text: text.clone(),
    };
    let sources = SourceSet::new(files.iter().map(source).collect());
    let project = Project::parse(&sources);
    let mut seen = Seen { plans: vec![], unexecuted: vec![], errors: vec![], tests: String::new() };
    let named = project.environments();
    let environments = if named.is_empty() { vec![None] } else { named.into_iter().map(Some).collect() };
    for environment in environments {
        let found = project.compile(environment.as_deref(), None, &StandIns::new());
        let errors = found.diagnostics.iter().filter(|problem| problem.severity == Severity::Error);
        seen.errors.extend(errors.map(said));
        seen.unexecuted.extend(found.unexecuted.iter().map(said));
        seen.plans.push(found.plan.as_ref().and_then(|plan| mesh_plan::encode(plan).ok()));
        for test in found.tests {
            seen.tests += &format!("{} {} {}\n", test.name, test.requests.len(), test.proofs.len());
        }
    }
    seen
}

fn said(problem: &Diagnostic) -> String {
    format!("{} {}", problem.code.as_str(), problem.message)
}
