//! Regexes of rule 3.3 (b), by their derivatives (Brzozowski 1964): what is left of a regex behind one byte.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A set of texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Regex {
    /// One byte out of these; out of none: no text at all.
    Byte(Bytes),
    /// The empty text alone.
    Empty,
    Then(Rc<Regex>, Rc<Regex>),
    Or(BTreeSet<Regex>),
    And(BTreeSet<Regex>),
    Not(Rc<Regex>),
    Star(Rc<Regex>),
}

/// A set of bytes: bit b of the two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes([u128; 2]);

impl Bytes {
    const NONE: Bytes = Bytes([0, 0]);
    pub(crate) const ALL: Bytes = Bytes([u128::MAX, u128::MAX]);

    pub(crate) fn of(bytes: impl IntoIterator<Item = u8>) -> Bytes {
        let mut set = Bytes::NONE;
        for byte in bytes {
            set.0[usize::from(byte >> 7)] |= 1 << (byte & 127);
        }
        set
    }

    pub(crate) fn has(self, byte: u8) -> bool {
        self.0[usize::from(byte >> 7)] >> (byte & 127) & 1 == 1
    }

    pub(crate) fn and(self, other: Bytes) -> Bytes {
        Bytes([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }

    pub(crate) fn or(self, other: Bytes) -> Bytes {
        Bytes([self.0[0] | other.0[0], self.0[1] | other.0[1]])
    }

    pub(crate) fn not(self) -> Bytes {
        Bytes([!self.0[0], !self.0[1]])
    }
}

impl Regex {
    pub(crate) fn none() -> Regex {
        Regex::Byte(Bytes::NONE)
    }

    /// Every text.
    pub(crate) fn all() -> Regex {
        Regex::Byte(Bytes::ALL).star()
    }

    /// Exactly this text.
    pub(crate) fn text(text: &str) -> Regex {
        text.bytes().rev().fold(Regex::Empty, |rest, byte| Regex::Byte(Bytes::of([byte])).then(rest))
    }

    pub(crate) fn then(self, next: Regex) -> Regex {
        match (self, next) {
            (first, _) if first == Regex::none() => first,
            (_, next) if next == Regex::none() => next,
            (Regex::Empty, next) => next,
            (first, Regex::Empty) => first,
            (Regex::Then(first, second), next) => {
                Regex::Then(first, Rc::new(Rc::unwrap_or_clone(second).then(next)))
            }
            (first, next) => Regex::Then(Rc::new(first), Rc::new(next)),
        }
    }

    pub(crate) fn or(self, other: Regex) -> Regex {
        let mut parts = BTreeSet::new();
        for side in [self, other] {
            match side {
                Regex::Or(sides) => parts.extend(sides),
                side => _ = parts.insert(side),
            }
        }
        parts.remove(&Regex::none());
        if parts.contains(&Regex::all()) {
            return Regex::all();
        }
        if parts.len() > 1 { Regex::Or(parts) } else { parts.pop_first().unwrap_or(Regex::none()) }
    }

    pub(crate) fn and(self, other: Regex) -> Regex {
        let mut parts = BTreeSet::new();
        for side in [self, other] {
            match side {
                Regex::And(sides) => parts.extend(sides),
                side => _ = parts.insert(side),
            }
        }
        parts.remove(&Regex::all());
        if parts.contains(&Regex::none()) {
            return Regex::none();
        }
        if parts.len() > 1 { Regex::And(parts) } else { parts.pop_first().unwrap_or(Regex::all()) }
    }

    pub(crate) fn not(self) -> Regex {
        match self {
            Regex::Not(inner) => Rc::unwrap_or_clone(inner),
            all if all == Regex::all() => Regex::none(),
            none if none == Regex::none() => Regex::all(),
            other => Regex::Not(Rc::new(other)),
        }
    }

    pub(crate) fn star(self) -> Regex {
        match self {
            Regex::Empty | Regex::Star(_) => self,
            none if none == Regex::none() => Regex::Empty,
            other => Regex::Star(Rc::new(other)),
        }
    }

    /// At least once.
    pub(crate) fn plus(self) -> Regex {
        self.clone().then(self.star())
    }

    pub(crate) fn optional(self) -> Regex {
        self.or(Regex::Empty)
    }

    /// Whether the empty text is in it.
    fn has_empty(&self) -> bool {
        match self {
            Regex::Byte(_) => false,
            Regex::Empty | Regex::Star(_) => true,
            Regex::Then(first, second) => first.has_empty() && second.has_empty(),
            Regex::Or(parts) => parts.iter().any(Regex::has_empty),
            Regex::And(parts) => parts.iter().all(Regex::has_empty),
            Regex::Not(inner) => !inner.has_empty(),
        }
    }

    /// What may follow this byte.
    fn after(&self, byte: u8) -> Regex {
        match self {
            Regex::Byte(set) if set.has(byte) => Regex::Empty,
            Regex::Byte(_) | Regex::Empty => Regex::none(),
            Regex::Then(first, second) => {
                let inside = first.after(byte).then((**second).clone());
                if first.has_empty() { inside.or(second.after(byte)) } else { inside }
            }
            Regex::Or(parts) => parts.iter().fold(Regex::none(), |all, part| all.or(part.after(byte))),
            Regex::And(parts) => parts.iter().fold(Regex::all(), |all, part| all.and(part.after(byte))),
            Regex::Not(inner) => inner.after(byte).not(),
            Regex::Star(inner) => inner.after(byte).then(self.clone()),
        }
    }

    /// Whether all of a text is in it.
    pub(crate) fn is_all_of(&self, text: &[u8]) -> bool {
        text.iter().fold(self.clone(), |left, byte| left.after(*byte)).has_empty()
    }

    /// Whether it ever asks for one of these bytes and not for the other.
    pub(crate) fn tells_apart(&self, one: u8, other: u8) -> bool {
        let mut sets = BTreeSet::new();
        self.sets(&mut sets);
        sets.iter().any(|set| set.has(one) != set.has(other))
    }

    fn sets(&self, found: &mut BTreeSet<Bytes>) {
        match self {
            Regex::Byte(set) => _ = found.insert(*set),
            Regex::Empty => {}
            Regex::Then(first, second) => {
                first.sets(found);
                second.sets(found);
            }
            Regex::Or(parts) | Regex::And(parts) => parts.iter().for_each(|part| part.sets(found)),
            Regex::Not(inner) | Regex::Star(inner) => inner.sets(found),
        }
    }
}

/// A text in `bounds` for every combination of answers that the regexes can give of one. Follows all of them through all
/// bytes that they can tell apart, until nothing new comes up.
pub(crate) fn samples(bounds: &Regex, regexes: &[Regex]) -> Vec<Vec<u8>> {
    let mut sets = BTreeSet::new();
    [bounds].into_iter().chain(regexes).for_each(|regex| regex.sets(&mut sets));
    let kind = |byte: u8| sets.iter().map(|set| set.has(byte)).collect::<Vec<bool>>();
    let readable = (b'a'..=b'z').rev().chain(b'0'..=b'9').chain(b'!'..=b'~').chain(0..=u8::MAX);
    let mut bytes: Vec<u8> = Vec::new();
    let mut kinds = BTreeSet::new();
    for byte in readable {
        if kinds.insert(kind(byte)) {
            bytes.push(byte);
        }
    }
    let machines: Vec<Machine> =
        [bounds].into_iter().chain(regexes).map(|r| Machine::of(r, &bytes)).collect();
    let mut seen: BTreeSet<Vec<usize>> = BTreeSet::from([vec![0; machines.len()]]);
    let mut found: BTreeMap<Vec<bool>, Vec<u8>> = BTreeMap::new();
    let mut open = vec![(vec![0; machines.len()], Vec::new())];
    while !open.is_empty() {
        let mut longer = Vec::new();
        for (states, text) in open {
            let answers: Vec<bool> =
                machines.iter().zip(&states).map(|(machine, state)| machine.accepts[*state]).collect();
            if answers[0] {
                found.entry(answers).or_insert_with(|| text.clone());
            }
            for (index, byte) in bytes.iter().enumerate() {
                let next: Vec<usize> = machines
                    .iter()
                    .zip(&states)
                    .map(|(machine, state)| machine.next[*state][index])
                    .collect();
                let is_lost = machines[0].is_dead[next[0]];
                if !is_lost && seen.insert(next.clone()) {
                    longer.push((next, [text.as_slice(), &[*byte]].concat()));
                }
            }
        }
        open = longer;
    }
    found.into_values().collect()
}

/// A regex with all its derivatives worked out.
struct Machine {
    /// By state and byte.
    next: Vec<Vec<usize>>,
    accepts: Vec<bool>,
    /// Nothing can be accepted any more.
    is_dead: Vec<bool>,
}

impl Machine {
    fn of(regex: &Regex, bytes: &[u8]) -> Machine {
        let mut states = vec![regex.clone()];
        let mut places = BTreeMap::from([(regex.clone(), 0)]);
        let mut next: Vec<Vec<usize>> = Vec::new();
        while let Some(state) = states.get(next.len()).cloned() {
            let mut row = Vec::new();
            for byte in bytes {
                let after = state.after(*byte);
                let place = *places.entry(after.clone()).or_insert(states.len());
                if place == states.len() {
                    states.push(after);
                }
                row.push(place);
            }
            next.push(row);
        }
        let is_dead = states.iter().map(|state| *state == Regex::none()).collect();
        Machine { next, accepts: states.iter().map(Regex::has_empty).collect(), is_dead }
    }
}

/// Reads a regex of the language: ASCII, of the whole text, `.` any byte. `None`: it is none.
pub(crate) fn read(text: &str) -> Option<Regex> {
    let mut left = text.as_bytes();
    let regex = alternatives(&mut left)?;
    left.is_empty().then_some(regex)
}

fn alternatives(left: &mut &[u8]) -> Option<Regex> {
    let mut all = sequence(left)?;
    while let Some(rest) = left.strip_prefix(b"|") {
        *left = rest;
        all = all.or(sequence(left)?);
    }
    Some(all)
}

fn sequence(left: &mut &[u8]) -> Option<Regex> {
    let mut all = Regex::Empty;
    while !matches!(left.first(), None | Some(b'|' | b')')) {
        all = all.then(repeated(left)?);
    }
    Some(all)
}

fn repeated(left: &mut &[u8]) -> Option<Regex> {
    let mut one = single(left)?;
    loop {
        let (least, most) = match left.first() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => counts(left)?,
            _ => return Some(one),
        };
        *left = &left[1..];
        // Which way is tried first makes no difference to the whole.
        if let Some(rest) = left.strip_prefix(b"?") {
            *left = rest;
        }
        let mut all = Regex::Empty;
        for _ in 0..least {
            all = all.then(one.clone());
        }
        one = match most {
            None => all.then(one.star()),
            Some(most) => {
                let extra = (least..most).fold(Regex::Empty, |rest, _| one.clone().then(rest).optional());
                all.then(extra)
            }
        };
    }
}

/// `{2}`, `{2,}` or `{2,3}`, up to the closing brace.
fn counts(left: &mut &[u8]) -> Option<(u32, Option<u32>)> {
    let end = left.iter().position(|byte| *byte == b'}')?;
    let inside = std::str::from_utf8(&left[1..end]).ok()?;
    *left = &left[end..];
    match inside.split_once(',') {
        None => inside.parse().ok().map(|count| (count, Some(count))),
        Some((least, "")) => least.parse().ok().map(|least| (least, None)),
        Some((least, most)) => Some((least.parse().ok()?, Some(most.parse().ok()?))),
    }
}

fn single(left: &mut &[u8]) -> Option<Regex> {
    let (first, rest) = left.split_first()?;
    *left = rest;
    match first {
        b'.' => Some(Regex::Byte(Bytes::ALL)),
        b'(' => {
            if let Some(rest) = left.strip_prefix(b"?:") {
                *left = rest;
            }
            let inside = alternatives(left)?;
            *left = left.strip_prefix(b")")?;
            Some(inside)
        }
        b'[' => class(left).map(Regex::Byte),
        b'\\' => escaped(left).map(Regex::Byte),
        b'^' | b'$' | b'*' | b'+' | b'?' | b'{' => None,
        byte if byte.is_ascii() => Some(Regex::Byte(Bytes::of([*byte]))),
        _ => None,
    }
}

/// Behind a backslash.
fn escaped(left: &mut &[u8]) -> Option<Bytes> {
    let (first, rest) = left.split_first()?;
    *left = rest;
    let word = || Bytes::of((b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').chain([b'_']));
    let space = || Bytes::of(*b" \t\n\r\x0b\x0c");
    Some(match first {
        b'd' => Bytes::of(b'0'..=b'9'),
        b'D' => Bytes::of(b'0'..=b'9').not(),
        b'w' => word(),
        b'W' => word().not(),
        b's' => space(),
        b'S' => space().not(),
        b't' => Bytes::of([b'\t']),
        b'n' => Bytes::of([b'\n']),
        b'r' => Bytes::of([b'\r']),
        byte if byte.is_ascii_punctuation() => Bytes::of([*byte]),
        _ => return None,
    })
}

/// Behind `[`, up to its `]`.
fn class(left: &mut &[u8]) -> Option<Bytes> {
    let is_negated = left.first() == Some(&b'^');
    if is_negated {
        *left = &left[1..];
    }
    let mut all = Bytes::NONE;
    loop {
        let (first, rest) = left.split_first()?;
        *left = rest;
        match (first, left.first(), left.get(1)) {
            (b']', _, _) => return Some(if is_negated { all.not() } else { all }),
            (b'\\', _, _) => all = all.or(escaped(left)?),
            (low, Some(b'-'), Some(high)) if *high != b']' => {
                all = all.or(Bytes::of(*low..=*high));
                *left = &left[2..];
            }
            (byte, _, _) => all = all.or(Bytes::of([*byte])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Regex, read, samples};

    #[track_caller]
    fn check(regex: &str, inside: &[&str], outside: &[&str]) {
        let read = read(regex).expect("a regex");
        inside.iter().for_each(|text| assert!(read.is_all_of(text.as_bytes()), "{text} is {regex}"));
        outside.iter().for_each(|text| assert!(!read.is_all_of(text.as_bytes()), "{text} is not {regex}"));
    }

    #[test]
    fn a_regex_is_of_the_whole_text() {
        check("v[12]", &["v1", "v2"], &["v", "v3", "v11", "xv1"]);
        check("(a|bc)*d?", &["", "a", "bca", "aad"], &["b", "da"]);
        check("a{2,3}|[^a-y]+", &["aa", "aaa", "z!"], &["a", "aaaa", "", "y"]);
        check("\\d+\\.\\w{2,}", &["1.ab", "23.a_b"], &["1.a", ".ab", "1xab"]);
        check("(?:a?){3}.", &["x", "aaa\n", "a"], &["", "aaaab"]);
        for text in ["^a", "a$", "(a", "a)", "(?i)a", "[a", "\\pL", "*", "a{", "é"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn there_is_a_sample_for_each_combination() {
        let regexes = ["a.*", ".*b", "[ab]*"].map(|text| read(text).expect("a regex"));
        let mut answers: Vec<Vec<bool>> = samples(&Regex::all(), &regexes)
            .iter()
            .map(|text| regexes.iter().map(|regex| regex.is_all_of(text)).collect())
            .collect();
        answers.sort();
        // All but: neither begins with `a` nor ends in `b` and so on are all possible.
        assert_eq!(answers.len(), 8);
        let [a, b, _] = &regexes;
        assert_eq!(samples(&a.clone().and(b.clone()), &[]), [b"ab"]);
        assert!(samples(&a.clone().and(b.clone()).and(a.clone().not()), &[]).is_empty());
    }
}
