//! Partitions, their classifiers and their nodes: every request has an atom in every dimension, and every walk ends in
//! a leaf of the right table.

use super::{PlanError, Tiles, all, ascending, count, dictionaries, ensure, is_string, some};
use crate::layout::{
    MAX_CHILDREN, NODE, Section, automaton, call, consumer_route, field, listener, node, pair, partition,
    port, state,
};
use crate::plan::{FieldKind, LIST, NONE, REFUSED};
use crate::view::{Address, Automaton, Node, Partition, PlanView, Record, Row};

/// `entering` says of each outcome whether it enters another route.
pub(super) fn check(plan: &PlanView, entering: &[bool]) -> Result<Nodes, PlanError> {
    peers(plan)?;
    let accepts = automata(plan)?;
    states(plan, &accepts)?;
    fields(plan, &accepts)?;
    let nodes = nodes(plan, entering)?;
    roots(plan, &nodes)?;
    Ok(nodes)
}

fn peers(plan: &PlanView) -> Result<(), PlanError> {
    let mut principals = Tiles::of(plan, Section::PeerPrincipals);
    let mut prefixes = Tiles::of(plan, Section::PeerPrefixes);
    for partition in all(plan, Section::Partitions) {
        let atoms = partition.word(partition::PEER_ATOMS);
        let principals = principals.take(partition.range(partition::PEER_PRINCIPALS))?;
        atom_pairs(plan, Section::PeerPrincipals, principals, count(plan, Section::Principals), atoms)?;
        let prefixes = prefixes.take(partition.range(partition::PEER_PREFIXES))?;
        atom_pairs(plan, Section::PeerPrefixes, prefixes, count(plan, Section::Prefixes), atoms)?;
        let others = partition::PEER_OWN..=partition::PEER_NONE;
        ensure(others.into_iter().all(|kind| partition.word(kind) < atoms), "a kind of peer has no atom")?;
    }
    principals.end()?;
    prefixes.end()
}

/// Pairs of a key below `keys`, sorted, and an atom.
fn atom_pairs(
    plan: &PlanView,
    section: Section,
    range: (u32, u32),
    keys: u32,
    atoms: u32,
) -> Result<(), PlanError> {
    let pairs = || some(plan, section, range).map(|pair| (pair.word(pair::KEY), pair.word(pair::VALUE)));
    ascending(pairs().map(|(key, _)| key), "what atoms are looked up by is not sorted")?;
    ensure(pairs().all(|(key, atom)| key < keys && atom < atoms), "a value has no atom")
}

fn states(plan: &PlanView, accepts: &[u32]) -> Result<(), PlanError> {
    let mut states = Tiles::of(plan, Section::States);
    let mut places = Places::default();
    for partition in all(plan, Section::Partitions) {
        let range = states.take(partition.range(partition::STATES))?;
        let atoms = partition.word(partition::PATH_ATOMS);
        ensure(partition.word(partition::STAR) < atoms, "a path has no atom")?;
        let automaton = partition.word(partition::PATH_AUTOMATON);
        ensure((range.1 > 0) == (automaton == NONE), "a path is read in no way, or in two")?;
        ensure(reads(accepts, automaton, atoms), "a path has no atom")?;
        let words = plan.words(Section::States, range);
        places.clear(range.1);
        let mut next = 0;
        while next < range.1 {
            let own = words.from(next);
            places.begin(next);
            ensure(own.get(state::ATOM).is_some_and(|atom| atom < atoms), "a path has no atom")?;
            for way in [state::OTHER, state::EMPTY] {
                let to = own.get(way).unwrap_or_default();
                ensure(to == NONE || places.lead(to), "a segment leads nowhere")?;
            }
            let edges = dictionaries::check(own.from(state::WORDS), |segment, to| {
                ensure(std::str::from_utf8(segment).is_ok(), "a segment is not UTF-8")?;
                ensure(places.lead(to), "a segment leads nowhere")
            })?;
            next = next.saturating_add(state::WORDS).saturating_add(edges);
        }
        ensure(places.are_right(), "a segment leads nowhere")?;
    }
    states.end()
}

/// Words of a stream at which records begin, and those that something leads to: a bit for each.
#[derive(Default)]
struct Places {
    words: u32,
    beginnings: Vec<u64>,
    wanted: Vec<u64>,
}

impl Places {
    fn clear(&mut self, words: u32) {
        self.words = words;
        for bits in [&mut self.beginnings, &mut self.wanted] {
            bits.clear();
            bits.resize(words.div_ceil(u64::BITS) as usize, 0);
        }
    }

    fn begin(&mut self, at: u32) {
        set(&mut self.beginnings, at);
    }

    /// Notes that something leads there; not where there is nothing.
    fn lead(&mut self, to: u32) -> bool {
        set(&mut self.wanted, to);
        to < self.words
    }

    /// Whether something begins wherever something leads.
    fn are_right(&self) -> bool {
        self.wanted.iter().zip(&self.beginnings).all(|(wanted, beginnings)| wanted & !beginnings == 0)
    }
}

fn set(bits: &mut [u64], at: u32) {
    if let Some(word) = bits.get_mut((at / u64::BITS) as usize) {
        *word |= 1 << (at % u64::BITS);
    }
}

/// What a field's values become is an atom of it, whatever the value.
fn fields(plan: &PlanView, accepts: &[u32]) -> Result<(), PlanError> {
    let mut fields = Tiles::of(plan, Section::Fields);
    for partition in all(plan, Section::Partitions) {
        fields.take(partition.range(partition::FIELDS))?;
    }
    fields.end()?;
    let mut exact = Tiles::of(plan, Section::FieldValues);
    let mut prefixes = Tiles::of(plan, Section::FieldPrefixes);
    let mut addresses = Tiles::of(plan, Section::FieldAddresses);
    let mut masks = Tiles::of(plan, Section::FieldMasks);
    let mut unions = Tiles::of(plan, Section::FieldUnions);
    let values = count(plan, Section::Values);
    let words_of = |range| plan.words(Section::FieldValues, range);
    for field in all(plan, Section::Fields) {
        let kind = FieldKind::ALL.get(field.word(field::KIND) as usize).copied();
        let Some(kind) = kind else {
            return Err(PlanError::Corrupt { what: "a field is nothing that a request has" });
        };
        is_string(plan, field.word(field::ISSUER))?;
        let name = field.word(field::NAME);
        is_string(plan, name)?;
        let name = plan.heap(Section::Strings, name).unwrap_or_default();
        let lower = kind != FieldKind::Header || !name.iter().any(u8::is_ascii_uppercase);
        ensure(lower, "a header's name is not lower-case")?;
        ensure(kind != FieldKind::Segment || is_number(name), "a segment has no number")?;
        let atoms = field.word(field::ATOMS);
        let others = field::ABSENT..=field::OTHER;
        ensure(others.into_iter().all(|other| field.word(other) < atoms), "a field has no atom")?;
        let automaton = field.word(field::AUTOMATON);
        ensure(reads(accepts, automaton, atoms), "a field has no atom")?;
        let own = exact.take(field.range(field::EXACT))?;
        if own.1 > 0 {
            let end =
                dictionaries::check(words_of(own), |_, atom| ensure(atom < atoms, "a value has no atom"))?;
            ensure(end == own.1 && words_of(own).get(0) != Some(0), "a range has words of no dictionary")?;
        }
        atom_pairs(
            plan,
            Section::FieldPrefixes,
            prefixes.take(field.range(field::PREFIXES))?,
            values,
            atoms,
        )?;
        let ranges = addresses.take(field.range(field::ADDRESSES))?;
        ensure(kind.is_address() == (ranges.1 > 0), "only addresses are in ranges")?;
        let ranges = || some(plan, Section::FieldAddresses, ranges).map(Address::of);
        let first = ranges().next().is_none_or(|first| first.first() == [0; 16]);
        ensure(first, "an address is before all ranges")?;
        ascending(ranges().map(Address::first), "what atoms are looked up by is not sorted")?;
        ensure(ranges().all(|range| range.atom() < atoms), "a value has no atom")?;
        let own = masks.take(field.range(field::MASKS))?;
        ensure(own.1 == 0 || own.1 == atoms, "an atom has no mask")?;
        let own = unions.take(field.range(field::UNIONS))?;
        let own = || {
            some(plan, Section::FieldUnions, own).map(|pair| (pair.word(pair::KEY), pair.word(pair::VALUE)))
        };
        ascending(own().map(|(mask, _)| mask), "what atoms are looked up by is not sorted")?;
        ensure(own().all(|(_, atom)| atom < atoms), "a value has no atom")?;
    }
    exact.end()?;
    prefixes.end()?;
    addresses.end()?;
    masks.end()?;
    unions.end()
}

/// Whether a name is the number of a segment, in the one way in which it is written.
fn is_number(name: &[u8]) -> bool {
    let number = std::str::from_utf8(name).ok().and_then(|text| text.parse::<u16>().ok());
    number.is_some_and(|number| number.to_string().as_bytes() == name)
}

/// Whether an automaton, if there is one, leads to one of so many atoms.
fn reads(accepts: &[u32], automaton: u32, atoms: u32) -> bool {
    automaton == NONE || accepts.get(automaton as usize).is_some_and(|most| *most < atoms)
}

/// Every byte leads from every state to a state. For each automaton the greatest atom.
fn automata(plan: &PlanView) -> Result<Vec<u32>, PlanError> {
    let mut transitions = Tiles::of(plan, Section::Transitions);
    let mut accepts = Tiles::of(plan, Section::Accepts);
    let mut greatest = Vec::with_capacity(count(plan, Section::Automata) as usize);
    for automaton in all(plan, Section::Automata) {
        let steps = transitions.take(automaton.range(automaton::TRANSITIONS))?;
        let states = accepts.take(automaton.range(automaton::ACCEPTS))?;
        let classes = automaton.word(automaton::CLASSES);
        ensure(states.1 > 0, "an automaton has no state")?;
        let whole = u64::from(states.1) * u64::from(classes) == u64::from(steps.1);
        ensure(whole, "an automaton does not lead on with every byte")?;
        let view = Automaton::of(automaton);
        let of_classes = view.classes().iter().all(|class| u32::from(*class) < classes);
        ensure(of_classes, "an automaton does not lead on with every byte")?;
        let (next, _) = view.transitions().as_chunks::<2>();
        let leads = next.iter().all(|next| u32::from(u16::from_le_bytes(*next)) < states.1);
        ensure(leads, "an automaton leads nowhere")?;
        greatest.push(view.accepts().iter().map(|accept| accept.0).max().unwrap_or_default());
    }
    transitions.end()?;
    accepts.end()?;
    Ok(greatest)
}

/// A node asks a dimension that its partition has, answers each atom, and leads only to nodes before it that are of the same
/// partition: so a walk needs no counter. What holds of lists is proved beside them.
fn nodes(plan: &PlanView, entering: &[bool]) -> Result<Nodes, PlanError> {
    let words = count(plan, Section::Nodes);
    let mut nodes = Nodes::of(words);
    let enters = |leaf: u32| entering.get(leaf as usize).copied().unwrap_or_default();
    let mut all_children = 0;
    let mut next = 0;
    while next < words {
        let own = plan.words(Section::Nodes, (next, words - next));
        let node = Node::of(own);
        let (owner, dim, children) = (node.partition(), node.dim(), node.len());
        let Some(length) = node.words().filter(|length| children > 0 && *length <= own.len()) else {
            return Err(PlanError::Corrupt { what: "a node has no children" });
        };
        all_children += u64::from(children);
        ensure(all_children <= MAX_CHILDREN, "its nodes have too many children")?;
        if owner != NONE && dim & LIST == 0 {
            let partition = Record::at(plan, Section::Partitions, owner).map(Partition::of);
            let atoms = partition.and_then(|partition| partition.atoms(dim));
            ensure(atoms == Some(children), "a node does not answer each atom")?;
        }
        let (mut most, mut leads_on) = (0, false);
        let mut lead = |child: u32| {
            ensure(child != NONE, "a node leads nowhere")?;
            if child & NODE != 0 {
                ensure(dim & LIST == 0, "a candidate of a list has no leaf")?;
                let below = nodes.get(child & !NODE);
                let below =
                    below.ok_or(PlanError::Corrupt { what: "a node leads to one that is not before it" })?;
                ensure(owner == NONE || below.partition == owner, "a node leads into another partition")?;
                most = most.max(below.leaves);
                leads_on |= below.enters;
            } else {
                most = most.max(leaf(child));
                leads_on |= enters(child);
            }
            Ok(())
        };
        if node.is_sparse() {
            lead(own.get(node::DEFAULT).unwrap_or(NONE))?;
            sparse(node, lead)?;
        } else {
            own.iter().take(length as usize).skip(node::WORDS as usize).try_for_each(lead)?;
        }
        nodes.push(next, Below { partition: owner, leaves: most, enters: leads_on });
        next += length;
    }
    Ok(nodes)
}

/// Each exception is once in its own bucket.
fn sparse(node: Node<'_>, mut lead: impl FnMut(u32) -> Result<(), PlanError>) -> Result<(), PlanError> {
    let exceptions = node.exceptions();
    let buckets = node::buckets(exceptions);
    let mut pairs = node.pairs(0).unwrap_or_default().iter();
    let mut start = 0;
    for bucket in 0..buckets {
        let end = node.bucket_end(bucket).filter(|end| (start..=exceptions).contains(end));
        let Some(end) = end else {
            return Err(PlanError::Corrupt { what: "a bucket of a node is out of it" });
        };
        let mut least = 0;
        for [atom, child] in pairs.by_ref().take((end - start) as usize) {
            let atom = u32::from_le_bytes(*atom);
            ensure(node::bucket(atom, buckets) == bucket, "an atom is in the bucket of others")?;
            ensure(atom >= least && atom < node.len(), "the atoms of a node are not sorted")?;
            least = atom + 1;
            lead(u32::from_le_bytes(*child))?;
        }
        start = end;
    }
    ensure(start == exceptions, "a bucket of a node is out of it")
}

/// What is known of the nodes so far.
pub(super) struct Nodes {
    /// By the fourth part of where they begin: no two nodes have the same, as each has at least one child. Behind it, the place itself.
    slots: Vec<(u32, Below)>,
    /// Where those begin below which something may enter another route, in order.
    pub(super) entering: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Below {
    partition: u32,
    /// One more than the greatest leaf below it, or 0.
    leaves: u32,
    /// Whether the number of a leaf below it is that of an outcome that enters another route.
    enters: bool,
}

impl Nodes {
    fn of(words: u32) -> Nodes {
        Nodes { slots: vec![(NONE, Below::default()); words.div_ceil(SLOT) as usize], entering: vec![] }
    }

    fn push(&mut self, at: u32, below: Below) {
        if let Some(slot) = self.slots.get_mut((at / SLOT) as usize) {
            *slot = (at, below);
        }
        if below.enters {
            self.entering.push(at);
        }
    }

    fn get(&self, at: u32) -> Option<Below> {
        self.slots.get((at / SLOT) as usize).filter(|slot| slot.0 == at).map(|slot| slot.1)
    }

    /// One more than the greatest leaf below a target that is of a partition.
    fn below(&self, partition: u32, target: u32) -> Result<u32, PlanError> {
        if target & NODE == 0 {
            return Ok(leaf(target));
        }
        let node = self.get(target & !NODE).filter(|node| node.partition == partition);
        node.map(|node| node.leaves).ok_or(PlanError::Corrupt { what: "a root leads into another partition" })
    }
}

/// The fewest words of a node.
const SLOT: u32 = node::WORDS + 1;

/// One more than a leaf; 0 where nothing is there.
fn leaf(target: u32) -> u32 {
    if target == REFUSED { 0 } else { target + 1 }
}

/// Every root leads to its own partition's nodes, and to leaves of the table that its owner reads.
fn roots(plan: &PlanView, nodes: &Nodes) -> Result<(), PlanError> {
    let within = |partition: u32, target: u32, table: Section| {
        ensure(nodes.below(partition, target)? <= count(plan, table), "a leaf is out of its table")
    };
    let mut roots = Tiles::of(plan, Section::Roots);
    for (partition, index) in all(plan, Section::Partitions).zip(0..) {
        let range = roots.take(partition.range(partition::ROOTS))?;
        let access = partition.word(partition::ACCESS);
        if access != NONE {
            within(index, access, Section::Verdicts)?;
        }
        for root in some(plan, Section::Roots, range) {
            let root = root.word(0);
            ensure(root != NONE, "a root leads nowhere")?;
            // Which table its leaves are of depends on the owner, which is checked below.
            nodes.below(index, root)?;
        }
    }
    roots.end()?;
    let owners = [
        (Section::Ports, port::PARTITION, Section::Outcomes),
        (Section::Listeners, listener::PARTITION, Section::Outcomes),
        (Section::Calls, call::PARTITION, Section::Grants),
        (Section::ConsumerRoutes, consumer_route::PARTITION, Section::Outcomes),
    ];
    for (owners, field, table) in owners {
        for owner in all(plan, owners) {
            let index = owner.word(field);
            let partition = Record::at(plan, Section::Partitions, index);
            let range = partition.map_or((0, 0), |partition| partition.range(partition::ROOTS));
            for root in some(plan, Section::Roots, range) {
                within(index, root.word(0), table)?;
            }
        }
    }
    Ok(())
}
