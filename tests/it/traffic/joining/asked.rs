//! What an authority answers to whom is no proxy, and asks in every wrong way.

use super::{Place, Serving};
use crate::traffic::mutual::{SHOP, WEB};
use mesh_proxy::{Identity, Material};
use mesh_tests::authority::{Authority, Certificate, Flaw};
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// An answer: status and body; `None` where there was none.
pub(super) type Answer = Option<(u16, String)>;

pub(super) fn post(
    place: &Place,
    serving: &Serving,
    shown: Option<&Certificate>,
    headers: &str,
    body: &[u8],
) -> Answer {
    let mut roots = RootCertStore::empty();
    let bundle = place.read("local.test.pem");
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(bundle.as_bytes()).flatten());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown.map(Certificate::parts) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        None => config.with_no_client_auth(),
    };
    let socket = TcpStream::connect(serving.url.strip_prefix("https://").unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket);
    let head =
        format!("POST /v1/svid HTTP/1.1\r\nhost: ca\r\n{headers}content-length: {}\r\n\r\n", body.len());
    let mut heard = Vec::new();
    // What is refused may be cut off while it is sent.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let _ = stream.read_to_end(&mut heard);
    let heard = String::from_utf8_lossy(&heard).into_owned();
    let (head, body) = heard.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// A request for a certificate, which says that it is for somebody, and the key.
pub(super) fn wish(uri: &str) -> (Vec<u8>, String) {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    (params.serialize_request(&key).unwrap().der().to_vec(), key.serialize_pem())
}

/// Whose certificate was given.
pub(super) fn owner(key: &str, answer: &str) -> String {
    let (chain, roots) = answer.split_once("# Trust bundle\n").expect("a certificate and roots");
    let bundles = vec![(None, roots.as_bytes().to_vec())];
    let material = Material { chain: chain.as_bytes().to_vec(), key: key.as_bytes().to_vec(), bundles };
    Identity::new(&material).unwrap().id().to_owned()
}

#[test]
fn who_somebody_is_says_the_token_or_the_certificate_and_never_the_request() {
    let place = Place::new();
    let serving = place.serve("1h");
    let token = format!("authorization: Bearer {}\r\n", place.ca(&["token", WEB]));
    let (request, key) = wish(SHOP);
    let (status, answer) = post(&place, &serving, None, &token, &request).unwrap();
    assert_eq!((status, owner(&key, &answer)), (200, WEB.to_owned()));
    // The same key may ask again, for the answer may be lost; another one may not.
    assert_eq!(post(&place, &serving, None, &token, &request).unwrap().0, 200);
    let (status, said) = post(&place, &serving, None, &token, &wish(WEB).0).unwrap();
    assert!(status == 401 && said.contains("has been used"), "{said}");
    let own = Certificate { chain: answer.split_once("# Trust").unwrap().0.to_owned(), key };
    let (request, key) = wish(SHOP);
    let (status, answer) = post(&place, &serving, Some(&own), "", &request).unwrap();
    assert_eq!((status, owner(&key, &answer)), (200, WEB.to_owned()));
}

#[test]
fn what_is_asked_wrongly_is_refused_with_a_reason_and_costs_no_token() {
    let place = Place::new();
    let serving = place.serve("1h");
    let token = format!("authorization: Bearer {}\r\n", place.ca(&["token", WEB]));
    let (request, key) = wish(WEB);
    let mut forged = request.clone();
    *forged.last_mut().unwrap() ^= 1;
    let pem = b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    for (headers, body, wanted, why) in [
        (&*token, &b"garbage"[..], 400, "no certificate request"),
        (&token, b"", 400, "no certificate request"),
        (&token, pem, 400, "no certificate request"),
        (&token, &forged, 400, "with a good signature"),
        (&token, &[b'x'; 20_000], 413, "more than 16384 bytes"),
        ("", &request, 401, "neither a join token nor a certificate"),
        ("authorization: Basic abc\r\n", &request, 401, "this is no join token"),
        ("authorization: Bearer ../../etc/passwd\r\n", &request, 401, "this is no join token"),
    ] {
        let said = serving.running.said().len();
        let (status, answer) = post(&place, &serving, None, headers, body).unwrap();
        assert!(status == wanted && answer.contains(why), "{status} {answer}");
        serving.running.wait_after(said, why);
    }
    let (status, answer) = post(&place, &serving, None, &token, &request).unwrap();
    assert_eq!((status, owner(&key, &answer)), (200, WEB.to_owned()), "it is good still");

    // Certificates of others, and what has ended, do not even come to ask.
    let stranger = Authority::new();
    for flaw in [Flaw::None, Flaw::Expired] {
        let shown = stranger.certificate(&[WEB], flaw);
        let said = serving.running.said().len();
        assert_eq!(post(&place, &serving, Some(&shown), "", &request), None);
        serving.running.wait_after(said, "refused 127.0.0.1: ");
    }
}
