//! `MESH3001`: two rules match one request, neither is more specific, and they do different things.

use super::tables;
use crate::diagram::TooManyNodes;
use crate::model::{Model, Rule};
use crate::partition::{Owner, Partition};
use crate::witness::Witness;
use mesh_lang::{Code, Diagnostic, Span};
use std::collections::BTreeSet;

/// Lines whose maximal sets meet, one finding for each pair of rules.
pub(super) fn check(model: &Model, partition: &mut Partition) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let mut found = Vec::new();
    for table in 0..partition.tables.len() {
        let mut reported = BTreeSet::new();
        for (a, b) in candidates(model, partition, table) {
            let judged = &partition.tables[table];
            let pair = (judged.ranked.lines[a].rule, judged.ranked.lines[b].rule);
            if reported.contains(&pair) {
                continue;
            }
            let both = partition.diagram.and(judged.maximal[a], judged.maximal[b])?;
            if let Some(point) = partition.diagram.any_of(both) {
                reported.insert(pair);
                let witness = Witness::of_point(model, partition.diagram.space(), &point);
                found.push(say(model, partition.owner, table, pair, &witness));
            }
        }
    }
    Ok(found)
}

/// Pairs of lines of different rules that meet and would do different things.
fn candidates(model: &Model, partition: &Partition, table: usize) -> Vec<(usize, usize)> {
    let lines = &partition.tables[table].ranked.lines;
    let mut pairs = Vec::new();
    for (b, second) in lines.iter().enumerate() {
        for (a, first) in lines.iter().enumerate().take(b) {
            let rules = (first.rule, second.rule);
            if rules.0 != rules.1
                && !same_outcome(model, partition.owner, table, rules)
                && first.product.meets(&second.product)
            {
                pairs.push((a, b));
            }
        }
    }
    pairs
}

fn same_outcome(model: &Model, owner: Owner, table: usize, (a, b): (u32, u32)) -> bool {
    if let Owner::Call(service, call) = owner {
        let lines = &model[service].calls[call as usize].lines;
        return lines[a as usize].settings == lines[b as usize].settings;
    }
    let rules = &tables(model, owner)[table].rules;
    let outcome = |rule: u32| -> (&_, &_) {
        let Rule { action, settings, .. } = &rules[rule as usize];
        (action, settings)
    };
    outcome(a) == outcome(b)
}

fn say(model: &Model, owner: Owner, table: usize, (a, b): (u32, u32), witness: &Witness) -> Diagnostic {
    if let Owner::Call(service, call) = owner {
        let lines = &model[service].calls[call as usize].lines;
        let places = in_order(lines[a as usize].span, lines[b as usize].span);
        return Diagnostic::new(Code::AmbiguousRules, "two `calls` overlap and neither is more specific")
            .at(places.1, "covers it too")
            .at(places.0, "covers it")
            .note(format!("request both cover:  {witness}"))
            .help("Make one of them narrower, or give both the same settings.");
    }
    let rules = &tables(model, owner)[table].rules;
    let (first, second) = (&rules[a as usize], &rules[b as usize]);
    let (first, second) = if first.span <= second.span { (first, second) } else { (second, first) };
    Diagnostic::new(
        Code::AmbiguousRules,
        format!("rules `{}` and `{}` overlap and neither is more specific", second.name, first.name),
    )
    .at(second.span, "matches it too")
    .at(first.span, "matches it")
    .note(format!("request both match:  {witness}"))
    .help(format!(
        "Say which wins, `rule {} overrides {} {{`, or make them disjoint.",
        second.name, first.name
    ))
}

fn in_order(a: Span, b: Span) -> (Span, Span) {
    if a <= b { (a, b) } else { (b, a) }
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says, shows};

    #[test]
    fn two_rules_that_overlap_without_nesting_are_ambiguous() {
        let text = route(
            r#"rule a { match /x/**
to s:v1 }
rule b { match when header "h" = "1"
to s:v2 }
otherwise 404"#,
        );
        says(&text, &["6 MESH3001 rules `b` and `a` overlap and neither is more specific"]);
        shows(&text, "request both match:  GET /x  h: 1");
    }

    #[test]
    fn a_third_rule_for_the_overlap_settles_it() {
        says(
            &route(
                r#"rule a { match /x/**
to s:v1 }
rule b { match when header "h" = "1"
to s:v2 }
rule both { match /x/** when header "h" = "1"
to s:v2 }
otherwise 404"#,
            ),
            &[],
        );
    }

    #[test]
    fn lists_are_one_line_for_each_value() {
        let get_or_head = r#"rule a { match GET|HEAD
to s:v1 }
rule b { match GET
to s:v2 }
otherwise 404"#;
        says(&route(get_or_head), &["6 MESH3001 rules `b` and `a` overlap and neither is more specific"]);
    }

    #[test]
    fn the_same_outcome_twice_is_no_question() {
        let same = r#"rule a { match /x/**
to s:v1 }
rule b { match when header "h" = "1"
to s:v1 }
otherwise 404"#;
        says(&route(same), &[]);
        let other_settings = same.replace("to s:v1 }\notherwise", "to s:v1\ntimeout 1s }\notherwise");
        says(&route(&other_settings), &["6 MESH3001 rules `b` and `a` overlap and neither is more specific"]);
    }

    #[test]
    fn calls_that_overlap_with_different_settings_are_ambiguous() {
        let text = "service s { port 80 http }\nauthorize s { allow from c }\nservice c {\ncalls s to GET { timeout 1s }\ncalls s to /x/** { timeout 2s }\n}\n";
        says(text, &["5 MESH3001 two `calls` overlap and neither is more specific"]);
    }
}
