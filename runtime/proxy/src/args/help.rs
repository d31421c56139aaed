//! What `--help` says beyond the flags: examples, how to be called, what a log line means, what is not protected.

pub(super) const EXAMPLES: &str = "\
Examples:
  A gateway, on the ports that the plan says and on every interface of this machine:
    mesh-proxy --plan shop.mplan --gateway edge

  The same for this machine alone:
    mesh-proxy --plan shop.mplan --gateway edge --bind 127.0.0.1

  The sidecar of a service, which sends its calls to port 15001:
    mesh-proxy --plan shop.mplan --service web --outbound 127.0.0.1:15001

  The same, encrypted, with a proxy before the service itself, which listens on port 8080:
    mesh-proxy --plan shop.mplan --service web --outbound 127.0.0.1:15001 \\
      --inbound 10.0.0.7:80=127.0.0.1:8080 --svid svid.pem --svid-key key.pem --trust-bundle ca.pem

  Its certificate from `mesh ca serve`, for what `mesh ca token` printed, and renewed from then on:
    mesh-proxy --plan shop.mplan --service web --outbound 127.0.0.1:15001 --state /var/lib/mesh \\
      --ca https://ca.internal:7071 --ca-bundle shop.example.pem --join-token-file web.token

  Its certificates from an agent of the SPIFFE Workload API:
    mesh-proxy --plan shop.mplan --service web --outbound 127.0.0.1:15001 \\
      --workload-api unix:///run/spire/agent.sock

  A gateway with `https` listeners, whose certificates are certs/NAME.crt and certs/NAME.key:
    mesh-proxy --plan shop.mplan --gateway edge --certificates certs

  Its plan from a server, signed, kept for when the server is away:
    mesh-proxy --plan https://plans.internal:7070 --plan-key release.pub --environment live \
      --state /var/lib/mesh --service web --outbound 127.0.0.1:15001

  The sidecar of a service whose calls of Redis, which is `tcp`, go to port 6379 of this machine:
    mesh-proxy --plan shop.mplan --service cart --outbound 127.0.0.1:15001 --call redis=127.0.0.1:6379

  Everything from the environment:
    MESH_PLAN=/etc/mesh/shop.mplan MESH_GATEWAY=edge,internal MESH_ADMIN=127.0.0.1:9901 mesh-proxy

--help says more: calls by way of a sidecar, the access log, signals and exit codes.";

/// All of it.
pub(super) fn long() -> String {
    let examples = EXAMPLES.rsplit_once("\n\n").map_or(EXAMPLES, |(examples, _)| examples);
    let bounds = mesh_proxy::bounds::table();
    format!("{examples}\n\n{BOUNDS}{bounds}\n{MORE}")
}

const BOUNDS: &str = "\
Limits (--limit NAME=VALUE), each with its default, what it may be, and what it bounds:
";

const MORE: &str = "\
Environment:
  Each flag has a variable; the flag wins. MESH_GATEWAY is a list separated by commas,
  MESH_ALL_GATEWAYS is true, yes, 1, false, no or 0. An empty variable counts as unset.

Calls by way of a sidecar:
  A service connects to --outbound and says whom it calls in `Host`: `name` for a service of its
  own namespace or `name.namespace` for any, with the port that the callee declares where it has
  several: `Host: reviews`, `Host: reviews.shop:8080`. Or it uses --outbound as its HTTP proxy
  (`http_proxy=http://127.0.0.1:15001`) and calls http://reviews.shop:8080/. Both versions of HTTP
  are heard: calls of gRPC go to --outbound with prior knowledge of HTTP/2, and the callee's name
  as their authority.
  Connections to a `tcp` port say nobody's name, so each such call has an address of its own, --call
  SERVICE=ADDRESS or SERVICE:PORT=ADDRESS, to which the service connects instead of the callee. Either
  side may speak first. What is refused is reset, and the access log says why. A call that the
  service does not declare is a mistake at the start; a later plan that lacks it refuses what comes
  there. A `tcp` call without an address is told in a warning with each plan.

Near and far:
  `failover local -> …` begins with the cluster of --cluster, and `locality zone` prefers endpoints
  whose label `zone` says what --zone does. A proxy that was not told says so when it takes a plan
  over, and calls all zones alike.

Identity and mutual TLS:
  With --svid, --svid-key and --trust-bundle the proxy is who its certificate says: the identity
  that the plan has for the service or gateway that it serves. It calls `mtls strict` and
  `permissive` ports over TLS 1.3 and talks to nobody but the service meant. With --inbound it
  stands before the service too: it lets in whom the service authorizes, and at a `strict` port
  nobody without a certificate, but the node for what a `probe` says, in the clear. A bundle of another trust domain is DOMAIN=FILE. Files that are
  replaced are taken over at once, and what does not fit together is not.
  Who is on a revocation list of --crl, or whose certificate has ended, is refused, and cut off
  where it is connected.
  With --ca it asks `mesh ca serve` instead: the first time with the join token of
  --join-token-file, then, at half of a certificate's life, with the certificate that it has. The
  key is made here, anew for each certificate, and stays here. Whoever answers at --ca has to have
  a certificate that --ca-bundle vouches for. --state keeps certificate, key and roots (svid.pem,
  for its owner alone), so a restart needs neither the authority nor another token. An authority
  that is away is asked again, and what there is serves as long as it lasts.
  With --workload-api, or where SPIFFE_ENDPOINT_SOCKET is set and no other flag says where from, an
  agent of the SPIFFE Workload API sends certificates, keys and roots, those of federated domains
  too, and others whenever they change (SPIRE: unix:///run/spire/agent.sock). They are kept in
  memory alone. An agent that is away is asked again, and what there is serves as long as it lasts.

Certificates of listeners, and of services outside of the mesh:
  What `tls certificate \"shop-example\"` shows is in the directory of --certificates:
  shop-example.crt, with those between it and a root behind it, and shop-example.key, or
  shop-example/tls.crt and shop-example/tls.key. `client-ca \"partners\"` is partners.crt or
  partners/ca.crt. A client is shown the certificate that has the name it asks for, else the first
  by name; who then asks for a host of another one gets 421. Files that are replaced are taken over
  at once, and what does not fit together is not. Of a service outside `ca \"partners\"` and
  `certificate \"shop\"` are found in the same way; `ca system` is what this machine believes,
  or SSL_CERT_FILE and SSL_CERT_DIR.

Names of endpoints:
  Where the plan has `endpoints dns`, or `external` alone, the addresses of the name are the
  endpoints: what /etc/hosts says, else both kinds of the servers in /etc/resolv.conf or --resolver,
  asked again when their time is over, no less than a second and no more than five minutes. An
  answer without addresses, or none, changes nothing but that one warning says so. Link-local
  addresses are never taken from DNS, and those of loopback not for a service outside.

What the proxy gives up:
  At its start it can get no new privileges, leaves no core file and, as far as the kernel has
  landlock and seccomp, executes nothing, writes no file but those in --state, and makes no system
  call that it does not need; where the kernel has not, one warning says so. --sandbox off leaves
  that away. Started as root it opens its ports, then becomes --user: a plan that opens a port
  below 1024 later needs net.ipv4.ip_unprivileged_port_start, and keys have to be readable for
  that user when they are replaced.

Tokens:
  Where the plan says `jwt`, tokens are verified before anything is decided. Keys come from the file
  that `jwks` names, which is looked at all the time, or from its server, whose certificate the
  system's authorities or those of --jwks-ca vouch for. What comes and is no set of keys is told
  about, and the last good keys stay.

What is not protected:
  A service without an --inbound is reached by everybody who reaches its endpoint: keep such
  endpoints on a network that only proxies reach.

Plans:
  A new plan at the same path is taken over while requests go on: write it beside, then rename it.
  SIGHUP makes the proxy look at once. A file that is no plan, or is gone, changes nothing; the
  admin's /plan says why the last one was not taken over. Of a directory the plan of the highest
  generation counts. A server (`mesh serve`) is asked for the parts that this proxy needs, holds
  the question until there is another plan, and is told what became of the last one.
  With --plan-key a plan has to be signed (`mesh plan sign`) and is never replaced by one of a
  lower generation. --state keeps what was taken over last, and its generation, across restarts:
  the proxy starts with it when the server or the file is not there, or holds nothing good. A listener that a plan no longer has
  answers what is already on its connections under the last plan that had it.

The access log, one JSON object on a line for each request:
  time         when its head had arrived, in UTC
  entry        where it came in: `gateway.namespace/listener`, the sidecar's `service.namespace`,
               `service.namespace->CALLEE` of one of its --call, or `service.namespace:port` before the
               service itself
  method       as the client said it; empty of what is no request
  host         in canonical form, with the port if the client said one
  path         in canonical form, without the query
  status       of the answer; 0 if none was sent
  grpc_status  how a call of gRPC ended, if it said so
  flags        why there was no other answer, separated by commas; see below
  rule         the last one that decided: of the last route entered, or of the authorization that
               refused; empty if there is none
  source       where the rule stands: the file, inside its project, and the line; where the plan knows
  owner        where it was refused: the owner that the plan names for who refused
  audit        what `audit` lines and `mode audit` tell of it; audit_sources: where each of them stands
  service      which service it was sent to, `name.namespace`
  subset       which of its subsets, if one was chosen
  upstream     the endpoint of the last try
  attempts     how many tries were made
  duration_ms  until the last byte of the answer was passed on
  request_id   `x-request-id`, of the client or made here
  source_ip    the other end of the connection; behind `proxy-protocol`, as that says
  client_ip    the client that the first trusted proxy saw, where `trusted-hops` trusts one that says it
  peer         the SPIFFE ID of who connected, if its certificate was good
  tls_error    of a connection whose handshake failed: how
  plan         the first digits of the digest of the plan that decided
  Where the output cannot keep up, lines are dropped and {\"dropped_lines\":N} says how many.

Flags of a request, with the status of HTTP, which is one of gRPC where that was asked:
  DPE   4xx, 501 or 505: not a request, or one of which nothing can be decided
  UAEX  refused with 403: an authorization, or the caller declares no such call; with 401 or 503:
        a token, and rule says whose and why
  NR    404: no route
  UH    503: the destination has no endpoint, or all that it has are left out
  DF    503: the destination is known by name, and no address of it is
  UO    503: a circuit breaker has no room for it
  UF    503: no connection to the endpoint could be made
  UT    504, or the answer was cut: a timeout passed
  SI    504, or the answer was cut: nothing passed for as long as `idle-timeout` says
  UC    502, or the answer was cut: the endpoint broke off
  URX   one more retry was called for, and none was left or the budget could not pay for it
  DPE   the connection's handshake failed: tls_error says how
  DC    not all of the answer was passed on: the client left, or the proxy cut it off when it ended

Signals and exit codes:
  SIGTERM and SIGINT end the proxy when the requests in flight are answered, or after --drain. A
  second one ends it at once.
  0  it ended as told, and every request was answered
  1  it ended, and requests were cut off: by a second signal, or because --drain passed
  2  it could not start";
