//! What stands around a place: the blocks it is in, the statement, and the tokens before it.

use mesh_lang::parser::Parse;
use mesh_lang::signature::{Body, Place, Signature};
use mesh_lang::token::{Token, TokenKind};
use mesh_lang::tree::Statement;

/// A place in a file that may be half written.
pub(crate) struct Cursor<'p> {
    /// The block it is in.
    pub(crate) place: Place,
    /// The statements in whose blocks it is, the outermost first.
    pub(crate) around: Vec<&'p Statement>,
    /// The statement in whose keyword or arguments it is, or right behind them on the line.
    pub(crate) statement: Option<&'p Statement>,
    /// What the statement begins with, where it may stand in the block.
    pub(crate) signature: Option<&'static Signature>,
    /// The statement's tokens before the one at hand.
    pub(crate) before: Vec<Token>,
    /// The token at hand: the place is in it, or at its end.
    pub(crate) token: Option<Token>,
    /// It stands among names in braces: `import shop { … }`.
    pub(crate) in_names: bool,
}

/// What stands around a byte offset. Time: linear in the tokens of the statements that it is in.
pub(crate) fn cursor<'p>(parse: &'p Parse, text: &str, offset: usize) -> Cursor<'p> {
    let mut cursor = Cursor {
        place: Place::File,
        around: Vec::new(),
        statement: None,
        signature: None,
        before: Vec::new(),
        token: None,
        in_names: false,
    };
    let mut statements = &*parse.tree.statements;
    while let Some(statement) = statements.iter().find(|one| is_inside(parse, one, offset)) {
        let Some(block) = &statement.block else { break };
        cursor.around.push(statement);
        match signature(parse, text, cursor.place, statement).map(|row| row.body) {
            Some(Body::Names) => cursor.in_names = true,
            Some(body) => cursor.place = body.place().unwrap_or(cursor.place),
            // What nobody knows is read as if its block were the one around it.
            None => {}
        }
        statements = &block.statements;
    }
    cursor.token = token_at(&parse.tokens, offset);
    let begun = statements.iter().rev().find(|one| is_in_head(parse, text, one, offset));
    let Some(statement) = begun else { return cursor };
    cursor.statement = Some(statement);
    cursor.signature = signature(parse, text, cursor.place, statement);
    let before = parse.tokens.get(statement.head()).unwrap_or_default().iter().copied();
    let before = before.filter(|token| token.kind.is_significant());
    // The token at hand is still being written.
    cursor.before = before
        .take_while(|token| token.end() < offset || (token.end() == offset && !is_open(*token)))
        .collect();
    cursor
}

/// The row of a statement in a block.
pub(crate) fn signature(
    parse: &Parse,
    text: &str,
    place: Place,
    statement: &Statement,
) -> Option<&'static Signature> {
    place.statement(keyword(parse, text, statement)?)
}

/// The word that a statement begins with.
pub(crate) fn keyword<'t>(parse: &Parse, text: &'t str, statement: &Statement) -> Option<&'t str> {
    let token = parse.tokens.get(statement.first as usize).filter(|_| statement.end > statement.first)?;
    Some(token.text(text))
}

/// Whether more may be written at the end of a token, so that it is not known yet what it says.
fn is_open(token: Token) -> bool {
    matches!(
        token.kind,
        TokenKind::Word | TokenKind::Quantity | TokenKind::Param | TokenKind::Path | TokenKind::Error
    )
}

/// The token that contains an offset or ends there; a word rather than the brace behind it.
pub(crate) fn token_at(tokens: &[Token], offset: usize) -> Option<Token> {
    let behind = tokens.partition_point(|token| token.start() < offset);
    let before = behind.checked_sub(1).and_then(|at| tokens.get(at)).copied();
    let before = before.filter(|token| offset <= token.end() && token.kind != TokenKind::Newline);
    before.or_else(|| tokens.get(behind).copied().filter(|token| token.start() == offset))
}

/// Whether an offset is between the braces of a statement.
fn is_inside(parse: &Parse, statement: &Statement, offset: usize) -> bool {
    let Some(block) = &statement.block else { return false };
    let open = parse.tokens.get(block.open as usize).map_or(usize::MAX, |token| token.end());
    // A block without an end goes on to the next statement, or to the end of the file.
    let close = match block.close {
        Some(close) => parse.tokens.get(close as usize).map(|token| token.start()),
        None => parse.tokens.get(block.end as usize).map(|token| token.start()),
    };
    open <= offset && close.is_none_or(|close| offset <= close)
}

/// Whether an offset is in keyword and arguments, or behind them with nothing but spaces between.
fn is_in_head(parse: &Parse, text: &str, statement: &Statement, offset: usize) -> bool {
    let head = parse.tokens.get(statement.head()).unwrap_or_default();
    let (Some(first), Some(last)) = (head.first(), head.last()) else { return false };
    if offset < first.start() {
        return false;
    }
    let behind = text.get(last.end()..offset).unwrap_or_default();
    offset <= last.end() || behind.chars().all(|c| c == ' ' || c == '\t')
}
