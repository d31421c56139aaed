//! Authorizations and guardrails: lines of every kind of principal, with every kind of condition.

use super::condition::Knows;
use super::{Draft, Family, GATEWAY, NAMESPACES, Service};
use std::fmt::Write as _;

/// What lines are about.
struct Target<'a> {
    namespace: &'a str,
    service: Option<&'a Service>,
    knows: Knows,
}

impl Draft<'_> {
    pub(super) fn authorizations(&mut self) {
        let services = self.places.services.clone();
        for service in &services {
            if !service.ports.is_empty() && self.chance(92) {
                let target = Target {
                    namespace: &service.namespace,
                    service: Some(service),
                    knows: Knows::of_service(service),
                };
                self.authorize(&service.name, &target);
            }
        }
        if let Some(gateway) = self.places.gateway.clone() {
            let mut knows = Knows::of_gateway(&gateway);
            knows.hosts = true;
            knows.bytes = gateway.sees_bytes();
            self.authorize(GATEWAY, &Target { namespace: &gateway.namespace, service: None, knows });
        }
        if self.chance(10) {
            let plain = |service: &&Service| {
                service.namespace == NAMESPACES[0]
                    && matches!(service.ports.as_slice(), [port] if port.family() == Family::Http)
            };
            let names: Vec<&str> =
                services.iter().filter(plain).map(|service| service.name.as_str()).collect();
            if names.len() > 1 {
                let from = self.allowed(NAMESPACES[0]);
                let text = format!("authorize {} {{\n  allow from {from} to GET /both\n}}", names.join(", "));
                self.write(NAMESPACES[0], &text);
            }
        }
    }

    fn authorize(&mut self, name: &str, target: &Target<'_>) {
        let mut text = format!("authorize {name} {{\n");
        // Most requests are to come through, else nothing is seen of what routes decide.
        for to in self.doors(target) {
            if self.chance(93) {
                let _ = writeln!(text, "  allow from anyone{to}");
            }
        }
        for _ in 0..self.rng.usize(1..=3) {
            let line = self.granting(target);
            let _ = writeln!(text, "  allow{line}");
        }
        // What is audited decides nothing.
        if self.chance(15) {
            let line = self.granting(target);
            let _ = writeln!(text, "  audit{line}");
        }
        if self.chance(5) && !self.has_production {
            text.push_str("  mode audit until \"2030-12-31\"\n");
        }
        for _ in 0..self.pick(&[0, 0, 1, 1, 2]) {
            let line = self.refusing(target);
            let _ = writeln!(text, "  deny{line}");
        }
        if self.chance(3) && !self.places.services.iter().all(|service| service.ports.len() != 1) {
            let opa = self.shared(target.namespace, "opa");
            let _ = writeln!(text, "  check ext-authz {opa}");
        }
        self.write(target.namespace, &(text + "}"));
    }

    /// ` to port NAME` for each of several ports.
    fn doors(&self, target: &Target<'_>) -> Vec<String> {
        match target.service.map(|service| (service, service.ports.as_slice())) {
            Some((service, ports @ [_, _, ..])) => {
                ports.iter().map(|port| format!(" to{}", service.clause(port))).collect()
            }
            _ => vec![String::new()],
        }
    }

    /// ` port NAME` where one is needed, and what is seen there.
    fn port_of(&mut self, target: &Target<'_>) -> (String, Family) {
        match target.service {
            None => (String::new(), if target.knows.bytes { Family::Bytes } else { Family::Http }),
            Some(service) => match service.some_port(self.rng) {
                Some(port) => (service.clause(port), port.family()),
                None => (String::new(), Family::Http),
            },
        }
    }

    /// ` from … to … when …` of a line that grants.
    fn granting(&mut self, target: &Target<'_>) -> String {
        let from = self.allowed(target.namespace);
        let (port, seen) = self.port_of(target);
        let to = self.to(&port, 60, seen);
        let mut knows = target.knows.clone();
        knows.bytes |= seen == Family::Bytes;
        knows.paths = to.contains('/') && !self.chance(10);
        let when = self.when(&knows, 25);
        format!(" from {from}{to}{when}")
    }

    /// ` from … to … when …` of a line that refuses. A deny of much would leave some allow without effect, which is an error.
    fn refusing(&mut self, target: &Target<'_>) -> String {
        let from = self.denied(target.namespace);
        let (mut port, mut seen) = self.port_of(target);
        let only =
            |service: &Service| service.ports.iter().all(|port| port.family() == service.ports[0].family());
        if target.service.is_none_or(only) && self.chance(50) {
            port = String::new();
        }
        if target.service.is_some_and(|service| service.is_external) {
            seen = Family::Bytes;
        }
        let mut knows = target.knows.clone();
        knows.bytes |= seen == Family::Bytes;
        let op = match seen {
            Family::Bytes if from.is_empty() => {
                return " from anyone when source-ip = \"192.0.2.1\"".to_owned();
            }
            Family::Bytes => "",
            Family::Grpc => self.pick(&[" grpc shop.Cart/Add", " grpc shop.Pay", " /shop.Cart/Get"]),
            Family::Http => self.pick(&[
                " /a/b",
                " DELETE /b/**",
                " /c/**",
                " POST /a/{x}",
                " PUT",
                " OPTIONS /a/**",
                " /{x}/b",
                " /{x}.json",
                " grpc shop.Cart",
            ]),
        };
        let to = match (self.chance(10), port.is_empty() && op.is_empty()) {
            (true, _) => self.to(&port, 99, seen),
            (false, true) => String::new(),
            (false, false) => format!(" to{port}{op}"),
        };
        knows.paths = to.contains('/') && !self.chance(10);
        let when = self.when(&knows, if seen == Family::Bytes { 80 } else { 35 });
        format!("{from}{to}{when}")
    }

    /// ` to [port NAME] [OP, …]`, or nothing.
    fn to(&mut self, port: &str, percent: u32, seen: Family) -> String {
        let ops = match seen != Family::Bytes && self.chance(percent) {
            true => format!(" {}", self.ops(seen)),
            false => String::new(),
        };
        if port.is_empty() && ops.is_empty() { String::new() } else { format!(" to{port}{ops}") }
    }

    fn allowed(&mut self, namespace: &str) -> String {
        let service = self.some_caller();
        let said = service.said_in(namespace);
        let gateway = self.said_gateway(namespace);
        match self.rng.u32(..14) {
            0..=2 => said,
            3 => format!("namespace {}", self.some_namespace()),
            4 => "authenticated".to_owned(),
            5 => "unauthenticated".to_owned(),
            6 => format!("authenticated except {said}"),
            7 => format!("anyone except {said}"),
            8 => format!("namespace {} except {said}", service.namespace),
            9 if self.chance(30) => {
                self.pick(&[
                    "trust-domain other.test except identity \"spiffe://other.test/ns/shop/sa/*\"",
                    "identity \"spiffe://other.test/ns/shop/sa/*\" except identity \"spiffe://other.test/ns/shop/sa/web\"",
                ])
                .to_owned()
            }
            9 => format!("{said}, {}", self.stranger()),
            10 => format!("{said}, unauthenticated"),
            11 => self.shared(namespace, "friends").to_owned(),
            12 => format!("anyone except {}", self.shared(namespace, "friends")),
            _ => gateway.unwrap_or(said),
        }
    }

    fn denied(&mut self, namespace: &str) -> String {
        let said = self.some_caller().said_in(namespace);
        let gateway = self.said_gateway(namespace);
        match self.rng.u32(..14) {
            0 => String::new(),
            1 | 2 => format!(" from {said} except unauthenticated"),
            3 => format!(" from {said}, unauthenticated"),
            4 => format!(" from namespace {} except unauthenticated", self.some_namespace()),
            5 => format!(" from authenticated except {said}, unauthenticated"),
            6 => " from unauthenticated".to_owned(),
            7 => format!(" from anyone except {said}"),
            8 => format!(" from {} except unauthenticated", self.stranger()),
            9 => " from anyone except authenticated".to_owned(),
            10 => " from authenticated, unauthenticated".to_owned(),
            11 => format!(" from {} except unauthenticated", self.shared(namespace, "friends")),
            12 => format!(" from {}, unauthenticated", self.shared(namespace, "friends")),
            _ => match gateway {
                Some(gateway) => format!(" from {gateway} except unauthenticated"),
                None => format!(" from {said} except unauthenticated"),
            },
        }
    }

    /// Somebody, or everybody, of another trust domain.
    fn stranger(&mut self) -> &'static str {
        self.pick(&[
            "identity \"spiffe://other.test/ns/shop/sa/web\"",
            "identity \"spiffe://other.test/ns/shop/sa/*\"",
            "trust-domain other.test",
        ])
    }

    /// Refusals of the platform.
    pub(super) fn guardrails(&mut self) {
        if !self.chance(20) {
            return;
        }
        let namespace = self.pick(&NAMESPACES);
        let bytes = self.places.gateway.as_ref().is_some_and(super::Gateway::sees_bytes)
            || self
                .places
                .services
                .iter()
                .flat_map(|service| &service.ports)
                .any(|port| port.family() == Family::Bytes);
        let mut text = "guardrail never {\n".to_owned();
        for _ in 0..self.rng.usize(1..=2) {
            let from = self.denied(namespace);
            let to = match self.rng.u32(..4) {
                0 => String::new(),
                1 => format!(" to namespace {}", self.some_namespace()),
                2 => match self.said_gateway(namespace) {
                    Some(gateway) => format!(" to {gateway}"),
                    None => String::new(),
                },
                _ => {
                    let services = self.places.services.clone();
                    match services.iter().find(|service| !service.ports.is_empty()) {
                        Some(service) => format!(" to {}", service.said_in(namespace)),
                        None => String::new(),
                    }
                }
            };
            let op = match bytes || to.is_empty() {
                true => "",
                false => self.pick(&[" /a/b", " DELETE", " /c/**", " POST /a/{x}", " /secret"]),
            };
            let knows =
                Knows { bytes, hosts: to.contains("gateway"), paths: op.contains('/'), ..Knows::default() };
            let when = self.when(&knows, if op.is_empty() { 90 } else { 30 });
            let _ = writeln!(text, "  deny{from}{to}{op}{when}");
        }
        if self.chance(15) && !self.has_production {
            text.push_str("  mode audit until \"2030-12-31\"\n");
        }
        self.write(namespace, &(text + "}"));
    }

    /// Somebody with an identity.
    pub(super) fn some_caller(&mut self) -> Service {
        let inside: Vec<Service> =
            self.places.services.iter().filter(|service| !service.is_external).cloned().collect();
        inside[self.rng.usize(..inside.len())].clone()
    }

    /// A namespace in which there is somebody.
    fn some_namespace(&mut self) -> String {
        self.some_caller().namespace
    }

    /// `gateway NAME`, if there is one.
    pub(super) fn said_gateway(&self, namespace: &str) -> Option<String> {
        let own = &self.places.gateway.as_ref()?.namespace;
        Some(if own == namespace { format!("gateway {GATEWAY}") } else { format!("gateway {GATEWAY}.{own}") })
    }
}
