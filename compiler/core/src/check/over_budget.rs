//! `MESH3090`: a partition too large to be decided exactly. Refusing it is what keeps the promise of exactness.

use crate::diagram::MAX_CELLS;
use crate::model::Model;
use crate::partition::{MAX_HEADERS, MAX_LINES, OverBudget, Owner};
use crate::space::path::MAX_STATES;
use mesh_lang::{Code, Diagnostic, Span};

/// What was too much, and of what.
pub(crate) fn over_budget(model: &Model, owner: Owner, why: &OverBudget) -> Diagnostic {
    let (name, span): (String, Span) = match owner {
        Owner::Port(id) => (model.port_name(id), model[id.service].workload.span),
        Owner::Listener(gateway, listener) => {
            let listener = &model[gateway].listeners[listener as usize];
            (format!("{} listener {}", model[gateway].full_name(), listener.name), listener.span)
        }
        Owner::Call(service, call) => (model[service].full_name(), model[service].calls[call as usize].span),
    };
    let (what, help) = match why {
        OverBudget::Lines(count) => (
            format!("its rules are {count} lines with lists written out, more than {MAX_LINES}"),
            "Use a prefix instead of long lists, or split the service.",
        ),
        OverBudget::Headers(count) => (
            format!("it tests {count} headers, more than {MAX_HEADERS}"),
            "A request carries a hundred headers at most: test fewer of them.",
        ),
        OverBudget::States => (
            format!("its path patterns need more than {MAX_STATES} states"),
            "Many patterns with `{name}` in the same places multiply: use fewer of them, or `/**`.",
        ),
        OverBudget::Nodes => (
            format!("its decision needs more than {MAX_CELLS} cells"),
            "Conditions on many independent headers multiply: test fewer of them in one route.",
        ),
    };
    Diagnostic::new(
        Code::AnalysisBudget,
        format!("the policy of `{name}` is too large to be decided exactly"),
    )
    .at(span, what)
    .help(help)
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn wildcards_that_multiply_are_refused_and_not_guessed_about() {
        // Each pattern asks for a literal at another place: the automaton must remember which ones still fit.
        let patterns: Vec<String> = (0..17)
            .map(|at| {
                let segments =
                    (0..17).map(|place| if place == at { "/a".to_owned() } else { format!("/{{x{place}}}") });
                format!("allow from anyone to {}", segments.collect::<String>())
            })
            .collect();
        let text = format!("service web {{ port 80 http }}\nauthorize web {{\n{}\n}}\n", patterns.join("\n"));
        says(&text, &["1 MESH3090 the policy of `web.default` is too large to be decided exactly"]);
    }
}
