//! What the streams lead to: a person's terminal or a program, and what the environment asks of us.

use crate::args::Color;
use std::collections::BTreeMap;
use std::io::IsTerminal;

/// Variables that are looked at; nothing else of the environment is kept.
const VARIABLES: [&str; 9] = [
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NO_COLOR",
    "NO_GRAPHICS",
    "TERM",
];

/// Lines for no terminal in particular: fits a CI log and a pager.
const DEFAULT_WIDTH: usize = 100;
/// Narrower than this a picture of the source cannot be read.
const MIN_WIDTH: usize = 40;
/// Wider than this a sentence cannot be read.
const MAX_WIDTH: usize = 120;

/// What the streams lead to. The default is two files and an empty environment.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    /// Whether standard output is a terminal.
    pub output: bool,
    /// Whether standard error is a terminal.
    pub errors: bool,
    /// Columns, where they are known.
    pub width: Option<usize>,
    /// The variables of the environment that matter here.
    pub variables: BTreeMap<String, String>,
}

impl Terminal {
    /// That of this process.
    pub fn of_process() -> Terminal {
        let variables = VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        Terminal {
            output: std::io::stdout().is_terminal(),
            errors: std::io::stderr().is_terminal(),
            width: terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
            variables,
        }
    }

    /// Whether to use colour on a stream that is a terminal or not.
    pub(crate) fn color(&self, choice: Color, is_terminal: bool) -> bool {
        match choice {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if self.is_set("NO_COLOR") => false,
            Color::Auto if self.is_set("CLICOLOR_FORCE") && self.variable("CLICOLOR_FORCE") != "0" => true,
            Color::Auto if self.variable("CLICOLOR") == "0" || self.variable("TERM") == "dumb" => false,
            Color::Auto => is_terminal,
        }
    }

    /// Whether box-drawing characters can be shown. Only a terminal or locale that says it cannot is believed: a pipe
    /// into a file or a pager is UTF-8 everywhere.
    pub(crate) fn unicode(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find(|name| self.is_set(name));
        let ascii = locale.is_some_and(|name| matches!(self.variable(name), "C" | "POSIX"));
        !ascii && !matches!(self.variable("TERM"), "dumb" | "linux")
    }

    /// Whether drawings are not wanted at all.
    pub(crate) fn no_graphics(&self) -> bool {
        self.is_set("NO_GRAPHICS") && self.variable("NO_GRAPHICS") != "0"
    }

    /// How long a line may be.
    pub(crate) fn columns(&self) -> usize {
        let asked = self.variable("COLUMNS").parse().ok();
        asked.or(self.width).unwrap_or(DEFAULT_WIDTH).clamp(MIN_WIDTH, MAX_WIDTH)
    }

    fn is_set(&self, name: &str) -> bool {
        !self.variable(name).is_empty()
    }

    fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Terminal {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Terminal { variables, ..Terminal::default() }
    }

    #[test]
    fn colour_follows_the_conventions_in_their_order() {
        let auto = |variables: &[(&str, &str)], tty| with(variables).color(Color::Auto, tty);
        assert!(auto(&[], true));
        assert!(!auto(&[], false));
        assert!(!auto(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true));
        assert!(auto(&[("NO_COLOR", "")], true), "an empty NO_COLOR is none");
        assert!(auto(&[("CLICOLOR_FORCE", "1")], false));
        assert!(!auto(&[("CLICOLOR_FORCE", "0")], false));
        assert!(!auto(&[("CLICOLOR", "0")], true));
        assert!(!auto(&[("TERM", "dumb")], true));
        assert!(with(&[("NO_COLOR", "1")]).color(Color::Always, false));
        assert!(!with(&[("CLICOLOR_FORCE", "1")]).color(Color::Never, true));
    }

    #[test]
    fn only_a_terminal_that_says_so_gets_ascii() {
        assert!(with(&[]).unicode());
        assert!(with(&[("LANG", "de_DE.UTF-8")]).unicode());
        assert!(!with(&[("LANG", "C")]).unicode());
        assert!(with(&[("LANG", "C"), ("LC_ALL", "C.UTF-8")]).unicode(), "LC_ALL wins");
        assert!(!with(&[("TERM", "dumb")]).unicode());
    }

    #[test]
    fn lines_are_neither_too_narrow_nor_too_wide_to_read() {
        assert_eq!(with(&[]).columns(), 100);
        assert_eq!(with(&[("COLUMNS", "80")]).columns(), 80);
        assert_eq!(with(&[("COLUMNS", "7")]).columns(), 40);
        assert_eq!(with(&[("COLUMNS", "wide")]).columns(), 100);
        assert_eq!(Terminal { width: Some(300), ..with(&[]) }.columns(), 120);
    }
}
