//! SPIFFE IDs, read as segments: who somebody is is never a match of text.

/// An identity, and what it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiffeId<'i> {
    /// Its trust domain: `local.test`.
    pub trust_domain: &'i str,
    /// Whether it is of a workload, and not of the trust domain as a whole.
    pub is_workload: bool,
    /// Up to the end of the trust domain: `spiffe://local.test`.
    pub(crate) domain: &'i str,
    /// Up to the last segment of the path: `spiffe://local.test/ns/shop/sa`.
    pub(crate) parent: &'i str,
}

/// The SPIFFE specification's limit on the length of an ID.
const MAX_ID_BYTES: usize = 2_048;
/// The same of a trust domain, which is as long as the name of a host may be.
const MAX_DOMAIN_BYTES: usize = 255;

impl<'i> SpiffeId<'i> {
    /// [SPIFFE-ID 2](https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md): lower-case scheme, trust domain, and a
    /// path of segments that are not empty, `.` or `..`. No query, fragment, port, user or encoding. What cannot be read is not
    /// trusted as anybody's: `None`.
    pub fn read(identity: &'i str) -> Option<SpiffeId<'i>> {
        let rest = identity.strip_prefix("spiffe://").filter(|_| identity.len() <= MAX_ID_BYTES)?;
        let (trust_domain, path) =
            rest.split_once('/').map_or((rest, None), |(name, path)| (name, Some(path)));
        if !is_trust_domain(trust_domain) || !path.is_none_or(|path| path.split('/').all(is_segment)) {
            return None;
        }
        let domain = identity.get(.."spiffe://".len() + trust_domain.len())?;
        let parent = path.and_then(|_| identity.rsplit_once('/')).map_or(domain, |(parent, _)| parent);
        Some(SpiffeId { trust_domain, is_workload: path.is_some(), domain, parent })
    }
}

fn is_trust_domain(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    (1..=MAX_DOMAIN_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}
