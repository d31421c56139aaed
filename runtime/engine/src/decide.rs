//! The walk: from where a request came in to what becomes of it.

use crate::decision::{Action, Decision, Distribution, Possible, Refusal};
use crate::request::{Address, Entry, Moment, Peer, Request};
use crate::walk::{Draw, Step, Walk};
use mesh_plan::layout::WHOLE;
use mesh_plan::{Backend, PlanView};
use std::net::{IpAddr, Ipv6Addr};

/// Decides one request. Total and deterministic in its arguments.
pub fn decide<'p>(
    plan: &'p PlanView,
    entry: Entry,
    peer: Peer<'_>,
    request: &Request<'_>,
    moment: Moment,
) -> Decision<'p> {
    let mut walk = Walk::new(plan, peer, request);
    let mut dice = Dice(moment.dice);
    let mut step = walk.begin(entry);
    loop {
        step = match step {
            Step::End(decision) => return decision,
            Step::Draw(draw) => match drawn(&draw, dice.roll()) {
                Some(backend) => walk.follow(&draw, backend),
                None => return BROKEN,
            },
        };
    }
}

const BROKEN: Decision<'static> = Decision { action: Action::Refuse(Refusal::Broken), rule: "", owner: "" };

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

/// The backend in whose share the roll falls.
fn drawn(draw: &Draw<'_>, roll: u32) -> Option<Backend> {
    let mut left = roll;
    for backend in draw.backends().iter() {
        match left.checked_sub(backend.weight) {
            Some(rest) => left = rest,
            None => return Some(backend),
        }
    }
    None
}

/// All that can happen to a request, with exact probabilities.
pub fn distribution<'p>(
    plan: &'p PlanView,
    entry: Entry,
    peer: Peer<'_>,
    request: &Request<'_>,
) -> Distribution<'p> {
    let mut walk = Walk::new(plan, peer, request);
    let mut ends = Vec::new();
    let first = walk.begin(entry);
    explore(&mut walk, first, Odds { numerator: 1, draws: 0 }, &mut ends);
    let draws = ends.iter().map(|(odds, _)| odds.draws).max().unwrap_or(0);
    let whole = u128::from(WHOLE);
    let possible = ends.into_iter().map(|(odds, decision)| Possible {
        numerator: odds.numerator * whole.pow(draws - odds.draws),
        decision,
    });
    Distribution { denominator: whole.pow(draws), possible: possible.collect() }
}

/// `numerator / 10_000^draws`. A plan enters at most eight routes after the first, so 128 bits are enough.
#[derive(Clone, Copy)]
struct Odds {
    numerator: u128,
    draws: u32,
}

fn explore<'p>(walk: &mut Walk<'p, '_>, step: Step<'p>, odds: Odds, ends: &mut Vec<(Odds, Decision<'p>)>) {
    match step {
        Step::End(decision) => ends.push((odds, decision)),
        Step::Draw(draw) => {
            for backend in draw.backends().iter().filter(|backend| backend.weight > 0) {
                let next = walk.follow(&draw, backend);
                let numerator = odds.numerator * u128::from(backend.weight);
                explore(walk, next, Odds { numerator, draws: odds.draws + 1 }, ends);
            }
        }
    }
}

/// The endpoints of a service's port, of one subset or (`subset == NONE`) all, in the plan's order.
pub fn endpoints(plan: &PlanView, service: u32, port: u32, subset: u32) -> impl Iterator<Item = Address> {
    let port = plan.service(service).and_then(|service| service.port(port));
    let endpoints = port.into_iter().flat_map(move |port| port.endpoints_of(subset));
    endpoints.map(|endpoint| Address {
        ip: IpAddr::V6(Ipv6Addr::from(endpoint.ip)).to_canonical(),
        port: endpoint.port,
    })
}

#[cfg(test)]
mod tests;
