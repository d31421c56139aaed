//! The one of two that has less to do (Mitzenmacher, *The Power of Two Choices in Randomized Load Balancing*, IEEE TPDS 2001).

use super::{Draw, two};

/// Of two drawn the one with fewer requests under way, `active`; where they have the same, either.
pub fn pick(among: &[u32], active: impl Fn(u32) -> f64, draw: &mut Draw<'_>) -> Option<u32> {
    let (first, second) = two(among, draw)?;
    // Which of two is drawn first is a toss already.
    Some(if active(second) < active(first) { second } else { first })
}

#[cfg(test)]
mod tests {
    use super::super::tests::dice;
    use super::*;

    #[test]
    fn whoever_has_most_to_do_gets_nothing_while_others_have_less() {
        let mut draw = dice(3);
        let active = [5.0, 0.0, 1.0];
        let mut counts = [0; 3];
        for _ in 0..30_000 {
            let chosen = pick(&[0, 1, 2], |own| active[own as usize], &mut draw).unwrap();
            counts[chosen as usize] += 1;
        }
        // Of the three pairs the second wins two, the third one.
        assert_eq!(counts[0], 0);
        assert!((19_000..=21_000).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn a_slow_endpoint_is_left_alone_while_it_is_slow() {
        // Four endpoints, one of which takes eight times as long: in each step one request begins, and each endpoint ends one of its
        // own every so many steps. The longest queue of two choices stays near that of the best choice.
        let mut draw = dice(4);
        let mut active = [0u32; 4];
        let mut begun = [0u32; 4];
        for step in 0..40_000u32 {
            let chosen = pick(&[0, 1, 2, 3], |own| f64::from(active[own as usize]), &mut draw).unwrap();
            active[chosen as usize] += 1;
            begun[chosen as usize] += 1;
            for (endpoint, every) in [(0, 24), (1, 3), (2, 3), (3, 3)] {
                if step % every == 0 {
                    active[endpoint] = active[endpoint].saturating_sub(1);
                }
            }
        }
        assert!(begun[0] < 3_000, "a random choice would be 10,000: {begun:?}");
        assert!(active.iter().all(|own| *own < 60), "{active:?}");
    }
}
