//! Which pages of other origins may send a request and read its response (Fetch 3.2).

use hyper::header::{self, HeaderMap, HeaderValue};
use mesh_engine::{Edited, Entry, Method, Moment, Request, unauthorized};
use mesh_plan::PlanView;
use mesh_plan::view::{Cors, Edit, Text};

/// What a response says to a browser because of a rule on its request's way.
pub(crate) struct Allowed<'p> {
    cors: Cors<'p>,
    /// The origin that asked, if it may.
    origin: Option<HeaderValue>,
}

impl<'p> Allowed<'p> {
    /// Where several rules on the way say something, the first one counts. `None`: none does.
    pub(crate) fn of(plan: &'p PlanView, edited: &Edited, headers: &HeaderMap) -> Option<Allowed<'p>> {
        let cors = edited.edits(plan).find_map(|edit| match edit {
            Edit::Cors(cors) => Some(cors),
            _ => None,
        })?;
        let origin = headers.get(header::ORIGIN);
        let allowed = origin.filter(|origin| is_allowed(cors.origins, origin.as_bytes()));
        Some(Allowed { cors, origin: allowed.cloned() })
    }

    /// Writes it. What the service says of this is taken off: the rule says all of it.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        for name in OWN {
            headers.remove(name);
        }
        let everybody = self.cors.origins == "*";
        if !everybody {
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = &self.origin else { return };
        let whom = if everybody { HeaderValue::from_static("*") } else { origin.clone() };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, whom);
        if self.cors.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, self.cors.exposed);
    }
}

/// What only the rule says where it says anything.
const OWN: [header::HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

/// The answer to a preflight, and the rule that gives it. `None`: the request is none, or no rule of the request that it asks about says
/// anything.
pub(crate) fn preflight<'p>(
    plan: &'p PlanView,
    entry: Entry,
    asked: &Request<'_>,
    headers: &HeaderMap,
    dice: u64,
) -> Option<(HeaderMap, Text<'p>)> {
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    if asked.method != Method::Options || !headers.contains_key(header::ORIGIN) {
        return None;
    }
    let method = Method::from_token(wanted.to_str().ok()?);
    let decision = unauthorized(plan, entry, &Request { method, ..*asked }, Moment { dice });
    let allowed = Allowed::of(plan, &decision.edited, headers)?;
    let mut answer = HeaderMap::new();
    allowed.write(&mut answer);
    if allowed.origin.is_some() {
        set(&mut answer, header::ACCESS_CONTROL_ALLOW_METHODS, allowed.cors.methods);
        set(&mut answer, header::ACCESS_CONTROL_ALLOW_HEADERS, allowed.cors.headers);
        answer.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        let age = decision.edited.edits(plan).find_map(|edit| match edit {
            Edit::PreflightAge(seconds) => Some(seconds),
            _ => None,
        });
        if let Some(seconds) = age {
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
        }
    }
    Some((answer, decision.rule))
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let (false, Ok(value)) = (value.is_empty(), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

/// Whether one of the origins is this one: the same bytes, or with one label or more for a `*`.
fn is_allowed(origins: &str, origin: &[u8]) -> bool {
    origins.split(' ').any(|own| match own.split_once("://*.") {
        _ if own == "*" => true,
        Some((scheme, rest)) => {
            let host = origin.strip_prefix(scheme.as_bytes()).and_then(|origin| origin.strip_prefix(b"://"));
            let labels = host.and_then(|host| host.strip_suffix(rest.as_bytes())?.strip_suffix(b"."));
            let is_label = |label: &[u8]| {
                !label.is_empty()
                    && label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
            };
            labels.is_some_and(|labels| labels.split(|byte| *byte == b'.').all(is_label))
        }
        None => own.as_bytes() == origin,
    })
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn a_star_is_one_label_or_more_and_nothing_else() {
        let origins = "https://a.example https://*.b.example:8443";
        for (origin, allowed) in [
            ("https://a.example", true),
            ("http://a.example", false),
            ("https://a.example:443", false),
            ("https://x.a.example", false),
            ("https://x.b.example:8443", true),
            ("https://x.y.b.example:8443", true),
            ("https://b.example:8443", false),
            ("https://.b.example:8443", false),
            ("https://evil/.b.example:8443", false),
            ("https://evilb.example:8443", false),
            ("null", false),
        ] {
            assert_eq!(is_allowed(origins, origin.as_bytes()), allowed, "{origin}");
        }
        assert!(is_allowed("*", b"null"));
    }
}
