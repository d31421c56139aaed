//! A token (RFC 7519) in its compact form (RFC 7515 7.1), from bytes to what it claims, as RFC 8725 says.

use super::base64url;
use super::claims::Claims;
use super::json::{self, Json};
use super::keys::{Algorithm, KeySet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A token of a person in a hundred groups has some eight kilobytes; each is read before anybody is known.
pub(crate) const MAX_TOKEN_BYTES: usize = 16 << 10;
/// Values in a token: what is kept of one is no more than a few times its text.
const MAX_VALUES: usize = 1_024;
/// Dates beyond the year 9999 are mistakes, and so are those that need an exponent.
const MAX_SECONDS: u64 = 253_402_300_799;

/// Why a token is not valid, as a clause for logs: nothing of the token is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

/// What a token has to be.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Its `iss`.
    pub issuer: String,
    /// One of them is in its `aud`.
    pub audiences: Vec<String>,
    /// How far the issuer's clock may be off.
    pub skew: Duration,
    /// Claims that are lists in one text.
    pub list_claims: Vec<String>,
    /// Its `typ`, in lower case and without `application/`. Empty: it may have none, and be a JWT or an access token (RFC 9068).
    pub typ: String,
}

/// A token that is well formed; nobody has looked at its signature.
pub struct Unverified<'t> {
    algorithm: Algorithm,
    key: Option<String>,
    /// In lower case, without `application/`.
    typ: Option<String>,
    payload: Json,
    /// Header and payload as they came.
    signed: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Unverified<'t> {
    /// Reads a token's three parts.
    pub fn read(token: &'t [u8]) -> Result<Unverified<'t>, Invalid> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Invalid("the token is too long"));
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Invalid("the token does not have three parts"));
        };
        let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let decode = |part: &[u8]| base64url::decode(part).ok_or(Invalid("the token is no base64url"));
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let object = |bytes: &[u8]| match json::read(bytes, MAX_VALUES) {
            Ok(object @ Json::Object(_)) => Ok(object),
            _ => Err(Invalid("a part of the token is no JSON object, or too much of one")),
        };
        let header = object(&header)?;
        let (algorithm, key) = header_of(&header)?;
        let typ = typ_of(&header)?;
        Ok(Unverified { algorithm, key, typ, payload: object(&payload)?, signed, signature })
    }

    /// The key that it names.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Who it says that it is of.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.payload.get("iss")?.text()
    }

    /// Whether it is signed by one of the issuer's keys, for us, and in time.
    pub fn verify(&self, keys: &KeySet, rules: &Rules, now: SystemTime) -> Result<Claims, Invalid> {
        if !keys.verifies(self.key(), self.algorithm, self.signed, &self.signature) {
            let why = match keys.knows(self.key()) {
                true => "the signature is not of the token's key",
                false => "the token's key is none of the issuer's",
            };
            return Err(Invalid(why));
        }
        // What says that it is something else is not taken for what is asked for (RFC 8725 3.11).
        let is_ours = match (self.typ.as_deref(), rules.typ.as_str()) {
            (typ, "") => typ.is_none_or(|typ| USUAL_TYPES.contains(&typ)),
            (typ, wanted) => typ == Some(wanted),
        };
        if !is_ours {
            return Err(Invalid("the token is of another type"));
        }
        if self.issuer() != Some(rules.issuer.as_str()) {
            return Err(Invalid("the token is of another issuer"));
        }
        let is_ours = |text: &str| rules.audiences.iter().any(|own| own == text);
        let audience = match self.payload.get("aud") {
            Some(Json::Text(one)) => is_ours(one),
            Some(Json::List(several)) => {
                several.iter().all(|one| one.text().is_some())
                    && several.iter().filter_map(Json::text).any(is_ours)
            }
            _ => false,
        };
        if !audience {
            return Err(Invalid("the token is for another audience"));
        }
        let now = now.duration_since(UNIX_EPOCH).map_err(|_| Invalid("the clock is not set"))?;
        let ends = date(self.payload.get("exp").ok_or(Invalid("the token never expires"))?, Round::Down)?;
        if now >= ends.saturating_add(rules.skew) {
            return Err(Invalid("the token has expired"));
        }
        if let Some(begins) = self.payload.get("nbf")
            && now.saturating_add(rules.skew) < date(begins, Round::Up)?
        {
            return Err(Invalid("the token is not valid yet"));
        }
        Ok(Claims::of(&self.payload, &rules.list_claims))
    }
}

/// How a token is signed, and by which key. Where else a key could be is not looked at (RFC 8725 3.10).
fn header_of(header: &Json) -> Result<(Algorithm, Option<String>), Invalid> {
    if ["crit", "b64"].iter().any(|extension| header.get(extension).is_some()) {
        return Err(Invalid("the token asks for an extension"));
    }
    let algorithm = header.get("alg").and_then(Json::text).and_then(Algorithm::of);
    let algorithm = algorithm.ok_or(Invalid("the token is not signed in a known way"))?;
    let key = match header.get("kid") {
        None => None,
        Some(Json::Text(key)) => Some(key.clone()),
        Some(_) => return Err(Invalid("the name of the token's key is no text")),
    };
    Ok((algorithm, key))
}

/// The media types of tokens that are taken where none is asked for, as [`typ_of`] has them.
const USUAL_TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// What a token says it is, in lower case; the beginning of it may be left away (RFC 7515 4.1.9).
fn typ_of(header: &Json) -> Result<Option<String>, Invalid> {
    match header.get("typ") {
        None => Ok(None),
        Some(Json::Text(typ)) => {
            let typ = typ.to_ascii_lowercase();
            Ok(Some(typ.strip_prefix("application/").unwrap_or(&typ).to_owned()))
        }
        Some(_) => Err(Invalid("the token is of another type")),
    }
}

/// Which way a part of a millisecond goes: a token is never valid for longer than it says.
#[derive(Clone, Copy, PartialEq)]
enum Round {
    Down,
    Up,
}

/// A date as it is written, exactly (RFC 7519 2, NumericDate).
fn date(value: &Json, round: Round) -> Result<Duration, Invalid> {
    let wrong = Invalid("a date in the token is no number of seconds");
    let Json::Number(written) = value else { return Err(wrong) };
    let (whole, part) = written.split_once('.').unwrap_or((written, ""));
    // No sign and no exponent is left by this.
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(part) {
        return Err(wrong);
    }
    let seconds = whole.parse::<u64>().ok().filter(|seconds| *seconds <= MAX_SECONDS).ok_or(wrong)?;
    let millis = part.bytes().chain(std::iter::repeat(b'0')).take(3);
    let millis = millis.fold(0, |millis, digit| millis * 10 + u64::from(digit - b'0'));
    let is_more = part.bytes().skip(3).any(|digit| digit != b'0');
    let up = u64::from(round == Round::Up && is_more);
    Ok(Duration::from_secs(seconds) + Duration::from_millis(millis + up))
}

#[cfg(test)]
mod tests;
