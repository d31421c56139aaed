//! Everything that must hold, in one binary: it links once and filters by name.

mod conditions;
mod damage;
mod diagnostics;
mod differential;
mod documents;
mod e2e;
mod edits;
mod examples;
mod explain;
mod felt;
mod language;
mod laws;
mod main_job;
mod order;
mod plans;
mod privileges;
mod release;
mod swaps;
mod tidy;
mod traffic;
mod universe;
mod witnesses;
