//! Requests with what is decided about them.

use super::{Record, Row, Rows};
use crate::layout::{Section, fact, vector};
use crate::plan::{self, FactKind};

/// A request, and what was proved to be decided about it.
#[derive(Clone, Copy)]
pub struct Vector<'p>(Record<'p>);

impl<'p> Row<'p> for Vector<'p> {
    const SECTION: Section = Section::Vectors;

    fn of(record: Record<'p>) -> Self {
        Vector(record)
    }
}

impl<'p> Vector<'p> {
    /// Index of the partition that decides.
    pub fn partition(self) -> u32 {
        self.0.word(vector::PARTITION)
    }

    /// Index of the root that is asked, or [`NONE`](crate::NONE) for the authorization.
    pub fn root(self) -> u32 {
        self.0.word(vector::ROOT)
    }

    /// The leaf that it ends in.
    pub fn leaf(self) -> u32 {
        self.0.word(vector::LEAF)
    }

    /// The identity of the peer; empty where it has none.
    pub fn peer(self) -> &'p str {
        self.0.text(vector::PEER)
    }

    /// The atom of the method.
    pub fn method(self) -> u32 {
        self.0.word(vector::METHOD)
    }

    /// Canonical, without query; or `*`.
    pub fn path(self) -> &'p str {
        self.0.text(vector::PATH)
    }

    /// What else is to be known of it.
    pub fn facts(self) -> Rows<'p, Fact<'p>> {
        self.0.rows(vector::FACTS)
    }

    pub(crate) fn to_value(self) -> plan::Vector {
        plan::Vector {
            root: self.root(),
            leaf: self.leaf(),
            peer: self.peer().to_owned(),
            method: self.method(),
            path: self.path().to_owned(),
            facts: self.facts().iter().map(Fact::to_value).collect(),
        }
    }
}

/// Something of a request.
#[derive(Clone, Copy)]
pub struct Fact<'p>(Record<'p>);

impl<'p> Row<'p> for Fact<'p> {
    const SECTION: Section = Section::Facts;

    fn of(record: Record<'p>) -> Self {
        Fact(record)
    }
}

impl<'p> Fact<'p> {
    /// What it is about.
    pub fn kind(self) -> FactKind {
        FactKind::ALL.get(self.0.word(fact::KIND) as usize).copied().unwrap_or(FactKind::Host)
    }

    /// Of a header, lower-case; of a claim or token the issuer.
    pub fn name(self) -> &'p str {
        self.0.text(fact::NAME)
    }

    /// Of a claim its JSON pointer.
    pub fn pointer(self) -> &'p str {
        self.0.text(fact::POINTER)
    }

    /// What is said.
    pub fn value(self) -> &'p str {
        self.0.text(fact::VALUE)
    }

    fn to_value(self) -> plan::Fact {
        let [name, pointer, value] = [self.name(), self.pointer(), self.value()].map(str::to_owned);
        plan::Fact { kind: self.kind(), name, pointer, value }
    }
}
