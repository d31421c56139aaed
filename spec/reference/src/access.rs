//! Sections 4 and 12: authorization, guardrails and what is told of a request.

use crate::Question;
use crate::identity::{Peer, Principal};
use crate::line::Line;
use std::collections::BTreeSet;

/// A line about one target.
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
    /// 12.4: of one that asks, where and what.
    pub(crate) asks: Option<Asked>,
}

/// 12.4: a question to somebody else.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Full name.
    pub(crate) service: String,
    pub(crate) port: u16,
    /// What arrives there: of gRPC one request, of HTTP those that are asked about.
    pub(crate) requests: Vec<Line>,
}

/// What a line does with the requests that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
    /// 12.1: as `Deny`, of a guardrail.
    Guard,
    /// 10.16: let in, whatever the lines of its service say.
    Probe,
    /// 4.7: it is told.
    Audit,
    /// 4.8: allowed where nothing else is said, and told.
    Mode,
    /// 12.3: told where it would be denied.
    WouldDeny,
    /// 12.4: somebody is asked, whose name is the text.
    Ask,
}

/// 2.4: the peers that are in one of `principals` and in none of `except`.
#[derive(Clone, Debug)]
pub(crate) struct From {
    pub(crate) principals: Vec<Principal>,
    pub(crate) except: Vec<Principal>,
}

/// What the lines of a target say of a request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// The texts of the lines that deny it.
    pub(crate) denials: BTreeSet<String>,
    /// 10.16: the probe that lets it in.
    pub(crate) probe: Option<String>,
    /// 4.7, 4.8
    pub(crate) told: Vec<String>,
    /// 12.4: who is asked, in order.
    pub(crate) asks: Vec<String>,
}

/// 4.1, 4.7, 4.8, 10.16
pub(crate) fn authorize(lines: &[AccessLine], port: Option<u16>, peer: &Peer, request: &Question) -> Verdict {
    let texts = |effects: &[Effect]| -> BTreeSet<String> {
        let matching =
            lines.iter().filter(|line| effects.contains(&line.effect) && line.matches(port, peer, request));
        matching.map(|line| line.text.clone()).collect()
    };
    let audits = || texts(&[Effect::Audit, Effect::WouldDeny]);
    if let (Some(probe), true) = (texts(&[Effect::Probe]).pop_first(), texts(&[Effect::Guard]).is_empty()) {
        let told = audits().into_iter().collect();
        return Verdict { allowed: true, probe: Some(probe), told, ..Verdict::default() };
    }
    let denials = texts(&[Effect::Deny, Effect::Guard]);
    let is_allowed = !texts(&[Effect::Allow]).is_empty();
    let mode = if denials.is_empty() && !is_allowed { texts(&[Effect::Mode]) } else { BTreeSet::new() };
    let allowed = denials.is_empty() && (is_allowed || !mode.is_empty());
    let asks = if allowed { texts(&[Effect::Ask]) } else { BTreeSet::new() };
    Verdict {
        allowed,
        denials,
        asks: asks.into_iter().collect(),
        told: mode.into_iter().chain(audits()).collect(),
        probe: None,
    }
}

impl AccessLine {
    fn matches(&self, port: Option<u16>, peer: &Peer, request: &Question) -> bool {
        self.is_about(port) && self.is_from(peer) && self.ops.iter().any(|op| op.matches(request))
    }

    /// 4.4
    pub(crate) fn is_about(&self, port: Option<u16>) -> bool {
        self.port.is_none() || self.port == port
    }

    pub(crate) fn is_from(&self, peer: &Peer) -> bool {
        let refuses = matches!(self.effect, Effect::Deny | Effect::Guard | Effect::WouldDeny);
        self.from.as_ref().is_none_or(|from| from.contains(refuses, peer))
    }
}

impl From {
    /// 2.4, and 4.3: a `deny` that names identities also matches a peer without one, unless it says otherwise.
    fn contains(&self, refuses: bool, peer: &Peer) -> bool {
        if self.except.iter().any(|principal| principal.contains(peer)) {
            return false;
        }
        let is_doubtful = refuses
            && *peer == Peer::Unauthenticated
            && self.principals.iter().any(Principal::names_identities);
        is_doubtful || self.principals.iter().any(|principal| principal.contains(peer))
    }
}
