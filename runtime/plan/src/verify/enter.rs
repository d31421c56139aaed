//! How many routes a request can enter, one after the other.

use super::{PlanError, all, some};
use crate::layout::{MAX_ENTER_DEPTH, Section, backend, consumer_route, gateway, outcome, port, service};
use crate::plan::Target;
use crate::view::{PlanView, Record};

/// Of each outcome whether it enters another route.
pub(super) fn entering(plan: &PlanView) -> Vec<bool> {
    let enters = |outcome: Record<'_>| {
        let forwards = outcome.word(outcome::KIND) == outcome::FORWARD;
        forwards && backends_of(plan, outcome).any(|backend| backend.word(backend::ENTER) == 1)
    };
    all(plan, Section::Outcomes).map(enters).collect()
}

fn backends_of<'p>(plan: &'p PlanView, outcome: Record<'p>) -> impl Iterator<Item = Record<'p>> {
    some(plan, Section::Backends, outcome.range(outcome::FIRST))
}

/// Depths are raised round by round until nothing changes. In a circle they rise for ever, so the limit ends both. `nodes` are
/// those that may lead to such an outcome, in order: the others are of no depth.
pub(super) fn check(plan: &PlanView, entering: &[bool], nodes: &[u32]) -> Result<(), PlanError> {
    let outcomes = entering.iter().zip(0..).filter(|(enters, _)| **enters);
    let mut depths = Depths {
        entering: outcomes.map(|(_, index)| index).collect(),
        outcomes: vec![0; plan.span(Section::Outcomes).count as usize],
        partitions: vec![0; plan.span(Section::Partitions).count as usize],
    };
    if depths.entering.is_empty() {
        return Ok(());
    }
    loop {
        depths.raise_partitions(plan, nodes);
        if !depths.raise_outcomes(plan) {
            return depths.of_gateways(plan);
        }
        if depths.outcomes.iter().any(|depth| *depth > MAX_ENTER_DEPTH) {
            return Err(PlanError::TooDeep { limit: MAX_ENTER_DEPTH });
        }
    }
}

/// How many routes are entered at most after an outcome, and after a partition's roots.
struct Depths {
    /// The outcomes that enter another route.
    entering: Vec<u32>,
    outcomes: Vec<u32>,
    partitions: Vec<u32>,
}

impl Depths {
    fn raise_partitions(&mut self, plan: &PlanView, nodes: &[u32]) {
        let mut known: Vec<(u32, u32)> = Vec::with_capacity(nodes.len());
        for at in nodes {
            let children = plan.node(*at).into_iter().flat_map(|node| node.targets());
            let depth = children.map(|child| of_target(&known, &self.outcomes, child)).max().unwrap_or(0);
            known.push((*at, depth));
        }
        for (partition, place) in plan.partitions().iter().zip(&mut self.partitions) {
            let depth = |root| of_target(&known, &self.outcomes, root);
            *place = partition.roots().iter().map(depth).max().unwrap_or(0);
        }
    }

    /// Whether any of them is deeper than it was.
    fn raise_outcomes(&mut self, plan: &PlanView) -> bool {
        let mut raised = false;
        for index in &self.entering {
            let backends = Record::at(plan, Section::Outcomes, *index).into_iter();
            let backends = backends.flat_map(|outcome| backends_of(plan, outcome));
            let entered = backends.filter(|backend| backend.word(backend::ENTER) == 1);
            let depth = entered.map(|backend| 1 + self.of_backend(plan, backend)).max().unwrap_or(0);
            if let Some(place) = self.outcomes.get_mut(*index as usize) {
                raised |= depth > *place;
                *place = depth;
            }
        }
        raised
    }

    /// A gateway's own routes are entered from its rules, so each is one more than what follows it.
    fn of_gateways(&self, plan: &PlanView) -> Result<(), PlanError> {
        let routes = all(plan, Section::Gateways)
            .flat_map(|gateway| some(plan, Section::ConsumerRoutes, gateway.range(gateway::CONSUMER_ROUTES)));
        let depth = |route: Record<'_>| {
            let partition = route.word(consumer_route::PARTITION);
            self.partitions.get(partition as usize).copied().unwrap_or(0)
        };
        match routes.map(depth).max() {
            Some(deepest) if deepest >= MAX_ENTER_DEPTH => Err(PlanError::TooDeep { limit: MAX_ENTER_DEPTH }),
            _ => Ok(()),
        }
    }

    fn of_backend(&self, plan: &PlanView, backend: Record<'_>) -> u32 {
        let service = Record::at(plan, Section::Services, backend.word(backend::SERVICE));
        let ports = service.map_or(0, |service| service.range(service::PORTS).0);
        let port = Record::at(plan, Section::Ports, ports.saturating_add(backend.word(backend::PORT)));
        let partition = port.map_or(0, |port| port.word(port::PARTITION));
        self.partitions.get(partition as usize).copied().unwrap_or(0)
    }
}

/// Leaves of other tables are taken for outcomes too, but no backend enters a partition that has them.
fn of_target(nodes: &[(u32, u32)], outcomes: &[u32], target: Target) -> u32 {
    match target {
        Target::Node(at) => {
            let known = nodes.binary_search_by_key(&at, |node| node.0).ok();
            known.and_then(|index| nodes.get(index)).map_or(0, |node| node.1)
        }
        Target::Leaf(leaf) => outcomes.get(leaf as usize).copied().unwrap_or(0),
    }
}
