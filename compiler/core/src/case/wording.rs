//! What is expected and how long, in words: whoever tells of a test says it alike.

use super::{Expectation, Proof};
use mesh_lang::{Code, Diagnostic};

/// All of the requests, in the unit of weights.
const WHOLE: u128 = 10_000;

impl Proof {
    /// What is wrong with an `every` or `some` line; `None` where it holds.
    pub fn broken(&self) -> Option<Diagnostic> {
        let failure = self.failure.as_ref()?;
        let mut expected = expected(&self.expect);
        if let Some(timeout) = self.timeout {
            expected = format!("{expected} timeout {}", milliseconds(timeout));
        }
        if let Some(retry) = self.retry {
            expected = format!("{expected} retry {}", retries(retry));
        }
        let (message, label) = match self.every {
            true => {
                (format!("not every request is {expected}: one is {}", failure.got), "does not hold for all")
            }
            false => (format!("no request is {expected}: all are {}", failure.got), "holds for none"),
        };
        let mut diagnostic = Diagnostic::new(Code::FailedTest, message).at(self.expect_span, label);
        if let Some(witness) = &failure.witness {
            diagnostic = diagnostic.proved_by((**witness).clone());
        }
        Some(diagnostic.help("Correct the expectation if the policy is right, or the policy if the test is."))
    }
}

/// An outcome.
pub fn expected(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Allow => "`allow`".to_owned(),
        Expectation::Deny => "`deny`".to_owned(),
        Expectation::Status(status) => status.to_string(),
        Expectation::Redirect { location, status } => format!("a redirect to `{location}` with {status}"),
        Expectation::Backends(backends) => {
            let certain = backends.len() == 1;
            let texts: Vec<_> = backends
                .iter()
                .map(|backend| match certain {
                    true => format!("`{}`", backend.text),
                    false => format!("`{}` {}", backend.text, percent(u128::from(backend.weight), WHOLE)),
                })
                .collect();
            texts.join(", ")
        }
    }
}

/// With as many decimals as weights have; a product of weights may have more, and is then rounded.
pub fn percent(numerator: u128, denominator: u128) -> String {
    let percent = format!("{:.2}", numerator as f64 * 100.0 / denominator as f64);
    format!("{}%", percent.trim_end_matches('0').trim_end_matches('.'))
}

/// A time, in seconds where it is whole ones.
pub fn milliseconds(timeout: Option<u32>) -> String {
    match timeout {
        None => "none".to_owned(),
        Some(ms) if ms % 1000 == 0 => format!("{}s", ms / 1000),
        Some(ms) => format!("{ms}ms"),
    }
}

/// How often is tried again.
pub fn retries(count: u32) -> String {
    if count == 0 { "none".to_owned() } else { count.to_string() }
}
