//! The examples: each is without a finding in all of its environments, its tests hold, and it stands in its canonical form.

use crate::harness::{bookinfo, mesh};
use std::path::PathBuf;

fn examples() -> Vec<PathBuf> {
    let shelf = bookinfo();
    let entries = std::fs::read_dir(shelf.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    assert!(found.len() > 1, "only {found:?}");
    found
}

#[track_caller]
fn each(args: &[&str]) {
    for example in examples() {
        let mut args = args.to_vec();
        args.push(example.to_str().unwrap());
        let ran = mesh(&args, b"");
        assert_eq!(ran.code, 0, "mesh {}:\n{}{}", args.join(" "), ran.out, ran.err);
    }
}

#[test]
fn an_example_has_no_finding() {
    each(&["check", "--fail-on", "warning"]);
}

#[test]
fn what_an_example_says_of_itself_is_so() {
    each(&["test"]);
    for example in examples() {
        let ran = mesh(&["test", example.to_str().unwrap()], b"");
        assert!(ran.out.contains("ok   "), "{} tests nothing", example.display());
    }
}

#[test]
fn an_example_is_formatted() {
    each(&["fmt", "--check"]);
}
