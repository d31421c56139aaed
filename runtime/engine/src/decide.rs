//! The walk: from where a request came in to what becomes of it.

use crate::canonical::Relaxed;
use crate::decision::{Decision, Distribution, Possible};
use crate::request::{Address, Entry, Moment, Peer, Request};
use crate::resolved::Resolved;
use crate::walk::{self, Draw, Onward, Step, Trail, Walk};
use mesh_plan::layout::{MAX_ENTER_DEPTH, WHOLE};
use mesh_plan::view::{Edit, Endpoint};
use mesh_plan::{Backend, PlanView};
use std::collections::BTreeMap;

/// Decides one request. Total and deterministic in its arguments.
pub fn decide<'p>(
    plan: &'p PlanView,
    entry: Entry,
    peer: Peer<'_>,
    request: &Request<'_>,
    moment: Moment,
) -> Decision<'p> {
    decide_at(plan, &Resolved::of(plan, entry, peer), request, moment)
}

/// The same where entry and peer are looked up already. What was looked up in another plan refuses.
pub fn decide_at<'p>(
    plan: &'p PlanView,
    resolved: &Resolved,
    request: &Request<'_>,
    moment: Moment,
) -> Decision<'p> {
    follow(Walk::new(plan, request), resolved, moment)
}

/// Where a request would go if everybody let it in: what is asked about the request of a preflight, which the browser has not sent yet.
pub fn unauthorized<'p>(
    plan: &'p PlanView,
    entry: Entry,
    request: &Request<'_>,
    moment: Moment,
) -> Decision<'p> {
    let resolved = Resolved::of(plan, entry, Peer::Unauthenticated);
    follow(Walk::unauthorized(plan, request), &resolved, moment)
}

#[inline(always)]
fn follow<'p, 'r>(mut walk: Walk<'p, 'r>, resolved: &'r Resolved, moment: Moment) -> Decision<'p> {
    let mut dice = Dice(moment.dice);
    let mut step = walk.begin(resolved);
    let end = loop {
        step = match step {
            Step::End(end) => break end,
            Step::Draw(draw) => match drawn(&draw, &mut dice) {
                Some(backend) => walk.follow(&draw, backend),
                None => break walk::BROKEN,
            },
        };
    };
    walk.decision(end)
}

/// The draws of a decision: [splitmix64](https://prng.di.unimi.it/splitmix64.c) from the moment's bits.
struct Dice(u64);

impl Dice {
    /// Uniform below a whole: multiplying and keeping the high half is off by less than 10,000 in 2^64.
    fn roll(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        ((u128::from(bits) * u128::from(WHOLE)) >> 64) as u32
    }
}

/// The backend in whose share the roll falls. A backend that has all of it needs no roll.
#[inline]
fn drawn(draw: &Draw<'_>, dice: &mut Dice) -> Option<Backend> {
    let first = draw.backends().get(0)?;
    if first.weight == WHOLE {
        return Some(first);
    }
    let mut left = dice.roll();
    for backend in draw.backends().iter() {
        match left.checked_sub(backend.weight) {
            Some(rest) => left = rest,
            None => return Some(backend),
        }
    }
    None
}

/// All that can happen to a request, with exact probabilities.
///
/// Draws are looked at one after the other for all ways at once, and ways that differ in nothing that still counts are
/// one: what it costs grows with the routes that a request can come to, not with the ways that lead there.
pub fn distribution<'p>(
    plan: &'p PlanView,
    entry: Entry,
    peer: Peer<'_>,
    request: &Request<'_>,
) -> Distribution<'p> {
    let resolved = Resolved::of(plan, entry, peer);
    let mut walk = Walk::new(plan, request);
    let mut ends: BTreeMap<Decision<'p>, u128> = BTreeMap::new();
    let begun = walk.begin(&resolved);
    let mut ways = BTreeMap::new();
    arrived(&walk, begun, CERTAIN, &mut ends, &mut ways);
    while !ways.is_empty() {
        let mut further = BTreeMap::new();
        for way in ways.into_values() {
            let step = walk.follow_from(way.trail, &way.draw, way.backend);
            arrived(&walk, step, way.odds, &mut ends, &mut further);
        }
        ways = further;
    }
    let possible = ends.into_iter().map(|(decision, numerator)| Possible { numerator, decision });
    Distribution { denominator: CERTAIN, possible: possible.collect() }
}

/// Where a step of these odds leads to.
fn arrived<'p>(
    walk: &Walk<'p, '_>,
    step: Step<'p>,
    odds: u128,
    ends: &mut BTreeMap<Decision<'p>, u128>,
    ways: &mut BTreeMap<Onward<'p>, Way<'p>>,
) {
    match step {
        Step::End(end) => *ends.entry(walk.decision(end)).or_default() += odds,
        Step::Draw(draw) => spread(draw, walk.trail(), odds, ways),
    }
}

/// A whole for each draw that a request can meet: its first route's and one of each route entered after it. So each
/// draw divides without a remainder, and the sum of all odds, 10^36, is less than 2^128.
pub(crate) const CERTAIN: u128 = (WHOLE as u128).pow(MAX_ENTER_DEPTH + 1);

/// A backend drawn, by whichever draw, and the odds that it is.
struct Way<'p> {
    trail: Trail<'p>,
    draw: Draw<'p>,
    backend: Backend,
    odds: u128,
}

/// Shares the odds of a draw out among its backends.
fn spread<'p>(draw: Draw<'p>, trail: Trail<'p>, odds: u128, ways: &mut BTreeMap<Onward<'p>, Way<'p>>) {
    for backend in draw.backends().iter().filter(|backend| backend.weight > 0) {
        let onward = draw.onward(&trail, backend);
        let way = ways.entry(onward).or_insert(Way { trail, draw, backend, odds: 0 });
        way.odds += odds / u128::from(WHOLE) * u128::from(backend.weight);
    }
}

/// What becomes of paths that a place would refuse. The place at which a request comes in says it, before anything else is known of the request than its host: a
/// listener, or the service that is called.
pub fn relaxed(plan: &PlanView, entry: Entry, host: &str, host_port: Option<u16>) -> Relaxed {
    let service = |index: u32| plan.service(index).map(|service| service.limits());
    let called =
        |caller: u32, call: u32| service(plan.service(caller)?.calls().get(call).map(|call| call.service())?);
    let limits = match entry {
        Entry::Gateway { gateway, listener } => {
            plan.gateway(gateway).and_then(|gateway| gateway.listener(listener)).map(|own| own.limits())
        }
        Entry::Sidecar { service: caller } => {
            callee(plan, caller, host, host_port).and_then(|call| called(caller, call))
        }
        Entry::Call { service: caller, call } => called(caller, call),
        Entry::Inbound { service: own, .. } | Entry::FromGateway { service: own, .. } => service(own),
    };
    let mut relaxed = Relaxed::default();
    for limit in limits.into_iter().flat_map(|limits| limits.iter()) {
        relaxed.decodes_slashes |= limit == Edit::DecodeSlashes;
        relaxed.strips_parameters |= limit == Edit::StripParameters;
    }
    relaxed
}

/// Which of a service's calls a host and a port mean ([`Entry::Call`]): what a proxy can look up once for many requests.
pub fn callee(plan: &PlanView, service: u32, host: &str, host_port: Option<u16>) -> Option<u32> {
    crate::callee::callee(plan, plan.service(service)?, host, host_port)?
}

/// The endpoints of a service's port whose addresses the plan knows, of one subset or (`subset == NONE`) all, in the plan's order. Names are
/// looked up elsewhere.
pub fn endpoints(plan: &PlanView, service: u32, port: u32, subset: u32) -> impl Iterator<Item = Address> {
    instances(plan, service, port, subset).filter_map(Address::of)
}

/// The endpoints of a service's port, with names that are still to be looked up, in the plan's order.
pub fn instances(
    plan: &PlanView,
    service: u32,
    port: u32,
    subset: u32,
) -> impl Iterator<Item = Endpoint<'_>> {
    let port = plan.service(service).and_then(|service| service.port(port));
    port.into_iter().flat_map(move |port| port.endpoints_of(subset))
}

#[cfg(test)]
mod tests;
