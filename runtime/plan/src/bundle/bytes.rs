//! The bytes of a bundle, written and read.

use super::{
    Bundle, BundleError, MAGIC, MAX_SIGNATURES, MAX_STATEMENT_BYTES, MAX_UNIT_BYTES, Part, Signature,
    Statement, Trust, VERSION, leaf, tree,
};
use crate::layout::MAX_PLAN_BYTES;
use crate::merkle::{self, MAX_PROOF};
use crate::parts::Unit;
use crate::verify::verify;
use std::collections::BTreeMap;

/// Length of the header.
const HEADER_BYTES: usize = 24;
/// Length of a signature with the id of its key.
const SIGNATURE_BYTES: usize = 96;
/// Numbers before a part: its place, hashes of its proof, length of its unit, length of its plan with what is behind it.
const PART_BYTES: usize = 16;

impl Bundle {
    /// The bytes of a bundle.
    pub fn to_bytes(&self) -> Vec<u8> {
        let statement = self.statement.text();
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((self.signatures.len() as u16).to_le_bytes());
        bytes.extend((statement.len() as u32).to_le_bytes());
        bytes.extend((self.parts.len() as u32).to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        padded(&mut bytes, statement.as_bytes());
        for signature in &self.signatures {
            bytes.extend(signature.key);
            bytes.extend(signature.bytes);
        }
        for (unit, part) in &self.parts {
            let (unit, plan) = (unit.to_string(), part.plan.bytes());
            for number in [part.place, part.proof.len() as u32, unit.len() as u32, plan.len() as u32] {
                bytes.extend(number.to_le_bytes());
            }
            part.proof.iter().for_each(|hash| bytes.extend(hash));
            padded(&mut bytes, unit.as_bytes());
            padded(&mut bytes, plan);
        }
        bytes
    }

    /// Reads a bundle and proves all of it, cheapest first: that it is whole, that a trusted key signed it, that it is for here and not
    /// older than what is known, that each part is of it, that each part is a plan.
    pub fn open(bytes: &[u8], trust: &Trust) -> Result<Bundle, BundleError> {
        let mut reader = Reader { rest: bytes };
        if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(BundleError::NotABundle);
        }
        let header = Reader { rest: reader.take(HEADER_BYTES)? }.after(MAGIC.len())?;
        let (version, signatures) = header.halves()?;
        if version != VERSION {
            return Err(BundleError::NewerVersion(version));
        }
        let [_, statement, parts, reserved] = header.words()?;
        ensure(reserved == 0, "its header says something without a meaning")?;
        ensure(statement as usize <= MAX_STATEMENT_BYTES, "its statement is too long")?;
        ensure(usize::from(signatures) <= MAX_SIGNATURES, "it has too many signatures")?;
        let statement = std::str::from_utf8(reader.padded(statement as usize)?).ok();
        let statement = statement.and_then(Statement::read);
        let statement = statement.ok_or(BundleError::Corrupt { what: "its statement is none" })?;
        let signatures = reader.signatures(signatures)?;
        trust.check(&statement, &signatures)?;
        let parts = reader.parts(parts, &statement)?;
        ensure(reader.rest.is_empty(), "there are bytes after its end")?;
        Ok(Bundle { statement, signatures, parts })
    }
}

/// Bytes that are read from front to back.
struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], BundleError> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or(BundleError::Corrupt { what: "it is cut short" })?;
        self.rest = rest;
        Ok(taken)
    }

    fn after(mut self, length: usize) -> Result<Reader<'b>, BundleError> {
        self.take(length)?;
        Ok(self)
    }

    /// Bytes, and the zeros after them up to a multiple of four.
    fn padded(&mut self, length: usize) -> Result<&'b [u8], BundleError> {
        let taken = self.take(length)?;
        let padding = self.take(length.wrapping_neg() % 4)?;
        ensure(padding.iter().all(|byte| *byte == 0), "something ends badly")?;
        Ok(taken)
    }

    fn halves(&self) -> Result<(u16, u16), BundleError> {
        let [a, b, c, d] =
            *self.rest.first_chunk().ok_or(BundleError::Corrupt { what: "it is cut short" })?;
        Ok((u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])))
    }

    fn words(&self) -> Result<[u32; 4], BundleError> {
        let words: &[u8; 16] =
            self.rest.first_chunk().ok_or(BundleError::Corrupt { what: "it is cut short" })?;
        let (words, _) = words.as_chunks::<4>();
        let mut read = [0; 4];
        read.iter_mut().zip(words).for_each(|(read, word)| *read = u32::from_le_bytes(*word));
        Ok(read)
    }

    fn signatures(&mut self, count: u16) -> Result<Vec<Signature>, BundleError> {
        let mut signatures: Vec<Signature> = Vec::new();
        for _ in 0..count {
            let taken = self.take(SIGNATURE_BYTES)?;
            let (Some(key), Some(bytes)) = (taken.first_chunk(), taken.last_chunk()) else {
                return Err(BundleError::Corrupt { what: "a signature is cut short" });
            };
            ensure(signatures.last().is_none_or(|last| last.key < *key), "its signatures are not sorted")?;
            signatures.push(Signature { key: *key, bytes: *bytes });
        }
        Ok(signatures)
    }

    fn parts(&mut self, count: u32, statement: &Statement) -> Result<BTreeMap<Unit, Part>, BundleError> {
        let is_whole = count == statement.parts;
        ensure(count <= statement.parts, "it has more parts than there are")?;
        let mut parts: BTreeMap<Unit, Part> = BTreeMap::new();
        for number in 0..count {
            let [place, proof, unit, plan] = Reader { rest: self.take(PART_BYTES)? }.words()?;
            ensure(proof as usize <= MAX_PROOF, "a proof is too long")?;
            ensure(unit as usize <= MAX_UNIT_BYTES, "the name of a part is too long")?;
            ensure(plan as usize <= 2 * MAX_PLAN_BYTES, "a part is too long")?;
            let (proof, _) = self.take(proof as usize * 32)?.as_chunks::<32>();
            let unit = std::str::from_utf8(self.padded(unit as usize)?).ok();
            let unit: Option<Unit> = unit.and_then(|unit| unit.parse().ok());
            let unit = unit.ok_or(BundleError::Corrupt { what: "a part is nobody's" })?;
            let sorted =
                parts.last_key_value().is_none_or(|(last, before)| *last < unit && before.place < place);
            ensure(sorted, "its parts are not sorted")?;
            ensure(!is_whole || place == number && proof.is_empty(), "a whole bundle has proofs")?;
            let bytes = self.padded(plan as usize)?;
            let plan = verify(bytes).map_err(|error| BundleError::Part(unit.clone(), error))?;
            let root = merkle::root_of(&leaf(&unit, &plan), place, statement.parts, proof);
            if !is_whole && root != Some(statement.root) {
                return Err(BundleError::OtherPart(unit));
            }
            parts.insert(unit, Part { place, proof: proof.to_vec(), plan });
        }
        ensure(
            !is_whole || tree(&parts).root() == statement.root,
            "its parts are not those that were signed",
        )?;
        Ok(parts)
    }
}

fn padded(bytes: &mut Vec<u8>, more: &[u8]) {
    bytes.extend_from_slice(more);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn ensure(holds: bool, what: &'static str) -> Result<(), BundleError> {
    if holds { Ok(()) } else { Err(BundleError::Corrupt { what }) }
}
