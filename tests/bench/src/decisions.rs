//! Decisions about the same requests by different engines.

pub mod mesh;
pub mod ours;
pub mod peers;
pub mod workload;
