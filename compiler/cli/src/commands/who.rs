//! `mesh who`: who may call a service, what a service may call, and the whole matrix, decided for all requests.

mod csv;

use super::why::told_apart;
use super::{Parsed, environment};
use crate::args::{Rendering, Who};
use crate::failure::Failure;
use crate::load::load;
use crate::output::Output;
use crate::report::who::{Declared, Row, Verdict, WHO_SCHEMA, Who as Report};
use crate::report::why::Cited;
use crate::{FINDINGS, OK};
use mesh_compiler::survey::who::NoAnswer;

pub(crate) fn run(who: &Who, output: &mut Output<'_>) -> Result<u8, Failure> {
    let (operations, paths) = told_apart(who.operations.as_ref(), &who.sources);
    let project = load(&paths)?;
    let parsed = Parsed::of(&project);
    let environment = environment::one(&parsed, who.environment.as_deref())?;
    let unknown = "Who may call whom in a project with errors is not known.";
    if parsed.compile_to_ask(&environment, unknown, output).is_none() {
        return Ok(FINDINGS);
    }
    let survey = parsed.project.survey(environment.as_deref());
    let found = match (&who.can_call, &who.callable_from) {
        (Some(to), _) => survey.can_call(to, who.port.as_deref(), operations),
        (None, Some(from)) => survey.callable_from(from, operations),
        (None, None) if operations.is_some() => {
            let help = "Ask with `--can-call NAME` or `--callable-from NAME`.";
            return Err(Failure::new("the matrix is about all requests", help));
        }
        (None, None) => survey.matrix(),
    };
    let rows = found.map_err(|why| match why {
        NoAnswer::Unknown(unknown) => Failure::new(unknown.message, unknown.help),
        NoAnswer::TooMuch(port) => Failure::new(
            format!("who may call `{port}` cannot be decided within the budget"),
            "Ask about fewer requests: name a method and a path.",
        ),
    })?;
    let report = Report {
        schema: WHO_SCHEMA.to_owned(),
        operations: operations.map(str::to_owned),
        environment,
        rows: rows.iter().map(|row| Row::of(row, &project.sources)).collect(),
    };
    match who.rendering {
        Some(Rendering::Csv) => output.raw(csv::csv(&report.rows).as_bytes()),
        Some(Rendering::Json) => output.json(&report),
        None if output.for_program() => output.document(&report),
        None => show(&report, who, output),
    }
    Ok(OK)
}

fn show(report: &Report, who: &Who, output: &mut Output<'_>) {
    let about_callee = who.callable_from.is_none();
    let of = |row: &Row| {
        if about_callee { format!("{} port {}", row.callee, row.port) } else { row.caller.clone() }
    };
    let mut last = String::new();
    for row in &report.rows {
        let head = of(row);
        if head != last {
            let gap = if last.is_empty() { "" } else { "\n" };
            let word = if about_callee { "may be called by" } else { "may call" };
            let about = report.operations.as_ref().map_or(String::new(), |said| format!("  ({said})"));
            output.data(&format!("{gap}{head} {word}{about}\n"));
            last = head;
        }
        self::row(row, about_callee, output);
    }
    match (report.rows.is_empty(), about_callee) {
        (true, true) => output.data("Nobody."),
        (true, false) => output.data("Nothing."),
        (false, true) => output.say("\nNobody else."),
        (false, false) => output.say("\nNothing else."),
    }
}

fn row(row: &Row, about_callee: bool, output: &mut Output<'_>) {
    let mark = match (output.draws(), row.verdict) {
        (false, _) => "",
        (true, Verdict::Allowed) => "✓ ",
        (true, Verdict::Partly) => "◐ ",
        (true, Verdict::Denied) => "✗ ",
    };
    let who = match (about_callee, row.members) {
        (false, _) => format!("{} port {}", row.callee, row.port),
        (true, Some(members)) if members > 0 => format!("{} ({members} of the project)", row.caller),
        (true, _) => row.caller.clone(),
    };
    let declared = match row.declared {
        Declared::Yes | Declared::Unasked => "",
        Declared::Partly => ", declares some of it",
        Declared::No => ", and declares no such call",
        Declared::Route => ", by a route",
    };
    output.data(&format!("  {mark}{who}: {}{declared}", row.verdict.as_str()));
    for grant in &row.grants {
        output.data(&format!("      {}{}", grant.line.text, at(&grant.line)));
    }
    for denial in &row.denials {
        output.data(&format!("      but not what {}{}", denial.text, at(denial)));
    }
    match (row.verdict, &row.allowed, &row.denied) {
        (Verdict::Partly, Some(allowed), Some(denied)) => {
            output.data(&format!("      e.g. {}  and not  {}", allowed.request, denied.request));
        }
        (Verdict::Denied, _, Some(denied)) => output.data(&format!("      e.g. {}", denied.request)),
        _ => {}
    }
}

fn at(line: &Cited) -> String {
    format!("  ({}:{})", line.file, line.start.line)
}
