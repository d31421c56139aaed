//! Upstreams and a client on plain blocking sockets, so that nothing here shares code with what is tested.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A message as it came over the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The request line or status line.
    pub(crate) line: String,
    /// Lower-case names; lines of one name joined by commas.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: BTreeMap<String, String>,
}

impl Message {
    pub(crate) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What an upstream does with a request.
pub(crate) enum Does {
    /// Writes these bytes and goes on.
    Writes(Vec<u8>),
    /// Writes these bytes, waits, writes the others.
    Pauses(Vec<u8>, Duration, Vec<u8>),
    /// Closes the connection after these bytes.
    Closes(Vec<u8>),
}

/// `200` with this body.
pub(crate) fn ok(body: &str) -> Does {
    status(200, body)
}

pub(crate) fn status(status: u16, body: &str) -> Does {
    Does::Writes(format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// The requests that arrived whole.
    pub(crate) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were ever accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An upstream that answers each request, given how many came before it.
pub(crate) fn upstream(does: impl Fn(usize, &Message) -> Does + Send + Sync + 'static) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = Upstream { address, seen: Arc::default(), connections: Arc::default() };
    let (seen, connections, does) = (upstream.seen.clone(), upstream.connections.clone(), Arc::new(does));
    thread::spawn(move || {
        for stream in listener.incoming() {
            connections.fetch_add(1, Ordering::SeqCst);
            let (seen, does) = (seen.clone(), does.clone());
            thread::spawn(move || converse(stream.unwrap(), &seen, &*does));
        }
    });
    upstream
}

/// The address of nobody.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// A port that nobody listens on and nobody gets by chance: who asks the kernel for any port gets one from 32,768 on, and each call
/// here gives another. Two runs of the tests at once begin at different ones.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(101);
    let port = || FIRST + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let mut ports = std::iter::repeat_with(|| port() as u16);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

fn converse(stream: TcpStream, seen: &Mutex<Vec<Message>>, does: &dyn Fn(usize, &Message) -> Does) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(message) = read_message(&mut reader, false) {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(message.clone());
            seen.len() - 1
        };
        // The proxy may have given up already: that is for the test to notice.
        match does(before, &message) {
            Does::Writes(bytes) => drop(stream.write_all(&bytes)),
            Does::Pauses(first, pause, second) => {
                let _ = stream.write_all(&first);
                thread::sleep(pause);
                let _ = stream.write_all(&second);
            }
            Does::Closes(bytes) => {
                let _ = stream.write_all(&bytes);
                return;
            }
        }
    }
}

/// A client's connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
    head: bool,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Client { reader: BufReader::new(stream.try_clone().unwrap()), stream, head: false }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next response, or `None` where the connection ended before it was whole.
    pub(crate) fn read(&mut self) -> Option<Message> {
        read_message(&mut self.reader, self.head)
    }

    /// The status line of an interim response.
    pub(crate) fn read_interim(&mut self) -> String {
        let line = read_line(&mut self.reader).unwrap();
        assert_eq!(read_line(&mut self.reader).unwrap(), "");
        line
    }

    pub(crate) fn get(&mut self, path: &str) -> Option<Message> {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: shop.test\r\n\r\n").as_bytes());
        self.read()
    }

    pub(crate) fn head(&mut self, path: &str) -> Option<Message> {
        self.head = true;
        self.write(format!("HEAD {path} HTTP/1.1\r\nhost: shop.test\r\n\r\n").as_bytes());
        let message = self.read();
        self.head = false;
        message
    }

    /// Whether the other end closes the connection and says nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.reader.read(&mut [0]), Ok(0))
    }
}

/// One request on a connection of its own.
#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Message {
    Client::new(address).get(path).expect("a whole response")
}

/// These bytes on a connection of their own, and the first response.
#[track_caller]
pub(crate) fn raw(address: SocketAddr, bytes: &str) -> Message {
    let mut client = Client::new(address);
    client.write(bytes.as_bytes());
    client.read().expect("a whole response")
}

fn read_message(reader: &mut impl BufRead, without_body: bool) -> Option<Message> {
    let line = read_line(reader)?;
    let headers = read_headers(reader)?;
    let mut message = Message { line, headers, ..Message::default() };
    let is_response = message.line.starts_with("HTTP/");
    if without_body || is_response && matches!(message.status(), 204 | 304) {
        return Some(message);
    }
    if message.header("transfer-encoding") == "chunked" {
        loop {
            let size = usize::from_str_radix(&read_line(reader)?, 16).unwrap();
            if size == 0 {
                break;
            }
            let start = message.body.len();
            message.body.resize(start + size, 0);
            reader.read_exact(&mut message.body[start..]).ok()?;
            assert_eq!(read_line(reader)?, "");
        }
        message.trailers = read_headers(reader)?;
    } else if let Some(length) = message.headers.get("content-length") {
        message.body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut message.body).ok()?;
    } else if is_response {
        reader.read_to_end(&mut message.body).ok()?;
    }
    Some(message)
}

fn read_headers(reader: &mut impl BufRead) -> Option<BTreeMap<String, String>> {
    let mut headers = BTreeMap::<String, String>::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Some(headers);
        }
        let (name, value) = line.split_once(':').unwrap();
        let value = value.trim();
        let joined = headers.entry(name.to_lowercase());
        joined.and_modify(|known| *known = format!("{known}, {value}")).or_insert_with(|| value.to_owned());
    }
}

fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}
