//! `mesh ca revoke`: certificates that are taken back before they end. Which ones is written down in TRUST_DOMAIN.revoked, a line each, and
//! TRUST_DOMAIN.crl says it to others, signed by whoever signs now.

use super::keyring::{Files, Keyring};
use super::{failed, replace, trust_domain_of};
use crate::OK;
use crate::args::Serial;
use crate::authority::Authority;
use crate::commands::plan::keys::PUBLIC;
use crate::failure::Failure;
use crate::output::Output;
use mesh_proxy::svid_id;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// After so long the list asks to be made anew. Our proxies believe an older one, too; others may not.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Serial numbers in hex, and when each was taken back, in seconds since 1970.
type Revoked = BTreeMap<String, u64>;

pub(super) fn run(
    trust_domain: &str,
    serials: &[Serial],
    certificates: &[PathBuf],
    directory: &Path,
    output: &mut Output<'_>,
) -> Result<u8, Failure> {
    trust_domain_of(trust_domain)?;
    let keyring = Keyring::read(trust_domain, directory)?;
    let files = Files::of(trust_domain, directory);
    let mut revoked = read(&files.revoked)?;
    let before = revoked.len();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let of_files = certificates.iter().map(|path| serial_of(path, trust_domain));
    let serials = serials.iter().cloned().map(Ok).chain(of_files).collect::<Result<Vec<_>, Failure>>()?;
    for Serial(serial) in serials {
        revoked.entry(hex(&serial)).or_insert(now);
    }
    // What is written down is in the list the next time, if this ends in the middle.
    let lines: String = revoked.iter().map(|(serial, at)| format!("{serial} {at}\n")).collect();
    replace(&files.revoked, PUBLIC, &lines)?;
    sign(&keyring.authority, &files, &revoked)?;
    let list = files.crl.display().to_string();
    let (all, more) = (revoked.len(), revoked.len() - before);
    if output.for_program() {
        output
            .document(&json!({ "schema": "mesh.ca.revoke/v1", "list": list, "revoked": all, "more": more }));
        return Ok(OK);
    }
    output.data(&list);
    output.say(&format!(
        "{more} more taken back, {all} in all: `mesh ca serve` tells its proxies; those with --svid need --crl {list}"
    ));
    Ok(OK)
}

/// Signs the list anew, where there is one: with who signs now, whom others believe longest.
pub(super) fn sign_again(trust_domain: &str, directory: &Path) -> Result<(), Failure> {
    let files = Files::of(trust_domain, directory);
    if !files.revoked.exists() {
        return Ok(());
    }
    let keyring = Keyring::read(trust_domain, directory)?;
    sign(&keyring.authority, &files, &read(&files.revoked)?)
}

fn sign(authority: &Authority, files: &Files, revoked: &Revoked) -> Result<(), Failure> {
    let serials: Vec<(Vec<u8>, u64)> = revoked.iter().map(|(serial, at)| (bytes(serial), *at)).collect();
    let list = authority.revocations(&serials, LIFETIME).map_err(failed)?;
    replace(&files.crl, PUBLIC, &list)
}

/// What is written down; nothing where there is no file.
fn read(path: &Path) -> Result<Revoked, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Revoked::new()),
        Err(error) => return Err(Failure::io("read", path, &error)),
    };
    let line = |line: &str| {
        let (serial, at) = line.split_once(' ')?;
        let is_hex = serial.len() % 2 == 0 && serial.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then_some((serial.to_owned(), at.parse().ok()?))
    };
    let lines = text.lines().map(|own| {
        line(own).ok_or_else(|| {
            // To go on without it would give a certificate back.
            let message = format!("`{}` has a line that is none of `mesh ca revoke`: {own}", path.display());
            Failure::new(message, "Write a serial number in hex, a blank, and seconds since 1970.")
        })
    });
    lines.collect()
}

/// The serial number of the first certificate of a file.
fn serial_of(path: &Path, trust_domain: &str) -> Result<Serial, Failure> {
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::new(
            format!("`{}` is no certificate of {trust_domain}: {why}", path.display()),
            "Give what `mesh ca issue` made, or --serial.",
        )
    };
    let text = fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let certificate = CertificateDer::from_pem_slice(&text).map_err(|error| unusable(&error))?;
    let id = svid_id(&certificate).map_err(|error| unusable(&error))?;
    if !id
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.strip_prefix(trust_domain))
        .is_some_and(|rest| rest.starts_with('/'))
    {
        return Err(unusable(&format!("it is of {id}")));
    }
    mesh_proxy::svid_serial(&certificate).map(Serial).map_err(|error| unusable(&error))
}

/// Without zeros in front, which say nothing.
fn hex(serial: &[u8]) -> String {
    let first = serial.iter().position(|byte| *byte != 0).unwrap_or_default();
    serial[first..].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs.filter_map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
