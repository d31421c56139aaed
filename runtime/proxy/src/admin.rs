//! The admin: what an operator's probes ask, on loopback only, in a thread of its own so that load never hides it.

use crate::handle::StartError;
use crate::listen::BindError;
use crate::log::{escape, rfc3339};
use crate::serving::Shared;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::LocalSet;

/// Probes are few; more connections wait.
const MAX_CONNECTIONS: usize = 16;
/// A probe that says nothing for so long is not one.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// When files run out, accepting at once again would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The admin's thread; it ends when this is dropped.
pub(crate) struct Admin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts answering on `address`.
pub(crate) fn start(address: SocketAddr, shared: Arc<Shared>) -> Result<Admin, StartError> {
    let failed = |error| StartError::Bind(BindError { door: "admin".to_owned(), address, error });
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        LocalSet::new().block_on(&runtime, async {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            tokio::select! {
                _ = stopped => {}
                () = accept(listener, shared) => {}
            }
        });
    };
    let thread =
        std::thread::Builder::new().name("admin".to_owned()).spawn(run).map_err(StartError::Thread)?;
    Ok(Admin { address, stop: Some(stop), thread: Some(thread) })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let shared = shared.clone();
        tokio::task::spawn_local(async move {
            let _place = place;
            let service =
                service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&request, &shared))));
            let mut builder = Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).keep_alive(false);
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Text> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n".to_owned());
    }
    match request.uri().path() {
        "/live" => text(StatusCode::OK, "live\n".to_owned()),
        "/ready" if shared.draining.load(Ordering::Relaxed) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned())
        }
        "/ready" => text(StatusCode::OK, "ready\n".to_owned()),
        "/plan" => {
            let serving = shared.serving.load();
            let (digest, services) = (serving.view.digest_hex(), serving.view.services().len());
            let since = rfc3339(serving.since);
            let rejected = rejected(shared);
            let body = format!(
                "{{\"digest\":\"{digest}\",\"services\":{services},\"since\":\"{since}\"{rejected}}}\n"
            );
            let mut response = text(StatusCode::OK, body);
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        _ => text(StatusCode::NOT_FOUND, "there are /live, /ready and /plan\n".to_owned()),
    }
}

/// What else `/plan` tells while the last plan was not taken over.
fn rejected(shared: &Shared) -> String {
    let Some(rejected) = shared.rejected.load_full() else { return String::new() };
    let mut told = format!(",\"rejected\":{{\"since\":\"{}\",\"why\":\"", rfc3339(rejected.since));
    escape(&mut told, &rejected.why);
    told.push_str("\"}");
    told
}

/// A body that is there from the start.
struct Text(Bytes);

fn text(status: StatusCode, text: String) -> Response<Text> {
    let mut response = Response::new(Text(text.into()));
    *response.status_mut() = status;
    response
}

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.get_mut().0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
