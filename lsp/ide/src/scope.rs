//! What a name means: the namespaces, imports and parameters of directories (`spec/semantics.md` 7 and 8).

use crate::names::{Named, Part, ToDirectory};
use mesh_lang::ast::Shared;
use mesh_lang::statement::Waiting;
use mesh_lang::{FileId, Span, Text};
use std::collections::BTreeMap;

/// The namespace of a module that does not name one.
const DEFAULT_NAMESPACE: &str = "default";

/// Something that has a name, wherever it is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Symbol {
    /// A service or gateway, by name and namespace.
    Target(Text, Text),
    /// What belongs to a service or gateway.
    Part(Part, Box<(Text, Text)>, Text),
    /// A profile, a group and the like of a directory.
    Shared(Text, Text),
    Module(Text),
    Namespace(Text),
    /// Of a directory.
    Param(Text, Text),
    Environment(Text),
    Cluster(Text),
}

/// What is known of the directories.
#[derive(Default)]
pub(crate) struct Scope {
    directories: BTreeMap<Text, Directory>,
    /// Module names and their directories.
    modules: BTreeMap<Text, Text>,
}

#[derive(Default)]
struct Directory {
    namespace: Option<Text>,
    imports: BTreeMap<Text, Text>,
    shared: BTreeMap<Text, Shared>,
    params: BTreeMap<Text, (&'static str, Waiting)>,
}

impl Scope {
    /// Puts together what the files say, each with its directory. Time: linear in what they say to their directories.
    pub(crate) fn of<'a>(files: impl Iterator<Item = (&'a str, &'a ToDirectory)>) -> Scope {
        let mut scope = Scope::default();
        for (name, said) in files {
            let directory = scope.directories.entry(name.into()).or_default();
            if let Some(module) = &said.module {
                scope.modules.entry(module.clone()).or_insert_with(|| name.into());
                directory.namespace = said.namespace.clone().or(directory.namespace.take());
            }
            directory.imports.extend(said.imports.iter().cloned());
            directory.shared.extend(said.shared.iter().cloned());
            for (param, kind, text, token) in &said.params {
                // Its place is that of whoever reads it.
                let span = Span::new(FileId(0), 0, 0);
                let value = Waiting { kind: *token, text: text.as_str().into(), span };
                directory.params.insert(param.clone(), (*kind, value));
            }
        }
        scope
    }

    pub(crate) fn namespace(&self, directory: &str) -> &str {
        let known = self.directories.get(directory).and_then(|known| known.namespace.as_deref());
        known.unwrap_or(DEFAULT_NAMESPACE)
    }

    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.directories.keys().map(|directory| self.namespace(directory))
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(Text::as_str)
    }

    pub(crate) fn directory_of(&self, module: &str) -> Option<&str> {
        self.modules.get(module).map(Text::as_str)
    }

    /// The value by which a parameter of a directory is read.
    pub(crate) fn param(&self, directory: &str, name: &str) -> Option<Waiting> {
        self.directories.get(directory)?.params.get(name).map(|(_, value)| value.clone())
    }

    /// The parameters of a directory: name, type and value.
    pub(crate) fn params(&self, directory: &str) -> impl Iterator<Item = (&str, &'static str, &str)> {
        let known = self.directories.get(directory).into_iter().flat_map(|known| &known.params);
        known.map(|(name, (kind, value))| (name.as_str(), *kind, &*value.text))
    }

    /// What a directory calls by a name of its own, or imports: name, kind where it is known, and the directory it is of.
    pub(crate) fn shared<'s>(
        &'s self,
        directory: &'s str,
    ) -> impl Iterator<Item = (&'s str, Option<Shared>, &'s str)> {
        let known = self.directories.get(directory);
        let own = known.into_iter().flat_map(|known| &known.shared);
        let own = own.map(move |(name, kind)| (name.as_str(), Some(*kind), directory));
        let imported = known.into_iter().flat_map(|known| &known.imports);
        let imported = imported.filter_map(|(name, module)| {
            let home = self.directory_of(module)?;
            let kind = self.directories.get(home).and_then(|known| known.shared.get(name)).copied();
            Some((name.as_str(), kind, home))
        });
        own.chain(imported)
    }

    /// What a name in a directory means.
    pub(crate) fn resolve(&self, named: &Named, directory: &str) -> Symbol {
        match named {
            Named::Target(name) => self.target(name, directory),
            Named::Either(name) => match self.find_shared(name, directory) {
                Some(symbol) if !name.contains('.') => symbol,
                _ => self.target(name, directory),
            },
            Named::Shared(name) => self
                .find_shared(name, directory)
                .unwrap_or_else(|| Symbol::Shared(directory.into(), name.clone())),
            Named::SharedOf { module, name } => {
                let home = self.directory_of(module).unwrap_or(module);
                Symbol::Shared(home.into(), name.clone())
            }
            Named::Part { kind, of, name } => {
                Symbol::Part(*kind, Box::new(self.full_name(of, directory)), name.clone())
            }
            Named::Module(name) => Symbol::Module(name.clone()),
            Named::Namespace(name) => Symbol::Namespace(name.clone()),
            Named::Param(name) => Symbol::Param(directory.into(), name.clone()),
            Named::Environment(name) => Symbol::Environment(name.clone()),
            Named::Cluster(name) => Symbol::Cluster(name.clone()),
        }
    }

    fn find_shared(&self, name: &Text, directory: &str) -> Option<Symbol> {
        let known = self.directories.get(directory)?;
        if known.shared.contains_key(name) {
            return Some(Symbol::Shared(directory.into(), name.clone()));
        }
        let home = known.imports.get(name).and_then(|module| self.directory_of(module))?;
        Some(Symbol::Shared(home.into(), name.clone()))
    }

    fn target(&self, written: &Text, directory: &str) -> Symbol {
        let (name, namespace) = self.full_name(written, directory);
        Symbol::Target(name, namespace)
    }

    /// Name and namespace of what is written as `name` or `name.namespace`.
    pub(crate) fn full_name(&self, written: &str, directory: &str) -> (Text, Text) {
        match written.split_once('.') {
            Some((name, namespace)) => (name.into(), namespace.into()),
            None => (written.into(), self.namespace(directory).into()),
        }
    }
}

impl Symbol {
    /// The name alone.
    pub(crate) fn name(&self) -> &Text {
        match self {
            Symbol::Target(name, _)
            | Symbol::Part(_, _, name)
            | Symbol::Shared(_, name)
            | Symbol::Module(name)
            | Symbol::Namespace(name)
            | Symbol::Param(_, name)
            | Symbol::Environment(name)
            | Symbol::Cluster(name) => name,
        }
    }
}

impl Named {
    /// The name alone, as it stands in its place.
    pub(crate) fn text(&self) -> &str {
        match self {
            Named::Target(name) | Named::Either(name) => name.split('.').next().unwrap_or_default(),
            Named::SharedOf { name, .. } | Named::Part { name, .. } => name,
            Named::Shared(name)
            | Named::Module(name)
            | Named::Namespace(name)
            | Named::Param(name)
            | Named::Environment(name)
            | Named::Cluster(name) => name,
        }
    }
}
