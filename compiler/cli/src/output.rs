//! How results are printed: data on standard output, commentary on standard error, in the format that was asked for.

use crate::args::{Color, Format, Global};
use crate::failure::Failure;
use crate::report::{AllowedFinding, Content, Finding, Line, Report, SCHEMA, Summary, Trouble};
use crate::terminal::Terminal;
use mesh_compiler::Suppressed;
use mesh_lang::diagnostic::render::{self, Style};
use mesh_lang::{Diagnostic, SourceSet};
use serde::Serialize;
use std::io::{self, Write};

/// More pictures than this nobody reads, and the summary scrolls out of sight; a list is for that.
const MAX_PICTURES: usize = 20;

/// The streams of a command and how to print on them.
pub(crate) struct Output<'a> {
    data: &'a mut dyn Write,
    errors: &'a mut dyn Write,
    terminal: Terminal,
    format: Format,
    color: Color,
    quiet: bool,
    /// The first error of writing data: reported once, at the end.
    broken: Option<io::Error>,
}

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Data,
    Errors,
}

impl<'a> Output<'a> {
    pub(crate) fn new(
        data: &'a mut dyn Write,
        errors: &'a mut dyn Write,
        terminal: Terminal,
        global: &Global,
    ) -> Output<'a> {
        let default = if terminal.no_graphics() { Format::Plain } else { Format::Human };
        let format = global.format.unwrap_or(default);
        Output { data, errors, terminal, format, color: global.color, quiet: global.quiet, broken: None }
    }

    /// The format that was asked for.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether a program reads standard output.
    pub(crate) fn for_program(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// Whether drawings and marks are wanted.
    pub(crate) fn draws(&self) -> bool {
        self.format == Format::Human && self.terminal.unicode()
    }

    /// Whether commentary is not wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether results go to a person's terminal.
    pub(crate) fn data_is_terminal(&self) -> bool {
        self.terminal.output
    }

    /// Whether results are coloured.
    pub(crate) fn colors_data(&self) -> bool {
        self.terminal.color(self.color, self.terminal.output)
    }

    /// A line of results.
    pub(crate) fn data(&mut self, line: &str) {
        self.raw(format!("{line}\n").as_bytes());
    }

    /// Results as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.broken = self.data.write_all(bytes).and_then(|()| self.data.flush()).err();
        }
    }

    /// A document for a program.
    pub(crate) fn document(&mut self, document: &impl Serialize) {
        let text = match self.format {
            Format::Jsonl => serde_json::to_string(document),
            _ => serde_json::to_string_pretty(document),
        };
        self.data(&text.expect("our documents have string keys and no other way to fail"));
    }

    /// A JSON document, whatever the format is.
    pub(crate) fn json(&mut self, document: &impl Serialize) {
        let text = serde_json::to_string_pretty(document);
        self.data(&text.expect("our documents have string keys and no other way to fail"));
    }

    /// A line of commentary.
    pub(crate) fn say(&mut self, line: &str) {
        if !self.quiet {
            self.err(line);
        }
    }

    /// Why the command cannot go on: a line for a person, and for a program a document too.
    pub(crate) fn complain(&mut self, failure: &Failure) {
        let mark = if self.terminal.color(self.color, self.terminal.errors) {
            "\u{1b}[31merror\u{1b}[0m"
        } else {
            "error"
        };
        self.err(&format!("{mark}: {}\n  help: {}", failure.message, failure.help));
        if self.for_program() {
            let trouble = Trouble { message: failure.message.clone(), help: failure.help.clone() };
            self.document(&Line { schema: SCHEMA.to_owned(), content: Content::Error(trouble) });
        }
    }

    /// Diagnostics for a person, in the style of a stream. Of very many only some are drawn, errors before warnings.
    pub(crate) fn diagnostics(&mut self, stream: Stream, diagnostics: &[Diagnostic], sources: &SourceSet) {
        let limit = if self.format == Format::Short { usize::MAX } else { MAX_PICTURES };
        let mut shown: Vec<&Diagnostic> = diagnostics.iter().collect();
        if shown.len() > limit {
            shown.sort_by_key(|diagnostic| diagnostic.severity);
            shown.truncate(limit);
        }
        for diagnostic in &shown {
            let text = match self.format {
                Format::Short => render::short(diagnostic, sources),
                _ => render::human(diagnostic, sources, self.style(stream), self.terminal.columns()),
            };
            let text = text.trim_end_matches('\n');
            // A picture needs a blank line after it; a line does not.
            let end = if self.format == Format::Short { "" } else { "\n" };
            self.print(stream, &format!("{text}{end}"));
        }
        let rest = diagnostics.len() - shown.len();
        if rest > 0 {
            let dots = if self.draws() { "…" } else { "..." };
            self.print(stream, &format!("{dots} and {} more; --format short lists all\n", grouped(rest)));
        }
    }

    fn print(&mut self, stream: Stream, line: &str) {
        match stream {
            Stream::Data => self.data(line),
            Stream::Errors => self.err(line),
        }
    }

    /// Everything that `check`, `build` or `test` has to say to a program.
    pub(crate) fn report(&mut self, report: &Report) {
        if self.format == Format::Json {
            return self.document(report);
        }
        let fixed = report.fixed.iter().cloned().map(Content::Fixed);
        let diagnostics = report.diagnostics.iter().cloned().map(Content::Diagnostic);
        let allowed = report.allowed.iter().cloned().map(Content::Allowed);
        let tests = report.tests.iter().flatten().cloned().map(Content::Test);
        let plan = report.plan.iter().cloned().map(Content::Plan);
        let summary = [Content::Summary(report.summary)];
        for content in fixed.chain(diagnostics).chain(allowed).chain(tests).chain(plan).chain(summary) {
            self.document(&Line { schema: SCHEMA.to_owned(), content });
        }
    }

    /// Says what became of standard output. That its reader has gone (`| head`) is no failure.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        match self.broken.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                format!("cannot write to standard output: {}", crate::failure::reason(&error)),
                "Look at where the output is sent; what was printed is not complete.",
            )),
            _ => Ok(()),
        }
    }

    fn style(&self, stream: Stream) -> Style {
        let is_terminal = match stream {
            Stream::Data => self.terminal.output,
            Stream::Errors => self.terminal.errors,
        };
        let color = self.terminal.color(self.color, is_terminal);
        match self.format {
            Format::Plain => Style::Plain,
            _ if self.terminal.unicode() => Style::Unicode { color },
            _ => Style::Ascii { color },
        }
    }

    fn err(&mut self, line: &str) {
        // There is no third stream to say that this one is broken.
        let _ = self.errors.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.errors.flush());
    }
}

/// The report on some diagnostics.
pub(crate) fn report(
    diagnostics: &[Diagnostic],
    suppressed: &[Suppressed],
    sources: &SourceSet,
    summary: Summary,
) -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        diagnostics: diagnostics.iter().map(|diagnostic| Finding::of(diagnostic, sources)).collect(),
        allowed: suppressed.iter().map(|suppressed| AllowedFinding::of(suppressed, sources)).collect(),
        fixed: Vec::new(),
        summary,
        tests: None,
        plan: None,
    }
}

/// `1 file`, `2 files`, `0 services`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// `3,299`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 3_299, 1_000_000].map(grouped),
            ["0", "999", "1,000", "3,299", "1,000,000"]
        );
    }

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn finish(kind: io::ErrorKind) -> Result<(), Failure> {
        let (mut data, mut errors) = (Failing(kind), Vec::new());
        let global = Global { format: None, color: Color::Auto, quiet: false };
        let mut output = Output::new(&mut data, &mut errors, Terminal::default(), &global);
        output.data("x");
        output.finish()
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_but_a_full_disk_is() {
        assert!(finish(io::ErrorKind::BrokenPipe).is_ok());
        let failure = finish(io::ErrorKind::StorageFull).unwrap_err();
        assert_eq!(failure.message, "cannot write to standard output: no storage space");
    }
}
