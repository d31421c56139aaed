//! The workload as a plan of ours.

use super::workload::{Path, Service, Source, Workload};
use mesh_compiler::{StandIns, compile};
use mesh_lang::{Source as File, SourceSet};
use std::fmt::Write;

/// The bytes of the plan.
pub fn plan(workload: &Workload) -> Vec<u8> {
    let compiled = compile(&SourceSet::new(sources(workload)), &StandIns::new());
    let errors =
        compiled.diagnostics.iter().filter(|found| found.code.severity() == mesh_lang::Severity::Error);
    let said: Vec<String> = errors.take(3).map(|found| format!("{found:?}")).collect();
    let plan = compiled.plan.unwrap_or_else(|| panic!("the workload is refused: {said:?}"));
    mesh_plan::encode(&plan).expect("within the limits of a plan")
}

/// One file for each namespace.
pub fn sources(workload: &Workload) -> Vec<File> {
    let namespaces = workload.services.last().map_or(0, |service| service.namespace + 1);
    let mut texts: Vec<String> = (0..namespaces).map(opening).collect();
    let mut calls = vec![vec![]; workload.services.len()];
    for (index, service) in workload.services.iter().enumerate() {
        service.callers.iter().for_each(|caller| calls[*caller].push(index));
    }
    for (service, calls) in workload.services.iter().zip(calls) {
        write_service(&mut texts[service.namespace], service, &calls, workload);
    }
    let named = texts.into_iter().enumerate();
    named
        .map(|(number, text)| {
            let module = namespace(number);
            File { path: format!("{module}/services.mesh"), module, text }
        })
        .collect()
}

pub fn namespace(number: usize) -> String {
    format!("team-{number:03}")
}

/// Who a service is.
pub fn identity(service: &Service) -> String {
    format!("spiffe://example.org/ns/{}/sa/{}", namespace(service.namespace), service.name)
}

/// By what name everybody calls it.
pub fn host(service: &Service) -> String {
    format!("{}.{}", service.name, namespace(service.namespace))
}

fn opening(number: usize) -> String {
    let mut text = String::new();
    if number == 0 {
        text += "mesh example {\n  trust-domain example.org\n  default {\n    timeout 15s\n    retry none\n  }\n}\n\n";
    }
    let name = namespace(number);
    put(
        &mut text,
        format_args!("module {name} {{\n  edition 2026\n  owner \"{name}\"\n  namespace {name}\n}}\n\n"),
    );
    text += "jwt sso {\n  issuer \"https://sso.example.org\"\n  audience \"mesh\"\n  jwks \"https://sso.example.org/keys\"\n}\n\n";
    text
}

fn write_service(text: &mut String, service: &Service, calls: &[usize], workload: &Workload) {
    let name = &service.name;
    put(
        text,
        format_args!(
            "service {name} {{\n  port 8080 http\n  subset v1 label version = \"v1\"\n  subset v2 label version = \"v2\"\n  timeout 2s\n  jwt sso optional\n"
        ),
    );
    for callee in calls {
        put(text, format_args!("  calls {}\n", host(&workload.services[*callee])));
    }
    put(text, format_args!("}}\n\nroute {name} {{\n"));
    for (number, route) in workload.routes[service.routes.clone()].iter().enumerate() {
        put(
            text,
            format_args!(
                "  rule r{number} {{\n    match {}\n    to {name}:v{}\n  }}\n",
                path(&route.path),
                route.version
            ),
        );
    }
    put(text, format_args!("  rule others {{\n    to {name}\n  }}\n}}\n\nauthorize {name} {{\n"));
    for rule in &workload.rules[service.rules.clone()] {
        let from = match &rule.source {
            Source::Services(services) => {
                let hosts: Vec<String> = services.iter().map(|own| host(&workload.services[*own])).collect();
                hosts.join(", ")
            }
            Source::Namespace(number) => format!("namespace {}", namespace(*number)),
            Source::Anyone => "anyone".to_owned(),
        };
        let effect = if rule.deny { "deny" } else { "allow" };
        // A denial of some says what holds of peers without identity.
        let named = !matches!(rule.source, Source::Anyone);
        let from = if rule.deny && named { from + " except unauthenticated" } else { from };
        put(text, format_args!("  {effect} from {from} to {} {}", rule.methods.join("|"), path(&rule.path)));
        let header = rule.header.iter().map(|(name, value)| format!("header \"{name}\" = \"{value}\""));
        let claim = rule.claim.iter().map(|(name, value)| format!("claim \"{name}\" = \"{value}\""));
        let conditions: Vec<String> = header.chain(claim).collect();
        if !conditions.is_empty() {
            put(text, format_args!(" when {}", conditions.join(" and ")));
        }
        text.push('\n');
    }
    text.push_str("}\n\n");
}

fn path(path: &Path) -> String {
    let mut text = String::new();
    for segment in &path.segments {
        text.push('/');
        text.push_str(segment.as_deref().unwrap_or("{id}"));
    }
    if path.below {
        text.push_str("/**");
    }
    text
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}
