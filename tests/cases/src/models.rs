//! What a request means to backends of different makes, and whether one of these meanings is something that the fixture denies.

use crate::fixture::Fixture;
use crate::requests::Request;

/// A make of backend: its name, and what it makes of a path.
type Model = (&'static str, fn(&str) -> String);

/// Eight of them.
pub(crate) const MODELS: [Model; 8] = [
    ("identity", str::to_owned),
    ("RFC 3986 dots", |path| dots(path, false)),
    ("merged slashes", |path| merged(path)),
    ("decoded slashes", |path| dots(&path.replace("%2F", "/").replace("%2f", "/"), true)),
    ("backslashes", |path| dots(&path.replace("%5C", "\\").replace("%5c", "\\").replace('\\', "/"), true)),
    ("stripped parameters", |path| dots(&without_parameters(path), true)),
    ("folded case", |path| dots(&path.to_ascii_lowercase(), true)),
    ("decoded twice", |path| dots(&decoded(&decoded(path)), true)),
];

fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// Dot segments removed, above the root too.
fn dots(path: &str, merges: bool) -> String {
    let path = if merges { merged(path) } else { path.to_owned() };
    let path = path.replace("%2e", ".").replace("%2E", ".");
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        match *segment {
            "." if last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

fn without_parameters(path: &str) -> String {
    path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
}

fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.filter(|_| *byte == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    // What stands behind an encoded zero is not seen by who counts characters in C.
    let end = decoded.iter().position(|byte| *byte == 0).unwrap_or(decoded.len());
    String::from_utf8_lossy(decoded.get(..end).unwrap_or_default()).into_owned()
}

/// Whether the path is this one or below it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// By which of the fixture's rules a request should not have got here, as one of the models sees it.
pub(crate) fn denied(request: &Request, fixture: Fixture) -> Option<String> {
    by_head(request).map(str::to_owned).or_else(|| {
        MODELS.iter().find_map(|(model, read)| {
            let rule = by_path(&request.method, &read(request.path()), fixture)?;
            Some(format!("{rule}, to a backend with {model}"))
        })
    })
}

fn by_path(method: &str, path: &str, fixture: Fixture) -> Option<&'static str> {
    let segments: Vec<&str> = path.split('/').collect();
    let is_template = matches!(segments.as_slice(), ["", "x", name, "secret"] if !name.is_empty());
    if is_below(path, "/admin") {
        Some("d1")
    } else if is_below(path, "/mtls-only") {
        Some("d5")
    } else if method == "DELETE" && is_below(path, "/data") {
        Some("d7")
    } else if is_below(path, "/admin.Admin") {
        Some("d8")
    } else if is_template {
        Some("/x/{any}/secret")
    } else if fixture == Fixture::Deny && !["/api", "/public"].iter().any(|top| is_below(path, top)) {
        Some("nothing lets it in")
    } else {
        None
    }
}

fn by_head(request: &Request) -> Option<&'static str> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_ascii_lowercase();
    let names = |name: &'static str| {
        let same = move |own: &str| own.trim().replace('_', "-") == name;
        request.headers.iter().filter(move |(own, _)| same(own)).map(|(_, value)| text(value))
    };
    let host =
        |host: String| host.split(':').next().unwrap_or_default().trim_end_matches('.') == "secret.test";
    if names("host").any(host) || request.target.to_ascii_lowercase().contains("//secret.test") {
        return Some("d2");
    }
    if names("x-role").any(|value| value.split(',').any(|item| item.trim() == "admin")) {
        return Some("d3");
    }
    if names("x-internal").next().is_some() {
        return Some("d4");
    }
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| decoded(pair) == "role=admin").then_some("query role=admin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, target: &str) -> Option<String> {
        let request = Request { method: method.to_owned(), target: target.to_owned(), ..Request::default() };
        denied(&request, Fixture::Allow)
    }

    #[test]
    fn each_model_finds_its_own_way_to_what_is_denied() {
        for target in [
            "/admin",
            "/admin/x?y",
            "/x/../admin",
            "//admin",
            "/x%2f..%2Fadmin",
            "/x\\..\\admin",
            "/admin;a=b/x",
            "/ADMIN",
            "/%252e%252e/admin",
            "/x/%2561/../../%2561dmin",
            "/x/*/secret",
        ] {
            assert!(asked("GET", target).is_some(), "{target}");
        }
        for target in ["/public", "/administrator", "/apiadmin", "/admin%3Fx", "/.../admin", "/data/1"] {
            assert_eq!(asked("GET", target), None, "{target}");
        }
        assert!(asked("DELETE", "/data/1").is_some());
    }
}
