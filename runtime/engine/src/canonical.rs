//! The canonical request: one form for decision, logs and forwarding (`spec/semantics.md` 1).

use std::borrow::Cow;

/// Why a request has no canonical form: it is answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCanonical(
    /// A clause for the log, e.g. ``path holds `%2F` ``.
    pub &'static str,
);

/// The canonical path of a raw path (the request target without its query). Borrows where nothing changes. Idempotent.
pub fn path(raw: &str) -> Result<Cow<'_, str>, NotCanonical> {
    let _ = raw;
    todo!()
}

/// The canonical host and the port of an authority (`host`, `host:port`, `[::1]:port`).
pub fn host(raw: &str) -> Result<(Cow<'_, str>, Option<u16>), NotCanonical> {
    let _ = raw;
    todo!()
}
