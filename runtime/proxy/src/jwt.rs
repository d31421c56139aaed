//! Tokens (RFC 7519): verified before anything is decided, so that a decision sees claims of good tokens and no others. A token is absent,
//! not valid, or valid. One that is not valid refuses its request, also where none is needed: whoever sent it meant to be somebody.
//!
//! A gateway and the proxy before a service verify what they declare. Whoever calls a service decides for it too, and so verifies for it.

mod base64url;
mod claims;
mod fetch;
mod json;
mod keys;
#[cfg(any(test, fuzzing))]
mod law;
mod places;
mod source;
mod token;

pub use claims::Claims;
pub(crate) use claims::{lists, tokens, values};
pub use fetch::trusting;
use hyper::StatusCode;
use hyper::http::request::Parts;
pub use keys::KeySet;
#[cfg(any(test, fuzzing))]
pub(crate) use law::law;
use mesh_engine::{Action, Decision, Entry, Refusal};
use mesh_plan::view::{self, Rows};
use mesh_plan::{PlanView, TokenPlace};
pub use source::Fetching;
pub(crate) use source::{Source, Sources};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
pub use token::{Invalid, Rules, Unverified};

/// Whose tokens are verified at a door: for whom it serves, and for whom is called from there.
#[derive(Default)]
pub(crate) struct Guard {
    own: Vec<Verifier>,
    /// What callees verify, each different list once: a hundred services with the same issuer cost a request no more than one.
    lists: Vec<Vec<Verifier>>,
    /// Services that verify some, by full name, and which list that is.
    callees: BTreeMap<String, usize>,
}

struct Verifier {
    name: String,
    rules: Rules,
    places: Vec<TokenPlace>,
    required: bool,
    forward: bool,
    keys: Arc<Source>,
}

/// Why a request is refused because of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// Whose tokens are meant.
    pub(crate) name: String,
    /// Whether there was one.
    pub(crate) was_there: bool,
    /// A clause, without anything of a token.
    pub(crate) why: &'static str,
}

/// What was found out about the tokens of a request.
#[derive(Default)]
pub(crate) struct Checked {
    /// Each once.
    pub(crate) verified: Vec<(String, Claims)>,
    /// For each list of the callees, why they would refuse the request.
    refused: Vec<Option<Refused>>,
}

impl Guard {
    pub(crate) fn of(view: &PlanView, entry: Entry, sources: &Sources) -> Guard {
        let verifiers = |rows: Rows<'_, view::Verifier<'_>>| -> Vec<Verifier> {
            rows.iter().map(|own| Verifier::of(own, sources)).collect()
        };
        let mut guard = Guard::default();
        match entry {
            Entry::Gateway { gateway, .. } | Entry::FromGateway { gateway, .. } => {
                guard.own = view.gateway(gateway).map(|own| verifiers(own.verifiers())).unwrap_or_default();
                view.services().iter().for_each(|service| guard.add(service, verifiers));
            }
            Entry::Sidecar { service } | Entry::Call { service, .. } => {
                let calls = view.service(service).map(|own| own.calls());
                let called = calls.into_iter().flat_map(|calls| calls.iter());
                let called = called.filter_map(|call| view.service(call.service()));
                called.for_each(|service| guard.add(service, verifiers));
            }
            Entry::Inbound { service, .. } => {
                guard.own = view.service(service).map(|own| verifiers(own.verifiers())).unwrap_or_default();
            }
        }
        guard
    }

    /// Adds a callee.
    fn add(
        &mut self,
        service: view::Service<'_>,
        verifiers: impl Fn(Rows<'_, view::Verifier<'_>>) -> Vec<Verifier>,
    ) {
        if service.verifiers().is_empty() {
            return;
        }
        let own = verifiers(service.verifiers());
        let list = self.lists.iter().position(|list| *list == own).unwrap_or_else(|| {
            self.lists.push(own);
            self.lists.len() - 1
        });
        self.callees.insert(service.name().to_owned(), list);
    }

    /// Whether tokens are looked for at all.
    pub(crate) fn verifies(&self) -> bool {
        !self.own.is_empty() || !self.lists.is_empty()
    }

    /// Verifies what a request carries.
    pub(crate) async fn check(&self, parts: &Parts) -> Result<Checked, Refused> {
        let mut checked = Checked::default();
        each(&self.own, parts, &mut checked.verified).await?;
        for list in &self.lists {
            checked.refused.push(each(list, parts, &mut checked.verified).await.err());
        }
        Ok(checked)
    }

    /// Why a request is refused by whom it came to, if it is: the service it is sent to, or one that would not let it in, which cannot tell
    /// without its token.
    pub(crate) fn refusal<'c>(&self, checked: &'c Checked, decision: &Decision<'_>) -> Option<&'c Refused> {
        if self.callees.is_empty() {
            return None;
        }
        let service = match &decision.action {
            Action::Forward(forward) => forward.service,
            Action::Refuse(Refusal::Denied { by }) => *by,
            _ => return None,
        };
        checked.refused.get(*self.callees.get(service.as_str())?)?.as_ref()
    }

    /// Takes off all that could be tokens of the issuers of this place: of what nobody has verified.
    pub(crate) fn take_off_unverified(&self, parts: &mut Parts) {
        self.own.iter().flat_map(|own| &own.places).for_each(|place| places::take_off(place, parts));
    }

    /// Takes off the tokens that are not for whoever comes next: those that are not to be sent on, unless the service that the request goes
    /// to verifies them itself.
    pub(crate) fn take_off(&self, checked: &Checked, parts: &mut Parts, service: &str) {
        let again = self.callees.get(service).and_then(|list| self.lists.get(*list));
        let again = again.map_or(&[][..], Vec::as_slice);
        let is_over = |own: &&Verifier| {
            let was_there = checked.verified.iter().any(|(name, _)| *name == own.name);
            was_there && !own.forward && again.iter().all(|other| other.name != own.name)
        };
        let over = self.own.iter().filter(is_over).flat_map(|own| &own.places);
        over.for_each(|place| places::take_off(place, parts));
    }
}

impl PartialEq for Verifier {
    /// The same issuer's, in the same way. Of one name there is one in a plan.
    fn eq(&self, other: &Verifier) -> bool {
        self.name == other.name && self.required == other.required
    }
}

impl Verifier {
    fn of(own: view::Verifier<'_>, sources: &Sources) -> Verifier {
        let own = own.to_value();
        Verifier {
            keys: sources.at(&own.jwks),
            name: own.name,
            rules: Rules {
                issuer: own.issuer,
                audiences: own.audiences,
                skew: Duration::from_millis(own.clock_skew.into()),
                list_claims: own.list_claims,
                typ: own.typ,
            },
            places: own.places,
            required: own.required,
            forward: own.forward,
        }
    }

    fn refuses(&self, status: StatusCode, why: &'static str) -> Refused {
        let was_there = why != MISSING;
        Refused { status, name: self.name.clone(), was_there, why }
    }

    fn invalid(&self, Invalid(why): Invalid) -> Refused {
        self.refuses(StatusCode::UNAUTHORIZED, why)
    }

    async fn verify(&self, token: &Unverified<'_>) -> Result<Claims, Refused> {
        let mut keys = self.keys.keys();
        if keys.as_ref().is_none_or(|keys| !keys.knows(token.key())) {
            self.keys.renewed().await;
            keys = self.keys.keys();
        }
        // The client's token may be good: it is not told to get another.
        let keys = keys.ok_or_else(|| {
            self.refuses(StatusCode::SERVICE_UNAVAILABLE, "there are no keys of the issuer")
        })?;
        token.verify(&keys, &self.rules, SystemTime::now()).map_err(|invalid| self.invalid(invalid))
    }
}

const MISSING: &str = "there is no token";

/// Verifies what one service or gateway declares. A token is of the issuer that it says it is of, and has to be of one of them.
async fn each(
    verifiers: &[Verifier],
    parts: &Parts,
    verified: &mut Vec<(String, Claims)>,
) -> Result<(), Refused> {
    let mut found = Vec::with_capacity(verifiers.len());
    for own in verifiers {
        found.push(places::find(&own.places, parts).map_err(|invalid| own.invalid(invalid))?);
    }
    let mut tokens = Vec::with_capacity(verifiers.len());
    for (own, token) in verifiers.iter().zip(&found) {
        let token = token.as_deref().map(Unverified::read).transpose();
        tokens.push(token.map_err(|invalid| own.invalid(invalid))?);
    }
    for ((own, bytes), token) in verifiers.iter().zip(&found).zip(&tokens) {
        let Some(token) = token else {
            if own.required {
                return Err(own.refuses(StatusCode::UNAUTHORIZED, MISSING));
            }
            continue;
        };
        if token.issuer() != Some(own.rules.issuer.as_str()) {
            let is_of = |other: &Verifier| token.issuer() == Some(other.rules.issuer.as_str());
            let others = verifiers.iter().zip(&found).filter(|(_, other)| *other == bytes);
            match others.into_iter().any(|(other, _)| is_of(other)) {
                true if own.required => return Err(own.refuses(StatusCode::UNAUTHORIZED, MISSING)),
                true => continue,
                false => return Err(own.invalid(Invalid("the token is of another issuer"))),
            }
        }
        if verified.iter().all(|(name, _)| *name != own.name) {
            let claims = own.verify(token).await?;
            verified.push((own.name.clone(), claims));
        }
    }
    Ok(())
}
