//! How frames are written in a catalogue: `HEADERS[1,ES,EH]{:method=GET,…}`, `10^5 x (HEADERS ; RST_STREAM[n,CANCEL])`, `CONTINUATION x inf`.

use super::connection::{Script, Write};
use super::frames::{self, Field};
use crate::{expect, notation};

/// A request that is let in.
pub(super) const USUAL: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", "/public")];

/// One frame; stream 0 stands for the number of a repetition.
#[derive(Clone, Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: Option<u32>,
    payload: Vec<u8>,
    count: usize,
}

/// What a text stands for: one script, or several where it names alternatives. Each with how many streams it opens.
/// `sorted`: pseudo-header fields come first, as any client writes them; else they come as they are named, which is what the case is about.
pub(super) fn scripts(text: &str, sorted: bool) -> Result<Vec<(Script, usize)>, String> {
    let deaf = text.contains("never reading");
    if let Some((count, group, _)) = group(text) {
        let mut frames = Vec::new();
        for element in elements(group) {
            frames.push(frame(element, sorted)?);
        }
        let twice = group.trim_end().ends_with("twice");
        let make = move |number: u32| {
            let stream = 2 * number + 1;
            let bytes = |own: &Frame| bytes_of(own, stream);
            let mut all: Vec<u8> = frames.iter().flat_map(bytes).collect();
            if twice && let Some(last) = frames.last() {
                all.extend(bytes_of(last, stream));
            }
            all
        };
        let mut script = Script::of(vec![Write::Repeat(count, Box::new(make))]);
        script.deaf = deaf;
        return Ok(vec![(script, 0)]);
    }
    let elements = elements(text);
    let is_name = |element: &&str| element.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let alternatives = elements.get(1..).unwrap_or_default();
    if !alternatives.is_empty()
        && alternatives.iter().all(|element| is_name(element) || element.starts_with('{'))
    {
        let first = *elements.first().unwrap_or(&"");
        let mut texts = vec![first.to_owned()];
        for element in alternatives {
            texts.push(match element.starts_with('{') {
                true => format!("HEADERS{element}"),
                // The last field again, under another name.
                false => first.rsplit_once(',').map_or(String::new(), |(before, field)| {
                    let (_, value) = field.split_once('=').unwrap_or(("", "1}"));
                    format!("{before},{element}={value}")
                }),
            });
        }
        return texts.iter().map(|text| sequence(&self::elements(text), deaf, sorted)).collect();
    }
    Ok(vec![sequence(&elements, deaf, sorted)?])
}

fn sequence(elements: &[&str], deaf: bool, sorted: bool) -> Result<(Script, usize), String> {
    let (mut writes, mut opened) = (Vec::new(), 0);
    for element in elements {
        let frame = frame(element, sorted)?;
        let is_whole = frame.kind == frames::HEADERS && frame.flags & frames::END_HEADERS != 0;
        opened += usize::from(is_whole);
        let count = frame.count;
        writes.push(match count {
            1 => Write::Bytes(bytes_of(&frame, 1)),
            _ => Write::Repeat(count, Box::new(move |number| bytes_of(&frame, 2 * number + 1))),
        });
    }
    let mut script = Script::of(writes);
    script.deaf = deaf;
    Ok((script, opened))
}

fn bytes_of(frame: &Frame, number: u32) -> Vec<u8> {
    frames::frame(frame.kind, frame.flags, frame.stream.unwrap_or(number), &frame.payload)
}

/// `10^6 x (…) rest`.
fn group(text: &str) -> Option<(usize, &str, &str)> {
    let (count, rest) = text.split_once(" x (")?;
    let (group, rest) = rest.rsplit_once(')').map(|(group, rest)| match group.split_once(") ") {
        // A remark in parentheses behind it.
        Some((group, _)) => (group, rest),
        None => (group, rest),
    })?;
    Some((notation::count_of(count)?, group, rest))
}

/// Parts between semicolons, and between a comma and `then`, outside braces and quotes.
fn elements(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '{' | '[' | '(' if !quoted => depth += 1,
            '}' | ']' | ')' if !quoted => depth -= 1,
            ';' if !quoted && depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    let parts = parts.into_iter().flat_map(|part| part.split(", then "));
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// One element: a frame, and what is said of it.
fn frame(element: &str, sorted: bool) -> Result<Frame, String> {
    let unknown = || format!("not understood: `{element}`");
    let end = element.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(element.len());
    let (name, rest) = element.split_at(end);
    let (kind, name_is_known) = match name {
        "DATA" => (frames::DATA, true),
        "HEADERS" => (frames::HEADERS, true),
        "PRIORITY" => (frames::PRIORITY, true),
        "RST_STREAM" => (frames::RST_STREAM, true),
        "SETTINGS" => (frames::SETTINGS, true),
        "PUSH_PROMISE" => (frames::PUSH_PROMISE, true),
        "PING" => (frames::PING, true),
        "GOAWAY" => (frames::GOAWAY, true),
        "WINDOW_UPDATE" => (frames::WINDOW_UPDATE, true),
        "CONTINUATION" => (frames::CONTINUATION, true),
        _ => match element.strip_prefix("unknown frame type 0x").and_then(|rest| rest.get(..2)) {
            Some(digits) => (u8::from_str_radix(digits, 16).map_err(|_| unknown())?, false),
            None => return Err(unknown()),
        },
    };
    let rest = if name_is_known { rest } else { element };
    let bracket = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (bracket, rest) = bracket.unwrap_or(("", rest));
    let brace = rest.trim_start().strip_prefix('{').and_then(|rest| rest.rsplit_once('}'));
    let (fields, said) = brace.map_or((None, rest), |(fields, said)| (Some(fields), said));
    let mut own = Frame { kind, flags: 0, stream: None, payload: vec![], count: 1 };
    let mut says_flags = false;
    for part in bracket.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part {
            "n" => {}
            "ES" => (own.flags, says_flags) = (own.flags | frames::END_STREAM, true),
            "EH" => (own.flags, says_flags) = (own.flags | frames::END_HEADERS, true),
            "ACK" => own.flags |= frames::ACK,
            part => match (expect::reason(part), part, own.stream) {
                (Some(reason), ..) => own.payload = reason.to_be_bytes().to_vec(),
                (None, "2^31-1", _) => own.payload = 0x7fff_ffff_u32.to_be_bytes().to_vec(),
                (None, part, None) if !bracket.trim_start().starts_with('n') => {
                    own.stream = Some(part.parse().map_err(|_| unknown())?);
                }
                (None, part, _) => {
                    own.payload = part.parse::<u32>().map_err(|_| unknown())?.to_be_bytes().to_vec();
                }
            },
        }
    }
    if kind == frames::HEADERS {
        let mut fields = self::fields(fields.unwrap_or("..."))?;
        if sorted {
            fields.sort_by_key(|(name, _)| name.first() != Some(&b':'));
        }
        own.payload = frames::block(&fields);
        if !says_flags {
            own.flags |= frames::END_STREAM | frames::END_HEADERS;
        }
        if said.contains("no EH") || said.contains("without END_HEADERS") {
            own.flags &= !frames::END_HEADERS;
        }
    }
    if kind == frames::DATA {
        own.payload = b"hello".to_vec();
    }
    if kind == frames::PING {
        own.payload = vec![0; 8];
    }
    if kind == frames::CONTINUATION {
        own.stream = own.stream.or(Some(1));
    }
    if matches!(kind, frames::SETTINGS | frames::PING | frames::GOAWAY) {
        own.stream = Some(0);
    }
    if kind == frames::DATA && said.contains("length 0") {
        own.stream = own.stream.or(Some(1));
    }
    if kind == frames::SETTINGS && said.contains("with payload") {
        own.payload = vec![0; 6];
    }
    told(&mut own, said);
    Ok(own)
}

/// What is said behind a frame in words: how often, how long.
fn told(frame: &mut Frame, said: &str) {
    let mut words = said.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let next = words.peek().and_then(|next| notation::count_of(next));
        match (word, next) {
            ("x", Some(count)) => frame.count = count,
            ("length", Some(length)) => frame.payload = vec![0; length],
            _ => {}
        }
    }
    let size = said.split_once('(').and_then(|(_, size)| notation::size_of(size));
    if let Some(size) = size.filter(|_| frame.kind == frames::CONTINUATION) {
        // A field without end: its length is far away.
        frame.payload = vec![b'a'; size as usize];
    }
}

/// The fields between braces.
pub(super) fn fields(text: &str) -> Result<Vec<Field>, String> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    let mut read = Vec::new();
    for part in parts.iter().map(|part| part.trim()) {
        if matches!(part, "..." | "…") {
            // Those that are not said anyway.
            let is_said = |name: &str| parts.iter().any(|part| part.trim().starts_with(&format!("{name}=")));
            let usual = USUAL.iter().filter(|(name, _)| !is_said(name));
            let at = read.iter().take_while(|(name, _): &&Field| name.first() == Some(&b':')).count();
            let usual: Vec<Field> =
                usual.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
            read.splice(at..at, usual);
            continue;
        }
        let equals = match part.strip_prefix('"') {
            Some(rest) => rest.find('"').map(|end| end + 2),
            None => part.get(1..).and_then(|rest| rest.find('=')).map(|at| at + 1),
        };
        let equals = equals.ok_or_else(|| format!("not understood: the field `{part}`"))?;
        let (name, value) = part.split_at(equals);
        let plain = |text: &str| {
            notation::bytes(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text))
        };
        read.push((plain(name)?, plain(value.strip_prefix('=').unwrap_or(value))?));
    }
    Ok(read)
}
