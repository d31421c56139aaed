//! `when`: what may be looked at and asked, and how it is said again.

use super::*;
use crate::ast::{AuthorizeLine, Condition, Field, Item, Op, Segment};

fn line(text: &str) -> AuthorizeLine {
    let text = format!("authorize web {{ {text} }}");
    let parsed = crate::parse(FileId(0), &text);
    assert_eq!(parsed.diagnostics.clone().sorted(), [], "{text}");
    let [Item::Authorize(authorize)] = &parsed.file().items[..] else { panic!("{text}") };
    AuthorizeLine::clone(&authorize.lines[0])
}

fn condition(text: &str) -> Condition {
    let when = line(&format!("allow from anyone when {text}")).when;
    assert_eq!(when.len(), 1, "{text}");
    when.into_vec().remove(0)
}

fn refused(text: &str, message: &str, help: &str) {
    check_help(&format!("authorize web {{ allow from anyone when {text} }}"), message, help);
}

#[test]
fn a_condition_says_itself_again() {
    for text in [
        r#"header "x-kind" present"#,
        r#"not header "x-kind" in ("a", "b")"#,
        r#"query "role" has "admin""#,
        r#"cookie "type" = "insider""#,
        r#"claim "tier" != "free""#,
        r#"claim corp-sso "realm" "roles" has "sre""#,
        r#"jwt corp-sso absent"#,
        r#"source-ip in ("10.0.0.0/8", "fd00::/8")"#,
        r#"client-ip = "192.0.2.1""#,
        r#"path suffix ".json""#,
        r#"path matches re"/v[0-9]+/.*\"x\\d""#,
        r#"host suffix ".shop.example""#,
        r#"header "x-kind" contains "a \"b\" \\c""#,
    ] {
        assert_eq!(condition(text).to_string(), text);
    }
    assert_eq!(condition(r#"query "k" in ("b", "a")"#).to_string(), r#"query "k" in ("a", "b")"#);
}

#[test]
fn the_first_word_of_a_claim_is_its_token() {
    let Field::Claim { issuer, path } = condition(r#"claim sso "a" "b" present"#).field else { panic!() };
    assert_eq!(issuer.map(|name| name.value), Some("sso".into()));
    assert_eq!(path.iter().map(|name| name.value.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_line_of_authorize_may_have_conditions() {
    let whole = r#"allow from web to GET /a, grpc shop.Cart when cookie "a" present and query "b" = "1""#;
    assert_eq!(line(whole).to_string(), whole);
    assert_eq!(line("deny when query \"a\" present").when.len(), 1);
    assert_eq!(line("allow from web to port http when path suffix \".json\"").ops.len(), 0);
    check("authorize web { allow x }", &["1:23 MESH1006 expected `from`, `to` or `when`, found `x`"]);
}

#[test]
fn each_field_has_its_tests() {
    refused(
        "path has \"a\"",
        "`path` cannot be asked `has`",
        "Of `path` can be asked `=`, `!=`, `in`, `prefix`, `suffix`, `contains` or `matches`.",
    );
    refused(
        "source-ip present",
        "`source-ip` cannot be asked `present`",
        "Of `source-ip` can be asked `=`, `!=` or `in`.",
    );
    refused(
        "jwt corp-sso = \"x\"",
        "`jwt` cannot be asked `=`",
        "Of `jwt` can be asked `present` or `absent`.",
    );
    refused(
        "host matches re\"a\"",
        "`host` cannot be asked `matches`",
        "Of `host` can be asked `=`, `!=`, `in` or `suffix`.",
    );
    refused(
        "ip in (\"10.0.0.0/8\")",
        "`ip` could be two addresses",
        "Write `source-ip` for the other end of the connection, `client-ip` for who asked the first trusted proxy.",
    );
    in_rule(
        "match when host = \"a.test\"",
        "a rule does not look at the host",
        "The host is decided before the rules are asked; write it in the `route`.",
    );
    in_rule(
        "match when header \"cookie\" present",
        "a rule cannot look at the header `cookie`",
        "The header `cookie` holds many values; ask for one of them, as in `cookie \"type\" = \"insider\"`.",
    );
}

#[test]
fn what_no_request_can_have_is_refused_where_it_is_written() {
    refused(
        "query \"k\" = \"a%20b\"",
        "`a%20b` is percent-encoded",
        "The value is compared after decoding; write ` ` for `%20`.",
    );
    refused(
        "cookie \"k\" = \"a;b\"",
        "the cookie `k` never has the value `a;b`",
        "A `;` ends the value of a cookie.",
    );
    refused(
        "path = \"/a/../b\"",
        "`/a/../b` is not in its canonical form",
        "Write `/b`: this is how a request's path is compared.",
    );
    refused("path prefix \"a\"", "no path begins with `a`", "Begin the path with `/`.");
    refused(
        "path suffix \"%7e\"",
        "`%7e` is not in its canonical form",
        "Write `~`: this is how a request's path is compared.",
    );
    refused(
        "header \"x-kind\" suffix \"a \"",
        "no value of the header `x-kind` ends with `a `",
        "The spaces and tabs behind a value are not part of it; write `\"a\"`.",
    );
    refused(
        "host suffix \".Shop\"",
        "no host ends with `.Shop`",
        "Write the end of a host in lower case, as in `\".shop.example\"`.",
    );
}

#[test]
fn a_placeholder_may_have_a_suffix() {
    let pattern = |text: &str| {
        let ops = line(&format!("allow from anyone to {text}")).ops;
        ops[0].path.clone().map(|path| path.value.pattern().segments).unwrap_or_default()
    };
    let suffixed = Segment::AnyWithSuffix { name: "id".into(), suffix: ".json".into() };
    assert_eq!(pattern("/books/{id}.json"), [Segment::Literal("books".into()), suffixed.clone()]);
    assert_eq!(pattern("\"/{id}.json/x\""), [suffixed, Segment::Literal("x".into())]);
    in_rule(
        "match \"/a{id}\"",
        "`/a{id}` is never a path: it contains `{`",
        "Write `{name}` as a whole segment, or `{name}.json` with a suffix behind it.",
    );
}

#[test]
fn grpc_methods_are_paths() {
    let ops = line("allow from anyone to grpc shop.Cart/Add|Remove, grpc shop.Cart").ops;
    let shown: Vec<String> = ops.iter().map(Op::to_string).collect();
    assert_eq!(shown, ["grpc shop.Cart/Add", "grpc shop.Cart/Remove", "grpc shop.Cart"]);
    let paths: Vec<String> =
        ops.iter().filter_map(|op| op.path.as_ref()).map(|path| path.value.to_string()).collect();
    assert_eq!(paths, ["/shop.Cart/Add", "/shop.Cart/Remove", "/shop.Cart/**"]);
    in_rule(
        "match grpc shop.Cart-X/Add",
        "`shop.Cart-X` is not a name of gRPC",
        "Write `grpc shop.Cart` or `grpc shop.Cart/Add|Remove`.",
    );
}
