//! A plan server, asked again and again: `GET` with `If-None-Match` (RFC 9110 13.1.2), which the server answers when there is another plan
//! or after the time that `Prefer: wait` gives it (RFC 7240 4.3). What became of the last plan is told with the next question.

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ETAG, IF_NONE_MATCH, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mesh_plan::layout::MAX_PLAN_BYTES;
use mesh_plan::parts::Wanted;
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// How long the server may keep a question: shorter than what proxies and load balancers in between wait for an answer.
const WAIT: Duration = Duration::from_secs(55);
/// How much longer than that an answer may take to begin, and then to come.
const GRACE: Duration = Duration::from_secs(15);
/// After one failure; doubled with each more, up to [`MOST_PAUSE`], and drawn evenly below that (full jitter).
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A server that comes back is asked within half a minute, and by a thousand proxies not at once.
const MOST_PAUSE: Duration = Duration::from_secs(30);
/// Parts say many things again that a plan says once.
const MOST_BYTES: usize = 2 * MAX_PLAN_BYTES;
/// Who asks, what it serves, what it would not take and why: in headers, so that a server needs to keep nothing to answer.
const NODE: &str = "mesh-node";
const APPLIED: &str = "mesh-applied";
const REJECTED: &str = "mesh-rejected";
const REASON: &str = "mesh-reason";

/// A plan that came, and where to say what became of it.
pub(crate) struct Delivery {
    pub(crate) bytes: Vec<u8>,
    pub(crate) told: oneshot::Sender<Result<(), String>>,
}

/// What a proxy hears of its server.
pub(crate) enum News {
    Plan(Delivery),
    /// It does not answer; said once, until it does again.
    Trouble(String),
    /// It answers again.
    Back,
}

/// Where plans come from, and for whom.
pub(crate) struct Server {
    uri: Uri,
    node: String,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// The last plan that came.
    etag: Option<String>,
    applied: Option<String>,
    rejected: Option<(String, String)>,
}

impl Server {
    /// A server at `http://` or `https://`. Its certificate is checked with the given authorities, or with the system's.
    pub(crate) fn at(
        base: &str,
        wanted: &BTreeSet<Wanted>,
        node: &str,
        authorities: Option<&Path>,
    ) -> Result<Server, String> {
        let uri = format!("{}/v1/plan?{}", base.trim_end_matches('/'), query(wanted));
        let uri: Uri =
            uri.parse().map_err(|_| format!("{base} is no URL, such as http://plans.internal:7070"))?;
        // There is one provider, so it does not matter who came first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let connector = match authorities {
            Some(path) => HttpsConnectorBuilder::new().with_tls_config(mesh_proxy::jwt::trusting(path)?),
            // Nobody has to be known where nobody is asked who he is: a small image has no authorities.
            None if base.starts_with("http://") => HttpsConnectorBuilder::new().with_tls_config(
                ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
            ),
            None => HttpsConnectorBuilder::new().with_native_roots().map_err(|_| {
                "the system has no certificate authorities; give those of the plan's server with --plan-ca"
            })?,
        };
        let connector = connector.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let node = node.to_owned();
        Ok(Server { uri, node, client, etag: None, applied: None, rejected: None })
    }

    /// Asks until nobody listens any more.
    pub(crate) async fn ask(mut self, news: mpsc::Sender<News>) {
        let mut failures: u32 = 0;
        loop {
            match self.answer().await {
                Ok(answer) => {
                    if std::mem::take(&mut failures) > 0 && news.send(News::Back).await.is_err() {
                        return;
                    }
                    let Some((etag, bytes)) = answer else { continue };
                    let (told, heard) = oneshot::channel();
                    if news.send(News::Plan(Delivery { bytes, told })).await.is_err() {
                        return;
                    }
                    let Ok(result) = heard.await else { return };
                    match result {
                        Ok(()) => (self.applied, self.rejected) = (etag.clone(), None),
                        Err(why) => self.rejected = Some((etag.clone().unwrap_or_default(), why)),
                    }
                    // A server without entity tags would be asked without a pause.
                    if etag.is_none() {
                        sleep(MOST_PAUSE).await;
                    }
                    self.etag = etag;
                }
                Err(why) => {
                    if failures == 0 && news.send(News::Trouble(why)).await.is_err() {
                        return;
                    }
                    sleep(pause(failures)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Another plan and its entity tag, or `None` where there is none.
    async fn answer(&self) -> Result<Option<(Option<String>, Vec<u8>)>, String> {
        let request = self.question().map_err(|error| error.to_string())?;
        let response = timeout(WAIT + GRACE, self.client.request(request))
            .await
            .map_err(|_| "no answer in time".to_owned())?
            .map_err(|error| mesh_proxy::innermost(&error))?;
        let status = response.status();
        let etag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        if status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let body = timeout(WAIT + GRACE, Limited::new(response.into_body(), MOST_BYTES).collect())
            .await
            .map_err(|_| "the answer does not come in time".to_owned())?
            .map_err(|error| format!("the answer breaks off: {error}"))?;
        let bytes = body.to_bytes().to_vec();
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&bytes);
            let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
            return Err(format!("the server answers {} {line}", status.as_u16()));
        }
        Ok(Some((etag, bytes)))
    }

    fn question(&self) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
        let mut request = Request::get(&self.uri)
            .header(USER_AGENT, concat!("mesh-proxy/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/vnd.mesh.plan.v1")
            .header(NODE, ascii(&self.node));
        if let Some(etag) = &self.etag {
            request =
                request.header(IF_NONE_MATCH, etag).header("prefer", format!("wait={}", WAIT.as_secs()));
        }
        if let Some(etag) = &self.applied {
            request = request.header(APPLIED, etag);
        }
        if let Some((etag, why)) = &self.rejected {
            request = request.header(REJECTED, etag).header(REASON, ascii(why));
        }
        request.body(Empty::new())
    }
}

fn query(wanted: &BTreeSet<Wanted>) -> String {
    let pairs = wanted.iter().map(|wanted| match wanted {
        Wanted::Gateways => ("gateways", "all"),
        Wanted::Gateway(name) => ("gateway", name.as_str()),
        Wanted::Service(name) => ("service", name.as_str()),
    });
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What a header may hold, on one line.
fn ascii(text: &str) -> String {
    text.chars().map(|letter| if letter == ' ' || letter.is_ascii_graphic() { letter } else { '?' }).collect()
}

/// Full jitter: anything below the bound, so that proxies that failed together do not come back together.
fn pause(failures: u32) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(MOST_PAUSE);
    bound.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_never_longer() {
        for failures in 0..40 {
            let bound = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(MOST_PAUSE);
            assert!((0..100).all(|_| pause(failures) <= bound));
        }
        let (short, long) = (pause(0), (0..200).map(|_| pause(30)).max());
        assert!(short <= FIRST_PAUSE && long > Some(MOST_PAUSE / 2));
    }

    #[test]
    fn who_is_asked_for_is_said_in_the_query() {
        let wanted = BTreeSet::from([
            Wanted::Gateways,
            Wanted::Gateway("edge".into()),
            Wanted::Service("a&b.x".into()),
        ]);
        assert_eq!(query(&wanted), "gateways=all&gateway=edge&service=a%26b.x");
        assert_eq!(ascii("no\r\nplan: é"), "no??plan: ?");
    }
}
