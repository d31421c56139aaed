//! Where a token stands in a request: finding it there, and taking it off.

use super::token::Invalid;
use hyper::Uri;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use mesh_engine::{cookie_value, query_value};
use mesh_plan::{TokenPlace, TokenPlaceKind};

/// What stands in the places of an issuer: one token, or none. Whoever finds two takes one of them, and others take the other.
pub(crate) fn find(places: &[TokenPlace], parts: &Parts) -> Result<Option<Vec<u8>>, Invalid> {
    let mut found: Option<Vec<u8>> = None;
    for place in places {
        for token in at(place, parts)? {
            match &found {
                Some(before) if *before != token => return Err(Invalid("there are several tokens")),
                Some(_) => {}
                None => found = Some(token),
            }
        }
    }
    Ok(found)
}

fn at(place: &TokenPlace, parts: &Parts) -> Result<Vec<Vec<u8>>, Invalid> {
    let name = place.name.as_bytes();
    match place.kind {
        TokenPlaceKind::Bearer => {
            let lines = parts.headers.get_all(header::AUTHORIZATION).iter();
            lines.filter_map(|line| bearer(line.as_bytes())).collect()
        }
        TokenPlaceKind::Header => {
            let lines = parts.headers.get_all(&place.name).iter();
            Ok(lines.map(|line| line.as_bytes().trim_ascii().to_vec()).collect())
        }
        TokenPlaceKind::Cookie => {
            let lines = parts.headers.get_all(header::COOKIE).iter();
            let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
            Ok(pairs.filter_map(|pair| cookie_value(pair, name)).map(<[u8]>::to_vec).collect())
        }
        TokenPlaceKind::Query => {
            let pairs = parts.uri.query().unwrap_or_default().as_bytes().split(|byte| *byte == b'&');
            Ok(pairs.filter_map(|pair| Some(query_value(pair, name)?.collect())).collect())
        }
    }
}

/// The credentials of `authorization: Bearer` (RFC 6750 2.1); `None` where the scheme is another one (RFC 9110 11.1).
fn bearer(line: &[u8]) -> Option<Result<Vec<u8>, Invalid>> {
    let (scheme, rest) = line.split_at_checked(BEARER.len())?;
    if !scheme.eq_ignore_ascii_case(BEARER) {
        return None;
    }
    match rest.split_first() {
        // The scheme has a longer name.
        Some((first, _)) if is_of_a_word(*first) => None,
        Some((b' ', token)) if !token.is_empty() && token.iter().all(|byte| is_of_a_token(*byte)) => {
            Some(Ok(token.to_vec()))
        }
        _ => Some(Err(Invalid("the authorization header does not hold one token"))),
    }
}

const BEARER: &[u8] = b"bearer";

/// What a name consists of (RFC 9110 5.6.2, `tchar`).
fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What credentials consist of (RFC 6750 2.1, `b64token`).
fn is_of_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// Takes what stands in a place off a request.
pub(crate) fn take_off(place: &TokenPlace, parts: &mut Parts) {
    let name = place.name.as_bytes();
    match place.kind {
        TokenPlaceKind::Bearer => {
            let is_bearer = |line: &HeaderValue| bearer(line.as_bytes()).is_some();
            if parts.headers.get(header::AUTHORIZATION).is_some_and(is_bearer) {
                parts.headers.remove(header::AUTHORIZATION);
            }
        }
        TokenPlaceKind::Header => {
            if let Ok(name) = HeaderName::from_bytes(name) {
                parts.headers.remove(name);
            }
        }
        TokenPlaceKind::Cookie => without_cookie(&mut parts.headers, name),
        TokenPlaceKind::Query => without_query(parts, name),
    }
}

/// The other cookies stay as they are.
fn without_cookie(headers: &mut HeaderMap, name: &[u8]) {
    let is_own = |pair: &&[u8]| cookie_value(pair, name).is_some();
    let lines: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
    if !lines.iter().any(|line| line.as_bytes().split(|byte| *byte == b';').any(|pair| is_own(&pair))) {
        return;
    }
    headers.remove(header::COOKIE);
    for line in lines {
        let pairs = line.as_bytes().split(|byte| *byte == b';').filter(|pair| !is_own(pair));
        let left = pairs.collect::<Vec<_>>().join(&b';');
        // A part of a header's value is one too.
        if let (false, Ok(left)) = (left.trim_ascii().is_empty(), HeaderValue::from_bytes(left.trim_ascii()))
        {
            headers.append(header::COOKIE, left);
        }
    }
}

/// The other pairs stay as they are.
fn without_query(parts: &mut Parts, name: &[u8]) {
    let Some(query) = parts.uri.query() else { return };
    let is_own = |pair: &&str| query_value(pair.as_bytes(), name).is_some();
    if !query.split('&').any(|pair| is_own(&pair)) {
        return;
    }
    let left: Vec<&str> = query.split('&').filter(|pair| !is_own(pair)).collect();
    let path = parts.uri.path();
    let whole = if left.is_empty() { path.to_owned() } else { format!("{path}?{}", left.join("&")) };
    // A part of a query is one too.
    if let Ok(uri) = Uri::try_from(whole) {
        parts.uri = uri;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::get(target), |request, (name, line)| request.header(*name, *line));
        request.body(()).unwrap().into_parts().0
    }

    fn place(kind: TokenPlaceKind, name: &str) -> TokenPlace {
        TokenPlace { kind, name: name.to_owned() }
    }

    fn everywhere() -> Vec<TokenPlace> {
        vec![
            place(TokenPlaceKind::Bearer, ""),
            place(TokenPlaceKind::Header, "x-t"),
            place(TokenPlaceKind::Cookie, "t"),
            place(TokenPlaceKind::Query, "t"),
        ]
    }

    fn found(parts: &Parts) -> Result<Option<String>, ()> {
        let found = find(&everywhere(), parts).map_err(|_| ())?;
        Ok(found.map(|token| String::from_utf8(token).unwrap()))
    }

    #[test]
    fn credentials_are_one_scheme_one_space_and_one_token() {
        let bearer = |line: &str| found(&parts("/", &[("authorization", line)]));
        for line in ["Bearer a.b", "bearer a.b", "BEARER a.b"] {
            assert_eq!(bearer(line), Ok(Some("a.b".to_owned())), "{line}");
        }
        for line in ["Basic a.b", "Bearers a.b", "Bearer-x a.b", "Bear", "DPoP a.b"] {
            assert_eq!(bearer(line), Ok(None), "{line}");
        }
        for line in [
            "Bearer",
            "Bearer  a.b",
            "Bearer\ta.b",
            "Bearer a.b, c",
            "Bearer a.b c",
            "Bearer,a.b",
            "Bearer \"a\"",
        ] {
            assert_eq!(bearer(line), Err(()), "{line}");
        }
    }

    #[test]
    fn a_token_is_found_wherever_it_may_stand_and_two_are_none() {
        for request in [
            parts("/", &[("x-t", "a")]),
            parts("/", &[("cookie", "s=b; t=a"), ("cookie", "u=c")]),
            parts("/?s=b&%74=%61", &[]),
            parts("/?t=a&t=a", &[("x-t", "a"), ("authorization", "Bearer a")]),
        ] {
            assert_eq!(found(&request), Ok(Some("a".to_owned())));
        }
        assert_eq!(found(&parts("/?s=t", &[("cookie", "t")])), Ok(None));
        for request in [
            parts("/?t=a&t=b", &[]),
            parts("/", &[("x-t", "a"), ("x-t", "b")]),
            parts("/", &[("cookie", "t=a; t=b")]),
            parts("/?t=a", &[("authorization", "Bearer b")]),
            parts("/?t", &[("cookie", "t=a")]),
        ] {
            assert_eq!(found(&request), Err(()));
        }
    }

    #[test]
    fn what_is_taken_off_is_gone_and_the_rest_is_as_it_was() {
        let mut own = parts(
            "/p?a=1&t=x&&%74=y&b=%32",
            &[
                ("authorization", "Bearer x"),
                ("x-t", "x"),
                ("cookie", "s=1; t=x;u=2"),
                ("cookie", " t=y "),
                ("other", "1"),
            ],
        );
        everywhere().iter().for_each(|place| take_off(place, &mut own));
        assert_eq!(own.uri, "/p?a=1&&b=%32");
        let left: Vec<_> =
            own.headers.iter().map(|(name, line)| (name.as_str(), line.to_str().unwrap())).collect();
        assert_eq!(left, [("other", "1"), ("cookie", "s=1;u=2")]);
        let mut other = parts("/p?t=x", &[("authorization", "Basic x")]);
        everywhere().iter().for_each(|place| take_off(place, &mut other));
        assert_eq!(other.uri, "/p");
        assert!(other.headers.contains_key("authorization"));
    }
}
