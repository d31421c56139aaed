//! One space for two decisions: in the same atom is what neither of them tells apart.
//!
//! Both plans are asked what they make of a value of each atom, by the same look-ups that a proxy makes; so nothing is known of
//! their sources, and nothing need be.

use super::paths::{JointPaths, PathSide};
use super::side::{Root, Side, What};
use crate::bits::Bits;
use crate::diagram::{Diagram, Point, TooManyNodes};
use crate::model::Field;
use crate::space::address::{Addresses, Missing};
use crate::space::automaton::{ReadBy, TooManyStates};
use crate::space::peer::{Candidate, Peers};
use crate::space::text::{TextTest, Universe};
use crate::space::value::{MAX_UNIONS, OTHER, Sample, Values, samples};
use crate::space::{FIELDS, Kind, METHOD, PATH, PEER, Space};
use mesh_lang::Text;
use mesh_plan::view::{self, Partition};
use mesh_plan::{self as plan, FieldKind, METHOD_ATOMS, Target};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// The two decisions cannot be told apart within the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooFine;

impl From<TooManyNodes> for TooFine {
    fn from(_: TooManyNodes) -> TooFine {
        TooFine
    }
}

impl From<TooManyStates> for TooFine {
    fn from(_: TooManyStates) -> TooFine {
        TooFine
    }
}

/// More values of one field are not compared: each is an atom that both plans have to be asked about.
const MAX_VALUES: usize = 1 << 16;

/// Two decisions over one space.
pub(super) struct Joint {
    pub(super) diagram: Diagram,
    pub(super) paths: JointPaths,
    /// Of each of the two, for each dimension of its own: the dimension here and, for each atom here, its own atom.
    dims: [Vec<(u32, Vec<u32>)>; 2],
}

impl Joint {
    pub(super) fn new(sides: [&Side<'_>; 2], roots: [Root; 2]) -> Result<Joint, TooFine> {
        let of = |index: usize| sides[index].view.partition(roots[index].partition);
        let partitions = [of(0), of(1)];
        // What keeps a dimension for each segment does so because it cannot be multiplied out.
        let mut fields = partitions.iter().flatten().flat_map(|own| own.fields().iter());
        if fields.any(|field| field.kind() == FieldKind::Segment) {
            return Err(TooFine);
        }
        let (peers, of_peers) = peers(sides, partitions);
        let path_side = |index: usize| partitions[index].map_or(PathSide::Blind, PathSide::of);
        let paths = JointPaths::new([path_side(0), path_side(1)])?;
        let fields = Fields::new(partitions)?;
        let mut dims = [vec![], vec![]];
        for (index, own) in dims.iter_mut().enumerate() {
            own.push((PEER, of_peers.iter().map(|atoms| atoms[index]).collect()));
            own.push((METHOD, (0..METHOD_ATOMS).collect()));
            let star = partitions[index].map_or(0, Partition::star);
            let of_paths = paths.atoms.iter().map(|(atoms, _)| atoms[index]);
            own.push((PATH, of_paths.chain([star]).collect()));
            own.extend(fields.of_sides[index].iter().cloned());
        }
        let witnesses = paths.atoms.iter().map(|(_, path)| path.clone()).collect();
        let space = Space::of(peers, crate::space::path::Paths::of_witnesses(witnesses), fields.parts);
        Ok(Joint { diagram: Diagram::new(Rc::new(space)), paths, dims })
    }

    /// A decision of one of the plans, over this space; its leaves are what `leaf` makes of its own.
    pub(super) fn lifted(
        &mut self,
        side: &Side<'_>,
        index: usize,
        root: Root,
        leaf: &mut impl FnMut(u32) -> u32,
    ) -> Result<Target, TooFine> {
        self.lift(side, index, root.target, leaf, &mut BTreeMap::new())
    }

    fn lift(
        &mut self,
        side: &Side<'_>,
        index: usize,
        target: Target,
        leaf: &mut impl FnMut(u32) -> u32,
        seen: &mut BTreeMap<u32, Target>,
    ) -> Result<Target, TooFine> {
        let node = match target {
            Target::Leaf(own) => return Ok(Target::Leaf(leaf(own))),
            Target::Node(node) => node,
        };
        if let Some(known) = seen.get(&node) {
            return Ok(*known);
        }
        let plan::Node { dim, children } = &side.plan.nodes[node as usize];
        let (joint, atoms) = self.dims[index][*dim as usize].clone();
        let mut decisions: BTreeMap<Target, Bits> = BTreeMap::new();
        for (atom, own) in atoms.iter().zip(0..) {
            let child = children[*atom as usize];
            let below = self.lift(side, index, child, leaf, seen)?;
            let none = || Bits::none(atoms.len() as u32);
            decisions.entry(below).or_insert_with(none).insert(own);
        }
        let decisions: Vec<(Target, Bits)> = decisions.into_iter().collect();
        let made = self.diagram.case(joint, &decisions)?;
        seen.insert(node, made);
        Ok(made)
    }

    /// The leaf that one of the plans reaches at a point; where the point leaves a dimension open, every atom leads there.
    pub(super) fn leaf_at(&self, side: &Side<'_>, index: usize, root: Root, point: &Point) -> u32 {
        let mut at = root.target;
        loop {
            match at {
                Target::Leaf(leaf) => return leaf,
                Target::Node(node) => {
                    let plan::Node { dim, children } = &side.plan.nodes[node as usize];
                    let (joint, atoms) = &self.dims[index][*dim as usize];
                    let here = point.iter().find(|(dim, _)| dim == joint).map(|(_, atom)| *atom);
                    let here = here.unwrap_or_else(|| self.diagram.plainest(*joint));
                    at = children[atoms[here as usize] as usize];
                }
            }
        }
    }
}

/// Everybody whom one of the two tells apart from others.
fn peers(sides: [&Side<'_>; 2], partitions: [Option<Partition<'_>>; 2]) -> (Peers, Vec<[u32; 2]>) {
    let mut candidates = BTreeSet::from([Candidate::OtherForeign, Candidate::Unauthenticated]);
    let [old, new] = sides.map(|side| side.plan.trust_domain.as_str());
    if old == new {
        candidates.insert(Candidate::OtherOwn);
    } else {
        candidates.extend([old, new].map(|own| Candidate::OtherOf { trust_domain: own.into() }));
    }
    for (side, partition) in sides.into_iter().zip(partitions) {
        let Some(partition) = partition else { continue };
        if partition.peer_atoms() > 1 {
            // Gateways are told apart by what they are, not by what they are called.
            let gateways = side.plan.principals.iter().filter(|principal| principal.gateway);
            candidates.extend(
                gateways.map(|gateway| Candidate::Gateway { identity: gateway.identity.as_str().into() }),
            );
        }
        for row in partition.peer_principals().iter() {
            let principal = &side.plan.principals[row.0.0 as usize];
            let identity = principal.identity.clone();
            let is_gateway = sides.iter().any(|side| is_gateway(side, &identity));
            candidates.insert(match is_gateway {
                true => Candidate::Gateway { identity: identity.into() },
                false => Candidate::Own { identity: identity.into(), namespace: None },
            });
        }
        for row in partition.peer_prefixes().iter() {
            let prefix = &side.plan.prefixes[row.0.0 as usize];
            candidates.insert(beginning_so(&side.plan.trust_domain, prefix));
        }
    }
    let mut known: BTreeMap<[u32; 2], u32> = BTreeMap::new();
    let mut atoms = Vec::new();
    let numbered = candidates.into_iter().map(|candidate| {
        let own = |index: usize| partitions[index].map_or(0, |own| peer_atom(sides[index], own, &candidate));
        let both = [own(0), own(1)];
        let atom = *known.entry(both).or_insert_with(|| {
            atoms.push(both);
            atoms.len() as u32 - 1
        });
        (candidate, atom)
    });
    let peers = Peers::of(numbered.collect());
    (peers, atoms)
}

fn is_gateway(side: &Side<'_>, identity: &str) -> bool {
    let found = side.plan.principals.binary_search_by(|own| own.identity.as_str().cmp(identity));
    found.is_ok_and(|index| side.plan.principals[index].gateway)
}

/// Everybody else whose identity begins so.
fn beginning_so(trust_domain: &str, prefix: &str) -> Candidate {
    let rest = prefix.strip_prefix("spiffe://").unwrap_or(prefix);
    let own = rest.strip_prefix(trust_domain).and_then(|path| path.strip_prefix("/ns/"));
    match own.and_then(|path| path.strip_suffix("/sa")) {
        Some(namespace) => Candidate::OtherIn { namespace: namespace.into() },
        None if rest.contains('/') => Candidate::OtherBelow { parent: prefix.into() },
        None => Candidate::OtherOf { trust_domain: rest.into() },
    }
}

/// An identity of somebody whom nothing names.
pub(super) fn somebody(trust_domain: &str, candidate: &Candidate) -> Option<String> {
    Some(match candidate {
        Candidate::Own { identity, .. }
        | Candidate::Gateway { identity }
        | Candidate::Foreign { identity } => identity.to_string(),
        Candidate::OtherIn { namespace } => format!("spiffe://{trust_domain}/ns/{namespace}/sa/other.other"),
        Candidate::OtherBelow { parent } => format!("{parent}/other.other"),
        Candidate::OtherOf { trust_domain } => format!("spiffe://{trust_domain}/other.other"),
        Candidate::OtherOwn | Candidate::OtherGateway => format!("spiffe://{trust_domain}/other.other"),
        Candidate::OtherForeign => "spiffe://other.example/other.other".to_owned(),
        Candidate::Unauthenticated => return None,
    })
}

/// The atom of a peer, as the engine finds it: of exactly its identity, else a gateway's, else of what it begins with, else of
/// its kind.
fn peer_atom(side: &Side<'_>, partition: Partition<'_>, candidate: &Candidate) -> u32 {
    let own = &side.plan.trust_domain;
    let Some(identity) = somebody(own, candidate) else { return partition.unauthenticated() };
    let principal = side.view.principal_by_identity(&identity);
    if let Some(atom) = principal.and_then(|principal| partition.atom_of_principal(principal)) {
        return atom;
    }
    if is_gateway(side, &identity) {
        return partition.gateway();
    }
    let domain = identity.strip_prefix("spiffe://").and_then(|rest| rest.split('/').next());
    let domain = domain.unwrap_or_default();
    let known = |prefix: &str| partition.atom_of_prefix(side.view.prefix_by_text(prefix)?);
    let parent = identity.rsplit_once('/').and_then(|(parent, _)| known(parent));
    let kind = if domain == own { partition.own() } else { partition.foreign() };
    parent.or_else(|| known(&format!("spiffe://{domain}"))).unwrap_or(kind)
}

/// The fields of both.
struct Fields {
    parts: Vec<(Field, Option<Vec<String>>, Kind)>,
    of_sides: [Vec<(u32, Vec<u32>)>; 2],
}

/// A field of one of the two, and what it is whatever the plan's numbers.
struct Reading<'p> {
    side: usize,
    index: usize,
    view: view::Field<'p>,
    content: (plan::Field, Option<plan::Automaton>),
}

impl Fields {
    fn new(partitions: [Option<Partition<'_>>; 2]) -> Result<Fields, TooFine> {
        let mut by_field: BTreeMap<Field, Vec<Reading<'_>>> = BTreeMap::new();
        let mut of_sides = [vec![], vec![]];
        for (side, partition) in partitions.into_iter().enumerate() {
            let Some(partition) = partition else { continue };
            for (index, view) in partition.fields().iter().enumerate() {
                let content = plan::Field { automaton: None, ..plan::decode::to_field(view) };
                let content = (content, view.automaton().map(plan::decode::to_automaton));
                let reading = Reading { side, index, view, content };
                by_field.entry(field_of(&reading.content.0)).or_default().push(reading);
                of_sides[side].push((0, vec![]));
            }
        }
        let mut fields = Fields { parts: vec![], of_sides };
        for (field, readings) in by_field {
            let mut different: Vec<Vec<&Reading<'_>>> = Vec::new();
            for reading in &readings {
                match different.iter_mut().find(|same| same[0].content == reading.content) {
                    Some(same) => same.push(reading),
                    None => different.push(vec![reading]),
                }
            }
            let apart = different.len() > 1 && are_parts(different.iter().map(|same| &same[0].content));
            let groups: Vec<Vec<&Reading<'_>>> = match apart {
                true => different,
                false => vec![readings.iter().collect()],
            };
            for group in groups {
                let part = apart.then(|| literals(&group[0].content.0));
                fields.add(&field, part, &group)?;
            }
        }
        Ok(fields)
    }

    /// A dimension that tells apart what each of these readings does.
    fn add(
        &mut self,
        field: &Field,
        part: Option<Vec<String>>,
        readings: &[&Reading<'_>],
    ) -> Result<(), TooFine> {
        let views: Vec<view::Field<'_>> = readings.iter().map(|reading| reading.view).collect();
        let (kind, atoms) = match field.texts() {
            Some(universe) => values(field, universe, readings, &views)?,
            None if matches!(field, Field::Jwt(_)) => {
                let absent = views.iter().map(|view| view.absent()).collect();
                (Kind::Token, vec![absent, views.iter().map(|view| view.other()).collect()])
            }
            None => addresses(field, &views),
        };
        let dim = FIELDS + self.parts.len() as u32;
        for (position, reading) in readings.iter().enumerate() {
            let own = atoms.iter().map(|own| own[position]).collect();
            self.of_sides[reading.side][reading.index] = (dim, own);
        }
        self.parts.push((field.clone(), part, kind));
        Ok(())
    }
}

fn field_of(field: &plan::Field) -> Field {
    let name = || Text::from(field.name.as_str());
    match field.kind {
        FieldKind::Header => Field::Header(name()),
        FieldKind::Query => Field::Query(name()),
        FieldKind::Cookie => Field::Cookie(name()),
        FieldKind::Jwt => Field::Jwt(name()),
        FieldKind::SourceIp | FieldKind::CallerIp => Field::SourceIp,
        FieldKind::ClientIp => Field::ClientIp,
        FieldKind::Host => Field::Host,
        FieldKind::Segment => Field::Path,
        FieldKind::Claim => {
            let steps = field.name.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
            Field::Claim {
                issuer: field.issuer.as_str().into(),
                path: steps.map(|step| Text::from(step.as_str())).collect(),
            }
        }
    }
}

/// Whether each reading asks for values that no other asks for, each whether one of a list's values is one of them: then
/// any answers go together.
fn are_parts<'r>(mut contents: impl Iterator<Item = &'r (plan::Field, Option<plan::Automaton>)>) -> bool {
    let mut seen = BTreeSet::new();
    contents.all(|(field, automaton)| {
        let asks_items = !field.masks.is_empty() && automaton.is_none() && field.prefixes.is_empty();
        // A claim that is a string is asked for its pieces, which only an automaton tells.
        asks_items && field.exact.iter().all(|(literal, _)| seen.insert(literal))
    })
}

fn literals(field: &plan::Field) -> Vec<String> {
    field.exact.iter().map(|(literal, _)| String::from_utf8_lossy(literal).into_owned()).collect()
}

/// Ranges that any of the readings tells apart.
fn addresses(field: &Field, views: &[view::Field<'_>]) -> (Kind, Vec<Vec<u32>>) {
    let starts = views.iter().flat_map(|view| view.addresses().iter().map(view::Address::first));
    let starts: BTreeSet<u128> = starts.map(u128::from_be_bytes).chain([0]).collect();
    let mut known: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
    let mut atoms: Vec<Vec<u32>> = Vec::new();
    let mut ranges: Vec<(u128, u32)> = Vec::new();
    for first in starts {
        let own: Vec<u32> = views.iter().map(|view| view.atom_of_address(first.to_be_bytes())).collect();
        let atom = *known.entry(own.clone()).or_insert_with(|| {
            atoms.push(own);
            atoms.len() as u32 - 1
        });
        if ranges.last().is_none_or(|(_, last)| *last != atom) {
            ranges.push((first, atom));
        }
    }
    atoms.push(views.iter().map(|view| view.absent()).collect());
    let missing = if *field == Field::ClientIp { Missing::Absent } else { Missing::Unknown };
    (Kind::Addresses(Addresses::of_ranges(ranges, missing)), atoms)
}

/// Values that any of the readings tells apart, in the order that [`Values`] has.
fn values(
    field: &Field,
    universe: Universe,
    readings: &[&Reading<'_>],
    views: &[view::Field<'_>],
) -> Result<(Kind, Vec<Vec<u32>>), TooFine> {
    let is_claim = universe == Universe::Claim;
    let all = |of: &dyn Fn(&view::Field<'_>) -> u32| -> Vec<u32> { views.iter().map(of).collect() };
    let singles = singles(universe, readings, views)?;
    let is_single = *field == Field::Host;
    let mut atoms = vec![all(&|view| view.absent()), all(&|view| view.many())];
    let mut samples = vec![(!is_single).then_some(Sample::Absent), None];
    for (own, value) in &singles {
        atoms.push(own.clone());
        samples.push(value.as_deref().map(readable).map(Sample::One));
    }
    if is_claim {
        atoms.push(all(&|view| view.odd()));
        samples.push(Some(Sample::Odd));
    }
    if !is_single {
        let lists = lists(universe, &singles, views)?;
        for (index, (own, values)) in lists.into_iter().enumerate() {
            let sample = Some(Sample::Several(values));
            if index == 0 {
                (atoms[1], samples[1]) = (own, sample);
            } else {
                atoms.push(own);
                samples.push(sample);
            }
        }
    }
    Ok((Kind::Values(Values::of_samples(samples, is_claim)), atoms))
}

/// Bytes as text.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One value: what each reading makes of it, and a plain value; `None` where no request can have one. The first is that of
/// values that nothing mentions.
type Single = (Vec<u32>, Option<Vec<u8>>);

fn singles(
    universe: Universe,
    readings: &[&Reading<'_>],
    views: &[view::Field<'_>],
) -> Result<Vec<Single>, TooFine> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut tests: BTreeSet<TextTest> = BTreeSet::new();
    for reading in readings {
        let content = &reading.content.0;
        tests.extend(content.exact.iter().map(|(literal, _)| TextTest::OneOf(vec![text(literal)])));
        tests.extend(content.prefixes.iter().map(|(prefix, _)| TextTest::Prefix(text(prefix))));
    }
    if universe == Universe::HeaderItem {
        // Of several items none is empty, though a lone value can be.
        tests.insert(TextTest::OneOf(vec![String::new()]));
    }
    let tables = readings.iter().filter_map(|reading| reading.content.1.as_ref().map(read_by));
    let tests: Vec<TextTest> = tests.into_iter().collect();
    let found = samples(&tests, &tables.collect::<Vec<_>>(), universe)?;
    if found.len() > MAX_VALUES {
        return Err(TooFine);
    }
    let read = |value: &[u8]| -> Vec<u32> { views.iter().map(|view| view.atom_of(value)).collect() };
    let mut found = found.into_iter();
    let other = found.next().flatten();
    let unread = || views.iter().map(|view| view.other()).collect();
    let mut singles = vec![(other.as_deref().map_or_else(unread, read), other)];
    let mut known: BTreeSet<(Vec<u32>, bool)> =
        singles.iter().filter_map(|(own, value)| Some((own.clone(), value.as_ref()?.is_empty()))).collect();
    for value in found.flatten() {
        let own = read(&value);
        if known.insert((own.clone(), value.is_empty())) {
            singles.push((own, Some(value)));
        }
    }
    Ok(singles)
}

/// Several values: what each reading makes of them together, and such values.
type Several = (Vec<u32>, Vec<String>);

/// Several values: a class for each union of what the items can pass.
fn lists(universe: Universe, singles: &[Single], views: &[view::Field<'_>]) -> Result<Vec<Several>, TooFine> {
    let is_claim = universe == Universe::Claim;
    let of_items =
        |own: &[u32]| -> Vec<u32> { views.iter().zip(own).map(|(view, atom)| view.mask_of(*atom)).collect() };
    let mut of_one: BTreeMap<Vec<u32>, String> = BTreeMap::new();
    for (own, value) in singles {
        if let Some(value) = value
            && !(universe == Universe::HeaderItem && value.is_empty())
        {
            of_one.entry(of_items(own)).or_insert_with(|| readable(value));
        }
    }
    let mut found: BTreeMap<Vec<u32>, Vec<String>> = BTreeMap::new();
    if is_claim {
        found.insert(vec![0; views.len()], vec![]);
    }
    let mut queue: VecDeque<(Vec<u32>, Vec<String>)> =
        of_one.iter().map(|(masks, value)| (masks.clone(), vec![value.clone()])).collect();
    while let Some((masks, values)) = queue.pop_front() {
        if found.contains_key(&masks) {
            continue;
        }
        for (more, value) in &of_one {
            let both: Vec<u32> = masks.iter().zip(more).map(|(a, b)| a | b).collect();
            if both != masks && !found.contains_key(&both) {
                queue.push_back((both, [values.clone(), vec![value.clone()]].concat()));
            }
        }
        found.insert(masks, values);
        if found.len() > MAX_UNIONS {
            return Err(TooFine);
        }
    }
    let many = |masks: &[u32]| -> Vec<u32> {
        views.iter().zip(masks).map(|(view, mask)| view.atom_of_many(*mask)).collect()
    };
    let mut known = BTreeSet::new();
    let mut lists = Vec::new();
    for (masks, mut values) in found {
        if values.len() == 1 && !is_claim {
            values.extend(values.first().cloned());
        }
        let own = many(&masks);
        if known.insert(own.clone()) {
            lists.push((own, values));
        }
    }
    Ok(lists)
}

pub(super) fn read_by(automaton: &plan::Automaton) -> ReadBy {
    ReadBy {
        bytes: automaton.classes.clone(),
        transitions: automaton.transitions.iter().map(|next| u32::from(*next)).collect(),
        says: automaton.accepts.clone(),
    }
}

/// The decision that a root begins, as far as a side has it.
pub(super) fn root(side: &Side<'_>, what: What, partition: u32, table: u32) -> Root {
    let Some(own) = side.plan.partitions.get(partition as usize) else {
        return Root::NOTHING;
    };
    let target = match what {
        What::Access => own.access,
        What::Route | What::Call => own.roots.get(table as usize).copied().unwrap_or_default(),
    };
    Root { partition, target }
}

/// So many single values come before all others in [`Values`].
const _: () = assert!(OTHER == 2);
