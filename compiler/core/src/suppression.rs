//! `# mesh: allow CODE "reason"`: a warning that its author has looked at and lets be, in one statement, and why.
//!
//! The remark stands directly above the statement, as a doc comment does. What it says takes effect or is refused: one that
//! cannot be read, or stands above nothing, is an error; one that silences nothing is a warning of its own.

use mesh_lang::diagnostic::suggest::meant;
use mesh_lang::parser::Parse;
use mesh_lang::token::{Token, TokenKind};
use mesh_lang::tree::Statement;
use mesh_lang::{Code, Diagnostic, Diagnostics, FileId, Severity, Span};

/// How it is written.
const FORM: &str = "# mesh: allow MESH4001 \"why it may stay\"";

/// A finding that is not said, because somebody looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// What was found.
    pub diagnostic: Diagnostic,
    /// Why it may stay, in its author's words.
    pub reason: String,
    /// The remark that says so.
    pub span: Span,
}

/// A remark that could be read.
#[derive(Clone, Debug)]
struct Suppression {
    code: Code,
    reason: String,
    span: Span,
    /// The statement below it, with its block.
    holds_for: Span,
}

/// The remarks of a project.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suppressions {
    list: Vec<Suppression>,
}

impl Suppressions {
    /// Those of a file. Time: linear in its tokens.
    pub(crate) fn of(file: FileId, text: &str, parse: &Parse, diagnostics: &mut Diagnostics) -> Suppressions {
        let mut list = Vec::new();
        let remarks = parse.tokens.iter().enumerate().filter(|(_, token)| token.kind.is_comment());
        let remarks: Vec<(usize, Span, &str)> = remarks
            .filter_map(|(at, token)| Some((at, token.span(file), directive(token.text(text))?)))
            .collect();
        if remarks.is_empty() {
            return Suppressions { list };
        }
        let mut above = Vec::new();
        heads(&parse.tree.statements, &parse.tokens, file, &mut above);
        for (at, span, said) in remarks {
            // Statements stand in the order of their tokens: the first that begins behind the remark is the one below it.
            let below = above.get(above.partition_point(|(_, first, _)| *first <= at));
            match (read(said, span), below.filter(|(from, _, _)| *from <= at)) {
                (Err(problem), _) => diagnostics.push(*problem),
                (Ok(_), None) => diagnostics.push(above_nothing(span)),
                (Ok((code, reason)), Some((_, _, holds_for))) => {
                    list.push(Suppression { code, reason, span, holds_for: *holds_for });
                }
            }
        }
        Suppressions { list }
    }

    /// Adds those of another file.
    pub(crate) fn extend(&mut self, more: Suppressions) {
        self.list.extend(more.list);
    }

    /// Takes the findings that are allowed out of all of them, and says which remarks silenced nothing. Where an error stands in
    /// the way not everything was looked for, so nothing is said of what was not found.
    pub(crate) fn apply(&self, found: Vec<Diagnostic>) -> (Vec<Diagnostic>, Vec<Suppressed>) {
        if self.list.is_empty() {
            return (found, Vec::new());
        }
        let (mut said, mut suppressed) = (Vec::with_capacity(found.len()), Vec::new());
        let mut used = vec![false; self.list.len()];
        for diagnostic in found {
            match self.list.iter().position(|suppression| suppression.is_about(&diagnostic)) {
                Some(index) => {
                    used[index] = true;
                    let Suppression { reason, span, .. } = &self.list[index];
                    suppressed.push(Suppressed { diagnostic, reason: reason.clone(), span: *span });
                }
                None => said.push(diagnostic),
            }
        }
        if !said.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            let unused = self.list.iter().zip(used).filter(|(_, used)| !used);
            said.extend(unused.map(|(suppression, _)| silences_nothing(suppression)));
        }
        (said, suppressed)
    }
}

impl Suppression {
    fn is_about(&self, diagnostic: &Diagnostic) -> bool {
        let inside = |place: Span| {
            let (file, start, end) = (self.holds_for.file(), self.holds_for.start(), self.holds_for.end());
            place.file() == file && start <= place.start() && place.end() <= end
        };
        diagnostic.severity == Severity::Warning
            && diagnostic.code == self.code
            && diagnostic.span().is_some_and(inside)
    }
}

/// Of each statement, the token where the comments directly above it begin, its own first token, and its place.
fn heads(statements: &[Statement], tokens: &[Token], file: FileId, found: &mut Vec<(usize, usize, Span)>) {
    for statement in statements {
        let first = statement.first as usize;
        let span = |at: usize| tokens.get(at).map(|token| token.span(file));
        if let (Some(start), Some(end)) = (span(first), span(statement.last().saturating_sub(1))) {
            found.push((comments_above(tokens, first), first, start.to(end)));
        }
        if let Some(block) = &statement.block {
            heads(&block.statements, tokens, file, found);
        }
    }
}

/// Goes back over the lines of comments above a statement, with no blank line between.
fn comments_above(tokens: &[Token], first: usize) -> usize {
    let (mut start, mut newlines) = (first, 0);
    for (at, token) in tokens.iter().enumerate().take(first).rev() {
        match token.kind {
            TokenKind::Newline if newlines == 0 => newlines = 1,
            kind if kind.is_comment() && newlines == 1 && begins_line(tokens, at) => {
                (start, newlines) = (at, 0)
            }
            _ => break,
        }
    }
    start
}

/// Whether nothing but spaces stands before a token in its line.
fn begins_line(tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    before.is_none_or(|token| matches!(token.kind, TokenKind::Newline | TokenKind::ByteOrderMark))
}

/// What stands behind `mesh:` in a comment that was meant for the compiler; any other is prose.
fn directive(comment: &str) -> Option<&str> {
    let said = comment.trim_start_matches('#').trim_start();
    let head = said.get(..4).filter(|head| head.eq_ignore_ascii_case("mesh"))?;
    let rest = said[head.len()..].trim_start().strip_prefix(':')?.trim();
    let word = rest.split_whitespace().next()?;
    meant(word, ["allow", "ignore", "disable"]).map(|_| rest)
}

/// The code and the reason.
fn read(said: &str, span: Span) -> Result<(Code, String), Box<Diagnostic>> {
    let problem = |message: String| Diagnostic::new(Code::InvalidSuppression, message).at(span, "");
    let form = || format!("Write `{FORM}` on a line of its own, directly above the statement.");
    let (verb, rest) = first_word(said);
    if verb != "allow" {
        return Err(Box::new(
            problem(format!("`{verb}` is not what a remark to the compiler says")).help(form()),
        ));
    }
    let (name, rest) = first_word(rest);
    if name.is_empty() || name.starts_with('"') {
        return Err(Box::new(problem("this remark does not say what to allow".into()).help(form())));
    }
    let Some(code) = Code::find(name) else {
        let names = Code::ALL.iter().flat_map(|code| [code.as_str(), code.name()]);
        let unknown = problem(format!("there is no finding `{name}`"));
        return Err(Box::new(match meant(name, names) {
            Some(near) => unknown.did_you_mean(name, near),
            None => unknown.help("`mesh explain --list` lists all of them."),
        }));
    };
    if code.severity() == Severity::Error {
        let what = format!("{}, {}, is an error and cannot be allowed", code.as_str(), code.name());
        return Err(Box::new(
            problem(what).help(format!("`mesh explain {}` says what to do about it.", code.as_str())),
        ));
    }
    let reason = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match reason.map(str::trim).filter(|reason| !reason.is_empty() && !reason.contains('"')) {
        Some(reason) => Ok((code, reason.to_owned())),
        None => Err(Box::new(
            problem("this remark gives no reason".into())
                .help(format!("Write `# mesh: allow {name} \"…\"` with the reason in double quotes.")),
        )),
    }
}

/// The text up to the first space, and what comes behind the spaces.
fn first_word(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

fn above_nothing(span: Span) -> Diagnostic {
    Diagnostic::new(Code::InvalidSuppression, "this remark stands above no statement")
        .at(span, "allows nothing")
        .help("Move it directly above the statement that it is about, without a blank line between.")
}

fn silences_nothing(suppression: &Suppression) -> Diagnostic {
    let code = suppression.code;
    let message = format!("nothing here is found to be {}", code.name());
    Diagnostic::new(Code::UnusedSuppression, message)
        .at(suppression.span, format!("allows {}", code.as_str()))
        .help("Delete the remark.")
}

#[cfg(test)]
mod tests {
    use crate::{StandIns, compile};
    use mesh_lang::{Code, Source, SourceSet};

    /// The codes that are said, and the reasons of those that are not.
    fn said(text: &str) -> (Vec<Code>, Vec<String>) {
        let compilation = compile(&SourceSet::single("a.mesh", text), &StandIns::new());
        let codes = compilation.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        (codes, compilation.suppressed.into_iter().map(|finding| finding.reason).collect())
    }

    const CART: &str = "service cart {\n  port 8080 http\n}\n";

    #[track_caller]
    fn suppressed(remark: &str, reason: &str) {
        assert_eq!(said(&format!("{remark}{CART}")), (vec![], vec![reason.to_owned()]), "{remark}");
    }

    #[track_caller]
    fn refused(text: &str, message: &str) {
        let compilation = compile(&SourceSet::single("a.mesh", text), &StandIns::new());
        let found: Vec<_> =
            compilation.diagnostics.iter().filter(|it| it.code == Code::InvalidSuppression).collect();
        assert!(found.len() == 1 && found[0].message.contains(message), "{:?}", compilation.diagnostics);
        assert!(compilation.plan.is_none(), "what is refused takes no effect: {text}");
    }

    #[test]
    fn a_remark_above_a_statement_silences_a_warning_inside_it() {
        assert_eq!(said(CART).0, [Code::NoAuthorize]);
        suppressed("# mesh: allow MESH4001 \"sized by platform, INC-42\"\n", "sized by platform, INC-42");
        suppressed("# mesh: allow no-authorize \"later\"\n", "later");
        suppressed("# mesh: allow no-authorize \"later\"\r\n", "later");
        suppressed("# another remark\n# mesh: allow no-authorize \"later\"\n## The cart.\n", "later");
        suppressed("#mesh:allow   no-authorize   \"later\"  \n# and more\n", "later");
    }

    #[test]
    fn a_remark_holds_for_the_statement_below_it_and_no_other() {
        let text =
            format!("# mesh: allow no-authorize \"later\"\n{CART}service web {{\n  port 80 http\n}}\n");
        assert_eq!(said(&text), (vec![Code::NoAuthorize], vec!["later".to_owned()]));
        let inside = "service cart {\n  # mesh: allow no-authorize \"later\"\n  port 8080 http\n}\n";
        assert_eq!(
            said(inside).0,
            [Code::NoAuthorize, Code::UnusedSuppression],
            "the warning is about the service"
        );
        // The same place of another file is another place.
        let remark = "# mesh: allow no-authorize \"later\"\n";
        let file = |path: &str, text: String| Source { path: path.into(), module: "".into(), text };
        let other = CART.replace("cart", "shop");
        let files = vec![
            file("a.mesh", format!("{remark}{CART}")),
            file("b.mesh", format!("{}{other}", "#".repeat(remark.len() - 1) + "\n")),
        ];
        let compilation = compile(&SourceSet::new(files), &StandIns::new());
        assert_eq!((compilation.diagnostics.len(), compilation.suppressed.len()), (1, 1));
    }

    #[test]
    fn a_remark_that_silences_nothing_is_said_unless_an_error_hides_what_it_is_about() {
        let text = format!("# mesh: allow retry-circle \"x\"\n{CART}authorize cart {{\n  deny\n}}\n");
        assert_eq!(said(&text).0, [Code::UnusedSuppression]);
        assert_eq!(said(&text.replace("deny", "deni")).0, [Code::UnknownStatement]);
        let another = format!("# mesh: allow retry-circle \"x\"\n{CART}");
        assert_eq!(
            said(&another).0,
            [Code::UnusedSuppression, Code::NoAuthorize],
            "what it names and nothing else"
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        refused(&format!("# mesh: allow MESH4001\n{CART}"), "no reason");
        refused(&format!("# mesh: allow MESH4001 later\n{CART}"), "no reason");
        refused(&format!("# mesh: allow MESH4001 \" \"\n{CART}"), "no reason");
        refused(&format!("# mesh: allow\n{CART}"), "what to allow");
        refused(&format!("# mesh: allow \"later\"\n{CART}"), "what to allow");
        refused(&format!("# mesh: alow MESH4001 \"later\"\n{CART}"), "`alow`");
        refused(&format!("# mesh: ignore MESH4001 \"later\"\n{CART}"), "`ignore`");
        refused(&format!("# mesh: allow MESH4999 \"later\"\n{CART}"), "no finding `MESH4999`");
        refused(&format!("# mesh: allow ambiguous-rules \"later\"\n{CART}"), "cannot be allowed");
    }

    #[test]
    fn a_remark_that_is_about_nothing_is_refused() {
        refused(&format!("# mesh: allow MESH4001 \"later\"\n\n{CART}"), "no statement");
        refused(&format!("{CART}# mesh: allow MESH4001 \"later\"\n"), "no statement");
        refused(
            &format!("module a {{\n  owner \"x\"\n}} # mesh: allow MESH4001 \"later\"\n{CART}"),
            "no statement",
        );
    }

    #[test]
    fn prose_about_the_mesh_is_prose() {
        assert_eq!(
            said(&format!("# mesh: the cart comes first\n# meshes: allow x\n# mesh\n{CART}")).0,
            [Code::NoAuthorize]
        );
    }
}
