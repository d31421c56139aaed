//! What can be written here: statements of the block, words and values of the statement, names that are there.

use crate::cursor::{self, Cursor, cursor};
use crate::form::{self, Next};
use crate::names::Part;
use crate::scope::Symbol;
use crate::{Analysis, At};
use mesh_lang::ast::{Method, Shared};
use mesh_lang::parser::Parse;
use mesh_lang::signature::{Body, Place, Signature, Times};
use mesh_lang::token::{Token, TokenKind};
use mesh_lang::{Span, Text};
use std::collections::BTreeSet;

/// More than this nobody looks through; then the list says that it is not whole.
const MAX_ITEMS: usize = 200;

/// What can be written at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// The likeliest first.
    pub items: Vec<Completion>,
    /// Whether there is nothing else that fits what is written already.
    pub complete: bool,
}

/// Something that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    pub label: String,
    pub kind: CompletionKind,
    /// What it is, in a few words.
    pub detail: String,
    /// Markdown; may be empty.
    pub documentation: String,
    /// What it takes the place of.
    pub replace: Span,
    /// With `${1:…}` and `$0` where something is to be filled in.
    pub insert: String,
}

/// What a completion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CompletionKind {
    /// A statement of the table, with what it needs.
    Statement,
    /// A word of the language.
    Word,
    Service,
    Gateway,
    /// A port, a subset, a listener, a rule.
    Part,
    /// A profile, a group and the like.
    Shared,
    /// A module, a namespace, an environment, a cluster.
    Place,
    Param,
    Value,
}

impl Analysis {
    /// What can be written at a place. Time: linear in the statement, and where a service is named in the services of the project.
    pub fn completions(&self, at: At) -> Completions {
        let parse = self.parse(at.file);
        let text = self.text(at.file);
        let cursor = cursor(&parse, text, at.offset as usize);
        let inert = |token: &Token| {
            let inside = token.start() < at.offset as usize;
            inside && (token.kind.is_comment() || matches!(token.kind, TokenKind::String | TokenKind::Regex))
        };
        if cursor.token.as_ref().is_some_and(inert) {
            return Completions { items: vec![], complete: true };
        }
        let mut list = List::new(self, at, &cursor, text);
        match cursor.statement {
            _ if cursor.in_names => list.names_of_import(&parse, &cursor),
            Some(_) if !cursor.before.is_empty() => list.arguments(&parse, &cursor),
            _ => list.statements(&parse, &cursor),
        }
        list.finish()
    }
}

/// What was found so far.
struct List<'a> {
    analysis: &'a Analysis,
    text: &'a str,
    directory: &'a str,
    /// What is written of the word already.
    prefix: &'a str,
    replace: Span,
    items: Vec<(u8, Completion)>,
    /// Something that fits was left out.
    more: bool,
}

impl<'a> List<'a> {
    fn new(analysis: &'a Analysis, at: At, cursor: &Cursor<'_>, text: &'a str) -> List<'a> {
        let offset = at.offset as usize;
        let word = cursor.token.filter(|token| {
            token.start() < offset
                && matches!(
                    token.kind,
                    TokenKind::Word
                        | TokenKind::Quantity
                        | TokenKind::Param
                        | TokenKind::Path
                        | TokenKind::Error
                )
        });
        let (start, end) = word.map_or((offset, offset), |token| (token.start(), token.end()));
        List {
            analysis,
            text,
            directory: analysis.directory(at.file),
            prefix: text.get(start..offset).unwrap_or_default(),
            replace: Span::new(at.file, start as u32, end as u32),
            items: Vec::new(),
            more: false,
        }
    }

    fn finish(mut self) -> Completions {
        self.items.sort_by(|(a, one), (b, other)| (a, &one.label).cmp(&(b, &other.label)));
        self.items.dedup_by(|(_, one), (_, other)| one.label == other.label);
        Completions { items: self.items.into_iter().map(|(_, item)| item).collect(), complete: !self.more }
    }

    /// Adds something that fits what is written, the lower the rank the further up.
    fn add(&mut self, rank: u8, kind: CompletionKind, label: &str, detail: &str, documentation: String) {
        self.insert(rank, kind, label, detail, documentation, label.to_owned());
    }

    fn insert(
        &mut self,
        rank: u8,
        kind: CompletionKind,
        label: &str,
        detail: &str,
        documentation: String,
        insert: String,
    ) {
        if !is_begun(self.prefix, label) {
            return;
        }
        if self.items.len() >= MAX_ITEMS {
            self.more = true;
            return;
        }
        let item = Completion {
            label: label.to_owned(),
            kind,
            detail: detail.to_owned(),
            documentation,
            replace: self.replace,
            insert,
        };
        self.items.push((rank, item));
    }

    /// The statements that may stand in the block, without those that it has and may have once only.
    fn statements(&mut self, parse: &Parse, cursor: &Cursor<'_>) {
        let block = match cursor.around.last() {
            Some(statement) => statement.block.as_deref().map_or(&[][..], |block| &block.statements),
            None => &parse.tree.statements,
        };
        let own = cursor.statement.map(|statement| statement.first);
        let others = block.iter().filter(|one| Some(one.first) != own);
        let written: BTreeSet<&str> =
            others.filter_map(|one| cursor::keyword(parse, self.text, one)).collect();
        let group = |signature: &Signature| match signature.times {
            Times::Once => Some(signature.keyword),
            Times::OneOf(group) => Some(group),
            Times::Many | Times::ManyReplaced => None,
        };
        let rows = cursor.place.statements();
        let taken: BTreeSet<&str> =
            rows.iter().filter(|row| written.contains(row.keyword)).filter_map(group).collect();
        for row in rows {
            if group(row).is_some_and(|group| taken.contains(group)) {
                continue;
            }
            let documentation = format!("```\n{}\n```\n{}", row.form, row.doc);
            // Behind the keyword there may be arguments already.
            let begins = cursor.statement.is_none_or(|own| own.end == own.first + 1 && own.block.is_none());
            let insert = if begins { snippet(row) } else { row.keyword.to_owned() };
            self.insert(1, CompletionKind::Statement, row.keyword, first_form(row), documentation, insert);
        }
    }

    fn names_of_import(&mut self, parse: &Parse, cursor: &Cursor<'_>) {
        let Some(import) = cursor.around.last() else { return };
        let Some(module) = parse.tokens.get(import.first as usize + 1) else { return };
        let Some(home) = self.analysis.scope.directory_of(module.text(self.text)) else { return };
        let shared: Vec<_> = self.analysis.scope.shared(home).filter(|(_, _, of)| *of == home).collect();
        for (name, kind, _) in shared {
            let kind = kind.map_or("", Shared::keyword);
            self.add(1, CompletionKind::Shared, name, kind, String::new());
        }
    }

    fn arguments(&mut self, parse: &Parse, cursor: &Cursor<'_>) {
        let Some(signature) = cursor.signature else { return };
        let expected = form::expected(signature, &cursor.before, self.text);
        let around = Around { parse, cursor, signature };
        // In a list a name stands once.
        let is_list =
            matches!(signature.keyword, "calls" | "authorize" | "allow" | "deny" | "audit" | "group");
        let named: BTreeSet<&str> =
            cursor.before.iter().filter(|_| is_list).map(|token| token.text(self.text)).collect();
        for next in expected.next {
            match next {
                Next::Word(word) => {
                    if word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                        self.add(2, CompletionKind::Word, word, "", String::new());
                    }
                }
                Next::Slot(slot, before) => self.slot(slot, before, &around, &named),
            }
        }
    }

    fn slot(&mut self, slot: &str, before: &str, around: &Around<'_>, named: &BTreeSet<&str>) {
        let keyword = around.signature.keyword;
        match slot {
            "SERVICE" | "CALLER" | "BACKEND" => {
                if slot == "BACKEND" && self.prefix.contains(':') {
                    return self.subsets();
                }
                self.targets(named, |is_gateway, _| !is_gateway);
                match slot {
                    "CALLER" => self.shared(Shared::Group),
                    "BACKEND" => self.shared(Shared::Split),
                    _ => {}
                }
            }
            "TARGET" if around.cursor.place == Place::File => {
                // Only the module of a service writes about it; into a gateway others may be let.
                let directory = self.directory.to_owned();
                self.targets(named, |is_gateway, home| is_gateway || home == directory);
            }
            "TARGET" => self.targets(named, |_, _| true),
            "GATEWAY" => self.targets(named, |is_gateway, _| is_gateway),
            "PROFILE" => self.shared(Shared::Profile),
            "SPLIT" => self.shared(Shared::Split),
            "JWT" => self.shared(Shared::Jwt),
            "NAMESPACE" => self.namespaces(),
            "MODULE" => {
                let names: Vec<Text> = self.analysis.scope.modules().map(Text::from).collect();
                names
                    .iter()
                    .for_each(|name| self.add(1, CompletionKind::Place, name, "module", String::new()));
            }
            "CLUSTER" => {
                self.add(1, CompletionKind::Place, "local", "the caller's own cluster", String::new());
                self.places("clusters", "cluster");
            }
            "NAME" => self.name(before, keyword, around),
            "METHOD" => {
                for method in Method::ALL {
                    self.add(1, CompletionKind::Word, method.as_str(), "method", String::new());
                }
            }
            _ => self.values(slot),
        }
    }

    /// A name, by the word before it or the statement.
    fn name(&mut self, before: &str, keyword: &str, around: &Around<'_>) {
        match (before, keyword) {
            ("port", _) => self.parts(Part::Port, around),
            ("listener", _) if keyword != "listener" => self.parts(Part::Listener, around),
            ("overrides", _) => self.parts(Part::Rule, around),
            ("cluster", _) => self.places("clusters", "cluster"),
            ("by", "rate-limit") => self.shared(Shared::RateLimiter),
            ("ext-authz", "check") => self.shared(Shared::ExtAuthz),
            ("in", "test") | (_, "env" | "production") => self.places("environments", "environment"),
            (_, "clusters") if around.cursor.place == Place::Service => self.places("clusters", "cluster"),
            (_, "jwt") if around.cursor.place != Place::File => self.shared(Shared::Jwt),
            (_, "set") => self.params(|_| true, ""),
            (_, "export") => {
                let said = around.cursor.before.get(1).map(|token| token.text(self.text));
                let kind = Shared::ALL.into_iter().find(|kind| Some(kind.keyword()) == said);
                kind.into_iter().for_each(|kind| self.shared(kind));
            }
            _ => {}
        }
    }

    /// Services and gateways: by their name alone where they are of the same namespace.
    fn targets(&mut self, named: &BTreeSet<&str>, wanted: impl Fn(bool, &str) -> bool) {
        let analysis = self.analysis;
        let own = analysis.scope.namespace(self.directory);
        for (name, namespace, span, is_gateway) in analysis.targets() {
            let near = namespace == own;
            // Most of ten thousand names do not begin like this one, and are not written down.
            if !is_begun(self.prefix.split('.').next().unwrap_or_default(), name) {
                continue;
            }
            if !wanted(is_gateway, analysis.directory(span.file())) {
                continue;
            }
            let label = if near { name.to_string() } else { format!("{name}.{namespace}") };
            if named.contains(label.as_str()) {
                continue;
            }
            let kind = if is_gateway { CompletionKind::Gateway } else { CompletionKind::Service };
            let detail = match (is_gateway, near) {
                (true, _) => "gateway".to_owned(),
                (false, true) => "service".to_owned(),
                (false, false) => format!("service of {namespace}"),
            };
            let documentation = if self.items.len() < MAX_ITEMS {
                analysis.doc_at(span).unwrap_or_default()
            } else {
                String::new()
            };
            self.add(if near { 1 } else { 3 }, kind, &label, &detail, documentation);
        }
    }

    fn subsets(&mut self) {
        let Some((service, _)) = self.prefix.split_once(':') else { return };
        let of = self.analysis.scope.full_name(service, self.directory);
        for (name, _) in self.analysis.parts_of(Part::Subset, &of) {
            let label = format!("{service}:{name}");
            self.add(1, CompletionKind::Part, &label, "subset", String::new());
        }
    }

    fn parts(&mut self, kind: Part, around: &Around<'_>) {
        let Some(of) = around.target(self, kind) else { return };
        let detail = kind.word();
        for (name, _) in self.analysis.parts_of(kind, &of) {
            self.add(1, CompletionKind::Part, &name, detail, String::new());
        }
    }

    fn shared(&mut self, wanted: Shared) {
        let analysis = self.analysis;
        for (name, kind, home) in analysis.scope.shared(self.directory) {
            if kind == Some(wanted) {
                let symbol = Symbol::Shared(home.into(), name.into());
                let doc = analysis.declarations(&symbol).next().and_then(|span| analysis.doc_at(span));
                self.add(1, CompletionKind::Shared, name, wanted.keyword(), doc.unwrap_or_default());
            }
        }
    }

    fn namespaces(&mut self) {
        let names: BTreeSet<&str> = self.analysis.scope.namespaces().collect();
        names
            .into_iter()
            .for_each(|name| self.add(1, CompletionKind::Place, name, "namespace", String::new()));
    }

    /// The names that a statement of `mesh` lists.
    fn places(&mut self, keyword: &str, detail: &str) {
        for name in self.analysis.listed_by_mesh(keyword) {
            self.add(1, CompletionKind::Place, &name, detail, String::new());
        }
    }

    fn params(&mut self, wanted: impl Fn(&str) -> bool, sign: &str) {
        let analysis = self.analysis;
        for (name, kind, value) in analysis.scope.params(self.directory) {
            if wanted(kind) {
                let detail = format!("{kind}, {value}");
                self.add(2, CompletionKind::Param, &format!("{sign}{name}"), &detail, String::new());
            }
        }
    }

    /// Values of a kind: with the number that is written, in each unit.
    fn values(&mut self, slot: &str) {
        let (units, usual, param): (&[&str], &[&str], &str) = match slot {
            "DURATION" => (&["ms", "s", "m", "h"], &["100ms", "500ms", "1s", "5s", "30s", "1m"], "duration"),
            "PERCENT" => (&["%"], &["1%", "5%", "10%", "50%", "100%"], "percent"),
            "RATE" => (&["/s", "/m", "/h"], &["10/s", "100/s", "1000/m"], "rate"),
            "SIZE" => (&["B", "KiB", "MiB"], &["64KiB", "1MiB", "10MiB"], "size"),
            "COUNT" => (&[], &["1", "2", "3", "10", "100"], "count"),
            "STATUS" => (&[], &["301", "302", "307", "308", "401", "403", "404", "429", "500", "503"], ""),
            "STRING" => (&[], &[], "host"),
            _ => return,
        };
        let digits = self.prefix.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>();
        if digits.is_empty() {
            usual.iter().for_each(|value| self.add(3, CompletionKind::Value, value, "", String::new()));
        }
        if !digits.is_empty() {
            let detail = slot.to_ascii_lowercase();
            units.iter().for_each(|unit| {
                self.add(1, CompletionKind::Value, &format!("{digits}{unit}"), &detail, String::new());
            });
        }
        self.params(|kind| kind == param, "$");
    }
}

/// The statement at hand.
struct Around<'a> {
    parse: &'a Parse,
    cursor: &'a Cursor<'a>,
    signature: &'static Signature,
}

impl Around<'_> {
    /// The service or gateway of whose parts one is named: the last one named before, or that of the block around.
    fn target(&self, list: &List<'_>, kind: Part) -> Option<(Text, Text)> {
        let scope = &list.analysis.scope;
        let named = self.cursor.before.iter().rev().filter(|token| token.kind == TokenKind::Word);
        let own = named.map(|token| token.text(list.text).split(':').next().unwrap_or_default());
        let own = own.map(|word| scope.full_name(word, list.directory));
        let takes_own =
            !matches!(self.signature.keyword, "allow" | "deny" | "audit" | "check" | "rule" | "probe");
        if let Some(found) = own.filter(|_| takes_own).find(|of| list.analysis.has_parts(kind, of)) {
            return Some(found);
        }
        let heads = self.cursor.around.iter().rev();
        let words = heads.filter_map(|statement| self.parse.tokens.get(statement.first as usize + 1));
        let mut names = words.map(|token| scope.full_name(token.text(list.text), list.directory));
        names.find(|of| list.analysis.has_parts(kind, of))
    }
}

impl Analysis {
    /// The parts of a service or gateway and where they get their names, in order of place.
    pub(crate) fn parts_of(&self, kind: Part, of: &(Text, Text)) -> Vec<(Text, Span)> {
        let owner = Symbol::Target(of.0.clone(), of.1.clone());
        let mut found: Vec<(Text, Span)> = Vec::new();
        for file in self.files_that_name(&owner) {
            for one in self.names(file).iter().filter(|one| one.declares) {
                match self.symbol(one) {
                    Symbol::Part(known, owner, name) if known == kind && *owner == *of => {
                        found.push((name, one.span));
                    }
                    _ => {}
                }
            }
        }
        found
    }

    fn has_parts(&self, kind: Part, of: &(Text, Text)) -> bool {
        !self.parts_of(kind, of).is_empty()
    }

    /// The names that a statement of `mesh` lists, in the order written.
    pub(crate) fn listed_by_mesh(&self, keyword: &str) -> Vec<String> {
        let meshes = self.ids().flat_map(|file| self.statements(file)).filter(|one| one.keyword() == "mesh");
        let lines = meshes.flat_map(|mesh| &mesh.block).filter(|line| line.keyword() == keyword);
        let names = lines.filter_map(|line| match &line.args {
            mesh_lang::statement::Args::Names(names) => Some(names),
            _ => None,
        });
        names.flatten().map(|name| name.value.to_string()).collect()
    }
}

impl Part {
    /// As a person says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Part::Port => "port",
            Part::Subset => "subset",
            Part::Listener => "listener",
            Part::Rule => "rule",
        }
    }
}

/// Whether what is written may become the label: its characters stand in it in this order, the first at its beginning.
fn is_begun(prefix: &str, label: &str) -> bool {
    let mut rest = label.chars().map(|c| c.to_ascii_lowercase());
    let mut written = prefix.chars().map(|c| c.to_ascii_lowercase());
    match written.next() {
        None => true,
        Some(first) => rest.next() == Some(first) && written.all(|c| rest.any(|other| other == c)),
    }
}

/// The first of the forms of a statement.
fn first_form(row: &Signature) -> &'static str {
    row.form.split(" | ").next().unwrap_or_default()
}

/// The keyword with what it needs to be filled in, and its block. What may be left out is left out.
fn snippet(row: &Signature) -> String {
    let mut needed = String::new();
    let mut depth = 0usize;
    for c in first_form(row).split(" {").next().unwrap_or_default().chars() {
        depth += usize::from(c == '[');
        if depth == 0 {
            needed.push(c);
        }
        depth -= usize::from(c == ']' && depth > 0);
    }
    // One of a list is enough to begin with.
    let needed = needed.replace(", …", "").replace("-> CLUSTER -> …", "-> CLUSTER").replace("and …", "");
    let mut snippet = row.keyword.to_owned();
    let mut number = 0;
    for word in needed.split_whitespace().skip(1) {
        let bare = word.trim_matches(['(', ')']);
        let is_slot = bare.chars().all(|c| c.is_ascii_uppercase() || c == '-') && bare != "GET";
        number += usize::from(is_slot || bare.contains('|'));
        let filled = match (bare.contains('|'), is_slot, bare) {
            (true, ..) => {
                format!("${{{number}|{}|}}", bare.split('|').map(slot_name).collect::<Vec<_>>().join(","))
            }
            (_, true, "STRING") => format!("\"${{{number}}}\""),
            (_, true, slot) => format!("${{{number}:{}}}", slot_name(slot)),
            (_, false, word) => word.to_owned(),
        };
        snippet.push(' ');
        snippet.push_str(&word.replace(bare, &filled));
    }
    match row.body {
        Body::Required(_) => snippet.push_str(" {\n  $0\n}"),
        Body::Names => snippet.push_str(" { $0 }"),
        Body::None | Body::Optional(_) => snippet.push_str("$0"),
    }
    snippet
}

/// What is written in the place of a value until there is one.
fn slot_name(word: &str) -> String {
    let is_slot = word.chars().all(|c| c.is_ascii_uppercase() || c == '-');
    if is_slot { word.to_ascii_lowercase() } else { word.to_owned() }
}
