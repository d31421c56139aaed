//! A stream of requests means the same however it is cut into pieces.

use super::requests::Requests;
use bytes::BytesMut;

/// What was read of a stream.
#[derive(Default)]
struct Read {
    /// Of each request its head, and its body as far as it is there.
    requests: Vec<(String, Vec<u8>)>,
    /// Why nothing is read behind them.
    refused: Option<&'static str>,
}

/// In one piece and in pieces of the sizes that are said the same requests are read, and the same is refused.
pub(crate) fn law(bytes: &[u8], pieces: impl FnMut(usize) -> usize) {
    let whole = read(bytes, |left| left);
    let pieces = read(bytes, pieces);
    let stream = String::from_utf8_lossy(bytes);
    assert_eq!(whole.refused, pieces.refused, "{stream:?}");
    // In pieces a head may be there before its body goes wrong, and so no more than that.
    let more = usize::from(whole.refused.is_some() && pieces.requests.len() > whole.requests.len());
    assert_eq!(whole.requests.len() + more, pieces.requests.len(), "{stream:?}");
    let last = whole.requests.len().saturating_sub(1);
    for (at, (one, other)) in whole.requests.iter().zip(&pieces.requests).enumerate() {
        assert_eq!(one.0, other.0, "{stream:?}");
        let is_cut = at == last && whole.refused.is_some() && more == 0;
        assert!(one.1 == other.1 || is_cut && one.1.starts_with(&other.1), "{stream:?}");
    }
}

/// Reads all of it in pieces of the sizes that are said, as a connection does.
fn read(bytes: &[u8], mut size: impl FnMut(usize) -> usize) -> Read {
    let (mut read, mut requests, mut received, mut at) =
        (Read::default(), Requests::default(), BytesMut::new(), 0);
    let mut body: Option<crate::framing::Reading> = None;
    loop {
        let came = match &mut body {
            Some(reading) => match reading.next(&mut received) {
                Ok(Some(frame)) => {
                    if let (Some((_, body)), Ok(data)) = (read.requests.last_mut(), frame.into_data()) {
                        body.extend_from_slice(&data);
                    }
                    continue;
                }
                Ok(None) if reading.has_ended() => {
                    body = None;
                    continue;
                }
                Ok(None) => Ok(()),
                Err(defect) => Err(defect),
            },
            None => match requests.read(&mut received) {
                Ok(Some(asked)) => {
                    read.requests.push((format!("{:?}", asked.head), Vec::new()));
                    body = Some(asked.body);
                    continue;
                }
                Ok(None) => Ok(()),
                Err(defect) => Err(defect),
            },
        };
        if let Err(defect) = came {
            read.refused = Some(defect.why);
            return read;
        }
        if at == bytes.len() {
            return read;
        }
        let end = at + size(bytes.len() - at);
        received.extend_from_slice(bytes.get(at..end).unwrap_or_default());
        at = end;
    }
}
