//! Sections 4 to 6: authorization, hops and settings.

use super::{check, parsed, question, reference, told};
use crate::{Finding, Outcome, Reference};

#[test]
fn rules_4_4_and_4_5_lines_are_of_a_port_and_reported_by_their_text() {
    check(
        r#"
service a {
  port http 80 http
  port admin 81 http
}
service b {
}
authorize a {
  allow from anyone to port http
  allow from b to port admin GET /x
  deny from b, unauthenticated to /secret/**
  deny to /secret/**
}"#,
        &[
            ("b reaches a:80 GET /", "a.default"),
            ("b reaches a:81 GET /", "denied by a.default"),
            ("b reaches a:81 GET /x", "a.default port 81"),
            (
                "b reaches a:80 GET /secret",
                "denied by a.default (authorize a.default: deny from b, unauthenticated to /secret/**)",
            ),
            (
                "edge reaches a:80 GET /secret",
                "denied by a.default (authorize a.default: deny to /secret/**)",
            ),
        ],
    );
}

#[test]
fn rule_5_1_a_gateway_authorizes_first_and_is_the_peer_of_what_follows() {
    let program = r#"
gateway edge {
  listener plain port 8080 http {
    host "*"
  }
}
service cart {
  port 80 http
}
service pay {
  port 80 http
}
route edge {
  rule pay {
    match /pay
    to pay
  }
  rule cart {
    to cart
  }
}
authorize edge {
  allow from anyone
  deny to /x
}
authorize cart {
  allow from gateway edge
}"#;
    check(
        program,
        &[
            ("nobody at shop GET /", "cart.default (route cart.default rule default)"),
            ("nobody at shop GET /x", "denied by edge.default (authorize edge.default: deny to /x)"),
            ("nobody at shop GET /pay", "denied by pay.default"),
            ("nobody reaches cart GET /", "denied by cart.default"),
            ("edge enters cart GET /", "cart.default (route cart.default rule default)"),
        ],
    );
}

#[test]
fn rule_5_2_a_service_calls_what_it_declares_by_name_and_port() {
    let own = parsed(
        r#"
service a {
  calls b to GET /x/**
  calls c port http
  calls d.shop
}
service b {
  port 80 http
}
service c {
  port http 80 http
  port admin 81 http
}
authorize b {
  allow from a
}
authorize c {
  allow from a to port http
}"#,
    );
    let shop = parsed(
        "module shop {\n namespace shop\n}\nservice d {\n port 80 http\n}\nauthorize d {\n allow from a.default\n}",
    );
    let reference = Reference::new(&[(String::new(), own), ("shop".to_owned(), shop)]).expect("resolves");
    for (request, outcome) in [
        ("a calls b GET /x/1", "b.default (route b.default rule default)"),
        ("a calls b.default:80 GET /x", "b.default (route b.default rule default)"),
        ("a calls b POST /x", "undeclared call"),
        ("a calls b:81 GET /x", "undeclared call"),
        ("a calls c:80 GET /", "c.default (route c.default port http rule default)"),
        ("a calls c GET /", "c.default (route c.default port http rule default)"),
        ("a calls c:81 GET /", "undeclared call"),
        ("a calls d.shop GET /", "d.shop (route d.shop rule default)"),
        ("a calls d GET /", "undeclared call"),
        ("b calls c:80 GET /", "undeclared call"),
    ] {
        assert_eq!(told(&reference.ask(&question(request))), outcome, "of `{request}`");
    }
}

#[test]
fn rules_5_4_and_6_1_each_setting_comes_from_the_nearest_level_that_writes_it() {
    let program = r#"
mesh m {
  default {
    timeout 9s
    retry 9 on reset
  }
}
service a {
  calls b {
    timeout 5s
    retry 5 on reset
  }
  calls b to /x/** {
    timeout 4s
  }
  calls b to /x/y, GET {
    timeout none
  }
  calls c
}
service b {
  port 80 http
  retry 7 on reset
}
service c {
  port 80 http
  retry 7 on reset
}
route b {
  rule slow {
    match /slow, /x/y/slow
    to c
    timeout 1s
  }
  otherwise 404
}
route c {
  rule all {
    to c
    timeout 2s
    retry none
  }
  rule plain {
    match /plain
    to c
  }
}
authorize b, c {
  allow from anyone
}"#;
    check(
        program,
        &[
            ("a calls b POST /slow", "c.default timeout 1000 (route c.default rule all)"),
            ("a calls c POST /plain", "c.default timeout 9000 retry 7 (route c.default rule plain)"),
            ("a calls c POST /", "c.default timeout 2000 (route c.default rule all)"),
            ("a calls b POST /x", "respond 404 (route b.default otherwise)"),
            ("nobody reaches c GET /", "c.default timeout 9000 retry 7"),
        ],
    );
    let direct = program.replace("to c\n    timeout 1s", "to b");
    check(
        &direct,
        &[
            ("a calls b POST /slow", "b.default timeout 5000 retry 5 (route b.default rule slow)"),
            ("a calls b POST /x/y/slow", "b.default timeout 4000 retry 5 (route b.default rule slow)"),
            ("a calls b GET /slow", "b.default retry 5 (route b.default rule slow)"),
        ],
    );
    let undecided = "ambiguous, b.default timeout 4000 retry 5 (route b.default rule slow)";
    check(&direct, &[("a calls b GET /x/y/slow", undecided)]);
    let codes: Vec<&str> = reference(&direct).findings().iter().map(Finding::code).collect();
    assert_eq!(codes, ["MESH3001"]);
}

#[test]
fn rule_6_3_what_a_retry_leaves_out_is_none() {
    let program = "service a {\n port 80 http\n retry 2 on gateway-error, 500 {\n methods POST\n }\n}\nauthorize a {\n allow from anyone\n}";
    let answer = reference(program).ask(&question("nobody reaches a GET /"));
    let Some(Outcome::Forward { retry: Some(retry), .. }) =
        answer.endings.keys().next().map(|ending| ending.outcome.clone())
    else {
        panic!("no retry: {answer:?}")
    };
    assert_eq!(retry.on_status.iter().copied().collect::<Vec<_>>(), [500, 502, 503, 504]);
    assert_eq!(
        retry.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>(),
        ["GET", "HEAD", "POST", "OPTIONS"]
    );
    assert_eq!((retry.per_try_timeout, retry.backoff, retry.budget, retry.buffer), (None, None, None, 0));
}
