//! Vectors of RFC 7515 A, RFC 8037 A, and sets in which something is not as it should be.

use super::*;

const RSA: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB","kid":"rsa"}"#;
const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"ec"}"#;
const ED: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ed"}"#;

/// What is signed, and by which signature.
const BY_RSA: [&str; 2] = [
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
];
const BY_EC: [&str; 2] = [
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
];
const BY_ED: [&str; 2] = [
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
];

fn set(keys: &[&str]) -> Result<KeySet, String> {
    KeySet::read(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
}

fn why_not(keys: &[&str]) -> String {
    set(keys).err().unwrap_or_default()
}

fn verifies(keys: &KeySet, id: &str, algorithm: Algorithm, [signed, signature]: [&str; 2]) -> bool {
    keys.verifies(Some(id), algorithm, signed.as_bytes(), &base64url::decode(signature.as_bytes()).unwrap())
}

#[test]
fn vectors_of_the_standards_verify() {
    let keys = set(&[RSA, EC, ED]).unwrap();
    for (id, algorithm, vector) in
        [("rsa", Algorithm::Rs256, BY_RSA), ("ec", Algorithm::Es256, BY_EC), ("ed", Algorithm::EdDsa, BY_ED)]
    {
        assert!(verifies(&keys, id, algorithm, vector), "{id}");
        let [signed, signature] = vector;
        assert!(!verifies(&keys, id, algorithm, [&signed.replace('e', "f"), signature]), "{id}");
        assert!(!verifies(&keys, "other", algorithm, vector), "{id}");
    }
}

#[test]
fn a_key_verifies_in_its_own_ways_only() {
    let keys = set(&[RSA, EC, ED]).unwrap();
    let all = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];
    for id in ["rsa", "ec", "ed"] {
        for vector in [BY_RSA, BY_EC, BY_ED] {
            let count = all.iter().filter(|algorithm| verifies(&keys, id, **algorithm, vector)).count();
            let own = matches!((id, vector), ("rsa", BY_RSA) | ("ec", BY_EC) | ("ed", BY_ED));
            assert_eq!(count, usize::from(own), "{id}");
        }
    }
    // With an `alg` a key is for that one and no other (RFC 8725 3.1).
    let bound = set(&[&RSA.replace("\"kid\"", "\"alg\":\"RS512\",\"kid\"")]).unwrap();
    assert!(!verifies(&bound, "rsa", Algorithm::Rs256, BY_RSA));
    let zeros = [BY_EC[0], &"A".repeat(86)];
    assert!(!verifies(&keys, "ec", Algorithm::Es256, zeros), "CVE-2022-21449");
}

#[test]
fn names_of_algorithms_have_their_case_and_shared_secrets_have_none() {
    for name in ["none", "None", "nOnE", "", "HS256", "HS512", "rs256", "RS256 ", "ES512", "ES256K", "A256KW"]
    {
        assert_eq!(Algorithm::of(name), None, "{name}");
    }
    assert_eq!(Algorithm::of("EdDSA"), Some(Algorithm::EdDsa));
}

#[test]
fn one_key_needs_no_name_and_of_two_one_is_named() {
    let [signed, signature] = BY_EC;
    let signature = base64url::decode(signature.as_bytes()).unwrap();
    let verifies =
        |keys: &KeySet, id: Option<&str>| keys.verifies(id, Algorithm::Es256, signed.as_bytes(), &signature);
    let one = set(&[EC]).unwrap();
    assert!(verifies(&one, None) && verifies(&one, Some("ec")) && !verifies(&one, Some("x")));
    let two = set(&[EC, ED]).unwrap();
    assert!(!verifies(&two, None) && verifies(&two, Some("ec")) && !two.knows(None));
    let nameless = set(&[&EC.replace(",\"kid\":\"ec\"", "")]).unwrap();
    assert!(verifies(&nameless, None) && !verifies(&nameless, Some("ec")));
}

#[test]
fn keys_for_something_else_are_left_out() {
    let others = [
        r#"{"kty":"oct","k":"AAAA","kid":"shared"}"#,
        r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"k1"}"#,
        r#"{"kty":"OKP","crv":"X25519","x":"AA","kid":"x"}"#,
        r#"{"kty":"new","kid":"n"}"#,
        &RSA.replace("\"kid\":\"rsa\"", "\"use\":\"enc\",\"kid\":\"enc\""),
        &RSA.replace("\"kid\":\"rsa\"", "\"key_ops\":[\"encrypt\"],\"kid\":\"ops\""),
        &RSA.replace("\"kid\":\"rsa\"", "\"alg\":\"RSA-OAEP\",\"kid\":\"alg\""),
    ];
    let all: Vec<&str> = others.iter().map(|key| &**key).chain([EC]).collect();
    let keys = set(&all).unwrap();
    assert!(keys.knows(None) && keys.knows(Some("ec")) && !keys.knows(Some("shared")));
    assert_eq!(why_not(&others[..1]), "no key in it is for signatures of RSA, P-256, P-384 or Ed25519");
}

#[test]
fn a_set_in_which_something_is_wrong_is_none_and_says_what() {
    let changed = |key: &str, from: &str, to: &str| why_not(&[&key.replace(from, to)]);
    assert_eq!(changed(EC, "f83O", "====="), "key 1 has a value that is no base64url");
    assert_eq!(changed(EC, "f83OJ3D2", "J3D2"), "key 1 has a point of another length than its curve");
    assert_eq!(changed(ED, "11qYAYKx", "AYKx"), "key 1 has a point of another length than its curve");
    assert_eq!(changed(RSA, "AQAB", "AQAA"), "key 1 is no key of RSA of 2048 to 8192 bits");
    assert_eq!(changed(RSA, "ofgWCuLj", "AAAAofgWCuLj"), "key 1 is no key of RSA of 2048 to 8192 bits");
    assert_eq!(changed(RSA, "ofgWCuLj", ""), "key 1 is no key of RSA of 2048 to 8192 bits");
    assert_eq!(changed(EC, "\"kid\":\"ec\"", "\"kid\":1"), "key 1 has a member that is no text");
    assert!(changed(EC, "\"kid\"", "\"d\":\"AA\",\"kid\"").starts_with("key 1 is a private one"));
    assert_eq!(why_not(&[EC, &ED.replace("\"ed\"", "\"ec\"")]), "two keys are `ec`");
    assert_eq!(KeySet::read(b"[]").err().unwrap(), "it has no list `keys`");
    assert_eq!(
        KeySet::read(b"{\"keys\":[],\"keys\":[]}").err().unwrap(),
        "it is no JSON, or a key stands in it twice"
    );
    assert_eq!(why_not(&vec![EC; 101]), "it has more than 100 keys");
    assert_eq!(KeySet::read(&vec![b' '; MAX_JWKS_BYTES + 1]).err().unwrap(), "it is longer than 256 KiB");
}
