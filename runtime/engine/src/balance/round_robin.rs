//! One after the other.

/// The first endpoint among these whose turn has come; `turn` is that of the one after it.
pub fn next(among: &[u32], turn: &mut u32) -> Option<u32> {
    let place = among.partition_point(|own| own < turn);
    let chosen = among.get(place).or(among.first()).copied()?;
    *turn = chosen.saturating_add(1);
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn_and_who_is_left_out_has_none() {
        let mut turn = 1;
        let mut next = |among: &[u32]| next(among, &mut turn).unwrap();
        assert_eq!([next(&[0, 1, 2]), next(&[0, 1, 2]), next(&[0, 1, 2])], [1, 2, 0]);
        assert_eq!([next(&[0, 2]), next(&[0, 2]), next(&[0, 2])], [2, 0, 2]);
        assert_eq!([next(&[0, 1, 2]), next(&[1])], [0, 1]);
    }
}
