//! What `mesh up` tells the person in front of it.

use super::Replanned;
use super::proxies::Proxies;
use crate::commands::build::{contents, short};
use crate::commands::rules;
use crate::load::Project;
use crate::output::{Output, count};
use mesh_compiler::case::ExampleRequest;
use mesh_compiler::{Compilation, StandIn};
use std::collections::BTreeMap;
use std::path::Path;

/// What runs, where, and what to try.
pub(super) fn started(
    output: &mut Output<'_>,
    path: &Path,
    project: &Project,
    compilation: &Compilation,
    proxies: &Proxies,
    notes: &[String],
) {
    if let Some(plan) = &compilation.plan {
        let files = count(project.sources.len(), "file");
        let contents = contents(plan, rules(&project.sources));
        output.say(&format!("{}: {files}, {contents}, digest {}", path.display(), short(&proxies.digest())));
    }
    say_notes(output, notes);
    output.say("");
    let stand_ins = stand_ins(&compilation.needs);
    for line in doors(proxies).iter().chain(&stand_ins) {
        output.say(line);
    }
    let examples = examples(&compilation.examples, proxies);
    if !examples.is_empty() {
        output.say("\nTry:");
    }
    for line in examples {
        output.say(&format!("  {line}"));
    }
    output.say(&format!("\nWatching {}; save a file to re-plan, Ctrl-C to stop.", path.display()));
}

/// Where the gateways and sidecars listen, a line each.
pub(super) fn doors(proxies: &Proxies) -> Vec<String> {
    let listeners = proxies.listeners().into_iter();
    let gateways = listeners.map(|listener| {
        let name = format!("{} ({})", listener.gateway, listener.name);
        format!("  gateway   {name:<28}  http://{}", listener.address)
    });
    let sidecars = proxies.sidecars().into_iter();
    let sidecars = sidecars.map(|(service, address)| format!("  sidecar   {service:<28}  http://{address}"));
    gateways.chain(sidecars).collect()
}

/// What a save led to.
pub(super) fn replanned(output: &mut Output<'_>, replanned: &Replanned, changed: &[String]) {
    let changed = changed.join(", ");
    match replanned {
        Replanned::Swapped { digest, took, opened, notes } => {
            let (took, digest) = (took.as_millis(), short(digest));
            output.say(&format!("re-planned in {took} ms  digest {digest}  (changed: {changed})"));
            say_notes(output, notes);
            opened.iter().for_each(|door| output.say(door));
        }
        Replanned::Same => output.say(&format!("no change to the plan  (changed: {changed})")),
        Replanned::Refused => output.say(&format!("the old plan keeps serving  (changed: {changed})")),
    }
}

fn say_notes(output: &mut Output<'_>, notes: &[String]) {
    for note in notes {
        output.say(&format!("note: {note}"));
    }
}

/// The end has begun.
pub(super) fn stopping(output: &mut Output<'_>) {
    output.say("Stopping once the requests in flight are answered; Ctrl-C again to stop at once.");
}

/// The end was not the same for everybody.
pub(super) fn stopped(output: &mut Output<'_>, cut: usize) {
    if cut > 0 {
        output.say(&format!("{} took too long and was cut off", count(cut, "connection")));
    }
}

/// The services without endpoints of their own, with the names of their subsets.
fn stand_ins(needs: &[StandIn]) -> Vec<String> {
    let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for need in needs {
        let subsets = services.entry(&need.service).or_default();
        if let Some(subset) = need.subset.as_deref()
            && !subsets.contains(&subset)
        {
            subsets.push(subset);
        }
    }
    let line = |(service, subsets): (&str, Vec<&str>)| match subsets.as_slice() {
        [] => format!("  stand-in  {service}"),
        subsets => format!("  stand-in  {service:<28}  {}", subsets.join(", ")),
    };
    services.into_iter().map(line).collect()
}

/// Two requests: the plainest, and one that a header sends elsewhere.
fn examples(examples: &[ExampleRequest], proxies: &Proxies) -> Vec<String> {
    let plain = examples.first();
    let chosen = examples.iter().skip(1).find(|example| !example.headers.is_empty());
    let both = plain.into_iter().chain(chosen);
    both.filter_map(|example| curl(example, proxies)).collect()
}

fn curl(example: &ExampleRequest, proxies: &Proxies) -> Option<String> {
    let address = proxies
        .listeners()
        .into_iter()
        .find(|listener| listener.gateway == example.gateway && listener.name == example.listener)?
        .address;
    let method = match example.method.as_str() {
        "GET" => String::new(),
        "HEAD" => " -I".to_owned(),
        method => format!(" -X {method}"),
    };
    let host = example.host.iter().map(|host| ("host", host.as_str()));
    let headers = example.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: String = host
        .chain(headers)
        .map(|(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))))
        .collect();
    let url = quoted_if_needed(&format!("http://{address}{}", example.path));
    Some(format!("curl -s{method}{headers} {url}   # {}", example.shows))
}

/// For a POSIX shell: nothing is special between single quotes but the single quote.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn quoted_if_needed(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_%~+,@=".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curl_line_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("end-user: o'neill"), r"'end-user: o'\''neill'");
        assert_eq!(quoted_if_needed("http://127.0.0.1:8080/a"), "http://127.0.0.1:8080/a");
        assert_eq!(quoted_if_needed("http://127.0.0.1:8080/a&b"), "'http://127.0.0.1:8080/a&b'");
    }
}
