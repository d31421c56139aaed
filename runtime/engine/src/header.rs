//! How lines of a header become one value (`spec/semantics.md` 1.3).

use crate::request::HeaderValue;

/// The value of a header, given its lines in order. `name` is lower-case.
pub fn value_of_lines<'a>(name: &[u8], lines: impl Iterator<Item = &'a [u8]>) -> HeaderValue<'a> {
    let mut value = HeaderValue::Absent;
    let mut found = false;
    for line in lines {
        if matches!(value, HeaderValue::Absent) {
            value = HeaderValue::Single(b"");
        }
        for item in items_of_line(name, line) {
            if found {
                return HeaderValue::Many;
            }
            found = true;
            value = HeaderValue::Single(item);
        }
    }
    value
}

/// The items of one line of a header: in a list field those that are not empty, in another the line itself.
pub(crate) fn items_of_line<'a>(name: &[u8], line: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    // No extension's name is one of them.
    let is_list = name.starts_with(b"x-") || !NOT_LISTS.contains(&name);
    let mut rest = Some(line);
    let items = std::iter::from_fn(move || {
        let text = rest?;
        let item;
        (item, rest) = if is_list { next_item(text) } else { (text, None) };
        Some(item)
    });
    items.filter(move |item| !is_list || !item.is_empty())
}

/// Fields whose values may hold commas that separate nothing: each line is one item.
const NOT_LISTS: [&[u8]; 11] = [
    b"authorization",
    b"cookie",
    b"date",
    b"expires",
    b"host",
    b"if-modified-since",
    b"if-unmodified-since",
    b"last-modified",
    b"retry-after",
    b"set-cookie",
    b"user-agent",
];

/// What stands before the first comma outside double quotes, trimmed, and what stands after that comma, if there is one.
fn next_item(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut quoted, mut escaped) = (false, false);
    let comma = text.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => {}
        }
        *byte == b',' && !quoted
    });
    match comma.and_then(|at| text.split_at_checked(at)) {
        Some((item, rest)) => (trim(item), rest.get(1..)),
        None => (trim(text), None),
    }
}

/// Without spaces and tabs around it.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(name: &str, lines: &'a [&'a str]) -> HeaderValue<'a> {
        value_of_lines(name.as_bytes(), lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn a_list_field_has_as_many_values_as_items() {
        for (lines, expected) in [
            (&[][..], HeaderValue::Absent),
            (&[""], HeaderValue::Single(b"")),
            (&["", " , \t,"], HeaderValue::Single(b"")),
            (&["user"], HeaderValue::Single(b"user")),
            (&["\t user \t"], HeaderValue::Single(b"user")),
            (&[" ,user,, "], HeaderValue::Single(b"user")),
            (&["", "user"], HeaderValue::Single(b"user")),
            (&["a b"], HeaderValue::Single(b"a b")),
            (&["user,admin"], HeaderValue::Many),
            (&["user", "admin"], HeaderValue::Many),
            (&["user", "user"], HeaderValue::Many),
        ] {
            assert_eq!(value("x-role", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_comma_in_quotes_separates_nothing() {
        assert_eq!(value("x-role", &[r#""a, b""#]), HeaderValue::Single(br#""a, b""#));
        assert_eq!(value("x-role", &[r#"n="a, b"; q, c"#]), HeaderValue::Many);
        assert_eq!(
            value("x-role", &[r#""a, b"#]),
            HeaderValue::Single(br#""a, b"#),
            "a quote that never ends"
        );
        assert_eq!(value("x-role", &[r#""\"", admin"#]), HeaderValue::Many, "an escaped quote ends nothing");
        assert_eq!(
            value("x-role", &[r#"\", b, c""#]),
            HeaderValue::Single(br#"\", b, c""#),
            "outside it escapes nothing"
        );
        assert_eq!(value("x-role", &[r#""a"#, r#"b""#]), HeaderValue::Many, "a quote ends with its line");
    }

    #[test]
    fn a_line_of_a_field_that_is_no_list_is_one_value() {
        for name in NOT_LISTS.map(|name| std::str::from_utf8(name).unwrap()) {
            assert_eq!(value(name, &["Mon, 1 Jan"]), HeaderValue::Single(b"Mon, 1 Jan"), "{name}");
            assert_eq!(value(name, &[""]), HeaderValue::Single(b""), "{name}");
            assert_eq!(value(name, &["a", ""]), HeaderValue::Many, "{name}");
        }
    }

    #[test]
    fn values_are_bytes() {
        assert_eq!(value_of_lines(b"x", [&b"\xff,"[..]].into_iter()), HeaderValue::Single(b"\xff"));
    }
}
