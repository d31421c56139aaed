//! Whose bundles are taken over, and which of theirs.

use super::{BundleError, Signature, Statement, encoded};
use crate::keys::PublicKey;

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
