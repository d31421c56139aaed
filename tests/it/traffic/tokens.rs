//! Tokens: who is verified, by whose keys, and what becomes of the token.

use super::streams::call_saying;
use mesh_proxy::Fetching;
use mesh_tests::authority::Authority;
use mesh_tests::harness::{Mesh, Upstream, free_address};
use mesh_tests::secure::Secure;
use mesh_tests::tokens::{KeyFile, Signer, base64url, claims, key_set, now};
use mesh_tests::up::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ISSUER: &str = "https://sso.test";

/// A gateway that verifies tokens, and a service behind it.
fn behind(keys: &KeyFile, upstream: &Upstream, jwt: &str, uses: &str, rules: &str) -> String {
    format!(
        r#"jwt sso {{ issuer "{ISSUER}"; audience "shop", "admin"; jwks "{}"
{jwt} }}
gateway edge {{ listener web port 80 http {{ host "*" }}
{uses} }}
authorize edge {{ {rules} }}
route edge {{ to s }}
service s {{ port 80 http; endpoints static "{}" }}
authorize s {{ allow from gateway edge }}
"#,
        keys.path().display(),
        upstream.address
    )
}

const REQUIRED: &str = "jwt sso required";
const ANYONE: &str = "allow from anyone";

fn good(others: &Value) -> Value {
    claims(ISSUER, "shop", others)
}

/// What becomes of a request with these headers.
fn ask(mesh: &Mesh, headers: &[&str]) -> u16 {
    mesh.connect("edge.default/web").get("a", "/", headers).unwrap().0
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

#[test]
fn a_token_is_verified_by_the_keys_of_its_issuer() {
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let (own, stranger) = (Signer::new(algorithm, "k"), Signer::new("ES256", "k"));
        let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
        let mesh = Mesh::start(&behind(&keys, &upstream, "", REQUIRED, ANYONE), &[]);
        assert_eq!(ask(&mesh, &[]), 401, "{algorithm}");
        assert_eq!(ask(&mesh, &[&bearer(&own.token(&good(&json!({}))))]), 200, "{algorithm}");
        assert_eq!(ask(&mesh, &[&bearer(&stranger.token(&good(&json!({}))))]), 401, "{algorithm}");
        assert_eq!(upstream.heads().len(), 1);
    }
}

#[test]
fn a_token_is_absent_valid_or_not_and_what_is_not_valid_is_refused_everywhere() {
    let own = Signer::new("ES256", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let rules =
        "allow from anyone to /open when jwt sso absent; allow from anyone to /in/** when jwt sso present";
    let mesh = Mesh::start(&behind(&keys, &upstream, "", "jwt sso optional", rules), &[]);
    let mut client = mesh.connect("edge.default/web");
    let token = bearer(&own.token(&good(&json!({}))));
    let mut status = |path: &str, headers: &[&str]| client.get("a", path, headers).unwrap().0;
    assert_eq!([status("/open", &[]), status("/in/a", &[])], [200, 403]);
    assert_eq!([status("/open", &[&token]), status("/in/a", &[&token])], [403, 200]);
    let expired = bearer(&own.token(&good(&json!({ "exp": now() - 1 }))));
    assert_eq!([status("/open", &[&expired]), status("/in/a", &[&expired])], [401, 401]);
    assert_eq!(status("/open", &["authorization: Basic YTpi"]), 200, "another scheme is no token");
    let head = client.head("a", "/open", &[&expired]).unwrap();
    assert!(head.contains("www-authenticate: bearer realm=\"sso\", error=\"invalid_token\""), "{head}");
    let lines = mesh.log();
    assert!(
        lines.iter().any(|line| line.contains("\"rule\":\"jwt sso: the token has expired\"")),
        "{lines:?}"
    );
    let secret = expired.rsplit('.').next().unwrap();
    assert!(lines.iter().all(|line| !line.contains(secret) && !line.contains("eyJ")), "{lines:?}");
}

#[test]
fn a_token_is_of_its_issuer() {
    let (own, other) = (Signer::new("ES256", "a"), Signer::new("ES256", "b"));
    let (keys, others, upstream) = (KeyFile::of(&[&own]), KeyFile::of(&[&other]), Upstream::named("s"));
    let text = behind(
        &keys,
        &upstream,
        "",
        "jwt sso optional; jwt partner optional",
        "allow from anyone when jwt sso present; allow from anyone to /partner when jwt partner present",
    );
    let partner = format!(
        "jwt partner {{ issuer \"https://partner.test\"; audience \"shop\"; jwks \"{}\" }}\n",
        others.path().display()
    );
    let mesh = Mesh::start(&format!("{partner}{text}"), &[]);
    let of = |signer: &Signer, issuer: &str| bearer(&signer.token(&claims(issuer, "shop", &json!({}))));
    let mut client = mesh.connect("edge.default/web");
    let mut status = |path: &str, header: &str| client.get("a", path, &[header]).unwrap().0;
    assert_eq!(status("/", &of(&own, ISSUER)), 200);
    assert_eq!(status("/partner", &of(&other, "https://partner.test")), 200);
    assert_eq!(status("/", &of(&other, "https://partner.test")), 403);
    // The keys of one sign nothing of the other, and of somebody else nothing at all.
    assert_eq!(status("/", &of(&other, ISSUER)), 401);
    assert_eq!(status("/partner", &of(&own, "https://partner.test")), 401);
    assert_eq!(status("/", &of(&own, "https://sso.test/")), 401);
}

#[test]
fn a_token_is_for_one_of_the_audiences() {
    let own = Signer::new("EdDSA", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let mesh = Mesh::start(&behind(&keys, &upstream, "", REQUIRED, ANYONE), &[]);
    let of = |audience: Value| ask(&mesh, &[&bearer(&own.token(&good(&json!({ "aud": audience }))))]);
    assert_eq!([of(json!("shop")), of(json!("admin")), of(json!(["x", "admin"]))], [200; 3]);
    assert_eq!(
        [of(json!("x")), of(json!("shop ")), of(json!([])), of(json!(null)), of(json!(["shop", 1]))],
        [401; 5]
    );
}

#[test]
fn a_token_is_taken_for_as_long_as_it_says_and_a_clock_may_be_off() {
    let own = Signer::new("EdDSA", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let mesh = |jwt: &str| Mesh::start(&behind(&keys, &upstream, jwt, REQUIRED, ANYONE), &[]);
    let (exact, lenient) = (mesh(""), mesh("clock-skew 60s"));
    let of = |mesh: &Mesh, others: Value| ask(mesh, &[&bearer(&own.token(&good(&others)))]);
    let late = json!({ "exp": now() - 30 });
    let early = json!({ "nbf": now() + 30 });
    assert_eq!([of(&exact, late.clone()), of(&exact, early.clone())], [401, 401]);
    assert_eq!([of(&lenient, late), of(&lenient, early)], [200, 200]);
    assert_eq!(of(&lenient, json!({ "exp": now() - 90 })), 401);
    assert_eq!(of(&lenient, json!({ "exp": null })), 401);
}

#[test]
fn a_token_is_of_the_type_that_is_declared() {
    let own = Signer::new("EdDSA", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let mesh = |jwt: &str| Mesh::start(&behind(&keys, &upstream, jwt, REQUIRED, ANYONE), &[]);
    let (any, access) = (mesh(""), mesh("typ \"at+jwt\""));
    let of = |mesh: &Mesh, typ: &str| ask(mesh, &[&bearer(&own.token_of(typ, &good(&json!({}))))]);
    let both = |typ: &str| (of(&any, typ), of(&access, typ));
    assert_eq!(both("at+jwt"), (200, 200));
    assert_eq!(both("JWT"), (200, 401), "an ID token is none for access");
    assert_eq!(both(""), (200, 401));
    assert_eq!(both("logout+jwt"), (401, 401));
}

#[test]
fn a_token_stands_where_it_is_said_to_and_ends_where_it_is_verified() {
    let own = Signer::new("EdDSA", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let jwt = "from header \"x-token\"; from cookie \"session\"; from query \"t\"";
    let mesh = Mesh::start(&behind(&keys, &upstream, jwt, REQUIRED, ANYONE), &[]);
    let token = own.token(&good(&json!({})));
    let mut client = mesh.connect("edge.default/web");
    assert_eq!(client.get("a", "/", &[&bearer(&token)]).unwrap().0, 401, "it is not looked for there");
    assert_eq!(client.get("a", "/", &[&format!("x-token: {token}")]).unwrap().0, 200);
    assert_eq!(client.get("a", "/", &[&format!("cookie: a=1; session={token}; b=2")]).unwrap().0, 200);
    assert_eq!(client.get("a", &format!("/?a=1&t={token}&b=2"), &[]).unwrap().0, 200);
    let other = own.token(&good(&json!({ "jti": "other" })));
    assert_eq!(client.get("a", &format!("/?t={token}&t={other}"), &[]).unwrap().0, 401, "two are none");
    let heads = upstream.heads();
    assert_eq!(heads.len(), 3);
    assert!(heads.iter().all(|head| !head.contains("eyj")), "{heads:?}");
    assert!(heads[1].contains("\r\ncookie: a=1; b=2\r\n"), "{heads:?}");
    assert!(heads[2].starts_with("get /?a=1&b=2 "), "{heads:?}");
}

#[test]
fn a_token_is_sent_on_where_that_is_said() {
    let own = Signer::new("EdDSA", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let mesh = Mesh::start(&behind(&keys, &upstream, "forward", REQUIRED, ANYONE), &[]);
    let header = bearer(&own.token(&good(&json!({}))));
    assert_eq!(ask(&mesh, &[&header]), 200);
    assert!(upstream.heads()[0].contains(&header.to_lowercase()));
}

#[test]
fn claims_decide_by_what_they_are() {
    let own = Signer::new("EdDSA", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let rules = "allow from anyone to /role when claim \"role\" = \"admin\"\n\
                 allow from anyone to /nested when claim \"realm\" \"roles\" has \"admin\"\n\
                 allow from anyone to /scope when claim \"scope\" has \"write\"\n\
                 allow from anyone to /none when claim \"role\" absent";
    let mesh = Mesh::start(&behind(&keys, &upstream, "list-claims \"scope\"", REQUIRED, rules), &[]);
    let mut client = mesh.connect("edge.default/web");
    let mut of =
        |path: &str, others: Value| client.get("a", path, &[&bearer(&own.token(&good(&others)))]).unwrap().0;
    assert_eq!(of("/role", json!({ "role": "admin" })), 200);
    assert_eq!(of("/role", json!({ "role": ["admin"] })), 403);
    assert_eq!(of("/role", json!({ "role": 1 })), 403);
    assert_eq!(of("/nested", json!({ "realm": { "roles": ["user", "admin"] } })), 200);
    assert_eq!(of("/nested", json!({ "realm.roles": ["admin"] })), 403);
    assert_eq!(of("/nested", json!({ "realm": { "roles": ["admin", 1] } })), 403);
    assert_eq!(of("/none", json!({})), 200);
    assert_eq!(of("/none", json!({ "role": null })), 403);
}

#[test]
fn a_list_in_one_text_is_a_list() {
    let own = Signer::new("EdDSA", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    // Of one text `=` holds, of a list in a grant it does not (3.3).
    let rules = "allow from anyone to /has when claim \"scope\" has \"write\"\n\
                 allow from anyone to /is when claim \"scope\" = \"write\"";
    let mesh = |jwt: &str| Mesh::start(&behind(&keys, &upstream, jwt, REQUIRED, rules), &[]);
    let of = |mesh: &Mesh, path: &str, scope: &str| {
        let header = bearer(&own.token(&good(&json!({ "scope": scope }))));
        mesh.connect("edge.default/web").get("a", path, &[&header]).unwrap().0
    };
    let (list, text) = (mesh("list-claims \"scope\""), mesh(""));
    for mesh in [&list, &text] {
        assert_eq!([of(mesh, "/has", "read write"), of(mesh, "/has", "read writer")], [200, 403]);
    }
    assert_eq!([of(&list, "/is", "write"), of(&text, "/is", "write")], [403, 200]);
}

#[test]
fn keys_are_taken_over_when_their_file_is_replaced_and_stay_when_it_is_broken() {
    let (old, new) = (Signer::new("ES256", "old"), Signer::new("ES256", "new"));
    let (keys, upstream) = (KeyFile::of(&[&old]), Upstream::named("s"));
    let mesh = Mesh::start(&behind(&keys, &upstream, "", REQUIRED, ANYONE), &[]);
    let of = |signer: &Signer| ask(&mesh, &[&bearer(&signer.token(&good(&json!({}))))]);
    assert_eq!([of(&old), of(&new)], [200, 401]);
    keys.write("{\"keys\":[");
    keys.write(&key_set(&[&old, &new]));
    until(|| of(&new) == 200);
    assert_eq!(of(&old), 200);
    keys.write("no keys");
    keys.write(&key_set(&[&new]));
    until(|| of(&old) == 401);
    assert_eq!(of(&new), 200);
}

#[test]
fn without_keys_nobody_is_told_that_a_token_is_bad() {
    let own = Signer::new("ES256", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    keys.write("{}");
    let mesh = Mesh::start(&behind(&keys, &upstream, "", REQUIRED, ANYONE), &[]);
    let token = bearer(&own.token(&good(&json!({}))));
    assert_eq!([ask(&mesh, &[]), ask(&mesh, &[&token])], [401, 503]);
    keys.write(&key_set(&[&own]));
    until(|| ask(&mesh, &[&token]) == 200);
}

#[test]
fn keys_come_over_tls_from_whoever_has_a_good_certificate_and_not_once_for_each_that_is_unknown() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (old, new, upstream) =
        (Signer::new("ES256", "old"), Signer::new("ES256", "new"), Upstream::named("s"));
    let (believed, other) = (KeyFile::of(&[]), KeyFile::of(&[]));
    believed.write(&authority.bundle());
    other.write(&stranger.bundle());
    let server = Secure::start("", &authority.server(&["127.0.0.1"]), None);
    server.say("{\"keys\":[");
    let start = |authorities: &KeyFile| {
        let authorities = Some(authorities.path().to_owned());
        let fetching = Fetching { authorities, say: |_| {} };
        let text = behind(&KeyFile::of(&[]), &upstream, "", REQUIRED, ANYONE);
        Mesh::start_fetching(&text, &format!("https://{}/keys", server.address), fetching)
    };
    let of = |mesh: &Mesh, signer: &Signer| ask(mesh, &[&bearer(&signer.token(&good(&json!({}))))]);
    let cheated = start(&other);
    assert_eq!(of(&cheated, &old), 503, "whoever answers there is somebody else");
    assert!(server.heard().is_empty());
    let mesh = start(&believed);
    assert_eq!(of(&mesh, &old), 503, "half a set of keys is none");
    server.say(&key_set(&[&old]));
    until(|| of(&mesh, &old) == 200);
    let asked = server.heard();
    let head = &asked[0].head;
    assert!(head.starts_with("get /keys http/1.1\r\n") && head.contains("user-agent: mesh-proxy/"), "{head}");
    // The key is there now. Whoever invents names of keys would make the server be asked each time.
    server.say(&key_set(&[&old, &new]));
    assert!((0..50).all(|_| of(&mesh, &new) == 401));
    assert_eq!(server.heard().len(), asked.len());
    assert_eq!(of(&mesh, &old), 200);
}

#[test]
fn a_call_of_grpc_hears_of_its_token_in_its_own_words() {
    let own = Signer::new("ES256", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let rules = "allow from anyone when claim \"role\" = \"admin\"";
    let text = behind(&keys, &upstream, "", REQUIRED, rules).replace("port 80 http", "port 80 grpc");
    let mesh = Mesh::start(&text, &[]);
    let of = |token: &str| call_saying(mesh.address("edge.default/web"), "/a.B/C", ("authorization", token));
    let token = |others: Value| format!("Bearer {}", own.token(&good(&others)));
    const UNAUTHENTICATED: u16 = 16;
    const PERMISSION_DENIED: u16 = 7;
    assert_eq!(of("Basic YTpi"), (200, UNAUTHENTICATED), "there is none");
    assert_eq!(of(&token(json!({ "exp": now() - 1, "role": "admin" }))), (200, UNAUTHENTICATED));
    assert_eq!(of(&format!("{}x", token(json!({ "role": "admin" })))), (200, UNAUTHENTICATED));
    assert_eq!(of(&token(json!({ "role": "user" }))), (200, PERMISSION_DENIED));
    assert!(upstream.heads().is_empty());
}

#[test]
fn a_service_verifies_tokens_itself_and_its_callers_for_it() {
    let own = Signer::new("ES256", "k");
    let (keys, upstream, called_at) = (KeyFile::of(&[&own]), Upstream::named("s"), free_address());
    let text = format!(
        r#"jwt sso {{ issuer "{ISSUER}"; audience "shop"; jwks "{}" }}
gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone }}
route edge {{ rule s {{ match GET /s/**; to s }}; rule open {{ match GET /; respond 204 }}; otherwise 404 }}
service web {{ calls s }}
service s {{ port 80 http; jwt sso required; endpoints static "{called_at}" }}
authorize s {{ allow from gateway edge, web, unauthenticated when claim "role" = "admin" }}
"#,
        keys.path().display()
    );
    let mesh = Mesh::start_as(&text, &["web"], vec![], &[("s", called_at, &upstream.address)]);
    let of = |role: &str| bearer(&own.token(&good(&json!({ "role": role }))));
    let (admin, user, bad) = (of("admin"), of("user"), format!("{}x", of("admin")));
    let mut edge = mesh.connect("edge.default/web");
    let mut at_edge = |headers: &[&str]| edge.get("a", "/s/a", headers).unwrap().0;
    assert_eq!([at_edge(&[]), at_edge(&[&bad]), at_edge(&[&user]), at_edge(&[&admin])], [401, 401, 403, 200]);
    let mut web = mesh.connect("web.default");
    let mut at_web = |headers: &[&str]| web.get("s", "/s/a", headers).unwrap().0;
    assert_eq!([at_web(&[]), at_web(&[&bad]), at_web(&[&user]), at_web(&[&admin])], [401, 401, 403, 200]);
    let mut inside = Client::connect(&called_at.to_string());
    let mut at_s = |headers: &[&str]| inside.get("s", "/s/a", headers).unwrap().0;
    assert_eq!([at_s(&[]), at_s(&[&bad]), at_s(&[&user]), at_s(&[&admin])], [401, 401, 403, 200]);
    // The gateway itself asks for none.
    let mut other = mesh.connect("edge.default/web");
    assert_eq!([other.get("a", "/", &[]).unwrap().0, other.get("a", "/", &[&bad]).unwrap().0], [204, 204]);
    let heads = upstream.heads();
    assert_eq!(heads.len(), 3);
    assert!(
        heads.iter().all(|head| !head.contains("authorization")),
        "its own proxy takes the token off: {heads:?}"
    );
}

#[test]
fn what_is_signed_in_another_way_than_the_key_is_for_is_nothing() {
    let own = Signer::new("ES256", "k");
    let (keys, upstream) = (KeyFile::of(&[&own]), Upstream::named("s"));
    let mesh = Mesh::start(&behind(&keys, &upstream, "", "jwt sso optional", ANYONE), &[]);
    let payload = good(&json!({})).to_string();
    let unsigned = |header: &str, signature: &str| {
        bearer(&format!("{}.{}.{signature}", base64url(header.as_bytes()), base64url(payload.as_bytes())))
    };
    let zeros = base64url(&[0; 64]);
    for header in [
        unsigned("{\"alg\":\"none\"}", ""),
        unsigned("{\"alg\":\"nOnE\",\"kid\":\"k\"}", ""),
        unsigned("{\"alg\":\"HS256\",\"kid\":\"k\"}", &zeros),
        unsigned("{\"alg\":\"ES256\",\"kid\":\"k\"}", &zeros),
        bearer(&own.signed("{\"alg\":\"ES384\",\"kid\":\"k\"}", &payload)),
        bearer(&own.signed("{\"alg\":\"EdDSA\",\"kid\":\"k\"}", &payload)),
        bearer(&own.signed("{\"alg\":\"ES256\",\"kid\":\"k\",\"crit\":[]}", &payload)),
        bearer(&own.signed("{\"alg\":\"ES256\",\"kid\":\"../../dev/null\"}", &payload)),
    ] {
        assert_eq!(ask(&mesh, &[&header]), 401, "{header}");
    }
    let as_it_should = own.signed("{\"alg\":\"ES256\",\"jku\":\"https://evil.test\"}", &payload);
    assert_eq!(ask(&mesh, &[&bearer(&as_it_should)]), 200, "of one key its name need not be said");
}

/// Waits until something is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "it takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}
