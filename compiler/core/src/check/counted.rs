//! `rate-limit global`: limiters that refuse to be asked for counts (`MESH4010`; `spec/semantics.md` 11.11a).

use super::asked::{is_refused, let_in, question};
use super::entered;
use crate::model::{Caller, GatewayId, Model, PortId, ServiceId, Table};
use mesh_lang::{Code, Diagnostic};
use mesh_plan::{Counting, Edit, RateLimit};
use std::collections::BTreeSet;

/// The method of gRPC that limiters are asked by, as a path (`envoy/service/ratelimit/v3/rls.proto`).
const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// One finding for each limiter and each that it refuses.
///
/// Time: for each workload linear in the rules that its requests may come to, and for each that asks in the lines of the limiter's authorization.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let shape = question(METHOD);
    let refused = who_asks(model).into_iter().filter_map(|(by, who)| {
        let (own, span) = model.limiters.get(by as usize)?.as_ref()?;
        is_refused(model, who, own.to, std::slice::from_ref(&shape)).then(|| {
            let callee = &model[own.to.service].workload;
            let message =
                format!("`{}` refuses whoever asks it to count: `{}`", callee.name, model.workload(who).name);
            Diagnostic::new(Code::UnallowedCall, message)
                .at(*span, "counts for a limit there")
                .at(callee.span, "no `allow` of it covers the question")
                .help(let_in(model, who, own.to))
        })
    });
    refused.collect()
}

/// Whose proxies have something counted, and where.
pub(super) fn asked(model: &Model) -> BTreeSet<(Caller, PortId)> {
    let found = who_asks(model).into_iter();
    found.filter_map(|(by, who)| Some((who, model.limiters.get(by as usize)?.as_ref()?.0.to))).collect()
}

/// Numbers of limiters, and whose proxies ask them: those whose own the limits are, and those whose requests may come to the rules.
fn who_asks(model: &Model) -> BTreeSet<(u32, Caller)> {
    let mut found = BTreeSet::new();
    if model.limiters.is_empty() {
        return found;
    }
    for (service, id) in model.services.iter().zip(0..) {
        let who = Caller::Service(ServiceId(id));
        let called = service.calls.iter().filter_map(|call| first_table(model, who, call.to));
        let asked = reached(model, who, called.collect());
        found.extend(asked.chain(limiters(&service.limits)).map(|by| (by, who)));
    }
    for (gateway, id) in model.gateways.iter().zip(0..) {
        let who = Caller::Gateway(GatewayId(id));
        let tables = gateway.listeners.iter().flat_map(|listener| &listener.tables).map(|table| &table.table);
        let asked = reached(model, who, tables.collect());
        let own = gateway.listeners.iter().flat_map(|listener| limiters(&listener.limits));
        found.extend(asked.chain(own).chain(limiters(&gateway.limits)).map(|by| (by, who)));
    }
    found
}

/// The rules that decide first about what somebody sends to a port.
fn first_table(model: &Model, who: Caller, to: PortId) -> Option<&Table> {
    let own = model.consumer_route(who, to).map(|own| &model.consumer_routes[own].table);
    own.or_else(|| model.port(to).route.as_ref())
}

/// Who counts for the rules of some tables, and of the routes that they enter.
fn reached<'m>(model: &'m Model, who: Caller, first: Vec<&'m Table>) -> impl Iterator<Item = u32> + 'm {
    let mut tables = first;
    let (mut next, mut known) = (0, BTreeSet::new());
    let firsts = tables.len();
    while let Some(table) = tables.get(next).copied() {
        for port in entered(table) {
            // Of a gateway the first route that is entered may be its own.
            let own = matches!(who, Caller::Gateway(_)) && next < firsts;
            let table = if own { first_table(model, who, port) } else { model.port(port).route.as_ref() };
            if known.insert((own, port)) {
                tables.extend(table);
            }
        }
        next += 1;
    }
    tables.into_iter().flat_map(of_table)
}

fn of_table(table: &Table) -> impl Iterator<Item = u32> + '_ {
    table.rules.iter().flat_map(|rule| limiters(&rule.edits))
}

fn limiters(edits: &[Edit]) -> impl Iterator<Item = u32> + '_ {
    edits.iter().filter_map(|edit| match edit {
        Edit::RateLimit(RateLimit { counting: Counting::Global { by }, .. }) => Some(*by),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(limit: &str, rule: &str, access: &str) -> String {
        format!(
            "rate-limiter counter {{ service counts; timeout 20ms; on-failure allow }}\nservice counts {{ port 81 grpc }}\nauthorize counts {{ {access} }}\nservice web {{ calls shop }}\nservice shop {{ port 80 http\n{limit} }}\nroute shop {{ to shop\n{rule} }}\nauthorize shop {{ allow from web }}\n"
        )
    }

    #[test]
    fn a_limiter_lets_in_who_asks_it() {
        let limit = "rate-limit global 10/m by counter";
        let refused = |who: &str| format!("1 MESH4010 `counts` refuses whoever asks it to count: `{who}`");
        says(&mesh(limit, "", "allow from shop"), &[]);
        says(&mesh(limit, "", "allow from anyone; deny from shop, unauthenticated"), &[&refused("shop")]);
        says(&mesh("", &format!("rule r {{ match /a; to shop; {limit} }}"), "allow from web"), &[]);
        says(
            &mesh(
                "",
                &format!("rule r {{ match /a; to shop; {limit} }}"),
                "allow from anyone; deny from web, unauthenticated",
            ),
            &[&refused("web")],
        );
    }
}
