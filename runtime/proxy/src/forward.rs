//! One request, from its head to its answer: canonical, decided, and if so decided, forwarded.

use crate::affinity::Affinity;
use crate::authority::{self, Additions, Question, counting};
use crate::body::{Activity, Arriving, Outgoing};
use crate::call::{Call, Failed};
use crate::client::Client;
use crate::cors::{self, Allowed};
use crate::destination::Destination;
use crate::edits::{self, Faults};
use crate::forwarded::Forwarded;
use crate::framing::Defect;
use crate::grpc;
use crate::head::Head;
use crate::http2::Stream;
use crate::jwt::{self, Checked};
use crate::limits::{self, Counted, Limits};
use crate::log::{RL_AUDIT, Record};
use crate::mirror;
use crate::refusal;
use crate::reply::Reply;
use crate::request::{self, Headers, Refused, canonicalize};
use crate::serving::{Opened, Serving};
use crate::websocket::{self, Slot};
use crate::worker::Worker;
use hyper::body::{Body as _, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use mesh_engine::{Action, Decision, Forward, Method, Moment, Refusal, decide_at};
use mesh_plan::view::Text;
use mesh_plan::{NONE, PlanView};
use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Where and how a request came in.
pub(crate) struct Arrival {
    pub(crate) opened: Arc<Opened>,
    pub(crate) client: Rc<Client>,
    /// What the scan of the bytes has against it.
    pub(crate) defect: Option<Defect>,
    pub(crate) way: Way,
}

/// What brings a request and takes its response.
pub(crate) enum Way {
    /// An HTTP/1.1 connection, and where it is left what it becomes.
    Connection { cut_at: Rc<Cell<Option<Instant>>>, slot: Slot },
    /// A stream of an HTTP/2 connection, and, where its request asks to become a WebSocket, where it is left that it has.
    Stream(Rc<Stream>, Option<Slot>),
}

impl Way {
    /// When the response must have been written; `None`: no limit.
    fn cut_at(&self, deadline: Option<Instant>) {
        match self {
            Way::Connection { cut_at, .. } => cut_at.set(deadline),
            Way::Stream(stream, _) => stream.cut_at(deadline),
        }
    }

    fn slot(&self) -> Option<&Slot> {
        match self {
            Way::Connection { slot, .. } => Some(slot),
            Way::Stream(_, slot) => slot.as_ref(),
        }
    }

    /// Whether it is a stream that asks for a WebSocket and for nothing else.
    fn is_for_websocket(&self) -> bool {
        matches!(self, Way::Stream(_, Some(_)))
    }
}

/// Answers a request, in the way in which its client reads answers.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    arrival: Arrival,
    request: Request<Arriving>,
) -> Result<Response<Reply>, Infallible> {
    // What is to become a WebSocket is no call, whatever it says of its content.
    let is_grpc = !arrival.way.is_for_websocket() && grpc::is_asked(request.version(), request.headers());
    let response = decided(worker, arrival, request, is_grpc).await;
    Ok(if is_grpc { grpc::answer(response) } else { response })
}

async fn decided(
    worker: Rc<Worker>,
    arrival: Arrival,
    request: Request<Arriving>,
    is_grpc: bool,
) -> Response<Reply> {
    let head_at = Instant::now();
    arrival.way.cut_at(None);
    let opened = &arrival.opened;
    let serving = &opened.serving;
    let (mut parts, body) = request.into_parts();
    let mut record = Record::begin(&worker, opened, &parts.method);
    record.from(&arrival.client);
    if is_grpc {
        record.is_grpc();
    }
    if let Some(Defect { status, why }) = arrival.defect {
        // The request is one that stands for another, of which nothing is known.
        record.is_malformed();
        return no_request(&mut record, &Refused { status: status_of(status), why, resets: false });
    }
    if is_grpc && !grpc::is_method(&parts.uri) {
        let why = "the target is no method of gRPC";
        return no_request(&mut record, &Refused { status: StatusCode::BAD_REQUEST, why, resets: false });
    }
    let Some(under_way) = worker.begin() else {
        record.flag("OM");
        record.decided_here("limit requests".to_owned());
        let mut response = local(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way here");
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        record.answered_here(response.status());
        return response;
    };
    let forwarded = Forwarded::of(opened, &arrival.client, &parts.headers);
    let client_ip = forwarded.client;
    record.is_for(client_ip);
    let scheme = arrival.client.scheme();
    let relaxed = |host: &str, port| mesh_engine::relaxed(&serving.view, opened.entry, host, port);
    let canonical = canonicalize(&mut parts, &arrival.client, &mut worker.random.borrow_mut(), relaxed);
    let target = match canonical {
        Ok(target) if arrival.client.is_misdirected(&target.host) => {
            record.asked(&target, request::request_id(&parts.headers));
            return no_request(&mut record, &request::MISDIRECTED);
        }
        Ok(target) => target,
        Err(why) => return no_request(&mut record, &why),
    };
    forwarded.write(&mut parts.headers);
    record.asked(&target, request::request_id(&parts.headers));
    let waits = if is_grpc { grpc::timeout(&parts.headers) } else { Ok(None) };
    let waits = match waits {
        Ok(waits) => waits,
        Err(why) => return no_request(&mut record, &why),
    };

    let dice = worker.random.borrow_mut().u64(..);
    let method = Method::from_token(parts.method.as_str());
    let headers = Headers::of(&parts.headers);
    let asked = mesh_engine::Request {
        method,
        host: &target.host,
        host_port: target.port,
        path: &target.path,
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        source_ip: arrival.client.address.ip(),
        caller_ip: opened.caller_ip(&arrival.client),
        client_ip,
        tokens: &[],
    };
    if let Some((headers, rule)) = cors::preflight(&serving.view, opened.entry, &asked, &parts.headers, dice)
    {
        record.decided_by(rule, Text::EMPTY);
        record.answered_here(StatusCode::NO_CONTENT);
        let mut response = local(StatusCode::NO_CONTENT, "");
        *response.headers_mut() = headers;
        return response;
    }
    // The node has no tokens.
    let is_probe = opened.tokens.verifies()
        && opened.is_probed()
        && decide_at(&serving.view, &arrival.client.resolved(opened), &asked, Moment { dice }).is_probe;
    // Kept apart, because most doors verify none.
    let checked = match opened.tokens.verifies() && !is_probe {
        true => Box::pin(opened.tokens.check(&parts)).await,
        false => Ok(Checked::default()),
    };
    let checked = match checked {
        Ok(checked) => checked,
        Err(refused) => return no_token(&mut record, &refused),
    };
    let lists = jwt::lists(&checked.verified);
    let claims = jwt::values(&checked.verified, &lists);
    let tokens = jwt::tokens(&checked.verified, &claims);
    let asked = mesh_engine::Request { tokens: &tokens, ..asked };
    let decision = decide_at(&serving.view, &arrival.client.resolved(opened), &asked, Moment { dice });
    if headers.were_doubtful() && !matches!(decision.action, Action::Refuse(_)) {
        return no_request(&mut record, &request::DOUBTFUL);
    }
    record.decided_by(decision.rule, decision.owner);
    record.audited(&decision.audit);
    if let Some(refused) = opened.tokens.refusal(&checked, &decision) {
        return no_token(&mut record, refused);
    }
    let allowed = Allowed::of(&serving.view, &decision.edited, &parts.headers);
    let limits = limits::of(&serving.view, opened.entry, &decision);
    let limited = match is_refused(&decision) {
        true => None,
        false => too_much(&worker, &limits, &asked, arrival.client.source(opened), &body, &mut record),
    };

    let asks_nobody = limits.global.is_empty() && decision.asked_by == NONE;
    let (additions, limited) = match limited {
        Some(refused) => (Additions::default(), Some(refused)),
        None if asks_nobody || is_refused(&decision) => (Additions::default(), None),
        None => {
            let (client, request) = (arrival.client.as_ref(), Some((&parts, &target)));
            let question = Question { opened, client, request, sni: "", size: body.size_hint().exact() };
            // Kept apart, because few requests are asked about.
            Box::pin(ask_others(&worker, &decision, &limits, &asked, &question, &mut record)).await
        }
    };

    // At the service itself nobody knows what let it come: that is its caller's rule, and a probe has none.
    let lets_upgrade = match opened.application {
        Some(_) => !decision.is_probe,
        None => websocket::is_let(&serving.view, &decision.edited),
    };
    let mut response = match (limited, decision.action) {
        (Some(refused), _) => refused,
        (None, action) if arrival.way.is_for_websocket() && !may_become_one(&action, lets_upgrade) => {
            local(StatusCode::NOT_IMPLEMENTED, "nothing here becomes a WebSocket")
        }
        (None, Action::Forward(forward)) if is_of_connections(&serving.view, &forward) => {
            record.refused(Refusal::UndeclaredCall);
            let told = refusal::told(Refusal::UndeclaredCall, &decision.owner, opened, &target);
            local(StatusCode::FORBIDDEN, told)
        }
        (None, Action::Forward(forward)) => {
            let path = || decision.edited.path(&serving.view, &target.path);
            record.sent_to(&forward.service, &forward.subset, path);
            // At the service itself nobody knows what its caller may have declared instead.
            let declared = forward.timeout().filter(|_| opened.application.is_none());
            let declared = declared.map(|millis| Duration::from_millis(millis.into()));
            // Nobody waits for longer than that.
            let patience = declared.into_iter().chain(waits).min();
            let deadline = patience.map(|patience| head_at + patience);
            arrival.way.cut_at(deadline);
            let faults = edits::faults(&serving.view, &decision.edited, &mut worker.random.borrow_mut());
            let affinity = Affinity::of(&serving.view, &forward, &asked, &mut worker.random.borrow_mut());
            let Some(answered) = on_purpose(faults, deadline, &mut record).await else {
                let edited = decision.edited;
                let view = &serving.view;
                let host = edited.host(view, &target.host);
                let to = Destination::of(&worker, opened, &forward, affinity.key, host);
                let on_stream = arrival.way.is_for_websocket();
                let asks = |parts: &Parts| websocket::is_asked(&parts.method, parts.version, &parts.headers);
                let upgrades = lets_upgrade && (on_stream || asks(&parts));
                request::leave_hop(&mut parts.headers);
                match is_probe {
                    true => opened.tokens.take_off_unverified(&mut parts),
                    false => opened.tokens.take_off(&checked, &mut parts, &forward.service),
                }
                additions.make(&mut parts.headers);
                edits::of_request(&mut parts, &target, view, &edited);
                if upgrades && !to.http2 {
                    websocket::write(&mut parts.headers);
                }
                if on_stream && !to.http2 {
                    let key = websocket::key(&mut worker.random.borrow_mut());
                    parts.headers.insert(header::SEC_WEBSOCKET_KEY, key);
                }
                let head = Head { method: parts.method, uri: parts.uri, headers: parts.headers };
                let (fate, activity) = (Rc::default(), Activity::now());
                let mut body = Outgoing::of(body, limits.max_body, &fate, &activity);
                mirror::send(&worker, opened, &edited, &head, &mut body);
                let mut call = Call {
                    to,
                    edited,
                    method,
                    head,
                    cookie: affinity.issued,
                    allowed,
                    added: additions.into_response(),
                    upgrades: arrival.way.slot().filter(|_| upgrades),
                    only_upgrades: on_stream,
                    activity,
                    fate,
                    deadline,
                    is_grpc,
                    under_way: Some(under_way),
                };
                return call.answer(body, record).await;
            };
            answered
        }
        (None, Action::Refuse(refusal)) => {
            record.refused(refusal);
            local(status_of(refusal.status()), refusal::told(refusal, &decision.owner, opened, &target))
        }
        (None, Action::Redirect { status, location: "" }) => {
            let location = edits::location(&target, scheme, &serving.view, &decision.edited);
            redirect(&parts, status, &location)
        }
        (None, Action::Redirect { status, location }) => redirect(&parts, status, location),
        (None, Action::Respond { status, body }) => local(status_of(status), body.to_owned()),
    };
    edits::of_response(response.headers_mut(), &serving.view, &decision.edited);
    additions.add(response.headers_mut());
    if let Some(allowed) = &allowed {
        allowed.write(response.headers_mut());
    }
    record.answered_here(response.status());
    response
}

/// Has a request counted by those whom its limits name, and asks those who have to agree to it: what they add, and what the first who refuses it
/// answers.
async fn ask_others(
    worker: &Worker,
    decision: &Decision<'_>,
    limits: &Limits<'_>,
    asked: &mesh_engine::Request<'_>,
    question: &Question<'_>,
    record: &mut Record,
) -> (Additions, Option<Response<Reply>>) {
    let (opened, source) = (question.opened, question.client.source(question.opened));
    let mut additions = match counting::ask(worker, opened, limits, asked, source, record).await {
        Ok(additions) => additions,
        Err(refused) => return (Additions::default(), Some(refused)),
    };
    match authority::ask(worker, decision, question, record).await {
        Ok(agreed) => {
            additions.join(agreed);
            (additions, None)
        }
        Err(refused) => (additions, Some(refused)),
    }
}

fn is_refused(decision: &Decision<'_>) -> bool {
    matches!(decision.action, Action::Refuse(_))
}

/// Whether what is decided of a stream that asks for a WebSocket can be answered: any response with a status of success makes it one.
fn may_become_one(action: &Action<'_>, is_let: bool) -> bool {
    match action {
        Action::Forward(_) => is_let,
        Action::Respond { status, .. } => !status_of(*status).is_success(),
        Action::Redirect { .. } | Action::Refuse(_) => true,
    }
}

/// Whether nothing in what goes there is a request: a call of such a port covers connections, and no requests.
fn is_of_connections(view: &PlanView, forward: &Forward<'_>) -> bool {
    let port = view.service(forward.service_index).and_then(|service| service.port(forward.port));
    port.is_some_and(|port| port.protocol().sees_connections())
}

/// Says which plan decided, to whoever asked for the answer.
pub(crate) fn say_plan(headers: &mut HeaderMap, serving: &Serving) {
    if let Ok(digest) = HeaderValue::try_from(&serving.digest) {
        headers.insert(PLAN, digest);
    }
}

/// The header that says which plan decided; a service's own of this name is not passed on.
const PLAN: HeaderName = HeaderName::from_static("x-mesh-plan");

/// Counts a request, and answers it if it is one too many, or says that its body is too long.
fn too_much(
    worker: &Worker,
    limits: &Limits<'_>,
    asked: &mesh_engine::Request<'_>,
    source: &str,
    body: &Arriving,
    record: &mut Record,
) -> Option<Response<Reply>> {
    if limits.max_body.is_some_and(|most| body.size_hint().lower() > most) {
        return Some(Failed::TooLong.answer(record));
    }
    match worker.shared.counts.count(limits, asked, source) {
        Counted::LetIn => None,
        Counted::Told => {
            record.flag(RL_AUDIT);
            None
        }
        Counted::Refused(wait) => {
            record.flag("RL");
            let mut response = local(StatusCode::TOO_MANY_REQUESTS, "too many requests");
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Some(response)
        }
    }
}

/// Delays a request, and answers it, if a fault says so. A delay counts for the timeout.
async fn on_purpose(
    faults: Faults,
    deadline: Option<Instant>,
    record: &mut Record,
) -> Option<Response<Reply>> {
    if let Some(delay) = faults.delay {
        record.flag("DI");
        let until = Instant::now() + delay;
        sleep_until(deadline.map_or(until, |deadline| deadline.min(until))).await;
        if deadline.is_some_and(|deadline| deadline <= until) {
            return Some(Failed::Timeout.answer(record));
        }
    }
    let status = status_of(faults.abort?);
    record.flag("FI");
    Some(local(status, "fault filter abort"))
}

/// The answer to what is no request.
fn no_request(record: &mut Record, why: &Refused) -> Response<Reply> {
    record.flag("DPE");
    let mut response = refused(record, why);
    if why.resets {
        response.extensions_mut().insert(Malformed);
    }
    response
}

/// The answer to a request whose token is not there or not good (RFC 6750 3). Which it was is told, and no more: why stands in the log.
fn no_token(record: &mut Record, refused: &jwt::Refused) -> Response<Reply> {
    record.flag("UAEX");
    record.decided_here(format!("jwt {}: {}", refused.name, refused.why));
    record.answered_here(refused.status);
    let text = match (refused.status, refused.was_there) {
        (StatusCode::UNAUTHORIZED, false) => "a token is needed",
        (StatusCode::UNAUTHORIZED, true) => "the token is not valid",
        _ => "tokens cannot be verified now",
    };
    let mut response = local(refused.status, text);
    if refused.status == StatusCode::UNAUTHORIZED {
        let error = if refused.was_there { ", error=\"invalid_token\"" } else { "" };
        if let Ok(challenge) = HeaderValue::try_from(format!("Bearer realm=\"{}\"{error}", refused.name)) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

/// Says of an answer that its stream is reset instead.
#[derive(Clone, Copy)]
pub(crate) struct Malformed;

/// The answer to a request about which nothing was decided. Its connection ends: who sends such a request may mean
/// something else by the bytes that follow.
pub(crate) fn refused(record: &mut Record, refused: &Refused) -> Response<Reply> {
    record.answered_here(refused.status);
    let mut response = closing(local(refused.status, refused.why.to_owned()));
    if refused.status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// The query of the request is appended to the location, before its fragment.
fn redirect(parts: &Parts, status: u16, location: &str) -> Response<Reply> {
    let (place, fragment) = match location.split_once('#') {
        Some((place, fragment)) => (place, format!("#{fragment}")),
        None => (location, String::new()),
    };
    let whole = match parts.uri.query() {
        Some(query) => {
            let joint = if place.contains('?') { '&' } else { '?' };
            format!("{place}{joint}{query}{fragment}")
        }
        None => location.to_owned(),
    };
    let mut response = local(status_of(status), "");
    if let Ok(value) = HeaderValue::try_from(whole) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An answer of our own: plain text on one line.
pub(crate) fn local(status: StatusCode, text: impl Into<Bytes>) -> Response<Reply> {
    let text: Bytes = text.into();
    let plain = !text.is_empty();
    let mut response = Response::new(Reply::Local(text));
    *response.status_mut() = status;
    if plain {
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// The last answer on a connection.
pub(crate) fn closing(mut response: Response<Reply>) -> Response<Reply> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
