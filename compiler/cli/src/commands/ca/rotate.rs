//! `mesh ca rotate`: another root, in three steps between which all proxies renew their certificates, so that nobody meets a root that it
//! does not know.

use super::keyring::{Files, Keyring};
use super::revoke::sign_again;
use super::{days_of, failed, replace, trust_domain_of};
use crate::OK;
use crate::args::Step;
use crate::authority::Authority;
use crate::commands::plan::keys::{PUBLIC, SECRET, create};
use crate::failure::Failure;
use crate::output::Output;
use serde_json::json;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

pub(super) fn run(
    step: Step,
    trust_domain: &str,
    directory: &Path,
    days: u32,
    output: &mut Output<'_>,
) -> Result<u8, Failure> {
    trust_domain_of(trust_domain)?;
    let files = Files::of(trust_domain, directory);
    let said = match step {
        Step::Prepare => prepare(trust_domain, directory, &files, days)?,
        Step::Activate => {
            let said = activate(&files)?;
            sign_again(trust_domain, directory)?;
            said
        }
        Step::Finish => {
            // Whoever is forgotten vouches for no list either.
            sign_again(trust_domain, directory)?;
            finish(&files)?
        }
    };
    // What the step leaves behind has to be an authority.
    Keyring::read(trust_domain, directory)?;
    if output.for_program() {
        output
            .document(&json!({ "schema": "mesh.ca.rotate/v1", "trust_domain": trust_domain, "next": said }));
        return Ok(OK);
    }
    output.say(said);
    Ok(OK)
}

/// Another authority, which others believe from now on and which signs nothing yet.
fn prepare(trust_domain: &str, directory: &Path, files: &Files, days: u32) -> Result<&'static str, Failure> {
    Keyring::read(trust_domain, directory)?;
    if files.previous.exists() {
        let message = format!("`{}` is still there from the rotation before", files.previous.display());
        return Err(Failure::new(message, "End that one: `mesh ca rotate finish`."));
    }
    let next = Authority::new(trust_domain, days_of(days)).map_err(failed)?;
    create(&files.next_key, SECRET, &next.key())?;
    if let Err(failure) = create(&files.next_certificate, PUBLIC, next.bundle()) {
        let _ = fs::remove_file(&files.next_key);
        return Err(failure);
    }
    Ok(
        "each certificate comes with the next root from now on: when all proxies have renewed theirs, within the --ttl of \
        `mesh ca serve`, `mesh ca rotate activate` makes it sign",
    )
}

/// The next authority signs, and the one before is still believed.
fn activate(files: &Files) -> Result<&'static str, Failure> {
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error));
    if !files.next_certificate.exists() {
        let message = format!("there is no `{}`", files.next_certificate.display());
        return Err(Failure::new(message, "Make the next authority first: `mesh ca rotate prepare`."));
    }
    replace(&files.previous, PUBLIC, &read(&files.certificate)?)?;
    // Where this was interrupted between the two, it goes on: the key is in its place already.
    for (next, current) in [(&files.next_key, &files.key), (&files.next_certificate, &files.certificate)] {
        match fs::rename(next, current) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::io("rename", next, &error));
            }
            _ => {}
        }
    }
    Ok(
        "the next root signs, and the one before is still believed: when all proxies have renewed their certificates, within \
        the --ttl of `mesh ca serve`, `mesh ca rotate finish` forgets it",
    )
}

/// The authority before is believed no more.
fn finish(files: &Files) -> Result<&'static str, Failure> {
    match fs::remove_file(&files.previous) {
        Ok(()) => Ok("the root before is forgotten: each proxy forgets it with its next certificate"),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::new(
            format!("there is no `{}`", files.previous.display()),
            "There is no rotation to end; `mesh ca rotate prepare` begins one.",
        )),
        Err(error) => Err(Failure::io("remove", &files.previous, &error)),
    }
}
