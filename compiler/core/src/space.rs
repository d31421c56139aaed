//! The request space of one partition: how each part of a request becomes one of a few atoms, and how a line becomes a
//! product of sets of atoms.
//!
//! A partition is what one decision looks at: a service port, a listener of a gateway, or a call. Two values of a part are in
//! the same atom iff no line of the partition tells them apart (atomic predicates, Yang and Lam 2013), so every question
//! about requests becomes one about small integers, without loss.

pub(crate) mod address;
pub(crate) mod automaton;
mod merge;
pub(crate) mod path;
pub(crate) mod peer;
pub(crate) mod segments;
pub(crate) mod text;
pub(crate) mod value;

use crate::bits::Bits;
use crate::model::{Asked, Field, FieldTest, Line, Polarity, Shape, ValueSet};
use address::{Addresses, Missing};
use mesh_lang::Text;
use mesh_lang::ast::Method;
use mesh_plan::METHOD_ATOMS;
use path::Paths;
use peer::Peers;
use segments::SegmentAt;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use text::Universe;
use value::{Standing, TooMuch, Values};

/// Dimensions, in the order in which diagrams ask them; fields follow.
pub(crate) const PEER: u32 = 0;
/// See [`PEER`].
pub(crate) const METHOD: u32 = 1;
/// See [`PEER`].
pub(crate) const PATH: u32 = 2;
/// The first field; see [`PEER`].
pub(crate) const FIELDS: u32 = 3;

/// The dimensions of a partition.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) peers: Peers,
    pub(crate) paths: Paths,
    /// Sorted by field and part.
    pub(crate) fields: Vec<Dimension>,
}

/// A field that something tests.
#[derive(Debug)]
pub(crate) struct Dimension {
    pub(crate) field: Field,
    /// Of a field that is a dimension for each value that its list may have: that value, or several that mean the same.
    pub(crate) part: Option<Vec<String>>,
    pub(crate) kind: Kind,
    /// Earlier dimensions on which it depends what is possible in this one.
    leaders: Vec<(u32, Leader)>,
}

/// How what is possible depends on another dimension.
#[derive(Clone, Copy, Debug)]
enum Leader {
    /// Without this atom there the field has no value: a token for its claims, an object for what is inside it.
    Needed(u32),
    /// Another part of the same field: both are absent, or both odd, or neither.
    SameField,
    /// The segment before: behind the end of the path, and behind an empty segment, there is none.
    SegmentBefore,
    /// Whether it is a path at all and not `*`, of the first segment.
    IsPath,
}

/// What values a field has.
#[derive(Debug)]
pub(crate) enum Kind {
    Values(Values),
    Addresses(Addresses),
    /// A token is there or not.
    Token,
    /// A segment of the path.
    Segment(SegmentAt),
}

/// The atom of a token that is not there.
pub(crate) const NO_TOKEN: u32 = 0;
/// The atom of a token that is there.
pub(crate) const TOKEN: u32 = 1;

/// How much may be spent on one partition before something else is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The states of the automaton that reads paths segment by segment. Of more, each segment becomes a dimension, and what is decided
    /// a list of candidates: with 0 that is how every partition is decided that asks for paths and for nothing inside their segments.
    pub path_states: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { path_states: path::MAX_STATES }
    }
}

/// A product: the sets of the dimensions that are not everything, sorted by dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Product {
    pub(crate) sets: Vec<(u32, Bits)>,
}

/// The sets of a product that is being put together, sorted by dimension.
struct Sets(Vec<(u32, Bits)>);

impl Sets {
    fn of(&self, dim: u32) -> Option<&Bits> {
        self.0.iter().find(|(own, _)| *own == dim).map(|(_, set)| set)
    }

    fn narrow(&mut self, dim: u32, set: Bits) {
        match self.0.binary_search_by_key(&dim, |(own, _)| *own) {
            Ok(place) => self.0[place].1.intersect(&set),
            Err(place) => self.0.insert(place, (dim, set)),
        }
    }
}

/// The field that cannot be told apart within the budget, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TooFine {
    pub(crate) field: Field,
    pub(crate) why: TooMuch,
}

impl Space {
    /// The space that tells apart what these shapes and peers tell apart.
    pub(crate) fn new<'m>(
        shapes: impl Iterator<Item = &'m Shape> + Clone,
        peers: Peers,
    ) -> Result<Space, TooFine> {
        Space::within(shapes, peers, Budget::default())
    }

    /// The same within another budget.
    pub(crate) fn within<'m>(
        shapes: impl Iterator<Item = &'m Shape> + Clone,
        peers: Peers,
        budget: Budget,
    ) -> Result<Space, TooFine> {
        let patterns = shapes.clone().filter_map(|shape| shape.path.as_ref());
        let mut by_field = sets_by_field(shapes.clone());
        let of_path = by_field.remove(&Field::Path).unwrap_or_default();
        let paths = Paths::new(patterns, &of_path, budget.path_states)
            .map_err(|why| TooFine { field: Field::Path, why })?;
        Ok(Space::of(peers, paths, dimensions(by_field)?))
    }

    /// The same, with a dimension for each segment of the path. No shape may ask for what stands inside a segment.
    pub(crate) fn by_segments<'m>(
        shapes: impl Iterator<Item = &'m Shape> + Clone,
        peers: Peers,
    ) -> Result<Space, TooFine> {
        let places = segments::places(shapes.clone().filter_map(|shape| shape.path.as_ref()));
        if places.len() > segments::MAX_PLACES {
            return Err(TooFine { field: Field::Path, why: TooMuch::Patterns });
        }
        let mut by_field = sets_by_field(shapes);
        by_field.remove(&Field::Path);
        let segments = places.into_iter().map(|place| (Field::Path, None, Kind::Segment(place)));
        // The path sorts before every other field.
        let fields = segments.chain(dimensions(by_field)?);
        Ok(Space::of(peers, Paths::undivided(), fields))
    }

    /// The space of these dimensions, sorted by field and part.
    pub(crate) fn of(peers: Peers, paths: Paths, parts: impl IntoIterator<Item = Parted>) -> Space {
        let mut fields: Vec<Dimension> = Vec::new();
        for (field, part, kind) in parts {
            let earlier = fields.iter().zip(FIELDS..);
            let leaders = match (&kind, fields.len() as u32) {
                (Kind::Segment(_), 0) => vec![(PATH, Leader::IsPath)],
                (Kind::Segment(_), earlier) => vec![(FIELDS + earlier - 1, Leader::SegmentBefore)],
                _ => earlier.filter_map(|(other, dim)| Some((dim, other.leads(&field)?))).collect(),
            };
            fields.push(Dimension { field, part, kind, leaders });
        }
        Space { peers, paths, fields }
    }

    pub(crate) fn arity(&self, dim: u32) -> u32 {
        match dim {
            PEER => self.peers.atoms(),
            METHOD => METHOD_ATOMS,
            PATH => self.paths.atoms(),
            field => self.dimension(field).kind.atoms(),
        }
    }

    pub(crate) fn dimension(&self, dim: u32) -> &Dimension {
        &self.fields[(dim - FIELDS) as usize]
    }

    /// The segments of the path, where each is a dimension: they are the first fields.
    pub(crate) fn segments(&self) -> Vec<&SegmentAt> {
        let segments = self.fields.iter().map_while(|dimension| match &dimension.kind {
            Kind::Segment(segment) => Some(segment),
            _ => None,
        });
        segments.collect()
    }

    /// The dimensions on which it depends what is possible in others; sorted.
    pub(crate) fn leaders(&self) -> Vec<u32> {
        let of_fields =
            self.fields.iter().flat_map(|dimension| dimension.leaders.iter().map(|(dim, _)| *dim));
        let mut leaders: Vec<u32> = std::iter::once(METHOD).chain(of_fields).collect();
        leaders.sort_unstable();
        leaders.dedup();
        leaders
    }

    /// What of an atom of a leading dimension matters to the others: whether it is `OPTIONS`, whether the token is there, whether
    /// the field is absent, odd or neither. All parts of a field say the same.
    pub(crate) fn led_by(&self, dim: u32, atom: u32) -> (u32, u32) {
        match dim {
            PATH => return (dim, u32::from(atom == self.paths.star())),
            METHOD | PEER => return (dim, u32::from(atom == method_atom(Method::Options))),
            _ => {}
        }
        let dimension = self.dimension(dim);
        let first = self.fields.partition_point(|own| own.field < dimension.field) as u32;
        match &dimension.kind {
            Kind::Token => (dim, atom),
            Kind::Segment(_) => (dim, u32::from(SegmentAt::is_last(atom))),
            kind => (FIELDS + first, kind.standing(atom) as u32),
        }
    }

    /// Whether some request has this atom, given what is known of it. `known` says the atom of a dimension.
    pub(crate) fn is_possible(&self, dim: u32, atom: u32, known: &dyn Fn(u32) -> Option<u32>) -> bool {
        match dim {
            PEER | METHOD => true,
            PATH if atom == self.paths.star() => {
                known(METHOD).is_none_or(|method| method == method_atom(Method::Options))
            }
            PATH => self.paths.witness(atom).is_some(),
            field => {
                let dimension = self.dimension(field);
                let fits = |(dim, leader): &(u32, Leader)| {
                    known(*dim).is_none_or(|theirs| match leader {
                        Leader::Needed(needed) => atom == value::ABSENT || theirs == *needed,
                        Leader::SameField => {
                            self.dimension(*dim).kind.standing(theirs) == dimension.kind.standing(atom)
                        }
                        Leader::SegmentBefore => atom == segments::END || !SegmentAt::is_last(theirs),
                        Leader::IsPath => (atom == segments::END) == (theirs == self.paths.star()),
                    })
                };
                dimension.kind.is_possible(atom) && dimension.leaders.iter().all(fits)
            }
        }
    }

    /// What a shape denotes here; `from` narrows it to some peers.
    pub(crate) fn product(&self, shape: &Shape, from: Option<Bits>) -> Product {
        // Peers, a method and a path are what most lines ask.
        let mut sets = Sets(Vec::with_capacity(3));
        let mut narrow = |dim: u32, set: Bits| sets.narrow(dim, set);
        from.into_iter().for_each(|set| narrow(PEER, set));
        if let Some(method) = shape.method {
            narrow(METHOD, Bits::of(METHOD_ATOMS, [method_atom(method)]));
        }
        let places = self.segments();
        for pattern in shape.path.iter() {
            if places.is_empty() {
                narrow(PATH, self.paths.set(pattern));
                continue;
            }
            narrow(PATH, Bits::such_that(self.paths.atoms(), |atom| atom != self.paths.star()));
            for (set, dim) in segments::sets(pattern, &places).into_iter().zip(FIELDS..) {
                narrow(dim, set);
            }
        }
        for test in shape.tests.iter() {
            if test.field == Field::Path {
                narrow(PATH, self.paths.set_of(&test.set));
            } else if let Some(index) = self.dimension_of(&test.field, &test.set) {
                narrow(FIELDS + index as u32, self.fields[index].kind.set(&test.set));
            }
        }
        self.gather_standings(&mut sets);
        Product { sets: sets.0 }.normal(self)
    }

    /// Whether a condition holds for every possible value of its field; of paths, but for `*`, which is none.
    pub(crate) fn is_everything(&self, test: &FieldTest) -> bool {
        let certainly_not = match &test.set {
            ValueSet::Absent | ValueSet::Present => true,
            ValueSet::Passing { asked: Asked::OneOf(_) | Asked::Has(_), negated, .. } => !negated,
            ValueSet::Passing { .. } => false,
        };
        if certainly_not {
            return false;
        }
        if test.field == Field::Path {
            let (set, star) = (self.paths.set_of(&test.set), self.paths.star());
            return (0..self.paths.atoms())
                .all(|atom| atom == star || set.contains(atom) || self.paths.witness(atom).is_none());
        }
        let Some(index) = self.dimension_of(&test.field, &test.set) else { return false };
        let kind = &self.fields[index].kind;
        let set = kind.set(&test.set);
        (0..kind.atoms()).all(|atom| set.contains(atom) || !kind.is_possible(atom))
    }

    /// What a part of a field says of whether the field is there, its first part says too: only so is a product inside another
    /// where each of its sets is (`has "a"` is inside `present`, which stands in the first part).
    fn gather_standings(&self, sets: &mut Sets) {
        let of_fields = sets.0.iter().map(|(dim, _)| *dim).filter(|dim| *dim >= FIELDS);
        for dim in of_fields.collect::<Vec<u32>>() {
            let dimension = self.dimension(dim);
            if let Kind::Segment(_) = dimension.kind {
                continue;
            }
            let first = FIELDS + self.fields.partition_point(|own| own.field < dimension.field) as u32;
            let Some(set) = sets.of(dim).filter(|_| first != dim) else { continue };
            let standings: Vec<Standing> = set.iter().map(|atom| dimension.kind.standing(atom)).collect();
            let leader = &self.dimension(first).kind;
            let standing = |atom| standings.contains(&leader.standing(atom));
            sets.narrow(first, Bits::such_that(self.arity(first), standing));
        }
    }

    /// The dimension in which a set is one: that of its part where the field has parts, else the field's first.
    fn dimension_of(&self, field: &Field, set: &ValueSet) -> Option<usize> {
        let part = part_of(field, set);
        let found = self.fields.binary_search_by(|own| (&own.field, &own.part).cmp(&(field, &part)));
        let first = self.fields.partition_point(|own| own.field < *field);
        found.ok().or(self.fields.get(first).filter(|own| own.field == *field).map(|_| first))
    }

    /// All requests of which whoever decides knows every address.
    pub(crate) fn known(&self) -> Product {
        let sets = self.fields.iter().zip(FIELDS..).filter_map(|(dimension, dim)| match &dimension.kind {
            Kind::Addresses(addresses) if !addresses.is_possible(addresses.missing()) => {
                let atoms = addresses.atoms();
                Some((dim, Bits::such_that(atoms, |atom| addresses.is_possible(atom))))
            }
            _ => None,
        });
        Product { sets: sets.collect() }
    }

    pub(crate) fn line(&self, line: &Line) -> Product {
        self.product(&line.shape, None)
    }
}

impl Dimension {
    /// How what is possible in another field depends on this one.
    fn leads(&self, other: &Field) -> Option<Leader> {
        if self.field == *other {
            return Some(Leader::SameField);
        }
        let Field::Claim { issuer: theirs, path: inner } = other else { return None };
        match (&self.field, &self.kind) {
            (Field::Jwt(issuer), _) => (issuer == theirs).then_some(Leader::Needed(TOKEN)),
            (Field::Claim { issuer, path }, Kind::Values(values)) => {
                (issuer == theirs && inner.len() > path.len() && inner.starts_with(path))
                    .then(|| Leader::Needed(values.odd()))
            }
            _ => None,
        }
    }
}

/// A field, or a part of one, and what values it has.
type Parted = (Field, Option<Vec<String>>, Kind);

/// What shapes ask of each field.
fn sets_by_field<'m>(shapes: impl Iterator<Item = &'m Shape>) -> BTreeMap<&'m Field, Vec<&'m ValueSet>> {
    let mut by_field: BTreeMap<&Field, Vec<&ValueSet>> = BTreeMap::new();
    for test in shapes.flat_map(|shape| shape.tests.iter()) {
        by_field.entry(&test.field).or_default().push(&test.set);
    }
    by_field
}

/// The dimensions of fields, in their order.
fn dimensions(by_field: BTreeMap<&Field, Vec<&ValueSet>>) -> Result<Vec<Parted>, TooFine> {
    let mut fields = Vec::with_capacity(by_field.len());
    for (field, sets) in by_field {
        for (part, sets) in parts(field, &sets) {
            let kind = Kind::new(field, &sets).map_err(|why| TooFine { field: field.clone(), why })?;
            fields.push((field.clone(), part, kind));
        }
    }
    Ok(fields)
}

/// The dimensions of a field: one, or one for each value that a list is asked for.
///
/// Twenty `has` of one claim have a million answers together, but each is a yes or a no of its own: a list can have any of
/// the values beside any others, and nothing asks whether it is a list. So each value becomes a dimension, and
/// diagrams stay as small as the lines. The same holds for `=` and `in` of refusals, which ask each of several values.
fn parts<'m>(field: &Field, sets: &[&'m ValueSet]) -> Vec<(Option<Vec<String>>, Vec<&'m ValueSet>)> {
    let whole = || vec![(None, sets.to_vec())];
    let (mut split, mut shared) = (BTreeMap::<Vec<String>, Vec<&ValueSet>>::new(), vec![]);
    for set in sets {
        match (set, part_of(field, set)) {
            (ValueSet::Absent | ValueSet::Present, _) => shared.push(*set),
            (_, Some(part)) => split.entry(part).or_default().push(*set),
            (_, None) => return whole(),
        }
    }
    let values: usize = split.keys().map(Vec::len).sum();
    let distinct: BTreeSet<&String> = split.keys().flatten().collect();
    if split.len() < 2 || distinct.len() < values {
        return whole();
    }
    let parts = split.into_iter().map(|(part, sets)| (Some(part), sets));
    let mut parts: Vec<_> = parts.collect();
    parts.iter_mut().take(1).for_each(|(_, sets)| sets.append(&mut shared));
    parts
}

/// The values of which it is asked whether one of a list's values is one of them.
fn part_of(field: &Field, set: &ValueSet) -> Option<Vec<String>> {
    let ValueSet::Passing { asked, negated, polarity } = set else { return None };
    match (field, asked) {
        // A header that is empty has no other value beside it.
        (Field::Header(_), Asked::Has(value)) if value.is_empty() => None,
        (Field::Header(_), Asked::OneOf(values)) if values.iter().any(|value| value.is_empty()) => None,
        (_, Asked::Has(value)) => Some(vec![value.to_string()]),
        // A claim that is a string is compared as a whole, and asked for its pieces.
        (Field::Claim { .. } | Field::Host, _) => None,
        (_, Asked::OneOf(values)) if !negated && *polarity == Polarity::Refusal => {
            Some(values.iter().map(Text::to_string).collect())
        }
        _ => None,
    }
}

impl Field {
    /// The texts that it can hold, where it holds texts.
    pub(crate) fn texts(&self) -> Option<Universe> {
        Some(match self {
            Field::Jwt(_) | Field::SourceIp | Field::ClientIp => return None,
            Field::Header(name) if NOT_LISTS.contains(&name.as_str()) => Universe::HeaderLine,
            Field::Header(_) => Universe::HeaderItem,
            Field::Query(_) => Universe::Query,
            Field::Cookie(_) => Universe::Cookie,
            Field::Claim { .. } => Universe::Claim,
            Field::Path => Universe::Path,
            Field::Host => Universe::Host,
        })
    }
}

impl Kind {
    fn new(field: &Field, sets: &[&ValueSet]) -> Result<Kind, TooMuch> {
        match (field, field.texts()) {
            (_, Some(universe)) => Values::new(sets, universe).map(Kind::Values),
            (Field::SourceIp, _) => Ok(Kind::Addresses(Addresses::new(sets, Missing::Unknown))),
            (Field::ClientIp, _) => Ok(Kind::Addresses(Addresses::new(sets, Missing::Absent))),
            _ => Ok(Kind::Token),
        }
    }

    pub(crate) fn atoms(&self) -> u32 {
        match self {
            Kind::Values(values) => values.atoms(),
            Kind::Addresses(addresses) => addresses.atoms(),
            Kind::Token => 2,
            Kind::Segment(segment) => segment.atoms(),
        }
    }

    /// Atoms from the one a person would think of first.
    pub(crate) fn plain_order(&self) -> Vec<u32> {
        match self {
            Kind::Values(values) => values.plain_order(),
            Kind::Addresses(addresses) => addresses.plain_order(),
            Kind::Token => vec![NO_TOKEN, TOKEN],
            Kind::Segment(segment) => segment.plain_order(),
        }
    }

    fn standing(&self, atom: u32) -> Standing {
        match self {
            Kind::Values(values) => values.standing(atom),
            Kind::Addresses(_) | Kind::Token | Kind::Segment(_) => Standing::There,
        }
    }

    fn is_possible(&self, atom: u32) -> bool {
        match self {
            Kind::Values(values) => values.sample(atom).is_some(),
            Kind::Addresses(addresses) => addresses.is_possible(atom),
            Kind::Token | Kind::Segment(_) => true,
        }
    }

    /// The possible atoms of a set.
    fn set(&self, set: &ValueSet) -> Bits {
        match self {
            Kind::Values(values) => values.set(set),
            Kind::Addresses(addresses) => addresses.set(set),
            Kind::Token => Bits::such_that(2, |atom| match set {
                ValueSet::Absent => atom == NO_TOKEN,
                ValueSet::Present => atom == TOKEN,
                ValueSet::Passing { .. } => false,
            }),
            // Patterns are asked about, and nothing else.
            Kind::Segment(segment) => Bits::none(segment.atoms()),
        }
    }
}

/// Fields whose values may hold commas that separate nothing (`spec/semantics.md` 1.3); no rule looks at `host` and `cookie`.
pub(crate) const NOT_LISTS: &[&str] = &[
    "authorization",
    "date",
    "expires",
    "if-modified-since",
    "if-unmodified-since",
    "last-modified",
    "retry-after",
    "set-cookie",
    "user-agent",
];

pub(crate) fn method_atom(method: Method) -> u32 {
    method as u32
}

impl Product {
    /// Drops the sets that are everything, so that equal sets have equal products.
    fn normal(mut self, space: &Space) -> Product {
        let everything = |dim: u32, set: &Bits| {
            (0..space.arity(dim)).all(|atom| set.contains(atom) || !space.is_possible(dim, atom, &|_| None))
        };
        self.sets.retain(|(dim, set)| !everything(*dim, set));
        self
    }

    /// Whether no request is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.iter().any(|(_, set)| set.is_empty())
    }

    pub(crate) fn set(&self, dim: u32) -> Option<&Bits> {
        self.sets.iter().find(|(own, _)| *own == dim).map(|(_, set)| set)
    }

    /// What is in both.
    pub(crate) fn and(&self, other: &Product) -> Product {
        let mut sets: BTreeMap<u32, Bits> = self.sets.iter().cloned().collect();
        for (dim, set) in &other.sets {
            sets.entry(*dim).and_modify(|own| own.intersect(set)).or_insert_with(|| set.clone());
        }
        Product { sets: sets.into_iter().collect() }
    }

    /// A product that holds all of these.
    pub(crate) fn around(products: &[Product]) -> Product {
        let Some((first, others)) = products.split_first() else { return Product { sets: vec![] } };
        let mut around = first.clone();
        for other in others {
            around.sets.retain_mut(|(dim, set)| other.set(*dim).map(|theirs| set.unite(theirs)).is_some());
        }
        around
    }

    /// Whether the two share a point.
    pub(crate) fn meets(&self, other: &Product) -> bool {
        let (mut ours, mut theirs) = (self.sets.as_slice(), other.sets.as_slice());
        while let ([(dim, set), ours_left @ ..], [(other, set_there), theirs_left @ ..]) = (ours, theirs) {
            if dim == other && !set.meets(set_there) {
                return false;
            }
            (ours, theirs) = match dim.cmp(other) {
                Ordering::Less => (ours_left, theirs),
                Ordering::Greater => (ours, theirs_left),
                Ordering::Equal => (ours_left, theirs_left),
            };
        }
        !self.is_empty() && !other.is_empty()
    }

    /// Whether every point of this one is in the other. Exact, since a product of sets that are not empty is inside
    /// another iff each set is.
    pub(crate) fn is_subset(&self, other: &Product) -> bool {
        self.is_empty()
            || other.sets.iter().all(|(dim, theirs)| self.set(*dim).is_some_and(|set| set.is_subset(theirs)))
    }
}
