//! Whether an endpoint that is asked says that it is well: state in, state out (`spec/semantics.md` 11.21).

use mesh_plan::HealthCheck;

/// What is known of one endpoint. It begins well: who was not asked yet is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    out: bool,
    /// Answers in a row that say the opposite.
    against: u32,
}

impl Health {
    /// Whether it is out.
    pub fn is_out(&self) -> bool {
        self.out
    }

    /// Notes an answer. Whether anything is different now.
    pub fn hear(&mut self, rules: &HealthCheck, well: bool) -> bool {
        if well != self.out {
            self.against = 0;
            return false;
        }
        self.against = self.against.saturating_add(1);
        let enough = if self.out { rules.healthy } else { rules.unhealthy };
        if self.against < enough {
            return false;
        }
        *self = Health { out: !self.out, against: 0 };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_plan::Probe;

    #[test]
    fn failures_in_a_row_put_it_out_and_successes_in_a_row_in_again() {
        let rules = HealthCheck { probe: Probe::Tcp, interval: 1, timeout: 1, unhealthy: 3, healthy: 2 };
        let mut health = Health::default();
        let mut hear = |well| {
            health.hear(&rules, well);
            health.is_out()
        };
        assert_eq!(
            [false, false, true, false, false, false].map(&mut hear),
            [false, false, false, false, false, true]
        );
        assert_eq!([true, false, true, true, false].map(&mut hear), [true, true, true, false, false]);
    }
}
