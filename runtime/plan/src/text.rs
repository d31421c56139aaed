//! A plan for human eyes: what `mesh plan inspect` shows. Meant to be read, not to be parsed.

mod balancing;
mod verifiers;

use crate::decode::to_target;
use crate::layout::{Section, WHOLE};
use crate::plan::{Counting, FieldKind, HostKind, Mtls, NONE, Protocol, Target};
use crate::view::{
    Action, ConsumerRoute, Edit, Endpoint, Field, Gateway, List, Outcome, Partition, PlanView, Port, Retry,
    Row, Rows, Service, Settings, Text, Written,
};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The whole plan, indices and all.
pub fn text(plan: &PlanView) -> String {
    let mut out = Page::default();
    out.line(format_args!("plan {}", plan.digest_hex()));
    out.line(format_args!("trust domain {}", plan.trust_domain()));
    if let Some(settings) = plan.default_settings() {
        out.line(format_args!("default {}", settings_text(settings)));
    }
    sizes(plan, &mut out);
    plan.gateways().iter().for_each(|gateway| gateway_text(plan, gateway, &mut out));
    plan.services().iter().for_each(|service| service_text(plan, service, &mut out));
    let places: Vec<u32> = plan.nodes().map(|(at, _)| at).collect();
    let mut nodes: BTreeMap<u32, u32> = BTreeMap::new();
    plan.nodes().for_each(|(_, node)| *nodes.entry(node.partition()).or_default() += 1);
    out.list("partitions", plan.partitions(), |partition| {
        partition_text(partition, nodes.get(&partition.index()).copied().unwrap_or(0), &places)
    });
    out.list("automata", plan.automata(), |automaton| {
        format!("{} states, {} classes of bytes", automaton.accepts().len(), automaton.class_count())
    });
    let lists = plan.nodes().zip(0..).filter_map(|((_, node), number)| Some((node.list()?, number)));
    let lists: BTreeMap<u32, u32> = lists.collect();
    out.list("lists", plan.lists(), |list| {
        let node = lists.get(&list.index()).copied().unwrap_or(NONE);
        list_text(list, node)
    });
    out.list("outcomes", plan.outcomes(), |outcome| outcome_text(plan, outcome));
    out.list("verdicts", plan.verdicts(), |verdict| {
        let place = place_text(verdict.rule_text());
        let word = match (verdict.allow(), verdict.is_probe()) {
            (false, _) => "deny",
            (true, false) => "allow",
            (true, true) => "probe",
        };
        let decided = format!("{word}  {}{place}", verdict.rule());
        let mut places = verdict.audit_text().places();
        let audited = verdict.audit().lines().map(|line| {
            let place = places.next().map_or(String::new(), |place| format!("  ({place})"));
            format!("  audit {line}{place}")
        });
        let asked = verdict.asks().iter().filter_map(|own| plan.authority(own));
        let asked = asked.map(|own| format!("  check ext-authz {}", own.name()));
        std::iter::once(decided).chain(audited).chain(asked).collect()
    });
    out.list("authorities", plan.authorities(), |own| {
        let own = own.to_value();
        let (place, failure) =
            (destination(plan, own.service, own.port), if own.lets_in_on_failure { "allow" } else { "deny" });
        format!("ext-authz {}  {place} timeout {}ms on-failure {failure}", own.name, own.timeout)
    });
    out.list("grants", plan.grants(), |grant| {
        let level = |index| plan.settings(index).map_or("nothing".to_owned(), settings_text);
        format!("calls to: {}; calls: {}", level(grant.op_settings), level(grant.settings))
    });
    out.text
}

/// Lines so far and how deep the next one stands.
#[derive(Default)]
struct Page {
    text: String,
    depth: usize,
}

impl Page {
    fn line(&mut self, line: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:depth$}{line}", "", depth = self.depth * 2);
    }

    fn block(&mut self, title: impl Display, inside: impl FnOnce(&mut Page)) {
        self.text.push('\n');
        self.line(title);
        self.depth += 1;
        inside(self);
        self.depth -= 1;
    }

    fn list<'p, T: Row<'p>>(&mut self, title: &str, rows: Rows<'p, T>, show: impl Fn(T) -> String) {
        if rows.is_empty() {
            return;
        }
        self.block(title, |out| {
            for (row, index) in rows.iter().zip(0u32..) {
                out.line(format_args!("{index:>4}  {}", show(row)));
            }
        });
    }
}

fn sizes(plan: &PlanView, out: &mut Page) {
    out.block(format_args!("sections, {} bytes in all", plan.plan_bytes().len()), |out| {
        for section in Section::ALL {
            let bytes = plan.section_bytes(section);
            if bytes > 0 {
                out.line(format_args!(
                    "{:<18}{bytes:>10} bytes{:>9}",
                    section.name(),
                    plan.section_len(section)
                ));
            }
        }
    });
}

fn gateway_text(plan: &PlanView, gateway: Gateway<'_>, out: &mut Page) {
    out.block(format_args!("gateway {}{}", gateway.name(), owned_by(gateway.owner())), |out| {
        out.line(identity(plan, gateway.principal()));
        gateway.limits().iter().for_each(|limit| out.line(edit_text(plan, limit)));
        logged_text(gateway.logged(), out);
        if gateway.trusted_hops() > 0 {
            out.line(format_args!("trusted-hops {}", gateway.trusted_hops()));
        }
        gateway.verifiers().iter().for_each(|own| verifiers::text(own, out));
        for listener in gateway.listeners().iter() {
            let (name, number, partition) = (listener.name(), listener.number(), listener.partition());
            let protocol = protocol_text(listener.protocol());
            out.line(format_args!("listener {name} port {number}{protocol}, partition {partition}"));
            if listener.has_proxy_protocol() {
                out.line("  proxy-protocol");
            }
            let certificates: Vec<&str> = listener.certificates().collect();
            if !certificates.is_empty() {
                out.line(format_args!("  tls certificate {}", certificates.join(", ")));
            }
            if !listener.client_ca().is_empty() {
                out.line(format_args!("  client-ca {}", listener.client_ca()));
            }
            listener.limits().iter().for_each(|limit| out.line(format_args!("  {}", edit_text(plan, limit))));
            for (host, root) in listener.hosts().iter().zip(0u32..) {
                let pattern = match host.kind() {
                    HostKind::Exact => host.name().to_owned(),
                    HostKind::OneLabel => format!("*.{}", host.name()),
                    HostKind::Labels => format!("**.{}", host.name()),
                    HostKind::Any => "*".to_owned(),
                };
                out.line(format_args!("  host {pattern}, root {root}"));
            }
        }
        consumer_routes_text(plan, gateway.consumer_routes(), out);
    });
}

fn logged_text(share: Option<u32>, out: &mut Page) {
    match share {
        None => {}
        Some(0) => out.line("access-log none"),
        Some(WHOLE) => out.line("access-log json"),
        Some(share) => out.line(format_args!("access-log json sample {}.{:02}%", share / 100, share % 100)),
    }
}

fn service_text(plan: &PlanView, service: Service<'_>, out: &mut Page) {
    out.block(format_args!("service {}{}", service.name(), owned_by(service.owner())), |out| {
        out.line(identity(plan, service.principal()));
        logged_text(service.logged(), out);
        if let Some(check) = service.health_check() {
            out.line(balancing::health_check(&check.to_value()));
        }
        if let Some(tls) = service.tls() {
            out.line(tls.to_value());
        }
        let chain: Vec<&str> = service.failover().collect();
        if !chain.is_empty() {
            out.line(format_args!("failover {}", chain.join(" -> ")));
        }
        if service.is_by_zone() {
            out.line("locality zone");
        }
        service.verifiers().iter().for_each(|own| verifiers::text(own, out));
        if let Some(settings) = service.settings() {
            out.line(settings_text(settings));
        }
        service.limits().iter().for_each(|limit| out.line(edit_text(plan, limit)));
        service.ports().iter().for_each(|port| port_text(service, port, out));
        for (call, index) in service.calls().iter().zip(0..) {
            let hosts = service.hosts().iter().filter(|host| host.call() == index).map(|host| host.host());
            let callee = destination(plan, call.service(), call.port());
            let hosts: Vec<&str> = hosts.collect();
            out.line(format_args!("calls {callee} as {}, partition {}", hosts.join(", "), call.partition()));
        }
        let nobodys = service.hosts().iter().filter(|host| host.call() == NONE).map(|host| host.host());
        let nobodys: Vec<&str> = nobodys.collect();
        if !nobodys.is_empty() {
            out.line(format_args!("calls nobody as {}", nobodys.join(", ")));
        }
        consumer_routes_text(plan, service.consumer_routes(), out);
    });
}

fn consumer_routes_text<'p>(plan: &PlanView, routes: Rows<'p, ConsumerRoute<'p>>, out: &mut Page) {
    for route in routes.iter() {
        let callee = destination(plan, route.service(), route.port());
        out.line(format_args!("its own route to {callee}, partition {}", route.partition()));
    }
}

fn port_text(service: Service<'_>, port: Port<'_>, out: &mut Page) {
    let name = if port.name().is_empty() { String::new() } else { format!("{} ", port.name()) };
    let protocol = protocol_text(port.protocol());
    let mtls = mtls_text(port.mtls());
    let probed = if port.is_probed() { " probed" } else { "" };
    out.line(format_args!(
        "port {name}{}{protocol}{mtls}{probed}, partition {}",
        port.number(),
        port.partition()
    ));
    out.line(format_args!("  endpoints {}", addresses(port.endpoints_of(NONE))));
    for (subset, index) in service.subsets().zip(0..) {
        out.line(format_args!("  subset {subset} {}", addresses(port.endpoints_of(index))));
    }
}

fn mtls_text(mode: Mtls) -> &'static str {
    match mode {
        Mtls::None => "",
        Mtls::Permissive => " mtls permissive",
        Mtls::Strict => " mtls strict",
        Mtls::Off => " mtls off",
    }
}

/// What is not HTTP/1.1 says so.
fn protocol_text(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "",
        Protocol::Http2 => " http2",
        Protocol::Grpc => " grpc",
        Protocol::Connections => " of connections",
        Protocol::Tls => " of tls",
    }
}

fn addresses<'p>(endpoints: impl Iterator<Item = Endpoint<'p>>) -> String {
    let addresses: Vec<String> = endpoints
        .map(|endpoint| {
            let (ip, port) = endpoint.address();
            let address = match endpoint.name() {
                "" => SocketAddr::new(IpAddr::V6(Ipv6Addr::from(ip)).to_canonical(), port).to_string(),
                name if endpoint.is_asked() => format!("{name}:{port} as asked"),
                name if endpoint.is_outside() => format!("dns {name}:{port} outside"),
                name => format!("dns {name}:{port}"),
            };
            match (endpoint.cluster(), endpoint.zone()) {
                ("", "") => address,
                (cluster, "") => format!("{address} ({cluster})"),
                ("", zone) => format!("{address} (zone {zone})"),
                (cluster, zone) => format!("{address} ({cluster}, zone {zone})"),
            }
        })
        .collect();
    if addresses.is_empty() { "none".to_owned() } else { addresses.join(" ") }
}

/// Nodes are told by their numbers, which is how many stand before them; `places` says where they begin.
fn partition_text(partition: Partition<'_>, nodes: u32, places: &[u32]) -> String {
    let target_text = |target| target_text(to_target(target, places));
    let fields: Vec<String> =
        partition.fields().iter().map(|field| format!(", {} {}", field_name(field), field.atoms())).collect();
    let states = match partition.path_automaton() {
        Some(automaton) => format!("{} byte states", automaton.accepts().len()),
        None => format!("{} states", partition.states().iter().count()),
    };
    let roots: Vec<String> = partition.roots().iter().map(target_text).collect();
    format!(
        "atoms: peer {}, path {}{}; {states}, {nodes} nodes; access {}; roots {}",
        partition.peer_atoms(),
        partition.path_atoms(),
        fields.concat(),
        target_text(partition.access()),
        roots.join(" "),
    )
}

/// A header by its name alone, everything else by what it is.
fn field_name(field: Field<'_>) -> String {
    match field.kind() {
        FieldKind::Header => field.name().to_owned(),
        FieldKind::Query => format!("query {}", field.name()),
        FieldKind::Cookie => format!("cookie {}", field.name()),
        FieldKind::Claim if field.issuer().is_empty() => format!("claim {}", field.name()),
        FieldKind::Claim => format!("claim {} {}", field.issuer(), field.name()),
        FieldKind::Jwt => format!("jwt {}", field.name()),
        FieldKind::SourceIp => "source-ip".to_owned(),
        FieldKind::ClientIp => "client-ip".to_owned(),
        FieldKind::CallerIp => "source-ip of the caller".to_owned(),
        FieldKind::Host => "host".to_owned(),
        FieldKind::Segment => format!("segment {}", field.name()),
    }
}

fn list_text(list: List<'_>, node: u32) -> String {
    let dims: Vec<String> = list.tests().iter().map(|test| test.dim().to_string()).collect();
    let beaten = list.beaten_by().iter().filter(|own| !own.beaters().is_empty()).count();
    format!("node {node}: {} candidates by dimensions {}, {beaten} beaten", list.candidates(), dims.join(" "))
}

fn target_text(target: Target) -> String {
    match target {
        Target::Node(node) => format!("node {node}"),
        Target::Leaf(NONE) => "none".to_owned(),
        Target::Leaf(crate::plan::REFUSED) => "refused".to_owned(),
        Target::Leaf(leaf) => format!("leaf {leaf}"),
    }
}

fn outcome_text(plan: &PlanView, outcome: Outcome<'_>) -> String {
    let action = match outcome.action() {
        Action::Forward(backends) => {
            let backends: Vec<String> = backends
                .iter()
                .map(|backend| {
                    let service = plan.service(backend.service);
                    let subset = service.and_then(|service| service.subset(backend.subset));
                    let subset = subset.map_or(String::new(), |subset| format!(":{subset}"));
                    let enter = if backend.enter { " by its route" } else { "" };
                    let (whole, rest) = (backend.weight / 100, backend.weight % 100);
                    let callee = destination(plan, backend.service, backend.port);
                    format!("{callee}{subset}{enter} {whole}.{rest:02}%")
                })
                .collect();
            format!("to {}", backends.join(", "))
        }
        Action::Redirect { status, location } => format!("redirect {location:?} {status}"),
        Action::Respond { status, body: "" } => format!("respond {status}"),
        Action::Respond { status, body } => format!("respond {status} {body:?}"),
    };
    let edits: String = outcome.edits().iter().map(|edit| format!("; {}", edit_text(plan, edit))).collect();
    let settings =
        outcome.settings().map_or(String::new(), |settings| format!("; {}", settings_text(settings)));
    format!("{}{}  {action}{edits}{settings}", outcome.rule(), place_text(outcome.rule_text()))
}

/// `  (shop/routes.mesh:12)`, where the plan knows where its rules stand.
fn place_text(rule: Text<'_>) -> String {
    rule.place().map_or(String::new(), |place| format!("  ({place})"))
}

fn edit_text(plan: &PlanView, edit: Edit<'_>) -> String {
    let percent = |share: u32| format!("{}.{:02}%", share / 100, share % 100);
    match edit {
        Edit::Path(path) => format!("path {path:?}"),
        Edit::Prefix { from, to } => format!("prefix {from:?} to {to:?}"),
        Edit::Host(host) => format!("host {host:?}"),
        Edit::Scheme(scheme) => format!("scheme {scheme}"),
        Edit::SetRequestHeader(name, value) => format!("request-header set {name:?} {value:?}"),
        Edit::AddRequestHeader(name, value) => format!("request-header add {name:?} {value:?}"),
        Edit::RemoveRequestHeader(name) => format!("request-header remove {name:?}"),
        Edit::SetResponseHeader(name, value) => format!("response-header set {name:?} {value:?}"),
        Edit::AddResponseHeader(name, value) => format!("response-header add {name:?} {value:?}"),
        Edit::RemoveResponseHeader(name) => format!("response-header remove {name:?}"),
        Edit::Delay { delay, share } => format!("delay {delay}ms {}", percent(share)),
        Edit::Abort { status, share } => format!("abort {status} {}", percent(share)),
        Edit::MaxRequestBody(bytes) => format!("max-request-body {bytes}B"),
        Edit::RateLimit(limit) => {
            let keys = [
                (limit.by_source, " per source"),
                (limit.by_source_ip, " per source-ip"),
                (limit.by_client_ip, " per client-ip"),
            ];
            let keys: String = keys.iter().filter(|(is_one, _)| *is_one).map(|(_, key)| *key).collect();
            let by_headers = match limit.by_headers {
                "" => String::new(),
                names => format!(" per header {names}"),
            };
            let audit = if limit.audit { " audit" } else { "" };
            let (count, per) = (limit.count, limit.per);
            let (burst, by) = match limit.counting {
                Counting::Local { burst } => (format!(" burst {burst}"), String::new()),
                Counting::Global { by } => (String::new(), format!(" by {by}")),
            };
            format!("rate-limit {count} in {per}ms{burst}{keys}{by_headers}{by}{audit}")
        }
        Edit::Cors(cors) => {
            let parts = [("methods", cors.methods), ("headers", cors.headers), ("exposed", cors.exposed)];
            let said = parts.iter().filter(|(_, value)| !value.is_empty());
            let said: String = said.map(|(name, value)| format!(", {name} {value}")).collect();
            let credentials = if cors.credentials { ", credentials" } else { "" };
            format!("cors for {}{said}{credentials}", cors.origins)
        }
        Edit::PreflightAge(seconds) => format!("preflights kept {seconds}s"),
        Edit::WebSocket => "upgrade websocket".to_owned(),
        Edit::DecodeSlashes => "encoded-slashes decode".to_owned(),
        Edit::StripParameters => "path-parameters strip".to_owned(),
        Edit::Mirror { service, port, subset, share } => {
            let name = plan.service(service).and_then(|service| service.subset(subset));
            let subset = name.map_or(String::new(), |name| format!(":{name}"));
            format!("mirror {}{subset} {}", destination(plan, service, port), percent(share))
        }
    }
}

fn destination(plan: &PlanView, service: u32, port: u32) -> String {
    let service = plan.service(service);
    let name = service.map_or("?", |service| service.name());
    let number = service.and_then(|service| service.port(port)).map_or(0, Port::number);
    format!("{name} port {number}")
}

fn identity(plan: &PlanView, principal: u32) -> &str {
    plan.principals().get(principal).map_or("", |principal| principal.identity())
}

fn owned_by(owner: &str) -> String {
    if owner.is_empty() { String::new() } else { format!(", owned by {owner}") }
}

fn settings_text(settings: Settings<'_>) -> String {
    let timeout = match settings.timeout() {
        Written::No => None,
        Written::Off => Some("timeout none".to_owned()),
        Written::Value(milliseconds) => Some(format!("timeout {milliseconds}ms")),
    };
    let retry = match settings.retry() {
        Written::No => None,
        Written::Off => Some("retry none".to_owned()),
        Written::Value(retry) => Some(retry_text(retry)),
    };
    let idle = match settings.idle_timeout() {
        Written::No => None,
        Written::Off => Some("idle-timeout none".to_owned()),
        Written::Value(milliseconds) => Some(format!("idle-timeout {milliseconds}ms")),
    };
    let connect = settings.connect_timeout().map(|milliseconds| format!("connect-timeout {milliseconds}ms"));
    let balancing = [
        settings.balancer().map(balancing::balancer),
        settings.breaker().map(balancing::breaker),
        settings.outliers().map(balancing::outliers),
    ];
    let parts: Vec<String> = [timeout, retry, connect, idle].into_iter().chain(balancing).flatten().collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn retry_text(retry: Retry<'_>) -> String {
    let mut text = format!("retry {} on", retry.count());
    let conditions = [
        (retry.on_connect_failure(), " connect-failure"),
        (retry.on_reset(), " reset"),
        (retry.on_timeout(), " timeout"),
    ];
    text.extend(conditions.into_iter().filter(|(on, _)| *on).map(|(_, name)| name));
    // `5xx` is a hundred statuses: a run of them is shown by its ends.
    let (statuses, _) = retry.statuses().as_chunks::<2>();
    let statuses: Vec<u16> = statuses.iter().map(|status| u16::from_le_bytes(*status)).collect();
    let (of_grpc, of_http) = statuses.split_at(statuses.partition_point(|status| *status < 100));
    text.extend(of_grpc.iter().map(|status| format!(" grpc-status {status}")));
    for run in of_http.chunk_by(|before, after| *after == before + 1) {
        match run {
            [first, .., last] => text.push_str(&format!(" {first}-{last}")),
            alone => text.extend(alone.iter().map(|status| format!(" {status}"))),
        }
    }
    let methods =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"].into_iter().zip(0u32..);
    let methods = methods.filter(|(_, bit)| retry.methods() >> bit & 1 == 1).map(|(name, _)| name);
    text.push_str(&format!(" methods {}", methods.collect::<Vec<_>>().join("|")));
    let details = [
        ("per-try-timeout", retry.per_try_timeout(), "ms"),
        ("backoff from", retry.backoff_base(), "ms"),
        ("to", retry.backoff_cap(), "ms"),
        ("buffer", retry.buffer(), "B"),
    ];
    for (name, amount, unit) in details.into_iter().filter(|(_, amount, _)| *amount > 0) {
        text.push_str(&format!(" {name} {amount}{unit}"));
    }
    if let Some(budget) = retry.budget() {
        let (whole, rest) = (budget.share / 100, budget.share % 100);
        text.push_str(&format!(
            " budget {whole}.{rest:02}% min {}/s over {}ms",
            budget.min_per_second, budget.over
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::{encode, samples, verify};

    #[test]
    fn a_person_finds_everything_in_the_text() {
        let text = super::text(&verify(encode(&samples::plan()).unwrap()).unwrap());
        for line in [
            "trust domain shop.test",
            "default timeout none, retry 2 on connect-failure timeout grpc-status 14 429 502-504 methods GET|HEAD|OPTIONS \
             per-try-timeout 250ms backoff from 25ms to 1000ms buffer 65536B budget 20.00% min 10/s over 10000ms",
            "gateway edge.shop, owned by platform",
            "  listener web port 8080, partition 0",
            "    tls certificate shop-test, shop-wild",
            "    client-ca partners",
            "    host **.shop.test, root 2",
            "service reviews.shop, owned by team-reviews",
            "  port admin 9000 grpc mtls permissive, partition 3",
            "    endpoints dns one.test:9001 dns two.test:9001 outside",
            "  port 80 mtls strict probed, partition 1",
            "    endpoints 10.0.0.1:8080 (zone a) 10.0.0.2:8080 (zone a) [fd00::1]:9090 (west, zone b)",
            "  failover local -> west",
            "  locality zone",
            "    subset v1 10.0.0.1:8080 (zone a) [fd00::1]:9090 (west, zone b)",
            "    subset v2 none",
            "  calls ratings.shop port 9000 as ratings, ratings.shop, partition 5",
            "  its own route to ratings.shop port 9000, partition 6",
            "     0  atoms: peer 3, path 3, x-user 5; 3 states, 2 nodes; access leaf 0; roots node 1 refused leaf 2 leaf 3",
            "     2  atoms: peer 3, path 3, query role 6, source-ip 2; 2 byte states, 0 nodes; access leaf 1; roots leaf 1",
            "     0  2 states, 2 classes of bytes",
            "     0  node 6: 3 candidates by dimensions 0 4, 2 beaten",
            "     0  route edge.shop rule split  to reviews.shop port 80 by its route 33.34%, reviews.shop port 80:v1 33.33%, \
             reviews.shop port 80:v2 33.33%; timeout 2500ms, retry none",
            "     2  route edge.shop rule moved  redirect \"/a/1\" 308",
            "     1  deny  authorize ratings.shop: deny  audit authorize ratings.shop: audit",
        ] {
            assert!(text.lines().any(|own| own == line), "no line {line:?} in\n{text}");
        }
    }
}
