//! How a request becomes atoms and atoms become a leaf.

use super::dictionaries::{Dictionary, Key, Words};
use super::rows::{Record, Row, Rows};
use crate::layout::{NODE, Section, address, automaton, dictionary, field, node, pair, partition, state};
use crate::plan::{FieldKind, LIST, METHOD_ATOMS, NONE, Target};

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
    pub(super) fn record(self) -> Record<'p> {
        self.0
    }

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
        let (start, count) = self.0.range(partition::PEER_PRINCIPALS);
        let pairs = self.0.plan().slice(Section::PeerPrincipals, start, count)?.as_chunks::<8>().0;
        let of = |pair: &[u8; 8]| u64::from_le_bytes(*pair);
        // The key is the lower half of a pair, the atom the upper one.
        let found = pairs.binary_search_by_key(&principal, |pair| of(pair) as u32).ok()?;
        pairs.get(found).map(|pair| (of(pair) >> 32) as u32)
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

    /// States of the path automaton.
    pub fn states(self) -> States<'p> {
        States(Words::of(self.0, Section::States, partition::STATES))
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

#[inline]
pub(super) fn target(word: u32) -> Target {
    if word & NODE == 0 || word == NONE { Target::Leaf(word) } else { Target::Node(word & !NODE) }
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

/// States of a path automaton, each known by the word at which it begins. The start is 0.
#[derive(Clone, Copy)]
pub struct States<'p>(Words<'p>);

impl<'p> States<'p> {
    pub(super) fn of(words: Words<'p>) -> States<'p> {
        States(words)
    }

    /// The state that begins at a word.
    pub fn get(self, at: u32) -> Option<State<'p>> {
        (at < self.0.len()).then(|| State(self.0.from(at)))
    }

    /// All of them with the words at which they begin, in order.
    pub fn iter(self) -> impl Iterator<Item = (u32, State<'p>)> + use<'p> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let at = next;
            let state = self.get(at)?;
            next = at.checked_add(state.words()?)?;
            Some((at, state))
        })
    }

    /// The atom of the path whose segments are these, separated by `/`: `None` where no pattern fits.
    pub fn atom_of(self, segments: &[u8]) -> Option<u32> {
        let (mut state, mut rest) = (self.0, segments);
        loop {
            let (key, length) = segment(rest, segments);
            let next = state.step(key, rest.get(..length)?)?;
            state = self.0.at_least(next)?;
            match rest.get(length + 1..) {
                Some(behind) => rest = behind,
                None => return state.get(state::ATOM),
            }
        }
    }
}

/// How long the segment is with which the rest of a text begins, and its key if that is at most eight bytes.
#[inline]
fn segment(rest: &[u8], text: &[u8]) -> (u64, usize) {
    let word = match rest.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        // Fewer than eight bytes are left: those before them are shifted out.
        None => match text.last_chunk::<8>() {
            Some(last) if !rest.is_empty() => u64::from_le_bytes(*last) >> (8 * (8 - rest.len())),
            Some(_) => 0,
            None => dictionary::key(rest),
        },
    };
    let slash = first_slash(word);
    if slash < 8 {
        return (word & !(u64::MAX << (8 * slash)), slash);
    }
    if rest.len() <= 8 {
        return (word, rest.len());
    }
    (word, 8 + to_slash(rest.get(8..).unwrap_or_default()))
}

/// How many bytes stand before the first `/`, eight bytes at a time.
fn to_slash(text: &[u8]) -> usize {
    let (chunks, rest) = text.as_chunks::<8>();
    for (chunk, before) in chunks.iter().zip((0..).step_by(8)) {
        let slash = first_slash(u64::from_le_bytes(*chunk));
        if slash < 8 {
            return before + slash;
        }
    }
    let before = text.len() - rest.len();
    before + rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len())
}

/// Which of eight bytes is the first `/`; 8 where none is. Subtracting one from each byte of the difference borrows first where they are the
/// same.
#[inline]
fn first_slash(word: u64) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const SLASHES: u64 = u64::from_ne_bytes([b'/'; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let differing = word ^ SLASHES;
    let slashes = differing.wrapping_sub(ONES) & !differing & HIGH;
    (slashes.trailing_zeros() / 8) as usize
}

/// A state of the path automaton.
#[derive(Clone, Copy)]
pub struct State<'p>(Words<'p>);

impl<'p> State<'p> {
    /// The atom of a path that ends here.
    pub fn atom(self) -> u32 {
        self.0.get(state::ATOM).unwrap_or_default()
    }

    /// Literal segments and the states they lead to.
    pub fn edges(self) -> Dictionary<'p> {
        Dictionary::of(self.0.from(state::WORDS))
    }

    /// The literal segments.
    pub fn literals(self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.edges().iter().map(|(segment, _)| std::str::from_utf8(segment).unwrap_or_default())
    }

    /// Next state for a segment that no edge has and that is not empty, or [`NONE`].
    pub fn other(self) -> u32 {
        self.0.get(state::OTHER).unwrap_or(NONE)
    }

    /// Next state for the empty segment where no edge has it, or [`NONE`].
    pub fn empty(self) -> u32 {
        self.0.get(state::EMPTY).unwrap_or(NONE)
    }

    /// The state after a segment, or `None`: then no pattern fits.
    pub fn next(self, segment: &str) -> Option<u32> {
        self.next_of(Key::of(segment.as_bytes()))
    }

    #[inline]
    fn next_of(self, segment: Key<'_>) -> Option<u32> {
        let next = self.edges().find(segment).or_else(|| {
            let otherwise = if segment.is_empty() { state::EMPTY } else { state::OTHER };
            self.0.get(otherwise)
        })?;
        (next != NONE).then_some(next)
    }

    /// How many words it takes.
    fn words(self) -> Option<u32> {
        state::WORDS.checked_add(self.edges().words()?)
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

    /// The same as bytes, for those who only compare it.
    #[inline]
    pub fn name_bytes(self) -> &'p [u8] {
        self.0.string(field::NAME)
    }

    /// Of a claim the issuer of its token.
    pub fn issuer(self) -> &'p str {
        self.0.text(field::ISSUER)
    }

    /// The same as bytes.
    #[inline]
    pub fn issuer_bytes(self) -> &'p [u8] {
        self.0.string(field::ISSUER)
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

    /// Values and their atoms.
    pub fn exact(self) -> Dictionary<'p> {
        Dictionary::of(Words::of(self.0, Section::FieldValues, field::EXACT))
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
        self.exact().get(value).or_else(|| self.longest_prefix(value)).unwrap_or_else(|| self.other())
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

/// The nodes of all diagrams.
#[derive(Clone, Copy)]
pub struct Diagrams<'p>(Words<'p>);

impl<'p> Diagrams<'p> {
    #[inline]
    pub(super) fn of(words: Words<'p>) -> Diagrams<'p> {
        Diagrams(words)
    }

    /// The node that begins at a word.
    #[inline]
    pub fn node(self, at: u32) -> Option<Node<'p>> {
        self.0.at_least(at).map(Node::of)
    }

    /// The leaf that is reached from the node that begins at a word, where `answer` is the number of the child that a question leads to.
    /// The same as going from [`Node::child`] to [`Node::child`], for the way of each request. Every step leads to a smaller word, so it
    /// ends.
    #[inline(always)]
    pub fn leaf(self, mut at: u32, mut answer: impl FnMut(Question) -> Option<Answer>) -> Option<u32> {
        loop {
            let node = self.0.from(at);
            let dim = node.get(node::DIM)?;
            let question = if dim & LIST == 0 {
                Question::Dimension(dim & !node::SPARSE)
            } else {
                Question::List(dim & !LIST)
            };
            let number = match answer(question)? {
                Answer::Child(number) => number,
                Answer::Leaf(leaf) => return Some(leaf),
            };
            let child = match dim & (LIST | node::SPARSE) == node::SPARSE {
                true => Node::of(node).exception(number).or_else(|| node.get(node::DEFAULT))?,
                false => node.from(node::WORDS).get(number)?,
            };
            match target(child) {
                Target::Leaf(leaf) => return Some(leaf),
                Target::Node(next) => at = next,
            }
        }
    }
}

/// What a node asks.
#[derive(Clone, Copy)]
pub enum Question {
    /// The atom of a dimension.
    Dimension(u32),
    /// The candidate of a list.
    List(u32),
}

/// What it is told.
#[derive(Clone, Copy)]
pub enum Answer {
    /// The child of this number.
    Child(u32),
    /// That no child is it, but a leaf.
    Leaf(u32),
}

/// A node of a decision diagram.
#[derive(Clone, Copy)]
pub struct Node<'p> {
    words: Words<'p>,
}

impl<'p> Node<'p> {
    pub(crate) fn of(words: Words<'p>) -> Node<'p> {
        Node { words }
    }

    /// The partition whose dimensions it asks, or [`NONE`] where no root reaches it.
    pub fn partition(self) -> u32 {
        self.words.get(node::PARTITION).unwrap_or(NONE)
    }

    fn dim_word(self) -> u32 {
        self.words.get(node::DIM).unwrap_or(NONE)
    }

    /// Which dimension decides; of a list see [`LIST`].
    pub fn dim(self) -> u32 {
        self.dim_word() & !node::SPARSE
    }

    /// Whether only those atoms are written down that lead elsewhere than most.
    pub(crate) fn is_sparse(self) -> bool {
        self.dim_word() & (LIST | node::SPARSE) == node::SPARSE
    }

    /// The index of its list, where it is one.
    pub fn list(self) -> Option<u32> {
        let dim = self.dim_word();
        (dim & LIST != 0).then_some(dim & !LIST)
    }

    /// How many children it has.
    pub fn len(self) -> u32 {
        self.words.get(node::CHILDREN).unwrap_or_default()
    }

    /// Whether it has none: never.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// One for each atom of the dimension.
    pub fn children(self) -> impl Iterator<Item = Target> + use<'p> {
        (0..self.len()).map_while(move |atom| self.child(atom))
    }

    /// Where an atom, one of the dimension, leads.
    #[inline]
    pub fn child(self, atom: u32) -> Option<Target> {
        if self.is_sparse() {
            return self.exception(atom).or_else(|| self.words.get(node::DEFAULT)).map(target);
        }
        self.words.from(node::WORDS).get(atom).map(target)
    }

    /// Where an atom leads if not where most do.
    #[inline]
    fn exception(self, atom: u32) -> Option<u32> {
        let exceptions = self.exceptions();
        let own = match exceptions <= node::MOST_IN_ONE_BUCKET {
            true => self.words.pairs(node::SPARSE_WORDS).get(..exceptions as usize)?,
            false => self.bucket_of(atom, exceptions)?,
        };
        let pairs = own.as_flattened().as_flattened().as_chunks::<8>().0;
        // The atom is the lower half of a pair, the child the upper one.
        let pairs = pairs.iter().map(|pair| u64::from_le_bytes(*pair));
        pairs.into_iter().find(|pair| *pair as u32 == atom).map(|pair| (pair >> 32) as u32)
    }

    /// The exceptions among which that of an atom stands, if there is one.
    #[inline(never)]
    fn bucket_of(self, atom: u32, exceptions: u32) -> Option<&'p [[[u8; 4]; 2]]> {
        let bucket = node::bucket(atom, node::buckets(exceptions));
        let start = if bucket == 0 { 0 } else { self.bucket_end(bucket - 1)? };
        let count = self.bucket_end(bucket)?.checked_sub(start)?;
        self.pairs(start)?.get(..count as usize)
    }

    /// Of a sparse node the number of atoms that lead elsewhere than most.
    pub(crate) fn exceptions(self) -> u32 {
        self.words.get(node::EXCEPTIONS).unwrap_or_default()
    }

    /// Where a bucket of a sparse node ends, counted in exceptions.
    pub(crate) fn bucket_end(self, bucket: u32) -> Option<u32> {
        let exceptions = self.exceptions();
        if exceptions > node::MOST_IN_ONE_BUCKET {
            self.words.get(node::SPARSE_WORDS.checked_add(bucket)?)
        } else {
            Some(exceptions)
        }
    }

    /// Exceptions of a sparse node from one on: atoms and words of targets.
    pub(crate) fn pairs(self, first: u32) -> Option<&'p [[[u8; 4]; 2]]> {
        let before = node::before_exceptions(self.exceptions());
        Some(self.words.pairs(before.checked_add(first.checked_mul(2)?)?))
    }

    /// What it leads to, each written down: not what most atoms lead to again and again.
    pub(crate) fn targets(self) -> impl Iterator<Item = Target> + use<'p> {
        let (dense, exceptions) = if self.is_sparse() { (0, self.exceptions()) } else { (self.len(), 0) };
        let default = self.is_sparse().then(|| self.words.get(node::DEFAULT)).flatten();
        let others = self.pairs(0).unwrap_or_default().iter().take(exceptions as usize);
        let others = others.map(|[_, child]| u32::from_le_bytes(*child));
        let dense = (0..dense).map_while(move |atom| self.words.get(node::WORDS + atom));
        dense.chain(default).chain(others).map(target)
    }

    /// How many words it takes.
    pub(crate) fn words(self) -> Option<u32> {
        if self.is_sparse() {
            let exceptions = self.exceptions().checked_mul(2)?;
            return node::before_exceptions(self.exceptions()).checked_add(exceptions);
        }
        node::WORDS.checked_add(self.len())
    }
}
