//! What a file says about traffic, the real proxy does, with real upstreams. `shown` counts the statements.

mod addressed;
mod agent;
mod asked;
mod balancing;
mod breaking;
mod browsers;
mod called;
mod checked;
mod clients;
mod connections;
mod copying;
mod counted;
mod egress;
mod health;
mod idle;
mod joining;
mod logged;
mod mutual;
mod names;
mod nearness;
mod outside;
mod passthrough;
mod paths;
mod placed;
mod probes;
mod renewals;
mod revocation;
mod rotation;
mod shown;
mod silence;
mod streams;
mod termination;
mod tokens;
mod upgraded;

use mesh_tests::harness::{Mesh, Upstream};
use std::time::Duration;

/// A gateway that anyone may use, and a service `s` behind it with these endpoints and statements.
fn behind_edge(endpoints: &[&Upstream], statements: &str) -> String {
    let addresses: Vec<String> = endpoints.iter().map(|own| format!("\"{}\"", own.address)).collect();
    format!(
        r#"gateway edge {{ listener web port 80 http {{ host "*" }} }}
authorize edge {{ allow from anyone }}
route edge {{ to s }}
service s {{
  port 80 http
  endpoints static {}
  {statements}
}}
authorize s {{ allow from gateway edge }}
"#,
        addresses.join(", ")
    )
}

fn start(endpoints: &[&Upstream], statements: &str) -> Mesh {
    Mesh::start(&behind_edge(endpoints, statements), &[])
}

/// An upstream that takes its time.
fn slow(milliseconds: u64) -> Upstream {
    Upstream::start(move |_| (200, "slow".to_owned(), Duration::from_millis(milliseconds)))
}

/// An upstream that answers everything with this status.
fn failing(status: u16) -> Upstream {
    Upstream::start(move |_| (status, "fails".to_owned(), Duration::ZERO))
}

/// The flags of each line of the access log.
fn flags(mesh: Mesh) -> Vec<String> {
    let flag = |line: &String| {
        let (_, rest) = line.split_once("\"flags\":\"").expect("a line has flags");
        rest.split_once('"').expect("they end").0.to_owned()
    };
    mesh.log().iter().map(flag).collect()
}
