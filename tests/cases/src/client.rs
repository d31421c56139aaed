//! A client that writes what it is told and reads whatever comes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// After the last byte of an answer, how long another one may take to begin. All on one machine: it takes a millisecond.
const QUIET: Duration = Duration::from_millis(120);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Played {
    /// Final answers, in order.
    pub(crate) answers: Vec<Answer>,
    /// Interim ones (1xx), but for 101, which is final.
    pub(crate) interim: Vec<Answer>,
    /// Whether the other side ended the connection.
    pub(crate) closed: bool,
    /// What is behind the last whole answer.
    pub(crate) rest: Vec<u8>,
    pub(crate) took: Duration,
}

/// Writes bytes in pieces and reads until the connection ends, nothing more comes, or the time is up.
pub(crate) fn play(address: SocketAddr, pieces: &[Vec<u8>], limit: Duration) -> Result<Played, String> {
    let failed = |error| format!("cannot connect to the proxy: {error}");
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    let _ = stream.set_nodelay(true);
    stream.set_read_timeout(Some(Duration::from_millis(10))).map_err(failed)?;
    let mut writer = stream.try_clone().map_err(failed)?;
    let pieces = pieces.to_vec();
    let writing = std::thread::spawn(move || {
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                std::thread::sleep(Duration::from_millis(30));
            }
            if writer.write_all(piece).is_err() {
                return;
            }
        }
    });
    let (mut read, mut buffer, mut last) = (Vec::new(), vec![0; 64 << 10], Instant::now());
    let mut played = Played::default();
    while began.elapsed() < limit {
        match stream.read(&mut buffer) {
            Ok(0) => played.closed = true,
            Ok(count) => {
                read.extend_from_slice(buffer.get(..count).unwrap_or_default());
                last = Instant::now();
                continue;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if writing.is_finished() && last.elapsed() > QUIET {
                    parse(&read, &mut played, false);
                    if !played.answers.is_empty() && played.rest.is_empty() {
                        break;
                    }
                }
                continue;
            }
            // A reset is an end too.
            Err(_) => played.closed = true,
        }
        break;
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    let _ = writing.join();
    parse(&read, &mut played, true);
    played.took = began.elapsed();
    Ok(played)
}

/// Finds the answers in what was read.
fn parse(read: &[u8], played: &mut Played, at_end: bool) {
    played.answers.clear();
    played.interim.clear();
    let mut rest = read;
    while let Some((answer, after)) = one(rest, at_end && played.closed) {
        rest = after;
        match answer.status {
            100 | 102..=199 => played.interim.push(answer),
            // What follows is no HTTP.
            101 => {
                played.answers.push(answer);
                break;
            }
            _ => played.answers.push(answer),
        }
    }
    played.rest = rest.to_vec();
}

fn one(bytes: &[u8], at_end: bool) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end + 4..)?);
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    if status < 200 || matches!(status, 204 | 304) {
        return Some((answer, body));
    }
    if answer.header("transfer-encoding").is_some() {
        let mut rest = body;
        loop {
            let end = rest.windows(2).position(|window| window == b"\r\n")?;
            let size = usize::from_str_radix(std::str::from_utf8(rest.get(..end)?).ok()?, 16).ok()?;
            rest = rest.get(end + 2..)?;
            if size == 0 {
                let end = rest.windows(2).position(|window| window == b"\r\n")?;
                return Some((answer, rest.get(end + 2..)?));
            }
            answer.body.extend_from_slice(rest.get(..size)?);
            rest = rest.get(size + 2..)?;
        }
    }
    let length = match answer.header("content-length") {
        Some(length) => length.parse().ok()?,
        None if at_end => body.len(),
        None => return None,
    };
    answer.body = body.get(..length)?.to_vec();
    Some((answer, body.get(length..)?))
}
