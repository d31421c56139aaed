//! Edits that make a mistake go away: plain data, which a driver shows or applies.

use crate::source::{FileId, SourceSet};
use crate::span::Span;

/// One way to make a mistake go away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, a clause in lower case.
    pub title: String,
    /// All of them, or the fix is none.
    pub edits: Vec<Edit>,
    /// Whether nothing else can have been meant. What is not certain is offered, never applied.
    pub certain: bool,
}

/// Another text for a piece of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where `written` stands, perhaps with something around it: quotes, a `$`, a word before it.
    pub span: Span,
    /// What is to go, as the author wrote it.
    pub written: String,
    /// What comes in its place.
    pub text: String,
}

impl Fix {
    /// Another text for what is written in a place.
    pub fn replace(span: Span, written: &str, text: String, certain: bool) -> Fix {
        let title = format!("write `{text}` for `{written}`");
        Fix { title, edits: vec![Edit { span, written: written.to_owned(), text }], certain }
    }

    /// The fix with the exact places of its edits; `None` where one of them would not find what it is to replace, such as
    /// the value of a parameter, which is written elsewhere.
    pub fn settled(&self, sources: &SourceSet) -> Option<Fix> {
        let edits: Option<Vec<Edit>> = self.edits.iter().map(|edit| edit.settled(sources)).collect();
        Some(Fix { title: self.title.clone(), edits: edits?, certain: self.certain })
    }
}

impl Edit {
    fn settled(&self, sources: &SourceSet) -> Option<Edit> {
        let around = sources.text(self.span);
        let mut found = around.match_indices(self.written.as_str()).map(|(at, _)| at);
        let at = found.next()?;
        // What stands there twice could be either.
        if found.next().is_some() || self.written.is_empty() {
            return None;
        }
        let start = self.span.start() + at as u32;
        let span = Span::new(self.span.file(), start, start + self.written.len() as u32);
        Some(Edit { span, ..self.clone() })
    }
}

/// A text with settled edits in it: those of one file, of which each is made once. Where two of them meet, `None`.
pub fn apply<'a>(file: FileId, text: &str, edits: impl IntoIterator<Item = &'a Edit>) -> Option<String> {
    let mut edits: Vec<&Edit> = edits.into_iter().filter(|edit| edit.span.file() == file).collect();
    edits.sort_by(|a, b| (a.span, &a.text).cmp(&(b.span, &b.text)));
    edits.dedup();
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        let (start, end) = (edit.span.start() as usize, edit.span.end() as usize);
        result.push_str(text.get(at..start)?);
        result.push_str(&edit.text);
        at = end;
    }
    result.push_str(text.get(at..)?);
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(start: u32, end: u32, written: &str, text: &str) -> Edit {
        Edit { span: Span::new(FileId(0), start, end), written: written.into(), text: text.into() }
    }

    fn settled(source: &str, edit: Edit) -> Option<Edit> {
        edit.settled(&SourceSet::single("a.mesh", source))
    }

    #[test]
    fn an_edit_finds_its_word_among_what_stands_around_it() {
        let found = settled("when header \"X-A\" present", edit(12, 17, "X-A", "x-a"));
        assert_eq!(found.map(|edit| (edit.span.start(), edit.span.end())), Some((13, 16)));
        let found = settled("to a $canry", edit(5, 11, "canry", "canary"));
        assert_eq!(found.map(|edit| (edit.span.start(), edit.span.end())), Some((6, 11)));
    }

    #[test]
    fn an_edit_of_what_is_written_elsewhere_or_twice_is_none() {
        assert_eq!(settled("to a $share", edit(5, 11, "1O%", "10%")), None, "the value of a parameter");
        assert_eq!(settled("to aa", edit(3, 5, "a", "b")), None);
        assert_eq!(settled("to aa", edit(3, 90, "a", "b")), None, "a place that is not there");
        assert_eq!(settled("to aa", edit(3, 3, "", "b")), None);
    }

    #[test]
    fn edits_are_made_together_or_not_at_all() {
        let (one, two) = (edit(0, 1, "a", "AA"), edit(2, 3, "c", ""));
        assert_eq!(apply(FileId(0), "abc", [&two, &one, &two]).as_deref(), Some("AAb"));
        assert_eq!(apply(FileId(0), "abc", [&edit(0, 2, "ab", "x"), &edit(1, 3, "bc", "y")]), None);
        assert_eq!(apply(FileId(0), "abc", [&edit(0, 1, "a", "x"), &edit(0, 1, "a", "y")]), None);
        assert_eq!(apply(FileId(1), "abc", [&one]).as_deref(), Some("abc"), "of another file");
    }
}
