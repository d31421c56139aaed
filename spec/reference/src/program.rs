//! A whole mesh, its names looked up: services, gateways and their tables.

use crate::access::{AccessLine, Asked};
use crate::edits;
use crate::identity::{self, Peer};
use crate::line::Line;
use crate::route::Table;
use crate::settings::Settings;
use mesh_lang::ast::{HostPattern, Mtls};
use std::collections::{BTreeMap, BTreeSet};

/// A whole mesh. Services and gateways stand under their full name, `name.namespace`.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) trust_domain: String,
    pub(crate) mtls: Option<Mtls>,
    pub(crate) default: Settings,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) gateways: BTreeMap<String, Gateway>,
    /// 3.12: by caller (a service's full name, or `gateway ` and a gateway's), callee and its port.
    pub(crate) consumer_routes: BTreeMap<(String, String, u16), Table>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) namespace: String,
    /// 10.6: what is outside of the mesh has none.
    pub(crate) identity: Option<String>,
    pub(crate) settings: Settings,
    pub(crate) limits: Vec<edits::Effect>,
    /// 11.11a: who counts for those.
    pub(crate) counting: Vec<Asked>,
    pub(crate) ports: Vec<Port>,
    pub(crate) subsets: BTreeSet<String>,
    /// 5.2: further hosts by which it is called.
    pub(crate) hosts: Vec<HostPattern>,
    /// 10.6: networks outside, whose addresses are hosts.
    pub(crate) networks: Vec<String>,
    /// The one `jwt` it verifies, where it is one (1.7).
    pub(crate) issuer: Option<String>,
    /// By callee and its port.
    pub(crate) calls: BTreeMap<(String, u16), Calls>,
    /// By port.
    pub(crate) routes: BTreeMap<u16, Table>,
    pub(crate) access: Vec<AccessLine>,
}

#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) name: Option<String>,
    pub(crate) number: u16,
    pub(crate) mtls: Option<Mtls>,
}

/// All `calls` of one service to one port (5.4).
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// What the plain `calls` writes.
    pub(crate) plain: Option<Settings>,
    /// What each `calls … to` writes, and the lines of their ops; a line's rule is an index into these.
    pub(crate) settings: Vec<Settings>,
    pub(crate) lines: Vec<Line>,
    pub(crate) beats: Vec<Vec<bool>>,
}

#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) namespace: String,
    pub(crate) identity: String,
    pub(crate) issuer: Option<String>,
    pub(crate) limits: Vec<edits::Effect>,
    /// 11.11a: who counts for those.
    pub(crate) counting: Vec<Asked>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) access: Vec<AccessLine>,
}

#[derive(Debug)]
pub(crate) struct Listener {
    /// A listener without hosts knows none, and has one table.
    pub(crate) hosts: Vec<HostPattern>,
    /// 10.13
    pub(crate) redirect_https: Option<u16>,
    /// Connections of other clusters need no route.
    pub(crate) is_for_clusters: bool,
    pub(crate) limits: Vec<edits::Effect>,
    /// 11.11a: who counts for those.
    pub(crate) counting: Vec<Asked>,
    /// 3.7: one for each host pattern of its routes.
    pub(crate) tables: BTreeMap<HostPattern, Table>,
}

impl Program {
    /// 2.2
    pub(crate) fn peer(&self, id: Option<&str>) -> Peer {
        let gateways: Vec<String> = self.gateways.values().map(|gateway| gateway.identity.clone()).collect();
        identity::peer(id, &self.trust_domain, &gateways)
    }

    /// 2.1, in the mesh's own trust domain.
    pub(crate) fn own(&self, namespace: &str, account: &str) -> String {
        identity::identity(&self.trust_domain, namespace, account)
    }

    /// 3.10: services may not enter each other in a circle. Takes away, again and again, what enters nothing that is left.
    pub(crate) fn refuse_circles(&self) -> Result<(), String> {
        let mut left: BTreeMap<(String, u16), BTreeSet<(String, u16)>> = BTreeMap::new();
        for (full, service) in &self.services {
            for (port, table) in &service.routes {
                left.insert((full.clone(), *port), table.entered().collect());
            }
        }
        while !left.is_empty() {
            let done: Vec<(String, u16)> = left
                .iter()
                .filter(|(_, entered)| !entered.iter().any(|next| left.contains_key(next)))
                .map(|(place, _)| place.clone())
                .collect();
            if done.is_empty() {
                return Err("services enter each other in a circle".to_owned());
            }
            left.retain(|place, _| !done.contains(place));
        }
        Ok(())
    }
}
