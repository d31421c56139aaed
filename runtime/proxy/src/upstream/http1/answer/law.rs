//! An answer means the same however it is cut into pieces.

use super::Heads;
use bytes::BytesMut;

/// In one piece and in pieces of the sizes that are said the same is read, or nothing.
pub(crate) fn law(bytes: &[u8], mut pieces: impl FnMut(usize) -> usize) {
    for to_head in [false, true] {
        let whole = read(bytes, to_head, |left| left);
        assert_eq!(whole, read(bytes, to_head, &mut pieces), "{:?}", String::from_utf8_lossy(bytes));
    }
}

/// Reads an answer in pieces of the sizes that are said, as a connection does: its status, its body with the trailers behind it, and whether the
/// connection is kept.
pub(super) fn read(
    bytes: &[u8],
    to_head: bool,
    mut size: impl FnMut(usize) -> usize,
) -> Result<(u16, String, bool), &'static str> {
    let (mut heads, mut received, mut rest) = (Heads::default(), BytesMut::new(), bytes);
    let mut more = |received: &mut BytesMut| {
        let size = if rest.is_empty() { 0 } else { size(rest.len()) };
        let (piece, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        rest = after;
        received.extend_from_slice(piece);
        !piece.is_empty()
    };
    let mut answered = loop {
        if let Some(answered) = heads.read(&mut received, to_head)? {
            break answered;
        }
        if !more(&mut received) {
            return Err("cut off in the head");
        }
    };
    let mut text = String::new();
    loop {
        match answered.body.next(&mut received).map_err(|defect| defect.why)? {
            Some(frame) => match frame.into_data() {
                Ok(data) => text.push_str(&data.escape_ascii().to_string()),
                Err(frame) => text.push_str(&format!("{:?}", frame.into_trailers())),
            },
            None if answered.body.has_ended() => break,
            None if more(&mut received) => {}
            None if answered.body.end() => break,
            None => return Err("cut off in the body"),
        }
    }
    Ok((answered.response.status().as_u16(), text, answered.keeps))
}
