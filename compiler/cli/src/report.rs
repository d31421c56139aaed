//! What `--format json` and `jsonl` print: copies of our values for other programs. `spec/schema/diagnostics.json` is
//! the schema of what `check`, `build` and `test` print; other commands have a module and a schema of their own.

pub mod diff;
pub mod graph;
pub mod trim;
pub mod who;
pub mod why;

use mesh_compiler::Suppressed;
use mesh_lang::diagnostic::render::{self, FlatLabel};
use mesh_lang::{Diagnostic, Severity, SourceSet};
use schemars::JsonSchema;
use serde::Serialize;

/// Names the shape of [`Report`] and [`Line`]; a change that breaks a reader gets another number.
pub const SCHEMA: &str = "mesh.diagnostics/v1";

/// What a reader of `check`, `build` and `test` may meet: one report (`json`), a document a line (`jsonl`), or an error.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Document {
    /// `--format json`
    Report(Report),
    /// `--format jsonl`, and with both formats the error that ended the command.
    Line(Line),
}

/// Everything a command has to say.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// `mesh.diagnostics/v1`
    pub schema: String,
    /// In order of file and place.
    pub diagnostics: Vec<Finding>,
    /// Warnings that a remark in the source allows, `# mesh: allow …`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<AllowedFinding>,
    /// What `mesh check --fix` wrote.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<Fixed>,
    /// How much was looked at and found.
    pub summary: Summary,
    /// The results of `mesh test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Vec<TestResult>>,
    /// The file that `mesh build` wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<WrittenPlan>,
}

/// One line of `jsonl`: a finding, a test's result, the plan, or, as the last line, the summary or an error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Line {
    /// `mesh.diagnostics/v1`
    pub schema: String,
    /// What the line says.
    #[serde(flatten)]
    pub content: Content,
}

/// What a line of `jsonl` says.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Something that was found.
    Diagnostic(Finding),
    /// A warning that is allowed.
    Allowed(AllowedFinding),
    /// What `mesh check --fix` wrote.
    Fixed(Fixed),
    /// A test that was run.
    Test(TestResult),
    /// The file that was written.
    Plan(WrittenPlan),
    /// How much was looked at and found.
    Summary(Summary),
    /// Why the command could not go on: the only document then, with `json` too.
    Error(Trouble),
}

/// What ended a command with exit code 2 or 101: a file, an argument, a bug.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Trouble {
    /// A clause that names the thing.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A diagnostic.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// `MESH3001`
    pub code: String,
    /// `ambiguous-rules`
    pub name: String,
    /// How much it matters.
    pub severity: Level,
    /// A clause in lower case.
    pub message: String,
    /// The primary place; absent where no file is involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Other places that belong to it.
    pub related: Vec<Place>,
    /// Further facts.
    pub notes: Vec<String>,
    /// A request that proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<Box<Witness>>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Edits that do it.
    pub fixes: Vec<Fix>,
}

/// A request that proves a finding.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Witness {
    /// What it shows: `request both match`.
    pub shows: String,
    /// A command for a POSIX shell that sends it; absent for what is no HTTP request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curl: Option<String>,
    /// A line of a `test` that asks it; absent where none can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

/// A warning that a remark allows.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AllowedFinding {
    /// What was found.
    pub finding: Finding,
    /// Why it may stay.
    pub reason: String,
    /// The remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<Place>,
}

/// One way to make a finding go away.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fix {
    /// A clause that says what it does.
    pub title: String,
    /// Whether nothing else can have been meant: then `mesh check --fix` does it.
    pub certain: bool,
    /// All of them together.
    pub edits: Vec<Edit>,
}

/// Another text for a range of a file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Edit {
    /// As given on the command line, with `/`.
    pub file: String,
    /// The first character that goes.
    pub start: Position,
    /// One past the last character that goes.
    pub end: Position,
    /// What comes in their place.
    pub text: String,
}

/// What was written to make a finding go away.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Fixed {
    /// `MESH1007`
    pub code: String,
    /// A clause that says what was done.
    pub title: String,
    /// Where, in the file as it was then.
    pub file: String,
    pub start: Position,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No plan is built.
    Error,
    /// A plan is built.
    Warning,
}

/// A range in a file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Place {
    /// As given on the command line, with `/`.
    pub file: String,
    /// The first character.
    pub start: Position,
    /// One past the last character.
    pub end: Position,
    /// Why this place; may be empty.
    pub label: String,
}

/// A line and a column, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// How much was looked at and found.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct Summary {
    /// `.mesh` files.
    pub files: usize,
    /// Rules of routes and lines of authorizations.
    pub rules: usize,
    pub errors: usize,
    pub warnings: usize,
    /// Warnings that remarks allow.
    pub allowed: usize,
}

/// What came of a `test`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TestResult {
    pub name: String,
    /// How many requests it makes.
    pub requests: usize,
    /// How many of them ended otherwise than expected.
    pub failed: usize,
}

/// A plan on disk.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WrittenPlan {
    pub path: String,
    pub bytes: usize,
    /// BLAKE3-256 as hex digits.
    pub digest: String,
    /// What its proxies load, part by part: one for each service and gateway, and one of the mesh.
    pub parts: Vec<WrittenPart>,
}

/// A part of a plan: the same bytes as long as nothing of its owner changes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WrittenPart {
    /// `service web.shop`, `gateway edge.shop`, `mesh`
    pub unit: String,
    pub bytes: usize,
    /// BLAKE3-256 as hex digits.
    pub digest: String,
}

impl Finding {
    /// The copy of a diagnostic about these sources.
    pub fn of(diagnostic: &Diagnostic, sources: &SourceSet) -> Finding {
        let flat = render::flat(diagnostic, sources);
        let mut places = flat.labels.iter().map(Place::of);
        Finding {
            code: flat.code.to_owned(),
            name: flat.name.to_owned(),
            severity: match diagnostic.severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warning,
            },
            message: flat.message.to_owned(),
            place: places.next(),
            related: places.collect(),
            notes: flat.notes.to_vec(),
            witness: flat.witness.map(|witness| Box::new(Witness::of(witness))),
            help: flat.help.map(str::to_owned),
            fixes: diagnostic
                .fixes
                .iter()
                .filter_map(|fix| Fix::of(&fix.settled(sources)?, sources))
                .collect(),
        }
    }
}

impl Witness {
    fn of(witness: &mesh_lang::diagnostic::Witness) -> Witness {
        let mesh_lang::diagnostic::Witness { shows, curl, test } = witness.clone();
        Witness { shows, curl, test: test.ok() }
    }
}

impl AllowedFinding {
    /// The copy of a finding that is allowed.
    pub fn of(suppressed: &Suppressed, sources: &SourceSet) -> AllowedFinding {
        AllowedFinding {
            finding: Finding::of(&suppressed.diagnostic, sources),
            reason: suppressed.reason.clone(),
            remark: sources.get(suppressed.span.file()).map(|file| Place {
                file: file.path.clone(),
                start: Position::of(sources.position(suppressed.span)),
                end: Position::of(sources.end_position(suppressed.span)),
                label: String::new(),
            }),
        }
    }
}

impl Fix {
    fn of(fix: &mesh_lang::diagnostic::Fix, sources: &SourceSet) -> Option<Fix> {
        let edit = |edit: &mesh_lang::diagnostic::Edit| {
            Some(Edit {
                file: sources.get(edit.span.file())?.path.clone(),
                start: Position::of(sources.position(edit.span)),
                end: Position::of(sources.end_position(edit.span)),
                text: edit.text.clone(),
            })
        };
        let edits: Option<Vec<Edit>> = fix.edits.iter().map(edit).collect();
        Some(Fix { title: fix.title.clone(), certain: fix.certain, edits: edits? })
    }
}

impl Position {
    pub(crate) fn of((line, column): (usize, usize)) -> Position {
        Position { line, column }
    }
}

impl Place {
    fn of(label: &FlatLabel<'_>) -> Place {
        Place {
            file: label.file.to_owned(),
            start: Position::of(label.start),
            end: Position::of(label.end),
            label: label.text.to_owned(),
        }
    }
}
