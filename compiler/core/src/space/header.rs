//! A header dimension: absent, many, and classes of single values.
//!
//! Literals and prefixes are laminar (two prefixes are nested or disjoint), so the classes are: each literal, each prefix
//! without what is longer, and the rest.

use crate::bits::Bits;
use crate::model::{HeaderTest, ValueSet};
use std::collections::{BTreeMap, BTreeSet};

/// A header that something tests.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) name: String,
    /// Sorted: literal and its atom.
    pub(crate) exact: Vec<(String, u32)>,
    /// Sorted: prefix and the atom of the values it is the longest prefix of.
    pub(crate) prefixes: Vec<(String, u32)>,
    /// For each atom a value of it: `None` is absent, two are many.
    witnesses: Vec<Vec<String>>,
}

/// The atom of no line.
pub(crate) const ABSENT: u32 = 0;
/// The atom of more than one value.
pub(crate) const MANY: u32 = 1;
/// The atom of a single value that no test mentions.
pub(crate) const OTHER: u32 = 2;

/// One dimension for each header that the tests name.
pub(crate) fn dimensions<'m>(tests: impl Iterator<Item = &'m HeaderTest>) -> Vec<Header> {
    let mut by_name: BTreeMap<&str, Vec<&ValueSet>> = BTreeMap::new();
    for test in tests {
        by_name.entry(&test.header).or_default().push(&test.test);
    }
    by_name.into_iter().map(|(name, tests)| Header::new(name, &tests)).collect()
}

impl Header {
    fn new(name: &str, tests: &[&ValueSet]) -> Header {
        let mut literals = BTreeSet::new();
        let mut prefixes = BTreeSet::new();
        for test in tests {
            match test {
                ValueSet::OneOf(values) | ValueSet::NoneOf(values) => literals.extend(values.iter().cloned()),
                ValueSet::Prefix(prefix) | ValueSet::NotPrefix(prefix) => {
                    prefixes.insert(prefix.clone());
                }
                ValueSet::Absent | ValueSet::Present => {}
            }
        }
        let mut header =
            Header { name: name.to_owned(), exact: vec![], prefixes: vec![], witnesses: vec![vec![]; 3] };
        for literal in literals {
            header.exact.push((literal.clone(), header.witnesses.len() as u32));
            header.witnesses.push(vec![literal]);
        }
        for prefix in prefixes {
            header.prefixes.push((prefix, header.witnesses.len() as u32));
            header.witnesses.push(vec![]);
        }
        let fresh = header.fresh_value("");
        header.witnesses[MANY as usize] = vec![fresh.clone(), fresh.clone()];
        header.witnesses[OTHER as usize] = vec![fresh];
        for index in 0..header.prefixes.len() {
            let (prefix, atom) = header.prefixes[index].clone();
            header.witnesses[atom as usize] = vec![header.fresh_value(&prefix)];
        }
        header
    }

    pub(crate) fn atoms(&self) -> u32 {
        self.witnesses.len() as u32
    }

    /// A value of an atom, as lines: none for absent, two for many.
    pub(crate) fn witness(&self, atom: u32) -> &[String] {
        &self.witnesses[atom as usize]
    }

    /// The atoms of a set of values.
    pub(crate) fn set(&self, set: &ValueSet) -> Bits {
        Bits::such_that(self.atoms(), |atom| match (set, atom) {
            (ValueSet::Absent, ABSENT) => true,
            (ValueSet::Absent, _) | (_, ABSENT) => false,
            (ValueSet::Present, _) => true,
            // Doubt: a repeated value satisfies no test of a value.
            (_, MANY) => false,
            (ValueSet::OneOf(values), _) => values.iter().any(|value| self.is_exactly(atom, value)),
            (ValueSet::NoneOf(values), _) => !values.iter().any(|value| self.is_exactly(atom, value)),
            (ValueSet::Prefix(prefix), _) => self.begins_with(atom, prefix),
            (ValueSet::NotPrefix(prefix), _) => !self.begins_with(atom, prefix),
        })
    }

    fn is_exactly(&self, atom: u32, value: &str) -> bool {
        self.exact.iter().any(|(literal, own)| *own == atom && literal == value)
    }

    fn begins_with(&self, atom: u32, prefix: &str) -> bool {
        if atom == OTHER {
            return prefix.is_empty();
        }
        let mut classes = self.exact.iter().chain(&self.prefixes);
        classes.any(|(text, own)| *own == atom && text.starts_with(prefix))
    }

    /// A value with a prefix that no literal is and no longer prefix begins.
    fn fresh_value(&self, prefix: &str) -> String {
        // Every visible character, then nothing, then one outside ASCII: as long as the program leaves a value free, one is found.
        let words = ["x", "other"].into_iter().map(str::to_owned);
        let letters = ('a'..='z').chain('!'..='~').map(String::from);
        let endings = words.chain(letters).chain([String::new(), "é".to_owned()]);
        let free = |value: &String| {
            !self.exact.iter().any(|(literal, _)| literal == value)
                && !self
                    .prefixes
                    .iter()
                    .any(|(longer, _)| longer.len() > prefix.len() && value.starts_with(longer))
        };
        endings.map(|ending| format!("{prefix}{ending}")).find(free).unwrap_or_default()
    }
}
