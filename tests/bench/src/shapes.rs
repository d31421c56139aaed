//! Programs that are hard in one way each.

use std::fmt::Write;

/// One host with so many routes: exact paths, parameters and whole subtrees, some by method, some by header.
pub fn one_host(routes: usize) -> String {
    let mut text = String::from(
        "gateway edge {\n  listener http port 8080 http {\n    host \"*\"\n  }\n}\n\nauthorize edge {\n  allow from anyone\n}\n\nservice app {\n  port 80 http\n  subset v1 label version = \"v1\"\n  subset v2 label version = \"v2\"\n}\n\nauthorize app {\n  allow from gateway edge\n}\n\nroute edge {\n",
    );
    for route in 0..routes {
        let path = match route % 4 {
            0 => format!("/app-{route}/**"),
            1 => format!("/app-{route}/items/{{id}}"),
            2 => format!("GET|HEAD /app-{route}/orders/{{id}}/lines"),
            _ => format!("/app-{route}/health when header \"x-probe\" present"),
        };
        put(
            &mut text,
            format_args!("  rule r{route} {{\n    match {path}\n    to app:v{}\n  }}\n", 1 + route % 2),
        );
    }
    text.push_str("  otherwise 404\n}\n");
    text
}

/// A service with so many regexes, some on a header each, some together on one.
pub fn regexes(count: usize) -> String {
    let mut text = String::from(
        "service app {\n  port 80 http\n  subset v1 label version = \"v1\"\n  subset v2 label version = \"v2\"\n}\n\nauthorize app {\n  allow from anyone\n}\n\nroute app {\n",
    );
    for rule in 0..count {
        let header = format!("x-field-{}", rule % 20);
        let regex = format!("v{}\\\\.[0-9]+(-(rc|beta)[0-9]*)?", rule / 20);
        put(
            &mut text,
            format_args!(
                "  rule r{rule} {{\n    match /api-{rule}/** when header \"{header}\" matches re\"{}\"\n    to app:v2\n  }}\n",
                regex.replace("\\\\", "\\")
            ),
        );
    }
    text.push_str("  rule others {\n    to app:v1\n  }\n}\n");
    text
}

/// Rules that each ask other headers of a few, so that any of them may hold beside any others.
pub fn headers(count: usize) -> String {
    let mut text = String::from("service app {\n  port 80 http\n}\n\nauthorize app {\n");
    for line in 0..count {
        let (a, b) = (line % 24, (line * 7 + 3) % 24);
        put(
            &mut text,
            format_args!(
                "  deny from anyone when header \"x-{a}\" = \"{line}\" and header \"x-{b}\" = \"{line}\"\n"
            ),
        );
    }
    text.push_str("  allow from anyone\n}\n");
    text
}

/// Guardrails of a platform over everything: so many.
pub fn guardrails(count: usize, namespaces: usize) -> String {
    let mut text = String::from(
        "module platform {\n  edition 2026\n  owner \"platform\"\n  namespace platform\n  role platform\n}\n\n",
    );
    for guardrail in 0..count {
        let namespace = guardrail % namespaces;
        put(
            &mut text,
            format_args!(
                "guardrail g{guardrail} {{\n  deny from anyone to namespace team-{namespace:03} /internal-{guardrail}/**\n}}\n\n"
            ),
        );
    }
    text
}

/// Lines with a parameter in every other place, of few different words: a deterministic automaton over segments explodes.
pub fn wildcards(lines: usize, words: usize, depth: usize) -> String {
    let mut text = String::from("service app {\n  port 80 http\n}\n\nauthorize app {\n");
    for path in wild_paths(lines, words, depth) {
        put(&mut text, format_args!("  allow from anyone to GET {path}\n"));
    }
    text.push_str("}\n");
    text
}

/// What rules of routes with such paths do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// All the same.
    One,
    /// What is read goes to one subset and what is written to another.
    ByMethod,
    /// One of three by turns: nearly all that overlap are ambiguous.
    Three,
}

/// A route of so many rules with such paths.
pub fn wildcard_routes(rules: usize, words: usize, depth: usize, targets: Targets) -> String {
    let mut text = String::from(
        "service app {\n  port 80 http\n  subset v0 label version = \"v0\"\n  subset v1 label version = \"v1\"\n  subset v2 label version = \"v2\"\n}\n\nauthorize app {\n  allow from anyone\n}\n\nroute app {\n",
    );
    for (rule, path) in wild_paths(rules, words, depth).enumerate() {
        let (method, subset) = match targets {
            Targets::One => ("GET ", 0),
            Targets::ByMethod => [("GET ", 0), ("POST ", 1), ("DELETE ", 2)][rule % 3],
            Targets::Three => ("GET ", rule % 3),
        };
        put(
            &mut text,
            format_args!("  rule r{rule} {{\n    match {method}{path}\n    to app:v{subset}\n  }}\n"),
        );
    }
    text.push_str("  otherwise 404\n}\n");
    text
}

fn wild_paths(count: usize, words: usize, depth: usize) -> impl Iterator<Item = String> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..count).map(move |_| {
        let segments = (0..depth).map(|place| match random.bool() {
            true => format!("/{{p{place}}}"),
            false => format!("/w{}", random.usize(..words)),
        });
        segments.collect()
    })
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}
