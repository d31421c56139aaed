//! Where everything stands in the bytes of a plan. Mirrors `spec/plan-format.md`; a change here is a change there.
//!
//! A plan is a header, a table of sections and the sections, all little-endian and aligned to four bytes. A section is
//! a heap of byte strings, a table of records of one size, or a stream of records of different sizes, whose table has a record for each
//! word. A record is a row of `u32` words: indices into other tables, ranges `(start, count)` in them, and numbers. Records that belong to an owner stand together, in the
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
/// Another major version is another format: nothing after it can be read. Version 1 had tables where version 2 has dictionaries and
/// streams of words.
pub const MAJOR: u16 = 2;
/// A higher minor version only adds sections. Plans that need none of them say 0.
pub const MINOR: u16 = 0;

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
/// The most proxies that a gateway believes: the language has no more, and an address list that long is a mistake.
pub const MAX_TRUSTED_HOPS: u32 = 16;
/// The language ends at 1 MiB: it is kept in memory for every request in flight.
pub const MAX_RETRY_BUFFER: u32 = 1 << 20;
/// A list has a bit for each candidate and dimension, and a decision keeps those of one row on its stack: a kilobyte.
pub const MAX_CANDIDATES: u32 = 8_192;
/// A decision on a list looks at a row of bits for each of its tests: a line and a half of cache for a thousand candidates.
pub const MAX_LIST_TESTS: u32 = 64;
/// Each is a round trip before a request is sent on: a chain this long is a mistake.
pub const MAX_ASKED: u32 = 16;
/// Children of all nodes, those that a sparse node does not write too: so that no plan, written out, is larger than the largest plan.
pub const MAX_CHILDREN: u64 = MAX_PLAN_BYTES as u64 / 4;
/// Bits of all rows of all lists in numbers of 64, those that rows share each time: for the same reason.
pub const MAX_ROW_BITS: u64 = MAX_PLAN_BYTES as u64 / 8;
/// A whole in basis points: weights of a split sum to it.
pub const WHOLE: u32 = 10_000;

/// What a reference word holds where there is none.
pub use crate::plan::NONE;
/// In a target word: the rest is where a node begins, in words. Without it the word is a leaf.
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
    /// A stream of words: the states of path automata, each with its dictionary.
    States = 20,
    /// A stream of words: dictionaries of identities and of names of callees.
    Names = 21,
    Fields = 22,
    /// A stream of words: dictionaries of values.
    FieldValues = 23,
    FieldPrefixes = 24,
    Roots = 25,
    /// A stream of words: nodes with their children.
    Nodes = 26,
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
    Balancers = 49,
    Breakers = 50,
    Outliers = 51,
    HealthChecks = 52,
    Vectors = 53,
    Facts = 54,
    Failover = 55,
    Certificates = 56,
    Verifiers = 57,
    Audiences = 58,
    TokenPlaces = 59,
    ListClaims = 60,
    OutsideTls = 61,
    Authorities = 62,
    Asked = 63,
}

impl Section {
    /// All of them.
    pub const ALL: [Section; 62] = {
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
            Names,
            Fields,
            FieldValues,
            FieldPrefixes,
            Roots,
            Nodes,
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
            Balancers,
            Breakers,
            Outliers,
            HealthChecks,
            Vectors,
            Facts,
            Failover,
            Certificates,
            Verifiers,
            Audiences,
            TokenPlaces,
            ListClaims,
            OutsideTls,
            Authorities,
            Asked,
        ]
    };

    /// The section of an id.
    pub fn of_id(id: u16) -> Option<Section> {
        Section::ALL.into_iter().find(|section| *section as u16 == id)
    }

    /// Position in [`Section::ALL`].
    pub fn index(self) -> usize {
        // No section has the id 27.
        let skipped = if self > Section::Nodes { 2 } else { 1 };
        self as usize - skipped
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
            | Section::Failover
            | Section::Certificates
            | Section::Audiences
            | Section::ListClaims
            | Section::Members
            | Section::Roots
            | Section::States
            | Section::Names
            | Section::FieldValues
            | Section::Nodes
            | Section::Accepts
            | Section::FieldMasks
            | Section::ListRows
            | Section::ListBeaters
            | Section::Asked => 1,
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
            | Section::FieldPrefixes
            | Section::FieldUnions => pair::WORDS,
            Section::Fields => field::WORDS,
            Section::FieldAddresses => address::WORDS,
            Section::Automata => automaton::WORDS,
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
            Section::Balancers => balancer::WORDS,
            Section::Breakers => breaker::WORDS,
            Section::Outliers => outliers::WORDS,
            Section::HealthChecks => health_check::WORDS,
            Section::Vectors => vector::WORDS,
            Section::Facts => fact::WORDS,
            Section::Verifiers => verifier::WORDS,
            Section::TokenPlaces => token_place::WORDS,
            Section::OutsideTls => outside_tls::WORDS,
            Section::Authorities => authority::WORDS,
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
            Section::Names => "names",
            Section::Fields => "fields",
            Section::FieldValues => "field values",
            Section::FieldPrefixes => "field prefixes",
            Section::Roots => "roots",
            Section::Nodes => "nodes",
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
            Section::Balancers => "balancers",
            Section::Breakers => "breakers",
            Section::Outliers => "outliers",
            Section::HealthChecks => "health checks",
            Section::Vectors => "vectors",
            Section::Facts => "facts",
            Section::Failover => "failover",
            Section::Certificates => "certificates",
            Section::Verifiers => "verifiers",
            Section::Audiences => "audiences",
            Section::TokenPlaces => "token places",
            Section::ListClaims => "list claims",
            Section::OutsideTls => "outside tls",
            Section::Authorities => "authorities",
            Section::Asked => "asked",
        }
    }
}

// The words of each record. A range takes two words, the start and the count; only the first is named.

/// The mesh: exactly one record.
pub mod mesh {
    pub const TRUST_DOMAIN: u32 = 0;
    pub const DEFAULT_SETTINGS: u32 = 1;
    /// A dictionary: identity to principal.
    pub const IDENTITIES: u32 = 2;
    /// A dictionary: beginning of identities to prefix.
    pub const NAMES_OF_PREFIXES: u32 = 4;
    pub const WORDS: u32 = 6;
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
    /// A dictionary: host to the first of the hosts that is called so.
    pub const NAMES_OF_HOSTS: u32 = 16;
    pub const PANIC_THRESHOLD: u32 = 18;
    /// Or none.
    pub const HEALTH_CHECK: u32 = 19;
    /// Range of clusters.
    pub const FAILOVER: u32 = 20;
    /// Whether the caller's zone is preferred.
    pub const BY_ZONE: u32 = 22;
    pub const VERIFIERS: u32 = 23;
    /// Or none.
    pub const TLS: u32 = 25;
    /// Or none.
    pub const LOGGED: u32 = 26;
    pub const WORDS: u32 = 27;
}

/// Whose tokens a service or gateway verifies, and how.
pub mod verifier {
    pub const NAME: u32 = 0;
    pub const ISSUER: u32 = 1;
    pub const JWKS: u32 = 2;
    pub const AUDIENCES: u32 = 3;
    pub const PLACES: u32 = 5;
    pub const LIST_CLAIMS: u32 = 7;
    /// Milliseconds.
    pub const CLOCK_SKEW: u32 = 9;
    /// Whether a token is required.
    pub const REQUIRED: u32 = 10;
    /// Whether it is sent on.
    pub const FORWARD: u32 = 11;
    /// Empty: any that is usual.
    pub const TYP: u32 = 12;
    pub const WORDS: u32 = 13;
}

/// Where a token stands.
pub mod token_place {
    /// [`crate::TokenPlaceKind`]
    pub const KIND: u32 = 0;
    pub const NAME: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// A port of a service.
pub mod port {
    pub const NUMBER: u32 = 0;
    pub const NAME: u32 = 1;
    pub const PARTITION: u32 = 2;
    pub const ENDPOINTS: u32 = 3;
    pub const SUBSET_ENDPOINTS: u32 = 5;
    /// [`crate::Protocol`]
    pub const PROTOCOL: u32 = 7;
    /// [`crate::Mtls`]
    pub const MTLS: u32 = 8;
    /// Whether the node may ask something there.
    pub const PROBED: u32 = 9;
    pub const WORDS: u32 = 10;
}

/// An instance: sixteen address bytes in network order, then its port and where it is; or a name whose addresses are instances.
pub mod endpoint {
    pub const PORT: u32 = 4;
    pub const CLUSTER: u32 = 5;
    pub const ZONE: u32 = 6;
    pub const NAME: u32 = 7;
    pub const NAMING: u32 = 8;
    pub const WORDS: u32 = 9;
    /// As [`NAMING`]: looked up only for who names it.
    pub const ASKED: u32 = 2;
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
    /// See [`crate::Gateway::trusted_hops`].
    pub const TRUSTED_HOPS: u32 = 9;
    pub const VERIFIERS: u32 = 10;
    /// Or none.
    pub const LOGGED: u32 = 12;
    pub const WORDS: u32 = 13;
}

/// A listener of a gateway.
pub mod listener {
    pub const NAME: u32 = 0;
    pub const NUMBER: u32 = 1;
    pub const PARTITION: u32 = 2;
    pub const HOSTS: u32 = 3;
    pub const LIMITS: u32 = 5;
    /// [`crate::Protocol`]
    pub const PROTOCOL: u32 = 7;
    pub const FLAGS: u32 = 8;
    pub const CERTIFICATES: u32 = 9;
    pub const CLIENT_CA: u32 = 11;
    pub const WORDS: u32 = 12;

    /// A bit of the flags: connections begin with a header of the PROXY protocol.
    pub const PROXY_PROTOCOL: u32 = 1;
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

/// A key and what it maps to: principal, prefix or mask to atom.
pub mod pair {
    pub const KEY: u32 = 0;
    pub const VALUE: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// A state of the path automaton, known by the word at which it begins, counted from the partition's first: these words, then a dictionary
/// of literal segments and the states they lead to.
pub mod state {
    pub const ATOM: u32 = 0;
    pub const OTHER: u32 = 1;
    pub const EMPTY: u32 = 2;
    /// Where the dictionary begins.
    pub const WORDS: u32 = 3;
}

/// Byte strings and what each of them stands for: the number of entries; where each bucket ends, unless there is one bucket alone; the
/// entries, bucket by bucket; long texts.
pub mod dictionary {
    /// An entry: two words of key, the text's word, the value.
    pub const ENTRY_WORDS: u32 = 4;
    pub const TEXT: u32 = 2;
    pub const VALUE: u32 = 3;
    /// So many entries are looked through one by one: they are a line of cache, and a bucket's end would be on another.
    pub const MOST_IN_ONE_BUCKET: u32 = 4;
    /// A text of so many bytes is its own key.
    pub const SHORT: usize = 8;
    /// In a text's word: the rest is where the text stands, counted in words from the dictionary's first. Without it the word is the length
    /// of a short text.
    pub const LONG: u32 = 0x8000_0000;

    /// How many buckets so many entries have.
    pub fn buckets(entries: u32) -> u32 {
        if entries > MOST_IN_ONE_BUCKET { entries.div_ceil(2) } else { 1 }
    }

    /// The bucket of a key.
    pub fn bucket(key: u64, buckets: u32) -> u32 {
        (((key.wrapping_mul(GOLDEN) >> 32) * u64::from(buckets)) >> 32) as u32
    }

    /// The key of a text.
    pub fn key(text: &[u8]) -> u64 {
        if text.len() <= SHORT { short(text) } else { long(text) }
    }

    /// At most eight bytes as a number.
    fn short(text: &[u8]) -> u64 {
        // Two halves may have bytes in common: these are the same in both.
        if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            let behind = 8 * (text.len() as u32 - 4);
            return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << behind;
        }
        text.iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte))
    }

    /// A hash of more than eight bytes: eight at a time, each folded into a product (Fibonacci hashing). Whoever makes texts collide makes the plan's author wait,
    /// who chose them; what a request brings is compared byte by byte.
    fn long(text: &[u8]) -> u64 {
        let (chunks, rest) = text.as_chunks::<8>();
        let fold = |hash: u64, word: u64| {
            let product = (hash ^ word).wrapping_mul(GOLDEN);
            product ^ product >> 32
        };
        let hash =
            chunks.iter().fold(text.len() as u64, |hash, chunk| fold(hash, u64::from_le_bytes(*chunk)));
        fold(hash, short(rest))
    }

    /// 2^64 divided by the golden ratio.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
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
    /// A dictionary, or empty.
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

/// A node of a decision diagram, known by the word at which it begins: these words, then its children; of a sparse one the most frequent
/// child, and the others with their atoms, bucket by bucket.
pub mod node {
    /// The partition whose dimensions it asks; NONE where no root reaches it.
    pub const PARTITION: u32 = 0;
    pub const DIM: u32 = 1;
    /// In the word of the dimension: the node is sparse.
    pub const SPARSE: u32 = 0x4000_0000;
    pub const CHILDREN: u32 = 2;
    /// Where the children begin.
    pub const WORDS: u32 = 3;

    /// Of a sparse node: how many atoms lead elsewhere than the others, where the others lead, and where the rest begins.
    pub const EXCEPTIONS: u32 = 3;
    pub const DEFAULT: u32 = 4;
    pub const SPARSE_WORDS: u32 = 5;
    /// So many exceptions are looked through one by one: they are a line of cache.
    pub const MOST_IN_ONE_BUCKET: u32 = 8;

    /// How many buckets so many exceptions have.
    pub fn buckets(exceptions: u32) -> u32 {
        if exceptions > MOST_IN_ONE_BUCKET { exceptions.div_ceil(4) } else { 1 }
    }

    /// The bucket of an atom: atoms that are near each other are in different ones.
    pub fn bucket(atom: u32, buckets: u32) -> u32 {
        let scattered = u64::from(atom.wrapping_mul(GOLDEN));
        ((scattered * u64::from(buckets)) >> 32) as u32
    }

    /// How many words stand before the exceptions.
    pub fn before_exceptions(exceptions: u32) -> u32 {
        SPARSE_WORDS + if exceptions > MOST_IN_ONE_BUCKET { buckets(exceptions) } else { 0 }
    }

    /// 2^32 divided by the golden ratio.
    const GOLDEN: u32 = 0x9e37_79b9;
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
    /// Origins, methods, headers and, where others have their share, exposed headers; flags.
    pub const CORS: u32 = 15;
    /// Seconds.
    pub const PREFLIGHT_AGE: u32 = 16;
    /// Nothing more.
    pub const WEB_SOCKET: u32 = 17;
    pub const DECODE_SLASHES: u32 = 18;
    pub const STRIP_PARAMETERS: u32 = 19;
    /// Count, milliseconds, the authority that counts; the header names where others have their share; flags.
    pub const GLOBAL_RATE_LIMIT: u32 = 20;

    /// Bits of the flags.
    pub const BY_SOURCE_IP: u32 = 1;
    pub const AUDIT: u32 = 2;
    pub const CREDENTIALS: u32 = 4;
    pub const BY_CLIENT_IP: u32 = 8;
    pub const BY_SOURCE: u32 = 16;
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
    /// [`DENIES`], [`ALLOWS`] or [`PROBES`].
    pub const ALLOW: u32 = 0;
    pub const DENIES: u32 = 0;
    pub const ALLOWS: u32 = 1;
    /// It allows what the node asks.
    pub const PROBES: u32 = 2;
    pub const RULE: u32 = 1;
    pub const AUDIT: u32 = 2;
    /// Range of those who are asked.
    pub const ASKS: u32 = 3;
    pub const WORDS: u32 = 5;
}

/// A service that is asked whether a request may pass.
pub mod authority {
    pub const NAME: u32 = 0;
    pub const SERVICE: u32 = 1;
    pub const PORT: u32 = 2;
    /// Milliseconds.
    pub const TIMEOUT: u32 = 3;
    /// Whether a request passes that it does not answer.
    pub const LETS_IN: u32 = 4;
    pub const WORDS: u32 = 5;
}

/// That a call is declared.
pub mod grant {
    pub const OP_SETTINGS: u32 = 0;
    pub const SETTINGS: u32 = 1;
    pub const WORDS: u32 = 2;
}

/// Two timeouts and a retry, each of a kind, and what is there or not.
pub mod settings {
    pub const TIMEOUT_KIND: u32 = 0;
    pub const TIMEOUT: u32 = 1;
    pub const RETRY_KIND: u32 = 2;
    pub const RETRY: u32 = 3;
    pub const IDLE_TIMEOUT_KIND: u32 = 4;
    pub const IDLE_TIMEOUT: u32 = 5;
    /// Or none; so are the next.
    pub const CONNECT_TIMEOUT: u32 = 6;
    pub const BALANCER: u32 = 7;
    pub const BREAKER: u32 = 8;
    pub const OUTLIERS: u32 = 9;
    pub const WORDS: u32 = 10;

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

/// A load balancer.
pub mod balancer {
    pub const ALGORITHM: u32 = 0;
    pub const KEY: u32 = 1;
    pub const NAME: u32 = 2;
    /// Of a cookie, or none.
    pub const LIFETIME: u32 = 3;
    pub const SLOW_START: u32 = 4;
    pub const WORDS: u32 = 5;

    /// Kinds of keys.
    pub const NO_KEY: u32 = 0;
    pub const HEADER: u32 = 1;
    pub const COOKIE: u32 = 2;
    pub const QUERY: u32 = 3;
    pub const SOURCE_IP: u32 = 4;
}

/// A circuit breaker: each word is a limit or none.
pub mod breaker {
    pub const MAX_CONNECTIONS: u32 = 0;
    pub const MAX_PENDING: u32 = 1;
    pub const MAX_REQUESTS: u32 = 2;
    pub const PENDING_TIMEOUT: u32 = 3;
    pub const WORDS: u32 = 4;
}

/// An outlier detection.
pub mod outliers {
    pub const CONSECUTIVE_5XX: u32 = 0;
    pub const CONSECUTIVE_GATEWAY_ERRORS: u32 = 1;
    pub const SUCCESS_RATE: u32 = 2;
    pub const INTERVAL: u32 = 3;
    pub const BASE_EJECTION: u32 = 4;
    pub const MAX_EJECTION: u32 = 5;
    pub const MAX_SHARE: u32 = 6;
    pub const MAX_AT_LEAST: u32 = 7;
    pub const MIN_HOSTS: u32 = 8;
    pub const WORDS: u32 = 9;
}

/// How endpoints are asked whether they are well.
pub mod health_check {
    pub const KIND: u32 = 0;
    pub const PATH: u32 = 1;
    pub const INTERVAL: u32 = 2;
    pub const TIMEOUT: u32 = 3;
    pub const UNHEALTHY: u32 = 4;
    pub const HEALTHY: u32 = 5;
    pub const WORDS: u32 = 6;

    pub const GET: u32 = 0;
    pub const TCP: u32 = 1;
    pub const GRPC: u32 = 2;
}

/// A request with what is decided about it.
pub mod vector {
    pub const PARTITION: u32 = 0;
    pub const ROOT: u32 = 1;
    pub const LEAF: u32 = 2;
    pub const PEER: u32 = 3;
    pub const METHOD: u32 = 4;
    pub const PATH: u32 = 5;
    /// Range of facts.
    pub const FACTS: u32 = 6;
    pub const WORDS: u32 = 8;
}

/// What a request of a vector has besides.
pub mod fact {
    pub const KIND: u32 = 0;
    pub const NAME: u32 = 1;
    pub const POINTER: u32 = 2;
    pub const VALUE: u32 = 3;
    pub const WORDS: u32 = 4;
}

/// The TLS in which a service outside of the mesh is spoken to.
pub mod outside_tls {
    pub const TRUST: u32 = 0;
    pub const NAME: u32 = 1;
    pub const AUTHORITY: u32 = 2;
    pub const CERTIFICATE: u32 = 3;
    pub const WORDS: u32 = 4;

    pub const SYSTEM: u32 = 0;
    pub const NAMED: u32 = 1;
    pub const ANYONE: u32 = 2;
}
