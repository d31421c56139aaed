//! How a request becomes atoms and atoms become a leaf.

use super::rows::{Record, Row, Rows};
use crate::layout::{NODE, Section, address, automaton, field, node, pair, partition, state};
use crate::plan::{FieldKind, LIST, METHOD_ATOMS, NONE, Target};
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

    /// (prefix, atom), sorted.
    pub fn peer_prefixes(self) -> Rows<'p, PeerPrefix> {
        self.0.rows(partition::PEER_PREFIXES)
    }

    /// Atom of a principal, where it has one of its own.
    pub fn atom_of_principal(self, principal: u32) -> Option<u32> {
        self.peer_principals().find(|row| row.0.0.cmp(&principal)).map(|(_, row)| row.0.1)
    }

    /// Atom of a prefix, where it has one of its own.
    pub fn atom_of_prefix(self, prefix: u32) -> Option<u32> {
        self.peer_prefixes().find(|row| row.0.0.cmp(&prefix)).map(|(_, row)| row.0.1)
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

    /// The automaton that reads a path, where there is one.
    pub fn path_automaton(self) -> Option<Automaton<'p>> {
        Record::at(self.0.plan(), Section::Automata, self.path_automaton_index()).map(Automaton::of)
    }

    pub(crate) fn path_automaton_index(self) -> u32 {
        self.0.word(partition::PATH_AUTOMATON)
    }

    /// What else of a request something asks.
    pub fn fields(self) -> Rows<'p, Field<'p>> {
        self.0.rows(partition::FIELDS)
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
            field => self.fields().get(field - 3).map(Field::atoms),
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

/// A beginning of SPIFFE IDs and its atom.
#[derive(Clone, Copy)]
pub struct PeerPrefix(pub (u32, u32));

impl<'p> Row<'p> for PeerPrefix {
    const SECTION: Section = Section::PeerPrefixes;

    fn of(record: Record<'p>) -> Self {
        PeerPrefix((record.word(pair::KEY), record.word(pair::VALUE)))
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

/// How the value of a field becomes an atom.
#[derive(Clone, Copy)]
pub struct Field<'p>(Record<'p>);

impl<'p> Row<'p> for Field<'p> {
    const SECTION: Section = Section::Fields;

    fn of(record: Record<'p>) -> Self {
        Field(record)
    }
}

impl<'p> Field<'p> {
    /// What it is.
    pub fn kind(self) -> FieldKind {
        FieldKind::ALL.get(self.0.word(field::KIND) as usize).copied().unwrap_or_default()
    }

    /// See [`plan::Field::name`](crate::plan::Field::name).
    pub fn name(self) -> &'p str {
        self.0.text(field::NAME)
    }

    /// Of a claim the issuer of its token.
    pub fn issuer(self) -> &'p str {
        self.0.text(field::ISSUER)
    }

    /// Number of atoms.
    pub fn atoms(self) -> u32 {
        self.0.word(field::ATOMS)
    }

    /// Atom of no value.
    pub fn absent(self) -> u32 {
        self.0.word(field::ABSENT)
    }

    /// Atom of several values that `unions` does not list.
    pub fn many(self) -> u32 {
        self.0.word(field::MANY)
    }

    /// Atom of a claim that is neither text nor a list of texts.
    pub fn odd(self) -> u32 {
        self.0.word(field::ODD)
    }

    /// Atom of a single value that fits nothing.
    pub fn other(self) -> u32 {
        self.0.word(field::OTHER)
    }

    /// Values and their atoms, sorted.
    pub fn exact(self) -> Rows<'p, ExactValue<'p>> {
        self.0.rows(field::EXACT)
    }

    /// Prefixes and their atoms, sorted.
    pub fn prefixes(self) -> Rows<'p, Prefix<'p>> {
        self.0.rows(field::PREFIXES)
    }

    /// The automaton that reads a value, where there is one.
    pub fn automaton(self) -> Option<Automaton<'p>> {
        Record::at(self.0.plan(), Section::Automata, self.0.word(field::AUTOMATON)).map(Automaton::of)
    }

    pub(crate) fn automaton_index(self) -> u32 {
        self.0.word(field::AUTOMATON)
    }

    /// First addresses of ranges and the atoms of these, sorted.
    pub fn addresses(self) -> Rows<'p, Address<'p>> {
        self.0.rows(field::ADDRESSES)
    }

    /// For each atom what an item of it passes.
    pub fn masks(self) -> Rows<'p, Mask> {
        self.0.rows(field::MASKS)
    }

    /// What items pass together, and the atom of it; sorted.
    pub fn unions(self) -> Rows<'p, Union> {
        self.0.rows(field::UNIONS)
    }

    /// Atom of a single value: exactly it, else its longest prefix, else other; or what the automaton says.
    pub fn atom_of(self, value: &[u8]) -> u32 {
        if let Some(automaton) = self.automaton() {
            return automaton.atom_of(value.iter().copied());
        }
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

    /// What an item of an atom passes.
    pub fn mask_of(self, atom: u32) -> u32 {
        self.masks().get(atom).map_or(0, |mask| mask.0)
    }

    /// Atom of several values whose items pass this together.
    pub fn atom_of_many(self, mask: u32) -> u32 {
        self.unions().find(|union| union.0.0.cmp(&mask)).map_or_else(|| self.many(), |(_, union)| union.0.1)
    }

    /// Atom of an address; IPv4 as v4-mapped IPv6.
    pub fn atom_of_address(self, ip: [u8; 16]) -> u32 {
        let above = self.addresses().partition_point(|row| row.first() <= ip);
        let range = above.checked_sub(1).and_then(|index| self.addresses().get(index));
        range.map_or_else(|| self.other(), |range| range.atom())
    }
}

/// A deterministic automaton over bytes.
#[derive(Clone, Copy)]
pub struct Automaton<'p>(Record<'p>);

impl<'p> Row<'p> for Automaton<'p> {
    const SECTION: Section = Section::Automata;

    fn of(record: Record<'p>) -> Self {
        Automaton(record)
    }
}

impl<'p> Automaton<'p> {
    /// For each byte its class.
    pub fn classes(self) -> &'p [u8] {
        self.0.bytes(automaton::CLASS_BYTES)
    }

    /// How many classes there are.
    pub fn class_count(self) -> u32 {
        self.0.word(automaton::CLASSES)
    }

    /// For each state, for each class, the next state, in two bytes.
    pub fn transitions(self) -> &'p [u8] {
        let (start, count) = self.0.range(automaton::TRANSITIONS);
        self.0.plan().slice(Section::Transitions, start, count).unwrap_or_default()
    }

    /// For each state its atom.
    pub fn accepts(self) -> Rows<'p, Accept> {
        self.0.rows(automaton::ACCEPTS)
    }

    /// Atom of a value.
    pub fn atom_of(self, value: impl Iterator<Item = u8>) -> u32 {
        let classes = self.classes();
        let (transitions, _) = self.transitions().as_chunks::<2>();
        let count = self.class_count() as usize;
        let mut state = 0usize;
        for byte in value {
            let class = classes.get(usize::from(byte)).copied().unwrap_or_default();
            let next = transitions.get(state * count + usize::from(class));
            state = next.map_or(0, |next| usize::from(u16::from_le_bytes(*next)));
        }
        self.accepts().get(state as u32).map_or(0, |accept| accept.0)
    }
}

/// The atom of a state.
#[derive(Clone, Copy)]
pub struct Accept(pub u32);

impl<'p> Row<'p> for Accept {
    const SECTION: Section = Section::Accepts;

    fn of(record: Record<'p>) -> Self {
        Accept(record.word(0))
    }
}

/// What an item of an atom passes.
#[derive(Clone, Copy)]
pub struct Mask(pub u32);

impl<'p> Row<'p> for Mask {
    const SECTION: Section = Section::FieldMasks;

    fn of(record: Record<'p>) -> Self {
        Mask(record.word(0))
    }
}

/// What items pass together, and the atom of it.
#[derive(Clone, Copy)]
pub struct Union(pub (u32, u32));

impl<'p> Row<'p> for Union {
    const SECTION: Section = Section::FieldUnions;

    fn of(record: Record<'p>) -> Self {
        Union((record.word(pair::KEY), record.word(pair::VALUE)))
    }
}

/// The first address of a range.
#[derive(Clone, Copy)]
pub struct Address<'p>(Record<'p>);

impl<'p> Row<'p> for Address<'p> {
    const SECTION: Section = Section::FieldAddresses;

    fn of(record: Record<'p>) -> Self {
        Address(record)
    }
}

impl Address<'_> {
    /// In network order.
    pub fn first(self) -> [u8; 16] {
        self.0.bytes(16).try_into().unwrap_or_default()
    }

    pub fn atom(self) -> u32 {
        self.0.word(address::ATOM)
    }
}

/// A value and its atom.
#[derive(Clone, Copy)]
pub struct ExactValue<'p>(Record<'p>);

impl<'p> Row<'p> for ExactValue<'p> {
    const SECTION: Section = Section::FieldValues;

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

/// The beginning of values and its atom.
#[derive(Clone, Copy)]
pub struct Prefix<'p>(Record<'p>);

impl<'p> Row<'p> for Prefix<'p> {
    const SECTION: Section = Section::FieldPrefixes;

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

    /// Which dimension decides; of a list see [`LIST`].
    pub fn dim(self) -> u32 {
        self.0.word(node::DIM)
    }

    /// The index of its list, where it is one.
    pub fn list(self) -> Option<u32> {
        let dim = self.dim();
        (dim & LIST != 0).then_some(dim & !LIST)
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
