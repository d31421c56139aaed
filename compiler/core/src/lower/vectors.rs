//! For each leaf of a decision a request that ends there: what whoever takes the plan in asks again (`spec/plan-format.md`, vectors).

use super::space::pointer;
use crate::diagram::{Becomes, Diagram, Point};
use crate::model::{Model, Principal};
use crate::space::PEER;
use crate::witness::{Claimed, InToken, Witness};
use mesh_lang::ast::Method;
use mesh_plan::{Fact, FactKind, METHOD_ATOMS, Target, Vector};

/// The vectors of decisions, each with its number in the plan and what its leaves become; sorted. A leaf that no possible request ends in
/// has none, and neither has one that only a peer ends in who has no identity to say.
pub(super) fn of(model: &Model, diagram: &Diagram, decisions: &[(u32, Target, Becomes<'_>)]) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (number, root, becomes) in decisions {
        for (leaf, point) in diagram.each_leaf(*root) {
            let Target::Leaf(leaf) = becomes(leaf) else { continue };
            vectors.extend(vector(model, diagram, &point, *number, leaf));
        }
    }
    vectors.sort_unstable();
    // Leaves that became the same.
    vectors.dedup_by_key(|own| (own.root, own.leaf));
    vectors
}

fn vector(model: &Model, diagram: &Diagram, point: &Point, root: u32, leaf: u32) -> Option<Vector> {
    let space = diagram.space();
    let peer = match point.iter().find(|(dim, _)| *dim == PEER) {
        None => String::new(),
        Some((_, atom)) => match space.peers.witness(*atom)?.somebody(model)? {
            Principal::Identity(identity) => identity.to_string(),
            _ => String::new(),
        },
    };
    let witness = Witness::of_anybody(space, point);
    let method = Method::ALL.iter().position(|method| method.as_str() == witness.method);
    let method = method.map_or(METHOD_ATOMS - 1, |place| place as u32);
    let facts = facts(&witness);
    Some(Vector { root, leaf, peer, method, path: witness.path, facts })
}

/// What a request says besides its method and path.
fn facts(witness: &Witness) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut say = |kind, name: &str, pointer: String, value: &str| {
        facts.push(Fact { kind, name: name.to_owned(), pointer, value: value.to_owned() });
    };
    let mut plain = |kind, name: &str, value: &str| say(kind, name, String::new(), value);
    witness.host.iter().for_each(|host| plain(FactKind::Host, "", host));
    if let Some((_, query)) = witness.target().split_once('?') {
        plain(FactKind::Query, "", query);
    }
    witness.headers.iter().for_each(|(name, value)| plain(FactKind::Header, name, value));
    let cookies: Vec<String> =
        witness.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        plain(FactKind::Header, "cookie", &cookies.join("; "));
    }
    witness.source_ip.iter().for_each(|ip| plain(FactKind::SourceIp, "", &ip.to_string()));
    witness.client_ip.iter().for_each(|ip| plain(FactKind::ClientIp, "", &ip.to_string()));
    witness.tokens.iter().for_each(|token| claims(token, &mut say));
    facts
}

fn claims(token: &InToken, say: &mut dyn FnMut(FactKind, &str, String, &str)) {
    let InToken { issuer, path, said } = token;
    match said {
        Claimed::There => say(FactKind::Token, issuer, String::new(), ""),
        Claimed::Text(text) => say(FactKind::Text, issuer, pointer(path), text),
        Claimed::Odd => say(FactKind::Odd, issuer, pointer(path), ""),
        Claimed::List(items) => {
            say(FactKind::List, issuer, pointer(path), "");
            items.iter().for_each(|item| say(FactKind::Item, "", String::new(), item));
        }
    }
}
