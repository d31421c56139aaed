//! Lists written out: one shape for each operation, method and value (`spec/semantics.md` 3.1).

use crate::model::{HeaderTest, Line, Shape, ValueSet};
use crate::partition::MAX_LINES;
use mesh_lang::ast::{Condition, Match, Op, ValueTest};
use mesh_lang::{Name, Span};

/// The shapes of a list of operations; an empty list is everything.
pub(super) fn of_ops(ops: &[Op]) -> Vec<Shape> {
    if ops.is_empty() {
        return vec![Shape::default()];
    }
    ops.iter().flat_map(of_op).collect()
}

fn of_op(op: &Op) -> Vec<Shape> {
    let path = op.path.as_ref().map(|path| path.value.clone());
    if op.methods.is_empty() {
        return vec![Shape { path, ..Shape::default() }];
    }
    let methods = op.methods.iter().map(|method| method.value);
    methods.map(|method| Shape { method: Some(method), path: path.clone(), headers: vec![] }).collect()
}

/// The lines of a rule; without a `match` it is every request. The error is a `match` of too many lines, and how many.
pub(super) fn of_matches(matches: &[Match], head: Span) -> Result<Vec<Line>, (Span, usize)> {
    if matches.is_empty() {
        return Ok(vec![Line { shape: Shape::default(), span: head }]);
    }
    let mut lines = Vec::new();
    for line in matches {
        // Counted before it is written out: three lists of 250 values are 15 million lines.
        let ops: usize = line.ops.iter().map(|op| op.methods.len().max(1)).sum();
        let values = line.when.iter().map(|condition| match (&condition.test, condition.negated) {
            (ValueTest::In(values), false) => values.len(),
            _ => 1,
        });
        let count = values.fold(ops.max(1), usize::saturating_mul);
        if count > MAX_LINES {
            return Err((line.span, count));
        }
        lines.extend(of_match(line));
    }
    Ok(lines)
}

fn of_match(line: &Match) -> Vec<Line> {
    let mut shapes = of_ops(&line.ops);
    for condition in &line.when {
        let alternatives = of_condition(condition);
        if let [only] = alternatives.as_slice() {
            shapes.iter_mut().for_each(|shape| shape.headers.push(only.clone()));
            continue;
        }
        let with = |shape: &Shape, test: &HeaderTest| {
            let mut narrowed = shape.clone();
            narrowed.headers.push(test.clone());
            narrowed
        };
        let written_out =
            shapes.iter().flat_map(|shape| alternatives.iter().map(move |test| with(shape, test)));
        shapes = written_out.collect();
    }
    for shape in &mut shapes {
        shape.headers.sort();
    }
    shapes.into_iter().map(|shape| Line { shape, span: line.span }).collect()
}

/// A positive list is one test for each value; a negated one is one test.
fn of_condition(condition: &Condition) -> Vec<HeaderTest> {
    let values = |names: &[Name]| names.iter().map(|name| name.value.clone()).collect::<Vec<_>>();
    let sets = match (&condition.test, condition.negated) {
        (ValueTest::Present, false) | (ValueTest::Absent, true) => vec![ValueSet::Present],
        (ValueTest::Absent, false) | (ValueTest::Present, true) => vec![ValueSet::Absent],
        (ValueTest::Equals(value), false) | (ValueTest::NotEquals(value), true) => {
            vec![ValueSet::OneOf(vec![value.value.clone()])]
        }
        (ValueTest::Equals(value), true) | (ValueTest::NotEquals(value), false) => {
            vec![ValueSet::NoneOf(vec![value.value.clone()])]
        }
        (ValueTest::In(list), false) => {
            values(list).into_iter().map(|value| ValueSet::OneOf(vec![value])).collect()
        }
        (ValueTest::In(list), true) => vec![ValueSet::NoneOf(values(list))],
        (ValueTest::Prefix(prefix), false) => vec![ValueSet::Prefix(prefix.value.clone())],
        (ValueTest::Prefix(prefix), true) => vec![ValueSet::NotPrefix(prefix.value.clone())],
    };
    let header = &condition.header.value;
    sets.into_iter().map(|test| HeaderTest { header: header.clone(), test }).collect()
}
