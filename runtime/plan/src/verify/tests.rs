//! What is refused, and how it is said.

mod outside;

use super::*;
use crate::encode::write;
use crate::layout::seal;
use crate::plan::*;
use crate::{encode, samples};

fn bytes() -> Vec<u8> {
    encode(&samples::plan()).unwrap()
}

#[test]
fn something_else_is_not_a_plan() {
    for other in [&b""[..], b"MESH", b"service web {}\n", &[0; 4_096]] {
        assert_eq!(verify(other), Err(PlanError::NotAPlan));
    }
    assert_eq!(
        verify(&b""[..]).unwrap_err().to_string(),
        "the file is not a plan: it does not begin with `MESHPLAN`"
    );
}

#[test]
fn every_truncation_is_refused_and_says_how_much_is_missing() {
    let bytes = bytes();
    for length in 0..bytes.len() {
        let refused = verify(&bytes[..length]).unwrap_err();
        match length {
            0..8 => assert_eq!(refused, PlanError::NotAPlan),
            8..64 => assert_eq!(refused, PlanError::Truncated { says: 64, has: length as u64 }),
            _ => assert_eq!(refused, PlanError::Truncated { says: bytes.len() as u64, has: length as u64 }),
        }
    }
    let refused = verify(&bytes[..100]).unwrap_err().to_string();
    assert_eq!(refused, format!("the file is cut short: it says {} bytes and has 100", bytes.len()));
}

#[test]
fn bytes_after_the_end_are_refused() {
    let refused = verify([bytes(), vec![0; 4]].concat()).unwrap_err();
    assert_eq!(refused.to_string(), "the plan is damaged: there are bytes after its end");
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = bytes();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(flipped).is_err(), "bit {bit}");
    }
}

/// The sample with other bytes at a place of the header, sealed again.
fn with_header(at: usize, field: &[u8]) -> Result<PlanView, PlanError> {
    let mut bytes = bytes();
    bytes[at..at + field.len()].copy_from_slice(field);
    seal(&mut bytes);
    verify(bytes)
}

#[test]
fn a_newer_format_is_named_and_a_newer_minor_version_that_old_readers_know_is_read() {
    let supported = (2, 0);
    assert_eq!(with_header(AT_MAJOR, &[3, 0]), Err(PlanError::NewerFormat { found: (3, 0), supported }));
    assert_eq!(with_header(AT_MIN_READER, &[3, 0]), Err(PlanError::NewerFormat { found: (2, 3), supported }));
    assert!(with_header(AT_MINOR, &[7, 0]).is_ok());
    let older = PlanError::Corrupt { what: "it has a format version that is read no more" };
    assert_eq!(with_header(AT_MAJOR, &[1, 0]), Err(older));
    assert!(matches!(with_header(AT_FLAGS, &[1]), Err(PlanError::Corrupt { .. })));
}

/// The sample with one more section behind the others.
fn with_section(id: u16) -> Result<PlanView, PlanError> {
    let mut bytes = bytes();
    let table_end = HEADER_BYTES + Section::ALL.len() * ENTRY_BYTES;
    let offsets = (HEADER_BYTES..table_end).step_by(ENTRY_BYTES).map(|entry| entry + 4);
    for at in offsets {
        let moved = word(&bytes, at) + ENTRY_BYTES as u32;
        bytes[at..at + 4].copy_from_slice(&moved.to_le_bytes());
    }
    let end = (bytes.len() + ENTRY_BYTES) as u32;
    let entry =
        [&id.to_le_bytes()[..], &9u16.to_le_bytes(), &end.to_le_bytes(), &3u32.to_le_bytes()].concat();
    bytes.splice(table_end..table_end, entry);
    bytes.extend([1, 2, 3, 0]);
    bytes[AT_SECTIONS] += 1;
    let length = bytes.len() as u64;
    bytes[AT_LENGTH..AT_LENGTH + 8].copy_from_slice(&length.to_le_bytes());
    seal(&mut bytes);
    verify(bytes)
}

#[test]
fn an_unknown_section_is_skipped_only_where_it_may_be() {
    assert_eq!(with_section(OPTIONAL | 1).unwrap().to_plan(), samples::plan());
    let refused = with_section(99).unwrap_err();
    assert_eq!(refused, PlanError::Corrupt { what: "it has a section that this format does not have" });
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Plan), what: &'static str) {
    let mut plan = samples::plan();
    change(&mut plan);
    assert_eq!(verify(write(&plan)), Err(PlanError::Corrupt { what }));
}

#[test]
fn what_the_engine_relies_on_is_proved() {
    refused(|plan| plan.services.swap(0, 1), "services are not sorted");
    refused(|plan| plan.principals.swap(0, 1), "identities are not sorted");
    refused(|plan| plan.prefixes.swap(0, 1), "prefixes are not sorted");
    refused(|plan| plan.gateways.push(plan.gateways[0].clone()), "gateways are not sorted");
    refused(|plan| plan.services[0].ports.swap(0, 1), "ports are not sorted");
    refused(|plan| plan.services[1].subsets.swap(0, 1), "subsets are not sorted");
    refused(|plan| plan.services[1].subsets.truncate(1), "a port does not have the subsets of its service");
    refused(|plan| plan.services[1].ports[0].endpoints.swap(0, 1), "endpoints are not sorted");
    refused(|plan| plan.services[1].ports[0].endpoints[0].port = 0, "a port number is none");
    refused(|plan| plan.services[1].ports[0].number = 0, "a port number is none");
    refused(|plan| plan.services[0].ports[1].endpoints.swap(0, 1), "endpoints are not sorted");
    refused(
        |plan| plan.services[0].ports[1].endpoints[1].ip[15] = 1,
        "an endpoint has an address and a name",
    );
    refused(
        |plan| plan.services[1].ports[0].endpoints[0].is_outside = true,
        "whether a name is outside is not said",
    );
    refused(
        |plan| plan.services[1].ports[0].endpoints[0].is_asked = true,
        "whether a name is outside is not said",
    );
    refused(
        |plan| plan.services[0].ports[1].endpoints[0].is_asked = true,
        "endpoints are asked for and are not",
    );
    refused(
        |plan| plan.services[0].ports[1].endpoints[0].name = "*.one.test".to_owned(),
        "a pattern is looked up",
    );
    refused(
        |plan| plan.services[1].ports[0].subset_endpoints[0][1] = 3,
        "an endpoint of a subset is none of its port",
    );
    refused(
        |plan| plan.services[1].ports[0].subset_endpoints[0].swap(0, 1),
        "endpoints of a subset are not sorted",
    );
    refused(
        |plan| plan.services[1].ports[0].partition = 8,
        "a partition does not have the tables of its owner",
    );
    refused(|plan| plan.services[2].calls.swap(0, 1), "calls are not sorted");
    refused(|plan| plan.services[2].calls[0].port = 2, "a destination is no port of a service");
    refused(|plan| plan.services[2].hosts.swap(1, 2), "names of callees are not sorted");
    refused(|plan| plan.services[2].hosts[3].call = 2, "a name of a callee is of no call");
    refused(|plan| plan.services[2].principal = 5, "a workload has no identity");
    refused(|plan| plan.services[2].settings = 3, "settings are out of their table");
    refused(|plan| plan.gateways[0].listeners[0].number = 0, "a port number is none");
    refused(|plan| plan.gateways[0].listeners[0].hosts.swap(0, 1), "host patterns are not sorted");
    refused(
        |plan| plan.gateways[0].listeners[0].hosts[3].name = "all".to_owned(),
        "a host pattern is of no kind",
    );
    let route = ConsumerRoute { service: 0, port: 0, partition: 6 };
    refused(|plan| plan.services[2].consumer_routes.push(route), "consumer routes are not sorted");
    refused(|plan| plan.services[2].consumer_routes[0].port = 2, "a destination is no port of a service");
    refused(|plan| plan.gateways[0].consumer_routes[0].service = 3, "a destination is no port of a service");
    refused(
        |plan| plan.gateways[0].consumer_routes[0].partition = 0,
        "a partition does not have the tables of its owner",
    );
    refused(|plan| plan.partitions[0].roots.truncate(3), "a partition does not have the tables of its owner");
    refused(|plan| plan.default_settings = 3, "settings are out of their table");
}

#[test]
fn every_request_has_an_atom_and_every_walk_ends_in_the_right_table() {
    refused(|plan| plan.partitions[1].peers.own = 3, "a kind of peer has no atom");
    refused(|plan| plan.partitions[1].peers.principals[1].1 = 3, "a value has no atom");
    refused(|plan| plan.partitions[1].peers.principals[1].0 = 5, "a value has no atom");
    refused(|plan| plan.partitions[1].peers.prefixes[0].0 = 2, "a value has no atom");
    refused(
        |plan| plan.partitions[1].peers.principals.swap(0, 1),
        "what atoms are looked up by is not sorted",
    );
    refused(|plan| plan.partitions[1].star = 3, "a path has no atom");
    refused(|plan| plan.partitions[1].states.clear(), "a path is read in no way, or in two");
    refused(|plan| plan.partitions[1].path_automaton = Some(0), "a path is read in no way, or in two");
    refused(|plan| plan.partitions[2].path_automaton = Some(1), "a path has no atom");
    refused(|plan| plan.partitions[1].states[1].atom = 3, "a path has no atom");
    refused(|plan| plan.partitions[1].states[1].other = 3, "a segment leads nowhere");
    refused(|plan| plan.partitions[1].states[0].edges[0].1 = 3, "a segment leads nowhere");
    refused(
        |plan| plan.partitions[1].states[0].edges.insert(0, ("a".to_owned(), 1)),
        "a dictionary is not sorted",
    );
    refused(|plan| plan.partitions[1].fields[0].many = 5, "a field has no atom");
    refused(|plan| plan.partitions[1].fields[0].exact[0].1 = 5, "a value has no atom");
    refused(
        |plan| plan.partitions[1].fields[0].prefixes.swap(0, 1),
        "what atoms are looked up by is not sorted",
    );
    refused(
        |plan| plan.partitions[1].fields[0].name = "X-User".to_owned(),
        "a header's name is not lower-case",
    );
    refused(|plan| plan.partitions[2].fields[0].automaton = Some(1), "a field has no atom");
    refused(|plan| plan.partitions[2].fields[0].masks.truncate(5), "an atom has no mask");
    refused(
        |plan| plan.partitions[2].fields[0].unions.swap(0, 1),
        "what atoms are looked up by is not sorted",
    );
    refused(|plan| plan.partitions[2].fields[0].unions[0].1 = 6, "a value has no atom");
    refused(|plan| plan.partitions[2].fields[1].addresses.clear(), "only addresses are in ranges");
    refused(|plan| plan.partitions[2].fields[1].kind = FieldKind::Host, "only addresses are in ranges");
    refused(|plan| plan.partitions[2].fields[1].addresses[0].0[15] = 1, "an address is before all ranges");
    refused(
        |plan| plan.partitions[2].fields[1].addresses.swap(1, 2),
        "what atoms are looked up by is not sorted",
    );
    refused(|plan| plan.partitions[2].fields[1].addresses[1].1 = 2, "a value has no atom");
    let every_byte = "an automaton does not lead on with every byte";
    refused(|plan| plan.automata[0].classes[7] = 2, every_byte);
    refused(|plan| plan.automata[0].transitions.push(0), every_byte);
    refused(|plan| plan.automata[0].transitions[1] = 2, "an automaton leads nowhere");
    refused(|plan| plan.automata[0].accepts[1] = 3, "a path has no atom");
    refused(|plan| plan.nodes[1].dim = 4, "a node does not answer each atom");
    refused(|plan| plan.nodes[1].children.truncate(2), "a node does not answer each atom");
    refused(|plan| plan.nodes[1].children[1] = Target::Node(1), "a node leads to one that is not before it");
    refused(|plan| plan.nodes[3].children[0] = Target::Node(0), "a node leads into another partition");
    refused(|plan| plan.partitions[2].roots[0] = Target::Node(4), "a root leads into another partition");
    refused(|plan| plan.partitions[2].access = Target::Node(9), "a root leads into another partition");
    refused(|plan| plan.partitions[2].roots[0] = Target::Leaf(NONE), "a root leads nowhere");
    refused(|plan| plan.partitions[2].roots[0] = Target::Leaf(5), "a leaf is out of its table");
    refused(|plan| plan.partitions[2].access = Target::Leaf(2), "a leaf is out of its table");
    refused(|plan| plan.nodes[4].children[0] = Target::Leaf(2), "a leaf is out of its table");
    refused(|plan| plan.partitions[4].roots[0] = Target::Leaf(2), "a leaf is out of its table");
    refused(|plan| plan.partitions[7].roots[0] = Target::Leaf(5), "a leaf is out of its table");
    refused(|plan| plan.nodes[5].children[2] = Target::Leaf(5), "a leaf is out of its table");
    refused(|plan| plan.nodes[0].children[0] = Target::Leaf(5), "a leaf is out of its table");
}

#[test]
fn outcomes_and_settings_are_what_they_may_be() {
    fn backend(plan: &mut Plan) -> &mut Backend {
        match &mut plan.outcomes[0].action {
            Action::Forward(backends) => &mut backends[0],
            _ => panic!("the sample's first outcome forwards"),
        }
    }
    fn retry(plan: &mut Plan) -> &mut Retry {
        plan.settings[1].retry.as_mut().unwrap().as_mut().unwrap()
    }
    refused(|plan| backend(plan).weight += 1, "weights do not sum to a whole");
    refused(|plan| plan.outcomes[1].action = Action::Forward(vec![]), "weights do not sum to a whole");
    refused(|plan| backend(plan).service = 3, "a destination is no port of a service");
    refused(|plan| backend(plan).service = 2, "a destination is no port of a service");
    refused(|plan| backend(plan).subset = 0, "a backend neither enters nor ends");
    refused(
        |plan| *backend(plan) = Backend { subset: 2, enter: false, ..*backend(plan) },
        "a backend is no subset of its service",
    );
    refused(
        |plan| plan.outcomes[1].edits[11] = Edit::Abort { status: 99, share: 0 },
        "an abort has no status for it",
    );
    refused(
        |plan| plan.outcomes[1].edits[11] = Edit::Abort { status: 503, share: 10_001 },
        "an edit is of more than everything",
    );
    refused(
        |plan| plan.outcomes[1].edits[12] = Edit::Mirror { service: 9, port: 0, subset: NONE, share: 0 },
        "a destination is no port of a service",
    );
    refused(
        |plan| {
            let Some(Edit::RateLimit(limit)) = plan.outcomes[1].edits.last_mut() else {
                panic!("the sample's last edit is a limit")
            };
            limit.counting = Counting::Global { by: 2 };
        },
        "nobody counts for a limit",
    );
    let redirect = Action::Redirect { status: 304, location: "/".to_owned() };
    refused(|plan| plan.outcomes[2].action = redirect, "a redirect has no status for it");
    let respond = Action::Respond { status: 199, body: String::new() };
    refused(|plan| plan.outcomes[2].action = respond, "an answer has no status for it");
    refused(|plan| plan.outcomes[2].settings = 3, "settings are out of their table");
    refused(|plan| plan.grants[0].op_settings = 3, "settings are out of their table");
    refused(|plan| plan.settings[0].timeout = Some(Some(86_400_001)), "a timeout is too long");
    refused(|plan| retry(plan).count = 11, "a retry has no number for it");
    refused(|plan| retry(plan).buffer += 1 << 20, "a retry keeps too much");
    refused(|plan| retry(plan).backoff_cap = u32::MAX, "a retry waits too long");
    refused(|plan| retry(plan).on_status.push(200), "statuses are not sorted");
    refused(|plan| retry(plan).on_status[0] = 200, "a status is no error");
    refused(|plan| retry(plan).on_status[0] = 17, "a status is no error");
    refused(|plan| retry(plan).budget.as_mut().unwrap().share = 10_001, "a budget is more than everything");
}

#[test]
fn a_list_has_a_bit_for_every_candidate_whatever_the_request() {
    let no_node = "a list is not that of one node";
    refused(|plan| plan.nodes[6].dim = LIST | 1, no_node);
    refused(|plan| plan.lists.push(List::default()), no_node);
    refused(|plan| plan.lists.clear(), no_node);
    refused(|plan| plan.nodes[6].children[1] = Target::Node(0), "a candidate of a list has no leaf");
    refused(|plan| plan.nodes[6].children[1] = Target::Leaf(2), "a leaf is out of its table");
    refused(|plan| plan.lists[0].tests.swap(0, 1), "the tests of a list are not sorted");
    refused(|plan| plan.lists[0].tests[1].dim = 5, "a list does not answer each atom");
    refused(|plan| plan.lists[0].tests[0].rows.truncate(2), "a list does not answer each atom");
    refused(|plan| plan.lists[0].tests[0].rows[0][0] = 0b1000, "a row has a bit of no candidate");
    refused(
        |plan| plan.lists[0].beaten_by.truncate(2),
        "a list does not say of each candidate what beats it",
    );
    refused(|plan| plan.lists[0].beaten_by[2].swap(0, 1), "what beats a candidate is not sorted");
    refused(|plan| plan.lists[0].beaten_by[1][0] = 1, "a beater is no other candidate");
    refused(|plan| plan.lists[0].beaten_by[1][0] = 3, "a beater is no other candidate");
    refused(|plan| plan.partitions[3].fields[1].name = "01".to_owned(), "a segment has no number");
    let many = |plan: &mut Plan| {
        plan.nodes[6].children = vec![Target::Leaf(0); crate::layout::MAX_CANDIDATES as usize + 1];
    };
    refused(many, "a list has too many candidates");
    let tests = |plan: &mut Plan| {
        let dims = 0..=crate::layout::MAX_LIST_TESTS;
        plan.lists[0].tests = dims.map(|dim| ListTest { dim, rows: vec![] }).collect();
    };
    refused(tests, "a list has too many tests");
}

/// The sample with another word in a section, sealed again.
fn with_word(section: Section, place: u32, word: u32) -> Result<PlanView, PlanError> {
    let mut bytes = bytes();
    let view = verify(bytes.as_slice()).unwrap();
    let at = view.span(section).start as usize + 4 * place as usize;
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    seal(&mut bytes);
    verify(bytes)
}

/// The words of a dictionary of eight entries: their number, where four buckets end, the entries, two long texts.
const ENTRIES: u32 = 8;

/// The sample with eight first segments.
fn many_segments() -> Plan {
    let mut plan = samples::plan();
    let texts = ["", "a", "bb", "eight888", "a-long-segment", "another-segment", "c", "d"];
    let mut edges: Vec<(String, u32)> = texts.iter().map(|text| ((*text).to_owned(), 1)).collect();
    edges.sort();
    plan.partitions[1].states[0].edges = edges;
    plan
}

#[test]
fn a_dictionary_is_in_one_form() {
    let plan = many_segments();
    let bytes = encode(&plan).unwrap();
    let view = verify(bytes.as_slice()).unwrap();
    assert_eq!(view.to_plan(), plan);
    let states = view.partition(1).unwrap().states();
    for (text, _) in &plan.partitions[1].states[0].edges {
        assert!(states.get(0).unwrap().next(text).is_some(), "{text}");
        assert_eq!(states.atom_of(text.as_bytes()), Some(0), "{text}");
    }
    assert_eq!(states.atom_of(b"other"), None);
    let partition = Record::at(&view, Section::Partitions, 1).unwrap();
    let start = partition.range(crate::layout::partition::STATES).0 + crate::layout::state::WORDS;
    assert_eq!(view.words(Section::States, (start, 1)).get(0), Some(ENTRIES));
    let at = view.span(Section::States).start as usize;
    let refused = |word: u32, change: fn(u32) -> u32, what| {
        let mut bytes = bytes.clone();
        let at = at + 4 * (start + word) as usize;
        let own = word_at(&bytes, at);
        bytes[at..at + 4].copy_from_slice(&change(own).to_le_bytes());
        seal(&mut bytes);
        assert_eq!(verify(bytes), Err(PlanError::Corrupt { what }), "word {word}");
    };
    let (buckets, entries) = (4, 5);
    refused(0, |_| u32::MAX, "a dictionary is cut short");
    refused(buckets, |end| end - 1, "a bucket of a dictionary is out of it");
    refused(buckets - 1, |_| 9, "a bucket of a dictionary is out of it");
    refused(entries, |key| key ^ 0xff, "a text has the key of another");
    let long = (0..ENTRIES)
        .map(|entry| entries + 4 * entry + 2)
        .find(|word| view.words(Section::States, (start + word, 1)).get(0).unwrap() > 8)
        .unwrap();
    refused(long, |at| at + 1, "a dictionary is cut short");
    // Both long texts take five words.
    refused(long, |at| at + 5, "a text is not where it belongs");
    refused(long, |_| 0, "a text has the key of another");
    refused(long + 1, |_| 1, "a segment leads nowhere");
    // The bytes of a text behind its end: "a-long-segment" has 14.
    let rest = u32::from(b'n') | u32::from(b't') << 8;
    let end = view.words(Section::States, (start, 60)).iter().position(|word| word == rest);
    refused(end.unwrap() as u32, |word| word | 1 << 24, "a text ends badly");
}

/// The sample with a field of 200 atoms, of which 20 lead elsewhere than the others.
fn many_atoms() -> Plan {
    let mut plan = samples::plan();
    plan.partitions[0].fields[0].atoms = 200;
    let child = |atom: u32| Target::Leaf(if atom % 10 == 3 { 1 } else { 0 });
    plan.nodes[0].children = (0..200).map(child).collect();
    plan
}

#[test]
fn a_node_most_of_whose_atoms_lead_to_one_place_writes_down_the_others() {
    let plan = many_atoms();
    let bytes = encode(&plan).unwrap();
    let view = verify(bytes.as_slice()).unwrap();
    assert_eq!(view.to_plan(), plan);
    let (_, node) = view.nodes().next().unwrap();
    assert!(node.is_sparse() && node.exceptions() == 20);
    assert_eq!(node.targets().count(), 21);
    let children: Vec<Target> = (0..200).filter_map(|atom| node.child(atom)).collect();
    assert_eq!(children, plan.nodes[0].children);
    // Partition, dimension, children, exceptions, the others' target, five buckets' ends, the exceptions.
    let at = view.span(Section::Nodes).start as usize;
    let refused = |word: usize, change: fn(u32) -> u32, what| {
        let mut bytes = bytes.clone();
        let own = word_at(&bytes, at + 4 * word);
        bytes[at + 4 * word..][..4].copy_from_slice(&change(own).to_le_bytes());
        seal(&mut bytes);
        assert_eq!(verify(bytes), Err(PlanError::Corrupt { what }), "word {word}");
    };
    refused(2, |_| 199, "a node does not answer each atom");
    refused(3, |_| u32::MAX, "a node has no children");
    refused(4, |_| NONE, "a node leads nowhere");
    refused(5, |_| 21, "a bucket of a node is out of it");
    refused(9, |_| 19, "a bucket of a node is out of it");
    refused(10, |_| 200, "an atom is in the bucket of others");
    refused(10, |atom| atom + 1, "an atom is in the bucket of others");
    refused(11, |_| NONE, "a node leads nowhere");
    refused(11, |_| 77, "a leaf is out of its table");
}

#[test]
fn the_atoms_of_a_node_are_sorted() {
    let mut plan = many_atoms();
    plan.nodes[0].children = vec![Target::Leaf(0); 200];
    plan.nodes[0].children[4] = Target::Leaf(1);
    plan.nodes[0].children[7] = Target::Leaf(1);
    let bytes = encode(&plan).unwrap();
    let at = verify(bytes.as_slice()).unwrap().span(Section::Nodes).start as usize;
    let with = |atoms: [u32; 2]| {
        let mut bytes = bytes.clone();
        for (place, atom) in [5, 7].into_iter().zip(atoms) {
            bytes[at + 4 * place..][..4].copy_from_slice(&atom.to_le_bytes());
        }
        seal(&mut bytes);
        verify(bytes)
    };
    let unsorted = PlanError::Corrupt { what: "the atoms of a node are not sorted" };
    assert!(with([4, 7]).is_ok());
    assert_eq!(with([7, 4]), Err(unsorted.clone()));
    assert_eq!(with([7, 7]), Err(unsorted.clone()));
    assert_eq!(with([7, 200]), Err(unsorted));
}

#[test]
fn a_segment_of_any_length_is_found_wherever_it_stands() {
    let mut plan = samples::plan();
    let texts: Vec<String> =
        (1..30).map(|length| "abcdefghij".chars().cycle().take(length).collect()).collect();
    for first in &texts {
        // Behind the first segment any other is the second, which leads back.
        let edges = vec![(first.clone(), 1)];
        plan.partitions[1].states[0] = State { atom: 0, edges, other: NONE, empty: NONE };
        plan.partitions[1].states[1] = State { atom: 1, edges: vec![], other: 2, empty: NONE };
        plan.partitions[1].states[2] = State { atom: 2, edges: vec![], other: NONE, empty: NONE };
        let view = verify(encode(&plan).unwrap()).unwrap();
        let states = view.partition(1).unwrap().states();
        assert_eq!(states.atom_of(first.as_bytes()), Some(1), "{first}");
        for second in &texts {
            let path = format!("{first}/{second}");
            assert_eq!(states.atom_of(path.as_bytes()), Some(2), "{path}");
            assert_eq!(states.atom_of(format!("{path}/x").as_bytes()), None, "{path}");
            assert_eq!(states.atom_of(format!("x{path}").as_bytes()), None, "{path}");
        }
        assert_eq!(states.atom_of(format!("{first}/").as_bytes()), None, "an empty segment is another");
        assert_eq!(states.atom_of(format!("{first}0").as_bytes()), None);
    }
}

fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn names_lead_to_what_is_called_so() {
    // The first dictionary is that of five identities, whose entries begin behind three buckets' ends.
    let value = 1 + 3 + 3;
    let wrong = PlanError::Corrupt { what: "a name is that of something else" };
    let read: Vec<_> = (0..6).map(|principal| with_word(Section::Names, value, principal)).collect();
    assert_eq!(read.iter().filter(|read| read.is_ok()).count(), 1);
    assert_eq!(read.iter().filter(|read| read.as_ref().err() == Some(&wrong)).count(), 5);
    let view = verify(encode(&samples::plan()).unwrap()).unwrap();
    let web = view.service(2).unwrap();
    for (host, index) in web.hosts().iter().zip(0..) {
        let first = web.names_of_hosts().get(host.host().as_bytes()).unwrap();
        assert!(web.hosts().get(first).unwrap().is_same_host(host) && first <= index);
    }
    assert_eq!(web.names_of_hosts().get(b"nobody"), None);
    for (principal, index) in view.principals().iter().zip(0..) {
        assert_eq!(view.principal_by_identity(principal.identity()), Some(index));
    }
}

#[test]
fn strings_are_text() {
    let mut bytes = bytes();
    // The last string of the heap: with another end it is still in its place.
    let at = bytes.windows(6).position(|window| window == b"x-user").unwrap();
    bytes[at + 5] = 0xff;
    seal(&mut bytes);
    assert_eq!(verify(bytes), Err(PlanError::Corrupt { what: "a string is not UTF-8" }));
}

/// Every bit, sealed again: refused, or a plan that can be read from end to end.
#[test]
fn no_bytes_make_the_reader_panic() {
    let bytes = bytes();
    let mut read = 0;
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        seal(&mut flipped);
        if let Ok(plan) = verify(flipped.as_slice()) {
            // The digest's own bits are written by the seal.
            read += usize::from(flipped != bytes);
            assert!(!crate::text(&plan).is_empty());
            assert_eq!(verify(write(&plan.to_plan())).unwrap().to_plan(), plan.to_plan());
        }
    }
    assert!(read > 1_000, "{read}: names, numbers and atoms may be others");
}

#[test]
fn who_must_answer_is_who_is_asked_for_where_nobody_else_is_said() {
    let verified = |is_asked: bool, trust: Trust| {
        let mut plan = samples::plan();
        let own = &mut plan.services[0];
        own.tls = Some(OutsideTls { name: String::new(), trust, certificate: String::new() });
        for port in &mut own.ports {
            port.mtls = Mtls::None;
            for endpoint in &mut port.endpoints {
                (endpoint.is_outside, endpoint.is_asked) = (true, is_asked);
            }
        }
        verify(write(&plan)).map(drop)
    };
    assert_eq!(verified(true, Trust::System), Ok(()));
    assert_eq!(verified(false, Trust::Anyone), Ok(()));
    assert_eq!(
        verified(false, Trust::System),
        Err(PlanError::Corrupt { what: "who must answer is not said" })
    );
}
