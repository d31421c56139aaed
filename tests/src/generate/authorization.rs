//! Authorizations: allows and denies of every kind of principal.

use super::{Draft, GATEWAY, NAMESPACES, Service};
use std::fmt::Write as _;

impl Draft<'_> {
    pub(super) fn authorizations(&mut self) {
        for service in self.places.services.clone() {
            if !service.ports.is_empty() && self.chance(92) {
                self.authorize(&service.name, &service.namespace, Some(&service));
            }
        }
        if let Some((namespace, _)) = self.places.gateway.clone() {
            self.authorize(GATEWAY, &namespace, None);
        }
    }

    fn authorize(&mut self, name: &str, namespace: &str, service: Option<&Service>) {
        let mut text = format!("authorize {name} {{\n");
        // Most requests are to come through, else nothing is seen of what routes decide.
        if self.chance(90) {
            let port = service.map(|service| service.port_clause(self.rng)).unwrap_or_default();
            let to = if port.is_empty() { String::new() } else { format!(" to{port}") };
            let _ = writeln!(text, "  allow from anyone{to}");
        }
        for _ in 0..self.rng.usize(1..=3) {
            let from = self.allowed(namespace);
            let port = service.map(|service| service.port_clause(self.rng)).unwrap_or_default();
            let to = self.to(&port, 60);
            let _ = writeln!(text, "  allow from {from}{to}");
        }
        // What is audited decides nothing.
        if self.chance(15) {
            let from = self.allowed(namespace);
            let to = self.to("", 60);
            let _ = writeln!(text, "  audit from {from}{to}");
        }
        if self.chance(5) {
            text.push_str("  mode audit until \"2030-12-31\"\n");
        }
        for _ in 0..self.rng.usize(..=2) {
            // A deny of much would leave some allow without effect, which is an error.
            let from = self.denied(namespace);
            let port = match service {
                Some(service) if self.chance(50) => service.port_clause(self.rng),
                _ => String::new(),
            };
            let op = self.pick(&[
                "/a/b",
                "DELETE /b/**",
                "/c/**",
                "POST /a/{x}",
                "PUT",
                "OPTIONS /a/**",
                "/{x}/b",
            ]);
            let to = if self.chance(10) { self.to(&port, 99) } else { format!(" to{port} {op}") };
            let _ = writeln!(text, "  deny{from}{to}");
        }
        self.write(namespace, &(text + "}"));
    }

    /// ` to [port NAME] [OP, …]`, or nothing.
    fn to(&mut self, port: &str, percent: u32) -> String {
        let ops = if self.chance(percent) { format!(" {}", self.ops()) } else { String::new() };
        if port.is_empty() && ops.is_empty() { String::new() } else { format!(" to{port}{ops}") }
    }

    fn allowed(&mut self, namespace: &str) -> String {
        let service = self.some_service();
        let said = service.said_in(namespace);
        let gateway = self.said_gateway(namespace);
        match self.rng.u32(..12) {
            0..=2 => said,
            3 => format!("namespace {}", self.pick(&NAMESPACES)),
            4 => "authenticated".to_owned(),
            5 => "unauthenticated".to_owned(),
            6 => format!("authenticated except {said}"),
            7 => format!("anyone except {said}"),
            8 => format!("namespace {} except {said}", service.namespace),
            9 => format!("{said}, identity \"spiffe://other.test/ns/shop/sa/web\""),
            10 => format!("{said}, unauthenticated"),
            _ => gateway.unwrap_or(said),
        }
    }

    fn denied(&mut self, namespace: &str) -> String {
        let said = self.some_service().said_in(namespace);
        let gateway = self.said_gateway(namespace);
        match self.rng.u32(..12) {
            0 => String::new(),
            1 | 2 => format!(" from {said} except unauthenticated"),
            3 => format!(" from {said}, unauthenticated"),
            4 => format!(" from namespace {} except unauthenticated", self.pick(&NAMESPACES)),
            5 => format!(" from authenticated except {said}, unauthenticated"),
            6 => " from unauthenticated".to_owned(),
            7 => format!(" from anyone except {said}"),
            8 => " from identity \"spiffe://other.test/ns/shop/sa/web\" except unauthenticated".to_owned(),
            9 => " from anyone except authenticated".to_owned(),
            10 => " from authenticated, unauthenticated".to_owned(),
            _ => match gateway {
                Some(gateway) => format!(" from {gateway} except unauthenticated"),
                None => format!(" from {said} except unauthenticated"),
            },
        }
    }

    fn some_service(&mut self) -> Service {
        let index = self.rng.usize(..self.places.services.len());
        self.places.services[index].clone()
    }

    /// `gateway NAME`, if there is one.
    fn said_gateway(&self, namespace: &str) -> Option<String> {
        let (own, _) = self.places.gateway.as_ref()?;
        Some(if own == namespace { format!("gateway {GATEWAY}") } else { format!("gateway {GATEWAY}.{own}") })
    }
}
