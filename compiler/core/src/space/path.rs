//! The path dimension: all patterns of a partition become one deterministic automaton over segments.
//!
//! States are sets of positions in patterns (the subset construction); a path's atom is the set of patterns that
//! it fits. Wildcards can make the construction exponential, hence the budget. Where something looks into segments, a suffix or a
//! condition on the path, one automaton over bytes decides all patterns and conditions together.

use super::automaton::{Automaton, TooManyStates};
use super::text::{TextTest, Universe};
use super::value::{TooMuch, culprit, readable};
use crate::bits::Bits;
use crate::model::{Polarity, ValueSet};
use mesh_lang::Text;
use mesh_lang::ast::{Path, PathPattern, Segment};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// More states are refused (`MESH3090`): dense wildcards can blow up to millions, and a plan must stay small. Ten
/// thousand literal paths need about as many states.
pub(crate) const MAX_STATES: usize = 65_536;

/// The automaton of a partition's patterns.
#[derive(Debug)]
pub(crate) struct Paths {
    /// Sorted, each once.
    patterns: Vec<PathPattern>,
    /// Empty where there is an automaton over bytes.
    pub(crate) states: Vec<State>,
    pub(crate) automaton: Option<Automaton>,
    /// Of the automaton over bytes what the bits of its classes stand for; sorted.
    tests: Vec<TextTest>,
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

/// The ways on from a state.
#[derive(Default)]
struct Ways<'p> {
    /// With exactly this segment, which may be empty.
    literals: BTreeMap<&'p str, Positions>,
    /// With any segment that is not empty: `{name}`.
    any: Positions,
    /// With any segment at all: `/**`.
    below: Positions,
}

/// How a state was first met: from which one, and with which segment.
struct Step {
    from: u32,
    segment: String,
}

/// A shortest path to a state.
fn path_to(came: &[Step], state: u32) -> String {
    let mut segments = Vec::new();
    let mut at = state;
    while at != 0 {
        let Step { from, segment } = &came[at as usize];
        segments.push(segment.as_str());
        at = *from;
    }
    segments.iter().rev().flat_map(|segment| ["/", segment]).collect()
}

fn sorted(lists: &[&[(u32, u32)]]) -> Positions {
    let mut positions = lists.concat();
    positions.sort_unstable();
    positions.dedup();
    positions
}

impl Paths {
    /// The paths that these patterns and sets tell apart.
    pub(crate) fn new<'m>(
        paths: impl Iterator<Item = &'m Path>,
        sets: &[&ValueSet],
    ) -> Result<Paths, TooMuch> {
        let patterns: Vec<PathPattern> = paths.map(nameless).collect::<BTreeSet<_>>().into_iter().collect();
        let inside = |segment: &Segment| matches!(segment, Segment::AnyWithSuffix { .. });
        if !sets.is_empty() || patterns.iter().any(|pattern| pattern.segments.iter().any(inside)) {
            return Paths::by_bytes(patterns, sets);
        }
        let mut paths = Paths {
            classes: vec![(Bits::none(patterns.len() as u32), String::new())],
            patterns,
            states: vec![],
            automaton: None,
            tests: vec![],
        };
        match paths.build() {
            Ok(()) => Ok(paths),
            Err(TooManyStates) => Err(TooMuch::Patterns),
        }
    }

    /// Classes of paths that something else reads, by a path of each; empty where there is none.
    pub(crate) fn of_witnesses(witnesses: Vec<String>) -> Paths {
        let classes = witnesses.into_iter().map(|path| (Bits::none(0), path)).collect();
        Paths { patterns: vec![], states: vec![], automaton: None, tests: vec![], classes }
    }

    fn by_bytes(patterns: Vec<PathPattern>, sets: &[&ValueSet]) -> Result<Paths, TooMuch> {
        let asked = sets.iter().filter_map(|set| match set {
            ValueSet::Passing { asked, .. } => asked.of_one(false),
            ValueSet::Absent | ValueSet::Present => None,
        });
        let own = patterns.iter().cloned().map(TextTest::Path);
        let tests: Vec<TextTest> = own.chain(asked).collect::<BTreeSet<_>>().into_iter().collect();
        let automaton = Automaton::new(&tests, Universe::Path)
            .map_err(|TooManyStates| TooMuch::States(culprit(&tests, Universe::Path)))?;
        let classes = automaton
            .classes
            .iter()
            .map(|class| (class.fits.clone(), class.witness.as_deref().map(readable).unwrap_or_default()));
        let classes = classes.collect();
        Ok(Paths { patterns, states: vec![], automaton: Some(automaton), tests, classes })
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
    pub(crate) fn set(&self, path: &Path) -> Bits {
        let pattern = nameless(path);
        let index = match self.automaton {
            Some(_) => self.tests.binary_search(&TextTest::Path(pattern)),
            None => self.patterns.binary_search(&pattern),
        };
        let index = index.map(|index| index as u32);
        Bits::such_that(self.atoms(), |atom| match (index, self.classes.get(atom as usize)) {
            (Ok(index), Some((fits, _))) => fits.contains(index),
            _ => false,
        })
    }

    /// The paths in a set. The path `*` is no path: what is asked of it is in doubt.
    pub(crate) fn set_of(&self, set: &ValueSet) -> Bits {
        let ValueSet::Passing { asked, negated, polarity } = set else { return Bits::none(self.atoms()) };
        let index = asked.of_one(false).and_then(|test| self.tests.binary_search(&test).ok());
        Bits::such_that(self.atoms(), |atom| match (index, self.classes.get(atom as usize)) {
            (Some(index), Some((fits, _))) => {
                self.witness(atom).is_some() && fits.contains(index as u32) != *negated
            }
            (None, Some(_)) => false,
            (_, None) => *negated && *polarity == Polarity::Refusal,
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
        let none = Bits::none(self.patterns.len() as u32);
        let mut class_of: FxHashMap<Bits, u32> = FxHashMap::default();
        class_of.insert(none.clone(), 0);
        // No path is without a segment, so the start is a state of its own that nothing leads back to.
        let start: Positions = (0..self.patterns.len() as u32).map(|pattern| (pattern, 0)).collect();
        let mut numbers: FxHashMap<(Positions, bool), u32> = FxHashMap::default();
        let mut came = vec![Step { from: 0, segment: String::new() }];
        let mut waiting = VecDeque::from([start]);
        while let Some(positions) = waiting.pop_front() {
            let here = self.states.len() as u32;
            let is_start = here == 0;
            let fits = if is_start { none.clone() } else { self.fitting(&positions) };
            let atom = match class_of.get(&fits) {
                Some(known) => *known,
                None => {
                    let fresh = self.classes.len() as u32;
                    class_of.insert(fits.clone(), fresh);
                    self.classes.push((fits, path_to(&came, here)));
                    fresh
                }
            };
            if atom == 0 && !is_start && self.classes[0].1.is_empty() {
                self.classes[0].1 = path_to(&came, here);
            }
            let mut state = State { atom, edges: vec![], other: None, empty: None };
            // Only the last segment of a canonical path can be empty: nothing follows it.
            if is_start || !came[here as usize].segment.is_empty() {
                let mut number = |next: Positions, segment: &str| -> Option<u32> {
                    if next.is_empty() {
                        return None;
                    }
                    let key = (next, segment.is_empty());
                    if let Some(known) = numbers.get(&key) {
                        return Some(*known);
                    }
                    let fresh = came.len() as u32;
                    came.push(Step { from: here, segment: segment.to_owned() });
                    waiting.push_back(key.0.clone());
                    numbers.insert(key, fresh);
                    Some(fresh)
                };
                let Ways { literals, any, below } = self.ways(&positions);
                let wild = sorted(&[&any, &below]);
                state.other = number(wild.clone(), &fresh_segment(|segment| literals.contains_key(segment)));
                let named_empty = literals.get("").map_or(&[][..], Vec::as_slice);
                state.empty = number(sorted(&[named_empty, &below]), "");
                for (literal, ends) in literals.iter().filter(|(literal, _)| !literal.is_empty()) {
                    let next = number(sorted(&[ends, &wild]), literal);
                    state.edges.extend(
                        next.filter(|next| Some(*next) != state.other)
                            .map(|next| (literal.to_string(), next)),
                    );
                }
            }
            self.states.push(state);
            if numbers.len() > MAX_STATES {
                return Err(TooManyStates);
            }
        }
        self.witness_of_no_pattern();
        Ok(())
    }

    /// The patterns that a path fits which ends at these positions.
    fn fitting(&self, positions: &Positions) -> Bits {
        let mut fits = Bits::none(self.patterns.len() as u32);
        for (pattern, at) in positions {
            if self.patterns[*pattern as usize].segments.len() == *at as usize {
                fits.insert(*pattern);
            }
        }
        fits
    }

    /// Where the positions lead.
    fn ways(&self, positions: &Positions) -> Ways<'_> {
        let mut ways = Ways::default();
        for &(pattern, at) in positions {
            let whole = &self.patterns[pattern as usize];
            match whole.segments.get(at as usize) {
                Some(Segment::Literal(text)) => {
                    ways.literals.entry(text).or_default().push((pattern, at + 1))
                }
                // With a suffix the automaton over bytes is asked.
                Some(Segment::Any(_) | Segment::AnyWithSuffix { .. }) => ways.any.push((pattern, at + 1)),
                None if whole.subtree => ways.below.push((pattern, at)),
                None => {}
            }
        }
        ways
    }

    /// Atom 0 has no state of its own where every miss falls off the automaton: then the way off is its witness.
    fn witness_of_no_pattern(&mut self) {
        if !self.classes[0].1.is_empty() {
            return;
        }
        let paths = self.paths_to_states();
        let way_off = self.states.iter().zip(&paths).find_map(|(state, path)| {
            if state.atom == 0 && !path.is_empty() {
                Some(path.clone())
            } else if path.ends_with('/') {
                None
            } else if path.is_empty() && state.empty.is_none() {
                Some("/".to_owned())
            } else if state.other.is_none() {
                Some(format!("{path}/{}", state.fresh_segment()))
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
            let fresh = state.fresh_segment();
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

impl State {
    /// A segment that no edge is for.
    fn fresh_segment(&self) -> String {
        fresh_segment(|segment| {
            self.edges.binary_search_by(|(literal, _)| literal.as_str().cmp(segment)).is_ok()
        })
    }
}

/// A segment that is not taken: what a person would type.
pub(crate) fn fresh_segment(is_taken: impl Fn(&str) -> bool) -> String {
    let plain = ["1", "x", "other"].into_iter().map(str::to_owned);
    let numbered = (2..).map(|number| format!("x{number}"));
    plain.chain(numbered).find(|candidate| !is_taken(candidate)).unwrap_or_default()
}

/// `{id}` and `{name}` are the same segment.
pub(crate) fn nameless(path: &Path) -> PathPattern {
    let mut pattern = path.pattern();
    for segment in &mut pattern.segments {
        if let Segment::Any(name) | Segment::AnyWithSuffix { name, .. } = segment {
            *name = Text::default();
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_lang::ast::Segment::{Any, Literal};

    fn pattern(text: &str) -> Path {
        let (text, subtree) = text.strip_suffix("/**").map_or((text, false), |rest| (rest, true));
        let segment = |text: &str| match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => Any(name.into()),
            None => Literal(text.into()),
        };
        let segments = text.strip_prefix('/').map(|rest| rest.split('/').map(segment).collect());
        Path::from(PathPattern { segments: segments.unwrap_or_default(), subtree })
    }

    #[test]
    fn every_class_has_a_path_that_is_in_it() {
        let patterns = ["/", "/a", "/a/**", "/{x}/b", "/a/{x}/c", "/a/"].map(pattern);
        let paths = Paths::new(patterns.iter(), &[]).expect("few states");
        for atom in 0..paths.star() {
            let witness = paths.witness(atom).expect("a path");
            let own = pattern(witness);
            for pattern in &patterns {
                assert_eq!(paths.set(pattern).contains(atom), fits(pattern, &own), "{witness} in {pattern}");
            }
        }
    }

    /// By definition, segment by segment.
    fn fits(pattern: &Path, path: &Path) -> bool {
        let (pattern, path) = (pattern.pattern(), path.pattern());
        let long_enough = if pattern.subtree {
            path.segments.len() >= pattern.segments.len()
        } else {
            path.segments.len() == pattern.segments.len()
        };
        let same = |(wanted, own): (&Segment, &Segment)| match (wanted, own) {
            (Any(_), own) => *own != Literal(Text::default()),
            (wanted, own) => wanted == own,
        };
        long_enough && pattern.segments.iter().zip(&path.segments).all(same)
    }

    #[test]
    fn nothing_follows_an_empty_segment() {
        let patterns = ["/", "/{x}/**"].map(pattern);
        let paths = Paths::new(patterns.iter(), &[]).expect("few states");
        assert_eq!(paths.witness(0), None, "every path is `/` or begins with a segment");
        assert_eq!(paths.atoms(), 4, "none, `/`, the others, and `*`");
    }

    #[test]
    fn where_everything_fits_no_path_is_outside() {
        let all = pattern("/**");
        let paths = Paths::new(std::iter::once(&all), &[]).expect("few states");
        assert_eq!(paths.witness(0), None);
        assert_eq!(paths.witness(paths.star()), Some("*"));
        assert!(!paths.set(&all).contains(paths.star()), "`*` is not a path");
    }
}
