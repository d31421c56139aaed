//! The plan as bytes: equal plans become equal bytes.

mod depth;
mod dictionary;
mod nodes;
mod tables;

use crate::layout::{
    AT_FLAGS, AT_LENGTH, AT_MAJOR, AT_MIN_READER, AT_MINOR, AT_SECTIONS, ENTRY_BYTES, HEADER_BYTES, MAGIC,
    MAJOR, MAX_CHILDREN, MAX_ENTER_DEPTH, MAX_PLAN_BYTES, MAX_ROW_BITS, MINOR, SECTION_VERSION, Section,
    seal,
};
use crate::plan::Plan;
use crate::verify::verify;
use nodes::Nodes;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

/// The bytes of a plan. A plan that breaks a promise of [`Plan`] is a bug of whoever built it, which debug builds assert.
pub fn encode(plan: &Plan) -> Result<Vec<u8>, LimitExceeded> {
    if depth::is_too_deep(plan) {
        let limit = u64::from(MAX_ENTER_DEPTH);
        return Err(LimitExceeded { what: "routes entered one after the other", limit });
    }
    let children = plan.nodes.iter().map(|node| node.children.len() as u64).sum::<u64>();
    if children > MAX_CHILDREN {
        return Err(LimitExceeded { what: "ways on from its decisions", limit: MAX_CHILDREN });
    }
    let rows = plan.lists.iter().flat_map(|list| &list.tests).flat_map(|test| &test.rows);
    if rows.map(|row| row.len() as u64).sum::<u64>() > MAX_ROW_BITS {
        return Err(LimitExceeded { what: "numbers in its lists", limit: MAX_ROW_BITS });
    }
    let bytes = write(plan);
    if bytes.len() > MAX_PLAN_BYTES {
        return Err(LimitExceeded { what: "bytes", limit: MAX_PLAN_BYTES as u64 });
    }
    debug_assert_eq!(verify(bytes.as_slice()).err(), None, "the plan keeps the promises of its type");
    Ok(bytes)
}

/// The mesh is bigger than a plan may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// What there is too much of.
    pub what: &'static str,
    /// How much there may be.
    pub limit: u64,
}

impl std::fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the plan would have more than {} {}", self.limit, self.what)
    }
}

impl std::error::Error for LimitExceeded {}

/// Header, section table, sections; whatever the plan says.
pub(crate) fn write(plan: &Plan) -> Vec<u8> {
    // What a line is called, what a rule is called, and what a service is called by itself, of whom it is and who it is.
    let strings = plan.verdicts.len() + plan.outcomes.len() + 4 * plan.services.len();
    let mut draft = Draft {
        sections: vec![0..0; Section::ALL.len()],
        strings: Heap::with_capacity(strings),
        ..Draft::default()
    };
    // Ids of strings are their places in sorted order, known only once all of them are, and so is where a section begins: the first
    // pass learns them.
    let nodes = Nodes::of(plan);
    tables::write(plan, &nodes, &mut draft);
    draft.strings.number();
    draft.values.number();
    draft.skip(Section::Strings, draft.strings.length());
    draft.skip(Section::Values, draft.values.length());
    draft.lay_out();
    tables::write(plan, &nodes, &mut draft);
    let Draft { strings, values, .. } = &draft;
    let [strings, values] = [strings.bytes(), values.bytes()];
    draft.raw(Section::Strings, &strings);
    draft.raw(Section::Values, &values);
    let mut bytes = draft.bytes;
    seal(&mut bytes);
    bytes
}

/// The tables as far as they are written.
#[derive(Default)]
struct Draft<'p> {
    /// What is written of each section so far, in the order of [`Section::ALL`].
    sections: Vec<Range<usize>>,
    /// The whole file; empty on the first pass.
    bytes: Vec<u8>,
    strings: Heap<'p>,
    values: Heap<'p>,
}

impl<'p> Draft<'p> {
    /// Appends a record.
    fn row(&mut self, section: Section, words: &[u32]) {
        self.words(section, words.iter().copied());
    }

    /// Appends records of one word, or the words of one.
    fn words(&mut self, section: Section, words: impl ExactSizeIterator<Item = u32>) {
        let place = self.skip(section, words.len() * 4);
        let places = self.bytes.get_mut(place).unwrap_or_default().chunks_exact_mut(4);
        places.zip(words).for_each(|(place, word)| place.copy_from_slice(&word.to_le_bytes()));
    }

    /// Appends the words of a dictionary.
    fn dictionary<'t>(&mut self, section: Section, texts: impl ExactSizeIterator<Item = (&'t [u8], u32)>) {
        match self.is_measuring() {
            true => {
                let words = dictionary::length(texts.map(|(text, _)| text));
                self.skip(section, words as usize * 4);
            }
            false => self.row(section, &dictionary::words(texts)),
        }
    }

    /// Whether it is the first pass: nothing is written, and how long all is gets known.
    fn is_measuring(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends bytes to a record or a table.
    fn raw(&mut self, section: Section, bytes: &[u8]) {
        let place = self.skip(section, bytes.len());
        if let Some(place) = self.bytes.get_mut(place) {
            place.copy_from_slice(bytes);
        }
    }

    /// The place of the next bytes of a section.
    #[expect(clippy::indexing_slicing, reason = "there is a place for each section")]
    fn skip(&mut self, section: Section, length: usize) -> Range<usize> {
        let written = &mut self.sections[section.index()];
        let start = written.end;
        written.end += length;
        start..written.end
    }

    /// The number of records so far: the start of the range of whoever writes next.
    fn count(&self, section: Section) -> u32 {
        self.sections
            .get(section.index())
            .map_or(0, |written| (written.len() / section.record_bytes()) as u32)
    }

    fn string(&mut self, text: &'p str) -> u32 {
        self.strings.id(text.as_bytes())
    }

    /// Ends the first pass: gives each section its place, and writes the header and the section table.
    fn lay_out(&mut self) {
        let count = Section::ALL.len();
        let mut offset = HEADER_BYTES + count * ENTRY_BYTES;
        let mut entries = Vec::with_capacity(offset);
        for (section, written) in Section::ALL.into_iter().zip(&mut self.sections) {
            let length = written.len();
            entries.extend((section as u16).to_le_bytes());
            entries.extend(SECTION_VERSION.to_le_bytes());
            entries.extend((offset as u32).to_le_bytes());
            entries.extend((length as u32).to_le_bytes());
            *written = offset..offset;
            offset += length.next_multiple_of(4);
        }
        self.bytes = vec![0; offset];
        let bytes = &mut self.bytes;
        put(bytes, 0, &MAGIC);
        put(bytes, AT_MAJOR, &MAJOR.to_le_bytes());
        put(bytes, AT_MINOR, &MINOR.to_le_bytes());
        put(bytes, AT_MIN_READER, &MINOR.to_le_bytes());
        put(bytes, AT_SECTIONS, &(count as u16).to_le_bytes());
        put(bytes, AT_FLAGS, &0u64.to_le_bytes());
        put(bytes, AT_LENGTH, &(offset as u64).to_le_bytes());
        put(bytes, HEADER_BYTES, &entries);
    }
}

/// Byte strings, each once.
#[derive(Default)]
struct Heap<'p> {
    /// What was asked for first: its place in `came`.
    known: HashMap<&'p [u8], u32, BuildHasherDefault<Quick>>,
    /// The strings, as they came.
    came: Vec<&'p [u8]>,
    /// What was asked for on the first pass, again and again: the second pass asks the same.
    asked: Vec<u32>,
    /// How much of it has been asked for again.
    again: usize,
    /// Once they are numbered: the number of each, and their order.
    numbers: Vec<u32>,
    sorted: Vec<&'p [u8]>,
}

impl<'p> Heap<'p> {
    /// With room for about so many strings.
    fn with_capacity(strings: usize) -> Heap<'p> {
        Heap {
            known: HashMap::with_capacity_and_hasher(strings, BuildHasherDefault::default()),
            came: Vec::with_capacity(strings),
            ..Heap::default()
        }
    }

    /// The id of a string; before [`Heap::number`] only a note that it is needed.
    fn id(&mut self, string: &'p [u8]) -> u32 {
        if let Some(asked) = self.asked.get(self.again).filter(|_| !self.numbers.is_empty()) {
            self.again += 1;
            return self.numbers.get(*asked as usize).copied().unwrap_or_default();
        }
        let fresh = self.came.len() as u32;
        let known = *self.known.entry(string).or_insert(fresh);
        if known == fresh {
            self.came.push(string);
        }
        self.asked.push(known);
        known
    }

    fn number(&mut self) {
        self.known = HashMap::default();
        let mut order: Vec<(&[u8], u32)> = self.came.drain(..).zip(0..).collect();
        // Not unstable: they come in sorted runs.
        order.sort();
        self.numbers = vec![0; order.len()];
        for ((_, came), number) in order.iter().zip(0..) {
            if let Some(place) = self.numbers.get_mut(*came as usize) {
                *place = number;
            }
        }
        self.sorted = order.into_iter().map(|(string, _)| string).collect();
    }

    fn length(&self) -> usize {
        4 + self.sorted.iter().map(|string| 4 + string.len()).sum::<usize>()
    }

    /// The count, where each string ends, and the strings.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length());
        bytes.extend((self.sorted.len() as u32).to_le_bytes());
        let mut end = 0;
        for string in &self.sorted {
            end += string.len() as u32;
            bytes.extend(end.to_le_bytes());
        }
        self.sorted.iter().for_each(|string| bytes.extend_from_slice(string));
        bytes
    }
}

/// A hash of short texts that nobody chooses to make us slow: eight bytes at a time, each folded into a product (Fibonacci hashing).
#[derive(Default)]
struct Quick(u64);

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(place, byte)| *place = *byte);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(GOLDEN);
        self.0 = (product as u64 ^ (product >> 64) as u64).wrapping_add(GOLDEN);
    }

    fn write_usize(&mut self, length: usize) {
        self.write_u64(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + field.len()) {
        place.copy_from_slice(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::*;
    use crate::samples;
    use crate::verify::PlanError;

    #[test]
    fn a_plan_comes_back_as_it_was() {
        let plan = samples::plan();
        let bytes = encode(&plan).unwrap();
        assert_eq!(verify(bytes).unwrap().to_plan(), plan);
    }

    #[test]
    fn the_empty_mesh_is_a_plan() {
        let plan = Plan { default_settings: NONE, ..Plan::default() };
        assert_eq!(verify(encode(&plan).unwrap()).unwrap().to_plan(), plan);
    }

    #[test]
    fn equal_plans_are_equal_bytes_and_others_have_other_digests() {
        let bytes = encode(&samples::plan()).unwrap();
        assert_eq!(bytes, encode(&samples::plan()).unwrap());
        let mut other = samples::plan();
        other.services[0].owner = "somebody".to_owned();
        let [one, two] = [bytes, encode(&other).unwrap()].map(|bytes| verify(bytes).unwrap());
        assert_ne!(one.digest_hex(), two.digest_hex());
    }

    #[test]
    fn a_string_is_written_once() {
        let bytes = encode(&samples::plan()).unwrap();
        assert_eq!(
            bytes.windows(9).filter(|window| window == b"shop.test").count(),
            1 + 2 * (4 + 1),
            "and in four identities and a prefix, which are in dictionaries too"
        );
    }

    /// A chain of services, each of which sends to the next one's route.
    fn chain(services: u32) -> Plan {
        let number = |index: u32| format!("s{index:03}");
        let partition = |index| Partition {
            peers: Peers { atoms: 1, ..Peers::default() },
            states: vec![State { atom: 0, edges: vec![], other: NONE, empty: NONE }],
            path_atoms: 1,
            roots: vec![Target::Leaf(index)],
            ..Partition::default()
        };
        let port = |index| Port {
            number: 80,
            protocol: crate::Protocol::Http,
            mtls: crate::Mtls::None,
            probed: false,
            name: String::new(),
            partition: index,
            endpoints: vec![],
            subset_endpoints: vec![],
        };
        let service = |index| Service {
            limits: vec![],
            name: number(index),
            owner: String::new(),
            principal: 0,
            settings: NONE,
            panic_threshold: 0,
            logged: None,
            health_check: None,
            tls: None,
            nearness: Nearness::default(),
            verifiers: vec![],
            ports: vec![port(index)],
            subsets: vec![],
            calls: vec![],
            hosts: vec![],
            consumer_routes: vec![],
        };
        let outcome = |index: u32| {
            let last = index + 1 == services;
            let service = if last { index } else { index + 1 };
            let backend = Backend { service, port: 0, subset: NONE, enter: !last, weight: 10_000 };
            Outcome {
                rule: number(index),
                settings: NONE,
                action: Action::Forward(vec![backend]),
                edits: vec![],
            }
        };
        Plan {
            principals: vec![Principal { identity: "spiffe://local.test/s".to_owned(), gateway: false }],
            services: (0..services).map(service).collect(),
            partitions: (0..services).map(partition).collect(),
            outcomes: (0..services).map(outcome).collect(),
            default_settings: NONE,
            ..Plan::default()
        }
    }

    #[test]
    fn a_chain_of_routes_has_a_limit_that_is_named() {
        assert!(encode(&chain(9)).is_ok(), "eight are entered after the first");
        let refused = encode(&chain(10)).unwrap_err();
        assert_eq!(refused.to_string(), "the plan would have more than 8 routes entered one after the other");
        assert_eq!(verify(write(&chain(10))), Err(PlanError::TooDeep { limit: 8 }));
    }

    #[test]
    fn a_gateways_own_route_is_one_of_those_entered() {
        let with = |services, gateway: bool| {
            let mut plan = chain(services);
            let routes = vec![ConsumerRoute { service: services - 1, port: 0, partition: 0 }];
            match gateway {
                true => plan.gateways.push(Gateway {
                    name: "g".to_owned(),
                    owner: String::new(),
                    principal: 0,
                    limits: vec![],
                    trusted_hops: 0,
                    logged: None,
                    verifiers: vec![],
                    listeners: vec![],
                    consumer_routes: routes,
                }),
                false => plan.services[0].consumer_routes = routes,
            }
            encode(&plan)
        };
        assert!(with(9, false).is_ok(), "a service's own route is the first");
        assert!(with(8, true).is_ok());
        let refused = with(9, true).unwrap_err();
        assert_eq!(refused.to_string(), "the plan would have more than 8 routes entered one after the other");
    }

    #[test]
    fn a_circle_of_routes_is_refused() {
        let mut circle = chain(3);
        let Action::Forward(backends) = &mut circle.outcomes[2].action else { panic!() };
        backends[0] = Backend { service: 0, enter: true, ..backends[0] };
        assert!(matches!(verify(write(&circle)), Err(PlanError::TooDeep { limit: 8 })));
    }
}
