//! What all workers of a proxy count together: one counter for each limit of each destination. It goes on over a new plan that has the
//! same limit in the same place.

use mesh_engine::Forward;
use mesh_plan::view::Settings;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Where a limit is written: the number of the level in [`Forward::limits`].
type Level = u8;

/// The level of the service, which counts together whoever calls; the others are a caller's own.
const OF_SERVICE: Level = 2;

/// Caller (where it counts), service, subset (where it counts), port, level and what the limit says.
type Key<R> = (String, String, String, u16, Level, R);

/// The counters of a proxy. Its lock is taken when a worker first meets a limit.
pub(crate) struct Registry<R, T>(Mutex<HashMap<Key<R>, Weak<T>>>);

impl<R, T> Default for Registry<R, T> {
    fn default() -> Registry<R, T> {
        Registry(Mutex::default())
    }
}

/// The counters that a worker has met, by service name.
pub(crate) struct Known<R, T>(HashMap<String, Vec<One<R, T>>>);

struct One<R, T> {
    caller: String,
    subset: String,
    port: u16,
    level: Level,
    says: R,
    counter: Arc<T>,
}

impl<R, T> Default for Known<R, T> {
    fn default() -> Known<R, T> {
        Known(HashMap::new())
    }
}

/// Whose counter is wanted.
pub(crate) struct Place<'a> {
    /// Who limits itself; empty for a gateway.
    pub(crate) caller: &'a str,
    pub(crate) service: &'a str,
    /// Empty where all subsets count together.
    pub(crate) subset: &'a str,
    /// Its number.
    pub(crate) port: u16,
}

impl<R: Copy + Eq + Hash, T> Known<R, T> {
    /// The counters of the limits that hold for a request, of the levels that say one.
    pub(crate) fn of<'p>(
        &mut self,
        registry: &Registry<R, T>,
        place: &Place<'_>,
        levels: impl Iterator<Item = (Level, Settings<'p>)>,
        says: impl Fn(Settings<'p>) -> Option<R>,
        new: impl Fn(R) -> T,
    ) -> Vec<Arc<T>> {
        let levels = levels.filter_map(|(number, level)| Some((says(level)?, number)));
        levels.map(|(says, level)| self.one(registry, place, level, says, &new)).collect()
    }

    fn one(
        &mut self,
        registry: &Registry<R, T>,
        place: &Place<'_>,
        level: Level,
        says: R,
        new: impl Fn(R) -> T,
    ) -> Arc<T> {
        let caller = if level == OF_SERVICE { "" } else { place.caller };
        if !self.0.contains_key(place.service) {
            self.0.insert(place.service.to_owned(), Vec::new());
        }
        let own = self.0.get(place.service).into_iter().flatten().find(|own| {
            let is_same_limit = own.level == level && own.says == says;
            is_same_limit && own.port == place.port && own.subset == place.subset && own.caller == caller
        });
        if let Some(own) = own {
            return own.counter.clone();
        }
        let counter = registry.one(&Place { caller, ..*place }, level, says, new);
        if let Some(own) = self.0.get_mut(place.service) {
            let (caller, subset, port) = (caller.to_owned(), place.subset.to_owned(), place.port);
            own.push(One { caller, subset, port, level, says, counter: counter.clone() });
        }
        counter
    }

    /// Forgets services that are gone.
    pub(crate) fn keep_only(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|service, _| exists(service));
    }
}

impl<R: Copy + Eq + Hash, T> Registry<R, T> {
    /// The counter of a place, whose caller counts.
    fn one(&self, place: &Place<'_>, level: Level, says: R, new: impl Fn(R) -> T) -> Arc<T> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, service, subset) = (place.caller, place.service, place.subset);
        let key = (caller.to_owned(), service.to_owned(), subset.to_owned(), place.port, level, says);
        if let Some(known) = table.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        table.retain(|_, counter| counter.strong_count() > 0);
        let counter = Arc::new(new(says));
        table.insert(key, Arc::downgrade(&counter));
        counter
    }
}

/// The levels of settings that limit a request, in their order, with their numbers: what a service says counts together whether its caller
/// says something, too, or not.
pub(crate) fn levels<'p>(
    plan: &'p mesh_plan::PlanView,
    forward: &Forward<'_>,
) -> impl Iterator<Item = (Level, Settings<'p>)> {
    (0..).zip(forward.limits()).filter_map(|(number, index)| Some((number, plan.settings(index)?)))
}
