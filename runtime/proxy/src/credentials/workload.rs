//! Identities of an agent on this machine, by the SPIFFE Workload API: certificates, keys and roots, sent anew whenever one of them changes.
//! They are kept in memory alone, and used as long as they last.

mod message;
mod stream;

use super::asking::pause;
use super::text::{certificates, crl, key, material, roots};
use crate::args::Args;
use crate::say;
use mesh_engine::SpiffeId;
use mesh_proxy::Identity;
use message::{Answer, Own};
use std::sync::Arc;
pub(crate) use stream::Endpoint;
use stream::{Stream, Trouble};
use tokio::time::sleep;

/// Where the agent is, if no flag says it (SPIFFE Workload Endpoint 4).
const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";

/// A workload of an agent.
pub(crate) struct Workload {
    endpoint: Endpoint,
    identities: Vec<Arc<Identity>>,
    stream: Stream,
}

impl Workload {
    /// The one of the flags, or of the variable; waits for an agent that is not there or does not know this process yet.
    pub(super) async fn of(args: &Args) -> Result<Option<Workload>, String> {
        let endpoint = match &args.workload_api {
            Some(endpoint) => endpoint.clone(),
            None => match std::env::var(VARIABLE) {
                Ok(text) if !text.is_empty() => {
                    Endpoint::read(&text).map_err(|why| format!("{VARIABLE} is `{text}`: {why}"))?
                }
                _ => return Ok(None),
            },
        };
        let mut failures: u32 = 0;
        loop {
            match first(&endpoint).await {
                Ok((identities, stream)) => return Ok(Some(Workload { endpoint, identities, stream })),
                Err(Trouble::Final(why)) => return Err(format!("{endpoint} gives no certificate: {why}")),
                Err(Trouble::Passing(why)) => {
                    if failures == 0 {
                        say(&format!("waiting for a certificate of {endpoint}: {why}"));
                    }
                    sleep(pause(failures)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    pub(super) fn identities(&self) -> Vec<Arc<Identity>> {
        self.identities.clone()
    }

    /// Takes over what the agent sends.
    pub(super) async fn follow(mut self) {
        let mut failures: u32 = 0;
        loop {
            let trouble = match self.stream.next().await {
                Ok(answer) => {
                    failures = 0;
                    self.take(&answer);
                    continue;
                }
                Err(trouble) => trouble,
            };
            // A stream that ends is opened again at once (4.2); what goes on failing is told about once.
            if failures == 1 || matches!(trouble, Trouble::Final(_)) {
                say(&format!(
                    "{} sends nothing: {}; what it sent serves as long as it lasts",
                    self.endpoint,
                    trouble.why()
                ));
            }
            if matches!(trouble, Trouble::Final(_)) {
                return;
            }
            loop {
                sleep(pause(failures)).await;
                failures = failures.saturating_add(1);
                match Stream::open(&self.endpoint).await {
                    Ok(stream) => {
                        self.stream = stream;
                        break;
                    }
                    Err(trouble) if failures == 1 => {
                        say(&format!(
                            "{} is gone: {}; what it sent serves as long as it lasts",
                            self.endpoint,
                            trouble.why()
                        ));
                    }
                    Err(_) => {}
                }
            }
        }
    }

    /// Replaces each identity by what the agent sends of it.
    fn take(&self, answer: &Answer) {
        let texts = match texts(answer) {
            Ok(texts) => texts,
            Err(why) => return say(&format!("what {} sent is not taken over: {why}", self.endpoint)),
        };
        for identity in &self.identities {
            let Some((_, text)) = texts.iter().find(|(id, _)| id == identity.id()) else {
                say(&format!(
                    "{} no longer sends a certificate of {}; the one before serves as long as it lasts",
                    self.endpoint,
                    identity.id()
                ));
                continue;
            };
            match identity.renew(&material(text)) {
                Ok(()) => say(&format!("took over another certificate of {}", identity.id())),
                Err(why) => say(&format!("a certificate of {} is not taken over: {why}", identity.id())),
            }
        }
    }
}

/// The first message, and the stream on which the others come.
async fn first(endpoint: &Endpoint) -> Result<(Vec<Arc<Identity>>, Stream), Trouble> {
    let mut stream = Stream::open(endpoint).await?;
    let answer = stream.next().await?;
    let identities = texts(&answer).and_then(|texts| {
        let identity = |(id, text): (String, String)| {
            let identity = Identity::new(&material(&text)).map_err(|error| format!("{id}: {error}"))?;
            (identity.id() == id)
                .then_some(identity)
                .ok_or_else(|| format!("{id} has a certificate of another one"))
        };
        texts.into_iter().map(identity).collect::<Result<Vec<_>, _>>()
    });
    Ok((identities.map_err(Trouble::Passing)?, stream))
}

/// Each identity with its text. A message in which something is missing is none (4.5).
fn texts(answer: &Answer) -> Result<Vec<(String, String)>, String> {
    if answer.svids.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    let mut federated = String::new();
    for (id, bundle) in &answer.federated {
        let read = SpiffeId::read(id).filter(|read| !read.is_workload);
        let read = read.ok_or_else(|| format!("`{id}` is no trust domain"))?;
        federated.push_str(&roots(Some(read.trust_domain), bundle)?);
    }
    let crls = answer.crls.iter().map(|list| crl(list)).collect::<Result<String, _>>()?;
    let text = |own: &Own| {
        let whole = || {
            if [&own.chain, &own.key, &own.bundle].into_iter().any(Vec::is_empty) {
                return Err("something of it is missing".to_owned());
            }
            Ok(format!(
                "{}{}{}{crls}{federated}",
                key(&own.key)?,
                certificates(&own.chain)?,
                roots(None, &own.bundle)?
            ))
        };
        match SpiffeId::read(&own.id) {
            Some(read) if read.is_workload => whole().map_err(|why| format!("{}: {why}", own.id)),
            _ => Err("a certificate is not said to be of a workload".to_owned()),
        }
        .map(|text| (own.id.clone(), text))
    };
    answer.svids.iter().map(text).collect()
}
