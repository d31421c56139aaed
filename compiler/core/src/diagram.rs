//! Decision diagrams over atoms: hash-consed, reduced, so equal decisions are equal roots (Gouda and Liu's firewall
//! decision diagrams; multi-terminal).
//!
//! The diagram that the checks ask is, after renumbering, the diagram in the plan: what was proved is what runs.

mod lists;
#[cfg(test)]
mod oracle;
pub(crate) mod symbolic;

use crate::bits::Bits;
use crate::space::{FIELDS, METHOD, PATH, PEER, Product, Space};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use mesh_lang::ast::Method;
use mesh_plan::{METHOD_ATOMS, Node, REFUSED, Target};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::hash::BuildHasher;
use std::ops::Range;
use std::rc::Rc;
use symbolic::Symbolic;

pub(crate) use lists::Lists;

/// More cells for one partition are refused (`MESH3090`): a node is one cell and one for each exception. It counts what the
/// checks make on their way, of which the plan keeps a fraction; 2^23 cells are some hundred megabytes, and past that the
/// dimensions multiply faster than memory lasts.
pub(crate) const MAX_CELLS: usize = 1 << 23;

/// The partition needs more than [`MAX_CELLS`] cells.
#[derive(Debug)]
pub(crate) struct TooManyNodes;

/// The nodes of one partition.
pub(crate) struct Diagram {
    space: Rc<Space>,
    /// Each once.
    nodes: Vec<Sparse>,
    /// Those of all nodes: atom and child.
    exceptions: Vec<(u32, Target)>,
    /// Indices of nodes, found by what the nodes hold.
    known: HashTable<u32>,
    /// The exceptions of nodes that are being made; those of the innermost come last.
    open: Vec<(u32, Target)>,
    /// Formulas in place of nodes, where these would be too many.
    symbolic: Option<Symbolic>,
}

/// A node: most atoms of a large dimension lead to the same place.
#[derive(Clone, Copy, Debug)]
struct Sparse {
    dim: u32,
    /// The child of the atoms that are no exception. INVARIANT: no other child has more atoms; of several that have as many it is
    /// the least. So equal decisions are equal nodes.
    default: Target,
    /// Where its exceptions are in the diagram's, sorted by atom; no child is the default.
    first: u32,
    end: u32,
}

impl Sparse {
    fn exceptions(&self) -> Range<usize> {
        self.first as usize..self.end as usize
    }
}

/// The leaf of a set of requests that says: in it.
pub(crate) const YES: Target = Target::Leaf(1);
/// The leaf of a set of requests that says: not in it.
pub(crate) const NO: Target = Target::Leaf(0);

/// One atom for each dimension that matters, from a walk through a diagram.
pub(crate) type Point = Vec<(u32, u32)>;

/// What a search knows already.
struct Search {
    /// Dimensions on which it depends what is possible further on: the path `*` is possible with `OPTIONS` only, a claim only
    /// with its token.
    leaders: OnceCell<Vec<u32>>,
    /// Nodes from which nothing wanted is possible, with what matters of the leaders on the way there.
    dead: FxHashSet<(u32, Point)>,
}

/// See [`Diagram::each_leaf`].
#[derive(Default)]
struct EachLeaf {
    points: Vec<(u32, Point)>,
    /// Leaves that have one.
    known: FxHashSet<u32>,
    /// Leaves that some way there made impossible.
    missed: Vec<u32>,
    /// Nodes that were gone to.
    seen: FxHashSet<u32>,
    /// Nodes whose leaves are noted as missed.
    passed: FxHashSet<u32>,
}

/// Products, each with a leaf, of which the first that a request is in decides.
struct Firsts<'p> {
    lines: Vec<(&'p [(u32, Bits)], Target)>,
    outside: Target,
    /// What a dimension and the lines that are left there decide.
    seen: FxHashMap<Vec<u32>, Target>,
    /// How many more may be taken.
    steps: usize,
}

/// A product that is left at some dimension, and how many of its sets lie behind.
type Left = (u32, u32);

impl<'p> Firsts<'p> {
    /// What a product asks further on.
    fn rest(&self, (line, behind): Left) -> &'p [(u32, Bits)] {
        let (sets, _) = self.lines[line as usize];
        &sets[behind as usize..]
    }
}

/// A service with some ten rules is decided by fewer nodes, which are made without growing.
const USUAL_NODES: usize = 56;

/// So many steps for each atom of each product: lines that are let in for different reasons take about one.
const STEPS_OF_A_CELL: usize = 16;

impl Diagram {
    pub(crate) fn new(space: Rc<Space>) -> Diagram {
        Diagram {
            space,
            nodes: Vec::with_capacity(USUAL_NODES),
            exceptions: Vec::with_capacity(USUAL_NODES),
            known: HashTable::with_capacity(USUAL_NODES),
            open: Vec::with_capacity(USUAL_NODES),
            symbolic: None,
        }
    }

    /// One that keeps what is decided as it was said, and searches where it is asked for a request.
    pub(crate) fn symbolic(space: Rc<Space>) -> Diagram {
        Diagram { symbolic: Some(Symbolic::new(space.clone())), ..Diagram::new(space) }
    }

    /// Whether it keeps what is decided as it was said: then to ask for a request is what costs.
    pub(crate) fn is_symbolic(&self) -> bool {
        self.symbolic.is_some()
    }

    /// Whether a search was given up: then nothing that was not found is proved.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.symbolic.as_ref().is_some_and(Symbolic::is_exhausted)
    }

    pub(crate) fn space(&self) -> &Rc<Space> {
        &self.space
    }

    /// The set of the requests in a product.
    pub(crate) fn product(&mut self, product: &Product) -> Result<Target, TooManyNodes> {
        self.decided(product, YES, NO)
    }

    /// One leaf for the requests in a product, another one for all others.
    pub(crate) fn decided(
        &mut self,
        product: &Product,
        inside: Target,
        outside: Target,
    ) -> Result<Target, TooManyNodes> {
        if let Some(symbolic) = &mut self.symbolic {
            return symbolic.decided(product, inside, outside);
        }
        self.decided_by(&product.sets, if product.is_empty() { outside } else { inside }, outside)
    }

    fn decided_by(
        &mut self,
        sets: &[(u32, Bits)],
        inside: Target,
        outside: Target,
    ) -> Result<Target, TooManyNodes> {
        let mut made = inside;
        for (dim, atoms) in sets.iter().rev() {
            let open = self.open.len();
            atoms.iter().for_each(|atom| self.open.push((atom, made)));
            made = self.make(*dim, outside, open)?;
        }
        Ok(made)
    }

    /// Inside the set `inside`, outside it `outside`. Time: product of the sizes of the three, in practice near the sum.
    pub(crate) fn choose(
        &mut self,
        set: Target,
        inside: Target,
        outside: Target,
    ) -> Result<Target, TooManyNodes> {
        if let Some(symbolic) = &mut self.symbolic {
            return symbolic.choose(set, inside, outside);
        }
        self.choose_seen((set, inside, outside), &mut FxHashMap::default())
    }

    fn choose_seen(
        &mut self,
        (set, inside, outside): (Target, Target, Target),
        seen: &mut FxHashMap<(Target, Target, Target), Target>,
    ) -> Result<Target, TooManyNodes> {
        match set {
            YES => return Ok(inside),
            NO => return Ok(outside),
            _ if inside == outside => return Ok(inside),
            _ => {}
        }
        if let Some(known) = seen.get(&(set, inside, outside)) {
            return Ok(*known);
        }
        let dims = [set, inside, outside].into_iter().filter_map(|target| self.dim(target));
        let Some(dim) = dims.min() else { return Ok(outside) };
        let usual = (self.usual(set, dim), self.usual(inside, dim), self.usual(outside, dim));
        // Where the set itself says yes or no, only the side that it chooses can differ.
        let matter = match usual.0 {
            YES => [set, inside, NO],
            NO => [set, NO, outside],
            _ => [set, inside, outside],
        };
        let default = self.choose_seen(usual, seen)?;
        let open = self.open.len();
        let mut left = self.exceptions(matter, dim);
        while let Some(atom) = self.next(&mut left) {
            let below =
                (self.child(set, dim, atom), self.child(inside, dim, atom), self.child(outside, dim, atom));
            let child = self.choose_seen(below, seen)?;
            self.open.push((atom, child));
        }
        let made = self.make(dim, default, open)?;
        seen.insert((set, inside, outside), made);
        Ok(made)
    }

    pub(crate) fn and(&mut self, a: Target, b: Target) -> Result<Target, TooManyNodes> {
        self.choose(a, b, NO)
    }

    pub(crate) fn or(&mut self, a: Target, b: Target) -> Result<Target, TooManyNodes> {
        self.choose(a, YES, b)
    }

    /// What is in `a` and not in `b`.
    pub(crate) fn minus(&mut self, a: Target, b: Target) -> Result<Target, TooManyNodes> {
        self.choose(b, NO, a)
    }

    /// The leaf of a request: `atoms` has its atom in each dimension.
    pub(crate) fn leaf(&self, root: Target, atoms: &[u32]) -> u32 {
        if let Some(symbolic) = &self.symbolic {
            return symbolic.leaf(root, atoms);
        }
        let mut at = root;
        loop {
            match at {
                Target::Leaf(leaf) => return leaf,
                Target::Node(node) => {
                    let dim = self.nodes[node as usize].dim;
                    at = self.child(at, dim, atoms[dim as usize]);
                }
            }
        }
    }

    /// A possible request of a set; the plainest one there is.
    pub(crate) fn any_of(&self, set: Target) -> Option<Point> {
        self.find(set, &|leaf| Target::Leaf(leaf) == YES)
    }

    /// How many combinations of atoms are in a set, possible or not; from 2^128 on they are not told apart. Linear in its nodes.
    /// Where requests are searched for it is how many there are at most, and 0 where no possible one is.
    pub(crate) fn size(&self, set: Target) -> u128 {
        if let Some(symbolic) = &self.symbolic {
            return symbolic.size(set);
        }
        let dims = FIELDS + self.space.fields.len() as u32;
        self.size_from(set, PEER, dims, &mut FxHashMap::default())
    }

    /// The combinations of the dimensions from `first` on.
    fn size_from(&self, set: Target, first: u32, dims: u32, seen: &mut FxHashMap<u32, u128>) -> u128 {
        let free = |until: u32| {
            (first..until).fold(1u128, |all, dim| all.saturating_mul(self.space.arity(dim).into()))
        };
        let node = match set {
            Target::Leaf(_) => return if set == YES { free(dims) } else { 0 },
            Target::Node(node) => node,
        };
        let Sparse { dim, default, .. } = self.nodes[node as usize];
        let own = match seen.get(&node) {
            Some(known) => *known,
            None => {
                let exceptions = &self.exceptions[self.nodes[node as usize].exceptions()];
                let usual = u128::from(self.space.arity(dim)) - exceptions.len() as u128;
                let usual = usual.saturating_mul(self.size_from(default, dim + 1, dims, seen));
                let all = exceptions.iter().fold(usual, |all, (_, child)| {
                    all.saturating_add(self.size_from(*child, dim + 1, dims, seen))
                });
                seen.insert(node, all);
                all
            }
        };
        own.saturating_mul(free(dim))
    }

    /// The leaf of the first of these products that a request is in, or else `outside`.
    ///
    /// It is made at once, from the first dimension on, with the products that are left at each atom. Where so many combinations
    /// of products are left that this takes longer, it is put together from the decision of each product instead; both make the
    /// same nodes.
    pub(crate) fn first_product(
        &mut self,
        products: &[(&Product, Target)],
        outside: Target,
    ) -> Result<Target, TooManyNodes> {
        if let Some(symbolic) = &mut self.symbolic {
            return symbolic.first_product(products, outside);
        }
        if let [(product, leaf)] = products {
            return self.decided(product, *leaf, outside);
        }
        let possible = products.iter().filter(|(product, _)| !product.is_empty());
        let lines: Vec<(&[(u32, Bits)], Target)> =
            possible.map(|(product, leaf)| (product.sets.as_slice(), *leaf)).collect();
        let cells = lines.iter().flat_map(|(sets, _)| sets.iter()).map(|(_, set)| 1 + set.len());
        let steps = STEPS_OF_A_CELL * cells.sum::<usize>();
        let all: Vec<Left> = (0..lines.len() as u32).map(|line| (line, 0)).collect();
        let seen = FxHashMap::with_capacity_and_hasher(all.len(), FxBuildHasher);
        let mut firsts = Firsts { lines, outside, seen, steps };
        if let Some(made) = self.first_of_left(&mut firsts, &all)? {
            return Ok(made);
        }
        let mut decisions = Vec::with_capacity(firsts.lines.len());
        for (sets, leaf) in firsts.lines {
            decisions.push(self.decided_by(sets, leaf, Target::Leaf(REFUSED))?);
        }
        let made = self.first_of(&decisions)?;
        self.over(made, outside, &mut FxHashMap::default())
    }

    /// What the products that are left decide by what they ask further on; `None` where it takes too many steps.
    fn first_of_left(
        &mut self,
        firsts: &mut Firsts<'_>,
        left: &[Left],
    ) -> Result<Option<Target>, TooManyNodes> {
        // Behind a product that asks nothing more, no other counts.
        let left = match left.iter().position(|line| firsts.rest(*line).is_empty()) {
            Some(last) => &left[..=last],
            None => left,
        };
        let leaf = |(line, _): Left| firsts.lines[line as usize].1;
        match left {
            [] => return Ok(Some(firsts.outside)),
            [only] => {
                return self.decided_by(firsts.rest(*only), leaf(*only), firsts.outside).map(Some);
            }
            _ => {}
        }
        let asked = left.iter().filter_map(|line| firsts.rest(*line).first());
        let Some(dim) = asked.map(|(dim, _)| *dim).min() else { return Ok(Some(leaf(left[0]))) };
        let key: Vec<u32> = std::iter::once(dim).chain(left.iter().map(|(line, _)| *line)).collect();
        if let Some(known) = firsts.seen.get(&key) {
            return Ok(Some(*known));
        }
        let (mut asking, mut others) = (Vec::with_capacity(2 * left.len()), Vec::with_capacity(left.len()));
        for &(line, behind) in left {
            match firsts.rest((line, behind)).first().filter(|(own, _)| *own == dim) {
                Some((_, atoms)) => asking.extend(atoms.iter().map(|atom| (atom, (line, behind + 1)))),
                None => others.push((line, behind)),
            }
        }
        asking.sort_unstable();
        let Some(steps) = firsts.steps.checked_sub(asking.len() + others.len()) else { return Ok(None) };
        firsts.steps = steps;
        let Some(default) = self.first_of_left(firsts, &others)? else { return Ok(None) };
        let open = self.open.len();
        let mut here = Vec::with_capacity(left.len());
        for lines in asking.chunk_by(|one, other| one.0 == other.0) {
            here.clear();
            here.extend(others.iter().copied().chain(lines.iter().map(|(_, line)| *line)));
            here.sort_unstable();
            let Some(child) = self.first_of_left(firsts, &here)? else {
                self.open.truncate(open);
                return Ok(None);
            };
            self.open.push((lines[0].0, child));
        }
        let made = self.make(dim, default, open)?;
        firsts.seen.insert(key, made);
        Ok(Some(made))
    }

    /// The first decision that says anything: of several that do, the earliest. Balanced, so that a long list costs little
    /// more than its result.
    pub(crate) fn first_of(&mut self, decisions: &[Target]) -> Result<Target, TooManyNodes> {
        if let Some(symbolic) = &mut self.symbolic {
            return symbolic.first_of(decisions);
        }
        match decisions {
            [] => Ok(Target::Leaf(REFUSED)),
            [only] => Ok(*only),
            _ => {
                let (former, latter) = decisions.split_at(decisions.len() / 2);
                let (former, latter) = (self.first_of(former)?, self.first_of(latter)?);
                self.over(former, latter, &mut FxHashMap::default())
            }
        }
    }

    /// `top`, and `below` where it says nothing.
    fn over(
        &mut self,
        top: Target,
        below: Target,
        seen: &mut FxHashMap<(Target, Target), Target>,
    ) -> Result<Target, TooManyNodes> {
        match top {
            Target::Leaf(REFUSED) => return Ok(below),
            Target::Leaf(_) => return Ok(top),
            Target::Node(_) if top == below => return Ok(top),
            Target::Node(_) => {}
        }
        if let Some(known) = seen.get(&(top, below)) {
            return Ok(*known);
        }
        let Some(dim) = [top, below].into_iter().filter_map(|target| self.dim(target)).min() else {
            return Ok(top);
        };
        let default = self.over(self.usual(top, dim), self.usual(below, dim), seen)?;
        let open = self.open.len();
        let mut left = self.exceptions([top, below], dim);
        while let Some(atom) = self.next(&mut left) {
            let child = self.over(self.child(top, dim, atom), self.child(below, dim, atom), seen)?;
            self.open.push((atom, child));
        }
        let made = self.make(dim, default, open)?;
        seen.insert((top, below), made);
        Ok(made)
    }

    /// A decision for each atom of a dimension, each decision with its atoms; what no atom is listed for says nothing. The
    /// decisions may ask any dimension.
    pub(crate) fn case(&mut self, dim: u32, decisions: &[(Target, Bits)]) -> Result<Target, TooManyNodes> {
        let mut all = Target::Leaf(REFUSED);
        for (decision, atoms) in decisions {
            let set = self.product(&Product { sets: vec![(dim, atoms.clone())] })?;
            all = self.choose(set, *decision, all)?;
        }
        Ok(all)
    }

    /// Both decisions at once: where they say `a` and `b`, the leaf is `both(a, b)`.
    pub(crate) fn together(
        &mut self,
        (a, b): (Target, Target),
        both: &mut impl FnMut(u32, u32) -> u32,
        seen: &mut FxHashMap<(Target, Target), Target>,
    ) -> Result<Target, TooManyNodes> {
        if let (Target::Leaf(a), Target::Leaf(b)) = (a, b) {
            return Ok(Target::Leaf(both(a, b)));
        }
        if self.is_symbolic() {
            return Err(TooManyNodes);
        }
        if let Some(known) = seen.get(&(a, b)) {
            return Ok(*known);
        }
        let Some(dim) = [a, b].into_iter().filter_map(|target| self.dim(target)).min() else { return Ok(a) };
        let default = self.together((self.usual(a, dim), self.usual(b, dim)), both, seen)?;
        let open = self.open.len();
        let mut left = self.exceptions([a, b], dim);
        while let Some(atom) = self.next(&mut left) {
            let below = (self.child(a, dim, atom), self.child(b, dim, atom));
            let child = self.together(below, both, seen)?;
            self.open.push((atom, child));
        }
        let made = self.make(dim, default, open)?;
        seen.insert((a, b), made);
        Ok(made)
    }

    /// The requests that are in any of the sets. Balanced, as [`Diagram::first_of`].
    pub(crate) fn any_of_sets(&mut self, sets: &[Target]) -> Result<Target, TooManyNodes> {
        if let Some(symbolic) = &mut self.symbolic {
            return symbolic.any_of_sets(sets);
        }
        match sets {
            [] => Ok(NO),
            [only] => Ok(*only),
            _ => {
                let (former, latter) = sets.split_at(sets.len() / 2);
                let (former, latter) = (self.any_of_sets(former)?, self.any_of_sets(latter)?);
                self.or(former, latter)
            }
        }
    }

    fn dim(&self, target: Target) -> Option<u32> {
        match target {
            Target::Node(node) => Some(self.nodes[node as usize].dim),
            Target::Leaf(_) => None,
        }
    }

    /// The node of a target, if it asks this dimension; a target that does not stays itself for every atom.
    fn asking(&self, target: Target, dim: u32) -> Option<&Sparse> {
        match target {
            Target::Node(node) => Some(&self.nodes[node as usize]).filter(|node| node.dim == dim),
            Target::Leaf(_) => None,
        }
    }

    /// Where an atom leads.
    fn child(&self, target: Target, dim: u32, atom: u32) -> Target {
        let Some(node) = self.asking(target, dim) else { return target };
        let exceptions = &self.exceptions[node.exceptions()];
        match exceptions.binary_search_by_key(&atom, |(atom, _)| *atom) {
            Ok(found) => exceptions[found].1,
            Err(_) => node.default,
        }
    }

    /// Where the atoms lead that are no exception.
    fn usual(&self, target: Target, dim: u32) -> Target {
        self.asking(target, dim).map_or(target, |node| node.default)
    }

    /// Where the exceptions of each of the targets are.
    fn exceptions<const N: usize>(&self, targets: [Target; N], dim: u32) -> [Range<usize>; N] {
        targets.map(|target| self.asking(target, dim).map_or(0..0, Sparse::exceptions))
    }

    /// The next atom that is an exception in any of these rows.
    fn next<const N: usize>(&self, left: &mut [Range<usize>; N]) -> Option<u32> {
        let head = |row: &Range<usize>| self.exceptions[row.clone()].first().map(|(atom, _)| *atom);
        let next = left.iter().filter_map(head).min()?;
        left.iter_mut().filter(|row| head(row) == Some(next)).for_each(|row| row.start += 1);
        Some(next)
    }

    /// The node with these children, or what they all are. Its exceptions are the open ones from `open` on, sorted by atom.
    fn make(&mut self, dim: u32, default: Target, open: usize) -> Result<Target, TooManyNodes> {
        let mut kept = open;
        for at in open..self.open.len() {
            if self.open[at].1 != default {
                self.open[kept] = self.open[at];
                kept += 1;
            }
        }
        self.open.truncate(kept);
        let arity = self.space.arity(dim);
        let default = match (kept - open) * 2 >= arity as usize {
            true => self.with_usual_default(default, arity, open),
            false => default,
        };
        if self.open.len() == open {
            return Ok(default);
        }
        let (nodes, exceptions, own) = (&self.nodes, &self.exceptions, &self.open[open..]);
        let same = |node: &u32| {
            let node = &nodes[*node as usize];
            node.dim == dim && node.default == default && exceptions[node.exceptions()] == *own
        };
        let hash_of = |node: &u32| {
            let node = &nodes[*node as usize];
            hash(node.dim, node.default, &exceptions[node.exceptions()])
        };
        let found = match self.known.entry(hash(dim, default, own), same, hash_of) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let fresh = nodes.len() as u32;
                place.insert(fresh);
                let first = exceptions.len() as u32;
                self.exceptions.extend_from_slice(&self.open[open..]);
                let end = self.exceptions.len() as u32;
                self.nodes.push(Sparse { dim, default, first, end });
                fresh
            }
        };
        self.open.truncate(open);
        if self.nodes.len() + self.exceptions.len() > MAX_CELLS {
            return Err(TooManyNodes);
        }
        Ok(Target::Node(found))
    }

    /// Makes the child of most atoms the default of the node whose exceptions are open.
    fn with_usual_default(&mut self, default: Target, arity: u32, open: usize) -> Target {
        let own = &self.open[open..];
        let others = arity as usize - own.len();
        let mut children: Vec<Target> = own.iter().map(|(_, child)| *child).collect();
        children.sort_unstable();
        let counts = children.chunk_by(|a, b| a == b).map(|same| (same.len(), same[0]));
        let most = counts.chain([(others, default)]);
        let most = most.max_by_key(|(count, child)| (*count, std::cmp::Reverse(*child)));
        let Some((_, usual)) = most.filter(|(_, child)| *child != default) else { return default };
        let mut own = self.open.split_off(open).into_iter().peekable();
        for atom in 0..arity {
            let child = own.next_if(|(exception, _)| *exception == atom).map_or(default, |(_, child)| child);
            if child != usual {
                self.open.push((atom, child));
            }
        }
        usual
    }

    /// The same decision with other leaves.
    pub(crate) fn map(
        &mut self,
        root: Target,
        leaf: &impl Fn(u32) -> Target,
    ) -> Result<Target, TooManyNodes> {
        if let Some(symbolic) = &mut self.symbolic {
            return symbolic.map(root, leaf);
        }
        self.map_seen(root, leaf, &mut FxHashMap::default())
    }

    fn map_seen(
        &mut self,
        at: Target,
        leaf: &impl Fn(u32) -> Target,
        seen: &mut FxHashMap<u32, Target>,
    ) -> Result<Target, TooManyNodes> {
        let node = match at {
            Target::Leaf(value) => return Ok(leaf(value)),
            Target::Node(node) => node,
        };
        if let Some(known) = seen.get(&node) {
            return Ok(*known);
        }
        let own = self.nodes[node as usize];
        let default = self.map_seen(own.default, leaf, seen)?;
        let open = self.open.len();
        for exception in own.exceptions() {
            let (atom, child) = self.exceptions[exception];
            let child = self.map_seen(child, leaf, seen)?;
            self.open.push((atom, child));
        }
        let made = self.make(own.dim, default, open)?;
        seen.insert(node, made);
        Ok(made)
    }

    /// A possible request whose decision is a leaf that is `wanted`; the plainest one there is.
    pub(crate) fn find(&self, root: Target, wanted: &impl Fn(u32) -> bool) -> Option<Point> {
        if let Some(symbolic) = &self.symbolic {
            return symbolic.find(root, wanted);
        }
        let mut point = Point::new();
        let mut search = Search { leaders: OnceCell::new(), dead: FxHashSet::default() };
        self.search(root, wanted, &mut point, &mut search).then_some(point)
    }

    /// Depth first in order of plainness.
    fn search(
        &self,
        at: Target,
        wanted: &impl Fn(u32) -> bool,
        point: &mut Point,
        search: &mut Search,
    ) -> bool {
        let node = match at {
            Target::Leaf(value) => return wanted(value),
            Target::Node(node) => node,
        };
        // Most searches find something at once: then nothing need be known of what was in vain.
        if !search.dead.is_empty() && search.dead.contains(&(node, self.leading(point, search))) {
            return false;
        }
        let dim = self.nodes[node as usize].dim;
        for atom in plain_order(&self.space, dim) {
            let child = self.child(at, dim, atom);
            if matches!(child, Target::Leaf(leaf) if !wanted(leaf)) {
                continue;
            }
            let known = |wanted: u32| point.iter().find(|(dim, _)| *dim == wanted).map(|(_, atom)| *atom);
            if !self.space.is_possible(dim, atom, &known) {
                continue;
            }
            point.push((dim, atom));
            if self.search(child, wanted, point, search) {
                return true;
            }
            point.pop();
        }
        search.dead.insert((node, self.leading(point, search)));
        false
    }

    /// A possible request for each leaf that one reaches from a root. Linear in the cells below it, but for leaves that the first way to
    /// their nodes makes impossible: each of those is searched for. Where requests are searched for, none.
    pub(crate) fn each_leaf(&self, root: Target) -> Vec<(u32, Point)> {
        if self.is_symbolic() {
            return vec![];
        }
        let mut found = EachLeaf::default();
        self.leaves_below(root, &mut Point::new(), &mut found);
        for leaf in std::mem::take(&mut found.missed) {
            if !found.known.contains(&leaf)
                && let Some(point) = self.find(root, &|own| own == leaf)
            {
                found.known.insert(leaf);
                found.points.push((leaf, point));
            }
        }
        found.points
    }

    fn leaves_below(&self, at: Target, point: &mut Point, found: &mut EachLeaf) {
        let node = match at {
            Target::Leaf(leaf) => {
                if found.known.insert(leaf) {
                    found.points.push((leaf, point.clone()));
                }
                return;
            }
            Target::Node(node) => node,
        };
        if !found.seen.insert(node) {
            return;
        }
        let own = self.nodes[node as usize];
        let exceptions = &self.exceptions[own.exceptions()];
        let is_usual = |atom: &u32| exceptions.binary_search_by_key(atom, |(atom, _)| *atom).is_err();
        let usual = plain_order(&self.space, own.dim)
            .filter(is_usual)
            .find(|atom| self.is_possible_after(point, own.dim, *atom));
        let ways = exceptions.iter().copied().chain(usual.map(|atom| (atom, own.default)));
        for (atom, child) in ways {
            if matches!(child, Target::Leaf(leaf) if found.known.contains(&leaf)) {
                continue;
            }
            if self.is_possible_after(point, own.dim, atom) {
                point.push((own.dim, atom));
                self.leaves_below(child, point, found);
                point.pop();
            } else {
                self.miss(child, found);
            }
        }
        if usual.is_none() {
            self.miss(own.default, found);
        }
    }

    /// Notes the leaves below a target that was not gone to.
    fn miss(&self, at: Target, found: &mut EachLeaf) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            match at {
                Target::Leaf(leaf) => found.missed.push(leaf),
                Target::Node(node) => {
                    // Its leaves are found when it is gone to, or else searched for.
                    if found.passed.insert(node) {
                        let own = self.nodes[node as usize];
                        open.push(own.default);
                        open.extend(self.exceptions[own.exceptions()].iter().map(|(_, child)| *child));
                    }
                }
            }
        }
    }

    fn is_possible_after(&self, point: &Point, dim: u32, atom: u32) -> bool {
        let known = |wanted: u32| point.iter().find(|(dim, _)| *dim == wanted).map(|(_, atom)| *atom);
        self.space.is_possible(dim, atom, &known)
    }

    /// What matters of the leaders on the way to a node.
    fn leading(&self, point: &Point, search: &Search) -> Point {
        let leaders = search.leaders.get_or_init(|| self.space.leaders());
        let leading = point.iter().filter(|(dim, _)| leaders.binary_search(dim).is_ok());
        let mut leading: Point = leading.map(|(dim, atom)| self.space.led_by(*dim, *atom)).collect();
        leading.dedup();
        leading
    }

    /// Whether every possible request of a product is in a set.
    pub(crate) fn contains(&self, set: Target, product: &Product) -> bool {
        if let Some(symbolic) = &self.symbolic {
            return symbolic.find_in(set, &|leaf| Target::Leaf(leaf) != YES, product).is_none();
        }
        self.contains_seen(set, product, &mut FxHashSet::default())
    }

    fn contains_seen(&self, at: Target, product: &Product, seen: &mut FxHashSet<u32>) -> bool {
        let node = match at {
            Target::Leaf(_) => return at == YES,
            Target::Node(node) => node,
        };
        // What was looked at and did not end it holds.
        if !seen.insert(node) {
            return true;
        }
        let dim = self.nodes[node as usize].dim;
        let own = product.sets.iter().find(|(own, _)| *own == dim).map(|(_, atoms)| atoms);
        (0..self.space.arity(dim)).all(|atom| {
            let is_asked = own.is_none_or(|own| own.contains(atom));
            !is_asked
                || !self.space.is_possible(dim, atom, &|_| None)
                || self.contains_seen(self.child(at, dim, atom), product, seen)
        })
    }

    /// The atom of a dimension that a person would think of first.
    pub(crate) fn plainest(&self, dim: u32) -> u32 {
        let possible = |atom: &u32| self.space.is_possible(dim, *atom, &|_| None);
        plain_order(&self.space, dim).find(possible).unwrap_or_default()
    }

    /// The nodes that roots reach, children first, numbered from `first`; and the roots in these numbers. What each leaf becomes is
    /// said for each group of roots. The numbering follows from the decisions alone, not from how they were built.
    pub(crate) fn compact(
        &self,
        groups: &[(&[Target], Becomes<'_>)],
        first: u32,
    ) -> (Vec<Node>, Vec<Target>) {
        let usual = self.nodes.len().min(USUAL_NODES);
        let mut compact = Compact { nodes: vec![], known: HashTable::with_capacity(usual), first };
        let mut made = Vec::new();
        for (roots, leaf) in groups {
            let mut seen = FxHashMap::with_capacity_and_hasher(usual, FxBuildHasher);
            made.extend(roots.iter().map(|root| self.renumber(*root, leaf, &mut seen, &mut compact)));
        }
        (compact.nodes, made)
    }

    fn renumber(
        &self,
        at: Target,
        leaf: Becomes<'_>,
        seen: &mut FxHashMap<u32, Target>,
        compact: &mut Compact,
    ) -> Target {
        let node = match at {
            Target::Leaf(value) => return leaf(value),
            Target::Node(node) => node,
        };
        if let Some(known) = seen.get(&node) {
            return *known;
        }
        let own = self.nodes[node as usize];
        let mut exceptions = self.exceptions[own.exceptions()].iter().peekable();
        let mut default = None;
        let child = |atom| match exceptions.next_if(|(exception, _)| *exception == atom) {
            Some((_, child)) => self.renumber(*child, leaf, seen, compact),
            None => *default.get_or_insert_with(|| self.renumber(own.default, leaf, seen, compact)),
        };
        let children: Vec<Target> = (0..self.space.arity(own.dim)).map(child).collect();
        let made = compact.node(own.dim, children);
        seen.insert(node, made);
        made
    }
}

/// Atoms from the one a person would think of first: `GET`, a path that some pattern fits, an absent field, and a
/// field that is repeated last of all.
fn plain_order(space: &Space, dim: u32) -> impl Iterator<Item = u32> + use<> {
    let (first, rest, last) = match dim {
        PEER => (Cow::default(), 0..space.arity(dim), None),
        METHOD => (Cow::from(&PLAIN_METHODS), 0..0, None),
        PATH if !space.segments().is_empty() => (Cow::default(), 0..space.arity(dim), None),
        PATH => (Cow::default(), 1..space.arity(dim), Some(0)),
        field => (Cow::from(space.dimension(field).kind.plain_order()), 0..0, None),
    };
    (0..first.len()).map(move |place| first[place]).chain(rest).chain(last)
}

/// What each leaf becomes.
pub(crate) type Becomes<'l> = &'l dyn Fn(u32) -> Target;

/// The nodes of a plan, each once.
struct Compact {
    nodes: Vec<Node>,
    known: HashTable<u32>,
    /// The number of the first.
    first: u32,
}

impl Compact {
    /// The node with these children, or what they all are.
    fn node(&mut self, dim: u32, children: Vec<Target>) -> Target {
        if children.iter().all(|child| *child == children[0]) {
            return children[0];
        }
        let nodes = &mut self.nodes;
        let hash = |dim: u32, children: &[Target]| FxBuildHasher.hash_one((dim, children));
        let same =
            |known: &u32| nodes[*known as usize].dim == dim && nodes[*known as usize].children == children;
        let hash_of = |known: &u32| hash(nodes[*known as usize].dim, &nodes[*known as usize].children);
        let found = match self.known.entry(hash(dim, &children), same, hash_of) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let fresh = nodes.len() as u32;
                place.insert(fresh);
                nodes.push(Node { dim, children });
                fresh
            }
        };
        Target::Node(self.first + found)
    }
}

/// Methods from the one a person would think of first; the last atom is of all that have no name here.
const PLAIN_METHODS: [u32; METHOD_ATOMS as usize] = [
    Method::Get as u32,
    Method::Post as u32,
    Method::Put as u32,
    Method::Delete as u32,
    Method::Patch as u32,
    Method::Head as u32,
    Method::Options as u32,
    METHOD_ATOMS - 1,
];

fn hash(dim: u32, default: Target, exceptions: &[(u32, Target)]) -> u64 {
    FxBuildHasher.hash_one((dim, default, exceptions))
}
