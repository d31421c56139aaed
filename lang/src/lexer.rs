//! Text becomes tokens; spaces, newlines and comments are kept. One pass, linear for any text.

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till, take_while, take_while1};
use nom::character::complete::{char, none_of, satisfy};
use nom::combinator::{eof, not, peek, recognize, value};
use nom::multi::{many0_count, many1_count};
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{IResult, Parser};

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::FileId;
use crate::span::Span;
use crate::token::{Token, TokenKind};

/// Nobody reads more mistakes of one file at once, and a file of noise must not fill the memory.
pub(crate) const MAX_DIAGNOSTICS: usize = 1_000;

/// Cuts a text into tokens. The tokens one after the other are the text.
pub fn lex(file: FileId, text: &str) -> (Vec<Token>, Diagnostics) {
    let mut tokens = Vec::with_capacity(text.len() / 4);
    let mut diagnostics = Diagnostics::new();
    let mut rest = text;
    // Nothing stands between the start of the line and here: spaces or a `;` are nothing.
    let mut line_start = true;
    while !rest.is_empty() {
        let start = text.len() - rest.len();
        let (after, kind) = if start == 0 { alt((mark, token)).parse(rest) } else { token(rest) }
            .unwrap_or_else(|_| (skip_char(rest), TokenKind::Error));
        let raw = &rest[..rest.len() - after.len()];
        let spaced = line_start || text[..start].ends_with(is_blank);
        let kind = if kind == TokenKind::Comment && line_start { doc_or_comment(raw) } else { kind };
        let piece = Piece { file, start: start as u32, text: raw, spaced };
        // Beyond the limit only strings are still looked at: a wrong one is no string.
        let full = diagnostics.len() >= MAX_DIAGNOSTICS;
        let complaint = if full && kind != TokenKind::String { None } else { piece.check(kind) };
        let kind = if kind == TokenKind::String && complaint.is_some() { TokenKind::Error } else { kind };
        if let Some(complaint) = complaint.filter(|_| !full) {
            diagnostics.push(complaint);
        }
        tokens.push(Token { kind, start: start as u32, len: raw.len() as u32 });
        line_start = match kind {
            TokenKind::Newline | TokenKind::ByteOrderMark => true,
            TokenKind::Space | TokenKind::Invisible | TokenKind::Semicolon => line_start,
            _ => false,
        };
        rest = after;
    }
    (tokens, diagnostics)
}

fn skip_char(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

fn doc_or_comment(raw: &str) -> TokenKind {
    if raw.starts_with("##") && !raw.starts_with("###") { TokenKind::Doc } else { TokenKind::Comment }
}

type Lexed<'a> = IResult<&'a str, TokenKind>;

fn mark(input: &str) -> Lexed<'_> {
    value(TokenKind::ByteOrderMark, char('\u{feff}')).parse(input)
}

fn token(input: &str) -> Lexed<'_> {
    alt((
        value(TokenKind::Space, take_while1(is_space)),
        newline,
        word,
        quantity,
        string,
        path,
        comment,
        punctuation,
        value(TokenKind::Invisible, take_while1(|c| is_refused(c) && c != '\r')),
        stray,
    ))
    .parse(input)
}

/// Carriage returns before a line feed or the end of the file are part of the newline; elsewhere they are refused.
fn newline(input: &str) -> Lexed<'_> {
    let (rest, returns) = take_while(|c| c == '\r').parse(input)?;
    match char::<_, nom::error::Error<&str>>('\n').parse(rest) {
        Ok((rest, _)) => Ok((rest, TokenKind::Newline)),
        Err(error) if returns.is_empty() => Err(error),
        Err(_) if rest.is_empty() => Ok((rest, TokenKind::Newline)),
        Err(_) => Ok((rest, TokenKind::Invisible)),
    }
}

fn word(input: &str) -> Lexed<'_> {
    let more = alt((
        take_while1(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '/')),
        recognize(pair(char('-'), not(char('>')))),
        recognize(pair(char('.'), not(char('.')))),
    ));
    value(TokenKind::Word, pair(satisfy(|c| c.is_ascii_alphabetic()), many0_count(more))).parse(input)
}

fn quantity(input: &str) -> Lexed<'_> {
    let more = alt((
        take_while1(|c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '/')),
        recognize(pair(char('.'), peek(satisfy(|c| c.is_ascii_digit())))),
    ));
    value(TokenKind::Quantity, pair(satisfy(|c| c.is_ascii_digit()), many0_count(more))).parse(input)
}

fn string(input: &str) -> Lexed<'_> {
    let inside = alt((is_not("\"\\\n"), recognize(pair(char('\\'), none_of("\n")))));
    let whole = delimited(char('"'), many0_count(inside), char('"'));
    alt((value(TokenKind::String, whole), without_end)).parse(input)
}

fn without_end(input: &str) -> Lexed<'_> {
    let (_, line) = recognize(pair(char('"'), take_till(|c| c == '\n'))).parse(input)?;
    let line = line.trim_end_matches('\r');
    Ok((&input[line.len()..], TokenKind::Error))
}

fn path(input: &str) -> Lexed<'_> {
    let segment = alt((placeholder, take_while(is_path_char)));
    value(TokenKind::Path, many1_count(preceded(char('/'), segment))).parse(input)
}

/// `{name}` as a whole segment: what follows is the next segment or the end of the path.
fn placeholder(input: &str) -> IResult<&str, &str> {
    let name = pair(
        satisfy(|c| c.is_ascii_alphabetic()),
        take_while(|c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')),
    );
    let after =
        peek(alt((recognize(satisfy(|c| is_blank(c) || is_refused(c) || "/,;{}()|=#".contains(c))), eof)));
    terminated(recognize(delimited(char('{'), name, char('}'))), after).parse(input)
}

fn comment(input: &str) -> Lexed<'_> {
    let (_, line) = recognize(pair(char('#'), take_till(|c| c == '\n'))).parse(input)?;
    let line = line.trim_end_matches('\r');
    Ok((&input[line.len()..], TokenKind::Comment))
}

fn punctuation(input: &str) -> Lexed<'_> {
    alt((
        value(TokenKind::OpenBrace, tag("{")),
        value(TokenKind::CloseBrace, tag("}")),
        value(TokenKind::Comma, tag(",")),
        value(TokenKind::Semicolon, tag(";")),
        value(TokenKind::Pipe, tag("|")),
        value(TokenKind::OpenParen, tag("(")),
        value(TokenKind::CloseParen, tag(")")),
        value(TokenKind::Equals, tag("=")),
        value(TokenKind::NotEquals, tag("!=")),
        value(TokenKind::Arrow, tag("->")),
        value(TokenKind::DotDot, tag("..")),
    ))
    .parse(input)
}

/// Characters that begin no token, as many as stand together.
fn stray(input: &str) -> Lexed<'_> {
    let alone = recognize(satisfy(|c| matches!(c, '!' | '-' | '.')));
    value(TokenKind::Error, alt((alone, take_while1(is_stray)))).parse(input)
}

fn is_stray(c: char) -> bool {
    !c.is_ascii_alphanumeric() && !is_blank(c) && !is_refused(c) && !"\"/#{},;|()=!-.".contains(c)
}

fn is_path_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:@!$&'+*%".contains(c)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn is_blank(c: char) -> bool {
    is_space(c) || c == '\n'
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

/// A token's text and what stands before it.
struct Piece<'a> {
    file: FileId,
    start: u32,
    text: &'a str,
    spaced: bool,
}

impl Piece<'_> {
    fn check(&self, kind: TokenKind) -> Option<Diagnostic> {
        match kind {
            TokenKind::Invisible => self.refused_character(),
            TokenKind::Comment | TokenKind::Doc => self.refused_character().or_else(|| self.glued_comment()),
            TokenKind::String => self.refused_character().or_else(|| self.bad_escape()),
            TokenKind::Error if self.text.starts_with('"') => Some(
                Diagnostic::new(Code::UnterminatedString, "this string does not end on its line")
                    .at(self.span(0, self.text.len()), "begins here")
                    .help("Close the string with `\"`; inside a string a double quote is `\\\"`."),
            ),
            TokenKind::Error => Some(self.stray_character()),
            _ => None,
        }
    }

    fn span(&self, from: usize, to: usize) -> Span {
        Span::new(self.file, self.start + from as u32, self.start + to as u32)
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
            .help(format!("Remove it; where a string needs this character, write `\\u{{{:x}}}`.", c as u32)),
        )
    }

    fn glued_comment(&self) -> Option<Diagnostic> {
        (!self.spaced).then(|| {
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
pub(crate) fn unescape(raw: &str) -> Result<String, (usize, usize)> {
    let inside = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(raw);
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
    Ok(result)
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
        let whole: String = tokens.iter().map(|token| token.text(text)).collect();
        assert_eq!(whole, text, "tokens together are the text");
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
