//! What a verified token claims, as a decision asks for it (`spec/semantics.md` 1.7): by the place of a claim, a text, a list of texts, or
//! something else.

use super::json::Json;
use mesh_engine::request::{Claim, ClaimValue, Token};

/// All claims of a token, each by its JSON pointer (RFC 6901).
#[derive(Debug, PartialEq, Eq)]
pub struct Claims(Vec<(String, Value)>);

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    List(Vec<String>),
    Other,
}

impl Claims {
    /// The claims of a payload, of which some are lists in one text.
    pub(crate) fn of(payload: &Json, list_claims: &[String]) -> Claims {
        let mut all = Vec::new();
        inside(payload, "", &mut all);
        for name in list_claims {
            let pointer = pointer("", name);
            let own = all.iter_mut().find(|(own, _)| *own == pointer);
            if let Some((_, value)) = own
                && let Value::Text(text) = value
            {
                *value = Value::List(
                    text.split(' ').filter(|piece| !piece.is_empty()).map(str::to_owned).collect(),
                );
            }
        }
        Claims(all)
    }
}

/// What stands below a place.
fn inside(value: &Json, at: &str, all: &mut Vec<(String, Value)>) {
    let Json::Object(pairs) = value else { return };
    for (key, value) in pairs {
        let pointer = pointer(at, key);
        let own = match value {
            Json::Text(text) => Value::Text(text.clone()),
            Json::List(items) => {
                let texts: Option<Vec<String>> =
                    items.iter().map(|item| item.text().map(str::to_owned)).collect();
                texts.map_or(Value::Other, Value::List)
            }
            _ => Value::Other,
        };
        inside(value, &pointer, all);
        all.push((pointer, own));
    }
}

fn pointer(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Verified tokens, each with the name of whose it is.
pub(crate) type Verified = [(String, Claims)];

/// The lists of all tokens, borrowed: the first of three steps to what the engine asks, each of which borrows from the one before.
pub(crate) fn lists(verified: &Verified) -> Vec<Vec<Vec<&str>>> {
    verified.iter().map(|(_, claims)| claims.0.iter().map(|(_, value)| value.items()).collect()).collect()
}

impl Value {
    fn items(&self) -> Vec<&str> {
        match self {
            Value::List(items) => items.iter().map(String::as_str).collect(),
            Value::Text(_) | Value::Other => vec![],
        }
    }
}

/// The claims of all tokens.
pub(crate) fn values<'v>(verified: &'v Verified, lists: &'v [Vec<Vec<&'v str>>]) -> Vec<Vec<Claim<'v>>> {
    let claim = |((pointer, value), list): (&'v (String, Value), &'v Vec<&'v str>)| Claim {
        pointer,
        value: match value {
            Value::Text(text) => ClaimValue::Text(text),
            Value::List(_) => ClaimValue::List(list),
            Value::Other => ClaimValue::Other,
        },
    };
    let of_token = |((_, claims), lists): (&'v (String, Claims), &'v Vec<Vec<&'v str>>)| {
        claims.0.iter().zip(lists).map(claim).collect()
    };
    verified.iter().zip(lists).map(of_token).collect()
}

/// The tokens.
pub(crate) fn tokens<'v>(verified: &'v Verified, values: &'v [Vec<Claim<'v>>]) -> Vec<Token<'v>> {
    verified.iter().zip(values).map(|((issuer, _), claims)| Token { issuer, claims }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::json;

    /// What an engine sees of this payload, in words.
    fn seen(payload: &str, list_claims: &[&str]) -> Vec<String> {
        let payload = json::read(payload.as_bytes(), 100).unwrap();
        let list_claims: Vec<String> = list_claims.iter().map(|name| (*name).to_owned()).collect();
        let verified = [("sso".to_owned(), Claims::of(&payload, &list_claims))];
        let lists = lists(&verified);
        let values = values(&verified, &lists);
        let tokens = tokens(&verified, &values);
        let [Token { issuer: "sso", claims }] = tokens.as_slice() else { panic!("{tokens:?}") };
        let mut seen: Vec<String> =
            claims.iter().map(|claim| format!("{} {:?}", claim.pointer, claim.value)).collect();
        seen.sort();
        seen
    }

    #[test]
    fn a_claim_is_a_text_a_list_of_texts_or_something_else() {
        assert_eq!(
            seen("{\"a\":\"x\",\"b\":[\"y\"],\"c\":[],\"d\":[1],\"e\":1,\"f\":null,\"g\":true}", &[]),
            [
                "/a Text(\"x\")",
                "/b List([\"y\"])",
                "/c List([])",
                "/d Other",
                "/e Other",
                "/f Other",
                "/g Other"
            ]
        );
    }

    #[test]
    fn claims_inside_others_have_their_path() {
        assert_eq!(
            seen("{\"r\":{\"a/b\":{\"c~d\":\"x\"},\"e.f\":[\"y\"]}}", &[]),
            ["/r Other", "/r/a~1b Other", "/r/a~1b/c~0d Text(\"x\")", "/r/e.f List([\"y\"])"]
        );
    }

    #[test]
    fn a_list_in_one_text_has_the_pieces_between_spaces() {
        let payload = "{\"scope\":\"a  b \",\"in\":{\"scope\":\"c d\"},\"other\":1}";
        assert_eq!(
            seen(payload, &["scope", "other", "none"]),
            ["/in Other", "/in/scope Text(\"c d\")", "/other Other", "/scope List([\"a\", \"b\"])"]
        );
    }
}
