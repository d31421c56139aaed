//! Load balancers, circuit breakers and outlier detections.

use super::{PlanError, Tiles, all, ensure, is_string};
use crate::layout::{MAX_MILLISECONDS, Section, WHOLE, balancer, breaker, health_check, outliers, settings};
use crate::plan::{Algorithm, NONE};
use crate::view::{PlanView, Record};

/// What settings own, each record once and in order.
pub(super) struct Owned([(u32, Tiles); 3]);

impl Owned {
    pub(super) fn of(plan: &PlanView) -> Owned {
        Owned([
            (settings::BALANCER, Tiles::of(plan, Section::Balancers)),
            (settings::BREAKER, Tiles::of(plan, Section::Breakers)),
            (settings::OUTLIERS, Tiles::of(plan, Section::Outliers)),
        ])
    }

    pub(super) fn take(&mut self, settings: Record<'_>) -> Result<(), PlanError> {
        for (field, tiles) in &mut self.0 {
            let index = settings.word(*field);
            if index != NONE {
                tiles.take((index, 1))?;
            }
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<(), PlanError> {
        self.0.into_iter().try_for_each(|(_, tiles)| tiles.end())
    }
}

pub(super) fn check(plan: &PlanView) -> Result<(), PlanError> {
    for own in all(plan, Section::Balancers) {
        is_balancer(plan, own)?;
    }
    for own in all(plan, Section::Breakers) {
        let words = [breaker::MAX_CONNECTIONS, breaker::MAX_PENDING, breaker::MAX_REQUESTS];
        ensure(words.iter().any(|word| own.word(*word) != NONE), "a breaker limits nothing")?;
        let time = own.word(breaker::PENDING_TIMEOUT);
        ensure(time == NONE || time <= MAX_MILLISECONDS, "a breaker waits too long")?;
    }
    for own in all(plan, Section::Outliers) {
        let conditions =
            [outliers::CONSECUTIVE_5XX, outliers::CONSECUTIVE_GATEWAY_ERRORS, outliers::SUCCESS_RATE];
        ensure(conditions.iter().any(|word| own.word(*word) != 0), "an outlier detection has no condition")?;
        let shares = [outliers::SUCCESS_RATE, outliers::MAX_SHARE];
        ensure(
            shares.iter().all(|word| own.word(*word) <= WHOLE),
            "an outlier detection is of more than everything",
        )?;
        let times = [outliers::INTERVAL, outliers::BASE_EJECTION];
        let is_time = |time: u32| time > 0 && time <= MAX_MILLISECONDS;
        ensure(times.iter().all(|word| is_time(own.word(*word))), "an outlier detection has no time")?;
        ensure(
            own.word(outliers::MAX_EJECTION) >= own.word(outliers::BASE_EJECTION),
            "an ejection ends before it begins",
        )?;
    }
    for own in all(plan, Section::HealthChecks) {
        ensure(own.word(health_check::KIND) <= health_check::GRPC, "a health check asks nothing")?;
        is_string(plan, own.word(health_check::PATH))?;
        let times = [health_check::INTERVAL, health_check::TIMEOUT];
        let is_time = |time: u32| time > 0 && time <= MAX_MILLISECONDS;
        ensure(times.iter().all(|word| is_time(own.word(*word))), "a health check has no time")?;
        let counts = [health_check::UNHEALTHY, health_check::HEALTHY];
        ensure(counts.iter().all(|word| own.word(*word) > 0), "a health check counts to nothing")?;
    }
    Ok(())
}

fn is_balancer(plan: &PlanView, own: Record<'_>) -> Result<(), PlanError> {
    let algorithm = Algorithm::ALL.get(own.word(balancer::ALGORITHM) as usize);
    let Some(algorithm) = algorithm else {
        return Err(PlanError::Corrupt { what: "a balancer has no algorithm" });
    };
    is_string(plan, own.word(balancer::NAME))?;
    let key = own.word(balancer::KEY);
    ensure(key <= balancer::SOURCE_IP, "a balancer hashes nothing that there is")?;
    ensure(algorithm.hashes() == (key != balancer::NO_KEY), "a hash has no key, or a key has no hash")?;
    let lifetime = own.word(balancer::LIFETIME);
    ensure(
        lifetime == NONE || key == balancer::COOKIE && lifetime <= MAX_MILLISECONDS,
        "a cookie lasts too long",
    )?;
    ensure(own.word(balancer::SLOW_START) <= MAX_MILLISECONDS, "a start is too slow")
}
