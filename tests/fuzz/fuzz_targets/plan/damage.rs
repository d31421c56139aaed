//! What a bug or an attacker may do to a plan: words, records, sections and the header, and then a digest that fits.

use super::Draw;
use mesh_plan::layout::{AT_LENGTH, DIGEST, ENTRY_BYTES, HEADER_BYTES, Section, seal};

pub(super) fn damage(draw: &mut Draw<'_>, bytes: &mut Vec<u8>) {
    let entries = usize::from(u16::from_le_bytes([bytes[14], bytes[15]]));
    for _ in 0..draw.below(6) {
        let section = table(bytes, draw.below(entries));
        match draw.below(12) {
            0 => {
                let at = draw.below(HEADER_BYTES);
                bytes[at] ^= 1 << draw.below(8);
            }
            1 => {
                let at = HEADER_BYTES + draw.below(entries * ENTRY_BYTES);
                bytes[at] ^= 1 << draw.below(8);
            }
            2 if section.end > section.start => {
                let at = section.start + draw.below(section.end - section.start);
                bytes[at] = draw.byte();
            }
            3 | 4 => swap(draw, bytes, &section),
            5 => resize(draw, bytes),
            _ => word(draw, bytes, &section, entries),
        }
    }
    seal(bytes);
}

/// A section that the section table says, as far as it is in the file.
struct Table {
    start: usize,
    end: usize,
    record: usize,
}

fn table(bytes: &[u8], index: usize) -> Table {
    let at = HEADER_BYTES + index * ENTRY_BYTES;
    let entry = bytes.get(at..at + ENTRY_BYTES).unwrap_or(&[0; ENTRY_BYTES]);
    let number =
        |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]) as usize;
    let section = Section::of_id(u16::from_le_bytes([entry[0], entry[1]]));
    let record = section.filter(|section| !section.is_heap()).map_or(4, Section::record_bytes);
    let start = number(4).min(bytes.len());
    Table { start, end: start.saturating_add(number(8)).min(bytes.len()), record }
}

/// Two records change places, or one stands there twice.
fn swap(draw: &mut Draw<'_>, bytes: &mut [u8], table: &Table) {
    let count = (table.end - table.start) / table.record;
    if count == 0 {
        return;
    }
    let place = |draw: &mut Draw<'_>| table.start + draw.below(count) * table.record;
    let (one, other) = (place(draw), place(draw));
    let [first, second] = [one, other].map(|at| bytes[at..at + table.record].to_vec());
    bytes[one..one + table.record].copy_from_slice(&second);
    if draw.one_in(2) {
        bytes[other..other + table.record].copy_from_slice(&first);
    }
}

/// A word becomes one of those that are at the edge of something.
fn word(draw: &mut Draw<'_>, bytes: &mut [u8], table: &Table, entries: usize) {
    let words = (table.end - table.start) / 4;
    if words == 0 {
        return;
    }
    let at = table.start + draw.below(words) * 4;
    let old = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let new = match draw.below(10) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old ^ 1 << draw.below(32),
        3 => u32::MAX,
        4 => 0x7fff_ffff,
        5 => 0x8000_0000 | u32::from(draw.byte()),
        6 => draw.byte().into(),
        7 => draw.word(),
        8 => {
            let other = self::table(bytes, draw.below(entries));
            ((other.end - other.start) / other.record) as u32
        }
        _ => {
            let from = table.start + draw.below(words) * 4;
            u32::from_le_bytes([bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]])
        }
    };
    bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
}

/// More bytes or fewer, and the header says so.
fn resize(draw: &mut Draw<'_>, bytes: &mut Vec<u8>) {
    let length = if draw.one_in(2) {
        bytes.len() + draw.below(64)
    } else {
        bytes.len().saturating_sub(draw.below(256))
    };
    bytes.resize(length.max(HEADER_BYTES), 0);
    let says = bytes.len() as u64;
    bytes[AT_LENGTH..DIGEST].copy_from_slice(&says.to_le_bytes());
}
