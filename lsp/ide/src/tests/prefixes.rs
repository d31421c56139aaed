//! Half-written files are the normal case: every question has an answer at every prefix of every example.

use crate::fixture::examples;
use crate::{Analysis, At};
use mesh_lang::{FileId, SourceSet};

/// Every so many bytes, unless `MESH_PREFIXES` says another number: `MESH_PREFIXES=1` is every prefix.
const STEP: usize = 97;

#[test]
fn every_question_has_an_answer_at_every_prefix_of_every_example() {
    let step = std::env::var("MESH_PREFIXES").ok().and_then(|said| said.parse().ok()).unwrap_or(STEP);
    let mut asked = 0;
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut analysis = Analysis::new(SourceSet::single("a.mesh", &text), None);
        // Beginning somewhere else in each file, so that more places are asked with the same number of them.
        for end in (asked % step..=text.len()).step_by(step.max(1)).filter(|end| text.is_char_boundary(*end))
        {
            analysis.edit(FileId(0), &text[..end]);
            ask_everything(&analysis, end as u32);
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked} prefixes");
}

/// What is asked at the end of the text, and in its middle.
fn ask_everything(analysis: &Analysis, end: u32) {
    let file = FileId(0);
    let text = analysis.text(file).to_owned();
    let inside = |offset: u32| text.is_char_boundary(offset as usize);
    for offset in [end, end / 2, end.saturating_sub(3)].into_iter().filter(|offset| inside(*offset)) {
        let at = At { file, offset };
        for item in analysis.completions(at).items {
            assert!(item.replace.end() as usize <= text.len() && inside(item.replace.start()), "{item:?}");
        }
        analysis.hover(at);
        analysis.definition(at);
        analysis.references(at);
        analysis.highlights(at);
        let _ = analysis.rename(at, "other-name");
        analysis.signature_help(at);
        let selections = analysis.selections(at);
        assert!(
            selections
                .windows(2)
                .all(|pair| pair[1].start() <= pair[0].start() && pair[0].end() <= pair[1].end())
        );
        for action in analysis.actions(file, offset..offset) {
            for edit in &action.edits {
                assert_eq!(analysis.sources().text(edit.span), edit.written, "{}", action.title);
            }
        }
        analysis.question(at);
        if let Some(party) = analysis.party(at) {
            analysis.callers(&party);
            analysis.callees(&party);
        }
    }
    for found in analysis.diagnostics() {
        assert!(found.labels.iter().all(|label| label.span.end() as usize <= text.len()), "{found:?}");
    }
    analysis.document_symbols(file);
    analysis.workspace_symbols("re");
    analysis.folds(file);
    analysis.format(file);
    analysis.format_range(file, 0..end / 2);
    let words = analysis.highlighted(file, 0..end);
    assert!(words.windows(2).all(|pair| pair[0].span.end() <= pair[1].span.start()), "one over another");
    analysis.lenses(file);
    analysis.hints(file, 0..end);
    analysis.links(file);
}
