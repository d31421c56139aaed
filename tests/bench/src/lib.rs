//! One generated workspace in three languages: ours, Istio's AuthorizationPolicy and Cedar.

pub mod cedar;
pub mod contenders;
pub mod decisions;
pub mod istio;
pub mod measure;
pub mod mesh;
pub mod shapes;
pub mod tls;

use fastrand::Rng;

/// A service and who may call it.
pub struct Service {
    pub name: String,
    pub namespace: String,
    pub rules: Vec<Rule>,
    /// The services it calls.
    pub calls: Vec<usize>,
}

impl Service {
    /// Whether the gateway of its namespace sends to it.
    pub fn is_entry(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether it calls nobody.
    pub fn is_last(&self) -> bool {
        self.calls.is_empty()
    }
}

/// What some callers may do.
pub struct Rule {
    /// Indices of services.
    pub from: Vec<usize>,
    pub operations: Vec<Operation>,
    pub header: Option<(&'static str, String)>,
}

/// Methods on a path.
pub struct Operation {
    pub methods: &'static [&'static str],
    /// The segments of the path; `None` is any one segment.
    pub path: Vec<Option<String>>,
    /// Everything below the path as well.
    pub below: bool,
}

/// Services of one namespace, and of one directory.
const SERVICES_PER_NAMESPACE: usize = 100;

/// Services that share a file.
const SERVICES_PER_FILE: usize = 10;

const WORDS: &[&str] = &[
    "orders", "items", "users", "carts", "payments", "refunds", "invoices", "reviews", "sessions", "reports",
    "prices", "stock", "search", "events", "coupons", "labels",
];
const METHODS: &[&[&str]] = &[&["GET"], &["GET", "HEAD"], &["POST"], &["PUT", "DELETE"], &["GET", "POST"]];
const HEADERS: &[&str] = &["x-tenant", "x-region", "x-user-group"];

/// Services are of three kinds in turn: what the gateway of their namespace sends to, what those call, and what these call.
const KINDS: usize = 3;

/// The same services every time, with `rules` rules in all. Whoever calls a service is let in by it, and nobody else; so there
/// is nothing to find.
pub fn services(count: usize, rules: usize) -> Vec<Service> {
    let mut random = Rng::with_seed(2026);
    let mut callers: Vec<Vec<usize>> = vec![vec![]; count];
    let mut calls: Vec<Vec<usize>> = vec![vec![]; count];
    let mut call = |caller: usize, callee: usize| {
        if !callers[callee].contains(&caller) {
            callers[callee].push(caller);
            calls[caller].push(callee);
        }
    };
    let rows = count / KINDS;
    for callee in (0..count).filter(|index| index % KINDS > 0) {
        for _ in 0..random.usize(1..4) {
            call(random.usize(..rows) * KINDS + callee % KINDS - 1, callee);
        }
    }
    calls.iter_mut().for_each(|calls| calls.sort_unstable());
    let called: usize = callers.iter().filter(|callers| !callers.is_empty()).count();
    let mut before = 0;
    let services = calls.into_iter().zip(callers).enumerate().map(|(index, (calls, callers))| {
        let word = WORDS[random.usize(..WORDS.len())];
        let own = match callers.is_empty() {
            true => 0,
            false => rules * (before + 1) / called - rules * before / called,
        };
        before += usize::from(!callers.is_empty());
        Service {
            name: format!("{word}-{index:05}"),
            namespace: namespace(index),
            rules: (0..own).map(|number| rule(&callers, number, &mut random)).collect(),
            calls,
        }
    });
    services.collect()
}

/// Services in groups that a directory and a file hold.
pub fn files(services: &[Service]) -> impl Iterator<Item = (usize, &[Service])> {
    services.chunks(SERVICES_PER_FILE).enumerate()
}

/// The directory a file stands in.
pub fn namespace_of_file(file: usize) -> String {
    namespace(file * SERVICES_PER_FILE)
}

/// Whether a file is the first of its directory.
pub fn opens_namespace(file: usize) -> bool {
    (file * SERVICES_PER_FILE).is_multiple_of(SERVICES_PER_NAMESPACE)
}

fn namespace(service: usize) -> String {
    format!("team-{:03}", service / SERVICES_PER_NAMESPACE)
}

/// The rules of a service let each of its callers in, some of them two.
fn rule(callers: &[usize], number: usize, random: &mut Rng) -> Rule {
    let mut from = vec![callers[number % callers.len()], callers[random.usize(..callers.len())]];
    from.sort_unstable();
    from.dedup();
    let operations = (0..random.usize(1..3)).map(|part| operation(number * 2 + part, random)).collect();
    let header = (random.u8(..4) == 0)
        .then(|| (HEADERS[random.usize(..HEADERS.len())], format!("value-{}", random.u8(..20))));
    Rule { from, operations, header }
}

/// No two operations of a service have the same path: `number` is in it.
fn operation(number: usize, random: &mut Rng) -> Operation {
    let word = |random: &mut Rng| Some(WORDS[random.usize(..WORDS.len())].to_string());
    let mut path = vec![
        Some(format!("v{}", random.u8(1..4))),
        Some(format!("{}-{number}", WORDS[random.usize(..WORDS.len())])),
    ];
    for _ in 0..random.usize(..3) {
        path.push(if random.bool() { None } else { word(random) });
    }
    Operation { methods: METHODS[random.usize(..METHODS.len())], path, below: random.u8(..3) == 0 }
}
