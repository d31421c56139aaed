//! Near endpoints before far ones: clusters in the order of a `failover`, and in a cluster the caller's zone first, as long as enough of
//! it is healthy (`spec/semantics.md` 11.22).

use mesh_plan::LOCAL;
use mesh_plan::view::{Endpoint, Service};

/// As much as a zone is thought to carry more than what it carries with all of its endpoints: it keeps its requests while five of
/// seven are healthy. Envoy's *overprovisioning factor*, and its value.
const OVERPROVISIONING: f64 = 1.4;

/// Where whoever asks is; what is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// The cluster.
    pub cluster: String,
    /// The zone.
    pub zone: String,
}

/// How far an endpoint is from whoever asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance {
    /// Before how many clusters are.
    pub cluster: u32,
    /// Whether another zone is preferred to its own.
    pub zone: bool,
}

impl Distance {
    /// That of an endpoint of a service. `None`: no request goes there, for its cluster is none of the `failover`. An endpoint whose
    /// cluster is not said is in the first one. Where it is not known in which zone somebody is, all zones are alike.
    pub fn of(service: Service<'_>, endpoint: Endpoint<'_>, here: &Here) -> Option<Distance> {
        let is_own = |cluster: &str| match cluster {
            LOCAL => endpoint.cluster() == here.cluster,
            other => endpoint.cluster() == other,
        };
        let is_anywhere = endpoint.cluster().is_empty() || service.failover().next().is_none();
        let cluster = if is_anywhere { 0 } else { service.failover().position(is_own)? };
        let zone = service.is_by_zone() && !here.zone.is_empty() && endpoint.zone() != here.zone;
        Some(Distance { cluster: cluster as u32, zone })
    }
}

/// Of the endpoints that are healthy those among which one is chosen: of the first cluster that has one, and there of the caller's zone, or
/// of the others. `all` are endpoints by how far they are, `drawn` is a number from 0 to 1, less than 1. Time: linear in the endpoints.
pub fn among(all: &[Distance], healthy: &[u32], drawn: f64) -> Vec<u32> {
    let of = |own: &u32| all.get(*own as usize).copied();
    let Some(cluster) = healthy.iter().filter_map(of).map(|own| own.cluster).min() else { return Vec::new() };
    let is_there = |own: &&u32| of(own).is_some_and(|own| own.cluster == cluster);
    let (far, near): (Vec<u32>, Vec<u32>) =
        healthy.iter().filter(is_there).partition(|own| of(own).is_some_and(|own| own.zone));
    let count = |zone| all.iter().filter(|own| **own == Distance { cluster, zone }).count();
    if drawn < share_of_near((near.len(), count(false)), (far.len(), count(true))) { near } else { far }
}

/// The share of the requests that stay in the zone: as *priority levels* of Envoy, of which the second gets what the first cannot carry,
/// and both share what neither can. Of each, how many are healthy and how many there are.
fn share_of_near(near: (usize, usize), far: (usize, usize)) -> f64 {
    let carries = |(healthy, all): (usize, usize)| match all {
        0 => 0.0,
        all => (healthy as f64 / all as f64 * OVERPROVISIONING).min(1.0),
    };
    let first = carries(near);
    let second = carries(far).min(1.0 - first);
    if first + second > 0.0 { first / (first + second) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(cluster: u32, zone: bool) -> Distance {
        Distance { cluster, zone }
    }

    #[test]
    fn a_cluster_is_asked_while_none_before_it_has_a_healthy_endpoint() {
        let all = [at(0, false), at(0, false), at(1, false), at(2, false)];
        assert_eq!(among(&all, &[0, 1, 2, 3], 0.5), [0, 1]);
        assert_eq!(among(&all, &[1, 2, 3], 0.5), [1]);
        assert_eq!(among(&all, &[2, 3], 0.5), [2]);
        assert_eq!(among(&all, &[3], 0.5), [3]);
        assert_eq!(among(&all, &[], 0.5), [0u32; 0]);
    }

    /// With all of seven, with five, with four and with none healthy in the zone, and all healthy elsewhere.
    #[test]
    fn a_zone_keeps_what_it_can_carry() {
        assert_eq!(share_of_near((7, 7), (7, 7)), 1.0);
        assert_eq!(share_of_near((5, 7), (7, 7)), 1.0);
        assert!((share_of_near((4, 7), (7, 7)) - 0.8).abs() < 1e-9);
        assert_eq!(share_of_near((0, 7), (7, 7)), 0.0);
        // Neither can carry its part: each gets as much as it can compared with the other.
        assert!((share_of_near((1, 7), (3, 7)) - 0.25).abs() < 1e-9);
        assert_eq!(share_of_near((3, 7), (0, 7)), 1.0);
        assert_eq!(share_of_near((0, 0), (1, 7)), 0.0);
    }

    #[test]
    fn what_a_zone_cannot_carry_goes_to_the_others() {
        let all: Vec<Distance> = (0..14).map(|own| at(0, own >= 7)).collect();
        let healthy = [0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13];
        assert_eq!(among(&all, &healthy, 0.79), [0, 1, 2, 3]);
        assert_eq!(among(&all, &healthy, 0.81), [7, 8, 9, 10, 11, 12, 13]);
    }
}
