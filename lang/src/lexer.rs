//! Text becomes tokens; newlines and comments are kept, spaces are the gaps between. One pass, linear for any text.
//!
//! Written by hand, not with nom: the first byte says which token begins, and a table says how far it runs. That is ten
//! times as fast as trying one parser after the other, and the statement parsers lose nothing by it.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{FileId, MAX_FILE_BYTES};
use crate::span::Span;
use crate::token::{Token, TokenKind};
use std::borrow::Cow;

/// Nobody reads more mistakes of one file at once, and a file of noise must not fill the memory.
pub(crate) const MAX_DIAGNOSTICS: usize = 1_000;

/// Policy text has about one token for so many bytes; what is reserved too much is given back.
const BYTES_PER_TOKEN: usize = 5;

/// Cuts a text into tokens. In their places, with spaces and tabs between, they are the text.
///
/// Whoever calls has refused what is longer than [`MAX_FILE_BYTES`]; of such a text nothing is read.
pub fn lex(file: FileId, text: &str) -> (Vec<Token>, Diagnostics) {
    let mut lexer = Lexer { file, text, tokens: Vec::new(), diagnostics: Diagnostics::new() };
    if text.len() <= MAX_FILE_BYTES {
        lexer.tokens.reserve(text.len() / BYTES_PER_TOKEN);
        lexer.run();
        lexer.tokens.shrink_to_fit();
    }
    (lexer.tokens, lexer.diagnostics)
}

struct Lexer<'a> {
    file: FileId,
    text: &'a str,
    tokens: Vec<Token>,
    diagnostics: Diagnostics,
}

impl Lexer<'_> {
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        if self.text.starts_with('\u{feff}') {
            at = '\u{feff}'.len_utf8();
            self.tokens.push(Token::new(TokenKind::ByteOrderMark, 0, at));
        }
        while let Some(&byte) = bytes.get(at) {
            let next = bytes.get(at + 1).copied();
            let (kind, end) = match byte {
                b' ' | b'\t' => {
                    at = run(bytes, at + 1, SPACE);
                    continue;
                }
                b'\n' => (TokenKind::Newline, at + 1),
                b'r' if next == Some(b'e') && bytes.get(at + 2) == Some(&b'"') => {
                    self.quoted(TokenKind::Regex, at, at + 3)
                }
                b'a'..=b'z' | b'A'..=b'Z' => (TokenKind::Word, word(bytes, at + 1)),
                b'0'..=b'9' => (TokenKind::Quantity, quantity(bytes, at + 1)),
                b'"' => self.quoted(TokenKind::String, at, at + 1),
                b'/' => (TokenKind::Path, path(self.text, at)),
                b'$' if begins_param(&self.text[at..]) => (TokenKind::Param, word(bytes, at + 2)),
                b'#' => self.comment(at),
                b'{' => (TokenKind::OpenBrace, at + 1),
                b'}' => (TokenKind::CloseBrace, at + 1),
                b',' => (TokenKind::Comma, at + 1),
                b';' => (TokenKind::Semicolon, at + 1),
                b'|' => (TokenKind::Pipe, at + 1),
                b'(' => (TokenKind::OpenParen, at + 1),
                b')' => (TokenKind::CloseParen, at + 1),
                b'=' => (TokenKind::Equals, at + 1),
                b'!' if next == Some(b'=') => (TokenKind::NotEquals, at + 2),
                b'-' if next == Some(b'>') => (TokenKind::Arrow, at + 2),
                b'.' if next == Some(b'.') => (TokenKind::DotDot, at + 2),
                b'\r' => self.returns(at),
                _ => self.unexpected(at),
            };
            self.tokens.push(Token::new(kind, at, end));
            at = end;
        }
    }

    /// A string or a regex, `inside` its opening quote. A backslash takes the character after it along.
    fn quoted(&mut self, kind: TokenKind, start: usize, inside: usize) -> (TokenKind, usize) {
        let bytes = self.text.as_bytes();
        let (mut at, mut suspicious) = (inside, false);
        loop {
            at = run(bytes, at, QUOTED);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') if bytes.get(at + 1).is_some_and(|&next| next != b'\n') => {
                    suspicious = true;
                    at += 2;
                }
                None | Some(b'\n' | b'\\') => {
                    let end = without_returns(bytes, start, run(bytes, at, LINE_ASCII | LINE_OTHER));
                    return self.complain(TokenKind::Error, start, end);
                }
                Some(_) => {
                    suspicious = true;
                    at += 1;
                }
            }
        }
        if suspicious { self.complain(kind, start, at + 1) } else { (kind, at + 1) }
    }

    fn comment(&mut self, start: usize) -> (TokenKind, usize) {
        let bytes = self.text.as_bytes();
        let plain = run(bytes, start, LINE_ASCII);
        let end = without_returns(bytes, start, run(bytes, plain, LINE_ASCII | LINE_OTHER));
        let line_start = self.line_start();
        let doc = line_start && bytes[start..end].starts_with(b"##") && bytes.get(start + 2) != Some(&b'#');
        let kind = if doc { TokenKind::Doc } else { TokenKind::Comment };
        if end > plain || !self.stands_free(start) { self.complain(kind, start, end) } else { (kind, end) }
    }

    /// Whether a comment may begin here.
    fn stands_free(&self, at: usize) -> bool {
        self.text[..at].ends_with(is_blank) || self.line_start()
    }

    /// Whether nothing stands between the start of the line and here: spaces or a `;` are nothing.
    fn line_start(&self) -> bool {
        let nothing = |token: &&Token| !matches!(token.kind, TokenKind::Invisible | TokenKind::Semicolon);
        let last = self.tokens.iter().rev().find(nothing);
        last.is_none_or(|token| matches!(token.kind, TokenKind::Newline | TokenKind::ByteOrderMark))
    }

    /// Carriage returns before a line feed or the end of the file are part of the newline; elsewhere they are refused.
    fn returns(&mut self, start: usize) -> (TokenKind, usize) {
        let end = run(self.text.as_bytes(), start, RETURN);
        match self.text.as_bytes().get(end) {
            Some(b'\n') => (TokenKind::Newline, end + 1),
            None => (TokenKind::Newline, end),
            Some(_) => self.complain(TokenKind::Invisible, start, end),
        }
    }

    /// What begins no token, as much as stands together.
    fn unexpected(&mut self, start: usize) -> (TokenKind, usize) {
        let rest = &self.text[start..];
        let (kind, length) = if rest.starts_with(is_refused) {
            (TokenKind::Invisible, rest.find(|c| !is_refused(c) || c == '\r'))
        } else {
            let next = rest.char_indices().find(|&(at, c)| !is_stray(c) || begins_param(&rest[at..]));
            (TokenKind::Error, next.map(|(at, _)| at))
        };
        // `!`, `-` and `.` begin something else with the right character after them; they stand alone.
        self.complain(kind, start, start + length.unwrap_or(rest.len()).max(1))
    }

    /// Looks at what may be wrong with a token and says it. A string that is wrong is none.
    fn complain(&mut self, kind: TokenKind, start: usize, end: usize) -> (TokenKind, usize) {
        // Beyond the limit only strings are still looked at.
        let full = self.diagnostics.len() >= MAX_DIAGNOSTICS;
        let quoted = matches!(kind, TokenKind::String | TokenKind::Regex);
        if full && !quoted {
            return (kind, end);
        }
        let glued = kind.is_comment() && !self.stands_free(start);
        let piece = Piece { file: self.file, start, text: &self.text[start..end], glued };
        let Some(complaint) = piece.check(kind) else { return (kind, end) };
        if !full {
            self.diagnostics.push(complaint);
        }
        (if quoted { TokenKind::Error } else { kind }, end)
    }
}

/// Where a run of bytes of these classes ends.
#[inline]
fn run(bytes: &[u8], from: usize, classes: u8) -> usize {
    let mut at = from;
    while bytes.get(at).is_some_and(|&byte| CLASSES[byte as usize] & classes != 0) {
        at += 1;
    }
    at
}

const SPACE: u8 = 1;
const WORD: u8 = 1 << 1;
const QUANTITY: u8 = 1 << 2;
const SEGMENT: u8 = 1 << 3;
/// In a string: what needs no second look.
const QUOTED: u8 = 1 << 4;
/// On a line: what needs no second look.
const LINE_ASCII: u8 = 1 << 5;
/// On a line: control characters and everything beyond ASCII.
const LINE_OTHER: u8 = 1 << 6;
const RETURN: u8 = 1 << 7;

/// Which runs a byte may be part of.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut index = 0;
    while index < classes.len() {
        let byte = index as u8;
        let named = byte.is_ascii_alphanumeric();
        let mut class = 0;
        if matches!(byte, b' ' | b'\t') {
            class |= SPACE;
        }
        if named || matches!(byte, b'_' | b':' | b'/' | b'-') {
            class |= WORD;
        }
        if named || matches!(byte, b'%' | b'/') {
            class |= QUANTITY;
        }
        let in_path = matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'+' | b'*' | b'%'
        );
        if named || in_path {
            class |= SEGMENT;
        }
        let plain = matches!(byte, b'\t' | b' '..=b'~');
        if plain && !matches!(byte, b'"' | b'\\') {
            class |= QUOTED;
        }
        if plain {
            class |= LINE_ASCII;
        } else if byte != b'\n' {
            class |= LINE_OTHER;
        }
        if byte == b'\r' {
            class |= RETURN;
        }
        classes[index] = class;
        index += 1;
    }
    classes
};

/// Where a word ends that has begun before: not with a `-` or `.` that belongs to an `->` or `..` after it.
fn word(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at = run(bytes, at, WORD);
        match bytes.get(at) {
            Some(b'.') if bytes.get(at + 1) != Some(&b'.') => at += 1,
            Some(b'>') if at > from && bytes[at - 1] == b'-' => return at - 1,
            _ => return at,
        }
    }
}

/// Where a quantity ends that has begun before: a point belongs to it before a digit only.
fn quantity(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at = run(bytes, at, QUANTITY);
        match bytes.get(at + 1) {
            Some(digit) if bytes[at] == b'.' && digit.is_ascii_digit() => at += 1,
            _ => return at,
        }
    }
}

/// Where the path ends that begins with the `/` here.
fn path(text: &str, from: usize) -> usize {
    let mut at = from;
    while text.as_bytes().get(at) == Some(&b'/') {
        at = placeholder(text, at + 1).unwrap_or_else(|| run(text.as_bytes(), at + 1, SEGMENT));
    }
    at
}

/// Where `{name}` or `{name}.suffix` ends, if that is the whole segment: what follows is the next segment or the end of
/// the path.
fn placeholder(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let name = match bytes.get(from..from + 2)? {
        [b'{', first] if first.is_ascii_alphabetic() => from + 1,
        _ => return None,
    };
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let close = name + bytes[name..].iter().position(|byte| !in_name(byte))?;
    if bytes[close] != b'}' {
        return None;
    }
    let end = if bytes.get(close + 1) == Some(&b'.') { run(bytes, close + 2, SEGMENT) } else { close + 1 };
    let delimiter = |c| {
        is_blank(c) || is_refused(c) || matches!(c, '/' | ',' | ';' | '{' | '}' | '(' | ')' | '|' | '=' | '#')
    };
    text[end..].chars().next().is_none_or(delimiter).then_some(end)
}

/// The end without the carriage returns before it.
fn without_returns(bytes: &[u8], start: usize, end: usize) -> usize {
    start + bytes[start..end].iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1)
}

fn begins_param(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn is_stray(c: char) -> bool {
    !c.is_ascii_alphanumeric() && !is_blank(c) && !is_refused(c) && !"\"/#{},;|()=!-.".contains(c)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

/// Characters that make a reader see another text than the compiler: refused wherever they stand.
pub(crate) fn is_refused(c: char) -> bool {
    (c.is_control() && !is_blank(c))
        || matches!(c,
            // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // Zero-width characters, marks of direction, separators of lines, embeddings and overrides.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            // Joiners, invisible operators, isolates.
            | '\u{2060}'..='\u{206f}'
            // Byte order mark, interlinear annotations, tags.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// What may be wrong with a token.
struct Piece<'a> {
    file: FileId,
    start: usize,
    text: &'a str,
    /// A comment that other text stands directly before.
    glued: bool,
}

impl Piece<'_> {
    fn check(&self, kind: TokenKind) -> Option<Diagnostic> {
        match kind {
            TokenKind::Invisible => self.refused_character(),
            TokenKind::Comment | TokenKind::Doc => self.refused_character().or_else(|| self.glued_comment()),
            TokenKind::Regex => self.refused_character(),
            TokenKind::String => self.refused_character().or_else(|| self.bad_escape()),
            TokenKind::Error if self.text.starts_with('"') => Some(self.without_end("string")),
            TokenKind::Error if self.text.starts_with("re\"") => Some(self.without_end("regex")),
            TokenKind::Error => Some(self.stray_character()),
            _ => None,
        }
    }

    fn span(&self, from: usize, to: usize) -> Span {
        Span::new(self.file, (self.start + from) as u32, (self.start + to) as u32)
    }

    fn refused_character(&self) -> Option<Diagnostic> {
        let (at, c) = self.text.char_indices().find(|&(_, c)| is_refused(c))?;
        let what = if c.is_control() { "control character" } else { "invisible character" };
        Some(
            Diagnostic::new(
                Code::UnexpectedCharacter,
                format!("the {what} U+{:04X} is not allowed", c as u32),
            )
            .at(self.span(at, at + c.len_utf8()), "cannot be seen here")
            .help(match self.text.starts_with("re\"") {
                true => "Remove it; a regex holds what can be seen.".into(),
                false => {
                    format!("Remove it; where a string needs this character, write `\\u{{{:x}}}`.", c as u32)
                }
            }),
        )
    }

    fn without_end(&self, what: &str) -> Diagnostic {
        Diagnostic::new(Code::UnterminatedString, format!("this {what} does not end on its line"))
            .at(self.span(0, self.text.len()), "begins here")
            .help(format!("Close the {what} with `\"`; inside a {what} a double quote is `\\\"`."))
    }

    fn glued_comment(&self) -> Option<Diagnostic> {
        self.glued.then(|| {
            Diagnostic::new(Code::UnexpectedCharacter, "unexpected character `#`")
                .at(self.span(0, 1), "follows other text directly")
                .help("A comment begins at the start of a line or after a space.")
        })
    }

    fn bad_escape(&self) -> Option<Diagnostic> {
        let Err((at, len)) = unescape(self.text) else { return None };
        let escape = self.text.get(at..at + len).unwrap_or_default();
        Some(
            Diagnostic::new(Code::InvalidValue, format!("unknown escape `{escape}`"))
                .at(self.span(at, at + len), "")
                .help("The escapes are `\\\"`, `\\\\` and `\\u{…}` with 1 to 6 hex digits of a character."),
        )
    }

    fn stray_character(&self) -> Diagnostic {
        let help = match self.text.chars().next() {
            Some('\'' | '“' | '”' | '‘' | '’' | '`') => {
                "A string is written in straight double quotes: `\"…\"`."
            }
            Some('$') => "A parameter is `$` and its name, which begins with a letter.",
            Some('?') => "Paths are matched without their query.",
            Some(':' | '[' | ']') => "Arguments follow the keyword after a space, without `:` or brackets.",
            Some('*') => {
                "In a path, `{name}` is one segment and `/**` is everything below; host patterns are strings."
            }
            _ => "Write text that is not a name, a number or a path in double quotes.",
        };
        let noun = if self.text.chars().nth(1).is_some() { "characters" } else { "character" };
        let shown: String = self.text.chars().take(SHOWN_CHARS).collect();
        Diagnostic::new(Code::UnexpectedCharacter, format!("unexpected {noun} `{shown}`"))
            .at(self.span(0, self.text.len()), "")
            .help(help)
    }
}

/// A message quotes no more than this of the text it complains of: it is one line of a terminal.
pub(crate) const SHOWN_CHARS: usize = 40;

/// The value of a string token (quotes included), or where in it an escape is wrong and how long that is.
pub(crate) fn unescape(raw: &str) -> Result<Cow<'_, str>, (usize, usize)> {
    let inside = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(raw);
    if !inside.contains('\\') {
        return Ok(inside.into());
    }
    let mut result = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        let escape = &rest[at..];
        let (c, len) = escaped(escape).ok_or_else(|| {
            let wrong = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
            (1 + inside.len() - escape.len(), wrong)
        })?;
        result.push(c);
        rest = &escape[len..];
    }
    result.push_str(rest);
    Ok(result.into())
}

/// What a regex token says (`re` and quotes included): raw but for `\"`, which is a double quote.
pub fn unescape_regex(raw: &str) -> String {
    let inside = raw.strip_prefix("re\"").and_then(|text| text.strip_suffix('"')).unwrap_or(raw);
    let mut result = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some('"')) => {}
            ('\\', Some(next)) => {
                result.extend([c, next]);
                chars.next();
            }
            _ => result.push(c),
        }
    }
    result
}

/// The character of the escape at the start of the text, and how long the escape is.
fn escaped(text: &str) -> Option<(char, usize)> {
    match text.as_bytes().get(1)? {
        b'"' => Some(('"', 2)),
        b'\\' => Some(('\\', 2)),
        b'u' => {
            let digits = text.get(2..)?.strip_prefix('{')?;
            let digits = digits.get(..digits.find('}')?)?;
            let hex = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let c = u32::from_str_radix(digits, 16).ok().filter(|_| hex).and_then(char::from_u32)?;
            Some((c, digits.len() + 4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The significant tokens as `Kind:text`, then the codes of what the lexer complains of.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let (tokens, diagnostics) = lex(FileId(0), text);
        let mut end = 0;
        for token in &tokens {
            assert_eq!(
                text[end..token.start()].trim_start_matches([' ', '\t']),
                "",
                "a gap is spaces: {text:?}"
            );
            end = token.end();
        }
        assert_eq!(text[end..].trim_start_matches([' ', '\t']), "", "a gap is spaces: {text:?}");
        let shown = tokens
            .iter()
            .filter(|token| token.kind.is_significant() || token.kind.is_comment())
            .map(|token| format!("{:?}:{}", token.kind, token.text(text)));
        let codes = diagnostics.iter().map(|diagnostic| diagnostic.code.as_str().to_string());
        assert_eq!(shown.chain(codes).collect::<Vec<_>>().join(" "), expected, "{text:?}");
    }

    #[test]
    fn words_end_before_an_arrow_and_before_two_dots() {
        check("reviews.shop:v2", "Word:reviews.shop:v2");
        check("a->b", "Word:a Arrow:-> Word:b");
        check("a..b-c", "Word:a DotDot:.. Word:b-c");
        check("app.kubernetes.io/name=", "Word:app.kubernetes.io/name Equals:=");
    }

    #[test]
    fn quantities_take_a_point_only_before_a_digit() {
        check("25ms..1s", "Quantity:25ms DotDot:.. Quantity:1s");
        check("33.33% 10/s 64KiB 5xx", "Quantity:33.33% Quantity:10/s Quantity:64KiB Quantity:5xx");
    }

    #[test]
    fn a_path_takes_braces_only_as_a_whole_segment() {
        check("/reviews/{id}", "Path:/reviews/{id}");
        check("/reviews/{id}/x, y", "Path:/reviews/{id}/x Comma:, Word:y");
        check("/{a}{", "Path:/{a} OpenBrace:{");
        check("/a/{ timeout", "Path:/a/ OpenBrace:{ Word:timeout");
        check("/a{id}", "Path:/a OpenBrace:{ Word:id CloseBrace:}");
        check("/{id}x", "Path:/ OpenBrace:{ Word:id CloseBrace:} Word:x");
        check("/books/{id}.json; x", "Path:/books/{id}.json Semicolon:; Word:x");
        check("/{id}.tar.gz/{part}.json", "Path:/{id}.tar.gz/{part}.json");
        check("/{id}.json{", "Path:/{id}.json OpenBrace:{");
        check("/{id}.json\u{200b}", "Path:/{id}.json MESH1003");
        check("/**|/a%2f=", "Path:/** Pipe:| Path:/a%2f Equals:=");
    }

    #[test]
    fn strings_end_on_their_line() {
        check(r#""a \"b\" \\ \u{e9}""#, r#"String:"a \"b\" \\ \u{e9}""#);
        check("\"abc\nx", "Error:\"abc Word:x MESH1004");
        check("\"abc\r\nx", "Error:\"abc Word:x MESH1004");
        check(r#""a\n""#, r#"Error:"a\n" MESH1012"#);
        check(r#""\u{110000}""#, r#"Error:"\u{110000}" MESH1012"#);
    }

    #[test]
    fn a_regex_is_raw_and_ends_on_its_line() {
        check(r#"matches re"v[12]\.x\"y" and"#, r#"Word:matches Regex:re"v[12]\.x\"y" Word:and"#);
        check(r#"re"a\\" b"#, r#"Regex:re"a\\" Word:b"#);
        check("re \"a\" are\"b\"", "Word:re String:\"a\" Word:are String:\"b\"");
        check("re\"abc\r\nx", "Error:re\"abc Word:x MESH1004");
        check("re\"a\\\nx", "Error:re\"a\\ Word:x MESH1004");
        check("re\"a\u{200b}\" x", "Error:re\"a\u{200b}\" Word:x MESH1003");
        assert_eq!(unescape_regex(r#"re"v[12]\.x\"y\\\"z""#), r#"v[12]\.x"y\\"z"#);
    }

    #[test]
    fn a_parameter_is_a_dollar_and_a_name() {
        check("reviews:v3 $canary, x", "Word:reviews:v3 Param:$canary Comma:, Word:x");
        check("$low..$high", "Param:$low DotDot:.. Param:$high");
        check("/a$b", "Path:/a$b");
        check("$ $5 ?$a", "Error:$ Error:$ Quantity:5 Error:? Param:$a MESH1003 MESH1003 MESH1003");
    }

    #[test]
    fn comments_begin_at_a_line_or_after_a_space() {
        check("# a\n## b\n x # c ## d", "Comment:# a Doc:## b Word:x Comment:# c ## d");
        check("  ## doc\n### rule", "Doc:## doc Comment:### rule");
        check("a#b", "Word:a Comment:#b MESH1003");
        check("#\r\n##\r\n", "Comment:# Doc:##");
    }

    #[test]
    fn what_cannot_be_seen_is_refused_everywhere() {
        check("\u{feff}a", "Word:a");
        check("a\u{feff}b", "Word:a Word:b MESH1003");
        check("# \u{202e}x", "Comment:# \u{202e}x MESH1003");
        check("\"a\u{200b}\"", "Error:\"a\u{200b}\" MESH1003");
        check("a\0\r\nb\rc", "Word:a Word:b Word:c MESH1003 MESH1003");
    }

    #[test]
    fn stray_characters_are_one_mistake_where_they_stand_together() {
        check("日本 - . !", "Error:日本 Error:- Error:. Error:! MESH1003 MESH1003 MESH1003 MESH1003");
        check("a: b", "Word:a: Word:b");
        check("''", "Error:'' MESH1003");
    }

    #[test]
    fn a_file_of_noise_gives_a_bounded_list() {
        let (_, diagnostics) = lex(FileId(0), &"? ".repeat(5_000));
        assert_eq!(diagnostics.len(), MAX_DIAGNOSTICS);
    }
}
