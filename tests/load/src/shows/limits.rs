//! More is asked than a rate limit lets in: as much gets through as was declared.

use super::{Extent, Shown};
use crate::bed::{Proxy, Tools, Upstream};
use crate::load::{Ask, Load, Outcome};
use crate::tally;

/// For both services together, three times what is let in.
const RATE: u32 = 3_000;
/// Off what is declared.
const TOLERANCE: f64 = 0.01;
/// What `all` lets in a second, and at once.
const ALL: (u32, u32) = (500, 50);
/// What `each` lets in a second, and at once, of one tenant.
const EACH: (u32, u32) = (100, 20);
const TENANTS: [&str; 5] = ["ant", "bee", "cat", "dog", "elk"];

pub(super) fn show(tools: &Tools, extent: Extent) -> Result<Vec<Shown>, String> {
    let upstream = Upstream::start(tools, "limits", &[])?;
    let proxy = Proxy::start(tools, "limits", &project(&upstream.address.to_string()))?;
    let all = Ask::get("/all").weighing(TENANTS.len() as u32);
    let each = TENANTS.map(|tenant| Ask::get("/each").with("x-tenant", tenant));
    let load = Load {
        address: proxy.address,
        connections: 64,
        rate: RATE,
        time: extent.time,
        asks: [all].into_iter().chain(each).collect(),
    };
    let outcomes = load.run(0)?;
    let mut shown = vec![judge(&outcomes, 0, "all requests together", ALL)];
    shown.extend(
        TENANTS.iter().zip(1..).map(|(tenant, ask)| judge(&outcomes, ask, &format!("tenant {tenant}"), EACH)),
    );
    Ok(shown)
}

fn judge(outcomes: &[Outcome], ask: usize, what: &str, (rate, burst): (u32, u32)) -> Shown {
    let own: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.ask == ask).collect();
    let asked = || own.iter().map(|outcome| outcome.at);
    let lasted = f64::from(asked().max().unwrap_or(0) - asked().min().unwrap_or(0)) / 1e6;
    let declared = f64::from(burst) + f64::from(rate) * lasted;
    let let_in = own.iter().filter(|outcome| outcome.status == Some(200)).count();
    let others = own.iter().filter(|outcome| !matches!(outcome.status, Some(200 | 429))).count();
    let ratio = let_in as f64 / declared;
    Shown {
        kept: (ratio - 1.0).abs() <= TOLERANCE && others == 0,
        line: format!(
            "limits: `rate-limit local {rate}/s burst {burst}` of {what}: {let_in} let in over {lasted:.2} s, declared are {declared:.0}, × \
             {ratio:.4} (within {TOLERANCE}); {}",
            tally::statuses(own.iter().copied()),
        ),
    }
}

fn project(endpoint: &str) -> String {
    let service = |name: &str| {
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
    let route = format!(
        "route edge {{
  rule all {{ match /all; to all; rate-limit local {}/s burst {} }}
  rule each {{ match /each; to each; rate-limit local {}/s burst {} per header \"x-tenant\" }}
  otherwise 404
}}

",
        ALL.0, ALL.1, EACH.0, EACH.1
    );
    [&route, &service("all"), &service("each")].map(String::as_str).concat()
}
