//! A verified plan, read in place: accessors over the bytes that are total, whatever index they are given.

mod balancing;
mod diagrams;
mod dictionaries;
mod dimensions;
mod lists;
mod outcomes;
mod outside;
mod rows;
mod vectors;
mod verifiers;
mod workloads;

pub use balancing::{Balancer, HashKey, HealthCheck};
pub use diagrams::{
    Accept, Address, Answer, Automaton, Diagrams, Field, Mask, Node, Partition, PeerPrefix, PeerPrincipal,
    Prefix, Question, State, States, Union,
};
pub use dictionaries::{Dictionary, Key, Words};
pub use dimensions::Dimensions;
pub use lists::{List, ListBeaten, ListBeater, ListRow, ListTest};
pub use outcomes::{Action, Authority, Cors, Edit, Outcome, RateLimit, Retry, Settings, Verdict, Written};
pub use outside::OutsideTls;
pub use rows::{Record, Row, Rows, Text};
pub use vectors::{Fact, Vector};
pub use verifiers::{TokenPlace, Verifier};
pub use workloads::{
    Call, CallHost, ConsumerRoute, Endpoint, Gateway, HostPattern, IdPrefix, Listener, Port, Principal,
    Service,
};

use crate::layout::{AT_LENGTH, DIGEST, HEADER_BYTES, Section, mesh};
use crate::plan::{Grant, NONE};
use crate::sources;
use std::sync::Arc;

/// A verified plan. [`verify`](crate::verify()) makes it and nothing else does. Cheap to clone.
#[derive(Clone)]
pub struct PlanView {
    bytes: Arc<[u8]>,
    spans: Spans,
    /// Where its rules stand in the sources, if that is behind it.
    sources: Option<sources::Span>,
}

/// Where each section stands, in the order of [`Section::ALL`].
pub(crate) type Spans = [Span; Section::ALL.len()];

/// Where a section stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    /// Offset in bytes, a multiple of four.
    pub(crate) start: u32,
    /// Length in bytes.
    pub(crate) length: u32,
    /// Number of records, or of strings.
    pub(crate) count: u32,
}

impl PlanView {
    pub(crate) fn new(bytes: Arc<[u8]>, spans: Spans) -> PlanView {
        PlanView { bytes, spans, sources: None }
    }

    /// The same plan with something else behind it.
    pub(crate) fn with_bytes(&self, bytes: Arc<[u8]>, sources: Option<sources::Span>) -> PlanView {
        PlanView { bytes, spans: self.spans, sources }
    }

    pub(crate) fn sources(&self) -> Option<sources::Span> {
        self.sources
    }

    /// The bytes of the plan alone, without what is behind it.
    pub fn plan_bytes(&self) -> &[u8] {
        let length = self.word(AT_LENGTH as u32 / 4).unwrap_or_default();
        self.bytes.get(..length as usize).unwrap_or_default()
    }

    /// A string by its number; empty where there is none.
    pub(crate) fn string(&self, id: u32) -> &str {
        std::str::from_utf8(self.heap(Section::Strings, id).unwrap_or_default()).unwrap_or_default()
    }

    /// The bytes it was verified from, with what is behind the plan.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest that names this plan: equal digests, equal plans.
    pub fn digest(&self) -> [u8; 32] {
        let digest = self.bytes.get(DIGEST..HEADER_BYTES).and_then(|digest| digest.try_into().ok());
        digest.unwrap_or_default()
    }

    /// The digest's first eight bytes: plans in one process that have the same are the same.
    #[inline]
    pub fn stamp(&self) -> u64 {
        let words = self.file().get(DIGEST / 4..).and_then(<[_]>::first_chunk);
        words.map_or(0, |[low, high]| {
            u64::from(u32::from_le_bytes(*low)) | u64::from(u32::from_le_bytes(*high)) << 32
        })
    }

    /// The digest in 64 lower-case hexadecimal digits.
    pub fn digest_hex(&self) -> String {
        crate::bundle::hex(&self.digest())
    }

    /// Length of a section in bytes.
    pub fn section_bytes(&self, section: Section) -> usize {
        self.span(section).length as usize
    }

    /// Number of records of a section, or of its strings.
    pub fn section_len(&self, section: Section) -> u32 {
        self.span(section).count
    }

    /// The SPIFFE trust domain of the mesh.
    pub fn trust_domain(&self) -> &str {
        self.mesh().map_or("", |mesh| mesh.text(mesh::TRUST_DOMAIN))
    }

    /// The `mesh default`.
    pub fn default_settings(&self) -> Option<Settings<'_>> {
        self.settings(self.mesh()?.word(mesh::DEFAULT_SETTINGS))
    }

    pub(crate) fn default_settings_index(&self) -> u32 {
        self.mesh().map_or(NONE, |mesh| mesh.word(mesh::DEFAULT_SETTINGS))
    }

    /// All known identities, sorted.
    pub fn principals(&self) -> Rows<'_, Principal<'_>> {
        Rows::all(self)
    }

    /// Index of the principal with exactly this identity.
    pub fn principal_by_identity(&self, identity: &str) -> Option<u32> {
        self.names(mesh::IDENTITIES)?.get(identity.as_bytes())
    }

    fn names(&self, field: u32) -> Option<Dictionary<'_>> {
        Some(Dictionary::of(Words::of(self.mesh()?, Section::Names, field)))
    }

    /// Beginnings of SPIFFE IDs that an authorization names, sorted.
    pub fn prefixes(&self) -> Rows<'_, IdPrefix<'_>> {
        Rows::all(self)
    }

    /// Index of a beginning of SPIFFE IDs that an authorization names.
    pub fn prefix_by_text(&self, text: &str) -> Option<u32> {
        self.names(mesh::NAMES_OF_PREFIXES)?.get(text.as_bytes())
    }

    /// All services, sorted by name.
    pub fn services(&self) -> Rows<'_, Service<'_>> {
        Rows::all(self)
    }

    /// A service by index.
    pub fn service(&self, index: u32) -> Option<Service<'_>> {
        self.services().get(index)
    }

    /// A service by its full name, `name.namespace`.
    pub fn service_by_name(&self, name: &str) -> Option<Service<'_>> {
        self.services().find(|service| service.name().cmp(name)).map(|(_, service)| service)
    }

    /// All gateways, sorted by name.
    pub fn gateways(&self) -> Rows<'_, Gateway<'_>> {
        Rows::all(self)
    }

    /// A gateway by index.
    pub fn gateway(&self, index: u32) -> Option<Gateway<'_>> {
        self.gateways().get(index)
    }

    /// A gateway by its full name, `name.namespace`.
    pub fn gateway_by_name(&self, name: &str) -> Option<Gateway<'_>> {
        self.gateways().find(|gateway| gateway.name().cmp(name)).map(|(_, gateway)| gateway)
    }

    /// All partitions.
    pub fn partitions(&self) -> Rows<'_, Partition<'_>> {
        Rows::all(self)
    }

    /// A partition by index.
    pub fn partition(&self, index: u32) -> Option<Partition<'_>> {
        self.partitions().get(index)
    }

    /// Requests with what is decided about them, sorted by partition, decision and leaf.
    pub fn vectors(&self) -> Rows<'_, Vector<'_>> {
        Rows::all(self)
    }

    /// All automata.
    pub fn automata(&self) -> Rows<'_, Automaton<'_>> {
        Rows::all(self)
    }

    /// All nodes of all partitions with the words at which they begin, in order.
    pub fn nodes(&self) -> impl Iterator<Item = (u32, Node<'_>)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let at = next;
            let node = self.node(at)?;
            next = at.checked_add(node.words()?)?;
            Some((at, node))
        })
    }

    /// The node that begins at a word.
    pub fn node(&self, at: u32) -> Option<Node<'_>> {
        self.diagrams().node(at)
    }

    /// The diagrams of all partitions.
    #[inline]
    pub fn diagrams(&self) -> Diagrams<'_> {
        let Span { start, count, .. } = self.span(Section::Nodes);
        let words = self.file().get(start as usize / 4..).and_then(|words| words.get(..count as usize));
        Diagrams::of(Words::new(words.unwrap_or_default()))
    }

    /// All lists of candidates.
    pub fn lists(&self) -> Rows<'_, List<'_>> {
        Rows::all(self)
    }

    /// A list by index.
    pub fn list(&self, index: u32) -> Option<List<'_>> {
        self.lists().get(index)
    }

    /// All outcomes of routes.
    pub fn outcomes(&self) -> Rows<'_, Outcome<'_>> {
        Rows::all(self)
    }

    /// An outcome by index.
    pub fn outcome(&self, index: u32) -> Option<Outcome<'_>> {
        self.outcomes().get(index)
    }

    /// All verdicts of authorizations.
    pub fn verdicts(&self) -> Rows<'_, Verdict<'_>> {
        Rows::all(self)
    }

    /// A verdict by index.
    pub fn verdict(&self, index: u32) -> Option<Verdict<'_>> {
        self.verdicts().get(index)
    }

    /// All who are asked besides.
    pub fn authorities(&self) -> Rows<'_, Authority<'_>> {
        Rows::all(self)
    }

    /// One of them by index.
    pub fn authority(&self, index: u32) -> Option<Authority<'_>> {
        self.authorities().get(index)
    }

    /// All grants of calls.
    pub fn grants(&self) -> Rows<'_, Grant> {
        Rows::all(self)
    }

    /// A grant by index.
    pub fn grant(&self, index: u32) -> Option<Grant> {
        self.grants().get(index)
    }

    /// All settings that something refers to.
    pub fn all_settings(&self) -> Rows<'_, Settings<'_>> {
        Rows::all(self)
    }

    /// Settings by index; of [`NONE`] there are none.
    pub fn settings(&self, index: u32) -> Option<Settings<'_>> {
        self.all_settings().get(index)
    }

    /// A load balancer by index; of [`NONE`] there is none.
    pub fn balancer(&self, index: u32) -> Option<Balancer<'_>> {
        Rows::all(self).get(index)
    }

    fn mesh(&self) -> Option<Record<'_>> {
        Record::at(self, Section::Mesh, 0)
    }

    #[inline]
    pub(crate) fn span(&self, section: Section) -> Span {
        self.spans.get(section.index()).copied().unwrap_or_default()
    }

    /// The words of the file.
    #[inline]
    pub(crate) fn file(&self) -> &[[u8; 4]] {
        self.bytes.as_chunks().0
    }

    /// A word of the file, counted from its beginning.
    #[inline]
    pub(crate) fn word(&self, at: u32) -> Option<u32> {
        self.file().get(at as usize).map(|word| u32::from_le_bytes(*word))
    }

    /// A byte string of a heap: the count, where each string ends, and the strings.
    pub(crate) fn heap(&self, section: Section, id: u32) -> Option<&[u8]> {
        let span = self.span(section);
        if id >= span.count {
            return None;
        }
        let first_end = span.start / 4 + 1;
        let start = if id == 0 { 0 } else { self.word(first_end + id - 1)? };
        let end = self.word(first_end + id)?;
        let strings = (span.start as usize) + 4 + 4 * (span.count as usize);
        self.bytes.get(strings + start as usize..strings + end as usize)
    }

    /// Words of a stream.
    #[inline]
    pub(crate) fn words(&self, section: Section, range: (u32, u32)) -> Words<'_> {
        Words::of_bytes(self.slice(section, range.0, range.1).unwrap_or_default())
    }

    /// A slice of a table of bytes, half words or words.
    #[inline]
    pub(crate) fn slice(&self, section: Section, start: u32, count: u32) -> Option<&[u8]> {
        let table = self.span(section).start as usize;
        let size = section.record_bytes();
        self.bytes.get(table + start as usize * size..table + (start as usize + count as usize) * size)
    }
}

impl std::fmt::Debug for PlanView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlanView({})", self.digest_hex())
    }
}

impl PartialEq for PlanView {
    fn eq(&self, other: &PlanView) -> bool {
        self.bytes == other.bytes
    }
}
