//! A `mesh build` that is stopped, at whatever byte of the plan, leaves a plan: the old one or the new one, whole.

use crate::harness::{Project, SHOP};
use mesh_plan::verify;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Builds that are killed, each at another moment, unless `MESH_KILLS` says how many.
const KILLS: usize = 40;

/// Two projects, whose plans are some tens of kilobytes, and what they are built to.
struct Builds {
    project: Project,
    plans: [Vec<u8>; 2],
}

impl Builds {
    fn new() -> Builds {
        let project = Project::new(&[]);
        let plans = ["old", "new"].map(|name| {
            let mut text = SHOP.to_owned();
            for service in 0..40 {
                let _ = writeln!(
                    text,
                    "service {name}{service} {{ port 80 http }}\nauthorize {name}{service} {{ allow from gateway edge to GET /{name}/{service} }}"
                );
            }
            project.write(&format!("{name}/shop.mesh"), text);
            let ran = project.mesh(&["build", &format!("{{}}/{name}"), "-o", &format!("{{}}/{name}.mplan")]);
            assert_eq!(ran.code, 0, "{}", ran.err);
            project.read(&format!("{name}.mplan"))
        });
        assert!(plans[1].len() > 20_000 && plans[0] != plans[1]);
        fs::create_dir(project.at("out")).unwrap();
        Builds { project, plans }
    }

    /// Puts the old plan where the new one is to be built.
    fn begin(&self) {
        fs::remove_dir_all(self.project.at("out")).unwrap();
        fs::create_dir(self.project.at("out")).unwrap();
        fs::write(self.project.at("out/live.mplan"), &self.plans[0]).unwrap();
    }

    /// `mesh build`, as a process that may be stopped.
    fn command(&self, before: &str) -> Command {
        let mut command = Command::new("sh");
        let build = "exec \"$0\" build \"$1\" -o \"$2\"";
        command.arg("-c").arg(format!("{before} {build}")).arg(env!("CARGO_BIN_EXE_mesh"));
        command.arg(self.project.at("new")).arg(self.project.at("out/live.mplan"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Whether the plan that is there now is the new one. It is one of the two, and loads.
    fn is_new(&self, what: &str) -> bool {
        let now = fs::read(self.project.at("out/live.mplan")).unwrap();
        assert!(verify(now.as_slice()).is_ok(), "{what}: no plan");
        assert!(self.plans.contains(&now), "{what}: another plan");
        now == self.plans[1]
    }

    /// What stands beside the plan.
    fn beside(&self) -> Vec<String> {
        let names = fs::read_dir(self.project.at("out")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "live.mplan").collect()
    }
}

/// Bytes of a block of `ulimit -f` in `sh`, at most.
const BLOCK: usize = 1_024;

#[test]
fn a_disk_that_is_full_at_any_block_keeps_the_old_plan_and_leaves_nothing_else() {
    let builds = Builds::new();
    let mut failures = 0;
    for blocks in 0.. {
        builds.begin();
        // As on a full disk, a write returns an error.
        let status = builds.command(&format!("trap '' XFSZ; ulimit -f {blocks};")).status().unwrap();
        assert_eq!(builds.beside(), [""; 0], "{blocks} blocks: what was half written is gone");
        if status.success() {
            assert!(builds.is_new("there is room"));
            break;
        }
        assert_eq!(status.code(), Some(2), "{blocks} blocks: what is wrong is the world");
        assert!(!builds.is_new(&format!("{blocks} blocks")));
        failures += 1;
    }
    assert!(failures >= builds.plans[1].len() / BLOCK, "{failures}");
}

#[test]
fn a_build_that_is_killed_at_any_block_keeps_the_old_plan_and_the_next_one_replaces_it() {
    use std::os::unix::process::ExitStatusExt as _;
    let builds = Builds::new();
    let mut killed = 0;
    for blocks in 0.. {
        builds.begin();
        // The system kills whoever writes beyond the limit.
        let status = builds.command(&format!("ulimit -c 0; ulimit -f {blocks};")).status().unwrap();
        if status.success() {
            break;
        }
        assert!(status.signal().is_some(), "{blocks} blocks: {status}");
        assert!(!builds.is_new(&format!("{blocks} blocks")));
        // What the dead leave behind is hidden, and in nobody's way.
        assert!(builds.beside().iter().all(|name| name.starts_with('.')), "{:?}", builds.beside());
        assert!(builds.command("").status().unwrap().success());
        assert!(builds.is_new("the next build"));
        killed += 1;
    }
    assert!(killed >= builds.plans[1].len() / BLOCK, "{killed}");
}

#[test]
fn a_build_that_is_killed_at_any_moment_leaves_a_plan() {
    let kills = std::env::var("MESH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let builds = Builds::new();
    builds.begin();
    let began = Instant::now();
    assert!(builds.command("").status().unwrap().success());
    let whole = began.elapsed() + Duration::from_millis(2);
    let mut new = 0;
    for kill in 0..kills {
        builds.begin();
        let mut child = builds.command("").spawn().unwrap();
        std::thread::sleep(whole * u32::try_from(kill).unwrap() / u32::try_from(kills).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        new += usize::from(builds.is_new(&format!("kill {kill}")));
    }
    say(&format!(
        "{kills} builds killed within {whole:?}: {} left the old plan and {new} the new one",
        kills - new
    ));
}

#[expect(clippy::print_stdout, reason = "how often which plan was left is worth a line in the log")]
fn say(text: &str) {
    println!("{text}");
}
