//! Errors as clauses that a person reads.

use std::error::Error;
use std::io;

/// What is behind an error: `connection refused`, not `error sending request`.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    match error.downcast_ref::<io::Error>() {
        Some(error) => cause(error),
        None => error.to_string(),
    }
}

/// An error of the operating system without its number and without a capital letter: `no such file or directory`.
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(clause, _)| clause);
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_no_number() {
        assert_eq!(cause(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(cause(&io::Error::other("the disk is on fire")), "the disk is on fire");
    }
}
