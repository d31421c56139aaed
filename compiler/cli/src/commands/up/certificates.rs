//! The certificates that listeners show where a mesh is tried out: made on the spot, and nobody vouches for them.

use crate::authority::self_signed;
use mesh_proxy::{Certificates, Pem, Store};
use std::sync::Arc;
use std::time::Duration;

/// As long as a person may leave a session running.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Debug)]
struct Made;

impl Store for Made {
    fn certificate(&self, _: &str) -> Result<Pem, String> {
        let made = self_signed(&["localhost"], LIFETIME).map_err(|error| error.to_string())?;
        Ok(Pem { chain: made.chain.into_bytes(), key: made.key.into_bytes() })
    }

    fn authority(&self, _: &str) -> Result<Vec<u8>, String> {
        Err("`mesh up` knows no authorities; run `mesh-proxy --certificates` with a directory where it is"
            .to_owned())
    }
}

/// One for whatever name is asked for.
pub(super) fn made() -> Arc<Certificates> {
    Certificates::of(Box::new(Made))
}
