//! What can come of a request, over all draws, and whether that is what a test expects.

use mesh_compiler::case::wording::{expected, milliseconds, percent, retries};
use mesh_compiler::case::{Expectation, Request, redirect_text};
use mesh_engine::{Action, Decision, Distribution, Refusal};
use mesh_plan::{NONE, PlanView};
use std::collections::{BTreeMap, BTreeSet};

/// Basis points of certainty.
const WHOLE: u128 = 10_000;

/// All that can come of a request.
pub(super) struct Seen<'p> {
    /// Each end with its probability and the rules that lead there.
    ends: BTreeMap<End, Way>,
    /// Timeouts of the forwarded draws, in milliseconds.
    timeouts: BTreeSet<Option<u32>>,
    /// Retries of the forwarded draws.
    retries: BTreeSet<u32>,
    /// What is done to the request besides, of the forwarded draws.
    edits: BTreeSet<Vec<mesh_plan::Edit>>,
    distribution: &'p Distribution<'p>,
}

/// Where a request ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::commands) enum End {
    /// At endpoints; subset is [`NONE`] where all are meant. The text is what a user would write.
    Backend { service: u32, port: u32, subset: u32, text: String },
    /// An answer of the proxy.
    Refused { status: u16, text: String },
    /// A redirect.
    Redirected { status: u16, location: String },
    /// An answer that a rule gives.
    Answered { status: u16 },
}

/// How a request gets to an end.
#[derive(Default)]
struct Way {
    numerator: u128,
    rules: BTreeSet<String>,
}

impl<'p> Seen<'p> {
    pub(super) fn of(view: &PlanView, distribution: &'p Distribution<'p>) -> Seen<'p> {
        let mut seen = Seen {
            ends: BTreeMap::new(),
            timeouts: BTreeSet::new(),
            retries: BTreeSet::new(),
            edits: BTreeSet::new(),
            distribution,
        };
        for possible in &distribution.possible {
            if let Action::Forward(forward) = &possible.decision.action {
                seen.timeouts.insert(forward.timeout());
                seen.retries.insert(forward.retry().map_or(0, |retry| retry.count));
            }
            if matches!(possible.decision.action, Action::Forward(_)) {
                seen.edits.insert(edits(view, &possible.decision));
            }
            let way = seen.ends.entry(end(view, &possible.decision)).or_default();
            way.numerator += possible.numerator;
            way.rules.insert(possible.decision.rule.to_string());
        }
        seen
    }

    /// What was expected and what came instead; `None` if they are the same.
    pub(super) fn contradiction(&self, request: &Request) -> Option<(String, String)> {
        if !self.fulfils(&request.expect) {
            return Some((expected(&request.expect), self.ends()));
        }
        if let Some(timeout) = request.timeout
            && self.timeouts.iter().any(|seen| *seen != timeout)
        {
            let seen: Vec<_> = self.timeouts.iter().map(|seen| milliseconds(*seen)).collect();
            return Some((format!("timeout {}", milliseconds(timeout)), seen.join(" or ")));
        }
        if let Some(retry) = request.retry
            && self.retries.iter().any(|seen| *seen != retry)
        {
            let seen: Vec<_> = self.retries.iter().map(|seen| retries(*seen)).collect();
            return Some((format!("retry {}", retries(retry)), seen.join(" or ")));
        }
        self.edits.iter().find_map(|edits| request.besides.contradiction(edits))
    }

    /// Which rule leads to which end.
    pub(super) fn reasons(&self) -> Vec<String> {
        let reason = |(end, way): (&End, &Way)| {
            let rules: Vec<_> =
                way.rules.iter().filter(|rule| !rule.is_empty()).map(|rule| format!("`{rule}`")).collect();
            (!rules.is_empty()).then(|| format!("{end} because of {}", rules.join(" and ")))
        };
        self.ends.iter().filter_map(reason).collect()
    }

    fn fulfils(&self, expectation: &Expectation) -> bool {
        let every = |is: &dyn Fn(&End) -> bool| self.ends.keys().all(is);
        match expectation {
            Expectation::Allow => every(&|end| matches!(end, End::Backend { .. })),
            Expectation::Deny => every(&|end| end.answer() == Some(403)),
            Expectation::Status(status) => every(&|end| end.answer() == Some(*status)),
            Expectation::Redirect { location, status } => every(
                &|end| matches!(end, End::Redirected { status: s, location: l } if s == status && l == location),
            ),
            Expectation::Backends(backends) => {
                let expected: BTreeMap<_, _> = backends
                    .iter()
                    .filter(|backend| backend.weight > 0)
                    .map(|backend| {
                        (
                            (backend.service, backend.port, backend.subset),
                            fraction(u128::from(backend.weight), WHOLE),
                        )
                    })
                    .collect();
                let seen: Option<BTreeMap<_, _>> = self
                    .ends
                    .iter()
                    .map(|(end, way)| {
                        Some((end.backend()?, fraction(way.numerator, self.distribution.denominator)))
                    })
                    .collect();
                seen == Some(expected)
            }
        }
    }

    fn ends(&self) -> String {
        let certain = self.ends.len() == 1;
        let mut ends: Vec<_> = self.ends.iter().collect();
        ends.sort_by_key(|(_, way)| std::cmp::Reverse(way.numerator));
        let ends: Vec<_> = ends
            .into_iter()
            .map(|(end, way)| match certain {
                true => end.to_string(),
                false => format!("{end} {}", percent(way.numerator, self.distribution.denominator)),
            })
            .collect();
        ends.join(", ")
    }
}

impl End {
    fn backend(&self) -> Option<(u32, u32, u32)> {
        match self {
            End::Backend { service, port, subset, .. } => Some((*service, *port, *subset)),
            _ => None,
        }
    }

    /// The status of an answer that is not a service's.
    fn answer(&self) -> Option<u16> {
        match self {
            End::Backend { .. } => None,
            End::Refused { status, .. } | End::Redirected { status, .. } | End::Answered { status } => {
                Some(*status)
            }
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Backend { text, .. } => write!(f, "`{text}`"),
            End::Refused { status, text } => write!(f, "{status} ({text})"),
            End::Redirected { status, location } => write!(f, "a redirect to `{location}` with {status}"),
            End::Answered { status } => write!(f, "{status}"),
        }
    }
}

/// What the rules on the way do besides.
fn edits(view: &PlanView, decision: &Decision<'_>) -> Vec<mesh_plan::Edit> {
    decision.edited.edits(view).map(mesh_plan::decode::to_edit).collect()
}

/// Where a decision leads.
pub(in crate::commands) fn end(view: &PlanView, decision: &Decision<'_>) -> End {
    match &decision.action {
        Action::Forward(forward) => End::Backend {
            service: forward.service_index,
            port: forward.port,
            subset: forward.subset_index,
            text: backend_text(view, forward),
        },
        Action::Refuse(refusal) => {
            End::Refused { status: refusal.status(), text: refusal_text(refusal, &decision.rule) }
        }
        Action::Redirect { status, location } => {
            let location = match *location {
                "" => redirect_text(&edits(view, decision)),
                location => location.to_owned(),
            };
            End::Redirected { status: *status, location }
        }
        Action::Respond { status, .. } => End::Answered { status: *status },
    }
}

/// As a user in the default namespace would write it.
fn backend_text(view: &PlanView, forward: &mesh_engine::Forward<'_>) -> String {
    let mut text = short(&forward.service).to_owned();
    if forward.subset_index != NONE {
        text = format!("{text}:{}", forward.subset);
    }
    match view.service(forward.service_index).and_then(|service| service.port(forward.port)) {
        Some(port) if !port.name().is_empty() => format!("{text} port {}", port.name()),
        _ => text,
    }
}

fn short(name: &str) -> &str {
    name.strip_suffix(".default").unwrap_or(name)
}

fn refusal_text(refusal: &Refusal<'_>, rule: &str) -> String {
    match refusal {
        Refusal::Denied { by } if rule.is_empty() => format!("no `allow` of `{}` covers it", short(by)),
        Refusal::Denied { by } => format!("denied by `{}`", short(by)),
        Refusal::UndeclaredCall => "the caller declares no such call".to_owned(),
        Refusal::NoRoute => "no rule matches".to_owned(),
        Refusal::Broken => "the plan contradicts itself".to_owned(),
    }
}

/// In lowest terms, so that equal fractions are equal pairs; multiplying out would overflow.
fn fraction(numerator: u128, denominator: u128) -> (u128, u128) {
    let (mut a, mut b) = (numerator, denominator);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (numerator / a.max(1), denominator / a.max(1))
}
