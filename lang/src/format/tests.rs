//! What a person writes, and what the formatter makes of it.

use super::format;

#[track_caller]
fn check(text: &str, expected: &str) {
    let formatted = format(text);
    assert_eq!(formatted, expected, "{formatted}");
    assert_eq!(format(&formatted), formatted, "formatting is done after one time");
}

#[test]
fn statements_stand_on_their_own_lines_and_blocks_are_indented() {
    check(
        "service   web{port 80 http;calls cart ,billing;timeout 1s}",
        "service web {\n  port 80 http\n  calls cart, billing\n  timeout 1s\n}\n",
    );
    check("  service web {\n\tport 80 http\n }", "service web {\n  port 80 http\n}\n");
    check("service web {\n\n}\n\n", "service web {}\n");
    check("", "");
    check("\n\n", "");
}

#[test]
fn short_blocks_on_one_line_stay_there() {
    check("service web {port 80 http;timeout 1s;}", "service web { port 80 http; timeout 1s }\n");
    check("service web { port 80 http\n}", "service web {\n  port 80 http\n}\n");
    let long = "a".repeat(60);
    check(
        &format!("service web {{ calls {long}; calls {long} }}"),
        &format!("service web {{\n  calls {long}\n  calls {long}\n}}\n"),
    );
}

#[test]
fn spaces_stand_where_they_help() {
    check(
        "rule r { match GET | POST /a ,/b when header \"a\"=\"b\" and header \"c\" in( \"d\",\"e\" ) and header \"f\"!=\"g\" }",
        "rule r {\n  match GET|POST /a, /b when header \"a\" = \"b\" and header \"c\" in (\"d\", \"e\") and header \"f\" != \"g\"\n}\n",
    );
    check("backoff 5ms .. 1s", "backoff 5ms..1s\n");
    check("a->b", "a -> b\n");
    check("/a .. b", "/a ..b\n");
    check("a. .. b", "a. ..b\n");
}

#[test]
fn blank_lines_are_kept_but_one_at_a_time() {
    check("\n\na {\n\n\n  b\n\n\n\n  c\n\n}\n\n\nd\n\n", "a {\n  b\n\n  c\n}\n\nd\n");
    check("a\n\n# one\n\n\n# two\nb", "a\n\n# one\n\n# two\nb\n");
}

#[test]
fn comments_stay_where_they_are() {
    check(
        "# top\na { # open\n   # inside  \n b # b\n    # end\n} # close\n# last",
        "# top\na {  # open\n  # inside\n  b  # b\n  # end\n}  # close\n# last\n",
    );
    check("a b, # one\n c, # two\n # three\n d", "a b,  # one\n    c,  # two\n    # three\n    d\n");
    check("a { b } # c", "a { b }  # c\n");
    check("## doc\n## more\nservice a { }", "## doc\n## more\nservice a {}\n");
    check("a\n# below\n{\n}", "a\n# below\n{}\n");
}

#[test]
fn long_lines_break_after_commas_and_before_the_words_that_continue() {
    let names: Vec<String> = (0..16).map(|index| format!("service-{index:02}")).collect();
    check(
        &format!("a {{\n  calls {} \n}}", names.join(",")),
        "a {
  calls service-00, service-01, service-02, service-03, service-04, service-05, service-06,
      service-07, service-08, service-09, service-10, service-11, service-12, service-13,
      service-14, service-15\n}\n",
    );
    let condition = "header \"x-some-long-name\" = \"some long value of it\"";
    check(
        &format!("match GET /a when {condition} and {condition}"),
        &format!("match GET /a when {condition}\n    and {condition}\n"),
    );
    check("allow from a\n  except b", "allow from a except b\n");
}

#[test]
fn line_ends_and_byte_order_marks_become_one_kind() {
    check("\u{feff}a\r\nb\r\n", "a\nb\n");
    check("a \"x\r\nb\r\n", "a \"x\nb\n");
}

#[test]
fn what_cannot_be_read_is_kept_as_it_is() {
    check("a {\nb   é    c\n}", "a {\n  b   é    c\n}\n");
    check("a,\n  é ,\n      b", "a,\n    é ,\n    b\n");
    check("a  \"no   end  ;\nb", "a  \"no   end  ;\nb\n");
    check("a {\n  b\n", "a {\n  b\n");
    check("}\na", "}\na\n");
    check("  a  \"  two   spaces \" ", "a \"  two   spaces \"\n");
}

#[test]
fn a_semicolon_stays_where_it_ends_more_than_a_newline_would() {
    check("a,; b", "a,;\nb\n");
    check("a; when b", "a;\nwhen b\n");
    check("a; {}", "a;\n{}\n");
    check("a; b;;", "a\nb\n");
}

#[test]
fn the_specified_limit_of_depth_holds_here_too() {
    let deep = format!("{}x   y{}", "a {\n".repeat(20), "\n}".repeat(20));
    let formatted = format(&deep);
    assert!(formatted.contains("x   y"), "what is too deep is not read: {formatted}");
    assert_eq!(format(&formatted), formatted);
}

#[test]
fn runs_of_allow_deny_and_subset_stand_in_columns() {
    check(
        "a {\nsubset v1 label version = \"v1\"\nsubset next label version = \"v2\"\n\nsubset old label a=\"b\"\nport 80 http\n}",
        "a {\n  subset v1   label version = \"v1\"\n  subset next label version = \"v2\"\n\n  subset old label a = \"b\"\n  port 80 http\n}\n",
    );
    check(
        "a {\nallow from web to GET /a # one\nallow from checkout, cart to POST /b when header \"a\" present\ndeny to /c\ndeny from dev;allow from x\n}",
        "a {
  allow from web            to GET /a  # one
  allow from checkout, cart to POST /b when header \"a\" present
  deny  to /c
  deny  from dev
  allow from x\n}\n",
    );
    check("allow from a\nsubset x label a = \"b\"", "allow from a\nsubset x label a = \"b\"\n");
    check(
        "allow from a, # why\n b to /x\nallow from c to /y",
        "allow from a,  # why\n    b to /x\nallow from c to /y\n",
    );
    check("allow from a\n# other\ndeny from b", "allow from a\n# other\ndeny from b\n");
    check("allow from a\n## other\ndeny from b", "allow from a\n## other\ndeny from b\n");
    check("a { allow from b; deny from c }", "a { allow from b; deny from c }\n");
    let wide = format!("allow from {} to /a\n", "a".repeat(80));
    check(
        &format!("{wide}deny from b to GET /{}", "b".repeat(30)),
        &format!("{wide}deny from b to GET /{}\n", "b".repeat(30)),
    );
}

#[test]
fn imported_names_are_sorted_where_no_comment_stands_between() {
    check("import shop/a { c,a , b }", "import shop/a { a, b, c }\n");
    check("import shop/a {\n  c,\n  a\n}", "import shop/a {\n  a, c\n}\n");
    check("import shop/a {\n  c, # why\n  a\n}", "import shop/a {\n  c,  # why\n      a\n}\n");
    check("import shop/a { c, }", "import shop/a { c, }\n");
    check("import shop/a { when, a }", "import shop/a { when, a }\n");
    check("export shop/a { c, a }", "export shop/a { c, a }\n");
}
