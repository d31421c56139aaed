//! Settings as their blocks would say them, on one line each.

use super::side::percent;
use crate::check::duration;
use mesh_plan::{Algorithm, Balancer, Breaker, Cors, HashKey, Outliers, Retry, Settings};

/// Each from the nearest level that writes it, the limits from all: `timeout 2s`, `retry 2 on 503`.
pub(super) fn settings<'s>(levels: impl Iterator<Item = &'s Settings>) -> Vec<String> {
    let (mut timeout, mut retry, mut connect, mut idle, mut chosen) = (None, None, None, None, None);
    let mut limits = Vec::new();
    for level in levels {
        timeout = timeout.or(level.timeout);
        retry = retry.or(level.retry.as_ref());
        connect = connect.or(level.connect_timeout);
        idle = idle.or(level.idle_timeout);
        chosen = chosen.or(level.balancer.as_ref());
        limits.extend(level.breaker.map(breaker));
        limits.extend(level.outliers.map(outliers));
    }
    let time = |word: &str, written: Option<u32>| match written {
        Some(milliseconds) => format!("{word} {}", duration(milliseconds.into())),
        None => format!("{word} none"),
    };
    let one_each = [
        timeout.map(|written| time("timeout", written)),
        retry.map(|written| written.as_ref().map_or("retry none".to_owned(), said_retry)),
        connect.map(|written| time("connect-timeout", Some(written))),
        idle.map(|written| time("idle-timeout", written)),
        chosen.map(balancer),
    ];
    one_each.into_iter().flatten().chain(limits).collect()
}

fn balancer(balancer: &Balancer) -> String {
    let algorithm = match balancer.algorithm {
        Algorithm::RoundRobin => "round-robin",
        Algorithm::Random => "random",
        Algorithm::LeastRequest => "least-request",
        Algorithm::PeakEwma => "peak-ewma",
        Algorithm::RingHash => "ring-hash",
        Algorithm::Maglev => "maglev",
    };
    let key = match &balancer.key {
        None => String::new(),
        Some(HashKey::Header(name)) => format!(" header {name:?}"),
        Some(HashKey::Cookie { name, lifetime: None }) => format!(" cookie {name:?}"),
        Some(HashKey::Cookie { name, lifetime: Some(lifetime) }) => {
            format!(" cookie {name:?} ttl {}", duration((*lifetime).into()))
        }
        Some(HashKey::Query(name)) => format!(" query {name:?}"),
        Some(HashKey::SourceIp) => " source-ip".to_owned(),
    };
    let slow = match balancer.slow_start {
        0 => String::new(),
        time => format!(" slow-start {}", duration(time.into())),
    };
    format!("load-balancer {algorithm}{key}{slow}")
}

fn breaker(breaker: Breaker) -> String {
    let count = |limit: Option<u32>| limit.map(|limit| limit.to_string());
    let parts = [
        ("max-connections", count(breaker.max_connections)),
        ("max-pending-requests", count(breaker.max_pending)),
        ("max-requests", count(breaker.max_requests)),
        ("pending-timeout", breaker.pending_timeout.map(|time| duration(time.into()))),
    ];
    format!("circuit-breaker{}", written(parts))
}

fn outliers(outliers: Outliers) -> String {
    let some = |number: u32| (number > 0).then(|| number.to_string());
    let time = |milliseconds: u32| Some(duration(milliseconds.into()));
    let least = some(outliers.max_at_least).map_or(String::new(), |least| format!(" min {least}"));
    let parts = [
        ("consecutive-5xx", some(outliers.consecutive_5xx)),
        ("consecutive-gateway-errors", some(outliers.consecutive_gateway_errors)),
        ("success-rate", (outliers.success_rate > 0).then(|| percent(outliers.success_rate))),
        ("interval", time(outliers.interval)),
        ("base-ejection-time", time(outliers.base_ejection)),
        ("max-ejection-time", time(outliers.max_ejection)),
        ("max-ejection-percent", Some(format!("{}{least}", percent(outliers.max_share)))),
        ("min-hosts", some(outliers.min_hosts)),
    ];
    format!("outlier-detection{}", written(parts))
}

fn written<const N: usize>(parts: [(&str, Option<String>); N]) -> String {
    let there = parts.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", value?)));
    there.collect()
}

/// A retry in one line, as its block would say it.
fn said_retry(retry: &Retry) -> String {
    let named = [
        (retry.on_connect_failure, "connect-failure"),
        (retry.on_reset, "reset"),
        (retry.on_timeout, "timeout"),
    ];
    let mut conditions: Vec<String> =
        named.into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_owned()).collect();
    let (of_grpc, of_http) =
        retry.on_status.split_at(retry.on_status.partition_point(|status| *status < 100));
    conditions.extend(of_grpc.iter().map(|status| format!("grpc-status {status}")));
    for run in of_http.chunk_by(|before, after| *after == before + 1) {
        match run {
            [first, .., last] => conditions.push(format!("{first}-{last}")),
            alone => conditions.extend(alone.iter().map(u16::to_string)),
        }
    }
    let mut said = format!("retry {} on {}", retry.count, conditions.join(", "));
    let unsafe_methods = ["POST", "PUT", "PATCH", "DELETE"].into_iter().zip(2u32..);
    let unsafe_methods = unsafe_methods.filter(|(_, atom)| retry.methods >> atom & 1 == 1);
    let unsafe_methods: Vec<&str> = unsafe_methods.map(|(name, _)| name).collect();
    if !unsafe_methods.is_empty() {
        said.push_str(&format!(" methods {}", unsafe_methods.join("|")));
    }
    if retry.per_try_timeout > 0 {
        said.push_str(&format!(" per-try-timeout {}", duration(retry.per_try_timeout.into())));
    }
    if retry.backoff_cap > 0 {
        said.push_str(&format!(
            " backoff {}..{}",
            duration(retry.backoff_base.into()),
            duration(retry.backoff_cap.into())
        ));
    }
    if retry.buffer > 0 {
        said.push_str(&format!(" buffer {}B", retry.buffer));
    }
    if let Some(budget) = &retry.budget {
        let (share, over) = (percent(budget.share), duration(budget.over.into()));
        said.push_str(&format!(" budget {share} min {}/s over {over}", budget.min_per_second));
    }
    said
}

pub(super) fn cors(cors: &Cors) -> String {
    let lists = [
        ("allow-origins", &cors.origins),
        ("allow-methods", &cors.methods),
        ("allow-headers", &cors.headers),
        ("expose-headers", &cors.exposed),
    ];
    let said = lists.into_iter().map(|(name, value)| (name, (!value.is_empty()).then(|| value.clone())));
    let said: String = said.filter_map(|(name, value)| Some(format!(" {name} {}", value?))).collect();
    let credentials = if cors.credentials { " allow-credentials" } else { "" };
    format!("cors{said}{credentials}")
}
