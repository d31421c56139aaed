//! The lines of a head as it arrives, of which each byte is looked at once.

use crate::bounds::Bound;
use bytes::{Bytes, BytesMut};

/// How far a head was read that stands at the front of what was received.
#[derive(Default)]
pub(crate) struct Lines {
    /// Where the line begins whose end is looked for, and from where.
    line: usize,
    seen: usize,
}

/// What comes next of a head.
pub(crate) enum Line<'b> {
    /// Where a line stands, and the line with its line feed.
    Whole(usize, &'b [u8]),
    /// The beginning of one: more has to come.
    Begun(&'b [u8]),
    /// There are more bytes than a head may have: so much of the last line is there.
    TooLong(&'b [u8]),
}

impl Lines {
    pub(crate) fn next<'b>(&mut self, received: &'b [u8]) -> Line<'b> {
        let rest = received.get(self.seen..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').map(|at| self.seen + at + 1);
        self.seen = end.unwrap_or(received.len());
        let line = received.get(self.line..self.seen).unwrap_or_default();
        match end {
            _ if self.seen > Bound::HeadBytes.size() => Line::TooLong(line),
            None => Line::Begun(line),
            Some(end) => Line::Whole(std::mem::replace(&mut self.line, end), line),
        }
    }

    /// Takes the head off, of which the last line was the last.
    pub(crate) fn take(&mut self, received: &mut BytesMut) -> Bytes {
        let head = received.split_to(self.line.min(received.len())).freeze();
        *self = Lines::default();
        head
    }
}
