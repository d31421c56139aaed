//! The request space of one partition: how each part of a request becomes one of a few atoms, and how a line becomes a
//! product of sets of atoms.
//!
//! A partition is what one decision looks at: a service port, a listener of a gateway, or a call. Two values of a part are in
//! the same atom iff no line of the partition tells them apart (atomic predicates, Yang and Lam 2013), so every question
//! about requests becomes one about small integers, without loss.

pub(crate) mod header;
pub(crate) mod path;
pub(crate) mod peer;

use crate::bits::Bits;
use crate::model::{Line, Shape};
use header::Header;
use mesh_lang::ast::Method;
use mesh_plan::METHOD_ATOMS;
use path::Paths;
use peer::Peers;
use std::collections::BTreeMap;

/// Dimensions, in the order in which diagrams ask them; headers follow.
pub(crate) const PEER: u32 = 0;
/// See [`PEER`].
pub(crate) const METHOD: u32 = 1;
/// See [`PEER`].
pub(crate) const PATH: u32 = 2;
/// The first header; see [`PEER`].
pub(crate) const HEADERS: u32 = 3;

/// The dimensions of a partition.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) peers: Peers,
    pub(crate) paths: Paths,
    /// Sorted by name.
    pub(crate) headers: Vec<Header>,
}

/// A product: the sets of the dimensions that are not everything, sorted by dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Product {
    pub(crate) sets: Vec<(u32, Bits)>,
}

impl Space {
    /// The space that tells apart what these shapes and peers tell apart.
    pub(crate) fn new<'m>(
        shapes: impl Iterator<Item = &'m Shape> + Clone,
        peers: Peers,
    ) -> Result<Space, path::TooManyStates> {
        let patterns = shapes.clone().filter_map(|shape| shape.path.as_ref());
        let tests = shapes.flat_map(|shape| &shape.headers);
        Ok(Space { peers, paths: Paths::new(patterns)?, headers: header::dimensions(tests) })
    }

    pub(crate) fn arity(&self, dim: u32) -> u32 {
        match dim {
            PEER => self.peers.atoms(),
            METHOD => METHOD_ATOMS,
            PATH => self.paths.atoms(),
            header => self.headers[(header - HEADERS) as usize].atoms(),
        }
    }

    /// What a shape denotes here; `from` narrows it to some peers.
    pub(crate) fn product(&self, shape: &Shape, from: Option<Bits>) -> Product {
        let mut sets = Vec::new();
        sets.extend(from.map(|set| (PEER, set)));
        if let Some(method) = shape.method {
            sets.push((METHOD, Bits::such_that(METHOD_ATOMS, |atom| atom == method_atom(method))));
        }
        if let Some(pattern) = &shape.path {
            sets.push((PATH, self.paths.set(pattern)));
        }
        let mut tested: BTreeMap<u32, Bits> = BTreeMap::new();
        for test in &shape.headers {
            let Ok(index) = self.headers.binary_search_by(|header| header.name.cmp(&test.header)) else {
                continue;
            };
            let set = self.headers[index].set(&test.test);
            tested.entry(HEADERS + index as u32).and_modify(|all| all.intersect(&set)).or_insert(set);
        }
        sets.extend(tested);
        Product { sets }.normal(self)
    }

    pub(crate) fn line(&self, line: &Line) -> Product {
        self.product(&line.shape, None)
    }
}

pub(crate) fn method_atom(method: Method) -> u32 {
    method as u32
}

impl Product {
    /// Drops the sets that are everything, so that equal sets have equal products.
    fn normal(mut self, space: &Space) -> Product {
        self.sets.retain(|(dim, set)| !(0..space.arity(*dim)).all(|atom| set.contains(atom)));
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
