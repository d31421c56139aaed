//! `mesh build`: compile to a plan file, or leave the old one as it is.

use crate::args::Build;
use crate::failure::Failure;
use crate::load::load;
use crate::output::{Output, count};
use crate::report::WrittenPlan;
use crate::{FINDINGS, OK, write};
use mesh_compiler::StandIns;
use mesh_plan::{Plan, PlanView};

/// As many digits of a digest as a person compares.
const SHORT_DIGEST: usize = 12;

pub(crate) fn run(build: &Build, output: &mut Output<'_>) -> Result<u8, Failure> {
    let project = load(&build.sources.paths)?;
    let compilation = super::compile(&project, &StandIns::new());
    let Some(plan) = &compilation.plan else {
        super::print(output, &compilation.diagnostics, &project.sources, |_| {});
        let target = build.output.display();
        let kept = if build.output.exists() { " and stays as it was" } else { "" };
        output.say(&format!("`{target}` is not written{kept}"));
        return Ok(FINDINGS);
    };
    let (bytes, view) = seal(plan)?;
    write::write(&build.output, &bytes)?;
    let written = WrittenPlan {
        path: build.output.display().to_string(),
        bytes: bytes.len(),
        digest: view.digest_hex(),
    };
    let line = describe(&written, plan, super::rules(&project.sources));
    super::print(output, &compilation.diagnostics, &project.sources, |report| report.plan = Some(written));
    output.say(&line);
    Ok(OK)
}

/// The bytes of a plan, and the proof that a proxy will accept them.
pub(super) fn seal(plan: &Plan) -> Result<(Vec<u8>, PlanView), Failure> {
    let bytes = mesh_plan::encode(plan).map_err(|limit| {
        let help = "Make several projects of it, or shorten the chain of routes that lead to each other.";
        Failure::new(limit.to_string(), help)
    })?;
    let view = mesh_plan::verify(bytes.clone()).expect("the compiler writes only plans that verify");
    Ok((bytes, view))
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

fn size(bytes: usize) -> String {
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
