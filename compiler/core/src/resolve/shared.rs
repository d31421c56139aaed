//! Names that a module gives to things for others to use: profiles, groups, splits, issuers of tokens and authorities; its
//! own and those it imports (`spec/semantics.md` 7).

use super::scope::Place;
use super::{Module, declared};
use mesh_lang::ast::{self, Item, Shared};
use mesh_lang::diagnostic::suggest::meant;
use mesh_lang::{Code, Diagnostic, Diagnostics, FileId, Name, Severity, Span, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What a shared name is.
#[derive(Clone, Copy)]
pub(super) enum Named<'a> {
    Group(&'a ast::Group),
    Profile(&'a ast::Profile),
    Split(&'a ast::Split),
    Jwt(&'a ast::Jwt),
    ExtAuthz(&'a ast::Authority),
    RateLimiter(&'a ast::Authority),
}

impl<'a> Named<'a> {
    fn of(item: &'a Item) -> Option<Named<'a>> {
        Some(match item {
            Item::Group(group) => Named::Group(group),
            Item::Profile(profile) => Named::Profile(profile),
            Item::Split(split) => Named::Split(split),
            Item::Jwt(jwt) => Named::Jwt(jwt),
            Item::ExtAuthz(authority) => Named::ExtAuthz(authority),
            Item::RateLimiter(authority) => Named::RateLimiter(authority),
            _ => return None,
        })
    }

    fn name(self) -> &'a Name {
        match self {
            Named::Group(group) => &group.name,
            Named::Profile(profile) => &profile.name,
            Named::Split(split) => &split.name,
            Named::Jwt(jwt) => &jwt.name,
            Named::ExtAuthz(authority) | Named::RateLimiter(authority) => &authority.name,
        }
    }

    fn kind(self) -> Shared {
        match self {
            Named::Group(_) => Shared::Group,
            Named::Profile(_) => Shared::Profile,
            Named::Split(_) => Shared::Split,
            Named::Jwt(_) => Shared::Jwt,
            Named::ExtAuthz(_) => Shared::ExtAuthz,
            Named::RateLimiter(_) => Shared::RateLimiter,
        }
    }
}

/// A name of a module.
struct Entry {
    /// Index into [`Names::items`].
    item: usize,
    kind: Shared,
    /// The directory that declares it.
    home: Text,
    /// Where this module declares or imports it.
    span: Span,
    /// Whether the module opens it to others: then somebody may use it.
    exported: bool,
    users: Mutex<BTreeSet<FileId>>,
}

impl Entry {
    fn new(item: usize, kind: Shared, home: &str, span: Span) -> Entry {
        Entry { item, kind, home: home.into(), span, exported: false, users: Mutex::default() }
    }

    fn users(&self) -> std::sync::MutexGuard<'_, BTreeSet<FileId>> {
        // Nothing is left half done in a set of numbers.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All shared names. They outlive the files that declare them: a project is edited file by file.
#[derive(Default)]
pub(super) struct Names {
    /// What is declared, whichever module names it.
    items: Vec<Item>,
    /// Directory → name → what it is there.
    entries: BTreeMap<Text, BTreeMap<Text, Entry>>,
    /// What modules open to others: (directory, name).
    exported: BTreeSet<(Text, Text)>,
    /// Module names and their directories.
    modules: BTreeMap<Text, Text>,
    /// The `rate-limiter`s among the items, by directory and name: the number of each is its place here.
    limiters: Vec<usize>,
}

impl Names {
    pub(super) fn new(modules: &[Module<'_>], diagnostics: &mut Diagnostics) -> Names {
        let mut names = Names::default();
        names.collect_modules(modules, diagnostics);
        for (place, item) in declared(modules, |item| Named::of(item).is_some().then_some(item)) {
            names.declare(place, item, diagnostics);
        }
        let all = names.entries.values().flat_map(BTreeMap::values);
        names.limiters =
            all.filter(|entry| entry.kind == Shared::RateLimiter).map(|entry| entry.item).collect();
        for (place, module) in declared(modules, as_module) {
            for export in &module.exports {
                names.export(place, export, diagnostics);
            }
        }
        for (place, import) in declared(modules, as_import) {
            names.import(place, import, diagnostics);
        }
        names
    }

    /// Two directories are two modules: they have two names, and share a namespace only under one owner.
    fn collect_modules(&mut self, modules: &[Module<'_>], diagnostics: &mut Diagnostics) {
        let mut named: BTreeMap<&str, (&str, Span)> = BTreeMap::new();
        let mut owned: BTreeMap<&str, (Option<&str>, Span)> = BTreeMap::new();
        for (place, module) in declared(modules, as_module) {
            let name = module.name.value.as_str();
            match named.get(name) {
                Some((directory, first)) if *directory != place.directory => diagnostics.push(
                    Diagnostic::new(Code::DuplicateName, format!("two directories are module `{name}`"))
                        .at(module.name.span, "declared again here")
                        .at(*first, "first declared here")
                        .help("Rename one of them: an `import` names one directory."),
                ),
                Some(_) => {}
                None => {
                    named.insert(name, (place.directory, module.name.span));
                    self.modules.insert(name.into(), place.directory.into());
                }
            }
            let Some(namespace) = &module.namespace else { continue };
            let owner = module.owner.as_ref().map(|owner| owner.value.as_str());
            match owned.get(namespace.value.as_str()) {
                Some((first, span)) if *first != owner => diagnostics.push(
                    Diagnostic::new(
                        Code::ForeignStatement,
                        format!("namespace `{}` has two owners", namespace.value),
                    )
                    .at(namespace.span, belongs_to(owner))
                    .at(*span, belongs_to(*first))
                    .help("Give one of the modules another namespace, or both the same `owner`."),
                ),
                Some(_) => {}
                None => {
                    owned.insert(&namespace.value, (owner, namespace.span));
                }
            }
        }
    }

    fn declare(&mut self, place: Place<'_>, item: &Item, diagnostics: &mut Diagnostics) {
        let Some(named) = Named::of(item) else { return };
        let name = named.name();
        let entry = Entry::new(self.items.len(), named.kind(), place.directory, name.span);
        self.items.push(item.clone());
        self.add(place, &name.value, entry, diagnostics);
    }

    /// One name means one thing in a module, whatever its kind.
    fn add(&mut self, place: Place<'_>, name: &Text, entry: Entry, diagnostics: &mut Diagnostics) {
        let own = self.entries.entry(place.directory.into()).or_default();
        match own.get(name) {
            Some(first) => diagnostics.push(
                Diagnostic::new(Code::DuplicateName, format!("`{name}` is two things in this module"))
                    .at(entry.span, format!("a {} here", entry.kind.keyword()))
                    .at(first.span, format!("a {} here", first.kind.keyword()))
                    .help("Rename one of them."),
            ),
            None => {
                own.insert(name.clone(), entry);
            }
        }
    }

    fn entry(&self, directory: &str, name: &str) -> Option<&Entry> {
        self.entries.get(directory)?.get(name)
    }

    fn export(&mut self, place: Place<'_>, export: &ast::Export, diagnostics: &mut Diagnostics) {
        for name in &export.names {
            let kind = export.kind.keyword();
            let own = self.entries.get_mut(place.directory).and_then(|own| own.get_mut(&name.value));
            match own.filter(|entry| entry.kind == export.kind) {
                Some(entry) => {
                    entry.exported = true;
                    self.exported.insert((place.directory.into(), name.value.clone()));
                }
                None => {
                    let unknown =
                        Diagnostic::new(Code::UnknownName, format!("unknown {kind} `{}`", name.value))
                            .at(name.span, "this module declares none of this name");
                    let near = meant(&name.value, self.of_kind(place, export.kind));
                    diagnostics.push(match near {
                        Some(near) => unknown.did_you_mean(&name.value, near),
                        None => unknown.help("Declare it in this directory, or delete it from the `export`."),
                    });
                }
            }
        }
    }

    fn import(&mut self, place: Place<'_>, import: &ast::Import, diagnostics: &mut Diagnostics) {
        let module = import.module.value.as_str();
        let Some(home) = self.modules.get(module).cloned() else {
            let unknown = Diagnostic::new(Code::UnknownName, format!("unknown module `{module}`"))
                .at(import.module.span, "no directory declares it");
            diagnostics.push(match meant(module, self.modules()) {
                Some(near) => unknown.did_you_mean(module, near),
                None => unknown.help(format!("Declare it in its directory: `module {module} {{ … }}`.")),
            });
            return;
        };
        for name in &import.names {
            let key = (home.clone(), name.value.clone());
            match self.entry(&home, &name.value).filter(|entry| entry.home == home) {
                Some(entry) if self.exported.contains(&key) => {
                    let entry = Entry::new(entry.item, entry.kind, &home, name.span);
                    self.add(place, &name.value, entry, diagnostics);
                }
                Some(entry) => {
                    let kind = entry.kind.keyword();
                    diagnostics.push(
                        Diagnostic::new(
                            Code::NotExported,
                            format!("module `{module}` does not export `{}`", name.value),
                        )
                        .at(name.span, "private to that module")
                        .at(entry.span, "declared here")
                        .help(format!(
                            "Ask its owner to add `export {kind} {}` to `module {module}`.",
                            name.value
                        )),
                    );
                }
                None => {
                    let unknown = Diagnostic::new(
                        Code::UnknownName,
                        format!("module `{module}` has no `{}`", name.value),
                    )
                    .at(name.span, "not declared there");
                    let there = self.exported.iter().filter(|(owner, _)| *owner == home);
                    let all: Vec<&str> = there.map(|(_, name)| name.as_str()).collect();
                    diagnostics.push(match meant(&name.value, all.iter().copied()) {
                        Some(near) => unknown.did_you_mean(&name.value, near),
                        None if all.is_empty() => unknown.help("It exports nothing."),
                        None => {
                            unknown.help(format!("It exports {}.", super::scope::listed(all.iter().copied())))
                        }
                    });
                }
            }
        }
    }

    /// The directory of a module.
    pub(super) fn module(&self, name: &str) -> Option<&str> {
        self.modules.get(name).map(Text::as_str)
    }

    /// The names of the modules.
    pub(super) fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(Text::as_str)
    }

    fn of_kind(&self, place: Place<'_>, kind: Shared) -> impl Iterator<Item = &str> {
        let own = self.entries.get(place.directory).into_iter().flatten();
        own.filter(move |(_, entry)| entry.kind == kind).map(|(name, _)| name.as_str())
    }

    /// What a name means in a module, and where it was declared; it counts as used.
    pub(super) fn get(&self, name: &str, place: Place<'_>) -> Option<(Named<'_>, Place<'_>)> {
        let entry = self.entry(place.directory, name)?;
        entry.users().insert(place.file);
        let named = Named::of(self.items.get(entry.item)?)?;
        Some((named, Place { directory: &entry.home, file: named.name().span.file() }))
    }

    /// The number of the `rate-limiter` that a name means in a module; it counts as used.
    pub(super) fn limiter(&self, name: &str, place: Place<'_>) -> Option<u32> {
        let entry = self.entry(place.directory, name)?;
        entry.users().insert(place.file);
        self.limiters.iter().position(|item| *item == entry.item).map(|number| number as u32)
    }

    /// All `rate-limiter`s by their numbers, and where each stands.
    pub(super) fn limiters(&self) -> impl Iterator<Item = (&ast::Authority, Place<'_>)> {
        let homes = self.entries.iter().flat_map(|(directory, own)| {
            own.values()
                .filter(move |entry| entry.home == *directory)
                .map(move |entry| (entry.item, directory))
        });
        let homes: BTreeMap<usize, &Text> = homes.collect();
        self.limiters.iter().filter_map(move |item| match self.items.get(*item)? {
            Item::RateLimiter(own) => {
                Some((own, Place { directory: homes.get(item)?, file: own.name.span.file() }))
            }
            _ => None,
        })
    }

    /// Where a module declares or imports a name.
    pub(super) fn span(&self, name: &str, place: Place<'_>) -> Option<Span> {
        self.entry(place.directory, name).map(|entry| entry.span)
    }

    /// A name that should be of this kind and is not.
    pub(super) fn unknown(&self, kind: Shared, name: &Name, place: Place<'_>) -> Diagnostic {
        let word = kind.keyword();
        if let Some(entry) = self.entry(place.directory, &name.value) {
            let is = entry.kind.keyword();
            return Diagnostic::new(Code::UnknownName, format!("`{}` is a {is}", name.value))
                .at(name.span, format!("a {word} is needed here"))
                .at(entry.span, "declared here")
                .help(format!("Name a {word}."));
        }
        let unknown = Diagnostic::new(Code::UnknownName, format!("unknown {word} `{}`", name.value))
            .at(name.span, "neither declared in this module nor imported");
        if let Some(near) = meant(&name.value, self.of_kind(place, kind)) {
            return unknown.did_you_mean(&name.value, near);
        }
        let elsewhere = self.exported.iter().find(|(_, exported)| *exported == name.value);
        let module = elsewhere.and_then(|(home, _)| {
            self.modules.iter().find(|(_, directory)| *directory == home).map(|(module, _)| module)
        });
        match module {
            Some(module) => unknown.help(format!("Import it: `import {module} {{ {} }}`.", name.value)),
            None => unknown.help(format!("Declare it: `{word} {} …`.", name.value)),
        }
    }

    /// The files that use a shared thing, if it stands elsewhere than was known.
    pub(super) fn users_of_moved(&self, item: &Item, place: Place<'_>) -> Vec<FileId> {
        let own = Named::of(item).and_then(|named| self.entry(place.directory, &named.name().value));
        let Some(own) = own.filter(|own| self.items.get(own.item) != Some(item)) else { return Vec::new() };
        let entries = self.entries.values().flat_map(BTreeMap::values);
        entries.filter(|entry| entry.item == own.item).flat_map(|entry| entry.users().clone()).collect()
    }

    /// A statement that says the same as was known, and may stand elsewhere.
    pub(super) fn set(&mut self, item: &Item, place: Place<'_>) {
        let Some(own) = self.entries.get_mut(place.directory) else { return };
        if let Item::Import(import) = item {
            for name in &import.names {
                own.entry(name.value.clone()).and_modify(|entry| entry.span = name.span);
            }
        }
        let Some(named) = Named::of(item) else { return };
        let Some(entry) = own.get_mut(&named.name().value) else { return };
        entry.span = named.name().span;
        if let Some(known) = self.items.get_mut(entry.item) {
            item.clone_into(known);
        }
    }

    /// Files that are read again may use other names than before.
    pub(super) fn forget(&self, files: &BTreeSet<FileId>) {
        for entry in self.entries.values().flat_map(BTreeMap::values) {
            entry.users().retain(|user| !files.contains(user));
        }
    }

    /// Names that nobody uses.
    pub(super) fn unused(&self) -> Vec<Diagnostic> {
        let all =
            self.entries.iter().flat_map(|(directory, own)| own.iter().map(move |one| (directory, one)));
        let unused = all.filter(|(_, (_, entry))| !entry.exported && entry.users().is_empty());
        unused
            .map(|(directory, (name, entry))| {
                let kind = entry.kind.keyword();
                let (what, help) = if entry.home == *directory {
                    ("declared", format!("Delete it, use it, or open it to others: `export {kind} {name}`."))
                } else {
                    ("imported", "Delete it from the `import`.".to_owned())
                };
                Diagnostic::new(Code::UnusedName, format!("nobody uses the {kind} `{name}`"))
                    .severity(Severity::Warning)
                    .at(entry.span, format!("{what} here"))
                    .help(help)
            })
            .collect()
    }
}

fn belongs_to(owner: Option<&str>) -> String {
    owner.map_or("of a module without owner here".to_owned(), |owner| format!("of `{owner}` here"))
}

fn as_module(item: &Item) -> Option<&ast::Module> {
    match item {
        Item::Module(module) => Some(module),
        _ => None,
    }
}

fn as_import(item: &Item) -> Option<&ast::Import> {
    match item {
        Item::Import(import) => Some(import),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::says;
    use crate::{StandIns, compile};
    use mesh_lang::{Source, SourceSet};

    /// What is said of several files, each with its directory as its module.
    #[track_caller]
    fn project(files: &[(&str, &str)], expected: &[&str]) {
        let file = |(directory, text): &(&str, &str)| Source {
            path: format!("{directory}/a.mesh"),
            module: (*directory).to_owned(),
            text: (*text).to_owned(),
        };
        let sources = SourceSet::new(files.iter().map(file).collect());
        let found = compile(&sources, &StandIns::new()).diagnostics;
        let found: Vec<String> =
            found.iter().map(|one| format!("{} {}", one.code.as_str(), one.message)).collect();
        assert_eq!(found, expected);
    }

    const USER: &str = "service web { port 80 http; use fast }\nauthorize web { allow from anyone }\n";

    #[test]
    fn what_is_exported_can_be_imported() {
        let platform = "module platform { export profile fast }\nprofile fast { timeout 1s }\n";
        let user = format!("import platform {{ fast }}\n{USER}");
        project(&[("platform", platform), ("web", &user)], &[]);
        let private = platform.replace("export profile fast", "");
        project(
            &[("platform", &private), ("web", &user)],
            &[
                "MESH2021 nobody uses the profile `fast`",
                "MESH2020 module `platform` does not export `fast`",
                "MESH2001 unknown profile `fast`",
            ],
        );
        project(&[("platform", platform), ("web", USER)], &["MESH2001 unknown profile `fast`"]);
        project(
            &[("platform", platform), ("web", &user.replace("use fast", "timeout 1s"))],
            &["MESH2021 nobody uses the profile `fast`"],
        );
    }

    #[test]
    fn what_is_imported_is_not_declared_too() {
        let platform = "module platform { export profile fast }\nprofile fast { timeout 1s }\n";
        let user = format!("import platform {{ fast }}\nprofile fast {{ timeout 2s }}\n{USER}");
        project(&[("platform", platform), ("web", &user)], &["MESH2002 `fast` is two things in this module"]);
    }

    #[test]
    fn two_directories_are_two_modules() {
        project(&[("a", "module x { edition 2026 }\n"), ("b", "module y { edition 2026 }\n")], &[]);
        project(
            &[("a", "module x { edition 2026 }\n"), ("b", "module x { edition 2026 }\n")],
            &["MESH2002 two directories are module `x`"],
        );
    }

    #[test]
    fn a_namespace_has_one_owner() {
        let module =
            |name: &str, owner: &str| format!("module {name} {{ owner \"{owner}\"; namespace n }}\n");
        project(&[("a", &module("x", "t@x")), ("b", &module("y", "t@x"))], &[]);
        project(
            &[("a", &module("x", "t@x")), ("b", &module("y", "u@x"))],
            &["MESH2010 namespace `n` has two owners"],
        );
        project(
            &[("a", &module("x", "t@x")), ("b", "module y { namespace n }\n")],
            &["MESH2010 namespace `n` has two owners"],
        );
    }

    #[test]
    fn a_profile_stands_below_what_the_block_says() {
        let text = "profile fast { timeout 1s; retry none }\nservice web { port 80 http; use fast; timeout 2s }\nauthorize web { allow from anyone }\n";
        says(text, &[]);
        says(
            "profile a { timeout 1s }\nprofile b { timeout 2s }\nservice web { port 80 http; use a, b }\nauthorize web { allow from anyone }\n",
            &["3 MESH1008 the profiles `a` and `b` both set `timeout`"],
        );
    }

    #[test]
    fn a_group_is_its_members() {
        let text = "service a { calls web }\nservice b { calls web }\ngroup both = a, b\nservice web { port 80 http }\nauthorize web { allow from both to GET }\n";
        says(text, &[]);
        says(&text.replace("a, b\n", "a, a2\n"), &["3 MESH2001 unknown service `a2`"]);
        says(
            &text.replace("group both = a, b", "group both = a, anyone"),
            &["3 MESH1006 `anyone` cannot be in a group"],
        );
    }

    #[test]
    fn a_split_is_its_backends() {
        let text = "service s { port 80 http; subset a label v = \"1\"; subset b label v = \"2\" }\nsplit half = s:a 50%, s:b 50%\nroute s { to half }\nauthorize s { allow from anyone }\n";
        says(text, &[]);
        says(&text.replace("s:b 50%", "s:b 40%"), &["2 MESH5008 the weights sum to 90%, not 100%"]);
    }

    #[test]
    fn one_name_means_one_thing() {
        says(
            "profile web { timeout 1s }\nservice web { port 80 http; use web }\nauthorize web { allow from anyone }\n",
            &["1 MESH2002 `web` is two things in this module"],
        );
        says(
            "profile x { timeout 1s }\ngroup x = web\nservice web { port 80 http; use x }\nauthorize web { allow from anyone }\n",
            &["2 MESH2002 `x` is two things in this module"],
        );
    }
}
