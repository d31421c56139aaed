//! Services and gateways as a person says them: by name, or by name and namespace where the name alone is not enough.

use super::Survey;
use crate::model::{Caller, GatewayId, ServiceId, Workload};
use crate::values::Unknown;
use mesh_lang::diagnostic::suggest::nearest;

/// More names than this help nobody.
const MAX_NAMES: usize = 8;

impl Survey<'_> {
    pub(super) fn workloads(&self) -> impl Iterator<Item = (Caller, &Workload)> {
        let services = self.model.services.iter().zip(0..);
        let services = services.map(|(own, id)| (Caller::Service(ServiceId(id)), &own.workload));
        let gateways = self.model.gateways.iter().zip(0..);
        services.chain(gateways.map(|(own, id)| (Caller::Gateway(GatewayId(id)), &own.workload)))
    }

    /// What `cart`, `cart.shop` or `gateway edge` is.
    pub(super) fn find(&self, said: &str) -> Result<Caller, Unknown> {
        let (name, wanted) = match said.split_once(' ') {
            Some(("gateway", name)) => (name.trim(), "gateway"),
            Some(("service", name)) => (name.trim(), "service"),
            _ => (said, "service or gateway"),
        };
        let fits = |(caller, _): &(Caller, &Workload)| match caller {
            Caller::Gateway(_) => wanted != "service",
            Caller::Service(_) => wanted != "gateway",
        };
        let all: Vec<(Caller, &Workload)> = self.workloads().filter(fits).collect();
        let is_it = |workload: &Workload| workload.name == name || workload.full_name() == name;
        let found: Vec<(Caller, &Workload)> =
            all.iter().filter(|(_, own)| is_it(own)).map(|(caller, own)| (*caller, *own)).collect();
        match found.as_slice() {
            [(only, _)] => Ok(*only),
            [] => {
                let names = all.iter().flat_map(|(_, own)| [own.name.to_string(), own.full_name()]);
                let mut names: Vec<String> = names.collect();
                names.sort();
                names.dedup();
                let plain: Vec<String> = all.iter().map(|(_, own)| own.full_name()).collect();
                let help = match nearest(name, names.iter().map(String::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None if plain.is_empty() => "The project declares none.".to_owned(),
                    None => format!("There are {}.", listed(&plain)),
                };
                Err(Unknown { message: format!("no {wanted} `{name}`"), help })
            }
            several => {
                let names: Vec<String> = several.iter().map(|(_, own)| own.full_name()).collect();
                Err(Unknown {
                    message: format!("`{name}` is several: {}", listed(&names)),
                    help: "Say the namespace too.".to_owned(),
                })
            }
        }
    }

    /// `web.default`, `gateway edge.default`
    pub(super) fn said(&self, caller: Caller) -> String {
        let name = self.model.workload(caller).full_name();
        match caller {
            Caller::Gateway(_) => format!("gateway {name}"),
            Caller::Service(_) => name,
        }
    }
}

/// `` `a`, `b` and 4 more ``
pub(super) fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(MAX_NAMES);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", quoted.join(", "))
}

/// The index of the port or listener that is meant, by name or number, or the only one.
pub(super) fn door(
    said: Option<&str>,
    whose: &str,
    kind: &str,
    doors: &[(String, u16)],
) -> Result<usize, Unknown> {
    let names: Vec<String> = doors
        .iter()
        .map(|(name, number)| if name.is_empty() { number.to_string() } else { name.clone() })
        .collect();
    match (said, doors) {
        (_, []) => Err(unknown(format!("{whose} has no {kind}"), "Nothing can be sent to it.")),
        (None, [_]) => Ok(0),
        (None, _) => Err(unknown(
            format!("{whose} has several {kind}s: {}", listed(&names)),
            format!("Say which: `--{kind} {}`.", names[0]),
        )),
        (Some(said), _) => {
            let is_it = |(name, number): &(String, u16)| name == said || number.to_string() == said;
            doors.iter().position(is_it).ok_or_else(|| {
                let help = match nearest(said, names.iter().map(String::as_str)) {
                    Some(near) => format!("Did you mean `{near}`?"),
                    None => format!("There are {}.", listed(&names)),
                };
                unknown(format!("{whose} has no {kind} `{said}`"), help)
            })
        }
    }
}

fn unknown(message: impl Into<String>, help: impl Into<String>) -> Unknown {
    Unknown { message: message.into(), help: help.into() }
}
