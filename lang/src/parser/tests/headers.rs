//! What a rule may ask of a header, and what a test may send in one.

use super::*;

#[test]
fn headers_are_those_a_rule_may_look_at() {
    let header = |name: &str, message: &str, help: &str| {
        in_rule(&format!("match when header \"{name}\" present"), message, help);
    };
    header(
        "X-User",
        "the header `X-User` is not in lower case",
        "Header names do not tell case apart; write `\"x-user\"`.",
    );
    header(
        ":path",
        "`:path` is not a header",
        "Methods and paths stand in the `match` line itself, hosts in the `route`.",
    );
    header(
        "host",
        "a rule cannot look at the header `host`",
        "The header `host` is decided before the rules are asked; write the host in the `route`.",
    );
    for name in
        ["connection", "te", "trailer", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"]
    {
        let help = format!("The header `{name}` concerns one connection and is not part of the request.");
        header(name, &format!("a rule cannot look at the header `{name}`"), &help);
    }
    header(
        "x-mesh-peer",
        "a rule cannot look at the header `x-mesh-peer`",
        "The header `x-mesh-peer` belongs to the mesh itself.",
    );
    header("", "`` is not the name of a header", "A header's name is made of letters, digits and `-`.");
}

#[test]
fn a_value_that_no_request_can_have_is_refused_where_it_is_written() {
    let blanks = |test: &str, value: &str, better: &str| {
        let message = format!("the header `x-kind` never has the value `{value}`");
        let help = format!("The spaces and tabs around a value are not part of it; write `{better}`.");
        in_rule(&format!("match when header \"x-kind\" {test}"), &message, &help);
    };
    blanks(r#"= " x ""#, " x ", r#""x""#);
    blanks(r#"!= "x\u{9}""#, "x\t", r#""x""#);
    blanks(r#"in ("x", " ")"#, " ", r#""""#);
    blanks(r#"= " \"a\\" "#, " \"a\\", r#""\"a\\""#);
    let items = "A comma separates the values of `x-kind`, and a repeated value passes no test but `present`; name one of \
                 them.";
    for (test, value) in [
        (r#"= "a,b""#, "a,b"),
        (r#"!= ",""#, ","),
        (r#"in ("a", "b,")"#, "b,"),
        (r#"= "\"\\\"\",b""#, r#""\"",b"#),
    ] {
        for not in ["", "not "] {
            let line = format!("match when {not}header \"x-kind\" {test}");
            in_rule(&line, &format!("the header `x-kind` never has the value `{value}`"), items);
        }
    }
    let begins = |prefix: &str, help: &str| {
        let line = format!("match when header \"x-kind\" prefix \"{prefix}\"");
        in_rule(&line, &format!("no value of the header `x-kind` begins with `{prefix}`"), help);
    };
    begins("a,", items);
    begins(",", items);
    begins(" a ", "The spaces and tabs before a value are not part of it; write `\"a \"`.");
    check(
        "route web {\n  rule r {\n    match when header \"user-agent\" = \"x \"\n    to web\n  }\n}\n",
        &["3:38 MESH1012 the header `user-agent` never has the value `x `"],
    );
    check_help(
        "test \"t\" { request to web GET / when header \"x-kind\" = \" x \" expect allow }",
        "the header `x-kind` never has the value ` x `",
        "The spaces and tabs around a value are not part of it; write `\"x\"`.",
    );
}

#[test]
fn commas_that_separate_nothing_and_blanks_inside_are_part_of_a_value() {
    for test in [
        r#""x-kind" = """#,
        r#""x-kind" = "a b""#,
        r#""x-kind" = "\"a, b\"""#,
        r#""x-kind" prefix "\"a,""#,
        r#""x-kind" prefix "a ""#,
        r#""date" = "Mon, 1 Jan""#,
        r#""user-agent" prefix "a, ""#,
    ] {
        assert_eq!(rule(&format!("match when header {test}")).matches[0].when.len(), 1, "{test}");
    }
    let list = "test \"t\" { request to web GET / when header \"x-kind\" = \"a, b\" expect allow }";
    check(list, &[]);
}

#[test]
fn conditions_are_read_with_their_negation() {
    let rule = rule("match when not header \"a\" in (\"b\", \"c\") and header \"d\" != \"\\u{e9}\"");
    let [first, second] = &rule.matches[0].when[..] else { panic!() };
    assert!(first.negated && matches!(&first.test, ValueTest::In(values) if values.len() == 2));
    assert!(!second.negated && matches!(&second.test, ValueTest::NotEquals(value) if value.value == "é"));
}
