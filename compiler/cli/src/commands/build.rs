//! `mesh build`: compile to a plan file, or leave the old one as it is.

use super::{Parsed, environment};
use crate::args::Build;
use crate::failure::Failure;
use crate::load::{STANDARD_STREAM, load};
use crate::output::{Output, Stream, count};
use crate::report::{WrittenPart, WrittenPlan};
use crate::{FINDINGS, OK, write};
use mesh_compiler::StandIns;
use mesh_plan::bundle::Bundle;
use mesh_plan::{Plan, PlanView, Sources};
use std::fmt;
use std::path::{Path, PathBuf};

/// As many digits of a digest as a person compares.
const SHORT_DIGEST: usize = 12;

pub(crate) fn run(build: &Build, output: &mut Output<'_>) -> Result<u8, Failure> {
    let target = Target::of(build, output)?;
    misplaced_target(build)?;
    let project = load(&build.sources.paths)?;
    let parsed = Parsed::of(&project);
    let environment = environment::one(&parsed, build.environment.as_deref())?;
    let compilation = parsed.compile_to_run(&environment, &StandIns::new());
    let (diagnostics, suppressed) = (&compilation.diagnostics, &compilation.suppressed);
    let Some(plan) = &compilation.plan else {
        super::print(output, target.findings(), diagnostics, suppressed, &parsed, |_| {});
        output.say(&target.not_written());
        return Ok(FINDINGS);
    };
    let view = seal(plan, &compilation.sources)?;
    match target {
        Target::File(path) => write::write(path, view.bytes())?,
        Target::StandardOutput => output.raw(view.bytes()),
    }
    let written = WrittenPlan {
        path: target.to_string(),
        bytes: view.bytes().len(),
        digest: view.digest_hex(),
        parts: parts(&view)?,
    };
    let lines = [describe(&written, plan, parsed.rules()), describe_parts(&written.parts)];
    super::print(output, target.findings(), diagnostics, suppressed, &parsed, |report| {
        report.plan = Some(written);
    });
    lines.iter().for_each(|line| output.say(line));
    Ok(OK)
}

/// The parts that proxies load.
fn parts(plan: &PlanView) -> Result<Vec<WrittenPart>, Failure> {
    let bundle = Bundle::of(plan, None, 0);
    let bundle = bundle.map_err(|error| Failure::new(error.to_string(), "Make several projects of it."))?;
    let parts = bundle.parts.iter().map(|(unit, part)| WrittenPart {
        unit: unit.to_string(),
        bytes: part.plan.bytes().len(),
        digest: part.plan.digest_hex(),
    });
    Ok(parts.collect())
}

/// `6 parts of 1.1 KiB to 3.0 KiB, the largest: service reviews.shop`
fn describe_parts(parts: &[WrittenPart]) -> String {
    let sizes = parts.iter().map(|part| part.bytes);
    let (least, most) = (sizes.clone().min().unwrap_or(0), sizes.max().unwrap_or(0));
    let largest = parts.iter().find(|part| part.bytes == most).map_or("none", |part| &part.unit);
    let parts = count(parts.len(), "part");
    format!("{parts} of {} to {}, the largest: {largest}", size(least), size(most))
}

/// Where the plan goes.
#[derive(Clone, Copy)]
enum Target<'a> {
    File(&'a Path),
    StandardOutput,
}

impl<'a> Target<'a> {
    fn of(build: &'a Build, output: &Output<'_>) -> Result<Target<'a>, Failure> {
        if build.output != Path::new(STANDARD_STREAM) {
            return Ok(Target::File(&build.output));
        }
        if output.data_is_terminal() {
            let help = "Name a file, `-o plan.mplan`, or send standard output to a file or a program.";
            return Err(Failure::new("a plan is not text: it is not written to a terminal", help));
        }
        if output.for_program() {
            let help = "Write the plan to a file, or leave out --format (or MESH_FORMAT).";
            return Err(Failure::new("standard output cannot hold both the plan and the report on it", help));
        }
        Ok(Target::StandardOutput)
    }

    /// Where findings go: not between the bytes of a plan.
    fn findings(self) -> Stream {
        match self {
            Target::File(_) => Stream::Data,
            Target::StandardOutput => Stream::Errors,
        }
    }

    fn not_written(self) -> String {
        let kept = matches!(self, Target::File(path) if path.exists());
        format!("`{self}` is not written{}", if kept { " and stays as it was" } else { "" })
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::File(path) => path.display().fmt(f),
            Target::StandardOutput => f.write_str("standard output"),
        }
    }
}

/// `mesh build shop plan.mplan`: the plan among the sources, as with other compilers.
fn misplaced_target(build: &Build) -> Result<(), Failure> {
    let is_target = |path: &&PathBuf| path.extension().is_some_and(|end| end == "mplan") && !path.exists();
    match build.sources.paths.iter().find(is_target) {
        Some(path) => Err(Failure::new(
            format!("cannot read `{}`: no such file or directory", path.display()),
            format!("Write the plan with `-o {}`.", path.display()),
        )),
        None => Ok(()),
    }
}

/// A plan as it is written, with the proof that a proxy will accept it.
pub(super) fn seal(plan: &Plan, sources: &Sources) -> Result<PlanView, Failure> {
    let bytes = mesh_plan::encode(plan).map_err(|limit| {
        let help = "Make several projects of it, or shorten the chain of routes that lead to each other.";
        Failure::new(limit.to_string(), help)
    })?;
    let view = mesh_plan::verify(bytes).expect("the compiler writes only plans that verify");
    mesh_engine::self_test(&view).map_err(|mismatch| {
        let help = "This is a mistake of mesh and not of your files: please report it, with them if you can.";
        Failure::new(mismatch.to_string(), help)
    })?;
    Ok(view.with_sources(|text| sources.place(text)))
}

fn describe(written: &WrittenPlan, plan: &Plan, rules: usize) -> String {
    format!(
        "{}  {}  digest {}  {}",
        written.path,
        size(written.bytes),
        short(&written.digest),
        contents(plan, rules)
    )
}

/// `4 services, 1 gateway, 12 rules`
pub(super) fn contents(plan: &Plan, rules: usize) -> String {
    let services = count(plan.services.len(), "service");
    let gateways = count(plan.gateways.len(), "gateway");
    format!("{services}, {gateways}, {}", count(rules, "rule"))
}

/// The beginning of a digest.
pub(super) fn short(digest: &str) -> String {
    format!("{}…", digest.get(..SHORT_DIGEST).unwrap_or(digest))
}

pub(super) fn size(bytes: usize) -> String {
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_the_unit_a_person_would_choose() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(4300), "4.2 KiB");
        assert_eq!(size(3 << 20), "3.0 MiB");
    }
}
