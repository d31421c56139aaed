//! Who may call, as Istio's AuthorizationPolicy: one object a service, as a person would write it.

use crate::{Operation, Service, files};
use serde::Deserialize;
use std::fmt::Write;

/// One YAML text for each file of ours.
pub fn sources(services: &[Service]) -> Vec<String> {
    files(services)
        .map(|(_, group)| group.iter().map(|service| policy(service, services)).collect())
        .collect()
}

fn policy(service: &Service, all: &[Service]) -> String {
    let (name, namespace) = (&service.name, &service.namespace);
    let mut text = format!(
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
         spec:\n  selector:\n    matchLabels:\n      app: {name}\n  action: ALLOW\n  rules:\n"
    );
    for rule in &service.rules {
        text.push_str("  - from:\n    - source:\n        principals:\n");
        for &index in &rule.from {
            let caller = &all[index];
            put(
                &mut text,
                format_args!("        - example.org/ns/{}/sa/{}\n", caller.namespace, caller.name),
            );
        }
        text.push_str("    to:\n");
        for operation in &rule.operations {
            text.push_str("    - operation:\n        methods:\n");
            for method in operation.methods {
                put(&mut text, format_args!("        - {method}\n"));
            }
            put(&mut text, format_args!("        paths:\n        - {}\n", path(operation)));
        }
        if let Some((name, value)) = &rule.header {
            put(
                &mut text,
                format_args!(
                    "    when:\n    - key: request.headers[{name}]\n      values:\n      - {value}\n"
                ),
            );
        }
    }
    text
}

fn path(operation: &Operation) -> String {
    let segments: Vec<&str> =
        operation.path.iter().map(|segment| segment.as_deref().unwrap_or("{*}")).collect();
    format!("/{}{}", segments.join("/"), if operation.below { "/{**}" } else { "" })
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}

/// Reads all documents of a text and says how many rules they hold. Nothing is looked up and nothing is checked.
pub fn read(text: &str) -> usize {
    let documents = serde_yaml::Deserializer::from_str(text);
    documents
        .map(|document| AuthorizationPolicy::deserialize(document).expect("what we wrote"))
        .map(|policy| policy.spec.rules.len())
        .sum()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct AuthorizationPolicy {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct Metadata {
    name: String,
    namespace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct Spec {
    selector: Selector,
    action: String,
    rules: Vec<PolicyRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct Selector {
    match_labels: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct PolicyRule {
    from: Vec<From>,
    to: Vec<To>,
    #[serde(default)]
    when: Vec<Condition>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct From {
    source: Source,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct Source {
    principals: Vec<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct To {
    operation: PolicyOperation,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct PolicyOperation {
    methods: Vec<String>,
    paths: Vec<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is filling it")]
struct Condition {
    key: String,
    values: Vec<String>,
}
