//! Cases of kind `mesh`: what the compiler makes of a program, and what the program decides. A case says in words what it is about; the programs
//! that show it are in `programs`, found by these words.

mod programs;

use crate::catalogue::Case;
use crate::fixture::{Tools, write};
use crate::verdict::Verdict;
use programs::{Must, Program};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No program of these takes longer, whatever is wrong with it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn play(case: &Case, tools: &Tools) -> Verdict {
    if let Some(why) = programs::elsewhere(&case.input) {
        return Verdict::Skipped(why.to_owned());
    }
    if case.input.contains("shuffled") {
        return same_bytes(tools);
    }
    let Some(programs) = programs::of(&case.input) else {
        return Verdict::Failed(vec![format!("not understood: `{}`", case.input)]);
    };
    let mut wrong = Vec::new();
    for (index, program) in programs.iter().enumerate() {
        let directory = tools.scratch.join(format!("{}-{index}", case.id));
        wrong.extend(one(program, &directory, tools).map(|wrong| format!("{}: {wrong}", program.about)));
        // Whatever is left is removed with the rest.
        let _ = std::fs::remove_dir_all(&directory);
    }
    Verdict::of(wrong, vec![])
}

fn one(program: &Program, directory: &Path, tools: &Tools) -> Option<String> {
    for (file, text) in &program.files {
        if let Err(why) = write(&directory.join(file), text) {
            return Some(why);
        }
    }
    let verb = if program.must == Must::Refused { "check" } else { "test" };
    let began = Instant::now();
    let child = Command::new(&tools.mesh)
        .args([verb, "--format", "short"])
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = match child.and_then(std::process::Child::wait_with_output) {
        Ok(output) => output,
        Err(error) => return Some(format!("cannot run the compiler: {error}")),
    };
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| line.contains("error")).unwrap_or_default().to_owned();
    let is_refused = output.status.code() == Some(1) && first.contains("error[MESH");
    if began.elapsed() > PATIENCE {
        return Some(format!("takes {:?}", began.elapsed()));
    }
    match (program.must, output.status.code()) {
        (Must::Refused, _) if is_refused => None,
        (Must::Hold, Some(0)) => None,
        (Must::Either, Some(0)) => None,
        (Must::Either, _) if is_refused => None,
        (must, code) => Some(format!("must {must:?}, and the compiler ends with {code:?}: {}", said.trim())),
    }
}

/// The same sources in another order, on a machine with another clock and language, are the same plan.
fn same_bytes(tools: &Tools) -> Verdict {
    let (one, other) = (tools.scratch.join("same-one"), tools.scratch.join("same-other"));
    let files = [
        ("b.mesh", "service b {\n  port 80 http\n  calls a\n}\nauthorize b {\n  allow from anyone\n}\n"),
        ("a.mesh", "service a {\n  port 80 http\n}\nauthorize a {\n  allow from b\n}\n"),
    ];
    for (file, text) in files {
        // Other names and another order of files.
        let moved = other.join(if file == "a.mesh" { "z.mesh" } else { "y.mesh" });
        if let Err(why) = write(&one.join(file), text).and_then(|()| write(&moved, text)) {
            return Verdict::Failed(vec![why]);
        }
    }
    let build = |project: &Path, zone: &str, language: &str| {
        let plan = project.with_extension("mplan");
        let built = Command::new(&tools.mesh)
            .arg("build")
            .args([Path::new("-o"), &plan, project])
            .envs([("TZ", zone), ("LC_ALL", language), ("LANG", language)])
            .output();
        built
            .ok()
            .filter(|output| output.status.success())
            .and_then(|_| Some(plan_in(std::fs::read(plan).ok()?)))
    };
    match (build(&one, "UTC", "C"), build(&other, "Asia/Tokyo", "tr_TR.UTF-8")) {
        (Some(one), Some(other)) if one == other => Verdict::Passed(vec![]),
        (Some(_), Some(_)) => Verdict::Failed(vec!["the plans differ".to_owned()]),
        _ => Verdict::Failed(vec!["a plan is not built".to_owned()]),
    }
}

/// The plan in a file: as long as its header says (`spec/plan-format.md` 1). Where its rules stand, which is another place in other files, is behind it.
fn plan_in(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.get(24..32).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
    bytes.truncate(length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX));
    bytes
}
