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
        if tried.is_empty() {
            return all().nth(first);
        }
        let from_first = all().skip(first).chain(all().take(first));
        let mut untried = from_first.filter(|address| !tried.contains(address));
        untried.next().or_else(|| all().nth(first))
    }

    fn turn(&mut self, forward: &Forward<'_>, random: &mut fastrand::Rng) -> Option<&mut Turn> {
        if !self.services.contains_key(forward.service) {
            self.services.insert(forward.service.to_owned(), Vec::new());
        }
        let turns = self.services.get_mut(forward.service)?;
        let known = turns.iter().position(|turn| turn.port == forward.port && turn.subset == forward.subset);
        let place = known.unwrap_or_else(|| {
            let subset = forward.subset.to_owned();
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
