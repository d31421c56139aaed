//! Who this proxy is, and where that comes from: files that somebody replaces, or an authority that is asked.

mod asking;
mod authority;
mod files;
mod text;
mod wish;

use crate::args::Args;
use authority::Member;
use files::Watched;
use mesh_proxy::Identity;
use std::sync::Arc;

/// An identity, and what renews it.
pub(crate) enum Credentials {
    /// In files.
    Watched(Watched),
    /// Of an authority.
    Member(Box<Member>),
}

impl Credentials {
    /// Those of the flags, if there are some. Waits for an authority that is not there.
    pub(crate) async fn of(args: &Args) -> Result<Option<Credentials>, String> {
        if let Some(watched) = Watched::of(args)? {
            return Ok(Some(Credentials::Watched(watched)));
        }
        Ok(Member::of(args).await?.map(|member| Credentials::Member(Box::new(member))))
    }

    pub(crate) fn identity(&self) -> Arc<Identity> {
        match self {
            Credentials::Watched(watched) => watched.identity(),
            Credentials::Member(member) => member.identity(),
        }
    }

    /// Takes over what comes.
    pub(crate) async fn follow(self) {
        match self {
            Credentials::Watched(watched) => watched.follow().await,
            Credentials::Member(member) => member.follow().await,
        }
    }
}
