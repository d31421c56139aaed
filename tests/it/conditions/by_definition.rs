//! Random conditions on random requests: what the engine decides is what `spec/semantics.md` 1.3 to 1.8 and 3.3 say, value by value.

use super::{Asked, PLAIN, Subject};
use fastrand::Rng;
use mesh_engine::{Claim, ClaimValue, Token};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Decisions that are compared in all.
const DECISIONS: usize = 120_000;

/// Requests for each program.
const REQUESTS: usize = 120;

/// A value as a condition sees it.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Absent,
    Single(String),
    /// Several; of a claim also none or one.
    Many(Vec<String>),
    /// A claim of another type.
    Odd,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Header,
    Query,
    Cookie,
    Claim,
    Path,
    SourceIp,
}

const FIELDS: [Field; 6] =
    [Field::Header, Field::Query, Field::Cookie, Field::Claim, Field::Path, Field::SourceIp];

#[derive(Clone, Debug)]
enum Test {
    Present,
    Absent,
    In(Vec<String>),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Has(String),
    Matches(Regex),
    /// Address and length.
    Within(Vec<(u32, u32)>),
}

#[derive(Clone, Debug)]
struct Condition {
    field: Field,
    negated: bool,
    test: Test,
}

/// A regex, matched by sets of ends.
#[derive(Clone, Debug)]
enum Regex {
    Text(char),
    Any,
    Then(Box<Regex>, Box<Regex>),
    Or(Box<Regex>, Box<Regex>),
    Star(Box<Regex>),
}

impl Regex {
    fn drawn(rng: &mut Rng, letters: &[char], depth: usize) -> Regex {
        let sub = |rng: &mut Rng| Box::new(Regex::drawn(rng, letters, depth - 1));
        match if depth == 0 { rng.usize(..2) } else { rng.usize(..6) } {
            0 => Regex::Text(letters[rng.usize(..letters.len())]),
            1 => Regex::Any,
            2 | 3 => Regex::Then(sub(rng), sub(rng)),
            4 => Regex::Or(sub(rng), sub(rng)),
            _ => Regex::Star(sub(rng)),
        }
    }

    fn text(&self) -> String {
        match self {
            Regex::Text(c @ ('.' | '[' | ']')) => format!("\\{c}"),
            Regex::Text(c) => c.to_string(),
            Regex::Any => ".".to_owned(),
            Regex::Then(a, b) => format!("(?:{}{})", a.text(), b.text()),
            Regex::Or(a, b) => format!("({}|{})", a.text(), b.text()),
            Regex::Star(a) => format!("(?:{})*", a.text()),
        }
    }

    fn ends(&self, text: &[u8], from: usize) -> BTreeSet<usize> {
        match self {
            Regex::Text(c) => {
                text.get(from).filter(|b| **b == *c as u8).map(|_| from + 1).into_iter().collect()
            }
            Regex::Any => text.get(from).map(|_| from + 1).into_iter().collect(),
            Regex::Then(a, b) => a.ends(text, from).into_iter().flat_map(|at| b.ends(text, at)).collect(),
            Regex::Or(a, b) => a.ends(text, from).into_iter().chain(b.ends(text, from)).collect(),
            Regex::Star(a) => {
                let mut found = BTreeSet::from([from]);
                let mut open = vec![from];
                while let Some(at) = open.pop() {
                    open.extend(
                        a.ends(text, at).into_iter().filter(|end| found.insert(*end)).collect::<Vec<_>>(),
                    );
                }
                found
            }
        }
    }

    fn is_whole(&self, text: &str) -> bool {
        self.ends(text.as_bytes(), 0).contains(&text.len())
    }
}

impl Condition {
    fn drawn(rng: &mut Rng) -> Condition {
        let field = FIELDS[rng.usize(..FIELDS.len())];
        let text = |rng: &mut Rng| match field {
            Field::Path => drawn_path(rng),
            _ => drawn_text(rng, 3),
        };
        // A part of a path need not be one.
        let part = |rng: &mut Rng| match field {
            Field::Path => ["a", ".b", "a/", "/b", "/a/", "b.a"][rng.usize(..6)].to_owned(),
            _ => drawn_text(rng, 2),
        };
        let list = |rng: &mut Rng| (0..1 + rng.usize(..3)).map(|_| text(rng)).collect::<Vec<_>>();
        let begin = |rng: &mut Rng| match field {
            Field::Path => ["/", "/a", "/b.", "/a/"][rng.usize(..4)].to_owned(),
            _ => drawn_text(rng, 2),
        };
        let always = matches!(field, Field::Path);
        let letters = if always { ['a', 'b', '/', '.'] } else { ['a', 'b', ' ', '.'] };
        let test = match (field, rng.usize(..9)) {
            (Field::SourceIp, _) => {
                let block = |rng: &mut Rng| {
                    let length = rng.u32(..=4) * 8;
                    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
                    (drawn_ip(rng) & mask, length)
                };
                Test::Within((0..1 + rng.usize(..2)).map(|_| block(rng)).collect())
            }
            (_, 0) if !always => Test::Present,
            (_, 1) if !always => Test::Absent,
            (_, 2) if !always => Test::Has(text(rng)),
            (_, 3) => Test::Prefix(begin(rng)),
            (_, 4) => Test::Suffix(part(rng)),
            (_, 5) => Test::Contains(part(rng)),
            (_, 6) => Test::Matches(Regex::drawn(rng, &letters, 3)),
            _ => Test::In(list(rng)),
        };
        Condition { field, negated: rng.bool(), test }
    }

    fn text(&self) -> String {
        let field = match self.field {
            Field::Header => "header \"x-kind\"",
            Field::Query => "query \"k\"",
            Field::Cookie => "cookie \"k\"",
            Field::Claim => "claim sso \"k\"",
            Field::Path => "path",
            Field::SourceIp => "source-ip",
        };
        let listed =
            |all: Vec<String>| all.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(", ");
        let test = match &self.test {
            Test::Present => "present".to_owned(),
            Test::Absent => "absent".to_owned(),
            Test::In(all) => match all.as_slice() {
                [one] => format!("= \"{one}\""),
                _ => format!("in ({})", listed(all.clone())),
            },
            Test::Prefix(text) => format!("prefix \"{text}\""),
            Test::Suffix(text) => format!("suffix \"{text}\""),
            Test::Contains(text) => format!("contains \"{text}\""),
            Test::Has(text) => format!("has \"{text}\""),
            Test::Matches(regex) => format!("matches re\"{}\"", regex.text()),
            Test::Within(blocks) => {
                let block =
                    |(first, length): &(u32, u32)| format!("{}/{length}", std::net::Ipv4Addr::from(*first));
                format!("in ({})", listed(blocks.iter().map(block).collect()))
            }
        };
        format!("{}{field} {test}", if self.negated { "not " } else { "" })
    }

    /// 3.3, for one value.
    fn one_passes(&self, value: &str) -> bool {
        match &self.test {
            Test::Present => true,
            Test::Absent => false,
            Test::In(all) => all.iter().any(|one| one == value),
            Test::Prefix(text) => value.starts_with(text.as_str()),
            Test::Suffix(text) => value.ends_with(text.as_str()),
            Test::Contains(text) => value.contains(text.as_str()),
            Test::Has(text) if self.field == Field::Claim => {
                value.split(' ').any(|token| token == text) || value == text
            }
            Test::Has(text) => value == text,
            Test::Matches(regex) => regex.is_whole(value),
            Test::Within(blocks) => {
                let IpAddr::V4(ip) = value.parse().unwrap() else { return false };
                let ip = u32::from(ip);
                blocks
                    .iter()
                    .any(|(first, length)| ip & u32::MAX.checked_shl(32 - length).unwrap_or(0) == *first)
            }
        }
    }

    /// 3.3: whether it holds, in a refusal if `wide`.
    fn holds(&self, value: &Value, wide: bool) -> bool {
        let is_present = *value != Value::Absent;
        match (&self.test, value) {
            (Test::Present, _) => is_present != self.negated,
            (Test::Absent, _) => is_present == self.negated,
            (_, Value::Absent) => self.negated && wide,
            (_, Value::Odd) => wide,
            (_, Value::Single(value)) => self.one_passes(value) != self.negated,
            (Test::Has(text), Value::Many(items)) => items.contains(text) != self.negated,
            (_, Value::Many(items)) => wide && items.iter().any(|item| self.one_passes(item) != self.negated),
        }
    }
}

/// Short, without blanks around: what every field can hold.
fn drawn_text(rng: &mut Rng, most: usize) -> String {
    let letters = ["a", "b", "a", "b", ".", "a b"];
    (0..rng.usize(..=most)).map(|_| letters[rng.usize(..letters.len())]).collect()
}

fn drawn_path(rng: &mut Rng) -> String {
    let segment = ["a", "b", "a.b", "b.a", "ab"];
    let last = ["a", "b", "a.b", "", "x"];
    let inner: String =
        (0..rng.usize(..3)).map(|_| format!("/{}", segment[rng.usize(..segment.len())])).collect();
    format!("{inner}/{}", last[rng.usize(..last.len())])
}

fn drawn_ip(rng: &mut Rng) -> u32 {
    u32::from_be_bytes([10 + rng.u8(..2), rng.u8(..2) * 255, rng.u8(..2), rng.u8(..2)])
}

fn drawn_value(rng: &mut Rng, field: Field) -> Value {
    match field {
        Field::Path => Value::Single(drawn_path(rng)),
        Field::SourceIp => Value::Single(std::net::Ipv4Addr::from(drawn_ip(rng)).to_string()),
        _ => match rng.usize(..8) {
            0 => Value::Absent,
            1..=4 => Value::Single(drawn_text(rng, 3)),
            5 if field == Field::Claim => Value::Odd,
            _ => {
                let least = if field == Field::Claim { 0 } else { 2 };
                // Empty items of a list field are none.
                let item = |rng: &mut Rng| match drawn_text(rng, 2) {
                    empty if empty.is_empty() && field == Field::Header => "a".to_owned(),
                    text => text,
                };
                Value::Many((0..least + rng.usize(..3)).map(|_| item(rng)).collect())
            }
        },
    }
}

/// `allow` and `deny` lines, each with the conditions that all have to hold.
struct Program {
    lines: Vec<(bool, Vec<Condition>)>,
}

impl Program {
    fn drawn(rng: &mut Rng) -> Program {
        let line =
            |rng: &mut Rng| (rng.bool(), (0..1 + rng.usize(..2)).map(|_| Condition::drawn(rng)).collect());
        Program { lines: (0..1 + rng.usize(..3)).map(|_| line(rng)).collect() }
    }

    /// Many lines that ask one field for the values of a list.
    fn of_a_list(rng: &mut Rng) -> Program {
        let field = [Field::Header, Field::Query, Field::Cookie, Field::Claim][rng.usize(..4)];
        let line = |rng: &mut Rng| {
            let text = |rng: &mut Rng| drawn_text(rng, 2);
            let test = match rng.usize(..10) {
                0 => Test::Present,
                1 => Test::Absent,
                2..=4 if field != Field::Claim => {
                    Test::In((0..1 + rng.usize(..2)).map(|_| text(rng)).collect())
                }
                _ => Test::Has(text(rng)),
            };
            let listed = matches!(test, Test::In(_));
            (!listed && rng.bool(), vec![Condition { field, negated: !listed && rng.usize(..4) == 0, test }])
        };
        Program { lines: (0..2 + rng.usize(..10)).map(|_| line(rng)).collect() }
    }

    fn text(&self) -> String {
        let line = |(allow, conditions): &(bool, Vec<Condition>)| {
            let all: Vec<String> = conditions.iter().map(Condition::text).collect();
            let effect = if *allow { "allow from anyone" } else { "deny" };
            format!("{effect} when {}\n", all.join(" and "))
        };
        self.lines.iter().map(line).collect()
    }

    /// 4.1
    fn allows(&self, value: &impl Fn(Field) -> Value) -> bool {
        let any = |effect: bool| {
            let mut lines = self.lines.iter().filter(|(allow, _)| *allow == effect);
            lines.any(|(_, all)| all.iter().all(|one| one.holds(&value(one.field), !effect)))
        };
        any(true) && !any(false)
    }
}

#[test]
fn decisions_are_as_the_rules_say_value_by_value() {
    let mut rng = Rng::with_seed(7);
    let (mut compared, mut allowed, mut refused_programs) = (0, 0, 0);
    while compared < DECISIONS {
        let program = if rng.bool() { Program::drawn(&mut rng) } else { Program::of_a_list(&mut rng) };
        let Some(subject) = Subject::try_new("rule r { match GET\nrespond 200 }", &program.text()) else {
            refused_programs += 1;
            continue;
        };
        for _ in 0..REQUESTS {
            let values = FIELDS.map(|field| drawn_value(&mut rng, field));
            let value = |field: Field| values[field as usize].clone();
            let expected = program.allows(&value);
            let found = ask(&subject, &values);
            assert_eq!(found == 200, expected, "{}\n{values:?}", program.text());
            compared += 1;
            allowed += usize::from(expected);
        }
    }
    let share = allowed * 100 / compared;
    assert!((5..=60).contains(&share), "{share} % are allowed");
    assert!(refused_programs * 120 < compared, "{refused_programs} programs are refused");
}

/// The status of a request with these values, in the order of [`FIELDS`].
fn ask(subject: &Subject, values: &[Value; 6]) -> u16 {
    let [header, query, cookie, claim, path, source_ip] = values;
    let items = |value: &Value| match value {
        Value::Absent | Value::Odd => vec![],
        Value::Single(one) => vec![one.clone()],
        Value::Many(all) => all.clone(),
    };
    let query: Vec<String> = items(query)
        .iter()
        .map(|value| format!("k={}", value.replace(' ', "%20").replace('b', "%62")))
        .collect();
    let cookies: Vec<String> = items(cookie).iter().map(|value| format!("k={value}; z=1")).collect();
    let headers = items(header);
    let headers = headers.iter().map(|value| ("x-kind", value.as_str()));
    let headers: Vec<(&str, &str)> =
        headers.chain(cookies.iter().map(|line| ("cookie", line.as_str()))).collect();
    let list = items(claim);
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let claims = match claim {
        Value::Absent => vec![],
        Value::Single(text) => vec![ClaimValue::Text(text)],
        Value::Many(_) => vec![ClaimValue::List(&list)],
        Value::Odd => vec![ClaimValue::Other],
    };
    let claims: Vec<Claim<'_>> = claims.into_iter().map(|value| Claim { pointer: "/k", value }).collect();
    let (Value::Single(path), Value::Single(source_ip)) = (path, source_ip) else { panic!() };
    subject.status(Asked {
        path,
        query: &query.join("&"),
        headers: &headers,
        source_ip,
        tokens: &[Token { issuer: "sso", claims: &claims }],
        ..PLAIN
    })
}
