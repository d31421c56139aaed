//! Where in the stream of messages a connection is, and what was found of each head.

use super::chunks::Chunks;
use super::head::{Defect, Head};
use std::collections::VecDeque;

/// A request line and its headers.
const MAX_HEAD: usize = 64 * 1024;

/// What of the bytes may pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Those before this one; from there on there is a head that is not there whole.
    Passes { until: usize },
    /// Those before this one, where a message begins that is refused. Nothing of what follows passes.
    Refused { from: usize },
    /// None: they follow a message that was refused.
    Nothing,
}

#[derive(Default)]
pub(super) struct Scan {
    at: At,
    /// Where the message began in the bytes that have not passed on; nowhere if its head has passed.
    began: Option<usize>,
    /// The beginning of a head's line whose end has not arrived yet.
    line: Vec<u8>,
    head: Head,
    /// Bytes of the head so far.
    length: usize,
    /// One for each complete head that hyper has not taken up yet. Bounded by hyper's read buffer.
    pub(super) heads: VecDeque<Option<Defect>>,
}

#[derive(Clone, Copy, Default)]
enum At {
    /// In a request head, or between messages.
    #[default]
    Head,
    /// This many bytes of a body are left.
    Length(u64),
    /// In a chunked body.
    Chunks(Chunks),
    /// After a refused message: the connection ends with its answer, what follows is nobody's.
    Refused,
    /// Behind an upgrade.
    Tunnel,
}

impl Scan {
    pub(super) fn mid_head(&self) -> bool {
        matches!(self.at, At::Head) && (self.head.begun() || !self.line.is_empty())
    }

    /// Whether nothing of a message is there, nor is to come.
    pub(super) fn is_between_messages(&self) -> bool {
        matches!(self.at, At::Head) && !self.mid_head() && self.heads.is_empty()
    }

    pub(super) fn let_through(&mut self) {
        self.at = At::Tunnel;
    }

    /// Reads bytes that stand behind `before` others which have not passed on. Those are of one head. An error: a message of which a part has
    /// passed goes on as none may.
    pub(super) fn read(&mut self, before: usize, bytes: &[u8]) -> Result<Found, Defect> {
        let mut rest = bytes;
        // What did not pass is the beginning of one message; of others that have begun, the head has passed.
        self.began = (before > 0).then_some(0);
        while !rest.is_empty() {
            let at = before + bytes.len() - rest.len();
            let read = match self.at {
                At::Head => {
                    self.began.get_or_insert(at);
                    self.read_line(rest)
                }
                At::Length(left) => {
                    let taken = left.min(rest.len() as u64);
                    self.next(if taken == left { At::Head } else { At::Length(left - taken) });
                    Ok(rest.get(taken as usize..).unwrap_or_default())
                }
                At::Chunks(chunks) => self.read_chunks(chunks, rest),
                At::Refused => return Ok(Found::Nothing),
                At::Tunnel => break,
            };
            match read {
                Ok(after) => rest = after,
                Err(defect) => return self.refuse(defect),
            }
        }
        let until = self.began.filter(|_| self.mid_head()).unwrap_or(before + bytes.len());
        Ok(Found::Passes { until })
    }

    fn refuse(&mut self, defect: Defect) -> Result<Found, Defect> {
        if !matches!(self.at, At::Head) {
            // Its head is there whole, and hyper is not to have it.
            self.heads.pop_back();
        }
        let began = self.began.take();
        self.at = At::Refused;
        self.line = Vec::new();
        let from = began.ok_or(defect)?;
        self.heads.push_back(Some(defect));
        Ok(Found::Refused { from })
    }

    /// A message has ended, or goes on.
    fn next(&mut self, at: At) {
        if matches!(at, At::Head) {
            self.began = None;
        }
        self.at = at;
    }

    fn read_chunks<'b>(&mut self, mut chunks: Chunks, mut bytes: &'b [u8]) -> Result<&'b [u8], Defect> {
        while !bytes.is_empty() {
            let (next, rest) = chunks.read(bytes)?;
            bytes = rest;
            match next {
                Some(next) => chunks = next,
                None => {
                    self.next(At::Head);
                    return Ok(bytes);
                }
            }
        }
        self.at = At::Chunks(chunks);
        Ok(bytes)
    }

    /// Takes the bytes up to the end of the line, if it is there, and returns the rest.
    fn read_line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Defect> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) =
            bytes.split_at_checked(end.map_or(bytes.len(), |end| end + 1)).unwrap_or((bytes, &[]));
        self.length += line.len();
        if self.length > MAX_HEAD {
            return Err(self.head.too_long(&self.line, line));
        }
        if end.is_none() {
            self.line.extend_from_slice(line);
            // What is no request is answered at once, and not when its line ends, which it may never do.
            self.head.begins_well(&self.line)?;
        } else if self.line.is_empty() {
            self.end_line(line)?;
        } else {
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(line);
            self.end_line(&whole)?;
            whole.clear();
            self.line = whole;
        }
        Ok(rest)
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), Defect> {
        if !self.head.line(line)? {
            return Ok(());
        }
        let head = std::mem::take(&mut self.head);
        self.length = 0;
        let body = head.body()?;
        self.heads.push_back(None);
        match body {
            Body::Chunks => self.at = At::Chunks(Chunks::default()),
            Body::Length(0) => self.next(At::Head),
            Body::Length(length) => self.at = At::Length(length),
        }
        Ok(())
    }
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Length(u64),
    Chunks,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` in pieces of every size, as a connection does: what has not passed stays. Returns what was found of each head, in which all
    /// pieces must agree, and all that passed when it came at once.
    #[track_caller]
    fn heads(bytes: &[u8]) -> (Vec<Option<&'static str>>, Vec<u8>) {
        let mut found: Option<Vec<Option<&'static str>>> = None;
        let mut passed = Vec::new();
        for size in 1..=bytes.len() {
            let (mut scan, mut held) = (Scan::default(), 0);
            passed = Vec::new();
            for (index, piece) in bytes.chunks(size).enumerate() {
                let end = index * size + piece.len();
                let window = &bytes[index * size - held..end];
                match scan.read(held, piece) {
                    Ok(Found::Passes { until }) => {
                        passed.extend_from_slice(&window[..until]);
                        held = window.len() - until;
                    }
                    Ok(Found::Refused { from }) => {
                        passed.extend_from_slice(&window[..from]);
                        break;
                    }
                    Ok(Found::Nothing) => panic!("nothing was refused"),
                    Err(defect) => {
                        scan.heads.push_back(Some(defect));
                        break;
                    }
                }
            }
            let heads: Vec<_> = scan.heads.into_iter().map(|head| head.map(|defect| defect.why)).collect();
            assert_eq!(*found.get_or_insert_with(|| heads.clone()), heads, "in pieces of {size}");
        }
        (found.unwrap(), passed)
    }

    #[test]
    fn pipelined_messages_are_told_apart() {
        let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let sized = "POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            "POST / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nx: y\r\n\r\n";
        let all = format!("{get}{sized}{chunked}\r\n{get}");
        assert_eq!(heads(all.as_bytes()), (vec![None; 4], all.into_bytes()));
    }

    #[test]
    fn a_body_that_looks_like_a_request_is_a_body() {
        let inner = "GET /admin HTTP/1.1\r\n\r\n";
        let outer = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{inner}", inner.len());
        assert_eq!(heads(outer.as_bytes()).0, [None]);
    }

    #[test]
    fn nothing_of_a_refused_message_passes() {
        let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        for bad in [
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
        ] {
            let (found, passed) = heads(format!("{get}{bad}{get}").as_bytes());
            assert!(found.len() == 2 && found[0].is_none() && found[1].is_some(), "{found:?}");
            assert_eq!(passed, get.as_bytes(), "{bad}");
        }
    }

    #[test]
    fn ambiguous_framing_is_a_defect() {
        for (lines, defect) in [
            ("Content-Length: 6\r\nTransfer-Encoding: chunked", "both content-length and transfer-encoding"),
            ("Transfer-Encoding: chunked\r\nContent-Length: 6", "both content-length and transfer-encoding"),
            ("Content-Length: 5\r\nContent-Length: 5", "content-length is repeated"),
            ("Content-Length: 5, 5", "content-length is not a number"),
            ("Content-Length: +5", "content-length is not a number"),
            ("Content-Length: 010", "content-length is not a number"),
            ("Content-Length:", "content-length is not a number"),
            ("Content-Length: 18446744073709551617", "content-length is not a number"),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "transfer-encoding is not `chunked`",
            ),
            ("Transfer-Encoding: gzip, chunked", "transfer-encoding is not `chunked`"),
            ("Transfer-Encoding:", "transfer-encoding is not `chunked`"),
            ("Transfer-Encoding: gzip", "an unknown transfer coding"),
            ("Host: a\rb", "a carriage return inside a line"),
            (" a: b", "a folded header line"),
            ("a : b", "a header name that is none"),
            (": b", "a header name that is none"),
            ("a", "a header line without a colon"),
            ("a: \u{1}", "a header value with a control character"),
        ] {
            let bytes = format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
            assert_eq!(heads(bytes.as_bytes()).0, [Some(defect)], "{lines}");
        }
    }

    #[test]
    fn a_request_line_has_one_form() {
        for (line, defect) in [
            ("GET /a#b HTTP/1.1", "the target has a fragment"),
            ("GET /a b HTTP/1.1", "the request line has not three parts"),
            ("GET  HTTP/1.1", "the target is malformed"),
            ("GET ?x HTTP/1.1", "the target is malformed"),
            ("GET /\u{e9} HTTP/1.1", "the target is malformed"),
            ("G(T / HTTP/1.1", "the method is no token"),
            ("GET / HTTP/2.0", "the version is not supported"),
            ("GET / HTTP/1.10", "the version is malformed"),
            ("GET / http/1.1", "the version is malformed"),
            ("GET /", "the request line has not three parts"),
        ] {
            assert_eq!(heads(format!("{line}\r\n\r\n").as_bytes()).0, [Some(defect)], "{line}");
        }
        let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(heads(old.as_bytes()).0, [Some("transfer-encoding before HTTP/1.1")]);
        assert_eq!(heads(b"\0").0, [Some("the method is no token")]);
        assert_eq!(heads(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n").0, [Some("empty lines before a request")]);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
        assert_eq!(heads(many.as_bytes()).0, [Some("too many headers")]);
    }

    #[test]
    fn heads_have_an_end() {
        for (bytes, status) in [
            (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_HEAD)), 414),
            (format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "a".repeat(MAX_HEAD)), 431),
            ("A".repeat(2 * MAX_HEAD), 400),
        ] {
            let mut scan = Scan::default();
            assert_eq!(scan.read(0, bytes.as_bytes()), Ok(Found::Refused { from: 0 }));
            assert_eq!(scan.heads.pop_front().flatten().unwrap().status, status);
        }
    }

    #[test]
    fn a_message_that_goes_wrong_behind_its_head_ends_the_connection() {
        let mut scan = Scan::default();
        let head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(scan.read(0, head), Ok(Found::Passes { until: head.len() }));
        assert!(scan.read(0, b"-5\r\n").is_err());
        assert_eq!(scan.read(0, b"GET / HTTP/1.1\r\n\r\n"), Ok(Found::Nothing));
    }

    /// Soups of what requests are made of, well and badly, in pieces of random sizes: what is found does not depend on the pieces, nothing passes
    /// behind what is refused, and what passes begins what was sent. `MESH_HEADS` says how many.
    #[test]
    fn any_bytes_are_found_alike_in_any_pieces() {
        const PARTS: [&str; 32] = [
            "GET / HTTP/1.1\r\n",
            "POST /a?b HTTP/1.1\r\n",
            "GET / HTTP/1.0\r\n",
            "GET http://a/ HTTP/1.1\r\n",
            "host: a\r\n",
            "content-length: 5\r\n",
            "content-length: 0\r\n",
            "Content-Length: 05\r\n",
            "transfer-encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
            "\r\n",
            "\r\n",
            "\r\n",
            "\n",
            "\r",
            "hello",
            "5\r\nhello\r\n",
            "0\r\n\r\n",
            "0\r\n",
            "a: b\r\n",
            " a: b\r\n",
            "a : b\r\n",
            ": b\r\n",
            "a\r\n",
            "\0",
            "\u{e9}",
            "5;x=\"y\"\r\nhello\r\n",
            "5;x=\"\r\n",
            "FFFFFFFFFFFFFFFF\r\n",
            "GET /#a HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "#",
        ];
        let count = std::env::var("MESH_HEADS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..count {
            let length = random.usize(1..12);
            let bytes: Vec<u8> =
                (0..length).flat_map(|_| PARTS[random.usize(..PARTS.len())].bytes()).collect();
            crate::framing::law(&bytes, |left| random.usize(1..=left));
        }
    }
}
