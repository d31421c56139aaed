//! Which line beats which: set inclusion, and `overrides` where inclusion is silent (`spec/semantics.md` 3.4).

use crate::space::Product;
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

/// Lines with their order.
pub(crate) struct Ranked {
    /// In order of their rules.
    pub(crate) lines: Vec<RankedLine>,
    /// For each line, the lines that beat it.
    pub(crate) beaten_by: Vec<Vec<u32>>,
    /// `overrides` that make no sense: (rule, overridden rule, why).
    pub(crate) vain: Vec<(u32, u32, Vain)>,
}

/// A line of a rule.
pub(crate) struct RankedLine {
    pub(crate) rule: u32,
    pub(crate) product: Product,
}

/// Why an `overrides` makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vain {
    /// Inclusion decides everything, or the rules do not meet.
    Nothing,
    /// The overridden rule is narrower: it would never win again.
    Narrower,
    /// The rules beat each other in a circle.
    Circle,
}

/// Ranks the lines of one table. Quadratic in lines.
pub(crate) fn rank(lines: Vec<(u32, Product)>, overrides: &[(u32, u32)]) -> Ranked {
    let lines: Vec<RankedLine> =
        lines.into_iter().map(|(rule, product)| RankedLine { rule, product }).collect();
    let mut ranked = Ranked { beaten_by: vec![vec![]; lines.len()], vain: vec![], lines };
    ranked.by_inclusion();
    for (rule, other) in overrides {
        ranked.by_word(*rule, *other);
    }
    ranked.circles(overrides);
    ranked.beaten_by.iter_mut().for_each(|beaters| beaters.sort_unstable());
    ranked
}

impl Ranked {
    fn by_inclusion(&mut self) {
        for (index, line) in self.lines.iter().enumerate() {
            for (other, narrower) in self.lines.iter().enumerate() {
                if line.rule != narrower.rule && narrower.product.is_inside(&line.product) {
                    self.beaten_by[index].push(other as u32);
                }
            }
        }
    }

    fn by_word(&mut self, rule: u32, overridden: u32) {
        let (mut decided, mut narrower) = (Vec::new(), false);
        for (index, line) in self.lines.iter().enumerate().filter(|(_, line)| line.rule == rule) {
            for (other, loser) in self.lines.iter().enumerate().filter(|(_, line)| line.rule == overridden) {
                narrower |= loser.product.is_inside(&line.product);
                let nested = loser.product.is_inside(&line.product) || line.product.is_inside(&loser.product);
                if !nested && line.product.meets(&loser.product) {
                    decided.push((index as u32, other));
                }
            }
        }
        if narrower {
            self.vain.push((rule, overridden, Vain::Narrower));
        } else if decided.is_empty() {
            self.vain.push((rule, overridden, Vain::Nothing));
        }
        for (winner, loser) in decided {
            self.beaten_by[loser].push(winner);
        }
    }

    /// Inclusion alone has no circles; with `overrides` there may be.
    fn circles(&mut self, overrides: &[(u32, u32)]) {
        if overrides.is_empty() {
            return;
        }
        let edges = self.beaten_by.iter().zip(0u32..);
        let edges = edges.flat_map(|(beaters, line)| beaters.iter().map(move |beater| (*beater, line)));
        let graph: DiGraph<(), ()> = DiGraph::from_edges(edges);
        for circle in tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1) {
            let rules: Vec<u32> = circle.iter().map(|line| self.lines[line.index()].rule).collect();
            let inside = |(a, b): &&(u32, u32)| rules.contains(a) && rules.contains(b);
            self.vain.extend(overrides.iter().filter(inside).map(|(a, b)| (*a, *b, Vain::Circle)));
        }
        self.vain.sort_unstable_by_key(|(rule, other, why)| (*rule, *other, *why as u8));
        self.vain.dedup();
    }
}

impl Product {
    /// Whether this is strictly inside the other.
    fn is_inside(&self, other: &Product) -> bool {
        !self.is_empty() && self.is_subset(other) && self != other
    }
}
