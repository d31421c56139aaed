//! What a client shows, read out of the words of a case: alternatives behind semicolons, names in brackets.

use super::authority::{Company, Leaf, Name, Signer};
use super::der::Constraint;
use super::fixture::{TRUST_DOMAIN, WEB};
use crate::notation;
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};

/// What a case is about.
#[derive(Debug)]
pub(super) enum Input {
    /// Certificates, each shown in a handshake of its own.
    Probes(Vec<Probe>),
    /// A session that is resumed when something has changed.
    Resumed,
    /// A malformed list of revoked certificates.
    BrokenCrl,
    /// A ClientHello in pieces.
    ByteByByte,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Probe {
    /// The words that it was read from.
    pub(super) about: String,
    pub(super) leaf: Leaf,
    /// Whom alone a rule lets in, who is somebody else.
    pub(super) rule: Option<String>,
}

impl Probe {
    /// Those that its certificate says it is of, where a proxy could be told to believe somebody for them.
    pub(super) fn trust_domains(&self) -> Vec<String> {
        let is_name = |name: &&str| {
            let is_allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
            !name.is_empty() && name.len() <= 255 && name.bytes().all(is_allowed)
        };
        let uris = self.leaf.names.iter().filter_map(|name| match name {
            Name::Uri(uri) => uri.strip_prefix("spiffe://"),
            _ => None,
        });
        uris.filter_map(|rest| rest.split('/').next()).filter(is_name).map(str::to_owned).collect()
    }
}

/// Reads the input of a case; `before`: that of the one before it. What is not understood is told.
pub(super) fn read(text: &str, before: Option<&str>) -> Result<Input, String> {
    let has = |words: &str| text.to_ascii_lowercase().contains(words);
    if has("resume") || has("ticket") {
        return match has("bundle") || has("policy") {
            true => Ok(Input::Resumed),
            false => Err(format!("not understood: `{text}`")),
        };
    }
    if has("malformed crl") {
        return Ok(Input::BrokenCrl);
    }
    if has("clienthello") && has("byte by byte") {
        return Ok(Input::ByteByByte);
    }
    if let Some(rest) = text.strip_prefix("same ") {
        let before = before.ok_or("the case that it goes on about is not known")?;
        let Input::Probes(mut probes) = read(before, None)? else {
            return Err("the case that it goes on about is none of certificates".to_owned());
        };
        if !rest.contains("reverse order") {
            return Err(format!("not understood: `{text}`"));
        }
        probes.iter_mut().for_each(|probe| probe.leaf.names.reverse());
        return Ok(Input::Probes(probes));
    }
    let probes: Result<Vec<Probe>, String> = alternatives(text).into_iter().map(probe).collect();
    probes.map(Input::Probes)
}

/// Parts between semicolons that are in no brackets and no quotes.
fn alternatives(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut quoted) = (Vec::new(), 0, 0_usize, false);
    for (place, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            ';' if !quoted && depth == 0 => {
                parts.extend(text.get(begin..place));
                begin = place + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(begin..));
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn probe(text: &str) -> Result<Probe, String> {
    let unknown = || format!("not understood: `{text}`");
    let mut probe = Probe { about: text.to_owned(), leaf: Leaf::of(&[WEB]), rule: None };
    let leaf = &mut probe.leaf;
    let plain = text.strip_prefix("leaf ").unwrap_or(text);
    if let Some(rest) = plain.strip_prefix("SAN") {
        let list = rest.trim_start_matches([' ', '=', ':']).strip_prefix('[').ok_or_else(unknown)?;
        let (list, rest) = list.rsplit_once(']').ok_or_else(unknown)?;
        if !rest.trim().is_empty() {
            return Err(unknown());
        }
        leaf.names = items(list).into_iter().map(name).collect::<Result<_, _>>()?;
    } else if let Some(rest) = plain.strip_prefix("URI of ") {
        let length = rest.strip_suffix(" bytes").and_then(notation::count_of).ok_or_else(unknown)?;
        let begin = format!("spiffe://{TRUST_DOMAIN}/ns/prod/sa/");
        let fill = length.checked_sub(begin.len()).ok_or_else(unknown)?;
        leaf.names = vec![Name::Uri(begin + &"a".repeat(fill))];
    } else if let Some(rest) = plain.strip_prefix("trust domain of ") {
        let length = rest.strip_suffix(" bytes").and_then(notation::count_of).ok_or_else(unknown)?;
        leaf.names = vec![Name::Uri(format!("spiffe://{}/ns/prod/sa/web", "a".repeat(length)))];
    } else if let Some(rest) = plain.strip_prefix("URI ") {
        let (uri, rule) =
            rest.split_once(" vs rule ns ").map_or((rest, None), |(uri, rule)| (uri, Some(rule)));
        let own = quoted(uri)?;
        if own.contains(' ') {
            return Err(unknown());
        }
        if let Some(namespace) = rule {
            let namespace = quoted(namespace)?;
            let account = own.rsplit_once('/').map_or("", |(_, account)| account);
            probe.rule = Some(format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"));
        }
        leaf.names = vec![Name::Uri(own)];
    } else if let Some(rest) = plain.strip_prefix("with ") {
        with(rest, leaf).ok_or_else(unknown)?;
    } else if let Some(rest) = plain.strip_prefix("expired ") {
        leaf.ends = Some(-seconds(rest.strip_suffix(" ago").ok_or_else(unknown)?).ok_or_else(unknown)?);
        leaf.begins = Some(-A_DAY);
    } else if let Some(rest) = plain.strip_prefix("notBefore +") {
        leaf.begins = Some(seconds(rest).ok_or_else(unknown)?);
        leaf.ends = leaf.begins.map(|begins| begins + A_DAY);
    } else if let Some(rest) = plain.strip_prefix("notAfter -") {
        (leaf.begins, leaf.ends) = (Some(-A_DAY), Some(-seconds(rest).ok_or_else(unknown)?));
    } else if let Some(rest) = plain.strip_prefix("intermediate with ") {
        leaf.signer = between(rest).ok_or_else(unknown)?;
    } else if let Some(rest) = plain.strip_prefix("chain with ") {
        let count = rest.split(' ').next().and_then(notation::count_of).ok_or_else(unknown)?;
        leaf.company = Company::Many(count);
    } else if let Some(size) = plain.strip_suffix(" leaf").and_then(notation::size_of) {
        leaf.padding = usize::try_from(size).map_err(|_| unknown())?;
    } else if plain.starts_with("path-building") {
        leaf.company = Company::Maze(MAZE);
    } else if plain.starts_with("self-signed") || plain.contains("signed by itself") {
        leaf.signer = Signer::Itself;
    } else if ["signed by another", "signed by an unknown", "of another CA", "of an unknown CA", "unknown CA"]
        .iter()
        .any(|words| plain.contains(words))
    {
        leaf.signer = Signer::Stranger;
    } else {
        return Err(unknown());
    }
    Ok(probe)
}

const A_DAY: i64 = 86_400;
/// As many as fit into the certificates of a handshake, two by two.
const MAZE: usize = 50;

/// `1 s`, `120 s`, `2 h`, `1 d`.
fn seconds(text: &str) -> Option<i64> {
    let (number, unit) = text.trim().split_once(' ').unwrap_or((text.trim(), "s"));
    let unit = match unit {
        "s" | "second" | "seconds" => 1,
        "m" | "min" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => A_DAY,
        _ => return None,
    };
    number.parse::<i64>().ok().map(|number| number * unit)
}

/// Items between commas that are in no quotes.
fn items(list: &str) -> Vec<&str> {
    let mut quoted = false;
    let is_comma = |character: char| {
        quoted ^= character == '"';
        character == ',' && !quoted
    };
    list.split(is_comma).map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// `URI spiffe://…`, `DNS "…"`, `IP …`, `email …`, `otherName with embedded NUL`.
fn name(item: &str) -> Result<Name, String> {
    let (kind, value) = item.split_once(' ').unwrap_or((item, ""));
    Ok(match kind {
        "URI" => Name::Uri(quoted(value)?),
        "DNS" => Name::Dns(quoted(value)?),
        "email" | "rfc822Name" => Name::Email(quoted(value)?),
        "IP" => Name::Ip(quoted(value)?.parse().map_err(|_| format!("not understood: `{item}`"))?),
        "otherName" if value.contains("NUL") => Name::Other(format!("{WEB}\0.evil")),
        "otherName" => Name::Other(quoted(value)?),
        _ => return Err(format!("not understood: `{item}`")),
    })
}

/// A text, with its quotes or without, in the notation of bytes.
fn quoted(text: &str) -> Result<String, String> {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let bytes = notation::bytes(inner)?;
    String::from_utf8(bytes).ok().filter(|text| text.is_ascii()).ok_or(format!("no certificate has `{text}`"))
}

/// What a leaf has that it should not, or has not.
fn with(text: &str, leaf: &mut Leaf) -> Option<()> {
    let digital = KeyUsagePurpose::DigitalSignature;
    match text.trim() {
        "CA:TRUE" => leaf.is_authority = true,
        "keyCertSign" => leaf.usages = Some(vec![digital, KeyUsagePurpose::KeyCertSign]),
        "cRLSign" => leaf.usages = Some(vec![digital, KeyUsagePurpose::CrlSign]),
        "EKU serverAuth only" | "only EKU serverAuth" | "only serverAuth" => {
            leaf.extended = Some(vec![ExtendedKeyUsagePurpose::ServerAuth]);
        }
        "EKU codeSigning" | "only EKU codeSigning" => {
            leaf.extended = Some(vec![ExtendedKeyUsagePurpose::CodeSigning]);
        }
        _ => return None,
    }
    Some(())
}

/// `URI name constraint excluding DOMAIN`, `DNS name constraint permitting DOMAIN`, `CA:FALSE`.
fn between(text: &str) -> Option<Signer> {
    if text.trim() == "CA:FALSE" {
        return Some(Signer::Between { constraint: None, is_authority: false });
    }
    let (kind, rest) = text.split_once(" name constraint ")?;
    let of_uris = match kind.trim() {
        "URI" => true,
        "DNS" => false,
        _ => return None,
    };
    let (how, name) = rest.split_once(' ')?;
    let excludes = match how {
        "excluding" => true,
        "permitting" => false,
        _ => return None,
    };
    let constraint = Some(Constraint { excludes, of_uris, name: name.trim().to_owned() });
    Some(Signer::Between { constraint, is_authority: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(text: &str, before: Option<&str>) -> Vec<Probe> {
        match read(text, before) {
            Ok(Input::Probes(probes)) => probes,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn names_are_read_with_their_kinds_and_bytes() {
        let two = r#"leaf SAN = [URI spiffe://td.test/a, DNS "x\x00, y"]"#;
        let own = |probes: &[Probe]| probes[0].leaf.names.clone();
        let (uri, dns) = (Name::Uri("spiffe://td.test/a".to_owned()), Name::Dns("x\0, y".to_owned()));
        assert_eq!(own(&probes(two, None)), [uri.clone(), dns.clone()]);
        assert_eq!(own(&probes("same two in reverse order", Some(two))), [dns, uri]);
        let Name::Uri(long) = own(&probes("URI of 2,049 bytes", None)).remove(0) else { panic!() };
        assert_eq!(long.len(), 2_049);
    }

    #[test]
    fn alternatives_are_shown_one_by_one() {
        let read = probes("expired 1 s ago ; notBefore +120 s", None);
        assert_eq!(read.iter().map(|probe| probe.leaf.ends).collect::<Vec<_>>(), [Some(-1), Some(86_520)]);
        let read = probes("leaf with CA:TRUE ; with cRLSign", None);
        assert!(read[0].leaf.is_authority && read[1].leaf.usages.is_some());
        assert_eq!(probes("chain with 10^4 certs ; 1 MiB leaf", None)[1].leaf.padding, 1 << 20);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for text in
            ["leaf with a surprise", "URI a b", "leaf SAN = [X500 y]", "same thing", "resume something", ""]
        {
            assert!(!matches!(read(text, None), Ok(Input::Probes(probes)) if !probes.is_empty()), "{text}");
        }
    }
}
