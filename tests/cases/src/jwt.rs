//! Cases of kind `jwt`: tokens of two issuers, at a gateway that verifies those that come. A case says in words what is wrong with a token;
//! what is not understood of it is not played.

mod input;

use crate::catalogue::Case;
use crate::client;
use crate::expect::Expect;
use crate::fixture::{self, Fixture, Running, Setup, Tools};
use crate::oracles::Before;
use crate::verdict::Verdict;
use input::{Issuers, Variant};
use mesh_tests::tokens::KeyFile;
use std::time::Duration;

/// All on one machine; what is sent may have some megabytes.
const LIMIT: Duration = Duration::from_secs(10);

/// Plays each of a case's tokens, between good ones.
pub(crate) fn play(case: &Case, tools: &Tools) -> Verdict {
    let (typ, said) = input::asked_for(&case.input);
    let issuers = Issuers::new(typ);
    let variants = match issuers.variants(said) {
        Ok(variants) => variants,
        Err(why) => return Verdict::Skipped(why),
    };
    let Some(expected) = expected(&case.expect, variants.len()) else {
        return Verdict::Skipped(format!("what is expected is not understood: `{}`", case.expect));
    };
    let keys = [&issuers.first, &issuers.second].map(|own| KeyFile::of(&[own]));
    let mut running = match start(&case.id, &keys, typ, tools) {
        Ok(running) => running,
        Err(why) => return Verdict::Failed(vec![why]),
    };
    let mut wrong = Vec::new();
    let good = issuers.good();
    wrong.extend(one(&good, &[200], &mut running).into_iter().map(|wrong| format!("control: {wrong}")));
    for (variant, statuses) in variants.iter().zip(&expected) {
        let found = one(variant, statuses, &mut running);
        wrong.extend(found.into_iter().map(|wrong| format!("{}: {wrong}", variant.about)));
    }
    wrong.extend(one(&good, &[200], &mut running).into_iter().map(|wrong| format!("control: {wrong}")));
    Verdict::of(wrong, vec![])
}

/// What is wrong with what becomes of a token.
fn one(variant: &Variant, statuses: &[u16], running: &mut Running) -> Vec<String> {
    let before = Before::now(running, &Expect::default());
    let logged = running.log_length();
    let mut request = b"GET /public HTTP/1.1\r\nHost: a.test\r\nAuthorization: ".to_vec();
    request.extend_from_slice(&variant.authorization);
    request.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
    running.upstream.begin(crate::upstream::Plays::default());
    let played = match client::play(running.h1, &[request], LIMIT) {
        Ok(played) => played,
        Err(why) => return vec![why],
    };
    let seen = before.seen(running);
    let mut wrong = seen.broken().to_vec();
    let status = played.answers.first().map(|answer| answer.status);
    let is_meant =
        |status: u16| statuses.contains(&status) || statuses != [200] && variant.before() == Some(status);
    if !status.is_some_and(is_meant) {
        wrong.push(format!("{status:?}, not one of {statuses:?}"));
    }
    let is_served = status == Some(200);
    if !is_served && !seen.requests.is_empty() {
        wrong.push("O3: a request that is refused reaches the upstream".to_owned());
    }
    if is_served && seen.requests.iter().any(|request| request.values("authorization").next().is_some()) {
        wrong.push("a token that is not forwarded reaches the upstream".to_owned());
    }
    let secret = variant.secret();
    if running.log_after(logged).iter().chain(&running.said()).any(|line| line.contains(secret)) {
        wrong.push("the token stands in a log".to_owned());
    }
    wrong
}

/// The statuses of each token, as an expectation says: `401`, `401/431`, `first accepted, others 401`.
fn expected(text: &str, count: usize) -> Option<Vec<Vec<u16>>> {
    let plain: String =
        text.split('(').map(|part| part.split_once(')').map_or(part, |(_, rest)| rest)).collect();
    let numbers = plain.split(|character: char| !character.is_ascii_digit());
    let refused: Vec<u16> = numbers
        .filter_map(|number| number.parse().ok())
        .filter(|status| (400..500).contains(status))
        .collect();
    let lower = plain.to_ascii_lowercase();
    let first = if lower.contains("first accepted") { vec![200] } else { refused.clone() };
    let others = if refused.is_empty() && lower.contains("accepted") { vec![200] } else { refused };
    let first = if first.is_empty() { others.clone() } else { first };
    let all: Vec<Vec<u16>> = std::iter::once(first).chain(std::iter::repeat(others)).take(count).collect();
    all.iter().all(|statuses| !statuses.is_empty()).then_some(all)
}

/// A gateway that lets in whoever has no token, or good ones of these issuers, of a type perhaps.
fn start(name: &str, keys: &[KeyFile; 2], typ: Option<&str>, tools: &Tools) -> Result<Running, String> {
    let upstream = fixture::upstream()?;
    let ports = fixture::free_ports()?;
    let typ = typ.map(|typ| format!("; typ \"{typ}\"")).unwrap_or_default();
    let issuer = |name: &str, issuer: &str, keys: &KeyFile| {
        format!(
            "jwt {name} {{ issuer \"{issuer}\"; audience \"{}\"; jwks \"{}\"{typ} }}\n",
            input::AUDIENCE,
            keys.path().display()
        )
    };
    let [first, second] = keys;
    let text = format!(
        "mesh cases {{ trust-domain td.test }}\nmodule edge {{ namespace default }}\n{}{}gateway edge {{\n  listener h1 port {} http {{ host \"*\" }}\n  jwt first optional\n  jwt second optional\n}}\nauthorize edge {{ allow from anyone }}\n\
         route edge {{ to up }}\nservice up {{ port 80 http; endpoints static \"{}\" }}\nauthorize up {{ allow from gateway edge }}\n",
        issuer("first", input::FIRST, first),
        issuer("second", input::SECOND, second),
        ports[0],
        upstream.address,
    );
    let setup = Setup {
        name: format!("jwt-{name}"),
        fixture: Fixture::Allow,
        files: vec![("fixture.mesh".to_owned(), text)],
        arguments: ["--gateway", "edge", "--bind", "127.0.0.1"].map(str::to_owned).to_vec(),
        ports,
    };
    Running::launch(setup, upstream, tools)
}

#[cfg(test)]
mod tests {
    use super::expected;

    #[test]
    fn expectations_are_of_all_tokens_or_of_the_first_and_the_others() {
        assert_eq!(expected("401; kid is an opaque map key", 2), Some(vec![vec![401]; 2]));
        assert_eq!(expected("401/431; depth limit 32; no stack overflow", 1), Some(vec![vec![401, 431]]));
        let first = expected("first accepted (case-insensitive scheme), others 401", 3);
        assert_eq!(first, Some(vec![vec![200], vec![401], vec![401]]));
        assert_eq!(expected("ignored as key source; 401 if key unknown", 1), Some(vec![vec![401]]));
        assert_eq!(expected("accepted", 1), Some(vec![vec![200]]));
        assert_eq!(expected("as ever", 1), None);
    }
}
