//! The `mesh` command as a function: arguments and streams in, exit code out.
//!
//! Read [`run`], then `args` (every flag), `load` (disk to sources), `commands` (one file each), `output` (how results are
//! printed) and `write` (how files are written). What is printed for programs is in [`report`].

mod args;
mod authority;
mod commands;
mod drawing;
mod failure;
mod load;
mod output;
pub mod report;
mod stand_in;
mod terminal;
mod write;

use args::{Arguments, Command};
use clap::Parser;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use failure::Failure;
use output::Output;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
pub use terminal::Terminal;

/// All is well.
const OK: u8 = 0;
/// Findings, failing tests, files that `fmt --check` would change.
const FINDINGS: u8 = 1;
/// Wrong usage, I/O, something that is not a plan.
const TROUBLE: u8 = 2;
/// A bug of ours.
const BUG: u8 = 101;
/// A second Ctrl-C while the first one's drain still runs.
const INTERRUPTED: u8 = 130;

/// Where a command reads and writes.
pub struct Streams<'a> {
    /// Read by `fmt -`.
    pub input: &'a mut dyn Read,
    /// Results.
    pub output: &'a mut dyn Write,
    /// Commentary and errors.
    pub errors: &'a mut dyn Write,
    /// What the streams lead to.
    pub terminal: Terminal,
}

/// Runs `mesh` with the arguments and streams of this process.
pub fn run_process() -> std::process::ExitCode {
    let mut output = io::stdout();
    let mut errors = io::stderr();
    let streams = Streams {
        input: &mut io::stdin(),
        output: &mut output,
        errors: &mut errors,
        terminal: Terminal::of_process(),
    };
    std::process::ExitCode::from(run(std::env::args_os(), streams))
}

/// Runs `mesh`: `args` begins with the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>, streams: Streams<'_>) -> u8 {
    let Streams { input, output, errors, terminal } = streams;
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&without_misleading_tip(error), output, errors, &terminal),
    };
    let mut output = Output::new(output, errors, terminal, &arguments.global);
    // A panic is a bug of ours wherever it happens, and the user is told so rather than left with a stack trace.
    let result = catch_unwind(AssertUnwindSafe(|| dispatch(arguments.command, input, &mut output)));
    let code = match result {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            output.complain(&failure);
            TROUBLE
        }
        Err(payload) => {
            output.complain(&Failure::bug(payload.as_ref()));
            BUG
        }
    };
    match output.finish() {
        Ok(()) => code,
        Err(failure) => {
            output.complain(&failure);
            TROUBLE
        }
    }
}

fn dispatch(command: Command, input: &mut dyn Read, output: &mut Output<'_>) -> Result<u8, Failure> {
    if output.format() == args::Format::Markdown && !matches!(command, Command::Diff(_)) {
        return Err(Failure::new(
            "only `mesh diff` writes Markdown",
            "Leave out `--format markdown` (or MESH_FORMAT); `mesh doc --markup markdown` writes pages.",
        ));
    }
    match command {
        Command::Check(check) => commands::check::run(&check, output),
        Command::Build(build) => commands::build::run(&build, output),
        Command::Test(test) => commands::test::run(&test, output),
        Command::Fmt(fmt) => commands::fmt::run(&fmt, input, output),
        Command::Explain(explain) => commands::explain::run(&explain, output),
        Command::Why(why) => commands::why::run(&why, output),
        Command::Who(who) => commands::who::run(&who, output),
        Command::Graph(graph) => commands::graph::run(&graph, output),
        Command::Doc(doc) => commands::doc::run(&doc, output),
        Command::Up(up) => commands::up::run(&up, output),
        Command::Diff(diff) => commands::diff::run(&diff, output),
        Command::Trim(trim) => commands::trim::run(&trim, input, output),
        Command::Ca(ca) => commands::ca::run(&ca, output),
        Command::Plan(plan) => commands::plan::run(&plan, output),
        Command::Serve(serve) => commands::serve::run(&serve, output),
        Command::Completions { shell } => Ok(commands::version::completions(shell, output)),
        Command::Lsp { .. } => Ok(commands::lsp::run()),
        Command::Version => Ok(commands::version::run(output)),
    }
}

/// `--format` is near to `--port` by letters alone: what is looked for is not a flag.
fn without_misleading_tip(mut error: clap::Error) -> clap::Error {
    let is_port = |value: &ContextValue| matches!(value, ContextValue::String(flag) if flag == "--port");
    if error.get(ContextKind::InvalidArg).is_some_and(is_port) {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Usage);
        let tip = StyledStr::from("a port stands in the sources: `listener web port 8080 http` of a gateway");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// Help and version are results; anything else is a complaint about the arguments.
fn usage(error: &clap::Error, output: &mut dyn Write, errors: &mut dyn Write, terminal: &Terminal) -> u8 {
    let is_result = !error.use_stderr();
    let color = terminal.color(args::Color::Auto, if is_result { terminal.output } else { terminal.errors });
    let text = error.render();
    let text = if color { text.ansi().to_string() } else { text.to_string() };
    let stream: &mut dyn Write = if is_result { output } else { errors };
    // Nothing more can be said where even this cannot be written.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    if is_result { OK } else { TROUBLE }
}
