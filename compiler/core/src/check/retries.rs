//! `MESH5001` and `MESH5002`: retries that multiply on their way through the mesh.

use super::hops::Hop;
use crate::model::{Caller, Model};
use mesh_lang::{Code, Diagnostic, Span};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most tries of one call, where it is declared, and whether all its retries have a budget.
struct Worst {
    tries: u64,
    span: Span,
    budgeted: bool,
}

type Calls = DiGraph<Caller, Worst>;

/// Circles with retries, and more tries than the mesh's `limit` allows.
pub(super) fn check(model: &Model, hops: &[Hop]) -> Vec<Diagnostic> {
    let graph = graph(hops);
    // In reverse order of calls: whoever is called comes before its callers.
    let components = tarjan_scc(&graph);
    let circles: Vec<Diagnostic> = components
        .iter()
        .filter_map(|circle| of_circle(model, &graph, &circle.iter().copied().collect()))
        .collect();
    match model.retry_limit {
        Some(limit) if circles.is_empty() => {
            too_many(model, &graph, &components, limit.value, limit.span).into_iter().collect()
        }
        _ => circles,
    }
}

fn graph(hops: &[Hop]) -> Calls {
    let mut worst: BTreeMap<(Caller, Caller), Worst> = BTreeMap::new();
    let mut nodes: BTreeMap<Caller, NodeIndex> = BTreeMap::new();
    let mut graph = Calls::new();
    for hop in hops {
        let to = Caller::Service(hop.to);
        for node in [hop.from, to] {
            nodes.entry(node).or_insert_with(|| graph.add_node(node));
        }
        let budgeted =
            hop.client.retry.is_none() && hop.retry.as_ref().is_none_or(|retry| retry.budget.is_some());
        let own = Worst { tries: hop.tries(), span: hop.span, budgeted };
        let known = worst.entry((hop.from, to)).or_insert(Worst { ..own });
        known.budgeted &= own.budgeted;
        if own.tries > known.tries {
            (known.tries, known.span) = (own.tries, own.span);
        }
    }
    for ((from, to), worst) in worst {
        graph.add_edge(nodes[&from], nodes[&to], worst);
    }
    graph
}

/// A circle in which something is tried again: without a limit or budget one failure may multiply for ever.
fn of_circle(model: &Model, graph: &Calls, circle: &BTreeSet<NodeIndex>) -> Option<Diagnostic> {
    let from = circle.iter().flat_map(|node| graph.edges(*node));
    let inside = from.filter(|edge| circle.contains(&edge.target()));
    let mut again: Vec<_> = inside.filter(|edge| edge.weight().tries > 1).collect();
    if model.retry_limit.is_none() {
        again.retain(|edge| !edge.weight().budgeted);
    }
    again.sort_by_key(|edge| (graph[edge.source()], graph[edge.target()]));
    let edge = again.first()?;
    let way = way_back(graph, edge.target(), edge.source(), circle);
    let names: Vec<&str> = std::iter::once(edge.source())
        .chain(way)
        .map(|node| model.workload(graph[node]).name.as_str())
        .collect();
    let code = if model.retry_limit.is_some() { Code::RetryAmplification } else { Code::RetryCircle };
    let mut problem = Diagnostic::new(code, format!("`{}` is a circle with retries", names.join(" → ")))
        .at(edge.weight().span, format!("{} tries each time round", edge.weight().tries));
    if let Some(limit) = model.retry_limit {
        problem = problem.at(limit.span, "no number of tries is the most");
    }
    Some(problem.help(
        "Write `retry none` for one call of the circle, or give its retries a `budget` and set no limit.",
    ))
}

/// The shortest way inside a circle; of several the first.
fn way_back(graph: &Calls, from: NodeIndex, to: NodeIndex, circle: &BTreeSet<NodeIndex>) -> Vec<NodeIndex> {
    let mut before: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut waiting = VecDeque::from([from]);
    while let Some(node) = waiting.pop_front() {
        if node == to {
            break;
        }
        let mut next: Vec<NodeIndex> = graph.neighbors(node).filter(|next| circle.contains(next)).collect();
        next.sort_by_key(|node| graph[*node]);
        for next in next {
            if next != from && !before.contains_key(&next) {
                before.insert(next, node);
                waiting.push_back(next);
            }
        }
    }
    let mut way = vec![to];
    while let Some(node) = before.get(way.last().unwrap_or(&to)).copied() {
        way.push(node);
    }
    way.reverse();
    way
}

/// The way on which one request becomes the most tries, if they are more than the limit.
fn too_many(
    model: &Model,
    graph: &Calls,
    components: &[Vec<NodeIndex>],
    limit: u32,
    declared: Span,
) -> Option<Diagnostic> {
    // Within a circle nothing is tried again, so all its members have the same number.
    let mut most: BTreeMap<NodeIndex, (u64, Option<(NodeIndex, usize)>)> = BTreeMap::new();
    for component in components.iter().rev() {
        let own: BTreeSet<NodeIndex> = component.iter().copied().collect();
        let into =
            component.iter().flat_map(|node| graph.edges_directed(*node, petgraph::Direction::Incoming));
        let outside = into.filter(|edge| !own.contains(&edge.source()));
        let best = outside
            .map(|edge| {
                let before = most.get(&edge.source()).map_or(1, |(tries, _)| *tries);
                (
                    before.saturating_mul(edge.weight().tries),
                    (graph[edge.source()], graph[edge.target()]),
                    edge,
                )
            })
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        for node in component {
            most.insert(
                *node,
                best.as_ref()
                    .map_or((1, None), |(tries, _, edge)| (*tries, Some((edge.source(), edge.id().index())))),
            );
        }
    }
    let (last, (tries, _)) =
        most.iter().max_by(|a, b| a.1.0.cmp(&b.1.0).then(graph[*b.0].cmp(&graph[*a.0])))?;
    if *tries <= u64::from(limit) {
        return None;
    }
    let mut way = Vec::new();
    let mut node = *last;
    while let Some((_, Some((source, edge)))) = most.get(&node) {
        way.push(petgraph::graph::EdgeIndex::new(*edge));
        node = *source;
    }
    way.reverse();
    let first = &model.workload(graph[node]).name;
    let mut problem = Diagnostic::new(
        Code::RetryAmplification,
        format!(
            "one request of `{first}` may become {tries} tries at `{}`",
            model.workload(graph[*last]).name
        ),
    );
    let mut text = format!("`{first}`");
    for edge in way {
        let (Some((_, to)), Some(worst)) = (graph.edge_endpoints(edge), graph.edge_weight(edge)) else {
            continue;
        };
        text += &format!(" → `{}` ×{}", model.workload(graph[to]).name, worst.tries);
        if worst.tries > 1 {
            problem = problem.at(worst.span, format!("up to {} tries", worst.tries));
        }
    }
    Some(
        problem
            .at(declared, format!("at most {limit}"))
            .help("Try again at one place only, nearest to what fails: `retry none` for the other calls.")
            .note(text),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, says};

    fn chain(limit: &str, settings: &str) -> String {
        format!(
            "mesh m {{ {limit} }}\nservice web {{ calls bff {{ {settings} }} }}\nservice bff {{ port 80 http; calls db {{ {settings} }} }}\nservice db {{ port 80 http }}\nauthorize bff {{ allow from web }}\nauthorize db {{ allow from bff }}\n"
        )
    }

    #[test]
    fn tries_multiply_along_the_calls() {
        let twice = "retry 2 on reset";
        says(
            &chain("limit retry-amplification 8", twice),
            &["2 MESH5002 one request of `web` may become 9 tries at `db`"],
        );
        says(&chain("limit retry-amplification 9", twice), &[]);
        says(&chain("", twice), &[]);
        says(
            &chain("limit retry-amplification 8", "client-retry 3"),
            &["2 MESH5002 one request of `web` may become 16 tries at `db`"],
        );
        says(
            &format!(
                "{}route db {{ rule all {{ to db; retry none }} }}\n",
                chain("limit retry-amplification 8", twice)
            ),
            &[],
        );
    }

    #[test]
    fn a_circle_with_retries_has_no_end() {
        let text = |mesh: &str, settings: &str| {
            format!(
                "mesh m {{ {mesh} }}\nservice a {{ port 80 http; calls b {{ {settings} }} }}\nservice b {{ port 80 http; calls a }}\nauthorize a {{ allow from b }}\nauthorize b {{ allow from a }}\n"
            )
        };
        let said = "`a → b → a` is a circle with retries";
        says(&text("", "retry 1 on reset"), &[&format!("2 MESH5001 {said}")]);
        says(&text("", "retry 1 on reset { budget 20% min 1/s over 10s }"), &[]);
        says(&text("", "retry none"), &[]);
        says(&text("limit retry-amplification 8", "retry 1 on reset"), &[&format!("2 MESH5002 {said}")]);
        assert_eq!(found(&text("limit retry-amplification 8", "retry none")), Vec::<String>::new());
    }
}
