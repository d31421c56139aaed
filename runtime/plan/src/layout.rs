//! Where everything stands in the bytes of a plan. Mirrors `spec/plan-format.md`; a change here is a change there.
//!
//! A plan is a header, a table of sections and the sections, all little-endian and aligned to four bytes. A section is
//! a heap of byte strings or a table of records of one size, and a record is a row of `u32` words: indices into other
//! tables, ranges `(start, count)` in them, and numbers. Records that belong to an owner stand together, in the
//! order of their owners and without a gap, so that one pass can prove every range.

/// Writes the digest of a finished plan into its header. Bytes too short for a header stay as they are.
pub fn seal(bytes: &mut [u8]) {
    let digest = digest_of(bytes);
    if let Some(place) = bytes.get_mut(DIGEST..HEADER_BYTES) {
        place.copy_from_slice(&digest);
    }
}

/// The digest that the header of these bytes ought to hold: of everything but the digest itself.
pub fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bytes.get(..DIGEST).unwrap_or(bytes));
    hasher.update(bytes.get(HEADER_BYTES..).unwrap_or_default());
    *hasher.finalize().as_bytes()
}

/// The first bytes of every plan.
pub const MAGIC: [u8; 8] = *b"MESHPLAN";
/// Another major version is another format: nothing after it can be read.
pub const MAJOR: u16 = 1;
/// A higher minor version only adds sections. Plans that need none of them say 0.
pub const MINOR: u16 = 1;

// Offsets in the header, in bytes.
/// u16
pub const AT_MAJOR: usize = 8;
/// u16
pub const AT_MINOR: usize = 10;
/// u16: the lowest minor version whose readers understand this plan.
pub const AT_MIN_READER: usize = 12;
/// u16: the number of sections.
pub const AT_SECTIONS: usize = 14;
/// u64: no flag has a meaning yet.
pub const AT_FLAGS: usize = 16;
/// u64: length of the whole plan in bytes.
pub const AT_LENGTH: usize = 24;
/// 32 bytes: BLAKE3-256.
pub const DIGEST: usize = 32;
/// Length of the header.
pub const HEADER_BYTES: usize = 64;

/// Length of an entry of the section table: id u16, version u16, offset u32, length u32.
pub const ENTRY_BYTES: usize = 12;
/// Sections with this bit in their id may be skipped by a reader that does not know them.
pub const OPTIONAL: u16 = 0x8000;
/// The version of every section that this reader knows.
pub const SECTION_VERSION: u16 = 1;

/// A plan of 100,000 rules is about 20 MB; a file ten times as big is a mistake, and offsets stay far from 4 GiB.
pub const MAX_PLAN_BYTES: usize = 256 << 20;
/// Room for optional sections beside those of this version, none for a table that is itself a burden.
pub const MAX_SECTIONS: usize = 64;
/// How many routes a request may enter after the first: nine draws of 10,000 still fit exact odds in 128 bits, and
/// nobody follows a longer chain.
pub const MAX_ENTER_DEPTH: u32 = 8;
/// The language ends at 24 h.
pub const MAX_MILLISECONDS: u32 = 24 * 60 * 60 * 1_000;
/// The language ends at ten retries.
pub const MAX_RETRIES: u32 = 10;
/// The language ends at 1 MiB: it is kept in memory for every request in flight.
pub const MAX_RETRY_BUFFER: u32 = 1 << 20;
/// A list has a bit for each candidate and dimension, and a decision keeps those of one row on its stack: a kilobyte.
pub const MAX_CANDIDATES: u32 = 8_192;
/// A decision on a list looks at a row of bits for each of its tests: a line and a half of cache for a thousand candidates.
pub const MAX_LIST_TESTS: u32 = 64;
/// A whole in basis points: weights of a split sum to it.
pub const WHOLE: u32 = 10_000;

/// What a reference word holds where there is none.
pub use crate::plan::NONE;
/// In a target word: the rest is the index of a node. Without it the word is a leaf.
pub const NODE: u32 = 0x8000_0000;

/// The sections of this version, in the order of their ids, which is the order in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Section {
    /// Heap of UTF-8 strings, sorted, each once.
    Strings = 1,
    /// Heap of values that fields are compared with, sorted, each once.
    Values = 2,
    Mesh = 3,
    Principals = 4,
    Prefixes = 5,
    Services = 6,
    Ports = 7,
    Endpoints = 8,
    SubsetEndpoints = 9,
    Members = 10,
    Subsets = 11,
    Calls = 12,
    CallHosts = 13,
    Gateways = 14,
    Listeners = 15,
    Hosts = 16,
    Partitions = 17,
    PeerPrincipals = 18,
    PeerPrefixes = 19,
    States = 20,
    Edges = 21,
    Fields = 22,
    FieldValues = 23,
    FieldPrefixes = 24,
    Roots = 25,
    Nodes = 26,
    Children = 27,
    Outcomes = 28,
    Backends = 29,
    Verdicts = 30,
    Grants = 31,
    Settings = 32,
    Retries = 33,
    Statuses = 34,
    Automata = 35,
    Transitions = 36,
    Accepts = 37,
    FieldAddresses = 38,
    FieldMasks = 39,
    FieldUnions = 40,
    Edits = 41,
    ConsumerRoutes = 42,
    Lists = 43,
    ListTests = 44,
    ListRows = 45,
    ListBits = 46,
    ListBeaten = 47,
    ListBeaters = 48,
}

impl Section {
    /// All of them.
    pub const ALL: [Section; 48] = {
        use Section::*;
        [
            Strings,
            Values,
            Mesh,
            Principals,
            Prefixes,
            Services,
            Ports,
            Endpoints,
            SubsetEndpoints,
            Members,
            Subsets,
            Calls,
            CallHosts,
            Gateways,
            Listeners,
            Hosts,
            Partitions,
            PeerPrincipals,
            PeerPrefixes,
            States,
            Edges,
            Fields,
            FieldValues,
            FieldPrefixes,
            Roots,
            Nodes,
            Children,
            Outcomes,
            Backends,
            Verdicts,
            Grants,
            Settings,
            Retries,
            Statuses,
            Automata,
            Transitions,
            Accepts,
            FieldAddresses,
            FieldMasks,
            FieldUnions,
            Edits,
            ConsumerRoutes,
            Lists,
            ListTests,
            ListRows,
            ListBits,
            ListBeaten,
            ListBeaters,
        ]
    };

    /// Whether only plans of format 1.1 have it: those with a list, or with a segment as a field.
    pub fn is_of_lists(self) -> bool {
        self >= Section::Lists
    }

    /// The section of an id.
    pub fn of_id(id: u16) -> Option<Section> {
        Section::ALL.into_iter().find(|section| *section as u16 == id)
    }

    /// Position in [`Section::ALL`].
    pub fn index(self) -> usize {
        self as usize - 1
    }

    /// Whether it is a heap of byte strings and not a table.
    pub fn is_heap(self) -> bool {
        matches!(self, Section::Strings | Section::Values)
    }

    /// Size of a record in bytes; of a heap 1.
    pub fn record_bytes(self) -> usize {
        match self {
            Section::Strings | Section::Values => 1,
            Section::Statuses | Section::Transitions => 2,
            table => table.words() as usize * 4,
        }
    }

    /// Size of a record in words.
    fn words(self) -> u32 {
        match self {
            Section::Strings | Section::Values | Section::Statuses | Section::Transitions => 0,
            Section::Mesh => mesh::WORDS,
            Section::Principals => principal::WORDS,
            Section::Prefixes
            | Section::Subsets
            | Section::Members
            | Section::Roots
            | Section::Children
            | Section::Accepts
            | Section::FieldMasks
            | Section::ListRows
            | Section::ListBeaters => 1,
            Section::Services => service::WORDS,
            Section::Ports => port::WORDS,
            Section::Endpoints => endpoint::WORDS,
            Section::SubsetEndpoints => subset_endpoints::WORDS,
            Section::Calls => call::WORDS,
            Section::CallHosts => call_host::WORDS,
            Section::Gateways => gateway::WORDS,
            Section::Listeners => listener::WORDS,
            Section::Hosts => host::WORDS,
            Section::Partitions => partition::WORDS,
            Section::PeerPrincipals
            | Section::PeerPrefixes
            | Section::Edges
            | Section::FieldValues
            | Section::FieldPrefixes
            | Section::FieldUnions => pair::WORDS,
            Section::States => state::WORDS,
            Section::Fields => field::WORDS,
            Section::FieldAddresses => address::WORDS,
            Section::Automata => automaton::WORDS,
            Section::Nodes => node::WORDS,
            Section::Outcomes => outcome::WORDS,
            Section::Backends => backend::WORDS,
            Section::Verdicts => verdict::WORDS,
            Section::Grants => grant::WORDS,
            Section::Settings => settings::WORDS,
            Section::Retries => retry::WORDS,
            Section::Edits => edit::WORDS,
            Section::ConsumerRoutes => consumer_route::WORDS,
            Section::Lists => list::WORDS,
            Section::ListTests => list_test::WORDS,
            Section::ListBits => 2,
            Section::ListBeaten => list_beaten::WORDS,
        }
    }

    /// What a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Section::Strings => "strings",
            Section::Values => "values",
            Section::Mesh => "mesh",
            Section::Principals => "principals",
            Section::Prefixes => "prefixes",
            Section::Services => "services",
            Section::Ports => "ports",
            Section::Endpoints => "endpoints",
            Section::SubsetEndpoints => "subset endpoints",
            Section::Members => "members",
            Section::Subsets => "subsets",
            Section::Calls => "calls",
            Section::CallHosts => "call hosts",
            Section::Gateways => "gateways",
            Section::Listeners => "listeners",
            Section::Hosts => "hosts",
            Section::Partitions => "partitions",
            Section::PeerPrincipals => "peer principals",
            Section::PeerPrefixes => "peer prefixes",
            Section::States => "states",
            Section::Edges => "edges",
            Section::Fields => "fields",
            Section::FieldValues => "field values",
            Section::FieldPrefixes => "field prefixes",
            Section::Roots => "roots",
            Section::Nodes => "nodes",
            Section::Children => "children",
            Section::Outcomes => "outcomes",
            Section::Backends => "backends",
            Section::Verdicts => "verdicts",
            Section::Grants => "grants",
            Section::Settings => "settings",
            Section::Retries => "retries",
            Section::Statuses => "statuses",
            Section::Automata => "automata",
            Section::Transitions => "transitions",
            Section::Accepts => "accepts",
            Section::FieldAddresses => "field addresses",
            Section::FieldMasks => "field masks",
            Section::FieldUnions => "field unions",
            Section::Edits => "edits",
            Section::ConsumerRoutes => "consumer routes",
            Section::Lists => "lists",
            Section::ListTests => "list tests",
            Section::ListRows => "list rows",
            Section::ListBits => "list bits",
            Section::ListBeaten => "list beaten",
            Section::ListBeaters => "list beaters",
        }
    }
}

// The words of each record. A range takes two words, the start and the count; only the first is named.

/// The mesh: exactly one record.
pub mod mesh {
    pub const TRUST_DOMAIN: u32 = 0;
    pub const DEFAULT_SETTINGS: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// An identity.
pub mod principal {
    pub const IDENTITY: u32 = 0;
    pub const GATEWAY: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// A service.
pub mod service {
    pub const NAME: u32 = 0;
    pub const OWNER: u32 = 1;
    pub const PRINCIPAL: u32 = 2;
    pub const SETTINGS: u32 = 3;
    pub const PORTS: u32 = 4;
    pub const SUBSETS: u32 = 6;
    pub const CALLS: u32 = 8;
    pub const HOSTS: u32 = 10;
    pub const LIMITS: u32 = 12;
    pub const CONSUMER_ROUTES: u32 = 14;
    pub const WORDS: u32 = 16;
}

/// A port of a service.
pub mod port {
    pub const NUMBER: u32 = 0;
    pub const NAME: u32 = 1;
    pub const PARTITION: u32 = 2;
    pub const ENDPOINTS: u32 = 3;
    pub const SUBSET_ENDPOINTS: u32 = 5;
    pub const WORDS: u32 = 7;
}

/// Where an instance listens: sixteen address bytes in network order, then the port.
pub mod endpoint {
    pub const PORT: u32 = 4;
    pub const WORDS: u32 = 5;
}

/// The endpoints of one subset at one port.
pub mod subset_endpoints {
    pub const MEMBERS: u32 = 0;
    pub const WORDS: u32 = 2;
}

/// A declared call.
pub mod call {
    pub const SERVICE: u32 = 0;
    pub const PORT: u32 = 1;
    pub const PARTITION: u32 = 2;
    pub const WORDS: u32 = 3;
}

/// A name by which a callee is called.
pub mod call_host {
    pub const HOST: u32 = 0;
    pub const CALL: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// A caller's own route for a port of a callee.
pub mod consumer_route {
    pub const SERVICE: u32 = 0;
    pub const PORT: u32 = 1;
    pub const PARTITION: u32 = 2;
    pub const WORDS: u32 = 3;
}

/// A gateway.
pub mod gateway {
    pub const NAME: u32 = 0;
    pub const OWNER: u32 = 1;
    pub const PRINCIPAL: u32 = 2;
    pub const LISTENERS: u32 = 3;
    pub const LIMITS: u32 = 5;
    pub const CONSUMER_ROUTES: u32 = 7;
    pub const WORDS: u32 = 9;
}

/// A listener of a gateway.
pub mod listener {
    pub const NAME: u32 = 0;
    pub const NUMBER: u32 = 1;
    pub const PARTITION: u32 = 2;
    pub const HOSTS: u32 = 3;
    pub const LIMITS: u32 = 5;
    pub const WORDS: u32 = 7;
}

/// A host pattern.
pub mod host {
    pub const KIND: u32 = 0;
    pub const NAME: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// The dimensions of a decision.
pub mod partition {
    pub const PEER_ATOMS: u32 = 0;
    pub const PEER_PRINCIPALS: u32 = 1;
    pub const PEER_PREFIXES: u32 = 3;
    pub const PEER_OWN: u32 = 5;
    pub const PEER_GATEWAY: u32 = 6;
    pub const PEER_FOREIGN: u32 = 7;
    pub const PEER_NONE: u32 = 8;
    pub const STATES: u32 = 9;
    pub const PATH_ATOMS: u32 = 11;
    pub const STAR: u32 = 12;
    pub const FIELDS: u32 = 13;
    pub const ACCESS: u32 = 15;
    pub const ROOTS: u32 = 16;
    pub const PATH_AUTOMATON: u32 = 18;
    pub const WORDS: u32 = 19;
}

/// A key and what it maps to: principal or prefix to atom, segment to state, value, prefix or mask
/// to atom.
pub mod pair {
    pub const KEY: u32 = 0;
    pub const VALUE: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// A state of the path automaton; its number counts from the partition's first state.
pub mod state {
    pub const ATOM: u32 = 0;
    pub const EDGES: u32 = 1;
    pub const OTHER: u32 = 3;
    pub const EMPTY: u32 = 4;
    pub const WORDS: u32 = 5;
}

/// What of a request something asks.
pub mod field {
    pub const KIND: u32 = 0;
    pub const NAME: u32 = 1;
    pub const ISSUER: u32 = 2;
    pub const ATOMS: u32 = 3;
    pub const ABSENT: u32 = 4;
    pub const MANY: u32 = 5;
    pub const ODD: u32 = 6;
    pub const OTHER: u32 = 7;
    pub const EXACT: u32 = 8;
    pub const PREFIXES: u32 = 10;
    pub const AUTOMATON: u32 = 12;
    pub const ADDRESSES: u32 = 13;
    pub const MASKS: u32 = 15;
    pub const UNIONS: u32 = 17;
    pub const WORDS: u32 = 19;
}

/// The first address of a range: sixteen bytes in network order, then the atom.
pub mod address {
    pub const ATOM: u32 = 4;
    pub const WORDS: u32 = 5;
}

/// A deterministic automaton over bytes: 256 bytes, the class of each byte, then how many classes there are.
pub mod automaton {
    pub const CLASS_BYTES: usize = 256;
    pub const CLASSES: u32 = 64;
    pub const TRANSITIONS: u32 = 65;
    pub const ACCEPTS: u32 = 67;
    pub const WORDS: u32 = 69;
}

/// A node of a decision diagram.
pub mod node {
    /// The partition whose dimensions it asks; NONE where no root reaches it.
    pub const PARTITION: u32 = 0;
    pub const DIM: u32 = 1;
    pub const CHILDREN: u32 = 2;
    pub const WORDS: u32 = 4;
}

/// Candidates in order.
pub mod list {
    /// How many there are.
    pub const CANDIDATES: u32 = 0;
    pub const TESTS: u32 = 1;
    pub const BEATEN: u32 = 3;
    pub const WORDS: u32 = 5;
}

/// What a dimension says of the candidates of a list.
pub mod list_test {
    pub const DIM: u32 = 0;
    pub const ROWS: u32 = 1;
    pub const WORDS: u32 = 3;
}

/// What beats a candidate.
pub mod list_beaten {
    pub const BEATERS: u32 = 0;
    pub const WORDS: u32 = 2;
}

/// What a route decides. The last two words depend on the kind.
pub mod outcome {
    pub const RULE: u32 = 0;
    pub const SETTINGS: u32 = 1;
    pub const KIND: u32 = 2;
    pub const FIRST: u32 = 3;
    pub const SECOND: u32 = 4;
    pub const EDITS: u32 = 5;
    pub const WORDS: u32 = 7;

    /// A range of backends.
    pub const FORWARD: u32 = 0;
    /// Status and location.
    pub const REDIRECT: u32 = 1;
    /// Status and body.
    pub const RESPOND: u32 = 2;
}

/// What a rule changes. The words after the kind depend on it; those it does not need are 0.
pub mod edit {
    pub const KIND: u32 = 0;
    pub const FIRST: u32 = 1;
    pub const SECOND: u32 = 2;
    pub const THIRD: u32 = 3;
    pub const SHARE: u32 = 4;
    pub const FLAGS: u32 = 5;
    pub const WORDS: u32 = 6;

    /// A path.
    pub const PATH: u32 = 0;
    /// From and to.
    pub const PREFIX: u32 = 1;
    /// A host.
    pub const HOST: u32 = 2;
    /// A scheme.
    pub const SCHEME: u32 = 3;
    /// Name and value; so are the next.
    pub const SET_REQUEST_HEADER: u32 = 4;
    pub const ADD_REQUEST_HEADER: u32 = 5;
    /// A name.
    pub const REMOVE_REQUEST_HEADER: u32 = 6;
    pub const SET_RESPONSE_HEADER: u32 = 7;
    pub const ADD_RESPONSE_HEADER: u32 = 8;
    pub const REMOVE_RESPONSE_HEADER: u32 = 9;
    /// Milliseconds and share.
    pub const DELAY: u32 = 10;
    /// Status and share.
    pub const ABORT: u32 = 11;
    /// Service, port, subset and share.
    pub const MIRROR: u32 = 12;
    /// Bytes: the low word, then the high one.
    pub const MAX_REQUEST_BODY: u32 = 13;
    /// Count, milliseconds, burst; the header names where others have their share; flags.
    pub const RATE_LIMIT: u32 = 14;

    /// Bits of the flags.
    pub const BY_SOURCE_IP: u32 = 1;
    pub const AUDIT: u32 = 2;
}

/// One destination of a split.
pub mod backend {
    pub const SERVICE: u32 = 0;
    pub const PORT: u32 = 1;
    pub const SUBSET: u32 = 2;
    pub const ENTER: u32 = 3;
    pub const WEIGHT: u32 = 4;
    pub const WORDS: u32 = 5;
}

/// What an authorization decides.
pub mod verdict {
    pub const ALLOW: u32 = 0;
    pub const RULE: u32 = 1;
    pub const AUDIT: u32 = 2;
    pub const WORDS: u32 = 3;
}

/// That a call is declared.
pub mod grant {
    pub const OP_SETTINGS: u32 = 0;
    pub const SETTINGS: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// A timeout and a retry, each of a kind.
pub mod settings {
    pub const TIMEOUT_KIND: u32 = 0;
    pub const TIMEOUT: u32 = 1;
    pub const RETRY_KIND: u32 = 2;
    pub const RETRY: u32 = 3;
    pub const WORDS: u32 = 4;

    /// Not written at this level: the next one is asked.
    pub const UNWRITTEN: u32 = 0;
    /// `none` is written: the search ends.
    pub const OFF: u32 = 1;
    /// A value is written.
    pub const VALUE: u32 = 2;
}

/// A retry policy.
pub mod retry {
    pub const COUNT: u32 = 0;
    pub const FLAGS: u32 = 1;
    pub const METHODS: u32 = 2;
    pub const PER_TRY_TIMEOUT: u32 = 3;
    pub const BACKOFF_BASE: u32 = 4;
    pub const BACKOFF_CAP: u32 = 5;
    pub const BUFFER: u32 = 6;
    pub const STATUSES: u32 = 7;
    pub const BUDGET_SHARE: u32 = 9;
    pub const BUDGET_MIN: u32 = 10;
    pub const BUDGET_OVER: u32 = 11;
    pub const WORDS: u32 = 12;

    /// Bits of the flags.
    pub const ON_CONNECT_FAILURE: u32 = 1;
    pub const ON_RESET: u32 = 2;
    pub const ON_TIMEOUT: u32 = 4;
    pub const HAS_BUDGET: u32 = 8;
}
