//! Routes: a tree of ever narrower matches, which has no ambiguity, with something wild in it now and then.

use super::{Draft, GATEWAY, Listener, Service, quoted};

/// What one `match` says.
#[derive(Clone, Debug, Default)]
struct Shape {
    methods: Vec<&'static str>,
    path: Option<String>,
    conditions: Vec<String>,
}

impl Shape {
    /// `match …`, or nothing where it is everything.
    fn text(&self) -> Option<String> {
        let op = [self.methods.join("|"), self.path.clone().unwrap_or_default()].join(" ").trim().to_owned();
        let when = match self.conditions.as_slice() {
            [] => String::new(),
            conditions => format!("when {}", conditions.join(" and ")),
        };
        let text = [op, when].join(" ").trim().to_owned();
        (!text.is_empty()).then(|| format!("    match {text}\n"))
    }

    /// Whether a dimension can be narrowed without a contradiction.
    fn is_free(&self, dimension: u32) -> bool {
        match dimension {
            0 => self.path.as_ref().is_none_or(|path| path.ends_with("/**") && path.len() < 8),
            1 => self.conditions.is_empty(),
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
}

/// Whose route a rule is in: what it may send to.
struct Owner<'a> {
    namespace: &'a str,
    /// The service and the clause that says its port; `None` is the gateway.
    service: Option<(&'a Service, &'a str)>,
    /// Services whose routes may be entered, so that no circle comes about.
    enters: &'a [Service],
}

impl Draft<'_> {
    pub(super) fn routes(&mut self) {
        let services = self.places.services.clone();
        for (index, service) in services.iter().enumerate() {
            for (name, _) in &service.ports {
                if self.chance(70) {
                    let port = if name.is_empty() { String::new() } else { format!(" port {name}") };
                    let owner = Owner {
                        namespace: &service.namespace,
                        service: Some((service, &port)),
                        enters: &services[index + 1..],
                    };
                    let (rules, otherwise) = (self.rules(&owner), self.chance(93));
                    self.route(&owner, &format!("{}{port}", service.name), rules, otherwise);
                }
            }
        }
        if let Some((namespace, listeners)) = self.places.gateway.clone() {
            let owner = Owner { namespace: &namespace, service: None, enters: &services };
            for listener in &listeners {
                self.gateway_routes(&owner, listener);
            }
        }
    }

    fn gateway_routes(&mut self, owner: &Owner<'_>, listener: &Listener) {
        let target = format!("{GATEWAY} listener {}", listener.name);
        let (rules, otherwise) = (self.rules(owner), self.chance(95));
        self.route(owner, &target, rules, otherwise);
        for _ in 0..self.rng.usize(..3) {
            let host = match self.pick(&listener.hosts.iter().map(String::as_str).collect::<Vec<_>>()) {
                "*" => self.pick(&["shop.example", "*.shop.example", "**.example", "x.test"]),
                "**.shop.example" => self.pick(&["a.shop.example", "*.shop.example", "**.b.shop.example"]),
                "*.shop.example" => self.pick(&["a.shop.example", "b.shop.example"]),
                _ => continue,
            };
            let rules = self.rules(owner);
            let otherwise = self.chance(25);
            self.route(owner, &format!("{target} host {}", quoted(&[host.to_owned()])), rules, otherwise);
        }
    }

    /// Writes rules as one or two statements.
    fn route(&mut self, owner: &Owner<'_>, target: &str, mut rules: Vec<String>, otherwise: bool) {
        // Beside a rule for everything an `otherwise` is a mistake, which is wanted now and then.
        let is_total = rules.iter().any(|rule| !rule.contains("match"));
        let otherwise = otherwise && (!is_total || self.chance(3));
        if self.chance(20) && rules.len() > 1 {
            let later = rules.split_off(1);
            self.write(owner.namespace, &format!("route {target} {{\n{}}}", rules.concat()));
            rules = later;
        }
        let otherwise = if otherwise { "  otherwise 404\n" } else { "" };
        self.write(owner.namespace, &format!("route {target} {{\n{}{otherwise}}}", rules.concat()));
    }

    fn rules(&mut self, owner: &Owner<'_>) -> Vec<String> {
        let mut shapes = Vec::new();
        self.grow(&Shape::default(), 0, &mut shapes);
        if self.chance(30) {
            self.diamond(&mut shapes);
        } else if self.chance(60) {
            shapes.push(Shape::default());
        }
        let mut rules = Vec::new();
        let mut names: Vec<String> = Vec::new();
        while let Some(shape) = shapes.pop() {
            let mut alternatives: Vec<Shape> = vec![shape];
            if self.chance(20) {
                alternatives.extend(shapes.pop());
            }
            let matches: Option<String> = alternatives.iter().map(Shape::text).collect();
            let name = self.next_rule_name();
            let action = self.action(owner);
            rules.push(format!("  rule {name} {{\n{}{action}  }}\n", matches.unwrap_or_default()));
            names.push(name);
        }
        if self.chance(6) {
            rules.push(self.wild_rule(owner, &names));
        }
        rules
    }

    /// A rule that has nothing to do with the others, and that is perhaps put above one of them.
    fn wild_rule(&mut self, owner: &Owner<'_>, names: &[String]) -> String {
        let mut shape = Shape::default();
        for _ in 0..self.rng.usize(1..=2) {
            let dimension = self.rng.u32(..3);
            shape = self.narrower(&shape, dimension);
        }
        let overrides = match self.chance(60) {
            true => format!(" overrides {}", names[self.rng.usize(..names.len())]),
            false => String::new(),
        };
        let (name, action) = (self.next_rule_name(), self.action(owner));
        format!("  rule {name}{overrides} {{\n{}{action}  }}\n", shape.text().unwrap_or_default())
    }

    /// Names in another order than that of writing.
    fn next_rule_name(&mut self) -> String {
        self.rules += 1;
        format!("{}{}", self.pick(&["k", "m", "r"]), self.rules)
    }

    /// Matches below this one, all of which narrow the same dimension, to sets that have nothing in common or contain each
    /// other; below the former it goes on.
    fn grow(&mut self, above: &Shape, depth: usize, shapes: &mut Vec<Shape>) {
        let free: Vec<u32> = (0..3).filter(|dimension| above.is_free(*dimension)).collect();
        if free.is_empty() {
            return;
        }
        let dimension = free[self.rng.usize(..free.len())];
        let nested = self.chance(35);
        let mut family = self.family(above, dimension, nested);
        self.rng.shuffle(&mut family);
        family.truncate(self.rng.usize(1..=3));
        for child in family {
            if !nested && depth < 2 && self.chance(50) {
                self.grow(&child, depth + 1, shapes);
            }
            shapes.push(child);
        }
    }

    /// The same with less in one dimension, in ways that are not in each other's way.
    fn family(&mut self, above: &Shape, dimension: u32, nested: bool) -> Vec<Shape> {
        match dimension {
            0 => {
                let endings: &[&str] = match nested {
                    true => self.pick(&[
                        &["/a/**", "/a/{x}", "/a/b", "/a/"][..],
                        &["/{x}", "/a", "/b"],
                        &["/**", "/{x}/b"],
                    ]),
                    false => self.pick(&[
                        &["/a/**", "/b", "/c/"][..],
                        &["/a", "/a/", "/b/{x}"],
                        &["/{x}/a/**", "/{x}/b"],
                    ]),
                };
                endings.iter().map(|ending| self.below(above, ending)).collect()
            }
            1 => {
                let header = self.pick(&["x-kind", "user-agent"]);
                let tests: &[&str] = match nested {
                    true => self.pick(&[
                        &["# present", "# prefix \"a\"", "# prefix \"ab\"", "# = \"abc\""][..],
                        &["not # = \"b\"", "# prefix \"a\"", "# in (\"a\", \"ab\")"],
                        &["not # absent", "not # in (\"a\", \"ab\")", "# = \"b\""],
                    ]),
                    false => self.pick(&[
                        &["# = \"a\"", "# in (\"ab\", \"abc\")", "# absent"][..],
                        &["# prefix \"a\"", "not # prefix \"a\"", "not # present"],
                        &["# = \"\"", "# != \"\""],
                        &["# prefix \"a\" and # != \"a\"", "not # != \"a\""],
                    ]),
                };
                self.places
                    .values
                    .extend(["a", "ab", "abc"].map(|value| (header.to_owned(), value.to_owned())));
                let with = |test: &&str| {
                    let mut shape = above.clone();
                    shape.conditions.push(test.replace('#', &format!("header \"{header}\"")));
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
    fn diamond(&mut self, shapes: &mut Vec<Shape>) {
        let left = self.narrower(&Shape::default(), 0);
        let right = self.narrower(&Shape::default(), 1);
        shapes.clear();
        shapes.extend([left.and(&right), left, right, Shape::default()]);
    }

    /// The same with less in the dimension: 0 path, 1 headers, 2 methods.
    fn narrower(&mut self, shape: &Shape, dimension: u32) -> Shape {
        let mut shape = shape.clone();
        match dimension {
            0 => {
                let beginning = match shape.path.as_deref() {
                    None => String::new(),
                    Some(path) => path.strip_suffix("/**").unwrap_or(path).trim_end_matches('/').to_owned(),
                };
                if beginning.matches('/').count() < 3 {
                    let path = beginning + self.pick(&["/a", "/b", "/c", "/{x}", "/a/{x}", "/a/b", "/{x}/b"]);
                    let path = path + self.pick(&["", "", "/", "/**", "/**"]);
                    self.places.paths.push(path.clone());
                    shape.path = Some(path);
                }
            }
            1 => {
                let header = self.pick(&["x-kind", "user-agent"]);
                if !shape.conditions.iter().any(|condition| condition.contains(header)) {
                    shape.conditions.push(self.condition(header));
                }
            }
            _ => shape.methods = vec![self.pick(&["GET", "POST", "DELETE", "OPTIONS"])],
        }
        shape
    }

    /// One or two conditions on a header; the last ones exclude each other for some of the values.
    fn condition(&mut self, header: &str) -> String {
        let value = self.pick(&["a", "ab", "b", ""]);
        self.places.values.push((header.to_owned(), value.to_owned()));
        let header = format!("header \"{header}\"");
        match self.rng.u32(..20) {
            0..=4 => format!("{header} = \"{value}\""),
            5 => format!("{header} != \"{value}\""),
            6 => format!("not {header} = \"{value}\""),
            7 => format!("not {header} != \"{value}\""),
            8 | 9 => format!("{header} in (\"abc\", \"{value}\")"),
            10 => format!("not {header} in (\"a\", \"{value}\")"),
            11 | 12 => format!("{header} prefix \"{value}\""),
            13 => format!("not {header} prefix \"a\""),
            14 => format!("{header} present"),
            15 => format!("{header} absent"),
            16 => format!("not {header} present"),
            17 => format!("{header} prefix \"a\" and {header} != \"{value}\""),
            18 => format!("not {header} in (\"ab\", \"{value}\") and {header} present"),
            19 if self.chance(70) => format!("{header} prefix \"a\" and not {header} prefix \"ab\""),
            _ => format!("{header} != \"a\" and {header} in (\"abc\", \"{value}\")"),
        }
    }

    /// `METHOD /path, …`
    pub(super) fn ops(&mut self) -> String {
        let mut ops = Vec::new();
        for _ in 0..self.rng.usize(1..=2) {
            let mut shape = Shape::default();
            if self.chance(60) {
                shape.methods = self.pick(&[&["GET"][..], &["GET", "POST"], &["OPTIONS"]]).to_vec();
            }
            if shape.methods.is_empty() || self.chance(70) {
                let path = self.narrower(&Shape::default(), 0).path;
                shape.path = if self.chance(20) { Some("/**".to_owned()) } else { path };
            }
            ops.push([shape.methods.join("|"), shape.path.unwrap_or_default()].join(" ").trim().to_owned());
        }
        ops.join(", ")
    }

    /// What a rule does, with settings now and then.
    fn action(&mut self, owner: &Owner<'_>) -> String {
        match self.rng.u32(..10) {
            0 => format!("    redirect {} 302\n", self.pick(&["/a", "/b", "\"https://else.example/\""])),
            1 => self.respond(),
            _ => match self.backends(owner) {
                Some(backends) => format!("    to {backends}\n{}", self.settings(20)),
                None => self.respond(),
            },
        }
    }

    fn respond(&mut self) -> String {
        format!("    respond {}\n", self.pick(&["204", "200 \"ok\"", "503"]))
    }

    /// `SERVICE, …`, if there is somewhere to go.
    fn backends(&mut self, owner: &Owner<'_>) -> Option<String> {
        let mut choices: Vec<String> = Vec::new();
        if let Some((service, port)) = owner.service {
            choices.push(format!("{}{port}", service.name));
            choices.extend(service.subsets.iter().map(|subset| format!("{}:{subset}{port}", service.name)));
        }
        for service in owner.enters.iter().filter(|service| !service.ports.is_empty()) {
            let said = service.said_in(owner.namespace);
            let port = service.port_clause(self.rng);
            choices.push(format!("{said}{port}"));
            choices.extend(service.subsets.iter().map(|subset| format!("{said}:{subset}{port}")));
        }
        self.rng.shuffle(&mut choices);
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
                format!("{first} {}, {second} {}", weights[0], weights[1])
            }
            ([first, ..], _) => first.clone(),
        })
    }
}
