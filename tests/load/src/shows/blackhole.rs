//! One of three upstreams takes no connections, or takes them and answers nothing: others' requests take as long as if it were not there.

use super::{Extent, Shown};
use crate::bed::{Proxy, Tools, Upstream};
use crate::load::{Ask, Load, Outcome};
use crate::tally::{self, Times, compare_p99};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What p99 may be of what it is without the blackhole.
const MOST: f64 = 1.05;
/// Of all services together: what the machine carries beside other work.
const RATE: u32 = 4_000;
/// Longer than a connection on the loopback interface takes by far.
const NO_CONNECTION: Duration = Duration::from_millis(200);
/// The two controls are the same twice: what differs between them is what this run can tell.
const SERVICES: [&str; 4] = ["clear", "twin", "dark", "mute"];

pub(super) fn show(tools: &Tools, extent: Extent) -> Result<Vec<Shown>, String> {
    let well = Upstream::several(tools, ["blackhole-a", "blackhole-b"], &[])?;
    let (dark, mute) = (Silent::dark()?, Silent::mute()?);
    let [a, b] = [&well[0], &well[1]].map(|own| format!("\"{}\"", own.address));
    let with = |more: SocketAddr| format!("{a}, {b}, \"{more}\"");
    let endpoints = [format!("{a}, {b}"), format!("{a}, {b}"), with(dark.address), with(mute.address)];
    let proxy = Proxy::start(tools, "blackhole", &project(&endpoints))?;
    let asks = ["/clear", "/twin", "/dark", "/mute"].map(Ask::get).to_vec();
    let load = Load { address: proxy.address, connections: 96, rate: RATE, time: extent.time, asks };
    let outcomes = load.run(0)?;
    let times: Vec<Times> = (0..SERVICES.len())
        .map(|ask| Times::of(outcomes.iter().filter(|outcome| outcome.ask == ask)))
        .collect();
    let [clear, twin, dark, mute] = &times[..] else { return Err("four services".to_owned()) };
    let control = Times::of(outcomes.iter().filter(|outcome| outcome.ask < 2));
    let is_failed = |outcome: &&Outcome| outcome.status != Some(200);
    // What fails there too is not for want of the third one.
    let beside = outcomes.iter().filter(|outcome| outcome.ask < 2).filter(is_failed).count();
    let mut shown = Vec::new();
    for (service, times, what) in
        [("dark", dark, "takes no connections"), ("mute", mute, "takes connections and answers nothing")]
    {
        let ask = SERVICES.iter().position(|own| *own == service);
        let own = || outcomes.iter().filter(|outcome| Some(outcome.ask) == ask);
        let failed: Vec<_> = own().filter(is_failed).collect();
        let logged = proxy.logged(service, times.count() as u64)?;
        // Those that nobody tried to send there.
        let others = Times::of(own().filter(|outcome| !logged.retried.contains(&outcome.id)));
        let compared = compare_p99(&others, &control, MOST);
        shown.push(Shown {
            kept: failed.is_empty() && !compared.is_over && !logged.retried.is_empty(),
            line: format!(
                "blackhole: one of three upstreams {what}: p99 of the others' requests {:.2} ms beside {:.2} and {:.2} ms without it, \
                 × {:.3} (at most {MOST}), of all {:.2} ms; p50 {:.2} beside {:.2} ms; {} requests were tried there, {} of {} failed ({}; {}), {beside} without it, \
                 {:.0} requests/s in all",
                others.at(0.99) / 1e3,
                clear.at(0.99) / 1e3,
                twin.at(0.99) / 1e3,
                compared.ratio,
                times.at(0.99) / 1e3,
                others.at(0.5) / 1e3,
                clear.at(0.5) / 1e3,
                logged.retried.len(),
                failed.len(),
                times.count(),
                tally::statuses(failed.iter().copied()),
                logged.flags(),
                tally::rate(&outcomes),
            ),
        });
    }
    Ok(shown)
}

fn project(endpoints: &[String]) -> String {
    let service = |(name, endpoints): (&&str, &String)| {
        format!(
            "service {name} {{
  port 80 http
  endpoints static {endpoints}
  timeout 5s
  connect-timeout 100ms
  retry 2 on connect-failure, reset, timeout {{
    per-try-timeout 200ms
    backoff 5ms..50ms
  }}
  outlier-detection {{
    consecutive-gateway-errors 3
    interval 1s
    base-ejection-time 30s
    max-ejection-percent 34%
  }}
}}

authorize {name} {{
  allow from gateway edge
}}

"
        )
    };
    let rules: String =
        SERVICES.iter().map(|name| format!("  rule {name} {{ match /{name}; to {name} }}\n")).collect();
    let services: String = SERVICES.iter().zip(endpoints).map(service).collect();
    format!("route edge {{\n{rules}  otherwise 404\n}}\n\n{services}")
}

/// Somebody who listens, and says nothing.
pub(super) struct Silent {
    pub(super) address: SocketAddr,
    _listener: Socket,
    /// What fills its queue.
    _filling: Vec<TcpStream>,
}

impl Silent {
    /// The kernel takes connections for it, and nobody reads what comes on them.
    pub(super) fn mute() -> Result<Silent, String> {
        Silent::listen(4_096).map_err(|error| error.to_string())
    }

    /// Its queue is full, so that the kernel drops whatever wants to connect.
    pub(super) fn dark() -> Result<Silent, String> {
        let mut silent = Silent::listen(0).map_err(|error| error.to_string())?;
        while let Ok(filling) = TcpStream::connect_timeout(&silent.address, NO_CONNECTION) {
            silent._filling.push(filling);
        }
        Ok(silent)
    }

    fn listen(queue: i32) -> std::io::Result<Silent> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        listener.listen(queue)?;
        let address = listener.local_addr()?.as_socket();
        let address = address.ok_or(std::io::ErrorKind::AddrNotAvailable)?;
        Ok(Silent { address, _listener: listener, _filling: vec![] })
    }
}
