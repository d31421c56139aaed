//! Requests that become WebSocket connections (RFC 6455): where a rule lets them, and the service agrees, bytes go both ways until one
//! side ends, nothing passes for too long, or the request's time is up.

use crate::body::{Activity, Kept};
use crate::log::Record;
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
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

/// What is read of one side before the other one has taken it.
const BUFFER: usize = 16 * 1024;

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

/// Passes bytes both ways. `early`: what the client sent already.
pub(crate) async fn tunnel(client: impl AsyncRead + AsyncWrite + Unpin, early: &[u8], agreed: Agreed) {
    let Agreed { upstream, connection, mut record, kept, deadline, idle } = agreed;
    let Ok(upstream) = upstream.await else {
        record.flag("UC");
        return;
    };
    drop(connection);
    let activity = &kept.activity;
    activity.touch();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_upstream, mut to_upstream) = tokio::io::split(TokioIo::new(upstream));
    let there = async {
        if to_upstream.write_all(early).await.is_ok() {
            pass(&mut from_client, &mut to_upstream, activity).await;
        }
    };
    let back = pass(&mut from_upstream, &mut to_client, activity);
    tokio::select! {
        // Each side ends when its own end has been passed on: the other one may have more to say.
        _ = async { tokio::join!(there, back) } => {}
        () = at(deadline) => record.flag("UT"),
        () = silence(activity, idle) => record.flag("SI"),
    }
}

/// Until the end, which is passed on too.
async fn pass(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), activity: &Activity) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count) = from.read(&mut buffer).await {
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        activity.touch();
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
        activity.touch();
    }
    let _ = to.shutdown().await;
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn silence(activity: &Activity, time: Option<Duration>) {
    match time {
        Some(time) => activity.silence(time).await,
        None => std::future::pending().await,
    }
}
