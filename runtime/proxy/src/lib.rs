//! Sockets around the engine: what is decided is what is forwarded.
//!
//! Read [`start`] (the workers and their doors), then `http1` (a connection), `forward` (a request, from top to bottom), `call`
//! (its tries) and what they use: `request` (canonical and cleaned), `refusal`, `retry`, `balance` (which endpoint), `affinity` (by
//! what it is hashed), `outliers` and `health` (which not), `breaker` (how many at once), `upstream` (connections), `body`, `mirror` (copies), `cors` and
//! `websocket` (what browsers may), `log`. What a line of the
//! access log means is said by `mesh-proxy --help` (`args/help.rs`).
//!
//! Who is at the other end of a connection is what `mutual` and `identity` verify: then authorization is applied at both ends, by the caller's
//! proxy and by the service's own. Whoever reaches an endpoint without a proxy before it goes round both.

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
mod affinity;
mod authority;
mod balance;
mod body;
pub mod bounds;
mod breaker;
mod call;
mod cause;
mod client;
mod connection;
mod cors;
mod destination;
mod doors;
mod edits;
mod forward;
mod forwarded;
mod frames;
mod framing;
mod grpc;
mod handle;
mod head;
mod health;
mod hello;
mod http1;
mod http2;
mod identity;
pub mod jwt;
#[cfg(any(test, fuzzing))]
pub mod laws;
mod limits;
mod listen;
mod log;
mod mirror;
mod mutual;
mod names;
mod outliers;
mod outside;
mod passthrough;
mod proxy_protocol;
mod redirected;
mod refusal;
mod reply;
mod request;
mod retry;
mod serving;
mod store;
mod tcp;
mod terminate;
mod together;
mod transport;
mod tunnel;
mod upstream;
mod websocket;
mod worker;

pub use bounds::Bound;
pub use cause::{cause, innermost};
pub use doors::called::Astray;
pub use doors::{Door, DoorError, WrongIdentity};
pub use handle::{Config, Drained, Handle, StartError, SwapError, start};
pub use health::Checking;
pub use identity::{Identity, IdentityError, Material, SvidError, svid_id, svid_serial};
pub use jwt::Fetching;
pub use listen::BindError;
pub use log::AccessLog;
pub use mesh_engine::balance::nearness::Here;
pub use names::Looking;
pub use store::{Certificates, Pem, Store};
