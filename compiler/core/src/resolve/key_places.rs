//! Where the keys of an issuer may be: a proxy asks there with the rights of its machine, so a place on that machine, or where clouds tell a machine its
//! secrets, is none that a `.mesh` file may name (server-side request forgery; `spec/semantics.md` 10.8).

use mesh_lang::{Code, Diagnostic, Name};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is wrong with a place.
pub(super) fn wrong(jwks: &Name) -> Option<Diagnostic> {
    let (why, help) = match kind(&jwks.value) {
        Kind::File | Kind::Server => return None,
        Kind::None => (
            "neither an `https://` URL nor the path of a file",
            "Write a URL like `\"https://sso.shop.example/jwks.json\"`, or a path like `\"/etc/mesh/jwks.json\"`.",
        ),
        Kind::OfTheMachine => (
            "what answers there answers this machine alone",
            "Write the name of the issuer's server, or, of keys that are on the proxy's machine, the path of their file: `\"/etc/mesh/jwks.json\"`.",
        ),
    };
    let message = format!("`{}` is no place of keys", jwks.value);
    Some(Diagnostic::new(Code::InvalidValue, message).at(jwks.span, why).help(help))
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    File,
    Server,
    /// Loopback, or link-local.
    OfTheMachine,
    None,
}

/// Keys that travel in the clear can be replaced on the way.
fn kind(place: &str) -> Kind {
    let Some(rest) = place.strip_prefix("https://") else {
        return if place.starts_with('/') && place.len() > 1 { Kind::File } else { Kind::None };
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains(['@', '\\', '%']) || !authority.is_ascii() {
        return Kind::None;
    }
    match host(authority) {
        Some(host) => of_host(host),
        None => Kind::None,
    }
}

/// Without its port.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':').or(Some(port))))?
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    (!host.is_empty() && port.is_none_or(is_port)).then_some(host)
}

fn of_host(host: &str) -> Kind {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_local = match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => is_local(ip),
        Ok(IpAddr::V6(ip)) => ip.to_ipv4_mapped().map_or_else(|| is_local_v6(ip), is_local),
        // `127.1`, `0x7f000001` and `2130706433` are addresses to the machine's resolver, and no names.
        Err(_) if ends_in_a_number(&name) => return Kind::None,
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    };
    if is_local { Kind::OfTheMachine } else { Kind::Server }
}

fn is_local(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()
}

fn is_local_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified()
}

fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x").map_or_else(|| (last, 10), |rest| (rest, 16));
    digits.0.chars().all(|digit| digit.is_digit(digits.1))
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind};

    #[test]
    fn keys_are_in_files_and_at_servers() {
        for place in [
            "https://sso.example/k",
            "https://sso.example",
            "https://sso.example:8443?a=b",
            "https://10.0.0.7/k",
            "https://[2001:db8::1]:443/k",
            "https://localhost.example/k",
            "https://169.254.example/k",
        ] {
            assert_eq!(kind(place), Kind::Server, "{place}");
        }
        assert_eq!(kind("/etc/mesh/jwks.json"), Kind::File);
    }

    #[test]
    fn nobody_is_asked_who_answers_this_machine_alone() {
        for place in [
            "https://127.0.0.1/k",
            "https://127.8.9.1:8443/k",
            "https://localhost",
            "https://LOCALHOST:1/k",
            "https://localhost./k",
            "https://a.localhost/k",
            "https://[::1]/k",
            "https://[::ffff:127.0.0.1]/k",
            "https://[::ffff:169.254.169.254]/k",
            "https://[fe80::1]:443/k",
            "https://0.0.0.0/k",
            "https://[::]/k",
            "https://169.254.169.254/latest/meta-data",
            "https://169.254.169.254.?a",
        ] {
            assert_eq!(kind(place), Kind::OfTheMachine, "{place}");
        }
    }

    #[test]
    fn what_two_readers_read_in_two_ways_is_no_place() {
        for place in [
            "http://sso.example/k",
            "sso.example/k",
            "/",
            "",
            "https://",
            "https:///k",
            "https://:443/k",
            "https://sso.example:x/k",
            "https://sso.example@127.0.0.1/k",
            "https://sso.example\\@127.0.0.1/k",
            "https://127%2e0.0.1/k",
            "https://127.1/k",
            "https://2130706433/k",
            "https://0x7f000001/k",
            "https://[::1/k",
            "https://ｌocalhost/k",
        ] {
            assert_eq!(kind(place), Kind::None, "{place}");
        }
    }
}
