//! What `mesh up` tells the person in front of it.

use super::proxies::Proxies;
use super::watch::Changes;
use super::{Planned, Replanned};
use crate::args::Up;
use crate::commands::build::{contents, short};
use crate::load::Project;
use crate::output::{Output, count};
use mesh_compiler::StandIn;
use mesh_compiler::case::ExampleRequest;
use std::collections::BTreeMap;

/// What runs, where, and what to try.
pub(super) fn started(
    output: &mut Output<'_>,
    up: &Up,
    project: &Project,
    planned: &Planned,
    proxies: &Proxies,
) {
    let path = up.path.display();
    if let Some(plan) = &planned.compilation.plan {
        let files = count(project.sources.len(), "file");
        let contents = contents(plan, planned.rules);
        let environment = planned.environment.as_ref().map_or(String::new(), |name| format!(" in {name}"));
        output.say(&format!("{path}{environment}: {files}, {contents}"));
        output.say(&format!("digest {}", short(&planned.digest)));
    }
    say_notes(output, &planned.notes);
    output.say("");
    let scene = Scene::of(proxies, &planned.compilation.needs);
    for line in scene.doors.iter().chain(&stand_ins(&scene.needs)) {
        output.say(&format!("  {line}"));
    }
    let examples = examples(&planned.compilation.examples, proxies);
    if !examples.is_empty() {
        output.say("\nTry:");
    }
    for line in examples {
        output.say(&format!("  {line}"));
    }
    output.say(&format!("\nWatching {path}; save a file to re-plan, Ctrl-C to stop."));
    if output.is_quiet() && !up.access_log {
        proxies.listeners().iter().for_each(|listener| output.data(&listener.url()));
    }
}

/// What runs: the doors, a line each, and the stand-ins.
pub(super) struct Scene {
    doors: Vec<String>,
    needs: Vec<StandIn>,
}

impl Scene {
    pub(super) fn of(proxies: &Proxies, needs: &[StandIn]) -> Scene {
        Scene { doors: doors(proxies), needs: needs.to_vec() }
    }

    /// What is here and not there, a line each.
    fn without(&self, other: &Scene) -> Vec<String> {
        let doors = self.doors.iter().filter(|door| !other.doors.contains(door)).cloned();
        let needs: Vec<_> = self.needs.iter().filter(|need| !other.needs.contains(need)).cloned().collect();
        doors.chain(stand_ins(&needs)).collect()
    }
}

/// What is no longer there, and what is new.
pub(super) fn differences(before: &Scene, after: &Scene) -> Vec<String> {
    let gone = before.without(after).into_iter().map(|line| format!("  - {line}"));
    gone.chain(after.without(before).into_iter().map(|line| format!("  + {line}"))).collect()
}

/// Where the gateways and sidecars listen.
fn doors(proxies: &Proxies) -> Vec<String> {
    let listeners = proxies.listeners().into_iter();
    let gateways = listeners.map(|listener| {
        let name = format!("{} ({})", listener.gateway, listener.name);
        format!("gateway   {name:<28}  {}", listener.url())
    });
    let sidecars = proxies.sidecars().into_iter();
    let sidecars = sidecars.map(|(service, address)| format!("sidecar   {service:<28}  http://{address}"));
    let calls = proxies.calls().into_iter();
    let calls = calls.map(|(call, address)| {
        let call = call.replace("->", " to ");
        format!("call      {call:<28}  tcp://{address}")
    });
    let inbound = proxies.fronts().places();
    let inbound =
        inbound.map(|(service, address)| format!("inbound   {service:<28}  mutual TLS on {address}"));
    gateways.chain(sidecars).chain(calls).chain(inbound).collect()
}

/// What a save led to.
pub(super) fn replanned(output: &mut Output<'_>, replanned: &Replanned, changes: &Changes) {
    let changes = listed(changes);
    match replanned {
        Replanned::Swapped { digest, took, differences, notes } => {
            let (took, digest) = (took.as_millis(), short(digest));
            output.say(&format!("re-planned in {took} ms  digest {digest}{changes}"));
            say_notes(output, notes);
            differences.iter().for_each(|line| output.say(line));
        }
        Replanned::Same { after_refusal, notes } => {
            let well = "all is well again; the plan is as it was";
            let what = if *after_refusal { well } else { "no change to the plan" };
            output.say(&format!("{what}{changes}"));
            say_notes(output, notes);
        }
        Replanned::Refused => output.say(&format!("the old plan keeps serving{changes}")),
    }
}

/// `  (changed: a.mesh; new: shop/b.mesh)`, or nothing.
fn listed(changes: &Changes) -> String {
    let Changes { changed, new, removed } = changes;
    let kinds = [("changed", changed), ("new", new), ("removed", removed)];
    let kinds = kinds.into_iter().filter(|(_, files)| !files.is_empty());
    let parts: Vec<_> = kinds.map(|(kind, files)| format!("{kind}: {}", files.join(", "))).collect();
    if parts.is_empty() { String::new() } else { format!("  ({})", parts.join("; ")) }
}

fn say_notes(output: &mut Output<'_>, notes: &[String]) {
    for note in notes {
        output.say(&format!("note: {note}"));
    }
}

/// The end has begun.
pub(super) fn stopping(output: &mut Output<'_>) {
    output.say("Stopping after the requests in flight; Ctrl-C again to stop at once.");
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
        [] => format!("stand-in  {service}"),
        subsets => format!("stand-in  {service:<28}  {}", subsets.join(", ")),
    };
    services.into_iter().map(line).collect()
}

/// Two requests, each after what it shows: the plainest, and one that a header sends elsewhere.
fn examples(examples: &[ExampleRequest], proxies: &Proxies) -> Vec<String> {
    let plain = examples.first();
    let chosen = examples.iter().skip(1).find(|example| !example.headers.is_empty());
    let both = plain.into_iter().chain(chosen);
    both.filter_map(|example| Some([format!("# {}", example.shows), curl(example, proxies)?]))
        .flatten()
        .collect()
}

fn curl(example: &ExampleRequest, proxies: &Proxies) -> Option<String> {
    let listener = proxies
        .listeners()
        .into_iter()
        .find(|listener| listener.gateway == example.gateway && listener.name == example.listener)?;
    let method = match example.method.as_str() {
        "GET" => String::new(),
        "HEAD" => " -I".to_owned(),
        method => format!(" -X {method}"),
    };
    // Over TLS the host is said before the request, and the certificate is one of our own making.
    let (to, origin) = match (listener.over_tls, &example.host) {
        (true, Some(host)) => (format!(" -k --connect-to ::{}", listener.address), format!("https://{host}")),
        (true, None) => (" -k".to_owned(), listener.url()),
        (false, _) => (String::new(), format!("http://{}", listener.address)),
    };
    let host = example.host.iter().filter(|_| !listener.over_tls).map(|host| ("host", host.as_str()));
    let headers = example.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers: String = host
        .chain(headers)
        .map(|(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))))
        .collect();
    let url = quoted_if_needed(&format!("{origin}{}", example.path));
    Some(format!("curl -s{method}{to}{headers} {url}"))
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
    fn changes_are_listed_by_what_became_of_the_file() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let changes = Changes {
            changed: names(&["a.mesh", "shop/a.mesh"]),
            new: names(&[]),
            removed: names(&["b.mesh"]),
        };
        assert_eq!(listed(&changes), "  (changed: a.mesh, shop/a.mesh; removed: b.mesh)");
        assert_eq!(listed(&Changes::default()), "");
    }

    #[test]
    fn a_difference_names_what_came_and_what_went() {
        let need =
            |subset: &str| StandIn { service: "web.default".into(), port: 80, subset: Some(subset.into()) };
        let scene = |doors: &[&str], subsets: &[&str]| Scene {
            doors: doors.iter().map(|door| (*door).to_owned()).collect(),
            needs: subsets.iter().map(|subset| need(subset)).collect(),
        };
        let (before, after) =
            (scene(&["edge", "old"], &["v1"]), scene(&["edge", "new"], &["v1", "v2", "v3"]));
        let stand_in = format!("  + stand-in  {:<28}  v2, v3", "web.default");
        assert_eq!(differences(&before, &after), ["  - old", "  + new", stand_in.as_str()]);
    }

    #[test]
    fn a_curl_line_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("end-user: o'neill"), r"'end-user: o'\''neill'");
        assert_eq!(quoted_if_needed("http://127.0.0.1:8080/a"), "http://127.0.0.1:8080/a");
        assert_eq!(quoted_if_needed("http://127.0.0.1:8080/a&b"), "'http://127.0.0.1:8080/a&b'");
    }
}
