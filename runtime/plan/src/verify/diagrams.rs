//! Partitions, their classifiers and their nodes: every request has an atom in every dimension, and every walk ends in
//! a leaf of the right table.

use super::{PlanError, Tiles, all, ascending, count, ensure, is_string, some};
use crate::layout::{NODE, Section, call, header, listener, node, pair, partition, port, state};
use crate::plan::{NONE, REFUSED};
use crate::view::{Partition, PlanView, Record, Row};

pub(super) fn check(plan: &PlanView) -> Result<(), PlanError> {
    peers(plan)?;
    states(plan)?;
    headers(plan)?;
    nodes(plan)?;
    roots(plan)
}

fn peers(plan: &PlanView) -> Result<(), PlanError> {
    let mut principals = Tiles::of(plan, Section::PeerPrincipals);
    let mut namespaces = Tiles::of(plan, Section::PeerNamespaces);
    for partition in all(plan, Section::Partitions) {
        let atoms = partition.word(partition::PEER_ATOMS);
        let principals = principals.take(partition.range(partition::PEER_PRINCIPALS))?;
        atom_pairs(plan, Section::PeerPrincipals, principals, count(plan, Section::Principals), atoms)?;
        let namespaces = namespaces.take(partition.range(partition::PEER_NAMESPACES))?;
        atom_pairs(plan, Section::PeerNamespaces, namespaces, count(plan, Section::Namespaces), atoms)?;
        let others = partition::PEER_OWN..=partition::PEER_NONE;
        ensure(others.into_iter().all(|kind| partition.word(kind) < atoms), "a kind of peer has no atom")?;
    }
    principals.end()?;
    namespaces.end()
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

fn states(plan: &PlanView) -> Result<(), PlanError> {
    let mut states = Tiles::of(plan, Section::States);
    let mut edges = Tiles::of(plan, Section::Edges);
    for partition in all(plan, Section::Partitions) {
        let range = states.take(partition.range(partition::STATES))?;
        let (first, atoms) = (range.1, partition.word(partition::PATH_ATOMS));
        ensure(first > 0 && partition.word(partition::STAR) < atoms, "a path has no atom")?;
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

fn headers(plan: &PlanView) -> Result<(), PlanError> {
    let mut headers = Tiles::of(plan, Section::Headers);
    for partition in all(plan, Section::Partitions) {
        headers.take(partition.range(partition::HEADERS))?;
    }
    headers.end()?;
    let mut exact = Tiles::of(plan, Section::HeaderValues);
    let mut prefixes = Tiles::of(plan, Section::HeaderPrefixes);
    let values = count(plan, Section::Values);
    for header in all(plan, Section::Headers) {
        let name = header.word(header::NAME);
        is_string(plan, name)?;
        let name = plan.heap(Section::Strings, name).unwrap_or_default();
        ensure(!name.iter().any(u8::is_ascii_uppercase), "a header's name is not lower-case")?;
        let atoms = header.word(header::ATOMS);
        let others = header::ABSENT..=header::OTHER;
        ensure(others.into_iter().all(|kind| header.word(kind) < atoms), "a header has no atom")?;
        atom_pairs(plan, Section::HeaderValues, exact.take(header.range(header::EXACT))?, values, atoms)?;
        atom_pairs(
            plan,
            Section::HeaderPrefixes,
            prefixes.take(header.range(header::PREFIXES))?,
            values,
            atoms,
        )?;
    }
    exact.end()?;
    prefixes.end()
}

/// A node asks a dimension that its partition has, answers each atom, and leads only to nodes before it that are of the same
/// partition: so a walk needs no counter.
fn nodes(plan: &PlanView) -> Result<(), PlanError> {
    let mut children = Tiles::of(plan, Section::Children);
    for (node, index) in all(plan, Section::Nodes).zip(0..) {
        let range = children.take(node.range(node::CHILDREN))?;
        let owner = node.word(node::PARTITION);
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
