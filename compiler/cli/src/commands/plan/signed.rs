//! Signed plans: made, checked, described.

use super::{Found, keys, open, unusable};
use crate::args::Sign;
use crate::commands::build::{short, size};
use crate::failure::Failure;
use crate::output::{Output, count};
use crate::{OK, write};
use mesh_plan::bundle::{Bundle, BundleError, Trust, hex};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// `mesh plan sign`
pub(super) fn sign(sign: &Sign, output: &mut Output<'_>) -> Result<u8, Failure> {
    // Before anything long: a key that cannot be used is found at once.
    let key = keys::private(sign.key.as_deref())?;
    let found = open(&sign.file)?.map_err(|error| unusable(&sign.file, &error))?;
    let mut bundle = release(found, sign)?;
    bundle.sign(&key);
    let bytes = bundle.to_bytes();
    let target = sign.output.as_ref().unwrap_or(&sign.file);
    write::write(target, &bytes)?;
    if output.for_program() {
        output.document(&json!({
            "schema": "mesh.plan.signed/v1",
            "file": target.display().to_string(),
            "bytes": bytes.len(),
            "key": hex(&key.public().id()),
            "signed": document(&bundle),
        }));
        return Ok(OK);
    }
    let signatures = count(bundle.signatures.len(), "signature");
    output.data(&format!("{}  {}  {}  {signatures}", target.display(), size(bytes.len()), told(&bundle)));
    output.say(&format!("signed with key {}", keys::short(&key.public())));
    Ok(OK)
}

/// What is to be signed: a new release, or one that somebody has signed already.
fn release(found: Found, sign: &Sign) -> Result<Bundle, Failure> {
    let environment = sign.environment.as_deref();
    let unusable = |error| unusable(&sign.file, &error);
    match (found, sign.generation) {
        (Found::Image(view), Some(generation)) => {
            Bundle::of(&view, environment, generation).map_err(unusable)
        }
        (Found::Image(_), None) => Err(Failure::new(
            format!("`{}` is a plan without a generation", sign.file.display()),
            "Say which release this is, such as --generation 42: proxies refuse one lower than what they have.",
        )),
        (Found::Bundle(mut bundle), generation) => {
            if !bundle.is_whole() {
                let message = format!("`{}` has only some parts of its plan", sign.file.display());
                return Err(Failure::new(message, "Sign what `mesh build` wrote, or what was signed of it."));
            }
            let statement = &mut bundle.statement;
            let before = statement.clone();
            statement.generation = generation.unwrap_or(before.generation);
            if let Some(environment) = environment {
                statement.environment = Some(environment.to_owned());
            }
            // Others have signed another statement.
            if *statement != before {
                bundle.signatures.clear();
            }
            Ok(bundle)
        }
    }
}

/// `mesh plan verify`
pub(super) fn verify(
    file: &Path,
    key_files: &[PathBuf],
    environment: Option<&str>,
    output: &mut Output<'_>,
) -> Result<u8, Failure> {
    let trust =
        Trust { keys: keys::public(key_files)?, environment: environment.map(str::to_owned), last: None };
    let bundle = match open(file)?.map_err(|error| unusable(file, &error))? {
        Found::Bundle(bundle) => bundle,
        Found::Image(_) => return Err(refused(file, &BundleError::Unsigned)),
    };
    trust.check(&bundle.statement, &bundle.signatures).map_err(|error| refused(file, &error))?;
    if output.for_program() {
        output.document(&json!({ "schema": "mesh.plan.verified/v1", "signed": document(&bundle) }));
        return Ok(OK);
    }
    let signers = trust.signers(&bundle.statement, &bundle.signatures);
    let by: Vec<String> = signers.into_iter().map(keys::short).collect();
    output.data(&format!("{}  {}  signed by key {}", file.display(), told(&bundle), by.join(" and ")));
    Ok(OK)
}

pub(in crate::commands) fn refused(file: &Path, error: &BundleError) -> Failure {
    let help = match error {
        BundleError::Unsigned => "Sign it: `mesh plan sign FILE --key KEY --generation N`.",
        BundleError::Untrusted => "Give the public key of who signed it, or do not use it.",
        BundleError::Environment { .. } => {
            "Give the environment with --env, or use the plan that is signed for this one."
        }
        _ => "Do not use it: get it again from where it was signed.",
    };
    Failure::new(format!("`{}` is not to be trusted: {error}", file.display()), help)
}

/// `generation 7  environment production  5 parts  root 0123…`
pub(super) fn told(bundle: &Bundle) -> String {
    let statement = &bundle.statement;
    let environment = statement.environment.as_ref().map(|name| format!("  environment {name}"));
    let parts = match bundle.is_whole() {
        true => count(bundle.parts.len(), "part"),
        false => format!("{} of {} parts", bundle.parts.len(), statement.parts),
    };
    let (generation, environment) = (statement.generation, environment.unwrap_or_default());
    format!("generation {generation}{environment}  {parts}  root {}", short(&hex(&statement.root)))
}

/// What is said about a bundle before what its plan says.
pub(super) fn describe(bundle: &Bundle, output: &mut Output<'_>) {
    output.data(bundle.statement.text().trim_end());
    for signature in &bundle.signatures {
        output.data(&format!("signature by key {}", hex(&signature.key)));
    }
    for (unit, part) in &bundle.parts {
        let (bytes, digest) = (part.plan.bytes().len(), short(&part.plan.digest_hex()));
        output.data(&format!("part {}  {digest}  {:>9}  {unit}", part.place, size(bytes)));
    }
    output.data("");
}

/// The same for a program.
pub(super) fn document(bundle: &Bundle) -> Value {
    let parts: Vec<Value> = bundle
        .parts
        .iter()
        .map(|(unit, part)| {
            json!({ "unit": unit.to_string(), "digest": part.plan.digest_hex(), "bytes": part.plan.bytes().len() })
        })
        .collect();
    let keys: Vec<String> = bundle.signatures.iter().map(|signature| hex(&signature.key)).collect();
    let statement = &bundle.statement;
    json!({
        "root": hex(&statement.root),
        "generation": statement.generation,
        "environment": statement.environment,
        "keys": keys,
        "parts": parts,
    })
}
