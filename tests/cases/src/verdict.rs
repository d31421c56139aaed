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
    /// Whether nothing is wrong but that memory has grown.
    pub(crate) fn is_about_memory_alone(&self) -> bool {
        matches!(self, Verdict::Failed(wrong) if wrong.iter().all(|wrong| wrong.starts_with("memory grows")))
    }

    pub(crate) fn of(wrong: Vec<String>, unchecked: Vec<String>) -> Verdict {
        if wrong.is_empty() { Verdict::Passed(unchecked) } else { Verdict::Failed(wrong) }
    }
}
