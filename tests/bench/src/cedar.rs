//! Who may call, as Cedar policies with a schema: one policy a rule.

use crate::{Operation, Rule, Service};
use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use std::str::FromStr;

const SCHEMA: &str = r#"
    type Call = { path: String, headers: { "x-tenant"?: String, "x-region"?: String, "x-user-group"?: String } };
    entity Service;
    action GET, HEAD, POST, PUT, DELETE appliesTo { principal: Service, resource: Service, context: Call };
"#;

/// All rules as one text.
pub fn source(services: &[Service]) -> String {
    let rules = services.iter().flat_map(|service| service.rules.iter().map(move |rule| (service, rule)));
    rules.map(|(service, rule)| policy(service, rule, services)).collect()
}

fn policy(service: &Service, rule: &Rule, all: &[Service]) -> String {
    let entity = |service: &Service| format!("Service::\"{}.{}\"", service.name, service.namespace);
    let from: Vec<String> =
        rule.from.iter().map(|&index| format!("principal == {}", entity(&all[index]))).collect();
    let operations: Vec<String> = rule.operations.iter().map(operation).collect();
    let mut text = format!(
        "permit (\n  principal,\n  action,\n  resource == {}\n) when {{\n  ({})\n  && ({})",
        entity(service),
        from.join(" || "),
        operations.join("\n    || ")
    );
    if let Some((name, value)) = &rule.header {
        text +=
            &format!("\n  && context.headers has \"{name}\" && context.headers[\"{name}\"] == \"{value}\"");
    }
    text + "\n};\n"
}

fn operation(operation: &Operation) -> String {
    let actions: Vec<String> =
        operation.methods.iter().map(|method| format!("Action::\"{method}\"")).collect();
    let segments: Vec<&str> =
        operation.path.iter().map(|segment| segment.as_deref().unwrap_or("*")).collect();
    let below = if operation.below { "/*" } else { "" };
    format!("(action in [{}] && context.path like \"/{}{below}\")", actions.join(", "), segments.join("/"))
}

/// Parses and validates, and says how many policies there are.
pub fn check(text: &str) -> usize {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("a schema");
    let policies = PolicySet::from_str(text).expect("policies");
    let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
    assert!(result.validation_passed(), "{:?}", result.validation_errors().next());
    policies.num_of_policies()
}
