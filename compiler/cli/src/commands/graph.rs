//! `mesh graph`: who calls whom, as a picture, for a tool that draws, or for a program.

use super::{Parsed, environment};
use crate::args::{Detail, Graph, GraphRendering};
use crate::drawing::{self, Edge, Node, Picture, Shape};
use crate::failure::Failure;
use crate::load::{Project, load};
use crate::output::Output;
use crate::report::graph::Graph as Report;
use crate::{FINDINGS, OK, write};
use mesh_compiler::survey::graph::{Edge as Found, Graph as Whole, Kind, Node as Workload};
use mesh_compiler::survey::who::{NoAnswer, Verdict};
use mesh_lang::diagnostic::suggest::nearest;
use std::collections::{BTreeMap, BTreeSet};

/// More boxes than this nobody reads on one page: then there is one for each namespace, unless the command line says otherwise.
const MANY: usize = 80;

/// Of more rules than this on one line their number is written.
const MAX_RULES: usize = 2;

pub(crate) fn run(graph: &Graph, output: &mut Output<'_>) -> Result<u8, Failure> {
    let project = load(&graph.sources.paths)?;
    let parsed = Parsed::of(&project);
    let environment = environment::one(&parsed, graph.environment.as_deref())?;
    let unknown = "Nothing is drawn: what a project with errors means is not known.";
    if parsed.compile_to_ask(&environment, unknown, output).is_none() {
        return Ok(FINDINGS);
    }
    let whole = whole(&parsed, environment.as_deref())?;
    let by_namespace = match graph.by {
        Some(by) => by == Detail::Namespace,
        None => whole.nodes.len() > MANY && graph.namespace.is_none(),
    };
    let picture = match &graph.namespace {
        Some(name) => {
            known(&whole, name)?;
            namespace(&whole, name)
        }
        None if by_namespace => namespaces(&whole),
        None => workloads(&whole, &|_| true),
    };
    let rendering = match (graph.rendering, output.for_program()) {
        (Some(rendering), _) => rendering,
        (None, true) => GraphRendering::Json,
        (None, false) => GraphRendering::Svg,
    };
    let text = match rendering {
        GraphRendering::Svg => drawing::svg(&picture, true),
        GraphRendering::Dot => drawing::dot(&picture),
        GraphRendering::Mermaid => drawing::mermaid(&picture),
        GraphRendering::Html if by_namespace => drawing::html(&pages(&whole, picture.clone())),
        GraphRendering::Html => drawing::html(&[(OVERVIEW.to_owned(), picture.clone())]),
        GraphRendering::Json => {
            let report = Report::of(&whole, environment, &project.sources);
            let text = serde_json::to_string_pretty(&report);
            format!("{}\n", text.expect("our documents have string keys and no other way to fail"))
        }
    };
    match &graph.output {
        None => output.raw(text.as_bytes()),
        Some(path) => {
            write::write(path, text.as_bytes())?;
            let boxes = picture.nodes.len();
            let lines = picture.edges.len();
            output.say(&format!("{}  {boxes} boxes, {lines} lines", path.display()));
        }
    }
    if by_namespace && graph.by.is_none() && rendering != GraphRendering::Json {
        output.say("A box is a namespace: nobody reads a picture of so many services. --by service draws them all, --namespace one.");
    }
    Ok(OK)
}

fn whole(parsed: &Parsed<'_>, environment: Option<&str>) -> Result<Whole, Failure> {
    parsed.project.survey(environment).graph().map_err(|why| match why {
        NoAnswer::Unknown(unknown) => Failure::new(unknown.message, unknown.help),
        NoAnswer::TooMuch(port) => Failure::new(
            format!("whether calls of `{port}` are allowed cannot be decided within the budget"),
            "Make its authorization simpler: `mesh check` says what is too much.",
        ),
    })
}

/// Everything that is at most so many calls away from a service or gateway, as data and as a picture; of very many, a box for each
/// namespace.
pub(crate) fn neighbourhood(
    project: &Project,
    around: Option<&str>,
    depth: usize,
    environment: Option<&str>,
) -> Result<(Report, String), Failure> {
    let parsed = Parsed::of(project);
    let environment = environment::one(&parsed, environment)?;
    parsed.compile_or_fail(&environment)?;
    let mut whole = whole(&parsed, environment.as_deref())?;
    if let Some(around) = around {
        near(&mut whole, around, depth);
    }
    let picture = match whole.nodes.len() > MANY {
        true => namespaces(&whole),
        false => workloads(&whole, &|_| true),
    };
    let report = Report::of(&whole, environment, &project.sources);
    Ok((report, drawing::svg(&picture, true)))
}

/// Keeps what is at most so many edges away, whichever way they lead.
fn near(whole: &mut Whole, around: &str, depth: usize) {
    let mut kept: BTreeSet<usize> =
        (0..whole.nodes.len()).filter(|number| whole.nodes[*number].name == around).collect();
    for _ in 0..depth {
        let ends = whole.edges.iter().flat_map(|edge| [(edge.from, edge.to), (edge.to, edge.from)]);
        let next: Vec<usize> = ends.filter(|(from, _)| kept.contains(from)).map(|(_, to)| to).collect();
        kept.extend(next);
    }
    let numbers: BTreeMap<usize, usize> = kept.iter().zip(0..).map(|(old, new)| (*old, new)).collect();
    let mut number = 0;
    whole.nodes.retain(|_| {
        number += 1;
        kept.contains(&(number - 1))
    });
    whole.edges.retain_mut(|edge| match (numbers.get(&edge.from), numbers.get(&edge.to)) {
        (Some(from), Some(to)) => {
            (edge.from, edge.to) = (*from, *to);
            true
        }
        _ => false,
    });
}

fn title(whole: &Whole) -> String {
    if whole.mesh.is_empty() { "The mesh".to_owned() } else { format!("The mesh {}", whole.mesh) }
}

/// Whether there is such a namespace.
fn known(whole: &Whole, name: &str) -> Result<(), Failure> {
    let names: BTreeSet<&str> = whole.nodes.iter().map(|node| node.namespace.as_str()).collect();
    if names.contains(name) {
        return Ok(());
    }
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("There are: {}.", super::quoted(&names.into_iter().collect::<Vec<_>>())),
    };
    Err(Failure::new(format!("no service or gateway is in a namespace `{name}`"), help))
}

/// The overview, whose boxes lead to a picture of each namespace.
fn pages(whole: &Whole, mut overview: Picture) -> Vec<(String, Picture)> {
    let names: Vec<String> = overview.nodes.iter().map(|node| node.full_name.clone()).collect();
    let lead = |picture: &mut Picture| {
        for node in picture.nodes.iter_mut().filter(|node| node.shape == Shape::Namespace) {
            node.link = Some(format!("#{}", id(&node.full_name)));
        }
    };
    lead(&mut overview);
    let mut pages = vec![(OVERVIEW.to_owned(), overview)];
    for name in names {
        let mut picture = namespace(whole, &name);
        lead(&mut picture);
        pages.push((id(&name), picture));
    }
    pages
}

/// No namespace has this fragment: theirs begin in another way.
const OVERVIEW: &str = "all";

fn id(namespace: &str) -> String {
    format!("in-{namespace}")
}

/// A box for each service and gateway that is wanted, with the lines between them.
fn workloads(whole: &Whole, is_wanted: &dyn Fn(&Workload) -> bool) -> Picture {
    let namespaces: BTreeSet<&str> = whole.nodes.iter().map(|node| node.namespace.as_str()).collect();
    let several = namespaces.len() > 1;
    let circles = whole.edges.iter().filter(|edge| edge.from == edge.to);
    let circles: BTreeSet<usize> = circles.map(|edge| edge.from).collect();
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    let mut nodes = Vec::new();
    for (number, node) in whole.nodes.iter().enumerate().filter(|(_, node)| is_wanted(node)) {
        numbers.insert(number, nodes.len());
        nodes.push(Node {
            shape: match node.kind {
                Kind::Gateway => Shape::Gateway,
                Kind::Service => Shape::Service,
                Kind::External => Shape::External,
            },
            name: short(node).to_owned(),
            full_name: node.name.clone(),
            below: below(node, several, circles.contains(&number)),
            locked: node.mtls_strict,
            link: None,
            is_own: false,
        });
    }
    let edges = whole.edges.iter().filter(|edge| edge.from != edge.to).filter_map(|edge| {
        Some(Edge {
            from: *numbers.get(&edge.from)?,
            to: *numbers.get(&edge.to)?,
            label: label(edge),
            title: told(whole, edge),
            is_denied: edge.verdict == Verdict::Denied,
        })
    });
    let edges = edges.collect();
    Picture { title: title(whole), nodes, edges }
}

/// The services and gateways of a namespace, and a box for each other one that they have to do with.
fn namespace(whole: &Whole, name: &str) -> Picture {
    let mut picture = workloads(whole, &|node| node.namespace == name);
    picture.title = format!("Namespace {name} of {}", title(whole).to_lowercase());
    for node in &mut picture.nodes {
        node.below.retain(|line| line != name);
    }
    let number =
        |picture: &Picture, wanted: &str| picture.nodes.iter().position(|node| node.full_name == wanted);
    for (outgoing, edge) in whole.edges.iter().flat_map(|edge| [(true, edge), (false, edge)]) {
        let (own, other) = if outgoing { (edge.from, edge.to) } else { (edge.to, edge.from) };
        let (Some(own), Some(other)) = (whole.nodes.get(own), whole.nodes.get(other)) else { continue };
        if own.namespace != name || other.namespace == name {
            continue;
        }
        let Some(own) = number(&picture, &own.name) else { continue };
        let side = format!("{} {}", if outgoing { "to" } else { "from" }, other.namespace);
        // Callers stand before, callees behind: a namespace that is both has two boxes.
        let known = picture.nodes.iter().position(|node| {
            node.shape == Shape::Namespace
                && node.full_name == other.namespace
                && node.below.first() == Some(&side)
        });
        let other = known.unwrap_or_else(|| {
            picture.nodes.push(Node {
                shape: Shape::Namespace,
                name: other.namespace.clone(),
                full_name: other.namespace.clone(),
                below: vec![side],
                locked: false,
                link: None,
                is_own: false,
            });
            picture.nodes.len() - 1
        });
        let (from, to) = if outgoing { (own, other) } else { (other, own) };
        let is_denied = edge.verdict == Verdict::Denied;
        match picture.edges.iter_mut().find(|known| (known.from, known.to) == (from, to)) {
            Some(known) => {
                known.is_denied &= is_denied;
                known.title = format!("{}\n{}", known.title, told(whole, edge));
            }
            None => picture.edges.push(Edge {
                from,
                to,
                label: String::new(),
                title: told(whole, edge),
                is_denied,
            }),
        }
    }
    for node in picture.nodes.iter_mut().filter(|node| node.shape == Shape::Namespace) {
        node.below = vec!["namespace".to_owned()];
    }
    picture
}

fn short(node: &Workload) -> &str {
    node.name.strip_suffix(&node.namespace).and_then(|name| name.strip_suffix('.')).unwrap_or(&node.name)
}

fn below(node: &Workload, several: bool, calls_itself: bool) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(several.then(|| node.namespace.clone()));
    lines.extend(node.splits.iter().cloned());
    lines.extend(calls_itself.then(|| "calls itself".to_owned()));
    if node.is_amplified {
        lines.push(match node.tries {
            Some(tries) => format!("! up to {tries} tries of one request"),
            None => "! tries without end".to_owned(),
        });
    }
    lines
}

/// Rules by their names, and how often is tried. A bare `to` has no name of its own.
fn label(edge: &Found) -> String {
    let named: Vec<&str> = edge.rules.iter().map(String::as_str).filter(|rule| *rule != "default").collect();
    let rules = match named.as_slice() {
        [first @ .., _, _] if first.len() + 2 > MAX_RULES => format!("{} rules", named.len()),
        several => several.join(", "),
    };
    let tries = if edge.tries > 1 { format!("×{}", edge.tries) } else { String::new() };
    [rules, tries].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `web.default → cart.default: GET /cart/{id}`
fn told(whole: &Whole, edge: &Found) -> String {
    let name = |number: usize| whole.nodes.get(number).map_or("", |node| node.name.as_str());
    let mut said = Vec::new();
    if edge.is_call {
        let all = edge.operations.is_empty();
        said.push(if all {
            "calls everything".to_owned()
        } else {
            format!("calls {}", edge.operations.join(", "))
        });
    }
    if !edge.rules.is_empty() {
        said.push(format!("routes by {}", edge.rules.join(", ")));
    }
    let verdict = match edge.verdict {
        Verdict::Allowed => "",
        Verdict::Partly => "; not all of it is allowed",
        Verdict::Denied => "; denied",
    };
    format!("{} → {}: {}{verdict}", name(edge.from), name(edge.to), said.join("; "))
}

/// A box for each namespace, with how much is in it.
fn namespaces(whole: &Whole) -> Picture {
    let names: BTreeSet<&str> = whole.nodes.iter().map(|node| node.namespace.as_str()).collect();
    let number_of = |node: usize| {
        let own = whole.nodes.get(node).map_or("", |node| node.namespace.as_str());
        names.iter().position(|name| *name == own).unwrap_or_default()
    };
    let mut lines: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for edge in &whole.edges {
        let (all, denied) = lines.entry((number_of(edge.from), number_of(edge.to))).or_default();
        *all += 1;
        *denied += usize::from(edge.verdict == Verdict::Denied);
    }
    let nodes = names.iter().enumerate().map(|(number, name)| {
        let own = || whole.nodes.iter().filter(|node| node.namespace == **name);
        let of = |kind: Kind| own().filter(|node| node.kind == kind).count();
        let counts = [
            (of(Kind::Gateway), "gateway"),
            (of(Kind::Service), "service"),
            (of(Kind::External), "external"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let mut below: Vec<String> =
            counts.map(|(number, noun)| crate::output::count(*number, noun)).collect();
        let inside = lines.get(&(number, number)).map_or(0, |(all, _)| *all);
        below.extend((inside > 0).then(|| format!("{} inside", crate::output::count(inside, "call"))));
        Node {
            shape: Shape::Namespace,
            name: (*name).to_owned(),
            full_name: (*name).to_owned(),
            below,
            locked: own().all(|node| node.mtls_strict || node.kind == Kind::Gateway) && of(Kind::Service) > 0,
            link: None,
            is_own: false,
        }
    });
    let edges = lines.iter().filter(|((from, to), _)| from != to).map(|(&(from, to), &(all, denied))| Edge {
        from,
        to,
        label: match denied {
            0 => all.to_string(),
            denied if denied == all => all.to_string(),
            denied => format!("{all}, ✗ {denied}"),
        },
        title: String::new(),
        is_denied: denied == all,
    });
    Picture { title: title(whole), nodes: nodes.collect(), edges: edges.collect() }
}
