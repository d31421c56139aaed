//! Where what decides stands in the sources: a record behind the plan (`spec/plan-format.md` 9), for logs.
//!
//! It is no section, because the plan and its digest say what the mesh means: a line that moves in its file changes nothing of that, and
//! a part of which nothing but this changed is the same part.

use crate::layout::{MAX_PLAN_BYTES, Section};
use crate::plan::NONE;
use crate::verify::PlanError;
use crate::view::{PlanView, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The first bytes of the record.
pub(crate) const MAGIC: [u8; 8] = *b"MESHSRCS";
/// Another version is skipped: a plan decides the same without it.
const VERSION: u32 = 1;
/// Magic, version, length, digest and the number of rows.
const HEADER_BYTES: usize = 52;
/// Where the digest stands.
const DIGEST: usize = 16;
/// Where what is behind the digest begins.
const AFTER_DIGEST: usize = 48;
/// A row: the text that it is about, the file, the line.
const ROW_WORDS: u32 = 3;

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'p> {
    /// Its path inside the project, with `/`.
    pub file: &'p str,
    /// From 1.
    pub line: u32,
}

impl fmt::Display for Place<'_> {
    /// `shop/routes.mesh:12`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Where the rules and lines of a mesh stand, by what they are called in logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<String, (Arc<str>, u32)>);

impl Sources {
    /// Notes a place. Of several lines that are called alike the first one is meant, whichever is noted first.
    pub fn note(&mut self, text: &str, file: &Arc<str>, line: u32) {
        let place = (file.clone(), line);
        match self.0.get_mut(text) {
            Some(known) => *known = place.min(known.clone()),
            None => {
                self.0.insert(text.to_owned(), place);
            }
        }
    }

    /// Where what is called so stands.
    pub fn place(&self, text: &str) -> Option<Place<'_>> {
        self.0.get(text).map(|(file, line)| Place { file, line: *line })
    }

    /// All of what a view knows.
    pub(crate) fn take(&mut self, view: &PlanView) {
        for (text, place) in view.placed().into_iter().flat_map(Placed::all) {
            self.note(text, &place.file.into(), place.line);
        }
    }
}

/// The record of a view: where it is in the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The first byte.
    start: u32,
    rows: u32,
    files: u32,
}

impl PlanView {
    /// The same plan, with what is known of the places of its rules in place of what it said before.
    pub fn with_sources<'s>(&self, place: impl Fn(&str) -> Option<Place<'s>>) -> PlanView {
        let mut rows: Vec<(u32, Place<'s>)> = Vec::new();
        for text in self.told() {
            let places: Option<Vec<Place<'_>>> = self.string(text).lines().map(&place).collect();
            rows.extend(places.into_iter().flatten().map(|place| (text, place)));
        }
        let plan = self.plan_bytes();
        if rows.is_empty() {
            return self.with_bytes(plan.into(), None);
        }
        let bytes: Arc<[u8]> = [plan, &record(&rows, &self.digest())].concat().into();
        let span = read(&bytes, plan.len(), &self.digest(), self.section_len(Section::Strings));
        debug_assert!(matches!(span, Ok(Some(_))), "what is written here can be read");
        self.with_bytes(bytes, span.ok().flatten())
    }

    /// The same plan, without where its rules stand.
    pub fn without_sources(&self) -> PlanView {
        self.with_bytes(self.plan_bytes().into(), None)
    }

    /// What stands for where its rules stand, if it knows; like the plan's digest it is not the same for another record.
    pub fn sources_digest(&self) -> Option<[u8; 32]> {
        let start = self.sources()?.start as usize;
        let digest = self.bytes().get(start + DIGEST..start + AFTER_DIGEST)?;
        digest.try_into().ok()
    }

    /// Strings that logs tell of requests, ascending.
    fn told(&self) -> BTreeSet<u32> {
        let outcomes = self.outcomes().iter().map(|outcome| outcome.rule_text());
        let verdicts = self.verdicts().iter().flat_map(|verdict| [verdict.rule_text(), verdict.audit_text()]);
        outcomes.chain(verdicts).filter_map(Text::string).collect()
    }

    pub(crate) fn placed(&self) -> Option<Placed<'_>> {
        self.sources().map(|span| Placed { plan: self, span })
    }
}

/// The record of a view.
#[derive(Clone, Copy)]
pub(crate) struct Placed<'p> {
    plan: &'p PlanView,
    span: Span,
}

impl<'p> Placed<'p> {
    /// Where the lines of a string stand, in their order.
    pub(crate) fn of(self, string: u32) -> impl Iterator<Item = Place<'p>> {
        let (mut low, mut high) = (0, self.span.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.row(middle).is_some_and(|(own, _)| own < string) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let rows = (low..self.span.rows).map_while(move |index| self.row(index));
        rows.take_while(move |(own, _)| *own == string).map(|(_, place)| place)
    }

    /// Each text of one line with its place.
    fn all(self) -> impl Iterator<Item = (&'p str, Place<'p>)> {
        let mut strings: Vec<u32> =
            (0..self.span.rows).filter_map(|index| self.row(index)).map(|(string, _)| string).collect();
        strings.dedup();
        strings.into_iter().flat_map(move |string| self.plan.string(string).lines().zip(self.of(string)))
    }

    fn row(self, index: u32) -> Option<(u32, Place<'p>)> {
        let at = (self.span.start + HEADER_BYTES as u32) / 4 + index * ROW_WORDS;
        let [string, file, line] = [0, 1, 2].map(|word| self.plan.word(at + word));
        let file = text_of(self.plan.bytes(), self.span, file?)?;
        Some((string?, Place { file, line: line? }))
    }
}

/// The bytes of a record; rows are sorted by string, and of one string in the order of its lines.
fn record(rows: &[(u32, Place<'_>)], plan: &[u8; 32]) -> Vec<u8> {
    let files: BTreeSet<&str> = rows.iter().map(|(_, place)| place.file).collect();
    let numbers: BTreeMap<&str, u32> = files.iter().copied().zip(0..).collect();
    let mut bytes = Vec::new();
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend([0; AFTER_DIGEST - 12]);
    bytes.extend((rows.len() as u32).to_le_bytes());
    for (string, place) in rows {
        let file = numbers.get(place.file).copied().unwrap_or(NONE);
        for word in [*string, file, place.line] {
            bytes.extend(word.to_le_bytes());
        }
    }
    bytes.extend((files.len() as u32).to_le_bytes());
    let mut end = 0;
    for file in &files {
        end += file.len() as u32;
        bytes.extend(end.to_le_bytes());
    }
    files.iter().for_each(|file| bytes.extend(file.as_bytes()));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = bytes.len() as u32;
    put(&mut bytes, 12, &length.to_le_bytes());
    let digest = digest_of(&bytes, plan);
    put(&mut bytes, DIGEST, &digest);
    bytes
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + field.len()) {
        place.copy_from_slice(field);
    }
}

/// Of the plan's digest and all of the record but the digest itself: a record is of one plan.
fn digest_of(record: &[u8], plan: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(plan);
    hasher.update(record.get(..DIGEST).unwrap_or_default());
    hasher.update(record.get(AFTER_DIGEST..).unwrap_or_default());
    *hasher.finalize().as_bytes()
}

/// Proves that what is behind a plan is a record of it. `None` for a version that is not known here.
pub(crate) fn read(
    bytes: &[u8],
    start: usize,
    plan: &[u8; 32],
    strings: u32,
) -> Result<Option<Span>, PlanError> {
    let record = bytes.get(start..).unwrap_or_default();
    let refuse = |what| PlanError::Corrupt { what };
    let word =
        |at: usize| record.get(at..).and_then(<[u8]>::first_chunk).map(|word| u32::from_le_bytes(*word));
    let says = word(12).map_or(HEADER_BYTES, |says| says as usize).max(HEADER_BYTES);
    if says > record.len() {
        return Err(PlanError::Truncated { says: (start + says) as u64, has: bytes.len() as u64 });
    }
    if says < record.len() {
        return Err(refuse("there are bytes after its end"));
    }
    let is_whole = says <= MAX_PLAN_BYTES && says.is_multiple_of(4);
    if !is_whole || record.get(DIGEST..AFTER_DIGEST) != Some(&digest_of(record, plan)) {
        return Err(refuse("what it says of its sources is changed, or of another plan"));
    }
    if word(8) != Some(VERSION) {
        return Ok(None);
    }
    let rows = word(AFTER_DIGEST).unwrap_or_default();
    let span = Span { start: start as u32, rows, files: 0 };
    let damaged = refuse("what it says of its sources is damaged");
    let files = word(files_at(rows)).ok_or_else(|| damaged.clone())?;
    let span = Span { files, ..span };
    let mut last: Option<&str> = None;
    let mut ends = files_at(rows) as u64 + 4 + 4 * u64::from(files);
    for file in 0..files {
        let text = text_of(bytes, span, file).filter(|text| last.is_none_or(|last| last < *text));
        last = Some(text.ok_or_else(|| damaged.clone())?);
        ends += last.map_or(0, |text| text.len() as u64);
    }
    let mut before = 0;
    for row in 0..rows as usize {
        let [string, file, line] = [0, 4, 8].map(|field| word(HEADER_BYTES + row * 12 + field));
        let (Some(string), Some(file), Some(line)) = (string, file, line) else { return Err(damaged) };
        if string < before || string >= strings || file >= files || line == 0 {
            return Err(damaged);
        }
        before = string;
    }
    let padding = record.get(ends as usize..).ok_or_else(|| damaged.clone())?;
    if padding.len() > 3 || padding.iter().any(|byte| *byte != 0) {
        return Err(damaged);
    }
    Ok(Some(span))
}

/// Where the files begin, counted from the beginning of a record.
fn files_at(rows: u32) -> usize {
    (rows as usize).saturating_mul(4 * ROW_WORDS as usize).saturating_add(HEADER_BYTES)
}

/// The path of a file.
fn text_of(bytes: &[u8], span: Span, file: u32) -> Option<&str> {
    let record = bytes.get(span.start as usize..)?;
    let table = files_at(span.rows).checked_add(4)?;
    let word = |index: u32| {
        let at = table.checked_add(4 * index as usize)?;
        record.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word) as usize)
    };
    if file >= span.files {
        return None;
    }
    let start = if file == 0 { 0 } else { word(file - 1)? };
    let texts = record.get(table.checked_add(4 * span.files as usize)?..)?;
    std::str::from_utf8(texts.get(start..word(file)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{encode, samples, verify};

    fn plain() -> PlanView {
        verify(encode(&samples::plan()).unwrap()).unwrap()
    }

    /// Each text in a line of its own, told apart by its length, in files by its first word.
    fn placed() -> PlanView {
        let place = |text: &str| {
            let file = if text.starts_with("route") { "routes.mesh" } else { "shop/policy.mesh" };
            Some(Place { file, line: text.len() as u32 })
        };
        plain().with_sources(place)
    }

    #[test]
    fn a_plan_with_its_sources_is_the_same_plan_and_comes_back_as_it_was() {
        let (plain, placed) = (plain(), placed());
        assert_eq!(placed.digest(), plain.digest());
        assert!(placed.bytes().starts_with(plain.bytes()));
        let again = verify(placed.bytes()).unwrap();
        assert_eq!(again.to_plan(), samples::plan());
        assert_eq!(again.without_sources().bytes(), plain.bytes());
        let outcome = again.outcome(0).unwrap();
        assert_eq!(outcome.rule_text().place().unwrap().to_string(), "routes.mesh:26");
        assert_eq!(outcome.rule().len(), 26);
        let audited = again.verdicts().iter().find(|verdict| !verdict.audit().is_empty()).unwrap();
        let places: Vec<String> = audited.audit_text().places().map(|place| place.to_string()).collect();
        assert_eq!(places, ["shop/policy.mesh:29"], "{}", audited.audit());
        assert_eq!(plain.outcome(0).unwrap().rule_text().place(), None);
    }

    #[test]
    fn what_has_no_place_is_left_out() {
        let some = |text: &str| text.ends_with("split").then_some(Place { file: "a.mesh", line: 7 });
        let view = plain().with_sources(some);
        let placed: Vec<&str> = view
            .outcomes()
            .iter()
            .filter(|outcome| outcome.rule_text().place().is_some())
            .map(|outcome| outcome.rule())
            .collect();
        assert_eq!(placed, ["route edge.shop rule split"]);
        assert_eq!(view.with_sources(|_| None).bytes(), plain().bytes());
    }

    #[test]
    fn of_lines_that_are_called_alike_the_first_counts() {
        let (a, b): (Arc<str>, Arc<str>) = ("a.mesh".into(), "b.mesh".into());
        let mut sources = Sources::default();
        for (file, line) in [(&b, 1), (&a, 9), (&a, 3), (&b, 2)] {
            sources.note("deny", file, line);
        }
        assert_eq!(sources.place("deny").unwrap().to_string(), "a.mesh:3");
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let (whole, plan) = (placed(), plain().bytes().len());
        for bit in plan * 8..whole.bytes().len() * 8 {
            let mut flipped = whole.bytes().to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(flipped).is_err(), "bit {bit}");
        }
        for length in plan + 1..whole.bytes().len() {
            assert!(verify(&whole.bytes()[..length]).is_err(), "{length} bytes");
        }
        assert!(verify([whole.bytes(), &[0; 4]].concat()).is_err());
    }

    /// The record with another word somewhere, sealed again.
    fn with_word(at: usize, word: u32) -> Result<PlanView, crate::PlanError> {
        let (mut bytes, start) = (placed().bytes().to_vec(), plain().bytes().len());
        let record = &mut bytes[start..];
        put(record, at, &word.to_le_bytes());
        let digest = digest_of(record, &plain().digest());
        put(record, DIGEST, &digest);
        verify(bytes)
    }

    #[test]
    fn what_is_no_place_is_refused_whoever_sealed_it() {
        assert!(with_word(HEADER_BYTES + 8, 5).is_ok(), "another line");
        for (what, at, word) in [
            ("line 0", HEADER_BYTES + 8, 0),
            ("a file too many", HEADER_BYTES + 4, 2),
            ("a string too many", HEADER_BYTES, u32::MAX),
            ("not sorted", HEADER_BYTES, 1_000),
            ("rows too many", AFTER_DIGEST, u32::MAX),
            ("a row too many", AFTER_DIGEST, 7),
            ("another length", 12, 64),
        ] {
            assert!(with_word(at, word).is_err(), "{what}");
        }
    }

    #[test]
    fn a_record_of_another_plan_is_refused_and_one_of_another_version_skipped() {
        let mut other = samples::plan();
        other.services[0].owner = "somebody".to_owned();
        let other = encode(&other).unwrap();
        let record = &placed().bytes()[plain().bytes().len()..].to_vec();
        assert!(verify([other.as_slice(), record].concat()).is_err());
        let newer = with_word(8, VERSION + 1).unwrap();
        assert_eq!(newer.outcome(0).unwrap().rule_text().place(), None);
    }
}
