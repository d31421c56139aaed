//! Whose tokens are verified: of which issuer, and where they stand.

use super::{PlanError, Tiles, ascending, ensure, is_string, some};
use crate::layout::{MAX_MILLISECONDS, Section, token_place, verifier};
use crate::plan::TokenPlaceKind;
use crate::view::{PlanView, Record};

/// The tables of all verifiers, as far as they have been looked at.
pub(super) struct Verifiers<'p> {
    plan: &'p PlanView,
    all: Tiles,
    audiences: Tiles,
    places: Tiles,
    list_claims: Tiles,
}

impl<'p> Verifiers<'p> {
    pub(super) fn of(plan: &'p PlanView) -> Verifiers<'p> {
        let tiles = |section| Tiles::of(plan, section);
        Verifiers {
            plan,
            all: tiles(Section::Verifiers),
            audiences: tiles(Section::Audiences),
            places: tiles(Section::TokenPlaces),
            list_claims: tiles(Section::ListClaims),
        }
    }

    /// Those of the next service or gateway.
    pub(super) fn take(&mut self, range: (u32, u32)) -> Result<(), PlanError> {
        let range = self.all.take(range)?;
        let own = || some(self.plan, Section::Verifiers, range);
        ascending(own().map(|own| own.word(verifier::NAME)), "verifiers are not sorted")?;
        for own in some(self.plan, Section::Verifiers, range) {
            self.one(own)?;
        }
        Ok(())
    }

    fn one(&mut self, own: Record<'_>) -> Result<(), PlanError> {
        let plan = self.plan;
        for text in [verifier::NAME, verifier::ISSUER, verifier::JWKS, verifier::TYP] {
            is_string(plan, own.word(text))?;
        }
        let audiences = self.audiences.take(own.range(verifier::AUDIENCES))?;
        ensure(audiences.1 > 0, "tokens are for nobody")?;
        names(plan, Section::Audiences, audiences, "audiences are not sorted")?;
        let lists = self.list_claims.take(own.range(verifier::LIST_CLAIMS))?;
        names(plan, Section::ListClaims, lists, "claims that are lists are not sorted")?;
        let places = self.places.take(own.range(verifier::PLACES))?;
        ensure(places.1 > 0, "tokens stand nowhere")?;
        let order = || {
            let places = some(plan, Section::TokenPlaces, places);
            places.map(|place| (place.word(token_place::KIND), place.word(token_place::NAME)))
        };
        ascending(order(), "places of tokens are not sorted")?;
        for (kind, name) in order() {
            is_string(plan, name)?;
            let is_empty = plan.heap(Section::Strings, name).is_none_or(<[u8]>::is_empty);
            let is_bearer = kind == TokenPlaceKind::Bearer as u32;
            let is_kind = (kind as usize) < TokenPlaceKind::ALL.len();
            ensure(is_kind && is_bearer == is_empty, "a place of tokens is of no kind")?;
        }
        ensure(own.word(verifier::CLOCK_SKEW) <= MAX_MILLISECONDS, "a clock is off too far")?;
        let flags = [verifier::REQUIRED, verifier::FORWARD].map(|flag| own.word(flag));
        ensure(flags.iter().all(|flag| *flag <= 1), "a token neither is required nor is not")
    }

    pub(super) fn end(self) -> Result<(), PlanError> {
        self.all.end()?;
        self.audiences.end()?;
        self.places.end()?;
        self.list_claims.end()
    }
}

/// Records of one string each, sorted.
fn names(plan: &PlanView, section: Section, range: (u32, u32), what: &'static str) -> Result<(), PlanError> {
    let ids = || some(plan, section, range).map(|own| own.word(0));
    ids().try_for_each(|id| is_string(plan, id))?;
    ascending(ids(), what)
}
