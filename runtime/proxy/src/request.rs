//! What a request must be before anything is decided about it: canonical, and free of what only this hop may say.

use crate::bounds::Bound;
use crate::client::Client;
use crate::forwarded::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use hyper::header::{self, Entry, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri, Version};
use mesh_engine::canonical::{self, NotCanonical, Relaxed};
use std::borrow::Cow;
use std::cell::Cell;

/// A request's target in canonical form.
#[derive(Debug)]
pub(crate) struct Target {
    /// Lower-case, without port.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Without query.
    pub(crate) path: String,
}

impl Target {
    /// The host, and the port if the client said one.
    pub(crate) fn authority(&self) -> Cow<'_, str> {
        match self.port {
            Some(port) => format!("{}:{port}", self.host).into(),
            None => self.host.as_str().into(),
        }
    }
}

/// A request that is refused before anything is decided.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// A clause.
    pub(crate) why: &'static str,
    /// Whether a stream with it is malformed (RFC 9113 8.1.1), and so reset.
    pub(crate) resets: bool,
}

fn bad(why: &'static str) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, why, resets: false }
}

impl From<NotCanonical> for Refused {
    fn from(not: NotCanonical) -> Refused {
        bad(not.0)
    }
}

/// Brings a request into canonical form, as it is decided about. What is made of paths that would be refused hangs on the host.
pub(crate) fn canonicalize(
    parts: &mut Parts,
    client: &Client,
    random: &mut fastrand::Rng,
    relaxed: impl Fn(&str, Option<u16>) -> Relaxed,
) -> Result<Target, Refused> {
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(Refused {
            status: StatusCode::METHOD_NOT_ALLOWED,
            why: "this method is not allowed",
            resets: false,
        });
    }
    if parts.version == Version::HTTP_2 {
        fit_for_one_connection(&mut parts.headers)?;
    }
    // Some servers read `x_user` as `x-user`: then a header that nobody decided about counts as one that was.
    if parts.headers.keys().any(|name| name.as_str().contains('_')) {
        return Err(bad("a header name has an underscore"));
    }
    let mut expects = parts.headers.get_all(header::EXPECT).iter();
    if expects.any(|line| !line.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        let status = StatusCode::EXPECTATION_FAILED;
        return Err(Refused { status, why: "what is expected is not known here", resets: false });
    }
    if let Some(why) = ambiguous(&parts.headers).or_else(|| wrong_upgrade(parts)) {
        return Err(bad(why));
    }
    let target = target(parts, relaxed)?;
    if parts.uri.authority().is_some() || parts.uri.path() != target.path {
        parts.uri = origin_form(&target.path, parts.uri.query())?;
    }
    remove_claims(&mut parts.headers);
    write_own(&mut parts.headers, &target, client, random)?;
    Ok(target)
}

/// Takes off what was said to this hop alone. After the decision: a client that names a header in `connection` cannot
/// keep the plan from seeing it, and cannot take off what this proxy wrote.
pub(crate) fn leave_hop(headers: &mut HeaderMap) {
    let trailers = takes_trailers(headers);
    let own = [header::HOST, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_REQUEST_ID];
    let named = named_by_connection(headers);
    take_off(headers, named.iter().filter(|name| !own.contains(name)));
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Headers of which a request has one: of several, one server takes the first and another the last.
const ONCE: [HeaderName; 3] = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::CONTENT_TYPE];

/// Why headers mean different things to different servers.
fn ambiguous(headers: &HeaderMap) -> Option<&'static str> {
    if ONCE.iter().any(|name| headers.get_all(name).iter().nth(1).is_some()) {
        return Some("a header is repeated of which there is one");
    }
    let named = named_by_connection(headers);
    let owned = |name: &HeaderName| is_claim(name) || [header::HOST, header::AUTHORIZATION].contains(name);
    named.iter().any(owned).then_some("the connection header names what is not its sender's to take off")
}

/// Why a request to change the protocol is none: one that names several, or that has a body, which might be read in either.
fn wrong_upgrade(parts: &Parts) -> Option<&'static str> {
    let headers = &parts.headers;
    if !headers.contains_key(header::UPGRADE) || !named_by_connection(headers).contains(&header::UPGRADE) {
        return None;
    }
    let lines = headers.get_all(header::UPGRADE);
    let protocols = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    if protocols.count() > 1 {
        return Some("the upgrade header names several protocols");
    }
    let is_empty = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
    let to_websocket = lines.iter().any(|line| line.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let has_body = !is_empty || headers.contains_key(header::TRANSFER_ENCODING);
    (to_websocket && has_body).then_some("a body before the change to another protocol")
}

/// What HTTP/2 allows and HTTP/1.1 does not, which may be what comes next.
fn fit_for_one_connection(headers: &mut HeaderMap) -> Result<(), Refused> {
    let crumbs = headers.get_all(header::COOKIE).iter().count();
    let most = Bound::HeadFields.size();
    if crumbs > most || headers.len() - crumbs > most {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Refused { status, why: "too many headers", resets: false });
    }
    // HTTP/1.1 would take them away (RFC 9113 8.2.1).
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if headers.values().map(HeaderValue::as_bytes).any(|line| is_blank(line.first()) || is_blank(line.last()))
    {
        return Err(Refused { resets: true, ..bad("a header value with blanks around it") });
    }
    // A cookie header may come in crumbs, and is one line everywhere else (RFC 9113 8.2.3).
    if crumbs > 1 {
        let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        let line = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
        headers.insert(header::COOKIE, line.map_err(|_| bad("the cookie header is malformed"))?);
    }
    Ok(())
}

/// The target of a stream (RFC 9113 8.3.1): where both say a host, it is the same one.
fn target_of_stream(
    parts: &Parts,
    relaxed: impl Fn(&str, Option<u16>) -> Relaxed,
) -> Result<Target, Refused> {
    let mut lines = parts.headers.get_all(header::HOST).iter();
    let said = match (lines.next(), lines.next()) {
        (None, _) => None,
        (Some(line), None) => Some(line.to_str().map_err(|_| bad("the host header is not text"))?),
        _ => return Err(bad("there must be one host header")),
    };
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let malformed = |why| Refused { resets: true, ..bad(why) };
    let (host, port) = canonical::host(authority.or(said).ok_or(malformed("there must be one host"))?)
        .map_err(|not| malformed(not.0))?;
    if let (Some(_), Some(said)) = (authority, said)
        && canonical::host(said)? != (host.clone(), port)
    {
        return Err(malformed("the host header is of another host"));
    }
    if !matches!(parts.uri.scheme_str(), None | Some("http" | "https")) {
        return Err(bad("the target has an unknown form"));
    }
    let path = parts.uri.path();
    if path == "*" && parts.method != Method::OPTIONS {
        return Err(bad("the target `*` is for OPTIONS"));
    }
    let path = canonical_path(path, || relaxed(&host, port))?;
    Ok(Target { host: host.into_owned(), port, path })
}

fn target(parts: &Parts, relaxed: impl Fn(&str, Option<u16>) -> Relaxed) -> Result<Target, Refused> {
    if parts.version == Version::HTTP_2 {
        return target_of_stream(parts, relaxed);
    }
    let mut lines = parts.headers.get_all(header::HOST).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(bad("there must be one host header"));
    };
    let (mut host, mut port) =
        canonical::host(line.to_str().map_err(|_| bad("the host header is not text"))?)?;
    match (parts.uri.scheme_str(), parts.uri.authority()) {
        (None, None) => {}
        (Some("http" | "https"), Some(authority)) => (host, port) = canonical::host(authority.as_str())?,
        _ => return Err(bad("the target has an unknown form")),
    }
    let path = parts.uri.path();
    if path == "*" && parts.method != Method::OPTIONS {
        return Err(bad("the target `*` is for OPTIONS"));
    }
    let path = canonical_path(path, || relaxed(&host, port))?;
    Ok(Target { host: host.into_owned(), port, path })
}

/// What a place takes is only asked where it makes a difference.
fn canonical_path(raw: &str, relaxed: impl FnOnce() -> Relaxed) -> Result<String, NotCanonical> {
    let relaxed = if raw.contains(['%', ';']) { relaxed() } else { Relaxed::default() };
    Ok(canonical::path_as(raw, relaxed)?.into_owned())
}

fn origin_form(path: &str, query: Option<&str>) -> Result<Uri, Refused> {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Uri::try_from(text).map_err(|_| bad("the target is not a path"))
}

/// Headers that speak of one connection (RFC 9110 7.6.1).
static HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

/// Removes what speaks of the connection that a message came on, and what its `connection` header names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = named_by_connection(headers);
    take_off(headers, named.iter());
}

fn take_off<'n>(headers: &mut HeaderMap, named: impl Iterator<Item = &'n HeaderName>) {
    named.for_each(|name| drop(headers.remove(name)));
    // Of most messages none is there, and to look through the few that are is less than to look for each.
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(name)));
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION);
    let names = lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect()
}

/// Whether the client takes trailers: the proxy passes them on, so it takes them too.
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    let mut codings =
        headers.get_all(header::TE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Headers by which a request asks to be taken for one of another method or path than was decided about. Some frameworks do.
const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];

/// Whether a header says of a client, or of the way here, what this hop alone knows, or makes another request of it.
fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Nearly all names are told by their first letter.
    if !name.starts_with(['x', 'f']) {
        return false;
    }
    name.starts_with("x-forwarded-")
        || name.starts_with("x-mesh-")
        || name == "forwarded"
        || OVERRIDES.contains(&name)
}

/// Removes what a client claims of itself and of the way here. Nothing of it is known to be true.
fn remove_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An id that a client chose is kept up to this length; it stands in every log line.
const MAX_REQUEST_ID: usize = 128;

/// Writes what this hop knows.
fn write_own(
    headers: &mut HeaderMap,
    target: &Target,
    client: &Client,
    random: &mut fastrand::Rng,
) -> Result<(), Refused> {
    let authority = target.authority();
    let host = match headers.get(header::HOST).filter(|said| *said == authority.as_ref()) {
        Some(said) => said.clone(),
        None => {
            let host = HeaderValue::try_from(authority.into_owned());
            let host = host.map_err(|_| bad("the host is not text"))?;
            headers.insert(header::HOST, host.clone());
            host
        }
    };
    headers.insert(X_FORWARDED_HOST, host);
    headers.insert(X_FORWARDED_FOR, client.said());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(client.scheme()));
    // The proxy itself has told the client to go on, when the body is first read.
    headers.remove(header::EXPECT);
    if let Entry::Occupied(kept) = headers.entry(X_REQUEST_ID)
        && !is_sane_id(&kept)
    {
        kept.remove_entry_mult();
    }
    if let Entry::Vacant(none) = headers.entry(X_REQUEST_ID)
        && let Ok(made) = HeaderValue::try_from(format!("{:032x}", random.u128(..)))
    {
        none.insert(made);
    }
    Ok(())
}

fn is_sane_id(lines: &header::OccupiedEntry<'_, HeaderValue>) -> bool {
    let id = lines.get().as_bytes();
    lines.iter().count() == 1
        && (1..=MAX_REQUEST_ID).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_graphic())
}

/// The request's id, for logs.
pub(crate) fn request_id(headers: &HeaderMap) -> &str {
    headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

/// Headers as a decision asks for them.
pub(crate) struct Headers<'h> {
    headers: &'h HeaderMap,
    doubtful: Cell<bool>,
}

impl<'h> Headers<'h> {
    pub(crate) fn of(headers: &'h HeaderMap) -> Headers<'h> {
        Headers { headers, doubtful: Cell::new(false) }
    }

    /// Whether a line was asked for that holds bytes outside ASCII: some servers take `\xa0` for a blank, or drop what is no UTF-8.
    pub(crate) fn were_doubtful(&self) -> bool {
        self.doubtful.get()
    }
}

/// What is said of a request for a host whose certificate its client was not shown (RFC 9110 7.4): it has not been verified who answers.
pub(crate) const MISDIRECTED: Refused = Refused {
    status: StatusCode::MISDIRECTED_REQUEST,
    why: "this connection is for another host",
    resets: false,
};

/// What is said of such a request.
pub(crate) const DOUBTFUL: Refused = Refused {
    status: StatusCode::BAD_REQUEST,
    why: "a header that counts holds bytes outside ASCII",
    resets: false,
};

impl mesh_engine::Headers for Headers<'_> {
    fn each_line(&self, name: &[u8], show: &mut dyn FnMut(&[u8])) {
        let Ok(name) = HeaderName::from_bytes(name) else { return };
        for line in self.headers.get_all(name) {
            if !line.as_bytes().is_ascii() {
                self.doubtful.set(true);
            }
            show(line.as_bytes());
        }
    }
}
