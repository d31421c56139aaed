//! Rules, routes and requests, the same every time, and what a look at every rule makes of them.
//!
//! How popular services are follows Zipf's law with exponent 0.6: of 100,000 rules over 2,000 services the hottest has 1,900. A rule's source is one
//! service, some, a namespace or anyone; its path is exact, has a parameter in it, or is a subtree; some ask a header or a claim
//! besides, some deny. A denial beats every permission, and what nothing permits is denied.

use fastrand::Rng;
use std::collections::BTreeSet;

/// What may be asked of whom by whom.
pub struct Workload {
    pub services: Vec<Service>,
    pub rules: Vec<Rule>,
    pub routes: Vec<Route>,
}

/// A service.
pub struct Service {
    pub name: String,
    pub namespace: usize,
    pub grpc: bool,
    /// Of the rules about it: where they are among all.
    pub rules: std::ops::Range<usize>,
    /// Of its routes.
    pub routes: std::ops::Range<usize>,
    /// Indices of those that call it, sorted.
    pub callers: Vec<usize>,
}

/// Permits or denies.
pub struct Rule {
    pub target: usize,
    pub deny: bool,
    pub source: Source,
    pub methods: &'static [&'static str],
    pub path: Path,
    pub header: Option<(&'static str, String)>,
    pub claim: Option<(&'static str, String)>,
}

/// Whose requests.
pub enum Source {
    Services(Vec<usize>),
    Namespace(usize),
    Anyone,
}

/// Which paths.
#[derive(Clone)]
pub struct Path {
    /// `None` is any one segment.
    pub segments: Vec<Option<String>>,
    /// And everything below.
    pub below: bool,
}

/// A part of a service's paths that is sent to one of two versions.
pub struct Route {
    pub path: Path,
    pub version: u32,
}

/// A request.
pub struct Request {
    pub source: Option<usize>,
    pub target: usize,
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub claims: Vec<(&'static str, String)>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Denied,
    /// The version that it is sent to; 0 where none is said.
    Version(u32),
}

const WORDS: [&str; 20] = [
    "orders",
    "items",
    "users",
    "carts",
    "payments",
    "refunds",
    "invoices",
    "reviews",
    "sessions",
    "reports",
    "prices",
    "stock",
    "search",
    "events",
    "coupons",
    "labels",
    "shipments",
    "customers",
    "subscriptions",
    "recommendations",
];
const METHODS: [&[&str]; 5] = [&["GET"], &["GET", "HEAD"], &["POST"], &["PUT", "DELETE"], &["GET", "POST"]];
const HEADERS: [&str; 3] = ["x-tenant", "x-region", "x-canary"];
/// What denials ask.
const DENIED: &str = "x-suspended";
const CLAIMS: [&str; 2] = ["tier", "department"];
/// What headers and claims are asked for.
const VALUES: u32 = 8;
const SERVICES_PER_NAMESPACE: usize = 10;

/// How many services so many rules are spread over.
fn services_for(rules: usize) -> usize {
    match rules {
        0..=10 => 4,
        11..=1_000 => 40,
        1_001..=10_000 => 400,
        _ => 2_000,
    }
}

impl Workload {
    pub fn new(rules: usize) -> Workload {
        let mut random = Rng::with_seed(2026 + rules as u64);
        let count = services_for(rules);
        let shares = zipf(count, rules);
        let (mut all, mut services, mut routes) = (vec![], vec![], vec![]);
        for (index, share) in shares.into_iter().enumerate() {
            let service = service(index, count, share, &mut random);
            let first = all.len();
            all.extend((0..share).map(|_| rule(index, &service, share, count, &mut random)));
            let first_route = routes.len();
            routes.extend(self::routes(&service, share, &mut random));
            services.push(Service { rules: first..all.len(), routes: first_route..routes.len(), ..service });
        }
        let mut workload = Workload { services, rules: all, routes };
        let callers: Vec<Vec<usize>> = (0..count).map(|index| workload.let_in(index, &mut random)).collect();
        workload.services.iter_mut().zip(callers).for_each(|(service, callers)| service.callers = callers);
        workload
    }

    /// Those who may call a service: a call of others would be refused when compiling.
    fn let_in(&self, target: usize, random: &mut Rng) -> Vec<usize> {
        let service = &self.services[target];
        let mut found = BTreeSet::new();
        for rule in self.rules[service.rules.clone()].iter().filter(|rule| !rule.deny) {
            let own = match &rule.source {
                Source::Services(services) => services.clone(),
                Source::Namespace(namespace) => service
                    .callers
                    .iter()
                    .copied()
                    .filter(|own| self.services[*own].namespace == *namespace)
                    .collect(),
                Source::Anyone => service.callers.clone(),
            };
            for caller in own.into_iter().filter(|caller| *caller != target) {
                let request = Request { source: Some(caller), ..self.request_of(rule, random) };
                if self.answer(&request) != Answer::Denied {
                    found.insert(caller);
                }
            }
        }
        found.into_iter().collect()
    }

    /// Requests of which half are let in and half are not: half of these because of their path, the others because of who sends them.
    pub fn requests(&self, count: usize) -> (Vec<Request>, Vec<Request>) {
        let mut random = Rng::with_seed(7);
        let (mut hits, mut misses) = (vec![], vec![]);
        while hits.len() < count || misses.len() < count {
            let rule = &self.rules[random.usize(..self.rules.len())];
            if rule.deny {
                continue;
            }
            let mut request = self.request_of(rule, &mut random);
            if hits.len() < count && self.answer(&request) != Answer::Denied {
                hits.push(request);
                continue;
            }
            match random.bool() {
                true => request.path += "/nothing/of/the/kind",
                false => request.source = Some(random.usize(..self.services.len())),
            }
            let declared = request
                .source
                .is_none_or(|source| self.services[request.target].callers.binary_search(&source).is_ok());
            if misses.len() < count && declared && self.answer(&request) == Answer::Denied {
                misses.push(request);
            }
        }
        (hits, misses)
    }

    /// A request that a rule is about.
    fn request_of(&self, rule: &Rule, random: &mut Rng) -> Request {
        let callers = &self.services[rule.target].callers;
        let one_of = |random: &mut Rng, some: &[usize]| some.get(random.usize(..some.len().max(1))).copied();
        let source = match &rule.source {
            Source::Services(services) => one_of(random, services),
            Source::Namespace(namespace) => {
                let own: Vec<usize> = callers
                    .iter()
                    .copied()
                    .filter(|own| self.services[*own].namespace == *namespace)
                    .collect();
                one_of(random, &own)
            }
            Source::Anyone => one_of(random, callers),
        };
        let segments = rule.path.segments.iter().map(|segment| match segment {
            Some(text) => text.clone(),
            None => random.u32(1_000..1_000_000).to_string(),
        });
        let mut path: String = segments.flat_map(|segment| ["/".to_owned(), segment]).collect();
        if rule.path.below {
            path += ["", "/a", "/details/of/it"][random.usize(..3)];
        }
        let mut headers = vec![
            ("accept", "application/json".to_owned()),
            ("accept-encoding", "gzip, br".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "mesh-bench/1.0".to_owned()),
            ("x-request-id", format!("{:032x}", random.u128(..))),
            ("traceparent", format!("00-{:032x}-{:016x}-01", random.u128(..), random.u64(..))),
            ("x-forwarded-proto", "https".to_owned()),
        ];
        for name in HEADERS.into_iter().chain([DENIED]) {
            match &rule.header {
                Some((own, value)) if *own == name => headers.push((name, value.clone())),
                _ if random.bool() => headers.push((name, value(random))),
                _ => {}
            }
        }
        let claims = CLAIMS.map(|name| match &rule.claim {
            Some((own, value)) if *own == name => (name, value.clone()),
            _ => (name, value(random)),
        });
        let method = rule.methods[random.usize(..rule.methods.len())];
        Request { source, target: rule.target, method, path, headers, claims: claims.to_vec() }
    }

    /// What becomes of a request, rule by rule.
    pub fn answer(&self, request: &Request) -> Answer {
        let target = &self.services[request.target];
        let matching = self.rules[target.rules.clone()].iter().filter(|rule| self.matches(rule, request));
        let (mut allowed, mut denied) = (false, false);
        matching.for_each(|rule| if rule.deny { denied = true } else { allowed = true });
        match allowed && !denied {
            true => Answer::Version(self.version(request)),
            false => Answer::Denied,
        }
    }

    /// The version that the routes send it to.
    pub fn version(&self, request: &Request) -> u32 {
        let mut own = self.routes[self.services[request.target].routes.clone()].iter();
        own.find(|route| fits(&route.path, &request.path)).map_or(0, |route| route.version)
    }

    pub fn matches(&self, rule: &Rule, request: &Request) -> bool {
        let has = |own: &[(&str, String)], wanted: &Option<(&str, String)>| {
            wanted.as_ref().is_none_or(|wanted| own.iter().any(|own| own.0 == wanted.0 && own.1 == wanted.1))
        };
        let source = match &rule.source {
            Source::Services(services) => request.source.is_some_and(|source| services.contains(&source)),
            Source::Namespace(namespace) => {
                request.source.is_some_and(|source| self.services[source].namespace == *namespace)
            }
            Source::Anyone => true,
        };
        source
            && rule.target == request.target
            && rule.methods.contains(&request.method)
            && fits(&rule.path, &request.path)
            && has(&request.headers, &rule.header)
            && has(&request.claims, &rule.claim)
    }
}

/// Whether a path is one of these.
pub fn fits(pattern: &Path, path: &str) -> bool {
    let mut segments = path.split('/').skip(1);
    let fitting = pattern.segments.iter().all(|wanted| match (wanted, segments.next()) {
        (Some(wanted), Some(segment)) => wanted == segment,
        (None, Some(segment)) => !segment.is_empty(),
        (_, None) => false,
    });
    fitting && (pattern.below || segments.next().is_none())
}

/// Shares of a whole.
fn zipf(count: usize, whole: usize) -> Vec<usize> {
    let weight = |rank: usize| ((rank + 1) as f64).powf(-0.6);
    let all: f64 = (0..count).map(weight).sum();
    let mut before = 0.0;
    let mut given = 0;
    let shares = (0..count).map(|rank| {
        before += weight(rank) / all * whole as f64;
        let share = before.round() as usize - given;
        given += share;
        share
    });
    shares.collect()
}

fn service(index: usize, count: usize, rules: usize, random: &mut Rng) -> Service {
    let callers = (0..3 + rules / 20).map(|_| random.usize(..count)).filter(|caller| *caller != index);
    let callers: BTreeSet<usize> = callers.collect();
    Service {
        name: format!("{}-{index:04}", WORDS[random.usize(..WORDS.len())]),
        namespace: index / SERVICES_PER_NAMESPACE,
        grpc: random.u8(..5) == 0,
        rules: 0..0,
        routes: 0..0,
        callers: callers.into_iter().collect(),
    }
}

fn rule(target: usize, service: &Service, rules: usize, services: usize, random: &mut Rng) -> Rule {
    let one = |random: &mut Rng| {
        let known = &service.callers;
        if known.is_empty() { (target + 1) % services } else { known[random.usize(..known.len())] }
    };
    let source = match random.u8(..100) {
        0..70 => Source::Services(vec![one(random)]),
        70..85 => {
            let some: BTreeSet<usize> = (0..random.usize(2..6)).map(|_| one(random)).collect();
            Source::Services(some.into_iter().collect())
        }
        85..95 => Source::Namespace(one(random) / SERVICES_PER_NAMESPACE),
        _ => Source::Anyone,
    };
    let methods = if service.grpc { &["POST"] } else { METHODS[random.usize(..METHODS.len())] };
    let header = (random.u8(..100) < 15).then(|| (HEADERS[random.usize(..HEADERS.len())], value(random)));
    let claim = (random.u8(..100) < 10).then(|| (CLAIMS[random.usize(..CLAIMS.len())], value(random)));
    let deny = random.u8(..100) < 5;
    // A denial asks what no permission asks, or some permission would let nobody in, and the compiler refuses it.
    let header = if deny { Some((DENIED, value(random))) } else { header };
    Rule { target, deny, source, methods, path: path(service, rules, random), header, claim }
}

fn value(random: &mut Rng) -> String {
    format!("value-{}", random.u32(..VALUES))
}

/// A third of a service's rules are about different resources.
fn resource(rules: usize, random: &mut Rng) -> String {
    named(random.usize(..rules / 3 + 1))
}

fn named(number: usize) -> String {
    match number / WORDS.len() {
        0 => WORDS[number].to_owned(),
        more => format!("{}-{more}", WORDS[number % WORDS.len()]),
    }
}

fn path(service: &Service, rules: usize, random: &mut Rng) -> Path {
    let resource = resource(rules, random);
    let word = |random: &mut Rng| Some(WORDS[random.usize(..WORDS.len())].to_owned());
    let kind = random.u8(..100);
    if service.grpc {
        let mut segments = vec![Some(format!("shop.v1.{resource}"))];
        if kind < 75 {
            segments.push(word(random));
        }
        return Path { segments, below: kind >= 75 };
    }
    let mut segments = vec![Some("api".to_owned()), Some(format!("v{}", random.u8(1..3))), Some(resource)];
    match kind {
        0..35 => segments.extend((0..random.usize(..3)).map(|_| word(random))),
        35..75 => {
            segments.push(None);
            segments.extend((0..random.usize(..2)).map(|_| word(random)));
        }
        _ => {}
    }
    Path { segments, below: kind >= 75 }
}

/// A third as many routes as rules, each for resources of its own.
fn routes(service: &Service, rules: usize, random: &mut Rng) -> Vec<Route> {
    let route = |number: usize, version: &str, random: &mut Rng| {
        let resource = named(number);
        let segments = match service.grpc {
            true => vec![Some(format!("shop.v1.{resource}"))],
            false => vec![Some("api".to_owned()), Some(version.to_owned()), Some(resource)],
        };
        Route { path: Path { segments, below: true }, version: random.u32(1..3) }
    };
    let versions: &[&str] = if service.grpc { &["v1"] } else { &["v1", "v2"] };
    let numbers = 0..rules / 6 + 1;
    numbers
        .flat_map(|number| versions.iter().map(move |version| (number, *version)))
        .map(|(number, version)| route(number, version, random))
        .collect()
}
