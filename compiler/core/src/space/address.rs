//! A dimension of addresses: ranges that the same lines are about.

use crate::bits::Bits;
use crate::model::{Asked, Block, Polarity, ValueSet};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// Whether there always is an address, and whoever decides knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There may be none.
    Absent,
    /// There is one, and who calls a service does not know which one the service will see (`spec/semantics.md` 1.8). That is no request's:
    /// it says what a proxy decides that has to leave it to another one.
    Unknown,
}

/// The addresses of a field. IPv4 is v4-mapped IPv6.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// First addresses of ranges, sorted, the first is `::`; and the atom of each range.
    pub(crate) ranges: Vec<(u128, u32)>,
    /// For each atom but the last an address.
    samples: Vec<Option<IpAddr>>,
    /// What the last atom means.
    missing: Missing,
    /// For each atom but the last, the blocks that it is in, by index.
    blocks: Vec<Block>,
    inside: Vec<Bits>,
}

impl Addresses {
    pub(crate) fn new(sets: &[&ValueSet], missing: Missing) -> Addresses {
        let of_set = |set: &&ValueSet| match set {
            ValueSet::Passing { asked: Asked::Within(blocks), .. } => blocks.clone(),
            _ => vec![],
        };
        let blocks: Vec<Block> = sets.iter().flat_map(of_set).collect::<BTreeSet<_>>().into_iter().collect();
        let ends = blocks.iter().filter_map(|block| block.last().checked_add(1));
        let starts: BTreeSet<u128> =
            std::iter::once(0).chain(blocks.iter().map(|block| block.first)).chain(ends).collect();
        let starts: Vec<u128> = starts.into_iter().collect();
        let mut atoms: BTreeMap<Bits, u32> = BTreeMap::new();
        let mut addresses = Addresses { ranges: vec![], samples: vec![], missing, blocks, inside: vec![] };
        for (index, first) in starts.iter().enumerate() {
            let inside = Bits::such_that(addresses.blocks.len() as u32, |block| {
                addresses.blocks[block as usize].contains(*first)
            });
            let last = starts.get(index + 1).map_or(u128::MAX, |next| next - 1);
            let fresh = atoms.len() as u32;
            let atom = *atoms.entry(inside.clone()).or_insert(fresh);
            if atom == fresh {
                addresses.inside.push(inside);
                addresses.samples.push(None);
            }
            addresses.ranges.push((*first, atom));
            keep_plainer(&mut addresses.samples[atom as usize], plain(*first, last));
        }
        // Ranges beside each other of one atom are one.
        addresses.ranges.dedup_by_key(|(_, atom)| *atom);
        addresses.samples.push(None);
        addresses
    }

    /// Ranges that something else tells apart, by first address, sorted, the first is `::`; atoms are numbered without a gap.
    pub(crate) fn of_ranges(ranges: Vec<(u128, u32)>, missing: Missing) -> Addresses {
        let atoms = ranges.iter().map(|(_, atom)| *atom as usize + 1).max().unwrap_or(0);
        let mut samples: Vec<Option<IpAddr>> = vec![None; atoms];
        for (index, (first, atom)) in ranges.iter().enumerate() {
            let last = ranges.get(index + 1).map_or(u128::MAX, |(next, _)| next - 1);
            keep_plainer(&mut samples[*atom as usize], plain(*first, last));
        }
        samples.push(None);
        Addresses { ranges, samples, missing, blocks: vec![], inside: vec![Bits::none(0); atoms] }
    }

    pub(crate) fn atoms(&self) -> u32 {
        self.samples.len() as u32
    }

    /// The atom of no address, or of one that is not known.
    pub(crate) fn missing(&self) -> u32 {
        self.inside.len() as u32
    }

    /// Whether a request has the atom.
    pub(crate) fn is_possible(&self, atom: u32) -> bool {
        self.missing == Missing::Absent || atom != self.missing()
    }

    /// An address of an atom; `None` for the last one.
    pub(crate) fn sample(&self, atom: u32) -> Option<IpAddr> {
        self.samples[atom as usize]
    }

    /// The atom that says that there is none comes first, then addresses as a person would type them.
    pub(crate) fn plain_order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.atoms()).collect();
        order.sort_by_key(|atom| self.sample(*atom).map(rank));
        order
    }

    pub(crate) fn set(&self, set: &ValueSet) -> Bits {
        let is_missing = |atom: u32| atom >= self.missing();
        let within = |blocks: &[Block], atom: u32| {
            let mut own = blocks.iter().filter_map(|block| self.blocks.binary_search(block).ok());
            own.any(|block| self.inside[atom as usize].contains(block as u32))
        };
        Bits::such_that(self.atoms(), |atom| match set {
            ValueSet::Absent => is_missing(atom),
            ValueSet::Present => !is_missing(atom),
            ValueSet::Passing { negated, polarity, .. } if is_missing(atom) => match self.missing {
                Missing::Absent => *negated && *polarity == Polarity::Refusal,
                // Nobody is refused for what he may not be, and the one who knows decides.
                Missing::Unknown => *polarity == Polarity::Grant,
            },
            ValueSet::Passing { asked: Asked::Within(blocks), negated, .. } => {
                within(blocks, atom) != *negated
            }
            ValueSet::Passing { .. } => false,
        })
    }
}

fn keep_plainer(sample: &mut Option<IpAddr>, other: IpAddr) {
    if sample.is_none_or(|known| rank(other) < rank(known)) {
        *sample = Some(other);
    }
}

/// The address of a range that a person would type.
fn plain(first: u128, last: u128) -> IpAddr {
    let known = ["192.0.2.1", "10.0.0.1", "2001:db8::1"].into_iter().filter_map(|text| text.parse().ok());
    let inside = |ip: &IpAddr| (first..=last).contains(&number(*ip));
    // The first address of a block names the block; the next one is somebody in it.
    let somebody = if first < last && first.trailing_zeros() > 0 { first + 1 } else { first };
    known.into_iter().find(inside).unwrap_or_else(|| Ipv6Addr::from(somebody).to_canonical())
}

fn rank(ip: IpAddr) -> (bool, u128) {
    let number = number(ip);
    (ip.is_ipv6(), if ip.to_string() == "192.0.2.1" { 0 } else { number })
}

/// An IPv4 address is the v4-mapped IPv6 address.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}
