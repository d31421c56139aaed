//! What makes requests meet the same endpoint: a hash of something that they have, or a cookie that they are given.

use hyper::header::HeaderValue;
use mesh_engine::balance::key::{hash_of, hash_of_cookie};
use mesh_engine::{Forward, Request};
use mesh_plan::PlanView;
use mesh_plan::view::HashKey;

/// What a request is hashed by.
#[derive(Default)]
pub(crate) struct Affinity {
    /// `None`: nothing is hashed, or the request does not have it.
    pub(crate) key: Option<u64>,
    /// The cookie that the client is given, so that it comes back with it (RFC 6265).
    pub(crate) issued: Option<HeaderValue>,
}

impl Affinity {
    pub(crate) fn of(
        plan: &PlanView,
        forward: &Forward<'_>,
        request: &Request<'_>,
        random: &mut fastrand::Rng,
    ) -> Affinity {
        let Some(hashed) = plan.balancer(forward.balancer()).and_then(|balancer| balancer.key()) else {
            return Affinity::default();
        };
        match (hash_of(hashed, request), hashed) {
            (None, HashKey::Cookie(name, Some(lifetime))) => {
                let value = format!("{:032x}", random.u128(..));
                let seconds = lifetime.div_ceil(1_000);
                let cookie = format!("{name}={value}; Max-Age={seconds}; Path=/; HttpOnly");
                Affinity { key: Some(hash_of_cookie(&value)), issued: HeaderValue::try_from(cookie).ok() }
            }
            (key, _) => Affinity { key, issued: None },
        }
    }
}
