//! One of three upstreams is killed every two seconds, and comes back a second later: what may be asked again is answered, and what may not
//! is never done twice.

use super::{Extent, Shown};
use crate::bed::{Proxy, Tools, Upstream};
use crate::journal::Told;
use crate::load::{Ask, Load, Outcome};
use crate::tally;
use hyper::Method;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// From one kill to the next.
const BETWEEN: Duration = Duration::from_secs(2);
/// How long one is dead.
const DEAD: Duration = Duration::from_secs(1);
/// Of what was asked for a second, what must have been reached for the figure to mean something.
const LEAST_RATE: f64 = 0.97;

const ASKS: [(Method, &str, usize, u32); 6] = [
    (Method::GET, "/plain/things", 0, 5),
    (Method::PUT, "/plain/things", 512, 2),
    (Method::POST, "/plain/things", 512, 3),
    (Method::GET, "/framed/things", 0, 5),
    (Method::PUT, "/framed/things", 512, 2),
    (Method::POST, "/framed/things", 512, 3),
];

pub(super) fn show(tools: &Tools, extent: Extent) -> Result<Vec<Shown>, String> {
    // Long enough for a kill to meet requests that have been written down and not answered.
    let mut upstreams = Upstream::several(tools, ["kills-a", "kills-b", "kills-c"], &["--hold", "3"])?;
    let endpoints: Vec<String> = upstreams.iter().map(|own| format!("\"{}\"", own.address)).collect();
    let proxy = Proxy::start(tools, "kills", &project(&endpoints.join(", ")))?;
    let asks = ASKS.map(|(method, path, body, weight)| Ask::send(method, path, body).weighing(weight));
    let load = Load {
        address: proxy.address,
        connections: 96,
        rate: extent.rate,
        time: extent.time,
        asks: asks.to_vec(),
    };
    let over = AtomicBool::new(false);
    let (outcomes, kills) = std::thread::scope(|scope| {
        let kills = scope.spawn(|| kill_in_turn(&mut upstreams, &over));
        let outcomes = load.run(0);
        over.store(true, Ordering::SeqCst);
        (outcomes, kills.join().unwrap_or_else(|_| Err("killing failed".to_owned())))
    });
    let (outcomes, kills) = (outcomes?, kills?);
    let told = Told::read(upstreams.iter().map(|own| own.journal.as_path()))?;
    ["plain", "framed"]
        .iter()
        .map(|service| judge(service, &outcomes, kills, &told, &proxy, extent))
        .collect()
}

fn project(endpoints: &str) -> String {
    let service = |name: &str, protocol: &str| {
        format!(
            "service {name} {{
  port 80 {protocol}
  endpoints static {endpoints}
  timeout 10s
  connect-timeout 250ms
  retry 3 on connect-failure, reset {{
    methods PUT, DELETE
    buffer 64KiB
    backoff 5ms..50ms
  }}
  outlier-detection {{
    consecutive-gateway-errors 3
    interval 1s
    base-ejection-time 500ms
    max-ejection-time 1s
    max-ejection-percent 34%
  }}
}}

authorize {name} {{
  allow from gateway edge
}}

"
        )
    };
    let route = "route edge {
  rule plain { match /plain/**; to plain }
  rule framed { match /framed/**; to framed }
  otherwise 404
}

";
    [route, &service("plain", "http"), &service("framed", "http2")].concat()
}

/// Kills until told that it is over. Returns how many it killed.
fn kill_in_turn(upstreams: &mut [Upstream], over: &AtomicBool) -> Result<u32, String> {
    let began = Instant::now();
    let wait_until = |moment: Duration| {
        while began.elapsed() < moment && !over.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let count = upstreams.len();
    for kill in 1u32.. {
        // The first one not at once, so that there is something to break.
        wait_until(BETWEEN * kill - DEAD);
        if over.load(Ordering::SeqCst) {
            return Ok(kill - 1);
        }
        let Some(upstream) = upstreams.get_mut(kill as usize % count) else { break };
        upstream.kill();
        wait_until(BETWEEN * kill);
        upstream.again()?;
    }
    Ok(0)
}

fn judge(
    service: &str,
    outcomes: &[Outcome],
    kills: u32,
    told: &Told,
    proxy: &Proxy,
    extent: Extent,
) -> Result<Shown, String> {
    let is_own = |outcome: &&Outcome| ASKS[outcome.ask].1.starts_with(&format!("/{service}/"));
    let is_once = |outcome: &&Outcome| ASKS[outcome.ask].0 == Method::POST;
    let own: Vec<Outcome> = outcomes.iter().filter(is_own).copied().collect();
    let logged = proxy.logged(service, own.len() as u64)?;
    let again = || own.iter().filter(|outcome| !is_once(outcome));
    let once = || own.iter().filter(is_once);
    let failed: Vec<&Outcome> = again().filter(|outcome| outcome.status != Some(200)).collect();
    let twice = told.repeated(once().map(|outcome| outcome.id));
    // What was answered was done.
    let is_lost = |outcome: &&Outcome| outcome.status == Some(200) && !told.arrived.contains_key(&outcome.id);
    let lost = own.iter().filter(is_lost).count();
    let broken: Vec<&Outcome> = once().filter(|outcome| outcome.status != Some(200)).collect();
    let (rate, retries) = (tally::rate(outcomes), logged.attempts.saturating_sub(logged.lines));
    let is_under_load = rate >= LEAST_RATE * f64::from(extent.rate) && kills > 0 && retries > 0;
    let line = format!(
        "kills: {kills} × kill -9 of one of three upstreams ({service}) in {:.0} s at {rate:.0} requests/s for both kinds: \
         {} of {} idempotent requests failed ({}), {twice} of {} non-idempotent ones were done twice, {lost} answered ones not at all; \
         {retries} retries, {} non-idempotent ones broke off ({}); {}",
        extent.time.as_secs_f64(),
        failed.len(),
        again().count(),
        tally::statuses(failed.iter().copied()),
        once().count(),
        broken.len(),
        tally::statuses(broken.iter().copied()),
        logged.flags(),
    );
    Ok(Shown { kept: failed.is_empty() && twice == 0 && lost == 0 && is_under_load, line })
}
