//! How many routes a request can enter, one after the other: what a plan can have too much of though it is well built.

use crate::layout::MAX_ENTER_DEPTH;
use crate::plan::{Action, Outcome, Plan, Target};
use std::collections::BTreeSet;

/// Whether some request enters more routes than there may be, or goes round in a circle. `verify` proves the same of bytes.
pub(super) fn is_too_deep(plan: &Plan) -> bool {
    let mut depths = Depths { plan, of_partitions: vec![None; plan.partitions.len()] };
    let outcomes = plan.outcomes.iter().map(|outcome| depths.of_outcome(outcome, 0)).max();
    // A gateway's own routes are entered from its rules, so each is one more than what follows it.
    let routes = plan.gateways.iter().flat_map(|gateway| &gateway.consumer_routes);
    let of_gateways = routes.map(|route| 1 + depths.of_partition(route.partition, 1)).max();
    outcomes.max(of_gateways).is_some_and(|depth| depth > MAX_ENTER_DEPTH)
}

struct Depths<'p> {
    plan: &'p Plan,
    /// How many routes are entered at most after each partition's roots, where that is known.
    of_partitions: Vec<Option<u32>>,
}

impl Depths<'_> {
    /// How many are entered at most from an outcome on; `before` have been entered until there, and past the limit nobody counts.
    fn of_outcome(&mut self, outcome: &Outcome, before: u32) -> u32 {
        let Action::Forward(backends) = &outcome.action else { return 0 };
        let entered = backends.iter().filter(|backend| backend.enter && before <= MAX_ENTER_DEPTH);
        let depth = entered.map(|backend| {
            let service = self.plan.services.get(backend.service as usize);
            let port = service.and_then(|service| service.ports.get(backend.port as usize));
            1 + port.map_or(0, |port| self.of_partition(port.partition, before + 1))
        });
        depth.max().unwrap_or(0)
    }

    fn of_partition(&mut self, index: u32, before: u32) -> u32 {
        if let Some(known) = self.of_partitions.get(index as usize).copied().flatten() {
            return known;
        }
        let roots = self.plan.partitions.get(index as usize).map_or(&[][..], |partition| &partition.roots);
        let mut outcomes = self.leaves(roots);
        outcomes.sort_unstable();
        outcomes.dedup();
        let outcomes = outcomes.into_iter().filter_map(|leaf| self.plan.outcomes.get(leaf as usize));
        let depth = outcomes.map(|outcome| self.of_outcome(outcome, before)).max().unwrap_or(0);
        if let Some(place) = self.of_partitions.get_mut(index as usize) {
            *place = Some(depth);
        }
        depth
    }

    fn leaves(&self, roots: &[Target]) -> Vec<u32> {
        let (mut left, mut seen, mut leaves) = (roots.to_vec(), BTreeSet::new(), Vec::new());
        while let Some(target) = left.pop() {
            match target {
                Target::Leaf(leaf) => leaves.push(leaf),
                Target::Node(node) if seen.insert(node) => {
                    let node = self.plan.nodes.get(node as usize);
                    left.extend(node.into_iter().flat_map(|node| &node.children));
                }
                Target::Node(_) => {}
            }
        }
        leaves
    }
}
