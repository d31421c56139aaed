//! A small alphabet of lines, and for each the requests of a small universe that it matches: by definition (`spec/semantics.md` 3.2,
//! 3.3), request by request.

use fastrand::Rng;

/// Who asks. The universe has one peer of each kind.
pub(super) const PEERS: [&str; 4] = ["unauthenticated", "web", "job", "stranger"];

/// Methods of the universe; the last one is no method that a line names.
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "OPTIONS"];

/// What a header of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    Absent,
    Single(&'static str),
    Many(&'static [&'static str]),
}

/// Values that tell all tests below apart: `3` stands for all that no line names.
const VALUES: [Value; 7] = [
    Value::Absent,
    Value::Single("1"),
    Value::Single("2"),
    Value::Single("3"),
    Value::Many(&["1", "2"]),
    Value::Many(&["1", "3"]),
    Value::Many(&["2", "3"]),
];

/// A request, and who sends it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    peer: &'static str,
    pub(super) method: &'static str,
    pub(super) path: String,
    x: Value,
    y: Value,
}

/// Everybody who asks everything; for routes one peer is enough. A line's set is a product of one set for each dimension (3.2), so that
/// `GET *` is a point of it, though no request.
pub(super) fn requests(peers: &[&'static str]) -> Vec<Request> {
    let mut found = Vec::new();
    let mut paths = paths();
    paths.push("*".to_owned());
    for peer in peers {
        for method in METHODS {
            for path in &paths {
                for x in VALUES {
                    for y in [Value::Absent, Value::Single("1"), Value::Single("3")] {
                        found.push(Request { peer, method, path: path.clone(), x, y });
                    }
                }
            }
        }
    }
    found
}

/// Up to three segments, one deeper than patterns are; `c` stands for all that no pattern names, and the last one may be empty.
fn paths() -> Vec<String> {
    let mut found = Vec::new();
    let mut above = vec![String::new()];
    for _ in 0..3 {
        let below = |path: &String| ["a", "b", "c", ""].map(|segment| format!("{path}/{segment}"));
        let level: Vec<String> = above.iter().flat_map(below).collect();
        found.extend(level.iter().cloned());
        above = level.into_iter().filter(|path| !path.ends_with('/')).collect();
    }
    found
}

impl Request {
    /// 1.4
    pub(super) fn is_possible(&self) -> bool {
        self.path != "*" || self.method == "OPTIONS"
    }
}

/// A line of the alphabet; what is empty is not said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    /// Empty in routes.
    pub(super) from: &'static str,
    method: &'static str,
    path: &'static str,
    x: &'static str,
    y: &'static str,
}

const NAMED_METHODS: [&str; 3] = ["", "GET", "POST"];
const PATHS: [&str; 14] = [
    "", "/", "/**", "/a", "/b", "/{p}", "/a/", "/a/**", "/{p}/**", "/a/b", "/a/{p}", "/{p}/b", "/{p}/{q}",
    "/a/b/**",
];
const OF_X: [&str; 8] =
    ["", "absent", "present", "= \"1\"", "= \"2\"", "!= \"1\"", "has \"1\"", "not has \"1\""];
const OF_Y: [&str; 3] = ["", "= \"1\"", "present"];
/// `web` and `job` are identities; the last two are everybody and everybody with one of the mesh.
const FROM: [&str; 4] = ["web", "unauthenticated", "anyone", "authenticated"];

/// All lines of routes: 1,008.
pub(super) fn of_routes() -> Vec<Line> {
    let mut lines = Vec::new();
    for method in NAMED_METHODS {
        for path in PATHS {
            for x in OF_X {
                for y in OF_Y {
                    lines.push(Line { from: "", method, path, x, y });
                }
            }
        }
    }
    lines
}

/// All lines of authorizations: 420.
pub(super) fn of_access() -> Vec<Line> {
    let mut lines = Vec::new();
    for from in FROM {
        for method in NAMED_METHODS {
            for path in ["", "/**", "/a", "/{p}", "/a/**", "/a/{p}", "/{p}/b"] {
                for x in ["", "absent", "= \"1\"", "!= \"1\"", "has \"1\""] {
                    lines.push(Line { from, method, path, x, y: "" });
                }
            }
        }
    }
    lines
}

impl Line {
    /// Everything that the same peers ask.
    pub(super) fn of_the_same(&self) -> Line {
        Line { from: self.from, method: "", path: "", x: "", y: "" }
    }

    pub(super) fn pick<'l>(rng: &mut Rng, of: &'l [Line]) -> &'l Line {
        &of[rng.usize(..of.len())]
    }

    /// `GET /a when header "x" = "1"`
    pub(super) fn text(&self) -> String {
        let op = [self.method, self.path].join(" ");
        let test = |name: &str, test: &str| match test.strip_prefix("not ") {
            Some(rest) => format!("not header \"{name}\" {rest}"),
            None => format!("header \"{name}\" {test}"),
        };
        let tests = [("x", self.x), ("y", self.y)].into_iter().filter(|(_, test)| !test.is_empty());
        let tests: Vec<String> = tests.map(|(name, own)| test(name, own)).collect();
        let when = if tests.is_empty() { String::new() } else { format!(" when {}", tests.join(" and ")) };
        format!("{}{when}", op.trim()).trim().to_owned()
    }

    /// Whether it says nothing: as the only line of a rule it is a rule without `match`.
    pub(super) fn is_everything(&self) -> bool {
        self.text().is_empty()
    }

    /// ` from … to … when …`; a refusal says what becomes of peers without identity.
    pub(super) fn access(&self, refuses: bool) -> String {
        let text = self.text();
        let to = match text.split_once("when ") {
            Some(("", when)) => format!(" when {when}"),
            None if text.is_empty() => String::new(),
            _ => format!(" to {text}"),
        };
        format!(" from {}{to}", self.said_from(refuses))
    }

    /// ` from … to u … when …` of a test.
    pub(super) fn asked(&self) -> String {
        let text = self.text();
        format!(" from {} to u {text}", self.said_from(false)).trim_end().to_owned()
    }

    fn said_from(&self, refuses: bool) -> String {
        let identity = "identity \"spiffe://local.test/vm/web\"";
        match (self.from, refuses) {
            ("web", false) => identity.to_owned(),
            ("web", true) => format!("{identity}, unauthenticated"),
            ("authenticated", true) => "authenticated except unauthenticated".to_owned(),
            (other, _) => other.to_owned(),
        }
    }

    /// Whether the Gateway API can say it: exact paths and prefixes, methods, and headers that have a value.
    pub(super) fn is_of_the_gateway_api(&self) -> bool {
        let exact = |test: &str| test.is_empty() || test.starts_with('=');
        !self.path.is_empty() && !self.path.contains('{') && exact(self.x) && exact(self.y)
    }

    /// What its HTTPRoute compares, in order.
    pub(super) fn gateway_api_rank(&self) -> (bool, usize, bool, usize) {
        let headers = [self.x, self.y].iter().filter(|test| !test.is_empty()).count();
        match self.path.strip_suffix("/**") {
            Some(prefix) => (false, prefix.len(), !self.method.is_empty(), headers),
            None => (true, 0, !self.method.is_empty(), headers),
        }
    }

    /// Which requests it matches.
    pub(super) fn set(&self, requests: &[Request], refuses: bool) -> Set {
        Set::of(requests.iter().map(|request| self.matches(request, refuses)))
    }

    fn matches(&self, request: &Request, refuses: bool) -> bool {
        self.is_from(request.peer, refuses)
            && (self.method.is_empty() || self.method == request.method)
            && (self.path.is_empty() || fits(self.path, &request.path))
            && holds(self.x, request.x, refuses)
            && holds(self.y, request.y, refuses)
    }

    /// 2.3; a refusal of `web` is written with `unauthenticated` beside it.
    fn is_from(&self, peer: &str, refuses: bool) -> bool {
        match self.from {
            "" | "anyone" => true,
            "authenticated" => matches!(peer, "web" | "job"),
            "web" => peer == "web" || (refuses && peer == "unauthenticated"),
            other => other == peer,
        }
    }
}

/// 3.2
fn fits(pattern: &str, path: &str) -> bool {
    let Some(path) = path.strip_prefix('/') else { return false };
    let (pattern, subtree) = match pattern.strip_suffix("/**") {
        Some(above) => (above, true),
        None => (pattern, false),
    };
    let segments: Vec<&str> = path.split('/').collect();
    let wanted: Vec<&str> = pattern.split('/').skip(1).collect();
    let one = |(wanted, segment): (&&str, &&str)| match wanted.starts_with('{') {
        true => !segment.is_empty(),
        false => wanted == segment,
    };
    let long_enough = if subtree { segments.len() >= wanted.len() } else { segments.len() == wanted.len() };
    long_enough && wanted.iter().zip(&segments).all(one)
}

/// 3.3
fn holds(test: &str, value: Value, refuses: bool) -> bool {
    let (negated, test) = match test.strip_prefix("not ") {
        Some(rest) => (true, rest.to_owned()),
        None => (test.starts_with("!="), test.replacen("!=", "=", 1)),
    };
    match (test.as_str(), value) {
        ("", _) => true,
        ("present", value) => value != Value::Absent,
        ("absent", value) => value == Value::Absent,
        (_, Value::Absent) => negated && refuses,
        (test, value) => {
            let asked = test.split('"').nth(1).unwrap_or_default();
            match (test.starts_with("has"), value) {
                (_, Value::Single(value)) => (value == asked) != negated,
                (true, Value::Many(items)) => items.contains(&asked) != negated,
                (false, Value::Many(items)) => {
                    refuses && items.iter().any(|item| (*item == asked) != negated)
                }
                (_, Value::Absent) => false,
            }
        }
    }
}

/// Requests, by their number in the universe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set(Vec<u64>);

impl Set {
    pub(super) fn of(members: impl Iterator<Item = bool>) -> Set {
        let mut words = Vec::new();
        for (member, index) in members.zip(0usize..) {
            if index % 64 == 0 {
                words.push(0);
            }
            if member {
                words[index / 64] |= 1 << (index % 64);
            }
        }
        Set(words)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn with(&self, other: &Set, both: impl Fn(u64, u64) -> u64) -> Set {
        Set(self.0.iter().zip(&other.0).map(|(a, b)| both(*a, *b)).collect())
    }

    pub(super) fn and(&self, other: &Set) -> Set {
        self.with(other, |a, b| a & b)
    }

    pub(super) fn or(&self, other: &Set) -> Set {
        self.with(other, |a, b| a | b)
    }

    pub(super) fn minus(&self, other: &Set) -> Set {
        self.with(other, |a, b| a & !b)
    }

    pub(super) fn is_inside(&self, other: &Set) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a & !b == 0)
    }

    pub(super) fn meets(&self, other: &Set) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }
}
