//! Files that are damaged, of another version, half written or of somebody else.

use super::trial::{self, GATEWAY, Good, Trial, replace, sealed};
use super::{Place, Played};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Bits of a plan that are flipped, spread over it.
const FLIPS: usize = 48;
/// Words of a plan that are made another number, spread over it.
const WORDS: usize = 48;
/// Builds that are killed.
const KILLS: u64 = 30;

/// The header, and where in it what is (`spec/plan-format.md` 1 and 2).
const HEADER: usize = 64;
const MAJOR: usize = 8;
const LEAST_MINOR: usize = 12;
const SECTIONS: usize = 14;
const ENTRY: usize = 12;

/// Each is refused at a start, and by a proxy that serves: what it served before stays.
pub(super) fn flips(place: &Place<'_>) -> Played {
    let good = Good::build(place, "good")?;
    let mut wrong = Vec::new();
    let step = (good.bytes.len() * 8 / FLIPS).max(1);
    let flipped = |bit: usize| {
        let mut bytes = good.bytes.clone();
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        bytes
    };
    for bit in (0..good.bytes.len() * 8).step_by(step) {
        wrong.extend(trial::with_bytes(place, &flipped(bit))?.unless_refused(&format!("bit {bit}")));
    }
    wrong.extend(last_good_stays(place, &good, &flipped(good.bytes.len() * 4))?);
    Ok((wrong, vec!["a bit of each few dozen bytes is flipped; every bit: MESH_FLIPS=all cargo it damage"]))
}

/// A proxy that serves is given bytes instead.
fn last_good_stays(place: &Place<'_>, good: &Good, bytes: &[u8]) -> Result<Vec<String>, String> {
    let live = place.directory.join("live.mplan");
    replace(&live, &good.bytes)?;
    let proxy = match trial::start(place.tools, &place.directory, &live, &GATEWAY)? {
        Trial::Serves(proxy) => proxy,
        ended => return Err(format!("the good plan is not served: {ended:?}")),
    };
    let mut wrong = Vec::new();
    let before = proxy.said().len();
    replace(&live, bytes)?;
    if !proxy.says(before, "not taken over") {
        wrong.push(format!("a bad plan in the place of a good one is not told about: {:?}", proxy.said()));
    }
    if good.says().as_deref() != Some("good") {
        wrong.push("the last good plan is not served any more".to_owned());
    }
    Ok(wrong)
}

/// Another version, and what an older reader does not know.
pub(super) fn versions(place: &Place<'_>) -> Played {
    let good = Good::build(place, "good")?;
    let with = |at: usize, word: [u8; 2]| {
        let mut bytes = good.bytes.clone();
        if let Some(own) = bytes.get_mut(at..at + 2) {
            own.copy_from_slice(&word);
        }
        sealed(bytes)
    };
    let number = |at: usize| {
        let word = good.bytes.get(at..at + 2).and_then(|word| word.try_into().ok());
        word.map(u16::from_le_bytes).unwrap_or_default()
    };
    let cases = [
        ("the next format", with(MAJOR, (number(MAJOR) + 1).to_le_bytes())),
        ("a newer reader is needed", with(LEAST_MINOR, (number(LEAST_MINOR) + 1).to_le_bytes())),
        // Without the bit that lets a reader skip it.
        ("an unknown section", with(HEADER, 0x7fff_u16.to_le_bytes())),
        ("a section of the next version", with(HEADER + 2, 2_u16.to_le_bytes())),
    ];
    let mut wrong = Vec::new();
    for (what, bytes) in &cases {
        wrong.extend(trial::with_bytes(place, bytes)?.unless_refused(what));
        wrong.extend(
            last_good_stays(place, &good, bytes)?.into_iter().map(|wrong| format!("{what}: {wrong}")),
        );
    }
    Ok((wrong, vec!["an unknown opcode: numbers that mean nothing are among the damaged words of others"]))
}

/// Numbers as large as they can be, sealed: of sections, of what is in them, and where.
pub(super) fn counts(place: &Place<'_>) -> Played {
    let good = Good::build(place, "good")?;
    let sections = good.bytes.get(SECTIONS..SECTIONS + 2).and_then(|word| word.try_into().ok());
    let sections = usize::from(sections.map(u16::from_le_bytes).unwrap_or_default());
    let table = HEADER..HEADER + sections * ENTRY;
    let mut wrong = Vec::new();
    // Offset and length of each section, and the first word of what is in it, which says how much that is where it says so.
    for entry in table.clone().step_by(ENTRY) {
        let offset = good.bytes.get(entry + 4..entry + 8).and_then(|word| word.try_into().ok());
        let offset = offset.map(u32::from_le_bytes).unwrap_or_default() as usize;
        for (at, must_be_refused) in [(entry + 4, true), (entry + 8, true), (offset, false)] {
            for number in [u32::MAX, u32::MAX - 3, 0x7fff_fffc] {
                let trial = trial::with_bytes(place, &sealed(with_word(&good.bytes, at, number)))?;
                let what = format!("{number:#x} at {at}");
                wrong.extend(match must_be_refused {
                    true => trial.unless_refused(&what),
                    false => trial.unless_safe(&what, &good),
                });
            }
        }
    }
    wrong.extend(words(place, &good, table.end, u32::MAX)?);
    Ok((wrong, vec![]))
}

/// Words that are zero, sealed.
pub(super) fn blanks(place: &Place<'_>) -> Played {
    let good = Good::build(place, "good")?;
    let wrong = words(place, &good, HEADER, 0)?;
    Ok((wrong, vec!["a word of each few dozen is blank; all of them: tests/fuzz/run plan"]))
}

/// Words from a place on are another number, one at a time.
fn words(place: &Place<'_>, good: &Good, from: usize, number: u32) -> Result<Vec<String>, String> {
    let step = ((good.bytes.len() - from) / WORDS).max(4) / 4 * 4;
    let mut wrong = Vec::new();
    for at in (from..good.bytes.len()).step_by(step) {
        let trial = trial::with_bytes(place, &sealed(with_word(&good.bytes, at, number)))?;
        wrong.extend(trial.unless_safe(&format!("{number:#x} at {at}"), good));
    }
    Ok(wrong)
}

fn with_word(bytes: &[u8], at: usize, number: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(word) = bytes.get_mut(at..at + 4) {
        word.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// A build that is killed at some moment leaves a plan that is whole.
pub(super) fn torn(place: &Place<'_>) -> Played {
    let good = Good::build(place, "good")?;
    let (mut wrong, mut killed) = (Vec::new(), 0);
    for turn in 0..KILLS {
        let mut child = Command::new(&place.tools.mesh)
            .args(["build", "--format", "plain", "-o"])
            .args([&good.path, &place.directory.join("project-good")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", place.tools.mesh.display()))?;
        std::thread::sleep(Duration::from_micros(turn * 1_500));
        killed += u32::from(matches!(child.try_wait(), Ok(None)));
        let _ = child.kill();
        let _ = child.wait();
        let trial = trial::start(place.tools, &place.directory, &good.path, &GATEWAY)?;
        if !matches!(trial, Trial::Serves(_)) || good.says().as_deref() != Some("good") {
            wrong.push(format!("after kill {turn}: {trial:?}"));
        }
    }
    if killed == 0 {
        wrong.push("no build was killed before it ended".to_owned());
    }
    Ok((
        wrong,
        vec![
            "30 builds are killed; any number, at any block: MESH_KILLS=1000 cargo test -p mesh-cli interrupted",
        ],
    ))
}

/// A plan that does not have whom the proxy is for.
pub(super) fn of_somebody_else(place: &Place<'_>) -> Played {
    let good = Good::build(place, "good")?;
    let mut wrong = Vec::new();
    for arguments in
        [&["--gateway", "elsewhere"][..], &["--service", "stranger", "--outbound", "127.0.0.1:0"]]
    {
        let trial = trial::start(place.tools, &place.directory, &good.path, arguments)?;
        wrong.extend(trial.unless_refused(&arguments.join(" ")));
    }
    Ok((wrong, vec!["a plan of another trust domain, which fits no certificate: cases of kind `tls`"]))
}
