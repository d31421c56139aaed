//! The house keeps itself tidy: who may depend on whom, where things stand, what every file begins with.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crate, which of ours it may use, which of others' it is at home in. Others are checked for the crates that have a home.
const ALLOWED: &[(&str, &[&str], &[&str])] = &[
    ("mesh-lang", &[], &["miette", "nom", "smallvec", "smol_str"]),
    ("mesh-plan", &[], &["blake3", "ed25519-dalek"]),
    ("mesh-engine", &["mesh-plan"], &[]),
    (
        "mesh-proxy",
        &["mesh-engine", "mesh-plan"],
        // rustls, with ring: the server of plans is asked over HTTPS, and form_urlencoded says for whom; proxies speak mutual TLS with each
        // other (tokio-rustls), and x509-cert reads whose certificate it is and asks for one; prost reads what an agent of the SPIFFE Workload API sends. notify: a new plan is noticed at once.
        // bytes and httpdate: HTTP/1.1 is read and written here.
        // ring itself: what agrees to a WebSocket is a hash, and tokens are signed. landlock, seccompiler with libc's numbers, and nix: what it gives up at its start.
        &[
            "arc-swap",
            "bytes",
            "clap",
            "fastrand",
            "form_urlencoded",
            "h2",
            "http-body-util",
            "httpdate",
            "hyper",
            "hyper-rustls",
            "hyper-util",
            "landlock",
            "libc",
            "nix",
            "notify",
            "prost",
            "ring",
            "rustls",
            "rustls-native-certs",
            "seccompiler",
            "simple-dns",
            "socket2",
            "tokio",
            "tokio-rustls",
            "x509-cert",
        ],
    ),
    (
        "mesh-compiler",
        &["mesh-lang", "mesh-plan"],
        // indexmap keeps each row of the plan once, found by what it holds, numbered as it came; so does hashbrown each node of a
        // diagram, whose parts are in two tables.
        &["hashbrown", "indexmap", "petgraph", "rayon", "regex-automata", "regex-syntax", "rustc-hash"],
    ),
    (
        "mesh-cli",
        &["mesh-compiler", "mesh-engine", "mesh-ide", "mesh-lang", "mesh-lsp", "mesh-plan", "mesh-proxy"],
        &[
            // Of join tokens the authority keeps a hash.
            "blake3",
            "bytes",
            "clap",
            "clap_complete",
            "docker_credential",
            "form_urlencoded",
            "getrandom",
            "http-body-util",
            "hyper",
            "hyper-util",
            "mimalloc",
            "oci-client",
            // The certificates of those whom `mesh up` runs.
            "rcgen",
            "rustls",
            "schemars",
            "serde",
            "serde_json",
            "similar",
            "terminal_size",
            "tokio",
            "tokio-rustls",
        ],
    ),
    ("mesh-ide", &["mesh-compiler", "mesh-lang"], &[]),
    (
        "mesh-lsp",
        &["mesh-ide", "mesh-lang"],
        // The protocol's messages and its types, generated from its own model; channels, on which a question is waited for and looked
        // for without waiting.
        &["crossbeam-channel", "gen-lsp-types", "lsp-server", "serde", "serde_json"],
    ),
    ("mesh-reference", &["mesh-lang"], &[]),
    // It plays against programs, so it uses no crate of ours but that of the tests, for issuers of tokens.
    (
        "mesh-cases",
        &["mesh-tests"],
        &["blake3", "clap", "loona-hpack", "rcgen", "ring", "rustls", "serde_json"],
    ),
    // Another one that sees programs only. socket2: a listener whose queue is full takes no connections.
    ("mesh-load", &[], &["clap", "fastrand", "http-body-util", "hyper", "hyper-util", "socket2", "tokio"]),
];

/// As many crates as the proxy may be built of, its own among them: each is somebody who is trusted with everything.
const MOST_CRATES: usize = 120;

/// What the root may hold beside the six shelves.
const ROOT: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "compiler",
    "examples",
    "lang",
    "lsp",
    "runtime",
    "spec",
    "tests",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// Names of what a package depends on outside tests.
fn dependencies(package: &Value) -> BTreeSet<&str> {
    let all = package["dependencies"].as_array().expect("a list").iter();
    all.filter(|dependency| dependency["kind"].is_null())
        .filter_map(|dependency| dependency["name"].as_str())
        .collect()
}

#[test]
fn the_dependency_table_holds() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]))
            .expect("JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    for (name, ours, others) in ALLOWED {
        let package = packages
            .iter()
            .find(|package| package["name"] == *name)
            .unwrap_or_else(|| panic!("no crate {name}"));
        let expected: BTreeSet<&str> = ours.iter().chain(*others).copied().collect();
        assert_eq!(
            dependencies(package),
            expected,
            "{name}: if a dependency moves, its row here moves with it, with a reason"
        );
    }
    for package in packages.iter().filter(|package| package["name"] != "mesh-cases") {
        assert!(!dependencies(package).contains("mesh-tests"), "{} depends on the tests", package["name"]);
    }
}

#[test]
fn the_proxy_carries_nothing_of_the_compiler() {
    let tree = cargo(&["tree", "--offline", "-p", "mesh-proxy", "-e", "normal", "--prefix", "none"]);
    for banned in ["mesh-lang", "mesh-compiler", "mesh-cli", "nom", "miette", "serde", "serde_yaml", "kube"] {
        let found = tree.lines().any(|line| line.split(' ').next() == Some(banned));
        assert!(!found, "mesh-proxy depends on {banned}");
    }
}

#[test]
fn the_proxy_is_built_of_few_crates() {
    let tree = cargo(&["tree", "--offline", "-p", "mesh-proxy", "-e", "normal", "--prefix", "none"]);
    // One that was shown before has a mark behind it.
    let crates: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    assert!(crates.len() > 50, "{crates:?}");
    let count = crates.len();
    assert!(
        count <= MOST_CRATES,
        "mesh-proxy is built of {count} crates: leave one away, or say why it is worth it"
    );
}

#[test]
fn checks_and_lowering_do_not_know_each_other() {
    for file in sources() {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let path = file.to_string_lossy().into_owned();
        if path.contains("compiler/core/src/check") {
            assert!(!text.contains("crate::lower"), "{path} looks into lower");
        }
        if path.contains("compiler/core/src/lower") {
            assert!(!text.contains("crate::check"), "{path} looks into check");
        }
        let after_resolve =
            path.contains("compiler/core/src/check") || path.contains("compiler/core/src/lower");
        assert!(!(after_resolve && text.contains("crate::resolve")), "{path} looks back into resolve");
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for file in sources() {
        let text = std::fs::read_to_string(&file).expect("a source file");
        assert!(text.starts_with("//! "), "{} does not begin with a sentence", file.display());
        assert!(
            file.file_name().is_some_and(|name| name != "mod.rs"),
            "{}: modules are foo.rs and foo/",
            file.display()
        );
    }
}

#[test]
fn the_root_reads_as_the_story() {
    for entry in std::fs::read_dir(root()).expect("the root") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let known = name.starts_with('.') || name == "target" || ROOT.contains(&name.as_str());
        assert!(known, "`{name}` stands in the root and nobody said why");
    }
}

/// All Rust files of the workspace.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["lang", "compiler", "lsp", "runtime", "spec", "tests"]
        .iter()
        .map(|shelf| root().join(shelf))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            // What cargo makes of packages that are no members stands beside them.
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}
