//! How a service or gateway verifies tokens, as its plan says it: what is absent is written out (`spec/semantics.md` 10.8).

use super::scope::{Place, Scope};
use super::shared::Named;
use mesh_lang::Name;
use mesh_lang::ast::{self, TokenSource};
use mesh_plan::{TokenPlace, TokenPlaceKind, Verifier};

/// The header that has a scheme in front of what it carries (RFC 9110 11.6.2).
const AUTHORIZATION: &str = "authorization";

/// Sorted by name. Of what is declared in part, or twice, it is told elsewhere: see [`super::declarations`].
pub(super) fn of(uses: &[ast::JwtUse], place: Place<'_>, scope: &Scope) -> Vec<Verifier> {
    let found = uses.iter().filter_map(|one| match scope.shared.get(&one.name.value, place) {
        Some((Named::Jwt(jwt), _)) => verifier(one, jwt),
        _ => None,
    });
    let mut found: Vec<Verifier> = found.collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found.dedup_by(|one, other| one.name == other.name);
    found
}

fn verifier(one: &ast::JwtUse, jwt: &ast::Jwt) -> Option<Verifier> {
    let mut places: Vec<TokenPlace> = jwt.from.iter().map(token_place).collect();
    if places.is_empty() {
        places.push(bearer());
    }
    places.sort();
    places.dedup();
    Some(Verifier {
        name: one.name.value.to_string(),
        issuer: jwt.issuer.as_ref()?.value.to_string(),
        audiences: sorted(&jwt.audiences),
        jwks: jwt.jwks.as_ref()?.value.to_string(),
        places,
        list_claims: sorted(&jwt.list_claims),
        clock_skew: jwt.clock_skew.map_or(0, |skew| skew.value),
        typ: jwt.typ.as_ref().map(|typ| media_type(&typ.value)).unwrap_or_default(),
        required: one.required,
        forward: jwt.forward.is_some(),
    })
}

/// Capitals mean nothing in it, and what all have in front may be left away (RFC 7515 4.1.9).
pub(super) fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
}

fn token_place(source: &TokenSource) -> TokenPlace {
    let (kind, name) = match source {
        TokenSource::Header(name) if name.value == AUTHORIZATION => return bearer(),
        TokenSource::Header(name) => (TokenPlaceKind::Header, name),
        TokenSource::Cookie(name) => (TokenPlaceKind::Cookie, name),
        TokenSource::Query(name) => (TokenPlaceKind::Query, name),
    };
    TokenPlace { kind, name: name.value.to_string() }
}

fn bearer() -> TokenPlace {
    TokenPlace { kind: TokenPlaceKind::Bearer, name: String::new() }
}

fn sorted(names: &[Name]) -> Vec<String> {
    let mut texts: Vec<String> = names.iter().map(|name| name.value.to_string()).collect();
    texts.sort();
    texts.dedup();
    texts
}
