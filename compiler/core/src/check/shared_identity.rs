//! `MESH4006`: two workloads with one identity cannot be told apart.

use crate::model::{Model, Workload};
use mesh_lang::{Code, Diagnostic, Severity};
use std::collections::BTreeMap;

/// Two services are a warning, a gateway with anybody else is an error: who is let in as one is let in as the other.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let gateways = model.gateways.iter().map(|gateway| (&gateway.workload, true));
    let services = model.services.iter().map(|service| (&service.workload, false));
    let mut by_identity: BTreeMap<&str, Vec<(&Workload, bool)>> = BTreeMap::new();
    for (workload, is_gateway) in gateways.chain(services) {
        by_identity.entry(&workload.identity).or_default().push((workload, is_gateway));
    }
    let shared = by_identity.into_values().filter(|sharers| sharers.len() > 1);
    shared.map(|sharers| say(&sharers)).collect()
}

fn say(sharers: &[(&Workload, bool)]) -> Diagnostic {
    let names: Vec<String> = sharers.iter().map(|(workload, _)| format!("`{}`", workload.name)).collect();
    let with_gateway = sharers.iter().any(|(_, is_gateway)| *is_gateway);
    let mut problem =
        Diagnostic::new(Code::SharedIdentity, format!("{} have one identity", names.join(" and ")))
            .severity(if with_gateway { Severity::Error } else { Severity::Warning });
    let mut spans: Vec<_> = sharers.iter().map(|(workload, _)| workload.span).collect();
    spans.sort();
    for span in spans {
        problem = problem.at(span, "shares it");
    }
    problem
        .note(format!("all are {}: who allows one allows the other", sharers[0].0.identity))
        .help("Give each its own `service-account`.")
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn two_services_with_one_account_are_one_to_everybody() {
        let text = "service a { service-account x }\nservice b { service-account x }\n";
        says(text, &["1 MESH4006 `a` and `b` have one identity"]);
    }
}
