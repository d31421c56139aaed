//! How bytes are written in a catalogue: escapes, and `{REP:text:count}`.

/// As much as one input may become.
const MOST_BYTES: usize = 256 << 20;

/// The bytes that a text stands for. A backslash before anything that is no escape is itself.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{REP:") {
            let (what, after) = after.split_once('}').ok_or("`{REP:` is not closed")?;
            let (what, count) = what.rsplit_once(':').ok_or("`{REP:` has no count")?;
            let count = count_of(count).ok_or_else(|| format!("`{count}` is no count"))?;
            let what = self::bytes(what)?;
            if what.len().saturating_mul(count) > MOST_BYTES {
                return Err(format!("more than {MOST_BYTES} bytes"));
            }
            bytes.extend(what.repeat(count));
            rest = after;
        } else if let Some((byte, after)) = escape(rest) {
            bytes.push(byte);
            rest = after;
        } else {
            let mut utf8 = [0; 4];
            bytes.extend_from_slice(first.encode_utf8(&mut utf8).as_bytes());
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    Ok(bytes)
}

fn escape(text: &str) -> Option<(u8, &str)> {
    let mut rest = text.strip_prefix('\\')?.chars();
    let byte = match rest.next()? {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '0' => 0,
        '\\' => b'\\',
        'x' => {
            let (high, low) = (rest.next()?.to_digit(16)?, rest.next()?.to_digit(16)?);
            u8::try_from(high * 16 + low).ok()?
        }
        _ => return None,
    };
    Some((byte, rest.as_str()))
}

/// `8`, `10^6`, `1,000` or `inf`, which is enough to see that nothing bounds it.
pub(crate) fn count_of(text: &str) -> Option<usize> {
    let text = text.trim().replace([',', '_'], "");
    if matches!(text.as_str(), "inf" | "∞") {
        return Some(10_000);
    }
    match text.split_once('^') {
        Some((base, power)) => base.parse::<usize>().ok()?.checked_pow(power.parse().ok()?),
        None => text.parse().ok(),
    }
}

/// `256 KiB`, `1 MiB`, in bytes.
pub(crate) fn size_of(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let unit = match unit.trim() {
        unit if unit.starts_with("KiB") => 1 << 10,
        unit if unit.starts_with("MiB") => 1 << 20,
        unit if unit.starts_with("GiB") => 1 << 30,
        _ => return None,
    };
    Some(u64::try_from(count_of(number)?).ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_repetitions_are_bytes() {
        assert_eq!(bytes(r"a\r\n\t\x00\xff").unwrap(), b"a\r\n\t\x00\xff");
        assert_eq!(bytes(r"/x\..\admin\q").unwrap(), br"/x\..\admin\q", "no escapes");
        assert_eq!(bytes(r"{REP:X-A: b\r\n:2}end").unwrap(), b"X-A: b\r\nX-A: b\r\nend");
        assert!(bytes("{REP:a:many}").is_err() && bytes("{REP:a").is_err());
        assert_eq!((count_of("10^3"), count_of("1,000"), count_of("x")), (Some(1000), Some(1000), None));
        assert_eq!(size_of("256 KiB"), Some(256 << 10));
    }
}
