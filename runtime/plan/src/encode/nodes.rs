//! The nodes of all diagrams, each as short as it can be.

use super::Draft;
use crate::layout::{NODE, Section, node};
use crate::plan::{LIST, NONE, Node, Plan, Target};

/// What is known of the nodes before any is written.
pub(super) struct Nodes {
    /// For each node the word at which it begins.
    places: Vec<u32>,
    /// Where most atoms lead and how many lead elsewhere, of each node that is shorter so.
    sparse: Vec<Option<(Target, u32)>>,
    /// All words.
    words: u32,
    /// For each node the partition whose roots reach it.
    owners: Vec<u32>,
}

impl Nodes {
    pub(super) fn of(plan: &Plan) -> Nodes {
        let sparse: Vec<_> = plan.nodes.iter().map(sparse).collect();
        let mut words = 0;
        let places = plan.nodes.iter().zip(&sparse).map(|(own, sparse)| {
            let start = words;
            words += match sparse {
                Some((_, exceptions)) => node::before_exceptions(*exceptions) + 2 * exceptions,
                None => node::WORDS + own.children.len() as u32,
            };
            start
        });
        Nodes { places: places.collect(), sparse, words, owners: owners(plan) }
    }

    /// The word of a target.
    pub(super) fn target(&self, target: Target) -> u32 {
        match target {
            // What is no node is none before any other.
            Target::Node(node) => self.places.get(node as usize).copied().unwrap_or(NONE - 1) | NODE,
            Target::Leaf(leaf) => leaf,
        }
    }

    pub(super) fn write(&self, plan: &Plan, draft: &mut Draft<'_>) {
        if draft.is_measuring() {
            draft.skip(Section::Nodes, self.words as usize * 4);
            return;
        }
        let mut others = Vec::new();
        for ((own, owner), sparse) in plan.nodes.iter().zip(&self.owners).zip(&self.sparse) {
            let atoms = own.children.len() as u32;
            match sparse {
                Some((most, exceptions)) => {
                    let default = self.target(*most);
                    let head = [*owner, own.dim | node::SPARSE, atoms, *exceptions, default];
                    draft.row(Section::Nodes, &head);
                    let buckets = node::buckets(*exceptions);
                    let exceptional = own.children.iter().zip(0..).filter(|(child, _)| *child != most);
                    others.clear();
                    others.extend(
                        exceptional
                            .map(|(child, atom)| (node::bucket(atom, buckets), atom, self.target(*child))),
                    );
                    write_exceptions(&mut others, buckets, draft);
                }
                None => {
                    draft.row(Section::Nodes, &[*owner, own.dim, atoms]);
                    draft.words(Section::Nodes, own.children.iter().map(|child| self.target(*child)));
                }
            }
        }
    }
}

/// Each with its bucket, its atom and where it leads.
fn write_exceptions(exceptions: &mut [(u32, u32, u32)], buckets: u32, draft: &mut Draft<'_>) {
    exceptions.sort_unstable();
    if exceptions.len() > node::MOST_IN_ONE_BUCKET as usize {
        let end = |bucket| exceptions.partition_point(|own| own.0 <= bucket) as u32;
        draft.words(Section::Nodes, (0..buckets).map(end));
    }
    exceptions.iter().for_each(|(_, atom, child)| draft.row(Section::Nodes, &[*atom, *child]));
}

/// Where most atoms lead and how many lead elsewhere, if a node is shorter so.
fn sparse(own: &Node) -> Option<(Target, u32)> {
    let atoms = own.children.len() as u32;
    if own.dim & LIST != 0 || atoms <= node::SPARSE_WORDS - node::WORDS {
        return None;
    }
    let most = majority(&own.children)?;
    let exceptions = own.children.iter().filter(|child| **child != most).count() as u32;
    let words = node::before_exceptions(exceptions) + 2 * exceptions;
    (words < node::WORDS + atoms).then_some((most, exceptions))
}

/// The target of more than half of the atoms, if there is one; else any (Boyer and Moore's vote). A sparse node has it.
fn majority(children: &[Target]) -> Option<Target> {
    let mut votes = 0;
    let mut most = None;
    for child in children {
        match votes {
            0 => (most, votes) = (Some(*child), 1),
            _ if most == Some(*child) => votes += 1,
            _ => votes -= 1,
        }
    }
    most
}

/// For each node the partition whose roots reach it. Children come before their parents, so one way down is enough.
fn owners(plan: &Plan) -> Vec<u32> {
    let mut owners = vec![NONE; plan.nodes.len()];
    let own = |target: Target, owner: u32, owners: &mut Vec<u32>| {
        if let Target::Node(node) = target
            && let Some(place) = owners.get_mut(node as usize)
        {
            *place = owner;
        }
    };
    for (partition, owner) in plan.partitions.iter().zip(0..) {
        own(partition.access, owner, &mut owners);
        partition.roots.iter().for_each(|root| own(*root, owner, &mut owners));
    }
    for (index, node) in plan.nodes.iter().enumerate().rev() {
        if let Some(&owner) = owners.get(index).filter(|owner| **owner != NONE) {
            node.children.iter().for_each(|child| own(*child, owner, &mut owners));
        }
    }
    owners
}
