//! How a request came to what becomes of it: every question that was asked on the way, for people who want to know why.
//!
//! It is the same walk that [`decide`](crate::decide()) and [`distribution`](crate::distribution()) take. It allocates, which a
//! proxy never does on the way of a request.

use crate::decision::Decision;
use crate::request::{Entry, Peer, Request};
use crate::resolved::Resolved;
use crate::walk::{Draw, Onward, Step, Trail, Walk};
use mesh_plan::{Backend, PlanView};
use std::collections::BTreeMap;

/// All ways of a request. INVARIANT: a hop comes before those that follow on it, and the first is the door.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace<'p> {
    /// Never empty.
    pub hops: Vec<Hop<'p>>,
}

/// From the door, or from a backend that was drawn, to the next draw or to the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop<'p> {
    /// What was asked, in order.
    pub asked: Vec<Asked>,
    pub next: Next<'p>,
}

/// What comes after a hop.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<'p> {
    End(Decision<'p>),
    /// The backends that can be drawn, each with the index of its hop. Ways that differ in nothing that still counts share it.
    Split(Vec<(Backend, usize)>),
}

/// A question to a diagram of the plan, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Index into the plan's partitions.
    pub partition: u32,
    pub root: Root,
    /// The answer: an index into verdicts, outcomes or grants, or [`mesh_plan::REFUSED`].
    pub leaf: u32,
    /// The request as the partition sees it: an atom for each of its dimensions.
    pub atoms: Vec<u32>,
}

/// Where a question begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// At the authorization.
    Access,
    /// At this one of the partition's roots: of a listener the table of a host, elsewhere 0.
    Table(u32),
}

/// Follows a request on all its ways. The ends and their chances are those of [`distribution`](crate::distribution()).
pub fn trace<'p>(plan: &'p PlanView, entry: Entry, peer: Peer<'_>, request: &Request<'_>) -> Trace<'p> {
    let resolved = Resolved::of(plan, entry, peer);
    let mut walk = Walk::traced(plan, request);
    let begun = walk.begin(&resolved);
    let mut hops = Vec::new();
    let mut draws = Vec::new();
    add(begun, &mut walk, &mut hops, &mut draws);
    while !draws.is_empty() {
        let mut known: BTreeMap<Onward<'p>, usize> = BTreeMap::new();
        let mut further = Vec::new();
        for (from, trail, draw) in draws {
            let mut drawn = Vec::new();
            for backend in draw.backends().iter().filter(|backend| backend.weight > 0) {
                let hop = match known.get(&draw.onward(&trail, backend)) {
                    Some(hop) => *hop,
                    None => {
                        let step = walk.follow_from(trail, &draw, backend);
                        let hop = add(step, &mut walk, &mut hops, &mut further);
                        known.insert(draw.onward(&trail, backend), hop);
                        hop
                    }
                };
                drawn.push((backend, hop));
            }
            if let Some(Hop { next: Next::Split(split), .. }) = hops.get_mut::<usize>(from) {
                *split = drawn;
            }
        }
        draws = further;
    }
    Trace { hops }
}

/// Adds the hop that a step ends; its draw is followed later.
fn add<'p>(
    step: Step<'p>,
    walk: &mut Walk<'p, '_>,
    hops: &mut Vec<Hop<'p>>,
    draws: &mut Vec<(usize, Trail<'p>, Draw<'p>)>,
) -> usize {
    let index = hops.len();
    let next = match step {
        Step::End(end) => Next::End(walk.decision(end)),
        Step::Draw(draw) => {
            draws.push((index, walk.trail(), draw));
            Next::Split(Vec::new())
        }
    };
    hops.push(Hop { asked: walk.take_asked(), next });
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{CERTAIN, distribution};
    use crate::request::Method;
    use crate::samples::{EDGE, RATINGS, REVIEWS, WEB, shop, tower};
    use mesh_plan::layout::WHOLE;

    /// The ends of a trace with their chances.
    fn ends<'p>(trace: &Trace<'p>) -> BTreeMap<Decision<'p>, u128> {
        let mut odds = vec![0u128; trace.hops.len()];
        odds[0] = CERTAIN;
        let mut ends = BTreeMap::new();
        for (index, hop) in trace.hops.iter().enumerate() {
            match &hop.next {
                Next::End(decision) => *ends.entry(decision.clone()).or_default() += odds[index],
                Next::Split(split) => {
                    for (backend, next) in split {
                        odds[*next] += odds[index] / u128::from(WHOLE) * u128::from(backend.weight);
                    }
                }
            }
        }
        ends
    }

    fn entries() -> Vec<Entry> {
        let mut all = vec![
            Entry::Gateway { gateway: EDGE, listener: 0 },
            Entry::Sidecar { service: WEB },
            Entry::Sidecar { service: 99 },
        ];
        for service in [RATINGS, REVIEWS] {
            all.push(Entry::Inbound { service, port: 0 });
            all.push(Entry::FromGateway { gateway: EDGE, service, port: 0 });
        }
        all
    }

    fn ask(then: &mut dyn FnMut(&Request<'_>)) {
        let headers: &[(&str, &str)] = &[("end-user", "jason")];
        for host in ["api.shop.test", "www.shop.test", "reviews", "nobody"] {
            for path in ["/reviews/1", "/", "/ratings/7"] {
                then(&Request {
                    method: Method::Get,
                    host,
                    host_port: None,
                    path,
                    query: "",
                    headers: &headers,
                    source_ip: std::net::Ipv4Addr::LOCALHOST.into(),
                    caller_ip: Some(std::net::Ipv4Addr::LOCALHOST.into()),
                    client_ip: None,
                    tokens: &[],
                });
            }
        }
    }

    #[test]
    fn a_trace_ends_as_the_distribution_says() {
        let plan = shop();
        let mut splits = 0;
        ask(&mut |request| {
            for entry in entries() {
                let trace = trace(&plan, entry, Peer::Unauthenticated, request);
                let all = distribution(&plan, entry, Peer::Unauthenticated, request);
                let expected: BTreeMap<_, _> =
                    all.possible.into_iter().map(|one| (one.decision, one.numerator)).collect();
                assert_eq!(ends(&trace), expected, "{entry:?}");
                splits += usize::from(expected.len() > 1);
            }
        });
        assert!(splits > 0, "some request is split");
    }

    #[test]
    fn what_was_asked_stands_at_the_hop_that_asked_it() {
        let plan = shop();
        let mut seen = 0;
        ask(&mut |request| {
            let entry = Entry::Gateway { gateway: EDGE, listener: 0 };
            let trace = trace(&plan, entry, Peer::Unauthenticated, request);
            let roots: Vec<Root> = trace.hops[0].asked.iter().map(|asked| asked.root).collect();
            assert_eq!(roots.first(), Some(&Root::Access));
            for asked in trace.hops.iter().flat_map(|hop| &hop.asked) {
                let partition = plan.partition(asked.partition).unwrap();
                assert_eq!(asked.atoms.len(), 3 + partition.fields().len() as usize);
                seen += 1;
            }
        });
        assert!(seen > 20, "{seen} questions");
    }

    #[test]
    fn splits_one_after_the_other_do_not_multiply() {
        let plan = tower(&[4_000, 3_000, 3_000]);
        ask(&mut |request| {
            let entry = Entry::FromGateway { gateway: 0, service: 0, port: 0 };
            assert!(trace(&plan, entry, Peer::Unauthenticated, request).hops.len() < 200);
        });
    }
}
