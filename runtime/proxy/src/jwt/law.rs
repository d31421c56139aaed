//! Nobody makes a token without a key, and what is read of one is written in one way.

use super::base64url;
use super::json::{self, Json};
use super::keys::KeySet;
use super::token::{Rules, Unverified};
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Of the examples of RFC 7515 A and RFC 8037 A. What is signed there has expired.
const KEYS: &str = r#"{"keys":[
{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB","kid":"rsa"},
{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"ec"},
{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}]}"#;

/// As they stand the bytes are a token, a set of keys, base64url and JSON; and the lines of them are what a token says.
pub(crate) fn law(bytes: &[u8]) {
    no_token(bytes);
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let parts: [&[u8]; 3] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    no_token(parts.map(encode).join(".").as_bytes());
    // Whatever they are of, keys of somebody else verify nothing of these.
    if let Ok(keys) = KeySet::read(bytes) {
        assert!(!keys.knows(Some("nobody has this one")));
    }
    if let Some(decoded) = base64url::decode(bytes) {
        assert_eq!(encode(&decoded).as_bytes(), bytes, "some bytes are one text");
    }
    if let Ok(value) = json::read(bytes, 1_024) {
        let mut text = String::new();
        write(&value, &mut text);
        assert_eq!(json::read(text.as_bytes(), 1_024), Ok(value), "{text}");
    }
}

fn no_token(token: &[u8]) {
    let rules = Rules {
        issuer: "joe".to_owned(),
        audiences: vec!["shop".to_owned()],
        skew: Duration::from_secs(60),
        list_claims: vec!["scope".to_owned()],
        typ: String::new(),
    };
    let Ok(read) = Unverified::read(token) else { return };
    let keys = KeySet::read(KEYS.as_bytes());
    assert!(keys.is_ok(), "these are keys");
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let verified = keys.is_ok_and(|keys| read.verify(&keys, &rules, now).is_ok());
    assert!(!verified, "{:?} was signed by nobody", String::from_utf8_lossy(token));
}

/// The other way round (RFC 4648 5).
fn encode(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - three.len()));
        let letters = (0..=three.len()).map(move |place| bits >> (18 - 6 * place) & 63);
        letters.filter_map(|letter| LETTERS.get(letter).map(|letter| char::from(*letter))).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// The other way round (RFC 8259).
fn write(value: &Json, text: &mut String) {
    let quoted = |letters: &str, text: &mut String| {
        text.push('"');
        for letter in letters.encode_utf16() {
            // To a string nothing is lost.
            let _ = write!(text, "\\u{letter:04x}");
        }
        text.push('"');
    };
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool => text.push_str("true"),
        Json::Number(number) => text.push_str(number),
        Json::Text(letters) => quoted(letters, text),
        Json::List(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place > 0 { "," } else { "" });
                write(item, text);
            }
            text.push(']');
        }
        Json::Object(pairs) => {
            text.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                text.push_str(if place > 0 { "," } else { "" });
                quoted(key, text);
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
    }
}
