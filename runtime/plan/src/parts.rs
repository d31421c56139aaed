//! A plan in parts, one for each service and gateway, and parts put together to a plan.
//!
//! A part is a plan of its own in which whatever else it leads to stands as a name: a *stand-in*, a service without anything but the
//! ports and subsets that are meant. So a part is the same bytes as long as nothing of its owner changes, whatever happens to the
//! rest of the mesh, and is known by its digest. [`split`] takes a plan apart, [`slice()`] puts together what one proxy needs: its own
//! part, the parts of what it can send to, and nothing else (`spec/plan-format.md` 6).

mod assemble;

use crate::plan::{Action, Edit, NONE, Plan, REFUSED, Target};
use assemble::{Assembly, Member};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Whose part it is. In the order in which parts are numbered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// What everybody has to know: the trust domain, who is a gateway, and `mesh default`.
    Mesh,
    /// The gateway `name.namespace`.
    Gateway(String),
    /// The service `name.namespace`.
    Service(String),
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unit::Mesh => f.write_str("mesh"),
            Unit::Gateway(name) => write!(f, "gateway {name}"),
            Unit::Service(name) => write!(f, "service {name}"),
        }
    }
}

impl FromStr for Unit {
    type Err = ();

    fn from_str(text: &str) -> Result<Unit, ()> {
        match text.split_once(' ') {
            None if text == "mesh" => Ok(Unit::Mesh),
            Some(("gateway", name)) if !name.is_empty() => Ok(Unit::Gateway(name.to_owned())),
            Some(("service", name)) if !name.is_empty() => Ok(Unit::Service(name.to_owned())),
            _ => Err(()),
        }
    }
}

/// What an operator calls services and gateways whose proxy is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// Every gateway.
    Gateways,
    /// A gateway: `name`, where only one namespace has such a one, or `name.namespace`.
    Gateway(String),
    /// A service, in the same way.
    Service(String),
}

impl Wanted {
    /// Which of some units are meant. A name that none or several have means all of its kind, so that whoever is told can choose.
    pub fn among<'u>(&self, units: impl Iterator<Item = &'u Unit> + Clone) -> BTreeSet<Unit> {
        let of_kind = units.filter(|unit| match self {
            Wanted::Gateways | Wanted::Gateway(_) => matches!(unit, Unit::Gateway(_)),
            Wanted::Service(_) => matches!(unit, Unit::Service(_)),
        });
        let named: BTreeSet<Unit> = of_kind.clone().filter(|unit| self.names(unit)).cloned().collect();
        if named.is_empty() { of_kind.cloned().collect() } else { named }
    }

    /// Whether a unit is called so, in short or in full.
    pub fn names(&self, unit: &Unit) -> bool {
        let (name, full) = match (self, unit) {
            (Wanted::Gateways, unit) => return matches!(unit, Unit::Gateway(_)),
            (Wanted::Gateway(name), Unit::Gateway(full)) => (name, full),
            (Wanted::Service(name), Unit::Service(full)) => (name, full),
            _ => return false,
        };
        full == name || full.split_once('.').is_some_and(|(short, _)| short == name)
    }
}

/// Why parts make no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartsError {
    /// Something leads to a part that is not among them.
    Missing(Unit),
    /// Something leads to a port or a subset that its service does not have.
    Nowhere {
        /// The service, `name.namespace`.
        service: String,
        /// `port 80`, `subset v1`
        what: String,
    },
    /// A part is not what it is said to be the part of, or parts contradict each other.
    Strange(Unit),
}

impl fmt::Display for PartsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartsError::Missing(unit) => write!(f, "the part of {unit} is missing"),
            PartsError::Nowhere { service, what } => {
                write!(f, "a part leads to {what} of {service}, which has none")
            }
            PartsError::Strange(unit) => write!(f, "what is said to be the part of {unit} is not"),
        }
    }
}

impl std::error::Error for PartsError {}

/// The parts of a plan. What no request can meet, such as the outcome of a rule that never fires, is in none of them.
///
/// Takes time and space in proportion to the plan.
pub fn split(plan: &Plan) -> Result<BTreeMap<Unit, Plan>, PartsError> {
    let mut parts = BTreeMap::from([(Unit::Mesh, of_mesh(plan))]);
    for (service, index) in plan.services.iter().zip(0..) {
        let unit = Unit::Service(service.name.clone());
        let part = Assembly::of(vec![Member::service(unit.clone(), plan, index, true)], None)?;
        parts.insert(unit, part);
    }
    for (gateway, index) in plan.gateways.iter().zip(0..) {
        let unit = Unit::Gateway(gateway.name.clone());
        let part = Assembly::of(vec![Member::gateway(unit.clone(), plan, index)], None)?;
        parts.insert(unit, part);
    }
    Ok(parts)
}

/// The part of [`Unit::Mesh`].
fn of_mesh(plan: &Plan) -> Plan {
    let default = plan.settings.get(plan.default_settings as usize);
    Plan {
        trust_domain: plan.trust_domain.clone(),
        principals: plan.principals.iter().filter(|principal| principal.gateway).cloned().collect(),
        settings: default.into_iter().cloned().collect(),
        default_settings: default.map_or(NONE, |_| 0),
        ..Plan::default()
    }
}

/// The plan for the proxies of some services and gateways. A service that is only sent to has no calls in it, for its own proxy makes
/// them. A [`split`] plan with all its services and gateways asked for decides as the plan does, and has the same parts.
pub fn slice(parts: &BTreeMap<Unit, Plan>, wanted: &BTreeSet<Unit>) -> Result<Plan, PartsError> {
    assemble(&gather(|unit| parts.get(unit).cloned(), wanted)?, wanted)
}

/// The parts that a [`slice()`] is made of: those wanted, the mesh's, and whatever a request that they send can come to.
pub fn gather(
    mut fetch: impl FnMut(&Unit) -> Option<Plan>,
    wanted: &BTreeSet<Unit>,
) -> Result<BTreeMap<Unit, Plan>, PartsError> {
    let mut parts = BTreeMap::new();
    let mut open: Vec<Unit> = wanted.iter().cloned().chain([Unit::Mesh]).collect();
    while let Some(unit) = open.pop() {
        if parts.contains_key(&unit) {
            continue;
        }
        let part = fetch(&unit).ok_or_else(|| PartsError::Missing(unit.clone()))?;
        if unit != Unit::Mesh {
            let names = member(&part, unit.clone(), wanted.contains(&unit))?.leads_to()?;
            open.extend(names.into_iter().map(|name| Unit::Service(name.to_owned())));
        }
        parts.insert(unit, part);
    }
    Ok(parts)
}

/// Puts parts together that [`gather`] found.
pub fn assemble(parts: &BTreeMap<Unit, Plan>, wanted: &BTreeSet<Unit>) -> Result<Plan, PartsError> {
    let mesh = parts.get(&Unit::Mesh).ok_or(PartsError::Missing(Unit::Mesh))?;
    let members = parts.iter().filter(|(unit, _)| **unit != Unit::Mesh);
    let members = members.map(|(unit, part)| member(part, unit.clone(), wanted.contains(unit)));
    Assembly::of(members.collect::<Result<_, _>>()?, Some(mesh))
}

/// What a part is in a slice.
fn member(part: &Plan, unit: Unit, sends: bool) -> Result<Member<'_>, PartsError> {
    let index = match &unit {
        Unit::Mesh => None,
        Unit::Gateway(name) => part.gateways.iter().position(|gateway| gateway.name == *name),
        Unit::Service(name) => part.services.iter().position(|service| service.name == *name),
    };
    let index = index.ok_or_else(|| PartsError::Strange(unit.clone()))? as u32;
    Ok(match unit {
        Unit::Gateway(_) => Member::gateway(unit, part, index),
        _ => Member::service(unit, part, index, sends),
    })
}

/// Nodes and leaves below some targets. Leaves stand in the order in which the nodes lead to them, whatever their numbers are: those
/// depend on what else is in the plan.
#[derive(Default)]
struct Below {
    nodes: BTreeSet<u32>,
    leaves: Vec<u32>,
}

impl Below {
    fn of(plan: &Plan, targets: &[Target]) -> Below {
        let mut below = Below::default();
        let mut open = targets.to_vec();
        while let Some(target) = open.pop() {
            if let Target::Node(node) = target
                && below.nodes.insert(node)
            {
                open.extend(plan.nodes.get(node as usize).into_iter().flat_map(|node| &node.children));
            }
        }
        let nodes = below.nodes.iter().filter_map(|node| plan.nodes.get(*node as usize));
        let mut seen = BTreeSet::new();
        for target in nodes.flat_map(|node| &node.children).chain(targets) {
            match *target {
                Target::Leaf(leaf) if leaf != REFUSED && leaf != NONE && seen.insert(leaf) => {
                    below.leaves.push(leaf);
                }
                Target::Leaf(_) | Target::Node(_) => {}
            }
        }
        below
    }
}

/// Services, by index, their ports and subsets that an outcome leads to.
fn led_to<'p>(action: &'p Action, edits: &'p [Edit]) -> impl Iterator<Item = (u32, u32, u32)> + 'p {
    let backends = match action {
        Action::Forward(backends) => backends.as_slice(),
        Action::Redirect { .. } | Action::Respond { .. } => &[],
    };
    let mirrors = edits.iter().filter_map(|edit| match edit {
        Edit::Mirror { service, port, subset, .. } => Some((*service, *port, *subset)),
        _ => None,
    });
    backends.iter().map(|backend| (backend.service, backend.port, backend.subset)).chain(mirrors)
}

#[cfg(test)]
mod tests;
