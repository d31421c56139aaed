//! The questions of proxies and people, over HTTP: `/v1/plan`, `/v1/proxies` and, for reading, `/`.

use super::proxies::{Proxies, Word};
use super::release::{Release, Slice};
use crate::commands::listening::{Answer, Answers, Asker, HEAD_TIME, text};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use mesh_plan::parts::Wanted;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// No question is kept longer, whatever it asks for.
const MOST_WAIT: Duration = Duration::from_secs(60);
/// As much as a proxy may say of itself in one header.
const MAX_WORD: usize = 500;
/// As many units as one proxy may serve.
const MAX_WANTED: usize = 100;

/// What all connections share.
pub(super) struct Service {
    release: watch::Sender<Arc<Release>>,
    proxies: Proxies,
}

impl Service {
    pub(super) fn new(release: Release) -> Arc<Service> {
        let (release, _) = watch::channel(Arc::new(release));
        Arc::new(Service { release, proxies: Proxies::default() })
    }

    /// What is handed out now.
    pub(super) fn release(&self) -> Arc<Release> {
        self.release.borrow().clone()
    }

    /// Hands out something else; who waits for it gets it.
    pub(super) fn renew(&self, release: Release) {
        self.release.send_replace(Arc::new(release));
    }

    pub(super) fn proxies(&self) -> &Proxies {
        &self.proxies
    }
}

impl Answers for Service {
    const REST: Duration = MOST_WAIT.saturating_add(HEAD_TIME);

    async fn answer(&self, request: Request<Incoming>, asker: Asker) -> Answer {
        answer(&request, asker.address, self).await
    }
}

async fn answer(request: &Request<Incoming>, peer: SocketAddr, service: &Service) -> Answer {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n".to_owned());
    }
    match request.uri().path() {
        "/v1/plan" => plan(request, peer, service).await,
        "/v1/proxies" => {
            let document = service.proxies.document(&service.release());
            let mut response = text(StatusCode::OK, format!("{document:#}\n"));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        "/" => text(StatusCode::OK, service.proxies.table(&service.release())),
        _ => text(StatusCode::NOT_FOUND, "there are /v1/plan, /v1/proxies and /\n".to_owned()),
    }
}

/// What a proxy needs of the plan, at once or when there is another one than it has.
async fn plan(request: &Request<Incoming>, peer: SocketAddr, service: &Service) -> Answer {
    let wanted = match wanted(request.uri().query().unwrap_or_default()) {
        Some(wanted) if !wanted.is_empty() => wanted,
        _ => {
            let line = "say whose plan: ?service=NAME, ?gateway=NAME or ?gateways=all\n".to_owned();
            return text(StatusCode::BAD_REQUEST, line);
        }
    };
    let headers = request.headers();
    if let Some(node) = word(headers, "mesh-node") {
        let rejected = word(headers, "mesh-rejected");
        service.proxies.note(Word {
            node,
            address: peer.ip().to_string(),
            wanted: wanted.clone(),
            applied: word(headers, "mesh-applied"),
            rejected: rejected.map(|etag| (etag, word(headers, "mesh-reason").unwrap_or_default())),
        });
    }
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let known = |slice: &Slice| {
        known.is_some_and(|tags| tags == "*" || tags.split(',').any(|tag| tag.trim() == slice.etag))
    };
    let mut releases = service.release.subscribe();
    let deadline = tokio::time::Instant::now() + wait(headers);
    loop {
        let release = releases.borrow_and_update().clone();
        match release.slice(&wanted) {
            Ok(slice) if known(&slice) => {}
            Ok(slice) => return sliced(StatusCode::OK, &slice, slice.bytes.clone()),
            Err(why) => return text(StatusCode::NOT_FOUND, format!("{}\n", why.line())),
        }
        if tokio::time::timeout_at(deadline, releases.changed()).await.is_err()
            && let Ok(slice) = release.slice(&wanted)
        {
            return sliced(StatusCode::NOT_MODIFIED, &slice, Bytes::new());
        }
    }
}

fn sliced(status: StatusCode, slice: &Slice, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&slice.etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.mesh.plan.v1"));
    response
}

/// `Prefer: wait=N` (RFC 7240 4.3), in seconds; without it nobody waits.
fn wait(headers: &HeaderMap) -> Duration {
    let prefer = headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = prefer.split(',').find_map(|preference| preference.trim().strip_prefix("wait="));
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(MOST_WAIT)
}

/// A header of one short line.
fn word(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.chars().take(MAX_WORD).collect())
}

/// Whose plan a query asks for. `None` where it asks for something else.
fn wanted(query: &str) -> Option<BTreeSet<Wanted>> {
    let mut wanted = BTreeSet::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_WANTED) {
        wanted.insert(match (&*key, &*value) {
            ("gateways", "all") => Wanted::Gateways,
            ("gateway", name) if !name.is_empty() => Wanted::Gateway(name.to_owned()),
            ("service", name) if !name.is_empty() => Wanted::Service(name.to_owned()),
            _ => return None,
        });
    }
    Some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_whose_plan() {
        let all = wanted("gateways=all&gateway=edge&service=a%26b.x").unwrap();
        let expected = [Wanted::Gateways, Wanted::Gateway("edge".into()), Wanted::Service("a&b.x".into())];
        assert_eq!(all, BTreeSet::from(expected));
        for wrong in ["service", "service=", "gateways=some", "port=80"] {
            assert_eq!(wanted(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nobody_waits_longer_than_a_minute() {
        for (prefer, seconds) in [("wait=5", 5), ("respond-async, wait=7", 7), ("wait=99999", 60), ("x", 0)] {
            let headers = HeaderMap::from_iter([(
                header::HeaderName::from_static("prefer"),
                HeaderValue::from_static(prefer),
            )]);
            assert_eq!(wait(&headers), Duration::from_secs(seconds), "{prefer}");
        }
    }
}
