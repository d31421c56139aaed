//! A table in which equal values are stored once, in order of their first use.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;
use std::hash::Hash;

/// See the module.
#[derive(Debug)]
pub(super) struct Intern<T>(IndexSet<T, FxBuildHasher>);

impl<T> Default for Intern<T> {
    fn default() -> Self {
        Intern(IndexSet::default())
    }
}

impl<T: Eq + Hash> Intern<T> {
    /// The index of a value.
    pub(super) fn index(&mut self, value: T) -> u32 {
        self.0.insert_full(value).0 as u32
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.0.get_index(index as usize)
    }

    pub(super) fn into_table(self) -> Vec<T> {
        self.0.into_iter().collect()
    }
}
