//! What is known of what stands here: a name with its effective values and the lines that set them, or a statement.

use crate::cursor::cursor;
use crate::names::name_of;
use crate::scope::Symbol;
use crate::{Analysis, At};
use mesh_compiler::describe::SETTINGS;
use mesh_compiler::values::{Line, Value};
use mesh_lang::signature::Status;
use mesh_lang::statement::{Args, Statement};
use mesh_lang::{FileId, Span};
use std::collections::BTreeSet;

/// As many lines of one kind as a person reads at a glance.
const MAX_LINES: usize = 8;

/// What there is to say of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hover {
    /// Markdown.
    pub text: String,
    pub span: Span,
}

impl Analysis {
    /// What is known of what stands at a place. Time: linear in the files that speak of it.
    pub fn hover(&self, at: At) -> Option<Hover> {
        if let Some((symbol, span)) = self.symbol_at(at) {
            return Some(Hover { text: self.card(&symbol)?, span });
        }
        let parse = self.parse(at.file);
        let text = self.text(at.file);
        let cursor = cursor(&parse, text, at.offset as usize);
        let statement = cursor.statement?;
        let token = cursor.token?;
        let keyword = parse.tokens.get(statement.first as usize)?;
        let signature = cursor.signature.filter(|_| token == *keyword)?;
        let mut said = format!("```mesh\n{}\n```\n{}", signature.form, signature.doc);
        if signature.status == Status::Checked {
            said.push_str(
                "\n\n*Checked; the proxy of this version does not do it, and `mesh build` refuses it.*",
            );
        }
        Some(Hover { text: said, span: keyword.span(at.file) })
    }

    /// What is known of something, as Markdown.
    fn card(&self, symbol: &Symbol) -> Option<String> {
        let declared = self.declarations(symbol).next();
        match symbol {
            Symbol::Target(..) => self.target_card(symbol, declared?),
            Symbol::Part(kind, of, name) => {
                let span = declared?;
                let (_, statement) = self.statement_of(span)?;
                let head = self.one_line(statement.span);
                let (owner, namespace) = &**of;
                Some(format!(
                    "```mesh\n{head}\n```\n{} `{name}` of `{owner}.{namespace}` — {}",
                    kind.word(),
                    self.place(span)
                ))
            }
            Symbol::Shared(..) => {
                let span = declared?;
                let (_, statement) = self.statement_of(span)?;
                let mut said = format!("```mesh\n{}\n```\n", self.whole(statement));
                self.push_doc(&mut said, span);
                said.push_str(&self.place(span));
                Some(said)
            }
            Symbol::Param(directory, name) => self.param_card(directory, name, declared?),
            Symbol::Module(name) => {
                let span = declared?;
                Some(format!("```mesh\nmodule {name}\n```\n{}", self.place(span)))
            }
            Symbol::Namespace(name) => {
                let members = self.targets().filter(|(_, namespace, ..)| *namespace == name.as_str());
                let count = members.count();
                let plural = if count == 1 { "service or gateway" } else { "services and gateways" };
                Some(format!("```mesh\nnamespace {name}\n```\n{count} {plural}"))
            }
            Symbol::Environment(name) => Some(format!("environment `{name}`")),
            Symbol::Cluster(name) => Some(format!("cluster `{name}`")),
        }
    }

    fn target_card(&self, symbol: &Symbol, declared: Span) -> Option<String> {
        let Symbol::Target(name, namespace) = symbol else { return None };
        let (_, statement) = self.statement_of(declared)?;
        let full = format!("{name}.{namespace}");
        let mut said = format!("```mesh\n{} {full}\n```\n", statement.keyword());
        self.push_doc(&mut said, declared);
        let doors: Vec<String> = statement
            .block
            .iter()
            .filter(|line| matches!(line.keyword(), "port" | "listener" | "subset"))
            .map(|line| format!("`{}`", self.one_line(line.span)))
            .collect();
        if !doors.is_empty() {
            said.push_str(&format!("{}\n\n", doors.join(" · ")));
        }
        let files = self.files_about(symbol);
        let values = self.values(&full, &files);
        if !values.is_empty() {
            said.push_str("**In effect**\n\n");
            for line in values {
                said.push_str(&format!("- {line}\n"));
            }
            said.push('\n');
        }
        let access = self.access_lines(symbol, &files);
        if !access.is_empty() {
            said.push_str("**Who may call it**\n\n");
            for span in access.iter().take(MAX_LINES) {
                said.push_str(&format!("- `{}` — {}\n", self.one_line(*span), self.place(*span)));
            }
            if access.len() > MAX_LINES {
                said.push_str(&format!("- and {} more lines\n", access.len() - MAX_LINES));
            }
            said.push('\n');
        } else if statement.keyword() == "service" {
            said.push_str("**Nobody may call it**: no `authorize` names it.\n\n");
        }
        said.push_str(&self.place(declared));
        Some(said)
    }

    /// Each value in effect with the line that sets it, and lines that are nearer for some requests; what is not so in all environments
    /// says where.
    fn values(&self, target: &str, files: &BTreeSet<FileId>) -> Vec<String> {
        let mut said: Vec<(String, Vec<&str>)> = Vec::new();
        for workspace in &self.workspaces {
            for line in self.values_in(&workspace.values(target, &SETTINGS, files)) {
                let environment = workspace.environment().unwrap_or_default();
                match said.iter_mut().find(|(known, _)| *known == line) {
                    Some((_, environments)) => environments.push(environment),
                    None => said.push((line, vec![environment])),
                }
            }
        }
        let all = self.workspaces.len();
        let shown = said.into_iter().map(|(line, environments)| match environments.len() == all {
            true => line,
            false => format!("in {}: {line}", environments.join(", ")),
        });
        shown.collect()
    }

    fn values_in(&self, values: &[Value]) -> Vec<String> {
        let mut said = Vec::new();
        for value in values {
            let counting = if value.together { value.lines.len() } else { 1 };
            for line in value.lines.iter().take(counting) {
                said.push(format!("`{}` — {}", line.text, self.origin(line)));
            }
            for line in value.nearer.iter().take(MAX_LINES) {
                said.push(format!("`{}` for {} — {}", line.text, line.place, self.place(line.span)));
            }
        }
        said
    }

    fn origin(&self, line: &Line) -> String {
        let params: Vec<String> = line
            .parameters
            .iter()
            .map(|param| format!(", `{}` is set in {}", param.name, self.place(param.span)))
            .collect();
        format!("{}, {}{}", line.place, self.place(line.span), params.concat())
    }

    /// The lines of `authorize` that are about a service or gateway.
    pub(crate) fn access_lines(&self, symbol: &Symbol, files: &BTreeSet<FileId>) -> Vec<Span> {
        let mut found = Vec::new();
        for file in files {
            for statement in self.statements(*file) {
                let Args::Services(targets) = &statement.args else { continue };
                let is_it = targets.iter().any(|target| {
                    let (name, namespace) = self.scope.full_name(target.as_str(), self.directory(*file));
                    Symbol::Target(name, namespace) == *symbol
                });
                if is_it && statement.keyword() == "authorize" {
                    found.extend(statement.block.iter().map(|line| line.span));
                }
            }
        }
        found
    }

    fn param_card(&self, directory: &str, name: &str, declared: Span) -> Option<String> {
        let (_, statement) = self.statement_of(declared)?;
        let mut said = format!("```mesh\n{}\n```\n", self.one_line(statement.span));
        let files = self.ids().filter(|file| self.directory(*file) == directory);
        for env in files.flat_map(|file| self.statements(file)).filter(|one| one.keyword() == "env") {
            for line in &env.block {
                if let Args::Set(set) = &line.args
                    && set.0.value == name
                {
                    let environments = self.one_line(env.span);
                    let environments = environments.strip_prefix("env ").unwrap_or_default();
                    let value = &set.1.text;
                    said.push_str(&format!("- `{value}` in {environments} — {}\n", self.place(line.span)));
                }
            }
        }
        said.push_str(&format!("\n{}", self.place(declared)));
        Some(said)
    }

    fn push_doc(&self, said: &mut String, declared: Span) {
        if let Some(doc) = self.doc_at(declared) {
            said.push_str(&format!("{doc}\n\n"));
        }
    }

    /// The `##` comment above what gets its name at a place.
    pub(crate) fn doc_at(&self, declared: Span) -> Option<String> {
        let (_, statement) = self.statement_of(declared)?;
        statement.doc.as_ref().map(|doc| doc.text.to_string())
    }

    /// The statement that gives a name at a place, and the one of the file level that it is in.
    pub(crate) fn statement_of(&self, declared: Span) -> Option<(&Statement, &Statement)> {
        fn find(statement: &Statement, declared: Span) -> Option<&Statement> {
            let own = name_of(&statement.args).is_some_and(|name| name.span == declared);
            if own {
                return Some(statement);
            }
            statement.block.iter().find_map(|inner| find(inner, declared))
        }
        self.statements(declared.file()).iter().find_map(|outer| Some((outer, find(outer, declared)?)))
    }

    /// `services.mesh:12`
    pub(crate) fn place(&self, span: Span) -> String {
        let path = self.sources().get(span.file()).map_or("", |source| source.path.as_str());
        format!("{path}:{}", self.sources().position(span).0)
    }

    /// The source of a span on one line.
    pub(crate) fn one_line(&self, span: Span) -> String {
        self.sources().text(span).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// A statement with its block.
    fn whole(&self, statement: &Statement) -> String {
        let mut said = self.one_line(statement.span);
        if !statement.block.is_empty() {
            let lines: Vec<String> =
                statement.block.iter().map(|line| format!("  {}", self.one_line(line.span))).collect();
            said.push_str(&format!(" {{\n{}\n}}", lines.join("\n")));
        }
        said
    }
}
