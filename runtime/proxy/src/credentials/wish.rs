//! A new key, and the request for a certificate of it (PKCS #10, RFC 2986). It names nobody: who the proxy is, the authority knows.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::fmt::Display;
use x509_cert::der::asn1::{Any, BitString};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, Encode as _};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// Elliptic curves, and the curve P-256 (RFC 5480 2.1.1): every TLS of every language speaks it, and ring makes such keys.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// What is asked for, and the key that it is for.
pub(super) struct Wish {
    /// The request, DER.
    pub(super) request: Vec<u8>,
    /// The private key, PEM.
    pub(super) key: String,
}

impl Wish {
    pub(super) fn new() -> Result<Wish, String> {
        let cannot = |why: &dyn Display| format!("cannot make a key: {why}");
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
            .map_err(|error| cannot(&error))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.as_ref(), &random)
            .map_err(|error| cannot(&error))?;
        let sign = |bytes: &[u8]| pair.sign(&random, bytes).map_err(|error| cannot(&error));
        let info = info(pair.public_key().as_ref()).map_err(|error| cannot(&error))?;
        let signature = sign(&info.to_der().map_err(|error| cannot(&error))?)?;
        let request = signed(info, signature.as_ref()).map_err(|error| cannot(&error))?;
        Ok(Wish { request, key: super::text::key(key.as_ref())? })
    }
}

fn info(public_key: &[u8]) -> der::Result<CertReqInfo> {
    let algorithm =
        AlgorithmIdentifierOwned { oid: EC_PUBLIC_KEY, parameters: Some(Any::encode_from(&P256)?) };
    let public_key =
        SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(public_key)? };
    Ok(CertReqInfo {
        version: Version::V1,
        subject: Name::default(),
        public_key,
        attributes: Default::default(),
    })
}

fn signed(info: CertReqInfo, signature: &[u8]) -> der::Result<Vec<u8>> {
    let algorithm = AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None };
    CertReq { info, algorithm, signature: BitString::from_bytes(signature)? }.to_der()
}
