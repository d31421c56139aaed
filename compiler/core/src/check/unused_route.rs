//! `MESH5040`: a consumer route for what its caller never sends.

use super::entered;
use crate::model::{Caller, ConsumerRoute, Model};
use mesh_lang::{Code, Diagnostic};

/// A service sends what it declares with `calls`, a gateway what its rules send.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    model.consumer_routes.iter().filter_map(|route| of_route(model, route)).collect()
}

fn of_route(model: &Model, route: &ConsumerRoute) -> Option<Diagnostic> {
    let span = route.table.spans.first()?;
    let (caller, callee) = (model.workload(route.caller), &model[route.to.service].workload);
    let near =
        if caller.namespace == callee.namespace { callee.name.to_string() } else { callee.full_name() };
    let port = match model[route.to.service].ports.len() {
        1 => String::new(),
        _ => format!(" port {}", model.port(route.to).name),
    };
    let (message, help) = match route.caller {
        Caller::Service(id) if !model[id].calls.iter().any(|call| call.to == route.to) => (
            format!("`{}` does not call `{near}{port}`", caller.name),
            format!("Write `calls {near}{port}` in `service {}`, or delete the route.", caller.name),
        ),
        Caller::Gateway(id) => {
            let tables = model[id].listeners.iter().flat_map(|listener| &listener.tables);
            if tables.flat_map(|host| entered(&host.table)).any(|to| to == route.to) {
                return None;
            }
            (
                format!("no rule of gateway `{}` sends to `{near}{port}`", caller.name),
                format!("Send there in a rule, `to {near}{port}` without a subset, or delete the route."),
            )
        }
        Caller::Service(_) => return None,
    };
    Some(Diagnostic::new(Code::VainStatement, message).at(*span, "no request takes this route").help(help))
}
