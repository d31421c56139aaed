//! What a block lets in, as the plan says it: `rate-limit`, `max-request-body` (`spec/semantics.md` 11), and in which form paths may come (1.1a).

use super::scope::Place;
use super::shared::Names;
use mesh_lang::ast::{self, Limits, RateKey};
use mesh_plan::{Counting, Edit, RateLimit};

/// The limits of one place, sorted. Who counts for a global one is said by its number ([`crate::model::Model::limiters`]).
pub(super) fn of(limits: &Limits, place: Place<'_>, shared: &Names) -> Vec<Edit> {
    let longest = limits.max_request_body.as_ref().map(|bytes| Edit::MaxRequestBody(bytes.value));
    // One that nobody counts is told where it is written.
    let rates = limits.rate_limits.iter().filter_map(|limit| rate(limit, place, shared));
    let forms = [
        limits.decodes_slashes.map(|_| Edit::DecodeSlashes),
        limits.strips_parameters.map(|_| Edit::StripParameters),
    ];
    let mut found: Vec<Edit> = longest.into_iter().chain(rates).chain(forms.into_iter().flatten()).collect();
    found.sort();
    found
}

fn rate(limit: &ast::RateLimit, place: Place<'_>, shared: &Names) -> Option<Edit> {
    let mut headers: Vec<&str> = limit.per.iter().filter_map(header).collect();
    headers.sort_unstable();
    headers.dedup();
    let rate = limit.rate.value;
    let counting = match &limit.by {
        Some(name) => Counting::Global { by: shared.limiter(&name.value, place)? },
        None => {
            Counting::Local { burst: limit.burst.as_ref().map_or(rate.count, |burst| burst.value.max(1)) }
        }
    };
    Some(Edit::RateLimit(RateLimit {
        count: rate.count,
        per: rate.per,
        counting,
        by_source: limit.per.contains(&RateKey::Source),
        by_source_ip: limit.per.contains(&RateKey::SourceIp),
        by_client_ip: limit.per.contains(&RateKey::ClientIp),
        by_headers: headers.join(","),
        audit: limit.audit,
    }))
}

fn header(key: &RateKey) -> Option<&str> {
    match key {
        RateKey::Header(name) => Some(&name.value),
        _ => None,
    }
}
