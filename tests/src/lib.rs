//! What several tests share.

pub mod beside;
pub mod generate;
pub mod project;
pub mod up;
