//! Requests to try: what `mesh up` shows a newcomer, and what its stand-ins do.

use crate::case::{ExampleCall, ExampleRequest};
use crate::model::{Action, Field, FieldTest, Listener, Model, Rule, ValueSet};
use crate::witness::Witness;
use mesh_lang::ast::HostPattern;

/// An example of every call that a service declares.
pub(crate) fn calls(model: &Model) -> Vec<ExampleCall> {
    let mut examples = Vec::new();
    for service in &model.services {
        for call in &service.calls {
            let Some(line) = call.lines.first() else { continue };
            let Some(Witness { method, path, .. }) = Witness::of_shape(&line.shape) else { continue };
            examples.push(ExampleCall {
                caller: service.full_name(),
                host: model[call.to.service].full_name(),
                port: model.port(call.to).number,
                method: method.to_owned(),
                path,
            });
        }
    }
    examples
}

/// More requests that a header chooses nobody tries.
const MAX_CHOSEN: usize = 32;

/// A plain request for each listener, and one more for each rule that a header or a cookie chooses, there or behind it; of very
/// many only the first.
pub(crate) fn requests(model: &Model) -> Vec<ExampleRequest> {
    let mut examples = Vec::new();
    let chosen: Vec<(Vec<(String, String)>, String)> = chosen_by_header(model).take(MAX_CHOSEN).collect();
    for gateway in &model.gateways {
        for listener in &gateway.listeners {
            let Some(plain) = plain_request(&gateway.full_name(), listener) else { continue };
            examples.push(plain.clone());
            examples.extend(chosen.iter().map(|(headers, shows)| ExampleRequest {
                headers: headers.clone(),
                shows: shows.clone(),
                ..plain.clone()
            }));
        }
    }
    examples
}

/// The first line of the first rule that forwards and asks for no header, as its author wrote it.
fn plain_request(gateway: &str, listener: &Listener) -> Option<ExampleRequest> {
    listener.tables.iter().find_map(|table| {
        let forwards = table.table.rules.iter().filter(|rule| matches!(rule.action, Action::Forward(_)));
        let line = forwards.flat_map(|rule| rule.lines.iter().map(move |line| (rule, line)));
        let asked = line.filter_map(|(rule, line)| Some((rule, line, Witness::of_shape(&line.shape)?)));
        let (rule, _, witness) = asked.min_by_key(|(rule, line, _)| (line.shape.tests.len(), rule.span))?;
        Some(ExampleRequest {
            gateway: gateway.to_owned(),
            listener: listener.name.clone(),
            port: listener.number,
            host: a_host(&table.host),
            method: witness.method.to_owned(),
            path: witness.target(),
            headers: lines(witness),
            shows: format!("rule {}", rule.name),
        })
    })
}

fn a_host(pattern: &HostPattern) -> Option<String> {
    match pattern {
        HostPattern::Any => None,
        HostPattern::Exact(name) => Some(name.to_string()),
        HostPattern::OneLabel(name) | HostPattern::Labels(name) => Some(format!("www.{name}")),
    }
}

/// Headers that choose a rule of some route to a service, and which.
fn chosen_by_header(model: &Model) -> impl Iterator<Item = (Vec<(String, String)>, String)> + '_ {
    let own = model.ports().filter_map(move |id| {
        Some((model.port(id).route.as_ref()?, model[id.service].workload.name.to_string()))
    });
    let consumers = model.consumer_routes.iter().map(move |route| {
        let (callee, caller) = (&model[route.to.service].workload.name, &model.workload(route.caller).name);
        (&route.table, format!("{callee} from {caller}"))
    });
    own.chain(consumers).flat_map(|(table, name)| {
        table.rules.iter().filter_map(move |rule| {
            Some((choosing_headers(rule)?, format!("rule {} of route {name}", rule.name)))
        })
    })
}

/// What a line asks of headers and cookies, where it asks of nothing else but the operation and some value has to be there.
fn choosing_headers(rule: &Rule) -> Option<Vec<(String, String)>> {
    let wants_value = |test: &FieldTest| {
        matches!(test.field, Field::Header(_) | Field::Cookie(_))
            && !matches!(test.set, ValueSet::Absent | ValueSet::Passing { negated: true, .. })
    };
    let line = rule.lines.iter().find(|line| line.shape.tests.iter().any(wants_value))?;
    let witness = Witness::of_shape(&line.shape)?;
    if witness.query.is_empty() { Some(lines(witness)) } else { None }
}

/// Headers, with the cookies in theirs.
fn lines(witness: Witness) -> Vec<(String, String)> {
    let cookies: Vec<String> =
        witness.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookie = (!cookies.is_empty()).then(|| ("cookie".to_owned(), cookies.join("; ")));
    witness.headers.into_iter().chain(cookie).collect()
}
