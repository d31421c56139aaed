//! A certificate and everything around it in one text, so that it is sent and kept whole: in PEM the key, where it is kept, the
//! certificate, those between it and a root, and behind a line the roots to believe.

use mesh_proxy::Material;
use x509_cert::der::pem::{LineEnding, encode_string};
use x509_cert::der::{Reader as _, SliceReader};

/// The line in front of the roots of the certificate's own trust domain; with ` of DOMAIN` behind it, of another one. What stands between
/// two blocks of PEM is for people (RFC 7468 2).
const ROOTS: &str = "# Trust bundle";

/// What an identity is made of, from a text.
pub(super) fn material(text: &str) -> Material {
    let mut sections = text.split(ROOTS);
    let own = sections.next().unwrap_or_default().as_bytes().to_vec();
    let bundles = sections.map(|section| {
        let (of, roots) = section.split_once('\n').unwrap_or((section, ""));
        (of.trim().strip_prefix("of ").map(str::to_owned), roots.as_bytes().to_vec())
    });
    Material { key: own.clone(), chain: own, bundles: bundles.collect() }
}

/// A text with other roots. `None`: it has these.
pub(super) fn believing(text: &str, roots: &str) -> Option<String> {
    let (own, before) = text.split_once(ROOTS)?;
    let before = before.split_once('\n').map(|(_, before)| before);
    (before != Some(roots)).then(|| format!("{own}{ROOTS}\n{roots}"))
}

/// A private key (DER of PKCS #8), for the front of a text.
pub(super) fn key(der: &[u8]) -> Result<String, String> {
    encode_string("PRIVATE KEY", LineEnding::LF, der).map_err(|error| format!("cannot write a key: {error}"))
}

/// A revocation list.
pub(super) fn crl(der: &[u8]) -> Result<String, String> {
    encode_string("X509 CRL", LineEnding::LF, der)
        .map_err(|error| format!("cannot write a revocation list: {error}"))
}

/// Certificates, whose DER stands one behind the other.
pub(super) fn certificates(der: &[u8]) -> Result<String, String> {
    let broken = |error: &dyn std::fmt::Display| format!("what should be certificates is not: {error}");
    let mut reader = SliceReader::new(der).map_err(|error| broken(&error))?;
    let mut text = String::new();
    while !reader.is_finished() {
        let one = reader.tlv_bytes().map_err(|error| broken(&error))?;
        text.push_str(&encode_string("CERTIFICATE", LineEnding::LF, one).map_err(|error| broken(&error))?);
    }
    Ok(text)
}

/// Roots of a trust domain, or of the certificate's own, behind their line. The domain is one that was read as such.
pub(super) fn roots(domain: Option<&str>, der: &[u8]) -> Result<String, String> {
    let of = domain.map(|domain| format!(" of {domain}")).unwrap_or_default();
    Ok(format!("{ROOTS}{of}\n{}", certificates(der)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_apart_at_its_bundles() {
        let read =
            material("key\nleaf\n# Trust bundle\nroot\nother\n# Trust bundle of partner.test\ntheirs\n");
        assert_eq!((read.chain, read.key), (b"key\nleaf\n".to_vec(), b"key\nleaf\n".to_vec()));
        let theirs = (Some("partner.test".to_owned()), b"theirs\n".to_vec());
        assert_eq!(read.bundles, [(None, b"root\nother\n".to_vec()), theirs]);
        assert_eq!(material("").bundles, []);
    }

    #[test]
    fn roots_take_the_place_of_others() {
        let text = "key\nleaf\n# Trust bundle\nroot\n";
        assert_eq!(believing(text, "root\n"), None);
        assert_eq!(believing(text, "other\n").unwrap(), "key\nleaf\n# Trust bundle\nother\n");
        assert_eq!(believing("key\nleaf\n", "root\n"), None, "nobody gave this one roots");
    }

    #[test]
    fn certificates_that_stand_one_behind_the_other_are_told_apart() {
        let (one, other) = ([0x30, 1, 7], [0x30, 2, 8, 9]);
        let text = roots(Some("partner.test"), &[&one[..], &other].concat()).unwrap();
        let both = format!("{}{}", certificates(&one).unwrap(), certificates(&other).unwrap());
        assert_eq!(text, format!("# Trust bundle of partner.test\n{both}"));
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
        for broken in [&[0x30, 5, 0][..], &[0x30], b"certificate"] {
            assert!(certificates(broken).is_err(), "{broken:?}");
        }
    }
}
