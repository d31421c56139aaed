//! Load balancers, circuit breakers and outlier detections for human eyes.

use crate::plan::{Algorithm, Breaker, HealthCheck, Outliers, Probe};
use crate::view::{Balancer, HashKey};

pub(super) fn balancer(own: Balancer<'_>) -> String {
    let algorithm = match own.algorithm() {
        Algorithm::RoundRobin => "round-robin",
        Algorithm::Random => "random",
        Algorithm::LeastRequest => "least-request",
        Algorithm::PeakEwma => "peak-ewma",
        Algorithm::RingHash => "ring-hash",
        Algorithm::Maglev => "maglev",
    };
    let key = match own.key() {
        None => String::new(),
        Some(HashKey::Header(name)) => format!(" header {name}"),
        Some(HashKey::Cookie(name, None)) => format!(" cookie {name}"),
        Some(HashKey::Cookie(name, Some(lifetime))) => format!(" cookie {name} for {lifetime}ms"),
        Some(HashKey::Query(name)) => format!(" query {name}"),
        Some(HashKey::SourceIp) => " source-ip".to_owned(),
    };
    let slow = match own.slow_start() {
        0 => String::new(),
        milliseconds => format!(" slow-start {milliseconds}ms"),
    };
    format!("load-balancer {algorithm}{key}{slow}")
}

pub(super) fn breaker(own: Breaker) -> String {
    let limits = [
        ("max-connections", own.max_connections, ""),
        ("max-pending-requests", own.max_pending, ""),
        ("max-requests", own.max_requests, ""),
        ("pending-timeout", own.pending_timeout, "ms"),
    ];
    format!("circuit-breaker{}", written(&limits))
}

pub(super) fn outliers(own: Outliers) -> String {
    let some = |word: u32| (word > 0).then_some(word);
    let parts = [
        ("consecutive-5xx", some(own.consecutive_5xx), ""),
        ("consecutive-gateway-errors", some(own.consecutive_gateway_errors), ""),
        ("success-rate", some(own.success_rate), "bp"),
        ("interval", Some(own.interval), "ms"),
        ("base-ejection-time", Some(own.base_ejection), "ms"),
        ("max-ejection-time", Some(own.max_ejection), "ms"),
        ("max-ejection-percent", Some(own.max_share), "bp"),
        ("min", some(own.max_at_least), ""),
        ("min-hosts", Some(own.min_hosts), ""),
    ];
    format!("outlier-detection{}", written(&parts))
}

pub(super) fn health_check(own: &HealthCheck) -> String {
    let probe = match &own.probe {
        Probe::Get(path) => format!("GET {path}"),
        Probe::Tcp => "tcp".to_owned(),
        Probe::Grpc => "grpc".to_owned(),
    };
    let HealthCheck { interval, timeout, unhealthy, healthy, .. } = own;
    format!(
        "health-check {probe} every {interval}ms within {timeout}ms, out after {unhealthy}, in after {healthy}"
    )
}

fn written(parts: &[(&str, Option<u32>, &str)]) -> String {
    let there = parts.iter().filter_map(|(name, value, unit)| Some((name, (*value)?, unit)));
    there.map(|(name, value, unit)| format!(" {name} {value}{unit}")).collect()
}
