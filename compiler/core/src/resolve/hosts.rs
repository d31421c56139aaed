//! Hosts by which callers say services besides their names: what they `alias` and what is `external`, each meaning one service at one port
//! (`spec/semantics.md` 5.2).

use super::scope::Scope;
use super::{Module, declared, duplicate, outside, service};
use mesh_lang::ast::{self, HostPattern};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Span, Text};
use std::collections::BTreeMap;

/// A host that a service says to have.
struct Said<'a> {
    service: &'a ast::Service,
    /// `alias` or `external`
    word: &'static str,
    name: Name,
}

/// The hosts of a service, as plans say them.
pub(super) fn of(service: &ast::Service) -> Vec<Text> {
    said(service).map(|said| said.name.value).collect()
}

fn said(service: &ast::Service) -> impl Iterator<Item = Said<'_>> {
    let aliases = service.aliases.iter().filter(|alias| !matches!(alias.value, HostPattern::Any));
    let aliases = aliases.map(|alias| Name { value: alias.value.to_string().into(), span: alias.span });
    let aliases = aliases.map(|name| Said { service, word: "alias", name });
    aliases.chain(outside::hosts(service).map(|name| Said { service, word: "external", name }))
}

/// No host is another service's name, and none is of two services, but where their ports tell them apart.
pub(super) fn check(modules: &[Module<'_>], scope: &Scope, diagnostics: &mut Diagnostics) {
    let all = || declared(modules, service).map(|(_, service)| service);
    if all().all(|service| service.aliases.is_empty() && service.external.is_empty()) {
        return;
    }
    let mut names: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for (place, service) in declared(modules, service) {
        let name = &service.name;
        let full = format!("{}.{}", name.value, scope.namespace(place));
        names.entry(name.value.to_string()).or_default().push(name.span);
        names.entry(full).or_default().push(name.span);
    }
    let mut seen: BTreeMap<Text, Vec<Said<'_>>> = BTreeMap::new();
    for said in all().flat_map(said) {
        let (text, span) = (&said.name.value, said.name.span);
        let own = said.service.name.span;
        // What is outside may well be called as it is there.
        let is_named = |named: &&Span| said.word == "alias" || **named != own;
        if let Some(named) = names.get(text.as_str()).and_then(|named| named.iter().find(is_named)) {
            diagnostics.push(
                Diagnostic::new(
                    Code::DuplicateName,
                    format!("`{text}` is what callers say of a service anyway"),
                )
                .at(span, "would mean two services, or nothing new")
                .at(*named, "by its name")
                .help(
                    "Delete it, or take a host that is no name of a service, nor of one with its namespace.",
                ),
            );
            continue;
        }
        let before = seen.entry(text.clone()).or_default();
        if let Some(problem) = before.iter().find_map(|first| twice(first, &said)) {
            diagnostics.push(problem);
        } else {
            before.push(said);
        }
    }
}

/// What is wrong with one host of two statements.
fn twice(first: &Said<'_>, said: &Said<'_>) -> Option<Diagnostic> {
    let text = &said.name.value;
    let are_outside = first.word == "external" && said.word == "external";
    if !are_outside || first.service.name.span == said.service.name.span {
        return Some(duplicate(said.word, text, said.name.span, first.name.span));
    }
    let mut ports = said.service.ports.iter().map(|port| port.number.value);
    let both = ports.find(|number| first.service.ports.iter().any(|port| port.number.value == *number))?;
    let message = format!("`{text}` is two services at port {both}");
    Some(
        Diagnostic::new(Code::DuplicateName, message)
            .at(said.name.span, format!("`{}` here", said.service.name.value))
            .at(first.name.span, format!("`{}` here", first.service.name.value))
            .help("Keep one of them: a caller that says this host and port can mean only one service."),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn two(alias: &str, statements: &str) -> String {
        format!(
            "service db {{ port 80 http; {alias} }}\nauthorize db {{ allow from anyone }}\n\
             service s {{\n{statements}\n}}\nauthorize s {{ allow from anyone }}\n"
        )
    }

    #[test]
    fn an_alias_is_nobodys_name_and_of_one_service() {
        let text = |alias: &str| two("", &format!("port 80 http; alias {alias}"));
        says(&text("\"db.example\", \"cart.default\", \"sql\", \"*.example\""), &[]);
        for name in ["db", "db.default", "s", "s.default"] {
            let said = format!("4 MESH2002 `{name}` is what callers say of a service anyway");
            says(&text(&format!("\"{name}\"")), &[&said]);
        }
        for name in ["x.example", "*.example"] {
            let alias = format!("alias \"{name}\"");
            let twice = two(&alias, &format!("port 80 http; {alias}"));
            says(&twice, &[&format!("4 MESH2002 alias `{name}` is declared twice")]);
        }
    }

    #[test]
    fn what_is_outside_is_nobodys_name_and_at_one_port_of_one_service() {
        let text = |first: &str, external: &str, port: &str| {
            two(first, &format!("external {external}; port {port}; tls none"))
        };
        says(&text("", "\"x.test\", \"*.y.test\", \"**.z.test\", \"192.0.2.0/24\", \"s\"", "80 http"), &[]);
        let named = |name: &str| format!("4 MESH2002 `{name}` is what callers say of a service anyway");
        for name in ["db", "db.default"] {
            says(&text("", &format!("\"{name}\""), "80 http"), &[&named(name)]);
        }
        says(
            &text("alias \"x.test\"", "\"x.test\"", "80 http"),
            &["4 MESH2002 external `x.test` is declared twice"],
        );
        says(
            &text("", "\"x.test\", \"x.test\"", "80 http"),
            &["4 MESH2002 external `x.test` is declared twice"],
        );
        for name in ["x.test", "*.x.test", "192.0.2.1", "2001:db8::1", "192.0.2.0/24"] {
            let outside = format!("external \"{name}\"; tls none");
            says(&text(&outside, &format!("\"{name}\""), "81 http"), &[]);
            let host = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
            let said = format!("4 MESH2002 `{host}` is two services at port 80");
            says(&text(&outside, &format!("\"{name}\""), "80 http"), &[&said]);
        }
        says(&text("external \"192.0.2.0/24\"; tls none", "\"192.0.2.0/25\"", "80 http"), &[]);
    }
}
