//! Services outside of the mesh: in which TLS they are spoken to, and who must answer (`spec/semantics.md` 10.6).

use mesh_lang::ast::{Service, Tls};
use mesh_plan::{OutsideTls, Trust};

/// The TLS of a service outside; where it is spoken to in the clear there is none.
pub(super) fn tls(service: &Service) -> Option<OutsideTls> {
    let own = only_name(service).unwrap_or_default();
    match &service.tls.as_ref()?.value {
        Tls::None => None,
        Tls::Insecure => {
            Some(OutsideTls { name: own.to_owned(), trust: Trust::Anyone, certificate: String::new() })
        }
        Tls::Verified { host, ca, certificate } => Some(OutsideTls {
            name: host.as_ref().map_or(own, |host| &host.value).to_owned(),
            trust: ca.as_ref().map_or(Trust::System, |ca| Trust::Authority(ca.value.to_string())),
            certificate: certificate.as_ref().map(|own| own.value.to_string()).unwrap_or_default(),
        }),
    }
}

/// The name of a service that has one outside, and not several, a pattern or a network.
pub(crate) fn only_name(service: &Service) -> Option<&str> {
    match service.external.as_slice() {
        [only] => Some(&*only.value).filter(|name| !name.contains(['*', '/'])),
        _ => None,
    }
}
