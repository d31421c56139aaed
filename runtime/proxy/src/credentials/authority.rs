//! An authority that is asked for certificates (`mesh ca serve`): the first one for a join token, each other one, at half of its life, for
//! the one before. The key is made here and stays here. What came last is kept in the state directory and used as long as it lasts.

use super::asking::{Authority, Shown, Trouble, pause};
use super::text::{believing, material};
use super::wish::Wish;
use crate::args::Args;
use crate::keep::{self, Keep};
use crate::{privileges, say};
use mesh_proxy::{Identity, cause};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// The least pause between two questions: a certificate of seconds is asked for more often, and nobody at once again.
const LEAST_PAUSE: Duration = Duration::from_millis(200);
/// A certificate is renewed at half of its life, by so much sooner or later: those that began together do not ask together.
const JITTER: f64 = 0.1;
/// So often the authority is asked whom to believe and what was taken back, half of it more or less, while its certificate is good. A thousand
/// proxies make a hundred handshakes a second of it. A machine that was suspended looks at the clock as soon.
const NAP: Duration = Duration::from_secs(10);

/// A proxy with a certificate of an authority.
pub(crate) struct Member {
    authority: Authority,
    keep: Option<Keep>,
    identity: Arc<Identity>,
    /// Key, certificate and roots, as they came.
    text: String,
    /// The roots that could not be taken over last, which is told once.
    refused: String,
}

impl Member {
    /// The one of the flags, if there is one: with what was kept, or with what the authority gives for the token.
    pub(super) async fn of(args: &Args) -> Result<Option<Member>, String> {
        let (Some(url), Some(bundle)) = (args.ca.clone(), args.ca_bundle.clone()) else { return Ok(None) };
        let authority = Authority::at(&url, bundle, args.join_token_file.clone())?;
        let keep = args.state.as_deref().map(|state| Keep::at(state, keep::SVID)).transpose()?;
        if let Some((text, identity)) = keep.as_ref().and_then(kept) {
            return Ok(Some(Member { authority, keep, identity, text, refused: String::new() }));
        }
        let text = authority.join().await?;
        let identity = Identity::new(&material(&text))
            .map_err(|error| format!("cannot use the certificate of {}: {error}", authority.url()))?;
        let member = Member { authority, keep, identity, text, refused: String::new() };
        member.store();
        if let (Some(keep), Some(user)) = (&member.keep, &args.user) {
            privileges::give(&keep.path(), user).map_err(|error| {
                format!("cannot give {} to {user}: {}", keep.path().display(), cause(&error))
            })?;
        }
        Ok(Some(member))
    }

    pub(super) fn identity(&self) -> Arc<Identity> {
        self.identity.clone()
    }

    /// Renews the certificate again and again.
    pub(super) async fn follow(mut self) {
        loop {
            self.wait_for_half().await;
            let mut failures: u32 = 0;
            while let Err(why) = self.renew().await {
                self.tell(failures, &why);
                sleep(self.pause(failures)).await;
                failures = failures.saturating_add(1);
            }
            say(&format!(
                "took over another certificate of {}, for {} s",
                self.identity.id(),
                self.left().as_secs()
            ));
        }
    }

    /// How long the certificate lasts.
    fn left(&self) -> Duration {
        self.identity.ends().duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// Shorter than what is left, so that a certificate of seconds is renewed, too; once nothing is left, as long as it takes.
    fn pause(&self, failures: u32) -> Duration {
        let (pause, left) = (pause(failures), self.left());
        if left.is_zero() { pause.max(LEAST_PAUSE) } else { pause.min(left / 4).max(LEAST_PAUSE) }
    }

    async fn wait_for_half(&mut self) {
        let half = self.left().mul_f64(0.5 + JITTER * (fastrand::f64() - 0.5));
        let at = SystemTime::now() + half;
        while let Ok(rest) = at.duration_since(SystemTime::now()) {
            if rest.is_zero() {
                return;
            }
            let nap = NAP.mul_f64(0.5 + fastrand::f64());
            sleep(rest.min(nap)).await;
            if nap < rest {
                self.look_at_roots().await;
            }
        }
    }

    /// Believes whom the authority believes now, and nobody whom it took back. While it cannot be asked, what was before holds; the next
    /// renewal tells of that.
    async fn look_at_roots(&mut self) {
        let Ok(roots) = self.authority.ask_roots(&self.text).await else { return };
        let Some(text) = believing(&self.text, &roots).filter(|_| roots != self.refused) else { return };
        match self.identity.renew(&material(&text)) {
            Ok(()) => {
                self.text = text;
                self.store();
                say(&format!("took over the roots and revocations of {}", self.authority.url()));
            }
            Err(why) => {
                say(&format!("the roots of {} are not taken over: {why}", self.authority.url()));
                self.refused = roots;
            }
        }
    }

    /// Asks for another certificate: for the one that there is, or, where that has ended, for a token.
    async fn renew(&mut self) -> Result<(), String> {
        let wish = Wish::new()?;
        let shown = match self.left().is_zero() {
            false => Shown::Certificate(&self.text),
            true => Shown::Token(self.authority.token()?),
        };
        let text = self.authority.ask(&wish, &shown).await.map_err(Trouble::why)?;
        self.identity.renew(&material(&text)).map_err(|error| error.to_string())?;
        self.text = text;
        self.store();
        Ok(())
    }

    /// Says once that there is trouble, and once that it has become serious.
    fn tell(&self, failures: u32, why: &str) {
        let url = self.authority.url();
        match (failures, self.left()) {
            (0, left) if !left.is_zero() => say(&format!(
                "{url} gives no other certificate: {why}; the one before lasts {} s; asking again",
                left.as_secs()
            )),
            (_, left) if left.is_zero() && failures.is_power_of_two() => say(&format!(
                "{url} gives no other certificate: {why}; the one before has ended, and connections of mutual TLS fail"
            )),
            _ => {}
        }
    }

    fn store(&self) {
        if let Some(keep) = &self.keep
            && let Err(why) = keep.store(self.text.as_bytes())
        {
            say(&why);
        }
    }
}

/// What was kept, as long as it lasts.
fn kept(keep: &Keep) -> Option<(String, Arc<Identity>)> {
    let text = String::from_utf8(keep.load()?).unwrap_or_default();
    match Identity::new(&material(&text)) {
        Ok(identity) => {
            say(&format!("starting with the certificate of {} in {}", identity.id(), keep.path().display()));
            Some((text, identity))
        }
        Err(why) => {
            say(&format!("the certificate kept in {} is not used: {why}", keep.path().display()));
            None
        }
    }
}
