//! Cases that are more than a certificate.

use super::authority::{Authority, Leaf};
use super::fixture::{self, Mutual, WEB};
use super::peer::{self, Outcome};
use super::{OPEN, control, der};
use crate::expect::Expect;
use crate::fixture::{Tools, plan_of};
use crate::oracles::Before;
use rustls::ClientConfig;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long something may take that happens at once: long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn start(id: &str, tools: &Tools) -> Result<Mutual, String> {
    Mutual::start(id, BTreeSet::new(), &[], tools)
}

/// Waits until somebody who begins anew hears this.
fn wait(mutual: &Mutual, config: impl Fn() -> Arc<ClientConfig>, outcome: Outcome) -> Option<String> {
    let began = Instant::now();
    while peer::ask(mutual.address(), &config(), OPEN) != outcome {
        if began.elapsed() > PATIENCE {
            return Some(format!("what was changed is not taken over: no {outcome:?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// A session that is resumed under another policy is decided about by that, and under another bundle it is none.
pub(super) fn resumed(id: &str, tools: &Tools) -> Result<Vec<String>, String> {
    let mut mutual = start(id, tools)?;
    let mut wrong = control(&mutual);
    let chain = mutual.chain(&Leaf::of(&[WEB]))?;
    let session = peer::config(Some(&chain));
    let resume =
        |mutual: &Mutual| peer::asked(mutual.address(), &session, OPEN).map_err(|error| error.to_string());
    resume(&mutual)?;
    if resume(&mutual)? != (Outcome::Status(200), true) {
        wrong.push("control: no session is resumed, so nothing is shown".to_owned());
    }
    mutual.swap("deny from namespace prod except unauthenticated to /public", tools)?;
    wrong.extend(wait(&mutual, || peer::config(Some(&chain)), Outcome::Status(403)));
    match resume(&mutual)? {
        (Outcome::Status(403), _) => {}
        other => wrong.push(format!("under another policy: {other:?}")),
    }
    mutual.swap("", tools)?;
    wrong.extend(wait(&mutual, || peer::config(Some(&chain)), Outcome::Status(200)));
    if resume(&mutual)? != (Outcome::Status(200), true) {
        wrong.push("control: the session is gone before the bundle changes".to_owned());
    }
    let next = Authority::new()?;
    let successor = next.chain(&Leaf::of(&[WEB]))?;
    mutual.believe(next)?;
    wrong.extend(wait(&mutual, || peer::config(Some(&successor)), Outcome::Status(200)));
    match resume(&mutual)? {
        (Outcome::Ended, false) => {}
        other => wrong.push(format!("under another bundle: {other:?}")),
    }
    wrong.extend(mutual.panics());
    Ok(wrong)
}

/// A list of revoked certificates in place of a bundle: the proxy reads none, says so, and stays what it was.
pub(super) fn broken_crl(id: &str, tools: &Tools) -> Result<Vec<String>, String> {
    let mutual = start(id, tools)?;
    let crl = der::pem("X509 CRL", &der::broken_crl());
    let mut wrong = Vec::new();
    for text in [crl.clone(), der::pem("CERTIFICATE", &der::broken_crl())] {
        wrong.extend(at_start(id, &text, tools)?);
    }
    mutual.replace_bundle(&crl)?;
    let began = Instant::now();
    while !mutual.running.said().iter().any(|line| line.contains("is not taken over")) {
        if began.elapsed() > PATIENCE {
            wrong.push("nothing is said of a bundle that is none".to_owned());
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    wrong.extend(control(&mutual));
    wrong.extend(mutual.panics());
    Ok(wrong)
}

/// The proxy does not start with such a bundle, and says why.
fn at_start(id: &str, bundle: &str, tools: &Tools) -> Result<Option<String>, String> {
    let directory = tools.scratch.join(format!("{id}-broken"));
    fixture::write(&directory, &Authority::new()?, bundle)?;
    let mut proxy = Command::new(&tools.proxy)
        .arg("--plan")
        .arg(plan_of(&format!("mutual-{id}"), tools))
        .args(["--service", "up", "--inbound", "127.0.0.1:0=127.0.0.1:1"])
        .args(fixture::flags(&directory, &BTreeSet::new()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", tools.proxy.display()))?;
    let began = Instant::now();
    while matches!(proxy.try_wait(), Ok(None)) && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = proxy.try_wait().ok().flatten();
    let _ = proxy.kill();
    let mut said = String::new();
    if let Some(mut errors) = proxy.stderr.take() {
        errors.read_to_string(&mut said).map_err(|error| error.to_string())?;
    }
    let _ = proxy.wait();
    Ok(match ended.and_then(|status| status.code()) {
        Some(2) if said.contains("trust bundle") && !said.contains("panicked") => None,
        ended => Some(format!("started with such a bundle, it ends with {ended:?}: {said}")),
    })
}

/// A ClientHello that comes byte by byte, and an alert where its rest should be: at every place.
pub(super) fn byte_by_byte(id: &str, tools: &Tools) -> Result<Vec<String>, String> {
    const ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 0x28];
    let mut mutual = start(id, tools)?;
    let mut wrong = control(&mutual);
    let hello = peer::hello()?;
    let before = Before::now(&mutual.running, &Expect::default());
    let places = [hello.len(), 6, 43, hello.len() / 2, hello.len() - 1];
    for place in places {
        let mut socket = TcpStream::connect(mutual.address()).map_err(|error| error.to_string())?;
        socket.set_nodelay(true).map_err(|error| error.to_string())?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        for byte in hello.iter().take(place).chain(&ALERT) {
            // Who is turned away at once hears no more.
            if socket.write_all(&[*byte]).is_err() {
                break;
            }
        }
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let _ = socket.read_to_end(&mut Vec::new());
    }
    let seen = before.seen(&mut mutual.running);
    wrong.extend(seen.broken().iter().cloned());
    if seen.lines.len() != places.len() {
        wrong.push(format!("{} handshakes are {} lines of the log", places.len(), seen.lines.len()));
    }
    wrong.extend(mutual.panics());
    Ok(wrong)
}
