//! More is asked than a circuit breaker lets through: as much is under way as was declared, all the time.

use super::{Extent, Shown};
use crate::bed::{Logged, Proxy, Tools, Upstream};
use crate::journal::Told;
use crate::load::{Ask, Load, Outcome};
use crate::tally;
use std::time::Duration;

/// Off what is declared.
const TOLERANCE: f64 = 0.01;
/// What `busy` may have under way.
const MOST_REQUESTS: usize = 40;
/// Connections and waiting requests of `queued`.
const MOST_CONNECTIONS: usize = 10;
const MOST_PENDING: usize = 20;
/// How long upstreams take. Until the next request takes the place of one, a thousandth of it passes.
const HOLD: Duration = Duration::from_millis(500);

pub(super) fn show(tools: &Tools, extent: Extent) -> Result<Vec<Shown>, String> {
    let hold = HOLD.as_millis().to_string();
    let busy = Upstream::start(tools, "breakers-busy", &["--hold", &hold])?;
    let queued = Upstream::start(tools, "breakers-queued", &["--hold", &hold])?;
    let text = project(&busy.address.to_string(), &queued.address.to_string());
    let proxy = Proxy::start(tools, "breakers", &text)?;
    Ok(vec![requests(&proxy, &busy, extent)?, connections(&proxy, &queued)?])
}

/// Ten times as many requests as there is room for, all the time.
fn requests(proxy: &Proxy, upstream: &Upstream, extent: Extent) -> Result<Shown, String> {
    let (address, asks) = (proxy.address, vec![Ask::get("/busy")]);
    let outcomes = Load { address, connections: 256, rate: 2_000, time: extent.time, asks }.run(0)?;
    let told = Told::read([upstream.journal.as_path()])?;
    let logged = proxy.logged("busy", outcomes.len() as u64)?;
    let under_way = mean_under_way(&outcomes, extent.time);
    let ratio = under_way / MOST_REQUESTS as f64;
    let is_exact = told.most_requests == MOST_REQUESTS && (ratio - 1.0).abs() <= TOLERANCE;
    Ok(Shown {
        kept: is_exact && only_refused(&outcomes, &logged),
        line: format!(
            "breakers: `max-requests {MOST_REQUESTS}`: at most {} at once at the upstream, {under_way:.2} on average, × {ratio:.4} (within \
             {TOLERANCE}); {}",
            told.most_requests,
            tally::statuses(&outcomes),
        ),
    })
}

/// How many answered requests were under way on average, from when the first answers came until no more was asked.
fn mean_under_way(outcomes: &[Outcome], time: Duration) -> f64 {
    let (from, until) = (HOLD.as_micros() as f64, time.as_micros() as f64);
    let share = |outcome: &Outcome| {
        let (begin, end) = (f64::from(outcome.at), f64::from(outcome.at) + f64::from(outcome.micros));
        (end.min(until) - begin.max(from)).max(0.0)
    };
    let answered = outcomes.iter().filter(|outcome| outcome.status == Some(200));
    answered.map(share).sum::<f64>() / (until - from)
}

/// A hundred requests, one after the other within less time than the upstream takes for one.
fn connections(proxy: &Proxy, upstream: &Upstream) -> Result<Shown, String> {
    let (address, asks) = (proxy.address, vec![Ask::get("/queued")]);
    let time = HOLD * 4 / 5;
    let outcomes = Load { address, connections: 100, rate: 250, time, asks }.run(0)?;
    let told = Told::read([upstream.journal.as_path()])?;
    let logged = proxy.logged("queued", outcomes.len() as u64)?;
    let served = outcomes.iter().filter(|outcome| outcome.status == Some(200)).count();
    let is_exact = told.most_connections == MOST_CONNECTIONS && served == MOST_CONNECTIONS + MOST_PENDING;
    Ok(Shown {
        kept: is_exact && only_refused(&outcomes, &logged),
        line: format!(
            "breakers: `max-connections {MOST_CONNECTIONS}`, `max-pending-requests {MOST_PENDING}`: of {} requests within {:.1} s {served} \
             were served ({} declared), over at most {} connections at once; {}",
            outcomes.len(),
            time.as_secs_f64(),
            MOST_CONNECTIONS + MOST_PENDING,
            told.most_connections,
            tally::statuses(&outcomes),
        ),
    })
}

/// Whether all others were refused by the breaker.
fn only_refused(outcomes: &[Outcome], logged: &Logged) -> bool {
    let refused = outcomes.iter().filter(|outcome| outcome.status == Some(503)).count();
    let served = outcomes.iter().filter(|outcome| outcome.status == Some(200)).count();
    refused + served == outcomes.len() && logged.flags.get("UO") == Some(&(refused as u64))
}

fn project(busy: &str, queued: &str) -> String {
    format!(
        "route edge {{
  rule busy {{ match /busy; to busy }}
  rule queued {{ match /queued; to queued }}
  otherwise 404
}}

service busy {{
  port 80 http
  endpoints static \"{busy}\"
  circuit-breaker {{ max-requests {MOST_REQUESTS} }}
}}

authorize busy {{
  allow from gateway edge
}}

service queued {{
  port 80 http
  endpoints static \"{queued}\"
  circuit-breaker {{
    max-connections {MOST_CONNECTIONS}
    max-pending-requests {MOST_PENDING}
    pending-timeout 10s
  }}
}}

authorize queued {{
  allow from gateway edge
}}
"
    )
}
