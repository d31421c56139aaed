//! Another name for something, wherever it is named.

use crate::scope::Symbol;
use crate::{Analysis, At};
use mesh_lang::diagnostic::{Edit, Severity};
use mesh_lang::token::TokenKind;
use mesh_lang::{FileId, Span, parser};

impl Analysis {
    /// The name at a place that can be another, or why it cannot.
    pub fn rename_target(&self, at: At) -> Result<Span, String> {
        let Some((symbol, span)) = self.symbol_at(at) else {
            return Err("nothing here has a name of its own".to_owned());
        };
        match self.declarations(&symbol).next() {
            Some(_) => Ok(span),
            None => Err(format!("`{}` is not declared in this project", symbol.name())),
        }
    }

    /// The edits that call what is named at a place by another name in every module, or why there are none.
    ///
    /// Time: linear in the names of the project.
    pub fn rename(&self, at: At, name: &str) -> Result<Vec<Edit>, String> {
        self.rename_target(at)?;
        let Some((symbol, _)) = self.symbol_at(at) else { return Err("nothing here has a name".to_owned()) };
        let is_title = matches!(symbol, Symbol::Module(_));
        let fits = match is_title {
            true => name.split('/').all(parser::is_name),
            false => parser::is_name(name),
        };
        if !fits {
            return Err(format!(
                "`{name}` cannot be a name: lower-case letters, digits and `-`, beginning with a letter, and no word of the language"
            ));
        }
        let other = symbol.renamed(name);
        if other == symbol {
            return Ok(vec![]);
        }
        if let Some(span) = self.declarations(&other).next() {
            return Err(format!("`{name}` is taken: {}", self.place(span)));
        }
        if let Some(span) = self.unread(symbol.name()) {
            return Err(format!(
                "{} names `{}` in what cannot be read: mend it first",
                self.place(span),
                symbol.name()
            ));
        }
        let places: Vec<Span> = self.occurrences(&symbol).map(|one| one.span).collect();
        let edit = |span| Edit { span, written: symbol.name().to_string(), text: name.to_owned() };
        Ok(places.into_iter().map(edit).collect())
    }

    /// A place where a name stands in a statement that could not be read: nobody knows what it names there.
    fn unread(&self, name: &str) -> Option<Span> {
        let unreadable: Vec<FileId> = self
            .diagnostics()
            .into_iter()
            .filter(|found| found.severity == Severity::Error && found.code.as_str() < "MESH2")
            .filter_map(|found| found.span())
            .map(Span::file)
            .collect();
        for file in unreadable {
            let parse = self.parse(file);
            let text = self.text(file);
            let names = self.names(file);
            let words = parse.tokens.iter().filter(|token| token.kind == TokenKind::Word);
            let mut same =
                words.filter(|token| token.text(text).split(['.', ':']).any(|label| label == name));
            let known = |span: Span| {
                let at = names.partition_point(|one| one.span.start() < span.start());
                names[at..].first().is_some_and(|one| one.span.start() < span.end())
            };
            if let Some(token) = same.find(|token| !known(token.span(file))) {
                return Some(token.span(file));
            }
        }
        None
    }
}

impl Symbol {
    /// What would be called by another name in the same place.
    fn renamed(&self, name: &str) -> Symbol {
        match self {
            Symbol::Target(_, namespace) => Symbol::Target(name.into(), namespace.clone()),
            Symbol::Part(kind, of, _) => Symbol::Part(*kind, of.clone(), name.into()),
            Symbol::Shared(directory, _) => Symbol::Shared(directory.clone(), name.into()),
            Symbol::Module(_) => Symbol::Module(name.into()),
            Symbol::Namespace(_) => Symbol::Namespace(name.into()),
            Symbol::Param(directory, _) => Symbol::Param(directory.clone(), name.into()),
            Symbol::Environment(_) => Symbol::Environment(name.into()),
            Symbol::Cluster(_) => Symbol::Cluster(name.into()),
        }
    }
}
