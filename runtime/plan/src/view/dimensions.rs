//! What a decision needs of a partition, looked up once for many requests.

use super::diagrams::{Field, Partition, States, target};
use super::dictionaries::Words;
use super::rows::Record;
use super::{Automaton, PlanView, Row};
use crate::layout::{Section, partition};
use crate::plan::Target;

/// The words of a partition that a decision reads, and the partition's first root. They are numbers: whoever keeps them beside a
/// connection borrows nothing. Asked of another plan they mean nothing, and are still answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    partition: u32,
    access: u32,
    first_root: u32,
    /// Where the states of the path begin, in words of the file, and how many words they take.
    states: (u32, u32),
    automaton: u32,
    star: u32,
    fields: (u32, u32),
}

impl Partition<'_> {
    /// What a decision needs of it.
    pub fn dimensions(self) -> Dimensions {
        let (record, plan) = (self.record(), self.record().plan());
        let (start, count) = record.range(partition::STATES);
        let (first_root, _) = record.range(partition::ROOTS);
        Dimensions {
            partition: self.index(),
            access: record.word(partition::ACCESS),
            first_root: Record::at(plan, Section::Roots, first_root).map_or(crate::NONE, |root| root.word(0)),
            states: ((plan.span(Section::States).start / 4).wrapping_add(start), count),
            automaton: self.path_automaton_index(),
            star: record.word(partition::STAR),
            fields: record.range(partition::FIELDS),
        }
    }
}

impl Dimensions {
    /// The partition's place among the plan's partitions.
    pub fn partition(self) -> u32 {
        self.partition
    }

    /// Where the authorization begins.
    #[inline]
    pub fn access(self) -> Target {
        target(self.access)
    }

    /// Where its only route, or its only call, begins: the first of its roots.
    #[inline]
    pub fn first_root(self) -> Target {
        target(self.first_root)
    }

    /// The atom of a path.
    #[inline]
    pub fn path_atom(self, plan: &PlanView, path: &str) -> u32 {
        let Some((b'/', segments)) = path.as_bytes().split_first() else { return self.star };
        if let Some(automaton) = Record::at(plan, Section::Automata, self.automaton).map(Automaton::of) {
            return automaton.atom_of(path.bytes());
        }
        let (start, count) = (self.states.0 as usize, self.states.1 as usize);
        let words = plan.file().get(start..).and_then(|words| words.get(..count));
        States::of(Words::new(words.unwrap_or_default())).atom_of(segments).unwrap_or(NO_PATTERN)
    }

    /// What else of a request is asked, by its place.
    #[inline]
    pub fn field(self, plan: &PlanView, index: u32) -> Option<Field<'_>> {
        let (start, count) = self.fields;
        if index >= count {
            return None;
        }
        Record::at(plan, Section::Fields, start.checked_add(index)?).map(Field::of)
    }
}

/// The path atom of a path that no pattern fits.
const NO_PATTERN: u32 = 0;
