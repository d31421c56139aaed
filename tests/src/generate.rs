//! Random programs and requests for them, for comparing the compiler and the engine with the specification.
//!
//! Everything is drawn from small alphabets, so that lines overlap, contain each other and meet the requests often. Programs are
//! a mixture of all that the language has: what decides often, what only has to be read and checked now and then.

mod authorization;
mod condition;
mod project;
mod question;
mod routing;
mod service;
mod traffic;

pub use question::question;

use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};

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
    pub gateway: Option<Gateway>,
    /// Path patterns that the program names.
    pub paths: Vec<String>,
    /// What it asks, and for which texts.
    pub asked: Vec<(Asked, String)>,
}

/// What of a request a condition asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Header(&'static str),
    Query(&'static str),
    Cookie(&'static str),
    Claim(&'static str, &'static [&'static str]),
    Jwt(&'static str),
    SourceIp,
    ClientIp,
    Path,
    Host,
}

impl Places {
    /// Names of headers, each with a text that it is asked for.
    pub fn headers(&self) -> Vec<(String, String)> {
        let header = |(asked, text): &(Asked, String)| match asked {
            Asked::Header(name) => Some(((*name).to_owned(), text.clone())),
            _ => None,
        };
        self.asked.iter().filter_map(header).collect()
    }
}

/// A service and whatever statements about others need to know of it.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub namespace: String,
    pub ports: Vec<Port>,
    pub subsets: Vec<String>,
    /// The issuers whose tokens it verifies.
    pub issuers: Vec<&'static str>,
    /// Outside of the mesh.
    pub is_external: bool,
}

#[derive(Clone, Debug)]
pub struct Port {
    /// Empty where there is one port.
    pub name: String,
    pub number: u16,
    pub protocol: &'static str,
}

/// What is spoken, as far as what can be said of it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Http,
    Grpc,
    Bytes,
}

impl Port {
    pub fn family(&self) -> Family {
        family(self.protocol)
    }
}

fn family(protocol: &str) -> Family {
    match protocol {
        "grpc" => Family::Grpc,
        "tcp" | "tls" => Family::Bytes,
        _ => Family::Http,
    }
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

    /// ` port NAME` of one of its ports, where that is needed.
    fn clause(&self, port: &Port) -> String {
        if self.ports.len() > 1 { format!(" port {}", port.name) } else { String::new() }
    }

    /// A port, if it has one.
    fn some_port(&self, rng: &mut Rng) -> Option<&Port> {
        self.ports.get(rng.usize(..self.ports.len().max(1)))
    }
}

/// The one gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub namespace: String,
    pub listeners: Vec<Listener>,
    pub issuers: Vec<&'static str>,
    /// Whether it believes a proxy before it, so that it knows clients.
    pub knows_clients: bool,
}

impl Gateway {
    /// Whether all that is seen at some listener are bytes.
    fn sees_bytes(&self) -> bool {
        self.listeners.iter().any(|listener| family(listener.protocol) == Family::Bytes)
    }
}

/// A listener of the gateway.
#[derive(Clone, Debug)]
pub struct Listener {
    pub name: String,
    pub number: u16,
    pub protocol: &'static str,
    /// Empty where it knows none.
    pub hosts: Vec<String>,
    /// Whether everything is redirected to `https`.
    pub redirects: bool,
}

const NAMES: [&str; 5] = ["web", "cart", "pay", "user", "ads"];
const NAMESPACES: [&str; 2] = ["default", "shop"];
const GATEWAY: &str = "edge";

/// A program of two to five services, usually with a gateway, in one or two directories.
pub fn program(rng: &mut Rng) -> Generated {
    let mut draft = Draft {
        rng,
        places: Places::default(),
        files: vec![String::new(), String::new()],
        rules: 0,
        environments: Vec::new(),
        has_production: false,
        has_clusters: false,
        homes: BTreeMap::new(),
        imported: BTreeSet::new(),
        params: BTreeSet::new(),
        calls: Vec::new(),
    };
    draft.places.trust_domain = "local.test".to_owned();
    draft.environments();
    draft.plan_services();
    draft.plan_gateway();
    draft.mesh();
    draft.services();
    draft.gateway();
    draft.routes();
    draft.authorizations();
    draft.guardrails();
    draft.tests();
    draft.modules();
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
    /// Empty where the program has none.
    environments: Vec<&'static str>,
    /// Whether faults and audit modes are refused somewhere.
    has_production: bool,
    has_clusters: bool,
    /// The file in which each shared name is declared.
    homes: BTreeMap<&'static str, usize>,
    /// Shared names that the other file uses, and into which.
    imported: BTreeSet<(usize, &'static str)>,
    /// Parameters that are used, and in which file.
    params: BTreeSet<(usize, &'static str)>,
    /// Who declares to call which port of whom.
    calls: Vec<(Service, Service, Port)>,
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
        let file = &mut self.files[file_of(namespace)];
        file.push_str(text);
        file.push('\n');
    }

    /// ` { … }`, or nothing.
    fn block(text: &str) -> String {
        if text.is_empty() { String::new() } else { format!(" {{\n{text}  }}") }
    }

    /// `env … { … }`, now and then, around what is different somewhere.
    fn elsewhere(&mut self, percent: u32, text: impl FnOnce(&mut Self) -> String) -> String {
        if self.environments.is_empty() || !self.chance(percent) {
            return String::new();
        }
        let environment = self.pick(&self.environments.clone());
        let text = text(self);
        if text.is_empty() { text } else { format!("  env {environment} {{\n{text}  }}\n") }
    }

    /// A parameter, or a literal.
    fn value(&mut self, namespace: &str, param: &'static str, literal: &str) -> String {
        if !self.chance(25) {
            return literal.to_owned();
        }
        self.params.insert((file_of(namespace), param));
        format!("${param}")
    }

    /// A shared name, as it may be said in a namespace.
    fn shared(&mut self, namespace: &str, name: &'static str) -> &'static str {
        let file = file_of(namespace);
        let home = match self.homes.get(name) {
            Some(home) => *home,
            None => {
                let home = usize::from(self.chance(40));
                self.homes.insert(name, home);
                home
            }
        };
        if home != file {
            self.imported.insert((file, name));
        }
        name
    }
}

fn file_of(namespace: &str) -> usize {
    usize::from(namespace == NAMESPACES[1])
}

/// `"a", "b"`
fn quoted(texts: &[String]) -> String {
    texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ")
}
