//! Decisions that are not multiplied out, for spaces in which a diagram would explode: formulas over products, and a search for a
//! request where somebody asks for one.
//!
//! It answers what [`Diagram`](super::Diagram) does, with the same words, so whoever asks does not know which of the two it is. A formula is as
//! large as what was written. The search keeps a box, a set of atoms for each dimension, and of all products two rows of bits: those
//! that meet the box and those that contain it. Where these decide the formula the search ends or turns back; else the box is split
//! in the dimension that leaves fewest products in doubt, the piece with fewest first. So a request that nobody thought of is found
//! in a few steps, and that there is none is proved by looking at every piece: exact, within a budget of steps.

use super::{MAX_CELLS, NO, Point, TooManyNodes, YES, plain_order};
use crate::bits::Bits;
use crate::space::segments::{EMPTY, END};
use crate::space::{FIELDS, METHOD, PATH, PEER, Product, Space, method_atom};
use indexmap::IndexSet;
use mesh_lang::ast::Method;
use mesh_plan::{REFUSED, Target};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// More boxes for one partition are refused (`MESH3090`): a box takes some microseconds, so that a service never costs more than
/// about a second. A thousand patterns with a wildcard in every other place take some thousand.
pub(crate) const MAX_STEPS: u32 = 100_000;

/// More words of bits are refused (`MESH3090`): one row for each atom of each dimension, together 32 megabytes.
const MAX_WORDS: usize = 1 << 22;

/// The decisions of one partition.
pub(crate) struct Symbolic {
    space: Rc<Space>,
    /// Each once. INVARIANT: those that one names have a smaller index.
    formulas: IndexSet<Formula, FxBuildHasher>,
    /// One for each formula and for each entry of its list, as nodes have them: [`MAX_CELLS`] at most.
    cells: usize,
    /// Each once; their indices are the bits of rows.
    products: IndexSet<Product, FxBuildHasher>,
    /// For each dimension.
    dims: Vec<Dim>,
    /// Of the rows.
    words: usize,
    /// How many boxes may be looked at yet.
    steps: Cell<u32>,
    /// For each dimension all its possible atoms, once somebody asks.
    whole: RefCell<Vec<Option<Rc<Side>>>>,
}

/// Words of bits, one bit for each product.
type Row = Vec<u64>;

/// What a dimension says of products.
struct Dim {
    /// For each atom the products that ask this dimension and have it.
    atoms: Vec<Row>,
    /// The products that do not ask this dimension.
    free: Row,
}

/// A decision, or a set of requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Formula {
    /// One leaf inside a product, another one outside.
    Decided {
        product: u32,
        inside: Target,
        outside: Target,
    },
    Choose {
        set: Target,
        inside: Target,
        outside: Target,
    },
    /// The first that says anything.
    FirstOf(Vec<Target>),
    AnyOf(Vec<Target>),
    /// Other leaves for these, which are all that it has; sorted.
    Map {
        of: Target,
        leaves: Vec<(u32, Target)>,
    },
}

/// The box in one dimension, and what that says of products.
struct Side {
    set: Bits,
    /// Those that have one of the atoms.
    meet: Row,
    /// Those that have all of them.
    contain: Row,
}

/// A box: one side for each dimension.
type Sides = Vec<Rc<Side>>;

/// What is known of products in a box.
struct Known {
    meet: Row,
    contain: Row,
}

// What a decision may say in a box, a bit each.
/// Nothing.
const NOTHING: u16 = 1;
/// A leaf that is wanted.
const WANTED: u16 = 2;
/// Another one.
const UNWANTED: u16 = 4;
/// A leaf that becomes nothing under other names: of the outermost; of those inside it the next bits.
const RENAMED: u16 = 8;

/// The bit of a leaf that is not [`REFUSED`].
type Class<'a> = &'a dyn Fn(u32) -> u16;

impl Symbolic {
    pub(super) fn new(space: Rc<Space>) -> Symbolic {
        let dims = 0..FIELDS + space.fields.len() as u32;
        let dims = dims.map(|dim| Dim { atoms: vec![vec![]; space.arity(dim) as usize], free: vec![] });
        let dims: Vec<Dim> = dims.collect();
        let whole = RefCell::new(dims.iter().map(|_| None).collect());
        Symbolic {
            space,
            formulas: IndexSet::default(),
            cells: 0,
            products: IndexSet::default(),
            dims,
            words: 0,
            steps: Cell::new(MAX_STEPS),
            whole,
        }
    }

    /// Whether the budget of steps is used up: then what was not found may be there all the same.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.steps.get() == 0
    }

    pub(super) fn formula(&self, index: u32) -> &Formula {
        &self.formulas[index as usize]
    }

    pub(super) fn product(&self, index: u32) -> &Product {
        &self.products[index as usize]
    }

    fn put(&mut self, formula: Formula) -> Result<Target, TooManyNodes> {
        let cells = match &formula {
            Formula::Decided { .. } | Formula::Choose { .. } => 1,
            Formula::FirstOf(all) | Formula::AnyOf(all) => 1 + all.len(),
            Formula::Map { leaves, .. } => 1 + leaves.len(),
        };
        let (index, is_new) = self.formulas.insert_full(formula);
        if is_new {
            self.cells += cells;
        }
        if self.cells > MAX_CELLS { Err(TooManyNodes) } else { Ok(Target::Node(index as u32)) }
    }

    pub(super) fn decided(
        &mut self,
        product: &Product,
        inside: Target,
        outside: Target,
    ) -> Result<Target, TooManyNodes> {
        if product.is_empty() || inside == outside {
            return Ok(outside);
        }
        if product.sets.is_empty() {
            return Ok(inside);
        }
        let product = self.index(product)?;
        self.put(Formula::Decided { product, inside, outside })
    }

    /// The bit of a product.
    fn index(&mut self, product: &Product) -> Result<u32, TooManyNodes> {
        if let Some(known) = self.products.get_index_of(product) {
            return Ok(known as u32);
        }
        let (index, _) = self.products.insert_full(product.clone());
        let (word, bit) = (index / 64, 1u64 << (index % 64));
        if word == self.words {
            self.words += 1;
            let rows = self.dims.iter().map(|dim| dim.atoms.len() + 1).sum::<usize>();
            if rows * self.words > MAX_WORDS {
                return Err(TooManyNodes);
            }
            for dim in &mut self.dims {
                dim.free.push(0);
                dim.atoms.iter_mut().for_each(|row| row.push(0));
            }
        }
        let mut sets = product.sets.iter().peekable();
        for (dim, number) in self.dims.iter_mut().zip(0u32..) {
            match sets.next_if(|(asked, _)| *asked == number) {
                Some((_, set)) => set.iter().for_each(|atom| dim.atoms[atom as usize][word] |= bit),
                None => dim.free[word] |= bit,
            }
        }
        self.whole.borrow_mut().iter_mut().for_each(|side| *side = None);
        Ok(index as u32)
    }

    pub(super) fn choose(
        &mut self,
        set: Target,
        inside: Target,
        outside: Target,
    ) -> Result<Target, TooManyNodes> {
        match set {
            YES => return Ok(inside),
            NO => return Ok(outside),
            _ if inside == outside => return Ok(inside),
            _ if inside == YES && outside == NO => return Ok(set),
            _ => {}
        }
        if let Some((product, YES, NO)) = self.of_product(set) {
            // Products that have nothing in common need no search.
            let apart = |own: u32| !self.products[product as usize].meets(&self.products[own as usize]);
            let within = |own: u32| self.products[own as usize].is_subset(&self.products[product as usize]);
            match (self.of_product(inside), self.of_product(outside)) {
                (Some((own, _, rest)), _) if rest == outside && apart(own) => return Ok(outside),
                (_, Some((own, _, rest))) if rest == inside && apart(own) => return Ok(outside),
                (_, Some((own, _, rest))) if rest == inside && within(own) => return Ok(inside),
                _ => {}
            }
            let is_leaf = |target| matches!(target, Target::Leaf(_));
            if is_leaf(inside) && is_leaf(outside) {
                return self.put(Formula::Decided { product, inside, outside });
            }
        }
        self.put(Formula::Choose { set, inside, outside })
    }

    /// The product that alone decides a formula, and what it says inside and outside.
    fn of_product(&self, target: Target) -> Option<(u32, Target, Target)> {
        let Target::Node(node) = target else { return None };
        match &self.formulas[node as usize] {
            Formula::Decided { product, inside, outside } => Some((*product, *inside, *outside)),
            _ => None,
        }
    }

    pub(super) fn first_of(&mut self, decisions: &[Target]) -> Result<Target, TooManyNodes> {
        let mut decisions: Vec<Target> =
            decisions.iter().copied().filter(|own| *own != Target::Leaf(REFUSED)).collect();
        // Behind one that always says something nothing is asked.
        if let Some(last) = decisions.iter().position(|own| matches!(own, Target::Leaf(_))) {
            decisions.truncate(last + 1);
        }
        match decisions.as_slice() {
            [] => Ok(Target::Leaf(REFUSED)),
            [only] => Ok(*only),
            _ => self.put(Formula::FirstOf(decisions)),
        }
    }

    /// The leaf of the first of these products that a request is in, or else `outside`.
    pub(super) fn first_product(
        &mut self,
        products: &[(&Product, Target)],
        outside: Target,
    ) -> Result<Target, TooManyNodes> {
        let is_set = outside == NO && products.iter().all(|(_, leaf)| *leaf == YES);
        let other = if is_set { NO } else { Target::Leaf(REFUSED) };
        let mut decisions = Vec::with_capacity(products.len() + 1);
        for (product, leaf) in products {
            decisions.push(self.decided(product, *leaf, other)?);
        }
        if is_set {
            return self.any_of_sets(&decisions);
        }
        decisions.push(outside);
        self.first_of(&decisions)
    }

    pub(super) fn any_of_sets(&mut self, sets: &[Target]) -> Result<Target, TooManyNodes> {
        let mut sets: Vec<Target> = sets.iter().copied().filter(|set| *set != NO).collect();
        sets.sort_unstable();
        sets.dedup();
        match sets.as_slice() {
            [] => Ok(NO),
            _ if sets.contains(&YES) => Ok(YES),
            [only] => Ok(*only),
            _ => self.put(Formula::AnyOf(sets)),
        }
    }

    pub(super) fn map(
        &mut self,
        root: Target,
        leaf: &impl Fn(u32) -> Target,
    ) -> Result<Target, TooManyNodes> {
        self.map_seen(root, leaf, &mut FxHashMap::default())
    }

    fn map_seen(
        &mut self,
        root: Target,
        leaf: &impl Fn(u32) -> Target,
        seen: &mut FxHashMap<u32, Target>,
    ) -> Result<Target, TooManyNodes> {
        let node = match root {
            Target::Leaf(value) => return Ok(leaf(value)),
            Target::Node(node) => node,
        };
        if let Some(known) = seen.get(&node) {
            return Ok(*known);
        }
        let made = match self.formulas[node as usize].clone() {
            Formula::Decided { product, inside, outside } => {
                let (inside, outside) =
                    (self.map_seen(inside, leaf, seen)?, self.map_seen(outside, leaf, seen)?);
                match (inside, outside) {
                    _ if inside == outside => Ok(inside),
                    _ => self.put(Formula::Decided { product, inside, outside }),
                }
            }
            Formula::Choose { set, inside, outside } => {
                let (inside, outside) =
                    (self.map_seen(inside, leaf, seen)?, self.map_seen(outside, leaf, seen)?);
                self.choose(set, inside, outside)
            }
            Formula::Map { of, leaves } => {
                let mut renamed = Vec::with_capacity(leaves.len());
                for (own, target) in leaves {
                    renamed.push((own, self.map_seen(target, leaf, seen)?));
                }
                self.renamed(of, renamed)
            }
            Formula::FirstOf(_) | Formula::AnyOf(_) => {
                let mut all = FxHashSet::default();
                self.leaves(root, &mut all, &mut FxHashSet::default());
                let mut leaves: Vec<(u32, Target)> = all.into_iter().map(|own| (own, leaf(own))).collect();
                leaves.sort_unstable();
                self.renamed(root, leaves)
            }
        }?;
        seen.insert(node, made);
        Ok(made)
    }

    /// The same formula under other names, which are leaves.
    fn renamed(&mut self, of: Target, leaves: Vec<(u32, Target)>) -> Result<Target, TooManyNodes> {
        if leaves.iter().any(|(_, target)| matches!(target, Target::Node(_))) {
            return Err(TooManyNodes);
        }
        match leaves.split_first() {
            Some(((_, first), rest)) if rest.iter().all(|(_, own)| own == first) => Ok(*first),
            _ => self.put(Formula::Map { of, leaves }),
        }
    }

    /// All leaves that a formula may say.
    fn leaves(&self, target: Target, all: &mut FxHashSet<u32>, seen: &mut FxHashSet<u32>) {
        let node = match target {
            Target::Leaf(leaf) => {
                all.insert(leaf);
                return;
            }
            Target::Node(node) => node,
        };
        if !seen.insert(node) {
            return;
        }
        match &self.formulas[node as usize] {
            Formula::Decided { inside, outside, .. } | Formula::Choose { inside, outside, .. } => {
                self.leaves(*inside, all, seen);
                self.leaves(*outside, all, seen);
            }
            Formula::FirstOf(decisions) => {
                all.insert(REFUSED);
                decisions.iter().for_each(|own| self.leaves(*own, all, seen));
            }
            Formula::AnyOf(_) => all.extend([YES, NO].map(|leaf| match leaf {
                Target::Leaf(leaf) => leaf,
                Target::Node(node) => node,
            })),
            Formula::Map { leaves, .. } => {
                leaves.iter().for_each(|(_, target)| self.leaves(*target, all, seen));
            }
        }
    }

    /// The leaf of a request: `atoms` has its atom in each dimension.
    pub(super) fn leaf(&self, root: Target, atoms: &[u32]) -> u32 {
        let mut target = root;
        loop {
            let node = match target {
                Target::Leaf(leaf) => return leaf,
                Target::Node(node) => node,
            };
            target =
                match &self.formulas[node as usize] {
                    Formula::Decided { product, inside, outside } => {
                        let sets = &self.products[*product as usize].sets;
                        let fits = sets.iter().all(|(dim, set)| set.contains(atoms[*dim as usize]));
                        if fits { *inside } else { *outside }
                    }
                    Formula::Choose { set, inside, outside } => {
                        if Target::Leaf(self.leaf(*set, atoms)) == YES { *inside } else { *outside }
                    }
                    Formula::FirstOf(decisions) => {
                        let mut said = decisions.iter().map(|own| self.leaf(*own, atoms));
                        return said.find(|leaf| *leaf != REFUSED).unwrap_or(REFUSED);
                    }
                    Formula::AnyOf(sets) => {
                        let any = sets.iter().any(|set| Target::Leaf(self.leaf(*set, atoms)) == YES);
                        if any { YES } else { NO }
                    }
                    Formula::Map { of, leaves } => renamed_leaf(leaves, self.leaf(*of, atoms)),
                };
        }
    }

    /// A possible request whose decision is a leaf that is `wanted`; `None` where there is none, or where the budget is used up.
    pub(super) fn find(&self, root: Target, wanted: &dyn Fn(u32) -> bool) -> Option<Point> {
        self.find_in(root, wanted, &Product { sets: vec![] })
    }

    /// The same, within a product.
    pub(super) fn find_in(
        &self,
        root: Target,
        wanted: &dyn Fn(u32) -> bool,
        within: &Product,
    ) -> Option<Point> {
        if matches!(root, Target::Leaf(leaf) if !wanted(leaf)) {
            return None;
        }
        let mut narrow: Vec<Option<Bits>> = vec![None; self.dims.len()];
        let search = Search { symbolic: self, root, wanted, mask: self.mask(root) };
        if !(narrow_to(&mut narrow, within) && self.narrow(root, wanted, &mut narrow)) {
            return None;
        }
        let mut sides: Sides = (0..self.dims.len()).map(|dim| self.whole(dim as u32)).collect();
        for (dim, set) in narrow.into_iter().enumerate() {
            let Some(mut set) = set else { continue };
            set.intersect(&sides[dim].set);
            sides[dim] = Rc::new(self.side(dim as u32, set));
        }
        search.look(sides)
    }

    /// The greatest number of combinations of atoms that may be in a set; 0 where no possible request is.
    pub(super) fn size(&self, set: Target) -> u128 {
        let is_in = |leaf: u32| Target::Leaf(leaf) == YES;
        if self.find(set, &is_in).is_none() {
            return 0;
        }
        let mut narrow: Vec<Option<Bits>> = vec![None; self.dims.len()];
        self.narrow(set, &is_in, &mut narrow);
        let arity = |dim: usize| u128::from(self.space.arity(dim as u32));
        let sizes = narrow.iter().enumerate().map(|(dim, set)| match set {
            Some(set) => set.len() as u128,
            None => arity(dim),
        });
        sizes.fold(1, u128::saturating_mul)
    }

    /// Narrows a box to where a formula can say what is wanted, as far as that is seen at a glance; `false` where it cannot.
    fn narrow(&self, root: Target, wanted: &dyn Fn(u32) -> bool, narrow: &mut [Option<Bits>]) -> bool {
        let is_lost = |target: Target| matches!(target, Target::Leaf(leaf) if !wanted(leaf));
        let is_in = |leaf: u32| Target::Leaf(leaf) == YES;
        let mut target = root;
        loop {
            let Target::Node(node) = target else { return !is_lost(target) };
            target = match &self.formulas[node as usize] {
                Formula::Decided { product, inside, outside } if is_lost(*outside) => {
                    if !narrow_to(narrow, &self.products[*product as usize]) {
                        return false;
                    }
                    *inside
                }
                Formula::Choose { set, inside, outside } if is_lost(*outside) => {
                    if !self.narrow(*set, &is_in, narrow) {
                        return false;
                    }
                    *inside
                }
                Formula::Decided { inside, outside, .. } | Formula::Choose { inside, outside, .. }
                    if is_lost(*inside) =>
                {
                    *outside
                }
                Formula::Map { of, leaves } => {
                    let renamed = |leaf| match renamed_leaf(leaves, leaf) {
                        Target::Leaf(leaf) => wanted(leaf),
                        Target::Node(_) => true,
                    };
                    return self.narrow(*of, &renamed, narrow);
                }
                _ => return true,
            };
        }
    }

    /// The products that a formula asks.
    fn mask(&self, root: Target) -> Row {
        let mut mask = vec![0; self.words];
        let mut seen = FxHashSet::default();
        let mut waiting = vec![root];
        while let Some(target) = waiting.pop() {
            let Target::Node(node) = target else { continue };
            match &self.formulas[node as usize] {
                Formula::Decided { product, inside, outside } => {
                    mask[*product as usize / 64] |= 1 << (product % 64);
                    waiting.extend([*inside, *outside].iter().filter(|own| matches!(own, Target::Node(_))));
                    continue;
                }
                _ if !seen.insert(node) => continue,
                Formula::Choose { set, inside, outside } => waiting.extend([*set, *inside, *outside]),
                Formula::FirstOf(all) | Formula::AnyOf(all) => waiting.extend(all),
                Formula::Map { of, .. } => waiting.push(*of),
            }
        }
        mask
    }

    /// The possible atoms of a dimension.
    fn whole(&self, dim: u32) -> Rc<Side> {
        if let Some(known) = &self.whole.borrow()[dim as usize] {
            return known.clone();
        }
        let possible = |atom| self.space.is_possible(dim, atom, &|_| None);
        let set = Bits::such_that(self.space.arity(dim), possible);
        let side = Rc::new(self.side(dim, set));
        self.whole.borrow_mut()[dim as usize] = Some(side.clone());
        side
    }

    fn side(&self, dim: u32, set: Bits) -> Side {
        let Dim { atoms, free } = &self.dims[dim as usize];
        let mut meet = vec![0; self.words];
        let mut contain = vec![u64::MAX; self.words];
        for atom in set.iter() {
            let row = &atoms[atom as usize];
            meet.iter_mut().zip(row).for_each(|(all, own)| *all |= own);
            contain.iter_mut().zip(row).for_each(|(all, own)| *all &= own);
        }
        for rows in [&mut meet, &mut contain] {
            rows.iter_mut().zip(free).for_each(|(all, own)| *all |= own);
        }
        Side { set, meet, contain }
    }

    fn known(&self, sides: &Sides) -> Known {
        let all = |row: fn(&Side) -> &Row| {
            let mut all = vec![u64::MAX; self.words];
            sides.iter().for_each(|side| all.iter_mut().zip(row(side)).for_each(|(all, own)| *all &= own));
            all
        };
        Known { meet: all(|side| &side.meet), contain: all(|side| &side.contain) }
    }

    /// What a formula may say in a box.
    fn answers(&self, root: Target, known: &Known, class: Class<'_>, depth: u32) -> u16 {
        let in_set = |leaf: u32| if Target::Leaf(leaf) == YES { WANTED } else { UNWANTED };
        let mut said = 0;
        let mut target = root;
        loop {
            let node = match target {
                Target::Leaf(REFUSED) => return said | NOTHING,
                Target::Leaf(leaf) => return said | class(leaf),
                Target::Node(node) => node,
            };
            let (inside, (yes, no), outside) = match &self.formulas[node as usize] {
                Formula::Decided { product, inside, outside } => {
                    let bit = |row: &Row| row[*product as usize / 64] >> (product % 64) & 1 == 1;
                    (*inside, (bit(&known.meet), !bit(&known.contain)), *outside)
                }
                Formula::Choose { set, inside, outside } => {
                    let set = self.answers(*set, known, &in_set, depth);
                    (*inside, (set & WANTED != 0, set & UNWANTED != 0), *outside)
                }
                Formula::FirstOf(decisions) => {
                    for decision in decisions {
                        let own = self.answers(*decision, known, class, depth);
                        said |= own & !NOTHING;
                        if own & NOTHING == 0 {
                            return said;
                        }
                    }
                    return said | NOTHING;
                }
                Formula::AnyOf(sets) => {
                    let mut any = UNWANTED;
                    for set in sets {
                        match self.answers(*set, known, &in_set, depth) {
                            WANTED => {
                                any = WANTED;
                                break;
                            }
                            own => any |= own & WANTED,
                        }
                    }
                    let yes = if any & WANTED != 0 { self.answers(YES, known, class, depth) } else { 0 };
                    let no = if any & UNWANTED != 0 { self.answers(NO, known, class, depth) } else { 0 };
                    return said | yes | no;
                }
                Formula::Map { of, leaves } => {
                    return said | self.renamed_answers(*of, leaves, known, class, depth);
                }
            };
            if yes {
                said |= self.answers(inside, known, class, depth);
            }
            if !no {
                return said;
            }
            target = outside;
        }
    }

    fn renamed_answers(
        &self,
        of: Target,
        leaves: &[(u32, Target)],
        known: &Known,
        class: Class<'_>,
        depth: u32,
    ) -> u16 {
        let nothing = RENAMED << depth;
        let renamed = |leaf: u32, nothing: u16| match renamed_leaf(leaves, leaf) {
            Target::Leaf(REFUSED) => nothing,
            Target::Leaf(leaf) => class(leaf),
            Target::Node(_) => WANTED | UNWANTED,
        };
        let said = self.answers(of, known, &|leaf| renamed(leaf, nothing), depth + 1);
        let mut all = said & !(NOTHING | nothing);
        if said & NOTHING != 0 {
            all |= renamed(REFUSED, NOTHING);
        }
        if said & nothing != 0 {
            all |= NOTHING;
        }
        all
    }
}

pub(super) fn renamed_leaf(leaves: &[(u32, Target)], leaf: u32) -> Target {
    let found = leaves.binary_search_by_key(&leaf, |(own, _)| *own);
    found.map_or(Target::Leaf(REFUSED), |index| leaves[index].1)
}

fn narrow_to(narrow: &mut [Option<Bits>], product: &Product) -> bool {
    product.sets.iter().all(|(dim, set)| {
        let own = &mut narrow[*dim as usize];
        match own {
            Some(own) => own.intersect(set),
            None => *own = Some(set.clone()),
        }
        own.as_ref().is_some_and(|own| !own.is_empty())
    })
}

/// A search for one request.
struct Search<'a> {
    symbolic: &'a Symbolic,
    root: Target,
    wanted: &'a dyn Fn(u32) -> bool,
    /// The products that the formula asks.
    mask: Row,
}

impl Search<'_> {
    /// A possible request in a box.
    fn look(&self, mut sides: Sides) -> Option<Point> {
        let left = self.symbolic.steps.get().checked_sub(1)?;
        self.symbolic.steps.set(left);
        if !self.settle(&mut sides) {
            return None;
        }
        let known = self.symbolic.known(&sides);
        let class = |leaf: u32| if (self.wanted)(leaf) { WANTED } else { UNWANTED };
        let mut said = self.symbolic.answers(self.root, &known, &class, 0);
        if said & NOTHING != 0 {
            said |= class(REFUSED);
        }
        if said & WANTED == 0 {
            return None;
        }
        if said & UNWANTED == 0 {
            return self.point(&sides);
        }
        let (dim, pieces) = self.pieces(&sides, &known)?;
        for set in pieces {
            let mut piece = sides.clone();
            piece[dim] = Rc::new(self.symbolic.side(dim as u32, set));
            if let Some(found) = self.look(piece) {
                return Some(found);
            }
        }
        None
    }

    /// The dimension in which a box is split, and its pieces: the atoms that the products in doubt do not tell apart.
    fn pieces(&self, sides: &Sides, known: &Known) -> Option<(usize, Vec<Bits>)> {
        let both = known.meet.iter().zip(&known.contain);
        let doubt: Row = both.zip(&self.mask).map(|((meet, contain), mask)| meet & !contain & mask).collect();
        let in_doubt = |dim: usize| -> Row {
            doubt.iter().zip(&sides[dim].contain).map(|(doubt, contain)| doubt & !contain).collect()
        };
        let count = |row: &Row, doubt: &Row| -> u32 {
            row.iter().zip(doubt).map(|(own, doubt)| (own & doubt).count_ones()).sum()
        };
        let most = (0..sides.len()).filter_map(|dim| {
            let doubt = in_doubt(dim);
            let all: u32 = doubt.iter().map(|word| word.count_ones()).sum();
            let rows = &self.symbolic.dims[dim].atoms;
            let least = sides[dim].set.iter().map(|atom| count(&rows[atom as usize], &doubt)).min()?;
            (all > 0).then_some((all - least.min(all), std::cmp::Reverse(dim), doubt))
        });
        let (_, std::cmp::Reverse(dim), doubt) = most.max_by_key(|(won, dim, _)| (*won, *dim))?;
        let rows = &self.symbolic.dims[dim].atoms;
        let mut numbers: FxHashMap<Row, usize> = FxHashMap::default();
        let mut pieces: Vec<(u32, Bits)> = Vec::new();
        for atom in sides[dim].set.iter() {
            let row: Row = rows[atom as usize].iter().zip(&doubt).map(|(own, doubt)| own & doubt).collect();
            let fresh = pieces.len();
            let left = count(&row, &doubt);
            let number = *numbers.entry(row).or_insert(fresh);
            if number == fresh {
                pieces.push((left, Bits::none(rows.len() as u32)));
            }
            pieces[number].1.insert(atom);
        }
        pieces.sort_by_key(|(left, _)| *left);
        Some((dim, pieces.into_iter().map(|(_, set)| set).collect()))
    }

    /// Takes out of a box what no request has together: segments behind the end of a path, `*` but for `OPTIONS`. `false` where
    /// nothing is left.
    fn settle(&self, sides: &mut Sides) -> bool {
        let space = &self.symbolic.space;
        let places = space.segments().len();
        let first = FIELDS as usize;
        let (star, options) = (space.paths.star(), method_atom(Method::Options));
        if places > 0 {
            for place in (0..places - 1).rev() {
                if !sides[first + place + 1].set.contains(END) {
                    self.without(sides, first + place, &|atom| atom == END || atom == EMPTY);
                }
            }
            if !sides[first].set.contains(END) || !sides[METHOD as usize].set.contains(options) {
                self.without(sides, PATH as usize, &|atom| atom == star);
            }
            if !sides[PATH as usize].set.contains(star) {
                self.without(sides, first, &|atom| atom == END);
            }
            if sides[PATH as usize].set.iter().all(|atom| atom == star) {
                self.without(sides, METHOD as usize, &|atom| atom != options);
                self.without(sides, first, &|atom| atom != END);
            }
            for place in 1..places {
                if sides[first + place - 1].set.iter().all(|atom| atom == END || atom == EMPTY) {
                    self.without(sides, first + place, &|atom| atom != END);
                }
            }
        }
        sides.iter().all(|side| !side.set.is_empty())
    }

    fn without(&self, sides: &mut Sides, dim: usize, out: &dyn Fn(u32) -> bool) {
        let own = &sides[dim].set;
        if own.iter().any(out) {
            let arity = self.symbolic.space.arity(dim as u32);
            let left = Bits::such_that(arity, |atom| own.contains(atom) && !out(atom));
            sides[dim] = Rc::new(self.symbolic.side(dim as u32, left));
        }
    }

    /// A possible request in a box, an atom for each dimension in which the box is not everything; the plainest there is.
    fn point(&self, sides: &Sides) -> Option<Point> {
        let mut point = Point::new();
        self.possible(sides, &mut point, PEER).then_some(point)
    }

    /// Depth first in order of plainness, from a dimension on.
    fn possible(&self, sides: &Sides, point: &mut Point, from: u32) -> bool {
        let space = &self.symbolic.space;
        let segments = FIELDS..FIELDS + space.segments().len() as u32;
        let matters = |dim: &u32| {
            segments.contains(dim)
                || (*dim == PATH && !segments.is_empty())
                || sides[*dim as usize].set != self.symbolic.whole(*dim).set
        };
        let Some(dim) = (from..sides.len() as u32).find(matters) else { return true };
        for atom in plain_order(space, dim) {
            let known = |wanted: u32| point.iter().find(|(dim, _)| *dim == wanted).map(|(_, atom)| *atom);
            if !sides[dim as usize].set.contains(atom) || !space.is_possible(dim, atom, &known) {
                continue;
            }
            point.push((dim, atom));
            if self.possible(sides, point, dim + 1) {
                return true;
            }
            point.pop();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::Diagram;
    use super::*;
    use crate::model::Shape;
    use crate::space::peer::Peers;
    use mesh_lang::ast::{Path, PathPattern, Segment};

    fn shape(path: &str) -> Shape {
        let segment = |text: &str| match text {
            "*" => Segment::Any("x".into()),
            text => Segment::Literal(text.into()),
        };
        let segments = path.split('/').skip(1).map(segment).collect();
        let path = Path::from(PathPattern { segments, subtree: false });
        Shape { path: Some(path), ..Shape::default() }
    }

    #[test]
    fn a_search_that_is_given_up_proves_nothing() {
        let shapes = ["/*/*/*", "/a/*/*", "/*/a/*", "/*/*/a"].map(shape);
        let space = Space::by_segments(shapes.iter(), Peers::indifferent()).expect("a few words");
        let mut diagram = Diagram::symbolic(Rc::new(space));
        let products = shapes.each_ref().map(|shape| diagram.space().product(shape, None));
        let sets = products.each_ref().map(|product| diagram.product(product).expect("a formula"));
        let others = diagram.any_of_sets(&sets[1..]).expect("a formula");
        let left = diagram.minus(sets[0], others).expect("a formula");
        assert!(diagram.any_of(left).is_some() && !diagram.is_exhausted(), "`/1/1/1` is in no other");
        diagram.symbolic.as_ref().expect("formulas").steps.set(1);
        assert!(diagram.any_of(left).is_none(), "a box must be split");
        assert!(diagram.is_exhausted());
    }

    #[test]
    fn what_no_request_has_together_is_in_no_set() {
        let shapes = ["/a", "/a/", "/a/b", "/*/b"].map(shape);
        let space = Space::by_segments(shapes.iter(), Peers::indifferent()).expect("a few words");
        let mut diagram = Diagram::symbolic(Rc::new(space));
        let all = Product { sets: vec![] };
        let products = shapes.each_ref().map(|shape| diagram.space().product(shape, None));
        let behind_the_end = products[1].and(&products[2]);
        assert!(behind_the_end.is_empty(), "`/a/` is not `/a/b`");
        let [end, empty, ..] =
            products.each_ref().map(|product| diagram.product(product).expect("a formula"));
        let both = diagram.and(end, empty).expect("a formula");
        assert_eq!((diagram.any_of(both), diagram.contains(end, &all)), (None, false));
        let inside = diagram.product(&products[2]).expect("a formula");
        assert!(diagram.contains(inside, &products[2]) && !diagram.contains(inside, &products[3]));
    }
}
