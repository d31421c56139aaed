//! The plan as bytes: equal plans become equal bytes.

mod tables;

use crate::layout::{
    AT_FLAGS, AT_LENGTH, AT_MAJOR, AT_MIN_READER, AT_MINOR, AT_SECTIONS, ENTRY_BYTES, HEADER_BYTES, MAGIC,
    MAJOR, MAX_PLAN_BYTES, MINOR, SECTION_VERSION, Section, seal,
};
use crate::plan::Plan;
use crate::verify::{PlanError, verify};
use std::collections::HashMap;

/// The bytes of a plan. A plan that breaks a promise of [`Plan`] is a bug of whoever built it, which debug builds assert.
pub fn encode(plan: &Plan) -> Result<Vec<u8>, LimitExceeded> {
    let bytes = write(plan);
    if bytes.len() > MAX_PLAN_BYTES {
        return Err(LimitExceeded { what: "bytes", limit: MAX_PLAN_BYTES as u64 });
    }
    match verify(bytes.as_slice()) {
        Err(PlanError::TooDeep { limit }) => {
            Err(LimitExceeded { what: "routes entered one after the other", limit: u64::from(limit) })
        }
        verified => {
            debug_assert_eq!(verified.err(), None, "the plan keeps the promises of its type");
            Ok(bytes)
        }
    }
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
    let mut draft = Draft { tables: vec![vec![]; Section::ALL.len()], ..Draft::default() };
    // Ids of strings are their places in sorted order, known only once all of them are: the first pass learns them.
    tables::write(plan, &mut draft);
    draft.tables.iter_mut().for_each(Vec::clear);
    draft.strings.number();
    draft.values.number();
    tables::write(plan, &mut draft);
    *draft.table(Section::Strings) = draft.strings.bytes();
    *draft.table(Section::Values) = draft.values.bytes();
    assemble(&draft.tables)
}

/// The tables as far as they are written.
#[derive(Default)]
struct Draft<'p> {
    /// In the order of [`Section::ALL`].
    tables: Vec<Vec<u8>>,
    strings: Heap<'p>,
    values: Heap<'p>,
}

impl<'p> Draft<'p> {
    /// Appends a record.
    fn row(&mut self, section: Section, words: &[u32]) {
        let table = self.table(section);
        words.iter().for_each(|word| table.extend_from_slice(&word.to_le_bytes()));
    }

    #[expect(clippy::indexing_slicing, reason = "there is a table for each section")]
    fn table(&mut self, section: Section) -> &mut Vec<u8> {
        &mut self.tables[section.index()]
    }

    /// Appends bytes to a record or a table.
    fn raw(&mut self, section: Section, bytes: &[u8]) {
        self.table(section).extend_from_slice(bytes);
    }

    /// The number of records so far: the start of the range of whoever writes next.
    fn count(&self, section: Section) -> u32 {
        self.tables.get(section.index()).map_or(0, |table| (table.len() / section.record_bytes()) as u32)
    }

    fn string(&mut self, text: &'p str) -> u32 {
        self.strings.id(text.as_bytes())
    }
}

/// Byte strings, each once.
#[derive(Default)]
struct Heap<'p> {
    ids: HashMap<&'p [u8], u32>,
    /// Once they are numbered.
    sorted: Vec<&'p [u8]>,
}

impl<'p> Heap<'p> {
    /// The id of a string; before [`Heap::number`] only a note that it is needed.
    fn id(&mut self, string: &'p [u8]) -> u32 {
        *self.ids.entry(string).or_default()
    }

    fn number(&mut self) {
        self.sorted = self.ids.keys().copied().collect();
        self.sorted.sort_unstable();
        for (string, number) in self.sorted.iter().zip(0..) {
            self.ids.insert(string, number);
        }
    }

    /// The count, where each string ends, and the strings.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = (self.sorted.len() as u32).to_le_bytes().to_vec();
        let mut end = 0;
        for string in &self.sorted {
            end += string.len() as u32;
            bytes.extend(end.to_le_bytes());
        }
        self.sorted.iter().for_each(|string| bytes.extend_from_slice(string));
        bytes
    }
}

fn assemble(tables: &[Vec<u8>]) -> Vec<u8> {
    let mut offset = HEADER_BYTES + Section::ALL.len() * ENTRY_BYTES;
    let whole = offset + tables.iter().map(|table| table.len().next_multiple_of(4)).sum::<usize>();
    let mut bytes = Vec::with_capacity(whole);
    bytes.resize(HEADER_BYTES, 0);
    for (section, table) in Section::ALL.into_iter().zip(tables) {
        let length = table.len();
        bytes.extend((section as u16).to_le_bytes());
        bytes.extend(SECTION_VERSION.to_le_bytes());
        bytes.extend((offset as u32).to_le_bytes());
        bytes.extend((length as u32).to_le_bytes());
        offset += length.next_multiple_of(4);
    }
    for table in tables {
        bytes.extend(table);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let length = bytes.len() as u64;
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, AT_MAJOR, &MAJOR.to_le_bytes());
    put(&mut bytes, AT_MINOR, &MINOR.to_le_bytes());
    put(&mut bytes, AT_MIN_READER, &MINOR.to_le_bytes());
    put(&mut bytes, AT_SECTIONS, &(Section::ALL.len() as u16).to_le_bytes());
    put(&mut bytes, AT_FLAGS, &0u64.to_le_bytes());
    put(&mut bytes, AT_LENGTH, &length.to_le_bytes());
    seal(&mut bytes);
    bytes
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
            1 + 4 + 1,
            "and in four identities and a prefix"
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
