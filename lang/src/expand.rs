//! One environment of a project: `env` blocks and parameters are replaced by what they stand for, before anything else is
//! asked (`spec/semantics.md` 7).
//!
//! Statements are moved about by what their row says of them, and arguments that name a parameter are read here, with its
//! value in its place. Everything behind this sees a program without environments.

mod somewhere;

use crate::ast::{self, Weight};
use crate::diagnostic::suggest::meant;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::parser::input::{Lexeme, Tokens};
use crate::parser::project::literal;
use crate::parser::recover;
use crate::signature::{Status, Times};
use crate::span::{Name, Span, Text};
use crate::statement::{Args, Controlled, Param, Statement, Waiting};
use crate::token::TokenKind;
use crate::view;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What one file says, and the directory that it holds for.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    pub module: &'a str,
    pub said: Said<'a>,
}

/// What a file says.
#[derive(Clone, Debug)]
pub enum Said<'a> {
    /// Whoever asks for one environment gives the statements away; whoever asks for several lends them.
    Statements(Cow<'a, [Statement]>),
    /// The same in every environment.
    Shaped(Shaped),
}

impl<'a> Said<'a> {
    /// Gives statements their shapes at once, while they are at hand, if no parameter or environment is in them.
    pub fn at_once(statements: Vec<Statement>) -> Said<'a> {
        if statements.iter().any(|one| one.keyword() == "mesh") || !statements.iter().all(is_settled) {
            return Said::Statements(statements.into());
        }
        let sent_somewhere = somewhere::subsets(&statements);
        Said::Shaped(Shaped::of(statements, sent_somewhere))
    }

    fn statements(&self) -> &[Statement] {
        match self {
            Said::Statements(statements) => statements,
            Said::Shaped(_) => &[],
        }
    }
}

/// A file in one environment.
#[derive(Clone, Debug, Default)]
pub struct Shaped {
    file: ast::File,
    checked: Vec<(&'static str, Span)>,
}

impl Shaped {
    /// What a file says here, and the subsets that it sends to somewhere.
    fn of(statements: Vec<Statement>, sent_somewhere: Vec<Text>) -> Shaped {
        let mut checked = Vec::new();
        only_checked(&statements, &mut checked);
        Shaped { file: ast::File { sent_somewhere, ..view::file(statements) }, checked }
    }
}

/// Whether a statement says the same in every environment.
fn is_settled(statement: &Statement) -> bool {
    !matches!(statement.args, Args::Waiting(_) | Args::Param(_))
        && statement.keyword() != "env"
        && statement.block.iter().all(is_settled)
}

/// The environments that a project names, in the order written.
pub fn environments(sources: &[Source<'_>]) -> Vec<Name> {
    let statements = sources.iter().flat_map(|source| source.said.statements());
    let meshes = statements.filter(|one| one.keyword() == "mesh");
    let lines = meshes.flat_map(|mesh| &mesh.block).filter(|line| line.keyword() == "environments");
    let names = lines.filter_map(|line| match &line.args {
        Args::Names(names) => Some(names.clone()),
        _ => None,
    });
    names.flatten().collect()
}

/// A project as it is in one environment.
#[derive(Clone, Debug, Default)]
pub struct Expanded {
    /// One for each source, in order.
    pub files: Vec<ast::File>,
    /// Keyword and place of the statements that are checked and not executed ([`Status::Checked`]).
    pub checked: Vec<(&'static str, Span)>,
    pub diagnostics: Diagnostics,
}

/// The files as they are in an environment. Time and space: linear in the statements.
pub fn expand(sources: Vec<Source<'_>>, environment: Option<&str>) -> Expanded {
    let (project, diagnostics) = Project::of(&sources, environment);
    let mut expanded = Expanded { diagnostics, ..Expanded::default() };
    for Source { module, said } in sources {
        let Shaped { file, checked } = match said {
            Said::Shaped(shaped) => shaped,
            Said::Statements(statements) => {
                let sent_somewhere = somewhere::subsets(&statements);
                let (statements, diagnostics) = project.expand(module, statements);
                expanded.diagnostics.extend(diagnostics);
                Shaped::of(statements, sent_somewhere)
            }
        };
        expanded.files.push(file);
        expanded.checked.extend(checked);
    }
    expanded
}

/// A file as it is in an environment, and what is wrong with its `env` blocks and parameters.
#[derive(Clone, Debug, Default)]
pub struct One {
    pub file: ast::File,
    pub diagnostics: Diagnostics,
}

/// Some of the files as they are in an environment, by index, and what is wrong with the parameters and environments of all of
/// them. Time: linear in the statements of those files and in the file level of all; where there are parameters, in all statements.
pub fn some(
    sources: &[Source<'_>],
    files: impl IntoIterator<Item = usize>,
    environment: Option<&str>,
) -> (Vec<One>, Diagnostics) {
    let (project, diagnostics) = Project::of(sources, environment);
    let files = files.into_iter().filter_map(|file| sources.get(file)).map(|source| {
        let sent_somewhere = somewhere::subsets(source.said.statements());
        let (statements, diagnostics) = project.expand(source.module, source.said.statements().into());
        One { file: Shaped::of(statements, sent_somewhere).file, diagnostics }
    });
    (files.collect(), diagnostics)
}

/// The value of a parameter in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The directory that declares it.
    pub module: String,
    pub name: String,
    /// As written.
    pub text: String,
    /// Where this value is written.
    pub span: Span,
}

/// The statements of each source as they are in an environment, before they get their shapes, and what the parameters are
/// there, in order of directory and name: for those who ask where something was written. Of a source that has its shape there
/// are none.
pub fn statements(
    sources: Vec<Source<'_>>,
    environment: Option<&str>,
) -> (Vec<Vec<Statement>>, Vec<Parameter>) {
    statements_of(&sources, |_| true, environment)
}

/// The same, of those sources alone that are `wanted`, by index: the others have no statements. Time: linear in the statements of
/// these and in the file level of all; where there are parameters, in all statements.
pub fn statements_of(
    sources: &[Source<'_>],
    wanted: impl Fn(usize) -> bool,
    environment: Option<&str>,
) -> (Vec<Vec<Statement>>, Vec<Parameter>) {
    let (project, _) = Project::of(sources, environment);
    let blocks = sources.iter().enumerate().map(|(index, source)| match wanted(index) {
        true => project.expand(source.module, source.said.statements().into()).0,
        false => Vec::new(),
    });
    let blocks = blocks.collect();
    let parameters = project.params.iter().map(|((module, name), declared)| Parameter {
        module: (*module).to_owned(),
        name: name.to_string(),
        text: declared.value.text.to_string(),
        span: declared.value.span,
    });
    (blocks, parameters.collect())
}

/// What the arguments of a statement say that wait for parameters, with these values in their places: what they name, whatever
/// the environment. `None` where nothing waits, or a value is missing or does not fit.
pub fn read_with<'v>(statement: &Statement, value: impl Fn(&str) -> Option<&'v Waiting>) -> Option<Args> {
    let Args::Waiting(waiting) = &statement.args else { return None };
    let mut lexemes = Vec::with_capacity(waiting.len());
    for piece in waiting {
        match piece.text.strip_prefix('$').filter(|_| piece.kind == TokenKind::Param) {
            Some(name) => {
                let value = value(name)?;
                lexemes.push(Lexeme {
                    kind: value.kind,
                    text: &value.text,
                    span: piece.span,
                    substituted: true,
                });
            }
            None => lexemes.push(Lexeme {
                kind: piece.kind,
                text: &piece.text,
                span: piece.span,
                substituted: false,
            }),
        }
    }
    recover::read(statement.signature, &lexemes, keyword_span(statement), statement.span).ok()
}

/// Where the keyword of a statement stands.
fn keyword_span(statement: &Statement) -> Span {
    let start = statement.span.start();
    Span::new(statement.span.file(), start, start + statement.keyword().len() as u32)
}

/// The outermost statements that are checked and not executed.
fn only_checked(statements: &[Statement], found: &mut Vec<(&'static str, Span)>) {
    for statement in statements {
        match statement.signature.status {
            Status::Checked => found.push((statement.keyword(), statement.span)),
            Status::Executed => only_checked(&statement.block, found),
        }
    }
}

/// What a project declares, in one environment.
struct Project<'a> {
    environment: Option<&'a str>,
    /// All environments of the project.
    known: Vec<Text>,
    /// By directory and name.
    params: BTreeMap<(&'a str, Text), Declared>,
}

/// A parameter and the value that it has here.
struct Declared {
    param: Param,
    value: Waiting,
    /// Where this environment sets it.
    set: Option<Span>,
}

impl<'a> Project<'a> {
    fn of(sources: &[Source<'a>], environment: Option<&'a str>) -> (Project<'a>, Diagnostics) {
        let mut project = Project {
            environment,
            known: environments(sources).into_iter().map(|name| name.value).collect(),
            params: BTreeMap::new(),
        };
        let mut diagnostics = Diagnostics::new();
        for source in sources {
            project.declare(source, &mut diagnostics);
        }
        for source in sources {
            project.set(source, &mut diagnostics);
        }
        project.unused(sources).into_iter().for_each(|unused| diagnostics.push(unused));
        (project, diagnostics)
    }

    /// Parameters that no statement names, whatever the environment.
    fn unused(&self, sources: &[Source<'a>]) -> Vec<Diagnostic> {
        if self.params.is_empty() {
            return Vec::new();
        }
        let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
        for source in sources {
            named(source.said.statements(), source.module, &mut used);
        }
        let unused =
            self.params.iter().filter(|((module, name), _)| !used.contains(&(*module, name.as_str())));
        unused.map(|((_, name), declared)| nobody_uses(name, declared.param.name.span)).collect()
    }

    /// The statements of a file as they are here.
    fn expand(&self, module: &str, statements: Cow<'_, [Statement]>) -> (Vec<Statement>, Diagnostics) {
        let mut statements = statements.into_owned();
        let mut expansion = Expansion { project: self, module, diagnostics: Diagnostics::new() };
        expansion.block(&mut statements, false);
        (statements, expansion.diagnostics)
    }

    fn declare(&mut self, source: &Source<'a>, diagnostics: &mut Diagnostics) {
        for statement in source.said.statements() {
            let Args::Param(param) = &statement.args else { continue };
            let key = (source.module, param.name.value.clone());
            if let Some(first) = self.params.get(&key) {
                diagnostics.push(
                    Diagnostic::new(
                        Code::DuplicateName,
                        format!("the parameter `{}` is declared twice", param.name.value),
                    )
                    .at(param.name.span, "declared again here")
                    .at(first.param.name.span, "first declared here")
                    .help("Rename one of them, or delete it."),
                );
                continue;
            }
            outside_of_range(param, &param.value).into_iter().for_each(|found| diagnostics.push(found));
            without_choice(param).into_iter().for_each(|found| diagnostics.push(found));
            let (param, value) = (Param::clone(param), param.value.clone());
            self.params.insert(key, Declared { param, value, set: None });
        }
    }

    /// The file level's `env NAME { set … }`.
    fn set(&mut self, source: &Source<'a>, diagnostics: &mut Diagnostics) {
        for statement in source.said.statements().iter().filter(|one| one.keyword() == "env") {
            let here = self.names(statement, diagnostics);
            for line in &statement.block {
                let Args::Set(set) = &line.args else { continue };
                let (name, value) = &**set;
                let key = (source.module, name.value.clone());
                let Some(declared) = self.params.get(&key) else {
                    diagnostics.push(self.unknown_param(source.module, &name.value, name.span));
                    continue;
                };
                let param = declared.param.clone();
                if let Some(problem) = wrong_type(&param, value) {
                    diagnostics.push(problem);
                    continue;
                }
                outside_of_range(&param, value).into_iter().for_each(|found| diagnostics.push(found));
                if !here {
                    continue;
                }
                match self.params.get(&key).and_then(|declared| declared.set) {
                    Some(first) => diagnostics.push(
                        Diagnostic::new(
                            Code::DuplicateStatement,
                            format!(
                                "`{}` is set twice in environment `{}`",
                                name.value,
                                self.environment.unwrap_or("")
                            ),
                        )
                        .at(name.span, "set again here")
                        .at(first, "first set here")
                        .help("Keep one of the two."),
                    ),
                    None => {
                        let value = value.clone();
                        self.params.insert(key, Declared { param, value, set: Some(name.span) });
                    }
                }
            }
        }
    }

    /// Whether an `env` statement is about this environment. Names that nobody declared are complained of.
    fn names(&self, statement: &Statement, diagnostics: &mut Diagnostics) -> bool {
        let Args::Names(names) = &statement.args else { return false };
        for name in names.iter().filter(|name| !self.known.contains(&name.value)) {
            let unknown = Diagnostic::new(Code::UnknownName, format!("unknown environment `{}`", name.value))
                .at(name.span, "not among the `environments` of the mesh");
            let near = meant(&name.value, self.known.iter().map(Text::as_str));
            diagnostics.push(match near {
                Some(near) => unknown.did_you_mean(&name.value, near),
                None if self.known.is_empty() => {
                    unknown.help(format!("Declare it: `mesh … {{ environments {} }}`.", name.value))
                }
                None => {
                    let known: Vec<String> = self.known.iter().map(|known| format!("`{known}`")).collect();
                    unknown.help(format!("The environments are {}.", recover::listed(&known, "and")))
                }
            });
        }
        names.iter().any(|name| Some(name.value.as_str()) == self.environment)
    }

    fn unknown_param(&self, module: &str, name: &str, span: Span) -> Diagnostic {
        let unknown = Diagnostic::new(Code::UnknownName, format!("unknown parameter `{name}`"))
            .at(span, "not declared in this module");
        let own = self.params.keys().filter(|(owner, _)| *owner == module).map(|(_, name)| name.as_str());
        match meant(name, own) {
            Some(near) => unknown.did_you_mean(name, near),
            None => unknown.help(format!("Declare it at the top of a file: `param {name} percent = 0%`.")),
        }
    }
}

/// The parameters that statements name: directory and name.
fn named<'s>(statements: &'s [Statement], module: &'s str, used: &mut BTreeSet<(&'s str, &'s str)>) {
    for statement in statements {
        if let Args::Waiting(waiting) = &statement.args {
            let names = waiting.iter().filter(|piece| piece.kind == TokenKind::Param);
            used.extend(names.filter_map(|piece| Some((module, piece.text.strip_prefix('$')?))));
        }
        named(&statement.block, module, used);
    }
}

fn nobody_uses(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::UnusedName, format!("nobody uses the parameter `{name}`"))
        .at(span, "declared here")
        .help(format!("Delete it, or write `${name}` where its value is meant."))
}

/// A file on its way.
struct Expansion<'p, 'a> {
    project: &'p Project<'a>,
    module: &'p str,
    diagnostics: Diagnostics,
}

impl Expansion<'_, '_> {
    /// Puts the statements of a block's `env` blocks among its own, and reads what waited for parameters.
    fn block(&mut self, statements: &mut Vec<Statement>, inside_env: bool) {
        let mut named: Vec<Name> = Vec::new();
        let mut here = Vec::new();
        statements.retain_mut(|statement| match &statement.args {
            Args::Param(_) => false,
            Args::Names(names) if statement.keyword() == "env" => {
                self.once_each(&mut named, names);
                if is_values(statement) {
                    return false;
                }
                if inside_env {
                    self.diagnostics.push(nested(statement));
                } else if self.project.names(statement, &mut self.diagnostics) {
                    here.push(std::mem::take(&mut statement.block).into_vec());
                }
                false
            }
            _ => self.statement(statement, inside_env),
        });
        for mut added in here {
            self.block(&mut added, true);
            merge(statements, added);
        }
    }

    /// One place names an environment once.
    fn once_each(&mut self, named: &mut Vec<Name>, names: &[Name]) {
        for name in names {
            match named.iter().find(|known| known.value == name.value) {
                Some(first) => self.diagnostics.push(
                    Diagnostic::new(
                        Code::DuplicateStatement,
                        format!("environment `{}` has two `env` blocks here", name.value),
                    )
                    .at(name.span, "named again here")
                    .at(first.span, "first named here")
                    .help("Merge the two blocks."),
                ),
                None => named.push(name.clone()),
            }
        }
    }

    /// Whether it could be read.
    fn statement(&mut self, statement: &mut Statement, inside_env: bool) -> bool {
        let mut readable = true;
        if let Args::Waiting(waiting) = &statement.args {
            match self.read(statement, waiting) {
                Some(args) => statement.args = args,
                None => readable = false,
            }
        }
        let mut block = std::mem::take(&mut statement.block).into_vec();
        self.block(&mut block, inside_env);
        statement.block = block.into();
        readable
    }

    /// Reads arguments with the values of parameters in their places.
    fn read(&mut self, statement: &Statement, waiting: &[Waiting]) -> Option<Args> {
        let mut lexemes = Vec::with_capacity(waiting.len());
        let mut controlled: Vec<(Span, &Controlled)> = Vec::new();
        let mut problems = Vec::new();
        for piece in waiting {
            let plain = Lexeme { kind: piece.kind, text: &piece.text, span: piece.span, substituted: false };
            let Some(name) = piece.text.strip_prefix('$').filter(|_| piece.kind == TokenKind::Param) else {
                lexemes.push(plain);
                continue;
            };
            match self.project.params.get(&(self.module, Text::from(name))) {
                Some(Declared { param, value, .. }) => {
                    controlled.extend(param.controlled.as_ref().map(|range| (piece.span, range)));
                    lexemes.push(Lexeme {
                        kind: value.kind,
                        text: &value.text,
                        span: piece.span,
                        substituted: true,
                    });
                }
                None => problems.push(self.project.unknown_param(self.module, name, piece.span)),
            }
        }
        let read = match problems.is_empty() {
            true => recover::read(statement.signature, &lexemes, keyword_span(statement), statement.span),
            false => {
                problems.into_iter().for_each(|problem| self.diagnostics.push(problem));
                return None;
            }
        };
        match read {
            Ok(mut args) => {
                let left = control(&mut args, &controlled);
                for (span, range) in left {
                    self.diagnostics.push(not_a_weight(span, range));
                }
                Some(args)
            }
            Err(mut diagnostic) => {
                // What is wrong with a value is not written here.
                diagnostic.fixes = Box::default();
                let values = waiting.iter().filter(|piece| piece.kind == TokenKind::Param);
                let values: Vec<String> = values
                    .zip(lexemes.iter().filter(|lexeme| lexeme.substituted))
                    .map(|(piece, value)| format!("`{}` is `{}`", piece.text, value.text))
                    .collect();
                let place = self
                    .project
                    .environment
                    .map_or(String::new(), |name| format!(" in environment `{name}`"));
                self.diagnostics.push(diagnostic.note(format!("{}{place}", recover::listed(&values, "and"))));
                None
            }
        }
    }
}

/// Whether it is the file level's `env`, which holds values of parameters.
fn is_values(statement: &Statement) -> bool {
    statement.signature.body == crate::signature::Body::Required(crate::signature::Place::Env)
}

/// What is wrong with a value that its parameter's range does not have.
fn outside_of_range(param: &Param, value: &Waiting) -> Option<Diagnostic> {
    let controlled = param.controlled.as_ref()?;
    let points = percent_of(value)?;
    (points < controlled.low.value || points > controlled.high.value).then(|| {
        Diagnostic::new(
            Code::InvalidValue,
            format!("`{}` is outside of the range of `{}`", value.text, param.name.value),
        )
        .at(value.span, "")
        .at(controlled.low.span.to(controlled.high.span), "its range")
        .help("Widen the range, or choose a value inside it.")
    })
}

/// A range of one value leaves nothing to whoever controls it.
fn without_choice(param: &Param) -> Option<Diagnostic> {
    let controlled = param.controlled.as_ref()?;
    (controlled.low.value == controlled.high.value).then(|| {
        Diagnostic::new(Code::VainStatement, format!("the range of `{}` is one value", param.name.value))
            .at(controlled.low.span.to(controlled.high.span), "nothing to choose from")
            .help("Widen the range, or leave `range` and `controlled-by` out.")
    })
}

/// Adds what an `env` block says: what may stand once replaces, the rest is added.
fn merge(statements: &mut Vec<Statement>, added: Vec<Statement>) {
    let group = |statement: &Statement| match statement.signature.times {
        Times::OneOf(group) => Some(group),
        Times::Once | Times::ManyReplaced => Some(statement.keyword()),
        Times::Many => None,
    };
    let replaced: Vec<&str> = added.iter().filter_map(group).collect();
    statements.retain(|statement| group(statement).is_none_or(|own| !replaced.contains(&own)));
    statements.extend(added);
}

fn nested(statement: &Statement) -> Diagnostic {
    Diagnostic::new(Code::UnexpectedToken, "an `env` block stands inside another")
        .at(statement.span, "environments are not nested")
        .help("Write the outer environment's statements without it.")
}

/// A literal that is not of a parameter's type.
fn wrong_type(param: &Param, value: &Waiting) -> Option<Diagnostic> {
    let lexeme = Lexeme { kind: value.kind, text: &value.text, span: value.span, substituted: false };
    let lexemes = [lexeme];
    let read = literal(param.kind)(Tokens::new(&lexemes, value.span));
    let fits = read.is_ok_and(|(rest, _)| rest.first().is_none());
    (!fits).then(|| {
        Diagnostic::new(Code::InvalidValue, format!("`{}` is not a {}", value.text, param.kind.as_str()))
            .at(value.span, "")
            .at(param.name.span, format!("declared as a {}", param.kind.as_str()))
            .help(format!("Write a value like `{}`.", param.value.text))
    })
}

/// A percentage in basis points.
fn percent_of(value: &Waiting) -> Option<u32> {
    let lexeme = Lexeme { kind: value.kind, text: &value.text, span: value.span, substituted: false };
    crate::parser::percent_points(Tokens::new(&[lexeme], value.span))
}

/// Gives weights that are set while the mesh runs their bounds; what is left stands where no weight does.
fn control<'c>(args: &mut Args, controlled: &[(Span, &'c Controlled)]) -> Vec<(Span, &'c Controlled)> {
    let mut left = controlled.to_vec();
    let backends = match args {
        Args::Action(action) => match &mut **action {
            ast::Action::To(backends) => backends,
            _ => return left,
        },
        Args::Backends(split) => &mut split.1,
        _ => return left,
    };
    for weight in backends.iter_mut().filter_map(|backend| backend.weight.as_mut()) {
        let Some(at) = left.iter().position(|(span, _)| *span == weight.span) else { continue };
        let (_, range) = left.remove(at);
        if let Weight::Percent(value) = weight.value {
            weight.value = Weight::Controlled { value, low: range.low.value, high: range.high.value };
        }
    }
    left
}

fn not_a_weight(span: Span, range: &Controlled) -> Diagnostic {
    Diagnostic::new(Code::InvalidValue, "only a weight can be set while the mesh runs")
        .at(span, "not the weight of a backend")
        .at(range.low.span.to(range.high.span), "its range")
        .help("Use a parameter without `range` here.")
}
