//! What no library writes, for it is wrong or rare: in DER, by hand.

/// A value with its tag and length.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(length @ 0..=0x7f) => bytes.push(length),
        _ => {
            let octets: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            bytes.push(0x80 | octets.len() as u8);
            bytes.extend(octets);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

/// Which names an authority may vouch for (RFC 5280 4.2.1.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Constraint {
    /// Or else it permits nothing but this.
    pub(super) excludes: bool,
    /// Of a URI's host, or else of a DNS name.
    pub(super) of_uris: bool,
    pub(super) name: String,
}

impl Constraint {
    pub(super) fn extension(&self) -> Vec<u8> {
        let name = value(if self.of_uris { 0x86 } else { 0x82 }, self.name.as_bytes());
        sequence(&[value(if self.excludes { 0xa1 } else { 0xa0 }, &sequence(&[name]))])
    }
}

/// A list of revoked certificates whose issuing distribution point has an empty BIT STRING for `onlySomeReasons`.
pub(super) fn broken_crl() -> Vec<u8> {
    let algorithm = sequence(&[value(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])]);
    let point = sequence(&[value(0x83, &[])]);
    let extension = sequence(&[value(0x06, &[0x55, 0x1d, 0x1c]), value(0x01, &[0xff]), value(0x04, &point)]);
    let list = sequence(&[
        value(0x02, &[1]),
        algorithm.clone(),
        sequence(&[]),
        value(0x17, b"260101000000Z"),
        value(0x17, b"360101000000Z"),
        value(0xa0, &sequence(&[extension])),
    ]);
    sequence(&[list, algorithm, value(0x03, &[0, 0x30, 0])])
}

/// The same as text.
pub(super) fn pem(label: &str, bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0_usize, |word, place| {
            word << 8 | usize::from(three.get(place).copied().unwrap_or_default())
        });
        for place in 0..4 {
            let digit = DIGITS.get(word >> (18 - 6 * place) & 63).copied().unwrap_or_default();
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_length() {
        assert_eq!(value(4, &[7]), [4, 1, 7]);
        assert_eq!(value(4, &[0; 300]).get(..4), Some(&[4, 0x82, 1, 44][..]));
        assert!(pem("X", b"abcd").contains("\nYWJjZA==\n"));
        let own = Constraint { excludes: true, of_uris: true, name: "a".to_owned() };
        assert_eq!(own.extension(), [0x30, 7, 0xa1, 5, 0x30, 3, 0x86, 1, b'a']);
    }
}
