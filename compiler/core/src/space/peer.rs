//! The peer dimension: identities that some line names, and one class for each way of being somebody else.

use crate::bits::Bits;
use crate::model::{AccessLine, Model, PeerSet, Principal};
use mesh_lang::Text;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Who a peer can be, as far as a partition tells.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Everybody a line could mean, with the atom.
    pub(crate) candidates: Vec<(Candidate, u32)>,
    atoms: u32,
    /// For each line, its atoms.
    of_lines: Vec<Bits>,
}

/// One peer, or all peers of a kind that nothing names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Candidate {
    /// An identity of a declared service, or one written out that is of the mesh.
    Own {
        identity: Text,
        namespace: Option<Text>,
    },
    /// An identity of a declared gateway.
    Gateway {
        identity: Text,
    },
    /// An identity of another trust domain.
    Foreign {
        identity: Text,
    },
    /// Any other identity of a namespace.
    OtherIn {
        namespace: Text,
    },
    /// Any other identity one segment below this one, in another trust domain.
    OtherBelow {
        parent: Text,
    },
    /// Any other identity of another trust domain that a line names.
    OtherOf {
        trust_domain: Text,
    },
    OtherOwn,
    OtherGateway,
    OtherForeign,
    Unauthenticated,
}

impl Peers {
    /// No line tells peers apart.
    pub(crate) fn indifferent() -> Peers {
        Peers { candidates: vec![], atoms: 1, of_lines: vec![] }
    }

    /// These candidates, each with its atom.
    pub(crate) fn of(candidates: Vec<(Candidate, u32)>) -> Peers {
        let atoms = candidates.iter().map(|(_, atom)| atom + 1).max().unwrap_or(1);
        Peers { candidates, atoms, of_lines: vec![] }
    }

    /// The candidates that these lines mention, grouped by the lines they are in.
    pub(crate) fn new(model: &Model, lines: &[AccessLine]) -> Peers {
        let sets: Vec<&PeerSet> = lines.iter().map(|line| &line.from).collect();
        let candidates = candidates(model, sets.iter().flat_map(|set| set.of.iter().chain(&set.except)));
        let candidates: Vec<Candidate> = candidates.into_iter().collect();
        let named = candidates.iter().zip(0..).filter_map(|(own, index)| Some((own.identity()?, index)));
        let named: FxHashMap<&str, u32> = named.collect();
        let members = sets.iter().map(|set| members(set, &candidates, &named, model));
        let members: Vec<Bits> = members.collect();
        let mut classes: FxHashMap<Bits, u32> = FxHashMap::default();
        let atom = |candidate: u32| {
            let lines = members.iter().zip(0..).filter(|(members, _)| members.contains(candidate));
            let fresh = classes.len() as u32;
            *classes.entry(Bits::of(sets.len() as u32, lines.map(|(_, line)| line))).or_insert(fresh)
        };
        let atoms: Vec<u32> = (0..candidates.len() as u32).map(atom).collect();
        let count = classes.len() as u32;
        let of_line = |members: &Bits| Bits::of(count, members.iter().map(|member| atoms[member as usize]));
        let of_lines = members.iter().map(of_line).collect();
        Peers { candidates: candidates.into_iter().zip(atoms).collect(), atoms: count, of_lines }
    }

    /// The atoms of one of the lines.
    pub(crate) fn of_line(&self, line: usize) -> &Bits {
        &self.of_lines[line]
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

/// The indices of those in a set; `named` are those of identities.
fn members(set: &PeerSet, candidates: &[Candidate], named: &FxHashMap<&str, u32>, model: &Model) -> Bits {
    let all = |principals: &[Principal]| {
        let mut found = Bits::none(candidates.len() as u32);
        for principal in principals {
            match model.identity(principal) {
                Some(identity) => named.get(identity.as_str()).into_iter().for_each(|own| found.insert(*own)),
                None => {
                    let own = candidates.iter().zip(0..).filter(|(own, _)| own.is(principal, model));
                    own.for_each(|(_, index)| found.insert(index));
                }
            }
        }
        found
    };
    let mut found = all(&set.of);
    if !set.except.is_empty() {
        found.subtract(&all(&set.except));
    }
    found
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
                let identity = model.identity(principal).cloned();
                identity.is_some_and(|identity| candidates.insert(Candidate::of_identity(model, identity)))
            }
            Principal::Namespace(namespace) => {
                candidates.insert(Candidate::OtherIn { namespace: namespace.clone() })
            }
            Principal::TrustDomain(trust_domain) => {
                candidates.insert(Candidate::OtherOf { trust_domain: trust_domain.clone() })
            }
            Principal::Below(parent) => candidates.insert(Candidate::OtherBelow { parent: parent.clone() }),
            Principal::Authenticated | Principal::Unauthenticated | Principal::Anyone => false,
        };
    }
    candidates
}

impl Candidate {
    pub(crate) fn of_identity(model: &Model, identity: impl Into<Text>) -> Candidate {
        let identity = identity.into();
        if model.is_gateway(&identity) {
            return Candidate::Gateway { identity };
        }
        match own_path(&model.trust_domain, &identity) {
            Some(path) => {
                let namespace = namespace_of(path).map(Text::from);
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
            | Candidate::Foreign { identity } => identity.to_string(),
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
                Candidate::Own { namespace, .. } => namespace.as_ref() == Some(wanted),
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
    let (namespace, rest) = path.strip_prefix("ns/")?.split_once('/')?;
    let account = rest.strip_prefix("sa/")?;
    (!account.contains('/')).then_some(namespace)
}
