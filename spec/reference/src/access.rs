//! Section 4: authorization.

use crate::identity::{Peer, Principal};
use crate::line::{Line, Request};
use mesh_lang::ast::Effect;
use std::collections::BTreeSet;

/// An `allow` or `deny` line of one target.
#[derive(Clone, Debug)]
pub(crate) struct AccessLine {
    pub(crate) effect: Effect,
    /// `None`: everyone.
    pub(crate) from: Option<From>,
    /// 4.4: only this port.
    pub(crate) port: Option<u16>,
    /// One for each op and method.
    pub(crate) ops: Vec<Line>,
    /// 4.5
    pub(crate) text: String,
}

/// 2.4: the peers that are in one of `principals` and in none of `except`.
#[derive(Clone, Debug)]
pub(crate) struct From {
    pub(crate) principals: Vec<Principal>,
    pub(crate) except: Vec<Principal>,
}

/// 4.1: allowed, or denied because of these lines.
pub(crate) fn authorize(
    lines: &[AccessLine],
    port: Option<u16>,
    peer: &Peer,
    request: &Request,
) -> Result<(), BTreeSet<String>> {
    let matching = |effect: Effect| {
        lines.iter().filter(move |line| line.effect == effect && line.matches(port, peer, request))
    };
    let denials: BTreeSet<String> = matching(Effect::Deny).map(|line| line.text.clone()).collect();
    if denials.is_empty() && matching(Effect::Allow).next().is_some() { Ok(()) } else { Err(denials) }
}

impl AccessLine {
    pub(crate) fn matches(&self, port: Option<u16>, peer: &Peer, request: &Request) -> bool {
        (self.port.is_none() || self.port == port)
            && self.from.as_ref().is_none_or(|from| from.contains(self.effect, peer))
            && self.ops.iter().any(|op| op.matches(request))
    }
}

impl From {
    /// 2.4, and 4.3: a `deny` that names identities also matches a peer without one, unless it says otherwise.
    fn contains(&self, effect: Effect, peer: &Peer) -> bool {
        if self.except.iter().any(|principal| principal.contains(peer)) {
            return false;
        }
        let is_doubtful = effect == Effect::Deny
            && *peer == Peer::Unauthenticated
            && self.principals.iter().any(Principal::names_identities);
        is_doubtful || self.principals.iter().any(|principal| principal.contains(peer))
    }
}
