//! Issuers of tokens: keys, sets of keys, and tokens that they sign, good ones and such as nobody should take.

use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A key that signs.
pub struct Signer {
    id: String,
    key: Key,
}

enum Key {
    Ec(Box<EcdsaKeyPair>, &'static str),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>, &'static str),
}

impl Signer {
    /// `ES256`, `ES384`, `EdDSA`, `RS256` or `PS256`; made now, but for RSA, whose key is that of RFC 7515 A.2.
    pub fn new(algorithm: &str, id: &str) -> Signer {
        let dice = SystemRandom::new();
        let key = match algorithm {
            "ES256" | "ES384" => {
                let (kind, curve) = match algorithm {
                    "ES256" => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
                    _ => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
                };
                let bytes = EcdsaKeyPair::generate_pkcs8(kind, &dice).expect("a key");
                let pair = EcdsaKeyPair::from_pkcs8(kind, bytes.as_ref(), &dice).expect("a key");
                Key::Ec(Box::new(pair), curve)
            }
            "EdDSA" => {
                let bytes = Ed25519KeyPair::generate_pkcs8(&dice).expect("a key");
                Key::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8(bytes.as_ref()).expect("a key")))
            }
            "RS256" => Key::Rsa(Box::new(rsa()), "RS256"),
            "PS256" => Key::Rsa(Box::new(rsa()), "PS256"),
            other => panic!("no key signs {other}"),
        };
        Signer { id: id.to_owned(), key }
    }

    fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Ec(_, "P-256") => "ES256",
            Key::Ec(..) => "ES384",
            Key::Ed25519(_) => "EdDSA",
            Key::Rsa(_, algorithm) => algorithm,
        }
    }

    /// Its public half.
    pub fn public(&self) -> Value {
        let mut key = match &self.key {
            Key::Ec(pair, curve) => {
                let (x, y) =
                    pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
                json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
            }
            Key::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref()) })
            }
            Key::Rsa(..) => json!({ "kty": "RSA", "n": RSA[0], "e": "AQAB" }),
        };
        key["kid"] = json!(self.id);
        key["alg"] = json!(self.algorithm());
        key
    }

    /// A token of these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_of("JWT", claims)
    }

    /// The same of a type; an empty one is not said.
    pub fn token_of(&self, typ: &str, claims: &Value) -> String {
        let mut header = json!({ "alg": self.algorithm(), "kid": self.id, "typ": typ });
        if let (true, Some(header)) = (typ.is_empty(), header.as_object_mut()) {
            header.remove("typ");
        }
        self.signed(&header.to_string(), &claims.to_string())
    }

    /// A token of any header and payload.
    pub fn signed(&self, header: &str, payload: &str) -> String {
        let text = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
        format!("{text}.{}", base64url(&self.sign(text.as_bytes())))
    }

    /// A token whose first two parts are this text, whatever that is.
    pub fn over(&self, text: &str) -> String {
        format!("{text}.{}", base64url(&self.sign(text.as_bytes())))
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let dice = SystemRandom::new();
        match &self.key {
            Key::Ec(pair, _) => pair.sign(&dice, bytes).expect("a signature").as_ref().to_vec(),
            Key::Ed25519(pair) => pair.sign(bytes).as_ref().to_vec(),
            Key::Rsa(pair, algorithm) => {
                let way: &dyn RsaEncoding =
                    if *algorithm == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(way, &dice, bytes, &mut signature).expect("a signature");
                signature
            }
        }
    }
}

/// A token that is signed with a secret that two sides share (HS256).
pub fn shared(header: &str, payload: &str, secret: &str) -> String {
    let text = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    format!("{text}.{}", base64url(ring::hmac::sign(&key, text.as_bytes()).as_ref()))
}

/// Claims of an issuer for an audience, valid for an hour, with others.
pub fn claims(issuer: &str, audience: &str, others: &Value) -> Value {
    let mut claims = json!({ "iss": issuer, "aud": audience, "exp": now() + 3_600 });
    for (name, value) in others.as_object().expect("claims") {
        claims[name] = value.clone();
    }
    claims
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// The set of these keys.
pub fn key_set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.public()).collect::<Vec<_>>() }).to_string()
}

/// A file with a set of keys, which is gone at the end.
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// With the keys of these.
    pub fn of(signers: &[&Signer]) -> KeyFile {
        let name = format!("mesh-keys-{}-{:x}.json", std::process::id(), fastrand::u64(..));
        let file = KeyFile(std::env::temp_dir().join(name));
        file.write(&key_set(signers));
        file
    }

    /// Puts another file in its place.
    pub fn write(&self, text: &str) {
        let fresh = self.0.with_extension("new");
        std::fs::write(&fresh, text).expect("a file");
        std::fs::rename(fresh, &self.0).expect("a file");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        // What cannot be removed stays in the system's temporary directory.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Without padding (RFC 7515 2).
pub fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// The key of RFC 7515 A.2: n, d, p, q, dp, dq, qi.
const RSA: [&str; 7] = [
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
    "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
    "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
    "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
    "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
    "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U",
];

fn rsa() -> RsaKeyPair {
    let [n, d, p, q, dp, dq, qi] = RSA.map(bytes);
    let public_key = PublicKeyComponents { n, e: vec![1, 0, 1] };
    RsaKeyPair::from_components(&KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi })
        .expect("a key")
}

/// Of a text that is written above.
fn bytes(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let bits = group.iter().fold(0u32, |bits, letter| bits << 6 | u32::from(value(*letter)));
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
