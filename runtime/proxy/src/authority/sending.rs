//! A question on its way to an endpoint of the service that is asked, and its whole answer.

use super::Unanswered;
use crate::body::Outgoing;
use crate::breaker::{Got, Overflow};
use crate::destination::{Destination, Tries};
use crate::head::Head;
use crate::serving::Opened;
use crate::upstream::Connection;
use crate::worker::Worker;
use hyper::body::{Body as _, Bytes};
use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};
use mesh_engine::balance::outliers::Seen;
use mesh_engine::{Address, Forward};
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Bytes of an answer: more than anybody has to say about a request, few enough to be kept for all that are under way.
const MAX_ANSWER: usize = 64 * 1024;
/// Tries where no connection is made, or where it breaks: a question changes nothing, so it may be asked again.
const MAX_TRIES: u32 = 2;

/// Where somebody is asked.
pub(super) struct Authority<'p> {
    opened: &'p Opened,
    forward: Forward<'p>,
    grpc: bool,
    /// How long an answer is waited for.
    most: Duration,
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) head: Response<()>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
}

impl<'p> Authority<'p> {
    /// `None`: the plan contradicts itself.
    pub(super) fn of(opened: &'p Opened, own: &mesh_plan::Authority) -> Option<Authority<'p>> {
        let view = &opened.serving.view;
        let forward = Forward::straight(view, own.service, own.port)?;
        let grpc = view.service(own.service)?.port(own.port)?.protocol() == mesh_plan::Protocol::Grpc;
        Some(Authority { opened, forward, grpc, most: Duration::from_millis(own.timeout.into()) })
    }

    pub(super) fn speaks_grpc(&self) -> bool {
        self.grpc
    }

    pub(super) fn most(&self) -> Duration {
        self.most
    }

    /// `name.namespace` of the service that is asked.
    pub(super) fn host(&self) -> &str {
        self.forward.service.as_str()
    }

    /// Sends a question to one endpoint, and if need be to another, by what its service says of load balancing, breakers and outliers.
    pub(super) async fn send(
        &self,
        worker: &Worker,
        mut head: Head,
        body: &Bytes,
    ) -> Result<Answer, Unanswered> {
        let to = Destination::of_question(worker, self.opened, &self.forward);
        let _admitted = to.breakers.admit().map_err(|Overflow| Unanswered::Overflow)?;
        let mut tries = Tries::default();
        let deadline = Instant::now() + self.most;
        loop {
            let chosen = match to.next(&mut tries) {
                Some(chosen) => chosen,
                // Its endpoints may be known by names that nobody has answered for yet.
                None => {
                    let named = timeout_at(deadline, to.next_named(&mut tries)).await;
                    named.map_err(|_| Unanswered::Timeout)?.map_err(|_| Unanswered::Unreachable)?
                }
            };
            let (address, of, began) = (chosen.address, chosen.of, worker.began.elapsed());
            // An endpoint that says nothing is judged like one that breaks off.
            let answered = timeout_at(deadline, one_try(&to, address, &mut head, body)).await;
            let answered = answered.unwrap_or(Err(Unanswered::Timeout));
            let now = worker.began.elapsed();
            let failed = answered.as_ref().map_or(true, |answer| answer.head.status().is_server_error());
            chosen.took(now, now.saturating_sub(began), failed);
            to.judges.see(address, of, seen(&answered));
            match answered {
                Err(Unanswered::Unreachable | Unanswered::Reset) if tries.made < MAX_TRIES => {
                    tries.failed.push(address);
                }
                answered => return answered,
            }
        }
    }
}

/// What an answer says of its endpoint.
fn seen(answered: &Result<Answer, Unanswered>) -> Seen {
    match answered {
        Ok(answer) => match answer.head.status() {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Seen::GatewayError
            }
            status if status.is_server_error() => Seen::ServerError,
            _ => Seen::Success,
        },
        Err(_) => Seen::GatewayError,
    }
}

async fn one_try(
    to: &Destination<'_>,
    address: Address,
    head: &mut Head,
    body: &Bytes,
) -> Result<Answer, Unanswered> {
    let (pool, room, origin) = (&to.worker.pool, &to.worker.shared.room, to.origin(address));
    let outgoing = || if body.is_empty() { Outgoing::Empty } else { Outgoing::Kept(body.clone()) };
    let mut idle = pool.idle(&origin);
    loop {
        let (mut connection, fresh) = match idle {
            Some(connection) => (connection, false),
            None => match to.breakers.connection(pool, room, &origin).await {
                Ok(Got::Idle(connection)) => (connection, false),
                Ok(Got::New(connection)) => (connection, true),
                Ok(Got::Nothing(_)) => return Err(Unanswered::Unreachable),
                Err(Overflow) => return Err(Unanswered::Overflow),
            },
        };
        match connection.send(head.request(outgoing(), &origin, false)).await {
            Ok(response) => return read(response, connection).await,
            // The endpoint had closed an idle connection before anything was sent on it.
            Err(not_answered) if not_answered.unsent.is_some() && !fresh => idle = pool.idle(&origin),
            Err(_) => return Err(Unanswered::Reset),
        }
    }
}

/// Reads an answer to its end, after which its connection can be used again.
async fn read(head: Response<()>, mut connection: Connection) -> Result<Answer, Unanswered> {
    let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut connection).poll_frame(cx)).await {
        match frame.map_err(|_| Unanswered::Reset)?.into_data() {
            Ok(data) if body.len() + data.len() <= MAX_ANSWER => body.extend_from_slice(&data),
            Ok(_) => return Err(Unanswered::Error),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    connection.give_back();
    Ok(Answer { head, body, trailers })
}
