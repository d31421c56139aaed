//! `MESH5003` and `MESH5004`: waits that do not fit into each other.

use super::hops::{GivesUp, Hop, Hops, duration, waits};
use crate::model::{Caller, Model, ServiceId};
use mesh_lang::{Code, Diagnostic, Severity, Span};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Callers that give up before those they call do, and retries for which there is no time. Time: linear in the hops.
pub(super) fn check(model: &Model, hops: &Hops) -> Vec<Diagnostic> {
    let mut impatience: BTreeMap<(Span, ServiceId), Diagnostic> = BTreeMap::new();
    let mut shortage: BTreeMap<(Option<Span>, Option<Span>), Diagnostic> = BTreeMap::new();
    let longest = longest(hops);
    for hop in hops.iter() {
        if let Some(problem) = no_time(hop) {
            shortage.entry((hop.at.retry, hop.at.timeout)).or_insert(problem);
        }
        if let Some(next) = longest.get(&Caller::Service(hop.to))
            && let Some(problem) = impatient(model, hop, next)
        {
            impatience.entry((hop.span, hop.to)).or_insert(problem);
        }
    }
    shortage.into_values().chain(impatience.into_values()).collect()
}

/// The longest that somebody waits for one of those it calls.
#[derive(Clone, Copy)]
struct Wait<'h> {
    time: Time,
    hop: &'h Hop,
}

/// Milliseconds, and where they are written.
#[derive(Clone, Copy)]
struct Time {
    milliseconds: u64,
    at: Span,
}

impl Time {
    fn longer(first: Option<Time>, second: Option<Time>) -> Option<Time> {
        match (first, second) {
            (Some(first), Some(second)) if second.milliseconds > first.milliseconds => Some(second),
            (first, second) => first.or(second),
        }
    }
}

/// What of a hop's wait is written for itself: its own patience, or else the delay of a fault.
fn own(hop: &Hop) -> Option<Time> {
    let delay = || (hop.delay > 0).then_some((u64::from(hop.delay), hop.span));
    hop.wait().or_else(delay).map(|(milliseconds, at)| Time { milliseconds, at })
}

/// For each caller, its longest wait that has an end: its own, or, of a call that says none, of whom it calls or of a fault.
fn longest<'h>(hops: &'h Hops) -> FxHashMap<Caller, Wait<'h>> {
    let times = times(hops);
    let mut longest: FxHashMap<Caller, Wait<'_>> = FxHashMap::default();
    for hop in hops.iter() {
        let behind = || times.get(&Caller::Service(hop.to)).copied();
        let time = if hop.patience().is_some() { own(hop) } else { Time::longer(own(hop), behind()) };
        let Some(time) = time else { continue };
        if longest.get(&hop.from).is_none_or(|known| known.time.milliseconds < time.milliseconds) {
            longest.insert(hop.from, Wait { time, hop });
        }
    }
    longest
}

/// How long each caller waits at most. Who has no patience of its own waits with whom it calls; those who wait for each other in a
/// circle all wait as long as the longest of them.
fn times(hops: &Hops) -> FxHashMap<Caller, Time> {
    let mut nodes: FxHashMap<Caller, NodeIndex> = FxHashMap::default();
    let mut graph: DiGraph<(Caller, Option<Time>), ()> = DiGraph::new();
    for hop in hops.iter() {
        let [from, to] = [hop.from, Caller::Service(hop.to)]
            .map(|caller| *nodes.entry(caller).or_insert_with(|| graph.add_node((caller, None))));
        graph[from].1 = Time::longer(graph[from].1, own(hop));
        if hop.patience().is_none() {
            graph.add_edge(from, to, ());
        }
    }
    let mut times = FxHashMap::default();
    // Whoever is called comes before its callers.
    for circle in tarjan_scc(&graph) {
        let behind = circle.iter().flat_map(|node| graph.neighbors(*node));
        let known = behind.map(|next| graph[next].1);
        let time = known.chain(circle.iter().map(|node| graph[*node].1)).fold(None, Time::longer);
        for node in circle {
            graph[node].1 = time;
            times.extend(time.map(|time| (graph[node].0, time)));
        }
    }
    times
}

/// Who gives up sooner than the one it calls: the work goes on for nobody.
fn impatient(model: &Model, hop: &Hop, next: &Wait<'_>) -> Option<Diagnostic> {
    let GivesUp { milliseconds, at, times, retried } = hop.gives_up()?;
    if milliseconds >= next.time.milliseconds {
        return None;
    }
    let (caller, callee) = (&model.workload(hop.from).name, &model[hop.to].workload.name);
    let last = &model[next.hop.to].workload.name;
    let (short, long) = (duration(milliseconds), duration(next.time.milliseconds));
    let again = if times > 1 { format!(", up to {times} times") } else { String::new() };
    let mut problem = Diagnostic::new(
        Code::ImpatientCaller,
        format!(
            "`{caller}` gives up on `{callee}` after {short}, and `{callee}` waits up to {long} for `{last}`"
        ),
    );
    let places = [
        (at, format!("waits {short}{again}")),
        (hop.span, "this call is given up".to_owned()),
        (next.hop.span, "this call goes on".to_owned()),
        (next.time.at, format!("waits {long} in all")),
    ];
    // Where both have their times from one profile, it is the call that can be told from the other.
    let shared = usize::from(at == next.time.at);
    for (span, label) in places.into_iter().skip(shared) {
        if problem.labels.iter().all(|known| known.span != span) {
            problem = problem.at(span, label);
        }
    }
    if retried {
        problem = problem
            .severity(Severity::Error)
            .note(format!("each of the {times} tries leaves `{callee}` at work on one more request"));
    }
    Some(problem.help(format!(
        "Let `{callee}` give up on `{last}` before {short} have passed, or let `{caller}` wait longer."
    )))
}

/// Retries that the total timeout cuts off.
fn no_time(hop: &Hop) -> Option<Diagnostic> {
    let (timeout, retry) = (hop.timeout?, hop.retry.as_ref()?);
    let all = hop.all_tries()?;
    if all <= u64::from(timeout) {
        return None;
    }
    let tries = retry.count + 1;
    let one = duration(u64::from(retry.per_try_timeout));
    let wait = match waits(retry) {
        0 => String::new(),
        wait => format!(" and {} between them", duration(wait)),
    };
    let total = duration(u64::from(timeout));
    let (timeout, retry) = (hop.at.timeout.unwrap_or(hop.span), hop.at.retry.unwrap_or(hop.span));
    Some(
        Diagnostic::new(
            Code::NoTimeForRetries,
            format!("`timeout {total}` is shorter than {tries} tries of {one}{wait}"),
        )
        .at(timeout, format!("all tries have {total} together"))
        .at(retry, format!("they may take {}", duration(all)))
        .help(format!("Write `timeout {}`, or fewer or shorter tries.", duration(all))),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::{found, says};
    use mesh_lang::{Severity, SourceSet};
    use std::collections::BTreeSet;

    fn shop(web: &str, reviews: &str) -> String {
        format!(
            "service web {{ calls reviews {{ {web} }} }}\nservice reviews {{ port 80 http; calls ratings {{ {reviews} }} }}\nservice ratings {{ port 80 http }}\nauthorize reviews {{ allow from web }}\nauthorize ratings {{ allow from reviews }}\n"
        )
    }

    #[test]
    fn whoever_calls_waits_as_long_as_whoever_is_called() {
        let said = |short: &str, long: &str| {
            format!(
                "1 MESH5004 `web` gives up on `reviews` after {short}, and `reviews` waits up to {long} for `ratings`"
            )
        };
        says(&shop("client-timeout 3s; client-retry 1", "client-timeout 10s"), &[&said("3s", "10s")]);
        says(&shop("client-timeout 3s; timeout 2s", "timeout 2500ms"), &[&said("2s", "2500ms")]);
        says(&shop("timeout 3s", "client-timeout 2s; client-retry 1"), &[&said("3s", "4s")]);
        says(&shop("timeout 3s", "client-timeout 3s"), &[]);
        says(&shop("", "client-timeout 3s"), &[]);
        let fault = "route ratings { rule slow { fault delay 7s 100%; to ratings } }\n";
        says(&format!("{}{fault}", shop("client-timeout 3s", "")), &[&said("3s", "7s")]);
        says(&format!("{}{fault}", shop("client-timeout 7s", "")), &[]);
        let far = format!(
            "{}service db {{ port 80 http }}\nauthorize db {{ allow from ratings }}\n",
            shop("client-timeout 3s", "")
                .replace("service ratings {", "service ratings { calls db { client-timeout 9s };")
        );
        says(&far, &[&said("3s", "9s")]);
        says(&shop("client-timeout 1s", ""), &[]);
    }

    #[test]
    fn all_tries_fit_into_the_timeout() {
        let retry = "retry 2 on timeout { per-try-timeout 250ms; backoff 25ms..50ms }";
        says(
            &shop(&format!("timeout 500ms; {retry}"), ""),
            &["1 MESH5003 `timeout 500ms` is shorter than 3 tries of 250ms and 75ms between them"],
        );
        says(&shop(&format!("timeout 825ms; {retry}"), ""), &[]);
        says(&shop(retry, ""), &[]);
    }

    #[test]
    fn a_try_that_is_given_up_leaves_work_behind() {
        let one = "retry 2 on CONDITION { per-try-timeout 200ms }";
        let said = "1 MESH5004 `web` gives up on `reviews` after 200ms, and `reviews` waits up to 600ms for `ratings`";
        for (condition, severity) in [("reset", Severity::Warning), ("timeout", Severity::Error)] {
            let text = shop(&one.replace("CONDITION", condition), "timeout 600ms");
            says(&text, &[said]);
            let found =
                crate::compile(&SourceSet::single("test.mesh", &text), &crate::StandIns::new()).diagnostics;
            assert_eq!(found[0].severity, severity);
        }
        says(&shop(&one.replace("CONDITION", "reset"), "timeout 200ms"), &[]);
    }

    #[test]
    fn who_waits_for_each_other_waits_as_long() {
        let text = "service web { calls a { client-timeout 3s } }\nservice a { port 80 http; calls b }\nservice b { port 80 http; calls a, c }\nservice c { port 80 http; calls d { client-timeout 5s } }\nservice d { port 80 http }\nauthorize a, b, c, d { allow from anyone }\n";
        says(text, &["1 MESH5004 `web` gives up on `a` after 3s, and `a` waits up to 5s for `b`"]);
        says(&text.replace("client-timeout 5s", "client-timeout 3s"), &[]);
    }

    /// How long a service waits at most, walked to the end of each way. A call is (from, to, seconds, tries again).
    fn walked(from: u64, calls: &[(u64, u64, Option<u64>, u64)]) -> u64 {
        let own = calls.iter().filter(|call| call.0 == from);
        let waits = own.map(|(_, to, patience, again)| match patience {
            Some(patience) => patience * (1 + again),
            None => walked(*to, calls),
        });
        waits.max().unwrap_or(0)
    }

    #[test]
    fn the_longest_wait_is_the_longest_of_all_ways() {
        let mut state: u64 = 26;
        let mut below = |bound: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % bound
        };
        let mut said = 0;
        for _ in 0..300 {
            let services = 2 + below(5);
            let mut calls = Vec::new();
            for (from, to) in (0..services).flat_map(|from| (from + 1..services).map(move |to| (from, to))) {
                if below(3) > 0 {
                    calls.push((from, to, (below(2) > 0).then(|| 1 + below(9)), below(2)));
                }
            }
            let mut text = String::new();
            for own in 0..services {
                text += &format!("service s{own} {{\nport 80 http\n");
                for (_, to, patience, again) in calls.iter().filter(|call| call.0 == own) {
                    let patience = patience.map_or(String::new(), |time| format!("client-timeout {time}s; "));
                    let again = if *again > 0 { "client-retry 1" } else { "" };
                    text += &format!("calls s{to} {{ {patience}{again} }}\n");
                }
                text += &format!("}}\nauthorize s{own} {{ allow from anyone }}\n");
            }
            let expected: BTreeSet<String> = calls
                .iter()
                .filter_map(|(from, to, patience, _)| Some((from, to, (*patience)?, walked(*to, &calls))))
                .filter(|(_, _, patience, long)| patience < long)
                .map(|(from, to, patience, long)| {
                    format!(
                        "`s{from}` gives up on `s{to}` after {patience}s, and `s{to}` waits up to {long}s"
                    )
                })
                .collect();
            let got = found(&text).into_iter().filter(|one| one.contains("MESH5004"));
            let got: BTreeSet<String> = got
                .filter_map(|one| Some(one.split_once("MESH5004 ")?.1.split_once(" for ")?.0.to_owned()))
                .collect();
            assert_eq!(got, expected, "{text}");
            said += got.len();
        }
        assert!(said > 100, "{said}");
    }
}
