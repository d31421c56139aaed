//! Which endpoint a request goes to: each in turn.

use mesh_engine::{Address, Forward, endpoints};
use mesh_plan::PlanView;
use std::collections::HashMap;

/// Whose turn it is, of every destination of a worker.
#[derive(Default)]
pub(crate) struct Rotation {
    /// By service name, so that turns outlive a plan.
    services: HashMap<String, Vec<Turn>>,
}

struct Turn {
    port: u32,
    subset: String,
    next: usize,
}

impl Rotation {
    /// The next endpoint of a destination, preferably none that was `tried`. A destination's first turn is drawn by lot:
    /// else all workers of all proxies would begin with the same endpoint.
    pub(crate) fn next(
        &mut self,
        view: &PlanView,
        forward: &Forward<'_>,
        tried: &[Address],
        random: &mut fastrand::Rng,
    ) -> Option<Address> {
        let all = || endpoints(view, forward.service_index, forward.port, forward.subset_index);
        let count = all().count();
        if count == 0 {
            return None;
        }
        let turn = self.turn(forward, random)?;
        let first = turn.next % count;
        turn.next = first + 1;
        pick(all, first, tried)
    }

    fn turn(&mut self, forward: &Forward<'_>, random: &mut fastrand::Rng) -> Option<&mut Turn> {
        if !self.services.contains_key(&*forward.service) {
            self.services.insert(forward.service.to_string(), Vec::new());
        }
        let turns = self.services.get_mut(&*forward.service)?;
        let known =
            turns.iter().position(|turn| turn.port == forward.port && *turn.subset == *forward.subset);
        let place = known.unwrap_or_else(|| {
            let subset = forward.subset.to_string();
            turns.push(Turn { port: forward.port, subset, next: random.usize(..usize::MAX / 2) });
            turns.len() - 1
        });
        turns.get_mut(place)
    }

    /// Forgets services that are gone.
    pub(crate) fn keep_only(&mut self, exists: impl Fn(&str) -> bool) {
        self.services.retain(|service, _| exists(service));
    }
}

/// The endpoint at `first`, or the next one after it that was not tried, as long as there is one.
fn pick<I: Iterator<Item = Address>>(
    all: impl Fn() -> I,
    first: usize,
    tried: &[Address],
) -> Option<Address> {
    let mut untried = all().skip(first).chain(all().take(first)).filter(|address| !tried.contains(address));
    untried.next().or_else(|| all().nth(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_endpoint_is_preferred_as_long_as_there_is_one() {
        let address = |port| Address { ip: std::net::Ipv4Addr::LOCALHOST.into(), port };
        let all = [address(1), address(2), address(3)];
        let pick = |first, tried: &[Address]| pick(|| all.iter().copied(), first, tried).unwrap().port;
        assert_eq!(pick(2, &[]), 3);
        assert_eq!(pick(2, &[address(3)]), 1, "around the end");
        assert_eq!(pick(0, &[address(1), address(2)]), 3);
        assert_eq!(pick(1, &all), 2, "all were tried: its turn it is");
    }
}
