//! The dimensions of a partition, as the plan's lookup tables.

use crate::space::header::{ABSENT, Header, MANY, OTHER};
use crate::space::path::Paths;
use crate::space::peer::{Candidate, Peers};
use crate::space::{PATH, Space};
use mesh_plan::{self as plan, NONE};

/// Everything but the roots. `principals` and `namespaces` are the plan's, sorted.
pub(super) fn lower(space: &Space, principals: &[plan::Principal], namespaces: &[String]) -> plan::Partition {
    plan::Partition {
        peers: peers(&space.peers, principals, namespaces),
        states: states(&space.paths),
        path_atoms: space.arity(PATH),
        star: space.paths.star(),
        headers: space.headers.iter().map(header).collect(),
        ..plan::Partition::default()
    }
}

fn peers(peers: &Peers, principals: &[plan::Principal], namespaces: &[String]) -> plan::Peers {
    let mut lowered = plan::Peers {
        atoms: peers.atoms(),
        own: peers.atom_where(|candidate| *candidate == Candidate::OtherOwn),
        gateway: peers.atom_where(|candidate| *candidate == Candidate::OtherGateway),
        foreign: peers.atom_where(|candidate| *candidate == Candidate::OtherForeign),
        none: peers.atom_where(|candidate| *candidate == Candidate::Unauthenticated),
        ..plan::Peers::default()
    };
    for (candidate, atom) in &peers.candidates {
        match candidate {
            Candidate::Own { identity, .. }
            | Candidate::Gateway { identity }
            | Candidate::Foreign { identity } => {
                let found = principals.binary_search_by(|principal| principal.identity.cmp(identity));
                lowered.principals.extend(found.map(|index| (index as u32, *atom)));
            }
            Candidate::OtherIn { namespace } => {
                lowered
                    .namespaces
                    .extend(namespaces.binary_search(namespace).map(|index| (index as u32, *atom)));
            }
            Candidate::OtherOwn
            | Candidate::OtherGateway
            | Candidate::OtherForeign
            | Candidate::Unauthenticated => {}
        }
    }
    lowered.principals.sort_unstable();
    lowered.namespaces.sort_unstable();
    lowered
}

fn states(paths: &Paths) -> Vec<plan::State> {
    let states = paths.states.iter().map(|state| plan::State {
        atom: state.atom,
        edges: state.edges.clone(),
        other: state.other.unwrap_or(NONE),
        empty: state.empty.unwrap_or(NONE),
    });
    states.collect()
}

fn header(header: &Header) -> plan::Header {
    let bytes =
        |list: &[(String, u32)]| list.iter().map(|(text, atom)| (text.clone().into_bytes(), *atom)).collect();
    plan::Header {
        name: header.name.clone(),
        atoms: header.atoms(),
        absent: ABSENT,
        many: MANY,
        other: OTHER,
        exact: bytes(&header.exact),
        prefixes: bytes(&header.prefixes),
    }
}
