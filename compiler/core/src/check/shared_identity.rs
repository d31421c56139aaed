//! `MESH4006`: two workloads with one identity cannot be told apart.

use crate::model::{Model, Workload};
use mesh_lang::{Code, Diagnostic, Severity};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;

/// Two services are a warning, a gateway with anybody else is an error: who is let in as one is let in as the other.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let gateways = model.gateways.iter().map(|gateway| (&gateway.workload, true));
    let services = model.services.iter().map(|service| (&service.workload, false));
    let mut firsts: FxHashMap<&str, (&Workload, bool)> = FxHashMap::default();
    let mut shared: BTreeMap<&str, Vec<(&Workload, bool)>> = BTreeMap::new();
    for own in gateways.chain(services) {
        let identity = own.0.identity.as_str();
        match firsts.entry(identity) {
            Entry::Vacant(none) => drop(none.insert(own)),
            Entry::Occupied(first) => shared.entry(identity).or_insert_with(|| vec![*first.get()]).push(own),
        }
    }
    shared.into_values().map(|sharers| say(&sharers)).collect()
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
