//! A stream of frames means the same however it is cut into pieces.

use super::{Counts, HEAD_BYTES, Head, Other, Position};
use tokio::time::Instant;

/// What was seen of a stream: the heads, and whether it was a flood, or had trailers that are none.
type Seen = (Vec<(usize, u8, u8, u32)>, bool, bool);

/// In one piece and in pieces of the sizes that are said the same frames are seen, as many as there can be.
pub(crate) fn law(bytes: &[u8], pieces: impl FnMut(usize) -> usize) {
    let whole = all(bytes, |left| left);
    assert_eq!(whole, all(bytes, pieces));
    assert!(whole.0.len() <= bytes.len() / HEAD_BYTES, "a frame has a head");
}

fn all(bytes: &[u8], mut size: impl FnMut(usize) -> usize) -> Seen {
    let (mut position, mut counts, mut heads) = (Position::behind(0), Counts::new(Other::Client), Vec::new());
    position.has_trailers = true;
    let (mut at, mut flood) = (0, false);
    // Of a frozen clock all frames are of one window.
    let now = Instant::now();
    while at < bytes.len() && !flood {
        let end = at + size(bytes.len() - at);
        let seen = position.pass(bytes.get(at..end).unwrap_or_default(), |head: Head| {
            heads.push((head.length, head.kind, head.flags, head.stream));
            counts.came(head, now)
        });
        flood = seen.is_err();
        at = end;
    }
    let odd = position.has_odd_trailers;
    (heads, flood, odd)
}
