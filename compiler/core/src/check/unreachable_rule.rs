//! `MESH3002`: no request ever gets a rule, or a line of it.

use super::tables;
use crate::model::Model;
use crate::partition::{Judged, Leaf, Partition};
use mesh_lang::{Code, Diagnostic};

/// Rules whose maximal sets hold no possible request, lines that contradict themselves, and an `otherwise` that nothing is
/// left for.
pub(super) fn check(model: &Model, partition: &Partition) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for ((table, judged), index) in
        tables(model, partition.owner).into_iter().zip(&partition.tables).zip(0u32..)
    {
        let otherwise = Leaf::Otherwise { table: index }.number();
        let answers =
            |judged: &Judged| partition.diagram.find(judged.root, &|leaf| leaf == otherwise).is_some();
        if let (Some((_, span)), false) = (table.otherwise, partition.tables.iter().any(answers)) {
            found.push(
                Diagnostic::new(Code::UnreachableRule, "no request reaches `otherwise`")
                    .at(span, "the rules answer everything")
                    .help("Delete it, or narrow the rule that takes every request."),
            );
        }
        for (rule, number) in table.rules.iter().zip(0u32..) {
            let mine =
                || (0..judged.ranked.lines.len()).filter(|line| judged.ranked.lines[*line].rule == number);
            let empty =
                mine().zip(&rule.lines).find(|(line, _)| judged.ranked.lines[*line].product.is_empty());
            if let Some((_, line)) = empty {
                found.push(
                    Diagnostic::new(
                        Code::UnreachableRule,
                        format!("a line of rule `{}` matches no request", rule.name),
                    )
                    .at(line.span, "its conditions exclude each other")
                    .help(
                        "Take one of the conditions out, or write them on two lines, which are alternatives.",
                    ),
                );
            } else if !mine().any(|line| partition.diagram.any_of(judged.maximal[line]).is_some()) {
                let names = beaters(judged, number).map(|beater| &table.rules[beater as usize]);
                let names: Vec<_> = names.collect();
                let message = format!("no request reaches rule `{}`", rule.name);
                let mut problem = Diagnostic::new(Code::UnreachableRule, message);
                if names.is_empty() {
                    let problem = problem.at(rule.span, "no request can fulfil its conditions together");
                    found.push(
                        problem.help("Take one of the conditions out: without its token, a claim is absent."),
                    );
                    continue;
                }
                problem = problem.at(rule.span, "never decides");
                for beater in &names {
                    problem = problem.at(beater.span, "takes its requests");
                }
                found.push(problem.help("Delete the rule, or narrow the rules that take its requests."));
            }
        }
    }
    found
}

/// The rules that beat a line of this one.
fn beaters(judged: &Judged, rule: u32) -> impl Iterator<Item = u32> {
    let lines = judged.ranked.lines.iter().zip(&judged.ranked.beaten_by);
    let beaters = lines.filter(|(line, _)| line.rule == rule).flat_map(|(_, beaters)| beaters);
    let rules: std::collections::BTreeSet<u32> =
        beaters.map(|beater| judged.ranked.lines[*beater as usize].rule).collect();
    rules.into_iter()
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says};

    #[test]
    fn a_rule_whose_requests_others_take_is_unreachable() {
        let text = route(
            r#"rule all { match GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS
to s:v1 }
rule some { match when header "h" present
to s:v1 }
rule none-at-all { match when header "h" absent
to s:v1 }
rule late { to s:v2 }"#,
        );
        says(&text, &["10 MESH3002 no request reaches rule `late`"]);
    }

    #[test]
    fn no_request_goes_on_behind_an_empty_segment() {
        let text = route(
            r#"rule all { match /a/**
to s:v1 }
rule below { match /a/{x}/**
to s:v2 }
rule itself { match /a, /a/
to s:v2 }
otherwise 404"#,
        );
        says(&text, &["4 MESH3002 no request reaches rule `all`"]);
    }

    #[test]
    fn an_otherwise_that_nothing_is_left_for_is_said() {
        says(&route("to s:v1\notherwise 404"), &["5 MESH3002 no request reaches `otherwise`"]);
        says(&route("rule a { match GET\nto s:v1 }\notherwise 404"), &[]);
    }

    #[test]
    fn conditions_that_no_request_fulfils_together_are_said() {
        let text = route(
            r#"rule a { match when jwt sso absent and claim sso "tier" present
to s:v1 }
otherwise 404"#,
        );
        let text = text.replace("service s {", "service s { jwt sso optional;");
        let text = format!("{text}jwt sso {{ issuer \"i\"; audience \"a\"; jwks \"/k\" }}\n");
        says(&text, &["4 MESH3002 no request reaches rule `a`"]);
    }

    #[test]
    fn a_line_that_contradicts_itself_matches_nothing() {
        let text = route(
            r#"rule a {
match when header "h" = "1" and header "h" = "2"
to s:v1 }
otherwise 404"#,
        );
        says(&text, &["5 MESH3002 a line of rule `a` matches no request"]);
    }
}
