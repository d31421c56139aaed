//! A diagnostic becomes a picture (miette, only here), a line, or plain values from which a driver makes JSON.
//!
//! Sources and messages hold text of strangers: what a terminal would obey or hide is replaced before it is shown.

mod excerpt;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NarratableReportHandler, SourceCode};

use self::excerpt::Excerpt;
use super::{Diagnostic, Label, Severity, Witness};
use crate::lexer::is_refused;
use crate::source::{FileId, SourceSet};
use crate::span::Span;

/// How a picture is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With lines and arrows.
    Unicode { color: bool },
    /// For terminals without them.
    Ascii { color: bool },
    /// Sentences alone, for screen readers.
    Plain,
}

/// Narrower pictures have no room for the source.
const MIN_WIDTH: usize = 40;

/// Lines of source around a label.
const CONTEXT_LINES: usize = 1;

/// The whole picture: message, source with labels, notes, help.
pub fn human(diagnostic: &Diagnostic, sources: &SourceSet, style: Style, width: usize) -> String {
    let pictures = Picture::of_each_file(diagnostic, sources, style);
    let notes: Vec<String> = diagnostic.notes.iter().map(|note| format!("note: {}", shown(note))).collect();
    let mut out = String::new();
    let mut drawn = Ok(());
    for (index, picture) in pictures.iter().enumerate() {
        let footer = (index + 1 == pictures.len() && !notes.is_empty()).then(|| notes.join("\n"));
        if index > 0 {
            out.push('\n');
        }
        drawn = drawn.and_then(|()| draw(&mut out, picture, style, width, footer));
    }
    // What is to be copied is not broken into lines.
    if let (Some(witness), Ok(())) = (&diagnostic.witness, drawn) {
        let lines = witness.lines().into_iter().map(|line| format!("  {}\n", shown(&line)));
        out.extend(std::iter::once("\n".to_owned()).chain(lines));
    }
    // Writing to a string does not fail; should a picture be impossible, the line is better than nothing.
    drawn.map_or_else(|_| short(diagnostic, sources), |()| out)
}

fn draw(
    out: &mut String,
    picture: &Picture,
    style: Style,
    width: usize,
    footer: Option<String>,
) -> fmt::Result {
    let Some(theme) = theme(style) else {
        let handler = NarratableReportHandler::new().with_context_lines(CONTEXT_LINES);
        let handler = match footer {
            Some(footer) => handler.with_footer(footer),
            None => handler,
        };
        return handler.render_report(out, picture);
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width.max(MIN_WIDTH))
        .with_context_lines(CONTEXT_LINES)
        .with_links(false);
    let handler = match footer {
        Some(footer) => handler.with_footer(footer),
        None => handler,
    };
    handler.render_report(out, picture)
}

/// One line: `file:line:column: error[MESH1007]: message`.
pub fn short(diagnostic: &Diagnostic, sources: &SourceSet) -> String {
    let flat = flat(diagnostic, sources);
    let message = shown(flat.message);
    match flat.file {
        Some(file) => {
            let (line, column) = flat.start;
            format!("{}:{line}:{column}: {}[{}]: {message}", shown(file), flat.severity, flat.code)
        }
        None => format!("{}[{}]: {message}", flat.severity, flat.code),
    }
}

/// A diagnostic with places as people count them; made to be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flat<'a> {
    /// `MESH1007`
    pub code: &'static str,
    /// The name that reads after "allow".
    pub name: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    pub message: &'a str,
    /// The file of the primary place; `None` where no file is involved.
    pub file: Option<&'a str>,
    /// Line and column of the first character, both from 1; zeros where no file is involved.
    pub start: (usize, usize),
    /// Line and column one past the last character.
    pub end: (usize, usize),
    /// All places; the first is the primary one.
    pub labels: Vec<FlatLabel<'a>>,
    pub notes: &'a [String],
    pub witness: Option<&'a Witness>,
    pub help: Option<&'a str>,
}

/// A place and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatLabel<'a> {
    pub file: &'a str,
    pub start: (usize, usize),
    pub end: (usize, usize),
    /// May be empty.
    pub text: &'a str,
}

/// The diagnostic as plain values.
pub fn flat<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceSet) -> Flat<'a> {
    let labels: Vec<FlatLabel<'a>> = diagnostic
        .labels
        .iter()
        .filter_map(|label| {
            Some(FlatLabel {
                file: &sources.get(label.span.file())?.path,
                start: sources.position(label.span),
                end: sources.end_position(label.span),
                text: &label.text,
            })
        })
        .collect();
    let primary = labels.first();
    Flat {
        code: diagnostic.code.as_str(),
        name: diagnostic.code.name(),
        severity: severity(diagnostic.severity),
        message: &diagnostic.message,
        file: primary.map(|label| label.file),
        start: primary.map_or((0, 0), |label| label.start),
        end: primary.map_or((0, 0), |label| label.end),
        labels,
        notes: &diagnostic.notes,
        witness: diagnostic.witness.as_deref(),
        help: diagnostic.help.as_deref(),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn theme(style: Style) -> Option<GraphicalTheme> {
    Some(match style {
        Style::Unicode { color: true } => GraphicalTheme::unicode(),
        Style::Unicode { color: false } => GraphicalTheme::unicode_nocolor(),
        Style::Ascii { color: true } => GraphicalTheme::ascii(),
        Style::Ascii { color: false } => GraphicalTheme::none(),
        Style::Plain => return None,
    })
}

/// What miette draws: the part of a diagnostic that lies in one file.
#[derive(Debug)]
struct Picture {
    code: Option<String>,
    severity: miette::Severity,
    message: String,
    help: Option<String>,
    excerpt: Option<Excerpt>,
    labels: Vec<LabeledSpan>,
}

impl Picture {
    /// The file of the primary place first.
    fn of_each_file(diagnostic: &Diagnostic, sources: &SourceSet, style: Style) -> Vec<Picture> {
        let severity_word = severity(diagnostic.severity);
        let code = match style {
            Style::Plain => diagnostic.code.as_str().to_string(),
            _ => format!("{severity_word}[{}]: {}", diagnostic.code.as_str(), diagnostic.code.name()),
        };
        let mut picture = Picture {
            code: Some(code),
            severity: match diagnostic.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
            },
            message: shown(&diagnostic.message).into_owned(),
            help: diagnostic.help.as_deref().map(|help| shown(help).into_owned()),
            excerpt: None,
            labels: Vec::new(),
        };
        let Some(primary) = diagnostic.span() else { return vec![picture] };
        let mut files: BTreeMap<FileId, Vec<&Label>> = BTreeMap::new();
        for label in &diagnostic.labels {
            files.entry(label.span.file()).or_default().push(label);
        }
        if let Some(labels) = files.remove(&primary.file()) {
            picture.show(sources, &labels, Some(primary));
        }
        let related = files.values().map(|labels| Picture::related(sources, labels));
        std::iter::once(picture).chain(related).collect()
    }

    fn related(sources: &SourceSet, labels: &[&Label]) -> Picture {
        let file = labels.first().and_then(|label| sources.get(label.span.file()));
        let path = file.map(|file| file.path.as_str()).unwrap_or_default();
        let mut picture = Picture {
            code: None,
            severity: miette::Severity::Advice,
            message: format!("see also `{}`", shown(path)),
            help: None,
            excerpt: None,
            labels: Vec::new(),
        };
        picture.show(sources, labels, None);
        picture
    }

    fn show(&mut self, sources: &SourceSet, labels: &[&Label], primary: Option<Span>) {
        let Some(excerpt) = Excerpt::around(sources, labels) else { return };
        self.labels = labels
            .iter()
            .map(|label| {
                let start = label.span.start() as usize;
                let len = (label.span.end() - label.span.start()) as usize;
                let text = (!label.text.is_empty()).then(|| shown(&label.text).into_owned());
                match Some(label.span) == primary {
                    true => LabeledSpan::new_primary_with_span(text, (start, len)),
                    false => LabeledSpan::new_with_span(text, (start, len)),
                }
            })
            .collect();
        self.excerpt = Some(excerpt);
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Picture {}

impl miette::Diagnostic for Picture {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.as_ref().map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.excerpt.is_some().then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = _>>)
    }
}

/// Text without characters that a terminal obeys or hides.
fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_refused) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_refused(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;
    use crate::source::Source;

    fn two_files() -> SourceSet {
        let source =
            |path: &str, text: &str| Source { path: path.into(), module: String::new(), text: text.into() };
        SourceSet::new(vec![
            source("a.mesh", "# é\r\nservice cart {\r\n}\r\n"),
            source("b.mesh", "# one\n# two\nservice cart {\n}\n"),
        ])
    }

    fn duplicate() -> Diagnostic {
        Diagnostic::new(Code::DuplicateName, "there are two services `cart`")
            .at(Span::new(FileId(1), 20, 24), "declared again here")
            .at(Span::new(FileId(0), 14, 18), "first declared here")
            .note("a call to `cart` could mean either")
            .help("Rename one of them.")
    }

    #[test]
    fn a_picture_shows_the_places_in_all_files() {
        let picture = human(&duplicate(), &two_files(), Style::Unicode { color: false }, 80);
        let expected = "\
error[MESH2002]: duplicate-name

  × there are two services `cart`
   ╭─[b.mesh:3:9]
 2 │ # two
 3 │ service cart {
   ·         ──┬─
   ·           ╰── declared again here
 4 │ }
   ╰────
  help: Rename one of them.

  ☞ see also `a.mesh`
   ╭─[a.mesh:2:9]
 1 │ # é
 2 │ service cart {
   ·         ──┬─
   ·           ╰── first declared here
 3 │ }
   ╰────

  note: a call to `cart` could mean either
";
        assert_eq!(strip_ends(&picture), expected, "{picture}");
    }

    #[test]
    fn of_places_far_from_each_other_only_the_lines_around_them_are_shown() {
        let text = "service cart {\r\n}\r\n".to_owned() + &"# é\n".repeat(1000) + "service cart {\n}\n";
        let again = text.rfind("cart").unwrap() as u32;
        let diagnostic = Diagnostic::new(Code::DuplicateName, "there are two services `cart`")
            .at(Span::new(FileId(0), again, again + 4), "declared again here")
            .at(Span::new(FileId(0), 8, 12), "first declared here")
            .at(Span::new(FileId(0), 16, 17), "it ends here");
        let picture =
            human(&diagnostic, &SourceSet::single("a.mesh", &text), Style::Unicode { color: false }, 80);
        let expected = "\
error[MESH2002]: duplicate-name

  × there are two services `cart`
   ╭─[a.mesh:1:9]
 1 │ service cart {
   ·         ──┬─
   ·           ╰── first declared here
 2 │ }
   · ┬
   · ╰── it ends here
 3 │ # é
   ╰────
      ╭─[a.mesh:1003:9]
 1002 │ # é
 1003 │ service cart {
      ·         ──┬─
      ·           ╰── declared again here
 1004 │ }
      ╰────
";
        assert_eq!(strip_ends(&picture), expected, "{picture}");
    }

    fn strip_ends(text: &str) -> String {
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    #[test]
    fn the_other_styles_say_the_same() {
        let ascii = human(&duplicate(), &two_files(), Style::Ascii { color: false }, 80);
        assert!(ascii.is_ascii() || ascii.contains('é'), "{ascii}");
        assert!(ascii.contains("declared again here") && ascii.contains("first declared here"), "{ascii}");
        let plain = human(&duplicate(), &two_files(), Style::Plain, 80);
        for part in
            ["severity: error", "MESH2002", "line 3", "first declared here", "note: a call", "Rename one"]
        {
            assert!(plain.contains(part), "{part}: {plain}");
        }
        let color = human(&duplicate(), &two_files(), Style::Unicode { color: true }, 80);
        assert!(color.contains("\u{1b}["), "{color}");
    }

    #[test]
    fn a_line_has_place_severity_and_code() {
        let line = short(&duplicate().severity(Severity::Warning), &two_files());
        assert_eq!(line, "b.mesh:3:9: warning[MESH2002]: there are two services `cart`");
        let nowhere = Diagnostic::new(Code::NotAPlan, "this is no plan");
        assert_eq!(short(&nowhere, &two_files()), "error[MESH8001]: this is no plan");
        assert!(human(&nowhere, &two_files(), Style::Plain, 80).contains("this is no plan"));
    }

    #[test]
    fn the_plain_values_count_lines_and_characters_from_one() {
        let (diagnostic, sources) = (duplicate(), two_files());
        let flat = flat(&diagnostic, &sources);
        assert_eq!((flat.file, flat.start, flat.end), (Some("b.mesh"), (3, 9), (3, 13)));
        assert_eq!((flat.labels[1].file, flat.labels[1].start), ("a.mesh", (2, 9)));
        assert_eq!((flat.code, flat.name, flat.severity), ("MESH2002", "duplicate-name", "error"));
    }

    #[test]
    fn a_terminal_never_gets_what_it_would_obey() {
        let sources = SourceSet::single("a\u{1b}.mesh", "x \u{1b}[2J \u{202e}\u{9b}\r y\n");
        let diagnostic = Diagnostic::new(Code::UnknownName, "no `\u{1b}]0;x\u{7}`")
            .at(Span::new(FileId(0), 2, 3), "\u{1b}")
            .note("\u{1b}")
            .help("\u{202e}");
        for style in [Style::Unicode { color: false }, Style::Ascii { color: false }, Style::Plain] {
            let picture = human(&diagnostic, &sources, style, 80);
            assert!(!picture.chars().any(is_refused), "{picture:?}");
        }
        assert!(!short(&diagnostic, &sources).chars().any(is_refused));
    }

    #[test]
    fn the_end_of_a_file_can_be_pointed_at() {
        let sources = SourceSet::single("a.mesh", "service");
        let diagnostic =
            Diagnostic::new(Code::UnexpectedToken, "expected a name").at(Span::new(FileId(0), 7, 7), "here");
        let picture = human(&diagnostic, &sources, Style::Ascii { color: false }, 80);
        assert!(picture.contains("[a.mesh:1:8]") && picture.contains("here"), "{picture}");
        let outside = Diagnostic::new(Code::UnexpectedToken, "x").at(Span::new(FileId(9), 7, 90), "");
        assert!(human(&outside, &sources, Style::Plain, 80).contains('x'));
    }
}
