//! What can be asked of a project that compiles: why a request ends as it does, who may call whom, and how it all hangs
//! together. Plain data for whoever shows it.
//!
//! Read [`Survey`], then `find` (names as a person says them), `spelling` (sets of requests as the language writes them), [`why`],
//! [`who`] and [`graph`].

mod find;
pub mod graph;
mod spelling;
mod ways;
pub mod who;
pub mod why;

use crate::model::{AccessLine, Model, Wording};
use crate::partition::Owner;
use crate::resolve;
use crate::values::{Block, Unknown, Written};
use crate::{Project, Read, owners};
use mesh_lang::statement::{Args, Statement};
use mesh_lang::{SourceSet, Span};

/// A project in one environment, ready to be asked. It means something where the project compiles.
pub struct Survey<'a> {
    model: Held<'a>,
    /// Of each partition of the plan, in its order.
    owners: Vec<Owner>,
    written: Written<'a>,
}

/// The model that is asked: made for the questions, or lent by a project that is kept.
enum Held<'a> {
    Own(Box<Model>),
    Lent(&'a Model),
}

impl std::ops::Deref for Held<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        match self {
            Held::Own(model) => model,
            Held::Lent(model) => model,
        }
    }
}

/// A place in the sources and what stands there, on one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cited {
    pub text: String,
    pub span: Span,
}

impl<'a> Project<'a> {
    /// What can be asked of it as it is in an environment.
    pub fn survey(&self, environment: Option<&str>) -> Survey<'_> {
        let Read { mut model, .. } = self.read(environment, None);
        resolve::lines_in_order_of_text(&mut model);
        let written = self.written(environment);
        Survey { owners: owners(&model).collect(), model: Held::Own(Box::new(model)), written }
    }
}

impl<'a> Survey<'a> {
    /// What can be asked of a model in which lines are in the order of the text.
    pub(crate) fn of(model: &'a Model, written: Written<'a>) -> Survey<'a> {
        Survey { owners: owners(model).collect(), model: Held::Lent(model), written }
    }
}

impl Survey<'_> {
    fn sources(&self) -> &SourceSet {
        self.written.sources
    }

    /// The source on one line.
    fn plain(&self, span: Span) -> String {
        self.sources().text(span).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn cited(&self, span: Span) -> Cited {
        Cited { text: self.plain(span), span }
    }
}

/// The statement of this place inside one of the blocks, with the block.
fn inner<'b>(blocks: &'b [Block<'b>], at: Span) -> Option<(Block<'b>, &'b Statement)> {
    let around = |whole: Span, part: Span| {
        whole.file() == part.file() && whole.start() <= part.start() && part.end() <= whole.end()
    };
    let found = blocks.iter().find_map(|block| {
        let own = block.statement.block.iter().find(|line| around(line.span, at));
        own.map(|own| (*block, own))
    });
    found.filter(|(_, statement)| !matches!(statement.args, Args::Test(_)))
}

/// A line of an authorization without its target.
fn said(line: &AccessLine) -> String {
    match &line.text {
        Wording::Authorize { line, .. } => line.to_string(),
        Wording::Said(text) => text.to_string(),
    }
}
