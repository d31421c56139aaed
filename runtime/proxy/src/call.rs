//! A request on its way to a destination: an endpoint chosen, a connection, tries, and the response passed on.

use crate::balance::Chosen;
use crate::body::{Activity, Fate, Outgoing};
use crate::breaker::{Counted, Got, Overflow};
use crate::cors::Allowed;
use crate::destination::{Destination, NoEndpoint, Tries};
use crate::edits;
use crate::forward::{local, refused};
use crate::grpc;
use crate::head::Head;
use crate::log::Record;
use crate::reply::{Kept, Passed, Reply};
use crate::request::{self, Refused};
use crate::retry::{self, Failure};
use crate::upstream::{Connection, Why};
use crate::websocket::{self, Agreed, Asked, Slot};
use crate::worker::Open;
use hyper::body::{Body as _, Bytes, Frame};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};
use mesh_engine::balance::outliers::Seen;
use mesh_engine::{Address, Edited, Method};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// A request on its way to a destination.
pub(crate) struct Call<'c> {
    pub(crate) to: Destination<'c>,
    pub(crate) edited: Edited,
    pub(crate) method: Method,
    pub(crate) head: Head,
    /// A cookie for the client.
    pub(crate) cookie: Option<HeaderValue>,
    /// What the response says to a browser.
    pub(crate) allowed: Option<Allowed<'c>>,
    /// What it has besides, because of who was asked about the request.
    pub(crate) added: Box<[(HeaderName, HeaderValue)]>,
    /// Where to leave it what the connection becomes, if the request may and wants that.
    pub(crate) upgrades: Option<&'c Slot>,
    /// Whether it wants nothing else: then any other success is none.
    pub(crate) only_upgrades: bool,
    pub(crate) activity: Activity,
    /// What became of the client's body.
    pub(crate) fate: Rc<Cell<Fate>>,
    /// When the response has to be there.
    pub(crate) deadline: Option<Instant>,
    /// Whether it is a call of gRPC, which says at its end how it went.
    pub(crate) is_grpc: bool,
    /// Its place among the requests of the worker.
    pub(crate) under_way: Option<Open>,
}

/// A response head, the connection that its body comes on, and the endpoint that it is from.
struct Answer {
    sent: Sent,
    chosen: Chosen,
}

/// What came back.
struct Sent {
    response: Response<()>,
    /// Also the body.
    connection: Connection,
    /// What is behind the head, where somebody had to know it.
    first: Option<Frame<Bytes>>,
}

impl Sent {
    /// How a call of gRPC ended, if that is known: in the head, or where nothing else is behind it.
    fn grpc_status(&self) -> Option<u16> {
        let trailers = self.first.as_ref().and_then(Frame::trailers_ref);
        grpc::status(self.response.headers()).or_else(|| grpc::status(trailers?))
    }
}

/// Why there is no response of an upstream to pass on.
pub(crate) enum Failed {
    /// The destination has no endpoint, or all are left out.
    NoEndpoint,
    /// Nobody knows where the destination is: its names have no addresses.
    NoAddress,
    /// A circuit breaker has no room for it.
    Overflow,
    Try(Failure),
    /// The endpoint says that nothing of it becomes a WebSocket.
    NoWebSocket,
    /// The client's body broke off.
    Client,
    /// The client's body has more bytes than it may.
    TooLong,
    /// The total timeout passed.
    Timeout,
    /// Nothing passed for as long as the idle timeout.
    Silent,
}

impl Call<'_> {
    pub(crate) async fn answer(&mut self, body: Outgoing, mut record: Record) -> Response<Reply> {
        let mut tries = Tries::default();
        let outcome = match self.to.breakers.admit() {
            Err(Overflow) => Err(Failed::Overflow),
            Ok(admitted) => {
                let deadline = self.deadline;
                let exchanged = tokio::select! {
                    biased;
                    exchanged = self.exchange(body, &mut tries) => exchanged,
                    // To drop the exchange is to cancel it: its connection closes.
                    () = until(deadline) => Err(Failed::Timeout),
                };
                exchanged.map(|answer| (answer, admitted))
            }
        };
        if let (Err(Failed::Timeout), Some((address, of))) = (&outcome, tries.under_way) {
            self.to.judges.see(address, of, Seen::GatewayError);
        }
        record.tried(tries.made, tries.last);
        let response = match outcome {
            Ok((answer, admitted)) => {
                if tries.exhausted {
                    record.flag("URX");
                }
                record.answered(answer.sent.response.status().as_u16());
                record.ended(answer.sent.response.headers());
                return self.pass(answer, admitted, record);
            }
            Err(Failed::Try(Failure::Connect)) => {
                self.to.why_not().iter().for_each(|why| record.tls_failed(why));
                Failed::Try(Failure::Connect).answer(&mut record)
            }
            Err(_) if self.fate.get() == Fate::TooLong => Failed::TooLong.answer(&mut record),
            Err(failed) => failed.answer(&mut record),
        };
        if tries.exhausted {
            record.flag("URX");
        }
        record.answered_here(response.status());
        response
    }

    /// Tries, and tries again as the retry policy says.
    async fn exchange(&mut self, body: Outgoing, tries: &mut Tries) -> Result<Answer, Failed> {
        let mut body = Some(body);
        if let Some(retry) = &self.to.retry {
            self.to.earn();
            if retry::wants_body(retry, self.method) {
                body = body.map(|body| body.remember(retry.buffer as usize));
            }
        }
        loop {
            let chosen = match self.to.next(tries) {
                Some(chosen) => chosen,
                // Kept apart, because few requests wait and all would have room for it.
                None => Box::pin(self.to.next_named(tries)).await?,
            };
            let (address, of) = (chosen.address, chosen.of);
            let outcome = self.one_try(chosen, &mut body, tries.made).await;
            tries.under_way = None;
            let failure = match &outcome {
                Ok(answer) => match answer.sent.grpc_status().filter(|_| self.is_grpc) {
                    Some(status) if status > 0 => Failure::Grpc(status),
                    _ => Failure::Status(answer.sent.response.status().as_u16()),
                },
                Err(Failed::Try(failure)) => *failure,
                Err(Failed::Silent) => {
                    self.to.judges.see(address, of, Seen::GatewayError);
                    return outcome;
                }
                Err(_) => return outcome,
            };
            if !outcome.as_ref().is_ok_and(|answer| self.says_at_its_end(&answer.sent)) {
                self.to.judges.see(address, of, seen(failure));
            }
            let kept = body.as_ref().is_some_and(Outgoing::can_be_sent_again);
            let Some(wait) = self.to.wait_before_next(failure, self.method, kept, tries) else {
                return outcome;
            };
            drop(outcome);
            tries.failed.push(address);
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
    }

    /// One try, within the per-try timeout. That one ends with the response head: afterwards bytes may have gone to the
    /// client, and nothing could be tried again.
    async fn one_try(
        &mut self,
        chosen: Chosen,
        body: &mut Option<Outgoing>,
        made: u32,
    ) -> Result<Answer, Failed> {
        let began = self.to.worker.began.elapsed();
        let limit = self.to.retry.as_ref().and_then(|retry| retry.per_try_timeout);
        let limit = limit.map(|millis| Instant::now() + Duration::from_millis(millis.into()));
        let (idle, activity) = (self.to.idle_time(), self.activity.clone());
        activity.touch();
        // One future that is not moved, whatever holds for it: what is copied on the way to an endpoint is copied for each request.
        let sent = tokio::select! {
            biased;
            sent = self.head_of_answer(chosen.address, body, made) => sent,
            () = until(limit) => Err(Failed::Try(Failure::TryTimeout)),
            () = activity.silence(idle) => Err(Failed::Silent),
        };
        let now = self.to.worker.began.elapsed();
        let failed = sent.as_ref().map_or(true, |sent| sent.response.status().is_server_error());
        chosen.took(now, now.saturating_sub(began), failed);
        sent.map(|sent| Answer { sent, chosen })
    }

    /// Whether it is not known yet how a call went.
    fn says_at_its_end(&self, sent: &Sent) -> bool {
        self.is_grpc && sent.response.status() == StatusCode::OK && sent.grpc_status().is_none()
    }

    /// Sends the request, and waits for the response head; for what is behind it too, where only that says how a call went.
    async fn head_of_answer(
        &mut self,
        address: Address,
        body: &mut Option<Outgoing>,
        made: u32,
    ) -> Result<Sent, Failed> {
        let peeks = self.is_grpc && self.to.retry.as_ref().is_some_and(retry::hears_grpc);
        let mut sent = self.send(address, body, made).await?;
        if peeks && sent.grpc_status().is_none() {
            let first = poll_fn(|cx| Pin::new(&mut sent.connection).poll_frame(cx)).await;
            sent.first = first.transpose().map_err(|_| Failed::Try(Failure::Reset))?;
        }
        Ok(sent)
    }

    /// Sends the request on an idle connection or a new one, and waits for the response head.
    async fn send(
        &mut self,
        address: Address,
        body: &mut Option<Outgoing>,
        made: u32,
    ) -> Result<Sent, Failed> {
        let Destination { worker, breakers, .. } = &self.to;
        let (pool, room, origin) = (&worker.pool, &worker.shared.room, self.to.origin(address));
        // Before the head is given away.
        let asked = match self.upgrades {
            Some(_) => Asked::with(&self.head.headers, origin.http2),
            None => Asked::Response,
        };
        let mut idle = pool.idle(&origin);
        let mut unsent = None;
        loop {
            let got = match idle {
                Some(connection) => Ok(Got::Idle(connection)),
                // Kept apart, because few requests need one and all would have room for it.
                None => Box::pin(breakers.connection(pool, room, &origin)).await,
            };
            let (mut connection, fresh) = match got {
                Ok(Got::Idle(connection)) => (connection, false),
                Ok(Got::New(connection)) => (connection, true),
                Ok(Got::Nothing(why)) => {
                    give_back(body, unsent);
                    self.to.tell_why(why);
                    return Err(Failed::Try(Failure::Connect));
                }
                Err(Overflow) => return Err(Failed::Overflow),
            };
            let is_for_stream = matches!(asked, Asked::Stream(_));
            if is_for_stream && !connection.may_become_tunnel() {
                give_back(body, unsent);
                return Err(Failed::NoWebSocket);
            }
            let mut request = match unsent.take() {
                Some(request) => *request,
                None => {
                    // What an idle connection of HTTP/1.1 did not take comes back whole.
                    let is_last = (fresh || !origin.http2) && self.is_last(made);
                    self.head.request(take(body), &origin, is_last)
                }
            };
            if is_for_stream {
                websocket::ask_on_stream(&mut request);
            }
            if let Some(deadline) = self.deadline {
                grpc::lower_timeout(
                    request.headers_mut(),
                    deadline.saturating_duration_since(Instant::now()),
                );
            }
            let not_answered = match connection.send(request).await {
                Ok(response) => return accept(response, connection, &asked, self.only_upgrades),
                Err(not_answered) => not_answered,
            };
            let why = not_answered.why;
            unsent = not_answered.unsent;
            let is_untouched = unsent.is_some()
                || why == Why::Refused && body.as_ref().is_some_and(Outgoing::can_be_sent_again);
            if !is_untouched || fresh {
                give_back(body, unsent);
                let of_client = why == Why::Body || self.fate.get() != Fate::Whole;
                return Err(if of_client { Failed::Client } else { Failed::Try(Failure::Reset) });
            }
            // The endpoint had closed this connection before anything was sent on it, or has said that it looked at nothing of it: that
            // was no try.
            idle = pool.idle(&origin);
        }
    }

    /// Whether no try can follow this one, so that nothing need be kept for it.
    fn is_last(&self, made: u32) -> bool {
        self.to.retry.as_ref().is_none_or(|retry| made > retry.count)
    }

    /// Passes an upstream's response on.
    fn pass(&mut self, answer: Answer, admitted: Vec<Counted>, record: Record) -> Response<Reply> {
        let deadline = self.deadline;
        let says_at_its_end = self.says_at_its_end(&answer.sent);
        let Answer { sent: Sent { response, connection, first }, chosen } = answer;
        let (mut parts, ()) = response.into_parts();
        request::remove_hop_by_hop(&mut parts.headers);
        if let Some(cookie) = &self.cookie {
            parts.headers.append(header::SET_COOKIE, cookie.clone());
        }
        edits::of_response(&mut parts.headers, &self.to.serving.view, &self.edited);
        for (name, value) in &self.added {
            parts.headers.append(name, value.clone());
        }
        if let Some(allowed) = &self.allowed {
            allowed.write(&mut parts.headers);
        }
        parts.version = Version::HTTP_11;
        parts.extensions.clear();
        let (activity, idle) = (self.activity.clone(), self.to.idle_time());
        let judges = self.to.judges.clone();
        let kept = Kept {
            chosen,
            judges,
            says_at_its_end,
            activity,
            _admitted: admitted,
            _under_way: self.under_way.take(),
            _plan: self.to.serving.clone(),
        };
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(slot)) = (parts.status, self.upgrades) {
            websocket::write(&mut parts.headers);
            slot.replace(Some(Box::new(Agreed { connection, record, kept, deadline, idle })));
            return Response::from_parts(parts, Reply::Local(Bytes::new()));
        }
        let passed = Passed::new((first, connection), deadline, idle, record, kept);
        Response::from_parts(parts, Reply::Passed(Box::new(passed)))
    }
}

/// Ends at the deadline, if there is one.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// The body of a try: from its beginning where it can be sent again, else the body itself.
fn take(body: &mut Option<Outgoing>) -> Outgoing {
    body.as_ref().and_then(Outgoing::again).or_else(|| body.take()).unwrap_or_default()
}

/// Keeps the body of a request that was not sent.
fn give_back(body: &mut Option<Outgoing>, unsent: Option<Box<Request<Outgoing>>>) {
    if let (None, Some(request)) = (&body, unsent) {
        *body = Some(request.into_body());
    }
}

/// Refuses a response that another reader could read otherwise, or that would turn the connection into something else.
fn accept(
    mut response: Response<()>,
    connection: Connection,
    asked: &Asked,
    only_upgrades: bool,
) -> Result<Sent, Failed> {
    let headers = response.headers();
    let two_lengths =
        headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING);
    let is_answer = asked.is_answered(&mut response);
    if two_lengths || !is_answer || only_upgrades && response.status().is_success() {
        return Err(Failed::Try(Failure::Reset));
    }
    Ok(Sent { response, connection, first: None })
}

impl From<NoEndpoint> for Failed {
    fn from(why: NoEndpoint) -> Failed {
        match why {
            NoEndpoint::IsUsable => Failed::NoEndpoint,
            NoEndpoint::IsKnown => Failed::NoAddress,
        }
    }
}

/// What a failure says of the endpoint.
fn seen(failure: Failure) -> Seen {
    match failure {
        Failure::Connect | Failure::Reset | Failure::TryTimeout => Seen::GatewayError,
        Failure::Status(status) => Seen::of_status(status),
        Failure::Grpc(status) => Seen::of_status(grpc::as_http(status).as_u16()),
    }
}

impl Failed {
    pub(crate) fn answer(&self, record: &mut Record) -> Response<Reply> {
        let (status, flag, why) = match self {
            Failed::NoEndpoint => (StatusCode::SERVICE_UNAVAILABLE, "UH", "no endpoint"),
            Failed::NoAddress => {
                (StatusCode::SERVICE_UNAVAILABLE, "DF", "the upstream's name has no address")
            }
            Failed::Overflow => {
                (StatusCode::SERVICE_UNAVAILABLE, "UO", "too much is under way to the upstream")
            }
            Failed::Try(Failure::Connect) => {
                (StatusCode::SERVICE_UNAVAILABLE, "UF", "the upstream cannot be reached")
            }
            Failed::Silent => (StatusCode::GATEWAY_TIMEOUT, "SI", "nothing came for too long"),
            Failed::Try(Failure::TryTimeout) | Failed::Timeout => {
                (StatusCode::GATEWAY_TIMEOUT, "UT", "the upstream took too long")
            }
            Failed::Client => {
                let why =
                    Refused { status: StatusCode::BAD_REQUEST, why: "the body broke off", resets: false };
                return refused(record, &why);
            }
            Failed::TooLong => {
                let why = Refused {
                    status: StatusCode::PAYLOAD_TOO_LARGE,
                    why: "the body is too long",
                    resets: false,
                };
                return refused(record, &why);
            }
            Failed::NoWebSocket => {
                (StatusCode::BAD_GATEWAY, "UC", "the upstream's streams become no WebSockets")
            }
            Failed::Try(Failure::Reset | Failure::Status(_) | Failure::Grpc(_)) => {
                (StatusCode::BAD_GATEWAY, "UC", "the upstream broke off")
            }
        };
        record.flag(flag);
        local(status, why)
    }
}
