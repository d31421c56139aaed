//! Bytes both ways between a client and an endpoint, until both sides have ended, nothing passes for too long, or the time is up.

use crate::body::Activity;
use crate::call::until;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, split};
use tokio::time::Instant;

/// What is read of one side before the other one has taken it.
const BUFFER: usize = 16 * 1024;

thread_local! {
    /// What bytes pass through: one for all connections of a worker, so that one on which nothing passes needs no room.
    static PASSING: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into());
}

/// When it ends in any case.
pub(crate) struct Bounds<'a> {
    pub(crate) deadline: Option<Instant>,
    /// How long nothing may pass.
    pub(crate) idle: Option<Duration>,
    pub(crate) activity: &'a Activity,
}

/// Passes bytes on. `early`: what the client sent already, given back once it is passed on. Returns the flag of what cut it off, if something did.
pub(crate) async fn tunnel(
    client: impl AsyncRead + AsyncWrite + Unpin,
    early: impl AsRef<[u8]>,
    upstream: impl AsyncRead + AsyncWrite + Unpin,
    bounds: &Bounds<'_>,
) -> Option<&'static str> {
    let activity = bounds.activity;
    activity.touch();
    let (mut from_client, mut to_client) = split(client);
    let (mut from_upstream, mut to_upstream) = split(upstream);
    let there = async {
        let passed = to_upstream.write_all(early.as_ref()).await;
        drop(early);
        if passed.is_ok() {
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
    while let Ok(Some(left)) = poll_fn(|cx| poll_some(from, to, cx)).await {
        activity.touch();
        if to.write_all(&left).await.is_err() || to.flush().await.is_err() {
            return;
        }
        activity.touch();
    }
    let _ = to.shutdown().await;
}

/// Passes on what has come. Returns what was not taken of it at once; `None`: this is the end.
fn poll_some(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
) -> Poll<io::Result<Option<Vec<u8>>>> {
    PASSING.with_borrow_mut(|passing| {
        let mut passing = ReadBuf::new(passing);
        ready!(Pin::new(from).poll_read(cx, &mut passing))?;
        if passing.filled().is_empty() {
            return Poll::Ready(Ok(None));
        }
        let taken = match Pin::new(to).poll_write(cx, passing.filled()) {
            Poll::Ready(taken) => taken,
            Poll::Pending => Ok(0),
        };
        // Whoever writes the rest hears the same error.
        let left = passing.filled().get(taken.unwrap_or(0)..).unwrap_or_default();
        Poll::Ready(Ok(Some(left.to_vec())))
    })
}
