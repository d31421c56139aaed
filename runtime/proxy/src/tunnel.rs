//! Bytes both ways between a client and an endpoint, until both sides have ended, nothing passes for too long, or the time is up.

use crate::body::Activity;
use crate::call::until;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::Instant;

/// What is read of one side before the other one has taken it.
const BUFFER: usize = 16 * 1024;

/// When it ends in any case.
pub(crate) struct Bounds<'a> {
    pub(crate) deadline: Option<Instant>,
    /// How long nothing may pass.
    pub(crate) idle: Option<Duration>,
    pub(crate) activity: &'a Activity,
}

/// Passes bytes on. `early`: what the client sent already. Returns the flag of what cut it off, if something did.
pub(crate) async fn tunnel(
    client: impl AsyncRead + AsyncWrite + Unpin,
    early: &[u8],
    upstream: impl AsyncRead + AsyncWrite + Unpin,
    bounds: &Bounds<'_>,
) -> Option<&'static str> {
    let activity = bounds.activity;
    activity.touch();
    let (mut from_client, mut to_client) = split(client);
    let (mut from_upstream, mut to_upstream) = split(upstream);
    let there = async {
        if to_upstream.write_all(early).await.is_ok() {
            pass(&mut from_client, &mut to_upstream, activity).await;
        }
    };
    let back = pass(&mut from_upstream, &mut to_client, activity);
    tokio::select! {
        // Each side ends when its own end has been passed on: the other one may have more to say.
        _ = async { tokio::join!(there, back) } => None,
        () = until(bounds.deadline) => Some("UT"),
        () = activity.silence(bounds.idle) => Some("SI"),
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
