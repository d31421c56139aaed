//! The request space of one partition: how each part of a request becomes one of a few atoms, and how a line becomes a
//! product of sets of atoms.
//!
//! A partition is what one decision looks at: a service port, a listener of a gateway, or a call. Two values of a part are in
//! the same atom iff no line of the partition tells them apart (atomic predicates, Yang and Lam 2013), so every question
//! about requests becomes one about small integers, without loss.

pub(crate) mod address;
pub(crate) mod automaton;
mod merge;
pub(crate) mod path;
pub(crate) mod peer;
pub(crate) mod text;
pub(crate) mod value;

use crate::bits::Bits;
use crate::model::{Field, Line, Shape, ValueSet};
use address::Addresses;
use mesh_lang::ast::Method;
use mesh_plan::METHOD_ATOMS;
use path::Paths;
use peer::Peers;
use std::collections::BTreeMap;
use text::Universe;
use value::{TooMuch, Values};

/// Dimensions, in the order in which diagrams ask them; fields follow.
pub(crate) const PEER: u32 = 0;
/// See [`PEER`].
pub(crate) const METHOD: u32 = 1;
/// See [`PEER`].
pub(crate) const PATH: u32 = 2;
/// The first field; see [`PEER`].
pub(crate) const FIELDS: u32 = 3;

/// The dimensions of a partition.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) peers: Peers,
    pub(crate) paths: Paths,
    /// Sorted by field.
    pub(crate) fields: Vec<Dimension>,
}

/// A field that something tests.
#[derive(Debug)]
pub(crate) struct Dimension {
    pub(crate) field: Field,
    pub(crate) kind: Kind,
    /// What has to be so where this field has a value: the dimension of its token, or of the claim that it is inside of.
    leaders: Vec<(u32, u32)>,
}

/// What values a field has.
#[derive(Debug)]
pub(crate) enum Kind {
    Values(Values),
    Addresses(Addresses),
    /// A token is there or not.
    Token,
}

/// The atom of a token that is not there.
pub(crate) const NO_TOKEN: u32 = 0;
/// The atom of a token that is there.
pub(crate) const TOKEN: u32 = 1;

/// A product: the sets of the dimensions that are not everything, sorted by dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Product {
    pub(crate) sets: Vec<(u32, Bits)>,
}

/// The field that cannot be told apart within the budget, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooFine {
    pub(crate) field: Field,
    pub(crate) why: TooMuch,
}

impl Space {
    /// The space that tells apart what these shapes and peers tell apart.
    pub(crate) fn new<'m>(
        shapes: impl Iterator<Item = &'m Shape> + Clone,
        peers: Peers,
    ) -> Result<Space, TooFine> {
        let patterns = shapes.clone().filter_map(|shape| shape.path.as_ref());
        let mut by_field: BTreeMap<&Field, Vec<&ValueSet>> = BTreeMap::new();
        for test in shapes.clone().flat_map(|shape| &shape.tests) {
            by_field.entry(&test.field).or_default().push(&test.set);
        }
        let of_path = by_field.remove(&Field::Path).unwrap_or_default();
        let paths = Paths::new(patterns, &of_path).map_err(|why| TooFine { field: Field::Path, why })?;
        let mut fields: Vec<Dimension> = Vec::with_capacity(by_field.len());
        for (field, sets) in by_field {
            let kind = Kind::new(field, &sets).map_err(|why| TooFine { field: field.clone(), why })?;
            let leaders =
                fields.iter().zip(FIELDS..).filter_map(|(other, dim)| Some((dim, other.needed_by(field)?)));
            let leaders = leaders.collect();
            fields.push(Dimension { field: field.clone(), kind, leaders });
        }
        Ok(Space { peers, paths, fields })
    }

    pub(crate) fn arity(&self, dim: u32) -> u32 {
        match dim {
            PEER => self.peers.atoms(),
            METHOD => METHOD_ATOMS,
            PATH => self.paths.atoms(),
            field => self.dimension(field).kind.atoms(),
        }
    }

    pub(crate) fn dimension(&self, dim: u32) -> &Dimension {
        &self.fields[(dim - FIELDS) as usize]
    }

    /// The dimensions on which it depends what is possible in others.
    pub(crate) fn leaders(&self) -> Vec<u32> {
        let of_fields =
            self.fields.iter().flat_map(|dimension| dimension.leaders.iter().map(|(dim, _)| *dim));
        let mut leaders: Vec<u32> = std::iter::once(METHOD).chain(of_fields).collect();
        leaders.sort_unstable();
        leaders.dedup();
        leaders
    }

    /// Whether some request has this atom, given what is known of it. `known` says the atom of a dimension.
    pub(crate) fn is_possible(&self, dim: u32, atom: u32, known: &dyn Fn(u32) -> Option<u32>) -> bool {
        match dim {
            PEER | METHOD => true,
            PATH if atom == self.paths.star() => {
                known(METHOD).is_none_or(|method| method == method_atom(Method::Options))
            }
            PATH => self.paths.witness(atom).is_some(),
            field => {
                let dimension = self.dimension(field);
                let fits = |(leader, needed): &(u32, u32)| known(*leader).is_none_or(|atom| atom == *needed);
                dimension.kind.is_possible(atom)
                    && (atom == value::ABSENT || dimension.leaders.iter().all(fits))
            }
        }
    }

    /// What a shape denotes here; `from` narrows it to some peers.
    pub(crate) fn product(&self, shape: &Shape, from: Option<Bits>) -> Product {
        let mut sets: BTreeMap<u32, Bits> = BTreeMap::new();
        let mut narrow = |dim: u32, set: Bits| {
            sets.entry(dim).and_modify(|all| all.intersect(&set)).or_insert(set);
        };
        from.into_iter().for_each(|set| narrow(PEER, set));
        if let Some(method) = shape.method {
            narrow(METHOD, Bits::such_that(METHOD_ATOMS, |atom| atom == method_atom(method)));
        }
        shape.path.iter().for_each(|pattern| narrow(PATH, self.paths.set(pattern)));
        for test in &shape.tests {
            if test.field == Field::Path {
                narrow(PATH, self.paths.set_of(&test.set));
            } else if let Ok(index) = self.fields.binary_search_by(|own| own.field.cmp(&test.field)) {
                narrow(FIELDS + index as u32, self.fields[index].kind.set(&test.set));
            }
        }
        Product { sets: sets.into_iter().collect() }.normal(self)
    }

    pub(crate) fn line(&self, line: &Line) -> Product {
        self.product(&line.shape, None)
    }
}

impl Dimension {
    /// The atom of this field without which the other one has no value: a token for its claims, an object for what is
    /// inside it.
    fn needed_by(&self, other: &Field) -> Option<u32> {
        let Field::Claim { issuer: theirs, path: inner } = other else { return None };
        match (&self.field, &self.kind) {
            (Field::Jwt(issuer), _) => (issuer == theirs).then_some(TOKEN),
            (Field::Claim { issuer, path }, Kind::Values(values)) => {
                (issuer == theirs && inner.len() > path.len() && inner.starts_with(path))
                    .then(|| values.odd())
            }
            _ => None,
        }
    }
}

impl Kind {
    fn new(field: &Field, sets: &[&ValueSet]) -> Result<Kind, TooMuch> {
        let universe = match field {
            Field::Jwt(_) => return Ok(Kind::Token),
            Field::SourceIp => return Ok(Kind::Addresses(Addresses::new(sets, false))),
            Field::ClientIp => return Ok(Kind::Addresses(Addresses::new(sets, true))),
            Field::Header(name) if NOT_LISTS.contains(&name.as_str()) => Universe::HeaderLine,
            Field::Header(_) => Universe::HeaderItem,
            Field::Query(_) => Universe::Query,
            Field::Cookie(_) => Universe::Cookie,
            Field::Claim { .. } => Universe::Claim,
            Field::Path => Universe::Path,
            Field::Host => Universe::Host,
        };
        Values::new(sets, universe).map(Kind::Values)
    }

    pub(crate) fn atoms(&self) -> u32 {
        match self {
            Kind::Values(values) => values.atoms(),
            Kind::Addresses(addresses) => addresses.atoms(),
            Kind::Token => 2,
        }
    }

    /// Atoms from the one a person would think of first.
    pub(crate) fn plain_order(&self) -> Vec<u32> {
        match self {
            Kind::Values(values) => values.plain_order(),
            Kind::Addresses(addresses) => addresses.plain_order(),
            Kind::Token => vec![NO_TOKEN, TOKEN],
        }
    }

    fn is_possible(&self, atom: u32) -> bool {
        match self {
            Kind::Values(values) => values.sample(atom).is_some(),
            Kind::Addresses(_) | Kind::Token => true,
        }
    }

    /// The possible atoms of a set.
    fn set(&self, set: &ValueSet) -> Bits {
        match self {
            Kind::Values(values) => values.set(set),
            Kind::Addresses(addresses) => addresses.set(set),
            Kind::Token => Bits::such_that(2, |atom| match set {
                ValueSet::Absent => atom == NO_TOKEN,
                ValueSet::Present => atom == TOKEN,
                ValueSet::Passing { .. } => false,
            }),
        }
    }
}

/// Fields whose values may hold commas that separate nothing (`spec/semantics.md` 1.3); no rule looks at `host` and `cookie`.
const NOT_LISTS: &[&str] = &[
    "authorization",
    "date",
    "expires",
    "if-modified-since",
    "if-unmodified-since",
    "last-modified",
    "retry-after",
    "set-cookie",
    "user-agent",
];

pub(crate) fn method_atom(method: Method) -> u32 {
    method as u32
}

impl Product {
    /// Drops the sets that are everything, so that equal sets have equal products.
    fn normal(mut self, space: &Space) -> Product {
        let everything = |dim: u32, set: &Bits| {
            (0..space.arity(dim)).all(|atom| set.contains(atom) || !space.is_possible(dim, atom, &|_| None))
        };
        self.sets.retain(|(dim, set)| !everything(*dim, set));
        self
    }

    /// Whether no request is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.iter().any(|(_, set)| set.is_empty())
    }

    fn set(&self, dim: u32) -> Option<&Bits> {
        self.sets.iter().find(|(own, _)| *own == dim).map(|(_, set)| set)
    }

    /// Whether the two share a point.
    pub(crate) fn meets(&self, other: &Product) -> bool {
        !self.is_empty()
            && !other.is_empty()
            && self.sets.iter().all(|(dim, set)| other.set(*dim).is_none_or(|theirs| set.meets(theirs)))
    }

    /// Whether every point of this one is in the other. Exact, since a product of sets that are not empty is inside
    /// another iff each set is.
    pub(crate) fn is_subset(&self, other: &Product) -> bool {
        self.is_empty()
            || other.sets.iter().all(|(dim, theirs)| self.set(*dim).is_some_and(|set| set.is_subset(theirs)))
    }
}
