//! Forward, refuse, redirect or respond, and because of which rule.

use crate::edits::Edited;
use crate::settled::Settled;
use mesh_plan::PlanView;
use mesh_plan::view::{Authority, Text};

/// The decision about one request. Borrows from the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision<'p> {
    /// What to do.
    pub action: Action<'p>,
    /// The rule that decided: of the last route that was asked, of the authorization that refused, or the probe that lets it in. Empty where
    /// there is none (no route, denied by default, undeclared call).
    pub rule: Text<'p>,
    /// The owner of what refused, if the plan names one; else empty.
    pub owner: Text<'p>,
    /// What the rules passed on the way change.
    pub edited: Edited,
    /// What the authorizations of the gateway and of the service tell of the request besides, for logs: a line of text for
    /// each `audit`, and for each `mode audit` that let it through. Empty where there is nothing.
    pub audit: [Text<'p>; 2],
    /// If somebody has to agree before it is done: the index of the verdict that says who ([`Decision::asks`]); else [`mesh_plan::NONE`]. Only
    /// the proxy of the service or gateway that authorizes asks.
    pub asked_by: u32,
    /// Whether it is let in as what the node asks (`probe`): without tokens, and not counted by rate limits.
    pub is_probe: bool,
}

impl Decision<'_> {
    /// Who has to agree before it is done, in the order in which they are asked. Of what is refused nobody is asked.
    pub fn asks<'p>(&self, plan: &'p PlanView) -> impl Iterator<Item = Authority<'p>> + use<'p> {
        let asked_by = if matches!(self.action, Action::Refuse(_)) { mesh_plan::NONE } else { self.asked_by };
        let asked = plan.verdict(asked_by).into_iter().flat_map(|verdict| verdict.asks().iter());
        asked.filter_map(|index| plan.authority(index))
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action<'p> {
    /// Send it to an endpoint of the destination.
    Forward(Forward<'p>),
    /// Answer with a status and no more.
    Refuse(Refusal<'p>),
    /// Answer with a redirect; the request's query is appended to `location`.
    Redirect {
        /// 3xx
        status: u16,
        /// Path or URL; empty: the URL that was asked for, with the edits.
        location: &'p str,
    },
    /// Answer at once.
    Respond {
        /// 200–599
        status: u16,
        /// May be empty.
        body: &'p str,
    },
}

/// A destination and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forward<'p> {
    /// `name.namespace` of the service that owns the endpoints.
    pub service: Text<'p>,
    /// Its index in the plan: the key of pools and budgets, together with `port`.
    pub service_index: u32,
    /// Index of its port.
    pub port: u32,
    /// The subset's name, or empty.
    pub subset: Text<'p>,
    /// The subset's index, or [`mesh_plan::NONE`].
    pub subset_index: u32,
    /// Timeouts, retries, and how an endpoint is chosen.
    pub settled: Settled<'p>,
}

impl<'p> Forward<'p> {
    /// Straight to a port of a service, by what that service itself says, as a proxy sends what nobody asked it for. `None`: there is no
    /// such port.
    pub fn straight(plan: &'p PlanView, service_index: u32, port: u32) -> Option<Forward<'p>> {
        let service = plan.service(service_index)?;
        service.port(port)?;
        Some(Forward {
            service: service.name_text(),
            service_index,
            port,
            subset: Text::EMPTY,
            subset_index: mesh_plan::NONE,
            settled: Settled::of(plan).at(service_index),
        })
    }

    /// Total timeout in milliseconds.
    pub fn timeout(&self) -> Option<u32> {
        self.settled.timeout()
    }

    /// How long a connection may take to be made, in milliseconds.
    pub fn connect_timeout(&self) -> Option<u32> {
        self.settled.connect_timeout()
    }

    /// How long it may be silent, in milliseconds.
    pub fn idle_timeout(&self) -> Option<u32> {
        self.settled.idle_timeout()
    }

    /// The load balancer's index in the plan, or [`mesh_plan::NONE`].
    pub fn balancer(&self) -> u32 {
        self.settled.balancer()
    }

    /// The levels of settings that limit what is under way or leave endpoints out, by index in the plan, or [`mesh_plan::NONE`]: the
    /// `calls … to`, the `calls`, and the service.
    pub fn limits(&self) -> [u32; 3] {
        self.settled.limits()
    }

    /// `name.namespace` of the service that makes the call, whose own limits are the first two of [`Forward::limits`]; `None` where a gateway
    /// sends it.
    pub fn caller(&self) -> Option<Text<'p>> {
        self.settled.caller()
    }

    /// The retry policy.
    pub fn retry(&self) -> Option<Retry<'p>> {
        self.settled.retry()
    }
}

/// A retry policy in force.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retry<'p> {
    /// Retries after the first try.
    pub count: u32,
    /// No connection was made.
    pub on_connect_failure: bool,
    /// The connection broke before a response head.
    pub on_reset: bool,
    /// The per-try timeout passed.
    pub on_timeout: bool,
    /// Bit i is method atom i.
    pub methods: u8,
    /// Milliseconds.
    pub per_try_timeout: Option<u32>,
    /// Milliseconds; both 0: no wait.
    pub backoff_base: u32,
    /// Milliseconds.
    pub backoff_cap: u32,
    /// Body bytes kept to be sent again.
    pub buffer: u32,
    /// The budget, if one is declared.
    pub budget: Option<mesh_plan::Budget>,
    /// Little-endian u16 words as they stand in the plan; ask [`Retry::on_status`].
    pub statuses: &'p [u8],
}

impl Retry<'_> {
    /// Whether a response with this status is to be retried.
    pub fn on_status(&self, status: u16) -> bool {
        self.statuses.as_chunks::<2>().0.iter().any(|word| u16::from_le_bytes(*word) == status)
    }

    /// Whether the method may be sent again after something of the request may have arrived.
    pub fn allows_method(&self, method: crate::request::Method) -> bool {
        self.methods & (1 << (method as u8)) != 0
    }
}

/// Why there is no answer from a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal<'p> {
    /// 403: an authorization said no; `by` is `name.namespace` of the service or gateway that did.
    Denied {
        /// Who refused.
        by: Text<'p>,
    },
    /// 403: the calling service declares no such call.
    UndeclaredCall,
    /// 404: no rule matches.
    NoRoute,
    /// 500: the plan contradicts itself; cannot happen with a verified plan, and refuses if it does.
    Broken,
}

impl Refusal<'_> {
    /// The status to answer.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Denied { .. } | Refusal::UndeclaredCall => 403,
            Refusal::NoRoute => 404,
            Refusal::Broken => 500,
        }
    }
}

/// One possible result of a request and how likely it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Possible<'p> {
    /// The probability is this divided by [`Distribution::denominator`], exactly.
    pub numerator: u128,
    /// The decision.
    pub decision: Decision<'p>,
}

/// All that can happen to a request, over all draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution<'p> {
    /// Sum of the numerators: one for all results of all requests.
    pub denominator: u128,
    /// Sorted by decision. However many draws lead to a decision, it is here once.
    pub possible: Vec<Possible<'p>>,
}
