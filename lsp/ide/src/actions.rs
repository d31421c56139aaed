//! Edits that an editor offers at a place: what the compiler proposes, a request that proves a finding as a `test`, and other ways
//! to write the same.

use crate::cursor::{Cursor, cursor};
use crate::scope::Symbol;
use crate::{Analysis, At};
use mesh_lang::diagnostic::Edit;
use mesh_lang::statement::{Args, ParamType, Statement};
use mesh_lang::token::TokenKind;
use mesh_lang::{Code, Diagnostic, FileId, Severity, Span};
use std::ops::Range;

/// An edit that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// A clause, in upper case at its beginning.
    pub title: String,
    pub kind: ActionKind,
    /// All of them, or it is none.
    pub edits: Vec<Edit>,
    /// The finding that it mends or proves.
    pub about: Option<Diagnostic>,
    /// Whether nothing else can have been meant.
    pub preferred: bool,
}

/// What an action is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionKind {
    QuickFix,
    /// A value gets a name.
    Extract,
    /// The same, written in another way.
    Rewrite,
    /// All slips of the pen of a file.
    FixAll,
}

impl Analysis {
    /// What is offered for a part of a file.
    pub fn actions(&self, file: FileId, range: Range<u32>) -> Vec<Action> {
        let found = self.diagnostics();
        let touches =
            |span: Span| span.file() == file && span.start() <= range.end && range.start <= span.end();
        let mut actions = Vec::new();
        for diagnostic in found.iter().filter(|one| one.labels.iter().any(|label| touches(label.span))) {
            self.fixes(diagnostic, &mut actions);
            actions.extend(self.override_other(diagnostic));
            actions.extend(self.let_caller_in(diagnostic));
            actions.extend(self.witness_as_test(diagnostic));
            if diagnostic.span().is_some_and(touches) {
                actions.extend(self.let_be(diagnostic));
            }
        }
        actions.extend(self.all_slips(file, &found));
        let parse = self.parse(file);
        let at = At { file, offset: range.start };
        let cursor = cursor(&parse, self.text(file), range.start as usize);
        actions.extend(self.extract_param(at, &cursor));
        let known = |action: &Action| actions.iter().any(|other| other.edits == action.edits);
        let allowing = self.allow_call(at).filter(|action| !known(action));
        actions.extend(allowing);
        actions.extend(self.last_weight_is_rest(at));
        actions
    }

    /// What the compiler proposes.
    fn fixes(&self, diagnostic: &Diagnostic, actions: &mut Vec<Action>) {
        for fix in &diagnostic.fixes {
            let Some(fix) = fix.settled(self.sources()) else { continue };
            actions.push(Action {
                title: capitalized(&fix.title),
                kind: ActionKind::QuickFix,
                edits: fix.edits,
                about: Some(diagnostic.clone()),
                preferred: fix.certain || diagnostic.fixes.len() == 1,
            });
        }
    }

    /// All slips of the pen of a file at once: what `mesh check --fix` would write.
    fn all_slips(&self, file: FileId, found: &[Diagnostic]) -> Option<Action> {
        let certain = found.iter().flat_map(|one| one.fixes.iter()).filter(|fix| fix.certain);
        let settled = certain.filter_map(|fix| fix.settled(self.sources()));
        let mut edits: Vec<Edit> =
            settled.flat_map(|fix| fix.edits).filter(|edit| edit.span.file() == file).collect();
        edits.sort_by(|a, b| (a.span, &a.text).cmp(&(b.span, &b.text)));
        edits.dedup();
        let apart = edits.windows(2).all(|pair| pair[0].span.end() <= pair[1].span.start());
        (!edits.is_empty() && apart).then_some(Action {
            title: "Mend all slips of the pen in this file".to_owned(),
            kind: ActionKind::FixAll,
            edits,
            about: None,
            preferred: false,
        })
    }

    /// Of two rules that overlap, the one that is complained of wins.
    fn override_other(&self, diagnostic: &Diagnostic) -> Option<Action> {
        let [one, other, ..] = diagnostic.labels.as_slice() else { return None };
        if diagnostic.code != Code::AmbiguousRules {
            return None;
        }
        let name = |span: Span| {
            let text = self.sources().text(span);
            text.strip_prefix("rule ")?.split_whitespace().next()
        };
        let (winner, loser) = (name(one.span)?, name(other.span)?);
        let head = self.sources().text(one.span);
        let text = match head.contains(" overrides ") {
            true => format!(", {loser}"),
            false => format!(" overrides {loser}"),
        };
        Some(Action {
            title: format!("Let `{winner}` override `{loser}`"),
            kind: ActionKind::QuickFix,
            edits: vec![Edit { span: one.span.after(), written: String::new(), text }],
            about: Some(diagnostic.clone()),
            preferred: false,
        })
    }

    /// The request that proves a finding, as a `test` at the end of the file.
    fn witness_as_test(&self, diagnostic: &Diagnostic) -> Option<Action> {
        let witness = diagnostic.witness.as_ref()?;
        let line = witness.test.as_ref().ok()?;
        let file = diagnostic.span()?.file();
        let text = self.text(file);
        let before = match (text.is_empty(), text.ends_with('\n')) {
            (true, _) => "",
            (false, true) => "\n",
            (false, false) => "\n\n",
        };
        let title = format!("{}: {}", diagnostic.code.name(), witness.shows);
        let text = format!("{before}test \"{title}\" {{\n  {line}\n}}\n");
        let end = self.text(file).len() as u32;
        Some(Action {
            title: format!("Insert the request as a test ({})", witness.shows),
            kind: ActionKind::QuickFix,
            edits: vec![Edit { span: Span::new(file, end, end), written: String::new(), text }],
            about: Some(diagnostic.clone()),
            preferred: false,
        })
    }

    /// A remark that lets a warning be.
    fn let_be(&self, diagnostic: &Diagnostic) -> Option<Action> {
        if diagnostic.severity != Severity::Warning || diagnostic.code == Code::UnusedSuppression {
            return None;
        }
        let span = diagnostic.span()?;
        let text = self.text(span.file());
        let line = text.get(..span.start() as usize)?.rfind('\n').map_or(0, |at| at + 1);
        let indentation: String = text.get(line..)?.chars().take_while(|c| *c == ' ' || *c == '\t').collect();
        // In the middle of a statement a remark would not stand above it.
        let parse = self.parse(span.file());
        let first =
            parse.tokens.iter().find(|token| token.start() >= line && token.kind != TokenKind::Newline)?;
        if first.start() < line + indentation.len() || !begins(&parse.tree.statements, &parse, first.start())
        {
            return None;
        }
        let text =
            format!("{indentation}# mesh: allow {} \"TODO: why it may stay\"\n", diagnostic.code.as_str());
        Some(Action {
            title: format!("Allow {} here, and say why", diagnostic.code.as_str()),
            kind: ActionKind::QuickFix,
            edits: vec![Edit {
                span: Span::new(span.file(), line as u32, line as u32),
                written: String::new(),
                text,
            }],
            about: Some(diagnostic.clone()),
            preferred: false,
        })
    }

    /// An `allow` for a caller that declares a call which its callee lets nobody make.
    fn let_caller_in(&self, diagnostic: &Diagnostic) -> Option<Action> {
        // No `allow` wins over a `deny`.
        let is_denied = diagnostic.labels.iter().any(|label| label.text.starts_with("denied"));
        if diagnostic.code != Code::UnallowedCall || is_denied {
            return None;
        }
        let span = diagnostic.span()?;
        let mut action = self.allow_call(At { file: span.file(), offset: span.start() })?;
        action.kind = ActionKind::QuickFix;
        action.about = Some(diagnostic.clone());
        Some(action)
    }

    /// At the name of what is called: an `allow` of this caller in the authorization of its callee.
    fn allow_call(&self, at: At) -> Option<Action> {
        let (Symbol::Target(callee, callee_in), span) = self.symbol_at(at)? else { return None };
        let outer = self
            .statements(at.file)
            .iter()
            .find(|outer| outer.keyword() == "service" && outer.block.iter().any(|line| is_in(line, span)))?;
        let call = outer.block.iter().find(|line| is_in(line, span) && line.keyword() == "calls")?;
        let (Args::Name(caller), Args::Calls(head)) = (&outer.args, &call.args) else { return None };
        let directory = self.directory(at.file);
        let own = self.scope.namespace(directory).to_owned();
        let symbol = Symbol::Target(callee.clone(), callee_in.clone());
        let declared = self.declarations(&symbol).next()?;
        let caller = match own == callee_in.as_str() {
            true => caller.value.to_string(),
            false => format!("{}.{own}", caller.value),
        };
        let ops: Vec<String> = head.to.iter().map(|op| self.one_line(op.span)).collect();
        let to = if ops.is_empty() { String::new() } else { format!(" to {}", ops.join(", ")) };
        let line = format!("allow from {caller}{to}");
        let files = self.files_about(&symbol);
        let known = self.access_lines(&symbol, &files);
        if known.iter().any(|span| self.one_line(*span) == line) {
            return None;
        }
        let edit = match known.last() {
            Some(last) => {
                let text = self.text(last.file());
                let begin = text.get(..last.start() as usize)?.rfind('\n').map_or(0, |at| at + 1);
                let before = text.get(begin..last.start() as usize)?;
                // Behind another statement on the same line it is separated by `;`.
                let text = match before.trim().is_empty() {
                    true => format!("\n{before}{line}"),
                    false => format!("; {line}"),
                };
                Edit { span: last.after(), written: String::new(), text }
            }
            None => {
                let end = self.text(declared.file()).len() as u32;
                let text = format!("\nauthorize {callee} {{\n  {line}\n}}\n");
                Edit { span: Span::new(declared.file(), end, end), written: String::new(), text }
            }
        };
        Some(Action {
            title: format!("Allow it at `{callee}`: `{line}`"),
            kind: ActionKind::Rewrite,
            edits: vec![edit],
            about: None,
            preferred: false,
        })
    }

    /// A number of a statement becomes a parameter of the directory.
    fn extract_param(&self, at: At, cursor: &Cursor<'_>) -> Option<Action> {
        let token = cursor.token.filter(|token| token.kind == TokenKind::Quantity)?;
        let text = self.text(at.file);
        let written = token.text(text);
        let signature = cursor.signature?;
        if matches!(signature.keyword, "param" | "set" | "port" | "listener" | "edition")
            || cursor.before.is_empty()
        {
            return None;
        }
        let kind = kind_of(written)?;
        let base = format!("{}-{}", self.named_around(at)?, signature.keyword);
        let directory = self.directory(at.file);
        let taken = |name: &str| self.scope.param(directory, name).is_some();
        let name = std::iter::once(base.clone())
            .chain((2..).map(|number| format!("{base}-{number}")))
            .find(|name| !taken(name))?;
        let span = token.span(at.file);
        let first = self.parse(at.file).tree.statements.first().map(|first| first.doc as usize);
        let start =
            first.and_then(|first| self.parse(at.file).tokens.get(first).map(|token| token.start()))?;
        let declaration = format!("param {name} {} = {written}\n\n", kind.as_str());
        let at_start = Span::new(at.file, start as u32, start as u32);
        Some(Action {
            title: format!("Make `{written}` the parameter `{name}`"),
            kind: ActionKind::Extract,
            edits: vec![
                Edit { span: at_start, written: String::new(), text: declaration },
                Edit { span, written: written.to_owned(), text: format!("${name}") },
            ],
            about: None,
            preferred: false,
        })
    }

    /// The name of the outermost statement at a place.
    fn named_around(&self, at: At) -> Option<String> {
        let parse = self.parse(at.file);
        let cursor = cursor(&parse, self.text(at.file), at.offset as usize);
        let outer = cursor.around.first().copied().or(cursor.statement)?;
        let word = parse.tokens.get(outer.first as usize + 1)?.text(self.text(at.file));
        let label = word.split(['.', ':', '/']).next().unwrap_or_default();
        mesh_lang::parser::is_name(label).then(|| label.to_owned())
    }

    /// Of weights, the last becomes what is left: then no other has to be counted.
    fn last_weight_is_rest(&self, at: At) -> Option<Action> {
        let parse = self.parse(at.file);
        let text = self.text(at.file);
        let cursor = cursor(&parse, text, at.offset as usize);
        let statement = cursor.statement.filter(|_| {
            cursor.signature.is_some_and(|signature| matches!(signature.keyword, "to" | "split"))
        })?;
        let head = parse.tokens.get(statement.head())?;
        let last = head.last().filter(|token| token.kind == TokenKind::Quantity)?;
        let weights = head.iter().filter(|token| token.kind == TokenKind::Quantity).count();
        let has_rest = head.iter().any(|token| token.text(text) == "rest");
        if weights < 2 || has_rest {
            return None;
        }
        let written = last.text(text).to_owned();
        Some(Action {
            title: format!("Write `rest` for the last weight, `{written}`"),
            kind: ActionKind::Rewrite,
            edits: vec![Edit { span: last.span(at.file), written, text: "rest".to_owned() }],
            about: None,
            preferred: false,
        })
    }
}

/// Whether a statement begins at a byte.
fn begins(statements: &[mesh_lang::tree::Statement], parse: &mesh_lang::Parse, start: usize) -> bool {
    statements.iter().any(|statement| {
        let own = [statement.first, statement.doc]
            .into_iter()
            .any(|at| parse.tokens.get(at as usize).is_some_and(|token| token.start() == start));
        own || statement.block.as_ref().is_some_and(|block| begins(&block.statements, parse, start))
    })
}

fn is_in(statement: &Statement, span: Span) -> bool {
    let own = statement.span;
    own.file() == span.file() && own.start() <= span.start() && span.end() <= own.end()
}

/// The type of parameter that a number can be the value of.
fn kind_of(written: &str) -> Option<ParamType> {
    let unit = written.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    Some(match unit {
        "%" => ParamType::Percent,
        "ms" | "s" | "m" | "h" => ParamType::Duration,
        "/s" | "/m" | "/h" => ParamType::Rate,
        "B" | "KiB" | "MiB" | "GiB" => ParamType::Size,
        "" => ParamType::Count,
        _ => return None,
    })
}

fn capitalized(title: &str) -> String {
    let mut chars = title.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
