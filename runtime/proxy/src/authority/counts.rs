//! The messages of `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`, as far as they are read and written here.

use super::fields::{fields, is_default};
use super::message::HeaderValue;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, bytes, int32, int64, message, skip_field, string, uint32};
use prost::{DecodeError, Message};

/// `RateLimitRequest`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RateLimitRequest {
    pub(super) domain: String,
    pub(super) descriptors: Vec<Descriptor>,
    pub(super) hits_addend: u32,
}

fields!(RateLimitRequest { 1 string domain, 2 messages descriptors, 3 uint32 hits_addend, });

/// `RateLimitDescriptor`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Descriptor {
    pub(super) entries: Vec<Entry>,
    pub(super) limit: Option<Limit>,
}

fields!(Descriptor { 1 messages entries, 2 message limit, });

/// `RateLimitDescriptor.Entry`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
}

fields!(Entry { 1 string key, 2 string value, });

/// `RateLimitDescriptor.RateLimitOverride`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Limit {
    pub(super) requests_per_unit: u32,
    /// `RateLimitUnit`: 1 a second, 2 a minute, 3 an hour.
    pub(super) unit: i32,
}

fields!(Limit { 1 uint32 requests_per_unit, 2 int32 unit, });

/// `RateLimitResponse`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RateLimitResponse {
    /// One of the codes below; 0 where nothing was decided.
    pub(super) overall_code: i32,
    pub(super) statuses: Vec<DescriptorStatus>,
    pub(super) response_headers_to_add: Vec<HeaderValue>,
    pub(super) request_headers_to_add: Vec<HeaderValue>,
    pub(super) raw_body: Vec<u8>,
}

fields!(RateLimitResponse {
    1 int32 overall_code,
    2 messages statuses,
    3 messages response_headers_to_add,
    4 messages request_headers_to_add,
    5 bytes raw_body,
});

/// `RateLimitResponse.Code.OK`
pub(super) const OK: i32 = 1;
/// `RateLimitResponse.Code.OVER_LIMIT`
pub(super) const OVER_LIMIT: i32 = 2;

/// `RateLimitResponse.DescriptorStatus`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DescriptorStatus {
    pub(super) code: i32,
    pub(super) duration_until_reset: Option<Duration>,
}

fields!(DescriptorStatus { 1 int32 code, 4 message duration_until_reset, });

/// `google.protobuf.Duration`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Duration {
    pub(super) seconds: i64,
    pub(super) nanos: i32,
}

fields!(Duration { 1 int64 seconds, 2 int32 nanos, });

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the text form beside them, field by field.
    #[test]
    fn the_bytes_are_those_of_the_definition() {
        // domain: "d" descriptors { entries { key: "k" value: "v" } limit { requests_per_unit: 300 unit: MINUTE } } hits_addend: 1
        let asked = b"\x0a\x01d\x12\x0f\x0a\x06\x0a\x01k\x12\x01v\x12\x05\x08\xac\x02\x10\x02\x18\x01";
        let descriptor = Descriptor {
            entries: vec![Entry { key: "k".to_owned(), value: "v".to_owned() }],
            limit: Some(Limit { requests_per_unit: 300, unit: 2 }),
        };
        let request =
            RateLimitRequest { domain: "d".to_owned(), descriptors: vec![descriptor], hits_addend: 1 };
        assert_eq!(request.encode_to_vec(), asked);
        // overall_code: OVER_LIMIT statuses { code: OVER_LIMIT limit_remaining: 0 duration_until_reset { seconds: 5 } } raw_body: "no"
        let said = b"\x08\x02\x12\x06\x08\x02\x22\x02\x08\x05\x2a\x02no";
        let read = RateLimitResponse::decode(&said[..]).unwrap();
        assert_eq!((read.overall_code, read.raw_body.as_slice()), (OVER_LIMIT, &b"no"[..]));
        let status = &read.statuses[0];
        assert_eq!(status.code, OVER_LIMIT);
        assert_eq!(status.duration_until_reset, Some(Duration { seconds: 5, nanos: 0 }));
    }
}
