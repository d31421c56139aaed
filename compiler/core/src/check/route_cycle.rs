//! `MESH3009`: routes that send a request round in a circle, or through more routes than a proxy follows.

use super::entered;
use crate::model::{Caller, Model, PortId};
use mesh_lang::{Code, Diagnostic, Span};
use mesh_plan::layout::MAX_ENTER_DEPTH;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeMap, BTreeSet};

/// The graph of routes that enter routes has no circle and no long path.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let ways = model.ports().flat_map(|id| {
        let entered = model.port(id).route.iter().flat_map(entered);
        entered.map(move |to| (id, to))
    });
    let ways: Vec<(PortId, PortId)> = ways.collect();
    let ends: BTreeSet<PortId> = ways.iter().flat_map(|(from, to)| [*from, *to]).collect();
    let mut graph: DiGraph<PortId, ()> = DiGraph::new();
    let nodes: BTreeMap<PortId, NodeIndex> = ends.into_iter().map(|id| (id, graph.add_node(id))).collect();
    for (from, to) in ways {
        graph.update_edge(nodes[&from], nodes[&to], ());
    }
    let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
    let mut found: Vec<Diagnostic> =
        circles.map(|circle| say_circle(model, circle.iter().map(|node| graph[*node]).collect())).collect();
    if found.is_empty() {
        found.extend(too_long(model, &graph, &nodes));
    }
    found
}

fn say_circle(model: &Model, mut circle: Vec<PortId>) -> Diagnostic {
    circle.sort();
    let names: Vec<String> = circle.iter().map(|id| format!("`{}`", model.port_name(*id))).collect();
    let mut problem = Diagnostic::new(
        Code::RouteCycle,
        format!("the routes of {} send requests round in a circle", names.join(" and ")),
    );
    for span in circle.iter().filter_map(|id| model.port(*id).route.as_ref()?.spans.first()) {
        problem = problem.at(*span, "enters the next one");
    }
    problem.help("Let one of them end at endpoints: name a subset, or the service itself.")
}

/// How many routes a request enters at most; a gateway enters the first. What is no node enters none.
fn too_long(
    model: &Model,
    graph: &DiGraph<PortId, ()>,
    nodes: &BTreeMap<PortId, NodeIndex>,
) -> Option<Diagnostic> {
    let order = toposort(graph, None).ok()?;
    let mut depth: BTreeMap<NodeIndex, u32> = BTreeMap::new();
    for node in order.into_iter().rev() {
        let below = graph.neighbors(node).filter_map(|next| depth.get(&next)).max();
        depth.insert(node, below.map_or(0, |below| below + 1));
    }
    for route in &model.consumer_routes {
        let behind = entered(&route.table).map(|to| nodes.get(&to).map_or(0, |node| depth[node])).max();
        let first = u32::from(matches!(route.caller, Caller::Gateway(_)));
        let length = first + behind.map_or(0, |behind| behind + 1);
        if length > MAX_ENTER_DEPTH {
            let span = route.table.spans.first()?;
            let name = format!("`{}` to `{}`", model.workload(route.caller).name, model.port_name(route.to));
            return Some(say_long(&name, length, *span));
        }
    }
    let (node, length) = depth.into_iter().max_by_key(|(_, depth)| *depth)?;
    if length < MAX_ENTER_DEPTH {
        return None;
    }
    let id = graph[node];
    let span = model.port(id).route.as_ref()?.spans.first()?;
    Some(say_long(&format!("a gateway to `{}`", model.port_name(id)), length + 1, *span))
}

fn say_long(between: &str, length: u32, span: Span) -> Diagnostic {
    let message = format!("a request from {between} enters {length} routes, more than {MAX_ENTER_DEPTH}");
    Diagnostic::new(Code::RouteCycle, message)
        .at(span, "the first of them")
        .help("Send to the last service directly, or name a subset of it.")
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn routes_that_enter_each_other_are_a_circle() {
        let text = "service a { port 80 http }\nservice b { port 80 http }\nauthorize a, b { allow from anyone }\nroute a { to b }\nroute b { to a }\n";
        says(text, &["4 MESH3009 the routes of `a.default` and `b.default` send requests round in a circle"]);
    }

    #[test]
    fn a_service_itself_is_its_endpoints() {
        says("service a { port 80 http }\nauthorize a { allow from anyone }\nroute a { to a }\n", &[]);
    }
}
