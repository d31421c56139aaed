//! The arguments of one statement as nom's input, and the mistake of a parser that reads them.

use nom::Parser;
use nom::combinator::cut;
use nom::error::{ErrorKind, ParseError};
use nom::sequence::preceded;
use smallvec::SmallVec;

use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::token::TokenKind;

/// A significant token with its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexeme<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'a str,
    pub(crate) span: Span,
    /// It stands for a parameter that was written there.
    pub(crate) substituted: bool,
}

/// What is left of a statement's arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens<'a> {
    lexemes: &'a [Lexeme<'a>],
    /// The whole statement, keyword included: it ends after the last one.
    statement: Span,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(lexemes: &'a [Lexeme<'a>], statement: Span) -> Tokens<'a> {
        Tokens { lexemes, statement }
    }

    pub(crate) fn first(&self) -> Option<&'a Lexeme<'a>> {
        self.lexemes.first()
    }

    /// The next token if it is this word.
    pub(super) fn first_word(&self) -> Option<&'a str> {
        self.first().filter(|lexeme| lexeme.kind == TokenKind::Word).map(|lexeme| lexeme.text)
    }

    /// Where the next token stands, or the end.
    pub(super) fn here(&self) -> Span {
        self.first().map_or(self.statement.after(), |lexeme| lexeme.span)
    }

    /// The statement that these are arguments of, keyword included.
    pub(super) fn statement(&self) -> Span {
        self.statement
    }

    /// From the next token to the last one that `rest` does not have any more.
    pub(super) fn span_to(&self, rest: &Tokens<'a>) -> Span {
        let taken = self.lexemes.len() - rest.lexemes.len();
        let last = self.lexemes[..taken].last().map_or(self.here(), |lexeme| lexeme.span);
        self.here().to(last)
    }

    fn with(self, lexemes: &'a [Lexeme<'a>]) -> Tokens<'a> {
        Tokens { lexemes, ..self }
    }
}

impl<'a> nom::Input for Tokens<'a> {
    type Item = Lexeme<'a>;
    type Iter = std::iter::Copied<std::slice::Iter<'a, Lexeme<'a>>>;
    type IterIndices = std::iter::Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.lexemes.len()
    }

    fn take(&self, index: usize) -> Self {
        self.with(&self.lexemes[..index])
    }

    fn take_from(&self, index: usize) -> Self {
        self.with(&self.lexemes[index..])
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.lexemes.iter().position(|lexeme| predicate(*lexeme))
    }

    fn iter_elements(&self) -> Self::Iter {
        self.lexemes.iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, nom::Needed> {
        count.checked_sub(self.lexemes.len()).map_or(Ok(count), |missing| {
            if missing == 0 { Ok(count) } else { Err(nom::Needed::new(missing)) }
        })
    }
}

/// Why a statement cannot be read.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// Something else was expected here.
    Expected { at: Span, wanted: Wanted },
    /// The right kind of token with a wrong value.
    Known(Box<Diagnostic>),
}

/// What would have fitted. An alternative that does not fit is no mistake and happens all the time, so it is put into words
/// only when it is said.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Nothing,
    /// This very word.
    Word(&'static str),
    /// In words.
    Text(&'static str),
    Written(String),
    AnyOf(Vec<Wanted>),
}

impl From<&'static str> for Wanted {
    fn from(text: &'static str) -> Wanted {
        Wanted::Text(text)
    }
}

impl From<String> for Wanted {
    fn from(text: String) -> Wanted {
        Wanted::Written(text)
    }
}

impl Wanted {
    /// Either of the two.
    pub(super) fn or(self, other: Wanted) -> Wanted {
        match (self, other) {
            (Wanted::Nothing, wanted) | (wanted, Wanted::Nothing) => wanted,
            (Wanted::AnyOf(mut all), wanted) => {
                all.push(wanted);
                Wanted::AnyOf(all)
            }
            (first, second) => Wanted::AnyOf(vec![first, second]),
        }
    }

    /// As a message says it, one entry for each possibility.
    pub(super) fn in_words(self) -> Vec<String> {
        match self {
            Wanted::Nothing => Vec::new(),
            Wanted::Word(word) => vec![format!("`{word}`")],
            Wanted::Text(text) => vec![text.to_owned()],
            Wanted::Written(text) => vec![text],
            Wanted::AnyOf(all) => all.into_iter().flat_map(Wanted::in_words).collect(),
        }
    }
}

/// The result of reading a `T`.
pub(crate) type Parsed<'a, T> = nom::IResult<Tokens<'a>, T, Problem>;

impl<'a> ParseError<Tokens<'a>> for Problem {
    fn from_error_kind(input: Tokens<'a>, _: ErrorKind) -> Problem {
        Problem::Expected { at: input.here(), wanted: Wanted::Nothing }
    }

    fn append(_: Tokens<'a>, _: ErrorKind, other: Problem) -> Problem {
        other
    }

    /// Of two alternatives the one that came further knows better; at one place both are named.
    fn or(self, other: Problem) -> Problem {
        match (self, other) {
            (Problem::Expected { at, wanted }, Problem::Expected { at: there, wanted: more }) => {
                if at.start() != there.start() {
                    let first = at.start() > there.start();
                    let (at, wanted) = if first { (at, wanted) } else { (there, more) };
                    return Problem::Expected { at, wanted };
                }
                Problem::Expected { at, wanted: wanted.or(more) }
            }
            (known @ Problem::Known(_), _) | (_, known) => known,
        }
    }
}

/// Something else was expected here; another alternative may still fit.
pub(super) fn expected<'a, T>(input: Tokens<'a>, wanted: impl Into<Wanted>) -> Parsed<'a, T> {
    Err(nom::Err::Error(Problem::Expected { at: input.here(), wanted: wanted.into() }))
}

/// The statement cannot be read, for this reason and no other.
pub(super) fn refuse<'a, T>(diagnostic: Diagnostic) -> Parsed<'a, T> {
    Err(nom::Err::Failure(Problem::Known(Box::new(diagnostic))))
}

/// What was only one alternative is a mistake now.
pub(super) fn no_way_back(error: nom::Err<Problem>) -> nom::Err<Problem> {
    match error {
        nom::Err::Error(problem) => nom::Err::Failure(problem),
        other => other,
    }
}

/// One token of a kind.
pub(super) fn one<'a>(
    kind: TokenKind,
    wanted: &'static str,
) -> impl Fn(Tokens<'a>) -> Parsed<'a, Lexeme<'a>> {
    move |input| match input.first() {
        Some(lexeme) if lexeme.kind == kind => Ok((nom::Input::take_from(&input, 1), *lexeme)),
        _ => expected(input, wanted),
    }
}

/// This very word.
pub(super) fn keyword<'a>(word: &'static str) -> impl Fn(Tokens<'a>) -> Parsed<'a, Span> {
    move |input| match input.first() {
        Some(lexeme) if input.first_word() == Some(word) => {
            Ok((nom::Input::take_from(&input, 1), lexeme.span))
        }
        _ => expected(input, Wanted::Word(word)),
    }
}

pub(super) fn comma(input: Tokens<'_>) -> Parsed<'_, Lexeme<'_>> {
    one(TokenKind::Comma, "`,`")(input)
}

/// What follows this very word: after it there is no way back.
pub(super) fn after<'a, T>(
    word: &'static str,
    mut parser: impl Parser<Tokens<'a>, Output = T, Error = Problem>,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, T> {
    move |input| preceded(keyword(word), cut(|input| parser.parse(input))).parse(input)
}

/// One or more, with commas between.
pub(super) fn list<'a, T>(
    item: impl Fn(Tokens<'a>) -> Parsed<'a, T> + Copy,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, Vec<T>> {
    joined(comma, item)
}

/// A list on its way to be a `Vec` that is as long as it has to be: most are of one or two, and those need no second place.
pub(super) type Growing<T> = SmallVec<[T; 4]>;

/// The list when it is whole. Its own `into_vec` makes room for four.
pub(super) fn grown<T>(list: Growing<T>) -> Vec<T> {
    let mut whole = Vec::with_capacity(list.len());
    whole.extend(list);
    whole
}

/// One or more with something between: after that there is no way back.
pub(super) fn joined<'a, S, T>(
    between: impl Fn(Tokens<'a>) -> Parsed<'a, S>,
    item: impl Fn(Tokens<'a>) -> Parsed<'a, T> + Copy,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, Vec<T>> {
    move |input| {
        let (mut rest, first) = item(input)?;
        let mut all = Growing::from_iter([first]);
        while let Ok((behind, _)) = between(rest) {
            let (behind, next) = cut(item).parse(behind)?;
            all.push(next);
            rest = behind;
        }
        Ok((rest, grown(all)))
    }
}

/// A value and from where to where it was written.
pub(super) fn spanned<'a, T, U>(
    mut parser: impl Parser<Tokens<'a>, Output = T, Error = Problem>,
    make: impl Fn(Span, T) -> U,
) -> impl FnMut(Tokens<'a>) -> Parsed<'a, U> {
    move |input| {
        let (rest, value) = parser.parse(input)?;
        Ok((rest, make(input.span_to(&rest), value)))
    }
}
