//! Cases of kind `tls`: certificates and handshakes, at the proxy before a service. A case says in words what a client shows; what is not
//! understood of it is not played.

mod authority;
mod der;
mod fixture;
mod gateway;
mod input;
mod peer;
mod special;

use crate::catalogue::Case;
use crate::expect::Expect;
use crate::fixture::Tools;
use crate::oracles::Before;
use crate::upstream::Plays;
use crate::verdict::Verdict;
use authority::Leaf;
use fixture::Mutual;
use input::{Input, Probe};
use peer::Outcome;
use std::time::Duration;

/// Where everybody may go, where nobody without a certificate, where only `prod`, and where only whom a case's own rule is about.
const OPEN: &str = "/public";
const MTLS_ONLY: &str = "/mtls-only/x";
const PROD_ONLY: &str = "/prod-only/x";
const RULE_ONLY: &str = "/rule-only/x";

/// What has to come of a handshake and what is asked behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody is served.
    Refused,
    /// Whoever is served has no name.
    Nobody,
    /// Whoever is served is not whom the rule is about.
    NoMatch,
    /// Served, as somebody.
    Somebody,
    /// The proxy lives.
    Lives,
}

/// Plays a case; `before`: the input of the one before it, which it may go on about.
pub(crate) fn play(case: &Case, before: Option<&str>, tools: &Tools) -> Verdict {
    if case.input.contains("SNI") {
        let Some(asks) = gateway::read(&case.input) else {
            return Verdict::Skipped(format!("not understood: `{}`", case.input));
        };
        let words = case.expect.split(|character: char| !character.is_ascii_digit());
        let status = words.filter_map(|word| word.parse().ok()).find(|status| (200..600).contains(status));
        return told(gateway::play(&case.id, &asks, status, tools));
    }
    let (fate, processor) = match expected(&case.expect) {
        Some(expected) => expected,
        None => return Verdict::Skipped("what is expected of a handshake is not understood".to_owned()),
    };
    let input = match input::read(&case.input, before) {
        Ok(input) => input,
        Err(why) => return Verdict::Skipped(why),
    };
    let probes = match input {
        Input::Probes(probes) => probes,
        Input::Resumed => return told(special::resumed(&case.id, tools)),
        Input::BrokenCrl => return told(special::broken_crl(&case.id, tools)),
        Input::ByteByByte => return told(special::byte_by_byte(&case.id, tools)),
    };
    let domains = probes.iter().flat_map(Probe::trust_domains).collect();
    let allowed = || probes.iter().filter_map(|probe| probe.rule.as_deref());
    let rule = |id| format!("deny from anyone except identity \"{id}\" to {RULE_ONLY}");
    let rules: Vec<String> = allowed().map(rule).collect();
    let mut mutual = match Mutual::start(&case.id, domains, &rules, tools) {
        Ok(mutual) => mutual,
        Err(why) => return Verdict::Failed(vec![why]),
    };
    let mut wrong = control(&mutual);
    for id in allowed() {
        let outcome = peer::ask(
            mutual.address(),
            &peer::config(Some(&mutual.authority.issue(&Leaf::of(&[id])))),
            RULE_ONLY,
        );
        if outcome != Outcome::Status(200) {
            wrong.push(format!("control: {id} gets {outcome:?} for {RULE_ONLY}"));
        }
    }
    for probe in &probes {
        let found = one(probe, fate, processor, &mut mutual);
        wrong.extend(found.into_iter().map(|wrong| format!("{}: {wrong}", probe.about)));
    }
    wrong.extend(mutual.panics());
    Verdict::of(wrong, vec![])
}

fn told(wrong: Result<Vec<String>, String>) -> Verdict {
    Verdict::of(wrong.unwrap_or_else(|why| vec![why]), vec![])
}

/// What is said of the end, and how much processor time it may take.
fn expected(text: &str) -> Option<(Fate, Option<Duration>)> {
    let lower = text.to_ascii_lowercase();
    let has = |words: &str| lower.contains(words);
    let fate = if has("no spiffe identity") || has("no identity") || has("unauthenticated") {
        Fate::Nobody
    } else if has("no match") {
        Fate::NoMatch
    } else if has("refused") || has("rejected") || has("alert") || has("handshake fail") {
        Fate::Refused
    } else if has("no panic") {
        Fate::Lives
    } else if has("accepted") || has("200") || has("identity is") || has("allowed") {
        Fate::Somebody
    } else {
        return None;
    };
    let words: Vec<&str> = lower.split_whitespace().collect();
    let processor = words.windows(3).find_map(|words| match words {
        [number, "ms", "cpu"] => number.parse().ok().map(Duration::from_millis),
        _ => None,
    });
    Some((fate, processor))
}

/// Somebody good is served, and without a certificate nobody is where one is needed: else nothing that is refused means anything.
fn control(mutual: &Mutual) -> Vec<String> {
    let good = mutual.authority.issue(&Leaf::of(&[fixture::WEB]));
    let mut wrong = Vec::new();
    for path in [OPEN, MTLS_ONLY, PROD_ONLY] {
        let outcome = peer::ask(mutual.address(), &peer::config(Some(&good)), path);
        if outcome != Outcome::Status(200) {
            wrong.push(format!("control: somebody good gets {outcome:?} for {path}"));
        }
    }
    let outcome = peer::ask(mutual.address(), &peer::config(None), MTLS_ONLY);
    if outcome != Outcome::Status(403) {
        wrong.push(format!("control: nobody gets {outcome:?} for {MTLS_ONLY}"));
    }
    wrong
}

fn one(probe: &Probe, fate: Fate, processor: Option<Duration>, mutual: &mut Mutual) -> Vec<String> {
    let Ok(certificate) = mutual.chain(&probe.leaf) else {
        return vec!["no such certificate can be made".to_owned()];
    };
    let config = peer::config(Some(&certificate));
    mutual.running.upstream.begin(Plays::default());
    let (before, lines) = (Before::now(&mutual.running, &Expect::default()), mutual.running.log_length());
    let ask = |path| (path, peer::ask(mutual.address(), &config, path));
    let mut outcomes = vec![ask(OPEN)];
    // What is measured is one handshake.
    if processor.is_none() {
        outcomes.extend([ask(MTLS_ONLY), ask(PROD_ONLY)]);
        outcomes.extend(probe.rule.as_ref().map(|_| ask(RULE_ONLY)));
    }
    if fate == Fate::Refused {
        mutual.running.await_lines(lines + outcomes.len());
    }
    let seen = before.seen(&mut mutual.running);
    let mut wrong = seen.broken().to_vec();
    for (path, outcome) in &outcomes {
        let fits = match (fate, *path) {
            (Fate::Refused, _) => *outcome == Outcome::Ended,
            (Fate::Nobody, MTLS_ONLY | PROD_ONLY) | (Fate::NoMatch, PROD_ONLY | RULE_ONLY) => {
                // A rule of the case's own is what is asked, and `prod` may be whom it is about.
                *outcome != Outcome::Status(200)
            }
            (Fate::Somebody, OPEN | MTLS_ONLY) => *outcome == Outcome::Status(200),
            _ => true,
        };
        if !fits {
            wrong.push(format!("{path}: {outcome:?}"));
        }
    }
    if fate == Fate::Refused {
        if !seen.requests.is_empty() {
            wrong.push(format!("the upstream has {} requests", seen.requests.len()));
        }
        if seen.lines.len() != outcomes.len() || seen.lines.iter().any(|line| line.flags != "DPE") {
            let lines: Vec<String> = seen.lines.iter().map(|line| format!("{line:?}")).collect();
            wrong.push(format!("{} handshakes are {lines:?} in the log", outcomes.len()));
        }
    }
    if processor.is_some_and(|most| seen.processor > most) {
        wrong.push(format!("it takes {:?} of the processor", seen.processor));
    }
    wrong
}
