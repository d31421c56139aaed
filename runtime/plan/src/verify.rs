//! From bytes that anybody may have written to a plan that the engine can rely on.
//!
//! One pass over each table proves what lookups and walks assume, so that nothing after it checks again: every index
//! and range is inside its table, every list that is searched is sorted, every walk ends.

mod balancing;
mod diagrams;
mod dictionaries;
mod enter;
mod lists;
mod outcomes;
mod vectors;
mod verifiers;
mod workloads;

use crate::layout::{
    AT_FLAGS, AT_LENGTH, AT_MAJOR, AT_MIN_READER, AT_MINOR, AT_SECTIONS, DIGEST, ENTRY_BYTES, HEADER_BYTES,
    MAGIC, MAJOR, MAX_PLAN_BYTES, MAX_SECTIONS, MINOR, OPTIONAL, SECTION_VERSION, Section, digest_of,
};
use crate::plan::NONE;
use crate::sources;
use crate::view::{PlanView, Record, Span, Spans};
use std::sync::Arc;

/// Proves that the bytes are a plan of a format this reader knows.
pub fn verify(bytes: impl Into<Arc<[u8]>>) -> Result<PlanView, PlanError> {
    let bytes = bytes.into();
    let length = header(&bytes)?;
    let spans = sections(bytes.get(..length).unwrap_or_default())?;
    let plan = heaps(PlanView::new(bytes.clone(), spans))?;
    workloads::check(&plan)?;
    let entering = enter::entering(&plan);
    let nodes = diagrams::check(&plan, &entering)?;
    lists::check(&plan)?;
    outcomes::check(&plan)?;
    vectors::check(&plan)?;
    enter::check(&plan, &entering, &nodes.entering)?;
    if length == bytes.len() {
        return Ok(plan);
    }
    let sources = sources::read(&bytes, length, &plan.digest(), count(&plan, Section::Strings));
    Ok(plan.with_bytes(bytes, sources?))
}

/// Why bytes are not a plan to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// Something else altogether.
    NotAPlan,
    /// The header says more bytes than there are.
    Truncated {
        /// The length that the header says.
        says: u64,
        /// The length there is.
        has: u64,
    },
    /// More than [`MAX_PLAN_BYTES`].
    TooBig {
        /// The length there is.
        has: u64,
        /// The length that is read.
        limit: u64,
    },
    /// Written for a newer reader. Versions are (major, minor).
    NewerFormat {
        /// What a reader has to understand.
        found: (u16, u16),
        /// What this one does.
        supported: (u16, u16),
    },
    /// Routes enter each other in a circle, or in a longer chain than there may be.
    TooDeep {
        /// How many may be entered one after the other.
        limit: u32,
    },
    /// The bytes were changed, or written by something with a bug.
    Corrupt {
        /// Where it shows.
        what: &'static str,
    },
}

impl std::fmt::Display for PlanError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PlanError::NotAPlan => write!(f, "the file is not a plan: it does not begin with `MESHPLAN`"),
            PlanError::Truncated { says, has } => {
                write!(f, "the file is cut short: it says {says} bytes and has {has}")
            }
            PlanError::TooBig { has, limit } => {
                write!(f, "the file has {has} bytes, and a plan has at most {limit}")
            }
            PlanError::NewerFormat { found, supported } => write!(
                f,
                "the plan has format {}.{}, and this program reads up to {}.{}",
                found.0, found.1, supported.0, supported.1
            ),
            PlanError::TooDeep { limit } => {
                write!(
                    f,
                    "the plan's routes enter more than {limit} others one after the other, or each other in a circle"
                )
            }
            PlanError::Corrupt { what } => write!(f, "the plan is damaged: {what}"),
        }
    }
}

impl std::error::Error for PlanError {}

/// What holds of the whole plan, cheapest first; the digest before anything that it protects is believed. Says how long it is.
fn header(bytes: &[u8]) -> Result<usize, PlanError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(PlanError::NotAPlan);
    }
    let has = bytes.len() as u64;
    if bytes.len() < HEADER_BYTES {
        return Err(PlanError::Truncated { says: HEADER_BYTES as u64, has });
    }
    let major = half(bytes, AT_MAJOR);
    let newer = |found| PlanError::NewerFormat { found, supported: (MAJOR, MINOR) };
    if major > MAJOR {
        return Err(newer((major, half(bytes, AT_MINOR))));
    }
    ensure(major == MAJOR, "it has a format version that is read no more")?;
    let says = u64::from(word(bytes, AT_LENGTH)) | u64::from(word(bytes, AT_LENGTH + 4)) << 32;
    if says > has {
        return Err(PlanError::Truncated { says, has });
    }
    // Before anything is counted: what is behind it must at least look like something.
    let behind = bytes.get(says as usize..).unwrap_or_default();
    let is_record = behind.starts_with(&sources::MAGIC) || sources::MAGIC.starts_with(behind);
    ensure(is_record, "there are bytes after its end")?;
    if says > MAX_PLAN_BYTES as u64 {
        return Err(PlanError::TooBig { has, limit: MAX_PLAN_BYTES as u64 });
    }
    let bytes = bytes.get(..says as usize).unwrap_or_default();
    ensure(bytes.get(DIGEST..HEADER_BYTES) == Some(&digest_of(bytes)), "its digest does not fit its bytes")?;
    let min_reader = half(bytes, AT_MIN_READER);
    if min_reader > MINOR {
        return Err(newer((major, min_reader)));
    }
    ensure(word(bytes, AT_FLAGS) == 0 && word(bytes, AT_FLAGS + 4) == 0, "it has a flag without a meaning")?;
    Ok(bytes.len())
}

/// The section table: sections in order of their ids, one after the other, to the end of the file.
fn sections(bytes: &[u8]) -> Result<Spans, PlanError> {
    let count = usize::from(half(bytes, AT_SECTIONS));
    ensure(count <= MAX_SECTIONS, "it has too many sections")?;
    let table_end = HEADER_BYTES + count * ENTRY_BYTES;
    ensure(table_end <= bytes.len(), "its section table is cut short")?;
    let mut spans: Spans = [Span::default(); Section::ALL.len()];
    let mut known = 0;
    let mut last_id = 0;
    let mut next = table_end;
    for at in (HEADER_BYTES..table_end).step_by(ENTRY_BYTES) {
        let (id, version) = (half(bytes, at), half(bytes, at + 2));
        let (start, length) = (word(bytes, at + 4), word(bytes, at + 8));
        ensure(id > last_id, "its sections are not in order")?;
        ensure(start as usize == next, "a section is not where the one before it ends")?;
        let end = next.saturating_add(length as usize);
        next = end.saturating_add(3) / 4 * 4;
        let padding = bytes.get(end..next);
        ensure(padding.is_some_and(|padding| padding.iter().all(|byte| *byte == 0)), "a section ends badly")?;
        last_id = id;
        match Section::of_id(id) {
            Some(section) if version == SECTION_VERSION => {
                let count = records(bytes, section, start, length)?;
                known += 1;
                if let Some(span) = spans.get_mut(section.index()) {
                    *span = Span { start, length, count };
                }
            }
            None if id & OPTIONAL != 0 => {}
            // INVARIANT: whoever adds such a section raises the header's minimum, so that old readers name the version.
            _ => return Err(PlanError::Corrupt { what: "it has a section that this format does not have" }),
        }
    }
    ensure(next == bytes.len(), "its sections do not fill it")?;
    ensure(known == Section::ALL.len(), "it lacks a section")?;
    Ok(spans)
}

/// How many records a section has, or strings.
fn records(bytes: &[u8], section: Section, start: u32, length: u32) -> Result<u32, PlanError> {
    if section.is_heap() {
        ensure(length >= 4, "a heap has no count")?;
        let count = word(bytes, start as usize);
        ensure(u64::from(count) * 4 + 4 <= u64::from(length), "a heap's index is cut short")?;
        return Ok(count);
    }
    let size = section.record_bytes() as u32;
    ensure(length.is_multiple_of(size), "a table ends within a record")?;
    Ok(length / size)
}

/// Both heaps: each string once and in order, and text is text.
fn heaps(plan: PlanView) -> Result<PlanView, PlanError> {
    for section in [Section::Strings, Section::Values] {
        let span = plan.span(section);
        let mut last: Option<&[u8]> = None;
        let mut end = 0;
        for id in 0..span.count {
            let string =
                plan.heap(section, id).ok_or(PlanError::Corrupt { what: "a string is out of its heap" })?;
            ensure(last.is_none_or(|last| last < string), "its strings are not sorted")?;
            if section == Section::Strings {
                ensure(std::str::from_utf8(string).is_ok(), "a string is not UTF-8")?;
            }
            end += string.len() as u64;
            last = Some(string);
        }
        ensure(
            end + u64::from(span.count) * 4 + 4 == u64::from(span.length),
            "a heap has bytes of no string",
        )?;
    }
    Ok(plan)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    let half = bytes.get(at..).and_then(<[u8]>::first_chunk);
    half.map_or(0, |half| u16::from_le_bytes(*half))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

fn ensure(holds: bool, what: &'static str) -> Result<(), PlanError> {
    if holds { Ok(()) } else { Err(PlanError::Corrupt { what }) }
}

/// The records of a table.
fn all(plan: &PlanView, section: Section) -> impl Iterator<Item = Record<'_>> {
    some(plan, section, (0, plan.span(section).count))
}

/// The records of a range.
fn some(plan: &PlanView, section: Section, range: (u32, u32)) -> impl Iterator<Item = Record<'_>> {
    (range.0..range.0.saturating_add(range.1)).map_while(move |index| Record::at(plan, section, index))
}

fn count(plan: &PlanView, section: Section) -> u32 {
    plan.span(section).count
}

fn is_string(plan: &PlanView, id: u32) -> Result<(), PlanError> {
    ensure(id < count(plan, Section::Strings), "a name is no string of the plan")
}

fn is_settings(plan: &PlanView, index: u32) -> Result<(), PlanError> {
    ensure(index == NONE || index < count(plan, Section::Settings), "settings are out of their table")
}

fn ascending<T: PartialOrd>(items: impl Iterator<Item = T>, what: &'static str) -> Result<(), PlanError> {
    ensure(items.is_sorted_by(|before, after| before < after), what)
}

/// The ranges of a table, which stand in the order of their owners without a gap: so no record has two owners, and
/// checking each owner's records is linear in the table.
struct Tiles {
    next: u32,
    count: u32,
}

impl Tiles {
    fn of(plan: &PlanView, section: Section) -> Tiles {
        Tiles { next: 0, count: count(plan, section) }
    }

    /// The next owner's range.
    fn take(&mut self, range: (u32, u32)) -> Result<(u32, u32), PlanError> {
        let (start, count) = range;
        ensure(
            start == self.next && count <= self.count - start,
            "a range is not where the one before it ends",
        )?;
        self.next = start + count;
        Ok(range)
    }

    fn end(self) -> Result<(), PlanError> {
        ensure(self.next == self.count, "a table has records of no owner")
    }
}

#[cfg(test)]
mod tests;
