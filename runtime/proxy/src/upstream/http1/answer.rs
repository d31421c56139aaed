//! What an endpoint answers over HTTP/1.1 (RFC 9112 4 to 7), read as strictly as what a client asks: what could be read in two ways is no answer.

#[cfg(any(test, fuzzing))]
mod law;

use crate::framing::{self, Defect, Line, Lines, Reading, keeps};
use bytes::{Bytes, BytesMut};
use hyper::{Response, StatusCode};
#[cfg(any(test, fuzzing))]
pub(crate) use law::law;

/// Interim responses (1xx) before a final one: each costs work, and none is passed on.
const MAX_INTERIM: u32 = 32;

/// The heads of an answer, as far as they are there.
#[derive(Default)]
pub(super) struct Heads {
    head: framing::Head,
    lines: Lines,
    interim: u32,
}

/// A head that is there whole, and what follows it.
pub(super) struct Answered {
    pub(super) response: Response<()>,
    pub(super) body: Reading,
    /// Whether the endpoint takes another request behind it.
    pub(super) keeps: bool,
}

impl Heads {
    /// Takes the head of the answer off what was received. `None`: more has to come.
    pub(super) fn read(
        &mut self,
        received: &mut BytesMut,
        to_head: bool,
    ) -> Result<Option<Answered>, &'static str> {
        loop {
            let (at, line) = match self.lines.next(received) {
                Line::Whole(at, line) => (at, line),
                Line::Begun(_) => return Ok(None),
                Line::TooLong(_) => return Err("the head is too long"),
            };
            if !self.head.line_of_response(at, line).map_err(|defect| defect.why)? {
                continue;
            }
            let bytes = self.lines.take(received);
            let head = std::mem::take(&mut self.head);
            if (100..200).contains(&head.status()) && head.status() != 101 {
                // It has no body, whatever it says of one.
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err("too many interim responses");
                }
                continue;
            }
            return answered(&head, &bytes, to_head).map(Some).map_err(|defect| defect.why);
        }
    }
}

fn answered(head: &framing::Head, bytes: &Bytes, to_head: bool) -> Result<Answered, Defect> {
    let status = StatusCode::from_u16(head.status()).unwrap_or_default();
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = head.headers(bytes)?;
    let has_none = [StatusCode::SWITCHING_PROTOCOLS, StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    let body = head.body_of_response()?;
    let body = if to_head || has_none.contains(&status) { Reading::Ended } else { Reading::of(body) };
    let keeps = keeps(response.headers(), head.is_http11());
    let keeps = keeps && status != StatusCode::SWITCHING_PROTOCOLS && !matches!(body, Reading::UntilClose);
    Ok(Answered { response, body, keeps })
}

#[cfg(test)]
mod tests {
    use super::law;
    use crate::bounds::Bound;

    /// What an answer is, however it is cut into pieces: its status, its body with the trailers behind it, whether the connection is kept.
    #[track_caller]
    fn read(answer: &str, to_head: bool) -> Result<(u16, String, bool), &'static str> {
        let whole = law::read(answer.as_bytes(), to_head, |left| left);
        for size in 1..answer.len().min(40) {
            let pieces = law::read(answer.as_bytes(), to_head, |left| left.min(size));
            assert_eq!(pieces, whole, "in pieces of {size}: {answer:?}");
        }
        whole
    }

    #[test]
    fn where_a_body_ends_is_told_as_the_rfc_says() {
        for (head, body, whole) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5", "hello", ("hello", true)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0", "", ("", true)),
            ("HTTP/1.1 204 No Content", "", ("", true)),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5", "", ("", true)),
            ("HTTP/1.1 200 OK", "until the end", ("until the end", false)),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1", "a", ("a", false)),
            ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1", "a", ("a", true)),
            ("HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 1", "a", ("a", false)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked",
                "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
                ("hello", true),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked",
                "1\r\na\r\n0\r\nx-sum: 7\r\ncontent-length: 9\r\n\r\n",
                ("aOk({\"x-sum\": \"7\"})", true),
            ),
            (
                "HTTP/1.1 103 E\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nHTTP/1.1 200\r\ncontent-length: 1",
                "\n",
                ("\\n", true),
            ),
        ] {
            let answer = format!("{head}\r\n\r\n{body}");
            let (status, text, keeps) = read(&answer, false).unwrap();
            assert_eq!((text.as_str(), keeps), whole, "{answer:?}: {status}");
        }
        assert_eq!(
            read("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true),
            Ok((200, String::new(), true))
        );
        for cut in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
        ] {
            assert_eq!(read(cut, false), Err("cut off in the body"));
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_answer() {
        for bad in [
            "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
            "HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n x: folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\na\n0\n\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n",
            "HTTP/1.1 99 X\r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 1000 X\r\n\r\n",
            "HTTP/1.1 2OO OK\r\n\r\n",
            "HTTP/3.0 200 OK\r\n\r\n",
        ] {
            let why = read(bad, false).unwrap_err();
            assert!(!why.starts_with("cut off"), "{bad:?}: {why}");
        }
    }

    #[test]
    fn heads_have_an_end() {
        let interim = |count| {
            let heads = "HTTP/1.1 100 Continue\r\n\r\n".repeat(count);
            read(&format!("{heads}HTTP/1.1 204 None\r\n\r\n"), false).map(|(status, ..)| status)
        };
        assert_eq!((interim(32), interim(33)), (Ok(204), Err("too many interim responses")));
        let long = |count| {
            let answer = format!("HTTP/1.1 204 None\r\nx: {}\r\n\r\n", "y".repeat(count));
            law::read(answer.as_bytes(), false, |left| left.min(1_000)).map(|(status, ..)| status)
        };
        assert_eq!(
            (long(Bound::HeadBytes.size() - 100), long(Bound::HeadBytes.size())),
            (Ok(204), Err("the head is too long"))
        );
        assert!(long(2 * Bound::HeadBytes.size()).is_err());
    }
}
