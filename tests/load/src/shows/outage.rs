//! All upstreams fail: with a budget, what is tried again is a share of what comes.

use super::{Extent, Shown};
use crate::bed::{Proxy, Tools, Upstream, free_address};
use crate::journal::Told;
use crate::load::{Ask, Load};
use crate::tally;

/// Requests a second.
const RATE: u32 = 2_000;
/// Tries to one request that has come, with a budget of 20 %.
const MOST: f64 = 1.2;
/// The budget is spent, and not kept back.
const LEAST: f64 = 1.15;

pub(super) fn show(tools: &Tools, extent: Extent) -> Result<Vec<Shown>, String> {
    let failing = Upstream::several(tools, ["outage-a", "outage-b", "outage-c"], &["--status", "503"])?;
    let endpoints: Vec<String> = failing.iter().map(|own| format!("\"{}\"", own.address)).collect();
    let gone = [free_address()?, free_address()?, free_address()?].map(|own| format!("\"{own}\""));
    let proxy = Proxy::start(tools, "outage", &project(&endpoints.join(", "), &gone.join(", ")))?;
    let asks = ["/failing", "/gone"].map(Ask::get).to_vec();
    let load = Load { address: proxy.address, connections: 64, rate: RATE, time: extent.time, asks };
    let outcomes = load.run(0)?;
    let told = Told::read(failing.iter().map(|own| own.journal.as_path()))?;
    let mut shown = Vec::new();
    for (ask, service, what) in [(0, "failing", "answer 503"), (1, "gone", "are gone")] {
        let own: Vec<_> = outcomes.iter().filter(|outcome| outcome.ask == ask).collect();
        let logged = proxy.logged(service, own.len() as u64)?;
        // What arrived is counted by those who got it; where nobody is, by the proxy.
        let tries = if service == "failing" { told.requests as u64 } else { logged.attempts };
        let load = tries as f64 / own.len().max(1) as f64;
        shown.push(Shown {
            kept: (LEAST..=MOST).contains(&load) && tries == logged.attempts,
            line: format!(
                "outage: all three upstreams {what}, `retry 3` with a budget of 20 %: {tries} tries of {} requests, × {load:.4} (at most \
                 {MOST}; × 4 without a budget); {}",
                own.len(),
                tally::statuses(own.iter().copied()),
            ),
        });
    }
    Ok(shown)
}

fn project(failing: &str, gone: &str) -> String {
    let service = |name: &str, endpoints: &str| {
        format!(
            "service {name} {{
  port 80 http
  endpoints static {endpoints}
  timeout 5s
  retry 3 on connect-failure, reset, 5xx {{
    budget 20% min 0/s over 10s
  }}
}}

authorize {name} {{
  allow from gateway edge
}}

"
        )
    };
    let route = "route edge {
  rule failing { match /failing; to failing }
  rule gone { match /gone; to gone }
  otherwise 404
}

";
    [route, &service("failing", failing), &service("gone", gone)].concat()
}
