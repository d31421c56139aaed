//! The proxy on real sockets: small plans, small upstreams, and a client that says exactly what it is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod balancing;
mod binary;
mod bounds;
mod draining;
mod forwarding;
mod framing;
mod grpc;
mod http2;
mod logging;
mod plans;
mod resting;
mod retrying;
mod routing;
mod streams;
mod swapping;
mod websockets;
mod wire;

use mesh_plan::PlanView;
use mesh_proxy::{AccessLog, Config, Door, Handle, start};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn config() -> Config {
    Config {
        doors: vec![Door::Gateway { name: "edge".to_owned(), bind: LOOPBACK, port_override: Some(0) }],
        workers: 2,
        admin: None,
        access_log: AccessLog::None,
        plan_header: false,
        jwks: mesh_proxy::Fetching::default(),
        names: mesh_proxy::Looking::default(),
        health: mesh_proxy::Checking::default(),
        here: mesh_proxy::Here::default(),
        identities: vec![],
        certificates: None,
        drain: Duration::from_secs(5),
    }
}

/// A proxy with gateway `edge` on a free port.
fn proxy(plan: PlanView) -> (Handle, SocketAddr) {
    let handle = start(plan, config()).unwrap();
    let address = handle.addresses()["edge.default/http"];
    (handle, address)
}
