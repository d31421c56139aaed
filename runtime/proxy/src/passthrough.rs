//! TLS that is passed on unopened: whom a connection is for is known by the name that its client asks for (SNI), and nothing else of it is
//! looked at. What is refused is told so in an alert of TLS, in which there is no word about why.

use crate::client::Client;
use crate::hello::{Alert, Greeted, Hello, greet};
use crate::http1::Closing;
use crate::log::Record;
use crate::serving::{Entrance, Opened};
use crate::tcp::{self, Asks};
use crate::transport::{Begun, Transport};
use crate::worker::Worker;
use mesh_engine::{Entry, callee, canonical};
use mesh_plan::{PlanView, Protocol};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;

/// What a connection says that says no port: none has this number.
const NO_PORT: u16 = 0;

/// Serves a connection that says first whom it is for.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    entrance: Entrance,
    stream: impl Transport,
    client: Rc<Client>,
    mut closing: watch::Receiver<Option<Closing>>,
) {
    match greet(stream, &mut closing).await {
        Greeted::Tls(hello, stream) => {
            pass(worker, entrance.load_full(), stream, client, hello, closing).await;
        }
        Greeted::Other(why, stream) => turn_away(&worker, &entrance.load_full(), &stream, &client, &why),
        Greeted::Gone => {}
    }
}

/// Resets what is no TLS.
pub(crate) fn turn_away(
    worker: &Worker,
    opened: &Opened,
    stream: &impl Transport,
    client: &Client,
    why: &str,
) {
    let mut record = Record::of_connection(worker, opened);
    record.from(client);
    record.failed_handshake(why);
    stream.reset_when_closed();
}

/// Passes a connection on whose beginning is known.
pub(crate) async fn pass<S: Transport>(
    worker: Rc<Worker>,
    opened: Arc<Opened>,
    stream: Begun<S>,
    client: Rc<Client>,
    hello: Hello,
    closing: watch::Receiver<Option<Closing>>,
) {
    let name = hello.name.as_deref().and_then(|name| canonical::host(name).ok());
    let host = name.as_ref().map_or("", |(host, _)| host);
    let asks = match opened.entry {
        // Of whose port it is, nobody asks who is meant.
        Entry::Inbound { .. } => Asks { host, host_port: None, unnamed: None, is_tls: true },
        Entry::Sidecar { service } => {
            let host_port = Some(port(&opened.serving.view, service, host));
            Asks { host, host_port, unnamed: None, is_tls: true }
        }
        Entry::Gateway { .. } | Entry::Call { .. } | Entry::FromGateway { .. } => {
            let alert = match hello.name {
                None => Some(Alert::MissingExtension),
                Some(_) if host.is_empty() => Some(Alert::UnrecognizedName),
                Some(_) => None,
            };
            Asks { host, host_port: None, unnamed: alert, is_tls: true }
        }
    };
    tcp::pass_on(worker, opened, stream, client, asks, closing).await;
}

/// The port of TLS that a service calls by this name: a connection does not say which.
fn port(plan: &PlanView, service: u32, host: &str) -> u16 {
    let Some(caller) = plan.service(service) else { return NO_PORT };
    let ports = caller.calls().iter().zip(0..).filter_map(|(call, index)| {
        let port = plan.service(call.service())?.port(call.port())?;
        let is_meant = port.protocol() == Protocol::Tls
            && callee(plan, service, host, Some(port.number())) == Some(index);
        is_meant.then(|| port.number())
    });
    let mut ports = ports.fuse();
    match (ports.next(), ports.next()) {
        (Some(only), None) => only,
        _ => NO_PORT,
    }
}
