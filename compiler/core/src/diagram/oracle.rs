//! The diagrams against binary decision diagrams of another make, over the bits of atoms: unions, intersections, differences, choices,
//! emptiness, equality and sizes are the same.

use super::Diagram;
use crate::model::{Asked, Field, FieldTest, Polarity, Shape, ValueSet};
use crate::space::peer::Peers;
use crate::space::{FIELDS, METHOD, PATH, Product, Space};
use biodivine_lib_bdd::{Bdd, BddValuation, BddVariable, BddVariableSet};
use mesh_lang::ast::Method;
use mesh_plan::Target;
use std::rc::Rc;

/// Sets that are made and compared, unless `MESH_BDD` says another number.
const SETS: usize = 4_000;

/// Sets of one space; the next ones are made over another.
const SETS_OF_A_SPACE: usize = 100;

/// The atoms of each dimension, as the values of a few bits.
struct Bits {
    variables: BddVariableSet,
    /// By dimension.
    of: Vec<Vec<BddVariable>>,
    arities: Vec<u32>,
    /// The codes that are atoms.
    valid: Bdd,
    /// What can be asked.
    possible: Bdd,
}

impl Bits {
    fn new(space: &Space) -> Bits {
        let dims = FIELDS + space.fields.len() as u32;
        let arities: Vec<u32> = (0..dims).map(|dim| space.arity(dim)).collect();
        let widths: Vec<u32> = arities.iter().map(|arity| u32::BITS - (arity - 1).leading_zeros()).collect();
        let variables = BddVariableSet::new_anonymous(widths.iter().sum::<u32>() as u16);
        let mut all = variables.variables().into_iter();
        let of = widths.iter().map(|width| all.by_ref().take(*width as usize).collect()).collect();
        let none = variables.mk_false();
        let mut bits = Bits { variables, of, arities, valid: none.clone(), possible: none };
        bits.valid = (0..dims).fold(bits.variables.mk_true(), |all, dim| all.and(&bits.any(dim, |_| true)));
        bits.possible = (0..dims).fold(bits.valid.clone(), |all, dim| {
            all.and(&bits.any(dim, |atom| dim == PATH || space.is_possible(dim, atom, &|_| None)))
        });
        let star = space.paths.star();
        let named = bits.any(PATH, |atom| atom == star || space.paths.witness(atom).is_some());
        let asked =
            bits.atom(PATH, star).and_not(&bits.atom(METHOD, crate::space::method_atom(Method::Options)));
        bits.possible = bits.possible.and(&named).and_not(&asked);
        bits
    }

    fn atom(&self, dim: u32, atom: u32) -> Bdd {
        let bits = self.of[dim as usize].iter().zip(0..);
        let literals = bits.map(|(bit, place)| self.variables.mk_literal(*bit, atom >> place & 1 == 1));
        literals.fold(self.variables.mk_true(), |all, literal| all.and(&literal))
    }

    fn any(&self, dim: u32, is: impl Fn(u32) -> bool) -> Bdd {
        let atoms = (0..self.arities[dim as usize]).filter(|atom| is(*atom));
        atoms.fold(self.variables.mk_false(), |all, atom| all.or(&self.atom(dim, atom)))
    }

    fn product(&self, product: &Product) -> Bdd {
        let dims = product.sets.iter().map(|(dim, set)| self.any(*dim, |atom| set.contains(atom)));
        dims.fold(self.valid.clone(), |all, dim| all.and(&dim))
    }

    fn has(&self, set: &Bdd, point: &[(u32, u32)]) -> bool {
        let mut valuation = BddValuation::all_false(self.variables.num_vars());
        for (dim, atom) in point {
            for (bit, place) in self.of[*dim as usize].iter().zip(0..) {
                valuation.set_value(*bit, atom >> place & 1 == 1);
            }
        }
        set.eval_in(&valuation)
    }
}

/// A few lines over two headers, methods and paths.
fn shapes(rng: &mut u64) -> Vec<Shape> {
    let passing = |asked: Asked, rng: &mut u64| {
        let negated = draw(rng, 3) == 0;
        ValueSet::Passing { asked, negated, polarity: Polarity::Grant }
    };
    let of_header = |name: &str, rng: &mut u64| {
        let value = ["a", "ab", "b"][draw(rng, 3)].into();
        let set = match draw(rng, 4) {
            0 => ValueSet::Present,
            1 => passing(Asked::Prefix(value), rng),
            2 => passing(Asked::Contains(value), rng),
            _ => passing(Asked::OneOf(vec![value]), rng),
        };
        FieldTest { field: Field::Header(name.into()), set }
    };
    let of_path = |rng: &mut u64| {
        let asked = match draw(rng, 3) {
            0 => Asked::Prefix("/a".into()),
            1 => Asked::Suffix("b".into()),
            _ => Asked::OneOf(vec!["/a".into()]),
        };
        FieldTest { field: Field::Path, set: passing(asked, rng) }
    };
    let shape = |rng: &mut u64| {
        let method = [None, Some(Method::Get), Some(Method::Post), Some(Method::Options)][draw(rng, 4)];
        let mut tests = Vec::new();
        if draw(rng, 2) == 0 {
            tests.push(of_path(rng));
        }
        for name in ["h", "i"] {
            if draw(rng, 2) == 0 {
                tests.push(of_header(name, rng));
            }
        }
        Shape { method, path: None, tests: tests.into() }
    };
    (0..6).map(|_| shape(rng)).collect()
}

/// Below `count`; the generator is Marsaglia's ("Xorshift RNGs", 2003).
fn draw(state: &mut u64, count: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % count as u64) as usize
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how much is compared is said from outside")]
fn sets_are_those_of_binary_decision_diagrams() {
    let wanted = std::env::var("MESH_BDD").ok().and_then(|text| text.parse().ok()).unwrap_or(SETS);
    let (mut rng, mut made, mut equal, mut empty) = (0x9e37_79b9_7f4a_7c15, 0, 0, 0);
    while made < wanted {
        let shapes = shapes(&mut rng);
        let space = Rc::new(Space::new(shapes.iter(), Peers::indifferent()).expect("a small space"));
        let bits = Bits::new(&space);
        let mut diagram = Diagram::new(space.clone());
        let mut sets: Vec<(Target, Bdd)> = Vec::new();
        for shape in &shapes {
            let product = space.product(shape, None);
            sets.push((diagram.product(&product).expect("a few nodes"), bits.product(&product)));
        }
        for _ in 0..SETS_OF_A_SPACE {
            let mut pick = || sets[draw(&mut rng, sets.len())].clone();
            let ((a, one), (b, other), (c, third)) = (pick(), pick(), pick());
            let (set, known) = match draw(&mut rng, 4) {
                0 => (diagram.and(a, b), one.and(&other)),
                1 => (diagram.or(a, b), one.or(&other)),
                2 => (diagram.minus(a, b), one.and_not(&other)),
                _ => (diagram.choose(a, b, c), one.and(&other).or(&third.and_not(&one))),
            };
            let set = set.expect("a few nodes");
            let (compared, its) = &sets[draw(&mut rng, sets.len())];
            assert_eq!(set == *compared, known == *its, "equality");
            assert_eq!(diagram.size(set) as f64, known.cardinality(), "size");
            let is_empty = known.and(&bits.possible).is_false();
            match diagram.any_of(set) {
                Some(point) => {
                    assert!(bits.has(&known, &complete(&point, &space)), "a point that is not in it")
                }
                None => assert!(is_empty, "held empty"),
            }
            (equal, empty) = (equal + usize::from(known == *its), empty + usize::from(is_empty));
            sets.push((set, known));
            made += 1;
        }
    }
    assert!(equal * 50 > made && empty * 100 > made, "{equal} equal and {empty} empty of {made}");
}

/// Formulas that are searched, unless `MESH_BDD` says another number.
const FORMULAS: usize = 2_000;

#[test]
#[expect(clippy::disallowed_methods, reason = "how much is compared is said from outside")]
fn searches_find_what_binary_decision_diagrams_hold() {
    let wanted = std::env::var("MESH_BDD").ok().and_then(|text| text.parse().ok()).unwrap_or(FORMULAS);
    let (mut rng, mut made, mut empty) = (0x9e37_79b9_7f4a_7c15, 0, 0);
    while made < wanted {
        let shapes = shapes(&mut rng);
        let space = Rc::new(Space::new(shapes.iter(), Peers::indifferent()).expect("a small space"));
        let bits = Bits::new(&space);
        let mut diagram = Diagram::symbolic(space.clone());
        let mut products: Vec<(Target, Bdd)> = Vec::new();
        for shape in &shapes {
            let product = space.product(shape, None);
            products.push((diagram.product(&product).expect("a formula"), bits.product(&product)));
        }
        for _ in 0..20 {
            let (set, known) = formula(&mut diagram, &products, 3, &mut rng);
            let is_empty = known.and(&bits.possible).is_false();
            match diagram.any_of(set) {
                Some(point) => {
                    assert!(bits.has(&known, &complete(&point, &space)), "a point that is not in it")
                }
                None => assert!(is_empty, "held empty"),
            }
            let (within, its) = &products[draw(&mut rng, products.len())];
            let product =
                space.product(&shapes[products.iter().position(|own| own.0 == *within).unwrap_or(0)], None);
            let contained = its.and(&bits.possible).and_not(&known).is_false();
            assert_eq!(diagram.contains(set, &product), contained, "containment");
            assert_eq!(diagram.size(set) == 0, is_empty, "size");
            assert!(!diagram.is_exhausted(), "a few boxes");
            (made, empty) = (made + 1, empty + usize::from(is_empty));
        }
    }
    assert!(empty * 20 > made && empty * 2 < made, "{empty} empty of {made}");
}

/// A formula of so many operations one inside the other.
fn formula(diagram: &mut Diagram, products: &[(Target, Bdd)], depth: usize, rng: &mut u64) -> (Target, Bdd) {
    if depth == 0 || draw(rng, 5) == 0 {
        return products[draw(rng, products.len())].clone();
    }
    let mut inner = || formula(diagram, products, depth - 1, rng);
    let ((a, one), (b, other), (c, third)) = (inner(), inner(), inner());
    let (set, known) = match draw(rng, 5) {
        0 => (diagram.and(a, b), one.and(&other)),
        1 => (diagram.or(a, b), one.or(&other)),
        2 => (diagram.minus(a, b), one.and_not(&other)),
        3 => (diagram.any_of_sets(&[a, b, c]), one.or(&other).or(&third)),
        _ => (diagram.choose(a, b, c), one.and(&other).or(&third.and_not(&one))),
    };
    (set.expect("a formula"), known)
}

/// A point with what it leaves open: there every atom will do.
fn complete(point: &[(u32, u32)], space: &Space) -> Vec<(u32, u32)> {
    let said = |dim: u32| point.iter().find(|(own, _)| *own == dim).map(|(_, atom)| *atom);
    (0..FIELDS + space.fields.len() as u32).map(|dim| (dim, said(dim).unwrap_or(0))).collect()
}
