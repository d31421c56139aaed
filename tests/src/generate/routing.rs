//! Routes: a tree of ever narrower matches, which has no ambiguity, with something wild in it now and then.

use super::condition::Knows;
use super::{Asked, Draft, Family, GATEWAY, Gateway, Listener, NAMESPACES, Port, Service, family, quoted};

/// What one `match` says.
#[derive(Clone, Debug, Default)]
struct Shape {
    methods: Vec<&'static str>,
    /// An operation's path, or `grpc …`.
    path: Option<String>,
    conditions: Vec<(Asked, String)>,
}

impl Shape {
    /// `match …`, or nothing where it is everything.
    fn text(&self) -> Option<String> {
        let op = [self.methods.join("|"), self.path.clone().unwrap_or_default()].join(" ").trim().to_owned();
        let conditions: Vec<&str> = self.conditions.iter().map(|(_, text)| text.as_str()).collect();
        let when = match conditions.as_slice() {
            [] => String::new(),
            conditions => format!("when {}", conditions.join(" and ")),
        };
        let text = [op, when].join(" ").trim().to_owned();
        (!text.is_empty()).then(|| format!("    match {text}\n"))
    }

    /// Whether a dimension can be narrowed without a contradiction.
    fn is_free(&self, dimension: u32, seen: Family) -> bool {
        match (dimension, seen) {
            (0, Family::Grpc) => self.path.as_ref().is_none_or(|path| !path.contains('/')),
            (0 | 2, Family::Bytes) => false,
            // Paths are asked for in one way or the other.
            (0, _) if self.conditions.iter().any(|(asked, _)| *asked == Asked::Path) => false,
            (0, _) => self.path.as_ref().is_none_or(|path| path.ends_with("/**") && path.len() < 8),
            (1, _) => self.conditions.len() < 2,
            (_, Family::Grpc) => false,
            _ => self.methods.is_empty(),
        }
    }

    /// Both at once, where the one with a path is the narrower.
    fn and(&self, other: &Shape) -> Shape {
        Shape {
            methods: if self.methods.is_empty() { other.methods.clone() } else { self.methods.clone() },
            path: self.path.clone().or(other.path.clone()),
            conditions: [self.conditions.clone(), other.conditions.clone()].concat(),
        }
    }

    /// Whether some `GET` is in it.
    fn gets(&self) -> bool {
        self.methods.is_empty() || self.methods.contains(&"GET")
    }

    /// Whether the part of the path before its `/**` can be replaced.
    fn has_prefix(&self) -> bool {
        self.path.as_ref().is_some_and(|path| path.ends_with("/**") && !path.contains('{'))
    }
}

/// Whose route a rule is in: what it may send to.
pub(super) struct Owner<'a> {
    pub(super) namespace: &'a str,
    /// The service and its port; `None` is the gateway.
    service: Option<(&'a Service, &'a Port)>,
    /// Services whose routes may be entered, so that no circle comes about.
    enters: &'a [Service],
    seen: Family,
    knows: Knows,
}

impl Owner<'_> {
    pub(super) fn seen(&self) -> Family {
        self.seen
    }

    /// Whether a rule may send to a port.
    fn fits(&self, port: &Port) -> bool {
        // A gateway forwards gRPC where it speaks HTTP.
        port.family() == self.seen
            || self.service.is_none() && self.seen == Family::Http && port.family() == Family::Grpc
    }
}

impl Draft<'_> {
    pub(super) fn routes(&mut self) {
        let services = self.places.services.clone();
        for (index, service) in services.iter().enumerate() {
            for port in &service.ports {
                if self.chance(70) {
                    let mut knows = Knows::of_service(service);
                    knows.bytes = port.family() == Family::Bytes;
                    let owner = Owner {
                        namespace: &service.namespace,
                        service: Some((service, port)),
                        enters: &services[index + 1..],
                        seen: port.family(),
                        knows,
                    };
                    let (rules, otherwise) = (self.rules(&owner), self.chance(97));
                    let target = format!("{}{}", service.name, service.clause(port));
                    self.route(&owner, &target, rules, otherwise);
                }
            }
        }
        if let Some(gateway) = self.places.gateway.clone() {
            for listener in &gateway.listeners {
                self.gateway_routes(&gateway, listener, &services);
            }
        }
        self.consumer_routes(&services);
    }

    /// Routes of callers, for some of the calls, and now and then for what the gateway sends.
    fn consumer_routes(&mut self, services: &[Service]) {
        let mut places: Vec<(String, String, Service, Port)> = Vec::new();
        for (caller, callee, port) in self.calls.clone() {
            if self.chance(12) {
                places.push((caller.namespace, caller.name, callee, port));
            }
        }
        if let Some(gateway) = self.places.gateway.clone()
            && self.chance(6)
        {
            let callee = services[self.rng.usize(..services.len())].clone();
            let port = callee.some_port(self.rng).filter(|port| port.family() == Family::Http).cloned();
            places.extend(port.map(|port| (gateway.namespace, format!("gateway {GATEWAY}"), callee, port)));
        }
        for (namespace, caller, callee, port) in places {
            let others: Vec<Service> =
                services.iter().filter(|service| service.name != callee.name).cloned().collect();
            let mut knows = Knows::of_service(&callee);
            knows.bytes = port.family() == Family::Bytes;
            let owner = Owner {
                namespace: &namespace,
                service: Some((&callee, &port)),
                enters: &others,
                seen: port.family(),
                knows,
            };
            let (rules, otherwise) = (self.rules(&owner), self.chance(97));
            let target = format!("{}{} from {caller}", callee.said_in(&namespace), callee.clause(&port));
            self.route(&owner, &target, rules, otherwise);
        }
    }

    fn gateway_routes(&mut self, gateway: &Gateway, listener: &Listener, services: &[Service]) {
        if listener.redirects {
            return;
        }
        let seen = match family(listener.protocol) {
            Family::Bytes => Family::Bytes,
            _ => Family::Http,
        };
        let mut knows = Knows::of_gateway(gateway);
        knows.bytes = seen == Family::Bytes;
        let owner = Owner { namespace: &gateway.namespace, service: None, enters: services, seen, knows };
        let target = format!("{GATEWAY} listener {}", listener.name);
        let (rules, otherwise) = (self.rules(&owner), self.chance(97));
        self.route(&owner, &target, rules, otherwise);
        if listener.hosts.is_empty() {
            return;
        }
        let mut known: Vec<&str> = Vec::new();
        for _ in 0..self.rng.usize(..3) {
            let host = match self.pick(&listener.hosts.iter().map(String::as_str).collect::<Vec<_>>()) {
                "*" => self.pick(&["shop.example", "*.shop.example", "**.example", "x.test"]),
                "**.shop.example" => self.pick(&["a.shop.example", "*.shop.example", "**.b.shop.example"]),
                "*.shop.example" => self.pick(&["a.shop.example", "b.shop.example"]),
                _ => continue,
            };
            // That table has its rules already.
            if (listener.hosts.iter().any(|own| own == host) || known.contains(&host)) && !self.chance(5) {
                continue;
            }
            known.push(host);
            let host = match host {
                "shop.example" => self.value(&gateway.namespace, "site", "\"shop.example\""),
                host => quoted(&[host.to_owned()]),
            };
            let rules = self.rules(&owner);
            let otherwise = self.chance(25);
            self.route(&owner, &format!("{target} host {host}"), rules, otherwise);
        }
        if self.delegates(listener) {
            let other = NAMESPACES[1 - super::file_of(&gateway.namespace)];
            let guest = Owner { namespace: other, knows: owner.knows.clone(), ..owner };
            let action = self.action(&guest, false, true);
            let name = self.next_rule_name();
            let target = format!(
                "{GATEWAY}.{} listener {} host \"{}\"",
                gateway.namespace, listener.name, listener.hosts[0]
            );
            self.places.paths.push("/given/a".to_owned());
            let text = format!("route {target} {{\n  rule {name} {{\n    match /given/a\n{action}  }}\n}}");
            self.write(other, &text);
        }
    }

    /// Writes rules as one or two statements.
    fn route(&mut self, owner: &Owner<'_>, target: &str, mut rules: Vec<String>, otherwise: bool) {
        // Beside a rule for everything an `otherwise` is a mistake, which is wanted now and then.
        let is_total = rules.iter().any(|rule| !rule.contains("match"));
        let otherwise = otherwise && (!is_total || self.chance(1)) && owner.seen != Family::Bytes;
        if self.chance(20) && rules.len() > 1 {
            let later = rules.split_off(1);
            self.write(owner.namespace, &format!("route {target} {{\n{}}}", rules.concat()));
            rules = later;
        }
        // A route whose only rule is where everything goes says so without a rule.
        if let [only] = rules.as_slice()
            && let [_, action, _] = only.lines().collect::<Vec<_>>().as_slice()
            && action.trim_start().starts_with("to ")
            && self.chance(60)
        {
            rules = vec![format!("  {}\n", action.trim_start())];
        }
        let different = self.elsewhere(10, |draft| match otherwise {
            true => "  otherwise 503\n".to_owned(),
            false => {
                let (name, action) = (draft.next_rule_name(), draft.respond());
                match owner.seen {
                    Family::Bytes | Family::Grpc => String::new(),
                    Family::Http => format!("  rule {name} {{\n    match GET /only/here\n{action}  }}\n"),
                }
            }
        });
        let otherwise = if otherwise { "  otherwise 404\n" } else { "" };
        self.write(
            owner.namespace,
            &format!("route {target} {{\n{}{otherwise}{different}}}", rules.concat()),
        );
    }

    fn rules(&mut self, owner: &Owner<'_>) -> Vec<String> {
        let mut shapes = Vec::new();
        self.grow(&Shape::default(), 0, &mut shapes, owner);
        if self.chance(30) && owner.seen == Family::Http {
            self.diamond(&mut shapes, owner);
        } else if self.chance(60) || owner.seen == Family::Bytes {
            shapes.push(Shape::default());
        }
        let mut rules = Vec::new();
        let mut names: Vec<String> = Vec::new();
        while let Some(shape) = shapes.pop() {
            let mut alternatives: Vec<Shape> = vec![shape];
            if self.chance(12) {
                alternatives.extend(shapes.pop());
            }
            let matches: Option<String> = alternatives.iter().map(Shape::text).collect();
            let name = self.next_rule_name();
            let prefixes = alternatives.iter().all(Shape::has_prefix);
            let action = self.action(owner, prefixes, alternatives.iter().any(Shape::gets));
            let different = self.elsewhere(8, |draft| draft.other_action(owner, &action));
            rules.push(format!("  rule {name} {{\n{}{action}{different}  }}\n", matches.unwrap_or_default()));
            names.push(name);
        }
        if self.chance(2) {
            rules.push(self.wild_rule(owner, &names));
        }
        rules
    }

    /// A rule that has nothing to do with the others, and that is perhaps put above one of them.
    fn wild_rule(&mut self, owner: &Owner<'_>, names: &[String]) -> String {
        let mut shape = Shape::default();
        for _ in 0..self.rng.usize(1..=2) {
            let dimension = if owner.seen == Family::Http { self.rng.u32(..3) } else { 1 };
            shape = self.narrower(&shape, dimension, owner);
        }
        let overrides = match self.chance(60) {
            true => format!(" overrides {}", names[self.rng.usize(..names.len())]),
            false => String::new(),
        };
        let (name, action) = (self.next_rule_name(), self.action(owner, false, shape.gets()));
        format!("  rule {name}{overrides} {{\n{}{action}  }}\n", shape.text().unwrap_or_default())
    }

    /// Names in another order than that of writing.
    fn next_rule_name(&mut self) -> String {
        self.rules += 1;
        format!("{}{}", self.pick(&["k", "m", "r"]), self.rules)
    }

    /// Matches below this one, all of which narrow the same dimension, to sets that have nothing in common or contain each
    /// other; below the former it goes on.
    fn grow(&mut self, above: &Shape, depth: usize, shapes: &mut Vec<Shape>, owner: &Owner<'_>) {
        let free: Vec<u32> = (0..3).filter(|dimension| above.is_free(*dimension, owner.seen)).collect();
        if free.is_empty() {
            return;
        }
        let dimension = free[self.rng.usize(..free.len())];
        let nested = self.chance(35);
        let mut family = self.family(above, dimension, nested, owner);
        family.retain(|child| child.text() != above.text());
        self.rng.shuffle(&mut family);
        family.truncate(self.rng.usize(1..=3));
        for child in family {
            if !nested && depth < 2 && self.chance(50) {
                self.grow(&child, depth + 1, shapes, owner);
            }
            shapes.push(child);
        }
    }

    /// The same with less in one dimension, in ways that are not in each other's way.
    fn family(&mut self, above: &Shape, dimension: u32, nested: bool, owner: &Owner<'_>) -> Vec<Shape> {
        match dimension {
            0 if owner.seen == Family::Grpc => {
                let ops: &[&str] = match nested {
                    true => &["grpc shop.Cart", "grpc shop.Cart/Add", "grpc shop.Cart/Get"],
                    false => self.pick(&[
                        &["grpc shop.Cart/Add", "grpc shop.Cart/Get|Empty", "grpc shop.Pay"][..],
                        &["grpc shop.Cart", "grpc shop.Pay/Charge"],
                    ]),
                };
                self.places
                    .paths
                    .extend(["/shop.Cart/Add", "/shop.Cart/Empty", "/shop.Pay/x"].map(str::to_owned));
                ops.iter().map(|op| Shape { path: Some((*op).to_owned()), ..above.clone() }).collect()
            }
            0 => {
                let endings: &[&str] = match nested {
                    true => self.pick(&[
                        &["/a/**", "/a/{x}", "/a/b", "/a/"][..],
                        &["/{x}", "/a", "/b"],
                        &["/**", "/{x}/b"],
                        &["/{x}", "/{x}.json", "/a.json"],
                        &["/a/**", "/a/{x}", "/a/{x}.b"],
                    ]),
                    false => self.pick(&[
                        &["/a/**", "/b", "/c/"][..],
                        &["/a", "/a/", "/b/{x}"],
                        &["/{x}/a/**", "/{x}/b"],
                        &["/{x}.json", "/{x}.b", "/a"],
                    ]),
                };
                endings.iter().map(|ending| self.below(above, ending)).collect()
            }
            1 => {
                let asked = self.asked(&owner.knows);
                let is_taken = asked == Asked::Path && above.path.is_some();
                if is_taken || above.conditions.iter().any(|(other, _)| *other == asked) {
                    return Vec::new();
                }
                let tests = self.tests_of(&asked, nested);
                let field = asked.said(&owner.knows.issuers);
                let with = |test: &&str| {
                    let mut shape = above.clone();
                    let test = test
                        .strip_prefix("not ")
                        .map_or_else(|| (*test).to_owned(), |rest| format!("not {rest}"));
                    shape.conditions.push((asked.clone(), test.replace('#', &field)));
                    shape
                };
                tests.iter().map(with).collect()
            }
            _ => {
                let with = |method: &'static str| Shape { methods: vec![method], ..above.clone() };
                ["GET", "POST", "OPTIONS"].map(with).to_vec()
            }
        }
    }

    /// The path goes on from that of the shape.
    fn below(&mut self, shape: &Shape, ending: &str) -> Shape {
        let beginning = shape.path.as_deref().unwrap_or_default();
        let path = format!("{}{ending}", beginning.strip_suffix("/**").unwrap_or(beginning));
        self.places.paths.push(path.clone());
        Shape { path: Some(path), ..shape.clone() }
    }

    /// Two matches of which neither contains the other, and their intersection, which settles it.
    fn diamond(&mut self, shapes: &mut Vec<Shape>, owner: &Owner<'_>) {
        let left = self.narrower(&Shape::default(), 0, owner);
        let right = self.narrower(&Shape::default(), 1, owner);
        shapes.clear();
        shapes.extend([left.and(&right), left, right, Shape::default()]);
    }

    /// The same with less in the dimension: 0 path, 1 conditions, 2 methods.
    fn narrower(&mut self, shape: &Shape, dimension: u32, owner: &Owner<'_>) -> Shape {
        let mut shape = shape.clone();
        match dimension {
            0 => {
                let beginning = match shape.path.as_deref() {
                    None => String::new(),
                    Some(path) => path.strip_suffix("/**").unwrap_or(path).trim_end_matches('/').to_owned(),
                };
                if beginning.matches('/').count() < 3 {
                    let path = beginning
                        + self.pick(&["/a", "/b", "/c", "/{x}", "/a/{x}", "/a/b", "/{x}/b", "/{x}.json"]);
                    let path = path + self.pick(&["", "", "/", "/**", "/**"]);
                    self.places.paths.push(path.clone());
                    shape.path = Some(path);
                }
            }
            1 => {
                let knows = Knows { paths: shape.path.is_some(), ..owner.knows.clone() };
                let asked = self.asked(&knows);
                if !shape.conditions.iter().any(|(other, _)| *other == asked) {
                    let condition = self.condition(&asked, &owner.knows.issuers);
                    shape.conditions.push((asked, condition));
                }
            }
            _ => shape.methods = vec![self.pick(&["GET", "POST", "DELETE", "OPTIONS"])],
        }
        shape
    }

    /// `METHOD /path, …`
    pub(super) fn ops(&mut self, seen: Family) -> String {
        if seen == Family::Grpc {
            self.places.paths.extend(["/shop.Cart/Add", "/shop.Cart/Get"].map(str::to_owned));
            return self
                .pick(&["grpc shop.Cart", "grpc shop.Cart/Add", "grpc shop.Cart/Add|Get, grpc shop.Pay"])
                .to_owned();
        }
        let owner = Owner { namespace: "", service: None, enters: &[], seen, knows: Knows::default() };
        let mut ops = Vec::new();
        for _ in 0..self.rng.usize(1..=2) {
            let mut shape = Shape::default();
            if self.chance(60) {
                shape.methods = self.pick(&[&["GET"][..], &["GET", "POST"], &["OPTIONS"]]).to_vec();
            }
            if shape.methods.is_empty() || self.chance(70) {
                let path = self.narrower(&Shape::default(), 0, &owner).path;
                shape.path = if self.chance(20) { Some("/**".to_owned()) } else { path };
            }
            ops.push([shape.methods.join("|"), shape.path.unwrap_or_default()].join(" ").trim().to_owned());
        }
        ops.join(", ")
    }

    /// What a rule does, with settings and edits now and then.
    fn action(&mut self, owner: &Owner<'_>, prefixes: bool, gets: bool) -> String {
        let redirects = owner.seen == Family::Http && self.chance(10);
        let responds = owner.seen != Family::Bytes && self.chance(10);
        if redirects {
            return match self.rng.u32(..6) {
                0 if prefixes => "    redirect prefix /b 302\n".to_owned(),
                1 => "    redirect scheme https 308\n".to_owned(),
                2 => "    redirect host \"else.example\" 302\n".to_owned(),
                _ => format!("    redirect {} 302\n", self.pick(&["/a", "/b", "\"https://else.example/\""])),
            };
        }
        let backends = if responds { None } else { self.backends(owner) };
        match backends {
            Some(backends) => {
                let settings = self.rule_settings(owner.namespace, owner.seen, gets);
                let edits = if owner.seen == Family::Bytes {
                    String::new()
                } else {
                    self.edits(owner, prefixes, gets)
                };
                format!("    to {backends}\n{settings}{edits}")
            }
            None => self.respond(),
        }
    }

    /// What a rule does instead in some environment.
    fn other_action(&mut self, owner: &Owner<'_>, action: &str) -> String {
        match action.trim_start().starts_with("to ") {
            true => match self.some_backend(owner) {
                Some(backend) => format!("    to {backend}\n"),
                None => String::new(),
            },
            false => self.respond(),
        }
    }

    fn respond(&mut self) -> String {
        let header = if self.chance(10) { "    response-header set \"x-by\" \"mesh\"\n" } else { "" };
        format!("    respond {}\n{header}", self.pick(&["204", "200 \"ok\"", "503"]))
    }

    /// All that a rule may send to.
    fn choices(&mut self, owner: &Owner<'_>) -> Vec<String> {
        let mut choices: Vec<String> = Vec::new();
        if let Some((service, port)) = owner.service {
            let clause = service.clause(port);
            let said = service.said_in(owner.namespace);
            choices.push(format!("{said}{clause}"));
            choices.extend(service.subsets.iter().map(|subset| format!("{said}:{subset}{clause}")));
        }
        for service in owner.enters {
            let said = service.said_in(owner.namespace);
            let mut fitting: Vec<&Port> = service.ports.iter().filter(|port| owner.fits(port)).collect();
            self.rng.shuffle(&mut fitting);
            let Some(port) = fitting.pop() else { continue };
            let clause = service.clause(port);
            choices.push(format!("{said}{clause}"));
            choices.extend(service.subsets.iter().map(|subset| format!("{said}:{subset}{clause}")));
        }
        self.rng.shuffle(&mut choices);
        choices
    }

    /// One of them.
    pub(super) fn some_backend(&mut self, owner: &Owner<'_>) -> Option<String> {
        self.choices(owner).pop()
    }

    /// `SERVICE, …`, if there is somewhere to go.
    fn backends(&mut self, owner: &Owner<'_>) -> Option<String> {
        if owner.seen == Family::Http && self.chance(5) && self.split_of(owner.namespace).is_some() {
            return Some(self.shared(owner.namespace, "halves").to_owned());
        }
        let choices = self.choices(owner);
        Some(match (choices.as_slice(), self.rng.u32(..10)) {
            ([], _) => return None,
            ([first, second, third, ..], 0 | 1) => {
                let weights =
                    self.pick(&[["20%", "30%", "50%"], ["33.33%", "0%", "rest"], ["0.01%", "rest", "99%"]]);
                format!("{first} {}, {second} {}, {third} {}", weights[0], weights[1], weights[2])
            }
            ([first, second, ..], 2..=5) => {
                let weights =
                    self.pick(&[["50%", "50%"], ["90%", "rest"], ["0%", "100%"], ["rest", "12.5%"]]);
                let mut second_weight = weights[1].to_owned();
                if weights[0] == "rest" {
                    let param = self.pick(&["share", "moving"]);
                    second_weight = self.value(owner.namespace, param, "12.5%");
                }
                format!("{first} {}, {second} {second_weight}", weights[0])
            }
            ([first, ..], _) => first.clone(),
        })
    }

    /// The endpoints of a service that many rules may share, in the words of a namespace.
    pub(super) fn split_of(&self, namespace: &str) -> Option<String> {
        let service = self.places.services.iter().find(|service| {
            !service.subsets.is_empty()
                && service.ports.len() == 1
                && service.ports[0].family() == Family::Http
        })?;
        let said = service.said_in(namespace);
        Some(format!("{said}:v1 75%, {said}:v2 rest"))
    }
}
