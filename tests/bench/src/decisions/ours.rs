//! Requests as our proxies ask them.

use super::mesh::{host, identity};
use super::workload::{Answer, Request, Workload};
use mesh_engine::callee;
use mesh_engine::{
    Action, Claim, ClaimValue, Decision, Entry, Method, Moment, Peer, Resolved, Token, decide, decide_at,
};
use mesh_plan::PlanView;

/// A request with all that a proxy knows of its connection.
pub struct Asked<'a> {
    pub request: &'a Request,
    identity: Option<String>,
    host: String,
    /// Where it arrives.
    service: u32,
    /// What the proxy of who asks keeps where the host says whom it calls.
    hosts: Option<Resolved>,
    /// What its own proxy and that of the service asked keep with a connection.
    calls: Option<Resolved>,
    arrives: Resolved,
    headers: Vec<(&'a str, &'a str)>,
    claims: Vec<Claim<'a>>,
}

/// What is asked, and what is known of source and target beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// At the callee: who may call. Peer and port are known.
    Arrives,
    /// The same from the peer's SPIFFE ID.
    ArrivesNamed,
    /// At the caller's proxy: its call, the callee's route, who may call. Caller and call are known.
    Calls,
    /// The same from the host's name.
    CallsNamed,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::Arrives, Way::ArrivesNamed, Way::Calls, Way::CallsNamed];

    pub fn name(self) -> &'static str {
        match self {
            Way::Arrives => "authorize, peer known",
            Way::ArrivesNamed => "authorize, from SPIFFE ID",
            Way::Calls => "call + route + authorize, known",
            Way::CallsNamed => "call + route + authorize, from host",
        }
    }
}

impl<'a> Asked<'a> {
    pub fn new(request: &'a Request, workload: &Workload, view: &PlanView) -> Asked<'a> {
        let target = &workload.services[request.target];
        let source = request.source.map(|source| &workload.services[source]);
        let index = |service| view.service_by_name(&host(service)).expect("a service").index();
        let claim = |(name, value): &'a (&'static str, String)| Claim {
            pointer: if *name == "tier" { "/tier" } else { "/department" },
            value: ClaimValue::Text(value),
        };
        let (service, caller) = (index(target), source.map(index));
        let call = caller.and_then(|caller| Some((caller, callee(view, caller, &host(target), None)?)));
        let principal = source.and_then(|source| view.principal_by_identity(&identity(source)));
        let peer = principal.map_or(Peer::Unauthenticated, Peer::Known);
        Asked {
            request,
            identity: source.map(identity),
            host: host(target),
            service,
            hosts: caller
                .map(|service| Resolved::of(view, Entry::Sidecar { service }, Peer::Unauthenticated)),
            calls: call.map(|(service, call)| {
                Resolved::of(view, Entry::Call { service, call }, Peer::Unauthenticated)
            }),
            arrives: Resolved::of(view, Entry::Inbound { service, port: 0 }, peer),
            headers: request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect(),
            claims: request.claims.iter().map(claim).collect(),
        }
    }

    /// Whether it can be asked so: somebody has to call.
    pub fn can(&self, way: Way) -> bool {
        matches!(way, Way::Arrives | Way::ArrivesNamed) || self.calls.is_some()
    }

    #[inline(never)]
    pub fn decide<'p>(&self, view: &'p PlanView, way: Way) -> Decision<'p> {
        let tokens = [Token { issuer: "sso", claims: &self.claims }];
        let headers = self.headers.as_slice();
        let request = mesh_engine::Request {
            method: Method::from_token(self.request.method),
            host: &self.host,
            host_port: None,
            path: &self.request.path,
            query: "",
            headers: &headers,
            source_ip: std::net::Ipv4Addr::LOCALHOST.into(),
            caller_ip: Some(std::net::Ipv4Addr::LOCALHOST.into()),
            client_ip: None,
            tokens: &tokens,
        };
        let moment = Moment { dice: 7 };
        match way {
            Way::Arrives => decide_at(view, &self.arrives, &request, moment),
            Way::ArrivesNamed => {
                let arrives = Entry::Inbound { service: self.service, port: 0 };
                let peer = self.identity.as_deref().map_or(Peer::Unauthenticated, Peer::Identity);
                decide(view, arrives, peer, &request, moment)
            }
            Way::Calls => decide_at(view, self.calls.as_ref().unwrap_or(&self.arrives), &request, moment),
            Way::CallsNamed => {
                decide_at(view, self.hosts.as_ref().unwrap_or(&self.arrives), &request, moment)
            }
        }
    }

    /// The answer, with the version only where a route was asked.
    pub fn answer(&self, view: &PlanView, way: Way) -> Answer {
        match self.decide(view, way).action {
            Action::Forward(_) if matches!(way, Way::Arrives | Way::ArrivesNamed) => Answer::Version(0),
            Action::Forward(forward) => Answer::Version(match forward.subset.as_str() {
                "v1" => 1,
                "v2" => 2,
                _ => 0,
            }),
            _ => Answer::Denied,
        }
    }
}
