//! Files made from the table of statements: every row in its form, in odd spacing, with comments, and with mistakes.

use fastrand::Rng;
use mesh_lang::signature::{Body, Place, Signature};

/// A generated file.
pub(crate) struct File {
    pub(crate) text: String,
    /// How many times something was broken in it on purpose.
    pub(crate) mistakes: usize,
}

/// The forms of all rows.
pub(crate) fn rows() -> Vec<&'static str> {
    let rows = Place::ALL.iter().flat_map(|place| place.statements());
    rows.map(|row| row.form).collect()
}

/// The same file for the same seed.
pub(crate) fn file(seed: u64) -> File {
    let mut writer = Writer {
        random: Rng::with_seed(seed),
        text: String::new(),
        mistakes: 0,
        wrong: seed.is_multiple_of(3),
    };
    if writer.one_in(20) {
        writer.text.push('\u{feff}');
    }
    writer.block(Place::File, 0);
    if writer.one_in(4) {
        writer.comment();
    }
    File { text: writer.text, mistakes: writer.mistakes }
}

struct Writer {
    random: Rng,
    text: String,
    mistakes: usize,
    /// Whether there are to be mistakes.
    wrong: bool,
}

/// Blocks in blocks: an `env` block may hold what is around it, without end.
const MAX_DEPTH: usize = 5;

impl Writer {
    fn one_in(&mut self, many: usize) -> bool {
        self.random.usize(..many) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.random.usize(..of.len())]
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn block(&mut self, place: Place, depth: usize) {
        let rows = place.statements();
        let runs = self.one_in(3);
        for _ in 0..self.random.usize(0..5) {
            let row = &rows[self.random.usize(..rows.len())];
            // Statements of a kind below each other are what tables are made of.
            for _ in 0..if runs { self.random.usize(1..5) } else { 1 } {
                self.between();
                self.statement(row, depth);
                self.end();
            }
        }
        self.between();
    }

    fn statement(&mut self, row: &Signature, depth: usize) {
        if self.wrong && self.one_in(12) {
            self.mistake();
        }
        self.form(row);
        match row.body {
            Body::None => {}
            Body::Names => {
                let names = (0..self.random.usize(1..5)).map(|_| self.name().to_string()).collect::<Vec<_>>();
                self.put("{");
                self.space();
                for (index, name) in names.iter().enumerate() {
                    if index > 0 {
                        self.comma();
                    }
                    self.put(name);
                }
                self.end();
                self.put("}");
            }
            Body::Optional(_) if self.random.bool() => {}
            Body::Optional(place) | Body::Required(place) => {
                self.put("{");
                if depth < MAX_DEPTH {
                    self.block(place, depth + 1);
                }
                if self.wrong && self.one_in(40) {
                    self.mistakes += 1;
                } else {
                    self.put("}");
                }
            }
        }
    }

    /// Writes one of a form's alternatives; the braces of a block are left to the block.
    fn form(&mut self, row: &Signature) {
        let alternatives: Vec<&str> = row.form.split(" | ").collect();
        let chosen = self.pick(&alternatives);
        let head = chosen.split('{').next().unwrap_or_default().trim();
        let arguments = head.strip_suffix('[').unwrap_or(head).replacen(row.keyword, "", 1);
        self.put(row.keyword);
        if !arguments.is_empty() {
            self.gap(&arguments);
        }
        // In one form the table says in prose what follows each alternative.
        self.parts(row.keyword, arguments.split(", then").next().unwrap_or_default());
    }

    fn parts(&mut self, keyword: &str, form: &str) {
        let (mut rest, mut item) = (form.trim(), form.trim());
        while !rest.is_empty() {
            let (part, after) = next_part(rest);
            if !part.starts_with('[') {
                item = rest;
            }
            self.part(keyword, part);
            rest = after.trim_start();
            if let Some(more) = ["and …", ", …", "-> …"].into_iter().find(|more| rest.starts_with(more))
            {
                let repeated = item[..item.len() - rest.len()].trim();
                rest = rest[more.len()..].trim_start();
                for _ in 0..self.random.usize(0..4) {
                    match more {
                        ", …" => self.comma(),
                        "and …" => self.continuing("and"),
                        _ => self.put(" -> "),
                    }
                    self.parts(keyword, repeated);
                }
            }
            let tight = [":", "("].contains(&part) || rest.starts_with(['.', ',', '[', ')']);
            if !rest.is_empty() && !tight {
                self.gap(rest);
            }
        }
    }

    /// A word of a form, or what stands in brackets.
    fn part(&mut self, keyword: &str, part: &str) {
        if let Some(inside) = part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
            if self.random.bool() {
                if !inside.starts_with(':') {
                    self.gap(inside);
                }
                self.parts(keyword, inside);
            }
            return;
        }
        let choices: Vec<&str> = part.split('|').collect();
        let chosen = self.pick(&choices);
        let is_value = chosen.starts_with(|c: char| c.is_uppercase()) && chosen != "GET";
        let text = if is_value { self.value(keyword, chosen) } else { chosen };
        self.put(text);
    }

    /// Before `when` and the like a line may end.
    fn gap(&mut self, next: &str) {
        let next = next.split(' ').next().unwrap_or_default();
        if ["when", "and", "except", "expect"].contains(&next) && self.one_in(3) {
            self.line_end();
        }
        self.space();
    }

    fn continuing(&mut self, word: &str) {
        if self.one_in(3) {
            self.line_end();
        }
        self.space();
        self.put(word);
        self.space();
    }

    fn name(&mut self) -> &'static str {
        self.pick(&[
            "web",
            "cart",
            "reviews",
            "checkout-path",
            "v1",
            "a",
            "prod",
            "team-7",
            "x509",
            "billing-and-invoices-of-everybody",
        ])
    }

    fn value(&mut self, keyword: &str, kind: &str) -> &'static str {
        let many: &[&str] = match (keyword, kind) {
            ("request", "FROM") => &["from web", "from gateway edge"],
            ("request", "COND") => &[r#"header "x-a" = "b""#, r#"query "q" = "z""#],
            ("subset" | "endpoints", "KEY") => &["version", "app.kubernetes.io/name"],
            ("otherwise", "STATUS") => &["404", "503"],
            ("redirect", "STATUS") => &["301", "308"],
            (_, kind) => values(kind),
        };
        if many.is_empty() { self.name() } else { many[self.random.usize(..many.len())] }
    }

    // What stands between.

    fn space(&mut self) {
        let space = self.pick(&[" ", " ", " ", "  ", "\t", "     "]);
        self.put(space);
    }

    fn comma(&mut self) {
        let comma = self.pick(&[",", ", ", ", ", " , ", ",  "]);
        self.put(comma);
        if self.one_in(6) {
            self.line_end();
        }
    }

    /// The end of a line inside a statement, perhaps with a comment.
    fn line_end(&mut self) {
        if self.one_in(4) {
            self.put(" ");
            self.comment();
        } else {
            let end = self.pick(&["\n", "\r\n", "\n\n", " \n"]);
            self.put(end);
        }
        let indentation = self.pick(&["", "  ", "      ", "\t"]);
        self.put(indentation);
    }

    fn comment(&mut self) {
        let comment = self.pick(&[
            "# why",
            "#",
            "#no space",
            "# two  spaces ",
            "# mesh: allow MESH4001 \"known\"",
            "# é",
            "## doc",
            "### rule",
        ]);
        self.put(comment);
        let end = self.pick(&["\n", "\n", "\r\n"]);
        self.put(end);
    }

    /// What may stand before a statement: nothing, blank lines, comments.
    fn between(&mut self) {
        match self.random.u8(..10) {
            0 => self.put("\n"),
            1 => self.put("\n\n\n"),
            2 => {
                self.put("\n");
                self.comment();
            }
            3 => {
                self.put(" ");
                self.comment();
                self.comment();
            }
            4 => self.put("\r\n\t"),
            5 => self.put("\n## What it is for.\n"),
            _ => {}
        }
        let indentation = self.pick(&["", "  ", " ", "\t", "        "]);
        self.put(indentation);
    }

    fn end(&mut self) {
        let end = self.pick(&["\n", "\n", "\n", ";", " ; ", "\r\n", ";\n", " # behind\n", "\n\n"]);
        self.put(end);
    }

    fn mistake(&mut self) {
        self.mistakes += 1;
        let wrong = self.pick(&[
            "}",
            "{",
            "é  ö ",
            "\"no end\n",
            "re\"no end\n",
            "unknown  thing , 5\n",
            "allow\n",
            "? ",
            "service\n",
            ",\n",
            "(",
            ") ",
            "\u{200b}",
            "\0",
            "timeout 5 { a; b }\n",
            "a\n{\n}\n",
            "subset\n",
            "# glued",
            "x# glued\n",
            "when a\n",
            "deny ,;",
        ]);
        self.put(wrong);
    }
}

/// What may stand for a word in capitals; nothing stands for a name.
fn values(kind: &str) -> &'static [&'static str] {
    match kind {
        "DURATION" => &["250ms", "1s", "1m30s"],
        "PERCENT" => &["5%", "100%", "33.33%"],
        "RATE" => &["10/s", "100/s"],
        "SIZE" => &["64KiB", "1MiB"],
        "COUNT" => &["1", "2", "3"],
        "NUMBER" => &["80", "8080", "65535"],
        "STATUS" => &["404", "503", "301"],
        "STRING" => &[
            r#""x-a""#,
            r#""x-b""#,
            r#""x-c""#,
            r#""x-d""#,
            r#""x-e""#,
            r#""a b  c""#,
            r#""say \"hi\" \\ \u{e9}""#,
            r#""""#,
            "\"# no comment\"",
        ],
        "PATH" | "PATH-OR-URL" => &["/", "/a/b", "/books/{id}.json", "/static/**"],
        "METHOD" => &["GET", "POST", "DELETE"],
        "PROTOCOL" => &["http", "http2", "grpc", "tcp"],
        "CONDITION" => &["connect-failure", "reset", "503"],
        "OP" => &["GET /a", "GET|HEAD /v1/{id}", "POST", "/x/**", "PUT | DELETE /y", "grpc shop.Cart/Add"],
        "COND" => &[
            r#"header "x-a" = "b""#,
            r#"header "x-b" in ("a" ,"b")"#,
            r#"not header "x-c" present"#,
            r#"header "x-d" matches re"v[12]\"x""#,
            r#"query "q" prefix "z""#,
            "header \"x-e\" in (\n\"a\",\n\n  \"b\"\n)",
        ],
        "FROM" => &[
            "from web",
            "from web, cart except web",
            "from any",
            "from anyone",
            "from namespace shop, gateway edge",
        ],
        "PRINCIPAL" => &["web", "namespace shop", "any", "gateway edge", "unauthenticated"],
        "OUTCOME" => &["allow", "deny", "404", "reviews:v2", "reviews:v1 90%, reviews:v3 10%"],
        "TARGET" | "SERVICE" | "DESTINATION" => &["web", "cart.shop", "reviews"],
        "MODULE" => &["shop", "shop/common"],
        "TYPE" => &["percent"],
        "VALUE" => &["5%"],
        "MODE" => &["strict", "permissive"],
        "KEY" => &[r#"header "x-a""#],
        _ => &[],
    }
}

/// The next word of a form, or what stands in brackets, and what follows it.
fn next_part(form: &str) -> (&str, &str) {
    if form.starts_with('[') {
        let mut depth = 0;
        let end = form.find(|c| {
            depth += match c {
                '[' => 1,
                ']' => -1,
                _ => 0,
            };
            depth == 0
        });
        return form.split_at(end.map_or(form.len(), |end| end + 1));
    }
    let signs = ["..", ":", ",", "(", ")", "=", "->"];
    if let Some(sign) = signs.iter().find(|sign| form.starts_with(**sign)) {
        return form.split_at(sign.len());
    }
    let end = form.find([' ', ',', '[', ':', '(', ')']).into_iter().chain(form.find("..")).min();
    form.split_at(end.unwrap_or(form.len()))
}
