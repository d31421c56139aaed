//! What of a request is hashed, so that the same caller meets the same endpoint.

use super::hash::hash;
use crate::field::{each_cookie, each_query_value};
use crate::request::Request;
use mesh_plan::view::HashKey;
use std::net::IpAddr;

/// The hash of what a request has of this key; `None` where it has nothing of it. Several lines of a header, and several values of a
/// parameter or a cookie, are hashed together, in order.
pub fn hash_of(key: HashKey<'_>, request: &Request<'_>) -> Option<u64> {
    let mut found = None;
    let mut add = |bytes: &mut dyn Iterator<Item = u8>| found = Some(hash(found.unwrap_or_default(), bytes));
    match key {
        HashKey::Header(name) => {
            request.headers.each_line(name.as_bytes(), &mut |line| add(&mut line.iter().copied()));
        }
        HashKey::Cookie(name, _) => {
            each_cookie(name.as_bytes(), request, &mut |value| add(&mut value.iter().copied()))
        }
        HashKey::Query(name) => each_query_value(name.as_bytes(), request.query, |value| add(&mut { value })),
        HashKey::SourceIp => {
            let octets = match request.source_ip.to_canonical() {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            add(&mut octets.into_iter());
        }
    }
    found
}

/// The hash of a cookie that is issued: the same as when it comes back.
pub fn hash_of_cookie(value: &str) -> u64 {
    hash(0, value.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Method;
    use std::net::Ipv4Addr;

    fn hashed(key: HashKey<'_>, headers: &[(&str, &str)], query: &str) -> Option<u64> {
        let request = Request {
            method: Method::Get,
            host: "a",
            host_port: None,
            path: "/",
            query,
            headers: &headers,
            source_ip: Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
            caller_ip: None,
            client_ip: None,
            tokens: &[],
        };
        hash_of(key, &request)
    }

    #[test]
    fn the_same_value_is_the_same_hash_wherever_it_stands() {
        let own = Some(hash_of_cookie("x y"));
        assert_eq!(hashed(HashKey::Header("x-user"), &[("x-user", "x y")], ""), own);
        assert_eq!(hashed(HashKey::Query("u"), &[], "a=1&u=x%20y"), own);
        assert_eq!(hashed(HashKey::Cookie("u", None), &[("cookie", "a=1; u=x y")], ""), own);
        let address = Some(hash(0, [127, 0, 0, 1]));
        assert_eq!(
            hashed(HashKey::SourceIp, &[], ""),
            address,
            "an IPv4 address is one, however it is written"
        );
    }

    #[test]
    fn nothing_is_no_hash_and_several_values_are_another() {
        assert_eq!(hashed(HashKey::Header("x-user"), &[("x-other", "a")], ""), None);
        assert_eq!(hashed(HashKey::Query("u"), &[], "v=1"), None);
        assert_eq!(hashed(HashKey::Cookie("u", None), &[("cookie", "uu=1")], ""), None);
        let two = hashed(HashKey::Header("x-user"), &[("x-user", "a"), ("x-user", "b")], "");
        assert!(two.is_some() && two != hashed(HashKey::Header("x-user"), &[("x-user", "a")], ""));
    }
}
