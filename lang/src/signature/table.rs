//! The rows, area by area, in the order of `spec/language.md`.

use super::Status::{self, Checked, Executed};
use super::Times::{self, Many, ManyReplaced, Once, OneOf};
use super::{Body, Place, Read, Signature};
use crate::parser::{policy, project, route, service, test, traffic};

/// The rows of a block.
pub(super) fn statements(place: Place) -> &'static [Signature] {
    match place {
        Place::File => FILE,
        Place::Mesh => MESH,
        Place::Cluster => CLUSTER,
        Place::Default => DEFAULT,
        Place::Module => MODULE,
        Place::Env => ENV,
        Place::Jwt => JWT,
        Place::Profile => PROFILE,
        Place::ExtAuthz => AUTHORITY,
        Place::RateLimiter => AUTHORITY,
        Place::Service => SERVICE,
        Place::Subset => SUBSET,
        Place::Calls => CALLS,
        Place::Retry => RETRY,
        Place::CircuitBreaker => CIRCUIT_BREAKER,
        Place::OutlierDetection => OUTLIER_DETECTION,
        Place::LoadBalancer => LOAD_BALANCER,
        Place::HealthCheck => HEALTH_CHECK,
        Place::Gateway => GATEWAY,
        Place::Listener => LISTENER,
        Place::Route => ROUTE,
        Place::Rule => RULE,
        Place::Cors => CORS,
        Place::Authorize => AUTHORIZE,
        Place::Guardrail => GUARDRAIL,
        Place::Test => TEST,
    }
}

const fn row(
    keyword: &'static str,
    form: &'static str,
    doc: &'static str,
    times: Times,
    status: Status,
    read: Read,
) -> Signature {
    Signature { keyword, form, doc, body: Body::None, times, status, read }
}

const fn block(body: Body, signature: Signature) -> Signature {
    Signature { body, ..signature }
}

/// `env NAME, … { … }` inside a block holds what the block itself may hold.
const fn env(place: Place) -> Signature {
    block(
        Body::Required(place),
        row(
            "env",
            "env NAME, … { … }",
            "What is different in these environments: a statement that may stand once replaces the one outside, others are added.",
            Many,
            Executed,
            project::names,
        ),
    )
}

// What several blocks have.

const SERVICE_ACCOUNT: Signature = row(
    "service-account",
    "service-account NAME",
    "The service account of the SPIFFE identity; without it, the name of the service or gateway.",
    Once,
    Executed,
    project::a_name,
);
const TIMEOUT: Signature = row(
    "timeout",
    "timeout DURATION|none",
    "How long a call may take in all, from the end of the request head to the end of the response.",
    Once,
    Executed,
    traffic::timeout,
);
const RETRY_SETTING: Signature = block(
    Body::Optional(Place::Retry),
    row(
        "retry",
        "retry COUNT on CONDITION, … [{ … }] | retry none",
        "How often a call is tried again, and after what; 2 retries are 3 tries.",
        Once,
        Executed,
        traffic::retry,
    ),
);
const CONNECT_TIMEOUT: Signature = row(
    "connect-timeout",
    "connect-timeout DURATION",
    "How long a connection may take to be made.",
    Once,
    Executed,
    service::a_duration,
);
const IDLE_TIMEOUT: Signature = row(
    "idle-timeout",
    "idle-timeout DURATION|none",
    "How long a connection or a stream may be silent before it is closed.",
    Once,
    Executed,
    traffic::timeout,
);
const LOAD_BALANCER_SETTING: Signature = block(
    Body::Optional(Place::LoadBalancer),
    row(
        "load-balancer",
        "load-balancer round-robin|random|least-request|peak-ewma [{ … }] | load-balancer ring-hash|maglev KEY [{ … }]",
        "Which endpoint the next request goes to; without it, one after the other.",
        Once,
        Executed,
        traffic::load_balancer,
    ),
);
const USE: Signature = row(
    "use",
    "use PROFILE, …",
    "Takes over what profiles say, below what the block itself says.",
    Once,
    Executed,
    project::names,
);
const CIRCUIT_BREAKER_LIMIT: Signature = block(
    Body::Required(Place::CircuitBreaker),
    row(
        "circuit-breaker",
        "circuit-breaker { … }",
        "How much may be under way at once, counted by each proxy; more is refused with 503.",
        Once,
        Executed,
        project::nothing,
    ),
);
const OUTLIER_DETECTION_LIMIT: Signature = block(
    Body::Required(Place::OutlierDetection),
    row(
        "outlier-detection",
        "outlier-detection { … }",
        "When an endpoint that fails is left out for a while.",
        Once,
        Executed,
        project::nothing,
    ),
);
const RATE_LIMIT: Signature = row(
    "rate-limit",
    "rate-limit local|global RATE [burst COUNT] [per KEY, …] [by NAME] [audit]",
    "How many requests are let in; more are answered with 429. A key is `source`, `source-ip`, `client-ip` or `header STRING`.",
    Many,
    Executed,
    traffic::rate_limit,
);
const MAX_REQUEST_BODY: Signature = row(
    "max-request-body",
    "max-request-body SIZE",
    "The longest request body; a longer one is answered with 413.",
    Once,
    Executed,
    traffic::size,
);
const ENCODED_SLASHES: Signature = row(
    "encoded-slashes",
    "encoded-slashes refuse|decode",
    "What becomes of `%2F` and `%5C` in paths: 400, or `/` before anything is decided; without it, 400.",
    Once,
    Executed,
    service::encoded_slashes,
);
const PATH_PARAMETERS: Signature = row(
    "path-parameters",
    "path-parameters refuse|strip",
    "What becomes of `;` in paths and of what is behind it in its segment: 400, or nothing of it stays; without it, 400.",
    Once,
    Executed,
    service::path_parameters,
);
const JWT_USE: Signature = row(
    "jwt",
    "jwt NAME required|optional",
    "Tokens of this issuer are verified; with `required`, a request without one is answered with 401.",
    Many,
    Executed,
    service::jwt,
);
const ACCESS_LOG: Signature = row(
    "access-log",
    "access-log json [sample PERCENT] | access-log none",
    "One line for each request, or for a share of them.",
    Once,
    Executed,
    service::access_log,
);
const TRACING: Signature = row(
    "tracing",
    "tracing otlp SERVICE [sample PERCENT] | tracing sample PERCENT | tracing none",
    "Where spans are sent (OTLP), and for which share of the requests.",
    Once,
    Checked,
    service::tracing,
);
const METRIC_LABEL: Signature = row(
    "metric-label",
    "metric-label NAME header STRING in (STRING, …)",
    "A label of the request metrics; values that are not listed count as `other`.",
    Many,
    Checked,
    service::metric_label,
);
const ENDPOINTS: Signature = row(
    "endpoints",
    "endpoints static STRING, … | dns STRING, … | kubernetes STRING | docker STRING | consul STRING | passthrough, then \
     [label KEY = STRING, …] [cluster NAME] [mtls MODE]",
    "Where the instances are.",
    Many,
    Executed,
    service::endpoints,
);
const TO: Signature = row(
    "to",
    "to SERVICE[:SUBSET] [port NAME] [PERCENT|rest], … | to SPLIT",
    "Sends the request on; several backends share the requests by their weights.",
    OneOf("action"),
    Executed,
    route::to,
);
const MODE: Signature = row(
    "mode",
    "mode audit until STRING",
    "What is not allowed is let through and logged, until that day (`\"2026-12-31\"`); what is denied stays denied.",
    Once,
    Executed,
    policy::mode,
);

const FILE: &[Signature] = &[
    block(
        Body::Required(Place::Mesh),
        row("mesh", "mesh NAME { … }", "What holds for the whole project.", Many, Executed, project::a_title),
    ),
    block(
        Body::Required(Place::Module),
        row(
            "module",
            "module NAME { … }",
            "What holds for the directory: its edition, owner, namespace, and what it opens to others.",
            Many,
            Executed,
            project::a_title,
        ),
    ),
    block(
        Body::Names,
        row(
            "import",
            "import MODULE { NAME, … }",
            "Names of another module that the directory uses; the other module exports them.",
            Many,
            Executed,
            project::import,
        ),
    ),
    row(
        "param",
        "param NAME TYPE = VALUE [range PERCENT..PERCENT controlled-by STRING]",
        "A value that differs between environments: `percent`, `duration`, `rate`, `size`, `count` or `host`.",
        Many,
        Executed,
        project::param,
    ),
    block(
        Body::Required(Place::Env),
        row(
            "env",
            "env NAME, … { … }",
            "Values of parameters in these environments.",
            Many,
            Executed,
            project::names,
        ),
    ),
    row("group", "group NAME = PRINCIPAL, …", "A name for several callers.", Many, Executed, project::group),
    block(
        Body::Required(Place::Jwt),
        row(
            "jwt",
            "jwt NAME { … }",
            "An issuer of tokens (RFC 7519) and how they are verified.",
            Many,
            Executed,
            project::a_name,
        ),
    ),
    block(
        Body::Required(Place::Profile),
        row(
            "profile",
            "profile NAME { … }",
            "Settings under one name, taken over with `use`.",
            Many,
            Executed,
            project::a_name,
        ),
    ),
    row(
        "split",
        "split NAME = SERVICE[:SUBSET] [port NAME] [PERCENT|rest], …",
        "A weighted split under one name, for several rules.",
        Many,
        Executed,
        project::split,
    ),
    block(
        Body::Required(Place::ExtAuthz),
        row(
            "ext-authz",
            "ext-authz NAME { … }",
            "A service that is asked whether a request may pass.",
            Many,
            Executed,
            project::a_name,
        ),
    ),
    block(
        Body::Required(Place::RateLimiter),
        row(
            "rate-limiter",
            "rate-limiter NAME { … }",
            "A service that counts requests for all proxies.",
            Many,
            Executed,
            project::a_name,
        ),
    ),
    block(
        Body::Required(Place::Service),
        row(
            "service",
            "service NAME { … }",
            "A workload: its ports, its endpoints and what it calls.",
            Many,
            Executed,
            project::a_name,
        ),
    ),
    block(
        Body::Required(Place::Gateway),
        row(
            "gateway",
            "gateway NAME { … }",
            "A door into the mesh and the hosts it listens for.",
            Many,
            Executed,
            project::a_name,
        ),
    ),
    block(
        Body::Required(Place::Route),
        row(
            "route",
            "route TARGET [port NAME] [listener NAME] [host STRING, …] [from PRINCIPAL, …] { … }",
            "Where requests to a service or a gateway go.",
            Many,
            Executed,
            route::route,
        ),
    ),
    block(
        Body::Required(Place::Authorize),
        row(
            "authorize",
            "authorize TARGET, … { … }",
            "Who may send what to the targets.",
            Many,
            Executed,
            policy::targets,
        ),
    ),
    block(
        Body::Required(Place::Guardrail),
        row(
            "guardrail",
            "guardrail NAME { … }",
            "What nobody may allow: refusals over all teams' modules.",
            Many,
            Executed,
            project::a_name,
        ),
    ),
    block(
        Body::Required(Place::Test),
        row(
            "test",
            "test STRING [in NAME, …] { … }",
            "Requests and what is to become of them, checked when compiling.",
            Many,
            Executed,
            test::test,
        ),
    ),
];

const MESH: &[Signature] = &[
    row(
        "trust-domain",
        "trust-domain WORD",
        "The SPIFFE trust domain of the mesh.",
        Once,
        Executed,
        project::trust_domain,
    ),
    row("clusters", "clusters NAME, …", "The clusters the mesh spans.", Once, Executed, project::names),
    block(
        Body::Required(Place::Cluster),
        row(
            "cluster",
            "cluster NAME { … }",
            "How a cluster is reached from the others.",
            Many,
            Checked,
            project::a_name,
        ),
    ),
    row(
        "environments",
        "environments NAME, …",
        "The environments; each is compiled and checked on its own.",
        Once,
        Executed,
        project::names,
    ),
    row(
        "production",
        "production NAME, …",
        "The environments in which faults and audit modes are not accepted.",
        Once,
        Executed,
        project::names,
    ),
    row(
        "mtls",
        "mtls strict|permissive",
        "Whether connections without a mesh certificate are accepted.",
        Once,
        Executed,
        project::mtls,
    ),
    row(
        "egress",
        "egress deny|allow",
        "What becomes of calls to destinations that nobody declared; without it, they are refused.",
        Once,
        Executed,
        project::egress,
    ),
    row(
        "limit",
        "limit retry-amplification COUNT",
        "The most tries that one request may become on its way through the mesh.",
        Once,
        Executed,
        project::limit,
    ),
    ACCESS_LOG,
    TRACING,
    METRIC_LABEL,
    block(
        Body::Required(Place::Default),
        row(
            "default",
            "default { … }",
            "Settings for every call that nothing nearer sets.",
            Once,
            Executed,
            project::nothing,
        ),
    ),
    env(Place::Mesh),
];

const CLUSTER: &[Signature] = &[row(
    "gateway",
    "gateway NAME STRING",
    "The gateway at the cluster's door and its address, `\"host:port\"`.",
    Once,
    Checked,
    project::cluster_gateway,
)];

const DEFAULT: &[Signature] =
    &[TIMEOUT, RETRY_SETTING, CONNECT_TIMEOUT, IDLE_TIMEOUT, LOAD_BALANCER_SETTING, env(Place::Default)];

const MODULE: &[Signature] = &[
    row(
        "edition",
        "edition 2026",
        "The edition of the language the directory is written in.",
        Once,
        Executed,
        project::edition,
    ),
    row(
        "owner",
        "owner STRING",
        "Who answers for the services of the directory; shown where a request is refused.",
        Once,
        Executed,
        project::a_string,
    ),
    row(
        "namespace",
        "namespace NAME",
        "The SPIFFE namespace of everything in the directory.",
        Once,
        Executed,
        project::a_name,
    ),
    row("role", "role platform", "The module may write guardrails.", Once, Executed, project::role),
    row(
        "export",
        "export profile|group|jwt|split|ext-authz|rate-limiter NAME, …",
        "Names that other modules may import.",
        Many,
        Executed,
        project::export,
    ),
];

const ENV: &[Signature] =
    &[row("set", "set NAME = VALUE", "The value of a parameter here.", Many, Executed, project::set)];

const JWT: &[Signature] = &[
    row("issuer", "issuer STRING", "The `iss` claim that tokens have.", Once, Executed, project::a_string),
    row(
        "audience",
        "audience STRING, …",
        "The `aud` claims that are accepted.",
        Once,
        Executed,
        project::strings,
    ),
    row(
        "jwks",
        "jwks STRING",
        "The issuer's keys: a URL, or a file beside the proxy.",
        Once,
        Executed,
        project::a_string,
    ),
    row(
        "from",
        "from header STRING | from cookie STRING | from query STRING",
        "Where the token stands; without it, in `authorization: Bearer`.",
        Many,
        Executed,
        project::token_source,
    ),
    row("forward", "forward", "The token is sent on to the service.", Once, Executed, project::nothing),
    row(
        "list-claims",
        "list-claims STRING, …",
        "Claims that are lists, written as one string with spaces between.",
        Once,
        Executed,
        project::strings,
    ),
    row(
        "clock-skew",
        "clock-skew DURATION",
        "How far the issuer's clock may be off; without it, not at all.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "typ",
        "typ STRING",
        "The type that tokens say they are, such as `at+jwt`; without it, none, `JWT` or `at+jwt`.",
        Once,
        Executed,
        project::a_string,
    ),
    env(Place::Jwt),
];

const PROFILE: &[Signature] = &[
    TIMEOUT,
    RETRY_SETTING,
    CONNECT_TIMEOUT,
    IDLE_TIMEOUT,
    LOAD_BALANCER_SETTING,
    CIRCUIT_BREAKER_LIMIT,
    OUTLIER_DETECTION_LIMIT,
    env(Place::Profile),
];

/// What is said of a service that proxies ask.
const AUTHORITY: &[Signature] = &[
    row("service", "service SERVICE", "The service that is asked.", Once, Executed, service::a_service),
    row(
        "timeout",
        "timeout DURATION",
        "How long its answer is waited for.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "on-failure",
        "on-failure allow|deny",
        "What holds where it does not answer.",
        Once,
        Executed,
        project::on_failure,
    ),
];

const SERVICE: &[Signature] = &[
    SERVICE_ACCOUNT,
    row(
        "identity",
        "identity STRING",
        "The SPIFFE ID, where it is not the one of namespace and service account.",
        Once,
        Executed,
        project::a_string,
    ),
    row(
        "port",
        "port [NAME] NUMBER PROTOCOL [target NUMBER] [mtls MODE]",
        "A port the service is called on: `http`, `http2`, `grpc`, `tcp` or `tls`.",
        Many,
        Executed,
        service::port,
    ),
    block(
        Body::Optional(Place::Subset),
        row(
            "subset",
            "subset NAME [label KEY = STRING, …] [cluster NAME] [{ … }]",
            "The endpoints that carry all these labels, for example a version.",
            Many,
            Executed,
            service::subset,
        ),
    ),
    ENDPOINTS,
    row(
        "alias",
        "alias STRING, …",
        "Further hosts by which callers say the service.",
        Once,
        Executed,
        service::hosts,
    ),
    row(
        "external",
        "external STRING, …",
        "The service is outside of the mesh, under these names or networks.",
        Once,
        Executed,
        project::strings,
    ),
    row(
        "tls",
        "tls [host STRING] ca system|STRING [certificate STRING] | tls insecure | tls none",
        "How a service outside of the mesh is spoken to.",
        Once,
        Executed,
        service::tls,
    ),
    row(
        "mtls",
        "mtls strict|permissive|off",
        "Overrides the mesh's mode for this service.",
        Once,
        Executed,
        service::mtls,
    ),
    JWT_USE,
    block(
        Body::Optional(Place::Calls),
        row(
            "calls",
            "calls SERVICE, … [port NAME] [to OP, …] [{ … }]",
            "What the service may call; everything else its proxy refuses.",
            Many,
            Executed,
            service::calls,
        ),
    ),
    USE,
    TIMEOUT,
    RETRY_SETTING,
    CONNECT_TIMEOUT,
    IDLE_TIMEOUT,
    LOAD_BALANCER_SETTING,
    CIRCUIT_BREAKER_LIMIT,
    OUTLIER_DETECTION_LIMIT,
    RATE_LIMIT,
    MAX_REQUEST_BODY,
    ENCODED_SLASHES,
    PATH_PARAMETERS,
    row("clusters", "clusters NAME, …", "The clusters the service runs in.", Once, Executed, project::names),
    row(
        "failover",
        "failover CLUSTER -> CLUSTER -> …",
        "Where requests go while no endpoint of the clusters before is healthy; `local` is the caller's own.",
        Once,
        Executed,
        service::failover,
    ),
    row(
        "locality",
        "locality zone",
        "Endpoints in the caller's zone are preferred while enough of them are healthy.",
        Once,
        Executed,
        service::locality,
    ),
    block(
        Body::Required(Place::HealthCheck),
        row(
            "health-check",
            "health-check GET PATH|grpc|tcp { … }",
            "How proxies ask endpoints whether they are well.",
            Once,
            Executed,
            service::health_check,
        ),
    ),
    row(
        "panic-threshold",
        "panic-threshold PERCENT",
        "With a smaller share of healthy endpoints all of them are used; without it, never.",
        Once,
        Executed,
        service::a_percent,
    ),
    row(
        "probe",
        "probe GET PATH|grpc|tcp [port NAME]",
        "A health probe that the node may send without an identity, and nobody else.",
        Many,
        Executed,
        service::probe,
    ),
    row(
        "propagate",
        "propagate header STRING, …",
        "Headers that the service sends on with the calls it makes: a fact that checks rely on.",
        Once,
        Executed,
        project::headers,
    ),
    ACCESS_LOG,
    TRACING,
    METRIC_LABEL,
    env(Place::Service),
];

const SUBSET: &[Signature] = &[ENDPOINTS, env(Place::Subset)];

const CALLS: &[Signature] = &[
    USE,
    TIMEOUT,
    RETRY_SETTING,
    CONNECT_TIMEOUT,
    IDLE_TIMEOUT,
    LOAD_BALANCER_SETTING,
    CIRCUIT_BREAKER_LIMIT,
    OUTLIER_DETECTION_LIMIT,
    row(
        "client-timeout",
        "client-timeout DURATION",
        "How long the application itself waits: a fact that checks rely on.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "client-retry",
        "client-retry COUNT",
        "How often the application itself tries again: a fact that checks rely on.",
        Once,
        Executed,
        traffic::client_retry,
    ),
    env(Place::Calls),
];

const RETRY: &[Signature] = &[
    row(
        "per-try-timeout",
        "per-try-timeout DURATION",
        "How long one try may take.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "backoff",
        "backoff DURATION..DURATION",
        "The longest wait before the first retry, and before any retry.",
        Once,
        Executed,
        traffic::backoff,
    ),
    row(
        "budget",
        "budget PERCENT min RATE over DURATION",
        "How many retries there may be in proportion to first tries.",
        Once,
        Executed,
        traffic::budget,
    ),
    row(
        "methods",
        "methods METHOD, …",
        "Methods beyond GET, HEAD and OPTIONS that may be tried again.",
        Once,
        Executed,
        traffic::methods,
    ),
    row(
        "buffer",
        "buffer SIZE",
        "How much of a request body is kept to be sent again, at most 1MiB.",
        Once,
        Executed,
        traffic::buffer,
    ),
];

const CIRCUIT_BREAKER: &[Signature] = &[
    row("max-connections", "max-connections COUNT", "Connections at once.", Once, Executed, traffic::number),
    row(
        "max-pending-requests",
        "max-pending-requests COUNT",
        "Requests that wait for a connection.",
        Once,
        Executed,
        traffic::number,
    ),
    row("max-requests", "max-requests COUNT", "Requests at once.", Once, Executed, traffic::number),
    row(
        "pending-timeout",
        "pending-timeout DURATION",
        "How long a request may wait for a connection.",
        Once,
        Executed,
        service::a_duration,
    ),
];

const OUTLIER_DETECTION: &[Signature] = &[
    row(
        "consecutive-5xx",
        "consecutive-5xx COUNT",
        "Ejected after so many responses 5xx or lost connections in a row.",
        Once,
        Executed,
        traffic::number,
    ),
    row(
        "consecutive-gateway-errors",
        "consecutive-gateway-errors COUNT",
        "Ejected after so many 502, 503, 504 or lost connections in a row.",
        Once,
        Executed,
        traffic::number,
    ),
    row(
        "success-rate",
        "success-rate PERCENT",
        "Ejected below this share of successes in an interval.",
        Once,
        Executed,
        service::a_percent,
    ),
    row(
        "interval",
        "interval DURATION",
        "How often endpoints are judged.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "base-ejection-time",
        "base-ejection-time DURATION",
        "How long an endpoint is out the first time; the second time twice as long, and so on.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "max-ejection-time",
        "max-ejection-time DURATION",
        "The longest time an endpoint is out; without it, ten times the first.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "max-ejection-percent",
        "max-ejection-percent PERCENT [min COUNT]",
        "The share of endpoints that may be out at once, and how many may be whatever the share says.",
        Once,
        Executed,
        traffic::max_ejection,
    ),
    row(
        "min-hosts",
        "min-hosts COUNT",
        "With fewer endpoints none is ejected.",
        Once,
        Executed,
        traffic::number,
    ),
];

const LOAD_BALANCER: &[Signature] = &[row(
    "slow-start",
    "slow-start DURATION",
    "How long a new endpoint takes to its full share.",
    Once,
    Executed,
    service::a_duration,
)];

const HEALTH_CHECK: &[Signature] = &[
    row(
        "interval",
        "interval DURATION",
        "How often an endpoint is asked.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "timeout",
        "timeout DURATION",
        "How long its answer is waited for.",
        Once,
        Executed,
        service::a_duration,
    ),
    row(
        "unhealthy",
        "unhealthy COUNT",
        "Failures in a row after which it is out; without it, one.",
        Once,
        Executed,
        traffic::number,
    ),
    row(
        "healthy",
        "healthy COUNT",
        "Successes in a row after which it is in again; without it, one.",
        Once,
        Executed,
        traffic::number,
    ),
];

const GATEWAY: &[Signature] = &[
    SERVICE_ACCOUNT,
    block(
        Body::Optional(Place::Listener),
        row(
            "listener",
            "listener NAME port NUMBER PROTOCOL [{ … }]",
            "A port the gateway listens on, and for which hosts: `http`, `https`, `http2`, `grpc`, `tcp` or `tls`.",
            Many,
            Executed,
            service::listener,
        ),
    ),
    JWT_USE,
    RATE_LIMIT,
    MAX_REQUEST_BODY,
    row(
        "trusted-hops",
        "trusted-hops COUNT",
        "How many proxies before the gateway are believed in `x-forwarded-for`: what `client-ip` rests on.",
        Once,
        Executed,
        service::trusted_hops,
    ),
    ACCESS_LOG,
    TRACING,
    METRIC_LABEL,
    env(Place::Gateway),
];

const LISTENER: &[Signature] = &[
    row(
        "host",
        "host STRING, …",
        "The hosts the listener accepts; `\"*\"` is any host.",
        Once,
        Executed,
        service::hosts,
    ),
    row(
        "tls",
        "tls certificate STRING, … [client-ca STRING] | tls passthrough [mesh]",
        "The certificates that are shown, by name, and the authority of the clients; or connections passed on unopened, *of other clusters not executed yet*.",
        Once,
        Executed,
        service::listener_tls,
    ),
    row(
        "redirect",
        "redirect https STATUS",
        "Everything is redirected to the same URL with `https`.",
        Once,
        Executed,
        service::redirect_https,
    ),
    row(
        "allow-routes",
        "allow-routes MODULE [host STRING, …] [to PATH, …]",
        "Another module may attach routes inside these hosts and paths.",
        Many,
        Executed,
        service::allow_routes,
    ),
    row(
        "proxy-protocol",
        "proxy-protocol",
        "Connections begin with a PROXY protocol header that says the client's address.",
        Once,
        Executed,
        project::nothing,
    ),
    RATE_LIMIT,
    MAX_REQUEST_BODY,
    ENCODED_SLASHES,
    PATH_PARAMETERS,
    env(Place::Listener),
];

const ROUTE: &[Signature] = &[
    block(
        Body::Required(Place::Rule),
        row(
            "rule",
            "rule NAME [overrides NAME, …] { … }",
            "What happens to the requests that its `match` lines describe.",
            Many,
            Executed,
            route::rule,
        ),
    ),
    Signature { times: Once, ..TO },
    row(
        "otherwise",
        "otherwise STATUS",
        "The answer where no rule matches.",
        Once,
        Executed,
        route::otherwise,
    ),
    env(Place::Route),
];

const RULE: &[Signature] = &[
    row(
        "match",
        "match [OP, …] [when COND and …]",
        "Requests the rule is for; several lines are alternatives, none is every request.",
        ManyReplaced,
        Executed,
        route::match_line,
    ),
    TO,
    row(
        "redirect",
        "redirect PATH-OR-URL STATUS | redirect prefix PATH STATUS | redirect [scheme WORD] [host STRING] STATUS",
        "Answers with a redirect; the query is kept.",
        OneOf("action"),
        Executed,
        route::redirect,
    ),
    row(
        "respond",
        "respond STATUS [STRING]",
        "Answers at once, with an optional body.",
        OneOf("action"),
        Executed,
        route::respond,
    ),
    USE,
    TIMEOUT,
    RETRY_SETTING,
    IDLE_TIMEOUT,
    row(
        "mirror",
        "mirror SERVICE[:SUBSET] [port NAME] PERCENT [including-writes]",
        "Sends a copy of a share of the requests; its answer is thrown away and never waited for.",
        Many,
        Executed,
        traffic::mirror,
    ),
    row(
        "rewrite",
        "rewrite path PATH | rewrite prefix PATH | rewrite host STRING",
        "Changes the request that is sent on.",
        Many,
        Executed,
        traffic::rewrite,
    ),
    row(
        "request-header",
        "request-header set STRING STRING | request-header add STRING STRING | request-header remove STRING",
        "Edits a header of the request that is sent on.",
        Many,
        Executed,
        traffic::header_edit,
    ),
    row(
        "response-header",
        "response-header set STRING STRING | response-header add STRING STRING | response-header remove STRING",
        "Edits a header of the response.",
        Many,
        Executed,
        traffic::header_edit,
    ),
    row(
        "fault",
        "fault delay DURATION PERCENT | fault abort STATUS PERCENT",
        "Delays or fails a share of the requests on purpose.",
        Many,
        Executed,
        traffic::fault,
    ),
    block(
        Body::Required(Place::Cors),
        row(
            "cors",
            "cors { … }",
            "Which origins' pages may ask (Fetch 3.2); preflights are answered before authorization.",
            Once,
            Executed,
            project::nothing,
        ),
    ),
    row(
        "upgrade",
        "upgrade websocket",
        "Requests may become WebSocket connections (RFC 6455).",
        Once,
        Executed,
        traffic::upgrade,
    ),
    RATE_LIMIT,
    MAX_REQUEST_BODY,
    env(Place::Rule),
];

const CORS: &[Signature] = &[
    row("allow-origins", "allow-origins STRING, …", "Origins, or `\"*\"`.", Once, Executed, project::strings),
    row(
        "allow-methods",
        "allow-methods METHOD, …",
        "Methods that may be used.",
        Once,
        Executed,
        traffic::methods,
    ),
    row(
        "allow-headers",
        "allow-headers STRING, …",
        "Headers that may be sent, or `\"*\"`.",
        Once,
        Executed,
        project::strings,
    ),
    row(
        "expose-headers",
        "expose-headers STRING, …",
        "Response headers that the page may read.",
        Once,
        Executed,
        project::strings,
    ),
    row(
        "allow-credentials",
        "allow-credentials",
        "Cookies are sent along.",
        Once,
        Executed,
        project::nothing,
    ),
    row(
        "max-age",
        "max-age DURATION",
        "How long an answer may be kept.",
        Once,
        Executed,
        service::a_duration,
    ),
];

const AUTHORIZE: &[Signature] = &[
    row(
        "allow",
        "allow FROM [to [port NAME] [OP, …]] [when COND and …]",
        "Who may do what; public is `allow from anyone`.",
        Many,
        Executed,
        policy::allow,
    ),
    row(
        "deny",
        "deny [FROM] [to [port NAME] [OP, …]] [when COND and …]",
        "Who may not; it beats every `allow`.",
        Many,
        Executed,
        policy::deny,
    ),
    row(
        "audit",
        "audit [FROM] [to [port NAME] [OP, …]] [when COND and …]",
        "What is told in the access log; it decides nothing.",
        Many,
        Executed,
        policy::audit,
    ),
    row(
        "check",
        "check ext-authz NAME [to [port NAME] [OP, …]]",
        "Asks a service in addition; it can only refuse.",
        Many,
        Executed,
        policy::check,
    ),
    MODE,
];

const GUARDRAIL: &[Signature] = &[
    row(
        "deny",
        "deny [FROM] [to DESTINATION, … [OP, …]] [when COND and …]",
        "Who may not reach what, whatever anybody allows.",
        Many,
        Executed,
        policy::guardrail,
    ),
    MODE,
];

const TEST: &[Signature] = &[
    row(
        "request",
        "request [FROM] to TARGET [port NAME] [listener NAME] [STRING] [METHOD PATH] [when COND and …] expect OUTCOME",
        "One request and its outcome: `allow`, `deny`, a status, `redirect … STATUS` or backends with weights; after it \
         `timeout`, `retry`, `mirror` and `fault` may be expected.",
        Many,
        Executed,
        test::request,
    ),
    row(
        "every",
        "every [FROM] to TARGET [port NAME] [listener NAME] [STRING] [OP] [when COND and …] expect OUTCOME",
        "All requests of this description have the outcome; proved, not sampled.",
        Many,
        Executed,
        test::every,
    ),
    row(
        "some",
        "some [FROM] to TARGET [port NAME] [listener NAME] [STRING] [OP] [when COND and …] expect OUTCOME",
        "At least one request of this description has the outcome.",
        Many,
        Executed,
        test::some,
    ),
];
