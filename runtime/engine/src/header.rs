//! How lines of a header become one value (`spec/semantics.md` 1.3).

use crate::request::HeaderValue;

/// The value of a header, given its lines in order. `name` is lower-case.
pub fn value_of_lines<'a>(name: &str, lines: impl Iterator<Item = &'a [u8]>) -> HeaderValue<'a> {
    let _ = (name, lines);
    todo!()
}
