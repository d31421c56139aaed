//! Hosts and patterns: which table of a listener a host uses (`spec/semantics.md` 3.7), and whether one is inside another.

use mesh_plan::HostKind;
use mesh_plan::view::{HostPattern, Rows};

/// The index of the most specific pattern that covers the host: exact, then `*.`, then `**.` longest first, then `*`.
pub(crate) fn table(patterns: Rows<'_, HostPattern<'_>>, host: &str) -> Option<u32> {
    let find =
        |kind, name: &str| patterns.find(|pattern| pattern.compare(kind, name)).map(|(index, _)| index);
    // What `*.` and `**.` stand for is never empty.
    let parents =
        || host.match_indices('.').filter(|(at, _)| *at > 0).filter_map(|(at, _)| host.get(at + 1..));
    let first_dot = host.find('.').filter(|at| *at > 0);
    let parent = first_dot.and_then(|at| host.get(at + 1..));
    find(HostKind::Exact, host)
        .or_else(|| find(HostKind::OneLabel, parent?))
        .or_else(|| parents().find_map(|parent| find(HostKind::Labels, parent)))
        .or_else(|| find(HostKind::Any, ""))
}
