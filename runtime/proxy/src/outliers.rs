//! Endpoints that fail are left out for a while, by all workers of a proxy together. The rules are the engine's.

use crate::together::{Known, Place, Registry, levels};
use crate::worker::Worker;
use mesh_engine::balance::outliers::{Seen, Standing, may_eject};
use mesh_engine::{Address, Forward};
use mesh_plan::{Outliers, PlanView};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the endpoints of one destination did, as one `outlier-detection` sees it. Its lock is held for as long as a look-up takes.
pub(crate) struct Detector {
    rules: Outliers,
    began: Instant,
    /// Milliseconds after the beginning, rounded up, until which somebody is out: nobody is asked about after it.
    latest: AtomicU64,
    standings: Mutex<HashMap<Address, Standing>>,
}

/// Endpoints of one destination that are remembered: more than any plan has in one port.
const MOST_STANDINGS: usize = 16_384;

pub(crate) type Detectors = Registry<Outliers, Detector>;
pub(crate) type KnownDetectors = Known<Outliers, Detector>;

impl Detector {
    fn new(rules: Outliers) -> Detector {
        Detector { rules, began: Instant::now(), latest: AtomicU64::new(0), standings: Mutex::default() }
    }

    fn standings(&self) -> MutexGuard<'_, HashMap<Address, Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody is out.
    fn somebody_is_out(&self) -> bool {
        self.began.elapsed().as_millis() < u128::from(self.latest.load(Ordering::Relaxed))
    }

    fn is_out(&self, address: Address) -> bool {
        let now = self.began.elapsed();
        self.standings().get(&address).is_some_and(|standing| standing.is_out(now))
    }

    fn see(&self, address: Address, of: usize, seen: Seen) {
        let now = self.began.elapsed();
        let mut standings = self.standings();
        // Where callers say who is asked, there are as many addresses as zones have.
        if standings.len() >= MOST_STANDINGS && !standings.contains_key(&address) {
            standings.retain(|_, standing| standing.is_out(now));
        }
        if !standings.entry(address).or_default().see(&self.rules, seen, now) {
            return;
        }
        let out = standings.values().filter(|standing| standing.is_out(now)).count();
        if !may_eject(&self.rules, of, out) {
            return;
        }
        // Endpoints come and go: what was not seen for as long as anybody can be out is forgotten.
        let longest = Duration::from_millis(self.rules.max_ejection.into());
        standings.retain(|own, standing| *own == address || now < standing.until() + longest);
        if let Some(standing) = standings.get_mut(&address) {
            standing.eject(&self.rules, now);
            let until = u64::try_from(standing.until().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            self.latest.fetch_max(until, Ordering::Relaxed);
        }
    }
}

/// All that judge the endpoints of a request.
#[derive(Clone, Default)]
pub(crate) struct Judges {
    detectors: Vec<Arc<Detector>>,
    /// Endpoints that say, or let see, that they are not well.
    unwell: Option<Arc<[Address]>>,
}

impl Judges {
    /// Those of a request.
    pub(crate) fn of(worker: &Worker, plan: &PlanView, forward: &Forward<'_>, port: u16) -> Judges {
        let is_asked = plan.service(forward.service_index).is_some_and(|own| own.health_check().is_some());
        let unwell = is_asked.then(|| worker.shared.unwell.load().get(&*forward.service).cloned()).flatten();
        if levels(plan, forward).all(|(_, level)| level.outliers().is_none()) {
            return Judges { detectors: vec![], unwell };
        }
        let caller = forward.caller().unwrap_or_default();
        let place = Place { caller: &caller, service: &forward.service, subset: &forward.subset, port };
        let (mut known, registry) = (worker.detectors.borrow_mut(), &worker.shared.detectors);
        let levels = levels(plan, forward);
        let detectors = known.of(registry, &place, levels, |level| level.outliers(), Detector::new);
        Judges { detectors, unwell }
    }

    /// Whether anybody is out.
    pub(crate) fn leave_somebody_out(&self) -> bool {
        self.unwell.is_some() || self.detectors.iter().any(|detector| detector.somebody_is_out())
    }

    /// Whether one of them has this endpoint out.
    pub(crate) fn leave_out(&self, address: Address) -> bool {
        self.unwell.as_ref().is_some_and(|unwell| unwell.contains(&address))
            || self.detectors.iter().any(|detector| detector.is_out(address))
    }

    /// Tells how a try ended at one of so many endpoints.
    pub(crate) fn see(&self, address: Address, of: usize, seen: Seen) {
        self.detectors.iter().for_each(|detector| detector.see(address, of, seen));
    }
}
