//! Section 7: a program as it is in one environment, written without `env` and `param`.

use mesh_lang::FileId;
use mesh_lang::signature::{Place, Times};
use mesh_lang::token::{Token, TokenKind};
use mesh_lang::tree::{Statement, Tree};
use std::collections::BTreeMap;
use std::ops::Range;

/// Directory and name of a parameter.
type Parameter = (String, String);

/// Directories and texts of files that can be read, without what other environments say and with values in place of parameters.
pub fn in_environment(files: &[(String, String)], environment: Option<&str>) -> Vec<(String, String)> {
    let files: Vec<File<'_>> = files.iter().map(|(directory, text)| File::read(directory, text)).collect();
    let mut values = BTreeMap::new();
    files.iter().for_each(|file| file.declare(&mut values));
    files.iter().for_each(|file| file.set(environment, &mut values));
    let writing = |file: &File<'_>| {
        let writer = Writer { file, environment, values: &values };
        (file.directory.to_owned(), writer.block(Place::File, &file.tree.statements))
    };
    files.iter().map(writing).collect()
}

struct File<'a> {
    directory: &'a str,
    text: &'a str,
    tokens: Vec<Token>,
    tree: Tree,
}

impl<'a> File<'a> {
    fn read(directory: &'a str, text: &'a str) -> File<'a> {
        let parse = mesh_lang::parse(FileId(0), text);
        File { directory, text, tokens: parse.tokens, tree: parse.tree }
    }

    /// 7.2: `param NAME TYPE = VALUE [range …]`
    fn declare(&self, values: &mut BTreeMap<Parameter, String>) {
        for statement in self.tree.statements.iter().filter(|statement| self.keyword(statement) == "param") {
            let words = self.words(statement);
            let until = words.iter().position(|word| *word == "range").unwrap_or(words.len());
            values.insert(self.parameter(words[1]), words[4..until].concat());
        }
    }

    /// 7.2: `env E { set NAME = VALUE }`
    fn set(&self, environment: Option<&str>, values: &mut BTreeMap<Parameter, String>) {
        for statement in self.tree.statements.iter().filter(|statement| self.counts(statement, environment)) {
            for set in inside(statement) {
                let words = self.words(set);
                values.insert(self.parameter(words[1]), words[3..].concat());
            }
        }
    }

    fn parameter(&self, name: &str) -> Parameter {
        (self.directory.to_owned(), name.to_owned())
    }

    fn keyword(&self, statement: &Statement) -> &'a str {
        self.tokens[statement.first as usize].text(self.text)
    }

    fn words(&self, statement: &Statement) -> Vec<&'a str> {
        let significant = self.tokens[statement.head()].iter().filter(|token| token.kind.is_significant());
        significant.map(|token| token.text(self.text)).collect()
    }

    /// Whether it is the `env` block of an environment.
    fn counts(&self, statement: &Statement, environment: Option<&str>) -> bool {
        let words = self.words(statement);
        words[0] == "env" && environment.is_some_and(|environment| words[1..].contains(&environment))
    }
}

fn inside(statement: &Statement) -> &[Statement] {
    statement.block.as_ref().map_or(&[], |block| &block.statements)
}

/// One file in one environment.
struct Writer<'a> {
    file: &'a File<'a>,
    environment: Option<&'a str>,
    values: &'a BTreeMap<Parameter, String>,
}

impl Writer<'_> {
    /// 7.3
    fn block(&self, place: Place, statements: &[Statement]) -> String {
        let is_left_out = |own: &&Statement| matches!(self.file.keyword(own), "param" | "env");
        let here: Vec<&Statement> = match place {
            // There, `env` gives values.
            Place::File => Vec::new(),
            _ => {
                let blocks = statements.iter().filter(|block| self.file.counts(block, self.environment));
                blocks.flat_map(inside).collect()
            }
        };
        let own = statements
            .iter()
            .filter(|own| !is_left_out(own) && !here.iter().any(|other| self.replaces(place, other, own)));
        own.chain(here.iter().copied()).map(|statement| self.statement(place, statement)).collect()
    }

    /// What may stand once replaces the one outside, an action the action, `match` lines all `match` lines.
    fn replaces(&self, place: Place, other: &Statement, own: &Statement) -> bool {
        let times = |statement| place.statement(self.file.keyword(statement)).map(|row| row.times);
        match times(own) {
            Some(Times::Once | Times::ManyReplaced) => self.file.keyword(other) == self.file.keyword(own),
            Some(Times::OneOf(_)) => times(other) == times(own),
            Some(Times::Many) | None => false,
        }
    }

    fn statement(&self, place: Place, statement: &Statement) -> String {
        let row = place.statement(self.file.keyword(statement));
        match (&statement.block, row.and_then(|row| row.body.place())) {
            (Some(block), Some(inner)) => {
                format!("{} {{\n{}}}\n", self.text(statement.head()), self.block(inner, &block.statements))
            }
            _ => self.text(statement.first as usize..statement.last()) + "\n",
        }
    }

    /// What is written there, with values in the places of parameters.
    fn text(&self, tokens: Range<usize>) -> String {
        let mut written = String::new();
        let mut at = self.file.tokens[tokens.start].start();
        for token in &self.file.tokens[tokens] {
            written += &self.file.text[at..token.start()];
            let text = token.text(self.file.text);
            let value = match token.kind {
                TokenKind::Param => self.values.get(&self.file.parameter(text.trim_start_matches('$'))),
                _ => None,
            };
            written += value.map_or(text, String::as_str);
            at = token.end();
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::in_environment;

    #[track_caller]
    fn check(text: &str, environment: &str, expected: &str) {
        let files = in_environment(&[(String::new(), text.to_owned())], Some(environment));
        assert_eq!(files[0].1.split_whitespace().collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn a_statement_that_may_stand_once_is_replaced_and_others_are_added() {
        let service = "service s {\n timeout 1s\n rate-limit local 1/s\n env a, b { timeout 2s; rate-limit local 2/s }\n}";
        check(service, "a", "service s { rate-limit local 1/s timeout 2s rate-limit local 2/s }");
        check(service, "c", "service s { timeout 1s rate-limit local 1/s }");
    }

    #[test]
    fn an_action_replaces_the_action_and_matches_all_matches() {
        let rule =
            "route s {\n rule r {\n match /a\n match /b\n to s\n env a { match /c; respond 204 }\n}\n}";
        check(rule, "a", "route s { rule r { match /c respond 204 } }");
    }

    #[test]
    fn parameters_are_their_values() {
        let text = "param wait duration = 1s\nparam share percent = 5% range 0%..9% controlled-by \"w\"\nenv a { set wait = 2s }\nsplit x = s:a $share, s:b rest\nservice s { timeout $wait }";
        check(text, "a", "split x = s:a 5%, s:b rest service s { timeout 2s }");
        check(text, "b", "split x = s:a 5%, s:b rest service s { timeout 1s }");
    }
}
