//! Keys: made, read from files and from the environment. What is in a private one is never printed.

use crate::OK;
use crate::failure::Failure;
use crate::output::Output;
use mesh_plan::bundle::hex;
use mesh_plan::keys::{KeyError, PrivateKey, PublicKey};
use serde_json::json;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The text of a private key, for where a file would lie about: a job of CI has its secrets in the environment.
pub(super) const VARIABLE: &str = "MESH_SIGNING_KEY";

/// Read and written by its owner, and by nobody else.
pub(in crate::commands) const SECRET: u32 = 0o600;
/// Anybody may read it.
pub(in crate::commands) const PUBLIC: u32 = 0o644;

/// `mesh plan keygen -o NAME`
pub(super) fn make(name: &Path, output: &mut Output<'_>) -> Result<u8, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Failure::new(format!("cannot get random bytes: {error}"), "Try again on a machine that has some.")
    })?;
    let key = PrivateKey::from_seed(&seed);
    let texts = key.to_pem().and_then(|private| Ok((private, key.public().to_pem()?)));
    let (private, public) = texts.expect("a key that was just made has a text");
    let [secret_file, public_file] = ["key", "pub"].map(|end| with_end(name, end));
    create(&secret_file, SECRET, &private)?;
    if let Err(failure) = create(&public_file, PUBLIC, &public) {
        // Half a pair is of no use, and would be in the way the next time.
        let _ = fs::remove_file(&secret_file);
        return Err(failure);
    }
    if output.for_program() {
        output.document(&json!({
            "schema": "mesh.plan.key/v1",
            "private": secret_file.display().to_string(),
            "public": public_file.display().to_string(),
            "id": hex(&key.public().id()),
        }));
        return Ok(OK);
    }
    output.data(&format!("{}\n{}", secret_file.display(), public_file.display()));
    output.say(&format!(
        "key {}: keep {} secret; proxies get {} by --plan-key",
        short(&key.public()),
        secret_file.display(),
        public_file.display()
    ));
    Ok(OK)
}

pub(in crate::commands) fn with_end(name: &Path, end: &str) -> PathBuf {
    let mut path = OsString::from(name);
    path.push(".");
    path.push(end);
    PathBuf::from(path)
}

pub(in crate::commands) fn create(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::new(
            format!("`{}` is there already and is not overwritten", path.display()),
            "Choose another name: a key that is lost cannot be made again.",
        ),
        _ => Failure::io("write", path, &error),
    })
}

/// The private key of a file, or of the environment.
pub(super) fn private(file: Option<&Path>) -> Result<PrivateKey, Failure> {
    let Some(file) = file else {
        let text = std::env::var(VARIABLE).map_err(|_| {
            let help = format!(
                "Give --key FILE, or the text of the key in {VARIABLE}; `mesh plan keygen` makes one."
            );
            Failure::new("there is no key to sign with", help)
        })?;
        return PrivateKey::from_pem(&text).map_err(|error| unusable(VARIABLE, error));
    };
    let text = fs::read_to_string(file).map_err(|error| Failure::io("read", file, &error))?;
    PrivateKey::from_pem(&text).map_err(|error| unusable(&format!("`{}`", file.display()), error))
}

/// The public keys of some files.
pub(in crate::commands) fn public(files: &[PathBuf]) -> Result<Vec<PublicKey>, Failure> {
    let mut keys = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).map_err(|error| Failure::io("read", file, &error))?;
        let found = PublicKey::all_from_pem(&text);
        keys.extend(found.map_err(|error| unusable(&format!("`{}`", file.display()), error))?);
    }
    Ok(keys)
}

fn unusable(whence: &str, error: KeyError) -> Failure {
    let help = match error {
        KeyError::Private => "Give the public key: the file that `mesh plan keygen` calls NAME.pub.",
        _ => "Give an Ed25519 key in PEM: `mesh plan keygen -o NAME` makes a pair.",
    };
    Failure::new(format!("cannot use {whence} as a key: {error}"), help)
}

/// The beginning of a key's id.
pub(super) fn short(key: &PublicKey) -> String {
    hex(&key.id()).chars().take(16).collect()
}
