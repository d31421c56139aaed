//! Bytes become messages, and back. What is no message is answered as the protocol says, and the next one is read.

use crossbeam_channel::{Receiver, Sender, unbounded};
use lsp_server::{ErrorCode, Message};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::thread::{self, JoinHandle};

/// A longer message is not read: an editor that sends a file sends at most eight mebibytes, escaped.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// A longer line is no header.
const MAX_HEADER_BYTES: u64 = 8 << 10;

/// What came in.
pub(crate) enum Incoming {
    Message(Message),
    /// What is to be answered to something that was no message.
    Malformed(Value),
}

/// The two ends of a connection.
pub(crate) struct Transport {
    pub(crate) incoming: Receiver<Incoming>,
    pub(crate) outgoing: Sender<Value>,
    /// It ends when nobody can send any more.
    pub(crate) writer: JoinHandle<()>,
}

pub(crate) fn start(input: impl Read + Send + 'static, output: impl Write + Send + 'static) -> Transport {
    let (sender, incoming) = unbounded();
    // The reader is not waited for: it may wait for a client that says nothing more.
    thread::spawn(move || {
        let mut input = BufReader::new(input);
        while let Some(read) = read(&mut input) {
            if sender.send(read).is_err() {
                break;
            }
        }
    });
    let (outgoing, receiver) = unbounded::<Value>();
    let writer = thread::spawn(move || {
        let mut output = BufWriter::new(output);
        for message in receiver {
            // A client that went away is noticed where its messages are read.
            if write(&mut output, &message).is_err() {
                break;
            }
        }
    });
    Transport { incoming, outgoing, writer }
}

fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    write!(output, "Content-Length: {}\r\n\r\n", body.len())?;
    output.write_all(&body)?;
    output.flush()
}

/// The next message, or what was there in its place; `None` at the end.
fn read(input: &mut impl BufRead) -> Option<Incoming> {
    let length = match header(input).ok()?? {
        Ok(length) => length,
        Err(why) => return Some(malformed(ErrorCode::ParseError, &why, Value::Null)),
    };
    if length > MAX_MESSAGE_BYTES {
        io::copy(&mut input.take(length as u64), &mut io::sink()).ok()?;
        return Some(malformed(ErrorCode::InvalidRequest, "the message is too long", Value::Null));
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let value: Value = match serde_json::from_slice(&body) {
        Ok(value) => value,
        Err(error) => return Some(malformed(ErrorCode::ParseError, &error.to_string(), Value::Null)),
    };
    let id = value.get("id").cloned().unwrap_or(Value::Null);
    match serde_json::from_value(value) {
        Ok(message) => Some(Incoming::Message(message)),
        Err(_) => Some(malformed(
            ErrorCode::InvalidRequest,
            "neither a request nor a notification nor a response",
            id,
        )),
    }
}

/// The length that a header says, or why it says none; `None` at the end.
fn header(input: &mut impl BufRead) -> io::Result<Option<Result<usize, String>>> {
    let mut length = None;
    let mut wrong = None;
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_HEADER_BYTES).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            match (length, wrong) {
                (Some(length), _) => return Ok(Some(Ok(length))),
                (None, Some(why)) => return Ok(Some(Err(why))),
                // Empty lines between messages say nothing.
                (None, None) => {
                    wrong = None;
                    continue;
                }
            }
        }
        match line.split_once(':') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("content-length") => {
                match value.trim().parse() {
                    Ok(value) => length = Some(value),
                    Err(_) => wrong = Some(format!("no length: {line:?}")),
                }
            }
            Some((name, _)) if name.trim().eq_ignore_ascii_case("content-type") => {}
            _ => wrong = Some(format!("no header: {line:?}")),
        }
    }
}

fn malformed(code: ErrorCode, why: &str, id: Value) -> Incoming {
    Incoming::Malformed(
        json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code as i32, "message": why } }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &str) -> Vec<String> {
        let mut input = input.as_bytes();
        let mut said = Vec::new();
        while let Some(read) = read(&mut input) {
            said.push(match read {
                Incoming::Message(Message::Request(request)) => format!("request {}", request.method),
                Incoming::Message(Message::Notification(note)) => format!("notification {}", note.method),
                Incoming::Message(Message::Response(_)) => "response".to_owned(),
                Incoming::Malformed(answer) => format!("{} {}", answer["error"]["code"], answer["id"]),
            });
        }
        said
    }

    fn framed(body: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn what_is_no_message_is_answered_and_the_next_is_read() {
        let good = framed(r#"{"jsonrpc":"2.0","method":"exit"}"#);
        let request = framed(r#"{"jsonrpc":"2.0","id":7,"method":"shutdown"}"#);
        assert_eq!(all(&format!("{good}{request}")), ["notification exit", "request shutdown"]);
        assert_eq!(all(&format!("{}{good}", framed("{not json"))), ["-32700 null", "notification exit"]);
        assert_eq!(all(&format!("{}{good}", framed(r#"{"id":3}"#))), ["-32600 3", "notification exit"]);
        assert_eq!(all(&format!("{}{good}", framed("[]"))), ["-32600 null", "notification exit"]);
        assert_eq!(all(&format!("rubbish\r\n\r\n{good}")), ["-32700 null", "notification exit"]);
        assert_eq!(all(&format!("Content-Length: many\r\n\r\n{good}")), ["-32700 null", "notification exit"]);
        assert_eq!(all(&format!("\r\n\r\n{good}")), ["notification exit"]);
        assert_eq!(all("Content-Length: 100\r\n\r\n{"), Vec::<String>::new(), "a message that is cut off");
        let utf8 = "content-length:33\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}";
        assert_eq!(all(utf8), ["notification exit"]);
    }
}
