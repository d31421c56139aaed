//! Fixture M: the proxy before `up` itself, who has a certificate, at a port that takes mutual TLS.

use super::authority::{Authority, Chain, Leaf};
use crate::fixture::{self, Fixture, Running, Setup, Tools};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const MUTUAL: &str = include_str!("../../fixture/mutual/mutual.mesh");
const EVIL: &str = include_str!("../../fixture/mutual/evil/evil.mesh");
const PROD: &str = include_str!("../../fixture/mutual/prod/prod.mesh");
/// Where a case's own rules stand.
const MORE_RULES: &str = "# more rules";

pub(super) const TRUST_DOMAIN: &str = "td.test";
/// Somebody good.
pub(super) const WEB: &str = "spiffe://td.test/ns/prod/sa/web";
/// Who the proxy is.
const UP: &str = "spiffe://td.test/ns/default/sa/up";

pub(super) struct Mutual {
    pub(super) running: Running,
    pub(super) authority: Authority,
    directory: PathBuf,
    name: String,
    files: Vec<(String, String)>,
}

impl Mutual {
    /// `domains`: whom the authority is believed to vouch for besides the mesh's own; `rules`: lines of an `authorize`.
    pub(super) fn start(
        id: &str,
        domains: BTreeSet<String>,
        rules: &[String],
        tools: &Tools,
    ) -> Result<Mutual, String> {
        let authority = Authority::new()?;
        let upstream = fixture::upstream()?;
        let ports: [u16; 2] = fixture::free_ports()?;
        let [port, _] = ports;
        let name = format!("mutual-{id}");
        let text = MUTUAL.replace("28080", &port.to_string()).replace(MORE_RULES, &rules.join("\n  "));
        let files = [("fixture.mesh", text.as_str()), ("evil/evil.mesh", EVIL), ("prod/prod.mesh", PROD)];
        let files = files.map(|(file, text)| (file.to_owned(), text.to_owned())).to_vec();
        let directory = tools.scratch.join(format!("{name}-certificates"));
        let mut arguments = vec!["--service".to_owned(), "up".to_owned(), "--inbound".to_owned()];
        arguments.push(format!("127.0.0.1:{port}={}", upstream.address));
        arguments.extend(flags(&directory, &domains));
        write(&directory, &authority, &authority.pem())?;
        let setup =
            Setup { name: name.clone(), fixture: Fixture::Allow, files: files.clone(), arguments, ports };
        let running = Running::launch(setup, upstream, tools)?;
        Ok(Mutual { running, authority, directory, name, files })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.running.h1
    }

    pub(super) fn chain(&self, leaf: &Leaf) -> Result<Chain, String> {
        self.authority.chain(leaf)
    }

    /// Replaces the proxy's certificate, its key and its bundle by those of an authority.
    pub(super) fn believe(&mut self, authority: Authority) -> Result<(), String> {
        write(&self.directory, &authority, &authority.pem())?;
        self.authority = authority;
        Ok(())
    }

    /// Puts something else in place of the bundle.
    pub(super) fn replace_bundle(&self, text: &str) -> Result<(), String> {
        fixture::write(&self.directory.join("bundle.pem"), text)
    }

    /// Takes over the plan with more rules.
    pub(super) fn swap(&self, rules: &str, tools: &Tools) -> Result<(), String> {
        let project = tools.scratch.join(format!("{}-next", self.name));
        for (file, text) in &self.files {
            let text = text.replace("allow from anyone\n", &format!("allow from anyone\n  {rules}\n"));
            fixture::write(&project.join(file), &text)?;
        }
        let next = fixture::plan_of(&format!("{}-next", self.name), tools);
        fixture::build(tools, &project, &next)?;
        std::fs::rename(next, fixture::plan_of(&self.name, tools)).map_err(|error| error.to_string())
    }

    /// What it said of itself that no program should.
    pub(super) fn panics(&self) -> Option<String> {
        let said = self.running.said();
        said.into_iter().find(|line| line.contains("panicked"))
    }
}

/// How the proxy is told of its certificates.
pub(super) fn flags(directory: &Path, domains: &BTreeSet<String>) -> Vec<String> {
    let file = |name: &str| directory.join(name).display().to_string();
    let mut flags = vec!["--svid".to_owned(), file("svid.pem"), "--svid-key".to_owned(), file("key.pem")];
    flags.extend(["--trust-bundle".to_owned(), file("bundle.pem")]);
    for domain in domains.iter().filter(|domain| *domain != TRUST_DOMAIN) {
        flags.extend(["--trust-bundle".to_owned(), format!("{domain}={}", file("bundle.pem"))]);
    }
    flags
}

/// The proxy's own files.
pub(super) fn write(directory: &Path, authority: &Authority, bundle: &str) -> Result<(), String> {
    let own = authority.chain(&Leaf::of(&[UP]))?;
    for (file, text) in
        [("svid.pem", own.pem()), ("key.pem", own.key_pem()), ("bundle.pem", bundle.to_owned())]
    {
        fixture::write(&directory.join(file), &text)?;
    }
    Ok(())
}
