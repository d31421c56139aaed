//! `outlier-detection`: the parts that it needs, and those that never eject anything (`spec/semantics.md` 11.2).

use super::declarations::missing;
use super::scope::{Place, Scope};
use super::shared::Named;
use crate::model::{Model, PortId};
use mesh_lang::ast::{self, EndpointSource, OutlierDetection};
use mesh_lang::{Code, Diagnostic, Diagnostics, Name, Spanned};

/// Whose endpoints are judged.
struct Judged<'a> {
    name: &'a str,
    /// How many are written; 0 where others know.
    endpoints: usize,
    /// Whether a port of it speaks HTTP.
    http: bool,
}

/// What a service says of its own endpoints, itself or by a profile.
pub(super) fn of_service(
    service: &ast::Service,
    place: Place<'_>,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) {
    let addresses = service.endpoints.iter().map(|one| match &one.source {
        EndpointSource::Static(list) => list.len(),
        _ => 0,
    });
    let judged = Judged {
        name: &service.name.value,
        endpoints: addresses.sum(),
        http: service.ports.is_empty() || service.ports.iter().any(|port| port.protocol.value.is_http()),
    };
    for limits in written(&service.limits, &service.settings.uses, place, scope) {
        of_limits(limits, &judged, diagnostics);
    }
}

/// What a caller says of the endpoints that it calls.
pub(super) fn of_call(
    calls: &ast::Calls,
    to: PortId,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
    diagnostics: &mut Diagnostics,
) {
    let port = model.port(to);
    let name = &model[to.service].workload.name;
    let known = port.endpoints.iter().filter(|endpoint| endpoint.name.is_empty()).count();
    let judged = Judged { name, endpoints: known, http: port.protocol.is_http() };
    for limits in written(&calls.limits, &calls.settings.uses, place, scope) {
        of_limits(limits, &judged, diagnostics);
    }
}

/// The limits of a block and of the profiles that it uses.
fn written<'a>(
    own: &'a ast::Limits,
    uses: &'a [Name],
    place: Place<'a>,
    scope: &'a Scope,
) -> impl Iterator<Item = &'a ast::Limits> {
    let profiles = uses.iter().filter_map(move |name| match scope.shared.get(&name.value, place) {
        Some((Named::Profile(profile), _)) => Some(&profile.limits),
        _ => None,
    });
    std::iter::once(own).chain(profiles)
}

fn of_limits(limits: &ast::Limits, judged: &Judged<'_>, diagnostics: &mut Diagnostics) {
    if let Some(detection) = &limits.outlier_detection {
        needed(detection, diagnostics);
        never_ejects(&detection.value, judged).into_iter().for_each(|problem| diagnostics.push(problem));
    }
}

fn needed(detection: &Spanned<Box<OutlierDetection>>, diagnostics: &mut Diagnostics) {
    let value = &detection.value;
    let mut need = |there: bool, part: &str, write: &str| {
        if !there {
            diagnostics.push(missing("the `outlier-detection`", part, detection.span, write));
        }
    };
    let any = value.consecutive_5xx.is_some()
        || value.consecutive_gateway_errors.is_some()
        || value.success_rate.is_some();
    need(any, "consecutive-5xx", "consecutive-5xx 5");
    need(value.interval.is_some(), "interval", "interval 10s");
    need(value.base_ejection_time.is_some(), "base-ejection-time", "base-ejection-time 30s");
    need(value.max_ejection.is_some(), "max-ejection-percent", "max-ejection-percent 50% min 1");
    if let (Some(base), Some(most)) = (value.base_ejection_time, value.max_ejection_time)
        && most.value < base.value
    {
        diagnostics.push(
            Diagnostic::new(Code::InvalidValue, "the longest time is shorter than the first")
                .at(most.span, "")
                .help("Make it at least as long as the `base-ejection-time`."),
        );
    }
}

/// Parts that never eject an endpoint, whatever it answers.
fn never_ejects(detection: &OutlierDetection, judged: &Judged<'_>) -> Vec<Diagnostic> {
    let vain = |message: String, span, label: &str, help: &str| {
        Diagnostic::new(Code::VainStatement, message).at(span, label).help(help)
    };
    let mut found = Vec::new();
    let (endpoints, name) = (judged.endpoints, judged.name);
    if let Some(share) = detection.max_ejection.filter(|share| share.value == (0, 0)) {
        let message = "0% of any number is none: nothing is ever ejected".to_owned();
        let help = "Write `max-ejection-percent 0% min 1`, or a larger share.";
        found.push(vain(message, share.span, "not one endpoint", help));
    }
    if let Some(least) = detection.min_hosts.filter(|least| endpoints > 0 && endpoints < least.value as usize)
    {
        let message = format!("`{name}` has {endpoints} endpoints: nothing is ever ejected");
        let help = format!("Write `min-hosts {endpoints}` or less, or delete it.");
        found.push(vain(message, least.span, "more than there are", &help));
    }
    if let Some(rate) = detection.success_rate.filter(|rate| rate.value == 0) {
        let message = "no share of successes is below 0%".to_owned();
        found.push(vain(message, rate.span, "never counts anything", "Raise it, or delete it."));
    }
    if let Some(errors) = detection.consecutive_gateway_errors {
        if !judged.http {
            let message = format!("`{name}` speaks no HTTP and answers no gateway errors");
            let help = "Delete it; lost connections count for `consecutive-5xx`.";
            found.push(vain(message, errors.span, "never counts anything", help));
        } else if let Some(all) = detection.consecutive_5xx.filter(|all| all.value <= errors.value) {
            let message = format!("`consecutive-5xx {}` ejects sooner", all.value);
            let help = "Gateway errors are 5xx, too: write a smaller number for them, or delete them.";
            found.push(
                vain(message, errors.span, "never counts so far", help).at(all.span, "counts these as well"),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn service(statements: &str) -> String {
        format!("service s {{\n{statements}\n}}\nauthorize s {{ allow from anyone }}\n")
    }

    fn detection(parts: &str, share: &str) -> String {
        format!(
            "outlier-detection {{ {parts}; interval 10s; base-ejection-time 30s; max-ejection-percent {share} }}"
        )
    }

    #[test]
    fn a_share_of_few_endpoints_is_rounded_up() {
        let text = service(
            "port 80 http; endpoints static \"10.0.0.1\", \"10.0.0.2\"\noutlier-detection { consecutive-5xx 5; interval 10s; base-ejection-time 30s; max-ejection-percent 10% }",
        );
        says(&text, &[]);
        says(&text.replace("10% }", "0% min 1 }"), &[]);
        says(
            &text.replace("interval 10s; ", "").replace("10% }", "0% }"),
            &[
                "3 MESH1011 the `outlier-detection` has no `interval`",
                "3 MESH5040 0% of any number is none: nothing is ever ejected",
            ],
        );
    }

    #[test]
    fn a_part_that_never_ejects_is_vain() {
        let here = |parts: &str, share: &str| {
            service(&format!(
                "port 80 http; endpoints static \"10.0.0.1\", \"10.0.0.2\"\n{}",
                detection(parts, share)
            ))
        };
        says(&here("consecutive-5xx 5", "50%"), &[]);
        says(
            &here("consecutive-5xx 5", "0%"),
            &["3 MESH5040 0% of any number is none: nothing is ever ejected"],
        );
        says(
            &here("consecutive-5xx 5; min-hosts 3", "50%"),
            &["3 MESH5040 `s` has 2 endpoints: nothing is ever ejected"],
        );
        says(&here("consecutive-5xx 5; min-hosts 2", "50%"), &[]);
        says(&here("success-rate 0%", "50%"), &["3 MESH5040 no share of successes is below 0%"]);
        says(
            &here("consecutive-5xx 5; consecutive-gateway-errors 5", "50%"),
            &["3 MESH5040 `consecutive-5xx 5` ejects sooner"],
        );
        says(&here("consecutive-5xx 5; consecutive-gateway-errors 4", "50%"), &[]);
    }

    #[test]
    fn a_caller_judges_the_endpoints_that_it_calls() {
        let call = |callee: &str, parts: &str| {
            format!(
                "{}service web {{ port 80 http; endpoints static \"10.1.0.1\"\ncalls s {{ {} }} }}\nauthorize web {{ allow from anyone }}\n",
                service(callee),
                detection(parts, "0%")
            )
        };
        let few = "port 80 http; endpoints static \"10.0.0.1\", \"10.0.0.2\"";
        says(
            &call(few, "consecutive-5xx 5"),
            &["6 MESH5040 0% of any number is none: nothing is ever ejected"],
        );
        says(&call(few, "consecutive-5xx 5").replace("0% }", "10% }"), &[]);
        says(
            &call("port 80 tcp", "consecutive-gateway-errors 5").replace("0% }", "10% }"),
            &["6 MESH5040 `s` speaks no HTTP and answers no gateway errors"],
        );
    }
}
