//! After every edit there is to say what a project that is read for the first time says, and the same names mean the same.

use crate::Analysis;
use crate::fixture::examples;
use fastrand::Rng;
use mesh_lang::{FileId, Source, SourceSet, lexer};
use std::path::Path;

/// So many edits of each example; `MESH_EDITS` asks for more.
const EDITS: usize = 12;

#[test]
fn an_edited_project_answers_as_one_that_was_just_opened() {
    let edits = std::env::var("MESH_EDITS").ok().and_then(|said| said.parse().ok()).unwrap_or(EDITS);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").canonicalize().unwrap();
    let mut projects: Vec<(String, Vec<Source>)> = Vec::new();
    for path in examples() {
        let path = path.canonicalize().unwrap();
        let inside = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let (project, file) = inside.split_once('/').unwrap();
        let module = file.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
        let source = Source { path: file.to_owned(), module, text: std::fs::read_to_string(&path).unwrap() };
        match projects.last_mut().filter(|(name, _)| name == project) {
            Some((_, sources)) => sources.push(source),
            None => projects.push((project.to_owned(), vec![source])),
        }
    }
    for ((name, sources), seed) in projects.into_iter().zip(0..) {
        let mut rng = Rng::with_seed(seed);
        let whole = SourceSet::new(sources);
        let mut analysis = Analysis::new(whole.clone(), None);
        for number in 0..edits {
            let file = FileId(rng.u32(..analysis.sources().len() as u32));
            // Now and then a file is whole again: of broken ones alone there would soon be nothing left.
            let text = match rng.u8(..5) {
                0 => whole.get(file).unwrap().text.clone(),
                _ => edited(analysis.text(file), &mut rng),
            };
            analysis.edit(file, &text);
            let fresh = Analysis::new(analysis.sources().clone(), None);
            let ((found, names), (wanted, fresh)) = (answers(&analysis), answers(&fresh));
            let other = names.iter().zip(&fresh).find(|(one, other)| one != other);
            let said = found.iter().zip(&wanted).find(|(one, other)| one != other);
            assert!(
                (&names, &found) == (&fresh, &wanted),
                "{name}, seed {seed}, edit {number}: {other:?} {said:?} {}",
                text.len()
            );
        }
    }
}

/// What there is to say, and what each name means.
fn answers(analysis: &Analysis) -> (Vec<mesh_lang::Diagnostic>, Vec<String>) {
    let names = analysis
        .ids()
        .flat_map(|file| analysis.names(file))
        .map(|name| format!("{:?} {} {:?}", name.span, name.declares, analysis.symbol(name)));
    (analysis.diagnostics(), names.collect())
}

/// A token less, twice, or another's; or the end of the text gone.
fn edited(text: &str, rng: &mut Rng) -> String {
    let (tokens, _) = lexer::lex(FileId(0), text);
    if tokens.is_empty() {
        return "service web { port 80 http }\n".to_owned();
    }
    let one = tokens[rng.usize(..tokens.len())];
    let other = tokens[rng.usize(..tokens.len())];
    let said = match rng.u8(..8) {
        0 => "",
        1 => return text[..one.start()].to_owned(),
        2 => return text.replacen(one.text(text), "", 1),
        3 | 4 => return format!("{}{}\n{}", &text[..one.start()], other.text(text), &text[one.start()..]),
        _ => other.text(text),
    };
    format!("{}{said}{}", &text[..one.start()], &text[one.end()..])
}
