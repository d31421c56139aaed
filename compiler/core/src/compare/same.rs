//! Whether two decisions are the same to the letter, whatever numbers their plans have for it: most of two plans is, and need not be
//! laid over each other.

use super::side::{Meaning, Root, Side, What};
use mesh_plan::{Automaton, LIST, List, NONE, Node, Partition, Target};
use std::collections::BTreeMap;

/// What a decision is made of, with nothing of a plan's numbers.
#[derive(PartialEq, Eq)]
struct Content<'p> {
    principals: Vec<(&'p str, bool, u32)>,
    prefixes: Vec<(&'p str, u32)>,
    /// The sizes and kinds of the dimensions, without what the other fields of this say.
    partition: Partition,
    automata: Vec<Option<&'p Automaton>>,
    /// Children first.
    nodes: Vec<Node>,
    lists: Vec<&'p List>,
    root: Target,
    meanings: Vec<Meaning>,
}

/// Whether the two are the same.
pub(super) fn is_same(sides: &[Side<'_>; 2], what: What, roots: [Root; 2]) -> bool {
    if sides[0].plan.trust_domain != sides[1].plan.trust_domain {
        return false;
    }
    match roots.map(|root| root.partition == NONE) {
        [false, false] => content(&sides[0], what, roots[0]) == content(&sides[1], what, roots[1]),
        [old, new] => old && new,
    }
}

fn content<'p>(side: &'p Side<'_>, what: What, root: Root) -> Content<'p> {
    let own = &side.plan.partitions[root.partition as usize];
    let principals = own.peers.principals.iter().map(|(principal, atom)| {
        let principal = &side.plan.principals[*principal as usize];
        (principal.identity.as_str(), principal.gateway, *atom)
    });
    let prefixes = own.peers.prefixes.iter();
    let prefixes = prefixes.map(|(prefix, atom)| (side.plan.prefixes[*prefix as usize].as_str(), *atom));
    let mut partition = own.clone();
    partition.peers.principals.clear();
    partition.peers.prefixes.clear();
    partition.access = Target::default();
    partition.roots.clear();
    let indices = std::iter::once(own.path_automaton).chain(own.fields.iter().map(|field| field.automaton));
    let automata = indices.map(|index| side.plan.automata.get(index? as usize)).collect();
    partition.path_automaton = None;
    partition.fields.iter_mut().for_each(|field| field.automaton = None);
    let mut walk = Walk {
        side,
        what,
        nodes: vec![],
        lists: vec![],
        numbers: BTreeMap::new(),
        meanings: vec![],
        known: BTreeMap::new(),
    };
    let root = walk.number(root.target);
    let Walk { nodes, lists, meanings, .. } = walk;
    Content {
        principals: principals.collect(),
        prefixes: prefixes.collect(),
        partition,
        automata,
        nodes,
        lists,
        root,
        meanings,
    }
}

/// Nodes and meanings, numbered in the order in which a walk from the root leaves them.
struct Walk<'s, 'p> {
    side: &'s Side<'p>,
    what: What,
    nodes: Vec<Node>,
    lists: Vec<&'s List>,
    numbers: BTreeMap<u32, Target>,
    meanings: Vec<Meaning>,
    known: BTreeMap<u32, Target>,
}

impl Walk<'_, '_> {
    fn number(&mut self, target: Target) -> Target {
        match target {
            Target::Leaf(leaf) => {
                let (side, what, meanings) = (self.side, self.what, &mut self.meanings);
                *self.known.entry(leaf).or_insert_with(|| {
                    meanings.push(side.meaning(what, leaf));
                    Target::Leaf(meanings.len() as u32 - 1)
                })
            }
            Target::Node(node) => {
                if let Some(known) = self.numbers.get(&node) {
                    return *known;
                }
                let Node { dim, children } = &self.side.plan.nodes[node as usize];
                let children = children.iter().map(|child| self.number(*child)).collect();
                let dim = match dim & LIST {
                    0 => *dim,
                    _ => {
                        self.lists.extend(self.side.plan.lists.get((dim & !LIST) as usize));
                        LIST
                    }
                };
                self.nodes.push(Node { dim, children });
                let made = Target::Node(self.nodes.len() as u32 - 1);
                self.numbers.insert(node, made);
                made
            }
        }
    }
}
