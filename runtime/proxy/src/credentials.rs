//! Who this proxy is, and where that comes from: files that somebody replaces, an authority that is asked, or an agent
//! that sends it.

mod asking;
mod authority;
mod files;
mod text;
mod wish;
pub(crate) mod workload;

use crate::args::Args;
use authority::Member;
use files::Watched;
use mesh_proxy::Identity;
use std::sync::Arc;
use workload::Workload;

/// An identity, and what renews it.
pub(crate) enum Credentials {
    /// In files.
    Watched(Watched),
    /// Of an authority.
    Member(Box<Member>),
    /// Of an agent.
    Workload(Box<Workload>),
}

impl Credentials {
    /// Those of the flags, if there are some. Waits for an authority or an agent that is not there.
    pub(crate) async fn of(args: &Args) -> Result<Option<Credentials>, String> {
        if let Some(watched) = Watched::of(args)? {
            return Ok(Some(Credentials::Watched(watched)));
        }
        if let Some(member) = Member::of(args).await? {
            return Ok(Some(Credentials::Member(Box::new(member))));
        }
        Ok(Workload::of(args).await?.map(|workload| Credentials::Workload(Box::new(workload))))
    }

    /// One, or each that an agent knows this process by.
    pub(crate) fn identities(&self) -> Vec<Arc<Identity>> {
        match self {
            Credentials::Watched(watched) => vec![watched.identity()],
            Credentials::Member(member) => vec![member.identity()],
            Credentials::Workload(workload) => workload.identities(),
        }
    }

    /// Takes over what comes.
    pub(crate) async fn follow(self) {
        match self {
            Credentials::Watched(watched) => watched.follow().await,
            Credentials::Member(member) => member.follow().await,
            Credentials::Workload(workload) => workload.follow().await,
        }
    }
}
