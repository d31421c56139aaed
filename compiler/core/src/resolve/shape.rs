//! Lists written out: one shape for each operation, method and value (`spec/semantics.md` 3.1); and conditions as sets (3.3).

use super::address;
use crate::model::{Asked, Field, FieldTest, Line, Polarity, Shape, Tests, ValueSet};
use crate::partition::MAX_LINES;
use crate::space::text::regex;
use mesh_lang::ast::{self, Condition, Match, Op, ValueTest};
use mesh_lang::{Code, Diagnostic, Name, Span, Text};

/// The shapes of a list of operations; an empty list is everything.
pub(crate) fn of_ops(ops: &[Op]) -> Vec<Shape> {
    if ops.is_empty() {
        return vec![Shape::default()];
    }
    let mut shapes = Vec::with_capacity(ops.iter().map(|op| op.methods.len().max(1)).sum());
    for op in ops {
        let path = op.path.as_ref().map(|path| &path.value);
        if op.methods.is_empty() {
            shapes.push(Shape { path: path.cloned(), ..Shape::default() });
        }
        let with = |method| Shape { method: Some(method), path: path.cloned(), ..Shape::default() };
        shapes.extend(op.methods.iter().map(with));
    }
    shapes
}

/// Why lines cannot be written out.
pub(super) enum Wrong {
    /// A `match` of too many lines, and how many.
    TooMany(Span, usize),
    /// Values that mean nothing.
    Values(Vec<Diagnostic>),
}

/// The lines of a rule; without a `match` it is every request.
pub(super) fn of_matches(matches: &[Match], head: Span) -> Result<Vec<Line>, Wrong> {
    if matches.is_empty() {
        return Ok(vec![Line { shape: Shape::default(), span: head }]);
    }
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for line in matches {
        // Counted before it is written out: three lists of 250 values are 15 million lines.
        let ops: usize = line.ops.iter().map(|op| op.methods.len().max(1)).sum();
        let values = line.when.iter().map(|condition| match (&condition.test, condition.negated) {
            (ValueTest::In(values), false) => values.len(),
            _ => 1,
        });
        let count = values.fold(ops.max(1), usize::saturating_mul);
        if count > MAX_LINES {
            return Err(Wrong::TooMany(line.span, count));
        }
        match of_match(line) {
            Ok(found) => lines.extend(found),
            Err(problems) => wrong.extend(problems),
        }
    }
    if wrong.is_empty() { Ok(lines) } else { Err(Wrong::Values(wrong)) }
}

fn of_match(line: &Match) -> Result<Vec<Line>, Vec<Diagnostic>> {
    let mut shapes = of_ops(&line.ops);
    let mut wrong = Vec::new();
    for condition in &line.when {
        let test = match of_condition(condition, Polarity::Grant) {
            Ok(test) => test,
            Err(problems) => {
                wrong.extend(problems);
                continue;
            }
        };
        let alternatives = each_value(test);
        let with = |shape: &Shape, test: &FieldTest| {
            let mut tests: Vec<FieldTest> = shape.tests.iter().chain([test]).cloned().collect();
            tests.sort();
            Shape { tests: tests.into(), ..shape.clone() }
        };
        let written_out =
            shapes.iter().flat_map(|shape| alternatives.iter().map(move |test| with(shape, test)));
        shapes = written_out.collect();
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(shapes.into_iter().map(|shape| Line { shape, span: line.span }).collect())
}

/// What conditions of a service ask that only a gateway can know.
pub(super) fn for_gateways(when: &[Condition]) -> Option<Diagnostic> {
    when.iter().find_map(|condition| {
        let (message, label, help) = match condition.field {
            ast::Field::Host => (
                "a service is not asked for by host",
                "a gateway is",
                "Callers say the service's own name as host; delete the condition.",
            ),
            ast::Field::ClientIp => (
                "a service does not know the address of the client",
                "a gateway does",
                "Ask for it at the gateway, or write `source-ip` for the other end of the connection.",
            ),
            _ => return None,
        };
        Some(Diagnostic::new(Code::UnexpectedToken, message).at(condition.span, label).help(help))
    })
}

/// The shapes of a line of `authorize`: each operation with all conditions. Lists stay lists: nothing is ranked there.
pub(super) fn of_access(
    ops: &[Op],
    when: &[Condition],
    polarity: Polarity,
) -> Result<Vec<Shape>, Vec<Diagnostic>> {
    let mut tests = Vec::with_capacity(when.len());
    let mut wrong = Vec::new();
    for condition in when {
        match of_condition(condition, polarity) {
            Ok(test) => tests.push(test),
            Err(problems) => wrong.extend(problems),
        }
    }
    tests.sort();
    if wrong.is_empty() {
        let mut shapes = of_ops(ops);
        let tests = Tests::from(tests);
        shapes.iter_mut().for_each(|shape| shape.tests = tests.clone());
        Ok(shapes)
    } else {
        Err(wrong)
    }
}

/// A positive list is one test for each value; everything else is one test.
fn each_value(test: FieldTest) -> Vec<FieldTest> {
    let FieldTest { field, set: ValueSet::Passing { asked, negated: false, polarity } } = &test else {
        return vec![test];
    };
    let each: Vec<Asked> = match asked {
        Asked::OneOf(values) => values.iter().map(|value| Asked::OneOf(vec![value.clone()])).collect(),
        Asked::Within(blocks) => blocks.iter().map(|block| Asked::Within(vec![*block])).collect(),
        _ => return vec![test],
    };
    let each = each.into_iter().map(|asked| FieldTest {
        field: field.clone(),
        set: ValueSet::Passing { asked, negated: false, polarity: *polarity },
    });
    each.collect()
}

/// What a condition means in a line of this polarity.
fn of_condition(condition: &Condition, polarity: Polarity) -> Result<FieldTest, Vec<Diagnostic>> {
    let field = of_field(&condition.field);
    let (asked, inverted) = match &condition.test {
        ValueTest::Present | ValueTest::Absent => {
            let present = matches!(condition.test, ValueTest::Present) != condition.negated;
            return Ok(FieldTest { field, set: if present { ValueSet::Present } else { ValueSet::Absent } });
        }
        ValueTest::Equals(value) => (one_of(&field, std::slice::from_ref(value))?, false),
        ValueTest::NotEquals(value) => (one_of(&field, std::slice::from_ref(value))?, true),
        ValueTest::In(values) => (one_of(&field, values)?, false),
        ValueTest::Prefix(text) => (Asked::Prefix(text.value.clone()), false),
        ValueTest::Suffix(text) => (Asked::Suffix(text.value.clone()), false),
        ValueTest::Contains(text) => (Asked::Contains(text.value.clone()), false),
        ValueTest::Has(text) => (Asked::Has(text.value.clone()), false),
        ValueTest::Matches(text) => (Asked::Matches(checked_regex(text)?), false),
    };
    let negated = condition.negated != inverted;
    // The other end of a connection always has an address; who asked the first proxy may be unknown.
    if field == Field::SourceIp
        && let Asked::Within(blocks) = &asked
        && address::is_everything(blocks)
    {
        return Err(vec![every_address(condition, negated)]);
    }
    Ok(FieldTest { field, set: ValueSet::Passing { asked, negated, polarity } })
}

/// "Only from here" that says everywhere.
fn every_address(condition: &Condition, negated: bool) -> Diagnostic {
    let holds = if negated { "holds for nobody" } else { "holds for everybody" };
    Diagnostic::new(Code::VainStatement, "every address is in these blocks")
        .at(condition.span, holds)
        .help("Write the networks that are meant, or delete the condition.")
}

fn of_field(field: &ast::Field) -> Field {
    match field {
        ast::Field::Header(name) => Field::Header(name.value.clone()),
        ast::Field::Query(name) => Field::Query(name.value.clone()),
        ast::Field::Cookie(name) => Field::Cookie(name.value.clone()),
        ast::Field::Jwt(name) => Field::Jwt(name.value.clone()),
        ast::Field::Claim { issuer, path } => Field::Claim {
            issuer: issuer.as_ref().map(|name| name.value.clone()).unwrap_or_default(),
            path: path.iter().map(|name| name.value.clone()).collect(),
        },
        ast::Field::SourceIp => Field::SourceIp,
        ast::Field::ClientIp => Field::ClientIp,
        ast::Field::Path => Field::Path,
        ast::Field::Host => Field::Host,
    }
}

fn one_of(field: &Field, values: &[Name]) -> Result<Asked, Vec<Diagnostic>> {
    if !matches!(field, Field::SourceIp | Field::ClientIp) {
        let mut texts: Vec<Text> = values.iter().map(|value| value.value.clone()).collect();
        texts.sort();
        texts.dedup();
        return Ok(Asked::OneOf(texts));
    }
    let mut wrong = Vec::new();
    let blocks = values.iter().map(address::block);
    let mut blocks: Vec<_> = blocks.filter_map(|block| block.map_err(|why| wrong.push(why)).ok()).collect();
    blocks.sort();
    blocks.dedup();
    if wrong.is_empty() { Ok(Asked::Within(blocks)) } else { Err(wrong) }
}

/// Bytes of a regex: nobody reads a longer one, and what it costs to decide about grows with it.
const MAX_REGEX: usize = 1_024;

fn checked_regex(text: &Name) -> Result<Text, Vec<Diagnostic>> {
    if text.value.len() > MAX_REGEX {
        let why = format!("a regex of {} bytes", text.value.len());
        return Err(vec![
            Diagnostic::new(Code::InvalidValue, why)
                .at(text.span, "too long")
                .help("A regex has at most 1,024 bytes: say it in several conditions, or as `prefix`, `suffix`, `contains` or `in (…)`."),
        ]);
    }
    match regex(&text.value) {
        Ok(_) => Ok(text.value.clone()),
        Err(why) => Err(vec![
            Diagnostic::new(Code::InvalidValue, format!("`{}` is not a regex of the language", text.value))
                .at(text.span, why)
                .help("A regex is ASCII and of the whole value, without flags, anchors, look-around and back-references: `re\"v[0-9]+\"`."),
        ]),
    }
}
