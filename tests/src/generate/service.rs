//! Services and the gateway: what they are, what they speak and whom they call.

use super::{Draft, Family, GATEWAY, Gateway, Listener, NAMES, NAMESPACES, Port, Service, quoted};
use std::fmt::Write as _;

impl Draft<'_> {
    /// Who there is; the statements come later.
    pub(super) fn plan_services(&mut self) {
        let count = self.rng.usize(2..=NAMES.len());
        for (index, name) in NAMES[..count].iter().enumerate() {
            let namespace = NAMESPACES[usize::from(self.chance(30))].to_owned();
            let is_external = index > 0 && self.chance(4);
            let port = |name: &str, number, protocol| Port { name: name.to_owned(), number, protocol };
            let other = self.pick(&["http", "http", "http2", "grpc", "tcp", "tls"]);
            let ports = match self.rng.u32(..20) {
                0 | 1 if !is_external => Vec::new(),
                2 | 3 => vec![port("http", 80, "http"), port("admin", 81, "http")],
                4 => vec![port("http", 80, "http"), port("other", 81, other)],
                5 | 6 => vec![port("", 80, other)],
                _ => vec![port("", 80, "http")],
            };
            let subsets = match self.chance(60) && !ports.is_empty() && !is_external {
                true => vec!["v1".to_owned(), "v2".to_owned()],
                false => Vec::new(),
            };
            let issuers = match self.rng.u32(..20) {
                _ if is_external || ports.is_empty() => vec![],
                0 | 1 => vec!["sso"],
                2 => vec!["partner"],
                3 => vec!["sso", "partner"],
                _ => vec![],
            };
            let name = (*name).to_owned();
            self.places.services.push(Service { name, namespace, ports, subsets, issuers, is_external });
        }
    }

    pub(super) fn plan_gateway(&mut self) {
        if self.chance(15) {
            return;
        }
        let namespace = NAMESPACES[usize::from(self.chance(30))].to_owned();
        let has_bytes = self
            .places
            .services
            .iter()
            .any(|service| service.ports.iter().any(|port| port.family() == Family::Bytes));
        let mut listeners = Vec::new();
        for (name, number) in [("plain", 8080), ("other", 8081)].into_iter().take(self.rng.usize(1..=2)) {
            let hosts: &[&str] = self.pick(&[
                &["*"][..],
                &["shop.example"],
                &["**.shop.example", "shop.example"],
                &["*.shop.example"],
                &["*.shop.example", "**.shop.example", "*"],
                &["a.shop.example", "*.shop.example", "other.example"],
            ]);
            let protocol = match self.rng.u32(..20) {
                0 => "https",
                1 | 2 if has_bytes => "tcp",
                3 if has_bytes => "tls",
                4 => "http2",
                5 => "grpc",
                _ => "http",
            };
            let redirects = protocol == "http" && self.chance(4);
            let hosts = if protocol == "tcp" { &[] } else { hosts };
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            listeners.push(Listener { name: name.to_owned(), number, protocol, hosts, redirects });
        }
        let issuers = if self.chance(10) { vec!["sso"] } else { vec![] };
        let knows_clients = self.chance(15);
        self.places.gateway = Some(Gateway { namespace, listeners, issuers, knows_clients });
    }

    pub(super) fn services(&mut self) {
        for service in self.places.services.clone() {
            self.service(&service);
        }
    }

    fn service(&mut self, service: &Service) {
        let namespace = service.namespace.as_str();
        let mut text = format!("service {} {{\n", service.name);
        let first = service.ports.first().map_or(Family::Http, Port::family);
        if service.is_external {
            let own = &service.name;
            let outside = match self.rng.u32(..5) {
                0 => "\"192.0.2.0/24\"".to_owned(),
                1 => format!("\"*.{own}.test\""),
                2 => format!("\"**.{own}.test\", \"{own}.test\""),
                3 => format!("\"**.test\", \"a.{own}.test\""),
                _ => format!("\"a.{own}.test\""),
            };
            let _ = writeln!(text, "  external {outside}");
            if service.ports.iter().any(|port| port.family() != Family::Bytes) {
                let tls = self.pick(&["host \"api.example\" ca system", "none", "insecure"]);
                let _ = writeln!(text, "  tls {tls}");
            }
        } else if self.chance(10) {
            let _ = writeln!(text, "  service-account {}-account", service.name);
        } else if self.chance(4) {
            let domain = &self.places.trust_domain;
            let _ = writeln!(text, "  identity \"spiffe://{domain}/vm/{}\"", service.name);
        }
        for port in &service.ports {
            let name = if port.name.is_empty() { String::new() } else { format!("{} ", port.name) };
            let target = if self.chance(5) { " target 8000" } else { "" };
            let mtls = match self.rng.u32(..30) {
                0 if !service.is_external => " mtls strict",
                1 if !service.is_external => " mtls permissive",
                _ => "",
            };
            let _ = writeln!(text, "  port {name}{} {}{target}{mtls}", port.number, port.protocol);
        }
        let written_endpoints = self.chance(8) && !service.is_external && !service.ports.is_empty();
        for subset in &service.subsets {
            let of = match written_endpoints {
                true => format!(" {{\n    endpoints static \"10.0.0.{}:80\"\n  }}", subset.len()),
                false => format!(" label version = \"{subset}\""),
            };
            let different = self.elsewhere(25, |_| "    endpoints static \"10.9.0.1:80\"\n".to_owned());
            let of = match (written_endpoints, different.is_empty()) {
                (true, false) => of.trim_end_matches('}').trim_end().to_owned() + "\n" + &different + "  }",
                _ => of,
            };
            let _ = writeln!(text, "  subset {subset}{of}");
        }
        for issuer in &service.issuers {
            let word = self.pick(&["optional", "required"]);
            let _ = writeln!(text, "  jwt {} {word}", self.shared(namespace, issuer));
        }
        if !service.is_external {
            text.push_str(&self.calls(service));
        }
        if !service.ports.is_empty() {
            let settings = self.settings(namespace, 25, self.weakest(service));
            text.push_str(&settings);
            if first == Family::Grpc && !service.is_external && self.chance(12) {
                let clause = service.clause(&service.ports[0]);
                let _ = writeln!(text, "  probe grpc{clause}");
                self.places.paths.push("/grpc.health.v1.Health/Check".to_owned());
            }
            if first == Family::Http && !service.is_external {
                text.push_str(&self.extras(service, written_endpoints));
            }
        }
        self.write(namespace, &(text + "}"));
    }

    /// What all ports of a service can have.
    fn weakest(&self, service: &Service) -> Family {
        match service.ports.iter().any(|port| port.family() == Family::Bytes) {
            true => Family::Bytes,
            false => Family::Http,
        }
    }

    /// What decides nothing here, each now and then.
    fn extras(&mut self, service: &Service, written_endpoints: bool) -> String {
        let namespace = service.namespace.as_str();
        let mut text = String::new();
        let clause = service.clause(&service.ports[0]);
        let mut lines: Vec<String> = Vec::new();
        if !written_endpoints && service.subsets.is_empty() && self.chance(5) {
            let port = if service.ports.len() == 1 { ":5432" } else { "" };
            lines.push(format!("endpoints dns \"db.example{port}\", \"db-2.example\""));
        }
        if self.chance(15) {
            let wildcard = self.pick(&["", "", "*.", "**."]);
            lines.push(format!("alias \"{wildcard}{}.example\"", service.name));
        }
        if self.has_clusters && self.chance(40) {
            lines.push("clusters east, west".to_owned());
            lines.push("failover local -> east -> west".to_owned());
        } else if self.has_clusters && !written_endpoints && service.subsets.is_empty() && lines.is_empty() {
            lines.push("clusters west".to_owned());
            lines.push("endpoints static \"10.1.0.1\" label zone = \"a\"".to_owned());
            lines.push("endpoints static \"10.1.0.2\" label zone = \"b\"".to_owned());
        }
        for (percent, line) in [
            (3, "locality zone\n  encoded-slashes decode\n  path-parameters strip".to_owned()),
            (3, "propagate header \"x-kind\"".to_owned()),
            (3, "access-log none".to_owned()),
            (3, "tracing sample 5%".to_owned()),
            (3, "metric-label kind header \"x-kind\" in (\"a\", \"b\")".to_owned()),
        ] {
            if self.chance(percent) {
                lines.push(line);
            }
        }
        if self.chance(12) {
            lines.push(format!("probe GET /ping{clause}"));
            self.places.paths.extend(["/ping", "/ping", "/ping"].map(str::to_owned));
        }
        let fails_over = lines.iter().any(|line| line.starts_with("failover"));
        if self.chance(if fails_over { 90 } else { 3 }) {
            lines.push("health-check GET /healthz {\n    interval 5s\n    timeout 1s\n    unhealthy 3\n    healthy 2\n  }".to_owned());
            if self.chance(50) {
                lines.push("panic-threshold 50%".to_owned());
            }
        }
        if self.chance(3) && service.ports.iter().all(|port| port.family() != Family::Bytes) {
            lines.push(self.pick(&["mtls permissive", "mtls strict"]).to_owned());
        }
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
        if self.chance(6) {
            text += &self.circuit_breaker();
        }
        if self.chance(6) {
            text += &self.outlier_detection();
        }
        text += &self.limits(namespace, 8, false);
        text += &self.elsewhere(20, |draft| draft.own_settings(namespace, 50, Family::Http));
        text
    }

    /// `calls`, for each callee a plain one, some narrowed ones, or both.
    fn calls(&mut self, caller: &Service) -> String {
        let namespace = caller.namespace.as_str();
        let mut text = String::new();
        for callee in self.places.services.clone() {
            if callee.name == caller.name || self.chance(35) {
                continue;
            }
            let Some(port) = callee.some_port(self.rng).cloned() else { continue };
            self.places.calls.push((caller.full_name(), callee.clone()));
            self.calls.push((caller.clone(), callee.clone(), port.clone()));
            let said = format!("{}{}", callee.said_in(namespace), callee.clause(&port));
            let narrowed =
                if self.chance(50) && port.family() != Family::Bytes { self.rng.usize(1..=2) } else { 0 };
            if narrowed == 0 || self.chance(60) {
                let mut settings = self.settings(namespace, 30, port.family());
                if self.chance(5) {
                    settings.push_str(self.pick(&["    client-timeout 3s\n", "    client-retry 1\n"]));
                }
                if self.chance(4) && port.family() == Family::Http {
                    settings += &self.circuit_breaker();
                }
                if self.chance(4) && port.family() == Family::Http {
                    settings += &self.outlier_detection();
                }
                if self.chance(3) && port.family() == Family::Http && !settings.contains("use ") {
                    let _ = writeln!(settings, "    use {}", self.shared(namespace, "guarded"));
                }
                settings += &self.elsewhere(20, |draft| draft.own_settings(namespace, 50, port.family()));
                let _ = writeln!(text, "  calls {said}{}", Self::block(&settings));
            }
            let mut shared = self.settings_block(namespace, 40, port.family());
            for _ in 0..narrowed {
                let ops = self.ops(port.family());
                // Operations that overlap must agree in their settings, so one text for all is mostly right.
                if self.chance(4) {
                    shared = self.settings_block(namespace, 40, port.family());
                }
                let _ = writeln!(text, "  calls {said} to {ops}{shared}");
            }
        }
        text
    }

    pub(super) fn gateway(&mut self) {
        let Some(gateway) = self.places.gateway.clone() else { return };
        let namespace = gateway.namespace.as_str();
        let mut text = format!("gateway {GATEWAY} {{\n");
        for listener in &gateway.listeners {
            let mut block = String::new();
            if !listener.hosts.is_empty() {
                let list = match listener.hosts.as_slice() {
                    [only] if only == "shop.example" => self.value(namespace, "site", "\"shop.example\""),
                    hosts => quoted(hosts),
                };
                let _ = writeln!(block, "    host {list}");
            }
            match listener.protocol {
                "https" => block.push_str("    tls certificate \"shop\"\n"),
                "tls" => block.push_str("    tls passthrough\n"),
                _ => {}
            }
            if listener.redirects {
                block.push_str("    redirect https 308\n");
            } else if super::family(listener.protocol) != Family::Bytes {
                block += &self.limits(namespace, 8, gateway.knows_clients);
            }
            if self.delegates(listener) {
                let other = if namespace == NAMESPACES[0] { "shop" } else { "root" };
                let _ =
                    writeln!(block, "    allow-routes {other} host \"{}\" to /given/**", listener.hosts[0]);
            }
            if self.chance(4) {
                block.push_str("    proxy-protocol\n");
                if !gateway.sees_bytes() {
                    block.push_str("    encoded-slashes decode\n    path-parameters strip\n");
                }
            }
            block += &self.elsewhere(10, |_| "    max-request-body 3MiB\n".to_owned());
            let _ = writeln!(
                text,
                "  listener {} port {} {}{}",
                listener.name,
                listener.number,
                listener.protocol,
                Self::block(&block)
            );
        }
        for issuer in &gateway.issuers {
            let _ = writeln!(text, "  jwt {} optional", self.shared(namespace, issuer));
        }
        if gateway.knows_clients {
            text.push_str("  trusted-hops 1\n");
        }
        if self.chance(5) {
            text.push_str("  service-account edge-account\n");
        }
        if !gateway.sees_bytes() {
            text += &self.limits(namespace, 8, gateway.knows_clients);
        }
        for (percent, line) in [
            (5, "access-log json"),
            (4, "tracing sample 2%"),
            (4, "metric-label kind header \"x-kind\" in (\"a\", \"b\")"),
        ] {
            if self.chance(percent) {
                let _ = writeln!(text, "  {line}");
            }
        }
        text += &self.elsewhere(15, |_| "  access-log none\n".to_owned());
        self.write(namespace, &(text + "}"));
    }

    /// Whether the other module has routes at this listener.
    pub(super) fn delegates(&self, listener: &Listener) -> bool {
        // Decided by what the listener is, so that the gateway and the routes agree.
        listener.name == "other"
            && listener.protocol == "http"
            && !listener.redirects
            && listener.hosts.len() == 2
    }
}
