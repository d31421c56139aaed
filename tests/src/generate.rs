//! Random programs and requests for them, for comparing the compiler and the engine with the specification.
//!
//! Everything is drawn from small alphabets, so that lines overlap, contain each other and meet the requests often.

mod authorization;
mod question;
mod routing;

pub use question::question;

use fastrand::Rng;
use std::fmt::Write as _;

/// A program and what a request can say about it.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Directory and text of each file.
    pub files: Vec<(String, String)>,
    pub places: Places,
}

/// The names and literals of a program.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub trust_domain: String,
    pub services: Vec<Service>,
    /// Full names of callers, and whom they declare to call.
    pub calls: Vec<(String, Service)>,
    /// The one gateway, if there is one: its namespace, and its listeners.
    pub gateway: Option<(String, Vec<Listener>)>,
    /// Path patterns that the program names.
    pub paths: Vec<String>,
    /// Header names and texts that it tests.
    pub values: Vec<(String, String)>,
}

/// A service and whatever statements about others need to know of it.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub namespace: String,
    /// Name (empty where there is one port) and number.
    pub ports: Vec<(String, u16)>,
    pub subsets: Vec<String>,
}

impl Service {
    /// `name.namespace`
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.name, self.namespace)
    }

    /// As a statement in this namespace says it.
    fn said_in(&self, namespace: &str) -> String {
        if self.namespace == namespace { self.name.clone() } else { self.full_name() }
    }

    /// ` port NAME`, where one is needed.
    fn port_clause(&self, rng: &mut Rng) -> String {
        match self.ports.as_slice() {
            [] | [_] => String::new(),
            ports => format!(" port {}", ports[rng.usize(..ports.len())].0),
        }
    }
}

/// A listener of the gateway.
#[derive(Clone, Debug)]
pub struct Listener {
    pub name: String,
    pub hosts: Vec<String>,
}

const NAMES: [&str; 5] = ["web", "cart", "pay", "user", "ads"];
const NAMESPACES: [&str; 2] = ["default", "shop"];
const GATEWAY: &str = "edge";

/// A program of two to five services, usually with a gateway, in one or two directories.
pub fn program(rng: &mut Rng) -> Generated {
    let mut draft =
        Draft { rng, places: Places::default(), files: vec![String::new(), String::new()], rules: 0 };
    draft.places.trust_domain = "local.test".to_owned();
    draft.mesh();
    draft.modules();
    draft.services();
    draft.gateway();
    draft.routes();
    draft.authorizations();
    let Draft { places, files, .. } = draft;
    let directories = ["", "shop"].map(str::to_owned);
    Generated { files: directories.into_iter().zip(files).collect(), places }
}

/// A program on the way: a file for each namespace.
struct Draft<'a> {
    rng: &'a mut Rng,
    places: Places,
    files: Vec<String>,
    /// How many rules there are: their names are numbers, so none stands twice in a table.
    rules: usize,
}

impl Draft<'_> {
    /// True so many times in a hundred.
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())]
    }

    /// Appends to the file of a namespace.
    fn write(&mut self, namespace: &str, text: &str) {
        let file = usize::from(namespace == NAMESPACES[1]);
        self.files[file].push_str(text);
        self.files[file].push('\n');
    }

    fn mesh(&mut self) {
        if self.chance(30) {
            return;
        }
        let mut text = "mesh test {\n".to_owned();
        if self.chance(50) {
            self.places.trust_domain = "example.test".to_owned();
            text.push_str("  trust-domain example.test\n");
        }
        let settings = self.settings(50);
        if !settings.is_empty() {
            let _ = writeln!(text, "  default {{\n{settings}  }}");
        }
        self.write(NAMESPACES[0], &(text + "}"));
    }

    fn modules(&mut self) {
        if self.chance(30) {
            self.write(NAMESPACES[0], "module root {\n  edition 2026\n}");
        }
        self.write(NAMESPACES[1], "module shop {\n  namespace shop\n}");
    }

    fn services(&mut self) {
        let count = self.rng.usize(2..=NAMES.len());
        for name in &NAMES[..count] {
            let namespace = NAMESPACES[usize::from(self.chance(30))].to_owned();
            let ports = match self.rng.u32(..10) {
                0 => Vec::new(),
                1 | 2 => vec![("http".to_owned(), 80), ("admin".to_owned(), 81)],
                _ => vec![(String::new(), 80)],
            };
            let subsets = match self.chance(60) && !ports.is_empty() {
                true => vec!["v1".to_owned(), "v2".to_owned()],
                false => Vec::new(),
            };
            self.places.services.push(Service { name: (*name).to_owned(), namespace, ports, subsets });
        }
        for service in self.places.services.clone() {
            self.service(&service);
        }
    }

    fn service(&mut self, service: &Service) {
        let mut text = format!("service {} {{\n", service.name);
        if self.chance(10) {
            let _ = writeln!(text, "  service-account {}-account", service.name);
        }
        for (name, number) in &service.ports {
            let name = if name.is_empty() { String::new() } else { format!("{name} ") };
            let _ = writeln!(text, "  port {name}{number} http");
        }
        for subset in &service.subsets {
            let _ = writeln!(text, "  subset {subset} label version = \"{subset}\"");
        }
        text.push_str(&self.calls(service));
        if !service.ports.is_empty() {
            let settings = self.settings(25);
            text.push_str(&settings);
        }
        self.write(&service.namespace, &(text + "}"));
    }

    /// `calls`, for each callee a plain one, some narrowed ones, or both.
    fn calls(&mut self, caller: &Service) -> String {
        let mut text = String::new();
        for callee in self.places.services.clone() {
            if callee.ports.is_empty() || callee.name == caller.name || self.chance(35) {
                continue;
            }
            self.places.calls.push((caller.full_name(), callee.clone()));
            let port = callee.port_clause(self.rng);
            let said = format!("{}{port}", callee.said_in(&caller.namespace));
            let narrowed = if self.chance(50) { self.rng.usize(1..=2) } else { 0 };
            if narrowed == 0 || self.chance(60) {
                let settings = self.settings_block(30);
                let _ = writeln!(text, "  calls {said}{settings}");
            }
            let mut shared = self.settings_block(40);
            for _ in 0..narrowed {
                let ops = self.ops();
                // Operations that overlap must agree in their settings, so one text for all is mostly right.
                if self.chance(8) {
                    shared = self.settings_block(40);
                }
                let _ = writeln!(text, "  calls {said} to {ops}{shared}");
            }
        }
        text
    }

    /// ` { … }`, or nothing.
    fn settings_block(&mut self, percent: u32) -> String {
        let settings = self.settings(percent);
        if settings.is_empty() { settings } else { format!(" {{\n{settings}  }}") }
    }

    /// `timeout` and `retry`, each as often as said.
    fn settings(&mut self, percent: u32) -> String {
        let mut text = String::new();
        if self.chance(percent) {
            let timeout = self.pick(&["none", "1s", "250ms", "2m30s"]);
            let _ = writeln!(text, "    timeout {timeout}");
        }
        if self.chance(percent) {
            let retry = self.pick(&[
                "none",
                "1 on connect-failure",
                "2 on reset, 503",
                "2 on gateway-error, 500",
                "3 on 5xx, timeout {\n      per-try-timeout 100ms\n      backoff 25ms..250ms\n      methods POST\n    }",
                "1 on 504 {\n      budget 20% min 10/s over 10s\n      buffer 64KiB\n    }",
            ]);
            let _ = writeln!(text, "    retry {retry}");
        }
        text
    }

    fn gateway(&mut self) {
        if self.chance(15) {
            return;
        }
        let namespace = NAMESPACES[usize::from(self.chance(30))].to_owned();
        let mut listeners = Vec::new();
        let mut text = format!("gateway {GATEWAY} {{\n");
        for (index, name) in ["plain", "other"].iter().enumerate().take(self.rng.usize(1..=2)) {
            let hosts: &[&str] = self.pick(&[
                &["*"][..],
                &["shop.example"],
                &["**.shop.example", "shop.example"],
                &["*.shop.example"],
                &["*.shop.example", "**.shop.example", "*"],
                &["a.shop.example", "*.shop.example", "other.example"],
            ]);
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let list = quoted(&hosts);
            let _ = writeln!(text, "  listener {name} port {} http {{\n    host {list}\n  }}", 8080 + index);
            listeners.push(Listener { name: (*name).to_owned(), hosts });
        }
        self.write(&namespace, &(text + "}"));
        self.places.gateway = Some((namespace, listeners));
    }
}

/// `"a", "b"`
fn quoted(texts: &[String]) -> String {
    texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ")
}
