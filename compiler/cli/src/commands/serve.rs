//! `mesh serve`: a signed plan handed out, to each proxy what it needs, and what became of it.

mod answers;
mod proxies;
mod release;

use super::listening::{self, stamp};
use super::running::{interrupts, runtime, trouble};
use crate::OK;
use crate::args::Serve;
use crate::commands::plan::{Found, keys, open, unusable};
use crate::failure::Failure;
use crate::output::{Output, count};
use answers::Service;
use mesh_plan::bundle::{Bundle, Trust};
use release::Release;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// How often the plan's file is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

pub(crate) fn run(serve: &Serve, output: &mut Output<'_>) -> Result<u8, Failure> {
    if output.for_program() {
        return Err(Failure::new(
            "mesh serve does not print JSON: it speaks to a person until it is stopped",
            "Use --format human, short or plain (or MESH_FORMAT); it answers programs at /v1/proxies.",
        ));
    }
    let trust =
        Trust { keys: keys::public(&serve.keys)?, environment: serve.environment.clone(), last: None };
    let mut stamp = stamp(&serve.file).ok();
    let release = load(&serve.file, &trust)?;
    let runtime = runtime("start")?;
    let interrupts = interrupts(&runtime)?;
    let service = Service::new(release);
    let address = runtime.block_on(async {
        let listener = listening::bind(serve.listen).await?;
        let address = listener.local_addr().map_err(|error| trouble("listen", &error))?;
        let tls = serve.tls_cert.as_deref().zip(serve.tls_key.as_deref());
        let tls = tls.map(|(certificate, key)| listening::tls(certificate, key)).transpose()?;
        tokio::spawn(listening::accept(listener, tls, service.clone()));
        Ok::<_, Failure>(address)
    })?;
    let scheme = if serve.tls_cert.is_some() { "https" } else { "http" };
    output.data(&format!("{scheme}://{address}"));
    output.say(&said(&service.release()));
    while let Err(RecvTimeoutError::Timeout) = interrupts.recv_timeout(INTERVAL) {
        service.proxies().heard().iter().for_each(|line| output.say(line));
        let now = listening::stamp(&serve.file).ok();
        if now.is_some() && now != stamp {
            stamp = now;
            renew(serve, &trust, &service, output);
        }
    }
    Ok(OK)
}

/// Hands out what is in the file now, or says why the last good one stays.
fn renew(serve: &Serve, trust: &Trust, service: &Arc<Service>, output: &mut Output<'_>) {
    let last = Some(service.release().statement().clone());
    match load(&serve.file, &Trust { last, ..trust.clone() }) {
        Ok(release) if release.is_same(&service.release()) => {}
        Ok(release) => {
            service.renew(release);
            output.say(&said(&service.release()));
        }
        Err(failure) => {
            let generation = service.release().statement().generation;
            output.say(&format!("{}; generation {generation} is still handed out", failure.message));
        }
    }
}

fn said(release: &Release) -> String {
    let statement = release.statement();
    let environment = statement.environment.as_ref().map(|name| format!(" for {name}"));
    let signed = match release.signatures() {
        0 => "not signed".to_owned(),
        signatures => count(signatures, "signature"),
    };
    let parts = count(statement.parts as usize, "part");
    let environment = environment.unwrap_or_default();
    format!("generation {}{environment}: {parts}, {signed}", statement.generation)
}

/// A signed plan, or one as `mesh build` wrote it: that is generation 0, which no proxy with a pinned key takes.
fn load(path: &Path, trust: &Trust) -> Result<Release, Failure> {
    let bundle = match open(path)?.map_err(|error| unusable(path, &error))? {
        Found::Bundle(bundle) => bundle,
        Found::Image(view) => Bundle::of(&view, None, 0).map_err(|error| unusable(path, &error))?,
    };
    if !bundle.is_whole() {
        let message = format!("`{}` has only some parts of its plan", path.display());
        return Err(Failure::new(message, "Hand out what `mesh build` or `mesh plan sign` wrote."));
    }
    trust.check(&bundle.statement, &bundle.signatures).map_err(|error| super::plan::refused(path, &error))?;
    Ok(Release::new(bundle))
}
