//! What a decision knows of a request: an atom for each dimension that a diagram asked.

use crate::field;
use crate::peer::{self, Caller};
use crate::request::Request;
use mesh_plan::layout::MAX_CANDIDATES;
use mesh_plan::view::{List, Partition};
use mesh_plan::{PlanView, REFUSED, Target};

/// Atoms of one partition, worked out when a node first asks and then kept.
pub(crate) struct Atoms<'p, 'r> {
    plan: &'p PlanView,
    caller: Caller<'r>,
    partition: u32,
    known: [u32; KEPT],
}

/// Dimensions whose atom is kept: peer, method, path and thirteen fields. One line of cache; a field beyond them is
/// looked at again when it is asked again.
const KEPT: usize = 16;

/// Peer, method and path; the fields follow.
const FIXED: u32 = 3;

/// The words of bits that the longest list has.
const MAX_WORDS: usize = MAX_CANDIDATES.div_ceil(u64::BITS) as usize;

/// Not asked yet.
const UNKNOWN: u32 = u32::MAX;

impl<'p, 'r> Atoms<'p, 'r> {
    pub(crate) fn new(plan: &'p PlanView, caller: Caller<'r>) -> Self {
        Atoms { plan, caller, partition: mesh_plan::NONE, known: [UNKNOWN; KEPT] }
    }

    /// From here on somebody else is the peer.
    pub(crate) fn set_caller(&mut self, caller: Caller<'r>) {
        self.caller = caller;
        self.partition = mesh_plan::NONE;
    }

    /// What is known is of another request.
    pub(crate) fn forget(&mut self) {
        self.partition = mesh_plan::NONE;
    }

    /// The leaf that a request, always the same one until [`Atoms::forget`], reaches from a root of a partition. Every step leads to a node of a smaller index, so it ends.
    pub(crate) fn leaf(
        &mut self,
        partition: Partition<'p>,
        root: Target,
        request: &Request<'_>,
    ) -> Option<u32> {
        if self.partition != partition.index() {
            self.partition = partition.index();
            self.known = [UNKNOWN; KEPT];
        }
        let mut target = root;
        loop {
            match target {
                Target::Leaf(leaf) => return Some(leaf),
                Target::Node(index) => {
                    let node = self.plan.node(index)?;
                    target = match node.list() {
                        None => node.child(self.atom(partition, node.dim(), request)?)?,
                        Some(list) => match self.first(partition, self.plan.list(list)?, request)? {
                            Some(candidate) => node.child(candidate)?,
                            None => Target::Leaf(REFUSED),
                        },
                    };
                }
            }
        }
    }

    /// The candidate of a list that decides, if one does: what all dimensions leave, in order.
    fn first(
        &mut self,
        partition: Partition<'p>,
        list: List<'p>,
        request: &Request<'_>,
    ) -> Option<Option<u32>> {
        let mut fitting = [u64::MAX; MAX_WORDS];
        let fitting = fitting.get_mut(..list.candidates().div_ceil(u64::BITS) as usize)?;
        if let (Some(last), used @ 1..) = (fitting.last_mut(), list.candidates() % u64::BITS) {
            *last = (1 << used) - 1;
        }
        for test in list.tests().iter() {
            let row = list.row(test, self.atom(partition, test.dim(), request)?);
            for (all, own) in fitting.iter_mut().zip(row) {
                *all &= u64::from_le_bytes(*own);
            }
        }
        Some(list.first(fitting))
    }

    /// The atoms of all dimensions, in their order, of the request that was asked about last.
    pub(crate) fn all(&mut self, partition: Partition<'p>, request: &Request<'_>) -> Option<Vec<u32>> {
        let dims = 0..FIXED + partition.fields().len();
        dims.map(|dim| self.atom(partition, dim, request)).collect()
    }

    fn atom(&mut self, partition: Partition<'p>, dim: u32, request: &Request<'_>) -> Option<u32> {
        if let Some(atom) = self.known.get(dim as usize).filter(|atom| **atom != UNKNOWN) {
            return Some(*atom);
        }
        let atom = match dim {
            0 => peer::atom(self.plan, partition, self.caller)?,
            1 => request.method as u32,
            2 => path_atom(partition, request.path)?,
            other => field::atom(partition.fields().get(other - FIXED)?, request),
        };
        if let Some(place) = self.known.get_mut(dim as usize) {
            *place = atom;
        }
        Some(atom)
    }
}

/// Runs the path through the automaton, byte by byte or segment by segment.
fn path_atom(partition: Partition<'_>, path: &str) -> Option<u32> {
    let Some(segments) = path.strip_prefix('/') else { return Some(partition.star()) };
    if let Some(automaton) = partition.path_automaton() {
        return Some(automaton.atom_of(path.bytes()));
    }
    let states = partition.states();
    let mut state = states.get(0)?;
    for segment in segments.split('/') {
        match state.next(segment) {
            Some(next) => state = states.get(next)?,
            None => return Some(NO_PATTERN),
        }
    }
    Some(state.atom())
}

/// The path atom of a path that no pattern fits.
const NO_PATTERN: u32 = 0;
