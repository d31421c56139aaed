//! What follows a head, as it is taken off what was received (RFC 9112 6 and 7).

use super::chunks::Chunks;
use super::fields;
use super::head::{Body, Defect};
use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};

/// Where in the body of a message one is.
pub(crate) enum Reading {
    /// So many bytes are to come.
    Length(u64),
    /// Also the trailers, as far as they are there.
    Chunks(Chunks, Vec<u8>),
    UntilClose,
    Ended,
}

impl Reading {
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Reading::Ended)
    }

    /// What follows a head that says so.
    pub(crate) fn of(body: Body) -> Reading {
        match body {
            Body::Length(0) => Reading::Ended,
            Body::Length(left) => Reading::Length(left),
            Body::Chunks => Reading::Chunks(Chunks::default(), Vec::new()),
            Body::UntilClose => Reading::UntilClose,
        }
    }

    /// Whether what is there already of it is well.
    pub(crate) fn begins_well(&self, mut bytes: &[u8]) -> Result<(), Defect> {
        let Reading::Chunks(chunks, _) = self else { return Ok(()) };
        let mut chunks = *chunks;
        while !bytes.is_empty() {
            let (next, rest) = chunks.read(bytes)?;
            let Some(next) = next else { break };
            (chunks, bytes) = (next, rest);
        }
        Ok(())
    }

    /// Exact or nothing.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Reading::Length(left) => SizeHint::with_exact(*left),
            Reading::Ended => SizeHint::with_exact(0),
            Reading::Chunks(..) | Reading::UntilClose => SizeHint::default(),
        }
    }

    /// Takes the next part of the body off what was received. `None`: more has to come, or it has ended.
    pub(crate) fn next(&mut self, received: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Defect> {
        let data = match self {
            _ if received.is_empty() => return Ok(None),
            Reading::Ended => return Ok(None),
            Reading::UntilClose => received.split().freeze(),
            Reading::Length(left) => {
                let count = (*left).min(received.len() as u64);
                *left -= count;
                if *left == 0 {
                    *self = Reading::Ended;
                }
                received.split_to(count as usize).freeze()
            }
            Reading::Chunks(..) => return self.next_of_chunks(received),
        };
        Ok(Some(Frame::data(data)))
    }

    fn next_of_chunks(&mut self, received: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Defect> {
        let Reading::Chunks(chunks, trailers) = self else { return Ok(None) };
        let mut passed = 0;
        while let Some(bytes) = received.get(passed..).filter(|bytes| !bytes.is_empty()) {
            let before = *chunks;
            let (next, rest) = before.read(bytes)?;
            let count = bytes.len() - rest.len();
            if before.is_in_trailers() {
                trailers.extend_from_slice(bytes.get(..count).unwrap_or_default());
            }
            if let Some(next) = next {
                *chunks = next;
            }
            if before.is_in_data() {
                received.advance(passed);
                return Ok(Some(Frame::data(received.split_to(count).freeze())));
            }
            passed += count;
            if next.is_none() {
                let trailers = fields::trailers(&std::mem::take(trailers).into())?;
                received.advance(passed);
                *self = Reading::Ended;
                return Ok((!trailers.is_empty()).then(|| Frame::trailers(trailers)));
            }
        }
        received.advance(passed);
        Ok(None)
    }

    /// The sender has ended. `false`: in the middle of its message.
    pub(crate) fn end(&mut self) -> bool {
        if matches!(self, Reading::UntilClose) {
            *self = Reading::Ended;
        }
        self.has_ended()
    }
}
