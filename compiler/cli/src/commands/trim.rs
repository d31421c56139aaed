//! `mesh trim`: what the `allow` lines let in beyond what an access log shows.

use super::{Parsed, environment};
use crate::args::Trim;
use crate::failure::Failure;
use crate::load::{STANDARD_STREAM, load};
use crate::output::{Output, Stream, count};
use crate::report::trim::Document;
use crate::{FINDINGS, OK};
use mesh_compiler::trim::{Observed, Proposed, Trimmed};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// A longer line is none of an access log: a request has at most some ten kilobytes of path.
const MAX_LINE: u64 = 1 << 20;

/// So many names that the project does not have are said.
const MAX_UNKNOWN: usize = 5;

pub(crate) fn run(trim: &Trim, input: &mut dyn Read, output: &mut Output<'_>) -> Result<u8, Failure> {
    let project = load(&trim.sources.paths)?;
    let parsed = Parsed::of(&project);
    let environment = environment::one(&parsed, trim.environment.as_deref())?;
    let mut log = Log::default();
    for path in &trim.logs {
        if path == Path::new(STANDARD_STREAM) {
            log.read("standard input", &mut *input)?;
        } else {
            let file = File::open(path).map_err(|error| Failure::io("read", path, &error))?;
            log.read(&path.display().to_string(), file)?;
        }
    }
    let trimmed = match parsed.project.trim(environment.as_deref(), &log.observed) {
        Ok(trimmed) => trimmed,
        Err(diagnostics) => {
            super::print(output, Stream::Errors, &diagnostics, &[], &parsed, |_| {});
            return Ok(FINDINGS);
        }
    };
    if output.for_program() {
        output.document(&Document::of(&trimmed, &parsed.loaded.sources));
    } else {
        print(output, &trimmed, &parsed);
    }
    if log.dropped > 0 {
        output.say(&format!(
            "the log says that {} were dropped: what is unused here may have been used",
            count(log.dropped, "line")
        ));
    }
    if !trimmed.unknown.is_empty() {
        let more = trimmed.unknown.len().saturating_sub(MAX_UNKNOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named: Vec<&str> = trimmed.unknown.iter().take(MAX_UNKNOWN).map(String::as_str).collect();
        output
            .say(&format!("not in this project: {}{more}; their requests are not counted", named.join(", ")));
    }
    output.say(&format!(
        "{} seen, {} to trim",
        count(log.seen, "request"),
        count(trimmed.lines.len(), "line")
    ));
    Ok(OK)
}

fn print(output: &mut Output<'_>, trimmed: &Trimmed, parsed: &Parsed<'_>) {
    for trimming in &trimmed.lines {
        let sources = &parsed.loaded.sources;
        let (line, _) = sources.position(trimming.span);
        let path = sources.get(trimming.span.file()).map_or("", |source| &source.path);
        output.data(&format!("{path}:{line}  authorize {}", trimming.target));
        output.data(&format!("  - {}", trimming.line));
        match &trimming.proposed {
            Proposed::Unused => output.data("    nothing that was seen needs it"),
            Proposed::Narrower(line) => {
                output.data(&format!("  + {line}"));
                output.data(&format!("    lets in all that was seen: {}", count(trimming.seen, "request")));
            }
        }
        output.data("");
    }
}

/// What access logs say of requests that were let in.
#[derive(Default)]
struct Log {
    observed: BTreeMap<Observed, usize>,
    seen: usize,
    dropped: usize,
}

/// A line of an access log, as `mesh-proxy --access-log` writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Request {
        entry: String,
        method: String,
        path: String,
        service: String,
        /// What the callee saw, where that is something else.
        sent_path: Option<String>,
    },
    Dropped {
        dropped_lines: usize,
    },
}

impl Log {
    fn read(&mut self, name: &str, input: impl Read) -> Result<(), Failure> {
        let mut input = BufReader::new(input);
        let mut number = 0;
        loop {
            let mut line = Vec::new();
            let length = (&mut input).take(MAX_LINE + 1).read_until(b'\n', &mut line);
            let length = length.map_err(|error| Failure::io("read", Path::new(name), &error))?;
            if length == 0 {
                return Ok(());
            }
            number += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(line) => self.add(line),
                Err(_) => {
                    return Err(Failure::new(
                        format!("line {number} of `{name}` is not a line of an access log"),
                        "Give it what `mesh-proxy --access-log` or `mesh up --access-log` wrote: one JSON document on each line.",
                    ));
                }
            }
        }
    }

    fn add(&mut self, line: Line) {
        match line {
            Line::Dropped { dropped_lines } => self.dropped += dropped_lines,
            // Without a service nobody was asked.
            Line::Request { service, .. } if service.is_empty() => self.seen += 1,
            Line::Request { entry, method, path, service, sent_path } => {
                self.seen += 1;
                let caller = match entry.split_once('/') {
                    Some((gateway, _)) => format!("gateway {gateway}"),
                    None => entry,
                };
                let path = Some(sent_path.unwrap_or(path)).filter(|path| path.starts_with('/'));
                *self.observed.entry(Observed { caller, callee: service, method, path }).or_insert(0) += 1;
            }
        }
    }
}
