//! The walk: from where a request came in to what becomes of it.

use crate::decision::{Decision, Distribution};
use crate::request::{Address, Entry, Moment, Peer, Request};
use mesh_plan::PlanView;

/// Decides one request. Total and deterministic in its arguments.
pub fn decide<'p>(
    plan: &'p PlanView,
    entry: Entry,
    peer: Peer<'_>,
    request: &Request<'_>,
    moment: Moment,
) -> Decision<'p> {
    let _ = (plan, entry, peer, request, moment);
    todo!()
}

/// All that can happen to a request, with exact probabilities.
pub fn distribution<'p>(
    plan: &'p PlanView,
    entry: Entry,
    peer: Peer<'_>,
    request: &Request<'_>,
) -> Distribution<'p> {
    let _ = (plan, entry, peer, request);
    todo!()
}

/// The endpoints of a service's port, of one subset or (`subset == NONE`) all, in the plan's order.
pub fn endpoints(plan: &PlanView, service: u32, port: u32, subset: u32) -> impl Iterator<Item = Address> {
    let _ = (plan, service, port, subset);
    std::iter::empty()
}
