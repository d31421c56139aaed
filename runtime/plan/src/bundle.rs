//! A bundle: parts of a plan, a statement about all of them, and who signed it (`spec/plan-format.md` 7).
//!
//! [`Bundle::of`] is made by whoever releases a plan, [`Bundle::only`] of it by whoever hands it out, [`Bundle::open`] by whoever is to use
//! it: signatures first, then the hashes, then each part as a plan.

use crate::keys::{PrivateKey, PublicKey};
use crate::layout::MAX_PLAN_BYTES;
use crate::merkle::{self, Hash, MAX_PROOF, Tree};
use crate::parts::{self, PartsError, Unit};
use crate::plan::Plan;
use crate::verify::{PlanError, verify};
use crate::view::PlanView;
use crate::{LimitExceeded, encode};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The first bytes of every bundle.
pub const MAGIC: [u8; 8] = *b"MESHBNDL";
/// The version of bundles and statements.
pub const VERSION: u16 = 1;
/// Length of the header.
const HEADER_BYTES: usize = 24;
/// Length of a signature with the id of its key.
const SIGNATURE_BYTES: usize = 96;
/// Numbers before a part: its place, hashes of its proof, length of its unit, length of its plan.
const PART_BYTES: usize = 16;
/// A statement is five short lines; an environment's name is at most a line.
pub const MAX_STATEMENT_BYTES: usize = 1_024;
/// One for each of an old and a new key of some teams; each costs a verification.
pub const MAX_SIGNATURES: usize = 16;
/// `service `, a name and a namespace of 63 letters each are 135.
pub const MAX_UNIT_BYTES: usize = 512;
/// What is signed is of this kind (DSSE's `payloadType`), so that no signature for anything else can be used here.
pub const PAYLOAD_TYPE: &str = "application/vnd.mesh.plan.statement.v1";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The root of the tree over all parts.
    pub root: Hash,
    /// How many parts there are.
    pub parts: u32,
    /// What the plan is for; `None` where the project names no environments.
    pub environment: Option<String>,
    /// Rises with every release. What was taken over is never replaced by a lower one.
    pub generation: u64,
}

impl Statement {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let environment = self.environment.as_deref().unwrap_or("-");
        let (root, Statement { parts, generation, .. }) = (hex(&self.root), self);
        format!(
            "mesh-plan-statement {VERSION}\nroot {root}\nparts {parts}\nenvironment {environment}\ngeneration {generation}\n"
        )
    }

    /// `None` for anything but what [`Statement::text`] writes.
    fn read(text: &str) -> Option<Statement> {
        let mut lines = text.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        field("mesh-plan-statement")?;
        let root = unhex(field("root")?)?;
        let parts = field("parts")?.parse().ok()?;
        let environment = Some(field("environment")?.to_owned()).filter(|name| name != "-");
        let generation = field("generation")?.parse().ok()?;
        let statement = Statement { root, parts, environment, generation };
        (statement.text() == text).then_some(statement)
    }
}

/// A signature and whose it claims to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// [`PublicKey::id`]
    pub key: Hash,
    /// Over the statement, in DSSE's pre-authentication encoding.
    pub bytes: [u8; 64],
}

/// A part of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its number among all parts.
    pub place: u32,
    /// The hashes beside its way to the root; none where the bundle has all parts.
    pub proof: Vec<Hash>,
    /// Verified.
    pub plan: PlanView,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// What is said of all parts.
    pub statement: Statement,
    /// By whom.
    pub signatures: Vec<Signature>,
    /// All parts, or some with their proofs.
    pub parts: BTreeMap<Unit, Part>,
}

/// Whose plans are taken over.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// One of these has to have signed. Empty: a plan needs no signature.
    pub keys: Vec<PublicKey>,
    /// What a plan has to be for. `None` with keys: for no environment in particular.
    pub environment: Option<String>,
    /// What was taken over last.
    pub last: Option<Statement>,
}

/// Why a bundle is not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// Neither a bundle nor a plan.
    NotABundle,
    /// Written by a newer program.
    NewerVersion(u16),
    /// The bytes were changed, or written by something with a bug.
    Corrupt {
        /// Where it shows.
        what: &'static str,
    },
    /// Nobody signed, and keys are pinned.
    Unsigned,
    /// None of the signatures is by a pinned key.
    Untrusted,
    /// A signature by a pinned key does not fit the statement.
    Forged,
    /// For something else than this proxy's environment.
    Environment {
        /// What the plan is for.
        found: Option<String>,
        /// What it has to be for.
        wanted: Option<String>,
    },
    /// Older than what was taken over.
    Older {
        /// Its generation.
        found: u64,
        /// That of what was taken over.
        last: u64,
    },
    /// Two plans of one generation.
    SameGeneration(u64),
    /// A part is not the one that was signed.
    OtherPart(Unit),
    /// A part is no plan.
    Part(Unit, PlanError),
    /// Parts make no plan.
    Parts(PartsError),
    /// What they make is more than a plan may be.
    Limit(LimitExceeded),
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = |name: &Option<String>| match name {
            Some(name) => format!("environment `{name}`"),
            None => "no environment".to_owned(),
        };
        match self {
            BundleError::NotABundle => f.write_str(
                "it is neither a plan nor a signed plan: it begins with neither `MESHPLAN` nor `MESHBNDL`",
            ),
            BundleError::NewerVersion(version) => {
                write!(f, "the signed plan has version {version}, and this program reads version {VERSION}")
            }
            BundleError::Corrupt { what } => write!(f, "the signed plan is damaged: {what}"),
            BundleError::Unsigned => f.write_str("it is not signed, and keys are pinned"),
            BundleError::Untrusted => f.write_str("none of its signatures is by a pinned key"),
            BundleError::Forged => f.write_str("its signature does not fit: the statement was changed"),
            BundleError::Environment { found, wanted } => {
                write!(f, "it is for {}, and {} is served here", environment(found), environment(wanted))
            }
            BundleError::Older { found, last } => write!(
                f,
                "it is generation {found}, and generation {last} was taken over already; to go back, sign the older plan as a new generation"
            ),
            BundleError::SameGeneration(generation) => {
                write!(f, "another plan of generation {generation} was taken over already")
            }
            BundleError::OtherPart(unit) => write!(f, "the part of {unit} is not the one that was signed"),
            BundleError::Part(unit, error) => write!(f, "the part of {unit}: {error}"),
            BundleError::Parts(error) => error.fmt(f),
            BundleError::Limit(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BundleError {}

impl From<PartsError> for BundleError {
    fn from(error: PartsError) -> BundleError {
        BundleError::Parts(error)
    }
}

impl Bundle {
    /// All parts of a plan, not signed yet.
    pub fn of(plan: &Plan, environment: Option<&str>, generation: u64) -> Result<Bundle, BundleError> {
        let mut parts = BTreeMap::new();
        for ((unit, part), place) in parts::split(plan)?.into_iter().zip(0..) {
            let bytes = encode(&part).map_err(BundleError::Limit)?;
            let plan = verify(bytes).map_err(|error| BundleError::Part(unit.clone(), error))?;
            parts.insert(unit, Part { place, proof: vec![], plan });
        }
        let statement = Statement {
            root: tree(&parts).root(),
            parts: parts.len() as u32,
            environment: environment.map(str::to_owned),
            generation,
        };
        Ok(Bundle { statement, signatures: vec![], parts })
    }

    /// Adds a signature; one of the same key goes.
    pub fn sign(&mut self, key: &PrivateKey) {
        let id = key.public().id();
        self.signatures.retain(|signature| signature.key != id);
        let bytes = key.sign(&encoded(&self.statement.text()));
        self.signatures.push(Signature { key: id, bytes });
        self.signatures.sort_by_key(|signature| signature.key);
    }

    /// Some parts of a bundle that has all, with the proofs that they are of it.
    pub fn only(&self, units: &BTreeSet<Unit>) -> Bundle {
        cut(self, &tree(&self.parts), units)
    }

    /// What names the release: the statement and who signed it. BLAKE3-256.
    pub fn digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.statement.text().as_bytes());
        for signature in &self.signatures {
            hasher.update(&signature.key).update(&signature.bytes);
        }
        *hasher.finalize().as_bytes()
    }

    /// Whether all parts are there.
    pub fn is_whole(&self) -> bool {
        self.parts.len() == self.statement.parts as usize
    }

    /// The units that the proxies of some units need: see [`parts::gather`].
    pub fn needed(&self, wanted: &BTreeSet<Unit>) -> Result<BTreeSet<Unit>, BundleError> {
        Ok(parts::gather(|unit| self.part(unit), wanted)?.into_keys().collect())
    }

    /// The plan for the proxies of some units, and nothing else.
    pub fn plan_for(&self, wanted: &BTreeSet<Unit>) -> Result<PlanView, BundleError> {
        let parts = parts::gather(|unit| self.part(unit), wanted)?;
        let bytes = encode(&parts::assemble(&parts, wanted)?).map_err(BundleError::Limit)?;
        verify(bytes).map_err(|error| BundleError::Part(Unit::Mesh, error))
    }

    fn part(&self, unit: &Unit) -> Option<Plan> {
        self.parts.get(unit).map(|part| part.plan.to_plan())
    }

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

/// A whole bundle of which many slices are cut: what proofs are made of is there once.
pub struct Cutter {
    bundle: Bundle,
    tree: Tree,
}

impl Cutter {
    /// Linear in the number of parts.
    pub fn of(bundle: Bundle) -> Cutter {
        Cutter { tree: tree(&bundle.parts), bundle }
    }

    /// What is cut.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// As [`Bundle::only`].
    pub fn only(&self, units: &BTreeSet<Unit>) -> Bundle {
        cut(&self.bundle, &self.tree, units)
    }
}

fn cut(bundle: &Bundle, tree: &Tree, units: &BTreeSet<Unit>) -> Bundle {
    let parts = units.iter().filter_map(|unit| {
        let part = bundle.parts.get(unit)?;
        Some((unit.clone(), Part { proof: tree.proof(part.place as usize), ..part.clone() }))
    });
    let mut parts: BTreeMap<Unit, Part> = parts.collect();
    // Where all are there the root proves them.
    if parts.len() == bundle.parts.len() {
        parts.values_mut().for_each(|part| part.proof.clear());
    }
    Bundle { statement: bundle.statement.clone(), signatures: bundle.signatures.clone(), parts }
}

impl Trust {
    /// Whether a statement is to be believed.
    pub fn check(&self, statement: &Statement, signatures: &[Signature]) -> Result<(), BundleError> {
        if !self.keys.is_empty() {
            self.signed(statement, signatures)?;
        }
        let (found, wanted) = (&statement.environment, &self.environment);
        if found != wanted && (wanted.is_some() || !self.keys.is_empty()) {
            return Err(BundleError::Environment { found: found.clone(), wanted: wanted.clone() });
        }
        // Without keys anybody can write any number.
        match self.last.as_ref().filter(|_| !self.keys.is_empty()) {
            Some(last) if statement.generation < last.generation => {
                Err(BundleError::Older { found: statement.generation, last: last.generation })
            }
            Some(last) if statement.generation == last.generation && statement.root != last.root => {
                Err(BundleError::SameGeneration(statement.generation))
            }
            _ => Ok(()),
        }
    }

    /// Whether a plan is to be believed that nobody says anything of: as `mesh build` writes it.
    pub fn check_unsigned(&self) -> Result<(), BundleError> {
        match &self.environment {
            _ if !self.keys.is_empty() => Err(BundleError::Unsigned),
            Some(_) => Err(BundleError::Environment { found: None, wanted: self.environment.clone() }),
            None => Ok(()),
        }
    }

    fn signed(&self, statement: &Statement, signatures: &[Signature]) -> Result<(), BundleError> {
        if !self.signers(statement, signatures).is_empty() {
            return Ok(());
        }
        let is_pinned = |signature: &Signature| self.keys.iter().any(|key| key.id() == signature.key);
        Err(match signatures {
            [] => BundleError::Unsigned,
            _ if signatures.iter().any(is_pinned) => BundleError::Forged,
            _ => BundleError::Untrusted,
        })
    }

    /// The pinned keys by which a statement is signed.
    pub fn signers(&self, statement: &Statement, signatures: &[Signature]) -> Vec<&PublicKey> {
        let message = encoded(&statement.text());
        let has_signed = |key: &&PublicKey| {
            let id = key.id();
            let mut own = signatures.iter().filter(|signature| signature.key == id);
            own.any(|signature| key.has_signed(&message, &signature.bytes))
        };
        self.keys.iter().filter(has_signed).collect()
    }
}

/// DSSE's pre-authentication encoding of a statement.
fn encoded(text: &str) -> Vec<u8> {
    format!("DSSEv1 {} {PAYLOAD_TYPE} {} {text}", PAYLOAD_TYPE.len(), text.len()).into_bytes()
}

fn tree(parts: &BTreeMap<Unit, Part>) -> Tree {
    let leaves: Vec<Vec<u8>> = parts.iter().map(|(unit, part)| leaf(unit, &part.plan)).collect();
    Tree::over(leaves.iter().map(Vec::as_slice))
}

/// What a leaf of the tree is made of: the digest of a part, and whose it is.
fn leaf(unit: &Unit, plan: &PlanView) -> Vec<u8> {
    [&plan.digest()[..], unit.to_string().as_bytes()].concat()
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
            ensure(plan as usize <= MAX_PLAN_BYTES, "a part is too long")?;
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

/// Lower-case hexadecimal digits.
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests;
