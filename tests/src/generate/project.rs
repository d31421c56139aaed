//! What holds for the project and its modules: the mesh, environments, parameters and shared names.

use super::{Draft, Family, GATEWAY, NAMESPACES};
use std::fmt::Write as _;

/// Names that modules share, and the kind that an `export` says.
const SHARED: [(&str, &str); 10] = [
    ("calm", "profile"),
    ("quick", "profile"),
    ("patient", "profile"),
    ("guarded", "profile"),
    ("friends", "group"),
    ("halves", "split"),
    ("sso", "jwt"),
    ("partner", "jwt"),
    ("opa", "ext-authz"),
    ("counter", "rate-limiter"),
];

/// Parameters: name, declaration, and another value.
const PARAMS: [(&str, &str, &str); 7] = [
    ("share", "percent = 10%", "25%"),
    ("moving", "percent = 5% range 0%..50% controlled-by \"flagger\"", "10%"),
    ("wait", "duration = 2s", "3s"),
    ("pace", "rate = 100/s", "10/s"),
    ("room", "size = 64KiB", "1KiB"),
    ("tries", "count = 1", "2"),
    ("site", "host = \"shop.example\"", "\"shop.example\""),
];

impl Draft<'_> {
    pub(super) fn environments(&mut self) {
        if self.chance(18) {
            self.environments = vec!["staging", "prod"];
            self.has_production = self.chance(50);
        }
        self.has_clusters = self.chance(10);
    }

    pub(super) fn mesh(&mut self) {
        if self.environments.is_empty() && !self.has_clusters && self.chance(30) {
            return;
        }
        let mut text = "mesh test {\n".to_owned();
        if self.chance(50) {
            self.places.trust_domain = "example.test".to_owned();
            text.push_str("  trust-domain example.test\n");
        }
        if !self.environments.is_empty() {
            let _ = writeln!(text, "  environments {}", self.environments.join(", "));
        }
        if self.has_production {
            text.push_str("  production prod\n");
        }
        if self.has_clusters {
            text.push_str("  clusters east, west\n");
            if self.places.gateway.as_ref().is_some_and(|gateway| gateway.namespace == NAMESPACES[0]) {
                let _ =
                    writeln!(text, "  cluster east {{\n    gateway {GATEWAY} \"east.example:15443\"\n  }}");
            }
        }
        for (percent, line) in [
            (12, "mtls permissive"),
            (12, "mtls strict"),
            (3, "limit retry-amplification 100000"),
            (1, "limit retry-amplification 2"),
            (10, "access-log json sample 10%"),
            (8, "tracing none"),
            (8, "metric-label tenant header \"x-kind\" in (\"a\", \"b\")"),
        ] {
            if self.chance(percent) && !(line == "mtls strict" && text.contains("mtls")) {
                let _ = writeln!(text, "  {line}");
            }
        }
        match self.rng.u32(..20) {
            0 => text.push_str("  egress allow\n"),
            1 => text.push_str("  egress deny\n"),
            _ => {}
        }
        let settings = self.own_settings(NAMESPACES[0], 50, Family::Http);
        let different = self.elsewhere(30, |draft| draft.own_settings(NAMESPACES[0], 60, Family::Http));
        if !settings.is_empty() || !different.is_empty() {
            let _ = writeln!(text, "  default {{\n{settings}{different}  }}");
        }
        text += &self.elsewhere(20, |_| "  access-log none\n".to_owned());
        self.write(NAMESPACES[0], &(text + "}"));
    }

    /// What the two directories are, what they open to each other, and what they take.
    pub(super) fn modules(&mut self) {
        self.declare_shared();
        self.declare_params();
        for (file, (name, other)) in [("root", "shop"), ("shop", "root")].into_iter().enumerate() {
            let mut text = format!("module {name} {{\n");
            if file == 1 {
                text.push_str("  namespace shop\n");
            }
            let gives = self.imported.iter().any(|(into, _)| *into != file);
            let is_guest = self.files[1 - file].contains("allow-routes");
            let taken: Vec<&str> =
                self.imported.iter().filter(|(into, _)| *into == file).map(|(_, name)| *name).collect();
            let is_platform = self.files[file].contains("guardrail");
            // Without a statement a directory is a module, too.
            if file == 0 && !gives && !is_platform && !is_guest && taken.is_empty() && self.chance(30) {
                continue;
            }
            if self.chance(40) {
                text.push_str("  edition 2026\n");
            }
            if self.chance(20) {
                text.push_str("  owner \"a team\"\n");
            }
            if is_platform {
                text.push_str("  role platform\n");
            }
            let exported: Vec<&str> =
                self.imported.iter().filter(|(into, _)| *into != file).map(|(_, name)| *name).collect();
            for (name, kind) in SHARED.iter().filter(|(name, _)| exported.contains(name)) {
                let _ = writeln!(text, "  export {kind} {name}");
            }
            text.push_str("}\n");
            if !taken.is_empty() {
                let _ = writeln!(text, "import {other} {{ {} }}", taken.join(", "));
            }
            self.write(NAMESPACES[file], text.trim_end());
        }
    }

    fn declare_shared(&mut self) {
        for (name, file) in self.homes.clone() {
            let namespace = NAMESPACES[file];
            let text = match name {
                "calm" => {
                    let different = self.elsewhere(30, |_| "  timeout 4s\n".to_owned());
                    format!("profile calm {{\n  timeout 5s\n  retry 1 on connect-failure\n{different}}}")
                }
                "quick" => {
                    "profile quick {\n  connect-timeout 50ms\n  idle-timeout 1m\n  load-balancer random\n}"
                        .to_owned()
                }
                "patient" => "profile patient {\n  idle-timeout 1m\n}".to_owned(),
                "guarded" => {
                    let (breaker, outliers) = (self.circuit_breaker(), self.outlier_detection());
                    format!("profile guarded {{\n{breaker}{outliers}}}")
                }
                "friends" => {
                    let mut members = vec![self.some_workload(namespace), self.some_workload(namespace)];
                    if self.chance(30) {
                        members.push("namespace shop".to_owned());
                    }
                    if self.chance(30) {
                        members.push("identity \"spiffe://other.test/ns/shop/sa/web\"".to_owned());
                    }
                    members.sort();
                    members.dedup();
                    format!("group friends = {}", members.join(", "))
                }
                "halves" => match self.split_of(namespace) {
                    Some(backends) => format!("split halves = {backends}"),
                    None => continue,
                },
                "sso" | "partner" => {
                    let mut text = format!(
                        "jwt {name} {{\n  issuer \"https://{name}.example\"\n  audience \"shop\"\n  jwks \"https://{name}.example/keys\"\n"
                    );
                    for (percent, line) in [
                        (30, "from cookie \"token\""),
                        (20, "forward"),
                        (20, "list-claims \"scope\""),
                        (20, "clock-skew 5s"),
                        (20, "typ \"at+jwt\""),
                    ] {
                        if self.chance(percent) {
                            let _ = writeln!(text, "  {line}");
                        }
                    }
                    text += &self.elsewhere(30, |_| "  issuer \"https://else.example\"\n".to_owned());
                    text + "}"
                }
                "opa" => {
                    let Some(service) = self.asked_service(namespace) else { continue };
                    format!("ext-authz {name} {{\n  service {service}\n  timeout 20ms\n  on-failure deny\n}}")
                }
                // Of a service of its own: few others speak gRPC and nothing else.
                _ => format!(
                    "rate-limiter {name} {{\n  service counts\n  timeout 20ms\n  on-failure allow\n}}\n\
                     service counts {{\n  port 81 grpc\n}}\nauthorize counts {{\n  allow from anyone\n}}"
                ),
            };
            self.write(namespace, &text);
        }
    }

    fn declare_params(&mut self) {
        let mut others: [String; 2] = Default::default();
        for (file, name) in self.params.clone() {
            let (_, declaration, other) =
                PARAMS.iter().find(|(own, _, _)| *own == name).expect("a parameter of the list");
            self.write(NAMESPACES[file], &format!("param {name} {declaration}"));
            if !self.environments.is_empty() && self.chance(70) {
                let _ = writeln!(others[file], "  set {name} = {other}");
            }
        }
        for (namespace, others) in NAMESPACES.into_iter().zip(others).filter(|(_, others)| !others.is_empty())
        {
            let environment = self.pick(&self.environments.clone());
            self.write(namespace, &format!("env {environment} {{\n{others}}}"));
        }
    }

    /// A service or the gateway, as a principal of a namespace.
    fn some_workload(&mut self, namespace: &str) -> String {
        match self.said_gateway(namespace) {
            Some(gateway) if self.chance(20) => gateway,
            _ => self.some_caller().said_in(namespace),
        }
    }

    /// A service that is asked for its opinion.
    fn asked_service(&mut self, namespace: &str) -> Option<String> {
        let services = self.places.services.clone();
        let can_be = services.iter().filter(|service| service.ports.len() == 1 && !service.is_external);
        can_be.map(|service| service.said_in(namespace)).next()
    }

    /// Tests in the language itself are asked elsewhere; here stands what reads them.
    pub(super) fn tests(&mut self) {
        if !self.chance(4) {
            return;
        }
        let Some(service) = self
            .places
            .services
            .iter()
            .find(|service| service.ports.len() == 1 && service.ports[0].family() == Family::Http)
        else {
            return;
        };
        let name = service.full_name();
        let lines = [
            format!("  request to {name} GET /a expect allow"),
            format!("  every to {name} GET expect allow"),
            format!("  some to {name} GET expect allow"),
        ];
        self.write(NAMESPACES[0], &format!("test \"it is open\" {{\n{}\n}}", lines.join("\n")));
    }
}
