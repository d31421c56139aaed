//! What a running proxy has given up, as the kernel sees it.

use mesh_tests::process::{Running, mesh_proxy, run};
use mesh_tests::project::Project;
use std::path::{Path, PathBuf};

const TEXT: &str = "gateway edge { listener web port 80 http { host \"*\" } }\nauthorize edge { allow from anyone }\n\
                    route edge { otherwise 404 }\nservice s { port 80 http }\nauthorize s { allow from gateway edge }\n";

/// The directory of a plan, gone at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        let place = std::env::temp_dir().join(format!("mesh-privileges-{:x}", fastrand::u64(..)));
        std::fs::create_dir_all(&place).unwrap();
        let plan = Project::parse(TEXT).compile().plan.expect("it compiles");
        std::fs::write(place.join("mesh.mplan"), mesh_plan::encode(&plan).unwrap()).unwrap();
        Place(place)
    }

    fn start(&self, more: &[&str]) -> Running {
        let mut command = mesh_proxy();
        command.arg("--plan").arg(self.0.join("mesh.mplan")).arg("--state").arg(self.0.join("state"));
        command.args(["--service", "s", "--outbound", "127.0.0.1:0", "--workers", "2"]).args(more);
        let proxy = Running::start(&mut command);
        proxy.wait_for("serving plan");
        proxy
    }
}

impl Place {
    /// Whether a plan is kept for the next start.
    fn has_kept(&self) -> bool {
        let mut files = self.0.join("state").read_dir().expect("the proxy has made it");
        files.any(|file| file.unwrap().metadata().unwrap().len() > 0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the kernel says of each thread under a name.
fn of_threads(process: &Running, name: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let said = |thread: &Path| {
        let status = std::fs::read_to_string(thread.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    threads.map(|thread| said(&thread.unwrap().path())).collect()
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t0")
}

#[test]
fn no_thread_of_a_proxy_can_do_more_than_it_needs() {
    let place = Place::new();
    let proxy = place.start(&[]);
    let given_up = of_threads(&proxy, "NoNewPrivs");
    assert!(given_up.len() >= 3 && given_up.iter().all(|is_so| is_so == "1"), "{given_up:?}");
    let lacks =
        |what: &str| proxy.said().iter().any(|line| line.contains("warning: ") && line.contains(what));
    if !lacks("seccomp") {
        assert!(of_threads(&proxy, "Seccomp").iter().all(|mode| mode == "2"), "filtered");
    }
    assert!(place.has_kept(), "what it has to write it can");
    let free = place.start(&["--sandbox", "off"]);
    assert!(of_threads(&free, "NoNewPrivs").iter().all(|is_so| is_so == "0"));
}

#[test]
fn a_proxy_that_was_root_is_somebody_else_in_all_threads() {
    let place = Place::new();
    if !is_root() {
        // Nobody else can become somebody else: that is said, and nothing served.
        let mut command = mesh_proxy();
        command.arg("--plan").arg(place.0.join("mesh.mplan"));
        command.args(["--service", "s", "--outbound", "127.0.0.1:0", "--user", "4711"]);
        let (code, _, said) = run(&mut command);
        assert!(code == 2 && said.contains("cannot become 4711"), "{said}");
        return;
    }
    let proxy = place.start(&["--user", "4711:4712"]);
    for (name, number) in [("Uid", "4711"), ("Gid", "4712")] {
        let all = [number; 4].join("\t");
        assert!(of_threads(&proxy, name).iter().all(|ids| *ids == all), "{:?}", of_threads(&proxy, name));
    }
    assert!(place.has_kept(), "the directory is its own");
    assert!(of_threads(&proxy, "Groups").iter().all(String::is_empty));
    assert!(of_threads(&proxy, "CapEff").iter().all(|set| set.trim_matches('0').is_empty()));
    let root = place.start(&[]);
    root.wait_for("warning: this proxy is root");
}

#[test]
fn a_user_that_is_not_there_is_a_mistake() {
    let (code, _, said) =
        run(mesh_proxy().args(["--plan", "x.mplan", "--gateway", "edge", "--user", "no-such-user"]));
    assert!(code == 2 && said.contains("there is no user `no-such-user` on this machine"), "{said}");
}
