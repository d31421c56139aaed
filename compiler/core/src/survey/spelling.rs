//! Sets of requests as the language writes them: operations and conditions, put into words again.

use crate::model::{Asked, Block, Field, FieldTest, Shape, ValueSet};
use std::net::Ipv6Addr;

/// `GET /reviews/{id}`; empty for every request.
pub(super) fn operation(shape: &Shape) -> String {
    let method = shape.method.map(|method| method.as_str().to_owned());
    let path = shape.path.as_ref().map(|path| path.to_string());
    method.into_iter().chain(path).collect::<Vec<_>>().join(" ")
}

/// `header "x" = "a" and query "k" present`; empty where nothing is asked.
pub(super) fn conditions(shape: &Shape) -> String {
    shape.tests.iter().map(test).collect::<Vec<_>>().join(" and ")
}

/// `header "x" = "a"`
pub(super) fn test(test: &FieldTest) -> String {
    let field = field(&test.field);
    let (asked, negated) = match &test.set {
        ValueSet::Absent => return format!("{field} absent"),
        ValueSet::Present => return format!("{field} present"),
        ValueSet::Passing { asked, negated, .. } => (asked, *negated),
    };
    let not = if negated { "not " } else { "" };
    match asked {
        Asked::OneOf(values) => one_of(&field, values.iter().map(|value| quoted(value)).collect(), negated),
        Asked::Within(blocks) => {
            one_of(&field, blocks.iter().map(|own| quoted(&block(*own))).collect(), negated)
        }
        Asked::Prefix(text) => format!("{not}{field} prefix {}", quoted(text)),
        Asked::Suffix(text) => format!("{not}{field} suffix {}", quoted(text)),
        Asked::Contains(text) => format!("{not}{field} contains {}", quoted(text)),
        Asked::Has(text) => format!("{not}{field} has {}", quoted(text)),
        Asked::Matches(regex) => format!("{not}{field} matches re\"{}\"", regex.replace('"', "\\\"")),
    }
}

fn one_of(field: &str, values: Vec<String>, negated: bool) -> String {
    match (values.as_slice(), negated) {
        ([only], false) => format!("{field} = {only}"),
        ([only], true) => format!("{field} != {only}"),
        (several, false) => format!("{field} in ({})", several.join(", ")),
        (several, true) => format!("not {field} in ({})", several.join(", ")),
    }
}

fn field(field: &Field) -> String {
    match field {
        Field::Path => "path".to_owned(),
        Field::Header(name) => format!("header {}", quoted(name)),
        Field::Query(name) => format!("query {}", quoted(name)),
        Field::Cookie(name) => format!("cookie {}", quoted(name)),
        Field::Jwt(name) => format!("jwt {name}"),
        Field::Claim { issuer, path } => {
            let of = if issuer.is_empty() { String::new() } else { format!(" {issuer}") };
            let path: Vec<String> = path.iter().map(|step| quoted(step)).collect();
            format!("claim{of} {}", path.join(" "))
        }
        Field::SourceIp => "source-ip".to_owned(),
        Field::ClientIp => "client-ip".to_owned(),
        Field::Host => "host".to_owned(),
    }
}

/// `10.0.0.0/8`, or an address alone.
fn block(block: Block) -> String {
    let (ip, bits) = (Ipv6Addr::from(block.first), 128);
    let v4 = ip.to_ipv4_mapped().filter(|_| block.free <= 32);
    let (text, bits) = v4.map_or((ip.to_string(), bits), |ip| (ip.to_string(), 32));
    if block.free == 0 { text } else { format!("{text}/{}", bits - block.free) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
