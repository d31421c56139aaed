//! The answer for a person: what all ways have in common is said once, then each end with what led there alone.

use crate::args::Format;
use crate::output::Output;
use crate::report::why::{Cited, Kind, Other, Setting, Step, Way, Why};

/// As wide as the longest word of the first column.
const WORD: usize = 11;

pub(super) fn show(why: &Why, output: &mut Output<'_>) {
    if output.format() == Format::Short {
        return short(why, output);
    }
    let request = if why.request.is_empty() { "a connection" } else { &why.request };
    let host = if why.to.starts_with("gateway") && !why.host.is_empty() {
        format!("  host {}", why.host)
    } else {
        String::new()
    };
    output.data(&format!("{request}  from {}  to {}{host}", why.from, why.to));
    output.data("");
    let common = common(&why.ways);
    if let Some(first) = why.ways.first() {
        first.steps.iter().take(common).for_each(|step| self::step(step, "", output));
    }
    let mut groups: Vec<Vec<&Way>> = Vec::new();
    for way in &why.ways {
        let alike = |group: &&mut Vec<&Way>| {
            let first = group[0];
            first.steps[common..] == way.steps[common..] && first.settings == way.settings
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(way),
            None => groups.push(vec![way]),
        }
    }
    let several = groups.len() > 1;
    for group in &groups {
        if several {
            output.data("");
        }
        let indent = if several { "  " } else { "" };
        let arrow = if output.draws() { "→" } else { "->" };
        if several {
            for way in group {
                output.data(&format!("{:>6}  {arrow} {}", percent(way), way.end));
            }
        }
        let first = group[0];
        first.steps[common..].iter().for_each(|step| self::step(step, indent, output));
        if !several {
            output.data("");
            for way in group {
                let share = if why.ways.len() > 1 { format!("{:>6}  ", percent(way)) } else { String::new() };
                output.data(&format!("{share}{arrow} {}", way.end));
            }
        }
        first.settings.iter().for_each(|setting| self::setting(setting, indent, output));
    }
    if !why.complete {
        output.data("\nThere are more ways than are shown. All ends:");
        for end in &why.ends {
            output.data(&format!("{:>6}  {}", format!("{}%", end.percent), end.end));
        }
    }
}

/// How many steps all ways begin with.
fn common(ways: &[Way]) -> usize {
    let Some((first, rest)) = ways.split_first() else { return 0 };
    let same = |index: &usize| rest.iter().all(|way| way.steps.get(*index) == first.steps.get(*index));
    (0..first.steps.len()).take_while(same).count()
}

fn percent(way: &Way) -> String {
    format!("{}%", way.percent)
}

fn step(step: &Step, indent: &str, output: &mut Output<'_>) {
    let mark = match (output.draws(), step.holds) {
        (true, true) => "✓",
        (true, false) => "✗",
        (false, true) => "yes",
        (false, false) => "no ",
    };
    let (decided, place) = decided(step);
    let word = word(step.kind);
    output.data(&format!("{indent}{word:<WORD$}{mark} {decided}{place}"));
    let below = format!("{indent}{:WORD$}  ", "");
    if let Some(fits) = &step.fits {
        output.data(&format!("{below}{}{}", fits.text, at(fits)));
    }
    step.does.iter().for_each(|line| output.data(&format!("{below}{line}")));
    step.others.iter().for_each(|other| output.data(&format!("{below}{}", not(other))));
    if step.more > 0 {
        output.data(&format!("{below}and {} more that do not count", step.more));
    }
    for line in &step.asks {
        output.data(&format!("{below}asks by {}{}", line.text, at(line)));
    }
    for line in &step.audited {
        output.data(&format!("{below}told by {}{}", line.text, at(line)));
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Call => "call",
        Kind::Route => "route",
        Kind::Authorize => "authorize",
    }
}

/// What decides, and where it stands.
fn decided(step: &Step) -> (String, String) {
    match (&step.by, step.kind, step.holds) {
        (Some(line), Kind::Route, _) => (format!("{} of {}", line.text, step.of), at(line)),
        (Some(line), Kind::Authorize, _) => (format!("{} at {}", line.text, step.of), at(line)),
        (Some(line), Kind::Call, _) => (line.text.clone(), at(line)),
        (None, Kind::Route, true) => (format!("{} has no route", step.of), String::new()),
        (None, Kind::Route, false) => (format!("no rule of {} matches", step.of), String::new()),
        (None, Kind::Authorize, _) => (format!("no allow of {} covers it", step.of), String::new()),
        (None, Kind::Call, _) => (format!("no calls from {} covers it", step.of), String::new()),
    }
}

/// `beats rule everybody (shop.mesh:12)`, `not rule testers (shop.mesh:8): needs header "end-user" = "jason"`
fn not(other: &Other) -> String {
    let (line, place) = (&other.line.text, at(&other.line));
    match other.fails.as_slice() {
        [] => format!("beats {line}{place}"),
        fails => format!("not {line}{place}: needs {}", fails.join(" and ")),
    }
}

fn setting(setting: &Setting, indent: &str, output: &mut Output<'_>) {
    let from = match &setting.line {
        None => "  written nowhere".to_owned(),
        Some(line) if setting.place.is_empty() => at(line),
        Some(line) => format!("  {}{}", setting.place, at(line)),
    };
    output.data(&format!("{indent}  {:<8} {}{from}", setting.name, setting.value));
}

fn at(line: &Cited) -> String {
    format!("  ({}:{})", line.file, line.start.line)
}

/// A line for each decision, as other tools read places.
fn short(why: &Why, output: &mut Output<'_>) {
    for way in &why.ways {
        for step in &way.steps {
            let (decided, _) = decided(step);
            let verdict = if step.holds { "yes" } else { "no" };
            let place = step.by.as_ref().map_or(String::new(), |line| {
                format!("{}:{}:{}: ", line.file, line.start.line, line.start.column)
            });
            output.data(&format!("{place}{}: {verdict}: {decided}", word(step.kind)));
        }
        let settings: Vec<String> =
            way.settings.iter().map(|setting| format!(" {} {}", setting.name, setting.value)).collect();
        output.data(&format!("{}% {}{}", way.percent, way.end, settings.join("")));
    }
}
