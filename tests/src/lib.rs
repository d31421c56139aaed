//! What several tests share.

pub mod asking;
pub mod authority;
pub mod beside;
pub mod dns;
pub mod generate;
pub mod harness;
pub mod line;
pub mod process;
pub mod project;
pub mod secure;
pub mod tokens;
pub mod up;
