//! Base64url without padding (RFC 4648 5, RFC 7515 2): each text that is some bytes in one form only.

/// The bytes of a text. Padding, other alphabets, blanks, and bits that are left over and not zero are refused: of two texts that are one
/// token to a reader and two to another, one may be blocked and the other not.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits: u32 = 0;
        for letter in group {
            bits = bits << 6 | value(*letter)?;
        }
        // Of six bits for each letter, those of whole bytes count.
        let (count, left) = match group.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if bits & ((1 << left) - 1) != 0 {
            return None;
        }
        let whole = (bits >> left).to_be_bytes();
        bytes.extend(whole.iter().skip(4 - count));
    }
    Some(bytes)
}

fn value(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn vectors_of_the_standards() {
        // RFC 4648 10, without padding, and RFC 7515 C.
        let vectors: [(&str, &[u8]); 8] = [
            ("", b""),
            ("Zg", b"f"),
            ("Zm8", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg", b"foob"),
            ("Zm9vYmE", b"fooba"),
            ("Zm9vYmFy", b"foobar"),
            ("A-z_4ME", &[3, 236, 255, 224, 193]),
        ];
        for (text, bytes) in vectors {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
    }

    #[test]
    fn some_bytes_have_one_form() {
        for text in [
            "Zg==", "Zg=", "Zm9v\n", " Zm9v", "Zm9vY", "A+z/4ME", "Zh", "Zm9", "Z", "Zm8=", "Zm.v", "Z\u{e9}",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
