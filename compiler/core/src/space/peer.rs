//! The peer dimension: identities that some line names, and one class for each way of being somebody else.

use crate::bits::Bits;
use crate::model::{AccessLine, Model, PeerSet, Principal};
use std::collections::{BTreeMap, BTreeSet};

/// Who a peer can be, as far as a partition tells.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Everybody a line could mean, with the atom.
    pub(crate) candidates: Vec<(Candidate, u32)>,
    atoms: u32,
}

/// One peer, or all peers of a kind that nothing names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Candidate {
    /// An identity of a declared service, or one written out that is of the mesh.
    Own {
        identity: String,
        namespace: Option<String>,
    },
    /// An identity of a declared gateway.
    Gateway {
        identity: String,
    },
    /// An identity of another trust domain.
    Foreign {
        identity: String,
    },
    /// Any other identity of a namespace.
    OtherIn {
        namespace: String,
    },
    /// Any other identity one segment below this one, in another trust domain.
    OtherBelow {
        parent: String,
    },
    /// Any other identity of another trust domain that a line names.
    OtherOf {
        trust_domain: String,
    },
    OtherOwn,
    OtherGateway,
    OtherForeign,
    Unauthenticated,
}

impl Peers {
    /// No line tells peers apart.
    pub(crate) fn indifferent() -> Peers {
        Peers { candidates: vec![], atoms: 1 }
    }

    /// These candidates, each with its atom.
    pub(crate) fn of(candidates: Vec<(Candidate, u32)>) -> Peers {
        let atoms = candidates.iter().map(|(_, atom)| atom + 1).max().unwrap_or(1);
        Peers { candidates, atoms }
    }

    /// The candidates that these lines mention, grouped by the lines they are in.
    pub(crate) fn new(model: &Model, lines: &[AccessLine]) -> Peers {
        let sets: Vec<&PeerSet> = lines.iter().map(|line| &line.from).collect();
        let mut classes: BTreeMap<Vec<bool>, u32> = BTreeMap::new();
        let candidates = candidates(model, sets.iter().flat_map(|set| set.of.iter().chain(&set.except)))
            .into_iter()
            .map(|candidate| {
                let member = sets.iter().map(|set| candidate.is_in(set, model)).collect();
                let fresh = classes.len() as u32;
                let atom = *classes.entry(member).or_insert(fresh);
                (candidate, atom)
            })
            .collect();
        Peers { candidates, atoms: classes.len().max(1) as u32 }
    }

    pub(crate) fn atoms(&self) -> u32 {
        self.atoms
    }

    /// The atoms of a set of peers of this partition.
    pub(crate) fn set(&self, set: &PeerSet, model: &Model) -> Bits {
        let mut bits = Bits::none(self.atoms);
        for (candidate, atom) in &self.candidates {
            if candidate.is_in(set, model) {
                bits.insert(*atom);
            }
        }
        bits
    }

    /// Somebody of an atom; a declared identity where there is one.
    pub(crate) fn witness(&self, atom: u32) -> Option<&Candidate> {
        self.candidates.iter().find(|(_, own)| *own == atom).map(|(candidate, _)| candidate)
    }

    /// The atom of the candidate for which `wanted` holds; 0 where no line tells peers apart.
    pub(crate) fn atom_where(&self, wanted: impl Fn(&Candidate) -> bool) -> u32 {
        self.candidates.iter().find(|(candidate, _)| wanted(candidate)).map_or(0, |(_, atom)| *atom)
    }
}

/// Everybody that the principals could mean, and everybody else by kind. Sorted.
pub(crate) fn candidates<'m>(
    model: &Model,
    principals: impl Iterator<Item = &'m Principal>,
) -> BTreeSet<Candidate> {
    let mut candidates = BTreeSet::from([
        Candidate::OtherOwn,
        Candidate::OtherGateway,
        Candidate::OtherForeign,
        Candidate::Unauthenticated,
    ]);
    for principal in principals {
        match principal {
            Principal::Workload { .. } | Principal::Identity(_) => {
                let identity = model.identity(principal);
                identity.is_some_and(|identity| candidates.insert(Candidate::of_identity(model, identity)))
            }
            Principal::Namespace(namespace) => {
                candidates.insert(Candidate::OtherIn { namespace: namespace.to_string() })
            }
            Principal::TrustDomain(trust_domain) => {
                candidates.insert(Candidate::OtherOf { trust_domain: trust_domain.to_string() })
            }
            Principal::Below(parent) => {
                candidates.insert(Candidate::OtherBelow { parent: parent.to_string() })
            }
            Principal::Authenticated | Principal::Unauthenticated | Principal::Anyone => false,
        };
    }
    candidates
}

impl Candidate {
    pub(crate) fn of_identity(model: &Model, identity: &str) -> Candidate {
        let identity = identity.to_owned();
        if model.is_gateway(&identity) {
            return Candidate::Gateway { identity };
        }
        match own_path(&model.trust_domain, &identity) {
            Some(path) => {
                let namespace = namespace_of(path).map(str::to_owned);
                Candidate::Own { identity, namespace }
            }
            None => Candidate::Foreign { identity },
        }
    }

    /// The identity, where it is one.
    pub(crate) fn identity(&self) -> Option<&str> {
        match self {
            Candidate::Own { identity, .. }
            | Candidate::Gateway { identity }
            | Candidate::Foreign { identity } => Some(identity),
            _ => None,
        }
    }

    /// Somebody of them whom the test language can name; nobody is another gateway than the declared ones.
    pub(crate) fn somebody(&self, model: &Model) -> Option<Principal> {
        let own = &model.trust_domain;
        let identity = match self {
            Candidate::Own { identity, .. }
            | Candidate::Gateway { identity }
            | Candidate::Foreign { identity } => identity.clone(),
            Candidate::Unauthenticated => return Some(Principal::Unauthenticated),
            Candidate::OtherIn { namespace } => format!("spiffe://{own}/ns/{namespace}/sa/other"),
            Candidate::OtherBelow { parent } => format!("{parent}/other"),
            Candidate::OtherOf { trust_domain } => format!("spiffe://{trust_domain}/other"),
            Candidate::OtherOwn => format!("spiffe://{own}/other"),
            Candidate::OtherForeign => "spiffe://other.example/other".to_owned(),
            Candidate::OtherGateway => return None,
        };
        Some(Principal::Identity(identity.into()))
    }

    pub(crate) fn is_in(&self, set: &PeerSet, model: &Model) -> bool {
        set.of.iter().any(|principal| self.is(principal, model))
            && !set.except.iter().any(|principal| self.is(principal, model))
    }

    /// `spec/semantics.md` 2.3, literally.
    pub(crate) fn is(&self, principal: &Principal, model: &Model) -> bool {
        match principal {
            Principal::Anyone => true,
            Principal::Unauthenticated => *self == Candidate::Unauthenticated,
            Principal::Authenticated => {
                matches!(self, Candidate::Own { .. } | Candidate::OtherIn { .. } | Candidate::OtherOwn)
            }
            Principal::Namespace(wanted) => match self {
                Candidate::Own { namespace, .. } => namespace.as_deref() == Some(wanted.as_str()),
                Candidate::OtherIn { namespace } => namespace == wanted,
                _ => false,
            },
            Principal::TrustDomain(wanted) => match self {
                Candidate::Foreign { identity: known } | Candidate::OtherBelow { parent: known } => {
                    trust_domain_of(known) == Some(wanted)
                }
                Candidate::OtherOf { trust_domain } => trust_domain == wanted,
                _ => false,
            },
            Principal::Below(wanted) => match self {
                Candidate::Foreign { identity } => {
                    identity.rsplit_once('/').is_some_and(|(parent, _)| parent == wanted)
                }
                Candidate::OtherBelow { parent } => parent == wanted,
                _ => false,
            },
            Principal::Workload { .. } | Principal::Identity(_) => match self {
                Candidate::Own { identity, .. }
                | Candidate::Gateway { identity }
                | Candidate::Foreign { identity } => {
                    model.identity(principal).is_some_and(|wanted| wanted == identity)
                }
                _ => false,
            },
        }
    }
}

/// The trust domain of an identity or of the beginning of one.
fn trust_domain_of(identity: &str) -> Option<&str> {
    identity.strip_prefix("spiffe://")?.split('/').next()
}

/// The path of an identity of the mesh's own trust domain, without its first `/`.
fn own_path<'i>(trust_domain: &str, identity: &'i str) -> Option<&'i str> {
    identity.strip_prefix("spiffe://")?.strip_prefix(trust_domain)?.strip_prefix('/')
}

/// `ns/<namespace>/sa/<service-account>`
fn namespace_of(path: &str) -> Option<&str> {
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        ["ns", namespace, "sa", _] => Some(namespace),
        _ => None,
    }
}
