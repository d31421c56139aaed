//! One more than there is, or than there may be, of everything that a plan counts.

use super::*;
use crate::layout::*;

/// Word of a record, and the table that it is a reference to.
type Reference = (Section, u32, Section);

/// Every word that refers to a record of another table, or is the first of the two of a range in it.
fn references() -> (Vec<Reference>, Vec<Reference>) {
    use Section::*;
    let single = vec![
        (Mesh, mesh::TRUST_DOMAIN, Strings),
        (Mesh, mesh::DEFAULT_SETTINGS, Settings),
        (Principals, principal::IDENTITY, Strings),
        (Prefixes, 0, Strings),
        (Services, service::NAME, Strings),
        (Services, service::OWNER, Strings),
        (Services, service::PRINCIPAL, Principals),
        (Services, service::SETTINGS, Settings),
        (Ports, port::NAME, Strings),
        (Ports, port::PARTITION, Partitions),
        (Subsets, 0, Strings),
        (Calls, call::SERVICE, Services),
        (Calls, call::PARTITION, Partitions),
        (CallHosts, call_host::HOST, Strings),
        (Gateways, gateway::NAME, Strings),
        (Gateways, gateway::OWNER, Strings),
        (Gateways, gateway::PRINCIPAL, Principals),
        (Listeners, listener::NAME, Strings),
        (Listeners, listener::PARTITION, Partitions),
        (Listeners, listener::CLIENT_CA, Strings),
        (Certificates, 0, Strings),
        (Hosts, host::NAME, Strings),
        (Partitions, partition::PATH_AUTOMATON, Automata),
        (PeerPrincipals, pair::KEY, Principals),
        (PeerPrefixes, pair::KEY, Prefixes),
        (Fields, field::NAME, Strings),
        (Fields, field::ISSUER, Strings),
        (Fields, field::AUTOMATON, Automata),
        (FieldPrefixes, pair::KEY, Values),
        (Outcomes, outcome::RULE, Strings),
        (Outcomes, outcome::SETTINGS, Settings),
        (Backends, backend::SERVICE, Services),
        (Verdicts, verdict::RULE, Strings),
        (Verdicts, verdict::AUDIT, Strings),
        (Asked, 0, Authorities),
        (Authorities, authority::NAME, Strings),
        (Authorities, authority::SERVICE, Services),
        (Grants, grant::OP_SETTINGS, Settings),
        (Grants, grant::SETTINGS, Settings),
        (ConsumerRoutes, consumer_route::SERVICE, Services),
        (ConsumerRoutes, consumer_route::PARTITION, Partitions),
        (ListRows, 0, ListBits),
        (Vectors, vector::PARTITION, Partitions),
        (Vectors, vector::PEER, Strings),
        (Vectors, vector::PATH, Strings),
        (Facts, fact::NAME, Strings),
        (Facts, fact::POINTER, Strings),
        (Facts, fact::VALUE, Strings),
        (Services, service::TLS, OutsideTls),
        (OutsideTls, outside_tls::NAME, Strings),
        (OutsideTls, outside_tls::AUTHORITY, Strings),
        (OutsideTls, outside_tls::CERTIFICATE, Strings),
    ];
    let ranges = vec![
        (Mesh, mesh::IDENTITIES, Names),
        (Mesh, mesh::NAMES_OF_PREFIXES, Names),
        (Services, service::PORTS, Ports),
        (Services, service::SUBSETS, Subsets),
        (Services, service::CALLS, Calls),
        (Services, service::HOSTS, CallHosts),
        (Services, service::LIMITS, Edits),
        (Services, service::CONSUMER_ROUTES, ConsumerRoutes),
        (Services, service::NAMES_OF_HOSTS, Names),
        (Ports, port::ENDPOINTS, Endpoints),
        (Ports, port::SUBSET_ENDPOINTS, SubsetEndpoints),
        (SubsetEndpoints, subset_endpoints::MEMBERS, Members),
        (Gateways, gateway::LISTENERS, Listeners),
        (Gateways, gateway::LIMITS, Edits),
        (Gateways, gateway::CONSUMER_ROUTES, ConsumerRoutes),
        (Listeners, listener::HOSTS, Hosts),
        (Listeners, listener::LIMITS, Edits),
        (Listeners, listener::CERTIFICATES, Certificates),
        (Partitions, partition::PEER_PRINCIPALS, PeerPrincipals),
        (Partitions, partition::PEER_PREFIXES, PeerPrefixes),
        (Partitions, partition::STATES, States),
        (Partitions, partition::FIELDS, Fields),
        (Partitions, partition::ROOTS, Roots),
        (Fields, field::EXACT, FieldValues),
        (Fields, field::PREFIXES, FieldPrefixes),
        (Fields, field::ADDRESSES, FieldAddresses),
        (Fields, field::MASKS, FieldMasks),
        (Fields, field::UNIONS, FieldUnions),
        (Automata, automaton::TRANSITIONS, Transitions),
        (Automata, automaton::ACCEPTS, Accepts),
        (Outcomes, outcome::EDITS, Edits),
        (Verdicts, verdict::ASKS, Asked),
        (Retries, retry::STATUSES, Statuses),
        (Lists, list::TESTS, ListTests),
        (Lists, list::BEATEN, ListBeaten),
        (ListTests, list_test::ROWS, ListRows),
        (ListBeaten, list_beaten::BEATERS, ListBeaters),
        (Vectors, vector::FACTS, Facts),
    ];
    (single, ranges)
}

/// The sample with another word at a place, sealed again.
fn with_word(plan: &PlanView, at: usize, word: u32) -> Result<PlanView, PlanError> {
    let mut bytes = plan.bytes().to_vec();
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    seal(&mut bytes);
    verify(bytes)
}

#[track_caller]
fn is_damaged(result: Result<PlanView, PlanError>, what: &str) {
    assert!(matches!(result, Err(PlanError::Corrupt { .. })), "{what}: {result:?}");
}

#[test]
fn a_reference_to_one_more_than_there_is_is_refused_in_every_record_of_every_table() {
    let plan = verify(bytes()).unwrap();
    let (single, ranges) = references();
    let mut tried = 0;
    for (table, field, target) in single {
        let (own, most) = (plan.span(table), plan.span(target).count);
        assert!(own.count > 0, "the sample has {table:?}");
        for record in 0..own.count as usize {
            let at = own.start as usize + record * table.record_bytes() + 4 * field as usize;
            is_damaged(with_word(&plan, at, most), &format!("word {field} of {table:?} {record}"));
            tried += 1;
        }
    }
    for (table, field, target) in ranges {
        let (own, most) = (plan.span(table), plan.span(target).count);
        assert!(own.count > 0, "the sample has {table:?}");
        for record in 0..own.count as usize {
            let at = own.start as usize + record * table.record_bytes() + 4 * field as usize;
            let (start, count) = (word(plan.bytes(), at), word(plan.bytes(), at + 4));
            let what = format!("range {field} of {table:?} {record}");
            is_damaged(with_word(&plan, at, start + 1), &what);
            is_damaged(with_word(&plan, at + 4, count + 1), &what);
            is_damaged(with_word(&plan, at + 4, most - start + 1), &what);
            is_damaged(with_word(&plan, at + 4, u32::MAX), &what);
            tried += 4;
        }
    }
    assert!(tried > 600, "{tried}");
}

/// The sample with other bytes in one section.
fn with_table(plan: &PlanView, section: Section, table: &[u8]) -> Result<PlanView, PlanError> {
    let mut bytes = plan.bytes()[..HEADER_BYTES + Section::ALL.len() * ENTRY_BYTES].to_vec();
    for (own, index) in Section::ALL.into_iter().zip(0..) {
        let span = plan.span(own);
        let old = &plan.bytes()[span.start as usize..(span.start + span.length) as usize];
        let content = if own == section { table } else { old };
        let entry = HEADER_BYTES + index * ENTRY_BYTES;
        let (start, length) = (bytes.len() as u32, content.len() as u32);
        bytes[entry + 4..entry + 8].copy_from_slice(&start.to_le_bytes());
        bytes[entry + 8..entry + 12].copy_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let length = bytes.len() as u64;
    bytes[AT_LENGTH..DIGEST].copy_from_slice(&length.to_le_bytes());
    seal(&mut bytes);
    verify(bytes)
}

/// Tables of which nobody owns a record: one that nothing refers to is never looked at. What is twice in a heap is refused elsewhere.
const FREE: [Section; 7] = [
    Section::Strings,
    Section::Values,
    Section::Outcomes,
    Section::Verdicts,
    Section::Authorities,
    Section::Grants,
    Section::ListBits,
];

#[test]
fn a_table_with_a_record_more_or_less_or_with_half_a_record_is_refused() {
    let plan = verify(bytes()).unwrap();
    for section in Section::ALL {
        let span = plan.span(section);
        let table = &plan.bytes()[span.start as usize..(span.start + span.length) as usize];
        assert_eq!(with_table(&plan, section, table), Ok(plan.clone()), "as it was");
        let record = section.record_bytes();
        let what = format!("{section:?}");
        is_damaged(with_table(&plan, section, &table[..table.len() - record]), &what);
        is_damaged(with_table(&plan, section, &[table, &[0]].concat()), &what);
        if !FREE.contains(&section) {
            is_damaged(with_table(&plan, section, &[table, &table[table.len() - record..]].concat()), &what);
        }
    }
}

/// A small plan that stands for one that is too large to be written out.
#[test]
fn children_that_are_not_written_and_bits_that_are_shared_have_a_limit() {
    let sparse = |children: u32| {
        // Of no partition: nobody says how many atoms there are.
        let node = [NONE, node::SPARSE, children, 0, REFUSED].map(u32::to_le_bytes).concat();
        let plan = verify(bytes()).unwrap();
        let nodes = plan.span(Section::Nodes);
        let own = &plan.bytes()[nodes.start as usize..(nodes.start + nodes.length) as usize];
        with_table(&plan, Section::Nodes, &[own, &node].concat())
    };
    assert!(sparse(1_000).is_ok());
    let too_many = PlanError::Corrupt { what: "its nodes have too many children" };
    assert_eq!(sparse(MAX_CHILDREN as u32), Err(too_many.clone()), "with those of the others");
    assert_eq!(sparse(u32::MAX), Err(too_many));
    // A row for each kind of peer, all of them the same.
    let words = MAX_CANDIDATES.div_ceil(u64::BITS) as usize;
    let peers = (MAX_ROW_BITS as usize / words) as u32;
    let list = |plan: &mut Plan| {
        plan.partitions[3].peers.atoms = peers;
        plan.nodes[6].children = vec![Target::Leaf(0); MAX_CANDIDATES as usize];
        let of_peer = ListTest { dim: 0, rows: vec![vec![0; words]; peers as usize] };
        let of_segment = ListTest { dim: 4, rows: vec![vec![0; words]; 4] };
        plan.lists[0] = List { tests: vec![of_peer, of_segment], beaten_by: vec![] };
    };
    refused(list, "its lists have too many bits");
}

#[test]
fn a_section_more_than_there_may_be_and_a_byte_more_than_there_may_be_are_refused() {
    let too_many = PlanError::Corrupt { what: "it has too many sections" };
    let sections = (MAX_SECTIONS + 1) as u16;
    assert_eq!(with_header(AT_SECTIONS, &sections.to_le_bytes()), Err(too_many));
    let mut bytes = vec![0; MAX_PLAN_BYTES + 4];
    bytes[..HEADER_BYTES].copy_from_slice(&self::bytes()[..HEADER_BYTES]);
    let length = bytes.len() as u64;
    bytes[AT_LENGTH..DIGEST].copy_from_slice(&length.to_le_bytes());
    let limit = MAX_PLAN_BYTES as u64;
    assert_eq!(verify(bytes), Err(PlanError::TooBig { has: length, limit }));
}
