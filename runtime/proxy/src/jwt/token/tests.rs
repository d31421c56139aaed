//! Tokens that are signed here, good ones and others.

use super::*;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8]) -> String {
    let letters = bytes.chunks(3).flat_map(|group| {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        (0..=group.len()).map(move |place| char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]))
    });
    letters.collect()
}

struct Issuer {
    pair: Ed25519KeyPair,
    keys: KeySet,
}

impl Issuer {
    fn new() -> Issuer {
        let bytes = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(bytes.as_ref()).unwrap();
        let x = encode(pair.public_key().as_ref());
        let keys =
            format!("{{\"keys\":[{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"{x}\"}}]}}");
        Issuer { pair, keys: KeySet::read(keys.as_bytes()).unwrap() }
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let text = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
        let signature = encode(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}.{signature}")
    }

    /// Why a token is not valid, or nothing.
    fn judge(&self, token: &str) -> &'static str {
        self.judge_as("", token)
    }

    /// The same where tokens have to be of a type.
    fn judge_as(&self, typ: &str, token: &str) -> &'static str {
        let rules = Rules {
            issuer: "i".to_owned(),
            audiences: vec!["a".to_owned(), "b".to_owned()],
            skew: Duration::from_secs(10),
            list_claims: vec![],
            typ: typ.to_owned(),
        };
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let read = Unverified::read(token.as_bytes());
        match read.and_then(|token| token.verify(&self.keys, &rules, now)) {
            Ok(_) => "",
            Err(Invalid(why)) => why,
        }
    }
}

const NOW: u64 = 1_000_000;
const HEADER: &str = "{\"alg\":\"EdDSA\",\"kid\":\"k\"}";
const GOOD: &str = "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":1000001}";

#[test]
fn a_payload_is_judged_by_what_it_says_exactly() {
    let own = Issuer::new();
    let judge = |payload: &str| own.judge(&own.sign(HEADER, payload));
    let with = |claim: &str| judge(&GOOD.replace('}', &format!(",{claim}}}")));
    let expires = |date: &str| judge(&GOOD.replace("1000001", date));
    assert_eq!(judge(GOOD), "");
    // Ten seconds of the issuer's clock.
    assert_eq!([expires("999990.001"), expires("999991"), expires("253402300799")], [""; 3]);
    assert_eq!([expires("999990"), expires("999990.0"), expires("0")], ["the token has expired"; 3]);
    let no_date = "a date in the token is no number of seconds";
    for date in [
        "1e308",
        "1E9",
        "\"2030\"",
        "-1",
        "253402300800",
        "99999999999999999999",
        "null",
        "[1000001]",
        "true",
    ] {
        assert_eq!(expires(date), no_date, "{date}");
    }
    assert_eq!(judge("{\"iss\":\"i\",\"aud\":\"a\"}"), "the token never expires");
    assert_eq!([with("\"nbf\":1000010"), with("\"nbf\":1000009.9999")], [""; 2]);
    assert_eq!([with("\"nbf\":1000011"), with("\"nbf\":1000010.0001")], ["the token is not valid yet"; 2]);
    assert_eq!(with("\"nbf\":\"0\""), no_date);
    let to = |audience: &str| judge(&GOOD.replace("\"a\"", audience));
    assert_eq!([to("[\"a\"]"), to("[\"x\",\"b\"]")], [""; 2]);
    for audience in ["\"a \"", "\"A\"", "[]", "null", "[\"x\"]", "[\"a\",1]", "{\"a\":1}"] {
        assert_eq!(to(audience), "the token is for another audience", "{audience}");
    }
    let of = |issuer: &str| judge(&GOOD.replace("\"i\"", issuer));
    for issuer in ["\"I\"", "\"i/\"", "[\"i\"]", "null"] {
        assert_eq!(of(issuer), "the token is of another issuer", "{issuer}");
    }
    assert_eq!(with("\"sub\":1,\"sub\":2"), "a part of the token is no JSON object, or too much of one");
    assert_eq!(judge("[]"), "a part of the token is no JSON object, or too much of one");
}

#[test]
fn a_token_is_of_the_type_that_is_asked_for_and_says_so() {
    let own = Issuer::new();
    let of =
        |member: &str| own.judge_as("at+jwt", &own.sign(&HEADER.replace('}', &format!("{member}}}")), GOOD));
    for member in [",\"typ\":\"at+jwt\"", ",\"typ\":\"Application/AT+JWT\""] {
        assert_eq!(of(member), "", "{member}");
    }
    for member in [
        "",
        ",\"typ\":\"JWT\"",
        ",\"typ\":\"\"",
        ",\"typ\":null",
        ",\"typ\":\"application/application/at+jwt\"",
    ] {
        assert_eq!(of(member), "the token is of another type", "{member}");
    }
}

#[test]
fn a_header_says_how_and_nothing_else_counts() {
    let own = Issuer::new();
    let judge = |header: &str| own.judge(&own.sign(header, GOOD));
    let with = |member: &str| judge(&HEADER.replace('}', &format!(",{member}}}")));
    let good = [
        "\"jku\":\"https://evil.test\"",
        "\"jwk\":{\"kty\":\"OKP\"}",
        "\"x5u\":\"x\",\"x5c\":[\"x\"]",
        "\"typ\":\"JWT\"",
        "\"typ\":\"application/at+jwt\"",
        "\"new\":1",
    ];
    good.iter().for_each(|member| assert_eq!(with(member), "", "{member}"));
    assert_eq!(judge("{\"alg\":\"EdDSA\"}"), "", "there is one key");
    for member in ["\"crit\":[\"exp\"]", "\"crit\":[]", "\"b64\":false"] {
        assert_eq!(with(member), "the token asks for an extension", "{member}");
    }
    for member in ["\"typ\":\"logout+jwt\"", "\"typ\":\"JWE\"", "\"typ\":1"] {
        assert_eq!(with(member), "the token is of another type", "{member}");
    }
    for header in ["{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{\"alg\":[\"EdDSA\"]}", "{}"] {
        assert_eq!(judge(header), "the token is not signed in a known way", "{header}");
    }
    assert_eq!(judge("{\"alg\":\"RS256\",\"kid\":\"k\"}"), "the signature is not of the token's key");
    assert_eq!(judge("{\"alg\":\"EdDSA\",\"kid\":\"../k\"}"), "the token's key is none of the issuer's");
    assert_eq!(judge("{\"alg\":\"EdDSA\",\"kid\":1}"), "the name of the token's key is no text");
    assert_eq!(with("\"kid\":\"k\""), "a part of the token is no JSON object, or too much of one");
}

#[test]
fn a_token_is_three_parts_and_each_in_one_form() {
    let own = Issuer::new();
    let token = own.sign(HEADER, GOOD);
    assert_eq!(own.judge(&token), "");
    for text in [
        String::new(),
        "..".to_owned(),
        "a.b".to_owned(),
        format!("{token}."),
        format!("{token}.a"),
        format!("{token}.a.b"),
    ] {
        assert_ne!(own.judge(&text), "", "{text}");
    }
    for end in ["=", "\n", " ", "+", "/", "A"] {
        assert_ne!(own.judge(&format!("{token}{end}")), "", "{end}");
    }
    let deep = GOOD.replace('}', &format!(",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(own.judge(&own.sign(HEADER, &deep)), "the token is too long");
    let deep = GOOD.replace('}', &format!(",\"x\":{}{}}}", "[".repeat(32), "]".repeat(32)));
    assert_eq!(
        own.judge(&own.sign(HEADER, &deep)),
        "a part of the token is no JSON object, or too much of one"
    );
    let many = GOOD.replace('}', &format!(",\"x\":[{}]}}", vec!["1"; 1_024].join(",")));
    assert_eq!(
        own.judge(&own.sign(HEADER, &many)),
        "a part of the token is no JSON object, or too much of one"
    );
}

#[test]
fn no_changed_letter_is_taken() {
    let own = Issuer::new();
    let token = own.sign(HEADER, GOOD);
    for place in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        assert_ne!(own.judge(std::str::from_utf8(&changed).unwrap()), "", "{place}");
    }
}
