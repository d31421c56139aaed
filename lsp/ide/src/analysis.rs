//! A project that an editor has open: what every question is asked of.

use crate::names::{self, Named, Occurrence, ToDirectory};
use crate::scope::{Scope, Symbol};
use mesh_compiler::{Day, Workspace};
use mesh_lang::parser::Parse;
use mesh_lang::statement::{Args, Statement};
use mesh_lang::{FileId, SourceSet, Span, Text};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many files are kept as tokens and trees: those that an editor asks of again and again.
const MAX_PARSES: usize = 8;

/// A place in a file: a byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub file: FileId,
    /// At most the length of the file's text, on a `char` boundary.
    pub offset: u32,
}

/// A project while it is edited.
pub struct Analysis {
    /// One for each environment, or one alone where the project names none; never empty.
    pub(crate) workspaces: Vec<Workspace>,
    today: Option<Day>,
    files: Vec<Index>,
    pub(crate) scope: Scope,
    parses: RefCell<Vec<(FileId, Arc<Parse>)>>,
}

/// What is known of the names of a file.
struct Index {
    occurrences: Vec<Occurrence>,
    to_directory: ToDirectory,
    /// The services and gateways it names, without namespace, in order.
    mentions: Vec<Text>,
}

impl Analysis {
    /// Reads a project for the first time. Time: that of a check, for each environment.
    pub fn new(sources: SourceSet, today: Option<Day>) -> Analysis {
        let workspaces = match environments_of(&sources).as_slice() {
            [] => vec![Workspace::new(sources, None, today)],
            names => names.iter().map(|name| Workspace::new(sources.clone(), Some(name), today)).collect(),
        };
        let mut analysis = Analysis {
            workspaces,
            today,
            files: Vec::new(),
            scope: Scope::default(),
            parses: RefCell::default(),
        };
        let said: Vec<ToDirectory> =
            analysis.ids().map(|file| names::to_directory(analysis.statements(file))).collect();
        analysis.scope = scope(analysis.sources(), said.iter());
        let both = analysis.ids().zip(said).collect::<Vec<_>>();
        analysis.files =
            both.into_iter().map(|(file, to_directory)| analysis.index(file, to_directory)).collect();
        analysis
    }

    /// Puts another text in the place of a file's. Time: that of [`Workspace::edit`], for each environment, and linear in the file;
    /// where the file says something else to its directory, in what all files say to theirs.
    pub fn edit(&mut self, file: FileId, text: &str) {
        if self.sources().get(file).is_none_or(|source| source.text == text) {
            return;
        }
        self.parses.borrow_mut().retain(|(known, _)| *known != file);
        self.workspaces.iter_mut().for_each(|workspace| workspace.edit(file, text));
        let now: Vec<String> = environments(&self.workspaces[0]);
        let known: Vec<String> =
            self.workspaces.iter().filter_map(|each| each.environment().map(str::to_owned)).collect();
        if now != known {
            *self = Analysis::new(self.sources().clone(), self.today);
            return;
        }
        let to_directory = names::to_directory(self.statements(file));
        let at = file.0 as usize;
        let before = self.files.get(at).map(|index| index.to_directory.clone());
        if before.as_ref() == Some(&to_directory) {
            return self.index_again(file);
        }
        if let Some(index) = self.files.get_mut(at) {
            index.to_directory = to_directory;
        }
        self.scope = scope(self.sources(), self.files.iter().map(|index| &index.to_directory));
        // Arguments that wait for parameters are read with their values.
        let directory = self.directory(file).to_owned();
        let same: Vec<FileId> = self.ids().filter(|other| self.directory(*other) == directory).collect();
        same.into_iter().for_each(|other| self.index_again(other));
    }

    fn index_again(&mut self, file: FileId) {
        let at = file.0 as usize;
        let Some(known) = self.files.get_mut(at) else { return };
        let to_directory = std::mem::take(&mut known.to_directory);
        let index = self.index(file, to_directory);
        if let Some(known) = self.files.get_mut(at) {
            *known = index;
        }
    }

    /// The files as they are now.
    pub fn sources(&self) -> &SourceSet {
        self.workspaces[0].sources()
    }

    /// The environments that the project names, in the order written.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.workspaces.iter().filter_map(Workspace::environment)
    }

    /// The text of a file; empty if there is no such file.
    pub fn text(&self, file: FileId) -> &str {
        self.sources().get(file).map_or("", |source| source.text.as_str())
    }

    pub(crate) fn directory(&self, file: FileId) -> &str {
        self.sources().get(file).map_or("", |source| source.module.as_str())
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = FileId> + use<> {
        (0..self.sources().len() as u32).map(FileId)
    }

    /// What a file says in all environments.
    pub(crate) fn statements(&self, file: FileId) -> &[Statement] {
        self.workspaces[0].statements(file)
    }

    /// Tokens and tree of a file.
    pub(crate) fn parse(&self, file: FileId) -> Arc<Parse> {
        let mut parses = self.parses.borrow_mut();
        if let Some((_, parse)) = parses.iter().find(|(known, _)| *known == file) {
            return parse.clone();
        }
        let parse = Arc::new(mesh_lang::parse(file, self.text(file)));
        parses.insert(0, (file, parse.clone()));
        parses.truncate(MAX_PARSES);
        parse
    }

    /// The names of a file, in order of place.
    pub(crate) fn names(&self, file: FileId) -> &[Occurrence] {
        self.files.get(file.0 as usize).map_or(&[], |index| &index.occurrences)
    }

    /// The name at a place, or that ends there.
    pub(crate) fn name_at(&self, at: At) -> Option<&Occurrence> {
        let names = self.names(at.file);
        let behind = names.partition_point(|one| one.span.start() <= at.offset);
        names[..behind].last().filter(|one| at.offset <= one.span.end())
    }

    pub(crate) fn symbol(&self, name: &Occurrence) -> Symbol {
        self.scope.resolve(&name.named, self.directory(name.span.file()))
    }

    pub(crate) fn symbol_at(&self, at: At) -> Option<(Symbol, Span)> {
        self.name_at(at).map(|name| (self.symbol(name), name.span))
    }

    /// All places in which something is named, in order. Time: linear in the names of the project.
    pub(crate) fn occurrences<'a>(&'a self, symbol: &'a Symbol) -> impl Iterator<Item = &'a Occurrence> {
        self.ids()
            .flat_map(|file| self.names(file))
            .filter(move |one| one.named.text() == symbol.name() && self.symbol(one) == *symbol)
    }

    /// Where something gets its name.
    pub(crate) fn declarations<'a>(&'a self, symbol: &'a Symbol) -> impl Iterator<Item = Span> + 'a {
        let files = self.ids().filter(move |file| self.may_name(*file, symbol));
        let names = files.flat_map(|file| self.names(file)).filter(|one| one.declares);
        names
            .filter(move |one| one.named.text() == symbol.name() && self.symbol(one) == *symbol)
            .map(|one| one.span)
    }

    /// The files that name a service or gateway.
    pub(crate) fn files_that_name(&self, target: &Symbol) -> impl Iterator<Item = FileId> {
        self.ids().filter(move |file| self.may_name(*file, target))
    }

    /// Whether a file can name something, at a glance.
    fn may_name(&self, file: FileId, symbol: &Symbol) -> bool {
        let target = match symbol {
            Symbol::Target(name, _) => name,
            Symbol::Part(_, of, _) => &of.0,
            _ => return true,
        };
        self.files.get(file.0 as usize).is_some_and(|index| index.mentions.binary_search(target).is_ok())
    }

    /// The services and gateways that are declared: name, namespace, and where.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&Text, &str, Span, bool)> {
        self.ids().flat_map(move |file| {
            let namespace = self.scope.namespace(self.directory(file));
            self.statements(file).iter().filter_map(move |statement| {
                let is_gateway = statement.keyword() == "gateway";
                match &statement.args {
                    Args::Name(name) if is_gateway || statement.keyword() == "service" => {
                        Some((&name.value, namespace, name.span, is_gateway))
                    }
                    _ => None,
                }
            })
        })
    }

    /// The files that write something about a service or gateway, and what they need to be read: what a value of it is made of.
    pub(crate) fn files_about(&self, target: &Symbol) -> BTreeSet<FileId> {
        let about: Vec<FileId> = self.ids().filter(|file| self.may_name(*file, target)).collect();
        let directories: BTreeSet<&str> = about.iter().map(|file| self.directory(*file)).collect();
        let mut homes = directories.clone();
        for directory in &directories {
            homes.extend(self.scope.shared(directory).map(|(_, _, home)| home));
        }
        let needed = self.ids().filter(|file| {
            let said = &self.files[file.0 as usize].to_directory;
            let says = said.module.is_some() || !said.imports.is_empty() || !said.shared.is_empty();
            said.is_mesh || (says && homes.contains(self.directory(*file)))
        });
        about.iter().copied().chain(needed).collect()
    }

    fn index(&self, file: FileId, to_directory: ToDirectory) -> Index {
        let directory = self.directory(file);
        let param = |name: &str| self.scope.param(directory, name);
        let occurrences = names::names(self.statements(file), &param);
        let mut mentions: Vec<Text> = Vec::new();
        for one in &occurrences {
            match &one.named {
                Named::Target(_) | Named::Either(_) => mentions.push(one.named.text().into()),
                Named::Part { of, .. } => mentions.push(of.split('.').next().unwrap_or_default().into()),
                _ => {}
            }
        }
        mentions.sort();
        mentions.dedup();
        mentions.shrink_to_fit();
        Index { occurrences, to_directory, mentions }
    }
}

fn scope<'a>(sources: &'a SourceSet, said: impl Iterator<Item = &'a ToDirectory>) -> Scope {
    Scope::of(sources.iter().map(|(_, source)| source.module.as_str()).zip(said))
}

/// The environments that a project names.
fn environments(workspace: &Workspace) -> Vec<String> {
    let files = (0..workspace.sources().len() as u32).map(FileId);
    named_environments(files.flat_map(|file| workspace.statements(file)))
}

/// The same, of files that nobody has read yet: those alone are read that can name some.
fn environments_of(sources: &SourceSet) -> Vec<String> {
    let naming = sources.iter().filter(|(_, source)| source.text.contains("environments"));
    naming
        .flat_map(|(id, source)| named_environments(mesh_lang::parse(id, &source.text).statements.iter()))
        .collect()
}

fn named_environments<'a>(statements: impl Iterator<Item = &'a Statement>) -> Vec<String> {
    let meshes = statements.filter(|one| one.keyword() == "mesh");
    let lines = meshes.flat_map(|mesh| &mesh.block).filter(|line| line.keyword() == "environments");
    let names = lines.filter_map(|line| match &line.args {
        Args::Names(names) => Some(names),
        _ => None,
    });
    names.flatten().map(|name| name.value.to_string()).collect()
}
