//! How many routes a request can enter, one after the other.

use super::{PlanError, all, some};
use crate::layout::{
    MAX_ENTER_DEPTH, NODE, Section, backend, consumer_route, gateway, node, outcome, partition, port, service,
};
use crate::view::{PlanView, Record};

/// Depths are raised round by round until nothing changes. In a circle they rise for ever, so the limit ends both.
pub(super) fn check(plan: &PlanView) -> Result<(), PlanError> {
    let mut depths = Depths {
        outcomes: vec![0; plan.span(Section::Outcomes).count as usize],
        partitions: vec![0; plan.span(Section::Partitions).count as usize],
    };
    loop {
        depths.raise_partitions(plan);
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
    outcomes: Vec<u32>,
    partitions: Vec<u32>,
}

impl Depths {
    fn raise_partitions(&mut self, plan: &PlanView) {
        let mut nodes = Vec::with_capacity(plan.span(Section::Nodes).count as usize);
        for node in all(plan, Section::Nodes) {
            let children = some(plan, Section::Children, node.range(node::CHILDREN));
            nodes.push(children.map(|child| self.of_target(&nodes, child.word(0))).max().unwrap_or(0));
        }
        for (partition, index) in all(plan, Section::Partitions).zip(0..) {
            let roots = some(plan, Section::Roots, partition.range(partition::ROOTS));
            let depth = roots.map(|root| self.of_target(&nodes, root.word(0))).max().unwrap_or(0);
            if let Some(place) = self.partitions.get_mut(index) {
                *place = depth;
            }
        }
    }

    /// Leaves of other tables are taken for outcomes too, but no backend enters a partition that has them.
    fn of_target(&self, nodes: &[u32], target: u32) -> u32 {
        let table = if target & NODE != 0 { nodes } else { &self.outcomes };
        table.get((target & !NODE) as usize).copied().unwrap_or(0)
    }

    /// Whether any of them is deeper than it was.
    fn raise_outcomes(&mut self, plan: &PlanView) -> bool {
        let mut raised = false;
        for (outcome, index) in all(plan, Section::Outcomes).zip(0..) {
            if outcome.word(outcome::KIND) != outcome::FORWARD {
                continue;
            }
            let backends = some(plan, Section::Backends, outcome.range(outcome::FIRST));
            let entered = backends.filter(|backend| backend.word(backend::ENTER) == 1);
            let depth = entered.map(|backend| 1 + self.of_backend(plan, backend)).max().unwrap_or(0);
            if let Some(place) = self.outcomes.get_mut(index) {
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
