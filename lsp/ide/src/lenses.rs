//! What can be asked of a line, shown above it: run this test, who may call this service.

use crate::Analysis;
use crate::callers::Party;
use crate::names::name_of;
use mesh_lang::statement::Args;
use mesh_lang::{FileId, Span};

/// A question that an editor shows above a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lens {
    /// The head of the statement.
    pub span: Span,
    pub asks: LensKind,
}

/// What it asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LensKind {
    /// Run the test of this name.
    Test(String),
    /// Who may call this service? The answer is looked for when it is shown: [`Analysis::callers_in_words`].
    Callers(Party),
}

impl Analysis {
    /// The questions of a file, in order of place.
    pub fn lenses(&self, file: FileId) -> Vec<Lens> {
        let lenses = self.statements(file).iter().filter_map(|statement| {
            let asks = match (&statement.args, statement.keyword()) {
                (Args::Test(test), _) => LensKind::Test(test.0.value.to_string()),
                (_, "service") => {
                    let name = name_of(&statement.args)?;
                    let at = crate::At { file, offset: name.span.start() };
                    LensKind::Callers(self.party(at).filter(|party| party.focus == name.span)?)
                }
                _ => return None,
            };
            Some(Lens { span: statement.span, asks })
        });
        lenses.collect()
    }

    /// Who may call a service, in a few words.
    pub fn callers_in_words(&self, party: &Party) -> String {
        match self.callers(party).as_slice() {
            [] => "nobody may call this".to_owned(),
            [one] => format!("{} may call this", one.party.name),
            all => format!("{} may call this", all.len()),
        }
    }
}
