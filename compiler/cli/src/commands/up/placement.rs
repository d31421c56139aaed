//! Which port each listener of a gateway gets on this machine: its own, or a free one where that cannot be had.

use super::proxies::LOOPBACK;
use crate::failure::reason;
use mesh_plan::Plan;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpListener;

/// What a listener asks for. With another port it is another wish: a listener that was moved gets a new try.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wish {
    /// `name.namespace` of the gateway.
    gateway: String,
    listener: String,
    port: u16,
}

/// Listeners whose own port could not be had, and the port they have instead. They stay there, so that a person's
/// command line stays right.
pub(super) type Moved = BTreeMap<Wish, u16>;

/// Where the listeners of a plan go.
#[derive(Debug)]
pub(super) struct Placement {
    /// Those that are not on their own port.
    pub(super) moved: Moved,
    /// A clause for each of them.
    pub(super) notes: Vec<String>,
}

/// Writes into the plan the ports that can be had. `moved` and `ours` are how it stands: who was moved, and the ports
/// that gateways listen on already.
pub(super) fn place(plan: &mut Plan, moved: &Moved, ours: &BTreeSet<u16>) -> io::Result<Placement> {
    let wishes: BTreeSet<Wish> = listeners(plan).map(|(wish, _)| wish).collect();
    let kept = moved.iter().filter(|(wish, _)| wishes.contains(wish));
    let mut placement =
        Placement { moved: kept.map(|(wish, port)| (wish.clone(), *port)).collect(), notes: Vec::new() };
    let mut given: BTreeSet<u16> = placement.moved.values().copied().collect();
    for (wish, number) in listeners(plan) {
        let name = format!("`{}` ({})", wish.gateway, wish.listener);
        if let Some(port) = placement.moved.get(&wish) {
            let wanted = wish.port;
            placement.notes.push(format!(
                "{name} still listens on port {port}, not on {wanted}: write another port, or start again"
            ));
            *number = *port;
        } else if let Some(why) = obstacle(wish.port, &given, ours) {
            let port = free_port(&wishes)?;
            placement.notes.push(format!("{why}, so {name} listens on port {port}"));
            *number = port;
            placement.moved.insert(wish, port);
        }
        given.insert(*number);
    }
    Ok(placement)
}

fn listeners(plan: &mut Plan) -> impl Iterator<Item = (Wish, &mut u16)> {
    plan.gateways.iter_mut().flat_map(|gateway| {
        let name = &gateway.name;
        gateway.listeners.iter_mut().map(move |listener| {
            let wish = Wish { gateway: name.clone(), listener: listener.name.clone(), port: listener.number };
            (wish, &mut listener.number)
        })
    })
}

/// Why a port cannot be had.
fn obstacle(port: u16, given: &BTreeSet<u16>, ours: &BTreeSet<u16>) -> Option<String> {
    if given.contains(&port) {
        return Some(format!("port {port} is another listener's"));
    }
    if ours.contains(&port) {
        return None;
    }
    let error = TcpListener::bind((LOOPBACK, port)).err()?;
    Some(match error.kind() {
        io::ErrorKind::AddrInUse => format!("port {port} is taken"),
        io::ErrorKind::PermissionDenied => format!("port {port} needs privileges"),
        _ => format!("port {port} cannot be had: {}", reason(&error)),
    })
}

/// A port that the kernel gives now and the proxy binds a moment later: should another program be faster, that fails
/// and is said. One that a listener asks for by itself is left to it.
fn free_port(wishes: &BTreeSet<Wish>) -> io::Result<u16> {
    loop {
        let port = TcpListener::bind((LOOPBACK, 0))?.local_addr()?.port();
        if wishes.iter().all(|wish| wish.port != port) {
            return Ok(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_compiler::StandIns;
    use mesh_lang::SourceSet;

    /// A gateway with listeners on these ports.
    fn plan(ports: &[(&str, u16)]) -> Plan {
        let listener = |(name, port): &(&str, u16)| {
            format!("  listener {name} port {port} http {{\n    host \"*\"\n  }}\n")
        };
        let route = |(name, _): &(&str, u16)| format!("route edge listener {name} {{\n  otherwise 404\n}}\n");
        let listeners: String = ports.iter().map(listener).collect();
        let routes: String = ports.iter().map(route).collect();
        let text = format!("gateway edge {{\n{listeners}}}\n{routes}");
        let compilation = mesh_compiler::compile(&SourceSet::single("edge.mesh", &text), &StandIns::new());
        compilation.plan.unwrap_or_else(|| panic!("{:?}", compilation.diagnostics))
    }

    fn numbers(plan: &Plan) -> Vec<u16> {
        plan.gateways[0].listeners.iter().map(|listener| listener.number).collect()
    }

    fn free() -> u16 {
        free_port(&BTreeSet::new()).unwrap()
    }

    #[test]
    fn a_taken_port_moves_its_own_listener_alone() {
        let hold = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let (taken, free) = (hold.local_addr().unwrap().port(), free());
        let mut placed = plan(&[("a", taken), ("b", free)]);
        let placement = place(&mut placed, &Moved::new(), &BTreeSet::new()).unwrap();
        let numbers = numbers(&placed);
        assert!(numbers[0] != taken && numbers[1] == free, "{numbers:?}");
        let note = format!("port {taken} is taken, so `edge.default` (a) listens on port {}", numbers[0]);
        assert_eq!(placement.notes, [note]);
    }

    #[test]
    fn a_moved_listener_stays_until_it_asks_for_another_port() {
        let hold = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let taken = hold.local_addr().unwrap().port();
        let mut first = plan(&[("a", taken)]);
        let before = place(&mut first, &Moved::new(), &BTreeSet::new()).unwrap();
        drop(hold);

        let ours = BTreeSet::from([numbers(&first)[0]]);
        let mut again = plan(&[("a", taken)]);
        let after = place(&mut again, &before.moved, &ours).unwrap();
        assert_eq!((numbers(&again), &after.moved), (numbers(&first), &before.moved));
        assert!(after.notes[0].contains("still listens on port"), "{:?}", after.notes);

        let wanted = free();
        let mut other = plan(&[("a", wanted)]);
        let placement = place(&mut other, &after.moved, &ours).unwrap();
        assert_eq!((numbers(&other), placement.notes.len()), (vec![wanted], 0));
        assert!(placement.moved.is_empty(), "and it is forgotten that it was moved");
    }

    #[test]
    fn a_port_of_ours_can_be_had_again_but_not_twice() {
        let hold = TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = hold.local_addr().unwrap().port();
        let mut placed = plan(&[("a", port)]);
        let placement = place(&mut placed, &Moved::new(), &BTreeSet::from([port])).unwrap();
        assert_eq!((numbers(&placed), placement.notes.len()), (vec![port], 0));

        let given = BTreeSet::from([port]);
        assert_eq!(obstacle(port, &given, &given), Some(format!("port {port} is another listener's")));
    }
}
