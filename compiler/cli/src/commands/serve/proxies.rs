//! Which proxies ask, what each of them serves, what it would not take and why: as they say it.

use super::release::Release;
use mesh_plan::parts::Wanted;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// More rows than that nobody has; a stranger who makes names up does not fill the memory.
const MAX_PROXIES: usize = 20_000;
/// A proxy asks at least once a minute: one that did not for two is away.
const AWAY: Duration = Duration::from_secs(120);
/// Who has been away for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);
/// Lines that are kept for the terminal until it has time.
const MAX_LINES: usize = 1_000;

/// What a proxy says with its question.
pub(super) struct Word {
    pub(super) node: String,
    pub(super) address: String,
    pub(super) wanted: BTreeSet<Wanted>,
    pub(super) applied: Option<String>,
    pub(super) rejected: Option<(String, String)>,
}

/// A proxy as it was when it last asked.
struct Row {
    word: Word,
    seen: Instant,
}

/// All that have asked.
#[derive(Default)]
pub(super) struct Proxies {
    rows: Mutex<BTreeMap<String, Row>>,
    lines: Mutex<Vec<String>>,
}

/// Where a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It serves what is handed out.
    Current,
    /// It has not said yet that it does.
    Behind,
    /// It would not take it.
    Rejected,
    /// The plan has nothing for it.
    Unknown,
    /// It has not asked for a while.
    Away,
}

/// A row of the table.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    node: &'a str,
    address: &'a str,
    plan_for: Vec<String>,
    state: State,
    /// The generation that it serves.
    applied: Option<&'a str>,
    /// The generation that it would not take.
    rejected: Option<&'a str>,
    reason: Option<String>,
    seen_seconds_ago: u64,
}

impl Proxies {
    /// Notes what a proxy says, and a line where it is news.
    pub(super) fn note(&self, word: Word) {
        let now = Instant::now();
        let mut rows = self.rows();
        if rows.len() >= MAX_PROXIES && !rows.contains_key(&word.node) {
            rows.retain(|_, row| now.duration_since(row.seen) < AWAY);
            if rows.len() >= MAX_PROXIES {
                return;
            }
        }
        rows.retain(|_, row| now.duration_since(row.seen) < FORGOTTEN);
        let before = rows.get(&word.node).map(|row| &row.word);
        if let Some(line) = news(before, &word) {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < MAX_LINES {
                lines.push(line);
            }
        }
        rows.insert(word.node.clone(), Row { word, seen: now });
    }

    /// What has been heard since the last time.
    pub(super) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The table for a program.
    pub(super) fn document(&self, release: &Release) -> serde_json::Value {
        let rows = self.rows();
        let rows: Vec<Shown<'_>> = rows.values().map(|row| row.shown(release)).collect();
        let statement = release.statement();
        serde_json::json!({
            "schema": "mesh.proxies/v1",
            "generation": statement.generation,
            "environment": statement.environment,
            "root": mesh_plan::bundle::hex(&statement.root),
            "proxies": rows,
        })
    }

    /// The table for a person.
    pub(super) fn table(&self, release: &Release) -> String {
        let rows = self.rows();
        let mut cells = vec![["NODE", "FOR", "STATE", "SERVES", "SEEN", "WHY NOT"].map(str::to_owned)];
        for row in rows.values() {
            let shown = row.shown(release);
            cells.push([
                shown.node.to_owned(),
                shown.plan_for.join(", "),
                format!("{:?}", shown.state).to_lowercase(),
                shown.applied.map_or("-".to_owned(), |generation| format!("generation {generation}")),
                format!("{} s ago", shown.seen_seconds_ago),
                shown.reason.unwrap_or_default().to_owned(),
            ]);
        }
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..6).map(width).collect();
        let mut table = String::new();
        for row in &cells {
            let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = padded.collect::<Vec<_>>().join("  ");
            let _ = writeln!(table, "{}", line.trim_end());
        }
        let _ = writeln!(table, "\nhanded out: generation {}", release.statement().generation);
        table
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn shown(&self, release: &Release) -> Shown<'_> {
        let word = &self.word;
        let away = self.seen.elapsed();
        let slice = release.slice(&word.wanted);
        let is_current = |etag: &String| slice.as_ref().is_ok_and(|slice| slice.etag == *etag);
        let state = match &word.rejected {
            _ if away > AWAY => State::Away,
            _ if slice.is_err() => State::Unknown,
            Some((etag, _)) if is_current(etag) => State::Rejected,
            _ if word.applied.as_ref().is_some_and(is_current) => State::Current,
            _ => State::Behind,
        };
        let missing = slice.as_ref().err().map(|why| why.line());
        Shown {
            node: &word.node,
            address: &word.address,
            plan_for: word.wanted.iter().map(whose).collect(),
            state,
            applied: word.applied.as_deref().map(generation),
            rejected: word.rejected.as_ref().map(|(etag, _)| generation(etag)),
            reason: missing.or(word.rejected.as_ref().map(|(_, why)| why.clone())),
            seen_seconds_ago: away.as_secs(),
        }
    }
}

/// What a proxy says that it did not say before.
fn news(before: Option<&Word>, word: &Word) -> Option<String> {
    let whose: Vec<String> = word.wanted.iter().map(whose).collect();
    let who = format!("{} ({})", word.node, whose.join(", "));
    if let Some((etag, why)) = &word.rejected {
        let known = before.is_some_and(|before| before.rejected == word.rejected);
        return (!known).then(|| format!("{who} does not take generation {}: {why}", generation(etag)));
    }
    let Some(applied) = &word.applied else {
        return before.is_none().then(|| format!("{who} asks for a plan"));
    };
    let known = before.is_some_and(|before| before.applied.as_ref() == Some(applied));
    (!known).then(|| format!("{who} serves generation {}", generation(applied)))
}

fn whose(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Gateways => "all gateways".to_owned(),
        Wanted::Gateway(name) => format!("gateway {name}"),
        Wanted::Service(name) => format!("service {name}"),
    }
}

/// The generation in an entity tag.
fn generation(etag: &str) -> &str {
    let tag = etag.trim_matches('"');
    tag.split_once('-').map_or(tag, |(generation, _)| generation)
}
