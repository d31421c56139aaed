//! One hash of many, and the proof that something is among them: the Merkle tree of RFC 9162 2.1, with BLAKE3.
//!
//! Built from below: each level pairs the one under it, and a node without a neighbour goes up as it is. That is the tree of the RFC.

/// A BLAKE3-256.
pub type Hash = [u8; 32];

/// More levels than any tree can have whose leaves are counted by 32 bits.
pub const MAX_PROOF: usize = 32;

/// All levels of a tree, the leaves first.
pub struct Tree(Vec<Vec<Hash>>);

impl Tree {
    /// The tree over some data, in this order. Linear in the data.
    pub fn over<'d>(data: impl Iterator<Item = &'d [u8]>) -> Tree {
        let mut levels = vec![data.map(leaf).collect::<Vec<_>>()];
        while let Some(last) = levels.last().filter(|last| last.len() > 1) {
            let next = last.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                [alone, ..] => *alone,
                [] => Hash::default(),
            });
            let next = next.collect();
            levels.push(next);
        }
        Tree(levels)
    }

    /// The hash of all. Of nothing it is the hash of nothing.
    pub fn root(&self) -> Hash {
        let root = self.0.last().and_then(|top| top.first()).copied();
        root.unwrap_or_else(|| *blake3::hash(&[]).as_bytes())
    }

    /// The hashes beside the way from a leaf up to the root.
    pub fn proof(&self, leaf: usize) -> Vec<Hash> {
        let beside = self.0.iter().zip(0..).map(|(level, depth)| level.get((leaf >> depth) ^ 1));
        beside.flatten().copied().collect()
    }
}

/// The root that a tree of `leaves` leaves has if this data is the leaf of that number. `None` where it cannot be: the proof is too
/// short or too long.
pub fn root_of(data: &[u8], leaf_number: u32, leaves: u32, proof: &[Hash]) -> Option<Hash> {
    let (mut place, mut level) = (leaf_number, leaves);
    if place >= level {
        return None;
    }
    let mut hash = leaf(data);
    let mut proof = proof.iter();
    while level > 1 {
        if place ^ 1 < level {
            let beside = proof.next()?;
            hash = if place & 1 == 0 { node(&hash, beside) } else { node(beside, &hash) };
        }
        place /= 2;
        level = level.div_ceil(2);
    }
    proof.next().is_none().then_some(hash)
}

/// No leaf can be taken for a node: they begin differently.
fn leaf(data: &[u8]) -> Hash {
    *blake3::Hasher::new().update(&[0]).update(data).finalize().as_bytes()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    *blake3::Hasher::new().update(&[1]).update(left).update(right).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9162 2.1.1, word for word.
    fn by_the_book(data: &[Vec<u8>]) -> Hash {
        match data {
            [] => *blake3::hash(&[]).as_bytes(),
            [alone] => leaf(alone),
            _ => {
                let split = data.len().next_power_of_two() / 2;
                node(&by_the_book(&data[..split]), &by_the_book(&data[split..]))
            }
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved_and_nothing_else_is() {
        for leaves in 0..40u32 {
            let data: Vec<Vec<u8>> = (0..leaves).map(|number| number.to_le_bytes().to_vec()).collect();
            let tree = Tree::over(data.iter().map(Vec::as_slice));
            assert_eq!(tree.root(), by_the_book(&data));
            for (datum, number) in data.iter().zip(0..) {
                let proof = tree.proof(number as usize);
                assert_eq!(root_of(datum, number, leaves, &proof), Some(tree.root()));
                assert_ne!(root_of(b"other", number, leaves, &proof), Some(tree.root()));
                for place in (0..leaves).filter(|place| *place != number) {
                    assert_ne!(root_of(datum, place, leaves, &proof), Some(tree.root()));
                }
                assert_eq!(root_of(datum, number, leaves, &[&proof[..], &[[0; 32]]].concat()), None);
                if !proof.is_empty() {
                    assert_eq!(root_of(datum, number, leaves, &proof[1..]), None);
                }
            }
            assert_eq!(root_of(b"", leaves, leaves, &[]), None);
        }
    }
}
