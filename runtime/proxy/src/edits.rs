//! What rules change of a request and its response, done to the real ones; and faults, drawn.

use crate::request::Target;
use hyper::Uri;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use mesh_engine::Edited;
use mesh_plan::PlanView;
use mesh_plan::layout::WHOLE;
use mesh_plan::view::Edit;
use std::time::Duration;

/// Changes a request on its way to the destination. It was decided about in the same form.
pub(crate) fn of_request(parts: &mut Parts, target: &Target, plan: &PlanView, edited: &Edited) {
    if edited.is_empty() {
        return;
    }
    let path = edited.path(plan, &target.path);
    if path != target.path {
        let whole = match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.into_owned(),
        };
        // Paths of a plan are canonical: they are URIs.
        if let Ok(uri) = Uri::try_from(whole) {
            parts.uri = uri;
        }
    }
    let host = edited.host(plan, &target.host);
    if host != target.host
        && let Ok(host) = HeaderValue::try_from(host)
    {
        parts.headers.insert(header::HOST, host);
    }
    for edit in edited.edits(plan) {
        match edit {
            Edit::SetRequestHeader(name, value) => set(&mut parts.headers, name, value),
            Edit::AddRequestHeader(name, value) => add(&mut parts.headers, name, value),
            Edit::RemoveRequestHeader(name) => {
                parts.headers.remove(name);
            }
            _ => {}
        }
    }
}

/// Changes a response on its way to the client.
pub(crate) fn of_response(headers: &mut HeaderMap, plan: &PlanView, edited: &Edited) {
    for edit in edited.edits(plan) {
        match edit {
            Edit::SetResponseHeader(name, value) => set(headers, name, value),
            Edit::AddResponseHeader(name, value) => add(headers, name, value),
            Edit::RemoveResponseHeader(name) => {
                headers.remove(name);
            }
            _ => {}
        }
    }
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.append(name, value);
    }
}

/// Where a redirect leads that says only what is different from the URL that was asked for.
pub(crate) fn location(target: &Target, own: &str, plan: &PlanView, edited: &Edited) -> String {
    let path = edited.path(plan, &target.path);
    let host = edited.host(plan, &target.host);
    let scheme = edited.edits(plan).find_map(|edit| match edit {
        Edit::Scheme(scheme) => Some(scheme),
        _ => None,
    });
    if host == target.host && scheme.is_none() {
        return path.into_owned();
    }
    // Another scheme or host has a port of its own, the default one.
    format!("{}://{host}{path}", scheme.unwrap_or(own))
}

/// What is done to one request on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) delay: Option<Duration>,
    pub(crate) abort: Option<u16>,
}

/// Draws the faults of a request: each by itself.
pub(crate) fn faults(plan: &PlanView, edited: &Edited, random: &mut fastrand::Rng) -> Faults {
    let mut faults = Faults::default();
    for edit in edited.edits(plan) {
        match edit {
            Edit::Delay { delay, share } if random.u32(0..WHOLE) < share => {
                faults.delay = Some(Duration::from_millis(delay.into()));
            }
            Edit::Abort { status, share } if random.u32(0..WHOLE) < share => faults.abort = Some(status),
            _ => {}
        }
    }
    faults
}
