//! What many tests say of one text, as one table that reads it byte by byte.
//!
//! `regex-automata` makes a deterministic automaton of each test; what it says is kept as our own table, in which states that
//! nothing tells apart are merged, and tables are multiplied pair by pair. The product of small tables that are merged at every
//! step is far smaller on the way than one automaton of all tests (ten `contains` on one header: 27 ms instead of 18 s), the
//! engine needs no regex code, and equal tests give equal tables.

use super::merge;
use super::text::{TextTest, Universe};
use crate::bits::Bits;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::Hir;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::OnceLock;

/// More states of a table are refused (`MESH3090`): a state is named by two bytes in the plan.
pub(crate) const MAX_STATES: usize = 1 << 16;

/// More states of a product are refused before they are merged: four times as many as may be left.
const MAX_PAIRS: usize = MAX_STATES * 4;

/// What one test may take before its states are merged: 65,536 states of 32 classes of bytes are half of it.
const MAX_BYTES: usize = 16 << 20;

/// The tests need more than [`MAX_STATES`] states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyStates;

/// A table and what its states say.
#[derive(Clone, Debug)]
pub(crate) struct Automaton {
    /// For each byte its class.
    pub(crate) bytes: Vec<u8>,
    /// For each state, for each class of bytes, the next state. State 0 is the start.
    pub(crate) transitions: Vec<u16>,
    /// For each state the index of its class.
    pub(crate) accepts: Vec<u32>,
    /// What texts are told apart; the first is those that pass no test.
    pub(crate) classes: Vec<Class>,
}

/// Texts that the same tests let pass.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// The tests, by index.
    pub(crate) fits: Bits,
    /// A shortest text, of characters that a person would type where there is one; `None` where there is no such text in
    /// the universe.
    pub(crate) witness: Option<Vec<u8>>,
}

impl Automaton {
    /// The automaton of tests over the texts of a universe.
    pub(crate) fn new(tests: &[TextTest], universe: Universe) -> Result<Automaton, TooManyStates> {
        Automaton::refining(tests, &[], universe)
    }

    /// The automaton that tells apart what the tests do and what the tables do.
    pub(crate) fn refining(
        tests: &[TextTest],
        tables: &[ReadBy],
        universe: Universe,
    ) -> Result<Automaton, TooManyStates> {
        let mut first = tests.len() as u32;
        let bits = first + tables.iter().map(ReadBy::words).sum::<u32>();
        // Literals and prefixes are told apart by a tree, whose size is the sum of theirs: together they are one table.
        let (plain, others): (Vec<u32>, Vec<u32>) =
            (0..first).partition(|test| tests[*test as usize].is_literal());
        let alone = others.iter().map(std::slice::from_ref);
        // Without literals their table says nothing that another one does not.
        let is_needed = !plain.is_empty() || (others.is_empty() && tables.is_empty());
        let groups = is_needed.then_some(plain.as_slice()).into_iter().chain(alone);
        let everything = Table::everything(universe, bits)?;
        let inside = |table: Table| table.with(&everything)?.merged();
        let mut all = Vec::with_capacity(1 + others.len() + tables.len());
        for group in groups {
            all.push(inside(Table::new(tests, group, bits)?)?);
        }
        for table in tables {
            all.push(inside(table.table(first, bits)?)?);
            first += table.words();
        }
        Table::product(all)?.finished(universe)
    }
}

/// A table that somebody else made, such as one of a plan.
#[derive(Debug)]
pub(crate) struct ReadBy {
    /// For each byte its class.
    pub(crate) bytes: Vec<u8>,
    /// For each state, for each class of bytes, the next state. State 0 is the start.
    pub(crate) transitions: Vec<u32>,
    /// For each state what it says.
    pub(crate) says: Vec<u32>,
}

impl ReadBy {
    /// As one of ours, what it says as a bit, counted from `first`, of `bits`.
    fn table(&self, first: u32, bits: u32) -> Result<Table, TooManyStates> {
        // The first label is that nothing is said.
        let none = Bits::none(bits);
        let mut labels = vec![none.clone()];
        labels.extend((0..self.words()).map(|word| {
            let mut label = none.clone();
            label.insert(first + word);
            label
        }));
        let class_count = self.bytes.iter().max().map_or(1, |class| usize::from(*class) + 1);
        let said = self.says.iter().map(|word| word + 1).collect();
        let transitions = self.transitions.clone();
        Table { bytes: self.bytes.clone(), class_count, transitions, said, labels }.merged()
    }

    /// How many different things its states say.
    fn words(&self) -> u32 {
        self.says.iter().map(|word| word + 1).max().unwrap_or(0)
    }
}

/// A table on the way.
#[derive(Clone)]
struct Table {
    /// For each byte its class.
    bytes: Vec<u8>,
    class_count: usize,
    transitions: Vec<u32>,
    /// For each state its label; that of a state that no text of the universe ends in is [`IMPOSSIBLE`].
    said: Vec<u32>,
    /// What is said, each once; the first is that no test is passed.
    labels: Vec<Bits>,
}

/// No text of the universe ends there: it does not matter what is said of it.
const IMPOSSIBLE: u32 = u32::MAX;

impl Table {
    /// The table that says nothing of the texts of a universe, and of others that they are none; labels have so many bits. It is made
    /// once: it takes longer than the tests of most fields.
    fn everything(universe: Universe, bits: u32) -> Result<Table, TooManyStates> {
        static KNOWN: [OnceLock<Result<Table, TooManyStates>>; Universe::COUNT] =
            [const { OnceLock::new() }; Universe::COUNT];
        let make = || {
            let (must, must_not) = universe.bounds();
            Table::bounded(&[], &[], 0, &must, &must_not)
        };
        let known = KNOWN[universe as usize].get_or_init(make).clone()?;
        Ok(Table { labels: vec![Bits::none(bits)], ..known })
    }

    /// The table of some of the tests, merged, over all texts; labels have so many bits.
    fn new(tests: &[TextTest], group: &[u32], bits: u32) -> Result<Table, TooManyStates> {
        Table::bounded(tests, group, bits, &[], &[])
    }

    /// The same over the texts that have all these forms and none of those.
    fn bounded(
        tests: &[TextTest],
        group: &[u32],
        bits: u32,
        must: &[Hir],
        must_not: &[Hir],
    ) -> Result<Table, TooManyStates> {
        let mut patterns: Vec<Hir> = group.iter().map(|test| tests[*test as usize].hir()).collect();
        patterns.extend(must.iter().chain(must_not).cloned());
        let dfa = dense_of(&patterns)?;
        let begin = start::Config::new().anchored(Anchored::Yes);
        let begin = dfa.start_state(&begin).map_err(|_| TooManyStates)?;
        let bytes: Vec<u8> = (0..=u8::MAX).map(|byte| dfa.byte_classes().get(byte)).collect();
        // Classes of bytes are numbered without a gap; the class of the end comes after them.
        let mut samples: BTreeMap<u8, u8> = BTreeMap::new();
        for (class, byte) in bytes.iter().zip(0..=u8::MAX) {
            samples.entry(*class).or_insert(byte);
        }
        let none = Bits::none(bits);
        let mut labels = Labels::of(none.clone());
        let (mut transitions, mut said) = (vec![], vec![]);
        let mut numbers: HashMap<StateID, u32> = HashMap::from([(begin, 0)]);
        let mut queue = VecDeque::from([begin]);
        while let Some(state) = queue.pop_front() {
            let label = passed(&dfa, state, group, must.len()).map(|passed| {
                let mut fits = none.clone();
                passed.into_iter().for_each(|test| fits.insert(test));
                labels.index(fits)
            });
            said.push(label.unwrap_or(IMPOSSIBLE));
            for byte in samples.values() {
                let next = dfa.next_state(state, *byte);
                let fresh = numbers.len() as u32;
                transitions.push(*numbers.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    fresh
                }));
            }
        }
        let table = Table { bytes, class_count: samples.len(), transitions, said, labels: labels.all };
        table.merged()
    }

    /// All of them at once; balanced, so that each is multiplied few times.
    fn product(mut tables: Vec<Table>) -> Result<Table, TooManyStates> {
        while tables.len() > 1 {
            let mut halved = Vec::with_capacity(tables.len().div_ceil(2));
            let mut rest = tables.into_iter();
            while let Some(first) = rest.next() {
                halved.push(match rest.next() {
                    Some(second) => first.with(&second)?.merged()?,
                    None => first,
                });
            }
            tables = halved;
        }
        // There always is the one of the literals.
        tables.pop().ok_or(TooManyStates)
    }

    /// The table that says what both say.
    fn with(&self, other: &Table) -> Result<Table, TooManyStates> {
        let mut classes: BTreeMap<(u8, u8), u8> = BTreeMap::new();
        let bytes = self.bytes.iter().zip(&other.bytes).map(|(own, theirs)| {
            let fresh = classes.len() as u8;
            *classes.entry((*own, *theirs)).or_insert(fresh)
        });
        let bytes: Vec<u8> = bytes.collect();
        let mut pairs: Vec<(u8, u8)> = vec![(0, 0); classes.len()];
        for (pair, class) in &classes {
            pairs[usize::from(*class)] = *pair;
        }
        let mut labels = Labels::of(self.labels.first().cloned().unwrap_or(Bits::none(0)));
        let mut of_labels: HashMap<(u32, u32), u32> = HashMap::new();
        let (mut transitions, mut said) = (vec![], vec![]);
        let mut numbers: HashMap<(u32, u32), u32> = HashMap::from([((0, 0), 0)]);
        let mut queue = VecDeque::from([(0u32, 0u32)]);
        while let Some((own, theirs)) = queue.pop_front() {
            let both = (self.said[own as usize], other.said[theirs as usize]);
            said.push(match both {
                // What is impossible for one of them is.
                (IMPOSSIBLE, _) | (_, IMPOSSIBLE) => IMPOSSIBLE,
                _ => *of_labels.entry(both).or_insert_with(|| {
                    let mut fits = self.labels[both.0 as usize].clone();
                    fits.unite(&other.labels[both.1 as usize]);
                    labels.index(fits)
                }),
            });
            for (mine, yours) in &pairs {
                let next = (self.next(own, *mine), other.next(theirs, *yours));
                let fresh = numbers.len() as u32;
                transitions.push(*numbers.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    fresh
                }));
            }
            if numbers.len() > MAX_PAIRS {
                return Err(TooManyStates);
            }
        }
        Ok(Table { bytes, class_count: pairs.len(), transitions, said, labels: labels.all })
    }

    fn next(&self, state: u32, class: u8) -> u32 {
        self.transitions[state as usize * self.class_count + usize::from(class)]
    }

    fn row(&self, state: usize) -> &[u32] {
        &self.transitions[state * self.class_count..(state + 1) * self.class_count]
    }

    /// The smallest table that says the same, its states numbered in the order in which they are met. More tests never need
    /// fewer states.
    fn merged(self) -> Result<Table, TooManyStates> {
        let blocks = merge::blocks(&self.transitions, self.class_count, &self.said);
        let mut first_of: Vec<usize> = Vec::new();
        for (state, block) in blocks.iter().enumerate() {
            if *block as usize == first_of.len() {
                first_of.push(state);
            }
        }
        if first_of.len() > MAX_STATES {
            return Err(TooManyStates);
        }
        // Bytes that lead to the same place from every state become one class.
        let mut seen: HashMap<Vec<u32>, u8> = HashMap::new();
        let mut columns = Vec::new();
        let of_old: Vec<u8> = (0..self.class_count)
            .map(|old| {
                let leads = first_of.iter().map(|state| blocks[self.row(*state)[old] as usize]);
                let fresh = columns.len() as u8;
                *seen.entry(leads.collect()).or_insert_with(|| {
                    columns.push(old);
                    fresh
                })
            })
            .collect();
        let leads = first_of
            .iter()
            .flat_map(|state| columns.iter().map(|column| blocks[self.row(*state)[*column] as usize]));
        Ok(Table {
            transitions: leads.collect(),
            bytes: self.bytes.iter().map(|old| of_old[usize::from(*old)]).collect(),
            class_count: columns.len(),
            said: first_of.iter().map(|state| self.said[*state]).collect(),
            labels: self.labels,
        })
    }

    fn finished(mut self, universe: Universe) -> Result<Automaton, TooManyStates> {
        let witnesses = self.witnesses(universe);
        // What is said of impossible texts does not matter: as if they passed no test.
        self.said.iter_mut().filter(|label| **label == IMPOSSIBLE).for_each(|label| *label = 0);
        let Table { bytes, transitions, said, labels, .. } = self.merged()?;
        let classes = labels.into_iter().zip(witnesses).map(|(fits, witness)| Class { fits, witness });
        Ok(Automaton {
            bytes,
            transitions: transitions.into_iter().map(|next| next as u16).collect(),
            accepts: said,
            classes: classes.collect(),
        })
    }

    /// For each label a shortest text: breadth first, and of equally long ones the one that is most natural.
    fn witnesses(&self, universe: Universe) -> Vec<Option<Vec<u8>>> {
        let mut found: Vec<Option<Vec<u8>>> = vec![None; self.labels.len()];
        let mut came: Vec<Option<(u32, u8)>> = vec![None; self.said.len()];
        let mut queue = VecDeque::from([0u32]);
        let mut seen = vec![false; self.said.len()];
        seen[0] = true;
        let order = universe.natural_bytes(&self.bytes);
        while let Some(state) = queue.pop_front() {
            let label = self.said[state as usize];
            if label != IMPOSSIBLE && found[label as usize].is_none() {
                let mut text = Vec::new();
                let mut at = state;
                while let Some((before, byte)) = came[at as usize] {
                    text.push(byte);
                    at = before;
                }
                text.reverse();
                found[label as usize] = Some(text);
            }
            for byte in &order {
                let next = self.next(state, self.bytes[usize::from(*byte)]);
                if !std::mem::replace(&mut seen[next as usize], true) {
                    came[next as usize] = Some((state, *byte));
                    queue.push_back(next);
                }
            }
        }
        found
    }
}

/// Sets of tests, each once, in the order in which they are met.
struct Labels {
    all: Vec<Bits>,
    known: BTreeMap<Bits, u32>,
}

impl Labels {
    fn of(first: Bits) -> Labels {
        Labels { known: BTreeMap::from([(first.clone(), 0)]), all: vec![first] }
    }

    fn index(&mut self, label: Bits) -> u32 {
        let fresh = self.all.len() as u32;
        *self.known.entry(label.clone()).or_insert_with(|| {
            self.all.push(label);
            fresh
        })
    }
}

/// The tests that a text passes which ends in a state; `None` where no text of the universe ends there. Behind the tests
/// of the group stand the forms that it must have, then those that it must not have.
fn passed(dfa: &dense::DFA<Vec<u32>>, state: StateID, group: &[u32], must: usize) -> Option<Vec<u32>> {
    let end = dfa.next_eoi_state(state);
    let count = if dfa.is_match_state(end) { dfa.match_len(end) } else { 0 };
    let (mut passed, mut kept) = (vec![], 0);
    for pattern in (0..count).map(|index| dfa.match_pattern(end, index).as_usize()) {
        match group.get(pattern) {
            Some(test) => passed.push(*test),
            None if pattern < group.len() + must => kept += 1,
            None => return None,
        }
    }
    (kept == must).then_some(passed)
}

fn dense_of(patterns: &[Hir]) -> Result<dense::DFA<Vec<u32>>, TooManyStates> {
    let config = thompson::Config::new()
        .utf8(false)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(MAX_BYTES));
    let nfa = thompson::Compiler::new().configure(config).build_many_from_hir(patterns);
    let nfa = nfa.map_err(|_| TooManyStates)?;
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(MAX_BYTES))
        .determinize_size_limit(Some(MAX_BYTES));
    dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|_| TooManyStates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_lang::ast::{PathPattern, Segment};

    /// A generator of numbers that is the same everywhere.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, below: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % below
        }

        fn text(&mut self, letters: &[&str], most: usize) -> String {
            (0..self.roll(most + 1)).map(|_| letters[self.roll(letters.len())]).collect()
        }
    }

    /// All texts of at most so many of these letters.
    fn texts(letters: &[&str], most: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut first = 0;
        for _ in 0..most {
            let last = all.len();
            for at in first..last {
                letters.iter().for_each(|letter| all.push(format!("{}{letter}", all[at])));
            }
            first = last;
        }
        all
    }

    /// By definition.
    fn holds(test: &TextTest, text: &str) -> bool {
        match test {
            TextTest::OneOf(all) => all.iter().any(|one| one == text),
            TextTest::Prefix(part) => text.starts_with(part.as_str()),
            TextTest::Suffix(part) => text.ends_with(part.as_str()),
            TextTest::Contains(part) => text.contains(part.as_str()),
            TextTest::Token(part) => text == part || text.split(' ').any(|token| token == part),
            TextTest::Matches(regex) => match regex.as_str() {
                "a.*b" => text.len() > 1 && text.starts_with('a') && text.ends_with('b'),
                "(ab)*" => text.replace("ab", "").is_empty(),
                _ => text.bytes().all(|byte| byte == b'a') && text.len().is_multiple_of(3),
            },
            TextTest::Path(pattern) => fits(pattern, text),
        }
    }

    fn fits(pattern: &PathPattern, path: &str) -> bool {
        let own: Vec<&str> = path.split('/').skip(1).collect();
        let long_enough = match pattern.subtree {
            true => own.len() >= pattern.segments.len(),
            false => own.len() == pattern.segments.len(),
        };
        long_enough
            && pattern.segments.iter().zip(own).all(|(wanted, own)| match wanted {
                Segment::Literal(text) => text == own,
                Segment::Any(_) => !own.is_empty(),
                Segment::AnyWithSuffix { suffix, .. } => {
                    own.len() > suffix.len() && own.ends_with(suffix.as_str())
                }
            })
    }

    fn is_in(universe: Universe, text: &str) -> bool {
        let trimmed = text.trim_matches([' ', '\t']) == text;
        let mut quoted = false;
        let mut escaped = false;
        let commas = text.bytes().any(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                _ => {}
            }
            byte == b',' && !quoted
        });
        match universe {
            Universe::HeaderItem => trimmed && !commas,
            Universe::HeaderLine => trimmed,
            Universe::Cookie => trimmed && !text.contains(';'),
            Universe::Query | Universe::Claim => true,
            Universe::Path => {
                let segments: Vec<&str> = text.split('/').collect();
                let inner = &segments[1..segments.len().max(2) - 1];
                text.starts_with('/')
                    && !text.contains("%25%2E")
                    && inner.iter().all(|segment| !segment.is_empty())
                    && segments.iter().all(|segment| !matches!(*segment, "." | ".."))
            }
            Universe::Host => !text.is_empty() && text.split('.').all(|label| !label.is_empty()),
        }
    }

    impl Automaton {
        fn class_of(&self, text: &str) -> usize {
            let columns = self.transitions.len() / self.accepts.len();
            let step = |state: usize, byte: u8| {
                self.transitions[state * columns + usize::from(self.bytes[usize::from(byte)])] as usize
            };
            self.accepts[text.bytes().fold(0, step)] as usize
        }
    }

    /// Every text of the universe is in the class that its tests say, and every class that has a text shows one.
    fn check(tests: &[TextTest], universe: Universe, texts: &[String]) -> usize {
        let automaton = Automaton::new(tests, universe).expect("few states");
        let fits =
            |text: &str| Bits::such_that(tests.len() as u32, |test| holds(&tests[test as usize], text));
        let possible: Vec<&String> = texts.iter().filter(|text| is_in(universe, text)).collect();
        for text in &possible {
            let class = &automaton.classes[automaton.class_of(text)];
            assert_eq!(class.fits, fits(text), "{text:?} {universe:?} {tests:?}");
            let shown = class.witness.as_ref().expect("it has a text");
            assert!(shown.len() <= text.len(), "{shown:?} is no shortest text like {text:?}");
        }
        for (class, number) in automaton.classes.iter().zip(0..) {
            let Some(witness) = &class.witness else { continue };
            let witness = std::str::from_utf8(witness).expect("letters");
            assert!(is_in(universe, witness), "{witness:?} {universe:?}");
            assert_eq!(automaton.class_of(witness), number, "{witness:?} {tests:?}");
        }
        possible.len()
    }

    #[test]
    fn every_text_is_in_the_class_that_its_tests_say() {
        let letters = ["a", "b", " ", ",", "\"", "\\", "."];
        let all = texts(&letters, 4);
        let mut dice = Dice(1);
        let mut cases = 0;
        for universe in
            [Universe::HeaderItem, Universe::HeaderLine, Universe::Cookie, Universe::Query, Universe::Claim]
        {
            for _ in 0..30 {
                let mut tests: Vec<TextTest> = (0..1 + dice.roll(5))
                    .map(|_| match dice.roll(7) {
                        0 => TextTest::OneOf((0..1 + dice.roll(3)).map(|_| dice.text(&letters, 3)).collect()),
                        1 => TextTest::Prefix(dice.text(&letters, 2)),
                        2 => TextTest::Suffix(dice.text(&letters, 2)),
                        3 => TextTest::Contains(dice.text(&letters, 2)),
                        4 => TextTest::Token(dice.text(&letters, 2)),
                        _ => TextTest::Matches(["a.*b", "(ab)*", "(aaa)*"][dice.roll(3)].to_owned()),
                    })
                    .collect();
                tests.sort();
                tests.dedup();
                cases += check(&tests, universe, &all);
            }
        }
        assert!(cases > 100_000, "{cases}");
    }

    #[test]
    fn every_path_is_in_the_class_that_its_patterns_say() {
        let all = texts(&["/", "a", "b", ".a"], 7);
        let mut dice = Dice(2);
        let mut cases = 0;
        for _ in 0..40 {
            let segment = |dice: &mut Dice| match dice.roll(5) {
                0 | 1 => Segment::Literal(["a", "b", "a.a"][dice.roll(3)].into()),
                2 => Segment::Any(mesh_lang::Text::default()),
                _ => Segment::AnyWithSuffix {
                    name: mesh_lang::Text::default(),
                    suffix: [".a", ".ab"][dice.roll(2)].into(),
                },
            };
            let mut tests: Vec<TextTest> = (0..1 + dice.roll(5))
                .map(|_| match dice.roll(8) {
                    0 => TextTest::Suffix(["a", "/", ".a"][dice.roll(3)].to_owned()),
                    1 => TextTest::Contains(["ab", "a/b"][dice.roll(2)].to_owned()),
                    2 => TextTest::Prefix(["/a", "/a/"][dice.roll(2)].to_owned()),
                    _ => TextTest::Path(PathPattern {
                        segments: (0..dice.roll(4)).map(|_| segment(&mut dice)).collect(),
                        subtree: dice.roll(2) == 0,
                    }),
                })
                // A path has a segment, so no pattern is without one unless it is `/**`.
                .filter(|test| !matches!(test, TextTest::Path(pattern) if pattern.segments.is_empty() && !pattern.subtree))
                .collect();
            tests.sort();
            tests.dedup();
            cases += check(&tests, Universe::Path, &all);
        }
        assert!(cases > 100_000, "{cases}");
    }

    #[test]
    fn the_forms_of_paths_and_hosts_are_those_of_the_canonical_request() {
        let possible = |universe: Universe, text: &str| {
            let exactly = TextTest::OneOf(vec![text.to_owned()]);
            let automaton = Automaton::new(&[exactly], universe).expect("few states");
            automaton.classes.get(1).is_some_and(|class| class.witness.is_some())
        };
        for path in
            ["/", "/a", "/a/", "/a/b.", "/...", "/%25", "/%3B", "/%C3%A9", "/%2525", "/!$&'()*+,-.:=@[]_~"]
        {
            assert!(possible(Universe::Path, path), "{path}");
        }
        for path in [
            "", "a", "//", "/a//b", "/.", "/..", "/a/./b", "/a/..", "/a b", "/;", "/?", "/#", "/%", "/%2",
            "/%2f", "/%2F", "/%5C", "/%00", "/%7F", "/%41", "/%7E", "/%c3", "/%252E", "/%252f", "/%2500",
            "/{", "/\"", "/é",
        ] {
            assert!(!possible(Universe::Path, path), "{path}");
        }
        for host in ["a", "a.b-c_d", "10.0.0.1", "[::1]"] {
            assert!(possible(Universe::Host, host), "{host}");
        }
        for host in ["", "A", "a..b", ".a", "a.", "a b", "a:80"] {
            assert!(!possible(Universe::Host, host), "{host}");
        }
    }

    #[test]
    fn what_multiplies_is_refused_soon() {
        let refused =
            |tests: &[TextTest]| Automaton::new(tests, Universe::HeaderItem).err() == Some(TooManyStates);
        assert!(refused(&[TextTest::Matches("(a|b)*a(a|b){20}".to_owned())]));
        assert!(refused(&[TextTest::Matches("((a{100}){100}){100}".to_owned())]));
        let contains: Vec<TextTest> =
            (0..13).map(|number| TextTest::Contains(format!("{number}x"))).collect();
        assert!(refused(&contains));
        assert!(!refused(&contains[..10]));
    }
}
