//! The names by which a service says whom it calls.

use crate::model::{Model, Service};
use mesh_plan::{CallHost, NONE};
use std::collections::BTreeSet;

/// Sorted, each once for each call that it may mean. What is inside a pattern and somebody else's whom the service does not call means nobody.
pub(super) fn of(model: &Model, service: &Service) -> Vec<CallHost> {
    let mut hosts: BTreeSet<(String, u32)> = BTreeSet::new();
    for (call, index) in service.calls.iter().zip(0..) {
        let called = &model[call.to.service];
        let callee = &called.workload;
        hosts.extend(called.hosts.iter().map(|host| (host.to_string(), index)));
        hosts.insert((callee.full_name(), index));
        if callee.namespace == service.workload.namespace {
            hosts.insert((callee.name.as_str().to_owned(), index));
        }
    }
    let nobodys = of_others(model, &hosts);
    hosts.extend(nobodys.into_iter().map(|host| (host, NONE)));
    hosts.into_iter().map(|(host, call)| CallHost { host, call }).collect()
}

/// The hosts of others inside the patterns among these.
fn of_others(model: &Model, hosts: &BTreeSet<(String, u32)>) -> BTreeSet<String> {
    let said: BTreeSet<&str> = hosts.iter().map(|(host, _)| host.as_str()).collect();
    let patterns: Vec<&str> =
        said.iter().copied().filter(|host| host.starts_with('*') || host.contains('/')).collect();
    if patterns.is_empty() {
        return BTreeSet::new();
    }
    let of_all = model.services.iter().flat_map(|other| {
        let further = other.hosts.iter().map(|host| host.to_string());
        further.chain([other.full_name()])
    });
    of_all
        .filter(|host| !said.contains(host.as_str()))
        .filter(|host| patterns.iter().any(|pattern| is_inside(host, pattern)))
        .collect()
}

/// Whether every host of a host, pattern or network is one of another pattern or network.
fn is_inside(host: &str, pattern: &str) -> bool {
    if pattern.contains('/') {
        // The first address of a network is in all that are wider.
        let (first, length) =
            host.split_once('/').map_or((host, None), |(first, length)| (first, Some(length)));
        let first =
            if length.is_some() && first.contains(':') { format!("[{first}]") } else { first.to_owned() };
        let bits =
            |length: Option<&str>| length.map_or(u32::MAX, |length| length.parse().unwrap_or_default());
        let own = pattern.split_once('/').map(|(_, length)| length);
        return bits(length) > bits(own) && mesh_plan::hosts::covers(pattern, &first);
    }
    match pattern.strip_prefix("**.") {
        Some(parent) => {
            let below = host.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.'));
            below.is_some_and(|rest| !rest.is_empty())
        }
        // Of patterns with one label each is only in itself.
        None => {
            let parent = pattern.strip_prefix("*.");
            !host.starts_with('*') && host.split_once('.').is_some_and(|(_, rest)| Some(rest) == parent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn a_pattern_has_the_hosts_below_it_and_the_patterns_below_it() {
        for (host, pattern, expected) in [
            ("a.x.test", "*.x.test", true),
            ("a.b.x.test", "*.x.test", false),
            ("x.test", "*.x.test", false),
            ("ax.test", "*.x.test", false),
            ("**.x.test", "*.x.test", false),
            ("a.x.test", "**.x.test", true),
            ("a.b.x.test", "**.x.test", true),
            ("*.x.test", "**.x.test", true),
            ("**.a.x.test", "**.x.test", true),
            ("x.test", "**.x.test", false),
            ("ax.test", "**.x.test", false),
            ("192.0.2.7", "192.0.2.0/24", true),
            ("192.0.2.128/25", "192.0.2.0/24", true),
            ("192.0.2.0/24", "192.0.2.0/24", false),
            ("192.0.0.0/16", "192.0.2.0/24", false),
            ("192.0.3.7", "192.0.2.0/24", false),
            ("[2001:db8::7]", "2001:db8::/32", true),
            ("2001:db8:1::/48", "2001:db8::/32", true),
            ("2001:db9:1::/48", "2001:db8::/32", false),
            ("a.x.test", "192.0.2.0/24", false),
        ] {
            assert_eq!(is_inside(host, pattern), expected, "{host} {pattern}");
        }
    }
}
