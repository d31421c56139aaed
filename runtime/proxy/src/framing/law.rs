//! A stream means the same however it is cut into pieces.

use super::scan::{Found, Scan};

/// What was found of a stream.
pub(super) struct All {
    pub(super) heads: Vec<Option<&'static str>>,
    pub(super) passed: Vec<u8>,
    pub(super) refused: bool,
}

/// In one piece and in pieces of the sizes that are said the same heads are found, and nothing passes but what came.
pub(crate) fn law(bytes: &[u8], pieces: impl FnMut(usize) -> usize) {
    let whole = all(bytes, |left| left);
    let pieces = all(bytes, pieces);
    assert_eq!(whole.heads, pieces.heads, "{:?}", String::from_utf8_lossy(bytes));
    assert!(bytes.starts_with(&whole.passed) && bytes.starts_with(&pieces.passed));
    // In pieces a head may pass before its body goes wrong, and so no more than that.
    assert!(pieces.passed.len() >= whole.passed.len() || whole.refused == pieces.refused);
}

/// Reads all of it in pieces of the sizes that are said, as a connection does.
pub(super) fn all(bytes: &[u8], mut size: impl FnMut(usize) -> usize) -> All {
    let (mut scan, mut held, mut at) = (Scan::default(), 0, 0);
    let mut all = All { heads: vec![], passed: vec![], refused: false };
    while at < bytes.len() && !all.refused {
        let end = at + size(bytes.len() - at);
        let window = bytes.get(at - held..end).unwrap_or_default();
        match scan.read(held, bytes.get(at..end).unwrap_or_default()) {
            Ok(Found::Passes { until }) => {
                all.passed.extend_from_slice(window.get(..until).unwrap_or_default());
                held = window.len() - until;
            }
            Ok(Found::Refused { from }) => {
                all.passed.extend_from_slice(window.get(..from).unwrap_or_default());
                all.refused = true;
            }
            found @ Ok(Found::Nothing) => assert_ne!(found, Ok(Found::Nothing), "nothing was refused"),
            Err(defect) => {
                scan.heads.push_back(Some(defect));
                all.refused = true;
            }
        }
        at = end;
    }
    all.heads = scan.heads.into_iter().map(|head| head.map(|defect| defect.why)).collect();
    all
}
