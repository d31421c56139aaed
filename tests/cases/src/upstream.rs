//! The upstream: records every byte that it gets, and answers as it is told.

use crate::requests::{self, Reading, Request};
use mesh_tests::tokens::base64url;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What it does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plays {
    /// Answers with this status.
    Status(u16),
    /// Writes these bytes once it has a request, and closes the connection if so told.
    Bytes { bytes: Vec<u8>, closes: bool },
    /// The same as soon as it has the head.
    Early(Vec<u8>),
    /// Agrees to a WebSocket, or to another key than it was asked with.
    WebSocket { good: bool },
    /// Reads nothing, and so answers nothing.
    Deaf,
}

impl Default for Plays {
    fn default() -> Plays {
        Plays::Status(200)
    }
}

#[derive(Default)]
struct Record {
    /// What came on each connection.
    connections: Vec<Vec<u8>>,
    /// How much of it was there when the case began.
    marks: Vec<usize>,
    plays: Plays,
}

#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    record: Arc<Mutex<Record>>,
}

impl Upstream {
    pub(crate) fn start() -> std::io::Result<Upstream> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let upstream = Upstream { address: listener.local_addr()?, record: Arc::default() };
        let own = upstream.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let index = {
                    let mut record = own.record();
                    record.connections.push(Vec::new());
                    record.marks.push(0);
                    record.connections.len() - 1
                };
                let own = own.clone();
                std::thread::spawn(move || own.converse(index, stream));
            }
        });
        Ok(upstream)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A case begins: what came before is not its own, nor what still comes of it.
    pub(crate) fn begin(&self, plays: Plays) {
        let count = || self.record().connections.iter().map(Vec::len).sum::<usize>();
        let mut quiet = 0;
        for _ in 0..LOOKS {
            let before = count();
            std::thread::sleep(LOOK);
            quiet = if count() == before { quiet + 1 } else { 0 };
            if quiet == QUIET_LOOKS {
                break;
            }
        }
        let mut record = self.record();
        record.marks = record.connections.iter().map(Vec::len).collect();
        record.plays = plays;
    }

    /// From now on it does something else.
    pub(crate) fn play(&self, plays: Plays) {
        self.record().plays = plays;
    }

    /// What has come on each connection since the case began, where anything has.
    pub(crate) fn seen(&self) -> Vec<Vec<u8>> {
        let record = self.record();
        let new = record.connections.iter().zip(&record.marks);
        let new = new.map(|(bytes, mark)| bytes.get(*mark..).unwrap_or_default().to_vec());
        new.filter(|bytes| !bytes.is_empty()).collect()
    }

    fn converse(&self, index: usize, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (mut answered, mut buffer) = (0, vec![0; 64 << 10]);
        loop {
            while self.record().plays == Plays::Deaf {
                std::thread::sleep(Duration::from_millis(10));
            }
            let Ok(count @ 1..) = stream.read(&mut buffer) else { return };
            let plays = {
                let mut record = self.record();
                if let Some(own) = record.connections.get_mut(index) {
                    own.extend_from_slice(buffer.get(..count).unwrap_or_default());
                }
                record.plays.clone()
            };
            while let Some((request, used)) = self.next(index, answered, &plays) {
                answered += used;
                let (bytes, closes) = answer(&request, &plays);
                if stream.write_all(&bytes).is_err() {
                    return;
                }
                if closes {
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                    return;
                }
            }
        }
    }

    /// The next request that is there to be answered.
    fn next(&self, index: usize, answered: usize, plays: &Plays) -> Option<(Request, usize)> {
        let record = self.record();
        let bytes = record.connections.get(index)?.get(answered..)?;
        if let Plays::Early(_) = plays {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
            let target = String::from_utf8_lossy(bytes).split(' ').nth(1).unwrap_or_default().to_owned();
            return Some((Request { target, ..Request::default() }, end + 4));
        }
        // A long chunked body is not read anew with each of its parts.
        let is_long = bytes.len() > 64 << 10;
        let is_chunked =
            bytes.get(..1024).is_some_and(|head| head.windows(9).any(|part| part == b": chunked"));
        if is_long && is_chunked && !bytes.ends_with(b"0\r\n\r\n") {
            return None;
        }
        let read = requests::one(bytes, Reading::Strict);
        read.or_else(|_| requests::one(bytes, Reading::BareLines)).ok()
    }
}

fn answer(request: &Request, plays: &Plays) -> (Vec<u8>, bool) {
    if request.target.starts_with(SENTINEL) {
        return (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec(), false);
    }
    match plays {
        Plays::Bytes { bytes, closes } => (bytes.clone(), *closes),
        Plays::Early(bytes) => (bytes.clone(), false),
        Plays::Status(200) => {
            let target = &request.target;
            (
                format!("HTTP/1.1 200 OK\r\nx-target: {target}\r\ncontent-length: 2\r\n\r\nok").into_bytes(),
                false,
            )
        }
        Plays::Status(status) => {
            (format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").into_bytes(), false)
        }
        Plays::WebSocket { good } => {
            let key = request.values("sec-websocket-key").next().filter(|_| *good).unwrap_or(b"another");
            let head = "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
            (format!("{head}sec-websocket-accept: {}\r\n\r\n", agreed(key)).into_bytes(), false)
        }
        Plays::Deaf => (Vec::new(), false),
    }
}

/// What is answered to a key (RFC 6455 4.2.2).
fn agreed(key: &[u8]) -> String {
    let text = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
    // 20 bytes: one sign is missing.
    base64url(hash.as_ref()).replace('-', "+").replace('_', "/") + "="
}

/// When nothing has come for so many looks, nothing comes any more, on a machine that is busy too,
const LOOK: Duration = Duration::from_millis(5);
const QUIET_LOOKS: u32 = 4;
/// and if something always does, this many are enough.
const LOOKS: u32 = 200;

/// Requests of the runner's own begin so: they tell that a case has left nothing behind.
pub(crate) const SENTINEL: &str = "/public/-/sentinel/";
