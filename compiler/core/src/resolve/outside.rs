//! Services outside of the mesh: in which TLS they are spoken to, and who must answer (`spec/semantics.md` 10.6).

use crate::model::{Endpoint, Naming};
use mesh_lang::ast::{Service, Tls};
use mesh_lang::{Name, Text};
use mesh_plan::{OutsideTls, Trust};
use std::net::{IpAddr, Ipv6Addr};

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

/// Where a service outside is of which no `endpoints` are written.
pub(crate) enum Outside {
    At(IpAddr),
    /// Proxies look it up.
    Named(Text),
}

impl Outside {
    pub(super) fn at(&self, port: u16) -> Endpoint {
        match self {
            Outside::At(ip) => Endpoint::new(*ip, port, vec![]),
            Outside::Named(name) => Endpoint::at_name(name.clone(), port, Naming::Outside, vec![]),
        }
    }
}

/// The names, patterns, addresses and networks of a service whose endpoints are who is asked for: it has several, or one that is nobody in
/// particular, and says of none where it is.
pub(crate) fn asked(service: &Service) -> Vec<Text> {
    let can_be = |name: &Name| is_address(name) || is_looked_up(name.value.trim_start_matches(['*', '.']));
    let is_asked =
        service.endpoints.is_empty() && endpoint(service).is_none() && service.external.iter().all(can_be);
    if is_asked { hosts(service).map(|name| name.value).collect() } else { vec![] }
}

/// Whether what is outside is an address or a network, and no name.
pub(crate) fn is_address(name: &Name) -> bool {
    name.value.contains('/') || name.value.parse::<IpAddr>().is_ok()
}

/// Its only name is where it is. Of several each would be somebody else, a pattern and a network are nobody in particular.
pub(crate) fn endpoint(service: &Service) -> Option<Outside> {
    let name = only_name(service)?;
    match name.parse::<IpAddr>() {
        Ok(ip) => Some(Outside::At(ip.to_canonical())),
        Err(_) => is_looked_up(name).then(|| Outside::Named(name.into())),
    }
}

/// The hosts by which callers say a service outside: its names, patterns and networks as they stand, and addresses as a request says them.
pub(super) fn hosts(service: &Service) -> impl Iterator<Item = Name> {
    service.external.iter().map(|name| match name.value.parse::<Ipv6Addr>() {
        Ok(ip) => Name { value: format!("[{ip}]").into(), span: name.span },
        Err(_) => name.clone(),
    })
}

/// Whether a text is a name in DNS, with `*.` or `**.` perhaps.
pub(super) fn is_name(text: &str) -> bool {
    let plain = text.strip_prefix("**.").or_else(|| text.strip_prefix("*.")).unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
            })
    };
    plain.len() <= 253 && plain.split('.').all(label)
}

/// Whether a name can be looked up. One that ends in a number is an address to some and a name to others (WHATWG URL 3.5).
pub(super) fn is_looked_up(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_name(name) && !name.starts_with('*') && !is_number
}

/// `db.example`, or with a port.
pub(super) fn is_dns_endpoint(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "1"));
    is_looked_up(name) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// The name of a service that has one outside, and not several, a pattern or a network.
pub(crate) fn only_name(service: &Service) -> Option<&str> {
    match service.external.as_slice() {
        [only] => Some(&*only.value).filter(|name| !name.contains(['*', '/'])),
        _ => None,
    }
}
