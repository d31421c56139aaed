//! `MESH5011`: a service to which nothing leads.

use super::hops::Hops;
use crate::model::{AccessLine, Action, Model, Principal, Service, ServiceId};
use mesh_lang::{Code, Diagnostic};

/// Services that no call, rule, mirror, authority or collector leads to, and that let in nobody from outside of the mesh. Where nobody
/// is let in at all (`MESH4001`), or services are named that do not call (`MESH4011`), that is said and nothing more. Time: linear in
/// the hops and rules.
pub(super) fn check(model: &Model, hops: &Hops) -> Vec<Diagnostic> {
    let mut reached = vec![false; model.services.len()];
    let mut reach = |service: ServiceId| reached[service.0 as usize] = true;
    model.asked.iter().for_each(|service| reach(*service));
    hops.iter().for_each(|hop| reach(hop.to));
    for rule in model.rules() {
        rule.mirrors.iter().for_each(|(to, _)| reach(*to));
        if let Action::Forward(backends) = &rule.action {
            backends.iter().for_each(|backend| reach(backend.to.service));
        }
    }
    let all = model.services.iter().zip(reached).filter(|(_, is_reached)| !is_reached);
    all.filter_map(|(service, _)| of_service(service)).collect()
}

/// What is said of a service to which nothing leads.
pub(crate) fn of_service(service: &Service) -> Option<Diagnostic> {
    let lines = service.ports.iter().flat_map(|port| &port.access);
    let allows: Vec<&AccessLine> = lines.filter(|line| line.lets_in()).collect();
    let first = allows.first()?;
    let names_services = allows.iter().any(|line| line.callers().next().is_some());
    if names_services || !allows.iter().all(|line| is_of_the_mesh(line)) {
        return None;
    }
    let name = &service.workload.name;
    Some(
        Diagnostic::new(Code::OrphanService, format!("nothing leads to `{name}`"))
            .at(service.workload.span, "no call, no rule and no mirror")
            .at(first.span, "lets in whom no way brings here")
            .help(format!("Say who calls it, `calls {name}`, or send to it in a route; if it has had its day, delete it.")),
    )
}

/// Whether a line lets in only those who say in these files what they call.
fn is_of_the_mesh(line: &AccessLine) -> bool {
    let declared = |principal: &Principal| match principal {
        Principal::Workload { .. } | Principal::Namespace(_) | Principal::Authenticated => true,
        Principal::Identity(_)
        | Principal::TrustDomain(_)
        | Principal::Below(_)
        | Principal::Unauthenticated
        | Principal::Anyone => false,
    };
    !line.is_mode && line.from.of.iter().all(declared)
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(more: &str, from: &str) -> String {
        format!("service coupons {{ port 80 http }}\nauthorize coupons {{ allow from {from} }}\n{more}\n")
    }

    const SAID: &str = "1 MESH5011 nothing leads to `coupons`";

    #[test]
    fn a_service_to_which_nothing_leads_is_said() {
        says(&mesh("", "namespace default"), &[SAID]);
        says(&mesh("", "authenticated"), &[SAID]);
        says(&mesh("service web { calls coupons }", "namespace default"), &[]);
        says(&mesh("service web { }\ngroup g = web", "g"), &[SAID]);
    }

    #[test]
    fn others_may_come_from_outside() {
        for from in ["anyone", "unauthenticated", "trust-domain partner.example", "namespace default, anyone"]
        {
            says(&mesh("", from), &[]);
        }
    }

    #[test]
    fn what_is_said_already_is_not_said_again() {
        says(&mesh("service web { }", "web"), &["2 MESH4011 `web` is allowed and does not call `coupons`"]);
        says("service coupons { port 80 http }\n", &["1 MESH4001 nobody may call `coupons`"]);
    }

    #[test]
    fn routes_mirrors_and_proxies_lead_somewhere() {
        let gateway = |rule: &str| {
            format!(
                "gateway edge {{ listener web port 80 http {{ host \"*\" }} }}\nauthorize edge {{ allow from anyone }}\nroute edge {{ rule r {{ match GET; {rule} }}; otherwise 404 }}\nservice shop {{ port 80 http }}\nauthorize shop {{ allow from anyone }}"
            )
        };
        says(&mesh(&gateway("to shop"), "gateway edge"), &[SAID]);
        says(&mesh(&gateway("to coupons"), "gateway edge"), &[]);
        says(&mesh(&gateway("to shop; mirror coupons 1%"), "gateway edge"), &[]);
        let asked = "ext-authz gate { service coupons; timeout 1s; on-failure deny }\nmodule m { export ext-authz gate }";
        says(&mesh(asked, "authenticated"), &[]);
        says(&mesh("mesh m { tracing otlp coupons }", "authenticated"), &[]);
    }
}
