//! `MESH3005`: an alternative of a rule that others take entirely, or that the rule's own other lines say already.

use super::unreachable_rule::{label_takers, taken};
use super::{blame, tables};
use crate::diagram::TooManyNodes;
use crate::model::{Asked, Line, Model, Rule, ValueSet};
use crate::partition::{Judged, Partition};
use mesh_lang::{Code, Diagnostic, Span};
use mesh_plan::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// So many alternatives of one `match` are named; the others are counted.
const MAX_NAMED: usize = 3;

/// Up to so many lines of a rule are compared in pairs right away: that is quicker than counting what they match.
const FEW_LINES: usize = 32;

/// `match` lines of rules that get requests by other lines, and alternatives in them, that decide nothing. Of a rule with a line that
/// contradicts itself, and of one that gets nothing, `MESH3002` says all.
pub(super) fn check(model: &Model, partition: &mut Partition) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let mut found = Vec::new();
    for (table, index) in tables(model, partition.owner).into_iter().zip(0..) {
        let mut first = 0;
        let mut rules: Vec<(&Rule, Range<usize>)> = Vec::new();
        for rule in &table.rules {
            let lines = first..first + rule.lines.len();
            first = lines.end;
            rules.extend(is_asked(partition, index, lines.clone()).then_some((rule, lines)));
        }
        let needless = needless(partition, index, &rules)?;
        for (rule, lines) in rules {
            found.extend(of_rule(model, partition, index, (rule, lines), &needless)?);
        }
    }
    Ok(found)
}

/// Whether a rule has several lines, none of which contradicts itself, and gets requests.
fn is_asked(partition: &Partition, table: usize, mut lines: Range<usize>) -> bool {
    let Judged { ranked, maximal, .. } = &partition.tables[table];
    lines.len() > 1
        && !lines.clone().any(|line| ranked.lines[line].product.is_empty())
        && lines.any(|line| partition.diagram.any_of(maximal[line]).is_some())
}

/// Lines, each with others of its rule that match its requests.
type Needless = BTreeMap<usize, Vec<usize>>;

fn of_rule(
    model: &Model,
    partition: &mut Partition,
    table: usize,
    (rule, lines): (&Rule, Range<usize>),
    needless: &Needless,
) -> Result<Vec<Diagnostic>, TooManyNodes> {
    let (mut dead, mut covered) = (Vec::new(), Vec::new());
    for (line, _) in needless.range(lines.clone()) {
        match partition.diagram.any_of(partition.tables[table].maximal[*line]) {
            None => dead.push(*line),
            Some(_) => covered.push(*line),
        }
    }
    let first = lines.start;
    let mut found = Vec::new();
    for (span, own) in by_statement(rule, first, &dead) {
        let takers = blame::takers(model, partition, table, &own)?;
        let problem = Diagnostic::new(Code::DeadLine, message(rule, first, span, &own, "no request reaches"))
            .at(span, "never decides")
            .help("Delete it, or narrow the rules that take its requests.");
        let problem = label_takers(problem, model, partition, table, &takers);
        found.push(taken(problem, model, partition, table, (&own, &takers))?);
    }
    for (span, own) in by_statement(rule, first, &covered) {
        let mut problem =
            Diagnostic::new(Code::DeadLine, message(rule, first, span, &own, "nothing is added by"))
                .at(span, "the rule matches all of it without")
                .help("Delete it: the rule decides the same requests without.");
        let covers = own.iter().flat_map(|line| &needless[line]);
        let spans: BTreeSet<Span> = covers.map(|cover| rule.lines[cover - first].span).collect();
        for cover in spans.into_iter().filter(|cover| *cover != span) {
            problem = problem.at(cover, "covers it");
        }
        found.push(problem);
    }
    Ok(found)
}

/// The lines without which, without all of them together, the route is the same. Of two in a rule that are the same the former stays;
/// that a line is needless can make another one so, which is why it is asked again.
fn needless(
    partition: &mut Partition,
    table: usize,
    rules: &[(&Rule, Range<usize>)],
) -> Result<Needless, TooManyNodes> {
    let mut gone = Needless::new();
    let mut apart = Vec::with_capacity(rules.len());
    for (_, lines) in rules {
        apart.push(are_apart(partition, table, lines.clone())?);
    }
    loop {
        let before = gone.len();
        for ((_, lines), apart) in rules.iter().zip(&apart) {
            for line in lines.clone().rev() {
                if gone.contains_key(&line) {
                    continue;
                }
                let others = if *apart { 0..0 } else { lines.clone() };
                let others = others.filter(|other| *other != line && !gone.contains_key(other));
                let others: Vec<usize> = others.collect();
                if let Some(covers) = covers(partition, table, line, &others, &gone)?
                    && !is_in_the_way(partition, table, line, &gone)?
                {
                    gone.insert(line, covers);
                }
            }
        }
        if gone.len() == before {
            return Ok(gone);
        }
    }
}

/// Whether the lines of a rule with many lines surely have no request in common: then they need not be compared in pairs.
fn are_apart(partition: &mut Partition, table: usize, lines: Range<usize>) -> Result<bool, TooManyNodes> {
    if lines.len() <= FEW_LINES {
        return Ok(false);
    }
    let mut sum = 0u128;
    for line in lines.clone() {
        let own = blame::union(partition, table, &[line])?;
        sum = sum.saturating_add(partition.diagram.size(own));
    }
    let all = blame::union(partition, table, &lines.collect::<Vec<_>>())?;
    Ok(sum < u128::MAX && partition.diagram.size(all) == sum)
}

/// Lines of the same rule that decide all that a line decides: one, or else all that have requests in common with it.
fn covers(
    partition: &mut Partition,
    table: usize,
    line: usize,
    kept: &[usize],
    gone: &Needless,
) -> Result<Option<Vec<usize>>, TooManyNodes> {
    let mine = decided(partition, table, line, gone)?;
    let mut left = mine;
    let mut parts = Vec::new();
    for other in kept {
        let Judged { ranked, .. } = &partition.tables[table];
        let (own, theirs) = (&ranked.lines[line].product, &ranked.lines[*other].product);
        if !own.meets(theirs) {
            continue;
        }
        let others = decided(partition, table, *other, gone)?;
        let outside = partition.diagram.minus(mine, others)?;
        if partition.diagram.any_of(outside).is_none() {
            return Ok(Some(vec![*other]));
        }
        left = partition.diagram.minus(left, others)?;
        parts.push(*other);
    }
    Ok(partition.diagram.any_of(left).is_none().then_some(parts))
}

/// The requests for which nothing beats a line where some lines are gone.
fn decided(
    partition: &mut Partition,
    table: usize,
    line: usize,
    gone: &Needless,
) -> Result<Target, TooManyNodes> {
    let Judged { ranked, maximal, .. } = &partition.tables[table];
    let beaters = ranked.beaten_by[line].iter().map(|beater| *beater as usize);
    let left: Vec<usize> = beaters.clone().filter(|beater| !gone.contains_key(beater)).collect();
    if left.len() == beaters.count() {
        return Ok(maximal[line]);
    }
    let own = blame::union(partition, table, &[line])?;
    let above = blame::union(partition, table, &left)?;
    partition.diagram.minus(own, above)
}

/// Whether a line of another rule loses some request to this line alone, which that rule does not get by another line: then it is
/// needed even where it decides nothing.
fn is_in_the_way(
    partition: &mut Partition,
    table: usize,
    line: usize,
    gone: &Needless,
) -> Result<bool, TooManyNodes> {
    let beaten_by = partition.tables[table].ranked.beaten_by.iter().enumerate();
    let losers =
        beaten_by.filter(|(loser, beaters)| beaters.contains(&(line as u32)) && !gone.contains_key(loser));
    let stays = |beater: &usize| *beater != line && !gone.contains_key(beater);
    let losers: Vec<(usize, Vec<usize>)> = losers
        .map(|(loser, beaters)| {
            (loser, beaters.iter().map(|beater| *beater as usize).filter(stays).collect())
        })
        .collect();
    let mine = blame::union(partition, table, &[line])?;
    for (loser, others) in losers {
        let theirs = blame::union(partition, table, &[loser])?;
        let others = blame::union(partition, table, &others)?;
        let both = partition.diagram.and(mine, theirs)?;
        let mut freed = partition.diagram.minus(both, others)?;
        let ranked = &partition.tables[table].ranked;
        let beside = ranked.lines.iter().enumerate().filter(|(own, _)| stays(own) && *own != loser);
        let of_rule = beside.filter(|(_, own)| own.rule == ranked.lines[loser].rule);
        for own in of_rule.map(|(own, _)| own).collect::<Vec<_>>() {
            let decided = decided(partition, table, own, gone)?;
            freed = partition.diagram.minus(freed, decided)?;
        }
        if partition.diagram.any_of(freed).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lines of a rule, by the statement that they are written in.
fn by_statement(rule: &Rule, first: usize, lines: &[usize]) -> Vec<(Span, Vec<usize>)> {
    let mut found: Vec<(Span, Vec<usize>)> = Vec::new();
    for line in lines {
        let span = rule.lines[line - first].span;
        match found.iter_mut().find(|(known, _)| *known == span) {
            Some((_, lines)) => lines.push(*line),
            None => found.push((span, vec![*line])),
        }
    }
    found
}

/// `no request reaches this line of rule …`, or only some alternatives of it.
fn message(rule: &Rule, first: usize, span: Span, lines: &[usize], beginning: &str) -> String {
    let written = rule.lines.iter().filter(|line| line.span == span).count();
    if lines.len() == written {
        return format!("{beginning} this line of rule `{}`", rule.name);
    }
    let named =
        lines.iter().take(MAX_NAMED).map(|line| format!("`{}`", alternative(&rule.lines[line - first])));
    let more = lines.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{beginning} {}{more} in rule `{}`", named.collect::<Vec<_>>().join(", "), rule.name)
}

/// What tells an alternative from the others of its statement: its operation, and the values of its lists.
fn alternative(line: &Line) -> String {
    let method = line.shape.method.map(|method| method.as_str().to_owned());
    let path = line.shape.path.as_ref().map(|path| path.to_string());
    let values = line.shape.tests.iter().filter_map(|test| match &test.set {
        ValueSet::Passing { asked: Asked::OneOf(values), negated: false, .. } => {
            values.first().map(|value| format!("{} = \"{value}\"", test.field.keyword()))
        }
        _ => None,
    });
    method.into_iter().chain(path).chain(values).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use crate::testing::{route, says, shows};

    #[test]
    fn an_alternative_that_others_take_is_said() {
        let text = route(
            r#"rule both {
match /a/**
match GET /b
to s:v1 }
rule tested { match GET /b when header "h" present
to s:v2 }
rule others { match GET /b when header "h" absent
to s:v2 }
otherwise 404"#,
        );
        says(&text, &["6 MESH3005 no request reaches this line of rule `both`"]);
        says(
            &text.replace("match GET /b\n", "match GET|POST /b\n"),
            &["6 MESH3005 no request reaches `GET /b` in rule `both`"],
        );
        let call = format!("{text}service c {{ calls s }}\n");
        shows(
            &call,
            &[
                "request that `others` takes:",
                "  curl http://s.default:80/b # from c",
                "  request from c to s GET /b expect s:v2",
            ],
        );
    }

    #[test]
    fn what_the_rule_says_already_is_said() {
        let text = |first: &str, second: &str, other: &str| {
            route(&format!("rule a {{\nmatch {first}\nmatch {second}\nto s:v1 }}\n{other}otherwise 404"))
        };
        let said = ["6 MESH3005 nothing is added by this line of rule `a`"];
        says(&text("/a/**", "/a/b", ""), &said);
        says(&text("/a/b", "/a/b", ""), &said);
        says(&text("/a/**", "/a/b, /c", ""), &["6 MESH3005 nothing is added by `/a/b` in rule `a`"]);
        says(&text("/a/**", "/b", ""), &[]);
        // The narrow line is what wins over the other rule.
        let between = "rule b { match /a/b/**\nto s:v2 }\n";
        says(&text("/a/**", "/a/b/c", between), &[]);
        says(&text("/a/**", "/a/c/d", between), &said);
    }

    /// What the line without a path takes from the last line, the other line of that rule takes back; without the one the other is
    /// needed for nothing either.
    #[test]
    fn a_line_that_takes_what_the_other_rule_gets_by_another_line_is_said() {
        let text = route(
            r#"rule a {
match GET when header "h" present
match GET /a/** when header "h" present
to s:v1 }
rule b {
match GET /** when header "h" present
match GET
to s:v2 }
otherwise 404"#,
        );
        says(
            &text,
            &[
                "5 MESH3005 no request reaches this line of rule `a`",
                "9 MESH3005 nothing is added by this line of rule `b`",
            ],
        );
    }

    #[test]
    fn the_only_line_of_a_rule_is_the_rule() {
        let text = route("rule a { match GET /a\nto s:v1 }\nrule b { match /a\nto s:v2 }\notherwise 404");
        says(&text, &[]);
    }
}
