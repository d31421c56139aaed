//! The fields of a line: JSON (RFC 8259), whatever is in it.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn text(line: &mut String, name: &str, value: &str) {
    key(line, name);
    line.push('"');
    escape(line, value);
    line.push('"');
}

pub(super) fn texts(line: &mut String, name: &str, values: &[String]) {
    key(line, name);
    for (value, before) in values.iter().zip(std::iter::once('[').chain(std::iter::repeat(','))) {
        line.push(before);
        line.push('"');
        escape(line, value);
        line.push('"');
    }
    line.push(']');
}

pub(super) fn number(line: &mut String, name: &str, value: impl fmt::Display) {
    key(line, name);
    // Writing to a string does not fail.
    let _ = write!(line, "{value}");
}

fn key(line: &mut String, name: &str) {
    if !line.ends_with('{') {
        line.push(',');
    }
    line.push('"');
    line.push_str(name);
    line.push_str("\":");
}

/// Appends `value` as the inside of a JSON string (RFC 8259 7). Whatever a terminal could obey is escaped too.
pub(crate) fn escape(line: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            control if control.is_control() => {
                // All control characters are below U+0100.
                let _ = write!(line, "\\u{:04x}", u32::from(control));
            }
            other => line.push(other),
        }
    }
}

/// A time in UTC with milliseconds (RFC 3339).
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // The civil calendar from a count of days: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_stays_one_line_of_json_whatever_is_in_it() {
        let mut line = String::new();
        escape(&mut line, "a\"b\\c\r\n\u{1b}[2J\u{7f}\u{9b}é");
        assert_eq!(line, r#"a\"b\\c\u000d\u000a\u001b[2J\u007f\u009bé"#);
    }

    #[test]
    fn times_are_rfc_3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(millis)), expected);
        }
    }
}
