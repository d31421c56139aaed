//! A project that is kept while it is edited: what does not depend on an edit is not done again.
//!
//! Three things are kept: what each file says, the model in which its names are looked up, and which partitions have something
//! to be said of them. An edit of one file reads that file, and looks up its names again where nothing has changed that other
//! files can see ([`visible`]); of the partitions only those are decided again that are about what the file speaks of, and
//! those of which something is said, for a witness may lead anywhere. What is about the whole mesh is asked again: that is
//! linear, and short.

mod decided;
mod dependents;
mod visible;

use crate::check::Hops;
use crate::day::Day;
use crate::resolve::{self, Again, Resolved};
use crate::{Reading, Suppressed, Survey, case, values};
use decided::Decided;
use expand::One;
use mesh_lang::statement::Statement;
use mesh_lang::{Diagnostic, Diagnostics, FileId, Severity, SourceSet, Span, expand};
use std::collections::BTreeSet;
use std::ops::Range;
use visible::Visible;

/// A project in one environment, on one day.
pub struct Workspace {
    sources: SourceSet,
    environment: Option<String>,
    today: Option<Day>,
    files: Vec<Kept>,
    /// What is wrong with the parameters and environments of all files.
    parameters: Diagnostics,
    resolved: Resolved,
    decided: Decided,
    edited: Edited,
    found: Vec<Diagnostic>,
    suppressed: Vec<Suppressed>,
    tests: Vec<case::Test>,
}

/// What is kept of a file.
struct Kept {
    reading: Reading,
    visible: Visible,
    /// As it is in the environment.
    here: One,
}

/// What holds for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InEffect {
    /// The name in `calls`, or the rule of a gateway.
    pub at: Span,
    /// `reviews.default`
    pub to: String,
    /// Milliseconds.
    pub timeout: Option<u32>,
    /// Where it is written.
    pub timeout_at: Option<Span>,
    /// How many tries one call may become.
    pub tries: u64,
    /// Where it is written how often is tried again.
    pub retry_at: Option<Span>,
}

/// How much an edit took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The names of so many files were looked up again.
    Files(usize),
    /// Something has changed that other files can see: all names were looked up again.
    Everything,
}

impl Workspace {
    /// Reads a project for the first time. Time: that of a check.
    pub fn new(sources: SourceSet, environment: Option<&str>, today: Option<Day>) -> Workspace {
        let read = sources.iter().map(|(id, source)| {
            let (reading, visible) = read(id, &source.text);
            Kept { reading, visible, here: One::default() }
        });
        let files: Vec<Kept> = read.collect();
        let mut workspace = Workspace {
            sources,
            environment: environment.map(str::to_owned),
            today,
            files,
            parameters: Diagnostics::new(),
            resolved: Resolved::default(),
            decided: Decided::default(),
            edited: Edited::Everything,
            found: Vec::new(),
            suppressed: Vec::new(),
            tests: Vec::new(),
        };
        workspace.expand(0..workspace.files.len());
        workspace.look_up_everything();
        workspace.say();
        workspace
    }

    /// Puts another text in the place of a file's. Afterwards there is to say what a check of all the files says.
    ///
    /// Time: of an edit that other files cannot see, linear in the files that speak of the same services and gateways, and, with a
    /// small factor, in the services and calls of the project; of another edit that of looking up all names.
    pub fn edit(&mut self, file: FileId, text: &str) {
        if !self.sources.replace(file, text) {
            return;
        }
        let Some(kept) = self.files.get_mut(file.0 as usize) else { return };
        let (reading, visible) = read(file, text);
        let before = std::mem::replace(kept, Kept { reading, visible, here: One::default() });
        let at = file.0 as usize;
        match before.visible.same_settings(&self.files[at].visible) {
            true => self.expand(at..at + 1),
            false => self.expand(0..self.files.len()),
        }
        match self.look_up_again(file, &before) {
            Some(Again { files, before }) => {
                self.edited = Edited::Files(files);
                self.decided.forget(&before, &self.resolved.model);
            }
            None => self.look_up_everything(),
        }
        self.say();
    }

    /// The files as they are now.
    pub fn sources(&self) -> &SourceSet {
        &self.sources
    }

    /// How much the last edit took.
    pub fn edited(&self) -> Edited {
        self.edited
    }

    /// Everything to say, in order of place.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Warnings that are not said, because a remark allows them.
    pub fn suppressed(&self) -> &[Suppressed] {
        &self.suppressed
    }

    /// The `test` statements, with what was proved of their `every` and `some` lines. Empty where there is an error.
    pub fn tests(&self) -> &[case::Test] {
        &self.tests
    }

    /// The environment it is looked at in.
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// What a file says in all environments: `env` blocks and parameters stand as they are written.
    pub fn statements(&self, file: FileId) -> &[Statement] {
        self.files.get(file.0 as usize).map_or(&[], |kept| &kept.reading.statements)
    }

    /// What these statements of `reviews.shop` are, and the lines that say so, as far as these files write them: of each for which there
    /// is a line. Time: linear in these files, and with a small factor in how many there are in all.
    pub fn values(&self, target: &str, keywords: &[&str], files: &BTreeSet<FileId>) -> Vec<values::Value> {
        let written = self.written(files);
        let asked = keywords.iter().filter_map(|keyword| written.value(&format!("{target}.{keyword}")).ok());
        asked.filter(|value| !value.lines.is_empty() || !value.nearer.is_empty()).collect()
    }

    /// What can be asked of the project as it is. What is cited with its statement is cited of these files alone.
    pub fn survey(&self, files: &BTreeSet<FileId>) -> Survey<'_> {
        Survey::of(&self.resolved.model, self.written(files))
    }

    /// What holds for the calls that a file declares, and for the rules of gateways in it. Nothing where there is an error. Time: linear
    /// in all calls.
    pub fn calls_in(&self, file: FileId) -> Vec<InEffect> {
        let hops = self.decided.hops().filter(|_| !has_errors(&self.found));
        let own = hops.into_iter().flat_map(Hops::iter).filter(|hop| hop.in_effect().0.file() == file);
        let said = own.map(|hop| {
            let (at, timeout, written) = hop.in_effect();
            let to = self.resolved.model[hop.to].full_name();
            InEffect {
                at,
                to,
                timeout,
                timeout_at: written.timeout,
                tries: hop.tries(),
                retry_at: written.retry,
            }
        });
        said.collect()
    }

    fn written(&self, files: &BTreeSet<FileId>) -> values::Written<'_> {
        let wanted = |index: usize| files.contains(&FileId(index as u32));
        let all = said(&self.sources, &self.files);
        let (files, parameters) = expand::statements_of(&all, wanted, self.environment.as_deref());
        values::Written { sources: &self.sources, files, parameters }
    }

    /// Some files as they are in the environment.
    fn expand(&mut self, files: Range<usize>) {
        let all = said(&self.sources, &self.files);
        let (expanded, found) = expand::some(&all, files.clone(), self.environment.as_deref());
        drop(all);
        for (kept, here) in self.files[files].iter_mut().zip(expanded) {
            kept.here = here;
        }
        self.parameters = found;
    }

    fn when(&self) -> resolve::When<'_> {
        resolve::When { environment: self.environment.as_deref(), today: self.today }
    }

    fn look_up_everything(&mut self) {
        self.edited = Edited::Everything;
        let mut resolved = Resolved::new(&modules(&self.sources, &self.files), self.when());
        resolve::lines_in_order_of_text(&mut resolved.model);
        self.decided = Decided::nothing(&resolved.model);
        self.resolved = resolved;
    }

    /// Looks up the names of one file, if nothing has changed that others can see.
    fn look_up_again(&mut self, file: FileId, before: &Kept) -> Option<Again> {
        let now = self.files.get(file.0 as usize)?;
        if before.visible != now.visible {
            return None;
        }
        // Not by `when`: what is looked up is changed.
        let when = resolve::When { environment: self.environment.as_deref(), today: self.today };
        self.resolved.again(&modules(&self.sources, &self.files), file, when)
    }

    /// Puts together all that there is to say.
    fn say(&mut self) {
        let mut diagnostics = Diagnostics::new();
        for kept in &self.files {
            let found = kept.reading.diagnostics.iter().chain(kept.here.diagnostics.iter());
            found.for_each(|found| diagnostics.push(found.clone()));
        }
        self.parameters.iter().for_each(|found| diagnostics.push(found.clone()));
        let is_echo = |found: &Diagnostic| {
            self.files.iter().any(|kept| kept.reading.wounds.explain(found, &self.sources))
        };
        let heard = self.resolved.mistakes.iter().filter(|found| !is_echo(found));
        heard.for_each(|found| diagnostics.push(found.clone()));
        self.tests = match diagnostics.has_errors() {
            true => Vec::new(),
            false => self.decided.judge(&self.resolved, &mut diagnostics),
        };
        let mut suppressions = crate::Suppressions::default();
        for kept in &self.files {
            suppressions.extend(kept.reading.suppressions.clone());
        }
        (self.found, self.suppressed) = suppressions.apply(diagnostics.sorted());
        self.found.sort_by_key(Diagnostic::span);
    }
}

fn has_errors(found: &[Diagnostic]) -> bool {
    found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

fn read(file: FileId, text: &str) -> (Reading, Visible) {
    let parse = mesh_lang::parse(file, text);
    let visible = Visible::of(text, &parse);
    (Reading::of(file, text, parse), visible)
}

fn said<'a>(sources: &'a SourceSet, files: &'a [Kept]) -> Vec<expand::Source<'a>> {
    let both = sources.iter().zip(files);
    let said = both.map(|((_, source), kept)| expand::Source {
        module: &source.module,
        said: expand::Said::Statements(kept.reading.statements.as_slice().into()),
    });
    said.collect()
}

fn modules<'a>(sources: &'a SourceSet, files: &'a [Kept]) -> Vec<resolve::Module<'a>> {
    let both = sources.iter().zip(files);
    let all = both.map(|((id, source), kept)| resolve::Module {
        directory: &source.module,
        id,
        file: &kept.here.file,
    });
    all.collect()
}
