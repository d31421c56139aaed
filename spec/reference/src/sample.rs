//! Samples: of every kind of request that some lines can tell apart, one. What holds for all samples holds for all requests.

use crate::condition::{Condition, Field};
use crate::line::Line;
use crate::regex::{self, Bytes, Regex};
use crate::request::{Value, is_list};
use crate::{Claim, Entry, Question, Token};
use mesh_lang::ast::{Method, PathPattern, Segment};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// For each dimension, a sample of every kind of value that some lines can tell apart.
#[derive(Clone, Debug)]
pub(crate) struct Universe {
    /// Those that a line names, `OPTIONS`, which alone can have the path `*`, and `None` for all others.
    pub(crate) methods: BTreeSet<Option<Method>>,
    pub(crate) paths: Vec<String>,
    /// Those that are asked, but for the path.
    pub(crate) fields: BTreeMap<Field, Vec<Value>>,
}

impl Universe {
    pub(crate) fn of(lines: &[Line]) -> Universe {
        let fields: BTreeSet<&Field> =
            lines.iter().flat_map(|line| &line.conditions).map(|condition| &condition.field).collect();
        let fields = fields.into_iter().filter(|field| **field != Field::Path);
        Universe {
            methods: lines
                .iter()
                .filter_map(|line| line.method)
                .map(Some)
                .chain([Some(Method::Options), None])
                .collect(),
            paths: paths(lines),
            fields: fields.map(|field| (field.clone(), values(lines, field))).collect(),
        }
    }
}

fn conditions_on<'l>(lines: &'l [Line], field: &Field) -> BTreeSet<&'l Condition> {
    lines.iter().flat_map(|line| &line.conditions).filter(|condition| condition.field == *field).collect()
}

/// Of the paths that fit the same patterns and conditions one, and `*`.
fn paths(lines: &[Line]) -> Vec<String> {
    let patterns: BTreeSet<&PathPattern> = lines.iter().filter_map(|line| line.path.as_ref()).collect();
    let conditions = conditions_on(lines, &Field::Path);
    let regexes: Vec<Regex> = patterns
        .into_iter()
        .map(of_pattern)
        .chain(conditions.iter().flat_map(|condition| condition.texts()))
        .collect();
    let with_triplets = regexes.iter().any(|regex| regex.tells_apart(b'%', b'~'));
    let texts = regex::samples(&canonical_path(with_triplets), &regexes).into_iter();
    ["*".to_owned()].into_iter().chain(texts.filter_map(|text| String::from_utf8(text).ok())).collect()
}

/// 3.2
fn of_pattern(pattern: &PathPattern) -> Regex {
    let some = || Bytes::of(*b"/").not();
    let segment = |segment: &Segment| match segment {
        Segment::Literal(text) => Regex::text(text),
        Segment::Any(_) => Regex::Byte(some()).plus(),
        Segment::AnyWithSuffix { suffix, .. } => Regex::Byte(some()).plus().then(Regex::text(suffix)),
    };
    let slash = || Regex::text("/");
    let written = pattern.segments.iter().fold(Regex::Empty, |all, one| all.then(slash()).then(segment(one)));
    let below = slash().then(Regex::all());
    match (pattern.subtree, pattern.segments.is_empty()) {
        (false, _) => written,
        (true, true) => below,
        (true, false) => written.then(below.optional()),
    }
}

/// 1.1. Where nothing that is asked tells `%` from other characters, a path with triplets is of no kind of its own.
fn canonical_path(with_triplets: bool) -> Regex {
    let unreserved = Bytes::of((b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').chain(*b"-._~"));
    let plain = unreserved.or(Bytes::of(*b"!$&'()*+,:=@[]"));
    let triplets =
        (0x20..=0xff_u8).filter(|byte| with_triplets && !b"/\\\x7f".contains(byte) && !unreserved.has(*byte));
    let triplet = triplets.fold(Regex::none(), |all, byte| all.or(Regex::text(&format!("%{byte:02X}"))));
    let extra = || triplet.clone();
    let any = || Regex::Byte(plain).or(extra());
    let no_dot = || Regex::Byte(plain.and(Bytes::of([b'.']).not())).or(extra());
    let dot = || Regex::text(".");
    // Not `.` and not `..`.
    let segment = no_dot()
        .then(any().star())
        .or(dot().then(no_dot()).then(any().star()))
        .or(dot().then(dot()).then(any().plus()));
    let slash = || Regex::text("/");
    let path =
        slash().then(segment.clone().then(slash().then(segment).star()).then(slash().optional()).optional());
    let somewhere = |text: &str| Regex::all().then(Regex::text(text)).then(Regex::all());
    let refused = ["%252E", "%252F", "%255C", "%2500", "%C0", "%C1", "%E0%8", "%E0%9", "%F0%8"];
    let refused = refused.iter().map(|text| somewhere(text));
    match with_triplets {
        true => refused.fold(path, |path, wrong| path.and(wrong.not())),
        false => path,
    }
}

/// Of the values of a field for which the same conditions hold one. What is absent and what is odd is of a kind of its own, since
/// other claims hang on it (1.7).
fn values(lines: &[Line], field: &Field) -> Vec<Value> {
    let conditions = conditions_on(lines, field);
    let mut kinds: BTreeMap<(Vec<bool>, bool, bool), Value> = BTreeMap::new();
    for value in candidates(field, &conditions) {
        let held = conditions.iter().map(|condition| condition.holds(&value)).collect();
        let kind = (held, value == Value::Absent, value == Value::Odd);
        kinds.entry(kind).or_insert(value);
    }
    kinds.into_values().collect()
}

fn candidates(field: &Field, conditions: &BTreeSet<&Condition>) -> Vec<Value> {
    if let Field::SourceIp | Field::ClientIp = field {
        let edges = conditions.iter().flat_map(|condition| condition.edges()).chain([0]);
        let absent = (*field == Field::ClientIp).then_some(Value::Absent);
        return absent.into_iter().chain(edges.map(Value::Address)).collect();
    }
    if let Field::Jwt(_) = field {
        return vec![Value::Absent, Value::Odd];
    }
    let (single, item) = texts_of(field);
    let regexes: Vec<Regex> = conditions.iter().flat_map(|condition| condition.texts()).collect();
    let singles = regex::samples(&single, &regexes).into_iter().map(Value::Single);
    match field {
        Field::Host => singles.collect(),
        Field::Claim { .. } => {
            let lists = [Value::Many(vec![])].into_iter().chain(several(&item, &regexes, conditions));
            singles.chain(lists).chain([Value::Absent, Value::Odd]).collect()
        }
        _ => singles.chain(several(&item, &regexes, conditions)).chain([Value::Absent]).collect(),
    }
}

/// Several items: what is asked of them is whether there is one that …, so they are put together, one more at a time, as
/// long as more conditions are answered otherwise.
fn several(item: &Regex, regexes: &[Regex], conditions: &BTreeSet<&Condition>) -> Vec<Value> {
    let items = regex::samples(item, regexes);
    // Which conditions hold in which way, whatever is added.
    let answers = |all: &[Vec<u8>]| -> BTreeSet<(usize, bool)> {
        let of_one = |item: &Vec<u8>| {
            let one = Value::Many(vec![item.clone()]);
            conditions.iter().enumerate().map(|(i, condition)| (i, condition.holds(&one))).collect::<Vec<_>>()
        };
        all.iter().flat_map(of_one).collect()
    };
    let mut seen: BTreeMap<BTreeSet<(usize, bool)>, Vec<Vec<u8>>> = BTreeMap::new();
    let mut open: Vec<Vec<Vec<u8>>> = items.iter().map(|item| vec![item.clone(), item.clone()]).collect();
    while let Some(all) = open.pop() {
        let answered = answers(&all);
        if seen.contains_key(&answered) {
            continue;
        }
        open.extend(items.iter().map(|item| [all.as_slice(), std::slice::from_ref(item)].concat()));
        seen.insert(answered, all);
    }
    seen.into_values().map(Value::Many).collect()
}

/// The texts that a field can have as its only value, and as one of several (1.2 to 1.7).
fn texts_of(field: &Field) -> (Regex, Regex) {
    let readable = Bytes::of([b'\t']).or(Bytes::of(b' '..=b'~')).or(Bytes::of(0x80..=0xff));
    let without = |bytes: &[u8]| Regex::Byte(Bytes::of(bytes.iter().copied()).not().and(readable));
    let blank = || Regex::Byte(Bytes::of(*b" \t"));
    let trimmed = |texts: Regex| {
        let around = blank().then(Regex::all()).or(Regex::all().then(blank()));
        texts.and(around.not())
    };
    match field {
        Field::Header(name) if is_list(name) => {
            let inside = without(b"\"\\").or(Regex::text("\\").then(Regex::Byte(readable))).star();
            let quoted = Regex::text("\"").then(inside.clone());
            let open = quoted.clone().then(Regex::text("\\").optional()).optional();
            let whole = without(b",\"").or(quoted.then(Regex::text("\""))).star().then(open);
            let item = trimmed(whole);
            (item.clone(), item.and(Regex::Empty.not()))
        }
        Field::Header(_) => {
            let line = trimmed(Regex::Byte(readable).star());
            (line.clone(), line)
        }
        Field::Cookie(_) => {
            let value = trimmed(without(b";").star());
            (value.clone(), value)
        }
        // Of a claim, which is UTF-8, the ASCII ones stand for all: no regex has other characters in it.
        Field::Claim { .. } => {
            let text = Regex::Byte(Bytes::of(0..=0x7f)).star();
            (text.clone(), text)
        }
        Field::Host => {
            let label = Regex::Byte(Bytes::of((b'a'..=b'z').chain(b'0'..=b'9').chain(*b"-_"))).plus();
            let name = label.clone().then(Regex::text(".").then(label).star());
            let digits = Regex::Byte(Bytes::of((b'a'..=b'f').chain(b'0'..=b'9').chain(*b":."))).plus();
            let host = name.or(Regex::text("[").then(digits).then(Regex::text("]")));
            (host.clone(), host)
        }
        _ => (Regex::all(), Regex::all()),
    }
}

/// One request of a kind: the rest of it can be anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) method: Option<Method>,
    pub(crate) path: String,
    values: BTreeMap<Field, Value>,
}

/// For all sets of lines (as indices) that some possible request is in, and in no other line, such a request.
pub(crate) fn combinations(lines: &[Line]) -> BTreeMap<Vec<usize>, Sample> {
    let universe = Universe::of(lines);
    let mut found = BTreeMap::from([((0..lines.len()).collect::<Vec<usize>>(), Sample::default())]);
    for dimension in dimensions(&universe) {
        let mut next = BTreeMap::new();
        for part in dimension {
            for (set, sample) in &found {
                let is_in = |line: &usize| part.is_in(&lines[*line]);
                let left: Vec<usize> = set.iter().copied().filter(is_in).collect();
                next.entry(left).or_insert_with(|| part.added_to(sample));
            }
        }
        found = next;
    }
    found
}

/// Dimensions that do not depend on each other, each with the possible parts of a request.
fn dimensions(universe: &Universe) -> Vec<Vec<Part>> {
    let mut operations = Vec::new();
    for method in &universe.methods {
        // 1.4: the path `*` is asked for with `OPTIONS` only.
        let possible = universe.paths.iter().filter(|path| *path != "*" || *method == Some(Method::Options));
        operations.extend(possible.map(|path| Part::Operation(*method, path.clone())));
    }
    let mut dimensions = vec![operations];
    let mut tokens: BTreeMap<&str, Vec<Vec<(Field, Value)>>> = BTreeMap::new();
    for (field, values) in &universe.fields {
        let each = || values.iter().map(|value| (field.clone(), value.clone()));
        match field {
            Field::Jwt(issuer) | Field::Claim { issuer, .. } => {
                let token = tokens.entry(issuer).or_insert(vec![vec![]]);
                let with = |part: &Vec<(Field, Value)>| {
                    each().map(|one| [part.as_slice(), &[one]].concat()).collect::<Vec<_>>()
                };
                *token = token.iter().flat_map(with).collect();
            }
            _ => dimensions.push(each().map(|one| Part::Values(vec![one])).collect()),
        }
    }
    for mut token in tokens.into_values() {
        token.retain(|values| is_possible(values));
        dimensions.push(token.into_iter().map(Part::Values).collect());
    }
    dimensions
}

/// 1.7: there is no claim without its token, and no claim inside another that is no object.
fn is_possible(token: &[(Field, Value)]) -> bool {
    let holds_back = |outer: &Field, value: &Value, inner: &Field| match (outer, inner) {
        (Field::Jwt(_), Field::Claim { .. }) => *value == Value::Absent,
        (Field::Claim { path: outer, .. }, Field::Claim { path: inner, .. }) => {
            inner.len() > outer.len() && inner.starts_with(outer) && *value != Value::Odd
        }
        _ => false,
    };
    !token.iter().any(|(inner, inside)| {
        *inside != Value::Absent && token.iter().any(|(outer, value)| holds_back(outer, value, inner))
    })
}

/// What a sample has in one dimension.
enum Part {
    Operation(Option<Method>, String),
    Values(Vec<(Field, Value)>),
}

impl Part {
    fn is_in(&self, line: &Line) -> bool {
        match self {
            Part::Operation(method, path) => line.has_method(*method) && line.has_path(path),
            Part::Values(values) => values.iter().all(|(field, value)| line.has_value(field, value)),
        }
    }

    fn added_to(&self, sample: &Sample) -> Sample {
        let mut sample = sample.clone();
        match self {
            Part::Operation(method, path) => {
                sample.method = *method;
                sample.path.clone_from(path);
            }
            Part::Values(values) => sample.values.extend(values.iter().cloned()),
        }
        sample
    }
}

impl Sample {
    /// The request itself.
    pub(crate) fn question(&self) -> Question {
        let mut question = Question {
            entry: Entry::Sidecar { service: String::new() },
            peer: None,
            method: self.method.map_or("PURGE", Method::as_str).to_owned(),
            host: String::new(),
            host_port: None,
            path: self.path.clone(),
            query: String::new(),
            headers: Vec::new(),
            tokens: Vec::new(),
            source_ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            client_ip: None,
        };
        self.values.iter().for_each(|(field, value)| question.put(field, value));
        question
    }
}

impl Question {
    fn put(&mut self, field: &Field, value: &Value) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let items: Vec<String> = match value {
            Value::Single(one) => vec![text(one)],
            Value::Many(all) => all.iter().map(|one| text(one)).collect(),
            Value::Absent | Value::Odd | Value::Address(_) => vec![],
        };
        let address = match value {
            Value::Address(number) => Some(IpAddr::V6(Ipv6Addr::from(*number))),
            _ => None,
        };
        match field {
            Field::Path => {}
            Field::Host => self.host = items.concat(),
            Field::Header(name) => self.headers.extend(items.into_iter().map(|item| (name.clone(), item))),
            Field::Query(key) => {
                let encoded =
                    |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
                for item in items {
                    self.query += &format!("{}={}&", encoded(key), encoded(&item));
                }
            }
            Field::Cookie(name) => {
                self.headers
                    .extend(items.into_iter().map(|item| ("cookie".to_owned(), format!("{name}={item}"))));
            }
            Field::SourceIp => self.source_ip = address.unwrap_or(self.source_ip),
            Field::ClientIp => self.client_ip = address,
            Field::Jwt(_) | Field::Claim { .. } if *value == Value::Absent => {}
            Field::Jwt(issuer) => _ = self.token_of(issuer),
            Field::Claim { issuer, path } => {
                let claim = match value {
                    Value::Single(_) => Claim::Text(items.concat()),
                    Value::Many(_) => Claim::List(items),
                    _ => Claim::Other,
                };
                self.token_of(issuer).claims.push((path.clone(), claim));
            }
        }
    }

    fn token_of(&mut self, issuer: &str) -> &mut Token {
        let place = self.tokens.iter().position(|token| token.issuer == issuer).unwrap_or(self.tokens.len());
        if place == self.tokens.len() {
            self.tokens.push(Token { issuer: issuer.to_owned(), claims: Vec::new() });
        }
        &mut self.tokens[place]
    }
}
