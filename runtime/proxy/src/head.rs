//! The head of a request as it is sent on: in the form of the protocol that its endpoint speaks.

use crate::body::Outgoing;
use crate::outside::Secured;
use crate::upstream::Origin;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, Uri};

/// What is the same in both versions. The host is a header, and the target has no host.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// The request of one try; the last one takes what it needs.
    pub(crate) fn request(&mut self, body: Outgoing, to: &Origin, last: bool) -> Request<Outgoing> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = if last { std::mem::take(&mut self.headers) } else { self.headers.clone() };
        *request.uri_mut() = self.uri.clone();
        if to.http2 {
            // Between proxies the mesh's own TLS is nobody's business.
            let is_outside = matches!(to.endpoint.tls, Some(Secured::Outside(..)));
            to_stream(&mut request, if is_outside { Scheme::HTTPS } else { Scheme::HTTP });
        }
        request
    }
}

/// The host becomes a part of the target, and nothing speaks of the connection (RFC 9113 8.2.2 and 8.3.1).
fn to_stream(request: &mut Request<Outgoing>, scheme: Scheme) {
    let headers = request.headers_mut();
    headers.remove(header::CONNECTION);
    let host = headers.remove(header::HOST);
    let target = std::mem::take(request.uri_mut()).into_parts();
    let absolute =
        Uri::builder().scheme(scheme).authority(host.as_ref().map_or(&b""[..], HeaderValue::as_bytes));
    let absolute = match target.path_and_query {
        // `OPTIONS *`: it is what stands for a target without a path.
        Some(path) if path == "*" => absolute.path_and_query(""),
        Some(path) => absolute.path_and_query(path),
        None => absolute,
    };
    // A canonical host and a canonical path are a target; without one the request is not sent.
    *request.uri_mut() = absolute.build().unwrap_or_default();
}
