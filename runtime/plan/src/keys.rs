//! Ed25519 keys (RFC 8032), as PEM files of PKCS #8 and SubjectPublicKeyInfo hold them (RFC 8410): those of `openssl genpkey -algorithm
//! ed25519` and `openssl pkey -pubout`.

use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::fmt;

/// A key that plans are signed with. Never printed.
pub struct PrivateKey(SigningKey);

/// A key that a signature is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why a text holds no key. What it holds is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No PEM block of this kind.
    Absent(&'static str),
    /// A private key where a public one is needed.
    Private,
    /// Not an Ed25519 key, or damaged.
    Broken,
    /// A point of small order: anybody can sign for it.
    Weak,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Absent(kind) => write!(f, "there is no `-----BEGIN {kind}-----` in it"),
            KeyError::Private => f.write_str("it holds a private key, and here a public one is needed"),
            KeyError::Broken => f.write_str("it is not an Ed25519 key, or it is damaged"),
            KeyError::Weak => f.write_str("it is a weak key, for which anybody can sign"),
        }
    }
}

impl std::error::Error for KeyError {}

/// The label of a private key's PEM block (RFC 7468 10).
const PRIVATE: &str = "PRIVATE KEY";
/// The label of a public key's PEM block (RFC 7468 13).
const PUBLIC: &str = "PUBLIC KEY";

impl PrivateKey {
    /// The key of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> PrivateKey {
        PrivateKey(SigningKey::from_bytes(seed))
    }

    /// The first private key of a PEM text.
    pub fn from_pem(text: &str) -> Result<PrivateKey, KeyError> {
        let block = blocks(text, PRIVATE).next().ok_or(KeyError::Absent(PRIVATE))?;
        SigningKey::from_pkcs8_pem(block).map(PrivateKey).map_err(|_| KeyError::Broken)
    }

    /// As `openssl genpkey` would write it.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        // Without the public half, as openssl does: not all readers know PKCS #8 version 2.
        let pair = ed25519_dalek::pkcs8::KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        pair.to_pkcs8_pem(Default::default()).map(|text| text.to_string()).map_err(|_| KeyError::Broken)
    }

    /// What its signatures are checked with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl PublicKey {
    /// All public keys of a PEM text; at least one.
    pub fn all_from_pem(text: &str) -> Result<Vec<PublicKey>, KeyError> {
        if blocks(text, PRIVATE).next().is_some() {
            return Err(KeyError::Private);
        }
        let keys: Vec<PublicKey> =
            blocks(text, PUBLIC).map(PublicKey::from_block).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(KeyError::Absent(PUBLIC)) } else { Ok(keys) }
    }

    fn from_block(block: &str) -> Result<PublicKey, KeyError> {
        let key = VerifyingKey::from_public_key_pem(block).map_err(|_| KeyError::Broken)?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(PublicKey(key)) }
    }

    /// As `openssl pkey -pubout` would write it.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(Default::default()).map_err(|_| KeyError::Broken)
    }

    /// What names it beside a signature: BLAKE3-256 of its 32 bytes.
    pub fn id(&self) -> [u8; 32] {
        *blake3::hash(self.0.as_bytes()).as_bytes()
    }

    /// As `verify_strict` of RFC 8032 5.1.7: no signature that another implementation might refuse.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// The PEM blocks of a label.
fn blocks<'t>(text: &'t str, label: &str) -> impl Iterator<Item = &'t str> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = rest.find(&begin)?;
        let block = rest.get(from..)?;
        let length = block.find(&end)? + end.len();
        rest = block.get(length..)?;
        block.get(..length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 10.3.
    const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn keys_are_read_and_written_as_others_do() {
        let key = PrivateKey::from_pem(PRIVATE_PEM).unwrap();
        assert_eq!(key.to_pem().unwrap(), PRIVATE_PEM);
        assert_eq!(key.public().to_pem().unwrap(), PUBLIC_PEM);
        let twice = format!("a remark\n{PUBLIC_PEM}\n{PUBLIC_PEM}");
        assert_eq!(PublicKey::all_from_pem(&twice).unwrap(), [key.public(), key.public()]);
        assert!(key.public().has_signed(b"text", &key.sign(b"text")));
        assert!(!key.public().has_signed(b"texT", &key.sign(b"text")));
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let weak = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
            -----END PUBLIC KEY-----\n";
        for (text, wanted) in [
            ("", KeyError::Absent(PUBLIC)),
            (PRIVATE_PEM, KeyError::Private),
            (&PUBLIC_PEM.replace("MCow", "MCox"), KeyError::Broken),
            (weak, KeyError::Weak),
        ] {
            assert_eq!(PublicKey::all_from_pem(text), Err(wanted), "{text}");
        }
        assert_eq!(PrivateKey::from_pem(PUBLIC_PEM).unwrap_err(), KeyError::Absent(PRIVATE));
        let broken = PRIVATE_PEM.replace("MC4C", "MC5C");
        assert_eq!(PrivateKey::from_pem(&broken).unwrap_err(), KeyError::Broken);
        assert_eq!(format!("{:?}", PrivateKey::from_seed(&[7; 32])), "PrivateKey(…)");
    }
}
