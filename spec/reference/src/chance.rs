//! Exact probabilities: fractions in lowest terms.

use std::fmt;

/// A fraction in lowest terms. One draw has the denominator 10,000, so `u128` holds nine draws in a row, and routes are
/// entered at most eight deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance {
    numerator: u128,
    denominator: u128,
}

impl Chance {
    /// What cannot happen.
    pub const NEVER: Chance = Chance { numerator: 0, denominator: 1 };
    /// What must happen.
    pub const CERTAIN: Chance = Chance { numerator: 1, denominator: 1 };

    /// `numerator / denominator`; the denominator is not 0.
    pub fn new(numerator: u128, denominator: u128) -> Chance {
        let divisor = greatest_common_divisor(numerator, denominator);
        Chance { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// Either of two that exclude each other.
    pub fn or(self, other: Chance) -> Chance {
        let shared = greatest_common_divisor(self.denominator, other.denominator);
        let denominator = self.denominator / shared * other.denominator;
        let numerator = denominator / self.denominator * self.numerator
            + denominator / other.denominator * other.numerator;
        Chance::new(numerator, denominator)
    }

    /// Both of two that do not depend on each other.
    pub fn and(self, other: Chance) -> Chance {
        Chance::new(self.numerator * other.numerator, self.denominator * other.denominator)
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
