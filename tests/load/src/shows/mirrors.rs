//! A mirror that is dead, slow or silent: the requests that are copied take as long as those that are not.

use super::blackhole::Silent;
use super::{Extent, Shown};
use crate::bed::{Proxy, Tools, Upstream, free_address};
use crate::journal::Told;
use crate::load::{Ask, Load, Outcome};
use crate::tally::{self, Times, compare_p99};
use hyper::Method;

/// What p99 may be of what it is without a mirror.
const MOST: f64 = 1.05;
/// Of all rules together: what the machine carries beside other work.
const RATE: u32 = 3_000;
/// Rules, and what their mirrors are.
const RULES: [(&str, &str); 5] = [
    ("plain", ""),
    ("twin", ""),
    ("gone", "nobody listens"),
    ("slow", "answers after 5 s"),
    ("dark", "takes no connections"),
];

pub(super) fn show(tools: &Tools, extent: Extent) -> Result<Vec<Shown>, String> {
    let primary = Upstream::start(tools, "mirrors-primary", &[])?;
    let slow = Upstream::start(tools, "mirrors-slow", &["--hold", "5000"])?;
    let (gone, dark) = (free_address()?, Silent::dark()?);
    let mirrors = [("gone", gone), ("slow", slow.address), ("dark", dark.address)];
    let text = project(&primary.address.to_string(), &mirrors.map(|(name, own)| (name, own.to_string())));
    let proxy = Proxy::start(tools, "mirrors", &text)?;
    let paths = ["/plain", "/twin", "/gone", "/slow", "/dark"];
    let asks = paths.iter().flat_map(|path| [Ask::get(path), Ask::send(Method::POST, path, 1_024)]);
    let load =
        Load { address: proxy.address, connections: 64, rate: RATE, time: extent.time, asks: asks.collect() };
    let outcomes = load.run(0)?;
    let of = |rule: usize| outcomes.iter().filter(move |outcome| outcome.ask / 2 == rule);
    let [none, twin] = [0, 1].map(|rule| Times::of(of(rule)));
    let control = Times::of(outcomes.iter().filter(|outcome| outcome.ask / 2 < 2));
    // What is not sent slows nobody.
    let copies = Told::read([slow.journal.as_path()])?.requests;
    let judge = |(rule, (_, what)): (usize, &(&str, &str))| {
        let times = Times::of(of(rule));
        let failed: Vec<&Outcome> = of(rule).filter(|outcome| outcome.status != Some(200)).collect();
        let compared = compare_p99(&times, &control, MOST);
        Shown {
            kept: failed.is_empty() && !compared.is_over && copies > 0,
            line: format!(
                "mirrors: a mirror of every request {what}: p99 {:.2} ms beside {:.2} and {:.2} ms without one, × {:.3} (at most {MOST}); \
                 p50 {:.2} beside {:.2} ms; {} of {} requests failed ({}), {:.0} requests/s in all",
                times.at(0.99) / 1e3,
                none.at(0.99) / 1e3,
                twin.at(0.99) / 1e3,
                compared.ratio,
                times.at(0.5) / 1e3,
                none.at(0.5) / 1e3,
                failed.len(),
                times.count(),
                tally::statuses(failed.iter().copied()),
                tally::rate(&outcomes),
            ),
        }
    };
    Ok(RULES.iter().enumerate().skip(2).map(judge).collect())
}

fn project(primary: &str, mirrors: &[(&str, String)]) -> String {
    let rule = |&(name, what): &(&str, &str)| {
        let mirror =
            if what.is_empty() { String::new() } else { format!("; mirror {name} 100% including-writes") };
        format!("  rule {name} {{ match /{name}; to primary{mirror} }}\n")
    };
    let service = |(name, endpoint): (&str, &str)| {
        format!(
            "service {name} {{
  port 80 http
  endpoints static \"{endpoint}\"
}}

authorize {name} {{
  allow from gateway edge
}}

"
        )
    };
    let rules: String = RULES.iter().map(rule).collect();
    let all =
        [("primary", primary)].into_iter().chain(mirrors.iter().map(|(name, own)| (*name, own.as_str())));
    let services: String = all.map(service).collect();
    format!("route edge {{\n{rules}  otherwise 404\n}}\n\n{services}")
}
