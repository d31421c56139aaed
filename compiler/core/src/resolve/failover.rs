//! `MESH5009`: a `failover` that never brings a request to a healthy endpoint (`spec/semantics.md` 10.7).

use super::declarations::unknown_among;
use super::scope::{Place, Scope, Target};
use super::settings::{has_limit, has_outlier_detection};
use super::{Module, declared, service};
use mesh_lang::ast::{self, Endpoints};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name};
use std::collections::BTreeSet;

/// The word for the cluster of whoever calls.
const LOCAL: &str = "local";

/// What is wrong with the failovers of services; `clusters` are those of the mesh.
pub(super) fn check(modules: &[Module<'_>], scope: &Scope, clusters: &[Name], diagnostics: &mut Diagnostics) {
    let with = || declared(modules, service).filter(|(_, service)| !service.failover.is_empty());
    if with().next().is_none() {
        return;
    }
    let judged = judged_by_callers(modules, scope);
    for (place, service) in with() {
        for name in service.failover.iter().filter(|name| name.value != LOCAL) {
            unknown_among("cluster", name, clusters, "clusters", diagnostics);
        }
        let own = ast::ServiceRef::new(service.name.span, service.name.value.clone());
        let judged = scope.known(&own, place).is_some_and(|target| judged.contains(&target));
        let mut found: Vec<Diagnostic> =
            [twice(service), elsewhere(service, clusters), nowhere_else(service), left_out(service)]
                .into_iter()
                .flatten()
                .collect();
        if found.is_empty() {
            found.extend(nobody_judges(service, judged, place, scope));
            found.extend(nothing_there(service));
        }
        found.into_iter().for_each(|problem| diagnostics.push(problem));
    }
}

/// The services whose endpoints some caller judges by an `outlier-detection` of its own.
fn judged_by_callers(modules: &[Module<'_>], scope: &Scope) -> BTreeSet<Target> {
    let calls = declared(modules, service)
        .flat_map(|(place, service)| service.calls.iter().map(move |calls| (place, calls)));
    let judging = calls.filter(|(place, calls)| {
        has_limit(&calls.settings, &calls.limits, *place, scope, has_outlier_detection)
    });
    let callees = judging.flat_map(|(place, calls)| calls.services.iter().map(move |name| (place, name)));
    callees.filter_map(|(place, name)| scope.known(name, place)).collect()
}

/// A chain that comes back to where nothing was healthy.
fn twice(service: &ast::Service) -> Option<Diagnostic> {
    let chain = &service.failover;
    let clusters = chain.iter().enumerate().filter(|(_, name)| name.value != LOCAL);
    let (again, first) = clusters.into_iter().find_map(|(at, name)| {
        chain[..at].iter().find(|earlier| earlier.value == name.value).map(|first| (name, first))
    })?;
    Some(
        say(
            service,
            format!("comes back to `{}`", again.value),
            again,
            "when all are unhealthy nothing stops",
        )
        .at(first.span, "nothing here was healthy")
        .help("Name each cluster once; where no endpoint of the last one is healthy, the answer is 503."),
    )
}

/// A cluster in which the service does not run.
fn elsewhere(service: &ast::Service, clusters: &[Name]) -> Option<Diagnostic> {
    let is_in = |names: &[Name], name: &Name| names.iter().any(|own| own.value == name.value);
    let absent = service.failover.iter().find(|name| {
        !service.clusters.is_empty() && is_in(clusters, name) && !is_in(&service.clusters, name)
    })?;
    Some(
        say(
            service,
            format!("goes to `{}`, where it does not run", absent.value),
            absent,
            "no endpoint is there",
        )
        .help("Add the cluster to `clusters`, or take it out of `failover`."),
    )
}

/// Endpoints that no request reaches, wherever it comes from.
fn left_out(service: &ast::Service) -> Option<Diagnostic> {
    let chain = &service.failover;
    let is_named = |cluster: &Name| chain.iter().any(|own| own.value == cluster.value || own.value == LOCAL);
    let clusters = service.endpoints.iter().filter_map(|one| one.cluster.as_ref());
    let cluster = clusters.into_iter().find(|cluster| !is_named(cluster))?;
    let last = chain.last()?;
    Some(
        say(service, format!("never goes to `{}`", cluster.value), cluster, "no request comes here")
            .at(last.span, "the last one that is asked")
            .help("Name the cluster in `failover`, or delete its endpoints."),
    )
}

/// Endpoints in one cluster only: wherever a request comes from, it goes there already.
fn nowhere_else(service: &ast::Service) -> Option<Diagnostic> {
    let [only] = service.clusters.as_slice() else { return None };
    let last = service.failover.last().filter(|last| last.value == only.value)?;
    Some(
        say(service, "has nowhere else to go".to_owned(), last, "goes there with and without it")
            .at(only.span, "the only cluster it runs in")
            .help("Delete the `failover`, or add a cluster to `clusters`."),
    )
}

/// Who never finds an endpoint unhealthy never leaves its cluster.
fn nobody_judges(
    service: &ast::Service,
    judged_by_callers: bool,
    place: Place<'_>,
    scope: &Scope,
) -> Option<Diagnostic> {
    let own = has_limit(&service.settings, &service.limits, place, scope, has_outlier_detection);
    if service.health_check.is_some() || own || judged_by_callers {
        return None;
    }
    let first = service.failover.first()?;
    Some(
        say(
            service,
            "never happens".to_owned(),
            first,
            "nothing finds its endpoints unhealthy, so none is left",
        )
        .help("Add a `health-check`, or an `outlier-detection`: without one, requests stay where they fail."),
    )
}

/// A cluster without an endpoint, of the service or of one of its subsets, where it is written in which cluster each endpoint is.
fn nothing_there(service: &ast::Service) -> Option<Diagnostic> {
    let endpoints = &service.endpoints;
    if endpoints.is_empty() || endpoints.iter().any(|one| one.cluster.is_none()) {
        return None;
    }
    let clusters = service.failover.iter().filter(|name| name.value != LOCAL);
    for cluster in clusters {
        let there: Vec<&Endpoints> = endpoints.iter().filter(|one| is_in(one, cluster)).collect();
        if there.is_empty() {
            let what = format!("goes to `{}`, where it has no endpoint", cluster.value);
            return Some(
                say(service, what, cluster, "no `endpoints` of it is here")
                    .help("Write its endpoints there, or take the cluster out of `failover`."),
            );
        }
        let mut everywhere =
            service.subsets.iter().filter(|subset| subset.cluster.is_none() && subset.endpoints.is_empty());
        if let Some(subset) = everywhere.find(|subset| !there.iter().any(|one| carries(one, subset))) {
            let what =
                format!("goes to `{}`, where subset `{}` has no endpoint", cluster.value, subset.name.value);
            return Some(
                say(service, what, cluster, "requests for the subset fail here")
                    .at(subset.span, "of these labels none is there")
                    .help("Label an endpoint there, or say that the subset is of one cluster: `subset … cluster NAME`."),
            );
        }
    }
    None
}

fn is_in(endpoints: &Endpoints, cluster: &Name) -> bool {
    endpoints.cluster.as_ref().is_some_and(|own| own.value == cluster.value)
}

fn carries(endpoints: &Endpoints, subset: &ast::Subset) -> bool {
    let same = |wanted: &ast::Label, label: &ast::Label| {
        wanted.key.value == label.key.value && wanted.value.value == label.value.value
    };
    subset.labels.iter().all(|wanted| endpoints.labels.iter().any(|label| same(wanted, label)))
}

fn say(service: &ast::Service, what: String, at: &Name, label: &str) -> Diagnostic {
    Diagnostic::new(Code::VainFailover, format!("the failover of `{}` {what}", service.name.value))
        .at(at.span, label)
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    const CHECK: &str = "health-check tcp { interval 5s; timeout 1s }";

    fn service(statements: &str) -> String {
        format!(
            "mesh m {{ clusters east, west }}\nservice s {{ port 80 http\n{statements}\n}}\nauthorize s {{ allow from anyone }}\n"
        )
    }

    #[test]
    fn a_chain_does_not_come_back() {
        says(
            &service(&format!("{CHECK}; failover east -> west -> east")),
            &["3 MESH5009 the failover of `s` comes back to `east`"],
        );
        says(&service(&format!("{CHECK}; failover local -> east -> west")), &[]);
    }

    #[test]
    fn there_is_somewhere_to_go() {
        let text = |clusters: &str, failover: &str| {
            service(&format!("{CHECK}; clusters {clusters}; failover {failover}"))
        };
        says(
            &text("east", "local -> west"),
            &["3 MESH5009 the failover of `s` goes to `west`, where it does not run"],
        );
        says(&text("east", "local -> east"), &["3 MESH5009 the failover of `s` has nowhere else to go"]);
        says(&text("east, west", "local -> west"), &[]);
        says(&service(&format!("{CHECK}; failover local -> north")), &["3 MESH2001 unknown cluster `north`"]);
    }

    #[test]
    fn all_endpoints_are_reached_from_somewhere() {
        let text = |chain: &str| {
            service(&format!(
                "{CHECK}; failover {chain}\nendpoints static \"10.0.0.1\" cluster east\nendpoints static \"10.1.0.1\" cluster west\nendpoints static \"10.2.0.1\" cluster north"
            ))
            .replace("east, west", "east, west, north")
        };
        says(&text("east -> west"), &["6 MESH5009 the failover of `s` never goes to `north`"]);
        says(&text("local -> west"), &[]);
        says(&text("east -> west -> north"), &[]);
    }

    #[test]
    fn somebody_finds_endpoints_unhealthy() {
        let failover = "failover local -> west";
        let said = "3 MESH5009 the failover of `s` never happens";
        says(&service(failover), &[said]);
        let outliers = "outlier-detection { consecutive-5xx 5; interval 10s; base-ejection-time 30s; max-ejection-percent 50% min 1 }";
        says(&service(&format!("{failover}; {outliers}")), &[]);
        says(&format!("{}profile p {{ {outliers} }}\n", service(&format!("{failover}; use p"))), &[]);
        says(&format!("{}service web {{ calls s {{ {outliers} }} }}\n", service(failover)), &[]);
        says(&format!("{}service web {{ calls s {{ timeout 1s }} }}\n", service(failover)), &[said]);
    }

    #[test]
    fn where_it_goes_there_are_endpoints() {
        let west = |more: &str, labels: &str| {
            service(&format!(
                "{CHECK}; failover local -> west; {more}\nendpoints static \"10.0.0.1\" label v = \"1\" cluster east\nendpoints static \"10.1.0.1\" {labels} cluster west"
            ))
        };
        says(&west("", "label v = \"2\""), &[]);
        says(
            &west("", "").replace("cluster west", "cluster east"),
            &["3 MESH5009 the failover of `s` goes to `west`, where it has no endpoint"],
        );
        let said = "3 MESH5009 the failover of `s` goes to `west`, where subset `one` has no endpoint";
        says(&west("subset one label v = \"1\"", "label v = \"2\""), &[said]);
        let unsent = "3 MESH2021 nothing is sent to subset `one` of `s`";
        says(&west("subset one label v = \"1\"", "label v = \"1\""), &[unsent]);
        says(&west("subset one label v = \"1\" cluster east", "label v = \"2\""), &[unsent]);
    }
}
