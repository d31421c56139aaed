//! What a person reads: what is newly allowed first, then what is denied, sent elsewhere, treated otherwise.

use super::Difference;
use crate::output::count;
use mesh_compiler::compare::{Change, Comparison, Kind};

/// So many places of one change, or workloads, are named.
const MAX_NAMED: usize = 4;

pub(super) fn written(differences: &[Difference], color: bool) -> String {
    let mut text = String::new();
    for (Difference { environments, comparison }, index) in differences.iter().zip(0..) {
        if !environments.is_empty() {
            let between = if index > 0 { "\n" } else { "" };
            text.push_str(&format!("{between}In {}\n", environments.join(" and ")));
        }
        of_one(&mut text, comparison, color);
    }
    text.trim_start_matches('\n').to_owned()
}

fn of_one(text: &mut String, comparison: &Comparison, color: bool) {
    if comparison.is_empty() && comparison.affected.is_empty() {
        text.push_str("No request is decided otherwise.\n");
        return;
    }
    for (sign, names) in [('+', &comparison.added), ('-', &comparison.removed)] {
        for name in names {
            text.push_str(&format!("{} {name}\n", painted(&sign.to_string(), sign, color)));
        }
    }
    let mut last = None;
    for group in groups(comparison) {
        let first = group[0];
        if last != Some(first.kind) {
            text.push_str(&format!("\n{}\n", heading(first.kind)));
            last = Some(first.kind);
        }
        write_change(text, &group, color);
    }
    for place in &comparison.undecided {
        text.push_str(&format!("\n? {place}: too much to be compared exactly; it may decide otherwise\n"));
    }
    text.push_str(&format!("\n{}\n", summary(comparison)));
}

/// Changes that are the same at several places, in the order in which they are told.
pub(super) fn groups(comparison: &Comparison) -> Vec<Vec<&Change>> {
    let mut groups: Vec<Vec<&Change>> = Vec::new();
    for change in &comparison.changes {
        let same = |known: &&mut Vec<&Change>| {
            let known = known[0];
            known.kind == change.kind
                && known.old.said == change.old.said
                && known.new.said == change.new.said
                && known.requests == change.requests
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(change),
            None => groups.push(vec![change]),
        }
    }
    groups.sort_by_key(|group| group[0].kind);
    groups
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Allowed => "Newly allowed",
        Kind::Denied => "Newly denied",
        Kind::Routed => "Routed elsewhere",
        Kind::Set => "Settings changed",
    }
}

pub(super) fn sign(kind: Kind) -> char {
    match kind {
        Kind::Allowed => '+',
        Kind::Denied => '-',
        Kind::Routed => '>',
        Kind::Set => '~',
    }
}

fn write_change(text: &mut String, group: &[&Change], color: bool) {
    let change = group[0];
    let places: Vec<String> = group.iter().map(|change| change.place.clone()).collect();
    let sign = sign(change.kind);
    text.push_str(&format!("  {} {}\n", painted(&sign.to_string(), sign, color), named(&places)));
    for requests in &change.requests {
        text.push_str(&format!("      {requests}\n"));
    }
    if change.more {
        text.push_str("      and more\n");
    }
    let by = |by: &str| if by.is_empty() { String::new() } else { format!("  ({by})") };
    text.push_str(&format!("        was   {}{}\n", change.old.said, by(&change.old.by)));
    text.push_str(&format!("        is    {}{}\n", change.new.said, by(&change.new.by)));
    if let Some(example) = &change.example {
        text.push_str(&format!("        e.g.  {}\n", example.text));
    }
}

/// Some of them, and how many more.
pub(super) fn named(names: &[String]) -> String {
    let more = names.len().saturating_sub(MAX_NAMED);
    let said = names[..names.len() - more].join(", ");
    if more > 0 { format!("{said} and {more} more") } else { said }
}

/// `3 changes: 1 newly allowed, 2 routed elsewhere. 4 of 12 proxies get another slice: a, b, c, d.`
pub(super) fn summary(comparison: &Comparison) -> String {
    let kinds = [Kind::Allowed, Kind::Denied, Kind::Routed, Kind::Set].into_iter().filter_map(|kind| {
        let changes = comparison.changes.iter().filter(|change| change.kind == kind).count();
        (changes > 0).then(|| format!("{changes} {}", heading(kind).to_lowercase()))
    });
    let kinds: Vec<String> = kinds.collect();
    let changes = count(comparison.changes.len(), "change");
    let changes = if kinds.is_empty() { changes } else { format!("{changes}: {}", kinds.join(", ")) };
    let workloads = comparison.workloads;
    let reach = match comparison.affected.as_slice() {
        [] => "no proxy gets another slice".to_owned(),
        [one] => format!(
            "1 of {} gets another slice: {one}",
            count(workloads, "proxy").replace("proxys", "proxies")
        ),
        several => format!("{} of {workloads} proxies get another slice: {}", several.len(), named(several)),
    };
    format!("{changes}. {reach}.").replace(". no proxy", ". No proxy")
}

fn painted(text: &str, sign: char, color: bool) -> String {
    let code = match sign {
        _ if !color => return text.to_owned(),
        '+' => 32,
        '-' => 31,
        '>' => 36,
        _ => 33,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
