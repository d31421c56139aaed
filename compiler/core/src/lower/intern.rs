//! A table in which equal values are stored once, in order of their first use.

use std::collections::BTreeMap;

/// See the module.
#[derive(Debug)]
pub(super) struct Intern<T> {
    known: BTreeMap<T, u32>,
    table: Vec<T>,
}

impl<T> Default for Intern<T> {
    fn default() -> Self {
        Intern { known: BTreeMap::new(), table: Vec::new() }
    }
}

impl<T: Ord + Clone> Intern<T> {
    /// The index of a value.
    pub(super) fn index(&mut self, value: T) -> u32 {
        if let Some(known) = self.known.get(&value) {
            return *known;
        }
        let index = self.table.len() as u32;
        self.table.push(value.clone());
        self.known.insert(value, index);
        index
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.table.get(index as usize)
    }

    pub(super) fn into_table(self) -> Vec<T> {
        self.table
    }
}
