//! What those before this proxy say of whom they speak for (`x-forwarded-…`), and how much of it is believed: of a caller whose certificate
//! is good all of it, at a gateway what as many proxies before it as it trusts have said, and else nothing.
//!
//! `x-forwarded-for` has no standard. As Envoy, nginx and HAProxy do, each proxy adds the address at the other end of its connection on
//! the right: of n that are believed, the first has added the n-th from the right, over all lines.

use crate::client::Client;
use crate::serving::Opened;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use mesh_engine::Entry;
use std::net::IpAddr;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is said on of what was said.
#[derive(Default)]
pub(crate) struct Forwarded {
    /// The client that the first trusted proxy saw.
    pub(crate) client: Option<IpAddr>,
    lines: Vec<(HeaderName, HeaderValue)>,
}

impl Forwarded {
    /// What is to be believed of a request's headers, before they are taken off.
    pub(crate) fn of(opened: &Opened, client: &Client, headers: &HeaderMap) -> Forwarded {
        // At the service itself: what its caller, which is known, says of whom it calls for.
        if opened.application.is_some() && client.identity().is_some() {
            return by_a_caller(headers);
        }
        let Entry::Gateway { gateway, .. } = opened.entry else { return Forwarded::default() };
        let hops = opened.serving.view.gateway(gateway).map_or(0, |gateway| gateway.trusted_hops());
        let hops = usize::try_from(hops).unwrap_or(usize::MAX);
        by_trusted_proxies(headers, hops, client.address.ip()).unwrap_or_default()
    }

    /// Says it on, in place of what this proxy says of itself.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        for (name, value) in self.lines {
            headers.insert(name, value);
        }
    }
}

fn by_a_caller(headers: &HeaderMap) -> Forwarded {
    let names = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST];
    let lines = names.into_iter().filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)));
    Forwarded { client: None, lines: lines.collect() }
}

/// `None`: there are not that many, or they say what is no address. Then it is as if nobody had said anything.
fn by_trusted_proxies(headers: &HeaderMap, hops: usize, peer: IpAddr) -> Option<Forwarded> {
    if hops == 0 {
        return None;
    }
    let lines = headers.get_all(X_FORWARDED_FOR);
    let said: Vec<&[u8]> =
        lines.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
    let trusted = said.get(said.len().checked_sub(hops)?..)?;
    let trusted = trusted.iter().map(|one| address(one)).collect::<Option<Vec<IpAddr>>>()?;
    let client = *trusted.first()?;
    let all: Vec<String> = trusted.iter().chain([&peer]).map(|one| one.to_canonical().to_string()).collect();
    // Addresses and commas are text.
    let mut said_on = vec![(X_FORWARDED_FOR, HeaderValue::try_from(all.join(", ")).ok()?)];
    said_on.extend(scheme(headers).map(|value| (X_FORWARDED_PROTO, value)));
    Some(Forwarded { client: Some(client), lines: said_on })
}

/// An address and nothing beside it. No leading zeros, which some read as octal; an IPv4 address in IPv6 is the IPv4 address.
fn address(said: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(said.trim_ascii()).ok()?;
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// In which scheme the client asked, if that is said once and can be.
fn scheme(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(X_FORWARDED_PROTO).iter();
    let said = lines.next().filter(|said| *said == "http" || *said == "https")?;
    lines.next().is_none().then(|| said.clone())
}

#[cfg(test)]
mod tests {
    use super::{X_FORWARDED_FOR, X_FORWARDED_PROTO, by_trusted_proxies};
    use hyper::header::{HeaderMap, HeaderValue};
    use std::net::{IpAddr, Ipv4Addr};

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

    /// The client, and what is said on.
    fn believed(lines: &[&'static str], hops: usize) -> Option<(String, String)> {
        let lines = lines.iter().map(|line| (X_FORWARDED_FOR, HeaderValue::from_static(line)));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        let forwarded = by_trusted_proxies(&headers, hops, PEER)?;
        let client = forwarded.client.unwrap().to_string();
        forwarded.write(&mut headers);
        let said = headers.get_all(X_FORWARDED_FOR).iter().map(|line| line.to_str().unwrap());
        Some((client, said.collect::<Vec<_>>().join(" | ")))
    }

    #[test]
    fn the_client_is_whom_the_first_trusted_proxy_saw() {
        let lines = ["9.9.9.9", "10.0.0.1, 8.8.8.8"];
        let said = |client: &str, all: &str| Some((client.to_owned(), all.to_owned()));
        assert_eq!(believed(&lines, 1), said("8.8.8.8", "8.8.8.8, 192.0.2.9"));
        assert_eq!(believed(&lines, 2), said("10.0.0.1", "10.0.0.1, 8.8.8.8, 192.0.2.9"));
        assert_eq!(believed(&lines, 3), said("9.9.9.9", "9.9.9.9, 10.0.0.1, 8.8.8.8, 192.0.2.9"));
        assert_eq!(believed(&["::FFFF:10.0.0.1"], 1), said("10.0.0.1", "10.0.0.1, 192.0.2.9"));
        assert_eq!(believed(&["2001:DB8::1"], 1), said("2001:db8::1", "2001:db8::1, 192.0.2.9"));
    }

    #[test]
    fn where_too_little_or_no_address_is_said_nobody_is_known() {
        assert_eq!(believed(&["9.9.9.9"], 0), None, "nobody is believed");
        assert_eq!(believed(&["9.9.9.9", "10.0.0.1, 8.8.8.8"], 4), None);
        assert_eq!(believed(&[], 1), None);
        for no_address in
            ["", "8.8.8.8,", "010.0.0.1", "1.2.3", "8.8.8.8:80", "[::1]", "fe80::1%eth0", "unknown"]
        {
            assert_eq!(believed(&[no_address], 1), None, "{no_address}");
        }
        assert_eq!(believed(&["8.8.8.8, unknown"], 2), None, "what a trusted proxy adds is an address");
        assert!(believed(&["unknown, 8.8.8.8"], 1).is_some(), "what others said does not matter");
    }

    #[test]
    fn the_scheme_is_that_of_trusted_proxies() {
        let said = |lines: &[&'static str]| {
            let mut headers = HeaderMap::from_iter([(X_FORWARDED_FOR, HeaderValue::from_static("8.8.8.8"))]);
            for line in lines {
                headers.append(X_FORWARDED_PROTO, HeaderValue::from_static(line));
            }
            let forwarded = by_trusted_proxies(&headers, 1, PEER).unwrap();
            let mut own = HeaderMap::from_iter([(X_FORWARDED_PROTO, HeaderValue::from_static("own"))]);
            forwarded.write(&mut own);
            own.get(X_FORWARDED_PROTO).unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(said(&["https"]), "https");
        assert_eq!(said(&["http"]), "http");
        assert_eq!(said(&[]), "own");
        assert_eq!(said(&["gopher"]), "own");
        assert_eq!(said(&["https", "http"]), "own");
    }
}
