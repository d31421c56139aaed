//! Hosts as plans say them: names, patterns, addresses and networks, and whether a host is inside one.

use std::net::IpAddr;

/// Whether a host is one, or is inside a pattern that begins with `*.` (one label more) or `**.` (one or more), or inside a network.
pub fn covers(pattern: &str, host: &str) -> bool {
    let below = |parent: &str| {
        let labels = host.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.'));
        labels.filter(|labels| !labels.is_empty())
    };
    match (pattern.strip_prefix("**."), pattern.strip_prefix("*.")) {
        (Some(parent), _) => below(parent).is_some(),
        (None, Some(parent)) => below(parent).is_some_and(|label| !label.contains('.')),
        (None, None) if pattern.contains('/') => {
            address(host).is_some_and(|ip| prefix(pattern, ip).is_some())
        }
        (None, None) => pattern == host,
    }
}

/// The address that a host is: one of IPv6 stands in brackets.
pub fn address(host: &str) -> Option<IpAddr> {
    let ip = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => IpAddr::V6(v6.parse().ok()?),
        None => IpAddr::V4(host.parse().ok()?),
    };
    Some(ip.to_canonical())
}

/// The length of a network's prefix (`192.0.2.0/24`), if an address is in it.
pub fn prefix(network: &str, ip: IpAddr) -> Option<u32> {
    let (first, length) = network.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let (first, ip, bits): (u128, u128, u32) = match (first.parse().ok()?, ip) {
        (IpAddr::V4(first), IpAddr::V4(ip)) => (first.to_bits().into(), ip.to_bits().into(), 32),
        (IpAddr::V6(first), IpAddr::V6(ip)) => (first.to_bits(), ip.to_bits(), 128),
        _ => return None,
    };
    let rest = bits.checked_sub(length)?;
    // A shift by all bits is none.
    let of = |bits: u128| bits.checked_shr(rest).unwrap_or_default();
    (of(first) == of(ip)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_pattern_has_the_hosts_below_it() {
        for (pattern, host, expected) in [
            ("a.test", "a.test", true),
            ("a.test", "b.a.test", false),
            ("*.a.test", "b.a.test", true),
            ("*.a.test", "c.b.a.test", false),
            ("*.a.test", "a.test", false),
            ("*.a.test", ".a.test", false),
            ("*.a.test", "ba.test", false),
            ("**.a.test", "c.b.a.test", true),
            ("**.a.test", "a.test", false),
            ("**.a.test", "ba.test", false),
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.0/24", "192.0.3.7", false),
            ("192.0.2.0/24", "[::ffff:192.0.2.7]", true),
            ("192.0.2.0/24", "192.0.2.7.a.test", false),
            ("192.0.2.0/24", "192.0.2", false),
            ("192.0.2.0/24", "::1", false),
            ("0.0.0.0/0", "192.0.2.7", true),
            ("0.0.0.0/0", "[2001:db8::1]", false),
            ("2001:db8::/32", "[2001:db8:0::7]", true),
            ("2001:db8::/32", "2001:db8::7", false),
            ("2001:db8::/32", "[2001:db9::7]", false),
            ("::/0", "[2001:db9::7]", true),
            ("::/0", "192.0.2.7", false),
            ("192.0.2.7/32", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.6", false),
        ] {
            assert_eq!(covers(pattern, host), expected, "{pattern} {host}");
        }
    }
}
