//! Rule 3.3: conditions on the fields of a request, in lines that grant and in lines that refuse.

use crate::regex::{self, Regex};
use crate::request::Value;
use mesh_lang::Name;
use mesh_lang::ast::{self, ValueTest};
use std::net::IpAddr;

/// What of a request is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Path,
    Host,
    /// Lower-case.
    Header(String),
    Query(String),
    Cookie(String),
    /// 1.7: the token of an issuer, and one of its claims.
    Jwt(String),
    Claim {
        issuer: String,
        path: Vec<String>,
    },
    SourceIp,
    ClientIp,
}

/// A condition, with what its line says in doubt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    test: Test,
    negated: bool,
    /// Whether the line refuses: in doubt it then holds.
    refuses: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Test {
    Present,
    OneOf(Vec<String>),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Has(String),
    Matches(Regex),
    Within(Vec<Block>),
}

/// The addresses from the first to the last, IPv4 as IPv6 (1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    first: u128,
    last: u128,
}

impl Condition {
    /// What a condition says in a line; `issuer` is the only one that the target verifies.
    pub(crate) fn of(
        written: &ast::Condition,
        refuses: bool,
        issuer: Option<&str>,
    ) -> Result<Condition, String> {
        let field = match &written.field {
            ast::Field::Header(name) => Field::Header(name.value.to_string()),
            ast::Field::Query(name) => Field::Query(name.value.to_string()),
            ast::Field::Cookie(name) => Field::Cookie(name.value.to_string()),
            ast::Field::Claim { issuer: said, path } => Field::Claim {
                issuer: said
                    .as_ref()
                    .map(|name| name.value.as_str())
                    .or(issuer)
                    .ok_or("whose claim?")?
                    .to_owned(),
                path: path.iter().map(|name| name.value.to_string()).collect(),
            },
            ast::Field::Jwt(name) => Field::Jwt(name.value.to_string()),
            ast::Field::SourceIp => Field::SourceIp,
            ast::Field::ClientIp => Field::ClientIp,
            ast::Field::Path => Field::Path,
            ast::Field::Host => Field::Host,
        };
        let one_of = |values: &[Name]| match field {
            Field::SourceIp | Field::ClientIp => values
                .iter()
                .map(|value| Block::read(&value.value))
                .collect::<Result<_, _>>()
                .map(Test::Within),
            _ => Ok(Test::OneOf(values.iter().map(|value| value.value.to_string()).collect())),
        };
        let (test, inverted) = match &written.test {
            ValueTest::Present => (Test::Present, false),
            ValueTest::Absent => (Test::Present, true),
            ValueTest::Equals(x) => (one_of(std::slice::from_ref(x))?, false),
            ValueTest::NotEquals(x) => (one_of(std::slice::from_ref(x))?, true),
            ValueTest::In(all) => (one_of(all)?, false),
            ValueTest::Prefix(x) => (Test::Prefix(x.value.to_string()), false),
            ValueTest::Suffix(x) => (Test::Suffix(x.value.to_string()), false),
            ValueTest::Contains(x) => (Test::Contains(x.value.to_string()), false),
            ValueTest::Has(x) => (Test::Has(x.value.to_string()), false),
            ValueTest::Matches(x) => {
                (Test::Matches(regex::read(&x.value).ok_or_else(|| format!("no regex: {}", x.value))?), false)
            }
        };
        Ok(Condition { field, test, negated: written.negated != inverted, refuses })
    }

    /// 3.1: a positive list is one condition for each value.
    pub(crate) fn alternatives(&self) -> Vec<Condition> {
        let with = |test: Test| Condition { test, ..self.clone() };
        match &self.test {
            Test::OneOf(values) if !self.negated => {
                values.iter().map(|value| with(Test::OneOf(vec![value.clone()]))).collect()
            }
            Test::Within(blocks) if !self.negated => {
                blocks.iter().map(|block| with(Test::Within(vec![*block]))).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// 3.3
    pub(crate) fn holds(&self, value: &Value) -> bool {
        match (&self.test, value) {
            // (a)
            (Test::Present, value) => (*value != Value::Absent) != self.negated,
            // (c), and the last sentence of (f)
            (_, Value::Absent) => self.negated && self.refuses,
            // (g)
            (_, Value::Odd) => self.refuses,
            // (d)
            (_, Value::Single(text)) => self.passes(text) != self.negated,
            (_, Value::Address(address)) => self.is_within(*address) != self.negated,
            // (f)
            (Test::Has(x), Value::Many(items)) => {
                items.iter().any(|item| item == x.as_bytes()) != self.negated
            }
            // (e)
            (_, Value::Many(items)) => {
                self.refuses && items.iter().any(|item| self.passes(item) != self.negated)
            }
        }
    }

    /// (b) and (f): the test of one value.
    fn passes(&self, text: &[u8]) -> bool {
        match &self.test {
            Test::OneOf(all) => all.iter().any(|x| text == x.as_bytes()),
            Test::Prefix(x) => text.starts_with(x.as_bytes()),
            Test::Suffix(x) => text.ends_with(x.as_bytes()),
            Test::Contains(x) => (0..=text.len()).any(|place| text[place..].starts_with(x.as_bytes())),
            Test::Has(x) => {
                let is_claim = matches!(self.field, Field::Claim { .. });
                text == x.as_bytes()
                    || is_claim && text.split(|byte| *byte == b' ').any(|piece| piece == x.as_bytes())
            }
            Test::Matches(regex) => regex.is_all_of(text),
            Test::Present | Test::Within(_) => false,
        }
    }

    fn is_within(&self, address: u128) -> bool {
        match &self.test {
            Test::Within(blocks) => blocks.iter().any(|block| (block.first..=block.last).contains(&address)),
            _ => false,
        }
    }

    /// The texts for which [`Condition::passes`], as a regex; what it asks of one item of several where that is another.
    pub(crate) fn texts(&self) -> Vec<Regex> {
        let all = Regex::all;
        match &self.test {
            Test::OneOf(values) => values.iter().map(|x| Regex::text(x)).collect(),
            Test::Prefix(x) => vec![Regex::text(x).then(all())],
            Test::Suffix(x) => vec![all().then(Regex::text(x))],
            Test::Contains(x) => vec![all().then(Regex::text(x)).then(all())],
            Test::Matches(regex) => vec![regex.clone()],
            Test::Has(x) => {
                let before = all().then(Regex::text(" ")).optional();
                let after = Regex::text(" ").then(all()).optional();
                vec![Regex::text(x), before.then(Regex::text(x)).then(after)]
            }
            Test::Present | Test::Within(_) => vec![],
        }
    }

    /// Addresses at which the answer may change.
    pub(crate) fn edges(&self) -> Vec<u128> {
        match &self.test {
            Test::Within(blocks) => blocks
                .iter()
                .flat_map(|block| [Some(block.first), block.last.checked_add(1)])
                .flatten()
                .collect(),
            _ => vec![],
        }
    }
}

impl Block {
    /// `10.0.0.0/8`, or one address.
    fn read(text: &str) -> Result<Block, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, length.parse::<u32>().ok()),
            None => (text, Some(128)),
        };
        let ip = address.parse::<IpAddr>().map_err(|_| format!("no address: {text}"))?;
        let shift = if ip.is_ipv4() && text.contains('/') { 96 } else { 0 };
        let length = length.ok_or_else(|| format!("no length: {text}"))? + shift;
        let free = u128::MAX.checked_shr(length).unwrap_or(0);
        let first = crate::request::number(ip);
        Ok(Block { first, last: first | free })
    }
}
