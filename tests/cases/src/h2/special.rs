//! What a catalogue says of HTTP/2 in words: found by words that only it has, with the numbers that it names.

use super::connection::{Script, Write};
use super::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, Field, HEADERS, PADDED, PRIORITY, PUSH_PROMISE,
    WINDOW_UPDATE, block, frame, settings,
};
use super::notation;
use crate::notation::count_of;
use crate::upstream::Plays;
use std::time::Duration;

/// A script, and how many streams it opens that are answered.
type Played = (Script, usize);

/// How the upstream has to behave.
pub(super) fn upstream(text: &str) -> Plays {
    if text.contains("without upstream reading") {
        return Plays::Deaf;
    }
    let megabyte =
        [b"HTTP/1.1 200 OK\r\ncontent-length: 1048576\r\n\r\n".to_vec(), vec![b'x'; 1 << 20]].concat();
    match text.contains("1 MiB response") {
        true => Plays::Bytes { bytes: megabyte, closes: false },
        false => Plays::default(),
    }
}

/// The scripts, where the words are known.
pub(super) fn scripts(text: &str) -> Option<Vec<Played>> {
    let has = |words: &str| text.contains(words);
    let many = |least: usize| numbers(text).find(|number| *number >= least).unwrap_or(least);
    let script = if has("zero-length name/value") {
        one(request(1, END_STREAM | END_HEADERS, &[usual(), [0, 0, 0].repeat(many(1_000))].concat()), 1)
    } else if has("indexed refs") {
        bomb(many(10_000))
    } else if has("cookie split") {
        // Remembered once, and then a byte each.
        let crumb = [&[0x40, 6][..], b"cookie", &[3], b"a=b"].concat();
        let more = vec![0xbe; many(100) - 1];
        one(request(1, END_STREAM | END_HEADERS, &[usual(), crumb, more].concat()), 1)
    } else if has("response window 0") {
        let mut script = Script::bytes(request(1, END_STREAM | END_HEADERS, &usual()));
        script.opening = [frames::PREFACE, &settings(&[(4, 0)])].concat();
        script.stays = Duration::from_secs(40);
        vec![(script, 1)]
    } else if has("size update") {
        let mut update = Vec::new();
        frames::integer(&mut update, 0x20, 5, 1 << 20);
        one(request(1, END_STREAM | END_HEADERS, &[update, usual()].concat()), 0)
    } else if has("HPACK index") {
        let index = |index| {
            let mut block = Vec::new();
            frames::integer(&mut block, 0x80, 7, index);
            (Script::bytes(request(1, END_STREAM | END_HEADERS, &block)), 0)
        };
        let named: Vec<usize> =
            text.split("index ").filter_map(|rest| count_of(rest.split([' ', ';']).next()?)).collect();
        named.into_iter().map(index).collect()
    } else if has("Huffman") {
        // `a: …` of the symbol EOS, of a whole byte of padding behind an `a`, and of padding that is not all ones.
        let values: [&[u8]; 3] = [&[0xff; 4], &[0x1f, 0xff], &[0x18]];
        let coded = |value: &&[u8]| {
            let field = [&[0, 1, b'a', 0x80 | value.len() as u8][..], value].concat();
            (Script::bytes(request(1, END_STREAM | END_HEADERS, &[usual(), field].concat())), 0)
        };
        values.iter().map(coded).collect()
    } else if has("pseudo-header in trailers") {
        let trailers = block(&[(b":path".to_vec(), b"/admin".to_vec())]);
        let bytes = [
            request(1, END_HEADERS, &usual()),
            frame(DATA, 0, 1, b"hello"),
            request(1, END_STREAM | END_HEADERS, &trailers),
        ];
        one(bytes.concat(), 1)
    } else if has(":scheme=") && !has("HEADERS") {
        let schemes = text
            .split(" ; ")
            .map(|scheme| scheme.trim_start_matches(":scheme=").trim_matches('"').to_owned());
        schemes.map(|scheme| (Script::bytes(of(&[(":scheme", &scheme)])), 1)).collect()
    } else if has("concurrent stream") {
        let limit =
            text.split("limit ").nth(1).and_then(|rest| count_of(rest.trim_end_matches(')'))).unwrap_or(100);
        let open = |number: u32| request(2 * number + 1, END_HEADERS, &usual());
        vec![(Script::of(vec![Write::Repeat(limit + 1, Box::new(open))]), 0)]
    } else if has("making a window") {
        let most = 0x7fff_ffff_u32.to_be_bytes();
        let open = request(1, END_HEADERS, &usual());
        vec![
            (Script::bytes([open.clone(), frame(WINDOW_UPDATE, 0, 1, &most)].concat()), 0),
            (Script::bytes([open, frame(WINDOW_UPDATE, 0, 0, &most)].concat()), 0),
        ]
    } else if has("frame length ") {
        text.split(" ; ").filter_map(of_length).map(|bytes| (Script::bytes(bytes), 0)).collect()
    } else if has("pad length") {
        let open = request(1, END_HEADERS, &usual());
        vec![
            (Script::bytes([open, frame(DATA, PADDED, 1, &[200, b'a', b'b'])].concat()), 0),
            (Script::bytes(frame(HEADERS, PADDED | END_HEADERS, 1, &[200, 0, 0])), 0),
        ]
    } else if has("PUSH_PROMISE from client") {
        let promise = [&2_u32.to_be_bytes()[..], &usual()].concat();
        one([request(1, END_HEADERS, &usual()), frame(PUSH_PROMISE, END_HEADERS, 1, &promise)].concat(), 0)
    } else if has("preface") {
        let mut wrong = Script::of(vec![]);
        wrong.opening = b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec();
        let mut slow = Script::of(vec![Write::Pause(Duration::from_secs(5)), Write::Bytes(b"R".to_vec())]);
        slow.opening = b"P".to_vec();
        for script in [&mut wrong, &mut slow] {
            script.stays = Duration::from_secs(12);
        }
        vec![(wrong, 0), (slow, 0)]
    } else if has("priority tree") {
        let churn = |number: u32| {
            let depends = [&(2 * number + 1).to_be_bytes()[..], &[16]].concat();
            frame(PRIORITY, 0, 2 * number + 3, &depends)
        };
        vec![(Script::of(vec![Write::Repeat(many(1_000), Box::new(churn))]), 0)]
    } else if has("without upstream reading") {
        // As much as the connection's window allows.
        let upload = |number: u32| {
            let open = of_post(2 * number + 1, END_HEADERS, &[]);
            let data = frame(DATA, 0, 2 * number + 1, &[b'x'; 16_383]);
            if number < 15 { [open, data.repeat(4)].concat() } else { open }
        };
        vec![(Script::of(vec![Write::Repeat(many(100).min(100), Box::new(upload))]), 0)]
    } else if has("CONTINUATION of length 0") {
        let open = request(1, 0, &usual());
        let more = |_| frame(CONTINUATION, 0, 1, &[]);
        vec![(Script::of(vec![Write::Bytes(open), Write::Repeat(many(1_000), Box::new(more))]), 0)]
    } else if has("DATA length 0") {
        let open = of_post(1, END_HEADERS, &[]);
        let empty = |_| frame(DATA, 0, 1, &[]);
        vec![(Script::of(vec![Write::Bytes(open), Write::Repeat(many(1_000), Box::new(empty))]), 0)]
    } else if text.starts_with("SETTINGS_") {
        text.split(" ; ")
            .map(|setting| setting_of(setting).map(|setting| (Script::bytes(setting), 0)))
            .collect::<Option<_>>()?
    } else if has("on a closed stream") {
        let ends = request(1, END_STREAM | END_HEADERS, &usual());
        let writes =
            vec![Write::Bytes(ends.clone()), Write::Pause(Duration::from_millis(100)), Write::Bytes(ends)];
        vec![(Script::of(writes), 0)]
    } else if let Some(values) = text.strip_prefix("grpc-timeout=") {
        let call = |value: &str| {
            let call =
                [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", value.trim())];
            (
                Script::bytes(of_post(
                    1,
                    END_STREAM | END_HEADERS,
                    &[&[(":path", "/pub.Pub/Get")], &call[..]].concat(),
                )),
                1,
            )
        };
        values.split(';').map(call).collect()
    } else if has("message length prefix") {
        let call = [(":path", "/pub.Pub/Get"), ("content-type", "application/grpc"), ("te", "trailers")];
        let message = frame(DATA, 0, 1, &[0, 0xff, 0xff, 0xff, 0xff, b'h', b'e', b'l', b'l', b'o']);
        one([of_post(1, END_HEADERS, &call), message].concat(), 0)
    } else if has("on a gRPC path") || has("on h1 POST") {
        let kind = if has("application/json") { "application/json" } else { "application/grpc" };
        let call = [(":path", "/admin.Admin/Delete"), ("content-type", kind)];
        one(of_post(1, END_STREAM | END_HEADERS, &call), 1)
    } else {
        return None;
    };
    Some(script)
}

fn one(bytes: Vec<u8>, opened: usize) -> Vec<Played> {
    vec![(Script::bytes(bytes), opened)]
}

/// The numbers of a text, `10^5` and `16,000` too.
fn numbers(text: &str) -> impl Iterator<Item = usize> {
    text.split([' ', ';', '(', ')']).filter_map(|word| count_of(word.trim_end_matches(',')))
}

fn request(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    // Blocks of any length: what does not fit into a frame goes on in others.
    let mut pieces = block.chunks(16_384);
    let first = pieces.next().unwrap_or_default();
    let rest: Vec<&[u8]> = pieces.collect();
    if rest.is_empty() {
        return frame(HEADERS, flags, stream, first);
    }
    let mut bytes = frame(HEADERS, flags & !END_HEADERS, stream, first);
    for (index, piece) in rest.iter().enumerate() {
        let ends = if index + 1 == rest.len() { flags & END_HEADERS } else { 0 };
        bytes.extend(frame(CONTINUATION, ends, stream, piece));
    }
    bytes
}

fn fields_of(own: &[(&str, &str)]) -> Vec<u8> {
    let mut fields: Vec<(&str, &str)> = notation::USUAL.to_vec();
    for (name, value) in own {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value,
            None => fields.push((name, value)),
        }
    }
    let fields: Vec<Field> = fields
        .into_iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    block(&fields)
}

fn usual() -> Vec<u8> {
    fields_of(&[])
}

fn of(fields: &[(&str, &str)]) -> Vec<u8> {
    request(1, END_STREAM | END_HEADERS, &fields_of(fields))
}

fn of_post(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    request(stream, flags, &fields_of(&[&[(":method", "POST")], fields].concat()))
}

/// A field that is remembered, and then named by one byte as often as possible, on many streams whose answers nobody takes.
fn bomb(references: usize) -> Vec<Played> {
    let mut seed = usual();
    seed.extend_from_slice(&[0x40, 1, b'a']);
    frames::integer(&mut seed, 0, 7, 4_000);
    seed.extend(vec![b'x'; 4_000]);
    let make = move |number: u32| match number {
        0 => request(1, END_STREAM | END_HEADERS, &seed),
        number => {
            let block = [usual(), vec![0xbe; references]].concat();
            request(2 * number + 1, END_STREAM | END_HEADERS, &block)
        }
    };
    let mut script = Script::of(vec![Write::Repeat(100, Box::new(make))]);
    script.opening = [frames::PREFACE, &settings(&[(4, 0)])].concat();
    vec![(script, 0)]
}

/// `SETTINGS_INITIAL_WINDOW_SIZE=2^31`, by its number (RFC 9113 6.5.2).
fn setting_of(text: &str) -> Option<Vec<u8>> {
    const NAMES: [&str; 6] = [
        "HEADER_TABLE_SIZE",
        "ENABLE_PUSH",
        "MAX_CONCURRENT_STREAMS",
        "INITIAL_WINDOW_SIZE",
        "MAX_FRAME_SIZE",
        "MAX_HEADER_LIST_SIZE",
    ];
    let (name, value) = text.trim().strip_prefix("SETTINGS_")?.split_once('=')?;
    let number = NAMES.iter().position(|own| *own == name)? + 1;
    let value = count_of(value.split(' ').next()?)?;
    Some(settings(&[(number as u16, u32::try_from(value).ok()?)]))
}

/// `PING length 7`.
fn of_length(text: &str) -> Option<Vec<u8>> {
    let (kind, length) = text.split_once(" length ")?;
    let payload = vec![0; count_of(length)?];
    Some(match kind.trim() {
        "PING" => frame(frames::PING, 0, 0, &payload),
        "SETTINGS" => frame(frames::SETTINGS, 0, 0, &payload),
        "WINDOW_UPDATE" => frame(WINDOW_UPDATE, 0, 0, &payload),
        "RST_STREAM" => [of_post(1, END_HEADERS, &[]), frame(frames::RST_STREAM, 0, 1, &payload)].concat(),
        "PRIORITY" => frame(PRIORITY, 0, 1, &payload),
        _ => [of_post(1, END_HEADERS, &[]), frame(DATA, 0, 1, &payload)].concat(),
    })
}
