//! What many tests say of one text, as one table that reads it byte by byte.
//!
//! `regex-automata` makes a deterministic automaton of all tests together; walking it gives, for each state, which tests
//! a text that ends there passes. What is kept is our own table, with states that nothing tells apart merged: the engine
//! needs no regex code, and equal tests give equal tables.

use super::text::{TextTest, Universe};
use crate::bits::Bits;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind, util::primitives::StateID};
use regex_syntax::hir::Hir;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// More states of a table are refused (`MESH3090`): a state is two bytes in the plan, and ten long regexes that overlap have
/// fewer.
pub(crate) const MAX_STATES: usize = 1 << 16;

/// What the construction may take before states are merged; past this, tests multiply faster than memory lasts.
const MAX_BYTES: usize = 64 << 20;

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
        let raw = Raw::walk(tests, universe)?;
        raw.merged(universe)
    }
}

/// States as the walk found them.
struct Raw {
    /// For each byte its class.
    bytes: Vec<u8>,
    class_count: usize,
    transitions: Vec<u32>,
    /// For each state its class; that of a state that no text of the universe ends in is [`IMPOSSIBLE`].
    accepts: Vec<u32>,
    /// The classes in the order in which they were met; the first passes no test.
    classes: Vec<Bits>,
}

/// No text of the universe ends there: it does not matter what is said of it.
const IMPOSSIBLE: u32 = u32::MAX;

impl Raw {
    fn walk(tests: &[TextTest], universe: Universe) -> Result<Raw, TooManyStates> {
        let (must, must_not) = universe.bounds();
        let mut patterns: Vec<Hir> = tests.iter().map(TextTest::hir).collect();
        patterns.extend(must.iter().chain(&must_not).cloned());
        let dfa = dense_of(&patterns)?;
        let bounds = tests.len()..tests.len() + must.len();
        let begin = start::Config::new().anchored(Anchored::Yes);
        let begin = dfa.start_state(&begin).map_err(|_| TooManyStates)?;
        let mut raw = Raw {
            bytes: (0..=u8::MAX).map(|byte| dfa.byte_classes().get(byte)).collect(),
            class_count: 0,
            transitions: vec![],
            accepts: vec![],
            classes: vec![Bits::none(tests.len() as u32)],
        };
        let samples: Vec<u8> = {
            let mut seen = BTreeMap::new();
            for (class, byte) in raw.bytes.iter().zip(0..=u8::MAX) {
                seen.entry(*class).or_insert(byte);
            }
            // Classes of bytes are numbered without a gap; the class of the end comes after them.
            seen.into_values().collect()
        };
        raw.class_count = samples.len();
        let mut numbers: HashMap<StateID, u32> = HashMap::from([(begin, 0)]);
        let mut class_of: BTreeMap<Bits, u32> = BTreeMap::from([(Bits::none(tests.len() as u32), 0)]);
        let mut queue = VecDeque::from([begin]);
        while let Some(state) = queue.pop_front() {
            let class = raw.accept(&dfa, state, tests.len(), bounds.clone(), &mut class_of);
            raw.accepts.push(class);
            for byte in &samples {
                let next = dfa.next_state(state, *byte);
                let fresh = numbers.len() as u32;
                let number = *numbers.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    fresh
                });
                raw.transitions.push(number);
            }
        }
        Ok(raw)
    }

    /// The class of the texts that end in a state.
    fn accept(
        &mut self,
        dfa: &dense::DFA<Vec<u32>>,
        state: StateID,
        tests: usize,
        must: std::ops::Range<usize>,
        class_of: &mut BTreeMap<Bits, u32>,
    ) -> u32 {
        let end = dfa.next_eoi_state(state);
        let count = if dfa.is_match_state(end) { dfa.match_len(end) } else { 0 };
        let mut fits = Bits::none(tests as u32);
        let mut kept = 0;
        for pattern in (0..count).map(|index| dfa.match_pattern(end, index).as_usize()) {
            match pattern {
                test if test < tests => fits.insert(test as u32),
                bound if must.contains(&bound) => kept += 1,
                _ => return IMPOSSIBLE,
            }
        }
        if kept != must.len() {
            return IMPOSSIBLE;
        }
        let classes = &mut self.classes;
        *class_of.entry(fits.clone()).or_insert_with(|| {
            classes.push(fits);
            classes.len() as u32 - 1
        })
    }

    /// The smallest table that says the same, its states numbered from the start on (Moore's refinement: each round tells
    /// states apart by one byte more).
    fn merged(self, universe: Universe) -> Result<Automaton, TooManyStates> {
        let witnesses = self.witnesses(universe);
        // What is said of impossible texts does not matter: as if they passed no test.
        let mut blocks: Vec<u32> =
            self.accepts.iter().map(|class| if *class == IMPOSSIBLE { 0 } else { *class }).collect();
        let mut count = 0;
        loop {
            let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
            let mut next = Vec::with_capacity(blocks.len());
            for (state, block) in blocks.iter().enumerate() {
                let leads = self.row(state).iter().map(|to| blocks[*to as usize]);
                let key: Vec<u32> = std::iter::once(*block).chain(leads).collect();
                let fresh = seen.len() as u32;
                next.push(*seen.entry(key).or_insert(fresh));
            }
            blocks = next;
            if seen.len() == count {
                break;
            }
            count = seen.len();
        }
        if count > MAX_STATES {
            return Err(TooManyStates);
        }
        // States are met in order, so the start is block 0 and the numbering depends on nothing but the tests.
        let mut first_of = vec![usize::MAX; count];
        for (state, block) in blocks.iter().enumerate().rev() {
            first_of[*block as usize] = state;
        }
        let (bytes, columns) = self.byte_classes(&first_of, &blocks);
        let rows = first_of
            .iter()
            .flat_map(|state| columns.iter().map(|column| blocks[self.row(*state)[*column] as usize] as u16));
        let transitions = rows.collect();
        let accepts = first_of.iter().map(|state| match self.accepts[*state] {
            IMPOSSIBLE => 0,
            class => class,
        });
        let accepts = accepts.collect();
        let classes = self.classes.into_iter().zip(witnesses);
        let classes = classes.map(|(fits, witness)| Class { fits, witness }).collect();
        Ok(Automaton { bytes, transitions, accepts, classes })
    }

    fn row(&self, state: usize) -> &[u32] {
        &self.transitions[state * self.class_count..(state + 1) * self.class_count]
    }

    /// Bytes that lead to the same place from every state become one class. For each class one of the old columns.
    fn byte_classes(&self, states: &[usize], blocks: &[u32]) -> (Vec<u8>, Vec<usize>) {
        let mut seen: HashMap<Vec<u32>, u8> = HashMap::new();
        let mut columns = Vec::new();
        let mut of_old = vec![0u8; self.class_count];
        for (old, class) in of_old.iter_mut().enumerate() {
            let column: Vec<u32> =
                states.iter().map(|state| blocks[self.row(*state)[old] as usize]).collect();
            let fresh = columns.len() as u8;
            *class = *seen.entry(column).or_insert_with(|| {
                columns.push(old);
                fresh
            });
        }
        (self.bytes.iter().map(|old| of_old[usize::from(*old)]).collect(), columns)
    }

    /// For each class a shortest text: breadth first, and of equally long ones the one that is most natural.
    fn witnesses(&self, universe: Universe) -> Vec<Option<Vec<u8>>> {
        let mut found: Vec<Option<Vec<u8>>> = vec![None; self.classes.len()];
        let mut came: Vec<Option<(u32, u8)>> = vec![None; self.accepts.len()];
        let mut queue = VecDeque::from([0u32]);
        let mut seen = vec![false; self.accepts.len()];
        seen[0] = true;
        let order = universe.natural_bytes(&self.bytes);
        while let Some(state) = queue.pop_front() {
            let class = self.accepts[state as usize];
            if class != IMPOSSIBLE && found[class as usize].is_none() {
                let mut text = Vec::new();
                let mut at = state;
                while let Some((before, byte)) = came[at as usize] {
                    text.push(byte);
                    at = before;
                }
                text.reverse();
                found[class as usize] = Some(text);
            }
            for byte in &order {
                let next = self.row(state as usize)[usize::from(self.bytes[usize::from(*byte)])];
                if !std::mem::replace(&mut seen[next as usize], true) {
                    came[next as usize] = Some((state, *byte));
                    queue.push_back(next);
                }
            }
        }
        found
    }
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
