//! A chunked body (RFC 9112 7.1), read strictly: no bare line feeds, extensions and trailers within bounds.

use super::head::{Defect, bad};

/// More than a chunk of any body that there is: a larger one is a mistake, or an attack on who adds to it.
const MAX_CHUNK: u64 = 1 << 48;
/// Of extensions, in all of a body: nobody uses them, and each costs work for every chunk.
const MAX_EXTENSIONS: u32 = 4 * 1024;
/// Of trailers, which are not passed on.
const MAX_TRAILERS: u32 = 16 * 1024;
/// Digits of a size: more cannot be held in 64 bits.
const MAX_DIGITS: u8 = 16;

/// Where in a body one is.
#[derive(Clone, Copy)]
pub(crate) struct Chunks {
    place: Place,
    /// Bytes of extensions so far, then of trailers.
    extra: u32,
}

#[derive(Clone, Copy)]
enum Place {
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        quote: Quote,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// In a trailer's line of which something has been seen, or nothing.
    Trailer {
        begun: bool,
    },
    TrailerLf {
        begun: bool,
    },
}

/// Where in a quoted string (RFC 9110 5.6.4) one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
}

impl Default for Chunks {
    fn default() -> Chunks {
        Chunks { place: Place::Size { value: 0, digits: 0 }, extra: 0 }
    }
}

const MALFORMED: Defect = bad("malformed chunks");

impl Chunks {
    /// Takes one byte, or all of a chunk's data that are there. Nowhere is the end of the body.
    pub(crate) fn read(mut self, bytes: &[u8]) -> Result<(Option<Chunks>, &[u8]), Defect> {
        if let Place::Data { left } = self.place {
            let taken = left.min(bytes.len() as u64);
            self.place = if taken == left { Place::DataCr } else { Place::Data { left: left - taken } };
            return Ok((Some(self), bytes.get(taken as usize..).unwrap_or_default()));
        }
        let Some((byte, rest)) = bytes.split_first() else { return Ok((Some(self), bytes)) };
        if let (Place::TrailerLf { begun: false }, b'\n') = (self.place, byte) {
            return Ok((None, rest));
        }
        self.place = self.place.step(*byte)?;
        match self.place {
            Place::Extension { .. } => self.count(MAX_EXTENSIONS, "chunks with long extensions")?,
            Place::Trailer { begun: true } => self.count(MAX_TRAILERS, "long trailers")?,
            _ => {}
        }
        Ok((Some(self), rest))
    }

    /// Whether what comes is data.
    pub(crate) fn is_in_data(&self) -> bool {
        matches!(self.place, Place::Data { .. })
    }

    /// Whether what comes is trailers, or the end.
    pub(crate) fn is_in_trailers(&self) -> bool {
        matches!(self.place, Place::Trailer { .. } | Place::TrailerLf { .. })
    }

    fn count(&mut self, most: u32, why: &'static str) -> Result<(), Defect> {
        self.extra += 1;
        if self.extra > most { Err(bad(why)) } else { Ok(()) }
    }
}

impl Place {
    fn step(self, byte: u8) -> Result<Place, Defect> {
        use Quote::{Escaped, Inside, Outside};
        Ok(match (self, byte) {
            (Place::Size { value, digits }, _) if byte.is_ascii_hexdigit() && digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Place::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Place::Size { digits: 0, .. }, _) => return Err(MALFORMED),
            (Place::Size { value, .. }, _) if value > MAX_CHUNK => return Err(bad("a chunk without end")),
            (Place::Size { value, .. }, b'\r') => Place::SizeEnd { size: value },
            (Place::Size { value, .. }, b';') => Place::Extension { size: value, quote: Outside },
            (Place::Extension { size, quote: Outside }, b'\r') => Place::SizeEnd { size },
            (Place::Extension { size, quote }, b'\t' | b' '..=b'~' | 0x80..) => {
                let quote = match (quote, byte) {
                    (Outside, b'"') => Inside,
                    (Inside, b'"') => Outside,
                    (Inside, b'\\') => Escaped,
                    (Escaped, _) => Inside,
                    (quote, _) => quote,
                };
                Place::Extension { size, quote }
            }
            (Place::SizeEnd { size: 0 }, b'\n') => Place::Trailer { begun: false },
            (Place::SizeEnd { size }, b'\n') => Place::Data { left: size },
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size { value: 0, digits: 0 },
            (Place::Trailer { begun }, b'\r') => Place::TrailerLf { begun },
            (Place::Trailer { .. }, b'\t' | b' '..=b'~' | 0x80..) => Place::Trailer { begun: true },
            (Place::TrailerLf { begun: true }, b'\n') => Place::Trailer { begun: false },
            _ => return Err(MALFORMED),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(body: &str) -> Result<bool, &'static str> {
        let (mut chunks, mut rest) = (Chunks::default(), body.as_bytes());
        while !rest.is_empty() {
            let (next, after) = chunks.read(rest).map_err(|defect| defect.why)?;
            rest = after;
            match next {
                Some(next) => chunks = next,
                None => return Ok(rest.is_empty()),
            }
        }
        Ok(false)
    }

    #[test]
    fn bodies_end_where_they_say() {
        for body in
            ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "5;a=\"b;\\\"c\"\r\nhello\r\n00\r\nx: y\r\nz: a\r\n\r\n"]
        {
            assert_eq!(whole(body), Ok(true), "{body:?}");
        }
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_malformed() {
        for body in [
            "\r\n",
            "-5\r\n",
            "5 \r\n",
            "0x5\r\n",
            "5\n",
            "10000000000000005\r\n",
            "FFFFFFFFFFFFFFFF\r\n",
            "5\r\nhelloXX",
            "5\r\nhello\n",
            "5;a=\"b\r\n",
            "5;a\u{0}\r\n",
        ] {
            assert!(whole(body).is_err(), "{body:?}");
        }
        let long = |count| whole(&format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(count)));
        assert_eq!(long(4_000), Ok(true));
        assert!(long(5_000).is_err());
        assert!(whole(&format!("0\r\nx: {}\r\n\r\n", "y".repeat(20_000))).is_err());
    }
}
