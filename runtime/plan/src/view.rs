//! A verified plan, read in place.

/// A verified plan.
#[derive(Clone, Debug)]
pub struct PlanView {}
