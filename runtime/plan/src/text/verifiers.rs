//! Whose tokens are verified.

use super::Page;
use crate::plan::TokenPlaceKind;
use crate::view::Verifier;

/// As `mesh show` says it: in the words of the language.
pub(super) fn text(own: Verifier<'_>, out: &mut Page) {
    let need = if own.is_required() { "required" } else { "optional" };
    out.line(format_args!("jwt {} {need}", own.name()));
    out.line(format_args!("  issuer {}, audience {}", own.issuer(), joined(own.audiences())));
    out.line(format_args!("  jwks {}", own.jwks()));
    let places = own.places().iter().map(|place| match place.kind() {
        TokenPlaceKind::Bearer => "authorization: Bearer".to_owned(),
        TokenPlaceKind::Header => format!("header {}", place.name()),
        TokenPlaceKind::Cookie => format!("cookie {}", place.name()),
        TokenPlaceKind::Query => format!("query {}", place.name()),
    });
    let forward = if own.is_forwarded() { ", sent on" } else { "" };
    out.line(format_args!("  from {}{forward}", places.collect::<Vec<_>>().join(", ")));
    let lists = joined(own.list_claims());
    if !lists.is_empty() {
        out.line(format_args!("  list-claims {lists}"));
    }
    if own.clock_skew() > 0 {
        out.line(format_args!("  clock-skew {}ms", own.clock_skew()));
    }
    if !own.typ().is_empty() {
        out.line(format_args!("  typ {}", own.typ()));
    }
}

fn joined<'p>(texts: impl Iterator<Item = &'p str>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}
