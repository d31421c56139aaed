//! The messages of `envoy.service.auth.v3.Authorization/Check`, as far as they are read and written here. They stay what they are, so they are
//! written down: what would make them of their definition is five crates. Fields of an answer that are not here have no effect.

use super::fields::{fields, is_default};
use super::is_ours;
use hyper::header;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{
    DecodeContext, WireType, bool, btree_map, bytes, int32, int64, message, skip_field, string, uint32,
};
use prost::{DecodeError, Message};
use std::collections::BTreeMap;

/// `CheckRequest`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CheckRequest {
    pub(crate) attributes: Option<AttributeContext>,
}

fields!(CheckRequest { 1 message attributes, });

/// `AttributeContext`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AttributeContext {
    pub(crate) source: Option<Peer>,
    pub(crate) destination: Option<Peer>,
    pub(crate) request: Option<Request>,
    pub(crate) tls_session: Option<TlsSession>,
}

fields!(AttributeContext { 1 message source, 2 message destination, 4 message request, 12 message tls_session, });

/// `AttributeContext.Peer`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Peer {
    pub(crate) address: Option<Address>,
    pub(crate) service: String,
    pub(crate) principal: String,
}

fields!(Peer { 1 message address, 2 string service, 4 string principal, });

/// `Address`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Address {
    pub(crate) socket_address: Option<SocketAddress>,
}

fields!(Address { 1 message socket_address, });

/// `SocketAddress`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SocketAddress {
    pub(crate) address: String,
    pub(crate) port_value: u32,
}

fields!(SocketAddress { 2 string address, 3 uint32 port_value, });

/// `AttributeContext.Request`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) time: Option<Timestamp>,
    pub(crate) http: Option<HttpRequest>,
}

fields!(Request { 1 message time, 2 message http, });

/// `google.protobuf.Timestamp`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timestamp {
    pub(crate) seconds: i64,
    pub(crate) nanos: i32,
}

fields!(Timestamp { 1 int64 seconds, 2 int32 nanos, });

/// `AttributeContext.HttpRequest`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HttpRequest {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) scheme: String,
    pub(crate) size: i64,
    pub(crate) protocol: String,
}

fields!(HttpRequest {
    1 string id,
    2 string method,
    3 map headers,
    4 string path,
    5 string host,
    6 string scheme,
    9 int64 size,
    10 string protocol,
});

/// `AttributeContext.TLSSession`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TlsSession {
    pub(crate) sni: String,
}

fields!(TlsSession { 1 string sni, });

/// `CheckResponse`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CheckResponse {
    pub(crate) status: Option<Status>,
    pub(crate) denied_response: Option<DeniedHttpResponse>,
    pub(crate) ok_response: Option<OkHttpResponse>,
}

fields!(CheckResponse { 1 message status, 2 message denied_response, 3 message ok_response, });

/// `google.rpc.Status`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Status {
    pub(crate) code: i32,
}

fields!(Status { 1 int32 code, });

/// `DeniedHttpResponse`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DeniedHttpResponse {
    pub(crate) status: Option<HttpStatus>,
    pub(crate) headers: Vec<HeaderValueOption>,
    pub(crate) body: String,
}

fields!(DeniedHttpResponse { 1 message status, 2 messages headers, 3 string body, });

/// `HttpStatus`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HttpStatus {
    pub(crate) code: i32,
}

fields!(HttpStatus { 1 int32 code, });

/// `OkHttpResponse`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OkHttpResponse {
    pub(crate) headers: Vec<HeaderValueOption>,
    pub(crate) headers_to_remove: Vec<String>,
    pub(crate) response_headers_to_add: Vec<HeaderValueOption>,
}

fields!(OkHttpResponse { 2 messages headers, 5 strings headers_to_remove, 6 messages response_headers_to_add, });

/// `HeaderValueOption`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HeaderValueOption {
    pub(crate) header: Option<HeaderValue>,
    pub(crate) append: Option<BoolValue>,
}

fields!(HeaderValueOption { 1 message header, 2 message append, });

/// `HeaderValue`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HeaderValue {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) raw_value: Vec<u8>,
}

fields!(HeaderValue { 1 string key, 2 string value, 3 bytes raw_value, });

impl HeaderValue {
    /// As a line of a head, if it may be one.
    pub(super) fn written(&self) -> Option<(header::HeaderName, header::HeaderValue)> {
        let name = header::HeaderName::try_from(&self.key).ok().filter(|name| !is_ours(name))?;
        let value = if self.raw_value.is_empty() { self.value.as_bytes() } else { &self.raw_value };
        Some((name, header::HeaderValue::from_bytes(value).ok()?))
    }
}

/// `google.protobuf.BoolValue`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BoolValue {
    pub(crate) value: bool,
}

fields!(BoolValue { 1 bool value, });

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the text form beside them, field by field (<https://protobuf.dev/programming-guides/encoding>).
    #[test]
    fn the_bytes_are_those_of_the_definition() {
        // status { code: 7 } denied_response { status { code: 401 } headers { header { key: "a" value: "b" } append { value: true } } body: "no" }
        let denied = b"\x0a\x02\x08\x07\x12\x17\x0a\x03\x08\x91\x03\x12\x0c\x0a\x06\x0a\x01a\x12\x01b\x12\x02\x08\x01\x1a\x02no";
        let read = CheckResponse::decode(&denied[..]).unwrap();
        let header = HeaderValue { key: "a".to_owned(), value: "b".to_owned(), raw_value: vec![] };
        let expected = CheckResponse {
            status: Some(Status { code: 7 }),
            denied_response: Some(DeniedHttpResponse {
                status: Some(HttpStatus { code: 401 }),
                headers: vec![HeaderValueOption {
                    header: Some(header),
                    append: Some(BoolValue { value: true }),
                }],
                body: "no".to_owned(),
            }),
            ok_response: None,
        };
        assert_eq!(read, expected);
        assert_eq!(expected.encode_to_vec(), denied);
    }

    #[test]
    fn what_is_not_known_is_passed_over_and_what_is_cut_is_no_message() {
        // Field 4, `dynamic_metadata`, is a message of its own.
        let read = CheckResponse::decode(&b"\x22\x02\x0a\x00\x0a\x00"[..]).unwrap();
        assert_eq!(read.status, Some(Status::default()));
        assert!(CheckResponse::decode(&b"\x0a\x05\x08"[..]).is_err());
    }
}
