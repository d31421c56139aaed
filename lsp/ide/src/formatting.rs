//! The one way to write a file, as edits of the lines that are written otherwise.

use crate::Analysis;
use mesh_lang::diagnostic::Edit;
use mesh_lang::{FileId, Span};
use std::ops::Range;

/// A table of more cells is not filled: then the lines between the first and the last difference are one edit.
const MAX_CELLS: usize = 4_000_000;

impl Analysis {
    /// The edits after which a file is formatted; none where it is.
    pub fn format(&self, file: FileId) -> Vec<Edit> {
        let text = self.text(file);
        edits(file, text, &mesh_lang::format(text))
    }

    /// Those of them that touch a part of the file.
    pub fn format_range(&self, file: FileId, range: Range<u32>) -> Vec<Edit> {
        let touches = |edit: &Edit| edit.span.start() <= range.end && range.start <= edit.span.end();
        self.format(file).into_iter().filter(touches).collect()
    }
}

/// Replacements of whole lines that make one text of another: as few lines as possible (longest common subsequence).
fn edits(file: FileId, before: &str, after: &str) -> Vec<Edit> {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let left = old.len().min(new.len()) - same;
    let same_end = old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[same..old.len() - same_end], &new[same..new.len() - same_end]);
    let start: usize = before.split_inclusive('\n').take(same).map(str::len).sum();
    let mut edits = Vec::new();
    let mut at = start;
    let (mut i, mut j) = (0, 0);
    for (to_i, to_j, count) in matches(old, new) {
        push(&mut edits, file, &mut at, &old[i..to_i], &new[j..to_j]);
        at += old[to_i..to_i + count].iter().map(|line| line.len()).sum::<usize>();
        (i, j) = (to_i + count, to_j + count);
    }
    push(&mut edits, file, &mut at, &old[i..], &new[j..]);
    edits
}

fn push(edits: &mut Vec<Edit>, file: FileId, at: &mut usize, old: &[&str], new: &[&str]) {
    let written = old.concat();
    if !old.is_empty() || !new.is_empty() {
        let span = Span::new(file, *at as u32, (*at + written.len()) as u32);
        *at += written.len();
        edits.push(Edit { span, written, text: new.concat() });
    }
}

/// Runs of equal lines: where in the one, where in the other, how many.
fn matches(old: &[&str], new: &[&str]) -> Vec<(usize, usize, usize)> {
    let width = new.len() + 1;
    if (old.len() + 1).saturating_mul(width) > MAX_CELLS {
        return vec![];
    }
    // How many lines are common behind each pair of places.
    let mut common = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = match old[i] == new[j] {
                true => common[(i + 1) * width + j + 1] + 1,
                false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
            };
        }
    }
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            match runs.last_mut() {
                Some((a, b, count)) if *a + *count == i && *b + *count == j => *count += 1,
                _ => runs.push((i, j, 1)),
            }
            (i, j) = (i + 1, j + 1);
        } else if common[(i + 1) * width + j] >= common[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_lang::diagnostic::fix;

    #[track_caller]
    fn check(text: &str, count: usize) {
        let after = mesh_lang::format(text);
        let edits = edits(FileId(0), text, &after);
        assert_eq!(fix::apply(FileId(0), text, &edits).as_deref(), Some(after.as_str()));
        assert_eq!(edits.len(), count, "{edits:?}");
    }

    #[test]
    fn edits_are_of_the_lines_that_are_written_otherwise() {
        check("service a {\n  port 80 http\n}\n", 0);
        check("service a {\n port 80   http\n}\n", 1);
        check(
            "service a   {\n  port 80 http\n}\n\n\n\nservice b {\nport 81 http\n  subset v1 label v = \"1\"\n}\n",
            3,
        );
        check("", 0);
        check("service a { port 80 http }", 1);
        check("service a { port 80 http }\r\nservice b { port 81 http }\r\n", 1);
    }

    #[test]
    fn what_is_not_touched_stays_as_it_is() {
        let text = "service a   { port 80 http }\n# between\n# and more\nservice b   { port 81 http }\n";
        let analysis = Analysis::new(mesh_lang::SourceSet::single("a.mesh", text), None);
        let edits = analysis.format_range(FileId(0), 0..5);
        let after = fix::apply(FileId(0), text, &edits).unwrap();
        assert!(
            after.starts_with("service a { port 80 http }\n")
                && after.ends_with("service b   { port 81 http }\n")
        );
    }
}
