//! `MESH2021`: a subset to which nothing is sent, in no environment.

use crate::model::{Action, Model};
use mesh_lang::{Code, Diagnostic};
use mesh_plan::Edit;

/// Subsets that no rule sends to, here or somewhere else, and to which no copy goes. Time: linear in the rules, where there are subsets.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    if model.services.iter().all(|service| service.subsets.is_empty()) {
        return Vec::new();
    }
    let mut sent: Vec<Vec<bool>> =
        model.services.iter().map(|service| vec![false; service.subsets.len()]).collect();
    let mut send = |service: u32, subset: u32| {
        if let Some(sent) = sent.get_mut(service as usize).and_then(|own| own.get_mut(subset as usize)) {
            *sent = true;
        }
    };
    for rule in model.rules() {
        if let Action::Forward(backends) = &rule.action {
            let subsets = backends.iter().filter_map(|one| Some((one.to.service.0, one.subset?)));
            subsets.for_each(|(service, subset)| send(service, subset));
        }
        for edit in &rule.edits {
            // Without a subset it is a number that none has.
            if let Edit::Mirror { service, subset, .. } = edit {
                send(*service, *subset);
            }
        }
    }
    let mut found = Vec::new();
    for (service, sent) in model.services.iter().zip(sent) {
        let unused =
            service.subsets.iter().zip(sent).filter(|(_, is_sent)| !is_sent).map(|(subset, _)| subset);
        for subset in unused.filter(|subset| !model.sent_somewhere.contains(&subset.name)) {
            let name = &service.workload.name;
            found.push(
                Diagnostic::new(
                    Code::UnusedName,
                    format!("nothing is sent to subset `{}` of `{name}`", subset.name),
                )
                .at(subset.span, "no rule, no split and no mirror names it, in any environment")
                .help(format!("Send to it, `to {name}:{}`, or delete it.", subset.name)),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::testing::says;
    use crate::{StandIns, compile_in};
    use mesh_lang::SourceSet;

    const SAID: &str = "3 MESH2021 nothing is sent to subset `v2` of `s`";

    fn sent(more: &str, route: &str) -> String {
        format!(
            "mesh m {{ environments dev, live }}\nservice s {{ port 80 http; subset v1 label v = \"1\"\nsubset v2 label v = \"2\" }}\nauthorize s {{ allow from anyone }}\nroute s {{ {route} }}\n{more}\n"
        )
    }

    #[test]
    fn a_subset_is_sent_to_by_a_rule_a_copy_or_a_split() {
        says(&sent("", "to s:v1"), &[SAID]);
        says(&sent("", "to s:v1 90%, s:v2 10%"), &[]);
        says(&sent("", "rule all { to s:v1; match GET; mirror s:v2 1% }; otherwise 404"), &[]);
        says(&sent("split both = s:v1 50%, s:v2 50%", "to both"), &[]);
    }

    #[test]
    fn all_environments_are_asked() {
        says(&sent("", "env live { rule new { match GET /new; to s:v2 } }\n rule all { to s:v1 }"), &[]);
        let other = "rule all { to s:v2\nenv live { to s:v1 } }";
        let text = sent("", other);
        for environment in [None, Some("dev"), Some("live")] {
            let sources = SourceSet::single("test.mesh", text.as_str());
            let found = compile_in(&sources, environment, &StandIns::new()).diagnostics;
            assert_eq!(found, [], "{environment:?}");
        }
        says(&sent("param share percent = 10%", "to s:v2 $share, s:v1 rest"), &[]);
    }

    #[test]
    fn a_subset_of_another_service_is_another_one() {
        let other = "service t { port 80 http; subset v2 label v = \"2\" }\nauthorize t { allow from anyone }\nroute t { to t:v2 }";
        says(&sent(other, "to s:v1"), &[SAID]);
    }
}
