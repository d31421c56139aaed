//! What a request passes before it is answered or sent on: how many are let in, and how long their bodies may be.
//!
//! Limits of several places hold together: of the gateway, its listener, the rules passed and the service.

use mesh_engine::{Decision, Entry, Request};
use mesh_plan::Counting;
use mesh_plan::PlanView;
use mesh_plan::view::{Edit, RateLimit};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// As many keys are counted each for itself; the others share one count for each limit. At 24 bytes each a table stays below
/// 4 MiB, whatever clients send.
const MOST_KEYS: usize = 1 << 16;

/// How often a full table is searched for keys that no longer count: it takes a millisecond.
const SEARCH_EVERY: u64 = 1_000_000_000;

/// What limits one request, and where that is written.
#[derive(Debug)]
pub(crate) struct Limits<'p> {
    /// Those that are counted here.
    rates: Vec<(Place<'p>, RateLimit<'p>)>,
    /// Those that somebody else counts.
    pub(crate) global: Vec<Global<'p>>,
    /// The least of all.
    pub(crate) max_body: Option<u64>,
}

/// A limit that somebody counts for all proxies.
#[derive(Debug)]
pub(crate) struct Global<'p> {
    pub(crate) place: Place<'p>,
    pub(crate) limit: RateLimit<'p>,
    /// Who: index of an authority.
    pub(crate) by: u32,
}

/// Where a limit is written, by names: it counts on when a plan is swapped for one that has it, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place<'p> {
    Gateway(&'p str),
    Listener(&'p str, &'p str),
    Rule(&'p str),
    Service(&'p str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Gateway(name) => write!(f, "gateway {name}"),
            Place::Listener(gateway, name) => write!(f, "gateway {gateway} listener {name}"),
            Place::Rule(name) => f.write_str(name),
            Place::Service(name) => write!(f, "service {name}"),
        }
    }
}

/// The limits on the way of a request that was not refused.
pub(crate) fn of<'p>(plan: &'p PlanView, entry: Entry, decision: &Decision<'p>) -> Limits<'p> {
    let mut limits = Limits { rates: vec![], global: vec![], max_body: None };
    if let Entry::Gateway { gateway, listener } = entry
        && let Some(gateway) = plan.gateways().get(gateway)
    {
        gateway.limits().iter().for_each(|limit| limits.add(Place::Gateway(gateway.name()), limit));
        if let Some(listener) = gateway.listener(listener) {
            let place = Place::Listener(gateway.name(), listener.name());
            listener.limits().iter().for_each(|limit| limits.add(place, limit));
        }
    }
    for outcome in decision.edited.outcomes(plan) {
        outcome.edits().iter().for_each(|limit| limits.add(Place::Rule(outcome.rule()), limit));
    }
    if let mesh_engine::Action::Forward(forward) = &decision.action
        && let Some(service) = plan.service(forward.service_index)
    {
        // Who is at its limit is not ill: what the node asks is not counted.
        let holds = |limit: &Edit<'p>| !decision.is_probe || !matches!(limit, Edit::RateLimit(_));
        let own = service.limits().iter().filter(holds);
        own.for_each(|limit| limits.add(Place::Service(service.name()), limit));
        // Its own proxy has them counted, so that everybody is, and once.
        if !matches!(entry, Entry::Inbound { .. }) {
            limits.global.retain(|global| !matches!(global.place, Place::Service(_)));
        }
    }
    limits
}

impl<'p> Limits<'p> {
    fn add(&mut self, place: Place<'p>, limit: Edit<'p>) {
        match limit {
            Edit::RateLimit(limit) => match limit.counting {
                Counting::Local { .. } => self.rates.push((place, limit)),
                Counting::Global { by } => self.global.push(Global { place, limit, by }),
            },
            Edit::MaxRequestBody(bytes) => {
                self.max_body = Some(self.max_body.map_or(bytes, |least| least.min(bytes)));
            }
            _ => {}
        }
    }
}

/// What became of a request at its rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    LetIn,
    /// Too much, where that is only told.
    Told,
    /// Too much; the next one is let in so much later.
    Refused(Duration),
}

/// The counts of a proxy, over all its threads.
pub(crate) struct Counts {
    began: Instant,
    keys: [RandomState; 2],
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Nanoseconds after the beginning at which a limit has let in what it has (the theoretical arrival time of ITU-T I.371).
    arrivals: HashMap<[u64; 2], u64>,
    searched: u64,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            began: Instant::now(),
            keys: [RandomState::new(), RandomState::new()],
            table: Mutex::default(),
        }
    }
}

impl Counts {
    /// Counts a request of a source at all of its limits, or at none if one refuses it.
    pub(crate) fn count(&self, limits: &Limits<'_>, request: &Request<'_>, source: &str) -> Counted {
        if limits.rates.is_empty() {
            return Counted::LetIn;
        }
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let asked = limits.rates.iter().map(|(place, limit)| {
            let own = self.key(*place, limit, Some((request, source)));
            (*limit, own, self.key(*place, limit, None))
        });
        let asked: Vec<_> = asked.collect();
        self.table.lock().unwrap_or_else(PoisonError::into_inner).count(&asked, now)
    }

    /// A key is kept as 128 bits of two keyed hashes: nobody can choose two that are the same. Without a request it is the
    /// one that is shared by those for whom there is no room.
    fn key(
        &self,
        place: Place<'_>,
        limit: &RateLimit<'_>,
        request: Option<(&Request<'_>, &str)>,
    ) -> [u64; 2] {
        self.keys.each_ref().map(|keys| {
            let mut hasher = keys.build_hasher();
            (place, limit, request.is_some()).hash(&mut hasher);
            if let Some((request, source)) = request {
                if limit.by_source {
                    source.hash(&mut hasher);
                }
                if limit.by_client_ip {
                    request.client_ip.map(|ip| ip.to_canonical()).hash(&mut hasher);
                }
                if limit.by_source_ip {
                    request.source_ip.to_canonical().hash(&mut hasher);
                }
                for name in limit.by_headers.split(',').filter(|name| !name.is_empty()) {
                    let mut lines = 0_usize;
                    request.headers.each_line(name.as_bytes(), &mut |line| {
                        line.hash(&mut hasher);
                        lines += 1;
                    });
                    lines.hash(&mut hasher);
                }
            }
            hasher.finish()
        })
    }
}

impl Table {
    fn count(&mut self, asked: &[(RateLimit<'_>, [u64; 2], [u64; 2])], now: u64) -> Counted {
        let mut told = false;
        let mut next = Vec::with_capacity(asked.len());
        for (limit, own, shared) in asked {
            let key = if self.has_room_for(own, now) { own } else { shared };
            let arrival = self.arrivals.get(key).copied().unwrap_or_default().max(now);
            let step = u64::from(limit.per) * 1_000_000 / u64::from(limit.count.max(1));
            let Counting::Local { burst } = limit.counting else { continue };
            let ahead = step.saturating_mul(u64::from(burst.saturating_sub(1)));
            let early = (arrival - now).saturating_sub(ahead);
            match (early, limit.audit) {
                (0, _) => next.push((*key, arrival.saturating_add(step))),
                (_, true) => told = true,
                (_, false) => return Counted::Refused(Duration::from_nanos(early)),
            }
        }
        self.arrivals.extend(next);
        if told { Counted::Told } else { Counted::LetIn }
    }

    fn has_room_for(&mut self, key: &[u64; 2], now: u64) -> bool {
        if self.arrivals.len() < MOST_KEYS || self.arrivals.contains_key(key) {
            return true;
        }
        if now.saturating_sub(self.searched) >= SEARCH_EVERY {
            self.searched = now;
            // A limit of which all is there again is as one that was never asked.
            self.arrivals.retain(|_, arrival| *arrival > now);
        }
        self.arrivals.len() < MOST_KEYS
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, MOST_KEYS, Table};
    use mesh_plan::Counting;
    use mesh_plan::view::RateLimit;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000_000;

    fn limit(count: u32, burst: u32) -> RateLimit<'static> {
        RateLimit {
            count,
            per: 1_000,
            counting: Counting::Local { burst },
            by_source: false,
            by_source_ip: false,
            by_client_ip: false,
            by_headers: "",
            audit: false,
        }
    }

    #[test]
    fn a_burst_is_let_in_at_once_and_then_one_after_the_other() {
        let mut table = Table::default();
        let mut ask = |now| table.count(&[(limit(10, 3), [1, 1], [0, 0])], now);
        assert_eq!([ask(0), ask(0), ask(0)], [Counted::LetIn; 3]);
        assert_eq!(ask(0), Counted::Refused(Duration::from_millis(100)));
        assert_eq!(ask(SECOND / 10), Counted::LetIn);
        assert_eq!(ask(SECOND / 10), Counted::Refused(Duration::from_millis(100)));
        assert_eq!([ask(SECOND), ask(SECOND), ask(SECOND)], [Counted::LetIn; 3]);
        assert!(matches!(ask(SECOND), Counted::Refused(_)));
    }

    #[test]
    fn what_one_limit_refuses_no_other_counts() {
        let mut table = Table::default();
        let narrow = (limit(1, 1), [1, 1], [0, 0]);
        let wide = (limit(2, 2), [2, 2], [0, 0]);
        assert_eq!(table.count(&[wide, narrow], 0), Counted::LetIn);
        assert!(matches!(table.count(&[wide, narrow], 0), Counted::Refused(_)));
        assert_eq!(table.count(&[wide], 0), Counted::LetIn);
        assert!(matches!(table.count(&[wide], 0), Counted::Refused(_)));
    }

    #[test]
    fn what_is_only_tried_out_refuses_nothing() {
        let mut table = Table::default();
        let tried = (RateLimit { audit: true, ..limit(1, 1) }, [1, 1], [0, 0]);
        assert_eq!(table.count(&[tried], 0), Counted::LetIn);
        assert_eq!(table.count(&[tried], 0), Counted::Told);
    }

    #[test]
    fn keys_without_end_share_a_count() {
        let mut table = Table::default();
        for key in 0..MOST_KEYS as u64 {
            assert_eq!(table.count(&[(limit(1, 1), [1, key], [0, 0])], 0), Counted::LetIn);
        }
        let more = |table: &mut Table, key, now| table.count(&[(limit(1, 1), [2, key], [0, 0])], now);
        assert_eq!(more(&mut table, 0, 0), Counted::LetIn);
        assert!(matches!(more(&mut table, 1, 0), Counted::Refused(_)), "the others share one");
        assert_eq!(more(&mut table, 2, 2 * SECOND), Counted::LetIn, "those whose time has passed make room");
        assert_eq!(table.arrivals.len(), 1);
    }
}
