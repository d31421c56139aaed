//! Rules 1.1 and 1.2, and what has been used against other proxies.

use super::*;

#[track_caller]
fn becomes(raw: &str, canonical: &str) {
    assert_eq!(path(raw).as_deref(), Ok(canonical), "{raw}");
}

#[track_caller]
fn refused(raw: &str, why: &str) {
    assert_eq!(path(raw), Err(NotCanonical(why_of(raw, why))), "{raw}");
}

/// The reason that was given, if it holds the expected words.
#[track_caller]
fn why_of(raw: &str, words: &str) -> &'static str {
    let NotCanonical(why) = path(raw).expect_err(raw);
    assert!(why.contains(words), "{raw}: {why}");
    why
}

#[test]
fn a_canonical_path_is_borrowed() {
    for raw in [
        "/",
        "/a",
        "/a/",
        "/a/b.c/~d-e_f",
        "/a%20b",
        "/%3B%23%3F",
        "/%C3%A9",
        "/...",
        "/.a",
        "/a..b",
        "/@:!$&'()*+,=",
        "*",
    ] {
        assert!(matches!(path(raw), Ok(Cow::Borrowed(same)) if same == raw), "{raw}");
    }
}

#[test]
fn equivalent_spellings_become_one() {
    becomes("//admin", "/admin");
    becomes("///admin///x", "/admin/x");
    becomes("/./admin", "/admin");
    becomes("/x/../admin", "/admin");
    becomes("/x/./y/../../admin/.", "/admin/");
    becomes("/x/%2e%2E/admin", "/admin");
    becomes("/%61%64%6d%69%6E", "/admin");
    becomes("/a%c3%a9", "/a%C3%A9");
    becomes("/admin%3fx", "/admin%3Fx");
    becomes("/admin%3bx%23", "/admin%3Bx%23");
    becomes("/a/..", "/");
    becomes("/a/b/..", "/a/");
    becomes("/a/.", "/a/");
    becomes("/a//", "/a/");
    becomes("//", "/");
    becomes("/.", "/");
    becomes("/a//../b", "/b");
    becomes("/a/b//..//c", "/a/c");
    becomes("/%2525", "/%2525");
    becomes("/.../admin", "/.../admin");
}

#[test]
fn what_follows_the_question_mark_is_no_path() {
    becomes("/admin?x=1", "/admin");
    becomes("/admin?", "/admin");
    becomes("/a/?/../b", "/a/");
}

#[test]
fn what_servers_read_differently_is_refused() {
    for (raw, why) in [
        ("", "does not begin"),
        ("?x=1", "does not begin"),
        ("admin", "does not begin"),
        ("**", "does not begin"),
        ("http://a.test/", "does not begin"),
        ("/../admin", "above the root"),
        ("/a/../../b", "above the root"),
        ("//..", "above the root"),
        ("/%2e%2e", "above the root"),
        ("/admin%2f", "`%2F`"),
        ("/x%2F..%2fadmin", "`%2F`"),
        ("/x%5c..%5Cadmin", "`%5C`"),
        ("/x\\..\\admin", "has to be encoded"),
        ("/admin;x=1", "has to be encoded"),
        ("/..;/admin", "has to be encoded"),
        ("/admin#frag", "has to be encoded"),
        ("/{a}", "has to be encoded"),
        ("/a|b", "has to be encoded"),
        ("/a^b`c", "has to be encoded"),
        ("/\"<>", "has to be encoded"),
        ("/admin%00", "control character"),
        ("/admin%1f", "control character"),
        ("/admin%7F", "control character"),
        ("/admin%", "without two"),
        ("/admin%2", "without two"),
        ("/admin%zz", "without two"),
        ("/admin%+1", "without two"),
        ("/%u002e%u002e/admin", "without two"),
        ("/%252e%252E/admin", "doubly encoded"),
        ("/x%252f..%252Fadmin", "doubly encoded"),
        ("/%c0%ae%c0%ae/admin", "overlong"),
        ("/%e0%80%af", "overlong"),
        ("/%F0%80%80%af", "overlong"),
        ("/x%255c", "doubly encoded"),
        ("/x%2500", "doubly encoded"),
        ("/x%25%32%45", "doubly encoded"),
        ("/x%25%32e", "doubly encoded"),
        ("/a b", "outside"),
        ("/ad\tmin", "outside"),
        ("/admin\0", "outside"),
        ("/\u{7f}", "outside"),
        ("/é", "outside"),
    ] {
        refused(raw, why);
    }
}

#[test]
fn what_is_relaxed_becomes_a_path_that_is_canonical_everywhere() {
    let both = Relaxed { decodes_slashes: true, strips_parameters: true };
    for (raw, canonical) in [
        ("/a%2Fb", "/a/b"),
        ("/a%5cb", "/a/b"),
        ("/admin%2f", "/admin/"),
        ("/x%2f..%2Fadmin", "/admin"),
        ("/a%2f%2fb", "/a/b"),
        ("/admin;x=1", "/admin"),
        ("/admin;/x", "/admin/x"),
        ("/x/..;/admin", "/admin"),
        ("/;", "/"),
        ("/a;%2Fb/c", "/a/c"),
        ("/a%3Bb", "/a%3Bb"),
        ("*", "*"),
    ] {
        assert_eq!(path_as(raw, both).as_deref(), Ok(canonical), "{raw}");
        assert_eq!(path(canonical).as_deref(), Ok(canonical), "{raw}");
    }
    for raw in ["/..;/admin", "/%2f..", "/a;\\", "/a;%00", "/a;%", "/%252f", "/a;%c0%ae", "/a;\"", "*;"] {
        assert!(path_as(raw, both).is_err(), "{raw}");
    }
    let slashes = Relaxed { strips_parameters: false, ..both };
    assert_eq!(path_as("/a%2Fb", slashes).as_deref(), Ok("/a/b"));
    assert!(path_as("/a;b", slashes).is_err());
    let parameters = Relaxed { decodes_slashes: false, ..both };
    assert_eq!(path_as("/a;b", parameters).as_deref(), Ok("/a"));
    for raw in ["/a%2Fb", "/a;%2F"] {
        assert!(path_as(raw, parameters).is_err(), "{raw}");
    }
}

/// A stream of numbers from a seed: splitmix64.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % below as u64) as usize
    }
}

#[test]
fn any_path_is_refused_or_canonical_for_good() {
    let pieces = [
        "/", "/", "/", ".", "..", "a", "B", "%", "2", "5", "e", "E", "f", "%2e", "%2E", "%25", "%2f", "%41",
        "%c3", "%20", "%3b", "~", "*", ";", "é", "?", "%00", "0",
    ];
    let mut number = numbers(1);
    let mut accepted = 0;
    for _ in 0..200_000 {
        let raw: String =
            std::iter::once("/").chain((0..number(12)).map(|_| pieces[number(pieces.len())])).collect();
        let relaxed = Relaxed { decodes_slashes: number(2) == 0, strips_parameters: number(2) == 0 };
        if let Ok(canonical) = path_as(&raw, relaxed) {
            assert_eq!(path(&canonical).as_deref(), Ok(&*canonical), "{raw} as {relaxed:?}");
        }
        let Ok(canonical) = path(&raw) else { continue };
        accepted += 1;
        assert_eq!(path(&canonical).as_deref(), Ok(&*canonical), "{raw}");
        assert!(canonical.starts_with('/'), "{raw}");
        for never in ["//", "/./", "/../", "%2F", "%5C", "%2E", "%00", "?", ";", "é"] {
            assert!(!canonical.contains(never), "{raw} became {canonical}");
        }
        assert!(!canonical.ends_with("/.") && !canonical.ends_with("/.."), "{raw} became {canonical}");
        for triplet in canonical.split('%').skip(1) {
            let digits = triplet.get(..2).expect("two digits");
            let byte = u8::from_str_radix(digits, 16).unwrap();
            assert_eq!(format!("{byte:02X}"), digits, "{raw} became {canonical}");
            assert!(!byte.is_ascii_alphanumeric() && !b"-._~".contains(&byte), "{raw} became {canonical}");
        }
    }
    assert!(accepted > 20_000, "{accepted}");
}

#[test]
fn every_triplet_has_one_form() {
    for byte in 0..=u8::MAX {
        let expected = match byte {
            // By itself, `%C0` and `%C1` begin overlong forms of UTF-8 only.
            0x00..=0x1f | 0x7f | b'/' | b'\\' | 0xc0 | 0xc1 => None,
            _ if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) => {
                Some(format!("/x{}", char::from(byte)))
            }
            b'.' => Some("/x.".to_owned()),
            _ => Some(format!("/x%{byte:02X}")),
        };
        for raw in [format!("/x%{byte:02x}"), format!("/x%{byte:02X}")] {
            assert_eq!(path(&raw).ok().as_deref(), expected.as_deref(), "{raw}");
        }
    }
}

#[test]
fn a_host_is_lower_case_and_without_port_and_last_dot() {
    for (raw, name, port) in [
        ("secret.test", "secret.test", None),
        ("SeCrEt.TeSt", "secret.test", None),
        ("secret.test:80", "secret.test", Some(80)),
        ("Secret.Test.:8443", "secret.test", Some(8_443)),
        ("secret.test.", "secret.test", None),
        ("a_b-c.test", "a_b-c.test", None),
        ("10.0.0.1:9", "10.0.0.1", Some(9)),
        ("[::1]", "[::1]", None),
        ("[FD00::A]:8080", "[fd00::a]", Some(8_080)),
        ("[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]", None),
        ("reviews", "reviews", None),
    ] {
        let (host, found) = super::host(raw).expect(raw);
        assert_eq!((&*host, found), (name, port), "{raw}");
        assert_eq!(super::host(&host).map(|(again, _)| again).as_deref(), Ok(name), "{raw}");
    }
    assert!(matches!(super::host("a.test:80"), Ok((Cow::Borrowed("a.test"), Some(80)))));
}

#[test]
fn what_is_no_host_is_refused() {
    for raw in [
        "",
        ".",
        "..",
        "secret.test..",
        ".secret.test",
        "a..b",
        ":80",
        "a.test:",
        "a.test:abc",
        "a.test:99999",
        "a.test:+80",
        "a.test:80:80",
        "a.test, secret.test",
        "a.test secret.test",
        "u@a.test",
        "u:p@a.test",
        "a.test/x",
        "[::1",
        "::1",
        "[]",
        "[::1]x",
        "[::1].",
        "[::1]:",
        "[a.test]",
        "[fe80::1%25eth0]:80",
        "[fe80::1%eth0]",
        "x[::1]",
        "a]",
        "é.test",
        "a\0.test",
        "a%2etest",
        "*.test",
    ] {
        assert!(super::host(raw).is_err(), "{raw}");
    }
}
