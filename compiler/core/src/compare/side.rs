//! One of the two plans: what its leaves mean, said so that it is the same in both plans where it is the same.

use super::said;
use crate::check::duration;
use mesh_plan::{
    Action, Backend, Counting, Edit, NONE, Outcome, Plan, PlanView, Port, REFUSED, RateLimit, Service,
    Settings, Target,
};

/// A plan, as values and as a view that reads requests as the engine does.
pub(super) struct Side<'p> {
    pub(super) view: &'p PlanView,
    pub(super) plan: Plan,
}

/// What a decision says, without the name of the rule that says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    /// Nobody said anything: denied, no route, no declared call.
    Nothing,
    Verdict {
        allow: bool,
        audit: String,
        /// Who has to agree besides, as it is asked.
        asks: Vec<String>,
    },
    Route(Route),
    /// A declared call, with what it sets.
    Call(Vec<String>),
}

/// What a route does with a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    /// `reviews:v1 90%, reviews:v2 10%`
    pub(super) to: String,
    /// Timeouts, retries and what else a rule does, one each.
    pub(super) settings: Vec<String>,
}

impl Side<'_> {
    pub(super) fn of(view: &PlanView) -> Side<'_> {
        Side { view, plan: view.to_plan() }
    }

    pub(super) fn service(&self, name: &str) -> Option<(u32, &Service)> {
        let index = self.plan.services.binary_search_by(|service| service.name.as_str().cmp(name)).ok()?;
        Some((index as u32, &self.plan.services[index]))
    }

    pub(super) fn port(&self, service: u32, port: u32) -> &Port {
        &self.plan.services[service as usize].ports[port as usize]
    }

    /// `reviews.shop`, and ` port 9080` where there are several.
    pub(super) fn port_name(&self, service: u32, port: u32) -> String {
        let own = &self.plan.services[service as usize];
        match own.ports.as_slice() {
            [_] => own.name.clone(),
            ports => format!("{} port {}", own.name, ports[port as usize].number),
        }
    }

    /// What the authorization's leaf means.
    pub(super) fn verdict(&self, leaf: u32) -> Meaning {
        match self.plan.verdicts.get(leaf as usize) {
            Some(verdict) => Meaning::Verdict {
                allow: verdict.allow,
                audit: verdict.audit.clone(),
                asks: match verdict.probe {
                    true => vec!["of the node alone, without tokens, rate limits and checks".to_owned()],
                    false => {
                        verdict.asks.iter().map(|own| format!("ext-authz {}", self.authority(*own))).collect()
                    }
                },
            },
            // Denied by default or by a line: the same becomes of the request.
            None => Meaning::Verdict { allow: false, audit: String::new(), asks: vec![] },
        }
    }

    /// `corp at opa.shop timeout 200ms on-failure deny`
    fn authority(&self, index: u32) -> String {
        let Some(own) = self.plan.authorities.get(index as usize) else { return String::new() };
        let on_failure = if own.lets_in_on_failure { "allow" } else { "deny" };
        format!(
            "{} at {} timeout {} on-failure {on_failure}",
            own.name,
            self.port_name(own.service, own.port),
            duration(u64::from(own.timeout))
        )
    }

    /// What the route's leaf means.
    pub(super) fn route(&self, leaf: u32) -> Meaning {
        let Some(outcome) = self.plan.outcomes.get(leaf as usize) else { return Meaning::Nothing };
        let to = match &outcome.action {
            Action::Forward(backends) => {
                let drawn = backends.iter().filter(|backend| backend.weight > 0);
                let drawn: Vec<&Backend> = drawn.collect();
                let said = drawn.iter().map(|backend| match drawn.len() {
                    1 => self.destination(backend),
                    _ => format!("{} {}", self.destination(backend), percent(backend.weight)),
                });
                said.collect::<Vec<_>>().join(", ")
            }
            Action::Redirect { status, location } if location.is_empty() => {
                format!("a redirect with {status}")
            }
            Action::Redirect { status, location } => format!("a redirect to {location} with {status}"),
            Action::Respond { status, body } if body.is_empty() => format!("{status}"),
            Action::Respond { status, body } => format!("{status} {body:?}"),
        };
        Meaning::Route(Route { to, settings: self.of_outcome(outcome) })
    }

    /// What the leaf of a call means.
    pub(super) fn call(&self, leaf: u32) -> Meaning {
        let Some(grant) = self.plan.grants.get(leaf as usize) else { return Meaning::Nothing };
        let levels = [grant.op_settings, grant.settings];
        Meaning::Call(said::settings(levels.into_iter().filter_map(|level| self.settings(level))))
    }

    /// The line of the authorization, or the rule of the route, that a leaf is of; empty where there is none.
    pub(super) fn line(&self, what: What, leaf: u32) -> &str {
        match what {
            What::Access => self.plan.verdicts.get(leaf as usize).map_or("", |verdict| &verdict.rule),
            What::Route => self.plan.outcomes.get(leaf as usize).map_or("", |outcome| &outcome.rule),
            What::Call => "",
        }
    }

    pub(super) fn meaning(&self, what: What, leaf: u32) -> Meaning {
        match what {
            What::Access => self.verdict(leaf),
            What::Route => self.route(leaf),
            What::Call => self.call(leaf),
        }
    }

    fn settings(&self, index: u32) -> Option<&Settings> {
        if index == NONE { None } else { self.plan.settings.get(index as usize) }
    }

    /// `reviews:v1`; where its own route decides further, the service alone.
    fn destination(&self, backend: &Backend) -> String {
        let subset = self.plan.services[backend.service as usize].subsets.get(backend.subset as usize);
        let subset = subset.map_or(String::new(), |subset| format!(":{subset}"));
        format!("{}{subset}", self.port_name(backend.service, backend.port))
    }

    /// 6.1: what is in force behind a rule, as far as it does not depend on who calls; then what else the rule does.
    fn of_outcome(&self, outcome: &Outcome) -> Vec<String> {
        let mut said = Vec::new();
        let own = || self.settings(outcome.settings);
        match &outcome.action {
            Action::Forward(backends) => {
                let mut of_each = backends.iter().filter(|backend| backend.weight > 0).map(|backend| {
                    let service = &self.plan.services[backend.service as usize];
                    // A service that is entered has its own rules before its settings count.
                    let wider = [service.settings, self.plan.default_settings];
                    let wider = wider.into_iter().filter(|_| !backend.enter);
                    let levels = own().into_iter().chain(wider.filter_map(|level| self.settings(level)));
                    (self.destination(backend), said::settings(levels))
                });
                let all: Vec<(String, Vec<String>)> = of_each.by_ref().collect();
                if let [(_, first), rest @ ..] = all.as_slice()
                    && rest.iter().all(|(_, other)| other == first)
                {
                    said.extend(first.iter().cloned());
                } else {
                    let each = all.into_iter();
                    said.extend(each.map(|(name, settings)| format!("{name}: {}", settings.join(", "))));
                }
            }
            Action::Redirect { .. } | Action::Respond { .. } => {}
        }
        said.extend(outcome.edits.iter().map(|edit| self.edit(edit)));
        said
    }

    fn rate_limit(&self, limit: &RateLimit) -> String {
        let keys = [
            (limit.by_source, " per source"),
            (limit.by_source_ip, " per source-ip"),
            (limit.by_client_ip, " per client-ip"),
        ];
        let keys: String = keys.iter().filter(|(is_one, _)| *is_one).map(|(_, key)| *key).collect();
        let by_headers = match limit.by_headers.as_str() {
            "" => String::new(),
            names => format!(" per header {names}"),
        };
        let audit = if limit.audit { " audit" } else { "" };
        let (count, per) = (limit.count, duration(limit.per.into()));
        match limit.counting {
            Counting::Local { burst } => {
                format!("rate-limit local {count} in {per} burst {burst}{keys}{by_headers}{audit}")
            }
            Counting::Global { by } => {
                let by = self.authority(by);
                format!("rate-limit global {count} in {per}{keys}{by_headers} by {by}{audit}")
            }
        }
    }

    /// An edit as the language writes it.
    pub(super) fn edit(&self, edit: &Edit) -> String {
        match edit {
            Edit::Path(path) => format!("rewrite path {path}"),
            Edit::Prefix { from, to } => format!("rewrite prefix {from}/ to {to}/"),
            Edit::Host(host) => format!("rewrite host {host:?}"),
            Edit::Scheme(scheme) => format!("scheme {scheme}"),
            Edit::SetRequestHeader(name, value) => format!("request-header set {name:?} {value:?}"),
            Edit::AddRequestHeader(name, value) => format!("request-header add {name:?} {value:?}"),
            Edit::RemoveRequestHeader(name) => format!("request-header remove {name:?}"),
            Edit::SetResponseHeader(name, value) => format!("response-header set {name:?} {value:?}"),
            Edit::AddResponseHeader(name, value) => format!("response-header add {name:?} {value:?}"),
            Edit::RemoveResponseHeader(name) => format!("response-header remove {name:?}"),
            Edit::Delay { delay, share } => {
                format!("fault delay {} {}", duration((*delay).into()), percent(*share))
            }
            Edit::Abort { status, share } => format!("fault abort {status} {}", percent(*share)),
            Edit::Mirror { service, port, subset, share } => {
                let to = Backend { service: *service, port: *port, subset: *subset, enter: false, weight: 0 };
                format!("mirror {} {}", self.destination(&to), percent(*share))
            }
            Edit::MaxRequestBody(bytes) => format!("max-request-body {bytes}B"),
            Edit::RateLimit(limit) => self.rate_limit(limit),
            Edit::Cors(cors) => said::cors(cors),
            Edit::PreflightAge(seconds) => format!("max-age {}", duration(u64::from(*seconds) * 1_000)),
            Edit::WebSocket => "upgrade websocket".to_owned(),
            Edit::DecodeSlashes => "encoded-slashes decode".to_owned(),
            Edit::StripParameters => "path-parameters strip".to_owned(),
        }
    }
}

/// Which of the decisions of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    Access,
    Route,
    Call,
}

/// A decision of a plan: the partition and where it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    /// [`NONE`] where there is nothing to ask.
    pub(super) partition: u32,
    pub(super) target: Target,
}

impl Root {
    /// Nobody says anything.
    pub(super) const NOTHING: Root = Root { partition: NONE, target: Target::Leaf(REFUSED) };
}

/// Basis points.
pub(super) fn percent(share: u32) -> String {
    format!("{}%", f64::from(share) / 100.0)
}
