//! `cors` and `upgrade websocket`: what a rule lets browsers do (`spec/semantics.md` 9.9 and 9.10).

use crate::check::duration;
use crate::model::{Action, Model};
use mesh_lang::ast::{self, Cors, Method};
use mesh_lang::{Code, Diagnostic, Name, Span, Spanned};
use mesh_plan::{Edit, Settings};
use std::collections::BTreeSet;

/// Milliseconds in what `access-control-max-age` counts in.
const SECOND: u32 = 1_000;

/// What is wrong with them in a rule.
pub(super) fn check(rule: &ast::Rule) -> Vec<Diagnostic> {
    let mut found = rule.modifiers.cors.as_ref().map(cors).unwrap_or_default();
    found.extend(rule.modifiers.websocket.and_then(|span| no_handshake(rule, span)));
    found
}

/// What the proxy does of them: lists are sorted, as they mean the same in any order.
pub(super) fn edits(rule: &ast::Rule) -> Vec<Edit> {
    let mut edits = Vec::new();
    if let Some(cors) = &rule.modifiers.cors {
        let Cors { allow_origins, allow_headers, expose_headers, allow_credentials, max_age, .. } =
            &*cors.value;
        let list = |names: &[Name], between: &str| {
            let mut names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
            names.sort_unstable();
            names.join(between)
        };
        let methods: Vec<&str> = methods(rule, &cors.value).into_iter().map(Method::as_str).collect();
        edits.push(Edit::Cors(mesh_plan::Cors {
            origins: list(allow_origins, " "),
            methods: methods.join(", "),
            headers: list(allow_headers, ", "),
            exposed: list(expose_headers, ", "),
            credentials: allow_credentials.is_some(),
        }));
        edits.extend(max_age.map(|age| Edit::PreflightAge(age.value / SECOND)));
    }
    edits.extend(rule.modifiers.websocket.map(|_| Edit::WebSocket));
    edits
}

/// Without `allow-methods` those of the rule: of a line without any, all that there are.
fn methods(rule: &ast::Rule, cors: &Cors) -> BTreeSet<Method> {
    let said = cors.allow_methods.iter().map(|method| method.value);
    if !cors.allow_methods.is_empty() {
        return said.collect();
    }
    let ops = || rule.matches.iter().flat_map(|line| &line.ops);
    let everything = rule.matches.is_empty()
        || rule.matches.iter().any(|line| line.ops.is_empty())
        || ops().any(|op| op.methods.is_empty());
    if everything {
        Method::ALL.into_iter().collect()
    } else {
        ops().flat_map(|op| op.methods.iter()).collect()
    }
}

fn cors(cors: &Spanned<Box<Cors>>) -> Vec<Diagnostic> {
    let Cors { allow_origins, allow_headers, expose_headers, allow_credentials, max_age, .. } = &*cors.value;
    let mut found = Vec::new();
    if allow_origins.is_empty() {
        found.push(
            Diagnostic::new(Code::MissingStatement, "`cors` allows no origin")
                .at(cors.span, "no `allow-origins`")
                .help("Say whose pages may ask: `allow-origins \"https://www.example.com\"`."),
        );
    }
    found.extend(allow_origins.iter().filter_map(not_an_origin));
    found.extend(allow_headers.iter().chain(expose_headers).filter_map(not_a_header));
    for list in [allow_origins, allow_headers, expose_headers] {
        found.extend(said_twice(list));
        let everybody = list.iter().find(|one| one.value == "*");
        if let (Some(all), Some(credentials)) = (everybody, allow_credentials) {
            found.push(with_credentials(all.span, *credentials));
        }
    }
    if let Some(age) = max_age.filter(|age| age.value % SECOND != 0) {
        found.push(
            Diagnostic::new(Code::InvalidValue, "`max-age` is in whole seconds")
                .at(age.span, "a part of a second")
                .help("Write seconds, minutes or hours: `max-age 1h`."),
        );
    }
    found
}

/// Fetch 3.2.5: with credentials the `*` would let every page in the world act as its reader.
fn with_credentials(all: Span, credentials: Span) -> Diagnostic {
    Diagnostic::new(Code::InvalidValue, "`\"*\"` and `allow-credentials` exclude each other")
        .at(all, "whoever it is")
        .at(credentials, "with the reader's cookies")
        .help("Name them one by one, or delete `allow-credentials`.")
}

/// An origin is a scheme, a host and perhaps a port (RFC 6454 6.2); the first label of the host may be `*`.
fn not_an_origin(origin: &Name) -> Option<Diagnostic> {
    let text = origin.value.as_str();
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_origin = authority.is_some_and(|authority| {
        let (host, port) =
            authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let host = host.strip_prefix("*.").unwrap_or(host);
        host.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
    });
    (text != "*" && !is_origin).then(|| {
        Diagnostic::new(Code::InvalidValue, format!("`{text}` is not an origin"))
            .at(origin.span, "not `scheme://host`")
            .help("Write the scheme and the host in lower case, without a path: `\"https://www.example.com\"`, `\"https://*.example.com\"`, or `\"*\"`.")
    })
}

fn not_a_header(header: &Name) -> Option<Diagnostic> {
    let text = header.value.as_str();
    let token =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_header = !text.is_empty() && text.bytes().all(token);
    (!is_header).then(|| {
        Diagnostic::new(Code::InvalidValue, format!("`{text}` is not a header"))
            .at(header.span, "not a name in lower case")
            .help("Write the name as it is compared: `\"x-request-id\"`.")
    })
}

/// Each of a list once, and nothing beside `"*"`.
fn said_twice(list: &[Name]) -> Option<Diagnostic> {
    let everything = list.iter().find(|one| one.value == "*").filter(|_| list.len() > 1);
    let twice = list.iter().enumerate().find_map(|(at, one)| {
        list[..at].iter().find(|earlier| earlier.value == one.value).map(|earlier| (one, earlier))
    });
    match (twice, everything) {
        (Some((again, first)), _) => Some(
            Diagnostic::new(Code::DuplicateStatement, format!("`{}` is written twice", again.value))
                .at(again.span, "written again here")
                .at(first.span, "first written here")
                .help("Keep one of the two."),
        ),
        (None, Some(all)) => Some(
            Diagnostic::new(Code::VainStatement, "what stands beside `\"*\"` adds nothing")
                .at(all.span, "everything already")
                .help("Delete the others, or this one."),
        ),
        (None, None) => None,
    }
}

/// The handshake is a `GET` (RFC 6455 4.1).
fn no_handshake(rule: &ast::Rule, span: Span) -> Option<Diagnostic> {
    let get = |op: &ast::Op| op.methods.is_empty() || op.methods.iter().any(|method| method == Method::Get);
    let can = rule.matches.is_empty()
        || rule.matches.iter().any(|line| line.ops.is_empty() || line.ops.iter().any(get));
    (!can).then(|| {
        Diagnostic::new(Code::VainStatement, format!("rule `{}` matches no `GET`", rule.name.value))
            .at(span, "a WebSocket begins with one")
            .help("Match `GET`, or delete `upgrade websocket`.")
    })
}

/// A `timeout` ends a connection that is meant to last, also one that is written for the service or the mesh.
pub(super) fn cut_off(
    rule: &ast::Rule,
    written: &Settings,
    action: &Action,
    model: &Model,
) -> Option<Diagnostic> {
    let span = rule.modifiers.websocket?;
    let Action::Forward(backends) = action else { return None };
    let of_service = || backends.iter().find_map(|backend| model[backend.to.service].settings.timeout);
    let timeout = written.timeout.or_else(of_service).or(model.default.timeout).flatten()?;
    let message = format!(
        "`timeout {}` ends the WebSockets of rule `{}`",
        duration(u64::from(timeout)),
        rule.name.value
    );
    Some(
        Diagnostic::new(Code::CutUpgrade, message)
            .at(span, "lasts as long as both sides want")
            .help("Write `timeout none` into the rule and, where silence is to end it, `idle-timeout 1h`."),
    )
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    fn rule(lines: &str) -> String {
        format!(
            "service s {{ port 80 http }}\ngateway g {{ listener l port 8080 http {{ host \"*\" }} }}\nauthorize g {{ allow from anyone }}\nauthorize s {{ allow from gateway g }}\nroute g listener l {{\nrule r {{\n{lines}\nto s }}\n}}\n"
        )
    }

    fn cors(lines: &str) -> String {
        rule(&format!("cors {{\n{lines}\n}}"))
    }

    #[test]
    fn origins_and_headers_are_what_a_browser_sends() {
        says(
            &cors(
                "allow-origins \"https://www.a.example\", \"https://*.b.example:8443\"\nallow-headers \"x-a\"\nallow-credentials\nmax-age 1h",
            ),
            &[],
        );
        says(&cors("allow-origins \"*\"\nallow-methods GET, POST\nexpose-headers \"*\""), &[]);
        for origin in [
            "https://a.example/",
            "a.example",
            "HTTPS://a.example",
            "https://a.*.example",
            "https://a:0",
            "https://",
            "null",
        ] {
            says(
                &cors(&format!("allow-origins \"{origin}\"")),
                &[&format!("8 MESH1012 `{origin}` is not an origin")],
            );
        }
        says(&cors("allow-origins \"*\"\nallow-headers \"X-A\""), &["9 MESH1012 `X-A` is not a header"]);
        says(&cors("allow-origins \"*\"\nmax-age 1500ms"), &["9 MESH1012 `max-age` is in whole seconds"]);
        says(&cors("max-age 1h"), &["7 MESH1011 `cors` allows no origin"]);
    }

    #[test]
    fn everybody_never_comes_with_cookies() {
        let both = "`\"*\"` and `allow-credentials` exclude each other";
        says(&cors("allow-credentials\nallow-origins \"*\""), &[&format!("9 MESH1012 {both}")]);
        let headers = cors("allow-credentials\nallow-origins \"https://a.example\"\nallow-headers \"*\"");
        says(&headers, &[&format!("10 MESH1012 {both}")]);
    }

    #[test]
    fn a_list_says_each_thing_once() {
        says(
            &cors("allow-origins \"https://a.example\", \"https://a.example\""),
            &["8 MESH1008 `https://a.example` is written twice"],
        );
        says(
            &cors("allow-origins \"*\", \"https://a.example\""),
            &["8 MESH5040 what stands beside `\"*\"` adds nothing"],
        );
    }

    #[test]
    fn a_preflight_is_no_request_of_a_test() {
        let asked = "test \"t\" { request to g \"a.example\" OPTIONS / when header \"origin\" = \"https://a.example\" and header \"access-control-request-method\" = \"PUT\" expect s }\n";
        says(
            &format!("{}{asked}", cors("allow-origins \"*\"")),
            &["12 MESH1006 a preflight is answered before anything is decided"],
        );
        says(&format!("{}{asked}", rule("")), &[]);
    }

    #[test]
    fn a_websocket_begins_with_get_and_outlasts_no_timeout() {
        says(&rule("upgrade websocket"), &[]);
        says(&rule("match POST /x\nupgrade websocket"), &["8 MESH5040 rule `r` matches no `GET`"]);
        let cut = "`timeout 15s` ends the WebSockets of rule `r`";
        says(&rule("upgrade websocket\ntimeout 15s"), &[&format!("7 MESH5021 {cut}")]);
        let of_service =
            rule("upgrade websocket").replace("{ port 80 http }", "{ port 80 http; timeout 15s }");
        says(&of_service, &[&format!("7 MESH5021 {cut}")]);
        let default = format!("mesh m {{ default {{ timeout 15s }} }}; {}", rule("upgrade websocket"));
        says(&default.replace("; ", "\n"), &[&format!("8 MESH5021 {cut}")]);
        says(&default.replace("; ", "\n").replace("upgrade", "timeout none\nupgrade"), &[]);
    }
}
