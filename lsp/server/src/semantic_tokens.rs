//! Coloured words in the protocol's five numbers each, and what of them is another than before.

use crate::position::Encoding;
use crate::projects::Project;
use gen_lsp_types::{SemanticToken, SemanticTokensEdit, SemanticTokensLegend};
use mesh_ide::{Highlight, HighlightedSpan};

/// So many numbers are a word.
const NUMBERS: usize = 5;

/// Names that clients have colours for.
fn name(highlight: Highlight) -> &'static str {
    match highlight {
        Highlight::Comment | Highlight::Documentation => "comment",
        Highlight::Keyword => "keyword",
        Highlight::Method => "method",
        Highlight::String | Highlight::Path => "string",
        Highlight::Regex => "regexp",
        Highlight::Number => "number",
        Highlight::Operator => "operator",
        Highlight::Namespace | Highlight::Module => "namespace",
        Highlight::Service => "class",
        Highlight::Gateway => "interface",
        Highlight::Door => "property",
        Highlight::Subset | Highlight::Place => "enumMember",
        Highlight::Rule => "function",
        Highlight::Shared => "type",
        Highlight::Param => "parameter",
        Highlight::Word => "variable",
    }
}

/// Said of a name where it is given, and of comments that describe something.
const MODIFIERS: [&str; 2] = ["declaration", "documentation"];

pub(crate) fn legend() -> SemanticTokensLegend {
    let modifiers = MODIFIERS.iter().map(|name| (*name).into()).collect();
    SemanticTokensLegend::new(types().into_iter().map(Into::into).collect(), modifiers)
}

fn types() -> Vec<&'static str> {
    let mut names: Vec<&str> = Highlight::ALL.into_iter().map(name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The words as numbers, each relative to the one before. A word that goes over several lines is left out: none does.
pub(crate) fn encode(words: &[HighlightedSpan], project: &Project, encoding: Encoding) -> Vec<u32> {
    let types = types();
    let mut numbers = Vec::with_capacity(words.len() * NUMBERS);
    let (mut line, mut column) = (0, 0);
    for word in words {
        let range = project.range(word.span, encoding);
        if range.start.line != range.end.line || range.start == range.end {
            continue;
        }
        let same_line = range.start.line == line && !numbers.is_empty();
        let kind = types.iter().position(|known| *known == name(word.highlight)).unwrap_or_default();
        let modifiers = u32::from(word.declares) | u32::from(word.highlight == Highlight::Documentation) << 1;
        numbers.extend([
            range.start.line - line,
            if same_line { range.start.character - column } else { range.start.character },
            range.end.character - range.start.character,
            kind as u32,
            modifiers,
        ]);
        (line, column) = (range.start.line, range.start.character);
    }
    numbers
}

/// The numbers as the protocol's words.
pub(crate) fn tokens(numbers: &[u32]) -> Vec<SemanticToken> {
    let words = numbers.chunks_exact(NUMBERS).map(|word| SemanticToken {
        delta_line: word[0],
        delta_start: word[1],
        length: word[2],
        token_type: word[3],
        token_modifiers_bitset: word[4],
    });
    words.collect()
}

/// One edit that makes the second of the first, in whole words; none where they are the same.
pub(crate) fn delta(before: &[u32], after: &[u32]) -> Vec<SemanticTokensEdit> {
    let whole = |common: usize| common / NUMBERS * NUMBERS;
    let start = whole(before.iter().zip(after).take_while(|(a, b)| a == b).count());
    let left = before.len().min(after.len()) - start;
    let end = before.iter().rev().zip(after.iter().rev()).take(left).take_while(|(a, b)| a == b).count();
    let end = whole(end);
    if start + end == before.len() && before.len() == after.len() {
        return vec![];
    }
    vec![SemanticTokensEdit {
        start: start as u32,
        delete_count: (before.len() - end - start) as u32,
        data: Some(after[start..after.len() - end].to_vec()),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(before: &[u32], after: &[u32]) -> Vec<u32> {
        let mut numbers = before.to_vec();
        for edit in delta(before, after) {
            let start = edit.start as usize;
            numbers.splice(start..start + edit.delete_count as usize, edit.data.unwrap());
        }
        numbers
    }

    #[test]
    fn a_delta_makes_the_new_of_the_old() {
        let word = |n: u32| [n, 0, 1, 2, 0];
        let all = |words: &[u32]| words.iter().flat_map(|n| word(*n)).collect::<Vec<u32>>();
        for (before, after) in [
            (vec![], vec![1]),
            (vec![1], vec![]),
            (vec![1, 2, 3], vec![1, 9, 3]),
            (vec![1, 2, 3], vec![1, 3]),
            (vec![1, 1, 1], vec![1, 1, 1, 1]),
        ] {
            let (before, after) = (all(&before), all(&after));
            assert_eq!(applied(&before, &after), after);
        }
        assert_eq!(delta(&all(&[1, 2]), &all(&[1, 2])), vec![]);
        assert!(
            delta(&all(&[1, 2, 3]), &all(&[1, 9, 3]))
                .iter()
                .all(|edit| edit.start == 5 && edit.delete_count == 5)
        );
    }
}
