//! External authorization: services that are asked whether a request may pass, after the plan has let it in (`spec/semantics.md` 12.4); and those
//! that count for all proxies, asked in the same way.
//!
//! One that speaks gRPC is asked by `envoy.service.auth.v3.Authorization/Check`, one that speaks HTTP by the head of the request itself; so what
//! answers Envoy answers here. Nothing of a body is sent, and none is waited for.

pub(crate) mod counting;
mod counts;
mod fields;
mod grpc;
mod http;
mod message;
mod sending;
mod unary;

use crate::client::Client;
use crate::forward::local;
use crate::log::Record;
use crate::reply::Reply;
use crate::request::Target;
use crate::serving::Opened;
use crate::worker::Worker;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use mesh_engine::Decision;
use sending::Authority;

/// What is asked about.
pub(crate) struct Question<'q> {
    pub(crate) opened: &'q Opened,
    pub(crate) client: &'q Client,
    /// The request and what it asks for; `None` of a connection.
    pub(crate) request: Option<(&'q Parts, &'q Target)>,
    /// Whom a connection of TLS asks for.
    pub(crate) sni: &'q str,
    /// Bytes of the body, where they are known.
    pub(crate) size: Option<u64>,
}

/// What those who agree add to a request and to its response.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Additions {
    request: Vec<Change>,
    /// Headers of the response.
    response: Vec<(HeaderName, HeaderValue)>,
}

/// What becomes of a header of the request.
#[derive(Debug, PartialEq)]
enum Change {
    /// It has this value and no other.
    Set(HeaderName, HeaderValue),
    /// It has this value, too.
    Append(HeaderName, HeaderValue),
    Remove(HeaderName),
}

/// What an authority says.
enum Said {
    Yes(Additions),
    No(Response<Reply>),
}

/// Why it says nothing that counts, in a word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unanswered {
    /// Its time passed.
    Timeout,
    /// There is no endpoint, or no connection could be made.
    Unreachable,
    /// The connection broke before there was an answer.
    Reset,
    /// Its circuit breaker has no room.
    Overflow,
    /// What came back is no answer: a 5xx, a status of gRPC, or bytes that mean nothing.
    Error,
}

impl Unanswered {
    fn word(self) -> &'static str {
        match self {
            Unanswered::Timeout => "timeout",
            Unanswered::Unreachable => "unreachable",
            Unanswered::Reset => "reset",
            Unanswered::Overflow => "overflow",
            Unanswered::Error => "error",
        }
    }
}

/// Asks all who have to agree, one after the other. `Err`: the answer of the first who does not.
pub(crate) async fn ask(
    worker: &Worker,
    decision: &Decision<'_>,
    question: &Question<'_>,
    record: &mut Record,
) -> Result<Additions, Response<Reply>> {
    let mut additions = Additions::default();
    for own in decision.asks(&question.opened.serving.view) {
        let own = own.to_value();
        let said = match Authority::of(question.opened, &own) {
            Some(authority) if authority.speaks_grpc() => grpc::ask(worker, &authority, question).await,
            Some(authority) => http::ask(worker, &authority, question).await,
            None => Err(Unanswered::Unreachable),
        };
        match said {
            Ok(Said::Yes(added)) => {
                record.agreed(&own.name, "allow");
                additions.join(added);
            }
            Ok(Said::No(response)) => {
                record.agreed(&own.name, "deny");
                return Err(refused(&own.name, response, record));
            }
            Err(why) if own.lets_in_on_failure => record.agreed(&own.name, &format!("{}, allow", why.word())),
            Err(why) => {
                record.agreed(&own.name, &format!("{}, deny", why.word()));
                let text = format!("denied: ext-authz {} does not answer", own.name);
                return Err(refused(&own.name, local(StatusCode::FORBIDDEN, text), record));
            }
        }
    }
    Ok(additions)
}

fn refused(name: &str, response: Response<Reply>, record: &mut Record) -> Response<Reply> {
    record.flag("UAEX");
    record.decided_here(format!("ext-authz {name}"));
    response
}

impl Additions {
    /// Makes the changes to a request.
    pub(crate) fn make(&self, headers: &mut HeaderMap) {
        for change in &self.request {
            match change {
                Change::Set(name, value) => drop(headers.insert(name, value.clone())),
                Change::Append(name, value) => drop(headers.append(name, value.clone())),
                Change::Remove(name) => drop(headers.remove(name)),
            }
        }
    }

    /// Adds to the head of a response.
    pub(crate) fn add(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.response {
            headers.append(name, value.clone());
        }
    }

    /// With what others add.
    pub(crate) fn join(&mut self, other: Additions) {
        self.request.extend(other.request);
        self.response.extend(other.response);
    }

    /// What the response has besides.
    pub(crate) fn into_response(self) -> Box<[(HeaderName, HeaderValue)]> {
        self.response.into_boxed_slice()
    }
}

/// Headers that no authority writes: what frames a message, what names its host, and what this proxy alone knows.
fn is_ours(name: &HeaderName) -> bool {
    use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
    let framing = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    let name = name.as_str();
    framing.iter().any(|own| own == name)
        || ["keep-alive", "proxy-connection", "http2-settings", "x-request-id", "forwarded"].contains(&name)
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-mesh-")
}
