//! Retry budgets: state in, state out (`spec/semantics.md` 6.4).

use mesh_plan::Budget;
use std::time::Duration;

/// The balance of one budget. Times are measured from any fixed origin, always the same for one balance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Balance {
    retries: f64,
    at: Duration,
}

impl Balance {
    /// A first try was made at `now`: earns its share.
    pub fn earn(&mut self, budget: &Budget, now: Duration) {
        self.settle(budget, now);
        self.retries += f64::from(budget.share) / 10_000.0;
    }

    /// Whether a retry can be paid at `now`; if so it is.
    pub fn pay(&mut self, budget: &Budget, now: Duration) -> bool {
        self.settle(budget, now);
        let paid = self.retries >= 1.0;
        if paid {
            self.retries -= 1.0;
        }
        paid
    }

    /// Between two moments the balance b follows db/dt = rate − b / over, whose solution is exact for any step.
    fn settle(&mut self, budget: &Budget, now: Duration) {
        let over = f64::from(budget.over.max(1)) / 1_000.0;
        let passed = now.saturating_sub(self.at).as_secs_f64();
        let rest = f64::from(budget.min_per_second) * over;
        self.retries = rest + (self.retries - rest) * (-passed / over).exp();
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { share: 2_000, min_per_second: 10, over: 10_000 };

    #[test]
    fn a_share_of_first_tries_can_be_retried() {
        let budget = Budget { min_per_second: 0, ..BUDGET };
        let mut balance = Balance::default();
        let mut paid = 0;
        for try_ in 0..10_000u64 {
            let now = Duration::from_millis(try_);
            balance.earn(&budget, now);
            paid += u32::from(balance.pay(&budget, now));
        }
        assert!((1_990..=2_000).contains(&paid), "{paid}");
    }

    #[test]
    fn rare_traffic_stays_retryable_and_the_balance_has_an_end() {
        let mut balance = Balance::default();
        let later = Duration::from_secs(60);
        let mut paid = 0;
        while balance.pay(&BUDGET, later) {
            paid += 1;
        }
        assert_eq!(paid, 99, "10/s over 10 s is 100, reached from below");
        assert!(!balance.pay(&BUDGET, later - Duration::from_secs(1)), "time does not run backwards");
    }
}
