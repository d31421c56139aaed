//! What fits a comment on a pull request: the summary, a table of the changes, and a graph of who may call whom now.

use super::Difference;
use super::human::{groups, named, sign, summary};
use mesh_compiler::compare::{Comparison, Edge, Marked};
use std::collections::{BTreeMap, BTreeSet};

/// A comment has room for 65,536 characters (GitHub); so many changes leave room for the rest.
const MAX_ROWS: usize = 60;

/// More edges are no picture.
const MAX_EDGES: usize = 60;

pub(super) fn written(names: &(String, String), differences: &[Difference]) -> String {
    let mut text = format!("### mesh diff: `{}` → `{}`\n", names.0, names.1);
    for Difference { environments, comparison } in differences {
        if !environments.is_empty() {
            text.push_str(&format!("\n#### In {}\n", environments.join(" and ")));
        }
        of_one(&mut text, comparison);
    }
    text
}

fn of_one(text: &mut String, comparison: &Comparison) {
    if comparison.is_empty() && comparison.affected.is_empty() {
        text.push_str("\nNo request is decided otherwise.\n");
        return;
    }
    text.push_str(&format!("\n{}\n", escaped(&summary(comparison))));
    let lists = [("added", &comparison.added), ("removed", &comparison.removed)];
    for (word, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        text.push_str(&format!("\n**{word}** {}\n", named(&names)));
    }
    let groups = groups(comparison);
    if !groups.is_empty() {
        text.push_str("\n| | where | requests | was | is |\n|---|---|---|---|---|\n");
    }
    for group in groups.iter().take(MAX_ROWS) {
        let change = group[0];
        let places: Vec<String> = group.iter().map(|change| format!("`{}`", cell(&change.place))).collect();
        let mut requests: Vec<String> =
            change.requests.iter().map(|one| format!("`{}`", cell(one))).collect();
        requests.extend(change.more.then(|| "and more".to_owned()));
        requests.extend(change.example.as_ref().map(|example| format!("e.g. `{}`", cell(&example.text))));
        let decided = |decided: &mesh_compiler::compare::Decided| match decided.by.as_str() {
            "" => format!("`{}`", cell(&decided.said)),
            by => format!("`{}`<br>{}", cell(&decided.said), escaped(&cell(by))),
        };
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            sign(change.kind),
            named(&places),
            requests.join("<br>"),
            decided(&change.old),
            decided(&change.new)
        ));
    }
    if groups.len() > MAX_ROWS {
        text.push_str(&format!("\n… and {} more; `mesh diff` lists all.\n", groups.len() - MAX_ROWS));
    }
    if !groups.is_empty() {
        text.push_str(
            "\n`+` newly allowed · `-` newly denied · `>` routed elsewhere · `~` settings changed\n",
        );
    }
    for place in &comparison.undecided {
        text.push_str(&format!(
            "\n`?` `{place}`: too much to be compared exactly; it may decide otherwise\n"
        ));
    }
    write_graph(text, &comparison.edges);
}

/// Mermaid. What was added is thick and has a `+`, what was removed is dotted and has a `−`: signs, not colours alone.
fn write_graph(text: &mut String, edges: &[Edge]) {
    if edges.is_empty() || edges.len() > MAX_EDGES {
        return;
    }
    let names: BTreeSet<&str> =
        edges.iter().flat_map(|edge| [edge.from.as_str(), edge.to.as_str()]).collect();
    let numbers: BTreeMap<&str, usize> = names.into_iter().zip(0..).collect();
    text.push_str("\n```mermaid\ngraph LR\n");
    for (name, number) in &numbers {
        text.push_str(&format!("  n{number}[\"{name}\"]\n"));
    }
    let mut styles = String::new();
    for (edge, index) in edges.iter().zip(0..) {
        let (from, to) = (numbers[edge.from.as_str()], numbers[edge.to.as_str()]);
        let (arrow, color) = match edge.marked {
            Marked::Added => ("== \"+\" ==>", "#0072b2"),
            Marked::Removed => ("-. \"−\" .->", "#d55e00"),
            Marked::Changed => ("-- \"~\" -->", "#999999"),
        };
        text.push_str(&format!("  n{from} {arrow} n{to}\n"));
        styles.push_str(&format!("  linkStyle {index} stroke:{color}\n"));
    }
    text.push_str(&format!("{styles}```\n"));
}

/// Inside backticks in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('`', "'")
}

/// Text that is not meant as markup.
fn escaped(text: &str) -> String {
    let special = |c: char| matches!(c, '*' | '_' | '<' | '>' | '[' | ']');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
