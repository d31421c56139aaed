//! Answers as a person reads them: each snapshot is one question with its answer.

mod answers;
mod edits;
mod prefixes;
