//! A set of requests in words: as few products as it takes, each as wide as it can be, and a plain request of it.
//!
//! A product is wide where none of its parts can be widened without leaving the set: a prime implicant (Quine, 1952). They are
//! taken one after the other from what is left, so what they cover together is exactly the set.

use super::joint::{Joint, TooFine};
use super::paths::{Ends, JointPaths};
use crate::bits::Bits;
use crate::diagram::Point;
use crate::model::Field;
use crate::space::address::Addresses;
use crate::space::peer::Candidate;
use crate::space::value::{ABSENT, OTHER, Sample, Standing};
use crate::space::{Dimension, FIELDS, Kind, METHOD, PATH, PEER, Product, TOKEN};
use mesh_lang::ast::Method;
use mesh_plan::Target;
use std::net::Ipv6Addr;

/// So many products are said; a set that takes more is said to be more than these.
const MAX_PRODUCTS: usize = 8;

/// So many names, paths or values are listed in one.
const MAX_LISTED: usize = 6;

/// A product without any condition.
pub(super) const EVERY: &str = "every request";

/// A set of requests in words.
pub(super) struct Region {
    /// A product each; never empty.
    pub(super) products: Vec<String>,
    /// Whether there is more than these.
    pub(super) more: bool,
    /// The plainest of its requests.
    pub(super) point: Point,
}

impl Joint {
    /// What a set is; `None` where no request is in it.
    pub(super) fn region(
        &mut self,
        set: Target,
        name: &dyn Fn(&Candidate) -> String,
    ) -> Result<Option<Region>, TooFine> {
        let Some(point) = self.diagram.any_of(set) else { return Ok(None) };
        let mut region = Region { products: vec![], more: false, point: point.clone() };
        let (mut left, mut next) = (set, Some(point));
        while let Some(point) = next {
            if region.products.len() == MAX_PRODUCTS {
                region.more = true;
                break;
            }
            let product = self.widened(set, &point);
            region.products.push(self.said(&product, name));
            let covered = self.diagram.product(&product)?;
            left = self.diagram.minus(left, covered)?;
            next = self.diagram.any_of(left);
        }
        Ok(Some(region))
    }

    /// The product around a point that no part of can be widened. What is narrowest to read is widened first.
    fn widened(&self, set: Target, point: &Point) -> Product {
        let space = self.diagram.space();
        let one = |(dim, atom): &(u32, u32)| {
            let mut only = Bits::none(space.arity(*dim));
            only.insert(*atom);
            (*dim, only)
        };
        let mut product = Product { sets: point.iter().map(one).collect() };
        let mut order: Vec<u32> = point.iter().map(|(dim, _)| *dim).collect();
        order.sort_by_key(|dim| match *dim {
            PEER => (2, 0),
            PATH => (1, 1),
            METHOD => (1, 0),
            field => (0, u32::MAX - field),
        });
        for dim in order {
            let Ok(place) = product.sets.binary_search_by_key(&dim, |(own, _)| *own) else { continue };
            let own = product.sets.remove(place);
            if self.diagram.contains(set, &product) {
                continue;
            }
            product.sets.insert(place, own);
            for atom in 0..space.arity(dim) {
                if product.sets[place].1.contains(atom) {
                    continue;
                }
                let mut alone = product.clone();
                alone.sets[place].1 = Bits::such_that(space.arity(dim), |own| own == atom);
                if self.diagram.contains(set, &alone) {
                    product.sets[place].1.insert(atom);
                }
            }
        }
        product
    }

    /// `from a, b  GET|POST /x/**  when header "k" = "v"`
    fn said(&self, product: &Product, name: &dyn Fn(&Candidate) -> String) -> String {
        let space = self.diagram.space();
        let of = |wanted: u32| product.sets.iter().find(|(dim, _)| *dim == wanted).map(|(_, set)| set);
        let mut parts = Vec::new();
        parts.extend(of(PEER).map(|set| format!("from {}", peers(&space.peers.candidates, set, name))));
        let method = of(METHOD).map(methods);
        let path = of(PATH).map(|set| paths(&self.paths, set));
        match (method, path) {
            (None, None) => {}
            (Some(method), None) => parts.push(method),
            (method, path) => parts.push([method, path].into_iter().flatten().collect::<Vec<_>>().join(" ")),
        }
        let fields = product.sets.iter().filter(|(dim, _)| *dim >= FIELDS);
        let fields = fields.map(|(dim, set)| field(space.dimension(*dim), set));
        let fields: Vec<String> = fields.collect();
        parts.extend((!fields.is_empty()).then(|| format!("when {}", fields.join(" and "))));
        if parts.is_empty() { EVERY.to_owned() } else { parts.join("  ") }
    }
}

/// A few of them, and how many more.
fn listed(all: &[String], between: &str) -> String {
    let more = all.len().saturating_sub(MAX_LISTED);
    let said = all[..all.len() - more].join(between);
    if more > 0 { format!("{said} and {more} more") } else { said }
}

fn peers(candidates: &[(Candidate, u32)], set: &Bits, name: &dyn Fn(&Candidate) -> String) -> String {
    let names = |inside: bool| -> Vec<String> {
        let fitting = candidates.iter().filter(|(_, atom)| set.contains(*atom) == inside);
        fitting.map(|(candidate, _)| name(candidate)).collect()
    };
    let is_in = |wanted: &Candidate| {
        candidates.iter().any(|(candidate, atom)| candidate == wanted && set.contains(*atom))
    };
    let (own, others) = (names(true), names(false));
    if is_in(&Candidate::OtherForeign) && is_in(&Candidate::Unauthenticated) {
        return format!("anyone except {}", listed(&others, ", "));
    }
    listed(&own, ", ")
}

fn methods(set: &Bits) -> String {
    let name = |atom: u32| Method::ALL.get(atom as usize).map(|method| method.as_str().to_owned());
    let other = Method::ALL.len() as u32;
    let named = |inside: bool| -> Vec<String> {
        (0..other).filter(|atom| set.contains(*atom) == inside).filter_map(name).collect()
    };
    if set.contains(other) {
        return format!("any method except {}", named(false).join(", "));
    }
    named(true).join("|")
}

fn paths(paths: &JointPaths, set: &Bits) -> String {
    let star = paths.atoms.len() as u32;
    let inside = |atom: u32| set.contains(atom);
    if paths.states.is_empty() {
        let samples = paths.atoms.iter().zip(0..).filter(|(_, atom)| inside(*atom));
        let samples: Vec<String> =
            samples.map(|((_, path), _)| path.clone()).filter(|path| !path.is_empty()).collect();
        return format!("paths like {}", listed(&samples, ", "));
    }
    if (0..star).all(|atom| !inside(atom)) {
        return "*".to_owned();
    }
    let own = Patterns::of(paths, &inside);
    let others = Patterns::of(paths, &|atom| !inside(atom));
    if own == ["/**"] {
        return "/**".to_owned();
    }
    match others.len() < own.len() {
        true => format!("any path except {}", listed(&others, ", ")),
        false => listed(&own, ", "),
    }
}

/// Patterns of the paths in a set.
struct Patterns<'a> {
    paths: &'a JointPaths,
    inside: &'a dyn Fn(u32) -> bool,
    /// For each state, whether some path from it is in the set, and whether some is not.
    reaches: Vec<(bool, bool)>,
}

impl<'a> Patterns<'a> {
    fn of(paths: &'a JointPaths, inside: &'a dyn Fn(u32) -> bool) -> Vec<String> {
        let mut patterns = Patterns { paths, inside, reaches: vec![(false, false); paths.states.len()] };
        patterns.spread();
        patterns.below(0, &mut Vec::new())
    }

    /// Backwards until nothing changes; each round is linear, and there are as many as the longest way without a circle.
    fn spread(&mut self) {
        loop {
            let mut changed = false;
            for index in (0..self.paths.states.len()).rev() {
                let state = &self.paths.states[index];
                let ends = state.ends != Ends::Never;
                let own = (self.inside)(state.atom);
                let mut reaches = (ends && own, ends && !own);
                let next = state.edges.iter().map(|(_, next)| *next);
                for next in next.chain(state.other).chain(state.empty) {
                    let theirs = self.reaches[next as usize];
                    reaches = (reaches.0 || theirs.0, reaches.1 || theirs.1);
                }
                changed |= reaches != self.reaches[index];
                self.reaches[index] = reaches;
            }
            if !changed {
                return;
            }
        }
    }

    /// What may follow a state, the state itself included: `` (it ends here), `/a/**`, `/{x}`.
    fn below(&self, index: u32, above: &mut Vec<u32>) -> Vec<String> {
        let state = &self.paths.states[index as usize];
        match (self.reaches[index as usize], state.ends) {
            ((false, _), _) => return vec![],
            ((true, false), Ends::Always) => return vec![String::new()],
            ((true, false), _) => return vec!["/**".to_owned()],
            _ => {}
        }
        if above.contains(&index) {
            return vec!["/…".to_owned()];
        }
        above.push(index);
        let mut found = Vec::new();
        found.extend((state.ends != Ends::Never && (self.inside)(state.atom)).then(String::new));
        let others = state.other.map_or(vec![], |next| self.below(next, above));
        let mut apart = Vec::new();
        for (literal, next) in &state.edges {
            let own = self.below(*next, above);
            if own != others {
                found.extend(own.iter().map(|rest| format!("/{literal}{rest}")));
                apart.push(literal.as_str());
            }
        }
        let any = match apart.as_slice() {
            [] => "{x}".to_owned(),
            apart => format!("{{other than {}}}", apart.join(", ")),
        };
        found.extend(others.iter().map(|rest| format!("/{any}{rest}")));
        let empty = state.empty.map_or(vec![], |next| self.below(next, above));
        found.extend(empty.iter().map(|rest| format!("/{rest}")));
        above.pop();
        found
    }
}

/// `header "k" = "v"`
fn field(dimension: &Dimension, set: &Bits) -> String {
    let name = match &dimension.field {
        Field::Header(name) => format!("header \"{name}\""),
        Field::Query(name) => format!("query \"{name}\""),
        Field::Cookie(name) => format!("cookie \"{name}\""),
        Field::Jwt(name) => format!("jwt {name}"),
        Field::Claim { issuer, path } => {
            let issuer = if issuer.is_empty() { String::new() } else { format!(" {issuer}") };
            let path: Vec<String> = path.iter().map(|step| format!(" \"{step}\"")).collect();
            format!("claim{issuer}{}", path.concat())
        }
        Field::SourceIp => "source-ip".to_owned(),
        Field::ClientIp => "client-ip".to_owned(),
        Field::Host => "host".to_owned(),
        Field::Path => "path".to_owned(),
    };
    let said = match &dimension.kind {
        Kind::Token if set.contains(TOKEN) => "present".to_owned(),
        Kind::Token => "absent".to_owned(),
        // Plans that have them are not laid over each other.
        Kind::Segment(_) => String::new(),
        Kind::Addresses(addresses) => blocks(addresses, set),
        Kind::Values(values) => {
            let samples = (0..values.atoms()).map(|atom| (atom, values.sample(atom), values.standing(atom)));
            said_values(&samples.collect::<Vec<_>>(), dimension.part.as_deref(), set)
        }
    };
    format!("{name} {said}")
}

/// What is asked of values. The plans keep no conditions, only what they tell apart: a class is said by a value of it.
fn said_values(all: &[(u32, Option<&Sample>, Standing)], part: Option<&[String]>, set: &Bits) -> String {
    let single = |sample: &Option<&Sample>| match sample {
        Some(Sample::One(value)) => Some(value.clone()),
        _ => None,
    };
    let named = |inside: bool| -> Vec<String> {
        let fitting = all.iter().filter(|(atom, ..)| *atom != OTHER && set.contains(*atom) == inside);
        fitting.filter_map(|(_, sample, _)| single(sample)).map(|value| format!("{value:?}")).collect()
    };
    let possible = |wanted: u32| all.iter().any(|(atom, sample, _)| *atom == wanted && sample.is_some());
    let inside = |wanted: u32| set.contains(wanted) || !possible(wanted);
    if let Some(part) = part {
        let has = part.iter().map(|value| format!("has {value:?}")).collect::<Vec<_>>().join(" or ");
        return if set.contains(OTHER) { format!("not {has}") } else { has };
    }
    let (own, others) = (named(true), named(false));
    let absent = possible(ABSENT) && set.contains(ABSENT);
    let values = match (inside(OTHER), own.as_slice(), others.as_slice()) {
        (true, _, []) => "present".to_owned(),
        (true, _, [one]) => format!("!= {one}"),
        (true, _, several) => format!("not in ({})", listed(several, ", ")),
        (false, [], _) if absent => return "absent".to_owned(),
        (false, [], _) => return "with several values".to_owned(),
        (false, [one], _) => format!("= {one}"),
        (false, several, _) => format!("in ({})", listed(several, ", ")),
    };
    if absent { format!("absent or {values}") } else { values }
}

/// The ranges of a set as blocks, or those that are not in it, whichever are fewer.
fn blocks(addresses: &Addresses, set: &Bits) -> String {
    let ranges = &addresses.ranges;
    let of = |inside: bool| -> Vec<String> {
        let bounds = ranges.iter().zip(ranges.iter().skip(1).map(|(next, _)| next - 1).chain([u128::MAX]));
        let fitting = bounds.filter(|((_, atom), _)| set.contains(*atom) == inside);
        fitting.flat_map(|((first, _), last)| cidrs(*first, last)).collect()
    };
    let missing = addresses.missing();
    let absent = addresses.is_possible(missing) && set.contains(missing);
    let (own, others) = (of(true), of(false));
    let said = match (own.len(), others.len()) {
        (0, _) => return "absent".to_owned(),
        (_, 0) => "present".to_owned(),
        (own_count, other_count) if other_count < own_count => format!("not in ({})", listed(&others, ", ")),
        _ => format!("in ({})", listed(&own, ", ")),
    };
    if absent { format!("absent or {said}") } else { said }
}

/// The fewest blocks that are exactly a range: greedily the largest that begins where the last one ended.
fn cidrs(first: u128, last: u128) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = Some(first);
    while let Some(start) = at.filter(|start| *start <= last) {
        let mut free = start.trailing_zeros().min(128);
        let end = |free: u32| start | u128::MAX.checked_shr(128 - free).unwrap_or(0);
        while free > 0 && end(free) > last {
            free -= 1;
        }
        let ip = Ipv6Addr::from(start);
        found.push(match ip.to_ipv4_mapped().filter(|_| free <= 32) {
            Some(ip) => format!("{ip}/{}", 32 - free),
            None => format!("{ip}/{}", 128 - free),
        });
        at = end(free).checked_add(1);
    }
    found
}
