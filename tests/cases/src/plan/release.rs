//! Plans that are signed, as releases with numbers, and what is kept of them across a restart.

use super::trial::{self, GATEWAY, Good, Proxy, Trial, replace};
use super::{Place, Played};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a proxy is called that takes what `release` has signed, and keeps it.
const PINNED: [&str; 4] = ["--plan-key", "release.pub", "--state", "state"];

impl Place<'_> {
    /// Runs the compiler here.
    fn mesh(&self, arguments: &[&str]) -> Result<(), String> {
        let done = Command::new(&self.tools.mesh).args(arguments).current_dir(&self.directory).output();
        let done = done.map_err(|error| format!("cannot run {}: {error}", self.tools.mesh.display()))?;
        match done.status.success() {
            true => Ok(()),
            false => Err(format!("mesh {arguments:?}: {}", String::from_utf8_lossy(&done.stderr))),
        }
    }

    /// Signs a plan, as a release of this number.
    fn signed(&self, plan: &Good, key: &str, generation: &str) -> Result<Vec<u8>, String> {
        let path: PathBuf = self.directory.join("signed.mplan");
        let name = plan.path.to_string_lossy().into_owned();
        self.mesh(&["plan", "sign", &name, "--key", key, "--generation", generation, "-o", "signed.mplan"])?;
        std::fs::read(path).map_err(|error| error.to_string())
    }

    /// A proxy that serves a release, and where its file is.
    fn serving(&self, bytes: &[u8]) -> Result<(Proxy, PathBuf), String> {
        let live = self.directory.join("live.mplan");
        replace(&live, bytes)?;
        match self.pinned(&live)? {
            Trial::Serves(proxy) => Ok((proxy, live)),
            ended => Err(format!("the good plan is not served: {ended:?}")),
        }
    }

    fn pinned(&self, plan: &Path) -> Result<Trial, String> {
        let arguments = [&GATEWAY[..], &PINNED].concat();
        trial::start(self.tools, &self.directory, plan, &arguments)
    }
}

/// A file in the place of one that is served: it is told about, and what was served before stays.
fn refused(
    (proxy, live): &(Proxy, PathBuf),
    good: &Good,
    what: &str,
    bytes: &[u8],
) -> Result<Option<String>, String> {
    let before = proxy.said().len();
    replace(live, bytes)?;
    Ok(if !proxy.says(before, "is not taken over") {
        Some(format!("{what}: nobody is told of it"))
    } else {
        (good.says().as_deref() != Some("good")).then(|| format!("{what}: the plan before it is not served"))
    })
}

/// An older number, and the same number on another plan.
pub(super) fn older(place: &Place<'_>) -> Played {
    place.mesh(&["plan", "keygen", "-o", "release"])?;
    let good = Good::build(place, "good")?;
    let other = Good::build_at(place, "other", good.address.port())?;
    let [five, four, same] = [(&good, "5"), (&other, "4"), (&other, "5")]
        .map(|(plan, generation)| place.signed(plan, "release.key", generation));
    let (four, same) = (four?, same?);
    let running = place.serving(&five?)?;
    let mut wrong = Vec::new();
    wrong.extend(refused(&running, &good, "an older one", &four)?);
    wrong.extend(refused(&running, &good, "another one of the same number", &same)?);
    // Nor across a restart.
    let live = running.1.clone();
    drop(running);
    replace(&live, &four)?;
    let again = place.pinned(&live)?;
    if good.says().as_deref() == Some("other") {
        wrong.push(format!("after a restart the older one is served: {again:?}"));
    }
    Ok((wrong, vec![]))
}

/// Signed by somebody else, not at all, or with the signature of another plan.
pub(super) fn signed_by_others(place: &Place<'_>) -> Played {
    place.mesh(&["plan", "keygen", "-o", "release"])?;
    place.mesh(&["plan", "keygen", "-o", "other"])?;
    let good = Good::build(place, "good")?;
    let other = Good::build_at(place, "other", good.address.port())?;
    let own = place.signed(&good, "release.key", "5")?;
    let stranger = place.signed(&other, "other.key", "9")?;
    let later = place.signed(&good, "release.key", "6")?;
    // What stands in the statement is what was signed.
    let forged = instead(&later, b"generation 6", b"generation 9");
    // The other plan's parts behind the statement about this one: each part is cut out of the same bytes but for what it says.
    let moved = instead(&later, b"good", b"evil");
    let mut wrong = Vec::new();
    let tried = [
        ("signed by a stranger", stranger),
        ("not signed", other.bytes.clone()),
        ("with another statement", forged),
        ("with another plan behind the signature", moved),
    ];
    let running = place.serving(&own)?;
    for (what, bytes) in &tried {
        if *bytes == later {
            wrong.push(format!("{what}: the plan does not have what would be changed"));
        }
        wrong.extend(refused(&running, &good, what, bytes)?);
    }
    drop(running);
    // Nor at a start that knows of none before.
    for (what, bytes) in &tried {
        let _ = std::fs::remove_dir_all(place.directory.join("state"));
        let tried = place.directory.join("tried.mplan");
        replace(&tried, bytes)?;
        wrong.extend(place.pinned(&tried)?.unless_refused(&format!("{what}, at the start")));
    }
    Ok((
        wrong,
        vec![
            "keys that are revoked or have an end, and several that have to sign: a key is pinned or it is not",
        ],
    ))
}

/// A plan, or the key that plans are signed with, that everybody may write: as a file, by way of a link, or in a directory of everybody's.
pub(super) fn writable_by_everybody(place: &Place<'_>) -> Played {
    place.mesh(&["plan", "keygen", "-o", "release"])?;
    let good = Good::build(place, "good")?;
    let other = Good::build_at(place, "other", good.address.port())?;
    let [own, later] =
        [(&good, "5"), (&other, "6")].map(|(plan, number)| place.signed(plan, "release.key", number));
    let (own, later) = (own?, later?);
    let mut wrong = Vec::new();
    let running = place.serving(&own)?;
    let before = running.0.said().len();
    let beside = running.1.with_extension("beside");
    std::fs::write(&beside, &later).map_err(|error| error.to_string())?;
    set_mode(&beside, 0o666)?;
    std::fs::rename(&beside, &running.1).map_err(|error| error.to_string())?;
    if !running.0.says(before, "is not taken over") {
        wrong.push("in the place of one that is served: nobody is told of it".to_owned());
    }
    if good.says().as_deref() != Some("good") {
        wrong.push("in the place of one that is served: it is taken over".to_owned());
    }
    drop(running);
    let _ = std::fs::remove_dir_all(place.directory.join("state"));
    let shared = place.directory.join("shared");
    std::fs::create_dir_all(&shared).map_err(|error| error.to_string())?;
    let [open, link, inside] =
        [place.directory.join("open.mplan"), place.directory.join("link.mplan"), shared.join("in.mplan")];
    replace(&open, &own)?;
    set_mode(&open, 0o602)?;
    std::os::unix::fs::symlink(&open, &link).map_err(|error| error.to_string())?;
    replace(&inside, &own)?;
    set_mode(&shared, 0o777)?;
    for (what, path) in [("a file", &open), ("a link to one", &link), ("a directory", &inside)] {
        wrong.extend(place.pinned(path)?.unless_refused(&format!("{what} of everybody's, at the start")));
    }
    let good = place.directory.join("tried.mplan");
    replace(&good, &own)?;
    set_mode(&place.directory.join("release.pub"), 0o666)?;
    wrong.extend(place.pinned(&good)?.unless_refused("a key of everybody's"));
    Ok((
        wrong,
        vec![
            "a link that leads to a good plan, which is how volumes are replaced as a whole, and the owner, who need not be who runs the proxy",
        ],
    ))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|error| error.to_string())
}

/// The first place of a text, with another one of the same length in it.
fn instead(bytes: &[u8], text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(text.len()).position(|window| window == text);
    if let Some(own) = at.and_then(|at| bytes.get_mut(at..at + text.len())) {
        own.copy_from_slice(other);
    }
    bytes
}

/// Neither the plan nor what was kept of the last one is one.
pub(super) fn last_good_is_corrupt(place: &Place<'_>) -> Played {
    place.mesh(&["plan", "keygen", "-o", "release"])?;
    let good = Good::build(place, "good")?;
    let signed = place.signed(&good, "release.key", "5")?;
    let (proxy, live) = place.serving(&signed)?;
    let state = place.directory.join("state");
    let kept = || std::fs::read_dir(&state).map_or(0, Iterator::count);
    let began = std::time::Instant::now();
    while kept() == 0 && began.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(proxy);
    let mut wrong = Vec::new();
    if kept() == 0 {
        wrong.push("nothing is kept of the last good plan".to_owned());
    }
    for entry in std::fs::read_dir(&state).into_iter().flatten().map_while(Result::ok) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        std::fs::write(entry.path(), half).map_err(|error| error.to_string())?;
    }
    replace(&live, signed.get(..signed.len() / 2).unwrap_or_default())?;
    wrong.extend(place.pinned(&live)?.unless_refused("half of a plan, and half of the last good one"));
    if good.says().is_some() {
        wrong.push("somebody answers all the same".to_owned());
    }
    Ok((wrong, vec![]))
}
