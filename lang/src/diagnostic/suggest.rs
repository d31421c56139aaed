//! "Did you mean …?": the nearest of some names, by Damerau-Levenshtein distance.

/// A longer word is no slip of the pen, and the table of distances stays small.
const MAX_CHARS: usize = 64;

/// A name that was probably meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meant<'a> {
    pub name: &'a str,
    /// Whether it can be nothing else: the same but for case, or one slip of the pen away with no other name near; and no digit
    /// changed (`v1` for `v2` is no slip, it is another version).
    pub certain: bool,
}

/// The candidate nearest to `word`, if it is near enough to have been meant: a third of the word may be wrong, of two letters none.
/// Among equally near ones the alphabetically first.
pub fn meant<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<Meant<'a>> {
    let written = lower_chars(word);
    if written.len() > MAX_CHARS {
        return None;
    }
    let allowed = written.len() / 3;
    let mut best: Option<(usize, &str)> = None;
    let mut alone = true;
    for candidate in candidates {
        let other = lower_chars(candidate);
        if other.len().abs_diff(written.len()) > allowed {
            continue;
        }
        let found = (distance(&written, &other), candidate);
        if found.0 > allowed || best == Some(found) {
            continue;
        }
        alone &= best.is_none();
        best = Some(best.map_or(found, |before| before.min(found)));
    }
    let (distance, name) = best?;
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let slip = distance == 0 || (alone && distance == 1);
    Some(Meant { name, certain: slip && digits(word) == digits(name) })
}

/// The name of [`meant`].
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    meant(word, candidates).map(|meant| meant.name)
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
    fn one_slip_with_no_other_name_near_is_certain() {
        let certain = |word, names: &[&'static str]| meant(word, names.iter().copied()).map(|it| it.certain);
        assert_eq!(certain("tiemout", &["timeout", "retry"]), Some(true));
        assert_eq!(certain("reviws", &["reviews", "reviews"]), Some(true), "the same name twice is one");
        assert_eq!(certain("tmout", &["timeout"]), None);
        assert_eq!(certain("timuot-x", &["timeout"]), None);
        assert_eq!(certain("reviewws-api", &["reviews-ap"]), Some(false), "two slips");
        assert_eq!(certain("cart", &["card", "care"]), Some(false), "it could be either");
        assert_eq!(certain("cart-v2", &["cart-v1"]), Some(false), "another version is no slip");
        assert_eq!(certain("carts", &["cart"]), Some(true));
        assert_eq!(certain("HTTP", &["http", "http2"]), Some(true), "only the case differs");
    }

    #[test]
    fn another_word_is_not() {
        assert_eq!(nearest("to", ["or", "on"]), None);
        assert_eq!(nearest("weight", ["timeout", "retry"]), None);
        assert_eq!(nearest(&"x".repeat(10_000), ["timeout"]), None);
    }
}
