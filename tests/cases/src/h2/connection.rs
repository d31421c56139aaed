//! A client of HTTP/2 that writes what it is told, and understands what comes back.

use super::frames::{
    self, ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
};
use loona_hpack::Decoder;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Something to write.
pub(super) enum Write {
    Bytes(Vec<u8>),
    /// So many times what is made for each number.
    Repeat(usize, Box<dyn Fn(u32) -> Vec<u8> + Send>),
    Pause(Duration),
}

/// A connection to be played.
pub(super) struct Script {
    /// Before anything else; normally preface and settings.
    pub(super) opening: Vec<u8>,
    pub(super) writes: Vec<Write>,
    /// Nothing is read before all is written.
    pub(super) deaf: bool,
    /// How long it stays when all is written and nothing has come of it.
    pub(super) stays: Duration,
}

impl Script {
    pub(super) fn of(writes: Vec<Write>) -> Script {
        let opening = [frames::PREFACE, &frames::settings(&[])].concat();
        Script { opening, writes, deaf: false, stays: Duration::from_millis(400) }
    }

    pub(super) fn bytes(bytes: Vec<u8>) -> Script {
        Script::of(vec![Write::Bytes(bytes)])
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) status: Option<u16>,
    pub(super) grpc: Option<u16>,
    pub(super) reset: Option<u32>,
    pub(super) ended: bool,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) goaway: Option<u32>,
    pub(super) closed: bool,
}

impl Outcome {
    fn is_over(&self, opened: usize) -> bool {
        let over = |stream: &Stream| stream.ended || stream.reset.is_some();
        self.closed || opened > 0 && self.streams.len() >= opened && self.streams.values().all(over)
    }
}

/// Writes for at most so long.
const WRITE_TIME: Duration = Duration::from_secs(20);
/// A flood that is not stopped is not played to its end.
const PLAY_TIME: Duration = Duration::from_secs(45);

/// Plays a script that opens so many streams which are to be answered; none where that is unknown.
pub(super) fn play(address: SocketAddr, script: Script, opened: usize) -> Result<Outcome, String> {
    let failed = |error| format!("cannot connect to the proxy: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    let _ = stream.set_nodelay(true);
    stream.set_read_timeout(Some(Duration::from_millis(10))).map_err(failed)?;
    stream.set_write_timeout(Some(WRITE_TIME)).map_err(failed)?;
    let mut writer = stream.try_clone().map_err(failed)?;
    let Script { opening, writes, deaf, stays } = script;
    // First of all, for the other side's settings may be there, and answered, at any time.
    writer.write_all(&opening).map_err(failed)?;
    let writing = std::thread::spawn(move || write(&mut writer, &writes));
    while deaf && !writing.is_finished() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (began, mut written, mut replies) = (Instant::now(), None, Vec::new());
    let (mut outcome, mut read, mut buffer) = (Outcome::default(), Reader::default(), vec![0; 64 << 10]);
    while began.elapsed() < PLAY_TIME {
        match stream.read(&mut buffer) {
            Ok(0) => outcome.closed = true,
            Ok(count) => {
                replies.extend(read.read(buffer.get(..count).unwrap_or_default(), &mut outcome));
                say(&mut stream, &mut replies, &writing, deaf);
                if outcome.goaway.is_none() || !outcome.closed {
                    continue;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                say(&mut stream, &mut replies, &writing, deaf);
                if writing.is_finished() {
                    let since = *written.get_or_insert_with(Instant::now);
                    if outcome.is_over(opened) || since.elapsed() > stays {
                        break;
                    }
                }
                continue;
            }
            Err(_) => outcome.closed = true,
        }
        break;
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    let _ = writing.join();
    Ok(outcome)
}

/// Says what a client has to say, once the script is written: in the middle of a block of headers it would be what is wrong.
fn say(stream: &mut TcpStream, replies: &mut Vec<u8>, writing: &JoinHandle<()>, deaf: bool) {
    if writing.is_finished() && !replies.is_empty() && !deaf {
        // Who floods may find nobody that reads.
        let _ = stream.write_all(replies);
        replies.clear();
    }
}

/// Writes until the proxy hangs up, which is what most of this is about.
fn write(writer: &mut TcpStream, writes: &[Write]) {
    for write in writes {
        let wrote = match write {
            Write::Bytes(bytes) => writer.write_all(bytes),
            Write::Pause(time) => {
                std::thread::sleep(*time);
                Ok(())
            }
            Write::Repeat(count, make) => repeat(writer, *count, make),
        };
        if wrote.is_err() {
            return;
        }
    }
}

fn repeat(writer: &mut TcpStream, count: usize, make: &dyn Fn(u32) -> Vec<u8>) -> std::io::Result<()> {
    let mut batch = Vec::new();
    for number in 0..count {
        batch.extend(make(number as u32));
        if batch.len() > 32 << 10 || number + 1 == count {
            writer.write_all(&batch)?;
            batch.clear();
        }
    }
    Ok(())
}

#[derive(Default)]
struct Reader {
    bytes: Vec<u8>,
    block: Vec<u8>,
    decoder: Option<Decoder<'static>>,
}

impl Reader {
    /// Understands what is there whole. Returns what a client has to say to it.
    fn read(&mut self, bytes: &[u8], outcome: &mut Outcome) -> Vec<u8> {
        self.bytes.extend_from_slice(bytes);
        let mut replies = Vec::new();
        while let Some([l1, l2, l3, kind, flags, stream @ ..]) = self.bytes.first_chunk::<9>() {
            let length = u32::from_be_bytes([0, *l1, *l2, *l3]) as usize;
            let (kind, flags, stream) = (*kind, *flags, u32::from_be_bytes(*stream) & 0x7fff_ffff);
            let Some(payload) = self.bytes.get(9..9 + length).map(<[u8]>::to_vec) else { break };
            self.bytes.drain(..9 + length);
            let number = |at: usize| {
                let word = payload.get(at..at + 4).and_then(|word| word.try_into().ok());
                word.map(u32::from_be_bytes)
            };
            match kind {
                SETTINGS if flags & ACK == 0 => replies.extend(frames::frame(SETTINGS, ACK, 0, &[])),
                PING if flags & ACK == 0 => replies.extend(frames::frame(PING, ACK, 0, &payload)),
                GOAWAY => outcome.goaway = outcome.goaway.filter(|reason| *reason != 0).or(number(4)),
                RST_STREAM => outcome.streams.entry(stream).or_default().reset = number(0),
                HEADERS | CONTINUATION => {
                    self.block.extend_from_slice(&payload);
                    if flags & END_HEADERS != 0 {
                        let block = std::mem::take(&mut self.block);
                        let own = outcome.streams.entry(stream).or_default();
                        let decoded = self.decoder.get_or_insert_with(Decoder::new).decode(&block);
                        for (name, value) in decoded.unwrap_or_default() {
                            let value = String::from_utf8_lossy(&value).parse().ok();
                            match name.as_slice() {
                                b":status" => own.status = value,
                                b"grpc-status" => own.grpc = value,
                                _ => {}
                            }
                        }
                    }
                }
                _ => {}
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                outcome.streams.entry(stream).or_default().ended = true;
            }
        }
        replies
    }
}
