//! The path as a dimension for each of its segments: what is asked where patterns with many wildcards would need too many states of
//! one automaton (`path.rs`).
//!
//! A pattern is a product of sets of segments then, as a line is one of its parts, so nothing has to be determinized: of a thousand
//! patterns of depth six there are six dimensions, each with the few words that stand at one place. What is lost is the one small
//! number that a path was; decisions over these dimensions are lists of candidates ([`crate::diagram::symbolic`]).

use super::path::{fresh_segment, nameless};
use crate::bits::Bits;
use mesh_lang::ast::{Path, PathPattern, Segment};
use std::collections::BTreeSet;

/// A segment at one place of a path.
#[derive(Debug, Default)]
pub(crate) struct SegmentAt {
    /// Sorted, each once, none of them empty.
    pub(crate) literals: Vec<String>,
}

/// The atom of no segment: the path is at its end, or is `*`.
pub(crate) const END: u32 = 0;
/// The atom of the empty segment, behind which nothing follows.
pub(crate) const EMPTY: u32 = 1;
/// The atom of a segment that no pattern names at this place.
pub(crate) const OTHER: u32 = 2;
/// The atom of the first literal.
pub(crate) const LITERALS: u32 = 3;

/// More places are refused (`MESH3090`): each is a dimension, and a list of candidates has a test for each.
pub(crate) const MAX_PLACES: usize = 48;

/// The places at which these patterns tell segments apart, at least one: the last one tells only whether the path is at its end.
pub(crate) fn places<'m>(paths: impl Iterator<Item = &'m Path>) -> Vec<SegmentAt> {
    let patterns: BTreeSet<PathPattern> = paths.map(nameless).collect();
    let ends = |pattern: &PathPattern| pattern.segments.len() + usize::from(!pattern.subtree);
    let count = patterns.iter().map(ends).max().unwrap_or(0).max(1);
    let mut literals: Vec<BTreeSet<String>> = vec![BTreeSet::new(); count];
    for pattern in &patterns {
        for (segment, literals) in pattern.segments.iter().zip(&mut literals) {
            if let Segment::Literal(text) = segment
                && !text.is_empty()
            {
                literals.insert(text.to_string());
            }
        }
    }
    literals.into_iter().map(|literals| SegmentAt { literals: literals.into_iter().collect() }).collect()
}

/// The sets of segments, from the first place on, of which a pattern is the product. What stands behind them is everything.
pub(crate) fn sets(pattern: &Path, places: &[&SegmentAt]) -> Vec<Bits> {
    let pattern = pattern.pattern();
    let own = pattern.segments.iter().zip(places).map(|(segment, place)| place.set(segment));
    let end = places.get(pattern.segments.len()).filter(|_| !pattern.subtree);
    let end = end.map(|place| Bits::such_that(place.atoms(), |atom| atom == END));
    own.chain(end).collect()
}

impl SegmentAt {
    pub(crate) fn atoms(&self) -> u32 {
        LITERALS + self.literals.len() as u32
    }

    fn set(&self, segment: &Segment) -> Bits {
        let literal = match segment {
            // A suffix is asked of the bytes of a path: such patterns have no places.
            Segment::Any(_) | Segment::AnyWithSuffix { .. } => {
                return Bits::such_that(self.atoms(), |atom| atom >= OTHER);
            }
            Segment::Literal(text) if text.is_empty() => Some(EMPTY),
            Segment::Literal(text) => self.atom_of(text),
        };
        Bits::such_that(self.atoms(), |atom| Some(atom) == literal)
    }

    fn atom_of(&self, literal: &str) -> Option<u32> {
        let found = self.literals.binary_search_by(|own| own.as_str().cmp(literal));
        found.ok().map(|index| LITERALS + index as u32)
    }

    /// A segment of an atom; `None` at the end of the path.
    pub(crate) fn sample(&self, atom: u32) -> Option<String> {
        match atom {
            END => None,
            EMPTY => Some(String::new()),
            OTHER => Some(fresh_segment(|segment| {
                self.literals.binary_search_by(|own| own.as_str().cmp(segment)).is_ok()
            })),
            literal => self.literals.get((literal - LITERALS) as usize).cloned(),
        }
    }

    /// Atoms from the one a person would think of first: a short path, and one without a `/` at its end.
    pub(crate) fn plain_order(&self) -> Vec<u32> {
        [END, OTHER].into_iter().chain(LITERALS..self.atoms()).chain([EMPTY]).collect()
    }

    /// Whether nothing follows this atom.
    pub(crate) fn is_last(atom: u32) -> bool {
        atom == END || atom == EMPTY
    }
}
