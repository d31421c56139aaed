//! A WebSocket that a client of HTTP/2 asks for (RFC 8441), to an upstream of HTTP/1.1: who agrees to it has to have been asked, in its own words.

use super::connection::{self, Script};
use super::frames::{END_HEADERS, HEADERS, block, frame};
use crate::expect::Expect;
use crate::fixture::Running;
use crate::oracles::{Before, Seen};
use crate::requests::Request;
use crate::upstream::Plays;
use crate::verdict::Verdict;

/// Of 16 bytes in base64 (RFC 6455 4.1).
const KEY: usize = 24;

/// Asks twice: the upstream agrees as it should, and to something else.
pub(super) fn play(expect: &str, running: &mut Running) -> Verdict {
    let has = |words: &str| expect.contains(words);
    let (generated, verified, mapped) = (has("generated"), has("verified"), has("mapped"));
    if !(generated || verified || mapped) {
        return Verdict::Failed(vec![format!("not understood: `{expect}`")]);
    }
    let (mut wrong, mut keys) = (Vec::new(), Vec::new());
    for good in [true, false, true] {
        let (status, seen) = match one(good, running) {
            Ok(both) => both,
            Err(why) => return Verdict::Failed(vec![why]),
        };
        wrong.extend(seen.broken().iter().cloned());
        let is_agreed = status == Some(200);
        if is_agreed != good && (verified && !good || mapped && good) {
            wrong.push(format!(
                "an upstream that agrees {} ends as {status:?}",
                if good { "well" } else { "to another key" }
            ));
        }
        match seen.requests.as_slice() {
            [request] => {
                wrong.extend(unlike_a_websocket(request));
                keys.extend(request.values("sec-websocket-key").map(<[u8]>::to_vec));
            }
            other => wrong.push(format!("{} requests reach the upstream", other.len())),
        }
    }
    let of_its_own =
        |key: &Vec<u8>| key.len() == KEY && keys.iter().filter(|other| *other == key).count() == 1;
    if generated && (keys.len() != 3 || !keys.iter().all(of_its_own)) {
        wrong.push("the upstream is not asked with a key of its own each time".to_owned());
    }
    Verdict::of(wrong, vec![])
}

fn one(good: bool, running: &mut Running) -> Result<(Option<u16>, Seen), String> {
    running.upstream.begin(Plays::WebSocket { good });
    let before = Before::now(running, &Expect::default());
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/public/ws"),
        ("sec-websocket-version", "13"),
    ];
    let fields: Vec<_> =
        fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).into();
    let script = Script::bytes(frame(HEADERS, END_HEADERS, 1, &block(&fields)));
    let outcome = connection::play(running.h2, script, 1)?;
    running.upstream.play(Plays::default());
    Ok((outcome.streams.get(&1).and_then(|stream| stream.status), before.seen(running)))
}

fn unlike_a_websocket(request: &Request) -> Option<String> {
    let has =
        |name: &str, value: &str| request.values(name).any(|own| own.eq_ignore_ascii_case(value.as_bytes()));
    let is_one = request.method == "GET"
        && request.target == "/public/ws"
        && has("upgrade", "websocket")
        && has("connection", "upgrade")
        && has("sec-websocket-version", "13");
    (!is_one).then(|| {
        format!("the upstream is asked {} {} and not for a WebSocket", request.method, request.target)
    })
}
