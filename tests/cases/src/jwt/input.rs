//! What is said of tokens, made into tokens.

use mesh_tests::tokens::{Signer, base64url, now, shared};
use serde_json::{Value, json};

/// Providers A and B of expectations, and for whom their tokens are.
pub(super) const FIRST: &str = "https://a.issuer.test";
pub(super) const SECOND: &str = "https://b.issuer.test";
pub(super) const AUDIENCE: &str = "a.test";

/// A head may have so many bytes (`spec/security.md`).
const MOST_OF_A_HEAD: usize = 64 << 10;

/// What a request shows.
pub(super) struct Variant {
    pub(super) about: String,
    /// The value of its `authorization`.
    pub(super) authorization: Vec<u8>,
}

impl Variant {
    fn of(about: &str, token: &str) -> Variant {
        Variant { about: about.to_owned(), authorization: format!("Bearer {token}").into_bytes() }
    }

    /// How a request is refused before anybody looks for a token in it: it is longer than any may be, or its line is broken.
    pub(super) fn before(&self) -> Option<u16> {
        if self.authorization.contains(&b'\n') {
            return Some(400);
        }
        (self.authorization.len() > MOST_OF_A_HEAD).then_some(431)
    }

    /// A piece of the token that stands nowhere else: the beginning of its payload.
    pub(super) fn secret(&self) -> &str {
        let text = std::str::from_utf8(&self.authorization).unwrap_or_default();
        let payload = text.split('.').nth(1).unwrap_or(text);
        payload.get(..40).unwrap_or(payload)
    }
}

/// Who signs tokens.
pub(super) struct Issuers {
    pub(super) first: Signer,
    pub(super) second: Signer,
    /// Whom nobody knows.
    stranger: Signer,
    /// Of good tokens.
    typ: String,
}

/// The type that tokens have to have, where a case says so, and what else it says: `typ "at+jwt" required, ID token given`.
pub(super) fn asked_for(input: &str) -> (Option<&str>, &str) {
    let typed = input.strip_prefix("typ \"").and_then(|rest| rest.split_once("\" required, "));
    typed.map_or((None, input), |(typ, said)| (Some(typ), said))
}

impl Issuers {
    pub(super) fn new(typ: Option<&str>) -> Issuers {
        Issuers {
            first: Signer::new("ES256", "a-1"),
            second: Signer::new("ES256", "b-1"),
            stranger: Signer::new("ES256", "x-1"),
            typ: typ.unwrap_or("JWT").to_owned(),
        }
    }

    /// A good token of the first.
    pub(super) fn good(&self) -> Variant {
        Variant::of("good", &self.first.token_of(&self.typ, &claims()))
    }

    /// The tokens of an input, in which ` ; ` stands between them.
    pub(super) fn variants(&self, input: &str) -> Result<Vec<Variant>, String> {
        let mut all = Vec::new();
        for part in input.split(" ; ") {
            all.extend(self.read(part.trim()).ok_or_else(|| format!("not understood: `{part}`"))?);
        }
        Ok(all)
    }

    fn read(&self, text: &str) -> Option<Vec<Variant>> {
        // A remark at the end says why.
        let plain =
            text.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")).map_or(text, |(said, _)| said);
        let of = |token: String| Some(vec![Variant::of(text, &token)]);
        if plain == "ID token given" {
            return of(self.first.token_of("JWT", &claims()));
        }
        if plain.starts_with('{') {
            return self.headed(plain).and_then(of);
        }
        if plain.starts_with('"') && plain.to_ascii_lowercase().starts_with("\"bearer") {
            return Some(vec![self.shown(plain)?]);
        }
        if plain.to_ascii_lowercase().contains("hmac") || plain.contains("HS256") {
            return Some(self.confused(text));
        }
        if let Some((algorithm, rest)) = plain.split_once(" with r=0") {
            let header = json!({ "alg": algorithm, "kid": "a-1" }).to_string();
            return rest.trim_start_matches([',', ' ']).starts_with("s=0").then_some(()).and_then(|()| {
                of(format!("{}.{}", unsigned(&header, &claims().to_string()), base64url(&[0; 64])))
            });
        }
        let (first, rest) = plain.split_once(' ')?;
        match first {
            "kid" => {
                let kid = sized(rest).map(Value::from).or_else(|| serde_json::from_str(rest).ok())?;
                of(self
                    .first
                    .signed(&json!({ "alg": "ES256", "kid": kid }).to_string(), &claims().to_string()))
            }
            "header" => {
                let names = rest.strip_suffix(" present")?.split([' ', '/']).filter(|name| !name.is_empty());
                Some(names.map(|name| Variant::of(name, &self.carrying_a_key(name))).collect())
            }
            "duplicate" => {
                let names = rest.split('"').skip(1).step_by(2);
                let twice = |name: &str| {
                    let rest = claims().to_string();
                    let payload = format!(
                        "{{\"{name}\":\"admin\",{},\"{name}\":\"user\"}}",
                        rest.trim_matches(['{', '}'])
                    );
                    Variant::of(name, &self.first.signed(&header(), &payload))
                };
                Some(names.map(twice).collect()).filter(|all: &Vec<_>| !all.is_empty())
            }
            "padding" => {
                let more = rest.split('"').skip(1).step_by(2);
                let padded = |more: &str| {
                    let text = format!("{}{more}", unsigned(&header(), &claims().to_string()));
                    Variant::of(more, &self.first.over(&text))
                };
                Some(more.map(padded).collect()).filter(|all: &Vec<_>| !all.is_empty())
            }
            "trailing" if rest == "newline" => of(format!("{}\n", self.first.token(&claims()))),
            "payload" => {
                let depth = power(rest.strip_prefix("JSON nested ")?.strip_suffix(" deep")?)?;
                let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
                of(self.first.signed(&header(), &with("x", &nested)))
            }
            _ if plain.ends_with("segments") => {
                let counts: Vec<usize> = plain.split(' ').filter_map(|word| word.parse().ok()).collect();
                let token = self.first.token(&claims());
                let cut = |count: usize| {
                    let parts = token.split('.').chain(std::iter::repeat("eA"));
                    Variant::of(text, &parts.take(count).collect::<Vec<_>>().join("."))
                };
                Some(counts.into_iter().map(cut).collect()).filter(|all: &Vec<_>| !all.is_empty())
            }
            _ => match sized(plain) {
                Some(long) => of(self.first.signed(&header(), &with("x", &json!(long).to_string()))),
                None => self.claiming(first, rest).and_then(of),
            },
        }
    }

    /// A token with this header, and without a signature where it asks for none.
    fn headed(&self, text: &str) -> Option<String> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let mut header = values.next()?.ok()?;
        let rest = text.get(values.byte_offset()..)?.to_ascii_lowercase();
        let object = header.as_object_mut()?;
        object.entry("kid").or_insert_with(|| json!("a-1"));
        let is_none =
            object.get("alg").and_then(Value::as_str).is_some_and(|own| own.eq_ignore_ascii_case("none"));
        let (header, payload) = (header.to_string(), claims().to_string());
        match is_none || rest.contains("empty signature") {
            true => Some(format!("{}.", unsigned(&header, &payload))),
            false if rest.trim().is_empty() => Some(self.first.signed(&header, &payload)),
            false => None,
        }
    }

    /// A value of the header field, in which `x` and `y` stand for good tokens.
    fn shown(&self, quoted: &str) -> Option<Variant> {
        let value = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let (scheme, rest) = value.split_at_checked("bearer".len())?;
        let rest: String = rest
            .chars()
            .map(|character| match character {
                'x' | 'y' => self.first.token(&claims()),
                other => other.to_string(),
            })
            .collect();
        Some(Variant { about: quoted.to_owned(), authorization: format!("{scheme}{rest}").into_bytes() })
    }

    /// Tokens whose secret is what everybody knows: a key of one type taken for one of another.
    fn confused(&self, about: &str) -> Vec<Variant> {
        let public = self.first.public();
        let secrets =
            [public.to_string(), public["x"].as_str().unwrap_or_default().to_owned(), String::new()];
        let header = json!({ "alg": "HS256", "kid": "a-1" }).to_string();
        secrets
            .iter()
            .map(|secret| Variant::of(about, &shared(&header, &claims().to_string(), secret)))
            .collect()
    }

    /// A token that brings its own key, by which it is signed.
    fn carrying_a_key(&self, name: &str) -> String {
        let key = match name {
            "jwk" => self.stranger.public(),
            "x5c" => json!(["MIIBCgKCAQEA"]),
            _ => json!("https://evil.test/keys"),
        };
        let mut header = json!({ "alg": "ES256", "kid": "x-1" });
        header[name] = key;
        self.stranger.signed(&header.to_string(), &claims().to_string())
    }

    /// A token with another claim: `missing`, in the `past` or `future`, of another provider, or as JSON.
    fn claiming(&self, name: &str, rest: &str) -> Option<String> {
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let words: Vec<&str> = rest.split(' ').filter(|word| *word != "the").collect();
        let value = match words.as_slice() {
            ["missing" | "absent"] => None,
            ["in", "future"] => Some((now() + 3_600).to_string()),
            ["in", "past"] | ["expired"] => Some((now() - 3_600).to_string()),
            ["of", "provider", "B", "signed", "by", "key", "of", "provider", "A"] => {
                Some(json!(SECOND).to_string())
            }
            _ => {
                // A number that no double holds is JSON too.
                let is_number = rest.starts_with(|first: char| first.is_ascii_digit() || first == '-');
                let is_json = serde_json::from_str::<Value>(rest).is_ok() || is_number && !rest.contains(' ');
                Some(rest.to_owned()).filter(|_| is_json)
            }
        };
        let is_known = value.is_some() || matches!(words.as_slice(), ["missing" | "absent"]);
        if !is_name || !is_known {
            return None;
        }
        let mut others = claims();
        others.as_object_mut()?.remove(name);
        let payload = match value {
            None => others.to_string(),
            Some(value) => written(&others, name, &value),
        };
        Some(self.first.signed(&header(), &payload))
    }
}

fn header() -> String {
    json!({ "alg": "ES256", "kid": "a-1", "typ": "JWT" }).to_string()
}

fn claims() -> Value {
    mesh_tests::tokens::claims(FIRST, AUDIENCE, &json!({ "sub": "somebody", "role": "user" }))
}

/// The claims, and one more as it is written.
fn with(name: &str, value: &str) -> String {
    written(&claims(), name, value)
}

fn written(claims: &Value, name: &str, value: &str) -> String {
    format!("{{\"{name}\":{value},{}}}", claims.to_string().trim_matches(['{', '}']))
}

/// Header and payload, before anybody has signed them.
fn unsigned(header: &str, payload: &str) -> String {
    format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()))
}

/// `1 MiB`, `64 KiB`: a text of that size.
fn sized(text: &str) -> Option<String> {
    let (count, unit) = text.split_once(' ')?;
    let unit = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    Some("x".repeat(count.parse::<usize>().ok()?.checked_mul(unit)?))
}

/// `10^5`, or a number.
fn power(text: &str) -> Option<usize> {
    match text.split_once('^') {
        Some((base, exponent)) => base.parse::<usize>().ok()?.checked_pow(exponent.parse().ok()?),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Issuers, asked_for};

    #[test]
    fn what_is_said_of_tokens_is_understood_or_not_played() {
        let issuers = Issuers::new(None);
        let count = |input: &str| issuers.variants(input).map(|all| all.len()).ok();
        assert_eq!(count("{\"alg\":\"none\"} with empty signature"), Some(1));
        assert_eq!(count("kid \"../../dev/null\" ; kid 1 KiB"), Some(2));
        assert_eq!(count("header jwk / jku present"), Some(2));
        assert_eq!(count("exp missing ; exp 1e308 ; exp \"2030\" ; exp -1 ; nbf in future"), Some(5));
        assert_eq!(count("aud missing ; aud [\"other\"] ; aud \"a.test \" (space)"), Some(3));
        assert_eq!(count("iss of provider B signed by key of provider A"), Some(1));
        assert_eq!(count("duplicate \"sub\" or \"role\" claims in payload"), Some(2));
        assert_eq!(count("\"bearer x\" ; \"Bearer x, y\""), Some(2));
        assert_eq!(
            count("padding \"=\", \"+\" or \"/\" in segments ; trailing newline ; 4 or 5 segments (JWE)"),
            Some(6)
        );
        assert_eq!(count("payload JSON nested 10^2 deep ; 1 KiB"), Some(2));
        assert_eq!(count("ES256 with r=0,s=0"), Some(1));
        assert_eq!(count("HS256 with the public key as HMAC secret"), Some(3));
        assert_eq!(count("ID token given"), Some(1));
        let typed = "typ \"at+jwt\" required, ID token given";
        assert_eq!(asked_for(typed), (Some("at+jwt"), "ID token given"));
        assert_eq!(asked_for("exp missing"), (None, "exp missing"));
        for unknown in [typed, "a token of cheese", "exp soon"] {
            assert_eq!(count(unknown), None, "{unknown}");
        }
        let long = issuers.variants("exp 1e308").unwrap();
        assert!(long[0].secret().len() == 40);
    }
}
