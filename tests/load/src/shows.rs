//! What is shown, each with the mesh that a user would write for it.

mod blackhole;
mod breakers;
mod kills;
mod limits;
mod mirrors;
mod outage;

use crate::bed::Tools;
use clap::ValueEnum;
use std::time::Duration;

/// One promise, and whether it was kept.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) kept: bool,
    /// With the figures.
    pub(crate) line: String,
}

/// How much of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) time: Duration,
    /// Requests a second where upstreams are killed.
    pub(crate) rate: u32,
}

/// What there is to show.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum What {
    /// One of three upstreams is killed every two seconds
    Kills,
    /// An upstream takes no connections, or answers nothing
    Blackhole,
    /// All upstreams fail
    Outage,
    /// More is asked than a rate limit lets in
    Limits,
    /// More is asked than a circuit breaker lets through
    Breakers,
    /// A mirror is dead, slow or silent
    Mirrors,
}

impl What {
    pub(crate) fn show(self, tools: &Tools, extent: Extent) -> Result<Vec<Shown>, String> {
        match self {
            What::Kills => kills::show(tools, extent),
            What::Blackhole => blackhole::show(tools, extent),
            What::Outage => outage::show(tools, extent),
            What::Limits => limits::show(tools, extent),
            What::Breakers => breakers::show(tools, extent),
            What::Mirrors => mirrors::show(tools, extent),
        }
    }
}
