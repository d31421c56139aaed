//! Who takes the requests of a line: few rules that together cover it.

use super::ambiguous_rules::same_outcome;
use crate::diagram::TooManyNodes;
use crate::model::Model;
use crate::partition::{Judged, Partition};
use mesh_plan::Target;
use std::collections::BTreeMap;

/// The rules that take all requests of these lines of one rule: again and again the one that takes most of what is left (Chvátal,
/// "A greedy heuristic for the set-covering problem", 1979). One that does something else is among them, if there is one: it is
/// what the author has to know (the rule of Batfish's unreachable lines). In order of their names.
pub(super) fn takers(
    model: &Model,
    partition: &mut Partition,
    table: usize,
    lines: &[usize],
) -> Result<Vec<u32>, TooManyNodes> {
    let Some(first) = lines.first() else { return Ok(vec![]) };
    let rule = partition.tables[table].ranked.lines[*first].rule;
    let mut left = union(partition, table, lines)?;
    let all = left;
    let beaters = beaters(&partition.tables[table], lines);
    let mut takers: Vec<(u32, Target, bool)> = Vec::with_capacity(beaters.len());
    for (taker, lines) in beaters {
        let taken = union(partition, table, &lines)?;
        takers.push((taker, taken, !same_outcome(model, partition.owner, table, (rule, taker))));
    }
    let mut chosen: Vec<(u32, bool)> = Vec::new();
    while partition.diagram.any_of(left).is_some() {
        let Some((taker, taken, differs)) = greatest(partition, &takers, left)? else { break };
        chosen.push((taker, differs));
        left = partition.diagram.minus(left, taken)?;
    }
    if !chosen.iter().any(|(_, differs)| *differs) {
        takers.retain(|(_, _, differs)| *differs);
        let other = greatest(partition, &takers, all)?;
        chosen.extend(other.map(|(taker, _, differs)| (taker, differs)));
    }
    let mut rules: Vec<u32> = chosen.into_iter().map(|(rule, _)| rule).collect();
    rules.sort_unstable();
    Ok(rules)
}

/// The one that takes most of a set, if one takes anything: of several first one that does something else, then the least name.
fn greatest(
    partition: &mut Partition,
    takers: &[(u32, Target, bool)],
    of: Target,
) -> Result<Option<(u32, Target, bool)>, TooManyNodes> {
    let mut sizes = Vec::with_capacity(takers.len());
    for taker in takers {
        let both = partition.diagram.and(of, taker.1)?;
        sizes.push((partition.diagram.size(both), taker));
    }
    let most = sizes
        .into_iter()
        .filter(|(size, _)| *size > 0)
        .max_by_key(|(size, (rule, _, differs))| (*size, *differs, std::cmp::Reverse(*rule)));
    Ok(most.map(|(_, taker)| *taker))
}

/// The rules that beat a line of these, each with the lines that do.
fn beaters(judged: &Judged, lines: &[usize]) -> BTreeMap<u32, Vec<usize>> {
    let mut rules: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for beater in lines.iter().flat_map(|line| &judged.ranked.beaten_by[*line]) {
        let beater = *beater as usize;
        rules.entry(judged.ranked.lines[beater].rule).or_default().push(beater);
    }
    rules
}

/// The requests that lines of a table match.
pub(super) fn union(
    partition: &mut Partition,
    table: usize,
    lines: &[usize],
) -> Result<Target, TooManyNodes> {
    let mut sets = Vec::with_capacity(lines.len());
    for line in lines {
        sets.push(partition.diagram.product(&partition.tables[table].ranked.lines[*line].product)?);
    }
    partition.diagram.any_of_sets(&sets)
}
