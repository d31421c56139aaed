//! The contract: what the compiler writes and the proxy trusts. Nobody else's code is in the trust path but BLAKE3 and Ed25519.
//!
//! Read [`plan`] (the values), [`layout`] (the bytes; mirrors `spec/plan-format.md`), [`encode`](encode()), [`verify`](verify()) and
//! [`view`] (reading in place), [`sources`] (where rules stand), [`text`](text()) (for human eyes); then [`parts`] (a plan in slices), [`bundle`] (signed, with proofs) and
//! what it stands on, [`merkle`] and [`keys`].

#![deny(clippy::disallowed_methods, reason = "pure: the driver does the I/O")]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unreachable,
    reason = "plan bytes come from outside: refuse, never panic"
)]

pub mod bundle;
pub mod decode;
pub mod encode;
pub mod hosts;
pub mod keys;
pub mod layout;
pub mod merkle;
pub mod parts;
pub mod plan;
pub mod sources;
pub mod text;
pub mod verify;
pub mod view;

pub use encode::{LimitExceeded, encode};
pub use plan::*;
pub use sources::{Place, Sources};
pub use text::text;
pub use verify::{PlanError, verify};
pub use view::PlanView;

#[cfg(test)]
mod samples;
