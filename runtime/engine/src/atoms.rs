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
    #[inline(never)] // Its bits are a kilobyte of stack, which other decisions do without.
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
    Some(partition.states().atom_of(segments.as_bytes()).unwrap_or(NO_PATTERN))
}

/// The path atom of a path that no pattern fits.
const NO_PATTERN: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Method, Peer};
    use mesh_plan::{
        self as plan, FieldKind, LIST, ListTest, NONE, Node, Peers, Plan, State, encode, verify,
    };
    use std::net::Ipv4Addr;

    const METHODS: [Method; 8] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
        Method::Options,
        Method::Other,
    ];

    /// A path for each atom of its first segment.
    const PATHS: [&str; 4] = ["*", "/", "/other/a", "/a"];

    /// The generator is Marsaglia's ("Xorshift RNGs", 2003).
    fn draw(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    fn list(candidates: usize, random: &mut u64) -> plan::List {
        let mut test = |dim, atoms: usize| {
            let mut row = || -> Vec<u64> {
                let words = (0..candidates.div_ceil(64)).map(|_| draw(random) | draw(random));
                let mut row: Vec<u64> = words.collect();
                if let (Some(last), used @ 1..) = (row.last_mut(), candidates % 64) {
                    *last &= (1 << used) - 1;
                }
                row
            };
            ListTest { dim, rows: (0..atoms).map(|_| row()).collect() }
        };
        let tests = vec![test(1, 8), test(3, 4)];
        let beaters = |own: usize, random: &mut u64| -> Vec<u32> {
            let drawn = (0..3).map(|_| (draw(random) % candidates as u64) as u32);
            let mut drawn: Vec<u32> = drawn.filter(|beater| *beater as usize != own).collect();
            drawn.sort_unstable();
            drawn.dedup();
            drawn
        };
        let beaten_by = (0..candidates).map(|own| beaters(own, random)).collect();
        plan::List { tests, beaten_by }
    }

    fn view(list: plan::List, candidates: usize) -> PlanView {
        let segment = plan::Field {
            kind: FieldKind::Segment,
            name: "0".to_owned(),
            atoms: 4,
            other: 2,
            exact: vec![(vec![], 1), (b"a".to_vec(), 3)],
            ..plan::Field::default()
        };
        let partition = plan::Partition {
            peers: Peers { atoms: 1, ..Peers::default() },
            states: vec![State { atom: 0, edges: vec![], other: 0, empty: 0 }],
            path_atoms: 2,
            star: 1,
            fields: vec![segment],
            access: Target::Node(0),
            ..plan::Partition::default()
        };
        let verdict =
            |number: usize| plan::Verdict { allow: true, rule: number.to_string(), audit: String::new() };
        let plan = Plan {
            partitions: vec![partition],
            nodes: vec![Node { dim: LIST, children: (0..candidates as u32).map(Target::Leaf).collect() }],
            lists: vec![list],
            verdicts: (0..candidates).map(verdict).collect(),
            default_settings: NONE,
            ..Plan::default()
        };
        verify(encode(&plan).unwrap()).unwrap()
    }

    #[test]
    fn the_first_candidate_that_fits_and_that_none_beats_decides() {
        let mut random = 0x9e37_79b9_7f4a_7c15;
        let (mut decided, mut none) = (0, 0);
        for candidates in [1, 2, 3, 63, 64, 65, 200] {
            let list = list(candidates, &mut random);
            let view = view(list.clone(), candidates);
            let partition = view.partition(0).unwrap();
            for method in METHODS {
                for (segment, path) in PATHS.iter().enumerate() {
                    let headers: &[(&str, &str)] = &[];
                    let request = Request {
                        method,
                        host: "a",
                        host_port: None,
                        path,
                        query: "",
                        headers: &headers,
                        source_ip: Ipv4Addr::LOCALHOST.into(),
                        client_ip: None,
                        tokens: &[],
                    };
                    let mut atoms = Atoms::new(&view, Caller::Connected(Peer::Unauthenticated));
                    let leaf = atoms.leaf(partition, partition.access(), &request).unwrap();
                    let fits = |own: u32| {
                        let bit = |row: &Vec<u64>| row[own as usize / 64] >> (own % 64) & 1 == 1;
                        bit(&list.tests[0].rows[method as usize]) && bit(&list.tests[1].rows[segment])
                    };
                    let first = (0..candidates as u32).find(|own| {
                        fits(*own) && !list.beaten_by[*own as usize].iter().any(|beater| fits(*beater))
                    });
                    assert_eq!(leaf, first.unwrap_or(REFUSED), "{candidates} candidates, {method:?} {path}");
                    decided += usize::from(first.is_some());
                    none += usize::from(first.is_none());
                }
            }
        }
        assert!(decided > 50 && none > 10, "{decided} decided, {none} not");
    }
}
