//! What all workers serve: one plan, and which of its entries each open socket is.

use arc_swap::ArcSwap;
use mesh_engine::Entry;
use mesh_plan::PlanView;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

/// Names a listening address for as long as it is open, across plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(pub(crate) u32);

/// What is shared by all threads.
pub(crate) struct Shared {
    /// Swapped as a whole: a request that loads it sees a plan and the entries of that plan.
    pub(crate) serving: ArcSwap<Serving>,
    /// Whether new work is no longer wanted.
    pub(crate) draining: AtomicBool,
}

/// A plan in service.
pub(crate) struct Serving {
    pub(crate) view: PlanView,
    /// Indices of an entry are those of this plan.
    pub(crate) entries: BTreeMap<SocketId, Opened>,
    /// The beginning of the plan's digest, for logs.
    pub(crate) digest: String,
    pub(crate) since: SystemTime,
}

/// An open door, as one plan sees it.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) entry: Entry,
    pub(crate) name: String,
}

/// Hex digits of a digest in a log line: enough to tell all plans of a mesh apart.
const DIGEST_DIGITS: usize = 12;

impl Serving {
    pub(crate) fn new(view: PlanView, entries: BTreeMap<SocketId, Opened>) -> Serving {
        let digest = view.digest_hex().chars().take(DIGEST_DIGITS).collect();
        Serving { view, entries, digest, since: SystemTime::now() }
    }
}
