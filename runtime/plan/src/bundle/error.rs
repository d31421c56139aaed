//! Why a bundle is not taken over, as a clause that a person reads.

use super::VERSION;
use crate::encode::LimitExceeded;
use crate::parts::{PartsError, Unit};
use crate::verify::PlanError;
use std::fmt;

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
