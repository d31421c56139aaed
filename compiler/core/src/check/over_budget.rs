//! `MESH3090`: a partition too large to be decided exactly. Refusing it is what keeps the promise of exactness.

use super::tables;
use crate::diagram::MAX_CELLS;
use crate::diagram::symbolic::MAX_STEPS;
use crate::model::{Model, Shape};
use crate::partition::{MAX_FIELDS, MAX_LINES, OverBudget, Owner};
use crate::space::text::TextTest;
use crate::space::value::{MAX_ITEM_TESTS, MAX_UNIONS, TooMuch};
use crate::space::{TooFine, automaton, path};
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
        Owner::Consumer(index) => {
            let route = &model.consumer_routes[index as usize];
            let span = route.table.spans.first().copied().unwrap_or(model.workload(route.caller).span);
            (model.consumer_route_name(route), span)
        }
    };
    let (what, help) = match why {
        OverBudget::Lines(count) => (
            format!("its rules are {count} lines with lists written out, more than {MAX_LINES}"),
            "Use a prefix instead of long lists, or split the service.",
        ),
        OverBudget::Fields(count) => (
            format!("it tests {count} headers and other fields, more than {MAX_FIELDS}"),
            "A request carries a hundred headers at most: test fewer of them.",
        ),
        OverBudget::Fine(TooFine { why: TooMuch::Patterns, .. }) => (
            format!("its path patterns need more than {} states", path::MAX_STATES),
            "Many patterns with `{name}` in the same places multiply: use fewer of them, or `/**`.",
        ),
        OverBudget::Fine(TooFine { field, why: TooMuch::States(_) }) => (
            format!("what it asks of {field} needs more than {} states", automaton::MAX_STATES),
            "Conditions that look into the middle of a value multiply: join them in one regex with `|`, or use `=` or `prefix`.",
        ),
        OverBudget::Fine(TooFine { field, why: TooMuch::Unions }) => (
            format!("what it asks of repeated values of {field} has more than {MAX_UNIONS} answers"),
            "A `deny`, and `has`, ask each of several values: put the values of one line into one `in (…)`, or into one regex with `|`.",
        ),
        OverBudget::Fine(TooFine { field, why: TooMuch::Items }) => (
            format!("it asks more than {MAX_ITEM_TESTS} things of each value of {field}"),
            "A `deny`, and `has`, ask each of several values: put the values of one line into one `in (…)`, or into one regex with `|`.",
        ),
        OverBudget::Steps => (
            format!("how its path patterns overlap needs more than {MAX_STEPS} steps"),
            "Many patterns with `{name}` in the same places multiply: use fewer of them, or `/**`.",
        ),
        OverBudget::List => (
            "its path patterns need a list of candidates that is too long".to_owned(),
            "Many patterns with `{name}` in the same places multiply, and so do `audit` lines beside them: use fewer of them, or `/**`.",
        ),
        OverBudget::Nodes => (
            format!("its decision needs more than {MAX_CELLS} cells"),
            "Conditions on many independent headers multiply: test fewer of them in one route.",
        ),
    };
    let problem = Diagnostic::new(
        Code::AnalysisBudget,
        format!("the policy of `{name}` is too large to be decided exactly"),
    )
    .at(span, what)
    .help(help);
    match why {
        OverBudget::Fine(fine) => match line_with(model, owner, fine) {
            Some(place) => problem.at(place, "with what this line asks"),
            None => problem,
        },
        _ => problem,
    }
}

/// The first line that asks what was too much.
fn line_with(model: &Model, owner: Owner, fine: &TooFine) -> Option<Span> {
    let TooMuch::States(test) = &fine.why else { return None };
    let asks = |shape: &&Shape| {
        let own = shape.tests.iter().filter(|test| test.field == fine.field);
        own.into_iter().any(|own| own.set.asks(test))
            || matches!(test, TextTest::Path(pattern) if shape.path.as_ref().map(path::nameless).as_ref() == Some(pattern))
    };
    let rules = tables(model, owner).into_iter().flat_map(|table| &table.rules);
    let lines = rules.flat_map(|rule| &rule.lines).map(|line| (&line.shape, line.span));
    let access = match owner {
        Owner::Port(id) => model.port(id).access.as_slice(),
        Owner::Listener(gateway, listener) => &model[gateway].listeners[listener as usize].access,
        Owner::Call(..) | Owner::Consumer(_) => &[],
    };
    let access = access.iter().flat_map(|line| line.shapes.iter().map(|shape| (shape, line.span)));
    lines.chain(access).filter(|(shape, _)| asks(shape)).map(|(_, span)| span).min()
}

#[cfg(test)]
mod tests {
    use crate::testing::says;
    use crate::{StandIns, compile};
    use mesh_lang::SourceSet;

    #[test]
    fn conditions_that_multiply_name_the_line() {
        let text = |line: &str| {
            format!("service web {{ port 80 http }}\nauthorize web {{\nallow from anyone\n{line}\n}}\n")
        };
        let sources = |line: &str| SourceSet::single("test.mesh", &text(line));
        let labels = |line: &str| {
            let sources = sources(line);
            let found = compile(&sources, &StandIns::new()).diagnostics;
            let codes: Vec<&str> = found.iter().map(|one| one.code.as_str()).collect();
            assert_eq!(codes, ["MESH3090"], "{line}");
            let labels = found.iter().flat_map(|one| &one.labels);
            labels.map(|label| (sources.position(label.span).0, label.text.clone())).collect::<Vec<_>>()
        };
        let regex = r#"header "h" matches re"(a|b)*a(a|b){20}""#;
        let what = "what it asks of the header `h` needs more than 65536 states".to_owned();
        let asks = "with what this line asks".to_owned();
        assert_eq!(labels(&format!("deny when {regex}")), [(1, what.clone()), (4, asks.clone())]);
        // The path has no state too many without the second line.
        let suffixes = format!("deny to /{{a}}.json\ndeny when {}", regex.replace("header \"h\"", "path"));
        assert_eq!(labels(&suffixes)[1], (5, asks));
        let digits: Vec<String> =
            (0..13).map(|n| format!("deny when header \"h\" prefix \"{n}-\"")).collect();
        let what = "what it asks of repeated values of the header `h` has more than 4096 answers".to_owned();
        assert_eq!(labels(&digits.join("\n")), [(1, what)]);
        let many: Vec<String> = (0..33).map(|n| format!("deny when query \"k\" prefix \"{n}-\"")).collect();
        let what = "it asks more than 32 things of each value of the query parameter `k`".to_owned();
        assert_eq!(labels(&many.join("\n")), [(1, what)]);
        let one_list: Vec<String> = (0..1_000).map(|n| format!("\"{n}\"")).collect();
        says(&text(&format!("deny when query \"k\" in ({})", one_list.join(", "))), &[]);
    }

    /// So many patterns of so many segments, each with a literal at a place of its own: an automaton would have to remember which ones
    /// still fit.
    fn wildcards(depth: usize) -> String {
        let patterns = (0..17).map(|at| {
            let segments =
                (0..depth).map(|place| if place == at { "/a".to_owned() } else { format!("/{{x{place}}}") });
            format!("allow from anyone to {}\n", segments.collect::<String>())
        });
        format!("service web {{ port 80 http }}\nauthorize web {{\n{}}}\n", patterns.collect::<String>())
    }

    #[test]
    fn wildcards_that_multiply_are_decided_segment_by_segment() {
        says(&wildcards(17), &[]);
        let said = "this `allow` lets nothing in that is not let in without it";
        let inside = wildcards(17)
            .replace("\n}\n", "\nallow from anyone to /1/a/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17\n}\n");
        says(&inside, &[&format!("20 MESH4005 {said}")]);
    }

    #[test]
    fn paths_of_too_many_segments_are_refused_and_not_guessed_about() {
        says(&wildcards(50), &["1 MESH3090 the policy of `web.default` is too large to be decided exactly"]);
    }
}
