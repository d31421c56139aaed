//! Decision diagrams over atoms: hash-consed, reduced, so equal decisions are equal roots (Gouda and Liu's firewall
//! decision diagrams; multi-terminal).
//!
//! The diagram that the checks ask is, after renumbering, the diagram in the plan: what was proved is what runs.

use crate::space::header::{ABSENT, MANY, OTHER};
use crate::space::{METHOD, PATH, PEER, Product, Space, method_atom};
use mesh_lang::ast::Method;
use mesh_plan::{METHOD_ATOMS, Node, Target};
use std::collections::HashMap;
use std::rc::Rc;

/// More nodes for one partition are refused (`MESH3090`). It counts what the checks make on their way, of which the plan
/// keeps a fraction; past a quarter of a million the dimensions multiply faster than memory lasts.
pub(crate) const MAX_NODES: usize = 1 << 18;

/// The partition needs more than [`MAX_NODES`] nodes.
#[derive(Debug)]
pub(crate) struct TooManyNodes;

/// The nodes of one partition.
pub(crate) struct Diagram {
    space: Rc<Space>,
    nodes: Vec<Node>,
    unique: HashMap<Node, u32>,
}

/// The leaf of a set of requests that says: in it.
pub(crate) const YES: Target = Target::Leaf(1);
/// The leaf of a set of requests that says: not in it.
pub(crate) const NO: Target = Target::Leaf(0);

/// One atom for each dimension that matters, from a walk through a diagram.
pub(crate) type Point = Vec<(u32, u32)>;

impl Diagram {
    pub(crate) fn new(space: Rc<Space>) -> Diagram {
        Diagram { space, nodes: vec![], unique: HashMap::new() }
    }

    pub(crate) fn space(&self) -> &Rc<Space> {
        &self.space
    }

    /// The set of the requests in a product.
    pub(crate) fn product(&mut self, product: &Product) -> Result<Target, TooManyNodes> {
        let mut set = if product.is_empty() { NO } else { YES };
        for (dim, atoms) in product.sets.iter().rev() {
            let children =
                (0..self.space.arity(*dim)).map(|atom| if atoms.contains(atom) { set } else { NO });
            set = self.make(*dim, children.collect())?;
        }
        Ok(set)
    }

    /// Inside the set `inside`, outside it `outside`. Time: product of the sizes of the three, in practice near the sum.
    pub(crate) fn choose(
        &mut self,
        set: Target,
        inside: Target,
        outside: Target,
    ) -> Result<Target, TooManyNodes> {
        self.choose_seen((set, inside, outside), &mut HashMap::new())
    }

    fn choose_seen(
        &mut self,
        (set, inside, outside): (Target, Target, Target),
        seen: &mut HashMap<(Target, Target, Target), Target>,
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
        let mut children = Vec::with_capacity(self.space.arity(dim) as usize);
        for atom in 0..self.space.arity(dim) {
            let below =
                (self.child(set, dim, atom), self.child(inside, dim, atom), self.child(outside, dim, atom));
            children.push(self.choose_seen(below, seen)?);
        }
        let made = self.make(dim, children)?;
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

    /// A possible request of a set; the plainest one there is.
    pub(crate) fn any_of(&self, set: Target) -> Option<Point> {
        self.find(set, &|leaf| Target::Leaf(leaf) == YES)
    }

    fn dim(&self, target: Target) -> Option<u32> {
        match target {
            Target::Node(node) => Some(self.nodes[node as usize].dim),
            Target::Leaf(_) => None,
        }
    }

    /// Where an atom leads; a target that does not ask the dimension stays itself.
    fn child(&self, target: Target, dim: u32, atom: u32) -> Target {
        match target {
            Target::Node(node) if self.nodes[node as usize].dim == dim => {
                self.nodes[node as usize].children[atom as usize]
            }
            _ => target,
        }
    }

    fn make(&mut self, dim: u32, children: Vec<Target>) -> Result<Target, TooManyNodes> {
        if let Some(same) = children.first().filter(|first| children.iter().all(|child| child == *first)) {
            return Ok(*same);
        }
        let node = Node { dim, children };
        if let Some(known) = self.unique.get(&node) {
            return Ok(Target::Node(*known));
        }
        if self.nodes.len() >= MAX_NODES {
            return Err(TooManyNodes);
        }
        let number = self.nodes.len() as u32;
        self.nodes.push(node.clone());
        self.unique.insert(node, number);
        Ok(Target::Node(number))
    }

    /// The same decision with other leaves.
    pub(crate) fn map(
        &mut self,
        root: Target,
        leaf: &impl Fn(u32) -> Target,
    ) -> Result<Target, TooManyNodes> {
        self.map_seen(root, leaf, &mut HashMap::new())
    }

    fn map_seen(
        &mut self,
        at: Target,
        leaf: &impl Fn(u32) -> Target,
        seen: &mut HashMap<u32, Target>,
    ) -> Result<Target, TooManyNodes> {
        let node = match at {
            Target::Leaf(value) => return Ok(leaf(value)),
            Target::Node(node) => node,
        };
        if let Some(known) = seen.get(&node) {
            return Ok(*known);
        }
        let Node { dim, children } = self.nodes[node as usize].clone();
        let mut mapped = Vec::with_capacity(children.len());
        for child in children {
            mapped.push(self.map_seen(child, leaf, seen)?);
        }
        let made = self.make(dim, mapped)?;
        seen.insert(node, made);
        Ok(made)
    }

    /// A possible request whose decision is a leaf that is `wanted`; the plainest one there is.
    pub(crate) fn find(&self, root: Target, wanted: &impl Fn(u32) -> bool) -> Option<Point> {
        let mut point = Point::new();
        let mut dead = HashMap::new();
        self.search(root, wanted, &mut point, &mut dead).then_some(point)
    }

    /// Depth first in order of plainness; `dead` holds (node, method) pairs from which nothing wanted is possible. The
    /// method is in it because the path `*` is possible with `OPTIONS` only.
    fn search(
        &self,
        at: Target,
        wanted: &impl Fn(u32) -> bool,
        point: &mut Point,
        dead: &mut HashMap<(u32, Option<u32>), ()>,
    ) -> bool {
        let node = match at {
            Target::Leaf(value) => return wanted(value),
            Target::Node(node) => node,
        };
        let method = point.iter().find(|(dim, _)| *dim == METHOD).map(|(_, atom)| *atom);
        if dead.contains_key(&(node, method)) {
            return false;
        }
        let dim = self.nodes[node as usize].dim;
        for atom in self.plain_order(dim) {
            if !self.is_possible(dim, atom, method) {
                continue;
            }
            point.push((dim, atom));
            if self.search(self.child(at, dim, atom), wanted, point, dead) {
                return true;
            }
            point.pop();
        }
        dead.insert((node, method), ());
        false
    }

    /// Atoms from the one a person would think of first: `GET`, a path that some pattern fits, an absent header, and a
    /// header that is repeated last of all.
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
            _ => [ABSENT].into_iter().chain(rest(OTHER + 1)).chain([OTHER, MANY]).collect(),
        }
    }

    fn is_possible(&self, dim: u32, atom: u32, method: Option<u32>) -> bool {
        match dim {
            PATH if atom == self.space.paths.star() => {
                method.is_none_or(|method| method == method_atom(Method::Options))
            }
            PATH => self.space.paths.witness(atom).is_some(),
            _ => true,
        }
    }

    /// The nodes that roots reach, children first, numbered from `first`; and the roots in these numbers. The numbering
    /// follows from the decisions alone, not from how they were built.
    pub(crate) fn compact(&self, roots: &[Target], first: u32) -> (Vec<Node>, Vec<Target>) {
        let mut numbers = HashMap::new();
        let mut nodes = Vec::new();
        let roots = roots.iter().map(|root| self.renumber(*root, first, &mut numbers, &mut nodes)).collect();
        (nodes, roots)
    }

    fn renumber(
        &self,
        at: Target,
        first: u32,
        numbers: &mut HashMap<u32, Target>,
        nodes: &mut Vec<Node>,
    ) -> Target {
        let node = match at {
            Target::Leaf(_) => return at,
            Target::Node(node) => node,
        };
        if let Some(known) = numbers.get(&node) {
            return *known;
        }
        let Node { dim, children } = &self.nodes[node as usize];
        let children = children.iter().map(|child| self.renumber(*child, first, numbers, nodes)).collect();
        nodes.push(Node { dim: *dim, children });
        let made = Target::Node(first + nodes.len() as u32 - 1);
        numbers.insert(node, made);
        made
    }
}
