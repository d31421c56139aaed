//! The keys of an issuer (RFC 7517), and what they sign with (RFC 7518, RFC 8037). A key says by its type, and by its `alg` where it has one,
//! which algorithms it is for; what a token says can only be one of these (RFC 8725 3.1). Secrets that two sides share are no keys here.

use super::base64url;
use super::json::{self, Json};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use std::collections::BTreeSet;

/// A set of keys as it comes from an issuer. Those of the largest providers have some ten kilobytes.
pub(crate) const MAX_JWKS_BYTES: usize = 256 << 10;
/// Keys of one issuer: rotated daily, those of a quarter.
const MAX_KEYS: usize = 100;
/// Values in the text of a set: members of keys, and certificates that go with them.
const MAX_VALUES: usize = 4_096;
/// What is taken for strong enough, and what does not take long: `ring` knows no others.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

/// An algorithm of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of a name, with case. `none` and those of shared secrets are none.
    pub(crate) fn of(name: &str) -> Option<Algorithm> {
        Some(match name {
            "RS256" => Algorithm::Rs256,
            "RS384" => Algorithm::Rs384,
            "RS512" => Algorithm::Rs512,
            "PS256" => Algorithm::Ps256,
            "PS384" => Algorithm::Ps384,
            "PS512" => Algorithm::Ps512,
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            // The second is its name since RFC 9864.
            "EdDSA" | "Ed25519" => Algorithm::EdDsa,
            _ => return None,
        })
    }
}

/// The keys of an issuer that verify signatures.
pub struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// Uncompressed points.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a set. Keys for something else are left out; a set in which something cannot be meant so is none.
    pub fn read(bytes: &[u8]) -> Result<KeySet, String> {
        if bytes.len() > MAX_JWKS_BYTES {
            return Err(format!("it is longer than {} KiB", MAX_JWKS_BYTES >> 10));
        }
        let set = json::read(bytes, MAX_VALUES).map_err(|_| "it is no JSON, or a key stands in it twice")?;
        let Some(Json::List(written)) = set.get("keys") else {
            return Err("it has no list `keys`".to_owned());
        };
        if written.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let mut keys = Vec::new();
        for (key, number) in written.iter().zip(1..) {
            keys.extend(Key::read(key).map_err(|why| format!("key {number} {why}"))?);
        }
        let mut ids = BTreeSet::new();
        if let Some(twice) = keys.iter().filter_map(|key| key.id.as_deref()).find(|id| !ids.insert(*id)) {
            return Err(format!("two keys are `{}`", twice.escape_default()));
        }
        if keys.is_empty() {
            return Err("no key in it is for signatures of RSA, P-256, P-384 or Ed25519".to_owned());
        }
        Ok(KeySet(keys))
    }

    /// The key that a token names. One that names none is of the only key.
    fn find(&self, id: Option<&str>) -> Option<&Key> {
        match (id, self.0.as_slice()) {
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// Whether a key of this name is known.
    pub(crate) fn knows(&self, id: Option<&str>) -> bool {
        self.find(id).is_some()
    }

    /// Whether these bytes are signed by the key of this name, in this way.
    pub(crate) fn verifies(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> bool {
        let Some(key) = self.find(id) else { return false };
        key.algorithm.is_none_or(|own| own == algorithm)
            && key.material.verifies(algorithm, signed, signature)
    }
}

impl Key {
    /// `None` where it is for something else.
    fn read(key: &Json) -> Result<Option<Key>, &'static str> {
        let text = |name: &str| key.get(name).map(|value| value.text().ok_or("has a member that is no text"));
        let text = |name: &str| text(name).transpose();
        let kind = text("kty")?.ok_or("has no `kty`")?;
        let is_for_signatures = text("use")?.is_none_or(|purpose| purpose == "sig");
        let verifies = match key.get("key_ops") {
            None => true,
            Some(Json::List(operations)) => operations.iter().any(|one| one.text() == Some("verify")),
            Some(_) => return Err("has `key_ops` that are no list"),
        };
        if !matches!(kind, "RSA" | "EC" | "OKP") || !is_for_signatures || !verifies {
            return Ok(None);
        }
        if key.get("d").is_some() {
            return Err(
                "is a private one: whoever reads it signs as the issuer; replace it there, and give its public half",
            );
        }
        let algorithm = match text("alg")?.map(Algorithm::of) {
            Some(None) => return Ok(None),
            Some(algorithm) => algorithm,
            None => None,
        };
        let bytes = |name: &str| {
            let text = text(name)?.ok_or("lacks a part of its value")?;
            base64url::decode(text.as_bytes()).ok_or("has a value that is no base64url")
        };
        let point = |length: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != length || y.len() != length {
                return Err("has a point of another length than its curve");
            }
            Ok([&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat())
        };
        let material = match (kind, text("crv")?) {
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                let is_strong = n.first().is_some_and(|first| *first != 0) && RSA_BYTES.contains(&n.len());
                if !is_strong || e.last().is_none_or(|last| last % 2 == 0) {
                    return Err("is no key of RSA of 2048 to 8192 bits");
                }
                Material::Rsa(RsaPublicKeyComponents { n, e })
            }
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => {
                let point = bytes("x")?;
                if point.len() != 32 {
                    return Err("has a point of another length than its curve");
                }
                Material::Ed25519(point)
            }
            _ => return Ok(None),
        };
        Ok(Some(Key { id: text("kid")?.map(str::to_owned), algorithm, material }))
    }
}

/// How a point begins that has both coordinates (SEC 1 2.3.3).
const UNCOMPRESSED: u8 = 4;

impl Material {
    /// Each type of key with its own algorithms, and no other.
    fn verifies(&self, algorithm: Algorithm, signed: &[u8], signed_by: &[u8]) -> bool {
        let point = |kind: &'static dyn signature::VerificationAlgorithm, point: &[u8]| {
            UnparsedPublicKey::new(kind, point).verify(signed, signed_by).is_ok()
        };
        match (self, algorithm) {
            (Material::Rsa(key), algorithm) => {
                let parameters = match algorithm {
                    Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return false,
                };
                key.verify(parameters, signed, signed_by).is_ok()
            }
            (Material::P256(own), Algorithm::Es256) => point(&signature::ECDSA_P256_SHA256_FIXED, own),
            (Material::P384(own), Algorithm::Es384) => point(&signature::ECDSA_P384_SHA384_FIXED, own),
            (Material::Ed25519(own), Algorithm::EdDsa) => point(&signature::ED25519, own),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
