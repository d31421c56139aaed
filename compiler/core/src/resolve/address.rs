//! Addresses and blocks of them, as conditions write them (`spec/semantics.md` 1.8).

use crate::model::Block;
use crate::space::address::number;
use mesh_lang::{Code, Diagnostic, Name};
use std::net::{IpAddr, Ipv6Addr};

/// `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`. An IPv4 address in IPv6 is the IPv4 address.
pub(super) fn block(text: &Name) -> Result<Block, Diagnostic> {
    let wrong = |label: &str, help: String| {
        let message = format!("`{}` is not an address or a block of addresses", text.value);
        Diagnostic::new(Code::InvalidValue, message).at(text.span, label).help(help)
    };
    let (address, length) =
        text.value.split_once('/').map_or((text.value.as_str(), None), |(a, b)| (a, Some(b)));
    let Ok(ip) = address.parse::<IpAddr>() else {
        return Err(wrong("", "Write it like `10.0.0.1`, `10.0.0.0/8` or `fd00::/8`.".to_owned()));
    };
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => bits,
        Some(digits) if digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            digits.parse().unwrap_or(u32::MAX)
        }
        Some(_) => u32::MAX,
    };
    if length > bits {
        return Err(wrong("the length of the prefix", format!("Write a length from 0 to {bits}.")));
    }
    let free = bits - length;
    let first = number(ip);
    let cut = first & !u128::MAX.checked_shr(128 - free).unwrap_or(0);
    if cut != first {
        let canonical = match ip {
            IpAddr::V4(_) => Ipv6Addr::from(cut).to_canonical().to_string(),
            IpAddr::V6(_) => Ipv6Addr::from(cut).to_string(),
        };
        let message = format!("`{}` says more than its block", text.value);
        return Err(Diagnostic::new(Code::InvalidValue, message)
            .at(text.span, format!("bits are set behind the first {length}"))
            .help(format!("Write `{canonical}/{length}` for the block, or the address alone.")));
    }
    Ok(Block { first, free })
}

/// Whether every address is in one of some sorted blocks; an IPv4 address is a v4-mapped one.
pub(super) fn is_everything(blocks: &[Block]) -> bool {
    // The first address that is in none of the blocks so far.
    let mut missing = 0;
    for block in blocks {
        if block.first > missing {
            return false;
        }
        match block.last().checked_add(1) {
            Some(behind) => missing = missing.max(behind),
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::testing::says;

    #[test]
    fn a_client_may_have_no_address() {
        let text = "service web { port 80 http }\nauthorize web { allow from gateway edge }\ngateway edge { listener l port 80 http { host \"*\" }; trusted-hops 1 }\nroute edge { to web }\nauthorize edge { allow from anyone when client-ip in (\"::/0\") }\n";
        says(text, &[]);
    }

    #[test]
    fn from_everywhere_is_no_condition() {
        let line = |test: &str| {
            format!(
                "service a {{ calls web }}\nservice web {{ port 80 http }}\nauthorize web {{\nallow from a when {test}\n}}\n"
            )
        };
        let said = "4 MESH5040 every address is in these blocks";
        says(&line("source-ip in (\"0.0.0.0/0\", \"::/0\")"), &[said]);
        says(&line("source-ip = \"::/0\""), &[said]);
        says(&line("not source-ip in (\"::/1\", \"8000::/1\")"), &[said]);
        says(&line("source-ip in (\"::/2\", \"0.0.0.0/0\", \"8000::/1\")"), &[]);
        says(&line("source-ip in (\"0.0.0.0/0\")"), &[]);
    }
}
