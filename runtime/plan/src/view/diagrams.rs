//! How a request becomes atoms and atoms become a leaf.

use super::rows::{Record, Row, Rows};
use crate::layout::{NODE, Section, header, node, pair, partition, state};
use crate::plan::{METHOD_ATOMS, NONE, Target};
use std::cmp::Ordering;

/// The dimensions of one decision.
#[derive(Clone, Copy)]
pub struct Partition<'p>(Record<'p>);

impl<'p> Row<'p> for Partition<'p> {
    const SECTION: Section = Section::Partitions;

    fn of(record: Record<'p>) -> Self {
        Partition(record)
    }
}

impl<'p> Partition<'p> {
    /// Its place among the plan's partitions.
    pub fn index(self) -> u32 {
        self.0.index()
    }

    /// Number of peer atoms.
    pub fn peer_atoms(self) -> u32 {
        self.0.word(partition::PEER_ATOMS)
    }

    /// (principal, atom), sorted.
    pub fn peer_principals(self) -> Rows<'p, PeerPrincipal> {
        self.0.rows(partition::PEER_PRINCIPALS)
    }

    /// (namespace, atom), sorted.
    pub fn peer_namespaces(self) -> Rows<'p, PeerNamespace> {
        self.0.rows(partition::PEER_NAMESPACES)
    }

    /// Atom of a principal, where it has one of its own.
    pub fn atom_of_principal(self, principal: u32) -> Option<u32> {
        self.peer_principals().find(|row| row.0.0.cmp(&principal)).map(|(_, row)| row.0.1)
    }

    /// Atom of a namespace, where it has one of its own.
    pub fn atom_of_namespace(self, namespace: u32) -> Option<u32> {
        self.peer_namespaces().find(|row| row.0.0.cmp(&namespace)).map(|(_, row)| row.0.1)
    }

    /// Atom of any other own identity that is not a gateway.
    pub fn own(self) -> u32 {
        self.0.word(partition::PEER_OWN)
    }

    /// Atom of any other gateway.
    pub fn gateway(self) -> u32 {
        self.0.word(partition::PEER_GATEWAY)
    }

    /// Atom of any other foreign identity.
    pub fn foreign(self) -> u32 {
        self.0.word(partition::PEER_FOREIGN)
    }

    /// Atom of a peer without identity.
    pub fn unauthenticated(self) -> u32 {
        self.0.word(partition::PEER_NONE)
    }

    /// States of the path automaton; state 0 is the start.
    pub fn states(self) -> Rows<'p, State<'p>> {
        self.0.rows(partition::STATES)
    }

    /// Number of path atoms.
    pub fn path_atoms(self) -> u32 {
        self.0.word(partition::PATH_ATOMS)
    }

    /// Atom of the path `*`.
    pub fn star(self) -> u32 {
        self.0.word(partition::STAR)
    }

    /// The headers that something tests.
    pub fn headers(self) -> Rows<'p, Header<'p>> {
        self.0.rows(partition::HEADERS)
    }

    /// Where the authorization begins.
    pub fn access(self) -> Target {
        target(self.0.word(partition::ACCESS))
    }

    /// Where routes or calls begin.
    pub fn roots(self) -> Rows<'p, Target> {
        self.0.rows(partition::ROOTS)
    }

    /// A root by index.
    pub fn root(self, index: u32) -> Option<Target> {
        self.roots().get(index)
    }

    /// Number of atoms of a dimension; `None` where it has no such dimension.
    pub fn atoms(self, dim: u32) -> Option<u32> {
        match dim {
            0 => Some(self.peer_atoms()),
            1 => Some(METHOD_ATOMS),
            2 => Some(self.path_atoms()),
            header => self.headers().get(header - 3).map(Header::atoms),
        }
    }
}

fn target(word: u32) -> Target {
    match word {
        NONE => Target::Leaf(NONE),
        node if node & NODE != 0 => Target::Node(node & !NODE),
        leaf => Target::Leaf(leaf),
    }
}

impl<'p> Row<'p> for Target {
    const SECTION: Section = Section::Roots;

    fn of(record: Record<'p>) -> Self {
        target(record.word(0))
    }
}

/// A principal and its atom.
#[derive(Clone, Copy)]
pub struct PeerPrincipal(pub (u32, u32));

impl<'p> Row<'p> for PeerPrincipal {
    const SECTION: Section = Section::PeerPrincipals;

    fn of(record: Record<'p>) -> Self {
        PeerPrincipal((record.word(pair::KEY), record.word(pair::VALUE)))
    }
}

/// A namespace and its atom.
#[derive(Clone, Copy)]
pub struct PeerNamespace(pub (u32, u32));

impl<'p> Row<'p> for PeerNamespace {
    const SECTION: Section = Section::PeerNamespaces;

    fn of(record: Record<'p>) -> Self {
        PeerNamespace((record.word(pair::KEY), record.word(pair::VALUE)))
    }
}

/// A state of the path automaton.
#[derive(Clone, Copy)]
pub struct State<'p>(Record<'p>);

impl<'p> Row<'p> for State<'p> {
    const SECTION: Section = Section::States;

    fn of(record: Record<'p>) -> Self {
        State(record)
    }
}

impl<'p> State<'p> {
    /// The atom of a path that ends here.
    pub fn atom(self) -> u32 {
        self.0.word(state::ATOM)
    }

    /// Literal segments and the states they lead to, sorted by segment.
    pub fn edges(self) -> Rows<'p, Edge<'p>> {
        self.0.rows(state::EDGES)
    }

    /// Next state for a segment that no edge has and that is not empty, or [`NONE`].
    pub fn other(self) -> u32 {
        self.0.word(state::OTHER)
    }

    /// Next state for the empty segment where no edge has it, or [`NONE`].
    pub fn empty(self) -> u32 {
        self.0.word(state::EMPTY)
    }

    /// The state after a segment, or `None`: then no pattern fits.
    pub fn next(self, segment: &str) -> Option<u32> {
        let edge = self.edges().find(|edge| edge.compare(segment)).map(|(_, edge)| edge.next());
        let next = edge.unwrap_or_else(|| if segment.is_empty() { self.empty() } else { self.other() });
        (next != NONE).then_some(next)
    }
}

/// A literal segment and where it leads.
#[derive(Clone, Copy)]
pub struct Edge<'p>(Record<'p>);

impl<'p> Row<'p> for Edge<'p> {
    const SECTION: Section = Section::Edges;

    fn of(record: Record<'p>) -> Self {
        Edge(record)
    }
}

impl<'p> Edge<'p> {
    pub fn segment(self) -> &'p str {
        self.0.text(pair::KEY)
    }

    fn compare(self, segment: &str) -> Ordering {
        self.0.string(pair::KEY).cmp(segment.as_bytes())
    }

    /// A state of the same partition.
    pub fn next(self) -> u32 {
        self.0.word(pair::VALUE)
    }
}

/// How a header's value becomes an atom.
#[derive(Clone, Copy)]
pub struct Header<'p>(Record<'p>);

impl<'p> Row<'p> for Header<'p> {
    const SECTION: Section = Section::Headers;

    fn of(record: Record<'p>) -> Self {
        Header(record)
    }
}

impl<'p> Header<'p> {
    /// Lower-case.
    pub fn name(self) -> &'p str {
        self.0.text(header::NAME)
    }

    /// Number of atoms.
    pub fn atoms(self) -> u32 {
        self.0.word(header::ATOMS)
    }

    /// Atom of no line.
    pub fn absent(self) -> u32 {
        self.0.word(header::ABSENT)
    }

    /// Atom of more than one value.
    pub fn many(self) -> u32 {
        self.0.word(header::MANY)
    }

    /// Atom of a single value that fits nothing.
    pub fn other(self) -> u32 {
        self.0.word(header::OTHER)
    }

    /// Values and their atoms, sorted.
    pub fn exact(self) -> Rows<'p, ExactValue<'p>> {
        self.0.rows(header::EXACT)
    }

    /// Prefixes and their atoms, sorted.
    pub fn prefixes(self) -> Rows<'p, Prefix<'p>> {
        self.0.rows(header::PREFIXES)
    }

    /// Atom of a single value: exactly it, else its longest prefix, else other.
    pub fn atom_of(self, value: &[u8]) -> u32 {
        let exact = self.exact().find(|row| row.value().cmp(value)).map(|(_, row)| row.atom());
        exact.or_else(|| self.longest_prefix(value)).unwrap_or_else(|| self.other())
    }

    /// A prefix of the value sorts at or before it, and of two the longer sorts later: so the last candidate at or
    /// before what is left of the value either is a prefix, or shares with the value all that a prefix can have.
    fn longest_prefix(self, value: &[u8]) -> Option<u32> {
        let mut bound = value;
        loop {
            let before = self.prefixes().partition_point(|row| row.prefix() <= bound);
            let candidate = self.prefixes().get(before.checked_sub(1)?)?;
            if value.starts_with(candidate.prefix()) {
                return Some(candidate.atom());
            }
            let shared =
                candidate.prefix().iter().zip(bound).take_while(|(ours, theirs)| ours == theirs).count();
            bound = value.get(..shared)?;
        }
    }
}

/// A header value and its atom.
#[derive(Clone, Copy)]
pub struct ExactValue<'p>(Record<'p>);

impl<'p> Row<'p> for ExactValue<'p> {
    const SECTION: Section = Section::HeaderValues;

    fn of(record: Record<'p>) -> Self {
        ExactValue(record)
    }
}

impl<'p> ExactValue<'p> {
    pub fn value(self) -> &'p [u8] {
        self.0.value(pair::KEY)
    }

    pub fn atom(self) -> u32 {
        self.0.word(pair::VALUE)
    }
}

/// The beginning of header values and its atom.
#[derive(Clone, Copy)]
pub struct Prefix<'p>(Record<'p>);

impl<'p> Row<'p> for Prefix<'p> {
    const SECTION: Section = Section::HeaderPrefixes;

    fn of(record: Record<'p>) -> Self {
        Prefix(record)
    }
}

impl<'p> Prefix<'p> {
    pub fn prefix(self) -> &'p [u8] {
        self.0.value(pair::KEY)
    }

    pub fn atom(self) -> u32 {
        self.0.word(pair::VALUE)
    }
}

/// A node of a decision diagram.
#[derive(Clone, Copy)]
pub struct Node<'p>(Record<'p>);

impl<'p> Row<'p> for Node<'p> {
    const SECTION: Section = Section::Nodes;

    fn of(record: Record<'p>) -> Self {
        Node(record)
    }
}

impl<'p> Node<'p> {
    /// The partition whose dimensions it asks, or [`NONE`] where no root reaches it.
    pub fn partition(self) -> u32 {
        self.0.word(node::PARTITION)
    }

    /// Which dimension decides.
    pub fn dim(self) -> u32 {
        self.0.word(node::DIM)
    }

    /// One for each atom of the dimension.
    pub fn children(self) -> Rows<'p, Child> {
        self.0.rows(node::CHILDREN)
    }

    /// Where an atom leads.
    pub fn child(self, atom: u32) -> Option<Target> {
        self.children().get(atom).map(|child| child.0)
    }
}

/// Where an atom of a node leads.
#[derive(Clone, Copy)]
pub struct Child(pub Target);

impl<'p> Row<'p> for Child {
    const SECTION: Section = Section::Children;

    fn of(record: Record<'p>) -> Self {
        Child(target(record.word(0)))
    }
}
