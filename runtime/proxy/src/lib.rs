//! Sockets around the engine: what is decided is what is forwarded.
//!
//! Read [`start`] (the workers and their doors), then `http1` (a connection), `forward` (a request, from top to bottom)
//! and what it uses: `request` (canonical and cleaned), `retry`, `rotation` (which endpoint), `upstream` (connections to it),
//! `body`, `log`.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unreachable,
    reason = "bytes come from anywhere: answer, never panic"
)]

mod admin;
mod body;
mod doors;
mod forward;
mod framing;
mod handle;
mod http1;
mod listen;
mod log;
mod request;
mod retry;
mod rotation;
mod serving;
mod upstream;
mod worker;

pub use doors::{Door, DoorError};
pub use handle::{Config, Drained, Handle, StartError, SwapError, start};
pub use listen::BindError;
pub use log::AccessLog;
