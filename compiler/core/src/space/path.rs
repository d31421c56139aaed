//! The path dimension: all patterns of a partition become one deterministic automaton over segments.
//!
//! States are sets of positions in patterns (the subset construction); a path's atom is the set of patterns that
//! it fits. Wildcards can make the construction exponential, hence the budget.

use crate::bits::Bits;
use mesh_lang::ast::{PathPattern, Segment};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// More states are refused (`MESH3090`): dense wildcards can blow up to millions, and a plan must stay small. Ten
/// thousand literal paths need about as many states.
pub(crate) const MAX_STATES: usize = 65_536;

/// The patterns need more than [`MAX_STATES`] states.
#[derive(Debug)]
pub(crate) struct TooManyStates;

/// The automaton of a partition's patterns.
#[derive(Debug)]
pub(crate) struct Paths {
    /// Sorted, each once.
    patterns: Vec<PathPattern>,
    pub(crate) states: Vec<State>,
    /// For each atom: which patterns a path of it fits, and a path.
    classes: Vec<(Bits, String)>,
}

/// See [`mesh_plan::State`].
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) atom: u32,
    pub(crate) edges: Vec<(String, u32)>,
    pub(crate) other: Option<u32>,
    pub(crate) empty: Option<u32>,
}

/// (pattern, segments behind it), sorted.
type Positions = Vec<(u32, u32)>;

impl Paths {
    pub(crate) fn new<'m>(patterns: impl Iterator<Item = &'m PathPattern>) -> Result<Paths, TooManyStates> {
        let patterns: Vec<PathPattern> =
            patterns.map(nameless).collect::<BTreeSet<_>>().into_iter().collect();
        let mut paths = Paths {
            classes: vec![(Bits::none(patterns.len() as u32), String::new())],
            patterns,
            states: vec![],
        };
        paths.build()?;
        Ok(paths)
    }

    /// Number of atoms: the classes of paths, and the path `*`.
    pub(crate) fn atoms(&self) -> u32 {
        self.classes.len() as u32 + 1
    }

    /// The atom of the path `*`, which no pattern fits.
    pub(crate) fn star(&self) -> u32 {
        self.classes.len() as u32
    }

    /// The paths that fit a pattern of this partition.
    pub(crate) fn set(&self, pattern: &PathPattern) -> Bits {
        let pattern = nameless(pattern);
        let index = self.patterns.binary_search(&pattern).map(|index| index as u32);
        Bits::such_that(self.atoms(), |atom| match (index, self.classes.get(atom as usize)) {
            (Ok(index), Some((fits, _))) => fits.contains(index),
            _ => false,
        })
    }

    /// A short path of an atom, if there is one: atom 0 may be empty where `/**` is a pattern.
    pub(crate) fn witness(&self, atom: u32) -> Option<&str> {
        match self.classes.get(atom as usize) {
            Some((_, path)) if path.is_empty() => None,
            Some((_, path)) => Some(path),
            None => Some("*"),
        }
    }

    /// Breadth first, so that the first path to reach a class is a shortest one.
    fn build(&mut self) -> Result<(), TooManyStates> {
        let start: Positions = (0..self.patterns.len() as u32).map(|pattern| (pattern, 0)).collect();
        // No path is without a segment, so the start is a state of its own that nothing leads back to.
        let mut numbers: BTreeMap<Positions, u32> = BTreeMap::new();
        let mut queue = VecDeque::from([(start, String::new())]);
        let mut class_of: BTreeMap<Bits, u32> = BTreeMap::from([(Bits::none(self.patterns.len() as u32), 0)]);
        while let Some((positions, path)) = queue.pop_front() {
            let fits = Bits::such_that(self.patterns.len() as u32, |pattern| {
                let length = self.patterns[pattern as usize].segments.len() as u32;
                !path.is_empty() && positions.binary_search(&(pattern, length)).is_ok()
            });
            let atom = *class_of.entry(fits.clone()).or_insert_with(|| {
                self.classes.push((fits, path.clone()));
                self.classes.len() as u32 - 1
            });
            let mut number = |next: Positions, segment: &str| -> Option<u32> {
                if next.is_empty() {
                    return None;
                }
                let fresh = numbers.len() as u32 + 1;
                Some(*numbers.entry(next.clone()).or_insert_with(|| {
                    queue.push_back((next, format!("{path}/{segment}")));
                    fresh
                }))
            };
            let literals: BTreeSet<&str> = positions.iter().filter_map(|at| self.literal(*at)).collect();
            let fresh = fresh_segment(&literals);
            let other = number(self.step(&positions, None), &fresh);
            let empty = number(self.step(&positions, Some("")), "");
            let edges = literals
                .iter()
                .filter(|literal| !literal.is_empty())
                .filter_map(|literal| {
                    Some((literal.to_string(), number(self.step(&positions, Some(literal)), literal)?))
                })
                .filter(|(_, next)| Some(*next) != other)
                .collect();
            self.states.push(State { atom, edges, other, empty });
            if numbers.len() > MAX_STATES {
                return Err(TooManyStates);
            }
        }
        self.witness_of_no_pattern();
        Ok(())
    }

    /// The literal that a position waits for.
    fn literal(&self, (pattern, at): (u32, u32)) -> Option<&str> {
        match self.patterns[pattern as usize].segments.get(at as usize) {
            Some(Segment::Literal(text)) => Some(text),
            _ => None,
        }
    }

    /// Where the positions are after a segment: a literal, or (`None`) one that is no literal here and not empty.
    fn step(&self, positions: &Positions, segment: Option<&str>) -> Positions {
        let mut next: Positions = positions
            .iter()
            .filter_map(|&(pattern, at)| {
                let whole = &self.patterns[pattern as usize];
                match whole.segments.get(at as usize) {
                    Some(Segment::Literal(text)) => {
                        (segment == Some(text.as_str())).then_some((pattern, at + 1))
                    }
                    Some(Segment::Any(_)) => (segment != Some("")).then_some((pattern, at + 1)),
                    None => whole.subtree.then_some((pattern, at)),
                }
            })
            .collect();
        next.sort_unstable();
        next.dedup();
        next
    }

    /// Atom 0 has no state of its own where every miss falls off the automaton: then the way off is its witness.
    fn witness_of_no_pattern(&mut self) {
        if !self.classes[0].1.is_empty() {
            return;
        }
        let paths = self.paths_to_states();
        let way_off = self.states.iter().zip(&paths).find_map(|(state, path)| {
            let literals: BTreeSet<&str> = state.edges.iter().map(|(literal, _)| literal.as_str()).collect();
            if state.atom == 0 && !path.is_empty() {
                Some(path.clone())
            } else if path.is_empty() && state.empty.is_none() {
                Some("/".to_owned())
            } else if state.other.is_none() {
                Some(format!("{path}/{}", fresh_segment(&literals)))
            } else if state.empty.is_none() {
                Some(format!("{path}/"))
            } else {
                None
            }
        });
        self.classes[0].1 = way_off.unwrap_or_default();
    }

    /// A shortest path to each state.
    fn paths_to_states(&self) -> Vec<String> {
        let mut paths = vec![String::new(); self.states.len()];
        let mut seen = vec![false; self.states.len()];
        let mut queue = VecDeque::from([0u32]);
        seen[0] = true;
        while let Some(at) = queue.pop_front() {
            let state = &self.states[at as usize];
            let literals: BTreeSet<&str> = state.edges.iter().map(|(literal, _)| literal.as_str()).collect();
            let fresh = fresh_segment(&literals);
            let ways = state.edges.iter().map(|(literal, next)| (literal.as_str(), *next));
            let ways = ways.chain(state.other.map(|next| (fresh.as_str(), next)));
            for (segment, next) in ways.chain(state.empty.map(|next| ("", next))) {
                if !seen[next as usize] {
                    seen[next as usize] = true;
                    paths[next as usize] = format!("{}/{segment}", paths[at as usize]);
                    queue.push_back(next);
                }
            }
        }
        paths
    }
}

/// A segment that is none of the literals: what a person would type.
fn fresh_segment(literals: &BTreeSet<&str>) -> String {
    let plain = ["1", "x", "other"].into_iter().map(str::to_owned);
    let numbered = (2..).map(|number| format!("x{number}"));
    plain.chain(numbered).find(|candidate| !literals.contains(candidate.as_str())).unwrap_or_default()
}

/// `{id}` and `{name}` are the same segment.
fn nameless(pattern: &PathPattern) -> PathPattern {
    let segments = pattern.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => Segment::Literal(text.clone()),
        Segment::Any(_) => Segment::Any(String::new()),
    });
    PathPattern { segments: segments.collect(), subtree: pattern.subtree }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_lang::ast::Segment::{Any, Literal};

    fn pattern(text: &str) -> PathPattern {
        let (text, subtree) = text.strip_suffix("/**").map_or((text, false), |rest| (rest, true));
        let segment =
            |text: &str| if text.starts_with('{') { Any(text.into()) } else { Literal(text.into()) };
        let segments = text.strip_prefix('/').map(|rest| rest.split('/').map(segment).collect());
        PathPattern { segments: segments.unwrap_or_default(), subtree }
    }

    #[test]
    fn every_class_has_a_path_that_is_in_it() {
        let patterns = ["/", "/a", "/a/**", "/{x}/b", "/a/{x}/c", "/a/"].map(pattern);
        let paths = Paths::new(patterns.iter()).expect("few states");
        for atom in 0..paths.star() {
            let witness = paths.witness(atom).expect("a path");
            let own = pattern(witness);
            for pattern in &patterns {
                assert_eq!(paths.set(pattern).contains(atom), fits(pattern, &own), "{witness} in {pattern}");
            }
        }
    }

    /// By definition, segment by segment.
    fn fits(pattern: &PathPattern, path: &PathPattern) -> bool {
        let long_enough = if pattern.subtree {
            path.segments.len() >= pattern.segments.len()
        } else {
            path.segments.len() == pattern.segments.len()
        };
        let same = |(wanted, own): (&Segment, &Segment)| match (wanted, own) {
            (Any(_), own) => *own != Literal(String::new()),
            (wanted, own) => wanted == own,
        };
        long_enough && pattern.segments.iter().zip(&path.segments).all(same)
    }

    #[test]
    fn where_everything_fits_no_path_is_outside() {
        let all = pattern("/**");
        let paths = Paths::new(std::iter::once(&all)).expect("few states");
        assert_eq!(paths.witness(0), None);
        assert_eq!(paths.witness(paths.star()), Some("*"));
        assert!(!paths.set(&all).contains(paths.star()), "`*` is not a path");
    }
}
