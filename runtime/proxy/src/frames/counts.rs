//! How many frames of each kind may come: what costs the other side next to nothing and is work here.

use super::{DATA, HEADERS, Head, Other, RST_STREAM};
use crate::bounds::Bound;
use std::time::Duration;
use tokio::time::Instant;

/// What is counted is counted anew after so long.
const WINDOW: Duration = Duration::from_secs(30);
/// So many more frames of control may come for each frame of a message that passes: who reads data opens two windows and measures the way by a ping.
const CONTROL_PER_FRAME: u32 = 4;

// Types of frames (RFC 9113 6).
const CONTINUATION: u8 = 9;
// Flags of frames.
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// Too much of something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood;

/// What came of the other side, and what went to it.
pub(super) struct Counts {
    other: Other,
    since: Option<Instant>,
    opened: u32,
    resets: u32,
    empty_data: u32,
    control: u32,
    /// Frames of messages, either way.
    passed: u32,
    /// The last stream that the other side opened.
    pub(super) last_stream: u32,
    /// CONTINUATION frames of the block of headers that has begun.
    pub(super) block: Option<u32>,
}

impl Counts {
    pub(super) fn new(other: Other) -> Counts {
        Counts {
            other,
            since: None,
            opened: 0,
            resets: 0,
            empty_data: 0,
            control: 0,
            passed: 0,
            last_stream: 0,
            block: None,
        }
    }

    pub(super) fn went(&mut self, head: Head) {
        if matches!(head.kind, DATA | HEADERS) {
            self.passed = self.passed.saturating_add(1);
        }
    }

    pub(super) fn came(&mut self, head: Head, now: Instant) -> Result<(), Flood> {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            self.since = Some(now);
            (self.opened, self.resets, self.empty_data, self.control, self.passed) = (0, 0, 0, 0, 0);
        }
        match head.kind {
            DATA if head.length == 0 && !head.has(END_STREAM) => {
                self.empty_data += 1;
                at_most(self.empty_data, Bound::Http2EmptyData.count())
            }
            DATA => {
                self.passed = self.passed.saturating_add(1);
                Ok(())
            }
            HEADERS => {
                self.opened = self.opened.saturating_add(1);
                self.passed = self.passed.saturating_add(1);
                if self.other == Other::Client {
                    self.last_stream = self.last_stream.max(head.stream);
                }
                self.block = (!head.has(END_HEADERS)).then_some(0);
                Ok(())
            }
            CONTINUATION => {
                let count = self.block.unwrap_or_default() + 1;
                self.block = (!head.has(END_HEADERS)).then_some(count);
                at_most(count, Bound::Http2Continuations.count())
            }
            RST_STREAM if self.other == Other::Client => {
                self.resets += 1;
                at_most(self.resets, Bound::Http2Resets.count().max(self.opened / 2))
            }
            // An upstream may refuse whatever it is asked.
            RST_STREAM => Ok(()),
            _ => {
                self.control += 1;
                let earned = self.passed.saturating_mul(CONTROL_PER_FRAME);
                at_most(self.control, Bound::Http2ControlFrames.count().saturating_add(earned))
            }
        }
    }
}

fn at_most(count: u32, most: u32) -> Result<(), Flood> {
    if count > most { Err(Flood) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: u8, flags: u8, length: usize) -> Head {
        Head { length, kind, flags, stream: 1 }
    }

    /// How many of such frames a client may send at once, up to a thousand.
    fn may_send(frame: Head, before: &[Head]) -> usize {
        let (mut counts, now) = (Counts::new(Other::Client), Instant::now());
        before.iter().for_each(|frame| counts.came(*frame, now).unwrap());
        (0..1_000).take_while(|_| counts.came(frame, now).is_ok()).count()
    }

    #[test]
    fn floods_end_where_the_limits_say() {
        assert_eq!(may_send(head(RST_STREAM, 0, 4), &[]), Bound::Http2Resets.size());
        assert_eq!(may_send(head(DATA, 0, 0), &[]), Bound::Http2EmptyData.size());
        assert_eq!(may_send(head(DATA, END_STREAM, 0), &[]), 1_000, "an end is no flood");
        assert_eq!(
            may_send(head(CONTINUATION, 0, 10), &[head(HEADERS, 0, 10)]),
            Bound::Http2Continuations.size()
        );
        // SETTINGS, PRIORITY, PING, WINDOW_UPDATE and what nobody knows.
        for kind in [2, 4, 6, 8, 200] {
            assert_eq!(may_send(head(kind, 0, 8), &[]), Bound::Http2ControlFrames.size(), "{kind}");
        }
    }

    #[test]
    fn who_asks_for_much_may_give_up_much_and_who_reads_much_may_say_so() {
        let asked = [head(HEADERS, END_HEADERS | END_STREAM, 10); 600];
        assert_eq!(may_send(head(RST_STREAM, 0, 4), &asked), 300);
        let read = [head(DATA, 0, 100); 50];
        assert_eq!(may_send(head(8, 0, 4), &read), 500 + 50 * 4);
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let (mut counts, now) = (Counts::new(Other::Client), Instant::now());
        for second in 0..1_000 {
            let later = now + Duration::from_millis(400) * second;
            assert_eq!(counts.came(head(RST_STREAM, 0, 4), later), Ok(()), "{second}");
        }
    }
}
