//! `MESH5005`: a service that many call and that nothing protects from all of them at once.

use super::graph::{Count, Graph, Product, Tries};
use crate::model::{Caller, Model, ServiceId};
use mesh_lang::{Code, Diagnostic};

/// From so many callers on one slow service holds up a good part of a mesh.
const MANY_CALLERS: usize = 5;

/// From so many tries on, when each caller has one request, few callers are as bad as many.
const MANY_TRIES: u64 = 16;

/// As many callers are pointed at; the others are named.
const SHOWN: usize = 3;

/// More names are a list that nobody reads.
const NAMED: usize = 12;

/// Services without `circuit-breaker` that many call, or few that try often; where it is said of the tries that they are too many
/// (`MESH5002`), nothing more is said of them. Who limits its own calls does not count. Time: linear in the calls.
pub(super) fn check(model: &Model, graph: &Graph<'_>, too_many_tries: bool) -> Vec<Diagnostic> {
    let tries = graph.tries(Count::Most);
    let all = model.services.iter().zip(0..).filter(|(service, _)| service.settings.breaker.is_none());
    all.filter_map(|(_, id)| of_service(model, &tries, ServiceId(id), too_many_tries)).collect()
}

fn of_service(
    model: &Model,
    tries: &Tries<'_, '_>,
    id: ServiceId,
    too_many_tries: bool,
) -> Option<Diagnostic> {
    let callers = tries.unlimited(id);
    let together = callers.iter().fold(Product::NONE, |sum, (.., tries)| sum.plus(*tries));
    let (name, is_called) = (&model[id].workload.name, callers.len());
    let message = match is_called {
        many if many >= MANY_CALLERS => format!("{many} call `{name}`, and it has no `circuit-breaker`"),
        0 => return None,
        _ if too_many_tries || !together.is_over(MANY_TRIES - 1) => return None,
        1 => format!("`{name}` may get {together} tries for one request, and it has no `circuit-breaker`"),
        few => format!(
            "`{name}` may get {together} tries for one request of each of {few}, and it has no `circuit-breaker`"
        ),
    };
    let mut problem = Diagnostic::new(Code::MissingBreaker, message)
        .at(model[id].workload.span, "when it is slow, all their connections wait for it");
    for (caller, hop, tries) in callers.iter().take(SHOWN) {
        let often = if *tries == Product::ONE { String::new() } else { format!(", up to {tries} tries") };
        problem = problem.at(hop.span, format!("`{}` calls it{often}", model.workload(*caller).name));
    }
    Some(
        problem
            .note(format!("called by {}", names(model, callers.iter().map(|(caller, ..)| *caller))))
            .help(format!("Say in `service {name}` how much it bears: `{}`.", suggested(model, id))),
    )
}

fn names(model: &Model, callers: impl Iterator<Item = Caller>) -> String {
    let mut names: Vec<String> = callers.map(|caller| format!("`{}`", model.workload(caller).name)).collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

/// The numbers are Envoy's own defaults: what a mesh has that never thought of it.
fn suggested(model: &Model, id: ServiceId) -> &'static str {
    match model[id].ports.iter().any(|port| port.protocol.is_http()) {
        true => "circuit-breaker { max-connections 1024; max-pending-requests 1024; max-requests 1024 }",
        false => "circuit-breaker { max-connections 1024 }",
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn mesh(callers: usize, calls: &str, auth: &str) -> String {
        let callers =
            (0..callers).map(|number| format!("service c{number} {{ calls auth {{ {calls} }} }}\n"));
        let callers: String = callers.collect();
        format!("service auth {{ port 80 http; {auth} }}\nauthorize auth {{ allow from anyone }}\n{callers}")
    }

    const BREAKER: &str = "circuit-breaker { max-requests 100 }";

    #[test]
    fn five_callers_are_many() {
        let said =
            |callers: usize| format!("1 MESH5005 {callers} call `auth`, and it has no `circuit-breaker`");
        says(&mesh(4, "", ""), &[]);
        says(&mesh(5, "", ""), &[&said(5)]);
        says(&mesh(6, "", ""), &[&said(6)]);
        says(&mesh(6, "", BREAKER), &[]);
        says(&mesh(6, BREAKER, ""), &[]);
        let profile = format!("profile p {{ {BREAKER} }}\n");
        says(&format!("{}{profile}", mesh(6, "", "use p")), &[]);
        says(&format!("{}{profile}", mesh(6, "use p", "")), &[]);
    }

    #[test]
    fn callers_that_limit_themselves_do_not_count() {
        let own = format!("service own {{ calls auth {{ {BREAKER} }} }}\n");
        says(&format!("{}{own}", mesh(4, "", "")), &[]);
    }

    #[test]
    fn few_that_try_often_are_as_bad() {
        let and = "and it has no `circuit-breaker`";
        says(&mesh(3, "retry 4 on reset", ""), &[]);
        says(
            &mesh(4, "retry 3 on reset", ""),
            &[&format!("1 MESH5005 `auth` may get 16 tries for one request of each of 4, {and}")],
        );
        let limit = "mesh m { limit retry-amplification 99 }; ".replace("; ", "\n");
        says(
            &format!("{limit}{}", mesh(1, "retry 7 on reset; client-retry 1", "")),
            &[&format!("2 MESH5005 `auth` may get 16 tries for one request, {and}")],
        );
    }
}
