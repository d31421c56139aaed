//! Whom a service means by a host and a port (`spec/semantics.md` 5.2).

use mesh_plan::hosts;
use mesh_plan::view::{CallHost, Port, Service};
use mesh_plan::{NONE, PlanView};

/// The port of a URL of `http` that says none (RFC 9110 4.2.1).
const PORT_OF_HTTP: u16 = 80;

/// Which of a service's calls a host and a port mean, if they mean any. Without a number they mean the only port of whom the host means, or of
/// several the one of HTTP. `None` where the plan contradicts itself.
pub(crate) fn callee(
    plan: &PlanView,
    caller: Service<'_>,
    host: &str,
    host_port: Option<u16>,
) -> Option<Option<u32>> {
    let Some(first) = named(caller, host) else { return Some(None) };
    let hosts = caller.hosts();
    let meant = hosts.get(first)?;
    let own = (first..hosts.len()).map_while(|index| hosts.get(index));
    let own = own.take_while(|host| host.is_same_host(meant)).map(CallHost::call);
    let (mut found, mut only, mut ports, mut last) = (None, None, 0, NONE);
    for index in own.filter(|index| *index != NONE) {
        let call = caller.calls().get(index)?;
        let callee = plan.service(call.service())?;
        let number = callee.port(call.port()).map(Port::number);
        if number == Some(host_port.unwrap_or(PORT_OF_HTTP)) {
            found = Some(index);
            break;
        }
        // Calls are sorted by the service.
        if call.service() != last {
            ports += callee.ports().len();
            last = call.service();
        }
        only = Some(index);
    }
    let is_only = host_port.is_none() && ports == 1;
    Some(found.or(only.filter(|_| is_only)))
}

/// The place of the first record of the most specific host, pattern (3.7) or network that a host is in.
fn named(caller: Service<'_>, host: &str) -> Option<u32> {
    let names = caller.names_of_hosts();
    let exact = names.get(host.as_bytes());
    if let (None, Some(ip)) = (exact, hosts::address(host)) {
        // Of networks the smallest.
        let networks = caller.hosts().iter().map(|row| row.host()).filter(|host| host.contains('/'));
        let fits = networks.filter_map(|network| Some((hosts::prefix(network, ip)?, network)));
        let (_, network) = fits.max_by_key(|(length, _)| *length)?;
        return names.get(network.as_bytes());
    }
    // No other host begins with what patterns begin with, which is sorted before all others.
    if exact.is_some() || !caller.hosts().get(0)?.host().starts_with('*') {
        return exact;
    }
    // What `*.` and `**.` stand for is never empty.
    let parents =
        || host.match_indices('.').filter(|(at, _)| *at > 0).filter_map(|(at, _)| host.get(at + 1..));
    let find = |wildcard: &str, parent: &str| {
        let pattern = || wildcard.bytes().chain(parent.bytes());
        caller.hosts().find(|row| row.host().bytes().cmp(pattern())).map(|(_, row)| row.host())
    };
    let one_label = || parents().next().and_then(|parent| find("*.", parent));
    let pattern = one_label().or_else(|| parents().find_map(|parent| find("**.", parent)))?;
    names.get(pattern.as_bytes())
}
