//! What must hold for any bytes that come from outside. Fuzzers ask it (`tests/fuzz/run`), and the tests of what they have found, which
//! stands in `corpus/`.

use crate::{frames, http1, identity, jwt, proxy_protocol, upstream};
use mesh_engine::{SpiffeId, canonical};

/// What is asked of bytes.
pub type Law = fn(&[u8]);

/// By the name of the fuzzer.
pub const LAWS: [(&str, Law); 7] = [
    ("messages", messages),
    ("answers", answers),
    ("frames", frames),
    ("targets", targets),
    ("identities", identities),
    ("proxies", proxies),
    ("tokens", tokens),
];

/// How a stream is cut into pieces, and the stream.
fn cut(bytes: &[u8]) -> (impl FnMut(usize) -> usize, &[u8]) {
    let (seed, stream) = bytes.split_first_chunk::<2>().map_or(([0; 2], bytes), |(seed, rest)| (*seed, rest));
    let mut random = fastrand::Rng::with_seed(u64::from(u16::from_be_bytes(seed)));
    (move |left: usize| random.usize(1..=left.min(24)), stream)
}

/// Requests of HTTP/1.1 mean the same in one piece and in many.
pub fn messages(bytes: &[u8]) {
    let (pieces, stream) = cut(bytes);
    http1::law(stream, pieces);
}

/// So do the answers to them.
pub fn answers(bytes: &[u8]) {
    let (pieces, stream) = cut(bytes);
    upstream::law(stream, pieces);
}

/// So do frames of HTTP/2.
pub fn frames(bytes: &[u8]) {
    let (pieces, stream) = cut(bytes);
    frames::law(stream, pieces);
}

/// A canonical path or host is its own canonical form, and has nothing in it that anybody reads in two ways.
pub fn targets(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = canonical::path(text) {
        assert_eq!(canonical::path(&path).as_deref(), Ok(&*path), "a canonical path is canonical");
        let is_odd = ["//", "/./", "/../", "%2F", "%2f", "%5C", "%00", "\\", ";", "?", "#"].into_iter();
        is_odd.for_each(|odd| assert!(!path.contains(odd), "{odd} in {path}"));
        assert!(path == "*" || path.starts_with('/') && !path.ends_with("/.") && !path.ends_with("/.."));
        assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "what is sent on is text");
    }
    if let Ok((host, port)) = canonical::host(text) {
        assert_eq!(canonical::host(&host), Ok((host.clone(), None)), "a canonical host is canonical");
        assert!(!host.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'@' || byte == b'/'));
        let authority = port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        assert_eq!(canonical::host(&authority), Ok((host, port)), "what is sent on means the same");
    }
}

/// A certificate or a name is of one workload or of nobody.
pub fn identities(bytes: &[u8]) {
    identity::law(bytes);
    let Some((id, parsed)) = std::str::from_utf8(bytes).ok().and_then(|id| Some((id, SpiffeId::read(id)?)))
    else {
        return;
    };
    assert!(id.len() <= 2_048 && parsed.trust_domain.len() <= 255);
    let rest = id.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(parsed.trust_domain));
    assert!(rest.is_some(), "the trust domain comes first");
    let rest = rest.unwrap_or_default();
    assert!(rest.is_empty() || rest.starts_with('/'), "and ends where the path begins");
    assert_eq!(parsed.is_workload, !rest.is_empty());
    let of_a_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte);
    assert!(rest.bytes().all(of_a_path), "nothing is encoded");
    assert!(rest.split('/').skip(1).all(|segment| !["", ".", ".."].contains(&segment)), "{id}");
}

/// A header of the PROXY protocol says one address or none.
pub fn proxies(bytes: &[u8]) {
    proxy_protocol::law(bytes);
}

/// A token that nobody has signed is none, and what is said in one is said in one way.
pub fn tokens(bytes: &[u8]) {
    jwt::law(bytes);
}

#[cfg(test)]
mod tests {
    use super::LAWS;
    use std::path::Path;

    #[test]
    fn what_was_found_holds() {
        for (name, law) in LAWS {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
            let files =
                std::fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
            let mut asked = 0;
            for file in files {
                law(&std::fs::read(file.unwrap().path()).unwrap());
                asked += 1;
            }
            assert!(asked > 0, "{name} has a corpus");
        }
    }

    #[test]
    fn any_bytes_hold() {
        let mut random = fastrand::Rng::with_seed(7);
        for (_, law) in LAWS {
            for _ in 0..2_000 {
                let length = random.usize(..64);
                law(&(0..length).map(|_| random.u8(..)).collect::<Vec<_>>());
            }
        }
    }
}
