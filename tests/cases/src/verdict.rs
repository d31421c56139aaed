//! What became of a case.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As expected; what was not checked by itself is told.
    Passed(Vec<String>),
    /// What is wrong.
    Failed(Vec<String>),
    /// Why it was not played.
    Skipped(String),
}

impl Verdict {
    pub(crate) fn of(wrong: Vec<String>, unchecked: Vec<String>) -> Verdict {
        if wrong.is_empty() { Verdict::Passed(unchecked) } else { Verdict::Failed(wrong) }
    }
}
