//! Requests at a given rate, each with an id of its own, over connections that are kept.

use crate::upstream::ID;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Longer than any timeout that is declared here: what is not answered then never will be.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked for, and how often in proportion to the others.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Bytes of its body.
    pub(crate) body: usize,
    pub(crate) weight: u32,
}

impl Ask {
    pub(crate) fn get(path: &'static str) -> Ask {
        Ask { method: Method::GET, path, headers: vec![], body: 0, weight: 1 }
    }

    pub(crate) fn send(method: Method, path: &'static str, body: usize) -> Ask {
        Ask { method, body, ..Ask::get(path) }
    }

    pub(crate) fn weighing(self, weight: u32) -> Ask {
        Ask { weight, ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Ask {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A load.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    /// As many requests can be under way at once.
    pub(crate) connections: u32,
    /// Requests a second.
    pub(crate) rate: u32,
    pub(crate) time: Duration,
    /// One is drawn for each request, so that they share whatever else the machine does.
    pub(crate) asks: Vec<Ask>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) id: u64,
    /// Which of the asks it was.
    pub(crate) ask: usize,
    /// Of its answer; `None`: there was none, or not all of it.
    pub(crate) status: Option<u16>,
    /// From the request to the last byte of its answer, in microseconds.
    pub(crate) micros: u32,
    /// When it was asked, in microseconds after the beginning.
    pub(crate) at: u32,
}

impl Load {
    /// Asks for the given time, and waits for the answers. Ids count from `first` on.
    pub(crate) fn run(self, first: u64) -> Result<Vec<Outcome>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let load = Rc::new(self);
        LocalSet::new().block_on(&runtime, async {
            let began = Instant::now();
            let each = (0..load.connections)
                .map(|own| tokio::task::spawn_local(load.clone().over_one(own, began, first)));
            let mut outcomes = Vec::new();
            for one in each.collect::<Vec<_>>() {
                outcomes.extend(one.await.map_err(|error| error.to_string())?);
            }
            Ok(outcomes)
        })
    }

    /// The share of one connection. A request that is late is asked at once, so that the rate holds whatever the answers do.
    async fn over_one(self: Rc<Self>, own: u32, began: Instant, first: u64) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut connection = None;
        let every = Duration::from_secs(1) / self.rate;
        let all: u32 = self.asks.iter().map(|ask| ask.weight).sum();
        for turn in 0.. {
            let number = turn * self.connections + own;
            let due = every * number;
            // Answers that are too late for all that is still to be asked are an end, too.
            if due >= self.time || began.elapsed() > self.time + PATIENCE {
                break;
            }
            sleep_until(began + due).await;
            let mut drawn = fastrand::u32(..all);
            let ask = self.asks.iter().position(|ask| match drawn.checked_sub(ask.weight) {
                Some(rest) => {
                    drawn = rest;
                    false
                }
                None => true,
            });
            let ask = ask.unwrap_or_default();
            let id = first + u64::from(number);
            let asked = Instant::now();
            let answered = timeout(PATIENCE, self.ask(&mut connection, &self.asks[ask], id)).await;
            let status = answered.ok().flatten();
            if status.is_none() {
                connection = None;
            }
            let (micros, at) = (asked.elapsed().as_micros(), (asked - began).as_micros());
            outcomes.push(Outcome { id, ask, status, micros: micros as u32, at: at as u32 });
        }
        outcomes
    }

    async fn ask(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        ask: &Ask,
        id: u64,
    ) -> Option<u16> {
        if connection.as_ref().is_none_or(SendRequest::is_closed) {
            *connection = Some(open(self.address).await?);
        }
        let sender = connection.as_mut()?;
        sender.ready().await.ok()?;
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(ask.path)
            .header(header::HOST, "load.test")
            .header(ID, id);
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(vec![b'x'; ask.body])).ok()?;
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.ok()?;
        Some(status)
    }
}

async fn open(address: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    tokio::task::spawn_local(connection);
    Some(sender)
}
