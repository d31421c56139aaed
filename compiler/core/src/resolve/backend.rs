//! Where a rule sends requests: services, subsets, and weights that sum to 100 %.

use super::scope::{self, Place, Scope};
use super::shared::Named;
use crate::model::{Model, PortId};
use mesh_lang::ast::{self, Weight};
use mesh_lang::diagnostic::suggest::meant;
use mesh_lang::{Code, Diagnostic, Span};

/// A destination with its weight written out.
pub(super) struct Destination {
    pub(super) to: PortId,
    pub(super) subset: Option<u32>,
    /// Basis points.
    pub(super) weight: u32,
    /// As written, without the weight.
    pub(super) text: String,
}

/// The whole of a weight, in basis points.
const WHOLE: u32 = 10_000;

/// The destinations of a `to` or an `expect`, in the order written.
pub(super) fn resolve(
    backends: &[ast::Backend],
    span: Span,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Vec<Destination>, Vec<Diagnostic>> {
    if let [only] = backends
        && only.subset.is_none()
        && only.port.is_none()
        && only.weight.is_none()
        && only.service.namespace().is_none()
        && let Some((Named::Split(split), home)) = scope.shared.get(only.service.name(), place)
    {
        return resolve_written(&split.backends, split.span, home, scope, model);
    }
    resolve_written(backends, span, place, scope, model)
}

/// The destinations of a list as it stands.
fn resolve_written(
    backends: &[ast::Backend],
    span: Span,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Vec<Destination>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut found: Vec<(Destination, Span)> = Vec::new();
    let weights = weights(backends, span).unwrap_or_else(|problem| {
        problems.push(problem);
        vec![0; backends.len()]
    });
    for (backend, weight) in backends.iter().zip(weights) {
        match destination(backend, weight, place, scope, model) {
            Ok(one) => match found.iter().find(|(other, _)| (other.to, other.subset) == (one.to, one.subset))
            {
                Some((_, first)) => problems.push(
                    Diagnostic::new(Code::DuplicateName, format!("`{backend}` stands twice in one split"))
                        .at(backend.span, "again here")
                        .at(*first, "first here")
                        .help("Add the two weights up in one place."),
                ),
                None => found.push((one, backend.span)),
            },
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(found.into_iter().map(|(one, _)| one).collect()) } else { Err(problems) }
}

fn destination(
    backend: &ast::Backend,
    weight: u32,
    place: Place<'_>,
    scope: &Scope,
    model: &Model,
) -> Result<Destination, Diagnostic> {
    let service = scope.service(&backend.service, place)?;
    let to = scope::port(model, service, backend.port.as_ref(), backend.span)?;
    let subsets = &model[service].subsets;
    let subset = match &backend.subset {
        None => None,
        Some(name) => match subsets.iter().position(|subset| subset.name == name.value) {
            Some(index) => Some(index as u32),
            None => {
                let names = || subsets.iter().map(|subset| subset.name.as_str());
                let problem = Diagnostic::new(
                    Code::UnknownSubset,
                    format!("service `{}` has no subset `{}`", backend.service, name.value),
                )
                .at(name.span, "not a subset of this service")
                .at(model[service].workload.span, "declared here");
                return Err(match meant(&name.value, names()) {
                    Some(near) => problem.did_you_mean(&name.value, near),
                    None if subsets.is_empty() => {
                        problem.help(format!("Declare it: `subset {0} label version = \"{0}\"`.", name.value))
                    }
                    None => problem.help(format!("Its subsets are {}.", scope::listed(names()))),
                });
            }
        },
    };
    Ok(Destination { to, subset, weight, text: backend.to_string() })
}

/// One backend needs no weight; several sum to 100 %, or one takes the rest.
fn weights(backends: &[ast::Backend], span: Span) -> Result<Vec<u32>, Diagnostic> {
    let wrong = |message: String, span: Span, label: &str, help: &str| {
        Err(Diagnostic::new(Code::WeightsNotHundred, message).at(span, label).help(help))
    };
    let rests: Vec<&ast::Backend> = backends
        .iter()
        .filter(|backend| matches!(&backend.weight, Some(weight) if weight.value == Weight::Rest))
        .collect();
    if let [_, second, ..] = rests.as_slice() {
        return wrong(
            "`rest` stands twice in one split".into(),
            second.span,
            "the second `rest`",
            "Give one of them a percentage.",
        );
    }
    if let (Some(bare), true) = (backends.iter().find(|backend| backend.weight.is_none()), backends.len() > 1)
    {
        return wrong(
            format!("`{bare}` has no weight"),
            bare.span,
            "one of several backends",
            "Give every backend a percentage, or write `rest` for one of them.",
        );
    }
    let share = |backend: &ast::Backend| match &backend.weight {
        Some(weight) => match weight.value {
            Weight::Percent(points) | Weight::Controlled { value: points, .. } => points,
            Weight::Rest => 0,
        },
        None => WHOLE,
    };
    // A weight that is set while the mesh runs is looked at where it is largest, too.
    let most = |backend: &ast::Backend| match &backend.weight {
        Some(weight) => match weight.value {
            Weight::Controlled { high, .. } => high,
            _ => share(backend),
        },
        None => WHOLE,
    };
    let largest: u32 = backends.iter().map(most).sum();
    let sum: u32 = backends.iter().map(share).sum();
    let controlled = backends.iter().any(|backend| {
        backend.weight.is_some_and(|weight| matches!(weight.value, Weight::Controlled { .. }))
    });
    if controlled && (rests.is_empty() || largest > WHOLE) {
        let percent = format!("{}%", f64::from(largest) / 100.0);
        return wrong(
            format!("the weights may sum to {percent}"),
            span,
            "one of them is set while the mesh runs",
            "Write `rest` for one of the backends, and keep the largest values below 100% in all.",
        );
    }
    if sum > WHOLE || (sum < WHOLE && rests.is_empty()) {
        let percent = format!("{}%", f64::from(sum) / 100.0);
        let help = if sum > WHOLE {
            "Lower them to 100% in all."
        } else {
            "Raise one of them, or write `rest` for it."
        };
        return wrong(
            format!("the weights sum to {percent}, not 100%"),
            span,
            &format!("{percent} in all"),
            help,
        );
    }
    Ok(backends
        .iter()
        .map(
            |backend| {
                if rests.iter().any(|rest| std::ptr::eq(*rest, backend)) {
                    WHOLE - sum
                } else {
                    share(backend)
                }
            },
        )
        .collect())
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says};

    #[test]
    fn weights_sum_to_a_hundred() {
        says(&route("to s:v1 90%, s:v2 10%"), &[]);
        says(&route("to s:v1 rest, s:v2 33.33%"), &[]);
        says(&route("to s:v1 100%, s:v2 rest"), &[]);
        says(&route("to s:v1 90%, s:v2 5%"), &["4 MESH5008 the weights sum to 95%, not 100%"]);
        says(&route("to s:v1 90%, s:v2 20%"), &["4 MESH5008 the weights sum to 110%, not 100%"]);
        says(&route("to s:v1, s:v2 20%"), &["4 MESH5008 `s:v1` has no weight"]);
        says(&route("to s:v1 rest, s:v2 rest"), &["4 MESH5008 `rest` stands twice in one split"]);
    }

    #[test]
    fn a_destination_stands_once_and_exists() {
        says(&route("to s:v1 50%, s:v1 50%"), &["4 MESH2002 `s:v1` stands twice in one split"]);
        says(&route("to s:v3"), &["4 MESH2003 service `s` has no subset `v3`"]);
        says(&route("to t"), &["4 MESH2001 unknown service `t`"]);
    }
}
