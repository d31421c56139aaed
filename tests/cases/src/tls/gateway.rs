//! Cases at a gateway that ends TLS: which name a client asks for, and then which host.

use super::authority::{Authority, Leaf, Name};
use super::peer::{self, Outcome};
use crate::expect::Expect;
use crate::fixture::{self, Fixture, Running, Setup, Tools};
use crate::notation;
use crate::oracles::Before;
use crate::upstream::Plays;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;

const GATEWAY: &str = include_str!("../../fixture/gateway.mesh");
/// Whom the fixture's `d2` refuses.
const SECRET: &str = "secret.test";
const OPEN: &str = "a.test";

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It asks for a name, if any, and then for this host.
    For(Option<String>, String),
    /// It asks for bytes that are no name.
    Bytes(Vec<u8>),
}

/// Reads the input of a case: `SNI=NAME, then Host: NAME`, `no SNI`, `SNI with NUL`, `IP literal SNI`, `SNI "NAME"`.
pub(super) fn read(text: &str) -> Option<Vec<Asks>> {
    if let Some(rest) = text.strip_prefix("SNI=") {
        let (name, rest) = rest.split_once(',')?;
        let host = rest.split_once("Host:")?.1.split_whitespace().next()?;
        return Some(vec![Asks::For(Some(name.trim().to_owned()), host.to_owned())]);
    }
    text.split(';').map(str::trim).map(one).collect()
}

fn one(text: &str) -> Option<Asks> {
    Some(match text {
        "no SNI" => Asks::For(None, SECRET.to_owned()),
        "SNI with NUL" => Asks::Bytes(format!("{OPEN}\0.{SECRET}").into_bytes()),
        "IP literal SNI" => Asks::Bytes(b"127.0.0.1".to_vec()),
        _ => Asks::Bytes(notation::bytes(text.strip_prefix("SNI \"")?.strip_suffix('"')?).ok()?),
    })
}

/// A gateway of two hosts, each with its certificate.
struct Stage {
    running: Running,
    tls: SocketAddr,
    /// Each host, and its certificate.
    certificates: Vec<(String, Vec<u8>)>,
}

impl Stage {
    fn set(id: &str, tools: &Tools) -> Result<Stage, String> {
        let (authority, upstream) = (Authority::new()?, fixture::upstream()?);
        let ports: [u16; 2] = fixture::free_ports()?;
        let name = format!("gateway-{id}");
        let directory = tools.scratch.join(format!("{name}-certificates"));
        let mut certificates = Vec::new();
        for host in [OPEN, SECRET] {
            let names = vec![Name::Dns(host.to_owned())];
            let own = authority.chain(&Leaf { names, ..Leaf::default() })?;
            fixture::write(&directory.join(format!("{host}.crt")), &own.pem())?;
            fixture::write(&directory.join(format!("{host}.key")), &own.key_pem())?;
            let leaf = own.certificates.first().ok_or("there is no certificate")?;
            certificates.push((host.to_owned(), leaf.to_vec()));
        }
        let [plain, tls] = ports;
        let text = GATEWAY.replace("28080", &plain.to_string()).replace("28443", &tls.to_string());
        let text = text.replace("127.0.0.1:28090", &upstream.address.to_string());
        let directory = directory.display().to_string();
        let arguments = ["--gateway", "edge", "--bind", "127.0.0.1", "--certificates", &directory];
        let setup = Setup {
            name,
            fixture: Fixture::Allow,
            files: vec![("fixture.mesh".to_owned(), text)],
            arguments: arguments.map(str::to_owned).to_vec(),
            ports,
        };
        let running = Running::launch(setup, upstream, tools)?;
        let tls = running.h2;
        Ok(Stage { running, tls, certificates })
    }

    /// Whose certificate it is.
    fn owner(&self, certificate: &[u8]) -> Option<&str> {
        self.certificates.iter().find(|(_, own)| own == certificate).map(|(host, _)| host.as_str())
    }

    fn ask(&self, name: Option<&str>, host: &str) -> Result<(Outcome, Vec<u8>), String> {
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?,
            None => ServerName::IpAddress(self.tls.ip().into()),
        };
        let asked = peer::asked_for(self.tls, &peer::config(None), name, host, "/public");
        asked.map(|(outcome, _, shown)| (outcome, shown)).map_err(|error| error.to_string())
    }

    /// Somebody who asks for what is open is served, and shown its certificate; for what is not, refused by the rule.
    fn control(&self) -> Result<Vec<String>, String> {
        let mut wrong = Vec::new();
        for (host, status) in [(OPEN, 200), (SECRET, 403)] {
            let (outcome, shown) = self.ask(Some(host), host)?;
            if outcome != Outcome::Status(status) || self.owner(&shown) != Some(host) {
                wrong.push(format!("control: {host} is {outcome:?}, and shown was {:?}", self.owner(&shown)));
            }
        }
        Ok(wrong)
    }
}

/// Plays a case; `status`: what is answered, where that is said.
pub(super) fn play(
    id: &str,
    asks: &[Asks],
    status: Option<u16>,
    tools: &Tools,
) -> Result<Vec<String>, String> {
    let mut stage = Stage::set(id, tools)?;
    let mut wrong = stage.control()?;
    stage.running.upstream.begin(Plays::default());
    let before = Before::now(&stage.running, &Expect::default());
    for asks in asks {
        match asks {
            Asks::For(name, host) => {
                let (outcome, shown) = stage.ask(name.as_deref(), host)?;
                let fits = match status {
                    Some(status) => outcome == Outcome::Status(status),
                    None => outcome != Outcome::Status(200),
                };
                if !fits {
                    wrong.push(format!("{name:?}, then {host}: {outcome:?}"));
                }
                if name.is_none() && stage.owner(&shown) != Some(OPEN) {
                    wrong.push(format!("without a name, shown is {:?}", stage.owner(&shown)));
                }
            }
            Asks::Bytes(bytes) => {
                let shown = peer::shown_to(stage.tls, &peer::hello_for(bytes)?);
                let shown = shown.map_err(|error| error.to_string())?;
                let owner = shown.as_deref().and_then(|shown| stage.owner(shown));
                let text = String::from_utf8_lossy(bytes);
                let is_secret = text.trim_end_matches('.').eq_ignore_ascii_case(SECRET);
                if owner == Some(SECRET) && !is_secret {
                    wrong.push(format!("{text:?}: shown is the certificate of {SECRET}"));
                }
            }
        }
    }
    let seen = before.seen(&mut stage.running);
    wrong.extend(seen.broken().iter().cloned());
    if !seen.requests.is_empty() {
        wrong.push(format!("the upstream has {} requests", seen.requests.len()));
    }
    wrong.extend(stage.running.said().into_iter().find(|line| line.contains("panicked")));
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_hosts_are_told_apart() {
        let read = |text| super::read(text).unwrap();
        let both = vec![Asks::For(Some("a.test".to_owned()), "secret.test".to_owned())];
        assert_eq!(read("SNI=a.test, then Host: secret.test on a listener"), both);
        let all = read(r#"no SNI ; SNI with NUL ; IP literal SNI ; SNI "secret.test.""#);
        assert_eq!(all[0], Asks::For(None, SECRET.to_owned()));
        assert_eq!(all[3], Asks::Bytes(b"secret.test.".to_vec()));
        assert_eq!(super::read("SNI by guess"), None);
    }
}
