//! Formulas become lists of candidates, the form in which a plan has a decision that no diagram can hold.
//!
//! A formula says nothing that is not written, so its list is about as long as its lines. Candidates stand in the order in which the
//! formula asks; what a line loses to stands beside it, for of rules nothing says which one comes first.

use super::symbolic::{Formula, Symbolic};
use super::{Becomes, Diagram, NO, TooManyNodes, YES};
use crate::space::Product;
use mesh_plan::layout::{MAX_CANDIDATES, MAX_LIST_TESTS};
use mesh_plan::{LIST, List, ListTest, Node, REFUSED, Target};
use rustc_hash::FxHashMap;

/// Larger lists are refused (`MESH3090`): so many words of bits are two megabytes, and what is larger is slow to read.
const MAX_WORDS: usize = 1 << 18;

/// Longer lists of what beats candidates are refused (`MESH3090`): four megabytes.
const MAX_BEATERS: usize = 1 << 20;

/// A candidate on its way into a list.
#[derive(Clone)]
struct Candidate {
    /// What it matches.
    product: Product,
    leaf: u32,
    /// The products that it loses to.
    beaten_by: Vec<u32>,
}

/// The requests that are in a product and in none of some others.
struct Part {
    product: Product,
    without: Vec<u32>,
}

/// Roots as a plan has them.
pub(crate) struct Lists {
    pub(crate) nodes: Vec<Node>,
    pub(crate) lists: Vec<List>,
    pub(crate) roots: Vec<Target>,
}

impl Diagram {
    /// Roots as leaves and lists, nodes and lists numbered from the first ones on; what each leaf becomes is said for each group of
    /// roots. `None` where it has nodes of its own.
    pub(crate) fn lists(
        &self,
        groups: &[(&[Target], Becomes<'_>)],
        first: (u32, u32),
    ) -> Option<Result<Lists, TooManyNodes>> {
        let symbolic = self.symbolic.as_ref()?;
        Some(symbolic.lists(groups, first, &|dim| self.space.arity(dim)))
    }
}

impl Symbolic {
    fn lists(
        &self,
        groups: &[(&[Target], Becomes<'_>)],
        (first_node, first_list): (u32, u32),
        arity: &dyn Fn(u32) -> u32,
    ) -> Result<Lists, TooManyNodes> {
        let mut made = Lists { nodes: vec![], lists: vec![], roots: vec![] };
        for (roots, becomes) in groups {
            let mut known: FxHashMap<Target, Target> = FxHashMap::default();
            for root in roots.iter() {
                let target = match (known.get(root), root) {
                    (Some(known), _) => *known,
                    (None, Target::Leaf(leaf)) => becomes(*leaf),
                    (None, Target::Node(_)) => {
                        let candidates = decisive(self.candidates(*root)?, becomes);
                        let children = candidates.iter().map(|own| becomes(own.leaf)).collect();
                        let list = first_list + made.lists.len() as u32;
                        made.nodes.push(Node { dim: LIST | list, children });
                        made.lists.push(self.list(&candidates, arity)?);
                        Target::Node(first_node + made.nodes.len() as u32 - 1)
                    }
                };
                known.insert(*root, target);
                made.roots.push(target);
            }
        }
        Ok(made)
    }

    /// The candidates of a formula, in order; the last of them match everything, so that one always decides.
    fn candidates(&self, target: Target) -> Result<Vec<Candidate>, TooManyNodes> {
        let everything = Product { sets: vec![] };
        let node = match target {
            Target::Leaf(leaf) => {
                return Ok(vec![Candidate { product: everything, leaf, beaten_by: vec![] }]);
            }
            Target::Node(node) => node,
        };
        let mut all = Vec::new();
        match self.formula(node) {
            Formula::Decided { product, inside, outside } => {
                let part = Part { product: self.product(*product).clone(), without: vec![] };
                self.within(&part, *inside, &mut all)?;
                all.extend(self.candidates(*outside)?);
            }
            Formula::Choose { set, inside, outside } => {
                for part in self.parts(*set)? {
                    self.within(&part, *inside, &mut all)?;
                }
                all.extend(self.candidates(*outside)?);
            }
            Formula::FirstOf(decisions) => {
                for decision in decisions {
                    let mut own = self.candidates(*decision)?;
                    if own.last().is_some_and(|last| last.leaf == REFUSED) {
                        own.pop();
                    }
                    // What says nothing in the midst of a decision would have to be passed over.
                    if own.iter().any(|candidate| candidate.leaf == REFUSED) {
                        return Err(TooManyNodes);
                    }
                    all.extend(own);
                }
                all.push(Candidate { product: everything, leaf: REFUSED, beaten_by: vec![] });
            }
            Formula::Map { of, leaves } => {
                for candidate in self.candidates(*of)? {
                    let Target::Leaf(leaf) = super::symbolic::renamed_leaf(leaves, candidate.leaf) else {
                        return Err(TooManyNodes);
                    };
                    all.push(Candidate { leaf, ..candidate });
                }
            }
            Formula::AnyOf(sets) => {
                for part in
                    sets.iter().map(|set| self.parts(*set)).collect::<Result<Vec<_>, _>>()?.iter().flatten()
                {
                    self.within(part, YES, &mut all)?;
                }
                all.extend(self.candidates(NO)?);
            }
        }
        if all.len() > MAX_CANDIDATES as usize { Err(TooManyNodes) } else { Ok(all) }
    }

    /// Adds the candidates of a formula as they are within a part of all requests.
    fn within(&self, part: &Part, inside: Target, all: &mut Vec<Candidate>) -> Result<(), TooManyNodes> {
        for mut candidate in self.candidates(inside)? {
            candidate.product = candidate.product.and(&part.product);
            candidate.beaten_by.extend(&part.without);
            if !candidate.product.is_empty() {
                all.push(candidate);
            }
        }
        if all.len() > MAX_CANDIDATES as usize { Err(TooManyNodes) } else { Ok(()) }
    }

    /// A set as parts that together are it.
    fn parts(&self, set: Target) -> Result<Vec<Part>, TooManyNodes> {
        let node = match set {
            YES => return Ok(vec![Part { product: Product { sets: vec![] }, without: vec![] }]),
            NO => return Ok(vec![]),
            Target::Leaf(_) => return Err(TooManyNodes),
            Target::Node(node) => node,
        };
        let parts = match self.formula(node) {
            Formula::Decided { product, inside: YES, outside: NO } => {
                vec![Part { product: self.product(*product).clone(), without: vec![] }]
            }
            Formula::Decided { product, inside: NO, outside: YES } => {
                vec![Part { product: Product { sets: vec![] }, without: vec![*product] }]
            }
            Formula::AnyOf(sets) => {
                let all: Vec<Vec<Part>> =
                    sets.iter().map(|set| self.parts(*set)).collect::<Result<_, _>>()?;
                all.into_iter().flatten().collect()
            }
            Formula::Choose { set, inside: NO, outside } => {
                let without = self.products_of(*set)?;
                let mut parts = self.parts(*outside)?;
                parts.iter_mut().for_each(|part| part.without.extend(&without));
                parts
            }
            Formula::Choose { set, inside, outside: NO } => {
                let mut parts = Vec::new();
                let inside = self.parts(*inside)?;
                for one in self.parts(*set)? {
                    parts.extend(inside.iter().map(|other| Part {
                        product: one.product.and(&other.product),
                        without: [one.without.as_slice(), &other.without].concat(),
                    }));
                }
                parts
            }
            _ => return Err(TooManyNodes),
        };
        if parts.len() > MAX_CANDIDATES as usize { Err(TooManyNodes) } else { Ok(parts) }
    }

    /// The products that together are a set.
    fn products_of(&self, set: Target) -> Result<Vec<u32>, TooManyNodes> {
        let Target::Node(node) = set else { return if set == NO { Ok(vec![]) } else { Err(TooManyNodes) } };
        match self.formula(node) {
            Formula::Decided { product, inside: YES, outside: NO } => Ok(vec![*product]),
            Formula::AnyOf(sets) => {
                let all: Vec<Vec<u32>> =
                    sets.iter().map(|set| self.products_of(*set)).collect::<Result<_, _>>()?;
                Ok(all.concat())
            }
            _ => Err(TooManyNodes),
        }
    }

    fn list(&self, candidates: &[Candidate], arity: &dyn Fn(u32) -> u32) -> Result<List, TooManyNodes> {
        let mut dims: Vec<u32> =
            candidates.iter().flat_map(|own| own.product.sets.iter().map(|(dim, _)| *dim)).collect();
        dims.sort_unstable();
        dims.dedup();
        let words = candidates.len().div_ceil(64);
        let rows: usize = dims.iter().map(|dim| arity(*dim) as usize).sum();
        if dims.len() > MAX_LIST_TESTS as usize || rows * words > MAX_WORDS {
            return Err(TooManyNodes);
        }
        let tests = dims.into_iter().map(|dim| {
            let mut rows = vec![vec![0u64; words]; arity(dim) as usize];
            for (candidate, own) in candidates.iter().enumerate() {
                let set = own.product.sets.iter().find(|(asked, _)| *asked == dim).map(|(_, set)| set);
                let (word, bit) = (candidate / 64, 1 << (candidate % 64));
                match set {
                    Some(set) => set.iter().for_each(|atom| rows[atom as usize][word] |= bit),
                    None => rows.iter_mut().for_each(|row| row[word] |= bit),
                }
            }
            ListTest { dim, rows }
        });
        Ok(List { tests: tests.collect(), beaten_by: self.beaten_by(candidates)? })
    }

    /// The candidates that each one loses to: those of the products that it loses to.
    fn beaten_by(&self, candidates: &[Candidate]) -> Result<Vec<Vec<u32>>, TooManyNodes> {
        let count: usize = candidates.iter().map(|own| own.beaten_by.len()).sum();
        if count == 0 {
            return Ok(vec![]);
        }
        if count > MAX_BEATERS {
            return Err(TooManyNodes);
        }
        let mut of_product: FxHashMap<&Product, u32> = FxHashMap::default();
        for (own, number) in candidates.iter().zip(0..) {
            of_product.entry(&own.product).or_insert(number);
        }
        let mut all = Vec::with_capacity(candidates.len());
        for own in candidates {
            let beaters = own.beaten_by.iter().map(|product| of_product.get(self.product(*product)).copied());
            let mut beaters: Vec<u32> = beaters.collect::<Option<_>>().ok_or(TooManyNodes)?;
            beaters.sort_unstable();
            beaters.dedup();
            all.push(beaters);
        }
        Ok(all)
    }
}

/// Without those behind the first that always decides, and without a last one that says nothing.
fn decisive(mut candidates: Vec<Candidate>, becomes: Becomes<'_>) -> Vec<Candidate> {
    let decides = |own: &Candidate| own.product.sets.is_empty() && own.beaten_by.is_empty();
    if let Some(last) = candidates.iter().position(decides) {
        candidates.truncate(last + 1);
    }
    while candidates.last().is_some_and(|last| becomes(last.leaf) == Target::Leaf(REFUSED)) {
        candidates.pop();
    }
    candidates
}
