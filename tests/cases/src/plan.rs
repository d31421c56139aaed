//! Cases of kind `plan`: what the real proxy takes for a plan. Files are damaged, signed by others, older, or of somebody else; a proxy is started with each of
//! them, or serves a good one while its file is replaced. A case says in words what it is about, and is found by these words.

mod file;
mod release;
mod trial;

use crate::catalogue::Case;
use crate::fixture::Tools;
use crate::verdict::Verdict;
use std::path::PathBuf;

/// What a case is played with: a directory of its own.
pub(super) struct Place<'t> {
    tools: &'t Tools,
    directory: PathBuf,
}

/// What is wrong, and what of the words was not played.
type Played = Result<(Vec<String>, Vec<&'static str>), String>;

pub(crate) fn play(case: &Case, tools: &Tools) -> Verdict {
    let text = case.input.as_str();
    if let Some(why) = elsewhere(text) {
        return Verdict::Skipped(why.to_owned());
    }
    let Some(played) = found(text) else {
        return Verdict::Skipped(format!("not understood: `{text}`"));
    };
    let directory = tools.scratch.join(&case.id);
    if let Err(error) = std::fs::create_dir_all(&directory) {
        return Verdict::Failed(vec![format!("cannot make {}: {error}", directory.display())]);
    }
    match played(&Place { tools, directory }) {
        Ok((wrong, unchecked)) => Verdict::of(wrong, unchecked.into_iter().map(str::to_owned).collect()),
        Err(why) => Verdict::Failed(vec![why]),
    }
}

/// How a case is played, by its words.
fn found(text: &str) -> Option<fn(&Place<'_>) -> Played> {
    let has = |words: &str| text.contains(words);
    Some(if has("bit flip") {
        file::flips
    } else if has("format N+1") || has("unknown section") {
        file::versions
    } else if has("u32::MAX") || has("past the end") {
        file::counts
    } else if has("zeroed") || has("blank") {
        file::blanks
    } else if has("kill -9") {
        file::torn
    } else if has("another workload") {
        file::of_somebody_else
    } else if has("last-good file") {
        release::last_good_is_corrupt
    } else if has("older epoch") {
        release::older
    } else if has("world-writable") {
        release::writable_by_everybody
    } else if has("signed by unknown") {
        release::signed_by_others
    } else {
        return None;
    })
}

/// Why a case is not played here.
fn elsewhere(text: &str) -> Option<&'static str> {
    let has = |words: &str| text.contains(words);
    Some(if has("fuzz execs") {
        "10^8 inputs take hours, in the verifier's own process: tests/fuzz/run plan"
    } else if has("limit+1") {
        "one more than there may be of everything is asked in the verifier's own process: cargo test -p mesh-plan outside"
    } else if has("removing > 50%") {
        "nothing holds a large change back: `mesh plan diff` shows it before it is signed"
    } else if has("not_after") {
        "a plan has no end"
    } else if has("unsigned plan") {
        "a proxy without --plan-key takes plans that nobody signed, for that is what the flag is for; with it: cargo it release"
    } else {
        return None;
    })
}
