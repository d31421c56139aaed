//! Authorities, and certificates of every kind.

use super::der::Constraint;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, OtherNameValue, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::time::{Duration, SystemTime};

/// A name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Uri(String),
    Dns(String),
    Email(String),
    Ip(std::net::IpAddr),
    /// Of a kind that nobody knows.
    Other(String),
}

/// Who signs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Signer {
    #[default]
    Root,
    Itself,
    /// An authority that nobody believes.
    Stranger,
    /// One below the root, with these constraints, that may be none itself.
    Between {
        constraint: Option<Constraint>,
        is_authority: bool,
    },
}

/// What follows the leaf that nobody asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Company {
    #[default]
    None,
    /// So many certificates.
    Many(usize),
    /// So many that could each have signed each other.
    Maze(usize),
}

/// A certificate as a case says it.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    pub(super) names: Vec<Name>,
    pub(super) common_name: Option<String>,
    pub(super) is_authority: bool,
    /// Instead of `digitalSignature`.
    pub(super) usages: Option<Vec<KeyUsagePurpose>>,
    /// Instead of both of client and server.
    pub(super) extended: Option<Vec<ExtendedKeyUsagePurpose>>,
    /// Seconds from now.
    pub(super) begins: Option<i64>,
    pub(super) ends: Option<i64>,
    pub(super) signer: Signer,
    pub(super) company: Company,
    /// Bytes of an extension that nobody knows.
    pub(super) padding: usize,
}

impl Leaf {
    pub(super) fn of(uris: &[&str]) -> Leaf {
        Leaf { names: uris.iter().map(|uri| Name::Uri((*uri).to_owned())).collect(), ..Leaf::default() }
    }
}

/// A certificate with those that lead to it, and its key.
pub(super) struct Chain {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Chain {
    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    pub(super) fn pem(&self) -> String {
        self.certificates.iter().map(|one| super::der::pem("CERTIFICATE", one)).collect()
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// It signs for whom it is told to.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

type Issuer = CertifiedIssuer<'static, KeyPair>;

impl Authority {
    pub(super) fn new() -> Result<Authority, String> {
        CertifiedIssuer::self_signed(signing("root"), key()?).map(Authority).map_err(failed)
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate as it is asked for, with all that belongs to it.
    pub(super) fn chain(&self, leaf: &Leaf) -> Result<Chain, String> {
        let key = key()?;
        let params = params(leaf)?;
        let mut certificates = Vec::new();
        match &leaf.signer {
            Signer::Itself => certificates.push(params.self_signed(&key).map_err(failed)?.der().clone()),
            Signer::Root => certificates.push(params.signed_by(&key, &self.0).map_err(failed)?.der().clone()),
            Signer::Stranger => {
                let stranger = Authority::new()?;
                certificates.push(params.signed_by(&key, &stranger.0).map_err(failed)?.der().clone());
            }
            Signer::Between { constraint, is_authority } => {
                let between = self.between(constraint.as_ref(), *is_authority)?;
                certificates.push(params.signed_by(&key, &between).map_err(failed)?.der().clone());
                certificates.push(between.der().clone());
            }
        }
        match leaf.company {
            Company::None => {}
            Company::Many(count) => {
                let one = self.between(None, true)?;
                certificates.extend(std::iter::repeat_n(one.der().clone(), count));
            }
            Company::Maze(count) => {
                // All have one name and one key, so each seems to be signed by each, and none by the root.
                let maze: Issuer =
                    CertifiedIssuer::self_signed(signing("maze"), self::key()?).map_err(failed)?;
                let own = self::params(leaf)?.signed_by(&key, &maze).map_err(failed)?;
                certificates = vec![own.der().clone()];
                for _ in 0..count {
                    let again = signing("maze").signed_by(&self::key()?, &maze).map_err(failed)?;
                    certificates.push(again.der().clone());
                    certificates.push(maze.der().clone());
                }
            }
        }
        Ok(Chain { certificates, key })
    }

    /// One that is as it should be.
    pub(super) fn issue(&self, leaf: &Leaf) -> Chain {
        self.chain(leaf).unwrap_or_else(|_| unreachable!("it has been made before"))
    }

    fn between(&self, constraint: Option<&Constraint>, is_authority: bool) -> Result<Issuer, String> {
        let mut params = signing("between");
        if !is_authority {
            params.is_ca = IsCa::ExplicitNoCa;
        }
        params.custom_extensions.extend(constraint.map(|constraint| {
            let mut own = CustomExtension::from_oid_content(&[2, 5, 29, 30], constraint.extension());
            own.set_criticality(true);
            own
        }));
        CertifiedIssuer::signed_by(params, key()?, &self.0).map_err(failed)
    }
}

fn key() -> Result<KeyPair, String> {
    KeyPair::generate().map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("a certificate cannot be made: {error}")
}

/// An authority's own certificate.
fn signing(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(leaf: &Leaf) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, leaf.common_name.clone().unwrap_or("leaf".to_owned()));
    let ascii = |text: &str| text.to_owned().try_into().map_err(failed);
    let name = |name: &Name| {
        Ok(match name {
            Name::Uri(text) => SanType::URI(ascii(text)?),
            Name::Dns(text) => SanType::DnsName(ascii(text)?),
            Name::Email(text) => SanType::Rfc822Name(ascii(text)?),
            Name::Ip(address) => SanType::IpAddress(*address),
            Name::Other(text) => SanType::OtherName((
                vec![1, 3, 6, 1, 4, 1, 99_999, 1],
                OtherNameValue::Utf8String(text.clone()),
            )),
        })
    };
    params.subject_alt_names = leaf.names.iter().map(name).collect::<Result<_, String>>()?;
    params.key_usages = leaf.usages.clone().unwrap_or(vec![KeyUsagePurpose::DigitalSignature]);
    let both = || vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.extended_key_usages = leaf.extended.clone().unwrap_or_else(both);
    if leaf.is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(failed)?.as_secs();
    let at =
        |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(now.saturating_add_signed(seconds));
    params.not_before = leaf.begins.map_or(params.not_before, at);
    params.not_after = leaf.ends.map_or(params.not_after, at);
    if leaf.padding > 0 {
        let padding = vec![0; leaf.padding];
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 2], padding));
    }
    Ok(params)
}
