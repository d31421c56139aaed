//! Maglev's lookup table (Eisenbud et al., *Maglev: A Fast and Reliable Software Network Load Balancer*, NSDI 2016, section 3.4): even
//! shares and one look-up for each request; an endpoint that comes or goes moves some keys of others, too.

use super::hash::{hash, mixed};

/// Places of the table: a prime, as the paper's own measurements have it. With up to a hundred endpoints no share is off by more than 1 %.
const PLACES: usize = 65_537;
/// How often a key is hashed anew where its endpoint is left out, before the table is searched from its place on.
const TRIES: u64 = 64;

/// The table.
#[derive(Debug)]
pub struct Table(Vec<u32>);

impl Table {
    /// A table of endpoints with these names, in an order that everybody shares. A name is what an endpoint is known by, its address.
    pub fn new(names: &[impl AsRef<[u8]>]) -> Table {
        const NOBODY: u32 = u32::MAX;
        if names.is_empty() {
            return Table(vec![]);
        }
        // Each endpoint's preferences: where it begins, and by how much it goes on.
        let mut preferences: Vec<(usize, usize)> = names
            .iter()
            .map(|name| {
                let number =
                    |seed, below: usize| (hash(seed, name.as_ref().iter().copied()) % below as u64) as usize;
                (number(1, PLACES), number(2, PLACES - 1) + 1)
            })
            .collect();
        let mut places = vec![NOBODY; PLACES];
        let mut left = PLACES;
        while left > 0 {
            for ((next, step), endpoint) in preferences.iter_mut().zip(0u32..) {
                // An endpoint's steps come to every place: the number of places is a prime.
                while places.get(*next).is_some_and(|own| *own != NOBODY) && left > 0 {
                    *next = (*next + *step) % PLACES;
                }
                if let Some(place) = places.get_mut(*next).filter(|_| left > 0) {
                    *place = endpoint;
                    left -= 1;
                }
            }
        }
        Table(places)
    }

    /// The endpoint of a key: where that is not usable, the one of the key hashed again.
    pub fn pick(&self, key: u64, usable: impl Fn(u32) -> bool) -> Option<u32> {
        let place = |hash: u64| (hash % self.0.len().max(1) as u64) as usize;
        let hashes = (0..TRIES).map(|try_| if try_ == 0 { key } else { mixed(key ^ mixed(try_)) });
        let tried = hashes.filter_map(|hash| self.0.get(place(hash)));
        let rest = self.0.iter().skip(place(key)).chain(self.0.iter().take(place(key)));
        tried.chain(rest).copied().find(|endpoint| usable(*endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{furthest, names};
    use super::*;

    #[test]
    #[expect(clippy::print_stdout, reason = "figures for whoever asks, with --nocapture")]
    fn shares_are_even() {
        for count in [1, 3, 10, 100] {
            let mut counts = vec![0u32; count as usize];
            Table::new(&names(count)).0.iter().for_each(|own| counts[*own as usize] += 1);
            let off = furthest(&counts, &vec![1.0; count as usize]);
            println!("maglev: {count} endpoints, furthest off its share {:.3} %", off * 100.0);
            assert!(off < 0.01, "{count}: {off}");
        }
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "figures for whoever asks, with --nocapture")]
    fn an_endpoint_that_goes_moves_few_keys_of_others() {
        let all = names(10);
        let before = Table::new(&all);
        for gone in 0..all.len() {
            let mut left = all.clone();
            left.remove(gone);
            let after = Table::new(&left);
            let places = before.0.iter().zip(&after.0).filter(|(was, _)| **was as usize != gone);
            let moved = places.filter(|(was, is)| all[**was as usize] != left[**is as usize]).count();
            let share = moved as f64 / PLACES as f64;
            println!("maglev: 1 of 10 endpoints goes, {:.2} % of keys of others move", share * 100.0);
            assert!(share < 0.05, "{share}");
        }
    }

    #[test]
    fn keys_of_an_endpoint_that_is_left_out_spread_and_no_others_move() {
        let table = Table::new(&names(10));
        let mut heirs = [0u32; 10];
        for key in (0..100_000).map(mixed) {
            let (whole, without) =
                (table.pick(key, |_| true).unwrap(), table.pick(key, |own| own != 3).unwrap());
            if whole == 3 {
                heirs[without as usize] += 1;
            } else {
                assert_eq!(whole, without);
            }
        }
        assert!(
            heirs.iter().enumerate().all(|(own, keys)| if own == 3 { *keys == 0 } else { *keys > 900 }),
            "{heirs:?}"
        );
        assert_eq!(table.pick(7, |own| own == 9), Some(9));
        assert_eq!(table.pick(7, |_| false), None);
        assert_eq!(Table::new(&names(0)).pick(7, |_| true), None);
    }
}
