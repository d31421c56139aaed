//! `FetchX509SVID` as a stream of messages: a call of gRPC over HTTP/2, on a socket of this machine and without TLS, as the SPIFFE Workload
//! Endpoint has it.

use super::message::Answer;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_proxy::cause;
use prost::Message as _;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// The first message comes "as soon as possible" (SPIFFE Workload API 4.3); an agent that starts may need a while.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of a message: what gRPC takes everywhere unless it is told otherwise.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// In front of each message: whether it is compressed, and how long it is.
const PREFIX: usize = 5;

/// Where an agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Endpoint {
    /// `unix:///PATH` or `tcp://IP:PORT` (SPIFFE Workload Endpoint 4).
    pub(crate) fn read(text: &str) -> Result<Endpoint, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:/path` is the same URI without the empty authority.
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.starts_with('/') && !path.contains(['?', '#']) {
                return Ok(Endpoint::Unix(PathBuf::from(path)));
            }
        }
        let address = text.strip_prefix("tcp://").and_then(|address| address.parse().ok());
        address.map(Endpoint::Tcp).ok_or_else(|| {
            "write unix:// and the whole path of a socket, such as unix:///run/spire/agent.sock, or tcp://IP:PORT"
                .to_owned()
        })
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Why there is no message.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is of no use to ask again (SPIFFE Workload Endpoint, appendix A).
    Final(String),
    Passing(String),
}

impl Trouble {
    pub(super) fn why(&self) -> &str {
        match self {
            Trouble::Final(why) | Trouble::Passing(why) => why,
        }
    }
}

fn passing(why: impl Display) -> Trouble {
    Trouble::Passing(why.to_string())
}

/// Messages, as they come.
pub(super) struct Stream {
    body: Incoming,
    /// What has come of the next message.
    read: Vec<u8>,
    is_first: bool,
    /// The connection ends with it.
    _sender: SendRequest<Full<Bytes>>,
}

impl Stream {
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Stream, Trouble> {
        let opened = async {
            match endpoint {
                Endpoint::Unix(path) => {
                    call(UnixStream::connect(path).await.map_err(|error| passing(cause(&error)))?).await
                }
                Endpoint::Tcp(address) => {
                    call(TcpStream::connect(address).await.map_err(|error| passing(cause(&error)))?).await
                }
            }
        };
        timeout(PATIENCE, opened).await.map_err(|_| passing("no answer in time"))?
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Answer, Trouble> {
        if !self.is_first {
            return self.message().await;
        }
        self.is_first = false;
        timeout(PATIENCE, self.message()).await.map_err(|_| passing("no answer in time"))?
    }

    async fn message(&mut self) -> Result<Answer, Trouble> {
        loop {
            if let Some(message) = whole(&mut self.read)? {
                return Answer::decode(&*message)
                    .map_err(|error| passing(format!("a message is damaged: {error}")));
            }
            let frame = self.body.frame().await.ok_or_else(|| passing("the stream has ended"))?;
            let frame = frame.map_err(|error| passing(mesh_proxy::innermost(&error)))?;
            match frame.into_data() {
                Ok(data) => self.read.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return Err(status(&trailers).unwrap_or_else(|| passing("the stream has ended")));
                }
            }
        }
    }
}

/// Makes the call.
async fn call<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Stream, Trouble> {
    let broken = |error: hyper::Error| passing(mesh_proxy::innermost(&error));
    let handshake = Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    tokio::spawn(connection);
    let request = Request::post("http://localhost/SpiffeWorkloadAPI/FetchX509SVID")
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, concat!("mesh-proxy/", env!("CARGO_PKG_VERSION")))
        // Without it the agent takes the call for a forged one.
        .header("workload.spiffe.io", "true")
        // A message without fields.
        .body(Full::new(Bytes::from_static(&[0; PREFIX])))
        .map_err(|error| Trouble::Final(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status() != StatusCode::OK {
        return Err(passing(format!("it answers {}, which is not gRPC", response.status().as_u16())));
    }
    // A call that fails at once has its status in its head.
    match status(response.headers()) {
        Some(trouble) => Err(trouble),
        None => Ok(Stream { body: response.into_body(), read: Vec::new(), is_first: true, _sender: sender }),
    }
}

/// How a call ended, where that is said, and not well.
fn status(headers: &HeaderMap<HeaderValue>) -> Option<Trouble> {
    let code = headers.get("grpc-status")?.to_str().unwrap_or_default();
    let said = headers.get("grpc-message").and_then(|said| said.to_str().ok()).unwrap_or_default();
    let said: String = said.chars().take(200).collect();
    Some(match code {
        "0" => passing("the stream has ended"),
        "3" => Trouble::Final(format!("the agent calls the call wrong (InvalidArgument): {said}")),
        "12" => Trouble::Final(format!("the agent has no X.509 SVIDs (Unimplemented): {said}")),
        "7" => passing(format!("the agent knows no identity of this process (PermissionDenied): {said}")),
        "14" => passing(format!("the agent is not ready (Unavailable): {said}")),
        code => passing(format!("the call ended with status {code} of gRPC: {said}")),
    })
}

/// Takes a message off the front, once it is there whole.
fn whole(read: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Trouble> {
    let Some((prefix, rest)) = read.split_first_chunk::<PREFIX>() else { return Ok(None) };
    let [compressed, length @ ..] = *prefix;
    let length = u32::from_be_bytes(length) as usize;
    if compressed != 0 {
        return Err(passing("a message is compressed, which was not asked for"));
    }
    if length > MOST_BYTES {
        return Err(passing(format!("a message has more than {MOST_BYTES} bytes")));
    }
    let Some(message) = rest.get(..length) else { return Ok(None) };
    let message = message.to_vec();
    read.drain(..PREFIX + length);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_whole_path_or_an_address() {
        let unix = |path: &str| Endpoint::Unix(PathBuf::from(path));
        for (text, wanted) in [
            ("unix:///run/spire/agent.sock", unix("/run/spire/agent.sock")),
            ("unix:/run/agent.sock", unix("/run/agent.sock")),
            ("tcp://127.0.0.1:8000", Endpoint::Tcp("127.0.0.1:8000".parse().unwrap())),
        ] {
            assert_eq!(Endpoint::read(text), Ok(wanted), "{text}");
        }
        for text in [
            "",
            "/run/agent.sock",
            "unix://run/agent.sock",
            "tcp://localhost:1",
            "tcp://127.0.0.1:1/x",
            "unix:///a?b",
        ] {
            assert!(Endpoint::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn messages_are_taken_off_whole_in_whatever_pieces_they_come() {
        let bytes = [0, 0, 0, 0, 2, b'h', b'i', 0, 0, 0, 0, 0, 0];
        let (mut read, mut found) = (Vec::new(), Vec::new());
        for byte in bytes {
            read.push(byte);
            found.extend(whole(&mut read).unwrap());
        }
        assert_eq!((found, read), (vec![b"hi".to_vec(), vec![]], vec![0]));
        assert!(whole(&mut vec![1, 0, 0, 0, 0]).is_err() && whole(&mut vec![0, 0xff, 0, 0, 0]).is_err());
    }
}
