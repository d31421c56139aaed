//! Connections in which nobody looks for requests: each is decided about once, then bytes go both ways. The endpoint is connected to at
//! once, so that whichever side speaks first is heard. What is refused is reset: there is no other way to say no.

use crate::affinity::Affinity;
use crate::balance::Chosen;
use crate::body::Activity;
use crate::breaker::{Counted, Overflow};
use crate::client::Client;
use crate::destination::{Destination, Tries};
use crate::http1::{Closing, end};
use crate::limits;
use crate::log::Record;
use crate::retry::Failure;
use crate::serving::{Entrance, Opened};
use crate::transport::{Transport, Wire};
use crate::tunnel::{Bounds, tunnel};
use crate::upstream::stream_to;
use crate::worker::Worker;
use mesh_engine::balance::outliers::Seen;
use mesh_engine::{Action, Headers, Method, Moment, Request, decide_at};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Serves a connection until it ends, or for as long as a door that closes waits.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    entrance: Entrance,
    stream: impl Transport,
    client: Rc<Client>,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    let opened = entrance.load_full();
    let mut record = Record::of_connection(worker.log.as_ref(), &opened.serving, &opened.name);
    record.from(&client);
    tokio::select! {
        () = pass(&worker, &opened, stream, &client, &mut record) => {}
        () = end(&mut closing) => record.flag("DC"),
    }
}

/// Resets a connection that is refused before anything of it is read, because of what it is: what the plan says of a caller that is
/// nobody is logged.
pub(crate) fn turn_away(worker: &Worker, opened: &Opened, stream: &impl Transport, client: &Client) {
    let mut record = Record::of_connection(worker.log.as_ref(), &opened.serving, &opened.name);
    let moment = Moment { dice: worker.random.borrow_mut().u64(..) };
    let decision = decide_at(&opened.serving.view, &opened.resolved, &asked(client), moment);
    record.decided_by(&decision.rule, &decision.owner);
    record.flag("UAEX");
    stream.reset_when_closed();
}

/// A connection, as it is decided about.
fn asked(client: &Client) -> Request<'static> {
    Request {
        method: Method::Other,
        host: "",
        host_port: None,
        path: "",
        query: "",
        headers: &NONE,
        source_ip: client.address.ip(),
        client_ip: None,
        tokens: &[],
    }
}

async fn pass(
    worker: &Worker,
    opened: &Arc<Opened>,
    stream: impl Transport,
    client: &Client,
    record: &mut Record,
) {
    let serving = &opened.serving;
    let asked = asked(client);
    let moment = Moment { dice: worker.random.borrow_mut().u64(..) };
    let decision = decide_at(&serving.view, &client.resolved(opened), &asked, moment);
    record.decided_by(&decision.rule, &decision.owner);
    record.audited(&decision.audit);
    let limits = limits::of(&serving.view, opened.entry, &decision);
    let forward = match decision.action {
        Action::Forward(forward) => forward,
        Action::Refuse(refusal) => {
            record.refused(refusal);
            return stream.reset_when_closed();
        }
        // No rule of a connection answers.
        Action::Redirect { .. } | Action::Respond { .. } => return stream.reset_when_closed(),
    };
    record.sent_to(&forward.service, &forward.subset, || "");
    match worker.shared.counts.count(&limits, &asked, client.source(opened)) {
        limits::Counted::LetIn => {}
        limits::Counted::Told => record.flag("RL-audit"),
        limits::Counted::Refused(_) => {
            record.flag("RL");
            return stream.reset_when_closed();
        }
    }
    let affinity = Affinity::of(&serving.view, &forward, &asked, &mut worker.random.borrow_mut());
    let to = Destination::of(worker, opened, &forward, affinity.key);
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
            if let Some(flag) = tunnel(stream, &[], upstream, &bounds).await {
                record.flag(flag);
            }
        }
        Err(flag) => {
            record.flag(flag);
            stream.reset_when_closed();
        }
    }
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
        let chosen = to.next(tries).ok_or("UH")?;
        let (address, of) = (chosen.address, chosen.of);
        let (pool, room) = (&to.worker.pool, &to.worker.shared.room);
        let place = to.breakers.place(pool, room).await.map_err(overflow)?;
        let began = to.worker.began.elapsed();
        let made = stream_to(&to.origin(address)).await;
        tries.under_way = None;
        let now = to.worker.began.elapsed();
        let stream = made.ok();
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
