//! `MESH5010`: copies that come back to where they are made.

use super::hops::Hops;
use crate::model::{Caller, Model};
use mesh_lang::{Code, Diagnostic, Span};
use petgraph::algo::{astar, tarjan_scc};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeRef, NodeFiltered};
use std::collections::{BTreeMap, BTreeSet};

/// A call, or the copy of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sent {
    Copy(Span),
    Call(Span),
}

/// Circles of calls and copies in which there is a copy: each time round there are more requests. Time: linear in the hops, and for
/// each circle that is found.
pub(super) fn check(model: &Model, hops: &Hops) -> Vec<Diagnostic> {
    if hops.iter().all(|hop| hop.mirrors.is_empty()) {
        return Vec::new();
    }
    let graph = graph(hops);
    let circles = tarjan_scc(&graph);
    let mut found: Vec<Diagnostic> =
        circles.iter().filter_map(|circle| of_circle(model, &graph, circle)).collect();
    found.sort_by_key(Diagnostic::span);
    found
}

fn graph(hops: &Hops) -> DiGraph<Caller, Sent> {
    let mut nodes: BTreeMap<Caller, NodeIndex> = BTreeMap::new();
    let mut graph = DiGraph::new();
    for hop in hops.iter() {
        let copies = hop.mirrors.iter().map(|(to, span)| (*to, Sent::Copy(*span)));
        for (to, sent) in copies.chain([(hop.to, Sent::Call(hop.span))]) {
            let [from, to] = [hop.from, Caller::Service(to)]
                .map(|caller| *nodes.entry(caller).or_insert_with(|| graph.add_node(caller)));
            graph.add_edge(from, to, sent);
        }
    }
    graph
}

fn of_circle(model: &Model, graph: &DiGraph<Caller, Sent>, circle: &[NodeIndex]) -> Option<Diagnostic> {
    let circle: BTreeSet<NodeIndex> = circle.iter().copied().collect();
    let inside = circle.iter().flat_map(|node| graph.edges(*node));
    let copies =
        inside.filter(|edge| circle.contains(&edge.target()) && matches!(edge.weight(), Sent::Copy(_)));
    let copy = copies.min_by_key(|edge| (graph[edge.source()], graph[edge.target()], *edge.weight()))?;
    let own = NodeFiltered::from_fn(graph, |node| circle.contains(&node));
    let (_, back) = astar(&own, copy.target(), |node| node == copy.source(), |_| 1, |_| 0)?;
    let way: Vec<NodeIndex> = std::iter::once(copy.source()).chain(back).collect();
    let name = |node: &NodeIndex| model.workload(graph[*node]).name.as_str();
    let names: Vec<&str> = way.iter().map(name).collect();
    let mut problem =
        Diagnostic::new(Code::MirrorCircle, format!("copies go round in a circle: `{}`", names.join(" → ")));
    let firsts = std::iter::once(*copy.weight());
    let steps = way.windows(2).skip(1).filter_map(|step| {
        let between = graph.edges_connecting(step[0], step[1]).map(|edge| *edge.weight());
        between.max()
    });
    for (sent, to) in firsts.chain(steps).zip(&names[1..]) {
        let (span, label) = match sent {
            Sent::Copy(span) => (span, format!("copies to `{to}`")),
            Sent::Call(span) => (span, format!("calls `{to}`")),
        };
        if problem.labels.iter().all(|known| known.span != span) {
            problem = problem.at(span, label);
        }
    }
    Some(
        problem
            .note(format!(
                "`{}` answers copies as it answers requests: with calls that are copied again",
                names[1]
            ))
            .help("Mirror to a service that does not call back, or only requests that it answers by itself."),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(next: &str, mirror: &str) -> String {
        format!(
            "service web {{ port 80 http; calls cart }}\nservice cart {{ port 80 http }}\nservice next {{ port 80 http; {next} }}\nroute cart {{ rule all {{ match GET; to cart; {mirror} }}; otherwise 404 }}\nauthorize web, cart, next {{ allow from anyone }}\n"
        )
    }

    #[test]
    fn a_copy_that_comes_back_is_copied_again() {
        let said = "4 MESH5010 copies go round in a circle: `web → next → web`";
        says(&mesh("calls web", "mirror next 10%"), &[said]);
        says(&mesh("", "mirror next 10%"), &[]);
        says(&mesh("calls web", ""), &[]);
        let far = "service far { port 80 http; calls web }\nauthorize far { allow from next }\n";
        says(
            &format!("{}{far}", mesh("calls far", "mirror next 10%")),
            &["4 MESH5010 copies go round in a circle: `web → next → far → web`"],
        );
    }

    #[test]
    fn a_copy_to_oneself_is_a_circle() {
        says(&mesh("", "mirror web 10%"), &["4 MESH5010 copies go round in a circle: `web → web`"]);
    }

    #[test]
    fn a_copy_to_another_version_is_none() {
        let text = mesh("calls web", "mirror cart:new 10%").replace(
            "service cart { port 80 http",
            "service cart { port 80 http; subset new label v = \"2\"",
        );
        says(&text, &[]);
    }
}
