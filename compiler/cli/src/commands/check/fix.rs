//! `mesh check --fix`: makes the edits that are certain, in memory until no more of them is left, then writes each file once.

use super::{Findings, Parsed, Project};
use crate::commands::fmt::diff;
use crate::failure::Failure;
use crate::output::Output;
use crate::report::{Fixed, Position};
use crate::write;
use mesh_lang::diagnostic::{Edit, Fix, fix};
use mesh_lang::{Diagnostic, FileId, Severity, Source, SourceSet};
use std::fs;
use std::path::Path;

/// A mended mistake lets the compiler see further and find the next; a project that is not done after so many looks has more
/// than slips of the pen.
const MAX_ROUNDS: usize = 8;

/// A project after its fixes, and what they were.
pub(super) struct Mended {
    pub(super) project: Project,
    pub(super) fixed: Vec<Fixed>,
}

/// The diagnostics that have a fix that is certain, with it.
pub(super) fn certain<'a>(diagnostics: &'a [Diagnostic], sources: &SourceSet) -> Vec<(&'a Diagnostic, Fix)> {
    let first = |diagnostic: &Diagnostic| {
        diagnostic.fixes.iter().filter(|fix| fix.certain).find_map(|fix| fix.settled(sources))
    };
    diagnostics.iter().filter_map(|diagnostic| Some((diagnostic, first(diagnostic)?))).collect()
}

/// Makes the edits, as long as there are some.
pub(super) fn mend(project: &Project, environments: &[String]) -> Result<Mended, Failure> {
    let copy = |sources: SourceSet| Project {
        sources,
        diagnostics: project.diagnostics.clone(),
        unread: project.unread.clone(),
    };
    let mut mended = Mended { project: copy(project.sources.clone()), fixed: Vec::new() };
    for _ in 0..MAX_ROUNDS {
        let found = Findings::of(&Parsed::of(&mended.project), environments)?;
        let sources = &mended.project.sources;
        let chosen = apart(certain(&found.diagnostics, sources));
        let mut fixed = Vec::new();
        let mut texts = Vec::new();
        for (file, source) in sources.iter() {
            let text = edited(file, source, &chosen);
            if text.is_some() {
                let own =
                    chosen.iter().filter(|(_, fix)| fix.edits.iter().any(|edit| edit.span.file() == file));
                fixed.extend(own.filter_map(|(diagnostic, fix)| described(diagnostic, fix, sources)));
            }
            texts.push(Source { text: text.unwrap_or_else(|| source.text.clone()), ..source.clone() });
        }
        if fixed.is_empty() {
            break;
        }
        mended.fixed.extend(fixed);
        mended.project = copy(SourceSet::new(texts));
    }
    Ok(mended)
}

/// Fixes that do not meet: of two that want one place, the first.
fn apart(fixes: Vec<(&Diagnostic, Fix)>) -> Vec<(&Diagnostic, Fix)> {
    let mut chosen: Vec<(&Diagnostic, Fix)> = Vec::new();
    for (diagnostic, fix) in fixes {
        let free = |edit: &Edit| {
            let taken = chosen.iter().flat_map(|(_, other)| &other.edits);
            taken.filter(|other| other.span.file() == edit.span.file()).all(|other| {
                *other == *edit
                    || other.span.end() <= edit.span.start()
                    || edit.span.end() <= other.span.start()
            })
        };
        if fix.edits.iter().all(free) {
            chosen.push((diagnostic, fix));
        }
    }
    chosen
}

/// A file's text with its edits in it; `None` where there are none, or where they would make more mistakes of the syntax than
/// they mend.
fn edited(file: FileId, source: &Source, fixes: &[(&Diagnostic, Fix)]) -> Option<String> {
    let edits = fixes.iter().flat_map(|(_, fix)| &fix.edits);
    let text = fix::apply(file, &source.text, edits).filter(|text| *text != source.text)?;
    let errors = |text: &str| {
        let found = mesh_lang::parse(file, text).diagnostics;
        found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    };
    (errors(&text) <= errors(&source.text)).then_some(text)
}

fn described(diagnostic: &Diagnostic, fix: &Fix, sources: &SourceSet) -> Option<Fixed> {
    let edit = fix.edits.first()?;
    Some(Fixed {
        code: diagnostic.code.as_str().to_owned(),
        title: fix.title.clone(),
        file: sources.get(edit.span.file())?.path.clone(),
        start: Position::of(sources.position(edit.span)),
    })
}

/// The files that differ: as they were, and their new text.
fn changed<'a>(before: &'a Project, after: &'a Mended) -> impl Iterator<Item = (&'a Source, &'a str)> {
    let both = before.sources.iter().zip(after.project.sources.iter());
    both.filter(|((_, old), (_, new))| old.text != new.text)
        .map(|((_, old), (_, new))| (old, new.text.as_str()))
}

/// Prints what would be written.
pub(super) fn show(before: &Project, after: &Mended, output: &mut Output<'_>) {
    if output.for_program() {
        return;
    }
    for (source, text) in changed(before, after) {
        output.raw(diff(source, text).as_bytes());
    }
}

/// Writes each file that differs, whole or not at all. What somebody else has changed meanwhile is not overwritten.
pub(super) fn write(before: &Project, after: &Mended) -> Result<(), Failure> {
    for (source, text) in changed(before, after) {
        let path = Path::new(&source.path);
        let now = fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
        if now != source.text.as_bytes() {
            return Err(Failure::new(
                format!("`{}` was changed while it was looked at", source.path),
                "Save what is open in an editor, then start again.",
            ));
        }
        write::write(path, text.as_bytes())?;
    }
    Ok(())
}

/// Says what was written, a line each.
pub(super) fn list(fixed: &[Fixed], output: &mut Output<'_>) {
    for Fixed { code, title, file, start } in fixed {
        output.say(&format!("{file}:{}:{}: fixed[{code}]: {title}", start.line, start.column));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;
    use mesh_lang::{Code, Span};

    #[test]
    fn what_was_changed_meanwhile_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.mesh");
        fs::write(&path, "service web {\n  prot 80 http\n}\n").unwrap();
        let project = load(std::slice::from_ref(&path)).unwrap();
        let mended = mend(&project, &[]).unwrap();
        let now = "service shop {\n}\n";
        fs::write(&path, now).unwrap();
        let refused = write(&project, &mended);
        assert!(refused.is_err_and(|failure| failure.message.contains("was changed")));
        assert_eq!(fs::read_to_string(&path).unwrap(), now);
    }

    #[test]
    fn of_two_fixes_that_want_one_place_the_first_is_made() {
        let problem = Diagnostic::new(Code::UnknownName, "unknown");
        let fix = |start, end, text: &str| {
            let span = Span::new(FileId(0), start, end);
            Fix::replace(span, "x", text.to_owned(), true)
        };
        let chosen = |fixes: &[Fix]| {
            let all = fixes.iter().map(|fix| (&problem, fix.clone())).collect();
            apart(all).into_iter().map(|(_, fix)| fix.edits[0].text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&[fix(0, 4, "a"), fix(2, 6, "b"), fix(6, 8, "c")]), ["a", "c"]);
        assert_eq!(chosen(&[fix(0, 4, "a"), fix(4, 6, "b")]), ["a", "b"], "beside each other");
    }

    #[test]
    fn edits_that_would_break_a_file_are_none() {
        let source =
            Source { path: "a.mesh".into(), module: String::new(), text: "service web {\n}\n".into() };
        let problem = Diagnostic::new(Code::UnknownName, "unknown");
        let with = |text: &str| {
            let fix = Fix::replace(Span::new(FileId(0), 0, 7), "service", text.to_owned(), true);
            edited(FileId(0), &source, &[(&problem, fix)])
        };
        assert_eq!(with("gateway").as_deref(), Some("gateway web {\n}\n"));
        assert_eq!(with("sirvice"), None);
    }
}
