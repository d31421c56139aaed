//! What a block lets in, as the plan says it: `rate-limit`, `max-request-body` (`spec/semantics.md` 11), and in which form paths may come (1.1a).

use mesh_lang::ast::{Limits, RateKey};
use mesh_plan::{Edit, RateLimit};

/// The limits of one place, sorted. What is counted elsewhere or by what the proxy does not know is not among them: a plan
/// with it is not built (see `executed.rs`).
pub(super) fn of(limits: &Limits) -> Vec<Edit> {
    let longest = limits.max_request_body.as_ref().map(|bytes| Edit::MaxRequestBody(bytes.value));
    let rates = limits.rate_limits.iter().filter(|limit| !limit.global).map(|limit| {
        let mut headers: Vec<&str> = limit.per.iter().filter_map(header).collect();
        headers.sort_unstable();
        headers.dedup();
        let rate = limit.rate.value;
        Edit::RateLimit(RateLimit {
            count: rate.count,
            per: rate.per,
            burst: limit.burst.as_ref().map_or(rate.count, |burst| burst.value.max(1)),
            by_source: limit.per.contains(&RateKey::Source),
            by_source_ip: limit.per.contains(&RateKey::SourceIp),
            by_client_ip: limit.per.contains(&RateKey::ClientIp),
            by_headers: headers.join(","),
            audit: limit.audit,
        })
    });
    let forms = [
        limits.decodes_slashes.map(|_| Edit::DecodeSlashes),
        limits.strips_parameters.map(|_| Edit::StripParameters),
    ];
    let mut found: Vec<Edit> = longest.into_iter().chain(rates).chain(forms.into_iter().flatten()).collect();
    found.sort();
    found
}

fn header(key: &RateKey) -> Option<&str> {
    match key {
        RateKey::Header(name) => Some(&name.value),
        _ => None,
    }
}
