//! Requests as our proxies ask them.

use super::mesh::{host, identity};
use super::workload::{Answer, Request, Workload};
use mesh_engine::{Action, Claim, ClaimValue, Decision, Entry, Method, Moment, Peer, Token, callee, decide};
use mesh_plan::PlanView;

/// A request with all that a proxy knows of its connection.
pub struct Asked<'a> {
    pub request: &'a Request,
    identity: Option<String>,
    host: String,
    /// Where it arrives.
    service: u32,
    /// Who asks: as a principal, as a service, and by which of its calls.
    principal: Option<u32>,
    caller: Option<u32>,
    call: Option<u32>,
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
        let caller = source.map(index);
        let claim = |(name, value): &'a (&'static str, String)| Claim {
            pointer: if *name == "tier" { "/tier" } else { "/department" },
            value: ClaimValue::Text(value),
        };
        Asked {
            request,
            identity: source.map(identity),
            host: host(target),
            service: index(target),
            principal: source.and_then(|source| view.principal_by_identity(&identity(source))),
            caller,
            call: caller.and_then(|caller| callee(view, caller, &host(target), None)),
            headers: request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect(),
            claims: request.claims.iter().map(claim).collect(),
        }
    }

    /// Whether it can be asked so: somebody has to call.
    pub fn can(&self, way: Way) -> bool {
        matches!(way, Way::Arrives | Way::ArrivesNamed) || self.call.is_some()
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
            client_ip: None,
            tokens: &tokens,
        };
        let arrives = Entry::Inbound { service: self.service, port: 0 };
        let service = self.caller.unwrap_or_default();
        let nobody = Peer::Unauthenticated;
        let (entry, peer) = match way {
            Way::Arrives => (arrives, self.principal.map_or(nobody, Peer::Known)),
            Way::ArrivesNamed => (arrives, self.identity.as_deref().map_or(nobody, Peer::Identity)),
            Way::Calls => (Entry::Call { service, call: self.call.unwrap_or_default() }, nobody),
            Way::CallsNamed => (Entry::Sidecar { service }, nobody),
        };
        decide(view, entry, peer, &request, Moment { dice: 7 })
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
