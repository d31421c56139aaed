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
        let mut atoms = Bits::none(self.atoms());
        match set {
            ValueSet::Absent => atoms.insert(ABSENT),
            ValueSet::Present => (MANY..self.atoms()).for_each(|atom| atoms.insert(atom)),
            // Doubt: a repeated value satisfies no test of a value.
            ValueSet::OneOf(values) => self.literals(values).for_each(|atom| atoms.insert(atom)),
            ValueSet::Prefix(prefix) => self.beginning(prefix).for_each(|atom| atoms.insert(atom)),
            ValueSet::NoneOf(values) => {
                let excluded = self.literals(values).collect();
                self.all_single_but(excluded).for_each(|atom| atoms.insert(atom));
            }
            ValueSet::NotPrefix(prefix) => {
                let excluded = self.beginning(prefix).collect();
                self.all_single_but(excluded).for_each(|atom| atoms.insert(atom));
            }
        }
        atoms
    }

    fn literals(&self, values: &[String]) -> impl Iterator<Item = u32> {
        let found = values
            .iter()
            .filter_map(|value| self.exact.binary_search_by(|(literal, _)| literal.cmp(value)).ok());
        found.map(|index| self.exact[index].1)
    }

    /// The classes whose values begin so; both lists are sorted, so they stand together.
    fn beginning(&self, prefix: &str) -> impl Iterator<Item = u32> {
        let of = |list: &'_ [(String, u32)]| -> Vec<u32> {
            let first = list.partition_point(|(text, _)| text.as_str() < prefix);
            list[first..]
                .iter()
                .take_while(|(text, _)| text.starts_with(prefix))
                .map(|(_, atom)| *atom)
                .collect()
        };
        let rest = prefix.is_empty().then_some(OTHER);
        of(&self.exact).into_iter().chain(of(&self.prefixes)).chain(rest)
    }

    fn all_single_but(&self, excluded: BTreeSet<u32>) -> impl Iterator<Item = u32> {
        (OTHER..self.atoms()).filter(move |atom| !excluded.contains(atom))
    }

    /// A value with a prefix that no literal is and no longer prefix begins.
    fn fresh_value(&self, prefix: &str) -> String {
        // Every visible character, then nothing, then one outside ASCII: as long as the program leaves a value free, one is found.
        let words = ["x", "other"].into_iter().map(str::to_owned);
        let letters = ('a'..='z').chain('!'..='~').map(String::from);
        let endings = words.chain(letters).chain([String::new(), "é".to_owned()]);
        let free = |value: &String| {
            self.exact.binary_search_by(|(literal, _)| literal.cmp(value)).is_err()
                && !self
                    .prefixes
                    .iter()
                    .any(|(longer, _)| longer.len() > prefix.len() && value.starts_with(longer))
        };
        endings.map(|ending| format!("{prefix}{ending}")).find(free).unwrap_or_default()
    }
}
