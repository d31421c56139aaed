//! Canonical paths, hosts and header values: the engine against the reference, over random raw ones.

use fastrand::Rng;
use mesh_engine::HeaderValue;
use mesh_engine::canonical::Relaxed;

/// Comparisons of each of the three.
const COMPARISONS: usize = 400_000;

#[test]
fn raw_paths_become_canonical_as_in_the_reference() {
    let pieces = [
        "/",
        "/",
        "/",
        "//",
        "/.",
        "/..",
        "/./",
        "/../",
        ".",
        "..",
        "a",
        "B",
        "~",
        "*",
        "-",
        "!$&'()+,=:@",
        "%2e",
        "%2E",
        "%2f",
        "%5C",
        "%41",
        "%7e",
        "%7E",
        "%7F",
        "%1f",
        "%20",
        "%3b",
        "%23",
        "%C3%a9",
        "%c0",
        "%E0",
        "%9f",
        "%F0%8F",
        "%25",
        "2e",
        "2F",
        "5c",
        "00",
        "%32",
        "%252e",
        "%",
        "%4",
        "%zz",
        " ",
        "\"",
        "<",
        "\\",
        "^",
        "{",
        "|",
        "`",
        "#",
        ";",
        "é",
        "\u{7f}",
        "\0",
    ];
    let mut rng = Rng::with_seed(1);
    let (mut accepted, mut relaxed_only) = (0, 0);
    for _ in 0..COMPARISONS {
        // Most pieces of the second half are refused alone, so they are taken less often.
        let usual = rng.u32(..4) > 0;
        let raw = drawn(&mut rng, if usual { &pieces[..34] } else { &pieces }, if usual { "/" } else { "" });
        let found = mesh_engine::canonical::path(&raw).ok().map(|path| path.into_owned());
        assert_eq!(found, mesh_reference::canonical_path(&raw), "of the path {raw:?}");
        accepted += usize::from(found.is_some());
        for (decodes_slashes, strips_parameters) in [(true, false), (false, true), (true, true)] {
            let relaxed = Relaxed { decodes_slashes, strips_parameters };
            let more = mesh_engine::canonical::path_as(&raw, relaxed).ok().map(|path| path.into_owned());
            let expected = mesh_reference::canonical_path_as(&raw, decodes_slashes, strips_parameters);
            assert_eq!(more, expected, "of the path {raw:?} where it is {relaxed:?}");
            assert!(found.is_none() || more == found, "what is taken everywhere is the same: {raw:?}");
            relaxed_only += usize::from(found.is_none() && more.is_some());
        }
    }
    assert_both_kinds(accepted);
    assert!(relaxed_only > COMPARISONS / 100, "{relaxed_only} are taken where more is");
}

#[test]
fn raw_hosts_become_canonical_as_in_the_reference() {
    let pieces = [
        "a",
        "B",
        "shop",
        ".",
        "-",
        "_",
        "1",
        ".10.0.0.1",
        ".example",
        "a.b",
        "-b.",
        ":80",
        ":8080",
        ":0",
        ":65535",
        ":65536",
        ":080",
        "[::1]",
        "[FD00::1]",
        "[",
        "]",
        "[::g]",
        "[1.2.3.4]",
        "[::ffff:1.2.3.4]",
        "%",
        "@",
        "/",
        "é",
        " ",
        "..",
        ":",
        ".",
    ];
    let mut rng = Rng::with_seed(2);
    let mut accepted = 0;
    for _ in 0..COMPARISONS {
        let usual = rng.bool();
        let raw = drawn(&mut rng, if usual { &pieces[..12] } else { &pieces }, if usual { "a" } else { "" });
        let found = mesh_engine::canonical::host(&raw).ok().map(|(host, port)| (host.into_owned(), port));
        assert_eq!(found, mesh_reference::canonical_host(&raw), "of the host {raw:?}");
        accepted += usize::from(found.is_some());
    }
    assert_both_kinds(accepted);
}

#[test]
fn lines_of_a_header_become_one_value_as_in_the_reference() {
    let pieces = ["a", "b", ",", ",", " ", "\t", "\"", "\\", "=", "é"];
    let names =
        ["x-kind", "accept", "cookie", "set-cookie", "date", "user-agent", "authorization", "retry-after"];
    let mut rng = Rng::with_seed(3);
    for _ in 0..COMPARISONS {
        let name = names[rng.usize(..names.len())];
        let lines: Vec<String> = (0..rng.usize(..=3)).map(|_| drawn(&mut rng, &pieces, "")).collect();
        let found =
            mesh_engine::header::value_of_lines(name.as_bytes(), lines.iter().map(|line| line.as_bytes()));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let expected = mesh_reference::header_value(name, &lines);
        let expected = match &expected {
            mesh_reference::Value::Absent => HeaderValue::Absent,
            mesh_reference::Value::Single(value) => HeaderValue::Single(value),
            mesh_reference::Value::Many(_) => HeaderValue::Many,
            other => panic!("no value of a header: {other:?}"),
        };
        assert_eq!(found, expected, "of {name} with the lines {lines:?}");
    }
}

#[test]
fn a_condition_may_name_exactly_the_values_that_the_engine_can_see() {
    let pieces = ["a", "b", "c", ",", " ", "\t", "\"", "\\", "=", "é"];
    let names =
        ["x-kind", "accept", "authorization", "date", "user-agent", "if-modified-since", "last-modified"];
    let mut rng = Rng::with_seed(4);
    let mut accepted = 0;
    for _ in 0..COMPARISONS / 10 {
        let (name, prefix) = (names[rng.usize(..names.len())], rng.bool());
        let text = drawn(&mut rng, &pieces, "");
        // A prefix can be met if a value can go on after it.
        let value = if prefix { format!("{text}z") } else { text.clone() };
        let line = value.trim_matches([' ', '\t']);
        let seen = mesh_engine::header::value_of_lines(name.as_bytes(), std::iter::once(line.as_bytes()));
        let found = parses(name, if prefix { "prefix" } else { "=" }, &text);
        assert_eq!(found, seen == HeaderValue::Single(value.as_bytes()), "{name} {prefix} {text:?}");
        accepted += usize::from(found) * 10;
    }
    assert_both_kinds(accepted);
}

/// Whether the language has this condition.
fn parses(name: &str, test: &str, value: &str) -> bool {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    let condition = format!("header \"{name}\" {test} \"{value}\"");
    let text = format!("route web {{ rule r {{ match when {condition}\nto web }} }}");
    mesh_lang::parse(mesh_lang::FileId(0), &text).diagnostics.is_empty()
}

/// What is drawn must be neither nearly all right nor nearly all wrong, else little is compared.
#[track_caller]
fn assert_both_kinds(accepted: usize) {
    let share = accepted * 100 / COMPARISONS;
    assert!((10..=90).contains(&share), "{share} % are accepted");
}

fn drawn(rng: &mut Rng, pieces: &[&str], first: &str) -> String {
    (0..rng.usize(..8)).fold(first.to_owned(), |text, _| text + pieces[rng.usize(..pieces.len())])
}
