//! An authority of gRPC: `envoy.service.auth.v3.Authorization/Check`.

use super::message::{
    Address, AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption,
    HttpRequest, OkHttpResponse, Peer, Request, SocketAddress, Timestamp, TlsSession,
};
use super::sending::Authority;
use super::{Additions, Change, Question, Said, Unanswered, is_ours, unary};
use crate::forward::local;
use crate::request::{Target, request_id};
use crate::worker::Worker;
use hyper::header::{self, HeaderName};
use hyper::http::request::Parts;
use hyper::{StatusCode, Version};
use mesh_engine::Entry;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// `google.rpc.Code.OK`
const OK: i32 = 0;

pub(super) async fn ask(
    worker: &Worker,
    authority: &Authority<'_>,
    question: &Question<'_>,
) -> Result<Said, Unanswered> {
    let check = CheckRequest { attributes: Some(attributes(question)) };
    let response =
        unary::call(worker, authority, "/envoy.service.auth.v3.Authorization/Check", &check).await?;
    said(response).ok_or(Unanswered::Error)
}

/// `None`: without a status nothing was decided; Envoy takes that for OK, which lets in whoever answers with nothing.
fn said(response: CheckResponse) -> Option<Said> {
    Some(match response.status?.code {
        OK => Said::Yes(additions(response.ok_response.unwrap_or_default())),
        _ => Said::No(denied(response.denied_response.unwrap_or_default())),
    })
}

fn additions(ok: OkHttpResponse) -> Additions {
    let removed = ok.headers_to_remove.iter().filter_map(|name| HeaderName::try_from(name).ok());
    let removed = removed.filter(|name| !is_ours(name)).map(Change::Remove);
    let written = ok.headers.iter().filter_map(header_of).map(|(name, value, appends)| match appends {
        true => Change::Append(name, value),
        false => Change::Set(name, value),
    });
    Additions {
        request: removed.chain(written).collect(),
        response: ok
            .response_headers_to_add
            .iter()
            .filter_map(header_of)
            .map(|(name, value, _)| (name, value))
            .collect(),
    }
}

fn denied(denied: DeniedHttpResponse) -> hyper::Response<crate::reply::Reply> {
    // Success is no denial: then nobody but its author would know that it was one.
    let status = denied.status.and_then(|status| StatusCode::from_u16(u16::try_from(status.code).ok()?).ok());
    let status = status.filter(|status| status.as_u16() >= 300).unwrap_or(StatusCode::FORBIDDEN);
    let mut response = local(status, denied.body);
    for (name, value, appends) in denied.headers.iter().filter_map(header_of) {
        match appends {
            true => drop(response.headers_mut().append(name, value)),
            false => drop(response.headers_mut().insert(name, value)),
        }
    }
    response
}

/// A header that may be written, and whether beside what is there.
fn header_of(option: &HeaderValueOption) -> Option<(HeaderName, hyper::header::HeaderValue, bool)> {
    let (name, value) = option.header.as_ref()?.written()?;
    Some((name, value, option.append.as_ref().is_some_and(|append| append.value)))
}

fn attributes(question: &Question<'_>) -> AttributeContext {
    let (opened, client) = (question.opened, question.client);
    let source = Peer {
        address: Some(address(client.address)),
        principal: client.source(opened).to_owned(),
        ..Peer::default()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = Timestamp { seconds: now.as_secs() as i64, nanos: now.subsec_nanos() as i32 };
    let http = question.request.map(|(parts, target)| http(parts, target, client.scheme(), question.size));
    AttributeContext {
        source: Some(source),
        destination: Some(destination(question)),
        request: Some(Request { time: Some(time), http }),
        tls_session: (!question.sni.is_empty()).then(|| TlsSession { sni: question.sni.to_owned() }),
    }
}

fn address(address: SocketAddr) -> Address {
    let socket =
        SocketAddress { address: address.ip().to_canonical().to_string(), port_value: address.port().into() };
    Address { socket_address: Some(socket) }
}

/// The service or gateway that asks.
fn destination(question: &Question<'_>) -> Peer {
    let view = &question.opened.serving.view;
    let named = match question.opened.entry {
        Entry::Gateway { gateway, .. } => view.gateway(gateway).map(|own| (own.name(), own.principal())),
        Entry::Inbound { service, .. } => view.service(service).map(|own| (own.name(), own.principal())),
        Entry::Sidecar { .. } | Entry::Call { .. } | Entry::FromGateway { .. } => None,
    };
    let (name, principal) = named.unwrap_or_default();
    let principal = view.principals().get(principal).map(|own| own.identity()).unwrap_or_default();
    Peer { address: None, service: name.to_owned(), principal: principal.to_owned() }
}

fn http(parts: &Parts, target: &Target, scheme: &str, size: Option<u64>) -> HttpRequest {
    let path = parts.uri.path_and_query().map_or_else(|| target.path.clone(), ToString::to_string);
    let (host, method) = (target.authority().into_owned(), parts.method.as_str().to_owned());
    let mut headers: BTreeMap<String, String> = BTreeMap::from([
        (":authority".to_owned(), host.clone()),
        (":method".to_owned(), method.clone()),
        (":path".to_owned(), path.clone()),
        (":scheme".to_owned(), scheme.to_owned()),
    ]);
    for name in parts.headers.keys().filter(|name| **name != header::HOST) {
        // RFC 9110 5.3; the lines of `cookie` are joined as in RFC 9113 8.2.3.
        let joint = if *name == header::COOKIE { "; " } else { "," };
        let lines = parts.headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        headers.insert(name.as_str().to_owned(), lines.collect::<Vec<_>>().join(joint));
    }
    HttpRequest {
        id: request_id(&parts.headers).to_owned(),
        method,
        headers,
        path,
        host,
        scheme: scheme.to_owned(),
        size: size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1),
        protocol: match parts.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            _ => "HTTP/1.1",
        }
        .to_owned(),
    }
}
