//! What has to come of a case, read out of its words: clauses behind semicolons, alternatives behind slashes and `or`, remarks in parentheses.
//! What is not understood is kept and told; an expectation of which nothing is understood fails its case.

mod clause;

use crate::fixture::Fixture;

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A status of HTTP, by a rule where one is named.
    Status(u16, Option<String>),
    /// The upstream has it.
    Forwarded,
    /// Refused in whatever way.
    Refused,
    /// A stream that is reset, for this reason where one is named.
    Reset(Option<u32>),
    /// A connection of HTTP/2 that ends, for this reason where one is named.
    GoneAway(Option<u32>),
    /// A status of gRPC.
    Grpc(u16),
    /// The connection ends, with an answer or without.
    Closed,
}

/// What else has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// The connection ends behind the answer.
    Closes,
    /// What becomes of the second message.
    Then(Fate),
    /// So many requests reach the upstream.
    Requests(usize),
    /// What the upstream says to all of them.
    UpstreamAnswers(u16),
    /// The upstream gets the target as it was sent.
    SameTarget,
    Target(String),
    Host(String),
    /// The host is in lower case.
    LowerHost,
    Body(Vec<u8>),
    BodyLength(usize),
    /// The upstream gets no such header.
    NoHeader(String),
    /// The upstream does not get what the client says there: the headers named, or without names the last one of the input.
    Stripped(Vec<String>),
    /// The proxy's memory grows by less than this.
    Memory(u64),
    /// The proxy takes less processor time than so many seconds.
    Processor(u64),
    /// Whom the proxy takes the client for, behind proxies that it trusts; empty: for nobody.
    Client(String),
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expect {
    pub(crate) fixture: Fixture,
    /// What may become of the first message; empty where that is not said.
    pub(crate) fates: Vec<Fate>,
    pub(crate) checks: Vec<Check>,
    /// What was not understood, or is for another fixture; the oracles look for most of it.
    pub(crate) unchecked: Vec<String>,
    /// Whether something is understood that the oracles check.
    by_oracles: bool,
    /// How many proxies before the gateway are believed, where that matters.
    pub(crate) trusted_hops: Option<u32>,
    /// What is expected, in the catalogue's words, where slashes are decoded and parameters stripped.
    pub(crate) relaxed: Option<String>,
}

impl Expect {
    pub(crate) fn read(text: &str) -> Result<Expect, String> {
        let mut expect = Expect::default();
        let hops = text.split_once("trusted_hops=").map(|(_, hops)| {
            hops.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(1)
        });
        let (text, remarks) = without_remarks(text);
        for clause in text.split(';') {
            clause::read(clause.trim(), &mut expect);
        }
        for remark in remarks {
            clause::remark(&remark, &mut expect);
        }
        // Who nobody trusts is asked for nobody.
        let asks = expect.checks.iter().any(|check| matches!(check, Check::Client(_)));
        expect.trusted_hops = asks.then(|| hops.unwrap_or(1));
        let knows = !expect.fates.is_empty() || !expect.checks.is_empty() || expect.by_oracles;
        if knows { Ok(expect) } else { Err(format!("not understood: `{text}`")) }
    }

    /// Whether nothing of the first message may reach the upstream.
    pub(crate) fn refuses(&self) -> bool {
        let passes = |fate: &Fate| match fate {
            Fate::Forwarded => true,
            Fate::Status(status, _) => *status < 400,
            _ => false,
        };
        !self.fates.is_empty() && !self.fates.iter().any(passes)
    }
}

/// The text without what stands in parentheses, and that.
fn without_remarks(text: &str) -> (String, Vec<String>) {
    let (mut plain, mut remarks, mut depth) = (String::new(), vec![String::new()], 0_usize);
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' if depth > 0 => {
                depth -= 1;
                remarks.push(String::new());
            }
            _ if depth > 0 => {
                if let Some(last) = remarks.last_mut() {
                    last.push(character);
                }
            }
            _ => plain.push(character),
        }
    }
    remarks.retain(|remark| !remark.is_empty());
    (plain, remarks)
}

/// Reasons of HTTP/2 (RFC 9113 7), by name.
const REASONS: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// The number of a reason.
pub(crate) fn reason(name: &str) -> Option<u32> {
    REASONS.iter().position(|own| *own == name).and_then(|number| u32::try_from(number).ok())
}

/// Its name.
pub(crate) fn reason_name(number: u32) -> &'static str {
    REASONS.get(number as usize).copied().unwrap_or("UNKNOWN")
}

#[cfg(test)]
mod tests;
