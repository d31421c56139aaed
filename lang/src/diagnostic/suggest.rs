//! "Did you mean …?"
