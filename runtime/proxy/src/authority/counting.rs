//! Global rate limits: services that count for all proxies (`spec/semantics.md` 11.11a), asked as Envoy asks them, so that what
//! counts for Envoy counts here.

use super::counts::{
    Descriptor, DescriptorStatus, Entry, Limit, OK, OVER_LIMIT, RateLimitRequest, RateLimitResponse,
};
use super::message::HeaderValue;
use super::sending::Authority;
use super::{Additions, Change, Said, Unanswered, unary};
use crate::forward::local;
use crate::limits::{Global, Limits};
use crate::log::{RL_AUDIT, Record};
use crate::reply::Reply;
use crate::serving::Opened;
use crate::worker::Worker;
use hyper::{Response, StatusCode, header};
use mesh_engine::Request;

/// Who is asked, and what became of it.
struct Counted<'p> {
    limits: Vec<&'p Global<'p>>,
    response: RateLimitResponse,
}

/// Has a request counted by all who count for its limits, one after the other. `Err`: the answer of the first that refuses it.
pub(crate) async fn ask(
    worker: &Worker,
    opened: &Opened,
    limits: &Limits<'_>,
    request: &Request<'_>,
    source: &str,
    record: &mut Record,
) -> Result<Additions, Response<Reply>> {
    let mut additions = Additions::default();
    let mut left: Vec<&Global<'_>> = limits.global.iter().collect();
    while let Some(first) = left.first().map(|first| first.by) {
        let (own, others) = left.into_iter().partition(|limit| limit.by == first);
        left = others;
        let Some(asked) = opened.serving.view.authority(first).map(|own| own.to_value()) else { continue };
        let descriptors =
            |own: &[&Global<'_>]| own.iter().map(|own| own.descriptor(request, source)).collect();
        let message =
            RateLimitRequest { domain: asked.name.clone(), descriptors: descriptors(&own), hits_addend: 1 };
        let response = match Authority::of(opened, &asked) {
            Some(authority) if authority.speaks_grpc() => {
                unary::call(worker, &authority, METHOD, &message).await
            }
            Some(_) | None => Err(Unanswered::Unreachable),
        };
        let response = response.and_then(|response: RateLimitResponse| match response.overall_code {
            OK | OVER_LIMIT => Ok(response),
            _ => Err(Unanswered::Error),
        });
        match response {
            Ok(response) => {
                let counted = Counted { limits: own, response };
                match counted.said(&asked.name, record) {
                    Said::Yes(added) => additions.join(added),
                    Said::No(refused) => return Err(refused),
                }
            }
            Err(why) if asked.lets_in_on_failure => {
                record.counted(&asked.name, &format!("{}, allow", why.word()));
            }
            Err(why) => {
                record.counted(&asked.name, &format!("{}, deny", why.word()));
                record.flag("RLSE");
                record.decided_here(format!("rate-limiter {}", asked.name));
                let text = format!("rate-limiter {} does not answer", asked.name);
                return Err(local(StatusCode::SERVICE_UNAVAILABLE, text));
            }
        }
    }
    Ok(additions)
}

/// The method of gRPC by which it is asked.
const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

impl Global<'_> {
    /// What is counted by itself: the limit by where it is written, and the values of its keys; and how many are let in, which counts for who
    /// has no other word on it.
    fn descriptor(&self, request: &Request<'_>, source: &str) -> Descriptor {
        let limit = &self.limit;
        let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
        let mut entries = vec![entry("generic_key", self.place.to_string())];
        if limit.by_source {
            entries.push(entry("source", source.to_owned()));
        }
        if limit.by_source_ip {
            entries.push(entry("source-ip", request.source_ip.to_canonical().to_string()));
        }
        if limit.by_client_ip {
            let ip = request.client_ip.map(|ip| ip.to_canonical().to_string());
            entries.push(entry("client-ip", ip.unwrap_or_default()));
        }
        for name in limit.by_headers.split(',').filter(|name| !name.is_empty()) {
            let mut lines = Vec::new();
            request.headers.each_line(name.as_bytes(), &mut |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
            });
            entries.push(entry(name, lines.join(",")));
        }
        // A rate is of a second, a minute or an hour.
        let unit = match limit.per {
            1_000 => 1,
            60_000 => 2,
            _ => 3,
        };
        Descriptor { entries, limit: Some(Limit { requests_per_unit: limit.count, unit }) }
    }
}

impl Counted<'_> {
    /// Lets the request in or answers it, and has told what there is to tell.
    fn said(self, name: &str, record: &mut Record) -> Said {
        let over: Vec<(&Global<'_>, Option<&DescriptorStatus>)> = self
            .limits
            .iter()
            .zip(0..)
            .filter_map(|(limit, place)| Some((*limit, self.over(place)?)))
            .collect();
        let refused = over.iter().any(|(limit, _)| !limit.limit.audit);
        record.counted(name, if over.is_empty() { "ok" } else { "over limit" });
        let written =
            |headers: &[HeaderValue]| headers.iter().filter_map(HeaderValue::written).collect::<Vec<_>>();
        let added = written(&self.response.response_headers_to_add);
        if !refused {
            if !over.is_empty() {
                record.flag(RL_AUDIT);
            }
            let of_request = written(&self.response.request_headers_to_add);
            let request = of_request.into_iter().map(|(name, value)| Change::Append(name, value)).collect();
            return Said::Yes(Additions { request, response: added });
        }
        record.flag("RL");
        record.decided_here(format!("rate-limiter {name}"));
        let waits = over.iter().filter_map(|(_, status)| status.and_then(DescriptorStatus::wait)).max();
        let mut response = match self.response.raw_body.is_empty() {
            true => local(StatusCode::TOO_MANY_REQUESTS, "too many requests"),
            false => {
                let mut response = Response::new(Reply::Local(self.response.raw_body.into()));
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                response
            }
        };
        let headers = response.headers_mut();
        if let Some(seconds) = waits {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        for (name, value) in added {
            headers.append(name, value);
        }
        Said::No(response)
    }

    /// Whether there are too many of one of the limits, and what is said of it besides. Who says it of some says of the others that there
    /// are not; who says it of none means all.
    fn over(&self, place: usize) -> Option<Option<&DescriptorStatus>> {
        let RateLimitResponse { overall_code, statuses, .. } = &self.response;
        let says_which = statuses.len() == self.limits.len()
            && (*overall_code != OVER_LIMIT || statuses.iter().any(|status| status.code == OVER_LIMIT));
        if !says_which {
            return (*overall_code == OVER_LIMIT).then_some(None);
        }
        statuses.get(place).filter(|status| status.code == OVER_LIMIT).map(Some)
    }
}

impl DescriptorStatus {
    /// Whole seconds until there is room again.
    fn wait(&self) -> Option<u64> {
        let until = self.duration_until_reset.as_ref()?;
        u64::try_from(until.seconds).ok()?.checked_add(u64::from(until.nanos > 0))
    }
}
