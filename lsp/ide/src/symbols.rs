//! What a file and a project declare.

use crate::Analysis;
use crate::cursor::signature;
use crate::names::name_of;
use mesh_lang::parser::Parse;
use mesh_lang::signature::Place;
use mesh_lang::statement::Statement;
use mesh_lang::{FileId, Span, tree};
use std::collections::BTreeMap;

/// More than this nobody looks through.
const MAX_FOUND: usize = 256;

/// A statement that has a name, or is about something that has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSymbol {
    pub name: String,
    /// The keyword, and what else the statement says.
    pub detail: String,
    pub kind: SymbolKind,
    /// The statement with its doc comment and its block.
    pub span: Span,
    /// The name, or the keyword where there is none; inside of `span`.
    pub focus: Span,
    pub children: Vec<DocumentSymbol>,
}

/// A statement of some file, found by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceSymbol {
    pub name: String,
    pub kind: SymbolKind,
    /// The directory's namespace.
    pub container: String,
    pub focus: Span,
}

/// What a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SymbolKind {
    Mesh,
    Module,
    Service,
    Gateway,
    Part,
    Route,
    Rule,
    Authorization,
    Shared,
    Param,
    Test,
}

impl SymbolKind {
    fn of(keyword: &str) -> Option<SymbolKind> {
        Some(match keyword {
            "mesh" => SymbolKind::Mesh,
            "module" => SymbolKind::Module,
            "service" => SymbolKind::Service,
            "gateway" => SymbolKind::Gateway,
            "port" | "subset" | "listener" => SymbolKind::Part,
            "route" => SymbolKind::Route,
            "rule" => SymbolKind::Rule,
            "authorize" | "guardrail" => SymbolKind::Authorization,
            "group" | "jwt" | "profile" | "split" | "ext-authz" | "rate-limiter" => SymbolKind::Shared,
            "param" => SymbolKind::Param,
            "test" => SymbolKind::Test,
            _ => return None,
        })
    }
}

impl Analysis {
    /// The statements of a file that have a name, each in the one around it.
    pub fn document_symbols(&self, file: FileId) -> Vec<DocumentSymbol> {
        let parse = self.parse(file);
        let text = self.text(file);
        let mut read = BTreeMap::new();
        by_start(self.statements(file), &mut read);
        Outline { parse: &parse, text, file, read }.statements(Place::File, &parse.tree.statements)
    }

    /// What is declared under a name like this one: its letters stand in it in this order. The nearest first.
    ///
    /// Time: linear in what the project declares.
    pub fn workspace_symbols(&self, query: &str) -> Vec<WorkspaceSymbol> {
        let wanted: Vec<char> = query.chars().flat_map(char::to_lowercase).collect();
        let mut found = Vec::new();
        for file in self.ids() {
            let namespace = self.scope.namespace(self.directory(file));
            for statement in self.statements(file) {
                let all = std::iter::once(statement).chain(statement.block.iter());
                for one in all {
                    let Some(kind) = SymbolKind::of(one.keyword()) else { continue };
                    let Some(name) = name_of(&one.args) else { continue };
                    let Some(rank) = rank(&wanted, &name.value) else { continue };
                    found.push((
                        rank,
                        WorkspaceSymbol {
                            name: name.value.to_string(),
                            kind,
                            container: namespace.to_owned(),
                            focus: name.span,
                        },
                    ));
                }
            }
        }
        found.sort_by(|(a, one), (b, other)| (a, &one.name, one.focus).cmp(&(b, &other.name, other.focus)));
        found.truncate(MAX_FOUND);
        found.into_iter().map(|(_, symbol)| symbol).collect()
    }
}

/// How near a name is to what is looked for, the smaller the nearer.
fn rank(wanted: &[char], name: &str) -> Option<usize> {
    let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    let mut rest = name.iter();
    let in_order = wanted.iter().all(|c| rest.any(|other| other == c));
    let begins = usize::from(!name.starts_with(wanted));
    in_order.then_some(begins * 1000 + name.len())
}

fn by_start<'s>(statements: &'s [Statement], read: &mut BTreeMap<u32, &'s Statement>) {
    for statement in statements {
        read.insert(statement.span.start(), statement);
        by_start(&statement.block, read);
    }
}

struct Outline<'a> {
    parse: &'a Parse,
    text: &'a str,
    file: FileId,
    /// What the statements say that could be read, by where they begin.
    read: BTreeMap<u32, &'a Statement>,
}

impl Outline<'_> {
    fn statements(&self, place: Place, statements: &[tree::Statement]) -> Vec<DocumentSymbol> {
        statements.iter().flat_map(|statement| self.statement(place, statement)).collect()
    }

    fn statement(&self, place: Place, statement: &tree::Statement) -> Vec<DocumentSymbol> {
        let row = signature(self.parse, self.text, place, statement);
        let inside = row.and_then(|row| row.body.place()).unwrap_or(place);
        let children = statement
            .block
            .as_ref()
            .map_or_else(Vec::new, |block| self.statements(inside, &block.statements));
        let span = |at: usize| self.parse.tokens.get(at).map(|token| token.span(self.file));
        let (Some(keyword), Some(doc)) = (span(statement.first as usize), span(statement.doc as usize))
        else {
            return children;
        };
        let last = span(statement.last().saturating_sub(1)).unwrap_or(keyword);
        let Some((row, kind)) = row.and_then(|row| Some((row, SymbolKind::of(row.keyword)?))) else {
            return children;
        };
        let read = self.read.get(&keyword.start());
        let named = read.and_then(|read| name_of(&read.args));
        let head = span((statement.end as usize).saturating_sub(1)).map_or(keyword, |end| keyword.to(end));
        let words = self.text.get(head.start() as usize..head.end() as usize).unwrap_or_default();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let (name, focus) = match named {
            Some(name) => (name.value.to_string(), name.span),
            None => (words.clone(), keyword),
        };
        // Clients do not take a symbol without a name.
        let name = if name.trim().is_empty() { row.keyword.to_owned() } else { name };
        let detail = if name == words { row.keyword.to_owned() } else { words };
        vec![DocumentSymbol { name, detail, kind, span: doc.to(last), focus, children }]
    }
}
