//! A request of the reference as the engine takes it.

use mesh_engine::{ClaimValue, Method, Peer, Request};
use mesh_reference::{Claim, Question};

/// Asks something of the same request.
pub fn with_request<T>(question: &Question, ask: impl FnOnce(Peer<'_>, &Request<'_>) -> T) -> T {
    let headers: Vec<(&str, &str)> =
        question.headers.iter().map(|(name, line)| (name.as_str(), line.as_str())).collect();
    let pointers: Vec<Vec<String>> = question
        .tokens
        .iter()
        .map(|token| token.claims.iter().map(|(path, _)| pointer(path)).collect())
        .collect();
    let lists: Vec<Vec<Vec<&str>>> = question
        .tokens
        .iter()
        .map(|token| token.claims.iter().map(|(_, claim)| items(claim)).collect())
        .collect();
    let claims: Vec<Vec<mesh_engine::Claim<'_>>> = question
        .tokens
        .iter()
        .zip(pointers.iter().zip(&lists))
        .map(|(token, (pointers, lists))| {
            let claims = token.claims.iter().zip(pointers.iter().zip(lists));
            claims
                .map(|((_, claim), (pointer, list))| mesh_engine::Claim {
                    pointer,
                    value: match claim {
                        Claim::Text(text) => ClaimValue::Text(text),
                        Claim::List(_) => ClaimValue::List(list),
                        Claim::Other => ClaimValue::Other,
                    },
                })
                .collect()
        })
        .collect();
    let tokens: Vec<mesh_engine::Token<'_>> = question
        .tokens
        .iter()
        .zip(&claims)
        .map(|(token, claims)| mesh_engine::Token { issuer: &token.issuer, claims })
        .collect();
    let peer = question.peer.as_deref().map_or(Peer::Unauthenticated, Peer::Identity);
    let request = Request {
        method: Method::from_token(&question.method),
        host: &question.host,
        host_port: question.host_port,
        path: &question.path,
        query: &question.query,
        headers: &headers.as_slice(),
        source_ip: question.source_ip,
        caller_ip: Some(question.source_ip),
        client_ip: question.client_ip,
        tokens: &tokens,
    };
    ask(peer, &request)
}

/// The place of a claim (RFC 6901).
pub fn pointer(path: &[String]) -> String {
    path.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}

fn items(claim: &Claim) -> Vec<&str> {
    match claim {
        Claim::List(items) => items.iter().map(String::as_str).collect(),
        Claim::Text(_) | Claim::Other => vec![],
    }
}
