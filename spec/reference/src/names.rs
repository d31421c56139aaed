//! Rules 7.5 to 7.8 and 8.1: modules, and the names that they share.

use crate::settings::Settings;
use mesh_lang::ast::{self, Item};
use std::collections::BTreeMap;

/// All modules, by directory.
#[derive(Default)]
pub(crate) struct Names<'a> {
    modules: BTreeMap<&'a str, Module<'a>>,
}

/// A directory.
#[derive(Default)]
struct Module<'a> {
    name: Option<&'a str>,
    namespace: Option<&'a str>,
    /// The name, and the module that it is imported from.
    imports: BTreeMap<&'a str, &'a str>,
    shared: BTreeMap<&'a str, &'a Item>,
}

/// Where a statement stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) directory: &'a str,
    pub(crate) namespace: &'a str,
}

impl<'a> Names<'a> {
    pub(crate) fn of(files: &'a [(String, ast::File)]) -> Names<'a> {
        let mut names = Names::default();
        for (directory, file) in files {
            let module = names.modules.entry(directory).or_default();
            for item in &file.items {
                match item {
                    Item::Module(statement) => {
                        module.name = Some(&statement.name.value);
                        module.namespace = statement.namespace.as_ref().map(|name| name.value.as_str());
                    }
                    Item::Import(import) => {
                        let from = import.module.value.as_str();
                        module.imports.extend(import.names.iter().map(|name| (name.value.as_str(), from)));
                    }
                    Item::Group(ast::Group { name, .. })
                    | Item::Profile(ast::Profile { name, .. })
                    | Item::Split(ast::Split { name, .. })
                    | Item::Jwt(ast::Jwt { name, .. })
                    | Item::ExtAuthz(ast::Authority { name, .. })
                    | Item::RateLimiter(ast::Authority { name, .. }) => {
                        _ = module.shared.insert(&name.value, item);
                    }
                    _ => {}
                }
            }
        }
        names
    }

    /// 7.5
    pub(crate) fn place(&self, directory: &'a str) -> Place<'a> {
        let namespace = self.modules.get(directory).and_then(|module| module.namespace).unwrap_or("default");
        Place { directory, namespace }
    }

    /// 7.6: what a name means, and where that is declared.
    fn shared(&self, name: &str, place: Place<'a>) -> Option<(&'a Item, Place<'a>)> {
        let module = self.modules.get(place.directory)?;
        if let Some(item) = module.shared.get(name) {
            return Some((item, place));
        }
        let from = module.imports.get(name)?;
        let (directory, exporter) = self.modules.iter().find(|(_, module)| module.name == Some(from))?;
        exporter.shared.get(name).map(|item| (*item, self.place(directory)))
    }

    pub(crate) fn group(&self, name: &str, place: Place<'a>) -> Option<(&'a ast::Group, Place<'a>)> {
        match self.shared(name, place)? {
            (Item::Group(group), place) => Some((group, place)),
            _ => None,
        }
    }

    pub(crate) fn ext_authz(&self, name: &str, place: Place<'a>) -> Option<(&'a ast::Authority, Place<'a>)> {
        match self.shared(name, place)? {
            (Item::ExtAuthz(authority), place) => Some((authority, place)),
            _ => None,
        }
    }

    pub(crate) fn rate_limiter(
        &self,
        name: &str,
        place: Place<'a>,
    ) -> Option<(&'a ast::Authority, Place<'a>)> {
        match self.shared(name, place)? {
            (Item::RateLimiter(authority), place) => Some((authority, place)),
            _ => None,
        }
    }

    pub(crate) fn split(&self, name: &str, place: Place<'a>) -> Option<(&'a ast::Split, Place<'a>)> {
        match self.shared(name, place)? {
            (Item::Split(split), place) => Some((split, place)),
            _ => None,
        }
    }

    /// 8.1: the settings of a block, with what the profiles that it uses say below them.
    pub(crate) fn settings(
        &self,
        written: &ast::Settings,
        limits: &ast::Limits,
        place: Place<'a>,
    ) -> Result<Settings, String> {
        written.uses.iter().try_fold(Settings::of(written, limits), |settings, name| {
            match self.shared(&name.value, place) {
                Some((Item::Profile(profile), _)) => {
                    Ok(settings.over(Settings::of(&profile.settings, &profile.limits)))
                }
                _ => Err(format!("no profile `{}`", name.value)),
            }
        })
    }
}
