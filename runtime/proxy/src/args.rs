//! Every flag of `mesh-proxy`, and its twin in the environment.

use clap::{ArgGroup, Parser, ValueEnum};
use mesh_proxy::Door;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  A gateway, on the ports that the plan says:
    mesh-proxy --plan shop.mplan --gateway edge

  The sidecar of a service, which sends its calls to port 15001:
    mesh-proxy --plan shop.mplan --service web --outbound 127.0.0.1:15001

  Everything from the environment:
    MESH_PLAN=/etc/mesh/shop.mplan MESH_ALL_GATEWAYS=true MESH_ADMIN=127.0.0.1:9901 mesh-proxy

A new plan at the same path is taken over while requests go on: write it beside, then rename it.
SIGHUP makes the proxy look at once. SIGTERM and SIGINT end it when the requests in flight are
answered; a second one ends it at once.

Exit codes: 0 ended as told, 2 it could not start.";

/// Routes, authorizes and forwards HTTP as a plan says.
#[derive(Debug, Parser)]
#[command(name = "mesh-proxy", version, after_help = EXAMPLES)]
#[command(group(ArgGroup::new("doors").required(true).multiple(true).args(["gateway", "all_gateways", "service"])))]
pub(crate) struct Args {
    /// The plan, as `mesh build` writes it
    #[arg(long, env = "MESH_PLAN", value_name = "FILE")]
    pub(crate) plan: PathBuf,

    /// Serve this gateway; can be repeated
    #[arg(long, env = "MESH_GATEWAY", value_name = "NAME", value_delimiter = ',')]
    pub(crate) gateway: Vec<String>,

    /// Serve every gateway of the plan
    #[arg(long, env = "MESH_ALL_GATEWAYS", conflicts_with = "gateway")]
    pub(crate) all_gateways: bool,

    /// Be the sidecar of this service
    #[arg(long, env = "MESH_SERVICE", value_name = "NAME", requires = "outbound")]
    pub(crate) service: Option<String>,

    /// Where the service sends its calls
    #[arg(long, env = "MESH_OUTBOUND", value_name = "ADDRESS", requires = "service")]
    pub(crate) outbound: Option<SocketAddr>,

    /// The interface of the gateways
    #[arg(long, env = "MESH_BIND", value_name = "IP", default_value = "0.0.0.0")]
    pub(crate) bind: IpAddr,

    /// Worker threads; 0 is one for each core
    #[arg(long, env = "MESH_WORKERS", value_name = "N", default_value_t = 0)]
    pub(crate) workers: usize,

    /// Answer /live, /ready and /plan here, on loopback
    #[arg(long, env = "MESH_ADMIN", value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,

    /// Where one JSON line for each request goes
    #[arg(long, env = "MESH_ACCESS_LOG", value_name = "WHERE", value_enum, default_value_t)]
    pub(crate) access_log: AccessLog,

    /// How long requests in flight may take when the proxy ends, such as 30s or 1m30s
    #[arg(long, env = "MESH_DRAIN", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) drain: Duration,
}

/// Where the access log goes.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum AccessLog {
    #[default]
    None,
    Stdout,
}

impl Args {
    pub(crate) fn doors(&self) -> Vec<Door> {
        let gateway =
            |name: &String| Door::Gateway { name: name.clone(), bind: self.bind, port_override: None };
        let mut doors: Vec<_> = self.gateway.iter().map(gateway).collect();
        if self.all_gateways {
            doors.push(Door::Gateways { bind: self.bind });
        }
        if let (Some(service), Some(listen)) = (&self.service, self.outbound) {
            doors.push(Door::Sidecar { service: service.clone(), listen });
        }
        doors
    }
}

/// A duration as the language writes it: pairs of digits and `h`, `m`, `s` or `ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 30s, 500ms or 1m30s".to_owned();
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters).ok_or_else(wrong)?;
        let unit = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return Err(wrong()),
        };
        // Five digits, as in the language, cannot overflow.
        let number = number.parse::<u64>().ok().filter(|_| digits <= 5).ok_or_else(wrong)?;
        millis += number * unit;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(millis)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_proxy_without_doors_is_a_mistake() {
        let error = Args::try_parse_from(["mesh-proxy", "--plan", "shop.mplan"]).unwrap_err().to_string();
        assert!(error.contains("--gateway") && error.contains("--service"), "{error}");
    }

    #[test]
    fn a_sidecar_says_where_its_service_calls() {
        let flags = ["mesh-proxy", "--plan", "shop.mplan", "--service", "web"];
        let error = Args::try_parse_from(flags).unwrap_err().to_string();
        assert!(error.contains("--outbound"), "{error}");
    }

    #[test]
    fn durations_are_written_as_in_the_language() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "30", "s", "30 s", "-1s", "1d", "100000s", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
