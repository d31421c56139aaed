//! The path dimension: all patterns of a partition become one deterministic automaton over segments.
//!
//! States are sets of positions in patterns (the subset construction); a path's atom is the set of patterns that
//! it fits. Wildcards can make the construction exponential, hence the budget. Where something looks into segments, a suffix or a
//! condition on the path, one automaton over bytes decides all patterns and conditions together.

use super::automaton::{Automaton, Class, TooManyStates};
use super::text::{TextTest, Universe};
use super::value::{TooMuch, culprit, readable};
use crate::bits::Bits;
use crate::model::{Polarity, ValueSet};
use indexmap::IndexSet;
use mesh_lang::Text;
use mesh_lang::ast::{Path, PathPattern, Segment};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::collections::{BTreeSet, VecDeque};

/// With more states each segment becomes a dimension (`segments.rs`): dense wildcards can blow up to millions, and a plan must stay
/// small. Ten thousand literal paths need about as many states.
pub(crate) const MAX_STATES: usize = 65_536;

/// The automaton of a partition's patterns.
#[derive(Debug)]
pub(crate) struct Paths {
    /// Sorted, each once.
    patterns: Vec<PathPattern>,
    /// The texts of patterns, which may differ in names, each with the index of its pattern.
    numbers: FxHashMap<Text, u32>,
    /// Empty where there is an automaton over bytes.
    pub(crate) states: Vec<State>,
    pub(crate) automaton: Option<Automaton>,
    /// Of the automaton over bytes what the bits of its classes stand for; sorted.
    tests: Vec<TextTest>,
    /// For each pattern, or for each of the tests, the atoms that fit it.
    sets: Vec<Bits>,
    /// For each atom a path of it; empty where there is none.
    witnesses: Vec<String>,
}

/// See [`mesh_plan::State`].
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) atom: u32,
    pub(crate) edges: Vec<(Text, u32)>,
    pub(crate) other: Option<u32>,
    pub(crate) empty: Option<u32>,
}

/// (pattern, segments behind it), sorted.
type Positions = Vec<(u32, u32)>;

/// The ways on from a state.
#[derive(Default)]
struct Ways<'p> {
    /// With exactly this segment, which may be empty; sorted.
    literals: Vec<(&'p Text, (u32, u32))>,
    /// With any segment that is not empty, `{name}`, or with any at all, `/**`.
    wild: Positions,
    /// Those of `wild` with any segment at all.
    below: Positions,
}

impl<'p> Ways<'p> {
    /// Where the positions lead, in place of where others led.
    fn follow(&mut self, patterns: &'p [PathPattern], positions: &Positions) {
        self.literals.clear();
        self.wild.clear();
        self.below.clear();
        for &(pattern, at) in positions {
            let whole = &patterns[pattern as usize];
            match whole.segments.get(at as usize) {
                Some(Segment::Literal(text)) => self.literals.push((text, (pattern, at + 1))),
                // With a suffix the automaton over bytes is asked.
                Some(Segment::Any(_) | Segment::AnyWithSuffix { .. }) => self.wild.push((pattern, at + 1)),
                None if whole.subtree => {
                    self.wild.push((pattern, at));
                    self.below.push((pattern, at));
                }
                None => {}
            }
        }
        self.literals.sort_unstable();
    }
}

/// How a state was first met: from which one, and with which segment.
struct Step {
    from: u32,
    segment: Text,
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
    let mut path = String::with_capacity(segments.iter().map(|segment| 1 + segment.len()).sum());
    for segment in segments.into_iter().rev() {
        path.push('/');
        path.push_str(segment);
    }
    path
}

fn both(ends: impl Iterator<Item = (u32, u32)>, more: &[(u32, u32)]) -> Positions {
    let mut positions: Positions = ends.chain(more.iter().copied()).collect();
    positions.sort_unstable();
    positions
}

/// For each of `count` tests the atoms that fit it.
fn turned(count: usize, atoms: u32, fits: &[&Bits]) -> Vec<Bits> {
    let mut sets = vec![Bits::none(atoms); count];
    for (fits, atom) in fits.iter().zip(0..) {
        fits.iter().for_each(|test| sets[test as usize].insert(atom));
    }
    sets
}

impl Paths {
    /// The paths that these patterns and sets tell apart, by at most so many states where segments are looked at.
    pub(crate) fn new<'m>(
        paths: impl Iterator<Item = &'m Path>,
        sets: &[&ValueSet],
        most: usize,
    ) -> Result<Paths, TooMuch> {
        let mut texts: Vec<&Path> = paths.collect();
        texts.sort_unstable();
        texts.dedup();
        let mut own: Vec<(PathPattern, &Path)> =
            texts.into_iter().map(|path| (nameless(path), path)).collect();
        own.sort_unstable();
        let mut patterns: Vec<PathPattern> = Vec::with_capacity(own.len());
        let mut numbers: FxHashMap<Text, u32> = FxHashMap::with_capacity_and_hasher(own.len(), FxBuildHasher);
        for (pattern, path) in own {
            if patterns.last() != Some(&pattern) {
                patterns.push(pattern);
            }
            numbers.insert(path.as_str().into(), patterns.len() as u32 - 1);
        }
        let inside = |segment: &Segment| matches!(segment, Segment::AnyWithSuffix { .. });
        if !sets.is_empty() || patterns.iter().any(|pattern| pattern.segments.iter().any(inside)) {
            return Paths::by_bytes(patterns, sets);
        }
        let built = Built::of(&patterns, most).map_err(|TooManyStates| TooMuch::Patterns)?;
        Ok(Paths {
            numbers,
            sets: turned(patterns.len(), built.fits.len() as u32 + 1, &built.fits.iter().collect::<Vec<_>>()),
            patterns,
            states: built.states,
            automaton: None,
            tests: vec![],
            witnesses: built.witnesses,
        })
    }

    /// Classes of paths that something else reads, by a path of each; empty where there is none.
    pub(crate) fn of_witnesses(witnesses: Vec<String>) -> Paths {
        Paths {
            patterns: vec![],
            numbers: FxHashMap::default(),
            states: vec![],
            automaton: None,
            tests: vec![],
            sets: vec![],
            witnesses,
        }
    }

    /// All paths are one: something else reads them.
    pub(crate) fn undivided() -> Paths {
        let state = State { atom: 0, edges: vec![], other: Some(0), empty: Some(0) };
        Paths { states: vec![state], ..Paths::of_witnesses(vec!["/".to_owned()]) }
    }

    fn by_bytes(patterns: Vec<PathPattern>, sets: &[&ValueSet]) -> Result<Paths, TooMuch> {
        let asked = sets.iter().filter_map(|set| match set {
            ValueSet::Passing { asked, .. } => asked.of_one(false),
            ValueSet::Absent | ValueSet::Present => None,
        });
        let own = patterns.into_iter().map(TextTest::Path);
        let tests: Vec<TextTest> = own.chain(asked).collect::<BTreeSet<_>>().into_iter().collect();
        let automaton = Automaton::new(&tests, Universe::Path)
            .map_err(|TooManyStates| TooMuch::States(culprit(&tests, Universe::Path)))?;
        let fits: Vec<&Bits> = automaton.classes.iter().map(|class| &class.fits).collect();
        let witness = |class: &Class| class.witness.as_deref().map(readable).unwrap_or_default();
        Ok(Paths {
            sets: turned(tests.len(), fits.len() as u32 + 1, &fits),
            witnesses: automaton.classes.iter().map(witness).collect(),
            automaton: Some(automaton),
            tests,
            ..Paths::of_witnesses(vec![])
        })
    }

    /// Number of atoms: the classes of paths, and the path `*`.
    pub(crate) fn atoms(&self) -> u32 {
        self.witnesses.len() as u32 + 1
    }

    /// The atom of the path `*`, which no pattern fits.
    pub(crate) fn star(&self) -> u32 {
        self.witnesses.len() as u32
    }

    /// The paths that fit a pattern of this partition.
    pub(crate) fn set(&self, path: &Path) -> Bits {
        let index = match (&self.automaton, self.numbers.get(path.as_str())) {
            (Some(_), _) => self.tests.binary_search(&TextTest::Path(nameless(path))).ok(),
            (None, Some(index)) => Some(*index as usize),
            (None, None) => self.patterns.binary_search(&nameless(path)).ok(),
        };
        index.map_or_else(|| Bits::none(self.atoms()), |index| self.sets[index].clone())
    }

    /// The paths in a set. The path `*` is no path: what is asked of it is in doubt.
    pub(crate) fn set_of(&self, set: &ValueSet) -> Bits {
        let ValueSet::Passing { asked, negated, polarity } = set else { return Bits::none(self.atoms()) };
        let index = asked.of_one(false).and_then(|test| self.tests.binary_search(&test).ok());
        Bits::such_that(self.atoms(), |atom| match index {
            _ if atom == self.star() => *negated && *polarity == Polarity::Refusal,
            Some(index) => self.witness(atom).is_some() && self.sets[index].contains(atom) != *negated,
            None => false,
        })
    }

    /// A short path of an atom, if there is one: atom 0 may be empty where `/**` is a pattern.
    pub(crate) fn witness(&self, atom: u32) -> Option<&str> {
        match self.witnesses.get(atom as usize) {
            Some(path) if path.is_empty() => None,
            Some(path) => Some(path),
            None => Some("*"),
        }
    }
}

/// What the patterns become.
struct Built {
    states: Vec<State>,
    /// For each atom the patterns that a path of it fits.
    fits: Vec<Bits>,
    /// For each atom a path of it.
    witnesses: Vec<String>,
}

impl Built {
    /// Breadth first, so that the first path to reach a class is a shortest one.
    fn of(patterns: &[PathPattern], most: usize) -> Result<Built, TooManyStates> {
        let none = Bits::none(patterns.len() as u32);
        // About as many classes as patterns.
        let usual = patterns.len() + 2;
        let mut class_of: FxHashMap<Bits, u32> = FxHashMap::with_capacity_and_hasher(usual, FxBuildHasher);
        class_of.insert(none.clone(), 0);
        let mut built = Built { states: vec![], fits: vec![none.clone()], witnesses: vec![String::new()] };
        // No path is without a segment, so the start is a state of its own that nothing leads back to: the others follow it.
        let start: Positions = (0..patterns.len() as u32).map(|pattern| (pattern, 0)).collect();
        let mut known: IndexSet<(Positions, bool), FxBuildHasher> =
            IndexSet::with_capacity_and_hasher(2 * usual, FxBuildHasher);
        let mut came = vec![Step { from: 0, segment: Text::default() }];
        let mut ways = Ways::default();
        while built.states.len() < came.len() {
            let here = built.states.len() as u32;
            let is_start = here == 0;
            let positions =
                known.get_index((here as usize).wrapping_sub(1)).map_or(&start, |(known, _)| known);
            let fits = if is_start { none.clone() } else { fitting(patterns, positions) };
            let fresh = class_of.len() as u32;
            let atom = *class_of.entry(fits).or_insert_with_key(|fits| {
                built.fits.push(fits.clone());
                built.witnesses.push(path_to(&came, here));
                fresh
            });
            if atom == 0 && !is_start && built.witnesses[0].is_empty() {
                built.witnesses[0] = path_to(&came, here);
            }
            let mut state = State { atom, edges: vec![], other: None, empty: None };
            // Only the last segment of a canonical path can be empty: nothing follows it.
            if is_start || !came[here as usize].segment.is_empty() {
                ways.follow(patterns, positions);
                let Ways { literals, wild, below } = &ways;
                let mut number = |next: Positions, is_empty: bool, segment: &dyn Fn() -> Text| {
                    if next.is_empty() {
                        return None;
                    }
                    let (index, is_new) = known.insert_full((next, is_empty));
                    if is_new {
                        came.push(Step { from: here, segment: segment() });
                    }
                    Some(index as u32 + 1)
                };
                let is_literal =
                    |text: &str| literals.binary_search_by(|(own, _)| own.as_str().cmp(text)).is_ok();
                state.other = number(wild.clone(), false, &|| fresh_segment(is_literal).into());
                // The empty text comes first.
                let empty = literals.partition_point(|(literal, _)| literal.is_empty());
                let (empty, literals) = literals.split_at(empty);
                state.empty = number(both(empty.iter().map(|(_, end)| *end), below), true, &Text::default);
                state.edges.reserve_exact(literals.len());
                for ends in literals.chunk_by(|one, other| one.0 == other.0) {
                    let literal = ends[0].0;
                    let next =
                        number(both(ends.iter().map(|(_, end)| *end), wild), false, &|| literal.clone());
                    let next = next.filter(|next| Some(*next) != state.other);
                    state.edges.extend(next.map(|next| (literal.clone(), next)));
                }
            }
            built.states.push(state);
            if known.len() > most {
                return Err(TooManyStates);
            }
        }
        built.witness_of_no_pattern();
        Ok(built)
    }

    /// Atom 0 has no state of its own where every miss falls off the automaton: then the way off is its witness.
    fn witness_of_no_pattern(&mut self) {
        if !self.witnesses[0].is_empty() {
            return;
        }
        // Nearly always: no pattern fits `/`.
        if self.states[0].empty.is_none() {
            self.witnesses[0] = "/".to_owned();
            return;
        }
        let paths = self.paths_to_states();
        let way_off = self.states.iter().zip(&paths).find_map(|(state, path)| {
            if state.atom == 0 && !path.is_empty() {
                Some(path.clone())
            } else if path.ends_with('/') {
                None
            } else if state.other.is_none() {
                Some(format!("{path}/{}", state.fresh_segment()))
            } else if state.empty.is_none() {
                Some(format!("{path}/"))
            } else {
                None
            }
        });
        self.witnesses[0] = way_off.unwrap_or_default();
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

/// The patterns that a path fits which ends at these positions.
fn fitting(patterns: &[PathPattern], positions: &Positions) -> Bits {
    let is_end = |(pattern, at): &&(u32, u32)| patterns[*pattern as usize].segments.len() == *at as usize;
    let ends = positions.iter().filter(is_end).map(|(pattern, _)| *pattern);
    Bits::of(patterns.len() as u32, ends)
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
        let paths = Paths::new(patterns.iter(), &[], MAX_STATES).expect("few states");
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
        let paths = Paths::new(patterns.iter(), &[], MAX_STATES).expect("few states");
        assert_eq!(paths.witness(0), None, "every path is `/` or begins with a segment");
        assert_eq!(paths.atoms(), 4, "none, `/`, the others, and `*`");
    }

    #[test]
    fn where_everything_fits_no_path_is_outside() {
        let all = pattern("/**");
        let paths = Paths::new(std::iter::once(&all), &[], MAX_STATES).expect("few states");
        assert_eq!(paths.witness(0), None);
        assert_eq!(paths.witness(paths.star()), Some("*"));
        assert!(!paths.set(&all).contains(paths.star()), "`*` is not a path");
    }
}
