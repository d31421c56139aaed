//! How an endpoint is chosen and when none is: load balancers, circuit breakers, outlier detections.

use super::rows::{Record, Row};
use crate::layout::{Section, balancer, breaker, health_check, outliers};
use crate::plan::{Algorithm, Breaker, NONE, Outliers, Probe};

/// A load balancer.
#[derive(Clone, Copy)]
pub struct Balancer<'p>(Record<'p>);

/// What of a request is hashed; see [`crate::plan::HashKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKey<'p> {
    Header(&'p str),
    /// With the lifetime of one that is issued.
    Cookie(&'p str, Option<u32>),
    Query(&'p str),
    SourceIp,
}

impl<'p> Row<'p> for Balancer<'p> {
    const SECTION: Section = Section::Balancers;

    fn of(record: Record<'p>) -> Self {
        Balancer(record)
    }
}

impl<'p> Balancer<'p> {
    /// The balancer's index in the plan.
    pub fn index(self) -> u32 {
        self.0.index()
    }

    /// How an endpoint is chosen.
    pub fn algorithm(self) -> Algorithm {
        let number = self.0.word(balancer::ALGORITHM) as usize;
        Algorithm::ALL.get(number).copied().unwrap_or(Algorithm::RoundRobin)
    }

    /// What is hashed.
    pub fn key(self) -> Option<HashKey<'p>> {
        let name = || self.0.text(balancer::NAME);
        match self.0.word(balancer::KEY) {
            balancer::HEADER => Some(HashKey::Header(name())),
            balancer::COOKIE => Some(HashKey::Cookie(name(), is_there(self.0.word(balancer::LIFETIME)))),
            balancer::QUERY => Some(HashKey::Query(name())),
            balancer::SOURCE_IP => Some(HashKey::SourceIp),
            _ => None,
        }
    }

    /// Milliseconds in which a new endpoint comes to its full share; 0: at once.
    pub fn slow_start(self) -> u32 {
        self.0.word(balancer::SLOW_START)
    }
}

impl<'p> Row<'p> for Breaker {
    const SECTION: Section = Section::Breakers;

    fn of(record: Record<'p>) -> Self {
        Breaker {
            max_connections: is_there(record.word(breaker::MAX_CONNECTIONS)),
            max_pending: is_there(record.word(breaker::MAX_PENDING)),
            max_requests: is_there(record.word(breaker::MAX_REQUESTS)),
            pending_timeout: is_there(record.word(breaker::PENDING_TIMEOUT)),
        }
    }
}

impl<'p> Row<'p> for Outliers {
    const SECTION: Section = Section::Outliers;

    fn of(record: Record<'p>) -> Self {
        Outliers {
            consecutive_5xx: record.word(outliers::CONSECUTIVE_5XX),
            consecutive_gateway_errors: record.word(outliers::CONSECUTIVE_GATEWAY_ERRORS),
            success_rate: record.word(outliers::SUCCESS_RATE),
            interval: record.word(outliers::INTERVAL),
            base_ejection: record.word(outliers::BASE_EJECTION),
            max_ejection: record.word(outliers::MAX_EJECTION),
            max_share: record.word(outliers::MAX_SHARE),
            max_at_least: record.word(outliers::MAX_AT_LEAST),
            min_hosts: record.word(outliers::MIN_HOSTS),
        }
    }
}

/// How endpoints are asked whether they are well.
#[derive(Clone, Copy)]
pub struct HealthCheck<'p>(Record<'p>);

impl<'p> Row<'p> for HealthCheck<'p> {
    const SECTION: Section = Section::HealthChecks;

    fn of(record: Record<'p>) -> Self {
        HealthCheck(record)
    }
}

impl HealthCheck<'_> {
    /// As a value: whoever asks endpoints does so for longer than a plan is there.
    pub fn to_value(self) -> crate::plan::HealthCheck {
        let probe = match self.0.word(health_check::KIND) {
            health_check::GET => Probe::Get(self.0.text(health_check::PATH).to_owned()),
            health_check::GRPC => Probe::Grpc,
            _ => Probe::Tcp,
        };
        crate::plan::HealthCheck {
            probe,
            interval: self.0.word(health_check::INTERVAL),
            timeout: self.0.word(health_check::TIMEOUT),
            unhealthy: self.0.word(health_check::UNHEALTHY),
            healthy: self.0.word(health_check::HEALTHY),
        }
    }
}

/// A word that may be none.
pub(super) fn is_there(word: u32) -> Option<u32> {
    (word != NONE).then_some(word)
}
