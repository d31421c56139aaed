//! Which line beats which: set inclusion, and `overrides` where inclusion is silent (`spec/semantics.md` 3.4).

use crate::space::{PATH, Product};
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
    /// Where there are many lines.
    paths: Option<LinesOfPaths>,
}

/// Lines by what they say of paths.
#[derive(Default)]
struct LinesOfPaths {
    /// For each atom, the lines that it fits.
    of_atoms: Vec<Vec<u32>>,
    /// Those that say nothing.
    of_all: Vec<u32>,
}

/// Up to so many lines are compared with each other right away.
const FEW_LINES: usize = 32;

impl LinesOfPaths {
    fn new(lines: &[RankedLine]) -> LinesOfPaths {
        let mut paths = LinesOfPaths::default();
        for (line, number) in lines.iter().zip(0..) {
            let Some(atoms) = line.product.set(PATH) else {
                paths.of_all.push(number);
                continue;
            };
            for atom in atoms.iter() {
                let least = paths.of_atoms.len().max(atom as usize + 1);
                paths.of_atoms.resize_with(least, Vec::new);
                paths.of_atoms[atom as usize].push(number);
            }
        }
        paths
    }
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

/// Ranks the lines of one table. Quadratic in the lines that share a path.
pub(crate) fn rank(lines: Vec<(u32, Product)>, overrides: &[(u32, u32)]) -> Ranked {
    let lines: Vec<RankedLine> =
        lines.into_iter().map(|(rule, product)| RankedLine { rule, product }).collect();
    let paths = (lines.len() > FEW_LINES).then(|| LinesOfPaths::new(&lines));
    let mut ranked = Ranked { beaten_by: vec![vec![]; lines.len()], vain: vec![], lines, paths };
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
            for other in self.near(index) {
                let narrower = &self.lines[other];
                if line.rule != narrower.rule && narrower.product.is_inside(&line.product) {
                    self.beaten_by[index].push(other as u32);
                }
            }
        }
    }

    /// The lines that share a path with a line, in order: no others match a request that it matches.
    pub(crate) fn near(&self, line: usize) -> Vec<usize> {
        let (Some(paths), Some(atoms)) = (&self.paths, self.lines[line].product.set(PATH)) else {
            return (0..self.lines.len()).collect();
        };
        let of_atoms = atoms.iter().flat_map(|atom| &paths.of_atoms[atom as usize]);
        let mut near: Vec<usize> = paths.of_all.iter().chain(of_atoms).map(|line| *line as usize).collect();
        near.sort_unstable();
        near.dedup();
        near
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
