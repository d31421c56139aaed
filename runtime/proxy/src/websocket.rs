//! Requests that become WebSocket connections (RFC 6455): where a rule lets them, and the service agrees, bytes go both ways until one
//! side ends, nothing passes for too long, or the request's time is up.

use crate::log::Record;
use crate::reply::Kept;
use crate::tunnel::{Bounds, tunnel};
use crate::upstream::Connection;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Version};
use hyper_util::rt::TokioIo;
use mesh_engine::Edited;
use mesh_plan::PlanView;
use mesh_plan::view::Edit;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Whether a request asks for it (RFC 6455 4.1) and a rule on its way lets it.
pub(crate) fn is_asked(
    (method, version, headers): (&Method, Version, &HeaderMap),
    plan: &PlanView,
    edited: &Edited,
) -> bool {
    method == Method::GET
        && version == Version::HTTP_11
        && says(headers, header::UPGRADE, "websocket")
        && says(headers, header::CONNECTION, "upgrade")
        && edited.edits(plan).any(|edit| edit == Edit::WebSocket)
}

/// Whether a list of tokens has this one.
fn says(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|own| own.trim().eq_ignore_ascii_case(token))
}

/// Says so to the next hop.
pub(crate) fn write(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether a service agrees.
pub(crate) fn is_agreed(headers: &HeaderMap) -> bool {
    says(headers, header::UPGRADE, "websocket")
}

/// What both sides have agreed to: the service's side of it, and what the request keeps meanwhile.
pub(crate) struct Agreed {
    pub(crate) upstream: OnUpgrade,
    /// Lives until the upgrade is done.
    pub(crate) connection: Connection,
    pub(crate) record: Record,
    pub(crate) kept: Kept,
    pub(crate) deadline: Option<Instant>,
    pub(crate) idle: Option<Duration>,
}

/// Where a request leaves it for the connection that it came on.
pub(crate) type Slot = Rc<RefCell<Option<Agreed>>>;

/// Passes bytes both ways until the end. `early`: what the client sent already.
pub(crate) async fn run(client: impl AsyncRead + AsyncWrite + Unpin, early: &[u8], agreed: Agreed) {
    let Agreed { upstream, connection, mut record, kept, deadline, idle } = agreed;
    let Ok(upstream) = upstream.await else {
        record.flag("UC");
        return;
    };
    drop(connection);
    let bounds = Bounds { deadline, idle, activity: &kept.activity };
    if let Some(flag) = tunnel(client, early, TokioIo::new(upstream), &bounds).await {
        record.flag(flag);
    }
}
