//! `mesh ca`: a small certificate authority in a directory, for meshes that have no other yet.

mod keyring;
mod revoke;
mod rotate;
mod serve;
mod tokens;

use crate::OK;
use crate::args;
use crate::authority::Authority;
use crate::commands::ca::keyring::{Files, Keyring};
use crate::commands::ca::tokens::Tokens;
use crate::commands::plan::keys::{PUBLIC, SECRET, create, with_end};
use crate::failure::Failure;
use crate::output::Output;
use mesh_engine::SpiffeId;
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

const HOUR: u64 = 60 * 60;

pub(crate) fn run(ca: &args::Ca, output: &mut Output<'_>) -> Result<u8, Failure> {
    match ca {
        args::Ca::Init { trust_domain, directory, days } => init(trust_domain, directory, *days, output),
        args::Ca::Issue { id, directory, hours, output: name } => issue(id, directory, *hours, name, output),
        args::Ca::Token { id, directory, ttl, uses } => token(id, directory, *ttl, *uses, output),
        args::Ca::Serve(own) => serve::run(own, output),
        args::Ca::Revoke { trust_domain, serials, certificates, directory } => {
            revoke::run(trust_domain, serials, certificates, directory, output)
        }
        args::Ca::Rotate { step, trust_domain, directory, days } => {
            rotate::run(*step, trust_domain, directory, *days, output)
        }
    }
}

/// `mesh ca init TRUST_DOMAIN`
fn init(trust_domain: &str, directory: &Path, days: u32, output: &mut Output<'_>) -> Result<u8, Failure> {
    trust_domain_of(trust_domain)?;
    let lifetime = days_of(days);
    let authority = Authority::new(trust_domain, lifetime).map_err(failed)?;
    let [secret, public] = ["key", "pem"].map(|end| with_end(&directory.join(trust_domain), end));
    create(&secret, SECRET, &authority.key())?;
    if let Err(failure) = create(&public, PUBLIC, authority.bundle()) {
        // Half a pair is of no use, and would be in the way the next time.
        let _ = fs::remove_file(&secret);
        return Err(failure);
    }
    let (secret, public) = (secret.display().to_string(), public.display().to_string());
    if output.for_program() {
        output.document(&json!({ "schema": "mesh.ca/v1", "trust_domain": trust_domain, "key": secret, "certificate": public }));
        return Ok(OK);
    }
    output.data(&format!("{secret}\n{public}"));
    output.say(&format!(
        "authority of {trust_domain}: keep {secret} secret; proxies get {public} by --trust-bundle"
    ));
    Ok(OK)
}

/// `mesh ca issue ID -o NAME`
fn issue(
    id: &str,
    directory: &Path,
    hours: u32,
    name: &Path,
    output: &mut Output<'_>,
) -> Result<u8, Failure> {
    let read = workload(id)?;
    let keyring = Keyring::read(read.trust_domain, directory)?;
    let issued = keyring.authority.issue(id, Duration::from_secs(u64::from(hours) * HOUR)).map_err(failed)?;
    let [secret, public] = ["key", "pem"].map(|end| with_end(name, end));
    replace(&secret, SECRET, &issued.key)?;
    replace(&public, PUBLIC, &issued.chain)?;
    let (secret, public) = (secret.display().to_string(), public.display().to_string());
    if output.for_program() {
        output.document(&json!({ "schema": "mesh.ca.svid/v1", "id": id, "key": secret, "certificate": public, "hours": hours }));
        return Ok(OK);
    }
    output.data(&format!("{secret}\n{public}"));
    output.say(&format!(
        "{id}, for {hours} h: mesh-proxy --svid {public} --svid-key {secret} --trust-bundle {}",
        Files::of(read.trust_domain, directory).certificate.display()
    ));
    Ok(OK)
}

/// `mesh ca token ID`
fn token(
    id: &str,
    directory: &Path,
    ttl: Duration,
    uses: u32,
    output: &mut Output<'_>,
) -> Result<u8, Failure> {
    let read = workload(id)?;
    let files = Files::of(read.trust_domain, directory);
    // A token of an authority that is not there would be of no use to anybody.
    Keyring::read(read.trust_domain, directory)?;
    let tokens = Tokens::at(&files.tokens);
    tokens.sweep(SystemTime::now());
    let token = tokens.make(id, ttl, uses)?;
    if output.for_program() {
        output.document(&json!({ "schema": "mesh.ca.token/v1", "id": id, "token": token, "seconds": ttl.as_secs(), "uses": uses }));
        return Ok(OK);
    }
    output.data(&token);
    let times = if uses == 1 { "once".to_owned() } else { format!("{uses} times") };
    output.say(&format!("{id}, {times}, for {} s: mesh-proxy --join-token-file FILE", ttl.as_secs()));
    Ok(OK)
}

/// A name that may be one of a trust domain.
fn trust_domain_of(name: &str) -> Result<(), Failure> {
    if SpiffeId::read(&format!("spiffe://{name}")).is_none_or(|read| read.is_workload) {
        return Err(Failure::new(
            format!("`{name}` is no trust domain"),
            "Write the name that stands in `mesh { trust-domain … }`: lower-case letters, digits, dots, dashes, underscores.",
        ));
    }
    Ok(())
}

/// The identity of a workload.
fn workload(id: &str) -> Result<SpiffeId<'_>, Failure> {
    SpiffeId::read(id).filter(|read| read.is_workload).ok_or_else(|| {
        Failure::new(
            format!("`{id}` is no identity of a workload"),
            "Write it as the plan has it, such as spiffe://local.test/ns/default/sa/web; `mesh plan inspect` shows them.",
        )
    })
}

fn days_of(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * HOUR)
}

/// Puts a file in the place of another one, whole: a proxy that watches it takes it over.
fn replace(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let beside = with_end(path, "new");
    let failed = |error: std::io::Error| Failure::io("write", path, &error);
    // What an end in the middle may have left is in nobody's way.
    let _ = fs::remove_file(&beside);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

fn failed(error: rcgen::Error) -> Failure {
    Failure::new(
        format!("cannot make a certificate: {error}"),
        "Choose a shorter lifetime, and look whether the clock is right.",
    )
}
