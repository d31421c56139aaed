//! The matrix for spreadsheets: RFC 4180, a line for each caller, port and `allow`.

use crate::report::who::{Grant, Row};

const HEAD: [&str; 10] = [
    "caller",
    "callee",
    "port",
    "verdict",
    "declared",
    "operations",
    "conditions",
    "line",
    "allowed",
    "denied",
];

pub(super) fn csv(rows: &[Row]) -> String {
    let mut out = line(&HEAD.map(str::to_owned));
    for row in rows {
        if row.grants.is_empty() {
            out.push_str(&self::row(row, None));
        }
        row.grants.iter().for_each(|grant| out.push_str(&self::row(row, Some(grant))));
    }
    out
}

fn row(row: &Row, grant: Option<&Grant>) -> String {
    let operations = grant.map(|grant| match grant.operations.as_slice() {
        [] => "any".to_owned(),
        several => several.join(", "),
    });
    let place = grant.map(|grant| format!("{}:{}", grant.line.file, grant.line.start.line));
    line(&[
        row.caller.clone(),
        row.callee.clone(),
        row.port.clone(),
        row.verdict.as_str().to_owned(),
        row.declared.as_str().to_owned(),
        operations.unwrap_or_default(),
        grant.map(|grant| grant.when.clone()).unwrap_or_default(),
        place.unwrap_or_default(),
        row.allowed.as_ref().map(|example| example.request.clone()).unwrap_or_default(),
        row.denied.as_ref().map(|example| example.request.clone()).unwrap_or_default(),
    ])
}

fn line(fields: &[String]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    format!("{}\r\n", fields.join(","))
}

/// What holds a comma, a quote or a line break is quoted; what a spreadsheet would take for a formula begins with an apostrophe.
fn quoted(field: &str) -> String {
    let field = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{field}")
    } else {
        field.to_owned()
    };
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        let fields = ["plain", "a, b", "say \"x\"", "=1+1"].map(str::to_owned);
        assert_eq!(line(&fields), "plain,\"a, b\",\"say \"\"x\"\"\",'=1+1\r\n");
    }
}
