//! Connections in which nobody looks for requests: each is decided about once, then bytes go both ways. The endpoint is connected to at
//! once, so that whichever side speaks first is heard. What is refused is reset: there is no other way to say no, but where TLS is passed on.

use crate::affinity::Affinity;
use crate::authority::{self, Question, counting};
use crate::balance::Chosen;
use crate::body::Activity;
use crate::breaker::{Counted, Overflow};
use crate::client::Client;
use crate::destination::{Destination, NoEndpoint, Tries};
use crate::hello::Alert;
use crate::http1::{Closing, end};
use crate::limits;
use crate::log::{RL_AUDIT, Record};
use crate::retry::Failure;
use crate::serving::{Entrance, Opened};
use crate::transport::{Transport, Wire};
use crate::tunnel::{Bounds, tunnel};
use crate::upstream::stream_to;
use crate::worker::Worker;
use mesh_engine::balance::outliers::Seen;
use mesh_engine::{Action, Headers, Method, Moment, Refusal, Request, decide_at};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::sleep;

/// What a connection says of whom it is for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asks<'a> {
    pub(crate) host: &'a str,
    pub(crate) host_port: Option<u16>,
    /// What it is told, where it has to name somebody and does not.
    pub(crate) unnamed: Option<Alert>,
    /// Whether its client can be told in TLS that it is refused.
    pub(crate) is_tls: bool,
}

/// Serves a connection that says nothing of whom it is for.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    entrance: Entrance,
    stream: impl Transport,
    client: Rc<Client>,
    closing: watch::Receiver<Option<Closing>>,
) {
    pass_on(worker, entrance.load_full(), stream, client, Asks::default(), closing).await;
}

/// Serves a connection until it ends, or for as long as a door that closes waits.
pub(crate) async fn pass_on(
    worker: Rc<Worker>,
    opened: Arc<Opened>,
    stream: impl Transport,
    client: Rc<Client>,
    asks: Asks<'_>,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    let mut record = Record::of_connection(&worker, &opened);
    record.from(&client);
    record.asked_for(asks.host);
    tokio::select! {
        () = pass(&worker, &opened, stream, &client, asks, &mut record) => {}
        () = end(&mut closing) => record.flag("DC"),
    }
}

/// Resets a connection that is refused before anything of it is read, because of what it is: what the plan says of a caller that is
/// nobody is logged.
pub(crate) fn turn_away(worker: &Worker, opened: &Opened, stream: &impl Transport, client: &Client) {
    let mut record = Record::of_connection(worker, opened);
    let moment = Moment { dice: worker.random.borrow_mut().u64(..) };
    let asked = asked(opened, client, Asks::default());
    let decision = decide_at(&opened.serving.view, &opened.resolved, &asked, moment);
    record.decided_by(decision.rule, decision.owner);
    record.flag("UAEX");
    stream.reset_when_closed();
}

/// A connection, as it is decided about.
fn asked<'a>(opened: &Opened, client: &Client, asks: Asks<'a>) -> Request<'a> {
    Request {
        method: Method::Other,
        host: asks.host,
        host_port: asks.host_port,
        path: "",
        query: "",
        headers: &NONE,
        source_ip: client.address.ip(),
        caller_ip: opened.caller_ip(client),
        client_ip: None,
        tokens: &[],
    }
}

async fn pass(
    worker: &Worker,
    opened: &Arc<Opened>,
    stream: impl Transport,
    client: &Client,
    asks: Asks<'_>,
    record: &mut Record,
) {
    let serving = &opened.serving;
    if let Some(alert) = asks.unnamed {
        record.refused(Refusal::NoRoute);
        return tell(stream, alert).await;
    }
    let asked = asked(opened, client, asks);
    let moment = Moment { dice: worker.random.borrow_mut().u64(..) };
    let decision = decide_at(&serving.view, &client.resolved(opened), &asked, moment);
    record.decided_by(decision.rule, decision.owner);
    record.audited(&decision.audit);
    let limits = limits::of(&serving.view, opened.entry, &decision);
    let forward = match &decision.action {
        Action::Forward(forward) => forward,
        Action::Refuse(refusal) => {
            record.refused(*refusal);
            return match refusal {
                Refusal::NoRoute if asks.is_tls => tell(stream, Alert::UnrecognizedName).await,
                _ if asks.is_tls => tell(stream, Alert::AccessDenied).await,
                _ => stream.reset_when_closed(),
            };
        }
        // No rule of a connection answers.
        Action::Redirect { .. } | Action::Respond { .. } => return stream.reset_when_closed(),
    };
    record.sent_to(&forward.service, &forward.subset, || "");
    match worker.shared.counts.count(&limits, &asked, client.source(opened)) {
        limits::Counted::LetIn => {}
        limits::Counted::Told => record.flag(RL_AUDIT),
        limits::Counted::Refused(_) => {
            record.flag("RL");
            return stream.reset_when_closed();
        }
    }
    let source = client.source(opened);
    if !limits.global.is_empty()
        && Box::pin(counting::ask(worker, opened, &limits, &asked, source, record)).await.is_err()
    {
        return stream.reset_when_closed();
    }
    if decision.asked_by != mesh_plan::NONE {
        let question = Question { opened, client, request: None, sni: asks.host, size: None };
        if Box::pin(authority::ask(worker, &decision, &question, record)).await.is_err() {
            match asks.is_tls {
                true => tell(stream, Alert::AccessDenied).await,
                false => stream.reset_when_closed(),
            }
            return;
        }
    }
    let affinity = Affinity::of(&serving.view, forward, &asked, &mut worker.random.borrow_mut());
    let to = Destination::of(worker, opened, forward, affinity.key, asks.host);
    let mut tries = Tries::default();
    let connected = connect(&to, &mut tries).await;
    record.tried(tries.made, tries.last);
    if tries.exhausted {
        record.flag("URX");
    }
    // The endpoint and the limits are taken until the connection ends.
    match connected {
        Ok((upstream, _taken)) => {
            let activity = Activity::now();
            let bounds = Bounds { deadline: None, idle: to.idle_time(), activity: &activity };
            if let Some(flag) = tunnel(stream, [], upstream, &bounds).await {
                record.flag(flag);
            }
        }
        Err(flag) => {
            to.why_not().iter().for_each(|why| record.tls_failed(why));
            record.flag(flag);
            stream.reset_when_closed();
        }
    }
}

/// Says to a client of TLS that it is refused, and ends.
async fn tell(mut stream: impl Transport, alert: Alert) {
    // One who does not hear it sees an end.
    let _ = stream.write_all(&alert.bytes()).await;
    let _ = stream.shutdown().await;
}

/// What a connection holds while it lasts.
type Taken = (Vec<Counted>, Vec<Counted>, Chosen);

/// Connects to an endpoint, and to another one as the retry policy says. The error is a flag.
async fn connect(to: &Destination<'_>, tries: &mut Tries) -> Result<(Wire, Taken), &'static str> {
    let overflow = |_: Overflow| "UO";
    let admitted = to.breakers.admit().map_err(overflow)?;
    if to.retry.is_some() {
        to.earn();
    }
    loop {
        let chosen = match to.next(tries) {
            Some(chosen) => chosen,
            None => Box::pin(to.next_named(tries)).await.map_err(|why| match why {
                NoEndpoint::IsUsable => "UH",
                NoEndpoint::IsKnown => "DF",
            })?,
        };
        let (address, of) = (chosen.address, chosen.of);
        let (pool, room) = (&to.worker.pool, &to.worker.shared.room);
        let place = to.breakers.place(pool, room).await.map_err(overflow)?;
        let began = to.worker.began.elapsed();
        let made = stream_to(&to.origin(address)).await;
        tries.under_way = None;
        let now = to.worker.began.elapsed();
        let stream = made.map_err(|why| to.tell_why(why)).ok();
        chosen.took(now, now.saturating_sub(began), stream.is_none());
        let seen = if stream.is_some() { Seen::Success } else { Seen::GatewayError };
        to.judges.see(address, of, seen);
        if let Some(stream) = stream {
            return Ok((stream, (admitted, place, chosen)));
        }
        let wait = to.wait_before_next(Failure::Connect, Method::Other, true, tries).ok_or("UF")?;
        tries.failed.push(address);
        if wait > Duration::ZERO {
            sleep(wait).await;
        }
    }
}

/// A connection has no headers.
struct NoHeaders;

const NONE: NoHeaders = NoHeaders;

impl Headers for NoHeaders {
    fn each_line(&self, _: &[u8], _: &mut dyn FnMut(&[u8])) {}
}
