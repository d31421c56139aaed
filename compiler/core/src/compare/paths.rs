//! The paths that two decisions tell apart: their automata walked side by side.

use super::joint::{TooFine, read_by};
use crate::space::automaton::ReadBy;
use crate::space::path::{MAX_STATES, fresh_segment};
use crate::space::text::Universe;
use crate::space::value::samples;
use mesh_plan::view::{Partition, State};
use mesh_plan::{self as plan, NONE, decode};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How one of the two reads a path.
#[derive(Clone, Copy)]
pub(super) enum PathSide<'p> {
    /// It is not there.
    Blind,
    Segments(Partition<'p>),
    Bytes(Partition<'p>),
}

/// The paths of both.
pub(super) struct JointPaths {
    /// What each of the two makes of a path, and such a path; empty where there is none. The first is that no pattern fits.
    pub(super) atoms: Vec<([u32; 2], String)>,
    /// The automaton over segments; empty where one of the two reads bytes.
    pub(super) states: Vec<JointState>,
}

/// A state of both at once.
pub(super) struct JointState {
    pub(super) atom: u32,
    /// Whether it is behind an empty segment, which nothing follows, or the start, where no path ends.
    pub(super) ends: Ends,
    /// Sorted.
    pub(super) edges: Vec<(String, u32)>,
    /// With any other segment that is not empty.
    pub(super) other: Option<u32>,
    /// With the empty segment.
    pub(super) empty: Option<u32>,
}

/// Which paths end in a state and which go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// The start: none ends here.
    Never,
    /// Some end here, some go on.
    Perhaps,
    /// Behind the empty segment: none goes on.
    Always,
}

impl<'p> PathSide<'p> {
    pub(super) fn of(partition: Partition<'p>) -> PathSide<'p> {
        match partition.path_automaton() {
            Some(_) => PathSide::Bytes(partition),
            None => PathSide::Segments(partition),
        }
    }

    fn state(self, index: Option<u32>) -> Option<State<'p>> {
        match (self, index) {
            (PathSide::Segments(partition), Some(index)) => partition.states().get(index),
            _ => None,
        }
    }

    /// The atom of a path.
    fn atom_of(self, path: &str) -> u32 {
        match self {
            PathSide::Blind => 0,
            PathSide::Bytes(partition) => {
                partition.path_automaton().map_or(0, |automaton| automaton.atom_of(path.bytes()))
            }
            PathSide::Segments(_) => {
                let mut segments = path.split('/').skip(1);
                let end = segments.try_fold(0, |state, segment| self.state(Some(state))?.next(segment));
                end.and_then(|state| self.state(Some(state))).map_or(0, State::atom)
            }
        }
    }
}

impl JointPaths {
    pub(super) fn new(sides: [PathSide<'_>; 2]) -> Result<JointPaths, TooFine> {
        match sides.iter().any(|side| matches!(side, PathSide::Bytes(_))) {
            true => JointPaths::by_bytes(sides),
            false => JointPaths::by_segments(sides),
        }
    }

    /// Breadth first, so that the first path to reach an atom is a shortest one.
    fn by_segments(sides: [PathSide<'_>; 2]) -> Result<JointPaths, TooFine> {
        let mut paths = JointPaths { atoms: vec![([0, 0], String::new())], states: vec![] };
        let mut known: BTreeMap<[u32; 2], u32> = BTreeMap::from([([0, 0], 0)]);
        let mut numbers: BTreeMap<([Option<u32>; 2], bool), u32> = BTreeMap::new();
        let mut queue = VecDeque::from([([Some(0), Some(0)], String::new(), Ends::Never)]);
        while let Some((pair, path, ends)) = queue.pop_front() {
            let own = [0, 1].map(|side| sides[side].state(pair[side]));
            let both = own.map(|state| state.map_or(0, State::atom));
            let atom = match ends {
                Ends::Never => 0,
                _ => *known.entry(both).or_insert_with(|| {
                    paths.atoms.push((both, path.clone()));
                    paths.atoms.len() as u32 - 1
                }),
            };
            if ends != Ends::Never && paths.atoms[atom as usize].1.is_empty() {
                paths.atoms[atom as usize].1 = path.clone();
            }
            let mut state = JointState { atom, ends, edges: vec![], other: None, empty: None };
            if ends != Ends::Always {
                let mut go = |next: [Option<u32>; 2], segment: &str| {
                    let fresh = numbers.len() as u32 + 1;
                    Some(*numbers.entry((next, segment.is_empty())).or_insert_with(|| {
                        let ends = if segment.is_empty() { Ends::Always } else { Ends::Perhaps };
                        queue.push_back((next, format!("{path}/{segment}"), ends));
                        fresh
                    }))
                };
                let edges = own.iter().flatten().flat_map(|state| state.literals());
                let literals: BTreeSet<&str> = edges.filter(|literal| !literal.is_empty()).collect();
                let next = |segment: &str| own.map(|state| state.and_then(|state| state.next(segment)));
                let other = fresh_segment(|segment| literals.contains(segment));
                state.other = go(next(&other), &other);
                state.empty = go(next(""), "");
                for literal in literals {
                    let next = go(next(literal), literal);
                    state.edges.extend(
                        next.filter(|next| Some(*next) != state.other).map(|next| (literal.to_owned(), next)),
                    );
                }
            }
            paths.states.push(state);
            if numbers.len() > MAX_STATES {
                return Err(TooFine);
            }
        }
        Ok(paths)
    }

    fn by_bytes(sides: [PathSide<'_>; 2]) -> Result<JointPaths, TooFine> {
        let tables = sides.into_iter().filter_map(|side| match side {
            PathSide::Blind => None,
            PathSide::Bytes(partition) => {
                partition.path_automaton().map(|automaton| read_by(&decode::to_automaton(automaton)))
            }
            PathSide::Segments(partition) => Some(spelt(partition)),
        });
        let found = samples(&[], &tables.collect::<Vec<_>>(), Universe::Path)?;
        let mut paths = JointPaths { atoms: vec![([0, 0], String::new())], states: vec![] };
        for path in found.into_iter().flatten() {
            let path = String::from_utf8_lossy(&path).into_owned();
            let both = sides.map(|side| side.atom_of(&path));
            match paths.atoms.iter_mut().find(|(own, _)| *own == both) {
                Some((_, own)) if own.is_empty() => *own = path,
                Some(_) => {}
                None => paths.atoms.push((both, path)),
            }
        }
        Ok(paths)
    }
}

/// A segment on its way: the state it began in, and how much of a literal it has read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Spelling {
    /// Before the first `/`.
    Start,
    /// Behind a `/`: the text since is what all literals from the first to the last of these begin with, and so long.
    Within { state: u32, first: u32, last: u32, length: u32 },
    /// Some other segment of the state.
    Other { state: u32 },
    /// Nothing fits any more.
    Lost,
}

/// An automaton over segments, letter by letter.
fn spelt(partition: Partition<'_>) -> ReadBy {
    let states = decode::to_states(partition);
    let states = states.as_slice();
    let mut numbers = BTreeMap::from([(Spelling::Start, 0u32)]);
    let mut queue = VecDeque::from([Spelling::Start]);
    let (mut transitions, mut says) = (vec![], vec![]);
    while let Some(at) = queue.pop_front() {
        let end = ended(states, at);
        let atom = end.and_then(|state| states.get(state as usize)).map_or(0, |state| state.atom);
        says.push(atom);
        for byte in 0..=u8::MAX {
            let next = match (byte, at) {
                (b'/', Spelling::Start) => within(states, 0),
                (b'/', _) => end.map_or(Spelling::Lost, |state| within(states, state)),
                _ => spelt_on(states, at, byte),
            };
            let fresh = numbers.len() as u32;
            transitions.push(*numbers.entry(next).or_insert_with(|| {
                queue.push_back(next);
                fresh
            }));
        }
    }
    ReadBy { bytes: (0..=u8::MAX).collect(), transitions, says }
}

fn within(states: &[plan::State], state: u32) -> Spelling {
    let last = states.get(state as usize).map_or(0, |state| state.edges.len() as u32);
    Spelling::Within { state, first: 0, last, length: 0 }
}

/// The state in which the segment ends, if it ends here.
fn ended(states: &[plan::State], at: Spelling) -> Option<u32> {
    let next = match at {
        Spelling::Start | Spelling::Lost => return None,
        Spelling::Other { state } => states.get(state as usize)?.other,
        Spelling::Within { state, first, last, length } => {
            let own = states.get(state as usize)?;
            let whole = own.edges.get(first as usize);
            match whole.filter(|(segment, _)| first < last && segment.len() as u32 == length) {
                Some((_, next)) => *next,
                None if length == 0 => own.empty,
                None => own.other,
            }
        }
    };
    (next != NONE).then_some(next)
}

/// One letter more.
fn spelt_on(states: &[plan::State], at: Spelling, byte: u8) -> Spelling {
    match at {
        Spelling::Start | Spelling::Lost => Spelling::Lost,
        Spelling::Other { .. } => at,
        Spelling::Within { state, first, last, length } => {
            let Some(own) = states.get(state as usize) else { return Spelling::Lost };
            let letter = |index: u32| {
                let (segment, _) = own.edges.get(index as usize)?;
                segment.as_bytes().get(length as usize).copied()
            };
            // Sorted, and all of them begin alike: those with one letter next stand together.
            let fitting: Vec<u32> = (first..last).filter(|index| letter(*index) == Some(byte)).collect();
            match fitting.as_slice() {
                [] => Spelling::Other { state },
                [first, ..] => {
                    let last = first + fitting.len() as u32;
                    Spelling::Within { state, first: *first, last, length: length + 1 }
                }
            }
        }
    }
}
