//! Partitions, their classifiers and their nodes: every request has an atom in every dimension, and every walk ends in
//! a leaf of the right table.

use super::{PlanError, Tiles, all, ascending, count, ensure, is_string, some};
use crate::layout::{
    NODE, Section, automaton, call, consumer_route, field, listener, node, pair, partition, port, state,
};
use crate::plan::{FieldKind, LIST, NONE, REFUSED};
use crate::view::{Address, Automaton, Partition, PlanView, Record, Row};

pub(super) fn check(plan: &PlanView) -> Result<(), PlanError> {
    peers(plan)?;
    let accepts = automata(plan)?;
    states(plan, &accepts)?;
    fields(plan, &accepts)?;
    nodes(plan)?;
    roots(plan)
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
    let mut edges = Tiles::of(plan, Section::Edges);
    for partition in all(plan, Section::Partitions) {
        let range = states.take(partition.range(partition::STATES))?;
        let (first, atoms) = (range.1, partition.word(partition::PATH_ATOMS));
        ensure(partition.word(partition::STAR) < atoms, "a path has no atom")?;
        let automaton = partition.word(partition::PATH_AUTOMATON);
        ensure((first > 0) == (automaton == NONE), "a path is read in no way, or in two")?;
        ensure(reads(accepts, automaton, atoms), "a path has no atom")?;
        for state in some(plan, Section::States, range) {
            ensure(state.word(state::ATOM) < atoms, "a path has no atom")?;
            let leads = |next: u32| next < range.1;
            let ways_out = [state.word(state::OTHER), state.word(state::EMPTY)];
            ensure(ways_out.into_iter().all(|next| next == NONE || leads(next)), "a segment leads nowhere")?;
            let own = edges.take(state.range(state::EDGES))?;
            let pairs =
                || some(plan, Section::Edges, own).map(|edge| (edge.word(pair::KEY), edge.word(pair::VALUE)));
            ascending(pairs().map(|(segment, _)| segment), "segments are not sorted")?;
            pairs().try_for_each(|(segment, next)| {
                is_string(plan, segment)?;
                ensure(leads(next), "a segment leads nowhere")
            })?;
        }
    }
    states.end()?;
    edges.end()
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
        atom_pairs(plan, Section::FieldValues, exact.take(field.range(field::EXACT))?, values, atoms)?;
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
fn nodes(plan: &PlanView) -> Result<(), PlanError> {
    let mut children = Tiles::of(plan, Section::Children);
    for (node, index) in all(plan, Section::Nodes).zip(0..) {
        let range = children.take(node.range(node::CHILDREN))?;
        let owner = node.word(node::PARTITION);
        if node.word(node::DIM) & LIST != 0 {
            continue;
        }
        if owner != NONE {
            let partition = Record::at(plan, Section::Partitions, owner).map(Partition::of);
            let atoms = partition.and_then(|partition| partition.atoms(node.word(node::DIM)));
            ensure(atoms == Some(range.1), "a node does not answer each atom")?;
        }
        for child in some(plan, Section::Children, range) {
            let child = child.word(0);
            ensure(child != NONE, "a node leads nowhere")?;
            if child & NODE != 0 {
                ensure(child & !NODE < index, "a node leads to one that is not before it")?;
                let theirs =
                    Record::at(plan, Section::Nodes, child & !NODE).map(|child| child.word(node::PARTITION));
                ensure(owner == NONE || theirs == Some(owner), "a node leads into another partition")?;
            }
        }
    }
    children.end()
}

/// Every root leads to its own partition's nodes, and to leaves of the table that its owner reads.
fn roots(plan: &PlanView) -> Result<(), PlanError> {
    let leaves = leaves(plan);
    let mut roots = Tiles::of(plan, Section::Roots);
    for (partition, index) in all(plan, Section::Partitions).zip(0..) {
        let range = roots.take(partition.range(partition::ROOTS))?;
        let access = partition.word(partition::ACCESS);
        if access != NONE {
            target(plan, &leaves, index, access, Section::Verdicts)?;
        }
        for root in some(plan, Section::Roots, range) {
            let root = root.word(0);
            ensure(root != NONE, "a root leads nowhere")?;
            // Which table its leaves are of depends on the owner, which is checked below.
            let own = Record::at(plan, Section::Nodes, root & !NODE).map(|node| node.word(node::PARTITION));
            ensure(root & NODE == 0 || own == Some(index), "a root leads into another partition")?;
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
                target(plan, &leaves, index, root.word(0), table)?;
            }
        }
    }
    Ok(())
}

/// Whether a target is a node of the partition or a leaf, and all leaves below it are records of the table.
fn target(
    plan: &PlanView,
    leaves: &[u32],
    partition: u32,
    target: u32,
    table: Section,
) -> Result<(), PlanError> {
    if target & NODE != 0 {
        let node = Record::at(plan, Section::Nodes, target & !NODE);
        ensure(
            node.is_some_and(|node| node.word(node::PARTITION) == partition),
            "a root leads into another partition",
        )?;
    }
    ensure(leaves_below(leaves, target) <= count(plan, table), "a leaf is out of its table")
}

/// For each node one more than the greatest leaf below it, or 0.
fn leaves(plan: &PlanView) -> Vec<u32> {
    let mut leaves = Vec::with_capacity(count(plan, Section::Nodes) as usize);
    for node in all(plan, Section::Nodes) {
        let children = some(plan, Section::Children, node.range(node::CHILDREN));
        let most = children.map(|child| leaves_below(&leaves, child.word(0))).max();
        leaves.push(most.unwrap_or(0));
    }
    leaves
}

fn leaves_below(leaves: &[u32], target: u32) -> u32 {
    match target {
        REFUSED => 0,
        node if node & NODE != 0 => leaves.get((node & !NODE) as usize).copied().unwrap_or(0),
        leaf => leaf + 1,
    }
}
