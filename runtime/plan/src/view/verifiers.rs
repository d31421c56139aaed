//! Whose tokens are verified, and how.

use super::rows::{Record, Row, Rows};
use crate::layout::{Section, token_place, verifier};
use crate::plan::{self, TokenPlaceKind};

/// An issuer of tokens, and how they are verified.
#[derive(Clone, Copy)]
pub struct Verifier<'p>(Record<'p>);

impl<'p> Row<'p> for Verifier<'p> {
    const SECTION: Section = Section::Verifiers;

    fn of(record: Record<'p>) -> Self {
        Verifier(record)
    }
}

impl<'p> Verifier<'p> {
    /// The name by which conditions ask for its claims.
    pub fn name(self) -> &'p str {
        self.0.text(verifier::NAME)
    }

    /// The `iss` that its tokens have.
    pub fn issuer(self) -> &'p str {
        self.0.text(verifier::ISSUER)
    }

    /// Where its keys are: `https://…`, or the path of a file.
    pub fn jwks(self) -> &'p str {
        self.0.text(verifier::JWKS)
    }

    /// One of them is in `aud`.
    pub fn audiences(self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.0.rows::<Audience<'_>>(verifier::AUDIENCES).iter().map(|own| own.0.text(0))
    }

    /// Where tokens stand.
    pub fn places(self) -> Rows<'p, TokenPlace<'p>> {
        self.0.rows(verifier::PLACES)
    }

    /// Claims that are lists in one string, with spaces between.
    pub fn list_claims(self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.0.rows::<ListClaim<'_>>(verifier::LIST_CLAIMS).iter().map(|own| own.0.text(0))
    }

    /// Milliseconds that the issuer's clock may be off.
    pub fn clock_skew(self) -> u32 {
        self.0.word(verifier::CLOCK_SKEW)
    }

    /// The `typ` that its tokens have, in lower case and without `application/`; empty: any that is usual.
    pub fn typ(self) -> &'p str {
        self.0.text(verifier::TYP)
    }

    /// Whether a request without a token is refused.
    pub fn is_required(self) -> bool {
        self.0.word(verifier::REQUIRED) == 1
    }

    /// Whether the token is sent on.
    pub fn is_forwarded(self) -> bool {
        self.0.word(verifier::FORWARD) == 1
    }

    /// All of it.
    pub fn to_value(self) -> plan::Verifier {
        plan::Verifier {
            name: self.name().to_owned(),
            issuer: self.issuer().to_owned(),
            audiences: self.audiences().map(str::to_owned).collect(),
            jwks: self.jwks().to_owned(),
            places: self.places().iter().map(TokenPlace::to_value).collect(),
            list_claims: self.list_claims().map(str::to_owned).collect(),
            clock_skew: self.clock_skew(),
            typ: self.typ().to_owned(),
            required: self.is_required(),
            forward: self.is_forwarded(),
        }
    }
}

/// Where a token stands.
#[derive(Clone, Copy)]
pub struct TokenPlace<'p>(Record<'p>);

impl<'p> Row<'p> for TokenPlace<'p> {
    const SECTION: Section = Section::TokenPlaces;

    fn of(record: Record<'p>) -> Self {
        TokenPlace(record)
    }
}

impl<'p> TokenPlace<'p> {
    /// What kind of place.
    pub fn kind(self) -> TokenPlaceKind {
        TokenPlaceKind::of_number(self.0.word(token_place::KIND))
    }

    /// The name of a header, cookie or query parameter.
    pub fn name(self) -> &'p str {
        self.0.text(token_place::NAME)
    }

    fn to_value(self) -> plan::TokenPlace {
        plan::TokenPlace { kind: self.kind(), name: self.name().to_owned() }
    }
}

#[derive(Clone, Copy)]
struct Audience<'p>(Record<'p>);

impl<'p> Row<'p> for Audience<'p> {
    const SECTION: Section = Section::Audiences;

    fn of(record: Record<'p>) -> Self {
        Audience(record)
    }
}

#[derive(Clone, Copy)]
struct ListClaim<'p>(Record<'p>);

impl<'p> Row<'p> for ListClaim<'p> {
    const SECTION: Section = Section::ListClaims;

    fn of(record: Record<'p>) -> Self {
        ListClaim(record)
    }
}
