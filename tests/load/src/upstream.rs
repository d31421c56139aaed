//! An upstream, as a process of its own that can be killed: it writes down what comes before it answers, so that what it did is known
//! whatever becomes of it. HTTP/1.1 and HTTP/2 with prior knowledge; a call of gRPC is answered with a message and trailers.

use crate::journal::Journal;
use clap::Parser;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The header that tells one request from all others, in the access log too.
pub(crate) const ID: &str = "x-request-id";

/// An empty message of gRPC: not compressed, of no bytes.
const EMPTY_MESSAGE: &[u8] = &[0, 0, 0, 0, 0];
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What an upstream is told.
#[derive(Debug, Parser)]
pub(crate) struct Role {
    /// Where it listens
    #[arg(long)]
    listen: SocketAddr,

    /// The file it writes down what comes in; one that is there goes on
    #[arg(long)]
    journal: PathBuf,

    /// The status of its answers
    #[arg(long, default_value_t = 200)]
    status: u16,

    /// How long it takes for an answer, in milliseconds
    #[arg(long, default_value_t = 0)]
    hold: u64,
}

/// Serves until it is killed.
pub(crate) fn serve(role: &Role) -> Result<Infallible, String> {
    let status = StatusCode::from_u16(role.status).map_err(|error| error.to_string())?;
    let journal = Arc::new(Journal::append(&role.journal)?);
    let hold = Duration::from_millis(role.hold);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(role.listen).await;
        let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", role.listen))?;
        loop {
            // A connection that is gone before it is accepted is no reason to end.
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let journal = journal.clone();
            tokio::spawn(async move {
                let _open = journal.connection();
                let answers = service_fn(|request| answer(request, journal.clone(), status, hold));
                // How it ended is known by what stands in the journal.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), answers)
                    .await;
            });
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    journal: Arc<Journal>,
    status: StatusCode,
    hold: Duration,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let id = request.headers().get(ID).and_then(|id| id.to_str().ok()?.parse().ok());
    // Who asks whether it is well has no id.
    let _under_way = id.map(|id| journal.request(request.method(), id));
    let kind = request.headers().get(header::CONTENT_TYPE).cloned();
    let is_grpc = kind.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
    if !hold.is_zero() {
        tokio::time::sleep(hold).await;
    }
    let body = if is_grpc { Full::from(EMPTY_MESSAGE) } else { Full::from(format!("{length} bytes\n")) };
    let trailers = is_grpc.then(|| Ok(HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))])));
    let mut response = Response::new(body.with_trailers(async { trailers }).boxed_unsync());
    *response.status_mut() = status;
    if let Some(kind) = kind.filter(|_| is_grpc) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}
