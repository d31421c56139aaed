//! A bundle: parts of a plan, a statement about all of them, and who signed it (`spec/plan-format.md` 7).
//!
//! [`Bundle::of`] is made by whoever releases a plan, [`Bundle::only`] of it by whoever hands it out, [`Bundle::open`] by whoever is to use
//! it: signatures first, then the hashes, then each part as a plan.

mod bytes;
mod error;
mod trust;

pub use error::BundleError;
pub use trust::Trust;

use crate::encode;
use crate::keys::PrivateKey;
use crate::merkle::{Hash, Tree};
use crate::parts::{self, Unit};
use crate::plan::Plan;
use crate::sources::Sources;
use crate::verify::verify;
use crate::view::PlanView;
use std::collections::{BTreeMap, BTreeSet};

/// The first bytes of every bundle.
pub const MAGIC: [u8; 8] = *b"MESHBNDL";
/// The version of bundles and statements.
pub const VERSION: u16 = 1;
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
    /// [`PublicKey::id`](crate::keys::PublicKey::id)
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

impl Bundle {
    /// All parts of a plan, each with where its rules stand as far as the plan knows; not signed yet.
    pub fn of(view: &PlanView, environment: Option<&str>, generation: u64) -> Result<Bundle, BundleError> {
        let mut sources = Sources::default();
        sources.take(view);
        let mut parts = BTreeMap::new();
        for ((unit, part), place) in parts::split(&view.to_plan())?.into_iter().zip(0..) {
            let bytes = encode(&part).map_err(BundleError::Limit)?;
            let plan = verify(bytes).map_err(|error| BundleError::Part(unit.clone(), error))?;
            let plan = plan.with_sources(|text| sources.place(text));
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
        let plan = verify(bytes).map_err(|error| BundleError::Part(Unit::Mesh, error))?;
        let mut sources = Sources::default();
        parts.keys().filter_map(|unit| self.parts.get(unit)).for_each(|part| sources.take(&part.plan));
        Ok(plan.with_sources(|text| sources.place(text)))
    }

    fn part(&self, unit: &Unit) -> Option<Plan> {
        self.parts.get(unit).map(|part| part.plan.to_plan())
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

/// DSSE's pre-authentication encoding of a statement.
fn encoded(text: &str) -> Vec<u8> {
    format!("DSSEv1 {} {PAYLOAD_TYPE} {} {text}", PAYLOAD_TYPE.len(), text.len()).into_bytes()
}

fn tree(parts: &BTreeMap<Unit, Part>) -> Tree {
    let leaves: Vec<Vec<u8>> = parts.iter().map(|(unit, part)| leaf(unit, &part.plan)).collect();
    Tree::over(leaves.iter().map(Vec::as_slice))
}

/// What a leaf of the tree is made of: the digest of a part, that of where its rules stand, if it knows, and whose it is. No unit begins
/// as a digest does that anybody could find.
fn leaf(unit: &Unit, plan: &PlanView) -> Vec<u8> {
    let sources = plan.sources_digest();
    let sources = sources.as_ref().map_or(&[][..], |digest| digest);
    [&plan.digest()[..], sources, unit.to_string().as_bytes()].concat()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
