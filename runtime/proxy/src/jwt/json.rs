//! JSON (RFC 8259) as tokens and keys are read: strict, each key of an object once, and bounded in depth and number before anything more
//! of it is kept.

/// Objects and lists inside each other. Nobody's claims are deeper, and a reader that calls itself ends before its stack does.
const MAX_DEPTH: usize = 32;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool,
    /// As it is written.
    Number(Box<str>),
    Text(String),
    List(Vec<Json>),
    /// In the order written; no key twice.
    Object(Vec<(String, Json)>),
}

/// It is not, or it is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl Json {
    /// What an object has at a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        let Json::Object(pairs) = self else { return None };
        pairs.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads one value that is all there is, of at most so many values altogether.
pub(crate) fn read(bytes: &[u8], most: usize) -> Result<Json, NotJson> {
    std::str::from_utf8(bytes).map_err(|_| NotJson)?;
    let mut reader = Reader { rest: bytes, left: most };
    let value = reader.value(MAX_DEPTH)?;
    reader.blanks();
    if reader.rest.is_empty() { Ok(value) } else { Err(NotJson) }
}

struct Reader<'j> {
    rest: &'j [u8],
    /// Values that may come yet.
    left: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.left = self.left.checked_sub(1).ok_or(NotJson)?;
        self.blanks();
        match self.rest.first().ok_or(NotJson)? {
            b'{' => self.object(depth.checked_sub(1).ok_or(NotJson)?),
            b'[' => self.list(depth.checked_sub(1).ok_or(NotJson)?),
            b'"' => self.text().map(Json::Text),
            b't' => self.word(b"true", Json::Bool),
            b'f' => self.word(b"false", Json::Bool),
            b'n' => self.word(b"null", Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.expect(b'{')?;
        let mut pairs: Vec<(String, Json)> = Vec::new();
        if self.takes(b'}') {
            return Ok(Json::Object(pairs));
        }
        loop {
            self.blanks();
            let key = self.text()?;
            // Of two values one reader takes the first and another the last.
            if pairs.iter().any(|(own, _)| *own == key) {
                return Err(NotJson);
            }
            self.blanks();
            self.expect(b':')?;
            pairs.push((key, self.value(depth)?));
            if self.takes(b'}') {
                return Ok(Json::Object(pairs));
            }
            self.expect(b',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, NotJson> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.takes(b']') {
                return Ok(Json::List(items));
            }
            self.expect(b',')?;
        }
    }

    fn text(&mut self) -> Result<String, NotJson> {
        self.expect(b'"')?;
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                b'"' => return String::from_utf8(text).map_err(|_| NotJson),
                b'\\' => {
                    let letter = self.escape()?;
                    text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                byte if byte < b' ' => return Err(NotJson),
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<char, NotJson> {
        Ok(match self.byte()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                // Half of a pair is no letter.
                let code = match first {
                    0xd800..=0xdbff => {
                        self.expect(b'\\')?;
                        self.expect(b'u')?;
                        let second = self.unit()?;
                        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(NotJson)?;
                        0x1_0000 + ((first - 0xd800) << 10) + low
                    }
                    first => first,
                };
                char::from_u32(code).ok_or(NotJson)?
            }
            _ => return Err(NotJson),
        })
    }

    fn unit(&mut self) -> Result<u32, NotJson> {
        (0..4).try_fold(0, |unit, _| {
            let digit = char::from(self.byte()?).to_digit(16).ok_or(NotJson)?;
            Ok(unit << 4 | digit)
        })
    }

    fn number(&mut self) -> Result<Json, NotJson> {
        let whole = self.rest;
        let _ = self.is_next(b'-');
        match self.byte()? {
            b'0' => {}
            b'1'..=b'9' => _ = self.digits(),
            _ => return Err(NotJson),
        }
        if self.is_next(b'.') && self.digits() == 0 {
            return Err(NotJson);
        }
        if self.is_next(b'e') || self.is_next(b'E') {
            let _ = self.is_next(b'-') || self.is_next(b'+');
            if self.digits() == 0 {
                return Err(NotJson);
            }
        }
        let written = whole.get(..whole.len() - self.rest.len()).unwrap_or_default();
        std::str::from_utf8(written).map(|text| Json::Number(text.into())).map_err(|_| NotJson)
    }

    fn digits(&mut self) -> usize {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = self.rest.get(count..).unwrap_or_default();
        count
    }

    fn word(&mut self, word: &[u8], value: Json) -> Result<Json, NotJson> {
        self.rest = self.rest.strip_prefix(word).ok_or(NotJson)?;
        Ok(value)
    }

    fn blanks(&mut self) {
        let count = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// Whether this comes next, behind blanks.
    fn takes(&mut self, byte: u8) -> bool {
        self.blanks();
        self.is_next(byte)
    }

    fn is_next(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.is_next(byte) { Ok(()) } else { Err(NotJson) }
    }

    fn byte(&mut self) -> Result<u8, NotJson> {
        let (first, rest) = self.rest.split_first().ok_or(NotJson)?;
        self.rest = rest;
        Ok(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Json, NotJson> {
        super::read(text.as_bytes(), 100)
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        let number = |text: &str| Json::Number(text.into());
        let object = |pairs: &[(&str, Json)]| {
            Json::Object(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
        };
        assert_eq!(
            read(" {\"a\" : [1,-0.5, 2e+3 ,null,true,false], \"b\":{} }\n"),
            Ok(object(&[
                (
                    "a",
                    Json::List(vec![
                        number("1"),
                        number("-0.5"),
                        number("2e+3"),
                        Json::Null,
                        Json::Bool,
                        Json::Bool
                    ])
                ),
                ("b", object(&[])),
            ]))
        );
        assert_eq!(
            read("\"\\u0041\\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude00é\""),
            Ok(Json::Text("A\"\\/\u{8}\u{c}\n\r\t😀é".to_owned()))
        );
    }

    #[test]
    fn what_is_not_json_is_not_read() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "0x1",
            "NaN",
            "nul",
            "truefalse",
            "1 1",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"a",
            "\u{feff}1",
            "// a\n1",
        ] {
            assert_eq!(read(text), Err(NotJson), "{text}");
        }
        assert_eq!(super::read(b"\"\xff\"", 100), Err(NotJson));
    }

    #[test]
    fn a_key_stands_once_however_it_is_spelled() {
        assert!(read("{\"a\":1,\"b\":{\"a\":2}}").is_ok());
        assert_eq!(read("{\"a\":1,\"a\":1}"), Err(NotJson));
        assert_eq!(read("{\"a\":1,\"\\u0061\":1}"), Err(NotJson));
        assert_eq!(read("[{\"a\":1,\"b\":1,\"a\":1}]"), Err(NotJson));
    }

    #[test]
    fn depth_and_number_have_limits() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(read(&nested(MAX_DEPTH + 1)), Err(NotJson));
        assert_eq!(read(&"[".repeat(100_000)), Err(NotJson));
        let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert!(read(&many(99)).is_ok());
        assert_eq!(read(&many(100)), Err(NotJson), "the list is one too");
    }
}
