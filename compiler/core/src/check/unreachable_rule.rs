//! `MESH3002`: no request ever gets a rule, or a line of it.

use super::{blame, tables};
use crate::diagram::TooManyNodes;
use crate::model::{Model, Rule, Table};
use crate::partition::{Judged, Leaf, Partition};
use crate::shown;
use mesh_lang::{Code, Diagnostic};
use mesh_plan::Target;

/// Rules whose maximal sets hold no possible request, lines that contradict themselves, and an `otherwise` that nothing is
/// left for.
pub(super) fn check(model: &Model, partition: &mut Partition) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let mut found = Vec::new();
    for (table, index) in tables(model, partition.owner).into_iter().zip(0..) {
        found.extend(of_otherwise(table, partition, index));
        let mut first = 0;
        for rule in &table.rules {
            let lines: Vec<usize> = (first..first + rule.lines.len()).collect();
            first += rule.lines.len();
            found.extend(of_rule(model, partition, index, rule, &lines)?);
        }
    }
    Ok(found)
}

fn of_otherwise(table: &Table, partition: &Partition, index: usize) -> Option<Diagnostic> {
    let (_, span) = table.otherwise?;
    let otherwise = Leaf::Otherwise { table: index as u32 }.number();
    let answers = |judged: &Judged| partition.diagram.find(judged.root, &|leaf| leaf == otherwise).is_some();
    (!partition.tables.iter().any(answers)).then(|| {
        Diagnostic::new(Code::UnreachableRule, "no request reaches `otherwise`")
            .at(span, "the rules answer everything")
            .help("Delete it, or narrow the rule that takes every request.")
    })
}

fn of_rule(
    model: &Model,
    partition: &mut Partition,
    table: usize,
    rule: &Rule,
    lines: &[usize],
) -> Result<Option<Diagnostic>, TooManyNodes> {
    let judged = &partition.tables[table];
    let empty =
        lines.iter().zip(&rule.lines).find(|(line, _)| judged.ranked.lines[**line].product.is_empty());
    if let Some((_, line)) = empty {
        let message = format!("a line of rule `{}` matches no request", rule.name);
        return Ok(Some(
            Diagnostic::new(Code::UnreachableRule, message)
                .at(line.span, "its conditions exclude each other")
                .help("Take one of the conditions out, or write them on two lines, which are alternatives."),
        ));
    }
    if lines.iter().any(|line| partition.diagram.any_of(judged.maximal[*line]).is_some()) {
        return Ok(None);
    }
    let problem = Diagnostic::new(Code::UnreachableRule, format!("no request reaches rule `{}`", rule.name));
    let takers = blame::takers(model, partition, table, lines)?;
    if takers.is_empty() {
        let problem = problem.at(rule.span, "no request can fulfil its conditions together");
        return Ok(Some(
            problem.help("Take one of the conditions out: without its token, a claim is absent."),
        ));
    }
    let problem = label_takers(problem.at(rule.span, "never decides"), model, partition, table, &takers);
    let problem = problem.help("Delete the rule, or narrow the rules that take its requests.");
    taken(problem, model, partition, table, (lines, &takers)).map(Some)
}

/// Points at the rules that take the requests.
pub(super) fn label_takers(
    problem: Diagnostic,
    model: &Model,
    partition: &Partition,
    table: usize,
    takers: &[u32],
) -> Diagnostic {
    let rules = &tables(model, partition.owner)[table].rules;
    takers
        .iter()
        .fold(problem, |problem, taker| problem.at(rules[*taker as usize].span, "takes its requests"))
}

/// Shows a request of these lines that the first of the takers gets.
pub(super) fn taken(
    problem: Diagnostic,
    model: &Model,
    partition: &mut Partition,
    table: usize,
    (lines, takers): (&[usize], &[u32]),
) -> Result<Diagnostic, TooManyNodes> {
    let Some(taker) = takers.first() else { return Ok(problem) };
    let ranked = &partition.tables[table].ranked;
    let theirs: Vec<usize> =
        (0..ranked.lines.len()).filter(|line| ranked.lines[*line].rule == *taker).collect();
    let wanted = blame::union(partition, table, lines)?;
    let own: Vec<Target> = theirs.iter().map(|line| partition.tables[table].maximal[*line]).collect();
    let own = partition.diagram.any_of_sets(&own)?;
    let both = partition.diagram.and(wanted, own)?;
    let Some(arrival) = shown::arrival(model, partition, table, both)? else { return Ok(problem) };
    let name = &tables(model, partition.owner)[table].rules[*taker as usize].name;
    Ok(problem.proved_by(shown::shown(model, format!("request that `{name}` takes"), &arrival, None)))
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
