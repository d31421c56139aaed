//! A stream of HTTP/2 that has become a tunnel (RFC 8441 5): bytes both ways, and an end for each.

use super::Lease;
use crate::bounds::Bound;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

/// The endpoint's side of a tunnel. It takes its place among the streams of its connection for as long as the endpoint has not taken its end.
pub(crate) struct Tunnel {
    /// There until it is dropped.
    open: Option<(TokioIo<Upgraded>, Lease)>,
}

impl Tunnel {
    pub(super) fn of(upgraded: Upgraded, lease: Lease) -> Tunnel {
        Tunnel { open: Some((TokioIo::new(upgraded), lease)) }
    }

    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut TokioIo<Upgraded>>> {
        let open = self.get_mut().open.as_mut();
        open.map(|(stream, _)| Pin::new(stream)).ok_or(io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let Some((mut stream, lease)) = self.open.take() else { return };
        // The library sends the end behind everything else, and waits for an endpoint that takes nothing for ever. The stream would be a place less on
        // its connection, that nobody here knows of.
        tokio::task::spawn_local(async move {
            if timeout(Bound::StallTime.time(), stream.shutdown()).await.is_err() {
                lease.connection.is_left.set(true);
            }
        });
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
