//! `MESH5003` and `MESH5004`: waits that do not fit into each other.

use super::hops::{Hop, duration, waits};
use crate::model::{Caller, Model, ServiceId};
use mesh_lang::{Code, Diagnostic, Span};
use std::collections::BTreeMap;

/// Callers that give up before those they call do, and retries for which there is no time.
pub(super) fn check(model: &Model, hops: &[Hop]) -> Vec<Diagnostic> {
    let mut found: BTreeMap<(Span, ServiceId, Code), Diagnostic> = BTreeMap::new();
    let longest = longest(hops);
    for hop in hops {
        let key = |code| (hop.span, hop.to, code);
        if let Some(problem) = no_time(hop) {
            found.entry(key(problem.code)).or_insert(problem);
        }
        if let Some(next) = longest.get(&Caller::Service(hop.to))
            && let Some(problem) = impatient(model, hop, next)
        {
            found.entry(key(problem.code)).or_insert(problem);
        }
    }
    found.into_values().collect()
}

/// The longest that somebody waits for one of those it calls: milliseconds, and for whom.
#[derive(Clone, Copy)]
struct Wait<'h> {
    milliseconds: u64,
    hop: &'h Hop,
}

/// For each caller, its longest wait that has an end: its own, or, of a call that says none, of whom it calls or of a fault.
fn longest(hops: &[Hop]) -> BTreeMap<Caller, Wait<'_>> {
    let mut longest: BTreeMap<Caller, Wait<'_>> = BTreeMap::new();
    let mut changed = true;
    // It ends: a wait only grows, and there are as many as there are calls that say one.
    while std::mem::take(&mut changed) {
        for hop in hops {
            let again = hop.client.retry.map_or(0, |again| u64::from(again.value));
            let milliseconds = match (hop.patience(), longest.get(&Caller::Service(hop.to))) {
                (Some((patience, _)), _) => patience.saturating_mul(1 + again),
                (None, next) => next.map_or(0, |next| next.milliseconds).max(u64::from(hop.delay)),
            };
            if milliseconds == 0 {
                continue;
            }
            if longest.get(&hop.from).is_none_or(|known| known.milliseconds < milliseconds) {
                longest.insert(hop.from, Wait { milliseconds, hop });
                changed = true;
            }
        }
    }
    longest
}

/// Who gives up sooner than the one it calls: the work goes on for nobody.
fn impatient(model: &Model, hop: &Hop, next: &Wait<'_>) -> Option<Diagnostic> {
    let (patience, said) = hop.patience()?;
    if patience >= next.milliseconds {
        return None;
    }
    let (caller, callee) = (&model.workload(hop.from).name, &model[hop.to].workload.name);
    let last = &model[next.hop.to].workload.name;
    let (short, long) = (duration(patience), duration(next.milliseconds));
    let again = match hop.tries() {
        1 => String::new(),
        tries => format!(", up to {tries} times"),
    };
    Some(
        Diagnostic::new(
            Code::ImpatientCaller,
            format!("`{caller}` gives up on `{callee}` after {short}, and `{callee}` waits up to {long} for `{last}`"),
        )
        .at(said.unwrap_or(hop.span), format!("waits {short}{again}"))
        .at(next.hop.client.timeout.map_or(next.hop.span, |timeout| timeout.span), format!("waits {long} in all"))
        .help(format!("Let `{callee}` give up on `{last}` before {short} have passed, or let `{caller}` wait longer.")),
    )
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
    Some(
        Diagnostic::new(
            Code::NoTimeForRetries,
            format!("`timeout {total}` is shorter than {tries} tries of {one}{wait}"),
        )
        .at(hop.span, "of this call")
        .help(format!("Write `timeout {}`, or fewer or shorter tries.", duration(all))),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

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
}
