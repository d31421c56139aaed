//! What `mesh` says of itself.

use crate::harness::mesh;

const COMMANDS: [&[&str]; 10] = [
    &["up"],
    &["check"],
    &["test"],
    &["fmt"],
    &["build"],
    &["explain"],
    &["graph"],
    &["who"],
    &["why"],
    &["plan", "inspect"],
];

#[test]
fn help_documents_the_exit_codes_and_is_a_result() {
    let ran = mesh(&["--help"], b"");
    assert_eq!(ran.code, 0);
    for line in [
        "  0    all is well",
        "  1    findings",
        "  2    wrong usage",
        "  101  a bug",
        "  130  interrupted (mesh up: 0 after a clean stop",
    ] {
        assert!(ran.out.contains(line), "{}", ran.out);
    }
    assert_eq!(ran.err, "");
}

#[test]
fn every_command_shows_examples_that_parse() {
    for command in COMMANDS {
        let help = mesh(&[command, &["-h"]].concat(), b"").out;
        let examples: Vec<_> = help.lines().filter(|line| line.starts_with("  mesh ")).collect();
        assert!(examples.len() >= 2, "{command:?}: {help}");
        for example in examples {
            // What it does stands after two spaces, and what the shell does with it after its sign.
            let line = example.trim_start().split("  ").next().unwrap();
            let words = line.split_whitespace().skip(1).take_while(|word| !matches!(*word, "|" | "<" | ">"));
            let words: Vec<_> = words.chain(["--help"]).collect();
            assert_eq!(mesh(&words, b"").code, 0, "{example}");
        }
        assert!(help.lines().count() <= 40, "one screen: {help}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2_on_standard_error() {
    for args in [&["chekc"][..], &["check", "--fail-on", "sometimes"], &["check", "--no-such-flag"], &[]] {
        let ran = mesh(args, b"");
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(!ran.err.is_empty());
    }
    assert!(mesh(&["chekc"], b"").err.contains("'check'"), "it says what was probably meant");
}

#[test]
fn the_version_is_a_result() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(mesh(&["version"], b"").out, format!("mesh {version}\n"));
    assert_eq!(mesh(&["--version"], b"").out, format!("mesh {version}\n"));
    let document: serde_json::Value =
        serde_json::from_str(&mesh(&["version", "--format", "json"], b"").out).unwrap();
    assert_eq!(document["version"], version);
}

#[test]
fn a_completion_script_is_a_result() {
    let ran = mesh(&["completions", "bash"], b"");
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("complete -F _mesh"), "{}", ran.out);
}

/// A stream that fails in a way only a bug of ours could.
struct Bug;

impl std::io::Write for Bug {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        panic!("the bug")
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_bug_of_ours_is_exit_code_101_and_asks_for_a_report() {
    let mut errors = Vec::new();
    let streams = mesh_cli::Streams {
        input: &mut std::io::empty(),
        output: &mut Bug,
        errors: &mut errors,
        terminal: mesh_cli::Terminal::default(),
    };
    assert_eq!(mesh_cli::run(["mesh".into(), "version".into()], streams), 101);
    let errors = String::from_utf8(errors).unwrap();
    assert!(errors.contains("internal error: the bug"), "{errors}");
    assert!(errors.contains("Please report it"), "{errors}");
}

#[test]
fn a_port_is_looked_for_in_the_sources_and_not_among_the_flags() {
    let ran = mesh(&["up", "--port", "8080"], b"");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("`listener web port 8080 http` of a gateway"), "{}", ran.err);
    assert!(!ran.err.contains("--format"), "{}", ran.err);
    assert!(mesh(&["up", "--formt", "plain"], b"").err.contains("'--format'"));
}
