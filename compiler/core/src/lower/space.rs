//! The dimensions of a partition, as the plan's lookup tables.

use super::intern::Intern;
use crate::model::Field;
use crate::space::automaton::Automaton;
use crate::space::path::Paths;
use crate::space::peer::{Candidate, Peers};
use crate::space::segments::{self, SegmentAt};
use crate::space::value::{ABSENT, MANY, OTHER, Reader};
use crate::space::{Dimension, Kind, NO_TOKEN, PATH, Space, TOKEN};
use mesh_lang::Text;
use mesh_plan::{self as plan, FieldKind, NONE};
use rustc_hash::FxHashMap;

/// Everything but the roots. `principals` are the numbers of the plan's, and `prefixes` are its prefixes, sorted.
pub(super) fn lower(
    space: &Space,
    principals: &FxHashMap<Text, u32>,
    prefixes: &[String],
    trust_domain: &str,
    automata: &mut Intern<plan::Automaton>,
) -> plan::Partition {
    plan::Partition {
        peers: peers(&space.peers, principals, prefixes, trust_domain),
        states: states(&space.paths),
        path_automaton: space.paths.automaton.as_ref().map(|read_by| automata.index(automaton(read_by, 0))),
        path_atoms: space.arity(PATH),
        star: space.paths.star(),
        fields: space.fields.iter().zip(0..).map(|(own, place)| field(own, place, automata)).collect(),
        ..plan::Partition::default()
    }
}

fn peers(
    peers: &Peers,
    principals: &FxHashMap<Text, u32>,
    prefixes: &[String],
    trust_domain: &str,
) -> plan::Peers {
    let prefix = |text: &str| prefixes.binary_search_by(|known| known.as_str().cmp(text)).ok();
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
                lowered.principals.extend(principals.get(identity).map(|number| (*number, *atom)));
            }
            Candidate::OtherIn { namespace } => {
                let found = prefix(&namespace_prefix(trust_domain, namespace));
                lowered.prefixes.extend(found.map(|index| (index as u32, *atom)));
            }
            Candidate::OtherBelow { parent } => {
                lowered.prefixes.extend(prefix(parent).map(|index| (index as u32, *atom)));
            }
            Candidate::OtherOf { trust_domain } => {
                let found = prefix(&format!("spiffe://{trust_domain}"));
                lowered.prefixes.extend(found.map(|index| (index as u32, *atom)));
            }
            Candidate::OtherOwn
            | Candidate::OtherGateway
            | Candidate::OtherForeign
            | Candidate::Unauthenticated => {}
        }
    }
    lowered.principals.sort_unstable();
    lowered.prefixes.sort_unstable();
    lowered
}

/// What all identities of a namespace of the mesh begin with.
pub(super) fn namespace_prefix(trust_domain: &str, namespace: &str) -> String {
    format!("spiffe://{trust_domain}/ns/{namespace}/sa")
}

fn states(paths: &Paths) -> Vec<plan::State> {
    let states = paths.states.iter().map(|state| plan::State {
        atom: state.atom,
        edges: state.edges.iter().map(|(segment, next)| (segment.as_str().to_owned(), *next)).collect(),
        other: state.other.unwrap_or(NONE),
        empty: state.empty.unwrap_or(NONE),
    });
    states.collect()
}

/// `place` counts the fields; those of segments come first.
fn field(dimension: &Dimension, place: u32, automata: &mut Intern<plan::Automaton>) -> plan::Field {
    let (kind, name, issuer) = named(&dimension.field);
    let unread = plan::Field { kind, name, issuer, ..plan::Field::default() };
    match &dimension.kind {
        Kind::Segment(segment) => of_segment(segment, place),
        Kind::Token => plan::Field { atoms: 2, absent: NO_TOKEN, other: TOKEN, ..unread },
        Kind::Addresses(addresses) => plan::Field {
            atoms: addresses.atoms(),
            absent: addresses.missing(),
            addresses: addresses.ranges.iter().map(|(first, atom)| (first.to_be_bytes(), *atom)).collect(),
            ..unread
        },
        Kind::Values(values) => {
            let read = plan::Field {
                atoms: values.atoms(),
                absent: ABSENT,
                many: MANY,
                odd: values.odd(),
                other: OTHER,
                masks: values.masks().to_vec(),
                unions: values.unions(),
                ..unread
            };
            match &values.reader {
                Reader::Laminar(laminar) => {
                    plan::Field { exact: bytes(&laminar.exact), prefixes: bytes(&laminar.prefixes), ..read }
                }
                Reader::Bytes(_, read_by) => {
                    plan::Field { automaton: Some(automata.index(automaton(read_by, OTHER))), ..read }
                }
            }
        }
    }
}

fn of_segment(segment: &SegmentAt, place: u32) -> plan::Field {
    let literals = segment.literals.iter().zip(segments::LITERALS..);
    let literals = literals.map(|(text, atom)| (text.clone().into_bytes(), atom));
    plan::Field {
        kind: FieldKind::Segment,
        name: place.to_string(),
        atoms: segment.atoms(),
        absent: segments::END,
        many: segments::OTHER,
        odd: segments::OTHER,
        other: segments::OTHER,
        exact: std::iter::once((vec![], segments::EMPTY)).chain(literals).collect(),
        ..plan::Field::default()
    }
}

fn named(field: &Field) -> (FieldKind, String, String) {
    let (kind, name) = match field {
        Field::Header(name) => (FieldKind::Header, name.as_str().to_owned()),
        Field::Query(name) => (FieldKind::Query, name.as_str().to_owned()),
        Field::Cookie(name) => (FieldKind::Cookie, name.as_str().to_owned()),
        Field::Jwt(issuer) => (FieldKind::Jwt, issuer.to_string()),
        Field::Claim { issuer, path } => return (FieldKind::Claim, pointer(path), issuer.to_string()),
        Field::SourceIp => (FieldKind::SourceIp, String::new()),
        Field::ClientIp => (FieldKind::ClientIp, String::new()),
        // The path has a dimension of its own.
        Field::Path | Field::Host => (FieldKind::Host, String::new()),
    };
    (kind, name, String::new())
}

/// RFC 6901.
pub(super) fn pointer(path: &[impl AsRef<str>]) -> String {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    path.iter().map(|name| format!("/{}", escaped(name.as_ref()))).collect()
}

fn bytes(list: &[(String, u32)]) -> Vec<(Vec<u8>, u32)> {
    list.iter().map(|(text, atom)| (text.clone().into_bytes(), *atom)).collect()
}

/// The table, its classes numbered from `first` on.
fn automaton(automaton: &Automaton, first: u32) -> plan::Automaton {
    plan::Automaton {
        classes: automaton.bytes.clone(),
        transitions: automaton.transitions.clone(),
        accepts: automaton.accepts.iter().map(|class| first + class).collect(),
    }
}
