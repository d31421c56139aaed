//! Tests of one text, and the texts that a field can hold at all.

use mesh_lang::ast::{PathPattern, Segment};
use regex_syntax::hir::{Capture, Hir, HirKind, Look, Repetition};

/// What is asked of one text: a value, an item of a list, a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TextTest {
    /// Exactly one of these; sorted, each once.
    OneOf(Vec<String>),
    /// Begins so.
    Prefix(String),
    /// Ends so.
    Suffix(String),
    /// Has this somewhere.
    Contains(String),
    /// Is this, or has it between blanks: a token of a claim like `scope`.
    Token(String),
    /// All of it is of this form. INVARIANT: [`regex`] accepts it.
    Matches(String),
    /// A path that fits this pattern.
    Path(PathPattern),
}

impl TextTest {
    /// Whether texts are told apart by it as by a tree of literals.
    pub(super) fn is_literal(&self) -> bool {
        match self {
            TextTest::OneOf(_) | TextTest::Prefix(_) => true,
            TextTest::Path(pattern) => {
                pattern.segments.iter().all(|segment| matches!(segment, Segment::Literal(_)))
            }
            _ => false,
        }
    }

    /// As a regex of the whole text.
    pub(crate) fn hir(&self) -> Hir {
        let all =
            || Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: Box::new(any_byte()) });
        match self {
            TextTest::OneOf(texts) => Hir::alternation(texts.iter().map(|text| literal(text)).collect()),
            TextTest::Prefix(text) => Hir::concat(vec![literal(text), all()]),
            TextTest::Suffix(text) => Hir::concat(vec![all(), literal(text)]),
            TextTest::Contains(text) => Hir::concat(vec![all(), literal(text), all()]),
            // Between blanks there is none: what has one can only be the whole.
            TextTest::Token(text) if text.contains(' ') => literal(text),
            TextTest::Token(text) => {
                let before = Hir::alternation(vec![Hir::empty(), Hir::concat(vec![all(), literal(" ")])]);
                let after = Hir::alternation(vec![Hir::empty(), Hir::concat(vec![literal(" "), all()])]);
                Hir::concat(vec![before, literal(text), after])
            }
            TextTest::Matches(text) => regex(text).unwrap_or_else(|_| Hir::fail()),
            TextTest::Path(pattern) => path(pattern),
        }
    }
}

fn literal(text: &str) -> Hir {
    Hir::literal(text.as_bytes())
}

fn any_byte() -> Hir {
    Hir::dot(regex_syntax::hir::Dot::AnyByte)
}

fn path(pattern: &PathPattern) -> Hir {
    let segment = |text: &str| fixed(&format!("{}[^/]+{}", "/", regex_syntax::escape(text)));
    let parts = pattern.segments.iter().map(|part| match part {
        Segment::Literal(text) => literal(&format!("/{text}")),
        Segment::Any(_) => segment(""),
        Segment::AnyWithSuffix { suffix, .. } => segment(suffix),
    });
    let below = match (pattern.subtree, pattern.segments.is_empty()) {
        (false, _) => Hir::empty(),
        (true, true) => fixed("/.*"),
        (true, false) => fixed("(?:/.*)?"),
    };
    Hir::concat(parts.chain([below]).collect())
}

/// A regex of our own.
fn fixed(text: &str) -> Hir {
    regex(text).unwrap_or_else(|_| Hir::fail())
}

/// Reads a regex of the language: ASCII, over bytes, of the whole text. The error says what is wrong, as a clause.
pub(crate) fn regex(text: &str) -> Result<Hir, String> {
    if !text.is_ascii() {
        return Err("it has characters outside ASCII".to_owned());
    }
    let mut parser = regex_syntax::ast::parse::ParserBuilder::new().build();
    let ast = parser.parse(text).map_err(|error| first_line(&error.kind().to_string()))?;
    if let Some(why) = outside(&ast) {
        return Err(why.to_owned());
    }
    let mut translator = regex_syntax::hir::translate::TranslatorBuilder::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .build();
    let hir = translator.translate(text, &ast).map_err(|error| first_line(&error.kind().to_string()))?;
    Ok(plain(&hir))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// What the dialect leaves out.
fn outside(ast: &regex_syntax::ast::Ast) -> Option<&'static str> {
    use regex_syntax::ast::{Ast, GroupKind};
    match ast {
        Ast::Empty(_) | Ast::Dot(_) | Ast::Literal(_) | Ast::ClassPerl(_) | Ast::ClassBracketed(_) => None,
        Ast::Flags(_) => Some("flags are not part of the dialect"),
        Ast::Assertion(_) => Some("it is of the whole value, so anchors and boundaries have no place in it"),
        Ast::ClassUnicode(_) => Some("classes of Unicode are not part of the dialect"),
        Ast::Repetition(repetition) => outside(&repetition.ast),
        Ast::Group(group) => match &group.kind {
            GroupKind::NonCapturing(flags) if !flags.items.is_empty() => {
                Some("flags are not part of the dialect")
            }
            _ => outside(&group.ast),
        },
        Ast::Alternation(alternation) => alternation.asts.iter().find_map(outside),
        Ast::Concat(concat) => concat.asts.iter().find_map(outside),
    }
}

/// Without captures, which nothing asks for.
fn plain(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Capture(Capture { sub, .. }) => plain(sub),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(plain(&repetition.sub));
            Hir::repetition(Repetition { sub, ..repetition.clone() })
        }
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(plain).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(plain).collect()),
        HirKind::Look(Look::Start | Look::End) | HirKind::Look(_) => Hir::fail(),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
    }
}

/// Which texts a field can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Universe {
    /// An item of a list field.
    HeaderItem,
    /// A line of another field.
    HeaderLine,
    /// The value of a query parameter, decoded: any bytes.
    Query,
    /// The value of a cookie.
    Cookie,
    /// A string of a token: UTF-8.
    Claim,
    /// A canonical path.
    Path,
    /// A canonical host.
    Host,
}

/// No blanks around.
const TRIMMED: &str = "(?:[^\\t ](?:.*[^\\t ])?)?";

impl Universe {
    /// How many there are.
    pub(crate) const COUNT: usize = Universe::Host as usize + 1;

    /// Forms that every text has, and forms that none has.
    pub(crate) fn bounds(self) -> (Vec<Hir>, Vec<Hir>) {
        let (must, must_not): (&[&str], &[&str]) = match self {
            // Commas stand in double quotes only, in which a backslash takes the next byte along; a quote may stay open.
            Universe::HeaderItem => (
                &[
                    "(?:[\\t !#-+\\--~\\x80-\\xff]|\"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*\")*\
                     (?:\"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*\\\\?)?",
                    TRIMMED,
                ],
                &[],
            ),
            Universe::HeaderLine => (&["[\\t -~\\x80-\\xff]*", TRIMMED], &[]),
            Universe::Query => (&[".*"], &[]),
            Universe::Cookie => (&["[\\t -:<-~\\x80-\\xff]*", TRIMMED], &[]),
            Universe::Claim => (
                &["(?:[\\x00-\\x7f]|[\\xc2-\\xdf][\\x80-\\xbf]|\\xe0[\\xa0-\\xbf][\\x80-\\xbf]\
                   |[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}|\\xed[\\x80-\\x9f][\\x80-\\xbf]\
                   |\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}|[\\xf1-\\xf3][\\x80-\\xbf]{3}|\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2})*"],
                &[],
            ),
            // `spec/semantics.md` 1.1.
            Universe::Path => (
                &[
                    "(?:/(?:[!$&'()*+,\\-.0-9:=@A-Z\\[\\]_a-z~]\
                   |%(?:2[0-9A-C]|3[A-F]|40|5[BDEF]|60|7[B-D]|[89A-F][0-9A-F]))+)*\
                   /?",
                    "/.*",
                ],
                &[".*%25(?:2[EeFf]|5[Cc]|00).*", ".*%(?:C[01]|E0%[89]|F0%8).*", ".*/\\.\\.?(?:/.*)?"],
            ),
            Universe::Host => (&["[0-9a-z_-]+(?:\\.[0-9a-z_-]+)*|\\[[0-9a-f:.]+\\]"], &[]),
        };
        let read = |texts: &[&str]| texts.iter().map(|text| fixed(text)).collect();
        (read(must), read(must_not))
    }

    /// Bytes to try, those first that a person would type, one for each way in which an automaton could tell bytes apart.
    pub(crate) fn natural_bytes(self, classes: &[u8]) -> Vec<u8> {
        let first: &[u8] = match self {
            Universe::Path => b"/1",
            Universe::Claim | Universe::Query | Universe::Cookie | Universe::HeaderItem => b"x1",
            Universe::HeaderLine | Universe::Host => b"x",
        };
        let letters =
            (b'a'..=b'z').chain(b'0'..=b'9').chain(b'!'..=b'~').chain(b' '..=b' ').chain(0..=u8::MAX);
        let mut seen = [false; 256];
        let all = first.iter().copied().chain(letters);
        all.filter(|byte| {
            let class = classes.get(usize::from(*byte)).copied().unwrap_or_default();
            !std::mem::replace(&mut seen[usize::from(class)], true)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect_is_ascii_without_flags_and_anchors() {
        for text in ["v[12]", "(a|b)+", "a{2,3}", "\\d+\\.\\w*", "(?:x)", "", "a\"b"] {
            assert!(regex(text).is_ok(), "{text}");
        }
        for text in ["^a", "a$", "\\ba", "(?i)a", "(?i:a)", "\\pL", "é", "(a", "a{", "(?=a)", "\\1"] {
            assert!(regex(text).is_err(), "{text}");
        }
    }
}
