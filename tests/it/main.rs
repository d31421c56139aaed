//! Everything that must hold, in one binary: it links once and filters by name.

mod differential;
