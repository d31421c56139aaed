//! What the sender of a refused request reads. Strangers, who come to a gateway, read no more than who refused; a service
//! reads on its own sidecar whom to ask and what it may call.

use crate::request::Target;
use crate::serving::Opened;
use mesh_engine::{Entry, Refusal, callee};
use std::collections::BTreeSet;

/// Callees that an answer names; the log and the plan know them all.
const MAX_NAMED: usize = 8;

/// The text of the answer. It says who refused, and not by which rule: that is for the log.
pub(crate) fn told(refusal: Refusal<'_>, owner: &str, opened: &Opened, target: &Target) -> String {
    match (refusal, opened.entry) {
        (Refusal::Denied { by }, Entry::Sidecar { .. }) if !owner.is_empty() => {
            format!("denied by {by} (owner: {})", on_one_line(owner))
        }
        (Refusal::Denied { by }, _) => format!("denied by {by}"),
        (Refusal::UndeclaredCall, Entry::Sidecar { service }) => undeclared(service, opened, target),
        (Refusal::UndeclaredCall, _) => "this call is not declared".to_owned(),
        (Refusal::NoRoute, _) => "no route".to_owned(),
        (Refusal::Broken, _) => "the plan cannot answer this".to_owned(),
    }
}

fn undeclared(service: u32, opened: &Opened, target: &Target) -> String {
    let none = format!("{} declares no call to `{}`", opened.name, target.authority());
    let Some(caller) = opened.serving.view.service(service) else { return none };
    if callee(&opened.serving.view, service, &target.host, target.port).is_some() {
        return format!("{none} that covers this request");
    }
    let name = |index| opened.serving.view.service(index).map(|callee| callee.name());
    let callees: BTreeSet<&str> = caller.calls().iter().filter_map(|call| name(call.service())).collect();
    let named = callees.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
    match callees.len() {
        0 => format!("{none}, nor to any other"),
        count if count > MAX_NAMED => format!("{none}, but to {named} and {} more", count - MAX_NAMED),
        _ => format!("{none}, but to {named}"),
    }
}

fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
