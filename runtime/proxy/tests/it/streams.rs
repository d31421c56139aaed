//! HTTP/2 on both ends of the proxy: upstreams that answer streams, a client that opens them, and one that writes frames as it is told.

use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What an upstream answers.
pub(crate) struct Answer {
    pub(crate) head: Response<()>,
    pub(crate) data: Vec<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(crate) fn of(status: u16, text: &str) -> Answer {
        let head = Response::builder().status(status).body(()).unwrap();
        Answer { head, data: vec![Bytes::copy_from_slice(text.as_bytes())], trailers: None }
    }

    pub(crate) fn trailer(mut self, name: &'static str, value: &str) -> Answer {
        self.trailers.get_or_insert_default().insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Answer {
        self.head.headers_mut().insert(name, value.parse().unwrap());
        self
    }
}

/// A request's head and body.
pub(crate) type Seen = (Parts, Vec<u8>);

/// A server whose streams are served by a function. It ends with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The requests that arrived whole.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers each request, which is there whole, after what `does` waits for.
pub(crate) fn server<F: Future<Output = Answer>>(
    does: impl Fn(usize, Parts) -> F + Send + 'static,
) -> Server {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server { address, connections: Arc::default(), seen: Arc::default() };
    let (connections, seen) = (server.connections.clone(), server.seen.clone());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let does = &*Box::leak(Box::new(does));
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let seen = seen.clone();
                tokio::task::spawn_local(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, mut respond))) = connection.accept().await {
                        let seen = seen.clone();
                        tokio::task::spawn_local(async move {
                            let (parts, mut body) = request.into_parts();
                            let Some(bytes) = read(&mut body).await else { return };
                            let before = {
                                let mut seen = seen.lock().unwrap();
                                seen.push((parts.clone(), bytes));
                                seen.len() - 1
                            };
                            let answer = does(before, parts).await;
                            let empty = answer.data.iter().all(Bytes::is_empty);
                            let ends = empty && answer.trailers.is_none();
                            let Ok(mut send) = respond.send_response(answer.head, ends) else { return };
                            if ends {
                                return;
                            }
                            for data in answer.data {
                                if !write(&mut send, data).await {
                                    return;
                                }
                            }
                            match answer.trailers {
                                Some(trailers) => drop(send.send_trailers(trailers)),
                                None => drop(send.send_data(Bytes::new(), true)),
                            }
                        });
                    }
                });
            }
        });
    });
    server
}

/// Reads a body to its end.
async fn read(body: &mut RecvStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    Some(bytes)
}

/// Writes within what the other side takes.
pub(crate) async fn write(send: &mut SendStream<Bytes>, mut data: Bytes) -> bool {
    while !data.is_empty() {
        send.reserve_capacity(data.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else { return false };
        let part = data.split_to(room.min(data.len()));
        if send.send_data(part, false).is_err() {
            return false;
        }
    }
    true
}

/// A response that arrived whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Whole {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Reads a response to its end, trailers and all.
pub(crate) async fn whole(response: ResponseFuture) -> Result<Whole, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        bytes.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok(Whole { status: head.status.as_u16(), headers: head.headers, body: bytes, trailers })
}

pub(crate) fn ask(path: &str) -> Request<()> {
    Request::builder().uri(format!("http://shop.test{path}")).body(()).unwrap()
}

/// Runs a client with one connection.
pub(crate) fn client<T>(address: SocketAddr, acts: impl AsyncFnOnce(SendRequest<Bytes>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let acts = async {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            // One stream that is not read leaves room for others.
            let mut builder = h2::client::Builder::new();
            builder.initial_connection_window_size(1 << 20);
            let (send, connection) = builder.handshake(stream).await.unwrap();
            tokio::spawn(connection);
            acts(send).await
        };
        tokio::time::timeout(Duration::from_secs(20), acts).await.expect("in time")
    })
}

/// One request without a body on a ready connection.
pub(crate) async fn get(send: &SendRequest<Bytes>, path: &str) -> Result<Whole, h2::Error> {
    let mut send = send.clone().ready().await?;
    let (response, _) = send.send_request(ask(path), true)?;
    whole(response).await
}

/// Frames as they are written, and as they come.
pub(crate) struct Frames(TcpStream);

/// A frame as it came: type, flags, stream and payload.
pub(crate) type Frame = (u8, u8, u32, Vec<u8>);

impl Frames {
    /// Begins a connection: preface and empty settings.
    pub(crate) fn begin(address: SocketAddr) -> Frames {
        let mut frames = Frames(TcpStream::connect(address).unwrap());
        frames.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        frames.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        frames.write(4, 0, 0, b"");
        frames
    }

    /// Nobody may be there to read it any more: that is for the test to notice.
    pub(crate) fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, l1, l2, l3] = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![l1, l2, l3, kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.0.write_all(&frame);
    }

    /// `GET /x` of `shop.test`, in literals that HPACK keeps nowhere (RFC 7541 6.2.2); `more` follows them.
    pub(crate) fn headers(&mut self, stream: u32, flags: u8, more: &[u8]) {
        let mut block = vec![0x82, 0x86, 0x04, 2, b'/', b'x', 0x01, 9];
        block.extend(b"shop.test");
        block.extend(more);
        self.write(1, flags, stream, &block);
    }

    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l1, l2, l3]) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some((kind, flags, u32::from_be_bytes([s1, s2, s3, s4]), payload))
    }

    /// The frames of a type until the connection ends, or until one is found.
    pub(crate) fn next_of(&mut self, wanted: u8) -> Option<Frame> {
        loop {
            let frame = self.read()?;
            if frame.0 == wanted {
                return Some(frame);
            }
        }
    }
}
