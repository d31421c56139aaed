//! Plan and request in, decision out. Pure: no clock, no dice of its own, no sockets, no allocation on the way.
//!
//! Read [`request`] (what is looked at), [`canonical`] (in which form), [`decide`](decide()) (the walk), [`decision`] (the answer).

#![deny(clippy::disallowed_methods, reason = "pure: the driver does the I/O")]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::unreachable,
    reason = "a decision is total: it refuses, it never panics"
)]

mod atoms;
pub mod balance;
pub mod budget;
mod callee;
pub mod canonical;
pub mod decide;
pub mod decision;
pub mod edits;
mod field;
pub mod header;
mod host;
mod peer;
pub mod request;
pub mod resolved;
pub mod self_test;
pub mod settled;
pub mod spiffe;
pub mod trace;
mod walk;

pub use decide::{callee, decide, decide_at, distribution, endpoints, instances, relaxed, unauthorized};
pub use decision::{Action, Decision, Distribution, Forward, Possible, Refusal, Retry};
pub use edits::Edited;
pub use field::{Decoded, cookie_value, query_value};
pub use request::{
    Address, Claim, ClaimValue, Entry, HeaderValue, Headers, Method, Moment, Peer, Request, Token,
};
pub use resolved::Resolved;
pub use self_test::self_test;
pub use settled::Settled;
pub use spiffe::SpiffeId;
pub use trace::{Trace, trace};

#[cfg(test)]
mod samples;
