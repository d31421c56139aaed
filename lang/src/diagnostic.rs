//! What is wrong, as plain data: made where a mistake is found, drawn by [`render`], kept in order by the driver.

pub mod codes;
pub mod fix;
pub mod render;
pub mod suggest;

use crate::span::Span;
pub use codes::Code;
pub use fix::{Edit, Fix};
use suggest::Meant;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// No plan is built.
    Error,
    /// A plan is built, but something is probably not what was meant.
    Warning,
}

/// A place and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A few words, lower case, no period; may be empty.
    pub text: String,
}

/// A request that proves a finding, in the two forms in which it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// What it shows, a few words: `request both match`.
    pub shows: String,
    /// A command for a POSIX shell that sends it; what no command can say (who asks, with which token) is a comment at its end.
    /// `None` for what is no HTTP request.
    pub curl: Option<String>,
    /// A line of a `test` that asks it, or a clause that says why none can.
    pub test: Result<String, String>,
}

impl Witness {
    /// As a person reads it: what it shows, then a line for each form.
    pub fn lines(&self) -> Vec<String> {
        let asks = match &self.test {
            Ok(line) => line.clone(),
            Err(why) => format!("(no `request` of a test asks it: {why})"),
        };
        let forms = self.curl.iter().cloned().chain([asks]);
        let forms = forms.map(|form| format!("  {form}"));
        std::iter::once(format!("{}:", self.shows)).chain(forms).collect()
    }
}

/// One mistake.
///
/// The message is a clause in lower case without a period, user text in backticks; a label says why this place; the
/// help is a sentence that says what to write instead; notes give the consequence, and a witness is a request that proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// How much it matters: the code's own severity unless a check knows better.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where: the first is the primary place, the others are related. Empty only where no file is involved.
    pub labels: Vec<Label>,
    /// Further facts, one line each: the consequence, where it is so.
    pub notes: Vec<String>,
    /// A request that proves it. Boxed, as fixes are.
    pub witness: Option<Box<Witness>>,
    /// What to do. Boxed, as it never grows.
    pub help: Option<Box<str>>,
    /// Edits that do it. Boxed: a diagnostic travels in results, and most have none.
    pub fixes: Box<[Fix]>,
}

impl Diagnostic {
    /// A diagnostic about no place in particular.
    pub fn new(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: code.severity(),
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            witness: None,
            help: None,
            fixes: Box::default(),
        }
    }

    /// Adds a place; the first one added is the primary one.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// Shows a request that proves it.
    #[must_use]
    pub fn proved_by(mut self, witness: Witness) -> Diagnostic {
        self.witness = Some(Box::new(witness));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into().into_boxed_str());
        self
    }

    /// Offers another text for `written`, which is or stands in the primary place. It is `certain` where nothing else can have
    /// been meant: then `mesh check --fix` writes it.
    #[must_use]
    pub fn instead(mut self, written: &str, text: impl Into<String>, certain: bool) -> Diagnostic {
        if let Some(span) = self.span() {
            let one_more = Fix::replace(span, written, text.into(), certain);
            self.fixes = self.fixes.into_iter().chain([one_more]).collect();
        }
        self
    }

    /// Asks whether another name was meant for `written`, which is or stands in the primary place.
    #[must_use]
    pub fn did_you_mean(self, written: &str, meant: Meant<'_>) -> Diagnostic {
        let help = format!("Did you mean `{}`?", meant.name);
        self.help(help).instead(written, meant.name, meant.certain)
    }

    /// Its fixes are offered and never applied: for places where a guess would let somebody in.
    #[must_use]
    pub fn offered(mut self) -> Diagnostic {
        self.fixes.iter_mut().for_each(|fix| fix.certain = false);
        self
    }

    /// Says how much it matters, where that differs from the code's own severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Diagnostic {
        self.severity = severity;
        self
    }

    /// The primary place.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }
}

/// The mistakes found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// None so far.
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    /// One more.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// All of another phase's.
    pub fn extend(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// Whether something forbids building a plan.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// In order of file and place, then code: the order in which they are shown.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| {
            (a.span(), a.code.as_str(), &a.message).cmp(&(b.span(), b.code.as_str(), &b.message))
        });
        self.list.dedup();
        self.list
    }

    /// As they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
