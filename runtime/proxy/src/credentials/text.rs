//! A certificate and everything around it in one text, so that it is sent and kept whole: in PEM the key, where it is kept, the
//! certificate, those between it and a root, and behind a line the roots to believe.

use mesh_proxy::Material;

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
}
