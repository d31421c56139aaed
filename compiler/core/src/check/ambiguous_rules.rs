//! `MESH3001`: two rules match one request, neither is more specific, and they do different things.

use super::tables;
use crate::diagram::TooManyNodes;
use crate::model::{Model, Rule, Table};
use crate::partition::{Judged, Owner, Partition};
use crate::rank::Ranked;
use crate::shown::{self, Arrival};
use mesh_lang::{Code, Diagnostic, Span};
use std::collections::{BTreeMap, BTreeSet};

/// So many pairs of one table are reported. Rules that test different things all overlap in pairs, so that their number is
/// squared, while a rule or two set it right.
const MAX_PAIRS: usize = 20;

/// Lines whose maximal sets meet, one finding for each pair of rules.
pub(super) fn check(model: &Model, partition: &mut Partition) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let mut found = Vec::new();
    for table in 0..partition.tables.len() {
        found.extend(of_table(model, partition, table)?);
    }
    Ok(found)
}

fn of_table(model: &Model, partition: &mut Partition, table: usize) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let mut pairs = BTreeSet::new();
    let mut found = Vec::new();
    for second in 0..partition.tables[table].ranked.lines.len() {
        let near = partition.tables[table].ranked.near(second);
        for first in near.into_iter().take_while(|first| *first < second) {
            let Judged { ranked, maximal, .. } = &partition.tables[table];
            let (a, b) = (&ranked.lines[first], &ranked.lines[second]);
            let pair = (a.rule, b.rule);
            let competing = pair.0 != pair.1
                && a.product.meets(&b.product)
                && !pairs.contains(&pair)
                && !same_outcome(model, partition.owner, table, pair)
                && !is_vain(ranked, pair);
            if !competing {
                continue;
            }
            let both = partition.diagram.and(maximal[first], maximal[second])?;
            let Some(arrival) = shown::arrival(model, partition, table, both)? else { continue };
            if found.len() == MAX_PAIRS {
                return Ok(with_more(found));
            }
            pairs.insert(pair);
            found.push(say(model, partition, table, pair, &arrival)?);
        }
    }
    Ok(found)
}

/// Whether an `overrides` between the two is in vain: that is the mistake then.
fn is_vain(ranked: &Ranked, (a, b): (u32, u32)) -> bool {
    ranked.vain.iter().any(|(rule, other, _)| (*rule, *other) == (a, b) || (*rule, *other) == (b, a))
}

/// Says on the last one shown that these are not all.
fn with_more(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    found.sort_by(|a, b| (a.span(), &a.message).cmp(&(b.span(), &b.message)));
    let last =
        found.pop().map(|last| last.note(format!("more pairs overlap: these are {MAX_PAIRS} of them")));
    found.extend(last);
    found
}

/// Whether two rules of a table, or two lines of a call, do the same.
pub(super) fn same_outcome(model: &Model, owner: Owner, table: usize, (a, b): (u32, u32)) -> bool {
    if let Owner::Call(service, call) = owner {
        let lines = &model[service].calls[call as usize].lines;
        let (a, b) = (&lines[a as usize], &lines[b as usize]);
        return a.settings == b.settings;
    }
    let rules = &tables(model, owner)[table].rules;
    let outcome = |rule: u32| -> (&_, &_, &_) {
        let Rule { action, edits, settings, .. } = &rules[rule as usize];
        (action, edits, settings)
    };
    outcome(a) == outcome(b)
}

fn say(
    model: &Model,
    partition: &mut Partition,
    table: usize,
    (a, b): (u32, u32),
    arrival: &Arrival,
) -> Result<Diagnostic, TooManyNodes> {
    if let Owner::Call(service, call) = partition.owner {
        let lines = &model[service].calls[call as usize].lines;
        let places = in_order(lines[a as usize].span, lines[b as usize].span);
        return Ok(Diagnostic::new(Code::AmbiguousRules, "two `calls` overlap and neither is more specific")
            .at(places.1, "covers it too")
            .at(places.0, "covers it")
            .proved_by(shown::shown(model, "request both cover", arrival, None))
            .help("Make one of them narrower, or give both the same settings."));
    }
    let rules = &tables(model, partition.owner)[table].rules;
    let in_place = rules[a as usize].span <= rules[b as usize].span;
    let (first, second) = if in_place { (a, b) } else { (b, a) };
    let mut help = "Make them disjoint, so that no request matches both.".to_owned();
    let mut meant = first;
    for (winner, loser) in [(second, first), (first, second)] {
        if decides(model, partition, table, (winner, loser))? {
            let head = head_with(&rules[winner as usize], &rules[loser as usize].name);
            meant = winner;
            help = format!("Say which wins, `{head}`, or make them disjoint.");
            break;
        }
    }
    let witness = shown::shown(model, "request both match", arrival, Some(&rules[meant as usize]));
    let (first, second) = (&rules[first as usize], &rules[second as usize]);
    Ok(Diagnostic::new(
        Code::AmbiguousRules,
        format!("rules `{}` and `{}` overlap and neither is more specific", second.name, first.name),
    )
    .at(second.span, "matches it too")
    .at(first.span, "matches it")
    .proved_by(witness)
    .help(help))
}

/// The head of a rule that overrides one more.
fn head_with(rule: &Rule, other: &str) -> String {
    let overridden = rule.overrides.iter().map(|(name, _)| name.as_str()).chain([other]);
    format!("rule {} overrides {} {{", rule.name, overridden.collect::<Vec<_>>().join(", "))
}

/// Whether `winner overrides loser` would decide between the two and raise nothing else: wherever the winner is written, the
/// loser is, no line of the loser is narrower, the rules do not come to beat each other in a circle, and some request is
/// left for the loser.
fn decides(
    model: &Model,
    partition: &mut Partition,
    table: usize,
    (winner, loser): (u32, u32),
) -> Result<bool, TooManyNodes> {
    let judged = tables(model, partition.owner);
    let span = |rule: u32| judged[table].rules[rule as usize].span;
    let has = |table: &Table, rule: u32| table.rules.iter().any(|own| own.span == span(rule));
    let beside = judged.iter().all(|table| !has(table, winner) || has(table, loser));
    let Judged { ranked, maximal, .. } = &partition.tables[table];
    let Some(beaten) = ranked.beaten_with(winner, loser).filter(|_| beside) else { return Ok(false) };
    for line in (0..ranked.lines.len()).filter(|line| ranked.lines[*line].rule == loser) {
        let mut left = maximal[line];
        for beater in beaten.get(&line).into_iter().flatten() {
            let taken = partition.diagram.product(&ranked.lines[*beater].product)?;
            left = partition.diagram.minus(left, taken)?;
        }
        if partition.diagram.any_of(left).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Ranked {
    /// The lines that an `overrides` would let lose, each with those it would lose to; `None` where it would be in vain.
    fn beaten_with(&self, winner: u32, loser: u32) -> Option<BTreeMap<usize, Vec<usize>>> {
        let of = |rule: u32| self.lines.iter().enumerate().filter(move |(_, line)| line.rule == rule);
        let mut decided: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (beater, winning) in of(winner) {
            for (beaten, losing) in of(loser).filter(|(_, line)| line.product.meets(&winning.product)) {
                let inside = losing.product.is_subset(&winning.product);
                let around = winning.product.is_subset(&losing.product);
                match (inside, around) {
                    (true, false) => return None,
                    (false, true) => {}
                    _ => decided.entry(beaten).or_default().push(beater),
                }
            }
        }
        (!self.would_circle(&decided)).then_some(decided)
    }

    /// Whether one of the beaten lines beats one of the beaters already, at whatever remove.
    fn would_circle(&self, decided: &BTreeMap<usize, Vec<usize>>) -> bool {
        let mut seen: BTreeSet<usize> = decided.values().flatten().copied().collect();
        let mut above: Vec<usize> = seen.iter().copied().collect();
        while let Some(line) = above.pop() {
            let more = self.beaten_by[line].iter().map(|beater| *beater as usize);
            above.extend(more.filter(|beater| seen.insert(*beater)));
        }
        seen.iter().any(|line| decided.contains_key(line))
    }
}

fn in_order(a: Span, b: Span) -> (Span, Span) {
    if a <= b { (a, b) } else { (b, a) }
}

#[cfg(test)]
mod tests {
    use super::MAX_PAIRS;
    use crate::testing::{route, says, shows};
    use crate::{StandIns, compile};
    use mesh_lang::SourceSet;

    #[test]
    fn a_list_that_has_something_is_there() {
        let rules = r#"rule a { match when header "h" present
to s:v1 }
rule b { match when not header "h" has "x"
to s:v2 }
otherwise 404"#;
        // Whatever else is asked of the list elsewhere.
        let more = "authorize s { deny when header \"h\" = \"\" }\n";
        says(&format!("{}{more}", route(rules)), &[]);
    }

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
        shows(
            &text,
            &[
                "request both match:",
                "  curl -H 'h: 1' http://s.default:80/x",
                "  (no `request` of a test asks it: nobody declares that it sends it)",
            ],
        );
        shows(
            &format!("{text}service c {{ calls s }}\n"),
            &[
                "request both match:",
                "  curl -H 'h: 1' http://s.default:80/x # from c",
                "  request from c to s GET /x when header \"h\" = \"1\" expect s:v2",
            ],
        );
    }

    #[test]
    fn values_of_one_list_can_stand_beside_each_other() {
        let text = |first: &str, second: &str| {
            route(&format!(
                "rule a {{ match when {first}\nto s:v1 }}\nrule b {{ match when {second}\nto s:v2 }}\notherwise 404"
            ))
        };
        let said = ["6 MESH3001 rules `b` and `a` overlap and neither is more specific"];
        let header = text(r#"header "h" has "1""#, r#"header "h" has "2""#);
        says(&header, &said);
        let called = |text: &str| format!("{text}service c {{ calls s }}\n");
        shows(
            &called(&header),
            &[
                "request both match:",
                "  curl -H 'h: 1' -H 'h: 2' http://s.default:80/ # from c",
                "  request from c to s GET / when header \"h\" = \"1, 2\" expect s:v2",
            ],
        );
        let claim = text(r#"claim sso "g" has "1""#, r#"claim sso "g" has "2""#);
        let claim = claim.replace("service s {", "service s { jwt sso optional;");
        let claim = format!("{claim}jwt sso {{ issuer \"i\"; audience \"a\"; jwks \"/k\" }}\n");
        shows(
            &called(&claim),
            &[
                "request both match:",
                "  curl -H \"authorization: Bearer $TOKEN\" http://s.default:80/ # from c, with claim sso g=[1, 2]",
                "  request from c to s GET / when claim sso \"g\" has \"1\" and claim sso \"g\" has \"2\" expect s:v2",
            ],
        );
        let query = text(r#"query "k" has "1""#, r#"not query "k" has "2""#);
        shows(
            &called(&query),
            &[
                "request both match:",
                "  curl 'http://s.default:80/?k=1' # from c",
                "  request from c to s GET / when query \"k\" = \"1\" expect s:v2",
            ],
        );
        says(&text(r#"header "h" = "1""#, r#"header "h" has "2""#), &[]);
        says(&text(r#"header "h" = "1""#, r#"header "h" has "1""#), &[]);
        says(&text(r#"header "h" absent"#, r#"header "h" has "1""#), &[]);
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
    fn only_an_overrides_that_helps_is_proposed() {
        // `b overrides a` would take `/x/y` from the narrower `a`; the other way round it is right.
        let text = route(
            r#"rule a { match GET
match /x/y
to s:v1 }
rule b { match /x/**
to s:v2 }
otherwise 404"#,
        );
        says(&text, &["7 MESH3001 rules `b` and `a` overlap and neither is more specific"]);
        says(&text.replace("rule a {", "rule a overrides b {"), &[]);
    }

    #[test]
    fn an_overrides_that_is_a_mistake_itself_is_the_only_complaint() {
        let text = route(
            r#"rule a { match GET
match /x/y
to s:v1 }
rule b overrides a { match /x/**
to s:v2 }
otherwise 404"#,
        );
        says(&text, &["7 MESH3004 rule `b` overrides `a`, which is narrower and would never win"]);
    }

    #[test]
    fn of_many_pairs_the_first_are_told() {
        let rule = |number| {
            format!(
                "rule r{number} {{ match when header \"h{number}\" present\nrespond 200 \"{number}\" }}\n"
            )
        };
        let rules: String = (1..=7).map(rule).collect();
        let sources = SourceSet::single("test.mesh", &route(&format!("{rules}otherwise 404")));
        let found = compile(&sources, &StandIns::new()).diagnostics;
        let notes: Vec<usize> = found.iter().map(|diagnostic| diagnostic.notes.len()).collect();
        assert_eq!(notes, [vec![0; MAX_PAIRS - 1], vec![1]].concat(), "21 pairs overlap");
    }

    #[test]
    fn calls_that_overlap_with_different_settings_are_ambiguous() {
        let text = "service s { port 80 http }\nauthorize s { allow from c }\nservice c {\ncalls s to GET { timeout 1s }\ncalls s to /x/** { timeout 2s }\n}\n";
        says(text, &["5 MESH3001 two `calls` overlap and neither is more specific"]);
    }
}
