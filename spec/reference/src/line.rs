//! Rules 3.1 to 3.5: lines, the sets they denote, and which line beats which.

use crate::request::HeaderValue;
use mesh_lang::ast::{self, Method, PathPattern, Segment, ValueTest};
use std::collections::{BTreeMap, BTreeSet};

/// One line (3.1, 3.2): a product of one set for each dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which rule it is of: a number within its table.
    pub(crate) rule: usize,
    /// `None`: every method, the other ones too.
    pub(crate) method: Option<Method>,
    /// `None`: every path, and `*`.
    pub(crate) path: Option<PathPattern>,
    /// Header and condition; those on one header are intersected.
    pub(crate) conditions: Vec<(String, Condition)>,
}

/// A condition with its `not` taken in (3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Present,
    Absent,
    Is(String),
    IsNot(String),
    IsNone(Vec<String>),
    Begins(String),
    BeginsNot(String),
}

/// What lines look at: one request, or one sample of each kind.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `None`: a method that no program can name.
    pub(crate) method: Option<Method>,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, HeaderValue>,
}

/// 3.1: the lines of a rule: op × method × `in` value of each `match`; without `match` one line, everything.
pub(crate) fn of_rule(rule: usize, matches: &[ast::Match]) -> Vec<Line> {
    if matches.is_empty() {
        return vec![Line { rule, ..Line::default() }];
    }
    matches.iter().flat_map(|line| with_conditions(of_ops(rule, &line.ops), &line.when)).collect()
}

/// 3.1: the lines of a list of ops; no op is one line, everything.
pub(crate) fn of_ops(rule: usize, ops: &[ast::Op]) -> Vec<Line> {
    if ops.is_empty() {
        return vec![Line { rule, ..Line::default() }];
    }
    let mut lines = Vec::new();
    for op in ops {
        let path = op.path.as_ref().map(|path| path.value.pattern());
        if op.methods.is_empty() {
            lines.push(Line { rule, path, ..Line::default() });
            continue;
        }
        for method in op.methods.iter() {
            lines.push(Line { rule, method: Some(method), path: path.clone(), ..Line::default() });
        }
    }
    lines
}

/// Adds conditions to lines: a positive `in` is one line for each value, everything else is one condition.
fn with_conditions(mut lines: Vec<Line>, when: &[ast::Condition]) -> Vec<Line> {
    for condition in when {
        // `Program::new` lets nothing else through.
        let ast::Field::Header(header) = &condition.field else { continue };
        let alternatives = alternatives(condition);
        lines = lines
            .iter()
            .flat_map(|line| {
                alternatives.iter().map(|alternative| {
                    let mut line = line.clone();
                    line.conditions.push((header.value.to_string(), alternative.clone()));
                    line
                })
            })
            .collect();
    }
    lines
}

/// 3.3: `not` of a value test is its complement within the single values; `not … != x` is `= x`.
fn alternatives(condition: &ast::Condition) -> Vec<Condition> {
    match (&condition.test, condition.negated) {
        (ValueTest::Present, false) | (ValueTest::Absent, true) => vec![Condition::Present],
        (ValueTest::Absent, false) | (ValueTest::Present, true) => vec![Condition::Absent],
        (ValueTest::Equals(x), false) | (ValueTest::NotEquals(x), true) => {
            vec![Condition::Is(x.value.to_string())]
        }
        (ValueTest::NotEquals(x), false) | (ValueTest::Equals(x), true) => {
            vec![Condition::IsNot(x.value.to_string())]
        }
        (ValueTest::In(list), false) => list.iter().map(|x| Condition::Is(x.value.to_string())).collect(),
        (ValueTest::In(list), true) => {
            vec![Condition::IsNone(list.iter().map(|x| x.value.to_string()).collect())]
        }
        (ValueTest::Prefix(x), false) => vec![Condition::Begins(x.value.to_string())],
        (ValueTest::Prefix(x), true) => vec![Condition::BeginsNot(x.value.to_string())],
        (ValueTest::Suffix(_) | ValueTest::Contains(_) | ValueTest::Has(_) | ValueTest::Matches(_), _) => {
            vec![]
        }
    }
}

impl Line {
    /// Whether the request is in the line's set.
    pub(crate) fn matches(&self, request: &Request) -> bool {
        self.has_method(request.method)
            && self.has_path(&request.path)
            && self.conditions.iter().all(|(header, condition)| {
                condition.holds(request.headers.get(header).unwrap_or(&HeaderValue::Absent))
            })
    }

    fn has_method(&self, method: Option<Method>) -> bool {
        self.method.is_none() || self.method == method
    }

    fn has_path(&self, path: &str) -> bool {
        self.path.as_ref().is_none_or(|pattern| fits(pattern, path))
    }

    fn has_value(&self, header: &str, value: &HeaderValue) -> bool {
        self.conditions.iter().filter(|(name, _)| name == header).all(|(_, condition)| condition.holds(value))
    }
}

/// 3.2: whether a path fits a pattern; `*` fits none.
fn fits(pattern: &PathPattern, path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let segments: Vec<&str> = rest.split('/').collect();
    let long_enough = match pattern.subtree {
        true => segments.len() >= pattern.segments.len(),
        false => segments.len() == pattern.segments.len(),
    };
    long_enough
        && pattern.segments.iter().zip(&segments).all(|(wanted, segment)| match wanted {
            Segment::Literal(text) => text == segment,
            Segment::Any(_) => !segment.is_empty(),
            Segment::AnyWithSuffix { suffix, .. } => {
                segment.len() > suffix.len() && segment.ends_with(suffix.as_str())
            }
        })
}

impl Condition {
    /// 3.3: conditions are grants: a negation does not hold for an absent value, and no test of a value for many.
    fn holds(&self, value: &HeaderValue) -> bool {
        match value {
            HeaderValue::Absent => *self == Condition::Absent,
            HeaderValue::Many => *self == Condition::Present,
            HeaderValue::Single(v) => match self {
                Condition::Present => true,
                Condition::Absent => false,
                Condition::Is(x) => v == x,
                Condition::IsNot(x) => v != x,
                Condition::IsNone(list) => !list.contains(v),
                Condition::Begins(prefix) => v.starts_with(prefix),
                Condition::BeginsNot(prefix) => !v.starts_with(prefix),
            },
        }
    }

    fn texts(&self) -> &[String] {
        match self {
            Condition::Present | Condition::Absent => &[],
            Condition::Is(x) | Condition::IsNot(x) | Condition::Begins(x) | Condition::BeginsNot(x) => {
                std::slice::from_ref(x)
            }
            Condition::IsNone(list) => list,
        }
    }
}

/// For each dimension, a sample of every kind of value that some lines can tell apart. Two requests of which each value
/// is of the same kind are in the same lines, so what holds for all samples holds for all requests.
#[derive(Clone, Debug)]
pub(crate) struct Universe {
    /// Those that a line names, `OPTIONS`, which alone can have the path `*`, and `None` for all others.
    pub(crate) methods: BTreeSet<Option<Method>>,
    pub(crate) paths: Vec<String>,
    pub(crate) headers: BTreeMap<String, Vec<HeaderValue>>,
}

impl Universe {
    pub(crate) fn of(lines: &[Line]) -> Universe {
        let header_names: BTreeSet<&String> =
            lines.iter().flat_map(|line| line.conditions.iter().map(|(header, _)| header)).collect();
        Universe {
            methods: lines
                .iter()
                .filter_map(|line| line.method)
                .map(Some)
                .chain([Some(Method::Options), None])
                .collect::<BTreeSet<_>>(),
            paths: path_samples(lines),
            headers: header_names
                .into_iter()
                .map(|name| (name.clone(), value_samples(lines, name)))
                .collect(),
        }
    }
}

/// Why these suffice: a pattern compares segment i with its literal there, or asks that it is not empty, and asks how
/// many segments there are, up to its own number. So in any path, a segment that is no literal of any pattern at its
/// place can be replaced by one fresh segment (or, if it is empty, stays so: only the last one can be), and what goes
/// more than one segment beyond the longest pattern can be cut off, and no pattern notices. What is left is the
/// product below. Of the paths that are in the same patterns the first is kept, and `*` by itself.
fn path_samples(lines: &[Line]) -> Vec<String> {
    let patterns: BTreeSet<&PathPattern> = lines.iter().filter_map(|line| line.path.as_ref()).collect();
    let longest = patterns.iter().map(|pattern| pattern.segments.len()).max().unwrap_or(0);
    let literals_at = |place: usize| -> BTreeSet<&str> {
        let literals = patterns.iter().filter_map(|pattern| match pattern.segments.get(place) {
            Some(Segment::Literal(text)) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        });
        literals.collect()
    };
    let fresh = fresh_segment(&patterns);
    let mut kinds: BTreeMap<Vec<bool>, String> = BTreeMap::new();
    let mut keep = |path: String| {
        let in_patterns = patterns.iter().map(|pattern| fits(pattern, &path));
        let kind = [path == "*"].into_iter().chain(in_patterns).collect();
        kinds.entry(kind).or_insert(path);
    };
    keep("*".to_owned());
    let mut beginnings = vec![String::new()];
    for place in 0..=longest {
        let segments: Vec<&str> = literals_at(place).into_iter().chain([fresh.as_str()]).collect();
        let longer: Vec<String> = beginnings
            .iter()
            .flat_map(|beginning| segments.iter().map(move |segment| format!("{beginning}/{segment}")))
            .collect();
        beginnings.iter().for_each(|beginning| keep(format!("{beginning}/")));
        longer.iter().for_each(|path| keep(path.clone()));
        beginnings = longer;
    }
    kinds.into_values().collect()
}

/// A segment that is no literal of any pattern: longer than all of them.
fn fresh_segment(patterns: &BTreeSet<&PathPattern>) -> String {
    let lengths = patterns.iter().flat_map(|pattern| &pattern.segments).map(|segment| match segment {
        Segment::Literal(text) => text.len(),
        Segment::Any(_) | Segment::AnyWithSuffix { .. } => 0,
    });
    "z".repeat(lengths.max().unwrap_or(0) + 1)
}

/// Why these suffice: a condition tells a single value apart by whether it equals a written text or begins with one. A
/// value that is itself no written text is in the same conditions as the longest written text it begins with (or the
/// empty text), followed by a character that stands in none of them.
fn value_samples(lines: &[Line], header: &str) -> Vec<HeaderValue> {
    let conditions = lines.iter().flat_map(|line| &line.conditions).filter(|(name, _)| name == header);
    let mut texts: BTreeSet<&str> =
        conditions.flat_map(|(_, condition)| condition.texts()).map(String::as_str).collect();
    texts.insert("");
    let fresh = ('A'..).find(|c| !texts.iter().any(|text| text.contains(*c))).unwrap_or_default();
    let single = texts.iter().flat_map(|text| [(*text).to_owned(), format!("{text}{fresh}")]);
    [HeaderValue::Absent, HeaderValue::Many].into_iter().chain(single.map(HeaderValue::Single)).collect()
}

/// A line's set, dimension by dimension: which samples of a universe are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set(Vec<Vec<bool>>);

impl Set {
    pub(crate) fn of(line: &Line, universe: &Universe) -> Set {
        let methods = universe.methods.iter().map(|method| line.has_method(*method)).collect();
        let paths = universe.paths.iter().map(|path| line.has_path(path)).collect();
        let headers = universe.headers.iter().map(|(name, values)| {
            values.iter().map(|value| line.has_value(name, value)).collect::<Vec<bool>>()
        });
        Set([methods, paths].into_iter().chain(headers).collect())
    }

    /// Whether the request of these samples, one for each dimension, is in the set.
    pub(crate) fn contains(&self, point: &[usize]) -> bool {
        self.0.iter().zip(point).all(|(dimension, sample)| dimension[*sample])
    }

    /// No request is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().any(|dimension| !dimension.contains(&true))
    }

    /// A product of sets that are not empty is a subset of another iff each dimension is.
    fn is_subset(&self, other: &Set) -> bool {
        self.is_empty()
            || self
                .0
                .iter()
                .zip(&other.0)
                .all(|(mine, theirs)| mine.iter().zip(theirs).all(|(m, t)| !m || *t))
    }

    /// 3.4: the set is a strict subset of the other.
    pub(crate) fn is_narrower(&self, other: &Set) -> bool {
        self.is_subset(other) && !other.is_subset(self)
    }

    /// Some request is in both.
    pub(crate) fn overlaps(&self, other: &Set) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine.iter().zip(theirs).any(|(m, t)| *m && *t))
    }
}

/// 3.4: for each pair of lines whether the first beats the second. `overrides(r, s)`: rule r overrides rule s.
pub(crate) fn beats(lines: &[Line], overrides: impl Fn(usize, usize) -> bool) -> Vec<Vec<bool>> {
    let universe = Universe::of(lines);
    let sets: Vec<Set> = lines.iter().map(|line| Set::of(line, &universe)).collect();
    let pairs = |a: usize| {
        (0..lines.len()).map(move |b| (a, b)).map(|(a, b)| {
            let decided_by_word = overrides(lines[a].rule, lines[b].rule)
                && sets[a].overlaps(&sets[b])
                && !sets[b].is_narrower(&sets[a]);
            lines[a].rule != lines[b].rule && (sets[a].is_narrower(&sets[b]) || decided_by_word)
        })
    };
    (0..lines.len()).map(|a| pairs(a).collect()).collect()
}

/// 3.5: the maximal lines for a request: those that match and that no other matching line beats.
pub(crate) fn maximal(lines: &[Line], beats: &[Vec<bool>], request: &Request) -> Vec<usize> {
    let matching: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].matches(request)).collect();
    unbeaten(&matching, beats)
}

/// Those that no other of them beats.
pub(crate) fn unbeaten(matching: &[usize], beats: &[Vec<bool>]) -> Vec<usize> {
    let is_beaten = |line: usize| matching.iter().any(|other| beats[*other][line]);
    matching.iter().copied().filter(|line| !is_beaten(*line)).collect()
}
