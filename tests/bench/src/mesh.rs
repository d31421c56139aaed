//! The workspace as `.mesh` files: services, routes, who may call, settings.

use crate::{Operation, Rule, Service, files, namespace_of_file, opens_namespace};
use std::fmt::Write;

/// Path, directory and text of every file.
pub fn sources(services: &[Service]) -> Vec<(String, String, String)> {
    files(services)
        .map(|(file, group)| {
            let namespace = namespace_of_file(file);
            let mut text = String::new();
            if opens_namespace(file) {
                module(&mut text, file, &namespace);
                gateway(&mut text, services, &namespace);
            }
            for service in group {
                write_service(&mut text, service, services);
            }
            (format!("{namespace}/services-{file:04}.mesh"), namespace, text)
        })
        .collect()
}

fn module(text: &mut String, file: usize, namespace: &str) {
    if file == 0 {
        text.push_str("mesh example {\n  trust-domain example.org\n  default {\n    timeout 15s\n    retry none\n  }\n}\n\n");
    }
    put(
        text,
        format_args!(
            "module {namespace} {{\n  edition 2026\n  owner \"{namespace}\"\n  namespace {namespace}\n}}\n\n"
        ),
    );
}

/// The gateway of a namespace, with a path for each service that is meant for the world.
fn gateway(text: &mut String, services: &[Service], namespace: &str) {
    put(
        text,
        format_args!(
            "gateway edge {{\n  listener http port 8080 http {{\n    host \"{namespace}.example.org\"\n  }}\n}}\n\nroute edge {{\n"
        ),
    );
    for Service { name, .. } in services.iter().filter(|own| own.namespace == namespace && own.is_entry()) {
        put(text, format_args!("  rule {name} {{\n    match /{name}/**\n    to {name}\n  }}\n"));
    }
    text.push_str("  otherwise 404\n}\n\nauthorize edge {\n  allow from anyone\n}\n\n");
}

fn write_service(text: &mut String, service: &Service, all: &[Service]) {
    let name = &service.name;
    put(
        text,
        format_args!("## {name}, kept by {}.\nservice {name} {{\n  port 8080 http\n", service.namespace),
    );
    put(
        text,
        format_args!(
            "  subset v1 label version = \"v1\"\n  subset v2 label version = \"v2\"\n  timeout 2s\n  propagate header \"x-user-group\"\n"
        ),
    );
    for &callee in &service.calls {
        put(text, format_args!("  calls {}\n", full_name(&all[callee], service)));
    }
    if service.is_last() {
        text.push_str("  retry 2 on connect-failure, reset, 503 {\n    per-try-timeout 250ms\n    backoff 25ms..100ms\n    budget 20% min 10/s over 10s\n  }\n");
    }
    text.push_str("}\n\n");
    put(
        text,
        format_args!(
            "route {name} {{\n  # Testers try the next version.\n  rule testers {{\n    match GET /v1/** when header \"x-user-group\" = \"beta\"\n    to {name}:v2\n  }}\n"
        ),
    );
    put(
        text,
        format_args!(
            "  rule everyone {{\n    to {name}:v1 90%, {name}:v2 10%\n  }}\n}}\n\nauthorize {name} {{\n"
        ),
    );
    for rule in &service.rules {
        allow(text, rule, service, all);
    }
    if service.is_entry() {
        text.push_str("  allow from gateway edge\n");
    }
    text.push_str("}\n\n");
}

fn allow(text: &mut String, rule: &Rule, service: &Service, all: &[Service]) {
    let from: Vec<String> = rule.from.iter().map(|&index| full_name(&all[index], service)).collect();
    let to: Vec<String> = rule.operations.iter().map(operation).collect();
    put(text, format_args!("  allow from {} to {}", from.join(", "), to.join(", ")));
    if let Some((name, value)) = &rule.header {
        put(text, format_args!(" when header \"{name}\" = \"{value}\""));
    }
    text.push('\n');
}

fn operation(operation: &Operation) -> String {
    let mut text = operation.methods.join("|") + " ";
    for segment in &operation.path {
        text.push('/');
        text.push_str(segment.as_deref().unwrap_or("{id}"));
    }
    if operation.below {
        text.push_str("/**");
    }
    text
}

/// The name of a service as another one says it.
fn full_name(service: &Service, from: &Service) -> String {
    if service.namespace == from.namespace {
        service.name.clone()
    } else {
        format!("{}.{}", service.name, service.namespace)
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}
