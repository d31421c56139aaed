//! One request, from its head to its answer: canonical, decided, and if so decided, forwarded.

use crate::body::{Outgoing, Passed, Reply};
use crate::edits::{self, Faults};
use crate::framing::{Defect, Watch};
use crate::limits::{self, Counted, Limits};
use crate::log::Record;
use crate::refusal;
use crate::request::{self, Headers, Refused, canonicalize};
use crate::retry::{self, Failure, is_retryable};
use crate::serving::{Opened, Serving};
use crate::upstream::Connection;
use crate::worker::Worker;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Uri, Version};
use mesh_engine::{Action, Address, Edited, Forward, Method, Moment, Peer, decide};
use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// Where and how a request came in.
pub(crate) struct Arrival {
    pub(crate) opened: Arc<Opened>,
    pub(crate) peer: SocketAddr,
    /// What the scan of the bytes has against it.
    pub(crate) defect: Option<Defect>,
    pub(crate) watch: Watch,
}

/// Answers a request.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    arrival: Arrival,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let head_at = Instant::now();
    arrival.watch.cut_at(None);
    let opened = &*arrival.opened;
    let serving = &opened.serving;
    let (mut parts, body) = request.into_parts();
    let mut record = Record::begin(worker.log.as_ref(), serving, &opened.name, &parts.method);

    if let Some(why) = arrival.defect {
        return Ok(refused(&mut record, &Refused { status: StatusCode::BAD_REQUEST, why }));
    }
    let canonical = canonicalize(&mut parts, arrival.peer.ip(), &mut worker.random.borrow_mut());
    let target = match canonical {
        Ok(target) => target,
        Err(why) => return Ok(refused(&mut record, &why)),
    };
    record.asked(&target, request::request_id(&parts.headers));

    let dice = worker.random.borrow_mut().u64(..);
    let method = Method::from_token(parts.method.as_str());
    let asked = mesh_engine::Request {
        method,
        host: &target.host,
        host_port: target.port,
        path: &target.path,
        query: parts.uri.query().unwrap_or_default(),
        headers: &Headers(&parts.headers),
        source_ip: arrival.peer.ip(),
        // Neither forwarded addresses nor tokens are verified yet: plans that ask for them are refused.
        client_ip: None,
        tokens: &[],
    };
    // Until peers are verified by the transport, nobody is anybody: no header can change that.
    let decision = decide(&serving.view, opened.entry, Peer::Unauthenticated, &asked, Moment { dice });
    record.decided_by(&decision.rule, &decision.owner);
    record.audited(&decision.audit);
    let limits = limits::of(&serving.view, opened.entry, &decision);
    let limited = match decision.action {
        Action::Refuse(_) => None,
        _ => too_much(&worker, &limits, &asked, &body, &mut record),
    };

    let mut response = match (limited, decision.action) {
        (Some(refused), _) => refused,
        (None, Action::Forward(forward)) => {
            let path = || decision.edited.path(&serving.view, &target.path);
            record.sent_to(&forward.service, &forward.subset, path);
            let deadline = forward.timeout.map(|millis| head_at + Duration::from_millis(millis.into()));
            arrival.watch.cut_at(deadline);
            let faults = edits::faults(&serving.view, &decision.edited, &mut worker.random.borrow_mut());
            let Some(answered) = on_purpose(faults, deadline, &mut record).await else {
                request::leave_hop(&mut parts.headers);
                edits::of_request(&mut parts, &target, &serving.view, &decision.edited);
                let head = Head { method: parts.method, uri: parts.uri, headers: parts.headers };
                let edited = decision.edited;
                let too_long = Rc::default();
                let body = Outgoing::of(body, limits.max_body, &too_long);
                let call =
                    Call { worker: &worker, serving, forward: &forward, edited, method, head, too_long };
                return Ok(call.answer(body, deadline, record).await);
            };
            answered
        }
        (None, Action::Refuse(refusal)) => {
            record.refused(refusal);
            local(status_of(refusal.status()), refusal::told(refusal, &decision.owner, opened, &target))
        }
        (None, Action::Redirect { status, location: "" }) => {
            let location = edits::location(&target, &serving.view, &decision.edited);
            redirect(&parts, status, &location)
        }
        (None, Action::Redirect { status, location }) => redirect(&parts, status, location),
        (None, Action::Respond { status, body }) => local(status_of(status), body.to_owned()),
    };
    edits::of_response(response.headers_mut(), &serving.view, &decision.edited);
    record.answered(response.status().as_u16());
    Ok(response)
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
    body: &Incoming,
    record: &mut Record,
) -> Option<Response<Reply>> {
    if limits.max_body.is_some_and(|most| body.size_hint().lower() > most) {
        return Some(Failed::TooLong.answer(record));
    }
    match worker.shared.counts.count(limits, asked) {
        Counted::LetIn => None,
        Counted::Told => {
            record.flag("RL-audit");
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

/// The answer to a request about which nothing was decided. Its connection ends: who sends such a request may mean
/// something else by the bytes that follow.
fn refused(record: &mut Record, refused: &Refused) -> Response<Reply> {
    record.answered(refused.status.as_u16());
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
fn local(status: StatusCode, text: impl Into<Bytes>) -> Response<Reply> {
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

/// A request on its way to a destination.
struct Call<'c> {
    worker: &'c Worker,
    serving: &'c Arc<Serving>,
    forward: &'c Forward<'c>,
    edited: Edited,
    method: Method,
    head: Head,
    /// Whether the client's body had more bytes than it may.
    too_long: Rc<Cell<bool>>,
}

struct Head {
    method: hyper::Method,
    uri: Uri,
    headers: HeaderMap,
}

/// The tries of a request so far.
#[derive(Default)]
struct Tries {
    made: u32,
    /// Where the last one went.
    last: Option<Address>,
    /// Where those that failed went.
    failed: Vec<Address>,
    /// Whether one more would have been made, had there been one left.
    exhausted: bool,
}

/// A response head, and the connection that its body comes on.
struct Answer {
    response: Response<Incoming>,
    connection: Connection,
}

/// Why there is no response of an upstream to pass on.
enum Failed {
    /// The destination has no endpoint.
    NoEndpoint,
    Try(Failure),
    /// The client's body broke off.
    Client,
    /// The client's body has more bytes than it may.
    TooLong,
    /// The total timeout passed.
    Timeout,
}

impl Call<'_> {
    async fn answer(
        mut self,
        body: Outgoing,
        deadline: Option<Instant>,
        mut record: Record,
    ) -> Response<Reply> {
        let mut tries = Tries::default();
        let outcome = match deadline {
            // To drop the exchange is to cancel it: its connection closes.
            Some(deadline) => timeout_at(deadline, self.exchange(body, &mut tries)).await,
            None => Ok(self.exchange(body, &mut tries).await),
        };
        record.tried(tries.made, tries.last);
        let response = match outcome.unwrap_or(Err(Failed::Timeout)) {
            Ok(answer) => {
                if tries.exhausted {
                    record.flag("URX");
                }
                record.answered(answer.response.status().as_u16());
                return self.pass(answer, deadline, record);
            }
            Err(_) if self.too_long.get() => Failed::TooLong.answer(&mut record),
            Err(failed) => failed.answer(&mut record),
        };
        if tries.exhausted {
            record.flag("URX");
        }
        record.answered(response.status().as_u16());
        response
    }

    /// Tries, and tries again as the retry policy says.
    async fn exchange(&mut self, body: Outgoing, tries: &mut Tries) -> Result<Answer, Failed> {
        let mut body = Some(body);
        if let Some(retry) = &self.forward.retry {
            self.earn();
            if retry::wants_body(retry, self.method)
                && let Some(streamed) = body.take()
            {
                body = Some(streamed.keep(retry.buffer as usize).await.map_err(|_| Failed::Client)?);
            }
        }
        loop {
            let address = self.next_endpoint(&tries.failed).ok_or(Failed::NoEndpoint)?;
            tries.made += 1;
            tries.last = Some(address);
            let outcome = self.one_try(address, &mut body, tries.made).await;
            let failure = match &outcome {
                Ok(answer) => Failure::Status(answer.response.status().as_u16()),
                Err(Failed::Try(failure)) => *failure,
                Err(_) => return outcome,
            };
            let kept = body.as_ref().is_some_and(|body| body.copy().is_some());
            let Some(wait) = self.wait_before_next(failure, kept, tries) else { return outcome };
            drop(outcome);
            tries.failed.push(address);
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
    }

    fn next_endpoint(&self, failed: &[Address]) -> Option<Address> {
        let mut random = self.worker.random.borrow_mut();
        self.worker.rotation.borrow_mut().next(&self.serving.view, self.forward, failed, &mut random)
    }

    /// One try, within the per-try timeout. That one ends with the response head: afterwards bytes may have gone to the
    /// client, and nothing could be tried again.
    async fn one_try(
        &mut self,
        address: Address,
        body: &mut Option<Outgoing>,
        made: u32,
    ) -> Result<Answer, Failed> {
        let limit = self.forward.retry.as_ref().and_then(|retry| retry.per_try_timeout);
        let attempt = self.send(address, body, made);
        match limit {
            Some(millis) => timeout(Duration::from_millis(millis.into()), attempt)
                .await
                .unwrap_or(Err(Failed::Try(Failure::TryTimeout))),
            None => attempt.await,
        }
    }

    /// Sends the request on an idle connection or a new one, and waits for the response head.
    async fn send(
        &mut self,
        address: Address,
        body: &mut Option<Outgoing>,
        made: u32,
    ) -> Result<Answer, Failed> {
        let pool = &self.worker.pool;
        let mut idle = pool.idle(address);
        let mut unsent = None;
        loop {
            let fresh = idle.is_none();
            let connection = match idle {
                Some(connection) => Ok(connection),
                None => pool.connect(address).await,
            };
            let Ok(mut connection) = connection else {
                give_back(body, unsent);
                return Err(Failed::Try(Failure::Connect));
            };
            let request = match unsent.take() {
                Some(request) => request,
                None => self.head.request(take(body), self.is_last(made)),
            };
            let mut error = match connection.send(request).await {
                Ok(response) => return accept(response, connection),
                Err(error) => error,
            };
            unsent = error.take_message();
            if unsent.is_none() || fresh {
                give_back(body, unsent);
                // The only errors of a user here are those of the body that is passed on.
                let of_client = error.error().is_user();
                return Err(if of_client { Failed::Client } else { Failed::Try(Failure::Reset) });
            }
            // The endpoint had closed this idle connection before anything was sent on it: that was no try.
            idle = pool.idle(address);
        }
    }

    /// Whether no try can follow this one, so that nothing need be kept for it.
    fn is_last(&self, made: u32) -> bool {
        self.forward.retry.as_ref().is_none_or(|retry| made > retry.count)
    }

    /// If another try may follow the one that failed: how long to wait before it.
    fn wait_before_next(&self, failure: Failure, kept: bool, tries: &mut Tries) -> Option<Duration> {
        let retry = self.forward.retry.as_ref()?;
        if !is_retryable(retry, failure, self.method, kept) {
            return None;
        }
        if tries.made > retry.count || !self.pay() {
            tries.exhausted = true;
            return None;
        }
        Some(retry::backoff(retry, tries.made, &mut self.worker.random.borrow_mut()))
    }

    fn earn(&self) {
        self.with_balance(|balance, budget, now| balance.earn(budget, now));
    }

    fn pay(&self) -> bool {
        self.with_balance(|balance, budget, now| balance.pay(budget, now)).unwrap_or(true)
    }

    /// Without a declared budget there is no balance.
    fn with_balance<T>(
        &self,
        act: impl FnOnce(&mut mesh_engine::budget::Balance, &mesh_plan::Budget, Duration) -> T,
    ) -> Option<T> {
        let budget = self.forward.retry.as_ref()?.budget?;
        let service = self.serving.view.service(self.forward.service_index)?;
        let port = service.port(self.forward.port)?.number();
        let mut balances = self.worker.balances.borrow_mut();
        let balance = balances.of(self.forward, port)?;
        Some(act(balance, &budget, self.worker.began.elapsed()))
    }

    /// Passes an upstream's response on.
    fn pass(&self, answer: Answer, deadline: Option<Instant>, record: Record) -> Response<Reply> {
        let (mut parts, incoming) = answer.response.into_parts();
        request::remove_hop_by_hop(&mut parts.headers);
        edits::of_response(&mut parts.headers, &self.serving.view, &self.edited);
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let passed = Passed::new(incoming, answer.connection, deadline, record, self.serving.clone());
        Response::from_parts(parts, Reply::Passed(Box::new(passed)))
    }
}

impl Head {
    /// The request of one try; the last one takes what it needs.
    fn request(&mut self, body: Outgoing, last: bool) -> Request<Outgoing> {
        let chunked = body.is_of_unknown_length();
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = if last { std::mem::take(&mut self.headers) } else { self.headers.clone() };
        if chunked {
            // hyper would send no body with a GET that does not say so.
            request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        request
    }
}

/// The body of a try: a copy where one can be made, else the body itself.
fn take(body: &mut Option<Outgoing>) -> Outgoing {
    body.as_ref().and_then(Outgoing::copy).or_else(|| body.take()).unwrap_or_default()
}

/// Keeps the body of a request that was not sent.
fn give_back(body: &mut Option<Outgoing>, unsent: Option<Request<Outgoing>>) {
    if let (None, Some(request)) = (&body, unsent) {
        *body = Some(request.into_body());
    }
}

/// Refuses a response that another reader could read otherwise, or that would turn the connection into something else.
fn accept(response: Response<Incoming>, connection: Connection) -> Result<Answer, Failed> {
    let headers = response.headers();
    let two_lengths =
        headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING);
    if two_lengths || response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failed::Try(Failure::Reset));
    }
    Ok(Answer { response, connection })
}

impl Failed {
    fn answer(&self, record: &mut Record) -> Response<Reply> {
        let (status, flag, why) = match self {
            Failed::NoEndpoint => (StatusCode::SERVICE_UNAVAILABLE, "UH", "no endpoint"),
            Failed::Try(Failure::Connect) => {
                (StatusCode::SERVICE_UNAVAILABLE, "UF", "the upstream cannot be reached")
            }
            Failed::Try(Failure::TryTimeout) | Failed::Timeout => {
                (StatusCode::GATEWAY_TIMEOUT, "UT", "the upstream took too long")
            }
            Failed::Client => {
                let why = Refused { status: StatusCode::BAD_REQUEST, why: "the body broke off" };
                return refused(record, &why);
            }
            Failed::TooLong => {
                let why = Refused { status: StatusCode::PAYLOAD_TOO_LARGE, why: "the body is too long" };
                return refused(record, &why);
            }
            Failed::Try(Failure::Reset | Failure::Status(_)) => {
                (StatusCode::BAD_GATEWAY, "UC", "the upstream broke off")
            }
        };
        record.flag(flag);
        local(status, why)
    }
}
