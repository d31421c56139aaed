//! `mesh plan push` and `pull`: plans in an OCI registry, as an artifact of one layer (OCI image manifest, `artifactType`; distribution
//! specification 1.1). What was pushed is named by its digest; who signed it is in the plan itself.

use super::{Found, keys, of_bytes, open, signed, unusable};
use crate::commands::build::size;
use crate::commands::running::runtime;
use crate::failure::Failure;
use crate::output::Output;
use crate::{OK, write};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use mesh_plan::bundle::{Bundle, Trust, hex};
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::errors::{OciDistributionError, OciEnvelope, OciErrorCode};
use oci_client::manifest::OciImageManifest;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Of the layer, and of the artifact.
const PLAN: &str = "application/vnd.mesh.plan.v1";
/// Of the summary, which registries show.
const SUMMARY: &str = "application/vnd.mesh.plan.summary.v1+json";
/// A registry that does not even accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// One that stops in the middle.
const SILENCE: Duration = Duration::from_secs(30);

/// `mesh plan push FILE REFERENCE`
pub(super) fn push(
    file: &Path,
    reference: &str,
    plain_http: bool,
    output: &mut Output<'_>,
) -> Result<u8, Failure> {
    let reference = parse(reference)?;
    let bytes = super::read(file)?;
    let found = open(file)?.map_err(|error| unusable(file, &error))?;
    let summary = summary(&found).to_string();
    let layers = [ImageLayer::new(bytes, PLAN.to_owned(), None)];
    let config = Config::new(summary, SUMMARY.to_owned(), None);
    let mut manifest = OciImageManifest::build(&layers, &config, None);
    manifest.artifact_type = Some(PLAN.to_owned());
    let (auth, client) = (credentials(&reference)?, client(&reference, plain_http)?);
    let digest = runtime("start")?.block_on(async {
        client.push(&reference, &layers, config, &auth, Some(manifest)).await?;
        client.fetch_manifest_digest(&reference, &auth).await
    });
    let digest = digest.map_err(|error| refused("push to", &reference, &error))?;
    let named = format!("{}/{}@{digest}", reference.registry(), reference.repository());
    let is_signed = matches!(&found, Found::Bundle(bundle) if !bundle.signatures.is_empty());
    if output.for_program() {
        output.document(&json!({ "schema": "mesh.plan.pushed/v1", "reference": named, "signed": is_signed }));
        return Ok(OK);
    }
    output.data(&named);
    if !is_signed {
        output.say("it is not signed: proxies with a pinned key do not take it");
    }
    Ok(OK)
}

/// `mesh plan pull REFERENCE -o FILE`
pub(super) fn pull(
    reference: &str,
    target: &Path,
    key_files: &[PathBuf],
    environment: Option<&str>,
    plain_http: bool,
    output: &mut Output<'_>,
) -> Result<u8, Failure> {
    let reference = parse(reference)?;
    let trust =
        Trust { keys: keys::public(key_files)?, environment: environment.map(str::to_owned), last: None };
    let (auth, client) = (credentials(&reference)?, client(&reference, plain_http)?);
    let image = runtime("start")?.block_on(client.pull(&reference, &auth, vec![PLAN]));
    let image = image.map_err(|error| refused("pull", &reference, &error))?;
    let Some(layer) = image.layers.first().filter(|_| image.layers.len() == 1) else {
        let help = "Name an artifact that `mesh plan push` made.";
        return Err(Failure::new(format!("`{reference}` is not a plan: it has several layers"), help));
    };
    let name = PathBuf::from(reference.to_string());
    // Nothing is written that could not be used.
    let found = of_bytes(layer.data.to_vec()).map_err(|error| unusable(&name, &error))?;
    match &found {
        Found::Bundle(bundle) => trust
            .check(&bundle.statement, &bundle.signatures)
            .map_err(|error| signed::refused(&name, &error))?,
        Found::Image(_) => trust.check_unsigned().map_err(|error| signed::refused(&name, &error))?,
    }
    write::write(target, &layer.data)?;
    let digest = image.digest.unwrap_or_default();
    if output.for_program() {
        let signed = match &found {
            Found::Bundle(bundle) => signed::document(bundle),
            Found::Image(_) => Value::Null,
        };
        output.document(&json!({
            "schema": "mesh.plan.pulled/v1",
            "file": target.display().to_string(),
            "bytes": layer.data.len(),
            "digest": digest,
            "signed": signed,
        }));
        return Ok(OK);
    }
    output.data(&format!("{}  {}  {digest}", target.display(), size(layer.data.len())));
    if let Found::Bundle(bundle) = &found {
        output.say(&signed::told(bundle));
    }
    Ok(OK)
}

/// What a registry shows of a plan.
fn summary(found: &Found) -> serde_json::Value {
    match found {
        Found::Image(view) => json!({
            "digest": view.digest_hex(),
            "services": view.services().len(),
            "gateways": view.gateways().len(),
        }),
        Found::Bundle(Bundle { statement, parts, .. }) => json!({
            "root": hex(&statement.root),
            "generation": statement.generation,
            "environment": statement.environment,
            "parts": parts.len(),
        }),
    }
}

/// `registry.example/team/plan:v42`, with or without `oci://` in front.
fn parse(text: &str) -> Result<Reference, Failure> {
    let bare = text.strip_prefix("oci://").unwrap_or(text);
    let has_registry = bare.split_once('/').is_some_and(|(host, _)| {
        host == "localhost" || host.contains(['.', ':']) || host.parse::<IpAddr>().is_ok()
    });
    // Without a registry others mean one of their own; here that is a slip.
    let reference = if has_registry { bare.parse::<Reference>().ok() } else { None };
    reference.ok_or_else(|| {
        Failure::new(
            format!("`{text}` is no reference to an artifact"),
            "Write registry, repository and tag, such as registry.example/team/plan:v42.",
        )
    })
}

fn client(reference: &Reference, plain_http: bool) -> Result<Client, Failure> {
    // There is one provider, so it does not matter who came first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let protocol = match plain_http || is_loopback(reference.registry()) {
        true => ClientProtocol::Http,
        false => ClientProtocol::Https,
    };
    let config = ClientConfig {
        protocol,
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: concat!("mesh/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    // Not `new`, which panics where the system has no certificate authorities.
    Client::try_from(config).map_err(|error| {
        let message = format!("cannot speak to {}: {}", reference.registry(), mesh_proxy::innermost(&error));
        Failure::new(
            message,
            "Install the certificate authorities of the system: ca-certificates, or SSL_CERT_FILE.",
        )
    })
}

/// A registry on this machine is spoken to without TLS, as other clients do.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// What `docker login` left behind; nobody in particular where there is nothing.
fn credentials(reference: &Reference) -> Result<RegistryAuth, Failure> {
    match docker_credential::get_credential(reference.registry()) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(RegistryAuth::Basic(user, password)),
        Ok(DockerCredential::IdentityToken(token)) => Ok(RegistryAuth::Bearer(token)),
        Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::NoCredentialConfigured,
        ) => Ok(RegistryAuth::Anonymous),
        // What a helper printed may be a secret.
        Err(_) => Err(Failure::new(
            format!("the credentials for {} cannot be read", reference.registry()),
            "Look at ~/.docker/config.json, or log in again with `docker login`.",
        )),
    }
}

fn refused(doing: &str, reference: &Reference, error: &OciDistributionError) -> Failure {
    let is_absent = |envelope: &OciEnvelope| {
        let unknown = [OciErrorCode::ManifestUnknown, OciErrorCode::NameUnknown, OciErrorCode::NotFound];
        envelope.errors.iter().any(|error| unknown.contains(&error.code))
    };
    let absent = ("there is no such artifact".to_owned(), "Check repository and tag.");
    let (why, help) = match error {
        OciDistributionError::ImageManifestNotFoundError(_) => absent,
        OciDistributionError::RegistryError { envelope, .. } if is_absent(envelope) => absent,
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => (
            "the registry does not let us in".to_owned(),
            "Log in with `docker login`, as somebody who may do that.",
        ),
        OciDistributionError::IncompatibleLayerMediaTypeError(_) => {
            ("it is something else than a plan".to_owned(), "Name an artifact that `mesh plan push` made.")
        }
        error => (
            mesh_proxy::innermost(error),
            "Check the registry's address, and that it answers; --plain-http where it has no TLS.",
        ),
    };
    Failure::new(format!("cannot {doing} `{reference}`: {why}"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_its_registry() {
        for text in ["registry.example/team/plan:v42", "oci://127.0.0.1:5000/plan:1", "localhost/p/q:x"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["plan:v42", "team/plan:v42", "", "registry.example/", "https://registry.example/plan:1"]
        {
            let failure = parse(text).unwrap_err();
            assert!(failure.help.contains("registry.example/team/plan:v42"), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for registry in ["127.0.0.1:5000", "localhost:5000", "localhost", "[::1]:5000"] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in ["registry.example", "10.0.0.1:5000", "localhost.example:5000"] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
