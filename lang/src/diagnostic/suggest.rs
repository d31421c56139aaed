//! "Did you mean …?": the nearest of some names, by Damerau-Levenshtein distance.

/// A longer word is no slip of the pen, and the table of distances stays small.
const MAX_CHARS: usize = 64;

/// The candidate nearest to `word`, if it is near enough to have been meant: a third of the word may be wrong, of two letters none.
/// Among equally near ones the alphabetically first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = lower_chars(word);
    if written.len() > MAX_CHARS {
        return None;
    }
    let allowed = written.len() / 3;
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = lower_chars(candidate);
            let near = other.len().abs_diff(written.len()) <= allowed;
            let distance = near.then(|| distance(&written, &other))?;
            (distance <= allowed).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

fn lower_chars(text: &str) -> Vec<char> {
    text.chars().take(MAX_CHARS + 1).flat_map(char::to_lowercase).collect()
}

/// How many insertions, deletions, replacements and swaps of neighbours make `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(from != to);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_found() {
        let words = ["timeout", "retry", "port", "subset"];
        assert_eq!(nearest("tiemout", words), Some("timeout"));
        assert_eq!(nearest("Retry", words), Some("retry"));
        assert_eq!(nearest("prot", words), Some("port"));
        assert_eq!(nearest("subsets", words), Some("subset"));
        assert_eq!(nearest("cort", ["port", "cart"]), Some("cart"), "of equally near ones the first by name");
    }

    #[test]
    fn another_word_is_not() {
        assert_eq!(nearest("to", ["or", "on"]), None);
        assert_eq!(nearest("weight", ["timeout", "retry"]), None);
        assert_eq!(nearest(&"x".repeat(10_000), ["timeout"]), None);
    }
}
