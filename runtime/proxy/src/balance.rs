//! Which endpoint a request goes to. The algorithms are the engine's; here is what they choose among and what is known of it.
//!
//! Each worker has its own view: it counts its own requests, measures its own round trips and takes its own turns. Hashes are of
//! addresses alone, so all workers of all proxies send a key to the same endpoint.

use crate::names::Asked;
use crate::serving::Serving;
use mesh_engine::balance::nearness::{self, Distance, Here};
use mesh_engine::balance::{
    Draw, hash, least_request, maglev, outliers, peak_ewma, random, ring_hash, round_robin, slow_start,
};
use mesh_engine::{Address, Forward};
use mesh_plan::Algorithm;
use mesh_plan::view::Balancer;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What a worker knows of its destinations.
#[derive(Default)]
pub(crate) struct Destinations {
    /// By service name, so that it outlives a plan; then by port.
    services: HashMap<String, Vec<Destination>>,
}

struct Destination {
    /// Its number.
    port: u16,
    /// What is known of an endpoint is known of it in all subsets.
    loads: HashMap<Address, Rc<Load>>,
    clusters: Vec<Cluster>,
}

/// Hosts of one port of which endpoints are kept apart, where they are who is asked for.
const MOST_HOSTS: usize = 256;

/// The endpoints of a subset, or all; or of one host, where they are who is asked for.
#[derive(Default)]
struct Cluster {
    subset: String,
    /// See [`Cluster::subset`].
    host: Option<Arc<str>>,
    /// Of which plan they are.
    plan: String,
    /// Where names are among them: of which version of those.
    version: Option<u64>,
    members: Vec<Member>,
    /// The numbers of all members.
    all: Rc<[u32]>,
    /// How far each of them is; empty where that is not asked.
    distances: Vec<Distance>,
    turn: u32,
    hashes: Option<Hashes>,
}

struct Member {
    address: Address,
    load: Rc<Load>,
}

/// Made when the first request asks for one: most destinations hash nothing.
enum Hashes {
    Ring(ring_hash::Ring),
    Table(maglev::Table),
}

/// What is known of an endpoint.
#[derive(Default)]
struct Load {
    /// When it was first seen, after the worker's beginning.
    since: Duration,
    active: Cell<u32>,
    estimate: Cell<peak_ewma::Estimate>,
}

/// What is asked.
pub(crate) struct Ask<'a> {
    pub(crate) serving: &'a Serving,
    /// Where this proxy is.
    pub(crate) here: &'a Here,
    pub(crate) forward: &'a Forward<'a>,
    /// Who is asked for, where the endpoints are those of that one.
    pub(crate) asked: Option<&'a Asked>,
    /// Endpoints that another one is preferred to.
    pub(crate) tried: &'a [Address],
    /// The hash of what the balancer hashes; without one, any.
    pub(crate) key: Option<u64>,
    /// After the worker's beginning.
    pub(crate) now: Duration,
}

/// An endpoint with one request more, as long as this lives.
pub(crate) struct Chosen {
    pub(crate) address: Address,
    /// Among how many it was chosen.
    pub(crate) of: usize,
    load: Rc<Load>,
}

impl Chosen {
    /// The only one there is.
    pub(crate) fn only(address: Address) -> Chosen {
        let load = Rc::new(Load::default());
        load.active.set(1);
        Chosen { address, of: 1, load }
    }

    /// A round trip ended at `now` and took so long. One that failed is never good news: it counts for no less than what is known.
    pub(crate) fn took(&self, now: Duration, took: Duration, failed: bool) {
        let mut estimate = self.load.estimate.get();
        let known = Duration::from_nanos(estimate.load(now, 0) as u64);
        estimate.observe(now, if failed { took.max(known) } else { took });
        self.load.estimate.set(estimate);
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        self.load.active.set(self.load.active.get().saturating_sub(1));
    }
}

impl Destinations {
    /// Chooses an endpoint, none that is `out`. `None`: there is none. Where nobody is out, and nobody was tried, nothing is gone through.
    pub(crate) fn choose(
        &mut self,
        ask: &Ask<'_>,
        out: Option<&dyn Fn(Address) -> bool>,
        dice: &mut fastrand::Rng,
    ) -> Option<Chosen> {
        let (view, forward) = (&ask.serving.view, ask.forward);
        let service = view.service(forward.service_index)?;
        let cluster = self.cluster(service.port(forward.port)?.number(), ask, dice)?;
        let all = cluster.all.clone();
        let only = |among: &[u32], fits: &dyn Fn(Address) -> bool| -> Rc<[u32]> {
            let is_fit = |own: &u32| cluster.address(*own).is_some_and(fits);
            among.iter().copied().filter(is_fit).collect()
        };
        let mut among = all.clone();
        if let Some(out) = out {
            let usable = only(&all, &|address| !out(address));
            if !outliers::is_panic(service.panic_threshold(), all.len(), usable.len()) {
                among = usable;
            }
        }
        let well = among.clone();
        if !cluster.distances.is_empty() {
            among = nearness::among(&cluster.distances, &well, ask.drawn(dice)).into();
        }
        if !ask.tried.is_empty() {
            let is_fresh = |address| !ask.tried.contains(&address);
            // An endpoint of another zone, but of the same cluster, before one that was tried.
            let further = || -> Rc<[u32]> {
                let there = among.first().and_then(|own| cluster.cluster_of(*own));
                only(&well, &is_fresh)
                    .iter()
                    .copied()
                    .filter(|own| cluster.cluster_of(*own) == there)
                    .collect()
            };
            let fresh =
                Some(only(&among, &is_fresh)).filter(|fresh| !fresh.is_empty()).unwrap_or_else(further);
            among = if fresh.is_empty() { among } else { fresh };
        }
        let chosen = cluster.pick(&among, view.balancer(forward.balancer()), ask, dice)?;
        let member = cluster.members.get(chosen as usize)?;
        member.load.active.set(member.load.active.get() + 1);
        Some(Chosen { address: member.address, of: all.len(), load: member.load.clone() })
    }

    /// The endpoints of a destination as the request's plan has them.
    fn cluster(&mut self, port: u16, ask: &Ask<'_>, dice: &mut fastrand::Rng) -> Option<&mut Cluster> {
        let forward = ask.forward;
        if !self.services.contains_key(&*forward.service) {
            self.services.insert(forward.service.to_string(), Vec::new());
        }
        let ports = self.services.get_mut(&*forward.service)?;
        let place = ports.iter().position(|own| own.port == port).unwrap_or_else(|| {
            ports.push(Destination { port, loads: HashMap::new(), clusters: vec![] });
            ports.len() - 1
        });
        let Destination { loads, clusters, .. } = ports.get_mut(place)?;
        let host = ask.asked.map(|asked| &asked.host);
        let is_it = |own: &Cluster| *own.subset == *forward.subset && own.host.as_ref() == host;
        let place = clusters.iter().position(is_it).unwrap_or_else(|| {
            // Who makes hosts up makes room by the first of them.
            if clusters.len() >= MOST_HOSTS && host.is_some() {
                clusters.remove(0);
            }
            // The first turn is drawn by lot: else all workers of all proxies would begin with the same endpoint.
            let (turn, subset, host) = (dice.u32(..1 << 16), forward.subset.to_string(), host.cloned());
            clusters.push(Cluster { subset, host, turn, ..Cluster::default() });
            clusters.len() - 1
        });
        let cluster = clusters.get_mut(place)?;
        if ask.asked.is_some() {
            cluster.follow(ask, loads);
            return Some(cluster);
        }
        let is_other = |own: u64| own != ask.serving.names.version();
        if cluster.plan != ask.serving.digest || cluster.version.is_some_and(is_other) {
            let has_names = ask.serving.has_names(forward.service_index, forward.port, forward.subset_index);
            // Before they are looked at: what changes meanwhile is looked at again.
            cluster.version = has_names.then(|| ask.serving.names.version());
            cluster.follow(ask, loads);
            cluster.plan.clone_from(&ask.serving.digest);
        }
        Some(cluster)
    }

    /// Forgets services that are gone.
    pub(crate) fn keep_only(&mut self, exists: impl Fn(&str) -> bool) {
        self.services.retain(|service, _| exists(service));
    }
}

impl Ask<'_> {
    /// A number from 0 to 1 that decides whether a request leaves its zone: with a key that of the key, so that it goes where it always went.
    fn drawn(&self, dice: &mut fastrand::Rng) -> f64 {
        match self.key {
            // The upper bits are as many as a number of this kind has; the hashes below look at others mixed again.
            Some(key) => (hash::mixed(!key) >> 11) as f64 / (1u64 << 53) as f64,
            None => dice.f64(),
        }
    }
}

/// The endpoints that a request can go to, and how far each of them is, if that is asked.
fn found(ask: &Ask<'_>) -> (Vec<Address>, Vec<Distance>) {
    if let Some(asked) = ask.asked {
        return (asked.addresses(), Vec::new());
    }
    let (view, forward) = (&ask.serving.view, ask.forward);
    let service = view.service(forward.service_index);
    let all = ask.serving.endpoints(forward.service_index, forward.port, forward.subset_index);
    match service.filter(|service| service.is_by_zone() || service.failover().next().is_some()) {
        None => (all.into_iter().map(|(address, _)| address).collect(), Vec::new()),
        Some(service) => {
            let reached = all.into_iter().filter_map(|(address, endpoint)| {
                Some((address, Distance::of(service, endpoint, ask.here)?))
            });
            reached.unzip()
        }
    }
}

impl Cluster {
    /// Takes over the endpoints of another plan. What is known of those that stay is kept.
    fn follow(&mut self, ask: &Ask<'_>, loads: &mut HashMap<Address, Rc<Load>>) {
        let (addresses, distances) = found(ask);
        self.distances = distances;
        if addresses.iter().eq(self.members.iter().map(|member| &member.address)) {
            return;
        }
        let new = || Rc::new(Load { since: ask.now, ..Load::default() });
        self.members = addresses
            .into_iter()
            .map(|address| Member { address, load: loads.entry(address).or_insert_with(new).clone() })
            .collect();
        self.all = (0..self.members.len() as u32).collect();
        self.turn = self.turn.checked_rem(self.all.len() as u32).unwrap_or_default();
        self.hashes = None;
        loads.retain(|_, load| Rc::strong_count(load) > 1);
    }

    fn cluster_of(&self, own: u32) -> Option<u32> {
        self.distances.get(own as usize).map(|distance| distance.cluster)
    }

    fn address(&self, own: u32) -> Option<Address> {
        self.members.get(own as usize).map(|member| member.address)
    }

    fn pick(
        &mut self,
        among: &[u32],
        balancer: Option<Balancer<'_>>,
        ask: &Ask<'_>,
        dice: &mut fastrand::Rng,
    ) -> Option<u32> {
        let mut draw = |below: usize| dice.usize(..below.max(1));
        let algorithm = balancer.map_or(Algorithm::RoundRobin, Balancer::algorithm);
        if algorithm.hashes() {
            return match ask.key {
                Some(key) => self.hashed(algorithm, key, among),
                None => random::pick(among, &mut draw),
            };
        }
        let (now, turn, members) = (ask.now, &mut self.turn, &self.members);
        let start = Duration::from_millis(balancer.map_or(0, Balancer::slow_start).into());
        let load = |own: u32| members.get(own as usize).map(|member| &*member.load);
        let share =
            |own: u32| load(own).map_or(1.0, |load| slow_start::share(now.saturating_sub(load.since), start));
        let active = |own: u32| load(own).map_or(0.0, |load| f64::from(load.active.get())) / share(own);
        let cost = |own: u32| {
            load(own).map_or(0.0, |load| load.estimate.get().load(now, load.active.get())) / share(own)
        };
        let mut choose = |draw: &mut Draw<'_>| match algorithm {
            Algorithm::Random => random::pick(among, draw),
            Algorithm::LeastRequest => least_request::pick(among, active, draw),
            Algorithm::PeakEwma => peak_ewma::pick(among, cost, draw),
            Algorithm::RoundRobin | Algorithm::RingHash | Algorithm::Maglev => round_robin::next(among, turn),
        };
        if start.is_zero() { choose(&mut draw) } else { slow_start::scaled(among, share, &mut draw, choose) }
    }

    fn hashed(&mut self, algorithm: Algorithm, key: u64, among: &[u32]) -> Option<u32> {
        let fits = matches!(
            (&self.hashes, algorithm),
            (Some(Hashes::Ring(_)), Algorithm::RingHash) | (Some(Hashes::Table(_)), Algorithm::Maglev)
        );
        if !fits {
            let names = self.members.iter().map(|member| {
                let Address { ip, port } = member.address;
                std::net::SocketAddr::new(ip, port).to_string()
            });
            let names: Vec<String> = names.collect();
            self.hashes = Some(match algorithm {
                Algorithm::Maglev => Hashes::Table(maglev::Table::new(&names)),
                _ => Hashes::Ring(ring_hash::Ring::new(&names)),
            });
        }
        let usable = |own: u32| among.binary_search(&own).is_ok();
        match &self.hashes {
            Some(Hashes::Ring(ring)) => ring.pick(hash::mixed(key), usable),
            Some(Hashes::Table(table)) => table.pick(key, usable),
            None => None,
        }
    }
}
