//! The examples are not only checked: a plan of each can be built, but for those that say what no proxy does yet.

use mesh_tests::process::{mesh, run};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each folder of `examples/`, its environments, and what of it is refused (`MESH1010`).
const EXAMPLES: [(&str, &[&str], &[&str]); 12] = [
    ("1-ingress", &[], &[]),
    (
        "10-tcp-and-clusters",
        &["staging", "prod"],
        &["`cluster`", "`tls passthrough mesh`", "`tracing`", "a weight that is set while the mesh runs"],
    ),
    ("2-canary", &["staging", "prod"], &[]),
    ("3-faults", &["test", "prod"], &[]),
    ("4-egress", &[], &[]),
    ("5-boutique", &[], &[]),
    ("6-emojivoto", &[], &[]),
    ("7-booksapp", &[], &[]),
    ("8-gateway-tour", &["staging", "prod"], &[]),
    ("9-limits-and-identity", &[], &[]),
    ("bookinfo", &[], &[]),
    ("online-shop", &["staging", "prod"], &[]),
];

/// What follows the name of what is refused.
const REFUSED: &str = " is not executed by this version's proxy";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// What `mesh build` says: whether there is a plan, and what it refuses.
fn build(example: &str, environment: Option<&str>) -> (bool, BTreeSet<String>) {
    let unique = format!("mesh-{example}-{}-{:x}.mplan", std::process::id(), fastrand::u64(..));
    let plan = std::env::temp_dir().join(unique);
    let mut command = mesh();
    command.arg("build").arg(folder().join(example)).arg("-o").arg(&plan);
    command.args(environment.into_iter().flat_map(|name| ["--env", name]));
    let (code, said, errors) = run(&mut command);
    let is_there = plan.is_file();
    let _ = std::fs::remove_file(&plan);
    assert_eq!(code == 0, is_there, "{example}: {said}{errors}");
    let lines = said.lines().chain(errors.lines());
    let refused = lines.filter_map(|line| line.trim_start().strip_prefix("× ")?.strip_suffix(REFUSED));
    (is_there, refused.map(str::to_owned).collect())
}

#[test]
fn every_example_is_built_or_says_what_is_not_executed_yet() {
    let folders = std::fs::read_dir(folder()).expect("examples").map(|entry| entry.expect("an entry").path());
    let folders = folders.filter(|path| path.is_dir());
    let folders: BTreeSet<String> =
        folders.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    let known: BTreeSet<String> = EXAMPLES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(folders, known);
    for (example, environments, refused) in EXAMPLES {
        let all = match environments {
            [] => vec![None],
            named => named.iter().copied().map(Some).collect(),
        };
        for environment in all {
            let expected = refused.iter().map(|what| (*what).to_owned()).collect();
            assert_eq!(
                build(example, environment),
                (refused.is_empty(), expected),
                "{example} {environment:?}: bring the list in this file, and what documents say of it, up to date"
            );
        }
    }
}
