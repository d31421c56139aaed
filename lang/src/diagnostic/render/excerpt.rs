//! The lines of a file that a picture shows, as miette asks for them.

use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::{CONTEXT_LINES, shown};
use crate::diagnostic::Label;
use crate::lexer::is_refused;
use crate::source::SourceSet;
use crate::span::Span;

/// The lines of a file that a picture needs: two labels far from each other do not bring along what lies between.
#[derive(Debug)]
pub(super) struct Excerpt {
    path: String,
    /// In order; between two of them there is a line that is in none.
    windows: Vec<Window>,
}

/// Lines of a file that follow each other.
#[derive(Debug)]
struct Window {
    text: String,
    /// Where it begins in the file.
    start: usize,
    /// Lines before it.
    lines_before: usize,
}

impl Excerpt {
    pub(super) fn around(sources: &SourceSet, labels: &[&Label]) -> Option<Excerpt> {
        let file = labels.first()?.span.file();
        let source = sources.get(file)?;
        let ranges: Option<Vec<_>> =
            labels.iter().map(|label| with_context(&source.text, label.span)).collect();
        let windows = joined(ranges?).into_iter().map(|range| {
            let start = range.start;
            let mut text = in_place(source.text.get(range)?);
            if !text.ends_with('\n') {
                // miette points behind a line only where something follows.
                text.push('\n');
            }
            let (line, _) = sources.position(Span::new(file, start as u32, start as u32));
            Some(Window { text, start, lines_before: line - 1 })
        });
        Some(Excerpt { path: shown(&source.path).into_owned(), windows: windows.collect::<Option<_>>()? })
    }
}

/// The whole lines of a span, with those around it that are shown too.
fn with_context(text: &str, span: Span) -> Option<Range<usize>> {
    let (first, last) = (span.start() as usize, span.end() as usize);
    let (before, after) = (text.get(..first)?, text.get(last..)?);
    let start = before.rmatch_indices('\n').nth(CONTEXT_LINES).map_or(0, |(newline, _)| newline + 1);
    let end = after.match_indices('\n').nth(CONTEXT_LINES).map_or(text.len(), |(at, _)| last + at + 1);
    Some(start..end)
}

/// The same in order, where ranges that touch are one.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

impl SourceCode for Excerpt {
    /// Out of bounds where a span reaches from one window into the next: then miette draws them one below the other.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let place = self.windows.partition_point(|window| window.start <= span.offset());
        let window = place.checked_sub(1).and_then(|place| self.windows.get(place));
        let window = window.ok_or(MietteError::OutOfBounds)?;
        let local = SourceSpan::new((span.offset() - window.start).into(), span.len());
        let inside = window.text.as_str().read_span(&local, before, after)?;
        let found = inside.span();
        Ok(Box::new(MietteSpanContents::new_named(
            self.path.clone(),
            inside.data(),
            SourceSpan::new((found.offset() + window.start).into(), found.len()),
            inside.line() + window.lines_before,
            inside.column(),
            inside.line_count(),
        )))
    }
}

/// [`shown`] for a source: every byte keeps its place, so that labels stay where they are.
fn in_place(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let newline = c == '\r' && text[at..].trim_start_matches('\r').starts_with('\n');
        match c.len_utf8() {
            _ if newline => out.push(' '),
            _ if !is_refused(c) => out.push(c),
            3 => out.push(char::REPLACEMENT_CHARACTER),
            bytes => out.extend(std::iter::repeat_n('?', bytes)),
        }
    }
    out
}
