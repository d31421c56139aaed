//! A dimension of values: absent, one, or several, told apart by what is asked of them (`spec/semantics.md` 3.3).
//!
//! Literals and prefixes are laminar (two prefixes are nested or disjoint), so where nothing else is asked the classes of
//! one value are: each literal, each prefix without what is longer, and the rest. Otherwise an automaton tells them apart. Of
//! several values it matters which tests some item passes: a class for each union of what the items can pass.

use super::automaton::{Automaton, ReadBy, TooManyStates};
use super::text::{TextTest, Universe};
use crate::bits::Bits;
use crate::model::{Asked, Polarity, ValueSet};
use mesh_lang::Text;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// More ways in which several values pass tests together are refused (`MESH3090`): each is an atom of its own.
pub(crate) const MAX_UNIONS: usize = 1 << 12;

/// More tests of the items of one field are refused (`MESH3090`): what an item passes is a word of the plan.
pub(crate) const MAX_ITEM_TESTS: usize = 32;

/// The atom of no value.
pub(crate) const ABSENT: u32 = 0;
/// The atom of several values that pass as little as they can.
pub(crate) const MANY: u32 = 1;
/// The atom of a single value that passes no test.
pub(crate) const OTHER: u32 = 2;

/// Why values cannot be told apart within the budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TooMuch {
    /// More states than an automaton over bytes may have, with this test.
    States(TextTest),
    /// More states than an automaton over segments may have.
    Patterns,
    /// More than [`MAX_UNIONS`].
    Unions,
    /// More than [`MAX_ITEM_TESTS`].
    Items,
}

/// The values of a field.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) reader: Reader,
    /// For each atom what it is.
    atoms: Vec<Atom>,
    /// The tests of items, a bit each: what is asked and whether it is negated.
    items: Vec<(TextTest, bool)>,
    /// For each atom of one value what it passes as an item.
    masks: Vec<u32>,
    /// The possible atoms of one value.
    singles: Bits,
    /// The other possible atoms.
    others: Vec<u32>,
    is_claim: bool,
}

/// How one value becomes an atom.
#[derive(Debug)]
pub(crate) enum Reader {
    Laminar(Laminar),
    /// Its classes are the atoms `OTHER`, then `OTHER + 1` and so on.
    Bytes(Vec<TextTest>, Automaton),
}

/// Exact values and prefixes.
#[derive(Debug, Default)]
pub(crate) struct Laminar {
    /// Sorted: literal and its atom.
    pub(crate) exact: Vec<(String, u32)>,
    /// Sorted: prefix and the atom of the values it is the longest prefix of.
    pub(crate) prefixes: Vec<(String, u32)>,
}

/// What an atom stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Atom {
    kind: Kind,
    /// A value of it; `None` where no request can have one.
    sample: Option<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Absent,
    Single,
    /// Several, that pass this together.
    Many(u32),
    /// A claim that is neither text nor a list of texts.
    Odd,
}

/// What there is of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Absent,
    There,
    Odd,
}

/// A value of an atom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    Absent,
    One(String),
    Several(Vec<String>),
    Odd,
}

impl Values {
    /// The values that these sets tell apart.
    pub(crate) fn new(sets: &[&ValueSet], universe: Universe) -> Result<Values, TooMuch> {
        let is_claim = universe == Universe::Claim;
        let mut tests: BTreeSet<TextTest> = BTreeSet::new();
        let mut items: BTreeSet<(TextTest, bool)> = BTreeSet::new();
        for set in sets {
            let ValueSet::Passing { asked, negated, polarity } = set else { continue };
            tests.extend(asked.of_one(is_claim));
            let of_items = asked.of_items(*negated, *polarity);
            tests.extend(of_items.iter().map(|(test, _)| test.clone()));
            items.extend(of_items);
        }
        if items.len() > MAX_ITEM_TESTS {
            return Err(TooMuch::Items);
        }
        // Of several items none is empty, though a lone value can be: what has the empty value is a class of its own.
        let no_empty_items = universe == Universe::HeaderItem && !items.is_empty();
        if no_empty_items {
            tests.insert(TextTest::OneOf(vec![String::new()]));
        }
        let tests: Vec<TextTest> = tests.into_iter().collect();
        let odd = Atom { kind: Kind::Odd, sample: Some(Sample::Odd) };
        // Every request has one host.
        let is_single = universe == Universe::Host;
        let absent = Atom { kind: Kind::Absent, sample: Some(Sample::Absent).filter(|_| !is_single) };
        let many = Atom { kind: Kind::Many(0), sample: None };
        let is_laminar = tests.iter().all(|test| matches!(test, TextTest::OneOf(_) | TextTest::Prefix(_)));
        let (reader, singles) =
            if is_laminar { Laminar::of(&tests) } else { Reader::bytes(tests, universe)? };
        let single = |value: Option<String>| Atom { kind: Kind::Single, sample: value.map(Sample::One) };
        let mut atoms = vec![absent, many];
        atoms.extend(singles.into_iter().map(single));
        atoms.extend(is_claim.then_some(odd));
        let mut values = Values {
            reader,
            atoms,
            items: items.into_iter().collect(),
            masks: vec![],
            singles: Bits::none(0),
            others: vec![],
            is_claim,
        };
        values.masks = values.item_masks();
        if !is_single {
            values.add_unions(universe == Universe::HeaderItem)?;
        }
        let possible = |atom: u32| values.sample(atom).is_some();
        let is_one = |atom: u32| values.atoms[atom as usize].kind == Kind::Single;
        let singles = Bits::such_that(values.atoms(), |atom| possible(atom) && is_one(atom));
        let others = (0..values.atoms()).filter(|atom| possible(*atom) && !is_one(*atom)).collect();
        Ok(Values { singles, others, ..values })
    }

    /// Values that something else reads: for each atom a value, `None` where no request can have one. The first three are
    /// [`ABSENT`], [`MANY`] and [`OTHER`].
    pub(crate) fn of_samples(samples: Vec<Option<Sample>>, is_claim: bool) -> Values {
        let atom = |sample: Option<Sample>| {
            let kind = match sample {
                Some(Sample::Absent) => Kind::Absent,
                Some(Sample::Several(_)) | None => Kind::Many(0),
                Some(Sample::One(_)) => Kind::Single,
                Some(Sample::Odd) => Kind::Odd,
            };
            Atom { kind, sample }
        };
        Values {
            reader: Reader::Laminar(Laminar::default()),
            atoms: samples.into_iter().map(atom).collect(),
            items: vec![],
            masks: vec![],
            singles: Bits::none(0),
            others: vec![],
            is_claim,
        }
    }

    pub(crate) fn atoms(&self) -> u32 {
        self.atoms.len() as u32
    }

    /// A value of an atom, if there is one.
    pub(crate) fn sample(&self, atom: u32) -> Option<&Sample> {
        self.atoms[atom as usize].sample.as_ref()
    }

    pub(crate) fn standing(&self, atom: u32) -> Standing {
        match self.atoms[atom as usize].kind {
            Kind::Absent => Standing::Absent,
            Kind::Odd => Standing::Odd,
            Kind::Single | Kind::Many(_) => Standing::There,
        }
    }

    /// Atoms from the one a person would think of first.
    pub(crate) fn plain_order(&self) -> Vec<u32> {
        let kind = |atom: &u32| self.atoms[*atom as usize].kind;
        let mut order: Vec<u32> = (0..self.atoms()).collect();
        order.sort_by_key(|atom| match kind(atom) {
            Kind::Absent => 0,
            Kind::Single if *atom != OTHER => 1,
            Kind::Single => 2,
            Kind::Odd => 3,
            Kind::Many(_) => 4,
        });
        order
    }

    /// What a value of each atom passes as an item, where something asks.
    pub(crate) fn masks(&self) -> &[u32] {
        if self.items.is_empty() { &[] } else { &self.masks }
    }

    /// What several values pass together, and its atom; sorted. Empty where nothing asks.
    pub(crate) fn unions(&self) -> Vec<(u32, u32)> {
        if self.items.is_empty() {
            return vec![];
        }
        let mut unions: Vec<(u32, u32)> = self
            .atoms
            .iter()
            .zip(0..)
            .filter_map(|(atom, number)| match atom {
                Atom { kind: Kind::Many(mask), sample: Some(_) } => Some((*mask, number)),
                _ => None,
            })
            .collect();
        unions.sort_unstable();
        unions
    }

    /// The atom of a claim that is neither text nor a list of texts.
    pub(crate) fn odd(&self) -> u32 {
        self.atoms.iter().position(|atom| atom.kind == Kind::Odd).map_or(ABSENT, |atom| atom as u32)
    }

    /// The possible atoms of a set of values.
    pub(crate) fn set(&self, set: &ValueSet) -> Bits {
        let mut found = match set {
            ValueSet::Absent => Bits::none(self.atoms()),
            ValueSet::Present => self.singles.clone(),
            ValueSet::Passing { asked, negated, .. } => {
                let passing = self.passing(asked);
                let mut found = self.singles.clone();
                if *negated {
                    found.subtract(&passing)
                } else {
                    found.intersect(&passing)
                }
                found
            }
        };
        for atom in &self.others {
            let inside = match (set, self.atoms[*atom as usize].kind) {
                (ValueSet::Absent, kind) => kind == Kind::Absent,
                (ValueSet::Present, kind) => kind != Kind::Absent,
                (ValueSet::Passing { asked, negated, polarity }, Kind::Many(mask)) => {
                    self.many_pass(asked, *negated, *polarity, mask)
                }
                (ValueSet::Passing { negated, polarity, .. }, Kind::Absent) => {
                    *negated && *polarity == Polarity::Refusal
                }
                (ValueSet::Passing { polarity, .. }, _) => *polarity == Polarity::Refusal,
            };
            if inside {
                found.insert(*atom);
            }
        }
        found
    }

    /// Doubt: of several values a grant asks nothing but `has`, and a refusal asks each of them.
    fn many_pass(&self, asked: &Asked, negated: bool, polarity: Polarity, mask: u32) -> bool {
        let bits = asked.of_items(negated, polarity);
        let any = bits.iter().filter_map(|bit| self.items.binary_search(bit).ok());
        let any = any.into_iter().any(|bit| mask & (1 << bit) != 0);
        match asked {
            Asked::Has(_) => any != negated,
            _ => any,
        }
    }

    /// The atoms of one value that passes.
    fn passing(&self, asked: &Asked) -> Bits {
        match asked.of_one(self.is_claim) {
            Some(test) => self.fitting(&test),
            None => Bits::none(self.atoms()),
        }
    }

    fn fitting(&self, test: &TextTest) -> Bits {
        let mut found = Bits::none(self.atoms());
        match &self.reader {
            Reader::Laminar(laminar) => laminar.fitting(test).for_each(|atom| found.insert(atom)),
            Reader::Bytes(tests, automaton) => {
                let Ok(index) = tests.binary_search(test) else { return found };
                for (class, atom) in automaton.classes.iter().zip(OTHER..) {
                    if class.fits.contains(index as u32) {
                        found.insert(atom);
                    }
                }
            }
        }
        found
    }

    fn item_masks(&self) -> Vec<u32> {
        let mut masks = vec![0; self.atoms.len()];
        for ((test, negated), bit) in self.items.iter().zip(0..) {
            let fitting = self.fitting(test);
            for (atom, number) in self.atoms.iter().zip(0..) {
                if atom.kind == Kind::Single && fitting.contains(number) != *negated {
                    masks[number as usize] |= 1 << bit;
                }
            }
        }
        masks
    }

    /// Every union of what items can pass becomes an atom; the first of them is [`MANY`].
    fn add_unions(&mut self, no_empty_items: bool) -> Result<(), TooMuch> {
        /// An item where none is asked about.
        const ANY: &str = "1";
        let mut of_one: BTreeMap<u32, String> = BTreeMap::new();
        // What no test mentions comes first: it is the plainest.
        for (atom, mask) in self.atoms.iter().zip(&self.masks) {
            if let Atom { kind: Kind::Single, sample: Some(Sample::One(value)) } = atom
                && !(no_empty_items && value.is_empty())
            {
                of_one.entry(*mask).or_insert_with(|| value.clone());
            }
        }
        if no_empty_items && self.items.is_empty() && of_one.is_empty() {
            of_one.insert(0, ANY.to_owned());
        }
        let mut found: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        if self.is_claim {
            found.insert(0, vec![]);
        }
        let mut queue: VecDeque<(u32, Vec<String>)> =
            of_one.iter().map(|(mask, value)| (*mask, vec![value.clone()])).collect();
        while let Some((mask, values)) = queue.pop_front() {
            if found.contains_key(&mask) {
                continue;
            }
            for (more, value) in &of_one {
                let both = mask | more;
                if both != mask && !found.contains_key(&both) {
                    queue.push_back((both, [values.clone(), vec![value.clone()]].concat()));
                }
            }
            found.insert(mask, values);
            if found.len() > MAX_UNIONS {
                return Err(TooMuch::Unions);
            }
        }
        for (index, (mask, mut values)) in found.into_iter().enumerate() {
            if values.len() == 1 && !self.is_claim {
                values.extend(values.first().cloned());
            }
            let atom = Atom { kind: Kind::Many(mask), sample: Some(Sample::Several(values)) };
            if index == 0 {
                self.atoms[MANY as usize] = atom;
            } else {
                self.atoms.push(atom);
            }
        }
        self.masks.resize(self.atoms.len(), 0);
        Ok(())
    }
}

impl ValueSet {
    /// Whether this test is a part of what it asks.
    pub(crate) fn asks(&self, test: &TextTest) -> bool {
        let ValueSet::Passing { asked, negated, polarity } = self else { return false };
        let of_one = [asked.of_one(true), asked.of_one(false)];
        let of_items = asked.of_items(*negated, *polarity).map(|(test, _)| test);
        of_one.into_iter().chain([of_items]).flatten().any(|own| own == *test)
    }
}

impl Asked {
    /// What it asks of one value.
    pub(super) fn of_one(&self, is_claim: bool) -> Option<TextTest> {
        Some(match self {
            Asked::OneOf(values) => TextTest::OneOf(values.iter().map(Text::to_string).collect()),
            Asked::Prefix(text) => TextTest::Prefix(text.to_string()),
            Asked::Suffix(text) => TextTest::Suffix(text.to_string()),
            Asked::Contains(text) => TextTest::Contains(text.to_string()),
            Asked::Has(text) if is_claim => TextTest::Token(text.to_string()),
            Asked::Has(text) => TextTest::OneOf(vec![text.to_string()]),
            Asked::Matches(regex) => TextTest::Matches(regex.to_string()),
            Asked::Within(_) => return None,
        })
    }

    /// What it asks of the items of several values, and whether an item has to fail it.
    fn of_items(&self, negated: bool, polarity: Polarity) -> Option<(TextTest, bool)> {
        match (self, polarity) {
            (Asked::Has(text), _) => Some((TextTest::OneOf(vec![text.to_string()]), false)),
            (_, Polarity::Grant) => None,
            (_, Polarity::Refusal) => self.of_one(false).map(|test| (test, negated)),
        }
    }
}

impl Reader {
    /// The automaton, and a value for each of its classes.
    fn bytes(tests: Vec<TextTest>, universe: Universe) -> Result<(Reader, Vec<Option<String>>), TooMuch> {
        match Automaton::new(&tests, universe) {
            Ok(automaton) => {
                let samples = automaton.classes.iter().map(|class| class.witness.as_deref().map(readable));
                let samples = samples.collect();
                Ok((Reader::Bytes(tests, automaton), samples))
            }
            Err(TooManyStates) => Err(TooMuch::States(culprit(&tests, universe))),
        }
    }
}

/// A value for each class that the tests and tables tell apart, the plainest class first; `None` where there is no such text.
pub(crate) fn samples(
    tests: &[TextTest],
    tables: &[ReadBy],
    universe: Universe,
) -> Result<Vec<Option<Vec<u8>>>, TooManyStates> {
    let is_laminar = tests.iter().all(|test| matches!(test, TextTest::OneOf(_) | TextTest::Prefix(_)));
    if tables.is_empty() && is_laminar {
        let (_, samples) = Laminar::of(tests);
        return Ok(samples.into_iter().map(|sample| sample.map(String::into_bytes)).collect());
    }
    let automaton = Automaton::refining(tests, tables, universe)?;
    Ok(automaton.classes.into_iter().map(|class| class.witness).collect())
}

/// Bytes as text; those that are none are shown as what they are not.
pub(crate) fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The first of the tests with which they become too many.
pub(crate) fn culprit(tests: &[TextTest], universe: Universe) -> TextTest {
    let (mut fine, mut over) = (0, tests.len());
    while over - fine > 1 {
        let middle = fine + (over - fine) / 2;
        match Automaton::new(&tests[..middle], universe) {
            Ok(_) => fine = middle,
            Err(TooManyStates) => over = middle,
        }
    }
    tests[fine].clone()
}

impl Laminar {
    /// The reader, and a value for each of its atoms from [`OTHER`] on.
    fn of(tests: &[TextTest]) -> (Reader, Vec<Option<String>>) {
        let mut literals = BTreeSet::new();
        let mut prefixes = BTreeSet::new();
        for test in tests {
            match test {
                TextTest::OneOf(values) => literals.extend(values.iter().cloned()),
                TextTest::Prefix(prefix) => drop(prefixes.insert(prefix.clone())),
                _ => {}
            }
        }
        let literals = literals.into_iter().zip(OTHER + 1..);
        let exact: Vec<(String, u32)> = literals.collect();
        let first = OTHER + 1 + exact.len() as u32;
        let laminar = Laminar { exact, prefixes: prefixes.into_iter().zip(first..).collect() };
        let mut samples = vec![Some(laminar.fresh_value(""))];
        samples.extend(laminar.exact.iter().map(|(literal, _)| Some(literal.clone())));
        samples.extend(laminar.prefixes.iter().map(|(prefix, _)| Some(laminar.fresh_value(prefix))));
        (Reader::Laminar(laminar), samples)
    }

    fn fitting(&self, test: &TextTest) -> Box<dyn Iterator<Item = u32> + '_> {
        match test {
            TextTest::OneOf(values) => Box::new(self.literals(values.clone())),
            TextTest::Prefix(prefix) => Box::new(self.beginning(prefix.clone())),
            _ => Box::new(std::iter::empty()),
        }
    }

    fn literals(&self, values: Vec<String>) -> impl Iterator<Item = u32> + '_ {
        let found = values
            .into_iter()
            .filter_map(|value| self.exact.binary_search_by(|(literal, _)| literal.cmp(&value)).ok());
        found.map(|index| self.exact[index].1)
    }

    /// The classes whose values begin so; both lists are sorted, so they stand together.
    fn beginning(&self, prefix: String) -> impl Iterator<Item = u32> + '_ {
        let of = |list: &'_ [(String, u32)]| -> Vec<u32> {
            let first = list.partition_point(|(text, _)| *text < prefix);
            list[first..]
                .iter()
                .take_while(|(text, _)| text.starts_with(&prefix))
                .map(|(_, atom)| *atom)
                .collect()
        };
        let rest = prefix.is_empty().then_some(OTHER);
        of(&self.exact).into_iter().chain(of(&self.prefixes)).chain(rest)
    }

    /// A value with a prefix that no literal is and no longer prefix begins.
    fn fresh_value(&self, prefix: &str) -> String {
        // Every visible character, then nothing, then one outside ASCII: as long as the program leaves a value free, one is found.
        let words = ["x", "other"].into_iter().map(str::to_owned);
        let letters = ('a'..='z').chain('!'..='~').map(String::from);
        let endings = words.chain(letters).chain([String::new(), "é".to_owned()]);
        let free = |value: &String| {
            self.exact.binary_search_by(|(literal, _)| literal.cmp(value)).is_err()
                && !self
                    .prefixes
                    .iter()
                    .any(|(longer, _)| longer.len() > prefix.len() && value.starts_with(longer))
        };
        endings.map(|ending| format!("{prefix}{ending}")).find(free).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_items_of_a_header_none_is_empty() {
        let suffix = Asked::Suffix("a".into());
        let set = ValueSet::Passing { asked: suffix, negated: false, polarity: Polarity::Grant };
        let of = |universe| Values::new(&[&set], universe).expect("few");
        let sample = |values: &Values| values.sample(MANY).cloned();
        let several = |item: &str| Some(Sample::Several(vec![item.to_owned(); 2]));
        assert_eq!(
            of(Universe::HeaderItem).sample(OTHER),
            Some(&Sample::One(String::new())),
            "alone it can be"
        );
        assert_eq!(sample(&of(Universe::HeaderItem)), several("a"));
        assert_eq!(sample(&of(Universe::Query)), several(""), "a parameter can be empty twice");
    }
}
