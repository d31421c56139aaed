//! What stands on a page, before it is Markdown or HTML: facts, tables, examples, neighbours; what holds in some environments
//! only says in which.

use super::Described;
use crate::drawing::{Edge, Node, Picture, Shape};
use mesh_compiler::describe::{Door, Kind, Named, Workload};
use mesh_compiler::values::{Line, Value};
use mesh_lang::{SourceSet, Span};

/// More neighbours make a picture that nobody reads.
const MAX_DRAWN: usize = 40;

/// The index and the other pages.
pub(super) struct Pages {
    pub(super) index: Page,
    /// Gateways, then services, by name.
    pub(super) workloads: Vec<Page>,
}

/// One page.
pub(super) struct Page {
    /// Its file without the ending.
    pub(super) file: String,
    pub(super) title: String,
    /// Paragraphs.
    pub(super) intro: Vec<String>,
    /// Absent where there would be too much in it to be read.
    pub(super) graph: Option<Picture>,
    pub(super) sections: Vec<Section>,
    /// Whether it leads back to the index.
    pub(super) is_index: bool,
}

/// A heading and what stands below it.
pub(super) struct Section {
    pub(super) title: &'static str,
    /// A sentence.
    pub(super) intro: &'static str,
    pub(super) content: Content,
}

pub(super) enum Content {
    Table {
        head: Vec<&'static str>,
        rows: Vec<Vec<Cell>>,
    },
    /// Names and the text as it is written.
    Examples(Vec<(String, String)>),
}

/// What stands in a cell, one below the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell(pub(super) Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Code(String),
    /// A name, and the file without the ending.
    Link(String, String),
}

impl Pages {
    /// Of each environment its description; what is the same in all is said once.
    pub(super) fn of(described: &[Described], sources: &SourceSet) -> Pages {
        let all: Vec<Named> =
            distinct(described.iter().flat_map(|(_, all)| &all.workloads).map(|one| one.named.clone()));
        let versions = |named: &Named| {
            let of = |(environment, all): &'_ Described| {
                let own = all.workloads.iter().find(|one| one.named == *named).cloned();
                own.map(|own| (environment.clone(), own))
            };
            described.iter().filter_map(of).collect::<Vec<_>>()
        };
        let context = Context { sources, environments: described.len() };
        let workloads = all.iter().map(|named| context.workload(named, &versions(named))).collect();
        let mesh = described.first().map_or("", |(_, all)| all.mesh.as_str());
        Pages { index: index(mesh, described), workloads }
    }
}

fn index(mesh: &str, described: &[Described]) -> Page {
    let mut rows = Vec::new();
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for workload in described.iter().flat_map(|(_, all)| &all.workloads) {
        if nodes.contains(&workload.named) {
            continue;
        }
        nodes.push(workload.named.clone());
        let first = workload.doc.lines().next().unwrap_or_default();
        rows.push(vec![
            link(&workload.named),
            text(kind(workload.named.kind)),
            text(&workload.owner),
            text(first),
        ]);
    }
    for workload in described.iter().flat_map(|(_, all)| &all.workloads) {
        edges.extend(workload.callees.iter().map(|to| (workload.named.clone(), to.clone())));
    }
    let environments: Vec<&str> = described.iter().filter_map(|(name, _)| name.as_deref()).collect();
    let mut intro = vec![];
    if !environments.is_empty() {
        intro.push(format!("Environments: {}.", environments.join(", ")));
    }
    Page {
        file: "index".to_owned(),
        title: if mesh.is_empty() { "The mesh".to_owned() } else { format!("The mesh {mesh}") },
        intro,
        graph: Some(picture(None, &nodes, &distinct(edges))).filter(|graph| graph.nodes.len() <= MAX_DRAWN),
        sections: vec![Section {
            title: "Services and gateways",
            intro: "",
            content: Content::Table { head: vec!["Name", "What", "Owner", "What it is for"], rows },
        }],
        is_index: true,
    }
}

struct Context<'a> {
    sources: &'a SourceSet,
    /// How many there are.
    environments: usize,
}

/// A workload as it is in each environment.
type Versions = [(Option<String>, Workload)];

impl Context<'_> {
    fn workload(&self, named: &Named, versions: &Versions) -> Page {
        let doors = self.merged(versions, |workload| workload.doors.iter().map(door).collect());
        let endpoints = self
            .merged(versions, |workload| workload.endpoints.iter().map(|line| vec![code(line)]).collect());
        let access = self.merged(versions, |workload| {
            let lines = workload.access.iter().map(|line| {
                // Who and what stands in the words of the statement.
                let whole = matches!(line.effect.as_str(), "guardrail" | "mode");
                let named = |named: &str, all: &str| match (named.is_empty(), whole) {
                    (false, _) => code(named),
                    (true, false) => text(all),
                    (true, true) => text(""),
                };
                vec![
                    named(&line.operation, "every request"),
                    text(&line.effect),
                    named(&line.who, "everyone"),
                    named(&line.when, ""),
                    self.at(line.span),
                ]
            });
            lines.collect()
        });
        let calls = self.merged(versions, |workload| {
            let lines = workload.calls.iter().map(|call| {
                let operations = call.operations.iter().cloned().map(Piece::Code).collect();
                vec![
                    link(&call.service),
                    if call.operations.is_empty() { text("every request") } else { Cell(operations) },
                    Cell(call.says.iter().cloned().map(Piece::Code).collect()),
                    self.at(call.span),
                ]
            });
            lines.collect()
        });
        let callers = self.merged(versions, |workload| {
            workload.callers.iter().map(|caller| vec![link(caller), text(kind(caller.kind))]).collect()
        });
        let rules = self.merged(versions, |workload| {
            let lines = workload.rules.iter().map(|rule| {
                let matches: Vec<Piece> = rule.matches.iter().cloned().map(Piece::Code).collect();
                vec![
                    if rule.table.is_empty() { text("") } else { code(&rule.table) },
                    text(&rule.name),
                    if matches.is_empty() { text("everything else") } else { Cell(matches) },
                    Cell(rule.does.iter().cloned().map(Piece::Code).collect()),
                    self.at(rule.span),
                ]
            });
            lines.collect()
        });
        let settings = self.merged(versions, |workload| {
            workload.settings.iter().flat_map(|value| self.setting(value)).collect()
        });
        let tests = distinct(versions.iter().flat_map(|(_, workload)| &workload.tests).cloned());
        let examples = tests.iter().map(|test| (test.name.clone(), test.lines.join("\n"))).collect();
        let is_gateway = named.kind == Kind::Gateway;
        let door_head = if is_gateway { "Hosts" } else { "" };
        let sections = vec![
            table(
                if is_gateway { "Listeners" } else { "Ports" },
                "",
                &["Name", "Number", "Protocol", door_head],
                doors,
            ),
            table("Subsets and endpoints", "", &["As written"], endpoints),
            table(
                "Who may call",
                "What no line allows is refused; a line that denies wins over one that allows.",
                &["Operation", "", "Who", "When", "Written at"],
                access,
            ),
            table("Called by", "", &["Name", "What"], callers),
            table("Calls", "", &["Service", "Operations", "With", "Written at"], calls),
            table(
                "Routes",
                "Of the rules that match a request the most specific one answers it; a rule stands above those it beats.",
                &["For", "Rule", "Matches", "Does", "Written at"],
                rules,
            ),
            table(
                "Settings",
                "The first line of a setting counts, and the nearer ones for the requests that pass them; limits hold together.",
                &["Setting", "Value", "Where", "Written at"],
                settings,
            ),
            Section { title: "Tests", intro: "", content: Content::Examples(examples) },
        ];
        let newest = versions.first().map(|(_, workload)| workload);
        Page {
            file: file(named),
            title: format!("{} {}", kind(named.kind), named.name),
            intro: newest.map(introduction).unwrap_or_default(),
            graph: neighbours(named, versions),
            sections: sections.into_iter().filter(|section| !section.is_empty()).collect(),
            is_index: false,
        }
    }

    /// The rows of all environments in one order; a row that is not in all of them says in which it is.
    fn merged(&self, versions: &Versions, rows: impl Fn(&Workload) -> Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
        let mut all: Vec<(Vec<Cell>, Vec<&str>)> = Vec::new();
        for (environment, workload) in versions {
            let name = environment.as_deref().unwrap_or_default();
            let mut next = 0;
            for row in rows(workload) {
                match all.iter_mut().enumerate().find(|(_, (known, _))| *known == row) {
                    Some((index, (_, names))) => {
                        names.push(name);
                        next = index + 1;
                    }
                    None => {
                        all.insert(next, (row, vec![name]));
                        next += 1;
                    }
                }
            }
        }
        let marked = all.into_iter().map(|(mut row, names)| {
            if names.len() < self.environments
                && let Some(first) = row.iter_mut().find(|cell| !cell.is_empty())
            {
                first.0.push(Piece::Text(format!("in {} only", names.join(", "))));
            }
            row
        });
        marked.collect()
    }

    fn setting(&self, value: &Value) -> Vec<Vec<Cell>> {
        let row = |line: &Line, place: String| {
            vec![
                text(value.keyword),
                code(line.text.strip_prefix(value.keyword).unwrap_or(&line.text).trim()),
                text(&place),
                self.at(line.span),
            ]
        };
        let lines = value.lines.iter().enumerate().map(|(index, line)| {
            let behind = if index > 0 && !value.together { " (behind the lines above)" } else { "" };
            row(line, format!("{}{behind}", line.place))
        });
        let nearer = value.nearer.iter().map(|line| row(line, format!("nearer: {}", line.place)));
        lines.chain(nearer).collect()
    }

    /// `shop.mesh:12`
    fn at(&self, span: Span) -> Cell {
        let file = self.sources.get(span.file()).map_or("", |source| source.path.as_str());
        text(&format!("{file}:{}", self.sources.position(span).0))
    }
}

impl Section {
    fn is_empty(&self) -> bool {
        match &self.content {
            Content::Table { rows, .. } => rows.is_empty(),
            Content::Examples(examples) => examples.is_empty(),
        }
    }
}

/// A table without the columns in which nothing stands.
fn table(title: &'static str, intro: &'static str, head: &[&'static str], rows: Vec<Vec<Cell>>) -> Section {
    let is_used = |column: usize| rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()));
    let used: Vec<usize> = (0..head.len()).filter(|column| is_used(*column)).collect();
    let head = used.iter().filter_map(|column| head.get(*column).copied()).collect();
    let rows =
        rows.iter().map(|row| used.iter().filter_map(|column| row.get(*column).cloned()).collect()).collect();
    Section { title, intro, content: Content::Table { head, rows } }
}

impl Cell {
    fn is_empty(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(text) if text.is_empty()))
    }
}

fn introduction(workload: &Workload) -> Vec<String> {
    let mut intro: Vec<String> = Vec::new();
    if !workload.doc.is_empty() {
        let paragraphs = workload.doc.split("\n\n");
        intro.extend(paragraphs.map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    let owner = match workload.owner.as_str() {
        "" => String::new(),
        owner => format!("Owner: {owner}. "),
    };
    intro.push(format!("{owner}Identity: {}", workload.identity));
    intro
}

fn neighbours(named: &Named, versions: &Versions) -> Option<Picture> {
    let own = named;
    let mut edges = Vec::new();
    for (_, workload) in versions {
        edges.extend(workload.callers.iter().map(|caller| (caller.clone(), own.clone())));
        edges.extend(workload.callees.iter().map(|callee| (own.clone(), callee.clone())));
    }
    let edges = distinct(edges);
    let ends = edges.iter().flat_map(|(from, to)| [from.clone(), to.clone()]);
    let nodes = distinct(ends.chain([own.clone()]));
    Some(picture(Some(named), &nodes, &edges))
        .filter(|graph| !graph.edges.is_empty() && graph.nodes.len() <= MAX_DRAWN)
}

fn door(door: &Door) -> Vec<Cell> {
    let hosts = door.hosts.iter().cloned().map(Piece::Code).collect();
    vec![text(&door.name), text(&door.number.to_string()), text(door.protocol), Cell(hosts)]
}

/// Boxes that lead to the pages of what they stand for.
fn picture(own: Option<&Named>, nodes: &[Named], edges: &[(Named, Named)]) -> Picture {
    let number = |named: &Named| nodes.iter().position(|known| known == named).unwrap_or_default();
    let node = |named: &Named| Node {
        shape: if named.kind == Kind::Gateway { Shape::Gateway } else { Shape::Service },
        name: named.name.clone(),
        full_name: named.name.clone(),
        below: vec![],
        locked: false,
        link: Some(format!("{}.html", file(named))),
        is_own: own == Some(named),
    };
    let edge = |(from, to): &(Named, Named)| Edge {
        from: number(from),
        to: number(to),
        label: String::new(),
        title: String::new(),
        is_denied: false,
    };
    Picture {
        title: "who calls whom".to_owned(),
        nodes: nodes.iter().map(node).collect(),
        edges: edges.iter().map(edge).collect(),
    }
}

fn link(named: &Named) -> Cell {
    Cell(vec![Piece::Link(named.name.clone(), file(named))])
}

fn text(text: &str) -> Cell {
    Cell(vec![Piece::Text(text.to_owned())])
}

fn code(text: &str) -> Cell {
    Cell(vec![Piece::Code(text.to_owned())])
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Gateway => "gateway",
        Kind::Service => "service",
    }
}

fn file(named: &Named) -> String {
    format!("{}-{}", kind(named.kind), named.name)
}

/// Each once, in the order in which they come first.
fn distinct<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for one in all {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}
