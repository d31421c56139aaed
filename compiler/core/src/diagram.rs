//! Decision diagrams over atoms: hash-consed, reduced, so equal decisions are equal roots (Gouda and Liu's firewall
//! decision diagrams; multi-terminal).
//!
//! The diagram that the checks ask is, after renumbering, the diagram in the plan: what was proved is what runs.

#[cfg(test)]
mod oracle;

use crate::bits::Bits;
use crate::space::{FIELDS, METHOD, PATH, PEER, Product, Space, method_atom};
use indexmap::IndexSet;
use mesh_lang::ast::Method;
use mesh_plan::{METHOD_ATOMS, Node, REFUSED, Target};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::rc::Rc;

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
    nodes: IndexSet<Sparse, FxBuildHasher>,
    cells: usize,
}

/// A node: most atoms of a large dimension lead to the same place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sparse {
    dim: u32,
    /// The child of the atoms that are no exception. INVARIANT: no other child has more atoms; of several that have as many it is
    /// the least. So equal decisions are equal nodes.
    default: Target,
    /// Atom and child, sorted by atom; no child is the default.
    exceptions: Vec<(u32, Target)>,
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
    leaders: Vec<u32>,
    /// Nodes from which nothing wanted is possible, with what matters of the leaders on the way there.
    dead: FxHashSet<(u32, Point)>,
}

impl Diagram {
    pub(crate) fn new(space: Rc<Space>) -> Diagram {
        Diagram { space, nodes: IndexSet::default(), cells: 0 }
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
        let mut made = if product.is_empty() { outside } else { inside };
        for (dim, atoms) in product.sets.iter().rev() {
            let exceptions = atoms.iter().map(|atom| (atom, made)).collect();
            made = self.make(*dim, outside, exceptions)?;
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
        // Where the set itself says yes or no, only the side that it chooses can differ.
        let matter: &[Target] = match self.usual(set, dim) {
            YES => &[set, inside],
            NO => &[set, outside],
            _ => &[set, inside, outside],
        };
        let usual = (self.usual(set, dim), self.usual(inside, dim), self.usual(outside, dim));
        let default = self.choose_seen(usual, seen)?;
        let mut exceptions = Vec::new();
        for atom in self.exceptions(matter, dim) {
            let below =
                (self.child(set, dim, atom), self.child(inside, dim, atom), self.child(outside, dim, atom));
            exceptions.push((atom, self.choose_seen(below, seen)?));
        }
        let made = self.make(dim, default, exceptions)?;
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
    pub(crate) fn size(&self, set: Target) -> u128 {
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
        let Sparse { dim, default, exceptions } = &self.nodes[node as usize];
        let own = match seen.get(&node) {
            Some(known) => *known,
            None => {
                let usual = u128::from(self.space.arity(*dim)) - exceptions.len() as u128;
                let usual = usual.saturating_mul(self.size_from(*default, dim + 1, dims, seen));
                let all = exceptions.iter().fold(usual, |all, (_, child)| {
                    all.saturating_add(self.size_from(*child, dim + 1, dims, seen))
                });
                seen.insert(node, all);
                all
            }
        };
        own.saturating_mul(free(*dim))
    }

    /// The first decision that says anything: of several that do, the earliest. Balanced, so that a long list costs little
    /// more than its result.
    pub(crate) fn first_of(&mut self, decisions: &[Target]) -> Result<Target, TooManyNodes> {
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
        let mut exceptions = Vec::new();
        for atom in self.exceptions(&[top, below], dim) {
            let child = self.over(self.child(top, dim, atom), self.child(below, dim, atom), seen)?;
            exceptions.push((atom, child));
        }
        let made = self.make(dim, default, exceptions)?;
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
        if let Some(known) = seen.get(&(a, b)) {
            return Ok(*known);
        }
        let Some(dim) = [a, b].into_iter().filter_map(|target| self.dim(target)).min() else { return Ok(a) };
        let default = self.together((self.usual(a, dim), self.usual(b, dim)), both, seen)?;
        let mut exceptions = Vec::new();
        for atom in self.exceptions(&[a, b], dim) {
            let below = (self.child(a, dim, atom), self.child(b, dim, atom));
            exceptions.push((atom, self.together(below, both, seen)?));
        }
        let made = self.make(dim, default, exceptions)?;
        seen.insert((a, b), made);
        Ok(made)
    }

    /// The requests that are in any of the sets. Balanced, as [`Diagram::first_of`].
    pub(crate) fn any_of_sets(&mut self, sets: &[Target]) -> Result<Target, TooManyNodes> {
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
        match self.asking(target, dim) {
            Some(node) => match node.exceptions.binary_search_by_key(&atom, |(atom, _)| *atom) {
                Ok(found) => node.exceptions[found].1,
                Err(_) => node.default,
            },
            None => target,
        }
    }

    /// Where the atoms lead that are no exception.
    fn usual(&self, target: Target, dim: u32) -> Target {
        self.asking(target, dim).map_or(target, |node| node.default)
    }

    /// The atoms that are an exception in any of the targets, sorted.
    fn exceptions(&self, targets: &[Target], dim: u32) -> Vec<u32> {
        let nodes = targets.iter().filter_map(|target| self.asking(*target, dim));
        let mut atoms: Vec<u32> =
            nodes.flat_map(|node| node.exceptions.iter().map(|(atom, _)| *atom)).collect();
        atoms.sort_unstable();
        atoms.dedup();
        atoms
    }

    /// The node with these children, or what they all are. `exceptions` are sorted by atom.
    fn make(
        &mut self,
        dim: u32,
        default: Target,
        mut exceptions: Vec<(u32, Target)>,
    ) -> Result<Target, TooManyNodes> {
        exceptions.retain(|(_, child)| *child != default);
        let mut node = Sparse { dim, default, exceptions };
        let arity = self.space.arity(dim);
        if node.exceptions.len() * 2 >= arity as usize {
            node = with_usual_default(node, arity);
        }
        if node.exceptions.is_empty() {
            return Ok(node.default);
        }
        let cells = 1 + node.exceptions.len();
        let (index, is_new) = self.nodes.insert_full(node);
        if is_new {
            self.cells += cells;
        }
        if self.cells > MAX_CELLS {
            return Err(TooManyNodes);
        }
        Ok(Target::Node(index as u32))
    }

    /// The same decision with other leaves.
    pub(crate) fn map(
        &mut self,
        root: Target,
        leaf: &impl Fn(u32) -> Target,
    ) -> Result<Target, TooManyNodes> {
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
        let Sparse { dim, default, exceptions } = self.nodes[node as usize].clone();
        let default = self.map_seen(default, leaf, seen)?;
        let mut mapped = Vec::with_capacity(exceptions.len());
        for (atom, child) in exceptions {
            mapped.push((atom, self.map_seen(child, leaf, seen)?));
        }
        let made = self.make(dim, default, mapped)?;
        seen.insert(node, made);
        Ok(made)
    }

    /// A possible request whose decision is a leaf that is `wanted`; the plainest one there is.
    pub(crate) fn find(&self, root: Target, wanted: &impl Fn(u32) -> bool) -> Option<Point> {
        let mut point = Point::new();
        let mut search = Search { leaders: self.space.leaders(), dead: FxHashSet::default() };
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
        let leading = point.iter().filter(|(dim, _)| search.leaders.binary_search(dim).is_ok());
        let mut leading: Point = leading.map(|(dim, atom)| self.space.led_by(*dim, *atom)).collect();
        leading.dedup();
        let state = (node, leading);
        if search.dead.contains(&state) {
            return false;
        }
        let dim = self.nodes[node as usize].dim;
        for atom in self.plain_order(dim) {
            let known = |wanted: u32| point.iter().find(|(dim, _)| *dim == wanted).map(|(_, atom)| *atom);
            if !self.space.is_possible(dim, atom, &known) {
                continue;
            }
            point.push((dim, atom));
            if self.search(self.child(at, dim, atom), wanted, point, search) {
                return true;
            }
            point.pop();
        }
        search.dead.insert(state);
        false
    }

    /// Whether every possible request of a product is in a set.
    pub(crate) fn contains(&self, set: Target, product: &Product) -> bool {
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
        self.plain_order(dim).into_iter().find(possible).unwrap_or_default()
    }

    /// Atoms from the one a person would think of first: `GET`, a path that some pattern fits, an absent field, and a
    /// field that is repeated last of all.
    fn plain_order(&self, dim: u32) -> Vec<u32> {
        let rest = |first: u32| first..self.space.arity(dim);
        match dim {
            PEER => rest(0).collect(),
            METHOD => [
                Method::Get,
                Method::Post,
                Method::Put,
                Method::Delete,
                Method::Patch,
                Method::Head,
                Method::Options,
            ]
            .map(method_atom)
            .into_iter()
            .chain([METHOD_ATOMS - 1])
            .collect(),
            PATH => rest(1).chain([0]).collect(),
            field => self.space.dimension(field).kind.plain_order(),
        }
    }

    /// The nodes that roots reach, children first, numbered from `first`; and the roots in these numbers. The numbering
    /// follows from the decisions alone, not from how they were built.
    pub(crate) fn compact(&self, roots: &[Target], first: u32) -> (Vec<Node>, Vec<Target>) {
        let mut numbers = FxHashMap::default();
        let mut nodes = Vec::new();
        let roots = roots.iter().map(|root| self.renumber(*root, first, &mut numbers, &mut nodes)).collect();
        (nodes, roots)
    }

    fn renumber(
        &self,
        at: Target,
        first: u32,
        numbers: &mut FxHashMap<u32, Target>,
        nodes: &mut Vec<Node>,
    ) -> Target {
        let node = match at {
            Target::Leaf(_) => return at,
            Target::Node(node) => node,
        };
        if let Some(known) = numbers.get(&node) {
            return *known;
        }
        let dim = self.nodes[node as usize].dim;
        let atoms = 0..self.space.arity(dim);
        let children =
            atoms.map(|atom| self.renumber(self.child(at, dim, atom), first, numbers, nodes)).collect();
        nodes.push(Node { dim, children });
        let made = Target::Node(first + nodes.len() as u32 - 1);
        numbers.insert(node, made);
        made
    }
}

/// The same node with the child of most atoms as its default.
fn with_usual_default(node: Sparse, arity: u32) -> Sparse {
    let mut counts: BTreeMap<Target, usize> = BTreeMap::new();
    for (_, child) in &node.exceptions {
        *counts.entry(*child).or_default() += 1;
    }
    *counts.entry(node.default).or_default() += arity as usize - node.exceptions.len();
    let most = counts.into_iter().max_by_key(|(child, count)| (*count, std::cmp::Reverse(*child)));
    let Some((usual, _)) = most.filter(|(child, _)| *child != node.default) else { return node };
    let mut own = node.exceptions.iter().peekable();
    let exceptions = (0..arity).filter_map(|atom| {
        let child =
            own.next_if(|(exception, _)| *exception == atom).map_or(node.default, |(_, child)| *child);
        (child != usual).then_some((atom, child))
    });
    Sparse { dim: node.dim, default: usual, exceptions: exceptions.collect() }
}
