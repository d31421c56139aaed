//! Rules 3.1 to 3.5: lines, the sets they denote, and which line beats which.

use crate::Question;
use crate::condition::{Condition, Field};
use crate::request::Value;
use crate::sample::Universe;
use mesh_lang::ast::{self, Method, PathPattern, Segment};

/// One line (3.1, 3.2): a product of one set for each dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which rule it is of: a number within its table.
    pub(crate) rule: usize,
    /// `None`: every method, the other ones too.
    pub(crate) method: Option<Method>,
    /// `None`: every path, and `*`.
    pub(crate) path: Option<PathPattern>,
    /// Those on one field are intersected.
    pub(crate) conditions: Vec<Condition>,
}

/// 3.1: the lines of a rule: op × method × `in` value of each `match`; without `match` one line, everything.
pub(crate) fn of_rule(
    rule: usize,
    matches: &[ast::Match],
    issuer: Option<&str>,
) -> Result<Vec<Line>, String> {
    if matches.is_empty() {
        return Ok(vec![Line { rule, ..Line::default() }]);
    }
    let mut lines = Vec::new();
    for written in matches {
        let mut of_match = of_ops(rule, &written.ops);
        for condition in &written.when {
            let alternatives = Condition::of(condition, false, issuer)?.alternatives();
            let with = |line: &Line| -> Vec<Line> {
                alternatives.iter().map(|one| line.and(std::slice::from_ref(one))).collect()
            };
            of_match = of_match.iter().flat_map(with).collect();
        }
        lines.extend(of_match);
    }
    Ok(lines)
}

/// The lines of a list of ops in an `authorize` or a `guardrail`, all with the same conditions.
pub(crate) fn of_access(
    ops: &[ast::Op],
    when: &[ast::Condition],
    refuses: bool,
    issuer: Option<&str>,
) -> Result<Vec<Line>, String> {
    let conditions: Result<Vec<Condition>, String> =
        when.iter().map(|condition| Condition::of(condition, refuses, issuer)).collect();
    let conditions = conditions?;
    Ok(of_ops(0, ops).iter().map(|line| line.and(&conditions)).collect())
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

impl Line {
    fn and(&self, conditions: &[Condition]) -> Line {
        Line { conditions: [self.conditions.as_slice(), conditions].concat(), ..self.clone() }
    }

    /// Whether the request is in the line's set.
    pub(crate) fn matches(&self, request: &Question) -> bool {
        self.has_method(request.method())
            && self.has_pattern(&request.path)
            && self.conditions.iter().all(|condition| condition.holds(&request.value(&condition.field)))
    }

    pub(crate) fn has_method(&self, method: Option<Method>) -> bool {
        self.method.is_none() || self.method == method
    }

    fn has_pattern(&self, path: &str) -> bool {
        self.path.as_ref().is_none_or(|pattern| fits(pattern, path))
    }

    /// 3.2: path patterns and conditions on `path` are one dimension. 3.3 (h): `*` is absent.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        let value = if path == "*" { Value::Absent } else { Value::Single(path.as_bytes().to_vec()) };
        self.has_pattern(path) && self.has_value(&Field::Path, &value)
    }

    pub(crate) fn has_value(&self, field: &Field, value: &Value) -> bool {
        let mut conditions = self.conditions.iter().filter(|condition| condition.field == *field);
        conditions.all(|condition| condition.holds(value))
    }
}

/// 3.2: whether a path fits a pattern; `*` fits none.
pub(crate) fn fits(pattern: &PathPattern, path: &str) -> bool {
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

/// A line's set, dimension by dimension: which samples of a universe are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set(Vec<Vec<bool>>);

impl Set {
    pub(crate) fn of(line: &Line, universe: &Universe) -> Set {
        let methods = universe.methods.iter().map(|method| line.has_method(*method)).collect();
        let paths = universe.paths.iter().map(|path| line.has_path(path)).collect();
        let fields = universe.fields.iter().map(|(field, values)| {
            values.iter().map(|value| line.has_value(field, value)).collect::<Vec<bool>>()
        });
        Set([methods, paths].into_iter().chain(fields).collect())
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
pub(crate) fn maximal(lines: &[Line], beats: &[Vec<bool>], request: &Question) -> Vec<usize> {
    let matching: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].matches(request)).collect();
    unbeaten(&matching, beats)
}

/// Those that no other of them beats.
pub(crate) fn unbeaten(matching: &[usize], beats: &[Vec<bool>]) -> Vec<usize> {
    let is_beaten = |line: usize| matching.iter().any(|other| beats[*other][line]);
    matching.iter().copied().filter(|line| !is_beaten(*line)).collect()
}
