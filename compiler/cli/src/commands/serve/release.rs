//! What is handed out: a whole plan, cut for each kind of proxy once.

use bytes::Bytes;
use mesh_plan::bundle::{Bundle, BundleError, Cutter, Statement, hex};
use mesh_plan::parts::{Unit, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// A signed plan and the slices of it that were asked for.
pub(super) struct Release {
    cutter: Cutter,
    /// With its quotes.
    etag: String,
    slices: Mutex<BTreeMap<BTreeSet<Wanted>, Arc<Slice>>>,
}

/// What the proxies of some units get.
pub(super) struct Slice {
    /// With its quotes (RFC 9110 8.8.3): the generation, so that people can read it, and what stands for all that was signed.
    pub(super) etag: String,
    pub(super) bytes: Bytes,
}

/// Why there is none.
pub(super) enum NoSlice {
    /// Nobody has that name. What there is.
    Unknown(Wanted, Vec<String>),
    /// Several have.
    Ambiguous(Wanted, Vec<String>),
    Broken(BundleError),
}

/// Every service and gateway may be asked for by name and full name, and more than that is somebody who tries names.
const MAX_SLICES: usize = 50_000;

/// Enough of a digest that no two releases have the same.
const TAG_DIGITS: usize = 16;

/// As many names as an answer lists.
const MAX_NAMES: usize = 10;

impl Release {
    pub(super) fn new(bundle: Bundle) -> Release {
        let digest: String = hex(&bundle.digest()).chars().take(TAG_DIGITS).collect();
        let etag = format!("\"{}-{digest}\"", bundle.statement.generation);
        Release { cutter: Cutter::of(bundle), etag, slices: Mutex::default() }
    }

    pub(super) fn statement(&self) -> &Statement {
        &self.cutter.bundle().statement
    }

    pub(super) fn signatures(&self) -> usize {
        self.cutter.bundle().signatures.len()
    }

    pub(super) fn is_same(&self, other: &Release) -> bool {
        let (bundle, other) = (self.cutter.bundle(), other.cutter.bundle());
        bundle.statement == other.statement && bundle.signatures == other.signatures
    }

    /// What whoever asks for these gets.
    pub(super) fn slice(&self, wanted: &BTreeSet<Wanted>) -> Result<Arc<Slice>, NoSlice> {
        let slices = || self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = slices().get(wanted) {
            return Ok(known.clone());
        }
        let bundle = self.cutter.bundle();
        let mut units = BTreeSet::new();
        for one in wanted {
            units.extend(named(one, bundle)?);
        }
        let needed = bundle.needed(&units).map_err(NoSlice::Broken)?;
        let bytes = self.cutter.only(&needed).to_bytes().into();
        let slice = Arc::new(Slice { etag: self.etag.clone(), bytes });
        let mut slices = slices();
        if slices.len() < MAX_SLICES {
            slices.insert(wanted.clone(), slice.clone());
        }
        Ok(slice)
    }
}

/// The units of a name: one, or all gateways.
fn named(wanted: &Wanted, bundle: &Bundle) -> Result<BTreeSet<Unit>, NoSlice> {
    let units = wanted.among(bundle.parts.keys());
    let (Wanted::Gateway(name) | Wanted::Service(name)) = wanted else { return Ok(units) };
    let full = |unit: &Unit| match unit {
        Unit::Gateway(full) | Unit::Service(full) => full.clone(),
        Unit::Mesh => String::new(),
    };
    let names: Vec<String> = units.iter().map(full).take(MAX_NAMES).collect();
    if !units.iter().any(|unit| wanted.names(unit)) {
        return Err(NoSlice::Unknown(wanted.clone(), names));
    }
    if units.len() > 1 && !names.contains(name) {
        return Err(NoSlice::Ambiguous(wanted.clone(), names));
    }
    Ok(units)
}

impl NoSlice {
    /// A line for whoever asked.
    pub(super) fn line(&self) -> String {
        let what = |wanted: &Wanted| match wanted {
            Wanted::Gateways => "gateway".to_owned(),
            Wanted::Gateway(name) => format!("gateway `{name}`"),
            Wanted::Service(name) => format!("service `{name}`"),
        };
        match self {
            NoSlice::Unknown(wanted, names) if names.is_empty() => {
                format!("the plan has no {}", what(wanted))
            }
            NoSlice::Unknown(wanted, names) => {
                format!("the plan has no {}: it has {}", what(wanted), names.join(", "))
            }
            NoSlice::Ambiguous(wanted, names) => {
                format!("the {} could be {}: say which", what(wanted), names.join(" or "))
            }
            NoSlice::Broken(error) => error.to_string(),
        }
    }
}
