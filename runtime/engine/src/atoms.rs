//! What a decision knows of a request: an atom for each dimension that a diagram asked.

use crate::field;
use crate::request::Request;
use crate::resolved::Place;
use mesh_plan::layout::MAX_CANDIDATES;
use mesh_plan::view::{Answer, List, Question};
use mesh_plan::{PlanView, REFUSED, Target};

/// Atoms of one place, worked out when a node first asks and then kept.
pub(crate) struct Atoms {
    partition: u32,
    known: [u32; KEPT],
}

/// Dimensions whose atom is kept: peer, method, path and thirteen fields. One line of cache; a field beyond them is
/// looked at again when it is asked again.
const KEPT: usize = 16;

/// The dimension of the path.
const PATH: u32 = 2;

/// Peer, method and path; the fields follow.
const FIXED: u32 = 3;

/// The words of bits that the longest list has.
const MAX_WORDS: usize = MAX_CANDIDATES.div_ceil(u64::BITS) as usize;

/// Not asked yet.
const UNKNOWN: u32 = u32::MAX;

impl Atoms {
    /// Nothing is known.
    pub(crate) const NONE: Atoms = Atoms { partition: mesh_plan::NONE, known: [UNKNOWN; KEPT] };

    /// What is known is of another request, or of another peer.
    pub(crate) fn forget(&mut self) {
        self.partition = mesh_plan::NONE;
    }

    /// The leaf that a request, always the same one until [`Atoms::forget`], reaches from a root of a place. Every step leads to a node
    /// of a smaller index, so it ends.
    #[inline]
    pub(crate) fn leaf(
        &mut self,
        plan: &PlanView,
        place: &Place,
        root: Target,
        request: &Request<'_>,
    ) -> Option<u32> {
        let at = match root {
            Target::Leaf(leaf) => return Some(leaf),
            Target::Node(at) => at,
        };
        self.enter(place, request);
        plan.diagrams().leaf(at, |question| match question {
            Question::Dimension(dim) => self.atom(plan, place, dim, request).map(Answer::Child),
            Question::List(list) => {
                let first = self.first(plan, place, plan.list(list)?, request)?;
                Some(first.map_or(Answer::Leaf(REFUSED), Answer::Child))
            }
        })
    }

    /// From here on it is this place that asks.
    #[inline]
    fn enter(&mut self, place: &Place, request: &Request<'_>) {
        if self.partition != place.dimensions.partition() {
            self.partition = place.dimensions.partition();
            self.known = [UNKNOWN; KEPT];
            let [peer, method, ..] = &mut self.known;
            (*peer, *method) = (place.peer, request.method as u32);
        }
    }

    /// The candidate of a list that decides, if one does: what all dimensions leave, in order.
    #[inline(never)] // Its bits are a kilobyte of stack, which other decisions do without.
    fn first(
        &mut self,
        plan: &PlanView,
        place: &Place,
        list: List<'_>,
        request: &Request<'_>,
    ) -> Option<Option<u32>> {
        let mut fitting = [u64::MAX; MAX_WORDS];
        let fitting = fitting.get_mut(..list.candidates().div_ceil(u64::BITS) as usize)?;
        if let (Some(last), used @ 1..) = (fitting.last_mut(), list.candidates() % u64::BITS) {
            *last = (1 << used) - 1;
        }
        for test in list.tests().iter() {
            let row = list.row(test, self.atom(plan, place, test.dim(), request)?);
            for (all, own) in fitting.iter_mut().zip(row) {
                *all &= u64::from_le_bytes(*own);
            }
        }
        Some(list.first(fitting))
    }

    /// The atoms of all dimensions, in their order, of the request that was asked about last.
    pub(crate) fn all(&mut self, plan: &PlanView, place: &Place, request: &Request<'_>) -> Option<Vec<u32>> {
        self.enter(place, request);
        let fields = plan.partition(place.dimensions.partition())?.fields().len();
        (0..FIXED + fields).map(|dim| self.atom(plan, place, dim, request)).collect()
    }

    #[inline]
    fn atom(&mut self, plan: &PlanView, place: &Place, dim: u32, request: &Request<'_>) -> Option<u32> {
        match self.known.get(dim as usize) {
            Some(atom) if *atom != UNKNOWN => Some(*atom),
            _ if dim == PATH => {
                let atom = place.dimensions.path_atom(plan, request.path);
                let [_, _, path, ..] = &mut self.known;
                *path = atom;
                Some(atom)
            }
            _ => self.look(plan, place, dim, request),
        }
    }

    #[inline(never)]
    fn look(&mut self, plan: &PlanView, place: &Place, dim: u32, request: &Request<'_>) -> Option<u32> {
        let atom = match dim {
            0 => place.peer,
            1 => request.method as u32,
            PATH => place.dimensions.path_atom(plan, request.path),
            other => field::atom(place.dimensions.field(plan, other - FIXED)?, request),
        };
        if let Some(known) = self.known.get_mut(dim as usize) {
            *known = atom;
        }
        Some(atom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Caller;
    use crate::request::Method;
    use mesh_plan::{
        self as plan, FieldKind, LIST, ListTest, NONE, Node, Peers, Plan, State, encode, verify,
    };
    use std::net::Ipv4Addr;

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
        let verdict = |number: usize| plan::Verdict {
            allow: true,
            probe: false,
            rule: number.to_string(),
            audit: String::new(),
            asks: vec![],
        };
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
            for method in Method::ALL {
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
                        caller_ip: Some(std::net::Ipv4Addr::LOCALHOST.into()),
                        client_ip: None,
                        tokens: &[],
                    };
                    let place = Place::of(&view, 0, Caller::Nobody).unwrap();
                    let root = place.dimensions.access();
                    let mut atoms = Atoms::NONE;
                    let leaf = atoms.leaf(&view, &place, root, &request).unwrap();
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
