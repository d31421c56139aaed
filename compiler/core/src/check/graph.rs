//! The graph of calls: each caller and callee, with the worst of the hops between them (`spec/semantics.md` 11.6).

use super::hops::{Hop, Hops, ONE};
use crate::model::{Caller, ServiceId};
use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// All calls, and its circles in reverse order of calls: whoever is called comes before its callers.
pub(super) struct Graph<'h> {
    graph: DiGraph<Caller, Call<'h>>,
    nodes: FxHashMap<Caller, NodeIndex>,
    circles: Vec<Vec<NodeIndex>>,
}

/// All hops from one to another.
#[derive(Clone, Copy)]
pub(super) struct Call<'h> {
    /// The one that becomes the most tries.
    pub(super) most: &'h Hop,
    /// The one that becomes the most tries where many fail for a long time.
    pub(super) lasting: &'h Hop,
    /// One whose retries nothing bounds.
    pub(super) unbounded: Option<&'h Hop>,
    /// One that the caller does not limit.
    pub(super) unlimited: Option<&'h Hop>,
}

/// How tries are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// Those that one request may become.
    Most,
    /// Those that each becomes where many fail for a long time: budgets count.
    Lasting,
}

impl<'h> Call<'h> {
    /// The hop that counts, and what it multiplies by, in basis points.
    pub(super) fn worst(&self, count: Count) -> (&'h Hop, u64) {
        match count {
            Count::Most => (self.most, self.most.tries() * ONE),
            Count::Lasting => (self.lasting, self.lasting.lasting()),
        }
    }
}

/// A product of what hops multiply by. What is not whole is cut off behind the twelfth digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Product(u128);

/// One, with twelve digits behind it: enough that a way of a thousand hops is right to the ninth.
const WHOLE: u128 = 1_000_000_000_000;

/// More is not told apart: a hop multiplies by at most 121, so nothing overflows.
const MOST: u128 = WHOLE * WHOLE * 1_000_000;

impl Product {
    pub(super) const NONE: Product = Product(0);
    pub(super) const ONE: Product = Product(WHOLE);

    pub(super) fn times(self, basis_points: u64) -> Product {
        if basis_points == ONE {
            return self;
        }
        Product((self.0 * u128::from(basis_points) / u128::from(ONE)).min(MOST))
    }

    pub(super) fn is_over(self, limit: u64) -> bool {
        self.0 > u128::from(limit) * WHOLE
    }

    pub(super) fn plus(self, other: Product) -> Product {
        Product((self.0 + other.0).min(MOST))
    }
}

impl std::fmt::Display for Product {
    /// With one digit behind the point where it is not whole.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0 / WHOLE, self.0 % WHOLE * 10 / WHOLE) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, tenth) => write!(f, "{whole}.{tenth}"),
        }
    }
}

/// The most tries at one place, and the call by which they come.
#[derive(Clone, Copy)]
struct Reached {
    tries: Product,
    by: Option<EdgeIndex>,
}

/// The most tries at each place.
pub(super) struct Tries<'g, 'h> {
    graph: &'g Graph<'h>,
    count: Count,
    reached: Vec<Reached>,
}

impl<'h> Graph<'h> {
    /// Time: linear in the hops.
    pub(super) fn new(hops: &'h Hops) -> Graph<'h> {
        let mut nodes: FxHashMap<Caller, NodeIndex> = FxHashMap::default();
        let mut graph: DiGraph<Caller, Call<'h>> = DiGraph::new();
        let mut known: FxHashMap<(NodeIndex, NodeIndex), EdgeIndex> = FxHashMap::default();
        for hop in hops.iter() {
            let [from, to] = [hop.from, Caller::Service(hop.to)]
                .map(|caller| *nodes.entry(caller).or_insert_with(|| graph.add_node(caller)));
            let unbounded = hop.is_unbounded().then_some(hop);
            let one = Call { most: hop, lasting: hop, unbounded, unlimited: (!hop.breaker).then_some(hop) };
            match known.get(&(from, to)) {
                Some(edge) => graph[*edge].add(&one),
                None => {
                    known.insert((from, to), graph.add_edge(from, to, one));
                }
            }
        }
        let circles = tarjan_scc(&graph);
        Graph { graph, nodes, circles }
    }

    /// For each circle, a call of it that is asked for, and the shortest way round that goes over it: of several the first.
    pub(super) fn ways_round(&self, is_asked: impl Fn(&Call<'h>) -> bool) -> Vec<Vec<(Caller, &Call<'h>)>> {
        self.circles.iter().filter_map(|circle| self.way_round(circle, &is_asked)).collect()
    }

    fn way_round(
        &self,
        circle: &[NodeIndex],
        is_asked: &impl Fn(&Call<'h>) -> bool,
    ) -> Option<Vec<(Caller, &Call<'h>)>> {
        let circle: BTreeSet<NodeIndex> = circle.iter().copied().collect();
        let inside = circle.iter().flat_map(|node| self.graph.edges(*node));
        let asked = inside.filter(|edge| circle.contains(&edge.target()) && is_asked(edge.weight()));
        let first = asked.min_by_key(|edge| (self.graph[edge.source()], self.graph[edge.target()]))?;
        let mut way = vec![first.id()];
        way.extend(self.way_between(first.target(), first.source(), &circle));
        let call = |edge: EdgeIndex| {
            let (from, _) = self.graph.edge_endpoints(edge)?;
            Some((self.graph[from], &self.graph[edge]))
        };
        way.into_iter().map(call).collect()
    }

    /// The shortest way inside a circle; of several the first.
    fn way_between(&self, from: NodeIndex, to: NodeIndex, circle: &BTreeSet<NodeIndex>) -> Vec<EdgeIndex> {
        let mut by: BTreeMap<NodeIndex, EdgeIndex> = BTreeMap::new();
        let mut waiting = VecDeque::from([from]);
        while let Some(node) = waiting.pop_front() {
            let mut next: Vec<_> =
                self.graph.edges(node).filter(|edge| circle.contains(&edge.target())).collect();
            next.sort_by_key(|edge| self.graph[edge.target()]);
            for edge in next {
                if edge.target() != from && !by.contains_key(&edge.target()) {
                    by.insert(edge.target(), edge.id());
                    waiting.push_back(edge.target());
                }
            }
        }
        let mut way = Vec::new();
        let mut node = to;
        while let Some(edge) = by.get(&node).filter(|_| node != from) {
            way.push(*edge);
            node = self.graph.edge_endpoints(*edge).map_or(from, |(source, _)| source);
        }
        way.reverse();
        way
    }

    /// The most tries at each place of one request that begins anywhere. A circle is gone round once: how often requests go round
    /// is not known. Time: linear in the calls.
    pub(super) fn tries(&self, count: Count) -> Tries<'_, 'h> {
        let begins = Reached { tries: Product::ONE, by: None };
        let mut reached = vec![begins; self.graph.node_count()];
        let mut circle_of = vec![0; self.graph.node_count()];
        for (circle, number) in self.circles.iter().zip(0..) {
            circle.iter().for_each(|node| circle_of[node.index()] = number);
        }
        for circle in self.circles.iter().rev() {
            let into = circle.iter().flat_map(|node| self.graph.edges_directed(*node, Direction::Incoming));
            let outside =
                into.filter(|edge| circle_of[edge.source().index()] != circle_of[edge.target().index()]);
            let come = outside.map(|edge| {
                let (_, factor) = edge.weight().worst(count);
                let tries = reached[edge.source().index()].tries.times(factor);
                (tries, (self.graph[edge.source()], self.graph[edge.target()]), edge.id())
            });
            let most = come.max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
            let most = most.map_or(begins, |(tries, _, edge)| Reached { tries, by: Some(edge) });
            circle.iter().for_each(|node| reached[node.index()] = most);
        }
        Tries { graph: self, count, reached }
    }
}

impl<'h> Call<'h> {
    fn add(&mut self, one: &Call<'h>) {
        if one.most.tries() > self.most.tries() {
            self.most = one.most;
        }
        if one.lasting.lasting() > self.lasting.lasting() {
            self.lasting = one.lasting;
        }
        self.unbounded = self.unbounded.or(one.unbounded);
        self.unlimited = self.unlimited.or(one.unlimited);
    }
}

impl<'h> Tries<'_, 'h> {
    /// Where the most tries are; of several the first. Of a circle it is where they come in.
    pub(super) fn most(&self) -> Option<(Caller, Product)> {
        let graph = &self.graph.graph;
        let comes_in = |node: &NodeIndex| {
            let by = self.reached[node.index()].by.and_then(|edge| graph.edge_endpoints(edge));
            by.is_none_or(|(_, to)| to == *node)
        };
        let all = graph.node_indices().filter(comes_in);
        let all = all.map(|node| (graph[node], self.reached[node.index()].tries));
        all.max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)))
    }

    /// Those who call a service and do not limit it themselves, in order, each with the call and with as many tries as come to it,
    /// times its own; the service itself is none of them.
    pub(super) fn unlimited(&self, service: ServiceId) -> Vec<(Caller, &'h Hop, Product)> {
        let graph = &self.graph.graph;
        let Some(node) = self.graph.nodes.get(&Caller::Service(service)) else { return Vec::new() };
        let others = graph.edges_directed(*node, Direction::Incoming).filter(|edge| edge.source() != *node);
        let mut callers: Vec<_> = others
            .filter_map(|edge| {
                let (_, factor) = edge.weight().worst(self.count);
                let tries = self.reached[edge.source().index()].tries.times(factor);
                Some((graph[edge.source()], edge.weight().unlimited?, tries))
            })
            .collect();
        callers.sort_by_key(|(caller, ..)| *caller);
        callers
    }

    /// The calls by which the most tries come to a place, in order: each with its caller.
    pub(super) fn way_to(&self, place: Caller) -> Vec<(Caller, &'h Hop, u64)> {
        let graph = &self.graph.graph;
        let mut way = Vec::new();
        let mut node = self.graph.nodes.get(&place).copied();
        while let Some(edge) = node.and_then(|node| self.reached[node.index()].by) {
            let Some((from, _)) = graph.edge_endpoints(edge) else { break };
            let (hop, factor) = graph[edge].worst(self.count);
            way.push((graph[from], hop, factor));
            node = Some(from);
        }
        way.reverse();
        way
    }
}
